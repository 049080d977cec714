// The pre-trade controls as an operator and a script meet them: limits and their use, filters, four eyes, restricted list.
#include <unistd.h>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>

#include "support/cli.hpp"

using namespace riskreg::testing;
using riskreg::persist::JsonValue;

namespace {

/// One instrument with a multiplier of 50, two accounts with a strategy each; `more` is further top-level members.
std::string config(const std::string& more) {
    return R"({"persistence":{"mode":"none"},"require_limits":false,"allow_limit_without_reference":true,)"
           R"("instruments":[{"id":"ESH4","tick":"0.25","multiplier":"50"},{"id":"NQ","tick":"0.25"}],)"
           R"("accounts":[{"id":"A1"},{"id":"A2"}],"strategies":[{"id":"s1","account":"A1"},{"id":"s2","account":"A1"},)"
           R"({"id":"s3","account":"A2"}])" +
           more + "}";
}

std::string order(const std::string& id, const std::string& side = "buy", const std::string& price = "4800",
                  const std::string& instrument = "ESH4", const std::string& quantity = "2") {
    return R"({"op":"register","id":")" + id + R"(","instrument":")" + instrument + R"(","side":")" + side +
           R"(","type":"limit","tif":"day","price":")" + price + R"(","quantity":")" + quantity + "\"}\n";
}

std::string event(const std::string& op, const std::string& id, const std::string& more = {}) {
    return R"({"op":")" + op + R"(","id":")" + id + "\"" + more + "}\n";
}

std::vector<JsonValue> answers(const Cli& cli, const std::string& input, const std::string& strategy = "s1") {
    const CliResult result = cli.run("exec r --strategy " + strategy, input);
    INFO(result.err);
    REQUIRE(result.code == 0);
    return result.lines();
}

std::string brief(const JsonValue& answer) { return text_of(answer, "result") + " " + text_of(answer, "reason"); }

/// The one row of a scope, as `limits --json` prints it.
JsonValue row_of(const Cli& cli, const std::string& scope) {
    const auto lines = cli.run("limits r --json --scope " + scope).lines();
    REQUIRE(lines.size() == 1);
    return lines[0];
}

std::string use_of(const JsonValue& row, const std::string& limit, const std::string& key = "used") {
    const JsonValue* utilisation = row.find("utilisation");
    const JsonValue* use = utilisation == nullptr ? nullptr : utilisation->find(limit);
    return use == nullptr ? "no use" : text_of(*use, key);
}

std::vector<std::string> texts_of(const std::vector<JsonValue>& lines, const std::string& key) {
    std::vector<std::string> texts;
    for (const JsonValue& line : lines) texts.push_back(text_of(line, key));
    return texts;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("limits shows value, use and headroom of what an order and its fill take", "[cli]") {
    const Cli cli;
    cli.create("r", config(R"(,"self_match":"allow")"));
    REQUIRE(cli.run("limit r --scope account:A1 max_open_notional=1000000 max_working_buy=4 max_gross_notional=2000000 "
                    "max_net_notional=2000000 cash_limit=500000 max_traded_notional=unlimited daily_loss=1000 drawdown=2000 "
                    "max_long=8 max_messages=100 max_all_messages=200 max_same_content=3 window_ms=3600000 "
                    "content_window_ms=250 cancel_headroom=0.25")
                .code == 0);
    answers(cli,
            order("O-1") + event("acked", "O-1") + event("filled", "O-1", R"(,"exec_id":"E1","price":"4800","quantity":"1")"));
    const JsonValue row = row_of(cli, "account:A1");
    CHECK(text_of(row, "max_gross_notional") == "2000000");
    CHECK(text_of(row, "max_traded_notional") == "unlimited");
    CHECK(text_of(row, "max_all_messages") == "200");
    CHECK(text_of(row, "cancel_headroom") == "0.25");
    CHECK(use_of(row, "max_open_notional") == "240000");
    CHECK(use_of(row, "max_open_notional", "headroom") == "760000");
    CHECK(use_of(row, "max_open_notional", "utilisation_bps") == "2400");
    CHECK(use_of(row, "max_working_buy") == "1");
    CHECK(use_of(row, "max_long") == "2");
    CHECK(use_of(row, "max_gross_notional") == "480000");
    CHECK(use_of(row, "max_net_notional") == "480000");
    CHECK(use_of(row, "cash_limit") == "480000");
    CHECK(use_of(row, "cash_limit", "headroom") == "20000");
    CHECK(use_of(row, "max_traded_notional") == "no use");
    CHECK(use_of(row, "daily_loss") == "0");
    CHECK(use_of(row, "drawdown", "unit") == "money");
    CHECK(use_of(row, "max_messages", "window_ms") == "3600000");
    CHECK(use_of(row, "max_messages", "value") == "100");
    CHECK(use_of(row, "max_messages") == "1");
    CHECK(use_of(row, "max_all_messages", "headroom") == "199");
    CHECK(use_of(row, "max_same_content", "window_ms") == "250");
    CHECK(use_of(row, "max_all_messages", "cancel_headroom") == "0.25");
    REQUIRE(cli.run("limit r --scope account:A1 max_messages=unset window_ms=unset max_long=0").code == 0);
    const JsonValue later = row_of(cli, "account:A1");
    CHECK(use_of(later, "max_messages") == "no use");
    CHECK(text_of(later, "window_ms").empty());
    CHECK(use_of(later, "max_long", "headroom") == "-2");
    CHECK(later.find("utilisation")->find("max_long")->find("utilisation_bps")->is(JsonValue::Kind::null));
    CHECK(cli.run("limits r").out.find("250 ms") != std::string::npos);
}

TEST_CASE("orders and events are narrowed to what was asked for", "[cli]") {
    const Cli cli;
    cli.create("r", config(R"(,"self_match":"allow")"));
    answers(cli, order("O-1") + order("O-2", "buy", "4800", "NQ") + order("O-3") + event("canceled", "O-3"));
    answers(cli, order("X-1"), "s3");
    REQUIRE(cli.run("halt r --scope account:A2 --reason x").code == 0);
    const auto ids = [&](const std::string& options) { return texts_of(cli.run("orders r --json " + options).lines(), "id"); };
    CHECK(ids("--scope account:A1") == Texts{"O-1", "O-2", "O-3"});
    CHECK(ids("--scope account:A1/instrument:ESH4") == Texts{"O-1", "O-3"});
    CHECK(ids("--scope strategy:s1 --live") == Texts{"O-1", "O-2"});
    CHECK(ids("--scope firm --instrument ESH4 --live") == Texts{"O-1", "X-1"});
    CHECK(cli.run("orders r --scope account:A1 --account A2").code == 2);
    const auto events = [&](const std::string& options) { return texts_of(cli.run("events " + options).lines(), "event"); };
    CHECK(events("--type registered,canceled --account A1 r") == Texts{"registered", "registered", "registered", "canceled"});
    CHECK(events("r --type registered --instrument NQ") == Texts{"registered"});
    CHECK(events("r --scope account:A2") == Texts{"registered", "state_changed"});
    CHECK(events("r --type state_changed --account A1").empty());
    CHECK(events("r --type state_changed --strategy s1").empty());
    const CliResult wrong = cli.run("events r --type nonsense");
    CHECK(wrong.code == 2);
    CHECK(wrong.err.find("state_changed") != std::string::npos);
}

TEST_CASE("an order that may still be sent is told from one that may not", "[cli]") {
    const Cli cli;
    cli.create("r", config(R"(,"self_match":"allow")"));
    const auto a =
        answers(cli, order("O-1") + event("begin_send", "O-1") + event("canceled", "O-1") + event("begin_send", "O-1") +
                         event("begin_send", "O-9") + event("begin_send", "O-1", R"(,"x":1)"));
    CHECK(brief(a[1]) == "accepted ");
    CHECK(brief(a[3]) == "denied terminal");
    CHECK(brief(a[4]) == "denied unknown_order");
    CHECK(brief(a[5]) == "error unknown_field");
}

TEST_CASE("own orders that would trade with each other are refused, or named for cancelling", "[cli]") {
    SECTION("refused, unless said otherwise") {
        const Cli cli;
        cli.create("r", config(""));
        answers(cli, order("O-1", "sell", "4800"));
        CHECK(brief(answers(cli, order("O-2", "buy", "4800"), "s2")[0]) == "denied self_match");
        CHECK(brief(answers(cli, order("O-2", "buy", "4799.75"), "s2")[0]) == "accepted ");
    }
    SECTION("advised") {
        const Cli cli;
        cli.create("r", config(R"(,"self_match":"advise_cancel")"));
        answers(cli, order("O-1", "sell", "4800") + order("O-2", "sell", "4801"));
        const auto a = answers(cli,
                               order("O-3", "buy", "4799") + event("acked", "O-3") + order("O-4", "buy", "4800") +
                                   event("replace_requested", "O-3", R"(,"price":"4801")"),
                               "s2");
        CHECK(a[0].find("advise_cancel") == nullptr);
        REQUIRE(a[2].find("advise_cancel") != nullptr);
        CHECK(brief(a[2]) == "accepted ");
        CHECK(a[2].find("advise_cancel")->items.size() == 1);
        CHECK(a[2].find("advise_cancel")->items.at(0).text == "O-1");
        REQUIRE(a[3].find("advise_cancel") != nullptr);
        CHECK(a[3].find("advise_cancel")->items.size() == 2);
    }
}

TEST_CASE("the restricted list refuses what it names and can be read", "[cli]") {
    const Cli cli;
    cli.create("r", config(R"(,"restricted":[{"scope":"instrument:NQ","sides":"sell","reason":"news"},)"
                           R"({"scope":"account:A2","to":"2020-01-01"}])"));
    const auto list = cli.run("restricted r --json").lines();
    REQUIRE(list.size() == 2);
    CHECK(text_of(list[0], "scope") == "instrument:NQ");
    CHECK(text_of(list[0], "sides") == "sell");
    CHECK(text_of(list[0], "reason") == "news");
    CHECK(text_of(list[0], "in_force") == "true");
    CHECK(list[0].find("to")->is(JsonValue::Kind::null));
    CHECK(text_of(list[1], "sides") == "both");
    CHECK(text_of(list[1], "to") == "2020-01-01T00:00:00.000000000Z");
    CHECK(text_of(list[1], "in_force") == "false");
    const auto a = answers(cli, order("O-1", "sell", "4800", "NQ") + order("O-2", "buy", "4800", "NQ"));
    CHECK(brief(a[0]) == "denied restricted");
    CHECK(text_of(a[0], "scope") == "instrument:NQ");
    CHECK(brief(a[1]) == "accepted ");
    CHECK(brief(answers(cli, order("X-1"), "s3")[0]) == "accepted ");
}

TEST_CASE("under four eyes a resume waits until another user approves it", "[cli]") {
    const Cli cli;
    cli.create("r", config(R"(,"four_eyes":true)"));
    REQUIRE(cli.run("halt r --scope strategy:s1 --reason 'fat finger'").code == 0);
    const CliResult asked = cli.run("resume r --scope strategy:s1 --reason checked --json");
    REQUIRE(asked.code == 0);
    const JsonValue answer = asked.lines().at(0);
    CHECK(text_of(answer, "result") == "ok");
    CHECK(text_of(answer, "pending") == "true");
    const std::string request = text_of(answer, "request");
    REQUIRE_FALSE(request.empty());
    CHECK(brief(answers(cli, order("O-1"))[0]) == "denied halted");
    const JsonValue open = cli.run("approvals r --json").lines().at(0);
    CHECK(text_of(open, "request") == request);
    CHECK(text_of(open, "status") == "open");
    CHECK(text_of(open, "scope") == "strategy:s1");
    CHECK(cli.run("doctor r").out.find("riskctl approve r " + request) != std::string::npos);
    const CliResult same = cli.run("approve r " + request);
    CHECK(same.code == 1);
    CHECK(same.err.find("not_allowed") != std::string::npos);
    const CliResult unknown = cli.run("approve r 999999 --json");
    CHECK(unknown.code == 1);
    CHECK(text_of(unknown.lines().at(0), "reason") == "invalid_field");
    REQUIRE(cli.run("halt r --scope account:A2 --reason x").code == 0);
    CHECK(cli.run("resume r --scope account:A2 --reason checked").out.find("another user") != std::string::npos);
    if (::geteuid() != 0 || std::system("setpriv --ruid 65534 true 2>/dev/null") != 0) {
        std::puts("SKIPPED: only root can be another user who may open the registry");
        return;
    }
    const std::string other = "setpriv --ruid 65534 '" RISKREG_BIN_DIR "/riskctl' approve r " + request + " --state-dir '" +
                              cli.directory() + "/state' > /dev/null";
    CHECK(std::system(other.c_str()) == 0);
    CHECK(brief(answers(cli, order("O-1"))[0]) == "accepted ");
    CHECK(text_of(cli.run("approvals r --json").lines().at(0), "status") == "approved");
    CHECK(cli.run("approve r " + request).code == 1);
}
