/// The fields of every record of a checkpoint, listed once for writing and reading (record_line.hpp).
#pragma once

#include "core/decide.hpp"
#include "layout/names.hpp"
#include "persist/config_json.hpp"
#include "persist/record_line.hpp"

namespace riskreg::persist {

/// The number of a record is the place it has in its table; it is written for people and checked when read.
template <class Io>
void place(Io& io, std::string_view name, std::uint32_t expected) {
    std::uint32_t seen = expected;
    io.number(name, seen, layout::kNoSlot);
    if (seen != expected) throw RecordError(std::string(name) + ": not the next one");
}

/// What an order looks like when nothing has happened to it yet: these values are left out.
template <class Io>
void order_identity_fields(Io& io, std::uint32_t slot, layout::OrderIdentity& i) {
    io.id("id", i.id);
    io.entity("account", i.account, io.names().accounts);
    io.entity("strategy", i.strategy, io.names().strategies);
    io.entity("instrument", i.instrument, io.names().instruments);
    io.number("alias_of", i.head, slot);
    i.kind = i.head == slot ? layout::SlotKind::order : layout::SlotKind::alias;
    io.number("follows", i.previous, layout::kNoSlot);
    io.choice("side", i.side, Side::none);
    io.choice("type", i.type, OrderType::none);
    io.choice("tif", i.tif, TimeInForce::none);
    // A price without the flag is that of an id that a replacement took; the flag without a price is a price of zero.
    bool has_price = (i.flags & layout::kHasPrice) != 0;
    bool has_stop = (i.flags & layout::kHasStopPrice) != 0;
    io.optional_decimal("price", i.price, has_price, kPriceDigits);
    if (!has_price) io.decimal("asked_price", i.price, kPriceDigits, 0);
    io.optional_decimal("stop_price", i.stop_price, has_stop, kPriceDigits);
    if (!has_stop) io.decimal("asked_stop_price", i.stop_price, kPriceDigits, 0);
    bool indexed = (i.flags & layout::kContentIndexed) != 0;
    bool loaded = (i.flags & layout::kLoaded) != 0;
    io.flag("loaded", loaded, false);
    io.flag("content_indexed", indexed, false);
    // Of an order nothing said is none; files of earlier builds say so with the largest number.
    io.number("same_content", i.content_previous, indexed || i.kind == layout::SlotKind::order ? layout::kNoSlot : 0U);
    i.flags = (has_price ? layout::kHasPrice : 0U) | (has_stop ? layout::kHasStopPrice : 0U) |
              (indexed ? layout::kContentIndexed : 0U) | (loaded ? layout::kLoaded : 0U);
    io.always_decimal("quantity", i.quantity, kQuantityDigits);
    io.time("created", i.created_ns, 0);
    io.number("created_steady_ns", i.created_steady_ns, std::int64_t{0});
    io.number("created_seq", i.created_seq, std::uint64_t{0});
    io.number("session", i.session, layout::kNoSlot);
    io.number("generation", i.generation, std::uint32_t{0});
}

template <class Io>
void order_state_fields(Io& io, std::uint32_t slot, const layout::OrderIdentity& i, layout::OrderState& s) {
    const bool head = i.kind == layout::SlotKind::order;
    io.choice("status", s.base, OrderBase::none);
    io.number("seq", s.seq, i.created_seq);
    io.decimal("price_now", s.price, kPriceDigits, head ? i.price : 0);
    io.decimal("quantity_now", s.quantity, kQuantityDigits, head ? i.quantity : 0);
    io.decimal("cum_quantity", s.cum_quantity, kQuantityDigits, 0);
    const bool live = is_live(s.base) && s.cum_quantity >= 0 && s.quantity > s.cum_quantity;
    io.decimal("reserved_quantity", s.reserved_quantity, kQuantityDigits, live ? s.quantity - s.cum_quantity : 0);
    io.decimal("reserved_notional", s.reserved_notional, kMoneyDigits, 0);
    io.decimal("reserved_price", s.reserved_price, kPriceDigits, s.price);
    io.decimal("pending_price", s.pending_price, kPriceDigits, 0);
    io.decimal("pending_quantity", s.pending_quantity, kQuantityDigits, 0);
    io.decimal("pending_reserved_price", s.pending_reserved_price, kPriceDigits, 0);
    io.decimal("reported_cum", s.reported_cum, kQuantityDigits, 0);
    io.time("updated", s.updated_ns, i.created_ns);
    io.number("last_id", s.last_alias, head ? slot : layout::kNoSlot);
    io.number("pending_id", s.pending_alias, layout::kNoSlot);
    io.number("last_execution", s.last_execution, layout::kNoSlot);
    io.number("version", s.version, head ? 1U : 0U);
    io.number("flags", s.flags, OrderFlags{0});
    io.number("roll_key", s.roll_key, std::uint64_t{0});
}

template <class Io>
void order_fields(Io& io, std::uint32_t slot, layout::OrderIdentity& identity, layout::OrderState& state,
                  layout::VenueId& venue) {
    io.begin_record();
    place(io, "slot", slot);
    order_identity_fields(io, slot, identity);
    order_state_fields(io, slot, identity, state);
    io.id("venue_id", venue.id);
    io.number("venue_seq", venue.seq, std::uint64_t{0});
    io.end_record();
}

/// Members of core::kLimits from `first` on, by their names: the same table as the configuration's.
inline void limit_fields(RecordWriter& io, Limits& limits, std::size_t first, std::size_t end) {
    for (std::size_t i = first; i < end; ++i) {
        const core::Limit& field = core::kLimits[i];
        const LimitValue& value = limits.*field.member;
        if (value.kind == LimitValue::Kind::unset) continue;
        io.text(field.name, value.kind == LimitValue::Kind::unlimited ? "unlimited" : format_amount(field.unit, value.value));
    }
}
inline void limit_fields(RecordReader& io, Limits& limits, std::size_t first, std::size_t end) {
    for (std::size_t i = first; i < end; ++i) {
        const core::Limit& field = core::kLimits[i];
        std::string_view text;
        if (io.read_text(field.name, text)) limits.*field.member = parse_limit(field, text);
    }
}

/// Limits of the one record and of the other come from one set of Limits; `set` of the first says what the second holds
/// and is completed when both are known.
inline void limit_fields(RecordWriter& io, layout::RowControl& control) {
    Limits limits = core::limits_of(control, core::risk_limits_of(Limits{}));
    limit_fields(io, limits, 0, core::kFirstRiskLimit);
}
inline void limit_fields(RecordReader& io, layout::RowControl& control) {
    Limits limits;
    limit_fields(io, limits, 0, core::kFirstRiskLimit);
    const TradingState state = control.state;
    const std::uint64_t seq = control.seq;
    control = core::control_of(limits);
    control.state = state;
    control.seq = seq;
}
inline void limit_fields(RecordWriter& io, layout::RowRiskLimits& risk) {
    Limits limits = core::limits_of(core::control_of(Limits{}), risk);
    limit_fields(io, limits, core::kFirstRiskLimit, core::kLimits.size());
}
inline void limit_fields(RecordReader& io, layout::RowRiskLimits& risk) {
    Limits limits;
    limit_fields(io, limits, core::kFirstRiskLimit, core::kLimits.size());
    const std::uint64_t seq = risk.seq;
    risk = core::risk_limits_of(limits);
    risk.seq = seq;
}

template <class Io>
void record_fields(Io& io, layout::RowCounters& c) {
    io.number("seq", c.seq, std::uint64_t{0});
    io.decimal("position", c.position, kQuantityDigits, 0);
    io.decimal("open_buy_quantity", c.open_buy_quantity, kQuantityDigits, 0);
    io.decimal("open_sell_quantity", c.open_sell_quantity, kQuantityDigits, 0);
    io.decimal("open_buy_notional", c.open_buy_notional, kMoneyDigits, 0);
    io.decimal("open_sell_notional", c.open_sell_notional, kMoneyDigits, 0);
    io.number("working_buy", c.working_buy, 0U);
    io.number("working_sell", c.working_sell, 0U);
    io.number("flags", c.flags, std::uint64_t{0});
}

template <class Io>
void record_fields(Io& io, layout::RowControl& c) {
    io.number("seq", c.seq, std::uint64_t{0});
    io.choice("state", c.state, TradingState::active);
    limit_fields(io, c);
    io.number("flags", c.flags, std::uint8_t{0});
}

template <class Io>
void record_fields(Io& io, layout::RowDay& d) {
    io.number("seq", d.seq, std::uint64_t{0});
    io.decimal("bought_quantity", d.bought_quantity, kQuantityDigits, 0);
    io.decimal("sold_quantity", d.sold_quantity, kQuantityDigits, 0);
    io.decimal("bought_notional", d.bought_notional, kMoneyDigits, 0);
    io.decimal("sold_notional", d.sold_notional, kMoneyDigits, 0);
    io.number("flags", d.flags, std::uint64_t{0});
    io.decimal("start_position", d.start_position, kQuantityDigits, 0);
}

template <class Io>
void record_fields(Io& io, layout::RowValue& v) {
    io.number("seq", v.seq, std::uint64_t{0});
    io.decimal("mark", v.mark, kPriceDigits, 0);
    io.decimal("gross_value", v.gross_value, kMoneyDigits, 0);
    io.decimal("net_value", v.net_value, kMoneyDigits, 0);
    io.decimal("cash_flow", v.cash_flow, kMoneyDigits, 0);
    io.decimal("start_value", v.start_value, kMoneyDigits, 0);
    io.decimal("peak", v.peak, kMoneyDigits, 0);
    io.number("flags", v.flags, std::uint64_t{0});
}

template <class Io>
void record_fields(Io& io, layout::RowRiskLimits& l) {
    io.number("seq", l.seq, std::uint64_t{0});
    limit_fields(io, l);
}

template <class Io>
void record_fields(Io& io, layout::RowMeters& m) {
    io.number("seq", m.seq, std::uint64_t{0});
    io.number("messages", m.messages, std::uint64_t{0});
    io.number("all_messages", m.all_messages, std::uint64_t{0});
    io.number("since_steady_ns", m.since_ns, std::int64_t{0});
    io.number("since_seq", m.since_seq, std::uint64_t{0});
    io.number("messages_ring", m.messages_ring, layout::kNoSlot);
    io.number("all_ring", m.all_ring, layout::kNoSlot);
    io.number("messages_stride", m.messages_stride, 1U);
    io.number("all_stride", m.all_stride, 1U);
}

template <class Io>
void record_fields(Io& io, layout::RowAlerts& a) {
    io.number("seq", a.seq, std::uint64_t{0});
    io.number("levels", a.levels, std::uint64_t{0});
}

template <class Io>
void record_fields(Io& io, layout::RowLatch& l) {
    io.number("seq", l.seq, std::uint64_t{0});
    io.number("halted_seq", l.halted_seq, std::uint64_t{0});
    io.time("changed", l.changed_ns, 0);
    io.number("uid", l.uid, 0U);
    io.choice("previous", l.previous, TradingState::active);
    io.reason("reason", l.reason);
}

template <class Io>
void execution_fields(Io& io, std::uint32_t slot, layout::ExecutionIdentity& i, layout::ExecutionState& s) {
    io.begin_record();
    place(io, "slot", slot);
    io.id("exec_id", i.id);
    io.number("order", i.order_slot, layout::kNoSlot);
    io.number("follows", i.previous, layout::kNoSlot);
    io.time("time", i.time_ns, 0);
    io.number("booked_seq", i.seq, std::uint64_t{0});
    io.number("seq", s.seq, i.seq);
    io.always_decimal("price", s.price, kPriceDigits);
    io.always_decimal("quantity", s.quantity, kQuantityDigits);
    io.choice("status", s.status, layout::ExecutionStatus::none);
    io.number("successor", s.successor, 0U);
    io.end_record();
}

template <class Io>
void quarantine_fields(Io& io, std::uint32_t slot, layout::QuarantineSlot& q) {
    io.begin_record();
    place(io, "slot", slot);
    io.number("seq", q.seq, std::uint64_t{0});
    io.id("order_id", q.order_id);
    io.id("exec_id", q.exec_id);
    io.decimal("price", q.price, kPriceDigits, 0);
    io.decimal("quantity", q.quantity, kQuantityDigits, 0);
    io.time("time", q.time_ns, 0);
    io.number("instrument", q.instrument, layout::kNoSlot);
    io.number("account", q.account, std::uint16_t{0xFFFF});
    io.number("event", q.event_type, std::uint8_t{0});
    io.choice("side", q.side, Side::none);
    io.number("booked", q.booked, std::uint8_t{0});
    io.end_record();
}

/// Records of sparse tables: their number stands before these fields.
template <class Io>
void record_fields(Io& io, layout::SessionRecord& s) {
    io.number("seq", s.seq, std::uint64_t{0});
    io.entity("strategy", s.strategy, io.names().strategies);
    io.choice("status", s.status, layout::SessionStatus::free);
    io.number("pid", s.pid, 0U);
    io.number("pid_start", s.pid_start, std::uint64_t{0});
    io.number("uid", s.uid, 0U);
    io.number("generation", s.generation, 0U);
    io.time("attached", s.attached_ns, 0);
    io.time("ended", s.ended_ns, 0);
    io.end_record();
}

template <class Io>
void record_fields(Io& io, layout::StrategyState& s) {
    io.number("seq", s.seq, std::uint64_t{0});
    io.number("session", s.session, layout::kNoSlot);
    io.number("generation", s.generation, 0U);
    io.choice("status", s.status, layout::SessionStatus::free);
    io.end_record();
}

template <class Io>
void record_fields(Io& io, layout::BreakerCounts& b) {
    io.number("seq", b.seq, std::uint64_t{0});
    io.number("buys", b.buys, std::uint64_t{0});
    io.number("sells", b.sells, std::uint64_t{0});
    io.number("rejects", b.rejects, std::uint64_t{0});
    io.end_record();
}

template <class Io>
void record_fields(Io& io, layout::RestrictionRecord& r) {
    io.number("seq", r.seq, std::uint64_t{0});
    io.number("row", r.row, layout::kNoSlot);
    auto sides = static_cast<base::Sides>(r.sides);
    io.choice("sides", sides, base::Sides::none);
    r.sides = static_cast<std::uint8_t>(sides);
    io.time("from", r.from_ns, 0);
    io.time("to", r.to_ns, layout::kUnlimited);
    io.reason("reason", r.reason);
    io.end_record();
}

template <class Io>
void record_fields(Io& io, layout::ApprovalRecord& a) {
    io.number("seq", a.seq, std::uint64_t{0});
    io.number("request", a.request, std::uint64_t{0});
    io.number("row", a.row, layout::kNoSlot);
    io.number("uid", a.uid, 0U);
    io.choice("state", a.state, TradingState::active);
    bool unreconciled = a.unreconciled != 0;
    io.flag("unreconciled", unreconciled, false);
    a.unreconciled = unreconciled ? 1 : 0;
    io.choice("status", a.status, layout::ApprovalStatus::none);
    bool verified = a.verified != 0;
    io.flag("verified", verified, false);
    a.verified = verified ? 1 : 0;
    io.reason("reason", a.reason);
    io.end_record();
}

template <class Io>
void record_fields(Io& io, layout::ReferenceOwner& r) {
    io.number("seq", r.seq, std::uint64_t{0});
    io.number("session", r.session, layout::kNoSlot);
    io.number("generation", r.generation, 0U);
    io.end_record();
}

}  // namespace riskreg::persist
