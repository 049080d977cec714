/// One strategy process: a trader and the gateway session of its own orders.
#pragma once

#include <string>

#include "demo/board.hpp"

namespace demo {

/// Attaches and trades until it is killed. Returns an exit status, the reason on stderr, when it cannot go on.
/// `take_over`: a predecessor died; its orders are claimed and the one in doubt is looked up.
[[nodiscard]] int run_strategy(Board& board, const std::string& state_dir, std::size_t strategy, bool take_over);

}  // namespace demo
