#include "core/apply.hpp"

#include <limits>

#include "base/crash_point.hpp"
#include "base/enforce.hpp"
#include "base/wide.hpp"
#include "core/book.hpp"
#include "core/content.hpp"
#include "core/index.hpp"
#include "core/meter.hpp"
#include "core/value.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

RowSet rows_of_event(const State& state, const EventHeader& header) noexcept {
    return rows_of(state.geometry, header.account, header.strategy, header.instrument);
}

/// What one event adds to the counters of each of its rows.
struct CountersDelta {
    std::int64_t position = 0, buy_quantity = 0, sell_quantity = 0, buy_notional = 0, sell_notional = 0;
    std::uint32_t working_buy = 0, working_sell = 0;
};

CountersDelta counters_delta(const EventHeader& header, const RowDelta& delta) noexcept {
    const auto working = static_cast<std::uint32_t>(static_cast<std::int32_t>(header.working_delta));
    if (header.side == Side::buy) return {delta.position, delta.open_quantity, 0, delta.open_notional, 0, working, 0};
    return {delta.position, 0, delta.open_quantity, 0, delta.open_notional, 0, working};
}

void add_saturating(RowCounters& next, const CountersDelta& d) noexcept {
    bool saturated = false;
    next.position = base::add_saturating(next.position, d.position, saturated);
    next.open_buy_quantity = base::add_saturating(next.open_buy_quantity, d.buy_quantity, saturated);
    next.open_sell_quantity = base::add_saturating(next.open_sell_quantity, d.sell_quantity, saturated);
    next.open_buy_notional = base::add_saturating(next.open_buy_notional, d.buy_notional, saturated);
    next.open_sell_notional = base::add_saturating(next.open_sell_notional, d.sell_notional, saturated);
    next.working_buy += d.working_buy;
    next.working_sell += d.working_sell;
    if (saturated) next.flags |= kRowSaturated;
}

void apply_counters(State& state, const EventHeader& header, const RowDelta& delta) noexcept {
    const CountersDelta d = counters_delta(header, delta);
    for (const std::uint32_t row : rows_of_event(state, header)) {
        state.rows[row].counters.update(header.seq, [&](RowCounters& next) { add_saturating(next, d); });
        CRASH_POINT("row counters");
    }
}

void apply_day(State& state, const EventHeader& header, const RowDelta& delta) noexcept {
    const bool buy = header.side == Side::buy;
    for (const std::uint32_t row : rows_of_event(state, header)) {
        state.rows_cold[row].day.update(header.seq, [&](RowDay& next) {
            bool saturated = false;
            auto& quantity = buy ? next.bought_quantity : next.sold_quantity;
            auto& notional = buy ? next.bought_notional : next.sold_notional;
            quantity = base::add_saturating(quantity, buy ? delta.position : -delta.position, saturated);
            notional = base::add_saturating(notional, delta.traded_notional, saturated);
            if (saturated) next.flags |= kRowSaturated;
        });
        CRASH_POINT("row day");
    }
}

/// Rows, in full: counters and, where an execution is involved, day totals.
void apply_rows(State& state, const EventHeader& header, const RowDelta& delta) noexcept {
    const bool counters = (delta.position | delta.open_quantity | delta.open_notional) != 0 || header.working_delta != 0;
    if (counters) apply_counters(state, header, delta);
    if ((delta.position | delta.traded_notional) != 0) apply_day(state, header, delta);
}

/// What an event does to the values of its rows.
struct RowValues {
    const ValueDelta& delta;
    std::int64_t cash_flow = 0;
    std::int64_t start_value = 0;
    bool has_price = false;          // stands for the mark of rows without one of their own
    std::int64_t price = 0;
};

void add_value(std::int64_t& sum, std::int64_t delta, bool& saturated) noexcept {
    if (delta == kNoFit) saturated = true;
    else sum = base::add_saturating(sum, delta, saturated);
}

/// A price that stands for the mark, only where no event has set one.
void take_price(RowValue& next, std::int64_t price, bool moves) noexcept {
    const bool marked = (next.flags & kMarked) != 0;
    if (marked || (!moves && (next.flags & kPriced) != 0)) return;
    next.mark = price;
    next.flags |= kPriced;
}

void apply_values(State& state, const EventHeader& header, const RowValues& values, bool price_moves) noexcept {
    std::int64_t any = values.cash_flow | values.start_value | static_cast<std::int64_t>(values.has_price);
    for (std::size_t pair = 0; pair < kPairs; ++pair) any |= values.delta.gross[pair] | values.delta.net[pair];
    if (any == 0) return;
    const RowSet rows = rows_of_event(state, header);
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        state.rows_risk[rows[k]].value.update(header.seq, [&](RowValue& next) {
            bool saturated = false;
            if (values.has_price && k >= kFirstInstrumentRow) take_price(next, values.price, price_moves);
            add_value(next.gross_value, values.delta.gross[k % kPairs], saturated);
            add_value(next.net_value, values.delta.net[k % kPairs], saturated);
            add_value(next.cash_flow, values.cash_flow, saturated);
            add_value(next.start_value, values.start_value, saturated);
            next.peak = std::max(next.peak, pnl_of(next));
            if (saturated) next.flags |= kValueSaturated;
        });
        CRASH_POINT("row value");
    }
}

struct StateChange {
    std::uint32_t row;
    TradingState state;
    TradingState previous;
    std::uint32_t uid;
    const Reason* reason;
    std::uint8_t set_flags = 0;
    std::uint8_t clear_flags = 0;
};

void apply_state(State& state, const EventHeader& header, const StateChange& change) noexcept {
    state.rows[change.row].control.update(header.seq, [&](RowControl& next) {
        next.state = change.state;
        next.flags = static_cast<std::uint8_t>((next.flags | change.set_flags) & ~change.clear_flags);
    });
    CRASH_POINT("row control");
    state.rows_cold[change.row].latch.update(header.seq, [&](RowLatch& why) {
        // Released from `unreconciled` is not halted once more.
        const bool halts = change.state == TradingState::halted && header.type != EventType::reconciled;
        if (halts) why.halted_seq = header.seq;
        // Who stopped it first is who has to be asked; what came later stands in the log.
        if (change.state == change.previous && change.state != TradingState::active) return;
        why.changed_ns = header.time_ns;
        why.uid = change.uid;
        why.previous = change.previous;
        why.reason = *change.reason;
    });
    CRASH_POINT("row latch");
    store_release(state.status->state_epoch, header.seq);
}

constexpr Reason make_reason(std::string_view text) noexcept {
    Reason reason{};
    for (; reason.size < text.size() && reason.size < sizeof reason.text; ++reason.size)
        reason.text[reason.size] = text[reason.size];
    return reason;
}

void write_order_identity(State& state, std::uint32_t slot, const OrderIdentity& identity) noexcept {
    copy_words_in(state.orders[slot].identity, identity);
    CRASH_POINT("order identity");
}

/// The books of own orders follow before the order does: what the order was is then still to be read, and a repetition that
/// finds the order written has nothing to do here.
[[gnu::noinline]] void move_order(State& state, const EventHeader& h, BookedOrder next) noexcept {
    const OrderState& now = state.orders[h.order_slot].state.newest();
    if (load_relaxed(now.seq) >= h.seq) return;
    const BookedOrder before{h.instrument, h.side,           next.type, now.base,
                             now.flags,    now.cum_quantity, now.price, now.pending_price};
    move_in_books(state, h.seq, h.account, h.instrument, h.side, keys_of(state, before), keys_of(state, next));
    CRASH_POINT("books");
}

/// By value behind the test: without books the order stays in registers.
inline void apply_books(State& state, const EventHeader& h, OrderType type, const OrderState& next) noexcept {
    if (!state.keeps_derived || !keeps_books(state)) return;
    move_order(state, h,
               {h.instrument, h.side, type, next.base, next.flags, next.cum_quantity, next.price, next.pending_price});
}

void apply_registered(State& state, const RegisterEvent& event) noexcept {
    const EventHeader& h = event.header;
    OrderIdentity identity{};
    identity.id = event.id;
    identity.created_steady_ns = h.steady_ns;
    identity.price = event.price;
    identity.quantity = event.quantity;
    identity.stop_price = event.stop_price;
    identity.created_ns = h.time_ns;
    identity.created_seq = h.seq;
    identity.instrument = h.instrument;
    identity.account = h.account;
    identity.strategy = h.strategy;
    identity.head = h.order_slot;
    identity.previous = kNoSlot;
    identity.session = h.session;
    identity.generation = h.generation;
    identity.kind = SlotKind::order;
    identity.side = h.side;
    identity.type = event.order_type;
    identity.tif = event.tif;
    identity.flags = event.identity_flags;
    identity.content_previous = event.content_previous;
    write_order_identity(state, h.order_slot, identity);

    OrderState order{};
    order.price = event.price;
    order.quantity = event.quantity;
    order.reserved_quantity = event.quantity;
    order.reserved_notional = event.reserved_notional;
    order.reserved_price = event.reserved_price;
    order.updated_ns = h.time_ns;
    order.last_alias = h.order_slot;
    order.pending_alias = kNoSlot;
    order.last_execution = kNoSlot;
    order.version = 1;
    order.base = (event.identity_flags & kLoaded) != 0 ? OrderBase::new_ : OrderBase::pending_new;
    apply_books(state, h, event.order_type, order);
    state.orders[h.order_slot].state.store(h.seq, order);
    CRASH_POINT("order state");

    apply_rows(state, h, delta_of(event));
    apply_values(state, h, {event.values, 0, 0, event.sets_mark != 0, event.mark}, false);
    count_messages(state, h, event.metered);
    store_relaxed(state.log->next_order, h.order_slot + 1ULL);
    CRASH_POINT("next order");
    insert_word(state.order_index, state.geometry.order_index, event.hash, h.order_slot);
    CRASH_POINT("order index");
    if ((event.identity_flags & kContentIndexed) != 0 && state.keeps_derived) index_content(state, h.order_slot);
    CRASH_POINT("content index");
}

void take_numbers(const LifeEvent& event, OrderState& next) noexcept {
    if (event.after.numbers == LifeNumbers::pending) {
        next.pending_price = event.price;
        next.pending_quantity = event.quantity;
        next.pending_reserved_price = event.third;
    } else if (event.after.numbers == LifeNumbers::live) {
        next.price = event.price;
        next.quantity = event.quantity;
        next.reserved_price = event.third;
        next.version += 1;
    }
    if ((event.after.flags & kPendingReplace) == 0)
        next.pending_price = next.pending_quantity = next.pending_reserved_price = 0;
}

void take_roll_key(const EventHeader& header, OrderState& next) noexcept {
    const std::uint32_t roll = header.flags & (kRollKeeps | kRollAdds);
    if (roll == 0) [[likely]]
        return;
    next.roll_key = roll == kRollKeeps ? kFirstClass : roll == kRollAdds ? header.seq : 0;
}

void take_after(const LifeEvent& event, OrderState& next) noexcept {
    const OrderAfter& after = event.after;
    next.cum_quantity = after.cum_quantity;
    next.reserved_quantity += event.delta.open_quantity;
    next.reserved_notional += event.delta.open_notional;
    next.reported_cum = after.reported_cum;
    next.updated_ns = event.header.time_ns;
    next.last_alias = after.last_alias;
    next.pending_alias = after.pending_alias;
    next.last_execution = after.last_execution;
    next.base = after.base;
    next.flags = after.flags;
    take_roll_key(event.header, next);
    take_numbers(event, next);
}

void apply_order_state(State& state, const LifeEvent& event) noexcept {
    OrderSlot& slot = state.orders[event.header.order_slot];
    OrderState next = slot.state.newest();
    if (load_relaxed(next.seq) < event.header.seq) take_after(event, next);
    apply_books(state, event.header, slot.identity.type, next);
    slot.state.store(event.header.seq, next);
    CRASH_POINT("order state");
}

/// A new id of the chain takes its own slot, so that every id is compared in full.
void apply_alias(State& state, const LifeEvent& event) noexcept {
    const EventHeader& h = event.header;
    OrderIdentity identity{};
    identity.id = event.id;
    identity.created_steady_ns = h.steady_ns;
    identity.price = event.price;
    identity.quantity = event.quantity;
    identity.created_ns = h.time_ns;
    identity.created_seq = h.seq;
    identity.instrument = h.instrument;
    identity.account = h.account;
    identity.strategy = h.strategy;
    identity.head = h.order_slot;
    identity.previous = event.after.last_alias;
    identity.session = h.session;
    identity.generation = h.generation;
    identity.kind = SlotKind::alias;
    identity.side = h.side;
    write_order_identity(state, h.alias_slot, identity);
    OrderState presence{};
    presence.updated_ns = h.time_ns;
    presence.last_alias = presence.pending_alias = presence.last_execution = kNoSlot;
    state.orders[h.alias_slot].state.store(h.seq, presence);
    store_relaxed(state.log->next_order, h.alias_slot + 1ULL);
    CRASH_POINT("alias");
    insert_word(state.order_index, state.geometry.order_index, order_hash(h.account, event.id), h.alias_slot);
    CRASH_POINT("alias index");
}

void apply_new_execution(State& state, const LifeEvent& event) noexcept {
    const EventHeader& h = event.header;
    ExecutionSlot& slot = state.executions[h.execution_slot];
    store_relaxed(slot.identity.seq, kBeingWritten);
    fence_release();
    ExecutionIdentity identity{};
    identity.id = event.id;
    identity.order_slot = h.order_slot;
    identity.previous = event.after.execution_previous;
    identity.time_ns = h.time_ns;
    copy_words_in(slot.identity, identity);
    store_release(slot.identity.seq, h.seq);
    CRASH_POINT("execution identity");
    ExecutionState booked{};
    booked.price = event.price;
    booked.quantity = event.quantity;
    booked.status = ExecutionStatus::booked;
    slot.state.store(h.seq, booked);
    store_relaxed(state.log->next_execution, h.execution_slot + 1ULL);
    CRASH_POINT("execution");
    insert_word(state.execution_index, state.geometry.execution_index, execution_hash(h.order_slot, event.id),
                h.execution_slot);
    CRASH_POINT("execution index");
}

/// A bust or a correction changes the execution that it names; a correction under the same id keeps it booked.
void apply_execution_change(State& state, const LifeEvent& event) noexcept {
    const EventHeader& h = event.header;
    state.executions[h.execution_ref].state.update(h.seq, [&](ExecutionState& next) {
        if (h.type == EventType::bust) {
            next.status = ExecutionStatus::busted;
        } else if (h.execution_slot != kNoSlot) {
            next.status = ExecutionStatus::corrected;
            next.successor = h.execution_slot;
        } else {
            next.price = event.price;
            next.quantity = event.quantity;
        }
    });
    CRASH_POINT("execution change");
}

void apply_venue_id(State& state, const LifeEvent& event) noexcept {
    VenueId& venue = state.orders[event.header.order_slot].venue;
    VenueId value{};
    value.id = event.id;
    store_relaxed(venue.seq, kBeingWritten);
    fence_release();
    copy_words_in<1>(venue, value);
    store_release(venue.seq, event.header.seq);
    CRASH_POINT("venue id");
}

void apply_firm_reducing(State& state, const EventHeader& header, TradingState previous) noexcept {
    static constexpr Reason reason = make_reason("an execution could not be remembered: the table is full");
    apply_state(state, header, {state.geometry.firm_row(), TradingState::reducing_only, previous, 0, &reason});
}

void apply_life(State& state, const LifeEvent& event) noexcept {
    const EventHeader& h = event.header;
    apply_order_state(state, event);
    if (h.alias_slot != kNoSlot) apply_alias(state, event);
    if ((h.flags & kVenueIdSet) != 0) apply_venue_id(state, event);
    apply_rows(state, h, event.delta);
    const bool fill = event.after.numbers == LifeNumbers::fill;
    const bool trade = fill || event.after.numbers == LifeNumbers::trade;
    apply_values(state, h, {event.values, trade ? event.third : 0, 0, fill, event.price}, true);
    count_messages(state, h, event.after.metered);
    count_breaker(state, h, event.after.breaker);
    if ((h.flags & kFirmReducing) != 0) apply_firm_reducing(state, h, event.after.firm_previous);
    const bool changes_execution = h.type == EventType::bust || h.type == EventType::correct;
    if (changes_execution && h.execution_ref != kNoSlot) apply_execution_change(state, event);
    if (h.execution_slot != kNoSlot) apply_new_execution(state, event);
}

void apply_quarantined(State& state, const QuarantineEvent& event) noexcept {
    const EventHeader& h = event.header;
    if (event.booked != 0) {
        const std::int64_t cash = cash_flow_of(h.side, event.price, event.delta.traded_notional);
        apply_rows(state, h, event.delta);
        apply_values(state, h, {event.values, cash, 0, true, event.price}, true);
    }
    if ((h.flags & kFirmReducing) != 0) apply_firm_reducing(state, h, event.firm_previous);
    store_relaxed(state.status->quarantined_events, event.count_after);
    if (event.slot == kNoSlot) return;
    QuarantineSlot& slot = state.quarantine[event.slot];
    QuarantineSlot value{};
    value.order_id = event.order_id;
    value.exec_id = event.exec_id;
    value.price = event.price;
    value.quantity = event.quantity;
    value.time_ns = h.time_ns;
    value.instrument = h.instrument;
    value.account = h.account;
    value.event_type = static_cast<std::uint8_t>(event.reported);
    value.side = h.side;
    value.booked = event.booked;
    store_relaxed(slot.seq, kBeingWritten);
    fence_release();
    copy_words_in<1>(slot, value);
    store_release(slot.seq, h.seq);
    store_relaxed(state.log->next_quarantine, event.slot + 1ULL);
    CRASH_POINT("quarantine");
    insert_word(state.quarantine_index, state.geometry.quarantine_index,
                quarantine_hash(h.account, event.order_id, event.exec_id, event.reported), event.slot);
}

/// Only the flag: who halted the firm, and why, stays readable.
void apply_recovered(State& state, const StateEvent& event) noexcept {
    state.rows[event.row].control.update(
        event.header.seq, [&](RowControl& next) { next.flags = static_cast<std::uint8_t>(next.flags | event.set_flags); });
    CRASH_POINT("recovered");
    store_relaxed(state.status->recovered_ns, static_cast<std::uint64_t>(event.header.time_ns));
    store_relaxed(state.status->recovered_steady_ns, static_cast<std::uint64_t>(event.header.steady_ns));
    store_relaxed(state.status->recovered_seq, event.header.seq);
    if (state.keeps_derived) forget_times(state);
    store_release(state.status->state_epoch, event.header.seq);
}

void apply_limits(State& state, const LimitsEvent& event) noexcept {
    state.rows[event.row].control.update(event.header.seq, [&](RowControl& next) {
        const RowControl now = next;
        next = event.after;
        next.state = now.state;
        next.flags = now.flags;
        // Those belong to the risk limits, and change with them.
        next.set = static_cast<std::uint16_t>((next.set & ~kRiskLimitKinds) | (now.set & kRiskLimitKinds));
    });
    CRASH_POINT("limits");
}

void apply_risk_limits(State& state, const RiskLimitsEvent& event) noexcept {
    const EventHeader& h = event.header;
    RowRisk& row = state.rows_risk[event.row];
    row.limits.store(h.seq, event.after);
    row.meters.update(h.seq, [&](RowMeters& next) {
        if ((event.resets & 1U) != 0) next.messages = 0;
        if ((event.resets & 2U) != 0) next.all_messages = 0;
        if (event.resets != 0) next.since_seq = h.seq;
        next.since_ns = event.since_ns;
        next.messages_ring = event.messages_ring;
        next.all_ring = event.all_ring;
        next.messages_stride = event.messages_stride;
        next.all_stride = event.all_stride;
    });
    CRASH_POINT("risk limits");
    state.rows[event.row].control.update(
        h.seq, [&](RowControl& next) { next.set = static_cast<std::uint16_t>((next.set & ~kRiskLimitKinds) | event.kinds); });
    store_relaxed(state.status->next_budget_ring, event.next_budget_ring);
    CRASH_POINT("risk limit kinds");
}

void apply_position(State& state, const PositionEvent& event) noexcept {
    const EventHeader& h = event.header;
    apply_counters(state, h, event.delta);
    for (const std::uint32_t row : rows_of_event(state, h)) {
        state.rows_cold[row].day.update(h.seq, [&](RowDay& next) {
            bool saturated = false;
            next.start_position = base::add_saturating(next.start_position, event.delta.position, saturated);
            if (saturated) next.flags |= kRowSaturated;
        });
        CRASH_POINT("start position");
    }
    apply_values(state, h, {event.values, 0, event.start_value, true, event.price}, true);
}

void apply_marked(State& state, const MarkedEvent& event) noexcept {
    const auto add = [&](std::uint32_t row, bool marks) {
        state.rows_risk[row].value.update(event.header.seq, [&](RowValue& next) {
            bool saturated = false;
            if (marks) next.mark = event.mark, next.flags |= kPriced | kMarked;
            add_value(next.gross_value, event.gross, saturated);
            add_value(next.net_value, event.net, saturated);
            next.peak = std::max(next.peak, pnl_of(next));
            if (saturated) next.flags |= kValueSaturated;
        });
        CRASH_POINT("marked");
    };
    add(event.row, true);
    add(event.total_row, false);
}

void apply_restriction(State& state, const RestrictionEvent& event) noexcept {
    const std::uint64_t seq = event.header.seq;
    state.restrictions[event.slot].state.update(seq, [&](RestrictionRecord& next) {
        const RestrictionRecord& after = event.after;
        const bool again = after.sides != 0 && next.sides == after.sides && next.row == after.row &&
                           next.from_ns == after.from_ns && next.to_ns == after.to_ns;
        // As with a halt: the first says why.
        const Reason first = next.reason;
        next = after;
        if (again) next.reason = first;
    });
    CRASH_POINT("restriction");
    state.rows[event.after.row].control.update(seq, [&](RowControl& next) {
        next.flags =
            static_cast<std::uint8_t>(event.row_restricted != 0 ? next.flags | kRestricted : next.flags & ~kRestricted);
    });
    CRASH_POINT("restricted row");
}

void apply_approval(State& state, const ApprovalEvent& event) noexcept {
    ApprovalRecord record = event.after;
    record.request = event.header.seq;
    state.approvals[event.slot].state.store(event.header.seq, record);
    CRASH_POINT("approval");
}

void apply_approved(State& state, const StateEvent& event) noexcept {
    if (event.approves == 0) return;
    state.approvals[event.approves - 1].state.update(event.header.seq, [&](ApprovalRecord& next) {
        next.status = ApprovalStatus::approved;
        next.verified = event.verified;
    });
    CRASH_POINT("approved");
}

void apply_alert(State& state, const AlertEvent& event) noexcept {
    RowAlerts alerts{};
    alerts.levels = event.levels_after;
    state.rows_risk[event.row].alerts.store(event.header.seq, alerts);
    CRASH_POINT("alert");
}

/// The live segment of a day that has ended takes nothing any more; what its tables become is core/roll.hpp.
void apply_rolled(State& state, const RolledEvent& event) noexcept {
    store_release(state.status->state_epoch, event.header.seq);
    store_release(state.header->state, static_cast<std::uint64_t>(SegmentState::rolled));
    CRASH_POINT("rolled");
}

void apply_session(State& state, const SessionEvent& event) noexcept {
    const EventHeader& h = event.header;
    SessionSlot& slot = state.sessions[h.session];
    SessionRecord next = slot.record.newest();
    StrategyState strategy{};
    strategy.session = h.session;
    strategy.generation = h.generation;
    switch (h.type) {
        case EventType::session_attached:
            next = SessionRecord{};
            next.attached_ns = h.time_ns;
            next.pid_start = event.pid_start;
            next.pid = event.pid;
            next.generation = h.generation;
            next.uid = event.uid;
            next.strategy = h.strategy;
            strategy.status = SessionStatus::attached;
            break;
        case EventType::session_detached: strategy.status = SessionStatus::detached; break;
        case EventType::session_dead: strategy.status = SessionStatus::dead; break;
        default: strategy.status = SessionStatus::fenced; break;
    }
    next.status = strategy.status;
    next.ended_ns = h.type == EventType::session_attached ? 0 : h.time_ns;
    slot.record.store(h.seq, next);
    CRASH_POINT("session record");
    if (event.is_current != 0) state.strategies[h.strategy].state.store(h.seq, strategy);
    if (event.row != kNoSlot) apply_state(state, h, {event.row, event.state, event.previous, event.uid, &event.reason});
    if (h.type == EventType::session_attached) store_relaxed(state.log->next_generation, h.generation + 1ULL);
    store_release(slot.word, session_word(h.generation, strategy.status));
    CRASH_POINT("session word");
}

void apply_reference_owner(State& state, const EventHeader& header) noexcept {
    ReferenceOwner owner{};
    owner.session = header.session;
    owner.generation = header.generation;
    state.references[header.instrument].owner.store(header.seq, owner);
}

void apply_records(State& state, const Event& event) noexcept {
    if ((event.header.flags & kNoChange) != 0) return;
    switch (event.header.type) {
        case EventType::registered: return apply_registered(state, event.registered);
        case EventType::quarantined: return apply_quarantined(state, event.quarantine);
        case EventType::recovered: return apply_recovered(state, event.state);
        case EventType::state_changed:
        case EventType::reconciled: {
            const StateEvent& e = event.state;
            apply_approved(state, e);
            return apply_state(state, e.header, {e.row, e.state, e.previous, e.uid, &e.reason, e.set_flags, e.clear_flags});
        }
        case EventType::limits_changed: return apply_limits(state, event.limits);
        case EventType::risk_limits_changed: return apply_risk_limits(state, event.risk_limits);
        case EventType::position_loaded: return apply_position(state, event.position);
        case EventType::marked: return apply_marked(state, event.marked);
        case EventType::restricted_changed: return apply_restriction(state, event.restriction);
        case EventType::resume_requested: return apply_approval(state, event.approval);
        case EventType::alert: return apply_alert(state, event.alert);
        case EventType::rolled: return apply_rolled(state, event.rolled);
        case EventType::session_attached:
        case EventType::session_detached:
        case EventType::session_dead:
        case EventType::session_fenced: return apply_session(state, event.session);
        case EventType::reference_owner: return apply_reference_owner(state, event.header);
        case EventType::denied: return count_messages(state, event.header, event.denied.metered);
        case EventType::clock_set:
        case EventType::journal_gap:
        case EventType::none: return;
        default: return apply_life(state, event.life);
    }
}

bool is_whole(const State& state, std::uint64_t seq) noexcept {
    const Event& event = state.ring_slot(seq);
    return load_acquire(event.header.seq) == seq && is_sized(event.header) && event.header.checksum == checksum_of(event, seq);
}

}  // namespace

const Event& write_event(Exclusive tables, Event& event, std::uint64_t offset) noexcept {
    State& state = tables.state();
    const std::uint64_t seq = load_relaxed(state.log->committed) + 1 + offset;
    Event& slot = state.ring_slot(seq);
    const std::uint64_t checksum = checksum_of(event, seq);
    if (&event == &slot) {
        CRASH_POINT("event built");
        store_relaxed(slot.header.checksum, checksum);
    } else {
        // Built in a slot that is not the next one: something was committed between, and is gone now.
        ENFORCE(!state.is_ring_slot(event));
        // A lapped reader of the slot's old event must be able to tell: its sequence goes first.
        store_relaxed(slot.header.seq, kBeingWritten);
        fence_release();
        event.header.seq = seq;
        event.header.checksum = checksum;
        copy_event_in(slot, event);
    }
    if ((event.header.flags & kClockAhead) != 0) [[unlikely]]
        count_up(state.status->clocks_ahead);
    store_release(slot.header.seq, seq);
    CRASH_POINT("event written");
    return slot;
}

void add_flags(Event& event, std::uint32_t flags) noexcept {
    static_assert(offsetof(EventHeader, flags) % 8 == 0);
    std::uint64_t& word = event.words[offsetof(EventHeader, flags) / 8];
    store_relaxed(word, load_relaxed(word) | flags);
}

void commit(Exclusive tables, std::uint64_t seq) noexcept {
    store_release(tables.state().log->committed, seq);
    // A release store is a one-way barrier: without this fence apply's stores may move above it.
    fence_release();
    CRASH_POINT("committed");
}

namespace {

/// Repeating it changes nothing: the greatest of the same.
void keep_lead(State& state, const EventHeader& header) noexcept {
    std::int64_t lead_ns = 0;
    if (__builtin_sub_overflow(header.time_ns, header.steady_ns, &lead_ns)) [[unlikely]]
        lead_ns = header.time_ns < 0 ? std::numeric_limits<std::int64_t>::min() : base::kMaxInt64;
    auto& word = reinterpret_cast<std::uint64_t&>(state.status->label_lead_ns);
    const bool begins = header.type == EventType::clock_set || header.type == EventType::recovered;
    if (lead_ns > static_cast<std::int64_t>(load_relaxed(word)) || begins) [[unlikely]]
        store_relaxed(word, static_cast<std::uint64_t>(lead_ns));
}

}  // namespace

void apply(State& state, const Event& event) noexcept {
    apply_records(state, event);
    keep_lead(state, event.header);
    store_relaxed(state.log->last_time_ns, static_cast<std::uint64_t>(event.header.time_ns));
    store_relaxed(state.log->last_steady_ns, static_cast<std::uint64_t>(event.header.steady_ns));
    CRASH_POINT("records applied");
    store_release(state.log->applied, event.header.seq);
    CRASH_POINT("applied");
}

void execute(Exclusive tables, Event& event) noexcept {
    write_event(tables, event);
    commit(tables, event.header.seq);
    apply(tables.state(), event);
}

void execute_all(Exclusive tables, Event& event, std::span<Event> more) noexcept {
    if (more.empty()) return execute(tables, event);
    add_flags(event, kBatchMember);
    write_event(tables, event, 0);
    for (std::size_t i = 0; i < more.size(); ++i) {
        add_flags(more[i], i + 1 == more.size() ? kBatchEnd : kBatchMember);
        write_event(tables, more[i], i + 1);
    }
    commit(tables, more.back().header.seq);
    apply(tables.state(), event);
    for (const Event& next : more) apply(tables.state(), next);
}

namespace {

Behind how_far_behind(std::uint64_t applied, std::uint64_t committed) noexcept {
    if (committed == applied) return Behind::nothing;
    return committed < applied || committed - applied > kMaxRedo ? Behind::impossible : Behind::some;
}

bool are_whole(const State& state, std::uint64_t applied, std::uint64_t committed) noexcept {
    for (std::uint64_t seq = applied + 1; seq <= committed; ++seq)
        if (!is_whole(state, seq)) return false;
    return true;
}

}  // namespace

RepairCase repair(State& state) noexcept {
    const std::uint64_t committed = load_acquire(state.log->committed);
    const std::uint64_t applied = load_relaxed(state.log->applied);
    const bool magic = load_relaxed(state.header->magic) == kMagic;
    const Behind behind = how_far_behind(applied, committed);
    // Elsewhere nothing says which slots to look at, and no row asks.
    const bool whole = magic && behind == Behind::some && are_whole(state, applied, committed);
    const RepairCase found = repair_case(magic, behind, whole);
    if (found != RepairCase::r2_redone) return found;
    // For readers what the dead owner wrote comes before what is written here, as `commit` has it among the living.
    fence_release();
    for (std::uint64_t seq = applied + 1; seq <= committed; ++seq) apply(state, state.ring_slot(seq));
    store_relaxed(state.status->redone, load_relaxed(state.status->redone) + (committed - applied));
    return found;
}

}  // namespace riskreg::core
