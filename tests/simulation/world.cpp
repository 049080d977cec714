#include "simulation/world.hpp"

#include <algorithm>
#include <cstring>

#include "core/apply.hpp"
#include "core/audit.hpp"
#include "core/decide.hpp"
#include "core/derived.hpp"
#include "core/genesis.hpp"
#include "simulation/tables.hpp"
#include "support/child.hpp"
#include "support/history.hpp"

namespace riskreg::simulation {

using persist::IoError;
using test::PlainRegistry;

namespace {

constexpr std::int64_t kStart = 1'700'000'000'000'000'001;
constexpr std::int64_t kMs = 1'000'000;
constexpr int kMostAttempts = 60;   // at a recovery that is disturbed again and again, before the disk is left in peace

std::string show(std::uint64_t value) { return std::to_string(value); }

const std::string& config_of(std::int64_t kind) {
    static const std::array<std::string, 2> configs = {test::small_config(64), test::small_config(128)};
    return configs.at(static_cast<std::size_t>(kind));
}

/// Faults of calls: none, some, or so many that little succeeds.
Odds draw_odds(test::Random& random, bool lies, Mistake mistake) {
    Odds odds;
    const std::int64_t kind = mistake == Mistake::none ? random.between(1, 100) : 100;
    if (kind > 30) odds = {.write = 60, .sync = 150, .name = 60, .read = 15};
    if (kind > 75) odds = {.write = 500, .sync = 1200, .name = 400, .read = 80};
    if (!lies) return odds;
    odds.lie = random.pick({0U, 10U, 50U, 250U});
    odds.rot = random.pick({0U, 20U, 80U, 250U});
    odds.entry = random.pick({0U, 0U, 150U, 800U});
    return odds;
}

Setup draw_setup(test::Random& random, Mistake mistake) {
    Setup setup;
    setup.config = config_of(random.between(0, 1));
    setup.epoch = 0x1122334455667788ULL ^ random.next();
    // A sanitizer keeps its threads; with a key the digest is checked in this one.
    if (RISKREG_SANITIZED || random.percent(30)) setup.key_file = kKeyFile;
    setup.keep_checkpoints = static_cast<std::uint32_t>(random.between(1, 3));
    setup.block_events = static_cast<std::uint64_t>(random.pick({1, 4, 15, 31}));
    setup.first_file_bytes = persist::kBlockPage * static_cast<std::uint64_t>(random.between(4, 8));
    setup.file_bytes = persist::kBlockPage * static_cast<std::uint64_t>(random.between(4, 16));
    setup.checkpoint_interval_ns = kMs * random.pick({20, 60, 200, 5000});
    setup.mistake = mistake;
    return setup;
}

void require(IoError error, const std::string& doing) {
    if (error) throw Error(error.is_no_space() ? Errc::no_space : Errc::system, "cannot " + doing + ": " + error.text());
}

}  // namespace

core::PrivateState tables_of(const std::string& config) {
    static std::string known;
    static SharedConfig parsed;
    if (config != known || known.empty()) {
        parsed = parse_config(config);
        known = config;
    }
    core::PrivateState tables = core::allocate_state(core::geometry_of(parsed, config.size()));
    core::make_genesis(tables.state, parsed, config);
    return tables;
}

// ---- the reference ------------------------------------------------------------------------------

void Reference::collect(const core::State& live) {
    while (last_seq() < live.log->committed) events_.push_back(live.ring_slot(last_seq() + 1));
}

void Reference::forget_behind(std::uint64_t seq) {
    events_.resize(std::min<std::size_t>(events_.size(), seq - 1));
    if (at_ > seq) at_ = 0;
}

std::uint64_t Reference::digest_at(std::uint64_t seq) {
    if (at_ == 0 || at_ > seq) {
        tables_ = tables_of(config_);
        tables_.state.keeps_derived = false;
        at_ = layout::kGenesis;
    }
    test::apply_events(tables_.state, std::span(events_).subspan(at_ - 1, seq - at_));
    at_ = seq;
    return core::digest(tables_.state);
}

// ---- lives --------------------------------------------------------------------------------------

/// What one attempt at restoring gave.
struct World::Restored {
    core::PrivateState tables;
    persist::RecoveryReport report;
    std::vector<std::string> journals;            ///< names of all that were there
    std::vector<std::string> checkpoints;
    std::uint64_t newest_number = 0;
    persist::Key key;
    std::uint64_t failed_calls_before = 0;
    bool disturbed = false;                       ///< calls failed meanwhile: what was passed over may be whole
};

World::World(std::uint64_t seed, const Wish& wish, Counts& counts)
    : counts_(counts),
      trace_(wish.shown),
      random_(seed),
      lies_(wish.mistake == Mistake::none && random_.percent(35)),
      setup_(draw_setup(random_, wish.mistake)),
      disk_(std::make_unique<Disk>(random_.next(), draw_odds(random_, lies_, wish.mistake), trace_)),
      trader_(random_.next()),
      reference_(setup_.config),
      now_ns_(kStart),
      booted_ns_(kStart - 3'600'000 * kMs) {
    disk_->ignores_sync_of_checkpoints = wish.mistake == Mistake::renames_unsynced_checkpoint;
    mount(disk_.get());
}

World::~World() {
    registry_.reset();
    directory_ = {};
    mount(nullptr);
}

void World::violate(const std::string& what) {
    if (ending_.violation.empty()) ending_.violation = what;
    trace_.say("VIOLATION: " + what);
}

Ending World::run() {
    trace_.say(lies_ ? "a disk that lies" : "an honest disk");
    ++counts_.seeds;
    counts_.lying_seeds += lies_ ? 1 : 0;
    create();
    for (std::int64_t lives = random_.between(2, 5); lives > 0 && !violated(); --lives) {
        live();
        if (violated()) break;
        if (memory_survives_) take_over();
        else if (!recover()) break;
    }
    counts_.events += reference_.last_seq();
    counts_.promised += promised_;
    for (std::size_t i = 0; i < counts_.faults.size(); ++i) counts_.faults[i] += disk_->faults()[i];
    trace_.note("end", reference_.last_seq(), promised_);
    ending_.trace = trace_.hash();
    return ending_;
}

void World::advance_clock() {
    now_ns_ += random_.pick({kMs / 20, kMs / 2, kMs, 5 * kMs, 15 * kMs}) + random_.between(0, 999);
    trace_.at(now_ns_ - kStart);
}

/// A registry is there when its first journal file is; until then nothing was promised to anybody.
void World::create() {
    disk_->set_faults(false);
    require(persist::Directory::open("/simulated", directory_), "open the directory");
    persist::FileSpec spec;
    spec.number = 1;
    spec.first_seq = layout::kGenesis + 1;
    spec.predecessor_last_seq = layout::kGenesis;
    spec.epoch = setup_.epoch;
    spec.registry = setup_.name;
    spec.config = setup_.config;
    spec.key = persist::resolve_key(setup_.key_file, {});
    make_journal(spec);
    disk_->set_faults(true);
    registry_ = std::make_unique<PlainRegistry>(tables_of(setup_.config));
    registry_->state().header->epoch = setup_.epoch;
    registry_->state().header->recovered_seq = layout::kGenesis;
}

void World::make_journal(const persist::FileSpec& spec) {
    const std::string temporary = std::string(persist::kTemporaryPrefix) + "journal-first";
    const std::uint64_t bytes = persist::file_size_for(setup_.config.size(), setup_.first_file_bytes);
    static_cast<void>(directory_.remove(temporary));
    persist::File space;
    require(persist::prepare_space(directory_, temporary, bytes, space), "prepare a journal file");
    persist::JournalWriter writer;
    require(writer.begin(directory_, std::move(space), temporary, bytes, spec), "begin a journal file");
}

void World::live() {
    ++counts_.lives;
    trace_.note("life", reference_.last_seq(), promised_);
    Host host(*disk_, trace_, counts_, setup_, registry_->state(), ++host_epoch_, random_.next(), now_ns_, booted_ns_);
    trader_.begin(*registry_, times());
    reference_.collect(registry_->state());
    // What only the cache holds is seen by recoveries from the cache.
    power_failed_ = random_.percent(setup_.mistake == Mistake::believes_the_cache ? 40 : 70);
    if (random_.percent(75))
        disk_->stop_after(static_cast<std::uint64_t>(random_.between(1, random_.pick({40, 150, 500}))), power_failed_);
    steps(host);
    end_life(host);
}

void World::steps(Host& host) {
    const std::int64_t busy = random_.pick({2, 5, 12, 30});
    if (random_.percent(8)) disk_->fail_for(static_cast<std::uint64_t>(random_.between(5, 60)));
    for (std::int64_t step = random_.between(8, 40); step > 0 && !disk_->is_stopped(); --step) {
        advance_clock();
        for (std::int64_t n = random_.percent(25) ? 0 : random_.between(0, busy); n > 0; --n) {
            trader_.act(*registry_, times());
            reference_.collect(registry_->state());
        }
        host.round();
        if (random_.percent(60)) host.replicate();
        reference_.collect(registry_->state());
        promised_ = std::max<std::uint64_t>(promised_, registry_->state().marks->durable);
    }
}

/// When nothing fails any more, everything that is committed is durable soon, through any gap.
void World::require_catching_up(Host& host) {
    disk_->never_stop();
    disk_->set_faults(false);
    core::State& state = registry_->state();
    for (int round = 0; round < 80 && state.marks->durable < state.log->committed; ++round) {
        now_ns_ += 1100 * kMs;
        trace_.at(now_ns_ - kStart);
        host.round();
        host.replicate();
        reference_.collect(state);
    }
    if (state.marks->durable < state.log->committed)
        violate("nothing fails any more, and durable stays at " + show(state.marks->durable) + " of " +
                show(state.log->committed));
    disk_->set_faults(true);
}

/// A loss of power, a kill of the host or of everybody, or an orderly end.
void World::end_life(Host& host) {
    bool clean = false;
    if (!disk_->is_stopped() && random_.percent(40)) require_catching_up(host);
    if (!disk_->is_stopped() && random_.percent(70)) clean = host.leave(random_.percent(60));
    reference_.collect(registry_->state());
    promised_ = std::max<std::uint64_t>(promised_, registry_->state().marks->durable);
    if (!disk_->is_stopped()) power_failed_ = random_.percent(40);
    memory_survives_ = !power_failed_ && random_.percent(50);
    counts_.clean_ends += clean ? 1 : 0;
    registry_->state().host->clean = clean ? 1 : 0;
}

/// The tables are in shared memory and need no host: they are what they were, and the next host goes on with them.
void World::take_over() {
    disk_->restart(false);
    ++counts_.taken_over;
    const core::State& state = registry_->state();
    if (core::digest(state) != reference_.digest_at(state.log->committed))
        violate("the live tables are not what their log says");
    trace_.note("taken over", state.log->committed, state.marks->durable);
}

// ---- recovery -----------------------------------------------------------------------------------

bool World::recover() {
    registry_.reset();
    accept_loss_ = false;
    disk_->restart(power_failed_);
    for (int attempt = 0; !violated(); ++attempt) {
        // A recovery that dies is begun again; in the end the disk is left in peace.
        disk_->set_faults(attempt < kMostAttempts);
        if (attempt < kMostAttempts && random_.percent(20))
            disk_->stop_after(static_cast<std::uint64_t>(random_.between(1, 60)), power_failed_ = random_.percent(60));
        Restored out;
        const bool done = restore_once(out);
        if (violated()) return false;
        if (disk_->is_stopped()) disk_->restart(power_failed_);
        else if (done) return begin_life_from(out), true;
        else if (lost_) return false;
        else if (attempt > 2 * kMostAttempts) violate("recovery does not come to an end");
        disk_->never_stop();
    }
    return false;
}

/// True when tables are there to go on with. False: try again; the reason is counted.
bool World::restore_once(Restored& out) {
    out.failed_calls_before = disk_->failed_calls();
    try {
        restore_and_check(out);
        if (violated()) return false;
        core::rebuild_derived(out.tables.state);
        sync_what_was_used(out);
        if (!out.report.damage.empty()) begin_anew_behind_the_loss(out);
        return !disk_->is_stopped();
    } catch (const Error& error) {
        trace_.say(error.what());
        if (!disk_->is_stopped()) refused(error, out);
        return false;
    }
}

/// An error that a failing call explains is tried again. Otherwise an honest disk never leads to one.
void World::refused(const Error& error, const Restored& out) {
    if (lost_) return;
    trace_.note("refused", static_cast<std::uint64_t>(error.code()));
    // Of the host, not of the files; a lie that write_checkpoint notices at once is one too.
    const bool again = disk_->failed_calls() != out.failed_calls_before || (disk_->has_lied() && error.code() == Errc::system);
    if (again) {
        ++counts_.retried;
        return;
    }
    if (!disk_->has_lied()) return violate(std::string("an honest disk, and recovery refuses: ") + error.what());
    if (error.code() != Errc::damaged && error.code() != Errc::missing)
        return violate(std::string("refused for another reason than damage: ") + error.what());
    ++counts_.refusals;
    lost_ = accept_loss_;
    counts_.lost_worlds += lost_ ? 1 : 0;
    accept_loss_ = true;
}

void World::restore_and_check(Restored& out) {
    require(persist::Directory::open("/simulated", directory_), "open the directory");
    persist::Sources sources(directory_, setup_.key_file);
    for (const persist::Sources::Journal& journal : sources.journals) {
        out.journals.push_back(journal.name);
        out.newest_number = std::max(out.newest_number, journal.head.header.file_number);
    }
    out.checkpoints = sources.checkpoints;
    out.key = sources.key;
    if (setup_.mistake != Mistake::believes_the_cache)
        require(persist::settle_last_journal(directory_, sources), "sync the journal before it is read");
    persist::RestoreOptions options;
    options.accept_loss = accept_loss_;
    const auto fresh = [&](const std::string& config) -> core::State& { return (out.tables = tables_of(config)).state; };
    out.report = persist::restore(directory_, sources, fresh, options);
    out.disturbed = disk_->failed_calls() != out.failed_calls_before;
    if (!disk_->is_stopped()) judge(out);
}

/// What is promised of every recovery that does not refuse.
void World::judge(const Restored& out) {
    const core::State& state = out.tables.state;
    const std::uint64_t end = out.report.end_seq;
    trace_.note("restored", end, promised_, reference_.last_seq());
    if (!out.report.torn.empty()) trace_.say("torn: " + out.report.torn);
    if (!out.report.damage.empty()) trace_.say("damage: " + out.report.damage);
    for (const persist::IgnoredFile& file : out.report.ignored) trace_.say("ignored: " + file.name + ": " + file.why);
    if (state.log->applied != end) return violate("the report names another sequence than the tables");
    const bool committed = end <= reference_.last_seq();
    const std::uint64_t digest = core::digest(state);
    trace_.note("digest", digest);
    if (committed && digest == reference_.digest_at(end)) return judge_state(out);
    if (gave_up_history_ && uses_what_came_back(out)) {
        ++counts_.came_back;
        trace_.note("A FILE GIVEN UP CAME BACK");
        lost_ = true;
        throw Error(Errc::damaged, "the simulation ends here: what came back was taken for the continuation");
    }
    violate(committed ? "another state than the one after event " + show(end)
                      : "invented: restored to " + show(end) + ", " + show(reference_.last_seq()) + " were committed");
}

/// After a loss the numbers of what was lost are given to other events. When the disk then undoes the removal of the old files,
/// although it was synced, there are two histories with whole files, as if somebody had copied old files back: the design does
/// not claim to tell them apart in every case, so these are counted, openly, and the world ends.
bool World::uses_what_came_back(const Restored& out) const {
    return (!out.report.checkpoint.empty() && disk_->came_back(out.report.checkpoint)) ||
           std::any_of(out.report.journals.begin(), out.report.journals.end(),
                       [this](const persist::JournalUse& use) { return disk_->came_back(use.name); });
}

void World::judge_state(const Restored& out) {
    const core::State& state = out.tables.state;
    if (const core::AuditReport audit = core::audit(state); !audit.clean())
        return violate("audit: " + audit.violations.front());
    if (std::string_view(state.config, state.geometry.config_bytes) != setup_.config) return violate("another configuration");
    if (disk_->has_lied()) return judge_loss(out);
    judge_honest(out);
}

void World::judge_honest(const Restored& out) {
    if (out.report.end_seq < promised_)
        return violate("lost: restored to " + show(out.report.end_seq) + ", " + show(promised_) + " were promised as durable");
    if (!out.report.damage.empty()) return violate("damage on an honest disk: " + out.report.damage);
    if (!out.report.ignored.empty() && !out.disturbed)
        violate("a checkpoint that is not valid, on an honest disk: " + out.report.ignored.front().why);
}

/// A disk that lies may lose what was promised. Then it is said, unless nothing is left that names it.
void World::judge_loss(const Restored& out) {
    const std::uint64_t end = out.report.end_seq;
    if (end >= promised_) return;
    if (!out.report.damage.empty()) return;
    if (const std::uint64_t known = witness(); known > end)
        return violate("lost without a word: restored to " + show(end) + ", and what is left names " + show(known) +
                       " as durable");
    ++counts_.undetectable;
    counts_.undetectable_torn += out.report.torn.empty() ? 0 : 1;
    trace_.note("UNDETECTABLE", end, promised_);
}

/// The highest sequence that anything that is left says was on disk: every valid block of every file, and every name of a
/// checkpoint, whole or not. Looked for here page by page, not by the product's reader. A file of a history that was given up, and
/// that the disk brought back, speaks of what was reported as lost then.
std::uint64_t World::witness() const {
    std::uint64_t highest = 0;
    for (const std::string& name : disk_->names()) {
        highest = std::max(highest, persist::checkpoint_seq_of(name));
        if (persist::first_seq_of(name) != 0) highest = std::max(highest, witness_of_journal(name));
    }
    return highest;
}

std::uint64_t World::witness_of_journal(const std::string& name) const {
    const std::vector<std::byte>& bytes = *disk_->peek(name);
    std::uint64_t highest = 0;
    std::uint64_t number = 0;
    for (std::size_t at = 0; at + sizeof(persist::BlockHeader) <= bytes.size(); at += persist::kBlockPage) {
        persist::BlockHeader header;
        std::memcpy(&header, bytes.data() + at, sizeof header);
        const bool sane = header.magic == persist::kBlockMagic && header.epoch == setup_.epoch &&
                          header.length >= persist::kBlockPage && header.length % persist::kBlockPage == 0 &&
                          header.length <= bytes.size() - at;
        if (at == 0) number = header.file_number;
        if (number <= given_up_number_) return 0;
        if (!sane || header.file_number != number) continue;
        if (persist::checksum_of_block({bytes.data() + at, header.length}) == header.checksum)
            highest = std::max(highest, header.durable_upto);
    }
    return highest;
}

/// As registry/rebuild.cpp does: before it counts as durable, it is.
void World::sync_what_was_used(const Restored& out) {
    std::vector<std::string> names;
    if (!out.report.checkpoint.empty()) names.push_back(out.report.checkpoint);
    for (const persist::JournalUse& use : out.report.journals) names.push_back(use.name);
    for (const std::string& name : names) {
        persist::File file;
        require(directory_.open_file(name, file), "open " + name);
        require(file.sync(), "sync " + name);
    }
    require(directory_.sync(), "sync the directory");
}

void World::begin_anew_behind_the_loss(const Restored& out) {
    const std::uint64_t end = out.report.end_seq;
    persist::CheckpointOptions options;
    options.registry = setup_.name;
    options.epoch = setup_.epoch;
    options.source = persist::CheckpointSource::memory;
    options.key = out.key;
    options.time_ns = now_ns_;
    std::string stage;
    require(persist::write_checkpoint(directory_, out.tables.state, options, stage), "write a checkpoint of what is left");
    const std::string aside = ".lost-" + show(host_epoch_) + "-";
    for (const std::string& name : out.journals) require(directory_.rename(name, aside + name), "set aside " + name);
    for (const std::string& name : out.checkpoints)
        if (persist::checkpoint_seq_of(name) > end) require(directory_.rename(name, aside + name), "set aside " + name);
    require(directory_.sync(), "sync the directory");
    persist::FileSpec spec;
    spec.number = out.newest_number + 1;
    spec.first_seq = end + 1;
    spec.predecessor_last_seq = spec.base_seq = end;
    spec.epoch = setup_.epoch;
    spec.registry = setup_.name;
    spec.config = setup_.config;
    spec.key = persist::resolve_key(setup_.key_file, {});
    make_journal(spec);
    given_up_number_ = std::max(given_up_number_, out.newest_number);
}

void World::begin_life_from(Restored& out) {
    const persist::RecoveryReport& report = out.report;
    const std::uint64_t end = report.end_seq;
    ++counts_.recoveries;
    counts_.from_journal += report.checkpoint.empty() ? 1 : 0;
    counts_.from_checkpoint += !report.checkpoint.empty() && report.ignored.empty() ? 1 : 0;
    counts_.from_older_checkpoint += !report.checkpoint.empty() && !report.ignored.empty() ? 1 : 0;
    counts_.two_checkpoints += out.checkpoints.size() >= 2 ? 1 : 0;
    counts_.torn_tails += report.torn.empty() ? 0 : 1;
    counts_.damage_reported += report.damage.empty() ? 0 : 1;
    disk_->never_stop();
    disk_->set_faults(true);
    reference_.forget_behind(end);
    gave_up_history_ = gave_up_history_ || end < promised_;
    promised_ = end;
    registry_ = std::make_unique<PlainRegistry>(std::move(out.tables));
    core::State& state = registry_->state();
    state.header->epoch = setup_.epoch;
    state.header->recovered_seq = end;
    state.marks->journaled = state.marks->durable = state.status->consumer = end;
    state.marks->checkpointed = report.checkpoint.empty() ? 0 : report.head.seq;
    core::Decision decision;
    if (power_failed_) booted_ns_ = now_ns_ - 20'000 * kMs;  // boot time is less than that of the events before
    core::decide_recovered(state, trader_.someone_in_charge(times()), "rebuilt", decision);
    core::execute(core::Exclusive::alone(state), decision.event);
    for (std::uint32_t session = 0; session < state.geometry.sessions; ++session)
        if (state.sessions[session].record.newest().status == layout::SessionStatus::attached)
            static_cast<void>(registry_->end_session(session, layout::EventType::session_dead, now_ns_, times().steady_ns));
    reference_.collect(state);
}

Ending run_seed(std::uint64_t seed, const Wish& wish, Counts& counts) { return World(seed, wish, counts).run(); }

}  // namespace riskreg::simulation
