// Linked in place of the library's event clock: the same readings in every run. Message budgets, windows and the gate of refusals
// take other branches when other time passes, and under callgrind it passes as the machine's load will have it.
#include "segment/event_clock.hpp"
#include "segment/process.hpp"

namespace riskreg::segment {

namespace {

constexpr std::int64_t kStepNs = 1000, kHourNs = 3'600'000'000'000;

/// Ahead of the system's clock, which a few events of the library are stamped with: time stands still until it is past those.
/// A whole hour: windows begin alike.
std::int64_t start_ns() noexcept { return (realtime_ns() / kHourNs + 2) * kHourNs; }

}  // namespace

[[gnu::noinline]] ClockTimes event_clock() noexcept {
    static thread_local std::int64_t now_ns = 0;
    if (now_ns == 0) [[unlikely]]
        now_ns = start_ns();
    now_ns += kStepNs;
    return {now_ns, now_ns};
}

}  // namespace riskreg::segment
