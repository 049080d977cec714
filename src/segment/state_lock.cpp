#include "segment/state_lock.hpp"

#include "base/crash_point.hpp"
#include "core/apply.hpp"
#include "segment/process.hpp"

namespace riskreg::segment {

using layout::SegmentState;

namespace {

bool is_ready(const core::State& state) noexcept { return is_in(state, SegmentState::ready); }

/// Why nobody gets in.
Entry closed(const core::State& state) noexcept { return is_in(state, SegmentState::rolled) ? Entry::rolled : Entry::poisoned; }

/// We hold the mutex. True when the tables are whole (again).
bool make_whole(core::State& state, RobustMutex& mutex, LockResult result) noexcept {
    const bool unfinished = layout::load_acquire(state.log->committed) != layout::load_relaxed(state.log->applied);
    if (result == LockResult::held && !unfinished) [[likely]]
        return true;
    CRASH_POINT("repair begins");
    if (core::repair(state) == core::RepairCase::r3_damaged) return false;
    if (result == LockResult::owner_died) {
        layout::count_up(state.status->repairs);
        mutex.make_consistent();
    }
    CRASH_POINT("repair done");
    return true;
}

}  // namespace

void poison(core::State& state) noexcept {
    // In one piece: the verifier poisons without the lock, and its day may end in between.
    layout::raise_to(state.header->state, static_cast<std::uint64_t>(SegmentState::poisoned));
}

StateLock::StateLock(core::State& state, std::int64_t timeout_ns, std::uint32_t session) noexcept
    : state_(state), mutex_(mutex_memory(state)), entry_(Entry::timed_out) {
    entry_ = closed(state);
    // Before the mutex: glibc's trylock of an unrecoverable one keeps the word, and then everybody would wait in vain.
    if (!is_ready(state)) return;
    const LockResult result = mutex_.lock(timeout_ns);
    if (result == LockResult::unrecoverable) poison(state);
    if (result == LockResult::timed_out || result == LockResult::unrecoverable) {
        entry_ = is_ready(state) ? Entry::timed_out : closed(state);
        return;
    }
    enter_critical_section();
    const bool whole = make_whole(state, mutex_, result);
    if (!whole) poison(state);
    if (whole && is_ready(state)) [[likely]] {
        entry_ = Entry::inside;
        layout::store_relaxed(state.status->owner_session, session + 1ULL);
        CRASH_POINT("locked");
        return;
    }
    entry_ = closed(state);
    leave_critical_section();
    // R3: unlocked without make_consistent, so that the mutex itself refuses everybody from now on.
    static_cast<void>(mutex_.unlock());
}

StateLock::~StateLock() {
    if (entry_ != Entry::inside) return;
    layout::store_relaxed(state_.status->owner_session, 0);
    CRASH_POINT("before unlock");
    const bool ours = mutex_.unlock();
    leave_critical_section();
    if (!ours) poison(state_);
}

}  // namespace riskreg::segment
