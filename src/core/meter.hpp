/// Message budgets and breakers: exact sliding windows over the times of the last messages (semantics.md 10).
///
/// A count is part of a versioned record and says where the next time goes. The time is written first, so that a repair
/// writes it to the same place again. Times are no part of the canonical form: after a recovery from disk a budget counts
/// as used up for one window.
#pragma once

#include "core/decide_common.hpp"

namespace riskreg::core {

class BatchOverlay;

/// Some covering scope has a message budget: refusals that count are then always logged.
[[nodiscard]] inline bool has_budget(const RowsNow& now) noexcept { return (now.set & layout::kHasMessageLimits) != 0; }

/// Check 8, for a new order, or an amend that is not only down. True when it denied; otherwise `metered` says which rows'
/// budgets count it. `overlay`: earlier members of the same batch.
[[nodiscard]] bool deny_over_budget(const State& state, const RowsNow& now, const BatchOverlay* overlay, std::int64_t now_ns,
                                    layout::Metered& metered, Decision& out) noexcept;
[[nodiscard]] inline bool deny_rate(const State& state, const RowsNow& now, const BatchOverlay* overlay, std::int64_t now_ns,
                                    layout::Metered& metered, Decision& out) noexcept {
    return has_budget(now) && deny_over_budget(state, now, overlay, now_ns, metered, out);
}

/// Rows whose budgets count a cancel, or an amend down: among all messages only, and it is never refused.
[[nodiscard]] layout::Metered metered_as_relief(const State& state, const RowsNow& now) noexcept;

/// Starts the loads of the times that deny_rate and count_messages will touch. Before the lock: a hint, nothing depends on it.
void prefetch_budgets(const State& state, std::uint32_t row) noexcept;

/// Where the breakers of an order's strategy × instrument are; null where this registry keeps none.
[[nodiscard]] layout::BreakerSlot* breaker_of(const State& state, std::uint32_t strategy, std::uint32_t instrument) noexcept;

/// Messages of one row in the window that ends now: of new orders and amends, or of all. Nothing while no such limit has a value;
/// the whole limit while the window before a recovery counts as used up. Wait-free, linear in the limit.
[[nodiscard]] std::optional<std::uint64_t> messages_in_window(const State& state, std::uint32_t row, bool all,
                                                              std::int64_t now_ns) noexcept;

/// Counting for apply: writes times and counts of event `seq`; repeating it changes nothing.
void count_metered(State& state, const layout::EventHeader& header, layout::Metered metered) noexcept;
inline void count_messages(State& state, const layout::EventHeader& header, layout::Metered metered) noexcept {
    if ((metered.messages | metered.all_messages) != 0) count_metered(state, header, metered);
}
void count_breaker(State& state, const layout::EventHeader& header, layout::Breaker what) noexcept;
/// For apply, at a recovery: the times that are kept are of another boot.
void forget_times(State& state) noexcept;

/// Whether one more of `what` at `now_ns` is more than `limit` in the window.
[[nodiscard]] bool breaks(const layout::BreakerSlot& slot, layout::Breaker what, std::uint32_t limit, std::int64_t window_ns,
                          std::int64_t now_ns) noexcept;

/// n / stride. A stride of 1 needs no division, and others one of half the length for the first four thousand million messages.
[[nodiscard]] inline std::uint64_t by_stride(std::uint64_t n, std::uint32_t stride) noexcept {
    if (stride == 1) return n;
    return n >> 32 == 0 ? static_cast<std::uint32_t>(n) / stride : n / stride;
}

/// Keeps the time of the message or execution that is number `count`, from 0, where one of every `stride` times is kept.
template <std::size_t Size>
inline void keep_time(std::int64_t (&times_ns)[Size], std::uint64_t count, std::uint32_t stride,
                      std::int64_t time_ns) noexcept {
    const std::uint64_t sample = by_stride(count, stride);
    if (sample * stride != count) return;
    layout::store_relaxed(reinterpret_cast<std::uint64_t&>(times_ns[sample % Size]), static_cast<std::uint64_t>(time_ns));
}

/// The time in place `sample` of such a ring.
template <std::size_t Size>
[[nodiscard]] inline std::int64_t kept_time(const std::int64_t (&times_ns)[Size], std::uint64_t sample) noexcept {
    return static_cast<std::int64_t>(layout::load_relaxed(reinterpret_cast<const std::uint64_t&>(times_ns[sample % Size])));
}

/// One budget of a row: what it has counted, and where the times are that it kept.
struct Budget {
    std::uint64_t count;
    std::uint32_t ring;
    std::uint32_t stored_stride;  // 0 stands for 1
    [[nodiscard]] std::uint32_t stride() const noexcept { return std::max(stored_stride, 1U); }
    [[nodiscard]] std::uint64_t kept() const noexcept { return (count + stride() - 1) / stride(); }
};
[[nodiscard]] inline Budget budget_of(const layout::RowMeters& meters, bool all) noexcept {
    if (all) return {meters.all_messages, meters.all_ring, meters.all_stride};
    return {meters.messages, meters.messages_ring, meters.messages_stride};
}

/// Since when it is known what a row has sent: its limit began to count, or a recovery lost the times. 0: all of it.
[[nodiscard]] inline std::int64_t known_since(const State& state, const layout::RowMeters& meters) noexcept {
    if (layout::load_relaxed(state.status->recovered_seq) > meters.since_seq) [[unlikely]]
        return static_cast<std::int64_t>(layout::load_relaxed(state.status->recovered_steady_ns));
    return meters.since_ns;
}

/// Gives a copy the times of messages and executions whose events the log of `live` still holds.
void rebuild_times(State& copy, const State& live);
/// Reports kept times that are not those of their events; where those are gone, times later than the one that was kept next.
class DerivedCheck;
void check_times(DerivedCheck& check);

/// How many messages one kept time stands for.
[[nodiscard]] constexpr std::uint32_t stride_of(std::uint32_t limit) noexcept {
    return limit == 0 ? 1 : (limit - 1) / layout::kBudgetTimes + 1;
}

}  // namespace riskreg::core
