// CRC-32C without a library: eight bytes at a time by the processor's own instruction where it has one, a byte at a time by a table
// elsewhere.
#include <array>
#include <cstring>

#include "persist/checksum.hpp"

namespace riskreg::persist {

namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78U;  // Castagnoli's, lowest bit first

constexpr std::array<std::uint32_t, 256> make_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        std::uint32_t rest = i;
        for (int bit = 0; bit < 8; ++bit) rest = (rest >> 1) ^ ((rest & 1U) != 0 ? kPolynomial : 0);
        table[i] = rest;
    }
    return table;
}

constexpr std::array<std::uint32_t, 256> kTable = make_table();

std::uint32_t by_table(std::uint32_t sum, std::span<const std::byte> bytes) noexcept {
    for (const std::byte byte : bytes) sum = (sum >> 8) ^ kTable[(sum ^ std::to_integer<std::uint32_t>(byte)) & 255U];
    return sum;
}

#if defined(__x86_64__)
[[gnu::target("sse4.2")]] std::uint32_t by_instruction(std::uint32_t sum, std::span<const std::byte> bytes) noexcept {
    std::uint64_t whole = sum;
    while (bytes.size() >= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data(), sizeof word);
        whole = __builtin_ia32_crc32di(whole, word);
        bytes = bytes.subspan(8);
    }
    return by_table(static_cast<std::uint32_t>(whole), bytes);
}
#endif

}  // namespace

std::uint32_t crc32c(std::uint32_t begin, std::span<const std::byte> bytes) noexcept {
#if defined(__x86_64__)
    static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
    if (has_instruction) return by_instruction(begin, bytes);
#endif
    return by_table(begin, bytes);
}

}  // namespace riskreg::persist
