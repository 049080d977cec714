#include "core/life.hpp"

#include "core/value.hpp"

namespace riskreg::core {

using namespace layout;

bool is_sound_order(const State& state, std::uint32_t slot) noexcept {
    const std::uint64_t taken = std::min<std::uint64_t>(load_relaxed(state.log->next_order), state.geometry.orders);
    if (slot >= taken) return false;
    const OrderSlot& order = state.orders[slot];
    return order.identity.kind == SlotKind::order && is_sound(state, order.identity) && order.state.newest().last_alias < taken;
}

Life begin_life(const State& state, std::uint32_t slot) noexcept {
    Life life;
    life.slot = slot;
    life.identity = &state.orders[slot].identity;
    life.now = &state.orders[slot].state.newest();
    const OrderState& now = *life.now;
    OrderDraft& after = life.after;
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
    after.base = now.base;
    after.flags = now.flags;
    after.execution_previous = kNoSlot;
    return life;
}

bool set_reservation(Life& life, const base::NotionalFactor& factor) noexcept {
    OrderDraft& after = life.after;
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
    const OrderDraft& after = life.after;
    OrderState as_state{};
    as_state.base = after.base;
    as_state.flags = after.flags;
    verdict.has_order = true;
    verdict.status = status_of(after.base, after.flags);
    verdict.flags = static_cast<OrderFlags>(derived_flags(state, *life.identity, as_state) | life.remarks);
    verdict.cum_quantity.value = after.cum_quantity;
    verdict.leaves_quantity.value = leaves_of(after.base, after.quantity, after.cum_quantity);
}

ValueDelta values_of(const State& state, const Life& life) noexcept {
    const OrderIdentity& i = *life.identity;
    const std::int64_t open = life.after.reserved_quantity - life.now->reserved_quantity;
    const bool fill = life.numbers == LifeNumbers::fill;
    if (life.position == 0 && !fill && (open == 0 || !state.has_setting(kGrossWorstCase))) return {};
    const RowSet rows = rows_of(state.geometry, i.account, i.strategy, i.instrument);
    ValueChange change{i.side, life.position, open, {}, nullptr};
    if (fill) change.price = life.trade.price;
    return value_delta(state, i.instrument, rows, counters_of(state, rows), change);
}

namespace {

/// The three numbers of the event, and what they are.
void write_numbers(const Life& life, LifeEvent& event) noexcept {
    const OrderDraft& after = life.after;
    event.after.numbers = life.numbers;
    const auto take = [&](std::int64_t price, std::int64_t quantity, std::int64_t third) {
        event.price = price;
        event.quantity = quantity;
        event.third = third;
    };
    switch (life.numbers) {
        case LifeNumbers::trade:
        case LifeNumbers::fill: return take(life.trade.price, life.trade.quantity, life.trade.cash_flow);
        case LifeNumbers::pending: return take(after.pending_price, after.pending_quantity, after.pending_reserved_price);
        case LifeNumbers::live: return take(after.price, after.quantity, after.reserved_price);
        case LifeNumbers::none: return;
    }
}

OrderAfter after_of(const Life& life) noexcept {
    const OrderDraft& draft = life.after;
    OrderAfter after{};
    after.cum_quantity = draft.cum_quantity;
    after.reported_cum = draft.reported_cum;
    after.last_alias = draft.last_alias;
    after.pending_alias = draft.pending_alias;
    after.last_execution = draft.last_execution;
    after.execution_previous = draft.execution_previous;
    after.base = draft.base;
    after.firm_previous = draft.firm_previous;
    after.flags = draft.flags;
    after.breaker = life.breaker;
    after.metered = life.metered;
    return after;
}

}  // namespace

namespace {

/// While the next day is being prepared: where in it the order belongs, seen by its first change since then (core/roll).
std::uint32_t roll_flags(const State& state, const Life& life) noexcept {
    const std::uint64_t base = load_relaxed(state.status->roll_base);
    const OrderState& now = *life.now;
    if (base == 0 || !life.changed || life.identity->created_seq > base) return 0;
    const bool first = now.seq <= base;
    if (first && goes_on(now)) return kRollKeeps;
    const bool stays = is_live(life.after.base) || life.after.reserved_quantity != 0;
    if (stays && (first || now.roll_key == 0)) return kRollAdds;
    return first ? std::uint32_t{kRollKeeps} | kRollAdds : 0;
}

}  // namespace

void write_life(const State& state, const Life& life, EventHeader header, const base::FixedId& id, Decision& out) noexcept {
    const OrderState& now = *life.now;
    const OrderDraft& after = life.after;
    header.flags |= roll_flags(state, life);
    header.order_slot = life.slot;
    header.instrument = life.identity->instrument;
    header.account = life.identity->account;
    header.strategy = life.identity->strategy;
    header.side = life.identity->side;
    header.result = life.result;
    header.working_delta =
        static_cast<std::int8_t>(static_cast<int>(is_live(after.base)) - static_cast<int>(is_live(now.base)));
    if (!life.changed) header.flags |= kNoChange;
    report(state, life, out.verdict);
    header.answer_flags = out.verdict.flags;
    LifeEvent event{};
    event.header = header;
    event.after = after_of(life);
    write_numbers(life, event);
    event.values = values_of(state, life);
    event.delta.position = life.position;
    event.delta.open_quantity = after.reserved_quantity - now.reserved_quantity;
    event.delta.open_notional = after.reserved_notional - now.reserved_notional;
    event.delta.traded_notional = life.traded_notional;
    event.id = id;
    out.write(event);
    out.verdict.result = life.result;
    out.commit = true;
}

}  // namespace riskreg::core
