/// Reads journal files as untrusted bytes, and tells a torn tail from damage.
#pragma once

#include "persist/file.hpp"
#include "persist/journal_format.hpp"

namespace riskreg::persist {

/// The `file` block of one journal file.
struct FileHead {
    BlockHeader header{};
    FileInfo info{};
    std::string registry;
    std::string config;
    std::uint64_t hash = 0;
    std::uint64_t size = 0;     ///< of the file now; less than info.file_bytes: somebody cut it
};

/// Empty when the head is whole and signed with the key, or not signed when there is none; else what is wrong with it. `io`
/// tells an error of reading from bytes that are wrong.
[[nodiscard]] std::string read_head(const File& file, FileHead& head, const Key& key = {}, IoError* io = nullptr);
/// The same, but for the signature: for finding the key.
[[nodiscard]] std::string peek_head(const File& file, FileHead& head, IoError* io = nullptr);

/// One valid block; `events` point into the reader and live until the next call.
struct Block {
    BlockHeader header{};
    std::span<const layout::Event> events;
    std::uint64_t position = 0;
    std::uint64_t hash = 0;
};

/// What lies in a file behind the last block of its chain.
struct Behind {
    std::uint64_t valid_blocks = 0;
    std::uint64_t durable_upto = 0;    ///< the highest that any of them claims
    std::uint64_t last_seq = 0;        ///< the highest that any of them holds
    bool only_zeroes = true;
};

/// Follows the chain of one file from its head. Checks magic, version, file number, epoch, checksum, signature, hash chain,
/// sequence, and each event's own checksum; never reads beyond what a block says, never believes a length.
class JournalReader {
public:
    /// With a key, a block that is not signed with it is no block of this file; without, a signed one is none.
    JournalReader(const File& file, const FileHead& head, const Key& key = {});

    /// False at the end of the chain: zeroes, a torn block, damage, the end of the file. `ending` says which.
    [[nodiscard]] bool next(Block& block);
    [[nodiscard]] const std::string& ending() const noexcept { return ending_; }
    [[nodiscard]] IoError io_error() const noexcept { return error_; }

    [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
    /// Of the last block with events, or of the head.
    [[nodiscard]] std::uint64_t events_hash() const noexcept { return events_hash_; }
    [[nodiscard]] std::uint64_t expected() const noexcept { return expected_; }
    /// The highest durable_upto of the blocks read so far.
    [[nodiscard]] std::uint64_t durable_upto() const noexcept { return durable_upto_; }

    /// Forgets what was read ahead: the file may have grown.
    void look_again() noexcept { buffer_size_ = 0; }

    /// Looks at every page behind the end of the chain for blocks that are whole, signed or not: nothing is taken from them,
    /// and a witness can only make a recovery refuse. Linear in the rest of the file.
    [[nodiscard]] Behind look_behind();

private:
    [[nodiscard]] std::span<const std::byte> bytes_at(std::uint64_t offset, std::size_t size);
    [[nodiscard]] std::string check_header(const BlockHeader& header) const;
    [[nodiscard]] std::string take_events(std::span<const std::byte> payload, std::size_t count);
    [[nodiscard]] bool is_whole_block(std::uint64_t offset, BlockHeader& header);

    const File& file_;
    const FileHead& head_;
    Signer signer_;
    std::uint64_t position_;
    std::uint64_t hash_;
    std::uint64_t events_hash_;
    std::uint64_t expected_;
    std::uint64_t durable_upto_ = 0;
    std::string ending_;
    IoError error_;
    std::vector<std::byte> buffer_;
    std::uint64_t buffer_at_ = 0;
    std::size_t buffer_size_ = 0;
    std::vector<layout::Event> events_;
};

}  // namespace riskreg::persist
