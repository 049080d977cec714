// LD_PRELOAD: sees the system calls that the persistence code makes in one registry's directory, lets a chosen one fail,
// and writes down what reached the disk and when. The code under test is the installed one; nothing in it knows of this.
#include "support/interpose.hpp"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <string_view>

namespace {

using namespace riskreg::interpose;

template <class Function>
Function* real(const char* name) {
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

// ---- what is asked for --------------------------------------------------------------------------

std::string_view variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string_view() : value;
}

std::uint64_t number(const char* name) {
    const std::string_view text = variable(name);
    return text.empty() ? 0 : std::strtoull(text.data(), nullptr, 10);
}

/// Shared with the test; private memory when it did not ask.
Counters* map_counters() {
    static Counters own{};
    const std::string_view path = variable(kCounters);
    if (path.empty()) return &own;
    const auto fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, path.data(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (fd < 0 || ::ftruncate(fd, sizeof(Counters)) != 0) return &own;
    void* memory = ::mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::syscall(SYS_close, fd);
    return memory == MAP_FAILED ? &own : static_cast<Counters*>(memory);
}

struct Plan {
    std::string directory{variable(kDirectory)};
    std::string parent = directory.substr(0, directory.rfind('/') == std::string::npos ? 0 : directory.rfind('/'));
    std::uint64_t fail_at = number(kFailAt);
    bool persistent = variable(kPersistent) == "1";
    std::string only{variable(kOnly)};
    std::uint64_t sync_delay_us = number(kSyncDelay);
    std::string hang{variable(kHang)};
    std::string no_threads{variable(kNoThreads)};
    std::uint64_t free_threads = number(kFreeThreads);
    bool short_writes = variable(kFault) == "short";
    bool lies = variable(kFault) == "lie";
    int fault = static_cast<int>(number(kFault));
    Counters* counters = map_counters();
    int trace = variable(kTrace).empty() ? -1
                                         : static_cast<int>(::syscall(SYS_openat, AT_FDCWD, variable(kTrace).data(),
                                                                      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    std::mutex mutex;
};

/// Never destroyed: calls come until the very end of the process.
Plan& plan() {
    static auto* made = new Plan();
    return *made;
}

// ---- whose calls --------------------------------------------------------------------------------

std::string path_of(int fd) {
    char link[32];
    char path[PATH_MAX];
    std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t size = ::readlink(link, path, sizeof path);
    return size <= 0 ? std::string() : std::string(path, static_cast<std::size_t>(size));
}

std::string path_at(int fd, const char* name) {
    if (name[0] == '/') return name;
    if (fd == AT_FDCWD) return {};
    const std::string directory = path_of(fd);
    return std::strcmp(name, ".") == 0 ? directory : directory + "/" + name;
}

bool is_ours(const std::string& path) {
    const std::string& directory = plan().directory;
    return !directory.empty() && path.starts_with(directory) &&
           (path.size() == directory.size() || path[directory.size()] == '/');
}

bool is_directory_itself(const std::string& path) { return path == plan().directory; }
std::string name_in(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// A disk that does not answer.
void hang_on(const std::string& path) {
    if (plan().hang.empty() || !is_ours(path) || name_in(path).find(plan().hang) == std::string::npos) return;
    for (;;) ::pause();
}

// ---- faults -------------------------------------------------------------------------------------

enum class Fate { pass, fail, shorten, drop };

/// Counts one call; says what becomes of it. A fault of writes leaves the other calls alone.
Fate fate_of(const char* call, const std::string& path, bool is_write = false) {
    Plan& p = plan();
    if (!is_ours(path) || ((p.short_writes || p.lies) && !is_write) || (!p.only.empty() && p.only != call)) return Fate::pass;
    const std::uint64_t count = ++p.counters->seen;
    if (p.fail_at == 0 || count < p.fail_at || (count > p.fail_at && !p.persistent)) return Fate::pass;
    if (++p.counters->failed == 1)
        std::snprintf(p.counters->first_failed, sizeof p.counters->first_failed, "%s %s", call, name_in(path).c_str());
    if (p.short_writes) return Fate::shorten;
    if (p.lies) return Fate::drop;
    errno = p.fault;
    return Fate::fail;
}

// ---- the trace ----------------------------------------------------------------------------------

/// While it lives, what is done and what is written down about it are one step, in all processes.
class Tracing {
public:
    Tracing() {
        if (plan().trace < 0) return;
        plan().mutex.lock();
        ::flock(plan().trace, LOCK_EX);
    }
    ~Tracing() {
        if (plan().trace < 0) return;
        const int kept = errno;
        ::flock(plan().trace, LOCK_UN);
        plan().mutex.unlock();
        errno = kept;
    }
    Tracing(const Tracing&) = delete;
    Tracing& operator=(const Tracing&) = delete;

    static void put(Record kind, std::uint64_t inode, std::uint64_t at, std::string_view bytes) {
        RecordHead head;
        head.kind = kind;
        head.inode = inode;
        head.at = at;
        head.size = bytes.size();
        write(head, bytes);
    }
    static void put_end(Record kind, std::uint64_t inode, std::uint64_t token, bool succeeded) {
        RecordHead head;
        head.kind = kind;
        head.inode = inode;
        head.at = token;
        head.size = succeeded ? 1 : 0;
        write(head, {});
    }

private:
    static void write(const RecordHead& head, std::string_view bytes) {
        if (plan().trace < 0) return;
        const int kept = errno;
        std::string record(sizeof head, '\0');
        std::memcpy(record.data(), &head, sizeof head);
        record += bytes;
        for (std::size_t done = 0; done < record.size();) {
            const long written = ::syscall(SYS_write, plan().trace, record.data() + done, record.size() - done);
            if (written <= 0) std::abort();
            done += static_cast<std::size_t>(written);
        }
        errno = kept;
    }
};

std::uint64_t inode_of(int fd) {
    struct stat status {};
    static auto* const call = real<int(int, struct stat*) noexcept>("fstat");
    return call(fd, &status) == 0 ? status.st_ino : 0;
}

std::uint64_t inode_at(int fd, const char* name) {
    struct stat status {};
    static auto* const call = real<int(int, const char*, struct stat*, int) noexcept>("fstatat");
    return call(fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 ? status.st_ino : 0;
}

std::uint64_t next_token() {
    static std::atomic<std::uint64_t> count{0};
    return static_cast<std::uint64_t>(::getpid()) << 32 | ++count;
}

int open_seen(const std::string& path, int flags, int fd, const char* name, mode_t mode, bool relative) {
    static auto* const open_at = real<int(int, const char*, int, ...)>("openat");
    static auto* const open_path = real<int(const char*, int, ...)>("open");
    const auto go = [&] { return relative ? open_at(fd, name, flags, mode) : open_path(name, flags, mode); };
    if (!is_ours(path)) return go();
    if (fate_of((flags & O_CREAT) != 0 ? "create" : "open", path) == Fate::fail) return -1;
    if ((flags & O_CREAT) == 0) return go();
    const Tracing tracing;
    const bool existed = relative && inode_at(fd, name) != 0;
    const int descriptor = go();
    if (descriptor >= 0 && !existed) Tracing::put(Record::create, inode_of(descriptor), 0, name_in(path));
    return descriptor;
}

}  // namespace

// ---- the calls ----------------------------------------------------------------------------------

extern "C" {

int open(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open_seen(path, flags, AT_FDCWD, path, mode, false);
}

int openat(int fd, const char* name, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return open_seen(path_at(fd, name), flags, fd, name, mode, true);
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t offset) {
    static auto* const call = real<ssize_t(int, const void*, size_t, off_t)>("pwrite");
    const std::string path = path_of(fd);
    if (!is_ours(path)) return call(fd, bytes, size, offset);
    hang_on(path);
    const Fate fate = fate_of("pwrite", path, true);
    if (fate == Fate::fail) return -1;
    if (fate == Fate::shorten && size > 1) size /= 2;
    if (fate == Fate::drop) return static_cast<ssize_t>(size);
    const Tracing tracing;
    const ssize_t written = call(fd, bytes, size, offset);
    if (written > 0)
        Tracing::put(Record::write, inode_of(fd), static_cast<std::uint64_t>(offset),
                     {static_cast<const char*>(bytes), static_cast<std::size_t>(written)});
    return written;
}

ssize_t pread(int fd, void* bytes, size_t size, off_t offset) {
    static auto* const call = real<ssize_t(int, void*, size_t, off_t)>("pread");
    return fate_of("pread", path_of(fd)) == Fate::fail ? -1 : call(fd, bytes, size, offset);
}

/// What a sync promises holds for what was done before it began.
static int sync_seen(int fd, const char* name, int (*call)(int)) {
    const std::string path = path_of(fd);
    if (path == plan().parent && !path.empty()) {
        const int result = call(fd);
        const Tracing tracing;
        Tracing::put_end(Record::parent_sync_end, 0, 0, result == 0);
        return result;
    }
    if (!is_ours(path)) return call(fd);
    hang_on(path);
    const bool directory = is_directory_itself(path);
    const std::uint64_t token = next_token();
    const std::uint64_t inode = inode_of(fd);
    {
        const Tracing tracing;
        Tracing::put(directory ? Record::directory_sync_begin : Record::sync_begin, inode, token, {});
    }
    if (plan().sync_delay_us > 0) ::usleep(static_cast<useconds_t>(plan().sync_delay_us));
    const int result = fate_of(name, path) == Fate::fail ? -1 : call(fd);
    const Tracing tracing;
    Tracing::put_end(directory ? Record::directory_sync_end : Record::sync_end, inode, token, result == 0);
    return result;
}

int fdatasync(int fd) {
    static auto* const call = real<int(int)>("fdatasync");
    return sync_seen(fd, "fdatasync", call);
}

int fsync(int fd) {
    static auto* const call = real<int(int)>("fsync");
    return sync_seen(fd, "fsync", call);
}

int renameat(int from_fd, const char* from, int to_fd, const char* to) noexcept {
    static auto* const call = real<int(int, const char*, int, const char*) noexcept>("renameat");
    const std::string path = path_at(to_fd, to);
    if (!is_ours(path)) return call(from_fd, from, to_fd, to);
    if (fate_of("rename", path) == Fate::fail) return -1;
    const Tracing tracing;
    const int result = call(from_fd, from, to_fd, to);
    if (result == 0) Tracing::put(Record::rename, inode_at(to_fd, to), 0, std::string(from) + '\0' + to);
    return result;
}

int unlinkat(int fd, const char* name, int flags) noexcept {
    static auto* const call = real<int(int, const char*, int) noexcept>("unlinkat");
    const std::string path = path_at(fd, name);
    if (!is_ours(path)) return call(fd, name, flags);
    if (fate_of("unlink", path) == Fate::fail) return -1;
    const Tracing tracing;
    const std::uint64_t inode = inode_at(fd, name);
    const int result = call(fd, name, flags);
    if (result == 0) Tracing::put(Record::unlink, inode, 0, name);
    return result;
}

int mkdir(const char* path, mode_t mode) noexcept {
    static auto* const call = real<int(const char*, mode_t) noexcept>("mkdir");
    if (!is_ours(path)) return call(path, mode);
    if (fate_of("mkdir", path) == Fate::fail) return -1;
    const Tracing tracing;
    const int result = call(path, mode);
    if (result == 0) Tracing::put(Record::make_directory, 0, 0, path);
    return result;
}

int fstat(int fd, struct stat* status) noexcept {
    static auto* const call = real<int(int, struct stat*) noexcept>("fstat");
    return fate_of("fstat", path_of(fd)) == Fate::fail ? -1 : call(fd, status);
}

int lstat(const char* path, struct stat* status) noexcept {
    static auto* const call = real<int(const char*, struct stat*) noexcept>("lstat");
    return fate_of("lstat", path) == Fate::fail ? -1 : call(path, status);
}

struct dirent* readdir(DIR* stream) {
    static auto* const call = real<struct dirent*(DIR*)>("readdir");
    return fate_of("readdir", path_of(::dirfd(stream))) == Fate::fail ? nullptr : call(stream);
}

ssize_t write(int fd, const void* bytes, size_t size) {
    static auto* const call = real<ssize_t(int, const void*, size_t)>("write");
    if (!plan().hang.empty()) hang_on(path_of(fd));
    return call(fd, bytes, size);
}

int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) {
    static auto* const call = real<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>("pthread_create");
    static std::atomic<std::uint64_t> made{0};
    struct stat facts {};
    static auto* const look = real<int(const char*, struct stat*) noexcept>("stat");
    const std::string& while_there = plan().no_threads;
    if (!while_there.empty() && made >= plan().free_threads && look(while_there.c_str(), &facts) == 0) return EAGAIN;
    ++made;
    return call(thread, attributes, body, argument);
}

size_t fwrite(const void* bytes, size_t size, size_t count, FILE* stream) {
    static auto* const call = real<size_t(const void*, size_t, size_t, FILE*)>("fwrite");
    // Before it is said: nobody can have heard of it earlier.
    if (stream == stdout && plan().trace >= 0) {
        const Tracing tracing;
        Tracing::put(Record::answer, 0, 0, {static_cast<const char*>(bytes), size * count});
    }
    return call(bytes, size, count, stream);
}

}  // extern "C"
