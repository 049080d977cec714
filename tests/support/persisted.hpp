/// A registry with a journal, processes that host its snapshotter, and its files read back without it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "core/copy.hpp"
#include "persist/recovery.hpp"
#include "support/child.hpp"
#include "support/crash_sites.hpp"
#include "support/temp_registry.hpp"

namespace riskreg::test {

/// Whether the journal stays from its beginning, or only what the oldest kept checkpoint does not cover.
enum class Journal { kept, trimmed };

/// Persistence async, a ring of 1024, a checkpoint a second, the newest two kept. Instrument ES, account A1, strategies
/// s1 … s4 whose death leaves their orders alone.
[[nodiscard]] SharedConfig persisted_config(Journal journal = Journal::kept);

class PersistedRegistry : public TempRegistry {
public:
    explicit PersistedRegistry(Journal journal = Journal::kept)
        : TempRegistry(persisted_config(journal)), journal_(journal), segment_(look().status().segment) {}
    [[nodiscard]] Journal journal() const noexcept { return journal_; }

    /// Its files: <state_dir>/<name>.
    [[nodiscard]] std::string directory() const { return state_dir() + "/" + name(); }
    /// Deadlines of calls that only a hang can miss; waits for the disk `durable_timeout_ns` at most.
    [[nodiscard]] ProcessConfig durable_process(const std::string& strategy, std::int64_t durable_timeout_ns) const;
    /// A child that hosts the snapshotter, or stands by to, until it is killed.
    [[nodiscard]] Child host(const Fuse& fuse = {}) const;
    /// The same until `leave` is true; then it leaves in order.
    [[nodiscard]] Child host_until(const std::function<bool()>& leave, const Fuse& fuse = {}) const;
    /// The real riskd.
    [[nodiscard]] Child riskd() const;
    /// What a reboot does, if the segment is there. Nobody may be attached.
    void remove_segment() const;
    [[nodiscard]] std::vector<std::string> journal_files() const;
    [[nodiscard]] std::vector<std::string> checkpoint_files() const;
    /// All of riskreg.log.
    [[nodiscard]] std::string log() const;

private:
    Journal journal_;
    std::string segment_;
};

/// The tables as the files alone tell them.
struct Restored {
    core::PrivateState tables;
    persist::RecoveryReport report;
};
enum class From { checkpoint, checkpoint_before, empty };
/// Up to `upto`, or to the end when it is 0. Throws what `persist::restore` throws.
[[nodiscard]] Restored restore_from_files(const PersistedRegistry& place, From from, std::uint64_t upto = 0);

/// True when the process is gone or a zombie.
[[nodiscard]] bool has_ended(pid_t pid);
/// True while a thread of the process is inside fsync or fdatasync.
[[nodiscard]] bool is_syncing(pid_t pid);

}  // namespace riskreg::test
