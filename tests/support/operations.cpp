#include "support/operations.hpp"

#include <array>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/child.hpp"

namespace riskreg::test {

OrderRequest Desk::order(std::string_view id, Side side) const {
    OrderRequest request;
    request.id = id;
    request.account = account();
    request.instrument = instrument();
    request.side = side;
    request.price = points(4800);
    request.quantity = lots(10);
    return request;
}

void Desk::place_order(std::string_view id, Side side) { require_taken(registry().check_and_register(order(id, side))); }

OrderEvent Desk::fact(EventKind kind, std::string_view id) const {
    OrderEvent event;
    event.kind = kind;
    event.id = id;
    event.account = account();
    return event;
}

void Desk::tell(const OrderEvent& fact) { require_taken(registry().event(fact)); }

void Desk::fill(std::string_view id, std::string_view exec_id, int quantity, int price) {
    OrderEvent event = fact(EventKind::filled, id);
    event.exec_id = exec_id;
    event.price = points(price);
    event.quantity = lots(quantity);
    tell(event);
}

void Desk::require_taken(const Verdict& verdict) const {
    if (verdict.taken()) return;
    throw std::runtime_error("a call was not taken: " + std::string(name_of(verdict.result)) + " " +
                             std::string(name_of(verdict.reason)));
}

OrderRequest one_lot(const Registry& registry) {
    OrderRequest order;
    order.account = registry.account("A1");
    order.instrument = registry.instrument("ES");
    order.side = Side::buy;
    order.price = points(4800);
    order.quantity = lots(1);
    return order;
}

bool knock(Registry& registry) {
    const Verdict verdict = registry.cancel_requested(registry.account("A1"), "nobody-has-this-id");
    return verdict.result == Result::denied && verdict.reason == DenyReason::unknown_order;
}

namespace {

void attached(Desk& desk) { desk.attach("s1"); }

void with_pending_order(Desk& desk) {
    attached(desk);
    desk.place_order("O-1");
}

void with_live_order(Desk& desk) {
    with_pending_order(desk);
    desk.tell(EventKind::acked, "O-1");
}

void with_fill(Desk& desk) {
    with_live_order(desk);
    desk.fill("O-1", "E-1", 4);
}

void with_rejected_order(Desk& desk) {
    with_pending_order(desk);
    desk.tell(EventKind::rejected, "O-1");
}

void request_replace(Desk& desk) {
    ReplaceRequest request;
    request.id = "O-1";
    request.account = desk.account();
    request.new_id = "O-2";
    request.price = points(4801);
    request.quantity = lots(12);
    desk.require_taken(desk.registry().replace_requested(request));
}

void with_pending_replace(Desk& desk) {
    with_fill(desk);
    request_replace(desk);
}

void with_price_of_another_session(Desk& desk) {
    {
        Registry other = desk.place().attach("s2");
        static_cast<void>(other.reference_price(other.instrument("ES"), points(4790)));
    }
    attached(desk);
}

void with_dead_session(Desk& desk) {
    Child session([&] {
        Desk other(desk.place());
        other.attach("halts");
        other.place_order("H-1");
        die();
    });
    if (!session.wait().was_killed()) throw std::runtime_error("the session to be buried did not live");
}

void register_batch(Desk& desk) {
    const std::array ids = {"B-1", "B-2", "B-3", "B-4", "B-5"};
    std::vector<OrderRequest> requests;
    for (const char* id : ids) requests.push_back(desk.order(id));
    for (const Verdict& verdict : desk.registry().register_batch(requests, true)) desk.require_taken(verdict);
}

void refuse_too_large_an_order(Desk& desk) {
    OrderRequest request = desk.order("L-1");
    request.quantity = lots(1001);
    if (desk.registry().check_and_register(request).reason != DenyReason::max_order_quantity)
        throw std::runtime_error("an order above max_order_quantity was not refused for it");
}

void ack_with_venue_id(Desk& desk) {
    OrderEvent event = desk.fact(EventKind::acked, "O-1");
    event.venue_id = "V-1";
    desk.tell(event);
}

void bust(Desk& desk) {
    OrderEvent event = desk.fact(EventKind::bust, "O-1");
    event.exec_id = "E-1";
    desk.tell(event);
}

void correct_with_new_id(Desk& desk) {
    OrderEvent event = desk.fact(EventKind::correct, "O-1");
    event.exec_id = "E-1";
    event.new_exec_id = "E-1C";
    event.price = points(4802);
    event.quantity = lots(3);
    desk.tell(event);
}

void fill_an_unknown_order(Desk& desk) {
    OrderEvent event = desk.fact(EventKind::filled, "X-1");
    event.exec_id = "E-X";
    event.instrument = desk.instrument();
    event.side = Side::sell;
    event.price = points(4800);
    event.quantity = lots(2);
    desk.tell(event);
}

void halt_account(Desk& desk) {
    desk.require_taken(desk.registry().halt({ScopeKind::account, desk.account()}, TradingState::halted, "test"));
}

void set_strategy_limits(Desk& desk) {
    Limits limits;
    limits.max_working_orders = {LimitValue::Kind::value, 7};
    limits.max_long = {LimitValue::Kind::value, lots(500).value};
    desk.require_taken(
        desk.registry().set_limits({ScopeKind::strategy, AccountId::none, desk.registry().strategy()}, limits, "test"));
}

void limit_the_loss(Desk& desk) {
    Limits limits;
    limits.daily_loss = {LimitValue::Kind::value, 100'000'000};
    desk.require_taken(desk.registry().set_limits({ScopeKind::account, desk.account()}, limits, "test"));
}

/// Marks what was bought at 4800 a hundred points lower.
void fill_at_a_loss(Desk& desk) { desk.fill("O-1", "E-2", 1, 4700); }

void with_fill_and_limit_of_loss(Desk& desk) {
    with_fill(desk);
    limit_the_loss(desk);
}

void require_state_of_loss(Desk& desk) {
    if (desk.registry().reader().exposure({ScopeKind::account, desk.account()}).state == TradingState::active)
        throw std::runtime_error("the loss was not found");
}

/// Two events, one commit: the fill, and the state that its loss brings.
void find_a_loss_by_a_fill(Desk& desk) {
    fill_at_a_loss(desk);
    require_state_of_loss(desk);
}

void with_loss_that_nobody_found(Desk& desk) {
    with_fill(desk);
    fill_at_a_loss(desk);
    limit_the_loss(desk);
}

/// The refusal, and the state.
void find_a_loss_by_an_order(Desk& desk) {
    if (desk.registry().check_and_register(desk.order("L-1")).reason != DenyReason::daily_loss)
        throw std::runtime_error("an order in a loss was not refused for it");
    require_state_of_loss(desk);
}

void take_over_price(Desk& desk) { desk.require_taken(desk.registry().reference_price(desk.instrument(), points(4805))); }

constexpr auto none = [](Desk&) {};

constexpr std::array kOperations = {
    Operation{"register", attached, [](Desk& d) { d.place_order("O-1"); }},
    // Firm, account and strategy × instrument have limits: all of them must count the second order too.
    Operation{"register under several limits", with_fill, [](Desk& d) { d.place_order("O-9", Side::sell); }},
    Operation{"refusal that is logged", attached, refuse_too_large_an_order},
    Operation{"batch of five, all or none", attached, register_batch},
    Operation{"acked with venue id", with_pending_order, ack_with_venue_id},
    Operation{"partial fill", with_live_order, [](Desk& d) { d.fill("O-1", "E-1", 4); }},
    Operation{"final fill", with_fill, [](Desk& d) { d.fill("O-1", "E-2", 6); }},
    Operation{"fill of a rejected order", with_rejected_order, [](Desk& d) { d.fill("O-1", "E-1", 4); }},
    Operation{"fill that finds a loss", with_fill_and_limit_of_loss, find_a_loss_by_a_fill},
    Operation{"refusal that finds a loss", with_loss_that_nobody_found, find_a_loss_by_an_order},
    Operation{"bust", with_fill, bust},
    Operation{"correct with new id", with_fill, correct_with_new_id},
    Operation{"cancel_requested", with_live_order,
              [](Desk& d) { d.require_taken(d.registry().cancel_requested(d.account(), "O-1")); }},
    Operation{"canceled", with_fill, [](Desk& d) { d.tell(EventKind::canceled, "O-1"); }},
    Operation{"replace_requested with new id", with_fill, request_replace},
    Operation{"replaced", with_pending_replace, [](Desk& d) { d.tell(EventKind::replaced, "O-2"); }},
    Operation{"replace_rejected", with_pending_replace, [](Desk& d) { d.tell(EventKind::replace_rejected, "O-2"); }},
    Operation{"rejected", with_pending_order, [](Desk& d) { d.tell(EventKind::rejected, "O-1"); }},
    Operation{"quarantined fill", attached, fill_an_unknown_order},
    Operation{"halt", with_live_order, halt_account},
    Operation{"set_limits", attached, set_strategy_limits},
    Operation{"reference price changes its owner", with_price_of_another_session, take_over_price},
    Operation{"session attach", none, attached, false},
    Operation{"session detach", attached, [](Desk& d) { d.detach(); }, false},
    Operation{"death notice", with_dead_session, [](Desk& d) { d.attach(""); }},
};

}  // namespace

std::span<const Operation> operations() { return kOperations; }

const Operation& operation(std::string_view name) {
    for (const Operation& candidate : kOperations)
        if (candidate.name == name) return candidate;
    throw std::runtime_error("no operation " + std::string(name));
}

}  // namespace riskreg::test
