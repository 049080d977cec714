#include <array>
#include <boost/multiprecision/cpp_int.hpp>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "base/decimal.hpp"
#include "base/fixed_id.hpp"
#include "base/wide.hpp"
#include "core/value.hpp"
#include "support/guarded_page.hpp"

using namespace riskreg::base;
using Big = boost::multiprecision::cpp_int;

TEST_CASE("a decimal is read exactly and written in its shortest form", "[base]") {
    CHECK(parse_decimal("4799.25", 9).value == 4799250000000);
    CHECK(parse_decimal("-0.000000001", 9).value == -1);
    CHECK(parse_decimal("007", 8).value == 700000000);
    CHECK(format_decimal(4799250000000, 9) == "4799.25");
    CHECK(format_decimal(1000000000, 8) == "10");
    CHECK(format_decimal(0, 8) == "0");
    CHECK(format_decimal(-1, 9) == "-0.000000001");
    CHECK(format_decimal(-500000, 6) == "-0.5");
    CHECK(format_decimal(7, 0) == "7");
    CHECK(format_decimal(INT64_MIN, 9) == "-9223372036.854775808");
}

TEST_CASE("what is not a decimal of the type is an error with its kind", "[base]") {
    for (const char* text : {"", "-", ".", "1.", ".5", "1e5", "+1", " 1", "1 ", "1,5", "NaN", "inf", "0x10", "1.2.3", "--1"})
        CHECK(parse_decimal(text, 9).error == DecimalError::syntax);
    CHECK(parse_decimal("1.0000000001", 9).error == DecimalError::too_many_digits);
    CHECK(parse_decimal("9223372036.854775807", 9).error == DecimalError::none);
    CHECK(parse_decimal("9223372036.854775808", 9).error == DecimalError::out_of_range);
    CHECK(parse_decimal("99999999999999999999999999999999999999999999", 9).error == DecimalError::out_of_range);
}

TEST_CASE("every value survives being written and read", "[base]") {
    std::mt19937_64 random(1);
    for (int i = 0; i < 100000; ++i) {
        const auto value = static_cast<std::int64_t>(random() >> (random() % 60));
        for (const int digits : {0, 6, 8, 9}) {
            const DecimalResult back = parse_decimal(format_decimal(i % 2 == 0 ? value : -value, digits), digits);
            REQUIRE(back.error == DecimalError::none);
            REQUIRE(back.value == (i % 2 == 0 ? value : -value));
        }
    }
}

namespace {

/// The definition, in integers of any size: |price| · quantity · multiplier · fx, up to the next unit.
std::optional<std::int64_t> notional_by_definition(std::int64_t price, std::int64_t quantity, std::int64_t multiplier,
                                                   std::int64_t fx) {
    const Big product = abs(Big(price)) * quantity * multiplier * fx;
    const Big unit = pow(Big(10), 9 + 8 + 9 + 9 - 6);
    const Big result = (product + unit - 1) / unit;
    if (result > INT64_MAX) return std::nullopt;
    return static_cast<std::int64_t>(result);
}

}  // namespace

TEST_CASE("a notional is exact and rounded away from zero, or overflows with an answer", "[base][inv-12]") {
    std::mt19937_64 random(2);
    const auto draw = [&](int keep) {
        return static_cast<std::int64_t>(random() >> (1 + random() % static_cast<unsigned>(keep)));
    };
    int overflows = 0, exact = 0;
    for (int i = 0; i < 200000; ++i) {
        const std::int64_t multiplier = i % 3 == 0 ? 50'000'000'000 : 1 + draw(40) % 10'000'000'000;
        const std::int64_t fx = i % 2 == 0 ? 1'000'000'000 : 1 + draw(40) % 5'000'000'000;
        const auto factor = notional_factor(multiplier, fx);
        if (!factor) continue;
        const std::int64_t price = (i % 5 == 0 ? -1 : 1) * draw(62);
        const std::int64_t quantity = draw(62);
        const auto expected = notional_by_definition(price, quantity, multiplier, fx);
        REQUIRE(notional(price, quantity, *factor) == expected);
        expected ? ++exact : ++overflows;
    }
    CHECK(exact > 10000);
    CHECK(overflows > 10000);
}

TEST_CASE("slippage rounds away from zero and a band never widens", "[base]") {
    CHECK(with_slippage(10000, 500) == 10500);
    CHECK(with_slippage(-10001, 1) == 10003);
    CHECK(with_slippage(INT64_MAX, 10000) == std::nullopt);
    CHECK(fraction_bps(10001, 1) == 1);
    CHECK(fraction_bps(-9999, 1) == 0);
}

TEST_CASE("sums beyond 64 bits stay at the end of the range and say so", "[base]") {
    bool saturated = false;
    CHECK(add_saturating(1, 2, saturated) == 3);
    CHECK_FALSE(saturated);
    CHECK(add_saturating(INT64_MAX, 1, saturated) == INT64_MAX);
    CHECK(saturated);
    saturated = false;
    CHECK(add_saturating(INT64_MIN, -1, saturated) == INT64_MIN);
    CHECK(saturated);
}

TEST_CASE("an id is read from its own bytes only, whole, and with its verdict, at every length", "[base]") {
    // The page behind the text may not be read: the id ends where the memory ends.
    const riskreg::test::GuardedPage page;
    REQUIRE(page.end() != nullptr);
    std::mt19937_64 random(3);
    for (std::size_t size = 0; size <= 48; ++size) {
        char* text = page.end() - size;
        for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('!' + random() % 94);
        const ParsedId parsed = parse_id({text, size});
        CHECK(parsed.valid == (size >= 1 && size <= 39));
        CHECK(parsed.id.view() == std::string_view(text, std::min<std::size_t>(size, 39)));
        // Zero to the end, so that equal ids are equal words.
        char bytes[40];
        std::memcpy(bytes, parsed.id.words.data(), sizeof bytes);
        for (std::size_t i = std::min<std::size_t>(size, 39) + 1; i < sizeof bytes; ++i) CHECK(bytes[i] == 0);
        for (std::size_t i = 0; i < size; ++i) {
            const char kept = text[i];
            for (const char bad : {' ', '\x7f', '\0', '\x80', '\xff', '\n'}) {
                text[i] = bad;
                CHECK_FALSE(is_valid_id({text, size}));
            }
            text[i] = kept;
        }
    }
}

TEST_CASE("the result of a day is exact, also where sums of its parts leave 64 bits on the way", "[base]") {
    constexpr std::int64_t most = kMaxInt64;
    constexpr std::array amounts = {-most, -most / 2, std::int64_t{-7}, std::int64_t{0}, std::int64_t{3}, most / 2, most};
    for (const std::int64_t flow : amounts)
        for (const std::int64_t net_value : amounts)
            for (const std::int64_t start : amounts)
                for (const std::int64_t cash : amounts)
                    for (const std::int64_t net : amounts) {
                        riskreg::layout::RowValue value{};
                        value.cash_flow = flow;
                        value.net_value = net_value;
                        value.start_value = start;
                        const Big exact = Big(flow) + cash + net_value + net - start;
                        const Big nearest = exact > most ? Big(most) : exact < -most ? Big(-most) : exact;
                        REQUIRE(riskreg::core::pnl_of(value, cash, net) == nearest);
                    }
}
