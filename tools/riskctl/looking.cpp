// status, orders, order, sessions, events, restricted, approvals: all through a read-only mapping.
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <functional>

#include "persist/event_json.hpp"
#include "riskctl/output.hpp"
#include "riskctl/verbs.hpp"
#include "segment/lifecycle.hpp"

namespace riskctl {

using namespace riskreg;
using persist::format_amount;

namespace {

std::string text_of(std::uint64_t value) { return std::to_string(value); }

std::int64_t wall_clock_ns() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

std::string digest_text(std::uint64_t digest) {
    char text[20];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(digest));
    return text;
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
    if (v.host_pid != 0) host += ", " + segment::process_text(static_cast<std::uint32_t>(v.host_pid)) + ", rank " + v.host_rank;
    if (v.waiter_pid != 0)
        host += "; " + segment::process_text(static_cast<std::uint32_t>(v.waiter_pid)) + ", rank " + v.waiter_rank +
                ", waits for its place";
    if (!v.fault.empty()) host += ": " + v.fault + " " + v.fault_error + ", " + text_of(v.fault_retries) + " retries";
    if (!v.checkpoint_error.empty()) host += "; no checkpoint: " + v.checkpoint_error;
    if (v.gap_end != 0) host += "; a gap in the journal is open";
    table.add({"snapshotter", host});
    table.add(
        {"alarms", text_of(v.alarms) + " (riskreg.log), differences " + text_of(v.differences) + ", gaps " + text_of(v.gaps)});
}

/// Scopes that are in another state than active, by themselves.
std::vector<ExposureView> stopped_scopes(const Reader& reader) {
    std::vector<ExposureView> scopes;
    reader.exposures([&](const ExposureView& row) {
        if (row.state != TradingState::active || row.unreconciled || row.saturated) scopes.push_back(row);
        return true;
    });
    return scopes;
}

void write_scopes(JsonWriter& out, const Reader& reader) {
    out.key("scopes").begin_array();
    for (const ExposureView& row : stopped_scopes(reader)) {
        out.begin_object().member("scope", reader.name(row.scope)).member("state", name_of(row.state));
        out.member_bool("unreconciled", row.unreconciled).member_bool("saturated", row.saturated);
        out.member("reason", row.state_reason).key("since");
        row.state_changed_ns == 0 ? out.null() : out.string(persist::format_time(row.state_changed_ns));
        out.member("uid", std::uint64_t{row.state_uid}).end_object();
    }
    out.end_array();
}

/// What counts as durable is in memory, too.
bool is_in_memory(const Common& common, const StatusView& v) {
    return v.persistence != PersistenceMode::none && segment::is_in_memory(segment::resolve_state_dir(common.state_dir));
}

void print_status_json(const Reader& reader, const StatusView& v, const std::string& digest, bool in_memory) {
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
    out.member("persistence", base::text_of(v.persistence)).member("digest", digest);
    out.member_bool("unreconciled", v.unreconciled).member("segment", v.segment).member("size_bytes", v.size_bytes);
    out.member("created", persist::format_time(v.created_ns)).member("ring_events", v.ring_capacity);
    out.member("day", v.day).member("rolled", v.rolled_seq).key("day_begun");
    v.day_begun_ns != 0 ? out.string(persist::format_time(v.day_begun_ns)) : out.null();
    out.key("rolled_uid");
    v.rolled_seq != 0 ? out.number(v.rolled_uid) : out.null();
    out.member_bool("draining", v.draining);
    out.member("lock_holder", std::uint64_t{v.lock_holder_pid});
    write_scopes(out, reader);
    out.member_bool("state_dir_in_memory", in_memory);
    write_snapshotter(out, v);
    print_line(out.end_object().text());
}

std::string day_text(const StatusView& v) {
    std::string text = text_of(v.day);
    if (v.rolled_seq != 0) text += ", begun behind event " + text_of(v.rolled_seq) + " by uid " + text_of(v.rolled_uid);
    if (v.day_begun_ns != 0) text += ", at " + persist::format_time(v.day_begun_ns);
    return text + (v.draining ? ", about to end: new risk waits" : "");
}

/// "firm is halted: fat finger"; unreconciled is said beside a state that hides it.
std::string scope_text(const Reader& reader, const ExposureView& row) {
    std::string state(row.saturated ? "halted (a counter met its end)" : name_of(row.state));
    if (row.unreconciled) state = row.state == TradingState::active ? "unreconciled" : state + ", unreconciled";
    const bool told = row.state != TradingState::active && !row.state_reason.empty();
    return reader.name(row.scope) + " is " + state + (told ? ": " + row.state_reason : "");
}

void print_status_table(const Reader& reader, const StatusView& v, const std::string& digest, bool in_memory) {
    Table table({"registry", v.name});
    table.add({"state", v.state});
    for (const ExposureView& row : stopped_scopes(reader)) table.add({"", scope_text(reader, row)});
    table.add({"segment", v.segment + ", " + text_of(v.size_bytes >> 20) + " MiB"});
    table.add({"created", persist::format_time(v.created_ns)});
    table.add({"trading day", day_text(v)});
    table.add({"committed / applied", text_of(v.committed) + " / " + text_of(v.applied)});
    table.add({"persistence",
               std::string(base::text_of(v.persistence)) +
                   (in_memory ? "; warning: the state directory is in memory (tmpfs), nothing survives a reboot" : "")});
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
    const bool in_memory = is_in_memory(common, view);
    common.json ? print_status_json(reader, view, digest, in_memory) : print_status_table(reader, view, digest, in_memory);
    return view.poisoned ? kDamaged : kDone;
}

namespace {

template <class Handle>
Handle require_named(Handle handle, const char* option, const std::string& text) {
    if (!text.empty() && handle == Handle::none)
        throw Error(Errc::bad_input, std::string(option) + ": seen '" + text + "', allowed: a configured id");
    return handle;
}

/// The entities that a list is narrowed to, `none` for any, and the scope that was given (the firm, if none was).
struct Selection {
    Scope scope;
    AccountId account;
    StrategyId strategy;
    InstrumentId instrument;
};

template <class Handle>
Handle merged(Handle of_scope, Handle named, const char* option, const std::string& text) {
    if (require_named(named, option, text) == Handle::none || named == of_scope) return of_scope;
    if (of_scope != Handle::none)
        throw Error(Errc::bad_input,
                    std::string(option) + ": seen '" + text + "', allowed: the one that --scope names, or none");
    return named;
}

Selection select(const Reader& reader, const Entities& e) {
    Scope scope;
    scope.kind = ScopeKind::firm;
    if (!e.scope.empty()) scope = require_scope(reader, e.scope);
    return {scope, merged(scope.account, reader.account(e.account), "--account", e.account),
            merged(scope.strategy, reader.strategy(e.strategy), "--strategy", e.strategy),
            merged(scope.instrument, reader.instrument(e.instrument), "--instrument", e.instrument)};
}

bool wanted(const Reader& reader, const OrderView& order, const OrderFilter& filter, const Selection& selection) {
    if ((filter.live || filter.kill_list) && !is_live(order.base)) return false;
    if (filter.kill_list && !on_kill_list(reader, order)) return false;
    const auto fits = [](auto asked, auto seen) { return asked == decltype(asked)::none || asked == seen; };
    return fits(selection.account, order.account) && fits(selection.strategy, order.strategy) &&
           fits(selection.instrument, order.instrument);
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
    const Selection selection = select(reader, filter.entities);
    Table table = order_table();
    const auto show = [&](const OrderView& order) {
        if (!wanted(reader, order, filter, selection)) return true;
        common.json ? print_order_json(reader, order) : table.add(order_row(reader, order));
        return true;
    };
    if (filter.live || filter.kill_list) {
        for (const OrderView& order : reader.list_open(selection.scope)) show(order);
    } else {
        reader.orders(show);
    }
    if (!common.json) print_firm_state(reader);
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

int sessions(const Common& common) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    Table table(
        {"slot", "strategy", "status", "pid", "generation", "attached", "ended", "accepted", "denied", "facts", "state"});
    for (const SessionView& s : reader.sessions()) {
        const std::string ended = s.ended_ns == 0 ? "" : persist::format_time(s.ended_ns);
        const std::string name(layout::name_of(static_cast<layout::SessionStatus>(s.status)));
        Scope scope;
        scope.kind = ScopeKind::strategy;
        scope.strategy = reader.strategy(s.strategy);
        const ExposureView row = reader.exposure(scope);
        const std::string state = effective_text(reader, row);
        if (!common.json) {
            table.add({text_of(s.slot), s.strategy, name, text_of(s.pid), text_of(s.generation),
                       persist::format_time(s.attached_ns), ended.empty() ? "-" : ended, text_of(s.accepted), text_of(s.denied),
                       text_of(s.facts), state.empty() ? "active" : state});
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
        out.member("effective_state", row.effective_state).member("effective_scope", reader.name(row.effective_scope));
        out.member("effective_reason", row.effective_reason);
        print_line(out.end_object().text());
    }
    if (!common.json) table.print();
    return kDone;
}

int restricted(const Common& common) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    const std::int64_t now = wall_clock_ns();
    Table table({"scope", "sides", "from", "to", "in force", "reason"});
    for (const RestrictionView& r : reader.restrictions()) {
        const std::string sides(base::name_of_sides(r.buy, r.sell));
        const std::string from = r.from_ns == 0 ? "" : persist::format_time(r.from_ns);
        const std::string to = r.to_ns == Restriction{}.to_ns ? "" : persist::format_time(r.to_ns);
        const bool in_force = r.from_ns <= now && now < r.to_ns;
        if (!common.json) {
            table.add({reader.name(r.scope), sides, from.empty() ? "always" : from, to.empty() ? "for ever" : to,
                       in_force ? "yes" : "no", r.reason});
            continue;
        }
        JsonWriter out;
        out.begin_object().member("scope", reader.name(r.scope)).member("sides", sides).key("from");
        from.empty() ? out.null() : out.string(from);
        out.key("to");
        to.empty() ? out.null() : out.string(to);
        print_line(out.member_bool("in_force", in_force).member("reason", r.reason).end_object().text());
    }
    if (!common.json && table.empty()) std::printf("nothing is restricted\n");
    if (!common.json && !table.empty()) table.print();
    return kDone;
}

int approvals(const Common& common) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    Table table({"request", "scope", "asks for", "status", "asked by", "reason"});
    for (const ApprovalView& a : reader.approvals()) {
        const std::string status = a.approved ? "approved" : a.lapsed ? "lapsed" : "open";
        if (!common.json) {
            table.add({text_of(a.request), reader.name(a.scope),
                       a.unreconciled ? "release of unreconciled" : std::string(name_of(a.state)), status, text_of(a.uid),
                       a.reason});
            continue;
        }
        JsonWriter out;
        out.begin_object().member("request", a.request).member("scope", reader.name(a.scope));
        out.member("state", name_of(a.state)).member_bool("unreconciled", a.unreconciled).member("status", status);
        out.member("uid", std::uint64_t{a.uid}).member("reason", a.reason);
        if (a.approved) out.member_bool("verified", a.verified);
        print_line(out.end_object().text());
    }
    if (!common.json && table.empty()) std::printf("nothing waits for a second person\n");
    if (!common.json && !table.empty()) table.print();
    return kDone;
}

namespace {

volatile sig_atomic_t stop_requested = 0;
void request_stop(int) { stop_requested = 1; }

void require_types(const std::vector<std::string>& types) {
    std::vector<std::string_view> known;
    for (const auto& [type, name] : base::names_of<layout::EventType>())
        if (type != layout::EventType::none) known.push_back(name);
    for (const std::string& type : types)
        if (std::find(known.begin(), known.end(), type) == known.end())
            throw Error(Errc::bad_input, "--type: seen '" + type + "', allowed: " + join(known, " "));
}

}  // namespace

namespace {

void say_lost(std::uint64_t lost) {
    if (lost > 0)
        std::fprintf(stderr,
                     "riskctl: %llu events were overwritten in memory before they could be read, and are in no journal "
                     "file that is left\n",
                     static_cast<unsigned long long>(lost));
}

/// The log of one registry, over every day and every segment that it has while we look.
class Follower {
public:
    Follower(const Common& common, const EventOptions& options)
        : common_(common),
          options_(options),
          reader_(Reader::open(common.name, common.state_dir)),
          next_(options.from),
          epoch_(reader_.epoch()) {}

    /// Everything that is there now; false when nobody reads any more.
    bool catch_up() {
        // The end is looked at first: what was written before it is read below, and nothing comes after.
        end_ = reader_.ended();
        // Asked for by number, or of a segment before this one: older events come from the journal's files.
        if (next_ != 0 && next_ < reader_.oldest_event())
            next_ = reader_.journaled_events(next_, reader_.oldest_event() - 1, filter(), printer());
        std::uint64_t lost = 0;
        if (goes_on_) next_ = reader_.events(next_, filter(), printer(), &lost);
        say_lost(lost);
        return goes_on_ && stop_requested == 0;
    }

    [[nodiscard]] bool has_ended() const noexcept { return end_ != ReaderEnd::none; }

    /// Into the segment that has taken the place of the one that ended; else throws Error that says how it ended.
    void go_on() {
        const std::string name = "registry '" + common_.name + "' ";
        if (end_ == ReaderEnd::destroyed)
            throw Error(Errc::missing, name + "was destroyed: its last event is " + text_of(last()));
        if (end_ == ReaderEnd::poisoned)
            throw Error(Errc::damaged, name + "is poisoned behind event " + text_of(last()) + ": every call is refused; " +
                                           line_to_paste(common_, "verify") + " names the damage, " +
                                           line_to_paste(common_, "recover") + " rebuilds it from its files");
        Reader next = successor();
        if (next.epoch() != epoch_)
            throw Error(Errc::missing, name + "was made anew under the same name: the one that was followed ended with event " +
                                           text_of(last()));
        const std::uint64_t committed = next.status().committed;
        if (end_ == ReaderEnd::replaced)
            std::fprintf(stderr, "riskctl: %swas rebuilt and holds %llu events now; going on\n", name.c_str(),
                         static_cast<unsigned long long>(committed));
        if (next_ != 0 && committed + 1 < next_) {
            std::fprintf(stderr, "riskctl: events %llu to %llu were in memory only and are lost: their numbers come again\n",
                         static_cast<unsigned long long>(committed + 1), static_cast<unsigned long long>(last()));
            next_ = committed + 1;
        }
        reader_ = std::move(next);
    }

private:
    [[nodiscard]] std::uint64_t last() const noexcept { return next_ == 0 ? 0 : next_ - 1; }
    [[nodiscard]] EventFilter filter() const {
        const Selection selection = select(reader_, options_.entities);
        return {options_.types, selection.account, selection.strategy, selection.instrument};
    }
    [[nodiscard]] std::function<bool(std::uint64_t, const std::string&)> printer() {
        return [this](std::uint64_t, const std::string& line) { return (goes_on_ = print_line(line)) && stop_requested == 0; };
    }
    /// Whoever rebuilds, or rolls, needs a moment.
    [[nodiscard]] Reader successor() const {
        constexpr int kTries = 250;   // of 20 ms
        for (int attempt = 1;; ++attempt) {
            try {
                Reader next = Reader::open(common_.name, common_.state_dir);
                if (next.ended() == ReaderEnd::none || attempt == kTries) return next;
            } catch (const Error& error) {
                if (attempt == kTries || stop_requested != 0)
                    throw Error(error.code(), "the segment of '" + common_.name + "' is gone, its last event is " +
                                                  text_of(last()) + ", and no other has taken its place: " + error.what());
            }
            const timespec pause{0, 20'000'000};
            ::nanosleep(&pause, nullptr);
        }
    }

    const Common& common_;
    const EventOptions& options_;
    Reader reader_;
    std::uint64_t next_;
    std::uint64_t epoch_;
    ReaderEnd end_ = ReaderEnd::none;
    bool goes_on_ = true;
};

}  // namespace

int events(const Common& common, const EventOptions& options) {
    require_types(options.types);
    ::signal(SIGINT, request_stop);
    ::signal(SIGTERM, request_stop);
    ::signal(SIGPIPE, SIG_IGN);
    Follower follower(common, options);
    while (follower.catch_up() && options.follow) {
        if (follower.has_ended()) follower.go_on();
        const timespec pause{0, 20'000'000};
        ::nanosleep(&pause, nullptr);
    }
    return kDone;
}

}  // namespace riskctl
