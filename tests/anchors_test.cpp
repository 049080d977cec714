// The mistakes that other systems make at this job, and what this one does instead. Each test is named by the mistake that it
// rules out, put positively. In the order of the life of an order: check, limits, throttles, states, amends, reports, deaths.
// Further ones are shown elsewhere: races for one limit in processes_test, restarts in recovery_rounds_test.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "support/child.hpp"
#include "support/cli.hpp"
#include "support/desk.hpp"
#include "support/temp_registry.hpp"

using namespace riskreg;
using namespace riskreg::test;

namespace {

template <class Change>
SharedConfig with(Change change) {
    SharedConfig config = desk_config();
    change(config);
    return config;
}

Order market(std::string_view id, std::int64_t count, Side side = Side::buy) {
    return {.id = id, .side = side, .quantity = lots(count), .price = std::nullopt, .type = OrderType::market};
}

}  // namespace

// ---- what cannot be judged is refused ------------------------------------------------------------------

TEST_CASE("a market order is not waved through because it has no price", "[anchors][inv-12]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_order_notional, money(1000));
    CHECK(text_of(desk.send(market("M-1", 1))) == "denied reference_price_unknown");
    desk.reference(100);
    // Reserved at the reference and 5 % slippage: 9 are worth 945, 10 would be 1050.
    CHECK(text_of(desk.send(market("M-1", 10))) == "denied max_order_notional firm 1050 > 1000 money");
    CHECK(desk.send(market("M-1", 9)).accepted());
    CHECK(desk.view("M-1").reserved_notional.value == money(945));
}

TEST_CASE("a price written on a market order does not stand in for its value", "[anchors][inv-12]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_order_notional, money(1000));
    desk.reference(100);
    Order order = market("M-1", 10);
    order.price = px(1);
    CHECK(text_of(desk.send(order)) == "denied max_order_notional firm 1050 > 1000 money");
}

TEST_CASE("no limit is not the same as unlimited", "[anchors][inv-12]") {
    TradingDesk desk(with([](SharedConfig& config) { config.require_limits = true; }));
    CHECK(desk.buy("O", 1).reason == DenyReason::no_limit_set);
    const LimitValue unlimited{LimitValue::Kind::unlimited, 0};
    desk.limit(kFirm, &Limits::max_order_quantity, unlimited);
    desk.limit(kFirm, &Limits::max_long, unlimited);
    CHECK(desk.buy("O", 1).accepted());
}

TEST_CASE("a limit of zero is a limit, not the absence of one", "[anchors][inv-12]") {
    TradingDesk desk;
    desk.limit(kAccountEs, &Limits::max_short, 0);
    CHECK(text_of(desk.sell("O", 1)) == "denied max_short A1/ES 1 > 0 quantity");
}

TEST_CASE("an order beyond the maximum is refused and not split", "[anchors]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_order_quantity, lots(10).value);
    CHECK(desk.buy("O", 11).reason == DenyReason::max_order_quantity);
    CHECK(desk.row(kFirm).working_buy == 0);
}

// ---- in flight is working --------------------------------------------------------------------------------

TEST_CASE("a burst before the first ack does not slip past the number of working orders", "[anchors][inv-7]") {
    TradingDesk desk;
    desk.limit(kAccountEs, &Limits::max_working_orders, 5);
    int accepted = 0;
    for (int i = 0; i < 50; ++i) accepted += desk.buy("O-" + std::to_string(i), 1).accepted() ? 1 : 0;
    CHECK(accepted == 5);
}

TEST_CASE("orders in flight count in the worst position before any answer of the venue", "[anchors][inv-7]") {
    TradingDesk desk;
    desk.limit(kAccountEs, &Limits::max_long, lots(10).value);
    CHECK(desk.buy("O-1", 10).accepted());
    CHECK(desk.buy("O-2", 1).reason == DenyReason::max_long);
}

TEST_CASE("the two sides do not net in a reservation", "[anchors][inv-7]") {
    TradingDesk desk;
    desk.limit(kAccountEs, &Limits::max_long, lots(10).value);
    desk.limit(kAccountEs, &Limits::max_open_notional, money(1500));
    CHECK(desk.buy("B-1", 10).accepted());
    CHECK(desk.sell("S-1", 5).accepted());
    CHECK(text_of(desk.buy("B-2", 1)) == "denied max_long A1/ES 11 > 10 quantity");
    CHECK(text_of(desk.sell("S-2", 1)) == "denied max_open_notional A1/ES 1600 > 1500 money");
}

TEST_CASE("an own order in flight is seen by self-match before it is acknowledged", "[anchors]") {
    TradingDesk desk(with([](SharedConfig& config) { config.self_match = SelfMatch::refuse_new; }));
    CHECK(desk.send({.id = "S", .side = Side::sell, .session = kSessionS2}).accepted());
    CHECK(desk.view("S").base == OrderBase::pending_new);
    CHECK(desk.buy("B", 1).reason == DenyReason::self_match);
}

TEST_CASE("a self-match is refused before the trade, and no symbol is locked for it", "[anchors]") {
    TradingDesk desk(with([](SharedConfig& config) { config.self_match = SelfMatch::refuse_new; }));
    desk.sell("S", 5);
    CHECK(desk.buy("B", 1).reason == DenyReason::self_match);
    CHECK(desk.buy("B", 1, 99).accepted());
    CHECK(desk.cancel("S").result == Result::ok);
}

TEST_CASE("a cancel that is on its way frees nothing: the order may still be filled", "[anchors][inv-7]") {
    TradingDesk desk;
    desk.limit(kAccountEs, &Limits::max_long, lots(10).value);
    desk.buy("O", 10);
    desk.acked("O");
    desk.cancel("O");
    CHECK(desk.buy("O-2", 1).reason == DenyReason::max_long);
    CHECK(desk.fill("O", "E1", 10).result == Result::ok);
    CHECK(desk.position() == 10);
}

// ---- throttles and duplicates ----------------------------------------------------------------------------------

TEST_CASE("the throttle is not off by one", "[anchors]") {
    for (const std::int64_t limit : {1, 2, 10}) {
        TradingDesk desk;
        desk.limit(kFirm, &Limits::max_messages, limit);
        int accepted = 0;
        for (int i = 0; i < 20; ++i) accepted += desk.buy("O-" + std::to_string(i), 1).accepted() ? 1 : 0;
        CHECK(accepted == limit);
    }
}

TEST_CASE("the throttle window slides: two bursts around the edge of a second do not both pass", "[anchors]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_messages, 10);
    const auto burst = [&](const std::string& prefix) {
        int accepted = 0;
        for (int i = 0; i < 10; ++i) accepted += desk.buy(prefix + std::to_string(i), 1).accepted() ? 1 : 0;
        return accepted;
    };
    desk.now += kSecond - kMillisecond;
    CHECK(burst("A") == 10);
    desk.now += 2 * kMillisecond;
    CHECK(burst("B") == 0);
    desk.now += kSecond;
    CHECK(burst("C") == 10);
}

TEST_CASE("a full throttle holds up no cancel and no amend that reduces", "[anchors][inv-12]") {
    TradingDesk desk;
    desk.buy("O", 5);
    desk.acked("O");
    desk.limit(kFirm, &Limits::max_messages, 0);
    desk.limit(kFirm, &Limits::max_all_messages, 0);
    CHECK(desk.buy("O-2", 1).reason == DenyReason::rate_limit);
    CHECK(desk.amend({.quantity = lots(4)}).result == Result::ok);
    CHECK(desk.tell(EventKind::replaced, "O").result == Result::ok);
    CHECK(desk.cancel("O").result == Result::ok);
}

TEST_CASE("an immediate order that the venue cancels is no cancel of ours", "[anchors]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_all_messages, 3);
    desk.limit(kFirm, &Limits::cancel_headroom_bps, 0);
    for (const std::string_view id : {"O-1", "O-2"}) {
        CHECK(desk.send({.id = id, .tif = TimeInForce::fok}).accepted());
        desk.tell(EventKind::canceled, id);
    }
    CHECK(desk.send({.id = "O-3", .tif = TimeInForce::fok}).accepted());
    CHECK(desk.send({.id = "O-4", .tif = TimeInForce::fok}).reason == DenyReason::rate_limit);
}

TEST_CASE("refused orders do not count as duplicates of one another", "[anchors]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_same_content, 1);
    desk.limit(kFirm, &Limits::max_long, 0);
    for (int i = 0; i < 5; ++i) CHECK(desk.buy("O", 5).reason == DenyReason::max_long);
    desk.limit(kFirm, &Limits::max_long, lots(100).value);
    CHECK(desk.buy("O", 5).accepted());
}

TEST_CASE("cancelling the first order does not clear the window of equal content", "[anchors]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_same_content, 1);
    const std::int64_t first = desk.now;
    CHECK(desk.buy("O-1", 5).accepted());
    desk.tell(EventKind::canceled, "O-1");
    CHECK(desk.buy("O-2", 5).reason == DenyReason::duplicate_content);
    desk.now = first + kSecond;
    CHECK(desk.buy("O-2", 5).accepted());
}

TEST_CASE("the count of equal content does not grow for ever: what is older than the window is forgotten", "[anchors]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_same_content, 2);
    for (int i = 0; i < 50; ++i) {
        CHECK(desk.buy("O-" + std::to_string(i), 5).accepted());
        desk.now += kSecond / 2;
    }
}

TEST_CASE("a loop that is refused all the time runs into the throttle", "[anchors]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_long, 0);
    desk.limit(kFirm, &Limits::max_messages, 3);
    for (int i = 0; i < 3; ++i) CHECK(desk.buy("O", 1).reason == DenyReason::max_long);
    CHECK(desk.buy("O", 1).reason == DenyReason::rate_limit);
}

TEST_CASE("executions of one direction halt what repeats itself at the first one too many, until someone releases it",
          "[anchors]") {
    for (const Scope& scope : scopes_of_s1()) {
        TradingDesk desk;
        desk.limit(scope, &Limits::max_same_direction, 3);
        desk.buy("O", 100);
        for (const std::string_view exec : {"E1", "E2", "E3"}) desk.fill("O", exec, 1);
        CHECK(desk.state_of(kStrategyEs) == TradingState::active);
        SECTION("within the window " + text_of(scope)) {
            CHECK(desk.fill("O", "E4", 1).result == Result::ok);
            CHECK(text_of(desk.buy("O-2", 1)) == "denied halted s1/ES");
            desk.now += 3600 * kSecond;
            CHECK(text_of(desk.buy("O-2", 1)) == "denied halted s1/ES");
            CHECK(desk.send({.id = "O-3", .session = kSessionS2}).accepted());
            desk.registry.resume(desk.person(0), kStrategyEs, TradingState::active);
            CHECK(desk.buy("O-2", 1).accepted());
        }
        SECTION("one window after the first " + text_of(scope)) {
            desk.now += kSecond;
            desk.fill("O", "E4", 1);
            CHECK(desk.state_of(kStrategyEs) == TradingState::active);
        }
        SECTION("of the other direction, or once more " + text_of(scope)) {
            desk.fill("O", "E3", 1);
            desk.sell("S", 1);
            desk.fill("S", "E5", 1);
            CHECK(desk.state_of(kStrategyEs) == TradingState::active);
        }
    }
}

TEST_CASE("a storm of rejects by the venue halts its strategy on that instrument at the first one too many", "[anchors]") {
    for (const Scope& scope : scopes_of_s1()) {
        TradingDesk desk;
        desk.limit(scope, &Limits::max_rejects, 2);
        const auto rejected = [&](const std::string& id) {
            desk.buy(id, 1);
            desk.tell(EventKind::rejected, id);
        };
        rejected("O-1");
        rejected("O-2");
        desk.tell(EventKind::rejected, "O-2");
        CHECK(desk.state_of(kStrategyEs) == TradingState::active);
        rejected("O-3");
        CHECK(desk.state_of(kStrategyEs) == TradingState::halted);
        CHECK(desk.send({.id = "N", .instrument = kNq}).accepted());
    }
}

// ---- states ------------------------------------------------------------------------------------------------------

TEST_CASE("reducing is judged by size and not by the sign alone: a position cannot be flipped", "[anchors]") {
    TradingDesk desk;
    desk.hold(10);
    desk.halt(kFirm, TradingState::reducing_only);
    CHECK(desk.sell("O-1", 11).reason == DenyReason::reducing_only);
    CHECK(desk.sell("O-1", 20).reason == DenyReason::reducing_only);
    CHECK(desk.sell("O-1", 10).accepted());
}

TEST_CASE("several reducing orders together do not flip a position either", "[anchors]") {
    TradingDesk desk;
    desk.hold(10);
    desk.halt(kFirm, TradingState::reducing_only);
    CHECK(desk.sell("O-1", 6).accepted());
    CHECK(desk.sell("O-2", 5).reason == DenyReason::reducing_only);
    CHECK(desk.sell("O-2", 4).accepted());
    desk.acked("O-2");
    CHECK(desk.amend({.id = "O-2", .quantity = lots(5)}).reason == DenyReason::reducing_only);
}

TEST_CASE("what is restricted can still be cancelled, reduced in size and filled", "[anchors][inv-12]") {
    TradingDesk desk;
    desk.buy("O", 5);
    desk.acked("O");
    desk.registry.restrict(desk.person(0), scopes_of_s1()[3], {});
    CHECK(desk.buy("O-2", 1).reason == DenyReason::restricted);
    CHECK(desk.amend({.quantity = lots(4)}).result == Result::ok);
    CHECK(desk.tell(EventKind::replaced, "O").result == Result::ok);
    CHECK(desk.fill("O", "E1", 1).result == Result::ok);
    CHECK(desk.cancel("O").result == Result::ok);
}

TEST_CASE("the restricted list changes on the running registry, and an entry taken off holds no more", "[anchors]") {
    TradingDesk desk;
    CHECK(desk.buy("O-1", 1).accepted());
    Restriction entry;
    desk.registry.restrict(desk.person(0), kAccountEs, entry);
    CHECK(desk.buy("O-2", 1).reason == DenyReason::restricted);
    entry.buy = entry.sell = false;
    CHECK(desk.registry.restrict(desk.person(0), kAccountEs, entry).result == Result::ok);
    CHECK(desk.buy("O-2", 1).accepted());
}

TEST_CASE("without any reference price orders can still be cancelled and reduced", "[anchors][inv-12]") {
    TradingDesk desk(with([](SharedConfig& config) {
        config.allow_limit_without_reference = false;
        config.instruments[0].collar_ticks = 10;
    }));
    desk.reference(100);
    desk.buy("O", 5);
    desk.acked("O");
    desk.now += 3600 * kSecond;
    CHECK(desk.buy("O-2", 1).reason == DenyReason::reference_price_stale);
    CHECK(desk.amend({.quantity = lots(4)}).result == Result::ok);
    CHECK(desk.tell(EventKind::replaced, "O").result == Result::ok);
    CHECK(desk.cancel("O").result == Result::ok);
}

TEST_CASE("a loss stops what increases, leaves the way out open, and does not end with the loss", "[anchors]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::daily_loss, money(100));
    desk.hold(20);
    desk.hold(-10, 90);
    CHECK(desk.state_of(kFirm) == TradingState::reducing_only);
    CHECK(text_of(desk.buy("O-1", 1)) == "denied reducing_only firm");
    desk.hold(-10, 200);
    CHECK(text_of(desk.buy("O-1", 1)) == "denied reducing_only firm");
}

TEST_CASE("one person alone does not resume under four eyes", "[anchors]") {
    TradingDesk desk(with([](SharedConfig& config) { config.four_eyes = true; }));
    desk.registry.halt(desk.person(1), kFirm, TradingState::halted);
    const Verdict asked = desk.registry.resume(desk.person(1), kFirm, TradingState::active);
    CHECK(asked.result == Result::ok);
    REQUIRE(asked.request != 0);
    CHECK(desk.buy("O", 1).reason == DenyReason::halted);
    CHECK(text_of(desk.registry.approve(desk.person(1), asked.request)) == "denied not_allowed firm");
    CHECK(text_of(desk.registry.approve(desk.person(2), asked.request + 1)) == "denied invalid_field");
    CHECK(desk.buy("O", 1).reason == DenyReason::halted);
    CHECK(desk.registry.approve(desk.person(2), asked.request).result == Result::ok);
    CHECK(desk.buy("O", 1).accepted());
    CHECK(text_of(desk.registry.approve(desk.person(2), asked.request)) == "denied invalid_field");
}

TEST_CASE("four eyes hold for the release of an unreconciled firm, and never delay a halt", "[anchors]") {
    TradingDesk desk(with([](SharedConfig& config) { config.four_eyes = true; }));
    desk.unreconcile();
    const Verdict asked = desk.registry.release_unreconciled(desk.person(1));
    CHECK(text_of(desk.buy("O", 1)) == "denied unreconciled firm");
    CHECK(desk.registry.approve(desk.person(2), asked.request).result == Result::ok);
    CHECK(desk.buy("O", 1).accepted());
    CHECK(desk.registry.halt(desk.person(1), kFirm, TradingState::halted).result == Result::ok);
    CHECK(text_of(desk.buy("O-2", 1)) == "denied halted firm");
}

TEST_CASE("a limit that another strategy uses up is used up for all of them", "[anchors][inv-7]") {
    TradingDesk desk;
    desk.limit(scopes_of_s1()[1], &Limits::max_gross_notional, money(1000));
    CHECK(desk.send({.id = "O-1", .quantity = lots(6)}).accepted());
    CHECK(text_of(desk.send({.id = "O-2", .quantity = lots(5), .instrument = kNq, .session = kSessionS2})) ==
          "denied max_gross_notional A1 1100 > 1000 money");
    CHECK(desk.send({.id = "O-2", .quantity = lots(4), .instrument = kNq, .session = kSessionS2}).accepted());
}

// ---- amends --------------------------------------------------------------------------------------------------------

TEST_CASE("an amend is checked like a new order, by what it adds", "[anchors][inv-7]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_order_notional, money(1000));
    desk.limit(kFirm, &Limits::max_open_notional, money(1200));
    desk.buy("O", 5);
    desk.buy("O-2", 5);
    desk.acked("O");
    CHECK(text_of(desk.amend({.quantity = lots(11)})) == "denied max_order_notional firm 1100 > 1000 money");
    CHECK(text_of(desk.amend({.quantity = lots(8)})) == "denied max_open_notional firm 1300 > 1200 money");
    CHECK(desk.amend({.quantity = lots(7)}).result == Result::ok);
}

TEST_CASE("a pending replacement is not counted twice: the greater of both is reserved", "[anchors][inv-4]") {
    TradingDesk desk;
    desk.limit(kAccountEs, &Limits::max_long, lots(12).value);
    desk.buy("O", 10);
    desk.acked("O");
    CHECK(desk.amend({.quantity = lots(12), .price = px(101)}).result == Result::ok);
    CHECK(desk.row(kAccountEs).open_buy_quantity == lots(12).value);
    CHECK(desk.row(kAccountEs).open_buy_notional == money(1212));
    CHECK(desk.row(kAccountEs).working_buy == 1);
}

TEST_CASE("a decrease gives nothing back before the venue has confirmed it", "[anchors][inv-4]") {
    TradingDesk desk;
    desk.limit(kAccountEs, &Limits::max_long, lots(10).value);
    desk.buy("O", 10);
    desk.acked("O");
    desk.amend({.quantity = lots(4)});
    CHECK(desk.buy("O-2", 1).reason == DenyReason::max_long);
    // The race: everything is filled before the venue sees the replacement.
    CHECK(desk.fill("O", "E1", 10).status == OrderStatus::filled);
    CHECK(desk.position() == 10);
}

TEST_CASE("a rejected amend leaves the original order as it was", "[anchors]") {
    TradingDesk desk;
    desk.buy("O", 10);
    desk.acked("O");
    desk.fill("O", "E1", 3);
    const OrderView before = desk.view("O");
    desk.amend({.quantity = lots(20), .price = px(105), .new_id = "O-2"});
    CHECK(desk.after(desk.tell(EventKind::replace_rejected, "O-2")) ==
          "ok partially_filled cum 3 leaves 7 reserved 7 position 3");
    const OrderView after = desk.view("O");
    CHECK(after.price == before.price);
    CHECK(after.quantity == before.quantity);
    CHECK(after.reserved_notional == before.reserved_notional);
    CHECK(after.version == before.version);
    CHECK(desk.fill("O", "E2", 7).status == OrderStatus::filled);
}

TEST_CASE("a refused amend leaves the original order as it was", "[anchors]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_order_quantity, lots(10).value);
    desk.buy("O", 10);
    desk.acked("O");
    CHECK(desk.after(desk.amend({.quantity = lots(11)})) ==
          "denied max_order_quantity: new cum 0 leaves 10 reserved 10 position 0");
}

TEST_CASE("a fill that crosses a replacement is taken from both, and nothing is overfilled by it", "[anchors][inv-4]") {
    TradingDesk desk;
    desk.buy("O", 10);
    desk.acked("O");
    desk.amend({.quantity = lots(15)});
    desk.fill("O", "E1", 6);
    CHECK(desk.view("O").reserved_quantity == lots(9));
    CHECK(desk.after(desk.tell(EventKind::replaced, "O")) == "ok partially_filled cum 6 leaves 9 reserved 9 position 6");
}

// ---- what the venue reports -------------------------------------------------------------------------------------------

TEST_CASE("a late fill is booked, whatever the order's end was", "[anchors][inv-8]") {
    for (const EventKind end : {EventKind::canceled, EventKind::expired, EventKind::done_for_day, EventKind::rejected}) {
        TradingDesk desk;
        desk.buy("O", 10);
        desk.tell(end, "O");
        CHECK(desk.fill("O", "E1", 4).result == Result::anomaly);
        CHECK(desk.position() == 4);
    }
}

TEST_CASE("a fill of an order that we hold as aborted is booked and the order lives again", "[anchors][inv-8]") {
    TradingDesk desk;
    desk.buy("O", 10);
    desk.abort("O");
    CHECK(desk.after(desk.fill("O", "E1", 4)) == "anomaly partially_filled cum 4 leaves 6 reserved 6 position 4 contradiction");
}

TEST_CASE("an overfill is booked in full and trading goes on", "[anchors][inv-8]") {
    TradingDesk desk;
    desk.buy("O", 10);
    CHECK(desk.after(desk.fill("O", "E1", 13)) == "anomaly filled cum 13 leaves 0 reserved 0 position 13 overfill");
    CHECK(desk.buy("O-2", 1).accepted());
}

TEST_CASE("an execution that is reported twice is booked once", "[anchors][inv-8]") {
    TradingDesk desk;
    desk.buy("O", 10);
    desk.fill("O", "E1", 4);
    for (int i = 0; i < 3; ++i) CHECK(desk.fill("O", "E1", 4).result == Result::duplicate);
    CHECK(desk.position() == 4);
}

TEST_CASE("a repeated execution does not hide the end of its order", "[anchors][inv-8]") {
    TradingDesk desk;
    desk.buy("O", 10);
    desk.fill("O", "E1", 4);
    CHECK(desk.fill("O", "E1", 4).result == Result::duplicate);
    CHECK(desk.after(desk.tell(EventKind::canceled, "O")) == "ok canceled cum 4 leaves 0 reserved 0 position 4");
}

TEST_CASE("a busted trade leaves the position, and what it stands for can be traded again", "[anchors][inv-8]") {
    TradingDesk desk;
    desk.limit(kAccountEs, &Limits::max_long, lots(10).value);
    desk.buy("O", 10);
    desk.fill("O", "E1", 10);
    CHECK(desk.bust("O", "E1").result == Result::ok);
    CHECK(desk.position() == 0);
    CHECK(desk.bust("O", "E1").result == Result::duplicate);
    CHECK(desk.position() == 0);
    CHECK(desk.buy("O-2", 10).accepted());
}

TEST_CASE("an order without an answer stays reserved: silence is not a reject", "[anchors][inv-7]") {
    TradingDesk desk;
    desk.limit(kAccountEs, &Limits::max_long, lots(10).value);
    desk.buy("O", 10);
    for (int i = 0; i < 10; ++i) {
        desk.now += 5 * kSecond;
        desk.tell(EventKind::timed_out, "O");
    }
    CHECK((desk.view("O").flags & kUnknown) != 0);
    CHECK(desk.view("O").base == OrderBase::pending_new);
    CHECK(desk.buy("O-2", 1).reason == DenyReason::max_long);
    CHECK(desk.fill("O", "E1", 10).result == Result::ok);
    CHECK(desk.position() == 10);
}

TEST_CASE("a cancel refused as unknown by the venue frees nothing", "[anchors][inv-7]") {
    TradingDesk desk;
    desk.buy("O", 10);
    desk.cancel("O");
    const Verdict verdict = desk.tell({.kind = EventKind::cancel_rejected, .venue_knows_no_such_order = true});
    CHECK(desk.after(verdict) == "ok pending_new cum 0 leaves 10 reserved 10 position 0 unknown");
}

TEST_CASE("a refused cancel brings the state back that the order had before", "[anchors]") {
    TradingDesk desk;
    desk.buy("O", 10);
    desk.acked("O");
    desk.fill("O", "E1", 4);
    desk.cancel("O");
    CHECK(desk.view("O").status == OrderStatus::pending_cancel);
    desk.tell(EventKind::cancel_rejected, "O");
    CHECK(desk.view("O").status == OrderStatus::partially_filled);
}

TEST_CASE("a fill of an order that nobody knows is kept, and moves the position when it says whose it is", "[anchors][inv-8]") {
    TradingDesk desk;
    CHECK(desk.fill("X", "E1", 4).result == Result::quarantined);
    CHECK(desk.position() == 0);
    const Report named{.kind = EventKind::filled,
                       .id = "X",
                       .exec_id = "E2",
                       .price = px(100),
                       .quantity = lots(4),
                       .instrument = kEs,
                       .side = Side::sell};
    CHECK(desk.tell(named).result == Result::quarantined);
    CHECK(desk.position() == -4);
    CHECK(desk.tell(named).result == Result::duplicate);
    CHECK(desk.position() == -4);
    CHECK(desk.row({ScopeKind::strategy, AccountId::none, kS1, InstrumentId::none}).position == 0);
}

TEST_CASE("a fill before the ack is booked as what it is", "[anchors][inv-8]") {
    TradingDesk desk;
    desk.buy("O", 10);
    CHECK(desk.after(desk.fill("O", "E1", 10)) == "ok filled cum 10 leaves 0 reserved 0 position 10");
    CHECK(desk.acked("O").result == Result::ignored_late);
}

TEST_CASE("the venue's higher cumulative quantity keeps that part reserved until its fills arrive", "[anchors][inv-8]") {
    TradingDesk desk;
    desk.buy("O", 10);
    desk.tell({.kind = EventKind::canceled, .cum_quantity = lots(6)});
    CHECK(desk.row(kAccountEs).open_buy_quantity == lots(6).value);
    desk.fill("O", "E1", 6);
    CHECK(desk.row(kAccountEs).open_buy_quantity == 0);
    CHECK(desk.position() == 6);
}

// ---- positions of the start of the day ----------------------------------------------------------------------------------

TEST_CASE("a loaded position counts in limits, and a loaded order is reserved even beyond one", "[anchors]") {
    TradingDesk desk;
    desk.limit(kAccountEs, &Limits::max_long, lots(10).value);
    desk.registry.load_position(desk.person(0), kA1, kS1, kEs, lots(8), px(100));
    CHECK(text_of(desk.buy("O", 3)) == "denied max_long A1/ES 11 > 10 quantity");
    CHECK(desk.registry.load_order(desk.person(0), kS1, Order{.id = "G", .tif = TimeInForce::gtc}.request()).accepted());
    CHECK(desk.row(kAccountEs).open_buy_quantity == lots(10).value);
    CHECK(text_of(desk.buy("O", 1)) == "denied max_long A1/ES 19 > 10 quantity");
    CHECK(desk.sell("S", 18).accepted());
}

// ---- deaths, several processes, restarts ----------------------------------------------------------------------------------

namespace {

OrderRequest order_in(const Registry& registry, std::string_view id, std::int64_t count = 10) {
    OrderRequest request = Order{.id = id, .quantity = lots(count)}.request();
    request.account = registry.account("A1");
    request.instrument = registry.instrument("ES");
    return request;
}

/// A strategy whose process registers one order and is killed.
void trade_and_die(const TempRegistry& place, const std::string& strategy, std::string_view id) {
    Child child([&] {
        Registry registry = place.attach(strategy);
        if (!registry.check_and_register(order_in(registry, id)).accepted()) ::_exit(1);
        die();
    });
    REQUIRE(child.wait().was_killed());
}

SharedConfig at_most_10_long() {
    SharedConfig config = tiny_config();
    for (LimitConfig& limit : config.limits)
        if (limit.scope == "account:A1") limit.limits.max_long = {LimitValue::Kind::value, lots(10).value};
    return config;
}

OrderView find_in(const Registry& registry, std::string_view id) {
    OrderView view;
    REQUIRE(registry.find(registry.account("A1"), id, view));
    return view;
}

}  // namespace

TEST_CASE("what a dead strategy has working stays reserved, has an owner's name and can be cancelled by others",
          "[anchors][inv-2][inv-7]") {
    const TempRegistry place(at_most_10_long());
    trade_and_die(place, "s1", "O");
    Registry other = place.attach("s2");
    CHECK(other.check_and_register(order_in(other, "N", 1)).reason == DenyReason::max_long);
    wait_until([&] { return (find_in(other, "O").flags & kOrphaned) != 0; });
    CHECK(other.cancel_requested(other.account("A1"), "O").result == Result::ok);
    CHECK(other.canceled(other.account("A1"), "O").result == Result::ok);
    CHECK(other.check_and_register(order_in(other, "N", 10)).accepted());
}

TEST_CASE("a restarted strategy does not send its order twice, and claims what it left", "[anchors][inv-2]") {
    const TempRegistry place;
    trade_and_die(place, "s1", "O");
    Registry again = place.attach("s1");
    const Verdict retry = again.check_and_register(order_in(again, "O"));
    CHECK(retry.reason == DenyReason::already_registered);
    CHECK(retry.status == OrderStatus::pending_new);
    CHECK((find_in(again, "O").flags & kOrphaned) == 0);
    CHECK(again.exposure(kFirm).working_buy == 1);
}

TEST_CASE("a strategy that died halts by its policy and comes back halted", "[anchors]") {
    const TempRegistry place;
    trade_and_die(place, "halts", "O");
    Registry again = place.attach("halts");
    CHECK(again.check_and_register(order_in(again, "O-2")).reason == DenyReason::halted);
    CHECK((find_in(again, "O").flags & kKillCancel) != 0);
    CHECK(again.cancel_requested(again.account("A1"), "O").result == Result::ok);
}

TEST_CASE("a strategy that was taken over can write nothing more", "[anchors]") {
    const TempRegistry place;
    Registry former = place.attach("s1");
    REQUIRE(former.check_and_register(order_in(former, "O")).accepted());
    ProcessConfig config = place.process("s1");
    CHECK_THROWS(Registry::open(place.name(), config));
    config.takeover = true;
    Registry successor = Registry::open(place.name(), config);
    CHECK(former.check_and_register(order_in(former, "O-2")).reason == DenyReason::fenced);
    CHECK(successor.cancel_requested(successor.account("A1"), "O").result == Result::ok);
}

TEST_CASE("a halt by one process holds for another one that runs already, at its next call", "[anchors]") {
    const TempRegistry place;
    Registry running = place.attach("s1");
    REQUIRE(running.check_and_register(order_in(running, "O-1")).accepted());
    Child oversight([&] {
        Registry registry = place.attach();
        if (registry.halt(kFirm, TradingState::halted, "stop").result != Result::ok) ::_exit(1);
    });
    REQUIRE(oversight.wait().left_with(0));
    CHECK(running.check_and_register(order_in(running, "O-2")).reason == DenyReason::halted);
    CHECK(running.begin_send(running.account("A1"), "O-1").reason == DenyReason::halted);
}

TEST_CASE("a limit changed by one process holds for another one that runs already, at its next call", "[anchors]") {
    const TempRegistry place;
    Registry running = place.attach("s1");
    REQUIRE(running.check_and_register(order_in(running, "O-1")).accepted());
    Child oversight([&] {
        Registry registry = place.attach();
        Limits limits;
        limits.max_long = {LimitValue::Kind::value, lots(10).value};
        if (registry.set_limits(kFirm, limits, "less").result != Result::ok) ::_exit(1);
    });
    REQUIRE(oversight.wait().left_with(0));
    CHECK(running.check_and_register(order_in(running, "O-2", 1)).reason == DenyReason::max_long);
}

TEST_CASE("several processes that each stay within an amount do not exceed it together", "[anchors][inv-7]") {
    SharedConfig config = tiny_config();
    for (LimitConfig& limit : config.limits)
        if (limit.scope == "firm") limit.limits.max_net_notional = {LimitValue::Kind::value, money(2000)};
    const TempRegistry place(config);
    for (const std::string strategy : {"s1", "s2"}) {
        Child child([&] {
            Registry registry = place.attach(strategy);
            if (!registry.check_and_register(order_in(registry, "O-" + strategy)).accepted()) ::_exit(1);
        });
        REQUIRE(child.wait().left_with(0));
    }
    Registry third = place.attach("s3");
    CHECK(text_of(third.check_and_register(order_in(third, "O-s3", 1))) == "denied max_net_notional firm 2100 > 2000 money");
}

namespace {

using testing::Cli;

/// A registry with a journal whose shared memory is lost, as by a reboot.
class Rebooted {
public:
    Rebooted() {
        cli_.create(name_, R"({"persistence":{"mode":"async"},"require_limits":false,"allow_limit_without_reference":true,)"
                           R"("instruments":[{"id":"ES","tick":"1"}],"accounts":[{"id":"A1"}],)"
                           R"("strategies":[{"id":"s1","account":"A1"},{"id":"s2","account":"A1"}]})");
    }
    [[nodiscard]] std::string run(const std::string& verb, const std::string& rest = {}) const {
        const testing::CliResult result = cli_.run(verb + " " + name_ + " " + rest);
        INFO(result.err);
        REQUIRE(result.code == 0);
        return result.out;
    }
    /// The reasons of the answers, or their results.
    [[nodiscard]] std::string exec(const std::string& strategy, const std::string& lines) const {
        std::string text;
        for (const auto& answer : cli_.run("exec " + name_ + " --strategy " + strategy, lines).lines()) {
            const std::string reason = testing::text_of(answer, "reason");
            text += (text.empty() ? "" : " ") + (reason.empty() ? testing::text_of(answer, "result") : reason);
        }
        return text;
    }
    void lose_memory() const {
        const auto status = cli_.run("status " + name_ + " --json").lines().at(0);
        REQUIRE(std::filesystem::remove("/dev/shm/" + testing::text_of(status, "segment")));
    }

private:
    Cli cli_;
    std::string name_ = "anchors-" + std::to_string(::getpid());
};

std::string order_line(const std::string& id) {
    return R"({"op":"register","id":")" + id +
           R"(","instrument":"ES","side":"buy","type":"limit","tif":"gtc","price":"100","quantity":"5"})" + "\n";
}

}  // namespace

TEST_CASE("after a reboot trading does not start as if nothing had been: unreconciled, and halts are still there",
          "[anchors][inv-9]") {
    const Rebooted place;
    CHECK(place.exec("s1", order_line("O-1")) == "accepted");
    static_cast<void>(place.run("halt", "--scope strategy:s2 --reason 'bad code'"));
    place.lose_memory();
    CHECK(place.exec("s1", order_line("O-2")) == "unreconciled");
    CHECK(place.exec("s2", order_line("O-2")) == "halted");
    static_cast<void>(place.run("resume", "--unreconciled --reason compared"));
    CHECK(place.exec("s2", order_line("O-2")) == "halted");
    CHECK(place.exec("s1", order_line("O-1")) == "already_registered");
}

TEST_CASE("after a reboot an order is not sent twice, what was reserved is, and the other side of the book is known",
          "[anchors][inv-9]") {
    const Rebooted place;
    CHECK(place.exec("s1", order_line("O-1")) == "accepted");
    place.lose_memory();
    CHECK(place.exec("s1", order_line("O-1")) == "unreconciled");
    static_cast<void>(place.run("resume", "--unreconciled --reason compared"));
    CHECK(place.exec("s1", order_line("O-1")) == "already_registered");
    const std::string exposure = place.run("exposure", "--scope firm --json");
    CHECK(exposure.find(R"("open_buy_quantity":"5")") != std::string::npos);
    std::string sell = order_line("S-1");
    sell.replace(sell.find("buy"), 3, "sell");
    CHECK(place.exec("s2", sell) == "self_match");
}
