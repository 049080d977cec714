#include "core/check_event.hpp"

#include "base/wide.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

bool has_entities(const State& state, const EventHeader& h) noexcept {
    const Geometry& g = state.geometry;
    return h.account < g.accounts && h.strategy < g.strategies && h.instrument < g.instruments &&
           (h.side == Side::buy || h.side == Side::sell);
}

bool is_none_or_below(std::uint32_t slot, std::uint64_t end) noexcept { return slot == kNoSlot || slot < end; }

/// A new slot is always the next one: slots are never left out.
bool is_none_or_next(std::uint32_t slot, std::uint64_t next, std::uint64_t capacity) noexcept {
    return slot == kNoSlot || (slot == next && slot < capacity);
}

bool is_base(OrderBase base) noexcept { return is_live(base) || (base >= OrderBase::filled && base <= OrderBase::aborted); }
bool is_state(TradingState state) noexcept { return state <= TradingState::halted; }
/// Amounts that later arithmetic relies on: nothing negative, and no lowest value, whose negative does not exist.
bool is_delta(const RowDelta& d) noexcept {
    constexpr std::int64_t lowest = base::kMinInt64;
    return d.position != lowest && d.open_quantity != lowest && d.open_notional != lowest && d.traded_notional != lowest;
}
bool is_text(const Reason& reason) noexcept { return reason.size <= sizeof reason.text; }

const char* check_registered(const State& state, const RegisterEvent& e) noexcept {
    if (!has_entities(state, e.header)) return "registered: an account, strategy or instrument that does not exist";
    if (e.quantity <= 0 || !is_delta(e.delta)) return "registered: a quantity that cannot be";
    const bool next = e.header.order_slot == state.log->next_order && e.header.order_slot < state.geometry.orders;
    return next ? nullptr : "registered: not the next order slot";
}

const char* check_life(const State& state, const LifeEvent& e) noexcept {
    const EventHeader& h = e.header;
    const LogWords& log = *state.log;
    if (h.order_slot >= log.next_order) return "an order slot that is not taken";
    const OrderIdentity& identity = state.orders[h.order_slot].identity;
    const bool same = identity.kind == SlotKind::order && identity.account == h.account && identity.strategy == h.strategy &&
                      identity.instrument == h.instrument && identity.side == h.side;
    if (!same || !has_entities(state, h)) return "not the order that its slot holds";
    if (!is_none_or_next(h.alias_slot, log.next_order, state.geometry.orders)) return "not the next slot for a new id";
    const std::uint64_t ids = log.next_order + (h.alias_slot == kNoSlot ? 0 : 1);
    if (e.after.last_alias >= ids || !is_none_or_below(e.after.pending_alias, ids)) return "an id that is not taken";
    if (!is_none_or_next(h.execution_slot, log.next_execution, state.geometry.executions)) return "not the next execution slot";
    const std::uint64_t executions = log.next_execution + (h.execution_slot == kNoSlot ? 0 : 1);
    const bool chained = is_none_or_below(h.execution_ref, log.next_execution) &&
                         is_none_or_below(e.after.last_execution, executions) &&
                         is_none_or_below(e.after.execution_previous, log.next_execution);
    if (!chained) return "an execution that is not taken";
    if (e.after.quantity < 0 || e.after.cum_quantity < 0 || !is_delta(e.delta)) return "a quantity that cannot be";
    return is_base(e.after.base) && is_state(e.after.firm_previous) ? nullptr : "a state that does not exist";
}

const char* check_quarantined(const State& state, const QuarantineEvent& e) noexcept {
    if (e.booked != 0 && !has_entities(state, e.header)) return "quarantined: books on what does not exist";
    if (e.quantity < 0 || !is_delta(e.delta)) return "quarantined: a quantity that cannot be";
    if (!is_none_or_next(e.slot, state.log->next_quarantine, state.geometry.quarantine)) return "not the next quarantine slot";
    return is_state(e.firm_previous) ? nullptr : "a state that does not exist";
}

const char* check_state(const State& state, const StateEvent& e) noexcept {
    const bool fits = e.row < state.geometry.rows() && is_state(e.state) && is_state(e.previous) && is_text(e.reason);
    return fits ? nullptr : "a scope or a state that does not exist";
}

const char* check_session(const State& state, const SessionEvent& e) noexcept {
    const bool fits = e.header.session < state.geometry.sessions && e.header.strategy < state.geometry.strategies &&
                      is_none_or_below(e.row, state.geometry.rows()) && is_state(e.state) && is_state(e.previous) &&
                      is_text(e.reason);
    return fits ? nullptr : "a session, strategy or scope that does not exist";
}

}  // namespace

const char* why_not_applicable(const State& state, const Event& event) noexcept {
    if (event.header.seq != state.log->applied + 1) return "not the next sequence number";
    if ((event.header.flags & kNoChange) != 0) return nullptr;
    switch (event.header.type) {
        case EventType::registered: return check_registered(state, event.registered);
        case EventType::quarantined: return check_quarantined(state, event.quarantine);
        case EventType::state_changed:
        case EventType::recovered:
        case EventType::reconciled: return check_state(state, event.state);
        case EventType::limits_changed:
            return event.limits.row < state.geometry.rows() && is_text(event.limits.reason) ? nullptr
                                                                                            : "a scope that does not exist";
        case EventType::session_attached:
        case EventType::session_detached:
        case EventType::session_dead:
        case EventType::session_fenced: return check_session(state, event.session);
        case EventType::reference_owner:
            return event.header.instrument < state.geometry.instruments ? nullptr : "an instrument that does not exist";
        case EventType::denied:
        case EventType::journal_gap: return nullptr;
        case EventType::none: return "an event without a type";
        default: break;
    }
    const auto type = static_cast<std::uint16_t>(event.header.type);
    const bool life =
        type >= static_cast<std::uint16_t>(EventType::acked) && type <= static_cast<std::uint16_t>(EventType::timed_out);
    return life ? check_life(state, event.life) : "an unknown type";
}

}  // namespace riskreg::core
