/// The clock around one call: the time stamp counter between two fences, the same one for every process of the machine.
#pragma once

#include <cstdint>

#include "segment/process.hpp"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace riskreg::bench {

/// Fenced, so that neither what is measured nor its surroundings slip across the reading.
[[nodiscard]] inline std::uint64_t ticks() noexcept {
#if defined(__x86_64__)
    _mm_lfence();
    const std::uint64_t now = __rdtsc();
    _mm_lfence();
    return now;
#else
    return static_cast<std::uint64_t>(segment::monotonic_ns());
#endif
}

struct Clock {
    double ticks_per_ns = 1;
    double cost_ticks = 0;  ///< of an empty pair of readings: taken off every figure, and told
    double step_ns = 0;     ///< the smallest difference of two readings that is not zero
    [[nodiscard]] double ns(double of_ticks) const noexcept { return of_ticks / ticks_per_ns; }
    [[nodiscard]] double cost_ns() const noexcept { return ns(cost_ticks); }
    [[nodiscard]] std::uint64_t ticks_of(double of_ns) const noexcept {
        return static_cast<std::uint64_t>(of_ns * ticks_per_ns);
    }
};

/// Measured over 100 ms. Throws std::runtime_error where the counter does not run at one rate on all processors.
[[nodiscard]] Clock calibrate();

inline void spin_until(std::uint64_t when) noexcept {
    while (ticks() < when) segment::pause_cpu();
}

}  // namespace riskreg::bench
