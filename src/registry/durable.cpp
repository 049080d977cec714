#include "registry/durable.hpp"

#include <algorithm>

#include "segment/process.hpp"
#include "segment/state_lock.hpp"

namespace riskreg::registry {

using namespace layout;

namespace {

constexpr std::int64_t kSliceNs = 1'000'000;
constexpr std::int64_t kSpinNs = 150'000;   // measured, bench/README.md

/// Counts itself in and out; a process that is killed between leaves its count behind, which costs a wake-up call.
class Waiter {
public:
    explicit Waiter(Wakes& wakes) noexcept : wakes_(wakes) { __atomic_add_fetch(&wakes_.waiters, 1U, __ATOMIC_SEQ_CST); }
    ~Waiter() { __atomic_sub_fetch(&wakes_.waiters, 1U, __ATOMIC_SEQ_CST); }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

private:
    Wakes& wakes_;
};

/// Nothing more comes to this day's journal from here. Read before `durable`, which its host stores last.
bool is_left(const core::State& state) noexcept {
    if (!core::is_in(state, SegmentState::rolled)) return false;
    const void* host = segment::host_mutex_memory(state);
    const bool left = segment::RobustMutex::holder_hint(host) == 0 || segment::RobustMutex::owner_died_hint(host);
    // A hint is a relaxed load: without this the next one, of `durable`, may be the earlier of the two.
    fence_acquire();
    return left;
}

void wake_journaller(Wakes& wakes) noexcept {
    __atomic_add_fetch(&wakes.work_tick, 1U, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&wakes.asleep, __ATOMIC_SEQ_CST) != 0) segment::wake_all(wakes.work_tick);
}

}  // namespace

bool wait_durable(core::State& state, std::uint64_t seq, std::int64_t timeout_ns, const std::atomic<bool>* ending) noexcept {
    const auto reached = [&] { return load_acquire(state.marks->durable) >= seq; };
    if (reached()) return true;
    Wakes& wakes = *state.wakes;
    const Waiter waiter(wakes);
    wake_journaller(wakes);
    const std::int64_t begin = segment::monotonic_ns();
    const bool alone = __atomic_load_n(&wakes.waiters, __ATOMIC_RELAXED) <= 1;
    for (std::int64_t now = begin; alone && now - begin < std::min(kSpinNs, timeout_ns); now = segment::monotonic_ns()) {
        // Yielding: on a busy host the journaller may be waiting for this very processor.
        segment::yield_cpu();
        if (reached()) return true;
    }
    for (std::int64_t now = begin; now - begin < timeout_ns; now = segment::monotonic_ns()) {
        const std::uint32_t tick = __atomic_load_n(&wakes.durable_tick, __ATOMIC_SEQ_CST);
        const bool left = is_left(state);
        if (reached()) return true;
        if (left || (ending != nullptr && *ending)) return false;
        segment::wait_while(wakes.durable_tick, tick, std::min(kSliceNs, timeout_ns - (now - begin)));
    }
    return reached();
}

bool request_checkpoint(core::State& state, std::int64_t timeout_ns) noexcept {
    Wakes& wakes = *state.wakes;
    const std::uint64_t wanted = load_acquire(state.log->committed);
    const std::uint64_t mine = __atomic_add_fetch(&wakes.checkpoint_wanted, 1, __ATOMIC_SEQ_CST);
    const std::int64_t deadline = segment::monotonic_ns() + timeout_ns;
    while (load_acquire(wakes.checkpoint_done) < mine) {
        const bool rolled = core::is_in(state, SegmentState::rolled);
        if (rolled || segment::monotonic_ns() >= deadline) return false;
        segment::sleep_ns(kSliceNs);
    }
    return load_acquire(state.marks->checkpointed) >= wanted;
}

}  // namespace riskreg::registry
