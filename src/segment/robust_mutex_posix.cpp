#include "segment/robust_mutex.hpp"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "riskreg/error.hpp"
#include "segment/process.hpp"

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

namespace riskreg::segment {

namespace {

constexpr std::int64_t kSliceNs = 1'000'000;

/// How long a waiter looks before it sleeps. Measured (bench/README.md): that cuts p99.9 under contention about six times.
#if defined(__x86_64__) || defined(__i386__)
class Looks {
public:
    [[nodiscard]] bool goes_on() noexcept { return left_-- > 0; }

private:
    int left_ = 200;
};
#else
/// A pause may take next to nothing here, and a count of them be over before anybody could let go: it is the time that ends it, as
/// much as the looks take on x86.
class Looks {
public:
    [[nodiscard]] bool goes_on() const noexcept { return monotonic_ns() < end_ns_; }

private:
    std::int64_t end_ns_ = monotonic_ns() + 4'000;
};
#endif

// The kernel's robust-futex word, part of its ABI: bits of the first word of the mutex.
constexpr std::uint32_t kOwnerDiedBit = 0x40000000U;
constexpr std::uint32_t kThreadIdMask = 0x3FFFFFFFU;

/// pthread_mutex_clocklock, made known to ThreadSanitizer: that of GCC 12 does not intercept it, and would take the
/// unlock for one of a mutex that nobody holds.
int clock_lock(pthread_mutex_t* mutex, const timespec& until) noexcept {
    const int error = ::pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &until);
#ifdef __SANITIZE_THREAD__
    if (error == 0 || error == EOWNERDEAD) {
        __tsan_mutex_pre_lock(mutex, __tsan_mutex_try_lock);
        __tsan_mutex_post_lock(mutex, __tsan_mutex_try_lock, 0);
    }
#endif
    return error;
}

pthread_mutex_t* native(void* memory) noexcept { return static_cast<pthread_mutex_t*>(memory); }

LockResult result_of(int error) noexcept {
    switch (error) {
        case 0: return LockResult::held;
        case EOWNERDEAD: return LockResult::owner_died;
        case ENOTRECOVERABLE: return LockResult::unrecoverable;
        default: return LockResult::timed_out;   // EBUSY, ETIMEDOUT; EDEADLK: this thread holds it already
    }
}

timespec at(std::int64_t monotonic) noexcept {
    return {static_cast<time_t>(monotonic / 1'000'000'000), static_cast<long>(monotonic % 1'000'000'000)};
}

std::uint32_t word_of(const void* memory) noexcept {
    return __atomic_load_n(static_cast<const std::uint32_t*>(memory), __ATOMIC_RELAXED);
}

void require(int error, const char* what) {
    if (error != 0) throw Error(Errc::system, std::string(what) + " failed: " + std::strerror(error));
}

}  // namespace

void RobustMutex::initialise() {
    pthread_mutexattr_t attributes;
    require(::pthread_mutexattr_init(&attributes), "pthread_mutexattr_init");
    require(::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), "pthread_mutexattr_setpshared");
    require(::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), "pthread_mutexattr_setrobust");
    require(::pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK), "pthread_mutexattr_settype");
    std::memset(memory_, 0, sizeof(pthread_mutex_t));
    require(::pthread_mutex_init(native(memory_), &attributes), "pthread_mutex_init");
    ::pthread_mutexattr_destroy(&attributes);
}

LockResult RobustMutex::try_lock() noexcept { return result_of(::pthread_mutex_trylock(native(memory_))); }

LockResult RobustMutex::lock(std::int64_t timeout_ns) noexcept {
    if (const LockResult result = try_lock(); result != LockResult::timed_out) return result;
    for (Looks looks; looks.goes_on();) {
        pause_cpu();
        // Only read while another has it: every attempt takes the line away from the owner, who must write it to let go.
        if (!is_free_hint(memory_)) continue;
        if (const LockResult result = try_lock(); result != LockResult::timed_out) return result;
    }
    const std::int64_t deadline = monotonic_ns() + timeout_ns;
    for (std::int64_t now = monotonic_ns(); now < deadline; now = monotonic_ns()) {
        const timespec slice_end = at(now + kSliceNs < deadline ? now + kSliceNs : deadline);
        const int error = clock_lock(native(memory_), slice_end);
        if (error == EDEADLK) return LockResult::timed_out;
        const LockResult result = result_of(error);
        if (result != LockResult::timed_out) return result;
    }
    return LockResult::timed_out;
}

void RobustMutex::make_consistent() noexcept { ::pthread_mutex_consistent(native(memory_)); }

bool RobustMutex::unlock() noexcept { return ::pthread_mutex_unlock(native(memory_)) == 0; }

bool RobustMutex::is_made(const void* memory) noexcept {
    // Robust and error checking: its kind is not 0, and never changes.
    const auto* words = static_cast<const std::uint64_t*>(memory);
    std::uint64_t any = 0;
    for (std::size_t i = 0; i < sizeof(pthread_mutex_t) / 8; ++i) any |= __atomic_load_n(words + i, __ATOMIC_RELAXED);
    return any != 0;
}

bool RobustMutex::is_free_hint(const void* memory) noexcept {
    // A dead owner's mutex is to be taken, too, and one that nobody can use any more says so when it is asked.
    return (word_of(memory) & kThreadIdMask) == 0 || owner_died_hint(memory);
}

std::uint32_t RobustMutex::holder_hint(const void* memory) noexcept { return word_of(memory) & kThreadIdMask; }

bool RobustMutex::owner_died_hint(const void* memory) noexcept { return (word_of(memory) & kOwnerDiedBit) != 0; }

void self_test_robust_mutex() {
    void* memory = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw Error(Errc::system, std::string("mmap failed: ") + std::strerror(errno));
    RobustMutex mutex(memory);
    mutex.initialise();
    const pid_t child = ::fork();
    if (child == 0) {
        static_cast<void>(mutex.try_lock());
        ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    if (child > 0) ::waitpid(child, &status, 0);
    const LockResult result = child > 0 ? mutex.lock(1'000'000'000) : LockResult::timed_out;
    // Unlocked before its memory goes: a mutex that is still held stays in this thread's robust list.
    if (result == LockResult::owner_died) mutex.make_consistent();
    const bool ours = result == LockResult::held || result == LockResult::owner_died;
    const bool released = ours && mutex.unlock();
    ::munmap(memory, 4096);
    if (child < 0) throw Error(Errc::system, std::string("fork failed: ") + std::strerror(errno));
    if (result != LockResult::owner_died || !released)
        throw Error(Errc::system,
                    "this host does not report the death of a mutex owner (robust futexes): riskreg cannot run here");
}

}  // namespace riskreg::segment
