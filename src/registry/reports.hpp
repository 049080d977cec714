/// What a listing, or the answer to an operator's deed, shows beyond one public view: gathered once, for its JSON (`registry/json`)
/// and for the tables of riskctl. Looks only, changes nothing, prints nothing.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "persist/checkpoint.hpp"
#include "persist/journal_reader.hpp"
#include "persist/limit_fields.hpp"
#include "riskreg/reconcile.hpp"
#include "riskreg/registry.hpp"

namespace riskreg::registry {

[[nodiscard]] std::string_view name_of(SessionStatus status) noexcept;
[[nodiscard]] std::string_view sides_of(const RestrictionView& entry) noexcept;  ///< both, buy, sell
[[nodiscard]] std::string_view status_of(const ApprovalView& approval) noexcept;  ///< approved, lapsed, open

// ---- scopes and orders ----

/// Scopes that are in another state than active, by themselves.
[[nodiscard]] std::vector<ExposureView> stopped_scopes(const Reader& reader);
/// The row of the strategy that a session runs.
[[nodiscard]] ExposureView row_of(const SessionView& session, const Reader& reader);
[[nodiscard]] bool is_in_force(const RestrictionView& entry, std::int64_t now_ns) noexcept;
/// Somebody should cancel it: its scope was halted, or its strategy died and the policy is not `leave`.
[[nodiscard]] bool is_on_kill_list(const OrderView& order, const Reader& reader);
[[nodiscard]] Money open_notional(const ExposureView& row) noexcept;  ///< of both sides
/// Bought and sold on this day.
[[nodiscard]] Money traded_today(const ExposureView& row) noexcept;

// ---- limits ----

/// One limit of a row that is set, and how much of it is used now.
struct LimitLine {
    const core::Limit& field;
    LimitValue value;
    std::optional<std::int64_t> used;  ///< nothing for limits of single orders, and for what is counted for each content
    std::optional<std::int64_t> window_ms;  ///< of limits that are counted in one
    std::optional<std::int64_t> cancel_headroom_bps;  ///< of the budget of all messages: what of it only cancels may use

    [[nodiscard]] bool is_bounded() const noexcept { return value.kind == LimitValue::Kind::value; }
    /// Of a bounded one that has a use.
    [[nodiscard]] std::int64_t headroom() const noexcept;
    /// The same; nothing where there is no fraction to speak of: a limit of 0.
    [[nodiscard]] std::optional<std::int64_t> utilisation_bps() const noexcept;
};
[[nodiscard]] std::vector<LimitLine> limit_lines(const ExposureView& row, const Reader& reader);

/// One limit that a deed named, before and after, and how much of it is used.
struct FieldChange {
    const core::Limit& field;
    LimitValue before, after;
    std::optional<std::int64_t> used;

    [[nodiscard]] bool is_loss() const noexcept;
    /// A loss acts where it reaches its limit, everything else beyond it.
    [[nodiscard]] bool is_exceeded() const noexcept;
    [[nodiscard]] std::int64_t headroom() const noexcept;
};
[[nodiscard]] std::vector<FieldChange> changes_of(const LimitsChange& change, LimitMask fields);
/// A decimal, `unlimited` or `unset`.
[[nodiscard]] std::string text_of(const core::Limit& field, const LimitValue& value);

// ---- the registry as a whole ----

struct StatusReport {
    StatusView view;
    std::string digest;  ///< `unknown` while writers outrun every attempt to copy
    bool in_memory = false;  ///< the state directory: what counts as durable is in memory, too
    std::vector<ExposureView> stopped;
};
[[nodiscard]] StatusReport report_status(const Reader& reader, const std::string& state_dir);

/// One finding of `doctor`: what was looked at, what was seen, what to do.
enum class Health : std::uint8_t { ok, note, problem };
struct Finding {
    Health health{};
    std::string check, seen, remedy;
};

// ---- deeds ----

/// What a halt leaves to do: orders that are live at the venue.
struct AfterHalt {
    ExposureView row;
    std::uint64_t live = 0, to_cancel = 0;
    std::string list;  ///< how whoever asked lists them
};
[[nodiscard]] AfterHalt look_after_halt(const Scope& scope, const Reader& reader);

/// What of a day goes on in the next one.
struct DayTally {
    std::uint64_t orders = 0, ids = 0, carried_orders = 0, carried_ids = 0, day_orders = 0;
    std::uint64_t executions = 0, quarantined = 0, positions = 0, restrictions = 0, approvals = 0;
};
[[nodiscard]] DayTally tally_day(const Reader& reader);

struct RollReport {
    StatusView before, now;
    Verdict verdict;
    DayTally tally;  ///< of the day that ended
    std::uint64_t expired = 0;  ///< day orders, just before
};

/// What became of a file that was loaded.
struct LoadCounts {
    std::size_t loaded = 0, skipped = 0, refused = 0;
};
struct LoadReport {
    std::string name;
    LoadCounts limits, restricted, positions, orders;
    std::vector<std::pair<std::string, std::vector<FieldChange>>> limit_changes;  ///< by scope
    /// Orders, by id, that are reserved beyond a limit: reason, scope, observed and limit as a refusal would have named them.
    std::vector<std::pair<std::string, Verdict>> warnings;

    [[nodiscard]] std::array<std::pair<std::string_view, LoadCounts>, 4> sections() const noexcept;
};

/// How a comparison with a venue came out.
struct ReconcileSummary {
    std::string name;
    ReconcileMode mode{};
    std::int64_t time_ns = 0;  ///< of the venue's statement
    std::size_t orders = 0, positions = 0, fills = 0;  ///< in it
    std::size_t found = 0, settled = 0, left = 0, newer = 0;
    std::string_view unreconciled = "no";  ///< what became of it: no, released, requested, kept, refused
    std::uint64_t request = 0;  ///< of the release that waits for a second person
};
[[nodiscard]] ReconcileSummary sum_up(const std::string& name, ReconcileMode mode, const VenueRecords& venue,
                                      const Reconciliation& done);

// ---- files ----

/// One checkpoint file, checked down to the tables that it makes. `problem` empty: everything fits.
struct CheckpointInfo {
    std::string path, problem;
    persist::CheckpointHead head;
};
/// Throws Error where the file cannot be opened, or the key cannot be had.
[[nodiscard]] CheckpointInfo look_at_checkpoint(const std::string& path, const std::string& key_file);

/// One journal file, followed to the end of its chain.
struct JournalInfo {
    std::string path;
    std::string unreadable;  ///< not empty: nothing of it counts, and what is below says nothing
    std::string damage;  ///< of events that were acknowledged; empty: none
    persist::FileHead head;
    std::uint64_t blocks = 0, seals = 0, events = 0;
    std::uint64_t last_seq = 0, durable_upto = 0, used_bytes = 0;
    std::string_view tail;  ///< clean, torn, damaged
    std::string key_file;  ///< the key that every block is signed with; empty: none is
};
/// Throws like `look_at_checkpoint`.
[[nodiscard]] JournalInfo look_at_journal(const std::string& path, const std::string& key_file);

}  // namespace riskreg::registry
