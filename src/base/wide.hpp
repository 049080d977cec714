/// Checked 64- and 128-bit arithmetic. Overflow is always an answer, never a wrap.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

namespace riskreg::base {

__extension__ using Int128 = __int128;
__extension__ using Uint128 = unsigned __int128;

inline constexpr std::int64_t kMaxInt64 = std::numeric_limits<std::int64_t>::max();
inline constexpr std::int64_t kMinInt64 = std::numeric_limits<std::int64_t>::min();

[[nodiscard]] constexpr bool fits_int64(Int128 value) noexcept { return value >= kMinInt64 && value <= kMaxInt64; }

/// The nearest representable value.
[[nodiscard]] constexpr std::int64_t narrowed(Int128 value) noexcept {
    if (value > kMaxInt64) return kMaxInt64;
    return value < kMinInt64 ? kMinInt64 : static_cast<std::int64_t>(value);
}

/// a + b, or the nearest representable value; `saturated` is set (never cleared) when that happened.
[[nodiscard]] constexpr std::int64_t add_saturating(std::int64_t a, std::int64_t b, bool& saturated) noexcept {
    std::int64_t sum = 0;
    if (!__builtin_add_overflow(a, b, &sum)) return sum;
    saturated = true;
    return b > 0 ? kMaxInt64 : kMinInt64;
}

/// |value| as unsigned; exact also for the smallest int64.
[[nodiscard]] constexpr std::uint64_t magnitude(std::int64_t value) noexcept {
    return value < 0 ? 0 - static_cast<std::uint64_t>(value) : static_cast<std::uint64_t>(value);
}

/// What turns |price| · quantity (units 1e-17) into money (units 1e-6): numerator / 10^scale.
/// numerator = multiplier · fx without trailing zeros, so that common contracts stay in 64 bits.
struct NotionalFactor {
    std::uint64_t numerator = 1;
    std::uint32_t scale = 11;
};
inline constexpr std::uint32_t kMaxScale = 29;   ///< of a NotionalFactor

/// The factor of an instrument; nullopt when multiplier · fx has more significant digits than 64 bits hold.
[[nodiscard]] std::optional<NotionalFactor> notional_factor(std::int64_t multiplier_e9, std::int64_t fx_e9) noexcept;

/// |price| · quantity · multiplier · fx in units of 1e-6, rounded away from zero, exact.
/// nullopt on overflow of the result. Requires quantity ≥ 0 and factor.scale ≤ kMaxScale.
[[nodiscard]] std::optional<std::int64_t> notional(std::int64_t price, std::int64_t quantity,
                                                   const NotionalFactor& factor) noexcept;

/// |price| · (10^4 + bps) / 10^4 rounded away from zero; nullopt on overflow.
[[nodiscard]] std::optional<std::int64_t> with_slippage(std::int64_t price, std::uint32_t bps) noexcept;

/// |price| · bps / 10^4 rounded towards zero (a band is never wider than configured).
[[nodiscard]] std::int64_t fraction_bps(std::int64_t price, std::uint32_t bps) noexcept;

}  // namespace riskreg::base
