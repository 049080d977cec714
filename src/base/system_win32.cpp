#include "base/system_win32.hpp"

#include <windows.h>

#include <aclapi.h>
#include <errno.h>
#include <sddl.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

namespace riskreg::base::win32 {

std::wstring wide(std::string_view utf8) {
    const int size = static_cast<int>(utf8.size());
    std::wstring text(static_cast<std::size_t>(::MultiByteToWideChar(CP_UTF8, 0, utf8.data(), size, nullptr, 0)), L'\0');
    ::MultiByteToWideChar(CP_UTF8, 0, utf8.data(), size, text.data(), static_cast<int>(text.size()));
    return text;
}

std::string narrow(std::wstring_view utf16) {
    const int size = static_cast<int>(utf16.size());
    std::string text(
        static_cast<std::size_t>(::WideCharToMultiByte(CP_UTF8, 0, utf16.data(), size, nullptr, 0, nullptr, nullptr)), '\0');
    ::WideCharToMultiByte(CP_UTF8, 0, utf16.data(), size, text.data(), static_cast<int>(text.size()), nullptr, nullptr);
    return text;
}

std::wstring path_of(const std::string& utf8) {
    constexpr std::size_t kShort = 200;   // room for a name behind it, below MAX_PATH
    std::wstring path = wide(utf8);
    std::replace(path.begin(), path.end(), L'/', L'\\');
    if (path.size() < kShort || path.starts_with(L"\\\\?\\")) return path;
    const DWORD size = ::GetFullPathNameW(path.c_str(), 0, nullptr, nullptr);
    if (size == 0) return path;
    std::wstring whole(size, L'\0');
    whole.resize(::GetFullPathNameW(path.c_str(), size, whole.data(), nullptr));
    if (whole.starts_with(L"\\\\")) return L"\\\\?\\UNC" + whole.substr(1);
    return L"\\\\?\\" + whole;
}

std::string variable(const char* name) {
    const std::wstring wanted = wide(name);
    std::wstring value(::GetEnvironmentVariableW(wanted.c_str(), nullptr, 0), L'\0');
    if (value.empty()) return {};
    value.resize(::GetEnvironmentVariableW(wanted.c_str(), value.data(), static_cast<DWORD>(value.size())));
    return narrow(value);
}

std::string error_text(unsigned long error) {
    std::array<wchar_t, 512> text{};
    const DWORD size = ::FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, nullptr, error, 0,
                                        text.data(), static_cast<DWORD>(text.size()), nullptr);
    std::wstring_view words(text.data(), size);
    while (!words.empty() && (words.back() <= L' ' || words.back() == L'.')) words.remove_suffix(1);
    if (words.empty()) return "error " + std::to_string(error) + " of Windows";
    return narrow(words) + " (error " + std::to_string(error) + ")";
}

int errno_of(unsigned long error) noexcept {
    switch (error) {
        case ERROR_SUCCESS: return 0;
        case ERROR_FILE_NOT_FOUND:
        case ERROR_PATH_NOT_FOUND:
        case ERROR_INVALID_NAME:
        case ERROR_BAD_NETPATH:
        case ERROR_INVALID_DRIVE: return ENOENT;
        case ERROR_DIRECTORY: return ENOTDIR;
        case ERROR_ACCESS_DENIED:
        case ERROR_SHARING_VIOLATION:
        case ERROR_LOCK_VIOLATION:
        case ERROR_DELETE_PENDING: return EACCES;
        case ERROR_FILE_EXISTS:
        case ERROR_ALREADY_EXISTS: return EEXIST;
        case ERROR_TOO_MANY_OPEN_FILES: return EMFILE;
        case ERROR_NOT_ENOUGH_MEMORY:
        case ERROR_OUTOFMEMORY: return ENOMEM;
        case ERROR_DISK_FULL:
        case ERROR_HANDLE_DISK_FULL: return ENOSPC;
        case ERROR_WRITE_PROTECT: return EROFS;
        case ERROR_INVALID_HANDLE: return EBADF;
        case ERROR_INVALID_PARAMETER: return EINVAL;
        case ERROR_BROKEN_PIPE:
        case ERROR_NO_DATA: return EPIPE;
        default: return EIO;
    }
}

// ---- users and rights -----------------------------------------------------------------------------------------------------------

namespace {

struct Sid {
    alignas(8) std::array<unsigned char, SECURITY_MAX_SID_SIZE> bytes{};
    bool known = false;
    [[nodiscard]] PSID get() noexcept { return known ? bytes.data() : nullptr; }
};

Sid well_known(WELL_KNOWN_SID_TYPE type) noexcept {
    Sid sid;
    DWORD size = static_cast<DWORD>(sid.bytes.size());
    sid.known = ::CreateWellKnownSid(type, nullptr, sid.bytes.data(), &size) != 0;
    return sid;
}

Sid read_user() noexcept {
    Sid sid;
    HANDLE token = nullptr;
    if (!::OpenProcessToken(::GetCurrentProcess(), TOKEN_QUERY, &token)) return sid;
    alignas(8) std::array<unsigned char, sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE> space{};
    DWORD size = 0;
    if (::GetTokenInformation(token, TokenUser, space.data(), static_cast<DWORD>(space.size()), &size)) {
        const auto* user = reinterpret_cast<const TOKEN_USER*>(space.data());
        sid.known = ::CopySid(static_cast<DWORD>(sid.bytes.size()), sid.bytes.data(), user->User.Sid) != 0;
    }
    ::CloseHandle(token);
    return sid;
}

Sid& user_sid() noexcept {
    static Sid sid = read_user();
    return sid;
}

Sid& system_sid() noexcept {
    static Sid sid = well_known(WinLocalSystemSid);
    return sid;
}

Sid& administrators_sid() noexcept {
    static Sid sid = well_known(WinBuiltinAdministratorsSid);
    return sid;
}

bool equals(PSID sid, Sid& other) noexcept { return other.known && ::EqualSid(sid, other.get()) != 0; }

/// Owner, and a list of two entries.
struct OwnerOnly {
    alignas(8) std::array<unsigned char, sizeof(ACL) + 2 * (sizeof(ACCESS_ALLOWED_ACE) + SECURITY_MAX_SID_SIZE)> list{};
    SECURITY_DESCRIPTOR descriptor{};
    SECURITY_ATTRIBUTES attributes{};
    bool made = false;

    OwnerOnly() noexcept {
        auto* acl = reinterpret_cast<ACL*>(list.data());
        constexpr DWORD inherit = OBJECT_INHERIT_ACE | CONTAINER_INHERIT_ACE;
        Sid& user = user_sid();
        Sid& system = system_sid();
        made = user.known && system.known && ::InitializeAcl(acl, static_cast<DWORD>(list.size()), ACL_REVISION) &&
               ::AddAccessAllowedAceEx(acl, ACL_REVISION, inherit, GENERIC_ALL, user.get()) &&
               ::AddAccessAllowedAceEx(acl, ACL_REVISION, inherit, GENERIC_ALL, system.get()) &&
               ::InitializeSecurityDescriptor(&descriptor, SECURITY_DESCRIPTOR_REVISION) &&
               ::SetSecurityDescriptorOwner(&descriptor, user.get(), FALSE) &&
               ::SetSecurityDescriptorDacl(&descriptor, TRUE, acl, FALSE) &&
               ::SetSecurityDescriptorControl(&descriptor, SE_DACL_PROTECTED, SE_DACL_PROTECTED);
        attributes = {sizeof attributes, &descriptor, FALSE};
    }
};

}  // namespace

void* owner_only() noexcept {
    static OwnerOnly only;
    return only.made ? &only.attributes : nullptr;
}

const void* this_user() noexcept { return user_sid().get(); }

std::uint32_t number_of(const void* sid) noexcept {
    if (sid == nullptr) return 0;
    const auto* bytes = static_cast<const unsigned char*>(sid);
    std::uint32_t hash = 2166136261U;
    for (DWORD i = 0; i < ::GetLengthSid(const_cast<void*>(sid)); ++i) hash = (hash ^ bytes[i]) * 16777619U;
    return hash & 0x7FFFFFFFU;
}

std::string name_of(const void* sid) {
    if (sid == nullptr) return "?";
    std::array<wchar_t, 256> name{}, domain{};
    DWORD name_size = static_cast<DWORD>(name.size()), domain_size = static_cast<DWORD>(domain.size());
    SID_NAME_USE use{};
    if (::LookupAccountSidW(nullptr, const_cast<void*>(sid), name.data(), &name_size, domain.data(), &domain_size, &use))
        return narrow(domain.data()) + "\\" + narrow(name.data());
    wchar_t* text = nullptr;
    if (!::ConvertSidToStringSidW(const_cast<void*>(sid), &text)) return "?";
    const std::string written = narrow(text);
    ::LocalFree(text);
    return written;
}

namespace {

constexpr DWORD kReplaces = FILE_DELETE_CHILD | DELETE | WRITE_DAC | WRITE_OWNER | GENERIC_ALL;
constexpr DWORD kWrites = FILE_WRITE_DATA | FILE_APPEND_DATA | GENERIC_WRITE | kReplaces;
constexpr DWORD kReads = FILE_READ_DATA | GENERIC_READ | GENERIC_ALL;

void look_at_entry(const ACCESS_ALLOWED_ACE& entry, PSID owner, Access& access) {
    if (entry.Header.AceType != ACCESS_ALLOWED_ACE_TYPE || (entry.Header.AceFlags & INHERIT_ONLY_ACE) != 0) return;
    PSID sid = const_cast<DWORD*>(&entry.SidStart);
    if (::EqualSid(sid, owner) || equals(sid, user_sid()) || equals(sid, system_sid()) || equals(sid, administrators_sid()))
        return;
    if ((entry.Mask & kWrites) != 0) access.others_write = name_of(sid);
    if ((entry.Mask & kReplaces) != 0) access.others_replace = name_of(sid);
    access.others_read |= (entry.Mask & kReads) != 0;
}

}  // namespace

Access access_of(void* handle) {
    Access access;
    PSID owner = nullptr;
    ACL* list = nullptr;
    PSECURITY_DESCRIPTOR descriptor = nullptr;
    if (::GetSecurityInfo(handle, SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION, &owner, nullptr,
                          &list, nullptr, &descriptor) != ERROR_SUCCESS)
        return access;
    access.known = owner != nullptr;
    access.owner = number_of(owner);
    access.owner_name = name_of(owner);
    access.owner_is_system = owner != nullptr && (equals(owner, system_sid()) || equals(owner, administrators_sid()));
    if (list == nullptr) {
        access.others_write = access.others_replace = "everybody";
        access.others_read = true;
    }
    for (WORD i = 0; list != nullptr && owner != nullptr && i < list->AceCount; ++i) {
        void* entry = nullptr;
        if (::GetAce(list, i, &entry)) look_at_entry(*static_cast<const ACCESS_ALLOWED_ACE*>(entry), owner, access);
    }
    ::LocalFree(descriptor);
    return access;
}

// ---- files ----------------------------------------------------------------------------------------------------------------------

namespace {

constexpr std::int64_t kEpoch = 116'444'736'000'000'000;  // 1970 in units of 100 ns since 1601

}  // namespace

bool facts_of(void* handle, FileFacts& out) noexcept {
    BY_HANDLE_FILE_INFORMATION info{};
    FILE_STANDARD_INFO standard{};
    if (!::GetFileInformationByHandle(handle, &info)) return false;
    const bool pending = ::GetFileInformationByHandleEx(handle, FileStandardInfo, &standard, sizeof standard) != 0 &&
                         standard.DeletePending != 0;
    const auto two = [](DWORD high, DWORD low) { return static_cast<std::uint64_t>(high) << 32 | low; };
    const auto written = two(info.ftLastWriteTime.dwHighDateTime, info.ftLastWriteTime.dwLowDateTime);
    out = {info.dwVolumeSerialNumber,
           two(info.nFileIndexHigh, info.nFileIndexLow),
           two(info.nFileSizeHigh, info.nFileSizeLow),
           info.dwFileAttributes,
           (static_cast<std::int64_t>(written) - kEpoch) * 100,
           info.nNumberOfLinks != 0 && !pending};
    return true;
}

bool facts_at(const std::string& path, FileFacts& out) noexcept {
    try {
        HANDLE handle =
            ::CreateFileW(path_of(path).c_str(), FILE_READ_ATTRIBUTES, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                          nullptr, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT, nullptr);
        if (handle == INVALID_HANDLE_VALUE) return false;
        const bool known = facts_of(handle, out);
        const DWORD error = ::GetLastError();
        ::CloseHandle(handle);
        ::SetLastError(error);
        return known;
    } catch (...) {
        ::SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return false;
    }
}

namespace {

constexpr DWORD kLocksAt = 0x40000000;  // times 2^32
constexpr int kTries = 20;  // of a millisecond: somebody may have looked just then

OVERLAPPED place_of(unsigned byte) noexcept {
    OVERLAPPED place{};
    place.Offset = byte;
    place.OffsetHigh = kLocksAt;
    return place;
}

bool take(HANDLE handle, unsigned byte, bool alone) noexcept {
    OVERLAPPED place = place_of(byte);
    return ::LockFileEx(handle, LOCKFILE_FAIL_IMMEDIATELY | (alone ? LOCKFILE_EXCLUSIVE_LOCK : 0), 0, 1, 0, &place) != 0;
}

void give_back(HANDLE handle, unsigned byte) noexcept {
    OVERLAPPED place = place_of(byte);
    ::UnlockFileEx(handle, 0, 1, 0, &place);
}

bool take_in_time(HANDLE handle, unsigned byte, bool alone) noexcept {
    for (int attempt = 0; !take(handle, byte, alone); ++attempt) {
        const DWORD error = ::GetLastError();
        if (attempt == kTries || (error != ERROR_LOCK_VIOLATION && error != ERROR_IO_PENDING)) return false;
        ::Sleep(1);
    }
    return true;
}

}  // namespace

bool lock_byte(void* handle, unsigned byte, Held& now, Held wanted, bool patient) noexcept {
    if (now == wanted) return true;
    if (wanted == Held::nothing) {
        give_back(handle, byte);
        now = Held::nothing;
        return true;
    }
    if (now == Held::shared) return ::SetLastError(ERROR_LOCK_VIOLATION), false;
    // Shared on top of alone is granted to the handle that has it; what is given back first is use alone.
    if (now == Held::alone) {
        if (!take(handle, byte, false)) return false;
        give_back(handle, byte);
    } else if (const bool alone = wanted == Held::alone;
               !(patient ? take_in_time(handle, byte, alone) : take(handle, byte, alone))) {
        return false;
    }
    now = wanted;
    return true;
}

bool is_byte_held_by_others(void* handle, unsigned byte, Held now) noexcept {
    if (now == Held::alone) return false;
    if (!take(handle, byte, true)) return true;
    give_back(handle, byte);
    return false;
}

// ---- waiting --------------------------------------------------------------------------------------------------------------------

namespace {

#ifndef CREATE_WAITABLE_TIMER_HIGH_RESOLUTION
constexpr DWORD CREATE_WAITABLE_TIMER_HIGH_RESOLUTION = 2;
#endif

/// One for each thread; systems before 1803 know the ordinary kind only.
struct Timer {
    HANDLE handle = ::CreateWaitableTimerExW(nullptr, nullptr, CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, TIMER_ALL_ACCESS);
    Timer() noexcept {
        if (handle == nullptr) handle = ::CreateWaitableTimerExW(nullptr, nullptr, 0, TIMER_ALL_ACCESS);
    }
    ~Timer() {
        if (handle != nullptr) ::CloseHandle(handle);
    }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;
};

DWORD milliseconds(std::int64_t ns) noexcept {
    return static_cast<DWORD>(std::clamp<std::int64_t>((ns + 999'999) / 1'000'000, 0, 0x7FFF'FFFF));
}

}  // namespace

bool wait_for(void* object, std::int64_t ns) noexcept {
    constexpr std::int64_t kLong = 50'000'000;  // a tick of the system's timer does not matter any more
    if (ns <= 0) return object != nullptr && ::WaitForSingleObject(object, 0) == WAIT_OBJECT_0;
    static thread_local Timer timer;
    LARGE_INTEGER due{};
    due.QuadPart = -(ns + 99) / 100;
    if (ns >= kLong || timer.handle == nullptr || !::SetWaitableTimer(timer.handle, &due, 0, nullptr, nullptr, FALSE)) {
        if (object != nullptr) return ::WaitForSingleObject(object, milliseconds(ns)) == WAIT_OBJECT_0;
        ::Sleep(milliseconds(ns));
        return false;
    }
    if (object == nullptr) return ::WaitForSingleObject(timer.handle, INFINITE), false;
    const std::array<HANDLE, 2> either{object, timer.handle};
    return ::WaitForMultipleObjects(2, either.data(), FALSE, INFINITE) == WAIT_OBJECT_0;
}

std::string program_path() {
    std::wstring path(32768, L'\0');
    path.resize(::GetModuleFileNameW(nullptr, path.data(), static_cast<DWORD>(path.size())));
    return narrow(path);
}

}  // namespace riskreg::base::win32
