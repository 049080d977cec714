#include "registry/session_event.hpp"

#include "core/apply.hpp"
#include "segment/event_clock.hpp"

namespace riskreg::registry {

void commit_session(core::Exclusive tables, core::SessionRequest request) noexcept {
    core::Decision decision(tables);
    const segment::ClockTimes times = segment::event_clock();
    request.now_ns = times.now_ns;
    request.steady_ns = times.steady_ns;
    core::decide_session(tables.state(), request, decision);
    core::execute(tables, decision.event);
}

core::SessionRequest request_for(const core::State& state, layout::EventType type, std::uint32_t slot) noexcept {
    const layout::SessionRecord& record = state.sessions[slot].record.newest();
    core::SessionRequest request;
    request.type = type;
    request.session = slot;
    request.strategy = record.strategy;
    request.generation = record.generation;
    request.pid = record.pid;
    request.pid_start = record.pid_start;
    request.uid = record.uid;
    return request;
}

}  // namespace riskreg::registry
