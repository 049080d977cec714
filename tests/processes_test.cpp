// Several processes, one registry: limits hold to the unit, threads share one session, stale things are told apart.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <functional>
#include <thread>

#include "riskreg/registry.hpp"
#include "support/cli.hpp"

using namespace riskreg;
using testing::Cli;

namespace {

ProcessConfig process_of(const Cli& cli, const std::string& strategy) {
    ProcessConfig config;
    config.state_dir = cli.directory() + "/state";
    config.strategy = strategy;
    config.request_timeout_ns = config.fact_timeout_ns = 10'000'000'000;   // a loaded machine must not decide a test
    return config;
}

OrderRequest order(std::string_view id, Side side, std::int64_t lots) {
    OrderRequest request;
    request.id = id;
    request.account = AccountId{0};
    request.instrument = InstrumentId{0};
    request.side = side;
    request.price = Price{4800'000000000};
    request.quantity = Quantity{lots * 100'000'000};
    return request;
}

/// Forks `count` processes that each run `body(index)`; the sum of their exit codes (each below 256 at most).
int in_processes(int count, const std::function<int(int)>& body) {
    for (int i = 0; i < count; ++i)
        if (::fork() == 0) ::_exit(body(i));
    int sum = 0;
    for (int i = 0; i < count; ++i) {
        int status = 0;
        ::wait(&status);
        REQUIRE(WIFEXITED(status));
        sum += WEXITSTATUS(status);
    }
    return sum;
}

int race_for(const Cli& cli, int index, Side side, int tries, bool cancel_some) {
    Registry registry = Registry::open("r", process_of(cli, "s" + std::to_string(index + 1)));
    int standing = 0;
    for (int i = 0; i < tries; ++i) {
        const std::string id = "P" + std::to_string(index) + "-" + std::to_string(i);
        if (!registry.check_and_register(order(id, side, 1)).accepted()) continue;
        ++standing;
        if (!cancel_some || i % 3 != 0) continue;
        OrderEvent canceled;
        canceled.kind = EventKind::canceled;
        canceled.id = id;
        canceled.account = AccountId{0};
        if (registry.event(canceled).result == Result::ok) --standing;
    }
    return standing;
}

}  // namespace

TEST_CASE("processes that race for a limit get exactly the limit, on both sides, and cancels give room back",
          "[processes][inv-7]") {
    for (int round = 0; round < 15; ++round) {
        const Side side = round % 2 == 0 ? Side::buy : Side::sell;
        const bool cancel_some = round % 3 == 2;
        INFO("round " << round);
        const Cli cli;
        cli.create("r", testing::es_config(R"({"scope":"account:A1","max_long":"100","max_short":"100"})"));
        const int standing = in_processes(4, [&](int index) { return race_for(cli, index, side, 150, cancel_some); });
        CHECK(standing == 100);
        const Reader reader = Reader::open("r", cli.directory() + "/state");
        const ExposureView row = reader.exposure(reader.scope("account:A1/instrument:ESH4"));
        CHECK((side == Side::buy ? row.open_buy_quantity : row.open_sell_quantity).value == 100 * 100'000'000LL);
        CHECK(reader.audit().violations.empty());
        CHECK(reader.status().repairs == 0);
    }
}

TEST_CASE("racing for a number of working orders or an amount of notional ends exactly at the limit", "[processes][inv-7]") {
    for (const char* limit : {R"("max_working_orders":57)", R"("max_open_notional":"13680000")", R"("max_working_buy":57)"}) {
        INFO(limit);
        const Cli cli;
        cli.create("r", testing::es_config(std::string(R"({"scope":"firm",)") + limit + "}"));
        CHECK(in_processes(4, [&](int index) { return race_for(cli, index, Side::buy, 40, false); }) == 57);
    }
}

TEST_CASE("threads of one process share a session: every call is decided once and the sums are right",
          "[processes][threads][inv-5]") {
    const Cli cli;
    cli.create("r", testing::es_config(R"({"scope":"account:A1/instrument:ESH4","max_long":"500"})"));
    {
        Registry registry = Registry::open("r", process_of(cli, "s1"));
        std::atomic<int> accepted{0}, filled{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&, t] {
                for (int i = 0; i < 200; ++i) {
                    const std::string id = "T" + std::to_string(t) + "-" + std::to_string(i);
                    if (!registry.check_and_register(order(id, Side::buy, 1)).accepted()) continue;
                    ++accepted;
                    OrderEvent fill;
                    fill.kind = EventKind::filled;
                    fill.id = id;
                    fill.account = AccountId{0};
                    fill.exec_id = id;
                    fill.price = Price{1'000000000};
                    fill.quantity = Quantity{100'000'000};
                    if (i % 2 == 0 && registry.event(fill).result == Result::ok) ++filled;
                    OrderView view;
                    if (!registry.find(AccountId{0}, id, view)) accepted = -1000000;
                    static_cast<void>(registry.reference_price(InstrumentId{0}, Price{4800'000000000}));
                }
            });
        for (std::thread& thread : threads) thread.join();
        CHECK(accepted == 500);
        const ExposureView row = registry.reader().exposure(registry.reader().scope("account:A1/instrument:ESH4"));
        CHECK(row.position.value == filled * 100'000'000LL);
        CHECK(row.open_buy_quantity.value == (500 - filled) * 100'000'000LL);
    }
    CHECK(cli.run("verify r").code == 0);
}

TEST_CASE("a session that ends cleanly is no death, and its orders stay with the strategy", "[processes]") {
    const Cli cli;
    cli.create("r", testing::es_config());
    {
        Registry registry = Registry::open("r", process_of(cli, "s1"));
        REQUIRE(registry.check_and_register(order("O-1", Side::buy, 1)).accepted());
        REQUIRE_THROWS_AS(Registry::open("r", process_of(cli, "s1")), Error);
    }
    Registry other = Registry::open("r", process_of(cli, "s2"));
    OrderView view;
    REQUIRE(other.find(AccountId{0}, "O-1", view));
    CHECK(view.flags == 0);
    CHECK(other.reader().exposure(other.reader().scope("strategy:s1")).state == TradingState::active);
    ReplaceRequest request;
    request.id = "O-1";
    request.account = AccountId{0};
    CHECK(other.replace_requested(request).reason == DenyReason::not_owner);
    CHECK(other.aborted(AccountId{0}, "O-1").reason == DenyReason::not_owner);
    CHECK(other.cancel_requested(AccountId{0}, "O-1").result == Result::ok);
}

TEST_CASE("a destroyed registry refuses those who were attached, and a new one of the same name is another", "[processes]") {
    const Cli cli;
    cli.create("r", testing::es_config());
    Registry registry = Registry::open("r", process_of(cli, "s1"));
    CHECK(cli.run("destroy r").code == 1);
    CHECK(cli.run("destroy r --force").code == 0);
    CHECK(registry.check_and_register(order("O-1", Side::buy, 1)).reason == DenyReason::poisoned);
    OrderEvent fact;
    fact.kind = EventKind::canceled;
    fact.id = "O-1";
    fact.account = AccountId{0};
    CHECK(registry.event(fact).result == Result::not_booked);
}

TEST_CASE("a state directory that was removed and made again does not meet the old segment", "[processes]") {
    const Cli cli;
    cli.create("r", testing::es_config());
    {
        Registry registry = Registry::open("r", process_of(cli, "s1"));
        REQUIRE(registry.check_and_register(order("O-1", Side::buy, 1)).accepted());
    }
    // What a directory that was removed and made again looks like when its LOCK got the old inode number: the same
    // file to the kernel, but without the old content. (Removing it for real would free the number for other tests.)
    const std::string segment = Reader::open("r", cli.directory() + "/state").status().segment;
    std::filesystem::resize_file(cli.directory() + "/state/r/LOCK", 0);
    cli.create("r", testing::es_config());
    CHECK(Reader::open("r", cli.directory() + "/state").status().segment != segment);
    CHECK(cli.run("orders r --json").out.empty());
}

TEST_CASE("one owner writes a reference price and its end frees the cell for the next", "[processes]") {
    const Cli cli;
    cli.create("r", testing::es_config());
    Registry second = Registry::open("r", process_of(cli, "s2"));
    {
        Registry first = Registry::open("r", process_of(cli, "s1"));
        CHECK(first.reference_price(InstrumentId{0}, Price{1}).result == Result::ok);
        CHECK(first.reference_price(InstrumentId{0}, Price{2}).seq == 0);   // no event after the first
        CHECK(second.reference_price(InstrumentId{0}, Price{3}).reason == DenyReason::not_owner);
    }
    CHECK(second.reference_price(InstrumentId{0}, Price{3}).result == Result::ok);
    CHECK(second.reference_price(InstrumentId{9}, Price{3}).reason == DenyReason::unknown_instrument);
}

TEST_CASE("limits that make no sense are refused by the API, and nothing changes", "[processes][input][inv-12]") {
    const Cli cli;
    cli.create("r", testing::es_config(R"({"scope":"firm","max_working_orders":5})"));
    Registry registry = Registry::open("r", process_of(cli, "s1"));
    Limits limits;
    limits.max_working_orders = {LimitValue::Kind::value, -1};
    CHECK(registry.set_limits({ScopeKind::firm}, limits, "x").reason == DenyReason::invalid_field);
    CHECK(registry.set_limits({}, limits, "x").reason == DenyReason::invalid_field);
    CHECK(registry.reader().exposure({ScopeKind::firm}).limits.max_working_orders.value == 5);
    SharedConfig config = parse_config(testing::es_config());
    config.instruments[0].tick = Price{0};
    CHECK_THROWS_AS(Registry::create("other", config, cli.directory() + "/state"), Error);
    config.instruments[0].tick = Price{1};
    config.capacity.ring_events = 1000;
    CHECK_THROWS_AS(Registry::create("other", config, cli.directory() + "/state"), Error);
}

TEST_CASE("every event of an order has its method, and a follower of the log sees each of them once", "[processes]") {
    const Cli cli;
    cli.create("r", testing::es_config());
    Registry registry = Registry::open("r", process_of(cli, "s1"));
    const AccountId account = registry.account("A1");
    EventReader log(registry.reader());
    const Price price{4800'000000000};
    const auto lots = [](std::int64_t n) { return Quantity{n * 100'000'000}; };
    REQUIRE(registry.check_and_register(order("O-1", Side::buy, 5)).accepted());
    CHECK(registry.acked(account, "O-1", "V-1").status == OrderStatus::new_);
    CHECK(registry.filled(account, "O-1", "E-1", price, lots(1)).cum_quantity == lots(1));
    CHECK(registry.suspended(account, "O-1").status == OrderStatus::suspended);
    CHECK(registry.resumed(account, "O-1").status == OrderStatus::partially_filled);
    CHECK(registry.timed_out(account, "O-1").flags == kUnknown);
    CHECK(registry.cancel_requested(account, "O-1").status == OrderStatus::pending_cancel);
    CHECK(registry.cancel_rejected(account, "O-1").status == OrderStatus::partially_filled);
    ReplaceRequest replace;
    replace.id = "O-1";
    replace.account = account;
    replace.quantity = lots(7);
    CHECK(registry.replace_requested(replace).status == OrderStatus::pending_replace);
    CHECK(registry.replace_rejected(account, "O-1").leaves_quantity == lots(4));
    CHECK(registry.replaced(account, "O-1", price, lots(6)).leaves_quantity == lots(5));
    CHECK(registry.correct(account, "O-1", "E-1", "E-2", price, lots(2)).cum_quantity == lots(2));
    CHECK(registry.bust(account, "O-1", "E-2").cum_quantity == lots(0));
    CHECK(registry.expired(account, "O-1").status == OrderStatus::expired);
    CHECK(registry.done_for_day(account, "O-1").result == Result::ignored_late);
    CHECK(registry.canceled(account, "O-1").result == Result::ignored_late);
    REQUIRE(registry.check_and_register(order("O-2", Side::sell, 1)).accepted());
    CHECK(registry.rejected(account, "O-2", "no").status == OrderStatus::rejected);
    REQUIRE(registry.check_and_register(order("O-3", Side::sell, 1)).accepted());
    CHECK(registry.aborted(account, "O-3").status == OrderStatus::aborted);
    std::uint64_t seen = 0, last = 0;
    const auto take = [&](std::uint64_t seq, const std::string& line) {
        ++seen;
        CHECK(seq == last + 1 + (last == 0 ? 1 : 0));
        CHECK(line.front() == '{');
        last = seq;
        return true;
    };
    log.poll(take);
    log.poll(take);
    CHECK(seen == registry.status().committed - 1);
    CHECK(log.lost() == 0);
    CHECK(registry.exposure({ScopeKind::firm}).position == lots(0));
}
