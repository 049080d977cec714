#include "registry/log_file.hpp"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace riskreg::registry {

namespace {

bool has_name(const base::Descriptor& file, const std::string& path, std::uint64_t& size) noexcept {
    struct stat opened {
    }, named{};
    if (!file.is_open() || ::fstat(file.get(), &opened) != 0 || ::stat(path.c_str(), &named) != 0) return false;
    size = static_cast<std::uint64_t>(opened.st_size);
    return opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
}

}  // namespace

std::string LogFile::path(unsigned age) const { return stem_ + (age == 0 ? "" : "." + std::to_string(age)) + ".log"; }

bool LogFile::be_open() {
    if (has_name(file_, path(0), size_)) return true;
    // Not waiting for the reader of a pipe that lies in our way.
    file_ = base::open_path(path(0), O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0600);
    struct stat facts {};
    if (!file_.is_open() || ::fstat(file_.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) return file_.close(), false;
    size_ = static_cast<std::uint64_t>(facts.st_size);
    return true;
}

void LogFile::rotate() {
    file_.close();
    for (unsigned age = older_; age > 0; --age) ::rename(path(age - 1).c_str(), path(age).c_str());
}

bool LogFile::append(std::string_view line) noexcept {
    try {
        if (!be_open()) return false;
        if (size_ != 0 && size_ + line.size() > most_bytes_) {
            rotate();
            torn_ = false;
            if (!be_open()) return false;
        }
        if (torn_ && size_ != 0 && ::write(file_.get(), "\n", 1) != 1) return false;
        torn_ = true;
        for (std::string_view rest = line; !rest.empty();) {
            const ssize_t wrote = ::write(file_.get(), rest.data(), rest.size());
            if (wrote < 0 && errno == EINTR) continue;
            if (wrote <= 0) return torn_ = rest.size() < line.size(), false;
            rest.remove_prefix(static_cast<std::size_t>(wrote));
        }
        return torn_ = false, true;
    } catch (...) {
        return false;   // no memory for a path
    }
}

bool write_to_stderr(std::string_view line) noexcept {
    // A pipe that is ready has room for this many bytes, so that the write does not wait.
    constexpr std::size_t kAtOnce = PIPE_BUF;
    for (std::string_view rest = line; !rest.empty();) {
        pollfd output{STDERR_FILENO, POLLOUT, 0};
        if (::poll(&output, 1, 0) != 1 || (output.revents & POLLOUT) == 0) return false;
        const ssize_t wrote = ::write(STDERR_FILENO, rest.data(), std::min(rest.size(), kAtOnce));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false;
        rest.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return true;
}

}  // namespace riskreg::registry
