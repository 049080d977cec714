/// What rows are worth while nobody looks after marks (faults-2.md A9): limits that rest on marks are then judged with the marks
/// that a host would write at this moment. Nothing is written by it. Internal to core.
///
/// Costs a look at every instrument under the lock, so it is for the time without a host only.
#pragma once

#include <optional>

#include "core/value.hpp"

namespace riskreg::core {

/// Marks are trusted for this long behind the last look of a host, or for the mark interval when that is longer.
inline constexpr std::int64_t kMarksTrustedNs = 2'000'000'000;

/// Nobody has looked after marks for longer than they are trusted. One word and one comparison.
[[nodiscard]] inline bool marks_are_behind(const State& state, std::int64_t steady_ns) noexcept {
    const auto until = static_cast<std::int64_t>(layout::load_relaxed(state.host->marks_until_ns));
    const std::int64_t interval = 1'000'000LL * state.header->mark_interval_ms;
    std::int64_t age = 0;
    if (until == 0 || __builtin_sub_overflow(steady_ns, until, &age)) return true;
    // The caller read its clock before it had the lock, so the host may have looked since: either way within the time.
    return base::magnitude(age) > static_cast<std::uint64_t>(std::max(interval, kMarksTrustedNs));
}

/// By how much the six rows of an order would change if every row of one instrument below them were marked now.
struct Unmarked {
    std::array<base::Int128, kRowsPerOrder> gross{};
    std::array<base::Int128, kRowsPerOrder> net{};
    /// What the order adds by the worst-case method, for the pairs whose instrument row is marked so.
    std::array<std::optional<std::int64_t>, kPairs> growth{};
    /// A position whose reference price has moved on and is too old to be a mark: the row cannot be judged.
    std::array<bool, kRowsPerOrder> unknown{};
};

/// A row that has no limit that rests on marks is left out. Under the lock.
[[nodiscard]] Unmarked value_unmarked(const State& state, const RowsNow& now, std::uint32_t instrument, const Growth& growth,
                                      const BatchOverlay* overlay, std::int64_t steady_ns) noexcept;

/// Gross, net value, daily loss or drawdown of this row has a limit.
[[nodiscard]] bool rests_on_marks(const layout::RowRiskLimits& limits) noexcept;

}  // namespace riskreg::core
