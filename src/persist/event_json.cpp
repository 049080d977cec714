#include "persist/event_json.hpp"

#include <algorithm>

#include "core/decide.hpp"
#include "core/scopes.hpp"
#include "persist/config_json.hpp"

namespace riskreg::persist {

using namespace layout;

std::vector<std::string_view> names_of_flags(OrderFlags flags) {
    std::vector<std::string_view> names;
    for (unsigned bit = 0; bit < 16; ++bit)
        if ((flags >> bit & 1U) != 0) names.push_back(riskreg::name_of(static_cast<OrderFlag>(1U << bit)));
    return names;
}

namespace {

std::string decimal(Unit unit, std::int64_t value) { return format_amount(unit, value); }

void write_entities(JsonWriter& out, const core::State& state, const EventHeader& h) {
    const Geometry& g = state.geometry;
    if (h.account < g.accounts) out.member("account", state.account_records[h.account].id.view());
    if (h.strategy < g.strategies) out.member("strategy", state.strategy_records[h.strategy].id.view());
    if (h.instrument < g.instruments) out.member("instrument", state.instrument_records[h.instrument].id.view());
    if (h.side != Side::none) out.member("side", riskreg::name_of(h.side));
}

/// Slots are numbered anew every day.
bool is_of_another_day(const core::State& state, const EventHeader& h) noexcept { return h.seq <= state.header->rolled_seq; }

void write_registered(JsonWriter& out, const core::State& state, const RegisterEvent& e) {
    if (is_of_another_day(state, e.header)) out.member("slot", std::uint64_t{e.header.order_slot});
    out.member("id", e.id.view()).member("type", riskreg::name_of(e.order_type)).member("tif", riskreg::name_of(e.tif));
    if ((e.identity_flags & kHasPrice) != 0) out.member("price", decimal(Unit::price, e.price));
    if ((e.identity_flags & kHasStopPrice) != 0) out.member("stop_price", decimal(Unit::price, e.stop_price));
    out.member("quantity", decimal(Unit::quantity, e.quantity));
    out.member("reserved_price", decimal(Unit::price, e.reserved_price));
    out.member("reserved_notional", decimal(Unit::money, e.reserved_notional));
    if ((e.identity_flags & kLoaded) != 0) out.member_bool("loaded", true);
    if (e.sets_mark != 0) out.member("mark", decimal(Unit::price, e.mark));
}

void write_life_ids(JsonWriter& out, const core::State& state, const LifeEvent& e) {
    const EventHeader& h = e.header;
    // By the slot that its registration shows, too.
    if (is_of_another_day(state, h)) out.member("slot", std::uint64_t{h.order_slot});
    else if (h.order_slot < state.geometry.orders) out.member("id", state.orders[h.order_slot].identity.id.view());
    if (e.id.empty()) return;
    const bool trade = h.type == EventType::filled || h.type == EventType::bust || h.type == EventType::correct;
    const bool venue = (h.flags & kVenueIdSet) != 0;
    out.member(h.type == EventType::replace_requested ? "new_id"
               : trade                                ? "exec_id"
               : venue                                ? "venue_id"
                                                      : "text",
               e.id.view());
}

/// The three numbers, by what they are.
void write_life_numbers(JsonWriter& out, const LifeEvent& e) {
    const auto pair = [&](std::string_view price, std::string_view quantity) {
        out.member(price, decimal(Unit::price, e.price)).member(quantity, decimal(Unit::quantity, e.quantity));
    };
    switch (e.after.numbers) {
        case LifeNumbers::none: return;
        case LifeNumbers::trade:
        case LifeNumbers::fill: return pair("last_price", "last_quantity");
        case LifeNumbers::pending: return pair("pending_price", "pending_quantity");
        case LifeNumbers::live: return pair("price", "quantity");
    }
}

void write_life(JsonWriter& out, const core::State& state, const LifeEvent& e) {
    write_life_ids(out, state, e);
    write_life_numbers(out, e);
    out.member("base", riskreg::name_of(static_cast<OrderStatus>(e.after.base)));
    out.member("cum_quantity", decimal(Unit::quantity, e.after.cum_quantity));
    out.member("reserved_delta", decimal(Unit::quantity, e.delta.open_quantity));
    out.member("reserved_notional_delta", decimal(Unit::money, e.delta.open_notional));
    out.key("flags").begin_array();
    for (const std::string_view flag : names_of_flags(e.header.answer_flags)) out.string(flag);
    out.end_array();
}

/// The scope of a refusal: its kind, and the entities of the request as far as the kind names them.
Scope scope_of(const DeniedEvent& e) noexcept {
    const bool account = e.scope == ScopeKind::account || e.scope == ScopeKind::account_instrument;
    const bool strategy = e.scope == ScopeKind::strategy || e.scope == ScopeKind::strategy_instrument;
    const bool instrument = e.scope >= ScopeKind::instrument && e.scope != ScopeKind::none;
    Scope scope;
    scope.kind = e.scope;
    if (account) scope.account = AccountId{e.header.account};
    if (strategy) scope.strategy = StrategyId{e.header.strategy};
    if (instrument) scope.instrument = InstrumentId{e.header.instrument};
    return scope;
}

void write_denied(JsonWriter& out, const core::State& state, const DeniedEvent& e) {
    out.member("id", e.id.view()).member("request", name_of(e.request)).member("reason", riskreg::name_of(e.reason));
    const Scope scope = scope_of(e);
    if (state.geometry.row_of(scope) != kNoSlot) out.member("scope", core::format_scope(state, scope));
    if (e.unit == Unit::none) return;
    write_amount(out, "observed", e.unit, e.observed);
    write_amount(out, "limit", e.unit, e.limit);
    out.member("unit", riskreg::name_of(e.unit));
}

void write_quarantined(JsonWriter& out, const QuarantineEvent& e) {
    out.member("id", e.order_id.view()).member("reported", name_of(e.reported));
    if (!e.exec_id.empty()) out.member("exec_id", e.exec_id.view());
    if (e.quantity != 0)
        out.member("price", decimal(Unit::price, e.price)).member("quantity", decimal(Unit::quantity, e.quantity));
    out.member_bool("booked", e.booked != 0);
}

std::string_view text_of(const Reason& reason) noexcept {
    return {reason.text, std::min<std::size_t>(reason.size, sizeof reason.text)};
}

void write_scope(JsonWriter& out, const core::State& state, std::uint32_t row) {
    out.member("scope", row < state.geometry.rows() ? core::format_scope(state, state.geometry.scope_of(row)) : "none");
}

void write_state(JsonWriter& out, const core::State& state, const StateEvent& e) {
    write_scope(out, state, e.row);
    out.member("state", riskreg::name_of(e.state)).member("previous", riskreg::name_of(e.previous));
    out.member("reason", text_of(e.reason)).member("uid", std::uint64_t{e.uid});
    const bool again = e.header.type == EventType::state_changed && e.state == e.previous && e.state != TradingState::active;
    if (again) out.member_bool("again", true);
    if (e.approves != 0) out.member("asked_by", std::uint64_t{e.asked_by}).member_bool("verified", e.verified != 0);
}

/// What the fields that changed were until then; null: unset.
void write_before(JsonWriter& out, const Limits& before, const Limits& after) {
    out.key("before").begin_object();
    for (const core::Limit& field : core::kLimits)
        if (before.*field.member != after.*field.member && !write_limit(out, field, before.*field.member))
            out.key(field.name).null();
    out.end_object();
}

/// Each event tells its own record's limits: those before `core::kFirstRiskLimit`, or those from there on.
void write_limits(JsonWriter& out, const core::State& state, const LimitsEvent& e) {
    write_scope(out, state, e.row);
    const Limits limits = core::limits_of(e.after, core::risk_limits_of(Limits{}));
    for (std::size_t i = 0; i < core::kFirstRiskLimit; ++i) write_limit(out, core::kLimits[i], limits.*core::kLimits[i].member);
    out.member("reason", text_of(e.reason)).member("uid", std::uint64_t{e.uid});
    write_before(out, core::limits_of(e.before, core::risk_limits_of(Limits{})), limits);
}

void write_risk_limits(JsonWriter& out, const core::State& state, const RiskLimitsEvent& e) {
    write_scope(out, state, e.row);
    const Limits limits = core::limits_of(core::control_of(Limits{}), e.after);
    for (std::size_t i = core::kFirstRiskLimit; i < core::kLimits.size(); ++i)
        write_limit(out, core::kLimits[i], limits.*core::kLimits[i].member);
    out.member("uid", std::uint64_t{e.uid});
    write_before(out, core::limits_of(core::control_of(Limits{}), e.before), limits);
}

/// The side is told by the sign.
void write_position(JsonWriter& out, const PositionEvent& e) {
    out.member("position", decimal(Unit::quantity, e.delta.position)).member("price", decimal(Unit::price, e.price));
    out.member("start_value", decimal(Unit::money, e.start_value)).member("uid", std::uint64_t{e.uid});
    if (!e.text.empty()) out.member("text", e.text.view());
}

void write_marked(JsonWriter& out, const core::State& state, const MarkedEvent& e) {
    write_scope(out, state, e.row);
    out.member("mark", decimal(Unit::price, e.mark));
    out.member("gross_delta", decimal(Unit::money, e.gross)).member("net_delta", decimal(Unit::money, e.net));
}

void write_restriction(JsonWriter& out, const core::State& state, const RestrictionEvent& e) {
    const RestrictionRecord& r = e.after;
    write_scope(out, state, r.row);
    out.member_bool("buy", (r.sides & kRestrictBuy) != 0).member_bool("sell", (r.sides & kRestrictSell) != 0);
    if (r.from_ns != 0) out.member("from", format_time(r.from_ns));
    if (r.to_ns != kUnlimited) out.member("to", format_time(r.to_ns));
    out.member("reason", text_of(r.reason)).member("uid", std::uint64_t{e.uid});
}

void write_resume_request(JsonWriter& out, const core::State& state, const ApprovalEvent& e) {
    const ApprovalRecord& a = e.after;
    write_scope(out, state, a.row);
    out.member("request", e.header.seq);
    if (a.unreconciled != 0) out.member_bool("unreconciled", true);
    else out.member("state", riskreg::name_of(a.state));
    out.member("reason", text_of(a.reason)).member("uid", std::uint64_t{a.uid});
}

void write_alert(JsonWriter& out, const core::State& state, const AlertEvent& e) {
    constexpr std::uint64_t percents[] = {0, 70, 80, 90};
    const auto percent = [&](std::uint8_t level) { return level < std::size(percents) ? percents[level] : 0; };
    write_scope(out, state, e.row);
    if (e.limit < core::kLimits.size()) out.member("limit_name", core::kLimits[e.limit].name);
    out.member("level", percent(e.level)).member("previous_level", percent(e.previous));
    write_amount(out, "observed", e.unit, e.observed);
    write_amount(out, "limit", e.unit, e.bound);
    out.member("unit", riskreg::name_of(e.unit));
}

void write_rolled(JsonWriter& out, const RolledEvent& e) {
    out.member("day", e.day).member("reason", text_of(e.reason)).member("uid", std::uint64_t{e.uid});
}

void write_clock(JsonWriter& out, const ClockEvent& e) {
    out.member("before", format_time(e.before_ns)).member("reason", text_of(e.reason)).member("uid", std::uint64_t{e.uid});
}

void write_session(JsonWriter& out, const core::State& state, const SessionEvent& e) {
    out.member("pid", std::uint64_t{e.pid}).member("uid", std::uint64_t{e.uid});
    if (e.row == kNoSlot) return;
    write_scope(out, state, e.row);
    out.member("state", riskreg::name_of(e.state)).member("reason", text_of(e.reason));
}

void write_body(JsonWriter& out, const core::State& state, const Event& event) {
    switch (event.header.type) {
        case EventType::registered: return write_registered(out, state, event.registered);
        case EventType::denied: return write_denied(out, state, event.denied);
        case EventType::quarantined: return write_quarantined(out, event.quarantine);
        case EventType::state_changed:
        case EventType::recovered:
        case EventType::reconciled: return write_state(out, state, event.state);
        case EventType::limits_changed: return write_limits(out, state, event.limits);
        case EventType::risk_limits_changed: return write_risk_limits(out, state, event.risk_limits);
        case EventType::position_loaded: return write_position(out, event.position);
        case EventType::marked: return write_marked(out, state, event.marked);
        case EventType::restricted_changed: return write_restriction(out, state, event.restriction);
        case EventType::resume_requested: return write_resume_request(out, state, event.approval);
        case EventType::alert: return write_alert(out, state, event.alert);
        case EventType::rolled: return write_rolled(out, event.rolled);
        case EventType::clock_set: return write_clock(out, event.clock);
        case EventType::session_attached:
        case EventType::session_detached:
        case EventType::session_dead:
        case EventType::session_fenced: return write_session(out, state, event.session);
        case EventType::reference_owner:
        case EventType::journal_gap:
        case EventType::none: return;
        default: return write_life(out, state, event.life);
    }
}

}  // namespace

std::string event_to_json(const core::State& state, const Event& event) {
    const EventHeader& h = event.header;
    JsonWriter out;
    out.begin_object()
        .member("seq", h.seq)
        .member("time", format_time(h.time_ns))
        .member("steady_ns", static_cast<std::uint64_t>(h.steady_ns));
    out.member("event", name_of(h.type));
    if ((h.flags & kClockAhead) != 0) out.member_bool("clock_ahead", true);
    if (h.result != Result::none) out.member("result", riskreg::name_of(h.result));
    if (h.session != kNoSlot) out.member("session", std::uint64_t{h.session}).member("generation", std::uint64_t{h.generation});
    write_entities(out, state, h);
    write_body(out, state, event);
    return out.end_object().text();
}

}  // namespace riskreg::persist
