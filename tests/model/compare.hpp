/// Core and model side by side: what differs, as text; empty when nothing does.
#pragma once

#include <string>

#include "core/state.hpp"
#include "model/model.hpp"

namespace riskreg::test {

[[nodiscard]] std::string differences(const Verdict& core, const Verdict& model);
[[nodiscard]] std::string differences(const core::State& state, const model::Model& model, const model::Order& order);
/// Every row, and what the log counts.
[[nodiscard]] std::string differences(const core::State& state, const model::Model& model);
/// Both times of each event after the first `before`, and whether its caller's clock was ahead; of live tables how
/// many were, too, which is no function of the log. The ring must hold the events still.
[[nodiscard]] std::string stamp_differences(const core::State& state, const model::Model& model, std::uint64_t before);
/// Every order, and an audit.
[[nodiscard]] std::string full_differences(const core::State& state, const model::Model& model);

}  // namespace riskreg::test
