/// One order on its way through one event: the working copy that the decide functions change, and how it
/// becomes an event. Internal to core.
#pragma once

#include "core/decide_common.hpp"

namespace riskreg::core {

/// The order as the event will leave it.
struct OrderDraft {
    std::int64_t price = 0;
    std::int64_t quantity = 0;
    std::int64_t cum_quantity = 0;
    std::int64_t reserved_quantity = 0;
    std::int64_t reserved_notional = 0;
    std::int64_t reserved_price = 0;
    std::int64_t pending_price = 0;
    std::int64_t pending_quantity = 0;
    std::int64_t pending_reserved_price = 0;
    std::int64_t reported_cum = 0;
    std::uint32_t last_alias = kNoSlot;
    std::uint32_t pending_alias = kNoSlot;
    std::uint32_t last_execution = kNoSlot;
    std::uint32_t execution_previous = kNoSlot;
    OrderBase base = OrderBase::none;
    TradingState firm_previous = TradingState::active;
    OrderFlags flags = 0;
};

/// The trade that a report names.
struct Trade {
    std::int64_t price = 0;
    std::int64_t quantity = 0;
    std::int64_t cash_flow = 0;
};

struct Life {
    std::uint32_t slot = kNoSlot;
    const layout::OrderIdentity* identity = nullptr;
    const layout::OrderState* now = nullptr;
    OrderDraft after{};
    Trade trade{};
    layout::LifeNumbers numbers = layout::LifeNumbers::none;
    layout::Breaker breaker = layout::Breaker::none;
    layout::Metered metered{};
    std::int64_t position = 0;           // delta, signed
    std::int64_t traded_notional = 0;    // delta on the order's side
    OrderFlags remarks = 0;              // flags of this answer only
    Result result = Result::ok;
    bool changed = true;                 // false: audit only, no record is written

    [[nodiscard]] bool live() const noexcept { return is_live(after.base); }
    [[nodiscard]] bool has(OrderFlag flag) const noexcept { return (after.flags & flag) != 0; }
    void set(OrderFlag flag) noexcept { after.flags = static_cast<OrderFlags>(after.flags | flag); }
    void clear(OrderFlag flag) noexcept { after.flags = static_cast<OrderFlags>(after.flags & ~flag); }
    /// Booked, but someone should look; the flag says why.
    void anomaly(OrderFlag flag) noexcept {
        set(flag);
        result = Result::anomaly;
    }
    void ignore_late() noexcept {
        result = Result::ignored_late;
        changed = false;
    }
    /// The most that the order may still reach: a greater pending replace counts (semantics.md 12).
    [[nodiscard]] std::int64_t greatest_total() const noexcept {
        return has(kPendingReplace) ? std::max(after.quantity, after.pending_quantity) : after.quantity;
    }
    void drop_pending_replace() noexcept {
        clear(kPendingReplace);
        after.pending_price = after.pending_quantity = after.pending_reserved_price = 0;
        after.pending_alias = kNoSlot;
    }
    /// The end of an order clears what was pending; its outcome is known.
    void end(OrderBase base) noexcept {
        after.base = base;
        drop_pending_replace();
        clear(kPendingCancel);
        clear(kUnknown);
    }
    /// Base of a live order by what is filled; a suspension stays.
    [[nodiscard]] OrderBase live_base_by_cum() const noexcept {
        if (after.base == OrderBase::suspended) return OrderBase::suspended;
        return after.cum_quantity > 0 ? OrderBase::partially_filled : OrderBase::new_;
    }
};

/// Whether a life may begin at `slot`: a head of a chain, with what decide and apply rest on. Anything else was written over.
[[nodiscard]] bool is_sound_order(const State& state, std::uint32_t slot) noexcept;
[[nodiscard]] Life begin_life(const State& state, std::uint32_t slot) noexcept;

/// What the fields of `after` reserve: exactly what can still execute, at the higher of the prices that may be
/// live (semantics.md 12, 14). False when the notional overflows; it is then the largest value.
bool set_reservation(Life& life, const base::NotionalFactor& factor) noexcept;

/// How the life changes the values of its rows; zero where nothing of it does.
[[nodiscard]] layout::ValueDelta values_of(const State& state, const Life& life) noexcept;

/// The event of a life: after-values, row deltas, answer. `event.header` is the caller's, made by header_of; `id` is the new or the
/// execution's one, or none.
void write_life(const State& state, const Life& life, layout::EventHeader header, const base::FixedId& id,
                Decision& out) noexcept;

/// Status, quantities and flags of the order as it stands in `life`.
void report(const State& state, const Life& life, Verdict& verdict) noexcept;

}  // namespace riskreg::core
