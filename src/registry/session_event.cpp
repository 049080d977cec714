#include "registry/session_event.hpp"

#include <algorithm>

#include "core/apply.hpp"
#include "segment/process_posix.hpp"

namespace riskreg::registry {

void commit_session(core::State& state, const core::SessionRequest& request) noexcept {
    core::Decision decision;
    core::decide_session(state, request, decision);
    decision.event.header.time_ns = std::max(decision.event.header.time_ns, segment::realtime_ns());
    core::execute(state, decision.event);
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
