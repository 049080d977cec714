#include "core/roll.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/apply.hpp"
#include "core/book.hpp"
#include "core/copy.hpp"
#include "core/decide_common.hpp"
#include "core/derived.hpp"
#include "core/genesis.hpp"
#include "core/index.hpp"

namespace riskreg::core {

using namespace layout;

void decide_rolled(const State& state, const Caller& caller, std::string_view reason, Decision& out) noexcept {
    if (log_is_tight(state)) return deny(state, DenyReason::journal_backlog, out);
    RolledEvent event{};
    event.header = header_of(state, EventType::rolled, caller);
    event.header.result = Result::ok;
    event.day = state.header->day + 1;
    event.uid = caller.uid;
    event.reason.size = static_cast<std::uint8_t>(std::min(reason.size(), sizeof event.reason.text));
    std::memcpy(event.reason.text, reason.data(), event.reason.size);
    out.write(event);
    out.verdict.result = Result::ok;
    out.commit = true;
}

// ---- blank tables -------------------------------------------------------------------------------

void make_blank(const State& before, State& after) noexcept {
    const Geometry& g = before.geometry;
    copy_entities(after, before);
    // The other records are all written by every roll.
    for (std::uint32_t i = 0; i < g.orders; ++i) after.orders[i].state.make_genesis(as_created<OrderState>());
    for (std::uint32_t i = 0; i < g.executions; ++i) after.executions[i].state.make_genesis({});
    for (std::uint32_t i = 0; i < g.breakers; ++i) after.breakers[i].counts.make_genesis({});
}

struct DayRoll::Work {
    /// Where a slot of the old day belongs: absent, in the first class, or behind it in the order of these.
    struct Late {
        std::uint64_t key;
        std::uint32_t slot;
        bool operator<(const Late& other) const noexcept { return key != other.key ? key < other.key : slot < other.slot; }
    };
    static constexpr std::uint64_t kAbsent = 0;

    Work(const State& old, State& next, std::uint64_t base_seq, std::uint64_t stamp_seq)
        : before(old),
          after(next),
          base(base_seq),
          stamp(stamp_seq),
          orders(old.geometry.orders, kNoSlot),
          executions(old.geometry.executions, kNoSlot) {}

    // ---- records of the same place ----

    template <Record T>
    static void keep(Versioned<T>& to, const Versioned<T>& from) noexcept {
        to.copy[0] = T{};
        to.copy[1] = from.newest();
    }
    /// A record that the roll changes is a version of `stamp`; one that is as at creation has the sequence of that.
    template <Record T>
    void put(Versioned<T>& to, T value) const noexcept {
        value.seq = kGenesis;
        T created{};
        created.seq = kGenesis;
        if (std::memcmp(&value, &created, sizeof value) != 0) value.seq = stamp;
        to.copy[0] = T{};
        to.copy[1] = value;
    }

    void roll_row(std::uint32_t row) noexcept {
        keep(after.rows[row].counters, before.rows[row].counters);
        keep(after.rows[row].control, before.rows[row].control);
        keep(after.rows_cold[row].latch, before.rows_cold[row].latch);
        keep(after.rows_risk[row].limits, before.rows_risk[row].limits);
        RowDay day{};
        day.start_position = before.rows[row].counters.newest().position;
        put(after.rows_cold[row].day, day);
        put(after.rows_risk[row].value, value_of(before.rows_risk[row].value.newest()));
        put(after.rows_risk[row].alerts, RowAlerts{});
        roll_meters(row);
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
        const RowMeters& old = before.rows_risk[row].meters.newest();
        RowMeters meters = old;
        meters.messages = meters.all_messages = 0;
        meters.since_ns = 0;
        meters.since_seq = 0;
        // One that no event has touched is what the configuration says, rings and all.
        if (old.seq > kGenesis) meters.seq = stamp;
        after.rows_risk[row].meters.copy[0] = RowMeters{};
        after.rows_risk[row].meters.copy[1] = meters;
    }
    void roll_approval(std::uint32_t i) noexcept {
        const bool open = before.approvals[i].state.newest().status == ApprovalStatus::open;
        if (open) keep(after.approvals[i].state, before.approvals[i].state);
        else after.approvals[i].state.make_genesis(as_created<ApprovalRecord>());
    }
    void roll_controls() noexcept {
        for (std::uint32_t i = 0; i < before.geometry.restrictions; ++i)
            keep(after.restrictions[i].state, before.restrictions[i].state);
        for (std::uint32_t i = 0; i < kApprovals; ++i) roll_approval(i);
    }
    /// The processes are the same, and so are their generations: nobody has to claim its orders again, and no death on the
    /// way into the new day goes unnoticed. The mutexes are the caller's.
    void roll_session(std::uint32_t i) noexcept {
        SessionSlot& to = after.sessions[i];
        const SessionSlot& from = before.sessions[i];
        keep(to.record, from.record);
        to.word = load_relaxed(from.word);
        to.accepted = load_relaxed(from.accepted);
        to.denied = load_relaxed(from.denied);
        to.denied_unlogged = load_relaxed(from.denied_unlogged);
        to.facts = load_relaxed(from.facts);
    }
    void roll_sessions() noexcept {
        for (std::uint32_t i = 0; i < before.geometry.sessions; ++i) roll_session(i);
        for (std::uint32_t i = 0; i < before.geometry.strategies; ++i)
            keep(after.strategies[i].state, before.strategies[i].state);
        for (std::uint32_t i = 0; i < before.geometry.instruments; ++i) {
            keep(after.references[i].price, before.references[i].price);
            keep(after.references[i].owner, before.references[i].owner);
        }
    }

    // ---- where slots go ----

    [[nodiscard]] std::uint64_t key_of_head(std::uint32_t slot) const noexcept {
        const OrderState& order = before.orders[slot].state.newest();
        const std::uint64_t created = before.orders[slot].identity.created_seq;
        if (created > base) return created;
        if (order.seq > base) return order.roll_key;
        return goes_on(order) ? kFirstClass : kAbsent;
    }
    /// What belongs to an order goes where it goes, and no further ahead than it came.
    [[nodiscard]] std::uint64_t key_of(std::uint32_t head, std::uint64_t created) const noexcept {
        const std::uint64_t key = key_of_head(head);
        return key == kAbsent ? kAbsent : std::max(key, created > base ? created : kFirstClass);
    }
    [[nodiscard]] std::uint64_t key_of_order(std::uint32_t slot) const noexcept {
        const OrderIdentity& identity = before.orders[slot].identity;
        return key_of(identity.head, identity.created_seq);
    }
    [[nodiscard]] std::uint64_t key_of_execution(std::uint32_t slot) const noexcept {
        const ExecutionIdentity& identity = before.executions[slot].identity;
        return key_of(identity.order_slot, identity.seq);
    }

    /// The first class in the order of its slots, which no later event changes; then what is late, in the order in which it came.
    template <class Key>
    static std::uint32_t map(std::vector<std::uint32_t>& slots, std::uint64_t used, std::vector<Late>& late, Key key_of_slot) {
        std::uint32_t next = 0;
        late.clear();
        for (std::uint32_t slot = 0; slot < used; ++slot) {
            const std::uint64_t key = key_of_slot(slot);
            slots[slot] = key == kFirstClass ? next++ : kNoSlot;
            if (key > kFirstClass) late.push_back({key, slot});
        }
        std::sort(late.begin(), late.end());
        for (const Late& one : late) slots[one.slot] = next++;
        return next;
    }
    void map_all() {
        std::fill(orders.begin(), orders.end(), kNoSlot);
        std::fill(executions.begin(), executions.end(), kNoSlot);
        next_order = map(orders, before.log->next_order, late, [this](std::uint32_t slot) { return key_of_order(slot); });
        next_execution =
            map(executions, before.log->next_execution, late, [this](std::uint32_t slot) { return key_of_execution(slot); });
    }

    [[nodiscard]] std::uint32_t order(std::uint32_t slot) const noexcept {
        return slot < orders.size() ? orders[slot] : kNoSlot;
    }
    [[nodiscard]] std::uint32_t execution(std::uint32_t slot) const noexcept {
        return slot < executions.size() ? executions[slot] : kNoSlot;
    }

    void put_order(std::uint32_t slot) noexcept {
        const OrderSlot& from = before.orders[slot];
        OrderSlot& to = after.orders[orders[slot]];
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
        state.roll_key = 0;
    }
    void put_execution(std::uint32_t slot) noexcept {
        const ExecutionSlot& from = before.executions[slot];
        ExecutionSlot& to = after.executions[executions[slot]];
        to.identity = from.identity;
        to.identity.order_slot = order(from.identity.order_slot);
        to.identity.previous = execution(from.identity.previous);
        keep(to.state, from.state);
        ExecutionState& state = to.state.copy[1];
        if (state.status == ExecutionStatus::corrected) state.successor = execution(state.successor);
    }
    void index_order(std::uint32_t slot) noexcept {
        const OrderIdentity& identity = after.orders[slot].identity;
        insert_word(after.order_index, after.geometry.order_index, order_hash(identity.account, identity.id), slot);
    }
    void index_execution(std::uint32_t slot) noexcept {
        const ExecutionIdentity& identity = after.executions[slot].identity;
        insert_word(after.execution_index, after.geometry.execution_index, execution_hash(identity.order_slot, identity.id),
                    slot);
    }

    void forget_earlier() noexcept {
        for (std::uint64_t i = 0; i < after.log->next_order; ++i) {
            after.orders[i] = OrderSlot{};
            after.orders[i].state.make_genesis(as_created<OrderState>());
        }
        for (std::uint64_t i = 0; i < after.log->next_execution; ++i) {
            after.executions[i] = ExecutionSlot{};
            after.executions[i].state.make_genesis({});
        }
        std::memset(after.order_index, 0, 8ULL * after.geometry.order_index);
        std::memset(after.execution_index, 0, 8ULL * after.geometry.execution_index);
        after.log->next_order = after.log->next_execution = 0;
    }

    // ---- one event more ----

    void add_order(std::uint32_t slot) noexcept { orders[slot] = next_order++; }
    void add_execution(std::uint32_t slot) noexcept { executions[slot] = next_execution++; }

    /// An order that had ended goes on after all: with every id that it has, and all its executions, in the order of their slots.
    void add_chain(std::uint32_t head) noexcept {
        late.clear();
        const std::uint32_t used = static_cast<std::uint32_t>(before.log->next_order);
        for (std::uint32_t at = before.orders[head].state.newest().last_alias; at < used && late.size() < late.capacity();
             at = before.orders[at].identity.previous)
            late.push_back({0, at});
        sort_and([this](std::uint32_t slot) { add_order(slot); });
        late.clear();
        const std::uint32_t trades = static_cast<std::uint32_t>(before.log->next_execution);
        for (std::uint32_t at = before.orders[head].state.newest().last_execution; at < trades && late.size() < late.capacity();
             at = before.executions[at].identity.previous)
            late.push_back({0, at});
        sort_and([this](std::uint32_t slot) { add_execution(slot); });
    }
    template <class Visit>
    void sort_and(Visit visit) noexcept {
        std::sort(late.begin(), late.end());
        for (const Late& one : late) visit(one.slot);
    }

    /// Books follow only for orders that are in them already; the others get there as they are then.
    void put_head(std::uint32_t head, std::uint64_t seq) noexcept {
        const std::uint32_t slot = orders[head];
        const bool follows = slot < booked && keeps_books(after);
        const BookKeys was = follows ? keys_of_slot(after, slot) : BookKeys{};
        put_order(head);
        index_order(slot);
        if (!follows) return;
        const OrderIdentity& i = after.orders[slot].identity;
        move_in_books(after, seq, i.account, i.instrument, i.side, was, keys_of_slot(after, slot));
    }

    void follow_order(const EventHeader& h) noexcept {
        const std::uint32_t head = h.order_slot;
        const bool comes_back = order(head) == kNoSlot;
        if (comes_back && key_of_head(head) == kAbsent) return;
        if (comes_back) {
            add_chain(head);
        } else {
            if (h.alias_slot != kNoSlot && h.alias_slot != head) add_order(h.alias_slot);
            if (h.execution_slot != kNoSlot) add_execution(h.execution_slot);
        }
        if (comes_back) put_chain(head);
        else put_new(h);
        put_head(head, h.seq);
    }
    void put_new(const EventHeader& h) noexcept {
        if (h.alias_slot != kNoSlot) put_order(h.alias_slot), index_order(orders[h.alias_slot]);
        for (const std::uint32_t slot : {h.execution_slot, h.execution_ref})
            if (execution(slot) != kNoSlot) put_execution(slot), index_execution(executions[slot]);
    }
    void put_chain(std::uint32_t head) noexcept {
        const std::uint32_t used = static_cast<std::uint32_t>(before.log->next_order);
        const OrderState& state = before.orders[head].state.newest();
        for (std::uint32_t at = state.last_alias; order(at) != kNoSlot && at < used; at = before.orders[at].identity.previous)
            if (at != head) put_order(at), index_order(orders[at]);
        for (std::uint32_t at = state.last_execution; execution(at) != kNoSlot; at = before.executions[at].identity.previous)
            put_execution(at), index_execution(executions[at]);
    }

    void follow_rows(const Event& event) noexcept {
        const EventHeader& h = event.header;
        const auto roll = [this](std::uint32_t row) {
            if (row < before.geometry.rows()) roll_row(row);
        };
        for (const std::uint32_t row : rows_of(before.geometry, h.account, h.strategy, h.instrument)) roll(row);
        roll(row_of(event));
        if (h.type == EventType::marked) roll(event.marked.total_row);
    }
    void follow_others(const Event& event) noexcept {
        const EventHeader& h = event.header;
        switch (h.type) {
            case EventType::restricted_changed:
                return keep(after.restrictions[event.restriction.slot].state,
                            before.restrictions[event.restriction.slot].state);
            case EventType::resume_requested: return roll_approval(event.approval.slot);
            case EventType::state_changed:
            case EventType::reconciled:
                if (event.state.approves != 0) roll_approval(event.state.approves - 1);
                return;
            case EventType::session_attached:
            case EventType::session_detached:
            case EventType::session_dead:
            case EventType::session_fenced:
                roll_session(h.session);
                if (h.strategy < before.geometry.strategies)
                    keep(after.strategies[h.strategy].state, before.strategies[h.strategy].state);
                return;
            case EventType::reference_owner:
                return keep(after.references[h.instrument].owner, before.references[h.instrument].owner);
            default: return;
        }
    }

    const State& before;
    State& after;
    const std::uint64_t base;
    const std::uint64_t stamp;
    std::vector<std::uint32_t> orders;  // slots of the next day by those of the old one
    std::vector<std::uint32_t> executions;
    std::vector<Late> late;
    std::uint32_t next_order = 0;
    std::uint32_t next_execution = 0;
    std::uint32_t booked = 0;  // orders of the next day below this one are in the books
};

DayRoll::DayRoll(const State& before, State& after, std::uint64_t base, std::uint64_t stamp)
    : work_(std::make_unique<Work>(before, after, base, stamp)) {}
DayRoll::~DayRoll() = default;

namespace {

/// Calls `visit` for each number below what `end` says then, and pauses now and then. False when a pause says so.
template <class End, class Visit>
bool each(End end, const Pause& pause, Visit visit) {
    for (std::uint64_t i = 0; i < end(); ++i) {
        if (pause && i % kPiece == kPiece - 1 && !pause()) return false;
        visit(static_cast<std::uint32_t>(i));
    }
    return true;
}

}  // namespace

bool DayRoll::make_tables(const Pause& pause) {
    Work& w = *work_;
    w.forget_earlier();
    w.roll_controls();
    w.roll_sessions();
    w.map_all();
    // Whatever a chain may need later is there before the first event is followed.
    w.late.reserve(std::max(w.before.geometry.orders, w.before.geometry.executions));
    return each([&] { return w.before.geometry.rows(); }, pause, [&](std::uint32_t row) { w.roll_row(row); }) &&
           each([&] { return w.before.log->next_order; }, pause,
                [&](std::uint32_t slot) {
                    if (w.orders[slot] != kNoSlot) w.put_order(slot), w.index_order(w.orders[slot]);
                }) &&
           each([&] { return w.before.log->next_execution; }, pause,
                [&](std::uint32_t slot) {
                    if (w.executions[slot] != kNoSlot) w.put_execution(slot), w.index_execution(w.executions[slot]);
                });
}

bool DayRoll::make_books(const Pause& pause) {
    Work& w = *work_;
    clear_books(w.after);
    w.booked = 0;
    // No content of the old day counts in the next one: that index stays empty.
    return each([&] { return w.next_order; }, pause,
                [&](std::uint32_t slot) {
                    add_to_books(w.after, slot, w.base);
                    w.booked = slot + 1;
                }) &&
           (w.booked = kNoSlot, true);
}

void DayRoll::follow(const Event& event) noexcept {
    Work& w = *work_;
    if ((event.header.flags & kNoChange) != 0) return;
    w.follow_rows(event);
    if (event.header.type == EventType::registered) {
        w.add_order(event.header.order_slot);
        return w.put_head(event.header.order_slot, event.header.seq);
    }
    if (is_life(event.header.type)) return w.follow_order(event.header);
    w.follow_others(event);
}

void DayRoll::finish(const RolledEvent& event) noexcept {
    Work& w = *work_;
    State& after = w.after;
    after.header->day = event.day;
    after.header->rolled_seq = event.header.seq;
    after.header->day_begun_ns = event.header.time_ns;
    after.header->day_begun_steady_ns = event.header.steady_ns;
    after.header->rolled_uid = event.uid;
    *after.log = *w.before.log;
    LogWords& log = *after.log;
    log.committed = log.applied = event.header.seq;
    log.last_time_ns = static_cast<std::uint64_t>(event.header.time_ns);
    log.last_steady_ns = static_cast<std::uint64_t>(event.header.steady_ns);
    log.next_order = w.next_order;
    log.next_execution = w.next_execution;
    log.next_quarantine = 0;
    const std::uint64_t overflow = after.status->book_overflow;
    *after.status = *w.before.status;
    StatusWords& status = *after.status;
    status.quarantined_events = status.owner_session = 0;
    status.recovered_ns = status.recovered_steady_ns = status.recovered_seq = 0;
    status.brake = status.roll_phase = status.roll_base = 0;
    status.book_overflow = w.booked != 0 ? overflow : 0;
}

void roll_tables(const State& before, State& after, const RolledEvent& event) {
    const bool quiet = event.base_seq == 0;
    DayRoll roll(before, after, quiet ? event.header.seq - 1 : event.base_seq, quiet ? event.header.seq : event.base_seq);
    static_cast<void>(roll.make_tables({}));
    roll.finish(event);
}

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
    for (auto word : {&Header::day, &Header::rolled_seq}) state.header->*word = next.state.header->*word;
    for (auto word : {&Header::day_begun_ns, &Header::day_begun_steady_ns}) state.header->*word = next.state.header->*word;
    state.header->rolled_uid = next.state.header->rolled_uid;
    if (state.keeps_derived) rebuild_derived(state);
}

}  // namespace riskreg::core
