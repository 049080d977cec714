#include "registry/verifier.hpp"

#include <algorithm>
#include <cstring>

#include "core/genesis.hpp"

namespace riskreg::registry {

using namespace layout;

template <class T>
Verifier::Compared Verifier::compare(const Versioned<T>& live, const Versioned<T>& replica) const noexcept {
    const T& expected = replica.newest();
    const std::uint64_t replicated = replica_.log->applied;
    T seen = live.read();
    if (seen.seq > replicated) return Compared::later;
    if (seen.seq < expected.seq) {
        // A writer may be in the middle of apply, or dead there; only when it is through is a version missing.
        if (load_acquire(live_.log->applied) < expected.seq) return Compared::later;
        seen = live.read();
        if (seen.seq > replicated) return Compared::later;
    }
    return std::memcmp(&seen, &expected, sizeof seen) == 0 ? Compared::equal : Compared::different;
}

Verifier::Compared Verifier::compare_row(std::uint32_t row) const noexcept {
    return std::max({compare(live_.rows[row].counters, replica_.rows[row].counters),
                     compare(live_.rows[row].control, replica_.rows[row].control),
                     compare(live_.rows_cold[row].day, replica_.rows_cold[row].day),
                     compare(live_.rows_cold[row].latch, replica_.rows_cold[row].latch),
                     compare(live_.rows_risk[row].value, replica_.rows_risk[row].value),
                     compare(live_.rows_risk[row].limits, replica_.rows_risk[row].limits),
                     compare(live_.rows_risk[row].meters, replica_.rows_risk[row].meters),
                     compare(live_.rows_risk[row].alerts, replica_.rows_risk[row].alerts)});
}

namespace {

template <Record T>
bool equal_words(const T& live, const T& replica) noexcept {
    T seen;
    copy_words_out(seen, live);
    return std::memcmp(&seen, &replica, sizeof seen) == 0;
}

}  // namespace

Verifier::Compared Verifier::compare_order(std::uint32_t slot) const noexcept {
    const OrderSlot& live = live_.orders[slot];
    const OrderSlot& replica = replica_.orders[slot];
    if (!equal_words(live.identity, replica.identity)) return Compared::different;
    const bool same_venue = load_acquire(live.venue.seq) != replica.venue.seq || equal_words(live.venue, replica.venue);
    return same_venue ? compare(live.state, replica.state) : Compared::different;
}

Verifier::Compared Verifier::compare_execution(std::uint32_t slot) const noexcept {
    if (!equal_words(live_.executions[slot].identity, replica_.executions[slot].identity)) return Compared::different;
    return compare(live_.executions[slot].state, replica_.executions[slot].state);
}

std::uint64_t Verifier::size() const noexcept {
    const Geometry& g = replica_.geometry;
    return g.rows() + replica_.log->next_order + replica_.log->next_execution + g.sessions + g.strategies + g.breakers +
           g.restrictions + kApprovals;
}

Verifier::Compared Verifier::compare_at(std::uint64_t index, std::string& what) const {
    const Geometry& g = replica_.geometry;
    const auto at = [&index](std::uint64_t size) {
        if (index < size) return true;
        index -= size;
        return false;
    };
    const auto number = [&index] { return static_cast<std::uint32_t>(index); };
    if (at(g.rows())) return what = "row " + core::format_scope(replica_, g.scope_of(number())), compare_row(number());
    if (at(replica_.log->next_order)) return what = "order slot " + std::to_string(index), compare_order(number());
    if (at(replica_.log->next_execution)) return what = "execution slot " + std::to_string(index), compare_execution(number());
    if (at(g.sessions))
        return what = "session " + std::to_string(index),
               compare(live_.sessions[index].record, replica_.sessions[index].record);
    if (at(g.strategies))
        return what = "strategy " + std::to_string(index),
               compare(live_.strategies[index].state, replica_.strategies[index].state);
    if (at(g.breakers))
        return what = "breaker " + std::to_string(index),
               compare(live_.breakers[index].counts, replica_.breakers[index].counts);
    if (at(g.restrictions))
        return what = "restricted list, entry " + std::to_string(index),
               compare(live_.restrictions[index].state, replica_.restrictions[index].state);
    return what = "approval " + std::to_string(index), compare(live_.approvals[index].state, replica_.approvals[index].state);
}

std::uint64_t Verifier::step(std::uint64_t records, const std::function<void(const std::string&)>& differs) {
    std::uint64_t equal = 0;
    for (std::uint64_t i = 0; i < records; ++i) {
        if (next_ >= size()) {
            next_ = 0;
            ++cycles_;
            if (core::entities_changed(live_)) differs("what never changes has changed");
            return equal;
        }
        std::string what;
        const Compared result = compare_at(next_++, what);
        if (result == Compared::equal) ++equal;
        if (result == Compared::different) differs(what);
    }
    return equal;
}

}  // namespace riskreg::registry
