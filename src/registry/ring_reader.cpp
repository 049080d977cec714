#include "registry/ring_reader.hpp"

#include "core/copy.hpp"

namespace riskreg::registry {

using namespace layout;

bool read_ring(const core::State& state, std::uint64_t from, std::uint64_t to, std::vector<Event>& events) {
    events.clear();
    for (std::uint64_t seq = from; seq <= to; ++seq)
        if (!core::read_event(state, seq, events.emplace_back())) return false;
    while (!events.empty() && (events.back().header.flags & kBatchMember) != 0) events.pop_back();
    return true;
}

Fault why_unreadable(const core::State& state, std::uint64_t seq) noexcept {
    for (std::uint64_t at = seq; at < seq + kBlockEvents && at <= load_acquire(state.log->committed); ++at)
        if (load_acquire(state.ring_slot(at).header.seq) > at) return Fault::overrun;
    return Fault::damaged;
}

}  // namespace riskreg::registry
