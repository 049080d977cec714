/// append and apply: the commit point, and the deterministic effect of an event on the tables.
#pragma once

#include <span>

#include "core/state.hpp"

namespace riskreg::core {

/// Writes `event` into the ring as number committed + 1 + offset, sequence and checksum included, without
/// committing it. Offsets other than 0 are the members of a batch.
const layout::Event& write_event(State& state, layout::Event& event, std::uint64_t offset = 0) noexcept;

/// The commit point: one store of `committed`. Ends with the fence that keeps apply's stores below it.
void commit(State& state, std::uint64_t seq) noexcept;

/// Applies a committed event and stores `applied`. Cannot fail. Reads nothing but the event and the previous
/// version of the one record that it writes (INV-11); applying again changes nothing.
void apply(State& state, const layout::Event& event) noexcept;

/// All three for one event: write, commit, apply.
void execute(State& state, layout::Event& event) noexcept;

/// The same for an event with further ones: written, then committed by one store, then applied in order.
void execute_all(State& state, layout::Event& event, std::span<layout::Event> more) noexcept;

/// What a repairer found (architecture.md, table R1–R3).
enum class RepairCase : std::uint8_t { r1_nothing_to_do, r2_redone, r3_damaged };

/// The most events that one lock holder may have committed and not applied: one batch.
inline constexpr std::uint64_t kMaxRedo = 64;

/// Brings applied up to committed, or says that memory is damaged. Idempotent at every instruction (INV-2, INV-3).
[[nodiscard]] RepairCase repair(State& state) noexcept;

}  // namespace riskreg::core
