#include "core/unmarked.hpp"

#include "core/overlay.hpp"
#include "core/watch.hpp"

namespace riskreg::core {

using namespace layout;
using base::Int128;

namespace {

/// What a host would do about this row at once, or when the interval is over.
bool wants_mark(const State& state, std::uint32_t row, std::int64_t reference) noexcept {
    const MarkWish wish = mark_wish(state, row, reference);
    return wish == MarkWish::now || (wish == MarkWish::in_time && state.header->mark_interval_ms != 0);
}

class Valuation {
public:
    Valuation(const State& state, const RowsNow& now, std::uint32_t instrument, const Growth& growth,
              const BatchOverlay* overlay, std::int64_t steady_ns) noexcept
        : state_(state), now_(now), instrument_(instrument), growth_(growth), overlay_(overlay), steady_ns_(steady_ns) {}

    Unmarked run() noexcept {
        for (std::size_t pair = 0; pair < kPairs; ++pair) {
            const std::size_t own = kFirstInstrumentRow + pair;
            if (is_judged(pair)) value_all(pair);
            else if (is_judged(own)) value_one(pair, instrument_);
        }
        return found_;
    }

private:
    bool is_judged(std::size_t k) const noexcept {
        const std::uint32_t row = now_.rows[k];
        return row != kNoSlot && (now_.control[k]->set & kHasValueLimits) != 0 &&
               rests_on_marks(state_.rows_risk[row].limits.newest());
    }

    /// Rows of one pair lie side by side. Most of them hold nothing, and are passed by at the cost of a look.
    void value_all(std::size_t pair) noexcept {
        const std::uint32_t first = instrument_row_of(state_.geometry, state_.geometry.scope_of(now_.rows[pair]), 0);
        for (std::uint32_t i = 0; i < state_.geometry.instruments; ++i) value_row(pair, first + i, i);
    }

    void value_one(std::size_t pair, std::uint32_t instrument) noexcept {
        value_row(pair, now_.rows[kFirstInstrumentRow + pair], instrument);
    }

    void value_row(std::size_t pair, std::uint32_t row, std::uint32_t instrument) noexcept {
        if (is_exposed(state_, state_.rows[row].counters.newest())) [[unlikely]]
            value_exposed(pair, row, instrument);
    }

    [[gnu::noinline]] void value_exposed(std::size_t pair, std::uint32_t row, std::uint32_t instrument) noexcept {
        const Reference reference = reference_of(state_, instrument, steady_ns_);
        if (!reference.in_cell || !wants_mark(state_, row, reference.price)) return;
        const bool own = instrument == instrument_;
        if (!reference.fresh) {
            found_.unknown[pair] = true;
            if (own) found_.unknown[kFirstInstrumentRow + pair] = true;
            return;
        }
        const Change change = change_of(row, instrument, reference.price);
        add(pair, change);
        if (!own) return;
        add(kFirstInstrumentRow + pair, change);
        if (state_.has_setting(kGrossWorstCase)) found_.growth[pair] = growth_at(pair, reference.price);
    }

    struct Change {
        Int128 gross = 0;
        Int128 net = 0;
    };

    /// Members of a batch are valued at the new mark, too.
    Change change_of(std::uint32_t row, std::uint32_t instrument, std::int64_t mark) const noexcept {
        const RowValue& value = state_.rows_risk[row].value.newest();
        RowCounters counters = state_.rows[row].counters.newest();
        Int128 batched = 0;
        if (overlay_ != nullptr) overlay_->add_to(row, counters), batched = overlay_->gross_on(row);
        const Worth worth = worth_at(state_, instrument, counters, mark);
        return {Int128{worth.gross} - value.gross_value - batched, Int128{worth.net} - value.net_value};
    }

    /// More than any limit where it does not fit; only what the event carries is beyond what can be booked.
    std::int64_t growth_at(std::size_t pair, std::int64_t mark) const noexcept {
        const RowCounters& counters = *now_.counters[kFirstInstrumentRow + pair];
        const Worth before = worth_at(state_, instrument_, counters, mark);
        const Worth after = worth_at(state_, instrument_, counters, mark, growth_.side, growth_.quantity);
        if (growth_.values.gross[pair] == kNoFit) return kNoFit;
        return std::min(after.gross - before.gross, kNoFit - 1);
    }

    void add(std::size_t k, const Change& change) noexcept {
        found_.gross[k] += change.gross;
        found_.net[k] += change.net;
    }

    const State& state_;
    const RowsNow& now_;
    const std::uint32_t instrument_;
    const Growth& growth_;
    const BatchOverlay* overlay_;
    const std::int64_t steady_ns_;
    Unmarked found_;
};

}  // namespace

/// Asked for each row of an order while no host is there: the entries of the table are told apart when this is compiled.
bool rests_on_marks(const RowRiskLimits& limits) noexcept {
    return [&]<std::size_t... i>(std::index_sequence<i...>) {
        return (... || (kLimits[i].is(kRestsOnMarks) && limits.*kLimits[i].kept.risk_amount != kUnlimited));
    }(std::make_index_sequence<kLimits.size()>{});
}

Unmarked value_unmarked(const State& state, const RowsNow& now, std::uint32_t instrument, const Growth& growth,
                        const BatchOverlay* overlay, std::int64_t steady_ns) noexcept {
    return Valuation(state, now, instrument, growth, overlay, steady_ns).run();
}

}  // namespace riskreg::core
