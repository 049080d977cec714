#include "segment/event_clock.hpp"

#include "base/wide.hpp"
#include "segment/process.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#include <x86intrin.h>
#endif

namespace riskreg::segment {

namespace {

// The counter, whether it runs at one speed in every state of the processor and is the same on all of them, and how many ticks a
// look takes that is not interrupted: one that took longer tells nothing.
#if defined(__x86_64__)
std::uint64_t ticks() noexcept { return __rdtsc(); }
bool has_steady_ticks() noexcept {
    unsigned a = 0, b = 0, c = 0, d = 0;
    const bool invariant = __get_cpuid(0x80000007, &a, &b, &c, &d) != 0 && (d & 1U << 8) != 0;
    return invariant && keeps_time_by_counter();
}
constexpr std::uint64_t at_once_ticks() noexcept { return 10'000; }
#elif defined(__aarch64__)
/// Of the generic timer. A tick is long, so two readings are often equal; and a reading may be as early as the instructions before it,
/// which to the clock of a thread is no more than a few nanoseconds.
std::uint64_t ticks() noexcept {
    std::uint64_t now = 0;
    asm volatile("mrs %0, cntvct_el0" : "=r"(now));
    return now;
}
std::uint64_t ticks_per_second() noexcept {
    std::uint64_t frequency = 0;
    asm volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
    return frequency;
}
/// So the architecture says; what the kernel knows of this processor's errors it shows by what it uses itself.
bool has_steady_ticks() noexcept { return keeps_time_by_counter(); }
/// Five microseconds, and a tick for the one that a short look may meet.
std::uint64_t at_once_ticks() noexcept { return ticks_per_second() / 200'000 + 1; }
#else
std::uint64_t ticks() noexcept { return 0; }
bool has_steady_ticks() noexcept { return false; }
constexpr std::uint64_t at_once_ticks() noexcept { return 0; }
#endif

constexpr std::int64_t kLookNs = 1'000'000;  // how long one look lasts
constexpr std::int64_t kLongestNs = 10'000'000'000;  // between two looks that are to tell the counter's speed

/// What one thread saw at its last look.
class EventClock {
public:
    ClockTimes now() noexcept {
        // A counter that went backwards has gone very far.
        const std::uint64_t gone = ticks() - look_ticks_;
        std::int64_t steady_ns = gone < lasts_ticks_
                                     ? look_ns_ + static_cast<std::int64_t>(static_cast<base::Uint128>(gone) * speed_ >> 32)
                                     : look();
        // What the counter told since the last look may be a few nanoseconds ahead of this one.
        if (steady_ns < last_ns_) [[unlikely]]
            steady_ns = last_ns_;
        last_ns_ = steady_ns;
        return {steady_ns + offset_ns_, steady_ns};
    }

private:
    [[gnu::noinline]] std::int64_t look() noexcept {
        static const bool steady = has_steady_ticks();
        const std::uint64_t before = ticks();
        const std::int64_t now_ns = boottime_ns();
        const std::uint64_t took = ticks() - before;
        offset_ns_ = realtime_ns() - now_ns;
        if (steady && took < at_once_ticks()) learn(now_ns, before + took / 2);
        return now_ns;
    }

    /// The speed is that between two looks. One unlike the speed before means that the machine
    /// stood still: it is measured anew, and until then every call is a look.
    void learn(std::int64_t now_ns, std::uint64_t now_ticks) noexcept {
        const std::int64_t gone_ns = now_ns - look_ns_;
        const bool too_short = gone_ns >= 0 && gone_ns < kLookNs / 2;
        if (too_short && speed_ == 0) return;
        const std::uint64_t last = speed_;
        speed_ = 0;
        if (!too_short && gone_ns > 0 && gone_ns < kLongestNs)
            speed_ = static_cast<std::uint64_t>((static_cast<base::Uint128>(gone_ns) << 32) / (now_ticks - look_ticks_));
        const std::uint64_t off = last > speed_ ? last - speed_ : speed_ - last;
        if (last != 0 && off > last / 1024) speed_ = 0;
        lasts_ticks_ = speed_ == 0 ? 0 : static_cast<std::uint64_t>((static_cast<base::Uint128>(kLookNs) << 32) / speed_);
        look_ns_ = now_ns;
        look_ticks_ = now_ticks;
    }

    std::int64_t look_ns_ = 0;  // boot time
    std::int64_t last_ns_ = 0;  // that was told
    std::int64_t offset_ns_ = 0;  // of the wall clock from boot time
    std::uint64_t look_ticks_ = 0;
    std::uint64_t speed_ = 0;  // ns per tick, × 2^32; 0: not known
    std::uint64_t lasts_ticks_ = 0;  // from the last look
};

}  // namespace

ClockTimes event_clock() noexcept {
    static thread_local EventClock clock;
    return clock.now();
}

}  // namespace riskreg::segment
