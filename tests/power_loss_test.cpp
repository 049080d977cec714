// The power fails: a run is recorded down to its writes, syncs and renames, and at every point of it recovery is tried on
// what the disk may hold then. Every answer that was given as durable must be there, and nothing that was never sent.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <random>
#include <thread>
#include <unordered_map>

#include "core/audit.hpp"
#include "core/copy.hpp"
#include "core/genesis.hpp"
#include "core/order_view.hpp"
#include "persist/recovery.hpp"
#include "persist/strict_json.hpp"
#include "riskreg/error.hpp"
#include "riskreg/registry.hpp"
#include "support/child.hpp"
#include "support/disk_model.hpp"
#include "support/interposed.hpp"
#include "support/sanitized.hpp"
#include "support/setting.hpp"

using namespace riskreg;
using namespace riskreg::test;
using namespace std::chrono_literals;
using interpose::Record;

namespace {

constexpr const char* kName = "r";
constexpr auto kPatient = 20s;
constexpr const char* kHasty = "hasty";   // ids of orders that nobody waits for

// ---- a run that is recorded ---------------------------------------------------------------------

/// One registry, all of whose processes write down what they do to the disk.
class Machine {
public:
    Machine() { config_ = file("config.json", journaled_config(2048, 1024, 1, 2)); }
    ~Machine() {
        try {
            Registry::destroy(kName, state_dir(), false, true);
        } catch (const Error&) {
            static_cast<void>(::unlink(("/dev/shm/" + segment_).c_str()));
        }
    }
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    [[nodiscard]] std::string state_dir() const { return place_.path() + "/state"; }
    [[nodiscard]] std::string directory() const { return state_dir() + "/" + kName; }
    [[nodiscard]] std::string trace() const { return place_.path() + "/trace"; }
    [[nodiscard]] std::string errors() const { return place_.path() + "/stderr"; }
    [[nodiscard]] std::string file(const std::string& name, const std::string& content) const {
        std::ofstream(place_.path() + "/" + name, std::ios::binary) << content;
        return place_.path() + "/" + name;
    }
    [[nodiscard]] Interposing interposing() const { return {directory(), {}, trace(), fail_at_, fault_, 1500, only_}; }
    /// The next processes meet a disk whose `count`-th sync of a file fails once.
    void let_sync_fail(std::uint64_t count) {
        fail_at_ = count;
        only_ = "fdatasync";
        fault_ = {"EIO", std::to_string(EIO), false};
    }

    void create() {
        run({"create", kName, "--state-dir", state_dir(), "--config", config_});
        segment_ = Reader::open(kName, state_dir()).status().segment;
    }
    /// A verb that has to succeed.
    void run(const std::vector<std::string>& arguments) const {
        Process process("riskctl", arguments, errors(), interposing());
        process.close_input();
        while (process.read_line(kPatient)) {
        }
        const auto status = process.wait(kPatient);
        INFO(arguments.front() << ": " << slurp(errors()));
        REQUIRE(status == 0);
    }
    [[nodiscard]] std::unique_ptr<Process> exec(bool hosts = true) const {
        std::vector<std::string> arguments{"exec",       kName, "--state-dir",  state_dir(),
                                           "--strategy", "s1",  "--durability", "durable"};
        if (!hosts) arguments.emplace_back("--no-snapshotter");
        return std::make_unique<Process>("riskctl", arguments, errors(), interposing());
    }
    /// Another strategy, whose answers promise nothing: its orders make the blocks of the journal large.
    [[nodiscard]] std::unique_ptr<Process> hasty() const {
        const std::vector<std::string> arguments{"exec",       kName, "--state-dir",     state_dir(),
                                                 "--strategy", "s2",  "--no-snapshotter"};
        return std::make_unique<Process>("riskctl", arguments, errors(), interposing());
    }
    [[nodiscard]] std::unique_ptr<Process> daemon() const {
        return std::make_unique<Process>("riskd", std::vector<std::string>{kName, "--state-dir", state_dir()}, errors(),
                                         interposing());
    }
    void checkpoint(int attempts = 1) const {
        ProcessConfig config;
        config.state_dir = state_dir();
        Registry registry = Registry::open(kName, config);
        bool written = false;
        for (int i = 0; i < attempts && !written; ++i) written = registry.checkpoint(10'000'000'000);
        REQUIRE(written);
    }
    /// What a crash left; the disk as the model has to begin with it.
    [[nodiscard]] Disk begin_with(const Files& files) const {
        std::filesystem::create_directories(directory());
        Disk disk;
        for (const auto& [name, content] : files) {
            const std::string path = directory() + "/" + name;
            std::ofstream(path, std::ios::binary) << *content.bytes;
            struct stat status {};
            REQUIRE(::stat(path.c_str(), &status) == 0);
            disk.add_file(name, status.st_ino, *content.bytes);
        }
        return disk;
    }
    /// SIGKILL between two recorded steps, so that what was written down is what was done.
    void kill(Process& process) const {
        const int trace_file = ::open(trace().c_str(), O_RDWR | O_CLOEXEC);
        REQUIRE(trace_file >= 0);
        ::flock(trace_file, LOCK_EX);
        process.send(SIGKILL);
        static_cast<void>(process.wait(kPatient));
        ::close(trace_file);
    }
    void end(Process& process) const {
        process.close_input();
        const auto status = process.wait(kPatient);
        INFO(slurp(errors()));
        REQUIRE(status == 0);
    }

private:
    FastDir place_;
    std::string config_, segment_, only_;
    std::uint64_t fail_at_ = 0;
    Fault fault_;
};

std::string order_of(const std::string& id) {
    return R"("id":")" + id + R"(","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"4800","quantity":"2"})";
}

/// Commands with ids of their own, and an answer for each.
class Trader {
public:
    explicit Trader(std::string prefix) : prefix_(std::move(prefix)) {}

    void trade(Process& process, int orders) {
        for (int i = 0; i < orders; ++i) one_order(process);
    }
    /// All or none.
    void batch(Process& process) {
        std::string line = R"({"op":"register_batch","all_or_none":true,"orders":[)";
        const std::string id = next();
        for (const char* part : {"a", "b", "c"}) line += (*part == 'a' ? "{" : ",{") + order_of(id + part);
        say(process, line + "]}");
    }

    /// Many at once, without waiting for answers; they are read by and by.
    void pour(Process& process, int orders) {
        std::string lines;
        for (int i = 0; i < orders; ++i) lines += R"({"op":"register",)" + order_of(next()) + "\n";
        process.write(lines);
        poured_ += orders;
    }
    void drain(Process& process) {
        for (; poured_ > 0; --poured_) REQUIRE(process.read_line(kPatient).has_value());
    }

private:
    std::string next() { return prefix_ + "-" + std::to_string(++count_); }
    void one_order(Process& process) {
        const std::string id = next();
        say(process, R"({"op":"register",)" + order_of(id));
        if (count_ % 3 == 0) say(process, R"({"op":"acked","id":")" + id + "\"}");
        if (count_ % 5 == 0)
            say(process, R"({"op":"filled","id":")" + id + R"(","exec_id":"E)" + id + R"(","price":"4800","quantity":"1"})");
        if (count_ % 7 == 0) say(process, R"({"op":"canceled","id":")" + id + "\"}");
    }
    static void say(Process& process, const std::string& line) {
        process.write(line + "\n");
        const auto answer = process.read_line(kPatient);
        INFO(line);
        REQUIRE(answer.has_value());
        INFO(*answer);
        const bool good = answer->find(R"("result":"accepted")") != std::string::npos ||
                          answer->find(R"("result":"ok")") != std::string::npos;
        REQUIRE(good);
    }
    std::string prefix_;
    int count_ = 0;
    int poured_ = 0;
};

// ---- what was promised --------------------------------------------------------------------------

/// What the answers of the whole run say of one order.
struct Known {
    std::map<std::uint64_t, std::string> status;   // by sequence
};

struct Promises {
    std::map<std::string, Known> sent;
    std::map<std::string, std::uint64_t> durable;   // so far: the latest sequence of each order
    std::uint64_t durable_seq = 0;

    void learn(const std::string& line, bool so_far) {
        const persist::JsonResult parsed = persist::parse_json(line.substr(0, line.find('\n')), 1U << 20);
        if (!parsed.error.empty()) return;   // of a verb that prints no JSON
        const persist::JsonValue* results = parsed.value.find("results");
        if (results == nullptr) return learn_one(parsed.value, so_far);
        for (const persist::JsonValue& result : results->items) learn_one(result, so_far);
    }

private:
    static std::string member(const persist::JsonValue& object, const char* key) {
        const persist::JsonValue* value = object.find(key);
        return value == nullptr ? std::string() : value->shown();
    }
    void learn_one(const persist::JsonValue& answer, bool so_far) {
        const std::string result = member(answer, "result");
        if ((result != "accepted" && result != "ok") || answer.find("seq") == nullptr) return;
        const std::string id = member(answer, "id");
        const std::uint64_t seq = std::stoull(member(answer, "seq"));
        if (!so_far) sent[id].status[seq] = result == "accepted" ? "pending_new" : member(answer, "status");
        if (!so_far || member(answer, "durability") == "pending" || id.starts_with(kHasty)) return;
        durable[id] = std::max(durable[id], seq);
        durable_seq = std::max(durable_seq, seq);
    }
};

// ---- recovery of one state ----------------------------------------------------------------------

struct Recovered {
    std::string error;
    std::uint64_t end_seq = 0;
    std::map<std::string, std::pair<std::uint64_t, std::string>> orders;   // sequence, status
};

/// A directory whose files become those of one state after the other, with as few writes as possible.
class Bench {
public:
    void lay_out(const Files& files) {
        for (auto it = present_.begin(); it != present_.end();) {
            if (files.contains(it->first)) {
                ++it;
                continue;
            }
            ::unlink((path() + "/" + it->first).c_str());
            it = present_.erase(it);
        }
        for (const auto& [name, content] : files) write_changes(name, content);
    }
    [[nodiscard]] const std::string& path() const noexcept { return place_.path(); }

private:
    void write_changes(const std::string& name, const Content& wanted) {
        const auto [found, fresh] = present_.try_emplace(name);
        if (found->second.bytes == wanted.bytes) return;
        const std::string& content = *wanted.bytes;
        const std::string before = fresh ? std::string() : *found->second.bytes;
        found->second = wanted;
        const int fd = ::open((path() + "/" + name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        constexpr std::size_t kPiece = 4096;
        for (std::size_t at = 0; at < content.size(); at += kPiece) {
            const std::string_view now = std::string_view(content).substr(at, kPiece);
            if (at < before.size() && std::string_view(before).substr(at, kPiece) == now) continue;
            if (::pwrite(fd, now.data(), now.size(), static_cast<off_t>(at)) < 0) throw std::runtime_error("pwrite");
        }
        if (::ftruncate(fd, static_cast<off_t>(content.size())) != 0) throw std::runtime_error("ftruncate");
        ::close(fd);
    }
    FastDir place_;
    Files present_;
};

Recovered recover(const std::string& path, bool audit) {
    Recovered result;
    try {
        persist::Directory directory;
        if (persist::Directory::open(path, directory)) throw std::runtime_error("cannot open " + path);
        persist::Sources sources(directory, {});
        core::PrivateState tables;
        const auto fresh = [&](const std::string& json) -> core::State& {
            const SharedConfig config = parse_config(json);
            tables = core::allocate_state(core::geometry_of(config, json.size()));
            core::make_genesis(tables.state, config, json);
            return tables.state;
        };
        result.end_seq = persist::restore(directory, sources, fresh, {}).end_seq;
        const core::State& state = tables.state;
        for (std::uint64_t slot = 0; slot < state.log->next_order; ++slot) {
            const layout::OrderSlot& order = state.orders[slot];
            const layout::OrderState now = order.state.newest();
            result.orders[std::string(order.identity.id.view())] = {now.seq,
                                                                    std::string(name_of(core::status_of(now.base, now.flags)))};
        }
        if (!audit) return result;
        const core::AuditReport report = core::audit(state);
        if (!report.clean()) result.error = "audit: " + report.violations.front();
    } catch (const std::exception& error) {
        result.error = error.what();
    }
    return result;
}

/// Empty, or how the recovered tables break a promise.
std::string broken(const Promises& promises, const Recovered& recovered) {
    if (promises.durable.empty()) return {};   // nothing was promised yet, not even a registry
    if (!recovered.error.empty()) return "recovery refused: " + recovered.error;
    if (recovered.end_seq < promises.durable_seq)
        return "ends at event " + std::to_string(recovered.end_seq) + ", " + std::to_string(promises.durable_seq) +
               " was answered as durable";
    for (const auto& [id, seq] : promises.durable) {
        const auto found = recovered.orders.find(id);
        if (found == recovered.orders.end()) return "order " + id + " is lost";
        if (found->second.first < seq) return "order " + id + " is older than its answer";
    }
    for (const auto& [id, order] : recovered.orders) {
        const auto known = promises.sent.find(id);
        if (known == promises.sent.end()) return "order " + id + " was never sent";
        const auto status = known->second.status.find(order.first);
        if (status == known->second.status.end())
            return "order " + id + " has event " + std::to_string(order.first) + ", never answered";
        if (status->second != order.second) return "order " + id + " is " + order.second + ", answered was " + status->second;
        const char part = id.back();
        const std::string batch = id.substr(0, id.size() - 1);
        if (part < 'a' || part > 'c') continue;
        for (const char* other : {"a", "b", "c"})
            if (!recovered.orders.contains(batch + other)) return "half of batch " + batch + " is there";
    }
    return {};
}

// ---- all points of a run ------------------------------------------------------------------------

struct Tally {
    std::uint64_t points = 0;
    std::uint64_t drawn = 0;      // states, the same ones again included
    std::uint64_t states = 0;     // that differ in what is on disk or in what was promised
    std::uint64_t distinct = 0;   // that differ in what is on disk
    std::uint64_t broken = 0;
    std::vector<std::string> examples;
    void add(const Tally& other) {
        points += other.points;
        drawn += other.drawn;
        states += other.states;
        distinct += other.distinct;
        broken += other.broken;
    }
};

struct Hunt {
    DiskRules rules;
    std::size_t stride = 1;          ///< of points between syncs and renames; those are never left out
    std::size_t rounds = 4;          ///< of the states that are drawn by chance
    bool lengths = false;            ///< files may have grown before their data are there, too
    std::uint64_t stop_after = ~0ULL;   ///< broken states
    std::uint64_t seed = 1;
};

std::uint64_t hash_of(const Files& files) {
    std::uint64_t hash = 14695981039346656037ULL;
    for (const auto& [name, content] : files) {
        hash = (hash ^ std::hash<std::string>()(name)) * 1099511628211ULL;
        hash = (hash ^ content.hash) * 1099511628211ULL;
    }
    return hash;
}

/// Walks one trace and tries the states that the disk may be in at each point.
class Walk {
public:
    Walk(const std::vector<TraceRecord>& trace, const Hunt& hunt, Disk disk, Promises promises)
        : trace_(trace), hunt_(hunt), disk_(std::move(disk)), promises_(std::move(promises)), random_(hunt.seed) {
        for (const TraceRecord& record : trace)
            if (record.head.kind == Record::answer) promises_.learn(record.bytes, false);
    }

    Tally run() {
        for (std::size_t i = 0; i < trace_.size() && tally_.broken < hunt_.stop_after; ++i) {
            disk_.apply(trace_[i]);
            if (trace_[i].head.kind == Record::answer) promises_.learn(trace_[i].bytes, true);
            if (!promises_.durable.empty() && is_point(i)) try_states(i);
        }
        return tally_;
    }

private:
    [[nodiscard]] bool is_point(std::size_t i) const {
        const Record kind = trace_[i].head.kind;
        if (kind == Record::sync_begin || kind == Record::directory_sync_begin) return false;   // changes nothing
        return kind != Record::write || i % hunt_.stride == 0;
    }

    /// Subsets of `count` things in an order: all of them where there are few; else nothing, everything, prefixes, one
    /// missing, one alone, and by chance.
    std::vector<std::vector<bool>> subsets(std::size_t count) {
        std::vector<std::vector<bool>> some;
        if (count <= 4) {
            for (std::size_t bits = 0; bits < std::size_t{1} << count; ++bits) {
                std::vector<bool>& set = some.emplace_back(count);
                for (std::size_t i = 0; i < count; ++i) set[i] = (bits >> i & 1U) != 0;
            }
            return some;
        }
        some.emplace_back(count, false);
        some.emplace_back(count, true);
        for (std::size_t round = 0; round < hunt_.rounds; ++round) {
            const std::size_t chosen = count <= hunt_.rounds ? round % count : random_() % count;
            std::vector<bool> prefix(count, false), missing(count, true), alone(count, false), chance(count);
            std::fill_n(prefix.begin(), chosen, true);
            missing[chosen] = false;
            alone[chosen] = true;
            for (std::size_t i = 0; i < count; ++i) chance[i] = random_() % 2 == 0;
            for (auto& set : {prefix, missing, alone, chance}) some.push_back(set);
        }
        return some;
    }

    void try_states(std::size_t at) {
        ++tally_.points;
        const auto changes = subsets(disk_.changes());
        for (const auto& pieces : subsets(disk_.pieces()))
            for (const auto& entries : changes)
                for (const bool lengths : {false, true}) {
                    if (lengths && !hunt_.lengths) continue;
                    try_state(at, {pieces, entries, lengths});
                }
    }

    void try_state(std::size_t at, const Choice& choice) {
        const Files files = disk_.crash(choice);
        ++tally_.drawn;
        if (!tried_.insert(hash_of(files) ^ promises_.durable_seq * 0x9E3779B97F4A7C15ULL).second) return;
        ++tally_.states;
        const auto [known, fresh] = seen_.try_emplace(hash_of(files));
        if (fresh) {
            bench_.lay_out(files);
            known->second = recover(bench_.path(), ++tally_.distinct % 16 == 0);
        }
        std::string what = files.contains("LOCK") ? broken(promises_, known->second) : "LOCK is lost";
        if (what.empty()) return;
        ++tally_.broken;
        if (tally_.examples.size() < 5)
            tally_.examples.push_back("at record " + std::to_string(at) + " of " + std::to_string(trace_.size()) + ", " +
                                      std::to_string(std::count(choice.pieces.begin(), choice.pieces.end(), true)) + " of " +
                                      std::to_string(choice.pieces.size()) + " sectors and " +
                                      std::to_string(std::count(choice.changes.begin(), choice.changes.end(), true)) + " of " +
                                      std::to_string(choice.changes.size()) + " names there: " + what + names_of(files));
    }

    static std::string names_of(const Files& files) {
        std::string text = "; on disk:";
        for (const auto& [name, content] : files) text += " " + name + " (" + std::to_string(content.bytes->size()) + ")";
        return text;
    }

    const std::vector<TraceRecord>& trace_;
    const Hunt hunt_;
    Disk disk_;
    Promises promises_;
    std::mt19937_64 random_;
    Bench bench_;
    std::unordered_map<std::uint64_t, Recovered> seen_;   // by content
    std::set<std::uint64_t> tried_;                       // content and what was promised by then
    Tally tally_;
};

void report(const char* what, const Tally& tally) {
    std::cout << what << ": " << tally.points << " points, " << tally.drawn << " crash states drawn, " << tally.states
              << " of them different, " << tally.distinct << " different disks recovered, " << tally.broken
              << " broken promises\n";
    for (const std::string& example : tally.examples) UNSCOPED_INFO(example);
}

// ---- the runs -----------------------------------------------------------------------------------

/// Two strategies at once: one waits for the disk, the other does not.
void rush(Machine& machine, Trader& trader, Process& process, const std::string& name, int rounds, int width) {
    Trader hasty(kHasty + name);
    const auto other = machine.hasty();
    for (int i = 0; i < rounds; ++i) {
        hasty.pour(*other, width);
        trader.trade(process, 2);
        hasty.drain(*other);
    }
    machine.end(*other);
}

/// Strategies that host and leave, one that is killed, riskd, checkpoints in between, a journal of several files.
void long_day(Machine& machine) {
    machine.create();
    Trader trader("A");
    const auto first = machine.exec();
    trader.trade(*first, 12);
    trader.batch(*first);
    machine.checkpoint();
    rush(machine, trader, *first, "1", 6, 20);
    machine.end(*first);

    const auto second = machine.exec();
    trader.trade(*second, 20);
    machine.kill(*second);

    const auto daemon = machine.daemon();
    const auto third = machine.exec(false);
    trader.trade(*third, 10);
    machine.checkpoint();
    trader.batch(*third);
    rush(machine, trader, *third, "2", 40, 15);
    trader.trade(*third, 60);
    machine.checkpoint();
    trader.trade(*third, 60);
    machine.kill(*daemon);
    machine.kill(*third);

    const auto fourth = machine.exec();
    rush(machine, trader, *fourth, "3", 5, 30);
    machine.checkpoint();
    machine.checkpoint();
    trader.batch(*fourth);
    machine.end(*fourth);
    machine.run({"checkpoint", kName, "--state-dir", machine.state_dir()});
}

/// The same for each: recorded once.
const std::vector<TraceRecord>& day() {
    static const std::vector<TraceRecord> trace = [] {
        Machine machine;
        long_day(machine);
        return read_trace(machine.trace());
    }();
    return trace;
}

}  // namespace

TEST_CASE("the power fails at any moment of a day: every answer that was durable is recovered, and nothing else",
          "[persist][power][inv-9]") {
    if (skipped_for_preload()) return;
    Hunt hunt;
    hunt.rounds = long_form() ? 300 : 14;
    const Tally tally = Walk(day(), hunt, Disk{}, {}).run();
    report("a day", tally);
    CHECK(tally.broken == 0);
    CHECK(tally.states >= (long_form() ? 10'000 : 2'000));
}

TEST_CASE("a sync fails, and later the power does: what that sync covered was never answered as durable from it",
          "[persist][power][fault][inv-9]") {
    if (skipped_for_preload()) return;
    Tally all;
    std::ptrdiff_t failed = 0;
    const std::uint64_t last = long_form() ? 40 : 10;
    for (std::uint64_t count = 1; count <= last; ++count) {
        INFO("sync " << count << " of the host fails");
        Machine machine;
        machine.create();
        machine.let_sync_fail(count);
        Trader trader("F");
        const auto host = machine.exec();
        trader.trade(*host, 4);
        rush(machine, trader, *host, "4", 3, 20);
        // Asking once more is what an operator would do: the checkpoint's own sync may be the one that fails.
        machine.checkpoint(2);
        trader.batch(*host);
        machine.kill(*host);
        Hunt hunt;
        hunt.seed = count;
        hunt.rounds = long_form() ? 60 : 3;
        const auto trace = read_trace(machine.trace());
        failed += std::count_if(trace.begin(), trace.end(), [](const TraceRecord& record) {
            return record.head.kind == Record::sync_end && record.head.size == 0;
        });
        const Tally tally = Walk(trace, hunt, Disk{}, {}).run();
        CHECK(tally.broken == 0);
        for (const std::string& example : tally.examples) FAIL_CHECK(example);
        all.add(tally);
    }
    report("failing syncs", all);
    CHECK(failed >= static_cast<std::ptrdiff_t>(last) / 2);
}

TEST_CASE("the power fails, the registry recovers and trades, and it fails again: both lives are there",
          "[persist][power][inv-9]") {
    if (skipped_for_preload()) return;
    Tally all;
    std::mt19937_64 random(7);
    const int lives = long_form() ? 60 : 8;
    for (int life = 0; life < lives; ++life) {
        Disk before;
        Promises promises;
        // Of the points of the first life, the later half: something is there to be lost.
        const std::size_t until = day().size() / 2 + random() % (day().size() / 2);
        for (const TraceRecord& record : day())
            if (record.head.kind == Record::answer) promises.learn(record.bytes, false);
        std::size_t at = 0;
        // Up to a moment when something is uncertain.
        for (; at < day().size() && (at < until || before.pieces() + before.changes() == 0); ++at) {
            before.apply(day()[at]);
            if (day()[at].head.kind == Record::answer) promises.learn(day()[at].bytes, true);
        }
        Choice choice{std::vector<bool>(before.pieces()), std::vector<bool>(before.changes()), false};
        for (std::size_t i = 0; i < choice.pieces.size(); ++i) choice.pieces[i] = random() % 4 != 0;
        for (std::size_t i = 0; i < choice.changes.size(); ++i) choice.changes[i] = random() % 2 == 0;
        INFO("the first life ends at record " << at);
        Machine machine;
        Disk disk = machine.begin_with(before.crash(choice));
        machine.run({"recover", kName, "--state-dir", machine.state_dir()});
        machine.run({"resume", kName, "--state-dir", machine.state_dir(), "--unreconciled", "--reason", "checked"});
        Trader trader("L");
        const auto host = machine.exec();
        rush(machine, trader, *host, "5", 2, 20);
        if (life % 2 == 0) machine.checkpoint();
        trader.trade(*host, 5);
        machine.kill(*host);
        Hunt hunt;
        hunt.rounds = long_form() ? 60 : 3;
        const auto trace = read_trace(machine.trace());
        const Tally tally = Walk(trace, hunt, std::move(disk), promises).run();
        CHECK(tally.broken == 0);
        for (const std::string& example : tally.examples) FAIL_CHECK(example);
        all.add(tally);
    }
    report("second lives", all);
}

TEST_CASE("the directory of a new registry is itself on disk before anything is promised", "[persist][power]") {
    if (skipped_for_preload()) return;
    bool made = false, synced = false;
    for (const TraceRecord& record : day()) {
        if (record.head.kind == Record::make_directory) made = true, synced = false;
        if (record.head.kind == Record::parent_sync_end && record.head.size == 1) synced = true;
        if (record.head.kind == Record::answer) break;
    }
    REQUIRE(made);
    CHECK(synced);
}

TEST_CASE("control: were a sync of a file worth nothing, orders would be lost, and this test would see it",
          "[persist][power]") {
    if (skipped_for_preload()) return;
    Hunt hunt;
    hunt.rules.file_syncs_count = false;
    hunt.stop_after = 1;
    hunt.rounds = 1;
    const Tally tally = Walk(day(), hunt, Disk{hunt.rules}, {}).run();
    report("no sync of files", tally);
    CHECK(tally.broken > 0);
}

TEST_CASE("control: were a sync of the directory worth nothing, files would be lost, and this test would see it",
          "[persist][power]") {
    if (skipped_for_preload()) return;
    Hunt hunt;
    hunt.rules.directory_syncs_count = false;
    hunt.stop_after = 1;
    hunt.rounds = 1;
    const Tally tally = Walk(day(), hunt, Disk{hunt.rules}, {}).run();
    report("no sync of the directory", tally);
    CHECK(tally.broken > 0);
}

TEST_CASE("control: an answer that came one sync too early would be found", "[persist][power]") {
    if (skipped_for_preload()) return;
    // Each answer is moved before the sync that it waited for.
    std::vector<TraceRecord> early;
    for (const TraceRecord& record : day()) {
        early.push_back(record);
        if (record.head.kind != Record::answer) continue;
        std::size_t at = early.size() - 1;
        for (; at > 0 && early[at - 1].head.kind != Record::sync_begin; --at) std::swap(early[at], early[at - 1]);
    }
    Hunt hunt;
    hunt.stop_after = 10;
    const Tally tally = Walk(early, hunt, Disk{}, {}).run();
    report("answers too early", tally);
    CHECK(tally.broken >= 10);
}
