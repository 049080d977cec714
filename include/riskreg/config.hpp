/// The two configurations, split by who must agree.
///
/// `SharedConfig` is fixed at creation, stored in the segment, and the same for every process.
/// `ProcessConfig` is each process's own. JSON keys, defaults and units: tools/README.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "riskreg/types.hpp"

namespace riskreg {

/// A limit: unset (no opinion), unlimited (explicitly none) or an inclusive value.
struct LimitValue {
    enum class Kind : std::uint8_t { unset, unlimited, value } kind = Kind::unset;
    std::int64_t value = 0;  ///< in the units of the limit's field
    friend constexpr bool operator==(LimitValue, LimitValue) = default;
};

/// Every limit that the checks of this release enforce, for one scope.
struct Limits {
    LimitValue max_order_quantity;   ///< Quantity, one order
    LimitValue max_order_notional;   ///< Money, one order
    LimitValue max_long;             ///< Quantity, worst case, per instrument
    LimitValue max_short;            ///< Quantity, worst case, per instrument
    LimitValue max_open_notional;    ///< Money, sum of both sides' working orders
    LimitValue max_working_orders;   ///< count
    LimitValue max_working_buy;      ///< count
    LimitValue max_working_sell;     ///< count
    friend constexpr bool operator==(const Limits&, const Limits&) = default;
};

/// A set of the members of Limits: bit i is the i-th.
using LimitMask = std::uint16_t;
inline constexpr LimitMask kAllLimits = 0xFF;

struct InstrumentConfig {
    std::string id;
    Price tick{};                            ///< > 0
    Quantity lot{100000000};                 ///< > 0, default 1
    std::optional<Quantity> min_quantity;    ///< default: lot
    std::optional<Quantity> max_quantity;    ///< default: none
    std::int64_t multiplier_e9 = 1000000000; ///< units of 1e-9, > 0
    std::optional<std::int64_t> fx_rate_e9;  ///< units of 1e-9, > 0; required where currencies differ
    std::string currency;                    ///< empty: not stated
    std::uint32_t collar_bps = 0;
    std::uint32_t collar_ticks = 0;
    bool collar_two_sided = false;
    std::uint32_t reference_max_age_ms = 5000;
    std::uint32_t market_slippage_bps = 500;
};

struct AccountConfig {
    std::string id;
    std::string currency;
};

struct StrategyConfig {
    std::string id;
    std::vector<std::string> accounts;     ///< at least one
    std::vector<std::string> instruments;  ///< empty: all
    OnDeath on_death = OnDeath::halt_strategy;
};

struct LimitConfig {
    std::string scope;  ///< "firm", "account:A", "strategy:S/instrument:I", …
    Limits limits;
};

enum class PersistenceMode : std::uint8_t { none = 0, async = 1, durable = 2 };
enum class ReservePrice : std::uint8_t { max_limit_reference = 0, limit = 1 };

struct Capacity {
    std::uint32_t orders = 65536;        ///< ids of one trading day, replacements included
    std::uint32_t instruments = 1024;    ///< most that the configuration may list
    std::uint32_t accounts = 64;         ///< most that the configuration may list
    std::uint32_t strategies = 256;      ///< most that the configuration may list
    std::uint32_t sessions = 256;        ///< processes attached with a strategy at once
    std::uint32_t ring_events = 65536;   ///< power of two, at least 256
    std::uint32_t executions = 131072;   ///< fills, corrections of one trading day
};

struct SharedConfig {
    Capacity capacity;
    PersistenceMode persistence_mode = PersistenceMode::async;
    std::uint32_t checkpoint_interval_s = 30;
    std::uint32_t keep_checkpoints = 3;
    bool keep_journal = false;             ///< true: journal files are kept for ever (an audit trail from the beginning)
    std::string key_file;                  ///< absolute path; its bytes are the HMAC key of checkpoints. Empty: SHA-256
    bool require_limits = true;
    bool allow_limit_without_reference = false;
    bool amend_before_ack = false;
    bool huge_pages = false;
    bool lock_memory = false;
    ReservePrice reserve_price = ReservePrice::max_limit_reference;
    std::vector<InstrumentConfig> instruments;
    std::vector<AccountConfig> accounts;
    std::vector<StrategyConfig> strategies;
    std::vector<LimitConfig> limits;
    std::vector<std::string> warnings;  ///< what the reader wants a person to know; not stored
};

/// Parses and validates a configuration. Throws `Error{bad_input}` naming the field by its path,
/// what was seen and what is allowed; `Error{not_supported}` for a check that is not built yet.
[[nodiscard]] SharedConfig parse_config(std::string_view json);

/// The same configuration as canonical JSON; `parse_config` of it gives an equal one.
[[nodiscard]] std::string config_to_json(const SharedConfig& config);

struct ProcessConfig {
    std::string state_dir;      ///< empty: $RISKREG_STATE_DIR, $XDG_STATE_HOME/riskreg, ~/.local/state/riskreg
    std::string strategy;       ///< empty: an operator, who may not register orders
    bool takeover = false;      ///< fence a live session of the same strategy
    std::int64_t request_timeout_ns = 20'000'000;   ///< lock deadline of requests
    std::int64_t fact_timeout_ns = 1'000'000'000;   ///< lock deadline of facts from the venue
    std::int64_t attach_timeout_ns = 5'000'000'000; ///< waiting for a creator or for a recovery
    Durability durability = Durability::memory;      ///< `memory` or `durable`; a registry of mode durable always waits
    std::int64_t durable_timeout_ns = 5'000'000'000; ///< then the answer says `pending`
    bool host_snapshotter = false;   ///< stand by as host of the snapshotter, in threads of this process
    bool final_checkpoint = false;   ///< as host: write a checkpoint, marked clean, when leaving
    bool log_to_stderr = false;      ///< as host: alarms also to stderr
    bool log_orders = false;         ///< as host: order ids, prices and quantities in clear in the alarm log
};

/// How a registry is rebuilt from its files.
struct RecoverOptions {
    std::string key_file;       ///< of checkpoints; empty: $RISKREG_KEY_FILE, else what the configuration names
    bool accept_loss = false;   ///< take what is left up to the first damage of acknowledged data
};

}  // namespace riskreg
