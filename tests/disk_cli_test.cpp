// What is on disk, through the command line: what an operator and a script rely on after a reboot.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "support/child.hpp"
#include "support/cli.hpp"

namespace {

using namespace riskreg::testing;

/// One instrument, one strategy, a ring so small that files of a megabyte hold some thousand events.
std::string journaled_config(const std::string& persistence = {}) {
    return R"({"capacity":{"orders":16384,"executions":1024,"ring_events":1024,"sessions":8},"persistence":{"mode":"async",)"
           R"("checkpoint_interval_s":3600)" +
           persistence +
           R"(},"require_limits":false,"allow_limit_without_reference":true,"self_match":"allow",)"
           R"("instruments":[{"id":"ESH4","tick":"0.25"}],"accounts":[{"id":"A1"}],)"
           R"("strategies":[{"id":"s1","account":"A1"}],"limits":[]})";
}

std::string registers(int from, int to) {
    std::string text;
    for (int i = from; i < to; ++i)
        text += R"({"op":"register","id":"O-)" + std::to_string(i) +
                R"(","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"100","quantity":"1"})" + "\n";
    return text;
}

/// What a reboot does to shared memory. The registry's name is this test's own.
void lose_memory(const std::string& name) {
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm"))
        if (entry.path().filename().string().ends_with("." + name)) std::filesystem::remove(entry.path());
}

/// A name that no parallel test uses.
std::string own_name() { return "disk-" + std::to_string(::getpid()); }

std::size_t accepted_in(const CliResult& result) {
    std::size_t count = 0;
    for (const auto& line : result.lines())
        if (text_of(line, "result") == "accepted" && text_of(line, "durability").empty()) ++count;
    return count;
}

std::size_t orders_of(const Cli& cli, const std::string& name) { return cli.run("orders --json " + name).lines().size(); }

}  // namespace

TEST_CASE("whatever a tool did alone is on disk when it ends, however short it lived", "[persist][cli]") {
    const std::string name = own_name();
    for (int round = 0; round < 10; ++round) {
        INFO("round " << round);
        const Cli cli;
        cli.create(name, journaled_config());
        REQUIRE(cli.run("halt " + name + " --scope strategy:s1 --reason disaster").code == 0);
        REQUIRE(cli.run("resume " + name + " --scope strategy:s1 --reason over").code == 0);
        REQUIRE(accepted_in(cli.run("exec " + name + " --strategy s1", registers(0, 3))) == 3);
        REQUIRE(cli.run("limit " + name + " --scope firm max_long=7").code == 0);
        lose_memory(name);
        REQUIRE(cli.run("recover " + name).code == 0);
        CHECK(orders_of(cli, name) == 3);
        CHECK(text_of(cli.run("limits --json " + name + " --scope firm").lines().at(0), "max_long") == "7");
    }
}

TEST_CASE("replay rebuilds a registry whose segment is gone, like every tool that attaches", "[persist][cli]") {
    const Cli cli;
    const std::string name = own_name();
    cli.create(name, journaled_config());
    lose_memory(name);
    const std::string flow = cli.file("flow.csv", "ts_ns,action,side,order_id,price,size\n1,A,buy,1,100,1\n");
    const CliResult result = cli.run("replay " + name + " '" + flow + "'");
    INFO(result.err);
    CHECK(result.code == 0);
}

TEST_CASE("after an accepted loss what is answered as durable stays, and old files are never taken for the continuation",
          "[persist][cli][inv-9]") {
    const Cli cli;
    const std::string name = own_name();
    const std::string directory = cli.directory() + "/state/" + name;
    cli.create(name, journaled_config(R"(,"keep_journal":true)"));
    // Enough for a second file; then damage in the first.
    REQUIRE(accepted_in(cli.run("exec --durability durable --strategy s1 " + name, registers(0, 4500))) == 4500);
    std::fstream first(directory + "/journal-00000000000000000002.log", std::ios::in | std::ios::out | std::ios::binary);
    first.seekp(4096 * 40 + 200);
    first.put('!');
    first.close();
    lose_memory(name);
    REQUIRE(cli.run("recover " + name).code == 4);
    const CliResult loss = cli.run("recover --accept-loss " + name);
    INFO(loss.out << loss.err);
    REQUIRE(loss.code == 0);
    const std::size_t left = orders_of(cli, name);
    REQUIRE(left < 4500);
    REQUIRE(cli.run("resume " + name + " --unreconciled --reason checked").code == 0);
    REQUIRE(cli.run("resume " + name + " --scope strategy:s1 --reason checked").code < 2);
    const CliResult again = cli.run("exec --durability durable --strategy s1 " + name, registers(10000, 10200));
    REQUIRE(accepted_in(again) == 200);
    lose_memory(name);
    const CliResult recovered = cli.run("recover " + name);
    INFO(recovered.out << recovered.err);
    REQUIRE(recovered.code == 0);
    CHECK(orders_of(cli, name) == left + 200);
}

TEST_CASE("a process that may open few files does not take that for damage", "[persist][cli]") {
    const Cli cli;
    const std::string name = own_name();
    const std::string directory = cli.directory() + "/state/" + name;
    cli.create(name, journaled_config(R"(,"keep_journal":true)"));
    // Each host that is killed leaves its file behind.
    for (int round = 0; round < 12; ++round) {
        const std::string command = "export RISKREG_STATE_DIR='" + cli.directory() + "/state'; (cat '" +
                                    cli.file("in", registers(round, round + 1)) +
                                    "'; sleep 0.4) | timeout -s KILL 0.3 '" RISKREG_BIN_DIR "/riskctl' exec " + name +
                                    " --takeover --strategy s1 --durability durable >/dev/null 2>&1";
        static_cast<void>(std::system(command.c_str()));
        static_cast<void>(cli.run("resume " + name + " --scope strategy:s1 --reason again"));
    }
    lose_memory(name);
    const std::size_t files =
        static_cast<std::size_t>(std::count_if(std::filesystem::directory_iterator(directory), {}, [](const auto& entry) {
            return entry.path().filename().string().starts_with("journal-");
        }));
    REQUIRE(files > 6);
    // exec without redirections behind the limit: the shell's own descriptors would not fit either.
    const std::string recover = "export RISKREG_STATE_DIR='" + cli.directory() +
                                "/state'; (ulimit -n 12; exec '" RISKREG_BIN_DIR "/riskctl' recover " + name +
                                ") >/dev/null 2>&1";
    const int status = std::system(recover.c_str());
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(orders_of(cli, name) == 12);
}

TEST_CASE("a key file that is gone stops checkpoints, not the kill switch", "[persist][cli][inv-12]") {
    const Cli cli;
    const std::string name = own_name();
    const std::string key = cli.key("key", "0123456789abcdef");
    cli.create(name, journaled_config(R"(,"key_file":")" + key + "\""));
    std::filesystem::remove(key);
    // It is halted, and whoever halted it is told that this is in memory only.
    const CliResult halt = cli.run("halt " + name + " --scope firm --reason test");
    CHECK(halt.code == 3);
    CHECK(halt.out.find("firm is halted") != std::string::npos);
    CHECK(halt.err.find("are in memory only, not on disk: key") != std::string::npos);
    CHECK(cli.run("status --json " + name).out.find(R"("state":"halted")") != std::string::npos);
    const CliResult checkpoint = cli.run("checkpoint " + name);
    CHECK(checkpoint.code == 1);
    static_cast<void>(cli.key("key", "0123456789abcdef"));
    CHECK(cli.run("checkpoint " + name).code == 0);
}

TEST_CASE("a backup without LOCK is recovered", "[persist][cli]") {
    const Cli cli;
    const std::string name = own_name();
    cli.create(name, journaled_config());
    REQUIRE(accepted_in(cli.run("exec " + name + " --strategy s1 --durability durable", registers(0, 2))) == 2);
    lose_memory(name);
    std::filesystem::remove(cli.directory() + "/state/" + name + "/LOCK");
    CHECK(cli.run("recover " + name).code == 0);
    CHECK(orders_of(cli, name) == 2);
}

TEST_CASE("SIGTERM ends exec after the line that it works on", "[cli]") {
    const Cli cli;
    const std::string name = own_name();
    cli.create(name, journaled_config());
    const std::string in = cli.file("in", registers(0, 8000));
    const std::string command = "export RISKREG_STATE_DIR='" + cli.directory() +
                                "/state'; timeout -s TERM 0.15 '" RISKREG_BIN_DIR "/riskctl' exec " + name +
                                " --strategy s1 --durability durable '" + in + "' >'" + cli.directory() + "/out' 2>/dev/null";
    static_cast<void>(std::system(command.c_str()));
    std::ifstream out(cli.directory() + "/out");
    const auto lines = std::count(std::istreambuf_iterator<char>(out), {}, '\n');
    INFO(lines << " answers");
    CHECK(lines < 8000);
    CHECK(text_of(cli.run("sessions --json " + name).lines().at(0), "status") == "detached");
}

TEST_CASE("what was destroyed by force under its host is not written again", "[persist][cli]") {
    const Cli cli;
    const std::string name = own_name();
    cli.create(name, journaled_config());
    const std::string riskd = "export RISKREG_STATE_DIR='" + cli.directory() + "/state'; '" RISKREG_BIN_DIR "/riskd' " + name +
                              " --quiet 2>/dev/null & echo $! >'" + cli.directory() + "/pid'";
    static_cast<void>(std::system(riskd.c_str()));
    for (int i = 0; i < 500 && cli.run("status --json " + name).out.find("\"state\":\"running\"") == std::string::npos; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    REQUIRE(accepted_in(cli.run("exec " + name + " --strategy s1", registers(0, 5))) == 5);
    REQUIRE(cli.run("destroy --force " + name).code == 0);
    std::ifstream pid_file(cli.directory() + "/pid");
    pid_t pid = 0;
    pid_file >> pid;
    for (int i = 0; i < 1000 && ::kill(pid, 0) == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    CHECK(::kill(pid, 0) != 0);
    cli.create(name, journaled_config());
}

TEST_CASE("riskctl roll ends the day under a running session and says what was carried and cleared", "[roll][cli]") {
    const std::string name = own_name();
    Cli cli;
    cli.create(name, journaled_config());
    REQUIRE(accepted_in(cli.run("exec --strategy s1 " + name, registers(0, 4))) == 4);
    const std::string ends = R"({"op":"canceled","id":"O-0"})"
                             "\n"
                             R"({"op":"filled","id":"O-1","exec_id":"E-1","price":"100","quantity":"1"})"
                             "\n";
    REQUIRE(cli.run("exec --strategy s1 " + name, ends).code == 0);

    const CliResult kept = cli.run("roll --json --reason eod " + name);
    CAPTURE(kept.err);
    REQUIRE(kept.code == 0);
    const auto lines = kept.lines();
    const auto& rolled = lines.at(0);
    CHECK(text_of(rolled, "result") == "rolled");
    CHECK(text_of(rolled, "day") == "2");
    CHECK(text_of(*rolled.find("carried"), "orders") == "2");
    CHECK(text_of(*rolled.find("carried"), "day_orders") == "2");
    CHECK(text_of(*rolled.find("carried"), "positions") == "1");
    CHECK(text_of(*rolled.find("cleared"), "orders") == "2");
    CHECK(orders_of(cli, name) == 2);
    CHECK(cli.run("verify " + name).code == 0);

    const CliResult ended = cli.run("roll --expire-day " + name);
    CHECK(ended.code == 0);
    CHECK_THAT(ended.out, Catch::Contains("expired before: 2 day orders"));
    CHECK(orders_of(cli, name) == 0);
    CHECK(text_of(cli.run("status --json " + name).lines().at(0), "day") == "3");
    CHECK_THAT(cli.run("events --type rolled " + name).out, Catch::Contains("eod"));

    lose_memory(name);
    CHECK(cli.run("recover " + name).code == 0);
    CHECK(text_of(cli.run("status --json " + name).lines().at(0), "day") == "3");
    CHECK(cli.run("verify " + name).code == 0);
}

TEST_CASE("riskctl roll --day ends that day or nothing, and says who ended it and when", "[roll][cli]") {
    const std::string name = own_name();
    Cli cli;
    cli.create(name, journaled_config());
    CHECK(text_of(cli.run("status --json " + name).lines().at(0), "day") == "1");
    CHECK(cli.run("roll --day 0 " + name).code == 2);
    const CliResult early = cli.run("roll --json --day 2 " + name);
    CHECK(early.code == 1);
    CHECK(early.out.empty());
    CHECK_THAT(early.err, Catch::Contains("nothing was ended: day 1 is open, not 2") && Catch::Contains("was created"));

    const CliResult first = cli.run("roll --json --day 1 " + name);
    REQUIRE(first.code == 0);
    CHECK(first.err.empty());
    CHECK(text_of(first.lines().at(0), "ended_day") == "1");
    CHECK(text_of(first.lines().at(0), "previous_seq") == "0");
    CHECK(first.lines().at(0).find("previous_time")->is(riskreg::persist::JsonValue::Kind::null));
    const std::string seq = text_of(first.lines().at(0), "seq");

    const CliResult second = cli.run("roll --day 1 " + name);
    CHECK(second.code == 1);
    const std::string uid = std::to_string(::getuid());
    CHECK_THAT(second.err, Catch::Contains("nothing was ended: day 2 is open, not 1") &&
                               Catch::Contains("uid " + uid + " ended day 1 ") && Catch::Contains(" s ago"));
    CHECK(text_of(cli.run("status --json " + name).lines().at(0), "day") == "2");
    CHECK(text_of(cli.run("status --json " + name).lines().at(0), "rolled_uid") == uid);
    CHECK_THAT(cli.run("status " + name).out, Catch::Contains("2, begun behind event " + seq + " by uid " + uid));

    // Nobody is asked where nobody sits.
    const CliResult unasked = cli.run("roll --json " + name);
    CHECK(unasked.code == 0);
    CHECK_THAT(unasked.err, Catch::Contains("warning: day 2 is ended, and uid " + uid + " ended day 1 "));
    CHECK(text_of(unasked.lines().at(0), "ended_day") == "2");
    CHECK(text_of(unasked.lines().at(0), "previous_seq") == seq);
    CHECK(text_of(unasked.lines().at(0), "previous_time").starts_with("20"));

    // Known from the files as well.
    lose_memory(name);
    CHECK(cli.run("recover " + name).code == 0);
    CHECK_THAT(cli.run("roll --day 1 " + name).err, Catch::Contains("uid " + uid + " ended day 2 "));
}

TEST_CASE("riskctl roll asks a person at a terminal about a day that has just begun", "[roll][cli]") {
    const std::string name = own_name();
    Cli cli;
    cli.create(name, journaled_config());
    const auto typed = [&](const std::string& answer, const std::string& more) {
        const std::string line = "export RISKREG_STATE_DIR='" + cli.directory() + "/state'; printf '" + answer +
                                 "\\n' | script -qec \"'" RISKREG_BIN_DIR "/riskctl' roll " + more + name + "\" /dev/null >'" +
                                 cli.directory() + "/said' 2>&1";
        return WEXITSTATUS(std::system(line.c_str()));
    };
    if (std::system("command -v script >/dev/null") != 0) {
        WARN("SKIPPED: there is no script(1) here");
        return;
    }
    CHECK(typed("yes", "") == 1);
    CHECK(text_of(cli.run("status --json " + name).lines().at(0), "day") == "1");
    CHECK(typed("1", "") == 0);
    CHECK(text_of(cli.run("status --json " + name).lines().at(0), "day") == "2");
    CHECK(typed("", "--day 2 ") == 0);
    CHECK(text_of(cli.run("status --json " + name).lines().at(0), "day") == "3");
}

TEST_CASE("riskctl roll ends no day that is younger than the configuration's min_day_s", "[roll][cli]") {
    const std::string name = own_name();
    Cli cli;
    std::string config = journaled_config();
    config.insert(config.find('{') + 1, "\"min_day_s\": 3600,");
    cli.create(name, config);
    const CliResult refused = cli.run("roll --day 1 " + name);
    CHECK(refused.code == 1);
    CHECK_THAT(refused.err,
               Catch::Contains("the day goes on: day 1 is ") && Catch::Contains("`min_day_s` of the configuration is 3600"));
    CHECK(text_of(cli.run("status --json " + name).lines().at(0), "day") == "1");
}

namespace {

/// A riskd in the background, ended by its number at the end. Waits for what `status --json` says.
class Riskd {
public:
    Riskd(const Cli& cli, std::string name) : cli_(cli), name_(std::move(name)) {
        const std::string command = "export RISKREG_STATE_DIR='" + cli.directory() + "/state'; '" RISKREG_BIN_DIR "/riskd' " +
                                    name_ + " --quiet 2>/dev/null & echo $! >'" + cli.directory() + "/pid'";
        static_cast<void>(std::system(command.c_str()));
        std::ifstream(cli.directory() + "/pid") >> pid_;
    }
    ~Riskd() { leave(); }
    Riskd(const Riskd&) = delete;
    Riskd& operator=(const Riskd&) = delete;

    [[nodiscard]] bool shows(const std::string& text) const {
        for (int i = 0; i < 1000; ++i) {
            if (cli_.run("status --json " + name_).out.find(text) != std::string::npos) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        return false;
    }
    void leave() {
        if (pid_ == 0) return;
        ::kill(pid_, SIGTERM);
        for (int i = 0; i < 2000 && ::kill(pid_, 0) == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
        pid_ = 0;
    }

private:
    const Cli& cli_;
    const std::string name_;
    pid_t pid_ = 0;
};

constexpr const char* kKey = "0123456789abcdef";

std::string first_journal(const Cli& cli, const std::string& name) {
    return cli.directory() + "/state/" + name + "/journal-00000000000000000002.log";
}

/// Everything that a recovery could have changed.
std::string files_of(const Cli& cli, const std::string& name) {
    std::vector<std::string> all;
    for (const auto& entry : std::filesystem::directory_iterator(cli.directory() + "/state/" + name)) {
        const std::string file = entry.path().filename().string();
        if (!file.starts_with("journal-") && !file.starts_with("checkpoint-")) continue;
        std::ifstream in(entry.path(), std::ios::binary);
        all.push_back(file + std::string(std::istreambuf_iterator<char>(in), {}));
    }
    std::sort(all.begin(), all.end());
    std::string text;
    for (const std::string& one : all) text += one;
    return text;
}

}  // namespace

TEST_CASE("a signed journal is recovered with its key, and a stranger's is refused by name", "[persist][cli][signing]") {
    const Cli cli, stranger;
    const std::string name = own_name();
    const std::string key = cli.key("key", kKey);
    cli.create(name, journaled_config(R"(,"key_file":")" + key + "\""));
    REQUIRE(accepted_in(cli.run("exec " + name + " --strategy s1 --durability durable", registers(0, 3))) == 3);
    lose_memory(name);
    REQUIRE(cli.run("recover " + name).code == 0);
    CHECK(orders_of(cli, name) == 3);
    CHECK(cli.run("events --json --from 2 " + name).code == 0);

    const CliResult without = cli.run("journal-info '" + first_journal(cli, name) + "'");
    CHECK(without.code == 4);
    CHECK(without.err.find("is signed with a key, and none was given: give its key file: --key-file") != std::string::npos);
    const CliResult with = cli.run("journal-info --json --key-file '" + key + "' '" + first_journal(cli, name) + "'");
    CHECK(with.code == 0);
    CHECK(with.out.find("\"signed\":true") != std::string::npos);
    const std::string other = cli.key("other", "another key of ours");
    CHECK(cli.run("journal-info --key-file '" + other + "' '" + first_journal(cli, name) + "'").code == 4);

    lose_memory(name);
    CHECK(cli.run("recover --key-file '" + other + "' " + name).code == 4);
    stranger.create(name, journaled_config());
    REQUIRE(accepted_in(stranger.run("exec " + name + " --strategy s1 --durability durable", registers(7, 9))) == 2);
    lose_memory(name);
    for (const auto& entry : std::filesystem::directory_iterator(cli.directory() + "/state/" + name))
        if (entry.path().filename().string() != "LOCK") std::filesystem::remove(entry.path());
    std::filesystem::copy_file(first_journal(stranger, name), first_journal(cli, name));
    const std::string before = files_of(cli, name);
    const CliResult refused = cli.run("recover --key-file '" + key + "' " + name);
    CHECK(refused.code == 4);
    CHECK(refused.err.find("is not signed with the key of " + key) != std::string::npos);
    CHECK(files_of(cli, name) == before);
}

TEST_CASE("a host without its key writes nothing, says so, and goes on when it has it", "[persist][cli][signing]") {
    const Cli cli;
    const std::string name = own_name();
    const std::string key = cli.key("key", kKey);
    const std::string copy = cli.key("copy", kKey);
    cli.create(name, journaled_config(R"(,"key_file":")" + key + "\""));
    REQUIRE(accepted_in(cli.run("exec " + name + " --strategy s1 --durability durable", registers(0, 3))) == 3);
    std::filesystem::permissions(key, std::filesystem::perms::others_read, std::filesystem::perm_options::add);
    const std::string before = files_of(cli, name);
    Riskd riskd(cli, name);
    REQUIRE(riskd.shows("\"fault\":\"key\""));
    CHECK(accepted_in(cli.run("exec " + name + " --strategy s1", registers(3, 5))) == 2);
    CHECK(files_of(cli, name) == before);
    const auto is_said = [&] {
        std::ifstream log(cli.directory() + "/state/" + name + "/riskreg.log");
        const std::string said{std::istreambuf_iterator<char>(log), {}};
        return said.find("chmod 600 " + key) != std::string::npos;
    };
    riskreg::test::wait_until(is_said);

    std::filesystem::permissions(key, std::filesystem::perms::others_read, std::filesystem::perm_options::remove);
    REQUIRE(riskd.shows("\"fault\":\"\""));
    CHECK(accepted_in(cli.run("exec " + name + " --strategy s1 --durability durable", registers(5, 6))) == 1);
    riskd.leave();
    lose_memory(name);
    REQUIRE(cli.run("recover " + name).code == 0);
    CHECK(orders_of(cli, name) == 6);
}

TEST_CASE("a key that is removed while it is used is still held, a changed one is a gap, and everything is signed anew",
          "[persist][cli][signing]") {
    const Cli cli;
    const std::string name = own_name();
    const std::string key = cli.key("key", kKey);
    cli.create(name, journaled_config(R"(,"key_file":")" + key + "\""));
    {
        Riskd riskd(cli, name);
        REQUIRE(riskd.shows("\"state\":\"running\""));
        std::filesystem::remove(key);
        CHECK(accepted_in(cli.run("exec " + name + " --strategy s1 --durability durable", registers(0, 3))) == 3);
        CHECK(cli.run("checkpoint " + name).code == 0);
    }
    static_cast<void>(cli.key("key", "another key than before"));
    {
        Riskd riskd(cli, name);
        // Two checkpoints above the gap are on disk, both under the new key.
        REQUIRE(riskd.shows("\"gaps\":1"));
        REQUIRE(riskd.shows("\"fault\":\"\""));
        CHECK(accepted_in(cli.run("exec " + name + " --strategy s1 --durability durable", registers(3, 5))) == 2);
    }
    lose_memory(name);
    const CliResult recovered = cli.run("recover " + name);
    INFO(recovered.out << recovered.err);
    REQUIRE(recovered.code == 0);
    CHECK(orders_of(cli, name) == 5);
}

TEST_CASE("a registry is not created with a key that others may read", "[persist][cli][signing]") {
    const Cli cli;
    const std::string name = own_name();
    const std::string key = cli.key("key", kKey);
    std::filesystem::permissions(key, std::filesystem::perms::group_read, std::filesystem::perm_options::add);
    const CliResult result =
        cli.run("create " + name + " --config '" + cli.file("config", journaled_config(R"(,"key_file":")" + key + "\"")) + "'");
    CHECK(result.code != 0);
    CHECK(result.err.find("its mode is 0640") != std::string::npos);
    CHECK(result.err.find("chmod 600 " + key) != std::string::npos);
    CHECK(cli.run("status " + name).code != 0);
}
