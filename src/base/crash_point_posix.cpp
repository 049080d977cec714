#include "base/crash_point.hpp"

#ifdef RISKREG_CRASH_POINTS

#include <signal.h>
#include <unistd.h>

#include <atomic>

namespace riskreg::base {

namespace {
std::atomic<std::uint64_t> passed{0};
std::atomic<std::uint64_t> armed{0};
}  // namespace

std::uint64_t arm_crash_point(std::uint64_t nth) noexcept {
    armed.store(nth, std::memory_order_relaxed);
    return passed.exchange(0, std::memory_order_relaxed);
}

void pass_crash_point() noexcept {
    const std::uint64_t now = passed.fetch_add(1, std::memory_order_relaxed) + 1;
    if (now == armed.load(std::memory_order_relaxed)) ::kill(::getpid(), SIGKILL);
}

}  // namespace riskreg::base

#endif
