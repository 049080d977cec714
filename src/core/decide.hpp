/// decide: const state in, decision out. Every business rule of semantics.md is behind these functions;
/// none of them writes, waits, allocates or reads a clock.
///
/// decide_register.cpp   new orders: the list of checks, in the order of the reasons
/// decide_amend.cpp      requests about an order: replace, cancel, abort
/// decide_event.cpp      facts from the venue: the tables of semantics.md 13 and 14
/// decide_control.cpp    trading states, limits, sessions, reference owners
#pragma once

#include "base/wide.hpp"
#include "core/index.hpp"
#include "core/state.hpp"
#include "riskreg/config.hpp"
#include "riskreg/order.hpp"

namespace riskreg::core {

/// Who asks, and when. `now_ns` was taken once, outside the lock.
struct Caller {
    std::int64_t now_ns = 0;
    std::uint32_t session = kNoSlot;
    std::uint32_t generation = 0;
    std::uint16_t strategy = 0xFFFF;
    std::uint32_t uid = 0;
};

/// What was decided. `commit`: `event` is to be appended and applied; its sequence, checksum and time are set then.
struct Decision {
    layout::Event event{};
    Verdict verdict{};
    bool commit = false;
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

/// Starts the loads that decide and apply will wait for. Exact lines only (src/README.md "Cost of register").
void prefetch(const State& state, const NewOrder& order) noexcept;

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
    bool resume = false;          ///< steps down; without it a state is never lowered
    bool unreconciled = false;    ///< releases `unreconciled` instead of changing a state
    std::string_view reason;
};
void decide_state(const State& state, const Caller& caller, const StateRequest& request, Decision& out) noexcept;

/// The first event after a rebuild from disk: the firm is `unreconciled` until somebody compared it with the venue.
void decide_recovered(const State& state, std::int64_t now_ns, std::string_view reason, Decision& out) noexcept;

/// Marks in the log itself that events before it are in no journal.
void decide_journal_gap(const State& state, std::int64_t now_ns, Decision& out) noexcept;

/// Only the members of `limits` that `fields` names change; merged here, so that two operators never undo each other.
struct LimitsRequest {
    std::uint32_t row = kNoSlot;
    Limits limits;
    LimitMask fields = kAllLimits;
    std::string_view reason;
};
void decide_limits(const State& state, const Caller& caller, const LimitsRequest& request, Decision& out) noexcept;

struct SessionRequest {
    layout::EventType type = layout::EventType::none;
    std::uint32_t session = kNoSlot;
    std::uint16_t strategy = 0xFFFF;
    std::uint32_t generation = 0;
    std::uint32_t pid = 0;
    std::uint32_t uid = 0;
    std::uint64_t pid_start = 0;
};
void decide_session(const State& state, const SessionRequest& request, Decision& out) noexcept;

void decide_reference_owner(const State& state, const Caller& caller, std::uint32_t instrument, Decision& out) noexcept;

/// Whether a refusal is written to the log (protocol.md 2): rows 1–4 of the checks and rate_limit only count.
[[nodiscard]] constexpr bool refusal_is_logged(DenyReason reason) noexcept {
    const auto number = static_cast<std::uint16_t>(reason);
    if (number < 400 || reason == DenyReason::rate_limit) return false;
    return reason != DenyReason::unknown_order && reason != DenyReason::batch_member_denied;
}

/// Fills the `denied` event of a refusal.
void write_denied(const State& state, const Caller& caller, layout::EventType request, const NewOrder& order,
                  Decision& out) noexcept;

/// Limits of a row, as values.
[[nodiscard]] Limits limits_of(const layout::RowControl& control) noexcept;
/// The limit fields of a record; seq, state and flags stay zero.
[[nodiscard]] layout::RowControl control_of(const Limits& limits) noexcept;

}  // namespace riskreg::core
