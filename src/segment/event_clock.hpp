/// The clocks of the calls: as clock_gettime, at a third of its cost (measured, bench/README.md).
#pragma once

#include <cstdint>

namespace riskreg::segment {

/// Both times of one moment.
struct ClockTimes {
    std::int64_t now_ns;     ///< wall clock, since the Unix epoch: may be stepped
    std::int64_t steady_ns;  ///< since boot: cannot be stepped, and never goes back within a thread
};

/// Between two looks at the system's clocks, at most a millisecond apart, the processor's counter (x86, arm64) tells how far boot
/// time has gone; the wall clock is as far from it as at the look, so that its step is seen at the next one. Where the counter is
/// not what the kernel itself keeps time by, every call is a look. A thread's own: no lock, no shared memory.
[[nodiscard]] ClockTimes event_clock() noexcept;

}  // namespace riskreg::segment
