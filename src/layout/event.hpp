/// One event: the redo record, the journal record, the audit trail, in the same 256 or 512 bytes.
///
/// An event holds everything that apply needs: after-values of the order it changes, deltas of rows,
/// absolute values for unversioned words. Numbers of types are on disk: append only.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "layout/records.hpp"

namespace riskreg::layout {

// clang-format off
enum class EventType : std::uint16_t {
    none = 0, registered = 1, acked = 2, filled = 3, cancel_requested = 4, canceled = 5, cancel_rejected = 6,
    replace_requested = 7, replaced = 8, replace_rejected = 9, rejected = 10, expired = 11, done_for_day = 12,
    aborted = 13, suspended = 14, resumed = 15, bust = 16, correct = 17, timed_out = 18,
    denied = 30, quarantined = 31, position_loaded = 32,
    state_changed = 40, limits_changed = 41, reconciled = 42, recovered = 43, marked = 44, restricted_changed = 45,
    resume_requested = 46, risk_limits_changed = 47, alert = 48, rolled = 49,
    session_attached = 50, session_detached = 51, session_dead = 52, session_fenced = 53, reference_owner = 54,
    clock_set = 56,
    journal_gap = 60,
};
// clang-format on

/// Events in the life of an order that is known: LifeEvent.
[[nodiscard]] constexpr bool is_life(EventType type) noexcept {
    return type >= EventType::acked && type <= EventType::timed_out;
}

enum EventFlag : std::uint32_t {
    kBatchEnd = 1,        ///< last event of an all-or-none batch
    kNoChange = 2,        ///< audit only: late, repeated or contradicting report; no record is written
    kFirmReducing = 4,    ///< an execution could not be remembered: the firm goes to reducing_only
    kVenueIdSet = 8,      ///< `id` is the venue's id, to be stored
    kBatchMember = 16,    ///< a further event of the same batch follows: the journal never ends a block here
    kClockAhead = 32,     ///< the caller's wall clock ran ahead of what has elapsed: the label is not his
    kRollKeeps = 64,      ///< the order is of the first class of the roll that is being prepared (core/roll)
    kRollAdds = 128,      ///< it comes behind that, by the sequence of this event; both flags: it does not go on so far
};

/// An event is as long as the words that it uses say: of 256 or of 512 bytes.
inline constexpr std::size_t kShortWords = 32;
inline constexpr std::size_t kMostWords = 64;
[[nodiscard]] constexpr bool is_word_count(std::size_t words) noexcept { return words >= kShortWords && words <= kMostWords; }
/// Bytes that an event of so many words takes in a journal.
[[nodiscard]] constexpr std::size_t class_bytes(std::size_t words) noexcept {
    return 8 * (words <= kShortWords ? kShortWords : kMostWords);
}

struct EventHeader {
    std::uint64_t seq;
    std::uint64_t checksum;
    std::int64_t time_ns;                 // wall clock, a label: goes back at clock_set only
    std::int64_t steady_ns;               // boot time: what windows and ages are measured by
    EventType type;
    std::uint8_t words;                   // of 8 bytes that are in use; what lies behind means nothing
    std::int8_t working_delta;            // of the six rows, on the order's side
    std::uint32_t session;                // slot, kNoSlot for operators
    std::uint32_t order_slot;             // head of the chain
    std::uint32_t alias_slot;             // slot taken by a new id of the chain
    std::uint32_t instrument;
    std::uint16_t account;
    std::uint16_t strategy;
    std::uint32_t execution_slot;         // slot taken by a new execution
    std::uint32_t execution_ref;          // existing execution that a bust or correction changes
    std::uint32_t generation;             // of the session
    Result result;                        // the answer that was given
    Side side;
    OrderFlags answer_flags;
    std::uint32_t flags;                  // EventFlag
    std::uint32_t reserved_word;
    std::uint64_t room[2];                // for later versions; zero
};
RISKREG_FIELDS(EventHeader, 96, 8, seq, checksum, time_ns, steady_ns, type, words, working_delta, session, order_slot,
               alias_slot, instrument, account, strategy, execution_slot, execution_ref, generation, result, side, answer_flags,
               flags, reserved_word, room);

/// What an event adds to each of the six rows of its order; open quantities on the order's side.
struct RowDelta {
    std::int64_t position;
    std::int64_t open_quantity;
    std::int64_t open_notional;
    std::int64_t traded_notional;         // of the day, on the order's side; negative for a bust
};
RISKREG_FIELDS(RowDelta, 32, 8, position, open_quantity, open_notional, traded_notional);

/// What an event adds to the values of the order's rows: firm and instrument take [0], account and account × instrument
/// [1], strategy and strategy × instrument [2]. Computed by decide, which alone may look at several rows.
struct ValueDelta {
    std::int64_t gross[3];
    std::int64_t net[3];
};
RISKREG_FIELDS(ValueDelta, 48, 8, gross, net);

/// Which of the six rows count this message, one bit each.
struct Metered {
    std::uint8_t messages;
    std::uint8_t all_messages;
};
RISKREG_FIELDS(Metered, 2, 1, messages, all_messages);

/// What it adds to its rows is what it reserves: delta_of.
struct RegisterEvent {
    EventHeader header;
    FixedId id;
    std::uint64_t hash;
    std::int64_t price;
    std::int64_t quantity;
    std::int64_t stop_price;
    std::int64_t reserved_notional;
    std::int64_t reserved_price;
    OrderType order_type;
    TimeInForce tif;
    Metered metered;
    std::uint32_t identity_flags;
    ValueDelta values;
    std::int64_t mark;                    // stands for the mark of the rows that have none, when `sets_mark`
    std::uint32_t content_previous;
    std::uint8_t sets_mark;
    std::uint8_t reserved_bytes[3];
};
RISKREG_FIELDS(RegisterEvent, 256, 8, header, id, hash, price, quantity, stop_price, reserved_notional, reserved_price,
               order_type, tif, metered, identity_flags, values, mark, content_previous, sets_mark, reserved_bytes);
RISKREG_WORDS(RegisterEvent);

[[nodiscard]] inline RowDelta delta_of(const RegisterEvent& e) noexcept { return {0, e.quantity, e.reserved_notional, 0}; }

/// What the three numbers of a LifeEvent are.
enum class LifeNumbers : std::uint8_t {
    none = 0,
    trade = 1,     // price, quantity of the execution that the report names, cash flow
    pending = 2,   // price, new total, reserve price that a replacement asks for
    live = 3,      // price, new total, reserve price that a confirmed replacement has; the version grows by one
    fill = 4,      // as trade, of a fill or correction that was booked: its price stands for a missing mark
};

enum class Breaker : std::uint8_t { none = 0, buys = 1, sells = 2, rejects = 3 };

/// After-values of the order fields that any event may change. What is pending ends when the flag is cleared.
struct OrderAfter {
    std::int64_t cum_quantity;
    std::int64_t reported_cum;
    std::uint32_t last_alias;
    std::uint32_t pending_alias;
    std::uint32_t last_execution;
    std::uint32_t execution_previous;     // execution that a new one follows
    OrderBase base;
    TradingState firm_previous;           // with kFirmReducing
    OrderFlags flags;
    LifeNumbers numbers;
    Breaker breaker;                      // what the breakers of strategy × instrument count
    Metered metered;
};
RISKREG_FIELDS(OrderAfter, 40, 8, cum_quantity, reported_cum, last_alias, pending_alias, last_execution, execution_previous,
               base, firm_previous, flags, numbers, breaker, metered);

/// Every event of an order after its registration. Reserved quantity and notional change by the row delta.
struct LifeEvent {
    EventHeader header;
    RowDelta delta;
    OrderAfter after;
    std::int64_t price;                   // see LifeNumbers
    std::int64_t quantity;
    std::int64_t third;
    FixedId id;                           // exec id, venue id, new order id or text, by type
    ValueDelta values;
    std::uint8_t reserved_tail[8];
};
RISKREG_FIELDS(LifeEvent, 288, 8, header, delta, after, price, quantity, third, id, values, reserved_tail);
RISKREG_WORDS(LifeEvent);

struct DeniedEvent {
    EventHeader header;
    FixedId id;
    std::int64_t observed;
    std::int64_t limit;
    std::int64_t price;
    std::int64_t quantity;
    DenyReason reason;
    Unit unit;
    ScopeKind scope;
    EventType request;                    // registered, replace_requested, cancel_requested or aborted
    OrderType order_type;
    TimeInForce tif;
    Metered metered;                      // a refusal by the checks 9 to 11 counts as a message
    std::uint8_t reserved_bytes[78];
};
RISKREG_FIELDS(DeniedEvent, 256, 8, header, id, observed, limit, price, quantity, reason, unit, scope, request, order_type, tif,
               metered, reserved_bytes);

struct QuarantineEvent {
    EventHeader header;
    RowDelta delta;
    FixedId order_id;
    FixedId exec_id;
    std::int64_t price;
    std::int64_t quantity;
    std::uint64_t count_after;            // quarantined events so far, this one included
    std::uint32_t slot;                   // kNoSlot: only counted
    EventType reported;
    std::uint8_t booked;
    TradingState firm_previous;           // with kFirmReducing
    ValueDelta values;
};
RISKREG_FIELDS(QuarantineEvent, 288, 8, header, delta, order_id, exec_id, price, quantity, count_after, slot, reported, booked,
               firm_previous, values);

/// A position of the start of the day, or an operator's correction of one.
struct PositionEvent {
    EventHeader header;
    RowDelta delta;
    ValueDelta values;
    std::int64_t price;
    std::int64_t start_value;             // added to the six rows
    std::uint32_t uid;
    std::uint8_t reserved_bytes[4];
    FixedId text;
    std::uint8_t reserved_tail[16];
};
RISKREG_FIELDS(PositionEvent, 256, 8, header, delta, values, price, start_value, uid, reserved_bytes, text, reserved_tail);

/// A row of one instrument takes a new mark; the row that sums it up follows.
struct MarkedEvent {
    EventHeader header;
    std::uint32_t row;
    std::uint32_t total_row;
    std::int64_t mark;
    std::int64_t gross;                   // change of both rows
    std::int64_t net;
    std::uint8_t reserved_tail[128];
};
RISKREG_FIELDS(MarkedEvent, 256, 8, header, row, total_row, mark, gross, net, reserved_tail);

struct StateEvent {
    EventHeader header;
    std::uint32_t row;
    std::uint32_t uid;
    TradingState state;
    TradingState previous;
    std::uint8_t set_flags;               // ControlFlag bits; firm row
    std::uint8_t clear_flags;
    std::uint8_t verified;                // 1: of an approval, that the kernel told the host who the second person is
    std::uint8_t reserved_bytes[3];
    Reason reason;
    std::uint32_t approves;               // slot + 1 of the approval that this settles; 0: none
    std::uint32_t asked_by;               // its first person
    std::uint8_t reserved_tail[40];
};
RISKREG_FIELDS(StateEvent, 256, 8, header, row, uid, state, previous, set_flags, clear_flags, verified, reserved_bytes, reason,
               approves, asked_by, reserved_tail);

struct LimitsEvent {
    EventHeader header;
    std::uint32_t row;
    std::uint32_t uid;
    RowControl after;                     // limits and `set`; state and flags are the record's own
    Reason reason;
    RowControl before;                    // the limits until then, for whoever asks what was changed
    std::uint8_t reserved_tail[24];
};
RISKREG_FIELDS(LimitsEvent, 352, 8, header, row, uid, after, reason, before, reserved_tail);

/// The limits beyond RowControl; follows a LimitsEvent of the same row in one commit, which says who and why.
struct RiskLimitsEvent {
    EventHeader header;
    std::uint32_t row;
    std::uint32_t uid;
    RowRiskLimits after;
    std::int64_t since_ns;                // of RowMeters; with `resets`
    std::uint32_t messages_ring;
    std::uint32_t all_ring;
    std::uint32_t messages_stride;
    std::uint32_t all_stride;
    std::uint64_t next_budget_ring;       // absolute
    std::uint16_t kinds;                  // of kRiskLimitKinds: RowControl::set
    std::uint8_t resets;                  // 1: the counts of messages begin anew, 2: those of all messages
    std::uint8_t reserved_tail[21];
    RowRiskLimits before;
};
RISKREG_FIELDS(RiskLimitsEvent, 416, 8, header, row, uid, after, since_ns, messages_ring, all_ring, messages_stride, all_stride,
               next_budget_ring, kinds, resets, reserved_tail, before);

/// One entry of the restricted list, in force or taken off.
struct RestrictionEvent {
    EventHeader header;
    std::uint32_t slot;
    std::uint32_t uid;
    RestrictionRecord after;
    std::uint8_t row_restricted;          // the row's kRestricted flag afterwards
    std::uint8_t reserved_tail[23];
};
RISKREG_FIELDS(RestrictionEvent, 256, 8, header, slot, uid, after, row_restricted, reserved_tail);

/// The first half of a four-eyes resume.
struct ApprovalEvent {
    EventHeader header;
    std::uint32_t slot;
    std::uint8_t reserved_bytes[4];
    ApprovalRecord after;
    std::uint8_t reserved_tail[24];
};
RISKREG_FIELDS(ApprovalEvent, 256, 8, header, slot, reserved_bytes, after, reserved_tail);

/// A limit's use passed a soft level, upwards (an alert) or, with hysteresis, downwards.
struct AlertEvent {
    EventHeader header;
    std::uint32_t row;
    std::uint8_t limit;                   // index among the members of Limits
    std::uint8_t level;                   // 0 none, 1 70 %, 2 80 %, 3 90 %
    std::uint8_t previous;
    Unit unit;
    std::int64_t observed;
    std::int64_t bound;
    std::uint64_t levels_after;           // of RowAlerts
    std::uint8_t reserved_tail[128];
};
RISKREG_FIELDS(AlertEvent, 256, 8, header, row, limit, level, previous, unit, observed, bound, levels_after, reserved_tail);

/// The last event of a trading day. Who applies it to private tables makes them those of the next day (core/roll.hpp).
struct RolledEvent {
    EventHeader header;
    std::uint64_t day;                    // number of the day that begins
    std::uint32_t uid;
    std::uint8_t reserved_bytes[4];
    Reason reason;
    std::uint64_t base_seq;               // what was touched behind it is numbered behind the others; 0: nothing was
    std::uint8_t reserved_tail[40];
};
RISKREG_FIELDS(RolledEvent, 256, 8, header, day, uid, reserved_bytes, reason, base_seq, reserved_tail);

/// An operator's word that the wall clock is right now, whatever the label before: windows and ages stay as they are.
struct ClockEvent {
    EventHeader header;
    std::int64_t before_ns;               // label of the event before
    std::uint32_t uid;
    std::uint8_t reserved_bytes[4];
    Reason reason;
    std::uint8_t reserved_tail[48];
};
RISKREG_FIELDS(ClockEvent, 256, 8, header, before_ns, uid, reserved_bytes, reason, reserved_tail);

/// Attach, detach, death and fencing of a session. A death may change the strategy's trading state.
struct SessionEvent {
    EventHeader header;
    std::uint64_t pid_start;
    std::uint32_t pid;
    std::uint32_t uid;
    std::uint32_t row;                    // row whose state changes, kNoSlot: none
    TradingState state;
    TradingState previous;
    std::uint8_t is_current;              // the strategy's record names this session
    std::uint8_t reserved_byte;
    Reason reason;
    std::uint8_t reserved_tail[40];
};
RISKREG_FIELDS(SessionEvent, 256, 8, header, pid_start, pid, uid, row, state, previous, is_current, reserved_byte, reason,
               reserved_tail);

/// A session becomes the writer of an instrument's reference price.
struct ReferenceOwnerEvent {
    EventHeader header;
    std::uint8_t reserved_tail[160];
};
RISKREG_FIELDS(ReferenceOwnerEvent, 256, 8, header, reserved_tail);

/// What there is to say of a type of event, once.
struct EventTraits {
    EventType type;
    std::string_view name;
    std::uint8_t words;         // of 8 bytes
    std::size_t row = 0;        // where it keeps the row that it is about; 0: its orders' six rows, or none
    bool is_control = false;    // always in the alarm log: what a person, a death or a roll has changed
};

namespace detail {
template <class T>
constexpr EventTraits traits(EventType type, std::string_view name, std::size_t row = 0, bool is_control = false) {
    return {type, name, sizeof(T) / 8, row, is_control};
}
inline constexpr bool kControl = true;
}  // namespace detail

/// Every type, in the order of the numbers.
inline constexpr auto kEventTraits = [] {
    using enum EventType;
    using namespace detail;
    return std::to_array<EventTraits>({
        traits<EventHeader>(none, "none"),
        traits<RegisterEvent>(registered, "registered"),
        traits<LifeEvent>(acked, "acked"),
        traits<LifeEvent>(filled, "filled"),
        traits<LifeEvent>(cancel_requested, "cancel_requested"),
        traits<LifeEvent>(canceled, "canceled"),
        traits<LifeEvent>(cancel_rejected, "cancel_rejected"),
        traits<LifeEvent>(replace_requested, "replace_requested"),
        traits<LifeEvent>(replaced, "replaced"),
        traits<LifeEvent>(replace_rejected, "replace_rejected"),
        traits<LifeEvent>(rejected, "rejected"),
        traits<LifeEvent>(expired, "expired"),
        traits<LifeEvent>(done_for_day, "done_for_day"),
        traits<LifeEvent>(aborted, "aborted"),
        traits<LifeEvent>(suspended, "suspended"),
        traits<LifeEvent>(resumed, "resumed"),
        traits<LifeEvent>(bust, "bust"),
        traits<LifeEvent>(correct, "correct"),
        traits<LifeEvent>(timed_out, "timed_out"),
        traits<DeniedEvent>(denied, "denied"),
        traits<QuarantineEvent>(quarantined, "quarantined"),
        traits<PositionEvent>(position_loaded, "position_loaded"),
        traits<StateEvent>(state_changed, "state_changed", offsetof(StateEvent, row), kControl),
        traits<LimitsEvent>(limits_changed, "limits_changed", offsetof(LimitsEvent, row), kControl),
        traits<StateEvent>(reconciled, "reconciled", offsetof(StateEvent, row), kControl),
        traits<StateEvent>(recovered, "recovered", offsetof(StateEvent, row), kControl),
        traits<MarkedEvent>(marked, "marked", offsetof(MarkedEvent, row)),
        traits<RestrictionEvent>(restricted_changed, "restricted_changed", offsetof(RestrictionEvent, after.row), kControl),
        traits<ApprovalEvent>(resume_requested, "resume_requested", offsetof(ApprovalEvent, after.row)),
        traits<RiskLimitsEvent>(risk_limits_changed, "risk_limits_changed", offsetof(RiskLimitsEvent, row), kControl),
        traits<AlertEvent>(alert, "alert", offsetof(AlertEvent, row)),
        traits<RolledEvent>(rolled, "rolled", 0, kControl),
        traits<SessionEvent>(session_attached, "session_attached", offsetof(SessionEvent, row)),
        traits<SessionEvent>(session_detached, "session_detached", offsetof(SessionEvent, row)),
        traits<SessionEvent>(session_dead, "session_dead", offsetof(SessionEvent, row), kControl),
        traits<SessionEvent>(session_fenced, "session_fenced", offsetof(SessionEvent, row), kControl),
        traits<ReferenceOwnerEvent>(reference_owner, "reference_owner"),
        traits<ClockEvent>(clock_set, "clock_set", 0, kControl),
        traits<EventHeader>(journal_gap, "journal_gap", 0, kControl),
    });
}();

namespace detail {
inline constexpr std::size_t kEventNumbers = 64;
inline constexpr std::array<EventTraits, kEventNumbers> kTraitsByNumber = [] {
    std::array<EventTraits, kEventNumbers> all{};
    for (EventTraits& unused : all) unused.words = kShortWords;
    for (const EventTraits& traits : kEventTraits) {
        EventTraits& own = all[static_cast<std::size_t>(traits.type)];
        own = traits;
        // The shorter ones are filled up.
        own.words = std::max<std::uint8_t>(traits.words, kShortWords);
    }
    return all;
}();
static_assert(static_cast<std::size_t>(kEventTraits.back().type) + 1 < kEventNumbers);
}  // namespace detail

/// Of any number, as it may stand in damaged memory: what is no type has no name and no row.
[[nodiscard]] constexpr const EventTraits& traits_of(EventType type) noexcept {
    const auto number = static_cast<std::size_t>(type);
    return detail::kTraitsByNumber[number < detail::kEventNumbers ? number : detail::kEventNumbers - 1];
}

/// How many words an event of this type uses.
[[nodiscard]] constexpr std::uint8_t words_in(EventType type) noexcept { return traits_of(type).words; }

/// Any event, as words. Every typed event begins with its header. Words behind those in use are zero, but for a ring's slot.
union alignas(64) Event {
    std::uint64_t words[kMostWords];
    EventHeader header;
    RegisterEvent registered;
    LifeEvent life;
    DeniedEvent denied;
    QuarantineEvent quarantine;
    StateEvent state;
    PositionEvent position;
    MarkedEvent marked;
    LimitsEvent limits;
    RiskLimitsEvent risk_limits;
    RestrictionEvent restriction;
    ApprovalEvent approval;
    AlertEvent alert;
    RolledEvent rolled;
    ClockEvent clock;
    SessionEvent session;
    ReferenceOwnerEvent reference_owner;

    Event() noexcept : words{} {}

    /// Becomes `typed`, word by word, and from registers where it has words: it is read again at once. What is nothing but a header
    /// is a short event, too.
    template <Record T>
    void become(const T& typed) noexcept {
        copy_words_in(reinterpret_cast<T&>(words), typed);
        for (std::size_t at = sizeof(T) / 8; at < kShortWords; ++at) store_relaxed(words[at], 0);
    }
};
RISKREG_UNION(Event, 512, 64, words, header, registered, life, denied, quarantine, state, position, marked, limits, risk_limits,
              restriction, approval, alert, rolled, clock, session, reference_owner);

/// As many words of an event say which row it is about.
inline constexpr std::size_t kRowWords = [] {
    std::size_t last = sizeof(EventHeader) / 8;
    for (const EventTraits& traits : kEventTraits) last = std::max(last, traits.row / 8 + 1);
    return last;
}();

/// The row that an event of a scope is about; kNoSlot for all others, and for those of sessions that change no state.
[[nodiscard]] inline std::uint32_t row_of(const Event& event) noexcept {
    const std::size_t at = traits_of(event.header.type).row;
    if (at == 0) return kNoSlot;
    return static_cast<std::uint32_t>(event.words[at / 8] >> 8 * (at % 8));
}

/// Words of an event in a slot that another process may be writing: within bounds, whatever stands there.
[[nodiscard]] inline std::size_t words_at(const Event& slot) noexcept {
    const std::size_t words = load_relaxed(slot.words[4]) >> 16 & 0xFFU;
    return words < kShortWords ? kShortWords : words > kMostWords ? kMostWords : words;
}
static_assert(offsetof(EventHeader, words) == 34);

/// From a ring's slot to private memory, which is zero behind what is in use.
inline void copy_event_out(Event& to, const Event& slot) noexcept {
    copy_out<kShortWords>(to.words, slot.words);
    const std::size_t words = words_at(to);
    std::size_t at = kShortWords;
    for (; at < words; ++at) to.words[at] = load_relaxed(slot.words[at]);
    for (; at < kMostWords; ++at) to.words[at] = 0;
}

/// From private memory to a ring's slot, but for the sequence.
inline void copy_event_in(Event& slot, const Event& from) noexcept {
    copy_in<kShortWords - 1>(slot.words + 1, from.words + 1);
    for (std::size_t at = kShortWords; at < from.header.words; ++at) store_relaxed(slot.words[at], from.words[at]);
}

namespace detail {
inline constexpr std::uint64_t kChecksumLanes[4] = {0x9FB21C651E98DF25ULL, 0xD6E8FEB86659FD93ULL, 0xA0761D6478BD642FULL,
                                                    0xE7037ED1A0B428DBULL};
}  // namespace detail

/// Checksum over the sequence and everything behind the checksum that is in use. Four lanes of multiplication, so that
/// damage in any one word shows (but for one bit in 2^63); it is there for damage, not against an adversary.
[[nodiscard]] inline std::uint64_t checksum_of(const Event& event, std::uint64_t seq) noexcept {
    std::uint64_t lane[4] = {seq, 0x9E3779B97F4A7C15ULL, 0xC2B2AE3D27D4EB4FULL, 0x165667B19E3779F9ULL};
    const auto* words = reinterpret_cast<const Word*>(&event);
    const auto take = [&](std::size_t i) { lane[i % 4] = (lane[i % 4] ^ words[i]) * detail::kChecksumLanes[i % 4]; };
    lane[0] = (lane[0] ^ words[2]) * detail::kChecksumLanes[0];
    lane[1] = (lane[1] ^ words[3]) * detail::kChecksumLanes[1];
    for (std::size_t i = 4; i < kShortWords; i += 4) take(i), take(i + 1), take(i + 2), take(i + 3);
    for (std::size_t i = kShortWords; i < words_at(event); ++i) take(i);
    return base::mix(lane[0] ^ (lane[1] << 17 | lane[1] >> 47) ^ (lane[2] << 31 | lane[2] >> 33) ^
                     (lane[3] << 47 | lane[3] >> 17)) |
           1U;
}

/// As many words as an event of its type has.
[[nodiscard]] inline bool is_sized(const EventHeader& header) noexcept { return header.words == words_in(header.type); }

}  // namespace riskreg::layout
