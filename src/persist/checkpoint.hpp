/// Checkpoints: the whole state at one sequence as one JSON document, one record a line.
///
/// The last member is a digest over every byte before it (SHA-256, or HMAC-SHA-256 with a key). README.md beside this
/// file shows a document.
#pragma once

#include <functional>

#include "core/state.hpp"
#include "persist/digest.hpp"
#include "persist/file.hpp"
#include "persist/journal_format.hpp"

namespace riskreg::persist {

inline constexpr std::uint32_t kCheckpointVersion = 4;

/// Where the tables came from that were written.
enum class CheckpointSource : std::uint8_t {
    replica,   ///< rebuilt from the synced journal: never newer than `durable` (INV-13)
    memory,    ///< copied from the segment: after a gap of the journal, or without a journal
    migrated,  ///< written anew from one of an earlier version (persist/migrate): no journal of this version follows it
};

struct CheckpointHead {
    std::string registry;
    std::uint64_t epoch = 0;
    std::uint64_t seq = 0;
    std::int64_t time_ns = 0;
    CheckpointSource source = CheckpointSource::replica;
    bool clean = false;                ///< written last by a host that left in order, with everything drained
    std::uint64_t host_epoch = 0;
    std::uint64_t orders = 0, executions = 0, quarantined = 0, rows = 0, sessions = 0;
    std::int64_t last_time_ns = 0;
    std::int64_t last_steady_ns = 0;
    std::uint64_t next_generation = 0;
    std::uint64_t quarantined_events = 0;
    std::uint64_t next_budget_ring = 0;
    std::uint64_t day = 1;
    std::uint64_t rolled_seq = 0;      ///< the event that ended the day before; 0: the first day
    std::int64_t rolled_time_ns = 0;   ///< and when; 0: not known
    std::uint64_t rolled_uid = 0;
    JournalMark journal;               ///< the last block that it was made from; absent when it was made from none
    std::string config;                ///< the configuration, byte for byte
    std::string digest_name, digest;
    std::uint64_t bytes = 0;
};

/// What the writer has to know beside the tables.
struct CheckpointOptions {
    std::string registry;
    std::uint64_t epoch = 0;
    std::uint64_t host_epoch = 0;
    CheckpointSource source = CheckpointSource::replica;
    bool clean = false;
    JournalMark journal{};             ///< of a replica: the last block that it read
    Key key;
    std::int64_t time_ns = 0;
    std::function<bool()> stop;        ///< asked between chunks; true gives up
};

/// `checkpoint-00000000000000000042.json`
[[nodiscard]] std::string checkpoint_name(std::uint64_t seq);
/// 0 when `name` is not the name of a checkpoint.
[[nodiscard]] std::uint64_t checkpoint_seq_of(const std::string& name) noexcept;

/// Writes tables at rest as checkpoint `name`: temporary file, sync, read again and compared, rename, directory sync.
/// `stage` says where an error came from.
IoError write_checkpoint(const Directory& directory, const core::State& state, const CheckpointOptions& options,
                         std::string& stage);

/// Reads what stands before the tables, and believes it for now: the digest is the other half. Empty, or what is wrong.
/// Here and below: `io` is set when reading failed, which says nothing of what the file holds.
[[nodiscard]] std::string peek_checkpoint(const File& file, CheckpointHead& head, IoError* io = nullptr);
/// The digest over the whole file; sets its name and value in `head`. Empty when it matches, else what is wrong.
[[nodiscard]] std::string check_digest(const File& file, const Key& key, CheckpointHead& head, IoError* io = nullptr);

/// Both. Checks the digest over the whole file, and reads what stands before the tables. Bounded memory.
/// Empty when it is whole; else what is wrong.
[[nodiscard]] std::string verify_checkpoint(const File& file, const Key& key, CheckpointHead& head);

/// Fills tables at genesis (core::make_genesis with head.config) from a verified file. Empty when done; otherwise the
/// tables are not to be used.
[[nodiscard]] std::string load_checkpoint(const File& file, const CheckpointHead& head, core::State& state,
                                          IoError* io = nullptr);

}  // namespace riskreg::persist
