/// Events of the ring as the journal takes them. Internal to the registry layer.
#pragma once

#include <cstdint>
#include <vector>

#include "core/state.hpp"

namespace riskreg::registry {

inline constexpr std::size_t kBlockEvents = 1024;  // of one block of the journal

/// Events `from` to `to`, but for a batch that is not whole: one that was committed by one store is recovered as a whole or not at
/// all, so no block ends inside one. False: one cannot be had any more.
[[nodiscard]] bool read_ring(const core::State& state, std::uint64_t from, std::uint64_t to,
                             std::vector<layout::Event>& events);

/// Of an event that cannot be had: a later one has its place (`overrun`), or what is there is not whole (`damaged`).
[[nodiscard]] layout::Fault why_unreadable(const core::State& state, std::uint64_t seq) noexcept;

}  // namespace riskreg::registry
