#include "segment/inside.hpp"

#include <algorithm>
#include <array>
#include <atomic>

#include "segment/process.hpp"

namespace riskreg::segment {

namespace {

constexpr std::size_t kThreads = 1024;

struct alignas(64) Slot {
    std::uint64_t word = 0;
    std::atomic<bool> taken{false};
};

// Never destroyed: a thread may end after the statics did.
std::array<Slot, kThreads> slots;
std::atomic<bool> crowded{false};   // some thread found no slot

/// In a forked child: the parent's other threads did not come along, and nobody would ever see them leave.
void forget_others() noexcept {
    for (Slot& slot : slots) {
        if (&slot.word == detail::own_word) continue;
        slot.word += slot.word & 1U;
        slot.taken.store(false, std::memory_order_relaxed);
    }
}

/// A thread's slot is free again when it ends.
struct Owner {
    Slot* slot = nullptr;
    ~Owner() {
        detail::own_word = nullptr;
        if (slot != nullptr) slot->taken.store(false, std::memory_order_release);
    }
};

}  // namespace

namespace detail {

thread_local constinit std::uint64_t* own_word = nullptr;

std::uint64_t* take_word() noexcept {
    static const bool told = call_in_forked_children(forget_others);
    if (!told) crowded.store(true, std::memory_order_release);
    thread_local Owner owner;
    for (Slot& slot : slots) {
        if (slot.taken.load(std::memory_order_relaxed) || slot.taken.exchange(true, std::memory_order_acquire)) continue;
        owner.slot = &slot;
        return own_word = &slot.word;
    }
    // A word that nobody looks at: from now on nothing is given up.
    crowded.store(true, std::memory_order_release);
    thread_local std::uint64_t nobodys = 0;
    return own_word = &nobodys;
}

}  // namespace detail

WereInside::WereInside() noexcept {
    if (crowded.load(std::memory_order_acquire) || !fence_all_threads()) return;
    try {
        for (const Slot& slot : slots) {
            if (!slot.taken.load(std::memory_order_acquire)) continue;
            const std::uint64_t value = __atomic_load_n(&slot.word, __ATOMIC_ACQUIRE);
            if ((value & 1U) != 0) threads_.push_back({&slot.word, value});
        }
        knows_ = true;
    } catch (...) {
        threads_.clear();
    }
}

bool WereInside::have_left() const noexcept {
    return knows_ && std::all_of(threads_.begin(), threads_.end(), [](const One& thread) {
               return __atomic_load_n(thread.word, __ATOMIC_ACQUIRE) != thread.value;
           });
}

}  // namespace riskreg::segment
