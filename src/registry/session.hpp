/// One strategy session: the slot, its liveness mutex, and the thread that holds it for life.
#pragma once

#include <condition_variable>
#include <functional>
#include <limits>
#include <mutex>
#include <thread>

#include "core/decide.hpp"
#include "core/state.hpp"
#include "riskreg/config.hpp"

namespace riskreg::registry {

/// The day ended before the session was attached: attach to the segment of the next one.
struct DayEnded {};

/// The liveness mutex is held by a thread of our own: a thread's exit releases what it holds, and the caller's
/// thread may end before the registration does. The same thread looks every few milliseconds for dead neighbours, so
/// that repair and the policy for dead strategies do not wait for traffic (protocol.md 5, 8).
class Session {
public:
    /// Its thread calls this once the day has ended, until it answers true.
    using OnRolled = std::function<bool()>;

    /// Attaches under the registry's lock. Throws Error{busy} naming the pid when the strategy has a live session
    /// (unless takeover), or when no slot is free; DayEnded.
    Session(core::State& state, std::uint16_t strategy, const ProcessConfig& config, OnRolled on_rolled);
    /// The session that `before` was on the day before goes on in `state`: the same slot and generation, and no event. If it
    /// was given up or fenced meanwhile, it is so here.
    Session(core::State& state, const Session& before, const ProcessConfig& config, OnRolled on_rolled);
    /// Waits without a bound for what `leave` could not see the end of. Never run in a forked child: there the thread does not exist.
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    /// Clean detach. False when its thread still hangs at that time (monotonic): then this must stay where it is.
    [[nodiscard]] bool leave(std::int64_t by_ns) noexcept;

    [[nodiscard]] std::uint32_t slot() const noexcept { return slot_; }
    [[nodiscard]] std::uint32_t generation() const noexcept { return generation_; }

private:
    void live() noexcept;
    enum class Attached : std::uint8_t { yes, timed_out, poisoned, rolled, strategy_taken, no_slot };
    void start();
    void attach();
    void require(Attached attached) const;
    [[nodiscard]] Attached move_in() noexcept;
    [[nodiscard]] Attached attach_under_lock(core::SessionRequest& request) noexcept;
    void watch() noexcept;
    void detach(std::int64_t timeout_ns) noexcept;
    [[nodiscard]] std::uint32_t take_free_slot() noexcept;

    core::State& state_;
    const std::uint16_t strategy_;
    const ProcessConfig& config_;
    const OnRolled on_rolled_;
    const bool moves_;  // from the day before
    std::uint32_t slot_ = layout::kNoSlot;
    std::uint32_t generation_ = 0;
    std::uint32_t other_pid_ = 0;  // who has the strategy, for the message
    std::mutex mutex_;
    std::condition_variable changed_;
    bool followed_ = false;  // into the next day; its own thread's
    bool attached_ = false;
    bool stopping_ = false;
    bool ended_ = false;
    std::int64_t leave_by_ns_ = std::numeric_limits<std::int64_t>::max();
    std::exception_ptr failure_;
    std::thread thread_;
};

}  // namespace riskreg::registry
