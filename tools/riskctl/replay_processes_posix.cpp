#include "riskctl/replay_processes.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "riskreg/error.hpp"

namespace riskctl {

using riskreg::Errc;
using riskreg::Error;
using riskreg::program::SharedMemory;

struct ShareProcesses::Handles {};

ShareProcesses::ShareProcesses(std::uint32_t count, const SharedMemory&, const std::function<int(std::uint32_t)>& play) {
    std::fflush(nullptr);
    ::signal(SIGCHLD, SIG_DFL);
    for (; started_ < count; ++started_) {
        const pid_t child = ::fork();
        if (child < 0) break;
        if (child == 0) ::_exit(play(started_));
    }
    left_ = started_;
}

ShareProcesses::~ShareProcesses() = default;

bool ShareProcesses::take_ended(int& code) {
    int status = 0;
    const pid_t child = ::waitpid(-1, &status, WNOHANG);
    if (child < 0) throw Error(Errc::system, "lost track of the processes (SIGCHLD is ignored?)");
    if (child == 0) return false;
    --left_;
    code = WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    if (WIFSIGNALED(status)) std::fprintf(stderr, "riskctl: process %d was killed by signal %d\n", child, WTERMSIG(status));
    return true;
}

}  // namespace riskctl
