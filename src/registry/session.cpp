#include "registry/session.hpp"

#include <string>

#include "base/crash_point.hpp"
#include "core/apply.hpp"
#include "core/decide.hpp"
#include "registry/attachment.hpp"
#include "registry/roll.hpp"
#include "registry/session_event.hpp"
#include "riskreg/error.hpp"
#include "segment/process.hpp"
#include "segment/state_lock.hpp"

namespace riskreg::registry {

using namespace layout;

namespace {

constexpr std::chrono::milliseconds kWatchInterval{5};

}  // namespace

Session::Session(core::State& state, std::uint16_t strategy, const ProcessConfig& config, OnRolled on_rolled)
    : state_(state), strategy_(strategy), config_(config), on_rolled_(std::move(on_rolled)), moves_(false) {
    start();
}

Session::Session(core::State& state, const Session& before, const ProcessConfig& config, OnRolled on_rolled)
    : state_(state),
      strategy_(before.strategy_),
      config_(config),
      on_rolled_(std::move(on_rolled)),
      moves_(true),
      slot_(before.slot_),
      generation_(before.generation_) {
    start();
}

void Session::start() {
    {
        // The application's signals are for its own threads.
        const segment::SignalsBlocked blocked;
        thread_ = std::thread([this] { live(); });
    }
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [this] { return attached_ || failure_; });
    if (!failure_) return;
    guard.unlock();
    thread_.join();
    std::rethrow_exception(failure_);
}

Session::~Session() {
    {
        const std::lock_guard guard(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

bool Session::leave(std::int64_t by_ns) noexcept {
    std::unique_lock guard(mutex_);
    stopping_ = true;
    leave_by_ns_ = by_ns;
    changed_.notify_all();
    const std::chrono::steady_clock::time_point deadline{std::chrono::nanoseconds(by_ns)};
    return changed_.wait_until(guard, deadline, [this] { return ended_; });
}

void Session::live() noexcept {
    try {
        moves_ ? require(move_in()) : attach();
    } catch (...) {
        const std::lock_guard guard(mutex_);
        failure_ = std::current_exception();
        changed_.notify_all();
        return;
    }
    std::unique_lock guard(mutex_);
    attached_ = true;
    changed_.notify_all();
    while (!changed_.wait_for(guard, kWatchInterval, [this] { return stopping_; })) {
        // Not under our mutex: what follows may end this very session.
        guard.unlock();
        watch();
        guard.lock();
    }
    const std::int64_t left = leave_by_ns_ - std::min(segment::monotonic_ns(), leave_by_ns_);
    guard.unlock();
    // Whoever is stopped inside the lock may keep it for ever: the other half of the time is the journal's.
    detach(std::min(config_.fact_timeout_ns, left / 2));
    guard.lock();
    ended_ = true;
    changed_.notify_all();
}

std::uint32_t Session::take_free_slot() noexcept {
    // Slots that nobody used first: what the others say of past sessions stays readable as long as there is room.
    for (const SessionStatus wanted : {SessionStatus::free, SessionStatus::detached, SessionStatus::dead})
        for (std::uint32_t slot = 0; slot < state_.geometry.sessions; ++slot) {
            if (state_.sessions[slot].record.newest().status != wanted) continue;
            segment::RobustMutex mutex(state_.sessions[slot].mutex);
            const segment::LockResult result = mutex.try_lock();
            if (result == segment::LockResult::owner_died) mutex.make_consistent();
            if (result == segment::LockResult::held || result == segment::LockResult::owner_died) return slot;
        }
    return kNoSlot;
}

void Session::attach() {
    // What is slow comes before the lock.
    core::SessionRequest request;
    request.type = EventType::session_attached;
    request.strategy = strategy_;
    request.pid = segment::process_id();
    request.pid_start = segment::process_start();
    request.uid = segment::user_id();
    give_up_lost_sessions(state_, config_.attach_timeout_ns);
    require(attach_under_lock(request));
}

/// Throws what refused us.
void Session::require(Attached attached) const {
    switch (attached) {
        case Attached::yes: return;
        case Attached::rolled: throw DayEnded{};
        case Attached::poisoned: throw Error(Errc::damaged, "the registry is poisoned");
        case Attached::timed_out:
            throw Error(Errc::busy, "the registry's lock is held by thread " +
                                        std::to_string(segment::RobustMutex::holder_hint(segment::mutex_memory(state_))) +
                                        " and did not come free");
        case Attached::strategy_taken:
            throw Error(Errc::busy, "strategy '" + config_.strategy + "' has a live session, pid " +
                                        std::to_string(other_pid_) + ": stop it, or take over with --takeover");
        case Attached::no_slot:
            throw Error(Errc::busy, "all " + std::to_string(state_.geometry.sessions) +
                                        " session slots are taken: raise capacity.sessions");
    }
}

namespace {

/// How an attempt ended that did not get the lock.
template <class Attached>
Attached refused(segment::Entry entry) noexcept {
    if (entry == segment::Entry::rolled) return Attached::rolled;
    return entry == segment::Entry::timed_out ? Attached::timed_out : Attached::poisoned;
}

}  // namespace

/// The mutex is made and held under the registry's lock, so nobody ever meets one that is made and not held yet while we live.
Session::Attached Session::move_in() noexcept {
    const segment::StateLock lock(state_, config_.attach_timeout_ns, slot_);
    if (!lock.inside()) return refused<Attached>(lock.entry());
    SessionSlot& slot = state_.sessions[slot_];
    const SessionRecord& record = slot.record.newest();
    const bool goes_on = record.status == SessionStatus::attached || record.status == SessionStatus::fenced;
    // Given up meanwhile, or taken over: our calls are answered `fenced`.
    if (record.generation != generation_ || !goes_on || !is_moving(slot)) return Attached::yes;
    segment::RobustMutex mutex(slot.mutex);
    try {
        mutex.initialise();
    } catch (...) {
        return Attached::timed_out;
    }
    CRASH_POINT("liveness made");
    const segment::LockResult result = mutex.try_lock();
    CRASH_POINT("moved in");
    return result == segment::LockResult::held ? Attached::yes : Attached::timed_out;
}

Session::Attached Session::attach_under_lock(core::SessionRequest& request) noexcept {
    const segment::StateLock lock(state_, config_.attach_timeout_ns, kNoSlot);
    if (!lock.inside()) return refused<Attached>(lock.entry());
    bury_dead_sessions(lock.exclusive());
    const StrategyState latest = state_.strategies[strategy_].state.newest();
    const bool taken = latest.status == SessionStatus::attached;
    if (taken && !config_.takeover) {
        other_pid_ = state_.sessions[latest.session].record.newest().pid;
        return Attached::strategy_taken;
    }
    // The slot first: a take-over that finds no room must not have fenced the running session.
    slot_ = take_free_slot();
    if (slot_ == kNoSlot) return Attached::no_slot;
    if (taken) commit_session(lock.exclusive(), request_for(state_, EventType::session_fenced, latest.session));
    CRASH_POINT("liveness held");
    generation_ = static_cast<std::uint32_t>(load_relaxed(state_.log->next_generation));
    SessionSlot& slot = state_.sessions[slot_];
    for (std::uint64_t* counter : {&slot.accepted, &slot.denied, &slot.denied_unlogged, &slot.facts})
        store_relaxed(*counter, 0);
    request.session = slot_;
    request.generation = generation_;
    commit_session(lock.exclusive(), request);
    return Attached::yes;
}

void Session::watch() noexcept {
    if (core::is_in(state_, SegmentState::rolled)) {
        followed_ = followed_ || on_rolled_();
        return;
    }
    look_after_the_dead(state_, config_.request_timeout_ns, slot_);
}

void Session::detach(std::int64_t timeout_ns) noexcept {
    const segment::StateLock lock(state_, timeout_ns, slot_);
    const bool ours = load_relaxed(state_.sessions[slot_].word) == session_word(generation_, SessionStatus::attached);
    // Without the lock, or fenced: the thread ends holding its mutex, which the kernel then marks. So the session
    // counts as dead and is buried like any other, instead of looking alive for ever.
    if (!lock.inside() || !ours) return;
    commit_session(lock.exclusive(), request_for(state_, EventType::session_detached, slot_));
    segment::RobustMutex mutex(state_.sessions[slot_].mutex);
    static_cast<void>(mutex.unlock());
}

}  // namespace riskreg::registry
