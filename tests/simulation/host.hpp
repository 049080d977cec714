/// The snapshotter's host, with simulated time and one thread: what registry/journaller.cpp and registry/replicator.cpp do
/// with the files, step by step, and the same rules for every error.
#pragma once

#include <memory>
#include <optional>

#include "core/copy.hpp"
#include "persist/checkpoint.hpp"
#include "persist/journal_writer.hpp"
#include "persist/recovery.hpp"
#include "persist/retention.hpp"
#include "simulation/simulated_disk.hpp"

namespace riskreg::simulation {

/// Hosts that break a rule, so that it is seen whether the simulation would notice. At most one of them.
enum class Mistake : std::uint8_t {
    none,
    promises_before_sync,
    goes_on_after_failed_sync,
    renames_unsynced_checkpoint,
    believes_the_cache,            ///< a rebuild that reads what a failed sync left in the page cache only
};

/// What one registry of one seed is like.
struct Setup {
    std::string name = "desk";
    std::string config;
    std::uint64_t epoch = 0;
    std::string key_file;             ///< empty: no key
    std::uint32_t keep_checkpoints = 1;
    std::uint64_t block_events = 15;
    std::uint64_t first_file_bytes = 0, file_bytes = 0;
    std::int64_t checkpoint_interval_ns = 0;
    Mistake mistake = Mistake::none;
};

struct Counts {
    std::uint64_t seeds = 0, lying_seeds = 0, lives = 0, events = 0, promised = 0;
    std::uint64_t blocks = 0, journals = 0, checkpoints = 0, gaps = 0, resumed = 0, taken_over = 0, clean_ends = 0;
    std::uint64_t recoveries = 0, from_checkpoint = 0, from_older_checkpoint = 0, from_journal = 0, two_checkpoints = 0;
    std::uint64_t torn_tails = 0, damage_reported = 0, refusals = 0, undetectable = 0, undetectable_torn = 0, retried = 0,
                  lost_worlds = 0, came_back = 0;
    FaultCounts faults{};
};

enum class Gap : std::uint8_t { none, copy_wanted, copied, following };

class Host {
public:
    /// `state` are the live tables, which outlive a host that dies.
    Host(Disk& disk, Trace& trace, Counts& counts, const Setup& setup, core::State& state, std::uint64_t epoch,
         std::uint64_t seed, const std::int64_t& now_ns, const std::int64_t& booted_ns);

    /// One round of the journaller, then perhaps one of the replicator.
    void round();
    void replicate();
    /// Everything committed is written, synced and sealed, with a last checkpoint. True when a successor may go on in the
    /// same file.
    [[nodiscard]] bool leave(bool final_checkpoint);

private:
    /// The last block with events that is on disk: what the next file follows.
    struct ChainEnd {
        std::uint64_t number = 0, last_seq = 0, hash = 0, base_seq = 0;
    };
    void start();
    void find_chain(const persist::Tail& tail, std::uint64_t durable, bool left_clean);
    void resume(const persist::Tail& tail, std::uint64_t durable);
    [[nodiscard]] bool ready();
    [[nodiscard]] bool begin_file();
    [[nodiscard]] bool read_events(std::uint64_t from, std::uint64_t to);
    [[nodiscard]] bool append_block();
    void write_batch();
    [[nodiscard]] bool sync();
    void publish(std::uint64_t synced);
    void seal_when_quiet();
    void begin_gap(std::string_view why);
    [[nodiscard]] bool handle_gap();
    void failed(std::string_view what, persist::IoError error, bool abandon_file);

    [[nodiscard]] bool has_replica();
    [[nodiscard]] bool follow();
    void misread(const std::string& why);
    void distrust(const std::string& why);
    void drop_replica();
    void checkpoint_now(bool clean);
    [[nodiscard]] bool write_checkpoint(const core::State& state, persist::CheckpointSource source, bool clean);
    void close_gap();
    [[nodiscard]] std::int64_t backoff(std::uint32_t& attempts);

    Disk& disk_;
    Trace& trace_;
    Counts& counts_;
    const Setup& setup_;
    core::State& state_;
    test::Random random_;
    const std::int64_t &now_ns_, &booted_ns_;
    std::uint64_t epoch_;
    persist::Directory directory_;
    persist::Key key_;

    persist::JournalWriter writer_;
    ChainEnd chain_;
    std::uint64_t newest_number_ = 0, unsynced_ = 0, synced_ = 0, file_number_ = 0;
    bool started_ = false, unsealed_ = false;
    std::int64_t quiet_since_ns_ = 0, journal_pause_until_ns_ = 0;
    std::uint32_t journal_attempts_ = 0;
    Gap gap_ = Gap::none;
    std::uint64_t base_seq_ = 0;
    std::vector<layout::Event> batch_;
    std::uint64_t temporaries_ = 0;

    std::optional<core::PrivateState> replica_;
    std::optional<persist::JournalFollower> follower_;
    std::int64_t next_checkpoint_ns_, checkpoint_pause_until_ns_ = 0;
    std::uint32_t checkpoint_attempts_ = 0, follow_failures_ = 0;
    std::uint64_t last_checkpoint_;
    persist::Retention retention_;
};

}  // namespace riskreg::simulation
