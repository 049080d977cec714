#include "core/roll.hpp"

#include <cstring>

#include "core/apply.hpp"
#include "core/copy.hpp"
#include "core/decide_common.hpp"
#include "core/derived.hpp"

namespace riskreg::core {

using namespace layout;

void decide_rolled(const State& state, const Caller& caller, std::string_view reason, Decision& out) noexcept {
    if (log_is_tight(state)) return deny(state, DenyReason::journal_backlog, out);
    RolledEvent& event = out.event.rolled;
    event.header = header_of(state, EventType::rolled, caller);
    event.header.result = Result::ok;
    event.day = state.header->day + 1;
    event.uid = caller.uid;
    event.reason.size = static_cast<std::uint8_t>(std::min(reason.size(), sizeof event.reason.text));
    std::memcpy(event.reason.text, reason.data(), event.reason.size);
    out.verdict.result = Result::ok;
    out.commit = true;
}

// ---- blank tables -------------------------------------------------------------------------------

namespace {

OrderState absent_order() noexcept {
    OrderState absent{};
    absent.last_alias = absent.pending_alias = absent.last_execution = kNoSlot;
    return absent;
}

template <class T>
void copy_table(T* to, const T* from, std::size_t count) noexcept {
    if (count > 0) std::memcpy(static_cast<void*>(to), static_cast<const void*>(from), count * sizeof(T));
}

}  // namespace

void make_blank(const State& before, State& after) noexcept {
    const Geometry& g = before.geometry;
    copy_table(after.instrument_records, before.instrument_records, g.instruments);
    copy_table(after.account_records, before.account_records, g.accounts);
    copy_table(after.strategy_records, before.strategy_records, g.strategies);
    const std::size_t words = g.account_words() + g.instrument_words();
    copy_table(after.permissions, before.permissions, words * g.strategies);
    copy_table(after.config, before.config, g.config_bytes);
    // The other records are all written by every roll.
    for (std::uint32_t i = 0; i < g.orders; ++i) after.orders[i].state.make_genesis(absent_order());
    for (std::uint32_t i = 0; i < g.executions; ++i) after.executions[i].state.make_genesis({});
    for (std::uint32_t i = 0; i < g.breakers; ++i) after.breakers[i].counts.make_genesis({});
}

namespace {

/// One roll. The maps from old slots to new ones lie where the new indexes will be: both are larger than the tables.
class Roll {
public:
    Roll(const State& before, State& after, const RolledEvent& event) noexcept
        : before_(before), after_(after), event_(event), orders_(after.order_index), executions_(after.execution_index) {}

    void run() noexcept {
        forget_earlier();
        roll_words();
        roll_rows();
        roll_controls();
        roll_sessions();
        map_orders();
        map_executions();
        roll_orders();
        roll_executions();
        index();
    }

private:
    template <Record T>
    static void keep(Versioned<T>& to, const Versioned<T>& from) noexcept {
        to.copy[0] = T{};
        to.copy[1] = from.newest();
    }

    /// A record that the roll changes is a version of its event; one that is as at creation has the sequence of that.
    template <Record T>
    void put(Versioned<T>& to, T value) const noexcept {
        value.seq = kGenesis;
        T created{};
        created.seq = kGenesis;
        if (std::memcmp(&value, &created, sizeof value) != 0) value.seq = event_.header.seq;
        to.copy[0] = T{};
        to.copy[1] = value;
    }

    void forget_earlier() noexcept {
        for (std::uint64_t i = 0; i < after_.log->next_order; ++i) {
            after_.orders[i] = OrderSlot{};
            after_.orders[i].state.make_genesis(absent_order());
        }
        for (std::uint64_t i = 0; i < after_.log->next_execution; ++i) {
            after_.executions[i] = ExecutionSlot{};
            after_.executions[i].state.make_genesis({});
        }
    }

    void roll_words() noexcept {
        after_.header->day = event_.day;
        after_.header->rolled_seq = event_.header.seq;
        *after_.log = *before_.log;
        LogWords& log = *after_.log;
        log.committed = log.applied = event_.header.seq;
        log.last_time_ns = static_cast<std::uint64_t>(event_.header.time_ns);
        log.last_steady_ns = static_cast<std::uint64_t>(event_.header.steady_ns);
        log.next_order = log.next_execution = log.next_quarantine = 0;
        *after_.status = *before_.status;
        after_.status->quarantined_events = 0;
        after_.status->owner_session = 0;
        after_.status->recovered_ns = after_.status->recovered_steady_ns = after_.status->recovered_seq = 0;
        after_.status->book_overflow = 0;
    }

    void roll_rows() noexcept {
        for (std::uint32_t row = 0; row < before_.geometry.rows(); ++row) {
            keep(after_.rows[row].counters, before_.rows[row].counters);
            keep(after_.rows[row].control, before_.rows[row].control);
            keep(after_.rows_cold[row].latch, before_.rows_cold[row].latch);
            keep(after_.rows_risk[row].limits, before_.rows_risk[row].limits);
            RowDay day{};
            day.start_position = before_.rows[row].counters.newest().position;
            put(after_.rows_cold[row].day, day);
            put(after_.rows_risk[row].value, value_of(before_.rows_risk[row].value.newest()));
            put(after_.rows_risk[row].alerts, RowAlerts{});
            roll_meters(row);
        }
    }

    /// The result of the day begins at 0: what the positions are worth now is what they were worth at its start.
    static RowValue value_of(const RowValue& old) noexcept {
        RowValue value = old;
        value.start_value = old.net_value;
        value.cash_flow = value.peak = 0;
        return value;
    }

    /// Rings stay with their rows; nothing is counted in them.
    void roll_meters(std::uint32_t row) noexcept {
        const RowMeters& old = before_.rows_risk[row].meters.newest();
        RowMeters meters = old;
        meters.messages = meters.all_messages = 0;
        meters.since_ns = 0;
        meters.since_seq = 0;
        // One that no event has touched is what the configuration says, rings and all.
        if (old.seq > kGenesis) meters.seq = event_.header.seq;
        after_.rows_risk[row].meters.copy[0] = RowMeters{};
        after_.rows_risk[row].meters.copy[1] = meters;
    }

    void roll_controls() noexcept {
        for (std::uint32_t i = 0; i < before_.geometry.restrictions; ++i)
            keep(after_.restrictions[i].state, before_.restrictions[i].state);
        ApprovalRecord unused{};
        unused.row = kNoSlot;
        for (std::uint32_t i = 0; i < kApprovals; ++i) {
            const bool open = before_.approvals[i].state.newest().status == ApprovalStatus::open;
            if (open) keep(after_.approvals[i].state, before_.approvals[i].state);
            else after_.approvals[i].state.make_genesis(unused);
        }
    }

    /// The processes are the same, and so are their generations: nobody has to claim its orders again, and no death on the
    /// way into the new day goes unnoticed. The mutexes are the caller's.
    void roll_sessions() noexcept {
        for (std::uint32_t i = 0; i < before_.geometry.sessions; ++i) {
            SessionSlot& to = after_.sessions[i];
            const SessionSlot& from = before_.sessions[i];
            keep(to.record, from.record);
            to.word = load_relaxed(from.word);
            to.accepted = load_relaxed(from.accepted);
            to.denied = load_relaxed(from.denied);
            to.denied_unlogged = load_relaxed(from.denied_unlogged);
            to.facts = load_relaxed(from.facts);
        }
        for (std::uint32_t i = 0; i < before_.geometry.strategies; ++i)
            keep(after_.strategies[i].state, before_.strategies[i].state);
        for (std::uint32_t i = 0; i < before_.geometry.instruments; ++i) {
            keep(after_.references[i].price, before_.references[i].price);
            keep(after_.references[i].owner, before_.references[i].owner);
        }
    }

    /// A gap that the venue reported is reserved after the end of the order, until its fills arrive.
    [[nodiscard]] bool goes_on(std::uint32_t slot) const noexcept {
        const std::uint32_t head = before_.orders[slot].identity.head;
        const OrderState& order = before_.orders[head].state.newest();
        return is_live(order.base) || order.reserved_quantity != 0;
    }

    void map_orders() noexcept {
        std::uint64_t next = 0;
        for (std::uint32_t slot = 0; slot < before_.log->next_order; ++slot) orders_[slot] = goes_on(slot) ? next++ : kNoSlot;
        after_.log->next_order = next;
    }

    void map_executions() noexcept {
        std::uint64_t next = 0;
        for (std::uint32_t slot = 0; slot < before_.log->next_execution; ++slot)
            executions_[slot] = order(before_.executions[slot].identity.order_slot) != kNoSlot ? next++ : kNoSlot;
        after_.log->next_execution = next;
    }

    [[nodiscard]] std::uint32_t order(std::uint32_t slot) const noexcept {
        return slot < before_.log->next_order ? static_cast<std::uint32_t>(orders_[slot]) : kNoSlot;
    }
    [[nodiscard]] std::uint32_t execution(std::uint32_t slot) const noexcept {
        return slot < before_.log->next_execution ? static_cast<std::uint32_t>(executions_[slot]) : kNoSlot;
    }

    void roll_orders() noexcept {
        for (std::uint32_t slot = 0; slot < before_.log->next_order; ++slot) {
            if (order(slot) == kNoSlot) continue;
            const OrderSlot& from = before_.orders[slot];
            OrderSlot& to = after_.orders[order(slot)];
            to.identity = from.identity;
            to.identity.head = order(from.identity.head);
            to.identity.previous = order(from.identity.previous);
            to.identity.flags &= ~static_cast<std::uint32_t>(kContentIndexed);
            if (to.identity.kind == SlotKind::order) to.identity.content_previous = kNoSlot;
            to.venue = from.venue;
            keep(to.state, from.state);
            OrderState& state = to.state.copy[1];
            state.last_alias = order(state.last_alias);
            state.pending_alias = order(state.pending_alias);
            state.last_execution = execution(state.last_execution);
        }
    }

    void roll_executions() noexcept {
        for (std::uint32_t slot = 0; slot < before_.log->next_execution; ++slot) {
            if (execution(slot) == kNoSlot) continue;
            const ExecutionSlot& from = before_.executions[slot];
            ExecutionSlot& to = after_.executions[execution(slot)];
            to.identity = from.identity;
            to.identity.order_slot = order(from.identity.order_slot);
            to.identity.previous = execution(from.identity.previous);
            keep(to.state, from.state);
            ExecutionState& state = to.state.copy[1];
            if (state.status == ExecutionStatus::corrected) state.successor = execution(state.successor);
        }
    }

    void index_order(std::uint32_t slot) noexcept {
        const OrderIdentity& identity = after_.orders[slot].identity;
        insert_word(after_.order_index, after_.geometry.order_index, order_hash(identity.account, identity.id), slot);
    }

    /// The maps are not needed any more.
    void index() noexcept {
        const Geometry& g = after_.geometry;
        std::memset(after_.order_index, 0, 8ULL * g.order_index);
        std::memset(after_.execution_index, 0, 8ULL * g.execution_index);
        for (std::uint32_t i = 0; i < after_.log->next_order; ++i) index_order(i);
        for (std::uint32_t i = 0; i < after_.log->next_execution; ++i) {
            const ExecutionIdentity& e = after_.executions[i].identity;
            insert_word(after_.execution_index, g.execution_index, execution_hash(e.order_slot, e.id), i);
        }
    }

    const State& before_;
    State& after_;
    const RolledEvent& event_;
    std::uint64_t* orders_;
    std::uint64_t* executions_;
};

}  // namespace

void roll_tables(const State& before, State& after, const RolledEvent& event) noexcept { Roll(before, after, event).run(); }

bool ends_the_day(const State& state) noexcept {
    const std::uint64_t last = load_acquire(state.log->committed);
    // The new day's log begins with the same event; its header says so.
    if (last == load_relaxed(state.header->rolled_seq)) return false;
    Event event;
    return read_event(state, last, event) && event.header.type == EventType::rolled;
}

void apply_to_private(State& state, const Event& event) {
    if (event.header.type != EventType::rolled) return apply(state, event);
    PrivateState next = allocate_state(state.geometry);
    make_blank(state, next.state);
    roll_tables(state, next.state, event.rolled);
    // Everything between the control words and the ring; the static parts behind it are the same.
    const Offsets& o = state.offsets;
    std::memcpy(state.base + o.sessions, next.state.base + o.sessions, o.ring - o.sessions);
    *state.log = *next.state.log;
    *state.status = *next.state.status;
    state.header->day = event.rolled.day;
    state.header->rolled_seq = event.header.seq;
    if (state.keeps_derived) rebuild_derived(state);
}

}  // namespace riskreg::core
