// Whatever of 0, 1 and 2 a program has closed: nothing of ours ever gets one of these numbers, and everything of ours is close-on-exec.
// Otherwise what is meant for a person is written over the segment or into the journal.
//
// The programs are looked at from outside, at every system call of each of their threads; a program of the library's user looks at
// itself, between its steps.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <thread>

#include "base/descriptor.hpp"
#include "riskreg/registry.hpp"
#include "support/child.hpp"
#include "support/cli.hpp"
#include "support/sanitized.hpp"
#include "support/temp_registry.hpp"

namespace {

using namespace riskreg;
using namespace riskreg::testing;
using riskreg::test::Child;
using riskreg::test::Shared;

/// Which of 0, 1 and 2 a program finds closed; every combination but none.
constexpr unsigned kCombinations = 7;

void close_standard(unsigned combination) {
    for (int number = 0; number < 3; ++number)
        if ((combination >> number & 1U) != 0) ::close(number);
}

std::string target_of(const std::string& process, int number) {
    char text[512];
    const ssize_t size = ::readlink(("/proc/" + process + "/fd/" + std::to_string(number)).c_str(), text, sizeof text);
    return size < 0 ? std::string() : std::string(text, static_cast<std::size_t>(size));
}

std::set<int> open_numbers(const std::string& process) {
    std::set<int> numbers;
    std::vector<std::string> names;
    static_cast<void>(base::list_directory("/proc/" + process + "/fd", names));
    for (const std::string& name : names) numbers.insert(std::atoi(name.c_str()));
    return numbers;
}

bool is_close_on_exec(const std::string& process, int number) {
    std::string text;
    if (!base::read_text("/proc/" + process + "/fdinfo/" + std::to_string(number), text)) return true;  // closed meanwhile
    const std::size_t at = text.find("flags:");
    return at != std::string::npos && (std::strtoul(text.c_str() + at + 6, nullptr, 8) & O_CLOEXEC) != 0;
}

/// What belongs to a registry, by where the descriptor leads.
bool is_ours(const std::string& target, const std::string& state_dir) {
    for (const char* prefix : {"/dev/shm/riskreg", "/memfd:", "socket:", "pipe:"})
        if (target.rfind(prefix, 0) == 0) return true;
    return target.rfind(state_dir, 0) == 0;
}

// ---- a program from outside -------------------------------------------------------------------------------------------

/// One run of a program under ptrace, stopped at every system call of every thread.
class Watched {
public:
    /// `arguments[0]` is a file in our bin directory. Output that is not closed goes to /dev/null.
    Watched(const std::vector<std::string>& arguments, const std::string& state_dir, unsigned combination)
        : arguments_(arguments), state_dir_(state_dir), combination_(combination) {}

    /// Its exit code. `stops_at`: SIGTERM is sent as soon as this is true, for programs that run until they are told.
    int run(const std::function<bool()>& stops_at = {});

    std::string fault;  ///< the first thing that must not be
    std::set<std::string> seen;  ///< what of ours was open at some time
    unsigned system_calls = 0;

private:
    [[noreturn]] void become();
    void look();
    void go_on(pid_t thread, int signal_number) { ::ptrace(PTRACE_SYSCALL, thread, nullptr, signal_number); }
    const std::vector<std::string>& arguments_;
    const std::string& state_dir_;
    const unsigned combination_;
    pid_t pid_ = -1;
};

void Watched::become() {
    const int null = ::open("/dev/null", O_RDWR);
    for (int number = 0; number < 3; ++number) ::dup2(null, number);
    if (null > 2) ::close(null);
    for (const int number : open_numbers("self"))
        if (number > 2) ::close(number);
    close_standard(combination_);
    ::setenv("RISKREG_STATE_DIR", state_dir_.c_str(), 1);
    std::vector<char*> words;
    const std::string program = std::string(RISKREG_BIN_DIR "/") + arguments_.front();
    for (const std::string& word : arguments_) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::execv(program.c_str(), words.data());
    ::_exit(127);
}

void Watched::look() {
    const std::string process = std::to_string(pid_);
    for (const int number : open_numbers(process)) {
        const std::string target = target_of(process, number);
        if (!is_ours(target, state_dir_)) continue;
        seen.insert(target);
        if (!fault.empty()) continue;
        if (number < 3) fault = target + " is " + std::to_string(number);
        else if (!is_close_on_exec(process, number)) fault = target + " is not close-on-exec";
    }
}

int Watched::run(const std::function<bool()>& stops_at) {
    pid_ = ::fork();
    if (pid_ == 0) become();
    int status = 0;
    ::waitpid(pid_, &status, 0);
    ::ptrace(PTRACE_SETOPTIONS, pid_, nullptr,
             PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK);
    go_on(pid_, 0);
    bool told = false;
    for (;;) {
        const pid_t thread = ::waitpid(-1, &status, __WALL);
        if (thread < 0) return -1;
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            if (thread == pid_) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            continue;
        }
        const int signal_number = WSTOPSIG(status);
        const bool at_system_call = signal_number == (SIGTRAP | 0x80);
        if (at_system_call && ++system_calls % 2 == 0) look();  // entries and exits alternate, more or less
        if (!told && stops_at && at_system_call && system_calls % 64 == 0 && stops_at()) {
            told = true;
            ::kill(pid_, SIGTERM);
        }
        const bool of_ptrace = at_system_call || signal_number == SIGTRAP || signal_number == SIGSTOP;
        go_on(thread, of_ptrace ? 0 : signal_number);
    }
}

constexpr const char* kConfig =
    R"({"capacity":{"orders":1024,"executions":1024,"ring_events":1024,"sessions":8},)"
    R"("persistence":{"mode":"async","checkpoint_interval_s":3600},"require_limits":false,)"
    R"("allow_limit_without_reference":true,"self_match":"allow","instruments":[{"id":"ESH4","tick":"0.25"}],)"
    R"("accounts":[{"id":"A1"}],"strategies":[{"id":"s1","account":"A1"},{"id":"s2","account":"A1"}],"limits":[]})";

constexpr const char* kOrder =
    R"({"op":"register","id":"O-1","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"1","quantity":"1"})";

/// A registry `desk` with one order, files as operators have them, and what must hold of it at every time.
class Place {
public:
    Place() {
        cli_.create("desk", kConfig);
        REQUIRE(cli_.run("exec desk --strategy s1", std::string(kOrder) + "\n").code == 0);
        REQUIRE(cli_.run("checkpoint desk").code == 0);
        copy("checkpoint-");
        copy("journal-");
    }
    [[nodiscard]] std::string state_dir() const { return cli_.directory() + "/state"; }
    [[nodiscard]] std::string file(const std::string& name, const std::string& content) const {
        return cli_.file(name, content);
    }
    [[nodiscard]] std::string path(const std::string& name) const { return cli_.directory() + "/" + name; }
    [[nodiscard]] CliResult run(const std::string& arguments) const { return cli_.run(arguments); }
    /// The segment's magic, its tables, and the journal are whole.
    void require_whole() const {
        const CliResult verified = cli_.run("verify desk");
        INFO(verified.out << verified.err);
        REQUIRE(verified.code == 0);
        for (const auto& entry : std::filesystem::directory_iterator(state_dir() + "/desk")) {
            const std::string name = entry.path().filename().string();
            if (name.rfind("journal-", 0) != 0 && name.rfind("checkpoint-", 0) != 0) continue;
            const CliResult looked = cli_.run(name.substr(0, name.find('-')) + "-info '" + entry.path().string() + "'");
            INFO(name << ": " << looked.out << looked.err);
            REQUIRE(looked.code == 0);
        }
    }

private:
    void copy(const std::string& kind) const {
        for (const auto& entry : std::filesystem::directory_iterator(state_dir() + "/desk"))
            if (entry.path().filename().string().rfind(kind, 0) == 0)
                std::filesystem::copy_file(entry.path(), path(kind), std::filesystem::copy_options::overwrite_existing);
    }
    Cli cli_;
};

bool may_watch() {
    if (riskreg::test::skipped_under_sanitizer("a sanitizer's runtime and ptrace do not go together")) return false;
    if (riskreg::test::may_trace()) return true;
    std::printf("SKIPPED: ptrace is not permitted here\n");
    return false;
}

void require_clean(const Watched& watched, const std::vector<std::string>& arguments, unsigned combination) {
    INFO(arguments[0] << ' ' << (arguments.size() > 1 ? arguments[1] : "") << ", closed: " << combination);
    CHECK(watched.fault.empty());
    CHECK(watched.fault == "");
}

using Words = std::vector<std::string>;

/// Every verb once; `other` is made and destroyed on the way.
std::vector<Words> verbs_in_order(const Place& place) {
    const std::string config = place.file("config.json", kConfig);
    const std::string lines = place.file("lines", std::string(kOrder) + "\n");
    const std::string flow = place.file("flow.csv", "ts_ns,action,side,order_id,price,size\n1,A,buy,1,100,1\n");
    const std::string load = place.file("load.json", R"({"positions":[]})");
    const std::string venue =
        place.file("venue.json", R"({"time":"2026-11-25T08:15:30Z","orders":[],"positions":[],"fills":[]})");
    std::ifstream golden(RISKREG_SOURCE_DIR "/tests/golden/checkpoints/v2.json", std::ios::binary);
    const std::string old = place.file("old", std::string(std::istreambuf_iterator<char>(golden), {}));
    return {{"create", "other", "--config", config},
            {"exec", "desk", "--strategy", "s2", lines},
            {"replay", "desk", "--into-live", "--processes", "2", flow},
            {"status", "desk"},
            {"orders", "desk"},
            {"order", "desk", "--account", "A1", "O-1"},
            {"exposure", "desk"},
            {"limits", "desk"},
            {"sessions", "desk"},
            {"restricted", "desk"},
            {"approvals", "desk"},
            {"events", "desk", "--from", "1"},
            {"verify", "desk"},
            {"doctor", "desk"},
            {"halt", "desk", "--scope", "account:A1", "--reason", "test"},
            {"resume", "desk", "--scope", "account:A1", "--reason", "test"},
            {"approve", "desk", "1"},
            {"limit", "desk", "--scope", "firm", "max_long=200"},
            {"restrict", "desk", "--scope", "strategy:s1", "--sides", "buy", "--reason", "test"},
            {"roll", "desk"},
            {"checkpoint", "desk"},
            {"checkpoint-info", place.path("checkpoint-")},
            {"journal-info", place.path("journal-")},
            {"clock", "desk", "--reason", "test"},
            {"migrate", old},
            {"recover", "desk"},
            {"load", "desk", load},
            {"reconcile", "desk", venue},
            {"destroy", "other"}};
}

// ---- a program of the library's user ------------------------------------------------------------------------------------

/// What a child tells of itself: it may have no stderr.
struct Told {
    std::array<char, 512> fault{};
    unsigned looks = 0, numbers = 0;
};

void tell(Told& told, const std::string& fault) {
    if (told.fault[0] == '\0') std::strncpy(told.fault.data(), fault.c_str(), told.fault.size() - 1);
}

/// Of what is open now and was not at the beginning.
class Look {
public:
    Look(Told& told, unsigned combination) : told_(told), combination_(combination), before_(open_numbers("self")) {}
    void at(const char* phase) const {
        ++told_.looks;
        for (const int number : open_numbers("self")) {
            if (before_.contains(number)) continue;
            const std::string target = target_of("self", number);
            if (target.empty() || target.find("/fd") != std::string::npos) continue;  // the list itself
            ++told_.numbers;
            const std::string where = std::string(" ") + phase + ", closed: " + std::to_string(combination_);
            if (number < 3) tell(told_, target + " is " + std::to_string(number) + where);
            if (!is_close_on_exec("self", number)) tell(told_, target + " is not close-on-exec" + where);
        }
    }

private:
    Told& told_;
    const unsigned combination_;
    const std::set<int> before_;
};

OrderRequest order(Registry& registry, const std::string& id) {
    OrderRequest request;
    request.id = id;
    request.account = registry.account("A1");
    request.instrument = registry.instrument("ESH4");
    request.side = Side::buy;
    request.price = Price{1'000'000'000};
    request.quantity = Quantity{100'000'000};
    return request;
}

ProcessConfig process(const std::string& state_dir, const std::string& strategy) {
    ProcessConfig config;
    config.state_dir = state_dir;
    config.strategy = strategy;
    config.host_snapshotter = true;
    config.durability = Durability::durable;
    config.durable_timeout_ns = config.request_timeout_ns = config.fact_timeout_ns = 60'000'000'000;
    return config;
}

void require(bool ok, const char* what) {
    if (!ok) throw std::runtime_error(what);
}

/// Creates, attaches as host, trades, rolls, forks, asks for a checkpoint, leaves, loses the memory, recovers.
void live_through(Told& told, unsigned combination, const std::string& state_dir) {
    close_standard(combination);
    const Look look(told, combination);
    Registry::create("desk", parse_config(kConfig), state_dir);
    look.at("created");
    std::string segment;
    {
        Registry registry = Registry::open("desk", process(state_dir, "s1"));
        look.at("attached");
        require(registry.check_and_register(order(registry, "L-1")).durability == Durability::durable, "register");
        look.at("traded");
        require(registry.roll("test").result == Result::ok, "roll");
        look.at("rolled");
        require(registry.checkpoint(60'000'000'000), "checkpoint");
        look.at("checkpointed");
        Child forked([&] {
            const Look again(told, combination);
            Registry other = Registry::open("desk", process(state_dir, "s2"));
            require(other.check_and_register(order(other, "L-2")).result == Result::accepted, "register in a child");
            again.at("in a forked child");
        });
        require(forked.wait().left_with(0), "the forked child");
        require(registry.check_and_register(order(registry, "L-3")).result == Result::accepted, "register after a fork");
        segment = registry.status().segment;
        look.at("forked");
    }
    look.at("left");
    std::filesystem::remove("/dev/shm/" + segment);
    static_cast<void>(Registry::recover("desk", state_dir, {}));
    look.at("recovered");
    require(Reader::open("desk", state_dir).audit().violations.empty(), "audit");
    look.at("looked");
    Registry::destroy("desk", state_dir, false, true);
    look.at("destroyed");
}

}  // namespace

TEST_CASE("riskd started without stderr does not greet over the segment", "[descriptors]") {
    const Place place;
    for (const char* closed : {"2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-", "0<&-"}) {
        INFO(closed);
        const std::string command =
            "timeout --preserve-status 1 '" RISKREG_BIN_DIR "/riskd' desk --state-dir '" + place.state_dir() + "' " + closed;
        CHECK(std::system(command.c_str()) == 0);
        place.require_whole();
    }
}

TEST_CASE("exec started without stdout does not answer into the segment or the journal", "[descriptors]") {
    const Place place;
    const std::string lines = place.file("lines", std::string(kOrder) + "\n");
    for (const char* closed : {"1>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"}) {
        INFO(closed);
        const std::string command = "'" RISKREG_BIN_DIR "/riskctl' exec desk --strategy s1 '" + lines + "' --state-dir '" +
                                    place.state_dir() + "' " + closed;
        CHECK(std::system(command.c_str()) == 0);
        place.require_whole();
    }
}

TEST_CASE("no verb ever has anything of ours at 0, 1 or 2, or open for the programs that it starts", "[descriptors]") {
    if (!may_watch()) return;
    unsigned runs = 0, calls = 0;
    std::set<std::string> seen;
    for (unsigned combination = 1; combination <= kCombinations; ++combination) {
        const Place place;
        const std::string state_dir = std::filesystem::canonical(place.state_dir());
        for (Words words : verbs_in_order(place)) {
            words.insert(words.begin(), "riskctl");
            Watched watched(words, state_dir, combination);
            const int code = watched.run();
            INFO(words[1] << ": exit code " << code);
            CHECK(code <= 1);
            require_clean(watched, words, combination);
            ++runs;
            calls += watched.system_calls;
            for (const std::string& target : watched.seen)
                seen.insert(std::filesystem::path(target).filename().string().substr(0, 7));
        }
        place.require_whole();
    }
    std::printf("descriptors: %u runs of riskctl, looked at %u system calls\n", runs, calls);
    // It was there to be seen.
    for (const char* name : {"LOCK", "riskreg", "journal", "checkpo"}) CHECK(seen.count(name) == 1);
}

TEST_CASE("riskd and the programs of the benchmark never have anything of ours at 0, 1 or 2", "[descriptors]") {
    if (!may_watch()) return;
    for (unsigned combination = 1; combination <= kCombinations; ++combination) {
        const Place place;
        const std::string state_dir = std::filesystem::canonical(place.state_dir());
        const Words riskd = {"riskd", "desk"};
        Watched host(riskd, state_dir, combination);
        const auto hosts = [&] { return Reader::open("desk", place.state_dir()).status().host_state == "running"; };
        CHECK(host.run(hosts) == 0);
        require_clean(host, riskd, combination);
        bool journal = false;
        for (const std::string& target : host.seen) journal |= target.find("/journal-") != std::string::npos;
        CHECK(journal);
        place.require_whole();
    }
}

TEST_CASE("a program that has closed 0, 1 or 2 and lives with the library finds nothing of it there", "[descriptors]") {
    for (unsigned combination = 1; combination <= kCombinations; ++combination) {
        const riskreg::test::TempDir directory;
        Shared<Told> told;
        Child child([&] {
            try {
                live_through(*told, combination, directory.path());
            } catch (const std::exception& error) {
                tell(*told, error.what());
            }
        });
        CHECK(child.wait().left_with(0));
        CHECK(std::string(told->fault.data()) == "");
        CHECK(told->looks == 11);
        CHECK(told->numbers > 5);
    }
}

TEST_CASE("a thread that reopens 1 all the time never finds its words in a file of ours, nor we ours in its", "[descriptors]") {
    const riskreg::test::TempDir directory;
    Shared<Told> told;
    Child child([&] {
        const std::string own = directory.path() + "/own";
        std::atomic<bool> ends{false};
        std::atomic<std::uint64_t> written{0};
        std::thread writer([&] {
            while (!ends.load()) {
                ::close(1);
                // Anybody's number by now. What a program does that reopens its log; it sees to it that it gets what it wants.
                const int opened = ::open(own.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
                // EBUSY: just now somebody else is being given 1.
                while (opened != 1 && ::dup2(opened, 1) < 0) std::this_thread::yield();
                for (int line = 0; line < 3; ++line)
                    if (::write(1, "NOT-YOURS", 9) == 9) ++written;
                if (opened != 1) ::close(opened);
            }
        });
        try {
            for (int round = 0; round < 20; ++round) {
                Registry::create("desk", parse_config(kConfig), directory.path());
                {
                    Registry registry = Registry::open("desk", process(directory.path(), "s1"));
                    require(registry.check_and_register(order(registry, "L-1")).result == Result::accepted, "register");
                    require(registry.checkpoint(60'000'000'000), "checkpoint");
                }
                require(Reader::open("desk", directory.path()).audit().violations.empty(), "audit");
                std::vector<std::string> names;
                require(base::list_directory(directory.path() + "/desk", names), "list");
                for (const std::string& name : names) {
                    std::string text;
                    require(base::read_text(directory.path() + "/desk/" + name, text, 1U << 24), "read");
                    if (text.find("NOT-YOURS") != std::string::npos) tell(*told, "found in " + name);
                }
                Registry::destroy("desk", directory.path(), false, true);
            }
        } catch (const std::exception& error) {
            tell(*told, error.what());
        }
        ends = true;
        writer.join();
        std::string text;
        static_cast<void>(base::read_text(own, text, 1U << 28));
        for (std::size_t at = 0; at < text.size(); at += 9)
            if (text.compare(at, 9, "NOT-YOURS") != 0) {
                tell(*told, "something of ours in its file");
                break;
            }
        told->numbers = static_cast<unsigned>(written.load());
    });
    CHECK(child.wait().left_with(0));
    CHECK(std::string(told->fault.data()) == "");
    CHECK(told->numbers > 0);
}
