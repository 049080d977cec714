#include "timer.hpp"

#include <algorithm>
#include <stdexcept>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace riskreg::bench {

namespace {

void require_steady_counter() {
#if defined(__x86_64__)
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned invariant = 1U << 8;
    if (__get_cpuid(0x80000007U, &a, &b, &c, &d) == 0 || (d & invariant) == 0)
        throw std::runtime_error(
            "this processor's time stamp counter does not run at one rate: nothing here could be believed");
#endif
}

double measure_rate() {
    const std::int64_t start_ns = segment::monotonic_ns();
    const std::uint64_t start = ticks();
    while (segment::monotonic_ns() - start_ns < 100'000'000) segment::pause_cpu();
    return static_cast<double>(ticks() - start) / static_cast<double>(segment::monotonic_ns() - start_ns);
}

}  // namespace

Clock calibrate() {
    require_steady_counter();
    Clock clock;
    clock.ticks_per_ns = measure_rate();
    std::vector<std::uint64_t> pairs(100'000);
    for (std::uint64_t& pair : pairs) {
        const std::uint64_t start = ticks();
        pair = ticks() - start;
    }
    std::sort(pairs.begin(), pairs.end());
    // Where the counter advances in steps as long as the pair itself, only a mean can lie between two of them; the slowest
    // hundredth were interrupted.
    const auto usual = static_cast<std::ptrdiff_t>(pairs.size() / 100 * 99);
    double sum = 0;
    std::for_each(pairs.begin(), pairs.begin() + usual, [&](std::uint64_t pair) { sum += static_cast<double>(pair); });
    clock.cost_ticks = sum / static_cast<double>(usual);
    const auto above = std::upper_bound(pairs.begin(), pairs.end(), pairs.front());
    clock.step_ns = above == pairs.end() ? 0 : clock.ns(static_cast<double>(*above - pairs.front()));
    return clock;
}

}  // namespace riskreg::bench
