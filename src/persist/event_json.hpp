/// One event of the log as one JSON object: what `riskctl events` prints.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/state.hpp"
#include "layout/names.hpp"

namespace riskreg::persist {

/// `state` names entities and orders; `event` is a private copy.
[[nodiscard]] std::string event_to_json(const core::State& state, const layout::Event& event);

using layout::name_of;

/// Flags as names, in bit order.
[[nodiscard]] std::vector<std::string_view> names_of_flags(OrderFlags flags);

}  // namespace riskreg::persist
