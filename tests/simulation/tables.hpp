/// Tables of the simulated registry.
#pragma once

#include <string>

#include "core/copy.hpp"

namespace riskreg::simulation {

/// At genesis for the text of a stored configuration. Throws Error when it is none. Remembers the last text: one seed makes
/// tables a dozen times, always for the same one.
[[nodiscard]] core::PrivateState tables_of(const std::string& config);

}  // namespace riskreg::simulation
