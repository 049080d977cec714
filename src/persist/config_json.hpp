/// The configuration reader and writer behind `riskreg::parse_config` and `config_to_json`, and what they share
/// with the tools.
#pragma once

#include <string>

#include "persist/limit_fields.hpp"
#include "persist/strict_json.hpp"
#include "riskreg/config.hpp"

namespace riskreg::persist {

/// As in the configuration.
[[nodiscard]] std::string_view name_of(PersistenceMode mode) noexcept;

/// Parses the text of one limit value: a decimal (a whole number for counts), `unset`, or `unlimited` where the field is not
/// a parameter. Throws Error{bad_input} naming the field.
[[nodiscard]] LimitValue parse_limit(const core::Limit& field, std::string_view text);

/// The member `"max_long":"12.5"`, `"max_working_orders":500`, `"cash_limit":"unlimited"`; nothing for an unset limit (returns false).
bool write_limit(JsonWriter& out, const core::Limit& field, const LimitValue& value);

/// Amount in a unit, shortest decimal form.
[[nodiscard]] std::string format_amount(Unit unit, std::int64_t value);

/// `name` as text, which every amount has; of a count, which is a number in the configuration, also `name_count` as a number.
void write_amount(JsonWriter& out, std::string_view name, Unit unit, std::int64_t value);

}  // namespace riskreg::persist
