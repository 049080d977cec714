/// Waiting for the disk, outside every lock, bounded.
#pragma once

#include <atomic>

#include "core/state.hpp"

namespace riskreg::registry {

/// True when everything up to `seq` is on disk; false when the deadline passed first. In slices: a journaller that was
/// killed wakes nobody (INV-10). False at once when the day has ended and nobody journals this one any more: the next day's
/// host goes on with it.
[[nodiscard]] bool wait_durable(core::State& state, std::uint64_t seq, std::int64_t timeout_ns,
                                const std::atomic<bool>* ending = nullptr) noexcept;

/// Asks the host for a checkpoint now and waits for it. False: it failed, or nobody answered in time.
[[nodiscard]] bool request_checkpoint(core::State& state, std::int64_t timeout_ns) noexcept;

}  // namespace riskreg::registry
