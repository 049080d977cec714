#include "common/program.hpp"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <streambuf>

#include "base/descriptor.hpp"
#include "segment/process.hpp"

namespace riskreg::program {

namespace {

/// The first error of writing to stdout, and whether anything arrived before it. stdio keeps neither.
int lost_by = 0;
bool something_arrived = false;

/// One piece; 0 when it cannot be written at all, errno says why.
std::size_t write_piece(const char* data, std::size_t size) noexcept {
    for (;;) {
        const ssize_t wrote = ::write(STDOUT_FILENO, data, size);
        if (wrote > 0) return static_cast<std::size_t>(wrote);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote == 0) errno = EIO;
        if (errno != EAGAIN) return 0;
        // Somebody who shares it with us has made it non-blocking.
        pollfd output{STDOUT_FILENO, POLLOUT, 0};
        ::poll(&output, 1, -1);
    }
}

/// After a failure nothing more is written: an output with a hole in it looks whole.
ssize_t write_watched(void*, const char* data, std::size_t size) {
    std::size_t done = 0;
    while (done < size && lost_by == 0) {
        const std::size_t wrote = write_piece(data + done, size - done);
        if (wrote == 0) lost_by = errno;
        done += wrote;
        something_arrived |= wrote > 0;
    }
    if (done < size) errno = lost_by;
    return done == size ? static_cast<ssize_t>(size) : 0;
}

/// std::cout by way of stdout, so that both keep their order and their errors.
class CoutBuffer : public std::streambuf {
protected:
    int_type overflow(int_type character) override {
        if (traits_type::eq_int_type(character, traits_type::eof())) return traits_type::not_eof(character);
        return std::fputc(traits_type::to_char_type(character), stdout) == EOF ? traits_type::eof() : character;
    }
    std::streamsize xsputn(const char* text, std::streamsize size) override {
        return static_cast<std::streamsize>(std::fwrite(text, 1, static_cast<std::size_t>(size), stdout));
    }
    int sync() override { return std::fflush(stdout) == 0 ? 0 : -1; }
};

void watch_stdout() {
    cookie_io_functions_t functions{};
    functions.write = write_watched;
    FILE* watched = ::fopencookie(nullptr, "w", functions);
    if (watched == nullptr) return;
    if (::isatty(STDOUT_FILENO) == 1) std::setvbuf(watched, nullptr, _IOLBF, BUFSIZ);
    std::fflush(stdout);
    stdout = watched;   // glibc allows that
    static auto* const buffer = new CoutBuffer;   // std::cout is flushed after every static has ended
    std::cout.rdbuf(buffer);
}

/// Network file systems tell of a full disk at a close only, at that of a copy, too.
int error_at_close() noexcept {
    const int copy = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (copy < 0) return 0;
    return ::close(copy) != 0 && errno != EINTR ? errno : 0;
}

}  // namespace

namespace {

constexpr std::int64_t kLeaveNs = 5'000'000'000;
constexpr std::int64_t kLastWordsNs = 400'000'000;   // of them, for what is said and flushed at the end
constexpr unsigned kLeaveSeconds = 5;

std::atomic<bool> ending_flag{false};
std::atomic<std::int64_t> ending_since_ns{0};
const char* ending_name = "riskreg";
bool left_behind = false;   // something is not on disk

/// Whoever holds stderr's other end does not hold us up.
void write_at_once(const char* text, std::size_t size) noexcept {
    constexpr int kMostMs = 100;
    pollfd output{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&output, 1, kMostMs) == 1 && (output.revents & POLLOUT) != 0)
        static_cast<void>(::write(STDERR_FILENO, text, std::min<std::size_t>(size, PIPE_BUF)));
}

void end_now(int) {
    constexpr char text[] =
        ": could not end in order within 5 s: something hangs, and what was not on disk may still not be "
        "(riskctl status says how far it is)\n";
    write_at_once(ending_name, std::strlen(ending_name));
    write_at_once(text, sizeof text - 1);
    ::_exit(kOutputLost);
}

void handle(int number, void (*handler)(int)) noexcept {
    struct sigaction action {};
    ::sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    action.sa_handler = handler;
    ::sigaction(number, &action, nullptr);
}

/// The alarm is ours from here on only: before, it is of whoever runs a verb inside a program of his own.
void begin_to_end(int) {
    if (ending_flag.exchange(true)) return;
    ending_since_ns = segment::monotonic_ns();
    handle(SIGALRM, end_now);
    ::alarm(kLeaveSeconds);
}

}  // namespace

void end_on_signals(const char* name) {
    ending_name = name;
    for (const int number : {SIGTERM, SIGINT}) handle(number, begin_to_end);
}

void ask_to_end() noexcept { begin_to_end(SIGTERM); }

namespace {
volatile sig_atomic_t hangups = 0;
}  // namespace

void watch_hangups() {
    handle(SIGHUP, [](int) { hangups = 1; });
}

bool hung_up() noexcept {
    const bool came = hangups != 0;
    if (came) hangups = 0;
    return came;
}

char** arguments(int&, char** given) { return given; }

bool end_wanted() noexcept { return ending_flag; }
const std::atomic<bool>& ending() noexcept { return ending_flag; }

void say(const std::string& line) noexcept {
    try {
        const std::string text = line + "\n";
        write_at_once(text.data(), text.size());
    } catch (...) {
        // No memory for it.
    }
}

Leaving::~Leaving() {
    std::fflush(stderr);
    const std::int64_t since = ending_since_ns, now = segment::monotonic_ns();
    const std::int64_t left = (since == 0 ? now : since) + kLeaveNs - kLastWordsNs - now;
    const LeaveView view = registry_.leave(std::max(left, kLastWordsNs));
    if (view.durable) return;
    left_behind = true;
    say(std::string(program_) + ": events " + std::to_string(view.durable_upto + 1) + " to " + std::to_string(view.committed) +
        " are in memory only, not on disk: " + view.why + " (riskctl doctor " + name_ + " says what to do)");
}

int finish(const char* name, int code) noexcept {
    std::cout.flush();
    std::fflush(stdout);
    if (lost_by == 0) lost_by = error_at_close();
    if (left_behind && code == 0) code = kOutputLost;
    if (lost_by == 0) return code;
    std::fprintf(stderr, "%s: output not written%s: %s\n", name, something_arrived ? " in full" : "", std::strerror(lost_by));
    return code == 0 || code == 1 ? kOutputLost : code;
}

int run(const char* name, const std::function<int()>& body) {
    base::fill_standard_descriptors();
    for (const int number : {SIGPIPE, SIGXFSZ}) ::signal(number, SIG_IGN);
    watch_stdout();
    return finish(name, body());
}

}  // namespace riskreg::program
