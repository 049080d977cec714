#include "child_process.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace riskreg::bench::peers {

namespace {

/// In the child: dies with its parent, even when that one is killed.
void tie_to(pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) std::_Exit(1);   // the parent died before the line above
}

pid_t fork_or_throw() {
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error("fork failed");
    if (pid == 0) tie_to(parent);
    return pid;
}

}  // namespace

ChildProcess::ChildProcess(const std::function<void()>& body) : pid_(fork_or_throw()) {
    if (pid_ != 0) return;
    try {
        body();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "riskreg-peers: %s\n", error.what());
        std::_Exit(1);
    }
    std::_Exit(0);
}

ChildProcess::ChildProcess(const std::vector<std::string>& arguments) {
    std::vector<char*> pointers;
    for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
    pointers.push_back(nullptr);
    pid_ = fork_or_throw();
    if (pid_ != 0) return;
    ::execv(pointers[0], pointers.data());
    std::_Exit(127);
}

void ChildProcess::kill() noexcept {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
}

bool ChildProcess::wait() noexcept {
    int status = 1;
    if (pid_ > 0) ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return status == 0;
}

bool ChildProcess::is_running() noexcept {
    if (pid_ <= 0) return false;
    if (::waitpid(pid_, nullptr, WNOHANG) == 0) return true;
    pid_ = -1;
    return false;
}

}  // namespace riskreg::bench::peers
