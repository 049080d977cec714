// What somebody who must act is told: the state that orders really meet, what a halt or a limit has done, what to type next;
// a log that ends; names and places of registries.
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "riskreg/error.hpp"
#include "riskreg/registry.hpp"
#include "support/child.hpp"
#include "support/cli.hpp"
#include "support/interposed.hpp"
#include "support/temp_registry.hpp"

using namespace riskreg;
using namespace riskreg::testing;
using persist::JsonValue;

namespace {

/// Two accounts: s1 and s2 of A1, s3 of A2; `both` of both. With a journal, so that it can be rebuilt.
std::string config(const std::string& more = {}) {
    return R"({"persistence":{"mode":"async"},"require_limits":false,"allow_limit_without_reference":true,"self_match":"allow",)"
           R"("instruments":[{"id":"ES","tick":"0.25"},{"id":"NQ","tick":"0.25"}],"accounts":[{"id":"A1"},{"id":"A2"}],)"
           R"("strategies":[{"id":"s1","account":"A1"},{"id":"s2","account":"A1"},{"id":"s3","account":"A2"},)"
           R"({"id":"both","account":["A1","A2"]}])" +
           more + "}";
}

std::string order(const std::string& id, const std::string& quantity = "1", const std::string& side = "buy",
                  const std::string& more = {}) {
    return R"({"op":"register","id":")" + id + R"(","instrument":"ES","side":")" + side +
           R"(","type":"limit","tif":"day","price":"100","quantity":")" + quantity + "\"" + more + "}\n";
}

/// A registry named by this process, since its segment's name is shared by all.
std::string own_name() { return "operator-" + std::to_string(::getpid()); }

void lose_memory(const std::string& name) {
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm"))
        if (entry.path().filename().string().ends_with("." + name)) std::filesystem::remove(entry.path());
}

JsonValue row_of(const Cli& cli, const std::string& name, const std::string& scope) {
    return cli.run("exposure " + name + " --json --scope " + scope).lines().at(0);
}

std::string effective(const Cli& cli, const std::string& name, const std::string& scope) {
    const JsonValue row = row_of(cli, name, scope);
    return text_of(row, "effective_state") + " " + text_of(row, "effective_scope") + " " + text_of(row, "effective_reason");
}

std::string answer_to(const Cli& cli, const std::string& name, const std::string& strategy, const std::string& input) {
    const JsonValue answer = cli.run("exec " + name + " --strategy " + strategy, input).lines().at(0);
    return text_of(answer, "result") + " " + text_of(answer, "reason") + " " + text_of(answer, "scope");
}

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

/// A registry that was rebuilt from its files.
void rebuild(const Cli& cli, const std::string& name) {
    lose_memory(name);
    REQUIRE(cli.run("recover " + name).code == 0);
}

}  // namespace

TEST_CASE("the state that is shown of a scope is the one that its orders are refused by, and says whose it is", "[operator]") {
    const Cli cli;
    const std::string name = own_name();
    cli.create(name, config());
    SECTION("the firm is halted") {
        REQUIRE(cli.run("halt " + name + " --scope firm --reason 'fat finger'").code == 0);
        for (const char* scope :
             {"firm", "account:A1", "strategy:s1", "instrument:ES", "account:A1/instrument:ES", "strategy:both"})
            CHECK(effective(cli, name, scope) == "halted firm fat finger");
        CHECK(text_of(row_of(cli, name, "account:A1"), "state") == "active");
        CHECK(answer_to(cli, name, "s1", order("O-1")) == "denied halted firm");
    }
    SECTION("an account is, and so what sends to no other") {
        REQUIRE(cli.run("halt " + name + " --scope account:A1 --reason a1").code == 0);
        CHECK(effective(cli, name, "strategy:s1") == "halted account:A1 a1");
        CHECK(effective(cli, name, "strategy:s1/instrument:ES") == "halted account:A1 a1");
        CHECK(effective(cli, name, "strategy:both") == "active strategy:both ");
        CHECK(effective(cli, name, "strategy:s3") == "active strategy:s3 ");
        CHECK(effective(cli, name, "firm") == "active firm ");
        CHECK(answer_to(cli, name, "s2", order("O-1")) == "denied halted account:A1");
        CHECK(answer_to(cli, name, "s3", order("O-1")) == "accepted  ");
    }
    SECTION("the most severe counts, and of equals the widest") {
        REQUIRE(cli.run("halt " + name + " --scope firm --reason f --state reducing_only").code == 0);
        REQUIRE(cli.run("halt " + name + " --scope strategy:s1 --reason s --state cancel_only").code == 0);
        CHECK(effective(cli, name, "strategy:s1") == "cancel_only strategy:s1 s");
        CHECK(answer_to(cli, name, "s1", order("O-1")) == "denied cancel_only strategy:s1");
        REQUIRE(cli.run("halt " + name + " --scope firm --reason g --state cancel_only").code == 0);
        CHECK(effective(cli, name, "strategy:s1") == "cancel_only firm g");
        CHECK(answer_to(cli, name, "s1", order("O-1")) == "denied cancel_only firm");
    }
    SECTION("the firm is unreconciled: in every screen") {
        REQUIRE(answer_to(cli, name, "s1", order("O-1")) == "accepted  ");
        rebuild(cli, name);
        const std::string why = "unreconciled firm rebuilt from disk, and not compared with the venue since";
        CHECK(effective(cli, name, "account:A1") == why);
        CHECK(effective(cli, name, "firm") == why);
        CHECK(answer_to(cli, name, "s1", order("O-2")) == "denied unreconciled firm");
        for (const char* verb : {"exposure", "limits", "orders", "sessions", "status", "doctor"})
            CHECK(has(cli.run(std::string(verb) + " " + name).out, "unreconciled"));
        CHECK_FALSE(has(cli.run("exposure " + name).out, " active"));
        for (const JsonValue& session : cli.run("sessions " + name + " --json").lines())
            CHECK(text_of(session, "effective_state") == "unreconciled");
        // Halted on top of it: both are said.
        REQUIRE(cli.run("halt " + name + " --scope firm --reason x").code == 0);
        CHECK(effective(cli, name, "account:A1") == "halted firm x");
        CHECK(has(cli.run("status " + name).out, "firm is halted, unreconciled: x"));
    }
}

TEST_CASE("a resume that does not release says what does, in a line to paste", "[operator]") {
    const Cli cli;
    const std::string name = own_name(), place = " --state-dir " + cli.directory() + "/state";
    cli.create(name, config());
    REQUIRE(answer_to(cli, name, "s1", order("O-1")) == "accepted  ");
    const auto refused = [&](const std::string& options) {
        const CliResult result = cli.run("resume " + name + place + " --reason x " + options);
        CHECK(result.code == 1);
        return result.err;
    };
    CHECK(has(refused("--scope account:A1"), "nothing to resume"));
    rebuild(cli, name);
    for (const char* scope : {"firm", "account:A1", "strategy:s1"}) {
        const std::string said = refused(std::string("--scope ") + scope);
        INFO(said);
        CHECK(has(said, "unreconciled"));
        CHECK(has(said, "riskctl reconcile " + name + " FILE" + place));
        CHECK(has(said, "riskctl resume " + name + " --unreconciled --reason T" + place));
    }
    const JsonValue machine = cli.run("resume " + name + " --scope firm --reason x --json").lines().at(0);
    CHECK(text_of(machine, "reason") == "not_allowed");
    CHECK(text_of(machine, "effective_state") == "unreconciled");
    // Released itself, and stopped by another: that is said, too.
    REQUIRE(cli.run("halt " + name + " --scope strategy:s1 --reason x").code == 0);
    const CliResult half = cli.run("resume " + name + " --scope strategy:s1 --reason x");
    CHECK(half.code == 0);
    CHECK(has(half.out, "still stopped: unreconciled, by firm"));
    REQUIRE(cli.run("resume " + name + " --unreconciled --reason compared").code == 0);
    REQUIRE(cli.run("halt " + name + " --scope firm --reason x").code == 0);
    CHECK(has(refused("--scope strategy:s1"), "riskctl resume " + name + " --scope firm --reason T" + place));
}

TEST_CASE("a halt says how many orders are to be cancelled and how to list them, and the second one who was first",
          "[operator]") {
    const Cli cli;
    const std::string name = own_name(), place = " --state-dir " + cli.directory() + "/state";
    cli.create(name, config());
    REQUIRE(cli.run("exec " + name + " --strategy s1", order("O-1") + order("O-2") + order("O-3")).code == 0);
    REQUIRE(cli.run("exec " + name + " --strategy s3", order("X-1")).code == 0);
    const CliResult first = cli.run("halt " + name + place + " --scope account:A1 --reason 'the first'");
    INFO(first.out);
    REQUIRE(first.code == 0);
    CHECK(has(first.out, "orders to cancel at the venue now: 3"));
    const std::string list = "orders " + name + " --kill-list --scope account:A1" + place;
    REQUIRE(has(first.out, "riskctl " + list + "\n"));
    CHECK(cli.run(list + " --json").lines().size() == 3);
    const CliResult second = cli.run("halt " + name + " --scope account:A1 --reason 'the second'");
    INFO(second.out);
    REQUIRE(second.code == 0);
    CHECK(has(second.out, "was halted since "));
    CHECK(has(second.out, "because: the first"));
    const JsonValue row = row_of(cli, name, "account:A1");
    CHECK(text_of(row, "state_reason") == "the first");
    const auto events = cli.run("events " + name + " --type state_changed").lines();
    REQUIRE(events.size() == 2);
    CHECK(text_of(events[0], "again").empty());
    CHECK(text_of(events[1], "reason") == "the second");
    CHECK(text_of(events[1], "again") == "true");
    const JsonValue machine = cli.run("halt " + name + " --scope account:A1 --reason third --json").lines().at(0);
    CHECK(text_of(machine, "already") == "true");
    CHECK(text_of(machine, "since_reason") == "the first");
    CHECK(text_of(machine, "to_cancel") == "3");
    CHECK(text_of(machine, "since") == text_of(row, "state_changed"));
    // Reducing only cancels nothing.
    CHECK(has(cli.run("halt " + name + " --scope account:A2 --reason x --state reducing_only").out,
              "live orders, which stay: 1"));
    CHECK(has(cli.run("halt " + name + " --scope account:A1 --reason x --state cancel_only").err, "never lowers a state"));
}

TEST_CASE("who halted first is found after a roll and a rebuild, too", "[operator]") {
    const Cli cli;
    const std::string name = own_name();
    cli.create(name, config());
    for (const char* reason : {"first", "second"})
        REQUIRE(cli.run("halt " + name + " --scope strategy:s1 --reason " + reason).code == 0);
    REQUIRE(cli.run("roll " + name).code == 0);
    REQUIRE(cli.run("halt " + name + " --scope strategy:s1 --reason third").code == 0);
    CHECK(text_of(row_of(cli, name, "strategy:s1"), "state_reason") == "first");
    rebuild(cli, name);
    CHECK(text_of(row_of(cli, name, "strategy:s1"), "state_reason") == "first");
    CHECK(cli.run("verify " + name).code == 0);
}

TEST_CASE("doctor names for every state what is refused now and the line that ends it", "[operator]") {
    const Cli cli;
    const std::string name = own_name(), place = " --state-dir " + cli.directory() + "/state";
    cli.create(name, config());
    const auto says = [&](const std::string& check) {
        std::string text;
        for (const JsonValue& finding : cli.run("doctor " + name + place + " --json").lines())
            if (text_of(finding, "check") == check)
                text += text_of(finding, "seen") + " | " + text_of(finding, "remedy") + "\n";
        return text;
    };
    const auto resume = [&](const std::string& scope) {
        return "riskctl resume " + name + " --scope " + scope + " --reason T" + place;
    };
    CHECK(says("trading state").empty());
    CHECK(says("kill list").empty());
    CHECK(has(says("session"), "not attached: s1, s2, s3, both"));
    CHECK(has(says("session"), "riskctl exec " + name + " --strategy s1" + place));
    CHECK(has(says("snapshotter"), "riskd " + name + place));
    REQUIRE(cli.run("exec " + name + " --strategy s1", order("O-1", "10")).code == 0);
    REQUIRE(cli.run("limit " + name + " --scope account:A1 max_long=10 max_short=0 max_working_orders=5").code == 0);
    CHECK(has(says("limit"), "account:A1 max_long: 10 of 10 used: what increases it is refused"));
    CHECK(has(says("limit"), "riskctl limit " + name + " --scope account:A1 --reason T max_long=N" + place));
    CHECK_FALSE(has(says("limit"), "max_short"));
    CHECK_FALSE(has(says("limit"), "max_working_orders"));
    struct {
        const char *state, *scope, *refused;
    } const cases[] = {{"reducing_only", "instrument:NQ", "orders that increase are refused"},
                       {"cancel_only", "strategy:both", "every order is refused"},
                       {"halted", "account:A1", "every order and amend is refused"}};
    for (const auto& c : cases) {
        REQUIRE(cli.run("halt " + name + " --scope " + c.scope + " --reason why --state " + c.state).code == 0);
        const std::string said = says("trading state");
        INFO(said);
        CHECK(has(said, std::string(c.scope) + " is " + c.state + " since "));
        CHECK(has(said, c.refused));
        CHECK(has(said, resume(c.scope)));
    }
    CHECK(has(says("kill list"), "1 live orders are to be cancelled"));
    CHECK(has(says("kill list"), "riskctl orders " + name + " --kill-list" + place));
    rebuild(cli, name);
    CHECK(has(says("trading state"), "firm is unreconciled"));
    CHECK(has(says("trading state"), "riskctl resume " + name + " --unreconciled --reason T" + place));
    CHECK(has(says("trading state"), "riskctl reconcile " + name + " FILE" + place));
}

TEST_CASE("doctor names strategies that died and the orders that nobody follows any more", "[operator]") {
    const Cli cli;
    const std::string name = own_name(), place = " --state-dir " + cli.directory() + "/state";
    cli.create(name, config());
    {
        test::Process dying("riskctl", {"exec", name, "--strategy", "s1", "--state-dir", cli.directory() + "/state"},
                            cli.directory() + "/dying");
        dying.write(order("O-1"));
        REQUIRE(dying.read_line(std::chrono::seconds(60)));
        dying.send(SIGKILL);
        REQUIRE(dying.wait(std::chrono::seconds(60)));
    }
    const std::string said = cli.run("doctor " + name + place).out;
    INFO(said);
    CHECK(has(said, "strategy s1, pid "));
    CHECK(has(said, "died"));
    CHECK(has(said, "1 live orders of s1, whose process died"));
    CHECK(has(said, "riskctl orders " + name + " --live --strategy s1" + place));
    CHECK(has(said, "riskctl orders " + name + " --kill-list" + place));
    CHECK(has(said, "riskctl exec " + name + " --strategy s1" + place));
}

TEST_CASE("a limit says old and new value and the use, and warns when it is below that", "[operator]") {
    const Cli cli;
    const std::string name = own_name();
    cli.create(name, config());
    REQUIRE(cli.run("exec " + name + " --strategy s1", order("O-1", "30")).code == 0);
    CHECK(has(cli.run("limit " + name + " --scope account:A1 max_long=60 daily_loss=1000").out, "max_long unset -> 60"));
    const CliResult below = cli.run("limit " + name + " --scope account:A1 max_long=1 daily_loss=500");
    INFO(below.out << below.err);
    CHECK(below.code == 0);
    CHECK(has(below.out, "max_long 60 -> 1, used 30, headroom -29 (quantity)"));
    CHECK(has(below.out, "daily_loss 1000 -> 500, used 0"));
    CHECK(has(below.err, "max_long=1 is below its use of 30, headroom -29: orders that increase are refused until"));
    CHECK_FALSE(has(below.err, "daily_loss"));
    const JsonValue machine =
        cli.run("limit " + name + " --scope account:A1 max_long=2 max_working_orders=7 --json").lines().at(0);
    REQUIRE(machine.find("changes") != nullptr);
    const JsonValue& change = machine.find("changes")->items.at(0);
    CHECK(text_of(change, "before") == "1");
    CHECK(text_of(change, "after") == "2");
    CHECK(text_of(change, "used") == "30");
    CHECK(text_of(change, "below_use") == "true");
    CHECK(machine.find("changes")->items.at(1).find("used_count")->is(JsonValue::Kind::number));
    // The log tells the same, and who it was.
    const auto events = cli.run("events " + name + " --type limits_changed,risk_limits_changed").lines();
    REQUIRE(events.size() == 5);
    CHECK(events[0].find("before")->find("max_long")->is(JsonValue::Kind::null));
    CHECK(text_of(*events[2].find("before"), "max_long") == "60");
    CHECK(text_of(*events[3].find("before"), "daily_loss") == "1000");
    CHECK(events[2].find("before")->members.size() == 1);
    CHECK(text_of(events[2], "reason") == "no reason given by uid " + std::to_string(::getuid()));
    REQUIRE(cli.run("restrict " + name + " --scope instrument:NQ").code == 0);
    CHECK(text_of(cli.run("restricted " + name + " --json").lines().at(0), "reason") ==
          "no reason given by uid " + std::to_string(::getuid()));
    // Many scopes at once, from a file.
    const std::string file =
        cli.file("day.json", R"({"limits":[{"scope":"account:A1","max_long":"5"},{"scope":"firm","max_long":"9"}]})");
    const CliResult load = cli.run("load " + name + " '" + file + "'");
    CHECK(has(load.out, "max_long 2 -> 5"));
    CHECK(has(load.err, "account:A1: max_long=5 is below its use of 30"));
    CHECK(has(load.err, "firm: max_long=9 is below its use of 30"));
}

TEST_CASE("a limit of loss that is reached already says what follows", "[operator]") {
    const Cli cli;
    const std::string name = own_name();
    cli.create(name, config());
    const auto fill = [](const std::string& id, const std::string& price) {
        return R"({"op":"filled","id":")" + id + R"(","exec_id":"E)" + id + R"(","price":")" + price +
               "\",\"quantity\":\"1\"}\n";
    };
    REQUIRE(cli.run("exec " + name + " --strategy s1",
                    order("O-1") + fill("O-1", "100") + order("O-2", "1", "sell") + fill("O-2", "90"))
                .code == 0);
    CHECK_FALSE(has(cli.run("limit " + name + " --scope account:A1 daily_loss=11").err, "warning"));
    const CliResult reached = cli.run("limit " + name + " --scope account:A1 daily_loss=10");
    INFO(reached.out << reached.err);
    CHECK(has(reached.out, "daily_loss 11 -> 10, used 10, headroom 0 (money)"));
    CHECK(has(reached.err, "daily_loss=10 is reached by its use of 10"));
}

TEST_CASE("the C++ call tells what a limit was and how much of it is used", "[operator]") {
    const test::TempRegistry place;
    Registry strategy = place.attach("s1");
    OrderRequest request;
    request.id = "O";
    request.account = strategy.account("A1");
    request.instrument = strategy.instrument("ES");
    request.side = Side::buy;
    request.price = Price{100'000'000'000};
    request.quantity = Quantity{3'00000000};
    REQUIRE(strategy.check_and_register(request).accepted());
    Registry person = place.attach();
    Scope scope;
    scope.kind = ScopeKind::account;
    scope.account = person.account("A1");
    const LimitValue before = person.exposure(scope).limits.max_long;
    Limits limits;
    limits.max_long = {LimitValue::Kind::value, 2'00000000};
    LimitsChange change;
    REQUIRE(person.set_limits(scope, limits, "x", 1U << 2, change).result == Result::ok);
    CHECK(change.before.max_long == before);
    CHECK(change.after.max_long == limits.max_long);
    REQUIRE(change.uses.size() == 1);
    CHECK(change.uses[0].name == "max_long");
    CHECK(change.uses[0].used == 3'00000000);
    CHECK(person.exposure(scope).effective_state == "active");
}

TEST_CASE("counts are numbers beside their text, wherever both are written", "[operator]") {
    const Cli cli;
    const std::string name = own_name();
    cli.create(name, config());
    REQUIRE(cli.run("limit " + name + " --scope account:A1 max_working_orders=1 max_long=5").code == 0);
    const auto answers = cli.run("exec " + name + " --strategy s1", order("O-1") + order("O-2") + order("O-3", "9")).lines();
    CHECK(text_of(answers.at(1), "reason") == "max_working_orders");
    CHECK(text_of(answers.at(1), "observed") == "2");
    CHECK(answers.at(1).find("observed_count")->is(JsonValue::Kind::number));
    CHECK(answers.at(1).find("limit_count")->is(JsonValue::Kind::number));
    const JsonValue row = row_of(cli, name, "account:A1");
    const JsonValue& use = *row.find("utilisation")->find("max_working_orders");
    for (const char* key : {"used", "headroom", "value"}) {
        CHECK(use.find(key)->is(JsonValue::Kind::string));
        REQUIRE(use.find(std::string(key) + "_count") != nullptr);
        CHECK(use.find(std::string(key) + "_count")->text == use.find(key)->text);
    }
    CHECK(row.find("utilisation")->find("max_long")->find("used_count") == nullptr);
    const JsonValue denied = cli.run("events " + name + " --type denied").lines().at(0);
    CHECK(denied.find("observed_count")->is(JsonValue::Kind::number));
}

namespace {

/// `riskctl events --follow`, and what it said.
struct Following {
    explicit Following(const Cli& cli, const std::string& name)
        : errors(cli.directory() + "/follow.err"),
          process("riskctl", {"events", name, "--follow", "--state-dir", cli.directory() + "/state"}, errors) {}
    /// The next event; fails when none comes.
    JsonValue next() {
        const auto line = process.read_line(std::chrono::seconds(60));
        INFO(test::slurp(errors));
        REQUIRE(line);
        return persist::parse_json(*line, 1U << 20).value;
    }
    /// Reads on until an event of this type.
    JsonValue next(const std::string& type) {
        for (;;)
            if (JsonValue event = next(); text_of(event, "event") == type) return event;
    }
    int code() {
        while (process.read_line(std::chrono::seconds(60))) {
        }
        const auto status = process.wait(std::chrono::seconds(60));
        REQUIRE(status);
        return WEXITSTATUS(*status);
    }
    std::string errors;
    test::Process process;
};

}  // namespace

TEST_CASE(
    "who follows the log learns that the registry was destroyed, poisoned or made anew, and goes on when it was rebuilt or "
    "rolled",
    "[operator]") {
    const Cli cli;
    const std::string name = own_name();
    cli.create(name, config());
    REQUIRE(cli.run("halt " + name + " --scope strategy:s1 --reason before").code == 0);
    Following follow(cli, name);
    CHECK(text_of(follow.next("state_changed"), "reason") == "before");
    SECTION("destroyed") {
        REQUIRE(cli.run("destroy " + name + " --yes").code == 0);
        CHECK(follow.code() == 3);
        CHECK(has(test::slurp(follow.errors), "was destroyed"));
    }
    SECTION("destroyed and made anew") {
        follow.process.send(SIGSTOP);
        REQUIRE(cli.run("destroy " + name + " --yes").code == 0);
        cli.create(name, config());
        follow.process.send(SIGCONT);
        CHECK(follow.code() == 3);
        CHECK(has(test::slurp(follow.errors), "was destroyed"));
    }
    SECTION("rebuilt from its files, while it looked and while it did not") {
        REQUIRE(cli.run("recover " + name + " --from-disk").code == 0);
        REQUIRE(cli.run("halt " + name + " --scope strategy:s1 --reason behind").code == 0);
        CHECK(text_of(follow.next("recovered"), "event") == "recovered");
        CHECK(text_of(follow.next("state_changed"), "reason") == "behind");
        CHECK(has(test::slurp(follow.errors), "was rebuilt"));
        follow.process.send(SIGTERM);
        CHECK(follow.code() == 0);
    }
    SECTION("rolled") {
        REQUIRE(cli.run("roll " + name).code == 0);
        REQUIRE(cli.run("halt " + name + " --scope strategy:s1 --reason behind").code == 0);
        CHECK(text_of(follow.next("rolled"), "event") == "rolled");
        CHECK(text_of(follow.next("state_changed"), "reason") == "behind");
        follow.process.send(SIGTERM);
        CHECK(follow.code() == 0);
    }
}

TEST_CASE("a reader learns how what it looks at has ended", "[operator]") {
    const test::TempRegistry place;
    const Reader reader = place.look();
    const EventReader events(reader);
    CHECK(reader.ended() == ReaderEnd::none);
    SECTION("rolled") {
        Registry person = place.attach();
        REQUIRE(person.roll("x").result == Result::ok);
        CHECK(reader.ended() == ReaderEnd::rolled);
        CHECK(place.look().epoch() == reader.epoch());
    }
    SECTION("destroyed") {
        Registry::destroy(place.name(), place.state_dir(), false, true);
        CHECK(events.ended() == ReaderEnd::destroyed);
    }
    SECTION("poisoned, and who follows it ends with a word") {
        test::Process follow("riskctl", {"events", place.name(), "--follow", "--state-dir", place.state_dir()},
                             place.state_dir() + "/follow.err");
        Registry person = place.attach();
        Scope firm;
        firm.kind = ScopeKind::firm;
        REQUIRE(person.halt(firm, TradingState::halted, "x").result == Result::ok);
        while (has(follow.read_line(std::chrono::seconds(60)).value(), "state_changed") == false) {
        }
        test::LiveSegment live(place, segment::Access::read_write);
        layout::store_release(live.state().header->state, static_cast<std::uint64_t>(layout::SegmentState::poisoned));
        CHECK(reader.ended() == ReaderEnd::poisoned);
        const auto status = follow.wait(std::chrono::seconds(60));
        REQUIRE(status);
        CHECK(WEXITSTATUS(*status) == 4);
        CHECK(has(test::slurp(place.state_dir() + "/follow.err"), "is poisoned behind event"));
    }
    SECTION("removed behind everybody's back") {
        std::filesystem::remove("/dev/shm/" + reader.status().segment);
        CHECK(reader.ended() == ReaderEnd::replaced);
        CHECK(name_of(reader.ended()) == "replaced");
    }
}

TEST_CASE("a byte order mark before a configuration, commands, a venue's file and an order flow is skipped", "[operator]") {
    const std::string mark = "\xEF\xBB\xBF";
    const Cli cli;
    const std::string name = own_name();
    cli.create(name, mark + config());
    CHECK(cli.run("replay " + name + " --into-live '" +
                  cli.file("flow.csv", mark + "ts_ns,action,side,order_id,price,size\n1,A,buy,1,100,1\n") + "'")
              .code == 0);
    CHECK(answer_to(cli, name, "s1", mark + order("O-1")) == "accepted  ");
    const std::string positions = R"({"positions":[{"account":"A1","instrument":"NQ","quantity":"3","price":"100"}]})";
    CHECK(cli.run("load " + name + " '" + cli.file("load.json", mark + positions) + "'").code == 0);
    CHECK(cli.run("load " + name + " -", mark + positions).code == 0);
    const std::string venue =
        R"({"time":"2024-01-01T00:00:00Z","positions":[{"account":"A1","instrument":"NQ","quantity":"3"}]})";
    CHECK(cli.run("reconcile " + name + " '" + cli.file("venue.json", mark + venue) + "'").code == 0);
    const std::string csv = "record,time,account,instrument,quantity\ntime,2024-01-01T00:00:00Z,,,\nposition,,A1,NQ,3\n";
    CHECK(cli.run("reconcile " + name + " '" + cli.file("venue.csv", mark + csv) + "'").code == 0);
    // Only where a text begins.
    CHECK(cli.run("exec " + name + " --strategy s1", order("O-2") + mark + order("O-3")).lines().at(1).find("reason")->text ==
          "invalid_json");
}

TEST_CASE("a new registry has a name that is one everywhere, and one that is there already goes on", "[operator]") {
    const Cli cli;
    const std::string file = cli.file("config.json", config());
    const auto create = [&](const std::string& name) { return cli.run("create --config '" + file + "' -- '" + name + "'"); };
    for (const char* name :
         {"...", "-x", "x-", "_x", "x.", ".x", "con", "CON", "Aux", "nul", "PRN", "com1", "Com9", "LPT1", "a b", ""}) {
        INFO(name);
        CHECK(create(name).code == 2);
        CHECK_FALSE(std::filesystem::exists(cli.directory() + "/state/" + std::string(name) + "/LOCK"));
    }
    const std::string name = own_name();
    for (const char* plain : {"con1", "com", "com10", "lpt0", "x.y_z-1"}) CHECK(create(name + plain).code == 0);
    REQUIRE(create(name + "Desk").code == 0);
    const CliResult other_case = create(name + "dESK");
    CHECK(other_case.code == 2);
    CHECK(has(other_case.err, "differs in case only"));
    // One that a build of before made is used as ever: here it was renamed, so it is a copy.
    const std::string state = cli.directory() + "/state/";
    std::filesystem::rename(state + name + "Desk", state + "_" + name);
    lose_memory(name + "Desk");
    CHECK(cli.run("recover --new-token -- _" + name).code == 0);
    CHECK(cli.run("halt --scope firm --reason x -- _" + name).code == 0);
    CHECK(cli.run("destroy --yes -- _" + name).code == 0);
}

TEST_CASE("a symbolic link in the place of a registry's directory is refused by every verb", "[operator]") {
    const Cli cli;
    const std::string name = own_name(), state = cli.directory() + "/state/";
    cli.create(name, config());
    std::filesystem::create_directory_symlink(state + name, state + name + "link");
    for (const char* verb : {"status", "verify", "recover", "destroy --yes", "doctor", "halt --scope firm --reason x"}) {
        const CliResult result = cli.run(std::string(verb) + " " + name + "link");
        INFO(verb << ": " << result.err << result.out);
        CHECK(result.code == 3);
        CHECK(has(result.err + result.out, "is a symbolic link"));
    }
    const CliResult create = cli.run("create " + name + "link --config '" + cli.file("config.json", config()) + "'");
    CHECK(create.code == 3);
    CHECK(has(create.err, "is a symbolic link"));
    CHECK(cli.run("status " + name).code == 0);
}

TEST_CASE("on a network file system a registry is made only on the operator's word, and doctor says so", "[operator]") {
    const Cli cli;
    const std::string real = cli.directory() + "/real", mounted = cli.directory() + "/mounted", name = own_name();
    for (const std::string& path : {real, mounted}) std::filesystem::create_directory(path), ::chmod(path.c_str(), 0700);
    const auto mount = [&](const std::string& kind) {
        return std::system(("bindfs -o subtype=" + kind + " '" + real + "' '" + mounted + "' 2>/dev/null").c_str()) == 0;
    };
    if (!mount("sshfs")) {
        std::puts("SKIPPED: no FUSE file system can be mounted here (bindfs)");
        return;
    }
    struct Unmount {
        std::string path;
        ~Unmount() { static_cast<void>(std::system(("umount '" + path + "'").c_str())); }
    };
    const std::string create =
        "create " + name + " --config '" + cli.file("config.json", config()) + "' --state-dir '" + mounted + "'";
    {
        const Unmount unmount{mounted};
        const CliResult refused = cli.run(create);
        CHECK(refused.code == 2);
        CHECK(has(refused.err, "fuse.sshfs"));
        CHECK(has(refused.err, "--network-fs"));
        CHECK(std::filesystem::is_empty(real));
        // Below what is there, the same.
        CHECK(
            cli.run("create " + name + " --config '" + cli.directory() + "/config.json' --state-dir '" + mounted + "/deep/er'")
                .code == 2);
        CHECK(cli.run(create + " --network-fs").code == 0);
        CHECK(
            has(cli.run("doctor " + name + " --state-dir '" + mounted + "'").out, "is on a network file system (fuse.sshfs)"));
        CHECK(cli.run("destroy " + name + " --yes --state-dir '" + mounted + "'").code == 0);
    }
    // What is behind it counts, not that it is FUSE.
    REQUIRE(mount("bindfs"));
    const Unmount unmount{mounted};
    CHECK(cli.run(create).code == 0);
    CHECK_FALSE(has(cli.run("doctor " + name + " --state-dir '" + mounted + "'").out, "network file system"));
    CHECK(cli.run("destroy " + name + " --yes --state-dir '" + mounted + "'").code == 0);
}
