/// One command of `exec` as untrusted JSON: fields by name, every error names the field, what was seen, what is allowed.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "persist/strict_json.hpp"
#include "riskreg/order.hpp"

namespace riskctl {

/// Why a line is not a command (interfaces.md 3, result `error`).
struct FieldError {
    std::string reason;                ///< invalid_json unknown_op missing_field unknown_field invalid_field
    std::string field;
    std::string observed;
    std::vector<std::string> allowed;
};

/// Reads the members of one JSON object. Throws FieldError.
class CommandReader {
public:
    /// `prefix` stands before field names in messages: "orders[2]." for a member of a batch.
    explicit CommandReader(const riskreg::persist::JsonValue& object, std::string prefix = {});

    /// Refuses every member that is not in `known`.
    void allow_only(std::span<const std::string_view> known) const;
    void allow_only(std::initializer_list<std::string_view> known) const { allow_only(std::span(known.begin(), known.size())); }

    [[nodiscard]] bool has(std::string_view key) const noexcept;
    [[nodiscard]] std::string string(std::string_view key) const;               ///< required
    [[nodiscard]] std::string string_or(std::string_view key, std::string fallback) const;
    /// An id other than an order id: 1–39 printable bytes. Required, resp. empty when absent.
    [[nodiscard]] std::string id(std::string_view key) const;
    [[nodiscard]] std::string id_or_empty(std::string_view key) const;
    [[nodiscard]] std::optional<riskreg::Price> price(std::string_view key) const;
    [[nodiscard]] std::optional<riskreg::Quantity> quantity(std::string_view key) const;
    [[nodiscard]] riskreg::Quantity positive_quantity(std::string_view key) const;   ///< required, > 0
    [[nodiscard]] bool boolean_or(std::string_view key, bool fallback) const;
    [[nodiscard]] bool boolean(std::string_view key) const;                          ///< required
    [[nodiscard]] std::optional<std::uint32_t> whole(std::string_view key) const;
    [[nodiscard]] const riskreg::persist::JsonValue& array(std::string_view key) const;

    [[nodiscard]] riskreg::Side side(std::string_view key) const;
    [[nodiscard]] riskreg::OrderType type(std::string_view key) const;
    [[nodiscard]] riskreg::TimeInForce tif(std::string_view key) const;

    [[noreturn]] void missing(std::string_view key) const;
    [[noreturn]] void invalid(std::string_view key, std::string observed, std::vector<std::string> allowed) const;

private:
    [[nodiscard]] const riskreg::persist::JsonValue& require(std::string_view key) const;
    [[nodiscard]] std::optional<std::int64_t> decimal(std::string_view key, int digits) const;
    template <class Value>
    [[nodiscard]] Value choice(std::string_view key) const;

    const riskreg::persist::JsonValue& object_;
    std::string prefix_;
};

}  // namespace riskctl
