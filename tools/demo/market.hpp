/// The default configuration of the demonstration, and the numbers of it that strategies and the venue need.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "demo/board.hpp"

namespace demo {

inline constexpr const char* kRegistryName = "demo";
inline constexpr const char* kAccount = "A1";
inline constexpr std::int64_t kLot = 1'00000000;             ///< one contract, as a Quantity
inline constexpr std::uint32_t kOrdersPerSecond = 1500;      ///< of one strategy

struct Market {
    const char* id;
    std::int64_t tick;          ///< as a Price
    std::int64_t start_price;   ///< as a Price
    std::uint32_t usual_lots;   ///< orders ask for 1 … this many
    std::uint32_t too_many_lots;
    std::int64_t max_long_lots;
    bool may_be_short;
};

inline constexpr std::array<Market, kInstruments> kMarkets = {{
    {"ESH4", 250'000'000, 4800'000000000, 6, 11, 100, true},
    {"NQH4", 250'000'000, 17000'000000000, 4, 6, 60, false},
}};

/// Room for what so many seconds of trading can use up, as nothing is ever evicted.
[[nodiscard]] std::string config_json(std::uint32_t seconds);

}  // namespace demo
