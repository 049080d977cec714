// Error numbers of Windows, and what they are to us (file.hpp).
#include <windows.h>

#include <array>

#include "base/system_win32.hpp"
#include "persist/file.hpp"

namespace riskreg::persist {

namespace {

constexpr int kQuotaExceeded = 1295;   // ERROR_DISK_QUOTA_EXCEEDED, which not every set of headers names

struct Meaning {
    int number;
    IoKind kind;
};

/// The first number of a kind is the one that we say ourselves.
constexpr std::array<Meaning, 32> kMeanings = {{
    {ERROR_IO_DEVICE, IoKind::device},
    {ERROR_CRC, IoKind::device},
    {ERROR_WRITE_FAULT, IoKind::device},
    {ERROR_READ_FAULT, IoKind::device},
    {ERROR_GEN_FAILURE, IoKind::device},
    {ERROR_DISK_FULL, IoKind::no_space},
    {ERROR_HANDLE_DISK_FULL, IoKind::no_space},
    {kQuotaExceeded, IoKind::no_space},
    {ERROR_NOT_ENOUGH_QUOTA, IoKind::no_space},
    {ERROR_OPERATION_ABORTED, IoKind::interrupted},
    {ERROR_SHARING_VIOLATION, IoKind::try_again},
    {ERROR_LOCK_VIOLATION, IoKind::try_again},
    {ERROR_NOT_ENOUGH_MEMORY, IoKind::no_memory},
    {ERROR_OUTOFMEMORY, IoKind::no_memory},
    {ERROR_NO_SYSTEM_RESOURCES, IoKind::no_memory},
    {ERROR_TOO_MANY_OPEN_FILES, IoKind::no_descriptors},
    {ERROR_FILE_NOT_FOUND, IoKind::missing},
    {ERROR_PATH_NOT_FOUND, IoKind::missing},
    {ERROR_DELETE_PENDING, IoKind::missing},
    {ERROR_CANT_ACCESS_FILE, IoKind::link},
    {ERROR_INVALID_PARAMETER, IoKind::invalid},
    {ERROR_INVALID_NAME, IoKind::invalid},
    {ERROR_FILE_EXISTS, IoKind::existing},
    {ERROR_ALREADY_EXISTS, IoKind::existing},
    {ERROR_FILE_TOO_LARGE, IoKind::too_large},
    {ERROR_NOT_SUPPORTED, IoKind::not_supported},
    {ERROR_INVALID_FUNCTION, IoKind::not_supported},
    {ERROR_CALL_NOT_IMPLEMENTED, IoKind::not_supported},
    {ERROR_TOO_MANY_LINKS, IoKind::not_supported},
    {ERROR_NO_SUCH_PRIVILEGE, IoKind::not_supported},
    {ERROR_NO_USER_KEYS, IoKind::no_key},
    {0, IoKind::none},
}};

}  // namespace

IoError IoError::of(IoKind kind) noexcept {
    for (const Meaning& meaning : kMeanings)
        if (meaning.kind == kind) return {meaning.number};
    return {ERROR_IO_DEVICE};
}

IoKind IoError::kind() const noexcept {
    for (const Meaning& meaning : kMeanings)
        if (meaning.number == number) return meaning.kind;
    return IoKind::other;
}

std::string IoError::text() const {
    return number == 0 ? "no error" : base::win32::error_text(static_cast<unsigned long>(number));
}

}  // namespace riskreg::persist
