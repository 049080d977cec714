// One trading day through the programs themselves, as desk, operator, second person and venue live it: every answer is compared,
// every total at the end is computed by hand. Nothing here is in process with the library but the clean-up.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/child.hpp"
#include "support/cli.hpp"

namespace {

using namespace riskreg::testing;
using riskreg::persist::JsonValue;
using riskreg::test::Child;
using riskreg::test::wait_until;
using Texts = std::vector<std::string>;

// ---- programs --------------------------------------------------------------------------------------------------------

/// Becomes a program of this build. `arguments` are its own, without its name.
[[noreturn]] void become(const std::string& program, Texts arguments) {
    const std::string path = std::string(RISKREG_BIN_DIR "/") + program;
    arguments.insert(arguments.begin(), path);
    std::vector<char*> pointers;
    for (std::string& argument : arguments) pointers.push_back(argument.data());
    pointers.push_back(nullptr);
    ::execv(path.c_str(), pointers.data());
    ::_exit(97);
}

void redirect(const std::string& path, int descriptor) {
    const int file = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0 || ::dup2(file, descriptor) < 0) ::_exit(96);
}

/// Both ends of a pipe; nobody but who is given one by `dup2` inherits it.
struct Pipe {
    std::array<int, 2> ends{-1, -1};
    Pipe() { REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0); }
    ~Pipe() {
        for (const int end : ends)
            if (end >= 0) ::close(end);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    void close(std::size_t end) {
        ::close(ends[end]);
        ends[end] = -1;
    }
};

/// A strategy's process: `riskctl exec`, which is told a line and answers it.
class Session {
public:
    Session(const Cli& cli, const std::string& name, const std::string& strategy, const Texts& options = {})
        : child_([&] {
              if (::dup2(in_.ends[0], STDIN_FILENO) < 0 || ::dup2(out_.ends[1], STDOUT_FILENO) < 0) ::_exit(96);
              redirect(cli.directory() + "/stderr-" + strategy, STDERR_FILENO);
              Texts arguments{"exec", name, "--strategy", strategy, "--state-dir", cli.directory() + "/state"};
              arguments.insert(arguments.end(), options.begin(), options.end());
              become("riskctl", arguments);
          }) {
        in_.close(0);
        out_.close(1);
    }

    void tell(const std::string& lines) {
        const std::string text = lines + "\n";
        REQUIRE(::write(in_.ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    /// The next answer, in brief. Fails when none comes.
    std::string hear() {
        pollfd wanted{out_.ends[0], POLLIN, 0};
        std::size_t end = std::string::npos;
        while ((end = heard_.find('\n')) == std::string::npos) {
            std::array<char, 4096> buffer{};
            REQUIRE(::poll(&wanted, 1, 60'000) == 1);
            const ssize_t size = ::read(out_.ends[0], buffer.data(), buffer.size());
            REQUIRE(size > 0);
            heard_.append(buffer.data(), static_cast<std::size_t>(size));
        }
        CliResult line;
        line.out = heard_.substr(0, end);
        heard_.erase(0, end + 1);
        return brief(line.lines().at(0));
    }
    std::string ask(const std::string& line) {
        tell(line);
        return hear();
    }
    void kill() { child_.kill_and_reap(); }
    /// The end of its input: a clean detach.
    void finish() {
        in_.close(1);
        CHECK(child_.wait().left_with(0));
    }
    [[nodiscard]] std::string pid() const { return std::to_string(child_.pid()); }

    /// Result, reason, scope, numbers, what is left of the order, flags: everything but line and sequence numbers.
    static std::string brief(const JsonValue& answer) {
        std::string text = text_of(answer, "result");
        const auto add = [&](const std::string& before, const std::string& key) {
            if (answer.find(key) != nullptr) text += before + text_of(answer, key);
        };
        add(" ", "reason");
        add(" on ", "scope");
        add(": ", "observed");
        add(" of ", "limit");
        add(" ", "unit");
        add(" ", "status");
        add(" ", "cum_quantity");
        add("+", "leaves_quantity");
        const JsonValue* flags = answer.find("flags");
        for (std::size_t i = 0; flags != nullptr && i < flags->items.size(); ++i) text += " " + flags->items[i].text;
        return text;
    }

private:
    Pipe in_, out_;
    std::string heard_;
    Child child_;
};

// ---- what is said to them --------------------------------------------------------------------------------------------

std::string order(const std::string& id, const std::string& instrument, const std::string& side, const std::string& quantity,
                  const std::string& price) {
    return R"({"op":"register","id":")" + id + R"(","instrument":")" + instrument + R"(","side":")" + side +
           R"(","type":"limit","tif":"day","quantity":")" + quantity + R"(","price":")" + price + "\"}";
}

std::string on(const std::string& id, const std::string& op, const std::string& more = {}) {
    return R"({"op":")" + op + R"(","id":")" + id + "\"" + more + "}";
}

std::string fill(const std::string& id, const std::string& exec_id, const std::string& quantity, const std::string& price) {
    return on(id, "filled", R"(,"exec_id":")" + exec_id + R"(","quantity":")" + quantity + R"(","price":")" + price + "\"");
}

// ---- the registry of the day -----------------------------------------------------------------------------------------

constexpr uid_t kSecondPerson = 1001;

/// Windows of an hour where they are to be met, of a millisecond where they are not: nothing depends on how fast this runs.
const std::string kConfig = R"({
  "capacity": {"orders": 1024, "executions": 1024, "ring_events": 1024, "sessions": 16},
  "persistence": {"mode": "async"},
  "four_eyes": true, "self_match": "refuse_new", "on_loss": "reducing_only", "reserve_price": "limit",
  "allow_limit_without_reference": true, "mark_interval_ms": 0,
  "restricted": [{"scope": "instrument:CL", "sides": "buy", "reason": "embargo"}],
  "instruments": [{"id": "ES", "tick": "0.25", "multiplier": "50", "reference_max_age_ms": 3600000},
                  {"id": "NQ", "tick": "0.25", "multiplier": "20", "reference_max_age_ms": 3600000},
                  {"id": "CL", "tick": "0.01", "multiplier": "1000"}],
  "accounts": [{"id": "A1"}, {"id": "A2"}],
  "strategies": [{"id": "maker", "account": "A1", "on_death": "halt_strategy"},
                 {"id": "taker", "account": "A1", "on_death": "halt_strategy"},
                 {"id": "hedge", "account": "A2", "on_death": "halt_strategy"}],
  "limits": [
    {"scope": "firm", "max_order_quantity": "50", "max_order_notional": "20000000", "max_long": "1000", "max_short": "1000",
     "max_open_notional": "900000000", "max_gross_notional": "900000000", "max_net_notional": "900000000",
     "max_working_orders": 500, "max_traded_notional": "900000000", "daily_loss": "900000", "drawdown": "900000",
     "max_messages": 1000, "max_all_messages": 2000, "cancel_headroom": "0.2", "window_ms": 1},
    {"scope": "account:A1", "cash_limit": "90000000", "max_working_buy": 100, "max_working_sell": 100},
    {"scope": "account:A2", "daily_loss": "8000"},
    {"scope": "strategy:taker", "max_same_content": 2, "content_window_ms": 3600000},
    {"scope": "strategy:hedge", "max_messages": 3, "window_ms": 3600000},
    {"scope": "strategy:maker/instrument:ES", "max_same_direction": 100, "max_rejects": 100, "window_ms": 1}]})";

const std::string kStart = R"({
  "limits": [{"scope": "account:A1/instrument:ES", "max_long": "20"}],
  "restricted": [{"scope": "account:A2/instrument:ES", "sides": "both", "reason": "not its business"}],
  "positions": [{"account": "A1", "instrument": "ES", "strategy": "maker", "quantity": "10", "price": "4800"},
                {"account": "A2", "instrument": "NQ", "strategy": "hedge", "quantity": "4", "price": "18000"}],
  "orders": [{"id": "G-1", "account": "A2", "strategy": "hedge", "instrument": "NQ", "side": "buy", "type": "limit",
              "tif": "gtc", "price": "17000", "quantity": "2", "venue_id": "V-G1"}]})";

class Day : public Cli {
public:
    Day() : name("day-" + std::to_string(::getpid())) { create(name, kConfig); }

    std::unique_ptr<Session> maker, taker, hedge;
    std::unique_ptr<Child> riskd;
    const std::string name;

    [[nodiscard]] std::unique_ptr<Session> session(const std::string& strategy, const Texts& options = {}) const {
        return std::make_unique<Session>(*this, name, strategy, options);
    }
    void start_riskd() {
        riskd = std::make_unique<Child>([&] {
            redirect(directory() + "/riskd", STDERR_FILENO);
            become("riskd", {name, "--quiet", "--state-dir", directory() + "/state"});
        });
        wait_until([&] {
            const JsonValue now = status();
            const JsonValue& host = *now.find("snapshotter");
            return text_of(host, "state") == "running" && text_of(host, "pid") == std::to_string(riskd->pid());
        });
    }
    /// `riskctl VERB NAME OPTIONS`.
    [[nodiscard]] CliResult ctl(const std::string& verb, const std::string& options = {}) const {
        return run(verb + " " + name + " " + options);
    }
    [[nodiscard]] std::vector<JsonValue> lines(const std::string& verb, const std::string& options = {}) const {
        const CliResult result = ctl(verb, options);
        INFO(verb << " " << options << ": " << result.err);
        REQUIRE(result.code == 0);
        return result.lines();
    }
    [[nodiscard]] JsonValue status() const { return lines("status", "--json").at(0); }
    [[nodiscard]] JsonValue row(const std::string& scope) const { return lines("exposure", "--json --scope " + scope).at(0); }
    [[nodiscard]] std::string state_of(const std::string& scope) const { return text_of(row(scope), "state"); }
    /// Members of a row in this order, separated by spaces.
    [[nodiscard]] std::string row(const std::string& scope, const Texts& keys) const {
        const JsonValue object = row(scope);
        std::string text;
        for (const std::string& key : keys) text += (text.empty() ? "" : " ") + text_of(object, key);
        return text;
    }
    [[nodiscard]] Texts order_ids(const std::string& options) const {
        Texts ids;
        for (const JsonValue& line : lines("orders", "--json " + options)) ids.push_back(text_of(line, "id"));
        return ids;
    }
    /// `status price total cum reserved`, and the flags.
    [[nodiscard]] std::string order_now(const std::string& account, const std::string& id) const {
        const JsonValue o = lines("order", id + " --json --account " + account).at(0);
        std::string text = text_of(o, "status") + " " + text_of(o, "price") + " " + text_of(o, "quantity") + " " +
                           text_of(o, "cum_quantity") + " " + text_of(o, "reserved_quantity");
        for (const JsonValue& flag : o.find("flags")->items) text += " " + flag.text;
        return text;
    }
    [[nodiscard]] Texts alerts() const {
        Texts all;
        for (const JsonValue& a : lines("events", "--type alert"))
            all.push_back(text_of(a, "scope") + " " + text_of(a, "limit_name") + " " + text_of(a, "previous_level") + " to " +
                          text_of(a, "level") + ": " + text_of(a, "observed") + " of " + text_of(a, "limit"));
        return all;
    }
    [[nodiscard]] Texts alarm_lines(const std::string& part) const {
        std::ifstream log(directory() + "/state/" + name + "/riskreg.log");
        Texts found;
        for (std::string line; std::getline(log, line);)
            if (line.find(part) != std::string::npos) found.push_back(line.substr(line.find(part)));
        return found;
    }
    /// The verdict on an approval by the user who runs this test, or by the second person.
    [[nodiscard]] std::string approve(const std::string& request) const {
        const CliResult result = ctl("approve", request + " --json");
        return std::to_string(result.code) + " " + Session::brief(result.lines().at(0));
    }
    [[nodiscard]] std::string approve_as_second(const std::string& request) const {
        const std::string answer = directory() + "/second";
        Child second([&] {
            redirect(answer, STDOUT_FILENO);
            redirect(answer + "-stderr", STDERR_FILENO);
            if (::setresuid(kSecondPerson, 0, 0) != 0) ::_exit(95);
            become("riskctl", {"approve", name, request, "--json", "--state-dir", directory() + "/state"});
        });
        const int status = second.wait().status;
        CliResult result;
        std::ifstream file(answer);
        result.out = {std::istreambuf_iterator<char>(file), {}};
        REQUIRE(WIFEXITED(status));
        return std::to_string(WEXITSTATUS(status)) + " " + Session::brief(result.lines().at(0));
    }
    /// Asks for a resume; the number of the request.
    [[nodiscard]] std::string ask_to_resume(const std::string& scope) const {
        const JsonValue answer = lines("resume", "--json --scope " + scope + " --reason checked").at(0);
        CHECK(text_of(answer, "pending") == "true");
        return text_of(answer, "request");
    }
    void resume_by_two(const std::string& scope) const {
        CHECK(approve_as_second(ask_to_resume(scope)) == "0 ok");
        CHECK(state_of(scope) == "active");
    }
    [[nodiscard]] std::vector<std::filesystem::path> in_memory() const {
        std::vector<std::filesystem::path> segments;
        for (const auto& entry : std::filesystem::directory_iterator("/dev/shm"))
            if (entry.path().filename().string().find("." + name) != std::string::npos) segments.push_back(entry.path());
        return segments;
    }
    void lose_memory() const {
        CHECK(in_memory().size() == 1);
        for (const std::filesystem::path& segment : in_memory()) std::filesystem::remove(segment);
    }
};

// ---- the day ---------------------------------------------------------------------------------------------------------

std::string tally(const JsonValue& answer, const std::string& section) {
    const JsonValue& counts = *answer.find(section);
    return text_of(counts, "loaded") + "/" + text_of(counts, "skipped") + "/" + text_of(counts, "refused");
}

void opens(Day& day) {
    INFO("the day opens");
    day.start_riskd();
    const std::string file = "--json '" + day.file("start.json", kStart) + "'";
    const Texts sections{"limits", "restricted", "positions", "orders"};
    const Texts first{"1/0/0", "1/0/0", "2/0/0", "1/0/0"}, second{"0/1/0", "0/1/0", "0/2/0", "0/1/0"};
    for (const Texts& expected : {first, second}) {
        const JsonValue answer = day.lines("load", file).at(0);
        Texts seen;
        for (const std::string& section : sections) seen.push_back(tally(answer, section));
        CHECK(seen == expected);
        CHECK(answer.find("warnings")->items.empty());
    }
    CHECK(day.row("account:A1/instrument:ES", {"position", "start_position", "mark", "pnl"}) == "10 10 4800 0");
    CHECK(day.row("account:A2/instrument:NQ", {"position", "open_buy_quantity", "mark", "pnl"}) == "4 2 18000 0");
    CHECK(day.order_now("A2", "G-1") == "new 17000 2 0 2");
    CHECK(day.lines("restricted", "--json").size() == 2);
}

std::string joined(const Texts& lines) {
    std::string text;
    for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
    return text;
}

Texts answers(Session& session, std::size_t count) {
    Texts heard;
    for (std::size_t i = 0; i < count; ++i) heard.push_back(session.hear());
    return heard;
}

/// Each strategy's own work, all three at the same time.
void trades(Day& day) {
    INFO("three strategies trade at once");
    day.maker = day.session("maker");
    day.taker = day.session("taker");
    day.hedge = day.session("hedge");
    const Texts makers{order("M-1", "ES", "buy", "2", "4790"),
                       on("M-1", "acked", R"(,"venue_id":"V-M1")"),
                       fill("M-1", "E-M1", "1", "4790"),
                       on("M-1", "replace_requested", R"(,"new_id":"M-1b","price":"4791","expected_version":1)"),
                       on("M-1b", "replaced"),
                       fill("M-1b", "E-M1", "1", "4790")};
    const Texts takers{order("T-0", "CL", "buy", "1", "70"),
                       order("T-1", "ES", "sell", "1", "4795"),
                       on("T-1", "acked", R"(,"venue_id":"V-T1")"),
                       on("T-1", "cancel_requested"),
                       on("T-1", "canceled"),
                       order("T-2", "ES", "sell", "1", "4800"),
                       order("T-3", "ES", "sell", "1", "4800"),
                       order("T-4", "ES", "sell", "1", "4800"),
                       on("T-2", "acked", R"(,"venue_id":"V-T2")"),
                       on("T-3", "acked", R"(,"venue_id":"V-T3")")};
    const Texts hedges{order("H-0", "ES", "sell", "1", "4900"),
                       order("H-1", "NQ", "sell", "1", "18100"),
                       order("H-2", "NQ", "sell", "2", "18200"),
                       order("H-3", "NQ", "sell", "1", "18300"),
                       order("H-4", "NQ", "sell", "1", "18400"),
                       on("H-3", "cancel_requested"),
                       on("H-3", "canceled"),
                       on("H-1", "acked", R"(,"venue_id":"V-H1")"),
                       on("H-2", "acked", R"(,"venue_id":"V-H2")")};
    day.maker->tell(joined(makers));
    day.taker->tell(joined(takers));
    day.hedge->tell(joined(hedges));
    CHECK(answers(*day.maker, makers.size()) == Texts{"accepted", "ok new 0+2", "ok partially_filled 1+1",
                                                      "ok pending_replace 1+1 pending_replace", "ok partially_filled 1+1",
                                                      "duplicate partially_filled 1+1"});
    CHECK(answers(*day.taker, takers.size()) == Texts{"denied restricted on instrument:CL", "accepted", "ok new 0+1",
                                                      "ok pending_cancel 0+1 pending_cancel", "ok canceled 0+0", "accepted",
                                                      "accepted", "denied duplicate_content on strategy:taker: 3 of 2 orders",
                                                      "ok new 0+1", "ok new 0+1"});
    CHECK(answers(*day.hedge, hedges.size()) == Texts{"denied restricted on account:A2/instrument:ES", "accepted", "accepted",
                                                      "accepted", "denied rate_limit on strategy:hedge: 4 of 3 messages",
                                                      "ok pending_cancel 0+1 pending_cancel", "ok canceled 0+0", "ok new 0+1",
                                                      "ok new 0+2"});
    Texts attached;
    for (const JsonValue& s : day.lines("sessions", "--json"))
        if (text_of(s, "status") == "attached" && text_of(s, "strategy") != "") attached.push_back(text_of(s, "pid"));
    CHECK_THAT(attached, Catch::Contains(Texts{day.maker->pid(), day.taker->pid(), day.hedge->pid()}));
    CHECK(day.order_now("A1", "M-1") == "partially_filled 4791 2 1 1");
    CHECK(day.taker->ask(order("T-5", "ES", "sell", "1", "4791")) == "denied self_match on account:A1: 4791 of 4791 price");
    REQUIRE(day.ctl("limit", "--scope strategy:hedge --reason 'too tight' max_messages=unset window_ms=unset").code == 0);
}

const std::string kSoftLevel = "account:A1/instrument:ES max_long 0 to 70: 14 of 20";

/// 10 held, 1 filled, 1 open of M-1: M-2 makes it 14 of 20.
void passes_a_soft_level(Day& day) {
    INFO("a soft level is passed");
    CHECK(day.alerts().empty());
    CHECK(day.maker->ask(order("M-2", "ES", "buy", "2", "4785")) == "accepted");
    CHECK(day.maker->ask(on("M-2", "acked", R"(,"venue_id":"V-M2")")) == "ok new 0+2");
    const Texts line{"account:A1/instrument:ES: max_long at 70 %: 14 of 20 (quantity)"};
    wait_until([&] { return !day.alerts().empty() && !day.alarm_lines("max_long at").empty(); });
    CHECK(day.alerts() == Texts{kSoftLevel});
    CHECK(day.alarm_lines("account:A1/instrument:ES: max_long") == line);
    const JsonValue row = day.lines("limits", "--json --scope account:A1/instrument:ES").at(0);
    CHECK(text_of(*row.find("utilisation")->find("max_long"), "headroom") == "6");
}

void breaches_a_limit(Day& day) {
    INFO("a limit is breached");
    CHECK(day.taker->ask(order("T-5", "ES", "buy", "7", "4780")) ==
          "denied max_long on account:A1/instrument:ES: 21 of 20 quantity");
    const auto denied = day.lines("events", "--type denied --strategy taker");
    REQUIRE_FALSE(denied.empty());
    CHECK(text_of(denied.back(), "reason") + " " + text_of(denied.back(), "observed") + " " + text_of(denied.back(), "limit") ==
          "max_long 21 20");
    // T-2 sells one: 13 of 20 are 65 %, where the level is left again.
    CHECK(day.taker->ask(fill("T-2", "E-T2", "1", "4800")) == "ok filled 1+0");
    CHECK(day.row("account:A1/instrument:ES", {"position", "open_buy_quantity", "open_sell_quantity"}) == "10 3 1");
    wait_until([&] { return day.alerts().size() >= 2; });
    CHECK(day.alerts() == Texts{kSoftLevel, "account:A1/instrument:ES max_long 70 to 0: 13 of 20"});
    CHECK(day.alarm_lines("max_long at").size() == 1);
}

/// The mark falls from 18000 to 17900: 4 · 100 · 20 = 8000, exactly the limit of account A2.
void loses(Day& day) {
    INFO("a loss stops what increases");
    CHECK(day.hedge->ask(R"({"op":"reference_price","instrument":"NQ","price":"17900"})") == "ok");
    wait_until([&] { return day.state_of("account:A2") == "reducing_only"; });
    CHECK(day.row("account:A2", {"pnl", "state_reason"}) == "-8000 daily_loss: observed 8000, limit 8000");
    wait_until([&] { return day.alerts().size() >= 3 && !day.alarm_lines("daily_loss at").empty(); });
    CHECK(day.alerts().back() == "account:A2 daily_loss 0 to 90: 8000 of 8000");
    CHECK(day.alarm_lines("account:A2: daily_loss at") == Texts{"account:A2: daily_loss at 100 %: 8000 of 8000 (money)"});
    CHECK(day.hedge->ask(order("H-5", "NQ", "buy", "1", "17000")) == "denied reducing_only on account:A2");
    // Long 4, of which sells of 3 are open: one more closes it, another would turn it short.
    CHECK(day.hedge->ask(order("H-6", "NQ", "sell", "1", "17920")) == "accepted");
    CHECK(day.hedge->ask(order("H-7", "NQ", "sell", "1", "17930")) == "denied reducing_only on account:A2");
    CHECK(day.hedge->ask(fill("H-6", "E-H6", "1", "17920")) == "ok filled 1+0");
    CHECK(day.row("account:A2", {"pnl", "state"}) == "-7600 reducing_only");
}

void halts_one(Day& day) {
    INFO("one strategy is halted");
    CHECK(day.taker->ask(order("T-6", "ES", "sell", "1", "4805")) == "accepted");
    CHECK(day.taker->ask(on("T-6", "begin_send")) == "accepted");
    REQUIRE(day.ctl("halt", "--scope strategy:taker --reason 'fat finger'").code == 0);
    CHECK(day.order_ids("--kill-list") == Texts{"T-3", "T-6"});
    CHECK(day.taker->ask(on("T-6", "begin_send")) == "denied halted on strategy:taker");
    CHECK(day.taker->ask(on("T-6", "aborted")) == "ok aborted 0+0");
    CHECK(day.taker->ask(order("T-7", "ES", "sell", "1", "4810")) == "denied halted on strategy:taker");
    CHECK(day.order_ids("--kill-list") == Texts{"T-3"});
    CHECK(day.maker->ask(order("M-3", "ES", "buy", "1", "4770")) == "accepted");
    CHECK(day.maker->ask(on("M-3", "rejected")) == "ok rejected 0+0");
}

void resumes_by_two(Day& day) {
    INFO("a resume needs two users");
    const std::string request = day.ask_to_resume("strategy:taker");
    CHECK(day.state_of("strategy:taker") == "halted");
    CHECK(day.approve(request) == "1 denied not_allowed on strategy:taker");
    CHECK(day.taker->ask(order("T-7", "ES", "sell", "1", "4810")) == "denied halted on strategy:taker");
    CHECK(day.approve_as_second(request) == "0 ok");
    CHECK(day.approve_as_second(request) == "1 denied invalid_field");
    const JsonValue changed = day.lines("events", "--type state_changed --strategy taker").back();
    CHECK(text_of(changed, "state") + " " + text_of(changed, "uid") + " " + text_of(changed, "asked_by") ==
          "active " + std::to_string(kSecondPerson) + " " + std::to_string(::getuid()));
    CHECK(day.taker->ask(order("T-7", "ES", "sell", "1", "4810")) == "accepted");
    CHECK(day.taker->ask(on("T-7", "acked", R"(,"venue_id":"V-T7")")) == "ok new 0+1");
}

void dies(Day& day) {
    INFO("a strategy dies and comes back");
    day.maker->kill();
    wait_until([&] { return day.state_of("strategy:maker") == "halted"; });
    CHECK(day.order_ids("--kill-list --strategy maker") == Texts{"M-1", "M-2"});
    CHECK(day.order_now("A1", "M-2") == "new 4785 2 0 2 orphaned kill_cancel");
    day.maker = day.session("maker");
    CHECK(day.maker->ask(on("M-2", "find")) == "ok new 0+2 kill_cancel");
    CHECK(day.maker->ask(order("M-4", "ES", "buy", "1", "4770")) == "denied halted on strategy:maker");
    CHECK(day.maker->ask(fill("M-2", "E-M2", "1", "4785")) == "ok partially_filled 1+1 kill_cancel");
    day.resume_by_two("strategy:maker");

    const std::unique_ptr<Session> late = std::exchange(day.maker, day.session("maker", {"--takeover"}));
    CHECK(day.maker->ask(on("M-2", "find")) == "ok partially_filled 1+1 kill_cancel");
    CHECK(late->ask(order("M-5", "ES", "buy", "1", "4770")) == "denied fenced");
    CHECK(late->ask(on("M-2", "cancel_requested")) == "denied fenced");
    CHECK(late->ask(on("M-2", "begin_send")) == "denied fenced");
    late->finish();
    CHECK(day.order_now("A1", "M-2") == "partially_filled 4785 2 1 1 kill_cancel");
    CHECK(day.state_of("strategy:maker") == "active");
}

/// Everything of an order that a crash must not change: not the flags, which say who is dead.
Texts orders_as_known(const Day& day) {
    Texts all;
    for (const JsonValue& o : day.lines("orders", "--json")) {
        std::string text;
        for (const char* key : {"id", "account", "strategy", "side", "price", "quantity", "cum_quantity", "reserved_quantity",
                                "reserved_notional", "status", "venue_id", "version", "created", "updated"})
            text += text_of(o, key) + " ";
        all.push_back(text);
    }
    return all;
}

void crashes(Day& day) {
    INFO("everything dies and the memory is lost");
    wait_until([&] {
        const JsonValue now = day.status();
        const JsonValue& marks = *now.find("watermarks");
        return text_of(marks, "durable") == text_of(marks, "committed");
    });
    const Texts before = orders_as_known(day);
    CHECK(before.size() == 13);
    for (Session* session : {day.maker.get(), day.taker.get(), day.hedge.get()}) session->kill();
    day.riskd->kill_and_reap();
    day.lose_memory();
    const CliResult recovered = day.ctl("recover");
    INFO(recovered.out << recovered.err);
    REQUIRE(recovered.code == 0);
    CHECK(orders_as_known(day) == before);
    CHECK(text_of(day.status(), "unreconciled") == "true");
    CHECK(day.state_of("account:A2") == "reducing_only");
    day.start_riskd();
    for (const char* strategy : {"maker", "taker", "hedge"}) {
        CHECK(day.state_of(std::string("strategy:") + strategy) == "halted");
        day.resume_by_two(std::string("strategy:") + strategy);
    }
    day.maker = day.session("maker");
    day.taker = day.session("taker");
    day.hedge = day.session("hedge");
    CHECK(day.taker->ask(order("T-8", "ES", "buy", "1", "4700")) == "denied unreconciled on firm");
    CHECK(day.taker->ask(order("T-8", "ES", "sell", "1", "4820")) == "accepted");
    CHECK(day.taker->ask(on("T-8", "rejected")) == "ok rejected 0+0");
}

// ---- against the venue ------------------------------------------------------------------------------------------------

std::string now_utc() {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    std::tm utc{};
    ::gmtime_r(&now.tv_sec, &utc);
    std::array<char, 64> text{};
    const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
    std::snprintf(text.data() + size, text.size() - size, ".%09ldZ", now.tv_nsec);
    return text.data();
}

/// An order or a fill; `what` is side and instrument, `more` further members with a leading comma.
std::string at_venue(const std::string& ids, const std::string& what, const std::string& price, const std::string& quantity,
                     const std::string& more = {}) {
    const bool es = what.ends_with("ES");
    return "{" + ids + R"(,"account":")" + (es ? "A1" : "A2") + R"(","instrument":")" + (es ? "ES" : "NQ") + R"(","side":")" +
           what.substr(0, what.find(' ')) + R"(","price":")" + price + R"(","quantity":")" + quantity + "\"" + more + "}";
}

std::string filled(const std::string& cum, const std::string& status = {}) {
    return R"(,"cum_quantity":")" + cum + "\"" + (status.empty() ? "" : R"(,"status":")" + status + "\"");
}

/// What the venue has. Against ours: M-1 at another price, M-2 greater and with more of it filled in E-M2, T-3 gone, T-7
/// suspended, H-1 filled by E-V1, one of H-2 filled that no fill tells of, E-H6 at another price, X-1 that we never had, and two
/// more of ES than all that explains.
std::string venue_now() {
    return R"({"time":")" + now_utc() + R"(","orders":[)" +
           at_venue(R"("id":"M-1b","venue_id":"V-M1")", "buy ES", "4792", "2", filled("1")) + "," +
           at_venue(R"("id":"M-2","venue_id":"V-M2")", "buy ES", "4785", "3", filled("2")) + "," +
           at_venue(R"("venue_id":"V-T7")", "sell ES", "4810", "1", filled("0", "suspended")) + "," +
           at_venue(R"("id":"H-1","venue_id":"V-H1")", "sell NQ", "18100", "1", filled("1", "filled")) + "," +
           at_venue(R"("id":"H-2","venue_id":"V-H2")", "sell NQ", "18200", "2", filled("1", "partially_filled")) + "," +
           at_venue(R"("id":"G-1","venue_id":"V-G1")", "buy NQ", "17000", "2", filled("0")) + "," +
           at_venue(R"("id":"X-1","venue_id":"V-X1")", "buy NQ", "16900", "1", filled("0")) + R"(],"fills":[)" +
           at_venue(R"("id":"M-1","exec_id":"E-M1")", "buy ES", "4790", "1") + "," +
           at_venue(R"("id":"T-2","exec_id":"E-T2")", "sell ES", "4800", "1") + "," +
           at_venue(R"("id":"M-2","exec_id":"E-M2")", "buy ES", "4785", "2") + "," +
           at_venue(R"("id":"H-6","exec_id":"E-H6")", "sell NQ", "17925", "1") + "," +
           at_venue(R"("venue_id":"V-H1","exec_id":"E-V1")", "sell NQ", "18100", "1") +
           R"(],"positions":[{"account":"A1","instrument":"ES","quantity":"14"},)"
           R"({"account":"A2","instrument":"NQ","quantity":"1"}]})";
}

struct Comparison {
    int code = 0;
    Texts breaks;  ///< sorted: `kind id/exec_id: ours | theirs`, `settled` or `left`
    std::string summary;  ///< breaks, settled, left, newer, unreconciled
    std::string request;
};

std::string brief_break(const JsonValue& line) {
    const std::string id = text_of(line, "id"), exec_id = text_of(line, "exec_id");
    return (line.find("newer") == nullptr ? "" : "newer ") + text_of(line, "break") + " " +
           (id == "null" ? text_of(line, "account") + " " + text_of(line, "instrument") : id) +
           (exec_id.empty() ? "" : "/" + exec_id) + ": " + text_of(line, "ours") + " | " + text_of(line, "theirs") +
           (text_of(line, "settled") == "true" ? " settled" : " left");
}

Comparison reconcile(const Day& day, const std::string& options = {}) {
    const CliResult result = day.ctl("reconcile", "--json " + options + " '" + day.file("venue.json", venue_now()) + "'");
    INFO(result.out << result.err);
    REQUIRE_FALSE(result.out.empty());
    Comparison found;
    found.code = result.code;
    auto lines = result.lines();
    const JsonValue last = lines.back();
    lines.pop_back();
    for (const JsonValue& line : lines) found.breaks.push_back(brief_break(line));
    std::sort(found.breaks.begin(), found.breaks.end());
    for (const char* key : {"breaks", "settled", "left", "newer", "unreconciled"})
        found.summary += (found.summary.empty() ? "" : " ") + text_of(last, key);
    found.request = text_of(last, "request");
    return found;
}

/// E-M2 makes two: its own, and what is filled of its order.
const Texts kBreaks{"fill_missing H-1/E-V1: nothing | 1 at 18100",
                    "fill_missing H-2: cum 0 | cum 1",
                    "fill_missing M-2: cum 1 | cum 2",
                    "missing_at_venue T-3: sell 1 at 4800, new | nothing",
                    "missing_here X-1: nothing | buy 1 at 16900",
                    "position A1 ES: 11 | 14",
                    "position A2 NQ: 3 | 1",
                    "price H-6/E-H6: 17920 | 17925",
                    "price M-1: 4791 | 4792",
                    "quantity M-2/E-M2: 1 | 2",
                    "quantity M-2: 2 | 3",
                    "status T-7: new | suspended"};

void reconciles(Day& day) {
    INFO("what the venue has is compared and taken over");
    const auto all = [](const std::string& outcome) {
        Texts texts;
        for (const std::string& found : kBreaks) texts.push_back(found + outcome);
        return texts;
    };
    const Comparison report = reconcile(day);
    CHECK(report.code == 1);
    CHECK(report.breaks == all(" left"));
    CHECK(report.summary == "12 0 12 0 kept");
    const Comparison corrected = reconcile(day, "--apply");
    CHECK(corrected.code == 0);
    // E-M2 fills M-2 before its total has grown: that is told, too.
    Texts settled = all(" settled");
    settled.insert(settled.end() - 1, "status M-2: filled | partially_filled settled");
    CHECK(corrected.breaks == settled);
    CHECK(corrected.summary == "13 13 0 0 requested");
    const Comparison again = reconcile(day);
    CHECK(again.code == 0);
    CHECK(again.breaks.empty());
    CHECK(again.summary == "0 0 0 0 requested");
    CHECK(again.request == corrected.request);

    CHECK(day.taker->ask(order("T-9", "ES", "buy", "1", "4700")) == "denied unreconciled on firm");
    CHECK(day.approve(again.request) == "1 denied not_allowed on firm");
    CHECK(text_of(day.status(), "unreconciled") == "true");
    CHECK(day.approve_as_second(again.request) == "0 ok");
    CHECK(text_of(day.status(), "unreconciled") == "false");
    CHECK(reconcile(day).summary == "0 0 0 0 no");
    CHECK(day.taker->ask(order("T-9", "ES", "buy", "1", "4700")) == "accepted");
}

// ---- the end of the day ----------------------------------------------------------------------------------------------

const Texts kPositions{"position", "start_position", "bought_today", "sold_today"};
const Texts kOpen{"open_buy_quantity", "open_sell_quantity", "open_buy_notional", "open_sell_notional", "working_orders"};
const Texts kMoney{"bought_notional_today", "sold_notional_today", "gross_value", "net_value", "pnl"};

/// ES, times 50: 10 loaded at 4800, M-1 bought 1 at 4790, M-2 2 at 4785, T-2 sold 1 at 4800, 2 taken over at the mark, which is
/// the last fill's 4785. Result 10·(4785−4800) + (4785−4790) + (4800−4785) = −140 points.
/// NQ, times 20: 4 loaded at 18000, sold 1 each at 17925, 18100 and 18200, mark 17900. Result −75 + 100 + 200 − 100 = 125 points.
void adds_up(const Day& day) {
    INFO("totals are those computed by hand");
    CHECK(day.ctl("verify").code == 0);
    CHECK(day.row("account:A1/instrument:ES", kPositions) == "14 12 3 1");
    CHECK(day.row("account:A1/instrument:ES", {"mark"}) == "4785");
    CHECK(day.row("account:A1", kMoney) == "718000 240000 3349500 3349500 -7000");
    // Buys of one each at 4792, 4785 and 4700, a suspended sell at 4810.
    CHECK(day.row("account:A1/instrument:ES", kOpen) == "3 1 713850 240500 4");
    CHECK(day.row("account:A2/instrument:NQ", kPositions) == "1 4 0 3");
    CHECK(day.row("account:A2", kMoney) == "0 1084500 358000 358000 2500");
    // Buys of 2 at 17000 and of 1 at 16900, a sell at 18200.
    CHECK(day.row("account:A2/instrument:NQ", kOpen) == "3 1 1018000 364000 3");
    CHECK(day.row("firm", kMoney) == "718000 1324500 3707500 3707500 -4500");
    CHECK(day.row("strategy:maker/instrument:ES", kPositions) == "13 10 3 0");
    CHECK(day.row("strategy:taker/instrument:ES", kPositions) == "-1 0 0 1");
    CHECK(day.row("strategy:external/instrument:ES", kPositions) == "2 2 0 0");
    CHECK(day.row("strategy:hedge/instrument:NQ", kPositions) == "1 4 0 3");
    CHECK(day.state_of("account:A2") == "reducing_only");
    CHECK(day.order_now("A1", "M-1") == "partially_filled 4792 2 1 1 kill_cancel");
    CHECK(day.order_now("A1", "M-2") == "partially_filled 4785 3 2 1 kill_cancel");
    CHECK(day.order_now("A2", "H-1") == "filled 18100 1 1 0");
}

void rolls(Day& day) {
    INFO("the day rolls");
    CHECK(day.taker->ask(order("T-1", "ES", "sell", "1", "4830")) == "denied duplicate_order_id");
    const JsonValue rolled = day.lines("roll", "--reason 'end of day' --expire-day --json").at(0);
    Texts told;
    for (const char* key : {"result", "day", "expired"}) told.push_back(text_of(rolled, key));
    CHECK(told == Texts{"rolled", "2", "5"});  // M-1, M-2, T-7, T-9, H-2
    told.clear();
    for (const char* key : {"orders", "day_orders", "positions", "restrictions"})
        told.push_back(text_of(*rolled.find("carried"), key));
    CHECK(told == Texts{"2", "0", "2", "2"});
    CHECK(text_of(day.status(), "day") == "2");
    CHECK(day.order_ids("") == Texts{"G-1", "X-1"});
    CHECK(day.order_now("A2", "G-1") == "new 17000 2 0 2 kill_cancel");
    CHECK(day.order_now("A2", "X-1") == "new 16900 1 0 1");
    CHECK(day.row("account:A1/instrument:ES", kPositions) == "14 14 0 0");
    CHECK(day.row("account:A2/instrument:NQ", kPositions) == "1 1 0 0");
    CHECK(day.row("account:A2/instrument:NQ", kOpen) == "3 0 1018000 0 2");
    CHECK(day.row("firm", kMoney) == "0 0 3707500 3707500 0");
    CHECK(day.row("account:A2", {"state", "state_reason"}) == "reducing_only daily_loss: observed 8000, limit 8000");
    CHECK(day.ctl("verify").code == 0);
}

/// The same three processes, which have not been told of the roll.
void trades_on(Day& day) {
    INFO("the next day has begun");
    CHECK(day.taker->ask(order("T-1", "ES", "sell", "1", "4800")) == "accepted");
    CHECK(day.taker->ask(order("T-2", "ES", "sell", "1", "4800")) == "accepted");
    CHECK(day.taker->ask(order("T-3", "ES", "sell", "1", "4800")) ==
          "denied duplicate_content on strategy:taker: 3 of 2 orders");
    CHECK(day.taker->ask(order("T-0", "CL", "buy", "1", "70")) == "denied restricted on instrument:CL");
    CHECK(day.maker->ask(order("M-1", "ES", "buy", "7", "4700")) ==
          "denied max_long on account:A1/instrument:ES: 21 of 20 quantity");
    CHECK(day.hedge->ask(order("H-1", "NQ", "buy", "1", "17000")) == "denied reducing_only on account:A2");
    CHECK(day.hedge->ask(order("H-1", "NQ", "sell", "1", "18000")) == "accepted");
    CHECK(day.hedge->ask(fill("H-1", "E-H1", "1", "17990")) == "ok filled 1+0");
    CHECK(day.hedge->ask(on("G-1", "canceled")) == "ok canceled 0+0");
    // Carried at the mark of 17900: 90 points, times 20.
    CHECK(day.row("account:A2", {"sold_notional_today", "pnl"}) == "359800 1800");
    CHECK(day.ctl("verify").code == 0);
    for (Session* session : {day.maker.get(), day.taker.get(), day.hedge.get()}) session->finish();
    day.riskd->send(SIGTERM);
    CHECK(day.riskd->wait().left_with(0));
    CHECK(day.ctl("destroy").code == 2);  // what would be gone is named, and nothing is
    CHECK(day.ctl("destroy --yes").code == 0);
    CHECK(day.in_memory().empty());
    // What keeps creators apart stays; nothing of the registry is in it.
    Texts left;
    for (const auto& entry : std::filesystem::directory_iterator(day.directory() + "/state/" + day.name))
        left.push_back(entry.path().filename().string());
    CHECK(left == Texts{"LOCK"});
}

}  // namespace

TEST_CASE("a trading day goes through the programs from create to roll with every answer and every total as documented",
          "[day][cli]") {
    if (::geteuid() != 0) {
        std::puts("SKIPPED: only root can be another user who may open the registry");
        return;
    }
    Day day;
    opens(day);
    trades(day);
    passes_a_soft_level(day);
    breaches_a_limit(day);
    loses(day);
    halts_one(day);
    resumes_by_two(day);
    dies(day);
    crashes(day);
    reconciles(day);
    adds_up(day);
    rolls(day);
    trades_on(day);
}
