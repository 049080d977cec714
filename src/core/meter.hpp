/// Message budgets and breakers: exact sliding windows over the times of the last messages (semantics.md 10).
///
/// A count is part of a versioned record and says where the next time goes. The time is written first, so that a repair
/// writes it to the same place again. Times are no part of the canonical form: after a recovery from disk a budget counts
/// as used up for one window.
#pragma once

#include "core/decide_common.hpp"

namespace riskreg::core {

class BatchOverlay;

/// What a message is to the budgets.
enum class Message : std::uint8_t {
    request,   ///< a new order, or an amend that is not only down: counts, and may be refused
    relief,    ///< a cancel, or an amend down: counts among all messages only, and is never refused
};

/// Rows whose budgets count this message.
[[nodiscard]] layout::Metered metered_of(const State& state, const RowsNow& now, Message message) noexcept;

/// Check 8. True when it denied. `overlay`: earlier members of the same batch.
[[nodiscard]] bool deny_rate(const State& state, const RowsNow& now, const BatchOverlay* overlay, std::int64_t now_ns,
                             Decision& out) noexcept;

/// Starts the loads of the times that deny_rate and count_messages will touch. Before the lock: a hint, nothing depends on it.
void prefetch_budgets(const State& state, std::uint32_t row) noexcept;

/// Some covering scope has a message budget: refusals that count are then always logged.
[[nodiscard]] bool has_budget(const RowsNow& now) noexcept;

/// Where the breakers of an order's strategy × instrument are; null where this registry keeps none.
[[nodiscard]] layout::BreakerSlot* breaker_of(const State& state, std::uint32_t strategy, std::uint32_t instrument) noexcept;

/// Messages of one row in the window that ends now: of new orders and amends, or of all. Nothing while no such limit has a value;
/// the whole limit while the window before a recovery counts as used up. Wait-free, linear in the limit.
[[nodiscard]] std::optional<std::uint64_t> messages_in_window(const State& state, std::uint32_t row, bool all,
                                                              std::int64_t now_ns) noexcept;

/// Counting for apply: writes times and counts of event `seq`; repeating it changes nothing.
void count_messages(State& state, const layout::EventHeader& header, layout::Metered metered) noexcept;
void count_breaker(State& state, const layout::EventHeader& header, layout::Breaker what) noexcept;

/// Whether one more of `what` at `now_ns` is more than `limit` in the window.
[[nodiscard]] bool breaks(const layout::BreakerSlot& slot, layout::Breaker what, std::uint32_t limit, std::int64_t window_ns,
                          std::int64_t now_ns) noexcept;

/// How many messages one kept time stands for.
[[nodiscard]] constexpr std::uint32_t stride_of(std::uint32_t limit) noexcept {
    return limit == 0 ? 1 : (limit - 1) / layout::kBudgetTimes + 1;
}

}  // namespace riskreg::core
