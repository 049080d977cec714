// Checkpoints: everything that the tables can hold goes through the document and comes back, bit for bit; and a document
// that says what cannot be is refused by name.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>

#include "core/decide.hpp"
#include "persist/strict_json.hpp"
#include "support/store.hpp"

using namespace riskreg;
using namespace riskreg::layout;
using Catch::Contains;
using test::Store;

namespace {

constexpr std::int64_t kLowest = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kHighest = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kSecond = 1'000'000'000;
/// The first whole second of the type: 1677-09-21T00:12:44Z.
constexpr std::int64_t kEarliest = kLowest / kSecond * kSecond;
constexpr const char* kSecret = "a key of more than sixteen bytes";

const test::History& story() {
    static const test::History history = test::every_kind_of_event();
    return history;
}

// ---- comparing ----------------------------------------------------------------------------------

/// Names the first record whose newest copies differ, byte by byte; empty when all are equal.
class Comparison {
public:
    Comparison(const core::State& a, const core::State& b) : a_(a), b_(b) {}

    std::string run() {
        same("log", *a_.log, *b_.log);
        for (std::uint32_t i = 0; i < a_.geometry.rows(); ++i) row(i);
        for (std::uint32_t i = 0; i < a_.log->next_order; ++i) {
            same("order identity", a_.orders[i].identity, b_.orders[i].identity, i);
            same("order state", a_.orders[i].state.newest(), b_.orders[i].state.newest(), i);
            same("venue id", a_.orders[i].venue, b_.orders[i].venue, i);
        }
        for (std::uint32_t i = 0; i < a_.log->next_execution; ++i) {
            same("execution identity", a_.executions[i].identity, b_.executions[i].identity, i);
            same("execution state", a_.executions[i].state.newest(), b_.executions[i].state.newest(), i);
        }
        for (std::uint32_t i = 0; i < a_.geometry.quarantine; ++i) same("quarantine", a_.quarantine[i], b_.quarantine[i], i);
        for (std::uint32_t i = 0; i < a_.geometry.sessions; ++i) {
            same("session", a_.sessions[i].record.newest(), b_.sessions[i].record.newest(), i);
            same("session word", a_.sessions[i].word, b_.sessions[i].word, i);
        }
        for (std::uint32_t i = 0; i < a_.geometry.strategies; ++i)
            same("strategy", a_.strategies[i].state.newest(), b_.strategies[i].state.newest(), i);
        for (std::uint32_t i = 0; i < a_.geometry.instruments; ++i)
            same("reference", a_.references[i].owner.newest(), b_.references[i].owner.newest(), i);
        controls();
        return first_;
    }

private:
    template <class T>
    void same(const char* what, const T& a, const T& b, std::uint32_t index = 0) {
        const auto* left = reinterpret_cast<const unsigned char*>(&a);
        const auto* right = reinterpret_cast<const unsigned char*>(&b);
        for (std::size_t i = 0; first_.empty() && i < sizeof(T); ++i)
            if (left[i] != right[i]) first_ = std::string(what) + " " + std::to_string(index) + ", byte " + std::to_string(i);
    }
    void row(std::uint32_t i) {
        same("row counters", a_.rows[i].counters.newest(), b_.rows[i].counters.newest(), i);
        same("row control", a_.rows[i].control.newest(), b_.rows[i].control.newest(), i);
        same("row day", a_.rows_cold[i].day.newest(), b_.rows_cold[i].day.newest(), i);
        same("row latch", a_.rows_cold[i].latch.newest(), b_.rows_cold[i].latch.newest(), i);
        same("row value", a_.rows_risk[i].value.newest(), b_.rows_risk[i].value.newest(), i);
        same("row risk limits", a_.rows_risk[i].limits.newest(), b_.rows_risk[i].limits.newest(), i);
        same("row meters", a_.rows_risk[i].meters.newest(), b_.rows_risk[i].meters.newest(), i);
        same("row alerts", a_.rows_risk[i].alerts.newest(), b_.rows_risk[i].alerts.newest(), i);
    }
    void controls() {
        const Geometry& g = a_.geometry;
        for (std::uint32_t i = 0; i < g.breakers; ++i)
            same("breaker", a_.breakers[i].counts.newest(), b_.breakers[i].counts.newest(), i);
        for (std::uint32_t i = 0; i < g.restrictions; ++i)
            same("restriction", a_.restrictions[i].state.newest(), b_.restrictions[i].state.newest(), i);
        for (std::uint32_t i = 0; i < layout::kApprovals; ++i)
            same("approval", a_.approvals[i].state.newest(), b_.approvals[i].state.newest(), i);
        same("next budget ring", a_.status->next_budget_ring, b_.status->next_budget_ring);
        same("day", a_.header->day, b_.header->day);
        same("rolled_seq", a_.header->rolled_seq, b_.header->rolled_seq);
    }
    const core::State &a_, &b_;
    std::string first_;
};

/// A directory with one checkpoint of these tables, and a file with any text.
class Desk {
public:
    explicit Desk(const core::State& state, const std::string& key = {}) {
        if (persist::Directory::open(place_.path(), directory_)) throw std::runtime_error("no directory");
        persist::CheckpointOptions options;
        options.registry = "desk";
        options.epoch = test::kEpoch;
        options.key.bytes = key;
        options.time_ns = -1;
        std::string stage;
        if (persist::write_checkpoint(directory_, state, options, stage)) throw std::runtime_error("cannot " + stage);
        name_ = persist::checkpoint_name(state.log->applied);
        text_ = content();
    }
    [[nodiscard]] const std::string& text() const noexcept { return text_; }
    [[nodiscard]] std::string path() const { return place_.path() + "/" + name_; }

    /// Empty when the document of this text gives tables; else what is wrong with it.
    std::string read(const std::string& text, core::PrivateState& tables, const std::string& key = {}) const {
        persist::File file;
        static_cast<void>(directory_.remove("other"));
        if (directory_.create("other", file) || file.write_at(text.data(), text.size(), 0)) return "cannot be written";
        persist::CheckpointHead head;
        if (std::string wrong = persist::verify_checkpoint(file, {key}, head); !wrong.empty()) return wrong;
        try {
            tables = test::genesis_of(head.config);
        } catch (const Error& error) {
            return error.what();
        }
        return persist::load_checkpoint(file, head, tables.state);
    }

private:
    std::string content() const {
        persist::File file;
        std::uint64_t size = 0;
        std::size_t got = 0;
        if (directory_.open_file(name_, file) || file.size(size)) return {};
        std::string text(size, '\0');
        if (file.read_at(text.data(), text.size(), 0, got)) return {};
        return text;
    }
    test::TempDir place_;
    persist::Directory directory_;
    std::string name_, text_;
};

void require_round_trip(const core::State& state) {
    const Desk desk(state);
    core::PrivateState loaded;
    const std::string wrong = desk.read(desk.text(), loaded);
    if (!wrong.empty()) FAIL(wrong << '\n' << desk.text());
    CHECK(Comparison(state, loaded.state).run() == "");
    CHECK(core::digest(loaded.state) == core::digest(state));
    CHECK(Desk(loaded.state).text() == desk.text());
}

// ---- tables that no history ever made -------------------------------------------------------------

/// Records with any value that their fields can hold, extremes more often than not.
class Extremes {
public:
    Extremes(core::State& state, std::uint64_t seed) : state_(state), random_(seed) {}

    void fill() {
        const Geometry& g = state_.geometry;
        state_.status->next_budget_ring = below(g.budget_rings + 1ULL);
        state_.header->day = one_of<std::uint64_t>({1, 2, ~0ULL});
        state_.header->rolled_seq = word();
        for (std::uint32_t i = 0; i < g.rows(); ++i) fill_row(i);
        orders_ = static_cast<std::uint32_t>(below(g.orders + 1));
        executions_ = orders_ == 0 ? 0 : static_cast<std::uint32_t>(below(g.executions + 1));
        const auto quarantined = static_cast<std::uint32_t>(below(g.quarantine + 1));
        for (std::uint32_t i = 0; i < orders_; ++i) fill_order(i);
        for (std::uint32_t i = 0; i < executions_; ++i) fill_execution(i);
        for (std::uint32_t i = 0; i < quarantined; ++i) fill_quarantine(i);
        for (std::uint32_t i = 0; i < g.sessions; ++i) fill_session(i);
        for (std::uint32_t i = 0; i < g.strategies; ++i) fill_strategy(i);
        for (std::uint32_t i = 0; i < g.instruments; ++i) fill_reference(i);
        for (std::uint32_t i = 0; i < g.breakers; ++i) fill_breaker(i);
        for (std::uint32_t i = 0; i < g.restrictions; ++i) fill_restriction(i);
        for (std::uint32_t i = 0; i < layout::kApprovals; ++i) fill_approval(i);
        LogWords& log = *state_.log;
        log.committed = log.applied = seq();
        log.last_time_ns = static_cast<std::uint64_t>(time());
        log.next_order = orders_;
        log.next_execution = executions_;
        log.next_quarantine = quarantined;
        log.next_generation = word();
        log.last_steady_ns = word();
        state_.status->quarantined_events = word();
    }

private:
    std::uint64_t below(std::uint64_t end) { return random_() % end; }
    bool sometimes() { return below(2) == 0; }
    std::uint64_t word() { return one_of<std::uint64_t>({0, 1, ~0ULL, 1ULL << 63, random_()}); }
    std::uint32_t half() { return static_cast<std::uint32_t>(word()); }
    std::uint64_t seq() { return one_of<std::uint64_t>({2, 3, ~0ULL, 2 + below(1000)}); }
    std::int64_t amount() {
        return one_of<std::int64_t>({0, 1, -1, kLowest, kLowest + 1, kHighest, kHighest - 1, 1'000'000'000, -999'999'999,
                                     static_cast<std::int64_t>(random_()), static_cast<std::int64_t>(below(1000))});
    }
    std::int64_t positive() { return static_cast<std::int64_t>(static_cast<std::uint64_t>(amount()) >> 1); }
    std::int64_t time() {
        return one_of<std::int64_t>({0, 1, -1, kEarliest, kHighest, -kSecond, -kSecond - 1, 951'782'399'999'999'999,
                                     std::max(kEarliest, static_cast<std::int64_t>(random_()))});
    }
    template <class T>
    T one_of(std::initializer_list<T> values) {
        return *(values.begin() + below(values.size()));
    }
    std::uint32_t none_or(std::uint64_t end) {
        return end == 0 || below(4) == 0 ? kNoSlot : static_cast<std::uint32_t>(below(end));
    }
    template <class E>
    E choice(std::initializer_list<unsigned> values) {
        return static_cast<E>(one_of(values));
    }
    std::string bytes(std::size_t least, std::size_t most) {
        std::string text(least + below(most + 1 - least), '\0');
        const bool printable = sometimes();
        for (char& c : text) c = static_cast<char>(printable ? '!' + below(94) : below(256));
        return text;
    }
    FixedId id(std::size_t least = 1) { return base::make_id(bytes(least, kMaxIdBytes)); }
    Reason reason() {
        Reason reason{};
        const std::string text = bytes(0, sizeof reason.text);
        reason.size = static_cast<std::uint8_t>(text.size());
        std::memcpy(reason.text, text.data(), text.size());
        return reason;
    }
    TradingState trading_state() { return choice<TradingState>({0, 1, 2, 3, 4}); }
    layout::SessionStatus session_status() { return choice<layout::SessionStatus>({1, 2, 3, 4}); }

    Limits limits() {
        Limits limits;
        for (LimitValue Limits::*member : {&Limits::max_order_quantity, &Limits::max_order_notional, &Limits::max_long,
                                           &Limits::max_short, &Limits::max_open_notional})
            limits.*member = limit(kHighest - 1);
        for (LimitValue Limits::*member : {&Limits::max_working_orders, &Limits::max_working_buy, &Limits::max_working_sell})
            limits.*member = limit(0xFFFFFFFELL);
        return limits;
    }
    void add_risk_limits(Limits& limits) {
        for (LimitValue Limits::*member : {&Limits::max_gross_notional, &Limits::max_net_notional, &Limits::cash_limit,
                                           &Limits::max_traded_notional, &Limits::daily_loss, &Limits::drawdown})
            limits.*member = limit(kHighest - 1);
        for (LimitValue Limits::*member : {&Limits::max_messages, &Limits::max_all_messages, &Limits::max_same_content,
                                           &Limits::max_same_direction, &Limits::max_rejects})
            limits.*member = limit(0xFFFFFFFELL);
        limits.window_ms = parameter({1, 1000, 86'400'000});
        limits.content_window_ms = parameter({1, 1000, 86'400'000});
        limits.cancel_headroom_bps = parameter({0, 1500, 10'000});
    }
    LimitValue parameter(std::initializer_list<std::int64_t> values) {
        return sometimes() ? LimitValue{LimitValue::Kind::value, one_of(values)} : LimitValue{};
    }
    LimitValue limit(std::int64_t most) {
        const std::uint64_t kind = below(4);
        if (kind < 2) return {kind == 0 ? LimitValue::Kind::unset : LimitValue::Kind::unlimited, 0};
        return {LimitValue::Kind::value, one_of<std::int64_t>({0, 1, most, std::min(most, positive())})};
    }

    template <class T>
    void put(Versioned<T>& record, T value) {
        value.seq = seq();
        record.copy[below(2)] = value;
    }

    void fill_row(std::uint32_t i) {
        RowCounters counters{};
        for (std::int64_t RowCounters::*member :
             {&RowCounters::position, &RowCounters::open_buy_quantity, &RowCounters::open_sell_quantity,
              &RowCounters::open_buy_notional, &RowCounters::open_sell_notional})
            counters.*member = amount();
        counters.working_buy = half(), counters.working_sell = half();
        counters.flags = word();
        if (sometimes()) put(state_.rows[i].counters, counters);
        // What a control says of the kinds of risk limits is true: it is not written down.
        Limits all = limits();
        const bool risk = sometimes();
        if (risk) add_risk_limits(all);
        RowControl control = core::control_of(all);
        control.state = trading_state();
        control.flags = static_cast<std::uint8_t>(below(256));
        if (risk || sometimes()) put(state_.rows[i].control, control);
        if (risk) put(state_.rows_risk[i].limits, core::risk_limits_of(all));
        fill_risk(i);
        RowDay day{};
        day.bought_quantity = amount(), day.sold_quantity = amount();
        day.bought_notional = amount(), day.sold_notional = amount();
        day.flags = word();
        day.start_position = amount();
        if (sometimes()) put(state_.rows_cold[i].day, day);
        RowLatch latch{};
        latch.halted_seq = word();
        latch.changed_ns = time();
        latch.uid = half();
        latch.previous = trading_state();
        latch.reason = reason();
        if (sometimes()) put(state_.rows_cold[i].latch, latch);
    }

    void fill_risk(std::uint32_t i) {
        RowValue value{};
        for (std::int64_t RowValue::*member :
             {&RowValue::mark, &RowValue::gross_value, &RowValue::net_value, &RowValue::cash_flow, &RowValue::start_value})
            value.*member = amount();
        value.peak = positive();
        value.flags = word();
        if (sometimes()) put(state_.rows_risk[i].value, value);
        RowMeters meters{};
        meters.messages = word(), meters.all_messages = word();
        meters.since_ns = time();
        meters.since_seq = word();
        meters.messages_ring = none_or(state_.status->next_budget_ring);
        meters.all_ring = none_or(state_.status->next_budget_ring);
        meters.messages_stride = one_of<std::uint32_t>({1, 2, ~0U});
        meters.all_stride = one_of<std::uint32_t>({1, 2, ~0U});
        if (sometimes()) put(state_.rows_risk[i].meters, meters);
        RowAlerts alerts{};
        alerts.levels = word() >> 20;
        if (sometimes()) put(state_.rows_risk[i].alerts, alerts);
    }

    void fill_order(std::uint32_t slot) {
        OrderIdentity& o = state_.orders[slot].identity;
        o.id = id();
        o.price = amount(), o.quantity = positive(), o.stop_price = amount();
        o.created_ns = time();
        o.created_seq = seq();
        o.instrument = static_cast<std::uint32_t>(below(state_.geometry.instruments));
        o.account = static_cast<std::uint16_t>(below(state_.geometry.accounts));
        o.strategy = static_cast<std::uint16_t>(below(state_.geometry.strategies));
        o.head = sometimes() ? slot : static_cast<std::uint32_t>(below(slot + 1ULL));
        o.previous = none_or(slot);
        o.session = none_or(state_.geometry.sessions);
        o.generation = half();
        o.kind = o.head == slot ? SlotKind::order : SlotKind::alias;
        o.side = choice<Side>({1, 2});
        o.type = choice<OrderType>({0, 1, 2, 3, 4, 5});
        o.tif = choice<TimeInForce>({0, 1, 2, 3, 4, 5});
        o.flags = static_cast<std::uint32_t>(below(16));
        o.content_previous = (o.flags & kContentIndexed) != 0 || sometimes() ? none_or(slot) : 0;
        o.created_steady_ns = time();
        if (sometimes()) state_.orders[slot].venue = {word(), id(0), {}};
        fill_order_state(slot, o);
    }

    void fill_order_state(std::uint32_t slot, const OrderIdentity& identity) {
        OrderState s{};
        for (std::int64_t OrderState::*member :
             {&OrderState::price, &OrderState::reserved_quantity, &OrderState::reserved_notional, &OrderState::reserved_price,
              &OrderState::pending_price, &OrderState::pending_quantity, &OrderState::pending_reserved_price,
              &OrderState::reported_cum})
            s.*member = amount();
        s.quantity = positive(), s.cum_quantity = positive();
        if (sometimes()) s.reserved_quantity = s.quantity - s.cum_quantity;
        s.updated_ns = time();
        s.last_alias = identity.kind == SlotKind::order ? static_cast<std::uint32_t>(below(orders_)) : none_or(orders_);
        s.pending_alias = none_or(orders_);
        s.last_execution = none_or(executions_);
        s.version = half();
        s.base = choice<OrderBase>({0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 15});
        s.flags = static_cast<OrderFlags>(below(0x10000));
        put(state_.orders[slot].state, s);
    }

    void fill_execution(std::uint32_t slot) {
        ExecutionIdentity& e = state_.executions[slot].identity;
        e.id = id();
        e.order_slot = static_cast<std::uint32_t>(below(orders_));
        e.previous = none_or(slot);
        e.time_ns = time();
        e.seq = seq();
        ExecutionState s{};
        s.price = amount(), s.quantity = amount();
        s.status = choice<ExecutionStatus>({0, 1, 2, 3});
        s.successor = static_cast<std::uint32_t>(below(executions_));
        put(state_.executions[slot].state, s);
    }

    void fill_quarantine(std::uint32_t slot) {
        QuarantineSlot& q = state_.quarantine[slot];
        q.seq = seq();
        q.order_id = id(0), q.exec_id = id(0);
        q.price = amount(), q.quantity = positive();
        q.time_ns = time();
        q.booked = sometimes() ? 1 : 0;
        q.instrument = q.booked != 0 ? static_cast<std::uint32_t>(below(state_.geometry.instruments)) : half();
        q.account = q.booked != 0 ? std::uint16_t{0} : static_cast<std::uint16_t>(half());
        q.event_type = static_cast<std::uint8_t>(below(256));
        q.side = q.booked != 0 ? choice<Side>({1, 2}) : choice<Side>({0, 1, 2});
    }

    void fill_session(std::uint32_t slot) {
        if (below(4) == 0) return;
        SessionRecord s{};
        s.attached_ns = time(), s.ended_ns = time();
        s.pid_start = word();
        s.pid = half(), s.generation = half(), s.uid = half();
        s.strategy = static_cast<std::uint16_t>(below(state_.geometry.strategies));
        s.status = session_status();
        put(state_.sessions[slot].record, s);
        state_.sessions[slot].word = session_word(s.generation, s.status);
    }

    void fill_strategy(std::uint32_t number) {
        if (sometimes()) return;
        StrategyState s{};
        s.session = none_or(state_.geometry.sessions);
        s.generation = half();
        s.status = session_status();
        put(state_.strategies[number].state, s);
    }

    void fill_reference(std::uint32_t number) {
        if (sometimes()) return;
        ReferenceOwner r{};
        r.session = none_or(state_.geometry.sessions);
        r.generation = half();
        put(state_.references[number].owner, r);
    }

    void fill_breaker(std::uint32_t number) {
        BreakerCounts counts{};
        counts.buys = word(), counts.sells = word(), counts.rejects = word();
        if (sometimes()) put(state_.breakers[number].counts, counts);
    }

    void fill_restriction(std::uint32_t slot) {
        if (below(8) != 0) return;
        RestrictionRecord entry{};
        entry.from_ns = time(), entry.to_ns = time();
        entry.row = static_cast<std::uint32_t>(below(state_.geometry.rows()));
        entry.sides = static_cast<std::uint8_t>(below(4));
        entry.reason = reason();
        put(state_.restrictions[slot].state, entry);
    }

    void fill_approval(std::uint32_t slot) {
        if (below(8) != 0) return;
        ApprovalRecord approval{};
        approval.request = word();
        approval.row = static_cast<std::uint32_t>(below(state_.geometry.rows()));
        approval.uid = half();
        approval.state = trading_state();
        approval.unreconciled = static_cast<std::uint8_t>(below(2));
        approval.status = choice<ApprovalStatus>({0, 1, 2});
        approval.reason = reason();
        put(state_.approvals[slot].state, approval);
    }

    core::State& state_;
    std::mt19937_64 random_;
    std::uint32_t orders_ = 0, executions_ = 0;
};

// ---- documents that were changed, and signed again --------------------------------------------------

/// The document's last line anew, with the right digest over what stands before it.
std::string sign_again(const std::string& text, const std::string& key = {}) {
    const std::size_t last = text.rfind('\n', text.size() - 2) + 1;
    persist::StreamDigest digest({key});
    digest.add(text.substr(0, last));
    return text.substr(0, last) + "\"" + std::string(persist::digest_name({key})) + "\":\"" + digest.finish() + "\"}\n";
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const std::size_t at = text.find(from);
    if (at == std::string::npos) throw std::runtime_error("the document does not hold " + from);
    return text.replace(at, from.size(), to);
}

struct Lie {
    const char* from;
    const char* to;
    const char* refused_as;
};

/// Every one of them is a document with a valid digest.
const std::vector<Lie>& lies() {
    static const std::vector<Lie> all = {
        {"{\"format\":\"riskreg-checkpoint\"", "{\"format\":\"other\"", "not a checkpoint of riskreg"},
        {"\"format\":\"riskreg-checkpoint\"", "\"format\":7", "format: missing"},
        {"\"version\":4", "\"version\":1", "version 1, this build reads 4"},
        {"\"version\":4", "\"version\":-1", "version: not a whole number"},
        {"\"version\":4", "\"version\":4.0", "version: not a whole number"},
        {"\"version\":4,", "\"version\":4,\"version\":4,", "its first line is not JSON"},
        {"\"day\":1,", "\"day\":0,", "day, rolled_seq: not of a day that began before"},
        {"\"day\":1,", "", "day: missing"},
        {"\"rolled_seq\":0", "\"rolled_seq\":18446744073709551615", "day, rolled_seq: not of a day that began before"},
        {"\"next_budget_ring\":0", "\"next_budget_ring\":4294967296", "counts: more records than"},
        {"\"sequence\":61", "\"sequence\":0", "sequence: below 1"},
        {"\"sequence\":61", "\"sequence\":99999999999999999999", "sequence: not a whole number"},
        {"\"sequence\":61,", "", "sequence: missing"},
        {"\"source\":\"replica\"", "\"source\":\"rumour\"", "source: neither replica, memory nor migrated"},
        {"\"epoch\":\"1", "\"epoch\":\"x", "epoch: not 16 hexadecimal digits"},
        {"\"sequence\":61,", "\"sequence\":61,\"mood\":1,", "members that this version does not know"},
        {"\"time\":\"1969-", "\"time\":\"1969/", "time: not a time"},
        {"\"last_time\":\"2023-11-14T", "\"last_time\":\"2023-13-14T", "last_time: not a time"},
        {"\"counts\":{", "\"counts\":[{", "its first line is not JSON"},
        {"\"counts\":{\"rows\":11", "\"counts\":{\"rows\":12", "section 'rows' holds 11 records, counts says 12"},
        {"\"orders\":19,", "\"orders\":20,", "section 'orders' holds 19 records, counts says 20"},
        {"\"orders\":19,", "\"orders\":18,", "orders[18]"},
        {"\"orders\":19,", "\"orders\":65,", "counts: more records than its configuration has room for"},
        {"\"executions\":5,", "\"executions\":18446744073709551615,", "counts: more records than"},
        {"\"quarantined\":2,", "\"quarantined\":4294967298,", "counts: more records than"},
        {"\"sessions\":3}", "\"sessions\":5}", "counts: more records than"},
        {"\"counts\":{\"rows\":11", "\"counts\":{\"rows\":1000", "counts: more records than"},
        {"\"configuration\":{", "\"setup\":{", "no configuration in its second line"},
        {"\"rows\":[\n", "\"lines\":[\n", "no section 'rows'"},
        {"\"executions\":[\n", "\"orders\":[\n],\n\"executions\":[\n", "no section 'executions'"},
        {"],\n\"sessions\":[", "]\n\"sessions\":[", "quarantine[2]"},
        {"{\"row\":1,", "{\"row\":15,", "row: out of range"},
        {"{\"row\":1,", "{\"row\":4294967296,", "row: out of range"},
        {"{\"row\":1,\"scope\":\"account:A1\"", "{\"row\":1,\"scope\":\"firm\"", "scope: not that of its row"},
        {"\"counters\":{\"seq\":61,\"position\":\"2\"", "\"counters\":{\"seq\":1,\"position\":\"2\"",
         "seq: not from 2 to the checkpoint's own"},
        {"\"counters\":{\"seq\":61,\"position\":\"2\"", "\"counters\":{\"seq\":62,\"position\":\"2\"",
         "seq: not from 2 to the checkpoint's own"},
        {"\"position\":\"2\"", "\"position\":2", "position: a value of the wrong type"},
        {"\"position\":\"2\"", "\"position\":\"2e3\"", "position: not a decimal of its type"},
        {"\"position\":\"2\"", "\"position\":\"0.123456789\"", "position: not a decimal of its type"},
        {"\"position\":\"2\"", "\"position\":\"92233720368.54775808\"", "position: not a decimal of its type"},
        {"\"position\":\"2\"", "\"position\":\"-92233720368.54775809\"", "position: not a decimal of its type"},
        {"\"position\":\"2\"", "\"place\":\"2\"", "unexpected member 'place'"},
        {"\"position\":\"2\"", "\"position\":\"2\",\"position\":\"2\"", "unexpected member 'position'"},
        {"\"working_buy\":4", "\"working_buy\":4294967296", "working_buy: out of range"},
        {"\"working_buy\":4", "\"working_buy\":-4", "rows[0]"},
        {"\"working_buy\":4", "\"working_buy\":4.5", "rows[0]"},
        {"\"working_buy\":4", "\"working_buy\":null", "rows[0]"},
        {"\"working_buy\":4", "\"working_buy\":[4]", "rows[0]"},
        {"\"working_buy\":4,\"working_sell\":7", "\"working_sell\":7,\"working_buy\":4", "unexpected member 'working_buy'"},
        {"\"state\":\"warn\"", "\"state\":\"asleep\"", "state: an unknown value"},
        {"\"max_long\":\"unlimited\"", "\"max_long\":\"-1\"", "max_long: seen '-1'"},
        {"\"max_working_orders\":\"0\"", "\"max_working_orders\":\"4294967295\"", "max_working_orders: seen"},
        {"\"reason\":\"test\"", "\"reason\":\"\\u0100\"", "reason: too long"},
        {"{\"slot\":0,\"id\":\"O-plain\"", "{\"slot\":1,\"id\":\"O-plain\"", "slot: not the next one"},
        {"\"id\":\"O-plain\",", "", "id: missing"},
        {"\"id\":\"O-plain\"", "\"id\":\"\"", "id: not an id"},
        {"\"id\":\"O-plain\"", "\"id\":\"0123456789012345678901234567890123456789\"", "id: not an id"},
        {"\"account\":\"A1\",\"strategy\":\"s1\"", "\"account\":\"A2\",\"strategy\":\"s1\"", "account: not configured"},
        {"\"account\":\"A1\",\"strategy\":\"s1\"", "\"strategy\":\"s1\"", "account: missing"},
        {"\"alias_of\":1,\"follows\":1", "\"alias_of\":4,\"follows\":1", "alias_of, follows: not an earlier order"},
        {"\"alias_of\":1,\"follows\":1", "\"alias_of\":1,\"follows\":3", "alias_of, follows: not an earlier order"},
        {"\"side\":\"buy\",", "", "side: missing"},
        {"\"side\":\"buy\"", "\"side\":\"short\"", "side: an unknown value"},
        {"\"quantity\":\"5\",\"created\"", "\"created\"", "quantity: missing"},
        {"\"session\":0,\"generation\":1,\"status\"", "\"session\":4,\"generation\":1,\"status\"", "session: out of range"},
        {"\"last_id\":3", "\"last_id\":19", "last_id, pending_id: out of range"},
        {"\"last_id\":3", "\"last_id\":4294967295", "last_id: out of range"},
        {"\"last_execution\":3", "\"last_execution\":5", "last_execution: out of range"},
        {"\"flags\":1152", "\"flags\":65536", "flags: out of range"},
        {"\"created\":\"2023-11-14T", "\"created\":\"2023-02-30T", "created: not a time"},
        {"\"created\":\"2023-11-14T", "\"created\":\"9999-11-14T", "created: not a time"},
        {"\"exec_id\":\"E-1\",\"order\":0", "\"exec_id\":\"E-1\",\"order\":19", "order: out of range"},
        {"\"exec_id\":\"E-1\",\"order\":0", "\"exec_id\":\"E-1\"", "order: out of range"},
        {"\"successor\":2", "\"successor\":5", "successor: out of range"},
        {"\"status\":\"busted\"", "\"status\":\"lost\"", "status: an unknown value"},
        {"\"instrument\":1,\"account\":0", "\"instrument\":2,\"account\":0", "booked on what does not exist"},
        {"{\"slot\":0,\"seq\":40,", "{\"slot\":0,", "seq: not from 2 to the checkpoint's own"},
        {"{\"slot\":0,\"seq\":2,\"strategy\":\"s1\"", "{\"slot\":4,\"seq\":2,\"strategy\":\"s1\"", "slot: out of range"},
        {"{\"number\":0,\"seq\":2,\"session\":0", "{\"number\":3,\"seq\":2,\"session\":0", "number: out of range"},
        {"{\"number\":0,\"seq\":2,\"session\":0", "{\"number\":0,\"seq\":2,\"session\":9", "session: out of range"},
        {"{\"number\":1,\"seq\":4,\"session\":0", "{\"number\":1,\"seq\":4,\"session\":4", "session: out of range"},
        {"{\"slot\":0,\"id\"", "{{\"slot\":0,\"id\"", "orders[0]"},
        {"{\"slot\":0,\"id\"", "\x80{\"slot\":0,\"id\"", "orders[0]"},
        {"\"venue_seq\":8}", "\"venue_seq\":8}}", "orders[0]"},
        {"\"venue_seq\":8}", "\"venue_seq\":8", "orders[0]"},
    };
    return all;
}

}  // namespace

TEST_CASE("the tables go through a checkpoint after every event of a history, byte for byte", "[persist][inv-11]") {
    for (std::uint64_t seq = 2; seq <= story().last_seq(); ++seq) {
        INFO("sequence " << seq);
        const core::PrivateState tables = story().tables_at(seq);
        require_round_trip(tables.state);
    }
}

TEST_CASE("any value that a record can hold goes through a checkpoint, byte for byte", "[persist][inv-11]") {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        INFO("seed " << seed);
        core::PrivateState tables = test::genesis_of(story().config);
        Extremes(tables.state, seed).fill();
        // No record is from after the checkpoint.
        tables.state.log->committed = tables.state.log->applied = ~0ULL;
        require_round_trip(tables.state);
    }
}

TEST_CASE("empty tables go through a checkpoint", "[persist]") { require_round_trip(story().tables_at(1).state); }

TEST_CASE("every byte of a reason and of an id goes through a checkpoint, text or not", "[persist]") {
    core::PrivateState tables = story().tables_at(story().last_seq());
    for (unsigned byte = 0; byte <= 0xFF; ++byte) {
        RowLatch latch = tables.state.rows_cold[0].latch.newest();
        latch.reason = {};
        latch.reason.size = 95;
        std::memset(latch.reason.text, static_cast<int>(byte), sizeof latch.reason.text);
        tables.state.rows_cold[0].latch.copy[tables.state.rows_cold[0].latch.newer()] = latch;
        tables.state.orders[0].venue.id = base::make_id(std::string(kMaxIdBytes, static_cast<char>(byte)));
        INFO("byte " << byte);
        require_round_trip(tables.state);
    }
}

TEST_CASE("amounts and times stand in the document exactly, as a person would write them", "[persist]") {
    core::PrivateState tables = story().tables_at(story().last_seq());
    OrderIdentity& first = tables.state.orders[0].identity;
    first.price = -1;
    first.created_ns = -1;
    RowCounters& counters = tables.state.rows[0].counters.copy[tables.state.rows[0].counters.newer()];
    counters.position = kLowest;
    counters.open_buy_notional = kHighest;
    const std::string text = Desk(tables.state).text();
    CHECK_THAT(text, Contains(R"("price":"-0.000000001")"));
    CHECK_THAT(text, Contains(R"("created":"1969-12-31T23:59:59.999999999Z")"));
    CHECK_THAT(text, Contains(R"("position":"-92233720368.54775808")"));
    CHECK_THAT(text, Contains(R"("open_buy_notional":"9223372036854.775807")"));
    CHECK_THAT(text, Contains(R"("time":"1969-12-31T23:59:59.999999999Z")"));
    require_round_trip(tables.state);
}

TEST_CASE("times at the ends of the type, at leap days and at nanoseconds go through a checkpoint", "[persist]") {
    core::PrivateState tables = story().tables_at(story().last_seq());
    for (const std::int64_t ns :
         {kEarliest, kEarliest + 1, kHighest, kHighest - 1, std::int64_t{0}, std::int64_t{1}, std::int64_t{-1},
          951'782'400 * kSecond, 951'868'799 * kSecond + 999'999'999, -2'203'891'200 * kSecond - 1}) {
        INFO(ns);
        tables.state.orders[0].identity.created_ns = ns;
        tables.state.log->last_time_ns = static_cast<std::uint64_t>(ns);
        require_round_trip(tables.state);
    }
}

TEST_CASE("a checkpoint is one JSON document", "[persist]") {
    core::PrivateState usual = story().tables_at(story().last_seq());
    core::PrivateState unusual = test::genesis_of(story().config);
    Extremes(unusual.state, 42).fill();
    unusual.state.log->committed = unusual.state.log->applied = ~0ULL;
    for (core::PrivateState* tables : {&usual, &unusual}) {
        const Desk desk(tables->state);
        const persist::JsonResult parsed = persist::parse_json(desk.text(), desk.text().size());
        REQUIRE(parsed.error == "");
        for (const char* key : {"format", "version", "configuration", "rows", "orders", "executions", "breakers",
                                "restrictions", "approvals", "sha256"})
            REQUIRE(parsed.value.find(key) != nullptr);
        CHECK(parsed.value.find("orders")->items.size() == tables->state.log->next_order);
        // And for a parser that is not ours.
        if (std::system("python3 -c pass") == 0)
            CHECK(std::system(("python3 -m json.tool '" + desk.path() + "' > /dev/null").c_str()) == 0);
    }
}

TEST_CASE("a checkpoint with a key is read with this key, and with no other and without none", "[persist]") {
    const core::PrivateState tables = story().tables_at(story().last_seq());
    const Desk keyed(tables.state, kSecret);
    core::PrivateState loaded;
    CHECK(keyed.read(keyed.text(), loaded, kSecret) == "");
    CHECK(core::digest(loaded.state) == core::digest(tables.state));
    CHECK(keyed.read(keyed.text(), loaded, std::string(kSecret) + "x") == "hmac_sha256 does not match its content");
    CHECK_THAT(keyed.read(keyed.text(), loaded), Contains("signed with a key: give its key file"));
    const Desk plain(tables.state);
    CHECK(plain.read(plain.text(), loaded, kSecret) == "does not end with hmac_sha256");
    CHECK(plain.read(sign_again(plain.text(), kSecret), loaded, kSecret) == "");
}

TEST_CASE("the same tables give the same bytes", "[persist][inv-11]") {
    const core::PrivateState tables = story().tables_at(story().last_seq());
    CHECK(Desk(tables.state).text() == Desk(tables.state).text());
}

TEST_CASE("a checkpoint goes into larger tables, with an equal digest", "[persist][inv-11]") {
    const core::PrivateState tables = story().tables_at(story().last_seq());
    const Desk desk(tables.state);
    core::PrivateState larger;
    const std::string text = replaced(desk.text(), R"("capacity":{"orders":64)", R"("capacity":{"orders":5000)");
    CHECK(desk.read(sign_again(text), larger) == "");
    CHECK(larger.state.geometry.orders == 5000);
    CHECK(core::digest(larger.state) == core::digest(tables.state));
}

TEST_CASE(
    "an order says nothing of the same content where there is none, and a file that says it by the largest number is read "
    "alike",
    "[persist][inv-11]") {
    const core::PrivateState tables = story().tables_at(story().last_seq());
    const Desk desk(tables.state);
    CHECK(desk.text().find("4294967295") == std::string::npos);
    const std::string older =
        replaced(desk.text(), R"("quantity":"5","created")", R"("same_content":4294967295,"quantity":"5","created")");
    REQUIRE(older != desk.text());
    core::PrivateState loaded;
    CHECK(desk.read(sign_again(older), loaded) == "");
    CHECK(Comparison(tables.state, loaded.state).run() == "");
    CHECK(core::digest(loaded.state) == core::digest(tables.state));
}

TEST_CASE("a document with a valid digest that says what cannot be is refused by name", "[persist][inv-9]") {
    const core::PrivateState tables = story().tables_at(story().last_seq());
    const Desk desk(tables.state);
    for (const Lie& lie : lies()) {
        INFO(lie.from << "  ->  " << lie.to);
        core::PrivateState loaded;
        CHECK_THAT(desk.read(sign_again(replaced(desk.text(), lie.from, lie.to)), loaded), Contains(lie.refused_as));
    }
}

namespace {

/// The end of the story, with one record of each kind that only operators and budgets write.
core::PrivateState with_controls() {
    core::PrivateState tables = story().tables_at(story().last_seq());
    core::State& state = tables.state;
    const auto put = [](auto& record, auto value) {
        value.seq = 2;
        record.copy[0] = {};
        record.copy[1] = value;
    };
    state.status->next_budget_ring = 2;
    RowMeters meters{};
    meters.messages = 7;
    meters.messages_ring = 0, meters.all_ring = 1;
    meters.messages_stride = 3, meters.all_stride = 1;
    put(state.rows_risk[0].meters, meters);
    put(state.rows_risk[0].alerts, RowAlerts{0, 5, {}});
    RowValue value{};
    value.mark = 7, value.peak = 1'000'000;
    put(state.rows_risk[0].value, value);
    put(state.breakers[1].counts, BreakerCounts{0, 1, 2, 3});
    RestrictionRecord entry{};
    entry.row = 1, entry.sides = kRestrictBuy, entry.to_ns = 1;
    put(state.restrictions[3].state, entry);
    ApprovalRecord approval{};
    approval.row = 1, approval.request = 9, approval.status = ApprovalStatus::open;
    put(state.approvals[63].state, approval);
    return tables;
}

}  // namespace

TEST_CASE("budgets, alerts, breakers, the restricted list and approvals go through a checkpoint", "[persist][inv-11]") {
    const core::PrivateState tables = with_controls();
    require_round_trip(tables.state);
}

TEST_CASE("controls that cannot be are refused by name, whatever their digest says", "[persist][inv-9]") {
    const core::PrivateState tables = with_controls();
    const Desk desk(tables.state);
    const std::vector<Lie> controls = {
        {"\"messages_ring\":0", "\"messages_ring\":2", "messages_ring, all_ring: out of range"},
        {"\"all_ring\":1", "\"all_ring\":4294967294", "messages_ring, all_ring: out of range"},
        {"\"messages_stride\":3", "\"messages_stride\":0", "stride: below 1"},
        {"\"messages\":7", "\"messages\":-7", "rows[0]"},
        {"\"levels\":5", "\"levels\":17592186044416", "levels: of limits that do not exist"},
        {"\"peak\":\"1\"", "\"peak\":\"-1\"", "peak: below 0"},
        {"\"alerts\":{\"seq\":2", "\"alerts\":{\"seq\":62", "seq: not from 2 to the checkpoint's own"},
        {"{\"number\":1,\"seq\":2,\"buys\":1", "{\"number\":6,\"seq\":2,\"buys\":1", "number: out of range"},
        {"{\"number\":1,\"seq\":2,\"buys\":1", "{\"number\":1,\"seq\":1,\"buys\":1", "seq: not from 2"},
        {"{\"slot\":3,\"seq\":2,\"row\":1", "{\"slot\":4294967295,\"seq\":2,\"row\":1", "slot: out of range"},
        {"{\"slot\":3,\"seq\":2,\"row\":1", "{\"slot\":3,\"seq\":2,\"row\":15", "row: out of range"},
        {"\"sides\":\"buy\"", "\"sides\":\"none\"", "sides: an unknown value"},
        {"{\"slot\":63,\"seq\":2", "{\"slot\":64,\"seq\":2", "slot: out of range"},
        {"\"request\":9,\"row\":1", "\"request\":62,\"row\":1", "request: beyond the checkpoint's own"},
        {"\"request\":9,\"row\":1", "\"request\":9,\"row\":15", "row: out of range"},
        {"\"status\":\"open\"", "\"status\":\"shut\"", "status: an unknown value"},
        {"\"next_budget_ring\":2", "\"next_budget_ring\":1", "messages_ring, all_ring: out of range"},
        {"\"breakers\":[", "\"brakes\":[", "no section 'breakers'"},
        {"],\n\"approvals\":[", "],\n\"rest\":[", "no section 'approvals'"},
    };
    for (const Lie& lie : controls) {
        INFO(lie.from << "  ->  " << lie.to);
        core::PrivateState loaded;
        CHECK_THAT(desk.read(sign_again(replaced(desk.text(), lie.from, lie.to)), loaded), Contains(lie.refused_as));
    }
}

TEST_CASE("a document with fewer budgets than its configuration has is refused by name", "[persist][inv-9]") {
    const core::PrivateState tables = test::genesis_of(config_to_json(parse_config(
        R"({"instruments":[{"id":"X","tick":"1"}],"accounts":[{"id":"A"}],"strategies":[{"id":"s","account":"A"}],)"
        R"("limits":[{"scope":"firm","max_messages":5}]})")));
    REQUIRE(tables.state.status->next_budget_ring > 0);
    const Desk desk(tables.state);
    const std::string own = "\"next_budget_ring\":" + std::to_string(tables.state.status->next_budget_ring);
    core::PrivateState loaded;
    CHECK(desk.read(desk.text(), loaded) == "");
    CHECK_THAT(desk.read(sign_again(replaced(desk.text(), own, "\"next_budget_ring\":0")), loaded),
               Contains("next_budget_ring: fewer budgets than its configuration has"));
}

TEST_CASE("a document that ends anywhere, and is signed there, is refused", "[persist][inv-9]") {
    const core::PrivateState tables = story().tables_at(story().last_seq());
    const Desk desk(tables.state);
    const std::string& text = desk.text();
    const std::size_t last_line = text.rfind('\n', text.size() - 2) + 1;
    for (std::size_t end = 0; end + 1 < last_line; end += end < 400 || end + 400 > last_line ? 1 : 37) {
        INFO("cut at " << end);
        core::PrivateState loaded;
        CHECK(desk.read(sign_again(text.substr(0, end) + "\n" + text.substr(last_line)), loaded) != "");
    }
}

TEST_CASE("lines, strings and objects without an end are refused within bounded memory", "[persist][inv-9]") {
    const core::PrivateState tables = story().tables_at(story().last_seq());
    const Desk desk(tables.state);
    const std::string order = "{\"slot\":0,\"id\":\"O-plain\"";
    const std::string long_text(10'000, 'x');
    const std::string deep(3'000, '{');
    for (const std::string& to :
         {"{\"slot\":0,\"id\":\"" + long_text + "\"", "{\"" + long_text + "\":0,\"id\":\"O-plain\"", deep + order,
          order + ",\"x\":" + deep, order + std::string(9'000, ' '),
          "{\"slot\":" + std::string(9'000, '1') + ",\"id\":\"O-plain\"",
          "{\"slot\":0,\"id\":\"" + long_text.substr(0, 600) + "\"", "{\"" + long_text.substr(0, 600) + "\":0"}) {
        core::PrivateState loaded;
        const std::string wrong = desk.read(sign_again(replaced(desk.text(), order, to)), loaded);
        INFO(to.substr(0, 60));
        CHECK_THAT(wrong, Contains("orders"));
    }
}

TEST_CASE("a valid checkpoint under another name is passed over and reported", "[persist][inv-9]") {
    Store store(story());
    store.begin();
    store.append_blocks({15, 15}, story().last_seq());
    store.write(persist::checkpoint_name(44), store.read(store.checkpoint(40)));
    store.remove(persist::checkpoint_name(40));
    const test::Restored restored = store.restore();
    REQUIRE_FALSE(restored.refused());
    REQUIRE(restored.report.ignored.size() == 1);
    CHECK(restored.report.ignored[0].why == "its name does not fit its content");
    CHECK(restored.digest() == story().digest_at(story().last_seq()));
}
