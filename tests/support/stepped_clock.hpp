/// Wall clocks that step and boots that begin anew, for tests: clock_gettime of whoever links this (or loads it by LD_PRELOAD) tells the
/// kernel's time and what was added to it here. CLOCK_MONOTONIC stays as it is: deadlines are measured by it.
#pragma once

#include <cstdint>

namespace riskreg::test {

// What a program that loads it begins with: nanoseconds.
inline constexpr const char* kWallStep = "RISKREG_TEST_WALL_STEP_NS";
inline constexpr const char* kBootStep = "RISKREG_TEST_BOOT_STEP_NS";

/// This process's wall clock is off by so much from now on, in all threads. A forked child begins with its parent's.
void set_wall_step(std::int64_t ns) noexcept;
/// Time goes on for this process: both clocks.
void let_pass(std::int64_t ns) noexcept;
/// The machine has been up for `ns` now.
void set_uptime(std::int64_t ns) noexcept;
void forget_reboot() noexcept;

}  // namespace riskreg::test
