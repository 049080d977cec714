// A descriptor of Windows is a handle (system_win32.hpp). Handles are no small numbers that a program may have closed, and children get
// none that is not named to them: what base/descriptor.hpp says of 0 to 2 and of forks needs nothing here.
#include "base/descriptor.hpp"

#include <windows.h>

#include <errno.h>
#include <fcntl.h>
#include <io.h>

#include <algorithm>
#include <array>

#include "base/system_win32.hpp"

namespace riskreg::base {

namespace {

constexpr DWORD kShared = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

int descriptor_of(HANDLE handle) noexcept {
    if (handle == INVALID_HANDLE_VALUE || handle == nullptr) return -1;
    return static_cast<int>(reinterpret_cast<std::intptr_t>(handle));
}

DWORD access_of(int flags) noexcept {
    const bool writes = (flags & (O_WRONLY | O_RDWR)) != 0;
    if ((flags & O_APPEND) != 0) return FILE_APPEND_DATA | FILE_READ_ATTRIBUTES | SYNCHRONIZE;
    if ((flags & O_WRONLY) != 0) return GENERIC_WRITE;
    return writes ? GENERIC_READ | GENERIC_WRITE : GENERIC_READ;
}

DWORD disposition_of(int flags) noexcept {
    if ((flags & O_CREAT) == 0) return (flags & O_TRUNC) != 0 ? TRUNCATE_EXISTING : OPEN_EXISTING;
    if ((flags & O_EXCL) != 0) return CREATE_NEW;
    return (flags & O_TRUNC) != 0 ? CREATE_ALWAYS : OPEN_ALWAYS;
}

int open_raw(const std::string& path, int flags) noexcept {
    try {
        auto* const rights = static_cast<SECURITY_ATTRIBUTES*>((flags & O_CREAT) != 0 ? win32::owner_only() : nullptr);
        HANDLE handle = ::CreateFileW(win32::path_of(path).c_str(), access_of(flags), kShared, rights, disposition_of(flags),
                                      FILE_ATTRIBUTE_NORMAL, nullptr);
        if (handle == INVALID_HANDLE_VALUE) errno = win32::errno_of(::GetLastError());
        return descriptor_of(handle);
    } catch (...) {
        errno = ENOMEM;
        return -1;
    }
}

}  // namespace

std::uint64_t fork_epoch() noexcept { return 0; }

Descriptor::Descriptor(int raw, Kept kept) noexcept : value_(raw), kept_(kept) {}

Descriptor::Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)), kept_(other.kept_) {}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
    if (this == &other) return *this;
    close();
    value_ = std::exchange(other.value_, -1);
    kept_ = other.kept_;
    return *this;
}

int Descriptor::get() const noexcept { return value_; }

void Descriptor::close() noexcept { close_released(std::exchange(value_, -1), fork_epoch_); }

int Descriptor::release() noexcept { return std::exchange(value_, -1); }

void close_released(int descriptor, std::uint64_t) noexcept {
    if (descriptor < 0) return;
    const DWORD kept = ::GetLastError();
    ::CloseHandle(win32::handle_of(descriptor));
    ::SetLastError(kept);
}

int release_to_runtime(Descriptor descriptor) noexcept {
    const int number = ::_open_osfhandle(descriptor.get(), _O_BINARY);
    if (number >= 0) static_cast<void>(descriptor.release());
    return number;
}

Descriptor open_path(const std::string& path, int flags, unsigned, Kept kept) noexcept {
    return Descriptor(open_raw(path, flags), kept);
}

bool list_directory(const std::string& path, std::vector<std::string>& names) {
    WIN32_FIND_DATAW found{};
    HANDLE search =
        ::FindFirstFileExW((win32::path_of(path) + L"\\*").c_str(), FindExInfoBasic, &found, FindExSearchNameMatch, nullptr, 0);
    if (search == INVALID_HANDLE_VALUE) {
        errno = win32::errno_of(::GetLastError());
        return ::GetLastError() == ERROR_FILE_NOT_FOUND;  // the root of an empty volume
    }
    do {
        const std::wstring_view name = found.cFileName;
        if (name != L"." && name != L"..") names.push_back(win32::narrow(name));
    } while (::FindNextFileW(search, &found));
    const DWORD error = ::GetLastError();
    ::FindClose(search);
    errno = win32::errno_of(error);
    return error == ERROR_NO_MORE_FILES;
}

bool read_text(const std::string& path, std::string& text, std::size_t most) {
    text.clear();
    const Descriptor file = open_path(path, O_RDONLY);
    if (!file.is_open()) return false;
    std::array<char, 4096> piece{};
    while (text.size() < most) {
        DWORD got = 0;
        const auto wanted = static_cast<DWORD>(std::min(piece.size(), most - text.size()));
        if (!::ReadFile(win32::handle_of(file.get()), piece.data(), wanted, &got, nullptr)) {
            if (::GetLastError() == ERROR_BROKEN_PIPE) break;
            errno = win32::errno_of(::GetLastError());
            return false;
        }
        if (got == 0) break;
        text.append(piece.data(), got);
    }
    return true;
}

void fill_standard_descriptors() noexcept {
    for (const DWORD which : {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE}) {
        HANDLE there = ::GetStdHandle(which);
        if (there != nullptr && there != INVALID_HANDLE_VALUE) continue;
        HANDLE null = ::CreateFileW(L"NUL", which == STD_INPUT_HANDLE ? GENERIC_READ : GENERIC_WRITE, kShared, nullptr,
                                    OPEN_EXISTING, 0, nullptr);
        if (null != INVALID_HANDLE_VALUE) ::SetStdHandle(which, null);
    }
}

}  // namespace riskreg::base
