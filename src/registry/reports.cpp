#include "registry/reports.hpp"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "core/audit.hpp"
#include "core/copy.hpp"
#include "core/genesis.hpp"
#include "core/limits.hpp"
#include "layout/names.hpp"
#include "persist/config_json.hpp"
#include "registry/row_views.hpp"
#include "segment/lifecycle.hpp"

namespace riskreg::registry {

using base::Int128;
using persist::hex_text;

std::string_view name_of(SessionStatus status) noexcept { return layout::name_of(static_cast<layout::SessionStatus>(status)); }

std::string_view sides_of(const RestrictionView& entry) noexcept { return base::name_of_sides(entry.buy, entry.sell); }

std::string_view status_of(const ApprovalView& approval) noexcept {
    return approval.approved ? "approved" : approval.lapsed ? "lapsed" : "open";
}

// ---- scopes and orders ----

std::vector<ExposureView> stopped_scopes(const Reader& reader) {
    std::vector<ExposureView> scopes;
    reader.exposures([&](const ExposureView& row) {
        if (row.state != TradingState::active || row.unreconciled || row.saturated) scopes.push_back(row);
        return true;
    });
    return scopes;
}

ExposureView row_of(const SessionView& session, const Reader& reader) {
    Scope scope;
    scope.kind = ScopeKind::strategy;
    scope.strategy = reader.strategy(session.strategy);
    return reader.exposure(scope);
}

bool is_in_force(const RestrictionView& entry, std::int64_t now_ns) noexcept {
    return entry.from_ns <= now_ns && now_ns < entry.to_ns;
}

bool is_on_kill_list(const OrderView& order, const Reader& reader) {
    if ((order.flags & kKillCancel) != 0) return true;
    return (order.flags & kOrphaned) != 0 && reader.on_death(order.strategy) != OnDeath::leave;
}

Money open_notional(const ExposureView& row) noexcept {
    return Money{base::narrowed(Int128{row.open_buy_notional.value} + row.open_sell_notional.value)};
}

Money traded_today(const ExposureView& row) noexcept {
    return Money{base::narrowed(Int128{row.bought_notional_today.value} + row.sold_notional_today.value)};
}

// ---- limits ----

namespace {

std::int64_t value_or(const LimitValue& limit, std::int64_t fallback) noexcept {
    return limit.kind == LimitValue::Kind::value ? limit.value : fallback;
}

/// In which window a limit is counted.
std::optional<std::int64_t> window_of(const Limits& limits, const core::Limit& field) noexcept {
    return field.window == nullptr ? std::nullopt : std::optional(value_or(limits.*field.window, kDefaultWindowMs));
}

std::optional<std::int64_t> use_of(const std::vector<LimitUse>& uses, const core::Limit& field) noexcept {
    for (const LimitUse& use : uses)
        if (use.limit == field.member) return use.used;
    return std::nullopt;
}

}  // namespace

std::int64_t LimitLine::headroom() const noexcept { return base::narrowed(Int128{value.value} - *used); }

std::optional<std::int64_t> LimitLine::utilisation_bps() const noexcept {
    if (value.value == 0) return std::nullopt;
    return base::narrowed(Int128{*used} * core::kWholeBps / value.value);
}

std::vector<LimitLine> limit_lines(const ExposureView& row, const Reader& reader) {
    const std::vector<LimitUse> uses = reader.uses(row);
    std::vector<LimitLine> lines;
    for (const core::Limit& field : core::kLimits) {
        const LimitValue& value = row.limits.*field.member;
        if (value.kind == LimitValue::Kind::unset) continue;
        lines.push_back({field, value, use_of(uses, field), window_of(row.limits, field), std::nullopt});
        if (field.member == &Limits::max_all_messages)
            lines.back().cancel_headroom_bps = value_or(row.limits.cancel_headroom_bps, kDefaultCancelHeadroomBps);
    }
    return lines;
}

bool FieldChange::is_loss() const noexcept { return field.is(core::kIsLoss); }

bool FieldChange::is_exceeded() const noexcept { return used && core::is_broken(field, *used, after.value); }

std::int64_t FieldChange::headroom() const noexcept { return base::narrowed(Int128{after.value} - *used); }

std::vector<FieldChange> changes_of(const LimitsChange& change, LimitMask fields) {
    std::vector<FieldChange> changes;
    for (std::size_t i = 0; i < core::kLimits.size(); ++i) {
        const core::Limit& field = core::kLimits[i];
        if ((fields >> i & 1U) != 0)
            changes.push_back({field, change.before.*field.member, change.after.*field.member, use_of(change.uses, field)});
    }
    return changes;
}

std::string text_of(const core::Limit& field, const LimitValue& value) {
    if (value.kind == LimitValue::Kind::unset) return "unset";
    if (value.kind == LimitValue::Kind::unlimited) return "unlimited";
    return persist::format_amount(field.unit, value.value);
}

// ---- the registry as a whole ----

namespace {

std::string digest_of(const Reader& reader) {
    try {
        return hex_text(reader.digest());
    } catch (const Error& error) {
        if (error.code() != Errc::busy) throw;
        return "unknown";
    }
}

}  // namespace

StatusReport report_status(const Reader& reader, const std::string& state_dir) {
    StatusReport report;
    report.view = reader.status();
    report.digest = digest_of(reader);
    report.in_memory =
        report.view.persistence != PersistenceMode::none && segment::is_in_memory(segment::resolve_state_dir(state_dir));
    report.stopped = stopped_scopes(reader);
    return report;
}

// ---- deeds ----

AfterHalt look_after_halt(const Scope& scope, const Reader& reader) {
    AfterHalt after;
    after.row = reader.exposure(scope);
    for (const OrderView& order : reader.list_open(scope))
        ++after.live, after.to_cancel += is_on_kill_list(order, reader) ? 1U : 0U;
    return after;
}

DayTally tally_day(const Reader& reader) {
    DayTally tally;
    reader.orders([&](const OrderView& order) {
        const bool live = is_live(order.base);
        const bool carried = live || order.reserved_quantity.value != 0;
        ++tally.orders;
        tally.carried_orders += carried ? 1U : 0U;
        tally.carried_ids += carried ? order.chain.size() : 0U;
        tally.day_orders += live && order.tif == TimeInForce::day ? 1U : 0U;
        return true;
    });
    reader.exposures([&](const ExposureView& row) {
        tally.positions += row.scope.kind == ScopeKind::account_instrument && row.position.value != 0 ? 1U : 0U;
        return true;
    });
    const StatusView status = reader.status();
    tally.ids = status.ids_used;
    tally.executions = status.executions_used;
    tally.quarantined = status.quarantined_events;
    tally.restrictions = reader.restrictions().size();
    for (const ApprovalView& approval : reader.approvals()) tally.approvals += approval.approved ? 0U : 1U;
    return tally;
}

std::array<std::pair<std::string_view, LoadCounts>, 4> LoadReport::sections() const noexcept {
    return {{{"limits", limits}, {"restricted", restricted}, {"positions", positions}, {"orders", orders}}};
}

ReconcileSummary sum_up(const std::string& name, ReconcileMode mode, const VenueRecords& venue, const Reconciliation& done) {
    ReconcileSummary summary;
    summary.name = name;
    summary.mode = mode;
    summary.time_ns = venue.time_ns;
    summary.orders = venue.orders ? venue.orders->size() : 0;
    summary.positions = venue.positions ? venue.positions->size() : 0;
    summary.fills = venue.fills ? venue.fills->size() : 0;
    summary.found = done.breaks.size();
    summary.left = done.left.size();
    summary.newer = done.newer.size();
    for (const Settlement& settlement : done.breaks) summary.settled += settlement.settled ? 1 : 0;
    return summary;
}

// ---- files ----

namespace {

/// Opens one file by a path that a person gave, as the directory and name that the readers want.
persist::File open_file(const std::string& path) {
    const std::filesystem::path given(path);
    const std::string parent = given.has_parent_path() ? given.parent_path().string() : ".";
    persist::Directory directory;
    persist::File file;
    persist::IoError error = persist::Directory::open(parent, directory);
    if (!error) error = directory.open_file(given.filename().string(), file);
    if (error) throw Error(Errc::bad_input, "FILE: cannot open " + path + ": " + error.text());
    return file;
}

/// Loads the whole document into private tables and audits them. Empty when everything fits.
std::string load_and_audit(const persist::File& file, const persist::CheckpointHead& head) {
    const SharedConfig config = parse_config(head.config);
    core::PrivateState tables = core::allocate_state(core::geometry_of(config, head.config.size()));
    core::make_genesis(tables.state, config, head.config);
    // What is derived is not on disk.
    tables.state.keeps_derived = false;
    if (std::string wrong = persist::load_checkpoint(file, head, tables.state); !wrong.empty()) return wrong;
    const core::AuditReport report = core::audit(tables.state);
    return report.clean() ? std::string() : report.violations.front();
}

/// Follows the chain, and looks behind its end for blocks that say more was on disk.
void follow(persist::JournalReader& reader, JournalInfo& info) {
    for (persist::Block block; reader.next(block); ++info.blocks) {
        info.seals += block.events.empty() ? 1U : 0U;
        info.events += block.events.size();
    }
    info.last_seq = reader.expected() - 1;
    info.used_bytes = reader.position();
    if (reader.io_error()) return void(info.unreadable = reader.io_error().text());
    const std::string ending = reader.ending();
    const persist::Behind behind = reader.look_behind();
    info.durable_upto = std::max(reader.durable_upto(), behind.durable_upto);
    if (info.head.size < info.head.info.file_bytes)
        info.damage = "cut off: " + std::to_string(info.head.size) + " bytes of " + std::to_string(info.head.info.file_bytes);
    else if (info.durable_upto >= reader.expected())
        info.damage = ending + " at byte " + std::to_string(info.used_bytes) + ", and a later block says that events up to " +
                      std::to_string(info.durable_upto) + " were on disk";
    info.tail = !info.damage.empty() ? "damaged" : behind.only_zeroes ? "clean" : "torn";
}

}  // namespace

CheckpointInfo look_at_checkpoint(const std::string& path, const std::string& key_file) {
    const persist::File file = open_file(path);
    CheckpointInfo info{path, {}, {}};
    info.problem = persist::verify_checkpoint(file, persist::resolve_key(key_file, {}), info.head);
    if (!info.problem.empty()) return info;
    try {
        info.problem = load_and_audit(file, info.head);
    } catch (const Error& error) {
        info.problem = error.what();
    }
    return info;
}

JournalInfo look_at_journal(const std::string& path, const std::string& key_file) {
    const persist::File file = open_file(path);
    const persist::Key key = persist::resolve_key(key_file, {});
    JournalInfo info;
    info.path = path;
    info.key_file = key.file;
    info.unreadable = persist::read_head(file, info.head, key);
    if (!info.unreadable.empty()) return info;
    persist::JournalReader reader(file, info.head, key);
    follow(reader, info);
    return info;
}

}  // namespace riskreg::registry
