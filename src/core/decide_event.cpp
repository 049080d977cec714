// Facts from the venue: every cell of the tables in semantics.md 13 and 14. Nothing here refuses (INV-8).
#include "core/life.hpp"
#include "core/meter.hpp"
#include "core/value.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

/// One fact being decided.
struct Fact {
    const State& state;
    const Caller& caller;
    const OrderEvent& input;
    EventHeader header;
    base::FixedId id{};                 // stored with the event: exec id, venue id or text
    bool unremembered = false;          // the execution table is full
};

EventType type_of(EventKind kind) noexcept {
    switch (kind) {
        case EventKind::acked: return EventType::acked;
        case EventKind::rejected: return EventType::rejected;
        case EventKind::canceled: return EventType::canceled;
        case EventKind::cancel_rejected: return EventType::cancel_rejected;
        case EventKind::replaced: return EventType::replaced;
        case EventKind::replace_rejected: return EventType::replace_rejected;
        case EventKind::expired: return EventType::expired;
        case EventKind::done_for_day: return EventType::done_for_day;
        case EventKind::suspended: return EventType::suspended;
        case EventKind::resumed: return EventType::resumed;
        case EventKind::timed_out: return EventType::timed_out;
        case EventKind::filled: return EventType::filled;
        case EventKind::bust: return EventType::bust;
        case EventKind::correct: return EventType::correct;
        case EventKind::none: break;
    }
    return EventType::none;
}

bool held_as_failed(OrderBase base) noexcept { return base == OrderBase::rejected || base == OrderBase::aborted; }

/// Contradiction (rule 3): the venue knows an order that we hold as dead. It lives again, by what is filled.
void revive(Life& life) noexcept {
    life.anomaly(kContradiction);
    life.after.base = OrderBase::new_;
    life.after.base = life.after.cum_quantity >= life.after.quantity ? OrderBase::filled : life.live_base_by_cum();
}

/// Stores the venue's id once; a different one later is an anomaly. True when it was stored now.
bool take_venue_id(Fact& fact, Life& life) noexcept {
    if (fact.input.venue_id.empty()) return false;
    const VenueId& known = fact.state.orders[life.slot].venue;
    const base::FixedId id = base::make_id(fact.input.venue_id);
    if (load_relaxed(known.seq) != 0) {
        if (known.id != id) life.anomaly(kVenueIdDiffers);
        return false;
    }
    fact.id = id;
    fact.header.flags |= kVenueIdSet;
    return true;
}

void on_acked(Fact& fact, Life& life) noexcept {
    const OrderBase base = life.now->base;
    if (held_as_failed(base)) {
        revive(life);
        take_venue_id(fact, life);
    } else if (is_live(base)) {
        const bool stored = take_venue_id(fact, life);
        life.changed = stored || base == OrderBase::pending_new || life.has(kUnknown) || life.result == Result::anomaly;
        if (base == OrderBase::pending_new) life.after.base = OrderBase::new_;
        life.clear(kUnknown);
    } else if (base == OrderBase::filled && take_venue_id(fact, life)) {
        life.result = Result::ok;
    } else if (life.result != Result::anomaly) {
        life.ignore_late();
    }
}

void on_rejected(Fact&, Life& life) noexcept {
    const OrderBase base = life.now->base;
    if (base == OrderBase::filled) return life.anomaly(kContradiction);
    if (!is_live(base)) return life.ignore_late();
    const bool executed = life.after.cum_quantity > 0 || base == OrderBase::partially_filled;
    if (executed) life.anomaly(kContradiction);
    life.breaker = Breaker::rejects;
    life.end(executed ? OrderBase::canceled : OrderBase::rejected);
}

void end_live(Life& life, OrderBase base) noexcept {
    if (!is_live(life.now->base)) return life.ignore_late();
    life.end(base);
}

void on_cancel_rejected(Fact& fact, Life& life) noexcept {
    if (!is_live(life.now->base)) return life.ignore_late();
    life.changed = life.has(kPendingCancel) || fact.input.venue_knows_no_such_order;
    life.clear(kPendingCancel);
    // Releasing the reservation here is the classic mistake: the order may well be live (section 14).
    if (fact.input.venue_knows_no_such_order) life.set(kUnknown);
}

/// What a replacement that the venue confirmed reserves at.
std::int64_t replaced_reserve_price(const Fact& fact, const Life& life, std::int64_t price) noexcept {
    const OrderType type = life.identity->type;
    if (life.has(kPendingReplace) && price == life.now->pending_price) return life.now->pending_reserved_price;
    const bool by_limit = needs_price(type);
    if (price == life.now->price || !by_limit) return life.now->reserved_price;
    const Reference reference = reference_of(fact.state, life.identity->instrument, fact.caller.steady_ns);
    return limit_reserve_price(fact.state, life.identity->side, price, reference).value_or(base::kMaxInt64);
}

/// False when neither the event nor a pending request says what the new values are.
bool on_replaced(Fact& fact, Life& life) noexcept {
    const bool pending = life.has(kPendingReplace);
    if (!pending && !(fact.input.price && fact.input.quantity)) return false;
    const std::int64_t price = fact.input.price ? fact.input.price->value : life.now->pending_price;
    const std::int64_t quantity = fact.input.quantity ? fact.input.quantity->value : life.now->pending_quantity;
    life.after.reserved_price = replaced_reserve_price(fact, life, price);
    life.after.price = price;
    life.after.quantity = quantity;
    life.numbers = LifeNumbers::live;
    if (pending && life.after.pending_alias != kNoSlot) life.after.last_alias = life.after.pending_alias;
    life.drop_pending_replace();
    life.clear(kUnknown);
    const bool leaves = quantity > life.after.cum_quantity;
    const OrderBase base = life.now->base;
    if (is_live(base)) {
        if (!leaves) life.end(OrderBase::filled);
        else if (base == OrderBase::pending_new) life.after.base = life.live_base_by_cum();
    } else if (base == OrderBase::filled) {
        if (leaves) life.after.base = OrderBase::partially_filled;
    } else {
        life.anomaly(kContradiction);
        if (leaves) life.after.base = OrderBase::new_, life.after.base = life.live_base_by_cum();
    }
    take_venue_id(fact, life);
    return true;
}

void on_replace_rejected(Fact&, Life& life) noexcept {
    if (!is_live(life.now->base)) return life.ignore_late();
    life.changed = life.has(kPendingReplace) || life.has(kUnknown);
    life.drop_pending_replace();
    life.clear(kUnknown);
    const bool done = life.after.quantity <= life.after.cum_quantity;
    if (done) life.end(OrderBase::filled);
    life.changed |= done;
}

void on_suspended(Fact&, Life& life) noexcept {
    const OrderBase base = life.now->base;
    if (!is_live(base)) return life.anomaly(kContradiction);
    life.changed = base == OrderBase::new_ || base == OrderBase::partially_filled || life.has(kUnknown);
    if (base != OrderBase::pending_new) life.after.base = OrderBase::suspended;
    life.clear(kUnknown);
}

void on_resumed(Fact&, Life& life) noexcept {
    const OrderBase base = life.now->base;
    if (!is_live(base)) return life.anomaly(kContradiction);
    life.changed = base == OrderBase::suspended || life.has(kUnknown);
    life.clear(kUnknown);
    if (base != OrderBase::suspended) return;
    life.after.base = OrderBase::new_;
    life.after.base = life.live_base_by_cum();
}

void on_timed_out(Fact&, Life& life) noexcept {
    if (!is_live(life.now->base)) return life.ignore_late();
    life.changed = !life.has(kUnknown);
    life.set(kUnknown);
}

/// Adds to cum and position; a sum beyond 64 bits saturates with a flag.
void book(Life& life, std::int64_t quantity) noexcept {
    bool saturated = false;
    life.after.cum_quantity = std::max<std::int64_t>(base::add_saturating(life.after.cum_quantity, quantity, saturated), 0);
    life.position = life.identity->side == Side::buy ? quantity : -quantity;
    if (saturated) life.anomaly(kSaturated);
}

/// Takes the slot of a new execution; without room the fill is booked all the same (architecture.md, Data).
void remember_execution(Fact& fact, Life& life) noexcept {
    const auto next = static_cast<std::uint32_t>(load_relaxed(fact.state.log->next_execution));
    if (next < fact.state.geometry.executions) {
        fact.header.execution_slot = next;
        life.after.execution_previous = life.after.last_execution;
        life.after.last_execution = next;
        return;
    }
    fact.unremembered = true;
    life.anomaly(kExecUnremembered);
}

std::int64_t notional_of(const Fact& fact, const Life& life, std::int64_t price, std::int64_t quantity) noexcept {
    return base::notional(price, quantity, factor_of(fact.state, life.identity->instrument)).value_or(base::kMaxInt64);
}

/// Money that a fill brings in: a sale, or a purchase at a negative price.
std::int64_t cash_of(const Fact& fact, const Life& life, std::int64_t price, std::int64_t quantity) noexcept {
    return cash_flow_of(life.identity->side, price, notional_of(fact, life, price, quantity));
}

/// What the event says of its trade, also when nothing was booked.
void name_trade(Life& life, std::int64_t price, std::int64_t quantity) noexcept {
    life.numbers = LifeNumbers::trade;
    life.trade.price = price;
    life.trade.quantity = quantity;
}

/// Base of a live order after its cum changed: an end when nothing is left and no greater replace is pending.
void settle_live(Life& life) noexcept {
    const std::int64_t cum = life.after.cum_quantity;
    if (cum > life.greatest_total()) life.anomaly(kOverfill);
    if (cum < life.after.quantity || cum < life.greatest_total()) {
        life.after.base = life.live_base_by_cum();
        return;
    }
    life.end(OrderBase::filled);
}

bool was_booked_in_quarantine(const Fact& fact) noexcept {
    if (load_relaxed(fact.state.log->next_quarantine) == 0) return false;
    const auto account = static_cast<std::uint16_t>(fact.input.account);
    const std::uint32_t slot =
        find_quarantined(fact.state, account, base::make_id(fact.input.id), fact.id, EventType::filled).slot;
    return slot != kNoSlot && fact.state.quarantine[slot].booked != 0;
}

void on_filled(Fact& fact, Life& life) noexcept {
    const OrderEvent& input = fact.input;
    const std::int64_t price = input.price.value_or(Price{}).value;
    const std::int64_t quantity = input.quantity.value_or(Quantity{}).value;
    name_trade(life, price, quantity);
    fact.id = base::make_id(input.exec_id);
    const Found known = find_execution(fact.state, life.slot, fact.id);
    if (known.slot != kNoSlot) {
        const ExecutionState& booked = fact.state.executions[known.slot].state.newest();
        const bool differs = booked.price != price || booked.quantity != quantity;
        if (differs) life.remarks |= kExecDiffers;
        fact.header.execution_ref = known.slot;
        life.result = Result::duplicate;
        life.changed = false;
        return;
    }
    // It came before its order was registered, and was booked under `external` then (INV-8).
    if (was_booked_in_quarantine(fact)) {
        life.remarks |= kExternal;
        life.result = Result::duplicate;
        life.changed = false;
        return;
    }
    remember_execution(fact, life);
    book(life, quantity);
    life.traded_notional = notional_of(fact, life, price, quantity);
    life.trade.cash_flow = cash_of(fact, life, price, quantity);
    life.numbers = LifeNumbers::fill;
    life.breaker = life.identity->side == Side::buy ? Breaker::buys : Breaker::sells;
    life.clear(kUnknown);
    const bool other_side = input.side != Side::none && input.side != life.identity->side;
    const bool other_instrument =
        input.instrument != InstrumentId::none && static_cast<std::uint32_t>(input.instrument) != life.identity->instrument;
    if (other_side || other_instrument) life.anomaly(kContradiction);
    const OrderBase base = life.now->base;
    if (is_live(base)) return settle_live(life);
    if (base == OrderBase::filled) return life.anomaly(kOverfill);
    if (!held_as_failed(base)) return life.anomaly(kLateFill);
    if (life.after.cum_quantity > life.after.quantity) life.anomaly(kOverfill);
    revive(life);
}

/// A bust or correction lowered or raised cum by `change`; the base follows (semantics.md 14).
void recompute(const Fact& fact, Life& life, std::int64_t change) noexcept {
    book(life, change);
    const OrderBase base = life.now->base;
    const bool leaves = life.after.cum_quantity < life.after.quantity;
    if (is_live(base)) return settle_live(life);
    if (base != OrderBase::filled) return;
    if (life.after.cum_quantity > life.after.quantity && change > 0) life.anomaly(kOverfill);
    if (!leaves) return;
    if (!fact.input.reopened) return life.end(OrderBase::canceled);
    life.after.base = OrderBase::new_;
    life.after.base = life.live_base_by_cum();
}

/// The execution that a bust or correction means; kNoSlot when the order has none of that id. Venues go on naming the
/// first id of a trade that was corrected: what was booked in its place is meant.
std::uint32_t meant_execution(const Fact& fact, const Life& life) noexcept {
    std::uint32_t slot = find_execution(fact.state, life.slot, base::make_id(fact.input.exec_id)).slot;
    while (slot != kNoSlot) {
        const ExecutionState& execution = fact.state.executions[slot].state.newest();
        // A successor is always a later slot, so this ends.
        if (execution.status != ExecutionStatus::corrected || execution.successor <= slot) return slot;
        slot = execution.successor;
    }
    return slot;
}

/// The same correction or bust once more.
bool is_repeated(const Fact& fact, const Life& life, std::uint32_t execution) noexcept {
    const OrderEvent& input = fact.input;
    const bool busted =
        execution != kNoSlot && fact.state.executions[execution].state.newest().status == ExecutionStatus::busted;
    if (input.kind == EventKind::bust) return busted;
    const bool new_id = !input.new_exec_id.empty() && input.new_exec_id != input.exec_id;
    return new_id && find_execution(fact.state, life.slot, base::make_id(input.new_exec_id)).slot != kNoSlot;
}

/// `suspended` behaves as `new` while nothing is filled.
bool never_executed(const OrderState& order) noexcept {
    const OrderBase base = order.base;
    return base == OrderBase::pending_new || base == OrderBase::new_ || base == OrderBase::aborted ||
           (base == OrderBase::suspended && order.cum_quantity == 0);
}

void on_bust(Fact& fact, Life& life, std::uint32_t execution) noexcept {
    const ExecutionState& booked = fact.state.executions[execution].state.newest();
    fact.header.execution_ref = execution;
    fact.id = base::make_id(fact.input.exec_id);
    name_trade(life, booked.price, booked.quantity);
    life.set(kBusted);
    life.traded_notional = -notional_of(fact, life, booked.price, booked.quantity);
    life.trade.cash_flow = -cash_of(fact, life, booked.price, booked.quantity);
    recompute(fact, life, -booked.quantity);
}

void on_correct(Fact& fact, Life& life, std::uint32_t execution) noexcept {
    const ExecutionState& booked = fact.state.executions[execution].state.newest();
    fact.header.execution_ref = execution;
    const std::int64_t price = fact.input.price.value_or(Price{}).value;
    const std::int64_t quantity = fact.input.quantity.value_or(Quantity{}).value;
    name_trade(life, price, quantity);
    const bool same_id = fact.input.new_exec_id.empty() || fact.input.new_exec_id == fact.input.exec_id;
    fact.id = base::make_id(same_id ? fact.input.exec_id : fact.input.new_exec_id);
    if (!same_id) remember_execution(fact, life);
    life.traded_notional = notional_of(fact, life, price, quantity) - notional_of(fact, life, booked.price, booked.quantity);
    bool saturated = false;
    life.trade.cash_flow = base::add_saturating(cash_of(fact, life, price, quantity),
                                                -cash_of(fact, life, booked.price, booked.quantity), saturated);
    life.numbers = LifeNumbers::fill;
    recompute(fact, life, quantity - booked.quantity);
}

enum class Taken : std::uint8_t { yes, quarantine, missing_values };

/// Bust and correct: what they name decides.
Taken on_trade_change(Fact& fact, Life& life) noexcept {
    const std::uint32_t execution = meant_execution(fact, life);
    const bool is_bust = fact.input.kind == EventKind::bust;
    if (is_repeated(fact, life, execution)) {
        life.result = Result::duplicate;
        life.changed = false;
        return Taken::yes;
    }
    const bool counts =
        execution != kNoSlot && fact.state.executions[execution].state.newest().status == ExecutionStatus::booked;
    if (!counts) {
        if (!never_executed(*life.now)) return Taken::quarantine;
        life.anomaly(kContradiction);
        return Taken::yes;
    }
    is_bust ? on_bust(fact, life, execution) : on_correct(fact, life, execution);
    return Taken::yes;
}

Taken dispatch(Fact& fact, Life& life) noexcept {
    switch (fact.input.kind) {
        case EventKind::acked: return on_acked(fact, life), Taken::yes;
        case EventKind::rejected: return on_rejected(fact, life), Taken::yes;
        case EventKind::canceled: return end_live(life, OrderBase::canceled), Taken::yes;
        case EventKind::expired: return end_live(life, OrderBase::expired), Taken::yes;
        case EventKind::done_for_day: return end_live(life, OrderBase::done_for_day), Taken::yes;
        case EventKind::cancel_rejected: return on_cancel_rejected(fact, life), Taken::yes;
        case EventKind::replaced: return on_replaced(fact, life) ? Taken::yes : Taken::missing_values;
        case EventKind::replace_rejected: return on_replace_rejected(fact, life), Taken::yes;
        case EventKind::suspended: return on_suspended(fact, life), Taken::yes;
        case EventKind::resumed: return on_resumed(fact, life), Taken::yes;
        case EventKind::timed_out: return on_timed_out(fact, life), Taken::yes;
        case EventKind::filled: return on_filled(fact, life), Taken::yes;
        case EventKind::bust:
        case EventKind::correct: return on_trade_change(fact, life);
        case EventKind::none: break;
    }
    return Taken::missing_values;
}

/// Rule 5: the venue's cumulative quantity against ours. Greater: that part stays reserved until the fills
/// arrive. Smaller: the report is stale, which matters when it ends the order.
void compare_cum(const Fact& fact, Life& life) noexcept {
    OrderDraft& after = life.after;
    const auto& reported = fact.input.cum_quantity;
    if (reported && reported->value > after.cum_quantity) {
        after.reported_cum = std::max(after.reported_cum, reported->value);
        life.set(kGap);
        if (life.result != Result::duplicate) life.result = Result::anomaly;
        life.changed = true;
    } else if (reported && reported->value < after.cum_quantity) {
        life.remarks |= kStaleReport;
        const bool ends = !life.live() && is_live(life.now->base) && fact.input.kind != EventKind::filled;
        if (ends) life.result = Result::anomaly;
    }
    if (after.reported_cum > after.cum_quantity || after.reported_cum == 0) return;
    after.reported_cum = 0;
    life.clear(kGap);
}

TradingState firm_state(const State& state) noexcept { return state.rows[state.geometry.firm_row()].control.newest().state; }

void finish(Fact& fact, Life& life, Decision& out) noexcept {
    compare_cum(fact, life);
    if (!set_reservation(life, factor_of(fact.state, life.identity->instrument))) life.anomaly(kSaturated);
    if (fact.unremembered && firm_state(fact.state) < TradingState::reducing_only) {
        fact.header.flags |= kFirmReducing;
        life.after.firm_previous = firm_state(fact.state);
    }
    write_life(fact.state, life, fact.header, fact.id, out);
}

bool moves_money(EventKind kind) noexcept {
    return kind == EventKind::filled || kind == EventKind::bust || kind == EventKind::correct;
}

/// A slot for a quarantined event. Events without money may use half of the table only.
std::uint32_t quarantine_slot(const State& state, bool money) noexcept {
    const auto next = static_cast<std::uint32_t>(load_relaxed(state.log->next_quarantine));
    return next < (money ? state.geometry.quarantine : state.geometry.quarantine / 2) ? next : kNoSlot;
}

/// Rule 4: never dropped. A fill that names account, instrument and side moves a position under `external`.
void quarantine(const State& state, const Caller& caller, const OrderEvent& input, Decision& out) noexcept {
    const Geometry& g = state.geometry;
    const bool money = moves_money(input.kind);
    QuarantineEvent event{};
    event.header = header_of(state, EventType::quarantined, caller);
    event.header.account = static_cast<std::uint16_t>(input.account);
    event.header.strategy = state.external_strategy();
    event.header.instrument = static_cast<std::uint32_t>(input.instrument);
    event.header.side = input.side;
    event.header.result = Result::quarantined;
    event.order_id = base::make_id(input.id);
    if (money) event.exec_id = base::make_id(input.exec_id);
    const bool valued =
        input.kind == EventKind::filled || input.kind == EventKind::correct || input.kind == EventKind::replaced;
    if (valued) event.price = input.price.value_or(Price{}).value;
    if (valued) event.quantity = input.quantity.value_or(Quantity{}).value;
    event.reported = type_of(input.kind);
    event.count_after = load_relaxed(state.status->quarantined_events) + 1;
    Verdict& v = out.verdict;
    v.result = Result::quarantined;
    const bool known =
        find_quarantined(state, event.header.account, event.order_id, event.exec_id, event.reported).slot != kNoSlot;
    event.slot = known ? kNoSlot : quarantine_slot(state, money);
    if (known && money) {
        v.result = event.header.result = Result::duplicate;
        event.header.flags |= kNoChange;
    } else if (money && event.slot == kNoSlot) {
        v.result = event.header.result = Result::anomaly;
        v.flags = event.header.answer_flags = kExecUnremembered;
        if (firm_state(state) < TradingState::reducing_only) event.header.flags |= kFirmReducing;
        event.firm_previous = firm_state(state);
    }
    const bool named = input.kind == EventKind::filled && has_entities(state, event.header) &&
                       (input.side == Side::buy || input.side == Side::sell);
    if (named && !is_sound(state.instrument_records[event.header.instrument])) return deny(state, DenyReason::poisoned, out);
    if (named && !known) {
        event.booked = 1;
        event.delta.position = input.side == Side::buy ? event.quantity : -event.quantity;
        event.delta.traded_notional =
            base::notional(event.price, event.quantity, factor_of(state, event.header.instrument)).value_or(base::kMaxInt64);
        const RowSet rows = rows_of(g, event.header.account, event.header.strategy, event.header.instrument);
        event.values = value_delta(state, event.header.instrument, rows, counters_of(state, rows),
                                   {input.side, event.delta.position, 0, event.price, nullptr});
    }
    out.write(event);
    out.commit = true;
}

/// What a fact must carry to be one; the venue's word is not judged beyond that.
bool deny_malformed(const State& state, const OrderEvent& input, Decision& out) noexcept {
    const auto refuse = [&](DenyReason reason) { return deny(state, reason, out), true; };
    if (!base::is_valid_id(input.id)) return refuse(DenyReason::invalid_order_id);
    if (type_of(input.kind) == EventType::none) return refuse(DenyReason::invalid_field);
    if (moves_money(input.kind) && !base::is_valid_id(input.exec_id)) return refuse(DenyReason::invalid_field);
    const bool names_new = input.kind == EventKind::correct && !input.new_exec_id.empty();
    if (names_new && !base::is_valid_id(input.new_exec_id)) return refuse(DenyReason::invalid_field);
    const bool names_venue = (input.kind == EventKind::acked || input.kind == EventKind::replaced) && !input.venue_id.empty();
    if (names_venue && !base::is_valid_id(input.venue_id)) return refuse(DenyReason::invalid_field);
    const bool needs_values = input.kind == EventKind::filled || input.kind == EventKind::correct;
    if (needs_values && !input.price) return refuse(DenyReason::invalid_price);
    if (needs_values && !input.quantity) return refuse(DenyReason::invalid_quantity);
    const bool reads_quantity = needs_values || input.kind == EventKind::replaced;
    if (reads_quantity && input.quantity && input.quantity->value <= 0) return refuse(DenyReason::invalid_quantity);
    return input.cum_quantity && input.cum_quantity->value < 0 && refuse(DenyReason::invalid_quantity);
}

}  // namespace

void decide_fact(const State& state, const Caller& caller, const OrderEvent& input, Decision& out) noexcept {
    if (deny_malformed(state, input, out)) return;
    const std::uint32_t head = find_head(state, static_cast<std::uint16_t>(input.account), input.id);
    if (head == kNoSlot) {
        if (input.kind == EventKind::timed_out) return deny(state, DenyReason::unknown_order, out);
        return quarantine(state, caller, input, out);
    }
    if (!is_sound_order(state, head)) return deny(state, DenyReason::poisoned, out);
    Fact fact{state, caller, input, header_of(state, type_of(input.kind), caller), {}, false};
    if (!input.text.empty()) fact.id = base::make_id(input.text);
    Life life = begin_life(state, head);
    switch (dispatch(fact, life)) {
        case Taken::yes: return finish(fact, life, out);
        case Taken::missing_values:
            deny(state, DenyReason::invalid_field, out);
            return report(state, begin_life(state, head), out.verdict);
        case Taken::quarantine: {
            quarantine(state, caller, input, out);
            const OrderFlags remarks = out.verdict.flags;
            report(state, begin_life(state, head), out.verdict);
            out.verdict.flags = static_cast<OrderFlags>(out.verdict.flags | remarks);
            return;
        }
    }
}

}  // namespace riskreg::core
