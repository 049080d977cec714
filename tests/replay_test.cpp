// The recorded order flow and what a correct replay ends with.
#include <catch2/catch.hpp>
#include <filesystem>
#include <map>

#include "support/cli.hpp"

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
