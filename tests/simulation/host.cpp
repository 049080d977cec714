#include "simulation/host.hpp"

#include <algorithm>

#include "core/apply.hpp"
#include "core/audit.hpp"
#include "core/decide.hpp"
#include "riskreg/error.hpp"
#include "simulation/tables.hpp"

namespace riskreg::simulation {

using layout::Event;
using persist::CheckpointSource;
using persist::IoError;

namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::uint64_t kSyncEvents = 64;    // at most this many wait for one sync
constexpr std::int64_t kQuietNs = 10 * kMs;  // then a seal says that everything is on disk
constexpr int kDrainRounds = 40;

}  // namespace

Host::Host(Disk& disk, Trace& trace, Counts& counts, const Setup& setup, core::State& state, std::uint64_t epoch,
           std::uint64_t seed, const std::int64_t& now_ns, const std::int64_t& booted_ns)
    : disk_(disk),
      trace_(trace),
      counts_(counts),
      setup_(setup),
      state_(state),
      random_(seed),
      now_ns_(now_ns),
      booted_ns_(booted_ns),
      epoch_(epoch),
      key_(persist::resolve_key(setup.key_file, {})),
      next_checkpoint_ns_(now_ns + setup.checkpoint_interval_ns),
      last_checkpoint_(state.marks->checkpointed),
      retention_(directory_, key_, {setup.epoch, setup.keep_checkpoints, false}) {}

std::int64_t Host::backoff(std::uint32_t& attempts) {
    const std::int64_t whole = std::min<std::int64_t>(kMs << std::min(attempts, 12U), 1000 * kMs);
    ++attempts;
    return whole / 2 + static_cast<std::int64_t>(random_.next() % static_cast<std::uint64_t>(whole / 2 + 1));
}

// ---- the journaller -----------------------------------------------------------------------------

void Host::start() {
    const std::uint64_t durable = state_.marks->durable;
    const bool left_clean = state_.host->clean != 0;
    if (persist::Directory::open("/simulated", directory_)) return;
    chain_.last_seq = synced_ = durable;
    persist::sweep_temporaries(directory_);
    const persist::Tail tail = persist::find_tail(directory_, durable, key_);
    // Not to be read is not the same as wrong: asked again until it is known what is there.
    if (tail.io) return failed("look at the journal", tail.io, true);
    state_.host->clean = 0;
    started_ = true;
    newest_number_ = std::max(tail.newest_number, static_cast<std::uint64_t>(state_.host->journal_file));
    find_chain(tail, durable, left_clean);
}

void Host::find_chain(const persist::Tail& tail, std::uint64_t durable, bool left_clean) {
    if (state_.host->gap_end != 0) return begin_gap("the host before left a gap open");
    if (!tail.found || !tail.problem.empty() || tail.head.header.epoch != setup_.epoch)
        return begin_gap("the last journal file");
    const bool after_rebuild = durable == state_.header->recovered_seq;
    if (tail.last_seq > durable) return begin_gap("the last file begins behind what is durable");
    if (tail.last_seq < durable && !after_rebuild) return begin_gap("the last file ends before what is durable");
    chain_ = {tail.head.header.file_number, tail.last_seq, tail.hash, tail.last_seq < durable ? durable : 0};
    if (tail.head.header.first_seq == tail.last_seq + 1)
        chain_ = {tail.head.info.predecessor, tail.head.info.predecessor_last_seq, tail.head.header.previous_hash,
                  std::max(tail.head.info.base_seq, chain_.base_seq)};
    const bool whole = tail.seen_seq == durable && tail.last_seq == durable && tail.head.size >= tail.head.info.file_bytes;
    if (left_clean && whole) resume(tail, durable);
}

void Host::resume(const persist::Tail& tail, std::uint64_t durable) {
    persist::File file;
    if (directory_.open_file(tail.name, file, true)) return;
    persist::FileSpec spec;
    spec.number = tail.head.header.file_number;
    spec.first_seq = tail.head.header.first_seq;
    spec.epoch = setup_.epoch;
    spec.host_epoch = epoch_;
    spec.key = key_;
    if (writer_.resume(std::move(file), spec,
                       {tail.head.info.file_bytes, tail.position, tail.end_hash, tail.hash, durable + 1}))
        return;
    if (tail.head.header.first_seq <= durable) chain_ = {spec.number, durable, tail.hash, 0};
    state_.host->journal_file = file_number_ = spec.number;
    ++counts_.resumed;
    trace_.note("goes on in the same file", spec.number, durable);
}

void Host::round() {
    if (now_ns_ < journal_pause_until_ns_ || !ready()) return;
    if (writer_.next_seq() > state_.log->committed && unsynced_ == 0) return seal_when_quiet();
    quiet_since_ns_ = 0;
    write_batch();
}

bool Host::ready() {
    if (!started_) start();
    if (!started_ || disk_.is_stopped()) return false;
    if (gap_ != Gap::none && !handle_gap()) return false;
    return writer_.is_open() || begin_file();
}

bool Host::begin_file() {
    const std::string temporary = std::string(persist::kTemporaryPrefix) + "journal-" + std::to_string(++temporaries_);
    const std::uint64_t events = file_number_ == 0 ? setup_.first_file_bytes : setup_.file_bytes;
    const std::uint64_t bytes = persist::file_size_for(setup_.config.size(), events);
    persist::File space;
    if (const IoError error = persist::prepare_space(directory_, temporary, bytes, space))
        return failed("prepare a journal file", error, true), false;
    persist::FileSpec spec;
    spec.number = ++newest_number_;
    spec.first_seq = std::max(chain_.last_seq, chain_.base_seq) + 1;
    spec.epoch = setup_.epoch;
    spec.host_epoch = epoch_;
    spec.predecessor = chain_.number;
    spec.predecessor_last_seq = chain_.last_seq;
    spec.predecessor_hash = chain_.hash;
    spec.base_seq = chain_.base_seq;
    spec.keep_checkpoints = setup_.keep_checkpoints;
    spec.registry = setup_.name;
    spec.config = setup_.config;
    spec.key = key_;
    if (const IoError error = writer_.begin(directory_, std::move(space), temporary, bytes, spec)) {
        static_cast<void>(directory_.remove(temporary));
        return failed("begin a journal file", error, true), false;
    }
    unsynced_ = 0;
    unsealed_ = false;
    state_.host->journal_file = file_number_ = spec.number;
    ++counts_.journals;
    trace_.note("journal file begun", spec.number, spec.first_seq, spec.base_seq);
    return true;
}

bool Host::read_events(std::uint64_t from, std::uint64_t to) {
    batch_.clear();
    // Blocks are smaller here than a batch may be: one that begins with a batch holds all of it.
    const auto ends_in_a_batch = [this] { return (batch_.back().header.flags & layout::kBatchMember) != 0; };
    for (std::uint64_t seq = from; seq <= to || ends_in_a_batch(); ++seq) {
        const Event& slot = state_.ring_slot(seq);
        if (slot.header.seq != seq) return false;
        batch_.push_back(slot);
    }
    return true;
}

bool Host::append_block() {
    if (!writer_.has_room_for(batch_)) {
        if (unsynced_ > 0 && !sync()) return false;
        writer_.close();
        if (!begin_file()) return false;
    }
    if (const IoError error = writer_.append(batch_, synced_, now_ns_))
        return failed("write the journal", error, !error.is_transient()), false;
    unsynced_ += batch_.size();
    unsealed_ = true;
    ++counts_.blocks;
    trace_.note("block", writer_.next_seq() - batch_.size(), writer_.next_seq() - 1, synced_);
    if (setup_.mistake == Mistake::promises_before_sync) publish(writer_.next_seq() - 1);
    return true;
}

void Host::write_batch() {
    const std::uint64_t committed = state_.log->committed;
    while (writer_.next_seq() <= committed && unsynced_ < kSyncEvents) {
        const std::uint64_t from = writer_.next_seq();
        if (!read_events(from, std::min(committed, from + setup_.block_events - 1)))
            return begin_gap("events were overwritten in the ring");
        if (!append_block()) return;
    }
    if (unsynced_ > 0) static_cast<void>(sync());
}

bool Host::sync() {
    IoError error = writer_.sync();
    // The pages are marked clean: asked again, the kernel sees nothing to do.
    if (error && setup_.mistake == Mistake::goes_on_after_failed_sync) error = writer_.sync();
    if (error) return failed("sync the journal", error, true), false;
    if (!writer_.is_linked()) return begin_gap("the journal file was removed"), false;
    unsynced_ = 0;
    const std::uint64_t synced = writer_.next_seq() - 1;
    if (synced > chain_.last_seq) chain_ = {writer_.spec().number, synced, writer_.events_hash(), 0};
    publish(synced);
    synced_ = synced;
    journal_attempts_ = 0;
    return true;
}

void Host::publish(std::uint64_t synced) {
    if (gap_ != Gap::none || disk_.is_stopped() || synced <= state_.marks->durable) return;
    state_.marks->durable = synced;
    trace_.note("PROMISED", synced);
}

void Host::seal_when_quiet() {
    if (quiet_since_ns_ == 0) quiet_since_ns_ = now_ns_;
    if (!unsealed_ || now_ns_ - quiet_since_ns_ < kQuietNs) return;
    unsealed_ = false;
    if (const IoError error = writer_.seal(synced_, now_ns_)) return failed("seal", error, !error.is_transient());
    trace_.note("seal", synced_);
    static_cast<void>(sync());
}

void Host::failed(std::string_view what, IoError error, bool abandon_file) {
    trace_.note(what, static_cast<std::uint64_t>(error.number), abandon_file ? 1 : 0);
    if (abandon_file) {
        writer_.close();
        unsynced_ = 0;
    }
    journal_pause_until_ns_ = now_ns_ + backoff(journal_attempts_);
}

// ---- gaps ---------------------------------------------------------------------------------------

void Host::begin_gap(std::string_view why) {
    if (gap_ == Gap::copy_wanted || disk_.is_stopped()) return;
    ++counts_.gaps;
    trace_.note("gap begins", state_.marks->durable);
    trace_.say(why);
    state_.host->gap_end = std::max<std::uint64_t>(state_.host->gap_end, 1);
    writer_.close();
    unsynced_ = 0;
    gap_ = Gap::copy_wanted;
}

/// True when the journaller may write.
bool Host::handle_gap() {
    if (gap_ == Gap::copy_wanted) return false;
    if (gap_ != Gap::copied) return true;
    if (chain_.base_seq != base_seq_) state_.host->gap_end = synced_ = chain_.base_seq = base_seq_;
    if (!writer_.is_open() && !begin_file()) return false;
    core::Decision decision;
    core::Caller caller;
    caller.now_ns = now_ns_;
    caller.steady_ns = now_ns_ - booted_ns_;
    core::decide_journal_gap(state_, caller, decision);
    core::execute(core::Exclusive::alone(state_), decision.event);
    gap_ = Gap::following;
    return true;
}

void Host::close_gap() {
    if (gap_ == Gap::copy_wanted) {
        drop_replica();
        auto copy = core::copy_consistent(state_);
        if (!copy || !core::audit(copy->state).clean()) return;
        if (!write_checkpoint(copy->state, CheckpointSource::memory, false)) return;
        replica_ = std::move(*copy);
        follower_.emplace(directory_, replica_->state, key_);
        base_seq_ = replica_->state.log->applied;
        gap_ = Gap::copied;
        return;
    }
    if (gap_ != Gap::following || synced_ <= base_seq_ || !follow()) return;
    if (!write_checkpoint(replica_->state, CheckpointSource::replica, false)) return;
    gap_ = Gap::none;
    state_.host->gap_end = 0;
    trace_.note("gap closed", base_seq_, synced_);
    publish(synced_);
}

// ---- the replicator -----------------------------------------------------------------------------

void Host::replicate() {
    if (!started_ || disk_.is_stopped() || now_ns_ < checkpoint_pause_until_ns_) return;
    try {
        if (gap_ != Gap::none) return close_gap();
        if (now_ns_ >= next_checkpoint_ns_) return checkpoint_now(false);
        if (random_.percent(30)) static_cast<void>(follow());
    } catch (const Error& error) {
        const bool on_disk = error.code() == Errc::damaged || error.code() == Errc::missing || error.code() == Errc::foreign;
        if (on_disk) return distrust(error.what());
        checkpoint_pause_until_ns_ = now_ns_ + backoff(checkpoint_attempts_);
    }
}

void Host::drop_replica() {
    follower_.reset();
    replica_.reset();
}

bool Host::has_replica() {
    if (replica_) return true;
    persist::RestoreOptions options;
    options.upto = synced_;
    persist::Sources sources(directory_, setup_.key_file);
    core::PrivateState built;
    const persist::RecoveryReport report = persist::restore(
        directory_, sources, [&](const std::string& config) -> core::State& { return (built = tables_of(config)).state; },
        options);
    replica_ = std::move(built);
    follower_.emplace(directory_, replica_->state, key_, report.mark);
    return true;
}

bool Host::follow() {
    if (!has_replica()) return false;
    const std::string wrong = follower_->advance(synced_, file_number_);
    if (wrong.empty()) return follow_failures_ = 0, true;
    misread(wrong);
    return false;
}

void Host::misread(const std::string& why) {
    if (disk_.is_stopped()) return;
    if (++follow_failures_ >= 2) return distrust(why);
    trace_.say("the replica is built anew: " + why);
    drop_replica();
}

void Host::distrust(const std::string& why) {
    drop_replica();
    follow_failures_ = 0;
    if (gap_ == Gap::none || gap_ == Gap::following) begin_gap(why);
    checkpoint_pause_until_ns_ = now_ns_ + backoff(checkpoint_attempts_);
}

void Host::checkpoint_now(bool clean) {
    if (synced_ <= last_checkpoint_ && !clean) {
        next_checkpoint_ns_ = now_ns_ + setup_.checkpoint_interval_ns;
        return;
    }
    if (!clean && synced_ < state_.log->committed) return;   // waits for the journal
    if (follow() && write_checkpoint(replica_->state, CheckpointSource::replica, clean))
        next_checkpoint_ns_ = now_ns_ + setup_.checkpoint_interval_ns;
}

bool Host::write_checkpoint(const core::State& state, CheckpointSource source, bool clean) {
    persist::CheckpointOptions options;
    options.registry = setup_.name;
    options.epoch = setup_.epoch;
    options.host_epoch = epoch_;
    options.source = source;
    options.clean = clean;
    if (source == CheckpointSource::replica) options.journal = follower_->mark();
    options.key = key_;
    options.time_ns = now_ns_;
    std::string stage;
    if (const IoError error = persist::write_checkpoint(directory_, state, options, stage)) {
        trace_.note("no checkpoint", static_cast<std::uint64_t>(error.number));
        trace_.say(stage);
        checkpoint_pause_until_ns_ = now_ns_ + backoff(checkpoint_attempts_);
        return false;
    }
    checkpoint_attempts_ = 0;
    last_checkpoint_ = state.log->applied;
    retention_.written(last_checkpoint_);
    state_.marks->checkpointed = last_checkpoint_;
    ++counts_.checkpoints;
    trace_.note("checkpoint", last_checkpoint_, source == CheckpointSource::memory ? 1 : 0);
    if (gap_ != Gap::copy_wanted) retention_.trim();
    return true;
}

bool Host::leave(bool final_checkpoint) {
    const std::uint64_t wanted = state_.log->committed;
    for (int i = 0; i < kDrainRounds && synced_ < wanted && !disk_.is_stopped(); ++i) {
        journal_pause_until_ns_ = 0;
        round();
    }
    if (writer_.is_open() && unsealed_ && unsynced_ == 0 && !writer_.seal(synced_, now_ns_)) {
        unsynced_ = 1;
        static_cast<void>(sync());
    }
    const bool complete = started_ && writer_.is_open() && unsynced_ == 0 && gap_ == Gap::none && synced_ == wanted;
    if (final_checkpoint && started_ && gap_ == Gap::none && !disk_.is_stopped()) {
        try {
            checkpoint_now(complete);
        } catch (const Error&) {
            // The next life reads the journal.
        }
    }
    return complete && !disk_.is_stopped();
}

}  // namespace riskreg::simulation
