/// What a row says to people: the state that its orders meet, and how much of its limits is used.
#pragma once

#include <cstdint>
#include <vector>

#include "core/state.hpp"
#include "riskreg/registry.hpp"

namespace riskreg::registry {

/// Fills `effective_state`, `effective_scope` and `effective_reason`: the most severe of the states that cover every order of the
/// row, and among equals that of the widest scope.
void add_effective(const core::State& state, std::uint32_t row, ExposureView& view);

/// Of every limit with a use to speak of; of scopes that span instruments the greatest quantity, gross by the method configured.
[[nodiscard]] std::vector<LimitUse> uses_of(const core::State& state, const ExposureView& row);
/// The same with quantities of one instrument's row, in constant time.
[[nodiscard]] std::vector<LimitUse> uses_of(const core::State& state, const ExposureView& row,
                                            const ExposureView& of_instrument);

}  // namespace riskreg::registry
