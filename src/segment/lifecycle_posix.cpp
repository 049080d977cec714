#include "segment/lifecycle.hpp"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>

#include "base/descriptor.hpp"
#include "riskreg/error.hpp"
#include "segment/lock_file.hpp"
#include "segment/process.hpp"

namespace riskreg::segment {

void fail(const std::string& doing, int error) {
    const Errc code = error == ENOENT ? Errc::missing : error == EACCES || error == EPERM ? Errc::permission : Errc::system;
    throw Error(code, doing + ": " + std::strerror(error));
}

void fail_by_errno(const std::string& doing) { fail(doing, errno); }

namespace {

std::string user_name(uid_t uid) {
    char space[4096];
    passwd entry{};
    passwd* found = nullptr;
    const bool known = ::getpwuid_r(uid, &entry, space, sizeof space, &found) == 0 && found != nullptr;
    return known ? entry.pw_name : "#" + std::to_string(uid);
}

std::string octal(mode_t mode) {
    char text[8];
    std::snprintf(text, sizeof text, "%04o", static_cast<unsigned>(mode & 07777U));
    return text;
}

/// A registry serves the processes of one user. Somebody else, root included, would make a second one beside it, or files that its
/// owner cannot open.
void require_owner(const struct stat& info, const std::string& path, const std::string& name) {
    if (info.st_uid == ::geteuid()) return;
    const std::string owner = user_name(info.st_uid);
    throw Error(Errc::foreign, "registry '" + name + "': " + path + " belongs to uid " + std::to_string(info.st_uid) + " (" +
                                   owner + "), this process is uid " + std::to_string(::geteuid()) +
                                   ": run it as that user, `sudo -u " + owner + " …`, or as root with --as-owner");
}

void require_closed(const struct stat& info, const std::string& path, bool sticky_allowed) {
    if ((info.st_mode & 022U) == 0 || (sticky_allowed && (info.st_mode & S_ISVTX) != 0)) return;
    throw Error(Errc::foreign, path + " may be written by others (mode " + octal(info.st_mode) +
                                   "): a stranger could put files into the registry. Check what is in it, then `chmod go-w " +
                                   path + "`");
}

/// Who owns what the registry's directory lies in could put another directory in its place.
void require_safe_state_dir(const std::string& state_dir) {
    struct stat info {};
    if (::stat(state_dir.c_str(), &info) != 0) return;  // opening it will say why
    if (info.st_uid != ::geteuid() && info.st_uid != 0)
        throw Error(Errc::foreign, "the state directory " + state_dir + " belongs to uid " + std::to_string(info.st_uid) +
                                       " (" + user_name(info.st_uid) + "), allowed: this process's uid " +
                                       std::to_string(::geteuid()) + ", or root");
    require_closed(info, state_dir, true);
}

/// Behind "Permission denied": whose it is, for a registry serves the processes of one user.
std::string owner_of(const std::string& path, int error) {
    struct stat info {};
    if (error != EACCES && error != EPERM) return {};
    // What may not even be looked at lies in a directory of the same owner.
    const std::string above = path.substr(0, path.rfind('/'));
    const bool known = ::stat(path.c_str(), &info) == 0 || (!above.empty() && ::stat(above.c_str(), &info) == 0);
    if (!known || info.st_uid == ::geteuid()) return {};
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
    if (made) std::filesystem::permissions(state_dir, std::filesystem::perms::owner_all, error);  // whatever the umask
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

/// Empty: its creator died. A token alone: a build of before.
void require_own_lock(int descriptor, const struct stat& info, const std::string& path) {
    LockContent content{};
    if (info.st_size <= static_cast<off_t>(sizeof content.token)) return;
    const ssize_t got = ::pread(descriptor, &content, sizeof content, 0);
    if (got < 0) return;  // whoever needs what is in it says so
    if (got >= static_cast<ssize_t>(offsetof(LockContent, stage)) && content.magic == kLockMagic) return;
    throw Error(Errc::foreign, path + " is not a LOCK file of a registry: choose another --state-dir or name");
}

bool is_link(const std::string& path) noexcept {
    const int kept = errno;
    struct stat info {};
    const bool link = ::lstat(path.c_str(), &info) == 0 && S_ISLNK(info.st_mode);
    errno = kept;
    return link;
}

base::Descriptor open_lock(const std::string& state_dir, const std::string& name, bool create) {
    const std::string directory = state_dir + "/" + name;
    if (create) make_directories(state_dir, directory);
    const base::Descriptor parent = base::open_path(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!parent.is_open() && errno == ENOENT)
        throw Error(Errc::missing, "no registry '" + name + "' in " + state_dir + ": create it with `riskctl create " + name +
                                       " --config FILE`, or name the right --state-dir");
    if (const int error = errno; !parent.is_open() && is_link(directory))
        throw Error(Errc::foreign, directory + " is a symbolic link (" + std::strerror(error) +
                                       "): a registry's directory is none; name the real one with --state-dir");
    if (const int error = errno; !parent.is_open()) fail("cannot open " + directory + owner_of(directory, error), error);
    struct stat info {};
    if (::fstat(parent.get(), &info) != 0) fail("cannot stat " + directory, errno);
    require_owner(info, directory, name);
    require_closed(info, directory, false);
    require_safe_state_dir(state_dir);
    // A backup may have left LOCK out: where the files of a registry are, it is made anew.
    const bool make = create || holds_files(directory);
    base::Descriptor lock = base::open_at(parent.get(), "LOCK", O_RDWR | O_NOFOLLOW | (make ? O_CREAT : 0), 0600);
    // On a file system that became read-only one can still look, and use a segment that others hold.
    if (!lock.is_open() && errno == EROFS) lock = base::open_at(parent.get(), "LOCK", O_RDONLY | O_NOFOLLOW);
    const std::string path = directory + "/LOCK";
    if (!lock.is_open() && errno == ENOENT)
        throw Error(Errc::missing, path + " is not there, and no files of a registry are: create it with `riskctl create " +
                                       name + " --config FILE`");
    if (const int error = errno; !lock.is_open()) fail("cannot open " + path + owner_of(directory, error), error);
    if (::fstat(lock.get(), &info) != 0) fail("cannot stat " + path, errno);
    if (!S_ISREG(info.st_mode)) throw Error(Errc::foreign, path + " is not a file: it is not a registry's");
    require_owner(info, path, name);
    require_closed(info, path, false);
    require_own_lock(lock.get(), info, path);
    return lock;
}

}  // namespace

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

bool LifecycleLock::ask(int type) {
    if (set_lock(type)) return true;
    // Somebody has it; a descriptor that is read-only can hold it shared. Everything else is no answer to the question.
    if (errno == EAGAIN || errno == EACCES || errno == EBADF) return false;
    throw Error(Errc::system,
                "cannot lock " + directory_ + "/LOCK: " + std::strerror(errno) +
                    ": the file system of the state directory must give file locks (a network file system needs its lock "
                    "daemon); use a local one with --state-dir");
}

bool LifecycleLock::try_exclusive() { return ask(F_WRLCK); }
bool LifecycleLock::try_shared() { return ask(F_RDLCK); }
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

LifecycleLock::Granted LifecycleLock::wait_any(std::int64_t deadline_ns) {
    for (;;) {
        if (try_exclusive()) return Granted::exclusive;
        if (try_shared()) return Granted::shared;
        if (monotonic_ns() >= deadline_ns) return Granted::none;
        const timespec step{0, 1'000'000};
        ::nanosleep(&step, nullptr);
    }
}

LockFacts facts_of_lock(const base::Descriptor& lock, const std::string& path) {
    struct stat status {};
    if (::fstat(lock.get(), &status) != 0) fail("cannot stat " + path, errno);
    return {status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size)};
}

std::int64_t read_lock(const base::Descriptor& lock, void* bytes, std::size_t size) noexcept {
    ssize_t got = -1;
    for (int attempt = 0; attempt < 100 && got < 0; ++attempt) {
        got = ::pread(lock.get(), bytes, size, 0);
        if (got < 0 && errno != EINTR) break;
    }
    return got;
}

void write_lock(const base::Descriptor& lock, const std::string& path, const void* bytes, std::size_t size) {
    if (::pwrite(lock.get(), bytes, size, 0) != static_cast<ssize_t>(size)) fail("cannot write " + path, errno);
    if (::fsync(lock.get()) != 0) fail("cannot sync " + path, errno);
}

bool LifecycleLock::is_current() const noexcept {
    struct stat named {};
    struct stat held {};
    return ::lstat((directory_ + "/LOCK").c_str(), &named) == 0 && ::fstat(descriptor_.get(), &held) == 0 &&
           named.st_ino == held.st_ino && named.st_dev == held.st_dev;
}

std::uint64_t LifecycleLock::directory_inode() const noexcept {
    struct stat info {};
    return ::stat(directory_.c_str(), &info) == 0 ? info.st_ino : 0;
}

std::vector<std::string> remove_registry_files(const std::string& directory) {
    std::vector<std::string> names, left;
    const base::Descriptor open = base::open_path(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!open.is_open() || !base::list_directory(open.get(), names)) return {};
    for (const std::string& name : names) {
        struct stat info {};
        if (name == "LOCK" || ::fstatat(open.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) continue;
        const bool removed = is_own_file(name) && S_ISREG(info.st_mode) && ::unlinkat(open.get(), name.c_str(), 0) == 0;
        if (!removed) left.push_back(S_ISDIR(info.st_mode) ? name + "/" : name);
    }
    ::fsync(open.get());
    std::sort(left.begin(), left.end());
    return left;
}

namespace {

/// "riskctl exec": what the process was started as, in two words.
std::string command_of(const std::string& process) {
    std::string text;
    if (!base::read_text(process + "/cmdline", text, 4096) || text.empty()) return "?";
    const std::size_t end = text.find('\0');
    std::string program = text.substr(0, end);
    program.erase(0, program.rfind('/') + 1);
    if (end == std::string::npos || end + 1 >= text.size()) return program;
    const std::string word = text.substr(end + 1, text.find('\0', end + 1) - end - 1);
    return program.starts_with("riskctl") ? program + " " + word : program;
}

bool has_open(const std::string& process, const struct stat& file) {
    std::vector<std::string> numbers;
    if (!base::list_directory(process + "/fd", numbers)) return false;
    return std::any_of(numbers.begin(), numbers.end(), [&](const std::string& number) {
        struct stat open {};
        return ::stat((process + "/fd/" + number).c_str(), &open) == 0 && open.st_ino == file.st_ino &&
               open.st_dev == file.st_dev;
    });
}

}  // namespace

std::string process_text(std::uint32_t pid) {
    const std::string number = std::to_string(pid), process = "/proc/" + number;
    struct stat owner {};
    if (::stat(process.c_str(), &owner) != 0) return "pid " + number + " (not to be seen from here)";
    return "pid " + number + " (" + command_of(process) + ", uid " + std::to_string(owner.st_uid) + ")";
}

std::string holders_of(const std::string& path) {
    struct stat file {};
    std::vector<std::string> names;
    if (::stat(path.c_str(), &file) != 0 || !base::list_directory("/proc", names)) return {};
    std::string text;
    for (const std::string& pid : names) {
        if (pid.find_first_not_of("0123456789") != std::string::npos || pid == std::to_string(::getpid())) continue;
        if (!has_open("/proc/" + pid, file)) continue;
        text += (text.empty() ? "" : ", ") + process_text(static_cast<std::uint32_t>(std::stoul(pid)));
    }
    return text;
}

namespace {

/// Behind a FUSE mount is what its subtype says, as the kernel tells it: `36 35 0:45 / /mnt rw - fuse.sshfs host:/dir rw`.
std::string fuse_type(const std::string& path) {
    struct stat info {};
    std::string mounts, type = "fuse";
    if (::stat(path.c_str(), &info) != 0 || !base::read_text("/proc/self/mountinfo", mounts)) return type;
    const std::string device = " " + std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev)) + " ";
    for (std::size_t at = 0; at < mounts.size();) {
        const std::size_t end = std::min(mounts.find('\n', at), mounts.size());
        const std::string line = mounts.substr(at, end - at);
        const std::size_t behind = line.find(" - ");
        if (behind != std::string::npos && line.find(device) < behind)
            type = line.substr(behind + 3, line.find(' ', behind + 3) - behind - 3);
        at = end + 1;
    }
    return type;
}

constexpr std::uint32_t kFuse = 0x65735546;
constexpr std::array<std::pair<std::uint32_t, std::string_view>, 10> kNetworks{{{0x6969, "nfs"},
                                                                                {0x517B, "smb"},
                                                                                {0xFF534D42, "cifs"},
                                                                                {0xFE534D42, "smb2"},
                                                                                {0x00C36400, "ceph"},
                                                                                {0x5346414F, "afs"},
                                                                                {0x01021997, "9p"},
                                                                                {0x01161970, "gfs2"},
                                                                                {0x7461636F, "ocfs2"},
                                                                                {0x0BD00BD0, "lustre"}}};
std::string_view network_named(std::uint32_t number) noexcept {
    for (const auto& [known, name] : kNetworks)
        if (known == number) return name;
    return {};
}

constexpr std::array<std::string_view, 16> kNetworksByFuse{
    "fuse.sshfs",   "fuse.glusterfs", "fuse.ceph",      "fuse.ceph-fuse", "fuse.s3fs",    "fuse.rclone",
    "fuse.davfs",   "fuse.davfs2",    "fuse.curlftpfs", "fuse.smbnetfs",  "fuse.gcsfuse", "fuse.goofys",
    "fuse.moosefs", "fuse.mfs",       "fuse.juicefs",   "fuse.seaweedfs"};

}  // namespace

bool is_on_network(const std::string& path) noexcept {
    struct statfs info {};
    if (::statfs(path.c_str(), &info) != 0) return false;
    // And FUSE, behind which may be any of them.
    const auto number = static_cast<std::uint32_t>(info.f_type);
    return number == kFuse || !network_named(number).empty();
}

std::string network_file_system(const std::string& path) {
    std::error_code ignored;
    std::filesystem::path there = std::filesystem::absolute(path, ignored);
    while (!std::filesystem::exists(there, ignored) && there.has_relative_path()) there = there.parent_path();
    struct statfs info {};
    if (::statfs(there.c_str(), &info) != 0) return {};
    const auto number = static_cast<std::uint32_t>(info.f_type);
    if (const std::string_view name = network_named(number); !name.empty()) return std::string(name);
    const std::string type = number == kFuse ? fuse_type(there.string()) : std::string();
    const bool shared = std::find(kNetworksByFuse.begin(), kNetworksByFuse.end(), type) != kNetworksByFuse.end();
    return shared ? type : std::string();
}

bool is_in_memory(const std::string& path) noexcept {
    struct statfs info {};
    if (::statfs(path.c_str(), &info) != 0) return false;
    const auto type = static_cast<std::uint32_t>(info.f_type);
    return type == 0x01021994 || type == 0x858458F6;  // tmpfs, ramfs
}

void become_owner(const std::string& state_dir, const std::string& name) {
    if (::getuid() != 0 || ::geteuid() != 0)
        throw Error(Errc::bad_input, "--as-owner: only root can take another user's rights, and this process is uid " +
                                         std::to_string(::geteuid()) + ": leave it out, or run as root");
    struct stat info {};
    if (::stat((state_dir + "/" + name).c_str(), &info) != 0 && ::stat(state_dir.c_str(), &info) != 0)
        throw Error(Errc::missing, "--as-owner: neither " + state_dir + "/" + name + " nor " + state_dir + " is there");
    const std::string owner = user_name(info.st_uid);
    const bool grouped = owner.starts_with('#') ? ::setgroups(0, nullptr) == 0 : ::initgroups(owner.c_str(), info.st_gid) == 0;
    if (!grouped || ::setresgid(info.st_gid, info.st_gid, info.st_gid) != 0 ||
        ::setresuid(static_cast<uid_t>(-1), info.st_uid, info.st_uid) != 0)
        fail("--as-owner: cannot become uid " + std::to_string(info.st_uid), errno);
    // The kernel hides /proc/self from who changed user; robust locks are not to be had without it.
    ::prctl(PR_SET_DUMPABLE, 1);
}

}  // namespace riskreg::segment
