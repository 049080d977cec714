/// Configurations by seed, and pieces of them.
#pragma once

#include <string>

#include "riskreg/config.hpp"
#include "support/random.hpp"

namespace riskreg::test {

/// Four instruments of different tick, lot, multiplier and collar; two accounts; strategies mm, arb, trend; controls in most.
/// `huge`: and one whose notionals come near the end of 64 bits.
[[nodiscard]] SharedConfig world(Random& random, bool huge);

/// Nothing is limited, and `require_limits` is content.
[[nodiscard]] LimitConfig open_limits(std::string scope);
[[nodiscard]] LimitValue limit_of(std::int64_t value);

}  // namespace riskreg::test
