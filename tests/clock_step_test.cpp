// Wall clocks that step, by a second, an hour, a day, back and forth, in one process for one call, at every way into a registry: what
// others may do does not depend on it, and labels of events stay what honest clocks say. Then reboots. The library under test is the
// real one; clock_gettime is the test's (support/stepped_clock).
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "core/copy.hpp"
#include "persist/strict_json.hpp"
#include "registry/segments.hpp"
#include "riskreg/error.hpp"
#include "segment/event_clock.hpp"
#include "segment/process.hpp"
#include "support/child.hpp"
#include "support/cli.hpp"
#include "support/operations.hpp"
#include "support/sanitized.hpp"
#include "support/stepped_clock.hpp"
#include "support/temp_registry.hpp"

namespace {

using namespace riskreg;
using namespace riskreg::test;

constexpr std::int64_t kMs = 1'000'000, kSecond = 1000 * kMs, kHour = 3600 * kSecond, kDay = 24 * kHour;
constexpr std::int64_t kSteps[] = {kSecond, -kSecond, kHour, -kHour, kDay, -kDay};
/// What a busy machine may lay between two looks at a clock, and what may be believed of a clock that is ahead.
constexpr std::int64_t kNear = 30 * kSecond;
static_assert(kNear < kHour);

SharedConfig clock_config(const std::string& mode = "none") {
    return parse_config(R"({"capacity": {"orders": 1024, "executions": 512, "ring_events": 4096, "sessions": 16},
        "persistence": {"mode": ")" +
                        mode + R"(", "checkpoint_interval_s": 600}, "require_limits": false,
        "allow_limit_without_reference": true, "self_match": "allow", "mark_interval_ms": 60000, "mark_threshold_bps": 5000,
        "instruments": [{"id": "ES", "tick": "0.25", "reference_max_age_ms": 600000}],
        "accounts": [{"id": "A1"}, {"id": "A2"}],
        "strategies": [{"id": "s1", "account": ["A1", "A2"], "on_death": "leave"},
                       {"id": "s2", "account": ["A1", "A2"], "on_death": "leave"}],
        "limits": [{"scope": "account:A1", "max_messages": 5, "window_ms": 600000},
                   {"scope": "account:A2", "max_same_content": 2, "content_window_ms": 600000}]})");
}
constexpr std::int64_t kWindow = 600 * kSecond;  // of everything above

/// Until this thread's clock has seen what was set.
void see_clock() {
    wait_until([] {
        const segment::ClockTimes times = segment::event_clock();
        const std::int64_t wall = segment::realtime_ns() - times.now_ns, boot = segment::boottime_ns() - times.steady_ns;
        return wall >= 0 && wall < kSecond / 2 && boot >= 0 && boot < kSecond / 2;
    });
}

/// While it lives this process's wall clock is wrong.
class Stepped {
public:
    explicit Stepped(std::int64_t ns) { set_wall_step(ns), see_clock(); }
    ~Stepped() { set_wall_step(0), see_clock(); }
    Stepped(const Stepped&) = delete;
    Stepped& operator=(const Stepped&) = delete;
};

void go_on(std::int64_t ns) { let_pass(ns), see_clock(); }

/// A thread's clock never goes back: after a reboot there are other threads.
void in_another_thread(const std::function<void()>& body) { std::thread(body).join(); }

struct ClockDesk {
    explicit ClockDesk(const std::string& mode = "none") : place(clock_config(mode)) {}
    ~ClockDesk() { set_wall_step(0), forget_reboot(); }
    ClockDesk(const ClockDesk&) = delete;
    ClockDesk& operator=(const ClockDesk&) = delete;

    TempRegistry place;
    int ids = 0;

    Verdict send(Registry& registry, const char* account, OrderType type = OrderType::limit, int quantity = 1) {
        OrderRequest order;
        const std::string id = "O-" + std::to_string(++ids);
        order.id = id;
        order.account = registry.account(account);
        order.instrument = registry.instrument("ES");
        order.side = Side::buy;
        order.type = type;
        if (type == OrderType::limit) order.price = points(100);
        order.quantity = lots(quantity);
        return registry.check_and_register(order);
    }
    [[nodiscard]] std::string last_id() const { return "O-" + std::to_string(ids); }
    static void price(Registry& registry) {
        REQUIRE(registry.reference_price(registry.instrument("ES"), points(100)).result == Result::ok);
    }
    [[nodiscard]] std::vector<layout::EventHeader> log() const {
        std::vector<layout::EventHeader> headers;
        const LiveSegment live(place, segment::Access::read_only);
        layout::Event event;
        for (std::uint64_t seq = 2; seq <= layout::load_acquire(live.state().log->committed); ++seq)
            if (core::read_event(live.state(), seq, event)) headers.push_back(event.header);
        return headers;
    }
    /// Labels never go back but where an operator says so, and are near the honest clock's.
    void require_honest_labels() const {
        std::int64_t label_ns = 0, steady_ns = 0;
        for (const layout::EventHeader& header : log()) {
            INFO("event " << header.seq);
            if (header.type != layout::EventType::clock_set) CHECK(header.time_ns >= label_ns);
            if (header.type != layout::EventType::recovered) CHECK(header.steady_ns >= steady_ns);
            CHECK(header.time_ns <= segment::realtime_ns() + kNear);
            label_ns = header.time_ns, steady_ns = header.steady_ns;
        }
        CHECK(label_ns >= segment::realtime_ns() - kNear);
    }
    [[nodiscard]] std::size_t ahead() const {
        std::size_t count = 0;
        for (const layout::EventHeader& header : log()) count += (header.flags & layout::kClockAhead) != 0 ? 1U : 0U;
        return count;
    }
    void lose_memory() const { REQUIRE(std::filesystem::remove("/dev/shm/" + place.look().status().segment)); }
};

DenyReason reason_of(const Verdict& verdict) { return verdict.accepted() ? DenyReason::none : verdict.reason; }

}  // namespace

TEST_CASE("a reference price is as old as boot time says, whatever the clock of its writer or of its reader",
          "[clock][inv-11]") {
    for (const std::int64_t step : kSteps) {
        for (const bool writer : {true, false}) {
            INFO("step " << step / kSecond << " s of " << (writer ? "the writer" : "a reader"));
            ClockDesk desk;
            Registry registry = desk.place.attach("s1"), other = desk.place.attach("s2");
            CHECK(reason_of(desk.send(registry, "A1")) == DenyReason::none);  // an honest event before
            if (writer) {
                const Stepped clock(step);
                ClockDesk::price(other);
            } else {
                ClockDesk::price(other);
                const Stepped clock(step);
                CHECK(reason_of(desk.send(registry, "A2", OrderType::market)) == DenyReason::none);
            }
            CHECK(reason_of(desk.send(registry, "A2", OrderType::market, 2)) == DenyReason::none);
            go_on(kWindow - kNear);
            CHECK(reason_of(desk.send(registry, "A2", OrderType::market, 3)) == DenyReason::none);
            go_on(kNear);
            CHECK(reason_of(desk.send(registry, "A2", OrderType::market, 4)) == DenyReason::reference_price_stale);
            if (!writer) {
                const Stepped clock(step);  // nor does a wrong clock make it fresh
                CHECK(reason_of(desk.send(registry, "A2", OrderType::market, 5)) == DenyReason::reference_price_stale);
            }
            ClockDesk::price(other);
            CHECK(reason_of(desk.send(registry, "A2", OrderType::market, 6)) == DenyReason::none);
            desk.require_honest_labels();
        }
    }
}

TEST_CASE("a budget of messages lets its number through in any window of boot time, whoever steps within it",
          "[clock][inv-2]") {
    for (const std::int64_t step : kSteps) {
        INFO("step " << step / kSecond << " s");
        ClockDesk desk;
        Registry registry = desk.place.attach("s1"), other = desk.place.attach("s2");
        for (int i = 0; i < 2; ++i) CHECK(reason_of(desk.send(registry, "A1", OrderType::limit, 1 + i)) == DenyReason::none);
        {
            const Stepped clock(step);
            for (int i = 0; i < 3; ++i) CHECK(reason_of(desk.send(other, "A1", OrderType::limit, 3 + i)) == DenyReason::none);
            CHECK(reason_of(desk.send(other, "A1", OrderType::limit, 6)) == DenyReason::rate_limit);
        }
        CHECK(reason_of(desk.send(registry, "A1", OrderType::limit, 7)) == DenyReason::rate_limit);
        go_on(kWindow - kNear);
        CHECK(reason_of(desk.send(registry, "A1", OrderType::limit, 8)) == DenyReason::rate_limit);
        go_on(kNear);
        for (int i = 0; i < 5; ++i) CHECK(reason_of(desk.send(registry, "A1", OrderType::limit, 9 + i)) == DenyReason::none);
        CHECK(reason_of(desk.send(registry, "A1", OrderType::limit, 14)) == DenyReason::rate_limit);
        desk.require_honest_labels();
        CHECK(desk.ahead() == (step > kSecond ? 3U : 0U));
    }
}

TEST_CASE("orders of the same content count within a window of boot time, whoever steps within it", "[clock][inv-1]") {
    for (const std::int64_t step : kSteps) {
        INFO("step " << step / kSecond << " s");
        ClockDesk desk;
        Registry registry = desk.place.attach("s1"), other = desk.place.attach("s2");
        CHECK(reason_of(desk.send(registry, "A2")) == DenyReason::none);
        {
            const Stepped clock(step);
            CHECK(reason_of(desk.send(other, "A2")) == DenyReason::none);
        }
        CHECK(reason_of(desk.send(registry, "A2")) == DenyReason::duplicate_content);
        go_on(kWindow - kNear);
        CHECK(reason_of(desk.send(registry, "A2")) == DenyReason::duplicate_content);
        go_on(kNear);
        CHECK(reason_of(desk.send(registry, "A2")) == DenyReason::none);
    }
}

TEST_CASE("facts of a process whose clock steps are booked with honest labels, and breakers count them in boot time",
          "[clock][inv-5]") {
    for (const std::int64_t step : kSteps) {
        INFO("step " << step / kSecond << " s");
        ClockDesk desk;
        Registry registry = desk.place.attach("s1"), other = desk.place.attach("s2");
        Limits limits = registry.exposure(registry.reader().scope("strategy:s1")).limits;
        limits.max_rejects = {LimitValue::Kind::value, 2};
        limits.window_ms = {LimitValue::Kind::value, kWindow / kMs};
        REQUIRE(registry.set_limits(registry.reader().scope("strategy:s1"), limits, "test").result == Result::ok);
        const auto reject = [&](int quantity) {
            REQUIRE(reason_of(desk.send(registry, "A2", OrderType::limit, quantity)) == DenyReason::none);
            OrderEvent fact;
            fact.kind = EventKind::rejected;
            fact.account = registry.account("A2");
            const std::string id = desk.last_id();
            fact.id = id;
            REQUIRE(registry.event(fact).taken());
        };
        const auto state = [&] { return registry.exposure(registry.reader().scope("strategy:s1/instrument:ES")).state; };
        reject(1), reject(2);
        go_on(kWindow);  // these two are over
        {
            const Stepped clock(step);
            reject(3);
        }
        reject(4);
        CHECK(state() == TradingState::active);
        go_on(kWindow - kNear);
        reject(5);
        CHECK(state() != TradingState::active);
        desk.require_honest_labels();
    }
}

TEST_CASE("a day that is rolled by a process whose clock is wrong begins with honest labels and lets prices age on",
          "[clock][inv-6]") {
    for (const std::int64_t step : kSteps) {
        INFO("step " << step / kSecond << " s");
        ClockDesk desk;
        Registry registry = desk.place.attach("s1");
        ClockDesk::price(registry);
        CHECK(reason_of(desk.send(registry, "A1")) == DenyReason::none);
        const std::int64_t label = registry.status().last_time_ns;
        {
            Registry op = desk.place.attach();
            const Stepped clock(step);
            REQUIRE(op.roll("evening").taken());
        }
        const StatusView status = desk.place.look().status();
        CHECK(status.day == 2);
        CHECK(status.last_time_ns >= label);
        CHECK(status.last_time_ns <= segment::realtime_ns() + kNear);
        CHECK(reason_of(desk.send(registry, "A2", OrderType::market)) == DenyReason::none);
        go_on(kWindow);
        CHECK(reason_of(desk.send(registry, "A2", OrderType::market, 2)) == DenyReason::reference_price_stale);
        desk.require_honest_labels();
    }
}

TEST_CASE("one process whose clock is behind makes nobody else look ahead", "[clock]") {
    ClockDesk desk;
    Registry registry = desk.place.attach("s1"), other = desk.place.attach("s2");
    CHECK(reason_of(desk.send(registry, "A2", OrderType::limit, 1)) == DenyReason::none);
    for (int i = 0; i < 3; ++i) {
        {
            const Stepped clock(-kHour);
            CHECK(reason_of(desk.send(other, "A2", OrderType::limit, 10 + i)) == DenyReason::none);
        }
        go_on(kNear);  // much more than the second that is allowed
        CHECK(reason_of(desk.send(registry, "A2", OrderType::limit, 20 + i)) == DenyReason::none);
        CHECK(registry.status().last_time_ns >= segment::realtime_ns() - kSecond - kNear / 2);
    }
    CHECK(desk.ahead() == 0);
}

TEST_CASE("a clock that runs ahead is an alarm with the number of its events, and one that is behind is none",
          "[clock][registry]") {
    ClockDesk desk("async");
    ProcessConfig config = desk.place.process("s1");
    config.host_snapshotter = true;
    Registry registry = Registry::open("desk", config);
    const auto told = [&](const std::string& what) {
        std::ifstream file(desk.place.state_dir() + "/desk/riskreg.log");
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        return text.find(what) != std::string::npos;
    };
    CHECK(reason_of(desk.send(registry, "A2", OrderType::limit, 1)) == DenyReason::none);
    {
        const Stepped clock(-kDay);
        for (int i = 0; i < 3; ++i) CHECK(reason_of(desk.send(registry, "A2", OrderType::limit, 2 + i)) == DenyReason::none);
    }
    {
        const Stepped clock(kDay);
        CHECK(reason_of(desk.send(registry, "A2", OrderType::limit, 10)) == DenyReason::none);
    }
    wait_until([&] { return told("1 events came from a clock that ran ahead of elapsed time"); });
    CHECK(desk.ahead() == 1);
    CHECK(registry.status().alarms >= 1);
    desk.require_honest_labels();
}

TEST_CASE("the host marks when the interval has passed in boot time, and checkpoints, wherever the wall clock is",
          "[clock][registry]") {
    for (const std::int64_t step : kSteps) {
        INFO("step " << step / kSecond << " s");
        ClockDesk desk("async");
        ProcessConfig config = desk.place.process("s1");
        config.host_snapshotter = true;
        Registry registry = Registry::open("desk", config);
        const auto marks = [&] {
            std::size_t count = 0;
            for (const layout::EventHeader& header : desk.log()) count += header.type == layout::EventType::marked ? 1U : 0U;
            return count;
        };
        REQUIRE(
            registry.load_position(registry.account("A1"), registry.strategy(), registry.instrument("ES"), lots(5), points(99))
                .result == Result::ok);
        ClockDesk::price(registry);
        go_on(60 * kSecond);
        wait_until([&] { return marks() >= 1; });
        const std::uint64_t checkpoints = registry.status().checkpoints;
        set_wall_step(step), see_clock();
        REQUIRE(registry.reference_price(registry.instrument("ES"), points(101)).result == Result::ok);  // below the threshold
        const std::size_t before = marks();
        go_on(60 * kSecond);
        wait_until([&] { return marks() > before; });
        go_on(600 * kSecond);
        wait_until([&] { return registry.status().checkpoints > checkpoints; });
        CHECK(registry.reader().audit().violations.empty());
    }
}

TEST_CASE("rebuilt by a process whose clock is wrong, or after another boot, labels go on and windows are used up once",
          "[clock][persist][inv-9]") {
    for (const std::int64_t step : kSteps) {
        for (const bool reboot : {false, true}) {
            INFO("step " << step / kSecond << " s" << (reboot ? ", another boot" : ""));
            ClockDesk desk("async");
            std::int64_t label = 0;
            in_another_thread([&] {
                ProcessConfig config = desk.place.process("s1");
                config.host_snapshotter = true;
                Registry registry = Registry::open("desk", config);
                ClockDesk::price(registry);
                for (int i = 0; i < 2; ++i)
                    CHECK(reason_of(desk.send(registry, "A1", OrderType::limit, 1 + i)) == DenyReason::none);
                const Verdict last = desk.send(registry, "A2");
                wait_until([&] { return registry.status().durable >= last.seq; });
                label = registry.status().last_time_ns;
            });
            desk.lose_memory();
            if (reboot) set_uptime(20 * kSecond);
            set_wall_step(step);
            in_another_thread([&] {
                see_clock();
                {
                    const RecoverView recovered = Registry::recover("desk", desk.place.state_dir());
                    CHECK(recovered.outcome == RecoverOutcome::rebuilt);
                }
                set_wall_step(0), see_clock();
                Registry registry = desk.place.attach("s1");
                CHECK(registry.status().last_time_ns >= label);
                REQUIRE(registry.release_unreconciled("compared").taken());
                CHECK(reason_of(desk.send(registry, "A1")) == DenyReason::rate_limit);
                CHECK(reason_of(desk.send(registry, "A2", OrderType::market)) == DenyReason::reference_price_stale);
                CHECK(reason_of(desk.send(registry, "A2")) == DenyReason::none);  // the second of this content
                CHECK(reason_of(desk.send(registry, "A2")) == DenyReason::duplicate_content);
                go_on(kWindow - kNear);
                CHECK(reason_of(desk.send(registry, "A1")) == DenyReason::rate_limit);
                CHECK(reason_of(desk.send(registry, "A2")) == DenyReason::duplicate_content);
                go_on(kNear);
                CHECK(reason_of(desk.send(registry, "A1")) == DenyReason::none);
                CHECK(reason_of(desk.send(registry, "A2", OrderType::limit, 1)) == DenyReason::none);
                CHECK(registry.reader().audit().violations.empty());
            });
        }
    }
}

TEST_CASE(
    "an operator sets the clock back and forth; the log, its journal and a recovery take a label that goes back there only",
    "[clock][persist][inv-9]") {
    ClockDesk desk("async");
    std::uint64_t digest = 0;
    {
        ProcessConfig config = desk.place.process("s1");
        config.host_snapshotter = true;
        Registry registry = Registry::open("desk", config), op = desk.place.attach();
        for (const std::int64_t step : {kDay, -kHour, kHour, std::int64_t{0}}) {
            INFO("step " << step / kSecond << " s");
            const Stepped clock(step);
            const Verdict set = op.set_clock("the time server was wrong");
            REQUIRE(set.taken());
            const StatusView after = op.status();
            CHECK(std::abs(after.last_time_ns - segment::realtime_ns()) < kNear);
            CHECK(reason_of(desk.send(registry, "A2", OrderType::limit, 1 + desk.ids)) == DenyReason::none);
            CHECK(std::abs(registry.status().last_time_ns - segment::realtime_ns()) < kNear);
        }
        CHECK(desk.ahead() == 0);
        CHECK(registry.reader().audit().violations.empty());
        const std::uint64_t committed = registry.status().committed;
        wait_until([&] { return registry.status().durable >= committed; });
        const LiveSegment live(desk.place, segment::Access::read_only);
        digest = core::digest(core::copy_consistent(live.state())->state);
    }
    desk.lose_memory();
    const RecoverView recovered = Registry::recover("desk", desk.place.state_dir());
    CHECK(recovered.outcome == RecoverOutcome::rebuilt);
    CHECK(digest != 0);
    const Reader reader = desk.place.look();
    CHECK(reader.audit().violations.empty());
    CHECK(reader.status().orders_live == 4);
}

TEST_CASE("the times of another process's clock are told in the log of alarms, and by doctor until the clock is set",
          "[clock][cli]") {
    if (skipped_for_preload()) return;
    testing::Cli cli;
    cli.create("desk", testing::es_config());
    const std::string order =
        R"({"op":"register","id":"O-%","account":"A1","instrument":"ESH4","side":"buy","type":"limit","tif":"day",)"
        R"("price":"100","quantity":"1"})"
        "\n";
    const auto as = [&](std::int64_t step, const std::string& arguments, const std::string& input = {}) {
        ::setenv(kWallStep, std::to_string(step).c_str(), 1);
        ::setenv("LD_PRELOAD", RISKREG_BIN_DIR "/libriskreg_stepped_clock.so", 1);
        const testing::CliResult result = cli.run(arguments, input);
        ::unsetenv("LD_PRELOAD");
        ::unsetenv(kWallStep);
        return result;
    };
    const auto with_id = [&](int id) { return std::string(order).replace(order.find('%'), 1, std::to_string(id)); };
    const std::string exec = "exec desk --strategy s1";
    const std::string of = " desk";
    const testing::CliResult first = as(0, exec, with_id(1));
    INFO(first.out << first.err);
    REQUIRE(first.code == 0);
    int id = 1;
    for (const std::int64_t step : kSteps) {
        INFO("step " << step / kSecond << " s");
        CHECK(as(step, exec, with_id(++id)).code == 0);
        CHECK_THAT(as(0, "doctor" + of).out, Catch::Contains("the log's is that of this machine"));
        if (std::abs(step) < kHour) continue;
        // The machine on which the log was written was wrong, and was set right.
        REQUIRE(as(step, "clock" + of + " --reason 'time server'").code == 0);
        const testing::CliResult wrong = as(0, "doctor" + of);
        CHECK_THAT(wrong.out, Catch::Contains(step > 0 ? "ahead of this machine's clock" : "behind this machine's clock"));
        CHECK_THAT(wrong.out, Catch::Contains("riskctl clock desk --reason"));
        CHECK(as(0, exec, with_id(++id)).code == 0);  // nobody is locked out
        REQUIRE(as(0, "clock" + of + " --reason 'right again'").code == 0);
        CHECK_THAT(as(0, "doctor" + of).out, Catch::Contains("the log's is that of this machine"));
    }
    const testing::CliResult events = as(0, "events" + of);
    CHECK_THAT(events.out, Catch::Contains("clock_set"));
    CHECK(as(0, "verify" + of).code == 0);
}
