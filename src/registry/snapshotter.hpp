/// Offers this process as host of the snapshotter, and hosts it while no other does.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "registry/host.hpp"
#include "riskreg/config.hpp"

namespace riskreg::registry {

/// One thread of ours stands by: it takes over only on proof of death (the robust mutex of the segment, and LOCK's
/// byte 1), never by time. A host that is stopped keeps its place and is reported.
class Snapshotter {
public:
    /// `on_rolled` is called by its thread, when the day has ended and it no longer hosts, until it answers true.
    Snapshotter(Attachment& attachment, const ProcessConfig& config, std::function<bool()> on_rolled);
    /// Leaves in order: drains the journal, writes the final checkpoint when configured, gives up the locks.
    ~Snapshotter();
    Snapshotter(const Snapshotter&) = delete;
    Snapshotter& operator=(const Snapshotter&) = delete;

    [[nodiscard]] bool is_hosting() const noexcept { return hosting_; }

private:
    void run() noexcept;
    bool look_once() noexcept;
    [[nodiscard]] bool try_take_over(bool& after_death);
    void learn_home();
    void host_and_leave(bool after_death);
    void host(bool after_death);
    [[nodiscard]] bool run_threads(Host& host);
    void run_without_journal(Host& host);
    void watch_the_host();
    void rest(std::int64_t ns) noexcept;
    [[nodiscard]] bool day_ended() const noexcept;

    Attachment& attachment_;
    core::State& state_;
    const ProcessConfig& config_;
    const std::string config_json_;
    const std::function<bool()> on_rolled_;
    persist::DirectoryIdentity home_;
    Alarm alarm_;
    std::uint64_t stop_seq_ = 0;   // committed when we were told to leave
    std::atomic<bool> stopping_{false};
    std::atomic<bool> hosting_{false};
    std::uint64_t reported_stall_ = 0;
    std::thread thread_;
};

}  // namespace riskreg::registry
