// What the audit says of tables that contradict themselves, one planted contradiction at a time, and which events a recovery
// never applies. (scribbler_test plants random ones.)
#include <catch2/catch.hpp>

#include "core/audit.hpp"
#include "core/check_event.hpp"
#include "core/copy.hpp"
#include "layout/segment.hpp"
#include "registry/verifier.hpp"
#include "support/desk.hpp"

namespace riskreg::test {
namespace {

using layout::Event;
using layout::EventType;

SharedConfig config_with_books() {
    SharedConfig config = desk_config();
    config.self_match = SelfMatch::refuse_new;
    return config;
}

/// Three orders, one of them with another id since an amend, two executions; budgets and repeated content are counted.
class Tables {
public:
    Tables() : desk(config_with_books()) {
        desk.limit(kFirm, &Limits::max_messages, 100);
        desk.limit(kAccountEs, &Limits::max_messages, 100);
        desk.limit(kFirm, &Limits::max_same_content, 50);
        desk.limit(kFirm, &Limits::max_gross_notional, money(1'000'000));
        desk.limit({.kind = ScopeKind::strategy_instrument, .strategy = StrategyId{0}, .instrument = InstrumentId{0}},
                   &Limits::max_same_direction, 50);
        desk.reference(100);
        desk.buy("A", 10);
        desk.fill("A", "E1", 2);
        desk.fill("A", "E2", 3);
        desk.buy("B", 10);
        desk.buy("C", 10, 99);
        desk.acked("C");
        desk.amend({.id = "C", .quantity = lots(20), .new_id = "C-2"});
        desk.fill("B", "E1", 1);
        desk.fill_unknown("E9");
        state().header->state = static_cast<std::uint64_t>(layout::SegmentState::ready);
        require_sound();
    }
    [[nodiscard]] core::State& state() { return desk.registry.state(); }
    void require_sound() { REQUIRE(core::audit(state()).violations == std::vector<std::string>{}); }

    /// With `field` changed the audit says `words`; with its own value again nothing.
    template <class Field, class Value>
    void require_noticed(Field& field, Value value, const char* words) {
        const Field before = field;
        field = static_cast<Field>(value);
        std::string all;
        for (const std::string& violation : core::audit(state()).violations) all += violation + '\n';
        CHECK_THAT(all, Catch::Contains(words));
        field = before;
        require_sound();
    }
    /// The version that readers take.
    template <class Versions>
    static auto& newest(Versions& versions) {
        return versions.copy[versions.newer()];
    }

    TradingDesk desk;
};

constexpr std::uint32_t kA = 0, kB = 1, kC = 2, kCAlias = 3;   // slots, as they were taken

}  // namespace

TEST_CASE("the audit names a header, a log word or a record of creation that was changed", "[core][audit][inv-12]") {
    Tables t;
    core::State& s = t.state();
    t.require_noticed(s.header->magic, s.header->magic ^ 1U, "header: magic is damaged");
    t.require_noticed(s.log->applied, s.log->applied - 1, "INV-3: applied");
    t.require_noticed(s.log->next_order, s.geometry.orders + 1, "next_order 257 beyond the table");
    t.require_noticed(s.log->next_execution, s.geometry.executions + 1, "next_execution 257 beyond the table");
    t.require_noticed(s.log->next_quarantine, s.geometry.quarantine + 1, "next_quarantine");
    t.require_noticed(s.instrument_records[0].tick, s.instrument_records[0].tick + 1, "or the configuration were changed");
    t.require_noticed(s.strategy_records[1].on_death, 9, "or the configuration were changed");
    t.require_noticed(s.permissions[0], 0, "or the configuration were changed");
    t.require_noticed(s.sessions[1].word, 0, "session 1: its word and its record do not agree");
}

TEST_CASE("the verifier names the record and the first field in which the tables differ from the replica",
          "[registry][inv-12]") {
    Tables t;
    core::State& s = t.state();
    const std::optional<core::PrivateState> replica = core::copy_consistent(s);
    REQUIRE(replica);
    const auto look = [&] {
        registry::Verifier verifier(s, replica->state);
        std::string found;
        const std::uint64_t equal = verifier.step(verifier.size(), [&](const std::string& what) { found += what + '\n'; });
        CHECK(equal == verifier.size() - (found.empty() ? 0 : 1));
        return found;
    };
    const auto require_named = [&](auto& field, const char* words) {
        const auto before = field;
        reinterpret_cast<unsigned char&>(field) ^= 1U;
        CHECK(look() == std::string(words) + '\n');
        field = before;
        REQUIRE(look() == "");
    };
    REQUIRE(look() == "");
    require_named(Tables::newest(s.rows[0].counters).position, "row firm: RowCounters.position");
    require_named(Tables::newest(s.rows[0].control).max_working_sell, "row firm: RowControl.max_working_sell");
    require_named(Tables::newest(s.rows_cold[1].latch).reason, "row account:A1: RowLatch.reason");
    require_named(Tables::newest(s.rows_risk[1].meters).messages, "row account:A1: RowMeters.messages");
    require_named(s.orders[kA].identity.price, "order slot 0: OrderIdentity.price");
    require_named(s.orders[kC].venue.id.words[4], "order slot 2: VenueId.id");
    require_named(Tables::newest(s.orders[kB].state).reserved_quantity, "order slot 1: OrderState.reserved_quantity");
    require_named(s.executions[1].identity.previous, "execution slot 1: ExecutionIdentity.previous");
    require_named(Tables::newest(s.executions[1].state).quantity, "execution slot 1: ExecutionState.quantity");
    require_named(Tables::newest(s.sessions[1].record).uid, "session 1: SessionRecord.uid");
    require_named(Tables::newest(s.strategies[0].state).session, "strategy 0: StrategyState.session");
    require_named(Tables::newest(s.breakers[0].counts).sells, "breaker 0: BreakerCounts.sells");
    require_named(Tables::newest(s.approvals[63].state).row, "approval 63: ApprovalRecord.row");
}

TEST_CASE("the verifier waits for a writer who has committed and is not through with what is written once",
          "[registry][inv-12]") {
    Tables t;
    core::State& s = t.state();
    const std::optional<core::PrivateState> replica = core::copy_consistent(s);
    REQUIRE(replica);
    const auto look = [&] {
        registry::Verifier verifier(s, replica->state);
        std::string found;
        static_cast<void>(verifier.step(verifier.size(), [&](const std::string& what) { found += what; }));
        return found;
    };
    // As it is between the commit of its event and its slot: the journal, and so the replica, may have it already.
    const std::uint64_t applied = s.log->applied;
    const auto require_waits = [&](auto& identity, std::uint64_t seq, const char* words) {
        const auto whole = identity;
        identity = {};
        s.log->applied = seq - 1;
        CHECK(look() == "");
        s.log->applied = applied;
        CHECK(look() == words);
        identity = whole;
        REQUIRE(look() == "");
    };
    layout::OrderIdentity& order = s.orders[kB].identity;
    require_waits(order, order.created_seq, "order slot 1: OrderIdentity.id");
    layout::ExecutionIdentity& execution = s.executions[1].identity;
    require_waits(execution, execution.seq, "execution slot 1: ExecutionIdentity.id");
}

TEST_CASE("the audit names an order whose slot, id, state or reservation does not fit", "[core][audit][inv-4][inv-12]") {
    Tables t;
    core::State& s = t.state();
    layout::OrderIdentity& identity = s.orders[kA].identity;
    t.require_noticed(identity.account, 77, "order slot 0: unknown account, strategy or instrument");
    t.require_noticed(identity.id.words[0], identity.id.words[0] ^ 1U, "order slot 0: the index does not lead to id");
    t.require_noticed(identity.kind, 9, "order slot 0: neither order nor alias");
    t.require_noticed(s.orders[kCAlias].identity.head, kCAlias, "order slot 3: alias C-2 has no head");
    auto& order = Tables::newest(s.orders[kA].state);
    t.require_noticed(s.orders[kA].state, layout::Versioned<layout::OrderState>{}, "order A (slot 0): has no version");
    t.require_noticed(order.cum_quantity, -1, "INV-4: cum below 0");
    t.require_noticed(order.base, OrderBase::canceled, "INV-4: reserved quantity is not what can still execute");
    t.require_noticed(order.pending_alias, kCAlias, "a pending id without a pending replace");
    t.require_noticed(order.reserved_quantity, order.reserved_quantity + 1, "INV-4: reserved quantity");
    t.require_noticed(order.reserved_notional, order.reserved_notional - 1, "INV-4: reserved notional is not exact");
    t.require_noticed(s.orders[kB].identity.content_previous, kC,
                      "order B (slot 1): follows a later order of the same content");
    auto& pending = Tables::newest(s.orders[kC].state);
    t.require_noticed(pending.base, OrderBase::canceled, "order C (slot 2): terminal with a pending request");
}

TEST_CASE("the audit names an execution that is in no order, in another one, or not found by its id",
          "[core][audit][inv-8][inv-12]") {
    Tables t;
    core::State& s = t.state();
    auto& order = Tables::newest(s.orders[kA].state);
    t.require_noticed(order.last_execution, 200, "order A: its chain of executions is broken");
    t.require_noticed(order.last_execution, 2, "order A: execution E1 is another order's");
    t.require_noticed(s.executions[1].identity.previous, 1, "order A: its chain of executions is broken");   // a ring
    t.require_noticed(Tables::newest(s.executions[0].state).quantity, 1,
                      "INV-8: order A: cum is 500000000, its executions sum to");
    t.require_noticed(s.executions[0].identity.order_slot, 250, "execution slot 0: no such order");
    t.require_noticed(s.executions[0].identity.id.words[0], 7, "execution slot 0: the index does not lead to id");
}

TEST_CASE("the audit names a row that is not the sum of its orders", "[core][audit][inv-5][inv-12]") {
    Tables t;
    core::State& s = t.state();
    const std::uint32_t firm = s.geometry.firm_row();
    auto& counters = Tables::newest(s.rows[firm].counters);
    const std::pair<std::int64_t layout::RowCounters::*, const char*> sums[] = {
        {&layout::RowCounters::open_buy_quantity, "open_buy_quantity is"},
        {&layout::RowCounters::open_sell_quantity, "open_sell_quantity is"},
        {&layout::RowCounters::open_buy_notional, "open_buy_notional is"},
        {&layout::RowCounters::open_sell_notional, "open_sell_notional is"},
        {&layout::RowCounters::position, "position is"}};
    for (const auto& [member, words] : sums) t.require_noticed(counters.*member, counters.*member + 1, words);
    t.require_noticed(counters.working_buy, 0, "working_buy is 0, its orders sum to 3");
    t.require_noticed(counters.working_sell, 1, "working_sell is 1, its orders sum to 0");
    auto& day = Tables::newest(s.rows_cold[firm].day);
    t.require_noticed(day.bought_quantity, 1, "bought_quantity is 1");
    t.require_noticed(day.sold_notional, 1, "sold_notional is 1");
    auto& value = Tables::newest(s.rows_risk[firm].value);
    t.require_noticed(value.gross_value, value.gross_value + 1, "INV-5: row firm: gross_value is");
    t.require_noticed(value.cash_flow, value.cash_flow + 1, "cash_flow is");
    t.require_noticed(value.peak, -1, "INV-5: row firm: peak is -1, the result of the day is");
    const std::uint32_t single = s.geometry.row_of(kAccountEs);
    auto& worth = Tables::newest(s.rows_risk[single].value);
    t.require_noticed(worth.net_value, worth.net_value - 1, "INV-5: row account:A1/instrument:ES: net_value is");
}

TEST_CASE("the audit names a control, a restriction or a budget that does not agree with what it is of",
          "[core][audit][inv-12]") {
    Tables t;
    core::State& s = t.state();
    const std::uint32_t firm = s.geometry.firm_row();
    auto& control = Tables::newest(s.rows[firm].control);
    t.require_noticed(control.flags, control.flags | layout::kRestricted, "its control and the restricted list do not agree");
    t.require_noticed(control.set, 0, "its control and its limits do not agree");
    auto& entry = Tables::newest(s.restrictions[0].state);
    entry.row = s.geometry.rows();
    t.require_noticed(entry.sides, 1, "restricted list, entry 0: no such scope");
    entry.row = 0;
    t.require_noticed(s.status->next_budget_ring, 99, "next_budget_ring 99 beyond the table");
    auto& meters = Tables::newest(s.rows_risk[firm].meters);
    t.require_noticed(meters.messages_ring, 7, "row firm: budget ring 7 is not its own");
    const std::uint32_t other = s.geometry.row_of(kAccountEs);
    t.require_noticed(meters.messages_ring, Tables::newest(s.rows_risk[other].meters).messages_ring, "is not its own");
}

TEST_CASE("the audit names an index of contents or a book that does not lead to the orders", "[core][audit][inv-12]") {
    Tables t;
    core::State& s = t.state();
    for (std::uint32_t word = 0; word < s.geometry.content_index; ++word)
        if (s.content_index[word] != 0)
            t.require_noticed(s.content_index[word], 0, "the content index does not lead to the newest order");
    t.require_noticed(s.orders[kC].identity.content_previous, kA, "a chain of equal content holds another content");
    std::uint32_t nodes = 0;
    for (std::uint32_t at = 0; at < s.geometry.book_nodes; ++at) {
        layout::BookNode& node = s.book_nodes[at];
        if (node.owner == 0 || (node.owner & 3U) != 0 || node.count.newest().count == 0) continue;
        ++nodes;
        auto& count = Tables::newest(node.count).count;
        t.require_noticed(count, count + 1, "book side");
        t.require_noticed(count, 0, "holds 0 orders, not");
        t.require_noticed(node.owner, 0, "is in no book");
        t.require_noticed(node.owner, 1ULL << 40, "belongs to no side");
        t.require_noticed(node.key, node.key + 1000, "ticks: holds");
        t.require_noticed(Tables::newest(node.count).seq, s.log->applied + 1, "is of an event to come");
    }
    CHECK(nodes >= 2);
}

TEST_CASE("the audit names a price that no way leads to from the head of its book", "[core][audit][inv-12]") {
    Tables t;
    core::State& s = t.state();
    std::uint32_t levels = 0, heads = 0;
    for (std::uint32_t at = 0; at < s.geometry.book_nodes; ++at) {
        layout::BookNode& node = s.book_nodes[at];
        if (node.owner == 0 || (node.owner & 3U) == 0) continue;
        levels |= 1U << (node.owner & 3U);
        t.require_noticed(node.bitmap, 0, "does not lead to the prices below it");
        t.require_noticed(node.bitmap, node.bitmap << 1U, "does not lead to the prices below it");
        if ((node.owner & 3U) == 3) t.require_noticed(node.next, at + 1, "its list does not lead");
        if ((node.owner & 3U) == 3) t.require_noticed(node.next, ~0ULL, "its list does not lead");
    }
    CHECK(levels == 0b1110);
    for (std::uint32_t side = 0; side < s.geometry.book_sides; ++side) {
        if (s.book_heads[side] == 0) continue;
        ++heads;
        t.require_noticed(s.book_heads[side], 0, "its list does not lead from the best price to the worst");
        t.require_noticed(s.book_heads[side], s.geometry.book_nodes + 1, "its list does not lead");
        t.require_noticed(s.book_heads[side], s.book_heads[side] % s.geometry.book_nodes + 1, "its list does not lead");
    }
    CHECK(heads >= 1);
}

TEST_CASE("the audit names times of messages and executions that are not in order", "[core][audit][inv-12]") {
    Tables t;
    core::State& s = t.state();
    const auto& meters = Tables::newest(s.rows_risk[s.geometry.firm_row()].meters);
    REQUIRE(meters.messages >= 3);
    auto& times = s.budget_rings[meters.messages_ring].times_ns;
    t.require_noticed(times[0], times[1] + 1, "times of messages are not those");
    t.require_noticed(times[1], 0, "times of messages are not those");
    t.require_noticed(times[meters.messages - 1], static_cast<std::int64_t>(s.log->last_time_ns) + 1, "times of messages");
    std::uint32_t breakers = 0;
    for (std::uint32_t at = 0; at < s.geometry.breakers; ++at) {
        if (Tables::newest(s.breakers[at].counts).buys < 2) continue;
        ++breakers;
        auto& buys = s.breakers[at].times[0];
        t.require_noticed(buys.fine_ns[0], buys.fine_ns[1] + 1, "times of executions or rejects are not those");
        t.require_noticed(buys.fine_ns[1], 0, "times of executions or rejects are not those");
        t.require_noticed(buys.coarse_ns[0], -1, "times of executions or rejects are not those");
    }
    CHECK(breakers == 1);
}

TEST_CASE("what the audit does not understand it says, without following it anywhere", "[core][audit][inv-12]") {
    Tables t;
    core::State& s = t.state();
    layout::OrderIdentity& identity = s.orders[kA].identity;   // it has executions, and is in rows and books
    for (const std::uint32_t far : {77U, 200U, 0xFFFFU, 0xFFFFFFFFU}) {
        CAPTURE(far);
        t.require_noticed(identity.account, far, "unknown account");
        t.require_noticed(identity.strategy, far, "unknown account, strategy");
        t.require_noticed(identity.instrument, far, "or instrument");
        t.require_noticed(s.orders[kCAlias].identity.head, far, "has no head");
        t.require_noticed(s.orders[kCAlias].identity.previous, far, "has no head");
        if (far != core::kNoSlot)   // that one says: no order before it
            t.require_noticed(s.orders[kB].identity.content_previous, far, "B");
        t.require_noticed(s.executions[0].identity.order_slot, far, "execution");
        t.require_noticed(s.quarantine[0].account, far, "quarantine slot 0: unknown account or instrument");
        t.require_noticed(s.quarantine[0].instrument, far, "quarantine slot 0: unknown account or instrument");
        t.require_noticed(Tables::newest(s.orders[kA].state).last_execution, far, "order A");
    }
}

TEST_CASE("an event that names what does not exist, or carries what cannot be, is not applied and says why",
          "[core][input][inv-12]") {
    Tables t;
    core::State& s = t.state();
    const auto why = [&](Event event) {
        event.header.seq = s.log->committed + 1;
        const char* text = core::why_not_applicable(s, event);
        return std::string(text == nullptr ? "" : text);
    };
    const auto of_type = [](EventType type) {
        Event event{};
        event.header.type = type;
        event.header.words = layout::words_in(type);
        return event;
    };
    CHECK(why(of_type(EventType::none)) == "an event without a type");
    CHECK(why(of_type(static_cast<EventType>(0xEEEE))) != "");
    Event position = of_type(EventType::position_loaded);
    position.header.account = 77;
    CHECK(why(position) == "position_loaded: an account, strategy or instrument that does not exist");
    Event marked = of_type(EventType::marked);
    marked.marked.row = s.geometry.firm_row();
    CHECK(why(marked) == "marked: not a scope of one instrument");
    marked.marked.row = s.geometry.rows();
    CHECK(why(marked) == "marked: not a scope of one instrument");
    Event limits = of_type(EventType::risk_limits_changed);
    limits.risk_limits.row = s.geometry.firm_row();
    limits.risk_limits.after.max_gross_notional = -1;
    CHECK(why(limits) == "a limit that cannot be");
}

}  // namespace riskreg::test
