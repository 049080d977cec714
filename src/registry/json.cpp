#include "registry/json.hpp"
#include "persist/names.hpp"
#include "registry/names.hpp"

#include "persist/config_json.hpp"
#include "persist/event_json.hpp"

namespace riskreg::registry {

using persist::format_amount;
using persist::format_time;
using persist::hex_text;
using persist::write_amount;

namespace {

std::string text_of(Price price) { return format_amount(Unit::price, price.value); }
std::string text_of(Quantity quantity) { return format_amount(Unit::quantity, quantity.value); }
std::string text_of(Money money) { return format_amount(Unit::money, money.value); }

void write_flags(JsonWriter& out, OrderFlags flags) { out.member_list("flags", persist::names_of_flags(flags)); }

}  // namespace

// ---- orders ----

void write_without_id(JsonWriter& out, const OrderView& o, const Reader& reader) {
    out.member("account", reader.name(o.account))
        .member("strategy", reader.name(o.strategy))
        .member("instrument", reader.name(o.instrument));
    out.member("side", name_of(o.side)).member("type", name_of(o.type)).member("tif", name_of(o.tif));
    out.member_or_null("price", o.has_price || o.price.value != 0 ? text_of(o.price) : std::string());
    if (o.has_stop_price) out.member("stop_price", text_of(o.stop_price));
    out.member("quantity", text_of(o.quantity)).member("cum_quantity", text_of(o.cum_quantity));
    out.member("leaves_quantity", text_of(o.leaves_quantity)).member("reserved_quantity", text_of(o.reserved_quantity));
    out.member("reserved_notional", text_of(o.reserved_notional)).member("status", name_of(o.status));
    write_flags(out, o.flags);
    out.member_or_null("venue_id", o.venue_id);
    out.member("created", format_time(o.created_ns)).member("updated", format_time(o.updated_ns));
    out.member("seq", o.seq).member("version", std::uint64_t{o.version});
    if (o.chain.size() > 1) out.member_list("chain", o.chain);
}

void write(JsonWriter& out, const OrderView& order, const Reader& reader) {
    write_without_id(out.member("id", order.id), order, reader);
}

// ---- verdicts ----

namespace {

void write_denial(JsonWriter& out, const Verdict& v, const Reader& reader) {
    out.member("reason", name_of(v.reason));
    if (v.scope.kind != ScopeKind::none) out.member("scope", reader.name(v.scope));
    if (!v.has_numbers) return;
    write_amount(out, "observed", v.unit, v.observed);
    write_amount(out, "limit", v.unit, v.limit);
    out.member("unit", name_of(v.unit));
}

}  // namespace

void write(JsonWriter& out, const Verdict& v, const Reader& reader) {
    out.member("result", name_of(v.result));
    if (v.reason != DenyReason::none) write_denial(out, v, reader);
    const bool changed = v.result != Result::duplicate && v.result != Result::ignored_late;
    if (v.seq != 0 && changed) out.member("seq", v.seq);
    if (v.has_order && v.result != Result::accepted) {
        out.member("status", name_of(v.status));
        out.member("cum_quantity", text_of(v.cum_quantity)).member("leaves_quantity", text_of(v.leaves_quantity));
    }
    if (v.flags != 0) write_flags(out, v.flags);
    if (v.request != 0) out.member("request", v.request).member_bool("pending", true);
    if (v.durability == Durability::pending) out.member("durability", "pending");
}

void write_answer(JsonWriter& out, std::string_view scope, const Verdict& verdict, const Reader& reader) {
    // A refusal names its scope itself.
    if (verdict.scope.kind == ScopeKind::none) out.member("scope", scope);
    write(out, verdict, reader);
}

void write(JsonWriter& out, const AfterHalt& after, const Verdict& verdict) {
    out.member("state", name_of(after.row.state)).member_bool("already", verdict.already);
    out.member("since", format_time(after.row.state_changed_ns)).member("since_uid", std::uint64_t{after.row.state_uid});
    out.member("since_reason", after.row.state_reason);
    out.member("live", after.live).member("to_cancel", after.to_cancel).member("list", after.list);
}

void write(JsonWriter& out, const Approved& approved, const Reader& reader) {
    write(out.member("request", approved.request), approved.verdict, reader);
}

void write(JsonWriter& out, const ApprovedByHost& approved) {
    out.member("request", approved.request).member("result", approved.seq ? "ok" : "denied");
    if (approved.seq) out.member("seq", *approved.seq).member_bool("verified", true);
    else out.member("reason", approved.why);
}

// ---- rows ----

namespace {

/// The state that a row's orders meet, and whose it is.
void write_effective_state(JsonWriter& out, const ExposureView& row, const Reader& reader) {
    out.member("effective_state", row.effective_state).member("effective_scope", reader.name(row.effective_scope));
    out.member("effective_reason", row.effective_reason);
}

void write_counters(JsonWriter& out, const ExposureView& r) {
    out.member("position", text_of(r.position));
    out.member("open_buy_quantity", text_of(r.open_buy_quantity)).member("open_sell_quantity", text_of(r.open_sell_quantity));
    out.member("open_buy_notional", text_of(r.open_buy_notional)).member("open_sell_notional", text_of(r.open_sell_notional));
    out.member("working_orders", std::uint64_t{r.working_buy} + r.working_sell);
    out.member("working_buy", std::uint64_t{r.working_buy}).member("working_sell", std::uint64_t{r.working_sell});
    out.member("bought_today", text_of(r.bought_today)).member("sold_today", text_of(r.sold_today));
    out.member("bought_notional_today", text_of(r.bought_notional_today));
    out.member("sold_notional_today", text_of(r.sold_notional_today));
    out.member("traded_notional_today", text_of(traded_today(r))).member("start_position", text_of(r.start_position));
    out.member_or_null("mark", r.priced ? text_of(r.mark) : std::string());
    out.member("gross_value", text_of(r.gross_value)).member("net_value", text_of(r.net_value));
    out.member("pnl", text_of(r.pnl)).member("peak_pnl", text_of(r.peak_pnl));
}

void write_use(JsonWriter& out, const LimitLine& line) {
    const Unit unit = line.field.unit;
    out.key(line.field.name).begin_object();
    if (line.used) write_amount(out, "used", unit, *line.used);
    if (line.used) write_amount(out, "headroom", unit, line.headroom());
    write_amount(out, "value", unit, line.value.value);
    out.member("unit", name_of(unit));
    if (line.used) {
        const auto bps = line.utilisation_bps();
        out.key("utilisation_bps");
        bps ? out.signed_number(*bps) : out.null();
    }
    if (line.window_ms) out.key("window_ms").signed_number(*line.window_ms);
    if (line.cancel_headroom_bps) out.member("cancel_headroom", format_amount(Unit::basis_points, *line.cancel_headroom_bps));
    out.end_object();
}

/// Of every limit that has a value and something to compare it with: a use now, or a window.
void write_utilisation(JsonWriter& out, const ExposureView& row, const Reader& reader) {
    out.key("utilisation").begin_object();
    for (const LimitLine& line : limit_lines(row, reader))
        if (line.is_bounded() && (line.used || line.window_ms)) write_use(out, line);
    out.end_object();
}

}  // namespace

void write_effective(JsonWriter& out, const ExposureView& row, const Reader& reader) {
    write_effective_state(out.member("state", name_of(row.state)), row, reader);
}

void write(JsonWriter& out, const ExposureView& r, const Reader& reader) {
    const bool of_instrument = r.scope.instrument != InstrumentId::none;
    out.member("scope", reader.name(r.scope));
    out.member_or_null("instrument", of_instrument ? reader.name(r.scope.instrument) : std::string());
    write_counters(out, r);
    write_effective(out, r, reader);
    out.member_bool("restricted", r.restricted);
    if (r.unreconciled) out.member_bool("unreconciled", true);
    if (r.saturated) out.member_bool("saturated", true);
    if (r.state_changed_ns != 0)
        out.member("state_reason", r.state_reason)
            .member("state_changed", format_time(r.state_changed_ns))
            .member("state_uid", std::uint64_t{r.state_uid});
    for (const core::Limit& field : core::kLimits) persist::write_limit(out, field, r.limits.*field.member);
    write_utilisation(out, r, reader);
}

void write(JsonWriter& out, const std::vector<FieldChange>& changes) {
    out.key("changes").begin_array();
    for (const FieldChange& change : changes) {
        const core::Limit& field = change.field;
        out.begin_object().member("limit", field.name).member("unit", name_of(field.unit));
        out.member("before", text_of(field, change.before)).member("after", text_of(field, change.after));
        if (change.used) write_amount(out, "used", field.unit, *change.used);
        if (change.used) write_amount(out, "headroom", field.unit, change.headroom());
        out.member_bool("below_use", change.is_exceeded()).end_object();
    }
    out.end_array();
}

// ---- who and what else is there ----

void write(JsonWriter& out, const SessionView& s, const Reader& reader) {
    out.member("slot", std::uint64_t{s.slot}).member("strategy", s.strategy).member("status", name_of(s.status));
    out.member("pid", std::uint64_t{s.pid}).member("uid", std::uint64_t{s.uid});
    out.member("generation", std::uint64_t{s.generation});
    out.member("attached", format_time(s.attached_ns)).member_time("ended", s.ended_ns);
    out.member("accepted", s.accepted).member("denied", s.denied);
    out.member("denied_unlogged", s.denied_unlogged).member("facts", s.facts);
    write_effective_state(out, row_of(s, reader), reader);
}

void write(JsonWriter& out, const RestrictionView& entry, const Reader& reader, std::int64_t now_ns) {
    const bool ends = entry.to_ns != Restriction{}.to_ns;
    out.member("scope", reader.name(entry.scope)).member("sides", sides_of(entry)).member_time("from", entry.from_ns);
    out.member_or_null("to", ends ? format_time(entry.to_ns) : std::string());
    out.member_bool("in_force", is_in_force(entry, now_ns)).member("reason", entry.reason);
}

void write(JsonWriter& out, const ApprovalView& a, const Reader& reader) {
    out.member("request", a.request).member("scope", reader.name(a.scope)).member("state", name_of(a.state));
    out.member_bool("unreconciled", a.unreconciled).member("status", status_of(a));
    out.member("uid", std::uint64_t{a.uid}).member("reason", a.reason);
    if (a.approved) out.member_bool("verified", a.verified);
}

void write(JsonWriter& out, const Finding& finding) {
    out.member("check", finding.check).member("health", base::text_of(finding.health)).member("seen", finding.seen);
    if (!finding.remedy.empty()) out.member("remedy", finding.remedy);
}

void write(JsonWriter& out, const AuditView& audit, const StatusView& status) {
    out.member("name", status.name).member_bool("clean", audit.violations.empty() && !status.poisoned);
    out.member_bool("complete", audit.complete).member_bool("poisoned", status.poisoned);
    out.member("seq", audit.seq).member("orders", audit.orders).member("live", audit.live).member("ids", audit.ids);
    out.member("executions", audit.executions).member("quarantined", audit.quarantined).member("rows", audit.rows);
    out.member("digest", hex_text(audit.digest)).member_list("violations", audit.violations);
}

// ---- status ----

namespace {

void write_tables(JsonWriter& out, const StatusView& v) {
    out.key("watermarks").begin_object().member("committed", v.committed).member("applied", v.applied);
    out.member("journaled", v.journaled).member("durable", v.durable).member("checkpointed", v.checkpointed).end_object();
    out.key("sessions").begin_object().member("live", std::uint64_t{v.sessions_live});
    out.member("dead", std::uint64_t{v.sessions_dead}).member("capacity", std::uint64_t{v.sessions_capacity}).end_object();
    out.key("orders").begin_object().member("live", v.orders_live).member("total", v.orders_total);
    out.member("capacity", v.orders_capacity).member("ids", v.ids_used).end_object();
    out.key("executions").begin_object().member("used", v.executions_used).member("capacity", v.executions_capacity);
    out.end_object().key("quarantine").begin_object().member("records", v.quarantined_records);
    out.member("events", v.quarantined_events).member("capacity", v.quarantine_capacity).end_object();
}

void write_day(JsonWriter& out, const StatusView& v) {
    out.member("day", v.day).member("rolled", v.rolled_seq).member_time("day_begun", v.day_begun_ns).key("rolled_uid");
    v.rolled_seq != 0 ? out.number(v.rolled_uid) : out.null();
    out.member_bool("draining", v.draining);
}

void write_scopes(JsonWriter& out, const std::vector<ExposureView>& scopes, const Reader& reader) {
    out.key("scopes").begin_array();
    for (const ExposureView& row : scopes) {
        out.begin_object().member("scope", reader.name(row.scope)).member("state", name_of(row.state));
        out.member_bool("unreconciled", row.unreconciled).member_bool("saturated", row.saturated);
        out.member("reason", row.state_reason).member_time("since", row.state_changed_ns);
        out.member("uid", std::uint64_t{row.state_uid}).end_object();
    }
    out.end_array();
}

void write_snapshotter(JsonWriter& out, const StatusView& v) {
    const auto ms = [](std::int64_t ns) { return static_cast<std::uint64_t>(ns / 1'000'000); };
    out.key("lag").begin_object().member("journaled_events", v.journal_lag).member("journaled_ms", ms(v.journal_lag_ns));
    out.member("durable_events", v.durable_lag).member("durable_ms", ms(v.durable_lag_ns));
    out.member("checkpointed_events", v.checkpoint_lag).member("checkpointed_ms", ms(v.checkpoint_lag_ns)).end_object();
    out.key("snapshotter").begin_object().member("state", v.host_state).member("pid", v.host_pid).member("rank", v.host_rank);
    out.key("waiter");
    if (v.waiter_pid == 0) out.null();
    else out.begin_object().member("pid", v.waiter_pid).member("rank", v.waiter_rank).end_object();
    out.member("epoch", v.host_epoch).member("silent_ms", ms(v.host_silent_ns)).member("fault", v.fault);
    out.member("error", v.fault_error).member("retries", v.fault_retries).member_time("since", v.fault_since_ns);
    out.member("gap_end", v.gap_end).member("alarms", v.alarms).member("journal_bytes", v.journal_bytes);
    out.member("verified", v.verified).member("verifier_cycles", v.verifier_cycles).member("differences", v.differences);
    out.end_object().key("last_checkpoint").begin_object().member("seq", v.checkpointed);
    out.member_time("time", v.checkpoint_ns).member("written", v.checkpoints).member("error", v.checkpoint_error);
    out.end_object().member("recovered", v.recovered_seq);
}

}  // namespace

void write(JsonWriter& out, const StatusReport& report, const Reader& reader) {
    const StatusView& v = report.view;
    out.member("name", v.name).member("state", v.state);
    write_tables(out, v);
    out.member("repairs", v.repairs).member("redone", v.redone).member("gaps", v.gaps).member("backlog", v.backlog);
    out.member("persistence", persist::name_of(v.persistence)).member("digest", report.digest);
    out.member_bool("unreconciled", v.unreconciled).member("segment", v.segment).member("size_bytes", v.size_bytes);
    out.member("created", format_time(v.created_ns)).member("ring_events", v.ring_capacity);
    write_day(out, v);
    out.member("lock_holder", std::uint64_t{v.lock_holder_pid});
    write_scopes(out, report.stopped, reader);
    out.member_bool("state_dir_in_memory", report.in_memory);
    write_snapshotter(out, v);
}

void write(JsonWriter& out, const Created& created) {
    const StatusView& v = created.status;
    out.member("name", v.name).member("segment", v.segment).member("size_bytes", v.size_bytes);
}

void write(JsonWriter& out, const Destroyed& destroyed) {
    out.member("name", destroyed.name).member("result", "destroyed").member_list("left", destroyed.left);
}

void write(JsonWriter& out, const RollReport& report) {
    const DayTally& t = report.tally;
    const bool rolled_before = report.before.rolled_seq != 0 && report.before.day_begun_ns != 0;
    out.member("name", report.now.name).member("result", "rolled").member("day", report.now.day);
    out.member("seq", report.verdict.seq).member("ended_day", report.before.day);
    out.member("previous_seq", report.before.rolled_seq);
    out.member_time("previous_time", rolled_before ? report.before.day_begun_ns : 0);
    out.member("durability", base::text_of(report.verdict.durability));
    out.member("expired", report.expired).member("executions", t.executions).key("carried").begin_object();
    out.member("orders", t.carried_orders).member("ids", t.carried_ids).member("day_orders", t.day_orders);
    out.member("positions", t.positions).member("restrictions", t.restrictions).member("approvals", t.approvals);
    out.end_object().key("cleared").begin_object().member("orders", t.orders - t.carried_orders);
    out.member("ids", t.ids - t.carried_ids).member("quarantined", t.quarantined).end_object();
}

// ---- files from outside ----

namespace {

void write_warning(JsonWriter& out, std::string_view id, const Verdict& v, const Reader& reader) {
    out.begin_object().member("id", id).member("reason", name_of(v.reason)).member("scope", reader.name(v.scope));
    out.member("observed", format_amount(v.unit, v.observed)).member("limit", format_amount(v.unit, v.limit));
    out.member("unit", name_of(v.unit)).end_object();
}

}  // namespace

void write(JsonWriter& out, const LoadReport& report, const Reader& reader) {
    out.member("name", report.name);
    for (const auto& [name, counts] : report.sections()) {
        out.key(name).begin_object().member("loaded", std::uint64_t{counts.loaded});
        out.member("skipped", std::uint64_t{counts.skipped}).member("refused", std::uint64_t{counts.refused}).end_object();
    }
    out.key("limit_changes").begin_array();
    for (const auto& [scope, changes] : report.limit_changes) {
        write(out.begin_object().member("scope", scope), changes);
        out.end_object();
    }
    out.end_array().key("warnings").begin_array();
    for (const auto& [id, verdict] : report.warnings) write_warning(out, id, verdict, reader);
    out.end_array();
}

void write(JsonWriter& out, const Break& what, const Reader& reader) {
    out.member(what.newer ? "newer" : "break", name_of(what.kind));
    out.member("account", reader.name(what.account)).member("instrument", reader.name(what.instrument));
    out.member_or_null("id", what.id);
    if (!what.exec_id.empty()) out.member("exec_id", what.exec_id);
    out.member("ours", what.ours).member("theirs", what.theirs);
}

void write(JsonWriter& out, const Settlement& settlement, const Reader& reader) {
    write(out, settlement.what, reader);
    out.member_bool("settled", settlement.settled);
    if (!settlement.deed.empty()) write(out.member("deed", settlement.deed), settlement.verdict, reader);
    if (!settlement.note.empty()) out.member("note", settlement.note);
}

void write(JsonWriter& out, const ReconcileSummary& s) {
    const auto count = [&out](std::string_view name, std::size_t value) { out.member(name, std::uint64_t{value}); };
    out.member("name", s.name).member("mode", name_of(s.mode)).member("time", format_time(s.time_ns));
    count("orders", s.orders), count("positions", s.positions), count("fills", s.fills);
    count("breaks", s.found), count("settled", s.settled), count("left", s.left), count("newer", s.newer);
    out.member_bool("clean", s.left == 0).member("unreconciled", s.unreconciled);
    if (s.request != 0) out.member("request", s.request);
}

// ---- files ----

namespace {

void write_invalid(JsonWriter& out, std::string_view file, std::string_view problem) {
    out.member("file", file).member_bool("valid", false).member("problem", problem);
}

}  // namespace

void write(JsonWriter& out, const CheckpointInfo& info) {
    if (!info.problem.empty()) return write_invalid(out, info.path, info.problem);
    const persist::CheckpointHead& head = info.head;
    out.member("file", info.path).member_bool("valid", true).member("registry", head.registry);
    out.member("sequence", head.seq).member("time", format_time(head.time_ns)).member("source", base::text_of(head.source));
    out.member_bool("clean", head.clean).member("epoch", hex_text(head.epoch)).member("host_epoch", head.host_epoch);
    out.member("orders", head.orders).member("executions", head.executions).member("quarantined", head.quarantined);
    out.member("rows", head.rows).member("sessions", head.sessions).member("bytes", head.bytes);
    if (head.journal.present()) {
        out.key("journal").begin_object().member("file", head.journal.file).member("last_seq", head.journal.last_seq);
        out.member("hash", hex_text(head.journal.hash)).end_object();
    }
    out.member(head.digest_name, head.digest);
}

void write(JsonWriter& out, const JournalInfo& info) {
    if (!info.unreadable.empty()) return write_invalid(out, info.path, info.unreadable);
    const persist::FileHead& head = info.head;
    out.member("file", info.path).member_bool("valid", info.damage.empty()).member("registry", head.registry);
    out.member("epoch", hex_text(head.header.epoch)).member("number", head.header.file_number);
    out.member("predecessor", head.info.predecessor).member("predecessor_last", head.info.predecessor_last_seq);
    out.member("base", head.info.base_seq).member("first", head.header.first_seq).member("last", info.last_seq);
    out.member("durable_upto", info.durable_upto).member("events", info.events).member("blocks", info.blocks);
    out.member("seals", info.seals).member("bytes", head.size).member("used_bytes", info.used_bytes);
    out.member("tail", info.tail).member_bool("signed", !info.key_file.empty());
    if (!info.damage.empty()) out.member("problem", info.damage);
}

void write(JsonWriter& out, const Checkpointed& c) {
    out.member("name", c.status.name).member("result", c.written ? "written" : "failed");
    out.member("checkpointed", c.status.checkpointed).member("file", persist::checkpoint_name(c.status.checkpointed));
    if (!c.written) out.member("problem", c.status.checkpoint_error);
}

void write(JsonWriter& out, const persist::Migration& done, std::string_view output) {
    out.member("file", output).member("from", std::uint64_t{done.from});
    out.member("version", std::uint64_t{persist::kCheckpointVersion});
    if (done.from != persist::kCheckpointVersion) out.member("registry", done.head.registry).member("sequence", done.head.seq);
    if (!done.kept.empty()) out.member("kept", done.kept);
    out.member_list("journals_refused", done.journals);
}

void write(JsonWriter& out, const RecoverView& v, const StatusView& status) {
    out.member("name", status.name)
        .member("result", base::text_of(v.outcome))
        .member("state", status.state)
        .member("seq", v.seq);
    out.member("checkpoint", v.checkpoint).member("checkpoint_seq", v.checkpoint_seq);
    out.member_bool("checkpoint_clean", v.checkpoint_clean).member("events", v.events).member("end", v.end_seq);
    out.member("bytes", v.bytes).key("ignored").begin_array();
    for (const RecoverView::Ignored& file : v.ignored)
        out.begin_object().member("file", file.name).member("why", file.why).end_object();
    out.end_array().key("journals").begin_array();
    for (const RecoverView::Journal& j : v.journals) {
        out.begin_object().member("file", j.name).member("first", j.first_seq).member("last", j.last_seq);
        out.member("applied", j.applied).member("ending", j.ending).end_object();
    }
    out.end_array().member("torn", v.torn).member("damage", v.damage).member("poisoned_segment", v.poisoned_segment);
}

}  // namespace riskreg::registry
