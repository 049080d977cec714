#include "base/decimal.hpp"

#include "base/wide.hpp"

namespace riskreg::base {

namespace {
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
}  // namespace

DecimalResult parse_decimal(std::string_view text, int digits) noexcept {
    const bool negative = !text.empty() && text.front() == '-';
    if (negative) text.remove_prefix(1);
    const std::size_t point = text.find('.');
    const std::string_view whole = text.substr(0, point);
    const bool has_fraction = point != std::string_view::npos;
    const std::string_view fraction = has_fraction ? text.substr(point + 1) : std::string_view{};
    if (whole.empty() || (has_fraction && fraction.empty())) return {0, DecimalError::syntax};
    for (const std::string_view part : {whole, fraction})
        for (const char c : part)
            if (!is_digit(c)) return {0, DecimalError::syntax};
    if (fraction.size() > static_cast<std::size_t>(digits)) return {0, DecimalError::too_many_digits};

    Int128 value = 0;
    const auto push = [&value](int digit) {
        value = value * 10 + digit;
        return value <= static_cast<Int128>(kMaxInt64);
    };
    for (const char c : whole)
        if (!push(c - '0')) return {0, DecimalError::out_of_range};
    for (int i = 0; i < digits; ++i) {
        const auto at = static_cast<std::size_t>(i);
        if (!push(at < fraction.size() ? fraction[at] - '0' : 0)) return {0, DecimalError::out_of_range};
    }
    return {static_cast<std::int64_t>(negative ? -value : value), DecimalError::none};
}

std::string format_decimal(std::int64_t value, int digits) {
    std::string text = std::to_string(magnitude(value));
    const auto places = static_cast<std::size_t>(digits);
    if (places > 0) {
        if (text.size() <= places) text.insert(0, places + 1 - text.size(), '0');
        text.insert(text.size() - places, 1, '.');
        text.erase(text.find_last_not_of('0') + 1);
        if (text.back() == '.') text.pop_back();
    }
    if (value < 0) text.insert(0, 1, '-');
    return text;
}

std::string_view describe(DecimalError error) noexcept {
    switch (error) {
        case DecimalError::none: return "a decimal";
        case DecimalError::syntax: return "not a decimal: digits with at most one point, no exponent";
        case DecimalError::too_many_digits: return "more fractional digits than the type holds";
        case DecimalError::out_of_range: return "outside the range of the type";
    }
    return "";
}

}  // namespace riskreg::base
