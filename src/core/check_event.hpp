/// Whether an event from outside may be applied: replay reads files, and files are untrusted.
#pragma once

#include "core/state.hpp"

namespace riskreg::core {

/// True when every slot, row and entity that `event` names lies in these tables and is the one that the log would
/// name next, so that apply stays inside memory. Empty: it may. Otherwise what is wrong.
[[nodiscard]] const char* why_not_applicable(const State& state, const layout::Event& event) noexcept;

}  // namespace riskreg::core
