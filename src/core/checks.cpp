// The checks that new orders and amends share, in the order of their reasons (semantics.md 2).
#include "core/decide_common.hpp"
#include "core/overlay.hpp"
#include "core/unmarked.hpp"
#include "core/value.hpp"
#include "core/watch.hpp"

namespace riskreg::core {

using namespace layout;
using base::Int128;

namespace {

constexpr RowCounters kNoCounters{};
constexpr RowControl kNoControl = control_of(Limits{});
constexpr RowRiskLimits kNoRiskLimits = risk_limits_of(Limits{});

constexpr bool exceeds(Int128 observed, std::int64_t limit) noexcept { return limit != kUnlimited && observed > limit; }
constexpr bool exceeds(std::int64_t observed, std::int64_t limit) noexcept {
    return observed > limit;   // never kUnlimited, the largest there is
}

/// a + b + c > limit, in 64 bits where they do; a sum beyond 64 bits is decided by its sign.
bool sum_exceeds(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t limit) noexcept {
    std::int64_t sum = 0;
    const bool beyond = __builtin_add_overflow(a, b, &sum) || __builtin_add_overflow(sum, c, &sum);
    if (beyond) [[unlikely]]
        return exceeds(static_cast<Int128>(a) + b + c, limit);
    return sum > limit;   // never with kUnlimited, the largest there is
}

/// Position if every working order of this side fills, and `quantity` more.
Int128 worst_case(const RowCounters& counters, Side side, std::int64_t quantity) noexcept {
    return quantity + (side == Side::buy ? worst_long_of<Int128>(counters.position, counters.open_buy_quantity)
                                         : worst_short_of<Int128>(counters.position, counters.open_sell_quantity));
}

bool on_grid(std::int64_t price, std::int64_t tick) noexcept { return price % tick == 0; }

bool deny_quantity(const State& state, const PricedOrder& order, Decision& out) noexcept {
    const InstrumentRecord& i = state.instrument_records[order.instrument];
    const auto refuse = [&](std::int64_t limit) {
        return deny(state, DenyReason::invalid_quantity, {kNoSlot, order.quantity, limit, Unit::quantity}, out), true;
    };
    if (order.quantity <= 0) return refuse(i.min_quantity);
    if (order.quantity % i.lot != 0) return refuse(i.lot);
    if (order.quantity < i.min_quantity) return refuse(i.min_quantity);
    return order.quantity > i.max_quantity && refuse(i.max_quantity);
}

bool deny_price(const State& state, const PricedOrder& order, Prices prices, Decision& out) noexcept {
    const InstrumentRecord& i = state.instrument_records[order.instrument];
    const std::int64_t tick = i.tick;
    const auto is_legal = [&](std::int64_t price) {
        return on_grid(price, tick) && !(prices == Prices::are_new && forbids_price(i, price));
    };
    const auto refuse = [&](std::int64_t seen) {
        return deny(state, DenyReason::invalid_price, {kNoSlot, seen, tick, Unit::price}, out), true;
    };
    if (order.has_price != needs_price(order.type) && (needs_price(order.type) || !may_have_price(order.type)))
        return deny(state, DenyReason::invalid_price, out), true;
    if (order.has_stop_price != needs_stop_price(order.type)) return deny(state, DenyReason::invalid_price, out), true;
    if (needs_price(order.type) && !is_legal(order.price)) return refuse(order.price);
    return order.has_stop_price && !is_legal(order.stop_price) && refuse(order.stop_price);
}

/// Refuses a price outside the band around the reference.
bool deny_collar(const State& state, const PricedOrder& order, std::int64_t reference, Decision& out) noexcept {
    const InstrumentRecord& i = state.instrument_records[order.instrument];
    if (i.collar_bps == 0 && i.collar_ticks == 0) return false;
    const Int128 ticks = static_cast<Int128>(i.collar_ticks) * i.tick;
    const Int128 band = std::max<Int128>(ticks, base::fraction_bps(reference, i.collar_bps));
    const Int128 high = static_cast<Int128>(reference) + band;
    const Int128 low = static_cast<Int128>(reference) - band;
    const auto outside = [&](std::int64_t price, bool above, bool below) {
        const bool too_high = above && price > high;
        if (!too_high && !(below && price < low)) return false;
        const Compared compared{kNoSlot, price, base::narrowed(too_high ? high : low), Unit::price};
        return deny(state, DenyReason::price_collar, compared, out), true;
    };
    const bool two_sided = i.collar_two_sided != 0;
    if (order.has_stop_price && outside(order.stop_price, true, true)) return true;
    return needs_price(order.type) &&
           outside(order.price, two_sided || order.side == Side::buy, two_sided || order.side == Side::sell);
}

/// The limit bounds what one unit can cost: of a purchase, while prices are not below zero. Enough where the operator said so
/// (`reserve_price: limit`), and where a rebuild has left nothing else.
bool is_bounded_by_limit(const State& state, Side side, std::int64_t limit, const Reference& reference) noexcept {
    if (side != Side::buy || limit < 0) return false;
    return reference.has_price ? state.has_setting(kReserveAtLimit) && reference.price >= 0 : true;
}

/// The price that an order of this type reserves at (semantics.md 3); nullopt on overflow.
std::optional<std::int64_t> reserve_price(const State& state, const PricedOrder& order, const Reference& reference) noexcept {
    const InstrumentRecord& i = state.instrument_records[order.instrument];
    if (needs_price(order.type)) return limit_reserve_price(state, order.side, order.price, reference);
    std::int64_t basis = reference.price;
    if (order.type == OrderType::stop && base::magnitude(order.stop_price) > base::magnitude(basis)) basis = order.stop_price;
    return base::with_slippage(basis, i.market_slippage_bps);
}

}  // namespace

std::optional<std::int64_t> limit_reserve_price(const State& state, Side side, std::int64_t limit,
                                                const Reference& reference) noexcept {
    const bool alone = !reference.has_price || is_bounded_by_limit(state, side, limit, reference);
    const std::int64_t other = alone ? limit : reference.price;
    if (limit == base::kMinInt64 || other == base::kMinInt64) return std::nullopt;
    return std::max(limit < 0 ? -limit : limit, other < 0 ? -other : other);
}

namespace {

/// Prices are no events: after a rebuild a cell is empty. That one was given is known by the event of its owner, and by the mark
/// how high it was.
[[gnu::noinline]] void recall_reference(const State& state, std::uint32_t instrument, Reference& reference) noexcept {
    reference.known = true;
    const RowValue value = state.rows_risk[state.geometry.instrument_row(instrument)].value.read();
    if ((value.flags & kMarked) == 0) return;
    reference.has_price = true;
    reference.price = value.mark;
}

/// Without reading the record: one look, for instruments that never had a price.
bool was_ever_owned(const ReferenceCell& cell) noexcept {
    return std::max(load_relaxed(cell.owner.copy[0].seq), load_relaxed(cell.owner.copy[1].seq)) > kGenesis;
}

}  // namespace

Reference reference_of(const State& state, std::uint32_t instrument, std::int64_t steady_ns) noexcept {
    const ReferencePrice cell = state.references[instrument].price.read();
    Reference reference;
    reference.known = reference.in_cell = reference.has_price = cell.seq > kGenesis;
    reference.price = cell.price;
    if (__builtin_sub_overflow(steady_ns, cell.steady_ns, &reference.age_ns)) [[unlikely]]
        reference.age_ns = steady_ns < cell.steady_ns ? 0 : base::kMaxInt64;
    reference.age_ns = std::max<std::int64_t>(reference.age_ns, 0);
    const std::int64_t max_age_ns = 1'000'000LL * state.instrument_records[instrument].reference_max_age_ms;
    reference.fresh = reference.known && reference.age_ns <= max_age_ns;
    if (!reference.known && was_ever_owned(state.references[instrument])) [[unlikely]]
        recall_reference(state, instrument, reference);
    return reference;
}

void load_rows(const State& state, const RowSet& rows, const BatchOverlay* overlay, RowsNow& now) noexcept {
    now.rows = rows;
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        const bool known = rows[k] != kNoSlot;
        now.counters[k] = known ? &state.rows[rows[k]].counters.newest() : &kNoCounters;
        now.control[k] = known ? &state.rows[rows[k]].control.newest() : &kNoControl;
        if (overlay == nullptr || !known) continue;
        now.with_batch[k] = *now.counters[k];
        overlay->add_to(rows[k], now.with_batch[k]);
        now.counters[k] = &now.with_batch[k];
    }
    now.sum_up();
}

void RowsNow::sum_up() noexcept {
    set = flags = 0;
    unsigned refuses = control[kFirmRow]->flags & kUnreconciled;
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        set |= control[k]->set;
        flags |= control[k]->flags;
        refuses |= static_cast<unsigned>(control[k]->state > TradingState::warn) |
                   static_cast<unsigned>(counters[k]->flags & kRowSaturated);
    }
    state_may_refuse = refuses != 0;
}

bool is_reducing(const RowCounters& counters, Side side, std::int64_t quantity) noexcept {
    return worst_case(counters, side, quantity) <= 0;
}

namespace {

DenyReason reason_of(Severity severity) noexcept {
    switch (severity) {
        case Severity::halted: return DenyReason::halted;
        case Severity::cancel_only: return DenyReason::cancel_only;
        case Severity::reducing_only: return DenyReason::reducing_only;
        default: return DenyReason::unreconciled;
    }
}

}  // namespace

bool deny_state(const State& state, const RowsNow& now, Intent intent, Side side, std::int64_t quantity,
                Decision& out) noexcept {
    if (!now.state_may_refuse) [[likely]]
        return false;
    Severity worst = Severity::active;
    std::uint32_t row = kNoSlot;
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        const Severity severity = severity_of(*now.control[k], *now.counters[k]);
        if (severity <= std::max(worst, Severity::warn)) continue;
        const bool of_strategy = k == kStrategyRow || k == kStrategyInstrumentRow;
        const RowCounters& judge = *now.counters[of_strategy ? kStrategyInstrumentRow : kAccountInstrumentRow];
        const bool down = intent == Intent::amend_down;
        const bool reduces = down || (intent == Intent::new_order && is_reducing(judge, side, quantity));
        const bool passes = severity == Severity::halted ? false : severity == Severity::cancel_only ? down : reduces;
        if (!passes) worst = severity, row = now.rows[k];
    }
    if (row == kNoSlot) return false;
    deny(state, reason_of(worst), {row, 0, 0, Unit::none}, out);
    return true;
}

bool deny_log_room(const State& state, const RowsNow& now, Intent intent, Side side, std::int64_t quantity,
                   Decision& out) noexcept {
    if (!is_braked(state)) [[likely]]
        return false;
    const bool reducing = intent == Intent::new_order && is_reducing(*now.counters[kAccountInstrumentRow], side, quantity);
    if (reducing || intent == Intent::amend_down) return false;
    if (roll_phase(state) >= RollPhase::draining) return deny(state, DenyReason::draining, out), true;
    if (!log_is_tight(state)) return false;
    const std::uint64_t ring = state.geometry.ring_events;
    const std::uint64_t used = backlog(state);
    const bool down = used >= ring && load_relaxed(state.host->fault) != static_cast<std::uint64_t>(Fault::none);
    const Compared compared{kNoSlot, static_cast<std::int64_t>(used), static_cast<std::int64_t>(ring / 4 * 3), Unit::slots};
    return deny(state, down ? DenyReason::journal_down : DenyReason::journal_backlog, compared, out), true;
}

bool deny_shape(const State& state, const PricedOrder& order, Prices prices, Decision& out) noexcept {
    if (!is_sound(state.instrument_records[order.instrument])) [[unlikely]]
        return deny(state, DenyReason::poisoned, out), true;
    return deny_quantity(state, order, out) || deny_price(state, order, prices, out);
}

bool deny_reference(const State& state, const PricedOrder& order, std::int64_t now_ns, std::int64_t& reserved_price,
                    Decision& out) noexcept {
    const InstrumentRecord& i = state.instrument_records[order.instrument];
    const Reference reference = reference_of(state, order.instrument, now_ns);
    if (!reference.fresh) {
        const bool collared = i.collar_bps != 0 || i.collar_ticks != 0;
        // What cannot be judged is refused (INV-12): the exception must be configured.
        const bool may_do_without = needs_price(order.type) && !collared && state.has_setting(kAllowLimitWithoutReference);
        if (!may_do_without) {
            const DenyReason reason = reference.known ? DenyReason::reference_price_stale : DenyReason::reference_price_unknown;
            return deny(state, reason, out), true;
        }
    } else if (deny_collar(state, order, reference.price, out)) {
        return true;
    }
    const bool by_limit = needs_price(order.type);
    // It was given once, and nothing says how high: by its limit alone this one would reserve too little.
    if (by_limit && reference.known && !reference.has_price && !is_bounded_by_limit(state, order.side, order.price, reference))
        return deny(state, DenyReason::reference_price_stale, out), true;
    const auto price = reserve_price(state, order, reference);
    if (!price) return deny(state, DenyReason::arithmetic_overflow, out), true;
    // Without a limit of its own an order at a reference price of 0 would reserve nothing.
    if (!by_limit && *price == 0) [[unlikely]]
        return deny(state, DenyReason::reference_price_unknown, {kNoSlot, 0, 0, Unit::price}, out), true;
    reserved_price = *price;
    return false;
}

bool deny_unpriced(const State& state, const PricedOrder& order, std::int64_t now_ns, std::int64_t& reserved_price,
                   Decision& out) noexcept {
    const Reference reference = reference_of(state, order.instrument, now_ns);
    const bool needs_reference = !needs_price(order.type) && !order.has_stop_price;
    if (needs_reference && !reference.has_price) return deny(state, DenyReason::reference_price_unknown, out), true;
    const auto price = reserve_price(state, order, reference);
    if (!price) return deny(state, DenyReason::arithmetic_overflow, out), true;
    reserved_price = *price;
    return false;
}

namespace {

/// Made once for each of the two, so that no field is chosen at run time.
template <LimitId id>
inline bool deny_order_by(const State& state, const RowsNow& now, std::int64_t observed, Decision& out) noexcept {
    constexpr const Limit& limit = limit_of(id);
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        const std::int64_t bound = now.control[k]->*limit.kept.amount;
        if (exceeds(observed, bound)) [[unlikely]]
            return deny(state, limit.reason, {now.rows[k], observed, bound, limit.unit}, out), true;
    }
    return false;
}

}  // namespace

bool deny_single_order(const State& state, const RowsNow& now, const Growth& growth, bool breaks, Decision& out) noexcept {
    if (growth.order_quantity > 0 && state.has_setting(kRequireLimits)) {
        const unsigned set = now.control[0]->set | now.control[1]->set | now.control[3]->set | now.control[4]->set;
        const unsigned needed = kSetMaxOrderQuantity | (growth.side == Side::buy ? kSetMaxLong : kSetMaxShort);
        if ((set & needed) != needed)
            return deny(state, DenyReason::no_limit_set, {now.rows[kAccountInstrumentRow], 0, 0, Unit::none}, out), true;
    }
    if (!breaks) [[likely]]
        return false;
    return deny_order_by<LimitId::max_order_quantity>(state, now, growth.order_quantity, out) ||
           deny_order_by<LimitId::max_order_notional>(state, now, growth.order_notional, out);
}

namespace {

/// What growing an order would break on one row: the bits of limits, and two that are none.
constexpr unsigned bit_of(LimitId limit) noexcept { return 1U << index_of(limit); }
constexpr unsigned kOverflow = 1U << 30, kMarkUnknown = 1U << 31;
static_assert(kLimits.size() <= 30);

constexpr LimitId working_limit(bool buy) noexcept { return buy ? LimitId::max_working_buy : LimitId::max_working_sell; }
constexpr LimitId quantity_limit(bool buy) noexcept { return buy ? LimitId::max_long : LimitId::max_short; }

/// Tells `found` of every limit of row k whether growing the order breaks it. Without branches: six rows are judged for every
/// order, and almost always nothing is broken. Made once for each side, so that no field is chosen at run time.
template <bool kBuy, class Found>
inline void judge_row(const RowsNow& now, std::size_t k, const Growth& growth, Found found) noexcept {
    const RowCounters& c = *now.counters[k];
    const RowCounters& q = *now.counters[kQuantityRow[k]];
    const RowControl& l = *now.control[k];
    const std::uint64_t side_count = static_cast<std::uint64_t>(kBuy ? c.working_buy : c.working_sell) + growth.orders;
    const std::uint64_t count = static_cast<std::uint64_t>(c.working_buy) + c.working_sell + growth.orders;
    const std::uint32_t side_limit = kBuy ? l.max_working_buy : l.max_working_sell;
    const std::int64_t position = kBuy ? q.position : -std::max(q.position, -base::kMaxInt64);
    const std::int64_t open = kBuy ? c.open_buy_quantity : c.open_sell_quantity;
    const std::int64_t open_notional = kBuy ? c.open_buy_notional : c.open_sell_notional;
    const bool is_new = growth.orders > 0;
    std::int64_t ignored = 0;
    found(growth.order_quantity > l.max_order_quantity, bit_of(LimitId::max_order_quantity));
    found(growth.order_notional > l.max_order_notional, bit_of(LimitId::max_order_notional));
    // There are fewer slots than kUnlimitedCount, so no count of orders is above that.
    found(is_new & (count > l.max_working_orders), bit_of(LimitId::max_working_orders));
    found(is_new & (side_count > side_limit), bit_of(working_limit(kBuy)));
    found((growth.quantity > 0) & sum_exceeds(position, kBuy ? q.open_buy_quantity : q.open_sell_quantity, growth.quantity,
                                              kBuy ? l.max_long : l.max_short),
          bit_of(quantity_limit(kBuy)));
    found((growth.notional > 0) & sum_exceeds(c.open_buy_notional, c.open_sell_notional, growth.notional, l.max_open_notional),
          bit_of(LimitId::max_open_notional));
    found(__builtin_add_overflow(open, growth.quantity, &ignored), kOverflow);
    found(__builtin_add_overflow(open_notional, growth.notional, &ignored), kOverflow);
}

/// A function of its own, and a loop: decide_register has no register left for this, and what is spilled costs more than
/// a call and six turns (measured, bench/README.md).
template <bool kBuy>
[[gnu::noinline]] bool breaks_any_of_side(const RowsNow& now, const Growth& growth) noexcept {
    unsigned any = 0;
#pragma GCC unroll 1
    for (std::size_t k = 0; k < kRowsPerOrder; ++k)
        judge_row<kBuy>(now, k, growth, [&](bool broken, unsigned) { any |= static_cast<unsigned>(broken); });
    return any != 0;
}

unsigned breaches(const RowsNow& now, std::size_t k, const Growth& growth) noexcept {
    unsigned bits = 0;
    const auto found = [&](bool broken, unsigned what) { bits |= broken ? what : 0U; };
    growth.side == Side::buy ? judge_row<true>(now, k, growth, found) : judge_row<false>(now, k, growth, found);
    return bits;
}

}  // namespace

bool breaks_any(const RowsNow& now, const Growth& growth) noexcept {
    return growth.side == Side::buy ? breaks_any_of_side<true>(now, growth) : breaks_any_of_side<false>(now, growth);
}

namespace {

/// Sections 6 and 7 let reducing orders pass: judged on the row whose quantity the limit is held against. What an account
/// reduces may well increase the firm (faults-2.md A6).
bool passes_as_reducing(const RowsNow& now, std::size_t k, const Growth& growth) noexcept {
    return is_reducing(*now.counters[kQuantityRow[k]], growth.side, growth.quantity);
}

/// What the limits on values of one row are held against.
struct RowWorth {
    const RowCounters& counters;
    const RowValue& value;
    const RowRiskLimits& limits;
    const RowDay& day;
    std::int64_t gross_growth;  // by the worst-case method
    std::int64_t gross_in_batch;
};

inline RowWorth worth_of(const State& state, const RowsNow& now, std::size_t k, const Growth& growth,
                         const BatchOverlay* overlay, const RowValue& value) noexcept {
    const std::uint32_t row = now.rows[k];
    return {*now.counters[k],
            value,
            state.rows_risk[row].limits.newest(),
            state.rows_cold[row].day.newest(),
            growth.values.gross[k % kPairs],
            overlay == nullptr ? 0 : overlay->gross_on(row)};
}

/// Whether sums of these amounts stay in 64 bits: each is so small that there may be eight of them.
template <class... Amount>
bool all_small(Amount... amounts) noexcept {
    constexpr unsigned kBits = 59;
    return (((static_cast<std::uint64_t>(amounts) + (1ULL << kBits)) | ...) >> (kBits + 1)) == 0;
}
bool sums_stay_narrow(const RowWorth& row, const Growth& growth) noexcept {
    return all_small(row.counters.open_buy_notional, row.counters.open_sell_notional, growth.notional, row.value.gross_value,
                     row.value.net_value, row.gross_growth, row.gross_in_batch, row.day.bought_notional, row.day.sold_notional);
}

template <class Amount>
inline Holdings<Amount> grown(Holdings<Amount> h, const RowWorth& row, const Growth& growth) noexcept {
    h.buys += growth.side == Side::buy ? growth.notional : 0;
    h.sells += growth.side == Side::buy ? 0 : growth.notional;
    if (h.worst_case) h.gross += Amount{row.gross_growth} + row.gross_in_batch;
    return h;
}

/// Tells `found` of every limit on values of a row whether growing the order breaks it; only for what increases risk. In 64 bits
/// where sums stay in these, which is nearly always, else in 128.
template <class Amount, class Found>
inline void judge_values(const RowWorth& row, const Growth& growth, bool worst_case, bool no_price, Found found) noexcept {
    const RowRiskLimits& l = row.limits;
    const Holdings<Amount> before = holdings_of<Amount>(row.counters, row.value, row.day, worst_case);
    const Holdings<Amount> after = grown(before, row, growth);
    const Amount net = net_use(after), net_before = net_use(before);
    const bool grows = growth.notional > 0;
    const bool gross_grows = worst_case ? row.gross_growth > 0 || no_price : grows;
    const bool adds_risk = grows | (growth.quantity > 0);
    const std::int64_t pnl = pnl_of(row.value);
    const bool saturated = ((row.value.flags & kValueSaturated) | (row.day.flags & kRowSaturated)) != 0;
    const bool unpriced = no_price && l.max_gross_notional != kUnlimited;
    found(gross_grows & (unpriced | exceeds(gross_use(after), l.max_gross_notional)), bit_of(LimitId::max_gross_notional));
    // Of both sides: the number that the limit is held against (world.md 13).
    found(grows & exceeds(net, l.max_net_notional) & (net > net_before), bit_of(LimitId::max_net_notional));
    found(grows & (growth.side == Side::buy) & exceeds(cash_use(after), l.cash_limit), bit_of(LimitId::cash_limit));
    found(grows & exceeds(traded_use(after), l.max_traded_notional), bit_of(LimitId::max_traded_notional));
    found(adds_risk & loses_too_much(l, pnl), bit_of(LimitId::daily_loss));
    found(adds_risk & falls_too_far(l, pnl, row.value.peak), bit_of(LimitId::drawdown));
    found(adds_risk & (saturated | (row.gross_growth == kNoFit)), kOverflow);
}

bool has_value_limits(const RowsNow& now, std::size_t k) noexcept {
    return now.rows[k] != kNoSlot && (now.control[k]->set & kHasValueLimits) != 0;
}

/// Whether growing the order may break any limit on values: a function of its own, like breaks_any_of_side. What does not fit
/// 64 bits, or is held against a worst case, is left to `value_breaches`.
[[gnu::noinline]] bool may_break_values(const State& state, const RowsNow& now, const Growth& growth,
                                        const BatchOverlay* overlay) noexcept {
    if (state.has_setting(kGrossWorstCase)) return true;
    unsigned any = 0;
#pragma GCC unroll 1
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        if (!has_value_limits(now, k)) continue;
        const RowWorth row = worth_of(state, now, k, growth, overlay, state.rows_risk[now.rows[k]].value.newest());
        if (!sums_stay_narrow(row, growth)) [[unlikely]]
            return true;
        judge_values<std::int64_t>(row, growth, false, false,
                                   [&](bool broken, unsigned) { any |= static_cast<unsigned>(broken); });
    }
    return any != 0;
}

/// The value of row k, as if it and those below it had been marked now where `unmarked` is given.
RowValue value_now(const State& state, const RowsNow& now, std::size_t k, const Unmarked* unmarked) noexcept {
    RowValue value = state.rows_risk[now.rows[k]].value.newest();
    if (unmarked == nullptr) return value;
    value.gross_value = base::narrowed(value.gross_value + unmarked->gross[k]);
    value.net_value = base::narrowed(value.net_value + unmarked->net[k]);
    return value;
}

RowWorth worth_now(RowWorth row, std::size_t k, const Unmarked* unmarked) noexcept {
    if (unmarked != nullptr && unmarked->growth[k % kPairs]) row.gross_growth = *unmarked->growth[k % kPairs];
    return row;
}

/// The bits of row k.
unsigned value_breaches(const State& state, const RowsNow& now, std::size_t k, const Growth& growth,
                        const BatchOverlay* overlay, const Unmarked* unmarked) noexcept {
    if (!has_value_limits(now, k)) return 0;
    const RowValue value = value_now(state, now, k, unmarked);
    const RowWorth row = worth_now(worth_of(state, now, k, growth, overlay, value), k, unmarked);
    const bool worst_case = state.has_setting(kGrossWorstCase);
    const bool no_price = worst_case && growth.is_unpriced(k) && growth.quantity > 0;
    unsigned bits = 0;
    judge_values<Int128>(row, growth, worst_case, no_price, [&](bool broken, unsigned what) { bits |= broken ? what : 0U; });
    const bool unknown = unmarked != nullptr && unmarked->unknown[k] && rests_on_marks(row.limits);
    if (unknown && (growth.notional > 0 || growth.quantity > 0)) bits |= kMarkUnknown;
    return bits;
}

/// What growing an order would break, row by row, and what that rests on.
struct Breaches {
    const State& state;
    const RowsNow& now;
    const Growth& growth;
    const BatchOverlay* overlay;
    const Unmarked* unmarked;
    std::array<unsigned, kRowsPerOrder> broken;
};

/// Row k after the order has grown: what a refusal shows.
inline Holdings<Int128> counters_after(const Breaches& b, std::size_t k) noexcept {
    const bool buy = b.growth.side == Side::buy;
    const RowCounters& q = *b.now.counters[kQuantityRow[k]];
    Holdings<Int128> h = holdings_of<Int128>(*b.now.counters[k], RowValue{}, RowDay{}, false);
    h.buys += buy ? b.growth.notional : 0;
    h.sells += buy ? 0 : b.growth.notional;
    h.working_buy += buy ? b.growth.orders : 0;
    h.working_sell += buy ? 0 : b.growth.orders;
    h.worst_long = worst_case(q, Side::buy, buy ? b.growth.quantity : 0);
    h.worst_short = worst_case(q, Side::sell, buy ? 0 : b.growth.quantity);
    return h;
}
[[gnu::noinline]] Holdings<Int128> values_after(const Breaches& b, std::size_t k) noexcept {
    const RowValue value = value_now(b.state, b.now, k, b.unmarked);
    const RowWorth row = worth_now(worth_of(b.state, b.now, k, b.growth, b.overlay, value), k, b.unmarked);
    const Holdings<Int128> before = holdings_of<Int128>(row.counters, value, row.day, b.state.has_setting(kGrossWorstCase));
    Holdings<Int128> h = grown(before, row, b.growth);
    h.pnl = pnl_of(value);
    h.peak = value.peak;
    return h;
}

/// Made for each limit, so that only what its formula reads is put together: refusals are written under the lock, too.
template <LimitId id>
bool deny_by(const Breaches& b, std::size_t k, Decision& out) noexcept {
    constexpr const Limit& limit = limit_of(id);
    constexpr bool of_values = limit.kind == kHasValueLimits;
    const bool unpriced = id == LimitId::max_gross_notional && b.growth.is_unpriced(k) && b.state.has_setting(kGrossWorstCase);
    if (unpriced) return deny(b.state, DenyReason::reference_price_unknown, out), true;
    const Int128 used = *use_of(id, of_values ? values_after(b, k) : counters_after(b, k));
    const RowRiskLimits& risk = of_values ? b.state.rows_risk[b.now.rows[k]].limits.newest() : kNoRiskLimits;
    deny(b.state, limit.reason, {b.now.rows[k], base::narrowed(used), bound_of(limit, *b.now.control[k], risk), limit.unit},
         out);
    return true;
}

template <LimitId id>
bool breaks(const Breaches& b, std::size_t k) noexcept {
    return (b.broken[k] & bit_of(id)) != 0;
}

/// The first row that breaks this limit of exposure. The net number says by itself whether the order reduces it.
template <LimitId id>
bool deny_first(const Breaches& b, Decision& out) noexcept {
    for (std::size_t k = 0; k < kRowsPerOrder; ++k)
        if (breaks<id>(b, k) && (id == LimitId::max_net_notional || !passes_as_reducing(b.now, k, b.growth)))
            return deny_by<id>(b, k, out);
    return false;
}

/// Limits of one reason, so row by row.
bool deny_working(const Breaches& b, Decision& out) noexcept {
    using enum LimitId;
    constexpr unsigned counts = bit_of(max_working_orders) | bit_of(max_working_buy) | bit_of(max_working_sell);
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        if ((b.broken[k] & counts) == 0) continue;
        if (breaks<max_working_orders>(b, k)) return deny_by<max_working_orders>(b, k, out);
        return breaks<max_working_buy>(b, k) ? deny_by<max_working_buy>(b, k, out) : deny_by<max_working_sell>(b, k, out);
    }
    return false;
}

/// The first broken check, reason by reason and in each reason scope by scope.
bool deny_first_breach(const Breaches& b, Decision& out) noexcept {
    using enum LimitId;
    if (deny_working(b, out) || deny_first<max_long>(b, out) || deny_first<max_short>(b, out)) return true;
    if (deny_first<max_open_notional>(b, out) || deny_first<max_gross_notional>(b, out)) return true;
    if (deny_first<max_net_notional>(b, out) || deny_first<cash_limit>(b, out)) return true;
    if (deny_first<max_traded_notional>(b, out) || deny_first<daily_loss>(b, out) || deny_first<drawdown>(b, out)) return true;
    const auto& [state, now, growth, overlay, unmarked, broken] = b;
    for (std::size_t k = 0; k < kRowsPerOrder; ++k)
        if ((broken[k] & kMarkUnknown) != 0 && !passes_as_reducing(now, k, growth))
            return deny(state, DenyReason::reference_price_stale, {now.rows[k], 0, 0, Unit::none}, out), true;
    for (std::size_t k = 0; k < kRowsPerOrder; ++k)
        if ((broken[k] & kOverflow) != 0)
            return deny(state, DenyReason::arithmetic_overflow, {now.rows[k], 0, 0, Unit::none}, out), true;
    return false;
}

}  // namespace

bool deny_overflow(const State& state, const RowsNow& now, const Growth& growth, Decision& out) noexcept {
    for (std::size_t k = 0; k < kRowsPerOrder; ++k)
        if ((breaches(now, k, growth) & kOverflow) != 0)
            return deny(state, DenyReason::arithmetic_overflow, {now.rows[k], 0, 0, Unit::none}, out), true;
    return false;
}

namespace {

bool deny_by_rows(const State& state, const RowsNow& now, const Growth& growth, bool breaks, bool value_breaks,
                  const BatchOverlay* overlay, const Unmarked* unmarked, Decision& out) noexcept {
    Breaches found{state, now, growth, overlay, unmarked, {}};
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        if (breaks) found.broken[k] |= breaches(now, k, growth);
        if (value_breaks) found.broken[k] |= value_breaches(state, now, k, growth, overlay, unmarked);
    }
    return deny_first_breach(found, out);
}

/// Nobody looks after marks: what limits rest on is worked out here.
[[gnu::noinline]] bool deny_unmarked(const State& state, const RowsNow& now, std::uint32_t instrument, const Growth& growth,
                                     bool breaks, const BatchOverlay* overlay, std::int64_t steady_ns, Decision& out) noexcept {
    const Unmarked unmarked = value_unmarked(state, now, instrument, growth, overlay, steady_ns);
    return deny_by_rows(state, now, growth, breaks, true, overlay, &unmarked, out);
}

}  // namespace

/// Under the lock every row is what all processes have working, so what passes here never exceeds a limit (INV-7).
bool deny_exposure(const State& state, const RowsNow& now, std::uint32_t instrument, const Growth& growth, bool breaks,
                   const BatchOverlay* overlay, std::int64_t steady_ns, Decision& out) noexcept {
    const bool has_values = (now.set & kHasValueLimits) != 0;
    if (has_values && marks_are_behind(state, steady_ns)) [[unlikely]]
        return deny_unmarked(state, now, instrument, growth, breaks, overlay, steady_ns, out);
    const bool value_breaks = has_values && may_break_values(state, now, growth, overlay);
    if (!breaks && !value_breaks) [[likely]]
        return false;
    return deny_by_rows(state, now, growth, breaks, value_breaks, overlay, nullptr, out);
}

bool deny_restricted(const State& state, const RowsNow& now, Side side, const Caller& caller, Decision& out) noexcept {
    if ((now.flags & kRestricted) == 0) [[likely]]
        return false;
    const std::int64_t now_ns = event_times(state, caller).time_ns;
    const unsigned wanted = side == Side::buy ? kRestrictBuy : side == Side::sell ? kRestrictSell : 0;
    std::size_t first = kRowsPerOrder;
    for (std::uint32_t i = 0; i < state.geometry.restrictions; ++i) {
        const RestrictionRecord& entry = state.restrictions[i].state.newest();
        // Entries are taken in order: behind one that was never used there is none.
        if (entry.seq == kGenesis && entry.sides == 0) break;
        if ((entry.sides & wanted) == 0 || now_ns < entry.from_ns || now_ns >= entry.to_ns) continue;
        for (std::size_t k = 0; k < first; ++k)
            if (now.rows[k] == entry.row) first = k;
    }
    if (first == kRowsPerOrder) return false;
    return deny(state, DenyReason::restricted, {now.rows[first], 0, 0, Unit::none}, out), true;
}

bool deny_short_sale(const State& state, const RowsNow& now, std::uint32_t instrument, Side side, std::int64_t quantity,
                     Decision& out) noexcept {
    if (state.instrument_records[instrument].short_forbidden == 0) [[likely]]
        return false;
    if (side != Side::sell) return false;
    const Int128 worst = worst_case(*now.counters[kAccountInstrumentRow], side, quantity);
    if (worst <= 0) return false;
    const Compared compared{now.rows[kAccountInstrumentRow], base::narrowed(worst), 0, Unit::quantity};
    return deny(state, DenyReason::short_not_allowed, compared, out), true;
}

namespace {

constexpr std::uint64_t but_reserve(std::uint64_t orders) noexcept {
    return orders - std::min<std::uint64_t>(orders / 16, 65536);
}

bool deny_full(const State& state, std::uint64_t used, std::uint64_t limit, Decision& out) noexcept {
    const Compared compared{kNoSlot, static_cast<std::int64_t>(used), static_cast<std::int64_t>(limit), Unit::slots};
    return deny(state, DenyReason::capacity, compared, out), true;
}

}  // namespace

bool leaves_reserves(const State& state, std::uint64_t order_slots) noexcept {
    const Geometry& g = state.geometry;
    return load_relaxed(state.log->next_order) + order_slots <= but_reserve(g.orders) &&
           load_relaxed(state.log->next_execution) <= g.executions * 3ULL / 4 &&
           load_relaxed(state.log->next_quarantine) <= g.quarantine * 3ULL / 4;
}

bool deny_order_slots(const State& state, std::uint64_t order_slots, Room room, Decision& out) noexcept {
    const std::uint64_t limit = room == Room::all ? state.geometry.orders : but_reserve(state.geometry.orders);
    const std::uint64_t orders = load_relaxed(state.log->next_order) + order_slots;
    return orders > limit && deny_full(state, orders, limit, out);
}

bool deny_capacity(const State& state, std::uint64_t order_slots, Room room, Decision& out) noexcept {
    if (deny_order_slots(state, order_slots, room, out)) return true;
    if (room == Room::all) return false;
    // Facts keep a reserve: a quarter of these tables is theirs.
    const auto deny_reserve = [&](std::uint64_t used, std::uint64_t size) {
        return used > size * 3 / 4 && deny_full(state, used, size * 3 / 4, out);
    };
    return deny_reserve(load_relaxed(state.log->next_execution), state.geometry.executions) ||
           deny_reserve(load_relaxed(state.log->next_quarantine), state.geometry.quarantine);
}

void write_denied(const State& state, const Caller& caller, EventType request, const NewOrder& order, Decision& out) noexcept {
    const Verdict& v = out.verdict;
    DeniedEvent event{};
    event.header = header_of(state, EventType::denied, caller);
    event.header.account = order.account;
    event.header.strategy = caller.strategy;
    event.header.instrument = v.scope.instrument != InstrumentId::none ? static_cast<std::uint32_t>(v.scope.instrument)
                              : out.instrument != kNoSlot              ? out.instrument
                                                                       : order.instrument;
    event.header.result = Result::denied;
    event.header.side = order.side;
    event.id = order.id;
    event.observed = v.observed;
    event.limit = v.limit;
    event.price = order.price;
    event.quantity = order.quantity;
    event.reason = v.reason;
    event.unit = v.unit;
    event.scope = v.scope.kind;
    event.request = request;
    event.order_type = order.type;
    event.tif = order.tif;
    event.metered = out.metered;
    out.write(event);
}

}  // namespace riskreg::core
