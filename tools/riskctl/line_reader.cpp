#include "riskctl/line_reader.hpp"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <string_view>

#include "riskreg/error.hpp"

namespace riskctl {

namespace {
volatile sig_atomic_t stop_requested = 0;
void request_stop(int) { stop_requested = 1; }
sigset_t while_waiting;   // set by stop_on_signals
bool is_stdin(const std::string& path) { return path.empty() || path == "-"; }
}  // namespace

bool stop_wanted() noexcept {
    // Delivered only while we wait for input; with all of it there already, it is pending.
    sigset_t pending;
    const bool came =
        ::sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1);
    return came || stop_requested != 0;
}

void stop_on_signals() {
    // Blocked everywhere but in the wait for input: no answer is cut off, and no signal is lost between the test and
    // the wait.
    sigset_t ending;
    ::sigemptyset(&ending);
    ::sigaddset(&ending, SIGINT);
    ::sigaddset(&ending, SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &ending, &while_waiting);
    ::sigdelset(&while_waiting, SIGINT);
    ::sigdelset(&while_waiting, SIGTERM);
    struct sigaction action {};
    action.sa_handler = request_stop;
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    ::signal(SIGPIPE, SIG_IGN);
}

LineReader::LineReader(const std::string& path)
    : file_(is_stdin(path) ? riskreg::base::Descriptor() : riskreg::base::open_path(path, O_RDONLY)),
      descriptor_(is_stdin(path) ? STDIN_FILENO : file_.get()) {
    if (descriptor_ < 0) throw riskreg::Error(riskreg::Errc::bad_input, "cannot read " + path + ": " + std::strerror(errno));
}

bool LineReader::fill() {
    char chunk[65536];
    while (stop_requested == 0) {
        pollfd input{descriptor_, POLLIN, 0};
        if (::ppoll(&input, 1, nullptr, &while_waiting) < 0) continue;   // a signal: looked at above
        const ssize_t size = ::read(descriptor_, chunk, sizeof chunk);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0)
            throw riskreg::Error(riskreg::Errc::bad_input, std::string("cannot read the commands: ") + std::strerror(errno));
        if (size == 0) return false;
        buffer_.erase(0, at_);
        at_ = 0;
        buffer_.append(chunk, static_cast<std::size_t>(size));
        if (!begun_ && !skip_mark()) continue;
        return true;
    }
    return false;
}

/// False while what has come may still be the beginning of a byte order mark.
bool LineReader::skip_mark() {
    constexpr std::string_view mark = "\xEF\xBB\xBF";
    if (buffer_.size() < mark.size() && mark.starts_with(buffer_)) return false;
    begun_ = true;
    if (buffer_.starts_with(mark)) buffer_.erase(0, mark.size());
    return true;
}

LineReader::Next LineReader::next(std::string& line) {
    bool too_long = false;
    for (;;) {
        if (stop_requested != 0) return Next::end;
        const std::size_t end = buffer_.find('\n', at_);
        const bool whole = end != std::string::npos;
        too_long = too_long || (whole ? end : buffer_.size()) - at_ > kMaxBytes;
        if (whole) {
            line.assign(buffer_, at_, too_long ? 0 : end - at_);
            at_ = end + 1;
            return too_long ? Next::too_long : Next::line;
        }
        if (too_long) at_ = buffer_.size();   // keep nothing of what is to be skipped
        if (fill()) continue;
        // The last line may come without its end.
        if (stop_requested != 0 || (at_ == buffer_.size() && !too_long)) return Next::end;
        line.assign(buffer_, at_, std::string::npos);
        at_ = buffer_.size();
        return too_long ? Next::too_long : Next::line;
    }
}

}  // namespace riskctl
