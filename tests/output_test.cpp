// Output that did not arrive is not "done": every verb of riskctl, as text and as JSON, and every other program, to a full device, a
// pipe whose reader has gone, a file at its limit. Whoever closes stdout wants none, and everything goes as usual.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "support/cli.hpp"

namespace {

using namespace riskreg::testing;

constexpr const char* kConfig =
    R"({"capacity":{"orders":1024,"executions":1024,"ring_events":1024,"sessions":8},)"
    R"("persistence":{"mode":"async","checkpoint_interval_s":3600},"require_limits":false,"four_eyes":true,)"
    R"("allow_limit_without_reference":true,"self_match":"allow","instruments":[{"id":"ESH4","tick":"0.25"}],)"
    R"("accounts":[{"id":"A1"}],"strategies":[{"id":"s1","account":"A1"},{"id":"s2","account":"A1"}],)"
    R"("limits":[{"scope":"firm","max_long":"100"}],"restricted":[{"scope":"strategy:s2","sides":"both","reason":"test"}]})";

/// One way to call a verb so that it has something to print. `before` and `with` are words of the shell behind "riskctl".
struct Call {
    const char* verb;
    const char* rest;
    std::vector<const char*> before = {};
    bool prints_text = true;  ///< a refusal is said on stderr alone
};

const std::vector<Call>& calls() {
    static const std::vector<Call> all = {
        {"create", "other --config config.json", {"destroy --force other"}},
        {"exec", "desk --strategy s2 <lines"},
        {"replay", "desk flow.csv --into-live"},
        {"status", "desk"},
        {"orders", "desk"},
        {"order", "desk --account A1 O-1"},
        {"exposure", "desk --scope account:A1"},
        {"limits", "desk --scope firm"},
        {"sessions", "desk"},
        {"restricted", "desk"},
        {"approvals", "desk", {"halt desk --scope strategy:s1 --reason test", "resume desk --scope strategy:s1 --reason test"}},
        {"events", "desk"},
        {"events", "desk --follow"},
        {"verify", "desk"},
        {"doctor", "desk"},
        {"halt", "desk --scope account:A1 --reason test"},
        {"resume", "desk --scope account:A1 --reason test"},
        {"approve", "desk 1", {}, false},
        {"limit", "desk --scope firm max_long=200"},
        {"restrict", "desk --scope strategy:s1 --sides buy --reason test"},
        {"roll", "desk"},
        {"checkpoint", "desk"},
        {"checkpoint-info", "checkpoint"},
        {"journal-info", "journal"},
        {"clock", "desk --reason test"},
        {"migrate", "old"},
        {"recover", "desk"},
        {"load", "desk load.json"},
        {"reconcile", "desk venue.json"},
        {"destroy", "other", {"create other --config config.json"}},
    };
    return all;
}

struct Outcome {
    int code = -1;
    std::string err;
};

std::string slurp(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// A directory with a registry and the files that the calls name.
class Place {
public:
    Place() {
        std::ofstream(path("config.json")) << kConfig;
        std::filesystem::copy_file(RISKREG_SOURCE_DIR "/tests/golden/checkpoints/v2.json", path("old"));
        std::ofstream(path("lines"))
            << R"({"op":"register","id":"O-2","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"1","quantity":"1"})"
            << "\n";
        std::ofstream(path("flow.csv")) << "ts_ns,action,side,order_id,price,size\n1,A,buy,1,100,1\n";
        std::ofstream(path("load.json")) << R"({"positions":[]})";
        std::ofstream(path("venue.json")) << R"({"time":"2026-11-25T08:15:30Z","orders":[],"positions":[],"fills":[]})";
        REQUIRE(shell("riskctl create desk --config config.json", ">/dev/null").code == 0);
        std::ofstream(path("first"))
            << R"({"op":"register","id":"O-1","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"1","quantity":"1"})"
            << "\n";
        REQUIRE(shell("riskctl exec desk --strategy s1 <first", ">/dev/null").code == 0);
        REQUIRE(shell("riskctl checkpoint desk", ">/dev/null").code == 0);
        REQUIRE(shell("sh -c 'cp state/desk/checkpoint-* checkpoint; cp state/desk/journal-* journal'", ">/dev/null").code ==
                0);
    }
    /// `command` may name our programs as they are; it runs here.
    [[nodiscard]] Outcome shell(const std::string& command, const std::string& redirection) const {
        const std::string whole = "cd '" + cli_.directory() +
                                  "' && export RISKREG_STATE_DIR=state PATH='" RISKREG_BIN_DIR "':\"$PATH\" && timeout 60 " +
                                  command + " " + redirection + " 2>err";
        const int status = std::system(whole.c_str());
        return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), slurp(path("err"))};
    }
    [[nodiscard]] std::string path(const std::string& name) const { return cli_.directory() + "/" + name; }

private:
    Cli cli_;
};

/// A way in which output does not arrive.
struct Sink {
    const char* name;
    std::string redirection;
    const char* why;
};

/// A pipe whose reader has gone, for children of ours.
class BrokenPipe {
public:
    BrokenPipe() {
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        ::close(ends[0]);
        end_ = ::fcntl(ends[1], F_DUPFD, 5);
        ::close(ends[1]);
        REQUIRE(end_ < 10);  // a single digit, for dash
    }
    ~BrokenPipe() { ::close(end_); }
    BrokenPipe(const BrokenPipe&) = delete;
    BrokenPipe& operator=(const BrokenPipe&) = delete;
    [[nodiscard]] std::string redirection() const { return ">&" + std::to_string(end_); }

private:
    int end_ = -1;
};

constexpr const char* kLimit = "268435456";  // far above what a registry of this size writes

void require_said(const Outcome& outcome, const char* program, const char* why) {
    INFO(outcome.err);
    CHECK(outcome.code == 3);
    const std::string line = std::string(program) + ": output not written";
    const std::size_t at = outcome.err.find(line);
    REQUIRE(at != std::string::npos);
    CHECK(outcome.err.find(line, at + 1) == std::string::npos);
    CHECK_THAT(outcome.err.substr(at), Catch::Contains(why));
}

/// The verbs that --help lists.
std::set<std::string> verbs_of_help(const Place& place) {
    REQUIRE(place.shell("riskctl --help", ">help").code == 0);
    std::istringstream text(slurp(place.path("help")));
    std::set<std::string> verbs;
    bool listed = false;
    for (std::string line; std::getline(text, line);) {
        if (listed && line.rfind("  ", 0) == 0 && line[2] != ' ') verbs.insert(line.substr(2, line.find(' ', 2) - 2));
        listed |= line == "Subcommands:";
    }
    return verbs;
}

}  // namespace

TEST_CASE("output that did not arrive is exit 3 and a line with the reason, for every verb, as text and as JSON",
          "[cli][output]") {
    const Place place;
    const BrokenPipe pipe;
    REQUIRE(place.shell(std::string("truncate --size=") + kLimit + " full", "").code == 0);
    const Sink sinks[] = {{"a full device", ">/dev/full", "No space left on device"},
                          {"a pipe without a reader", pipe.redirection(), "Broken pipe"},
                          {"a file at its limit", ">>full", "File too large"}};
    std::set<std::string> tried;
    for (const Call& call : calls()) {
        tried.insert(call.verb);
        for (const char* json : {"", " --json"}) {
            if (!call.prints_text && *json == '\0') continue;
            for (const Sink& sink : sinks) {
                const std::string command = std::string("riskctl ") + call.verb + json + " " + call.rest;
                INFO(command << " to " << sink.name);
                for (const char* before : call.before)
                    static_cast<void>(place.shell(std::string("riskctl ") + before, ">/dev/null"));
                require_said(place.shell(std::string("prlimit --fsize=") + kLimit + " " + command, sink.redirection), "riskctl",
                             sink.why);
            }
        }
    }
    CHECK(tried == verbs_of_help(place));
}

TEST_CASE("help that did not arrive is exit 3, of every program", "[cli][output]") {
    const Place place;
    for (const char* command : {"riskctl --help", "riskctl status --help", "riskd --help", "riskreg-demo --help",
                                "riskreg-latency --help", "riskreg-latency --list", "riskreg-peers --help"}) {
        INFO(command);
        const std::string program(command, std::string_view(command).find(' '));
        if (!std::filesystem::exists(std::string(RISKREG_BIN_DIR "/") + program)) continue;
        require_said(place.shell(command, ">/dev/full"), program.c_str(), "No space left on device");
        CHECK(place.shell(command, ">/dev/null").code == 0);
    }
}

TEST_CASE("results that did not arrive are exit 3, of the demonstration and of a benchmark", "[cli][output]") {
    const Place place;
    require_said(place.shell("riskreg-demo --seconds 2", ">/dev/full"), "riskreg-demo", "No space left on device");
    require_said(place.shell("riskreg-latency --quick --json find", ">/dev/full"), "riskreg-latency",
                 "No space left on device");
    const Outcome distributions = place.shell("riskreg-latency --quick find --distributions /dev/full", ">/dev/null");
    CHECK(distributions.code == 1);
    CHECK_THAT(distributions.err, Catch::Contains("cannot write /dev/full: No space left on device"));
}

TEST_CASE("what had arrived before is told apart from nothing", "[cli][output]") {
    const Place place;
    REQUIRE(place.shell("truncate --size=268435440 nearly", "").code == 0);
    const Outcome outcome = place.shell(std::string("prlimit --fsize=") + kLimit + " riskctl status desk", ">>nearly");
    CHECK(outcome.code == 3);
    CHECK(outcome.err == "riskctl: output not written in full: File too large\n");
    CHECK(std::filesystem::file_size(place.path("nearly")) == 268435456);
}

TEST_CASE("with stdout closed from the start every verb ends as usual and says nothing", "[cli][output]") {
    const Place place;
    for (const Call& call : calls()) {
        if (std::string_view(call.rest).find("--follow") != std::string_view::npos) continue;
        INFO(call.verb << ' ' << call.rest);
        for (const char* before : call.before) static_cast<void>(place.shell(std::string("riskctl ") + before, ">/dev/null"));
        const Outcome outcome = place.shell(std::string("riskctl ") + call.verb + " " + call.rest, ">&-");
        INFO(outcome.err);
        CHECK(outcome.code <= 1);
        CHECK_THAT(outcome.err, !Catch::Contains("output not written"));
    }
}

TEST_CASE("a verb whose output was lost has done its work", "[cli][output]") {
    const Place place;
    REQUIRE(place.shell("riskctl halt desk --scope strategy:s1 --reason test", ">/dev/full").code == 3);
    REQUIRE(place.shell("riskctl exposure desk --json --scope strategy:s1", ">out").code == 0);
    CHECK_THAT(slurp(place.path("out")), Catch::Contains(R"("state":"halted")"));
}
