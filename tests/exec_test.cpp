// riskctl exec and its neighbours, as a script meets them: interfaces.md 2–5 and semantics.md 17.
#include <sys/wait.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <cstddef>
#include <fstream>
#include <iterator>
#include <string>

#include "layout/segment.hpp"
#include "support/cli.hpp"

using namespace riskreg::testing;
using riskreg::persist::JsonValue;

namespace {

const std::string kLimits =
    R"({"scope":"account:A1/instrument:ESH4","max_order_quantity":"50","max_long":"100","max_short":"100","max_working_orders":500})";

std::string order(const std::string& id, const std::string& quantity, const std::string& side = "buy",
                  const std::string& price = "4799.25") {
    return R"({"op":"register","id":")" + id + R"(","instrument":"ESH4","side":")" + side +
           R"(","type":"limit","tif":"day","price":")" + price + R"(","quantity":")" + quantity + "\"}\n";
}

std::string event(const std::string& op, const std::string& id, const std::string& more = {}) {
    return R"({"op":")" + op + R"(","id":")" + id + "\"" + more + "}\n";
}

std::string fill(const std::string& id, const std::string& exec_id, const std::string& quantity) {
    return event("filled", id, R"(,"exec_id":")" + exec_id + R"(","price":"4799.25","quantity":")" + quantity + "\"");
}

/// Runs the lines through one session and returns the answers.
std::vector<JsonValue> answers(const Cli& cli, const std::string& input, const std::string& strategy = "s1") {
    const CliResult result = cli.run("exec r --strategy " + strategy, input);
    INFO(result.err);
    REQUIRE(result.code == 0);
    return result.lines();
}

std::string brief(const JsonValue& answer) {
    const std::string reason = text_of(answer, "reason");
    return text_of(answer, "result") + (reason.empty() ? "" : " " + reason) +
           (text_of(answer, "field").empty() ? "" : " " + text_of(answer, "field"));
}

}  // namespace

TEST_CASE("one order lives its whole life and every answer says how it stands", "[cli][inv-6]") {
    const Cli cli;
    cli.create("r", es_config(kLimits));
    const auto a = answers(cli, order("O-1", "2") + event("acked", "O-1", R"(,"venue_id":"64")") + fill("O-1", "E1", "1") +
                                    fill("O-1", "E1", "1") +
                                    event("replace_requested", "O-1", R"(,"new_id":"O-2","price":"4799.50","quantity":"3")") +
                                    event("replaced", "O-2") + event("find", "O-2") + event("cancel_requested", "O-2") +
                                    event("canceled", "O-1") + event("canceled", "O-2") + event("cancel_requested", "O-1") +
                                    fill("O-2", "E2", "1"));
    CHECK(brief(a[0]) == "accepted");
    CHECK(text_of(a[0], "line") == "1");
    CHECK(text_of(a[0], "seq") == "3");
    CHECK(text_of(a[1], "status") == "new");
    CHECK(text_of(a[2], "status") == "partially_filled");
    CHECK(text_of(a[2], "cum_quantity") == "1");
    CHECK(text_of(a[2], "leaves_quantity") == "1");
    CHECK(brief(a[3]) == "duplicate");
    CHECK(text_of(a[4], "status") == "pending_replace");
    CHECK(text_of(a[5], "leaves_quantity") == "2");
    CHECK(text_of(a[6], "price") == "4799.5");
    CHECK(text_of(a[6], "reserved_notional") == "479950");
    CHECK(text_of(a[6], "venue_id") == "64");
    CHECK(text_of(a[7], "status") == "pending_cancel");
    CHECK(text_of(a[8], "status") == "canceled");
    CHECK(brief(a[9]) == "ignored_late");
    CHECK(brief(a[10]) == "denied terminal");
    CHECK(brief(a[11]) == "anomaly");
    CHECK(a[11].find("flags")->items.at(0).text == "late_fill");
    CHECK(cli.run("verify r").code == 0);
}

TEST_CASE("a retry after a crash is recognised, any other use of the id is refused", "[cli][inv-6]") {
    const Cli cli;
    cli.create("r", es_config(kLimits));
    const auto a = answers(cli, order("O-1", "2") + order("O-1", "2") + order("O-1", "3") +
                                    event("replace_requested", "O-1", R"(,"new_id":"O-2")"));
    CHECK(brief(a[1]) == "denied already_registered");
    CHECK(text_of(a[1], "status") == "pending_new");
    CHECK(brief(a[2]) == "denied duplicate_order_id");
    CHECK(brief(a[3]) == "denied not_acknowledged");
    CHECK(brief(answers(cli, order("O-1", "2"), "s2")[0]) == "denied duplicate_order_id");
}

TEST_CASE("a limit lets its exact value pass and names scope, observed and limit beyond it", "[cli][inv-7]") {
    const Cli cli;
    cli.create("r", es_config(kLimits));
    const auto a = answers(cli, order("O-1", "50") + order("O-2", "50") + order("O-3", "1") + order("O-4", "51"));
    CHECK(brief(a[1]) == "accepted");
    CHECK(brief(a[2]) == "denied max_long");
    CHECK(text_of(a[2], "scope") == "account:A1/instrument:ESH4");
    CHECK(text_of(a[2], "observed") == "101");
    CHECK(text_of(a[2], "limit") == "100");
    CHECK(text_of(a[2], "unit") == "quantity");
    CHECK(brief(a[3]) == "denied max_order_quantity");
}

TEST_CASE("a line that is no command names field, seen and allowed, and the session goes on", "[cli][input]") {
    const Cli cli;
    cli.create("r", es_config(kLimits));
    const std::string good =
        R"("id":"O-9","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"1","quantity":"1")";
    struct Case {
        std::string line, answer;
    };
    const std::vector<Case> cases = {
        {"not json", "error invalid_json"},
        {"[1,2]", "error invalid_json"},
        {"\"text\"", "error invalid_json"},
        {"{", "error invalid_json"},
        {"{\"op\":\"register\"", "error invalid_json"},
        {"{} {}", "error invalid_json"},
        {std::string("{\"op\":\"find\",\"id\":\"\xff\xfe\"}"), "error invalid_json"},
        {R"({"op":"find","id":NaN})", "error invalid_json"},
        {std::string(64, '['), "error invalid_json"},
        {R"({"id":"O-9"})", "error missing_field op"},
        {R"({"op":7})", "error invalid_field op"},
        {R"({"op":"buy"})", "error unknown_op op"},
        {R"({"op":"find"})", "error missing_field id"},
        {R"({"op":"find","id":5})", "error invalid_field id"},
        {R"({"op":"find","id":"a","id":"b"})", "error invalid_field id"},
        {R"({"op":"find","id":"a","extra":1})", "error unknown_field extra"},
        {R"({"op":"register","id":"O-9","instrument":"ESH4","side":"bye","type":"limit","tif":"day","price":"1","quantity":"1"})",
         "error invalid_field side"},
        {R"({"op":"register","id":"O-9","instrument":"ESH4","side":"buy","type":"lim","tif":"day","price":"1","quantity":"1"})",
         "error invalid_field type"},
        {R"({"op":"register","id":"O-9","instrument":"ESH4","side":"buy","type":"limit","tif":"now","price":"1","quantity":"1"})",
         "error invalid_field tif"},
        {R"({"op":"register","id":"O-9","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":1.25,"quantity":"1"})",
         "error invalid_field price"},
        {R"({"op":"register","id":"O-9","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"1","quantity":1})",
         "error invalid_field quantity"},
        {R"({"op":"register","id":"O-9","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"1.0000000001","quantity":"1"})",
         "error invalid_field price"},
        {R"({"op":"register","id":"O-9","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"1","quantity":"1.000000001"})",
         "error invalid_field quantity"},
        {R"({"op":"register","id":"O-9","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"1e3","quantity":"1"})",
         "error invalid_field price"},
        {R"({"op":"register","id":"O-9","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"99999999999","quantity":"1"})",
         "error invalid_field price"},
        {R"({"op":"register","id":"O-9","instrument":"ESH4","side":"buy","type":"limit","tif":"day","quantity":"1"})",
         "error missing_field price"},
        {R"({"op":"register","id":"O-9","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"1"})",
         "error missing_field quantity"},
        {R"({"op":"register",)" + good + R"(,"account":7})", "error invalid_field account"},
        {R"({"op":"filled","id":"O-1","exec_id":"","price":"1","quantity":"1"})", "error invalid_field exec_id"},
        {R"({"op":"filled","id":"O-1","exec_id":"E","price":"1","quantity":"0"})", "error invalid_field quantity"},
        {R"({"op":"filled","id":"O-1","exec_id":"E","quantity":"1"})", "error missing_field price"},
        {R"({"op":"replaced","id":"O-1"})", "error missing_field price"},
        {R"({"op":"bust","id":"O-1","exec_id":"E","reopened":"yes"})", "error invalid_field reopened"},
        {R"({"op":"replace_requested","id":"O-1","expected_version":-1})", "error invalid_field expected_version"},
        {R"({"op":"register_batch","all_or_none":true,"orders":[]})", "error invalid_field orders"},
        {R"({"op":"register_batch","all_or_none":true,"orders":[{"id":"x"}]})", "error missing_field orders[0].instrument"},
        // well-formed, and refused
        {R"({"op":"register","id":"","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"1","quantity":"1"})",
         "denied invalid_order_id"},
        {R"({"op":"register","id":"O 9","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"1","quantity":"1"})",
         "denied invalid_order_id"},
        {R"({"op":"register","id":"1234567890123456789012345678901234567890","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"1","quantity":"1"})",
         "denied invalid_order_id"},
        {R"({"op":"register","id":"O-9","instrument":"NQ","side":"buy","type":"limit","tif":"day","price":"1","quantity":"1"})",
         "denied unknown_instrument"},
        {R"({"op":"register",)" + good + R"(,"account":"A7"})", "denied unknown_account"},
        {R"({"op":"register","id":"O-9","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"1.10","quantity":"1"})",
         "denied invalid_price"},
        {R"({"op":"register","id":"O-9","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"1","quantity":"0"})",
         "denied invalid_quantity"},
        {R"({"op":"register","id":"O-9","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"1","quantity":"-1"})",
         "denied invalid_quantity"},
        {R"({"op":"register","id":"O-9","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"1","quantity":"1.5"})",
         "denied invalid_quantity"},
        {R"({"op":"register","id":"O-9","instrument":"ESH4","side":"buy","type":"market","tif":"ioc","quantity":"1"})",
         "denied reference_price_unknown"},
        {R"({"op":"cancel_requested","id":"nobody"})", "denied unknown_order"},
        {R"({"op":"canceled","id":"nobody"})", "quarantined"},
    };
    std::string input = order("O-1", "2");
    for (const Case& c : cases) input += c.line + "\n";
    const auto a = answers(cli, input + order("O-last", "1"));
    REQUIRE(a.size() == cases.size() + 2);
    for (std::size_t i = 0; i < cases.size(); ++i) {
        INFO(cases[i].line);
        CHECK(brief(a[i + 1]) == cases[i].answer);
        CHECK(text_of(a[i + 1], "line") == std::to_string(i + 2));
    }
    CHECK(brief(a.back()) == "accepted");
    const auto orders = cli.run("orders r --json").lines();
    CHECK(orders.size() == 2);
    CHECK(cli.run("verify r").code == 0);
}

TEST_CASE("a line of more than a mebibyte is refused and the next one is read", "[cli][input]") {
    const Cli cli;
    cli.create("r", es_config());
    const auto a = answers(cli, "{\"op\":\"" + std::string(3U << 20, 'x') + "\"}\n" + order("O-1", "1"));
    REQUIRE(a.size() == 2);
    CHECK(brief(a[0]) == "error invalid_json");
    CHECK(brief(a[1]) == "accepted");
}

TEST_CASE("a batch of all or none leaves nothing behind when one member is refused", "[cli][inv-6]") {
    const Cli cli;
    cli.create("r", es_config(kLimits));
    const auto member = [](const std::string& id, const std::string& quantity) {
        return R"({"id":")" + id + R"(","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"1","quantity":")" +
               quantity + "\"}";
    };
    const auto batch = [&](bool all, const std::string& orders) {
        return std::string(R"({"op":"register_batch","all_or_none":)") + (all ? "true" : "false") + R"(,"orders":[)" + orders +
               "]}\n";
    };
    // Each alone would pass, together they exceed max_long 100: the batch counts its own members.
    const std::string three = member("B-1", "40") + "," + member("B-2", "40") + "," + member("B-3", "40");
    const auto a = answers(cli, batch(true, three) + batch(true, member("B-1", "40") + "," + member("B-1", "40")) +
                                    batch(true, member("B-1", "40") + "," + member("B-2", "40")) + batch(false, three));
    CHECK(text_of(a[0], "result") == "denied");
    CHECK(brief(a[0].find("results")->items[0]) == "denied batch_member_denied");
    CHECK(brief(a[0].find("results")->items[2]) == "denied max_long");
    CHECK(text_of(a[0].find("results")->items[2], "observed") == "120");
    CHECK(brief(a[1].find("results")->items[1]) == "denied duplicate_order_id");
    CHECK(text_of(a[2], "result") == "accepted");
    CHECK(brief(a[3].find("results")->items[0]) == "denied already_registered");
    CHECK(brief(a[3].find("results")->items[2]) == "denied max_long");
    CHECK(cli.run("orders r --json").lines().size() == 2);
    CHECK(cli.run("verify r").code == 0);
}

TEST_CASE("a halt refuses orders, lets cancels and facts pass, and only a resume with a reason releases it",
          "[cli][inv-8][inv-12]") {
    const Cli cli;
    cli.create("r", es_config(kLimits));
    answers(cli, order("O-1", "2") + event("acked", "O-1"));
    CHECK(cli.run("halt r --scope strategy:s1").code == 2);
    CHECK(cli.run("halt r --scope strategy:nobody --reason x").code == 2);
    CHECK(cli.run("halt r --scope strategy:s1 --reason 'fat finger'").code == 0);
    const auto a =
        answers(cli, order("O-2", "1") + fill("O-1", "E1", "1") + event("replace_requested", "O-1", R"(,"quantity":"1")") +
                         event("cancel_requested", "O-1") + event("canceled", "O-1"));
    CHECK(brief(a[0]) == "denied halted");
    CHECK(text_of(a[0], "scope") == "strategy:s1");
    CHECK(brief(a[1]) == "ok");
    CHECK(a[1].find("flags")->items.at(0).text == "kill_cancel");
    CHECK(brief(a[2]) == "denied halted");
    CHECK(brief(a[3]) == "ok");
    CHECK(brief(a[4]) == "ok");
    CHECK(brief(answers(cli, order("O-2", "1"), "s2")[0]) == "accepted");
    CHECK(cli.run("halt r --scope strategy:s1 --reason x --state reducing_only").code == 1);
    CHECK(cli.run("resume r --scope strategy:s1 --reason 'checked' --state reducing_only").code == 0);
    CHECK(brief(answers(cli, order("O-3", "1"))[0]) == "denied reducing_only");
    CHECK(cli.run("resume r --scope strategy:s1 --reason 'checked'").code == 0);
    CHECK(brief(answers(cli, order("O-3", "1"))[0]) == "accepted");
    CHECK(cli.run("resume r --scope strategy:s1 --reason 'checked'").code == 1);
}

TEST_CASE("a limit changed on the running registry holds from the next order, below the present use too", "[cli][inv-7]") {
    const Cli cli;
    cli.create("r", es_config(kLimits));
    answers(cli, order("O-1", "20"));
    CHECK(cli.run("limit r --scope account:A1/instrument:ESH4 max_long=10 --reason 'less risk'").code == 0);
    const auto a = answers(cli, order("O-2", "1") + order("O-3", "1", "sell"));
    CHECK(brief(a[0]) == "denied max_long");
    CHECK(text_of(a[0], "observed") == "21");
    CHECK(brief(a[1]) == "accepted");
    CHECK(cli.run("limit r --scope account:A1/instrument:ESH4 max_long=x").code == 2);
    CHECK(cli.run("limit r --scope account:A1/instrument:ESH4 max_wrong=1").code == 2);
    CHECK(cli.run("limit r --scope account:A1/instrument:ESH4 daily_loss=-1").code == 2);
    CHECK(cli.run("limit r --scope account:A1/instrument:ESH4 window_ms=unlimited").code == 2);
    CHECK(cli.run("limit r --scope account:A1/instrument:ESH4 cancel_headroom=1.5").code == 2);
    CHECK(cli.run("limit r --scope account:A1/instrument:ESH4 max_long=unlimited").code == 0);
    CHECK(brief(answers(cli, order("O-4", "1"))[0]) == "accepted");
    CHECK(brief(answers(cli, order("O-5", "51"))[0]) == "denied max_order_quantity");
}

TEST_CASE("reference prices feed market orders and collars, and have one writer", "[cli][inv-12]") {
    const Cli cli;
    cli.create("r", R"({"persistence":{"mode":"none"},"require_limits":false,"self_match":"allow","accounts":[{"id":"A1"}],
      "instruments":[{"id":"ESH4","tick":"0.25","multiplier":"50","collar_bps":100,"reference_max_age_ms":60000}],
      "strategies":[{"id":"s1","account":"A1"},{"id":"s2","account":"A1"}]})");
    const std::string market =
        R"({"op":"register","id":"M-1","instrument":"ESH4","side":"buy","type":"market","tif":"ioc","quantity":"1"})"
        "\n";
    const auto a =
        answers(cli, order("O-1", "1", "buy", "4800") + market +
                         R"({"op":"reference_price","instrument":"ESH4","price":"4800"})"
                         "\n" +
                         market + order("O-2", "1", "buy", "4848") + order("O-3", "1", "buy", "4848.25") +
                         order("O-4", "1", "sell", "4752") + order("O-5", "1", "sell", "4751.75") + event("find", "M-1"));
    CHECK(brief(a[0]) == "denied reference_price_unknown");
    CHECK(brief(a[1]) == "denied reference_price_unknown");
    CHECK(brief(a[2]) == "ok");
    CHECK(brief(a[3]) == "accepted");
    CHECK(brief(a[4]) == "accepted");
    CHECK(brief(a[5]) == "denied price_collar");
    CHECK(text_of(a[5], "limit") == "4848");
    CHECK(brief(a[6]) == "accepted");
    CHECK(brief(a[7]) == "denied price_collar");
    CHECK(text_of(a[7], "limit") == "4752");
    CHECK(text_of(a[8], "reserved_notional") == "252000");   // 4800 · 1.05 · 50
}

TEST_CASE("the exit code says what kind of failure it was", "[cli][input]") {
    const Cli cli;
    CHECK(cli.run("status r").code == 3);
    CHECK(cli.run("exec r --strategy s1").code == 3);
    CHECK(cli.run("destroy r").code == 3);
    CHECK(cli.run("status ../r").code == 2);
    CHECK(cli.run("status 'a b'").code == 2);
    CHECK(cli.run("status ..").code == 2);
    CHECK(cli.run("").code == 2);
    CHECK(cli.run("nonsense r").code == 2);
    CHECK(cli.run("status r --nonsense").code == 2);
    CHECK(cli.run("create r --config /does/not/exist").code == 2);
    cli.create("r", es_config());
    CHECK(cli.run("create r --config '" + cli.directory() + "/config.json'").code == 2);
    CHECK(cli.run("exec r --strategy nobody").code == 2);
    CHECK(cli.run("exec r --strategy external").code == 2);
    CHECK(cli.run("exec r --strategy s1 --durability durable").code == 2);
    CHECK(cli.run("order r X --account A1").code == 1);
    CHECK(cli.run("order r X --account A9").code == 2);
    CHECK(cli.run("exposure r --scope account:A9").code == 2);
    CHECK(cli.run("exposure r --scope account:A1/instrument:ESH4 --json").lines().size() == 1);
    CHECK(cli.run("verify r").code == 0);
    CHECK(cli.run("doctor r").code == 0);
    CHECK(cli.run("destroy r --yes").code == 0);
    CHECK(cli.run("status r").code == 3);
    CHECK(cli.run("create r --config '" + cli.directory() + "/config.json'").code == 0);
}

TEST_CASE("a configuration that is wrong is refused by the path of the field", "[cli][input]") {
    const Cli cli;
    struct Case {
        std::string config, path;
    };
    const std::string rest = R"("accounts":[{"id":"A","currency":"USD"}],"strategies":[{"id":"s","account":"A"}])";
    const auto with = [&](const std::string& instrument, const std::string& more = {}) {
        return "{\"instruments\":[" + instrument + "]," + rest + more + "}";
    };
    const std::string x = R"({"id":"X","tick":"0.25"})";
    for (const Case& c : std::vector<Case>{
             {"nonsense", "JSON"},
             {"{}", "instruments"},
             {R"({"a":1,"a":2})", "'a'"},
             {R"({"typo":1})", "typo"},
             {with(R"({"id":"X","tick":0.25})"), "instruments[0].tick"},
             {with(R"({"id":"X","tick":"0"})"), "instruments[0].tick"},
             {with(R"({"id":"X Y","tick":"1"})"), "instruments[0].id"},
             {with(R"({"id":"X/Y","tick":"1"})"), "instruments[0].id"},
             {with(R"({"id":"X","tick":"1","lots":"1"})"), "instruments[0].lots"},
             {with(R"({"id":"X","tick":"1","currency":"EUR"})"), "instruments[0].fx_rate"},
             {with(R"({"id":"X","tick":"1","short_allowed":"no"})"), "instruments[0].short_allowed"},
             {with(R"({"id":"X","tick":"1","max_quantity":"0.5"})"), "instruments[0].max_quantity"},
             {with(x + "," + x), "instruments[1].id"},
             {with(x, R"(,"limits":[{"scope":"firms","max_long":"1"}])"), "limits[0].scope"},
             {with(x, R"(,"limits":[{"scope":"firm"},{"scope":"firm"}])"), "limits[1].scope"},
             {with(x, R"(,"limits":[{"scope":"firm","max_long":1}])"), "limits[0].max_long"},
             {with(x, R"(,"limits":[{"scope":"firm","max_working_orders":"5"}])"), "limits[0].max_working_orders"},
             {with(x, R"(,"limits":[{"scope":"firm","max_long":"-1"}])"), "limits[0].max_long"},
             {with(x, R"(,"limits":[{"scope":"firm","max_gross_notional":1}])"), "limits[0].max_gross_notional"},
             {with(x, R"(,"limits":[{"scope":"firm","max_messages":"5"}])"), "limits[0].max_messages"},
             {with(x, R"(,"self_match":"perhaps")"), "self_match"},
             {with(x, R"(,"four_eyes":1)"), "four_eyes"},
             {with(x, R"(,"restricted":[{"scope":"desk"}])"), "restricted[0].scope"},
             {with(x, R"(,"capacity":{"orders":1})"), "capacity.orders"},
             {with(x, R"(,"capacity":{"ring_events":1000})"), "capacity.ring_events"},
             {with(x, R"(,"capacity":{"instruments":"1"})"), "capacity.instruments"},
             {with(x, R"(,"persistence":{"mode":"sometimes"})"), "persistence.mode"},
             {with(x, R"(,"persistence":{"mode":"async","key_file":"key"})"), "persistence.key_file"},
             {with(x, R"(,"require_limits":"yes")"), "require_limits"},
         }) {
        const CliResult result = cli.run("create r --config '" + cli.file("c.json", c.config) + "'");
        INFO(c.config << "\n" << result.err);
        CHECK(result.code == 2);
        CHECK(result.err.find(c.path) != std::string::npos);
    }
    CHECK(cli.run("status r").code == 3);
}

TEST_CASE("a configuration that gives every documented key is accepted", "[cli][input]") {
    const Cli cli;
    cli.create(
        "r",
        R"({"capacity":{"orders":65536,"instruments":1024,"accounts":64,"strategies":256,"sessions":256,"ring_events":65536,"executions":131072,
      "budgets":64,"restrictions":256},
      "persistence":{"mode":"async","checkpoint_interval_s":30,"keep_checkpoints":3},"require_limits":true,"allow_limit_without_reference":false,
      "self_match":"allow","self_match_group":"firm","four_eyes":true,"content_by_strategy":true,"on_loss":"halt","on_mark_breach":"reducing_only","amend_before_ack":true,
      "restricted":[{"scope":"instrument:ESH4","sides":["sell"],"reason":"corporate action","from":"2026-11-25","to":"2026-11-26T08:00:00Z"}],"reserve_price":"limit","gross_method":"worst_case",
      "mark_threshold_bps":5,"mark_interval_ms":100,"huge_pages":false,"lock_memory":false,
      "instruments":[{"id":"ESH4","tick":"0.25","lot":"1","min_quantity":"1","max_quantity":"100","multiplier":"50","currency":"USD","fx_rate":"1.1","collar_bps":500,
        "collar_ticks":4,"collar_two_sided":true,"reference_max_age_ms":5000,"market_slippage_bps":100,"short_allowed":false}],
      "accounts":[{"id":"A1","currency":"EUR"}],"strategies":[{"id":"mm1","account":["A1"],"instruments":["ESH4"],"on_death":"list_for_cancel"}],
      "limits":[{"scope":"firm","max_gross_notional":"500000000","max_net_notional":"unlimited","daily_loss":"100000"},
        {"scope":"strategy:mm1","max_messages":100000,"max_all_messages":200000,"max_same_content":5,"max_same_direction":50,"max_rejects":20,
         "window_ms":1000,"content_window_ms":500,"cancel_headroom":"0.2"}]})");
    CHECK(cli.run("verify r").code == 0);
    CHECK(cli.run("status r --json").lines()[0].find("state")->text == "active");
}

TEST_CASE("the death of a strategy halts its scope, lists its orders, and the next session claims them", "[cli][inv-2]") {
    const Cli cli;
    cli.create("r", es_config(kLimits));
    // The shell kills the process that holds the session while it waits for more input.
    const std::string script =
        cli.file("kill.sh", "export RISKREG_STATE_DIR='" + cli.directory() + "/state'\nmkfifo '" + cli.directory() +
                                "/fifo'\n'" RISKREG_BIN_DIR "/riskctl' exec r --strategy s1 '" + cli.directory() +
                                "/fifo' > '" + cli.directory() + "/answers' &\npid=$!\nexec 3> '" + cli.directory() +
                                "/fifo'\ncat '" + cli.file("one", order("O-1", "2")) + "' >&3\nuntil [ -s '" + cli.directory() +
                                "/answers' ]; do :; done\nkill -9 $pid\nwait $pid 2>/dev/null\ntrue\n");
    REQUIRE(std::system(("timeout 60 bash '" + script + "' 2>/dev/null").c_str()) == 0);
    CHECK(text_of(cli.run("sessions r --json").lines().at(0), "status") == "dead");
    const auto other = answers(cli,
                               R"({"op":"find","id":"O-1"})"
                               "\n",
                               "s2");
    CHECK(text_of(other[0], "status") == "pending_new");
    CHECK(text_of(cli.run("exposure r --scope strategy:s1 --json").lines().at(0), "state") == "halted");
    const auto listed = cli.run("orders r --kill-list --json").lines();
    REQUIRE(listed.size() == 1);
    CHECK(listed[0].find("flags")->items.at(0).text == "orphaned");
    const auto claimed = answers(cli, order("O-1", "2") + order("O-2", "1") + event("cancel_requested", "O-1"));
    CHECK(brief(claimed[0]) == "denied halted");
    CHECK(brief(claimed[2]) == "ok");
    CHECK(cli.run("resume r --scope strategy:s1 --reason 'restarted'").code == 0);
    CHECK(brief(answers(cli, order("O-1", "2"))[0]) == "denied already_registered");
}

TEST_CASE("a venue that corrects a trade again under its first id is understood, and a repeated correction books nothing",
          "[cli][inv-8]") {
    const Cli cli;
    cli.create("r", es_config(kLimits));
    const auto correct = [](const std::string& old_id, const std::string& new_id, const std::string& quantity) {
        return event("correct", "O-1",
                     R"(,"exec_id":")" + old_id + R"(","new_exec_id":")" + new_id + R"(","price":"4799","quantity":")" +
                         quantity + "\"");
    };
    const auto a =
        answers(cli, order("O-1", "10") + fill("O-1", "E1", "2") + correct("E1", "E2", "3") + correct("E1", "E2", "3") +
                         correct("E1", "E3", "5") + event("bust", "O-1", R"(,"exec_id":"E1")") +
                         event("bust", "O-1", R"(,"exec_id":"E3")") + fill("O-1", "E2", "3"));
    CHECK(text_of(a[2], "cum_quantity") == "3");
    CHECK(brief(a[3]) == "duplicate");
    CHECK(text_of(a[4], "cum_quantity") == "5");
    CHECK(brief(a[5]) == "ok");
    CHECK(text_of(a[5], "cum_quantity") == "0");
    CHECK(brief(a[6]) == "duplicate");
    CHECK(brief(a[7]) == "duplicate");
    CHECK(cli.run("verify r").code == 0);
}

TEST_CASE("a fill that came before its order was registered is not booked a second time", "[cli][inv-8]") {
    const Cli cli;
    cli.create("r", es_config(kLimits));
    const std::string early =
        event("filled", "O-1", R"(,"exec_id":"E1","price":"4799.25","quantity":"2","instrument":"ESH4","side":"buy")");
    const auto a = answers(cli, early + order("O-1", "10") + early + early);
    CHECK(brief(a[0]) == "quarantined");
    CHECK(brief(a[1]) == "accepted");
    CHECK(brief(a[2]) == "duplicate");
    CHECK(brief(a[3]) == "duplicate");
    CHECK(text_of(cli.run("exposure r --scope firm --json").lines().at(0), "position") == "2");
    CHECK(cli.run("verify r").code == 0);
}

TEST_CASE("an absurd cumulative quantity is flagged and reserves no more than the order", "[cli][inv-4]") {
    const Cli cli;
    cli.create("r", es_config(kLimits));
    const auto a = answers(cli, order("O-1", "10") + event("canceled", "O-1", R"(,"cum_quantity":"90000000000")") +
                                    event("find", "O-1") + order("O-2", "10"));
    CHECK(brief(a[1]) == "anomaly");
    CHECK(a[1].find("flags")->items.at(0).text == "gap");
    CHECK(text_of(a[2], "reserved_quantity") == "10");
    CHECK(brief(a[3]) == "accepted");
    CHECK(cli.run("verify r").code == 0);
}

TEST_CASE("an input that cannot be read is an error, not an end", "[cli][input]") {
    const Cli cli;
    cli.create("r", es_config());
    CHECK(cli.run("exec r --strategy s1 '" + cli.directory() + "'").code == 2);
    CHECK(cli.run("exec r --strategy s1 /does/not/exist").code == 2);
    CHECK(text_of(cli.run("sessions r --json").lines().at(0), "status") == "detached");
}

TEST_CASE("two operators who change different limits of one scope do not undo each other", "[cli]") {
    const Cli cli;
    cli.create("r", es_config(kLimits));
    const std::string scope = "--scope account:A1/instrument:ESH4 ";
    const std::string both =
        "limit r " + scope + "max_long=10 & '" RISKREG_BIN_DIR "/riskctl' limit r " + scope + "max_short=20; wait";
    CHECK(cli.run(both).code == 0);
    const auto row = cli.run("limits r --json " + scope).lines().at(0);
    CHECK(text_of(row, "max_long") == "10");
    CHECK(text_of(row, "max_short") == "20");
    CHECK(text_of(row, "max_order_quantity") == "50");
}

namespace {

/// Overwrites bytes of the registry's segment, as damage or another build would.
void patch_segment(const Cli& cli, std::size_t offset, std::uint32_t value) {
    const std::string path = "/dev/shm/" + text_of(cli.run("status r --json").lines().at(0), "segment");
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    REQUIRE(file.is_open());
    file.seekp(static_cast<std::streamoff>(offset));
    file.write(reinterpret_cast<const char*>(&value), sizeof value);
}

/// Every way to attach gives this code, and says `named`.
void require_refused(const Cli& cli, int code, const std::string& named) {
    for (const char* verb : {"status r", "verify r", "exec r --strategy s1", "halt r --scope firm --reason x"}) {
        const CliResult result = cli.run(verb);
        INFO(verb << ": " << result.err);
        CHECK(result.code == code);
        CHECK(result.err.find(named) != std::string::npos);
    }
}

}  // namespace

TEST_CASE("a segment of another layout, another boot or with a damaged header is refused by name", "[cli][input][inv-12]") {
    using riskreg::layout::Header;
    SECTION("layout version") {
        const Cli cli;
        cli.create("r", es_config());
        patch_segment(cli, offsetof(Header, layout_version), 99);
        require_refused(cli, 3, "layout version 99");
    }
    SECTION("boot") {
        const Cli cli;
        cli.create("r", es_config());
        patch_segment(cli, offsetof(Header, boot_id), 0);
        require_refused(cli, 4, "of another boot");
    }
    SECTION("token") {
        const Cli cli;
        cli.create("r", es_config());
        patch_segment(cli, offsetof(Header, lock_token) + 8, 1);
        require_refused(cli, 4, "another token");
    }
    SECTION("magic") {
        const Cli cli;
        cli.create("r", es_config());
        patch_segment(cli, offsetof(Header, magic), 0x12345678);
        require_refused(cli, 4, "magic");
    }
    SECTION("geometry") {
        const Cli cli;
        cli.create("r", es_config());
        patch_segment(cli, offsetof(Header, geometry) + offsetof(riskreg::layout::Geometry, orders), 1U << 30);
        require_refused(cli, 4, "damaged");
    }
}

TEST_CASE("another user's segment is refused and its owner is named", "[cli][input]") {
    if (::geteuid() != 0) {
        std::puts("SKIPPED: only root can give a segment to another user");
        return;
    }
    const Cli cli;
    cli.create("r", es_config());
    const std::string path = "/dev/shm/" + text_of(cli.run("status r --json").lines().at(0), "segment");
    REQUIRE(::chown(path.c_str(), 65534, 65534) == 0);
    require_refused(cli, 3, "belongs to user 65534");
}

TEST_CASE("a /dev/shm that is too small is an error at creation that names the size and the remedy", "[cli][input][inv-12]") {
    const Cli cli;
    static_cast<void>(cli.file("config.json", es_config()));
    const std::string inside = "mount -t tmpfs -o size=8m tmpfs /dev/shm && RISKREG_STATE_DIR='" + cli.directory() +
                               "/state' '" RISKREG_BIN_DIR "/riskctl' create r --config '" + cli.directory() +
                               "/config.json' 2> '" + cli.directory() + "/err'";
    if (std::system("unshare -m true 2>/dev/null") != 0) {
        std::puts("SKIPPED: a mount namespace of our own is not permitted here");
        return;
    }
    const int status = std::system(("unshare -m sh -c \"" + inside + "\"").c_str());
    std::ifstream file(cli.directory() + "/err");
    const std::string message{std::istreambuf_iterator<char>(file), {}};
    INFO(message);
    CHECK(WEXITSTATUS(status) == 3);
    CHECK(message.find("/dev/shm is too small") != std::string::npos);
    CHECK(message.find("MiB") != std::string::npos);
    CHECK(message.find("--shm-size") != std::string::npos);
}

TEST_CASE("a refusal in the log names its scope, and a verb that does not exist is told from one not built", "[cli]") {
    const Cli cli;
    cli.create("r", es_config(kLimits));
    answers(cli, order("O-1", "51"));
    bool seen = false;
    for (const auto& line : cli.run("events r").lines()) {
        if (text_of(line, "event") != "denied") continue;
        seen = true;
        CHECK(text_of(line, "scope") == "account:A1/instrument:ESH4");
        CHECK(text_of(line, "observed") == "51");
    }
    CHECK(seen);
    CHECK(cli.run("top r").err.find("not built") != std::string::npos);
    CHECK(cli.run("nonsense r").err.find("no verb 'nonsense'") != std::string::npos);
}
