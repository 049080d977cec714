#include "persist/file.hpp"

#include <windows.h>

#include <algorithm>
#include <utility>

#include "base/system_win32.hpp"

namespace riskreg::persist {

using base::win32::FileFacts;
using base::win32::handle_of;
using base::win32::Held;

namespace {

constexpr DWORD kShared = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
constexpr std::size_t kPiece = std::size_t{1} << 30;   // counts have 32 bits

IoError last_error() noexcept {
    const DWORD error = ::GetLastError();
    return {static_cast<int>(error == 0 ? ERROR_IO_DEVICE : error)};
}

OVERLAPPED at(std::uint64_t offset) noexcept {
    OVERLAPPED place{};
    place.Offset = static_cast<DWORD>(offset);
    place.OffsetHigh = static_cast<DWORD>(offset >> 32);
    return place;
}

/// Scanners and indexers hold a new file for a moment, and who has it open or mapped for longer is waited for in vain: about 100 ms.
template <class Call>
bool patiently(Call call) noexcept {
    constexpr int kTries = 6;
    for (int attempt = 0;; ++attempt) {
        if (call()) return true;
        const DWORD error = ::GetLastError();
        const bool taken = error == ERROR_ACCESS_DENIED || error == ERROR_SHARING_VIOLATION || error == ERROR_LOCK_VIOLATION;
        if (!taken || attempt == kTries) return false;
        ::Sleep(DWORD{1} << attempt);
        ::SetLastError(error);
    }
}

/// Never a link, a directory or a device.
IoError open_in(const std::string& directory, const std::string& name, DWORD access, DWORD disposition, File& out) noexcept {
    try {
        auto* const rights = static_cast<SECURITY_ATTRIBUTES*>(disposition == CREATE_NEW ? base::win32::owner_only() : nullptr);
        const std::wstring path = base::win32::path_of(directory + "/" + name);
        HANDLE handle = ::CreateFileW(path.c_str(), access, kShared, rights, disposition,
                                      FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT, nullptr);
        if (handle == INVALID_HANDLE_VALUE) return last_error();
        File file(static_cast<int>(reinterpret_cast<std::intptr_t>(handle)));
        FileFacts facts;
        if (!base::win32::facts_of(handle, facts)) return last_error();
        if ((facts.attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0) return IoError::of(IoKind::link);
        if ((facts.attributes & FILE_ATTRIBUTE_DIRECTORY) != 0 || ::GetFileType(handle) != FILE_TYPE_DISK)
            return IoError::of(IoKind::invalid);
        out = std::move(file);
        return {};
    } catch (...) {
        return IoError::of(IoKind::no_memory);
    }
}

}  // namespace

void File::close() noexcept { base::close_released(std::exchange(descriptor_, -1), fork_epoch_); }

IoError File::write_at(const void* bytes, std::size_t size, std::uint64_t offset) const noexcept {
    const auto* from = static_cast<const char*>(bytes);
    while (size > 0) {
        OVERLAPPED place = at(offset);
        DWORD written = 0;
        if (!::WriteFile(handle_of(descriptor_), from, static_cast<DWORD>(std::min(size, kPiece)), &written, &place))
            return last_error();
        if (written == 0) return IoError::of(IoKind::device);
        from += written;
        size -= written;
        offset += written;
    }
    return {};
}

IoError File::read_at(void* bytes, std::size_t size, std::uint64_t offset, std::size_t& got) const noexcept {
    auto* to = static_cast<char*>(bytes);
    got = 0;
    while (got < size) {
        OVERLAPPED place = at(offset + got);
        DWORD count = 0;
        if (!::ReadFile(handle_of(descriptor_), to + got, static_cast<DWORD>(std::min(size - got, kPiece)), &count, &place))
            return ::GetLastError() == ERROR_HANDLE_EOF ? IoError{} : last_error();
        if (count == 0) return {};
        got += count;
    }
    return {};
}

IoError File::sync() const noexcept {
    if (::FlushFileBuffers(handle_of(descriptor_))) return {};
    if (::GetLastError() != ERROR_ACCESS_DENIED) return last_error();
    // The handle may only read, and the system syncs for those alone who may write.
    HANDLE writable = ::ReOpenFile(handle_of(descriptor_), GENERIC_WRITE, kShared, 0);
    if (writable == INVALID_HANDLE_VALUE) return last_error();
    const IoError error = ::FlushFileBuffers(writable) ? IoError{} : last_error();
    ::CloseHandle(writable);
    return error;
}

IoError File::size(std::uint64_t& bytes) const noexcept {
    LARGE_INTEGER size{};
    if (!::GetFileSizeEx(handle_of(descriptor_), &size)) return last_error();
    bytes = static_cast<std::uint64_t>(size.QuadPart);
    return {};
}

/// The rights as the three numbers of a mode: what the owner alone may do is 0600.
IoError File::access(FileAccess& out) const noexcept {
    try {
        FileFacts facts;
        HANDLE handle = handle_of(descriptor_);
        if (!base::win32::facts_of(handle, facts)) return last_error();
        const base::win32::Access access = base::win32::access_of(handle);
        if (!access.known) return last_error();
        const std::uint32_t others = (access.others_read ? 044U : 0U) | (access.others_write.empty() ? 0U : 022U);
        const bool regular = (facts.attributes & FILE_ATTRIBUTE_DIRECTORY) == 0 && ::GetFileType(handle) == FILE_TYPE_DISK;
        // The system and its administrators are what root is elsewhere.
        out = {regular, 0600U | others, access.owner_is_system ? 0 : access.owner,
               base::win32::number_of(base::win32::this_user())};
        return {};
    } catch (...) {
        return IoError::of(IoKind::no_memory);
    }
}

IoError File::identity(FileIdentity& out) const noexcept {
    FileFacts facts;
    if (!base::win32::facts_of(handle_of(descriptor_), facts)) return last_error();
    out = {facts.volume, facts.file};
    return {};
}

bool File::is_linked() const noexcept {
    FileFacts facts;
    return base::win32::facts_of(handle_of(descriptor_), facts) && facts.linked;
}

IoError File::try_lock() const noexcept {
    // Once for each handle: what has it keeps it until it is closed.
    Held now = Held::nothing;
    return base::win32::lock_byte(handle_of(descriptor_), 0, now, Held::alone) ? IoError{} : last_error();
}

bool File::is_locked_by_others() const noexcept {
    return base::win32::is_byte_held_by_others(handle_of(descriptor_), 0, Held::nothing);
}

void File::drop_cache() const noexcept {}  // nothing of the kind for a handle that is open

IoError Directory::open(const std::string& path, Directory& out) noexcept {
    try {
        // Not to be moved away or removed as long as it is open: its files are reached by its path.
        HANDLE handle =
            ::CreateFileW(base::win32::path_of(path).c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE, nullptr,
                          OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT, nullptr);
        if (handle == INVALID_HANDLE_VALUE) return last_error();
        File file(static_cast<int>(reinterpret_cast<std::intptr_t>(handle)));
        FileFacts facts;
        if (!base::win32::facts_of(handle, facts)) return last_error();
        if ((facts.attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0) return IoError::of(IoKind::link);
        if ((facts.attributes & FILE_ATTRIBUTE_DIRECTORY) == 0) return IoError::of(IoKind::invalid);
        out.descriptor_ = static_cast<int>(reinterpret_cast<std::intptr_t>(handle));
        out.handle_ = std::move(file);
        out.path_ = path;
        return {};
    } catch (...) {
        return IoError::of(IoKind::no_memory);
    }
}

IoError Directory::create(const std::string& name, File& out) const noexcept {
    return open_in(path_, name, GENERIC_READ | GENERIC_WRITE | DELETE, CREATE_NEW, out);
}

IoError Directory::open_file(const std::string& name, File& out, bool writable) const noexcept {
    return open_in(path_, name, writable ? GENERIC_READ | GENERIC_WRITE : GENERIC_READ, OPEN_EXISTING, out);
}

IoError Directory::rename(const std::string& from, const std::string& to) const noexcept {
    try {
        const std::wstring source = base::win32::path_of(path_ + "/" + from), target = base::win32::path_of(path_ + "/" + to);
        const auto move = [&] {
            return ::MoveFileExW(source.c_str(), target.c_str(), MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH) != 0;
        };
        return patiently(move) ? IoError{} : last_error();
    } catch (...) {
        return IoError::of(IoKind::no_memory);
    }
}

IoError Directory::link(const std::string& from, const std::string& to) const noexcept {
    try {
        const std::wstring source = base::win32::path_of(path_ + "/" + from), target = base::win32::path_of(path_ + "/" + to);
        return ::CreateHardLinkW(target.c_str(), source.c_str(), nullptr) ? IoError{} : last_error();
    } catch (...) {
        return IoError::of(IoKind::no_memory);
    }
}

IoError Directory::remove(const std::string& name) const noexcept {
    try {
        const std::wstring path = base::win32::path_of(path_ + "/" + name);
        return patiently([&] { return ::DeleteFileW(path.c_str()) != 0; }) ? IoError{} : last_error();
    } catch (...) {
        return IoError::of(IoKind::no_memory);
    }
}

IoError Directory::sync() const noexcept {
    // NTFS keeps a journal of its names, and renames are written through; where a directory can be synced besides, it is. That it cannot
    // is no failed sync.
    HANDLE writable = ::ReOpenFile(handle_of(descriptor_), GENERIC_WRITE, kShared, FILE_FLAG_BACKUP_SEMANTICS);
    if (writable == INVALID_HANDLE_VALUE) return {};
    const bool synced = ::FlushFileBuffers(writable) != 0;
    const IoError error = synced ? IoError{} : last_error();
    ::CloseHandle(writable);
    const bool refused = error.number == ERROR_ACCESS_DENIED || error.number == ERROR_INVALID_HANDLE;
    return refused || error.is_not_supported() || error.kind() == IoKind::invalid ? IoError{} : error;
}

IoError Directory::list(std::vector<std::string>& names) const {
    return base::list_directory(path_, names) ? IoError{} : last_error();
}

bool Directory::is_current() const noexcept {
    FileFacts named, opened;
    return base::win32::facts_at(path_, named) && base::win32::facts_of(handle_of(descriptor_), opened) &&
           named.file == opened.file && named.volume == opened.volume;
}

DirectoryIdentity Directory::identity() const noexcept {
    FileFacts facts;
    if (!base::win32::facts_of(handle_of(descriptor_), facts)) return {};
    return {facts.volume, facts.file};
}

IoError read_whole(const std::string& path, std::size_t most, std::string& out, FileAccess& access) {
    HANDLE handle = ::CreateFileW(base::win32::path_of(path).c_str(), GENERIC_READ, kShared, nullptr, OPEN_EXISTING,
                                  FILE_FLAG_BACKUP_SEMANTICS, nullptr);
    if (handle == INVALID_HANDLE_VALUE) return last_error();
    const File file(static_cast<int>(reinterpret_cast<std::intptr_t>(handle)));
    if (const IoError error = file.access(access)) return error;
    if (!access.is_regular) return {};
    out.resize(most + 1);
    std::size_t got = 0;
    if (const IoError error = file.read_at(out.data(), out.size(), 0, got)) return error;
    out.resize(got);
    return got > most ? IoError::of(IoKind::too_large) : IoError{};
}

}  // namespace riskreg::persist
