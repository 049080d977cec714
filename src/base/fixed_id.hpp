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

/// The id as fixed bytes, and whether it is one: 1–39 bytes of printable ASCII without spaces. Text beyond 39 bytes is cut.
struct ParsedId {
    FixedId id;
    bool valid = false;
};

/// `size` < 8 bytes as the low bytes of a word. Overlapping loads, so that no byte beyond the text is read.
[[nodiscard]] inline std::uint64_t load_few(const char* text, std::size_t size) noexcept {
    const auto load = [text]<class T>(T value, std::size_t at) {
        std::memcpy(&value, text + at, sizeof value);
        return static_cast<std::uint64_t>(value);
    };
    if (size >= 4) return load(std::uint32_t{}, 0) | load(std::uint32_t{}, size - 4) << 8 * (size - 4);
    if (size >= 2) return load(std::uint16_t{}, 0) | load(std::uint16_t{}, size - 2) << 8 * (size - 2);
    return size == 0 ? 0 : load(std::uint8_t{}, 0);
}

/// On the way of every call, so eight bytes at a time, from registers: bytes put together in memory would be waited for.
[[nodiscard]] inline ParsedId parse_id(std::string_view text) noexcept {
    const std::size_t size = text.size() < kMaxIdBytes ? text.size() : kMaxIdBytes;
    ParsedId parsed;
    parsed.valid = size > 0 && size == text.size();
    std::uint64_t carried = size;   // low byte of the next word: the length, then the last byte of the eight before
    std::size_t word = 0;
    const auto take = [&](std::uint64_t bytes) {
        parsed.id.words[word++] = carried | bytes << 8;
        carried = bytes >> 56;
    };
    for (std::size_t at = 0; at + 8 <= size; at += 8) {
        std::uint64_t bytes = 0;
        std::memcpy(&bytes, text.data() + at, 8);
        parsed.valid &= all_printable(bytes);
        take(bytes);
    }
    const std::size_t left = size % 8;
    std::uint64_t bytes = 0;
    if (size >= 8 && left > 0) {
        std::memcpy(&bytes, text.data() + size - 8, 8);
        bytes >>= 8 * (8 - left);
    } else {
        bytes = load_few(text.data(), left);
    }
    constexpr std::uint64_t filler = 0x2121212121212121ULL;
    parsed.valid &= all_printable(bytes | filler << 8 * left);
    take(bytes);
    return parsed;
}

[[nodiscard]] inline bool is_valid_id(std::string_view text) noexcept { return parse_id(text).valid; }
/// Callers that must not cut check first.
[[nodiscard]] inline FixedId make_id(std::string_view text) noexcept { return parse_id(text).id; }

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
