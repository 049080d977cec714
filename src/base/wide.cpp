#include "base/wide.hpp"

#include <array>

namespace riskreg::base {

namespace {

constexpr std::uint32_t kMaxScale = 29;   // of a NotionalFactor

constexpr auto kPowersOfTen = [] {
    std::array<Uint128, kMaxScale + 1> powers{};
    powers[0] = 1;
    for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
    return powers;
}();

Uint128 power_of_ten(std::uint32_t exponent) noexcept { return kPowersOfTen[exponent]; }

/// ceil(high·2^64 + low over divisor) for a 192-bit dividend; nullopt when above int64.
std::optional<std::int64_t> divide_192(Uint128 high, std::uint64_t low, Uint128 divisor) noexcept {
    Uint128 remainder = high % divisor;
    if (high / divisor != 0) return std::nullopt;
    std::uint64_t quotient = 0;
    for (int bit = 63; bit >= 0; --bit) {
        // remainder < divisor ≤ 10^29 < 2^97, so doubling cannot leave 128 bits
        remainder = (remainder << 1) | ((low >> bit) & 1U);
        const bool fits = remainder >= divisor;
        if (fits) remainder -= divisor;
        quotient = (quotient << 1) | static_cast<std::uint64_t>(fits);
    }
    if (remainder != 0 && ++quotient == 0) return std::nullopt;
    if (quotient > static_cast<std::uint64_t>(kMaxInt64)) return std::nullopt;
    return static_cast<std::int64_t>(quotient);
}

std::optional<std::int64_t> divide_up(Uint128 dividend, Uint128 divisor) noexcept {
    const Uint128 quotient = dividend / divisor + (dividend % divisor != 0 ? 1 : 0);
    if (quotient > static_cast<Uint128>(kMaxInt64)) return std::nullopt;
    return static_cast<std::int64_t>(quotient);
}

}  // namespace

std::optional<NotionalFactor> notional_factor(std::int64_t multiplier_e9, std::int64_t fx_e9) noexcept {
    if (multiplier_e9 <= 0 || fx_e9 <= 0) return std::nullopt;
    Uint128 product = static_cast<Uint128>(multiplier_e9) * static_cast<Uint128>(fx_e9);
    std::uint32_t scale = kMaxScale;
    for (; scale > 0 && product % 10 == 0; --scale) product /= 10;
    if (product > std::numeric_limits<std::uint64_t>::max()) return std::nullopt;
    return NotionalFactor{static_cast<std::uint64_t>(product), scale};
}

std::optional<std::int64_t> notional(std::int64_t price, std::int64_t quantity, const NotionalFactor& factor) noexcept {
    const Uint128 base = static_cast<Uint128>(magnitude(price)) * magnitude(quantity);
    // The everyday case first: one 64-bit division instead of a 128-bit one.
    if (factor.scale <= 19) {
        std::uint64_t small = 0;
        const auto low = static_cast<std::uint64_t>(base);
        if (base >> 64 == 0 && !__builtin_mul_overflow(low, factor.numerator, &small)) {
            const auto divisor = static_cast<std::uint64_t>(power_of_ten(factor.scale));
            const std::uint64_t quotient = small / divisor + (small % divisor != 0 ? 1 : 0);
            if (quotient > static_cast<std::uint64_t>(kMaxInt64)) return std::nullopt;
            return static_cast<std::int64_t>(quotient);
        }
    }
    const Uint128 divisor = power_of_ten(factor.scale);
    Uint128 product = 0;
    if (!__builtin_mul_overflow(base, static_cast<Uint128>(factor.numerator), &product)) return divide_up(product, divisor);
    const Uint128 low = static_cast<Uint128>(static_cast<std::uint64_t>(base)) * factor.numerator;
    const Uint128 high = (base >> 64) * factor.numerator + (low >> 64);
    return divide_192(high, static_cast<std::uint64_t>(low), divisor);
}

std::optional<std::int64_t> with_slippage(std::int64_t price, std::uint32_t bps) noexcept {
    return divide_up(static_cast<Uint128>(magnitude(price)) * (10000U + static_cast<std::uint64_t>(bps)), 10000U);
}

std::int64_t fraction_bps(std::int64_t price, std::uint32_t bps) noexcept {
    const Uint128 band = static_cast<Uint128>(magnitude(price)) * bps / 10000U;
    return band > static_cast<Uint128>(kMaxInt64) ? kMaxInt64 : static_cast<std::int64_t>(band);
}

}  // namespace riskreg::base
