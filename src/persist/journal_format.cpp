#include "persist/journal_format.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "persist/checksum.hpp"
#include "persist/file.hpp"

namespace riskreg::persist {

namespace {

constexpr std::string_view kPrefix = "journal-";
constexpr std::string_view kSuffix = ".log";

}  // namespace

std::size_t bytes_in_journal(std::span<const layout::Event> events) noexcept {
    std::size_t bytes = 0;
    for (const layout::Event& event : events) bytes += layout::class_bytes(event.header.words);
    return bytes;
}

std::uint64_t hash_of_block(std::span<const std::byte> block) noexcept {
    std::uint64_t lanes[4] = {0x9E3779B97F4A7C15ULL, 0xC2B2AE3D27D4EB4FULL, 0x165667B19E3779F9ULL, 0xD6E8FEB86659FD93ULL};
    for (std::size_t at = 0; at + 32 <= block.size(); at += 32)
        for (std::size_t lane = 0; lane < 4; ++lane) {
            std::uint64_t word = 0;
            std::memcpy(&word, block.data() + at + lane * 8, 8);
            lanes[lane] = (lanes[lane] ^ word) * 0x9FB21C651E98DF25ULL;
            lanes[lane] ^= lanes[lane] >> 29;
        }
    return base::mix(lanes[0] ^ base::mix(lanes[1] ^ base::mix(lanes[2] ^ base::mix(lanes[3])))) | 1U;
}

std::uint32_t checksum_of_block(std::span<const std::byte> block) noexcept {
    constexpr std::size_t field = offsetof(BlockHeader, checksum);
    constexpr std::byte zero[sizeof(std::uint32_t)] = {};
    std::uint64_t number = 0;
    std::memcpy(&number, block.data() + offsetof(BlockHeader, file_number), sizeof number);
    std::uint32_t crc = static_cast<std::uint32_t>(base::mix(number));
    crc = crc32c(crc, block.first(field));
    crc = crc32c(crc, zero);
    return crc32c(crc, block.subspan(field + sizeof zero));
}

bool is_signed(const BlockHeader& header) noexcept {
    return std::any_of(std::begin(header.mac), std::end(header.mac), [](std::uint8_t byte) { return byte != 0; });
}

bool mac_of_block(Signer& signer, std::span<const std::byte> block, Mac& mac) noexcept {
    constexpr std::size_t field = offsetof(BlockHeader, mac);
    constexpr std::byte zero[sizeof(BlockHeader::mac) + sizeof(BlockHeader::checksum)] = {};
    static_assert(field + sizeof zero == sizeof(BlockHeader), "mac and checksum end the header");
    return signer.sign({block.first(field), zero, block.subspan(sizeof(BlockHeader))}, mac);
}

Signature judge_signature(Signer& signer, std::span<const std::byte> block, const BlockHeader& header) noexcept {
    const bool carries = is_signed(header);
    if (!signer.present()) return carries ? Signature::needs_key : Signature::ours;
    if (!carries) return Signature::missing;
    Mac mac{};
    if (!mac_of_block(signer, block, mac)) return Signature::no_memory;
    const auto text = [](const std::uint8_t* bytes) {
        return std::string_view(reinterpret_cast<const char*>(bytes), sizeof header.mac);
    };
    return equal_digests(text(mac.data()), text(header.mac)) ? Signature::ours : Signature::foreign;
}

std::string describe(Signature signature, const std::string& key_file) {
    const std::string key = key_file.empty() ? "the key that was given" : "the key of " + key_file;
    switch (signature) {
        case Signature::ours: return {};
        case Signature::missing: return "is not signed with " + key + ", nor with any other";
        case Signature::foreign: return "is not signed with " + key;
        case Signature::needs_key: return std::string("is signed with a key, and none was given: ") + kGiveTheKey;
        case Signature::no_memory: return "cannot be checked for its signature: no memory";
    }
    return "unknown";
}

std::string journal_name(std::uint64_t first_seq) { return numbered_name(kPrefix, first_seq, kSuffix); }
std::uint64_t first_seq_of(const std::string& name) noexcept { return number_of_name(name, kPrefix, kSuffix); }

std::uint64_t journal_file_bytes(std::uint64_t ring_events) noexcept {
    return std::clamp<std::uint64_t>(ring_events * layout::class_bytes(layout::kShortWords), 1U << 20, kMostFileBytes);
}

}  // namespace riskreg::persist
