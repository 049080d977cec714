/// The wall clock of the calls: as clock_gettime, at a third of its cost (measured, bench/README.md).
#pragma once

#include <cstdint>

namespace riskreg::segment {

/// Nanoseconds since the Unix epoch. Between two looks at the system's clock, at most a millisecond apart, the processor's time
/// stamp counter tells how far it has gone; a step of the system's clock is seen at the next look. Where the counter is not what
/// the kernel itself keeps time by, every call is a look. A thread's own: no lock, no shared memory.
[[nodiscard]] std::int64_t event_clock_ns() noexcept;

}  // namespace riskreg::segment
