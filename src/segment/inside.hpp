/// Which threads of this process are inside a call, so that memory is given back when nobody can be looking at it any more.
#pragma once

#include <cstdint>
#include <vector>

namespace riskreg::segment {

namespace detail {
/// Odd while the thread is inside. Written by its thread alone.
extern thread_local constinit std::uint64_t* own_word;
[[nodiscard]] std::uint64_t* take_word() noexcept;
}  // namespace detail

/// Held by whoever looks at something that another thread may give up. Costs two plain stores to a word of the thread's own: the one who
/// gives up makes all other threads' stores visible instead (membarrier). One inside another counts for nothing.
class Inside {
public:
    [[gnu::always_inline]] Inside() noexcept : word_(detail::own_word != nullptr ? detail::own_word : detail::take_word()) {
        const std::uint64_t before = __atomic_load_n(word_, __ATOMIC_RELAXED);
        outermost_ = (before & 1U) == 0;
        if (outermost_) [[likely]]
            __atomic_store_n(word_, before + 1, __ATOMIC_RELAXED);
        // Order for the compiler; for the processor it is the other side's.
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
    }
    [[gnu::always_inline]] ~Inside() {
        if (outermost_) [[likely]]
            __atomic_store_n(word_, __atomic_load_n(word_, __ATOMIC_RELAXED) + 1, __ATOMIC_RELEASE);
    }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

private:
    std::uint64_t* word_;
    bool outermost_;
};

/// The threads that were inside at one moment.
class WereInside {
public:
    /// What was put out of reach before is not found by anybody who comes in later.
    WereInside() noexcept;
    /// All of them have left since. Never where the kernel has no membarrier, or too many threads came: then nothing is given up.
    [[nodiscard]] bool have_left() const noexcept;

private:
    struct One {
        const std::uint64_t* word;
        std::uint64_t value;
    };
    std::vector<One> threads_;
    bool knows_ = false;
};

}  // namespace riskreg::segment
