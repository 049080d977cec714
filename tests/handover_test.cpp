// The snapshotter's host leaves its place in order to a process of higher rank that waits: who gets it, who does not, what a death
// at any point of it leaves behind, and that nothing is lost under load.

#include <catch2/catch.hpp>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "support/interposed.hpp"
#include "support/operations.hpp"
#include "support/persisted.hpp"
#include "support/sanitized.hpp"

namespace {

using namespace riskreg;
using namespace riskreg::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kLong = 60'000 * kMs;  // that only a hang can miss
constexpr milliseconds kPatience = seconds(60);

OrderRequest order_of(const Registry& registry, std::string_view id, Side side = Side::buy) {
    OrderRequest request;
    request.id = id;
    request.account = registry.account("A1");
    request.instrument = registry.instrument("ES");
    request.side = side;
    request.price = points(4800);
    request.quantity = lots(10);
    return request;
}

// ---- processes ----------------------------------------------------------------------------------

/// A program with the library that hosts or stands by with a rank; its fuse is lit when it is told to, or at once.
class Member {
public:
    Member(const PersistedRegistry& place, HostRank rank, const Fuse& fuse = {}, bool lit = true)
        : told_(std::make_unique<Shared<Told>>()), child_([&place, rank, fuse, told = told_.get(), lit] {
              (*told)->light = lit;
              live(place, rank, fuse, **told);
          }) {}

    void light() const {
        (*told_)->light = true;
        wait_until([&] { return (*told_)->lit.load() || has_ended(child_.pid()); });
    }
    void tell_to_leave() const { (*told_)->leave = true; }
    [[nodiscard]] Child& child() noexcept { return child_; }
    [[nodiscard]] std::uint64_t pid() const noexcept { return static_cast<std::uint64_t>(child_.pid()); }
    [[nodiscard]] bool is_dead() const { return has_ended(child_.pid()); }
    void stop() {
        child_.send(SIGSTOP);
        REQUIRE(child_.wait_for_stop().stopped_by(SIGSTOP));
    }

private:
    struct Told {
        std::atomic<bool> light, lit, leave;
    };
    static void live(const PersistedRegistry& place, HostRank rank, const Fuse& fuse, Told& told) {
        ProcessConfig config = place.process();
        config.host_snapshotter = true;
        config.host_rank = rank;
        const auto light = [&] {
            if (!told.light || told.lit) return;
            fuse.light();
            told.lit = true;
        };
        light();
        const Registry registry = Registry::open(place.name(), config);
        wait_until([&] {
            light();
            return told.leave.load();
        });
    }

    std::unique_ptr<Shared<Told>> told_;
    Child child_;
};

bool hosts(const Reader& reader, std::uint64_t pid) {
    const StatusView status = reader.status();
    return status.host_pid == pid && status.host_state == "running";
}
void wait_for_host(const Reader& reader, std::uint64_t pid) {
    wait_until([&] { return hosts(reader, pid); });
}

/// The real programs.
class Programs {
public:
    explicit Programs(const PersistedRegistry& place) : place_(place) {}
    [[nodiscard]] std::unique_ptr<Process> riskd(const std::string& errors) const {
        return std::make_unique<Process>("riskd", std::vector<std::string>{place_.name(), "--state-dir", place_.state_dir()},
                                         errors_of(errors));
    }
    [[nodiscard]] std::unique_ptr<Process> exec(const std::string& strategy) const {
        return std::make_unique<Process>(
            "riskctl",
            std::vector<std::string>{"exec", place_.name(), "--state-dir", place_.state_dir(), "--strategy", strategy,
                                     "--durability", "durable", "--durable-timeout-ms", "60000"},
            errors_of(strategy));
    }
    [[nodiscard]] std::string output_of(const std::string& verb, std::vector<std::string> more = {}) const {
        std::vector<std::string> arguments{verb, place_.name(), "--state-dir", place_.state_dir()};
        arguments.insert(arguments.end(), more.begin(), more.end());
        Process process("riskctl", arguments, errors_of(verb));
        process.close_input();
        std::string text;
        for (auto line = process.read_line(kPatience); line; line = process.read_line(kPatience)) text += *line + "\n";
        return text;
    }
    [[nodiscard]] std::string errors_of(const std::string& who) const { return place_.state_dir() + "/" + who + ".err"; }

private:
    const PersistedRegistry& place_;
};

/// One order, accepted and on disk.
void trade(Process& exec, const std::string& id) {
    exec.write(R"({"op":"register","id":")" + id +
               R"(","instrument":"ES","side":"buy","type":"limit","tif":"day","price":"4800","quantity":"1"})" + "\n");
    const std::optional<std::string> answer = exec.read_line(kPatience);
    REQUIRE(answer.has_value());
    CAPTURE(*answer);
    REQUIRE(answer->find(R"("result":"accepted")") != std::string::npos);
    REQUIRE(answer->find("pending") == std::string::npos);
}

void end_in_order(Process& process) {
    process.close_input();
    process.send(SIGTERM);
    const std::optional<int> status = process.wait(kPatience);
    REQUIRE(status.has_value());
    REQUIRE(WIFEXITED(*status));
    REQUIRE(WEXITSTATUS(*status) == 0);
}

std::uint64_t pid_of(const Process& process) { return static_cast<std::uint64_t>(process.pid()); }

/// What a time of nothing is counted in: rounds of the host's journaller.
void wait_for_rounds(const LiveSegment& live, int rounds, const std::function<void()>& each) {
    std::uint64_t beat = 0;
    for (int i = 0; i < rounds; ++i) {
        wait_until([&] { return layout::load_acquire(live.state().marks->heartbeat_ns) != beat; });
        beat = layout::load_acquire(live.state().marks->heartbeat_ns);
        each();
    }
}

/// The files alone tell what memory holds, and the journal alone does.
void require_disk_equals_memory(const PersistedRegistry& place) {
    const Reader reader = place.look();
    const StatusView status = reader.status();
    CAPTURE(place.log());
    CHECK(status.gaps == 0);
    CHECK(status.differences == 0);
    REQUIRE(status.durable == status.committed);
    REQUIRE(reader.audit().violations.empty());
    for (const From from : {From::empty, From::checkpoint}) {
        const Restored restored = restore_from_files(place, from);
        REQUIRE(restored.report.end_seq == status.committed);
        REQUIRE(core::digest(restored.tables.state) == reader.digest());
    }
}

// ---- load ---------------------------------------------------------------------------------------

struct LoadCounts {
    std::atomic<bool> stop;
    std::atomic<std::uint64_t> durable, other, checkpoints, not_written;
};

/// Two processes that trade durably, and one that asks for checkpoints. Every answer has a minute: only a hang can miss it.
class Load {
public:
    explicit Load(const PersistedRegistry& place) {
        for (const char* strategy : {"s1", "s2"})
            children_.push_back(Child([this, &place, strategy] { trade(place, strategy); }));
        children_.push_back(Child([this, &place] {
            Registry registry = place.attach();
            while (!counts_->stop) ++(registry.checkpoint(kLong) ? counts_->checkpoints : counts_->not_written);
        }));
    }
    /// Everything that was answered until now, and more.
    void wait_for_more(std::uint64_t answers) const {
        const std::uint64_t until = counts_->durable + answers;
        wait_until([&] { return counts_->durable >= until; });
    }
    void wait_for_checkpoint() const {
        const auto answered = [&] { return counts_->checkpoints + counts_->not_written; };
        const std::uint64_t before = answered();
        wait_until([&] { return answered() > before; });
    }
    void stop() {
        counts_->stop = true;
        for (Child& child : children_) REQUIRE(child.wait().left_with(0));
        children_.clear();
        CHECK(counts_->other == 0);
        CHECK(counts_->durable > 0);
    }
    [[nodiscard]] const LoadCounts& counts() const noexcept { return *counts_; }

private:
    void trade(const PersistedRegistry& place, const std::string& strategy) {
        Registry registry = Registry::open(place.name(), place.durable_process(strategy, kLong));
        const AccountId account = registry.account("A1");
        const std::string prefix = strategy + "-" + std::to_string(::getpid()) + "-";
        const auto count = [&](const Verdict& verdict) {
            ++(verdict.durability == Durability::durable ? counts_->durable : counts_->other);
        };
        for (int i = 0; !counts_->stop; ++i) {
            const std::string id = prefix + std::to_string(i);
            count(registry.check_and_register(order_of(registry, id, i % 2 == 0 ? Side::buy : Side::sell)));
            count(registry.acked(account, id));
            count(registry.filled(account, id, id + "E", points(4800), lots(1 + i % 4)));
            count(registry.cancel_requested(account, id));
            count(registry.canceled(account, id));
        }
    }

    Shared<LoadCounts> counts_;
    std::vector<Child> children_;
};

}  // namespace

TEST_CASE("an exec that hosts leaves the role to a riskd that starts later, and its orders go on and are durable",
          "[persist][handover][inv-9]") {
    const PersistedRegistry place;
    const Programs programs(place);
    const Reader reader = place.look();
    const auto exec = programs.exec("s1");
    trade(*exec, "before");
    wait_for_host(reader, pid_of(*exec));
    CHECK(reader.status().host_rank == "exec");
    const std::uint64_t epoch = reader.status().host_epoch;
    const std::vector<std::string> files = place.journal_files();

    auto riskd = programs.riskd("riskd");
    int orders = 0;
    wait_until([&] { return trade(*exec, "during-" + std::to_string(++orders)), hosts(reader, pid_of(*riskd)); });
    trade(*exec, "after");
    const StatusView status = reader.status();
    CHECK(status.host_rank == "riskd");
    CHECK(status.host_epoch == epoch + 1);
    CHECK(status.waiter_pid == 0);
    CHECK(exec->is_running());
    CHECK(place.journal_files() == files);  // it goes on in the same file: everything was on disk
    const std::string said = slurp(programs.errors_of("riskd")), pid = std::to_string(exec->pid());
    const std::string uid = std::to_string(::getuid());
    CAPTURE(said, place.log());
    CHECK(said.find("pid " + pid + " (riskctl exec, uid " + uid + "), rank exec, hosts the snapshotter") != std::string::npos);
    CHECK(said.find("waits for its place") != std::string::npos);
    CHECK(said.find("hosting the snapshotter, rank riskd") != std::string::npos);
    const std::string leaves = "leaves the place to pid " + std::to_string(riskd->pid()) + " (riskd, uid " + uid + ")";
    wait_until([&] { return place.log().find(leaves) != std::string::npos; });
    CHECK(programs.output_of("status", {"--json"}).find(R"("rank":"riskd")") != std::string::npos);
    const std::string who = "pid " + std::to_string(riskd->pid()) + " (riskd, uid " + uid + "), rank riskd";
    CHECK(programs.output_of("status").find(who) != std::string::npos);
    CHECK(programs.output_of("doctor").find(who) != std::string::npos);

    // As ever: whoever stands by takes the place of a dead one.
    riskd->send(SIGKILL);
    REQUIRE(riskd->wait(kPatience).has_value());
    wait_for_host(reader, pid_of(*exec));
    trade(*exec, "after-its-death");
    riskd = programs.riskd("riskd");
    wait_for_host(reader, pid_of(*riskd));
    trade(*exec, "at-last");
    end_in_order(*exec);
    CHECK(hosts(reader, pid_of(*riskd)));
    end_in_order(*riskd);
    require_disk_equals_memory(place);
}

TEST_CASE("a program with the library leaves the place to an exec, and both to a riskd", "[persist][handover][inv-9]") {
    if (skipped_for_threads_of_children()) return;
    const PersistedRegistry place;
    const Programs programs(place);
    const Reader reader = place.look();
    Member library(place, HostRank::library);
    wait_for_host(reader, library.pid());
    CHECK(reader.status().host_rank == "library");
    const std::uint64_t epoch = reader.status().host_epoch;
    const auto exec = programs.exec("s1");
    wait_for_host(reader, pid_of(*exec));
    trade(*exec, "one");
    const auto riskd = programs.riskd("riskd");
    wait_for_host(reader, pid_of(*riskd));
    trade(*exec, "two");
    CHECK(reader.status().host_epoch == epoch + 2);
    CHECK_FALSE(library.is_dead());
    end_in_order(*exec);
    end_in_order(*riskd);
    wait_for_host(reader, library.pid());
    library.tell_to_leave();
    REQUIRE(library.child().wait().left_with(0));
    require_disk_equals_memory(place);
}

TEST_CASE("a riskd never leaves its place to another riskd, to an exec or to a program with the library",
          "[persist][handover]") {
    if (skipped_for_threads_of_children()) return;
    const PersistedRegistry place;
    const Programs programs(place);
    const Reader reader = place.look();
    const LiveSegment live(place, segment::Access::read_only);
    const auto riskd = programs.riskd("riskd");
    wait_for_host(reader, pid_of(*riskd));
    const std::uint64_t epoch = reader.status().host_epoch;
    const auto other = programs.riskd("other");
    const auto exec = programs.exec("s1");
    Member library(place, HostRank::library);
    wait_until([&] { return slurp(programs.errors_of("other")).find("stands by until it ends") != std::string::npos; });
    trade(*exec, "one");
    wait_for_rounds(live, 300, [&] {
        REQUIRE(reader.status().host_epoch == epoch);
        REQUIRE(reader.status().waiter_pid == 0);
    });
    CHECK(hosts(reader, pid_of(*riskd)));
    trade(*exec, "two");
    // Nor do two of the lower rank ask each other.
    end_in_order(*other);
    end_in_order(*riskd);
    wait_for_host(reader, pid_of(*exec));  // at once, or asked for
    end_in_order(*exec);
}

TEST_CASE("a stopped host keeps its place while a riskd waits, and leaves it when it goes on", "[persist][handover]") {
    if (skipped_for_threads_of_children()) return;
    const PersistedRegistry place;
    const Programs programs(place);
    const Reader reader = place.look();
    Member host(place, HostRank::exec);
    wait_for_host(reader, host.pid());
    const std::uint64_t epoch = reader.status().host_epoch;
    host.stop();
    const auto riskd = programs.riskd("riskd");
    wait_until([&] { return reader.status().waiter_pid == pid_of(*riskd); });
    CHECK(reader.status().waiter_rank == "riskd");
    wait_until([&] { return reader.status().host_state == "stopped"; });
    wait_until([&] { return place.log().find("has not moved") != std::string::npos; });
    const std::string waits = "pid " + std::to_string(riskd->pid()) + " (riskd, uid " + std::to_string(::getuid()) +
                              "), rank riskd, waits for its place";
    CHECK(programs.output_of("doctor").find(waits) != std::string::npos);
    CHECK(programs.output_of("status").find(waits) != std::string::npos);
    CHECK(reader.status().host_epoch == epoch);
    CHECK(reader.status().host_pid == host.pid());
    host.child().send(SIGCONT);
    wait_for_host(reader, pid_of(*riskd));
    CHECK(reader.status().host_epoch == epoch + 1);
    CHECK_FALSE(host.is_dead());
}

TEST_CASE("a waiter that was killed or stopped gets nothing, and the host stays", "[persist][handover][crash]") {
    if (skipped_for_threads_of_children()) return;
    const PersistedRegistry place;
    const Reader reader = place.look();
    const LiveSegment live(place, segment::Access::read_only);
    Member host(place, HostRank::library);
    wait_for_host(reader, host.pid());
    const std::uint64_t epoch = reader.status().host_epoch;
    enum class Fate { killed, reaped, stopped };
    for (const Fate fate : {Fate::killed, Fate::reaped, Fate::stopped}) {
        CAPTURE(static_cast<int>(fate));
        // So that it cannot have left before the waiter is dead.
        host.stop();
        Member waiter(place, HostRank::riskd);
        wait_until([&] { return reader.status().waiter_pid == waiter.pid(); });
        const std::uint64_t word = live.state().host->waiter;
        if (fate == Fate::killed) waiter.child().send(SIGKILL);
        if (fate == Fate::killed) wait_until([&] { return waiter.is_dead(); });
        if (fate == Fate::reaped) waiter.child().kill_and_reap();
        if (fate == Fate::stopped) waiter.stop();
        host.child().send(SIGCONT);
        wait_for_rounds(live, 300, [&] { REQUIRE(reader.status().host_epoch == epoch); });
        CHECK(hosts(reader, host.pid()));
        CHECK(live.state().host->waiter == word);  // it had asked, and its word is all that is left
        CHECK(reader.status().waiter_pid == (fate == Fate::stopped ? waiter.pid() : 0));
        if (fate != Fate::stopped) continue;
        waiter.child().send(SIGCONT);
        wait_for_host(reader, waiter.pid());
    }
    // The last one has died as host: the one that had left is there.
    wait_for_host(reader, host.pid());
}

TEST_CASE("who could not host asks nobody to leave", "[persist][handover]") {
    if (skipped_for_threads_of_children()) return;
    const PersistedRegistry place;
    const Reader reader = place.look();
    const LiveSegment live(place, segment::Access::read_only);
    Member host(place, HostRank::library);
    wait_for_host(reader, host.pid());
    const std::uint64_t epoch = reader.status().host_epoch;
    // It has attached, and then its only way to the key is gone: a file that is not there.
    Child blind([&] {
        ::setenv("RISKREG_KEY_FILE", (place.state_dir() + "/no-key").c_str(), 1);
        ProcessConfig config = place.process();
        config.host_snapshotter = true;
        config.host_rank = HostRank::riskd;
        const Registry registry = Registry::open(place.name(), config);
        for (;;) ::pause();
    });
    wait_until([&] { return place.log().find("does not ask for the place") != std::string::npos; });
    wait_for_rounds(live, 100, [&] {
        REQUIRE(reader.status().host_epoch == epoch);
        REQUIRE(reader.status().waiter_pid == 0);
    });
}

TEST_CASE("hosts change ranks under load again and again, and nothing is lost", "[persist][handover][inv-9][inv-13]") {
    if (skipped_for_threads_of_children()) return;
    const PersistedRegistry place;
    const Reader reader = place.look();
    auto low = std::make_unique<Member>(place, HostRank::library);
    wait_for_host(reader, low->pid());
    Load load(place);
    const int rounds = RISKREG_SANITIZED ? 5 : 20;
    for (int i = 0; i < rounds; ++i) {
        CAPTURE(i);
        load.wait_for_more(20);
        const std::uint64_t epoch = reader.status().host_epoch;
        Member high(place, i % 2 == 0 ? HostRank::exec : HostRank::riskd);
        wait_for_host(reader, high.pid());
        CHECK(reader.status().host_epoch == epoch + 1);
        load.wait_for_more(20);
        // The one that left stands by. What is asked of one that leaves or dies, the next one answers.
        if (i % 4 == 0) load.wait_for_checkpoint();
        high.child().kill_and_reap();
        wait_for_host(reader, low->pid());
        if (i % 4 == 1) load.wait_for_checkpoint();
    }
    load.wait_for_more(20);
    load.stop();
    low->tell_to_leave();
    REQUIRE(low->child().wait().left_with(0));
    require_disk_equals_memory(place);
    CHECK(load.counts().checkpoints > 0);
    CAPTURE(place.log());
    CHECK(load.counts().not_written == 0);
    std::cout << "handover under load: " << 2 * rounds << " changes, " << load.counts().durable << " durable answers, "
              << load.counts().checkpoints << " checkpoints asked for, " << load.counts().not_written << " not written\n";
    const std::uint64_t digest = reader.digest(), committed = reader.status().committed;
    place.remove_segment();
    CHECK(Registry::recover(place.name(), place.state_dir()).end_seq == committed);
    CHECK(core::digest(restore_from_files(place, From::checkpoint, committed).tables.state) == digest);
}

#ifdef RISKREG_CRASH_POINTS
namespace {

bool is_of_leaving(const CrashSite& site) {
    return site.name == "asked to leave" || site.name == "host leaves" || site.name.find("given up") != std::string::npos;
}

/// A registry under load, and one handover after the other in which somebody dies.
class Deaths {
public:
    Deaths() : reader_(place_.look()) {
        low_ = std::make_unique<Member>(place_, HostRank::library);
        wait_for_host(reader_, low_->pid());
        load_.emplace(place_);
    }

    /// Nobody dies; every site of a handover is known afterwards.
    void rehearse() {
        forget_crash_counts();
        high_ = std::make_unique<Member>(place_, HostRank::riskd);
        wait_for_host(reader_, high_->pid());
        load_->wait_for_more(20);
        next();
    }

    /// True when the old host died there; the waiter hosts.
    bool kill_old(const CrashSite& site) {
        low_->tell_to_leave();
        auto victim = std::make_unique<Member>(place_, HostRank::library, Fuse{site.address, 1}, false);
        REQUIRE(low_->child().wait().left_with(0));
        wait_for_host(reader_, victim->pid());
        // What it passes all the time as host, too, it is to pass with somebody waiting.
        if (is_of_leaving(site)) victim->light();
        high_ = std::make_unique<Member>(place_, HostRank::riskd);
        victim->light();
        wait_for_host(reader_, high_->pid());
        // It may come there only when it ends.
        victim->tell_to_leave();
        const bool died = victim->child().wait().was_killed();
        load_->wait_for_more(5);
        low_.reset();
        next();
        return died;
    }

    /// True when the waiter died there, at the latest when it left; the old host hosts again.
    bool kill_new(const CrashSite& site) {
        Member victim(place_, HostRank::riskd, {site.address, 1});
        wait_until([&] { return victim.is_dead() || hosts(reader_, victim.pid()); });
        victim.tell_to_leave();
        const bool died = victim.child().wait().was_killed();
        wait_for_host(reader_, low_->pid());
        load_->wait_for_more(5);
        return died;
    }

    void close() {
        load_->stop();
        low_->tell_to_leave();
        REQUIRE(low_->child().wait().left_with(0));
        require_disk_equals_memory(place_);
    }

private:
    /// The one of high rank leaves, one of low rank hosts.
    void next() {
        if (!low_) low_ = std::make_unique<Member>(place_, HostRank::library);
        high_->tell_to_leave();
        REQUIRE(high_->child().wait().left_with(0));
        high_.reset();
        wait_for_host(reader_, low_->pid());
    }

    PersistedRegistry place_;
    Reader reader_;
    std::unique_ptr<Member> low_, high_;
    std::optional<Load> load_;
};

std::vector<CrashSite> sites_of_a_handover() {
    std::vector<CrashSite> sites;
    for (CrashSite& site : crash_sites()) {
        const bool of_a_host = site.file.starts_with("registry/") || site.file.starts_with("persist/");
        if (of_a_host && site.passes > 0) sites.push_back(std::move(site));
    }
    return sites;
}

}  // namespace

TEST_CASE("the old host or the new one dies at each crash point of a handover, and the other one goes on with nothing lost",
          "[persist][crash][handover][inv-9][inv-13]") {
    if (skipped_for_threads_of_children()) return;
    Deaths deaths;
    deaths.rehearse();
    std::set<std::string> old, young;
    for (const CrashSite& site : sites_of_a_handover()) {
        CAPTURE(site.name, site.file);
        if (deaths.kill_old(site)) old.insert(site.name);
        if (deaths.kill_new(site)) young.insert(site.name);
    }
    deaths.close();
    std::cout << "deaths at a handover, of the old host:";
    for (const std::string& name : old) std::cout << " '" << name << "'";
    std::cout << "\n  of the new one:";
    for (const std::string& name : young) std::cout << " '" << name << "'";
    std::cout << "\n";
    for (const char* name :
         {"asked to leave", "before sync", "after sync", "durable moved", "host leaves", "fence given up", "place given up"})
        CHECK(old.count(name) == 1);
    for (const char* name : {"place asked for", "host mutex held", "host begins", "journaller starts", "before sync"})
        CHECK(young.count(name) == 1);
}
#endif
