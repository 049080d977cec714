/// The orders and the configuration that every benchmark here uses.
#pragma once

#include <string>

#include "riskreg/registry.hpp"

namespace riskreg::bench {

inline constexpr int kInstruments = 500;
inline constexpr int kAccounts = 8;
inline constexpr int kStrategies = 16;

/// Every limit set on firm, accounts, strategies and instruments, wide enough to pass. Persistence: none.
[[nodiscard]] SharedConfig bench_config(std::uint32_t orders);
[[nodiscard]] std::string order_id(std::size_t i);
[[nodiscard]] OrderRequest request_for(const std::string& id, std::size_t i);

}  // namespace riskreg::bench
