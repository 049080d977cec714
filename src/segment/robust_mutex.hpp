/// A robust, process-shared mutex in shared memory. Every wait is bounded (INV-10); the death of an owner is an
/// ordinary answer, not an exception.
#pragma once

#include <cstdint>

namespace riskreg::segment {

enum class LockResult : std::uint8_t {
    held,            ///< ours, and the last owner unlocked it
    owner_died,      ///< ours, and the last owner died holding it: repair, then `make_consistent`
    timed_out,       ///< not ours: the deadline passed
    unrecoverable,   ///< not ours: somebody unlocked it without `make_consistent`
};

/// Lies at a fixed address of every mapping; never copied, never destroyed, its page never unmapped or protected
/// while anybody may hold it (probe e8: the lock then leaks for ever when the owner dies).
class RobustMutex {
public:
    /// The mutex at `memory` (at least 64 bytes, 8-byte aligned) of a segment.
    explicit RobustMutex(void* memory) noexcept : memory_(memory) {}

    /// Makes a fresh, unlocked mutex. Only while nobody else can reach it. Throws Error{system}.
    void initialise();

    /// Spins by trylock first, then waits in slices of at most 1 ms until `timeout_ns` has passed. Never waits
    /// untimed: a waiter that is killed after its wake-up takes the wake-up with it (probe e1).
    [[nodiscard]] LockResult lock(std::int64_t timeout_ns) noexcept;
    [[nodiscard]] LockResult try_lock() noexcept;

    /// After `owner_died`, once what the mutex protects is whole again.
    void make_consistent() noexcept;

    /// False when the mutex was not ours any more: it was stolen, and what it protects is not to be trusted.
    [[nodiscard]] bool unlock() noexcept;

    /// Somebody has initialised it; zeroed memory is no mutex of ours. Works read-only.
    [[nodiscard]] static bool is_made(const void* memory) noexcept;
    /// Somebody who asks now may get it: nobody has it, or its owner is dead. A hint, works read-only.
    [[nodiscard]] static bool is_free_hint(const void* memory) noexcept;
    /// Thread id of the holder, 0 when free. A hint: it may be out of date when it is read. Works read-only.
    [[nodiscard]] static std::uint32_t holder_hint(const void* memory) noexcept;
    /// The kernel has marked the holder as dead and nobody has taken the mutex since. A hint, works read-only.
    [[nodiscard]] static bool owner_died_hint(const void* memory) noexcept;

private:
    void* memory_;
};

/// Forks, lets the child die while it holds a mutex of this kind, and expects the notice. Once per creation of a
/// registry: a libc or kernel without robust mutexes must be found before anybody relies on them. Throws Error{system}.
void self_test_robust_mutex();

}  // namespace riskreg::segment
