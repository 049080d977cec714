#include "registry/journaller.hpp"

#include <algorithm>

#include "base/crash_point.hpp"
#include "core/apply.hpp"
#include "core/decide.hpp"
#include "registry/caller.hpp"
#include "registry/rebuild.hpp"
#include "registry/roll.hpp"
#include "riskreg/error.hpp"
#include "segment/process.hpp"
#include "segment/state_lock.hpp"

namespace riskreg::registry {

using namespace layout;
using persist::IoError;
using persist::IoKind;
using persist::JournalWriter;

namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::uint64_t kSyncEvents = 16384;            // at most this many wait for one sync
constexpr std::uint64_t kFirstFileBytes = 1U << 20;     // made while somebody waits: small
constexpr std::int64_t kQuietNs = 10 * kMs;             // then a seal says that everything is on disk
constexpr std::int64_t kHousekeepNs = 5 * kMs;
constexpr std::int64_t kWatchNs = 100 * kMs;
constexpr std::int64_t kSpinNs = 200'000;               // after a waiter was seen: measured, bench/README.md
constexpr std::int64_t kDrainNs = 4'500 * kMs;
constexpr std::int64_t kAfterDrainNs = 300 * kMs;       // of the time to leave, for what comes behind

std::string show(std::uint64_t value) { return std::to_string(value); }

}  // namespace

// ---- life ---------------------------------------------------------------------------------------

Journaller::Journaller(Host& host)
    : host_(host), state_(host.state), health_(host), surroundings_(host), preparer_(host.directory()) {
    batch_.reserve(kBlockEvents);
}

bool Journaller::run() {
    start();
    while (!host_.stop && !host_.is_destroyed()) {
        try {
            round();
        } catch (const std::bad_alloc&) {
            failed(Fault::no_memory, IoError::of(IoKind::no_memory), true);
        }
    }
    if (started_ && !host_.is_destroyed()) drain();
    const auto fault = static_cast<Fault>(load_relaxed(state_.host->fault));
    const bool clean = writer_.is_open() && unsynced_ == 0 && !host_.gap.is_open() && (fault == Fault::none || is_lack(fault));
    writer_.leave();
    return clean;
}

bool Journaller::lacks_thread() noexcept {
    if (unprepared_) want_space();
    return unprepared_;
}

void Journaller::start() {
    const std::uint64_t durable = load_acquire(state_.marks->durable);
    const bool left_clean = load_relaxed(state_.host->clean) != 0;
    store_relaxed(state_.host->clean, 0);
    chain_.last_seq = durable;
    host_.synced = durable;
    CRASH_POINT("journaller starts");
    while (!open_directory())
        if (host_.stop) return;
    persist::sweep_temporaries(directory_);
    persist::Tail tail;
    while (!find_tail(durable, tail))
        if (host_.stop) return;
    if (load_relaxed(state_.host->fault) == static_cast<std::uint64_t>(Fault::key)) healed();
    started_ = true;
    newest_number_ = std::max(tail.newest_number, load_relaxed(state_.host->journal_file));
    if (load_relaxed(state_.host->gap_end) != 0)
        return begin_gap(host_.fault_before == Fault::none ? Fault::overrun : host_.fault_before,
                         "the host before left a gap open");
    if (!tail.found || !tail.problem.empty() || tail.head.header.epoch != state_.header->epoch)
        return begin_gap(Fault::damaged,
                         "the last journal file: " + (tail.problem.empty() ? "belongs to another registry" : tail.problem));
    const bool after_rebuild = durable == load_relaxed(state_.header->recovered_seq);
    if (tail.last_seq > durable)
        return begin_gap(Fault::damaged, tail.name + " begins behind event " + show(tail.last_seq) + ", and only " +
                                             show(durable) + " was durable");
    if (tail.last_seq < durable && !after_rebuild)
        return begin_gap(Fault::damaged,
                         tail.name + " ends behind event " + show(tail.last_seq) + ", and " + show(durable) + " was durable");
    chain_ = {tail.head.header.file_number, tail.last_seq, tail.hash, tail.last_seq < durable ? durable : 0};
    if (tail.head.header.first_seq == tail.last_seq + 1)   // nothing of this file counts: its successor takes its name
        chain_ = {tail.head.info.predecessor, tail.head.info.predecessor_last_seq, tail.head.header.previous_hash,
                  std::max(tail.head.info.base_seq, chain_.base_seq)};
    // The words of the host before are advice; that everything in its file was synced is what `clean` says.
    const bool whole = tail.seen_seq == durable && tail.last_seq == durable && tail.head.size >= tail.head.info.file_bytes;
    if (!left_clean || !whole) return;
    persist::File file;
    if (directory_.open_file(tail.name, file, true)) return;
    persist::FileSpec spec;
    spec.number = tail.head.header.file_number;
    spec.first_seq = tail.head.header.first_seq;
    spec.epoch = state_.header->epoch;
    spec.host_epoch = host_.epoch;
    spec.key = host_.key;
    const JournalWriter::End end{tail.head.info.file_bytes, tail.position, tail.end_hash, tail.hash, durable + 1};
    // Whoever has it locked still writes it, whatever the words say: then a file of our own.
    if (writer_.resume(std::move(file), spec, end)) return;
    // Without events of its own it would be replaced, not followed.
    if (tail.head.header.first_seq <= durable) chain_ = {spec.number, durable, tail.hash, 0};
    host_.file_number = spec.number;
    store_relaxed(state_.host->journal_file, spec.number);
}

/// What is there and with which key, asked again until it is known: not to be read is not the same as wrong, and not to have
/// the key is not the same as a registry without one.
bool Journaller::find_tail(std::uint64_t durable, persist::Tail& tail) {
    if (!host_.learn_key()) return failed(Fault::key, IoError::of(IoKind::no_key), true, host_.key_problem), false;
    if (!open_directory()) return false;
    tail = persist::find_tail(directory_, durable, host_.key);
    if (tail.io) return failed(Fault::directory, tail.io, true), false;
    if (tail.needs_key.empty()) return true;
    const std::string why = tail.needs_key + " " + describe(persist::Signature::needs_key, {});
    return failed(Fault::key, IoError::of(IoKind::no_key), true, why), false;
}

void Journaller::round() {
    host_.beat();
    host_.look();
    housekeep();
    if (!ready()) return;
    if (load_relaxed(state_.host->state) == static_cast<std::uint64_t>(HostState::starting))
        store_relaxed(state_.host->state, static_cast<std::uint64_t>(HostState::running));
    const std::uint64_t committed = load_acquire(state_.log->committed);
    if (writer_.next_seq() > committed && unsynced_ == 0) return idle();
    write_batch(committed);
}

void Journaller::drain() {
    draining_ = true;
    const std::int64_t deadline = std::min(segment::monotonic_ns() + kDrainNs, host_.leave_by_ns - kAfterDrainNs);
    const std::uint64_t wanted = load_acquire(state_.log->committed);
    while ((host_.synced < wanted || has_to_close_gap()) && segment::monotonic_ns() < deadline) {
        host_.beat();
        if (!ready()) continue;
        if (writer_.next_seq() > load_acquire(state_.log->committed) && unsynced_ == 0) wait_in_peace(kMs);
        write_batch(load_acquire(state_.log->committed));
    }
    if (writer_.is_open() && unsealed_ && unsynced_ == 0) {
        const IoError error = writer_.seal(host_.synced, segment::realtime_ns());
        if (!error) unsynced_ = 1, static_cast<void>(sync());
    }
}

/// Nobody is known to come who would; the next host of the day, or of the next one, closes it otherwise.
bool Journaller::has_to_close_gap() const noexcept {
    return host_.gap.is_open() && !host_.handed_over && core::is_in(state_, SegmentState::ready);
}

/// Everything that writing needs is there; otherwise this round was spent on getting it.
bool Journaller::ready() {
    if (!open_directory()) return false;
    if (host_.journal_lost.exchange(false)) begin_gap(Fault::damaged, "its files cannot be read back");
    if (host_.gap.is_open() && !handle_gap()) return false;
    return writer_.is_open() || begin_file();
}

// ---- files --------------------------------------------------------------------------------------

bool Journaller::open_directory() {
    if (directory_open_) return true;
    const IoError error = host_.open_home(directory_);
    if (error) return failed(Fault::directory, error, true), false;
    return directory_open_ = true;
}

bool Journaller::take_space(SpacePreparer::Space& space) {
    if (preparer_.take(space)) return true;
    space.name = SpacePreparer::temporary_name();
    const std::uint64_t events = std::min(kFirstFileBytes, persist::journal_file_bytes(state_.geometry.ring_events));
    space.bytes = persist::file_size_for(host_.config.size(), events);
    const IoError error =
        persist::prepare_space(directory_, space.name, space.bytes, space.file, [this] { return host_.beat(), false; });
    if (!error) return true;
    return failed(Fault::journal_create, error, true), false;
}

bool Journaller::begin_file() {
    SpacePreparer::Space space;
    if (!take_space(space)) return false;
    persist::FileSpec spec;
    spec.number = ++newest_number_;
    spec.first_seq = std::max(chain_.last_seq, chain_.base_seq) + 1;
    spec.epoch = state_.header->epoch;
    spec.host_epoch = host_.epoch;
    spec.predecessor = chain_.number;
    spec.predecessor_last_seq = chain_.last_seq;
    spec.predecessor_hash = chain_.hash;
    spec.base_seq = chain_.base_seq;
    spec.keep_checkpoints = state_.header->keep_checkpoints;
    spec.registry = host_.attachment.name;
    spec.config = host_.config;
    say_place(spec);
    spec.key = host_.key;
    const IoError error = writer_.begin(directory_, std::move(space.file), space.name, space.bytes, spec);
    if (error) {
        static_cast<void>(directory_.remove(space.name));
        return failed(Fault::journal_create, error, true), false;
    }
    unsynced_ = 0;
    unsealed_ = false;
    host_.file_number = spec.number;
    store_relaxed(state_.host->journal_file, spec.number);
    want_space();
    return true;
}

void Journaller::want_space() noexcept {
    unprepared_ =
        !preparer_.want(persist::file_size_for(host_.config.size(), persist::journal_file_bytes(state_.geometry.ring_events)));
}

// ---- writing ------------------------------------------------------------------------------------

bool Journaller::append_block() {
    if (!writer_.has_room_for(batch_)) {
        // The next file says where this one ends: what it says must be on disk before.
        if (unsynced_ > 0 && !sync()) return false;
        writer_.close();
        if (!begin_file()) return false;
    }
    const IoError error = writer_.append(batch_, host_.synced, segment::realtime_ns());
    if (error) return failed(Fault::journal_write, error, !error.is_transient()), false;
    unsynced_ += batch_.size();
    unsealed_ = true;
    store_relaxed(state_.host->journal_bytes, load_relaxed(state_.host->journal_bytes) + persist::bytes_in_journal(batch_));
    for (const Event& event : batch_) host_.alarm.look_at(event);
    return true;
}

void Journaller::write_batch(std::uint64_t committed) {
    while (writer_.next_seq() <= committed && unsynced_ < kSyncEvents) {
        const std::uint64_t from = writer_.next_seq();
        const std::uint64_t to = std::min(committed, from + kBlockEvents - 1);
        if (!read_ring(state_, from, to, batch_))
            return begin_gap(why_unreadable(state_, from),
                             "event " + show(from) + " and later ones were overwritten in the ring, or are damaged");
        if (!append_block()) return;
        // Written again into another file after a failure: the watermark does not go back.
        if (writer_.next_seq() - 1 > load_relaxed(state_.marks->journaled))
            store_release(state_.marks->journaled, writer_.next_seq() - 1);
    }
    if (unsynced_ > 0) static_cast<void>(sync());
}

bool Journaller::sync() {
    CRASH_POINT("before sync");
    const IoError error = writer_.sync();
    CRASH_POINT("after sync");
    // Never the same file again: the kernel has marked its pages clean, whatever became of them.
    if (error) return failed(Fault::journal_sync, error, true), false;
    if (!writer_.is_linked())
        return begin_gap(Fault::damaged, "the journal file was removed from under the snapshotter"), false;
    unsynced_ = 0;
    const std::uint64_t synced = writer_.next_seq() - 1;
    if (synced > chain_.last_seq) chain_ = {writer_.spec().number, synced, writer_.events_hash(), 0};
    publish(synced);
    // After `durable`: what the replicator makes of it must never be newer (INV-13).
    host_.synced = synced;
    healed();
    return true;
}

void Journaller::publish(std::uint64_t synced) noexcept {
    if (host_.gap.is_open()) return;
    if (synced <= load_relaxed(state_.marks->durable)) return;
    store_release(state_.marks->durable, synced);
    CRASH_POINT("durable moved");
    __atomic_add_fetch(&state_.wakes->durable_tick, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&state_.wakes->waiters, __ATOMIC_SEQ_CST) == 0) return;
    segment::wake_all(state_.wakes->durable_tick);
    // Somebody asks again and again; a count that a killed waiter left behind is nobody.
    const std::uint32_t tick = __atomic_load_n(&state_.wakes->work_tick, __ATOMIC_RELAXED);
    if (tick != seen_tick_) asked_ns_ = segment::monotonic_ns();
    seen_tick_ = tick;
}

void Journaller::seal_when_quiet() {
    const std::int64_t now = segment::monotonic_ns();
    if (quiet_since_ns_ == 0) quiet_since_ns_ = now;
    if (!unsealed_ || now - quiet_since_ns_ < kQuietNs) return;
    unsealed_ = false;
    const IoError error = writer_.seal(host_.synced, segment::realtime_ns());
    if (error) return failed(Fault::journal_write, error, !error.is_transient());
    static_cast<void>(sync());
}

void Journaller::idle() {
    seal_when_quiet();
    const std::uint64_t next = writer_.is_open() ? writer_.next_seq() : 0;
    const auto nothing = [&] { return load_acquire(state_.log->committed) < next; };
    // While somebody is waiting again and again, sleeping would cost more than the disk does.
    while (nothing() && !host_.stop && segment::monotonic_ns() - asked_ns_ < kSpinNs) segment::yield_cpu();
    if (nothing()) rest();
    if (!nothing()) quiet_since_ns_ = 0;
}

/// Sleeps until somebody who waits for the disk says so, a millisecond at most.
void Journaller::rest() noexcept {
    Wakes& wakes = *state_.wakes;
    const std::uint32_t tick = __atomic_load_n(&wakes.work_tick, __ATOMIC_SEQ_CST);
    __atomic_store_n(&wakes.asleep, 1U, __ATOMIC_SEQ_CST);
    if (load_acquire(state_.log->committed) < writer_.next_seq() && !host_.stop)
        segment::wait_while(wakes.work_tick, tick, kMs);
    __atomic_store_n(&wakes.asleep, 0U, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&wakes.work_tick, __ATOMIC_RELAXED) != tick) asked_ns_ = segment::monotonic_ns();
}

// ---- gaps ---------------------------------------------------------------------------------------

void Journaller::begin_gap(Fault fault, const std::string& why) {
    if (!after(host_.gap.at(), GapStep::journal_breaks)) return;
    writer_.close();
    unsynced_ = 0;
    health_.gap_begins(fault, why);
    host_.gap.take(GapStep::journal_breaks);
}

/// True when the journaller may write.
bool Journaller::handle_gap() {
    const GapState& now = host_.gap.now();
    if (now.turn == GapTurn::journaller) return now.state == Gap::copied ? begin_behind_gap() : (end_gap(), true);
    if (!now.journal_goes_on) wait_in_peace(2 * kMs);
    return now.journal_goes_on;
}

/// A file of its own behind the copy that the first checkpoint is made from; then the log says so.
bool Journaller::begin_behind_gap() {
    if (chain_.base_seq != host_.base_seq) {
        chain_.base_seq = host_.base_seq;
        health_.gap_reaches(chain_.base_seq);
        host_.synced = chain_.base_seq;
    }
    if (!writer_.is_open() && !begin_file()) return false;
    if (mark_gap()) host_.gap.take(GapStep::file_is_begun);
    return true;
}

void Journaller::end_gap() {
    host_.gap.take(GapStep::durable_moves);
    health_.gap_ends();
    healed();
    publish(host_.synced);
}

/// Says in the log itself that events before are in no journal; it also gives the second checkpoint a later sequence.
bool Journaller::mark_gap() {
    const segment::StateLock lock(state_, 20 * kMs, kNoSlot);
    if (!lock.inside()) return false;
    core::Decision decision;
    core::decide_journal_gap(state_, caller_now(), decision);
    core::execute(lock.exclusive(), decision.event);
    return true;
}

// ---- failures -----------------------------------------------------------------------------------

void Journaller::failed(Fault fault, IoError error, bool abandon_file, const std::string& why) {
    health_.failed(fault, error, why, abandon_file);
    if (abandon_file) {
        writer_.close();
        unsynced_ = 0;
        // The directory may be another one by now.
        directory_open_ = false;
    }
    wait_in_peace(backoff_.next_ns());
}

void Journaller::healed() {
    backoff_.reset();
    health_.healed();
}

/// Waits, and still shows that it lives and looks after the dead.
void Journaller::wait_in_peace(std::int64_t ns) {
    const std::int64_t last = draining_ ? host_.leave_by_ns - kAfterDrainNs : std::numeric_limits<std::int64_t>::max();
    const std::int64_t until = std::min(segment::monotonic_ns() + ns, last);
    // The wish to leave ends a wait; while draining, pauses are what keeps a failing disk from being asked all the time.
    for (std::int64_t now = segment::monotonic_ns(); now < until && (draining_ || !host_.stop); now = segment::monotonic_ns()) {
        segment::sleep_ns(std::min(until - now, kHousekeepNs));
        host_.beat();
        host_.look();
        housekeep();
    }
}

// ---- beside -------------------------------------------------------------------------------------

void Journaller::housekeep() {
    const std::int64_t now = segment::monotonic_ns();
    if (now - housekept_ns_ >= kHousekeepNs) {
        housekept_ns_ = now;
        look_after_the_dead(state_, 20 * kMs, kNoSlot);
    }
    if (now - watched_ns_ < kWatchNs) return;
    watched_ns_ = now;
    drop_day_before(host_.attachment);
    surroundings_.look();
    if (!directory_open_ || directory_.is_current()) return;
    // Answered from files that nobody would find: nothing more is durable until the directory is back. A new file then
    // begins behind what is in it.
    failed(Fault::directory, IoError::of(IoKind::missing), true);
}

}  // namespace riskreg::registry
