// status, orders, order, sessions, events, restricted, approvals: all through a read-only mapping.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>

#include "layout/names.hpp"
#include "persist/event_json.hpp"
#include "riskctl/output.hpp"
#include "riskctl/verbs.hpp"
#include "segment/lifecycle.hpp"
#include "segment/process.hpp"

namespace riskctl {

using namespace riskreg;
using persist::format_amount;
using registry::StatusReport;

namespace {

std::string text_of(std::uint64_t value) { return std::to_string(value); }

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

void print_status_table(const Reader& reader, const StatusReport& report) {
    const StatusView& v = report.view;
    Table table({"registry", v.name});
    table.add({"state", v.state});
    for (const ExposureView& row : report.stopped) table.add({"", scope_text(reader, row)});
    table.add({"segment", v.segment + ", " + text_of(v.size_bytes >> 20) + " MiB"});
    table.add({"created", persist::format_time(v.created_ns)});
    table.add({"trading day", day_text(v)});
    table.add({"committed / applied", text_of(v.committed) + " / " + text_of(v.applied)});
    table.add({"persistence",
               std::string(persist::name_of(v.persistence)) +
                   (report.in_memory ? "; warning: the state directory is in memory (tmpfs), nothing survives a reboot" : "")});
    add_snapshotter(table, v);
    table.add({"sessions", text_of(v.sessions_live) + " live, " + text_of(v.sessions_dead) + " dead, room for " +
                               text_of(v.sessions_capacity)});
    table.add({"orders", text_of(v.orders_live) + " live of " + text_of(v.orders_total) + "; ids " + text_of(v.ids_used) +
                             " of " + text_of(v.orders_capacity)});
    table.add({"executions", text_of(v.executions_used) + " of " + text_of(v.executions_capacity)});
    table.add({"quarantined", text_of(v.quarantined_events) + " events, " + text_of(v.quarantined_records) + " records of " +
                                  text_of(v.quarantine_capacity)});
    table.add({"repairs", text_of(v.repairs) + " (" + text_of(v.redone) + " events redone)"});
    table.add({"digest", report.digest});
    table.print();
}

int status(const Common& common) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    const StatusReport report = registry::report_status(reader, common.state_dir);
    if (common.json) print_json(report, reader);
    else print_status_table(reader, report);
    return report.view.poisoned ? kDamaged : kDone;
}

// ---- what a list is narrowed to ----

/// Empty: any. A scope stands for the entities that it names.
struct Entities {
    std::string account, strategy, instrument, scope;
};

void add_entities(CLI::App& verb, Entities& entities) {
    verb.add_option("--strategy", entities.strategy, "of this strategy");
    verb.add_option("--account", entities.account, "of this account");
    verb.add_option("--instrument", entities.instrument, "of this instrument");
    verb.add_option("--scope", entities.scope, std::string("inside this scope: ") + kScopes);
}

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

// ---- orders ----

struct OrderFilter {
    bool live = false;
    bool kill_list = false;
    Entities entities;
};

bool wanted(const Reader& reader, const OrderView& order, const OrderFilter& filter, const Selection& selection) {
    if ((filter.live || filter.kill_list) && !is_live(order.base)) return false;
    if (filter.kill_list && !registry::is_on_kill_list(order, reader)) return false;
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

int orders(const Common& common, const OrderFilter& filter) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    const Selection selection = select(reader, filter.entities);
    Table table = order_table();
    const auto show = [&](const OrderView& order) {
        if (!wanted(reader, order, filter, selection)) return true;
        common.json ? print_json(order, reader) : table.add(order_row(reader, order));
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
    if (common.json) return print_json(view, reader), kDone;
    Table table = order_table();
    table.add(order_row(reader, view));
    table.print();
    return kDone;
}

// ---- sessions, restricted, approvals ----

std::vector<std::string> session_row(const Reader& reader, const SessionView& s) {
    const std::string state = effective_text(reader, registry::row_of(s, reader));
    return {text_of(s.slot),
            s.strategy,
            std::string(registry::name_of(s.status)),
            text_of(s.pid),
            text_of(s.generation),
            persist::format_time(s.attached_ns),
            s.ended_ns == 0 ? "-" : persist::format_time(s.ended_ns),
            text_of(s.accepted),
            text_of(s.denied),
            text_of(s.facts),
            state.empty() ? "active" : state};
}

int sessions(const Common& common) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    Table table(
        {"slot", "strategy", "status", "pid", "generation", "attached", "ended", "accepted", "denied", "facts", "state"});
    for (const SessionView& session : reader.sessions())
        common.json ? print_json(session, reader) : table.add(session_row(reader, session));
    if (!common.json) table.print();
    return kDone;
}

std::vector<std::string> restriction_row(const Reader& reader, const RestrictionView& r, std::int64_t now_ns) {
    return {reader.name(r.scope),
            std::string(registry::sides_of(r)),
            r.from_ns == 0 ? "always" : persist::format_time(r.from_ns),
            r.to_ns == Restriction{}.to_ns ? "for ever" : persist::format_time(r.to_ns),
            registry::is_in_force(r, now_ns) ? "yes" : "no",
            r.reason};
}

int restricted(const Common& common) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    const std::int64_t now_ns = segment::realtime_ns();
    Table table({"scope", "sides", "from", "to", "in force", "reason"});
    for (const RestrictionView& entry : reader.restrictions())
        common.json ? print_json(entry, reader, now_ns) : table.add(restriction_row(reader, entry, now_ns));
    if (!common.json && table.empty()) std::printf("nothing is restricted\n");
    if (!common.json && !table.empty()) table.print();
    return kDone;
}

std::vector<std::string> approval_row(const Reader& reader, const ApprovalView& a) {
    return {text_of(a.request),
            reader.name(a.scope),
            a.unreconciled ? "release of unreconciled" : std::string(name_of(a.state)),
            std::string(registry::status_of(a)),
            text_of(a.uid),
            a.reason};
}

int approvals(const Common& common) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    Table table({"request", "scope", "asks for", "status", "asked by", "reason"});
    for (const ApprovalView& approval : reader.approvals())
        common.json ? print_json(approval, reader) : table.add(approval_row(reader, approval));
    if (!common.json && table.empty()) std::printf("nothing waits for a second person\n");
    if (!common.json && !table.empty()) table.print();
    return kDone;
}

// ---- events ----

struct EventOptions {
    std::uint64_t from = 0;
    bool follow = false;
    std::vector<std::string> types;
    Entities entities;
};

volatile std::sig_atomic_t stop_requested = 0;
void request_stop(int) { stop_requested = 1; }

void require_types(const std::vector<std::string>& types) {
    std::vector<std::string_view> known;
    for (const auto& [type, name] : base::names_of<layout::EventType>())
        if (type != layout::EventType::none) known.push_back(name);
    for (const std::string& type : types)
        if (std::find(known.begin(), known.end(), type) == known.end())
            throw Error(Errc::bad_input, "--type: seen '" + type + "', allowed: " + join(known, " "));
}

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
            segment::sleep_ns(20'000'000);
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

int events(const Common& common, const EventOptions& options) {
    require_types(options.types);
    std::signal(SIGINT, request_stop);
    std::signal(SIGTERM, request_stop);
    Follower follower(common, options);
    while (follower.catch_up() && options.follow) {
        if (follower.has_ended()) follower.go_on();
        segment::sleep_ns(20'000'000);
    }
    return kDone;
}

// ---- the entries ----

Run add_orders(CLI::App& verb, const Common& common) {
    auto filter = std::make_shared<OrderFilter>();
    verb.add_flag("--live", filter->live, "live orders only");
    verb.add_flag("--kill-list", filter->kill_list, "orders that a halt or the death of their strategy asks to cancel");
    add_entities(verb, filter->entities);
    return [&common, filter] { return orders(common, *filter); };
}

Run add_order(CLI::App& verb, const Common& common) {
    struct Options {
        std::string id, account;
    };
    auto options = std::make_shared<Options>();
    verb.add_option("ID", options->id, "any id of the order's chain")->required();
    verb.add_option("--account", options->account, "its account")->required();
    return [&common, options] { return order(common, options->id, options->account); };
}

Run add_events(CLI::App& verb, const Common& common) {
    auto options = std::make_shared<EventOptions>();
    verb.add_option("--from", options->from,
                    "first sequence number, also of events that only the journal holds; default: the oldest in memory");
    verb.add_flag("--follow", options->follow, "go on with what comes");
    verb.add_option("--type", options->types, "only these types, as in `event`, separated by commas")
        ->delimiter(',')
        ->allow_extra_args(false);
    add_entities(verb, options->entities);
    return [&common, options] { return events(common, *options); };
}

}  // namespace

Verb status_verb() { return {"status", "state, watermarks, sessions, capacity, repairs", no_options<status>}; }
Verb orders_verb() { return {"orders", "list orders", add_orders}; }
Verb order_verb() { return {"order", "show one order", add_order}; }
Verb sessions_verb() { return {"sessions", "who is attached, or died", no_options<sessions>}; }
Verb restricted_verb() { return {"restricted", "the restricted list", no_options<restricted>}; }
Verb approvals_verb() { return {"approvals", "resumes that wait for, or had, a second person", no_options<approvals>}; }
Verb events_verb() { return {"events", "the log as JSON Lines", add_events}; }

}  // namespace riskctl
