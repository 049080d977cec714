#include "support/history.hpp"
#include "core/scopes.hpp"

#include <stdexcept>

#include "core/apply.hpp"
#include "core/genesis.hpp"
#include "support/plain_registry.hpp"

namespace riskreg::test {

using layout::EventType;

namespace {

constexpr std::int64_t kStart = 1'700'000'000'000'000'001;
constexpr std::int64_t kLot = 100'000'000;
constexpr std::int64_t kPoint = 1'000'000'000;

/// Tells the story. What the registry does not take is an error of the story.
class Teller {
public:
    explicit Teller(const std::string& config) : registry_(parse_config(config)) {}

    History tell(const std::string& config) {
        begin();
        fills();
        replacements();
        endings();
        unknown_orders();
        batch();
        controls();
        sessions();
        History history;
        history.config = config;
        history.batch_begin = batch_begin_;
        history.batch_end = batch_end_;
        for (std::uint64_t seq = 2; seq <= state().log->committed; ++seq) history.events.push_back(state().ring_slot(seq));
        return history;
    }

private:
    core::State& state() { return registry_.state(); }
    core::Caller trader() { return registry_.caller(0, now_ += 1'234'567); }
    core::Caller operator_now() { return PlainRegistry::operator_at(now_ += 1'234'567); }
    static void require(const Verdict& verdict, std::string_view what) {
        if (!verdict.taken()) throw std::runtime_error("the history's step was refused: " + std::string(what));
    }
    StrategyId strategy(const char* name) { return core::find_strategy(state(), name); }

    OrderRequest request(std::string_view id, Side side, int lots) {
        OrderRequest order;
        order.id = id;
        order.account = AccountId{0};
        order.instrument = InstrumentId{0};
        order.side = side;
        order.price = Price{100 * kPoint + kPoint / 4};
        order.quantity = Quantity{lots * kLot};
        return order;
    }
    void add(std::string_view id, Side side = Side::buy, int lots = 5) {
        require(registry_.register_order(trader(), request(id, side, lots)), id);
    }
    OrderEvent fact(EventKind kind, std::string_view id) {
        OrderEvent fact;
        fact.kind = kind;
        fact.id = id;
        fact.account = AccountId{0};
        return fact;
    }
    void tell(EventKind kind, std::string_view id, std::string_view venue_id = {}) {
        OrderEvent event = fact(kind, id);
        event.venue_id = venue_id;
        event.text = "as the venue says";
        require(registry_.fact(trader(), event), id);
    }
    void fill(std::string_view id, std::string_view exec_id, int lots) {
        OrderEvent event = fact(EventKind::filled, id);
        event.exec_id = exec_id;
        event.price = Price{100 * kPoint + 1};
        event.quantity = Quantity{lots * kLot};
        event.instrument = InstrumentId{1};
        event.side = Side::sell;
        require(registry_.fact(trader(), event), id);
    }
    void replace(std::string_view id, std::string_view new_id) {
        ReplaceRequest request;
        request.id = id;
        request.account = AccountId{0};
        request.new_id = new_id;
        request.price = Price{101 * kPoint};
        request.quantity = Quantity{7 * kLot};
        require(registry_.replace(trader(), request), id);
    }
    void execute(core::Decision& decision) {
        if (!decision.commit) throw std::runtime_error("the history's step was refused");
        core::execute(core::Exclusive::alone(state()), decision.event);
    }

    void begin() {
        require(registry_.attach(0, strategy("s1"), now_), "attach");
        require(registry_.attach(1, strategy("halts"), now_ += 5), "attach");
        core::Decision owner;
        core::decide_reference_owner(state(), trader(), 1, owner);
        execute(owner);
        add("O-plain");
        add("\"quoted\\id\"", Side::sell);
        OrderRequest stop = request("O-stop-limit", Side::buy, 3);
        stop.type = OrderType::stop_limit;
        stop.tif = TimeInForce::gtc;
        stop.stop_price = Price{100 * kPoint};
        require(registry_.register_order(trader(), stop), stop.id);
    }

    void fills() {
        tell(EventKind::acked, "O-plain", "V-1");
        fill("O-plain", "E-1", 2);
        fill("O-plain", "E-2", 1);
        OrderEvent correct = fact(EventKind::correct, "O-plain");
        correct.exec_id = "E-1";
        correct.new_exec_id = "E-1b";
        correct.price = Price{99 * kPoint};
        correct.quantity = Quantity{kLot};
        require(registry_.fact(trader(), correct), "correct");
        OrderEvent bust = fact(EventKind::bust, "O-plain");
        bust.exec_id = "E-2";
        require(registry_.fact(trader(), bust), "bust");
        fill("O-plain", "E-3", 4);
    }

    void replacements() {
        tell(EventKind::acked, "\"quoted\\id\"");
        replace("\"quoted\\id\"", "R-2");
        tell(EventKind::replaced, "R-2", "V-2");
        replace("R-2", "R-3");
        tell(EventKind::replace_rejected, "R-3");
        replace("R-2", "");
        require(registry_.cancel(trader(), AccountId{0}, "R-2"), "cancel");
        tell(EventKind::cancel_rejected, "R-2");
        require(registry_.cancel(trader(), AccountId{0}, "R-2"), "cancel");
        tell(EventKind::canceled, "R-2");
        fill("R-2", "E-late", 1);
    }

    void endings() {
        for (const char* id : {"O-rejected", "O-expired", "O-done", "O-aborted", "O-asleep"}) add(id);
        tell(EventKind::rejected, "O-rejected");
        tell(EventKind::acked, "O-expired");
        tell(EventKind::expired, "O-expired");
        tell(EventKind::done_for_day, "O-done");
        require(registry_.abort(trader(), AccountId{0}, "O-aborted"), "abort");
        tell(EventKind::acked, "O-asleep");
        tell(EventKind::suspended, "O-asleep");
        tell(EventKind::resumed, "O-asleep");
        tell(EventKind::timed_out, "O-asleep");
        const OrderRequest large = request("O-denied", Side::buy, 1000);
        const core::Caller caller = trader();
        const core::NewOrder order = core::prepare(state(), caller, large);
        core::Decision denied;
        core::decide_register(state(), caller, order, nullptr, denied);
        if (denied.commit) throw std::runtime_error("the history's order was to be refused");
        core::write_denied(state(), caller, EventType::registered, order, denied);
        core::execute(core::Exclusive::alone(state()), denied.event);
    }

    void unknown_orders() {
        fill("X-unknown", "E-x", 2);
        tell(EventKind::canceled, "X-nothing-booked");
    }

    void batch() {
        batch_begin_ = state().log->committed - 1;
        const std::vector<OrderRequest> members = {request("B-1", Side::buy, 1), request("B-2", Side::sell, 2),
                                                   request("B-3", Side::buy, 3)};
        for (const Verdict& verdict : registry_.register_all_or_none(trader(), members)) require(verdict, "batch");
        batch_end_ = state().log->committed - 1;
    }

    void controls() {
        Limits limits;
        limits.max_long = {LimitValue::Kind::unlimited, 0};
        limits.max_working_orders = {LimitValue::Kind::value, 0};
        limits.max_order_notional = {LimitValue::Kind::value, 123'456'789};
        const Scope scope{.kind = ScopeKind::instrument, .instrument = InstrumentId{1}};
        require(registry_.set_limits(operator_now(), scope, limits), "limits");
        require(registry_.halt(operator_now(), scope, TradingState::halted), "halt");
        require(registry_.resume(operator_now(), scope, TradingState::warn), "resume");
        core::Decision gap;
        core::decide_journal_gap(state(), PlainRegistry::operator_at(now_ += 7), gap);
        execute(gap);
        core::Decision recovered;
        core::decide_recovered(state(), PlainRegistry::operator_at(now_ += 7), "rebuilt, \x01\x7F\xFF and all", recovered);
        execute(recovered);
        require(registry_.release_unreconciled(operator_now()), "release");
    }

    void sessions() {
        require(registry_.end_session(1, EventType::session_dead, now_ += 9), "dead");
        require(registry_.attach(2, strategy("halts"), now_ += 9), "attach");
        require(registry_.end_session(2, EventType::session_fenced, now_ += 9), "fenced");
        require(registry_.attach(1, strategy("halts"), now_ += 9), "attach");
        require(registry_.end_session(1, EventType::session_detached, now_ += 9), "detached");
        for (const char* id : {"L-1", "L-2", "L-3", "L-4", "L-5", "L-6"}) add(id, Side::sell, 1);
    }

    PlainRegistry registry_;
    std::int64_t now_ = kStart;
    std::size_t batch_begin_ = 0, batch_end_ = 0;
};

}  // namespace

std::string small_config(std::uint32_t orders, const std::string& more) {
    const std::string size = std::to_string(orders);
    return config_to_json(parse_config(R"({"capacity":{"orders":)" + size + R"(,"executions":)" + size +
                                       R"(,"ring_events":256,"sessions":4},
        "require_limits":false,"allow_limit_without_reference":true,"self_match":"allow",
        "instruments":[{"id":"ES","tick":"0.25"},{"id":"N\"Q","tick":"0.25"}],"accounts":[{"id":"A1"}],
        "strategies":[{"id":"s1","account":"A1","on_death":"leave"},{"id":"halts","account":"A1"}],
        "limits":[{"scope":"account:A1","max_order_quantity":"100"}])" +
                                       more + "}"));
}

core::PrivateState genesis_of(const std::string& config) {
    const SharedConfig parsed = parse_config(config);
    core::PrivateState fresh = core::allocate_state(core::geometry_of(parsed, config.size()));
    core::make_genesis(fresh.state, parsed, config);
    return fresh;
}

void apply_events(core::State& state, std::span<const layout::Event> events) {
    for (const layout::Event& event : events) {
        layout::store_relaxed(state.log->committed, event.header.seq);
        core::apply(state, event);
    }
}

core::PrivateState History::tables_at(std::uint64_t seq) const {
    core::PrivateState tables = genesis_of(config);
    if (seq > layout::kGenesis) apply_events(tables.state, between(2, seq));
    return tables;
}

History every_kind_of_event() {
    const std::string config = small_config();
    return Teller(config).tell(config);
}

}  // namespace riskreg::test
