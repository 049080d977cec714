#include "base/crash_point.hpp"

#ifdef RISKREG_CRASH_POINTS

#include <windows.h>

#include <wchar.h>

#include <atomic>

namespace riskreg::base {

namespace {
std::atomic<std::uint64_t> passed{0};
std::atomic<std::uint64_t> armed{0};
constexpr UINT kKilled = 9;

/// For tests that start programs and cannot arm them: RISKREG_CRASH_AT says at which pass this process dies.
[[maybe_unused]] const bool armed_by_environment = [] {
    wchar_t number[24]{};
    if (::GetEnvironmentVariableW(L"RISKREG_CRASH_AT", number, 24) == 0) return false;
    armed = ::wcstoull(number, nullptr, 10);
    return true;
}();
}  // namespace

std::uint64_t arm_crash_point(std::uint64_t nth) noexcept {
    armed.store(nth, std::memory_order_relaxed);
    return passed.exchange(0, std::memory_order_relaxed);
}

void pass_crash_point() noexcept {
    const std::uint64_t now = passed.fetch_add(1, std::memory_order_relaxed) + 1;
    if (now == armed.load(std::memory_order_relaxed)) ::TerminateProcess(::GetCurrentProcess(), kKilled);
}

}  // namespace riskreg::base

#endif
