/// A gap in the journal as a machine of states: whose turn it is, what may be done meanwhile, which step leads where. Internal to
/// the registry layer; the test `gap_test` enumerates both tables.
///
/// A gap begins when the ring went round before it was written, or when journal files are damaged or gone: what was committed is
/// only in memory then. It ends when two checkpoints above it are on disk, the second one made through the new journal (INV-13).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

namespace riskreg::registry {

enum class Gap : std::uint8_t {
    none,
    copy_wanted,  ///< replicator: copy the live tables, write checkpoint 1
    copied,  ///< journaller: begin a file behind `base_seq`, mark the gap in the log
    following,  ///< replicator: checkpoint 2, through the new file
    closed,  ///< journaller: `durable` moves again
};

enum class GapStep : std::uint8_t {
    journal_breaks,  ///< at any moment, by the journaller; a break in a gap begins it again
    tables_are_copied,  ///< checkpoint 1 is on disk
    file_is_begun,
    journal_was_read,  ///< checkpoint 2 is on disk
    durable_moves,
};

enum class GapTurn : std::uint8_t { nobody, journaller, replicator };

struct GapState {
    Gap state;
    GapTurn turn;  // whose step is the next one
    bool journal_goes_on;  // what is committed is written to a file, and may be read back from it; `copied` begins that file
    bool files_may_go;  // otherwise what lies before the gap may be all that is good
};
inline constexpr std::array<GapState, 5> kGapStates = {{
    {Gap::none, GapTurn::nobody, true, true},
    {Gap::copy_wanted, GapTurn::replicator, false, false},
    {Gap::copied, GapTurn::journaller, false, true},
    {Gap::following, GapTurn::replicator, true, true},
    {Gap::closed, GapTurn::journaller, true, true},
}};

struct GapMove {
    Gap from;
    GapStep step;
    Gap to;
};
inline constexpr std::array<GapMove, 8> kGapMoves = {{
    {Gap::none, GapStep::journal_breaks, Gap::copy_wanted},
    {Gap::copied, GapStep::journal_breaks, Gap::copy_wanted},
    {Gap::following, GapStep::journal_breaks, Gap::copy_wanted},
    {Gap::closed, GapStep::journal_breaks, Gap::copy_wanted},
    {Gap::copy_wanted, GapStep::tables_are_copied, Gap::copied},
    {Gap::copied, GapStep::file_is_begun, Gap::following},
    {Gap::following, GapStep::journal_was_read, Gap::closed},
    {Gap::closed, GapStep::durable_moves, Gap::none},
}};

[[nodiscard]] constexpr const GapState& state_of(Gap gap) noexcept { return kGapStates[static_cast<std::size_t>(gap)]; }

/// Where `step` leads from `gap`; nothing when it is not one of its steps.
[[nodiscard]] constexpr std::optional<Gap> after(Gap gap, GapStep step) noexcept {
    for (const GapMove& move : kGapMoves)
        if (move.from == gap && move.step == step) return move.to;
    return std::nullopt;
}

/// Stepped by two threads, the journaller's and the replicator's; read by all.
class GapMachine {
public:
    [[nodiscard]] Gap at() const noexcept { return at_.load(); }
    [[nodiscard]] bool is_open() const noexcept { return at() != Gap::none; }
    [[nodiscard]] const GapState& now() const noexcept { return state_of(at()); }

    /// False, and nothing changes, where the table does not have the step: the other thread was first.
    bool take(GapStep step) noexcept {
        Gap from = at();
        for (;;) {
            const std::optional<Gap> to = after(from, step);
            if (!to) return false;
            if (at_.compare_exchange_weak(from, *to)) return true;
        }
    }

private:
    std::atomic<Gap> at_{Gap::none};
};

}  // namespace riskreg::registry
