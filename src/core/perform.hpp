/// append and apply of a whole decision: its event, and those that follow from it, by one commit.
#pragma once

#include "core/apply.hpp"
#include "core/decide.hpp"

namespace riskreg::core {

/// Commits what was decided (`decision.commit`), with the state changes that it brings about: breakers, loss limits, a mark
/// that breaches a limit. Sets the verdict's sequence.
void perform(Exclusive tables, Decision& decision) noexcept;
/// The same with events that were decided together.
void perform(Exclusive tables, Decision& decision, FollowUps& more) noexcept;

/// What a refusal leaves in the log: always when it counts as a message, otherwise when `gate_admits`; and the state change
/// of a loss that it found. True when its `denied` event was written.
bool perform_refusal(Exclusive tables, const Caller& caller, layout::EventType request, const NewOrder& order,
                     Decision& decision, bool gate_admits) noexcept;

}  // namespace riskreg::core
