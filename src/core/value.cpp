#include "core/value.hpp"

#include "core/overlay.hpp"

namespace riskreg::core {

using namespace layout;
using base::Int128;

namespace {

constexpr std::int64_t clamp(Int128 value) noexcept {
    if (value > base::kMaxInt64) return base::kMaxInt64;
    return value < -base::kMaxInt64 ? -base::kMaxInt64 : static_cast<std::int64_t>(value);
}

std::int64_t size_of(Int128 quantity) noexcept { return clamp(quantity < 0 ? -quantity : quantity); }

struct Quantities {
    Int128 position = 0;
    Int128 open_buy = 0;
    Int128 open_sell = 0;
};

Worth worth_of(const State& state, std::uint32_t instrument, std::int64_t mark, const Quantities& q) noexcept {
    const base::NotionalFactor factor = factor_of(state, instrument);
    Int128 exposed = q.position;
    if (state.has_setting(kGrossWorstCase)) exposed = std::max(q.position + q.open_buy, -q.position + q.open_sell);
    if (state.has_setting(kGrossWorstCase))
        exposed = std::max(exposed, std::max(-(q.position + q.open_buy), q.position - q.open_sell));
    Worth worth;
    worth.gross = base::notional(mark, size_of(exposed), factor).value_or(kNoFit);
    worth.net = signed_notional(mark, clamp(q.position), factor);
    return worth;
}

/// after − before, or the mark of a sum that does not fit.
std::int64_t difference(std::int64_t after, std::int64_t before) noexcept {
    std::int64_t delta = 0;
    const bool beyond = base::magnitude(after) == kNoFit || base::magnitude(before) == kNoFit;
    return beyond || __builtin_sub_overflow(after, before, &delta) ? kNoFit : delta;
}

Quantities quantities_of(const RowCounters& c) noexcept { return {c.position, c.open_buy_quantity, c.open_sell_quantity}; }

}  // namespace

std::int64_t signed_notional(std::int64_t price, std::int64_t quantity, const base::NotionalFactor& factor) noexcept {
    const auto size = static_cast<std::int64_t>(std::min<std::uint64_t>(base::magnitude(quantity), base::kMaxInt64));
    const std::int64_t amount = base::notional(price, size, factor).value_or(kNoFit);
    return (price < 0) != (quantity < 0) ? -amount : amount;
}

RowCountersNow counters_of(const State& state, const RowSet& rows) noexcept {
    RowCountersNow counters{};
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) counters[k] = &state.rows[rows[k]].counters.newest();
    return counters;
}

ValueDelta value_delta(const State& state, std::uint32_t instrument, const RowSet& rows, const RowCountersNow& counters,
                       const ValueChange& change) noexcept {
    ValueDelta delta{};
    const bool worst_case = state.has_setting(kGrossWorstCase);
    if (change.position == 0 && !change.price && !(worst_case && change.open_quantity != 0)) return delta;
    for (std::size_t pair = 0; pair < kPairs; ++pair) {
        const std::size_t k = kFirstInstrumentRow + pair;
        const RowValue& value = state.rows_risk[rows[k]].value.newest();
        const bool marked = (value.flags & kMarked) != 0;
        const bool priced = (value.flags & kPriced) != 0;
        // An earlier member of the batch has priced the row already, and is in the counters.
        const bool in_batch = change.overlay != nullptr && change.overlay->orders_on(rows[k]) > 0;
        const bool moves = !marked && change.price && !(in_batch && priced);
        if (!priced && !change.price) continue;
        const std::int64_t mark = moves ? *change.price : value.mark;
        Quantities q = quantities_of(*counters[k]);
        // Without a new price the row is worth what its counters say; with one, what it holds. A batch only has counters.
        const Worth before =
            moves && !in_batch ? Worth{value.gross_value, value.net_value} : worth_of(state, instrument, mark, q);
        q.position += change.position;
        (change.side == Side::buy ? q.open_buy : q.open_sell) += change.open_quantity;
        const Worth after = worth_of(state, instrument, mark, q);
        delta.gross[pair] = difference(after.gross, before.gross);
        delta.net[pair] = difference(after.net, before.net);
    }
    return delta;
}

Worth worth_at(const State& state, std::uint32_t instrument, const RowCounters& counters, std::int64_t mark, Side side,
               std::int64_t more) noexcept {
    Quantities q = quantities_of(counters);
    (side == Side::buy ? q.open_buy : q.open_sell) += more;
    return worth_of(state, instrument, mark, q);
}

Worth mark_delta(const State& state, std::uint32_t instrument, std::uint32_t row, std::int64_t mark) noexcept {
    const RowValue& value = state.rows_risk[row].value.newest();
    const Worth after = worth_of(state, instrument, mark, quantities_of(state.rows[row].counters.newest()));
    return {difference(after.gross, value.gross_value), difference(after.net, value.net_value)};
}

std::int64_t wide_pnl_of(const RowValue& value, std::int64_t cash, std::int64_t net) noexcept {
    return clamp(static_cast<Int128>(value.cash_flow) + cash + value.net_value + net - value.start_value);
}

}  // namespace riskreg::core
