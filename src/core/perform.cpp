#include "core/perform.hpp"

#include "core/decide_common.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

void finish(Decision& decision) noexcept {
    decision.verdict.seq = decision.event.header.seq;
    if (decision.event.header.type == EventType::resume_requested) decision.verdict.request = decision.verdict.seq;
}

}  // namespace

void perform(Exclusive tables, Decision& decision, FollowUps& more) noexcept {
    if (may_have_consequences(decision.event)) decide_consequences(tables.state(), decision.event, more);
    execute_all(tables, decision.event, {more.events.data(), more.size});
    finish(decision);
}

void perform(Exclusive tables, Decision& decision) noexcept {
    if (!may_have_consequences(decision.event)) [[likely]] {
        execute(tables, decision.event);
        return finish(decision);
    }
    FollowUps more;
    perform(tables, decision, more);
}

namespace {

bool counts_as_message(const Decision& decision) noexcept {
    const auto number = static_cast<std::uint16_t>(decision.verdict.reason);
    const bool checked = number >= static_cast<std::uint16_t>(DenyReason::duplicate_content) &&
                         number < static_cast<std::uint16_t>(DenyReason::capacity);
    return checked && (decision.metered.messages | decision.metered.all_messages) != 0;
}

}  // namespace

bool perform_refusal(Exclusive tables, const Caller& caller, EventType request, const NewOrder& order, Decision& decision,
                     bool gate_admits) noexcept {
    const State& state = tables.state();
    const bool counts = counts_as_message(decision);
    if (!counts) decision.metered = {};
    const DenyReason reason = decision.verdict.reason;
    // A loop of refusals must not fill what is left of the log.
    const bool writes = refusal_is_logged(reason) && !log_is_tight(state) && (counts || gate_admits);
    FollowUps more;
    decide_found_loss(state, caller, decision, more);
    // Only now: what stands in the ring's next slot is not to be given up for a refusal that is not written.
    if (writes) write_denied(state, caller, request, order, decision);
    if (writes) execute_all(tables, decision.event, {more.events.data(), more.size});
    else if (more.size > 0) execute(tables, more.events[0]);
    return writes;
}

}  // namespace riskreg::core
