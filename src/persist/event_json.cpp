#include "persist/event_json.hpp"

#include <algorithm>

#include "core/decide.hpp"
#include "core/genesis.hpp"
#include "persist/config_json.hpp"

namespace riskreg::persist {

using namespace layout;

std::string_view name_of(EventType type) noexcept {
    switch (type) {
        case EventType::none: return "none";
        case EventType::registered: return "registered";
        case EventType::acked: return "acked";
        case EventType::filled: return "filled";
        case EventType::cancel_requested: return "cancel_requested";
        case EventType::canceled: return "canceled";
        case EventType::cancel_rejected: return "cancel_rejected";
        case EventType::replace_requested: return "replace_requested";
        case EventType::replaced: return "replaced";
        case EventType::replace_rejected: return "replace_rejected";
        case EventType::rejected: return "rejected";
        case EventType::expired: return "expired";
        case EventType::done_for_day: return "done_for_day";
        case EventType::aborted: return "aborted";
        case EventType::suspended: return "suspended";
        case EventType::resumed: return "resumed";
        case EventType::bust: return "bust";
        case EventType::correct: return "correct";
        case EventType::timed_out: return "timed_out";
        case EventType::denied: return "denied";
        case EventType::quarantined: return "quarantined";
        case EventType::state_changed: return "state_changed";
        case EventType::limits_changed: return "limits_changed";
        case EventType::reconciled: return "reconciled";
        case EventType::recovered: return "recovered";
        case EventType::session_attached: return "session_attached";
        case EventType::session_detached: return "session_detached";
        case EventType::session_dead: return "session_dead";
        case EventType::session_fenced: return "session_fenced";
        case EventType::reference_owner: return "reference_owner";
        case EventType::journal_gap: return "journal_gap";
    }
    return "unknown";
}

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

void write_registered(JsonWriter& out, const RegisterEvent& e) {
    out.member("id", e.id.view()).member("type", riskreg::name_of(e.order_type)).member("tif", riskreg::name_of(e.tif));
    if ((e.identity_flags & kHasPrice) != 0) out.member("price", decimal(Unit::price, e.price));
    if ((e.identity_flags & kHasStopPrice) != 0) out.member("stop_price", decimal(Unit::price, e.stop_price));
    out.member("quantity", decimal(Unit::quantity, e.quantity));
    out.member("reserved_price", decimal(Unit::price, e.reserved_price));
    out.member("reserved_notional", decimal(Unit::money, e.reserved_notional));
}

void write_life_ids(JsonWriter& out, const core::State& state, const LifeEvent& e) {
    const EventHeader& h = e.header;
    if (h.order_slot < state.geometry.orders) out.member("id", state.orders[h.order_slot].identity.id.view());
    if (e.id.empty()) return;
    const bool trade = h.type == EventType::filled || h.type == EventType::bust || h.type == EventType::correct;
    const bool venue = (h.flags & kVenueIdSet) != 0;
    out.member(h.type == EventType::replace_requested ? "new_id"
               : trade                                ? "exec_id"
               : venue                                ? "venue_id"
                                                      : "text",
               e.id.view());
}

void write_life(JsonWriter& out, const core::State& state, const LifeEvent& e) {
    const OrderAfter& a = e.after;
    write_life_ids(out, state, e);
    if (e.last_quantity != 0)
        out.member("last_price", decimal(Unit::price, e.last_price))
            .member("last_quantity", decimal(Unit::quantity, e.last_quantity));
    out.member("base", riskreg::name_of(static_cast<OrderStatus>(a.base)));
    out.member("quantity", decimal(Unit::quantity, a.quantity)).member("cum_quantity", decimal(Unit::quantity, a.cum_quantity));
    out.member("reserved_quantity", decimal(Unit::quantity, a.reserved_quantity));
    out.member("reserved_notional", decimal(Unit::money, a.reserved_notional));
    if ((a.flags & kPendingReplace) != 0)
        out.member("pending_price", decimal(Unit::price, a.pending_price))
            .member("pending_quantity", decimal(Unit::quantity, a.pending_quantity));
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
    out.member("observed", decimal(e.unit, e.observed))
        .member("limit", decimal(e.unit, e.limit))
        .member("unit", riskreg::name_of(e.unit));
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

void write_state(JsonWriter& out, const core::State& state, const StateEvent& e) {
    out.member("scope", core::format_scope(state, state.geometry.scope_of(e.row)));
    out.member("state", riskreg::name_of(e.state)).member("previous", riskreg::name_of(e.previous));
    out.member("reason", text_of(e.reason)).member("uid", std::uint64_t{e.uid});
}

void write_limits(JsonWriter& out, const core::State& state, const LimitsEvent& e) {
    out.member("scope", core::format_scope(state, state.geometry.scope_of(e.row)));
    const Limits limits = core::limits_of(e.after);
    for (const LimitField& field : kLimitFields) write_limit(out, field, limits.*field.member);
    out.member("reason", text_of(e.reason)).member("uid", std::uint64_t{e.uid});
}

void write_session(JsonWriter& out, const core::State& state, const SessionEvent& e) {
    out.member("pid", std::uint64_t{e.pid}).member("uid", std::uint64_t{e.uid});
    if (e.row == kNoSlot) return;
    out.member("scope", core::format_scope(state, state.geometry.scope_of(e.row)));
    out.member("state", riskreg::name_of(e.state)).member("reason", text_of(e.reason));
}

void write_body(JsonWriter& out, const core::State& state, const Event& event) {
    switch (event.header.type) {
        case EventType::registered: return write_registered(out, event.registered);
        case EventType::denied: return write_denied(out, state, event.denied);
        case EventType::quarantined: return write_quarantined(out, event.quarantine);
        case EventType::state_changed:
        case EventType::recovered:
        case EventType::reconciled: return write_state(out, state, event.state);
        case EventType::limits_changed: return write_limits(out, state, event.limits);
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
    out.begin_object().member("seq", h.seq).member("time", format_time(h.time_ns)).member("event", name_of(h.type));
    if (h.result != Result::none) out.member("result", riskreg::name_of(h.result));
    if (h.session != kNoSlot) out.member("session", std::uint64_t{h.session}).member("generation", std::uint64_t{h.generation});
    write_entities(out, state, h);
    write_body(out, state, event);
    return out.end_object().text();
}

}  // namespace riskreg::persist
