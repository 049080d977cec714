#include "layout/describe.hpp"

#include <algorithm>
#include <iterator>

#include "layout/segment.hpp"

namespace riskreg::layout {

namespace {

struct Field {
    const char* name;
    std::size_t offset;
    std::size_t size;
};

/// Every byte of the record belongs to exactly one field of the list, in order.
template <std::size_t N>
constexpr bool covers(const Field (&fields)[N], std::size_t size) {
    std::size_t next = 0;
    for (const Field& field : fields) {
        if (field.offset != next) return false;
        next += field.size;
    }
    return next == size;
}

template <std::size_t N>
constexpr bool all_at_start(const Field (&fields)[N], std::size_t size) {
    return std::all_of(std::begin(fields), std::end(fields),
                       [size](const Field& field) { return field.offset == 0 && field.size <= size; });
}

void append_line(std::string& text, const std::string& name, std::size_t first, const char* between, std::size_t second) {
    text += name + ' ' + std::to_string(first) + between + std::to_string(second) + '\n';
}

template <class T, std::size_t N>
void append_record(std::string& text, const std::string& type, const Field (&fields)[N]) {
    append_line(text, type + " size", sizeof(T), " align ", alignof(T));
    for (const Field& field : fields) append_line(text, type + '.' + field.name, field.offset, " ", field.size);
}

// EACH_FIELD(Type, a, b, …) is Field{a}, Field{b}, …: a macro may name itself only through a further scan, and
// EXPAND scans 64 times, which is more than a record has fields.
#define EXPAND(...) EXPAND_16(EXPAND_16(EXPAND_16(EXPAND_16(__VA_ARGS__))))
#define EXPAND_16(...) EXPAND_4(EXPAND_4(EXPAND_4(EXPAND_4(__VA_ARGS__))))
#define EXPAND_4(...) EXPAND_1(EXPAND_1(EXPAND_1(EXPAND_1(__VA_ARGS__))))
#define EXPAND_1(...) __VA_ARGS__
#define NO_ARGUMENTS ()
#define EACH_FIELD(...) EXPAND(EACH_FIELD_STEP(__VA_ARGS__))
#define EACH_FIELD_STEP(type, field, ...) \
    Field{#field, offsetof(type, field), sizeof(type::field)} __VA_OPT__(, EACH_FIELD_AGAIN NO_ARGUMENTS(type, __VA_ARGS__))
#define EACH_FIELD_AGAIN() EACH_FIELD_STEP

#define DESCRIBE_IF(complete, type, ...)                                           \
    do {                                                                           \
        static constexpr Field fields[] = {EACH_FIELD(type, __VA_ARGS__)};         \
        static_assert(complete(fields, sizeof(type)), "fields missing in " #type); \
        append_record<type>(text, #type, fields);                                  \
    } while (false)
#define DESCRIBE(...) DESCRIBE_IF(covers, __VA_ARGS__)
#define DESCRIBE_UNION(...) DESCRIBE_IF(all_at_start, __VA_ARGS__)

void describe_orders(std::string& text) {
    DESCRIBE(Reason, size, text);
    DESCRIBE(OrderIdentity, id, created_steady_ns, price, quantity, stop_price, created_ns, created_seq, instrument, account,
             strategy, head, previous, session, generation, kind, side, type, tif, flags, content_previous, reserved_bytes);
    DESCRIBE(VenueId, seq, id, reserved_bytes);
    DESCRIBE(OrderState, seq, price, quantity, cum_quantity, reserved_quantity, reserved_notional, reserved_price,
             pending_price, pending_quantity, pending_reserved_price, reported_cum, updated_ns, last_alias, pending_alias,
             last_execution, version, base, reserved_byte, flags, reserved_bytes, roll_key);
    DESCRIBE(OrderSlot, identity, state, venue);
}

void describe_rows(std::string& text) {
    DESCRIBE(RowCounters, seq, position, open_buy_quantity, open_sell_quantity, open_buy_notional, open_sell_notional,
             working_buy, working_sell, flags);
    DESCRIBE(RowControl, seq, max_order_quantity, max_order_notional, max_long, max_short, max_open_notional,
             max_working_orders, max_working_buy, max_working_sell, set, state, flags);
    DESCRIBE(RowDay, seq, bought_quantity, sold_quantity, bought_notional, sold_notional, flags, start_position,
             reserved_bytes);
    DESCRIBE(RowLatch, seq, halted_seq, changed_ns, uid, previous, reserved_bytes, reason);
    DESCRIBE(Row, counters, control);
    DESCRIBE(RowCold, day, latch);
}

void describe_risk(std::string& text) {
    DESCRIBE(RowValue, seq, mark, gross_value, net_value, cash_flow, start_value, peak, flags);
    DESCRIBE(RowRiskLimits, seq, max_gross_notional, max_net_notional, cash_limit, max_traded_notional, daily_loss, drawdown,
             max_messages, max_all_messages, max_same_content, max_same_direction, max_rejects, window_ms, content_window_ms,
             cancel_headroom_bps, set, reserved_bytes);
    DESCRIBE(RowMeters, seq, messages, all_messages, since_ns, messages_ring, all_ring, messages_stride, all_stride, since_seq,
             reserved_bytes);
    DESCRIBE(RowAlerts, seq, levels, reserved_bytes);
    DESCRIBE(RowRisk, value, limits, meters, alerts);
    DESCRIBE(BudgetRing, times_ns);
    DESCRIBE(BreakerCounts, seq, buys, sells, rejects);
    DESCRIBE(BreakerTimes, fine_ns, coarse_ns);
    DESCRIBE(BreakerSlot, counts, times);
    DESCRIBE(BookCount, seq, count);
    DESCRIBE(BookNode, owner, key, bitmap, next, count);
    DESCRIBE(RestrictionRecord, seq, from_ns, to_ns, row, sides, reserved_bytes, reason);
    DESCRIBE(RestrictionSlot, state);
    DESCRIBE(ApprovalRecord, seq, request, row, uid, state, unreconciled, status, verified, reserved_bytes, reason);
    DESCRIBE(ApprovalSlot, state);
}

void describe_executions(std::string& text) {
    DESCRIBE(ExecutionIdentity, id, order_slot, previous, time_ns, seq);
    DESCRIBE(ExecutionState, seq, price, quantity, status, reserved_bytes, successor);
    DESCRIBE(ExecutionSlot, identity, state);
    DESCRIBE(QuarantineSlot, seq, order_id, exec_id, price, quantity, time_ns, instrument, account, event_type, side, booked,
             reserved_bytes);
}

void describe_sessions(std::string& text) {
    DESCRIBE(SessionRecord, seq, attached_ns, ended_ns, pid_start, pid, generation, uid, strategy, status, reserved_bytes);
    DESCRIBE(SessionSlot, mutex, record, word, accepted, denied, denied_unlogged, facts, next_day, reserved_words);
    DESCRIBE(StrategyState, seq, session, generation, status, reserved_bytes);
    DESCRIBE(StrategySlot, state);
    DESCRIBE(ReferencePrice, seq, price, steady_ns, time_ns, writer);
    DESCRIBE(ReferenceOwner, seq, session, generation, reserved_bytes);
    DESCRIBE(ReferenceCell, price, owner);
}

void describe_static_tables(std::string& text) {
    DESCRIBE(InstrumentRecord, id, currency, tick, lot, min_quantity, max_quantity, factor_numerator, factor_scale, collar_bps,
             collar_ticks, market_slippage_bps, reference_max_age_ms, collar_two_sided, short_forbidden, zero_prices_forbidden,
             reserved_bytes);
    DESCRIBE(AccountRecord, id, currency, reserved_bytes);
    DESCRIBE(StrategyRecord, id, account_count, only_account, all_instruments, on_death, reserved_bytes);
}

void describe_events(std::string& text) {
    DESCRIBE(EventHeader, seq, checksum, time_ns, steady_ns, type, words, working_delta, session, order_slot, alias_slot,
             instrument, account, strategy, execution_slot, execution_ref, generation, result, side, answer_flags, flags,
             reserved_word, room);
    DESCRIBE(RowDelta, position, open_quantity, open_notional, traded_notional);
    DESCRIBE(ValueDelta, gross, net);
    DESCRIBE(RegisterEvent, header, id, hash, price, quantity, stop_price, reserved_notional, reserved_price, order_type, tif,
             metered, identity_flags, values, mark, content_previous, sets_mark, reserved_bytes);
    DESCRIBE(OrderAfter, cum_quantity, reported_cum, last_alias, pending_alias, last_execution, execution_previous, base,
             firm_previous, flags, numbers, breaker, metered);
    DESCRIBE(LifeEvent, header, delta, after, price, quantity, third, id, values, reserved_tail);
    DESCRIBE(DeniedEvent, header, id, observed, limit, price, quantity, reason, unit, scope, request, order_type, tif, metered,
             reserved_bytes);
    DESCRIBE(QuarantineEvent, header, delta, order_id, exec_id, price, quantity, count_after, slot, reported, booked,
             firm_previous, values);
    DESCRIBE(PositionEvent, header, delta, values, price, start_value, uid, reserved_bytes, text, reserved_tail);
    DESCRIBE(MarkedEvent, header, row, total_row, mark, gross, net, reserved_tail);
    DESCRIBE(StateEvent, header, row, uid, state, previous, set_flags, clear_flags, verified, reserved_bytes, reason, approves,
             asked_by, reserved_tail);
    DESCRIBE(LimitsEvent, header, row, uid, after, reason, before, reserved_tail);
    DESCRIBE(RiskLimitsEvent, header, row, uid, after, since_ns, messages_ring, all_ring, messages_stride, all_stride,
             next_budget_ring, kinds, resets, reserved_tail, before);
    DESCRIBE(RestrictionEvent, header, slot, uid, after, row_restricted, reserved_tail);
    DESCRIBE(ApprovalEvent, header, slot, reserved_bytes, after, reserved_tail);
    DESCRIBE(AlertEvent, header, row, limit, level, previous, unit, observed, bound, levels_after, reserved_tail);
    DESCRIBE(RolledEvent, header, day, uid, reserved_bytes, reason, base_seq, reserved_tail);
    DESCRIBE(ClockEvent, header, before_ns, uid, reserved_bytes, reason, reserved_tail);
    DESCRIBE(SessionEvent, header, pid_start, pid, uid, row, state, previous, is_current, reserved_byte, reason, reserved_tail);
    DESCRIBE(ReferenceOwnerEvent, header, reserved_tail);
    DESCRIBE_UNION(Event, words, header, registered, life, denied, quarantine, state, position, marked, limits, risk_limits,
                   restriction, approval, alert, rolled, clock, session, reference_owner);
}

void describe_segment(std::string& text) {
    DESCRIBE(Geometry, instruments, accounts, strategies, sessions, orders, order_index, executions, execution_index,
             quarantine, quarantine_index, ring_events, config_bytes, content_index, book_nodes, book_sides, budget_rings,
             breakers, restrictions, reserved_words);
    DESCRIBE(Offsets, mutex, host, control, sessions, strategies, references, rows, rows_cold, rows_risk, orders, order_index,
             executions, execution_index, quarantine, quarantine_index, content_index, book_heads, book_nodes, budget_rings,
             breakers, restrictions, approvals, ring, instrument_records, account_records, strategy_records, permissions,
             config, size_bytes);
    DESCRIBE(Header, magic, layout_version, settings, layout_hash, config_hash, state, geometry, boot_id, lock_device,
             lock_inode, lock_token, pid_namespace, time_namespace, created_ns, uid, persistence, checkpoint_interval_s,
             keep_checkpoints, page_options, adopting, name_begin, name_end, epoch, recovered_seq, keep_journal,
             mark_threshold_bps, mark_interval_ms, next_ready, day, rolled_seq, entities_hash, directory_inode, day_begun_ns,
             day_begun_steady_ns, rolled_uid, min_day_s);
    DESCRIBE(LogWords, committed, applied, last_time_ns, last_steady_ns, next_order, next_execution, next_quarantine,
             next_generation);
    DESCRIBE(StatusWords, state_epoch, repairs, redone, owner_session, consumer, next_budget_ring, recovered_steady_ns,
             book_overflow, recovered_ns, recovered_seq, quarantined_events, clocks_ahead, label_lead_ns, brake, roll_phase,
             roll_base);
    DESCRIBE(Watermarks, journaled, durable, checkpointed, heartbeat_ns, checkpoint_ns, verified, verifier_cycles, differences,
             checkpoint_steady_ns, reserved_words);
    DESCRIBE(Wakes, durable_tick, waiters, work_tick, asleep, checkpoint_wanted, checkpoint_done, checkpoint_failed,
             reserved_words);
    DESCRIBE(HostWords, state, epoch, pid, pid_start, clean, fault, fault_errno, fault_since_ns, retries, gaps, gap_end, alarms,
             checkpoints, journal_file, journal_bytes, checkpoint_fault_errno, rank, waiter, waiter_start, waiter_beat,
             marks_until_ns, reserved_words);
    DESCRIBE(Control, log, status, marks, wakes, host);
}

}  // namespace

std::string describe_layout() {
    std::string text = "layout_version " + std::to_string(kLayoutVersion) + '\n';
    describe_orders(text);
    describe_rows(text);
    describe_risk(text);
    describe_executions(text);
    describe_sessions(text);
    describe_static_tables(text);
    describe_events(text);
    describe_segment(text);
    return text;
}

}  // namespace riskreg::layout
