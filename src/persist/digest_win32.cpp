// SHA-256 and HMAC by the cryptography of Windows.
#include <windows.h>

#include <bcrypt.h>

#include <array>

#include "persist/digest.hpp"
#include "riskreg/error.hpp"

namespace riskreg::persist {

namespace {

bool is_done(NTSTATUS status) noexcept { return status >= 0; }

void require(bool ok) {
    if (!ok) throw Error(Errc::system, "the cryptographic library refused SHA-256");
}

UCHAR* bytes_of(const void* data) noexcept { return static_cast<UCHAR*>(const_cast<void*>(data)); }   // it only reads

/// One hash, with or without a key. Where it is reusable it begins anew after each `finish`, with the key that it has.
class Hash {
public:
    Hash(const Key& key, bool reusable) noexcept {
        const ULONG kind = key.present() ? BCRYPT_ALG_HANDLE_HMAC_FLAG : 0;
        if (!is_done(::BCryptOpenAlgorithmProvider(&algorithm_, BCRYPT_SHA256_ALGORITHM, nullptr, kind))) return;
        UCHAR* const secret = key.present() ? bytes_of(key.bytes.data()) : nullptr;
        ready_ = is_done(::BCryptCreateHash(algorithm_, &hash_, nullptr, 0, secret, static_cast<ULONG>(key.bytes.size()),
                                            reusable ? BCRYPT_HASH_REUSABLE_FLAG : 0));
    }
    ~Hash() {
        if (hash_ != nullptr) ::BCryptDestroyHash(hash_);
        if (algorithm_ != nullptr) ::BCryptCloseAlgorithmProvider(algorithm_, 0);
    }
    Hash(const Hash&) = delete;
    Hash& operator=(const Hash&) = delete;

    [[nodiscard]] bool is_ready() const noexcept { return ready_; }
    [[nodiscard]] bool add(const void* data, std::size_t size) noexcept {
        constexpr std::size_t kPiece = std::size_t{1} << 30;
        const auto* from = static_cast<const UCHAR*>(data);
        for (; size > kPiece; from += kPiece, size -= kPiece)
            if (!is_done(::BCryptHashData(hash_, bytes_of(from), kPiece, 0))) return false;
        return is_done(::BCryptHashData(hash_, bytes_of(from), static_cast<ULONG>(size), 0));
    }
    [[nodiscard]] bool finish(Mac& out) noexcept {
        return is_done(::BCryptFinishHash(hash_, out.data(), static_cast<ULONG>(out.size()), 0));
    }

private:
    BCRYPT_ALG_HANDLE algorithm_ = nullptr;
    BCRYPT_HASH_HANDLE hash_ = nullptr;
    bool ready_ = false;
};

}  // namespace

struct StreamDigest::Impl {
    explicit Impl(const Key& key) : hash(key, false) {}
    Hash hash;
};

StreamDigest::StreamDigest(const Key& key) : impl_(std::make_unique<Impl>(key)) { require(impl_->hash.is_ready()); }

StreamDigest::~StreamDigest() = default;

void StreamDigest::add(std::string_view bytes) { require(impl_->hash.add(bytes.data(), bytes.size())); }

std::string StreamDigest::finish() {
    Mac bytes{};
    require(impl_->hash.finish(bytes));
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 15U];
    }
    return text;
}

bool equal_digests(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    unsigned char differs = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        differs = static_cast<unsigned char>(differs | (a[i] ^ b[i]));
        asm volatile("" : "+r"(differs));   // so that nobody ends the loop early
    }
    return differs == 0;
}

struct Signer::Impl {
    explicit Impl(const Key& key) : hash(key, true) {}
    Hash hash;
};

Signer::Signer(const Key& key) : impl_(key.present() ? std::make_unique<Impl>(key) : nullptr), key_file_(key.file) {
    require(!key.present() || impl_->hash.is_ready());
}
Signer::Signer(Signer&&) noexcept = default;
Signer& Signer::operator=(Signer&&) noexcept = default;
Signer::~Signer() = default;

bool Signer::sign(std::initializer_list<std::span<const std::byte>> parts, Mac& mac) noexcept {
    for (const std::span<const std::byte> part : parts)
        if (!impl_->hash.add(part.data(), part.size())) return false;
    return impl_->hash.finish(mac);
}

}  // namespace riskreg::persist
