/// One strategy session: the slot, its liveness mutex, and the thread that holds it for life.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/decide.hpp"
#include "core/state.hpp"
#include "riskreg/config.hpp"

namespace riskreg::registry {

/// The liveness mutex is held by a thread of our own: a thread's exit releases what it holds, and the caller's
/// thread may end before the registration does. The same thread looks every few milliseconds for dead neighbours, so
/// that repair and the policy for dead strategies do not wait for traffic (protocol.md 5, 8).
class Session {
public:
    /// Attaches under the registry's lock. Throws Error{busy} naming the pid when the strategy has a live session
    /// (unless takeover), or when no slot is free.
    Session(core::State& state, std::uint16_t strategy, const ProcessConfig& config);
    /// Clean detach. Never run in a forked child: there the thread does not exist.
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    [[nodiscard]] std::uint32_t slot() const noexcept { return slot_; }
    [[nodiscard]] std::uint32_t generation() const noexcept { return generation_; }

private:
    void live() noexcept;
    enum class Attached : std::uint8_t { yes, timed_out, poisoned, strategy_taken, no_slot };
    void attach();
    [[nodiscard]] Attached attach_under_lock(core::SessionRequest& request) noexcept;
    void watch() noexcept;
    void detach() noexcept;
    [[nodiscard]] std::uint32_t take_free_slot() noexcept;

    core::State& state_;
    const std::uint16_t strategy_;
    const ProcessConfig& config_;
    std::uint32_t slot_ = layout::kNoSlot;
    std::uint32_t generation_ = 0;
    std::uint32_t other_pid_ = 0;   // who has the strategy, for the message
    std::mutex mutex_;
    std::condition_variable changed_;
    bool attached_ = false;
    bool stopping_ = false;
    std::exception_ptr failure_;
    std::thread thread_;
};

}  // namespace riskreg::registry
