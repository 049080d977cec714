#include "demo/market.hpp"

namespace demo {

namespace {

// NQH4 may not be sold short (max_short 0), so every sell of it only reduces and passes; ESH4 may go both ways.
constexpr const char* kRest = R"(
  "persistence": {"mode": "async", "checkpoint_interval_s": 2},
  "require_limits": true,
  "self_match": "allow",
  "instruments": [
    {"id": "ESH4", "tick": "0.25", "multiplier": "50", "currency": "USD", "collar_bps": 100, "reference_max_age_ms": 2000},
    {"id": "NQH4", "tick": "0.25", "multiplier": "20", "currency": "USD", "collar_bps": 100, "reference_max_age_ms": 2000}
  ],
  "accounts": [{"id": "A1", "currency": "USD"}],
  "strategies": [
    {"id": "mm1", "account": "A1", "on_death": "halt_strategy"},
    {"id": "mm2", "account": "A1", "on_death": "halt_strategy"},
    {"id": "mm3", "account": "A1", "on_death": "halt_strategy"},
    {"id": "mm4", "account": "A1", "on_death": "halt_strategy"}
  ],
  "limits": [
    {"scope": "account:A1", "max_working_orders": 60},
    {"scope": "account:A1/instrument:ESH4", "max_order_quantity": "10", "max_long": "100", "max_short": "100"},
    {"scope": "account:A1/instrument:NQH4", "max_order_quantity": "5", "max_long": "60", "max_short": "0",
     "max_open_notional": "20000000"},
    {"scope": "strategy:mm1", "max_working_orders": 20},
    {"scope": "strategy:mm2", "max_working_orders": 20},
    {"scope": "strategy:mm3", "max_working_orders": 20},
    {"scope": "strategy:mm4", "max_working_orders": 20}
  ]
})";

}  // namespace

std::string config_json(std::uint32_t seconds) {
    // Two seconds more than asked for: starting, the hunt, a slow machine. Replacements use ids too.
    const std::uint32_t ids = (seconds + 2) * kOrdersPerSecond * static_cast<std::uint32_t>(kStrategies) * 5 / 4;
    return R"({"capacity": {"orders": )" + std::to_string(ids) +
           R"(, "instruments": 2, "accounts": 1, "strategies": 5, "sessions": 8, )" +
           R"("ring_events": 16384, "executions": )" + std::to_string(ids * 2) + "}," + kRest;
}

}  // namespace demo
