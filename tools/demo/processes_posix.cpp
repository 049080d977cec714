#include "demo/processes.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/descriptor.hpp"
#include "demo/clock.hpp"
#include "riskreg/error.hpp"

namespace demo {

namespace {

volatile sig_atomic_t interrupt_seen = 0;

void on_interrupt(int) { interrupt_seen = 1; }

constexpr std::int64_t kStopTimeout = 100 * kMillisecond;
constexpr std::int64_t kReapTimeout = 5 * kSecond;

/// A terminal sends Ctrl-C to the whole group: the director alone acts on it, and the children die by its hand, or with it.
void become_child(pid_t parent) {
    for (const int signal_number : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal_number, SIG_IGN);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
}

}  // namespace

bool interrupted() noexcept { return interrupt_seen != 0; }

void watch_for_interruption() {
    struct sigaction action {};
    action.sa_handler = on_interrupt;
    for (const int signal_number : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(signal_number, &action, nullptr);
    ::signal(SIGPIPE, SIG_IGN);   // a reader that went away must not keep us from cleaning up
}

std::string program_folder() {
    std::error_code ignored;
    return std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path().string();
}

std::string make_private_directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "riskreg-demo-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr)
        throw riskreg::Error(riskreg::Errc::system, "cannot make a directory like " + pattern);
    return pattern;
}

bool remove_segment(const std::string& segment) { return ::unlink(("/dev/shm/" + segment).c_str()) == 0; }

namespace {

/// Returns only when that fails.
int become_riskd(const std::string& name, const std::string& state_dir) {
    const std::string program = program_folder() + "/riskd";
    ::execl(program.c_str(), "riskd", name.c_str(), "--state-dir", state_dir.c_str(), "--quiet", nullptr);
    std::perror(program.c_str());
    return 1;
}

}  // namespace

ProcessId Children::start_riskd(const std::string& name, const std::string& state_dir) {
    return start("riskd", {}, [&] {
        // Its --quiet leaves what it says of itself.
        ::close(STDERR_FILENO);
        riskreg::base::fill_standard_descriptors();
        return become_riskd(name, state_dir);
    });
}

std::uint32_t Children::main_thread_of(ProcessId child) const { return static_cast<std::uint32_t>(child); }

ProcessId Children::start(std::string what, const std::vector<std::string>&, const std::function<int()>& body) {
    std::fflush(nullptr);
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child < 0) throw riskreg::Error(riskreg::Errc::system, "cannot start a process");
    if (child == 0) {
        become_child(parent);
        ::_exit(body());
    }
    children_.push_back({child, std::move(what), 0, nullptr});
    return child;
}

bool Children::stop(ProcessId child) {
    ::kill(child, SIGSTOP);
    const std::int64_t deadline = monotonic_ns() + kStopTimeout;
    while (monotonic_ns() < deadline) {
        int status = 0;
        if (::waitpid(child, &status, WNOHANG | WUNTRACED) == child) return WIFSTOPPED(status);
        sleep_ns(10 * kMicrosecond);
    }
    return false;
}

void Children::go_on(ProcessId child) const { ::kill(child, SIGCONT); }

void Children::kill(ProcessId child) {
    ::kill(child, SIGKILL);
    reap(child);
}

void Children::kill_all() { kill_all_but(0); }

void Children::kill_all_but(ProcessId survivor) {
    std::vector<ProcessId> doomed;
    for (const Child& child : children_)
        if (child.pid != survivor) doomed.push_back(child.pid);
    for (const pid_t pid : doomed) ::kill(pid, SIGKILL);
    for (const pid_t pid : doomed) reap(pid);
}

void Children::reap(ProcessId child) {
    static_cast<void>(wait_until(kReapTimeout, [child] { return ::waitpid(child, nullptr, WNOHANG) != 0; }));
    std::erase_if(children_, [child](const Child& c) { return c.pid == child; });
}

std::string Children::deserter() {
    for (const Child& child : children_) {
        int status = 0;
        if (::waitpid(child.pid, &status, WNOHANG) != child.pid) continue;
        const std::string how = WIFSIGNALED(status) ? "was killed by signal " + std::to_string(WTERMSIG(status))
                                                    : "ended with status " + std::to_string(WEXITSTATUS(status));
        std::string text = child.what + " " + how;
        std::erase_if(children_, [pid = child.pid](const Child& c) { return c.pid == pid; });
        return text;
    }
    return {};
}

}  // namespace demo
