/// Limits as text: the fields of the configuration, of checkpoints and of every output are the entries of core/limits.hpp.
#pragma once

#include "core/limits.hpp"

namespace riskreg::persist {

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
