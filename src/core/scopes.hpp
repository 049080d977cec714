/// Names of entities and scopes as text, against the tables of a registry. Both ways; linear in the number of entities, never in the
/// way of an order.
#pragma once

#include <string>
#include <string_view>

#include "core/state.hpp"
#include "riskreg/types.hpp"

namespace riskreg::core {

/// Scope by its text ("firm", "account:A/instrument:I", …); kind none when a part does not exist.
[[nodiscard]] Scope parse_scope(const State& state, std::string_view text) noexcept;
[[nodiscard]] std::string format_scope(const State& state, const Scope& scope);

[[nodiscard]] InstrumentId find_instrument(const State& state, std::string_view id) noexcept;
[[nodiscard]] AccountId find_account(const State& state, std::string_view id) noexcept;
[[nodiscard]] StrategyId find_strategy(const State& state, std::string_view id) noexcept;

/// The strategy that quarantined fills are booked under; no process can attach as it.
inline constexpr std::string_view kExternalStrategy = "external";

}  // namespace riskreg::core
