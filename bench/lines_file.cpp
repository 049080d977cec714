#include "lines_file.hpp"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace riskreg::bench {

namespace {
[[noreturn]] void fail(const std::string& path) {
    throw std::runtime_error("cannot write " + path + ": " + std::strerror(errno));
}
}  // namespace

LinesFile::LinesFile(const std::string& path) : path_(path) {
    if (path.empty()) return;
    file_ = base::open_path(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (!file_.is_open()) fail(path_);
}

void LinesFile::append(std::string_view text) {
    while (!text.empty()) {
        const ssize_t wrote = ::write(file_.get(), text.data(), text.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) fail(path_);
        text.remove_prefix(static_cast<std::size_t>(wrote));
    }
}

std::string formatted(const char* format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int size = std::vsnprintf(nullptr, 0, format, arguments);
    std::string text(size < 0 ? 0 : static_cast<std::size_t>(size), '\0');
    std::vsnprintf(text.data(), text.size() + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

}  // namespace riskreg::bench
