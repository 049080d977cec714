/// The one way into the critical section: lock, and first finish the work of a dead owner (INV-2).
#pragma once

#include "core/exclusive.hpp"
#include "core/state.hpp"
#include "segment/robust_mutex.hpp"

namespace riskreg::segment {

/// `rolled`: the registry goes on in another segment of the same name.
enum class Entry : std::uint8_t { inside, timed_out, poisoned, rolled };

/// Holds the registry's lock for its lifetime. What it finds of a dead owner is repaired by the table R1–R3 of
/// architecture.md before `entry()` says `inside`; R3 poisons the registry for everybody, for good.
class StateLock {
public:
    StateLock(core::State& state, std::int64_t timeout_ns, std::uint32_t session) noexcept;
    ~StateLock();
    StateLock(const StateLock&) = delete;
    StateLock& operator=(const StateLock&) = delete;

    [[nodiscard]] Entry entry() const noexcept { return entry_; }
    [[nodiscard]] bool inside() const noexcept { return entry_ == Entry::inside; }
    /// While it is inside: the right to change the tables.
    [[nodiscard]] core::Exclusive exclusive() const noexcept { return core::Exclusive(state_); }

private:
    core::State& state_;
    RobustMutex mutex_;
    Entry entry_;
};

/// Latches `poisoned` in the header: from now on every call of every process is refused.
void poison(core::State& state) noexcept;

[[nodiscard]] inline void* mutex_memory(const core::State& state) noexcept { return state.base + state.offsets.mutex; }
/// Held for life by the thread that journals.
[[nodiscard]] inline void* host_mutex_memory(const core::State& state) noexcept { return state.base + state.offsets.host; }

}  // namespace riskreg::segment
