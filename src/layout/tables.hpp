/// Every table of a segment, once, in the order of its pages: TABLE(name, record, how many by the Geometry `g`, kind). Offsets,
/// core::State and its view follow from the list, and so do the loops over all tables of a kind (core::each_table). What lies
/// in a table is for README.md beside this file; a new one is a new layout version.
#pragma once

#include <cstdint>

namespace riskreg::layout {

/// What is done with a table as a whole.
enum class TableKind : std::uint8_t {
    parties,  ///< who trades, and who says what prices are: versioned records, known by their number
    rows,  ///< the three parts of every row
    ids,  ///< slots that are taken in order
    indexes,  ///< words that lead from an id to its slot
    derived,  ///< follows from other records and the log: in no copy, digest or checkpoint
    controls,  ///< versioned records, known by their number; those that nothing happened to count for nothing
    events,  ///< the log
    entities,  ///< written at creation only
};

// clang-format off
#define RISKREG_TABLES(TABLE)                                                               \
    TABLE(sessions,           layout::SessionSlot,      g.sessions,          parties)       \
    TABLE(strategies,         layout::StrategySlot,     g.strategies,        parties)       \
    TABLE(references,         layout::ReferenceCell,    g.instruments,       parties)       \
    TABLE(rows,               layout::Row,              g.rows(),            rows)          \
    TABLE(rows_cold,          layout::RowCold,          g.rows(),            rows)          \
    TABLE(rows_risk,          layout::RowRisk,          g.rows(),            rows)          \
    TABLE(orders,             layout::OrderSlot,        g.orders,            ids)           \
    TABLE(order_index,        std::uint64_t,            g.order_index,       indexes)       \
    TABLE(executions,         layout::ExecutionSlot,    g.executions,        ids)           \
    TABLE(execution_index,    std::uint64_t,            g.execution_index,   indexes)       \
    TABLE(quarantine,         layout::QuarantineSlot,   g.quarantine,        ids)           \
    TABLE(quarantine_index,   std::uint64_t,            g.quarantine_index,  indexes)       \
    TABLE(content_index,      std::uint64_t,            g.content_index,     derived)       \
    TABLE(book_heads,         std::uint64_t,            g.book_sides,        derived)       \
    TABLE(book_nodes,         layout::BookNode,         g.book_nodes,        derived)       \
    TABLE(budget_rings,       layout::BudgetRing,       g.budget_rings,      derived)       \
    TABLE(breakers,           layout::BreakerSlot,      g.breakers,          controls)      \
    TABLE(restrictions,       layout::RestrictionSlot,  g.restrictions,      controls)      \
    TABLE(approvals,          layout::ApprovalSlot,     layout::kApprovals,  controls)      \
    TABLE(ring,               layout::Event,            g.ring_events,       events)        \
    TABLE(instrument_records, layout::InstrumentRecord, g.instruments,       entities)      \
    TABLE(account_records,    layout::AccountRecord,    g.accounts,          entities)      \
    TABLE(strategy_records,   layout::StrategyRecord,   g.strategies,        entities)      \
    TABLE(permissions,        std::uint64_t,            g.permissions(),     entities)      \
    TABLE(config,             char,                     g.config_bytes,      entities)
// clang-format on

}  // namespace riskreg::layout
