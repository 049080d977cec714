#include "common/program_posix.hpp"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <iostream>
#include <streambuf>

#include "base/descriptor_posix.hpp"

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

int finish(const char* name, int code) noexcept {
    std::cout.flush();
    std::fflush(stdout);
    if (lost_by == 0) lost_by = error_at_close();
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
