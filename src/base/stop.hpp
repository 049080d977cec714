/// Ends long loops of a thread that is told to leave: copying, auditing and restoring tables take seconds where there are many orders,
/// and whoever leaves has less.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

namespace riskreg::base {

/// What `stop_point` throws. No std::exception, so that nobody takes the wish to leave for a failure.
struct Stopped {};

using StopWish = std::function<bool()>;

inline thread_local const StopWish* stop_wish = nullptr;

/// While it lives, the loops of this thread ask `wish`. Without one nothing is ever asked.
class StopScope {
public:
    explicit StopScope(StopWish wish) : wish_(std::move(wish)), before_(stop_wish) { stop_wish = wish_ ? &wish_ : nullptr; }
    ~StopScope() { stop_wish = before_; }
    StopScope(const StopScope&) = delete;
    StopScope& operator=(const StopScope&) = delete;

    /// For a thread that works for this one.
    [[nodiscard]] static StopWish of_this_thread() { return stop_wish == nullptr ? StopWish() : *stop_wish; }

private:
    const StopWish wish_;
    const StopWish* const before_;
};

/// In a loop, with its count: asks every 256th time. What the loop has made until then is nobody's.
inline void stop_point(std::uint64_t count) {
    if (stop_wish != nullptr && count % 256 == 0 && (*stop_wish)()) throw Stopped{};
}

}  // namespace riskreg::base
