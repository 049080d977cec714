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
        const auto size = static_cast<std::size_t>(static_cast<unsigned char>(bytes[0]));
        return {bytes + 1, size < kMaxIdBytes ? size : kMaxIdBytes};   // never beyond the field, whatever the byte says
    }
    [[nodiscard]] bool empty() const noexcept { return (words[0] & 0xFFU) == 0; }
    friend bool operator==(const FixedId&, const FixedId&) = default;
};
static_assert(sizeof(FixedId) == 40);

/// Whether all eight bytes are '!' … '~'. Adding or subtracting within a byte sets its high bit when it is outside;
/// a borrow or carry can only come from a byte that is outside itself.
[[nodiscard]] constexpr bool all_printable(std::uint64_t bytes) noexcept {
    constexpr std::uint64_t ones = 0x0101010101010101ULL;
    const std::uint64_t outside = (bytes - ones * '!') | (bytes + ones * (0x7F - '~')) | bytes;
    return (outside & (ones * 0x80)) == 0;
}

/// 1–39 bytes of printable ASCII without spaces. On the way of every call, so eight bytes at a time.
[[nodiscard]] inline bool is_valid_id(std::string_view text) noexcept {
    if (text.empty() || text.size() > kMaxIdBytes) return false;
    std::uint64_t bytes = 0;
    std::size_t at = 0;
    for (; at + 8 <= text.size(); at += 8) {
        std::memcpy(&bytes, text.data() + at, 8);
        if (!all_printable(bytes)) return false;
    }
    for (; at < text.size(); ++at)
        if (text[at] <= ' ' || text[at] > '~') return false;
    return true;
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
