/// Offers this process as host of the snapshotter, and hosts it while no other does.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "registry/claims.hpp"
#include "registry/host.hpp"
#include "riskreg/config.hpp"

namespace riskreg::registry {

/// One thread of ours stands by: it takes over only on proof of death (the robust mutex of the segment, and LOCK's
/// byte 1), never by time. A host that is stopped keeps its place and is reported; one that is not leaves it in order to a
/// process of higher rank that waits (ProcessConfig::host_rank), and stands by again.
class Snapshotter {
public:
    /// `on_rolled` is called by its thread, when the day has ended and it no longer hosts, until it answers true. Throws Error{system}
    /// when no thread can be made.
    Snapshotter(Attachment& attachment, const ProcessConfig& config, std::function<bool()> on_rolled);
    /// Waits without a bound for what `leave` could not see the end of.
    ~Snapshotter();
    Snapshotter(const Snapshotter&) = delete;
    Snapshotter& operator=(const Snapshotter&) = delete;

    /// Leaves in order: drains the journal, closes a gap that is open, gives up the locks, and writes the final checkpoint when
    /// configured. Once. False when something still hangs at that time (monotonic): then this must stay where it is.
    [[nodiscard]] bool leave(std::int64_t by_ns) noexcept;
    /// Opens the alarm log anew.
    void reopen_log() noexcept { alarm_.reopen(); }
    [[nodiscard]] bool is_hosting() const noexcept { return hosting_; }

private:
    struct Tenure;
    void run() noexcept;
    void host_and_stand_by() noexcept;
    [[nodiscard]] bool has_wound_down() noexcept;
    void look_around(Tenure& tenure) noexcept;
    void pass_on_the_wish(Tenure& tenure, std::int64_t now) noexcept;
    [[nodiscard]] bool journal(Tenure& tenure) noexcept;
    void lost_footing(Host& host, layout::Fault lack, const char* what) noexcept;
    bool look_once() noexcept;
    [[nodiscard]] bool try_take_over(bool& after_death);
    void say_who_is_in_the_way();
    void learn_home();
    void host_and_leave(bool after_death);
    void host(bool after_death);
    void run_without_journal(Host& host);
    void watch_the_host();
    void ask_for_the_place();
    [[nodiscard]] bool could_host() noexcept;
    void say_of_the_host(const std::string& what);
    [[nodiscard]] bool has_to_leave(Host& host) noexcept;
    void rest(std::int64_t ns) noexcept;
    [[nodiscard]] bool day_ended() const noexcept;

    Attachment& attachment_;
    core::State& state_;
    const ProcessConfig& config_;
    const std::string config_json_;
    const std::function<bool()> on_rolled_;
    persist::DirectoryIdentity home_;
    Alarm alarm_;
    Claims claims_;
    bool asking_ = false;
    bool fit_ = false;  // directory and key were there when it asked
    std::int64_t ask_again_ns_ = 0;  // not before: it had the place, or would have had, and could not host
    std::uint64_t said_epoch_ = 0;  // of the host that was spoken of
    std::int64_t not_before_ns_ = 0;  // it hosted and could not: others first
    std::int64_t unfenced_since_ns_ = 0;  // the place was free, and the directory was not
    std::uint64_t unfenced_epoch_ = 0;  // of the host before, then
    std::uint64_t stop_seq_ = 0;  // committed when we were told to leave
    std::int64_t leave_by_ns_ = 0;
    std::atomic<bool> stopping_{false};
    std::atomic<bool> hosting_{false};
    std::uint64_t reported_stall_ = 0;
    std::uint64_t watched_beat_ = 0;
    std::int64_t watched_ns_ = 0;  // when it was first seen
    std::int64_t looked_ns_ = 0;
    std::unique_ptr<Tenure> tenure_;  // the present one, or the last while its threads end
    std::mutex mutex_;
    std::condition_variable changed_;
    bool ended_ = false;
    std::thread thread_;
};

}  // namespace riskreg::registry
