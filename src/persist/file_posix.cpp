#include "persist/file_posix.hpp"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace riskreg::persist {

namespace {

/// An interruption is tried again at once, but not for ever: a host that interrupts always is an error to be shown.
constexpr int kMaxInterruptions = 100;

IoError last_error() noexcept { return {errno == 0 ? EIO : errno}; }

template <class Call>
int uninterrupted(Call call) noexcept {
    int result = -1;
    for (int attempt = 0; attempt < kMaxInterruptions; ++attempt) {
        result = call();
        if (result >= 0 || errno != EINTR) break;
    }
    return result;
}

}  // namespace

void File::close() noexcept {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

IoError File::write_at(const void* bytes, std::size_t size, std::uint64_t offset) const noexcept {
    const auto* from = static_cast<const char*>(bytes);
    int interruptions = 0;
    while (size > 0) {
        const ssize_t written = ::pwrite(descriptor_, from, size, static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR && ++interruptions < kMaxInterruptions) continue;
        if (written < 0) return last_error();
        // Nothing written and no error: no file system of this world goes on from there.
        if (written == 0 && ++interruptions >= kMaxInterruptions) return {EIO};
        from += written;
        size -= static_cast<std::size_t>(written);
        offset += static_cast<std::uint64_t>(written);
    }
    return {};
}

IoError File::read_at(void* bytes, std::size_t size, std::uint64_t offset, std::size_t& got) const noexcept {
    auto* to = static_cast<char*>(bytes);
    int interruptions = 0;
    got = 0;
    while (got < size) {
        const ssize_t count = ::pread(descriptor_, to + got, size - got, static_cast<off_t>(offset + got));
        if (count < 0 && errno == EINTR && ++interruptions < kMaxInterruptions) continue;
        if (count < 0) return last_error();
        if (count == 0) return {};
        got += static_cast<std::size_t>(count);
    }
    return {};
}

IoError File::sync() const noexcept { return ::fdatasync(descriptor_) == 0 ? IoError{} : last_error(); }

IoError File::size(std::uint64_t& bytes) const noexcept {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) return last_error();
    bytes = static_cast<std::uint64_t>(status.st_size);
    return {};
}

IoError File::access(FileAccess& out) const noexcept {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) return last_error();
    out = {S_ISREG(status.st_mode), status.st_mode & 07777U, status.st_uid, ::geteuid()};
    return {};
}

bool File::is_linked() const noexcept {
    struct stat status {};
    return ::fstat(descriptor_, &status) == 0 && status.st_nlink > 0;
}

void File::drop_cache() const noexcept { static_cast<void>(::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED)); }

IoError Directory::open(const std::string& path, Directory& out) noexcept {
    const int descriptor = uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC); });
    if (descriptor < 0) return last_error();
    out.handle_ = File(descriptor);
    out.descriptor_ = descriptor;
    out.path_ = path;
    return {};
}

IoError Directory::create(const std::string& name, File& out) const noexcept {
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const int descriptor = uninterrupted([&] { return ::openat(descriptor_, name.c_str(), flags, 0600); });
    if (descriptor < 0) return last_error();
    out = File(descriptor);
    return {};
}

IoError Directory::open_file(const std::string& name, File& out, bool writable) const noexcept {
    const int flags = (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    const int descriptor = uninterrupted([&] { return ::openat(descriptor_, name.c_str(), flags); });
    if (descriptor < 0) return last_error();
    File file(descriptor);
    struct stat status {};
    if (::fstat(descriptor, &status) != 0) return last_error();
    // A FIFO or a device in place of a file: nothing that a registry ever wrote.
    if (!S_ISREG(status.st_mode)) return {EINVAL};
    out = std::move(file);
    return {};
}

IoError Directory::rename(const std::string& from, const std::string& to) const noexcept {
    return ::renameat(descriptor_, from.c_str(), descriptor_, to.c_str()) == 0 ? IoError{} : last_error();
}

IoError Directory::remove(const std::string& name) const noexcept {
    return ::unlinkat(descriptor_, name.c_str(), 0) == 0 ? IoError{} : last_error();
}

IoError Directory::sync() const noexcept { return ::fsync(descriptor_) == 0 ? IoError{} : last_error(); }

IoError Directory::list(std::vector<std::string>& names) const {
    const int copy = ::openat(descriptor_, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0) return last_error();
    DIR* stream = ::fdopendir(copy);
    if (stream == nullptr) {
        const IoError error = last_error();
        ::close(copy);
        return error;
    }
    errno = 0;
    for (const dirent* entry = ::readdir(stream); entry != nullptr; entry = ::readdir(stream)) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(name);
        errno = 0;
    }
    const int failed = errno;
    ::closedir(stream);
    return {failed};
}

bool Directory::is_current() const noexcept {
    struct stat named {};
    struct stat opened {};
    return ::lstat(path_.c_str(), &named) == 0 && ::fstat(descriptor_, &opened) == 0 && named.st_ino == opened.st_ino &&
           named.st_dev == opened.st_dev;
}

DirectoryIdentity Directory::identity() const noexcept {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) return {};
    return {status.st_dev, status.st_ino};
}

IoError read_whole(const std::string& path, std::size_t most, std::string& out, FileAccess& access) {
    const int descriptor = uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); });
    if (descriptor < 0) return last_error();
    const File file(descriptor);
    if (const IoError error = file.access(access)) return error;
    if (!access.is_regular) return {};
    out.resize(most + 1);
    std::size_t got = 0;
    if (const IoError error = file.read_at(out.data(), out.size(), 0, got)) return error;
    out.resize(got);
    return got > most ? IoError{EFBIG} : IoError{};
}

}  // namespace riskreg::persist
