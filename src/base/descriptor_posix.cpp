#include "base/descriptor.hpp"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>

namespace riskreg::base {

namespace {

constexpr int kFirstFree = 3;   // behind stdin, stdout and stderr

std::atomic<std::uint64_t> forks{0};

/// Held across fork, so that a child sees a whole list.
std::mutex descriptors_mutex;

/// To be closed in a child. Never destroyed: a Registry in a static variable may end after every other static of the program.
std::vector<int>& own_descriptors() {
    static auto* const list = new std::vector<int>;
    return *list;
}

void before_fork() { descriptors_mutex.lock(); }
void after_fork_in_parent() { descriptors_mutex.unlock(); }
void after_fork_in_child() {
    forks.fetch_add(1, std::memory_order_relaxed);
    for (const int descriptor : own_descriptors()) ::close(descriptor);
    own_descriptors().clear();
    descriptors_mutex.unlock();
}

void install_fork_handlers() {
    static std::once_flag once;
    std::call_once(once, [] {
        own_descriptors();
        ::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
    });
}

bool is_closed(int descriptor) noexcept { return ::fcntl(descriptor, F_GETFD) < 0 && errno == EBADF; }

/// Something that can neither be read nor written: whoever uses its number is answered EBADF, as if it were closed.
int open_filler() noexcept { return ::open("/", O_PATH | O_CLOEXEC); }

/// No number below 3 is free afterwards, unless another thread closes one. The fillers stay: taking one out again could hit what
/// another thread has put in its place meanwhile (dup2), and what is free again is where the next file would be opened.
void fill_low_numbers() noexcept {
    const int kept = errno;
    for (int low = 0; low < kFirstFree; ++low) {
        if (!is_closed(low)) continue;
        const int filler = open_filler();
        if (filler >= kFirstFree) ::close(filler);  // somebody was quicker
    }
    errno = kept;
}

/// Puts a filler there, in the same step in which what is there goes.
void fill_over(int low) noexcept {
    const int filler = open_filler();
    if (filler < 0) ::close(low);
    else ::dup3(filler, low, O_CLOEXEC);
    if (filler >= kFirstFree) ::close(filler);
}

/// Above 2 at last, should the program have closed one while we opened.
int move_up(int raw) noexcept {
    if (raw < 0) return raw;
    if (raw >= kFirstFree) {
        ::fcntl(raw, F_SETFD, FD_CLOEXEC);
        return raw;
    }
    const int above = ::fcntl(raw, F_DUPFD_CLOEXEC, kFirstFree);
    const int kept = errno;
    fill_over(raw);
    errno = kept;
    return above;
}

template <class Open>
int open_above(Open open) noexcept {
    install_fork_handlers();
    fill_low_numbers();
    return open();
}

bool is_same(const struct stat& one, const struct stat& other) noexcept {
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/// `raw` is below 3, because the program closed that number just when we opened, and it may have closed it again, with what we opened,
/// and have opened something else. A number above 2 for the file of that name, or -1.
int rescue(int raw, int directory, const std::string& path) noexcept {
    const int above = ::fcntl(raw, F_DUPFD_CLOEXEC, kFirstFree);
    struct stat wanted {
    }, moved{}, left{};
    const bool ours = above >= 0 && ::fstat(above, &moved) == 0 && ::fstatat(directory, path.c_str(), &wanted, 0) == 0 &&
                      is_same(wanted, moved);
    if (ours && ::fstat(raw, &left) == 0 && is_same(left, moved)) fill_over(raw);
    if (ours) return above;
    if (above >= 0) ::close(above);
    return -1;
}

/// A number above 2. Nothing in the system opens at a number that one may choose: a program that closes one of 0 to 2 just now meets us
/// there for a moment. Its own open then gets another number, which it must see.
int open_named(int directory, const std::string& path, int flags, unsigned mode) noexcept {
    for (;;) {
        const int raw = open_above([&] { return ::openat(directory, path.c_str(), flags | O_CLOEXEC, mode); });
        if (raw < 0 || raw >= kFirstFree) return raw;
        if (const int above = rescue(raw, directory, path); above >= 0) return above;
        if ((flags & O_EXCL) != 0) flags &= ~(O_EXCL | O_CREAT);  // it is made, by us
    }
}

std::pair<Descriptor, Descriptor> pair_of(const std::array<int, 2>& raw, bool made, Kept kept) noexcept {
    if (!made) return {};
    std::pair<Descriptor, Descriptor> ends{Descriptor(raw[0], kept), Descriptor(raw[1], kept)};
    if (ends.first.is_open() && ends.second.is_open()) return ends;
    return {};
}

bool read_names(Descriptor directory, std::vector<std::string>& names) {
    if (!directory.is_open()) return false;
    // The stream closes what it is given, so it gets a number of its own.
    DIR* stream = ::fdopendir(open_above([&] { return ::fcntl(directory.get(), F_DUPFD_CLOEXEC, kFirstFree); }));
    if (stream == nullptr) return false;
    errno = 0;
    for (const dirent* entry = ::readdir(stream); entry != nullptr; entry = ::readdir(stream)) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
        errno = 0;
    }
    const int failed = errno;
    ::closedir(stream);
    errno = failed;
    return failed == 0;
}

}  // namespace

std::uint64_t fork_epoch() noexcept { return forks.load(std::memory_order_relaxed); }

Descriptor::Descriptor(int raw, Kept kept) noexcept : value_(move_up(raw)), kept_(kept), fork_epoch_(base::fork_epoch()) {
    if (value_ < 0 || kept_ == Kept::by_children_too) return;
    install_fork_handlers();
    const std::lock_guard guard(descriptors_mutex);
    own_descriptors().push_back(value_);
}

Descriptor::Descriptor(Descriptor&& other) noexcept
    : value_(std::exchange(other.value_, -1)), kept_(other.kept_), fork_epoch_(other.fork_epoch_) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
    if (this == &other) return *this;
    close();
    value_ = std::exchange(other.value_, -1);
    kept_ = other.kept_;
    fork_epoch_ = other.fork_epoch_;
    return *this;
}

int Descriptor::get() const noexcept {
    // In a child the number may be somebody else's by now.
    return kept_ == Kept::by_this_process && fork_epoch_ != base::fork_epoch() ? -1 : value_;
}

void Descriptor::close() noexcept {
    const int open = get();
    value_ = -1;
    close_released(open, base::fork_epoch());
}

int Descriptor::release() noexcept {
    const int open = get();
    value_ = -1;
    return open;
}

int release_to_runtime(Descriptor descriptor) noexcept { return descriptor.release(); }

void close_released(int descriptor, std::uint64_t epoch) noexcept {
    if (descriptor < 0 || epoch != fork_epoch()) return;
    {
        const std::lock_guard guard(descriptors_mutex);
        std::erase(own_descriptors(), descriptor);
    }
    ::close(descriptor);
}

Descriptor open_path(const std::string& path, int flags, unsigned mode, Kept kept) noexcept {
    return Descriptor(open_named(AT_FDCWD, path, flags, mode), kept);
}

Descriptor open_at(int directory, const std::string& path, int flags, unsigned mode) noexcept {
    return Descriptor(open_named(directory, path, flags, mode));
}

Descriptor open_memory(const char* label, Kept kept) noexcept {
    return Descriptor(open_above([&] { return ::memfd_create(label, MFD_CLOEXEC); }), kept);
}

Descriptor open_socket(int domain, int type, int protocol) noexcept {
    return Descriptor(open_above([&] { return ::socket(domain, type | SOCK_CLOEXEC, protocol); }));
}

Descriptor accept_from(const Descriptor& listener) noexcept {
    return Descriptor(open_above([&] { return ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC); }));
}

std::pair<Descriptor, Descriptor> open_pipe(Kept kept) noexcept {
    std::array<int, 2> raw{-1, -1};
    return pair_of(raw, open_above([&] { return ::pipe2(raw.data(), O_CLOEXEC); }) == 0, kept);
}

std::pair<Descriptor, Descriptor> open_socket_pair(int domain, int type, Kept kept) noexcept {
    std::array<int, 2> raw{-1, -1};
    return pair_of(raw, open_above([&] { return ::socketpair(domain, type | SOCK_CLOEXEC, 0, raw.data()); }) == 0, kept);
}

bool list_directory(int directory, std::vector<std::string>& names) {
    return read_names(open_at(directory, ".", O_RDONLY | O_DIRECTORY), names);
}

bool list_directory(const std::string& path, std::vector<std::string>& names) {
    return read_names(open_path(path, O_RDONLY | O_DIRECTORY), names);
}

bool read_text(const std::string& path, std::string& text, std::size_t most) {
    text.clear();
    const Descriptor file = open_path(path, O_RDONLY);
    if (!file.is_open()) return false;
    std::array<char, 4096> piece{};
    while (text.size() < most) {
        const ssize_t got = ::read(file.get(), piece.data(), std::min(piece.size(), most - text.size()));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return false;
        if (got == 0) break;
        text.append(piece.data(), static_cast<std::size_t>(got));
    }
    return true;
}

void fill_standard_descriptors() noexcept {
    for (int low = 0; low < kFirstFree; ++low) {
        if (!is_closed(low)) continue;
        // The lowest free number is the one that is missing.
        const int null = ::open("/dev/null", low == 0 ? O_RDONLY : O_WRONLY);
        if (null >= kFirstFree) ::close(null);
    }
}

}  // namespace riskreg::base
