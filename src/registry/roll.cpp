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

std::string next_of(const std::string& segment) { return segment + ".next"; }
std::string last_of(const std::string& segment) { return segment + ".last"; }

core::State state_of(const Mapping& mapping) {
    return core::view_of(mapping.base(), reinterpret_cast<const Header*>(mapping.base())->geometry);
}

/// Big enough for its own tables, and whole: then it may be looked at.
bool is_whole(const Mapping& mapping) noexcept {
    const auto& header = *reinterpret_cast<const Header*>(mapping.base());
    return load_acquire(header.magic) == kMagic && header.layout_hash == layout_hash() &&
           offsets_of(header.geometry).size_bytes == mapping.size_bytes();
}

/// The segment of that name, when there is a whole one.
std::optional<Mapping> look_at(const std::string& segment, segment::Access access) {
    if (!segment::segment_exists(segment)) return std::nullopt;
    try {
        Mapping mapping = Mapping::open(segment, access);
        if (is_whole(mapping)) return mapping;
    } catch (const Error& error) {
        if (error.code() != Errc::missing) throw;
    }
    return std::nullopt;
}

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

/// Does `next` begin where the log of `old` ends?
bool follows(const core::State& next, const core::State& old) noexcept {
    return core::ends_the_day(old) && next.header->rolled_seq == load_acquire(old.log->committed) &&
           next.header->epoch == old.header->epoch;
}

/// Somebody has hosted this day; then he has taken over the watermarks of the one before.
bool is_hosted(const core::State& state) noexcept { return load_acquire(state.host->epoch) != 0; }

/// Byte 2 or the exclusive lock is held. True when the name leads to a day that goes on.
bool switch_name(const std::string& segment) {
    std::optional<Mapping> named = look_at(segment, segment::Access::read_only);
    if (!named || !core::ends_the_day(state_of(*named))) return true;
    named = Mapping::open(segment, segment::Access::read_write);
    const core::State old = state_of(*named);
    const std::optional<Mapping> next = look_at(next_of(segment), segment::Access::read_only);
    if (!next || !follows(state_of(*next), old)) return false;
    // The first host of the new day learns from it what is on disk. There may be one already, before the new day has its name.
    const bool needed = old.has_journal() && !is_hosted(state_of(*next));
    if (needed && !segment::link_segment(segment, last_of(segment))) return false;
    CRASH_POINT("old day linked");
    if (!segment::rename_segment(next_of(segment), segment)) return false;
    CRASH_POINT("new day named");
    __atomic_store_n(&old.header->next_ready, 1U, __ATOMIC_RELEASE);
    CRASH_POINT("new day ready");
    return true;
}

}  // namespace

bool finish_switch(LifecycleLock& lock, const std::string& segment) {
    const Switching switching(lock);
    return switching.held() && switch_name(segment);
}

std::optional<Mapping> open_next_day(const std::string& segment, const core::State& old, segment::Access access) {
    std::optional<Mapping> next = look_at(next_of(segment), access);
    if (next && !follows(state_of(*next), old)) next.reset();
    if (next) next->rename(segment);
    return next;
}

void settle_switch(LifecycleLock&, const std::string& segment) {
    if (!switch_name(segment)) return;
    segment::remove_segment(next_of(segment));
    if (!segment::segment_exists(segment)) segment::remove_segment(last_of(segment));
}

void remove_beside(const std::string& segment) noexcept {
    segment::remove_segment(next_of(segment));
    segment::remove_segment(last_of(segment));
}

// ---- watermarks ---------------------------------------------------------------------------------

namespace {

void raise_to(std::uint64_t& mark, std::uint64_t value) noexcept {
    if (load_relaxed(mark) < value) store_release(mark, value);
}

void copy_marks(core::State& to, const core::State& from) noexcept {
    // The host's words first: `durable` tells others that it is done.
    for (std::uint64_t HostWords::*word :
         {&HostWords::clean, &HostWords::fault, &HostWords::fault_errno, &HostWords::fault_since_ns, &HostWords::gaps,
          &HostWords::gap_end, &HostWords::alarms, &HostWords::checkpoints, &HostWords::journal_file, &HostWords::journal_bytes,
          &HostWords::checkpoint_fault_errno})
        store_relaxed(to.host->*word, load_relaxed(from.host->*word));
    for (std::uint64_t Watermarks::*mark :
         {&Watermarks::checkpointed, &Watermarks::checkpoint_ns, &Watermarks::checkpoint_steady_ns, &Watermarks::verified,
          &Watermarks::verifier_cycles, &Watermarks::differences, &Watermarks::journaled})
        raise_to(to.marks->*mark, load_relaxed(from.marks->*mark));
    raise_to(to.marks->durable, load_acquire(from.marks->durable));
}

}  // namespace

void take_over_marks(core::State& state, const std::string& segment) {
    if (state.header->rolled_seq == 0 || is_hosted(state)) return;
    // In this order: the day before has its second name before it loses the first one.
    std::optional<Mapping> before;
    for (const std::string& name : {segment, last_of(segment)}) {
        before = look_at(name, segment::Access::read_only);
        if (before && follows(state, state_of(*before))) break;
        before.reset();
    }
    if (!before) return;
    copy_marks(state, state_of(*before));
    CRASH_POINT("marks taken over");
    // Last: it says that the others are there.
    store_release(state.host->epoch, load_relaxed(state_of(*before).host->epoch));
}

void drop_day_before(Attachment& attachment) noexcept {
    core::State& state = attachment.state;
    if (!segment::segment_exists(last_of(attachment.segment)) || core::ends_the_day(state)) return;
    try {
        // Under byte 2: otherwise this very day may end, and get that name, before we remove it.
        LifecycleLock lock(attachment.lock.state_dir(), attachment.name, false);
        const Switching switching(lock);
        if (!switching.held() || !is_hosted(state) || core::ends_the_day(state)) return;
        segment::remove_segment(last_of(attachment.segment));
        CRASH_POINT("day before removed");
    } catch (const Error&) {
        // The state directory is not there now; it is looked at again.
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
    Roller(core::State& old, const std::string& segment, const core::Caller& who, std::string_view reason,
           std::int64_t timeout_ns)
        : old_(old),
          segment_(segment),
          who_(who),
          reason_(reason),
          timeout_ns_(timeout_ns),
          copy_(core::allocate_state(old.geometry)),
          next_(create()),
          state_(core::view_of(next_.base(), old.geometry)) {}
    /// What was not committed is nobody's.
    ~Roller() {
        if (!committed_) segment::remove_segment(next_of(segment_));
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
        segment::remove_segment(next_of(segment_));
        Mapping mapping = Mapping::create(next_of(segment_), old_.offsets.size_bytes);
        mapping.advise((old_.header->page_options & 1U) != 0, false);
        return mapping;
    }

    void make_static_parts() {
        Header& header = *state_.header;
        std::memcpy(static_cast<void*>(&header), old_.header, sizeof header);
        header.magic = 0;
        header.state = static_cast<std::uint64_t>(SegmentState::ready);
        header.next_ready = header.adopting = 0;
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
        core::execute(old_, decision_.event);
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
    const std::string& segment_;
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
bool take_over_before(LifecycleLock& lock, core::State& state, const std::string& segment) {
    if (!segment::segment_exists(last_of(segment))) return true;
    if (!is_hosted(state)) {
        if (!lock.try_host()) return false;
        take_over_marks(state, segment);
        lock.release_host();
    }
    segment::remove_segment(last_of(segment));
    return true;
}

}  // namespace

Verdict roll(Attachment& attachment, const core::Caller& who, std::string_view reason, std::int64_t timeout_ns) {
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
    while (!take_over_before(lock, attachment.state, attachment.segment)) wait();
    const Verdict verdict = Roller(attachment.state, attachment.segment, who, reason, timeout_ns).run();
    CRASH_POINT("day ended");
    if (verdict.result == Result::ok) static_cast<void>(switch_name(attachment.segment));
    return verdict;
}

}  // namespace riskreg::registry
