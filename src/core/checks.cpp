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
constexpr RowControl kNoControl = [] {
    RowControl control{};
    control.max_order_quantity = control.max_order_notional = control.max_long = control.max_short = control.max_open_notional =
        kUnlimited;
    control.max_working_orders = control.max_working_buy = control.max_working_sell = kUnlimitedCount;
    return control;
}();

constexpr std::int64_t clamp(Int128 value) noexcept {
    if (value > base::kMaxInt64) return base::kMaxInt64;
    return value < base::kMinInt64 ? base::kMinInt64 : static_cast<std::int64_t>(value);
}

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
    const Int128 position = counters.position;
    return side == Side::buy ? position + counters.open_buy_quantity + quantity
                             : -position + counters.open_sell_quantity + quantity;
}

bool on_grid(std::int64_t price, std::int64_t tick) noexcept { return price % tick == 0; }

bool price_required(OrderType type) noexcept { return type == OrderType::limit || type == OrderType::stop_limit; }
bool price_allowed(OrderType type) noexcept { return type != OrderType::stop; }
bool stop_required(OrderType type) noexcept { return type == OrderType::stop || type == OrderType::stop_limit; }

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
    if (order.has_price != price_required(order.type) && (price_required(order.type) || !price_allowed(order.type)))
        return deny(state, DenyReason::invalid_price, out), true;
    if (order.has_stop_price != stop_required(order.type)) return deny(state, DenyReason::invalid_price, out), true;
    if (price_required(order.type) && !is_legal(order.price)) return refuse(order.price);
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
        const Compared compared{kNoSlot, price, clamp(too_high ? high : low), Unit::price};
        return deny(state, DenyReason::price_collar, compared, out), true;
    };
    const bool two_sided = i.collar_two_sided != 0;
    if (order.has_stop_price && outside(order.stop_price, true, true)) return true;
    return price_required(order.type) &&
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
    if (price_required(order.type)) return limit_reserve_price(state, order.side, order.price, reference);
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
        const bool may_do_without = price_required(order.type) && !collared && state.has_setting(kAllowLimitWithoutReference);
        if (!may_do_without) {
            const DenyReason reason = reference.known ? DenyReason::reference_price_stale : DenyReason::reference_price_unknown;
            return deny(state, reason, out), true;
        }
    } else if (deny_collar(state, order, reference.price, out)) {
        return true;
    }
    const bool by_limit = price_required(order.type);
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
    const bool needs_reference = !price_required(order.type) && !order.has_stop_price;
    if (needs_reference && !reference.has_price) return deny(state, DenyReason::reference_price_unknown, out), true;
    const auto price = reserve_price(state, order, reference);
    if (!price) return deny(state, DenyReason::arithmetic_overflow, out), true;
    reserved_price = *price;
    return false;
}

bool deny_single_order(const State& state, const RowsNow& now, const Growth& growth, bool breaks, Decision& out) noexcept {
    if (growth.order_quantity > 0 && state.has_setting(kRequireLimits)) {
        const unsigned set = now.control[0]->set | now.control[1]->set | now.control[3]->set | now.control[4]->set;
        const unsigned needed = kSetMaxOrderQuantity | (growth.side == Side::buy ? kSetMaxLong : kSetMaxShort);
        if ((set & needed) != needed)
            return deny(state, DenyReason::no_limit_set, {now.rows[kAccountInstrumentRow], 0, 0, Unit::none}, out), true;
    }
    if (!breaks) [[likely]]
        return false;
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        const std::int64_t limit = now.control[k]->max_order_quantity;
        if (exceeds(growth.order_quantity, limit)) [[unlikely]]
            return deny(state, DenyReason::max_order_quantity, {now.rows[k], growth.order_quantity, limit, Unit::quantity},
                        out),
                   true;
    }
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        const std::int64_t limit = now.control[k]->max_order_notional;
        if (exceeds(growth.order_notional, limit)) [[unlikely]]
            return deny(state, DenyReason::max_order_notional, {now.rows[k], growth.order_notional, limit, Unit::money}, out),
                   true;
    }
    return false;
}

namespace {

/// What growing an order would break on one row; one bit for each reason.
// clang-format off
enum Breach : unsigned {
    kTooMany = 1, kTooManyOfSide = 2, kPosition = 4, kOpenNotional = 8, kOverflow = 16,
    kGross = 32, kNet = 64, kCash = 128, kTraded = 256, kDailyLoss = 512, kDrawdown = 1024,
    kOrderQuantity = 2048, kOrderNotional = 4096, kMarkUnknown = 8192,
};
// clang-format on

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
    found(growth.order_quantity > l.max_order_quantity, kOrderQuantity);
    found(growth.order_notional > l.max_order_notional, kOrderNotional);
    // There are fewer slots than kUnlimitedCount, so no count of orders is above that.
    found(is_new & (count > l.max_working_orders), kTooMany);
    found(is_new & (side_count > side_limit), kTooManyOfSide);
    found((growth.quantity > 0) & sum_exceeds(position, kBuy ? q.open_buy_quantity : q.open_sell_quantity, growth.quantity,
                                              kBuy ? l.max_long : l.max_short),
          kPosition);
    found((growth.notional > 0) & sum_exceeds(c.open_buy_notional, c.open_sell_notional, growth.notional, l.max_open_notional),
          kOpenNotional);
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
        judge_row<kBuy>(now, k, growth, [&](bool broken, Breach) { any |= static_cast<unsigned>(broken); });
    return any != 0;
}

unsigned breaches(const RowsNow& now, std::size_t k, const Growth& growth) noexcept {
    unsigned bits = 0;
    const auto found = [&](bool broken, Breach what) { bits |= broken ? static_cast<unsigned>(what) : 0U; };
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

void deny_working(const State& state, const RowsNow& now, std::size_t k, const Growth& growth, bool of_side,
                  Decision& out) noexcept {
    const bool buy = growth.side == Side::buy;
    const RowCounters& c = *now.counters[k];
    const RowControl& l = *now.control[k];
    const std::int64_t side_count = buy ? c.working_buy : c.working_sell;
    const std::int64_t count = of_side ? side_count : static_cast<std::int64_t>(c.working_buy) + c.working_sell;
    const std::int64_t limit = of_side ? (buy ? l.max_working_buy : l.max_working_sell) : l.max_working_orders;
    deny(state, DenyReason::max_working_orders, {now.rows[k], count + growth.orders, limit, Unit::orders}, out);
}

void deny_position(const State& state, const RowsNow& now, std::size_t k, const Growth& growth, Decision& out) noexcept {
    const bool buy = growth.side == Side::buy;
    const Int128 observed = worst_case(*now.counters[kQuantityRow[k]], growth.side, growth.quantity);
    const std::int64_t limit = buy ? now.control[k]->max_long : now.control[k]->max_short;
    deny(state, buy ? DenyReason::max_long : DenyReason::max_short, {now.rows[k], clamp(observed), limit, Unit::quantity}, out);
}

void deny_open_notional(const State& state, const RowsNow& now, std::size_t k, const Growth& growth, Decision& out) noexcept {
    const RowCounters& c = *now.counters[k];
    const Int128 observed = static_cast<Int128>(c.open_buy_notional) + c.open_sell_notional + growth.notional;
    deny(state, DenyReason::max_open_notional, {now.rows[k], clamp(observed), now.control[k]->max_open_notional, Unit::money},
         out);
}

using RowBreaches = std::array<unsigned, kRowsPerOrder>;

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

/// The amounts after an order has grown. In 64 bits where they stay in these, which is nearly always, else in 128.
template <class Amount>
struct ValuesAfter {
    Amount gross, net, net_before, cash, traded;
};

template <class Amount>
inline ValuesAfter<Amount> values_after(const RowWorth& row, const Growth& growth, bool worst_case) noexcept {
    const RowCounters& c = row.counters;
    const bool buy = growth.side == Side::buy;
    const auto size = [](Amount value) { return value < 0 ? -value : value; };
    const Amount notional = growth.notional, net = row.value.net_value, bought = row.day.bought_notional;
    const Amount open = notional + c.open_buy_notional + c.open_sell_notional;
    const Amount with_buys = net + c.open_buy_notional, with_sells = net - c.open_sell_notional;
    ValuesAfter<Amount> after;
    after.gross =
        worst_case ? Amount{row.value.gross_value} + row.gross_growth + row.gross_in_batch : row.value.gross_value + open;
    // Of both sides: the number that the limit is held against (world.md 13).
    after.net_before = std::max(size(with_buys), size(with_sells));
    after.net = buy ? size(with_buys + notional) : size(with_sells - notional);
    after.cash = notional + c.open_buy_notional + std::max<Amount>(bought - row.day.sold_notional, 0);
    after.traded = bought + row.day.sold_notional + open;
    return after;
}

/// Tells `found` of every limit on values of a row whether growing the order breaks it; only for what increases risk.
template <class Amount, class Found>
inline void judge_values(const RowWorth& row, const Growth& growth, bool worst_case, bool no_price, Found found) noexcept {
    const RowRiskLimits& l = row.limits;
    const ValuesAfter<Amount> after = values_after<Amount>(row, growth, worst_case);
    const bool grows = growth.notional > 0;
    const bool gross_grows = worst_case ? row.gross_growth > 0 || no_price : grows;
    const bool adds_risk = grows | (growth.quantity > 0);
    const std::int64_t pnl = pnl_of(row.value);
    const bool saturated = ((row.value.flags & kValueSaturated) | (row.day.flags & kRowSaturated)) != 0;
    const bool unpriced = no_price && l.max_gross_notional != kUnlimited;
    found(gross_grows & (unpriced | exceeds(after.gross, l.max_gross_notional)), kGross);
    found(grows & exceeds(after.net, l.max_net_notional) & (after.net > after.net_before), kNet);
    found(grows & (growth.side == Side::buy) & exceeds(after.cash, l.cash_limit), kCash);
    found(grows & exceeds(after.traded, l.max_traded_notional), kTraded);
    found(adds_risk & loses_too_much(l, pnl), kDailyLoss);
    found(adds_risk & falls_too_far(l, pnl, row.value.peak), kDrawdown);
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
                                   [&](bool broken, Breach) { any |= static_cast<unsigned>(broken); });
    }
    return any != 0;
}

/// The value of row k, as if it and those below it had been marked now where `unmarked` is given.
RowValue value_now(const State& state, const RowsNow& now, std::size_t k, const Unmarked* unmarked) noexcept {
    RowValue value = state.rows_risk[now.rows[k]].value.newest();
    if (unmarked == nullptr) return value;
    value.gross_value = clamp(value.gross_value + unmarked->gross[k]);
    value.net_value = clamp(value.net_value + unmarked->net[k]);
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
    judge_values<Int128>(row, growth, worst_case, no_price,
                         [&](bool broken, Breach what) { bits |= broken ? static_cast<unsigned>(what) : 0U; });
    const bool unknown = unmarked != nullptr && unmarked->unknown[k] && rests_on_marks(row.limits);
    if (unknown && (growth.notional > 0 || growth.quantity > 0)) bits |= kMarkUnknown;
    return bits;
}

void deny_value(const State& state, const RowsNow& now, std::size_t k, unsigned breach, const Growth& growth,
                const BatchOverlay* overlay, const Unmarked* unmarked, Decision& out) noexcept {
    const RowValue value = value_now(state, now, k, unmarked);
    const RowWorth row = worth_now(worth_of(state, now, k, growth, overlay, value), k, unmarked);
    const RowRiskLimits& l = row.limits;
    const bool worst_case = state.has_setting(kGrossWorstCase);
    const ValuesAfter<Int128> after = values_after<Int128>(row, growth, worst_case);
    const LossBreach loss = loss_breach(l, pnl_of(row.value), row.value.peak);
    const auto refuse = [&](DenyReason reason, Int128 observed, std::int64_t limit) {
        deny(state, reason, {now.rows[k], clamp(observed), limit, Unit::money}, out);
    };
    switch (breach) {
        case kGross:
            if (growth.is_unpriced(k) && worst_case) return deny(state, DenyReason::reference_price_unknown, out);
            return refuse(DenyReason::max_gross_notional, after.gross, l.max_gross_notional);
        case kNet: return refuse(DenyReason::max_net_notional, after.net, l.max_net_notional);
        case kCash: return refuse(DenyReason::cash_limit, after.cash, l.cash_limit);
        case kTraded: return refuse(DenyReason::max_traded_notional, after.traded, l.max_traded_notional);
        case kMarkUnknown: return deny(state, DenyReason::reference_price_stale, {now.rows[k], 0, 0, Unit::none}, out);
        default: return refuse(loss.reason, loss.observed, loss.limit);
    }
}

/// The first broken check, reason by reason and in each reason scope by scope.
bool deny_first_breach(const State& state, const RowsNow& now, const RowBreaches& broken, const Growth& growth,
                       const BatchOverlay* overlay, const Unmarked* unmarked, Decision& out) noexcept {
    for (std::size_t k = 0; k < kRowsPerOrder; ++k)
        if ((broken[k] & (kTooMany | kTooManyOfSide)) != 0)
            return deny_working(state, now, k, growth, (broken[k] & kTooMany) == 0, out), true;
    for (std::size_t k = 0; k < kRowsPerOrder; ++k)
        if ((broken[k] & kPosition) != 0 && !passes_as_reducing(now, k, growth))
            return deny_position(state, now, k, growth, out), true;
    for (std::size_t k = 0; k < kRowsPerOrder; ++k)
        if ((broken[k] & kOpenNotional) != 0 && !passes_as_reducing(now, k, growth))
            return deny_open_notional(state, now, k, growth, out), true;
    for (const unsigned breach : {kGross, kNet, kCash, kTraded, kDailyLoss, kDrawdown, kMarkUnknown})
        for (std::size_t k = 0; k < kRowsPerOrder; ++k)
            // The net number says by itself whether the order reduces it.
            if ((broken[k] & breach) != 0 && (breach == kNet || !passes_as_reducing(now, k, growth)))
                return deny_value(state, now, k, breach, growth, overlay, unmarked, out), true;
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
    RowBreaches broken{};
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        if (breaks) broken[k] |= breaches(now, k, growth);
        if (value_breaks) broken[k] |= value_breaches(state, now, k, growth, overlay, unmarked);
    }
    return deny_first_breach(state, now, broken, growth, overlay, unmarked, out);
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
    const Compared compared{now.rows[kAccountInstrumentRow], clamp(worst), 0, Unit::quantity};
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
    out.event.denied = event;
}

}  // namespace riskreg::core
