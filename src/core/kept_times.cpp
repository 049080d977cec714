// Times of messages and executions (core/meter.hpp) held against the events that they are of.
#include <vector>

#include "core/derived.hpp"
#include "core/meter.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

std::int64_t recovered_at(const State& state) noexcept {
    return static_cast<std::int64_t>(load_relaxed(state.status->recovered_ns));
}

/// A ring of kept times as it is, and what of it is known for certain (elsewhere 0): how many were kept in it, and from when on
/// they are of the limit that is in force.
struct KeptTimes {
    const std::int64_t* times_ns;
    const std::int64_t* known_ns;
    std::uint64_t size;
    std::uint64_t kept;
    std::int64_t since_ns;
};

std::int64_t time_in(const std::int64_t* times_ns, std::uint64_t at) noexcept {
    return static_cast<std::int64_t>(load_relaxed(reinterpret_cast<const std::uint64_t&>(times_ns[at])));
}

/// Whether some of `count` times, from the `first` newest one on, cannot be.
bool are_wrong(const State& state, const KeptTimes& ring, std::uint64_t first, std::uint64_t count) noexcept {
    const auto place = [&](std::uint64_t age) { return (ring.kept - 1 - age) % ring.size; };
    const std::uint64_t end = std::min({first + count, ring.kept, ring.size});
    if (first >= end) return false;
    auto newer = first == 0 ? static_cast<std::int64_t>(load_relaxed(state.log->last_time_ns))
                            : time_in(ring.times_ns, place(first - 1));
    for (std::uint64_t age = first; age < end; ++age) {
        // What is older is of another limit, or was lost with the memory that a recovery replaced.
        if (newer <= ring.since_ns) return false;
        const std::int64_t time = time_in(ring.times_ns, place(age));
        const std::int64_t known = time_in(ring.known_ns, place(age));
        if (time > newer || (ring.since_ns == 0 && time <= 0) || (known != 0 && known != time)) return true;
        newer = time;
    }
    return false;
}

constexpr std::uint64_t kTimesAtOnce = 64;

/// One of the two budgets of a row.
struct RowBudget {
    std::uint32_t ring;
    std::uint32_t stride;
    std::uint64_t count;
    [[nodiscard]] std::uint64_t kept() const noexcept { return (count + stride - 1) / stride; }
};
RowBudget budget_of(const RowMeters& meters, bool all) noexcept {
    if (all) return {meters.all_ring, std::max(meters.all_stride, 1U), meters.all_messages};
    return {meters.messages_ring, std::max(meters.messages_stride, 1U), meters.messages};
}

void check_budget(DerivedCheck& check, std::uint32_t row, bool all) {
    const State& anew = check.anew();
    const std::uint32_t rings = anew.geometry.budget_rings;
    if (budget_of(anew.rows_risk[row].meters.newest(), all).ring >= rings) return;
    check.each(kBudgetTimes / kTimesAtOnce, [&](std::uint64_t piece) -> std::string {
        const RowMeters& meters = anew.rows_risk[row].meters.newest();
        const RowBudget budget = budget_of(meters, all);
        if (budget.ring >= rings) return {};
        const KeptTimes kept{check.live().budget_rings[budget.ring].times_ns, anew.budget_rings[budget.ring].times_ns,
                             kBudgetTimes, budget.kept(), std::max(meters.since_ns, recovered_at(anew))};
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
    for (std::size_t kind = 0; kind < kBreakers; ++kind) {
        const BreakerTimes &seen = check.live().breakers[at].times[kind], &known = anew.breakers[at].times[kind];
        const std::uint64_t samples = (counts[kind] + kBreakerStride - 1) / kBreakerStride;
        const KeptTimes fine{seen.fine_ns, known.fine_ns, kBreakerTimes, counts[kind], recovered_at(anew)};
        const KeptTimes coarse{seen.coarse_ns, known.coarse_ns, kBreakerTimes, samples, recovered_at(anew)};
        if (are_wrong(anew, fine, 0, kBreakerTimes) || are_wrong(anew, coarse, 0, kBreakerTimes))
            return "breaker " + std::to_string(at) + ": times of executions or rejects are not those of their events";
    }
    return {};
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
            if ((metered.messages >> k & 1U) != 0) take_message(rows[k], false, header.time_ns);
            if ((metered.all_messages >> k & 1U) != 0) take_message(rows[k], true, header.time_ns);
        }
    }
    void take_message(std::uint32_t row, bool all, std::int64_t time_ns) noexcept {
        const RowMeters& meters = copy_.rows_risk[row].meters.newest();
        const RowBudget budget = budget_of(meters, all);
        std::uint64_t& left = left_[row][all ? 1 : 0];
        // Before the limit that is in force, counts meant something else.
        if (time_ns <= meters.since_ns) left = 0;
        if (left == 0 || budget.ring >= copy_.geometry.budget_rings) return;
        const std::uint64_t at = --left, sample = at / budget.stride;
        const bool kept = sample * budget.stride == at && at + std::uint64_t{kBudgetTimes} * budget.stride >= budget.count;
        if (kept) copy_.budget_rings[budget.ring].times_ns[sample % kBudgetTimes] = time_ns;
    }
    void take_breaker(const EventHeader& header, Breaker what) noexcept {
        BreakerSlot* slot = what == Breaker::none ? nullptr : breaker_of(copy_, header.strategy, header.instrument);
        if (slot == nullptr) return;
        const auto kind = static_cast<std::size_t>(what) - 1;
        std::uint64_t& left = breakers_[static_cast<std::size_t>(slot - copy_.breakers)][kind];
        if (left == 0) return;
        const std::uint64_t at = --left, count = counts_of(*slot)[kind];
        if (at + kBreakerTimes >= count) slot->times[kind].fine_ns[at % kBreakerTimes] = header.time_ns;
        const bool sampled = at % kBreakerStride == 0 && at + std::uint64_t{kBreakerTimes} * kBreakerStride >= count;
        if (sampled) slot->times[kind].coarse_ns[at / kBreakerStride % kBreakerTimes] = header.time_ns;
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
