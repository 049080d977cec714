/// Fixed-point decimals as text. Exact both ways; no exponent, no rounding, no locale.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace riskreg::base {

enum class DecimalError : std::uint8_t { none, syntax, too_many_digits, out_of_range };

struct DecimalResult {
    std::int64_t value = 0;
    DecimalError error = DecimalError::none;
};

/// Parses `-?digits(.digits)?` into units of 10^-digits. More fractional digits than that is an error,
/// even when they are zero: the sender believes in a precision that we do not have.
[[nodiscard]] DecimalResult parse_decimal(std::string_view text, int digits) noexcept;

/// Shortest form: `10`, `0`, `-4799.25`; no exponent, no trailing zeros.
[[nodiscard]] std::string format_decimal(std::int64_t value, int digits);

/// The sentence for an error message.
[[nodiscard]] std::string_view describe(DecimalError error) noexcept;

}  // namespace riskreg::base
