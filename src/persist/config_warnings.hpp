/// Combinations of settings that are legal, and leave a limit weaker than it looks. For `create`, and for `doctor`, which asks
/// about the limits of the moment.
#pragma once

#include <string>
#include <vector>

#include "riskreg/config.hpp"

namespace riskreg::persist {

/// One sentence each: what meets what, and what follows.
[[nodiscard]] std::vector<std::string> weak_limits(const SharedConfig& config);

}  // namespace riskreg::persist
