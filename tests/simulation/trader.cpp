#include "simulation/trader.hpp"

#include <array>

namespace riskreg::simulation {

using layout::EventType;
using test::PlainRegistry;

namespace {

constexpr std::int64_t kLot = 100'000'000;
constexpr std::int64_t kPoint = 1'000'000'000;
constexpr std::size_t kRemembered = 24;   // ids that facts are about; older orders are left as they are

bool is_attached(const PlainRegistry& registry, std::uint32_t session) {
    return registry.state().sessions[session].record.newest().status == layout::SessionStatus::attached;
}

}  // namespace

void Trader::begin(PlainRegistry& registry, const Times& now) {
    for (std::uint32_t session = 0; session < 2; ++session)
        if (!is_attached(registry, session))
            static_cast<void>(registry.attach(session, static_cast<StrategyId>(session), wall_ns(session, now), now.steady_ns));
    if (random_.percent(85)) static_cast<void>(registry.release_unreconciled(someone_in_charge(now)));
}

/// Right most of the time, or off by up to a day until the next step.
std::int64_t Trader::wall_ns(std::size_t whose, const Times& now) {
    constexpr std::int64_t kSecond = 1'000'000'000;
    const std::int64_t step = clocks_.pick({kSecond / 2, kSecond, 3600 * kSecond, 86'400 * kSecond});
    if (clocks_.percent(2)) clock_offsets_ns_[whose] = clocks_.pick({std::int64_t{0}, step, -step});
    return now.now_ns + clock_offsets_ns_[whose];
}

core::Caller Trader::someone(const PlainRegistry& registry, const Times& now) {
    const std::uint32_t session = random_.percent(80) ? 0 : 1;
    core::Caller caller = registry.caller(session, now.steady_ns);
    caller.now_ns = wall_ns(session, now);
    return caller;
}

core::Caller Trader::someone_in_charge(const Times& now) {
    core::Caller caller = PlainRegistry::operator_at(now.steady_ns);
    caller.now_ns = wall_ns(kOperator, now);
    return caller;
}

Scope Trader::scope() {
    if (random_.percent(30)) return {.kind = ScopeKind::firm};
    if (random_.percent(50)) return {.kind = ScopeKind::account, .account = AccountId{0}};
    return {.kind = ScopeKind::instrument, .instrument = InstrumentId{random_.percent(50) ? 1U : 0U}};
}

const std::string& Trader::known() { return random_.one_of(ids_); }

OrderRequest Trader::order() {
    if (ids_.size() == kRemembered) ids_.erase(ids_.begin());
    OrderRequest order;
    order.id = ids_.emplace_back("O-" + std::to_string(++count_));
    order.account = AccountId{0};
    order.instrument = InstrumentId{random_.percent(70) ? 0U : 1U};
    order.side = random_.percent(50) ? Side::buy : Side::sell;
    order.price = Price{random_.between(95, 105) * kPoint};
    order.quantity = Quantity{random_.between(1, random_.percent(5) ? 200 : 20) * kLot};
    if (random_.percent(10)) order.tif = TimeInForce::gtc;
    return order;
}

void Trader::fact(PlainRegistry& registry, const core::Caller& caller) {
    OrderEvent event;
    event.kind = random_.pick({EventKind::acked, EventKind::acked, EventKind::acked, EventKind::filled, EventKind::filled,
                               EventKind::filled, EventKind::canceled, EventKind::rejected, EventKind::expired,
                               EventKind::replaced, EventKind::replace_rejected, EventKind::cancel_rejected,
                               EventKind::suspended, EventKind::resumed, EventKind::done_for_day, EventKind::bust});
    event.id = known();
    event.account = AccountId{0};
    event.instrument = InstrumentId{0};
    event.side = Side::buy;
    if (event.kind == EventKind::filled) exec_id_ = "E-" + std::to_string(random_.percent(90) ? ++count_ : count_);
    if (event.kind == EventKind::filled || event.kind == EventKind::bust) event.exec_id = exec_id_;
    event.price = Price{random_.between(95, 105) * kPoint};
    event.quantity = Quantity{random_.between(1, 6) * kLot};
    if (event.kind == EventKind::acked) event.venue_id = text_ = "V-" + std::to_string(++count_);
    static_cast<void>(registry.fact(caller, event));
}

void Trader::batch(PlainRegistry& registry, const core::Caller& caller) {
    // Copies: the ids move when more of them are remembered.
    std::array<std::string, 3> names;
    std::array<OrderRequest, 3> orders;
    for (std::size_t i = 0; i < orders.size(); ++i) {
        orders[i] = order();
        names[i] = std::string(orders[i].id);
        orders[i].id = names[i];
    }
    static_cast<void>(registry.register_all_or_none(caller, orders));
}

void Trader::replace(PlainRegistry& registry, const core::Caller& caller) {
    const std::string old = known();
    ReplaceRequest request;
    request.id = old;
    request.account = AccountId{0};
    if (random_.percent(60)) request.new_id = order().id;
    request.price = Price{random_.between(95, 105) * kPoint};
    request.quantity = Quantity{random_.between(1, 25) * kLot};
    static_cast<void>(registry.replace(caller, request));
}

void Trader::control(PlainRegistry& registry, const Times& now) {
    const core::Caller caller = someone_in_charge(now);
    const std::int64_t kind = random_.between(1, 100);
    if (kind <= 20) {
        static_cast<void>(registry.halt(caller, scope(), random_.pick({TradingState::warn, TradingState::reducing_only})));
    } else if (kind <= 60) {
        for (const Scope where : {Scope{.kind = ScopeKind::firm}, scope()})
            static_cast<void>(registry.resume(caller, where, TradingState::active));
    } else if (kind <= 80) {
        Limits limits;
        limits.max_working_orders = {LimitValue::Kind::value, random_.between(20, 60)};
        limits.max_order_quantity = {LimitValue::Kind::value, random_.between(15, 100) * kLot};
        static_cast<void>(registry.set_limits(caller, scope(), limits));
    } else if (kind <= 90) {
        static_cast<void>(registry.load_position(caller, AccountId{0}, StrategyId{0}, InstrumentId{1},
                                                 Quantity{random_.between(-9, 9) * kLot}, Price{100 * kPoint}));
    } else {
        static_cast<void>(registry.release_unreconciled(caller));
    }
}

void Trader::session(PlainRegistry& registry, const Times& now) {
    if (is_attached(registry, 1))
        static_cast<void>(registry.end_session(
            1, random_.pick({EventType::session_dead, EventType::session_detached, EventType::session_fenced}), wall_ns(1, now),
            now.steady_ns));
    else static_cast<void>(registry.attach(1, StrategyId{1}, wall_ns(1, now), now.steady_ns));
}

void Trader::act(PlainRegistry& registry, const Times& now) {
    if (clocks_.percent(1)) static_cast<void>(registry.set_clock(someone_in_charge(now)));
    const core::Caller caller = someone(registry, now);
    const std::int64_t kind = random_.between(1, 100);
    if (kind <= 36) static_cast<void>(registry.register_order(caller, order()));
    else if (kind <= 40) batch(registry, caller);
    else if (kind <= 78) fact(registry, caller);
    else if (kind <= 86) replace(registry, caller);
    else if (kind <= 91) static_cast<void>(registry.cancel(caller, AccountId{0}, known()));
    else if (kind <= 93) static_cast<void>(registry.abort(caller, AccountId{0}, known()));
    else if (kind <= 98) control(registry, now);
    else session(registry, now);
}

}  // namespace riskreg::simulation
