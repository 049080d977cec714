/// A consistent private copy of live tables (protocol.md 3), and their canonical digest.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "core/state.hpp"

namespace riskreg::core {

/// Private memory holding one registry's tables. Moves, does not copy.
struct PrivateState {
    struct Release {
        void operator()(std::byte* bytes) const noexcept;
    };
    std::unique_ptr<std::byte, Release> memory;
    State state;
};

/// Zeroed memory for this geometry. Throws std::bad_alloc.
[[nodiscard]] PrivateState allocate_state(const layout::Geometry& geometry);

/// Copies running tables without a lock: record by record, then the events up to the last applied one.
/// nullopt when writers lapped the ring during every one of `attempts` copies. Without what is derived.
[[nodiscard]] std::optional<PrivateState> copy_consistent(const State& live, int attempts = 5);

/// What never changes after creation: instruments, accounts, strategies, permissions and configuration.
void copy_entities(State& to, const State& from) noexcept;

/// What a long work calls every kPiece records; false ends it.
using Pause = std::function<bool()>;
inline constexpr std::uint64_t kPiece = 256;

/// One attempt, into memory that is there: it allocates nothing, unless the tables' day has ended. With a pause the copy follows the
/// log at every one, so that it needs a ring of the events of one piece and not of the whole copy.
[[nodiscard]] bool copy_into(State& copy, const State& live, const Pause& pause = {});

/// Applies to a copy what was committed since it was made. False when an event is not in the ring any more, or damaged: the
/// copy is then of some sequence in between. A copy of tables whose day has ended is of the next day.
[[nodiscard]] bool catch_up(State& copy, const State& live);

/// The event of this sequence, if the ring of `live` still has it, whole. Lock-free.
[[nodiscard]] bool read_event(const State& live, std::uint64_t seq, layout::Event& event) noexcept;

/// Digest of the canonical form: newest copies in slot order. Equal tables, equal digest, whatever the capacity,
/// the placement of index words or which of the two copies is the newer (INV-11). What is derived takes no part.
[[nodiscard]] std::uint64_t digest(const State& state) noexcept;

}  // namespace riskreg::core
