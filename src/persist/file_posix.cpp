#include "persist/file.hpp"

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
base::Descriptor uninterrupted(Call call) noexcept {
    for (int attempt = 1; attempt < kMaxInterruptions; ++attempt) {
        base::Descriptor opened = call();
        if (opened.is_open() || errno != EINTR) return opened;
    }
    return call();
}

}  // namespace

void File::close() noexcept { base::close_released(std::exchange(descriptor_, -1), fork_epoch_); }

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

IoError File::identity(FileIdentity& out) const noexcept {
    struct stat status {};
    if (::fstat(descriptor_, &status) != 0) return last_error();
    out = {status.st_dev, status.st_ino};
    return {};
}

bool File::is_linked() const noexcept {
    struct stat status {};
    return ::fstat(descriptor_, &status) == 0 && status.st_nlink > 0;
}

namespace {

struct flock first_byte() noexcept {
    struct flock range {};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    range.l_len = 1;
    return range;
}

}  // namespace

IoError File::try_lock() const noexcept {
    struct flock range = first_byte();
    return ::fcntl(descriptor_, F_OFD_SETLK, &range) == 0 ? IoError{} : last_error();
}

bool File::is_locked_by_others() const noexcept {
    struct flock range = first_byte();
    return ::fcntl(descriptor_, F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
}

void File::drop_cache() const noexcept { static_cast<void>(::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED)); }

IoError Directory::open(const std::string& path, Directory& out) noexcept {
    base::Descriptor descriptor = uninterrupted([&] { return base::open_path(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW); });
    if (!descriptor.is_open()) return last_error();
    out.descriptor_ = descriptor.release();
    out.handle_ = File(out.descriptor_);
    out.path_ = path;
    return {};
}

IoError Directory::create(const std::string& name, File& out) const noexcept {
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
    base::Descriptor descriptor = uninterrupted([&] { return base::open_at(descriptor_, name, flags, 0600); });
    if (!descriptor.is_open()) return last_error();
    out = File(descriptor.release());
    return {};
}

IoError Directory::open_file(const std::string& name, File& out, bool writable) const noexcept {
    const int flags = (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK;
    base::Descriptor descriptor = uninterrupted([&] { return base::open_at(descriptor_, name, flags); });
    if (!descriptor.is_open()) return last_error();
    struct stat status {};
    if (::fstat(descriptor.get(), &status) != 0) return last_error();
    // A FIFO or a device in place of a file: nothing that a registry ever wrote.
    if (!S_ISREG(status.st_mode)) return {EINVAL};
    out = File(descriptor.release());
    return {};
}

IoError Directory::rename(const std::string& from, const std::string& to) const noexcept {
    return ::renameat(descriptor_, from.c_str(), descriptor_, to.c_str()) == 0 ? IoError{} : last_error();
}

IoError Directory::link(const std::string& from, const std::string& to) const noexcept {
    return ::linkat(descriptor_, from.c_str(), descriptor_, to.c_str(), 0) == 0 ? IoError{} : last_error();
}

IoError Directory::remove(const std::string& name) const noexcept {
    return ::unlinkat(descriptor_, name.c_str(), 0) == 0 ? IoError{} : last_error();
}

IoError Directory::sync() const noexcept { return ::fsync(descriptor_) == 0 ? IoError{} : last_error(); }

IoError Directory::list(std::vector<std::string>& names) const {
    return base::list_directory(descriptor_, names) ? IoError{} : last_error();
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
    base::Descriptor descriptor = uninterrupted([&] { return base::open_path(path, O_RDONLY | O_NONBLOCK); });
    if (!descriptor.is_open()) return last_error();
    const File file(descriptor.release());
    if (const IoError error = file.access(access)) return error;
    if (!access.is_regular) return {};
    out.resize(most + 1);
    std::size_t got = 0;
    if (const IoError error = file.read_at(out.data(), out.size(), 0, got)) return error;
    out.resize(got);
    return got > most ? IoError{EFBIG} : IoError{};
}

}  // namespace riskreg::persist
