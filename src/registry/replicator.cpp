#include "registry/replicator.hpp"

#include <algorithm>
#include <system_error>

#include "base/crash_point.hpp"
#include "base/stop.hpp"
#include "core/audit.hpp"
#include "core/genesis.hpp"
#include "riskreg/config.hpp"
#include "riskreg/error.hpp"
#include "segment/process.hpp"
#include "segment/state_lock.hpp"

namespace riskreg::registry {

using namespace layout;
using persist::CheckpointSource;
using persist::IoError;
using persist::IoKind;

namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kRoundNs = 20 * kMs;
constexpr std::int64_t kLookNs = 4 * kMs;               // how soon a request, or the end, is noticed
constexpr std::int64_t kVerifyAfterNs = 1000 * kMs;     // a short-lived host never builds a replica
constexpr std::int64_t kCycleRounds = 60'000 * kMs / kRoundNs;   // of the verifier: one cycle a minute
constexpr std::int64_t kSyncWaitNs = 5000 * kMs;
constexpr std::int64_t kAfterEndNs = 150 * kMs;         // of the time to leave, for what comes behind

std::string show(std::uint64_t value) { return std::to_string(value); }

}  // namespace

Replicator::Replicator(Host& host)
    : host_(host),
      live_(host.state),
      started_ns_(segment::monotonic_ns()),
      next_checkpoint_ns_(segment::boottime_ns() + until_due_ns()),
      last_checkpoint_(load_relaxed(host.state.marks->checkpointed)),
      retention_(directory_, host.key, {live_.header->epoch, live_.header->keep_checkpoints, live_.header->keep_journal != 0}) {
}

std::int64_t Replicator::interval_ns() const noexcept { return live_.header->checkpoint_interval_s * 1000 * kMs; }

/// Counts from the last checkpoint, whoever wrote it: hosts that each die before their first one would leave a journal file
/// each, and nobody would ever remove them. Before the first one it counts from when the segment was made.
std::int64_t Replicator::until_due_ns() const noexcept {
    const auto written = static_cast<std::int64_t>(load_relaxed(live_.marks->checkpoint_steady_ns));
    return interval_ns() - std::clamp<std::int64_t>(segment::boottime_ns() - written, 0, interval_ns());
}

/// The journal's locks are given up by now, or about to be: what is begun is left, but for the last checkpoint, and that as soon as
/// another hosts.
bool Replicator::must_end() const noexcept {
    if (!host_.drained) return false;
    return !host_.final_checkpoint || host_.is_followed() || segment::monotonic_ns() > host_.leave_by_ns - kAfterEndNs;
}

void Replicator::run() noexcept {
    const base::StopScope scope([this] { return must_end(); });
    while (!host_.drained) {
        round();
        for (std::int64_t slept = 0; slept < kRoundNs && !host_.drained; slept += kLookNs) {
            if (load_acquire(live_.wakes->checkpoint_wanted) != load_relaxed(live_.wakes->checkpoint_done)) break;
            segment::sleep_ns(kLookNs);
        }
    }
    write_final();
}

void Replicator::round() {
    try {
        // Before the key is known, nothing of the files can be told.
        if (!host_.key_known && live_.has_journal()) return answer_requests();
        if (host_.gap.is_open()) return close_gap();
        answer_requests();
        if (!live_.has_journal()) return;
        write_when_due();
        follow_and_verify();
    } catch (const Error& error) {
        const bool on_disk = error.code() == Errc::damaged || error.code() == Errc::missing || error.code() == Errc::foreign;
        // Twice: a host that leaves may still be removing what its last checkpoint made superfluous.
        if (on_disk) return misread(error.what());
        host_.alarm.raise(Severity::critical, error.what());
        next_attempt_ns_ = segment::monotonic_ns() + backoff_.next_ns();
    } catch (const base::Stopped&) {
        return;
    } catch (const std::bad_alloc&) {
        lacks_memory();
    } catch (const std::exception& error) {
        host_.alarm.raise(Severity::critical, std::string("replicator: ") + error.what());
        segment::sleep_ns(backoff_.next_ns());
    }
}

/// The journal needs nothing of it. What was there is given back, and it is tried again.
void Replicator::lacks_memory() noexcept {
    drop_replica();
    host_.no_memory = true;
    next_attempt_ns_ = segment::monotonic_ns() + std::max(backoff_.next_ns(), 250 * kMs);
}

// ---- the replica --------------------------------------------------------------------------------

void Replicator::use_replica(core::PrivateState tables, const persist::JournalMark& mark) {
    replica_ = std::move(tables);
    follower_.emplace(directory_, replica_->state, host_.key, mark);
    verifier_.emplace(live_, replica_->state);
}

void Replicator::drop_replica() noexcept {
    verifier_.reset();
    follower_.reset();
    replica_.reset();
}

bool Replicator::has_replica() {
    if (replica_) return true;
    if (const IoError error = host_.open_home(directory_)) return failed("open the directory", error), false;
    persist::RestoreOptions options;
    // Before the files are looked for: one that is begun in between holds what was given up in the one before it.
    options.upto = host_.synced;
    persist::Sources sources = persist::Sources::with_key(directory_, host_.key);
    core::PrivateState built;
    const auto fresh = [&](const std::string& config) -> core::State& {
        const SharedConfig parsed = parse_config(config);
        built = core::allocate_state(core::geometry_of(parsed, config.size()));
        core::make_genesis(built.state, parsed, config);
        return built.state;
    };
    const persist::RecoveryReport report = persist::restore(directory_, sources, fresh, options);
    for (const persist::IgnoredFile& file : report.ignored)
        host_.alarm.raise(Severity::critical, "checkpoint " + file.name + " is not valid: " + file.why);
    use_replica(std::move(built), report.mark);
    host_.no_memory = false;
    return true;
}

/// Applies what is synced. False when that is not possible now.
bool Replicator::follow() {
    if (!has_replica()) return false;
    const std::uint64_t synced = host_.synced;
    const std::string wrong = follower_->advance(synced, host_.file_number, [this] { return host_.drained.load(); });
    if (wrong.empty()) return follow_failures_ = 0, true;
    misread(wrong);
    return false;
}

/// Once is an error of reading, and a new replica is built; twice is what stands on the disk.
void Replicator::misread(const std::string& why) {
    if (++follow_failures_ >= 2) return distrust(why);
    host_.alarm.raise(Severity::warning, "the replica is built anew: " + why);
    drop_replica();
}

/// The journal on disk cannot be read back: what was acknowledged is only in memory, and has to be written again.
void Replicator::distrust(const std::string& why) {
    drop_replica();
    follow_failures_ = 0;
    // The file that was begun behind a gap may be damaged too; then memory is copied again, and a later file begun.
    if (!host_.gap.now().journal_goes_on) {
        host_.alarm.raise(Severity::critical, "checkpoint in a gap: " + why);
        return segment::sleep_ns(backoff_.next_ns());
    }
    host_.alarm.raise(Severity::critical, "the journal cannot be read back: " + why);
    host_.journal_lost = true;
    segment::sleep_ns(backoff_.next_ns());
}

void Replicator::follow_and_verify() {
    if (segment::monotonic_ns() - started_ns_ < kVerifyAfterNs || segment::monotonic_ns() < next_attempt_ns_ || !follow())
        return;
    // The live tables of a day that has ended stay as they are; the replica has gone on.
    if (replica_->state.header->rolled_seq != live_.header->rolled_seq) return;
    const std::uint64_t before = verifier_->cycles();
    const std::uint64_t records = verifier_->size() / static_cast<std::uint64_t>(kCycleRounds) + 1;
    const std::uint64_t equal = verifier_->step(records, [this](const std::string& what) { differs(what); });
    store_relaxed(live_.marks->verified, load_relaxed(live_.marks->verified) + equal);
    store_relaxed(live_.marks->verifier_cycles, load_relaxed(live_.marks->verifier_cycles) + verifier_->cycles() - before);
    // Indexes, books and times of messages are in no record, and so not in the journal either.
    if (verifier_->cycles() != before && core::is_in(live_, SegmentState::ready)) static_cast<void>(audit());
}

void Replicator::differs(const std::string& what) {
    count_up(live_.marks->differences);
    host_.alarm.raise(Severity::critical, "the tables differ from what the journal says: " + what);
    switch (audit()) {
        case Audit::impossible: return host_.alarm.raise(Severity::critical, "no consistent copy for an audit could be made");
        case Audit::clean: return host_.alarm.raise(Severity::critical, "audit: the tables agree with each other");
        case Audit::poisoned: return;
    }
}

Replicator::Audit Replicator::audit() {
    auto copy = core::copy_consistent(live_);
    if (!copy) return Audit::impossible;
    const core::AuditReport report = core::audit_live(live_, copy->state);
    if (report.clean()) return Audit::clean;
    std::string found;
    for (std::size_t i = 0; i < std::min<std::size_t>(report.violations.size(), 3); ++i)
        found.append(i == 0 ? "" : "; ").append(report.violations[i]);
    host_.alarm.raise(Severity::critical, "audit: " + found);
    // Limits are judged by these tables: from here on refusing is the only answer that is known to be right.
    segment::poison(live_);
    host_.alarm.raise(Severity::critical, "the registry is poisoned: end every process that uses it, then `riskctl recover " +
                                              host_.attachment.name + "` rebuilds it from disk");
    return Audit::poisoned;
}

// ---- checkpoints --------------------------------------------------------------------------------

bool Replicator::write(const core::State& state, CheckpointSource source, bool clean) {
    if (host_.is_destroyed()) return false;
    if (!host_.key_known) return failed("read the key", IoError::of(IoKind::no_key)), false;
    if (const IoError error = host_.open_home(directory_)) return failed("open the directory", error), false;
    persist::CheckpointOptions options;
    options.registry = host_.attachment.name;
    options.epoch = live_.header->epoch;
    options.host_epoch = host_.epoch;
    options.source = source;
    options.clean = clean && host_.complete;
    if (source == CheckpointSource::replica) options.journal = follower_->mark();
    options.key = host_.key;
    options.time_ns = segment::realtime_ns();
    options.stop = [this, clean] { return (!clean && host_.drained) || must_end(); };
    std::string stage;
    if (const IoError error = persist::write_checkpoint(directory_, state, options, stage)) return failed(stage, error), false;
    backoff_.reset();
    next_attempt_ns_ = 0;
    last_checkpoint_ = state.log->applied;
    retention_.written(last_checkpoint_);
    mark_checkpoint(options.time_ns);
    CRASH_POINT("checkpoint done");
    host_.alarm.raise(Severity::info,
                      "checkpoint at " + show(last_checkpoint_) + (clean ? ", the last of a clean shutdown" : ""));
    trim(clean);
    return true;
}

void Replicator::mark_checkpoint(std::int64_t time_ns) noexcept {
    // A host that has left and the one that followed it may both be here.
    raise_to(live_.marks->checkpoint_ns, static_cast<std::uint64_t>(time_ns));
    raise_to(live_.marks->checkpoint_steady_ns, static_cast<std::uint64_t>(segment::boottime_ns()));
    raise_to(live_.marks->checkpointed, last_checkpoint_);
    __atomic_add_fetch(&live_.host->checkpoints, 1, __ATOMIC_RELAXED);
    if (host_.is_followed() || load_relaxed(live_.host->checkpoint_fault_errno) == 0) return;
    store_relaxed(live_.host->checkpoint_fault_errno, 0);
    host_.alarm.raise(Severity::warning, "checkpoints are written again");
}

/// Files are removed by a host only: another one may be reading them to build its replica.
void Replicator::trim(bool clean) {
    if (!host_.gap.now().files_may_go || (host_.drained && !clean)) return;
    if (!host_.drained) return retention_.trim();
    if (!host_.attachment.lock.try_host()) return;
    retention_.trim();
    host_.attachment.lock.release_host();
}

void Replicator::failed(const std::string& stage, IoError error) {
    if (host_.drained) return;
    const bool news = load_relaxed(live_.host->checkpoint_fault_errno) != static_cast<std::uint64_t>(error.number);
    store_relaxed(live_.host->checkpoint_fault_errno, static_cast<std::uint64_t>(error.number));
    if (news) host_.alarm.raise(Severity::critical, "no checkpoint: cannot " + stage + ": " + error.text());
    next_attempt_ns_ = segment::monotonic_ns() + backoff_.next_ns();
}

bool Replicator::write_from_memory() {
    const auto copy = core::copy_consistent(live_);
    if (!copy) return host_.alarm.raise(Severity::warning, "writers outran every attempt to copy the tables"), false;
    return write(copy->state, CheckpointSource::memory, false);
}

/// Everything that is committed now, through the disk.
bool Replicator::checkpoint_now(bool clean) {
    if (!host_.key_known) return failed("read the key", IoError::of(IoKind::no_key)), false;
    const std::uint64_t wanted = clean ? host_.synced.load() : load_acquire(live_.log->committed);
    const std::int64_t deadline = segment::monotonic_ns() + kSyncWaitNs;
    while (host_.synced < wanted && segment::monotonic_ns() < deadline && !host_.drained) segment::sleep_ns(kMs / 10);
    if (!clean && host_.synced < wanted && host_.handed_over) return false;
    if (!clean && host_.synced < wanted)
        return host_.alarm.raise(Severity::critical, "no checkpoint: the journal is behind"), false;
    if (!has_replica()) return false;
    // In this order: with a number from before, what was given up would be read from the file that it was given up in.
    const std::uint64_t synced = host_.synced;
    const std::string wrong =
        follower_->advance(synced, host_.file_number, [this, clean] { return (!clean && host_.drained) || must_end(); });
    if (!wrong.empty()) return misread(wrong), false;
    return write(replica_->state, CheckpointSource::replica, clean);
}

void Replicator::answer_requests() {
    Wakes& wakes = *live_.wakes;
    const std::uint64_t wanted = load_acquire(wakes.checkpoint_wanted);
    if (wanted == load_relaxed(wakes.checkpoint_done)) return;
    bool written = false;
    try {
        written = live_.has_journal() ? checkpoint_now(false) : write_from_memory();
    } catch (const std::bad_alloc&) {
        lacks_memory();
        failed("have the memory for it", IoError::of(IoKind::no_memory));
    } catch (const base::Stopped&) {
        // Not written.
    } catch (const std::exception& error) {
        // Whoever asked is told, and not left waiting.
        failed(std::string("write it: ") + error.what(), {static_cast<int>(std::errc::io_error)});
    }
    if (!written && (host_.handed_over || host_.is_followed())) return;  // the next host answers
    if (!written) store_relaxed(wakes.checkpoint_failed, wanted);
    store_release(wakes.checkpoint_done, wanted);
}

void Replicator::write_when_due() {
    const std::int64_t now = segment::monotonic_ns();
    // Without anything new it stays due.
    if (segment::boottime_ns() < next_checkpoint_ns_ || now < next_attempt_ns_ || host_.synced <= last_checkpoint_) return;
    if (checkpoint_now(false)) next_checkpoint_ns_ = segment::boottime_ns() + interval_ns();
}

void Replicator::write_final() {
    if (!host_.final_checkpoint || host_.gap.is_open() || !live_.has_journal() || host_.is_destroyed()) return;
    try {
        if (checkpoint_now(true)) return;
        if (!must_end()) return host_.alarm.raise(Severity::critical, "the final checkpoint could not be written");
    } catch (const base::Stopped&) {
        // Told below.
    } catch (const std::exception& error) {
        return host_.alarm.raise(Severity::critical, std::string("the final checkpoint: ") + error.what());
    }
    host_.alarm.raise(Severity::info, host_.is_followed() ? "no last checkpoint: another process hosts the snapshotter by now"
                                                          : "no last checkpoint: there was no time left for it");
}

// ---- gaps ---------------------------------------------------------------------------------------

void Replicator::close_gap() {
    const GapState& now = host_.gap.now();
    if (now.turn != GapTurn::replicator || segment::monotonic_ns() < next_attempt_ns_) return;
    if (now.state == Gap::copy_wanted) {
        drop_replica();
        auto copy = core::copy_consistent(live_);
        if (!copy) return host_.alarm.raise(Severity::warning, "gap: writers outran every attempt to copy the tables");
        const core::AuditReport report = core::audit(copy->state);
        if (!report.clean()) {
            // Memory that contradicts itself must not replace what is good on disk.
            host_.alarm.raise(Severity::critical,
                              "the gap stays open, the tables fail their audit: " + report.violations.front());
            next_attempt_ns_ = segment::monotonic_ns() + 1000 * kMs;
            return;
        }
        if (!write(copy->state, CheckpointSource::memory, false)) return;
        host_.no_memory = false;
        use_replica(std::move(*copy), {});
        host_.base_seq = replica_->state.log->applied;
        host_.gap.take(GapStep::tables_are_copied);
        return;
    }
    if (host_.synced <= host_.base_seq || !follow()) return;
    if (!write(replica_->state, CheckpointSource::replica, false)) return;
    host_.gap.take(GapStep::journal_was_read);
}

}  // namespace riskreg::registry
