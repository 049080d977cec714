/// The bytes of a journal file. README.md beside this file is their description.
///
/// Events lie back to back in their block, each in 256 or 512 bytes as the words that it uses ask for.
/// A file is a chain of blocks of whole pages: one `file` block, then `events` and `seal` blocks, then zeroes up to
/// the size that it was made with. Nothing is ever appended beyond that size.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "layout/event.hpp"
#include "persist/digest.hpp"

namespace riskreg::persist {

inline constexpr std::uint64_t kBlockMagic = 0x314C4E4A52535252ULL;   // "RRSRJNL1"
inline constexpr std::uint32_t kJournalVersion = 3;
inline constexpr std::size_t kBlockPage = 4096;
/// Of one block: bounds what a reader has to hold.
inline constexpr std::size_t kMaxBlockEvents = 4096;
inline constexpr std::size_t kMaxConfigBytes = 64U << 20;

enum class BlockKind : std::uint32_t { file = 1, events = 2, seal = 3 };

struct BlockHeader {
    std::uint64_t magic;
    std::uint32_t version;
    BlockKind kind;
    std::uint64_t file_number;
    std::uint64_t epoch;                  // of the registry's creation
    std::uint64_t host_epoch;             // of the snapshotter's host that wrote it
    std::uint64_t first_seq;              // file, seal: the next one expected
    std::uint64_t last_seq;               // file, seal: first_seq − 1
    std::uint64_t durable_upto;           // known to be on disk when this block was written
    std::uint64_t previous_hash;  // of the block before it; file: of the predecessor's last block, 0 for the first file
    std::int64_t time_ns;
    std::uint32_t length;  // of the block, header and padding included; whole pages
    std::uint32_t payload;  // bytes behind the header that mean something
    std::uint8_t reserved_bytes[4];
    std::uint8_t mac[32];  // HMAC-SHA-256 of the whole block with mac and checksum 0; 0: the registry has no key
    std::uint32_t checksum;  // CRC-32C of the whole block with this field 0, begun with the file's number
};
RISKREG_RECORD(BlockHeader, 128, 8);

/// Payload of the `file` block, followed by the configuration as JSON.
struct FileInfo {
    std::uint64_t predecessor;  // its number, 0: none
    std::uint64_t predecessor_last_seq;  // where reading it ends; what lies behind is not to be trusted
    std::uint64_t base_seq;  // > 0: events up to here are in no journal, only in checkpoints of at least this
    std::uint64_t layout_hash;  // of the build that wrote the events
    std::uint64_t file_bytes;  // the file's size, for ever
    std::int64_t created_ns;
    base::FixedId name_begin;  // the registry's name
    base::FixedId name_end;
    std::uint32_t config_bytes;
    std::uint32_t keep_checkpoints;
    std::uint8_t boot_id[16];  // of the kernel that the writer ran on; 0: not known, like the two below
    std::uint64_t shm_device;  // the writer's view of shared memory: its device, and
    std::uint64_t shm_identity;  // what tells two views with the same device apart
    std::uint8_t reserved_bytes[24];
};
RISKREG_RECORD(FileInfo, 192, 8);

/// Bytes that these events take in one block.
[[nodiscard]] std::size_t bytes_in_journal(std::span<const layout::Event> events) noexcept;

/// One block with events in the chain of the journal; a checkpoint names the last one that it was made from. `file` 0: none.
struct JournalMark {
    std::uint64_t file = 0;      ///< its number
    std::uint64_t last_seq = 0;
    std::uint64_t hash = 0;
    [[nodiscard]] bool present() const noexcept { return file != 0; }
    friend bool operator==(const JournalMark&, const JournalMark&) = default;
};

/// Hash of one whole block: the link of the chain. It covers the block's MAC.
[[nodiscard]] std::uint64_t hash_of_block(std::span<const std::byte> block) noexcept;
[[nodiscard]] std::uint32_t checksum_of_block(std::span<const std::byte> block) noexcept;
/// HMAC of one whole block. False when the library has no memory.
[[nodiscard]] bool mac_of_block(Signer& signer, std::span<const std::byte> block, Mac& mac) noexcept;
[[nodiscard]] bool is_signed(const BlockHeader& header) noexcept;

enum class Signature : std::uint8_t { ours, missing, foreign, needs_key, no_memory };
/// Holds a whole block against the key that there is, or is not: with one, every block is signed with it; without, none is.
[[nodiscard]] Signature judge_signature(Signer& signer, std::span<const std::byte> block, const BlockHeader& header) noexcept;
/// "is not signed …", for a person.
[[nodiscard]] std::string describe(Signature signature, const std::string& key_file);

/// `journal-00000000000000000002.log`; the number is the first sequence in it.
[[nodiscard]] std::string journal_name(std::uint64_t first_seq);
/// 0 when `name` is not the name of a journal file.
[[nodiscard]] std::uint64_t first_seq_of(const std::string& name) noexcept;

/// Whoever takes the host's place reads the newest file first: 1 ms a MiB, half as much again with a key, measured. The journal is to be
/// without a host for less than 100 ms.
inline constexpr std::uint64_t kMostFileBytes = 32U << 20;
/// Bytes of one file for a ring of this size, without its `file` block.
[[nodiscard]] std::uint64_t journal_file_bytes(std::uint64_t ring_events) noexcept;

}  // namespace riskreg::persist
