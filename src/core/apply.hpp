/// append and apply: the commit point, and the deterministic effect of an event on the tables.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "core/exclusive.hpp"

namespace riskreg::core {

/// Completes `event` in the ring as number committed + 1 + offset, sequence and checksum included, without committing it: copied,
/// unless it was built there (core::Decision). Offsets other than 0 are the members of a batch.
const layout::Event& write_event(Exclusive tables, layout::Event& event, std::uint64_t offset = 0) noexcept;

/// Before write_event completes it; a slot of the ring has readers, so as a whole word.
void add_flags(layout::Event& event, std::uint32_t flags) noexcept;

/// The commit point: one store of `committed`. Ends with the fence that keeps apply's stores below it.
void commit(Exclusive tables, std::uint64_t seq) noexcept;

/// Applies a committed event and stores `applied`. Cannot fail. Reads nothing but the event and the previous
/// version of the one record that it writes (INV-11); applying again changes nothing.
void apply(State& state, const layout::Event& event) noexcept;

/// All three for one event: write, commit, apply.
void execute(Exclusive tables, layout::Event& event) noexcept;

/// The same for an event with further ones: written, then committed by one store, then applied in order.
void execute_all(Exclusive tables, layout::Event& event, std::span<layout::Event> more) noexcept;

/// What a repairer found (architecture.md, table R1–R3).
enum class RepairCase : std::uint8_t { r1_nothing_to_do, r2_redone, r3_damaged };

/// The most events that one lock holder may have committed and not applied: one batch.
inline constexpr std::uint64_t kMaxRedo = 64;

/// How far `applied` is behind `committed`.
enum class Behind : std::uint8_t { nothing, some, impossible };

/// The table of repairs: a row fits when all three of it do, and exactly one row fits everything that can be seen.
/// What is empty fits everything.
struct RepairRow {
    std::optional<bool> magic;  // of the header: whole
    std::optional<Behind> behind;
    std::optional<bool> whole;  // the slots of the events in between
    RepairCase found;
};
inline constexpr std::array<RepairRow, 5> kRepairTable = {{
    {false, {}, {}, RepairCase::r3_damaged},
    {true, Behind::nothing, {}, RepairCase::r1_nothing_to_do},
    {true, Behind::some, true, RepairCase::r2_redone},
    {true, Behind::some, false, RepairCase::r3_damaged},
    {true, Behind::impossible, {}, RepairCase::r3_damaged},
}};
[[nodiscard]] constexpr bool fits(const RepairRow& row, bool magic, Behind behind, bool whole) noexcept {
    return row.magic.value_or(magic) == magic && row.behind.value_or(behind) == behind && row.whole.value_or(whole) == whole;
}
[[nodiscard]] constexpr RepairCase repair_case(bool magic, Behind behind, bool whole) noexcept {
    for (const RepairRow& row : kRepairTable)
        if (fits(row, magic, behind, whole)) return row.found;
    return RepairCase::r3_damaged;
}

/// Brings applied up to committed, or says that memory is damaged. Idempotent at every instruction (INV-2, INV-3).
[[nodiscard]] RepairCase repair(State& state) noexcept;

}  // namespace riskreg::core
