// Surroundings that a registry meets in production, each against what a user does in it: either it works, shown by an order that
// is accepted and found again, or it is refused with the sentence that helps. Every cell is printed.
//
// Through the command line, in namespaces of their own; what needs root and namespaces says SKIPPED where there are none.
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "layout/segment.hpp"
#include "support/cli.hpp"
#include "support/sanitized.hpp"

namespace {

using namespace riskreg::testing;

constexpr const char* kConfig =
    R"({"capacity":{"orders":1024,"executions":1024,"ring_events":1024,"sessions":8},)"
    R"("persistence":{"mode":"async","checkpoint_interval_s":3600},"require_limits":false,)"
    R"("allow_limit_without_reference":true,"self_match":"allow","instruments":[{"id":"ESH4","tick":"0.25"}],)"
    R"("accounts":[{"id":"A1"}],"strategies":[{"id":"s1","account":"A1"},{"id":"s2","account":"A1"}],"limits":[]})";

/// Prints and counts the cells of one environment.
class Cells {
public:
    explicit Cells(const char* environment) : environment_(environment) {}
    ~Cells() { std::printf("cells: %s: %d work, %d refused\n", environment_, works_, refused_); }
    Cells(const Cells&) = delete;
    Cells& operator=(const Cells&) = delete;

    void works(const char* action) {
        ++works_;
        std::printf("  %s | %s | works\n", environment_, action);
    }
    /// `said` is shown; it must contain every one of `words`.
    void refused(const char* action, const CliResult& said, int code, std::initializer_list<const char*> words) {
        ++refused_;
        std::printf("  %s | %s | refused (%d): %s", environment_, action, said.code, said.err.c_str());
        CHECK(said.code == code);
        for (const char* word : words) CHECK_THAT(said.err, Catch::Contains(word));
    }

private:
    const char* environment_;
    int works_ = 0, refused_ = 0;
};

std::string slurp(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// A registry's place, and commands in it through any wrapper.
class Place {
public:
    Place() : name_("env-" + std::to_string(::getpid())), config_(cli_.file("config.json", kConfig)) {}

    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] std::string state() const { return cli_.directory() + "/state"; }
    [[nodiscard]] std::string config() const { return config_; }
    [[nodiscard]] const std::string& directory() const { return cli_.directory(); }
    [[nodiscard]] std::string riskctl(const std::string& verb, const std::string& rest = {}) const {
        return std::string("'") + RISKREG_BIN_DIR + "/riskctl' " + verb + " " + name_ + " --state-dir '" + state() + "' " +
               rest;
    }
    [[nodiscard]] std::string create() const { return riskctl("create", "--config '" + config_ + "'"); }
    /// One order as strategy s1.
    [[nodiscard]] std::string trade(const std::string& id, const std::string& rest = {}) const {
        return R"(echo '{"op":"register","id":")" + id +
               R"(","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"100","quantity":"1"}' | )" +
               riskctl("exec", "--strategy s1 " + rest);
    }
    /// A shell's script, within `wrapper` (`unshare … `), or plainly.
    [[nodiscard]] CliResult run(const std::string& script, const std::string& wrapper = {}) const {
        const std::string out = cli_.directory() + "/out", err = cli_.directory() + "/err";
        const std::string path = cli_.file("script.sh", script + "\n");
        const int status = std::system((wrapper + " sh '" + path + "' >'" + out + "' 2>'" + err + "'").c_str());
        CliResult result;
        result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        result.out = slurp(out);
        result.err = slurp(err);
        return result;
    }
    /// The order was accepted, and whoever looks later finds it.
    void require_trade(const std::string& id, const std::string& wrapper = {}) const {
        const CliResult traded = run(trade(id), wrapper);
        INFO(traded.err);
        REQUIRE_THAT(traded.out, Catch::Contains(R"("result":"accepted")"));
        require_order(id);
    }
    void require_order(const std::string& id) const {
        REQUIRE_THAT(run(riskctl("order", "--account A1 " + id)).out + run(riskctl("orders", "--json")).out,
                     Catch::Contains(id));
    }
    void require(const std::string& script, const std::string& wrapper = {}) const {
        const CliResult result = run(script, wrapper);
        INFO(script << '\n' << result.out << result.err);
        REQUIRE(result.code == 0);
    }
    [[nodiscard]] std::string segment() const {
        for (const auto& entry : std::filesystem::directory_iterator("/dev/shm"))
            if (entry.path().filename().string().ends_with("." + name_)) return entry.path();
        return {};
    }

private:
    Cli cli_;
    std::string name_, config_;
};

/// False, with the reason, where an environment cannot be made.
bool may(const std::string& wrapper) {
    if (std::system((wrapper + " true >/dev/null 2>&1").c_str()) == 0) return true;
    std::printf("SKIPPED: not permitted here: %s\n", wrapper.c_str());
    return false;
}

void put(const std::string& path, std::uint64_t at, std::uint32_t word) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at));
    file.write(reinterpret_cast<const char*>(&word), sizeof word);
    REQUIRE(file.good());
}

constexpr const char* kOther = "setpriv --reuid 65534 --regid 65534 --clear-groups";
constexpr const char* kOtherPids = "unshare --pid --fork --mount-proc";
constexpr const char* kOwnMounts = "unshare --mount";

}  // namespace

TEST_CASE("environment: another user is refused by name of the owner, and harms nothing", "[environment][inv-12]") {
    if (!may(kOther)) return;
    const Place place;
    Cells cells("another user");
    place.require(place.create());
    std::filesystem::permissions(place.directory(), std::filesystem::perms::all);
    cells.refused("look", place.run(place.riskctl("status"), kOther), 3, {"uid 0"});
    cells.refused("trade", place.run(place.trade("O-1"), kOther), 3, {"uid 0"});
    cells.refused("destroy", place.run(place.riskctl("destroy", "--force"), kOther), 3, {"uid 0"});
    place.require_trade("O-2");
    cells.works("the owner trades on");
}

TEST_CASE("environment: a umask of 077 changes nothing for the user's own processes", "[environment]") {
    const Place place;
    Cells cells("umask 077");
    place.require("umask 077; " + place.create());
    cells.works("create");
    place.require_trade("O-1");
    cells.works("trade");
    place.require("umask 777; " + place.riskctl("checkpoint"));
    cells.works("checkpoint with umask 777");
}

TEST_CASE("environment: another PID namespace is refused while processes are attached, and works alone", "[environment]") {
    if (!may(kOtherPids)) return;
    const Place place;
    Cells cells("another PID namespace");
    place.require(place.create());
    place.require_trade("O-1", kOtherPids);
    cells.works("trade alone");
    place.require("(sleep 3 | " + place.riskctl("exec", "--strategy s2") + " >/dev/null 2>&1 &) ; sleep 1");
    cells.refused("trade beside others", place.run(place.trade("O-2"), kOtherPids), 3, {"PID namespace", "--pid=host"});
    cells.refused("halt beside others", place.run(place.riskctl("halt", "--scope firm --reason test"), kOtherPids), 3,
                  {"PID namespace", "--pid=host"});
    place.require(place.riskctl("status"), kOtherPids);
    cells.works("look beside others");
}

TEST_CASE("environment: a small /dev/shm is refused with the size needed and how to enlarge it, not met by a crash",
          "[environment][inv-12]") {
    if (!may(kOwnMounts)) return;
    const Place place;
    Cells cells("64 MB /dev/shm");
    const std::string small = "mount -t tmpfs -o size=64m tmpfs /dev/shm && ";
    const CliResult fits = place.run(small + place.create() + " && " + place.trade("O-1"), kOwnMounts);
    REQUIRE_THAT(fits.out, Catch::Contains(R"("result":"accepted")"));
    cells.works("a registry that fits");
    const Place large;
    std::string config = kConfig;
    config.replace(config.find("\"orders\":1024"), 13, "\"orders\":1048576");
    std::ofstream(large.config()) << config;
    cells.refused("one that does not", large.run(small + large.create(), kOwnMounts), 3,
                  {"/dev/shm is too small", "needs", "free", "remount,size=", "--shm-size", "capacity.orders"});
    cells.refused("one beside a full one",
                  place.run("mount -t tmpfs -o size=2m tmpfs /dev/shm && " + place.riskctl("recover"), kOwnMounts), 3,
                  {"/dev/shm is too small"});
}

TEST_CASE("environment: without locked memory everything works, and the wish for it is answered", "[environment]") {
    const std::string none = "prlimit --memlock=0:0";
    if (!may(none)) return;
    const Place place;
    Cells cells("no memlock");
    std::string config = kConfig;
    config.insert(1, R"("lock_memory":true,)");
    std::ofstream(place.config()) << config;
    const CliResult wished = place.run(place.create(), none);
    if (wished.code != 0) {
        config = kConfig;
        std::ofstream(place.config()) << config;
        cells.refused("create with lock_memory", wished, wished.code, {"lock_memory"});
        place.require(place.create(), none);
    } else {
        cells.works("create with lock_memory");
    }
    place.require_trade("O-1", none);
    cells.works("trade");
}

TEST_CASE("environment: a full disk refuses a new registry by size and directory, and halts an old one's journal only",
          "[environment][inv-9][inv-12]") {
    if (!may(kOwnMounts)) return;
    const Place place;
    Cells cells("full disk");
    const std::string small =
        "mkdir -p '" + place.state() + "' && mount -t tmpfs -o size=128k tmpfs '" + place.state() + "' && ";
    cells.refused("create", place.run(small + place.create(), kOwnMounts), 3,
                  {"No space left", place.state().c_str(), "KiB", "Make room there", "--state-dir"});
    const std::string filled = "mkdir -p '" + place.state() + "' && mount -t tmpfs -o size=16m tmpfs '" + place.state() +
                               "' && " + place.create() + " && (dd if=/dev/zero of='" + place.state() +
                               "/fill' bs=4k 2>/dev/null; true); ";
    const CliResult goes_on = place.run(filled + place.trade("O-1") + "; " + place.riskctl("orders", "--json"), kOwnMounts);
    INFO(goes_on.err);
    CHECK_THAT(goes_on.out, Catch::Contains(R"("result":"accepted")"));
    cells.works("trade in a journal that has its space");
    place.require("rm -f '" + place.segment() + "'");
}

TEST_CASE("environment: a read-only directory lets readers look and names what cannot be written", "[environment][inv-12]") {
    if (!may(kOwnMounts)) return;
    const Place place;
    Cells cells("read-only directory");
    place.require(place.create());
    place.require_trade("O-1");
    const std::string read_only =
        "mount --bind '" + place.state() + "' '" + place.state() + "' && mount -o remount,ro,bind '" + place.state() + "' && ";
    place.require(read_only + place.riskctl("status") + " && " + place.riskctl("orders"), kOwnMounts);
    cells.works("look");
    cells.refused("create another",
                  place.run(read_only + "'" RISKREG_BIN_DIR "/riskctl' create other --config '" + place.config() +
                                "' --state-dir '" + place.state() + "'",
                            kOwnMounts),
                  3, {"Read-only file system", "other"});
    place.require_trade("O-2");
    cells.works("trade when it can be written again");
}

TEST_CASE("environment: a segment that is removed under running processes serves them on, and what was durable comes back",
          "[environment][inv-1][inv-9]") {
    const Place place;
    Cells cells("removed segment (RemoveIPC)");
    place.require(place.create());
    const std::string line = R"({"op":"register","id":"%s","instrument":"ESH4","side":"buy","type":"limit","tif":"day",)"
                             R"("price":"100","quantity":"1"}\n)";
    const std::string fifo = place.directory() + "/fifo", said = place.directory() + "/said";
    const auto say = [&](const char* id) {
        std::string text = line;
        text.replace(text.find("%s"), 2, id);
        return "printf '" + text + "' >&3; ";
    };
    const CliResult ran = place.run("mkfifo '" + fifo + "'; " + place.riskctl("exec", "--strategy s1 --durability durable") +
                                    " <'" + fifo + "' >'" + said + "' 2>&1 & exec 3>'" + fifo + "'; " + say("O-1") +
                                    "sleep 1; rm -f '" + place.segment() + "'; " + say("O-2") + "sleep 1; exec 3>&-; wait");
    INFO(ran.err);
    const std::string answers = slurp(said);
    INFO(answers);
    CHECK_THAT(answers, Catch::Contains(R"("id":"O-1","result":"accepted")"));
    CHECK_THAT(answers, Catch::Contains("O-2"));
    cells.works("who is attached is answered on");
    const bool second = answers.find(R"("id":"O-2","result":"accepted")") != std::string::npos;
    place.require(place.riskctl("recover"));
    cells.works("recover");
    place.require_order("O-1");
    if (second) place.require_order("O-2");
    cells.works("what was durable is there");
}

TEST_CASE("environment: a segment of another layout version is refused by both numbers", "[environment][inv-12]") {
    for (const int delta : {-1, 1}) {
        const Place place;
        Cells cells(delta < 0 ? "layout N-1" : "layout N+1");
        place.require(place.create());
        place.require_trade("O-1");
        place.require(place.riskctl("checkpoint"));
        const std::uint32_t version = riskreg::layout::kLayoutVersion;
        const std::string other = std::to_string(static_cast<int>(version) + delta), own = std::to_string(version);
        put(place.segment(), 8, version + static_cast<std::uint32_t>(delta));
        cells.refused(
            "look", place.run(place.riskctl("status")), 3,
            {("layout version " + other).c_str(), ("this build has " + own).c_str(), "use the build that created it"});
        cells.refused("trade", place.run(place.trade("O-2")), 3, {("layout version " + other).c_str()});
        cells.refused("recover", place.run(place.riskctl("recover")), 3, {("layout version " + other).c_str()});
        put(place.segment(), 8, version);
        place.require_trade("O-3");
        cells.works("the right build trades on");
    }
}

TEST_CASE("environment: the wall clock may jump back and forward while strategies trade", "[environment][inv-11]") {
    if (riskreg::test::skipped_for_preload()) return;  // faketime is such a library
    if (std::system("command -v faketime >/dev/null 2>&1") != 0) {
        std::printf("SKIPPED: faketime is not installed (tools/setup packages)\n");
        return;
    }
    const Place place;
    Cells cells("clock jumps");
    place.require(place.create());
    place.require_trade("O-1");
    place.require_trade("O-2", "faketime -f '-3d'");
    cells.works("trade three days back");
    place.require_trade("O-3", "faketime -f '+400d'");
    cells.works("trade a year ahead");
    place.require_trade("O-4");
    place.require(place.riskctl("verify"));
    cells.works("audit afterwards");
    place.require("rm -f '" + place.segment() + "'");
    place.require(place.riskctl("recover"));
    for (const char* id : {"O-1", "O-2", "O-3", "O-4"}) place.require_order(id);
    cells.works("recover");
}
