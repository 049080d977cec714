/// A view of one registry's tables over plain memory. Knows nothing of mapping, locks or files.
#pragma once

#include <array>
#include <cstddef>

#include "layout/segment.hpp"

namespace riskreg::core {

using layout::kNoSlot;

/// Pointers into one segment (or into a private copy of one). Copying a State copies the view.
/// `const State&` is how decide and the readers take it: they write nothing through it.
struct State {
    std::byte* base = nullptr;
    layout::Geometry geometry{};
    layout::Offsets offsets{};
    layout::Header* header = nullptr;
    layout::LogWords* log = nullptr;
    layout::StatusWords* status = nullptr;
    layout::Watermarks* marks = nullptr;
    layout::Wakes* wakes = nullptr;
    layout::HostWords* host = nullptr;
#define RISKREG_POINTER(name, record, count, kind) record* name = nullptr;
    RISKREG_TABLES(RISKREG_POINTER)
#undef RISKREG_POINTER
    /// Whether apply keeps what is derived from the records: books, content index, times of messages. Only decide needs it,
    /// so a replica or a copy goes without (core/derived.hpp makes it anew).
    bool keeps_derived = true;

    [[nodiscard]] layout::Event& ring_slot(std::uint64_t seq) const noexcept { return ring[seq & (geometry.ring_events - 1U)]; }
    [[nodiscard]] bool is_ring_slot(const layout::Event& event) const noexcept {
        return &event >= ring && &event < ring + geometry.ring_events;
    }
    /// Of the event that is committed next.
    [[nodiscard]] layout::Event& next_slot() const noexcept { return ring_slot(layout::load_relaxed(log->committed) + 1); }
    [[nodiscard]] std::uint16_t external_strategy() const noexcept {
        return static_cast<std::uint16_t>(geometry.strategies - 1U);
    }
    [[nodiscard]] bool has_journal() const noexcept { return header->persistence != 0; }
    [[nodiscard]] bool has_setting(layout::SettingFlag flag) const noexcept { return (header->settings & flag) != 0; }
    [[nodiscard]] bool may_trade_account(std::uint32_t strategy, std::uint32_t account) const noexcept {
        const std::uint64_t* words = permission_words(strategy);
        return (words[account / 64] >> (account % 64) & 1U) != 0;
    }
    [[nodiscard]] bool may_trade_instrument(std::uint32_t strategy, std::uint32_t instrument) const noexcept {
        const std::uint64_t* words = permission_words(strategy) + geometry.account_words();
        return (words[instrument / 64] >> (instrument % 64) & 1U) != 0;
    }
    [[nodiscard]] std::uint64_t* permission_words(std::uint32_t strategy) const noexcept {
        return permissions + static_cast<std::size_t>(strategy) * (geometry.account_words() + geometry.instrument_words());
    }
};

/// Calls visit(member of State, number of its records) for each table of these kinds, in their order (layout/tables.hpp).
template <layout::TableKind... Kinds, class Visit>
void each_table(const layout::Geometry& g, const Visit& visit) {
#define RISKREG_VISIT(name, record, count, kind) \
    if constexpr (((layout::TableKind::kind == Kinds) || ...)) visit(&State::name, std::size_t{count});
    RISKREG_TABLES(RISKREG_VISIT)
#undef RISKREG_VISIT
}

/// Calls visit(record, …) for each versioned record of a row, with the same one of other states behind it.
template <class Visit, class... Same>
void each_of_row(std::uint32_t row, const Visit& visit, const State& state, const Same&... same) {
    each_table<layout::TableKind::rows>(state.geometry, [&](auto table, std::size_t) {
        layout::each_version(visit, (state.*table)[row], (same.*table)[row]...);
    });
}

/// What the header says about the segment. An acquire: what was written before it says so is seen.
[[nodiscard]] inline bool is_in(const State& state, layout::SegmentState wanted) noexcept {
    return layout::load_acquire(state.header->state) == static_cast<std::uint64_t>(wanted);
}

/// Events that the journal does not hold yet, as writers last saw it. Under the lock.
[[nodiscard]] inline std::uint64_t backlog(const State& state) noexcept {
    return layout::load_relaxed(state.log->committed) - layout::load_relaxed(state.status->consumer);
}
/// The last quarter of the ring is in use: what increases risk is refused.
[[nodiscard]] inline bool log_is_tight(const State& state) noexcept {
    return state.has_journal() && backlog(state) >= state.geometry.ring_events / 4 * 3;
}
[[nodiscard]] inline layout::RollPhase roll_phase(const State& state) noexcept {
    return static_cast<layout::RollPhase>(layout::load_relaxed(state.status->roll_phase));
}
/// A tight log or a roll, one word for both: only then a caller has to look closer. Never false when there is something to see: the
/// word is raised by `look_closer` alone. Under the lock.
[[nodiscard]] inline bool is_braked(const State& state) noexcept {
    return layout::load_relaxed(state.log->committed) >= layout::load_relaxed(state.status->brake);
}
/// How far the journal is, and from where on to look again. Clamped: the cursor is advice from another process. Under the lock.
void look_closer(State& state) noexcept;
inline void refresh_consumer(State& state) noexcept {
    if (is_braked(state)) [[unlikely]]
        look_closer(state);
}

/// The view of a segment of this geometry at `base` (page aligned, offsets.size_bytes long).
[[nodiscard]] State view_of(std::byte* base, const layout::Geometry& geometry) noexcept;

/// Number of rows that one order touches, in the order in which scopes are checked:
/// firm, account, strategy, instrument, account × instrument, strategy × instrument.
inline constexpr std::size_t kRowsPerOrder = 6;
using RowSet = std::array<std::uint32_t, kRowsPerOrder>;

/// Rows of an order; kNoSlot where an entity is unknown.
[[nodiscard]] RowSet rows_of(const layout::Geometry& geometry, std::uint32_t account, std::uint32_t strategy,
                             std::uint32_t instrument) noexcept;

/// The row that sums up a row of one instrument: firm, account or strategy; kNoSlot for rows that span instruments.
[[nodiscard]] std::uint32_t total_row_of(const layout::Geometry& geometry, std::uint32_t row) noexcept;

/// Which row's counters a quantity limit of row k is held against: a limit on a scope that spans
/// instruments holds for each instrument separately (semantics.md 6).
inline constexpr std::array<std::size_t, kRowsPerOrder> kQuantityRow = {3, 4, 5, 3, 4, 5};

/// The account × instrument and strategy × instrument rows judge what is reducing (semantics.md 6).
inline constexpr std::size_t kFirmRow = 0;
inline constexpr std::size_t kStrategyRow = 2;
inline constexpr std::size_t kAccountInstrumentRow = 4;
inline constexpr std::size_t kStrategyInstrumentRow = 5;

}  // namespace riskreg::core
