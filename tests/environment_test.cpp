// Surroundings that a registry meets in production, each against what a user does in it: either it works, shown by an order that
// is accepted and found again, or it is refused with the sentence that helps. Every cell is printed.
//
// Through the command line, in namespaces of their own; what needs root and namespaces says SKIPPED where there are none.
#include <unistd.h>

#include <algorithm>
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
    cells.refused(
        "one beside a full one",
        place.run("mount -t tmpfs -o size=2m tmpfs /dev/shm && " + place.riskctl("recover", "--i-am-alone"), kOwnMounts), 3,
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
        cells.refused("look", place.run(place.riskctl("status")), 3,
                      {("layout version " + other).c_str(), ("this build has " + own).c_str(), "riskctl migrate"});
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

// ---- one segment or none (src/README.md "One segment or none") -----------------------------------------------------------

namespace {

/// A session that stays attached, and keeps the journal, until it is told to end.
class Held {
public:
    explicit Held(const Place& place, const std::string& wrapper = {}) : place_(place) {
        fifo_ = place.directory() + "/held-fifo";
        said_ = place.directory() + "/held-said";
        std::remove(fifo_.c_str());
        std::remove(said_.c_str());
        place.require("mkfifo '" + fifo_ + "'");
        const std::string script =
            place.riskctl("exec", "--strategy s2 --durability durable") + " <'" + fifo_ + "' >'" + said_ + "' 2>&1";
        const std::string path = place.directory() + "/held.sh";
        std::ofstream(path) << script << '\n';
        REQUIRE(std::system((wrapper + " sh '" + path + "' & exec 9>'" + fifo_ + "'; (sleep 120 >&9) & echo $! >'" +
                             place.directory() + "/held-pid'")
                                .c_str()) == 0);
    }
    ~Held() { end(); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;

    /// The answer to one order, on disk when it is given.
    std::string order(const std::string& id) {
        const std::size_t before = lines();
        std::ofstream(fifo_) << R"({"op":"register","id":")" << id
                             << R"(","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"100","quantity":"1"})"
                             << '\n';
        for (int i = 0; i < 2000 && lines() == before; ++i) ::usleep(10'000);
        return slurp(said_);
    }
    void end() {
        if (ended_) return;
        ended_ = true;
        std::system(("kill $(cat '" + place_.directory() + "/held-pid') 2>/dev/null").c_str());
        // What it had attached to is free again.
        for (int i = 0; i < 2000 && !is_free(); ++i) ::usleep(10'000);
    }

private:
    [[nodiscard]] std::size_t lines() const {
        const std::string text = slurp(said_);
        return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    }
    [[nodiscard]] bool is_free() const {
        // Only riskctl: a bind mount of the directory has its name on its command line, too, and stays.
        return std::system(("pgrep -f '[r]iskctl.* " + place_.state() + "' >/dev/null").c_str()) != 0;
    }
    const Place& place_;
    std::string fifo_, said_;
    bool ended_ = false;
};

constexpr const char* kOwnShm = "unshare --mount sh -c 'mount -t tmpfs tmpfs /dev/shm && exec \"$@\"' x";

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("environment: a LOCK that is removed under a live session makes no second registry, and is given back",
          "[environment][inv-7][inv-9]") {
    const Place place;
    Cells cells("LOCK removed");
    place.require(place.create());
    {
        Held held(place);
        REQUIRE(has(held.order("O-1"), R"("id":"O-1","result":"accepted")"));
        place.require("rm '" + place.state() + "/" + place.name() + "/LOCK'");
        cells.refused("trade beside it", place.run(place.trade("X-1")), 3,
                      {"End", "riskctl exec", "--restore-lock", "--new-token"});
        cells.refused("recover beside it", place.run(place.riskctl("recover")), 3, {"pid", "uid 0"});
        cells.refused("restore beside it", place.run(place.riskctl("recover", "--restore-lock")), 3, {"End"});
        REQUIRE(has(held.order("O-2"), R"("id":"O-2","result":"accepted")"));
        cells.works("who is attached trades on, durably");
    }
    cells.refused("trade when nobody is attached", place.run(place.trade("X-2")), 3, {"--restore-lock", "nobody uses it"});
    cells.refused("a new token for what is no copy", place.run(place.riskctl("recover", "--new-token")), 3,
                  {"is no copy", "--restore-lock"});
    place.require(place.riskctl("recover", "--restore-lock"));
    for (const char* id : {"O-1", "O-2"}) place.require_order(id);
    place.require_trade("O-3");
    cells.works("restore LOCK, and nothing is lost");
    CHECK_FALSE(has(place.run(place.riskctl("orders", "--json")).out, "X-"));
}

TEST_CASE("environment: a copy of a directory in use is refused, and becomes a registry of its own by word only",
          "[environment][inv-7]") {
    const Place place;
    Cells cells("copied directory");
    place.require(place.create());
    place.require_trade("O-1");
    const std::string copy = place.directory() + "/copy";
    place.require(place.riskctl("checkpoint"));
    place.require("cp -a '" + place.state() + "' '" + copy + "'");
    const auto in_copy = [&](std::string command) {
        for (std::size_t at = command.find(place.state()); at != std::string::npos;
             at = command.find(place.state(), at + copy.size()))
            command.replace(at, place.state().size(), copy);
        return command;
    };
    {
        Held held(place);
        REQUIRE(has(held.order("O-2"), R"("result":"accepted")"));
        cells.refused("trade in the copy", place.run(in_copy(place.trade("X-1"))), 3,
                      {"copy of one that is in use", "--new-token", "pid"});
        place.require(in_copy(place.riskctl("recover", "--new-token")));
        cells.works("a token of its own");
        REQUIRE(has(held.order("O-3"), R"("result":"accepted")"));
        CHECK_FALSE(has(place.run(in_copy(place.riskctl("orders", "--json"))).out, "O-2"));
    }
    for (const char* id : {"O-1", "O-2", "O-3"}) place.require_order(id);
    cells.works("the original goes on");
    // Both have memory of their own by now, of one creation: neither takes the other's.
    place.require("rm -f /dev/shm/riskreg.*." + place.name());
    place.require(place.riskctl("recover"));
    place.require(in_copy(place.riskctl("recover")));
    for (const char* id : {"O-1", "O-2", "O-3"}) place.require_order(id);
    CHECK(has(place.run(in_copy(place.riskctl("orders", "--json"))).out, "O-1"));
    cells.works("both come back from their own files");
    place.require(in_copy(place.riskctl("destroy", "--yes")));
    place.require_order("O-3");
}

TEST_CASE("environment: a directory may be moved, and a link to one is refused", "[environment]") {
    const Place place;
    Cells cells("moved directory");
    place.require(place.create());
    place.require_trade("O-1");
    place.require("mv '" + place.state() + "' '" + place.directory() + "/elsewhere' && mkdir -m 700 '" + place.state() +
                  "' && mv '" + place.directory() + "/elsewhere/" + place.name() + "' '" + place.state() + "/'");
    place.require_trade("O-2");
    place.require_order("O-1");
    cells.works("moved, with its memory");
    place.require("mkdir -m 700 '" + place.directory() + "/links' && ln -s '" + place.state() + "/" + place.name() + "' '" +
                  place.directory() + "/links/" + place.name() + "'");
    cells.refused(
        "look through a link",
        place.run("'" RISKREG_BIN_DIR "/riskctl' status " + place.name() + " --state-dir '" + place.directory() + "/links'"), 3,
        {"is a symbolic link"});
}

TEST_CASE("environment: another view of /dev/shm makes no second registry", "[environment][inv-7][inv-9]") {
    if (!may(kOwnMounts)) return;
    const Place place;
    Cells cells("own /dev/shm");
    place.require(place.create());
    place.require_trade("O-1");
    {
        Held held(place);
        REQUIRE(has(held.order("O-2"), R"("result":"accepted")"));
        cells.refused("trade beside the attached", place.run(place.trade("X-1"), kOwnShm), 3, {"another /dev/shm", "pid"});
        cells.refused("look beside the attached", place.run(place.riskctl("status"), kOwnShm), 3, {"another /dev/shm"});
        cells.refused("its word does not help beside the attached",
                      place.run(place.riskctl("recover", "--i-am-alone"), kOwnShm), 3, {"another /dev/shm"});
        // Without the LOCK file only the host's lock on its journal tells.
        place.require("mv '" + place.state() + "/" + place.name() + "/LOCK' '" + place.directory() + "/LOCK'");
        cells.refused("LOCK gone as well", place.run(place.riskctl("recover", "--i-am-alone"), kOwnShm), 3,
                      {"writes its journal", "pid"});
        place.require("mv '" + place.directory() + "/LOCK' '" + place.state() + "/" + place.name() + "/LOCK'");
        REQUIRE(has(held.order("O-3"), R"("result":"accepted")"));
    }
    cells.refused("recover when nobody is attached", place.run(place.riskctl("recover"), kOwnShm), 3,
                  {"--i-am-alone", "cannot be seen from here"});
    cells.refused("create there", place.run(place.create(), kOwnShm), 2, {"exists already"});
    for (const char* id : {"O-1", "O-2", "O-3"}) place.require_order(id);
    place.require_trade("O-4");
    cells.works("the memory is used where it is");
    place.require(place.riskctl("recover", "--i-am-alone"), kOwnShm);
    cells.works("by word, rebuilt from the files");
    // From now on the older memory here is not the registry any more.
    cells.refused("the old memory", place.run(place.trade("X-2")), 3, {"another /dev/shm"});
}

TEST_CASE("environment: memory that is older than the disk is not adopted, and no sealed file is overwritten",
          "[environment][inv-9]") {
    const Place place;
    Cells cells("stale segment");
    place.require(place.create());
    place.require_trade("O-1");
    const std::string segment = place.segment(), kept = place.directory() + "/old-memory";
    place.require("cp '" + segment + "' '" + kept + "'");
    place.require_trade("O-2");
    place.require_trade("O-3");
    place.require("rm '" + segment + "' && cp '" + kept + "' '" + segment + "' && chmod 600 '" + segment + "'");
    cells.refused("trade", place.run(place.trade("X-1")), 4, {"go further than the segment", "--from-disk"});
    cells.refused("recover", place.run(place.riskctl("recover")), 4, {"--from-disk"});
    place.require(place.riskctl("recover", "--from-disk"));
    for (const char* id : {"O-1", "O-2", "O-3"}) place.require_order(id);
    CHECK_FALSE(has(place.run(place.riskctl("orders", "--json")).out, "X-1"));
    cells.works("rebuilt from the files");
    const CliResult doctor = place.run(place.riskctl("doctor"));
    CHECK_THAT(doctor.out, Catch::Contains("damaged segment"));
    place.require(place.riskctl("doctor", "--clean >/dev/null; true"));
    CHECK_FALSE(has(place.run("ls /dev/shm").out, place.name() + ".poisoned-"));
    cells.works("doctor names what was set aside, and removes it");
}

TEST_CASE("environment: a header or a size that is damaged costs nothing when the journal is whole", "[environment][inv-9]") {
    Cells cells("damaged header");
    for (const char* damage : {"printf XXXX | dd of=SEGMENT bs=1 conv=notrunc 2>/dev/null", "truncate -s 8192 SEGMENT",
                               "printf '\\377\\377\\377' | dd of=SEGMENT bs=1 seek=44 conv=notrunc 2>/dev/null",
                               "printf XXXX | dd of=SEGMENT bs=1 seek=122 conv=notrunc 2>/dev/null",
                               "printf XXXX | dd of=SEGMENT bs=1 seek=162 conv=notrunc 2>/dev/null"}) {
        const Place place;
        INFO(damage);
        place.require(place.create());
        place.require_trade("O-1");
        std::string script = damage;
        script.replace(script.find("SEGMENT"), 7, "'" + place.segment() + "'");
        place.require(script);
        place.require(place.riskctl("recover"));
        place.require_order("O-1");
        cells.works(damage);
        place.require(place.riskctl("destroy", "--yes"));
        CHECK_FALSE(has(place.run("ls /dev/shm").out, "." + place.name()));
    }
}

TEST_CASE("environment: root is another user, and --as-owner is the way", "[environment][inv-12]") {
    if (!may(kOther)) return;
    const Place place;
    Cells cells("root on a user's registry");
    std::filesystem::permissions(place.directory(), std::filesystem::perms::all);
    place.require("mkdir -m 700 '" + place.state() + "' && chown 65534:65534 '" + place.state() + "'");
    place.require(place.create(), kOther);
    place.require(place.trade("O-1"), kOther);
    for (const char* verb : {"status", "orders", "verify", "checkpoint", "recover", "roll", "destroy --yes"})
        cells.refused(verb, place.run(place.riskctl(verb)), 3, {"belongs to uid 65534", "this process is uid 0", "--as-owner"});
    cells.refused("halt", place.run(place.riskctl("halt", "--scope firm --reason x")), 3, {"belongs to uid 65534", "sudo -u"});
    place.require(place.riskctl("halt", "--scope firm --reason x --as-owner"));
    const CliResult events = place.run(place.riskctl("events", "--type state_changed --as-owner"));
    CHECK_THAT(events.out, Catch::Contains(R"("uid":0)"));  // the person
    place.require(place.riskctl("checkpoint", "--as-owner"));
    CHECK(place
              .run("find '" + place.state() + "' /dev/shm -name '*" + place.name() + "*' -o -path '*" + place.name() +
                   "/*' | xargs stat -c %u | sort -u")
              .out == "65534\n");
    cells.works("halt and checkpoint as the owner; every file is the owner's");
    cells.refused("--as-owner by somebody else", place.run(place.riskctl("status", "--as-owner"), kOther), 2, {"only root"});
    const CliResult held = place.run(place.trade("O-2"), kOther);
    CHECK_THAT(held.out, Catch::Contains("halted"));
    cells.works("the owner's next order meets the halt");
    place.require(place.riskctl("destroy", "--yes --as-owner"));
}

TEST_CASE("environment: a directory that others may write is refused, and destroy takes only what is a registry's",
          "[environment][inv-12]") {
    const Place place;
    Cells cells("foreign directories");
    place.require(place.create());
    const std::string home = place.state() + "/" + place.name();
    place.require("chmod 777 '" + home + "'");
    cells.refused("trade", place.run(place.trade("O-1")), 3, {"may be written by others", "0777", "chmod go-w"});
    place.require("chmod 700 '" + home + "'; chmod 777 '" + place.state() + "'");
    cells.refused("trade below", place.run(place.trade("O-1")), 3, {"may be written by others"});
    place.require("chmod 1777 '" + place.state() + "'");
    place.require_trade("O-2");
    cells.works("sticky");
    place.require("mkdir '" + home + "/mine' && touch '" + home + "/mine/journal-00000000000000000002.log' '" + home +
                  "/notes.txt'");
    cells.refused("destroy without a word", place.run(place.riskctl("destroy")), 2, {"1 orders (1 live)", "files", "--yes"});
    const CliResult destroyed = place.run(place.riskctl("destroy", "--yes"));
    CHECK(destroyed.code == 0);
    CHECK_THAT(destroyed.out, Catch::Contains("mine/") && Catch::Contains("notes.txt"));
    CHECK(place.run("cd '" + home + "' && find . | sort | tr '\\n' ' '").out ==
          ". ./LOCK ./mine ./mine/journal-00000000000000000002.log ./notes.txt ");
    cells.works("destroy leaves and names what is not a registry's");
    cells.refused("destroy again", place.run(place.riskctl("destroy", "--yes")), 3, {"there is nothing"});
    cells.refused("trade", place.run(place.trade("O-3")), 3, {"was destroyed", "final"});
    const std::string other = place.state() + "/other";
    for (const char* lock : {"", "pid 17\n", "0123456789abcdef"}) {
        place.require("rm -rf '" + other + "'; mkdir -m 700 '" + other + "' && printf '" + lock + "' >'" + other +
                      "/LOCK' && chmod 600 '" + other + "/LOCK' && echo precious >'" + other +
                      "/checkpoint-00000000000000000005.json'");
        static_cast<void>(place.run("'" RISKREG_BIN_DIR "/riskctl' destroy other --force --state-dir '" + place.state() + "'"));
        CHECK(slurp(other + "/checkpoint-00000000000000000005.json") == "precious\n");
    }
    cells.works("a directory with somebody's LOCK in it is left alone");
}

namespace {

/// After a reboot: another boot id, and nothing in shared memory.
constexpr const char* kOtherBoot =
    "unshare --mount sh -c 'mount -t tmpfs tmpfs /dev/shm && echo 11111111-2222-3333-4444-555555555555 >/dev/shm/boot_id && "
    "mount --bind /dev/shm/boot_id /proc/sys/kernel/random/boot_id && exec \"$@\"' x";
/// Mounts such a file system, and runs what follows.
constexpr const char* kFuse =
    "sh -c 'd=$(mktemp -d) && mkdir \"$d/a\" \"$d/b\" && bindfs \"$d/a\" \"$d/b\" && umount \"$d/b\"; r=$?; rmdir \"$d/a\" "
    "\"$d/b\" "
    "\"$d\"; test $r = 0 && exec \"$@\"' x";
constexpr const char* kOtherClock = "unshare --time --boottime 100000 --fork";

}  // namespace

TEST_CASE("environment: after a reboot a registry on a local disk is rebuilt by one word", "[environment][inv-9]") {
    if (!may(kOtherBoot)) return;
    const Place place;
    Cells cells("reboot, local disk");
    place.require(place.create());
    place.require_trade("O-1", {});
    cells.refused("look", place.run(place.riskctl("status"), kOtherBoot), 3, {"rebooted", "riskctl recover"});
    const CliResult second =
        place.run(place.riskctl("recover") + " && " + place.riskctl("resume", "--unreconciled --reason compared") + " && " +
                      place.trade("O-2") + " && " + place.riskctl("orders") + " && " + place.riskctl("verify") + " && " +
                      place.riskctl("doctor"),
                  kOtherBoot);
    INFO(second.out << second.err);
    CHECK(has(second.out, R"("result":"accepted")"));
    CHECK(has(second.out, "O-1"));
    cells.works("recover, resume, trade, verify");
    // And the first boot's memory, should it still be there (a restored machine), is older than the disk.
    cells.refused("the memory of before", place.run(place.trade("O-3")), 4, {"older memory", "recover", "--from-disk"});
    place.require("rm -f '" + place.segment() + "'");
}

TEST_CASE(
    "environment: after a reboot a registry on a network file system may be another machine's, until somebody says that it is "
    "not",
    "[environment][inv-7]") {
    if (!may(kOtherBoot) || !may(kFuse)) return;
    const Place place;
    Cells cells("reboot, network file system");
    place.require("mkdir '" + place.directory() + "/real' '" + place.state() + "' && chmod 700 '" + place.directory() +
                  "/real'");
    // The kernel tells nothing of what is behind a FUSE file system: it counts as one of the network.
    place.require("bindfs '" + place.directory() + "/real' '" + place.state() + "'");
    struct Unmount {
        const Place& place;
        ~Unmount() { static_cast<void>(place.run("umount '" + place.state() + "'")); }
    } unmount{place};
    place.require(place.create());
    place.require_trade("O-1");
    for (const char* verb : {"status", "orders", "recover", "doctor"}) {
        if (std::string(verb) == "doctor") continue;
        cells.refused(verb, place.run(place.riskctl(verb), kOtherBoot), 3, {"network file system", "--i-am-alone"});
    }
    cells.refused("trade", place.run(place.trade("O-2"), kOtherBoot), 3, {"network file system", "--i-am-alone"});
    const CliResult alone = place.run(place.riskctl("recover", "--i-am-alone") + " && " + place.riskctl("orders"), kOtherBoot);
    INFO(alone.out << alone.err);
    CHECK(alone.code == 0);
    CHECK(has(alone.out, "O-1"));
    cells.works("recover --i-am-alone");
    place.require("rm -f '" + place.segment() + "'");
}

TEST_CASE(
    "environment: the same directory through another mount, with another device number, is the same registry or is refused",
    "[environment][inv-7]") {
    if (!may(kFuse)) return;
    const Place place;
    Cells cells("another device number");
    place.require(place.create());
    place.require_trade("O-1");
    const std::string other = place.directory() + "/other";
    place.require("mkdir '" + other + "' && chmod 700 '" + other + "' && bindfs '" + place.state() + "' '" + other + "'");
    struct Unmount {
        const Place& place;
        const std::string& at;
        ~Unmount() { static_cast<void>(place.run("umount '" + at + "'")); }
    } unmount{place, other};
    REQUIRE(place.run("test $(stat -c %d '" + other + "') != $(stat -c %d '" + place.state() + "')").code == 0);
    const auto there = [&](std::string command) {
        for (std::size_t at = command.find(place.state()); at != std::string::npos; at = command.find(place.state(), at))
            command.replace(at, place.state().size(), other), at += other.size();
        return place.run(command);
    };
    CHECK(has(there(place.trade("O-2")).out, R"("result":"accepted")"));
    place.require_order("O-2");
    cells.works("nobody is attached");
    {
        // Its locks may not reach from one mount to the other: the segment itself says that it is in use.
        Held held(place);
        REQUIRE(has(held.order("O-3"), R"("result":"accepted")"));
        const CliResult beside = there(place.trade("O-4"));
        INFO(beside.out << beside.err);
        if (beside.code == 0) CHECK(has(beside.out, R"("result":"accepted")"));
        else CHECK(has(beside.err, "is used by"));
        beside.code == 0 ? cells.works("beside others") : cells.refused("beside others", beside, 3, {"is used by"});
        if (beside.code != 0)
            cells.refused("recover --new-token", there(place.riskctl("recover", "--new-token")), 3,
                          {"is no copy", place.state().c_str()});
        REQUIRE(has(held.order("O-5"), R"("result":"accepted")"));
        const CliResult orders = place.run(place.riskctl("orders", "--json"));
        CHECK(has(orders.out, "O-4") == (beside.code == 0));
        CHECK(has(orders.out, "O-5"));
    }
    place.require(place.riskctl("verify"));
    CHECK(there(place.riskctl("verify")).code == 0);
    cells.works("one registry afterwards, by both ways");
}

TEST_CASE("environment: a process of another time namespace is refused, whoever came first", "[environment][inv-11]") {
    if (!may(kOtherClock)) return;
    const Place place;
    Cells cells("other time namespace");
    place.require(place.create());
    place.require_trade("O-1");
    for (const char* verb : {"status", "orders", "verify", "recover"})
        cells.refused(verb, place.run(place.riskctl(verb), kOtherClock), 3, {"another time namespace", "--from-disk"});
    cells.refused("trade", place.run(place.trade("O-2"), kOtherClock), 3, {"another time namespace"});
    cells.refused("halt", place.run(place.riskctl("halt", "--scope firm --reason x"), kOtherClock), 3,
                  {"another time namespace"});
    {
        Held held(place);
        REQUIRE(has(held.order("O-2"), R"("result":"accepted")"));
        cells.refused("beside others", place.run(place.trade("O-3"), kOtherClock), 3,
                      {"another time namespace", "Start this process in the same one"});
    }
    place.require_trade("O-4");
    cells.works("the first ones trade on");
    // By an operator's word it moves over, and then the others are strangers.
    place.require(place.riskctl("recover", "--from-disk") + " && " +
                      place.riskctl("resume", "--unreconciled --reason compared") + " && " + place.trade("O-5") + " && " +
                      place.riskctl("verify"),
                  kOtherClock);
    cells.works("recover --from-disk there");
    cells.refused("and then from here", place.run(place.riskctl("status")), 3, {"another time namespace"});
    place.require("rm -f '" + place.segment() + "'");
}
