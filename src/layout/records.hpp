/// The records of the tables, byte for byte. README.md beside this file is their description.
///
/// Units: price 1e-9, quantity 1e-8, money 1e-6, time in ns since the Unix epoch.
/// Slot fields hold kNoSlot when they name nothing. Reserved bytes are zero.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/fixed_id.hpp"
#include "layout/versioned.hpp"
#include "riskreg/types.hpp"

namespace riskreg::layout {

inline constexpr std::uint32_t kLayoutVersion = 2;
inline constexpr std::uint32_t kNoSlot = 0xFFFFFFFFU;
inline constexpr std::int64_t kUnlimited = 0x7FFFFFFFFFFFFFFF;
inline constexpr std::uint32_t kUnlimitedCount = 0xFFFFFFFFU;

using base::FixedId;

#define RISKREG_RECORD(type, bytes, alignment)                                                         \
    static_assert(sizeof(type) == (bytes) && alignof(type) == (alignment), #type " changed its size"); \
    static_assert(std::is_trivially_copyable_v<type> && std::is_standard_layout_v<type>);              \
    static_assert(std::has_unique_object_representations_v<type>, #type " has padding")

/// Text with its length, for reasons of state changes.
struct Reason {
    std::uint8_t size;
    char text[95];
};
RISKREG_RECORD(Reason, 96, 1);

// ---- orders -----------------------------------------------------------------------------------

enum class SlotKind : std::uint8_t { free = 0, order = 1, alias = 2 };
enum IdentityFlag : std::uint32_t { kHasPrice = 1, kHasStopPrice = 2 };

/// What never changes of an id: written once by the event that took the slot, before its index word.
struct OrderIdentity {
    FixedId id;
    std::uint64_t hash;         // of (account, id)
    std::int64_t price;         // as registered or as requested
    std::int64_t quantity;
    std::int64_t stop_price;
    std::int64_t created_ns;
    std::uint64_t created_seq;
    std::uint32_t instrument;
    std::uint16_t account;
    std::uint16_t strategy;
    std::uint32_t head;         // slot of the chain's first id; itself for an order
    std::uint32_t previous;     // alias: the id before it in the chain
    std::uint32_t session;
    std::uint32_t generation;
    SlotKind kind;
    Side side;
    OrderType type;
    TimeInForce tif;
    std::uint32_t flags;        // IdentityFlag
    std::uint8_t reserved_bytes[8];
};
RISKREG_RECORD(OrderIdentity, 128, 8);
static_assert(offsetof(OrderIdentity, created_seq) == 80 && offsetof(OrderIdentity, kind) == 112);

/// The venue's id of an order: written once. `seq` is stored last; 0 = none yet.
struct VenueId {
    std::uint64_t seq;
    FixedId id;
    std::uint8_t reserved_bytes[16];
};
RISKREG_RECORD(VenueId, 64, 8);

/// The changing part of one order.
struct OrderState {
    std::uint64_t seq;
    std::int64_t price;                   // of the version that is live at the venue
    std::int64_t quantity;                // total
    std::int64_t cum_quantity;            // may exceed quantity after an overfill
    std::int64_t reserved_quantity;       // ≥ what can still execute, 0 when terminal and no gap (INV-4)
    std::int64_t reserved_notional;
    std::int64_t reserved_price;          // what the live version reserves at
    std::int64_t pending_price;           // of the pending replace
    std::int64_t pending_quantity;        // new total
    std::int64_t pending_reserved_price;
    std::int64_t reported_cum;            // the venue's cumulative quantity while it is ahead of ours, else 0
    std::int64_t updated_ns;
    std::uint32_t last_alias;             // slot of the id that is current at the venue
    std::uint32_t pending_alias;          // slot of the id that a pending replace asked for
    std::uint32_t last_execution;         // newest execution; each names the one before it
    std::uint32_t version;
    OrderBase base;
    std::uint8_t reserved_byte;
    OrderFlags flags;
    std::uint8_t reserved_bytes[12];
};
RISKREG_RECORD(OrderState, 128, 8);
static_assert(offsetof(OrderState, updated_ns) == 88 && offsetof(OrderState, base) == 112);

struct alignas(64) OrderSlot {
    OrderIdentity identity;
    Versioned<OrderState> state;
    VenueId venue;
};
RISKREG_RECORD(OrderSlot, 448, 64);

// ---- rows -------------------------------------------------------------------------------------

enum RowFlag : std::uint64_t { kRowSaturated = 1 };

/// Counters of one scope; every event of an order changes all six rows of the order by the same amounts.
struct RowCounters {
    std::uint64_t seq;
    std::int64_t position;
    std::int64_t open_buy_quantity;
    std::int64_t open_sell_quantity;
    std::int64_t open_buy_notional;
    std::int64_t open_sell_notional;
    std::uint32_t working_buy;
    std::uint32_t working_sell;
    std::uint64_t flags;                  // RowFlag
};
RISKREG_RECORD(RowCounters, 64, 8);

// clang-format off
enum LimitBit : std::uint16_t {
    kSetMaxOrderQuantity = 1, kSetMaxOrderNotional = 2, kSetMaxLong = 4, kSetMaxShort = 8,
    kSetMaxOpenNotional = 16, kSetMaxWorkingOrders = 32, kSetMaxWorkingBuy = 64, kSetMaxWorkingSell = 128,
};
// clang-format on
enum ControlFlag : std::uint8_t { kUnreconciled = 1 };

/// Limits and trading state of one scope. An unset or unlimited limit holds kUnlimited; `set` tells them apart.
struct RowControl {
    std::uint64_t seq;
    std::int64_t max_order_quantity;
    std::int64_t max_order_notional;
    std::int64_t max_long;
    std::int64_t max_short;
    std::int64_t max_open_notional;
    std::uint32_t max_working_orders;
    std::uint32_t max_working_buy;
    std::uint32_t max_working_sell;
    std::uint16_t set;                    // LimitBit
    TradingState state;
    std::uint8_t flags;                   // ControlFlag; firm row only
};
RISKREG_RECORD(RowControl, 64, 8);

/// Day totals of one scope; written by executions only.
struct RowDay {
    std::uint64_t seq;
    std::int64_t bought_quantity;
    std::int64_t sold_quantity;
    std::int64_t bought_notional;
    std::int64_t sold_notional;
    std::uint64_t flags;                  // RowFlag
    std::uint8_t reserved_bytes[16];
};
RISKREG_RECORD(RowDay, 64, 8);

/// Who changed the trading state of a scope, and why.
struct RowLatch {
    std::uint64_t seq;
    std::uint64_t halted_seq;             // of the last change to halted; 0 = never. Kill marks derive from it
    std::int64_t changed_ns;
    std::uint32_t uid;
    TradingState previous;
    std::uint8_t reserved_bytes[3];
    Reason reason;
};
RISKREG_RECORD(RowLatch, 128, 8);

struct alignas(64) Row {
    Versioned<RowCounters> counters;
    Versioned<RowControl> control;
};
RISKREG_RECORD(Row, 256, 64);

struct alignas(64) RowCold {
    Versioned<RowDay> day;
    Versioned<RowLatch> latch;
};
RISKREG_RECORD(RowCold, 384, 64);

// ---- executions and quarantine ----------------------------------------------------------------

enum class ExecutionStatus : std::uint8_t { none = 0, booked = 1, busted = 2, corrected = 3 };

struct ExecutionIdentity {
    FixedId id;
    std::uint32_t order_slot;
    std::uint32_t previous;               // execution of the same order booked before this one
    std::int64_t time_ns;
    std::uint64_t seq;                    // of the event that booked it; stored last
};
RISKREG_RECORD(ExecutionIdentity, 64, 8);

struct ExecutionState {
    std::uint64_t seq;
    std::int64_t price;
    std::int64_t quantity;
    ExecutionStatus status;
    std::uint8_t reserved_bytes[3];
    std::uint32_t successor;              // corrected: the execution booked in its place; otherwise 0
};
RISKREG_RECORD(ExecutionState, 32, 8);

struct alignas(64) ExecutionSlot {
    ExecutionIdentity identity;
    Versioned<ExecutionState> state;
};
RISKREG_RECORD(ExecutionSlot, 128, 64);

/// An event of an order that nobody registered. Written once; `seq` is stored last.
struct alignas(64) QuarantineSlot {
    std::uint64_t seq;
    FixedId order_id;
    FixedId exec_id;
    std::int64_t price;
    std::int64_t quantity;
    std::int64_t time_ns;
    std::uint32_t instrument;
    std::uint16_t account;
    std::uint8_t event_type;
    Side side;
    std::uint8_t booked;                  // moved a position under strategy `external`
    std::uint8_t reserved_bytes[7];
};
RISKREG_RECORD(QuarantineSlot, 128, 64);

// ---- sessions and strategies ------------------------------------------------------------------

enum class SessionStatus : std::uint8_t { free = 0, attached = 1, detached = 2, dead = 3, fenced = 4 };

struct SessionRecord {
    std::uint64_t seq;
    std::int64_t attached_ns;
    std::int64_t ended_ns;
    std::uint64_t pid_start;              // clock ticks since boot: with pid, a process for ever
    std::uint32_t pid;                    // diagnostic only; liveness is the mutex
    std::uint32_t generation;
    std::uint32_t uid;
    std::uint16_t strategy;
    SessionStatus status;
    std::uint8_t reserved_bytes[17];
};
RISKREG_RECORD(SessionRecord, 64, 8);

/// One attached process. The words of `counters` have one writer, the session (exception to INV-1).
struct alignas(64) SessionSlot {
    std::uint8_t mutex[64];               // pthread_mutex_t, robust, held for life by the session
    Versioned<SessionRecord> record;
    std::uint64_t word;                   // generation << 8 | status, absolute from the event
    std::uint64_t accepted;
    std::uint64_t denied;
    std::uint64_t denied_unlogged;        // refusals that wrote no event (protocol.md 2)
    std::uint64_t facts;
    std::uint64_t reserved_words[3];
};
RISKREG_RECORD(SessionSlot, 256, 64);

[[nodiscard]] constexpr std::uint64_t session_word(std::uint32_t generation, SessionStatus status) noexcept {
    return static_cast<std::uint64_t>(generation) << 8 | static_cast<std::uint64_t>(status);
}

/// The latest session of a strategy. Its orders are orphaned while this says `dead`.
struct StrategyState {
    std::uint64_t seq;
    std::uint32_t session;
    std::uint32_t generation;
    SessionStatus status;
    std::uint8_t reserved_bytes[15];
};
RISKREG_RECORD(StrategyState, 32, 8);

struct alignas(64) StrategySlot {
    Versioned<StrategyState> state;
};
RISKREG_RECORD(StrategySlot, 64, 64);

// ---- reference prices -------------------------------------------------------------------------

/// `seq` counts updates of this cell: reference prices are not events (exception to INV-1: the owner writes).
struct ReferencePrice {
    std::uint64_t seq;
    std::int64_t price;
    std::int64_t time_ns;
    std::uint64_t writer;                 // generation of the session that wrote it
};
RISKREG_RECORD(ReferencePrice, 32, 8);

struct ReferenceOwner {
    std::uint64_t seq;
    std::uint32_t session;
    std::uint32_t generation;
    std::uint8_t reserved_bytes[16];
};
RISKREG_RECORD(ReferenceOwner, 32, 8);

struct alignas(64) ReferenceCell {
    Versioned<ReferencePrice> price;
    Versioned<ReferenceOwner> owner;
};
RISKREG_RECORD(ReferenceCell, 128, 64);

// ---- static tables, written at creation only --------------------------------------------------

struct InstrumentRecord {
    FixedId id;
    FixedId currency;
    std::int64_t tick;
    std::int64_t lot;
    std::int64_t min_quantity;
    std::int64_t max_quantity;            // kUnlimited: none
    std::uint64_t factor_numerator;       // multiplier · fx = numerator / 10^(scale − 11)
    std::uint32_t factor_scale;
    std::uint32_t collar_bps;
    std::uint32_t collar_ticks;
    std::uint32_t market_slippage_bps;
    std::uint32_t reference_max_age_ms;
    std::uint8_t collar_two_sided;
    std::uint8_t reserved_bytes[51];
};
RISKREG_RECORD(InstrumentRecord, 192, 8);

struct AccountRecord {
    FixedId id;
    FixedId currency;
    std::uint8_t reserved_bytes[48];
};
RISKREG_RECORD(AccountRecord, 128, 8);

struct StrategyRecord {
    FixedId id;
    std::uint32_t account_count;
    std::uint16_t only_account;           // when account_count is 1
    std::uint8_t all_instruments;
    OnDeath on_death;
    std::uint8_t reserved_bytes[16];
};
RISKREG_RECORD(StrategyRecord, 64, 8);

enum SettingFlag : std::uint32_t {
    kRequireLimits = 1,
    kAllowLimitWithoutReference = 2,
    kAmendBeforeAck = 4,
    kReserveAtLimit = 8,
};

}  // namespace riskreg::layout
