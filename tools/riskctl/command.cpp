#include "riskctl/command.hpp"

#include <algorithm>
#include <charconv>

#include "base/decimal.hpp"
#include "base/fixed_id.hpp"
#include "base/names.hpp"

namespace riskctl {

using namespace riskreg;
using persist::JsonValue;
using Kind = JsonValue::Kind;

CommandReader::CommandReader(const JsonValue& object, std::string prefix) : object_(object), prefix_(std::move(prefix)) {}

void CommandReader::missing(std::string_view key) const {
    throw FieldError{"missing_field", prefix_ + std::string(key), {}, {}};
}

void CommandReader::invalid(std::string_view key, std::string observed, std::vector<std::string> allowed) const {
    throw FieldError{"invalid_field", prefix_ + std::string(key), std::move(observed), std::move(allowed)};
}

void CommandReader::allow_only(std::span<const std::string_view> known) const {
    for (const auto& [key, value] : object_.members)
        if (std::find(known.begin(), known.end(), key) == known.end())
            throw FieldError{"unknown_field", prefix_ + key, value.shown(), {known.begin(), known.end()}};
}

bool CommandReader::has(std::string_view key) const noexcept { return object_.find(key) != nullptr; }

const JsonValue& CommandReader::require(std::string_view key) const {
    const JsonValue* value = object_.find(key);
    if (value == nullptr) missing(key);
    return *value;
}

std::string CommandReader::string(std::string_view key) const {
    const JsonValue& value = require(key);
    if (!value.is(Kind::string)) invalid(key, value.shown(), {"a string"});
    return value.text;
}

std::string CommandReader::string_or(std::string_view key, std::string fallback) const {
    return has(key) ? string(key) : std::move(fallback);
}

std::string CommandReader::id(std::string_view key) const {
    std::string text = string(key);
    if (!base::is_valid_id(text)) invalid(key, text, {"1 to 39 printable ASCII characters without spaces"});
    return text;
}

std::string CommandReader::id_or_empty(std::string_view key) const { return has(key) ? id(key) : std::string(); }

std::optional<std::int64_t> CommandReader::decimal(std::string_view key, int digits) const {
    const JsonValue* value = object_.find(key);
    if (value == nullptr) return std::nullopt;
    const std::string allowed = "a decimal as a string, at most " + std::to_string(digits) + " fractional digits, no exponent";
    if (!value->is(Kind::string)) invalid(key, value->shown(), {allowed});
    const auto [parsed, error] = base::parse_decimal(value->text, digits);
    if (error != base::DecimalError::none) invalid(key, value->text, {allowed});
    return parsed;
}

std::optional<Price> CommandReader::price(std::string_view key) const {
    const auto value = decimal(key, kPriceDigits);
    return value ? std::optional(Price{*value}) : std::nullopt;
}

std::optional<Quantity> CommandReader::quantity(std::string_view key) const {
    const auto value = decimal(key, kQuantityDigits);
    return value ? std::optional(Quantity{*value}) : std::nullopt;
}

Quantity CommandReader::positive_quantity(std::string_view key) const {
    const auto value = quantity(key);
    if (!value) missing(key);
    if (value->value <= 0) invalid(key, base::format_decimal(value->value, kQuantityDigits), {"a decimal greater than 0"});
    return *value;
}

bool CommandReader::boolean(std::string_view key) const {
    const JsonValue& value = require(key);
    if (!value.is(Kind::boolean)) invalid(key, value.shown(), {"true", "false"});
    return value.boolean;
}

bool CommandReader::boolean_or(std::string_view key, bool fallback) const { return has(key) ? boolean(key) : fallback; }

std::optional<std::uint32_t> CommandReader::whole(std::string_view key) const {
    const JsonValue* value = object_.find(key);
    if (value == nullptr) return std::nullopt;
    std::uint32_t number = 0;
    const char* end = value->text.data() + value->text.size();
    const auto [stop, error] = std::from_chars(value->text.data(), end, number);
    if (!value->is(Kind::number) || error != std::errc{} || stop != end)
        invalid(key, value->shown(), {"a whole number from 0 to 4294967295"});
    return number;
}

const JsonValue& CommandReader::array(std::string_view key) const {
    const JsonValue& value = require(key);
    if (!value.is(Kind::array)) invalid(key, value.shown(), {"an array"});
    return value;
}

template <class Value>
Value CommandReader::choice(std::string_view key) const {
    const JsonValue& seen = require(key);
    std::vector<std::string> allowed;
    for (const auto& [value, name] : base::names_of<Value>()) {
        if (seen.is(Kind::string) && seen.text == name) return value;
        allowed.emplace_back(name);
    }
    invalid(key, seen.shown(), std::move(allowed));
}

Side CommandReader::side(std::string_view key) const { return choice<Side>(key); }
OrderType CommandReader::type(std::string_view key) const { return choice<OrderType>(key); }
TimeInForce CommandReader::tif(std::string_view key) const { return choice<TimeInForce>(key); }

}  // namespace riskctl
