/// What positions are worth: marks, gross and net value, the result of the day (semantics.md 7 and 15). Internal to core.
///
/// Rows of one instrument value their own position; rows that span instruments hold the sum over theirs. An event carries
/// by how much each of the three pairs changes (layout::ValueDelta), because apply may not look from one row at another.
#pragma once

#include "core/decide_common.hpp"

namespace riskreg::core {

/// The rows of one instrument, and of the pair that each makes with the row that sums it up.
inline constexpr std::size_t kPairs = 3;
inline constexpr std::size_t kFirstInstrumentRow = 3;  // in a RowSet: instrument, account × instrument, strategy × instrument

/// A delta of this value says: the sum does not fit, saturate. Apply then flags the row.
inline constexpr std::int64_t kNoFit = base::kMaxInt64;

/// Gross and net value of one row of an instrument at a price; kNoFit where they leave 64 bits.
struct Worth {
    std::int64_t gross = 0;
    std::int64_t net = 0;
};

/// How the counters of an instrument's rows are about to change, and at which price.
struct ValueChange {
    Side side = Side::none;
    std::int64_t position = 0;
    std::int64_t open_quantity = 0;
    std::optional<std::int64_t> price;  ///< of a fill or load: stands for the mark of rows that have none of their own
    const BatchOverlay* overlay = nullptr;  ///< members of a batch that the counters hold and the values do not
};

using RowCountersNow = std::array<const layout::RowCounters*, kRowsPerOrder>;

/// Counters of the six rows of what exists; under the lock.
[[nodiscard]] RowCountersNow counters_of(const State& state, const RowSet& rows) noexcept;

/// Money that a trade of this notional brings in: a sale, or a purchase at a negative price; otherwise it costs that much.
[[nodiscard]] constexpr std::int64_t cash_flow_of(Side side, std::int64_t price, std::int64_t notional) noexcept {
    return (side == Side::sell) != (price < 0) ? notional : -notional;
}

/// Deltas of the three pairs. `counters` are those of the six rows before the change.
[[nodiscard]] layout::ValueDelta value_delta(const State& state, std::uint32_t instrument, const RowSet& rows,
                                             const RowCountersNow& counters, const ValueChange& change) noexcept;

/// The same for one row of one instrument that takes a new mark.
[[nodiscard]] Worth mark_delta(const State& state, std::uint32_t instrument, std::uint32_t row, std::int64_t mark) noexcept;

/// What a row of one instrument with these counters is worth at a mark; by the worst-case method with `more` of one side open.
[[nodiscard]] Worth worth_at(const State& state, std::uint32_t instrument, const layout::RowCounters& counters,
                             std::int64_t mark, Side side = Side::none, std::int64_t more = 0) noexcept;

/// position · price with its sign: negative for a short position, or for a long one at a negative price.
[[nodiscard]] std::int64_t signed_notional(std::int64_t price, std::int64_t quantity,
                                           const base::NotionalFactor& factor) noexcept;

/// Result of the day of a row, after `cash` and `net` more; the nearest one that both signs of an amount allow. Exact at any size.
[[nodiscard]] std::int64_t wide_pnl_of(const layout::RowValue& value, std::int64_t cash, std::int64_t net) noexcept;
/// The same, in 64 bits where they do.
[[nodiscard]] inline std::int64_t pnl_of(const layout::RowValue& value, std::int64_t cash = 0, std::int64_t net = 0) noexcept {
    std::int64_t pnl = 0;
    bool beyond = __builtin_add_overflow(value.cash_flow, cash, &pnl);
    beyond |= __builtin_add_overflow(pnl, value.net_value, &pnl);
    beyond |= __builtin_add_overflow(pnl, net, &pnl);
    beyond |= __builtin_sub_overflow(pnl, value.start_value, &pnl);
    if (beyond || pnl == base::kMinInt64) [[unlikely]]
        return wide_pnl_of(value, cash, net);
    return pnl;
}

/// What the records of one row say. Without worst positions, which may be those of other rows, and without the result of the day.
template <class Amount>
[[nodiscard]] inline Holdings<Amount> holdings_of(const layout::RowCounters& counters, const layout::RowValue& value,
                                                  const layout::RowDay& day, bool worst_case) noexcept {
    Holdings<Amount> h;
    h.working_buy = counters.working_buy;
    h.working_sell = counters.working_sell;
    h.buys = counters.open_buy_notional;
    h.sells = counters.open_sell_notional;
    h.bought = day.bought_notional;
    h.sold = day.sold_notional;
    h.gross = value.gross_value;
    h.net = value.net_value;
    h.worst_case = worst_case;
    return h;
}

/// What the loss limits of a row say about a result.
struct LossBreach {
    DenyReason reason = DenyReason::none;
    std::int64_t observed = 0;
    std::int64_t limit = 0;
};
[[nodiscard]] inline TradingState on_loss(const State& state) noexcept {
    return state.has_setting(layout::kLossHalts) ? TradingState::halted : TradingState::reducing_only;
}
/// max_daily_loss and drawdown of the row, at a result and the best one of the day.
[[nodiscard]] inline bool loses_too_much(const layout::RowRiskLimits& limits, std::int64_t pnl) noexcept {
    return (pnl < 0) & (limits.daily_loss != layout::kUnlimited) & (loss_use(pnl) >= limits.daily_loss);
}
/// `drawdown_use` in 64 bits, saturating.
[[nodiscard]] inline std::int64_t fall_of(std::int64_t pnl, std::int64_t peak) noexcept {
    std::int64_t fall = 0;
    return __builtin_sub_overflow(std::max(peak, pnl), pnl, &fall) ? base::kMaxInt64 : fall;
}
[[nodiscard]] inline bool falls_too_far(const layout::RowRiskLimits& limits, std::int64_t pnl, std::int64_t peak) noexcept {
    const std::int64_t fall = fall_of(pnl, peak);
    return (fall > 0) & (limits.drawdown != layout::kUnlimited) & (fall >= limits.drawdown);
}
[[nodiscard]] inline LossBreach loss_breach(const layout::RowRiskLimits& limits, std::int64_t pnl, std::int64_t peak) noexcept {
    if (loses_too_much(limits, pnl)) return {DenyReason::daily_loss, loss_use(pnl), limits.daily_loss};
    if (falls_too_far(limits, pnl, peak)) return {DenyReason::drawdown, fall_of(pnl, peak), limits.drawdown};
    return {};
}

}  // namespace riskreg::core
