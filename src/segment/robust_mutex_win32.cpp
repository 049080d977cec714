// A robust mutex without a robust list: one word names the thread that has it, and whoever waits asks the system whether that thread
// still lives. Owner and lock are one store, so it is never held by nobody knows whom; no object of the system is touched while nobody
// waits.
//
//   word 0   0 free; bits 0-31 id of the owner's thread, 32-62 when that thread began (units of 100 ns), 63 somebody sleeps
//   word 1   never 0 once it is made; names the event that sleepers wait for
#include "segment/robust_mutex.hpp"

#include <windows.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <thread>

#include "base/system_win32.hpp"
#include "riskreg/error.hpp"
#include "segment/process.hpp"

namespace riskreg::segment {

namespace {

/// As long as the other system's, measured there (bench/README.md).
constexpr int kSpins = 200;
constexpr std::int64_t kSliceNs = 1'000'000;
constexpr std::uint64_t kSleepers = 1ULL << 63;

struct Words {
    std::uint64_t owner;
    std::uint64_t made;
};

Words& words(void* memory) noexcept { return *static_cast<Words*>(memory); }
const Words& words(const void* memory) noexcept { return *static_cast<const Words*>(memory); }

std::uint64_t load(const std::uint64_t& word) noexcept { return __atomic_load_n(&word, __ATOMIC_RELAXED); }

bool exchange(std::uint64_t& word, std::uint64_t& expected, std::uint64_t desired) noexcept {
    return __atomic_compare_exchange_n(&word, &expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

std::uint64_t name_of(std::uint32_t id, HANDLE thread) noexcept {
    FILETIME begun{}, ended{}, kernel{}, user{};
    if (!::GetThreadTimes(thread, &begun, &ended, &kernel, &user)) return id;
    // Ids of threads are given again at once; with its birth a name is a thread's own.
    const std::uint64_t birth = static_cast<std::uint64_t>(begun.dwHighDateTime) << 32 | begun.dwLowDateTime;
    return (birth & 0x7FFF'FFFFULL) << 32 | id;
}

thread_local constinit std::uint64_t known_name = 0;

std::uint64_t own_name() noexcept {
    if (known_name == 0) [[unlikely]]
        known_name = name_of(::GetCurrentThreadId(), ::GetCurrentThread());
    return known_name;
}

enum class Life : std::uint8_t { lives, ended };

/// nullptr: `life` says it without a handle.
HANDLE open_owner(std::uint64_t word, Life& life) noexcept {
    const auto id = static_cast<DWORD>(word);
    HANDLE thread = ::OpenThread(SYNCHRONIZE | THREAD_QUERY_LIMITED_INFORMATION, FALSE, id);
    // Whom we may not look at lives: a wrong right makes wait, and never lets two in.
    const auto has_birth = [](std::uint64_t name) { return (name & ~kSleepers) >> 32 != 0; };
    if (thread == nullptr) return life = ::GetLastError() == ERROR_INVALID_PARAMETER ? Life::ended : Life::lives, nullptr;
    const std::uint64_t name = name_of(id, thread);
    // Without its birth, which nobody would tell us, or which it could not find out itself, an id is somebody who lives.
    if (name == (word & ~kSleepers) && has_birth(name)) return thread;
    ::CloseHandle(thread);
    life = has_birth(name) && has_birth(word) ? Life::ended : Life::lives;
    return nullptr;
}

bool has_ended(HANDLE thread) noexcept { return ::WaitForSingleObject(thread, 0) == WAIT_OBJECT_0; }

/// The thread that `word` names executes nothing any more.
bool is_dead(std::uint64_t word) noexcept {
    if (static_cast<std::uint32_t>(word) == 0) return false;
    Life life = Life::lives;
    HANDLE thread = open_owner(word, life);
    if (thread == nullptr) return life == Life::ended;
    const bool ended = has_ended(thread);
    ::CloseHandle(thread);
    return ended;
}

/// Owners that are asked about again and again: every session looks at every other one each few milliseconds, and opening a thread
/// costs ten times what a look at an open one does.
class KnownOwners {
public:
    bool is_dead(const void* memory, std::uint64_t word) noexcept {
        const std::unique_lock guard(mutex_, std::try_to_lock);
        if (!guard) return segment::is_dead(word);
        One& one = known_[(reinterpret_cast<std::uintptr_t>(memory) >> 8) % known_.size()];
        if (one.memory != memory || one.word != (word & ~kSleepers)) {
            if (one.thread != nullptr) ::CloseHandle(one.thread);
            Life life = Life::lives;
            one = {memory, word & ~kSleepers, open_owner(word, life)};
            if (one.thread == nullptr) return one = {}, life == Life::ended;
        }
        return has_ended(one.thread);
    }

private:
    struct One {
        const void* memory = nullptr;
        std::uint64_t word = 0;
        HANDLE thread = nullptr;
    };
    std::mutex mutex_;
    std::array<One, 512> known_{};
};

KnownOwners& known_owners() noexcept {
    static auto* const known = new KnownOwners;  // a thread may ask after the statics have ended
    return *known;
}

/// The events of the mutexes that this process has waited for or woken somebody at; without room for one it waits by the clock alone.
class Events {
public:
    HANDLE of(std::uint64_t made) noexcept {
        const std::lock_guard guard(mutex_);
        for (std::size_t i = 0; i < count_; ++i)
            if (known_[i].made == made) return known_[i].event;
        if (count_ == known_.size()) return nullptr;
        wchar_t name[48];
        std::swprintf(name, std::size(name), L"Global\\riskreg.%016llx", static_cast<unsigned long long>(made));
        auto* const rights = static_cast<SECURITY_ATTRIBUTES*>(base::win32::owner_only());
        HANDLE event = ::CreateEventW(rights, FALSE, FALSE, name);
        if (event != nullptr) known_[count_++] = {made, event};
        return event;
    }

private:
    struct One {
        std::uint64_t made = 0;
        HANDLE event = nullptr;
    };
    std::mutex mutex_;
    std::array<One, 1024> known_{};
    std::size_t count_ = 0;
};

Events& events() noexcept {
    static auto* const all = new Events;
    return *all;
}

bool take_free(Words& at, std::uint64_t mine) noexcept {
    std::uint64_t seen = 0;
    return exchange(at.owner, seen, mine);
}

/// One slice of waiting; timed_out: it is to be asked again.
LockResult wait_once(Words& at, std::int64_t slice_ns) noexcept {
    // Who slept takes it with the mark, so that the other sleepers are not forgotten.
    const std::uint64_t mine = own_name() | kSleepers;
    std::uint64_t seen = load(at.owner);
    if (seen == 0) return take_free(at, mine) ? LockResult::held : LockResult::timed_out;
    if ((seen & kSleepers) == 0 && !exchange(at.owner, seen, seen | kSleepers)) return LockResult::timed_out;
    seen |= kSleepers;
    // A wake-up that died with its receiver costs this slice and no more.
    base::win32::wait_for(events().of(load(at.made)), slice_ns);
    if (load(at.owner) != seen || !known_owners().is_dead(&at, seen)) return LockResult::timed_out;
    // One of those who noticed; should it die before it has repaired, the word names it, and the next one does.
    return exchange(at.owner, seen, mine) ? LockResult::owner_died : LockResult::timed_out;
}

}  // namespace

void RobustMutex::initialise() {
    std::memset(memory_, 0, sizeof(Words));
    __atomic_store_n(&words(memory_).made, random_bits() | 1, __ATOMIC_RELEASE);
}

LockResult RobustMutex::try_lock() noexcept {
    Words& at = words(memory_);
    if (take_free(at, own_name())) return LockResult::held;
    std::uint64_t seen = load(at.owner);
    if (seen == 0 || (seen & ~kSleepers) == own_name() || !known_owners().is_dead(&at, seen)) return LockResult::timed_out;
    return exchange(at.owner, seen, own_name() | kSleepers) ? LockResult::owner_died : LockResult::timed_out;
}

LockResult RobustMutex::lock(std::int64_t timeout_ns) noexcept {
    Words& at = words(memory_);
    if (take_free(at, own_name())) [[likely]]
        return LockResult::held;
    for (int spin = 0; spin < kSpins; ++spin) {
        pause_cpu();
        // Only read while another has it: every attempt takes the line away from the owner, who must write it to let go.
        if (load(at.owner) == 0 && take_free(at, own_name())) return LockResult::held;
    }
    if ((load(at.owner) & ~kSleepers) == own_name()) return LockResult::timed_out;
    const std::int64_t deadline = monotonic_ns() + timeout_ns;
    for (std::int64_t now = monotonic_ns(); now < deadline; now = monotonic_ns()) {
        const LockResult result = wait_once(at, deadline - now < kSliceNs ? deadline - now : kSliceNs);
        if (result != LockResult::timed_out) return result;
    }
    return LockResult::timed_out;
}

// Nothing to mark: that the owner died is no state of the word. A mutex of tables that cannot be repaired is refused by what the tables
// say (StateLock).
void RobustMutex::make_consistent() noexcept {}

bool RobustMutex::unlock() noexcept {
    Words& at = words(memory_);
    const std::uint64_t mine = own_name();
    std::uint64_t seen = mine;
    if (exchange(at.owner, seen, 0)) [[likely]]
        return true;
    if (seen != (mine | kSleepers) || !exchange(at.owner, seen, 0)) return false;
    if (HANDLE event = events().of(load(at.made)); event != nullptr) ::SetEvent(event);
    return true;
}

bool RobustMutex::is_made(const void* memory) noexcept { return load(words(memory).made) != 0; }

bool RobustMutex::is_free_hint(const void* memory) noexcept { return load(words(memory).owner) == 0; }

std::uint32_t RobustMutex::holder_hint(const void* memory) noexcept {
    return static_cast<std::uint32_t>(load(words(memory).owner));
}

bool RobustMutex::owner_died_hint(const void* memory) noexcept {
    const std::uint64_t seen = load(words(memory).owner);
    return seen != 0 && known_owners().is_dead(memory, seen);
}

/// A thread that ends with the mutex is noticed by the same questions as one that is killed with its process; that the questions reach
/// other processes is what the storm in the package proves.
void self_test_robust_mutex() {
    alignas(64) std::array<unsigned char, 64> memory{};
    RobustMutex mutex(memory.data());
    mutex.initialise();
    std::thread([&] { static_cast<void>(mutex.try_lock()); }).join();
    const LockResult result = mutex.lock(1'000'000'000);
    const bool released = (result == LockResult::held || result == LockResult::owner_died) && mutex.unlock();
    if (result != LockResult::owner_died || !released)
        throw Error(Errc::system, "this host does not report the death of a thread: riskreg cannot run here");
}

}  // namespace riskreg::segment
