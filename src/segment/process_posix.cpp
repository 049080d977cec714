#include "segment/process.hpp"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/descriptor.hpp"
#include "riskreg/error.hpp"

namespace riskreg::segment {

namespace {

std::int64_t clock_ns(clockid_t clock) noexcept {
    timespec time{};
    ::clock_gettime(clock, &time);
    return time.tv_sec * 1'000'000'000LL + time.tv_nsec;
}

thread_local int critical_depth = 0;

void on_crash(int signal_number) {
    if (critical_depth > 0) ::prctl(PR_SET_DUMPABLE, 0);
    ::signal(signal_number, SIG_DFL);
    ::raise(signal_number);
}

}  // namespace

std::int64_t realtime_ns() noexcept { return clock_ns(CLOCK_REALTIME); }
std::int64_t monotonic_ns() noexcept { return clock_ns(CLOCK_MONOTONIC); }
std::int64_t boottime_ns() noexcept { return clock_ns(CLOCK_BOOTTIME); }
void sleep_ns(std::int64_t ns) noexcept {
    const timespec time{static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
    ::nanosleep(&time, nullptr);
}

void pause_cpu() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory");   // `yield` is nothing on most of them
#elif defined(__arm__)
    asm volatile("yield" ::: "memory");
#elif defined(__powerpc64__) || defined(__powerpc__)
    asm volatile("or 27,27,27" ::: "memory");
#elif defined(__riscv)
    asm volatile(".insn i 0x0F, 0, x0, x0, 0x010" ::: "memory");   // pause
#else
    asm volatile("" ::: "memory");
#endif
}

void yield_cpu() noexcept { ::sched_yield(); }

void wait_while(const std::uint32_t& word, std::uint32_t value, std::int64_t timeout_ns) noexcept {
    const timespec time{static_cast<time_t>(timeout_ns / 1'000'000'000), static_cast<long>(timeout_ns % 1'000'000'000)};
    ::syscall(SYS_futex, &word, FUTEX_WAIT, value, &time, nullptr, 0);
}

void wake_all(const std::uint32_t& word) noexcept { ::syscall(SYS_futex, &word, FUTEX_WAKE, 0x7FFFFFFF, nullptr, nullptr, 0); }

std::uint64_t random_bits() {
    std::uint64_t bits = 0;
    if (::getrandom(&bits, sizeof bits, 0) != static_cast<ssize_t>(sizeof bits))
        throw Error(Errc::system, "getrandom failed: errno " + std::to_string(errno));
    return bits;
}

std::uint32_t process_id() noexcept { return static_cast<std::uint32_t>(::getpid()); }
std::uint32_t user_id() noexcept { return static_cast<std::uint32_t>(::geteuid()); }
std::uint32_t real_user_id() noexcept { return static_cast<std::uint32_t>(::getuid()); }

namespace {

struct ProcessStat {
    char state = 0;             // 0: not to be read
    std::uint64_t start = 0;
};

ProcessStat read_stat(const std::string& path) {
    std::string text;
    if (!base::read_text(path, text)) return {};
    // The command may hold spaces and parentheses: field 3, the state, begins behind the last one. Start time is field 22.
    std::size_t at = text.rfind(')');
    if (at == std::string::npos || at + 2 >= text.size()) return {};
    const char state = text[at + 2];
    for (int field = 2; field < 22 && at != std::string::npos; ++field) at = text.find(' ', at + 1);
    return {state, at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + 1, nullptr, 10)};
}

bool has_ended(char state) noexcept { return state == 'Z' || state == 'X'; }

}  // namespace

std::uint64_t process_start() noexcept { return read_stat("/proc/self/stat").start; }

bool is_running(std::uint32_t pid, std::uint64_t start) noexcept {
    try {
        const std::string process = "/proc/" + std::to_string(pid);
        const ProcessStat leader = read_stat(process + "/stat");
        // Not to be read is no proof, but that it is not there is one.
        if (leader.state == 0) return std::filesystem::exists(process);
        if (leader.start != start) return false;
        if (!has_ended(leader.state)) return true;
        // The first thread may end before the others.
        std::vector<std::string> tasks;
        if (!base::list_directory(process + "/task", tasks)) return true;   // not known
        for (const std::string& task : tasks) {
            const char state = read_stat(process + "/task/" + task + "/stat").state;
            if (!has_ended(state) && state != 0) return true;
        }
        return false;
    } catch (...) {
        return true;   // not known
    }
}

std::array<std::uint8_t, 16> boot_id() {
    std::string text;
    if (!base::read_text("/proc/sys/kernel/random/boot_id", text) || text.empty())
        throw Error(Errc::system, "cannot read /proc/sys/kernel/random/boot_id: riskreg needs /proc mounted");
    std::erase_if(text, [](char c) { return c == '-' || c == '\n'; });
    std::array<std::uint8_t, 16> id{};
    for (std::size_t i = 0; i < id.size() && 2 * i + 1 < text.size(); ++i)
        id[i] = static_cast<std::uint8_t>(std::stoul(text.substr(2 * i, 2), nullptr, 16));
    return id;
}

std::uint64_t pid_namespace() {
    struct stat status {};
    if (::stat("/proc/self/ns/pid", &status) != 0)
        throw Error(Errc::system, "cannot read /proc/self/ns/pid: riskreg needs /proc to tell PID namespaces apart");
    return status.st_ino;
}

std::uint64_t time_namespace() noexcept {
    struct stat status {};
    return ::stat("/proc/self/ns/time", &status) == 0 ? status.st_ino : 0;
}

std::uint64_t fork_epoch() noexcept { return base::fork_epoch(); }

bool call_in_forked_children(void (*call)()) noexcept { return ::pthread_atfork(nullptr, nullptr, call) == 0; }

namespace {
bool barrier(int command) noexcept { return ::syscall(SYS_membarrier, command, 0, 0) == 0; }
}  // namespace

bool fence_all_threads() noexcept {
    static const bool registered = barrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
    return registered && barrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
}

bool keeps_time_by_counter() noexcept {
#if defined(__aarch64__)
    constexpr std::string_view counter = "arch_sys_counter\n";
#else
    constexpr std::string_view counter = "tsc\n";
#endif
    try {
        std::string source;
        return base::read_text("/sys/devices/system/clocksource/clocksource0/current_clocksource", source) && source == counter;
    } catch (...) {
        return false;
    }
}

static_assert(sizeof(sigset_t) <= 128);

SignalsBlocked::SignalsBlocked() noexcept {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, reinterpret_cast<sigset_t*>(before_));
}

SignalsBlocked::~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, reinterpret_cast<sigset_t*>(before_), nullptr); }

namespace {

sigset_t file_limit_signal() noexcept {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGXFSZ);
    return set;
}

bool is_pending(int signal) noexcept {
    sigset_t pending;
    return ::sigpending(&pending) == 0 && ::sigismember(&pending, signal) == 1;
}

}  // namespace

FileLimitIsAnError::FileLimitIsAnError() noexcept : was_pending_(is_pending(SIGXFSZ)) {
    const sigset_t set = file_limit_signal();
    ::pthread_sigmask(SIG_BLOCK, &set, reinterpret_cast<sigset_t*>(before_));
}

FileLimitIsAnError::~FileLimitIsAnError() {
    const sigset_t set = file_limit_signal();
    const timespec now{};
    if (!was_pending_ && is_pending(SIGXFSZ)) static_cast<void>(::sigtimedwait(&set, nullptr, &now));
    ::pthread_sigmask(SIG_SETMASK, reinterpret_cast<sigset_t*>(before_), nullptr);
}

void enter_critical_section() noexcept { ++critical_depth; }
void leave_critical_section() noexcept { --critical_depth; }

void install_crash_handler() noexcept {
    static std::once_flag once;
    std::call_once(once, [] {
        for (const int signal_number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
            struct sigaction present {};
            // Whoever has a handler of their own keeps it.
            if (::sigaction(signal_number, nullptr, &present) != 0 || present.sa_handler != SIG_DFL) continue;
            struct sigaction ours {};
            ours.sa_handler = on_crash;
            ours.sa_flags = SA_NODEFER;
            ::sigaction(signal_number, &ours, nullptr);
        }
    });
}

}  // namespace riskreg::segment
