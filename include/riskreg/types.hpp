/// Numbers, handles and closed sets of values that every other public header uses.
///
/// Integers only: nothing in riskreg is computed in floating point. Everything here is a plain value,
/// safe to copy between threads and processes; nothing allocates and nothing throws.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

namespace riskreg {

/// Price in units of 1e-9. May be zero or negative (spreads, some power and oil contracts).
struct Price {
    std::int64_t value = 0;
    friend constexpr auto operator<=>(Price, Price) = default;
};

/// Quantity in units of 1e-8.
struct Quantity {
    std::int64_t value = 0;
    friend constexpr auto operator<=>(Quantity, Quantity) = default;
};

/// Amount of money in units of 1e-6 of the account's currency.
struct Money {
    std::int64_t value = 0;
    friend constexpr auto operator<=>(Money, Money) = default;
};

inline constexpr int kPriceDigits = 9;
inline constexpr int kQuantityDigits = 8;
inline constexpr int kMoneyDigits = 6;

/// Handles: resolved once by name (`Registry::instrument` …), valid for the life of the segment.
enum class InstrumentId : std::uint32_t { none = 0xFFFFFFFFU };
enum class AccountId : std::uint16_t { none = 0xFFFFU };
enum class StrategyId : std::uint16_t { none = 0xFFFFU };

/// Longest order id, venue id, execution id and entity name, in bytes. Printable ASCII without spaces.
inline constexpr std::size_t kMaxIdBytes = 39;

enum class Side : std::uint8_t { none = 0, buy = 1, sell = 2 };
enum class OrderType : std::uint8_t { none = 0, limit = 1, market = 2, stop = 3, stop_limit = 4, pegged = 5 };
inline constexpr OrderType kLastOrderType = OrderType::pegged;
/// What an order of a type says of prices: a limit price that it must or may have, a stop price that it must have or must not.
[[nodiscard]] constexpr bool needs_price(OrderType type) noexcept {
    return type == OrderType::limit || type == OrderType::stop_limit;
}
[[nodiscard]] constexpr bool may_have_price(OrderType type) noexcept { return type != OrderType::stop; }
[[nodiscard]] constexpr bool needs_stop_price(OrderType type) noexcept {
    return type == OrderType::stop || type == OrderType::stop_limit;
}
enum class TimeInForce : std::uint8_t { none = 0, day = 1, ioc = 2, fok = 3, gtc = 4, gtd = 5 };

/// Base state of an order. `pending_new … suspended` are live, the rest terminal.
// clang-format off
enum class OrderBase : std::uint8_t {
    none = 0, pending_new = 1, new_ = 2, partially_filled = 3, suspended = 4,
    filled = 10, canceled = 11, rejected = 12, expired = 13, done_for_day = 14, aborted = 15,
};
// clang-format on

/// What an order reports: its base, or a pending request where one takes precedence (FIX order).
// clang-format off
enum class OrderStatus : std::uint8_t {
    none = 0, pending_new = 1, new_ = 2, partially_filled = 3, suspended = 4,
    filled = 10, canceled = 11, rejected = 12, expired = 13, done_for_day = 14, aborted = 15,
    pending_cancel = 20, pending_replace = 21,
};
// clang-format on

/// Flags of an order, a bit set. `orphaned` and `kill_cancel` are derived at reading, never stored.
/// The bits from `contradiction` on say why an answer was an `anomaly`.
// clang-format off
enum OrderFlag : std::uint16_t {
    kPendingCancel = 1U << 0, kPendingReplace = 1U << 1, kUnknown = 1U << 2, kOrphaned = 1U << 3,
    kExternal = 1U << 4, kOverfill = 1U << 5, kLateFill = 1U << 6, kBusted = 1U << 7, kGap = 1U << 8,
    kKillCancel = 1U << 9, kContradiction = 1U << 10, kVenueIdDiffers = 1U << 11,
    kExecUnremembered = 1U << 12, kExecDiffers = 1U << 13, kStaleReport = 1U << 14,
    kSaturated = 1U << 15,
};
// clang-format on
using OrderFlags = std::uint16_t;

/// Trading state of a scope, in order of severity.
enum class TradingState : std::uint8_t { active = 0, warn = 1, reducing_only = 2, cancel_only = 3, halted = 4 };

/// What happens to a strategy's scope when its process dies without a clean detach.
enum class OnDeath : std::uint8_t { halt_strategy = 0, leave = 1, list_for_cancel = 2 };

/// The answer to a call. See `tools/README.md` for when each is given.
enum class Result : std::uint8_t {
    none = 0,
    accepted = 1,
    denied = 2,
    not_booked = 3,
    ok = 4,
    anomaly = 5,
    ignored_late = 6,
    duplicate = 7,
    quarantined = 8,
};

/// Why a call was refused. In checking order; the numbers are on disk: append only, never renumber.
// clang-format off
enum class DenyReason : std::uint16_t {
    none = 0,
    poisoned = 1, not_attached = 2, fenced = 3, lock_timeout = 4, journal_backlog = 5, journal_down = 6,
    draining = 7,
    halted = 100, cancel_only = 101, reducing_only = 102, unreconciled = 103,
    unknown_account = 200, unknown_strategy = 201, unknown_instrument = 202, not_permitted = 203,
    restricted = 204, short_not_allowed = 205,
    duplicate_order_id = 300, already_registered = 301, invalid_order_id = 302,
    invalid_quantity = 400, invalid_price = 401, invalid_field = 402,
    reference_price_unknown = 500, reference_price_stale = 501, price_collar = 502,
    no_limit_set = 600, max_order_quantity = 601, max_order_notional = 602,
    rate_limit = 700,
    duplicate_content = 800,
    self_match = 900,
    max_working_orders = 1000, max_long = 1001, max_short = 1002, max_open_notional = 1003,
    max_gross_notional = 1004, max_net_notional = 1005, cash_limit = 1006, max_traded_notional = 1007,
    daily_loss = 1008, drawdown = 1009,
    capacity = 1100, arithmetic_overflow = 1101,
    unknown_order = 1200, terminal = 1201, pending_cancel = 1202, pending_replace = 1203,
    version_mismatch = 1204, not_owner = 1205, below_cum = 1206, field_not_amendable = 1207,
    not_acknowledged = 1208, not_allowed = 1209,
    batch_member_denied = 1300,
};
// clang-format on

/// Unit of the two numbers that a refusal compares.
// clang-format off
enum class Unit : std::uint8_t {
    none = 0, price = 1, quantity = 2, money = 3, orders = 4, version = 5, slots = 6,
    messages = 7, executions = 8, milliseconds = 9, basis_points = 10,
};
// clang-format on

/// Kind of a limit scope, in the order in which scopes are checked.
// clang-format off
enum class ScopeKind : std::uint8_t {
    firm = 0, account = 1, strategy = 2, instrument = 3, account_instrument = 4, strategy_instrument = 5,
    none = 255,
};
// clang-format on

/// One limit scope; the fields that its kind does not name are `none`.
struct Scope {
    ScopeKind kind = ScopeKind::none;
    AccountId account = AccountId::none;
    StrategyId strategy = StrategyId::none;
    InstrumentId instrument = InstrumentId::none;
};

/// What an answer waits for.
enum class Durability : std::uint8_t {
    memory,    ///< it survives the death of any or all processes
    durable,   ///< it survives the loss of power
    pending,   ///< in answers only: in memory, and not yet on disk when the deadline passed
};

/// Names as they appear in JSON and on the command line. Never empty for a named enumerator.
[[nodiscard]] std::string_view name_of(Side value) noexcept;
[[nodiscard]] std::string_view name_of(OrderType value) noexcept;
[[nodiscard]] std::string_view name_of(TimeInForce value) noexcept;
[[nodiscard]] std::string_view name_of(OrderStatus value) noexcept;
[[nodiscard]] std::string_view name_of(TradingState value) noexcept;
[[nodiscard]] std::string_view name_of(OnDeath value) noexcept;
[[nodiscard]] std::string_view name_of(Result value) noexcept;
[[nodiscard]] std::string_view name_of(DenyReason value) noexcept;
[[nodiscard]] std::string_view name_of(Unit value) noexcept;
[[nodiscard]] std::string_view name_of(OrderFlag value) noexcept;

[[nodiscard]] constexpr bool is_live(OrderBase base) noexcept {
    return base >= OrderBase::pending_new && base <= OrderBase::suspended;
}

}  // namespace riskreg
