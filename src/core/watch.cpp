#include "core/watch.hpp"

#include "core/value.hpp"

namespace riskreg::core {

using namespace layout;
using base::Int128;

namespace {

Int128 size_of(Int128 value) noexcept { return value < 0 ? -value : value; }

/// A use below zero is none.
std::int64_t observed_of(Int128 value) noexcept {
    return static_cast<std::int64_t>(std::clamp<Int128>(value, 0, base::kMaxInt64));
}

Int128 worst_quantity(const RowCounters& c, bool is_long) noexcept {
    return is_long ? Int128{c.position} + c.open_buy_quantity : Int128{c.open_sell_quantity} - c.position;
}

}  // namespace

std::uint32_t instrument_row_of(const Geometry& g, const Scope& scope, std::uint32_t instrument) noexcept {
    switch (scope.kind) {
        case ScopeKind::firm: return g.instrument_row(instrument);
        case ScopeKind::account: return g.account_instrument_row(static_cast<std::uint32_t>(scope.account), instrument);
        default: return g.strategy_instrument_row(static_cast<std::uint32_t>(scope.strategy), instrument);
    }
}

Int128 worst_of_instruments(const State& state, std::uint32_t row, const RowCounters& own, bool is_long) noexcept {
    const Scope scope = state.geometry.scope_of(row);
    if (scope.instrument != InstrumentId::none) return worst_quantity(own, is_long);
    Int128 worst = 0;
    for (std::uint32_t i = 0; i < state.geometry.instruments; ++i)
        worst =
            std::max(worst, worst_quantity(state.rows[instrument_row_of(state.geometry, scope, i)].counters.read(), is_long));
    return worst;
}

Int128 amount_used(const State& state, const RowAmounts& a, std::size_t limit) noexcept {
    switch (limit) {
        case 4: return a.buys + a.sells;
        case 8: return state.has_setting(kGrossWorstCase) ? a.gross : a.gross + a.buys + a.sells;
        case 9: return std::max(size_of(a.net + a.buys), size_of(a.net - a.sells));
        case 10: return a.buys + std::max<Int128>(0, a.bought - a.sold);
        case 11: return a.bought + a.sold + a.buys + a.sells;
        case 12: return std::max<Int128>(0, -a.pnl);
        default: return std::max(a.peak, a.pnl) - a.pnl;
    }
}

namespace {

Use use(std::size_t limit, Unit unit, Int128 observed, std::int64_t bound) noexcept {
    return {static_cast<std::uint8_t>(limit), unit, observed_of(observed), bound == kUnlimited ? 0 : bound};
}
Use count(std::size_t limit, std::uint64_t observed, std::uint32_t bound) noexcept {
    return use(limit, Unit::orders, observed, bound == kUnlimitedCount ? kUnlimited : std::int64_t{bound});
}

RowAmounts amounts_of(const RowNow& now) noexcept {
    const RowCounters& c = now.counters;
    return {c.open_buy_notional,   c.open_sell_notional, now.day.bought_notional, now.day.sold_notional,
            now.value.gross_value, now.value.net_value,  pnl_of(now.value),       now.value.peak};
}

std::int64_t bound_of(const RowNow& now, std::size_t limit) noexcept {
    const RowRiskLimits& l = now.limits;
    switch (limit) {
        case 4: return now.control.max_open_notional;
        case 8: return l.max_gross_notional;
        case 9: return l.max_net_notional;
        case 10: return l.cash_limit;
        case 11: return l.max_traded_notional;
        case 12: return l.daily_loss;
        default: return l.drawdown;
    }
}

struct Level {
    Int128 entered_at, left_at;        // per cent
};
constexpr std::array<Level, 3> kLevels = {{{70, 65}, {80, 75}, {90, 85}}};

}  // namespace

std::optional<std::int64_t> fresh_reference(const State& state, std::uint32_t instrument, std::int64_t steady_ns) noexcept {
    const Reference reference = reference_of(state, instrument, steady_ns);
    return reference.fresh ? std::optional(reference.price) : std::nullopt;
}

bool is_exposed(const State& state, std::uint32_t row) noexcept { return is_exposed(state, state.rows[row].counters.read()); }

MarkWish mark_wish(const State& state, std::uint32_t row, std::int64_t reference) noexcept {
    if (!is_exposed(state, row)) return MarkWish::none;
    const RowValue value = state.rows_risk[row].value.read();
    if ((value.flags & kPriced) == 0) return MarkWish::now;
    if (value.mark == reference) return MarkWish::none;
    if ((value.flags & kMarked) == 0) return MarkWish::now;
    const Int128 moved = size_of(Int128{reference} - value.mark) * 10'000;
    return moved >= size_of(value.mark) * state.header->mark_threshold_bps ? MarkWish::now : MarkWish::in_time;
}

bool is_loss_unanswered(const State& state, std::uint32_t row) noexcept {
    const RowControl control = state.rows[row].control.read();
    if ((control.set & kHasValueLimits) == 0 || control.state >= on_loss(state)) return false;
    const RowValue value = state.rows_risk[row].value.read();
    return loss_breach(state.rows_risk[row].limits.read(), pnl_of(value), value.peak).reason != DenyReason::none;
}

RowNow read_row(const State& state, std::uint32_t row) noexcept {
    RowNow now{};
    now.control = state.rows[row].control.read();
    now.counters = state.rows[row].counters.read();
    if ((now.control.set & kHasValueLimits) == 0) return now;
    now.value = state.rows_risk[row].value.read();
    now.limits = state.rows_risk[row].limits.read();
    now.day = state.rows_cold[row].day.read();
    return now;
}

Use use_of(const State& state, std::uint32_t row, const RowNow& now, std::size_t limit) noexcept {
    const RowControl& l = now.control;
    const RowCounters& c = now.counters;
    switch (limit) {
        case 2:
        case 3: {
            const std::int64_t bound = limit == 2 ? l.max_long : l.max_short;
            const bool bounded = bound != kUnlimited && bound != 0;
            return use(limit, Unit::quantity, bounded ? worst_of_instruments(state, row, c, limit == 2) : 0, bound);
        }
        case 5: return count(limit, std::uint64_t{c.working_buy} + c.working_sell, l.max_working_orders);
        case 6: return count(limit, c.working_buy, l.max_working_buy);
        case 7: return count(limit, c.working_sell, l.max_working_sell);
        default: break;
    }
    const bool bounded = limit == 4 || (l.set & kHasValueLimits) != 0;
    if (!bounded) return use(limit, Unit::money, 0, kUnlimited);
    return use(limit, Unit::money, amount_used(state, amounts_of(now), limit), bound_of(now, limit));
}

std::uint8_t level_of(const Use& use, std::uint8_t previous) noexcept {
    if (use.bound <= 0) return 0;
    const Int128 used = Int128{use.observed} * 100;
    std::uint8_t level = 0;
    for (std::size_t k = 0; k < kLevels.size(); ++k) {
        const bool entered = used >= kLevels[k].entered_at * use.bound;
        const bool kept = k < previous && used > kLevels[k].left_at * use.bound;
        if (entered || kept) level = static_cast<std::uint8_t>(k + 1);
    }
    return level;
}

}  // namespace riskreg::core
