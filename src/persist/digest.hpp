/// SHA-256 of a stream, or HMAC-SHA-256 when there is a key. The cryptography is OpenSSL's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
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

class StreamDigest {
public:
    explicit StreamDigest(const Key& key);
    ~StreamDigest();
    StreamDigest(const StreamDigest&) = delete;
    StreamDigest& operator=(const StreamDigest&) = delete;

    void add(std::string_view bytes);
    /// 64 hexadecimal digits; once.
    [[nodiscard]] std::string finish();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// In time that does not depend on where they differ.
[[nodiscard]] bool equal_digests(std::string_view a, std::string_view b) noexcept;

using Mac = std::array<std::uint8_t, 32>;

/// HMAC-SHA-256 of one message after the other under one key, which is taken in once. For one thread.
class Signer {
public:
    /// Without a key it signs nothing.
    explicit Signer(const Key& key = {});
    Signer(Signer&&) noexcept;
    Signer& operator=(Signer&&) noexcept;
    ~Signer();

    [[nodiscard]] bool present() const noexcept { return impl_ != nullptr; }
    /// Where its key was read, for messages.
    [[nodiscard]] const std::string& key_file() const noexcept { return key_file_; }
    /// Of the parts, one behind the other. False when the library has no memory.
    [[nodiscard]] bool sign(std::initializer_list<std::span<const std::byte>> parts, Mac& mac) noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
    std::string key_file_;
};

}  // namespace riskreg::persist
