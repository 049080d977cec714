// status, orders, order, exposure, limits, sessions, events: all through a read-only mapping.
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <cstdio>

#include "persist/event_json.hpp"
#include "riskctl/output.hpp"
#include "riskctl/verbs.hpp"

namespace riskctl {

using namespace riskreg;
using persist::format_amount;

namespace {

std::string text_of(std::uint64_t value) { return std::to_string(value); }

std::string digest_text(std::uint64_t digest) {
    char text[20];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(digest));
    return text;
}

constexpr std::string_view kModes[] = {"none", "async", "durable"};

void write_snapshotter(JsonWriter& out, const StatusView& v) {
    const auto ms = [](std::int64_t ns) { return static_cast<std::uint64_t>(ns / 1'000'000); };
    out.key("lag").begin_object().member("journaled_events", v.journal_lag).member("journaled_ms", ms(v.journal_lag_ns));
    out.member("durable_events", v.durable_lag).member("durable_ms", ms(v.durable_lag_ns));
    out.member("checkpointed_events", v.checkpoint_lag).member("checkpointed_ms", ms(v.checkpoint_lag_ns)).end_object();
    out.key("snapshotter").begin_object().member("state", v.host_state).member("pid", v.host_pid);
    out.member("epoch", v.host_epoch).member("silent_ms", ms(v.host_silent_ns)).member("fault", v.fault);
    out.member("error", v.fault_error).member("retries", v.fault_retries).key("since");
    v.fault_since_ns == 0 ? out.null() : out.string(persist::format_time(v.fault_since_ns));
    out.member("gap_end", v.gap_end).member("alarms", v.alarms).member("journal_bytes", v.journal_bytes);
    out.member("verified", v.verified).member("verifier_cycles", v.verifier_cycles).member("differences", v.differences);
    out.end_object().key("last_checkpoint").begin_object().member("seq", v.checkpointed).key("time");
    v.checkpoint_ns == 0 ? out.null() : out.string(persist::format_time(v.checkpoint_ns));
    out.member("written", v.checkpoints).member("error", v.checkpoint_error).end_object();
    out.member("recovered", v.recovered_seq);
}

std::string lag_text(std::uint64_t events, std::int64_t ns) {
    return text_of(events) + " events, " + text_of(static_cast<std::uint64_t>(ns / 1'000'000)) + " ms behind";
}

void add_snapshotter(Table& table, const StatusView& v) {
    if (v.persistence != PersistenceMode::none) {
        table.add({"journaled", text_of(v.journaled) + ", " + lag_text(v.journal_lag, v.journal_lag_ns)});
        table.add({"durable", text_of(v.durable) + ", " + lag_text(v.durable_lag, v.durable_lag_ns)});
    }
    table.add({"last checkpoint", v.checkpoint_ns == 0
                                      ? "never"
                                      : text_of(v.checkpointed) + " at " + persist::format_time(v.checkpoint_ns) + ", " +
                                            lag_text(v.checkpoint_lag, v.checkpoint_lag_ns)});
    std::string host = v.host_state;
    if (v.host_pid != 0) host += ", pid " + text_of(v.host_pid);
    if (!v.fault.empty()) host += ": " + v.fault + " " + v.fault_error + ", " + text_of(v.fault_retries) + " retries";
    if (!v.checkpoint_error.empty()) host += "; no checkpoint: " + v.checkpoint_error;
    if (v.gap_end != 0) host += "; a gap in the journal is open";
    table.add({"snapshotter", host});
    table.add(
        {"alarms", text_of(v.alarms) + " (riskreg.log), differences " + text_of(v.differences) + ", gaps " + text_of(v.gaps)});
}

void print_status_json(const StatusView& v, const std::string& digest) {
    JsonWriter out;
    out.begin_object().member("name", v.name).member("state", v.state).key("watermarks").begin_object();
    out.member("committed", v.committed)
        .member("applied", v.applied)
        .member("journaled", v.journaled)
        .member("durable", v.durable);
    out.member("checkpointed", v.checkpointed).end_object().key("sessions").begin_object();
    out.member("live", std::uint64_t{v.sessions_live})
        .member("dead", std::uint64_t{v.sessions_dead})
        .member("capacity", std::uint64_t{v.sessions_capacity});
    out.end_object().key("orders").begin_object();
    out.member("live", v.orders_live)
        .member("total", v.orders_total)
        .member("capacity", v.orders_capacity)
        .member("ids", v.ids_used)
        .end_object();
    out.key("executions")
        .begin_object()
        .member("used", v.executions_used)
        .member("capacity", v.executions_capacity)
        .end_object();
    out.key("quarantine").begin_object().member("records", v.quarantined_records).member("events", v.quarantined_events);
    out.member("capacity", v.quarantine_capacity).end_object();
    out.member("repairs", v.repairs).member("redone", v.redone).member("gaps", v.gaps).member("backlog", v.backlog);
    out.member("persistence", kModes[static_cast<std::size_t>(v.persistence)]).member("digest", digest);
    out.member_bool("unreconciled", v.unreconciled).member("segment", v.segment).member("size_bytes", v.size_bytes);
    out.member("created", persist::format_time(v.created_ns)).member("ring_events", v.ring_capacity);
    out.member("lock_holder", std::uint64_t{v.lock_holder_pid});
    write_snapshotter(out, v);
    print_line(out.end_object().text());
}

void print_status_table(const StatusView& v, const std::string& digest) {
    Table table({"registry", v.name});
    table.add({"state", v.state});
    table.add({"segment", v.segment + ", " + text_of(v.size_bytes >> 20) + " MiB"});
    table.add({"created", persist::format_time(v.created_ns)});
    table.add({"committed / applied", text_of(v.committed) + " / " + text_of(v.applied)});
    table.add({"persistence", std::string(kModes[static_cast<std::size_t>(v.persistence)])});
    add_snapshotter(table, v);
    table.add({"sessions", text_of(v.sessions_live) + " live, " + text_of(v.sessions_dead) + " dead, room for " +
                               text_of(v.sessions_capacity)});
    table.add({"orders", text_of(v.orders_live) + " live of " + text_of(v.orders_total) + "; ids " + text_of(v.ids_used) +
                             " of " + text_of(v.orders_capacity)});
    table.add({"executions", text_of(v.executions_used) + " of " + text_of(v.executions_capacity)});
    table.add({"quarantined", text_of(v.quarantined_events) + " events, " + text_of(v.quarantined_records) + " records of " +
                                  text_of(v.quarantine_capacity)});
    table.add({"repairs", text_of(v.repairs) + " (" + text_of(v.redone) + " events redone)"});
    table.add({"digest", digest});
    table.print();
}

}  // namespace

int status(const Common& common) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    const StatusView view = reader.status();
    std::string digest = "unknown";
    try {
        digest = digest_text(reader.digest());
    } catch (const Error& error) {
        if (error.code() != Errc::busy) throw;
    }
    common.json ? print_status_json(view, digest) : print_status_table(view, digest);
    return view.poisoned ? kDamaged : kDone;
}

namespace {

template <class Handle>
Handle require_named(Handle handle, const char* option, const std::string& text) {
    if (!text.empty() && handle == Handle::none)
        throw Error(Errc::bad_input, std::string(option) + ": seen '" + text + "', allowed: a configured id");
    return handle;
}

/// Somebody should cancel it: its scope was halted, or its strategy died and the policy is not `leave`.
bool on_kill_list(const Reader& reader, const OrderView& order) {
    if ((order.flags & kKillCancel) != 0) return true;
    return (order.flags & kOrphaned) != 0 && reader.on_death(order.strategy) != OnDeath::leave;
}

bool wanted(const Reader& reader, const OrderView& order, const OrderFilter& filter, AccountId account, StrategyId strategy,
            InstrumentId instrument) {
    if ((filter.live || filter.kill_list) && !is_live(order.base)) return false;
    if (filter.kill_list && !on_kill_list(reader, order)) return false;
    if (!filter.account.empty() && order.account != account) return false;
    if (!filter.strategy.empty() && order.strategy != strategy) return false;
    return filter.instrument.empty() || order.instrument == instrument;
}

std::vector<std::string> order_row(const Reader& reader, const OrderView& o) {
    return {o.id,
            reader.name(o.account),
            reader.name(o.strategy),
            reader.name(o.instrument),
            std::string(name_of(o.side)),
            std::string(name_of(o.type)),
            format_amount(Unit::price, o.price.value),
            format_amount(Unit::quantity, o.quantity.value),
            format_amount(Unit::quantity, o.cum_quantity.value),
            format_amount(Unit::quantity, o.leaves_quantity.value),
            std::string(name_of(o.status)),
            join(persist::names_of_flags(o.flags), ",")};
}

Table order_table() {
    return Table(
        {"id", "account", "strategy", "instrument", "side", "type", "price", "quantity", "cum", "leaves", "status", "flags"});
}

void print_order_json(const Reader& reader, const OrderView& order) {
    JsonWriter out;
    out.begin_object();
    write_order(out, reader, order);
    print_line(out.end_object().text());
}

}  // namespace

int orders(const Common& common, const OrderFilter& filter) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    const AccountId account = require_named(reader.account(filter.account), "--account", filter.account);
    const StrategyId strategy = require_named(reader.strategy(filter.strategy), "--strategy", filter.strategy);
    const InstrumentId instrument = require_named(reader.instrument(filter.instrument), "--instrument", filter.instrument);
    Table table = order_table();
    reader.orders([&](const OrderView& order) {
        if (!wanted(reader, order, filter, account, strategy, instrument)) return true;
        common.json ? print_order_json(reader, order) : table.add(order_row(reader, order));
        return true;
    });
    if (!common.json) table.print();
    return kDone;
}

int order(const Common& common, const std::string& id, const std::string& account) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    const AccountId handle = require_named(reader.account(account), "--account", account);
    OrderView view;
    if (!reader.find(handle, id, view)) {
        std::fprintf(stderr, "riskctl: no order '%s' in account '%s'\n", id.c_str(), account.c_str());
        return kNo;
    }
    if (common.json) return print_order_json(reader, view), kDone;
    Table table = order_table();
    table.add(order_row(reader, view));
    table.print();
    return kDone;
}

namespace {

/// Use of one limit: the counter that it is held against now. For a quantity limit of a scope that spans
/// instruments, the greatest over its instruments. Limits of single orders have no use.
bool use_of(const Reader& reader, const ExposureView& row, std::string_view field, std::int64_t& used) {
    const auto worst = [](const ExposureView& r, bool is_long) {
        return is_long ? r.position.value + r.open_buy_quantity.value : r.open_sell_quantity.value - r.position.value;
    };
    if (field == "max_open_notional") return used = row.open_buy_notional.value + row.open_sell_notional.value, true;
    if (field == "max_working_orders") return used = static_cast<std::int64_t>(row.working_buy) + row.working_sell, true;
    if (field == "max_working_buy") return used = row.working_buy, true;
    if (field == "max_working_sell") return used = row.working_sell, true;
    if (field != "max_long" && field != "max_short") return false;
    const bool is_long = field == "max_long";
    if (row.scope.instrument != InstrumentId::none) return used = worst(row, is_long), true;
    Scope scope = row.scope;
    scope.kind = scope.kind == ScopeKind::firm      ? ScopeKind::instrument
                 : scope.kind == ScopeKind::account ? ScopeKind::account_instrument
                                                    : ScopeKind::strategy_instrument;
    used = 0;
    for (const std::string& instrument : reader.instruments()) {
        scope.instrument = reader.instrument(instrument);
        used = std::max(used, worst(reader.exposure(scope), is_long));
    }
    return true;
}

bool has_limits(const ExposureView& row) { return !(row.limits == Limits{}); }

bool has_activity(const ExposureView& r) {
    return (r.position.value | r.open_buy_quantity.value | r.open_sell_quantity.value | r.bought_today.value |
            r.sold_today.value) != 0 ||
           r.working_buy + r.working_sell != 0 || r.state != TradingState::active || r.unreconciled;
}

void write_utilisation(JsonWriter& out, const Reader& reader, const ExposureView& row) {
    out.key("utilisation").begin_object();
    for (const persist::LimitField& field : persist::kLimitFields) {
        const LimitValue& limit = row.limits.*field.member;
        std::int64_t used = 0;
        if (limit.kind != LimitValue::Kind::value || !use_of(reader, row, field.name, used)) continue;
        out.key(field.name).begin_object().member("used", format_amount(field.unit, used));
        out.member("headroom", format_amount(field.unit, limit.value - used)).end_object();
    }
    out.end_object();
}

void print_row_json(const Reader& reader, const ExposureView& r) {
    JsonWriter out;
    const auto quantity = [](Quantity q) { return format_amount(Unit::quantity, q.value); };
    const auto money = [](Money m) { return format_amount(Unit::money, m.value); };
    out.begin_object().member("scope", reader.name(r.scope)).key("instrument");
    r.scope.instrument == InstrumentId::none ? out.null() : out.string(reader.name(r.scope.instrument));
    out.member("position", quantity(r.position))
        .member("open_buy_quantity", quantity(r.open_buy_quantity))
        .member("open_sell_quantity", quantity(r.open_sell_quantity));
    out.member("open_buy_notional", money(r.open_buy_notional)).member("open_sell_notional", money(r.open_sell_notional));
    out.member("working_orders", std::uint64_t{r.working_buy} + r.working_sell);
    out.member("working_buy", std::uint64_t{r.working_buy}).member("working_sell", std::uint64_t{r.working_sell});
    out.member("bought_today", quantity(r.bought_today)).member("sold_today", quantity(r.sold_today));
    out.member("traded_notional_today", money(Money{r.bought_notional_today.value + r.sold_notional_today.value}));
    out.member("state", name_of(r.state));
    if (r.unreconciled) out.member_bool("unreconciled", true);
    if (r.saturated) out.member_bool("saturated", true);
    if (r.state_changed_ns != 0)
        out.member("state_reason", r.state_reason)
            .member("state_changed", persist::format_time(r.state_changed_ns))
            .member("state_uid", std::uint64_t{r.state_uid});
    for (const persist::LimitField& field : persist::kLimitFields) persist::write_limit(out, field, r.limits.*field.member);
    write_utilisation(out, reader, r);
    print_line(out.end_object().text());
}

template <class Visit>
void each_row(const Reader& reader, const std::string& scope_text, Visit visit) {
    if (scope_text.empty()) return reader.exposures([&](const ExposureView& row) { return visit(row), true; });
    visit(reader.exposure(require_scope(reader, scope_text)));
}

bool is_idle_external(const Reader& reader, const ExposureView& row) {
    return row.scope.strategy != StrategyId::none && reader.name(row.scope.strategy) == "external" && !has_activity(row) &&
           !has_limits(row);
}

}  // namespace

int exposure(const Common& common, const std::string& scope) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    Table table({"scope", "position", "open buy", "open sell", "open notional", "working", "bought", "sold", "state", "why"});
    each_row(reader, scope, [&](const ExposureView& r) {
        if (scope.empty() && (common.json ? is_idle_external(reader, r) : !has_activity(r))) return;
        if (common.json) return print_row_json(reader, r);
        table.add({reader.name(r.scope), format_amount(Unit::quantity, r.position.value),
                   format_amount(Unit::quantity, r.open_buy_quantity.value),
                   format_amount(Unit::quantity, r.open_sell_quantity.value),
                   format_amount(Unit::money, r.open_buy_notional.value + r.open_sell_notional.value),
                   text_of(std::uint64_t{r.working_buy} + r.working_sell), format_amount(Unit::quantity, r.bought_today.value),
                   format_amount(Unit::quantity, r.sold_today.value), std::string(name_of(r.state)),
                   r.state == TradingState::active ? "" : r.state_reason});
    });
    if (!common.json && table.empty()) std::printf("no exposure, every scope is active\n");
    if (!common.json && !table.empty()) table.print();
    return kDone;
}

int limits(const Common& common, const std::string& scope) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    Table table({"scope", "limit", "value", "used", "headroom"});
    each_row(reader, scope, [&](const ExposureView& r) {
        if (scope.empty() && !has_limits(r)) return;
        if (common.json) return print_row_json(reader, r);
        for (const persist::LimitField& field : persist::kLimitFields) {
            const LimitValue& limit = r.limits.*field.member;
            if (limit.kind == LimitValue::Kind::unset) continue;
            std::int64_t used = 0;
            const bool has_use = use_of(reader, r, field.name, used);
            const bool bounded = limit.kind == LimitValue::Kind::value;
            table.add({reader.name(r.scope), std::string(field.name),
                       bounded ? format_amount(field.unit, limit.value) : "unlimited",
                       has_use ? format_amount(field.unit, used) : "-",
                       has_use && bounded ? format_amount(field.unit, limit.value - used) : "-"});
        }
    });
    if (!common.json && table.empty()) std::printf("no limit is set\n");
    if (!common.json && !table.empty()) table.print();
    return kDone;
}

int sessions(const Common& common) {
    static constexpr const char* names[] = {"free", "attached", "detached", "dead", "fenced"};
    const Reader reader = Reader::open(common.name, common.state_dir);
    Table table({"slot", "strategy", "status", "pid", "generation", "attached", "ended", "accepted", "denied", "facts"});
    for (const SessionView& s : reader.sessions()) {
        const std::string ended = s.ended_ns == 0 ? "" : persist::format_time(s.ended_ns);
        const char* name = names[static_cast<std::size_t>(s.status)];
        if (!common.json) {
            table.add({text_of(s.slot), s.strategy, name, text_of(s.pid), text_of(s.generation),
                       persist::format_time(s.attached_ns), ended.empty() ? "-" : ended, text_of(s.accepted), text_of(s.denied),
                       text_of(s.facts)});
            continue;
        }
        JsonWriter out;
        out.begin_object().member("slot", std::uint64_t{s.slot}).member("strategy", s.strategy).member("status", name);
        out.member("pid", std::uint64_t{s.pid})
            .member("uid", std::uint64_t{s.uid})
            .member("generation", std::uint64_t{s.generation});
        out.member("attached", persist::format_time(s.attached_ns)).key("ended");
        ended.empty() ? out.null() : out.string(ended);
        out.member("accepted", s.accepted)
            .member("denied", s.denied)
            .member("denied_unlogged", s.denied_unlogged)
            .member("facts", s.facts);
        print_line(out.end_object().text());
    }
    if (!common.json) table.print();
    return kDone;
}

namespace {
volatile sig_atomic_t stop_requested = 0;
void request_stop(int) { stop_requested = 1; }
}  // namespace

int events(const Common& common, std::uint64_t from, bool follow) {
    ::signal(SIGINT, request_stop);
    ::signal(SIGTERM, request_stop);
    ::signal(SIGPIPE, SIG_IGN);
    const Reader reader = Reader::open(common.name, common.state_dir);
    bool open = true;
    std::uint64_t next = from;
    const auto print = [&](std::uint64_t, const std::string& line) { return (open = print_line(line)) && stop_requested == 0; };
    // Asked for by number, older events come from the journal's files.
    if (from != 0 && from < reader.oldest_event()) next = reader.journaled_events(from, reader.oldest_event() - 1, print);
    while (open && stop_requested == 0) {
        std::uint64_t lost = 0;
        next = reader.events(next, print, &lost);
        if (lost > 0)
            std::fprintf(stderr,
                         "riskctl: %llu events were overwritten in memory before they could be read, and are in no journal "
                         "file that is left\n",
                         static_cast<unsigned long long>(lost));
        if (!follow) break;
        const timespec pause{0, 20'000'000};
        ::nanosleep(&pause, nullptr);
    }
    return kDone;
}

}  // namespace riskctl
