/// Who of higher rank waits for the place of the snapshotter's host (HostWords::waiter). Internal to the registry layer.
///
/// Nobody is believed for his word alone: a waiter counts while its beat is seen moving and its process (pid and start time)
/// has not ended. What one process sees of another's beat it measures by its own clock, so neither a stepped clock nor a time
/// namespace matters.
#pragma once

#include <cstdint>

#include "core/state.hpp"
#include "riskreg/config.hpp"

namespace riskreg::registry {

/// One process's view of the claim, and its own claim. One thread at a time.
class Claims {
public:
    struct Waiter {
        std::uint32_t pid = 0;  ///< 0: nobody
        HostRank rank = HostRank::library;
    };

    Claims(core::State& state, HostRank rank) noexcept : state_(state), rank_(rank) {}

    /// Says that this process waits for the place; to be called again and again, every few milliseconds. Nothing is said while
    /// another of at least this rank waits, and is awake.
    void ask() noexcept;
    void withdraw() noexcept;
    /// Who ranks above this process, waits, and has been seen alive and awake within the last 100 ms. To be asked every few
    /// milliseconds: the first sight of a waiter never counts.
    [[nodiscard]] Waiter above() noexcept;

    /// For whoever only looks: a waiter that has not ended; awake or not.
    [[nodiscard]] static Waiter waiting(const core::State& state) noexcept;

private:
    void look(std::uint64_t word) noexcept;
    [[nodiscard]] bool is_awake() const noexcept;
    [[nodiscard]] bool is_silent() const noexcept;
    [[nodiscard]] std::uint64_t own_word() const noexcept;

    core::State& state_;
    const HostRank rank_;
    std::uint64_t seen_word_ = 0, seen_beat_ = 0;
    std::int64_t seen_ns_ = 0;  // when the beat, or the waiter, was last another one
    bool moved_ = false;  // since this waiter was first seen
};

}  // namespace riskreg::registry
