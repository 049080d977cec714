// Checkpoints of every version before, as the builds of then wrote them (golden/checkpoints), are written anew and recovered.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/crash_point.hpp"
#include "persist/checkpoint.hpp"
#include "persist/digest.hpp"
#include "persist/migrate.hpp"
#include "riskreg/error.hpp"
#include "riskreg/registry.hpp"
#include "support/child.hpp"
#include "support/cli.hpp"
#include "support/temp_registry.hpp"

namespace riskreg::test {
namespace {

namespace fs = std::filesystem;
using testing::Cli;
using testing::CliResult;

constexpr const char* kName = "checkpoint-00000000000000000027.json";
constexpr const char* kNameOf3 = "checkpoint-00000000000000000038.json";

std::string golden(std::uint32_t version) {
    return std::string(RISKREG_SOURCE_DIR) + "/tests/golden/checkpoints/v" + std::to_string(version) + ".json";
}

std::string slurp(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// The directory of a registry `desk` in which the checkpoint of an old build is all there is.
struct Old {
    TempDir place;
    std::string name, directory = place.path() + "/desk", path;
    explicit Old(std::uint32_t version = persist::kOldestVersion)
        : name(version == persist::kOldestVersion ? kName : kNameOf3), path(directory + "/" + name) {
        fs::create_directory(directory);
        fs::permissions(directory, fs::perms::owner_all);
        fs::copy_file(golden(version), path);
    }
    Old(const Old&) = delete;
    Old& operator=(const Old&) = delete;
    /// All of them are one registry: what one left in memory would be a stray segment of the next.
    ~Old() {
        if (!fs::exists(directory + "/LOCK")) return;
        try {
            Registry::destroy("desk", place.path(), true, true);
        } catch (const Error&) {
            // destroyed already
        }
    }
    [[nodiscard]] persist::Migration migrate(const std::string& key_file = {}) const {
        persist::Directory open;
        REQUIRE_FALSE(persist::Directory::open(directory, open));
        return persist::migrate_checkpoint(open, name, open, name, key_file);
    }
    [[nodiscard]] std::vector<std::string> files() const {
        std::vector<std::string> names;
        for (const auto& entry : fs::directory_iterator(directory)) names.push_back(entry.path().filename().string());
        std::sort(names.begin(), names.end());
        return names;
    }
};

Registry open_desk(const Old& old, bool hosts = false) {
    ProcessConfig config;
    config.state_dir = old.place.path();
    config.host_snapshotter = hosts;
    config.request_timeout_ns = config.fact_timeout_ns = config.attach_timeout_ns = 10'000'000'000;
    return Registry::open("desk", config);
}

void require_content(const Reader& reader, std::size_t approvals = 1) {
    OrderView order;
    const AccountId account = reader.account("A1");
    REQUIRE(reader.find(account, "O-1", order));
    CHECK(order.cum_quantity == Quantity{100'000'000});
    CHECK(order.leaves_quantity == Quantity{400'000'000});
    REQUIRE(reader.find(account, "O-3", order));   // the first id of the chain
    CHECK(order.quantity == Quantity{400'000'000});
    REQUIRE(reader.find(account, "O-2", order));
    CHECK(order.status == OrderStatus::rejected);
    const StatusView status = reader.status();
    CHECK(status.unreconciled);
    CHECK(status.orders_total == 4);
    CHECK(status.quarantined_records == 1);
    CHECK(reader.exposure(reader.scope("account:A1/instrument:ESH4")).position == Quantity{300'000'000});
    CHECK(reader.exposure(reader.scope("strategy:mm2")).state == TradingState::halted);
    CHECK(reader.approvals().size() == approvals);
    CHECK(reader.audit().violations.empty());
}

void lose_memory(const Old& old) {
    const std::string segment = Reader::open("desk", old.place.path()).status().segment;
    REQUIRE(fs::remove("/dev/shm/" + segment));
}

}  // namespace

TEST_CASE("a checkpoint of every version before is migrated, recovered and traded on", "[persist][migrate][inv-9]") {
    const auto version = GENERATE(range(persist::kOldestVersion, persist::kCheckpointVersion));
    CAPTURE(version);
    const Old old(version);
    const std::size_t approvals = version == 2 ? 1 : 2;
    const std::string before = slurp(old.path);
    const persist::Migration done = old.migrate();
    CHECK(done.from == version);
    CHECK(done.head.seq == (version == 2 ? 27 : 38));
    CHECK(done.head.source == persist::CheckpointSource::migrated);
    CHECK(done.kept == ".v" + std::to_string(version) + "-" + old.name);
    CHECK(slurp(old.directory + "/" + done.kept) == before);
    {
        Registry registry = open_desk(old, true);
        require_content(registry.reader(), approvals);
        // Its journal goes on behind the checkpoint, without a gap.
        const Verdict halted = registry.halt(registry.reader().scope("account:A2"), TradingState::warn, "x");
        REQUIRE(halted.taken());
        wait_until([&] { return registry.status().durable >= halted.seq; });
        CHECK(registry.status().gaps == 0);
    }
    // And the next reboot needs no further word.
    lose_memory(old);
    {
        const Registry registry = open_desk(old);
        require_content(registry.reader(), approvals);
        CHECK(registry.reader().exposure(registry.reader().scope("account:A2")).state == TradingState::warn);
    }
    Registry::destroy("desk", old.place.path(), false, true);
    CHECK(old.files() == std::vector<std::string>{"LOCK"});
}

TEST_CASE("a checkpoint that names a block of the journal left behind is migrated without that name", "[persist][migrate]") {
    const Old old;
    std::string text = slurp(old.path);
    const std::size_t counts = text.find("\"counts\":");
    text.insert(counts, "\"journal\":{\"file\":2,\"last_seq\":27,\"hash\":\"2cd62883cbdf6acd\"},");
    text.erase(text.rfind("\"sha256\""));
    persist::StreamDigest digest({});
    digest.add(text);
    std::ofstream(old.path, std::ios::binary | std::ios::trunc) << text << "\"sha256\":\"" << digest.finish() << "\"}\n";
    static_cast<void>(old.migrate());
    CHECK(slurp(old.path).find("\"journal\"") == std::string::npos);
    Registry registry = open_desk(old, true);
    require_content(registry.reader());
}

TEST_CASE("a checkpoint of this version stays as it is, and is read as it is", "[persist][migrate][golden]") {
    const TempDir place;
    fs::copy_file(golden(persist::kCheckpointVersion), place.path() + "/c.json");
    persist::Directory directory;
    REQUIRE_FALSE(persist::Directory::open(place.path(), directory));
    const persist::Migration done = persist::migrate_checkpoint(directory, "c.json", directory, "c.json", {});
    CHECK(done.from == persist::kCheckpointVersion);
    CHECK(slurp(place.path() + "/c.json") == slurp(golden(persist::kCheckpointVersion)));
    persist::File file;
    REQUIRE_FALSE(directory.open_file("c.json", file));
    persist::CheckpointHead head;
    CHECK(persist::verify_checkpoint(file, {}, head).empty());
}

TEST_CASE("killed at any crash point, a migration leaves the old document or the new one under the name",
          "[persist][migrate][crash]") {
    for (std::uint64_t point = 1;; ++point) {
        const Old old;
        Child child([&] {
            base::arm_crash_point(point);
            static_cast<void>(old.migrate());
        });
        const bool killed = child.wait().was_killed();
        INFO("crash point " << point);
        // Again it comes to the same.
        const persist::Migration done = old.migrate();
        CHECK((done.from == persist::kOldestVersion || done.from == persist::kCheckpointVersion));
        persist::Directory directory;
        persist::File file;
        persist::CheckpointHead head;
        REQUIRE_FALSE(persist::Directory::open(old.directory, directory));
        REQUIRE_FALSE(directory.open_file(kName, file));
        CHECK(persist::verify_checkpoint(file, {}, head).empty());
        if (!killed) {
            CHECK(point > 3);
            break;
        }
    }
}

TEST_CASE("killed at any crash point, the first recovery of a migrated checkpoint is done again and comes to the same",
          "[persist][migrate][crash]") {
    for (std::uint64_t point = 1;; ++point) {
        const Old old;
        static_cast<void>(old.migrate());
        Child child([&] {
            base::arm_crash_point(point);
            static_cast<void>(open_desk(old));
        });
        const bool killed = child.wait().was_killed();
        INFO("crash point " << point);
        {
            const Registry registry = open_desk(old);
            require_content(registry.reader());
        }
        if (killed) continue;
        CHECK(point > 3);
        break;
    }
}

TEST_CASE("a journal that is lost after a migration is a loss, and is said to be one", "[persist][migrate]") {
    const Old old;
    static_cast<void>(old.migrate());
    { const Registry registry = open_desk(old); }
    lose_memory(old);
    for (const std::string& name : old.files())
        if (persist::first_seq_of(name) != 0) fs::remove(old.directory + "/" + name);
    CHECK_THROWS_WITH(open_desk(old), Catch::Contains("no journal file is left"));
}

TEST_CASE("what is no checkpoint, or a damaged one, is not migrated, and nothing changes", "[persist][migrate][input]") {
    const Old old;
    const std::string whole = slurp(old.path);
    const auto refused = [&](const std::string& text, const char* word) {
        std::ofstream(old.path, std::ios::binary | std::ios::trunc) << text;
        INFO(word);
        try {
            static_cast<void>(old.migrate());
            FAIL_CHECK("migrated");
        } catch (const Error& error) {
            CHECK_THAT(std::string(error.what()), Catch::Contains(word));
        }
        CHECK(slurp(old.path) == text);
        CHECK(old.files() == std::vector<std::string>{kName});
    };
    refused("", "does not end with a digest");
    refused("{}\n{}\n{}\n{}\n", "does not end with a digest");
    refused(whole.substr(0, whole.size() - 1), "has no end");
    for (std::size_t at = 9; at + 80 < whole.size(); at += 997) {
        std::string flipped = whole;
        flipped[at] = static_cast<char>(flipped[at] ^ 1);
        if (flipped[at] == '\n' || whole[at] == '\n') continue;
        refused(flipped, "not a checkpoint that can be taken over");
    }
}

TEST_CASE("riskctl migrate says what became of it, and names the journals that are left behind", "[cli][migrate]") {
    const Old old;
    const Cli cli;
    // A journal of the version before: its first words are all that is looked at.
    std::string journal(4096, '\0');
    journal.replace(0, 8, "RRSRJNL1");
    journal[8] = 1;
    std::ofstream(old.directory + "/journal-00000000000000000002.log", std::ios::binary) << journal;
    CliResult result = cli.run("recover desk --state-dir '" + old.place.path() + "'");
    CHECK(result.code != 0);
    CHECK_THAT(result.err, Catch::Contains("riskctl migrate"));
    result = cli.run("migrate '" + old.path + "'");
    INFO(result.err);
    CHECK(result.code == 0);
    for (const char* word :
         {"version 2 became 4", ".v2-checkpoint", "move away: journal-00000000000000000002.log", "riskctl recover desk"})
        CHECK_THAT(result.out, Catch::Contains(word));
    result = cli.run("recover desk --state-dir '" + old.place.path() + "'");
    CHECK(result.code == 4);
    CHECK_THAT(result.err, Catch::Contains("journal version 1") && Catch::Contains("move the old journals"));
    fs::remove(old.directory + "/journal-00000000000000000002.log");
    CHECK(cli.run("recover desk --state-dir '" + old.place.path() + "'").code == 0);
    CHECK(cli.run("verify desk --state-dir '" + old.place.path() + "'").code == 0);
    result = cli.run("migrate '" + old.path + "' --json");
    CHECK(result.code == 0);
    CHECK_THAT(result.out, Catch::Contains(R"("from":4)"));
    result = cli.run("migrate '" + golden(persist::kOldestVersion) + "' --output '" + old.place.path() + "/there.json'");
    CHECK(result.code == 0);
    CHECK(cli.run("checkpoint-info '" + old.place.path() + "/there.json'").code == 0);
    CHECK(cli.run("migrate '" + old.place.path() + "/none.json'").code == 2);
    CHECK(cli.run("destroy desk --force --state-dir '" + old.place.path() + "'").code == 0);
}

}  // namespace riskreg::test
