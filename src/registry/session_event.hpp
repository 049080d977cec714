/// Session events outside of any call: attach, detach, fencing and death share these two steps.
#pragma once

#include "core/decide.hpp"

namespace riskreg::registry {

/// Decides and executes; under the registry's lock.
void commit_session(core::State& state, core::SessionRequest request) noexcept;

/// What the record of `slot` says of its session, as a request of this type.
[[nodiscard]] core::SessionRequest request_for(const core::State& state, layout::EventType type, std::uint32_t slot) noexcept;

}  // namespace riskreg::registry
