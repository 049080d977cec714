#include "core/meter.hpp"

#include "core/overlay.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

constexpr std::int64_t kMs = 1'000'000;

/// The stretch of time that a budget is for.
struct Window {
    std::int64_t now_ns;
    std::int64_t size_ns;
    /// A moment within the window, which ends now; a message leaves it exactly one window after it was sent.
    [[nodiscard]] bool holds(std::int64_t time_ns) const noexcept {
        std::int64_t age = 0;
        if (__builtin_sub_overflow(now_ns, time_ns, &age)) [[unlikely]]
            return now_ns < time_ns;
        return age < size_ns;
    }
};

/// Whether `limit` messages or more lie in the window, `pending` ones of the same batch among them. With a stride the time
/// asked for may be that of a later message, so the answer errs towards yes.
inline bool is_used(const State& state, const Budget& budget, std::uint64_t pending, std::uint64_t limit,
                    const Window& window) noexcept {
    // A value without a ring cannot be judged (INV-12).
    if (limit == 0 || budget.ring >= state.geometry.budget_rings) return true;
    const std::uint64_t total = budget.count + pending;
    if (total < limit) return false;
    const std::uint64_t oldest = total - limit;
    const std::uint32_t stride = budget.stride();
    const std::uint64_t sample = by_stride(oldest + stride - 1, stride);
    if (sample * stride >= budget.count) return true;
    return window.holds(kept_time(state.budget_rings[budget.ring].times_ns, sample));
}

/// Part of max_all_messages that new orders and amends may use.
std::uint32_t request_share(const RowRiskLimits& limits) noexcept {
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(limits.max_all_messages) *
                                      (10000U - std::min(limits.cancel_headroom_bps, 10000U)) / 10000U);
}

/// Which budgets of a row count a message: that of new orders and amends as long as there is a ring for its times, that of all
/// messages only while its limit has a value, too.
bool counts_requests(const RowMeters& meters) noexcept { return meters.messages_ring != kNoSlot; }
bool counts_all(const RowMeters& meters, const RowRiskLimits& limits) noexcept {
    return limits.max_all_messages != kUnlimitedCount && meters.all_ring != kNoSlot;
}
std::uint8_t bit_of(bool set, std::size_t k) noexcept { return static_cast<std::uint8_t>(static_cast<unsigned>(set) << k); }

/// Rules that one more request would break, in the order of the refusals.
constexpr unsigned kRequests = 1, kShare = 2, kAllMessages = 4;

/// Overuse of the budgets of row k, and its bits among those that count the request.
inline unsigned overuse_of(const State& state, const RowsNow& now, std::size_t k, std::uint64_t pending, std::int64_t now_ns,
                           Metered& metered) noexcept {
    const RowRisk& risk = state.rows_risk[now.rows[k]];
    const RowMeters& meters = risk.meters.newest();
    const RowRiskLimits& limits = risk.limits.newest();
    metered.messages |= bit_of(counts_requests(meters), k);
    metered.all_messages |= bit_of(counts_all(meters, limits), k);
    const bool limits_requests = limits.max_messages != kUnlimitedCount;
    const bool limits_all = limits.max_all_messages != kUnlimitedCount;
    const Window window{now_ns, kMs * limits.window_ms};
    const std::int64_t since = known_since(state, meters);
    // Its counting began less than a window ago: what was sent before is not known.
    if (since != 0 && window.holds(since)) [[unlikely]]
        return (limits_requests ? kRequests : 0U) | (limits_all ? kShare | kAllMessages : 0U);
    const Budget requests = budget_of(meters, false), all = budget_of(meters, true);
    unsigned used = 0;
    if (limits_requests && is_used(state, requests, pending, limits.max_messages, window)) used |= kRequests;
    if (!limits_all) return used;
    if (is_used(state, requests, pending, request_share(limits), window)) used |= kShare;
    if (is_used(state, all, pending, limits.max_all_messages, window)) used |= kAllMessages;
    return used;
}

using RowOveruse = std::array<std::uint8_t, kRowsPerOrder>;

/// The first refusal: rule by rule, and in each rule scope by scope.
[[gnu::cold]] void deny_overuse(const State& state, const RowsNow& now, const RowOveruse& used, Decision& out) noexcept {
    for (const unsigned rule : {kRequests, kShare, kAllMessages}) {
        for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
            if ((used[k] & rule) == 0) continue;
            const RowRiskLimits& limits = state.rows_risk[now.rows[k]].limits.newest();
            const std::uint32_t limit = rule == kRequests ? limits.max_messages
                                        : rule == kShare  ? request_share(limits)
                                                          : limits.max_all_messages;
            return deny(state, DenyReason::rate_limit,
                        {now.rows[k], static_cast<std::int64_t>(limit) + 1, limit, Unit::messages}, out);
        }
    }
}

}  // namespace

bool deny_over_budget(const State& state, const RowsNow& now, const BatchOverlay* overlay, std::int64_t now_ns,
                      Metered& metered, Decision& out) noexcept {
    RowOveruse used{};
    Metered counted{};
    unsigned any = 0;
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        if (now.rows[k] == kNoSlot || (now.control[k]->set & kHasMessageLimits) == 0) continue;
        const std::uint64_t pending = overlay == nullptr ? 0 : overlay->orders_on(now.rows[k]);
        any |= used[k] = static_cast<std::uint8_t>(overuse_of(state, now, k, pending, now_ns, counted));
    }
    if (any != 0) [[unlikely]]
        return deny_overuse(state, now, used, out), true;
    metered = counted;
    return false;
}

Metered metered_as_relief(const State& state, const RowsNow& now) noexcept {
    Metered metered{};
    if (!has_budget(now)) return metered;
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        if (now.rows[k] == kNoSlot || (now.control[k]->set & kHasMessageLimits) == 0) continue;
        const RowRisk& risk = state.rows_risk[now.rows[k]];
        metered.all_messages |= bit_of(counts_all(risk.meters.newest(), risk.limits.newest()), k);
    }
    return metered;
}

namespace {

/// The time that decides about one more message of `limit`, and the place where its own time will go. Not where only every
/// so many messages one time is kept: most of them need neither.
void prefetch_budget(const State& state, std::uint32_t ring, std::uint64_t count, std::uint32_t stride,
                     std::uint32_t limit) noexcept {
    if (stride > 1 || ring >= state.geometry.budget_rings || limit == kUnlimitedCount) return;
    const auto& times = state.budget_rings[ring].times_ns;
    __builtin_prefetch(&times[count % kBudgetTimes], 1, 3);
    if (count >= limit) __builtin_prefetch(&times[(count - limit) % kBudgetTimes], 0, 3);
}

}  // namespace

void prefetch_budgets(const State& state, std::uint32_t row) noexcept {
    const RowMeters& meters = state.rows_risk[row].meters.newest();
    const RowRiskLimits& limits = state.rows_risk[row].limits.newest();
    const auto word = [](const auto& value) { return static_cast<std::uint64_t>(__atomic_load_n(&value, __ATOMIC_RELAXED)); };
    const auto count = [&](const std::uint32_t& value) { return static_cast<std::uint32_t>(word(value)); };
    prefetch_budget(state, count(meters.messages_ring), word(meters.messages), count(meters.messages_stride),
                    count(limits.max_messages));
    prefetch_budget(state, count(meters.all_ring), word(meters.all_messages), count(meters.all_stride),
                    count(limits.max_all_messages));
}

std::optional<std::uint64_t> messages_in_window(const State& state, std::uint32_t row, bool all, std::int64_t now_ns) noexcept {
    const RowRiskLimits limits = state.rows_risk[row].limits.read();
    const RowMeters meters = state.rows_risk[row].meters.read();
    const std::uint32_t limit = all ? limits.max_all_messages : limits.max_messages;
    const Budget budget = budget_of(meters, all);
    if (limit == kUnlimitedCount || budget.ring >= state.geometry.budget_rings) return std::nullopt;
    const std::int64_t since = known_since(state, meters);
    const Window window{now_ns, kMs * limits.window_ms};
    if (since != 0 && window.holds(since)) return limit;
    const std::uint64_t kept = budget.kept();
    const auto& times = state.budget_rings[budget.ring].times_ns;
    std::uint64_t within = 0;
    for (; within < std::min<std::uint64_t>(kept, kBudgetTimes); ++within) {
        if (!window.holds(kept_time(times, kept - 1 - within))) break;
    }
    return std::min(within * budget.stride(), budget.count);
}

namespace {

/// One more message in a budget: its time, where one is kept; the count, which says where, follows.
inline void keep_in_ring(const State& state, const Budget& budget, std::int64_t time_ns) noexcept {
    if (!state.keeps_derived || budget.ring >= state.geometry.budget_rings) return;
    keep_time(state.budget_rings[budget.ring].times_ns, budget.count, budget.stride(), time_ns);
}

/// Field by field, so that the record goes from one copy to the other in registers.
inline void count_on_row(State& state, std::uint32_t row, const EventHeader& header, bool request, bool any) noexcept {
    Versioned<RowMeters>& meters = state.rows_risk[row].meters;
    const RowMeters& now = meters.newest();
    if (load_relaxed(now.seq) >= header.seq) return;
    if (request) keep_in_ring(state, budget_of(now, false), header.steady_ns);
    if (any) keep_in_ring(state, budget_of(now, true), header.steady_ns);
    RowMeters next{};
    next.messages = now.messages + (request ? 1U : 0U);
    next.all_messages = now.all_messages + (any ? 1U : 0U);
    next.since_ns = now.since_ns;
    next.messages_ring = now.messages_ring;
    next.all_ring = now.all_ring;
    next.messages_stride = now.messages_stride;
    next.all_stride = now.all_stride;
    next.since_seq = now.since_seq;
    meters.store(header.seq, next);
}

}  // namespace

void count_metered(State& state, const EventHeader& header, Metered metered) noexcept {
    const RowSet rows = rows_of(state.geometry, header.account, header.strategy, header.instrument);
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        const bool request = (metered.messages >> k & 1U) != 0;
        const bool any = (metered.all_messages >> k & 1U) != 0;
        if (rows[k] == kNoSlot || !(request || any)) continue;
        count_on_row(state, rows[k], header, request, any);
    }
}

BreakerSlot* breaker_of(const State& state, std::uint32_t strategy, std::uint32_t instrument) noexcept {
    if (strategy >= state.geometry.strategies || instrument >= state.geometry.instruments) return nullptr;
    const std::uint32_t at = strategy * state.geometry.instruments + instrument;
    return at < state.geometry.breakers ? &state.breakers[at] : nullptr;
}

namespace {

std::uint64_t& counted(BreakerCounts& counts, Breaker what) noexcept {
    return what == Breaker::buys ? counts.buys : what == Breaker::sells ? counts.sells : counts.rejects;
}

}  // namespace

void count_breaker(State& state, const EventHeader& header, Breaker what) noexcept {
    BreakerSlot* slot = what == Breaker::none ? nullptr : breaker_of(state, header.strategy, header.instrument);
    if (slot == nullptr) [[likely]]
        return;
    slot->counts.update(header.seq, [&](BreakerCounts& next) {
        std::uint64_t& count = counted(next, what);
        BreakerTimes& times = slot->times[static_cast<std::size_t>(what) - 1];
        if (state.keeps_derived) keep_time(times.fine_ns, count, 1, header.steady_ns);
        if (state.keeps_derived) keep_time(times.coarse_ns, count, kBreakerStride, header.steady_ns);
        ++count;
    });
}

void forget_times(State& state) noexcept {
    const auto forget = [](auto& times_ns, std::int64_t value) {
        for (std::int64_t& time : times_ns)
            store_relaxed(reinterpret_cast<std::uint64_t&>(time), static_cast<std::uint64_t>(value));
    };
    for (std::uint32_t i = 0; i < state.geometry.budget_rings; ++i) forget(state.budget_rings[i].times_ns, 0);
    // In no window, however young the boot is.
    for (std::uint32_t i = 0; i < state.geometry.breakers; ++i)
        for (BreakerTimes& times : state.breakers[i].times)
            forget(times.fine_ns, base::kMinInt64), forget(times.coarse_ns, base::kMinInt64);
}

bool breaks(const BreakerSlot& slot, Breaker what, std::uint32_t limit, std::int64_t window_ns, std::int64_t now_ns) noexcept {
    BreakerCounts counts = slot.counts.newest();
    const std::uint64_t count = counted(counts, what);
    const std::uint64_t most = std::min<std::uint64_t>(limit, kBreakerTimes * (kBreakerStride - 1ULL));
    if (most == 0) return true;
    if (count < most) return false;
    const std::uint64_t oldest = count - most;
    const BreakerTimes& times = slot.times[static_cast<std::size_t>(what) - 1];
    const Window window{now_ns, window_ns};
    if (most <= kBreakerTimes) return window.holds(times.fine_ns[oldest % kBreakerTimes]);
    const std::uint64_t sample = (oldest + kBreakerStride - 1) / kBreakerStride;
    return window.holds(times.coarse_ns[sample % kBreakerTimes]);
}

}  // namespace riskreg::core
