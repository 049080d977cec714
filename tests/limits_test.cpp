// Limits that hold although something is missing: a host that marks, a fresh reference price, the memory of one after a rebuild.
// The rules themselves are held by the reference model (property_test) and by reasons_test.

#include <catch2/catch.hpp>

#include <string>

#include "layout/words.hpp"
#include "riskreg/registry.hpp"
#include "segment/process.hpp"
#include "support/child.hpp"
#include "support/cli.hpp"
#include "support/operations.hpp"

namespace {

using namespace riskreg;
using namespace riskreg::test;

constexpr std::int64_t kFar = 3'600'000'000'000;

/// ES and NQ without multipliers, account A1, strategies s1 and s2. A move of less than all of the price marks nothing.
SharedConfig day_config(const std::string& limits, const std::string& more = {}) {
    return parse_config(R"({"capacity": {"orders": 256, "executions": 512, "ring_events": 4096, "sessions": 16},
        "persistence": {"mode": "none"}, "require_limits": false, "self_match": "allow", "mark_threshold_bps": 10,
        "instruments": [{"id": "ES", "tick": "0.25", "reference_max_age_ms": 60000},
                        {"id": "NQ", "tick": "0.25", "reference_max_age_ms": 60000}],
        "accounts": [{"id": "A1"}, {"id": "A2"}],
        "strategies": [{"id": "s1", "account": ["A1", "A2"], "on_death": "leave"}, {"id": "s2", "account": "A1"}],
        "limits": [)" + limits +
                        "]" + more + "}");
}

Verdict limit_order(Registry& registry, const std::string& id, Side side, const std::string& instrument, int quantity,
                    int price, const std::string& account = "A1") {
    OrderRequest order;
    order.id = id;
    order.account = registry.account(account);
    order.instrument = registry.instrument(instrument);
    order.side = side;
    order.price = points(price);
    order.quantity = lots(quantity);
    return registry.check_and_register(order);
}

/// Session s1 in a registry that nobody hosts, unless a test says so.
class Trading {
public:
    explicit Trading(const SharedConfig& config) : place(config), registry(place.attach("s1")) {}

    void reference(const std::string& instrument, int price) {
        REQUIRE(registry.reference_price(registry.instrument(instrument), points(price)).result == Result::ok);
    }
    void load(const std::string& instrument, int quantity, int price, const std::string& account = "A1") {
        REQUIRE(registry
                    .load_position(registry.account(account), registry.strategy(), registry.instrument(instrument),
                                   lots(quantity), points(price))
                    .result == Result::ok);
    }
    Verdict send(Side side, const std::string& instrument, int quantity, int price, const std::string& account = "A1") {
        return limit_order(registry, "O-" + std::to_string(++last_), side, instrument, quantity, price, account);
    }
    Verdict buy(const std::string& instrument, int quantity, int price) { return send(Side::buy, instrument, quantity, price); }
    Verdict sell(const std::string& instrument, int quantity, int price) {
        return send(Side::sell, instrument, quantity, price);
    }

    /// As if a host had looked after marks that long ago.
    void looked_after_marks(std::int64_t ago_ns) {
        LiveSegment live(place, segment::Access::read_write);
        const auto until = static_cast<std::uint64_t>(segment::boottime_ns() - ago_ns);
        layout::store_relaxed(live.state().host->marks_until_ns, until);
    }
    /// As if the price had been written that long ago.
    void age(const std::string& instrument, std::int64_t ago_ns) {
        LiveSegment live(place, segment::Access::read_write);
        auto& cell = live.state().references[static_cast<std::uint32_t>(registry.instrument(instrument))].price;
        layout::ReferencePrice price = cell.newest();
        price.steady_ns -= ago_ns;
        cell.store(price.seq + 1, price);
    }
    void require_sound() const { REQUIRE(registry.reader().audit().violations == std::vector<std::string>{}); }

    TempRegistry place;
    Registry registry;

private:
    int last_ = 0;
};

std::string scope_text(const Trading& day, const Verdict& verdict) { return day.registry.reader().name(verdict.scope); }

}  // namespace

// ---- marks without a host (A9) ------------------------------------------------------------------------------------------

TEST_CASE("a loss that no host has marked refuses the next order that increases, and lets the position be closed",
          "[limits][inv-7][inv-12]") {
    Trading day(day_config(R"({"scope": "account:A1", "daily_loss": "1000"})"));
    day.load("ES", 1000, 100);
    day.reference("ES", 75);
    const Verdict refused = day.buy("ES", 1, 75);
    CHECK(refused.reason == DenyReason::daily_loss);
    CHECK(scope_text(day, refused) == "account:A1");
    CHECK(refused.observed == 25'000 * 1'000'000LL);
    CHECK(day.sell("ES", 1000, 75).accepted());
    // No mark was written by looking: the next one is a host's.
    CHECK(day.registry.exposure(day.registry.reader().scope("account:A1")).pnl == Money{});
    day.require_sound();
}

TEST_CASE("a loss in one instrument refuses orders in another one, on each scope that spans both", "[limits][inv-7]") {
    for (const std::string scope : {"firm", "account:A1", "strategy:s1"}) {
        CAPTURE(scope);
        Trading day(day_config(R"({"scope": ")" + scope + R"(", "daily_loss": "1000"})"));
        day.load("ES", 1000, 100);
        day.reference("ES", 75);
        day.reference("NQ", 50);
        const Verdict refused = day.buy("NQ", 1, 50);
        CHECK(refused.reason == DenyReason::daily_loss);
        CHECK(scope_text(day, refused) == scope);
    }
}

TEST_CASE("a loss of one scope refuses nothing of a scope that does not share it", "[limits]") {
    Trading day(day_config(R"({"scope": "account:A1", "daily_loss": "1000"}, {"scope": "account:A2", "daily_loss": "1000"})"));
    day.load("ES", 1000, 100);
    day.reference("ES", 75);
    CHECK(day.buy("ES", 1, 75).reason == DenyReason::daily_loss);
    CHECK(day.send(Side::buy, "ES", 1, 75, "A2").accepted());
}

TEST_CASE("gross, net and drawdown are held against what positions are worth now, with no host to mark them",
          "[limits][inv-7]") {
    const auto refused_by = [](const std::string& limit, Side side, int first, int now) {
        Trading day(day_config(R"({"scope": "account:A1", )" + limit + "}"));
        day.load("ES", side == Side::buy ? 100 : -100, first);
        day.reference("ES", now);
        return day.send(side, "ES", 1, now).reason;
    };
    // 100 at 100 are 10,000; at 150 they are 15,000.
    CHECK(refused_by(R"("max_gross_notional": "12000")", Side::buy, 100, 150) == DenyReason::max_gross_notional);
    CHECK(refused_by(R"("max_net_notional": "12000")", Side::buy, 100, 150) == DenyReason::max_net_notional);
    CHECK(refused_by(R"("max_net_notional": "12000")", Side::sell, 100, 150) == DenyReason::max_net_notional);
    CHECK(refused_by(R"("drawdown": "1000")", Side::buy, 100, 80) == DenyReason::drawdown);
    CHECK(refused_by(R"("drawdown": "1000")", Side::sell, 100, 120) == DenyReason::drawdown);
    // A price that fell makes room, as its mark would.
    CHECK(refused_by(R"("max_gross_notional": "9000")", Side::buy, 100, 50) == DenyReason::none);
}

TEST_CASE("by the worst-case method working orders are valued at the price of now, too", "[limits][inv-7]") {
    Trading day(day_config(R"({"scope": "account:A1", "max_gross_notional": "12000"})", R"(, "gross_method": "worst_case")"));
    day.load("ES", 50, 100);
    day.reference("ES", 100);
    CHECK(day.buy("ES", 50, 100).accepted());
    day.reference("ES", 119);
    CHECK(day.buy("ES", 1, 119).reason == DenyReason::max_gross_notional);
    day.reference("ES", 118);
    CHECK(day.buy("ES", 1, 118).accepted());
    day.require_sound();
}

TEST_CASE("a position whose price moved on and became old cannot be judged: what increases is refused, what reduces is not",
          "[limits][inv-12]") {
    Trading day(day_config(R"({"scope": "account:A1", "daily_loss": "1000"})", R"(, "allow_limit_without_reference": true)"));
    day.load("ES", 10, 100);
    day.reference("ES", 99);
    day.reference("NQ", 50);
    day.age("ES", kFar);
    const Verdict refused = day.buy("NQ", 1, 50);
    CHECK(refused.reason == DenyReason::reference_price_stale);
    CHECK(scope_text(day, refused) == "account:A1");
    CHECK(day.sell("ES", 10, 99).accepted());
    // A price that has not moved since the mark leaves nothing to judge.
    day.reference("ES", 100);
    day.age("ES", kFar);
    CHECK(day.buy("NQ", 1, 50).accepted());
}

TEST_CASE("while a host looks after marks its marks count, and for two seconds behind its last look", "[limits]") {
    Trading day(day_config(R"({"scope": "account:A1", "daily_loss": "1000"})"));
    day.load("ES", 1000, 100);
    day.reference("ES", 75);
    day.looked_after_marks(0);
    CHECK(day.buy("ES", 1, 75).accepted());
    // A caller that read its clock before the host's last look is no sign of an old one.
    day.looked_after_marks(-500'000'000);
    CHECK(day.buy("ES", 1, 75).accepted());
    day.looked_after_marks(2'500'000'000);
    CHECK(day.buy("ES", 1, 75).reason == DenyReason::daily_loss);
    // The order that finds a loss sets the state, as it does with marks.
    CHECK(day.buy("ES", 1, 75).reason == DenyReason::reducing_only);
    Trading other(day_config(R"({"scope": "account:A1", "daily_loss": "1000"})"));
    other.load("ES", 1000, 100);
    other.reference("ES", 75);
    other.looked_after_marks(-kFar);  // of another boot
    CHECK(other.buy("ES", 1, 75).reason == DenyReason::daily_loss);
}

TEST_CASE("a host says how far it has looked after marks, and a loss it marked is a state", "[limits][inv-5]") {
    Trading day(day_config(R"({"scope": "account:A1", "daily_loss": "1000"})"));
    ProcessConfig process = day.place.process("");
    process.host_snapshotter = true;
    const Registry host = Registry::open(day.place.name(), process);
    const LiveSegment live(day.place, segment::Access::read_only);
    wait_until([&] { return layout::load_relaxed(live.state().host->marks_until_ns) != 0; });
    day.load("ES", 1000, 100);
    day.reference("ES", 75);
    wait_until(
        [&] { return day.registry.exposure(day.registry.reader().scope("account:A1")).state == TradingState::reducing_only; });
    CHECK(day.buy("ES", 1, 75).reason == DenyReason::reducing_only);
}

TEST_CASE("an amend that increases is judged like an order, without a host", "[limits][inv-7]") {
    Trading day(day_config(R"({"scope": "account:A1", "daily_loss": "1000"})", R"(, "amend_before_ack": true)"));
    day.load("ES", 1000, 100);
    day.reference("ES", 100);
    REQUIRE(day.buy("ES", 5, 100).accepted());
    day.reference("ES", 75);
    ReplaceRequest amend;
    amend.id = "O-1";
    amend.account = day.registry.account("A1");
    amend.quantity = lots(6);
    CHECK(day.registry.replace_requested(amend).reason == DenyReason::daily_loss);
    amend.quantity = lots(4);
    CHECK(day.registry.replace_requested(amend).taken());
}

// ---- what an order reserves (A7) ----------------------------------------------------------------------------------------

namespace {

std::int64_t reserved(const Trading& day, std::string_view id) {
    OrderView order;
    REQUIRE(day.registry.find(day.registry.account("A1"), id, order));
    return order.reserved_notional.value / 1'000'000;
}

constexpr const char* kWithout = R"(, "allow_limit_without_reference": true)";
constexpr const char* kAtLimit = R"(, "allow_limit_without_reference": true, "reserve_price": "limit")";

}  // namespace

TEST_CASE("an old reference price is still a lower bound of what an order reserves", "[limits][inv-7]") {
    Trading day(day_config("", kWithout));
    REQUIRE(day.sell("ES", 1, 0).accepted());
    CHECK(reserved(day, "O-1") == 0);  // none was ever given: the operator's word
    day.reference("ES", 100);
    day.age("ES", kFar);
    REQUIRE(day.sell("ES", 1, 0).accepted());
    REQUIRE(day.buy("ES", 1, 40).accepted());
    REQUIRE(day.buy("ES", 1, 140).accepted());
    CHECK(reserved(day, "O-2") == 100);
    CHECK(reserved(day, "O-3") == 100);
    CHECK(reserved(day, "O-4") == 140);
}

TEST_CASE("reserve_price limit holds for purchases at prices that are not negative, a sale may come out higher",
          "[limits][inv-7]") {
    Trading day(day_config("", kAtLimit));
    day.reference("ES", 100);
    REQUIRE(day.buy("ES", 1, 40).accepted());
    REQUIRE(day.sell("ES", 1, 0).accepted());
    REQUIRE(day.buy("ES", 1, -7).accepted());
    CHECK(reserved(day, "O-1") == 40);
    CHECK(reserved(day, "O-2") == 100);
    CHECK(reserved(day, "O-3") == 100);
    day.reference("ES", -60);
    REQUIRE(day.buy("ES", 1, 40).accepted());
    CHECK(reserved(day, "O-4") == 60);
}

TEST_CASE("what the venue replaced reserves at the higher of its price and an old reference price", "[limits][inv-7]") {
    Trading day(day_config("", kWithout));
    day.reference("ES", 100);
    REQUIRE(day.sell("ES", 1, 110).accepted());
    day.age("ES", kFar);
    OrderEvent fact;
    fact.kind = EventKind::replaced;
    fact.account = day.registry.account("A1");
    fact.id = "O-1";
    fact.price = points(0);
    fact.quantity = lots(1);
    REQUIRE(day.registry.event(fact).result == Result::ok);
    CHECK(reserved(day, "O-1") == 100);
}

TEST_CASE("an order without a price of its own is refused where the reference price is 0", "[limits][inv-7]") {
    Trading day(day_config(""));
    day.reference("ES", 0);
    OrderRequest order;
    order.id = "M";
    order.account = day.registry.account("A1");
    order.instrument = day.registry.instrument("ES");
    order.side = Side::sell;
    order.quantity = lots(1'000'000);
    for (const OrderType type : {OrderType::market, OrderType::pegged}) {
        order.type = type;
        const Verdict refused = day.registry.check_and_register(order);
        CHECK(refused.reason == DenyReason::reference_price_unknown);
        CHECK(refused.has_numbers);
    }
    order.type = OrderType::stop;
    order.stop_price = points(0);
    CHECK(day.registry.check_and_register(order).reason == DenyReason::reference_price_unknown);
    order.stop_price = points(5);
    CHECK(day.registry.check_and_register(order).accepted());
}

TEST_CASE("an instrument without zero prices refuses orders, amends and reference prices of 0 or less, and books every fact",
          "[limits][inv-8]") {
    SharedConfig config = day_config("", std::string(kWithout) + R"(, "amend_before_ack": true)");
    config.instruments[0].zero_prices = false;
    CHECK_FALSE(parse_config(config_to_json(config)).instruments[0].zero_prices);
    CHECK(parse_config(config_to_json(config)).instruments[1].zero_prices);
    Trading day(config);
    for (const int price : {0, -5}) {
        CHECK(day.sell("ES", 1, price).reason == DenyReason::invalid_price);
        CHECK(day.registry.reference_price(day.registry.instrument("ES"), points(price)).reason == DenyReason::invalid_price);
    }
    CHECK(day.sell("NQ", 1, 0).accepted());
    REQUIRE(day.sell("ES", 3, 5).accepted());
    ReplaceRequest amend;
    amend.id = "O-4";
    amend.account = day.registry.account("A1");
    amend.price = points(0);
    CHECK(day.registry.replace_requested(amend).reason == DenyReason::invalid_price);
    OrderRequest stop;
    stop.id = "S";
    stop.account = amend.account;
    stop.instrument = day.registry.instrument("ES");
    stop.side = Side::sell;
    stop.type = OrderType::stop;
    stop.quantity = lots(1);
    stop.stop_price = points(0);
    CHECK(day.registry.check_and_register(stop).reason == DenyReason::invalid_price);
    OrderEvent fact;
    fact.kind = EventKind::filled;
    fact.account = amend.account;
    fact.id = "O-4";
    fact.exec_id = "E1";
    fact.price = points(0);
    fact.quantity = lots(1);
    CHECK(day.registry.event(fact).result == Result::ok);
    fact.kind = EventKind::replaced;
    fact.exec_id = {};
    fact.price = points(-1);
    fact.quantity = lots(3);
    CHECK(day.registry.event(fact).result == Result::ok);
    // What stands at the venue is reduced without being asked for its price.
    amend.price.reset();
    amend.quantity = lots(2);
    CHECK(day.registry.replace_requested(amend).taken());
}

TEST_CASE("after a rebuild a reference price of before is remembered by its mark, or makes what rests on it wait for a new one",
          "[limits][inv-7][inv-12]") {
    SharedConfig config = day_config("", kWithout);
    config.persistence_mode = PersistenceMode::async;
    const TempRegistry place(config);
    const auto send = [](Registry& registry, const std::string& id, const std::string& instrument) {
        return limit_order(registry, id, Side::sell, instrument, 1, 0);
    };
    {
        ProcessConfig process = place.process("s1");
        process.host_snapshotter = true;
        Registry registry = Registry::open(place.name(), process);
        // ES had a price and a position, so it was marked; NQ had a price only.
        REQUIRE(
            registry.load_position(registry.account("A1"), registry.strategy(), registry.instrument("ES"), lots(5), points(90))
                .result == Result::ok);
        REQUIRE(registry.reference_price(registry.instrument("ES"), points(100)).result == Result::ok);
        REQUIRE(registry.reference_price(registry.instrument("NQ"), points(50)).result == Result::ok);
        wait_until([&] { return registry.exposure(registry.reader().scope("instrument:ES")).mark == points(100); });
        REQUIRE(registry.checkpoint(std::chrono::nanoseconds(patience()).count()));
    }
    segment::remove_segment(place.look().status().segment);
    Registry registry = place.attach("s1");
    REQUIRE(registry.release_unreconciled("test").result == Result::ok);
    REQUIRE(send(registry, "R-1", "ES").accepted());
    OrderView order;
    REQUIRE(registry.find(registry.account("A1"), "R-1", order));
    CHECK(order.reserved_notional.value == 100'000'000);
    CHECK(send(registry, "R-2", "NQ").reason == DenyReason::reference_price_stale);
    REQUIRE(registry.reference_price(registry.instrument("NQ"), points(50)).result == Result::ok);
    CHECK(send(registry, "R-2", "NQ").accepted());
}

// ---- begin_send (B19) ---------------------------------------------------------------------------------------------------

TEST_CASE("an order whose cancel is under way must not be sent any more", "[limits][inv-7]") {
    Trading day(day_config("", kWithout));
    REQUIRE(day.buy("ES", 1, 10).accepted());
    const AccountId account = day.registry.account("A1");
    CHECK(day.registry.begin_send(account, "O-1").accepted());
    REQUIRE(day.registry.cancel_requested(account, "O-1").result == Result::ok);
    CHECK(day.registry.begin_send(account, "O-1").reason == DenyReason::pending_cancel);
}

// ---- what create and doctor say -----------------------------------------------------------------------------------------

TEST_CASE("settings that leave a limit of money weak are named by create, and by doctor for the limits of the moment",
          "[limits][cli]") {
    const auto warnings = [](const std::string& limits, const std::string& more) {
        std::string all;
        for (const std::string& warning : day_config(limits, more).warnings) all += warning + '\n';
        return all;
    };
    const std::string money = R"({"scope": "firm", "max_open_notional": "1000"})";
    const std::string loss = R"({"scope": "account:A1", "daily_loss": "1000"})";
    CHECK(warnings("", kAtLimit).empty());
    CHECK(warnings(R"({"scope": "firm", "max_long": "5"})", kAtLimit).empty());
    CHECK(warnings(money, "").empty());
    CHECK(warnings(money, kWithout).find("allow_limit_without_reference meets max_open_notional of firm") != std::string::npos);
    CHECK(warnings(money, kAtLimit).find("reserve_price limit meets max_open_notional of firm") != std::string::npos);
    CHECK(warnings(loss, "").find("persistence.mode none meets daily_loss of account:A1") != std::string::npos);

    const testing::Cli cli;
    cli.create("r", testing::es_config());
    CHECK(cli.run("doctor r").out.find("allow_limit_without_reference meets") == std::string::npos);
    REQUIRE(cli.run("limit r --scope firm --reason test max_open_notional=1000").code == 0);
    CHECK(cli.run("doctor r").out.find("allow_limit_without_reference meets max_open_notional of firm") != std::string::npos);
    const testing::CliResult created = cli.run("create weak --config " + cli.file("weak.json", testing::es_config(money)));
    CHECK(created.code == 0);
    CHECK(created.err.find("warning: allow_limit_without_reference meets max_open_notional of firm") != std::string::npos);
}
