// Listings as JSON: the library makes them, and riskctl prints them as they are.
#include <catch2/catch.hpp>
#include <filesystem>

#include "registry/json.hpp"
#include "support/cli.hpp"

using namespace riskreg;
using namespace riskreg::testing;

namespace {

constexpr const char* kOrders =
    R"({"op":"register","id":"O-1","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"4799.25","quantity":"50"}
{"op":"register","id":"O-2","instrument":"ESH4","side":"sell","type":"limit","tif":"gtc","price":"4900","quantity":"1"}
{"op":"acked","id":"O-1","venue_id":"64"}
{"op":"filled","id":"O-1","exec_id":"E1","price":"4799.25","quantity":"20"}
{"op":"replace_requested","id":"O-1","new_id":"O-1b","price":"4798","quantity":"40"}
{"op":"replaced","id":"O-1b"}
)";

/// A registry with something in every list.
class Desk {
public:
    Desk() {
        std::string config =
            es_config(R"({"scope":"firm","max_long":"100","max_messages":50,"max_open_notional":"unlimited"})",
                      R"(,"four_eyes":true,"restricted":[{"scope":"strategy:s2","sides":"sell","reason":"test"}])");
        const std::string_view without_journal = R"("mode":"none")";
        config.replace(config.find(without_journal), without_journal.size(), R"("mode":"async")");
        cli_.create("r", config);
        REQUIRE(cli_.run("exec r --strategy s1", kOrders).code == 0);
        REQUIRE(cli_.run("halt r --scope strategy:s2 --reason 'say \"no\"'").code == 0);
        REQUIRE(cli_.run("resume r --scope strategy:s2 --reason again").code == 0);
        REQUIRE(cli_.run("checkpoint r").code == 0);
    }
    [[nodiscard]] std::string state_dir() const { return cli_.directory() + "/state"; }
    [[nodiscard]] Reader reader() const { return Reader::open("r", state_dir()); }
    [[nodiscard]] std::string printed(const std::string& verb, const std::string& rest = {}) const {
        const CliResult result = cli_.run(verb + " r --json " + rest);
        CHECK(result.code == 0);
        return result.out;
    }
    [[nodiscard]] const Cli& cli() const { return cli_; }

private:
    Cli cli_;
};

std::string lines(const std::vector<std::string>& objects) {
    std::string text;
    for (const std::string& object : objects) text += object + "\n";
    return text;
}

}  // namespace

TEST_CASE("riskctl prints each listing as the library makes it", "[cli][json]") {
    const Desk desk;
    const Reader reader = desk.reader();
    std::vector<std::string> orders, rows, sessions, restricted, approvals;
    reader.orders([&](const OrderView& order) { return orders.push_back(registry::to_json(order, reader)), true; });
    reader.exposures([&](const ExposureView& row) {
        if (!(row.limits == Limits{})) rows.push_back(registry::to_json(row, reader));
        return true;
    });
    for (const SessionView& session : reader.sessions()) sessions.push_back(registry::to_json(session, reader));
    for (const RestrictionView& entry : reader.restrictions())
        restricted.push_back(registry::to_json(entry, reader, std::int64_t{1}));
    for (const ApprovalView& approval : reader.approvals()) approvals.push_back(registry::to_json(approval, reader));

    CHECK(orders.size() == 2);
    CHECK(desk.printed("orders") == lines(orders));
    CHECK(desk.printed("order", "O-1b --account A1") == orders.front() + "\n");
    CHECK(rows.size() == 1);
    CHECK(desk.printed("limits") == lines(rows));
    CHECK(desk.printed("exposure", "--scope firm") == lines(rows));
    CHECK(sessions.size() == 1);
    CHECK(desk.printed("sessions") == lines(sessions));
    CHECK(restricted.size() == 1);
    CHECK(desk.printed("restricted") == lines(restricted));
    CHECK(approvals.size() == 1);
    CHECK(desk.printed("approvals") == lines(approvals));
    CHECK(desk.printed("verify") == lines({registry::to_json(reader.audit(), reader.status())}));
}

TEST_CASE("riskctl prints what files hold as the library makes it", "[cli][json]") {
    const Desk desk;
    std::size_t looked = 0;
    for (const auto& entry : std::filesystem::directory_iterator(desk.state_dir() + "/r")) {
        const std::string path = entry.path().string(), name = entry.path().filename().string();
        const bool journal = name.starts_with("journal-");
        if (!journal && !name.starts_with("checkpoint-")) continue;
        const CliResult printed = desk.cli().run((journal ? "journal-info --json " : "checkpoint-info --json ") + path);
        INFO(name << printed.err);
        CHECK(printed.code == 0);
        CHECK(printed.out == (journal ? registry::to_json(registry::look_at_journal(path, {}))
                                      : registry::to_json(registry::look_at_checkpoint(path, {}))) +
                                 "\n");
        CHECK_THAT(printed.out, Catch::Contains(R"("valid":true,"registry":"r")"));
        ++looked;
    }
    CHECK(looked >= 2);
}
