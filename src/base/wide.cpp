#include "base/wide.hpp"

#include <array>

namespace riskreg::base {

namespace {

constexpr auto kPowersOfTen = [] {
    std::array<Uint128, kMaxScale + 1> powers{};
    powers[0] = 1;
    for (std::size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
    return powers;
}();

Uint128 power_of_ten(std::uint32_t exponent) noexcept { return kPowersOfTen[exponent]; }

/// Divides 128 by 64 bits with two multiplications (Möller and Granlund, "Improved division by invariant integers", 2011):
/// on the way of every order, where the processor's own division takes as long as all other arithmetic together.
class Divider {
public:
    constexpr Divider() = default;
    constexpr explicit Divider(std::uint64_t divisor) noexcept
        : shift_(static_cast<unsigned>(__builtin_clzll(divisor))),
          divisor_(divisor << shift_),
          reciprocal_(static_cast<std::uint64_t>(~Uint128{0} / divisor_ - (Uint128{1} << 64))) {}

    struct Result {
        std::uint64_t quotient;
        bool exact;
    };
    /// Whether the quotient has 64 bits, which `divide` requires.
    [[nodiscard]] constexpr bool fits(Uint128 dividend) const noexcept {
        return static_cast<std::uint64_t>(dividend >> 64) < divisor_ >> shift_;
    }
    [[nodiscard]] constexpr Result divide(Uint128 dividend) const noexcept {
        dividend <<= shift_;
        const auto high = static_cast<std::uint64_t>(dividend >> 64);
        const auto low = static_cast<std::uint64_t>(dividend);
        const Uint128 estimate = static_cast<Uint128>(reciprocal_) * high + dividend;
        std::uint64_t quotient = static_cast<std::uint64_t>(estimate >> 64) + 1;
        std::uint64_t remainder = low - quotient * divisor_;
        const bool too_high = remainder > static_cast<std::uint64_t>(estimate);
        quotient -= too_high ? 1 : 0;
        remainder += too_high ? divisor_ : 0;
        if (remainder >= divisor_) [[unlikely]] {
            ++quotient;
            remainder -= divisor_;
        }
        return {quotient, remainder == 0};
    }

private:
    unsigned shift_ = 0;
    std::uint64_t divisor_ = 0;      // its highest bit is set
    std::uint64_t reciprocal_ = 0;
};

constexpr std::uint32_t kMaxDivider = 19;   // 10^19 < 2^64
constexpr auto kDividers = [] {
    std::array<Divider, kMaxDivider + 1> dividers{};
    for (std::size_t i = 0; i < dividers.size(); ++i) dividers[i] = Divider(static_cast<std::uint64_t>(kPowersOfTen[i]));
    return dividers;
}();

std::optional<std::int64_t> round_up(std::uint64_t quotient, bool exact) noexcept {
    if (quotient > static_cast<std::uint64_t>(kMaxInt64) - (exact ? 0 : 1)) return std::nullopt;
    return static_cast<std::int64_t>(quotient + (exact ? 0 : 1));
}

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
    const Uint128 low = static_cast<Uint128>(static_cast<std::uint64_t>(base)) * factor.numerator;
    const Uint128 high = (base >> 64) * factor.numerator + (low >> 64);
    if (high >> 64 != 0) [[unlikely]]
        return divide_192(high, static_cast<std::uint64_t>(low), power_of_ten(factor.scale));
    const Uint128 product = high << 64 | static_cast<std::uint64_t>(low);
    if (factor.scale > kMaxDivider) [[unlikely]]
        return divide_up(product, power_of_ten(factor.scale));
    const Divider& divider = kDividers[factor.scale];
    if (!divider.fits(product)) [[unlikely]]
        return std::nullopt;
    const auto [quotient, exact] = divider.divide(product);
    return round_up(quotient, exact);
}

std::optional<std::int64_t> with_slippage(std::int64_t price, std::uint32_t bps) noexcept {
    return divide_up(static_cast<Uint128>(magnitude(price)) * (10000U + static_cast<std::uint64_t>(bps)), 10000U);
}

std::int64_t fraction_bps(std::int64_t price, std::uint32_t bps) noexcept {
    const Uint128 band = static_cast<Uint128>(magnitude(price)) * bps / 10000U;
    return band > static_cast<Uint128>(kMaxInt64) ? kMaxInt64 : static_cast<std::int64_t>(band);
}

}  // namespace riskreg::base
