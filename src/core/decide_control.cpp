// Trading states and approvals, limits, restricted list, positions, marks, alerts, sessions, reference owners.
#include <cstring>

#include "core/life.hpp"
#include "core/meter.hpp"
#include "core/value.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

Reason reason_of(std::string_view text) noexcept {
    Reason reason{};
    reason.size = static_cast<std::uint8_t>(std::min(text.size(), sizeof reason.text));
    std::memcpy(reason.text, text.data(), reason.size);
    // It will be shown on terminals.
    for (std::size_t i = 0; i < reason.size; ++i)
        if (static_cast<unsigned char>(reason.text[i]) < 0x20 || reason.text[i] == 0x7F) reason.text[i] = '?';
    return reason;
}

EventHeader& header_in(EventHeader& event) noexcept { return event; }
template <class T>
EventHeader& header_in(T& event) noexcept {
    return event.header;
}

template <Record T>
void accept(T& event, Decision& out) noexcept {
    header_in(event).result = Result::ok;
    out.write(event);
    out.verdict.result = Result::ok;
    out.commit = true;
}

}  // namespace

namespace {

/// Whether the state of a row may change like this. A halt never lowers a state; a resume never raises one.
bool may_change(const State& state, const StateRequest& request) noexcept {
    const RowControl now = state.rows[request.row].control.read();
    if (request.unreconciled) return (now.flags & kUnreconciled) != 0;
    return request.resume == (request.state < now.state);
}

StateEvent state_event(const State& state, const Caller& caller, const StateRequest& request) noexcept {
    const RowControl& now = state.rows[request.row].control.newest();
    StateEvent event{};
    event.header = header_of(state, request.unreconciled ? EventType::reconciled : EventType::state_changed, caller);
    event.row = request.row;
    event.uid = caller.uid;
    event.previous = now.state;
    event.state = request.unreconciled ? now.state : request.state;
    event.clear_flags = request.unreconciled ? kUnreconciled : 0;
    event.reason = reason_of(request.reason);
    return event;
}

StateRequest asked_for(const ApprovalRecord& record) noexcept {
    const std::string_view reason{record.reason.text, std::min<std::size_t>(record.reason.size, sizeof record.reason.text)};
    return {record.row, record.state, true, record.unreconciled != 0, reason};
}

}  // namespace

/// By a further halt, by an approval of the same, by a recovery: whoever asked did not see that.
bool is_obsolete(const State& state, const ApprovalRecord& record) noexcept {
    if (record.row >= state.geometry.rows()) return true;
    const bool changed = state.rows_cold[record.row].latch.read().seq > record.request;
    const bool recovered = record.unreconciled != 0 && load_relaxed(state.header->recovered_seq) >= record.request;
    return changed || recovered || !may_change(state, asked_for(record));
}

namespace {

/// The first slot that waits for nobody; kNoSlot when all do.
std::uint32_t free_approval(const State& state) noexcept {
    std::uint32_t oldest = kNoSlot;
    for (std::uint32_t i = 0; i < kApprovals; ++i) {
        const ApprovalRecord& record = state.approvals[i].state.newest();
        if (record.status == ApprovalStatus::open && !is_obsolete(state, record)) continue;
        if (oldest == kNoSlot || record.seq < state.approvals[oldest].state.newest().seq) oldest = i;
    }
    return oldest;
}

/// Four eyes: the resume is written down and waits for another person.
void request_approval(const State& state, const Caller& caller, const StateRequest& request, Decision& out) noexcept {
    const std::uint32_t slot = free_approval(state);
    if (slot == kNoSlot) return deny(state, DenyReason::capacity, {kNoSlot, kApprovals, kApprovals, Unit::slots}, out);
    ApprovalEvent event{};
    event.header = header_of(state, EventType::resume_requested, caller);
    event.slot = slot;
    event.after.row = request.row;
    event.after.uid = caller.uid;
    event.after.state = request.state;
    event.after.unreconciled = request.unreconciled ? 1 : 0;
    event.after.status = ApprovalStatus::open;
    event.after.reason = reason_of(request.reason);
    accept(event, out);
}

}  // namespace

void decide_state(const State& state, const Caller& caller, const StateRequest& request, Decision& out) noexcept {
    if (request.row >= state.geometry.rows()) return deny(state, DenyReason::invalid_field, out);
    if (!may_change(state, request)) return deny(state, DenyReason::not_allowed, {request.row, 0, 0, Unit::none}, out);
    const bool steps_down = request.resume || request.unreconciled;
    if (steps_down && state.has_setting(kFourEyes)) return request_approval(state, caller, request, out);
    StateEvent event = state_event(state, caller, request);
    accept(event, out);
    out.verdict.already = !request.resume && event.state == event.previous && event.state != TradingState::active;
}

void decide_approve(const State& state, const Caller& caller, std::uint64_t request, Decision& out) noexcept {
    for (std::uint32_t i = 0; i < kApprovals; ++i) {
        const ApprovalRecord& record = state.approvals[i].state.newest();
        if (record.status != ApprovalStatus::open || record.request != request) continue;
        const Compared about{record.row, 0, 0, Unit::none};
        if (record.uid == caller.uid) return deny(state, DenyReason::not_allowed, about, out);
        if (is_obsolete(state, record)) return deny(state, DenyReason::not_allowed, about, out);
        StateEvent event = state_event(state, caller, asked_for(record));
        event.approves = i + 1;
        event.asked_by = record.uid;
        event.verified = caller.verified ? 1 : 0;
        return accept(event, out);
    }
    deny(state, DenyReason::invalid_field, out);
}

void decide_recovered(const State& state, const Caller& caller, std::string_view reason, Decision& out) noexcept {
    StateEvent event{};
    // Another boot, perhaps: its steady time compares with nothing before, so neither does what the label gained.
    const auto last_ns = static_cast<std::int64_t>(load_relaxed(state.log->last_time_ns));
    const std::int64_t time_ns = is_first(state) ? caller.now_ns : std::max(caller.now_ns, last_ns);
    event.header = header_of(EventType::recovered, {time_ns, caller.steady_ns, 0}, caller);
    event.row = state.geometry.firm_row();
    event.previous = event.state = state.rows[event.row].control.newest().state;
    event.set_flags = kUnreconciled;
    event.reason = reason_of(reason);
    accept(event, out);
}

void decide_clock(const State& state, const Caller& caller, std::string_view reason, Decision& out) noexcept {
    ClockEvent event{};
    event.header = header_of(EventType::clock_set, {caller.now_ns, steady_time(state, caller), 0}, caller);
    event.before_ns = static_cast<std::int64_t>(load_relaxed(state.log->last_time_ns));
    event.uid = caller.uid;
    event.reason = reason_of(reason);
    accept(event, out);
}

void decide_journal_gap(const State& state, const Caller& caller, Decision& out) noexcept {
    EventHeader event = header_of(state, EventType::journal_gap, caller);
    accept(event, out);
}

namespace {

/// A window and a headroom are no limits: they have a value or their default.
bool is_legal(const Limit& limit, const LimitValue& wanted) noexcept {
    if (wanted.kind == LimitValue::Kind::unset) return true;
    if (!limit.is(kIsParameter)) return wanted.kind == LimitValue::Kind::unlimited || wanted.value >= 0;
    return holds_value(wanted) && wanted.value >= limit.least && wanted.value <= limit.most;
}

/// Rings for the budgets that the limits ask for; false when none is left.
bool take_rings(const State& state, const RowMeters& now, const Limits& limits, std::int64_t steady_ns,
                RiskLimitsEvent& event) noexcept {
    const bool all = holds_value(limits.max_all_messages);
    const bool requests = all || holds_value(limits.max_messages);
    std::uint64_t next = load_relaxed(state.status->next_budget_ring);
    const auto ring = [&](std::uint32_t has, bool wants) {
        return has != kNoSlot || !wants ? has : static_cast<std::uint32_t>(next++);
    };
    event.messages_ring = ring(now.messages_ring, requests);
    event.all_ring = ring(now.all_ring, all);
    event.next_budget_ring = next;
    const std::uint32_t most = holds_value(limits.max_messages) ? count_of(limits.max_messages) : 0;
    const std::uint32_t most_all = all ? count_of(limits.max_all_messages) : 0;
    event.messages_stride = requests ? stride_of(std::max(most, most_all)) : now.messages_stride;
    event.all_stride = all ? stride_of(most_all) : now.all_stride;
    const auto resets = [](std::uint32_t had, std::uint32_t has, std::uint64_t count) { return had != has && count != 0; };
    event.resets = static_cast<std::uint8_t>((resets(now.messages_stride, event.messages_stride, now.messages) ? 1U : 0U) |
                                             (resets(now.all_stride, event.all_stride, now.all_messages) ? 2U : 0U));
    // Times kept at another stride cannot be read any more: what was before counts as used up.
    event.since_ns = event.resets != 0 ? steady_ns : now.since_ns;
    return next <= state.geometry.budget_rings;
}

}  // namespace

void decide_limits(const State& state, const Caller& caller, const LimitsRequest& request, Decision& out,
                   FollowUps& more) noexcept {
    if (request.row >= state.geometry.rows()) return deny(state, DenyReason::invalid_field, out);
    const RowRisk& risk = state.rows_risk[request.row];
    const RowRiskLimits& risk_now = risk.limits.newest();
    const Limits before = limits_of(state.rows[request.row].control.newest(), risk_now);
    Limits limits = before;
    for (const Limit& limit : kLimits) {
        if ((request.fields >> index_of(limit.id) & 1U) == 0) continue;
        const LimitValue& wanted = request.limits.*limit.member;
        if (!is_legal(limit, wanted)) return deny(state, DenyReason::invalid_field, {request.row, 0, 0, Unit::none}, out);
        limits.*limit.member = wanted;
    }
    RowRiskLimits after = risk_limits_of(limits);
    after.seq = risk_now.seq;
    if (std::memcmp(&after, &risk_now, sizeof after) != 0) {
        RiskLimitsEvent& event = more.add().risk_limits;
        event.header = header_of(state, EventType::risk_limits_changed, caller);
        event.header.result = Result::ok;
        event.row = request.row;
        event.uid = caller.uid;
        event.after = after;
        event.before = risk_limits_of(before);
        event.kinds = kinds_of(limits);
        const bool no_breakers = (event.kinds & kHasBreakers) != 0 && state.geometry.breakers == 0;
        if (no_breakers || !take_rings(state, risk.meters.newest(), limits, event.header.steady_ns, event)) {
            more.size = 0;
            const std::int64_t rings = no_breakers ? 0 : state.geometry.budget_rings;
            return deny(state, DenyReason::capacity, {request.row, rings + 1, rings, Unit::slots}, out);
        }
    }
    LimitsEvent event{};
    event.header = header_of(state, EventType::limits_changed, caller);
    event.row = request.row;
    event.uid = caller.uid;
    event.after = control_of(limits);
    event.before = control_of(before);
    event.reason = reason_of(request.reason);
    accept(event, out);
}

void decide_restriction(const State& state, const Caller& caller, const RestrictionRequest& request, Decision& out) noexcept {
    if (request.row >= state.geometry.rows() || request.sides > (kRestrictBuy | kRestrictSell) ||
        request.to_ns <= request.from_ns)
        return deny(state, DenyReason::invalid_field, out);
    std::uint32_t slot = kNoSlot, free = kNoSlot;
    bool others = false;
    for (std::uint32_t i = 0; i < state.geometry.restrictions; ++i) {
        const RestrictionRecord& entry = state.restrictions[i].state.newest();
        const bool same = entry.row == request.row && entry.from_ns == request.from_ns && entry.to_ns == request.to_ns;
        if (entry.sides == 0) free = std::min(free, i);
        else if (same) slot = i;
        else others |= entry.row == request.row;
    }
    if (slot == kNoSlot && request.sides == 0) return deny(state, DenyReason::invalid_field, out);
    if (slot == kNoSlot) slot = free;
    if (slot == kNoSlot) {
        const std::int64_t size = state.geometry.restrictions;
        return deny(state, DenyReason::capacity, {kNoSlot, size + 1, size, Unit::slots}, out);
    }
    RestrictionEvent event{};
    event.header = header_of(state, EventType::restricted_changed, caller);
    event.slot = slot;
    event.uid = caller.uid;
    event.after.from_ns = request.from_ns;
    event.after.to_ns = request.to_ns;
    event.after.row = request.row;
    event.after.sides = request.sides;
    event.after.reason = reason_of(request.reason);
    event.row_restricted = request.sides != 0 || others ? 1 : 0;
    accept(event, out);
    out.verdict.already = request.sides != 0 && state.restrictions[slot].state.newest().sides == request.sides;
}

void decide_position(const State& state, const Caller& caller, const PositionRequest& request, Decision& out) noexcept {
    const Geometry& g = state.geometry;
    if (request.account >= g.accounts) return deny(state, DenyReason::unknown_account, out);
    if (request.strategy >= g.strategies) return deny(state, DenyReason::unknown_strategy, out);
    if (request.instrument >= g.instruments) return deny(state, DenyReason::unknown_instrument, out);
    if (request.quantity == 0) return deny(state, DenyReason::invalid_quantity, out);
    if (request.quantity == base::kMinInt64) return deny(state, DenyReason::arithmetic_overflow, out);
    if (!is_sound(state.instrument_records[request.instrument])) return deny(state, DenyReason::poisoned, out);
    PositionEvent event{};
    event.header = header_of(state, EventType::position_loaded, caller);
    event.header.account = request.account;
    event.header.strategy = request.strategy;
    event.header.instrument = request.instrument;
    event.header.side = request.quantity < 0 ? Side::sell : Side::buy;
    event.delta.position = request.quantity;
    const RowSet rows = rows_of(g, request.account, request.strategy, request.instrument);
    event.values = value_delta(state, request.instrument, rows, counters_of(state, rows),
                               {event.header.side, request.quantity, 0, request.price, nullptr});
    event.price = request.price;
    event.start_value = signed_notional(request.price, request.quantity, factor_of(state, request.instrument));
    event.uid = caller.uid;
    event.text = base::make_id(request.text);
    accept(event, out);
}

void decide_mark(const State& state, const Caller& caller, std::uint32_t row, std::int64_t mark, Decision& out) noexcept {
    const Geometry& g = state.geometry;
    const Scope scope = row < g.rows() ? g.scope_of(row) : Scope{};
    if (scope.instrument == InstrumentId::none) return deny(state, DenyReason::invalid_field, out);
    const RowValue& now = state.rows_risk[row].value.newest();
    if ((now.flags & kMarked) != 0 && now.mark == mark)
        return deny(state, DenyReason::not_allowed, {row, 0, 0, Unit::none}, out);
    if (!is_sound(state.instrument_records[static_cast<std::uint32_t>(scope.instrument)]))
        return deny(state, DenyReason::poisoned, out);
    const Worth delta = mark_delta(state, static_cast<std::uint32_t>(scope.instrument), row, mark);
    MarkedEvent event{};
    event.header = header_of(state, EventType::marked, caller);
    event.header.instrument = static_cast<std::uint32_t>(scope.instrument);
    event.header.account = static_cast<std::uint16_t>(scope.account);
    event.header.strategy = static_cast<std::uint16_t>(scope.strategy);
    event.row = row;
    event.total_row = scope.kind == ScopeKind::instrument           ? g.firm_row()
                      : scope.kind == ScopeKind::account_instrument ? g.account_row(event.header.account)
                                                                    : g.strategy_row(event.header.strategy);
    event.mark = mark;
    event.gross = delta.gross;
    event.net = delta.net;
    accept(event, out);
}

void decide_alert(const State& state, const Caller& caller, const AlertRequest& request, Decision& out) noexcept {
    if (request.row >= state.geometry.rows() || request.limit >= kLimits.size() || request.level > 3)
        return deny(state, DenyReason::invalid_field, out);
    const std::uint64_t levels = state.rows_risk[request.row].alerts.newest().levels;
    const unsigned shift = 2U * request.limit;
    const auto previous = static_cast<std::uint8_t>(levels >> shift & 3U);
    if (previous == request.level) return deny(state, DenyReason::not_allowed, {request.row, 0, 0, Unit::none}, out);
    AlertEvent event{};
    event.header = header_of(state, EventType::alert, caller);
    event.row = request.row;
    event.limit = request.limit;
    event.level = request.level;
    event.previous = previous;
    event.unit = request.unit;
    event.observed = request.observed;
    event.bound = request.bound;
    event.levels_after = (levels & ~(3ULL << shift)) | static_cast<std::uint64_t>(request.level) << shift;
    accept(event, out);
}

Verdict decide_begin_send(const State& state, const Caller& caller, std::uint32_t account, std::string_view id) noexcept {
    Decision out;
    const std::uint32_t head = find_head(state, account, id);
    if (head >= state.geometry.orders) return deny(state, DenyReason::unknown_order, out), out.verdict;
    OrderIdentity identity{};
    copy_words_out(identity, state.orders[head].identity);
    const OrderState order = state.orders[head].state.read();
    if (!is_live(order.base)) return deny(state, DenyReason::terminal, out), out.verdict;
    if (identity.strategy != caller.strategy) return deny(state, DenyReason::not_owner, out), out.verdict;
    // Its cancel may be under way already, or whoever watches orphans may be at it (faults-2.md B19).
    if ((order.flags & kPendingCancel) != 0) return deny(state, DenyReason::pending_cancel, out), out.verdict;
    if (state.strategies[identity.strategy].state.read().status == SessionStatus::dead)
        return deny(state, DenyReason::fenced, out), out.verdict;
    out.verdict.result = Result::accepted;
    // One word first: no scope changed its state since this order came.
    if (load_acquire(state.status->state_epoch) < identity.created_seq) return out.verdict;
    RowsNow now;
    std::array<RowCounters, kRowsPerOrder> counters;
    std::array<RowControl, kRowsPerOrder> control;
    now.rows = rows_of(state.geometry, identity.account, identity.strategy, identity.instrument);
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        if (now.rows[k] == kNoSlot) return deny(state, DenyReason::unknown_order, out), out.verdict;
        // Halted since, and released again: it is on the list of what to cancel, and must not be sent behind that.
        if (state.rows_cold[now.rows[k]].latch.read().halted_seq > identity.created_seq)
            return deny(state, DenyReason::halted, {now.rows[k], 0, 0, Unit::none}, out), out.verdict;
        counters[k] = state.rows[now.rows[k]].counters.read();
        control[k] = state.rows[now.rows[k]].control.read();
        now.counters[k] = &counters[k];
        now.control[k] = &control[k];
    }
    now.sum_up();
    // The order is in the counters already: it asks for nothing more.
    if (!deny_state(state, now, Intent::new_order, identity.side, 0, out)) out.verdict.result = Result::accepted;
    return out.verdict;
}

void decide_session(const State& state, const SessionRequest& request, Decision& out) noexcept {
    Caller caller;
    caller.session = request.session;
    caller.generation = request.generation;
    caller.strategy = request.strategy;
    caller.now_ns = request.now_ns;
    caller.steady_ns = request.steady_ns;
    SessionEvent event{};
    event.header = header_of(state, request.type, caller);
    event.header.strategy = request.strategy;
    event.pid = request.pid;
    event.pid_start = request.pid_start;
    event.uid = request.uid;
    event.row = kNoSlot;
    const StrategyState& latest = state.strategies[request.strategy].state.newest();
    event.is_current = request.type == EventType::session_attached || latest.generation == request.generation ? 1 : 0;
    const bool halts = request.type == EventType::session_dead && event.is_current != 0 &&
                       state.strategy_records[request.strategy].on_death == OnDeath::halt_strategy;
    if (halts) {
        const std::uint32_t row = state.geometry.strategy_row(request.strategy);
        event.previous = state.rows[row].control.newest().state;
        event.state = TradingState::halted;
        event.reason = reason_of("the strategy's process died without detaching");
        event.row = event.previous == TradingState::halted ? kNoSlot : row;
    }
    accept(event, out);
}

void check_reference_price(const State& state, std::uint32_t instrument, Price price, Decision& out) noexcept {
    const InstrumentRecord& i = state.instrument_records[instrument];
    if (forbids_price(i, price.value)) deny(state, DenyReason::invalid_price, {kNoSlot, price.value, i.tick, Unit::price}, out);
}

void decide_reference_owner(const State& state, const Caller& caller, std::uint32_t instrument, Decision& out) noexcept {
    if (instrument >= state.geometry.instruments) return deny(state, DenyReason::unknown_instrument, out);
    const ReferenceOwner& owner = state.references[instrument].owner.newest();
    const bool owned = owner.session < state.geometry.sessions && load_acquire(state.sessions[owner.session].word) ==
                                                                      session_word(owner.generation, SessionStatus::attached);
    const bool other = owned && (owner.session != caller.session || owner.generation != caller.generation);
    if (other) return deny(state, DenyReason::not_owner, out);
    EventHeader event = header_of(state, EventType::reference_owner, caller);
    event.instrument = instrument;
    accept(event, out);
}

}  // namespace riskreg::core
