#include "persist/digest.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "persist/file.hpp"
#include "riskreg/error.hpp"

namespace riskreg::persist {

namespace {

constexpr std::size_t kMaxKeyBytes = 4096;

void require(bool ok) {
    if (!ok) throw Error(Errc::system, "the cryptographic library refused SHA-256");
}

}  // namespace

namespace {

/// Who can read the key can sign what this registry never wrote; who can write it can lock its owner out.
void require_private(const std::string& path, const FileAccess& access) {
    if (!access.is_regular) throw Error(Errc::permission, "key file " + path + ": is not a regular file");
    if (access.owner != access.caller && access.owner != 0)
        throw Error(Errc::permission, "key file " + path + ": belongs to uid " + std::to_string(access.owner) +
                                          ", allowed: uid " + std::to_string(access.caller) +
                                          ", which this process runs as, or root");
    if ((access.mode & 077U) == 0) return;
    char mode[16];
    std::snprintf(mode, sizeof mode, "%04o", access.mode);
    throw Error(Errc::permission, "key file " + path + ": its mode is " + mode + " (owner uid " + std::to_string(access.owner) +
                                      "), so others than its owner may use it; allowed: 0600" + " or 0400. Type: chmod 600 " +
                                      path);
}

}  // namespace

Key read_key(const std::string& path) {
    if (path.empty()) return {};
    Key key{{}, path};
    FileAccess access;
    const IoError error = read_whole(path, kMaxKeyBytes, key.bytes, access);
    if (error)
        throw Error(error.is_missing() ? Errc::bad_input : Errc::permission, "key file " + path + ": " + error.text() +
                                                                                 "; allowed: a readable file of 16 to " +
                                                                                 std::to_string(kMaxKeyBytes) + " bytes");
    require_private(path, access);
    if (key.bytes.size() < 16)
        throw Error(Errc::bad_input, "key file " + path + ": seen " + std::to_string(key.bytes.size()) +
                                         " bytes, allowed: 16 to " + std::to_string(kMaxKeyBytes));
    return key;
}

Key resolve_key(const std::string& explicit_path, const std::string& configured_path) {
    if (!explicit_path.empty()) return read_key(explicit_path);
    const char* variable = std::getenv("RISKREG_KEY_FILE");
    return read_key(variable != nullptr && *variable != '\0' ? variable : configured_path);
}

std::string_view digest_name(const Key& key) noexcept { return key.present() ? "hmac_sha256" : "sha256"; }

namespace {

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
