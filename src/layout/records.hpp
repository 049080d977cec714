/// The records of the tables, byte for byte. README.md beside this file is their description.
///
/// Units: price 1e-9, quantity 1e-8, money 1e-6, time in ns since the Unix epoch, steady time in ns since boot.
/// Slot fields hold kNoSlot when they name nothing. Reserved bytes are zero.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/fixed_id.hpp"
#include "layout/fields.hpp"
#include "layout/versioned.hpp"
#include "riskreg/types.hpp"

namespace riskreg::layout {

inline constexpr std::uint32_t kLayoutVersion = 5;
inline constexpr std::uint32_t kNoSlot = 0xFFFFFFFFU;
inline constexpr std::int64_t kUnlimited = 0x7FFFFFFFFFFFFFFF;
inline constexpr std::uint32_t kUnlimitedCount = 0xFFFFFFFFU;

using base::FixedId;
RISKREG_FIELDS(FixedId, 40, 8, words);

/// Text with its length, for reasons of state changes.
struct Reason {
    std::uint8_t size;
    char text[95];
};
RISKREG_FIELDS(Reason, 96, 1, size, text);

// ---- orders -----------------------------------------------------------------------------------

enum class SlotKind : std::uint8_t { free = 0, order = 1, alias = 2 };
enum IdentityFlag : std::uint32_t { kHasPrice = 1, kHasStopPrice = 2, kContentIndexed = 4, kLoaded = 8 };

/// What never changes of an id: written once by the event that took the slot, before its index word.
struct OrderIdentity {
    FixedId id;
    std::int64_t created_steady_ns;   // boot time of the registration; of another boot for what a recovery found
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
    std::uint32_t content_previous;   // with kContentIndexed: the accepted order of the same content before this one
    std::uint8_t reserved_bytes[4];
};
RISKREG_FIELDS(OrderIdentity, 128, 8, id, created_steady_ns, price, quantity, stop_price, created_ns, created_seq, instrument,
               account, strategy, head, previous, session, generation, kind, side, type, tif, flags, content_previous,
               reserved_bytes);
RISKREG_WORDS(OrderIdentity);

/// The venue's id of an order: written once. `seq` is stored last; 0 = none yet.
struct VenueId {
    std::uint64_t seq;
    FixedId id;
    std::uint8_t reserved_bytes[16];
};
RISKREG_FIELDS(VenueId, 64, 8, seq, id, reserved_bytes);

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
    std::uint8_t reserved_bytes[4];
    std::uint64_t roll_key;  // its place in the next day, when it was touched while that was prepared (core/roll)
};
RISKREG_FIELDS(OrderState, 128, 8, seq, price, quantity, cum_quantity, reserved_quantity, reserved_notional, reserved_price,
               pending_price, pending_quantity, pending_reserved_price, reported_cum, updated_ns, last_alias, pending_alias,
               last_execution, version, base, reserved_byte, flags, reserved_bytes, roll_key);
RISKREG_WORDS(OrderState);

/// OrderState::roll_key of an order that went on when its day's roll began; greater ones are the sequence by which it came to. No event
/// has this number.
inline constexpr std::uint64_t kFirstClass = 1;

/// Neither a new day nor a look at what still may execute ends it: a gap that the venue reported is reserved after the end of the
/// order, until its fills arrive.
[[nodiscard]] inline bool goes_on(const OrderState& order) noexcept {
    return is_live(order.base) || order.reserved_quantity != 0;
}

struct alignas(64) OrderSlot {
    OrderIdentity identity;
    Versioned<OrderState> state;
    VenueId venue;
};
RISKREG_FIELDS(OrderSlot, 448, 64, identity, state, venue);

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
    std::uint64_t flags;  // RowFlag
};
RISKREG_FIELDS(RowCounters, 64, 8, seq, position, open_buy_quantity, open_sell_quantity, open_buy_notional, open_sell_notional,
               working_buy, working_sell, flags);
RISKREG_WORDS(RowCounters);

// clang-format off
enum LimitBit : std::uint16_t {
    kSetMaxOrderQuantity = 1, kSetMaxOrderNotional = 2, kSetMaxLong = 4, kSetMaxShort = 8,
    kSetMaxOpenNotional = 16, kSetMaxWorkingOrders = 32, kSetMaxWorkingBuy = 64, kSetMaxWorkingSell = 128,
    // Some limit of this kind has a value in the row's RowRiskLimits, so that a check looks there only when it must.
    kHasValueLimits = 256, kHasMessageLimits = 512, kHasContentLimit = 1024, kHasBreakers = 2048,
};
inline constexpr std::uint16_t kRiskLimitKinds = kHasValueLimits | kHasMessageLimits | kHasContentLimit | kHasBreakers;
// clang-format on
enum ControlFlag : std::uint8_t { kUnreconciled = 1, kRestricted = 2 };

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
    std::uint16_t set;  // LimitBit
    TradingState state;
    std::uint8_t flags;  // ControlFlag
};
RISKREG_FIELDS(RowControl, 64, 8, seq, max_order_quantity, max_order_notional, max_long, max_short, max_open_notional,
               max_working_orders, max_working_buy, max_working_sell, set, state, flags);

/// Day totals of one scope; written by executions only.
struct RowDay {
    std::uint64_t seq;
    std::int64_t bought_quantity;
    std::int64_t sold_quantity;
    std::int64_t bought_notional;
    std::int64_t sold_notional;
    std::uint64_t flags;  // RowFlag
    std::int64_t start_position;  // loaded at the start of the day, or adjusted by an operator
    std::uint8_t reserved_bytes[8];
};
RISKREG_FIELDS(RowDay, 64, 8, seq, bought_quantity, sold_quantity, bought_notional, sold_notional, flags, start_position,
               reserved_bytes);

/// Who changed the trading state of a scope, and why.
struct RowLatch {
    std::uint64_t seq;
    std::uint64_t halted_seq;  // of the last change to halted; 0 = never. Kill marks derive from it
    std::int64_t changed_ns;
    std::uint32_t uid;
    TradingState previous;
    std::uint8_t reserved_bytes[3];
    Reason reason;
};
RISKREG_FIELDS(RowLatch, 128, 8, seq, halted_seq, changed_ns, uid, previous, reserved_bytes, reason);

// clang-format off
enum RowValueFlag : std::uint64_t {
    kValueSaturated = 1,
    kPriced = 2,                          // `mark` holds a price: the mark, or what stands for it before the first one
    kMarked = 4,                          // it came by a `marked` event; fills no longer move it
};
// clang-format on

/// What one scope's positions are worth. Rows of one instrument: position at the row's mark. Rows that span instruments:
/// the sum over theirs. All amounts carry multiplier and fx.
struct RowValue {
    std::uint64_t seq;
    std::int64_t mark;  // rows of one instrument only
    std::int64_t gross_value;  // |position| · |mark|; worst_case: max(|long worst|, |short worst|) · |mark|
    std::int64_t net_value;  // position · mark, signed
    std::int64_t cash_flow;  // sold − bought today, signed by the price
    std::int64_t start_value;  // of the positions at the start of the day
    std::int64_t peak;  // best result of the day so far, at least 0
    std::uint64_t flags;  // RowValueFlag
};
RISKREG_FIELDS(RowValue, 64, 8, seq, mark, gross_value, net_value, cash_flow, start_value, peak, flags);

/// Limits beyond those of RowControl. `set` has one bit for each member of Limits from max_gross_notional on.
struct RowRiskLimits {
    std::uint64_t seq;
    std::int64_t max_gross_notional;
    std::int64_t max_net_notional;
    std::int64_t cash_limit;
    std::int64_t max_traded_notional;
    std::int64_t daily_loss;
    std::int64_t drawdown;
    std::uint32_t max_messages;
    std::uint32_t max_all_messages;
    std::uint32_t max_same_content;
    std::uint32_t max_same_direction;
    std::uint32_t max_rejects;
    std::uint32_t window_ms;
    std::uint32_t content_window_ms;
    std::uint32_t cancel_headroom_bps;
    std::uint32_t set;
    std::uint8_t reserved_bytes[36];
};
RISKREG_FIELDS(RowRiskLimits, 128, 8, seq, max_gross_notional, max_net_notional, cash_limit, max_traded_notional, daily_loss,
               drawdown, max_messages, max_all_messages, max_same_content, max_same_direction, max_rejects, window_ms,
               content_window_ms, cancel_headroom_bps, set, reserved_bytes);

/// How many messages one scope has sent, and where their times are kept (BudgetRing).
struct RowMeters {
    std::uint64_t seq;
    std::uint64_t messages;  // new orders and amends that are counted; only while the row has a budget
    std::uint64_t all_messages;  // these, decreasing amends and cancels
    std::int64_t since_ns;  // steady time when counting began anew: the window before counts as used up; 0: never
    std::uint32_t messages_ring;  // kNoSlot: none
    std::uint32_t all_ring;
    std::uint32_t messages_stride;  // every how many messages one time is kept; 1 up to 4096 messages a window
    std::uint32_t all_stride;
    std::uint64_t since_seq;  // of the event that `since_ns` is the time of
    std::uint8_t reserved_bytes[8];
};
RISKREG_FIELDS(RowMeters, 64, 8, seq, messages, all_messages, since_ns, messages_ring, all_ring, messages_stride, all_stride,
               since_seq, reserved_bytes);
RISKREG_WORDS(RowMeters);

/// Which soft levels of which limits were passed upwards and not left again: two bits for each member of Limits.
struct RowAlerts {
    std::uint64_t seq;
    std::uint64_t levels;
    std::uint8_t reserved_bytes[16];
};
RISKREG_FIELDS(RowAlerts, 32, 8, seq, levels, reserved_bytes);

struct alignas(64) RowRisk {
    Versioned<RowValue> value;
    Versioned<RowRiskLimits> limits;
    Versioned<RowMeters> meters;
    Versioned<RowAlerts> alerts;
};
RISKREG_FIELDS(RowRisk, 576, 64, value, limits, meters, alerts);

struct alignas(64) Row {
    Versioned<RowCounters> counters;
    Versioned<RowControl> control;
};
RISKREG_FIELDS(Row, 256, 64, counters, control);

struct alignas(64) RowCold {
    Versioned<RowDay> day;
    Versioned<RowLatch> latch;
};
RISKREG_FIELDS(RowCold, 384, 64, day, latch);

// ---- budgets, breakers, books: not part of the canonical form ------------------------------------

/// Times of the last messages of one budget, written where RowMeters says, before its count moves. Steady time.
inline constexpr std::uint32_t kBudgetTimes = 4096;
struct alignas(64) BudgetRing {
    std::int64_t times_ns[kBudgetTimes];
};
RISKREG_FIELDS(BudgetRing, 32768, 64, times_ns);

/// What the breakers of one strategy × instrument count; the counts are canonical, the times are not.
struct BreakerCounts {
    std::uint64_t seq;
    std::uint64_t buys;  // executions
    std::uint64_t sells;
    std::uint64_t rejects;
};
RISKREG_FIELDS(BreakerCounts, 32, 8, seq, buys, sells, rejects);

inline constexpr std::uint32_t kBreakerTimes = 256;
inline constexpr std::uint32_t kBreakerStride = 16;

/// The last 256 times, and every 16th of the last 4096.
struct BreakerTimes {
    std::int64_t fine_ns[kBreakerTimes];
    std::int64_t coarse_ns[kBreakerTimes];
};
RISKREG_FIELDS(BreakerTimes, 4096, 8, fine_ns, coarse_ns);

struct alignas(64) BreakerSlot {
    Versioned<BreakerCounts> counts;
    BreakerTimes times[3];  // buys, sells, rejects
};
RISKREG_FIELDS(BreakerSlot, 12352, 64, counts, times);

struct BookCount {
    std::uint64_t seq;
    std::uint64_t count;
};
RISKREG_FIELDS(BookCount, 16, 8, seq, count);

/// One node of the books of own live orders (core/book.hpp). Derived from the orders, and made anew from them.
struct alignas(64) BookNode {
    std::uint64_t owner;  // side of a book, and level; 0: free. Stored last
    std::int64_t key;  // price in ticks, shifted by six bits for each level
    std::uint64_t bitmap;  // level ≥ 1: which of its 64 children hold a live order
    std::uint64_t next;  // top level: node + 1 of the next worse top, 0: none
    Versioned<BookCount> count;  // level 0: live orders at this price
};
RISKREG_FIELDS(BookNode, 64, 64, owner, key, bitmap, next, count);

// ---- restricted list and approvals --------------------------------------------------------------

enum RestrictedSide : std::uint8_t { kRestrictBuy = 1, kRestrictSell = 2 };

struct RestrictionRecord {
    std::uint64_t seq;
    std::int64_t from_ns;
    std::int64_t to_ns;  // exclusive
    std::uint32_t row;
    std::uint8_t sides;  // RestrictedSide; 0: not in use
    std::uint8_t reserved_bytes[3];
    Reason reason;
};
RISKREG_FIELDS(RestrictionRecord, 128, 8, seq, from_ns, to_ns, row, sides, reserved_bytes, reason);

struct alignas(64) RestrictionSlot {
    Versioned<RestrictionRecord> state;
};
RISKREG_FIELDS(RestrictionSlot, 256, 64, state);

enum class ApprovalStatus : std::uint8_t { none = 0, open = 1, approved = 2 };

/// A resume that waits for a second person. Its number is the sequence of the event that asked for it.
struct ApprovalRecord {
    std::uint64_t seq;
    std::uint64_t request;
    std::uint32_t row;
    std::uint32_t uid;  // who asked
    TradingState state;  // asked for
    std::uint8_t unreconciled;  // 1: asks to release the firm after a recovery
    ApprovalStatus status;
    std::uint8_t verified;  // 1: who approved is what the kernel told the host
    std::uint8_t reserved_bytes[4];
    Reason reason;
};
RISKREG_FIELDS(ApprovalRecord, 128, 8, seq, request, row, uid, state, unreconciled, status, verified, reserved_bytes, reason);

inline constexpr std::uint32_t kApprovals = 64;
struct alignas(64) ApprovalSlot {
    Versioned<ApprovalRecord> state;
};
RISKREG_FIELDS(ApprovalSlot, 256, 64, state);

// ---- executions and quarantine ----------------------------------------------------------------

enum class ExecutionStatus : std::uint8_t { none = 0, booked = 1, busted = 2, corrected = 3 };

struct ExecutionIdentity {
    FixedId id;
    std::uint32_t order_slot;
    std::uint32_t previous;  // execution of the same order booked before this one
    std::int64_t time_ns;
    std::uint64_t seq;  // of the event that booked it; stored last
};
RISKREG_FIELDS(ExecutionIdentity, 64, 8, id, order_slot, previous, time_ns, seq);

struct ExecutionState {
    std::uint64_t seq;
    std::int64_t price;
    std::int64_t quantity;
    ExecutionStatus status;
    std::uint8_t reserved_bytes[3];
    std::uint32_t successor;  // corrected: the execution booked in its place; otherwise 0
};
RISKREG_FIELDS(ExecutionState, 32, 8, seq, price, quantity, status, reserved_bytes, successor);

struct alignas(64) ExecutionSlot {
    ExecutionIdentity identity;
    Versioned<ExecutionState> state;
};
RISKREG_FIELDS(ExecutionSlot, 128, 64, identity, state);

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
    std::uint8_t booked;  // moved a position under strategy `external`
    std::uint8_t reserved_bytes[7];
};
RISKREG_FIELDS(QuarantineSlot, 128, 64, seq, order_id, exec_id, price, quantity, time_ns, instrument, account, event_type, side,
               booked, reserved_bytes);

// ---- sessions and strategies ------------------------------------------------------------------

enum class SessionStatus : std::uint8_t { free = 0, attached = 1, detached = 2, dead = 3, fenced = 4 };

struct SessionRecord {
    std::uint64_t seq;
    std::int64_t attached_ns;
    std::int64_t ended_ns;
    std::uint64_t pid_start;  // clock ticks since boot: with pid, a process for ever
    std::uint32_t pid;  // diagnostic only; liveness is the mutex
    std::uint32_t generation;
    std::uint32_t uid;
    std::uint16_t strategy;
    SessionStatus status;
    std::uint8_t reserved_bytes[17];
};
RISKREG_FIELDS(SessionRecord, 64, 8, seq, attached_ns, ended_ns, pid_start, pid, generation, uid, strategy, status,
               reserved_bytes);

/// One attached process. The words of `counters` have one writer, the session (exception to INV-1).
struct alignas(64) SessionSlot {
    std::uint8_t mutex[64];  // pthread_mutex_t, robust, held for life by the session
    Versioned<SessionRecord> record;
    std::uint64_t word;  // generation << 8 | status, absolute from the event
    std::uint64_t accepted;
    std::uint64_t denied;
    std::uint64_t denied_unlogged;  // refusals that wrote no event (protocol.md 2)
    std::uint64_t facts;
    std::uint64_t next_day;  // number of the next day once its process has mapped that; written without the lock
    std::uint64_t reserved_words[2];
};
RISKREG_FIELDS(SessionSlot, 256, 64, mutex, record, word, accepted, denied, denied_unlogged, facts, next_day, reserved_words);

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
RISKREG_FIELDS(StrategyState, 32, 8, seq, session, generation, status, reserved_bytes);

struct alignas(64) StrategySlot {
    Versioned<StrategyState> state;
};
RISKREG_FIELDS(StrategySlot, 64, 64, state);

// ---- reference prices -------------------------------------------------------------------------

/// `seq` counts updates of this cell: reference prices are not events (exception to INV-1: the owner writes).
struct ReferencePrice {
    std::uint64_t seq;
    std::int64_t price;
    std::int64_t steady_ns;  // its age counts from here
    std::int64_t time_ns;  // a label
    std::uint64_t writer;  // generation of the session that wrote it
};
RISKREG_FIELDS(ReferencePrice, 40, 8, seq, price, steady_ns, time_ns, writer);

struct ReferenceOwner {
    std::uint64_t seq;
    std::uint32_t session;
    std::uint32_t generation;
    std::uint8_t reserved_bytes[8];
};
RISKREG_FIELDS(ReferenceOwner, 24, 8, seq, session, generation, reserved_bytes);

struct alignas(64) ReferenceCell {
    Versioned<ReferencePrice> price;
    Versioned<ReferenceOwner> owner;
};
RISKREG_FIELDS(ReferenceCell, 128, 64, price, owner);

// ---- static tables, written at creation only --------------------------------------------------

struct InstrumentRecord {
    FixedId id;
    FixedId currency;
    std::int64_t tick;
    std::int64_t lot;
    std::int64_t min_quantity;
    std::int64_t max_quantity;  // kUnlimited: none
    std::uint64_t factor_numerator;  // multiplier · fx = numerator / 10^(scale − 11)
    std::uint32_t factor_scale;
    std::uint32_t collar_bps;
    std::uint32_t collar_ticks;
    std::uint32_t market_slippage_bps;
    std::uint32_t reference_max_age_ms;
    std::uint8_t collar_two_sided;
    std::uint8_t short_forbidden;
    std::uint8_t zero_prices_forbidden;
    std::uint8_t reserved_bytes[49];
};
RISKREG_FIELDS(InstrumentRecord, 192, 8, id, currency, tick, lot, min_quantity, max_quantity, factor_numerator, factor_scale,
               collar_bps, collar_ticks, market_slippage_bps, reference_max_age_ms, collar_two_sided, short_forbidden,
               zero_prices_forbidden, reserved_bytes);

struct AccountRecord {
    FixedId id;
    FixedId currency;
    std::uint8_t reserved_bytes[48];
};
RISKREG_FIELDS(AccountRecord, 128, 8, id, currency, reserved_bytes);

struct StrategyRecord {
    FixedId id;
    std::uint32_t account_count;
    std::uint16_t only_account;  // when account_count is 1
    std::uint8_t all_instruments;
    OnDeath on_death;
    std::uint8_t reserved_bytes[16];
};
RISKREG_FIELDS(StrategyRecord, 64, 8, id, account_count, only_account, all_instruments, on_death, reserved_bytes);

enum SettingFlag : std::uint32_t {
    kRequireLimits = 1,
    kAllowLimitWithoutReference = 2,
    kAmendBeforeAck = 4,
    kReserveAtLimit = 8,
    kSelfMatchRefuses = 16,
    kSelfMatchAdvises = 32,
    kSelfMatchFirm = 64,
    kFourEyes = 128,
    kGrossWorstCase = 256,
    kContentByStrategy = 512,
    kLossHalts = 1024,
    kMarkBreachReduces = 2048,
};

}  // namespace riskreg::layout
