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

/// The state change of a row that has reached a loss limit and whose state does not say so: the limit was lowered below the
/// present loss, or the scope was resumed in it. Denied `not_allowed` when there is none.
void decide_loss(const State& state, const Caller& caller, std::uint32_t row, Decision& out) noexcept;

/// What a refusal leaves in the log: always when it counts as a message, otherwise when `gate_admits`; and the state change
/// of a loss that it found. True when its `denied` event was written.
bool perform_refusal(Exclusive tables, const Caller& caller, layout::EventType request, const NewOrder& order,
                     Decision& decision, bool gate_admits) noexcept;

}  // namespace riskreg::core
