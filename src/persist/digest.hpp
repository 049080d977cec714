/// SHA-256 of a stream, or HMAC-SHA-256 when there is a key. The cryptography is a library's: digest_openssl.cpp is the only file that
/// sees it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "persist/key.hpp"

namespace riskreg::persist {

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
