/// Facts about this process and this host, and waiting, behind one small header.
#pragma once

#include <array>
#include <cstdint>

namespace riskreg::segment {

[[nodiscard]] std::int64_t realtime_ns() noexcept;
[[nodiscard]] std::int64_t monotonic_ns() noexcept;
/// Since boot, suspension included: it cannot be stepped.
[[nodiscard]] std::int64_t boottime_ns() noexcept;

void sleep_ns(std::int64_t ns) noexcept;
/// A hint to the processor inside a loop that waits.
void pause_cpu() noexcept;
/// Lets another thread run.
void yield_cpu() noexcept;

/// Sleeps while `word`, of a mapped segment, has this value, at most `timeout_ns`; may return at any time. Across processes. On Windows
/// a wake-up may be missed where two wake at once, so that every wait is to be a short one.
void wait_while(const std::uint32_t& word, std::uint32_t value, std::int64_t timeout_ns) noexcept;
void wake_all(const std::uint32_t& word) noexcept;

/// 64 random bits from the kernel. Throws Error{system}.
[[nodiscard]] std::uint64_t random_bits();

[[nodiscard]] std::uint32_t process_id() noexcept;
/// The numbers of users are uids; on Windows hashes of SIDs.
[[nodiscard]] std::uint32_t user_id() noexcept;
/// The person: stays the caller's own where the program runs with another user's rights (set-user-id), which is how two
/// people share a registry of one user.
[[nodiscard]] std::uint32_t real_user_id() noexcept;

/// Start time of this process, in a unit of the system's; with the pid it names a process for ever. 0: unknown.
[[nodiscard]] std::uint64_t process_start() noexcept;

/// False when the process of that pid and start time has ended, reaped or not; never false while one of its threads runs.
[[nodiscard]] bool is_running(std::uint32_t pid, std::uint64_t start) noexcept;

/// Identity of the running kernel, so that no memory of another boot is taken for one of this: on Windows of this user's part of it,
/// which a logoff may end too. Throws Error{system} without /proc.
[[nodiscard]] std::array<std::uint8_t, 16> boot_id();

/// Inode of this process's PID namespace. Throws Error{system} without /proc: robust locks need it (probe e2).
[[nodiscard]] std::uint64_t pid_namespace();
/// Boot time differs between time namespaces. 0: the kernel has none.
[[nodiscard]] std::uint64_t time_namespace() noexcept;

/// Grows by one in every forked child, without a system call: `attached epoch == fork_epoch()` is how a call
/// knows that it runs in the process that attached.
[[nodiscard]] std::uint64_t fork_epoch() noexcept;

/// From now on `call` is called in every forked child, in its one thread. False: it cannot be had. Where nobody forks it is never called.
[[nodiscard]] bool call_in_forked_children(void (*call)()) noexcept;

/// What the other threads of this process have stored by now is seen after this, and what this one has stored is by them (membarrier,
/// FlushProcessWriteBuffers). False: this system has nothing of the kind.
[[nodiscard]] bool fence_all_threads() noexcept;

/// The system itself keeps time by the processor's counter.
[[nodiscard]] bool keeps_time_by_counter() noexcept;

/// Blocks every signal in the calling thread for its lifetime; threads started meanwhile inherit that.
class SignalsBlocked {
public:
    SignalsBlocked() noexcept;
    ~SignalsBlocked();
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

private:
    alignas(8) unsigned char before_[128];  // sigset_t
};

/// While it lives a write beyond the process's limit on the size of files (`ulimit -f`) is an error to the calling thread, and not
/// SIGXFSZ, which would end the program: a strategy must not die of a file that we write. A signal that came is taken back.
class FileLimitIsAnError {
public:
    FileLimitIsAnError() noexcept;
    ~FileLimitIsAnError();
    FileLimitIsAnError(const FileLimitIsAnError&) = delete;
    FileLimitIsAnError& operator=(const FileLimitIsAnError&) = delete;

private:
    alignas(8) unsigned char before_[128];  // sigset_t
    bool was_pending_;
};

/// Marks the calling thread as inside the critical section. A crash handler that is installed with the first
/// attach then forgoes the core dump: a dump would hold the lock for 0.6 ms per MB of memory (probe e3).
void enter_critical_section() noexcept;
void leave_critical_section() noexcept;
void install_crash_handler() noexcept;

}  // namespace riskreg::segment
