// The recorded order flow and what a correct replay ends with.
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <map>

#include "support/cli.hpp"
#include "support/interposed.hpp"

using namespace riskreg::testing;

namespace {

const std::string kFlow = RISKREG_SOURCE_DIR "/../shared/data/es-futures-20231225.csv.gz";

struct Totals {
    std::map<std::string, int> status;
    std::map<std::string, long> leaves;
    long filled = 0;
};

Totals totals_of(const Cli& cli) {
    Totals totals;
    for (const auto& order : cli.run("orders r --json").lines()) {
        ++totals.status[text_of(order, "status")];
        totals.leaves[text_of(order, "side")] += std::stol(text_of(order, "leaves_quantity"));
        totals.filled += std::stol(text_of(order, "cum_quantity"));
    }
    return totals;
}

}  // namespace

TEST_CASE("the recorded order flow ends with its totals, whatever the number of processes", "[replay][inv-5][inv-8]") {
    if (!std::filesystem::exists(kFlow)) {
        std::puts("SKIPPED: the recorded order flow is not beside the repository (../shared/data)");
        return;
    }
    for (const int processes : {1, 2, 4, 8}) {
        INFO(processes << " processes");
        const Cli cli;
        cli.create("r", es_config());
        const CliResult result = cli.run("replay r '" + kFlow + "' --processes " + std::to_string(processes) + " --json");
        INFO(result.err);
        REQUIRE(result.code == 0);
        const auto summary = result.lines().at(0);
        CHECK(text_of(summary, "rows") == "65819");
        CHECK(text_of(*summary.find("answers"), "anomaly") == "28");
        CHECK(text_of(*summary.find("answers"), "ignored_late") == "5329");
        CHECK(text_of(*summary.find("answers"), "quarantined") == "7");
        Totals totals = totals_of(cli);
        CHECK(totals.status["new"] + totals.status["partially_filled"] == 11217);
        CHECK(totals.status["filled"] == 5329);
        CHECK(totals.status["canceled"] == 12670);
        CHECK(totals.leaves["buy"] == 22050);
        CHECK(totals.leaves["sell"] == 20110);
        CHECK(totals.filled == 10187);
        for (const char* scope : {"firm", "account:A1/instrument:ESH4", "instrument:ESH4"})
            CHECK(text_of(cli.run(std::string("exposure r --json --scope ") + scope).lines().at(0), "position") == "-781");
        CHECK(cli.run("verify r").code == 0);
        WARN(processes << " processes: " << text_of(summary, "calls_per_s") << " calls/s");
    }
}

namespace {

constexpr const char* kHeader = "ts_ns,action,side,order_id,price,size\n";

/// `count` orders, one after the other.
std::string flow_of(int count) {
    std::string flow = kHeader;
    for (int i = 1; i <= count; ++i) flow += std::to_string(i) + ",A,buy," + std::to_string(i) + ",100,1\n";
    return flow;
}

/// A ring that a slow disk cannot keep up with.
std::string journaled() {
    return R"({"capacity":{"orders":16384,"ring_events":1024},"persistence":{"mode":"async","checkpoint_interval_s":3600},)"
           R"("require_limits":false,"allow_limit_without_reference":true,"self_match":"allow","instruments":[{"id":"ES","tick":"0.25"}],)"
           R"("accounts":[{"id":"A1"}],"strategies":[{"id":"s1","account":"A1"}]})";
}

struct Replayed {
    int code = -1;
    riskreg::persist::JsonValue summary;
    std::string err;
};

/// With a disk that is slow, or fails from the first call on.
Replayed replay(const Cli& cli, const std::string& name, const std::string& flow, std::vector<std::string> options,
                riskreg::test::Interposing disk) {
    disk.directory = cli.directory() + "/state/" + name;
    std::vector<std::string> arguments{"replay", name, flow, "--json", "--state-dir", cli.directory() + "/state"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const std::string errors = cli.directory() + "/replay.err";
    riskreg::test::Process process("riskctl", arguments, errors, disk);
    Replayed result;
    while (const auto line = process.read_line(std::chrono::seconds(120)))
        result.summary = riskreg::persist::parse_json(*line, 1U << 20).value;
    const auto status = process.wait(std::chrono::seconds(120));
    REQUIRE(status);
    result.code = WEXITSTATUS(*status);
    result.err = riskreg::test::slurp(errors);
    return result;
}

std::string in(const riskreg::persist::JsonValue& summary, const std::string& section, const std::string& key) {
    const auto* found = summary.find(section);
    return found == nullptr ? "none" : text_of(*found, key);
}

}  // namespace

TEST_CASE(
    "a replay that is faster than the disk waits for it, and without waiting refusals of the journal are counted and exit 1",
    "[replay]") {
    const Cli cli;
    const std::string name = "replay-" + std::to_string(::getpid());
    const std::string flow = cli.file("flow.csv", flow_of(3000));
    cli.create(name, journaled());
    riskreg::test::Interposing slow;
    slow.sync_delay_us = 20'000;
    SECTION("waits") {
        const Replayed result = replay(cli, name, flow, {}, slow);
        INFO(result.err);
        CHECK(result.code == 0);
        CHECK(in(result.summary, "answers", "accepted") == "3000");
        CHECK(in(result.summary, "answers", "denied") == "0");
        CHECK(text_of(result.summary, "retries") != "0");
        CHECK(text_of(result.summary, "undelivered") == "0");
    }
    SECTION("does not") {
        const Replayed result = replay(cli, name, flow, {"--no-wait"}, slow);
        CHECK(result.code == 1);
        CHECK(in(result.summary, "reasons", "journal_backlog") == text_of(result.summary, "undelivered"));
        CHECK(text_of(result.summary, "undelivered") != "0");
        CHECK(result.err.find("refused by lock or journal") != std::string::npos);
    }
    SECTION("the disk has stopped") {
        riskreg::test::Interposing broken;
        broken.fail_at = 1;
        broken.only = "pwrite";
        broken.fault = {"EIO", "5", true};
        const Replayed result = replay(cli, name, flow, {"--stall-timeout-ms", "300"}, broken);
        INFO(result.err);
        CHECK(result.code == 1);
        CHECK(result.err.find("neither log nor journal moved") != std::string::npos);
        CHECK(text_of(result.summary, "undelivered") == "1");
    }
}

TEST_CASE("a replay counts why the checks refused, and that is no failure", "[replay]") {
    const Cli cli;
    cli.create("r", es_config(R"({"scope":"firm","max_order_quantity":"2"})"));
    const std::string flow = std::string(kHeader) + "1,A,buy,1,100,1\n2,A,buy,2,100,3\n3,A,buy,3,100,4\n";
    const CliResult result = cli.run("replay r '" + cli.file("flow.csv", flow) + "' --json");
    CHECK(result.code == 0);
    CHECK(in(result.lines().at(0), "reasons", "max_order_quantity") == "2");
}

TEST_CASE("a replay does not mix a recorded flow into a registry that is in use, unless it is told to", "[replay]") {
    const Cli cli;
    cli.create("r", es_config());
    const std::string flow = cli.file("flow.csv", flow_of(2));
    const auto refused = [&](const std::string& seen) {
        const CliResult result = cli.run("replay r '" + flow + "'");
        INFO(result.err);
        CHECK(result.code == 2);
        CHECK(result.err.find(seen) != std::string::npos);
        CHECK(result.err.find("--into-live") != std::string::npos);
        CHECK(result.out.empty());
    };
    SECTION("orders, also ended ones") {
        REQUIRE(cli.run("replay r '" + cli.file("one.csv", std::string(kHeader) + "1,A,buy,9,100,1\n2,C,buy,9,100,1\n") + "'")
                    .code == 0);
        refused("1 orders");
        CHECK(cli.run("replay r --into-live '" + flow + "'").code == 0);
    }
    SECTION("positions, and nothing else") {
        const std::string file =
            cli.file("day.json", R"({"positions":[{"account":"A1","instrument":"ESH4","quantity":"3","price":"100"}]})");
        REQUIRE(cli.run("load r '" + file + "'").code == 0);
        refused("seen 1 positions;");
    }
    SECTION("other sessions") {
        riskreg::test::Process other("riskctl", {"exec", "r", "--strategy", "s2", "--state-dir", cli.directory() + "/state"},
                                     cli.directory() + "/other");
        other.write("{\"op\":\"find\",\"id\":\"x\"}\n");
        REQUIRE(other.read_line(std::chrono::seconds(60)));
        refused("seen 1 other sessions;");
        CHECK(cli.run("replay r --into-live '" + flow + "'").code == 0);
    }
}

TEST_CASE("a replay names line and field of a bad row and touches nothing", "[replay][input]") {
    const Cli cli;
    cli.create("r", es_config());
    const std::string header = "ts_ns,action,side,order_id,price,size\n";
    const auto refused = [&](const std::string& content, const std::string& named) {
        const CliResult result = cli.run("replay r '" + cli.file("flow.csv", content) + "'");
        INFO(result.err);
        CHECK(result.code == 2);
        CHECK(result.err.find(named) != std::string::npos);
    };
    refused("a,b\n", "header");
    refused(header + "1,A,buy,O-1,1\n", "line 2: fields");
    refused(header + "1,X,buy,O-1,1,1\n", "line 2: action");
    refused(header + "1,A,buy,O-1,1,1\n1,A,up,O-2,1,1\n", "line 3: side");
    refused(header + "1,A,buy,O 1,1,1\n", "line 2: order_id");
    refused(header + "1,A,buy,O-1,1e2,1\n", "line 2: price");
    refused(header + "1,A,buy,O-1,1,0\n", "line 2: size");
    refused(header + "1,A,,O-1,1,1\n", "line 2: side");
    refused(std::string("\x1f\x8b\x08\x00garbage", 11), "");
    CHECK(cli.run("replay r /does/not/exist").code == 2);
    CHECK(cli.run("replay r '" + cli.file("flow.csv", header) + "' --processes 9").code == 2);
    CHECK(cli.run("replay r '" + cli.file("flow.csv", header) + "' --instrument NQ").code == 2);
    CHECK(cli.run("orders r --json").out.empty());
}

TEST_CASE("a LOBSTER message file is replayed by its own rules", "[replay]") {
    const Cli cli;
    cli.create("r", es_config());
    const std::string flow =
        "34200.1,1,11,5,1000000,1\n"      // new: buy 5 at 100
        "34200.2,1,12,3,1010000,-1\n"     // new: sell 3 at 101
        "34200.3,2,11,2,1000000,1\n"      // partly cancelled: 3 are left
        "34200.4,4,11,1,1000000,1\n"      // executed 1
        "34200.5,5,0,7,1005000,1\n"       // hidden execution: an order nobody announced
        "34200.6,6,0,1,1000000,1\n"       // auction: skipped
        "34200.7,7,0,0,-1,-1\n"           // halt: skipped
        "34200.8,3,12,3,1010000,-1\n";    // removed
    REQUIRE(cli.run("replay r '" + cli.file("lobster.csv", flow) + "' --format lobster").code == 0);
    const auto orders = cli.run("orders r --json").lines();
    REQUIRE(orders.size() == 2);
    CHECK(text_of(orders[0], "leaves_quantity") == "2");
    CHECK(text_of(orders[0], "cum_quantity") == "1");
    CHECK(text_of(orders[0], "price") == "100");
    CHECK(text_of(orders[1], "status") == "canceled");
    CHECK(text_of(cli.run("exposure r --json --scope strategy:external").lines().at(0), "position") == "7");
    CHECK(cli.run("verify r").code == 0);
}
