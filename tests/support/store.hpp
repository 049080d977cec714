/// The files of one registry, made in-process: journals by JournalWriter, checkpoints by write_checkpoint. And what a
/// recovery makes of them.
#pragma once

#include <optional>

#include "persist/journal_writer.hpp"
#include "persist/recovery.hpp"
#include "riskreg/error.hpp"
#include "support/history.hpp"
#include "support/temp_registry.hpp"

namespace riskreg::test {

inline constexpr std::uint64_t kEpoch = 0x1122334455667788;

/// What restoring gave: tables, or an error.
struct Restored {
    std::optional<Errc> code;
    std::string error;
    persist::RecoveryReport report;
    core::PrivateState tables;

    [[nodiscard]] bool refused() const noexcept { return code.has_value(); }
    [[nodiscard]] bool refused_as(Errc errc) const noexcept { return code == errc; }
    [[nodiscard]] std::uint64_t digest() const noexcept { return core::digest(tables.state); }
    [[nodiscard]] std::uint64_t seq() const noexcept { return tables.state.log->applied; }
    /// Anything that a person is told of.
    [[nodiscard]] bool reported() const noexcept {
        return !report.torn.empty() || !report.damage.empty() || !report.ignored.empty();
    }
};

struct RestoreFrom {
    std::string key_file{};
    persist::RestoreOptions options{};
    std::string config{};        ///< tables for this one instead of the stored one
};
[[nodiscard]] Restored restore_from(const persist::Directory& directory, const RestoreFrom& from = {});

/// A directory with the files of one registry, written from a history.
class Store {
public:
    explicit Store(const History& history);
    /// Its journal is signed with this key.
    Store(const History& history, std::string key) : Store(history) { key_ = std::move(key); }

    [[nodiscard]] const persist::Directory& directory() const noexcept { return directory_; }
    [[nodiscard]] std::string path_of(const std::string& name) const { return place_.path() + "/" + name; }

    /// Begins a file behind what the one before holds; `pages` of room for blocks.
    persist::FileSpec next_spec() const;
    void begin(std::uint64_t pages = 16) { begin(next_spec(), pages); }
    void begin(const persist::FileSpec& spec, std::uint64_t pages = 16);
    /// One block with events up to `last`, that says that everything before it is on disk.
    void append(std::uint64_t last);
    /// Blocks of these sizes, the last one with whatever is left up to `last`.
    void append_blocks(std::initializer_list<std::uint64_t> sizes, std::uint64_t last);
    void seal();
    [[nodiscard]] persist::JournalWriter& writer() noexcept { return writer_; }
    [[nodiscard]] std::string journal() const { return persist::journal_name(writer_.spec().first_seq); }

    /// Writes the checkpoint of everything up to `seq`.
    std::string checkpoint(std::uint64_t seq, const std::string& key = {},
                           persist::CheckpointSource source = persist::CheckpointSource::replica,
                           const persist::JournalMark& mark = {}) const;
    /// The last block with events that was written: what a checkpoint of everything up to now is made from.
    [[nodiscard]] persist::JournalMark mark() const;
    /// A file with this key, outside of the registry's directory.
    [[nodiscard]] std::string key_file(const std::string& key) const;

    [[nodiscard]] Restored restore(const RestoreFrom& from = {}) const { return restore_from(directory_, from); }
    [[nodiscard]] std::string read(const std::string& name) const;
    void write(const std::string& name, const std::string& content) const;
    void truncate(const std::string& name, std::uint64_t bytes) const;
    void remove(const std::string& name) const;
    void flip(const std::string& name, std::uint64_t byte, unsigned bit = 0) const;

private:
    const History& history_;
    TempDir place_, elsewhere_;
    persist::Directory directory_;
    persist::JournalWriter writer_;
    std::string key_;
};

}  // namespace riskreg::test
