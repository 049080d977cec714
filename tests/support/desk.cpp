#include "support/desk.hpp"

#include <catch2/catch.hpp>

#include "core/audit.hpp"
#include "core/order_view.hpp"
#include "core/perform.hpp"

namespace riskreg::test {

namespace {

constexpr std::int64_t kLot = 100'000'000, kUnitOfMoney = 1'000'000, kUnitOfPrice = 1'000'000'000;

/// Tables so small that a desk costs microseconds; everything that is checked must be switched on by the test.
InstrumentConfig instrument(const std::string& id) {
    InstrumentConfig config;
    config.id = id;
    config.tick = px(1);
    return config;
}

std::int64_t divisor_of(Unit unit) noexcept {
    switch (unit) {
        case Unit::quantity: return kLot;
        case Unit::money: return kUnitOfMoney;
        case Unit::price: return kUnitOfPrice;
        default: return 1;
    }
}

/// Whole units, or the raw number with its sign of a fraction.
std::string number(std::int64_t value, std::int64_t divisor) {
    if (value % divisor == 0) return std::to_string(value / divisor);
    return std::to_string(value) + "/" + std::to_string(divisor);
}

}  // namespace

SharedConfig desk_config() {
    SharedConfig config;
    config.persistence_mode = PersistenceMode::none;
    config.require_limits = false;
    config.allow_limit_without_reference = true;
    config.self_match = SelfMatch::allow;
    config.capacity.orders = 256;
    config.capacity.executions = 256;
    config.capacity.sessions = 8;
    config.capacity.ring_events = 2048;
    config.capacity.budgets = 8;
    config.capacity.restrictions = 8;
    config.instruments = {instrument("ES"), instrument("NQ")};
    config.accounts = {{"A1", ""}, {"A2", ""}};
    config.strategies = {{"s1", {"A1", "A2"}, {}, OnDeath::leave},
                         {"s2", {"A1", "A2"}, {}, OnDeath::leave},
                         {"nq", {"A2"}, {"NQ"}, OnDeath::halt_strategy}};
    return config;
}

OrderRequest Order::request() const noexcept {
    OrderRequest request;
    request.id = id;
    request.account = account;
    request.instrument = instrument;
    request.side = side;
    request.type = type;
    request.tif = tif;
    request.price = price;
    request.quantity = quantity;
    request.stop_price = stop_price;
    return request;
}

TradingDesk::TradingDesk(const SharedConfig& config) : registry(config) {
    for (std::uint32_t session = 0; session < config.strategies.size(); ++session)
        registry.attach(session, StrategyId{static_cast<std::uint16_t>(session)}, now);
}

/// Whatever a test did, the tables must add up.
TradingDesk::~TradingDesk() {
    const core::AuditReport report = core::audit(registry.state());
    for (const std::string& violation : report.violations) UNSCOPED_INFO(violation);
    CHECK(report.clean());
}

core::Caller TradingDesk::by(std::uint32_t session) const {
    return session == kNobody ? PlainRegistry::operator_at(now) : registry.caller(session, now);
}

core::Caller TradingDesk::person(std::uint32_t uid) const {
    core::Caller caller = PlainRegistry::operator_at(now);
    caller.uid = uid;
    return caller;
}

Verdict TradingDesk::send(const Order& order) { return registry.register_order(by(order.session), order.request()); }

Verdict TradingDesk::buy(std::string_view id, std::int64_t count, std::int64_t price) {
    return send({.id = id, .quantity = lots(count), .price = px(price)});
}

Verdict TradingDesk::sell(std::string_view id, std::int64_t count, std::int64_t price) {
    return send({.id = id, .side = Side::sell, .quantity = lots(count), .price = px(price)});
}

std::vector<Verdict> TradingDesk::send_together(std::span<const Order> orders) {
    std::vector<OrderRequest> requests;
    for (const Order& order : orders) requests.push_back(order.request());
    return registry.register_all_or_none(by(orders.front().session), requests);
}

Verdict TradingDesk::amend(const Amend& amend) {
    ReplaceRequest request;
    request.id = amend.id;
    request.account = kA1;
    request.new_id = amend.new_id;
    request.price = amend.price;
    request.quantity = amend.quantity;
    request.stop_price = amend.stop_price;
    request.expected_version = amend.version;
    return registry.replace(by(amend.session), request);
}

Verdict TradingDesk::cancel(std::string_view id) { return registry.cancel(by(kSessionS1), kA1, id); }
Verdict TradingDesk::abort(std::string_view id, std::uint32_t session) { return registry.abort(by(session), kA1, id); }

Verdict TradingDesk::begin_send(std::string_view id, std::uint32_t session) const {
    return core::decide_begin_send(registry.state(), by(session), static_cast<std::uint32_t>(kA1), id);
}

Verdict TradingDesk::tell(const Report& report) {
    OrderEvent event;
    event.kind = report.kind;
    event.id = report.id;
    event.account = report.account;
    event.venue_id = report.venue_id;
    event.exec_id = report.exec_id;
    event.new_exec_id = report.new_exec_id;
    event.price = report.price;
    event.quantity = report.quantity;
    event.cum_quantity = report.cum_quantity;
    event.instrument = report.instrument;
    event.side = report.side;
    event.reopened = report.reopened;
    event.venue_knows_no_such_order = report.venue_knows_no_such_order;
    return registry.fact(by(kSessionS1), event);
}

Verdict TradingDesk::fill(std::string_view id, std::string_view exec_id, std::int64_t count, std::int64_t price) {
    return tell({.kind = EventKind::filled, .id = id, .exec_id = exec_id, .price = px(price), .quantity = lots(count)});
}

Verdict TradingDesk::fill_unknown(std::string_view exec_id) {
    return tell({.kind = EventKind::filled,
                 .id = "unknown",
                 .exec_id = exec_id,
                 .price = px(100),
                 .quantity = lots(1),
                 .instrument = kEs,
                 .side = Side::buy});
}

Verdict TradingDesk::bust(std::string_view id, std::string_view exec_id, bool reopened) {
    return tell({.kind = EventKind::bust, .id = id, .exec_id = exec_id, .reopened = reopened});
}

Verdict TradingDesk::correct(std::string_view id, std::string_view exec_id, std::string_view new_exec_id, std::int64_t count,
                             std::int64_t price) {
    return tell({.kind = EventKind::correct,
                 .id = id,
                 .exec_id = exec_id,
                 .new_exec_id = new_exec_id,
                 .price = px(price),
                 .quantity = lots(count)});
}

void TradingDesk::die(std::uint32_t session) { registry.end_session(session, layout::EventType::session_dead, now); }

void TradingDesk::hold(std::int64_t count, std::int64_t price) {
    const std::string id = "held-" + std::to_string(registry.state().log->next_order);
    const Side side = count < 0 ? Side::sell : Side::buy;
    REQUIRE(send({.id = id, .side = side, .quantity = lots(std::abs(count)), .price = px(price)}).accepted());
    REQUIRE(fill(id, "E-" + id, std::abs(count), price).result == Result::ok);
}

void TradingDesk::unreconcile() {
    core::Decision decision;
    core::decide_recovered(registry.state(), test::PlainRegistry::operator_at(now), "test", decision);
    core::perform(core::Exclusive::alone(registry.state()), decision);
}

Verdict TradingDesk::limit(const Scope& scope, LimitValue Limits::*member, std::int64_t value) {
    return limit(scope, member, LimitValue{LimitValue::Kind::value, value});
}

Verdict TradingDesk::limit(const Scope& scope, LimitValue Limits::*member, LimitValue value) {
    Limits limits;
    limits.*member = value;
    LimitMask mask = 0;
    for (const core::Limit& limit : core::kLimits)
        if (limit.member == member) mask = 1U << core::index_of(limit.id);
    return registry.set_limits(person(0), scope, limits, mask);
}

void TradingDesk::reference(std::int64_t price, InstrumentId instrument) { registry.set_reference(instrument, px(price), now); }

OrderView TradingDesk::view(std::string_view id, AccountId account) const {
    const std::uint32_t slot = core::find_head(registry.state(), static_cast<std::uint32_t>(account), id);
    INFO("order " << id);
    REQUIRE(slot != core::kNoSlot);
    return core::view_order(registry.state(), slot);
}

const layout::RowCounters& TradingDesk::row(const Scope& scope) const {
    return registry.state().rows[registry.state().geometry.row_of(scope)].counters.newest();
}

TradingState TradingDesk::state_of(const Scope& scope) const {
    return registry.state().rows[registry.state().geometry.row_of(scope)].control.newest().state;
}

std::int64_t TradingDesk::position() const { return row(kAccountEs).position / kLot; }

std::size_t TradingDesk::events(layout::EventType type) const {
    const core::State& state = registry.state();
    std::size_t count = 0;
    for (std::uint64_t seq = layout::kGenesis + 1; seq <= state.log->committed; ++seq)
        count += state.ring_slot(seq).header.type == type ? 1U : 0U;
    return count;
}

std::string TradingDesk::after(const Verdict& verdict, std::string_view id) const {
    const OrderView order = view(id);
    std::string text(name_of(verdict.result));
    if (verdict.reason != DenyReason::none) text += " " + std::string(name_of(verdict.reason)) + ":";
    text += " " + std::string(name_of(order.status)) + " cum " + number(order.cum_quantity.value, kLot) + " leaves " +
            number(order.leaves_quantity.value, kLot) + " reserved " + number(order.reserved_quantity.value, kLot) +
            " position " + std::to_string(position());
    for (unsigned bit = 0; bit < 16; ++bit)
        if ((verdict.flags >> bit & 1U) != 0) text += " " + std::string(name_of(static_cast<OrderFlag>(1U << bit)));
    return text;
}

const std::array<Scope, 6>& scopes_of_s1() noexcept {
    static constexpr std::array<Scope, 6> scopes = {{kFirm,
                                                     {ScopeKind::account, kA1, StrategyId::none, InstrumentId::none},
                                                     {ScopeKind::strategy, AccountId::none, kS1, InstrumentId::none},
                                                     {ScopeKind::instrument, AccountId::none, StrategyId::none, kEs},
                                                     kAccountEs,
                                                     kStrategyEs}};
    return scopes;
}

std::string text_of(const Scope& scope) {
    std::string text;
    const auto part = [&](const std::string& name) { text += (text.empty() ? "" : "/") + name; };
    if (scope.kind == ScopeKind::firm) part("firm");
    if (scope.account != AccountId::none) part(scope.account == kA1 ? "A1" : "A2");
    if (scope.strategy != StrategyId::none) part("s" + std::to_string(static_cast<unsigned>(scope.strategy) + 1));
    if (scope.instrument != InstrumentId::none) part(scope.instrument == kEs ? "ES" : "NQ");
    return text;
}

std::string text_of(const Verdict& verdict) {
    std::string text(name_of(verdict.result));
    if (verdict.reason == DenyReason::none) return text;
    text += " " + std::string(name_of(verdict.reason));
    if (verdict.scope.kind != ScopeKind::none) text += " " + text_of(verdict.scope);
    if (!verdict.has_numbers) return text;
    const std::int64_t divisor = divisor_of(verdict.unit);
    return text + " " + number(verdict.observed, divisor) + " > " + number(verdict.limit, divisor) + " " +
           std::string(name_of(verdict.unit));
}

}  // namespace riskreg::test
