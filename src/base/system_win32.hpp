/// What several *_win32.cpp need of the system, told without its headers: handles are void*, security identifiers and descriptors too.
///
/// Errors     functions that say so throw Error{system}; the others answer with nothing.
/// Threads    all functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace riskreg::base::win32 {

[[nodiscard]] std::wstring wide(std::string_view utf8);
[[nodiscard]] std::string narrow(std::wstring_view utf16);
/// For the W functions: backslashes, and whole with the prefix that allows any length where it is a long one.
[[nodiscard]] std::wstring path_of(const std::string& utf8);
/// A variable of the environment; empty: it is not set.
[[nodiscard]] std::string variable(const char* name);

/// Our own words for what the system says of an error, without an end of line.
[[nodiscard]] std::string error_text(unsigned long error);
/// errno of an error of the system, as the C library would have it.
[[nodiscard]] int errno_of(unsigned long error) noexcept;

/// A descriptor (base/descriptor.hpp) is a handle: of its bits only 32 count, by the rules for programs of both sizes.
[[nodiscard]] inline void* handle_of(int descriptor) noexcept {
    return reinterpret_cast<void*>(static_cast<std::intptr_t>(descriptor));
}

/// SECURITY_ATTRIBUTES of something that its owner alone may use, and the system: owner, and a list that inherits nothing. nullptr: not
/// to be had, and then the default of the process counts. Made once.
[[nodiscard]] void* owner_only() noexcept;

/// SID of the user of this process; nullptr: not to be had. Stays.
[[nodiscard]] const void* this_user() noexcept;
/// 31 bits of a user: hash of the whole SID, for the last number of it is the same in different domains.
[[nodiscard]] std::uint32_t number_of(const void* sid) noexcept;
/// "HOST\\name"; the SID in text where nobody knows it.
[[nodiscard]] std::string name_of(const void* sid);

/// Whose a file or directory is, and who else may change it.
struct Access {
    bool known = false;
    std::uint32_t owner = 0;  ///< number_of
    std::string owner_name;
    bool owner_is_system = false;  ///< the system, or the administrators
    std::string others_write;  ///< who else may write or delete; empty: nobody
    std::string others_replace;  ///< who else may take something out of it, or change its rights
    bool others_read = false;  ///< somebody else may at least read
};
[[nodiscard]] Access access_of(void* handle);

/// Where it lies and what it is, whatever its name is now.
struct FileFacts {
    std::uint64_t volume = 0;
    std::uint64_t file = 0;
    std::uint64_t size = 0;
    std::uint32_t attributes = 0;
    std::int64_t written_ns = 0;  ///< since the Unix epoch
    bool linked = false;  ///< some name leads to it
};
/// False: GetLastError says why.
[[nodiscard]] bool facts_of(void* handle, FileFacts& out) noexcept;
/// Of what has that name, links not followed. False: GetLastError says why.
[[nodiscard]] bool facts_at(const std::string& path, FileFacts& out) noexcept;

/// Locks of one byte, far behind the end of every file: a locked byte of Windows cannot be read by others. One handle has a byte
/// shared or alone, or not at all; asking for what it has already is granted, and use alone becomes shared use without a gap. The other
/// way round it cannot become: then false. `patient`: asks again for some milliseconds, for somebody may only have looked.
enum class Held : std::uint8_t { nothing, shared, alone };
[[nodiscard]] bool lock_byte(void* handle, unsigned byte, Held& now, Held wanted, bool patient = true) noexcept;
/// Another handle has the byte. Takes it for a moment to see, so that whoever asks at that moment is refused: who asks for good tries
/// again. Only for a handle that does not have it shared itself.
[[nodiscard]] bool is_byte_held_by_others(void* handle, unsigned byte, Held now) noexcept;

/// Waits for at most `ns`, and for `object` if there is one; true: it was signalled. More exact than the timer of the system, which
/// ticks every 15.6 ms on most hosts.
bool wait_for(void* object, std::int64_t ns) noexcept;

/// The first path of the system that a program of this process was started from.
[[nodiscard]] std::string program_path();

}  // namespace riskreg::base::win32
