#include "segment/lifecycle.hpp"

#include <windows.h>

#include <errno.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "base/descriptor.hpp"
#include "base/system_win32.hpp"
#include "riskreg/error.hpp"
#include "segment/lock_file.hpp"
#include "segment/process.hpp"

namespace riskreg::segment {

using base::win32::FileFacts;
using base::win32::handle_of;
using base::win32::Held;

void fail(const std::string& doing, int error) {
    const Errc code = error == ENOENT ? Errc::missing : error == EACCES || error == EPERM ? Errc::permission : Errc::system;
    throw Error(code, doing + ": " + std::strerror(error));
}

void fail_by_errno(const std::string& doing) { fail(doing, errno); }

namespace {

constexpr DWORD kShared = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

[[noreturn]] void fail_by_system(const std::string& doing, DWORD error) {
    const int number = base::win32::errno_of(error);
    const Errc code = number == ENOENT ? Errc::missing : number == EACCES ? Errc::permission : Errc::system;
    throw Error(code, doing + ": " + base::win32::error_text(error));
}

int descriptor_of(HANDLE handle) noexcept {
    return handle == INVALID_HANDLE_VALUE ? -1 : static_cast<int>(reinterpret_cast<std::intptr_t>(handle));
}

base::Descriptor open_directory(const std::string& path) noexcept {
    return base::Descriptor(
        descriptor_of(::CreateFileW(base::win32::path_of(path).c_str(), GENERIC_READ, kShared, nullptr, OPEN_EXISTING,
                                    FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT, nullptr)));
}

/// A registry serves the processes of one user. Somebody else, an administrator included, would make files that its owner cannot open.
void require_owner(const base::win32::Access& access, const std::string& path, const std::string& name) {
    if (access.known && access.owner == user_id()) return;
    throw Error(Errc::foreign, "registry '" + name + "': " + path + " belongs to " + access.owner_name + ", this process is " +
                                   base::win32::name_of(base::win32::this_user()) +
                                   ": run it as that user, or give the files away with icacls /setowner");
}

void require_closed(const std::string& others, const std::string& path) {
    if (others.empty()) return;
    throw Error(Errc::foreign,
                path + " may be written by " + others +
                    ": a stranger could put files into the registry. Check what is in it, then take that right away "
                    "with icacls");
}

/// Who owns what the registry's directory lies in could put another directory in its place.
void require_safe_state_dir(const std::string& state_dir) {
    const base::Descriptor directory = open_directory(state_dir);
    if (!directory.is_open()) return;  // opening what is in it will say why
    const base::win32::Access access = base::win32::access_of(handle_of(directory.get()));
    if (access.known && access.owner != user_id() && !access.owner_is_system)
        throw Error(Errc::foreign, "the state directory " + state_dir + " belongs to " + access.owner_name +
                                       ", allowed: this process's user, or the administrators");
    require_closed(access.others_replace, state_dir);
}

/// The rights are the owner's from the first moment on.
void make_directory(const std::string& path) {
    auto* const rights = static_cast<SECURITY_ATTRIBUTES*>(base::win32::owner_only());
    if (::CreateDirectoryW(base::win32::path_of(path).c_str(), rights) || ::GetLastError() == ERROR_ALREADY_EXISTS) return;
    fail_by_system("cannot create " + path, ::GetLastError());
}

void make_directories(const std::string& state_dir, const std::string& directory) {
    const std::filesystem::path above =
        std::filesystem::absolute(std::filesystem::path(base::win32::wide(state_dir))).parent_path();
    std::error_code error;
    std::filesystem::create_directories(above, error);
    if (error) fail("cannot create what the state directory " + state_dir + " lies in", error.value());
    FileFacts there;
    if (!base::win32::facts_at(state_dir, there)) make_directory(state_dir);
    make_directory(directory);
}

bool holds_files(const std::string& directory) {
    std::vector<std::string> names;
    static_cast<void>(base::list_directory(directory, names));
    return std::any_of(names.begin(), names.end(),
                       [](const std::string& name) { return name.starts_with("journal-") || name.starts_with("checkpoint-"); });
}

/// Empty: its creator died. A token alone: a build of before.
void require_own_lock(const base::Descriptor& lock, const std::string& path) {
    LockContent content{};
    if (facts_of_lock(lock, path).size <= sizeof content.token) return;
    const std::int64_t got = read_lock(lock, &content, sizeof content);
    if (got < 0) return;  // whoever needs what is in it says so
    if (got >= static_cast<std::int64_t>(offsetof(LockContent, stage)) && content.magic == kLockMagic) return;
    throw Error(Errc::foreign, path + " is not a LOCK file of a registry: choose another --state-dir or name");
}

base::Descriptor open_registry_directory(const std::string& state_dir, const std::string& name) {
    const std::string path = state_dir + "/" + name;
    base::Descriptor directory = open_directory(path);
    if (const DWORD error = ::GetLastError(); !directory.is_open()) {
        if (base::win32::errno_of(error) != ENOENT) fail_by_system("cannot open " + path, error);
        throw Error(Errc::missing, "no registry '" + name + "' in " + state_dir + ": create it with `riskctl create " + name +
                                       " --config FILE`, or name the right --state-dir");
    }
    FileFacts facts;
    if (!base::win32::facts_of(handle_of(directory.get()), facts)) fail_by_system("cannot look at " + path, ::GetLastError());
    if ((facts.attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0)
        throw Error(Errc::foreign, path + " is a link: a registry's directory is none; name the real one with --state-dir");
    if ((facts.attributes & FILE_ATTRIBUTE_DIRECTORY) == 0) throw Error(Errc::foreign, path + " is no directory");
    return directory;
}

base::Descriptor open_lock_file(const std::string& path, bool make, DWORD access) noexcept {
    auto* const rights = static_cast<SECURITY_ATTRIBUTES*>(make ? base::win32::owner_only() : nullptr);
    return base::Descriptor(descriptor_of(::CreateFileW(base::win32::path_of(path).c_str(), access, kShared, rights,
                                                        make ? OPEN_ALWAYS : OPEN_EXISTING,
                                                        FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT, nullptr)));
}

base::Descriptor open_lock(const std::string& state_dir, const std::string& name, bool create) {
    const std::string directory = state_dir + "/" + name, path = directory + "/LOCK";
    if (create) make_directories(state_dir, directory);
    {
        const base::Descriptor parent = open_registry_directory(state_dir, name);
        const base::win32::Access access = base::win32::access_of(handle_of(parent.get()));
        require_owner(access, directory, name);
        require_closed(access.others_write, directory);
        require_safe_state_dir(state_dir);
    }
    // A backup may have left LOCK out: where the files of a registry are, it is made anew.
    const bool make = create || holds_files(directory);
    base::Descriptor lock = open_lock_file(path, make, GENERIC_READ | GENERIC_WRITE);
    // On a volume that is write-protected one can still look.
    if (!lock.is_open() && ::GetLastError() == ERROR_WRITE_PROTECT) lock = open_lock_file(path, false, GENERIC_READ);
    if (const DWORD error = ::GetLastError(); !lock.is_open()) {
        if (base::win32::errno_of(error) != ENOENT) fail_by_system("cannot open " + path, error);
        throw Error(Errc::missing, "no registry '" + name + "' in " + state_dir + ": " + directory +
                                       " has no LOCK file; create it with " + "`riskctl create " + name +
                                       " --config FILE`, or name the right --state-dir");
    }
    FileFacts facts;
    if (!base::win32::facts_of(handle_of(lock.get()), facts)) fail_by_system("cannot look at " + path, ::GetLastError());
    if ((facts.attributes & (FILE_ATTRIBUTE_REPARSE_POINT | FILE_ATTRIBUTE_DIRECTORY)) != 0)
        throw Error(Errc::foreign, path + " is not a file: it is not a registry's");
    const base::win32::Access access = base::win32::access_of(handle_of(lock.get()));
    require_owner(access, path, name);
    require_closed(access.others_write, path);
    require_own_lock(lock, path);
    return lock;
}

}  // namespace

LockFacts facts_of_lock(const base::Descriptor& lock, const std::string& path) {
    FileFacts facts;
    if (!base::win32::facts_of(handle_of(lock.get()), facts)) fail_by_system("cannot look at " + path, ::GetLastError());
    return {facts.volume, facts.file, facts.size};
}

std::int64_t read_lock(const base::Descriptor& lock, void* bytes, std::size_t size) noexcept {
    OVERLAPPED begin{};
    DWORD got = 0;
    if (::ReadFile(handle_of(lock.get()), bytes, static_cast<DWORD>(size), &got, &begin)) return got;
    if (::GetLastError() == ERROR_HANDLE_EOF) return 0;
    errno = base::win32::errno_of(::GetLastError());
    return -1;
}

void write_lock(const base::Descriptor& lock, const std::string& path, const void* bytes, std::size_t size) {
    OVERLAPPED begin{};
    DWORD wrote = 0;
    HANDLE file = handle_of(lock.get());
    if (!::WriteFile(file, bytes, static_cast<DWORD>(size), &wrote, &begin) || wrote != size)
        fail_by_system("cannot write " + path, ::GetLastError());
    if (!::FlushFileBuffers(file)) fail_by_system("cannot sync " + path, ::GetLastError());
}

std::string resolve_state_dir(const std::string& configured) {
    if (!configured.empty()) return configured;
    if (std::string own = base::win32::variable("RISKREG_STATE_DIR"); !own.empty()) return own;
    if (const std::string local = base::win32::variable("LOCALAPPDATA"); !local.empty()) return local + "\\riskreg\\state";
    throw Error(Errc::bad_input, "no state directory: give --state-dir, or set RISKREG_STATE_DIR or LOCALAPPDATA");
}

LifecycleLock::LifecycleLock(const std::string& state_dir, const std::string& name, bool create)
    : directory_(state_dir + "/" + name), descriptor_(open_lock(state_dir, name, create)) {}

bool LifecycleLock::set_lock(int type, int byte) noexcept {
    unsigned char& kept = held_[static_cast<std::size_t>(byte)];
    auto now = static_cast<Held>(kept);
    // Whoever wants it alone asks in rounds, or once and takes a no.
    const auto wanted = static_cast<Held>(type);
    const bool granted =
        base::win32::lock_byte(handle_of(descriptor_.get()), static_cast<unsigned>(byte), now, wanted, wanted == Held::shared);
    kept = static_cast<unsigned char>(now);
    return granted;
}

bool LifecycleLock::ask(int type) {
    if (set_lock(type)) return true;
    const DWORD error = ::GetLastError();
    if (error == ERROR_LOCK_VIOLATION || error == ERROR_IO_PENDING || error == ERROR_ACCESS_DENIED) return false;
    throw Error(Errc::system,
                "cannot lock " + directory_ + "/LOCK: " + base::win32::error_text(error) +
                    ": the file system of the state directory must give file locks; use a local one with --state-dir");
}

bool LifecycleLock::try_exclusive() { return ask(static_cast<int>(Held::alone)); }
bool LifecycleLock::try_shared() { return ask(static_cast<int>(Held::shared)); }
void LifecycleLock::release() noexcept { static_cast<void>(set_lock(static_cast<int>(Held::nothing))); }
bool LifecycleLock::is_held_by_others() const noexcept {
    return base::win32::is_byte_held_by_others(handle_of(descriptor_.get()), 0, static_cast<Held>(held_[0]));
}
bool LifecycleLock::try_host() noexcept { return set_lock(static_cast<int>(Held::alone), 1); }
void LifecycleLock::release_host() noexcept { static_cast<void>(set_lock(static_cast<int>(Held::nothing), 1)); }
bool LifecycleLock::try_switch() noexcept { return set_lock(static_cast<int>(Held::alone), 2); }
void LifecycleLock::release_switch() noexcept { static_cast<void>(set_lock(static_cast<int>(Held::nothing), 2)); }

LifecycleLock::Granted LifecycleLock::wait_any(std::int64_t deadline_ns) {
    for (;;) {
        if (try_exclusive()) return Granted::exclusive;
        if (try_shared()) return Granted::shared;
        if (monotonic_ns() >= deadline_ns) return Granted::none;
        sleep_ns(1'000'000);
    }
}

bool LifecycleLock::is_current() const noexcept {
    try {
        FileFacts named, held;
        return base::win32::facts_at(directory_ + "/LOCK", named) &&
               base::win32::facts_of(handle_of(descriptor_.get()), held) && named.file == held.file &&
               named.volume == held.volume;
    } catch (...) {
        return true;  // no memory for the path: not known
    }
}

std::uint64_t LifecycleLock::directory_inode() const noexcept {
    FileFacts facts;
    return base::win32::facts_at(directory_, facts) ? facts.file : 0;
}

std::vector<std::string> remove_registry_files(const std::string& directory) {
    std::vector<std::string> names, left;
    if (!base::list_directory(directory, names)) return {};
    for (const std::string& name : names) {
        FileFacts facts;
        const std::string path = directory + "/" + name;
        if (name == "LOCK" || !base::win32::facts_at(path, facts)) continue;
        const bool is_directory = (facts.attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
        const bool plain = !is_directory && (facts.attributes & FILE_ATTRIBUTE_REPARSE_POINT) == 0;
        const bool removed = is_own_file(name) && plain && ::DeleteFileW(base::win32::path_of(path).c_str()) != 0;
        if (!removed) left.push_back(is_directory ? name + "/" : name);
    }
    std::sort(left.begin(), left.end());
    return left;
}

// ---- other processes, and where a directory lies ----------------------------------------------------------------------------------

std::string process_text(std::uint32_t pid) {
    const std::string number = std::to_string(pid);
    HANDLE process = ::OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, pid);
    if (process == nullptr) return "pid " + number + " (not to be seen from here)";
    std::wstring path(32768, L'\0');
    auto size = static_cast<DWORD>(path.size());
    const bool known = ::QueryFullProcessImageNameW(process, 0, path.data(), &size) != 0;
    ::CloseHandle(process);
    if (!known) return "pid " + number + " (?)";
    std::string program = base::win32::narrow(std::wstring_view(path).substr(0, size));
    program.erase(0, program.find_last_of("\\/") + 1);
    return "pid " + number + " (" + program + ")";
}

std::string holders_of(const std::string&) { return {}; }  // who has a file open is not told to everybody here

namespace {

/// Of the drive or share that a path lies on.
UINT drive_type_of(const std::string& path) {
    const std::wstring whole = std::filesystem::absolute(std::filesystem::path(base::win32::wide(path))).root_path().wstring();
    return ::GetDriveTypeW(whole.c_str());
}

}  // namespace

bool is_on_network(const std::string& path) noexcept {
    try {
        return drive_type_of(path) == DRIVE_REMOTE;
    } catch (...) {
        return false;
    }
}

std::string network_file_system(const std::string& path) { return is_on_network(path) ? "network drive" : ""; }

bool is_in_memory(const std::string& path) noexcept {
    try {
        return drive_type_of(path) == DRIVE_RAMDISK;
    } catch (...) {
        return false;
    }
}

void become_owner(const std::string&, const std::string&) {
    throw Error(Errc::not_supported,
                "--as-owner: no process takes another user's rights on Windows: run it as that user (runas)");
}

}  // namespace riskreg::segment
