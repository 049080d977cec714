/// decide: const state in, decision out. Every business rule of semantics.md is behind these functions;
/// none of them changes the state, waits, allocates or reads a clock. What they write is the decision's event.
///
/// decide_register.cpp   new orders: the list of checks, in the order of the reasons
/// decide_amend.cpp      requests about an order: replace, cancel, abort
/// decide_event.cpp      facts from the venue: the tables of semantics.md 13 and 14
/// decide_control.cpp    trading states, limits, sessions, reference owners
/// decide_consequences.cpp   what these bring about: breakers, loss limits, a mark that breaches a limit
#pragma once

#include <memory>

#include "base/wide.hpp"
#include "core/exclusive.hpp"
#include "core/index.hpp"
#include "core/limits.hpp"
#include "core/state.hpp"
#include "riskreg/config.hpp"
#include "riskreg/order.hpp"

namespace riskreg::core {

/// Who asks, and when. Both times were taken once, outside the lock, by one look at the clock.
struct Caller {
    std::int64_t now_ns = 0;     ///< wall clock: a label
    std::int64_t steady_ns = 0;  ///< boot time: what windows and ages are measured by
    std::uint32_t session = kNoSlot;
    std::uint32_t generation = 0;
    std::uint16_t strategy = 0xFFFF;
    std::uint32_t uid = 0;
    bool verified = false;   ///< `uid` is what the kernel told us of somebody else
};

/// What was decided. `commit`: `event` is to be appended and applied; its sequence and checksum are set then.
///
/// With the right to change the tables the event is built where it will be read, in the ring's next slot; without it in memory of
/// its own, which costs a copy more. It is written once nothing can refuse it any more: by then what stood in the slot is gone.
class Decision {
    union {
        layout::Event own_;
    };

public:
    Decision() noexcept : own_(), event(own_) {}
    explicit Decision(Exclusive tables) noexcept : event(tables.state().next_slot()) {}
    Decision(const Decision&) = delete;
    Decision& operator=(const Decision&) = delete;

    /// The event becomes `typed`. Whoever reads the slot's old event can tell: its sequence goes first.
    template <layout::Record T>
    void write(const T& typed) noexcept {
        layout::store_relaxed(event.header.seq, layout::kBeingWritten);
        layout::fence_release();
        event.become(typed);
    }

    layout::Event& event;
    Verdict verdict{};
    bool commit = false;
    layout::Metered metered{};  ///< of a refusal that counts as a message (checks 9 to 11)
    std::uint32_t instrument = kNoSlot;  ///< of the order that a refusal is about
};

/// Further events that belong to one decision and are committed with it by one store.
struct FollowUps {
    static constexpr std::size_t kMost = 8;
    std::size_t size = 0;
    /// Only the first `size` are made: most decisions have none, and zeroing all of them would cost more than the decision.
    union {
        std::array<layout::Event, kMost> events;
    };
    FollowUps() noexcept {}
    [[nodiscard]] layout::Event& add() noexcept { return *std::construct_at(&events[size++]); }
};

/// A new order with everything that can be computed before the lock.
struct NewOrder {
    base::FixedId id;
    std::uint64_t hash = 0;
    std::int64_t price = 0;
    std::int64_t quantity = 0;
    std::int64_t stop_price = 0;
    RowSet rows{};
    std::uint32_t instrument = kNoSlot;
    std::uint16_t account = 0xFFFF;
    Side side = Side::none;
    OrderType type = OrderType::none;
    TimeInForce tif = TimeInForce::none;
    bool id_valid = false;
    bool has_price = false;
    bool has_stop_price = false;
};
[[nodiscard]] NewOrder prepare(const State& state, const Caller& caller, const OrderRequest& request) noexcept;

/// Starts the loads that decide and apply will wait for. Exact lines only, and not while another has the lock: it writes some of
/// them (src/README.md "Cost of register").
void prefetch(const State& state, const NewOrder& order) noexcept;
/// The same for what the limits of its scopes ask for beyond that; looks at lines that `prefetch` has asked for, so some time
/// should lie between the two. Nothing where no scope has such limits.
void prefetch_controls(const State& state, const Caller& caller, const NewOrder& order) noexcept;

/// Uncommitted members of the same batch, as deltas on rows; decide adds them to what it reads.
class BatchOverlay;

/// `overlay` is null outside an all-or-none batch.
void decide_register(const State& state, const Caller& caller, const NewOrder& order, const BatchOverlay* overlay,
                     Decision& out) noexcept;

void decide_replace(const State& state, const Caller& caller, const ReplaceRequest& request, Decision& out) noexcept;
void decide_cancel(const State& state, const Caller& caller, std::uint32_t account, std::string_view id,
                   Decision& out) noexcept;
void decide_abort(const State& state, const Caller& caller, std::uint32_t account, std::string_view id, Decision& out) noexcept;

/// Never refuses what the venue says; what does not fit is booked as an anomaly or quarantined (INV-8).
void decide_fact(const State& state, const Caller& caller, const OrderEvent& fact, Decision& out) noexcept;

struct StateRequest {
    std::uint32_t row = kNoSlot;
    TradingState state = TradingState::active;
    bool resume = false;  ///< steps down; without it a state is never lowered
    bool unreconciled = false;  ///< releases `unreconciled` instead of changing a state
    std::string_view reason;
};
/// Under four eyes a resume becomes a request; `out.verdict.request` is then its number after the event is appended.
void decide_state(const State& state, const Caller& caller, const StateRequest& request, Decision& out) noexcept;

/// The first event after a rebuild from disk: the firm is `unreconciled` until somebody compared it with the venue.
void decide_recovered(const State& state, const Caller& caller, std::string_view reason, Decision& out) noexcept;

/// Marks in the log itself that events before it are in no journal.
void decide_journal_gap(const State& state, const Caller& caller, Decision& out) noexcept;

/// The label of events begins anew at the caller's wall clock, forwards or backwards. Windows, ages and references stay.
void decide_clock(const State& state, const Caller& caller, std::string_view reason, Decision& out) noexcept;

/// Only the members of `limits` that `fields` names change; merged here, so that two operators never undo each other.
struct LimitsRequest {
    std::uint32_t row = kNoSlot;
    Limits limits;
    LimitMask fields = kAllLimits;
    std::string_view reason;
};
/// `more` takes the second event when limits beyond RowControl change.
void decide_limits(const State& state, const Caller& caller, const LimitsRequest& request, Decision& out,
                   FollowUps& more) noexcept;

/// What an open request asks for would not be granted any more: its scope has changed since it was made, or it was never
/// open. Wait-free.
[[nodiscard]] bool is_obsolete(const State& state, const layout::ApprovalRecord& record) noexcept;

/// Approves request number `request`; denied when it is not open, or when the caller is who asked.
void decide_approve(const State& state, const Caller& caller, std::uint64_t request, Decision& out) noexcept;

struct RestrictionRequest {
    std::uint32_t row = kNoSlot;
    std::uint8_t sides = 0;  ///< layout::RestrictedSide; 0 takes the entry off
    std::int64_t from_ns = 0;
    std::int64_t to_ns = layout::kUnlimited;
    std::string_view reason;
};
/// One entry for each (row, from, to): the same again changes its sides and reason. Denied `capacity` when the list is full.
void decide_restriction(const State& state, const Caller& caller, const RestrictionRequest& request, Decision& out) noexcept;

/// A position of the start of the day, or a correction of one (account × instrument × strategy), at the price that it is valued at.
struct PositionRequest {
    std::uint16_t account = 0xFFFF;
    std::uint16_t strategy = 0xFFFF;  ///< `external` where nobody claims it
    std::uint32_t instrument = kNoSlot;
    std::int64_t quantity = 0;  ///< signed, added
    std::int64_t price = 0;
    std::string_view text;
};
void decide_position(const State& state, const Caller& caller, const PositionRequest& request, Decision& out) noexcept;

/// A live order of another day or of the venue: takes its slot and reserves, whatever the limits say. Refused only for what
/// cannot be stored: unknown entities, ids that are taken, shape, capacity.
void decide_load_order(const State& state, const Caller& caller, const NewOrder& order, Decision& out) noexcept;

/// Row `row` (of one instrument) takes the mark; denied `not_allowed` when it is the mark already.
void decide_mark(const State& state, const Caller& caller, std::uint32_t row, std::int64_t mark, Decision& out) noexcept;

struct AlertRequest {
    std::uint32_t row = kNoSlot;
    std::uint8_t limit = 0;  ///< index among the members of Limits
    std::uint8_t level = 0;  ///< 0 to 3
    Unit unit = Unit::none;
    std::int64_t observed = 0;
    std::int64_t bound = 0;
};
void decide_alert(const State& state, const Caller& caller, const AlertRequest& request, Decision& out) noexcept;

/// Whether the order may still be sent: accepted, or denied by the state of its scopes, its end, or its owner's.
/// Without the lock, wait-free.
[[nodiscard]] Verdict decide_begin_send(const State& state, const Caller& caller, std::uint32_t account,
                                        std::string_view id) noexcept;

struct SessionRequest {
    layout::EventType type = layout::EventType::none;
    std::uint32_t session = kNoSlot;
    std::uint16_t strategy = 0xFFFF;
    std::uint32_t generation = 0;
    std::uint32_t pid = 0;
    std::uint32_t uid = 0;
    std::uint64_t pid_start = 0;
    std::int64_t now_ns = 0;
    std::int64_t steady_ns = 0;
};
void decide_session(const State& state, const SessionRequest& request, Decision& out) noexcept;

/// Denies a reference price that its instrument forbids (`zero_prices: false`); leaves `out` alone otherwise.
void check_reference_price(const State& state, std::uint32_t instrument, Price price, Decision& out) noexcept;
void decide_reference_owner(const State& state, const Caller& caller, std::uint32_t instrument, Decision& out) noexcept;

/// Whether a refusal is written to the log (protocol.md 2): rows 1–4 of the checks and rate_limit only count.
[[nodiscard]] constexpr bool refusal_is_logged(DenyReason reason) noexcept {
    const auto number = static_cast<std::uint16_t>(reason);
    if (number < 400 || reason == DenyReason::rate_limit) return false;
    return reason != DenyReason::unknown_order && reason != DenyReason::batch_member_denied;
}

/// Whether `event` can bring about more; most cannot, and need no look at six rows for that.
[[nodiscard]] bool may_have_consequences(const layout::Event& event) noexcept;
/// The state changes that `event` brings about when it is committed: at most one for each row, the most severe.
void decide_consequences(const State& state, const layout::Event& event, FollowUps& more) noexcept;

/// The state change of a row that has reached a loss limit and whose state does not say so: the limit was lowered below the
/// present loss, or the scope was resumed in it. Denied `not_allowed` when there is none.
void decide_loss(const State& state, const Caller& caller, std::uint32_t row, Decision& out) noexcept;
/// The order that finds a loss first is refused, and sets the state: later ones meet that.
void decide_found_loss(const State& state, const Caller& caller, const Decision& refused, FollowUps& more) noexcept;

/// Fills the `denied` event of a refusal.
void write_denied(const State& state, const Caller& caller, layout::EventType request, const NewOrder& order,
                  Decision& out) noexcept;

}  // namespace riskreg::core
