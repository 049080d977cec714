// Every reason to refuse, provoked at its exact boundary: what lies on it passes, one unit more is refused, and the answer
// names reason, scope, observed, limit and unit (semantics.md 2 to 15). The ctest `reasons` checks that none is left out.
#include <signal.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <functional>

#include "core/decide_common.hpp"
#include "core/meter.hpp"
#include "core/perform.hpp"
#include "segment/state_lock.hpp"
#include "support/child.hpp"
#include "support/desk.hpp"
#include "support/temp_registry.hpp"

using namespace riskreg;
using namespace riskreg::test;

namespace {

/// Refused for this reason; `compared` is scope, observed, limit and unit: "A1/ES 11 > 10 quantity".
void refuses(const Verdict& verdict, DenyReason reason, const std::string& compared = {}) {
    CHECK(text_of(verdict) == "denied " + std::string(name_of(reason)) + (compared.empty() ? "" : " " + compared));
}

void passes(const Verdict& verdict) {
    INFO(text_of(verdict));
    CHECK(verdict.taken());
}

/// Runs `body` once for each scope that covers an order of s1 on A1 × ES, with a desk of its own.
void on_every_scope(const std::function<void(TradingDesk&, const Scope&, const std::string&)>& body,
                    const SharedConfig& config = desk_config()) {
    for (const Scope& scope : scopes_of_s1()) {
        INFO("limit of " << text_of(scope));
        TradingDesk desk(config);
        body(desk, scope, text_of(scope));
    }
}

SharedConfig with(const std::function<void(SharedConfig&)>& change) {
    SharedConfig config = desk_config();
    change(config);
    return config;
}

}  // namespace

// ---- 1: the registry itself --------------------------------------------------------------------------

namespace {

OrderRequest order_for(const Registry& registry) {
    OrderRequest request = Order{}.request();
    request.account = registry.account("A1");
    request.instrument = registry.instrument("ES");
    return request;
}

OrderEvent report_for(const Registry& registry) {
    OrderEvent event;
    event.kind = EventKind::acked;
    event.id = "O";
    event.account = registry.account("A1");
    return event;
}

}  // namespace

TEST_CASE("a poisoned registry refuses a request and does not book a report", "[reasons]") {
    const TempRegistry place;
    Registry registry = place.attach("s1");
    LiveSegment live(place, segment::Access::read_write);
    segment::poison(live.state());
    refuses(registry.check_and_register(order_for(registry)), DenyReason::poisoned);
    CHECK(registry.event(report_for(registry)).result == Result::not_booked);
}

TEST_CASE("a forked child is refused: it is not attached", "[reasons]") {
    const TempRegistry place;
    Registry registry = place.attach("s1");
    const OrderRequest order = order_for(registry);
    const Shared<Verdict> answer;
    Child child([&] {
        *answer = registry.check_and_register(order);
        ::_exit(0);
    });
    REQUIRE(child.wait().left_with(0));
    refuses(*answer, DenyReason::not_attached);
    passes(registry.check_and_register(order));
}

TEST_CASE("a session whose strategy was taken over is fenced in every call", "[reasons]") {
    const TempRegistry place;
    Registry former = place.attach("s1");
    ProcessConfig config = place.process("s1");
    config.takeover = true;
    Registry successor = Registry::open(place.name(), config);
    const OrderRequest order = order_for(former);
    refuses(former.check_and_register(order), DenyReason::fenced);
    refuses(former.cancel_requested(order.account, order.id), DenyReason::fenced);
    const Verdict report = former.event(report_for(former));
    CHECK(report.result == Result::not_booked);
    CHECK(report.reason == DenyReason::fenced);
    passes(successor.check_and_register(order));
}

TEST_CASE("a lock that is not to be had within the deadline refuses a request", "[reasons]") {
    const TempRegistry place;
    ProcessConfig config = place.process("s1");
    config.request_timeout_ns = 5 * kMillisecond;
    Registry registry = Registry::open(place.name(), config);
    {
        Child holder([&place] {
            LiveSegment live(place, segment::Access::read_write);
            const segment::StateLock lock(live.state(), 10 * kSecond, core::kNoSlot);
            if (lock.inside()) ::raise(SIGSTOP);
        });
        REQUIRE(holder.wait_for_stop().stopped_by(SIGSTOP));
        refuses(registry.check_and_register(order_for(registry)), DenyReason::lock_timeout);
        holder.send(SIGCONT);
        REQUIRE(holder.wait().left_with(0));
    }
    passes(registry.check_and_register(order_for(registry)));
}

namespace {

/// Nobody journals: events pile up until `backlog` are waiting.
class UnjournaledDesk : public TradingDesk {
public:
    UnjournaledDesk() : TradingDesk(with([](SharedConfig& config) { config.capacity.ring_events = 256; })) {
        hold(-10);
        buy("W", 5);
        acked("W");
        registry.state().header->persistence = static_cast<std::uint32_t>(PersistenceMode::async);
    }
    ~UnjournaledDesk() { registry.state().header->persistence = static_cast<std::uint32_t>(PersistenceMode::none); }
    UnjournaledDesk(const UnjournaledDesk&) = delete;
    UnjournaledDesk& operator=(const UnjournaledDesk&) = delete;
    void fill_up_to(std::uint64_t backlog) {
        while (core::backlog(registry.state()) < backlog) acked("W");
    }
};

}  // namespace

TEST_CASE("three quarters of the ring not on disk refuse what increases risk and nothing else", "[reasons]") {
    UnjournaledDesk desk;
    desk.fill_up_to(191);
    passes(desk.send({.id = "O-1", .instrument = kNq}));
    CHECK(core::backlog(desk.registry.state()) == 192);
    refuses(desk.send({.id = "O-2", .instrument = kNq}), DenyReason::journal_backlog, "192 > 192 slots");
    CHECK(desk.amend({.id = "W", .quantity = lots(6)}).reason == DenyReason::journal_backlog);
    passes(desk.buy("R", 5));
    passes(desk.amend({.id = "W", .quantity = lots(4)}));
    passes(desk.cancel("O-1"));
    desk.registry.state().status->consumer = desk.registry.state().log->committed - 191;
    passes(desk.send({.id = "O-2", .instrument = kNq}));
}

TEST_CASE("a day that is about to end refuses what increases risk and nothing else", "[reasons]") {
    TradingDesk desk;
    desk.hold(-10);
    desk.buy("W", 5);
    desk.acked("W");
    desk.registry.state().status->roll_phase = static_cast<std::uint64_t>(layout::RollPhase::draining);
    desk.registry.state().status->brake = 0;
    refuses(desk.send({.id = "O-1", .instrument = kNq}), DenyReason::draining);
    CHECK(desk.amend({.id = "W", .quantity = lots(6)}).reason == DenyReason::draining);
    passes(desk.buy("R", 5));
    passes(desk.amend({.id = "W", .quantity = lots(4)}));
    passes(desk.cancel("R"));
    desk.registry.state().status->roll_phase = static_cast<std::uint64_t>(layout::RollPhase::none);
    passes(desk.send({.id = "O-1", .instrument = kNq}));
}

TEST_CASE("a full ring whose journal has a fault is down", "[reasons]") {
    UnjournaledDesk desk;
    desk.fill_up_to(255);
    desk.registry.state().host->fault = static_cast<std::uint64_t>(layout::Fault::journal_write);
    CHECK(desk.send({.id = "O-1", .instrument = kNq}).reason == DenyReason::journal_backlog);
    desk.acked("W");
    CHECK(desk.send({.id = "O-1", .instrument = kNq}).reason == DenyReason::journal_down);
    passes(desk.buy("R", 5));
    passes(desk.cancel("W"));
}

// ---- 2: trading states ---------------------------------------------------------------------------------

TEST_CASE("each trading state is a reason of its own", "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string& name) {
        desk.halt(scope, TradingState::warn);
        passes(desk.buy("O-1", 1));
        desk.halt(scope, TradingState::reducing_only);
        refuses(desk.buy("O-2", 1), DenyReason::reducing_only, name);
        desk.halt(scope, TradingState::cancel_only);
        refuses(desk.buy("O-2", 1), DenyReason::cancel_only, name);
        desk.halt(scope, TradingState::halted);
        refuses(desk.buy("O-2", 1), DenyReason::halted, name);
    });
}

TEST_CASE("a firm that nobody has compared with the venue is unreconciled until somebody says that it is", "[reasons]") {
    TradingDesk desk;
    desk.unreconcile();
    refuses(desk.buy("O", 1), DenyReason::unreconciled, "firm");
    passes(desk.registry.release_unreconciled(desk.person(0)));
    passes(desk.buy("O", 1));
}

// ---- 3: known and permitted ----------------------------------------------------------------------------

TEST_CASE("what is not configured is unknown", "[reasons]") {
    TradingDesk desk;
    refuses(desk.send({.account = AccountId{2}}), DenyReason::unknown_account);
    refuses(desk.send({.account = AccountId::none}), DenyReason::unknown_account);
    refuses(desk.send({.session = kNobody}), DenyReason::unknown_strategy);
    refuses(desk.send({.instrument = InstrumentId{2}}), DenyReason::unknown_instrument);
    refuses(desk.send({.instrument = InstrumentId::none}), DenyReason::unknown_instrument);
    passes(desk.send({.instrument = kNq, .account = kA2}));
}

TEST_CASE("a strategy trades its accounts and instruments only", "[reasons]") {
    TradingDesk desk;
    refuses(desk.send({.instrument = kNq, .account = kA1, .session = kSessionNq}), DenyReason::not_permitted);
    refuses(desk.send({.instrument = kEs, .account = kA2, .session = kSessionNq}), DenyReason::not_permitted);
    passes(desk.send({.instrument = kNq, .account = kA2, .session = kSessionNq}));
}

TEST_CASE("the restricted list holds its scope, its sides and its time, from the first moment to before the last",
          "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string& name) {
        desk.buy("W", 5);
        desk.acked("W");
        Restriction entry;
        entry.sell = false;
        entry.from_ns = desk.now + kSecond;
        entry.to_ns = desk.now + 2 * kSecond;
        passes(desk.registry.restrict(desk.person(0), scope, entry));
        desk.now = entry.from_ns - 1;
        passes(desk.buy("O-1", 1));
        desk.now = entry.from_ns;
        refuses(desk.buy("O-2", 1), DenyReason::restricted, name);
        passes(desk.sell("O-3", 1));
        refuses(desk.amend({.id = "W", .quantity = lots(6)}), DenyReason::restricted, name);
        refuses(desk.amend({.id = "W", .price = px(101)}), DenyReason::restricted, name);
        passes(desk.amend({.id = "W", .quantity = lots(4)}));
        passes(desk.tell(EventKind::replaced, "W"));
        passes(desk.cancel("O-1"));
        desk.now = entry.to_ns - 1;
        refuses(desk.buy("O-2", 1), DenyReason::restricted, name);
        desk.now = entry.to_ns;
        passes(desk.buy("O-2", 1));
    });
}

TEST_CASE("the restricted list holds no other scope", "[reasons]") {
    TradingDesk desk;
    passes(desk.registry.restrict(desk.person(0), kAccountEs, {}));
    refuses(desk.buy("O-1", 1), DenyReason::restricted, "A1/ES");
    passes(desk.send({.id = "O-2", .instrument = kNq}));
    passes(desk.send({.id = "O-3", .account = kA2}));
}

TEST_CASE("a short sale is refused by what the account could be left with", "[reasons]") {
    TradingDesk desk(with([](SharedConfig& config) { config.instruments[0].short_allowed = false; }));
    refuses(desk.sell("O-0", 1), DenyReason::short_not_allowed, "A1/ES 1 > 0 quantity");
    desk.hold(10);
    passes(desk.sell("O-1", 10));
    refuses(desk.sell("O-2", 1), DenyReason::short_not_allowed, "A1/ES 1 > 0 quantity");
    desk.acked("O-1");
    refuses(desk.amend({.id = "O-1", .quantity = lots(12)}), DenyReason::short_not_allowed, "A1/ES 2 > 0 quantity");
    passes(desk.amend({.id = "O-1", .quantity = lots(9)}));
    passes(desk.tell(EventKind::replaced, "O-1"));
    passes(desk.sell("O-2", 1));
    refuses(desk.send({.id = "O-3", .side = Side::sell, .quantity = lots(1), .session = kSessionS2}),
            DenyReason::short_not_allowed, "A1/ES 1 > 0 quantity");
    passes(desk.send({.id = "O-4", .side = Side::sell, .instrument = kNq}));
}

// ---- 4: ids ------------------------------------------------------------------------------------------------

TEST_CASE("the same order again is already registered, whatever became of it", "[reasons]") {
    TradingDesk desk;
    desk.buy("O", 5);
    refuses(desk.buy("O", 5), DenyReason::already_registered);
    desk.acked("O");
    CHECK(desk.buy("O", 5).status == OrderStatus::new_);
    desk.tell(EventKind::canceled, "O");
    refuses(desk.buy("O", 5), DenyReason::already_registered);
    CHECK(desk.buy("O", 5).status == OrderStatus::canceled);
}

TEST_CASE("any other use of an id is a duplicate, also of a replaced and of an ended order", "[reasons]") {
    TradingDesk desk;
    desk.buy("O", 5);
    desk.acked("O");
    passes(desk.amend({.quantity = lots(6), .new_id = "O-2"}));
    desk.tell(EventKind::replaced, "O-2");
    for (const std::string_view id : {"O", "O-2"}) {
        refuses(desk.buy(id, 7), DenyReason::duplicate_order_id);
        refuses(desk.sell(id, 5), DenyReason::duplicate_order_id);
        refuses(desk.send({.id = id, .quantity = lots(5), .session = kSessionS2}), DenyReason::duplicate_order_id);
    }
    desk.buy("O-3", 1);
    desk.acked("O-3");
    refuses(desk.amend({.id = "O-3", .quantity = lots(2), .new_id = "O"}), DenyReason::duplicate_order_id);
    desk.tell(EventKind::canceled, "O");
    refuses(desk.buy("O", 7), DenyReason::duplicate_order_id);
    passes(desk.send({.id = "O", .account = kA2}));
}

TEST_CASE("a refused order does not burn its id", "[reasons]") {
    TradingDesk desk;
    desk.limit(kAccountEs, &Limits::max_order_quantity, lots(5).value);
    refuses(desk.buy("O", 6), DenyReason::max_order_quantity, "A1/ES 6 > 5 quantity");
    passes(desk.buy("O", 5));
}

TEST_CASE("an id has 1 to 39 printable bytes", "[reasons]") {
    TradingDesk desk;
    const std::string longest(39, 'x');
    passes(desk.buy(longest, 1));
    passes(desk.buy("!", 1));
    passes(desk.buy("~", 1));
    for (const std::string& id :
         {std::string(), longest + "x", std::string("a b"), std::string("a\tb"), std::string("a\x7f"), std::string("\xc3\xa9")})
        refuses(desk.buy(id, 1), DenyReason::invalid_order_id);
    desk.acked("!");
    refuses(desk.amend({.id = "!", .quantity = lots(2), .new_id = longest + "x"}), DenyReason::invalid_order_id);
    passes(desk.amend({.id = "!", .quantity = lots(2), .new_id = std::string_view("y")}));
}

// ---- 5: shape ----------------------------------------------------------------------------------------------

TEST_CASE("a quantity is positive, whole lots, and within the instrument's bounds", "[reasons]") {
    TradingDesk desk(with([](SharedConfig& config) {
        config.instruments[0].lot = lots(2);
        config.instruments[0].min_quantity = lots(4);
        config.instruments[0].max_quantity = lots(8);
    }));
    refuses(desk.buy("O", 0), DenyReason::invalid_quantity, "0 > 4 quantity");
    refuses(desk.buy("O", -4), DenyReason::invalid_quantity, "-4 > 4 quantity");
    refuses(desk.buy("O", 5), DenyReason::invalid_quantity, "5 > 2 quantity");
    refuses(desk.buy("O", 2), DenyReason::invalid_quantity, "2 > 4 quantity");
    refuses(desk.buy("O", 10), DenyReason::invalid_quantity, "10 > 8 quantity");
    passes(desk.buy("O-4", 4));
    passes(desk.buy("O-8", 8));
    desk.acked("O-4");
    refuses(desk.amend({.id = "O-4", .quantity = lots(10)}), DenyReason::invalid_quantity, "10 > 8 quantity");
    passes(desk.amend({.id = "O-4", .quantity = lots(8)}));
}

TEST_CASE("a price lies on the tick, and is there or not as the type demands", "[reasons]") {
    TradingDesk desk(with([](SharedConfig& config) { config.instruments[0].tick = px(5); }));
    desk.reference(100);
    refuses(desk.buy("O", 1, 101), DenyReason::invalid_price, "101 > 5 price");
    passes(desk.buy("O", 1, 105));
    refuses(desk.send({.id = "L", .price = std::nullopt}), DenyReason::invalid_price);
    refuses(desk.send({.id = "L", .stop_price = px(100)}), DenyReason::invalid_price);
    refuses(desk.send({.id = "M", .price = std::nullopt, .type = OrderType::market, .stop_price = px(100)}),
            DenyReason::invalid_price);
    refuses(desk.send({.id = "S", .price = std::nullopt, .type = OrderType::stop}), DenyReason::invalid_price);
    refuses(desk.send({.id = "S", .price = px(100), .type = OrderType::stop, .stop_price = px(100)}),
            DenyReason::invalid_price);
    refuses(desk.send({.id = "S", .price = std::nullopt, .type = OrderType::stop, .stop_price = px(102)}),
            DenyReason::invalid_price, "102 > 5 price");
    refuses(desk.send({.id = "SL", .type = OrderType::stop_limit}), DenyReason::invalid_price);
    passes(desk.send({.id = "S", .price = std::nullopt, .type = OrderType::stop, .stop_price = px(100)}));
    passes(desk.send({.id = "SL", .type = OrderType::stop_limit, .stop_price = px(100)}));
    passes(desk.send({.id = "M", .price = std::nullopt, .type = OrderType::market}));
    passes(desk.send({.id = "P", .price = std::nullopt, .type = OrderType::pegged}));
    desk.acked("O");
    refuses(desk.amend({.price = px(102)}), DenyReason::invalid_price, "102 > 5 price");
    passes(desk.amend({.price = px(100)}));
}

TEST_CASE("side, type and time in force are of their enumerations", "[reasons]") {
    TradingDesk desk;
    refuses(desk.send({.side = Side::none}), DenyReason::invalid_field);
    refuses(desk.send({.type = OrderType::none}), DenyReason::invalid_field);
    refuses(desk.send({.type = OrderType{6}}), DenyReason::invalid_field);
    refuses(desk.send({.tif = TimeInForce::none}), DenyReason::invalid_field);
    refuses(desk.send({.tif = TimeInForce{6}}), DenyReason::invalid_field);
    passes(desk.send({.tif = TimeInForce::gtd}));
}

// ---- 6: reference price --------------------------------------------------------------------------------------

TEST_CASE("without a reference price a market order is refused, and a limit order unless it is configured otherwise",
          "[reasons]") {
    for (const bool allowed : {false, true}) {
        TradingDesk desk(with([&](SharedConfig& config) { config.allow_limit_without_reference = allowed; }));
        for (const OrderType type : {OrderType::market, OrderType::pegged})
            refuses(desk.send({.price = px(100), .type = type}), DenyReason::reference_price_unknown);
        refuses(desk.send({.price = std::nullopt, .type = OrderType::stop, .stop_price = px(100)}),
                DenyReason::reference_price_unknown);
        if (allowed) passes(desk.buy("O", 1));
        else refuses(desk.buy("O", 1), DenyReason::reference_price_unknown);
    }
}

TEST_CASE("a collared instrument is refused without a reference price, whatever is configured", "[reasons]") {
    TradingDesk desk(with([](SharedConfig& config) { config.instruments[0].collar_ticks = 5; }));
    refuses(desk.buy("O", 1), DenyReason::reference_price_unknown);
    desk.reference(100);
    passes(desk.buy("O", 1));
}

TEST_CASE("a reference price is stale when it is older than its age, by a nanosecond", "[reasons]") {
    TradingDesk desk(with([](SharedConfig& config) { config.instruments[0].reference_max_age_ms = 10; }));
    desk.reference(100);
    desk.now += 10 * kMillisecond;
    passes(desk.send({.id = "O-1", .price = std::nullopt, .type = OrderType::market}));
    desk.now += 1;
    refuses(desk.send({.id = "O-2", .price = std::nullopt, .type = OrderType::market}), DenyReason::reference_price_stale);
}

TEST_CASE("a worst-case gross limit without any price is refused as unknown", "[reasons]") {
    TradingDesk desk(with([](SharedConfig& config) { config.gross_method = GrossMethod::worst_case; }));
    desk.limit(kFirm, &Limits::max_gross_notional, money(1000));
    refuses(desk.buy("O", 10), DenyReason::reference_price_unknown);
    desk.reference(100);
    passes(desk.buy("O", 10));
}

TEST_CASE("the collar lets its edge pass and refuses a tick beyond it, on the side that hurts", "[reasons]") {
    TradingDesk desk(with([](SharedConfig& config) { config.instruments[0].collar_bps = 500; }));
    desk.reference(100);
    passes(desk.buy("B-1", 1, 105));
    refuses(desk.buy("B-2", 1, 106), DenyReason::price_collar, "106 > 105 price");
    passes(desk.sell("S-1", 1, 95));
    refuses(desk.sell("S-2", 1, 94), DenyReason::price_collar, "94 > 95 price");
    passes(desk.buy("B-3", 1, 1));
    passes(desk.sell("S-3", 1, 1000));
    desk.acked("B-1");
    refuses(desk.amend({.id = "B-1", .price = px(106)}), DenyReason::price_collar, "106 > 105 price");
    passes(desk.amend({.id = "B-1", .price = px(104)}));
}

TEST_CASE("a collar in ticks and one in basis points: the wider one holds, on both sides where it is configured", "[reasons]") {
    TradingDesk desk(with([](SharedConfig& config) {
        config.instruments[0].collar_bps = 500;
        config.instruments[0].collar_ticks = 7;
        config.instruments[0].collar_two_sided = true;
    }));
    desk.reference(100);
    passes(desk.buy("B-1", 1, 107));
    refuses(desk.buy("B-2", 1, 108), DenyReason::price_collar, "108 > 107 price");
    passes(desk.buy("B-3", 1, 93));
    refuses(desk.buy("B-4", 1, 92), DenyReason::price_collar, "92 > 93 price");
    refuses(desk.send({.id = "T", .price = std::nullopt, .type = OrderType::stop, .stop_price = px(92)}),
            DenyReason::price_collar, "92 > 93 price");
    passes(desk.send({.id = "T", .price = std::nullopt, .type = OrderType::stop, .stop_price = px(93)}));
}

// ---- 7: mandatory limits, single order -----------------------------------------------------------------------

TEST_CASE("without its mandatory limits no order passes, and each may stand on firm, account, instrument or both",
          "[reasons]") {
    const SharedConfig config = with([](SharedConfig& c) { c.require_limits = true; });
    on_every_scope(
        [](TradingDesk& desk, const Scope& scope, const std::string&) {
            const bool of_strategy = scope.strategy != StrategyId::none;
            refuses(desk.buy("O", 1), DenyReason::no_limit_set, "A1/ES");
            desk.limit(scope, &Limits::max_order_quantity, lots(5).value);
            refuses(desk.buy("O", 1), DenyReason::no_limit_set, "A1/ES");
            desk.limit(scope, &Limits::max_long, {LimitValue::Kind::unlimited, 0});
            refuses(desk.sell("O", 1), DenyReason::no_limit_set, "A1/ES");
            if (of_strategy) return refuses(desk.buy("O", 1), DenyReason::no_limit_set, "A1/ES");
            passes(desk.buy("O", 1));
            desk.limit(scope, &Limits::max_short, lots(0).value);
            CHECK(desk.sell("O-2", 1).reason == DenyReason::max_short);
            desk.limit(scope, &Limits::max_long, LimitValue{});
            refuses(desk.buy("O-3", 1), DenyReason::no_limit_set, "A1/ES");
        },
        config);
}

TEST_CASE("max_order_quantity holds for new orders and for the new total of an amend, on every scope", "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string& name) {
        desk.limit(scope, &Limits::max_order_quantity, lots(10).value);
        refuses(desk.buy("O", 11), DenyReason::max_order_quantity, name + " 11 > 10 quantity");
        passes(desk.buy("O", 9));
        desk.acked("O");
        refuses(desk.amend({.quantity = lots(11)}), DenyReason::max_order_quantity, name + " 11 > 10 quantity");
        passes(desk.amend({.quantity = lots(10)}));
        passes(desk.buy("O-2", 10));
    });
}

TEST_CASE("max_order_notional holds at the price that the order reserves at, for new orders and amends, on every scope",
          "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string& name) {
        desk.limit(scope, &Limits::max_order_notional, money(1000));
        refuses(desk.buy("O", 11), DenyReason::max_order_notional, name + " 1100 > 1000 money");
        passes(desk.buy("O", 10));
        desk.acked("O");
        refuses(desk.amend({.price = px(101)}), DenyReason::max_order_notional, name + " 1010 > 1000 money");
        desk.reference(125);
        refuses(desk.buy("O-2", 9), DenyReason::max_order_notional, name + " 1125 > 1000 money");
        passes(desk.buy("O-2", 8));
    });
}

// ---- 8: messages -----------------------------------------------------------------------------------------------

TEST_CASE("exactly max_messages pass in any window, the next fails and passes exactly one window after the first",
          "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string& name) {
        desk.limit(scope, &Limits::max_messages, 3);
        const std::int64_t first = desk.now;
        for (const std::string_view id : {"O-1", "O-2", "O-3"}) {
            passes(desk.buy(id, 1));
            desk.now += 10 * kMillisecond;
        }
        refuses(desk.buy("O-4", 1), DenyReason::rate_limit, name + " 4 > 3 messages");
        desk.now = first + kSecond - 1;
        refuses(desk.buy("O-4", 1), DenyReason::rate_limit, name + " 4 > 3 messages");
        desk.now = first + kSecond;
        passes(desk.buy("O-4", 1));
        refuses(desk.buy("O-5", 1), DenyReason::rate_limit, name + " 4 > 3 messages");
        desk.now = first + kSecond + 10 * kMillisecond - 1;
        refuses(desk.buy("O-5", 1), DenyReason::rate_limit, name + " 4 > 3 messages");
        desk.now += 1;
        passes(desk.buy("O-5", 1));
    });
}

TEST_CASE("the window has the length that was configured, and a limit of zero refuses everything", "[reasons]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_messages, 1);
    desk.limit(kFirm, &Limits::window_ms, 20);
    passes(desk.buy("O-1", 1));
    desk.now += 20 * kMillisecond - 1;
    refuses(desk.buy("O-2", 1), DenyReason::rate_limit, "firm 2 > 1 messages");
    desk.now += 1;
    passes(desk.buy("O-2", 1));
    desk.limit(kFirm, &Limits::max_messages, 0);
    desk.now += kSecond;
    refuses(desk.buy("O-3", 1), DenyReason::rate_limit, "firm 1 > 0 messages");
}

TEST_CASE("amends up count and are refused, amends down and cancels neither", "[reasons]") {
    TradingDesk desk;
    desk.buy("O", 5);
    desk.acked("O");
    desk.limit(kFirm, &Limits::max_messages, 2);
    passes(desk.amend({.quantity = lots(6)}));
    desk.tell(EventKind::replaced, "O");
    for (int i = 0; i < 5; ++i) {
        passes(desk.amend({.quantity = lots(5 - i)}));
        desk.tell(EventKind::replaced, "O");
    }
    passes(desk.buy("O-2", 1));
    refuses(desk.amend({.quantity = lots(9)}), DenyReason::rate_limit, "firm 3 > 2 messages");
    passes(desk.amend({.price = px(99)}));
    desk.tell(EventKind::replaced, "O");
    passes(desk.cancel("O"));
}

TEST_CASE("a refusal for content, self-match or exposure uses the budget up, an earlier one and rate_limit itself do not",
          "[reasons]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_messages, 2);
    desk.limit(kFirm, &Limits::max_order_quantity, lots(50).value);
    desk.limit(kFirm, &Limits::max_long, lots(10).value);
    for (int i = 0; i < 5; ++i) refuses(desk.buy("O", 51), DenyReason::max_order_quantity, "firm 51 > 50 quantity");
    for (int i = 0; i < 2; ++i) refuses(desk.buy("O", 11), DenyReason::max_long, "firm 11 > 10 quantity");
    for (int i = 0; i < 5; ++i) refuses(desk.buy("O", 1), DenyReason::rate_limit, "firm 3 > 2 messages");
    desk.now += kSecond;
    passes(desk.buy("O", 1));
}

TEST_CASE("new orders and amends use max_all_messages but for the cancel headroom, cancels use all of it and pass beyond",
          "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string& name) {
        desk.limit(scope, &Limits::max_all_messages, 10);   // headroom 15 %: 8 for new orders and amends
        const std::int64_t first = desk.now;
        for (int i = 0; i < 8; ++i) {
            passes(desk.buy("O-" + std::to_string(i), 1));
            desk.now += kMillisecond;
        }
        refuses(desk.buy("N", 1), DenyReason::rate_limit, name + " 9 > 8 messages");
        for (int i = 0; i < 8; ++i) passes(desk.cancel("O-" + std::to_string(i)));
        desk.now = first + kSecond - 1;
        refuses(desk.buy("N", 1), DenyReason::rate_limit, name + " 9 > 8 messages");
        // The first new order has left, but the cancels have used the rest up.
        desk.now = first + kSecond;
        refuses(desk.buy("N", 1), DenyReason::rate_limit, name + " 11 > 10 messages");
        desk.now = first + 8 * kMillisecond + kSecond;
        passes(desk.buy("N", 1));
    });
}

TEST_CASE("amends down and cancels count in max_all_messages", "[reasons]") {
    TradingDesk desk;
    desk.buy("O", 9);
    desk.acked("O");
    desk.limit(kFirm, &Limits::max_all_messages, 3);
    desk.limit(kFirm, &Limits::cancel_headroom_bps, 0);
    passes(desk.amend({.quantity = lots(8)}));
    desk.tell(EventKind::replaced, "O");
    passes(desk.cancel("O"));
    passes(desk.buy("O-2", 1));
    refuses(desk.buy("O-3", 1), DenyReason::rate_limit, "firm 4 > 3 messages");
    passes(desk.cancel("O-2"));
}

TEST_CASE("after a recovery from disk the window starts as if used up", "[reasons]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_messages, 3);
    desk.unreconcile();
    const std::int64_t recovered = desk.now;
    desk.registry.release_unreconciled(desk.person(0));
    desk.now = recovered + kSecond - 1;
    refuses(desk.buy("O", 1), DenyReason::rate_limit, "firm 4 > 3 messages");
    desk.now = recovered + kSecond;
    passes(desk.buy("O", 1));
}

TEST_CASE("without a headroom for cancels new orders have all of max_all_messages, with all of it none", "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string& name) {
        desk.limit(scope, &Limits::cancel_headroom_bps, 0);
        desk.limit(scope, &Limits::max_all_messages, 3);
        for (const std::string_view id : {"O-1", "O-2", "O-3"}) passes(desk.buy(id, 1));
        refuses(desk.buy("O-4", 1), DenyReason::rate_limit, name + " 4 > 3 messages");
        desk.limit(scope, &Limits::cancel_headroom_bps, 10'000);
        desk.now += kSecond;
        refuses(desk.buy("O-4", 1), DenyReason::rate_limit, name + " 1 > 0 messages");
        desk.limit(scope, &Limits::cancel_headroom_bps, 6667);   // a third would be 6666 and two thirds of one
        refuses(desk.buy("O-4", 1), DenyReason::rate_limit, name + " 1 > 0 messages");
        desk.limit(scope, &Limits::cancel_headroom_bps, 6666);
        passes(desk.buy("O-4", 1));
        desk.limit(scope, &Limits::cancel_headroom_bps, 10'000);
        desk.limit(scope, &Limits::max_all_messages, 20'000);   // a ten-thousandth of it would be two
        desk.now += kSecond;
        refuses(desk.buy("O-5", 1), DenyReason::rate_limit, name + " 1 > 0 messages");
    });
}

TEST_CASE("a clock that goes back opens no window: event time is monotone", "[reasons]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_messages, 1);
    passes(desk.buy("O-1", 1));
    const std::int64_t sent = desk.now;
    desk.now -= 3600 * kSecond;
    refuses(desk.buy("O-2", 1), DenyReason::rate_limit, "firm 2 > 1 messages");
    desk.now = sent + kSecond;
    passes(desk.buy("O-2", 1));
}

TEST_CASE("a budget of more than 4096 messages never passes more, and no less than one stride", "[reasons]") {
    TradingDesk desk(with([](SharedConfig& config) {
        config.capacity.orders = 16384;
        config.capacity.ring_events = 32768;
    }));
    desk.limit(kFirm, &Limits::max_messages, 8192);
    int passed = 0;
    for (int i = 0; i < 8300; ++i) {
        desk.now += 1000;
        passed += desk.buy("O-" + std::to_string(i), 1).accepted() ? 1 : 0;
    }
    CHECK(passed <= 8192);
    CHECK(passed >= 8191);
}

TEST_CASE("a budget whose times are nowhere refuses: what cannot be judged does not pass", "[reasons][inv-12]") {
    for (const auto member : {&Limits::max_messages, &Limits::max_all_messages}) {
        TradingDesk desk;
        desk.limit(kFirm, member, 3);
        desk.limit(kFirm, &Limits::cancel_headroom_bps, 0);
        layout::RowRisk& risk = desk.registry.state().rows_risk[desk.registry.state().geometry.firm_row()];
        const layout::RowMeters before = risk.meters.newest();
        for (layout::RowMeters& copy : risk.meters.copy) copy.messages_ring = copy.all_ring = layout::kNoSlot;
        refuses(desk.buy("O", 1), DenyReason::rate_limit, "firm 4 > 3 messages");
        for (layout::RowMeters& copy : risk.meters.copy)
            copy.messages_ring = before.messages_ring, copy.all_ring = before.all_ring;
        passes(desk.buy("O", 1));
    }
}

TEST_CASE("the use of a budget is told by the same window that judges it", "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string&) {
        const core::State& state = desk.registry.state();
        const std::uint32_t row = state.geometry.row_of(scope);
        const auto requests = [&] { return core::messages_in_window(state, row, false, desk.now); };
        const auto all = [&] { return core::messages_in_window(state, row, true, desk.now); };
        CHECK_FALSE(requests());
        desk.limit(scope, &Limits::max_messages, 5);
        CHECK(requests() == 0U);
        CHECK_FALSE(all());
        desk.limit(scope, &Limits::max_all_messages, 10);
        const std::int64_t first = desk.now;
        for (const std::string_view id : {"O-1", "O-2"}) {
            passes(desk.buy(id, 1));
            desk.now += kMillisecond;
        }
        passes(desk.cancel("O-1"));
        CHECK(requests() == 2U);
        CHECK(all() == 3U);
        desk.now = first + kSecond - 1;
        CHECK(requests() == 2U);
        desk.now = first + kSecond;
        CHECK(requests() == 1U);
        CHECK(all() == 2U);
        desk.now += kMillisecond;
        CHECK(requests() == 0U);
        CHECK(all() == 1U);
    });
}

TEST_CASE("the use of all messages is told by their own times, however coarse those of new orders are", "[reasons]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_messages, 8192);   // every second time is kept
    desk.limit(kFirm, &Limits::max_all_messages, 10);
    const std::int64_t first = desk.now;
    for (const std::string_view id : {"O-1", "O-2", "O-3"}) {
        passes(desk.buy(id, 1));
        desk.now += kMillisecond;
    }
    const std::uint32_t row = desk.registry.state().geometry.firm_row();
    for (const std::int64_t left : {0, 1, 2, 3}) {
        const std::int64_t now_ns = first + kSecond + (left - 1) * kMillisecond;
        CHECK(core::messages_in_window(desk.registry.state(), row, true, now_ns) == static_cast<std::uint64_t>(3 - left));
    }
}

TEST_CASE("a budget that is counted in other steps begins anew, and refuses until a window has passed", "[reasons][inv-12]") {
    using Member = LimitValue Limits::*;
    for (const Member member : {&Limits::max_messages, &Limits::max_all_messages}) {
        TradingDesk desk;
        desk.limit(kFirm, &Limits::cancel_headroom_bps, 0);
        desk.limit(kFirm, member, 100);
        desk.now += kSecond;
        passes(desk.buy("O-1", 1));
        desk.now += kSecond;
        desk.limit(kFirm, member, 8192);
        const core::State& state = desk.registry.state();
        const layout::RowMeters& meters = state.rows_risk[state.geometry.firm_row()].meters.newest();
        CHECK((member == &Limits::max_messages ? meters.messages : meters.all_messages) == 0);
        CHECK(meters.since_ns == desk.now);
        desk.now += kSecond - 1;
        refuses(desk.buy("O-2", 1), DenyReason::rate_limit, "firm 8193 > 8192 messages");
        desk.now += 1;
        passes(desk.buy("O-2", 1));
    }
}

TEST_CASE("times are kept beyond four thousand million messages", "[reasons]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_messages, 8192);
    core::State& state = desk.registry.state();
    layout::RowRisk& risk = state.rows_risk[state.geometry.firm_row()];
    for (layout::RowMeters& copy : risk.meters.copy) copy.messages = 1ULL << 32;
    for (std::int64_t& time : state.budget_rings[risk.meters.newest().messages_ring].times_ns) time = desk.now - kSecond;
    passes(desk.buy("O", 1));
    CHECK(risk.meters.newest().messages == (1ULL << 32) + 1);
    CHECK(state.budget_rings[risk.meters.newest().messages_ring].times_ns[0] == desk.now);
}

TEST_CASE("after a recovery from disk a budget is told as used up for the length of its window", "[reasons]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_messages, 3);
    desk.unreconcile();
    const std::uint32_t row = desk.registry.state().geometry.firm_row();
    CHECK(core::messages_in_window(desk.registry.state(), row, false, desk.now + kSecond - 1) == 3U);
    CHECK(core::messages_in_window(desk.registry.state(), row, false, desk.now + kSecond) == 0U);
}

TEST_CASE("a breaker is exact up to 256, errs towards halting by less than 16 above, and sees 3840 at most", "[reasons]") {
    TradingDesk desk;
    core::State& state = desk.registry.state();
    constexpr std::int64_t window = 100 * kSecond;
    constexpr std::uint64_t count = 3900;
    std::vector<std::int64_t> times;
    for (std::uint64_t i = 0; i < count; ++i) {
        layout::EventHeader header{};
        header.seq = 1000 + i;
        header.steady_ns = times.emplace_back(desk.now + static_cast<std::int64_t>(i) * kMillisecond);
        core::count_breaker(state, header, layout::Breaker::sells);
    }
    state.log->last_time_ns = state.log->last_steady_ns = static_cast<std::uint64_t>(times.back());
    const layout::BreakerSlot& slot = *core::breaker_of(state, 0, 0);
    const auto breaks = [&](std::uint32_t limit, std::int64_t now_ns) {
        return core::breaks(slot, layout::Breaker::sells, limit, window, now_ns);
    };
    CHECK(breaks(0, times.back()));
    for (const std::uint32_t limit : {1U, 2U, 17U, 255U, 256U}) {
        const std::int64_t leaves = times[count - limit] + window;
        CHECK(breaks(limit, leaves - 1));
        CHECK_FALSE(breaks(limit, leaves));
    }
    for (const std::uint32_t limit : {257U, 300U, 1000U, 3839U, 3840U}) {
        CHECK(breaks(limit, times[count - limit] + window - 1));
        CHECK_FALSE(breaks(limit, times[count - limit + 15] + window));
    }
    for (const std::uint32_t limit : {3841U, 3899U, 3900U, 4000U, 1'000'000U}) {
        CHECK(breaks(limit, times[count - 3840] + window - 1));
        CHECK_FALSE(breaks(limit, times[count - 3840 + 15] + window));
    }
    CHECK_FALSE(core::breaks(slot, layout::Breaker::buys, 1, window, times.back()));
}

// ---- 9: content --------------------------------------------------------------------------------------------------

TEST_CASE("exactly max_same_content orders of one content pass in any window, the next passes one window after the first",
          "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string& name) {
        desk.limit(scope, &Limits::max_same_content, 2);
        const std::int64_t first = desk.now;
        passes(desk.buy("O-1", 5));
        desk.now += 10 * kMillisecond;
        passes(desk.buy("O-2", 5));
        refuses(desk.buy("O-3", 5), DenyReason::duplicate_content, name + " 3 > 2 orders");
        passes(desk.buy("P-1", 6));
        passes(desk.buy("P-2", 5, 101));
        passes(desk.sell("P-3", 5));
        passes(desk.send({.id = "P-4", .quantity = lots(5), .tif = TimeInForce::gtc}));
        desk.now = first + kSecond - 1;
        refuses(desk.buy("O-3", 5), DenyReason::duplicate_content, name + " 3 > 2 orders");
        desk.now = first + kSecond;
        passes(desk.buy("O-3", 5));
        refuses(desk.buy("O-4", 5), DenyReason::duplicate_content, name + " 3 > 2 orders");
    });
}

TEST_CASE("the content window has the length that was configured, and a limit of zero refuses every content", "[reasons]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_same_content, 1);
    desk.limit(kFirm, &Limits::content_window_ms, 20);
    passes(desk.buy("O-1", 5));
    desk.now += 20 * kMillisecond - 1;
    refuses(desk.buy("O-2", 5), DenyReason::duplicate_content, "firm 2 > 1 orders");
    desk.now += 1;
    passes(desk.buy("O-2", 5));
    desk.limit(kFirm, &Limits::max_same_content, 0);
    desk.now += kSecond;
    refuses(desk.buy("O-3", 7), DenyReason::duplicate_content, "firm 1 > 0 orders");
}

TEST_CASE("the same content of another strategy counts, unless content is told apart by strategy", "[reasons]") {
    for (const bool by_strategy : {false, true}) {
        TradingDesk desk(with([&](SharedConfig& config) { config.content_by_strategy = by_strategy; }));
        desk.limit(kFirm, &Limits::max_same_content, 1);
        passes(desk.send({.id = "O-1"}));
        const Verdict other = desk.send({.id = "O-2", .session = kSessionS2});
        if (by_strategy) passes(other);
        else refuses(other, DenyReason::duplicate_content, "firm 2 > 1 orders");
        passes(desk.send({.id = "O-3", .account = kA2}));
        passes(desk.send({.id = "O-4", .instrument = kNq}));
    }
}

// ---- 10: self-match ------------------------------------------------------------------------------------------------

namespace {
SharedConfig refusing_self_matches(SelfMatchGroup group = SelfMatchGroup::account) {
    return with([&](SharedConfig& config) {
        config.self_match = SelfMatch::refuse_new;
        config.self_match_group = group;
    });
}
}  // namespace

TEST_CASE("a buy at an own sell price would match it and a tick less would not, and the other way round", "[reasons]") {
    TradingDesk desk(refusing_self_matches());
    passes(desk.send({.id = "S", .side = Side::sell, .price = px(100), .session = kSessionS2}));
    refuses(desk.buy("B", 1, 100), DenyReason::self_match, "A1 100 > 100 price");
    refuses(desk.buy("B", 1, 105), DenyReason::self_match, "A1 105 > 100 price");
    passes(desk.buy("B", 1, 99));
    refuses(desk.sell("S-2", 1, 99), DenyReason::self_match, "A1 99 > 99 price");
    passes(desk.sell("S-2", 1, 100));
    passes(desk.send({.id = "N", .price = px(105), .instrument = kNq}));
    passes(desk.send({.id = "A", .price = px(105), .account = kA2}));
}

TEST_CASE("with the firm as the group, orders of other accounts match, too", "[reasons]") {
    TradingDesk desk(refusing_self_matches(SelfMatchGroup::firm));
    passes(desk.send({.id = "S", .side = Side::sell, .account = kA2}));
    refuses(desk.buy("B", 1), DenyReason::self_match, "firm 100 > 100 price");
    passes(desk.buy("B", 1, 99));
}

TEST_CASE("an amend that makes the price cross an own order is refused, one that moves away is not looked at", "[reasons]") {
    TradingDesk desk(refusing_self_matches());
    desk.sell("S", 5, 102);
    desk.buy("B", 5, 100);
    desk.acked("B");
    refuses(desk.amend({.id = "B", .price = px(102)}), DenyReason::self_match, "A1 102 > 102 price");
    passes(desk.amend({.id = "B", .price = px(101)}));
    refuses(desk.sell("S-2", 1, 101), DenyReason::self_match, "A1 101 > 101 price");
    desk.tell(EventKind::replace_rejected, "B");
    passes(desk.sell("S-2", 1, 101));
    passes(desk.amend({.id = "B", .price = px(99)}));
    // The old price may still trade until the venue has answered.
    refuses(desk.sell("S-3", 1, 100), DenyReason::self_match, "A1 100 > 100 price");
    desk.tell(EventKind::replaced, "B");
    passes(desk.sell("S-3", 1, 100));
}

TEST_CASE("market orders match at any price, stop orders not before they have triggered", "[reasons]") {
    TradingDesk desk(refusing_self_matches());
    desk.reference(100);
    passes(desk.send({.id = "T",
                      .side = Side::sell,
                      .quantity = lots(2),
                      .price = std::nullopt,
                      .type = OrderType::stop,
                      .stop_price = px(90)}));
    passes(desk.buy("B", 5, 100));
    refuses(desk.send({.id = "M", .side = Side::sell, .price = std::nullopt, .type = OrderType::market}),
            DenyReason::self_match, "A1");
    desk.tell(EventKind::canceled, "B");
    passes(desk.buy("B-2", 5, 1));
    desk.tell(EventKind::canceled, "B-2");
    desk.fill("T", "E1", 1);
    refuses(desk.buy("B-3", 5, 1), DenyReason::self_match, "A1");
    desk.fill("T", "E2", 1);
    passes(desk.buy("B-3", 5, 1));
}

TEST_CASE("an ended own order is matched no more, and other modes refuse nothing", "[reasons]") {
    for (const SelfMatch mode : {SelfMatch::refuse_new, SelfMatch::advise_cancel, SelfMatch::allow}) {
        TradingDesk desk(with([&](SharedConfig& config) { config.self_match = mode; }));
        desk.sell("S", 5);
        const Verdict crossing = desk.buy("B", 5);
        if (mode == SelfMatch::refuse_new) refuses(crossing, DenyReason::self_match, "A1 100 > 100 price");
        else passes(crossing);
        CHECK(crossing.crosses_own == (mode == SelfMatch::advise_cancel));
        desk.tell(EventKind::canceled, "S");
        passes(desk.buy("B-2", 5));
    }
}

// ---- 11: exposures ---------------------------------------------------------------------------------------------------

TEST_CASE("max_working_orders and its sides hold from register to the end of the order, on every scope", "[reasons]") {
    struct Row {
        LimitValue Limits::*limit;
        Side counted;
        bool both;
    };
    for (const Row& row : {Row{&Limits::max_working_orders, Side::buy, true}, Row{&Limits::max_working_buy, Side::buy, false},
                           Row{&Limits::max_working_sell, Side::sell, false}})
        on_every_scope([&](TradingDesk& desk, const Scope& scope, const std::string& name) {
            const Side other = row.counted == Side::buy ? Side::sell : Side::buy;
            desk.limit(scope, row.limit, 2);
            passes(desk.send({.id = "O-1", .side = row.counted}));
            passes(desk.send({.id = "O-2", .side = row.counted}));
            refuses(desk.send({.id = "O-3", .side = row.counted}), DenyReason::max_working_orders, name + " 3 > 2 orders");
            if (row.both)
                refuses(desk.send({.id = "X", .side = other}), DenyReason::max_working_orders, name + " 3 > 2 orders");
            else passes(desk.send({.id = "X", .side = other}));
            desk.cancel("O-1");
            desk.tell(EventKind::timed_out, "O-2");
            refuses(desk.send({.id = "O-3", .side = row.counted}), DenyReason::max_working_orders, name + " 3 > 2 orders");
            desk.tell(EventKind::canceled, "O-1");
            passes(desk.send({.id = "O-3", .side = row.counted}));
        });
}

namespace {

/// A limit on exposure: 10 lots at 100 are exactly on it.
struct ExposureLimit {
    DenyReason reason;
    LimitValue Limits::*member;
    Side side;
    std::int64_t value;
    std::string eleven;   ///< how a refusal of one lot more compares
};

const std::vector<ExposureLimit>& exposure_limits() {
    static const std::vector<ExposureLimit> limits = {
        {DenyReason::max_long, &Limits::max_long, Side::buy, lots(10).value, " 11 > 10 quantity"},
        {DenyReason::max_short, &Limits::max_short, Side::sell, lots(10).value, " 11 > 10 quantity"},
        {DenyReason::max_open_notional, &Limits::max_open_notional, Side::buy, money(1000), " 1100 > 1000 money"},
        {DenyReason::max_open_notional, &Limits::max_open_notional, Side::sell, money(1000), " 1100 > 1000 money"},
        {DenyReason::max_gross_notional, &Limits::max_gross_notional, Side::buy, money(1000), " 1100 > 1000 money"},
        {DenyReason::max_gross_notional, &Limits::max_gross_notional, Side::sell, money(1000), " 1100 > 1000 money"},
        {DenyReason::max_net_notional, &Limits::max_net_notional, Side::buy, money(1000), " 1100 > 1000 money"},
        {DenyReason::max_net_notional, &Limits::max_net_notional, Side::sell, money(1000), " 1100 > 1000 money"},
        {DenyReason::cash_limit, &Limits::cash_limit, Side::buy, money(1000), " 1100 > 1000 money"},
        {DenyReason::max_traded_notional, &Limits::max_traded_notional, Side::buy, money(1000), " 1100 > 1000 money"},
        {DenyReason::max_traded_notional, &Limits::max_traded_notional, Side::sell, money(1000), " 1100 > 1000 money"},
    };
    return limits;
}

void for_every_exposure_limit(
    const std::function<void(TradingDesk&, const Scope&, const std::string&, const ExposureLimit&)>& body) {
    for (const ExposureLimit& limit : exposure_limits()) {
        INFO(name_of(limit.reason) << " of a " << name_of(limit.side));
        on_every_scope([&](TradingDesk& desk, const Scope& scope, const std::string& name) { body(desk, scope, name, limit); });
    }
}

Order order_of(const ExposureLimit& limit, std::string_view id, std::int64_t count) {
    return {.id = id, .side = limit.side, .quantity = lots(count)};
}

}  // namespace

TEST_CASE("each limit on exposure lets its exact value pass and refuses one lot more, on every scope", "[reasons]") {
    for_every_exposure_limit([](TradingDesk& desk, const Scope& scope, const std::string& name, const ExposureLimit& limit) {
        desk.limit(scope, limit.member, limit.value);
        refuses(desk.send(order_of(limit, "O-1", 11)), limit.reason, name + limit.eleven);
        passes(desk.send(order_of(limit, "O-1", 10)));
        refuses(desk.send(order_of(limit, "O-2", 1)), limit.reason, name + limit.eleven);
        desk.tell(EventKind::canceled, "O-1");
        passes(desk.send(order_of(limit, "O-2", 10)));
    });
}

TEST_CASE("each limit on exposure counts what is filled as it counts what works", "[reasons]") {
    for_every_exposure_limit([](TradingDesk& desk, const Scope& scope, const std::string& name, const ExposureLimit& limit) {
        desk.hold(limit.side == Side::buy ? 4 : -4);
        desk.limit(scope, limit.member, limit.value);
        // Filled orders are open no more, and count in every other sum.
        const std::int64_t room = limit.reason == DenyReason::max_open_notional ? 10 : 6;
        refuses(desk.send(order_of(limit, "O", room + 1)), limit.reason, name + limit.eleven);
        passes(desk.send(order_of(limit, "O", room)));
    });
}

TEST_CASE("each limit on exposure holds for what an amend adds, and lets an amend down pass", "[reasons]") {
    for_every_exposure_limit([](TradingDesk& desk, const Scope& scope, const std::string& name, const ExposureLimit& limit) {
        if (limit.reason == DenyReason::max_gross_notional) {
            // The rows have had a price.
            desk.hold(1);
            desk.hold(-1);
        }
        desk.limit(scope, limit.member, limit.value);
        passes(desk.send(order_of(limit, "O", 8)));
        desk.acked("O");
        refuses(desk.amend({.quantity = lots(11)}), limit.reason, name + limit.eleven);
        CHECK(desk.view("O").reserved_quantity == lots(8));
        passes(desk.amend({.quantity = lots(10)}));
        // While the answer is open the greater of both is reserved, never the sum.
        refuses(desk.send(order_of(limit, "O-2", 1)), limit.reason, name + limit.eleven);
        desk.tell(EventKind::replaced, "O");
        passes(desk.amend({.quantity = lots(5)}));
        refuses(desk.send(order_of(limit, "O-2", 1)), limit.reason, name + limit.eleven);
        desk.tell(EventKind::replaced, "O");
        passes(desk.send(order_of(limit, "O-2", 5)));
    });
}

TEST_CASE("each limit on exposure sees the members of a batch that stand before", "[reasons]") {
    for_every_exposure_limit([](TradingDesk& desk, const Scope& scope, const std::string& name, const ExposureLimit& limit) {
        desk.limit(scope, limit.member, limit.value);
        const std::vector<Order> too_many = {order_of(limit, "B-1", 5), order_of(limit, "B-2", 5), order_of(limit, "B-3", 1)};
        const std::vector<Verdict> answers = desk.send_together(too_many);
        refuses(answers[0], DenyReason::batch_member_denied);
        refuses(answers[1], DenyReason::batch_member_denied);
        refuses(answers[2], limit.reason, name + limit.eleven);
        CHECK(desk.row(kAccountEs).working_buy + desk.row(kAccountEs).working_sell == 0);
        const std::vector<Order> enough = {order_of(limit, "B-1", 5), order_of(limit, "B-2", 5)};
        for (const Verdict& verdict : desk.send_together(enough)) passes(verdict);
        refuses(desk.send(order_of(limit, "B-3", 1)), limit.reason, name + limit.eleven);
    });
}

TEST_CASE("each limit on exposure, lowered below its use, refuses only what increases", "[reasons]") {
    for_every_exposure_limit([](TradingDesk& desk, const Scope& scope, const std::string&, const ExposureLimit& limit) {
        const bool buys = limit.side == Side::buy;
        desk.hold(buys ? 20 : -20);
        passes(desk.send(order_of(limit, "W", 4)));
        desk.acked("W");
        desk.limit(scope, limit.member, 0);
        CHECK(desk.send(order_of(limit, "O", 1)).reason == limit.reason);
        CHECK(desk.amend({.id = "W", .quantity = lots(5)}).reason == limit.reason);
        passes(desk.amend({.id = "W", .quantity = lots(3)}));
        passes(desk.send({.id = "R", .side = buys ? Side::sell : Side::buy, .quantity = lots(20)}));
        passes(desk.cancel("W"));
        passes(desk.tell(EventKind::canceled, "W"));
    });
}

TEST_CASE("each limit on exposure lets reducing orders pass by their size, and refuses one lot more", "[reasons]") {
    for_every_exposure_limit([](TradingDesk& desk, const Scope& scope, const std::string&, const ExposureLimit& limit) {
        desk.hold(limit.side == Side::buy ? -10 : 10);
        desk.limit(scope, limit.member, 0);
        // A net amount only matters once it is greater than before, on the other side.
        const std::int64_t too_many = limit.reason == DenyReason::max_net_notional ? 21 : 11;
        CHECK(desk.send(order_of(limit, "O", too_many)).reason == limit.reason);
        passes(desk.send(order_of(limit, "O-1", 4)));
        passes(desk.send(order_of(limit, "O-2", 6)));
        CHECK(desk.send(order_of(limit, "O-3", too_many - 10)).reason == limit.reason);
    });
}

TEST_CASE("what reduces is judged on account and instrument, for limits of a strategy on what the strategy holds",
          "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string& name) {
        desk.send({.id = "H", .side = Side::sell, .session = kSessionS2});
        desk.fill("H", "E1", 10);
        desk.limit(scope, &Limits::max_open_notional, 0);
        const Verdict covers = desk.buy("O", 5);
        if (scope.strategy == StrategyId::none) passes(covers);
        else refuses(covers, DenyReason::max_open_notional, name + " 500 > 0 money");
    });
}

TEST_CASE("a quantity limit on a scope that spans instruments holds for each of them separately", "[reasons]") {
    for (const Scope& scope : {scopes_of_s1()[0], scopes_of_s1()[1], scopes_of_s1()[2]}) {
        TradingDesk desk;
        desk.limit(scope, &Limits::max_long, lots(10).value);
        passes(desk.buy("O-1", 10));
        passes(desk.send({.id = "O-2", .instrument = kNq}));
        refuses(desk.buy("O-3", 1), DenyReason::max_long, text_of(scope) + " 11 > 10 quantity");
    }
}

TEST_CASE("notional limits on a scope that spans instruments add them up", "[reasons]") {
    for (const Scope& scope : {scopes_of_s1()[0], scopes_of_s1()[1], scopes_of_s1()[2]})
        for (const ExposureLimit& limit : exposure_limits()) {
            if (limit.reason == DenyReason::max_long || limit.reason == DenyReason::max_short) continue;
            INFO(name_of(limit.reason) << " of " << text_of(scope));
            TradingDesk desk;
            desk.limit(scope, limit.member, limit.value);
            passes(desk.send({.id = "O-1", .side = limit.side, .quantity = lots(6), .instrument = kNq}));
            passes(desk.send(order_of(limit, "O-2", 4)));
            refuses(desk.send(order_of(limit, "O-3", 1)), limit.reason, text_of(scope) + limit.eleven);
        }
}

TEST_CASE("the most restrictive of the covering scopes refuses, and the first in order is named", "[reasons]") {
    TradingDesk desk;
    std::int64_t value = 60;
    for (const Scope& scope : scopes_of_s1()) desk.limit(scope, &Limits::max_long, lots(value -= 10).value);
    refuses(desk.buy("O", 1), DenyReason::max_long, "s1/ES 1 > 0 quantity");
    refuses(desk.buy("O", 51), DenyReason::max_long, "firm 51 > 50 quantity");
}

TEST_CASE("gross counts positions at the mark and both sides of what works", "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string& name) {
        desk.hold(5);
        desk.limit(scope, &Limits::max_gross_notional, money(1700));
        passes(desk.buy("B", 4));
        passes(desk.sell("S", 8));
        // 500 held, 400 and 800 work.
        refuses(desk.buy("B-2", 1), DenyReason::max_gross_notional, name + " 1800 > 1700 money");
    });
}

TEST_CASE("worst-case gross counts the greater of both worst positions", "[reasons]") {
    on_every_scope(
        [](TradingDesk& desk, const Scope& scope, const std::string& name) {
            desk.reference(100);
            desk.hold(5);
            desk.limit(scope, &Limits::max_gross_notional, money(1000));
            passes(desk.buy("B", 5));
            passes(desk.sell("S", 15));
            refuses(desk.buy("B-2", 1), DenyReason::max_gross_notional, name + " 1100 > 1000 money");
            refuses(desk.sell("S-2", 1), DenyReason::max_gross_notional, name + " 1100 > 1000 money");
        },
        with([](SharedConfig& config) { config.gross_method = GrossMethod::worst_case; }));
}

TEST_CASE("net counts the position at the mark with the sign, and one side of what works at a time", "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string& name) {
        desk.hold(5);
        desk.limit(scope, &Limits::max_net_notional, money(1000));
        passes(desk.buy("B", 5));
        refuses(desk.buy("B-2", 1), DenyReason::max_net_notional, name + " 1100 > 1000 money");
        passes(desk.sell("S", 15));
        refuses(desk.sell("S-2", 1), DenyReason::max_net_notional, name + " 1100 > 1000 money");
    });
}

TEST_CASE("cash is what working buys need and what was bought and not sold again", "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string& name) {
        desk.limit(scope, &Limits::cash_limit, money(1000));
        desk.hold(6);
        refuses(desk.buy("B", 5), DenyReason::cash_limit, name + " 1100 > 1000 money");
        passes(desk.buy("B", 4));
        desk.hold(-2);
        passes(desk.buy("B-2", 2));
        refuses(desk.buy("B-3", 1), DenyReason::cash_limit, name + " 1100 > 1000 money");
        passes(desk.sell("S", 50));
    });
}

TEST_CASE("turnover counts both sides of the day and both sides of what works", "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string& name) {
        desk.hold(3);
        desk.hold(-2);
        desk.limit(scope, &Limits::max_traded_notional, money(1000));
        passes(desk.buy("B", 3));
        passes(desk.sell("S", 2));
        refuses(desk.buy("B-2", 1), DenyReason::max_traded_notional, name + " 1100 > 1000 money");
        desk.bust("S", "nothing");
        desk.tell(EventKind::canceled, "S");
        passes(desk.buy("B-2", 2));
    });
}

// ---- 15: loss ----------------------------------------------------------------------------------------------------------

namespace {

/// Day's result: −100, from a best of +50.
void lose_100_after_a_peak_of_50(TradingDesk& desk) {
    desk.hold(10, 100);
    desk.hold(-10, 105);
    desk.hold(10, 105);
    desk.hold(-10, 90);
}

}  // namespace

TEST_CASE("a loss of exactly daily_loss refuses the order that finds it and sets the state, on every scope", "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string& name) {
        lose_100_after_a_peak_of_50(desk);
        desk.limit(scope, &Limits::daily_loss, money(101));
        passes(desk.buy("O-1", 1));
        desk.limit(scope, &Limits::daily_loss, money(100));
        refuses(desk.buy("O-2", 1), DenyReason::daily_loss, name + " 100 > 100 money");
        CHECK(desk.state_of(scope) == TradingState::reducing_only);
        refuses(desk.buy("O-2", 1), DenyReason::reducing_only, name);
    });
}

TEST_CASE("a fall of exactly drawdown from the day's best refuses the order that finds it, on every scope", "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string& name) {
        lose_100_after_a_peak_of_50(desk);
        desk.limit(scope, &Limits::drawdown, money(151));
        passes(desk.buy("O-1", 1));
        desk.limit(scope, &Limits::drawdown, money(150));
        refuses(desk.buy("O-2", 1), DenyReason::drawdown, name + " 150 > 150 money");
        CHECK(desk.state_of(scope) == TradingState::reducing_only);
    });
}

TEST_CASE("the order that finds a loss halts where that is configured", "[reasons]") {
    on_every_scope(
        [](TradingDesk& desk, const Scope& scope, const std::string& name) {
            lose_100_after_a_peak_of_50(desk);
            desk.limit(scope, &Limits::daily_loss, money(100));
            refuses(desk.buy("O-1", 1), DenyReason::daily_loss, name + " 100 > 100 money");
            refuses(desk.buy("O-1", 1), DenyReason::halted, name);
        },
        with([](SharedConfig& config) { config.halt_on_loss = true; }));
}

TEST_CASE("an amend up finds a loss, too, and a reducing order passes it", "[reasons]") {
    TradingDesk desk;
    lose_100_after_a_peak_of_50(desk);
    desk.hold(-10, 90);
    desk.sell("W", 1, 90);
    desk.acked("W");
    desk.limit(kAccountEs, &Limits::daily_loss, money(100));
    passes(desk.buy("R", 10, 90));
    CHECK(desk.state_of(kAccountEs) == TradingState::active);
    refuses(desk.amend({.id = "W", .quantity = lots(2)}), DenyReason::daily_loss, "A1/ES 100 > 100 money");
    CHECK(desk.state_of(kAccountEs) == TradingState::reducing_only);
}

TEST_CASE("a fill that brings the loss sets the state in the same moment, a lot less does not", "[reasons]") {
    for (const std::int64_t price : {91, 90}) {
        on_every_scope([&](TradingDesk& desk, const Scope& scope, const std::string&) {
            desk.limit(scope, &Limits::daily_loss, money(100));
            desk.hold(10, 100);
            desk.hold(-10, price);
            CHECK(desk.state_of(scope) == (price == 90 ? TradingState::reducing_only : TradingState::active));
        });
    }
}

namespace {

/// The row of one instrument whose mark a scope's value follows.
Scope marked_row(const Scope& scope) {
    switch (scope.kind) {
        case ScopeKind::account:
        case ScopeKind::account_instrument: return kAccountEs;
        case ScopeKind::strategy:
        case ScopeKind::strategy_instrument: return kStrategyEs;
        default: return scopes_of_s1()[3];
    }
}

// ---- what a review found ---------------------------------------------------------------------------------

TEST_CASE("a second request of the same resume cannot be approved once the scope was halted anew", "[reasons]") {
    SharedConfig config = desk_config();
    config.four_eyes = true;
    TradingDesk desk(config);
    REQUIRE(desk.halt(kFirm, TradingState::halted).taken());
    const Verdict first = desk.registry.resume(desk.person(1), kFirm, TradingState::active);
    const Verdict second = desk.registry.resume(desk.person(1), kFirm, TradingState::active);
    REQUIRE(desk.registry.approve(desk.person(2), first.request).taken());
    REQUIRE(desk.halt(kFirm, TradingState::halted).taken());
    refuses(desk.registry.approve(desk.person(2), second.request), DenyReason::not_allowed, "firm");
    CHECK(desk.state_of(kFirm) == TradingState::halted);
}

TEST_CASE("requests that were overtaken do not use up the room for new ones", "[reasons][inv-12]") {
    SharedConfig config = desk_config();
    config.four_eyes = true;
    TradingDesk desk(config);
    for (int i = 0; i < 70; ++i) {
        REQUIRE(desk.halt(kFirm, TradingState::halted).taken());
        const Verdict asked = desk.registry.resume(desk.person(1), kFirm, TradingState::active);
        REQUIRE(asked.taken());
    }
}

TEST_CASE("an order that was halted and released again is not sent behind its own cancel", "[reasons]") {
    TradingDesk desk;
    passes(desk.send({}));
    REQUIRE(desk.halt(kFirm, TradingState::halted).taken());
    REQUIRE(desk.registry.resume(desk.person(1), kFirm, TradingState::active).taken());
    refuses(desk.begin_send("O"), DenyReason::halted, "firm");
}

TEST_CASE("prices that come and go all day never use up the books of own orders", "[reasons][inv-12]") {
    SharedConfig config = desk_config();
    config.capacity.orders = 8192;
    config.self_match = SelfMatch::refuse_new;
    TradingDesk desk(config);
    // Each price lies 64 ticks and more from the one before: a new price, and a new node above it.
    for (std::int64_t i = 0; i < 4000; ++i) {
        const std::string id = "P-" + std::to_string(i);
        passes(desk.send({.id = id, .quantity = lots(1), .price = px(100 + 70 * (i % 1999) * (i % 7 + 1))}));
        REQUIRE(desk.tell(EventKind::canceled, id).taken());
    }
    CHECK(desk.registry.state().status->book_overflow == 0);
    passes(desk.send({.id = "S", .side = Side::sell, .quantity = lots(1), .price = px(500)}));
    refuses(desk.send({.id = "B", .quantity = lots(1), .price = px(500)}), DenyReason::self_match, "A1 500 > 500 price");
}

TEST_CASE("a side of a book has room for so many distant prices, and refuses the next", "[reasons]") {
    SharedConfig config = desk_config();
    config.self_match = SelfMatch::refuse_new;
    TradingDesk desk(config);
    Verdict verdict;
    std::int64_t taken = 0;
    for (; taken < 70; ++taken) {
        const std::string id = "D-" + std::to_string(taken);
        verdict = desk.send({.id = id, .quantity = lots(1), .price = px(1 + taken * 262'144)});
        if (!verdict.accepted()) break;
    }
    CHECK(taken == 64);
    CHECK(verdict.reason == DenyReason::capacity);
}

TEST_CASE("a full side of a book keeps nobody from reducing", "[reasons][inv-12]") {
    SharedConfig config = desk_config();
    config.self_match = SelfMatch::refuse_new;
    TradingDesk desk(config);
    desk.hold(-70);
    for (std::int64_t taken = 0; taken < 64; ++taken)
        passes(desk.send({.id = "D-" + std::to_string(taken), .quantity = lots(1), .price = px(1 + taken * 262'144)}));
    passes(desk.send({.id = "R", .quantity = lots(6), .price = px(1 + 64 * 262'144)}));
    CHECK(desk.send({.id = "O", .quantity = lots(1), .price = px(1 + 65 * 262'144)}).reason == DenyReason::capacity);
}

}  // namespace

TEST_CASE("a mark that brings the loss sets the state in the same moment, a tick less does not", "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string& name) {
        desk.hold(10);
        desk.limit(scope, &Limits::daily_loss, money(100));
        passes(desk.registry.marked(desk.person(0), marked_row(scope), px(91)));
        CHECK(desk.state_of(scope) == TradingState::active);
        passes(desk.registry.marked(desk.person(0), marked_row(scope), px(90)));
        CHECK(desk.state_of(scope) == TradingState::reducing_only);
        passes(desk.registry.marked(desk.person(0), marked_row(scope), px(200)));
        refuses(desk.buy("O", 1), DenyReason::reducing_only, name);
    });
}

TEST_CASE("a bust that brings the loss sets the state in the same moment", "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string&) {
        desk.buy("B", 10, 100);
        desk.fill("B", "E1", 10, 100);
        desk.sell("S", 10, 90);
        desk.fill("S", "E2", 10, 110);
        desk.limit(scope, &Limits::drawdown, money(100));
        desk.registry.marked(desk.person(0), marked_row(scope), px(100));
        CHECK(desk.state_of(scope) == TradingState::active);
        desk.bust("S", "E2");
        CHECK(desk.state_of(scope) == TradingState::reducing_only);
    });
}

TEST_CASE("a mark that breaches gross or net warns, or reduces by configuration, and working orders stay", "[reasons]") {
    for (const bool reduces : {false, true})
        for (LimitValue Limits::*limit : {&Limits::max_gross_notional, &Limits::max_net_notional})
            on_every_scope(
                [&](TradingDesk& desk, const Scope& scope, const std::string&) {
                    desk.hold(5);
                    desk.buy("W", 5);
                    desk.limit(scope, limit, money(1050));
                    passes(desk.registry.marked(desk.person(0), marked_row(scope), px(110)));
                    CHECK(desk.state_of(scope) == TradingState::active);
                    passes(desk.registry.marked(desk.person(0), marked_row(scope), px(111)));
                    CHECK(desk.state_of(scope) == (reduces ? TradingState::reducing_only : TradingState::warn));
                    CHECK(desk.view("W").reserved_quantity == lots(5));
                },
                with([&](SharedConfig& config) { config.reduce_on_mark_breach = reduces; }));
}

// ---- batches and the checks that count --------------------------------------------------------------------------------

TEST_CASE("members of a batch see each other in working orders, messages, content, self-match and ids", "[reasons]") {
    const Order first{.id = "B-1"};
    const auto second_of = [&](TradingDesk& desk, const Order& second) {
        const std::vector<Order> both = {first, second};
        const std::vector<Verdict> answers = desk.send_together(both);
        refuses(answers[0], DenyReason::batch_member_denied);
        return answers[1];
    };
    const Order same{.id = "B-2"};
    {
        TradingDesk desk;
        desk.limit(kAccountEs, &Limits::max_working_orders, 1);
        refuses(second_of(desk, same), DenyReason::max_working_orders, "A1/ES 2 > 1 orders");
    }
    {
        TradingDesk desk;
        desk.limit(kAccountEs, &Limits::max_messages, 1);
        refuses(second_of(desk, same), DenyReason::rate_limit, "A1/ES 2 > 1 messages");
    }
    {
        TradingDesk desk;
        desk.limit(kAccountEs, &Limits::max_all_messages, 1);
        desk.limit(kAccountEs, &Limits::cancel_headroom_bps, 0);
        refuses(second_of(desk, same), DenyReason::rate_limit, "A1/ES 2 > 1 messages");
    }
    {
        TradingDesk desk;
        desk.limit(kAccountEs, &Limits::max_same_content, 1);
        refuses(second_of(desk, same), DenyReason::duplicate_content, "A1/ES 2 > 1 orders");
    }
    {
        TradingDesk desk(refusing_self_matches());
        refuses(second_of(desk, {.id = "B-2", .side = Side::sell}), DenyReason::self_match, "A1 100 > 100 price");
    }
    {
        TradingDesk desk;
        refuses(second_of(desk, first), DenyReason::duplicate_order_id);
    }
}

TEST_CASE("a batch that fits is registered by one commit, and counts like its orders", "[reasons]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_messages, 3);
    desk.limit(kFirm, &Limits::max_same_content, 3);
    const std::vector<Order> batch = {{.id = "B-1"}, {.id = "B-2"}};
    for (const Verdict& verdict : desk.send_together(batch)) passes(verdict);
    passes(desk.send({.id = "O-1"}));
    refuses(desk.send({.id = "O-2"}), DenyReason::rate_limit, "firm 4 > 3 messages");
    desk.limit(kFirm, &Limits::max_messages, {LimitValue::Kind::unlimited, 0});
    refuses(desk.send({.id = "O-2"}), DenyReason::duplicate_content, "firm 4 > 3 orders");
}

TEST_CASE("an event and what follows from it are one commit, marked as such, and write no other slot", "[reasons][inv-6]") {
    TradingDesk desk;
    desk.hold(10);
    desk.limit(kAccountEs, &Limits::daily_loss, money(100));
    const core::State& state = desk.registry.state();
    const std::uint64_t first = state.log->committed + 1;
    const layout::Event behind = state.ring_slot(first + 2);
    passes(desk.registry.marked(desk.person(0), kAccountEs, px(90)));
    REQUIRE(state.log->committed == first + 1);
    CHECK(state.ring_slot(first).header.type == layout::EventType::marked);
    CHECK(state.ring_slot(first + 1).header.type == layout::EventType::state_changed);
    constexpr std::uint8_t marks = layout::kBatchMember | layout::kBatchEnd;
    CHECK((state.ring_slot(first).header.flags & marks) == layout::kBatchMember);
    CHECK((state.ring_slot(first + 1).header.flags & marks) == layout::kBatchEnd);
    CHECK(std::memcmp(&behind, &state.ring_slot(first + 2), sizeof behind) == 0);
}

// ---- 12: tables ----------------------------------------------------------------------------------------------------------

TEST_CASE("a full table refuses orders and new ids, never cancels, fills and amends that keep their id", "[reasons]") {
    TradingDesk desk(with([](SharedConfig& config) { config.capacity.orders = 16; }));
    for (int i = 0; i < 15; ++i) passes(desk.buy("O-" + std::to_string(i), 5));
    refuses(desk.buy("O-15", 5), DenyReason::capacity, "16 > 15 slots");
    desk.acked("O-0");
    refuses(desk.amend({.id = "O-0", .quantity = lots(6), .new_id = "O-15"}), DenyReason::capacity, "16 > 15 slots");
    passes(desk.amend({.id = "O-0", .quantity = lots(6)}));
    passes(desk.fill("O-1", "E1", 5));
    passes(desk.cancel("O-2"));
    passes(desk.tell(EventKind::canceled, "O-2"));
    refuses(desk.buy("O-15", 5), DenyReason::capacity, "16 > 15 slots");
}

TEST_CASE("the last sixteenth of the order table is for what reduces: orders, and amends down with a new id",
          "[reasons][inv-12]") {
    TradingDesk desk(with([](SharedConfig& config) { config.capacity.orders = 32; }));
    desk.hold(10);   // by an order of its own
    for (int i = 0; i < 29; ++i) passes(desk.buy("O-" + std::to_string(i), 5));
    refuses(desk.buy("O-30", 5), DenyReason::capacity, "31 > 30 slots");
    refuses(desk.sell("S", 11), DenyReason::capacity, "31 > 30 slots");
    desk.acked("O-0");
    refuses(desk.amend({.id = "O-0", .quantity = lots(6), .new_id = "O-0a"}), DenyReason::capacity, "31 > 30 slots");
    passes(desk.sell("S", 10));
    passes(desk.amend({.id = "O-0", .quantity = lots(4), .new_id = "O-0a"}));
    // Then nobody has room for a new id; what needs none goes on.
    desk.tell(EventKind::replaced, "O-0");
    refuses(desk.amend({.id = "O-0a", .quantity = lots(3), .new_id = "O-0b"}), DenyReason::capacity, "33 > 32 slots");
    passes(desk.amend({.id = "O-0a", .quantity = lots(3)}));
}

TEST_CASE("a batch asks for the room of all its members", "[reasons]") {
    TradingDesk desk(with([](SharedConfig& config) { config.capacity.orders = 16; }));
    for (int i = 0; i < 14; ++i) passes(desk.buy("O-" + std::to_string(i), 5));
    const std::vector<Order> two = {{.id = "B-1"}, {.id = "B-2"}};
    refuses(desk.send_together(two)[1], DenyReason::capacity, "16 > 15 slots");
    passes(desk.send({.id = "B-1"}));
}

TEST_CASE("the last quarter of the execution table is for fills and what reduces: other new orders are refused first",
          "[reasons][inv-12]") {
    TradingDesk desk(with([](SharedConfig& config) { config.capacity.executions = 16; }));
    passes(desk.buy("O", 100));
    for (int i = 0; i < 12; ++i) passes(desk.fill("O", "E" + std::to_string(i), 1));
    passes(desk.buy("O-1", 1));
    passes(desk.fill("O", "E12", 1));
    CHECK(desk.buy("O-2", 1).reason == DenyReason::capacity);
    CHECK(desk.sell("S", 14).reason == DenyReason::capacity);
    passes(desk.sell("S", 13));
    for (int i = 13; i < 16; ++i) CHECK(desk.fill("O", "E" + std::to_string(i), 1).result == Result::ok);
}

TEST_CASE("an amount beyond 64 bits is refused, of one order and of a sum", "[reasons]") {
    TradingDesk desk;
    constexpr std::int64_t most = 92'233'720'368;   // lots; times 100 is the greatest amount of money
    refuses(desk.buy("O-1", most, 101), DenyReason::arithmetic_overflow);
    passes(desk.buy("O-1", most, 100));
    refuses(desk.buy("O-2", 1, 100), DenyReason::arithmetic_overflow, "firm");
    desk.acked("O-1");
    refuses(desk.amend({.id = "O-1", .price = px(101)}), DenyReason::arithmetic_overflow);
    passes(desk.tell(EventKind::canceled, "O-1"));
    passes(desk.buy("O-2", 1, 100));
}

TEST_CASE("a sum beyond 64 bits of amounts that each have room is more than any limit", "[reasons]") {
    TradingDesk desk;
    constexpr std::int64_t large = 60'000'000'000;   // lots; at 100 two thirds of the greatest amount of money
    desk.limit(kFirm, &Limits::max_gross_notional, money(9'000'000'000'000));
    passes(desk.buy("O-1", large, 100));
    CHECK(desk.sell("O-2", large, 100).reason == DenyReason::max_gross_notional);
}

TEST_CASE("a quantity beyond 64 bits is refused, of orders that are worth nothing, too", "[reasons]") {
    for (const Side side : {Side::buy, Side::sell}) {
        TradingDesk desk;
        constexpr std::int64_t most = 92'233'720'368;
        passes(desk.send({.id = "O-1", .side = side, .quantity = lots(most), .price = px(0)}));
        refuses(desk.send({.id = "O-2", .side = side, .quantity = lots(1), .price = px(0)}), DenyReason::arithmetic_overflow,
                "firm");
    }
}

TEST_CASE("a position beyond 64 bits is held to be full, and no order may add to it", "[reasons]") {
    TradingDesk desk;
    constexpr Quantity most{9'223'372'036'854'775'807};
    const auto strange = [&](std::string_view exec_id) {
        return desk.tell({.kind = EventKind::filled,
                          .id = exec_id,
                          .exec_id = exec_id,
                          .price = px(0),
                          .quantity = most,
                          .instrument = kEs,
                          .side = Side::buy});
    };
    strange("E-1");
    CHECK((desk.row(kFirm).flags & layout::kRowSaturated) == 0);
    CHECK(desk.row(kFirm).position == most.value);
    strange("E-2");
    CHECK((desk.row(kFirm).flags & layout::kRowSaturated) != 0);
    CHECK(desk.row(kFirm).position == most.value);
    refuses(desk.buy("O", 1), DenyReason::halted, "firm");
}

TEST_CASE("a market order whose price of reservation is beyond 64 bits is refused", "[reasons]") {
    TradingDesk desk;
    desk.reference(9'200'000'000);
    refuses(desk.send({.id = "M", .quantity = lots(1), .price = std::nullopt, .type = OrderType::market}),
            DenyReason::arithmetic_overflow);
    CHECK(desk.registry.state().log->next_order == 0);
}

TEST_CASE("a live market order whose price of reservation is beyond 64 bits is not taken over", "[reasons]") {
    TradingDesk desk;
    desk.reference(9'200'000'000);
    const Order live{.id = "M", .quantity = lots(1), .price = std::nullopt, .type = OrderType::market};
    CHECK(desk.registry.load_order(desk.person(0), kS1, live.request()).reason == DenyReason::arithmetic_overflow);
    CHECK(desk.registry.state().log->next_order == 0);
}

TEST_CASE("an order that leaves the net value as large as it is passes, however low the limit has become", "[reasons]") {
    TradingDesk desk;
    desk.hold(5);
    desk.limit(kFirm, &Limits::max_net_notional, money(400));
    refuses(desk.sell("O-1", 11), DenyReason::max_net_notional, "firm 600 > 400 money");
    passes(desk.sell("O-2", 10));
}

TEST_CASE("by the worst case a batch that brings the first price counts what worked before without one", "[reasons]") {
    TradingDesk desk(with([](SharedConfig& config) { config.gross_method = GrossMethod::worst_case; }));
    passes(desk.buy("A", 10));
    desk.reference(100);
    const std::array orders = {Order{.id = "B", .quantity = lots(1)}, Order{.id = "C", .quantity = lots(2)}};
    for (const Verdict& verdict : desk.send_together(orders)) passes(verdict);
    CHECK(desk.registry.state().rows_risk[desk.registry.state().geometry.firm_row()].value.newest().gross_value == money(1300));
}

TEST_CASE("the event of a refusal says what was asked and what was answered", "[reasons]") {
    TradingDesk desk;
    desk.limit(kAccountEs, &Limits::max_order_quantity, lots(10).value);
    const Order asked{.id = "O-1", .side = Side::sell, .quantity = lots(11), .tif = TimeInForce::ioc};
    const core::NewOrder order = core::prepare(desk.registry.state(), desk.by(kSessionS1), asked.request());
    core::Decision decision;
    core::decide_register(desk.registry.state(), desk.by(kSessionS1), order, nullptr, decision);
    REQUIRE(core::perform_refusal(core::Exclusive::alone(desk.registry.state()), desk.by(kSessionS1),
                                  layout::EventType::registered, order, decision, true));

    const core::State& state = desk.registry.state();
    const layout::Event& event = state.ring_slot(state.log->committed);
    CHECK(event.header.type == layout::EventType::denied);
    CHECK(event.header.time_ns == desk.now);
    CHECK(event.header.account == 0);
    CHECK(event.header.strategy == 0);
    CHECK(event.header.instrument == 0);
    CHECK(event.header.session == kSessionS1);
    CHECK(event.header.result == Result::denied);
    CHECK(event.header.side == Side::sell);
    const layout::DeniedEvent& denied = event.denied;
    CHECK(denied.id.view() == "O-1");
    CHECK(denied.observed == lots(11).value);
    CHECK(denied.limit == lots(10).value);
    CHECK(denied.price == px(100).value);
    CHECK(denied.quantity == lots(11).value);
    CHECK(denied.reason == DenyReason::max_order_quantity);
    CHECK(denied.unit == Unit::quantity);
    CHECK(denied.scope == ScopeKind::account_instrument);
    CHECK(denied.request == layout::EventType::registered);
    CHECK(denied.order_type == OrderType::limit);
    CHECK(denied.tif == TimeInForce::ioc);
}

TEST_CASE("a row whose value no longer fits refuses by its limits on values, until then it does not", "[reasons]") {
    on_every_scope([](TradingDesk& desk, const Scope& scope, const std::string& name) {
        desk.hold(2000, 0);
        desk.limit(scope, &Limits::max_gross_notional, money(9'000'000'000'000));
        passes(desk.buy("O-1", 1));
        passes(desk.registry.marked(desk.person(0), marked_row(scope), px(9'000'000'000)));
        refuses(desk.buy("O-2", 1), DenyReason::arithmetic_overflow, name);
    });
    TradingDesk loaded;
    passes(loaded.registry.load_position(loaded.person(0), kA1, kS1, kEs, lots(2000), px(9'000'000'000)));
    loaded.limit(kFirm, &Limits::max_open_notional, money(1000));
    passes(loaded.buy("O-1", 1));
    loaded.limit(kFirm, &Limits::max_traded_notional, money(1000));
    refuses(loaded.buy("O-2", 1), DenyReason::arithmetic_overflow, "firm");
}

// ---- requests about an order (12) and control ------------------------------------------------------------------------------

TEST_CASE("a request names an order that exists and lives", "[reasons]") {
    TradingDesk desk;
    refuses(desk.cancel("nobody"), DenyReason::unknown_order);
    refuses(desk.amend({.id = "nobody"}), DenyReason::unknown_order);
    desk.buy("O", 5);
    desk.acked("O");
    desk.tell(EventKind::canceled, "O");
    refuses(desk.cancel("O"), DenyReason::terminal);
    refuses(desk.amend({.quantity = lots(6)}), DenyReason::terminal);
    refuses(desk.begin_send("O"), DenyReason::terminal);
    refuses(desk.begin_send("nobody"), DenyReason::unknown_order);
}

TEST_CASE("an amend waits for the answer to what was asked before", "[reasons]") {
    TradingDesk desk;
    desk.buy("O", 5);
    refuses(desk.amend({.quantity = lots(6)}), DenyReason::not_acknowledged);
    desk.acked("O");
    passes(desk.amend({.quantity = lots(6)}));
    refuses(desk.amend({.quantity = lots(7)}), DenyReason::pending_replace);
    desk.tell(EventKind::replaced, "O");
    passes(desk.cancel("O"));
    refuses(desk.amend({.quantity = lots(7)}), DenyReason::pending_cancel);
    desk.tell(EventKind::cancel_rejected, "O");
    passes(desk.amend({.quantity = lots(7)}));
}

TEST_CASE("an amend of another version than the present one is refused", "[reasons]") {
    TradingDesk desk;
    desk.buy("O", 5);
    desk.acked("O");
    refuses(desk.amend({.quantity = lots(6), .version = 2}), DenyReason::version_mismatch, "1 > 2 version");
    passes(desk.amend({.quantity = lots(6), .version = 1}));
    desk.tell(EventKind::replaced, "O");
    refuses(desk.amend({.quantity = lots(7), .version = 1}), DenyReason::version_mismatch, "2 > 1 version");
    passes(desk.amend({.quantity = lots(7), .version = 2}));
}

TEST_CASE("only the owner amends, aborts and sends", "[reasons]") {
    TradingDesk desk;
    desk.buy("O", 5);
    refuses(desk.abort("O", kSessionS2), DenyReason::not_owner);
    refuses(desk.begin_send("O", kSessionS2), DenyReason::not_owner);
    desk.acked("O");
    refuses(desk.amend({.quantity = lots(6), .session = kSessionS2}), DenyReason::not_owner);
    passes(desk.amend({.quantity = lots(6)}));
}

TEST_CASE("an amend asks for no less than what is filled", "[reasons]") {
    TradingDesk desk;
    desk.buy("O", 5);
    desk.fill("O", "E1", 4);
    refuses(desk.amend({.quantity = lots(3)}), DenyReason::below_cum, "3 > 4 quantity");
    passes(desk.amend({.quantity = lots(4)}));
}

TEST_CASE("a trigger is not amended", "[reasons]") {
    TradingDesk desk;
    desk.send({.type = OrderType::stop_limit, .stop_price = px(90)});
    desk.acked("O");
    refuses(desk.amend({.stop_price = px(91)}), DenyReason::field_not_amendable);
    passes(desk.amend({.quantity = lots(9), .stop_price = px(90)}));
    desk.buy("L", 5);
    desk.acked("L");
    refuses(desk.amend({.id = "L", .stop_price = px(90)}), DenyReason::field_not_amendable);
}

TEST_CASE("an abort after the venue has answered is not allowed", "[reasons]") {
    TradingDesk desk;
    desk.buy("O", 5);
    desk.acked("O");
    refuses(desk.abort("O"), DenyReason::not_allowed);
    desk.buy("O-2", 5);
    passes(desk.abort("O-2"));
    refuses(desk.abort("O-2"), DenyReason::terminal);
}

TEST_CASE("limits that make no sense are refused and change nothing", "[reasons]") {
    TradingDesk desk;
    refuses(desk.limit(kFirm, &Limits::max_long, -1), DenyReason::invalid_field, "firm");
    refuses(desk.limit(kFirm, &Limits::window_ms, {LimitValue::Kind::unlimited, 0}), DenyReason::invalid_field, "firm");
    refuses(desk.limit(kFirm, &Limits::window_ms, 0), DenyReason::invalid_field, "firm");
    refuses(desk.limit(kFirm, &Limits::cancel_headroom_bps, 10'001), DenyReason::invalid_field, "firm");
    passes(desk.limit(kFirm, &Limits::cancel_headroom_bps, 10'000));
    passes(desk.buy("O", 1));
}
