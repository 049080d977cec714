#include "core/watch.hpp"

#include "core/value.hpp"

namespace riskreg::core {

using namespace layout;
using base::Int128;

namespace {

/// A use below zero is none.
std::int64_t observed_of(Int128 value) noexcept { return base::narrowed(std::max<Int128>(value, 0)); }

Int128 worst_quantity(const RowCounters& c, bool is_long) noexcept {
    return is_long ? worst_long_of<Int128>(c.position, c.open_buy_quantity)
                   : worst_short_of<Int128>(c.position, c.open_sell_quantity);
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

namespace {

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
    const Int128 moved = absolute(Int128{reference} - value.mark) * 10'000;
    return moved >= absolute<Int128>(value.mark) * state.header->mark_threshold_bps ? MarkWish::now : MarkWish::in_time;
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

Use use_of(const State& state, std::uint32_t row, const RowNow& now, const Limit& limit) noexcept {
    // The records of values were read only where the row has limits on them.
    const bool was_read = limit.kind != kHasValueLimits || (now.control.set & kHasValueLimits) != 0;
    const std::int64_t bound = was_read ? bound_of(limit, now.control, now.limits) : kUnlimited;
    Holdings<Int128> h = holdings_of<Int128>(now.counters, now.value, now.day, state.has_setting(kGrossWorstCase));
    h.pnl = pnl_of(now.value);
    h.peak = now.value.peak;
    if (is_quantity_limit(limit.id) && bound != kUnlimited && bound != 0) {
        const bool is_long = limit.id == LimitId::max_long;
        (is_long ? h.worst_long : h.worst_short) = worst_of_instruments(state, row, now.counters, is_long);
    }
    const std::optional<Int128> used = was_read ? use_of(limit.id, h) : std::nullopt;
    return {limit.id, limit.unit, observed_of(used.value_or(0)), bound == kUnlimited ? 0 : bound};
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
