/// What a change of limits did, in words, for `limit` and `load`.
#pragma once

#include <string>
#include <vector>

#include "riskctl/output.hpp"

namespace riskctl {

using riskreg::registry::FieldChange;

/// One line for each: "max_long 60 -> 1, used 30, headroom -29 (quantity)".
[[nodiscard]] std::string text_of_changes(const std::vector<FieldChange>& changes);
/// A line on stderr for each limit that is below its use.
void warn_of_exceeded(const std::string& scope, const std::vector<FieldChange>& changes);

}  // namespace riskctl
