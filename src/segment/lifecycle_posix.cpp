#include "segment/lifecycle_posix.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "riskreg/error.hpp"
#include "segment/process_posix.hpp"

namespace riskreg::segment {

namespace {

[[noreturn]] void fail(const std::string& doing, int error) {
    const Errc code = error == ENOENT ? Errc::missing : error == EACCES || error == EPERM ? Errc::permission : Errc::system;
    throw Error(code, doing + ": " + std::strerror(error));
}

/// Behind "Permission denied": whose it is, for a registry serves the processes of one user.
std::string owner_of(const std::string& path, int error) {
    struct stat info {};
    if ((error != EACCES && error != EPERM) || ::stat(path.c_str(), &info) != 0 || info.st_uid == ::geteuid()) return {};
    return " (it belongs to uid " + std::to_string(info.st_uid) + ", this process is uid " + std::to_string(::geteuid()) +
           ": run it as that user)";
}

/// A new entry of `path` is on disk after this: without it, a power failure may take the whole registry with it.
void sync_directory(const std::string& path) {
    const base::Descriptor directory = base::open_path(path, O_RDONLY | O_DIRECTORY);
    if (!directory.is_open() || ::fsync(directory.get()) != 0) fail("cannot sync the directory " + path, errno);
}

void make_directories(const std::string& state_dir, const std::string& directory) {
    std::error_code error;
    const bool made = std::filesystem::create_directories(state_dir, error);
    if (error) fail("cannot create the state directory " + state_dir, error.value());
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) fail("cannot create " + directory, errno);
    // Also when it was there: whoever made it may have died before this.
    sync_directory(state_dir);
    if (made) sync_directory(std::filesystem::absolute(state_dir).parent_path().string());
}

bool holds_files(const std::string& directory) {
    std::vector<std::string> names;
    static_cast<void>(base::list_directory(directory, names));
    return std::any_of(names.begin(), names.end(),
                       [](const std::string& name) { return name.starts_with("journal-") || name.starts_with("checkpoint-"); });
}

base::Descriptor open_lock(const std::string& state_dir, const std::string& name, bool create) {
    const std::string directory = state_dir + "/" + name;
    if (create) make_directories(state_dir, directory);
    const base::Descriptor parent = base::open_path(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!parent.is_open() && errno == ENOENT)
        throw Error(Errc::missing, "no registry '" + name + "' in " + state_dir + ": create it with `riskctl create " + name +
                                       " --config FILE`, or name the right --state-dir");
    if (const int error = errno; !parent.is_open()) fail("cannot open " + directory + owner_of(directory, error), error);
    // A backup may have left LOCK out: where the files of a registry are, it is made anew.
    const bool make = create || holds_files(directory);
    base::Descriptor lock = base::open_at(parent.get(), "LOCK", O_RDWR | O_NOFOLLOW | (make ? O_CREAT : 0), 0600);
    // On a file system that became read-only one can still look, and use a segment that others hold.
    if (!lock.is_open() && errno == EROFS) lock = base::open_at(parent.get(), "LOCK", O_RDONLY | O_NOFOLLOW);
    if (const int error = errno; !lock.is_open())
        fail("cannot open " + directory + "/LOCK" + owner_of(directory, error), error);
    return lock;
}

}  // namespace

void require_valid_name(const std::string& name) {
    const auto legal = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    };
    const bool valid =
        !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), legal) && name != "." && name != "..";
    if (!valid)
        throw Error(Errc::bad_input,
                    "name: '" + name + "' is not the name of a registry: allowed are 1 to 64 of A-Z a-z 0-9 . _ -");
}

std::string resolve_state_dir(const std::string& configured) {
    const auto variable = [](const char* name) {
        const char* value = std::getenv(name);
        return std::string(value == nullptr ? "" : value);
    };
    if (!configured.empty()) return configured;
    if (std::string own = variable("RISKREG_STATE_DIR"); !own.empty()) return own;
    if (const std::string xdg = variable("XDG_STATE_HOME"); !xdg.empty()) return xdg + "/riskreg";
    if (const std::string home = variable("HOME"); !home.empty()) return home + "/.local/state/riskreg";
    throw Error(Errc::bad_input, "no state directory: give --state-dir, or set RISKREG_STATE_DIR, XDG_STATE_HOME or HOME");
}

LifecycleLock::LifecycleLock(const std::string& state_dir, const std::string& name, bool create)
    : directory_(state_dir + "/" + name), descriptor_(open_lock(state_dir, name, create)) {}

bool LifecycleLock::set_lock(int type, int byte) noexcept {
    struct flock range {};
    range.l_type = static_cast<short>(type);
    range.l_whence = SEEK_SET;
    range.l_start = byte;
    range.l_len = 1;
    return ::fcntl(descriptor_.get(), F_OFD_SETLK, &range) == 0;
}

bool LifecycleLock::try_exclusive() noexcept { return set_lock(F_WRLCK); }
bool LifecycleLock::try_shared() noexcept { return set_lock(F_RDLCK); }
void LifecycleLock::release() noexcept { static_cast<void>(set_lock(F_UNLCK)); }
bool LifecycleLock::is_held_by_others() const noexcept {
    struct flock range {};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    range.l_len = 1;
    return ::fcntl(descriptor_.get(), F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
}
bool LifecycleLock::try_host() noexcept { return set_lock(F_WRLCK, 1); }
void LifecycleLock::release_host() noexcept { static_cast<void>(set_lock(F_UNLCK, 1)); }
bool LifecycleLock::try_switch() noexcept { return set_lock(F_WRLCK, 2); }
void LifecycleLock::release_switch() noexcept { static_cast<void>(set_lock(F_UNLCK, 2)); }

LifecycleLock::Granted LifecycleLock::wait_any(std::int64_t deadline_ns) noexcept {
    for (;;) {
        if (try_exclusive()) return Granted::exclusive;
        if (try_shared()) return Granted::shared;
        if (monotonic_ns() >= deadline_ns) return Granted::none;
        const timespec step{0, 1'000'000};
        ::nanosleep(&step, nullptr);
    }
}

void LifecycleLock::ensure_token() {
    LockIdentity now = identity();
    if (now.token[0] != 0) return;
    std::array<std::uint64_t, 2> token{};
    if (::getrandom(token.data(), sizeof token, 0) != static_cast<ssize_t>(sizeof token)) fail("getrandom", errno);
    token[0] |= 1;
    if (::pwrite(descriptor_.get(), token.data(), sizeof token, 0) != static_cast<ssize_t>(sizeof token))
        fail("cannot write " + directory_ + "/LOCK", errno);
    if (::fsync(descriptor_.get()) != 0) fail("cannot sync " + directory_ + "/LOCK", errno);
}

LockIdentity LifecycleLock::identity() const {
    struct stat status {};
    if (::fstat(descriptor_.get(), &status) != 0) fail("cannot stat " + directory_ + "/LOCK", errno);
    LockIdentity id{status.st_dev, status.st_ino, {}};
    // A short read is a LOCK whose first creator was killed: no token yet, and so no segment of it either.
    ssize_t size = -1;
    for (int attempt = 0; attempt < 100 && size < 0; ++attempt) {
        size = ::pread(descriptor_.get(), id.token.data(), sizeof id.token, 0);
        // An error is no answer: taken for "no token", it would make a living segment look like a stranger's.
        if (size < 0 && errno != EINTR) break;
    }
    if (size < 0) fail("cannot read " + directory_ + "/LOCK", errno);
    if (size != static_cast<ssize_t>(sizeof id.token)) id.token = {};
    return id;
}

void remove_registry_files(const std::string& directory) {
    std::error_code ignored;
    std::vector<std::string> names;
    static_cast<void>(base::list_directory(directory, names));
    for (const std::string& name : names)
        if (name != "LOCK") std::filesystem::remove_all(directory + "/" + name, ignored);
}

}  // namespace riskreg::segment
