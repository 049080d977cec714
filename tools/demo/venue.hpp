/// The simulated venue: one process that answers what strategies send. It knows nothing of the registry.
#pragma once

#include "demo/board.hpp"

namespace demo {

/// Runs until it is killed.
[[noreturn]] void run_venue(Board& board);

}  // namespace demo
