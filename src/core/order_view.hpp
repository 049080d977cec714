/// What an order reports: status by FIX precedence, leaves, derived flags.
#pragma once

#include "core/state.hpp"
#include "riskreg/order.hpp"

namespace riskreg::core {

[[nodiscard]] inline OrderStatus status_of(OrderBase base, OrderFlags flags) noexcept {
    if (is_live(base) && (flags & kPendingCancel) != 0) return OrderStatus::pending_cancel;
    if (is_live(base) && (flags & kPendingReplace) != 0) return OrderStatus::pending_replace;
    return static_cast<OrderStatus>(base);
}

/// What can still execute of the version that is live at the venue.
[[nodiscard]] inline std::int64_t leaves_of(OrderBase base, std::int64_t quantity, std::int64_t cum) noexcept {
    return is_live(base) && quantity > cum ? quantity - cum : 0;
}

/// Stored flags plus what is derived: `orphaned` while the strategy's latest session is dead, `kill_cancel`
/// when a covering scope was halted after the registration and the order is still live. Lock-free.
[[nodiscard]] OrderFlags derived_flags(const State& state, const layout::OrderIdentity& identity,
                                       const layout::OrderState& order) noexcept;

/// One consistent version of the order at `slot` (the head of a chain). Lock-free. Takes over the memory of what `out` held
/// before, so that who asks again and again with one view allocates nothing.
void view_order(const State& state, std::uint32_t slot, OrderView& out);
[[nodiscard]] inline OrderView view_order(const State& state, std::uint32_t slot) {
    OrderView view;
    view_order(state, slot, view);
    return view;
}

/// The head slot behind any id of a chain; kNoSlot when there is none. Lock-free.
[[nodiscard]] std::uint32_t find_head(const State& state, std::uint32_t account, std::string_view id) noexcept;

}  // namespace riskreg::core
