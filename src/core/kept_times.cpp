// Times of messages and executions (core/meter.hpp) held against the events that they are of.
#include <vector>

#include "core/derived.hpp"
#include "core/meter.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

/// A ring of kept times as it is, and what of it is known for certain (elsewhere 0): how many were kept in it, and from when on
/// they are of the limit that is in force.
template <std::size_t Size>
struct KeptTimes {
    const std::int64_t (&times_ns)[Size];
    const std::int64_t (&known_ns)[Size];
    std::uint64_t kept;
    std::int64_t since_ns;
};

/// Whether some of `count` times, from the `first` newest one on, cannot be.
template <std::size_t Size>
bool are_wrong(const State& state, const KeptTimes<Size>& ring, std::uint64_t first, std::uint64_t count) noexcept {
    const std::uint64_t end = std::min({first + count, ring.kept, std::uint64_t{Size}});
    if (first >= end) return false;
    auto newer = first == 0 ? static_cast<std::int64_t>(load_relaxed(state.log->last_steady_ns))
                            : kept_time(ring.times_ns, ring.kept - first);
    for (std::uint64_t age = first; age < end; ++age) {
        // What is older is of another limit, or was lost with the memory that a recovery replaced.
        if (newer <= ring.since_ns) return false;
        const std::int64_t time = kept_time(ring.times_ns, ring.kept - 1 - age);
        const std::int64_t known = kept_time(ring.known_ns, ring.kept - 1 - age);
        if (time > newer || (ring.since_ns == 0 && time <= 0) || (known != 0 && known != time)) return true;
        newer = time;
    }
    return false;
}

constexpr std::uint64_t kTimesAtOnce = 64;

void check_budget(DerivedCheck& check, std::uint32_t row, bool all) {
    const State& anew = check.anew();
    const std::uint32_t rings = anew.geometry.budget_rings;
    if (budget_of(anew.rows_risk[row].meters.newest(), all).ring >= rings) return;
    check.each(kBudgetTimes / kTimesAtOnce, [&](std::uint64_t piece) -> std::string {
        const RowMeters& meters = anew.rows_risk[row].meters.newest();
        const Budget budget = budget_of(meters, all);
        if (budget.ring >= rings) return {};
        const KeptTimes<kBudgetTimes> kept{check.live().budget_rings[budget.ring].times_ns,
                                           anew.budget_rings[budget.ring].times_ns, budget.kept(), known_since(anew, meters)};
        if (!are_wrong(anew, kept, piece * kTimesAtOnce, kTimesAtOnce)) return {};
        return "budget ring " + std::to_string(budget.ring) + ": times of messages are not those of their events";
    });
}

/// The counts of a breaker, in the order of its times.
constexpr std::size_t kBreakers = 3;
std::array<std::uint64_t, kBreakers> counts_of(const BreakerSlot& slot) noexcept {
    const BreakerCounts& counts = slot.counts.newest();
    return {counts.buys, counts.sells, counts.rejects};
}

std::string wrong_breaker(const DerivedCheck& check, std::uint64_t at) {
    const State& anew = check.anew();
    const std::array<std::uint64_t, kBreakers> counts = counts_of(anew.breakers[at]);
    const auto since_ns = static_cast<std::int64_t>(load_relaxed(anew.status->recovered_steady_ns));
    for (std::size_t kind = 0; kind < kBreakers; ++kind) {
        const BreakerTimes &seen = check.live().breakers[at].times[kind], &known = anew.breakers[at].times[kind];
        const std::uint64_t samples = (counts[kind] + kBreakerStride - 1) / kBreakerStride;
        const KeptTimes<kBreakerTimes> fine{seen.fine_ns, known.fine_ns, counts[kind], since_ns};
        const KeptTimes<kBreakerTimes> coarse{seen.coarse_ns, known.coarse_ns, samples, since_ns};
        if (are_wrong(anew, fine, 0, kBreakerTimes) || are_wrong(anew, coarse, 0, kBreakerTimes))
            return "breaker " + std::to_string(at) + ": times of executions or rejects are not those of their events";
    }
    return {};
}

/// On the way back, what was kept later in the same place stays. `count`: of all that was counted, `at` the one whose time it is.
template <std::size_t Size>
void keep_if_newest(std::int64_t (&times_ns)[Size], std::uint64_t at, std::uint64_t count, std::uint32_t stride,
                    std::int64_t time_ns) noexcept {
    if (at + std::uint64_t{Size} * stride >= count) keep_time(times_ns, at, stride, time_ns);
}

/// Goes from the last event back to the first that the log still has, and gives every count its time.
class TimesOfEvents {
public:
    explicit TimesOfEvents(State& copy) : copy_(copy), left_(copy.geometry.rows()), breakers_(copy.geometry.breakers) {
        for (std::uint32_t row = 0; row < copy.geometry.rows(); ++row) {
            const RowMeters& meters = copy.rows_risk[row].meters.newest();
            left_[row] = {meters.messages, meters.all_messages};
        }
        for (std::size_t at = 0; at < breakers_.size(); ++at) breakers_[at] = counts_of(copy.breakers[at]);
    }
    void take(const Event& event) noexcept {
        if ((event.header.flags & kNoChange) != 0) return;
        switch (event.header.type) {
            case EventType::registered: return take_messages(event.header, event.registered.metered);
            case EventType::denied: return take_messages(event.header, event.denied.metered);
            default: break;
        }
        if (!is_life(event.header.type)) return;
        take_messages(event.header, event.life.after.metered);
        take_breaker(event.header, event.life.after.breaker);
    }

private:
    void take_messages(const EventHeader& header, Metered metered) noexcept {
        if ((metered.messages | metered.all_messages) == 0) return;
        const RowSet rows = rows_of(copy_.geometry, header.account, header.strategy, header.instrument);
        for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
            if (rows[k] == kNoSlot) continue;
            if ((metered.messages >> k & 1U) != 0) take_message(rows[k], false, header);
            if ((metered.all_messages >> k & 1U) != 0) take_message(rows[k], true, header);
        }
    }
    void take_message(std::uint32_t row, bool all, const EventHeader& header) noexcept {
        const RowMeters& meters = copy_.rows_risk[row].meters.newest();
        const Budget budget = budget_of(meters, all);
        std::uint64_t& left = left_[row][all ? 1 : 0];
        // Before the limit that is in force, counts meant something else; before a recovery, times did.
        if (header.seq <= std::max(meters.since_seq, copy_.status->recovered_seq)) left = 0;
        if (left == 0 || budget.ring >= copy_.geometry.budget_rings) return;
        keep_if_newest(copy_.budget_rings[budget.ring].times_ns, --left, budget.count, budget.stride(), header.steady_ns);
    }
    void take_breaker(const EventHeader& header, Breaker what) noexcept {
        BreakerSlot* slot = what == Breaker::none ? nullptr : breaker_of(copy_, header.strategy, header.instrument);
        if (slot == nullptr) return;
        const auto kind = static_cast<std::size_t>(what) - 1;
        std::uint64_t& left = breakers_[static_cast<std::size_t>(slot - copy_.breakers)][kind];
        if (header.seq <= copy_.status->recovered_seq) left = 0;
        if (left == 0) return;
        const std::uint64_t at = --left, count = counts_of(*slot)[kind];
        keep_if_newest(slot->times[kind].fine_ns, at, count, 1, header.steady_ns);
        keep_if_newest(slot->times[kind].coarse_ns, at, count, kBreakerStride, header.steady_ns);
    }

    State& copy_;
    std::vector<std::array<std::uint64_t, 2>> left_;
    std::vector<std::array<std::uint64_t, kBreakers>> breakers_;
};

}  // namespace

void rebuild_times(State& copy, const State& live) {
    TimesOfEvents times(copy);
    Event event;
    for (std::uint64_t seq = load_relaxed(copy.log->committed); seq > kGenesis && read_event(live, seq, event); --seq)
        times.take(event);
}

void check_times(DerivedCheck& check) {
    for (std::uint32_t row = 0; row < check.anew().geometry.rows() && check.complete(); ++row) {
        check_budget(check, row, false);
        check_budget(check, row, true);
    }
    check.each(check.anew().geometry.breakers, [&](std::uint64_t at) { return wrong_breaker(check, at); });
}

}  // namespace riskreg::core
