#include "support/child.hpp"

#include <errno.h>
#include <poll.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "support/setting.hpp"

#ifdef __SANITIZE_THREAD__
// Children that start threads are what these tests are about; they begin with no lock of the sanitizer's held.
extern "C" const char* __tsan_default_options();   // NOLINT(bugprone-reserved-identifier)
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }   // NOLINT(bugprone-reserved-identifier)
#endif

namespace riskreg::test {

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void run(const std::function<void()>& body, pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(98);
    // A child that crashes is the parent's to report, not the test framework's in the child.
    for (const int signal_number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTERM}) ::signal(signal_number, SIG_DFL);
    try {
        body();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "child: %s\n", error.what());
        ::_exit(99);
    }
    ::_exit(0);
}

/// Until the process has ended; false when patience() is over.
bool ends(pid_t pid) {
    // By number: glibc 2.36 declares pidfd_open without extern "C".
    const int descriptor = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (descriptor < 0) return true;
    pollfd wanted{descriptor, POLLIN, 0};
    const int ready = ::poll(&wanted, 1, static_cast<int>(std::chrono::milliseconds(patience()).count()));
    ::close(descriptor);
    return ready == 1;
}

}  // namespace

std::chrono::seconds patience() { return std::chrono::seconds(setting("RISKREG_PATIENCE", 60)); }

bool Ending::was_killed() const noexcept { return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL; }
bool Ending::left_with(int code) const noexcept { return WIFEXITED(status) && WEXITSTATUS(status) == code; }
bool Ending::stopped_by(int signal) const noexcept { return WIFSTOPPED(status) && WSTOPSIG(status) == signal; }

Child::Child(const std::function<void()>& body) {
    std::fflush(nullptr);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) run(body, parent);
    if (pid_ < 0) throw std::runtime_error("fork failed");
}

Child::~Child() { kill_and_reap(); }

Child::Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}

Ending Child::wait() {
    if (!ends(pid_)) throw std::runtime_error("a child hangs");
    Ending ending;
    ::waitpid(std::exchange(pid_, -1), &ending.status, 0);
    return ending;
}

Ending Child::wait_for_stop() {
    Ending ending;
    wait_until([&] { return ::waitpid(pid_, &ending.status, WUNTRACED | WNOHANG) == pid_; });
    if (!WIFSTOPPED(ending.status)) pid_ = -1;
    return ending;
}

void Child::kill_and_reap() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    // A traced child reports its stops first.
    do ::waitpid(pid_, &status, 0);
    while (WIFSTOPPED(status));
    pid_ = -1;
}

void die() {
    ::kill(::getpid(), SIGKILL);
    for (;;) ::pause();
}

void wait_until(const std::function<bool()>& condition) {
    const auto deadline = Clock::now() + patience();
    while (!condition()) {
        if (Clock::now() > deadline) throw std::runtime_error("what was waited for did not happen");
        std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
}

bool is_asleep(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::size_t at = text.rfind(')');
    return at != std::string::npos && at + 2 < text.size() && text[at + 2] == 'S';
}

TracedChild::TracedChild(const std::function<void()>& body) : child_(body) {
    int status = 0;
    ::waitpid(child_.pid(), &status, 0);
    if (!WIFSTOPPED(status)) throw std::runtime_error("a child ended before it could be traced");
    ::ptrace(PTRACE_SETOPTIONS, child_.pid(), nullptr, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
}

void TracedChild::hand_over() {
    static bool traced = false;
    if (!std::exchange(traced, true)) ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
}

bool TracedChild::advance(int request) {
    int status = 0;
    if (::ptrace(static_cast<__ptrace_request>(request), child_.pid(), nullptr, nullptr) != 0) return false;
    if (::waitpid(child_.pid(), &status, 0) != child_.pid()) return false;
    return WIFSTOPPED(status) && WSTOPSIG(status) != SIGSTOP;
}

#if defined(__x86_64__)
constexpr auto kInstructionPointer = offsetof(user_regs_struct, rip);
#else
constexpr unsigned long kInstructionPointer = ~0UL;   // not to be asked for: nothing is passed over
#endif

namespace {

/// The page of the kernel's code from which a process reads the clock; a forked child has it where its parent has.
bool is_in_the_kernels_page(pid_t pid) {
    static const unsigned long begin = ::getauxval(AT_SYSINFO_EHDR);
    constexpr unsigned long kBytes = 8192;
    errno = 0;
    const auto at = static_cast<unsigned long>(::ptrace(PTRACE_PEEKUSER, pid, kInstructionPointer, nullptr));
    return errno == 0 && begin != 0 && at >= begin && at < begin + kBytes;
}

}  // namespace

/// Reading the clock starts again whenever the kernel's tick came meanwhile: whoever looks at every one of its instructions for longer
/// than its share of a tick holds it there for ever. It writes no memory of ours, so a death in it is one at the call.
bool TracedChild::step() {
    bool going = advance(PTRACE_SINGLESTEP);
    while (going && is_in_the_kernels_page(child_.pid())) going = advance(PTRACE_SINGLESTEP);
    return going;
}
bool TracedChild::step_to_system_call() { return advance(PTRACE_SYSCALL); }

bool may_trace() {
    Child child([] {
        if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(1);
    });
    return child.wait().left_with(0);
}

}  // namespace riskreg::test
