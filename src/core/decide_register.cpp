#include "core/decide_common.hpp"
#include "core/overlay.hpp"

namespace riskreg::core {

using namespace layout;

NewOrder prepare(const State& state, const Caller& caller, const OrderRequest& request) noexcept {
    NewOrder order;
    order.id_valid = base::is_valid_id(request.id);
    order.id = base::make_id(request.id);
    order.account = static_cast<std::uint16_t>(request.account);
    order.instrument = static_cast<std::uint32_t>(request.instrument);
    order.hash = order_hash(order.account, order.id);
    order.has_price = request.price.has_value();
    order.price = request.price.value_or(Price{}).value;
    order.has_stop_price = request.stop_price.has_value();
    order.stop_price = request.stop_price.value_or(Price{}).value;
    order.quantity = request.quantity.value;
    order.side = request.side;
    order.type = request.type;
    order.tif = request.tif;
    order.rows = rows_of(state.geometry, order.account, caller.strategy, order.instrument);
    return order;
}

void prefetch(const State& state, const NewOrder& order) noexcept {
    const auto to_write = [](const void* line) { __builtin_prefetch(line, 1, 3); };
    const auto to_read = [](const void* line) { __builtin_prefetch(line, 0, 3); };
    to_write(&state.order_index[order.hash & (state.geometry.order_index - 1U)]);
    const std::uint64_t slot = load_relaxed(state.log->next_order);
    if (slot < state.geometry.orders) {
        const auto* lines = reinterpret_cast<const char*>(&state.orders[slot]);
        for (std::size_t line = 0; line < 5; ++line) to_write(lines + 64 * line);
    }
    const auto* event = reinterpret_cast<const char*>(&state.ring_slot(load_relaxed(state.log->committed) + 1));
    for (std::size_t line = 0; line < 4; ++line) to_write(event + 64 * line);
    for (const std::uint32_t row : order.rows) {
        if (row == kNoSlot) continue;
        const auto* lines = reinterpret_cast<const char*>(&state.rows[row]);
        to_write(lines);
        to_write(lines + 64);
        to_read(lines + 128);
        to_read(lines + 192);
    }
}

namespace {

/// Check 3: known, and permitted.
bool deny_permission(const State& state, const Caller& caller, const NewOrder& order, Decision& out) noexcept {
    const Geometry& g = state.geometry;
    if (order.account >= g.accounts) return deny(state, DenyReason::unknown_account, out), true;
    if (caller.strategy >= state.external_strategy()) return deny(state, DenyReason::unknown_strategy, out), true;
    if (order.instrument >= g.instruments) return deny(state, DenyReason::unknown_instrument, out), true;
    const bool permitted = state.may_trade_account(caller.strategy, order.account) &&
                           state.may_trade_instrument(caller.strategy, order.instrument);
    return !permitted && (deny(state, DenyReason::not_permitted, out), true);
}

bool same_content(const OrderIdentity& identity, const Caller& caller, const NewOrder& order) noexcept {
    const std::uint32_t flags = (order.has_price ? kHasPrice : 0U) | (order.has_stop_price ? kHasStopPrice : 0U);
    return identity.kind == SlotKind::order && identity.strategy == caller.strategy &&
           identity.instrument == order.instrument && identity.side == order.side && identity.type == order.type &&
           identity.tif == order.tif && identity.price == order.price && identity.quantity == order.quantity &&
           identity.stop_price == order.stop_price && identity.flags == flags;
}

/// Check 4: the id is well-formed and nobody used it today.
bool deny_identity(const State& state, const Caller& caller, const NewOrder& order, const BatchOverlay* overlay,
                   Decision& out) noexcept {
    if (!order.id_valid) return deny(state, DenyReason::invalid_order_id, out), true;
    const Found found = find_order(state, order.account, order.id, order.hash);
    const bool in_batch = overlay != nullptr && overlay->has_id(order.account, order.id);
    if (found.slot == kNoSlot) return in_batch && (deny(state, DenyReason::duplicate_order_id, out), true);
    const OrderSlot& slot = state.orders[found.slot];
    if (!same_content(slot.identity, caller, order)) return deny(state, DenyReason::duplicate_order_id, out), true;
    deny(state, DenyReason::already_registered, out);
    const OrderState& now = slot.state.newest();
    Verdict& v = out.verdict;
    v.has_order = true;
    v.status = status_of(now.base, now.flags);
    v.flags = derived_flags(state, slot.identity, now);
    v.cum_quantity.value = now.cum_quantity;
    v.leaves_quantity.value = leaves_of(now.base, now.quantity, now.cum_quantity);
    return true;
}

bool deny_enumerations(const State& state, const NewOrder& order, Decision& out) noexcept {
    const bool legal = (order.side == Side::buy || order.side == Side::sell) && order.type >= OrderType::limit &&
                       order.type <= OrderType::pegged && order.tif >= TimeInForce::day && order.tif <= TimeInForce::gtd;
    return !legal && (deny(state, DenyReason::invalid_field, out), true);
}

/// Every check has passed at this sequence: only now is there an event to commit (INV-6).
void accept(const State& state, const Caller& caller, const NewOrder& order, std::uint64_t slot, std::int64_t reserved_price,
            std::int64_t reserved_notional, Decision& out) noexcept {
    RegisterEvent& event = out.event.registered;
    event.header = header_of(EventType::registered, caller);
    event.header.time_ns = event_time(state, caller.now_ns);
    event.header.working_delta = 1;
    event.header.order_slot = static_cast<std::uint32_t>(slot);
    event.header.instrument = order.instrument;
    event.header.account = order.account;
    event.header.strategy = caller.strategy;
    event.header.result = Result::accepted;
    event.header.side = order.side;
    event.delta.open_quantity = order.quantity;
    event.delta.open_notional = reserved_notional;
    event.id = order.id;
    event.hash = order.hash;
    event.price = order.price;
    event.quantity = order.quantity;
    event.stop_price = order.stop_price;
    event.reserved_notional = reserved_notional;
    event.reserved_price = reserved_price;
    event.order_type = order.type;
    event.tif = order.tif;
    event.identity_flags = (order.has_price ? kHasPrice : 0U) | (order.has_stop_price ? kHasStopPrice : 0U);
    Verdict& v = out.verdict;
    v.result = Result::accepted;
    v.has_order = true;
    v.status = OrderStatus::pending_new;
    v.leaves_quantity.value = order.quantity;
    out.commit = true;
}

}  // namespace

void decide_register(const State& state, const Caller& caller, const NewOrder& order, const BatchOverlay* overlay,
                     Decision& out) noexcept {
    RowsNow now;
    load_rows(state, order.rows, overlay, now);
    // 1 room in the log, 2 trading states … 4 the id
    if (deny_log_room(state, now, Intent::new_order, order.side, order.quantity, out)) return;
    if (deny_state(state, now, Intent::new_order, order.side, order.quantity, out)) return;
    if (deny_permission(state, caller, order, out)) return;
    if (deny_identity(state, caller, order, overlay, out)) return;
    // 5 shape, 6 reference price and collar
    if (deny_enumerations(state, order, out)) return;
    const PricedOrder priced{order.instrument,     order.side,  order.type,       order.has_price,
                             order.has_stop_price, order.price, order.stop_price, order.quantity};
    if (deny_shape(state, priced, out)) return;
    std::int64_t reserved_price = 0;
    if (deny_reference(state, priced, event_time(state, caller.now_ns), reserved_price, out)) return;
    // 7 mandatory and single-order limits
    const auto notional = base::notional(reserved_price, order.quantity, factor_of(state, order.instrument));
    Growth growth{order.side, order.quantity, notional.value_or(0), order.quantity, notional.value_or(0), 1};
    if (deny_single_order(state, now, growth, out)) return;
    if (!notional) return deny(state, DenyReason::arithmetic_overflow, out);
    // 8 message budget, 9 duplicate content, 10 self-match: their place is here
    // 11 exposures, 12 tables
    if (deny_exposure(state, now, growth, out)) return;
    const std::uint64_t batched = overlay == nullptr ? 0 : overlay->orders();
    if (deny_capacity(state, batched + 1, out)) return;
    accept(state, caller, order, load_relaxed(state.log->next_order) + batched, reserved_price, *notional, out);
}

}  // namespace riskreg::core
