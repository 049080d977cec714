#include "registry/roll.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "base/crash_point.hpp"
#include "base/wide.hpp"
#include "core/apply.hpp"
#include "core/copy.hpp"
#include "core/derived.hpp"
#include "core/roll.hpp"
#include "registry/segments.hpp"
#include "riskreg/error.hpp"
#include "segment/process.hpp"
#include "segment/state_lock.hpp"

namespace riskreg::registry {

using namespace layout;
using segment::LifecycleLock;
using segment::Mapping;

namespace {

constexpr std::int64_t kMs = 1'000'000;
/// Events that are caught up with while everybody waits. One costs about a microsecond.
constexpr std::uint64_t kMostUnderLock = 256;
/// From this attempt at the tables on everybody lets the roller go first all the time.
constexpr std::uint64_t kHeldAttempts = 2;
/// Attempts to end the day before facts are asked to wait a moment, too.
constexpr std::uint64_t kDrainingAttempts = 8;
constexpr std::int64_t kGiveUpNs = 300'000 * kMs;
/// For the threads that map the next day: bytes in a millisecond, and the most.
constexpr std::int64_t kMappedInMs = 4 << 20;
constexpr std::int64_t kMostForMapping = 1000 * kMs;
constexpr std::size_t kMostLost = 64;   // of one look; the next one finds the others

std::string segment_of_day(const Attachment& attachment, std::uint64_t day) {
    return segment::segment_name(attachment.lock.identity(), attachment.name, day);
}

std::string day_before(const Attachment& attachment) { return segment_of_day(attachment, attachment.state.header->day - 1); }

/// Byte 2 of LOCK, on a descriptor of its own: another thread of this process is kept out like any other.
class Switching {
public:
    explicit Switching(LifecycleLock& lock) noexcept : lock_(lock), held_(lock.try_switch()) {}
    ~Switching() {
        if (held_) lock_.release_switch();
    }
    Switching(const Switching&) = delete;
    Switching& operator=(const Switching&) = delete;
    [[nodiscard]] bool held() const noexcept { return held_; }

private:
    LifecycleLock& lock_;
    bool held_;
};

/// Somebody has hosted this day; then he has taken over the watermarks of the one before.
bool is_hosted(const core::State& state) noexcept { return load_acquire(state.host->epoch) != 0; }

}  // namespace

// ---- watermarks ---------------------------------------------------------------------------------

namespace {

void copy_marks(core::State& to, const core::State& from) noexcept {
    // The host's words first: `durable` tells others that it is done.
    for (std::uint64_t HostWords::*word :
         {&HostWords::clean, &HostWords::fault, &HostWords::fault_errno, &HostWords::fault_since_ns, &HostWords::gaps,
          &HostWords::gap_end, &HostWords::checkpoints, &HostWords::journal_file, &HostWords::journal_bytes,
          &HostWords::checkpoint_fault_errno})
        store_relaxed(to.host->*word, load_relaxed(from.host->*word));
    // Who stands by on the new day may have raised some already.
    raise_to(to.host->alarms, load_relaxed(from.host->alarms));
    for (std::uint64_t Watermarks::*mark :
         {&Watermarks::checkpointed, &Watermarks::checkpoint_ns, &Watermarks::checkpoint_steady_ns, &Watermarks::verified,
          &Watermarks::verifier_cycles, &Watermarks::differences, &Watermarks::journaled})
        raise_to(to.marks->*mark, load_relaxed(from.marks->*mark));
    raise_to(to.marks->durable, load_acquire(from.marks->durable));
}

}  // namespace

void take_over_marks(Attachment& attachment) {
    core::State& state = attachment.state;
    if (state.header->rolled_seq == 0 || is_hosted(state)) return;
    const std::optional<Mapping> before = look_at(day_before(attachment), segment::Access::read_only);
    if (!before || !follows(state, state_of(*before))) return;
    copy_marks(state, state_of(*before));
    CRASH_POINT("marks taken over");
    // Last: it says that the others are there.
    store_release(state.host->epoch, load_relaxed(state_of(*before).host->epoch));
}

void drop_day_before(Attachment& attachment) noexcept {
    const core::State& state = attachment.state;
    if (state.header->rolled_seq == 0) return;
    try {
        // The one before it was left when somebody still used it, or when nobody hosted it.
        const std::uint64_t day = state.header->day;
        const bool any = segment::segment_exists(segment_of_day(attachment, day - 1)) ||
                         (day > 2 && segment::segment_exists(segment_of_day(attachment, day - 2)));
        // Without a journal there are no watermarks to take over.
        if (!any || (state.has_journal() && !is_hosted(state))) return;
        const std::uint64_t token = attachment.lock.identity().token[0];
        for (const segment::SegmentName& old : segment::segments_of(segment::user_id(), token, attachment.name)) {
            if (old.day >= day) continue;
            const std::optional<Mapping> ended = look_at(text_of(old), segment::Access::read_only);
            // Its roller may have died before he could say so.
            if (ended && core::ends_the_day(state_of(*ended)) && segment::remove_unused_segment(text_of(old)))
                CRASH_POINT("day before removed");
        }
    } catch (const Error&) {
        // Not to be looked at now; it is looked at again.
    }
}

// ---- sessions on their way ----------------------------------------------------------------------

namespace {

bool is_alive(SessionStatus status) noexcept { return status == SessionStatus::attached || status == SessionStatus::fenced; }

bool is_lost(const SessionSlot& slot) noexcept {
    if (!is_moving(slot)) return false;
    const SessionRecord record = slot.record.read();
    return is_alive(record.status) && !segment::is_running(record.pid, record.pid_start);
}

}  // namespace

void make_session_mutexes(core::State& state) {
    for (std::uint32_t i = 0; i < state.geometry.sessions; ++i) {
        SessionSlot& slot = state.sessions[i];
        if (is_alive(slot.record.newest().status)) std::memset(slot.mutex, 0, sizeof slot.mutex);
        else segment::RobustMutex(slot.mutex).initialise();
    }
}

bool is_moving(const SessionSlot& slot) noexcept { return !segment::RobustMutex::is_made(slot.mutex); }

void give_up_lost_sessions(core::State& state, std::int64_t timeout_ns) noexcept {
    std::array<std::uint32_t, kMostLost> lost{};
    std::array<std::uint32_t, kMostLost> generations{};
    std::size_t size = 0;
    for (std::uint32_t i = 0; i < state.geometry.sessions && size < lost.size(); ++i) {
        if (!is_lost(state.sessions[i])) continue;
        generations[size] = state.sessions[i].record.read().generation;
        lost[size++] = i;
    }
    if (size == 0) return;
    const segment::StateLock lock(state, timeout_ns, kNoSlot);
    for (std::size_t i = 0; lock.inside() && i < size; ++i) {
        SessionSlot& slot = state.sessions[lost[i]];
        if (is_moving(slot) && slot.record.newest().generation == generations[i]) segment::RobustMutex(slot.mutex).initialise();
    }
}

// ---- a roller that died ----

void take_back_roll(Attachment& attachment) noexcept {
    core::State& state = attachment.state;
    if (load_relaxed(state.status->roll_phase) == 0 || !core::is_in(state, SegmentState::ready)) return;
    try {
        LifecycleLock lock(attachment.lock.state_dir(), attachment.name, false);
        const Switching switching(lock);
        if (switching.held()) forget_roll(state);
    } catch (const Error&) {
        // Not to be looked at now; it is looked at again.
    }
}

void forget_roll(core::State& state) noexcept {
    store_relaxed(state.status->roll_base, 0);
    store_relaxed(state.status->roll_phase, 0);
    store_relaxed(state.status->brake, 0);
}

std::int64_t age_of_day(const Header& header) noexcept {
    const std::int64_t boot = segment::boottime_ns() - header.day_begun_steady_ns;
    const bool same_boot = header.day_begun_steady_ns != 0 && boot >= 0;
    return std::max<std::int64_t>(same_boot ? boot : segment::realtime_ns() - header.day_begun_ns, 0);
}

// ---- the operator's call ------------------------------------------------------------------------

namespace {

/// One roll, by whoever holds byte 2.
class Roller {
public:
    Roller(Attachment& attachment, const core::Caller& who, const RollRequest& request, std::int64_t timeout_ns,
           RollStats& stats)
        : old_(attachment.state),
          name_(segment_of_day(attachment, attachment.state.header->day + 1)),
          who_(who),
          reason_(request.reason),
          drains_(request.drain),
          timeout_ns_(timeout_ns),
          give_up_ns_(segment::monotonic_ns() + kGiveUpNs),
          stats_(stats),
          copy_(core::allocate_state(old_.geometry)),
          next_(create()),
          state_(core::view_of(next_.base(), old_.geometry)) {}
    /// What was not committed is nobody's.
    ~Roller() {
        if (committed_) return;
        segment::remove_segment(name_);
        forget_roll(old_);
    }
    Roller(const Roller&) = delete;
    Roller& operator=(const Roller&) = delete;

    Verdict run() {
        make_static_parts();
        CRASH_POINT("next day begun");
        for (attempt_ = 0;; ++attempt_) {
            ++stats_.attempts;
            if (build() && switch_days()) return *answer_;
            if (answer_) return *answer_;
            clear_tables();
        }
    }

private:
    Mapping create() {
        // We hold byte 2, and the day goes on: one that is there is of a roll that did not happen.
        segment::remove_segment(name_);
        Mapping mapping = Mapping::create(name_, old_.offsets.size_bytes);
        mapping.advise((old_.header->page_options & 1U) != 0, false);
        return mapping;
    }

    void make_static_parts() {
        Header& header = *state_.header;
        std::memcpy(static_cast<void*>(&header), old_.header, sizeof header);
        std::memcpy(state_.base + kDirectoryAt, old_.base + kDirectoryAt, kDirectoryBytes);
        header.magic = 0;
        // Whole it is before the day has ended; to be used only afterwards.
        header.state = static_cast<std::uint64_t>(SegmentState::creating);
        header.adopting = 0;
        core::make_blank(old_, state_);
        segment::RobustMutex(segment::mutex_memory(state_)).initialise();
        segment::RobustMutex(segment::host_mutex_memory(state_)).initialise();
        const std::uint64_t committed = load_acquire(old_.log->committed);
        copied_ = committed - std::min<std::uint64_t>(committed, old_.geometry.ring_events);
    }

    /// After an attempt that writers were too quick for.
    void clear_tables() {
        if (!roll_) return;
        roll_.reset();
        std::memset(state_.base + state_.offsets.sessions, 0, state_.offsets.ring - state_.offsets.sessions);
        *state_.log = LogWords{};
        core::make_blank(old_, state_);
    }

    /// Word by word: outside the lock somebody may be writing there. What is overwritten meanwhile is followed later.
    void copy_events(std::uint64_t upto) noexcept {
        for (std::uint64_t seq = copied_ + 1; seq <= upto; ++seq) copy_event_out(state_.ring_slot(seq), old_.ring_slot(seq));
        copied_ = std::max(copied_, upto);
    }

    /// Byte 2 is all it takes: nobody else writes these words, and whoever looks closer looks at the phase last.
    void set_phase(RollPhase phase) noexcept {
        phase_ = phase;
        store_relaxed(old_.status->roll_phase, static_cast<std::uint64_t>(phase));
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        store_release(old_.status->brake, 0);
        CRASH_POINT("roll phase");
    }

    [[nodiscard]] bool drains() const noexcept { return drains_ || attempt_ > 0; }
    /// From here on events say where their orders belong. From the second attempt on what increases risk waits meanwhile.
    bool begin() noexcept {
        const segment::StateLock lock(old_, timeout_ns_, who_.session);
        if (!lock.inside()) return answer_ = refusal(lock.entry()), false;
        base_ = load_relaxed(old_.log->committed);
        store_relaxed(old_.status->roll_base, base_);
        set_phase(attempt_ >= kHeldAttempts ? RollPhase::held : drains() ? RollPhase::draining : RollPhase::none);
        return true;
    }

    /// The next day's tables as of some sequence that is not long ago. False when writers went round the ring meanwhile, or with an
    /// answer.
    bool build() {
        if (!begin()) return false;
        if (!core::copy_into(copy_.state, old_, [this] { return breathe(), true; })) return false;
        copy_events(copy_.state.log->applied);
        roll_ = std::make_unique<core::DayRoll>(copy_.state, state_, base_, base_);
        const core::Pause pause = [this] { return breathe(), follow(load_acquire(old_.log->applied)); };
        if (!roll_->make_tables(pause) || !roll_->make_books(pause)) return false;
        if (phase_ == RollPhase::none) set_phase(RollPhase::prepared);
        CRASH_POINT("next day prepared");
        // Where what increases risk waits, nobody else is waited for.
        return phase_ != RollPhase::prepared || wait_for_mappings();
    }

    /// Between two pieces of the work: whoever writes must not come round the ring. An eighth of it behind, everybody is asked to let
    /// us go first, for a few milliseconds each; then the day drains.
    void breathe() {
        if (segment::monotonic_ns() >= give_up_ns_) throw too_busy();
        const std::uint64_t behind = load_acquire(old_.log->committed) - load_relaxed(copy_.state.log->applied);
        const std::uint64_t ring = old_.geometry.ring_events;
        if (phase_ != RollPhase::held && behind > ring / 8) set_phase(RollPhase::held);
        if (phase_ == RollPhase::held && attempt_ < kHeldAttempts && behind <= ring / 64) set_phase(RollPhase::draining);
    }

    Error too_busy() const {
        return {Errc::busy,
                "the day goes on: " + std::to_string(kGiveUpNs / 1'000'000'000) +
                    " s long more events came than this machine could follow; nothing has changed, try again when less "
                    "is going on"};
    }

    /// False when an event is not in the ring any more.
    bool follow(std::uint64_t upto) noexcept {
        for (std::uint64_t seq = copy_.state.log->applied + 1; seq <= upto; ++seq) {
            Event event;
            if (!core::read_event(old_, seq, event)) return false;
            store_relaxed(copy_.state.log->committed, seq);
            core::apply(copy_.state, event);
            roll_->follow(event);
            std::memcpy(state_.ring_slot(seq).words, event.words, sizeof event.words);
            copied_ = std::max(copied_, seq);
        }
        return true;
    }

    /// Each process that is attached maps the next day in a thread of its own; who has not by then does so in its first call. The old
    /// day goes on meanwhile as if nothing were.
    bool wait_for_mappings() {
        const auto size = static_cast<std::int64_t>(old_.offsets.size_bytes);
        const std::int64_t until = segment::monotonic_ns() + std::min(kMostForMapping, 20 * kMs + size / kMappedInMs * kMs);
        while (!all_mapped() && segment::monotonic_ns() < until) {
            breathe();
            if (!follow(load_acquire(old_.log->applied))) return false;
            segment::sleep_ns(kMs / 4);
        }
        return true;
    }
    [[nodiscard]] bool all_mapped() const noexcept {
        for (std::uint32_t i = 0; i < old_.geometry.sessions; ++i) {
            const SessionSlot& slot = old_.sessions[i];
            const bool attached = static_cast<SessionStatus>(load_relaxed(slot.word) & 0xFFU) == SessionStatus::attached;
            if (attached && load_acquire(slot.next_day) <= old_.header->day) return false;
        }
        return true;
    }

    /// False when writers went round the ring.
    bool switch_days() {
        for (std::uint64_t attempt = 0;; ++attempt) {
            if (segment::monotonic_ns() >= give_up_ns_) throw too_busy();
            if (!follow(load_acquire(old_.log->applied))) return false;
            commit(attempt < kDrainingAttempts ? RollPhase::draining : RollPhase::held);
            if (answer_) return true;
        }
    }

    /// No answer yet when more has come than may be done under the lock: `next` is then entered, so that less comes.
    void commit(RollPhase next) {
        const segment::StateLock lock(old_, timeout_ns_, who_.session);
        if (!lock.inside()) return void(answer_ = refusal(lock.entry()));
        const std::int64_t begun_ns = segment::monotonic_ns();
        const std::uint64_t committed = load_relaxed(old_.log->committed);
        const std::uint64_t behind = committed - copy_.state.log->applied;
        if (behind > kMostUnderLock) return set_phase(next);
        stats_.under_lock = behind;
        stats_.followed = committed - base_;
        if (!follow(committed)) return void(answer_ = refusal(segment::Entry::poisoned));
        answer_ = end_day(lock.exclusive());
        stats_.lock_ns = std::max(stats_.lock_ns, segment::monotonic_ns() - begun_ns);
    }

    /// With nothing left to follow.
    Verdict end_day(core::Exclusive old) {
        raise_to(copy_.state.status->consumer, std::min(load_acquire(old_.marks->durable), copy_.state.log->applied));
        core::Decision decision;
        core::decide_rolled(copy_.state, who_, reason_, decision);
        if (!decision.commit) return decision.verdict;
        Event& event = decision.event;
        event.rolled.base_seq = base_;
        event.header.seq = copy_.state.log->applied + 1;
        event.header.checksum = checksum_of(event, event.header.seq);
        roll_->finish(event.rolled);
        state_.ring_slot(event.header.seq) = event;
        make_session_mutexes(state_);
        copy_what_is_no_event();
        store_release(state_.header->magic, kMagic);
        CRASH_POINT("next day whole");
        committed_ = true;
        // Others may be in it at once, and we may be stopped.
        static_cast<void>(next_.try_use());
        core::execute(old, event);
        CRASH_POINT("rolled committed");
        begin_day(state_);
        decision.verdict.seq = event.header.seq;
        return decision.verdict;
    }

    /// Prices, counters and watermarks change without an event (exceptions to INV-1).
    void copy_what_is_no_event() noexcept {
        for (std::uint32_t i = 0; i < old_.geometry.instruments; ++i) state_.references[i].price = old_.references[i].price;
        for (std::uint32_t i = 0; i < old_.geometry.sessions; ++i)
            for (std::uint64_t SessionSlot::*counter :
                 {&SessionSlot::accepted, &SessionSlot::denied, &SessionSlot::denied_unlogged, &SessionSlot::facts})
                state_.sessions[i].*counter = load_relaxed(old_.sessions[i].*counter);
        state_.status->repairs = old_.status->repairs;
        state_.status->redone = old_.status->redone;
        state_.status->consumer = old_.status->consumer;
        copy_marks(state_, old_);
        state_.host->clean = 0;
        // 0: the first host of the day takes over what the last one of this day leaves.
        state_.host->epoch = old_.has_journal() ? 0 : load_relaxed(old_.host->epoch);
    }

    static Verdict refusal(segment::Entry entry) noexcept {
        Verdict verdict;
        verdict.result = Result::denied;
        verdict.reason = entry == segment::Entry::timed_out ? DenyReason::lock_timeout
                         : entry == segment::Entry::rolled  ? DenyReason::not_allowed
                                                            : DenyReason::poisoned;
        return verdict;
    }

    core::State& old_;
    const std::string name_;  // of the next day's segment
    const core::Caller who_;
    const std::string_view reason_;
    const bool drains_;  // from the first attempt on
    const std::int64_t timeout_ns_;
    const std::int64_t give_up_ns_;
    RollStats& stats_;
    core::PrivateState copy_;  // of the old day
    Mapping next_;
    core::State state_;  // of the next one
    std::unique_ptr<core::DayRoll> roll_;
    std::optional<Verdict> answer_;
    std::uint64_t attempt_ = 0;
    RollPhase phase_ = RollPhase::none;
    std::uint64_t base_ = 0;
    std::uint64_t copied_ = 0;  // events up to here were copied into the ring of the next day
    bool committed_ = false;
};

/// Nobody has hosted since the last roll: the watermarks of the day before are still to be taken over, and this is the last
/// moment. False when a host is about to. Under byte 2.
bool take_over_before(LifecycleLock& lock, Attachment& attachment) {
    const core::State& state = attachment.state;
    if (state.header->rolled_seq == 0 || is_hosted(state)) return true;
    if (!segment::segment_exists(day_before(attachment))) return true;
    if (!lock.try_host()) return false;
    take_over_marks(attachment);
    lock.release_host();
    return true;
}

Verdict not_allowed() noexcept {
    Verdict verdict;
    verdict.result = Result::denied;
    verdict.reason = DenyReason::not_allowed;
    return verdict;
}

/// Under byte 2: nobody else ends it meanwhile. Whether our segment still is the newest day's is seen by its own words.
std::optional<Verdict> why_not_ended(const Attachment& attachment, const RollRequest& request) noexcept {
    const Header& header = *attachment.state.header;
    const std::uint64_t open = header.day + (core::is_in(attachment.state, SegmentState::rolled) ? 1 : 0);
    Verdict verdict = not_allowed();
    if (request.day != 0 && request.day != open) {
        verdict.observed = static_cast<std::int64_t>(open);
        verdict.limit = static_cast<std::int64_t>(std::min<std::uint64_t>(request.day, base::kMaxInt64));
        return verdict;
    }
    const std::int64_t least_ns = std::int64_t{header.min_day_s} * 1000 * kMs;
    if (age_of_day(header) >= least_ns) return std::nullopt;
    verdict.has_numbers = true;
    verdict.unit = Unit::milliseconds;
    verdict.observed = age_of_day(header) / kMs;
    verdict.limit = least_ns / kMs;
    return verdict;
}

}  // namespace

Verdict roll(Attachment& attachment, const core::Caller& who, const RollRequest& request, std::int64_t timeout_ns,
             RollStats* stats) {
    const segment::FileLimitIsAnError file_limit;
    LifecycleLock lock(attachment.lock.state_dir(), attachment.name, false);
    const std::int64_t deadline = segment::monotonic_ns() + timeout_ns;
    const auto wait = [&] {
        if (segment::monotonic_ns() >= deadline)
            throw Error(Errc::busy, "another process switches the trading day of '" + attachment.name +
                                        "', or takes over its journal, and does not come to an end; try again");
        segment::sleep_ns(kMs);
    };
    while (!lock.try_switch()) wait();
    struct Release {
        LifecycleLock& lock;
        ~Release() { lock.release_switch(); }
    } const release{lock};
    CRASH_POINT("switch held");
    const std::optional<Verdict> refused = why_not_ended(attachment, request);
    if (refused) return *refused;
    if (!attachment.mapping.is_current())
        throw Error(Errc::missing, "the segment of '" + attachment.name + "' was removed, or its day has ended");
    while (!take_over_before(lock, attachment)) wait();
    RollStats here;
    const Verdict verdict = Roller(attachment, who, request, timeout_ns, stats != nullptr ? *stats : here).run();
    CRASH_POINT("day ended");
    return verdict;
}

}  // namespace riskreg::registry
