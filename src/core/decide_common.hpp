/// Pieces that several decide_*.cpp share. Internal to core.
#pragma once

#include <algorithm>
#include <limits>

#include "core/decide.hpp"
#include "core/order_view.hpp"

namespace riskreg::core {

/// Steady time of an event: never before the last one's.
[[nodiscard]] inline std::int64_t steady_time(const State& state, const Caller& caller) noexcept {
    return std::max(caller.steady_ns, static_cast<std::int64_t>(layout::load_relaxed(state.log->last_steady_ns)));
}

/// What a wall clock may gain on the steady one between two events and still be believed.
inline constexpr std::int64_t kClockSlackNs = 1'000'000'000;

/// Times of an event, and kClockAhead where the label is not the caller's.
struct EventTimes {
    std::int64_t time_ns;
    std::int64_t steady_ns;
    std::uint32_t flags;
};

/// Saturates.
[[nodiscard]] inline std::int64_t later_by(std::int64_t time_ns, std::int64_t by_ns) noexcept {
    std::int64_t sum = 0;
    if (!__builtin_add_overflow(time_ns, by_ns, &sum)) [[likely]]
        return sum;
    return by_ns < 0 ? std::numeric_limits<std::int64_t>::min() : base::kMaxInt64;
}

[[nodiscard]] inline std::int64_t lead_of(const State& state) noexcept {
    return static_cast<std::int64_t>(layout::load_relaxed(reinterpret_cast<const std::uint64_t&>(state.status->label_lead_ns)));
}

/// No event has been written: there is no label to go on from.
[[nodiscard]] inline bool is_first(const State& state) noexcept {
    return layout::load_relaxed(state.log->applied) <= layout::kGenesis;
}

/// The label goes neither back, nor further ahead of boot time than any label before it and a second (semantics.md 10). Held against the
/// greatest lead, not against the last label: one process whose clock is behind must not make all others look ahead.
[[nodiscard]] inline EventTimes event_times(const State& state, const Caller& caller) noexcept {
    const std::int64_t steady_ns = steady_time(state, caller);
    const auto last_ns = static_cast<std::int64_t>(layout::load_relaxed(state.log->last_time_ns));
    if (is_first(state)) [[unlikely]]
        return {caller.now_ns, steady_ns, 0};
    if (caller.now_ns < last_ns) return {last_ns, steady_ns, 0};
    const std::int64_t due_ns = later_by(steady_ns, lead_of(state));
    if (caller.now_ns > later_by(due_ns, kClockSlackNs)) [[unlikely]]
        return {std::max(last_ns, due_ns), steady_ns, layout::kClockAhead};
    return {caller.now_ns, steady_ns, 0};
}

[[nodiscard]] inline layout::EventHeader header_of(layout::EventType type, const EventTimes& times,
                                                   const Caller& caller) noexcept {
    layout::EventHeader header{};
    header.type = type;
    header.words = layout::words_in(type);
    header.time_ns = times.time_ns;
    header.steady_ns = times.steady_ns;
    header.flags = times.flags;
    header.session = caller.session;
    header.generation = caller.generation;
    header.order_slot = header.alias_slot = header.execution_slot = header.execution_ref = kNoSlot;
    header.instrument = kNoSlot;
    header.account = header.strategy = 0xFFFF;
    return header;
}
[[nodiscard]] inline layout::EventHeader header_of(const State& state, layout::EventType type, const Caller& caller) noexcept {
    return header_of(type, event_times(state, caller), caller);
}

/// What a refusal compared.
struct Compared {
    std::uint32_t row = kNoSlot;
    std::int64_t observed = 0;
    std::int64_t limit = 0;
    Unit unit = Unit::none;
};

inline void deny(const State& state, DenyReason reason, const Compared& compared, Decision& out) noexcept {
    Verdict& v = out.verdict;
    v.result = Result::denied;
    v.crosses_own = false;
    v.reason = reason;
    v.unit = compared.unit;
    v.has_numbers = compared.unit != Unit::none;
    v.observed = compared.observed;
    v.limit = compared.limit;
    if (compared.row != kNoSlot) v.scope = state.geometry.scope_of(compared.row);
    out.commit = false;
}
inline void deny(const State& state, DenyReason reason, Decision& out) noexcept { deny(state, reason, Compared{}, out); }

/// Reference price of an instrument at a moment of steady time. Its label plays no part.
struct Reference {
    bool known = false;  // one was ever given
    bool fresh = false;
    bool in_cell = false;  // since the tables were made: `age_ns` says how long ago
    bool has_price = false;  // false, though known: it was given before a rebuild, and no mark remembers it
    std::int64_t price = 0;
    std::int64_t age_ns = 0;
};
[[nodiscard]] Reference reference_of(const State& state, std::uint32_t instrument, std::int64_t steady_ns) noexcept;

/// What sections 3 and 5 need of an order or of an amend.
struct PricedOrder {
    std::uint32_t instrument;
    Side side;
    OrderType type;
    bool has_price;
    bool has_stop_price;
    std::int64_t price;
    std::int64_t stop_price;
    std::int64_t quantity;
};

[[nodiscard]] inline PricedOrder priced_of(const NewOrder& o) noexcept {
    return {o.instrument, o.side, o.type, o.has_price, o.has_stop_price, o.price, o.stop_price, o.quantity};
}

/// Check 5: shape, quantity and price grid. True when it denied. Prices that stand already, at the venue or in an amend that
/// keeps them, are not asked whether they may be zero or less.
enum class Prices : std::uint8_t { are_new, stand };
[[nodiscard]] bool deny_shape(const State& state, const PricedOrder& order, Prices prices, Decision& out) noexcept;

/// `zero_prices: false`: whether an instrument refuses this price.
[[nodiscard]] inline bool forbids_price(const layout::InstrumentRecord& instrument, std::int64_t price) noexcept {
    return (instrument.zero_prices_forbidden != 0) & (price <= 0);
}

/// Checks 6: reference price and collar; yields the price at which the order reserves. True when it denied.
[[nodiscard]] bool deny_reference(const State& state, const PricedOrder& order, std::int64_t now_ns,
                                  std::int64_t& reserved_price, Decision& out) noexcept;

/// What a limit or stop-limit order reserves at (semantics.md 3, faults-2.md A7): the higher of limit and reference price, an old
/// one included, since a sale may come out at any price above its limit. By its limit alone where no reference was ever given; with
/// `reserve_price: limit` also a purchase, which pays no more than its limit while no price is below zero. Nullopt on overflow.
[[nodiscard]] std::optional<std::int64_t> limit_reserve_price(const State& state, Side side, std::int64_t limit,
                                                              const Reference& reference) noexcept;

/// The same for an order that is live already: no collar, and an old reference price is better than none.
[[nodiscard]] bool deny_unpriced(const State& state, const PricedOrder& order, std::int64_t now_ns,
                                 std::int64_t& reserved_price, Decision& out) noexcept;

/// The six rows of an order, each loaded once: pointers to the newest copies. Where an entity is unknown a
/// neutral row stands in; with a batch overlay the counters are private sums.
struct RowsNow {
    RowSet rows;
    std::array<const layout::RowCounters*, kRowsPerOrder> counters;
    std::array<const layout::RowControl*, kRowsPerOrder> control;
    unsigned set;  // limits that some row has: LimitBit
    unsigned flags;  // ControlFlag of some row
    bool state_may_refuse;  // some row is in a state that may refuse
    /// The three above. The everyday answer to what they ask is no, so this one pass is all that most checks cost.
    void sum_up() noexcept;
    std::array<layout::RowCounters, kRowsPerOrder> with_batch;  // only with an overlay
};
void load_rows(const State& state, const RowSet& rows, const BatchOverlay* overlay, RowsNow& now) noexcept;

/// Is the order, grown by `quantity`, still only reducing on this row (semantics.md 6)?
[[nodiscard]] bool is_reducing(const layout::RowCounters& counters, Side side, std::int64_t quantity) noexcept;

/// Check 2, trading states; the columns of the table in semantics.md 8.
enum class Intent : std::uint8_t { new_order, amend_up, amend_down };
[[nodiscard]] bool deny_state(const State& state, const RowsNow& now, Intent intent, Side side, std::int64_t quantity,
                              Decision& out) noexcept;

/// Check 1, as far as state decides it: room in the log. Only what increases risk is refused; the last quarter of the
/// ring is for facts, cancels and reducing orders, which may even overrun it (protocol.md 4). True when it denied.
[[nodiscard]] bool deny_log_room(const State& state, const RowsNow& now, Intent intent, Side side, std::int64_t quantity,
                                 Decision& out) noexcept;

[[nodiscard]] inline base::NotionalFactor factor_of(const State& state, std::uint32_t instrument) noexcept {
    const layout::InstrumentRecord& record = state.instrument_records[instrument];
    return {record.factor_numerator, record.factor_scale};
}

/// What arithmetic under the lock rests on, of a record that nobody writes after creation: where a stray pointer of some
/// process did, the answer is poison, not a crash of one process after the other. The rest of the record is for the audit.
[[nodiscard]] inline bool is_sound(const layout::InstrumentRecord& i) noexcept {
    return (i.tick > 0) & (i.lot > 0) & (i.factor_scale <= base::kMaxScale);
}

/// The account, strategy and instrument that an order, or an event about one, names are there: only then it has rows.
template <class Named>
[[nodiscard]] bool has_entities(const State& state, const Named& named) noexcept {
    const layout::Geometry& g = state.geometry;
    return (named.account < g.accounts) & (named.strategy < g.strategies) & (named.instrument < g.instruments);
}
/// It has a side, too, and its instrument can be calculated with: what decide and apply rest on.
template <class Named>
[[nodiscard]] bool is_sound(const State& state, const Named& named) noexcept {
    return has_entities(state, named) && (named.side == Side::buy || named.side == Side::sell) &&
           is_sound(state.instrument_records[named.instrument]);
}

/// Check 12: what increases risk leaves a reserve of every table: of orders to what reduces (and to amends down, which may need a
/// new id), of executions and quarantine records to facts (architecture.md, faults-2.md B1).
enum class Room : std::uint8_t { but_reserve, all };
/// Everybody has room.
[[nodiscard]] bool leaves_reserves(const State& state, std::uint64_t order_slots) noexcept;
/// Order slots that are left. True when it denied.
[[nodiscard]] bool deny_order_slots(const State& state, std::uint64_t order_slots, Room room, Decision& out) noexcept;
/// The same for new orders, which need room for their executions as well.
[[nodiscard]] bool deny_capacity(const State& state, std::uint64_t order_slots, Room room, Decision& out) noexcept;

/// By how much one order's reservation is to grow (checks 7 and 11).
struct Growth {
    Side side = Side::none;
    std::int64_t quantity = 0;  // of the reservation
    std::int64_t notional = 0;
    std::int64_t order_quantity = 0;  // the (new) total; 0: does not grow, not checked
    std::int64_t order_notional = 0;  // of the (new) total; 0: does not grow, not checked
    std::uint32_t orders = 0;  // 1 for a new order
    layout::ValueDelta values{};  // of the rows, by the worst-case method
    unsigned unpriced = 0;  // worst case: bit of the pair whose instrument row has no price to value it at
    [[nodiscard]] bool is_unpriced(std::size_t row) const noexcept { return (unpriced >> row % 3 & 1U) != 0; }
};
/// Whether growing the order breaks any limit of RowControl on any row, or overflows a counter: checks 7, 11 and 12 name it.
[[nodiscard]] bool breaks_any(const RowsNow& now, const Growth& growth) noexcept;
/// Check 7: mandatory limits, single-order limits. `breaks` is the answer of breaks_any. True when it denied.
[[nodiscard]] bool deny_single_order(const State& state, const RowsNow& now, const Growth& growth, bool breaks,
                                     Decision& out) noexcept;
/// Checks 11 and 12: working orders, position, notionals, cash, turnover, loss, overflow of a counter. True when it denied.
[[nodiscard]] bool deny_exposure(const State& state, const RowsNow& now, std::uint32_t instrument, const Growth& growth,
                                 bool breaks, const BatchOverlay* overlay, std::int64_t steady_ns, Decision& out) noexcept;

/// Only the last of them, for orders that no limit refuses.
[[nodiscard]] bool deny_overflow(const State& state, const RowsNow& now, const Growth& growth, Decision& out) noexcept;

/// Check 3, second part: the restricted list, whose dates are judged by the label, and short sales by `quantity` more. True when it denied.
[[nodiscard]] bool deny_restricted(const State& state, const RowsNow& now, Side side, const Caller& caller,
                                   Decision& out) noexcept;
[[nodiscard]] bool deny_short_sale(const State& state, const RowsNow& now, std::uint32_t instrument, Side side,
                                   std::int64_t quantity, Decision& out) noexcept;

}  // namespace riskreg::core
