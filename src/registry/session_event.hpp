/// Session events outside of any call: attach, detach, fencing and death share these two steps.
#pragma once

#include "core/decide.hpp"
#include "core/exclusive.hpp"

namespace riskreg::registry {

/// Decides and executes.
void commit_session(core::Exclusive tables, core::SessionRequest request) noexcept;

/// What the record of `slot` says of its session, as a request of this type.
[[nodiscard]] core::SessionRequest request_for(const core::State& state, layout::EventType type, std::uint32_t slot) noexcept;

}  // namespace riskreg::registry
