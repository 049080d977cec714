#include "riskctl/line_reader.hpp"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstring>
#include <string_view>

#include "common/program.hpp"
#include "riskreg/error.hpp"

namespace riskctl {

namespace {
bool is_stdin(const std::string& path) { return path.empty() || path == "-"; }
}  // namespace

namespace {

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

LineReader::LineReader(const std::string& path)
    : file_(is_stdin(path) ? riskreg::base::Descriptor() : riskreg::base::open_path(path, O_RDONLY)),
      descriptor_(is_stdin(path) ? STDIN_FILENO : file_.get()) {
    if (descriptor_ < 0) throw riskreg::Error(riskreg::Errc::bad_input, "cannot read " + path + ": " + std::strerror(errno));
}

bool LineReader::fill() {
    char chunk[65536];
    for (;;) {
        {
            const Waiting waiting;
            if (riskreg::program::end_wanted()) return false;
            if (!waiting.for_input(descriptor_)) continue;
        }
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
        if (riskreg::program::end_wanted()) return Next::end;
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
        if (riskreg::program::end_wanted() || (at_ == buffer_.size() && !too_long)) return Next::end;
        line.assign(buffer_, at_, std::string::npos);
        at_ = buffer_.size();
        return too_long ? Next::too_long : Next::line;
    }
}

}  // namespace riskctl
