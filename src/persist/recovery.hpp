/// From files to tables: the newest valid checkpoint, and the journal behind it (protocol.md 6).
///
/// What was used, what was passed over and why is in the report. A torn tail (what a power failure legally leaves) is
/// dropped; damage of what was acknowledged stops everything, and nothing is ever skipped.
#pragma once

#include <functional>
#include <optional>

#include "persist/checkpoint.hpp"
#include "persist/journal_reader.hpp"

namespace riskreg::persist {

struct JournalUse {
    std::string name;
    std::uint64_t number = 0;
    std::uint64_t first_seq = 0, last_seq = 0;   ///< last < first: none
    std::uint64_t blocks = 0;
    std::uint64_t applied = 0;                   ///< events of it that the tables did not have yet
    std::string ending;                          ///< why reading it ended
};

struct IgnoredFile {
    std::string name;
    std::string why;
    bool is_foreign = false;             ///< of another registry: says nothing of this one
    IoError io{};                        ///< reading it failed: it may be whole
};

struct RecoveryReport {
    std::string checkpoint;              ///< empty: from the beginning of the journal
    CheckpointHead head;                 ///< of that checkpoint
    std::vector<IgnoredFile> ignored;
    std::vector<JournalUse> journals;
    std::uint64_t events = 0;            ///< applied from the journal
    std::uint64_t end_seq = 0;
    JournalMark mark;                    ///< the last block that the tables were made from; absent: none is known
    std::string torn;                    ///< what was dropped as a torn tail; empty: nothing
    std::string damage;                  ///< what of the acknowledged is missing, when the loss was accepted
    std::uint64_t bytes = 0;             ///< read
};

/// The files of one registry, opened and looked at, but not read yet.
class Sources {
public:
    /// Opened again by name when it is read: a registry may have more files than a process may have open.
    struct Journal {
        std::string name;
        std::uint64_t first_seq = 0;
        FileHead head;
        std::string problem;             ///< empty: the head is whole
    };

    /// Throws Error: permission and system when the directory cannot be read; damaged when the files belong to two
    /// registries.
    Sources(const Directory& directory, const std::string& key_file);
    /// With the key that a host holds, or with none: no key file is looked at.
    [[nodiscard]] static Sources with_key(const Directory& directory, Key key);

    /// Nothing that a registry ever wrote an event or a checkpoint to.
    [[nodiscard]] bool empty() const noexcept { return journals.empty() && checkpoints.empty(); }
    /// Files are there, but no event was ever acknowledged in them: left behind by a creator that died.
    [[nodiscard]] bool only_unused(const Directory& directory) const;

    std::vector<Journal> journals;             ///< in the order of their sequences
    std::vector<std::string> checkpoints;      ///< names, newest first
    Key key;
    std::uint64_t epoch = 0;

private:
    Sources() = default;
    void look(const Directory& directory);
    void judge(const Directory& directory);
};

struct RestoreOptions {
    /// Stop behind this sequence, without judging what follows: for reading beside a running journaller.
    std::optional<std::uint64_t> upto{};
    /// Take what can be read up to the first damage. By an operator's word only.
    bool accept_loss = false;
    /// Checkpoints that were tried before and are not to be used, with the reason.
    std::vector<IgnoredFile> refused{};
};

/// To be called before a rebuild reads: brings to disk what of the journal waits for it, and forgets what the cache holds of
/// it. A host whose sync failed leaves pages that count as clean and are nowhere but in the cache: read from there, events would
/// count as durable that no later sync writes. Only the last file can have such pages: a file that has a successor is read
/// to where it was synced.
IoError settle_last_journal(const Directory& directory, const Sources& sources);

/// Gives zeroed tables at genesis for this configuration; called again when a checkpoint had to be passed over.
using FreshTables = std::function<core::State&(const std::string& config)>;

/// Throws Error{damaged} naming the file and what to do, Error{missing} when there is nothing to restore from.
RecoveryReport restore(const Directory& directory, Sources& sources, const FreshTables& fresh, const RestoreOptions& options);

/// Visits the events from `from` up to `upto` that the files hold, in order; `visit` ends it with false. Returns the sequence
/// of the first event that is not there. For auditors: nothing is applied, and a file that is damaged ends it.
std::uint64_t read_events(const Directory& directory, std::uint64_t from, std::uint64_t upto,
                          const std::function<bool(const layout::Event&)>& visit, const Key& key = {});

/// Where a journal is to be continued: the last file, and its chain up to a sequence.
struct Tail {
    bool found = false;  ///< a whole last file is there
    FileHead head;
    std::string name;
    std::uint64_t last_seq = 0;  ///< of the last block of the chain that ends at or before the wanted sequence
    std::uint64_t hash = 0;  ///< of that block; of the head when there is none
    std::uint64_t seen_seq = 0;  ///< of the last valid block, wanted or not
    std::uint64_t end_hash = 0;  ///< of the last valid block, seals included
    std::uint64_t position = 0;  ///< behind it
    std::uint64_t host_epoch = 0;  ///< of the youngest host that wrote into it
    std::uint64_t newest_number = 0;  ///< of any file with a whole head
    std::string needs_key;  ///< a file that is signed, when no key was given: nothing may then be written beside it
    std::string problem;
    IoError io;  ///< reading failed: nothing is known, and it can be tried again
};
[[nodiscard]] Tail find_tail(const Directory& directory, std::uint64_t upto, const Key& key = {});

/// Follows a journal that is being written, in the same or another process, and applies it to private tables.
class JournalFollower {
public:
    /// `state` holds everything up to its `applied`, `mark` is the last block that it was made from.
    JournalFollower(const Directory& directory, core::State& state, Key key = {}, JournalMark mark = {})
        : directory_(directory), state_(state), key_(std::move(key)), mark_(mark) {}

    /// Applies what is synced up to `durable`. `file_number` is the file that the journaller writes now. Empty, or what
    /// is wrong with the journal: then the replica is no longer to be trusted to be able to go on.
    [[nodiscard]] std::string advance(std::uint64_t durable, std::uint64_t file_number, const std::function<bool()>& stop = {});
    /// The block that ends with what the tables hold; absent when none is known.
    [[nodiscard]] JournalMark mark() const noexcept;

private:
    [[nodiscard]] std::string open_file(std::uint64_t first_wanted);
    [[nodiscard]] std::string find_successor(bool& there) const;
    [[nodiscard]] std::string apply_block(const Block& block, std::uint64_t durable);

    const Directory& directory_;
    core::State& state_;
    const Key key_;
    JournalMark mark_;
    struct Open {
        File file;
        FileHead head;
        std::optional<JournalReader> reader;
    };
    std::unique_ptr<Open> open_;
};

}  // namespace riskreg::persist
