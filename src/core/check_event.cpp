#include "core/check_event.hpp"

#include <algorithm>
#include <iterator>

#include "base/wide.hpp"
#include "core/decide_common.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

bool is_none_or_below(std::uint32_t slot, std::uint64_t end) noexcept { return slot == kNoSlot || slot < end; }

/// A new slot is always the next one: slots are never left out.
bool is_none_or_next(std::uint32_t slot, std::uint64_t next, std::uint64_t capacity) noexcept {
    return slot == kNoSlot || (slot == next && slot < capacity);
}

bool is_base(OrderBase base) noexcept { return is_live(base) || (base >= OrderBase::filled && base <= OrderBase::aborted); }
bool is_state(TradingState state) noexcept { return state <= TradingState::halted; }
/// Amounts that later arithmetic relies on: nothing negative, and no lowest value, whose negative does not exist.
constexpr std::int64_t kLowest = base::kMinInt64;
bool is_delta(const RowDelta& d) noexcept {
    return d.position != kLowest && d.open_quantity != kLowest && d.open_notional != kLowest && d.traded_notional != kLowest;
}
bool is_delta(const ValueDelta& d) noexcept {
    const auto fits = [](std::int64_t amount) { return amount != kLowest; };
    return std::all_of(std::begin(d.gross), std::end(d.gross), fits) && std::all_of(std::begin(d.net), std::end(d.net), fits);
}
/// What an order reserves changes by a delta, and never falls below nothing.
bool is_reservation(std::int64_t now, std::int64_t delta) noexcept {
    std::int64_t sum = 0;
    return !__builtin_add_overflow(now, delta, &sum) && sum >= 0;
}
bool is_metered(const Metered& m) noexcept {
    constexpr unsigned end = 1U << kRowsPerOrder;
    return m.messages < end && m.all_messages < end;
}
/// Of max_all_messages; unset and unlimited hold the greatest value.
bool is_headroom(std::uint32_t bps) noexcept { return bps <= 10000 || bps == kUnlimitedCount; }
bool is_text(const Reason& reason) noexcept { return reason.size <= sizeof reason.text; }

constexpr std::uint32_t kIdentityFlags = kHasPrice | kHasStopPrice | kContentIndexed | kLoaded;

const char* check_registered(const State& state, const RegisterEvent& e) noexcept {
    if (!is_sound(state, e.header)) return "registered: an account, strategy or instrument that does not exist";
    if (e.quantity <= 0 || e.reserved_notional == kLowest || !is_delta(e.values))
        return "registered: a quantity that cannot be";
    const bool known = is_metered(e.metered) && e.sets_mark <= 1 && e.identity_flags <= kIdentityFlags;
    if (!known) return "registered: a mark, flag or budget that does not exist";
    const bool chained =
        (e.identity_flags & kContentIndexed) == 0 || is_none_or_below(e.content_previous, state.log->next_order);
    if (!chained) return "registered: follows an order that is not taken";
    const bool next = e.header.order_slot == state.log->next_order && e.header.order_slot < state.geometry.orders;
    return next ? nullptr : "registered: not the next order slot";
}

bool are_life_numbers(const LifeEvent& e) noexcept {
    if (e.after.cum_quantity < 0 || e.after.reported_cum < 0 || !is_delta(e.delta) || !is_delta(e.values)) return false;
    switch (e.after.numbers) {
        case LifeNumbers::none: return true;
        case LifeNumbers::trade:
        case LifeNumbers::fill: return e.quantity >= 0 && e.third != kLowest;
        case LifeNumbers::pending:
        case LifeNumbers::live: return e.quantity >= 0 && e.third >= 0;
    }
    return false;
}

const char* check_life(const State& state, const LifeEvent& e) noexcept {
    const EventHeader& h = e.header;
    const LogWords& log = *state.log;
    if (h.order_slot >= log.next_order) return "an order slot that is not taken";
    const OrderIdentity& identity = state.orders[h.order_slot].identity;
    const bool same = identity.kind == SlotKind::order && identity.account == h.account && identity.strategy == h.strategy &&
                      identity.instrument == h.instrument && identity.side == h.side;
    if (!same || !is_sound(state, h)) return "not the order that its slot holds";
    if (!is_none_or_next(h.alias_slot, log.next_order, state.geometry.orders)) return "not the next slot for a new id";
    const std::uint64_t ids = log.next_order + (h.alias_slot == kNoSlot ? 0 : 1);
    if (e.after.last_alias >= ids || !is_none_or_below(e.after.pending_alias, ids)) return "an id that is not taken";
    if (!is_none_or_next(h.execution_slot, log.next_execution, state.geometry.executions)) return "not the next execution slot";
    const std::uint64_t executions = log.next_execution + (h.execution_slot == kNoSlot ? 0 : 1);
    const bool chained = is_none_or_below(h.execution_ref, log.next_execution) &&
                         is_none_or_below(e.after.last_execution, executions) &&
                         is_none_or_below(e.after.execution_previous, log.next_execution);
    if (!chained) return "an execution that is not taken";
    if (!are_life_numbers(e)) return "a quantity that cannot be";
    const OrderState& now = state.orders[h.order_slot].state.newest();
    const bool reserves = is_reservation(now.reserved_quantity, e.delta.open_quantity) &&
                          is_reservation(now.reserved_notional, e.delta.open_notional);
    if (!reserves) return "a reservation that cannot be";
    const bool known = is_base(e.after.base) && is_state(e.after.firm_previous) && is_metered(e.after.metered) &&
                       e.after.breaker <= Breaker::rejects;
    return known ? nullptr : "a state, budget or breaker that does not exist";
}

/// Only a refusal that some budget counts changes a record.
const char* check_denied(const State& state, const DeniedEvent& e) noexcept {
    if ((e.metered.messages | e.metered.all_messages) == 0) return nullptr;
    const bool known = is_metered(e.metered) && has_entities(state, e.header);
    return known ? nullptr : "denied: a budget of what does not exist";
}

const char* check_quarantined(const State& state, const QuarantineEvent& e) noexcept {
    if (e.booked != 0 && !is_sound(state, e.header)) return "quarantined: books on what does not exist";
    if (e.quantity < 0 || !is_delta(e.delta) || !is_delta(e.values)) return "quarantined: a quantity that cannot be";
    if (!is_none_or_next(e.slot, state.log->next_quarantine, state.geometry.quarantine)) return "not the next quarantine slot";
    return is_state(e.firm_previous) ? nullptr : "a state that does not exist";
}

const char* check_state(const State& state, const StateEvent& e) noexcept {
    const bool fits = e.row < state.geometry.rows() && is_state(e.state) && is_state(e.previous) && is_text(e.reason) &&
                      e.approves <= kApprovals && e.verified <= 1;
    return fits ? nullptr : "a scope, state or approval that does not exist";
}

/// A loaded position has no side of its own.
const char* check_position(const State& state, const PositionEvent& e) noexcept {
    const EventHeader& h = e.header;
    const Geometry& g = state.geometry;
    if (h.account >= g.accounts || h.strategy >= g.strategies || h.instrument >= g.instruments)
        return "position_loaded: an account, strategy or instrument that does not exist";
    const bool fits = is_delta(e.delta) && is_delta(e.values) && e.start_value != kLowest;
    return fits ? nullptr : "position_loaded: a quantity that cannot be";
}

const char* check_marked(const State& state, const MarkedEvent& e) noexcept {
    if (e.row >= state.geometry.rows() || state.geometry.scope_of(e.row).instrument == InstrumentId::none)
        return "marked: not a scope of one instrument";
    if (e.total_row != total_row_of(state.geometry, e.row)) return "marked: not the scope that sums it up";
    return e.gross != kLowest && e.net != kLowest ? nullptr : "marked: a value that cannot be";
}

const char* check_risk_limits(const State& state, const RiskLimitsEvent& e) noexcept {
    const RowRiskLimits& l = e.after;
    if (e.row >= state.geometry.rows()) return "a scope that does not exist";
    const bool amounts = std::all_of(kLimits.begin() + kFirstRiskLimit, kLimits.end(),
                                     [&](const Limit& limit) { return bound_of(limit, RowControl{}, l) >= 0; });
    if (!amounts || l.set >> (kLimits.size() - kFirstRiskLimit) != 0 || !is_headroom(l.cancel_headroom_bps))
        return "a limit that cannot be";
    const bool rings = e.next_budget_ring <= state.geometry.budget_rings &&
                       is_none_or_below(e.messages_ring, e.next_budget_ring) &&
                       is_none_or_below(e.all_ring, e.next_budget_ring);
    if (!rings || e.messages_stride == 0 || e.all_stride == 0) return "a budget that does not exist";
    return (e.kinds & ~kRiskLimitKinds) == 0 && e.resets <= 3 ? nullptr : "a kind of limit that does not exist";
}

const char* check_restriction(const State& state, const RestrictionEvent& e) noexcept {
    const bool fits = e.slot < state.geometry.restrictions && e.after.row < state.geometry.rows() &&
                      e.after.sides <= (kRestrictBuy | kRestrictSell) && e.row_restricted <= 1 && is_text(e.after.reason);
    return fits ? nullptr : "a place of the restricted list, scope or side that does not exist";
}

const char* check_approval(const State& state, const ApprovalEvent& e) noexcept {
    const bool fits = e.slot < kApprovals && e.after.row < state.geometry.rows() && is_state(e.after.state) &&
                      e.after.unreconciled <= 1 && e.after.status <= ApprovalStatus::approved && is_text(e.after.reason);
    return fits ? nullptr : "a place for approvals, scope or state that does not exist";
}

const char* check_alert(const State& state, const AlertEvent& e) noexcept {
    constexpr std::size_t bits = 2 * kLimits.size();
    const bool fits = e.row < state.geometry.rows() && e.limit < kLimits.size() && e.level <= 3 && e.previous <= 3 &&
                      e.unit <= Unit::basis_points && e.levels_after >> bits == 0;
    return fits ? nullptr : "alert: a scope, limit or level that does not exist";
}

const char* check_rolled(const RolledEvent& e) noexcept {
    return e.day > 1 && is_text(e.reason) ? nullptr : "rolled: not a day that follows another";
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
    if (!is_sized(event.header)) return "not as long as an event of its type";
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
        case EventType::risk_limits_changed: return check_risk_limits(state, event.risk_limits);
        case EventType::position_loaded: return check_position(state, event.position);
        case EventType::marked: return check_marked(state, event.marked);
        case EventType::restricted_changed: return check_restriction(state, event.restriction);
        case EventType::resume_requested: return check_approval(state, event.approval);
        case EventType::alert: return check_alert(state, event.alert);
        case EventType::rolled: return check_rolled(event.rolled);
        case EventType::session_attached:
        case EventType::session_detached:
        case EventType::session_dead:
        case EventType::session_fenced: return check_session(state, event.session);
        case EventType::reference_owner:
            return event.header.instrument < state.geometry.instruments ? nullptr : "an instrument that does not exist";
        case EventType::denied: return check_denied(state, event.denied);
        case EventType::journal_gap: return nullptr;
        case EventType::clock_set: return is_text(event.clock.reason) ? nullptr : "clock_set: a reason that cannot be";
        case EventType::none: return "an event without a type";
        default: break;
    }
    const auto type = static_cast<std::uint16_t>(event.header.type);
    const bool life =
        type >= static_cast<std::uint16_t>(EventType::acked) && type <= static_cast<std::uint16_t>(EventType::timed_out);
    return life ? check_life(state, event.life) : "an unknown type";
}

}  // namespace riskreg::core
