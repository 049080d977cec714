/// What one process holds of one registry: LOCK, mapping, view. Internal to the registry layer.
#pragma once

#include <string>

#include "core/state.hpp"
#include "riskreg/config.hpp"
#include "segment/lifecycle_posix.hpp"
#include "segment/mapping_posix.hpp"

namespace riskreg::registry {

/// Members in this order: the mapping goes before the lifecycle lock that vouches for it.
struct Attachment {
    segment::LifecycleLock lock;
    segment::Mapping mapping;
    core::State state;
    std::string name;
    std::string segment;
    std::uint64_t fork_epoch = 0;
};

/// Creates the segment under the exclusive lifecycle lock and leaves it; nobody is attached afterwards.
void create_segment(const std::string& name, const SharedConfig& config, const std::string& state_dir);

/// Attaches for writing: adopts when nobody else is attached, else waits for the shared lock.
[[nodiscard]] Attachment attach(const std::string& name, const std::string& state_dir, std::int64_t timeout_ns);

/// Maps read-only, without any lock.
[[nodiscard]] Attachment attach_reader(const std::string& name, const std::string& state_dir);

void destroy_segment(const std::string& name, const std::string& state_dir, bool keep_files, bool force);

/// Commits the death of every session whose process is gone; under the registry's lock. Returns how many.
std::uint32_t bury_dead_sessions(core::State& state) noexcept;

/// Looks, without a lock, whether there is a dead session or a dead lock owner to take care of.
[[nodiscard]] bool somebody_died(const core::State& state) noexcept;

}  // namespace riskreg::registry
