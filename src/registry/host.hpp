/// What the threads of the snapshotter's host share. Internal to the registry layer.
#pragma once

#include <atomic>
#include <functional>
#include <limits>

#include "core/state.hpp"
#include "persist/digest.hpp"
#include "persist/file.hpp"
#include "registry/alarm.hpp"
#include "registry/attachment.hpp"
#include "registry/gap.hpp"

namespace riskreg::registry {

/// The journal is kept; what the host needs beside it is not there.
[[nodiscard]] constexpr bool is_lack(layout::Fault fault) noexcept {
    return fault == layout::Fault::no_threads || fault == layout::Fault::no_memory;
}

struct Host {
    core::State& state;
    Attachment& attachment;
    Alarm& alarm;
    persist::Key key;                   ///< to be read by other threads once `key_known`
    std::string key_problem;            ///< why it is not known; of the thread that asks for it
    std::string config;
    persist::DirectoryIdentity home;    ///< the directory that was there when this process attached
    std::function<void()> look;  ///< of the journaller's thread, every few milliseconds: passes the wish to leave on
    std::uint64_t epoch = 0;  ///< of this host
    layout::Fault fault_before{};  ///< what the host before left unhealed
    std::atomic<bool> key_known{false};  ///< which key there is, if any; until then nothing is written
    std::atomic<bool> stop{false};  ///< leave: the journaller drains first
    std::atomic<bool> handed_over{false};  ///< leaves because another waits, who will answer what is asked meanwhile
    std::atomic<std::int64_t> leave_by_ns{std::numeric_limits<std::int64_t>::max()};  ///< monotonic; then nothing more is tried
    std::atomic<bool> drained{false};  ///< the journaller has left, and its locks are about to; the replicator may finish
    std::atomic<bool> final_checkpoint{false};
    std::atomic<bool> complete{false};  ///< with `drained`: everything committed by then is on disk
    std::atomic<std::uint64_t> synced{0};  ///< end of the journal on disk; `durable` but for gaps
    std::atomic<std::uint64_t> file_number{0};
    std::atomic<bool> journal_lost{false};  ///< the replicator could not read it back
    GapMachine gap{};
    std::atomic<std::uint64_t> base_seq{0};
    std::atomic<bool> no_memory{false};  ///< the replicator could not have what it needs; it tries again

    [[nodiscard]] const std::string& directory() const noexcept { return attachment.lock.directory(); }
    void beat() const noexcept;
    /// Asks for the key until it is known; then it stays, whatever becomes of its file. One thread.
    [[nodiscard]] bool learn_key();
    /// Opens the registry's directory, and nothing that has come in its place.
    persist::IoError open_home(persist::Directory& out) const noexcept;
    /// Another has the place by now: words and files are its own.
    [[nodiscard]] bool is_followed() const noexcept { return layout::load_acquire(state.host->epoch) != epoch; }
    /// Somebody removed the registry by force: nothing of it is to be written any more.
    [[nodiscard]] bool is_destroyed() const noexcept;
};

/// How long to wait before the next attempt: doubled each time, with jitter, bounded.
class Backoff {
public:
    [[nodiscard]] std::int64_t next_ns() noexcept;
    void reset() noexcept { attempts_ = 0; }
    [[nodiscard]] std::uint32_t attempts() const noexcept { return attempts_; }

private:
    std::uint32_t attempts_ = 0;
    std::uint64_t random_ = 0x9E3779B97F4A7C15ULL;
};

}  // namespace riskreg::registry
