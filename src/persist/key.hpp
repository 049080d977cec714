/// The key that signs the files of a registry: where it is read, and who may.
#pragma once

#include <string>
#include <string_view>

namespace riskreg::persist {

/// The key of a registry's checkpoints and journal: the bytes of a file. Empty: none.
struct Key {
    std::string bytes;
    std::string file{};       ///< where it was read, for messages
    [[nodiscard]] bool present() const noexcept { return !bytes.empty(); }
};

/// Reads a key file, and judges it: a regular file of 16 to 4096 bytes, of this user or root, that nobody else may read or
/// write. The one function for creating, hosting, recovering and looking. An empty path gives no key. Throws
/// Error{bad_input, permission}: a key that cannot be had is not the same as none.
[[nodiscard]] Key read_key(const std::string& path);

/// The key that counts: of the file named explicitly, else of $RISKREG_KEY_FILE, else of the one that the configuration
/// names. The same for writing and for reading.
[[nodiscard]] Key resolve_key(const std::string& explicit_path, const std::string& configured_path);

/// What to do about files that are signed, for messages.
inline constexpr const char* kGiveTheKey = "give its key file: --key-file FILE, or $RISKREG_KEY_FILE";

/// What the last member of a checkpoint is called.
[[nodiscard]] std::string_view digest_name(const Key& key) noexcept;

}  // namespace riskreg::persist
