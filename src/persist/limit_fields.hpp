/// The names and units of the limit fields, in one table: configuration, `riskctl limit` and every output use it.
#pragma once

#include <array>
#include <string_view>

#include "riskreg/config.hpp"

namespace riskreg::persist {

struct LimitField {
    std::string_view name;
    LimitValue Limits::*member;
    Unit unit;
};

inline constexpr std::array<LimitField, 8> kLimitFields = {{
    {"max_order_quantity", &Limits::max_order_quantity, Unit::quantity},
    {"max_order_notional", &Limits::max_order_notional, Unit::money},
    {"max_long", &Limits::max_long, Unit::quantity},
    {"max_short", &Limits::max_short, Unit::quantity},
    {"max_open_notional", &Limits::max_open_notional, Unit::money},
    {"max_working_orders", &Limits::max_working_orders, Unit::orders},
    {"max_working_buy", &Limits::max_working_buy, Unit::orders},
    {"max_working_sell", &Limits::max_working_sell, Unit::orders},
}};

/// Fields of semantics.md whose check is not built yet: "unlimited" is accepted, a value is refused by name.
inline constexpr std::array<std::string_view, 11> kLimitsNotBuilt = {
    "max_gross_notional", "max_net_notional", "cash_limit",       "max_traded_notional", "daily_loss",  "drawdown",
    "max_messages",       "max_all_messages", "max_same_content", "max_same_direction",  "max_rejects",
};

/// Parameters of those checks; harmless without them.
inline constexpr std::array<std::string_view, 3> kLimitParameters = {"window_ms", "content_window_ms", "cancel_headroom"};

[[nodiscard]] constexpr int digits_of(Unit unit) noexcept {
    switch (unit) {
        case Unit::price: return kPriceDigits;
        case Unit::quantity: return kQuantityDigits;
        case Unit::money: return kMoneyDigits;
        default: return 0;
    }
}

}  // namespace riskreg::persist
