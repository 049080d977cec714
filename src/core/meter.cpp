#include "core/meter.hpp"

#include "core/overlay.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

constexpr std::int64_t kMs = 1'000'000;

/// A moment within the window that ends at `now_ns`; a message leaves it exactly one window after it was sent.
bool is_within(std::int64_t time_ns, std::int64_t now_ns, std::int64_t window_ns) noexcept {
    return static_cast<base::Int128>(now_ns) - time_ns < window_ns;
}

/// n / stride. Nearly every stride is 1, and a division takes longer than all the rest of a budget.
std::uint64_t by_stride(std::uint64_t n, std::uint32_t stride) noexcept { return stride == 1 ? n : n / stride; }

/// One budget: its count, the times it kept, and messages of the same batch that are not counted yet.
struct Budget {
    const BudgetRing* ring = nullptr;
    std::uint64_t count = 0;
    std::uint32_t stride = 1;
    std::uint64_t pending = 0;
};

/// Whether `limit` messages or more lie in the window. With a stride the time asked for may be that of a later message, so
/// the answer errs towards yes.
bool is_used(const Budget& budget, std::uint64_t limit, std::int64_t now_ns, std::int64_t window_ns) noexcept {
    if (limit == 0) return true;
    const std::uint64_t total = budget.count + budget.pending;
    if (total < limit) return false;
    const std::uint64_t oldest = total - limit;
    const std::uint64_t sample = by_stride(oldest + budget.stride - 1, budget.stride);
    if (sample * budget.stride >= budget.count) return true;
    const auto& word = reinterpret_cast<const std::uint64_t&>(budget.ring->times_ns[sample % kBudgetTimes]);
    return is_within(static_cast<std::int64_t>(load_relaxed(word)), now_ns, window_ns);
}

void keep_time(std::int64_t (&times)[kBudgetTimes], std::uint64_t count, std::uint32_t stride, std::int64_t time_ns) noexcept {
    const std::uint64_t sample = by_stride(count, stride);
    if (sample * stride != count) return;
    store_relaxed(reinterpret_cast<std::uint64_t&>(times[sample % kBudgetTimes]), static_cast<std::uint64_t>(time_ns));
}

/// The budgets of one row, as one look at its records.
struct RowBudgets {
    const RowRiskLimits* limits;
    Budget requests;
    Budget all;
    std::int64_t window_ns;
    bool starts_used;   ///< its counting began less than a window ago
};

RowBudgets budgets_of(const State& state, std::uint32_t row, const BatchOverlay* overlay, std::int64_t now_ns) noexcept {
    const RowMeters& meters = state.rows_risk[row].meters.newest();
    RowBudgets b{};
    b.limits = &state.rows_risk[row].limits.newest();
    const std::uint64_t pending = overlay == nullptr ? 0 : overlay->orders_on(row);
    const auto ring = [&](std::uint32_t slot) {
        return slot < state.geometry.budget_rings ? &state.budget_rings[slot] : nullptr;
    };
    b.requests = {ring(meters.messages_ring), meters.messages, std::max(meters.messages_stride, 1U), pending};
    b.all = {ring(meters.all_ring), meters.all_messages, std::max(meters.all_stride, 1U), pending};
    b.window_ns = kMs * b.limits->window_ms;
    const std::int64_t since = std::max(meters.since_ns, static_cast<std::int64_t>(load_relaxed(state.status->recovered_ns)));
    b.starts_used = since != 0 && is_within(since, now_ns, b.window_ns);
    return b;
}

/// Part of max_all_messages that new orders and amends may use.
std::uint32_t request_share(const RowRiskLimits& limits) noexcept {
    return static_cast<std::uint32_t>(static_cast<std::uint64_t>(limits.max_all_messages) *
                                      (10000U - std::min(limits.cancel_headroom_bps, 10000U)) / 10000U);
}

bool deny_budget(const State& state, std::uint32_t row, const RowBudgets& b, const Budget& budget, std::uint32_t limit,
                 std::int64_t now_ns, Decision& out) noexcept {
    // A value without a ring cannot be judged (INV-12).
    if (!b.starts_used && budget.ring != nullptr && !is_used(budget, limit, now_ns, b.window_ns)) return false;
    return deny(state, DenyReason::rate_limit, {row, static_cast<std::int64_t>(limit) + 1, limit, Unit::messages}, out), true;
}

}  // namespace

bool has_budget(const RowsNow& now) noexcept { return (now.set & kHasMessageLimits) != 0; }

Metered metered_of(const State& state, const RowsNow& now, Message message) noexcept {
    Metered metered{};
    if (!has_budget(now)) [[likely]]
        return metered;
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        if (now.rows[k] == kNoSlot || (now.control[k]->set & kHasMessageLimits) == 0) continue;
        const RowMeters& meters = state.rows_risk[now.rows[k]].meters.newest();
        const auto bit = static_cast<std::uint8_t>(1U << k);
        if (message == Message::request && meters.messages_ring != kNoSlot) metered.messages |= bit;
        // A ring stays when its limit goes; it counts only while there is one.
        const bool limits_all = state.rows_risk[now.rows[k]].limits.newest().max_all_messages != kUnlimitedCount;
        if (limits_all && meters.all_ring != kNoSlot) metered.all_messages |= bit;
    }
    return metered;
}

bool deny_rate(const State& state, const RowsNow& now, const BatchOverlay* overlay, std::int64_t now_ns,
               Decision& out) noexcept {
    if (!has_budget(now)) [[likely]]
        return false;
    std::array<RowBudgets, kRowsPerOrder> budgets;
    std::array<std::uint32_t, kRowsPerOrder> rows{};
    std::size_t size = 0;
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        if (now.rows[k] == kNoSlot || (now.control[k]->set & kHasMessageLimits) == 0) continue;
        budgets[size] = budgets_of(state, now.rows[k], overlay, now_ns);
        rows[size++] = now.rows[k];
    }
    // Rule by rule, and in each rule scope by scope.
    for (std::size_t i = 0; i < size; ++i) {
        const std::uint32_t limit = budgets[i].limits->max_messages;
        if (limit != kUnlimitedCount && deny_budget(state, rows[i], budgets[i], budgets[i].requests, limit, now_ns, out))
            return true;
    }
    for (std::size_t i = 0; i < size; ++i) {
        if (budgets[i].limits->max_all_messages == kUnlimitedCount) continue;
        const std::uint32_t share = request_share(*budgets[i].limits);
        if (deny_budget(state, rows[i], budgets[i], budgets[i].requests, share, now_ns, out)) return true;
    }
    for (std::size_t i = 0; i < size; ++i) {
        const std::uint32_t limit = budgets[i].limits->max_all_messages;
        if (limit != kUnlimitedCount && deny_budget(state, rows[i], budgets[i], budgets[i].all, limit, now_ns, out))
            return true;
    }
    return false;
}

namespace {

/// The time that decides about one more message of `limit`, and the place where its own time will go.
void prefetch_budget(const State& state, std::uint32_t ring, std::uint64_t count, std::uint32_t stride,
                     std::uint32_t limit) noexcept {
    if (ring >= state.geometry.budget_rings || limit == kUnlimitedCount) return;
    const std::uint32_t step = std::max(stride, 1U);
    const auto& times = state.budget_rings[ring].times_ns;
    __builtin_prefetch(&times[by_stride(count, step) % kBudgetTimes], 1, 3);
    if (count >= limit) __builtin_prefetch(&times[by_stride(count - limit + step - 1, step) % kBudgetTimes], 0, 3);
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
    const std::uint32_t ring = all ? meters.all_ring : meters.messages_ring;
    if (limit == kUnlimitedCount || ring >= state.geometry.budget_rings) return std::nullopt;
    const std::int64_t window_ns = kMs * limits.window_ms;
    const std::int64_t since = std::max(meters.since_ns, static_cast<std::int64_t>(load_relaxed(state.status->recovered_ns)));
    if (since != 0 && is_within(since, now_ns, window_ns)) return limit;
    const std::uint64_t count = all ? meters.all_messages : meters.messages;
    const std::uint32_t stride = std::max(all ? meters.all_stride : meters.messages_stride, 1U);
    const std::uint64_t kept = (count + stride - 1) / stride;
    std::uint64_t within = 0;
    for (; within < std::min<std::uint64_t>(kept, kBudgetTimes); ++within) {
        const auto& word =
            reinterpret_cast<const std::uint64_t&>(state.budget_rings[ring].times_ns[(kept - 1 - within) % kBudgetTimes]);
        if (!is_within(static_cast<std::int64_t>(load_relaxed(word)), now_ns, window_ns)) break;
    }
    return std::min(within * stride, count);
}

void count_messages(State& state, const EventHeader& header, Metered metered) noexcept {
    if ((metered.messages | metered.all_messages) == 0) [[likely]]
        return;
    const RowSet rows = rows_of(state.geometry, header.account, header.strategy, header.instrument);
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        const bool request = (metered.messages >> k & 1U) != 0;
        const bool any = (metered.all_messages >> k & 1U) != 0;
        if (rows[k] == kNoSlot || !(request || any)) continue;
        state.rows_risk[rows[k]].meters.update(header.seq, [&](RowMeters& next) {
            const std::uint32_t rings = state.keeps_derived ? state.geometry.budget_rings : 0;
            if (request && next.messages_ring < rings)
                keep_time(state.budget_rings[next.messages_ring].times_ns, next.messages, std::max(next.messages_stride, 1U),
                          header.time_ns);
            if (any && next.all_ring < rings)
                keep_time(state.budget_rings[next.all_ring].times_ns, next.all_messages, std::max(next.all_stride, 1U),
                          header.time_ns);
            next.messages += request ? 1U : 0U;
            next.all_messages += any ? 1U : 0U;
        });
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
        const auto keep = [&](std::int64_t& word) {
            store_relaxed(reinterpret_cast<std::uint64_t&>(word), static_cast<std::uint64_t>(header.time_ns));
        };
        if (state.keeps_derived) keep(times.fine_ns[count % kBreakerTimes]);
        if (state.keeps_derived && count % kBreakerStride == 0) keep(times.coarse_ns[count / kBreakerStride % kBreakerTimes]);
        ++count;
    });
}

bool breaks(const BreakerSlot& slot, Breaker what, std::uint32_t limit, std::int64_t window_ns, std::int64_t now_ns) noexcept {
    BreakerCounts counts = slot.counts.newest();
    const std::uint64_t count = counted(counts, what);
    const std::uint64_t most = std::min<std::uint64_t>(limit, kBreakerTimes * (kBreakerStride - 1ULL));
    if (most == 0) return true;
    if (count < most) return false;
    const std::uint64_t oldest = count - most;
    const BreakerTimes& times = slot.times[static_cast<std::size_t>(what) - 1];
    if (most <= kBreakerTimes) return is_within(times.fine_ns[oldest % kBreakerTimes], now_ns, window_ns);
    const std::uint64_t sample = (oldest + kBreakerStride - 1) / kBreakerStride;
    return is_within(times.coarse_ns[sample % kBreakerTimes], now_ns, window_ns);
}

}  // namespace riskreg::core
