/// Crash points: named places where a test can make this process die as if by SIGKILL.
///
/// Compiled in only with RISKREG_CRASH_POINTS (presets dev, asan, tsan); in release they are nothing.
#pragma once

#ifdef RISKREG_CRASH_POINTS

#include <cstdint>

namespace riskreg::base {

/// Arms the n-th crash point that this process passes from now on; 0 disarms. Returns how many were
/// passed since the last call, so that a test can enumerate them with a loop.
std::uint64_t arm_crash_point(std::uint64_t nth) noexcept;

/// Called by CRASH_POINT. Kills the process with SIGKILL when armed for this pass.
void pass_crash_point() noexcept;

}  // namespace riskreg::base

#define CRASH_POINT(name) ::riskreg::base::pass_crash_point()

#else
#define CRASH_POINT(name) static_cast<void>(0)
#endif
