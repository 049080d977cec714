/// The names, units and ranges of the members of Limits, in one table: configuration, `riskctl limit` and every output use it.
#pragma once

#include <array>
#include <string_view>

#include "riskreg/config.hpp"

namespace riskreg::persist {

inline constexpr std::int64_t kMostAmount = 0x7FFFFFFFFFFFFFFF;
inline constexpr std::int64_t kMostCount = 0xFFFFFFFE;
inline constexpr std::int64_t kMostWindowMs = 86'400'000;
inline constexpr std::int64_t kWholeBps = 10'000;

struct LimitField {
    std::string_view name;
    LimitValue Limits::*member;
    Unit unit;
    std::int64_t most = kMostAmount;
    std::int64_t least = 0;
    bool is_parameter = false;  ///< says how other limits are counted: a value or unset, never unlimited
};

/// In the order of Limits: entry i is bit i of a LimitMask.
inline constexpr std::array<LimitField, 22> kLimitFields = {{
    {"max_order_quantity", &Limits::max_order_quantity, Unit::quantity},
    {"max_order_notional", &Limits::max_order_notional, Unit::money},
    {"max_long", &Limits::max_long, Unit::quantity},
    {"max_short", &Limits::max_short, Unit::quantity},
    {"max_open_notional", &Limits::max_open_notional, Unit::money},
    {"max_working_orders", &Limits::max_working_orders, Unit::orders, kMostCount},
    {"max_working_buy", &Limits::max_working_buy, Unit::orders, kMostCount},
    {"max_working_sell", &Limits::max_working_sell, Unit::orders, kMostCount},
    {"max_gross_notional", &Limits::max_gross_notional, Unit::money},
    {"max_net_notional", &Limits::max_net_notional, Unit::money},
    {"cash_limit", &Limits::cash_limit, Unit::money},
    {"max_traded_notional", &Limits::max_traded_notional, Unit::money},
    {"daily_loss", &Limits::daily_loss, Unit::money},
    {"drawdown", &Limits::drawdown, Unit::money},
    {"max_messages", &Limits::max_messages, Unit::messages, kMostCount},
    {"max_all_messages", &Limits::max_all_messages, Unit::messages, kMostCount},
    {"max_same_content", &Limits::max_same_content, Unit::orders, kMostCount},
    {"max_same_direction", &Limits::max_same_direction, Unit::executions, kMostCount},
    {"max_rejects", &Limits::max_rejects, Unit::orders, kMostCount},
    {"window_ms", &Limits::window_ms, Unit::milliseconds, kMostWindowMs, 1, true},
    {"content_window_ms", &Limits::content_window_ms, Unit::milliseconds, kMostWindowMs, 1, true},
    {"cancel_headroom", &Limits::cancel_headroom_bps, Unit::basis_points, kWholeBps, 0, true},
}};

/// Fractional digits of an amount as text. Basis points are written as the fraction that they are: 1500 is "0.15".
[[nodiscard]] constexpr int digits_of(Unit unit) noexcept {
    switch (unit) {
        case Unit::price: return kPriceDigits;
        case Unit::quantity: return kQuantityDigits;
        case Unit::money: return kMoneyDigits;
        case Unit::basis_points: return 4;
        default: return 0;
    }
}

/// Counts are JSON numbers, everything else is a decimal as a string.
[[nodiscard]] constexpr bool is_count(Unit unit) noexcept { return digits_of(unit) == 0; }

}  // namespace riskreg::persist
