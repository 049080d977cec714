#include "registry/ring_reader.hpp"

#include "core/apply.hpp"
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
    const auto is_lapped = [&state](std::uint64_t at) {
        const std::uint64_t there = load_acquire(state.ring_slot(at).header.seq);
        // What comes next is built in the slots right behind the last event.
        const bool next = at + state.geometry.ring_events <= load_acquire(state.log->committed) + core::kMaxRedo;
        return there > at || (there == kBeingWritten && next);
    };
    for (std::uint64_t at = seq; at < seq + kBlockEvents && at <= load_acquire(state.log->committed); ++at)
        if (is_lapped(at)) return Fault::overrun;
    return Fault::damaged;
}

}  // namespace riskreg::registry
