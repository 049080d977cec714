/// What was decided takes effect: the event, and whatever follows from it in the same commit.
#pragma once

#include "core/decide.hpp"

namespace riskreg::core {

/// Executes the decision with its follow-ups.
void perform(State& state, Decision& decision) noexcept;

/// What a refusal leaves behind. Its `denied` event is written when it counts as a message, otherwise only if
/// `gate_admits`; a loss that it found sets the state of its scope. `order` names account, instrument and id for amends.
/// True when something was written.
bool perform_refusal(State& state, const Caller& caller, layout::EventType request, const NewOrder& order, Decision& decision,
                     bool gate_admits) noexcept;

}  // namespace riskreg::core
