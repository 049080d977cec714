// Trading states, limits, sessions, reference owners.
#include <cstring>

#include "core/decide_common.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

Reason reason_of(std::string_view text) noexcept {
    Reason reason{};
    reason.size = static_cast<std::uint8_t>(std::min(text.size(), sizeof reason.text));
    std::memcpy(reason.text, text.data(), reason.size);
    return reason;
}

void accept(Decision& out) noexcept {
    out.event.header.result = Result::ok;
    out.verdict.result = Result::ok;
    out.commit = true;
}

EventHeader timed_header(const State& state, EventType type, const Caller& caller) noexcept {
    EventHeader header = header_of(type, caller);
    header.time_ns = event_time(state, caller.now_ns);
    return header;
}

}  // namespace

void decide_state(const State& state, const Caller& caller, const StateRequest& request, Decision& out) noexcept {
    if (request.row >= state.geometry.rows()) return deny(state, DenyReason::invalid_field, out);
    const RowControl& now = state.rows[request.row].control.newest();
    const bool lowers = request.state < now.state;
    const bool is_unreconciled = (now.flags & kUnreconciled) != 0;
    // A halt never lowers a state; a resume never raises one.
    const bool allowed = request.unreconciled ? is_unreconciled : request.resume == lowers;
    if (!allowed) return deny(state, DenyReason::not_allowed, {request.row, 0, 0, Unit::none}, out);
    StateEvent& event = out.event.state;
    event.header = timed_header(state, request.unreconciled ? EventType::reconciled : EventType::state_changed, caller);
    event.row = request.row;
    event.uid = caller.uid;
    event.previous = now.state;
    event.state = request.unreconciled ? now.state : request.state;
    event.clear_flags = request.unreconciled ? kUnreconciled : 0;
    event.reason = reason_of(request.reason);
    accept(out);
}

void decide_recovered(const State& state, std::int64_t now_ns, std::string_view reason, Decision& out) noexcept {
    Caller caller;
    caller.now_ns = now_ns;
    StateEvent& event = out.event.state;
    event.header = timed_header(state, EventType::recovered, caller);
    event.row = state.geometry.firm_row();
    event.previous = event.state = state.rows[event.row].control.newest().state;
    event.set_flags = kUnreconciled;
    event.reason = reason_of(reason);
    accept(out);
}

void decide_journal_gap(const State& state, std::int64_t now_ns, Decision& out) noexcept {
    Caller caller;
    caller.now_ns = now_ns;
    out.event.header = timed_header(state, EventType::journal_gap, caller);
    accept(out);
}

Limits limits_of(const RowControl& c) noexcept {
    const auto value = [&c](LimitBit bit, std::int64_t limit) {
        if ((c.set & bit) == 0) return LimitValue{};
        return limit == kUnlimited ? LimitValue{LimitValue::Kind::unlimited, 0} : LimitValue{LimitValue::Kind::value, limit};
    };
    const auto count = [&](LimitBit bit, std::uint32_t limit) {
        return value(bit, limit == kUnlimitedCount ? kUnlimited : static_cast<std::int64_t>(limit));
    };
    return {value(kSetMaxOrderQuantity, c.max_order_quantity),
            value(kSetMaxOrderNotional, c.max_order_notional),
            value(kSetMaxLong, c.max_long),
            value(kSetMaxShort, c.max_short),
            value(kSetMaxOpenNotional, c.max_open_notional),
            count(kSetMaxWorkingOrders, c.max_working_orders),
            count(kSetMaxWorkingBuy, c.max_working_buy),
            count(kSetMaxWorkingSell, c.max_working_sell)};
}

RowControl control_of(const Limits& limits) noexcept {
    RowControl c{};
    const auto take = [&c](LimitBit bit, const LimitValue& limit) {
        if (limit.kind != LimitValue::Kind::unset) c.set = static_cast<std::uint16_t>(c.set | bit);
        return limit.kind == LimitValue::Kind::value ? limit.value : kUnlimited;
    };
    const auto count = [&](LimitBit bit, const LimitValue& limit) {
        return static_cast<std::uint32_t>(std::min<std::int64_t>(take(bit, limit), kUnlimitedCount));
    };
    c.max_order_quantity = take(kSetMaxOrderQuantity, limits.max_order_quantity);
    c.max_order_notional = take(kSetMaxOrderNotional, limits.max_order_notional);
    c.max_long = take(kSetMaxLong, limits.max_long);
    c.max_short = take(kSetMaxShort, limits.max_short);
    c.max_open_notional = take(kSetMaxOpenNotional, limits.max_open_notional);
    c.max_working_orders = count(kSetMaxWorkingOrders, limits.max_working_orders);
    c.max_working_buy = count(kSetMaxWorkingBuy, limits.max_working_buy);
    c.max_working_sell = count(kSetMaxWorkingSell, limits.max_working_sell);
    return c;
}

namespace {

constexpr std::array<LimitValue Limits::*, 8> kLimitMembers = {
    &Limits::max_order_quantity, &Limits::max_order_notional, &Limits::max_long,        &Limits::max_short,
    &Limits::max_open_notional,  &Limits::max_working_orders, &Limits::max_working_buy, &Limits::max_working_sell,
};

}  // namespace

void decide_limits(const State& state, const Caller& caller, const LimitsRequest& request, Decision& out) noexcept {
    if (request.row >= state.geometry.rows()) return deny(state, DenyReason::invalid_field, out);
    Limits limits = limits_of(state.rows[request.row].control.newest());
    for (std::size_t i = 0; i < kLimitMembers.size(); ++i) {
        if ((request.fields >> i & 1U) == 0) continue;
        const LimitValue& wanted = request.limits.*kLimitMembers[i];
        const bool negative = wanted.kind == LimitValue::Kind::value && wanted.value < 0;
        if (negative) return deny(state, DenyReason::invalid_field, {request.row, 0, 0, Unit::none}, out);
        limits.*kLimitMembers[i] = wanted;
    }
    LimitsEvent& event = out.event.limits;
    event.header = timed_header(state, EventType::limits_changed, caller);
    event.row = request.row;
    event.uid = caller.uid;
    event.after = control_of(limits);
    event.reason = reason_of(request.reason);
    accept(out);
}

void decide_session(const State& state, const SessionRequest& request, Decision& out) noexcept {
    Caller caller;
    caller.session = request.session;
    caller.generation = request.generation;
    caller.strategy = request.strategy;
    SessionEvent& event = out.event.session;
    event.header = timed_header(state, request.type, caller);
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
    accept(out);
}

void decide_reference_owner(const State& state, const Caller& caller, std::uint32_t instrument, Decision& out) noexcept {
    if (instrument >= state.geometry.instruments) return deny(state, DenyReason::unknown_instrument, out);
    const ReferenceOwner& owner = state.references[instrument].owner.newest();
    const bool owned = owner.session < state.geometry.sessions && load_acquire(state.sessions[owner.session].word) ==
                                                                      session_word(owner.generation, SessionStatus::attached);
    const bool other = owned && (owner.session != caller.session || owner.generation != caller.generation);
    if (other) return deny(state, DenyReason::not_owner, out);
    out.event.reference_owner.header = timed_header(state, EventType::reference_owner, caller);
    out.event.reference_owner.header.instrument = instrument;
    accept(out);
}

}  // namespace riskreg::core
