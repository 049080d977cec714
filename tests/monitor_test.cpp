// What the snapshotter's host watches in the tables: marks that follow the reference price, losses, soft levels of limits.
//
// In one process, with a host in threads of its own. "Nothing is written" is told by something later that is: the monitor
// looks at what came first first.

#include <catch2/catch.hpp>

#include <chrono>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "segment/state_lock.hpp"
#include "support/child.hpp"
#include "support/operations.hpp"

namespace {

using namespace riskreg;
using namespace riskreg::test;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kMs = 1'000'000;
/// Money is in units of 1e-6.
constexpr Money money(std::int64_t amount) { return {amount * 1'000'000}; }

/// Instruments ES, NQ and YM without multipliers, account A1, strategies s1 and s2; marks by the threshold of 10 bps only.
/// YM never has a reference price.
SharedConfig watched_config(const std::string& more = {}, const std::string& limits = {}) {
    return parse_config(R"({"capacity": {"orders": 256, "executions": 512, "ring_events": 4096, "sessions": 16},
        "persistence": {"mode": "none"}, "require_limits": false, "allow_limit_without_reference": true, "self_match": "allow",
        "instruments": [{"id": "ES", "tick": "0.25", "reference_max_age_ms": 60000},
                        {"id": "NQ", "tick": "0.25", "reference_max_age_ms": 60000}, {"id": "YM", "tick": "0.25"}],
        "accounts": [{"id": "A1"}],
        "strategies": [{"id": "s1", "account": "A1", "on_death": "leave"}, {"id": "s2", "account": "A1", "on_death": "leave"}],
        "limits": [{"scope": "strategy:s2/instrument:YM", "max_long": "10"})" +
                        (limits.empty() ? "" : ", " + limits) + "]" +
                        (more.empty() ? R"(, "mark_interval_ms": 0)" : ", " + more) + "}");
}

constexpr const char* kLook = "strategy:s2/instrument:YM";

/// A registry, a session of s1 in it that hosts, and what the tests do with both.
class Watched {
public:
    explicit Watched(const SharedConfig& config = watched_config()) : place(config), registry(host("s1")) {}

    [[nodiscard]] Registry host(const std::string& strategy) const {
        ProcessConfig process = place.process(strategy);
        process.host_snapshotter = true;
        return Registry::open(place.name(), process);
    }
    [[nodiscard]] Scope scope(const std::string& text) const { return registry.reader().scope(text); }
    [[nodiscard]] ExposureView row(const std::string& text) const { return registry.exposure(scope(text)); }
    [[nodiscard]] Money gross(const std::string& text) const { return row(text).gross_value; }

    void reference(const std::string& instrument, Price price) {
        REQUIRE(registry.reference_price(registry.instrument(instrument), price).result == Result::ok);
    }
    void load(const std::string& instrument, int quantity, Price price) {
        REQUIRE(registry
                    .load_position(registry.account("A1"), registry.strategy(), registry.instrument(instrument), lots(quantity),
                                   price)
                    .result == Result::ok);
    }
    void buy(const std::string& id, const std::string& instrument, int quantity) {
        OrderRequest order;
        order.id = id;
        order.account = registry.account("A1");
        order.instrument = registry.instrument(instrument);
        order.side = Side::buy;
        order.price = points(10);
        order.quantity = lots(quantity);
        REQUIRE(registry.check_and_register(order).accepted());
    }
    void cancel(const std::string& id) { REQUIRE(registry.canceled(registry.account("A1"), id).result == Result::ok); }
    void limit(const std::string& where, LimitValue Limits::*member, LimitValue value) {
        Limits limits = row(where).limits;
        limits.*member = value;
        REQUIRE(registry.set_limits(scope(where), limits, "test").result == Result::ok);
    }

    /// Events of a type whose text holds every one of `parts`.
    [[nodiscard]] std::vector<std::string> events(const std::string& type, const std::vector<std::string>& parts = {}) const {
        std::vector<std::string> found;
        EventFilter filter;
        filter.types = {type};
        registry.reader().events(0, filter, [&](std::uint64_t, const std::string& text) {
            bool all = true;
            for (const std::string& part : parts) all = all && text.find(part) != std::string::npos;
            if (all) found.push_back(text);
            return true;
        });
        return found;
    }
    [[nodiscard]] std::size_t alerts(const std::string& where, const std::string& level = {}) const {
        std::vector<std::string> parts{R"("scope":")" + where + R"(")"};
        if (!level.empty()) parts.push_back(R"("level":)" + level + ",");
        return events("alert", parts).size();
    }
    [[nodiscard]] std::size_t lines(const std::string& part) const {
        std::ifstream file(place.state_dir() + "/" + place.name() + "/riskreg.log");
        const std::string text{std::istreambuf_iterator<char>(file), {}};
        std::size_t count = 0;
        for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
        return count;
    }
    /// Until everything that was done before has been looked at: a position that passes a level, and leaves it.
    void let_it_look() {
        const std::size_t before = alerts(kLook);
        for (const int quantity : {9, -9}) {
            const std::size_t wanted = before + (quantity > 0 ? 1 : 2);
            REQUIRE(registry
                        .load_position(registry.account("A1"), registry.reader().strategy("s2"), registry.instrument("YM"),
                                       lots(quantity), points(1))
                        .result == Result::ok);
            wait_until([&] { return alerts(kLook) == wanted; });
        }
    }
    void require_sound() const { REQUIRE(registry.reader().audit().violations == std::vector<std::string>{}); }

    TempRegistry place;
    Registry registry;
};

constexpr const char* kEs = "account:A1/instrument:ES";

}  // namespace

TEST_CASE("a reference price that moves marks positions and moves gross, net and the result of the day", "[registry][inv-5]") {
    Watched desk;
    desk.load("ES", 10, points(100));
    desk.load("NQ", -2, points(50));
    REQUIRE(desk.gross("firm") == money(1100));
    desk.reference("ES", points(110));
    desk.reference("NQ", points(40));
    const std::string rows[] = {"instrument:ES",
                                kEs,
                                "strategy:s1/instrument:ES",
                                "instrument:NQ",
                                "account:A1/instrument:NQ",
                                "strategy:s1/instrument:NQ"};
    for (const std::string& row : rows) {
        const Price price = row.find("ES") != std::string::npos ? points(110) : points(40);
        wait_until([&] { return desk.row(row).mark == price; });
    }
    for (const std::string spanning : {"firm", "account:A1", "strategy:s1"}) {
        CAPTURE(spanning);
        const ExposureView row = desk.row(spanning);
        CHECK(row.gross_value == money(1180));
        CHECK(row.net_value == money(1020));
        CHECK(row.pnl == money(120));
        CHECK(row.peak_pnl == money(120));
    }
    CHECK(desk.row("strategy:s2").gross_value == money(0));
    desk.require_sound();
}

TEST_CASE("a move below the threshold is not marked, one that reaches it is", "[registry][inv-5]") {
    Watched desk(watched_config(R"("mark_interval_ms": 0, "mark_threshold_bps": 100)"));
    desk.load("ES", 10, points(100));
    desk.load("NQ", 10, points(100));
    desk.reference("ES", points(200));
    desk.reference("NQ", points(200));
    wait_until([&] { return desk.events("marked").size() == 6; });
    // 0.995 % and, in the same breath, exactly 1 %.
    desk.reference("ES", {201'990'000'000});
    desk.reference("NQ", {202'000'000'000});
    wait_until([&] { return desk.events("marked").size() == 9; });
    desk.let_it_look();
    CHECK(desk.row(kEs).mark == points(200));
    CHECK(desk.row("account:A1/instrument:NQ").mark == points(202));
    CHECK(desk.events("marked").size() == 9);
}

TEST_CASE("with a threshold of nothing every difference is marked", "[registry]") {
    Watched desk(watched_config(R"("mark_interval_ms": 0, "mark_threshold_bps": 0)"));
    desk.load("ES", 10, points(100));
    desk.reference("ES", points(200));
    wait_until([&] { return desk.row(kEs).mark == points(200); });
    desk.reference("ES", {200'000'000'001});
    wait_until([&] { return desk.row(kEs).mark == Price{200'000'000'001}; });
}

TEST_CASE("a small move is marked when the interval has passed, and not before", "[registry]") {
    Watched desk(watched_config(R"("mark_interval_ms": 600, "mark_threshold_bps": 1000)"));
    desk.load("ES", 10, points(100));
    const Clock::time_point begin = Clock::now();
    desk.reference("ES", points(200));
    wait_until([&] { return desk.row(kEs).mark == points(200); });
    desk.reference("ES", points(201));
    wait_until([&] { return desk.row(kEs).mark == points(201); });
    // Half of it: the round of the first mark may have begun before the price came.
    CHECK(Clock::now() - begin >= std::chrono::milliseconds(300));
    CHECK(desk.events("marked", {R"("scope":")" + std::string(kEs) + R"(")"}).size() == 2);
}

TEST_CASE("a stale reference price marks nothing, a fresh one does", "[registry]") {
    SharedConfig config = watched_config();
    config.instruments[0].reference_max_age_ms = 1;
    Watched desk(config);
    desk.reference("ES", points(200));
    const Clock::time_point stale = Clock::now() + std::chrono::milliseconds(20);
    wait_until([&] { return Clock::now() > stale; });
    desk.load("ES", 10, points(100));
    desk.let_it_look();
    CHECK(desk.events("marked").empty());
    CHECK(desk.row(kEs).mark == points(100));
    wait_until([&] {
        desk.reference("ES", points(200));
        return desk.row(kEs).mark == points(200);
    });
}

TEST_CASE("by the worst-case method open orders are marked without a position, by the other they are not", "[registry]") {
    const bool worst_case = GENERATE(false, true);
    SharedConfig config = watched_config();
    config.gross_method = worst_case ? GrossMethod::worst_case : GrossMethod::standard;
    Watched desk(config);
    desk.reference("ES", points(10));
    desk.buy("O-1", "ES", 5);
    desk.let_it_look();
    desk.reference("ES", points(20));
    if (worst_case) wait_until([&] { return desk.gross("firm") == money(100); });
    desk.let_it_look();
    CHECK(desk.events("marked", {"ES"}).size() == (worst_case ? 3 : 0));
    desk.require_sound();
}

TEST_CASE("a loss by a mark sets the scope whose limit it is, and working orders stay", "[registry][inv-5]") {
    const bool halts = GENERATE(false, true);
    SharedConfig config = watched_config();
    config.halt_on_loss = halts;
    Watched desk(config);
    desk.load("ES", 10, points(100));
    desk.limit("account:A1", &Limits::daily_loss, {LimitValue::Kind::value, money(500).value});
    desk.limit("strategy:s1", &Limits::drawdown, {LimitValue::Kind::value, money(1000).value});
    desk.buy("O-1", "ES", 1);
    desk.reference("ES", points(51));
    wait_until([&] { return desk.row("account:A1").pnl == money(-490); });
    CHECK(desk.row("account:A1").state == TradingState::active);
    desk.reference("ES", points(40));
    const TradingState wanted = halts ? TradingState::halted : TradingState::reducing_only;
    wait_until([&] { return desk.row("account:A1").state == wanted; });
    CHECK(desk.row("account:A1").state_reason == "daily_loss: observed 600, limit 500");
    desk.let_it_look();
    for (const std::string other : {"firm", "strategy:s1", kEs}) CHECK(desk.row(other).state == TradingState::active);
    OrderView order;
    REQUIRE(desk.registry.find(desk.registry.account("A1"), "O-1", order));
    CHECK(is_live(order.base));
    CHECK(desk.row(kEs).working_buy == 1);
    desk.require_sound();
}

TEST_CASE("a loss limit that is lowered below the present loss sets the state", "[registry]") {
    Watched desk;
    desk.load("ES", 10, points(100));
    desk.reference("ES", points(70));
    wait_until([&] { return desk.row("firm").pnl == money(-300); });
    const auto [member, name] = GENERATE(
        table<LimitValue Limits::*, std::string>({{&Limits::daily_loss, "daily_loss"}, {&Limits::drawdown, "drawdown"}}));
    desk.limit("firm", member, {LimitValue::Kind::value, money(301).value});
    desk.let_it_look();
    CHECK(desk.row("firm").state == TradingState::active);
    desk.limit("firm", member, {LimitValue::Kind::value, money(300).value});
    wait_until([&] { return desk.row("firm").state == TradingState::reducing_only; });
    CHECK(desk.row("firm").state_reason == name + ": observed 300, limit 300");
    CHECK(desk.events("state_changed").size() == 1);
}

TEST_CASE("a soft level is told once for each upward crossing, and again after it was left", "[registry]") {
    Watched desk(watched_config({}, R"({"scope": "account:A1/instrument:ES", "max_long": "100"})"));
    desk.buy("base", "ES", 50);
    desk.buy("nine", "ES", 9);
    desk.buy("one", "ES", 1);
    desk.let_it_look();
    CHECK(desk.alerts(kEs) == 0);
    desk.buy("O-1", "ES", 12);
    wait_until([&] { return desk.alerts(kEs, "70") == 1; });
    // Inside the band: 78, 66, 72 %.
    desk.buy("O-2", "ES", 6);
    desk.cancel("O-1");
    desk.let_it_look();
    desk.buy("O-3", "ES", 6);
    desk.let_it_look();
    CHECK(desk.alerts(kEs) == 1);
    // 65 % leaves it, 95 % then passes three levels at once.
    desk.cancel("O-2");
    desk.buy("O-4", "ES", 5);
    desk.cancel("O-3");
    wait_until([&] { return desk.alerts(kEs, "0") == 1; });
    desk.buy("O-5", "ES", 30);
    wait_until([&] { return desk.alerts(kEs, "90") == 1; });
    // 86 % keeps the highest, 85 % leaves it for the one below.
    desk.cancel("nine");
    desk.let_it_look();
    CHECK(desk.alerts(kEs) == 3);
    desk.cancel("one");
    wait_until([&] { return desk.alerts(kEs, "80") == 1; });
    CHECK(desk.alerts(kEs) == 4);
    wait_until([&] { return desk.lines("account:A1/instrument:ES: max_long at 72 %: 72 of 100 (quantity)") == 1; });
    wait_until([&] { return desk.lines("account:A1/instrument:ES: max_long at 95 %: 95 of 100 (quantity)") == 1; });
    CHECK(desk.lines("max_long at 85 %") == 0);
    desk.require_sound();
}

TEST_CASE("a quantity limit of a scope that spans instruments is used by the greatest of them", "[registry]") {
    Watched desk(watched_config({}, R"({"scope": "account:A1", "max_long": "100"}, {"scope": "firm", "max_short": "100"})"));
    desk.buy("O-1", "ES", 50);
    desk.buy("O-2", "NQ", 60);
    desk.let_it_look();
    CHECK(desk.alerts("account:A1") == 0);
    desk.buy("O-3", "NQ", 15);
    desk.load("ES", -81, points(10));
    wait_until([&] { return desk.alerts("account:A1") == 1 && desk.alerts("firm") == 1; });
    CHECK(desk.events("alert", {R"("scope":"account:A1")", R"("observed":"75")", R"("limit_name":"max_long")"}).size() == 1);
    CHECK(desk.events("alert", {R"("scope":"firm")", R"("observed":"81")", R"("limit_name":"max_short")"}).size() == 1);
}

TEST_CASE("every limit of working orders, exposure, cash, turnover and loss has soft levels", "[registry]") {
    SharedConfig config = watched_config();
    config.reserve_price = ReservePrice::limit;
    Watched desk(config);
    const auto value = [](std::int64_t number) { return LimitValue{LimitValue::Kind::value, number}; };
    // 8 lots of 100 are worth 90 each, two buys of 10 lots at 10 work.
    desk.load("ES", 8, points(100));
    desk.reference("ES", points(90));
    wait_until([&] { return desk.row("firm").pnl == money(-80); });
    desk.buy("O-1", "ES", 10);
    desk.buy("O-2", "ES", 10);
    desk.limit("firm", &Limits::max_open_notional, value(money(250).value));      // 200
    desk.limit("firm", &Limits::max_working_orders, value(2));                    // 2
    desk.limit("firm", &Limits::max_working_buy, value(2));                       // 2
    desk.limit("firm", &Limits::max_gross_notional, value(money(1150).value));    // 920
    desk.limit("firm", &Limits::max_net_notional, value(money(1150).value));      // 920
    desk.limit("firm", &Limits::cash_limit, value(money(250).value));             // 200
    desk.limit("firm", &Limits::max_traded_notional, value(money(250).value));    // 200
    desk.limit("firm", &Limits::daily_loss, value(money(100).value));             // 80
    desk.limit("firm", &Limits::drawdown, value(money(100).value));               // 80
    const auto has = [&](const std::string& name, const std::string& level) {
        return desk.events("alert", {R"("scope":"firm")", R"("limit_name":")" + name + R"(")", R"("level":)" + level + ","})
            .size();
    };
    for (const std::string name : {"max_open_notional", "max_gross_notional", "max_net_notional", "cash_limit",
                                   "max_traded_notional", "daily_loss", "drawdown"}) {
        CAPTURE(name);
        wait_until([&] { return has(name, "80") == 1; });
    }
    for (const std::string name : {"max_working_orders", "max_working_buy"}) wait_until([&] { return has(name, "90") == 1; });
    CHECK(desk.alerts("firm") == 9);
    CHECK(desk.row("firm").state == TradingState::active);
    desk.require_sound();
}

TEST_CASE("a limit of 0 has no levels, and a limit that is taken off takes its level along", "[registry]") {
    Watched desk(watched_config({}, R"({"scope": "firm", "max_working_sell": 0})"));
    desk.limit(kEs, &Limits::max_long, {LimitValue::Kind::value, lots(10).value});
    desk.buy("O-1", "ES", 9);
    wait_until([&] { return desk.alerts(kEs, "90") == 1; });
    desk.limit(kEs, &Limits::max_long, {LimitValue::Kind::unlimited, 0});
    wait_until([&] { return desk.alerts(kEs, "0") == 1; });
    desk.limit(kEs, &Limits::max_long, {LimitValue::Kind::value, 0});
    desk.let_it_look();
    CHECK(desk.alerts(kEs) == 2);
    CHECK(desk.alerts("firm") == 0);
}

TEST_CASE("a mark that breaches gross or net warns or reduces, as configured", "[registry]") {
    const bool reduces = GENERATE(false, true);
    const auto [member, name] = GENERATE(table<LimitValue Limits::*, std::string>(
        {{&Limits::max_gross_notional, "max_gross_notional"}, {&Limits::max_net_notional, "max_net_notional"}}));
    SharedConfig config = watched_config();
    config.reduce_on_mark_breach = reduces;
    Watched desk(config);
    desk.load("ES", 10, points(100));
    desk.buy("O-1", "ES", 1);
    desk.limit("account:A1", member, {LimitValue::Kind::value, money(1110).value});
    desk.reference("ES", points(110));
    wait_until([&] { return desk.gross("account:A1") == money(1100); });
    desk.let_it_look();
    CHECK(desk.row("account:A1").state == TradingState::active);
    desk.reference("ES", points(120));
    const TradingState wanted = reduces ? TradingState::reducing_only : TradingState::warn;
    wait_until([&] { return desk.row("account:A1").state == wanted; });
    CHECK(desk.row("account:A1").state_reason == name + ": observed 1210, limit 1110");
    CHECK(desk.row("firm").state == TradingState::active);
    CHECK(desk.row(kEs).working_buy == 1);
}

TEST_CASE("who takes over as host repeats no alert and marks nothing anew", "[registry]") {
    Watched desk(
        watched_config(R"("mark_interval_ms": 86400000)", R"({"scope": "account:A1/instrument:ES", "max_long": "10"})"));
    desk.load("ES", 8, points(100));
    desk.reference("ES", points(200));
    wait_until([&] { return desk.row(kEs).mark == points(200) && desk.alerts(kEs) == 1; });
    desk.reference("ES", {200'100'000'000});
    desk.let_it_look();
    const std::size_t marks = desk.events("marked").size(), lines = desk.lines("max_long at");
    desk.registry = desk.place.attach();
    ProcessConfig process = desk.place.process();
    process.host_snapshotter = true;
    const Registry next = Registry::open(desk.place.name(), process);
    wait_until([&] { return next.is_hosting(); });
    desk.registry = desk.place.attach("s1");
    desk.reference("ES", {200'100'000'000});
    desk.let_it_look();
    CHECK(desk.alerts(kEs) == 1);
    CHECK(desk.events("marked").size() == marks);
    CHECK(desk.lines("account:A1/instrument:ES: max_long at") == 1);
    CHECK(desk.lines("max_long at") == lines + 1);
}

TEST_CASE("a monitor rests when the registry is destroyed or poisoned, and leaves in time", "[registry][inv-10]") {
    const bool poisoned = GENERATE(false, true);
    Watched desk;
    desk.load("ES", 8, points(100));
    desk.let_it_look();
    LiveSegment live(desk.place, segment::Access::read_write);
    const std::uint64_t committed = live.state().log->committed;
    if (poisoned) segment::poison(live.state());
    else Registry::destroy(desk.place.name(), desk.place.state_dir(), false, true);
    const Clock::time_point begin = Clock::now();
    { const Registry leaves = std::move(desk.registry); }
    CHECK(Clock::now() - begin < std::chrono::seconds(10));
    CHECK(live.state().log->committed == committed);
}

TEST_CASE("with a journal marks and alerts are on disk like any event", "[registry][inv-9]") {
    SharedConfig config = watched_config({}, R"({"scope": "account:A1/instrument:ES", "max_long": "10"})");
    config.persistence_mode = PersistenceMode::async;
    Watched desk(config);
    desk.load("ES", 8, points(100));
    desk.reference("ES", points(200));
    wait_until([&] { return desk.row(kEs).mark == points(200) && desk.alerts(kEs) == 1; });
    const std::uint64_t seq = desk.registry.status().committed;
    REQUIRE(desk.registry.wait_durable(seq, 60'000 * kMs));
    std::size_t marks = 0, alerts = 0;
    desk.registry.reader().journaled_events(0, seq, [&](std::uint64_t, const std::string& text) {
        marks += text.find(R"("event":"marked")") != std::string::npos ? 1 : 0;
        alerts += text.find(R"("event":"alert")") != std::string::npos ? 1 : 0;
        return true;
    });
    CHECK(marks == 3);
    CHECK(alerts == 1);
}
