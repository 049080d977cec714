/// Time and chance.
#pragma once

#include <cstdint>

#include "segment/process.hpp"

namespace demo {

using riskreg::segment::monotonic_ns;

inline constexpr std::int64_t kMicrosecond = 1'000;
inline constexpr std::int64_t kMillisecond = 1'000'000;
inline constexpr std::int64_t kSecond = 1'000'000'000;

using riskreg::segment::sleep_ns;

/// Waits until `done` or the deadline; whether it was done.
template <class Done>
[[nodiscard]] bool wait_until(std::int64_t timeout_ns, Done done) {
    const std::int64_t deadline = monotonic_ns() + timeout_ns;
    while (!done()) {
        if (monotonic_ns() >= deadline) return false;
        sleep_ns(kMillisecond);
    }
    return true;
}

/// xorshift64*: small, and the same on every host.
class Chance {
public:
    explicit Chance(std::uint64_t seed) noexcept : state_(seed * 0x9E3779B97F4A7C15ULL + 1) {}
    /// 0 … bound − 1
    std::uint32_t below(std::uint32_t bound) noexcept {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return static_cast<std::uint32_t>(((state_ * 0x2545F4914F6CDD1DULL) >> 33) % bound);
    }
    bool percent(std::uint32_t chance) noexcept { return below(100) < chance; }

private:
    std::uint64_t state_;
};

}  // namespace demo
