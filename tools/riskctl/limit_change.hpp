/// What a change of limits did, for `limit` and `load`: old and new values, how much is used, and what follows from that.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "persist/limit_fields.hpp"
#include "riskctl/output.hpp"

namespace riskctl {

/// One limit that was named, before and after, and how much of it is used.
struct FieldChange {
    const riskreg::persist::LimitField& field;
    riskreg::LimitValue before, after;
    std::optional<std::int64_t> used;

    /// A loss acts where it reaches its limit, everything else beyond it.
    [[nodiscard]] bool is_exceeded() const noexcept;
    [[nodiscard]] std::int64_t headroom() const noexcept;
    /// "max_long=1 is below its use of 30, headroom -29: orders that increase are refused until …"
    [[nodiscard]] std::string consequence() const;
};

[[nodiscard]] std::vector<FieldChange> changes_of(const riskreg::LimitsChange& change, riskreg::LimitMask fields);

/// One line for each: "max_long 60 -> 1, used 30, headroom -29 (quantity)".
[[nodiscard]] std::string text_of_changes(const std::vector<FieldChange>& changes);
/// The members of `changes`, an array.
void write_changes(JsonWriter& out, const std::vector<FieldChange>& changes);
/// A line on stderr for each limit that is below its use.
void warn_of_exceeded(const std::string& scope, const std::vector<FieldChange>& changes);

}  // namespace riskctl
