// A new trading day: what of the tables goes on and what is cleared, the switch under running strategies, a death at every
// point of it, and the same from the files.

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <optional>
#include <thread>

#include "core/audit.hpp"
#include "core/copy.hpp"
#include "core/genesis.hpp"
#include "core/roll.hpp"
#include "segment/lifecycle.hpp"
#include "segment/segment_name.hpp"
#include "support/child.hpp"
#include "support/day_trader.hpp"
#include "support/operations.hpp"
#include "support/persisted.hpp"

#ifdef RISKREG_CRASH_POINTS
#include "base/crash_point.hpp"
#endif

namespace {

using namespace riskreg;
using namespace riskreg::test;

constexpr std::string_view kConfig = R"({
  "capacity": {"orders": 256, "executions": 512, "ring_events": 256, "sessions": 16},
  "persistence": {"mode": "none"}, "four_eyes": true,
  "require_limits": false, "allow_limit_without_reference": true, "self_match": "allow",
  "instruments": [{"id": "ES", "tick": "0.25"}, {"id": "NQ", "tick": "0.25"}],
  "accounts": [{"id": "A1"}, {"id": "A2"}],
  "strategies": [
    {"id": "s1", "account": ["A1", "A2"], "on_death": "leave"}, {"id": "s2", "account": "A1", "on_death": "leave"},
    {"id": "halts", "account": "A1", "on_death": "halt_strategy"}],
  "limits": [
    {"scope": "account:A1", "max_long": "1000", "max_short": "1000"},
    {"scope": "account:A2", "max_messages": 3, "max_same_content": 1, "content_window_ms": 3600000, "window_ms": 3600000}]
})";

SharedConfig config_of_a_day() { return parse_config(kConfig); }

class Trader : public DayTrader {
public:
    explicit Trader(const TempRegistry& place, const std::string& strategy = "s1", const std::string& account = "A1")
        : DayTrader(place.attach(strategy), account) {}

    Verdict send(std::string_view id, int quantity = 10, TimeInForce tif = TimeInForce::gtc, Side side = Side::buy) {
        OrderRequest request = order(id, quantity, side);
        request.tif = tif;
        return registry_.check_and_register(request);
    }
    [[nodiscard]] std::optional<OrderView> find(std::string_view id) const {
        OrderView view;
        return reader().find(account_, id, view) ? std::optional(view) : std::nullopt;
    }
    [[nodiscard]] ExposureView row(const std::string& scope) const { return reader().exposure(reader().scope(scope)); }
};

void require_clean(const Reader& reader) {
    const AuditView audit = reader.audit();
    CAPTURE(audit.violations);
    REQUIRE(audit.violations.empty());
}

/// By an operator of its own, as `riskctl roll` does it.
Verdict roll(const TempRegistry& place) {
    Registry registry = place.attach();
    return registry.roll("the day is over");
}

/// Other days of the registry than its own: nothing of a roll is left when somebody has hosted the day.
std::vector<std::string> names_beside(const TempRegistry& place) {
    const std::string own = place.look().status().segment;
    const std::optional<segment::SegmentName> name = segment::parse_segment_name(own);
    std::vector<std::string> names;
    for (const segment::SegmentName& day : segment::segments_of(name->uid, name->token, name->registry))
        if (segment::text_of(day) != own) names.push_back(segment::text_of(day));
    return names;
}

}  // namespace

// ---- the tables -----------------------------------------------------------------------------------

TEST_CASE("after a roll live orders go on with their reservations and ids, and the others are gone", "[roll][inv-4][inv-5]") {
    const TempRegistry place(config_of_a_day());
    Trader trader(place);
    REQUIRE(trader.send("done").accepted());
    REQUIRE(trader.fill("done", "e-1", 10).taken());
    REQUIRE(trader.send("gtc").accepted());
    REQUIRE(trader.registry().acked(trader.account(), "gtc", "venue-7").taken());
    REQUIRE(trader.fill("gtc", "e-2", 3).taken());
    REQUIRE(trader.send("gone").accepted());
    REQUIRE(trader.registry().canceled(trader.account(), "gone").taken());
    REQUIRE(trader.send("day", 5, TimeInForce::day).accepted());
    const OrderView before = *trader.find("gtc");
    const ExposureView row = trader.row("account:A1/instrument:ES");

    const Verdict verdict = roll(place);
    REQUIRE(verdict.result == Result::ok);
    REQUIRE(trader.reader().status().day == 2);
    REQUIRE(trader.reader().status().rolled_seq == verdict.seq);

    REQUIRE_FALSE(trader.find("done"));
    REQUIRE_FALSE(trader.find("gone"));
    const OrderView after = *trader.find("gtc");
    CHECK(after.seq == before.seq);
    CHECK(after.venue_id == "venue-7");
    CHECK(after.cum_quantity == before.cum_quantity);
    CHECK(after.leaves_quantity == before.leaves_quantity);
    CHECK(after.reserved_quantity == before.reserved_quantity);
    CHECK(after.reserved_notional == before.reserved_notional);
    CHECK(after.created_ns == before.created_ns);
    CHECK(trader.find("day")->status == OrderStatus::pending_new);

    const ExposureView now = trader.row("account:A1/instrument:ES");
    CHECK(now.position == row.position);
    CHECK(now.start_position == row.position);
    CHECK(now.open_buy_quantity == row.open_buy_quantity);
    CHECK(now.open_buy_notional == row.open_buy_notional);
    CHECK(now.working_buy == 2);
    CHECK(now.bought_today.value == 0);
    CHECK(now.bought_notional_today.value == 0);
    CHECK(now.pnl.value == 0);
    CHECK(now.net_value == row.net_value);
    CHECK(now.mark == row.mark);
    CHECK(trader.reader().status().ids_used == 2);
    CHECK(trader.reader().status().executions_used == 1);
    require_clean(trader.reader());
}

TEST_CASE("ids of orders that ended may be used again on the next day, those of carried orders may not", "[roll]") {
    const TempRegistry place(config_of_a_day());
    Trader trader(place);
    REQUIRE(trader.send("done").accepted());
    REQUIRE(trader.fill("done", "e-1", 10).taken());
    REQUIRE(trader.send("first").accepted());
    REQUIRE(trader.registry().acked(trader.account(), "first").taken());
    REQUIRE(trader.replace("first", "second", 12).taken());
    REQUIRE(trader.registry().replaced(trader.account(), "first").taken());
    REQUIRE(trader.replace("second", "third", 14).taken());
    REQUIRE(roll(place).result == Result::ok);

    CHECK(trader.send("done").accepted());
    for (const char* id : {"first", "second", "third"}) {
        INFO(id);
        const Verdict verdict = trader.send(id, 3);
        CHECK(verdict.result == Result::denied);
        CHECK(verdict.reason == DenyReason::duplicate_order_id);
        CHECK(trader.find(id)->id == "first");
    }
    // The request that was pending is answered on the next day.
    CHECK(trader.find("first")->status == OrderStatus::pending_replace);
    REQUIRE(trader.registry().replaced(trader.account(), "third").taken());
    CHECK(trader.find("first")->chain == std::vector<std::string>{"first", "second", "third"});
    CHECK(trader.find("first")->quantity == lots(14));
    require_clean(trader.reader());
}

TEST_CASE("a fill of a carried order that comes again after the roll is a duplicate", "[roll][inv-8]") {
    const TempRegistry place(config_of_a_day());
    Trader trader(place);
    REQUIRE(trader.send("other").accepted());
    REQUIRE(trader.fill("other", "e-0", 10).taken());
    REQUIRE(trader.send("gtc").accepted());
    REQUIRE(trader.fill("gtc", "e-1", 3).taken());
    REQUIRE(roll(place).result == Result::ok);

    CHECK(trader.fill("gtc", "e-1", 3).result == Result::duplicate);
    CHECK(trader.find("gtc")->cum_quantity == lots(3));
    CHECK(trader.fill("gtc", "e-2", 2).result == Result::ok);
    CHECK(trader.find("gtc")->cum_quantity == lots(5));
    const ExposureView row = trader.row("account:A1/instrument:ES");
    CHECK(row.position == lots(15));
    CHECK(row.start_position == lots(13));
    CHECK(row.bought_today == lots(2));
    require_clean(trader.reader());
}

TEST_CASE("a bust or a correction of an execution of the day before moves the position, and the audit holds",
          "[roll][inv-5][inv-8]") {
    const TempRegistry place(config_of_a_day());
    Trader trader(place);
    REQUIRE(trader.send("gtc").accepted());
    for (const char* exec : {"e-1", "e-2", "e-3"}) REQUIRE(trader.fill("gtc", exec, 2).taken());
    REQUIRE(roll(place).result == Result::ok);

    REQUIRE(trader.registry().bust(trader.account(), "gtc", "e-1").taken());
    CHECK(trader.row("firm").position == lots(4));
    require_clean(trader.reader());
    REQUIRE(trader.registry().correct(trader.account(), "gtc", "e-2", "e-2c", points(100), lots(1)).taken());
    CHECK(trader.row("firm").position == lots(3));
    require_clean(trader.reader());
    REQUIRE(trader.registry().correct(trader.account(), "gtc", "e-3", "e-3", points(101), lots(1)).taken());
    CHECK(trader.row("firm").position == lots(2));
    require_clean(trader.reader());
    REQUIRE(roll(place).result == Result::ok);
    CHECK(trader.row("firm").start_position == lots(2));
    CHECK(trader.find("gtc")->cum_quantity == lots(2));
    require_clean(trader.reader());
}

TEST_CASE("an order that ended with a reported gap goes on reserving it after the roll", "[roll][inv-4]") {
    const TempRegistry place(config_of_a_day());
    Trader trader(place);
    REQUIRE(trader.send("gap").accepted());
    OrderEvent fact;
    fact.kind = EventKind::canceled;
    fact.id = "gap";
    fact.account = trader.account();
    fact.cum_quantity = lots(4);
    REQUIRE(trader.registry().event(fact).taken());
    REQUIRE(trader.find("gap")->reserved_quantity == lots(4));
    REQUIRE(roll(place).result == Result::ok);
    CHECK(trader.find("gap")->reserved_quantity == lots(4));
    require_clean(trader.reader());
    REQUIRE(trader.fill("gap", "late", 4).taken());
    CHECK(trader.row("firm").open_buy_quantity.value == 0);
    REQUIRE(roll(place).result == Result::ok);
    CHECK_FALSE(trader.find("gap"));
    require_clean(trader.reader());
}

TEST_CASE("states, limits, the restricted list and open approvals outlive the roll", "[roll]") {
    const TempRegistry place(config_of_a_day());
    Trader trader(place);
    Registry operating = place.attach();
    const Reader& reader = operating.reader();
    REQUIRE(operating.halt(reader.scope("strategy:s2"), TradingState::halted, "looping").taken());
    REQUIRE(operating.halt(reader.scope("account:A2"), TradingState::reducing_only, "margin").taken());
    const Verdict asked = operating.resume(reader.scope("strategy:s2"), TradingState::active, "fixed");
    REQUIRE(asked.request != 0);
    Limits limits;
    limits.max_long = {LimitValue::Kind::value, lots(20).value};
    REQUIRE(operating.set_limits(reader.scope("strategy:s1"), limits, "less", 1U << 2).taken());
    Restriction restriction;
    restriction.reason = "research";
    restriction.sell = false;
    REQUIRE(operating.restrict(reader.scope("instrument:NQ"), restriction).taken());
    const std::int64_t changed = trader.row("strategy:s2").state_changed_ns;

    REQUIRE(operating.roll("eod").result == Result::ok);
    CHECK(trader.row("strategy:s2").state == TradingState::halted);
    CHECK(trader.row("strategy:s2").state_reason == "looping");
    CHECK(trader.row("strategy:s2").state_changed_ns == changed);
    CHECK(trader.row("account:A2").state == TradingState::reducing_only);
    CHECK(trader.row("strategy:s1").limits.max_long == limits.max_long);
    CHECK(trader.row("account:A1").limits.max_short.value == lots(1000).value);
    CHECK(trader.row("instrument:NQ").restricted);
    REQUIRE(operating.reader().restrictions().size() == 1);
    CHECK(operating.reader().restrictions().front().reason == "research");
    REQUIRE(operating.reader().approvals().size() == 1);
    CHECK(operating.reader().approvals().front().request == asked.request);
    const Verdict verdict = trader.send("too-much", 21);
    CHECK(verdict.reason == DenyReason::max_long);
    require_clean(operating.reader());
}

TEST_CASE("budgets and content windows begin anew with the day, and fingerprints are forgotten", "[roll]") {
    const TempRegistry place(config_of_a_day());
    Trader trader(place, "s1", "A2");
    REQUIRE(trader.send("a", 1).accepted());
    CHECK(trader.send("b", 1).reason == DenyReason::duplicate_content);
    REQUIRE(trader.send("c", 2).accepted());
    CHECK(trader.send("d", 3).reason == DenyReason::rate_limit);
    REQUIRE(roll(place).result == Result::ok);
    CHECK(trader.send("e", 1).accepted());
    CHECK(trader.send("f", 1).reason == DenyReason::duplicate_content);
    CHECK(trader.send("g", 4).accepted());
    CHECK(trader.send("h", 5).reason == DenyReason::rate_limit);
    require_clean(trader.reader());
}

TEST_CASE("what was quarantined is cleared, and the position that it moved stays", "[roll][inv-5]") {
    const TempRegistry place(config_of_a_day());
    Trader trader(place);
    OrderEvent fact;
    fact.kind = EventKind::filled;
    fact.id = "nobody's";
    fact.account = trader.account();
    fact.exec_id = "x-1";
    fact.instrument = trader.registry().instrument("ES");
    fact.side = Side::sell;
    fact.price = points(100);
    fact.quantity = lots(4);
    REQUIRE(trader.registry().event(fact).result == Result::quarantined);
    REQUIRE(roll(place).result == Result::ok);
    CHECK(trader.reader().status().quarantined_events == 0);
    CHECK(trader.reader().status().quarantined_records == 0);
    CHECK(trader.row("strategy:external/instrument:ES").position == lots(-4));
    CHECK(trader.row("strategy:external/instrument:ES").start_position == lots(-4));
    CHECK(trader.row("strategy:external/instrument:ES").sold_today.value == 0);
    require_clean(trader.reader());
}

TEST_CASE("a kill mark of an order that is carried stays, and its strategy's sessions and prices with it", "[roll]") {
    const TempRegistry place(config_of_a_day());
    Trader trader(place);
    REQUIRE(trader.registry().reference_price(trader.registry().instrument("NQ"), points(7)).taken());
    REQUIRE(trader.send("gtc").accepted());
    REQUIRE(trader.registry().halt(trader.reader().scope("account:A1"), TradingState::halted, "stop").taken());
    const std::uint64_t events = trader.reader().status().committed;
    const Verdict verdict = roll(place);
    REQUIRE(verdict.result == Result::ok);
    CHECK((trader.find("gtc")->flags & kKillCancel) != 0);
    CHECK((trader.find("gtc")->flags & kOrphaned) == 0);
    // Moving into the next day writes nothing.
    REQUIRE(verdict.seq == events + 1);
    CHECK(trader.reader().status().committed == verdict.seq);
    REQUIRE(trader.reader().sessions().size() == 1);
    CHECK(trader.reader().sessions().front().status == SessionStatus::attached);
    // Its owner goes on writing the price, without an event.
    REQUIRE(trader.registry().reference_price(trader.registry().instrument("NQ"), points(8)).taken());
    CHECK(trader.reader().status().committed == verdict.seq);
    require_clean(trader.reader());
}

TEST_CASE("the tables after a roll do not depend on the capacity, nor on how often they were prepared", "[roll][inv-11]") {
    const TempRegistry place(config_of_a_day());
    Trader trader(place);
    for (int i = 0; i < 20; ++i) {
        const std::string id = "o-" + std::to_string(i);
        REQUIRE(trader.send(id).accepted());
        REQUIRE(trader.fill(id, "e-" + id, i % 3 == 0 ? 10 : 2).taken());
        if (i % 5 == 0) REQUIRE(trader.replace(id, "r-" + id, 14).result != Result::none);
    }
    const LiveSegment live(place, segment::Access::read_only);
    auto before = core::copy_consistent(live.state());
    REQUIRE(before);
    core::Decision decision;
    core::decide_rolled(before->state, {}, "x", decision);
    decision.event.header.seq = before->state.log->applied + 1;

    core::PrivateState once = core::allocate_state(before->state.geometry);
    core::make_blank(before->state, once.state);
    core::roll_tables(before->state, once.state, decision.event.rolled);
    const std::uint64_t digest = core::digest(once.state);
    core::roll_tables(before->state, once.state, decision.event.rolled);
    CHECK(core::digest(once.state) == digest);

    SharedConfig larger = config_of_a_day();
    larger.capacity.orders *= 4;
    larger.capacity.executions *= 2;
    larger.capacity.sessions *= 2;
    const std::string json = config_to_json(larger);
    core::PrivateState wide = core::allocate_state(core::geometry_of(larger, json.size()));
    core::make_genesis(wide.state, larger, json);
    wide.state.keeps_derived = false;
    for (std::uint64_t seq = 2; seq < decision.event.header.seq; ++seq) {
        wide.state.log->committed = seq;
        core::apply_to_private(wide.state, live.state().ring_slot(seq));
    }
    REQUIRE(core::digest(wide.state) == core::digest(before->state));
    wide.state.log->committed = decision.event.header.seq;
    core::apply_to_private(wide.state, decision.event);
    CHECK(core::digest(wide.state) == digest);
    CHECK(core::audit(wide.state).clean());
    CHECK(wide.state.header->day == 2);
}

TEST_CASE("a reader of the day that ended sees it as it ended, and its copy is of the next day", "[roll][inv-11]") {
    const TempRegistry place(config_of_a_day());
    Trader trader(place);
    REQUIRE(trader.send("done").accepted());
    REQUIRE(trader.fill("done", "e-1", 10).taken());
    // One of its own keeps what it looks at; the registration's is of the day that it is in.
    const Reader old = place.look();
    const Verdict verdict = roll(place);
    OrderView order;
    CHECK(old.find(trader.account(), "done", order));
    CHECK_FALSE(old.is_ready());
    CHECK_FALSE(old.status().poisoned);
    CHECK(trader.reader().is_ready());
    CHECK(old.status().committed == verdict.seq);
    CHECK(old.digest() == trader.reader().digest());
    CHECK(place.look().digest() == trader.reader().digest());
    // The log goes on: the same numbers, the older ones still in memory.
    std::vector<std::uint64_t> seen;
    static_cast<void>(
        trader.reader().events(0, [&](std::uint64_t seq, const std::string&) { return seen.push_back(seq), true; }));
    CHECK(seen.front() == 2);
    CHECK(seen.back() == verdict.seq);
}

// ---- processes --------------------------------------------------------------------------------------

namespace {

struct Board {
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> accepted{0}, filled{0}, odd{0}, ready{0};
    std::atomic<int> odd_reason{0};
};

/// Buys one and is filled, again and again; every answer has to be the one that it would be without a roll.
void trade(const TempRegistry& place, Board& board, int number) {
    Trader trader(place, "s" + std::to_string(number));
    ++board.ready;
    for (int i = 0; !board.stop; ++i) {
        const std::string id = std::to_string(number) + "-" + std::to_string(i);
        const Verdict sent = trader.send(id, 1);
        const Verdict done = sent.accepted() ? trader.fill(id, "e" + id, 1) : Verdict{};
        board.accepted += sent.accepted() ? 1U : 0U;
        // A fill whose order went into the quarantine would have lost its order on the way.
        board.filled += done.result == Result::ok ? 1U : 0U;
        if (sent.accepted() && done.result == Result::ok) continue;
        // Full tables are no loss: the next day has room again.
        if (sent.reason == DenyReason::capacity || sent.reason == DenyReason::journal_backlog) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
            continue;
        }
        ++board.odd;
        board.odd_reason = static_cast<int>(sent.accepted() ? done.reason : sent.reason);
    }
}

}  // namespace

TEST_CASE("strategies trade through several rolls, and nothing is lost or booked twice", "[roll][inv-6][inv-8][inv-11]") {
    const PersistedRegistry place;
    Child host = place.host();
    Shared<Board> board;
    constexpr int kRolls = 5;
    {
        std::vector<Child> children;
        for (int number = 1; number <= 3; ++number) children.emplace_back([&, number] { trade(place, *board, number); });
        wait_until([&] { return board->ready == 3; });
        for (int day = 0; day < kRolls; ++day) {
            std::this_thread::sleep_for(std::chrono::milliseconds(60));
            Verdict verdict;
            wait_until([&] { return (verdict = roll(place)).reason != DenyReason::journal_backlog; });
            CAPTURE(static_cast<int>(verdict.reason));
            REQUIRE(verdict.result == Result::ok);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(60));
        board->stop = true;
        for (Child& child : children) REQUIRE(child.wait().left_with(0));
    }
    const Reader reader = place.look();
    CAPTURE(board->accepted, board->filled, board->odd, board->odd_reason);
    CHECK(board->odd == 0);
    CHECK(board->accepted == board->filled);
    CHECK(reader.status().day == kRolls + 1);
    CHECK(reader.exposure(reader.scope("firm")).position.value == static_cast<std::int64_t>(board->filled) * lots(1).value);
    CHECK(reader.exposure(reader.scope("firm")).working_buy == 0);
    require_clean(reader);
    wait_until([&] { return reader.status().durable == reader.status().committed; });
    host.kill_and_reap();
    CHECK(names_beside(place) == std::vector<std::string>{});
    // From the beginning of the journal through every roll, and from the last checkpoint.
    for (const From from : {From::empty, From::checkpoint}) {
        const Restored restored = restore_from_files(place, from);
        CHECK(core::digest(restored.tables.state) == reader.digest());
        CHECK(core::audit(restored.tables.state).clean());
    }
    std::cout << "  " << board->filled << " orders, " << kRolls << " rolls\n";
}

TEST_CASE("a strategy that dies before it has moved into the next day is noticed there", "[roll][inv-10]") {
    const TempRegistry place(config_of_a_day());
    Trader watcher(place, "s2");
    Shared<std::atomic<bool>> ready;
    Child child([&] {
        Trader trader(place, "halts");
        if (!trader.send("h-1").accepted()) throw std::runtime_error("not accepted");
        *ready = true;
        for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
    });
    wait_until([&] { return ready->load(); });
    child.send(SIGSTOP);
    REQUIRE(roll(place).result == Result::ok);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    // It lives, stopped: its session is still there.
    CHECK(watcher.row("strategy:halts").state == TradingState::active);
    CHECK_THROWS_WITH(place.attach("halts"), Catch::Contains("live session"));
    SECTION("reaped") { child.kill_and_reap(); }
    SECTION("not reaped") { child.send(SIGKILL); }
    wait_until([&] { return watcher.row("strategy:halts").state == TradingState::halted; });
    CHECK((watcher.find("h-1")->flags & kOrphaned) != 0);
    require_clean(watcher.reader());
    const Registry again = place.attach("halts");
    CHECK((watcher.find("h-1")->flags & kOrphaned) == 0);
}

TEST_CASE("when every process died after the roll, the next one to come buries them", "[roll][inv-10]") {
    const TempRegistry place(config_of_a_day());
    Shared<std::atomic<bool>> ready;
    Child child([&] {
        Trader trader(place, "halts");
        if (!trader.send("h-1").accepted()) throw std::runtime_error("not accepted");
        *ready = true;
        for (;;) std::this_thread::sleep_for(std::chrono::seconds(1));
    });
    wait_until([&] { return ready->load(); });
    child.send(SIGSTOP);
    REQUIRE(roll(place).result == Result::ok);
    child.kill_and_reap();
    const Registry next = place.attach();
    CHECK(next.exposure(next.reader().scope("strategy:halts")).state == TradingState::halted);
    CHECK(next.status().day == 2);
    require_clean(next.reader());
}

TEST_CASE("a stopped strategy that was taken over during the roll is fenced when it goes on", "[roll]") {
    const TempRegistry place(config_of_a_day());
    Shared<std::atomic<int>> step;
    Shared<Verdict> late;
    Child child([&] {
        Trader trader(place, "s1");
        *step = 1;
        while (*step != 2) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        *late = trader.send("late");
    });
    wait_until([&] { return *step == 1; });
    child.send(SIGSTOP);
    REQUIRE(roll(place).result == Result::ok);
    ProcessConfig config = place.process("s1");
    config.takeover = true;
    Registry successor = Registry::open(place.name(), config);
    *step = 2;
    child.send(SIGCONT);
    REQUIRE(child.wait().left_with(0));
    CHECK(late->result == Result::denied);
    CHECK(late->reason == DenyReason::fenced);
    OrderView order;
    CHECK_FALSE(successor.find(successor.account("A1"), "late", order));
    require_clean(successor.reader());
}

TEST_CASE("a registration that ends right after the roll ends in the next day", "[roll]") {
    const TempRegistry place(config_of_a_day());
    for (int i = 0; i < 5; ++i) {
        std::optional<Trader> trader(place);
        Registry operating = place.attach();
        REQUIRE(operating.roll("again").result == Result::ok);
        trader.reset();
        for (const SessionView& session : operating.reader().sessions()) CHECK(session.status == SessionStatus::detached);
    }
}

// ---- deaths -----------------------------------------------------------------------------------------

#ifdef RISKREG_CRASH_POINTS

namespace {

enum class Witness { survivor, adopter };

struct Killed {
    bool finished = false;
    std::uint64_t day = 0;
};

/// A roller dies at its n-th crash point; then somebody trades, rolls, and trades again.
Killed kill_a_roller(Witness witness, std::uint64_t point) {
    const TempRegistry place(config_of_a_day());
    std::optional<Trader> trader(place);
    REQUIRE(trader->send("gtc").accepted());
    REQUIRE(trader->fill("gtc", "e-1", 3).taken());
    REQUIRE(trader->send("done").accepted());
    REQUIRE(trader->fill("done", "e-2", 10).taken());
    if (witness == Witness::adopter) trader.reset();
    Shared<bool> finished;
    Child child([&] {
        Registry registry = place.attach();
        base::arm_crash_point(point);
        static_cast<void>(registry.roll("eod"));
        base::arm_crash_point(0);
        *finished = true;
        die();
    });
    REQUIRE(child.wait().was_killed());
    if (!trader) trader.emplace(place);
    Killed killed{*finished, 0};
    REQUIRE(trader->fill("gtc", "e-3", 1).taken());
    killed.day = trader->reader().status().day;
    CHECK(trader->fill("gtc", "e-1", 3).result == Result::duplicate);
    CHECK(trader->find("gtc")->cum_quantity == lots(4));
    CHECK(trader->find("done").has_value() == (killed.day == 1));
    CHECK(trader->row("firm").position == lots(14));
    CHECK(place.look().status().day == killed.day);
    require_clean(trader->reader());
    REQUIRE(roll(place).result == Result::ok);
    CHECK(trader->send("done", 2).accepted());
    CHECK(trader->reader().status().day == killed.day + 1);
    require_clean(trader->reader());
    CHECK(names_beside(place) == std::vector<std::string>{});
    return killed;
}

void kill_rollers(Witness witness) {
    std::uint64_t old_days = 0, new_days = 0;
    for (std::uint64_t point = 1;; ++point) {
        INFO("crash point " << point);
        const Killed killed = kill_a_roller(witness, point);
        REQUIRE((killed.day == 1 || killed.day == 2));
        // Once the day has ended at some point, it has at every later one.
        REQUIRE((killed.day == 2 || new_days == 0));
        ++(killed.day == 1 ? old_days : new_days);
        if (!killed.finished) continue;
        REQUIRE(killed.day == 2);
        break;
    }
    CHECK(old_days > 5);
    CHECK(new_days > 5);
    std::cout << "  killed " << old_days + new_days << " rollers: the old day went on " << old_days
              << " times, the new one began " << new_days << " times\n";
}

}  // namespace

TEST_CASE("a roller killed at any point leaves the old day or the new one to a survivor", "[roll][crash][inv-2][inv-6]") {
    kill_rollers(Witness::survivor);
}

TEST_CASE("a roller killed at any point leaves the old day or the new one to an adopter", "[roll][crash][inv-2][inv-6]") {
    kill_rollers(Witness::adopter);
}

TEST_CASE("nobody waits for a roller that is stopped before it has named the new day", "[roll][inv-10]") {
    // Somebody holds the right to name it and does not, as long as the day is ended and not named.
    for (std::uint64_t point = 1, met = 0; met == 0; ++point) {
        REQUIRE(point < 200);
        const TempRegistry place(config_of_a_day());
        Trader trader(place);
        // The right first: the roller of this round only gets it while the survivor must not.
        Child child([&] {
            Registry registry = place.attach();
            base::arm_crash_point(point);
            static_cast<void>(registry.roll("eod"));
            base::arm_crash_point(0);
        });
        static_cast<void>(child.wait());
        segment::LifecycleLock lock(place.state_dir(), place.name(), false);
        if (!lock.try_switch()) continue;
        if (place.look().status().day != 2 || names_beside(place).empty()) continue;
        ++met;
        CHECK(trader.send("new").accepted());
        CHECK(trader.reader().status().day == 2);
        const Registry another = place.attach();
        CHECK(another.status().day == 2);
    }
}

TEST_CASE("a host and roller in one process, killed anywhere, leaves a day and a journal that agree",
          "[roll][crash][inv-9][inv-11]") {
    std::uint64_t old_days = 0, new_days = 0;
    // Densely where the day ends, then through the hosts of both days.
    const std::uint64_t wide = RISKREG_SANITIZED != 0 ? 41 : 11;
    for (std::uint64_t point = 1; point <= 400; point += point < 40 ? 1 : wide) {
        INFO("crash point " << point);
        const PersistedRegistry place;
        Shared<std::atomic<std::uint64_t>> durable;
        Child child([&] {
            ProcessConfig config = place.durable_process("s1", 10'000'000'000);
            config.host_snapshotter = true;
            Registry registry = Registry::open(place.name(), config);
            const auto send = [&](int i) {
                OrderRequest request;
                const std::string id = "o-" + std::to_string(i);
                request.id = id;
                request.account = registry.account("A1");
                request.instrument = registry.instrument("ES");
                request.side = Side::buy;
                request.tif = TimeInForce::gtc;
                request.price = points(100);
                request.quantity = lots(1);
                const Verdict verdict = registry.check_and_register(request);
                if (verdict.durability == Durability::durable) *durable = verdict.seq;
            };
            for (int i = 0; i < 5; ++i) send(i);
            base::arm_crash_point(point);
            const Verdict verdict = registry.roll("eod");
            if (verdict.durability == Durability::durable) *durable = verdict.seq;
            for (int i = 5; i < 8; ++i) send(i);
            die();
        });
        REQUIRE(child.wait().was_killed());
        // What was promised is on disk, whoever reads it.
        REQUIRE(restore_from_files(place, From::empty).report.end_seq >= *durable);
        std::uint64_t digest = 0;
        {
            ProcessConfig config = place.durable_process("s2", 10'000'000'000);
            config.host_snapshotter = true;
            Registry registry = Registry::open(place.name(), config);
            ++(registry.status().day == 2 ? new_days : old_days);
            REQUIRE(registry.status().recovered_seq == 0);
            REQUIRE(registry.status().committed >= *durable);
            REQUIRE(registry.halt(registry.reader().scope("account:A1"), TradingState::warn, "x").durability ==
                    Durability::durable);
            CHECK(registry.status().gaps == 0);
            require_clean(registry.reader());
        }
        digest = place.look().digest();
        CHECK(core::digest(restore_from_files(place, From::empty).tables.state) == digest);
        CHECK(names_beside(place) == std::vector<std::string>{});
    }
    CHECK(old_days > 0);
    CHECK(new_days > 0);
    std::cout << "  killed " << old_days + new_days << " hosts that rolled: " << new_days << " new days\n";
}

#endif

// ---- files ------------------------------------------------------------------------------------------

TEST_CASE("a registry that lost its memory is rebuilt through a roll, and sessions of the old day are dead",
          "[roll][persist][inv-9][inv-11]") {
    for (const bool checkpointed : {false, true}) {
        INFO("a checkpoint after the roll: " << checkpointed);
        const PersistedRegistry place;
        {
            ProcessConfig config = place.durable_process("s1", 10'000'000'000);
            config.host_snapshotter = true;
            Registry registry = Registry::open(place.name(), config);
            const AccountId account = registry.account("A1");
            OrderRequest request;
            request.account = account;
            request.instrument = registry.instrument("ES");
            request.side = Side::sell;
            request.price = points(100);
            request.quantity = lots(5);
            for (const char* id : {"done", "gtc"}) {
                request.id = id;
                request.tif = TimeInForce::gtc;
                REQUIRE(registry.check_and_register(request).accepted());
            }
            REQUIRE(registry.filled(account, "done", "e-1", points(100), lots(5)).taken());
            REQUIRE(registry.filled(account, "gtc", "e-2", points(100), lots(2)).taken());
            REQUIRE(registry.roll("eod").durability == Durability::durable);
            if (checkpointed) REQUIRE(registry.checkpoint(10'000'000'000));
            REQUIRE(registry.filled(account, "gtc", "e-3", points(101), lots(1)).durability == Durability::durable);
            const std::uint64_t digest = registry.reader().digest();
            CHECK(core::digest(restore_from_files(place, From::empty).tables.state) == digest);
            CHECK(core::digest(restore_from_files(place, From::checkpoint).tables.state) == digest);
        }
        place.remove_segment();
        Registry registry = place.attach();
        const Reader& reader = registry.reader();
        CHECK(reader.status().day == 2);
        CHECK(reader.status().unreconciled);
        OrderView order;
        CHECK_FALSE(reader.find(reader.account("A1"), "done", order));
        REQUIRE(reader.find(reader.account("A1"), "gtc", order));
        CHECK(order.cum_quantity == lots(3));
        const ExposureView firm = reader.exposure(reader.scope("firm"));
        CHECK(firm.position == lots(-8));
        CHECK(firm.start_position == lots(-7));
        CHECK(firm.sold_today == lots(1));
        CHECK(registry.filled(reader.account("A1"), "gtc", "e-2", points(100), lots(2)).result == Result::duplicate);
        require_clean(reader);
        REQUIRE(registry.roll("again").result == Result::ok);
        CHECK(registry.status().day == 3);
        require_clean(registry.reader());
    }
}

TEST_CASE("a host that another process takes the day from goes on with the journal of the next day", "[roll][persist][inv-9]") {
    const PersistedRegistry place;
    Child host = place.host();
    Registry registry = Registry::open(place.name(), place.durable_process("s1", 10'000'000'000));
    for (int day = 2; day < 6; ++day) {
        REQUIRE(roll(place).result == Result::ok);
        const Verdict verdict =
            registry.halt(registry.reader().scope("strategy:s" + std::to_string(day - 1)), TradingState::halted, "x");
        CHECK(verdict.durability == Durability::durable);
        CHECK(registry.status().day == static_cast<std::uint64_t>(day));
        CHECK(registry.status().gaps == 0);
    }
    REQUIRE(registry.checkpoint(10'000'000'000));
    CHECK(restore_from_files(place, From::checkpoint).tables.state.header->day == 5);
    CHECK(registry.status().host_pid == static_cast<std::uint64_t>(host.pid()));
    CHECK(registry.status().alarms < 20);
    CHECK(names_beside(place) == std::vector<std::string>{});
}

TEST_CASE("days that nobody journals are brought to disk by the first host that comes", "[roll][persist][inv-9]") {
    const PersistedRegistry place;
    Trader trader(place);
    for (int day = 0; day < 3; ++day) {
        REQUIRE(trader.send("o-" + std::to_string(day)).accepted());
        REQUIRE(roll(place).result == Result::ok);
    }
    CHECK(trader.reader().status().durable == 1);
    Child host = place.host();
    wait_until([&] { return trader.reader().status().durable == trader.reader().status().committed; });
    CHECK(core::digest(restore_from_files(place, From::empty).tables.state) == trader.reader().digest());
    CHECK(names_beside(place) == std::vector<std::string>{});
}
