#include "support/stepped_clock.hpp"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

std::int64_t variable(const char* name) noexcept {
    const char* value = std::getenv(name);
    return value == nullptr ? 0 : std::strtoll(value, nullptr, 10);
}

struct Steps {
    std::atomic<std::int64_t> wall{variable(riskreg::test::kWallStep)};
    std::atomic<std::int64_t> boot{variable(riskreg::test::kBootStep)};
    std::atomic<std::int64_t> passed{0};
};

Steps& steps() noexcept {
    static Steps all;
    return all;
}

std::int64_t kernel_ns(clockid_t clock) noexcept {
    timespec time{};
    ::syscall(SYS_clock_gettime, clock, &time);
    return time.tv_sec * kSecond + time.tv_nsec;
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
    if (clock != CLOCK_REALTIME && clock != CLOCK_BOOTTIME) return static_cast<int>(::syscall(SYS_clock_gettime, clock, time));
    const Steps& s = steps();
    std::int64_t ns = kernel_ns(clock) + s.passed.load() + (clock == CLOCK_REALTIME ? s.wall.load() : s.boot.load());
    time->tv_sec = ns / kSecond;
    time->tv_nsec = ns % kSecond;
    if (time->tv_nsec < 0) --time->tv_sec, time->tv_nsec += kSecond;
    return 0;
}

namespace riskreg::test {

void set_wall_step(std::int64_t ns) noexcept { steps().wall = ns; }
void let_pass(std::int64_t ns) noexcept { steps().passed += ns; }
void set_uptime(std::int64_t ns) noexcept { steps().boot = ns - kernel_ns(CLOCK_BOOTTIME) - steps().passed.load(); }
void forget_reboot() noexcept { steps().boot = 0; }

}  // namespace riskreg::test
