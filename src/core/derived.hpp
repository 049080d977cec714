/// What is derived from the records and kept beside them for decide: books of own orders, the content index.
#pragma once

#include "core/state.hpp"

namespace riskreg::core {

/// Makes it anew, for tables that were rebuilt from disk, copied or rolled; afterwards apply keeps it. Nobody else may use
/// the tables meanwhile. Linear in the ids of the day.
void rebuild_derived(State& state) noexcept;

}  // namespace riskreg::core
