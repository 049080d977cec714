#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>

#include "persist/digest.hpp"
#include "riskreg/error.hpp"

namespace riskreg::persist {

namespace {

void require(bool ok) {
    if (!ok) throw Error(Errc::system, "the cryptographic library refused SHA-256");
}

/// HMAC-SHA-256 with the key taken in.
struct KeyedHash {
    explicit KeyedHash(const Key& key) : mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr)) {
        if (mac != nullptr) context = EVP_MAC_CTX_new(mac);
        char name[] = "SHA256";
        const std::array<OSSL_PARAM, 2> parameters = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                                                      OSSL_PARAM_construct_end()};
        const auto* bytes = reinterpret_cast<const unsigned char*>(key.bytes.data());
        ready = context != nullptr && EVP_MAC_init(context, bytes, key.bytes.size(), parameters.data()) == 1;
    }
    ~KeyedHash() {
        EVP_MAC_CTX_free(context);
        EVP_MAC_free(mac);
    }
    KeyedHash(const KeyedHash&) = delete;
    KeyedHash& operator=(const KeyedHash&) = delete;

    EVP_MAC* mac;
    EVP_MAC_CTX* context = nullptr;
    bool ready = false;
};

}  // namespace

struct StreamDigest::Impl {
    EVP_MD_CTX* hash = nullptr;
    std::unique_ptr<KeyedHash> keyed;
    ~Impl() { EVP_MD_CTX_free(hash); }
};

StreamDigest::StreamDigest(const Key& key) : impl_(std::make_unique<Impl>()) {
    if (!key.present()) {
        impl_->hash = EVP_MD_CTX_new();
        require(impl_->hash != nullptr && EVP_DigestInit_ex(impl_->hash, EVP_sha256(), nullptr) == 1);
        return;
    }
    impl_->keyed = std::make_unique<KeyedHash>(key);
    require(impl_->keyed->ready);
}

StreamDigest::~StreamDigest() = default;

void StreamDigest::add(std::string_view bytes) {
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    require(impl_->keyed != nullptr ? EVP_MAC_update(impl_->keyed->context, data, bytes.size()) == 1
                                    : EVP_DigestUpdate(impl_->hash, data, bytes.size()) == 1);
}

std::string StreamDigest::finish() {
    std::array<unsigned char, 32> bytes{};
    std::size_t size = 0;
    unsigned int hash_size = 0;
    if (impl_->keyed != nullptr) {
        require(EVP_MAC_final(impl_->keyed->context, bytes.data(), &size, bytes.size()) == 1);
    } else {
        require(EVP_DigestFinal_ex(impl_->hash, bytes.data(), &hash_size) == 1);
    }
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 15U];
    }
    return text;
}

bool equal_digests(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

struct Signer::Impl {
    explicit Impl(const Key& key) : keyed(key) {}
    KeyedHash keyed;
};

Signer::Signer(const Key& key) : impl_(key.present() ? std::make_unique<Impl>(key) : nullptr), key_file_(key.file) {
    require(!key.present() || impl_->keyed.ready);
}
Signer::Signer(Signer&&) noexcept = default;
Signer& Signer::operator=(Signer&&) noexcept = default;
Signer::~Signer() = default;

bool Signer::sign(std::initializer_list<std::span<const std::byte>> parts, Mac& mac) noexcept {
    EVP_MAC_CTX* context = impl_->keyed.context;
    // Without a key it begins anew with the one that it has.
    if (EVP_MAC_init(context, nullptr, 0, nullptr) != 1) return false;
    for (const std::span<const std::byte> part : parts)
        if (EVP_MAC_update(context, reinterpret_cast<const unsigned char*>(part.data()), part.size()) != 1) return false;
    std::size_t size = 0;
    return EVP_MAC_final(context, mac.data(), &size, mac.size()) == 1 && size == mac.size();
}

}  // namespace riskreg::persist
