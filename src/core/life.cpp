#include "core/life.hpp"

namespace riskreg::core {

using namespace layout;

Life begin_life(const State& state, std::uint32_t slot) noexcept {
    Life life;
    life.slot = slot;
    life.identity = &state.orders[slot].identity;
    life.now = &state.orders[slot].state.newest();
    const OrderState& now = *life.now;
    OrderAfter& after = life.after;
    after.price = now.price;
    after.quantity = now.quantity;
    after.cum_quantity = now.cum_quantity;
    after.reserved_quantity = now.reserved_quantity;
    after.reserved_notional = now.reserved_notional;
    after.reserved_price = now.reserved_price;
    after.pending_price = now.pending_price;
    after.pending_quantity = now.pending_quantity;
    after.pending_reserved_price = now.pending_reserved_price;
    after.reported_cum = now.reported_cum;
    after.last_alias = now.last_alias;
    after.pending_alias = now.pending_alias;
    after.last_execution = now.last_execution;
    after.version = now.version;
    after.base = now.base;
    after.flags = now.flags;
    after.execution_previous = kNoSlot;
    return life;
}

bool set_reservation(Life& life, const base::NotionalFactor& factor) noexcept {
    OrderAfter& after = life.after;
    const bool pending = life.has(kPendingReplace);
    // A gap reserves no more than the order: a report of any greater number must not lock the firm.
    const std::int64_t total = life.live() ? life.greatest_total() : std::min(after.reported_cum, after.quantity);
    after.reserved_quantity = std::max<std::int64_t>(total - after.cum_quantity, 0);
    const std::int64_t price = pending ? std::max(after.reserved_price, after.pending_reserved_price) : after.reserved_price;
    const auto notional = base::notional(price, after.reserved_quantity, factor);
    after.reserved_notional = notional.value_or(base::kMaxInt64);
    return notional.has_value();
}

void report(const State& state, const Life& life, Verdict& verdict) noexcept {
    const OrderAfter& after = life.after;
    OrderState as_state{};
    as_state.base = after.base;
    as_state.flags = after.flags;
    verdict.has_order = true;
    verdict.status = status_of(after.base, after.flags);
    verdict.flags = static_cast<OrderFlags>(derived_flags(state, *life.identity, as_state) | life.remarks);
    verdict.cum_quantity.value = after.cum_quantity;
    verdict.leaves_quantity.value = leaves_of(after.base, after.quantity, after.cum_quantity);
}

void write_life(const State& state, const Life& life, EventHeader header, Decision& out) noexcept {
    const OrderState& now = *life.now;
    const OrderAfter& after = life.after;
    header.time_ns = event_time(state, header.time_ns);
    header.order_slot = life.slot;
    header.instrument = life.identity->instrument;
    header.account = life.identity->account;
    header.strategy = life.identity->strategy;
    header.side = life.identity->side;
    header.result = life.result;
    header.working_delta =
        static_cast<std::int8_t>(static_cast<int>(is_live(after.base)) - static_cast<int>(is_live(now.base)));
    header.flags = static_cast<std::uint8_t>(header.flags | (life.changed ? 0 : kNoChange));
    report(state, life, out.verdict);
    header.answer_flags = out.verdict.flags;
    LifeEvent& event = out.event.life;
    event.header = header;
    event.after = after;
    event.delta.position = life.position;
    event.delta.open_quantity = after.reserved_quantity - now.reserved_quantity;
    event.delta.open_notional = after.reserved_notional - now.reserved_notional;
    event.delta.traded_notional = life.traded_notional;
    out.verdict.result = life.result;
    out.commit = true;
}

}  // namespace riskreg::core
