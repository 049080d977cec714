/// The names of every closed set, once: configuration, JSON both ways, checkpoints, command line and messages read these lists.
///
/// An entry pairs an enumerator with its text; the number is the enumerator's own, so no list can disagree with the header.
/// A new enumerator needs one entry here, in the order of the numbers: the test "every enumerator has its own name" fails without.
/// Sets of `layout` have theirs in layout/names.hpp. What is 0 and stands for nothing (`none`) is in no list: it is never read.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "riskreg/config.hpp"
#include "riskreg/types.hpp"

namespace riskreg::base {

template <class E>
struct Name {
    E value;
    std::string_view text;
};

/// The list of a set. There is none but those that are written out: to ask for another does not compile.
template <class E>
struct NamesOf;
template <class E>
[[nodiscard]] constexpr std::span<const Name<E>> names_of() noexcept {
    return NamesOf<E>::list;
}

template <class E>
[[nodiscard]] constexpr std::string_view text_of(std::span<const Name<E>> names, E value, std::string_view otherwise) noexcept {
    for (const Name<E>& name : names)
        if (name.value == value) return name.text;
    return otherwise;
}
template <class E>
[[nodiscard]] constexpr std::string_view text_of(E value, std::string_view otherwise = "none") noexcept {
    return text_of(names_of<E>(), value, otherwise);
}

template <class E>
[[nodiscard]] constexpr std::optional<E> value_named(std::span<const Name<E>> names, std::string_view text) noexcept {
    for (const Name<E>& name : names)
        if (name.text == text) return name.value;
    return std::nullopt;
}
template <class E>
[[nodiscard]] constexpr std::optional<E> value_named(std::string_view text) noexcept {
    return value_named(names_of<E>(), text);
}

template <>
struct NamesOf<Side> {
    using enum Side;
    static constexpr auto list = std::to_array<Name<Side>>({{buy, "buy"}, {sell, "sell"}});
};

template <>
struct NamesOf<OrderType> {
    using enum OrderType;
    static constexpr auto list = std::to_array<Name<OrderType>>(
        {{limit, "limit"}, {market, "market"}, {stop, "stop"}, {stop_limit, "stop_limit"}, {pegged, "pegged"}});
};

template <>
struct NamesOf<TimeInForce> {
    using enum TimeInForce;
    static constexpr auto list =
        std::to_array<Name<TimeInForce>>({{day, "day"}, {ioc, "ioc"}, {fok, "fok"}, {gtc, "gtc"}, {gtd, "gtd"}});
};

template <>
struct NamesOf<OrderStatus> {
    using enum OrderStatus;
    static constexpr auto list = std::to_array<Name<OrderStatus>>({{pending_new, "pending_new"},
                                                                   {new_, "new"},
                                                                   {partially_filled, "partially_filled"},
                                                                   {suspended, "suspended"},
                                                                   {filled, "filled"},
                                                                   {canceled, "canceled"},
                                                                   {rejected, "rejected"},
                                                                   {expired, "expired"},
                                                                   {done_for_day, "done_for_day"},
                                                                   {aborted, "aborted"},
                                                                   {pending_cancel, "pending_cancel"},
                                                                   {pending_replace, "pending_replace"}});
};

/// The same names: a base is a status that is no pending request.
template <>
struct NamesOf<OrderBase> {
    static constexpr auto list = [] {
        std::array<Name<OrderBase>, NamesOf<OrderStatus>::list.size() - 2> bases{};
        for (std::size_t i = 0; i < bases.size(); ++i)
            bases[i] = {static_cast<OrderBase>(NamesOf<OrderStatus>::list[i].value), NamesOf<OrderStatus>::list[i].text};
        return bases;
    }();
    static_assert(list.back().value == OrderBase::aborted);
};

template <>
struct NamesOf<TradingState> {
    using enum TradingState;
    static constexpr auto list = std::to_array<Name<TradingState>>({{active, "active"},
                                                                    {warn, "warn"},
                                                                    {reducing_only, "reducing_only"},
                                                                    {cancel_only, "cancel_only"},
                                                                    {halted, "halted"}});
};

template <>
struct NamesOf<OnDeath> {
    using enum OnDeath;
    static constexpr auto list = std::to_array<Name<OnDeath>>(
        {{halt_strategy, "halt_strategy"}, {leave, "leave"}, {list_for_cancel, "list_for_cancel"}});
};

template <>
struct NamesOf<Result> {
    using enum Result;
    static constexpr auto list = std::to_array<Name<Result>>({{accepted, "accepted"},
                                                              {denied, "denied"},
                                                              {not_booked, "not_booked"},
                                                              {ok, "ok"},
                                                              {anomaly, "anomaly"},
                                                              {ignored_late, "ignored_late"},
                                                              {duplicate, "duplicate"},
                                                              {quarantined, "quarantined"}});
};

// clang-format off
template <>
struct NamesOf<DenyReason> {
    using enum DenyReason;
    static constexpr auto list = std::to_array<Name<DenyReason>>({
        {poisoned, "poisoned"}, {not_attached, "not_attached"}, {fenced, "fenced"}, {lock_timeout, "lock_timeout"},
        {journal_backlog, "journal_backlog"}, {journal_down, "journal_down"}, {draining, "draining"},
        {halted, "halted"}, {cancel_only, "cancel_only"}, {reducing_only, "reducing_only"}, {unreconciled, "unreconciled"},
        {unknown_account, "unknown_account"}, {unknown_strategy, "unknown_strategy"},
        {unknown_instrument, "unknown_instrument"}, {not_permitted, "not_permitted"}, {restricted, "restricted"},
        {short_not_allowed, "short_not_allowed"},
        {duplicate_order_id, "duplicate_order_id"}, {already_registered, "already_registered"},
        {invalid_order_id, "invalid_order_id"},
        {invalid_quantity, "invalid_quantity"}, {invalid_price, "invalid_price"}, {invalid_field, "invalid_field"},
        {reference_price_unknown, "reference_price_unknown"}, {reference_price_stale, "reference_price_stale"},
        {price_collar, "price_collar"},
        {no_limit_set, "no_limit_set"}, {max_order_quantity, "max_order_quantity"},
        {max_order_notional, "max_order_notional"}, {rate_limit, "rate_limit"}, {duplicate_content, "duplicate_content"},
        {self_match, "self_match"},
        {max_working_orders, "max_working_orders"}, {max_long, "max_long"}, {max_short, "max_short"},
        {max_open_notional, "max_open_notional"}, {max_gross_notional, "max_gross_notional"},
        {max_net_notional, "max_net_notional"}, {cash_limit, "cash_limit"}, {max_traded_notional, "max_traded_notional"},
        {daily_loss, "daily_loss"}, {drawdown, "drawdown"},
        {capacity, "capacity"}, {arithmetic_overflow, "arithmetic_overflow"},
        {unknown_order, "unknown_order"}, {terminal, "terminal"}, {pending_cancel, "pending_cancel"},
        {pending_replace, "pending_replace"}, {version_mismatch, "version_mismatch"}, {not_owner, "not_owner"},
        {below_cum, "below_cum"}, {field_not_amendable, "field_not_amendable"}, {not_acknowledged, "not_acknowledged"},
        {not_allowed, "not_allowed"}, {batch_member_denied, "batch_member_denied"}});
};

template <>
struct NamesOf<Unit> {
    using enum Unit;
    static constexpr auto list = std::to_array<Name<Unit>>({
        {price, "price"}, {quantity, "quantity"}, {money, "money"}, {orders, "orders"}, {version, "version"},
        {slots, "slots"}, {messages, "messages"}, {executions, "executions"}, {milliseconds, "milliseconds"},
        {basis_points, "basis_points"}});
};

template <>
struct NamesOf<OrderFlag> {
    static constexpr auto list = std::to_array<Name<OrderFlag>>({
        {kPendingCancel, "pending_cancel"}, {kPendingReplace, "pending_replace"}, {kUnknown, "unknown"},
        {kOrphaned, "orphaned"}, {kExternal, "external"}, {kOverfill, "overfill"}, {kLateFill, "late_fill"},
        {kBusted, "busted"}, {kGap, "gap"}, {kKillCancel, "kill_cancel"}, {kContradiction, "contradiction"},
        {kVenueIdDiffers, "venue_id_differs"}, {kExecUnremembered, "exec_unremembered"}, {kExecDiffers, "exec_differs"},
        {kStaleReport, "stale_report"}, {kSaturated, "saturated"}});
};
// clang-format on

template <>
struct NamesOf<HostRank> {
    using enum HostRank;
    static constexpr auto list = std::to_array<Name<HostRank>>({{library, "library"}, {exec, "exec"}, {riskd, "riskd"}});
};

template <>
struct NamesOf<PersistenceMode> {
    using enum PersistenceMode;
    static constexpr auto list = std::to_array<Name<PersistenceMode>>({{none, "none"}, {async, "async"}, {durable, "durable"}});
};

template <>
struct NamesOf<ReservePrice> {
    using enum ReservePrice;
    static constexpr auto list =
        std::to_array<Name<ReservePrice>>({{max_limit_reference, "max_limit_reference"}, {limit, "limit"}});
};

template <>
struct NamesOf<SelfMatch> {
    using enum SelfMatch;
    static constexpr auto list =
        std::to_array<Name<SelfMatch>>({{refuse_new, "refuse_new"}, {advise_cancel, "advise_cancel"}, {allow, "allow"}});
};

template <>
struct NamesOf<SelfMatchGroup> {
    using enum SelfMatchGroup;
    static constexpr auto list = std::to_array<Name<SelfMatchGroup>>({{account, "account"}, {firm, "firm"}});
};

template <>
struct NamesOf<GrossMethod> {
    using enum GrossMethod;
    static constexpr auto list = std::to_array<Name<GrossMethod>>({{standard, "standard"}, {worst_case, "worst_case"}});
};

template <>
struct NamesOf<Durability> {
    using enum Durability;
    static constexpr auto list =
        std::to_array<Name<Durability>>({{memory, "memory"}, {durable, "durable"}, {pending, "pending"}});
};

/// Sides of an entry of the restricted list, as a value of their own.
enum class Sides : std::uint8_t { none = 0, buy = 1, sell = 2, both = 3 };
template <>
struct NamesOf<Sides> {
    using enum Sides;
    static constexpr auto list = std::to_array<Name<Sides>>({{buy, "buy"}, {sell, "sell"}, {both, "both"}});
};
[[nodiscard]] constexpr std::string_view name_of_sides(bool buy, bool sell) noexcept {
    return text_of(buy && sell ? Sides::both : buy ? Sides::buy : Sides::sell);
}

}  // namespace riskreg::base
