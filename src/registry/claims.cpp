#include "registry/claims.hpp"

#include "base/crash_point.hpp"
#include "segment/process.hpp"

namespace riskreg::registry {

using namespace layout;

namespace {

constexpr std::int64_t kAwakeNs = 100'000'000;   // waiters move every few milliseconds

/// In one word: no two waiters can mix theirs.
constexpr unsigned kRankBits = 8;

HostRank rank_of(std::uint64_t word) noexcept { return static_cast<HostRank>(word & ((1U << kRankBits) - 1)); }
std::uint32_t pid_of(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word >> kRankBits); }

bool replace(std::uint64_t& word, std::uint64_t expected, std::uint64_t wanted) noexcept {
    return __atomic_compare_exchange_n(&word, &expected, wanted, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

}  // namespace

std::uint64_t Claims::own_word() const noexcept {
    return (std::uint64_t{segment::process_id()} << kRankBits) | static_cast<std::uint64_t>(rank_);
}

void Claims::look(std::uint64_t word) noexcept {
    const std::uint64_t beat = load_relaxed(state_.host->waiter_beat);
    if (word == seen_word_ && beat == seen_beat_) return;
    moved_ = word == seen_word_;
    seen_word_ = word;
    seen_beat_ = beat;
    seen_ns_ = segment::monotonic_ns();
}

bool Claims::is_awake() const noexcept { return moved_ && !is_silent(); }
bool Claims::is_silent() const noexcept { return segment::monotonic_ns() - seen_ns_ >= kAwakeNs; }

void Claims::ask() noexcept {
    HostWords& words = *state_.host;
    const std::uint64_t present = load_acquire(words.waiter), own = own_word();
    if (present != own) {
        look(present);
        if (present != 0 && rank_of(present) >= rank_ && !is_silent()) return;
        if (!replace(words.waiter, present, own)) return;
        // Until this is there, pid and start time name nobody: the host waits for its next look.
        store_release(words.waiter_start, segment::process_start());
        CRASH_POINT("place asked for");
    }
    __atomic_add_fetch(&words.waiter_beat, 1, __ATOMIC_RELEASE);
}

void Claims::withdraw() noexcept { static_cast<void>(replace(state_.host->waiter, own_word(), 0)); }

Claims::Waiter Claims::above() noexcept {
    const std::uint64_t word = load_acquire(state_.host->waiter);
    if (word == 0 || rank_of(word) <= rank_) return {};
    look(word);
    if (!is_awake()) return {};
    const Waiter waiter = waiting(state_);
    // Another one has come meanwhile: it is looked at next time.
    return waiter.pid == pid_of(word) && waiter.rank == rank_of(word) ? waiter : Waiter{};
}

Claims::Waiter Claims::waiting(const core::State& state) noexcept {
    const std::uint64_t word = load_acquire(state.host->waiter);
    if (word == 0 || !segment::is_running(pid_of(word), load_acquire(state.host->waiter_start))) return {};
    return {pid_of(word), rank_of(word)};
}

}  // namespace riskreg::registry
