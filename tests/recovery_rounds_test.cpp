// Everything is killed, the segment removed as a reboot does, and the registry rebuilt from its files. Again and again,
// on one registry whose journal is kept from the beginning, each time by another death: all at once, the host first,
// the host at a named crash point or inside fsync, the recovery itself; and some times the disk loses what was never
// synced. What was answered as `durable` must be there, nothing else may be, and a replay of the journal from empty
// must give the same tables. Some registries give up the journal that their checkpoints cover: there the replay begins
// with the checkpoint before the newest.
//
// RISKREG_LONG=1: three thousand rounds. RISKREG_ROUNDS and RISKREG_SEED: others.

#include <catch2/catch.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "core/apply.hpp"
#include "core/audit.hpp"
#include "core/copy.hpp"
#include "riskreg/error.hpp"
#include "support/operations.hpp"
#include "support/persisted.hpp"
#include "support/setting.hpp"

namespace {

using namespace riskreg;
using namespace riskreg::test;
using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::array kStrategies = {"s1", "s2", "s3"};
constexpr std::size_t kWriters = kStrategies.size();
constexpr std::int64_t kDurableTimeoutNs = 25'000'000;
constexpr int kRoundsPerRegistry = 25;      // then the journal is long enough, and a new registry begins
constexpr std::uint64_t kMostIds = 12'000;   // of 16384

// ---- what a writer tells the world before it dies -----------------------------------------------

struct Submitted {
    char id[24];
    std::int64_t fill;   // 0: an order or a replacement
};

/// An answer that came back `durable`.
struct Answered {
    char id[24];
    std::uint64_t seq;
    Result result;
    OrderStatus status;
    bool has_order;
    std::int64_t cum, leaves;
};

/// Append only; a count is stored behind what it counts.
struct Diary {
    std::atomic<std::uint64_t> submitted_count, answered_count, pending;
    std::array<Submitted, 8192> submitted;
    std::array<Answered, 8192> answered;

    [[nodiscard]] bool is_full() const noexcept {
        return submitted_count >= submitted.size() || answered_count >= answered.size();
    }
    void submit(const std::string& id, std::int64_t fill) noexcept {
        Submitted& entry = submitted[submitted_count];
        std::strncpy(entry.id, id.c_str(), sizeof entry.id - 1);
        entry.fill = fill;
        submitted_count.store(submitted_count + 1, std::memory_order_release);
    }
    void answer(const std::string& id, const Verdict& verdict) noexcept {
        if (verdict.durability == Durability::pending) ++pending;
        if (verdict.durability != Durability::durable) return;
        Answered& entry = answered[answered_count];
        std::strncpy(entry.id, id.c_str(), sizeof entry.id - 1);
        entry.seq = verdict.seq;
        entry.result = verdict.result;
        entry.status = verdict.status;
        entry.has_order = verdict.has_order;
        entry.cum = verdict.cum_quantity.value;
        entry.leaves = verdict.leaves_quantity.value;
        answered_count.store(answered_count + 1, std::memory_order_release);
    }
    void clear() noexcept {
        std::memset(submitted.data(), 0, sizeof submitted);
        std::memset(answered.data(), 0, sizeof answered);
        submitted_count = answered_count = pending = 0;
    }
};
using Diaries = std::array<Diary, kWriters>;

/// One life of a strategy.
class Writer {
public:
    Writer(const PersistedRegistry& place, std::size_t number, int round, std::vector<std::string> open_orders, Diary& diary)
        : registry_(Registry::open(place.name(), place.durable_process(kStrategies[number], kDurableTimeoutNs))),
          account_(registry_.account("A1")),
          instrument_(registry_.instrument("ES")),
          prefix_(std::string(kStrategies[number]) + "-" + std::to_string(round) + "-"),
          ids_(std::move(open_orders)),
          diary_(diary),
          random_(static_cast<unsigned>(round) * 7 + static_cast<unsigned>(number)) {}

    void act() {
        const unsigned dice = below(100);
        if (ids_.size() < 3 || dice < 30) return place_order();
        const std::string id = ids_[below(static_cast<unsigned>(ids_.size()))];
        if (dice < 45) return tell(EventKind::acked, id);
        if (dice < 65) return fill(id);
        if (dice < 73) return diary_.answer(id, registry_.cancel_requested(account_, id));
        if (dice < 78) return tell(EventKind::canceled, id);
        if (dice < 80) return tell(EventKind::cancel_rejected, id);
        if (dice < 90) return replace(id, dice < 84);
        tell(dice < 95 ? EventKind::replaced : EventKind::replace_rejected, id);
    }

private:
    unsigned below(unsigned end) { return std::uniform_int_distribution<unsigned>(0, end - 1)(random_); }
    std::string new_id(const char* kind) { return prefix_ + kind + std::to_string(++last_); }

    void place_order() {
        const std::string id = new_id("O");
        OrderRequest request;
        request.id = id;
        request.account = account_;
        request.instrument = instrument_;
        request.side = below(2) == 0 ? Side::buy : Side::sell;
        request.price = points(4790 + static_cast<int>(below(20)));
        request.quantity = lots(10);
        diary_.submit(id, 0);
        const Verdict verdict = registry_.check_and_register(request);
        diary_.answer(id, verdict);
        if (!verdict.accepted()) return;
        ids_.push_back(id);
        if (ids_.size() > 24) ids_.erase(ids_.begin());
    }

    void tell(EventKind kind, const std::string& id) {
        OrderEvent fact;
        fact.kind = kind;
        fact.id = id;
        fact.account = account_;
        diary_.answer(id, registry_.event(fact));
    }

    void fill(const std::string& id) {
        const std::string exec_id = new_id("E");
        const Quantity quantity = lots(1 + static_cast<int>(below(3)));
        diary_.submit(id, quantity.value);
        diary_.answer(id, registry_.filled(account_, id, exec_id, points(4800), quantity));
    }

    void replace(const std::string& id, bool by_id) {
        const std::string next = by_id ? new_id("R") : std::string();
        if (by_id) diary_.submit(next, 0);
        ReplaceRequest request;
        request.id = id;
        request.account = account_;
        request.new_id = next;
        request.price = points(4790 + static_cast<int>(below(20)));
        request.quantity = lots(8 + static_cast<int>(below(8)));
        diary_.answer(id, registry_.replace_requested(request));
    }

    Registry registry_;
    AccountId account_;
    InstrumentId instrument_;
    std::string prefix_;
    std::vector<std::string> ids_;
    Diary& diary_;
    std::mt19937 random_;
    std::uint64_t last_ = 0;
};

// ---- what the test knows of one registry --------------------------------------------------------

/// Everything that was ever submitted, and the last durable answer about each id.
class Ledger {
public:
    void read(const Diary& diary) {
        for (std::uint64_t i = 0; i < diary.submitted_count; ++i) submitted_[diary.submitted[i].id] += diary.submitted[i].fill;
        for (std::uint64_t i = 0; i < diary.answered_count; ++i) {
            const Answered& answer = diary.answered[i];
            highest_seq_ = std::max(highest_seq_, answer.seq);
            if (answer.has_order || answer.result == Result::accepted) answers_[answer.id].push_back(answer);
        }
    }

    /// Every durable answer ever given is in the tables, and nothing that nobody submitted. Returns the answers checked.
    std::uint64_t check(const Reader& reader, std::uint64_t end_seq) const {
        REQUIRE(highest_seq_ <= end_seq);
        const AccountId account = reader.account("A1");
        std::uint64_t checked = 0;
        for (const auto& [id, answers] : answers_) {
            OrderView order;
            CAPTURE(id, end_seq);
            REQUIRE(reader.find(account, id, order));
            for (const Answered& answer : answers) check_one(answer, order);
            checked += answers.size();
        }
        reader.orders([&](const OrderView& order) { return check_known(order), true; });
        return checked;
    }

    [[nodiscard]] std::vector<std::string> open_orders(const Reader& reader, const std::string& strategy) const {
        std::vector<std::string> ids;
        reader.orders([&](const OrderView& order) {
            if (is_live(order.base) && reader.name(order.strategy) == strategy) ids.push_back(order.id);
            return true;
        });
        if (ids.size() > 16) ids.erase(ids.begin(), ids.end() - 16);
        return ids;
    }

private:
    static void check_one(const Answered& answer, const OrderView& order) {
        CAPTURE(answer.seq, order.seq, name_of(answer.result), name_of(answer.status), name_of(order.status));
        // Another fact (a cancel told twice) may leave the order as it was.
        if (answer.result == Result::accepted) REQUIRE(order.seq >= answer.seq);
        if (!answer.has_order) return;
        REQUIRE(order.cum_quantity.value >= answer.cum);
        const bool ended = answer.status >= OrderStatus::filled && answer.status <= OrderStatus::aborted;
        if (ended) REQUIRE_FALSE(is_live(order.base));
        if (answer.seq == 0 || order.seq != answer.seq) return;
        REQUIRE(order.status == answer.status);
        REQUIRE(order.cum_quantity.value == answer.cum);
        REQUIRE(order.leaves_quantity.value == answer.leaves);
    }

    void check_known(const OrderView& order) const {
        CAPTURE(order.id);
        std::int64_t fills = 0;
        for (const std::string& id : order.chain) {
            CAPTURE(id);
            const auto found = submitted_.find(id);
            REQUIRE(found != submitted_.end());
            fills += found->second;
        }
        REQUIRE(order.cum_quantity.value <= fills);
    }

    std::unordered_map<std::string, std::int64_t> submitted_;   // id → quantity of the fills told under it
    std::unordered_map<std::string, std::vector<Answered>> answers_;
    std::uint64_t highest_seq_ = 0;
};

struct Tally {
    std::uint64_t rounds = 0, kills = 0, answers = 0, checked = 0, pending = 0, torn = 0, sync_kills = 0, take_overs = 0;
    std::uint64_t replayed = 0, replayed_from_checkpoint = 0, checkpoints_used = 0, checkpoints_passed_over = 0, power_cuts = 0,
                  pages_lost = 0;
    std::uint64_t memory_compared = 0, recoveries_killed = 0, hosts_without_answer = 0;
    Clock::duration slowest_recovery{};
    std::map<std::string, std::uint64_t> plans;
};

// ---- deaths -------------------------------------------------------------------------------------

enum class Plan { all_at_once, host_first, crash_point, inside_sync, riskd };
constexpr std::array kPlans = {"all at once", "host first", "crash point", "inside fsync", "riskd"};

using Random = std::mt19937;
int between(Random& random, int low, int high) { return std::uniform_int_distribution<>(low, high)(random); }

/// Of the sites that were passed before, one; or the n-th pass of any.
Fuse choose_fuse(Random& random) {
    const std::vector<CrashSite> all = host_crash_sites();
    std::vector<CrashSite> rare;
    for (const CrashSite& site : all)
        if (site.deaths == 0) rare.push_back(site);
    const std::vector<CrashSite>& sites = rare.empty() || between(random, 0, 2) == 0 ? all : rare;
    if (sites.empty() || between(random, 0, 9) == 0) return {0, static_cast<std::uint64_t>(between(random, 1, 400))};
    const CrashSite& site = sites[static_cast<std::size_t>(between(random, 0, static_cast<int>(sites.size()) - 1))];
    return {site.address, static_cast<std::uint64_t>(between(random, 0, 1) == 0 ? 1 : between(random, 1, 12))};
}

/// All the processes of one round.
class Company {
public:
    Company(const PersistedRegistry& place, Diaries& diaries, Tally& tally, Random& random, Plan plan)
        : place_(place), diaries_(diaries), tally_(tally), random_(random), plan_(plan) {}

    void start(int round, const std::array<std::vector<std::string>, kWriters>& open_orders) {
        const Fuse fuse = plan_ == Plan::crash_point ? choose_fuse(random_) : Fuse{};
        host_.emplace(plan_ == Plan::riskd ? place_.riskd() : place_.host(fuse));
        if (plan_ == Plan::host_first || (plan_ == Plan::crash_point && between(random_, 0, 1) == 0))
            others_.push_back(place_.host());
        others_.push_back(Child([this] {
            Registry registry = place_.attach();
            for (;;) static_cast<void>(registry.checkpoint(200'000'000));
        }));
        const std::size_t writers = between(random_, 0, 2) == 0 ? 2 : kWriters;
        for (std::size_t i = 0; i < writers; ++i)
            others_.push_back(Child([this, i, round, ids = open_orders[i]] {
                Writer writer(place_, i, round, ids, diaries_[i]);
                while (!diaries_[i].is_full()) writer.act();
                for (;;) ::pause();
            }));
    }

    /// In three rounds of four the clock starts when the first answer has come.
    void work() {
        if (between(random_, 0, 3) != 0) {
            const auto deadline = Clock::now() + std::chrono::seconds(5);
            while (!somebody_answered() && !has_ended(host_->pid()) && Clock::now() < deadline) pause_for(milliseconds(1));
            if (Clock::now() >= deadline) ++tally_.hosts_without_answer;
        }
        pause_for(milliseconds(between(random_, 5, 60)));
        if (plan_ == Plan::crash_point) wait_for_the_fuse();
        if (plan_ == Plan::inside_sync) kill_inside_sync();
        if (plan_ == Plan::host_first) kill_host();
        if (has_ended(host_->pid()) && others_.size() > kWriters) pause_for(milliseconds(between(random_, 10, 80)));
    }

    void kill_all() {
        std::vector<Child*> order{&*host_};
        for (Child& child : others_) order.push_back(&child);
        std::shuffle(order.begin(), order.end(), random_);
        for (Child* child : order) {
            child->send(SIGKILL);
            if (between(random_, 0, 1) == 0) pause_for(microseconds(between(random_, 0, 1500)));
        }
        for (Child* child : order) {
            CAPTURE(child == &*host_, child->pid(), place_.log());
            REQUIRE(child->wait().was_killed());   // one that ended by itself could not do its work
            ++tally_.kills;
        }
    }

private:
    template <class Duration>
    static void pause_for(Duration duration) {
        std::this_thread::sleep_for(duration);
    }
    [[nodiscard]] bool somebody_answered() const {
        return std::any_of(diaries_.begin(), diaries_.end(), [](const Diary& diary) { return diary.answered_count > 0; });
    }
    void wait_for_the_fuse() {
        const auto deadline = Clock::now() + milliseconds(250);
        while (!has_ended(host_->pid()) && Clock::now() < deadline) pause_for(milliseconds(1));
    }
    void kill_inside_sync() {
        const auto deadline = Clock::now() + milliseconds(100);
        while (Clock::now() < deadline && !is_syncing(host_->pid())) {
        }
        if (Clock::now() < deadline) ++tally_.sync_kills;
        host_->send(SIGKILL);
    }
    void kill_host() {
        host_->send(SIGKILL);
        while (!has_ended(host_->pid())) pause_for(microseconds(100));
    }

    const PersistedRegistry& place_;
    Diaries& diaries_;
    Tally& tally_;
    Random& random_;
    Plan plan_;
    std::optional<Child> host_;
    std::vector<Child> others_;
};

// ---- the disk -----------------------------------------------------------------------------------

/// What a power failure legally does: of the last journal file, pages behind everything that was ever known to be on
/// disk keep their old zeroes or hold rubbish. Returns how many.
std::uint64_t lose_what_was_never_synced(const PersistedRegistry& place, std::uint64_t durable, Random& random) {
    persist::Directory directory;
    REQUIRE_FALSE(persist::Directory::open(place.directory(), directory));
    for (const std::string& name : place.checkpoint_files()) durable = std::max(durable, persist::checkpoint_seq_of(name));
    persist::File file;
    REQUIRE_FALSE(directory.open_file(place.journal_files().back(), file, true));
    persist::FileHead head;
    if (!persist::read_head(file, head).empty()) return 0;
    struct Place {
        std::uint64_t at, end, last_seq;
    };
    std::vector<Place> blocks;
    persist::JournalReader reader(file, head);
    for (persist::Block block; reader.next(block);) {
        blocks.push_back({block.position, block.position + block.header.length, block.header.last_seq});
        durable = std::max(durable, block.header.durable_upto);
    }
    std::uint64_t lost = 0;
    for (const Place& block : blocks) {
        if (block.last_seq <= durable) continue;
        for (std::uint64_t at = block.at; at < block.end; at += persist::kBlockPage) {
            const int fate = between(random, 0, 2);
            if (fate == 0) continue;
            const std::vector<std::byte> page(persist::kBlockPage, fate == 1 ? std::byte{} : std::byte{0xA5});
            REQUIRE_FALSE(file.write_at(page.data(), page.size(), at));
            ++lost;
        }
    }
    return lost;
}

// ---- recovery -----------------------------------------------------------------------------------

/// Memory as the dead left it, where no change was half done.
struct Memory {
    std::uint64_t durable = 0;
    std::optional<std::uint64_t> seq, digest;
};

Memory look_at_memory(const PersistedRegistry& place) {
    const Reader reader = place.look();
    const StatusView status = reader.status();
    CAPTURE(place.log());
    REQUIRE(status.gaps == 0);
    REQUIRE(status.differences == 0);
    REQUIRE(status.checkpointed <= status.durable);   // INV-13
    REQUIRE(status.durable <= status.committed);
    Memory memory;
    memory.durable = status.durable;
    if (status.committed == status.applied) memory.seq = status.committed, memory.digest = reader.digest();
    return memory;
}

/// A site of attaching and rebuilding that was passed before, or any of the first.
Fuse choose_fuse_of_recovery(Random& random) {
    std::vector<Fuse> fuses{{0, static_cast<std::uint64_t>(between(random, 1, 6))}};
    for (const CrashSite& site : crash_sites())
        if (site.file.starts_with("registry/rebuild") || site.file.starts_with("registry/attachment"))
            fuses.push_back({site.address, 1});
    return fuses[static_cast<std::size_t>(between(random, 0, static_cast<int>(fuses.size()) - 1))];
}

/// Some times the first attempt is killed in its middle, and what it made is adopted or removed by the second.
void kill_a_recovery(const PersistedRegistry& place, Tally& tally, Random& random) {
    const Fuse fuse = choose_fuse_of_recovery(random);
    Child child([&place, fuse] {
        fuse.light();
        static_cast<void>(Registry::recover(place.name(), place.state_dir()));
    });
    if (child.wait().was_killed()) ++tally.recoveries_killed;
    if (between(random, 0, 1) == 0) static_cast<void>(Registry::recover(place.name(), place.state_dir()));
    place.remove_segment();
}

RecoverView recover(const PersistedRegistry& place, Tally& tally) {
    const auto begin = Clock::now();
    RecoverView view = Registry::recover(place.name(), place.state_dir());
    tally.slowest_recovery = std::max(tally.slowest_recovery, Clock::now() - begin);
    return view;
}

std::uint64_t live_timeless_digest(const PersistedRegistry& place) {
    return timeless_digest(LiveSegment(place, segment::Access::read_only).state());
}

/// The live tables are the files' tables and the events that the recovery itself put into the ring.
void require_live_is(const PersistedRegistry& place, core::State& replayed) {
    const LiveSegment live(place, segment::Access::read_only);
    const std::uint64_t committed = live.state().log->committed;
    for (std::uint64_t seq = replayed.log->applied + 1; seq <= committed; ++seq) {
        layout::store_relaxed(replayed.log->committed, seq);
        core::apply(replayed, live.state().ring_slot(seq));
    }
    const auto copy = core::copy_consistent(live.state());
    REQUIRE(copy);
    REQUIRE(core::digest(copy->state) == core::digest(replayed));
}

/// From empty where the journal was kept; else from the checkpoint before the one that the recovery used.
void check_against_replay(const PersistedRegistry& place, const RecoverView& view, const Memory& memory, Tally& tally) {
    const bool kept = place.journal() == Journal::kept;
    Restored slow = restore_from_files(place, kept ? From::empty : From::checkpoint_before, view.end_seq);
    const Restored quick = restore_from_files(place, From::checkpoint, view.end_seq);
    if (kept) REQUIRE(slow.report.checkpoint.empty());
    REQUIRE(slow.report.end_seq == view.end_seq);
    REQUIRE(quick.report.end_seq == view.end_seq);
    REQUIRE(quick.report.checkpoint == view.checkpoint);
    const std::uint64_t digest = core::digest(slow.tables.state);
    REQUIRE(core::digest(quick.tables.state) == digest);
    REQUIRE(core::audit(slow.tables.state).clean());
    (kept ? tally.replayed : tally.replayed_from_checkpoint) += slow.report.events;
    if (memory.seq == view.end_seq) {
        REQUIRE(*memory.digest == digest);
        ++tally.memory_compared;
    }
    require_live_is(place, slow.tables.state);
}

void check_recovered(const PersistedRegistry& place, const RecoverView& view, const Ledger& ledger, Tally& tally) {
    CAPTURE(view.checkpoint, view.checkpoint_seq, view.end_seq, view.torn, view.damage);
    REQUIRE(view.outcome == RecoverOutcome::rebuilt);
    REQUIRE(view.damage.empty());
    REQUIRE(view.checkpoint_seq <= view.end_seq);
    if (!view.torn.empty()) ++tally.torn;
    if (!view.checkpoint.empty()) ++tally.checkpoints_used;
    tally.checkpoints_passed_over += view.ignored.size();
    const Reader reader = place.look();
    const AuditView audit = reader.audit();
    CAPTURE(audit.violations);
    REQUIRE(audit.violations.empty());
    const StatusView status = reader.status();
    REQUIRE(status.unreconciled);
    REQUIRE(status.checkpointed <= status.durable);
    REQUIRE(status.durable == view.end_seq);
    tally.checked += ledger.check(reader, view.end_seq);
}

/// Twice from the same files; an operator's word makes the registry fit for the next round.
void recover_twice(const PersistedRegistry& place, const Ledger& ledger, const Memory& memory, Tally& tally, Random& random) {
    if (between(random, 0, 3) == 0) kill_a_recovery(place, tally, random);
    const RecoverView first = recover(place, tally);
    REQUIRE(memory.durable <= first.end_seq);
    check_recovered(place, first, ledger, tally);
    check_against_replay(place, first, memory, tally);
    const std::uint64_t digest = live_timeless_digest(place);
    place.remove_segment();
    const RecoverView second = recover(place, tally);
    REQUIRE(second.outcome == RecoverOutcome::rebuilt);
    REQUIRE(second.end_seq == first.end_seq);
    REQUIRE(live_timeless_digest(place) == digest);
    Registry operator_ = place.attach();
    REQUIRE(operator_.release_unreconciled("recovery rounds").result == Result::ok);
    REQUIRE_FALSE(operator_.status().unreconciled);
}

// ---- rounds -------------------------------------------------------------------------------------

class Campaign {
public:
    Campaign(Tally& tally, unsigned seed, Journal journal) : tally_(tally), random_(seed), place_(journal) {}

    void run(int first_round, int rounds) {
        for (int i = 0; i < rounds; ++i) {
            if (place_.look().status().ids_used > kMostIds) return;
            round(first_round + i);
        }
    }

private:
    void round(int number) {
        for (Diary& diary : *diaries_) diary.clear();
        const Plan plan = choose_plan();
        CAPTURE(number, kPlans[static_cast<std::size_t>(plan)]);
        const std::uint64_t epoch = place_.look().status().host_epoch;
        {
            Company company(place_, *diaries_, tally_, random_, plan);
            company.start(number, open_orders());
            company.work();
            company.kill_all();
        }
        ++tally_.rounds;
        ++tally_.plans[kPlans[static_cast<std::size_t>(plan)]];
        for (const Diary& diary : *diaries_) {
            ledger_.read(diary);
            tally_.answers += diary.answered_count;
            tally_.pending += diary.pending;
        }
        const std::uint64_t hosts = place_.look().status().host_epoch - epoch;
        tally_.take_overs += hosts > 0 ? hosts - 1 : 0;
        const Memory memory = look_at_memory(place_);
        place_.remove_segment();
        if (between(random_, 0, 2) == 0) cut_the_power(memory);
        recover_twice(place_, ledger_, memory, tally_, random_);
    }

    Plan choose_plan() {
        const int dice = between(random_, 0, 9);
        if (dice < 4) return Plan::crash_point;
        if (dice < 6) return Plan::host_first;
        if (dice < 7) return Plan::inside_sync;
        return dice < 8 ? Plan::riskd : Plan::all_at_once;
    }
    [[nodiscard]] std::array<std::vector<std::string>, kWriters> open_orders() const {
        std::array<std::vector<std::string>, kWriters> ids;
        const Reader reader = place_.look();
        for (std::size_t i = 0; i < kWriters; ++i) ids[i] = ledger_.open_orders(reader, kStrategies[i]);
        return ids;
    }
    void cut_the_power(const Memory& memory) {
        ++tally_.power_cuts;
        tally_.pages_lost += lose_what_was_never_synced(place_, memory.durable, random_);
    }

    Tally& tally_;
    Random random_;
    PersistedRegistry place_;
    Ledger ledger_;
    Shared<Diaries> diaries_;
};

void report(const Tally& tally, Clock::duration took, std::uint64_t seed) {
    const auto ms = [](Clock::duration d) { return std::chrono::duration_cast<milliseconds>(d).count(); };
    std::cout << "recovery rounds: " << tally.rounds << " rounds in " << ms(took) << " ms (seed " << seed << "), "
              << tally.kills << " kills (" << tally.sync_kills << " seen inside fsync), " << tally.answers
              << " durable answers, " << tally.pending << " pending, " << tally.checked
              << " answers checked (again each round), " << tally.replayed << " events replayed from empty and "
              << tally.replayed_from_checkpoint << " from the checkpoint before, " << tally.take_overs << " take-overs, "
              << tally.checkpoints_used << " recoveries from a checkpoint, " << tally.checkpoints_passed_over
              << " checkpoints passed over, " << tally.torn << " torn tails in " << tally.power_cuts << " power cuts ("
              << tally.pages_lost << " pages lost), " << tally.memory_compared << " times equal to memory, "
              << tally.recoveries_killed << " recoveries killed, " << tally.hosts_without_answer
              << " rounds without an answer in 5 s, slowest recovery " << ms(tally.slowest_recovery) << " ms\n";
    for (const auto& [plan, count] : tally.plans) std::cout << "  plan " << plan << ": " << count << "\n";
    for (const CrashSite& site : crash_sites())
        if (site.deaths > 0) std::cout << "  died at '" << site.name << "' (" << site.file << "): " << site.deaths << "\n";
}

}  // namespace

TEST_CASE("killed at any moment and rebuilt from its files, a registry holds every durable answer and nothing invented",
          "[persist][crash][inv-9][inv-11][inv-13]") {
    const std::uint64_t usual = long_form() ? 3000 : RISKREG_SANITIZED ? 12 : 100;
    const auto rounds = static_cast<int>(setting("RISKREG_ROUNDS", usual));
    const std::uint64_t seed = setting("RISKREG_SEED", static_cast<std::uint64_t>(::getpid()));
    CAPTURE(seed);
    Tally tally;
    int registries = 0;
    forget_crash_counts();
    const auto begin = Clock::now();
    for (int done = 0; done < rounds; done = static_cast<int>(tally.rounds)) {
        // Of four registries one gives up the journal that its checkpoints cover.
        const Journal journal = registries++ % 4 == 3 ? Journal::trimmed : Journal::kept;
        Campaign campaign(tally, static_cast<unsigned>(seed) + static_cast<unsigned>(done), journal);
        campaign.run(done, std::min(kRoundsPerRegistry, rounds - done));
    }
    report(tally, Clock::now() - begin, seed);
    CHECK(tally.answers > 0);
    CHECK(tally.checked > 0);
    CHECK(tally.checkpoints_used > 0);
    CHECK(tally.hosts_without_answer == 0);
}
