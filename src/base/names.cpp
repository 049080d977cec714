// The names of every closed set, in one place: JSON, command line and messages all use these.
#include "riskreg/config.hpp"
#include "riskreg/types.hpp"

namespace riskreg {

std::string_view name_of(Side value) noexcept {
    switch (value) {
        case Side::buy: return "buy";
        case Side::sell: return "sell";
        case Side::none: break;
    }
    return "none";
}

std::string_view name_of(OrderType value) noexcept {
    switch (value) {
        case OrderType::limit: return "limit";
        case OrderType::market: return "market";
        case OrderType::stop: return "stop";
        case OrderType::stop_limit: return "stop_limit";
        case OrderType::pegged: return "pegged";
        case OrderType::none: break;
    }
    return "none";
}

std::string_view name_of(TimeInForce value) noexcept {
    switch (value) {
        case TimeInForce::day: return "day";
        case TimeInForce::ioc: return "ioc";
        case TimeInForce::fok: return "fok";
        case TimeInForce::gtc: return "gtc";
        case TimeInForce::gtd: return "gtd";
        case TimeInForce::none: break;
    }
    return "none";
}

std::string_view name_of(OrderStatus value) noexcept {
    switch (value) {
        case OrderStatus::pending_new: return "pending_new";
        case OrderStatus::new_: return "new";
        case OrderStatus::partially_filled: return "partially_filled";
        case OrderStatus::suspended: return "suspended";
        case OrderStatus::filled: return "filled";
        case OrderStatus::canceled: return "canceled";
        case OrderStatus::rejected: return "rejected";
        case OrderStatus::expired: return "expired";
        case OrderStatus::done_for_day: return "done_for_day";
        case OrderStatus::aborted: return "aborted";
        case OrderStatus::pending_cancel: return "pending_cancel";
        case OrderStatus::pending_replace: return "pending_replace";
        case OrderStatus::none: break;
    }
    return "none";
}

std::string_view name_of(HostRank value) noexcept {
    switch (value) {
        case HostRank::library: return "library";
        case HostRank::exec: return "exec";
        case HostRank::riskd: return "riskd";
    }
    return "unknown";
}

std::string_view name_of(TradingState value) noexcept {
    switch (value) {
        case TradingState::active: return "active";
        case TradingState::warn: return "warn";
        case TradingState::reducing_only: return "reducing_only";
        case TradingState::cancel_only: return "cancel_only";
        case TradingState::halted: return "halted";
    }
    return "none";
}

std::string_view name_of(OnDeath value) noexcept {
    switch (value) {
        case OnDeath::halt_strategy: return "halt_strategy";
        case OnDeath::leave: return "leave";
        case OnDeath::list_for_cancel: return "list_for_cancel";
    }
    return "none";
}

std::string_view name_of(Result value) noexcept {
    switch (value) {
        case Result::accepted: return "accepted";
        case Result::denied: return "denied";
        case Result::not_booked: return "not_booked";
        case Result::ok: return "ok";
        case Result::anomaly: return "anomaly";
        case Result::ignored_late: return "ignored_late";
        case Result::duplicate: return "duplicate";
        case Result::quarantined: return "quarantined";
        case Result::none: break;
    }
    return "none";
}

std::string_view name_of(DenyReason value) noexcept {
    switch (value) {
        case DenyReason::none: return "none";
        case DenyReason::poisoned: return "poisoned";
        case DenyReason::not_attached: return "not_attached";
        case DenyReason::fenced: return "fenced";
        case DenyReason::lock_timeout: return "lock_timeout";
        case DenyReason::journal_backlog: return "journal_backlog";
        case DenyReason::journal_down: return "journal_down";
        case DenyReason::draining: return "draining";
        case DenyReason::halted: return "halted";
        case DenyReason::cancel_only: return "cancel_only";
        case DenyReason::reducing_only: return "reducing_only";
        case DenyReason::unreconciled: return "unreconciled";
        case DenyReason::unknown_account: return "unknown_account";
        case DenyReason::unknown_strategy: return "unknown_strategy";
        case DenyReason::unknown_instrument: return "unknown_instrument";
        case DenyReason::not_permitted: return "not_permitted";
        case DenyReason::restricted: return "restricted";
        case DenyReason::short_not_allowed: return "short_not_allowed";
        case DenyReason::duplicate_order_id: return "duplicate_order_id";
        case DenyReason::already_registered: return "already_registered";
        case DenyReason::invalid_order_id: return "invalid_order_id";
        case DenyReason::invalid_quantity: return "invalid_quantity";
        case DenyReason::invalid_price: return "invalid_price";
        case DenyReason::invalid_field: return "invalid_field";
        case DenyReason::reference_price_unknown: return "reference_price_unknown";
        case DenyReason::reference_price_stale: return "reference_price_stale";
        case DenyReason::price_collar: return "price_collar";
        case DenyReason::no_limit_set: return "no_limit_set";
        case DenyReason::max_order_quantity: return "max_order_quantity";
        case DenyReason::max_order_notional: return "max_order_notional";
        case DenyReason::rate_limit: return "rate_limit";
        case DenyReason::duplicate_content: return "duplicate_content";
        case DenyReason::self_match: return "self_match";
        case DenyReason::max_working_orders: return "max_working_orders";
        case DenyReason::max_long: return "max_long";
        case DenyReason::max_short: return "max_short";
        case DenyReason::max_open_notional: return "max_open_notional";
        case DenyReason::max_gross_notional: return "max_gross_notional";
        case DenyReason::max_net_notional: return "max_net_notional";
        case DenyReason::cash_limit: return "cash_limit";
        case DenyReason::max_traded_notional: return "max_traded_notional";
        case DenyReason::daily_loss: return "daily_loss";
        case DenyReason::drawdown: return "drawdown";
        case DenyReason::capacity: return "capacity";
        case DenyReason::arithmetic_overflow: return "arithmetic_overflow";
        case DenyReason::unknown_order: return "unknown_order";
        case DenyReason::terminal: return "terminal";
        case DenyReason::pending_cancel: return "pending_cancel";
        case DenyReason::pending_replace: return "pending_replace";
        case DenyReason::version_mismatch: return "version_mismatch";
        case DenyReason::not_owner: return "not_owner";
        case DenyReason::below_cum: return "below_cum";
        case DenyReason::field_not_amendable: return "field_not_amendable";
        case DenyReason::not_acknowledged: return "not_acknowledged";
        case DenyReason::not_allowed: return "not_allowed";
        case DenyReason::batch_member_denied: return "batch_member_denied";
    }
    return "none";
}

std::string_view name_of(Unit value) noexcept {
    switch (value) {
        case Unit::none: return "none";
        case Unit::price: return "price";
        case Unit::quantity: return "quantity";
        case Unit::money: return "money";
        case Unit::orders: return "orders";
        case Unit::version: return "version";
        case Unit::slots: return "slots";
        case Unit::messages: return "messages";
        case Unit::executions: return "executions";
        case Unit::milliseconds: return "milliseconds";
        case Unit::basis_points: return "basis_points";
    }
    return "none";
}

std::string_view name_of(OrderFlag value) noexcept {
    switch (value) {
        case kPendingCancel: return "pending_cancel";
        case kPendingReplace: return "pending_replace";
        case kUnknown: return "unknown";
        case kOrphaned: return "orphaned";
        case kExternal: return "external";
        case kOverfill: return "overfill";
        case kLateFill: return "late_fill";
        case kBusted: return "busted";
        case kGap: return "gap";
        case kKillCancel: return "kill_cancel";
        case kContradiction: return "contradiction";
        case kVenueIdDiffers: return "venue_id_differs";
        case kExecUnremembered: return "exec_unremembered";
        case kExecDiffers: return "exec_differs";
        case kStaleReport: return "stale_report";
        case kSaturated: return "saturated";
    }
    return "none";
}

}  // namespace riskreg
