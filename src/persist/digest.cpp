#include "persist/digest.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <array>
#include <cstdlib>

#include "persist/file_posix.hpp"
#include "riskreg/error.hpp"

namespace riskreg::persist {

namespace {

constexpr std::size_t kMaxKeyBytes = 4096;

void require(bool ok) {
    if (!ok) throw Error(Errc::system, "the cryptographic library refused SHA-256");
}

}  // namespace

Key read_key(const std::string& path) {
    if (path.empty()) return {};
    Key key;
    if (const IoError error = read_whole(path, kMaxKeyBytes, key.bytes))
        throw Error(error.is_missing() ? Errc::bad_input : Errc::permission, "key file " + path + ": " + error.text() +
                                                                                 "; allowed: a readable file of 16 to " +
                                                                                 std::to_string(kMaxKeyBytes) + " bytes");
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

struct StreamDigest::Impl {
    EVP_MD_CTX* hash = nullptr;
    EVP_MAC* mac = nullptr;
    EVP_MAC_CTX* keyed = nullptr;
    ~Impl() {
        EVP_MD_CTX_free(hash);
        EVP_MAC_CTX_free(keyed);
        EVP_MAC_free(mac);
    }
};

StreamDigest::StreamDigest(const Key& key) : impl_(std::make_unique<Impl>()) {
    if (!key.present()) {
        impl_->hash = EVP_MD_CTX_new();
        require(impl_->hash != nullptr && EVP_DigestInit_ex(impl_->hash, EVP_sha256(), nullptr) == 1);
        return;
    }
    impl_->mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    require(impl_->mac != nullptr);
    impl_->keyed = EVP_MAC_CTX_new(impl_->mac);
    char name[] = "SHA256";
    const std::array<OSSL_PARAM, 2> parameters = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                                                  OSSL_PARAM_construct_end()};
    const auto* bytes = reinterpret_cast<const unsigned char*>(key.bytes.data());
    require(impl_->keyed != nullptr && EVP_MAC_init(impl_->keyed, bytes, key.bytes.size(), parameters.data()) == 1);
}

StreamDigest::~StreamDigest() = default;

void StreamDigest::add(std::string_view bytes) {
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    require(impl_->keyed != nullptr ? EVP_MAC_update(impl_->keyed, data, bytes.size()) == 1
                                    : EVP_DigestUpdate(impl_->hash, data, bytes.size()) == 1);
}

std::string StreamDigest::finish() {
    std::array<unsigned char, 32> bytes{};
    std::size_t size = 0;
    unsigned int hash_size = 0;
    if (impl_->keyed != nullptr) {
        require(EVP_MAC_final(impl_->keyed, bytes.data(), &size, bytes.size()) == 1);
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

}  // namespace riskreg::persist
