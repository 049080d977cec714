/// An id of up to 39 printable bytes as 40 comparable bytes, and its hash.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "riskreg/types.hpp"

namespace riskreg::base {

/// Length first, text behind it, zero to the end: equal ids are equal words.
struct FixedId {
    std::array<std::uint64_t, 5> words{};

    [[nodiscard]] std::string_view view() const noexcept {
        const char* bytes = reinterpret_cast<const char*>(words.data());
        return {bytes + 1, static_cast<std::size_t>(static_cast<unsigned char>(bytes[0]))};
    }
    [[nodiscard]] bool empty() const noexcept { return (words[0] & 0xFFU) == 0; }
    friend bool operator==(const FixedId&, const FixedId&) = default;
};
static_assert(sizeof(FixedId) == 40);

/// 1–39 bytes of printable ASCII without spaces.
[[nodiscard]] constexpr bool is_valid_id(std::string_view text) noexcept {
    if (text.empty() || text.size() > kMaxIdBytes) return false;
    bool legal = true;   // without a branch per byte: this is on the way of every call
    for (const char c : text) legal &= c > ' ' && c <= '~';
    return legal;
}

/// The id as fixed bytes; text beyond 39 bytes is cut (callers that must not cut check first).
[[nodiscard]] inline FixedId make_id(std::string_view text) noexcept {
    FixedId id;
    const std::size_t size = text.size() < kMaxIdBytes ? text.size() : kMaxIdBytes;
    char bytes[sizeof(FixedId)] = {};
    bytes[0] = static_cast<char>(size);
    if (size > 0) std::memcpy(bytes + 1, text.data(), size);
    std::memcpy(id.words.data(), bytes, sizeof bytes);
    return id;
}

[[nodiscard]] inline std::uint64_t mix(std::uint64_t h) noexcept {
    h ^= h >> 32;
    h *= 0xFF51AFD7ED558CCDULL;
    return h ^ (h >> 29);
}

/// Hash of an id together with the key it is unique under (account, order slot, event kind).
[[nodiscard]] inline std::uint64_t hash_id(const FixedId& id, std::uint64_t scope) noexcept {
    __extension__ using Wide = unsigned __int128;
    const Wide a = static_cast<Wide>(id.words[0] ^ 0x9E3779B97F4A7C15ULL) * (id.words[1] ^ 0xD6E8FEB86659FD93ULL);
    const Wide b = static_cast<Wide>(id.words[2] ^ 0xA0761D6478BD642FULL ^ scope) *
                   (id.words[3] ^ (id.words[4] * 0xC2B2AE3D27D4EB4FULL) ^ 0xE7037ED1A0B428DBULL);
    return mix(static_cast<std::uint64_t>(a) ^ static_cast<std::uint64_t>(a >> 64) ^ static_cast<std::uint64_t>(b) ^
               static_cast<std::uint64_t>(b >> 64) ^ (scope * 0x9E3779B97F4A7C15ULL));
}

}  // namespace riskreg::base
