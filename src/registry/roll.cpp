#include "registry/roll.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "base/crash_point.hpp"
#include "core/apply.hpp"
#include "core/copy.hpp"
#include "core/derived.hpp"
#include "core/roll.hpp"
#include "registry/segments.hpp"
#include "riskreg/error.hpp"
#include "segment/process_posix.hpp"
#include "segment/state_lock.hpp"

namespace riskreg::registry {

using namespace layout;
using segment::LifecycleLock;
using segment::Mapping;

namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr int kQuietTries = 3;
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

void raise_to(std::uint64_t& mark, std::uint64_t value) noexcept {
    if (load_relaxed(mark) < value) store_release(mark, value);
}

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

// ---- the operator's call ------------------------------------------------------------------------

namespace {

/// One roll, by whoever holds byte 2.
class Roller {
public:
    Roller(Attachment& attachment, const core::Caller& who, std::string_view reason, std::int64_t timeout_ns)
        : old_(attachment.state),
          name_(segment_of_day(attachment, attachment.state.header->day + 1)),
          who_(who),
          reason_(reason),
          timeout_ns_(timeout_ns),
          copy_(core::allocate_state(old_.geometry)),
          next_(create()),
          state_(core::view_of(next_.base(), old_.geometry)) {}
    /// What was not committed is nobody's.
    ~Roller() {
        if (!committed_) segment::remove_segment(name_);
    }
    Roller(const Roller&) = delete;
    Roller& operator=(const Roller&) = delete;

    Verdict run() {
        make_static_parts();
        CRASH_POINT("next day begun");
        for (int attempt = 0; attempt < kQuietTries; ++attempt) {
            if (!follow_old_day()) continue;
            if (const Verdict verdict = prepare(); verdict.result != Result::ok) return verdict;
            CRASH_POINT("next day prepared");
            if (const std::optional<Verdict> verdict = commit(When::unchanged)) return *verdict;
        }
        // Somebody is always quicker. The memory is there and warm by now: the rest is done while they wait.
        return *commit(When::always);
    }

private:
    enum class When : std::uint8_t { unchanged, always };

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
        // What is written meanwhile is copied again under the lock.
        const std::uint64_t committed = load_acquire(old_.log->committed);
        copy_events(committed - std::min<std::uint64_t>(committed, old_.geometry.ring_events), committed);
        copied_ = committed;
    }

    /// Word by word: outside the lock somebody may be writing there.
    void copy_events(std::uint64_t behind, std::uint64_t upto) noexcept {
        for (std::uint64_t seq = behind + 1; seq <= upto; ++seq) copy_event_out(state_.ring_slot(seq), old_.ring_slot(seq));
    }

    /// The copy is of everything committed so far. False when writers went round the ring meanwhile.
    bool follow_old_day() {
        return (copy_.state.log->applied != 0 && core::catch_up(copy_.state, old_)) || core::copy_into(copy_.state, old_);
    }

    /// The next day's tables as they are when nothing else comes. They are not whole meanwhile.
    Verdict prepare() {
        store_release(state_.header->magic, 0);
        raise_to(copy_.state.status->consumer, std::min(load_acquire(old_.marks->durable), copy_.state.log->applied));
        decision_ = core::Decision{};
        core::decide_rolled(copy_.state, who_, reason_, decision_);
        if (!decision_.commit) return decision_.verdict;
        Event& event = decision_.event;
        event.header.seq = copy_.state.log->applied + 1;
        event.header.checksum = checksum_of(event, event.header.seq);
        core::roll_tables(copy_.state, state_, event.rolled);
        core::rebuild_derived(state_);
        make_session_mutexes(state_);
        return decision_.verdict;
    }

    /// Nothing when the old day has gone on since `prepare`.
    std::optional<Verdict> commit(When when) {
        const segment::StateLock lock(old_, timeout_ns_, who_.session);
        if (!lock.inside()) return refusal(lock.entry());
        const bool changed = load_acquire(old_.log->committed) != copy_.state.log->applied;
        if (changed && when == When::unchanged) return std::nullopt;
        if (when == When::always) {
            if (changed && !follow_old_day()) return refusal(segment::Entry::poisoned);
            if (const Verdict verdict = prepare(); verdict.result != Result::ok) return verdict;
        }
        const std::uint64_t last = copy_.state.log->applied;
        copy_events(std::max(copied_, last - std::min<std::uint64_t>(last, old_.geometry.ring_events)), last);
        state_.ring_slot(last + 1) = decision_.event;
        copy_what_is_no_event();
        store_release(state_.header->magic, kMagic);
        CRASH_POINT("next day whole");
        committed_ = true;
        // Others may be in it at once, and we may be stopped.
        static_cast<void>(next_.try_use());
        core::execute(old_, decision_.event);
        CRASH_POINT("rolled committed");
        begin_day(state_);
        decision_.verdict.seq = decision_.event.header.seq;
        return decision_.verdict;
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
    const std::string name_;   // of the next day's segment
    const core::Caller who_;
    const std::string_view reason_;
    const std::int64_t timeout_ns_;
    core::PrivateState copy_;  // of the old day
    Mapping next_;
    core::State state_;  // of the next one
    core::Decision decision_;
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

}  // namespace

Verdict roll(Attachment& attachment, const core::Caller& who, std::string_view reason, std::int64_t timeout_ns) {
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
    if (!attachment.mapping.is_current())
        throw Error(Errc::missing, "the segment of '" + attachment.name + "' was removed, or its day has ended");
    while (!take_over_before(lock, attachment)) wait();
    const Verdict verdict = Roller(attachment, who, reason, timeout_ns).run();
    CRASH_POINT("day ended");
    return verdict;
}

}  // namespace riskreg::registry
