/// The door: one registry of orders and pre-trade risk, shared by every process of this user on this host.
///
///     auto registry = riskreg::Registry::open("desk", {.strategy = "mm1"});
///     const auto account = registry.account("A1");
///     const auto es = registry.instrument("ESH4");
///     const auto verdict = registry.check_and_register(
///         {.id = "O-1", .account = account, .instrument = es, .side = Side::buy, .price = Price{4799'250000000}, .quantity = Quantity{2'00000000}});
///     if (verdict.accepted()) send(…);
///
/// Threads    every member may be called from any thread, at once. Not from a signal handler. A forked child
///            does not inherit the registration: its calls answer `not_attached`.
/// Errors     opening throws `Error`. What decides, reports or controls never throws (it is `noexcept`) and never blocks beyond
///            its deadline, but for `register_batch`, which needs memory for its answers: std::bad_alloc, and nothing has
///            happened then. Looking may throw: std::bad_alloc where text or a list is made, Error{foreign} in a process that was
///            forked after the registry was opened, Error{bad_input} for a scope that does not exist (`exposure`, `list_open`,
///            `uses`), Error{busy, damaged} where a whole copy is needed (`audit`, `digest`), and whatever `visit` throws.
/// Crash      a process may die inside any call: the call happened wholly or not at all, and the next caller
///            in any process finishes it. Who cannot know the outcome of its last call asks `find` by id.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "riskreg/config.hpp"
#include "riskreg/error.hpp"
#include "riskreg/order.hpp"

namespace riskreg::registry {
class Days;  // the trading days that a registration has been attached to
}

namespace riskreg {

/// One row: the exposure and the limits of one scope. Spanning scopes sum over instruments; quantity limits of a
/// spanning scope hold for each instrument separately.
struct ExposureView {
    Scope scope;
    Quantity position{};
    Quantity open_buy_quantity{};
    Quantity open_sell_quantity{};
    Money open_buy_notional{};
    Money open_sell_notional{};
    std::uint32_t working_buy = 0;
    std::uint32_t working_sell = 0;
    Quantity bought_today{};
    Quantity sold_today{};
    Money bought_notional_today{};
    Money sold_notional_today{};
    bool saturated = false;  ///< a counter met its end: the scope is treated as halted
    TradingState state = TradingState::active;
    bool unreconciled = false;  ///< firm only
    std::string state_reason;
    std::uint32_t state_uid = 0;
    std::int64_t state_changed_ns = 0;  ///< 0: never
    Limits limits;
    bool priced = false;  ///< rows of one instrument: `mark` holds a price
    Price mark{};
    Money gross_value{};  ///< of the positions at their marks (worst_case: of the greater worst position)
    Money net_value{};
    Money pnl{};  ///< of the day: cash flow + net value − value at the start of the day
    Money peak_pnl{};  ///< its best so far, at least 0
    Quantity start_position{};
    /// In the window that ends now, while the limit has a value: new orders and amends; all messages.
    std::optional<std::uint64_t> messages_in_window, all_messages_in_window;
    bool restricted = false;  ///< some entry of the restricted list names this scope, in force or not
    /// What an order of this scope meets: the most severe state of those that cover it (the firm's covers all, an account's its
    /// strategies when they have no other …), `unreconciled` and a saturated counter included; whose state that is, and why.
    std::string effective_state;  ///< active, warn, reducing_only, unreconciled, cancel_only, halted
    Scope effective_scope;
    std::string effective_reason;
};

/// How much of one limit is used now, in `unit`; below 0 only for quantities that are on the other side.
struct LimitUse {
    LimitValue Limits::*limit;
    std::string_view name;  ///< as in the configuration
    Unit unit{};
    std::int64_t used = 0;
};

/// What `set_limits` changed, and how much of the new limits is used: a use above its limit refuses what increases it.
struct LimitsChange {
    Limits before, after;
    std::vector<LimitUse> uses;  ///< of `fields` that have a value now, where there is a use to speak of
};

/// One execution of the day, as it was booked.
struct ExecutionView {
    AccountId account = AccountId::none;
    InstrumentId instrument = InstrumentId::none;
    std::string order_id;  ///< first id of the order's chain; of a quarantined one the id that was reported
    std::string exec_id;
    Side side = Side::none;
    Price price{};
    Quantity quantity{};
    std::int64_t time_ns = 0;
    bool busted = false;
    bool corrected = false;  ///< another execution stands in its place
    bool quarantined = false;  ///< of an order that nobody registered
};

/// One entry of the restricted list.
struct RestrictionView {
    Scope scope;
    bool buy = false, sell = false;
    std::int64_t from_ns = 0, to_ns = 0;
    std::string reason;
};

/// A resume that waits for, or had, a second person.
struct ApprovalView {
    std::uint64_t request = 0;
    Scope scope;
    TradingState state{};
    bool unreconciled = false;
    bool approved = false;
    bool lapsed = false;  ///< its scope has changed since: it cannot be approved any more
    std::uint32_t uid = 0;
    std::string reason;
    bool verified = false;  ///< of an approved one: the kernel told the host who approved (`riskctl approve --owner`)
};

/// Which events of the log are wanted. An event of an order is about the order's account, strategy and instrument, an event
/// of a scope (its state, limits, mark …) about those that the scope names.
struct EventFilter {
    std::vector<std::string> types;  ///< as in `event`: "filled", "denied" …; empty: all
    AccountId account = AccountId::none;  ///< none: any
    StrategyId strategy = StrategyId::none;
    InstrumentId instrument = InstrumentId::none;
};

enum class SessionStatus : std::uint8_t { attached = 1, detached = 2, dead = 3, fenced = 4 };

struct SessionView {
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;
    std::string strategy;
    SessionStatus status{};
    std::uint32_t pid = 0;
    std::uint32_t uid = 0;
    std::int64_t attached_ns = 0;
    std::int64_t ended_ns = 0;  ///< 0: not ended, or dead and not yet noticed by a writer
    std::uint64_t accepted = 0;
    std::uint64_t denied = 0;
    std::uint64_t denied_unlogged = 0;
    std::uint64_t facts = 0;
};

/// How a registration ended.
struct LeaveView {
    bool durable = true;  ///< what was committed when it left is on disk, as far as this process was to see to that
    std::uint64_t committed = 0, durable_upto = 0;
    std::string why;  ///< empty when durable
};

struct StatusView {
    std::string name;
    std::string segment;  ///< name under /dev/shm
    std::string state;  ///< active … halted of the firm, unreconciled, poisoned
    bool poisoned = false;
    bool unreconciled = false;
    std::uint64_t committed = 0, applied = 0, journaled = 0, durable = 0, checkpointed = 0;
    std::uint32_t sessions_live = 0, sessions_dead = 0, sessions_capacity = 0;
    std::uint64_t orders_live = 0, orders_total = 0, ids_used = 0, orders_capacity = 0;
    std::uint64_t executions_used = 0, executions_capacity = 0;
    std::uint64_t quarantined_records = 0, quarantined_events = 0, quarantine_capacity = 0;
    std::uint64_t repairs = 0, redone = 0, gaps = 0, backlog = 0, ring_capacity = 0;
    PersistenceMode persistence{};
    std::uint64_t size_bytes = 0;
    std::int64_t created_ns = 0;
    std::uint64_t day = 0;  ///< number of the trading day, from 1
    std::uint64_t rolled_seq = 0;  ///< the event that ended the day before; 0: this is the first
    std::int64_t day_begun_ns = 0;  ///< when: of that roll, or of the creation; 0: not known
    std::int64_t day_age_ns = 0;  ///< since then, by a clock that cannot be stepped where the boot is the same
    std::uint32_t rolled_uid = 0;  ///< who ended the day before
    std::uint32_t min_day_s = 0;  ///< of the configuration: a younger day is not ended
    bool draining = false;  ///< the day is about to end: what increases risk waits for the next one
    // The snapshotter. Lags count events; times are how long the oldest of them has waited.
    std::string host_state;  ///< none, starting, running, degraded, stopped, left
    std::uint64_t host_pid = 0, host_epoch = 0;
    std::int64_t host_silent_ns = 0;  ///< since its last sign of life
    std::string host_rank;  ///< library, exec, riskd; empty: nobody hosts
    std::uint64_t waiter_pid = 0;  ///< a living process of higher rank waits for the host's place; 0: none does
    std::string waiter_rank;
    std::string fault;  ///< empty: healthy
    std::string fault_error;
    std::int64_t fault_since_ns = 0;
    std::uint64_t fault_retries = 0;
    std::uint64_t journal_lag = 0, durable_lag = 0, checkpoint_lag = 0;
    std::int64_t journal_lag_ns = 0, durable_lag_ns = 0, checkpoint_lag_ns = 0;
    std::uint64_t gap_end = 0;  ///< not 0: a gap in the journal is open
    std::uint64_t checkpoints = 0;
    std::int64_t checkpoint_ns = 0;  ///< when the last one was written, 0: never
    std::string checkpoint_error;  ///< of the last attempt, empty: it was written
    std::uint64_t alarms = 0;
    std::uint64_t verified = 0, verifier_cycles = 0, differences = 0;
    std::uint64_t journal_bytes = 0;
    std::int64_t recovered_ns = 0;  ///< when it was rebuilt from disk, 0: never on this trading day
    std::int64_t last_time_ns = 0;  ///< of the newest event: since the Unix epoch, and since boot
    std::int64_t last_steady_ns = 0;
    std::uint64_t recovered_seq = 0;  ///< where a recovery from disk ended, 0: never
    std::uint32_t lock_holder_pid = 0;  ///< 0: free; otherwise the thread id that holds the lock now
};

/// How `recover` found the registry.
enum class RecoverOutcome : std::uint8_t {
    running,  ///< processes are attached: there was nothing to recover
    adopted,  ///< the segment had survived: memory is newer than the disk
    rebuilt,  ///< from checkpoint and journal; the firm is unreconciled
};

struct RecoverView {
    struct Ignored {
        std::string name, why;
    };
    struct Journal {
        std::string name;
        std::uint64_t first_seq = 0, last_seq = 0, applied = 0;
        std::string ending;
    };
    RecoverOutcome outcome{};
    std::uint64_t seq = 0;  ///< of the registry now
    std::string poisoned_segment;  ///< kept under this name in /dev/shm
    std::string checkpoint;  ///< used; empty: none
    std::uint64_t checkpoint_seq = 0;
    bool checkpoint_clean = false;
    std::vector<Ignored> ignored;  ///< files that were passed over
    std::vector<Journal> journals;
    std::uint64_t events = 0;  ///< applied from the journal
    std::uint64_t end_seq = 0;  ///< last one found on disk
    std::string torn;  ///< dropped as a torn tail
    std::string damage;  ///< of acknowledged data, when the loss was accepted
    std::uint64_t bytes = 0;  ///< read
};

/// Result of an audit (INV-3 … INV-8, INV-11).
struct AuditView {
    std::vector<std::string> violations;
    std::uint64_t orders = 0, live = 0, ids = 0, executions = 0, quarantined = 0, rows = 0;
    std::uint64_t seq = 0;
    std::uint64_t digest = 0;
    /// False: writers never paused long enough, or one died in the middle of an event; books, content index and times of
    /// messages were not looked at in full.
    bool complete = true;
};

/// Why a reader sees nothing new any more.
enum class ReaderEnd : std::uint8_t {
    none,  ///< it has not ended
    rolled,  ///< the trading day has ended; sequences go on in the next one
    poisoned,  ///< damaged: every call is refused, `recover` rebuilds it
    destroyed,  ///< removed for good
    replaced,  ///< its segment was set aside, removed or made anew: look through a new reader, if there is one
};
[[nodiscard]] std::string_view name_of(ReaderEnd end) noexcept;

/// Looking only: maps the segment read-only, takes no lock, never delays a writer or a recovery.
/// Cost: wait-free; a copy of one record each, except `audit`, `orders` and `status`, which are linear in the ids
/// of the day, and `exposures`, linear in the rows.
class Reader {
public:
    /// Throws Error: missing, foreign, permission, damaged.
    static Reader open(const std::string& name, const std::string& state_dir = {});
    Reader(Reader&&) noexcept;
    Reader& operator=(Reader&&) noexcept;
    ~Reader();

    [[nodiscard]] InstrumentId instrument(std::string_view id) const noexcept;
    [[nodiscard]] AccountId account(std::string_view id) const noexcept;
    [[nodiscard]] StrategyId strategy(std::string_view id) const noexcept;
    [[nodiscard]] std::string name(InstrumentId id) const;
    [[nodiscard]] std::string name(AccountId id) const;
    [[nodiscard]] std::string name(StrategyId id) const;
    [[nodiscard]] std::vector<std::string> instruments() const;
    [[nodiscard]] std::vector<std::string> accounts() const;
    [[nodiscard]] std::vector<std::string> strategies() const;
    /// Kind `none` when a part of the text does not exist.
    [[nodiscard]] Scope scope(std::string_view text) const noexcept;
    [[nodiscard]] std::string name(const Scope& scope) const;
    /// What its death does; `leave` for what is no configured strategy.
    [[nodiscard]] OnDeath on_death(StrategyId strategy) const noexcept;
    /// The strategy's only account; `none` when it has several.
    [[nodiscard]] AccountId only_account(StrategyId strategy) const noexcept;

    /// False when there is no such order; `out` is then as it was. Any id of the chain finds it. Wait-free. Takes over the memory
    /// that `out` holds: who asks again with the same view allocates nothing.
    [[nodiscard]] bool find(AccountId account, std::string_view id, OrderView& out) const;
    /// Every order, oldest first; stops when `visit` returns false. The view is the same one each time: copy what is to stay.
    void orders(const std::function<bool(const OrderView&)>& visit) const;
    /// Every fill of the day, those of orders that nobody registered last; stops when `visit` returns false.
    void executions(const std::function<bool(const ExecutionView&)>& visit) const;
    [[nodiscard]] ExposureView exposure(const Scope& scope) const;
    /// How much of each limit of a row is used, in the order of Limits; nothing for limits of single orders, and for what is
    /// counted for each content or each strategy × instrument. The formulas are those of the checks.
    [[nodiscard]] std::vector<LimitUse> uses(const ExposureView& row) const;
    /// The same with the limits of quantities held against `of_instrument`, a row of one instrument, as an order of that meets them.
    /// Constant time, where the other is linear in the instruments for scopes that span them.
    [[nodiscard]] std::vector<LimitUse> uses(const ExposureView& row, const ExposureView& of_instrument) const;
    /// Every row of the configured entities, in checking order of scopes.
    void exposures(const std::function<bool(const ExposureView&)>& visit) const;
    [[nodiscard]] StatusView status() const;
    /// Neither poisoned nor destroyed, and the trading day has not ended: after that, look through a new one. One load.
    [[nodiscard]] bool is_ready() const noexcept;
    /// Whether, and how, what it looks at has ended: for who follows the log, or looks again and again. A system call.
    [[nodiscard]] ReaderEnd ended() const noexcept;
    /// Differs between registries that were made anew under one name, and is the same on every day and after a recovery.
    [[nodiscard]] std::uint64_t epoch() const;
    [[nodiscard]] std::vector<SessionView> sessions() const;
    /// Digest of a consistent copy, as `audit` gives it, without the audit. Throws like `audit`.
    [[nodiscard]] std::uint64_t digest() const;
    /// Live orders of the other side that a new order at this price would trade against (semantics: self-match), as
    /// `advise_cancel` wants them; ids that are current at the venue. Linear in the ids of the day.
    [[nodiscard]] std::vector<std::string> crossing_orders(const OrderRequest& order) const;
    /// Live orders of a scope, oldest first: the list for a mass cancel. Linear in the ids of the day.
    [[nodiscard]] std::vector<OrderView> list_open(const Scope& scope) const;
    [[nodiscard]] std::vector<RestrictionView> restrictions() const;
    [[nodiscard]] std::vector<ApprovalView> approvals() const;
    /// Audits a consistent copy. Throws Error{busy} when writers outran every attempt to copy.
    [[nodiscard]] AuditView audit() const;
    /// The configuration as it was at creation, canonical JSON.
    [[nodiscard]] std::string config_json() const;

    /// The log, oldest first. `from` 0: the oldest that the ring still holds. Returns the sequence to go on from.
    /// `visit` gets one JSON object as text and its sequence. `lost`: events that were overwritten before they were read.
    std::uint64_t events(std::uint64_t from, const std::function<bool(std::uint64_t, const std::string&)>& visit,
                         std::uint64_t* lost = nullptr) const;
    /// Only those that `filter` wants; the others are skipped before they become text.
    std::uint64_t events(std::uint64_t from, const EventFilter& filter,
                         const std::function<bool(std::uint64_t, const std::string&)>& visit,
                         std::uint64_t* lost = nullptr) const;
    /// The same of events that are no longer in memory, from the journal's files: from `from` (0: the oldest that is left) to
    /// `upto`. Returns the first sequence that the files do not hold. Reads the disk; for auditors.
    std::uint64_t journaled_events(std::uint64_t from, std::uint64_t upto,
                                   const std::function<bool(std::uint64_t, const std::string&)>& visit) const;
    std::uint64_t journaled_events(std::uint64_t from, std::uint64_t upto, const EventFilter& filter,
                                   const std::function<bool(std::uint64_t, const std::string&)>& visit) const;
    /// The oldest event that `events` can give.
    [[nodiscard]] std::uint64_t oldest_event() const noexcept;

    struct Impl;

private:
    explicit Reader(std::unique_ptr<Impl> impl) noexcept;
    friend class Registry;
    friend class registry::Days;
    std::unique_ptr<Impl> impl_;
};

/// Follows the log, for gateways that cancel orphans and killed orders, for auditors and for displays.
///
/// Lossless while it is polled before the ring goes round; `lost()` counts what was overwritten unread. One thread each.
class EventReader {
public:
    /// `from` 0: the oldest event in memory. The reader must outlive this.
    explicit EventReader(const Reader& reader, std::uint64_t from = 0) : reader_(&reader), next_(from) {}
    EventReader(const Reader& reader, std::uint64_t from, EventFilter filter)
        : reader_(&reader), next_(from), filter_(std::move(filter)) {}

    /// Gives `visit` every event that has come since, as one JSON object and its sequence; stops when it returns false.
    void poll(const std::function<bool(std::uint64_t, const std::string&)>& visit) {
        std::uint64_t lost = 0;
        next_ = reader_->events(next_, filter_, visit, &lost);
        lost_ += lost;
    }
    /// Of what the reader looks at. Where this is not `none`, one more poll gives what is left, and then
    /// nothing more will come.
    [[nodiscard]] ReaderEnd ended() const noexcept { return reader_->ended(); }
    /// Sequence that the next poll begins with.
    [[nodiscard]] std::uint64_t next() const noexcept { return next_; }
    [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }

private:
    const Reader* reader_;
    std::uint64_t next_;
    EventFilter filter_;
    std::uint64_t lost_ = 0;
};

/// One attached process: a strategy session, or an operator when `ProcessConfig::strategy` is empty.
class Registry {
public:
    /// Makes the segment of a new registry and leaves it, live in shared memory. Throws Error.
    static void create(const std::string& name, const SharedConfig& config, const std::string& state_dir = {});
    /// On a network file system only with `network_fs`: there locks, renames and syncs may not hold what everything here rests on.
    static void create(const std::string& name, const SharedConfig& config, const std::string& state_dir, bool network_fs);

    /// Attaches. Adopts a segment that nobody is attached to: repairs, audits, notices the dead. Where there is no segment,
    /// or one that is damaged, it is rebuilt from checkpoint and journal, and the firm is then `unreconciled`. Throws Error;
    /// `damaged` when acknowledged data is.
    static Registry open(const std::string& name, const ProcessConfig& config);

    /// The same as an operator's deed, without staying attached: says what was used, what was passed over and why.
    static RecoverView recover(const std::string& name, const std::string& state_dir = {}, const RecoverOptions& options = {});

    /// Removes the segment, and the files unless they are kept. Throws Error{busy} while a process is attached,
    /// unless `force`: those processes are then refused every further call.
    static void destroy(const std::string& name, const std::string& state_dir, bool keep_files, bool force);

    Registry(Registry&&) noexcept;
    Registry& operator=(Registry&&) noexcept;
    /// A clean detach: no policy for dead strategies runs, no order is orphaned. With `host_snapshotter` it first waits until the
    /// journal is on disk. All of it within kLeaveTimeoutNs, whatever fails; what hangs beyond that is left behind in this process.
    ~Registry();
    /// The same, and says what was not brought to disk. Nothing may be called afterwards.
    LeaveView leave(std::int64_t timeout_ns = kLeaveTimeoutNs) noexcept;
    static constexpr std::int64_t kLeaveTimeoutNs = 5'000'000'000;
    /// With `host_snapshotter`: opens the alarm log anew before its next line.
    void reopen_log() noexcept;

    /// Waits until event `seq` is on disk. False when `timeout_ns` passed first; the event stands all the same.
    [[nodiscard]] bool wait_durable(std::uint64_t seq, std::int64_t timeout_ns) const noexcept;
    /// Asks the host of the snapshotter for a checkpoint of everything committed now. False: none hosts, it failed (`status`
    /// says why), or it took longer.
    [[nodiscard]] bool checkpoint(std::int64_t timeout_ns) noexcept;
    /// Answers of this registration wait for the disk: by its own configuration or by the registry's mode.
    [[nodiscard]] bool waits_for_disk() const noexcept;
    /// This process hosts the snapshotter now.
    [[nodiscard]] bool is_hosting() const noexcept;

    /// Reading, wait-free, through the same mapping, of the day that this registration is in: behind a roll the reference shows the
    /// next one. Each call sees one day. Who wants to go on seeing a day that ended opens a Reader of his own before.
    [[nodiscard]] const Reader& reader() const noexcept;
    [[nodiscard]] InstrumentId instrument(std::string_view id) const noexcept { return reader().instrument(id); }
    [[nodiscard]] AccountId account(std::string_view id) const noexcept { return reader().account(id); }
    [[nodiscard]] StrategyId strategy() const noexcept;
    [[nodiscard]] ExposureView exposure(const Scope& scope) const { return reader().exposure(scope); }
    [[nodiscard]] StatusView status() const { return reader().status(); }
    [[nodiscard]] bool find(AccountId account, std::string_view id, OrderView& out) const {
        return reader().find(account, id, out);
    }

    /// Decides one new order and, if every check passes, reserves its exposure for every process. Call before sending.
    ///
    /// Returns    accepted(): the order is in the log and counted by every process from now on.
    ///            denied: nothing was reserved; `reason` is the first broken check in DenyReason order.
    /// Errors     never throws. No lock within the deadline, a poisoned segment, a fenced session: denied.
    /// Crash      caller dies inside: the order is wholly registered or wholly absent. Registering it again
    ///            answers `already_registered` in the first case.
    /// Cost       no allocation, no system call when uncontended, O(1) in live orders. See bench/README.md.
    [[nodiscard]] Verdict check_and_register(const OrderRequest& request) noexcept;

    /// Up to 64 orders under one lock. all_or_none: all are accepted by one commit, or none; members of a refused
    /// batch that would have passed answer `batch_member_denied`. Otherwise each stands for itself.
    /// More than 64 orders: every answer is `denied`, `capacity`.
    [[nodiscard]] std::vector<Verdict> register_batch(std::span<const OrderRequest> requests, bool all_or_none);

    /// A request to amend. Denied leaves the order untouched.
    [[nodiscard]] Verdict replace_requested(const ReplaceRequest& request) noexcept;
    [[nodiscard]] Verdict cancel_requested(AccountId account, std::string_view id) noexcept;
    /// The send surely failed. Only before any answer of the venue, only by the owner.
    [[nodiscard]] Verdict aborted(AccountId account, std::string_view id) noexcept;

    /// A fact from the venue. Never refused by a rule; `not_booked` means that the lock was not to be had in time
    /// and nothing changed: send it again (it is recognised by its exec id). A fact that is no fact (illegal id,
    /// fill without price) is denied.
    [[nodiscard]] Verdict report(const VenueReport& fact) noexcept;
    /// Its name before.
    [[nodiscard]] Verdict event(const OrderEvent& fact) noexcept { return report(fact); }

    // One method for each fact: `report` of what VenueReport calls the same.
    [[nodiscard]] Verdict acked(AccountId account, std::string_view id, std::string_view venue_id = {}) noexcept {
        return report(VenueReport::acked(account, id, venue_id));
    }
    [[nodiscard]] Verdict filled(AccountId account, std::string_view id, std::string_view exec_id, Price price,
                                 Quantity quantity) noexcept {
        return report(VenueReport::filled(account, id, exec_id, price, quantity));
    }
    [[nodiscard]] Verdict canceled(AccountId account, std::string_view id) noexcept {
        return report(VenueReport::of(EventKind::canceled, account, id));
    }
    [[nodiscard]] Verdict cancel_rejected(AccountId account, std::string_view id,
                                          bool venue_knows_no_such_order = false) noexcept {
        return report(VenueReport::cancel_rejected(account, id, venue_knows_no_such_order));
    }
    /// Without values those of the pending request become live.
    [[nodiscard]] Verdict replaced(AccountId account, std::string_view id, std::optional<Price> price = {},
                                   std::optional<Quantity> quantity = {}) noexcept {
        return report(VenueReport::replaced(account, id, price, quantity));
    }
    [[nodiscard]] Verdict replace_rejected(AccountId account, std::string_view id) noexcept {
        return report(VenueReport::of(EventKind::replace_rejected, account, id));
    }
    [[nodiscard]] Verdict rejected(AccountId account, std::string_view id, std::string_view text = {}) noexcept {
        return report(VenueReport::rejected(account, id, text));
    }
    [[nodiscard]] Verdict expired(AccountId account, std::string_view id) noexcept {
        return report(VenueReport::of(EventKind::expired, account, id));
    }
    [[nodiscard]] Verdict done_for_day(AccountId account, std::string_view id) noexcept {
        return report(VenueReport::of(EventKind::done_for_day, account, id));
    }
    [[nodiscard]] Verdict suspended(AccountId account, std::string_view id) noexcept {
        return report(VenueReport::of(EventKind::suspended, account, id));
    }
    [[nodiscard]] Verdict resumed(AccountId account, std::string_view id) noexcept {
        return report(VenueReport::of(EventKind::resumed, account, id));
    }
    [[nodiscard]] Verdict timed_out(AccountId account, std::string_view id) noexcept {
        return report(VenueReport::of(EventKind::timed_out, account, id));
    }
    [[nodiscard]] Verdict bust(AccountId account, std::string_view id, std::string_view exec_id,
                               bool reopened = false) noexcept {
        return report(VenueReport::bust(account, id, exec_id, reopened));
    }
    [[nodiscard]] Verdict correct(AccountId account, std::string_view id, std::string_view exec_id,
                                  std::string_view new_exec_id, Price price, Quantity quantity,
                                  bool reopened = false) noexcept {
        return report(VenueReport::correct(account, id, exec_id, new_exec_id, price, quantity, reopened));
    }

    /// Just before the socket write: accepted while the order may still be sent. Denied with the state that came since
    /// (`halted` …), `terminal`, `pending_cancel`, `fenced` (also when the strategy is recorded as dead), `unknown_order`: then it
    /// must not be sent, and `aborted` gives its room back.
    /// Wait-free, no lock; one load when no state changed since the registration.
    [[nodiscard]] Verdict begin_send(AccountId account, std::string_view id) const noexcept;

    /// Shared reference price. The first writer of an instrument owns it until it detaches or dies; others are
    /// denied `not_owner`. Updates after the first write no event.
    [[nodiscard]] Verdict reference_price(InstrumentId instrument, Price price) noexcept;

    /// Kill switch: raises the state of a scope; latched. Denied `not_allowed` when it would lower it. To a scope that stands there
    /// already it is written to the log and answers `already`; who, why and when stay those of the first.
    [[nodiscard]] Verdict halt(const Scope& scope, TradingState state, std::string_view reason) noexcept;
    /// Steps a scope down to `state`. Denied `not_allowed` when that is not below the present state.
    [[nodiscard]] Verdict resume(const Scope& scope, TradingState state, std::string_view reason) noexcept;
    /// Releases `unreconciled` after a recovery, by an operator's word.
    [[nodiscard]] Verdict release_unreconciled(std::string_view reason) noexcept;
    /// Second person's word for a resume under four eyes. Denied `not_allowed` to who asked, `invalid_field` when `request`
    /// is not open.
    [[nodiscard]] Verdict approve(std::uint64_t request) noexcept;
    /// Puts an entry on the restricted list, or changes the one of the same scope and dates; neither side: takes it off.
    /// Denied `capacity` when the list is full.
    [[nodiscard]] Verdict restrict(const Scope& scope, const Restriction& entry) noexcept;
    /// A position of the start of the day, or a correction of one, added to what is there; not judged by limits, and without
    /// effect on the result of the day: its value at `price` is part of the value that the day began with. Strategy `none`:
    /// `external`. Denied `invalid_quantity` when it is 0.
    [[nodiscard]] Verdict load_position(AccountId account, StrategyId strategy, InstrumentId instrument, Quantity quantity,
                                        Price price, std::string_view text = {}) noexcept;
    /// An order that is live at the venue already: reserved whatever the limits say, then known as acknowledged.
    [[nodiscard]] Verdict load_order(StrategyId strategy, const OrderRequest& order) noexcept;
    /// An operator's word that the wall clock is right now: the times of events go on from it, forwards or backwards. Windows,
    /// ages and reference prices are measured by another clock and stay as they are.
    [[nodiscard]] Verdict set_clock(std::string_view reason) noexcept;

    /// Sets the limits of a scope that `fields` names (bit i = i-th member of Limits), the others stay. A limit below
    /// the present use refuses only what increases risk. Denied `invalid_field` when a value is negative.
    [[nodiscard]] Verdict set_limits(const Scope& scope, const Limits& limits, std::string_view reason,
                                     LimitMask fields = kAllLimits) noexcept;
    /// The same, and says what was there before and how much of the new limits is used. An empty `reason` is recorded as
    /// "no reason given by uid …", here and in `restrict`. May throw std::bad_alloc after the change was made.
    [[nodiscard]] Verdict set_limits(const Scope& scope, const Limits& limits, std::string_view reason, LimitMask fields,
                                     LimitsChange& change);
    /// Ends the trading day, for every process at once and while they trade; an operator's call. What is live goes on with its
    /// reservations, ids and executions, and so do positions, limits, latched states, the restricted list and sessions; day
    /// totals, budgets, other orders and their ids begin anew. Calls that meet the switch are repeated on the new day by the
    /// library, within their first deadline. What increases risk may have to wait for the next day, and answers `draining` when its
    /// own deadline comes first; facts, cancels, amends down and reducing orders never do. Orders with time in force `day` end only by the
    /// fact `expired`. One that ends while the next day is being made is known there for a day more.
    ///
    /// Denied `lock_timeout`, `journal_backlog`, `not_allowed` (somebody else has just done it). Throws Error{no_space}: the
    /// memory of both days is needed for a moment; Error{busy}. Nothing has happened then.
    [[nodiscard]] Verdict roll(std::string_view reason);
    /// The same for day `day` or nothing: where another one is open, denied `not_allowed`, with the open day as observed and the asked
    /// one as limit, in unit `none`. So of any number of operators exactly one ends it. Also denied `not_allowed` while the day is younger
    /// than the configuration's `min_day_s`: observed its age, limit that, in milliseconds.
    [[nodiscard]] Verdict roll(std::string_view reason, std::uint64_t day);

private:
    explicit Registry(std::unique_ptr<registry::Days> days) noexcept;
    std::unique_ptr<registry::Days> days_;
};

}  // namespace riskreg
