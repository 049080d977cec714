/// What one process holds of one registry: LOCK, mapping, view. Internal to the registry layer.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/exclusive.hpp"
#include "core/state.hpp"
#include "persist/recovery.hpp"
#include "riskreg/config.hpp"
#include "segment/lifecycle.hpp"
#include "segment/mapping.hpp"

namespace riskreg::registry {

/// Members in this order: the mapping goes before the lifecycle lock that vouches for it.
struct Attachment {
    segment::LifecycleLock lock;
    segment::Mapping mapping;
    core::State state;
    std::string name;
    std::string segment;
    std::uint64_t fork_epoch = 0;
    bool was_alone = false;                          ///< nobody else was attached: adopted or rebuilt
    std::optional<persist::RecoveryReport> rebuilt;  ///< from files, by this attach
    std::string poisoned_segment;                    ///< kept under this name, when one had to be given up
};

/// Creates the segment under the exclusive lifecycle lock and leaves it; nobody is attached afterwards.
/// Throws Error{bad_input} on a network file system, unless `network_fs`.
void create_segment(const std::string& name, const SharedConfig& config, const std::string& state_dir, bool network_fs);

/// Attaches for writing: adopts when nobody else is attached, else waits for the shared lock.
/// Rebuilds the segment from files when there is none, or when it is damaged and its events are in a journal.
[[nodiscard]] Attachment attach(const std::string& name, const std::string& state_dir, std::int64_t timeout_ns,
                                const RecoverOptions& options = {});
/// The same where a mapping of what is likely to be the segment is there already, with its pages.
[[nodiscard]] Attachment attach_by(segment::Mapping&& mapping, const std::string& name, const std::string& state_dir,
                                   std::int64_t timeout_ns);

/// Fresh mutexes; only under the exclusive lifecycle lock, when no process is attached in any namespace.
void make_mutexes(core::State& state);
void write_identity(layout::Header& header, const segment::LifecycleLock& lock, const std::string& name);

/// Maps read-only, without any lock.
[[nodiscard]] Attachment attach_reader(const std::string& name, const std::string& state_dir);

/// Returns the names of files in the directory that are not a registry's, and were left. Throws Error{missing, busy, foreign}.
std::vector<std::string> destroy_segment(const std::string& name, const std::string& state_dir, bool keep_files, bool force);

/// Commits the death of every session whose process is gone. Returns how many.
std::uint32_t bury_dead_sessions(core::Exclusive tables) noexcept;

/// Looks, without a lock, whether there is a dead session or a dead lock owner to take care of.
[[nodiscard]] bool somebody_died(const core::State& state) noexcept;

/// Both, and sessions that got lost between two days; `session` is the caller's.
void look_after_the_dead(core::State& state, std::int64_t timeout_ns, std::uint32_t session) noexcept;

}  // namespace riskreg::registry
