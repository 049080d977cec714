// The end of a trading day under load: what waits for it, for how long, and that the next day's tables can be made while the old one
// goes on.

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <random>
#include <thread>

#include "core/apply.hpp"
#include "core/audit.hpp"
#include "core/copy.hpp"
#include "core/derived.hpp"
#include "core/roll.hpp"
#include "registry/attachment.hpp"
#include "registry/caller.hpp"
#include "registry/roll.hpp"
#include "segment/lifecycle.hpp"
#include "segment/state_lock.hpp"
#include "support/child.hpp"
#include "support/day_trader.hpp"
#include "support/operations.hpp"
#include "support/sanitized.hpp"
#include "support/temp_registry.hpp"

#ifdef RISKREG_CRASH_POINTS
#include "base/crash_point.hpp"
#endif

namespace {

using namespace riskreg;
using namespace riskreg::test;
using layout::RollPhase;

constexpr std::int64_t kMs = 1'000'000;

/// Books, budgets and breakers kept, orders that may match.
SharedConfig config_of_a_day(std::uint32_t orders = 4096) {
    SharedConfig config = controlled_config();
    config.capacity.orders = orders;
    config.capacity.executions = 2 * orders;
    config.capacity.ring_events = 4096;
    return config;
}

class Trader : public DayTrader {
public:
    Trader(const TempRegistry& place, const std::string& strategy, std::int64_t request_timeout_ns = 0,
           std::int64_t fact_timeout_ns = 0)
        : DayTrader(Registry::open(place.name(), process(place, strategy, request_timeout_ns, fact_timeout_ns)), "A1") {}

    Verdict send(std::string_view id, int quantity = 1, Side side = Side::buy, int price = 100) {
        return registry_.check_and_register(order(id, quantity, side, price));
    }
    Verdict bust(std::string_view id, std::string_view exec) {
        OrderEvent fact;
        fact.kind = EventKind::bust;
        fact.account = account_;
        fact.id = id;
        fact.exec_id = exec;
        return registry_.event(fact);
    }

private:
    static ProcessConfig process(const TempRegistry& place, const std::string& strategy, std::int64_t request_timeout_ns,
                                 std::int64_t fact_timeout_ns) {
        ProcessConfig config = place.process(strategy);
        if (fact_timeout_ns != 0) config.fact_timeout_ns = fact_timeout_ns;
        if (request_timeout_ns != 0) config.request_timeout_ns = request_timeout_ns;
        return config;
    }
};

/// Somebody ends the day and is not through: byte 2 of LOCK is held.
class DayEnding {
public:
    explicit DayEnding(const TempRegistry& place)
        : lock_(place.state_dir(), place.name(), false), live_(place, segment::Access::read_write) {
        REQUIRE(lock_.try_switch());
    }
    ~DayEnding() { let_go(); }
    DayEnding(const DayEnding&) = delete;
    DayEnding& operator=(const DayEnding&) = delete;
    void enter(RollPhase phase) {
        const segment::StateLock inside(live_.state(), 10'000 * kMs, core::kNoSlot);
        REQUIRE(inside.inside());
        live_.state().status->roll_phase = static_cast<std::uint64_t>(phase);
        live_.state().status->brake = 0;
    }
    void let_go() noexcept {
        if (held_) lock_.release_switch();
        held_ = false;
    }
    [[nodiscard]] core::State& state() noexcept { return live_.state(); }

private:
    segment::LifecycleLock lock_;
    LiveSegment live_;
    bool held_ = true;
};

void require_clean(const Reader& reader) {
    const AuditView audit = reader.audit();
    CAPTURE(audit.violations);
    REQUIRE(audit.violations.empty());
}

}  // namespace

// ---- who waits ------------------------------------------------------------------------------------

TEST_CASE("while a day drains only new risk waits, and answers `draining` at its own deadline", "[roll][inv-10][inv-12]") {
    const TempRegistry place(config_of_a_day());
    Trader trader(place, "s1", 50 * kMs);
    for (const char* id : {"a", "b", "c", "d"}) {
        REQUIRE(trader.send(id, 10).accepted());
        REQUIRE(trader.registry().acked(trader.account(), id).taken());
    }
    REQUIRE(trader.fill("a", "e-1", 10).taken());
    DayEnding ending(place);
    ending.enter(RollPhase::draining);

    const auto begun = std::chrono::steady_clock::now();
    const Verdict refused = trader.send("new");
    CHECK(refused.result == Result::denied);
    CHECK(refused.reason == DenyReason::draining);
    CHECK(std::chrono::steady_clock::now() - begun >= std::chrono::milliseconds(50));
    const std::vector<OrderRequest> more = {trader.order("n1", 1, Side::buy), trader.order("n2", 1, Side::buy)};
    CHECK(trader.registry().register_batch(more, false).back().reason == DenyReason::draining);
    CHECK(trader.registry().register_batch(more, true).front().reason == DenyReason::draining);
    CHECK(trader.registry().register_batch(more, true).back().reason == DenyReason::batch_member_denied);
    CHECK(trader.replace("b", "", 20).reason == DenyReason::draining);

    CHECK(trader.replace("b", "", 5).taken());
    CHECK(trader.registry().cancel_requested(trader.account(), "c").taken());
    CHECK(trader.fill("d", "e-2", 4).taken());
    CHECK(trader.registry().canceled(trader.account(), "c").taken());
    // A position can be left at any time.
    CHECK(trader.send("out", 10, Side::sell).accepted());
    CHECK(trader.registry().halt(trader.registry().reader().scope("firm"), TradingState::warn, "x").taken());
    CHECK(trader.registry().status().draining);
    CHECK_FALSE(trader.registry().status().poisoned);
    require_clean(trader.registry().reader());
}

TEST_CASE("what waited for the end of the day is accepted on the next one", "[roll][inv-10]") {
    const TempRegistry place(config_of_a_day());
    Trader trader(place, "s1", 20'000 * kMs);
    std::optional<DayEnding> ending(place);
    ending->enter(RollPhase::draining);
    std::atomic<bool> answered{false};
    std::thread waiting([&] {
        const Verdict verdict = trader.send("patient");
        answered = true;
        CHECK(verdict.accepted());
    });
    Registry operating = place.attach();
    CHECK_FALSE(answered);
    ending->let_go();
    ending.reset();
    const Verdict rolled = operating.roll("eod");
    waiting.join();
    REQUIRE(rolled.result == Result::ok);
    OrderView order;
    CHECK(trader.registry().find(trader.account(), "patient", order));
    CHECK(trader.registry().status().day == 2);
}

TEST_CASE("new risk waits for the way into the next day no longer than its own deadline, and what takes risk back waits for it",
          "[roll][inv-10]") {
    const TempRegistry place(config_of_a_day());
    struct Answers {
        std::atomic<int> step;
        Verdict risk, cancel;
    };
    Shared<Answers> said;
    Child child([&] {
        ProcessConfig config = place.process("s1");
        config.attach_timeout_ns = 600'000 * kMs;
        config.request_timeout_ns = 20 * kMs;
        DayTrader trader(Registry::open(place.name(), config), "A1");
        REQUIRE(trader.registry().check_and_register(trader.order("stays", 1, Side::buy)).accepted());
        const OrderRequest late = trader.order("late", 1, Side::buy);
        said->step = 1;
        wait_until([&] { return said->step == 2; });
        said->risk = trader.registry().check_and_register(late);
        said->step = 3;
        said->cancel = trader.registry().cancel_requested(trader.account(), "stays");
        said->step = 4;
    });
    wait_until([&] { return said->step == 1; });
    child.send(SIGSTOP);
    REQUIRE(child.wait_for_stop().stopped_by(SIGSTOP));
    Registry operating = place.attach();
    REQUIRE(operating.roll("end of day").result == Result::ok);
    {
        LiveSegment next(place, segment::Access::read_write);
        const segment::StateLock held(next.state(), 10'000 * kMs, core::kNoSlot);
        REQUIRE(held.inside());
        said->step = 2;
        child.send(SIGCONT);
        wait_until([&] { return said->step == 3; });  // nobody gets into the next day now, for ten minutes
        CHECK(said->risk.result == Result::denied);
        CHECK(said->risk.reason == DenyReason::lock_timeout);
    }
    REQUIRE(child.wait().left_with(0));
    CHECK(said->cancel.result == Result::ok);
    require_clean(operating.reader());
}

TEST_CASE("an order may be sent whenever its day ends, and is looked for on the day that holds it", "[roll][inv-10]") {
    const TempRegistry place(config_of_a_day());
    Trader trader(place, "s1");
    REQUIRE(trader.send("stays").accepted());
    Registry operating = place.attach();
    REQUIRE(operating.roll("eod").result == Result::ok);
    CHECK(trader.registry().begin_send(trader.account(), "stays").accepted());
    // And while one day after the other ends between its looks.
    std::atomic<bool> done{false};
    std::uint64_t asked = 0, refused = 0;
    std::thread asking([&] {
        for (; !done; ++asked) refused += trader.registry().begin_send(trader.account(), "stays").accepted() ? 0 : 1;
    });
    for (int day = 0; day < 25; ++day) CHECK(operating.roll("eod").result == Result::ok);
    done = true;
    asking.join();
    CHECK(asked > 0);
    CHECK(refused == 0);
}

TEST_CASE("facts let a roller go first for a few milliseconds and are booked all the same", "[roll][inv-8][inv-10]") {
    const TempRegistry place(config_of_a_day());
    Trader trader(place, "s1");
    REQUIRE(trader.send("a", 10).accepted());
    DayEnding ending(place);
    ending.enter(RollPhase::held);
    for (int i = 0; i < 5; ++i) CHECK(trader.fill("a", "e-" + std::to_string(i), 1).result == Result::ok);
    CHECK(trader.registry().cancel_requested(trader.account(), "a").taken());
    CHECK(trader.registry().canceled(trader.account(), "a").taken());
}

TEST_CASE("a roller that died leaves no day that drains for ever", "[roll][inv-10]") {
    const TempRegistry place(config_of_a_day());
    Trader trader(place, "s1", 20'000 * kMs);
    {
        DayEnding ending(place);
        ending.enter(RollPhase::draining);
    }
    // Byte 2 is free: who looks takes the words back.
    CHECK(trader.send("a").accepted());
    CHECK_FALSE(trader.registry().status().draining);
}

#ifdef RISKREG_CRASH_POINTS
TEST_CASE("a roller killed at any point leaves no day that drains, and no cancel waits for it", "[roll][crash][inv-10]") {
    std::uint64_t drained = 0;
    for (std::uint64_t point = 1;; ++point) {
        INFO("crash point " << point);
        const TempRegistry place(config_of_a_day(256));
        Trader trader(place, "s1", 20'000 * kMs);
        REQUIRE(trader.send("a", 10).accepted());
        Shared<bool> finished;
        Child child([&] {
            registry::Attachment attachment = registry::attach(place.name(), place.state_dir(), 10'000 * kMs);
            base::arm_crash_point(point);
            const registry::RollRequest draining{"eod", 0, true};
            static_cast<void>(registry::roll(attachment, registry::caller_now(), draining, 10'000 * kMs));
            base::arm_crash_point(0);
            *finished = true;
            die();
        });
        REQUIRE(child.wait().was_killed());
        drained += place.look().status().draining ? 1U : 0U;
        CHECK(trader.registry().cancel_requested(trader.account(), "a").taken());
        CHECK(trader.send("b").accepted());
        CHECK_FALSE(trader.registry().status().draining);
        require_clean(trader.registry().reader());
        if (*finished) break;
    }
    CHECK(drained > 0);
}
#endif

// ---- the tables, made while the old day goes on ----------------------------------------------------------------

namespace {

/// A day's traffic without any order: also facts about orders that ended, and facts of unknown ones.
class Traffic {
public:
    Traffic(Trader& trader, unsigned seed) : trader_(trader), random_(seed) {}
    void go_on(int calls) {
        for (int i = 0; i < calls; ++i) one();
    }

private:
    std::string id() { return "o-" + std::to_string(random_() % (sent_ + 2)); }
    std::string exec() { return "e-" + std::to_string(random_() % (sent_ + 2)); }
    int size() { return 1 + static_cast<int>(random_() % 5); }
    void one() {
        Registry& registry = trader_.registry();
        const AccountId account = trader_.account();
        switch (random_() % 12) {
            case 0:
            case 1:
            case 2:
                static_cast<void>(trader_.send("o-" + std::to_string(sent_++), 5, random_() % 2 == 0 ? Side::buy : Side::sell,
                                               90 + static_cast<int>(random_() % 20)));
                return;
            case 3:
            case 4: static_cast<void>(trader_.fill(id(), exec(), size())); return;
            case 5: static_cast<void>(registry.acked(account, id(), "v-" + std::to_string(random_() % 50))); return;
            case 6: static_cast<void>(registry.canceled(account, id())); return;
            case 7: static_cast<void>(trader_.replace(id(), "o-" + std::to_string(sent_++), size())); return;
            case 8: static_cast<void>(registry.replaced(account, id())); return;
            case 9: static_cast<void>(trader_.bust(id(), exec())); return;
            case 10: static_cast<void>(registry.cancel_requested(account, id())); return;
            default:
                static_cast<void>(registry.halt(registry.reader().scope("account:A1"),
                                                random_() % 2 == 0 ? TradingState::warn : TradingState::active, "x"));
                static_cast<void>(registry.resume(registry.reader().scope("account:A1"), TradingState::active, "y"));
                return;
        }
    }
    Trader& trader_;
    std::mt19937 random_;
    unsigned sent_ = 0;
};

layout::RolledEvent rolled_behind(const core::State& state, std::uint64_t base) {
    core::Decision decision;
    core::decide_rolled(state, {}, "x", decision);
    decision.event.rolled.base_seq = base;
    decision.event.header.seq = state.log->applied + 1;
    return decision.event.rolled;
}

}  // namespace

TEST_CASE("tables that followed the old day are those that a replay makes, whatever came meanwhile", "[roll][inv-5][inv-11]") {
    for (unsigned seed = 1; seed <= 40; ++seed) {
        INFO("seed " << seed);
        const TempRegistry place(config_of_a_day(1024));
        Trader trader(place, "s1");
        Traffic traffic(trader, seed);
        traffic.go_on(300);
        LiveSegment live(place, segment::Access::read_write);
        const std::uint64_t base = live.state().log->committed;
        live.state().status->roll_base = base;
        traffic.go_on(static_cast<int>(seed % 3) * 20);

        core::PrivateState copy = core::allocate_state(live.state().geometry);
        REQUIRE(core::copy_into(copy.state, live.state()));
        core::PrivateState next = core::allocate_state(live.state().geometry);
        core::make_blank(copy.state, next.state);
        core::DayRoll roll(copy.state, next.state, base, base);
        // Something comes in every pause, in the middle of the tables and of the books.
        const core::Pause pause = [&] {
            traffic.go_on(7);
            for (std::uint64_t seq = copy.state.log->applied + 1; seq <= live.state().log->committed; ++seq) {
                layout::Event event;
                REQUIRE(core::read_event(live.state(), seq, event));
                copy.state.log->committed = seq;
                core::apply(copy.state, event);
                roll.follow(event);
            }
            return true;
        };
        REQUIRE(roll.make_tables(pause));
        for (int i = 0; i < 5; ++i) REQUIRE(pause());
        REQUIRE(roll.make_books(pause));
        for (int i = 0; i < 5; ++i) REQUIRE(pause());
        const layout::RolledEvent event = rolled_behind(copy.state, base);
        roll.finish(event);
        next.state.log->committed = next.state.log->applied;

        std::optional<core::PrivateState> whole = core::copy_consistent(live.state());
        REQUIRE(whole);
        core::PrivateState replayed = core::allocate_state(live.state().geometry);
        core::make_blank(whole->state, replayed.state);
        core::roll_tables(whole->state, replayed.state, event);
        CHECK(core::digest(next.state) == core::digest(replayed.state));
        const core::AuditReport audit = core::audit(next.state);
        CAPTURE(audit.violations);
        CHECK(audit.clean());
        std::vector<std::string> wrong;
        core::check_derived(next.state, [&](std::string text) { wrong.push_back(std::move(text)); });
        CAPTURE(wrong);
        CHECK(wrong.empty());
        live.state().status->roll_base = 0;
    }
}

TEST_CASE("an order that ends while the next day is being prepared keeps its place and is known for a day more", "[roll]") {
    const TempRegistry place(config_of_a_day(256));
    Trader trader(place, "s1");
    for (const char* id : {"first", "second", "third", "old"}) REQUIRE(trader.send(id, 10).accepted());
    REQUIRE(trader.fill("old", "e-0", 10).taken());
    LiveSegment live(place, segment::Access::read_write);
    const std::uint64_t base = live.state().log->committed;
    live.state().status->roll_base = base;
    REQUIRE(trader.fill("second", "e-1", 10).taken());
    REQUIRE(trader.send("fourth", 10).accepted());
    // Ended before, and open again: it comes behind what came before it.
    REQUIRE(trader.bust("old", "e-0").taken());
    std::optional<core::PrivateState> copy = core::copy_consistent(live.state());
    REQUIRE(copy);
    core::PrivateState next = core::allocate_state(live.state().geometry);
    core::make_blank(copy->state, next.state);
    core::roll_tables(copy->state, next.state, rolled_behind(copy->state, base));
    std::vector<std::string> ids;
    for (std::uint64_t i = 0; i < next.state.log->next_order; ++i) ids.emplace_back(next.state.orders[i].identity.id.view());
    const bool reopened = layout::goes_on(copy->state.orders[3].state.newest());
    CHECK(ids == (reopened ? std::vector<std::string>{"first", "second", "third", "fourth", "old"}
                           : std::vector<std::string>{"first", "second", "third", "fourth"}));
    core::rebuild_derived(next.state);
    const core::AuditReport audit = core::audit(next.state);
    CAPTURE(audit.violations);
    CHECK(audit.clean());
}

// ---- under load -------------------------------------------------------------------------------------

namespace {

struct Board {
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> ready{0}, sent{0}, drained{0}, facts{0}, cancels{0}, odd{0};
    std::atomic<int> odd_reason{0};
};

/// Events that need no room: the tables must not be full when the roll comes.
template <class Fact, class Cancel>
void toggle(Trader& trader, const std::string& id, Fact fact, Cancel cancel) {
    for (const EventKind kind : {EventKind::suspended, EventKind::resumed, EventKind::cancel_rejected}) {
        OrderEvent report;
        report.kind = kind;
        report.account = trader.account();
        report.id = id;
        if (kind == EventKind::cancel_rejected)
            cancel([&] { return trader.registry().cancel_requested(trader.account(), id); });
        fact([&] { return trader.registry().event(report); });
    }
}

/// Registers, fills, and cancels until it is told to stop; whatever a roll does, facts and cancels are taken.
void be_busy(const TempRegistry& place, Board& board, int number) {
    Trader trader(place, "s" + std::to_string(number), 5'000 * kMs);
    const std::string own = std::to_string(number) + "-";
    const std::string steady = "steady-" + own;
    REQUIRE(trader.send(steady).accepted());
    REQUIRE(trader.registry().acked(trader.account(), steady).taken());
    const auto odd = [&board](const Verdict& verdict) {
        ++board.odd;
        board.odd_reason = static_cast<int>(verdict.reason);
    };
    ++board.ready;
    const auto fact = [&](auto call) {
        const Verdict verdict = call();
        verdict.taken() ? void(++board.facts) : odd(verdict);
    };
    const auto cancel_steady = [&](auto call) {
        const Verdict verdict = call();
        verdict.taken() ? void(++board.cancels) : odd(verdict);
    };
    for (int i = 0; !board.stop; ++i) {
        toggle(trader, steady, fact, cancel_steady);
        if (i % 8 != 0) continue;
        const std::string id = own + std::to_string(i);
        const Verdict sent = trader.send(id, 2);
        if (sent.reason == DenyReason::draining) ++board.drained;
        else if (!sent.accepted() && sent.reason != DenyReason::capacity) odd(sent);
        if (!sent.accepted()) continue;
        ++board.sent;
        const Verdict fill = trader.fill(id, "e" + id, 1);
        fill.result == Result::ok ? void(++board.facts) : odd(fill);
        const Verdict cancel = trader.registry().cancel_requested(trader.account(), id);
        cancel.taken() ? void(++board.cancels) : odd(cancel);
        const Verdict canceled = trader.registry().canceled(trader.account(), id);
        canceled.taken() ? void(++board.facts) : odd(canceled);
    }
}

}  // namespace

TEST_CASE("with busy writers at most 256 events are caught up with under the lock, and no fact and no cancel is refused",
          "[roll][inv-8][inv-10][inv-12]") {
    if (skipped_for_threads_of_children()) return;
    SharedConfig config = config_of_a_day(1U << 16);
    config.capacity.ring_events = 1U << 16;
    const TempRegistry place(config);
    Trader owner(place, "s4");
    for (int i = 0; i < 5000; ++i) REQUIRE(owner.send("live-" + std::to_string(i)).accepted());
    Shared<Board> board;
    std::vector<Child> traders;
    for (int number = 1; number <= 3; ++number) traders.emplace_back([&, number] { be_busy(place, *board, number); });
    wait_until([&] { return board->ready == 3; });
    registry::RollStats most;
    std::uint64_t days = 0;
    // Until some of them had something to follow: it is for the machine to say when the writers run.
    for (; days < 5 || (most.followed == 0 && days < 20); ++days) {
        registry::Attachment attachment = registry::attach(place.name(), place.state_dir(), 10'000 * kMs);
        registry::RollStats stats;
        const Verdict verdict = registry::roll(attachment, registry::caller_now(), {"eod"}, 10'000 * kMs, &stats);
        INFO("reason " << static_cast<int>(verdict.reason));
        REQUIRE(verdict.result == Result::ok);
        CHECK(stats.under_lock <= 256);
        most.under_lock = std::max(most.under_lock, stats.under_lock);
        most.followed += stats.followed;
        most.lock_ns = std::max(most.lock_ns, stats.lock_ns);
    }
    const std::uint64_t facts = board->facts;
    wait_until([&] { return board->facts > facts; });
    board->stop = true;
    for (Child& trader : traders) REQUIRE(trader.wait().left_with(0));
    INFO("reason " << board->odd_reason);
    CHECK(board->odd == 0);
    CHECK(most.followed > 0);
    CHECK(place.look().status().day == days + 1);
    require_clean(place.look());
    std::cout << "  " << days << " days ended under 3 writers: " << most.followed << " events followed, at most "
              << most.under_lock << " under the lock for " << most.lock_ns / 1000 << " us; " << board->drained
              << " orders answered draining\n";
}

// ---- measured: `tests/prove roll` ---------------------------------------------------------------------

namespace {

std::uint64_t number_from_environment(const char* name, std::uint64_t usual) {
    const char* text = std::getenv(name);
    return text == nullptr ? usual : std::stoull(text);
}

std::int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void raise_to(std::atomic<std::int64_t>& most, std::int64_t value) {
    std::int64_t seen = most;
    while (seen < value && !most.compare_exchange_weak(seen, value)) {
    }
}

struct Slowest {
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> ready{0}, orders{0}, drained{0}, facts{0}, cancels{0}, refused{0}, full{0}, late{0};
    std::atomic<std::int64_t> order_ns{0}, fact_ns{0}, cancel_ns{0};
};

template <class Call>
Verdict timed(std::atomic<std::int64_t>& most, Call call) {
    const std::int64_t begun = now_ns();
    const Verdict verdict = call();
    raise_to(most, now_ns() - begun);
    return verdict;
}

/// With the deadlines that a program has when it says nothing: 20 ms for requests, a second for facts.
void be_measured(const TempRegistry& place, Slowest& slowest, int number) {
    Trader trader(place, "s" + std::to_string(number), ProcessConfig{}.request_timeout_ns, ProcessConfig{}.fact_timeout_ns);
    const std::string own = std::to_string(number) + "-";
    const std::string steady = "steady-" + own;
    // Its deadline is short, and everybody comes at once.
    wait_until([&] { return trader.send(steady).reason != DenyReason::lock_timeout; });
    REQUIRE(trader.registry().acked(trader.account(), steady).taken());
    const auto fact = [&](auto call) { timed(slowest.fact_ns, call).taken() ? ++slowest.facts : ++slowest.refused; };
    const auto cancel_steady = [&](auto call) {
        timed(slowest.cancel_ns, call).taken() ? ++slowest.cancels : ++slowest.refused;
    };
    ++slowest.ready;
    for (int i = 0; !slowest.stop; ++i) {
        toggle(trader, steady, fact, cancel_steady);
        if (i % 8 != 0) continue;
        const std::string id = own + std::to_string(i);
        const Verdict sent = timed(slowest.order_ns, [&] { return trader.send(id, 2); });
        if (sent.reason == DenyReason::draining) ++slowest.drained;
        else if (sent.reason == DenyReason::capacity) ++slowest.full;
        else if (sent.reason == DenyReason::lock_timeout) ++slowest.late;
        else if (!sent.accepted()) ++slowest.refused;
        if (!sent.accepted()) continue;
        ++slowest.orders;
        const Verdict fill = timed(slowest.fact_ns, [&] { return trader.fill(id, "e" + id, 1); });
        fill.result == Result::ok ? ++slowest.facts : ++slowest.refused;
        const Verdict cancel =
            timed(slowest.cancel_ns, [&] { return trader.registry().cancel_requested(trader.account(), id); });
        cancel.taken() ? ++slowest.cancels : ++slowest.refused;
        const Verdict done = timed(slowest.fact_ns, [&] { return trader.registry().canceled(trader.account(), id); });
        done.taken() ? ++slowest.facts : ++slowest.refused;
    }
}

/// Whether any process but this one has the day mapped.
std::size_t processes_in(const std::string& segment, const std::vector<Child>& children) {
    std::size_t count = 0;
    for (const Child& child : children) {
        std::ifstream maps("/proc/" + std::to_string(child.pid()) + "/maps");
        for (std::string line; std::getline(maps, line);)
            if (line.ends_with(segment)) {
                ++count;
                break;
            }
    }
    return count;
}

double ms(std::int64_t ns) { return static_cast<double>(ns) / 1e6; }

}  // namespace

TEST_CASE("the end of a day of many live orders, measured", "[.roll-measured]") {
    const std::uint64_t orders = number_from_environment("RISKREG_ROLL_ORDERS", 1'500'000);
    const std::uint64_t days = number_from_environment("RISKREG_ROLL_DAYS", 3);
    const std::uint64_t writers = number_from_environment("RISKREG_ROLL_WRITERS", 3);
    SharedConfig config = config_of_a_day(static_cast<std::uint32_t>(orders + orders / 2 + 200'000));
    config.capacity.ring_events = 1U << 16;
    for (LimitConfig& limit : config.limits) limit.limits = Limits{};
    config.require_limits = false;
    const TempRegistry place(config);
    Trader trader(place, "s4");
    for (std::uint64_t i = 0; i < orders; ++i)
        if (!trader.send("live-" + std::to_string(i), 1, Side::buy, 50 + static_cast<int>(i % 40)).accepted()) FAIL("no room");
    Shared<Slowest> slowest;
    std::vector<Child> children;
    for (std::uint64_t number = 1; number <= writers; ++number)
        children.emplace_back([&, number] { be_measured(place, *slowest, static_cast<int>(number)); });
    wait_until([&] { return slowest->ready == writers; });
    for (std::uint64_t day = 1; day <= days; ++day) {
        for (std::atomic<std::int64_t>* most : {&slowest->order_ns, &slowest->fact_ns, &slowest->cancel_ns}) *most = 0;
        const std::uint64_t drained = slowest->drained, refused = slowest->refused, late = slowest->late;
        const std::string ended = place.look().status().segment;
        registry::RollStats stats;
        std::int64_t begun = 0, rolled = 0;
        {
            registry::Attachment attachment = registry::attach(place.name(), place.state_dir(), 10'000 * kMs);
            begun = now_ns();
            const Verdict verdict = registry::roll(attachment, registry::caller_now(), {"eod"}, 10'000 * kMs, &stats);
            INFO("reason " << static_cast<int>(verdict.reason));
            REQUIRE(verdict.result == Result::ok);
            rolled = now_ns();
        }
        wait_until([&] { return processes_in(ended, children) == 0; });
        const std::int64_t unmapped = now_ns();
        const std::uint64_t facts = slowest->facts;
        wait_until([&] { return slowest->facts > facts + 1000; });
        CHECK(stats.under_lock <= 256);
        CHECK(slowest->refused == refused);
        std::cout << "roll of " << orders << " live orders under " << writers << " writers, day " << day << ": "
                  << ms(rolled - begun) << " ms, " << stats.followed << " events followed, attempts " << stats.attempts << '\n'
                  << "  longest under the lock " << ms(stats.lock_ns) << " ms, events there " << stats.under_lock << '\n'
                  << "  slowest fact " << ms(slowest->fact_ns) << " ms, cancel " << ms(slowest->cancel_ns) << " ms, new order "
                  << ms(slowest->order_ns) << " ms; answered draining " << slowest->drained - drained << ", lock_timeout "
                  << slowest->late - late << "; facts and cancels refused " << slowest->refused - refused << '\n'
                  << "  old day unmapped by every process after " << ms(unmapped - rolled) << " ms\n";
    }
    slowest->stop = true;
    for (Child& child : children) REQUIRE(child.wait().left_with(0));
    require_clean(place.look());
}

// ---- memory -----------------------------------------------------------------------------------------

namespace {

/// Mappings of segments of this registry, and all memory of the process that is not a file's.
struct Memory {
    std::size_t mappings = 0;
    std::size_t anonymous_kb = 0;
};

Memory memory_now(const std::string& registry) {
    Memory memory;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);)
        memory.mappings += line.find("/dev/shm/") != std::string::npos && line.find(registry) != std::string::npos ? 1U : 0U;
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("RssAnon:")) memory.anonymous_kb = std::stoul(line.substr(8));
    return memory;
}

}  // namespace

TEST_CASE("a process that lives through 200 days has one of them mapped, and no more memory than after the first",
          "[roll][inv-10]") {
    const TempRegistry place(config_of_a_day(256));
    Trader trader(place, "s1");
    Registry operating = place.attach();
    const Reader& reader = trader.registry().reader();
    std::size_t after_ten_kb = 0;
    for (int day = 1; day <= 200; ++day) {
        REQUIRE(operating.roll("eod").result == Result::ok);
        REQUIRE(trader.send("o-" + std::to_string(day)).accepted());
        REQUIRE(trader.registry().canceled(trader.account(), "o-" + std::to_string(day)).taken());
        CHECK(reader.status().orders_live == 0);
        if (day != 10) continue;
        wait_until([&] { return memory_now("desk").mappings == 2; });
        after_ten_kb = memory_now("desk").anonymous_kb;
    }
    // Two registrations of this process, a mapping each.
    wait_until([&] { return memory_now("desk").mappings == 2; });
    CHECK(reader.status().day == 201);
    CHECK(memory_now("desk").anonymous_kb < after_ten_kb + 2048);
}

TEST_CASE("a reader of its own keeps the day that it looks at, when its process has left that", "[roll]") {
    const TempRegistry place(config_of_a_day(256));
    Trader trader(place, "s1");
    REQUIRE(trader.send("a").accepted());
    REQUIRE(trader.registry().canceled(trader.account(), "a").taken());
    std::optional<Reader> old(place.look());
    for (int day = 0; day < 3; ++day) REQUIRE(place.attach().roll("eod").result == Result::ok);
    wait_until([&] { return trader.registry().status().day == 4 && memory_now("desk").mappings == 2; });
    OrderView order;
    CHECK(old->find(trader.account(), "a", order));
    CHECK(old->status().day == 1);
    old.reset();
    CHECK(memory_now("desk").mappings == 1);
}

TEST_CASE("in a forked child its calls count like those of any other process", "[roll]") {
    if (skipped_for_threads_of_children()) return;
    const TempRegistry place(config_of_a_day(256));
    // This thread has been in a call before it forks.
    Trader trader(place, "s1");
    REQUIRE(trader.send("a").accepted());
    Child child([&] {
        Trader own(place, "s2");
        const Reader& reader = own.registry().reader();
        REQUIRE(own.send("b").accepted());
        REQUIRE(own.send("c").accepted());
        std::size_t seen = 0;
        reader.orders([&](const OrderView&) {
            if (++seen != 2) return true;
            std::thread([&] {
                // Each roll waits for the keeper to map its day: it has had its rounds in between.
                for (int day = 0; day < 6; ++day) REQUIRE(place.attach().roll("eod").result == Result::ok);
                wait_until([&] { return own.registry().status().day == 7; });
            }).join();
            return true;
        });
        REQUIRE(seen == 3);
    });
    REQUIRE(child.wait().left_with(0));
}

TEST_CASE("a day stays mapped as long as a call or a look is in it", "[roll]") {
    const TempRegistry place(config_of_a_day(256));
    Trader trader(place, "s1");
    REQUIRE(trader.send("a").accepted());
    REQUIRE(trader.send("b").accepted());
    std::vector<std::string> seen;
    trader.registry().reader().orders([&](const OrderView& order) {
        seen.push_back(order.id);
        if (seen.size() > 1) return true;
        // Another thread of the process goes on, far ahead; this look has not ended.
        std::thread([&] {
            for (int day = 0; day < 3; ++day) REQUIRE(place.attach().roll("eod").result == Result::ok);
            wait_until([&] { return trader.registry().status().day == 4; });
        }).join();
        return true;
    });
    CHECK(seen == std::vector<std::string>{"a", "b"});
    wait_until([&] { return memory_now("desk").mappings == 1; });
}

// ---- which day --------------------------------------------------------------------------------------

TEST_CASE("of operators who end the same day at once exactly one does", "[roll]") {
    const TempRegistry place(config_of_a_day(256));
    Shared<std::atomic<int>> ended;
    Shared<std::atomic<int>> refused;
    Shared<std::atomic<int>> ready;
    std::vector<Child> operators;
    for (int i = 0; i < 4; ++i)
        operators.emplace_back([&] {
            Registry registry = place.attach();
            ++*ready;
            while (*ready < 4) std::this_thread::yield();
            const Verdict verdict = registry.roll("eod", 1);
            if (verdict.result == Result::ok) ++*ended;
            if (verdict.reason == DenyReason::not_allowed && verdict.observed == 2) ++*refused;
        });
    for (Child& one : operators) REQUIRE(one.wait().left_with(0));
    CHECK(*ended == 1);
    CHECK(*refused == 3);
    CHECK(place.look().status().day == 2);
}

TEST_CASE("a day younger than min_day_s is ended by nobody", "[roll]") {
    SharedConfig config = config_of_a_day(256);
    config.min_day_s = 3600;
    const TempRegistry place(config);
    Registry registry = place.attach();
    for (const std::uint64_t day : {0, 1}) {
        const Verdict verdict = registry.roll("eod", day);
        CHECK(verdict.reason == DenyReason::not_allowed);
        CHECK(verdict.limit == 3'600'000);
        CHECK(verdict.observed < 3'600'000);
    }
    CHECK(registry.status().day == 1);
    {
        LiveSegment live(place, segment::Access::read_write);
        live.state().header->day_begun_steady_ns -= 3600 * 1000 * kMs;
    }
    CHECK(registry.roll("eod", 1).result == Result::ok);
    CHECK(registry.roll("eod", 2).reason == DenyReason::not_allowed);
    CHECK(registry.status().day == 2);
}
