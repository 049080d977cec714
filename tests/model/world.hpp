/// Configurations by seed, and pieces of them.
#pragma once

#include <string>

#include "riskreg/config.hpp"
#include "support/random.hpp"

namespace riskreg::test {

/// Four instruments of different tick, lot, multiplier and collar; two accounts; strategies mm, arb, trend; controls in most.
/// `huge`: and one whose notionals come near the end of 64 bits.
[[nodiscard]] SharedConfig world(Random& random, bool huge);
/// Of more accounts and strategies, each of several: what an account, a strategy and all together hold are three different
/// things.
void widen(Random& random, SharedConfig& config);

/// Nothing is limited, and `require_limits` is content.
[[nodiscard]] LimitConfig open_limits(std::string scope);
[[nodiscard]] LimitValue limit_of(std::int64_t value);

}  // namespace riskreg::test
