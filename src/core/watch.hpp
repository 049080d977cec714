/// What whoever hosts the snapshotter looks for in the rows: marks that have fallen behind their reference price, losses that
/// no trading state tells of yet, limits whose use passed a soft level (semantics.md 7 and 15).
///
/// Reads wait-free. Outside the lock an answer is a hint, because records of one row may be of different events; under it
/// the answer is exact.
#pragma once

#include <array>
#include <optional>

#include "base/wide.hpp"
#include "core/limits.hpp"
#include "core/state.hpp"

namespace riskreg::core {

/// The reference price of an instrument, while it is fresh.
[[nodiscard]] std::optional<std::int64_t> fresh_reference(const State& state, std::uint32_t instrument,
                                                          std::int64_t steady_ns) noexcept;

/// Whether a mark matters to this row of one instrument: it has a position, by the worst-case method also open orders.
[[nodiscard]] inline bool is_exposed(const State& state, const layout::RowCounters& c) noexcept {
    return c.position != 0 || (state.has_setting(layout::kGrossWorstCase) && (c.open_buy_quantity | c.open_sell_quantity) != 0);
}
[[nodiscard]] bool is_exposed(const State& state, std::uint32_t row) noexcept;

/// Of a scope that spans instruments: its row of one of them.
[[nodiscard]] std::uint32_t instrument_row_of(const layout::Geometry& g, const Scope& scope, std::uint32_t instrument) noexcept;

/// Trading states and what counts like one, in the order in which a refusal names them.
enum class Severity : std::uint8_t { active, warn, unreconciled, reducing_only, cancel_only, halted };
[[nodiscard]] inline Severity severity_of(const layout::RowControl& control, const layout::RowCounters& counters) noexcept {
    if (control.state == TradingState::halted || (counters.flags & layout::kRowSaturated) != 0) return Severity::halted;
    if (control.state == TradingState::cancel_only) return Severity::cancel_only;
    if (control.state == TradingState::reducing_only) return Severity::reducing_only;
    if ((control.flags & layout::kUnreconciled) != 0) return Severity::unreconciled;
    return control.state == TradingState::warn ? Severity::warn : Severity::active;
}

enum class MarkWish : std::uint8_t {
    none,
    in_time,   ///< it differs, by less than the threshold
    now,
};
[[nodiscard]] MarkWish mark_wish(const State& state, std::uint32_t row, std::int64_t reference) noexcept;

/// A loss limit is reached, and the state is lower than what it asks for (decide_loss).
[[nodiscard]] bool is_loss_unanswered(const State& state, std::uint32_t row) noexcept;

/// How much of one limit of a row is used. `bound` 0: there is none to speak of.
struct Use {
    LimitId limit{};
    Unit unit = Unit::none;
    std::int64_t observed = 0;
    std::int64_t bound = 0;
};

/// The records of one row that uses are computed from.
struct RowNow {
    layout::RowControl control;
    layout::RowCounters counters;
    layout::RowValue value;            ///< this and what follows only when the row has limits on values
    layout::RowRiskLimits limits;
    layout::RowDay day;
};
[[nodiscard]] RowNow read_row(const State& state, std::uint32_t row) noexcept;

/// A quantity limit of a scope that spans instruments holds for each of them: the greatest use counts, and finding it is
/// linear in the instruments. So it is not for the time under the lock; one read record decides it anyway.
[[nodiscard]] constexpr bool is_quantity_limit(LimitId limit) noexcept {
    return limit == LimitId::max_long || limit == LimitId::max_short;
}
/// Of a limit with soft levels.
[[nodiscard]] Use use_of(const State& state, std::uint32_t row, const RowNow& now, const Limit& limit) noexcept;

/// Worst-case position, of a scope that spans instruments the greatest: what max_long and max_short are held against.
[[nodiscard]] base::Int128 worst_of_instruments(const State& state, std::uint32_t row, const layout::RowCounters& own,
                                                bool is_long) noexcept;

/// The level (0 to 3) of a use after `previous`: entered at 70, 80 and 90 %, left at 65, 75 and 85 %.
[[nodiscard]] std::uint8_t level_of(const Use& use, std::uint8_t previous) noexcept;
[[nodiscard]] constexpr std::uint8_t level_in(std::uint64_t levels, LimitId limit) noexcept {
    return static_cast<std::uint8_t>(levels >> (2 * index_of(limit)) & 3U);
}

}  // namespace riskreg::core
