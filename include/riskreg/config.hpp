/// The two configurations, split by who must agree.
///
/// `SharedConfig` is fixed at creation, stored in the segment, and the same for every process.
/// `ProcessConfig` is each process's own. JSON keys, defaults and units: tools/README.md.
#pragma once

#include <atomic>
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

/// Every limit of one scope, with the windows that some of them are counted in. Formulas: tools/README.md.
struct Limits {
    LimitValue max_order_quantity;   ///< Quantity, one order
    LimitValue max_order_notional;   ///< Money, one order
    LimitValue max_long;             ///< Quantity, worst case, per instrument
    LimitValue max_short;            ///< Quantity, worst case, per instrument
    LimitValue max_open_notional;    ///< Money, sum of both sides' working orders
    LimitValue max_working_orders;   ///< count
    LimitValue max_working_buy;      ///< count
    LimitValue max_working_sell;     ///< count
    LimitValue max_gross_notional;   ///< Money, |position| at the mark plus working orders, summed over instruments
    LimitValue max_net_notional;     ///< Money, the position at the mark if all working orders of one side fill
    LimitValue cash_limit;           ///< Money, working buys plus what was bought and not sold again today
    LimitValue max_traded_notional;  ///< Money, traded today plus working orders
    LimitValue daily_loss;           ///< Money, loss of the day at which the scope goes to `reducing_only`
    LimitValue drawdown;             ///< Money, fall from the day's best result at which it does
    LimitValue max_messages;         ///< count, new orders and amends in any `window_ms`
    LimitValue max_all_messages;     ///< count, cancels included, in any `window_ms`
    LimitValue max_same_content;     ///< count, accepted orders of the same content in any `content_window_ms`
    LimitValue max_same_direction;   ///< count, executions of one side in any `window_ms`, for each strategy × instrument
    LimitValue max_rejects;          ///< count, rejects by the venue in any `window_ms`, for each strategy × instrument
    LimitValue window_ms;            ///< milliseconds; unset: 1000
    LimitValue content_window_ms;    ///< milliseconds; unset: 1000
    LimitValue cancel_headroom_bps;  ///< of max_all_messages, kept for cancels; unset: 1500
    friend constexpr bool operator==(const Limits&, const Limits&) = default;
};

/// A set of the members of Limits: bit i is the i-th.
using LimitMask = std::uint32_t;
inline constexpr LimitMask kAllLimits = ~LimitMask{0} >> (32 - sizeof(Limits) / sizeof(LimitValue));
inline constexpr std::uint32_t kDefaultWindowMs = 1000;
inline constexpr std::uint32_t kDefaultCancelHeadroomBps = 1500;

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
    bool short_allowed = true;               ///< false: a sell that could leave the account short is refused
    bool zero_prices = true;  ///< false: an order or reference price of 0 or less is refused (`invalid_price`)
};

struct AccountConfig {
    std::string id;
    std::string currency;
};

struct StrategyConfig {
    std::string id;
    std::vector<std::string> accounts;  ///< at least one
    std::vector<std::string> instruments;  ///< empty: all
    OnDeath on_death = OnDeath::halt_strategy;
};

struct LimitConfig {
    std::string scope;  ///< "firm", "account:A", "strategy:S/instrument:I", …
    Limits limits;
};

enum class PersistenceMode : std::uint8_t { none = 0, async = 1, durable = 2 };
enum class ReservePrice : std::uint8_t { max_limit_reference = 0, limit = 1 };
/// What happens to an order that would trade against a live own one.
enum class SelfMatch : std::uint8_t { refuse_new = 0, advise_cancel = 1, allow = 2 };
enum class SelfMatchGroup : std::uint8_t { account = 0, firm = 1 };
/// standard: |position| at the mark + working orders. worst_case: the greater of both worst positions, at the mark.
enum class GrossMethod : std::uint8_t { standard = 0, worst_case = 1 };

/// One entry of the restricted list: no new order of these sides in this scope while it is in force.
struct Restriction {
    std::string scope;
    bool buy = true, sell = true;
    std::string reason;
    std::int64_t from_ns = 0;  ///< since the Unix epoch; 0: always
    std::int64_t to_ns = 0x7FFFFFFFFFFFFFFF;  ///< exclusive; the greatest value: for ever
};

struct Capacity {
    std::uint32_t orders = 65536;  ///< ids of one trading day, replacements included
    std::uint32_t instruments = 1024;  ///< most that the configuration may list
    std::uint32_t accounts = 64;  ///< most that the configuration may list
    std::uint32_t strategies = 256;  ///< most that the configuration may list
    std::uint32_t sessions = 256;  ///< processes attached with a strategy at once
    std::uint32_t ring_events = 65536;  ///< power of two, at least 256
    std::uint32_t executions = 131072;  ///< fills, corrections of one trading day
    std::uint32_t budgets = 64;  ///< message budgets that limits may use, beyond those configured
    std::uint32_t restrictions = 256;  ///< entries of the restricted list, beyond those configured
};

struct SharedConfig {
    Capacity capacity;
    PersistenceMode persistence_mode = PersistenceMode::async;
    std::uint32_t checkpoint_interval_s = 30;
    std::uint32_t keep_checkpoints = 3;
    bool keep_journal = false;  ///< true: journal files are kept for ever (an audit trail from the beginning)
    std::string key_file;  ///< absolute path; its bytes are the HMAC key of all files. Empty: no key
    bool require_limits = true;
    bool allow_limit_without_reference = false;  ///< limit orders pass without a fresh reference price; an old one still counts
    bool amend_before_ack = false;
    bool huge_pages = false;
    bool lock_memory = false;
    ReservePrice reserve_price = ReservePrice::max_limit_reference;  ///< limit: of purchases; a sale may come out higher
    SelfMatch self_match = SelfMatch::refuse_new;
    SelfMatchGroup self_match_group = SelfMatchGroup::account;
    GrossMethod gross_method = GrossMethod::standard;
    bool four_eyes = false;  ///< a resume needs the approval of a second person
    std::vector<std::uint32_t> approvers;  ///< users who may approve without access to the registry; empty: any
    bool content_by_strategy = false;  ///< orders of different strategies never count as the same content
    bool halt_on_loss = false;  ///< daily_loss and drawdown halt instead of `reducing_only`
    bool reduce_on_mark_breach = false;  ///< a mark that breaches gross or net: `reducing_only` instead of `warn`
    std::uint32_t mark_threshold_bps = 10;  ///< a reference price that moved this far from the mark becomes the mark
    std::uint32_t mark_interval_ms = 1000;  ///< and any other one after this time; 0: only by the threshold
    std::uint32_t min_day_s = 0;  ///< a trading day younger than this is not ended, by nobody
    std::vector<Restriction> restricted;
    std::vector<InstrumentConfig> instruments;
    std::vector<AccountConfig> accounts;
    std::vector<StrategyConfig> strategies;
    std::vector<LimitConfig> limits;
    std::vector<std::string> warnings;  ///< what the reader wants a person to know; not stored
};

/// Parses and validates a configuration. Throws `Error{bad_input}` naming the field by its path,
/// what was seen and what is allowed.
[[nodiscard]] SharedConfig parse_config(std::string_view json);

/// The same configuration as canonical JSON; `parse_config` of it gives an equal one.
[[nodiscard]] std::string config_to_json(const SharedConfig& config);

/// Who of those that stand by as host of the snapshotter is meant to have the place. While one of lower rank hosts, a process
/// asks for the place, and gets it within about a second on a healthy disk; while it hosts, it leaves the place to one of
/// strictly higher rank that waits, as at its end in order (the final checkpoint included), and stands by from then on. Equals
/// never ask each other. The library's own threads do it: no call fails by it, and what was answered as durable stays so. A
/// host that is stopped keeps the place; a waiter that is killed or stopped gets nothing.
enum class HostRank : std::uint8_t {
    library,  ///< a program of yours that has other things to do
    exec,  ///< `riskctl exec`
    riskd,  ///< the daemon: a program that does nothing else
};
[[nodiscard]] std::string_view name_of(HostRank value) noexcept;

struct ProcessConfig {
    std::string state_dir;  ///< empty: $RISKREG_STATE_DIR, $XDG_STATE_HOME/riskreg, ~/.local/state/riskreg
    std::string strategy;  ///< empty: an operator, who may not register orders
    bool takeover = false;  ///< fence a live session of the same strategy
    std::int64_t request_timeout_ns = 20'000'000;  ///< deadline of requests: lock, and the end of a day
    std::int64_t fact_timeout_ns = 1'000'000'000;  ///< the same of facts from the venue, and of cancels
    std::int64_t attach_timeout_ns = 5'000'000'000;  ///< waiting for a creator or for a recovery
    Durability durability = Durability::memory;  ///< `memory` or `durable`; a registry of mode durable always waits
    std::int64_t durable_timeout_ns = 5'000'000'000;  ///< then the answer says `pending`
    bool host_snapshotter = false;  ///< stand by as host of the snapshotter, in threads of this process
    bool final_checkpoint = false;  ///< as host: write a checkpoint, marked clean, when leaving
    bool log_to_stderr = false;  ///< as host: alarms also to stderr
    bool log_orders = false;  ///< as host: order ids, prices and quantities in clear in the alarm log
    HostRank host_rank = HostRank::library;  ///< with host_snapshotter: who leaves the place to whom
    const std::atomic<bool>* ending =
        nullptr;  ///< once true, waits for the disk end as at their deadline; outlives the registry
};

/// How a registry is rebuilt from its files.
struct RecoverOptions {
    std::string key_file;  ///< of all files; empty: $RISKREG_KEY_FILE, else what the configuration names
    bool accept_loss = false;  ///< take what is left up to the first damage of acknowledged data
    bool i_am_alone = false;  ///< the operator's word that memory or a machine that cannot be seen from here is gone
    bool from_disk = false;  ///< set the segment aside, whatever it holds, and rebuild from the files
    bool new_token = false;  ///< the directory is a copy: a registry of its own from now on
    bool restore_lock = false;  ///< LOCK was lost: give it the token of the segment that is there
};

}  // namespace riskreg
