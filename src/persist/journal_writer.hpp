/// Writes one journal file: whole blocks into space that was reserved, zeroed and synced before.
/// One thread. Nothing here retries or decides what an error means.
#pragma once

#include <array>
#include <atomic>
#include <functional>

#include "persist/file.hpp"
#include "persist/journal_format.hpp"

namespace riskreg::persist {

struct FileSpec {
    std::uint64_t number = 0;
    std::uint64_t first_seq = 0;
    std::uint64_t epoch = 0;
    std::uint64_t host_epoch = 0;
    std::uint64_t predecessor = 0;
    std::uint64_t predecessor_last_seq = 0;
    std::uint64_t predecessor_hash = 0;
    std::uint64_t base_seq = 0;
    std::uint32_t keep_checkpoints = 0;
    std::string registry;
    std::string config;
    Key key{};                                  ///< every block is signed with it; none: no block is
    std::array<std::uint8_t, 16> boot_id{};     ///< who wrote this file; 0: not known
    std::uint64_t shm_device = 0;
    std::uint64_t shm_identity = 0;
};

/// Space for a file under a temporary name: zeroes, on disk. `stop` is asked between chunks.
IoError prepare_space(const Directory& directory, const std::string& temporary, std::uint64_t bytes, File& out,
                      const std::function<bool()>& stop = {});

/// Size of a file with a `file` block for this configuration and room for `event_bytes`.
[[nodiscard]] std::uint64_t file_size_for(std::size_t config_bytes, std::uint64_t event_bytes) noexcept;

class JournalWriter {
public:
    [[nodiscard]] bool is_open() const noexcept { return file_.is_open(); }
    /// The lock on the file stays until the next one is begun, or the writer ends.
    void close() noexcept;
    /// That lock, too: this host journals no more.
    void leave() noexcept;

    /// Takes prepared space: writes the `file` block, syncs, gives the file its name, syncs the directory. After this
    /// the file and what it says of its predecessor are on disk.
    IoError begin(const Directory& directory, File prepared, const std::string& temporary, std::uint64_t bytes,
                  const FileSpec& spec);
    /// Goes on in a file. Only when everything in it was synced.
    struct End {
        std::uint64_t bytes, position, hash, events_hash, next_seq;
    };
    IoError resume(File file, const FileSpec& spec, const End& end);

    [[nodiscard]] bool has_room_for(std::span<const layout::Event> events) const noexcept;
    /// One block. After an error nothing counts as written, and the same call may be made again.
    IoError append(std::span<const layout::Event> events, std::uint64_t durable_upto, std::int64_t time_ns);
    /// A block without events: says that everything before it is on disk, which tells a torn tail from damage.
    IoError seal(std::uint64_t durable_upto, std::int64_t time_ns);
    IoError sync() const noexcept { return file_.sync(); }
    /// The file can still be found by its name.
    [[nodiscard]] bool is_linked() const noexcept { return file_.is_linked(); }

    [[nodiscard]] const FileSpec& spec() const noexcept { return spec_; }
    [[nodiscard]] std::uint64_t next_seq() const noexcept { return next_seq_; }
    [[nodiscard]] std::uint64_t position() const noexcept { return position_; }
    /// Of the last block with events, or of the `file` block: what a successor's head names.
    [[nodiscard]] std::uint64_t events_hash() const noexcept { return events_hash_; }

private:
    void start_block(BlockKind kind, std::size_t payload);
    /// Signature and checksum: the last that is done to a block.
    IoError finish_block() noexcept;

    File file_;
    File last_;  // the one before, closed for writing: its lock says that this host lives
    FileSpec spec_;
    Signer signer_;
    std::uint64_t bytes_ = 0;
    std::uint64_t position_ = 0;
    std::uint64_t next_seq_ = 0;
    std::uint64_t hash_ = 0;
    std::uint64_t events_hash_ = 0;
    std::vector<std::byte> block_;
};

}  // namespace riskreg::persist
