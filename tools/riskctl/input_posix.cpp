#include "riskctl/input.hpp"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>

#include "common/program.hpp"
#include "riskreg/error.hpp"

namespace riskctl {

namespace {
bool is_stdin(const std::string& path) { return path.empty() || path == "-"; }
/// Signals that end the program are delivered within, and only in the wait itself: none is lost between the look and the wait.
class Waiting {
public:
    Waiting() noexcept {
        sigset_t ending;
        ::sigemptyset(&ending);
        for (const int number : {SIGINT, SIGTERM}) ::sigaddset(&ending, number);
        ::pthread_sigmask(SIG_BLOCK, &ending, &before_);
    }
    ~Waiting() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    /// False: a signal came.
    [[nodiscard]] bool for_input(int descriptor) const noexcept {
        pollfd input{descriptor, POLLIN, 0};
        return ::ppoll(&input, 1, nullptr, &before_) >= 0;
    }

private:
    sigset_t before_{};
};

}  // namespace

Input::Input(const std::string& path)
    : file_(is_stdin(path) ? riskreg::base::Descriptor() : riskreg::base::open_path(path, O_RDONLY)),
      descriptor_(is_stdin(path) ? STDIN_FILENO : file_.get()) {
    if (descriptor_ < 0) throw riskreg::Error(riskreg::Errc::bad_input, "cannot read " + path + ": " + std::strerror(errno));
}

std::size_t Input::read(char* bytes, std::size_t most) {
    for (;;) {
        {
            const Waiting waiting;
            if (riskreg::program::end_wanted()) return 0;
            if (!waiting.for_input(descriptor_)) continue;
        }
        const ssize_t size = ::read(descriptor_, bytes, most);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0)
            throw riskreg::Error(riskreg::Errc::bad_input, std::string("cannot read the commands: ") + std::strerror(errno));
        return static_cast<std::size_t>(size);
    }
}

}  // namespace riskctl
