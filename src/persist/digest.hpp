/// SHA-256 of a stream, or HMAC-SHA-256 when there is a key. The cryptography is OpenSSL's.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace riskreg::persist {

/// The key of a registry's checkpoints: the bytes of a file. Empty: none.
struct Key {
    std::string bytes;
    [[nodiscard]] bool present() const noexcept { return !bytes.empty(); }
};

/// Reads a key file. An empty path gives no key. Throws Error{bad_input, permission}: a key that cannot be had is not
/// the same as none.
[[nodiscard]] Key read_key(const std::string& path);

/// The key that counts: of the file named explicitly, else of $RISKREG_KEY_FILE, else of the one that the configuration
/// names. The same for writing and for reading.
[[nodiscard]] Key resolve_key(const std::string& explicit_path, const std::string& configured_path);

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

}  // namespace riskreg::persist
