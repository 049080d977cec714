/// The orders and the configuration that every benchmark here uses.
#pragma once

#include <string>

#include "core/state.hpp"
#include "riskreg/registry.hpp"

namespace riskreg::bench {

inline constexpr int kInstruments = 500;
inline constexpr int kAccounts = 8;
inline constexpr int kStrategies = 16;
/// Instruments behind those, each with one limit that refuses every order of `refused_request`.
inline constexpr int kNarrow = 4;

/// Which checks a registry is asked for.
enum class Controls {
    first_set,   ///< single-order limits, positions, open notional, working orders: on every kind of scope
    all,  ///< everything that the semantics know: these, values, cash, turnover, loss, message budgets, repeated content,
    ///< self-match, breakers, restricted list, collars
};

/// As if a host had looked after marks just now: counts as long as `mark_interval_ms` of the configuration.
void marks_are_looked_after(core::State& state) noexcept;

/// Every limit set on firm, accounts, strategies and instruments, wide enough to pass. Persistence: none.
[[nodiscard]] SharedConfig bench_config(std::uint32_t orders, Controls controls = Controls::first_set);
[[nodiscard]] std::string order_id(std::size_t i);
/// Buys below 101, sells from 102 on: own orders never match.
[[nodiscard]] OrderRequest request_for(const std::string& id, std::size_t i);
/// The same on a narrow instrument: refused by size, notional, position or number of working orders, in turn.
[[nodiscard]] OrderRequest refused_request(const std::string& id, std::size_t i);

}  // namespace riskreg::bench
