/// The reference model: semantics.md once more, with maps and big integers, and without a thought of speed.
///
/// Shares nothing with the core but the public value types. The property test drives both with the same
/// commands and demands equal answers and equal state; so whatever is written here is what the documents say,
/// in the plainest words, and never a copy of how the core does it.
#pragma once

#include <array>
#include <boost/multiprecision/cpp_int.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "riskreg/config.hpp"
#include "riskreg/order.hpp"

namespace riskreg::model {

using Big = boost::multiprecision::int512_t;

/// One limit scope's counters, limits and trading state.
struct Row {
    std::int64_t position = 0;
    std::int64_t open_buy_quantity = 0, open_sell_quantity = 0;
    std::int64_t open_buy_notional = 0, open_sell_notional = 0;
    std::int64_t working_buy = 0, working_sell = 0;
    std::int64_t bought_quantity = 0, sold_quantity = 0;
    std::int64_t bought_notional = 0, sold_notional = 0;
    std::int64_t start_position = 0;          ///< of what was loaded at the start of the day
    std::optional<std::int64_t> mark;         ///< rows of one instrument; before the first `marked` the last trade's price
    bool marked = false;                      ///< trades no longer move it
    std::int64_t gross_value = 0, net_value = 0;
    std::int64_t cash_flow = 0, start_value = 0, peak = 0;
    std::vector<std::int64_t> messages, all_messages;  ///< steady times of what was counted, oldest first
    std::vector<std::int64_t> buys, sells, rejects;    ///< strategy × instrument: executions and rejects of the venue
    std::array<std::uint8_t, 22> alert_levels{};       ///< for each member of Limits
    Limits limits;
    TradingState state = TradingState::active;
    bool unreconciled = false;      ///< firm only
    std::uint64_t halted_at = 0;    ///< number of the event that last halted this scope
    std::uint64_t changed_at = 0;   ///< number of the event that last changed its state, or released it
    std::uint64_t told_at = 0;      ///< number of the event whose who, why and when it shows: the first of one severity
    TradingState told_before = TradingState::active;
};

enum class ExecutionStatus : std::uint8_t { booked, busted, corrected };

struct Execution {
    std::string id;
    std::int64_t price = 0;
    std::int64_t quantity = 0;
    ExecutionStatus status = ExecutionStatus::booked;
    std::string successor{};        ///< corrected: id of the execution booked in its place
};

/// A replace that waits for the venue's answer.
struct PendingReplace {
    std::string new_id;             ///< empty: the same id stays
    std::int64_t price = 0;
    std::int64_t total = 0;
    std::int64_t reserve_price = 0;
};

struct Order {
    std::vector<std::string> chain; ///< ids the venue confirmed, oldest first
    std::string venue_id;
    AccountId account{};
    StrategyId strategy{};
    InstrumentId instrument{};
    Side side{};
    OrderType type{};
    TimeInForce tif{};
    std::optional<std::int64_t> registered_price, stop_price;
    std::int64_t registered_quantity = 0;
    std::int64_t price = 0;
    std::int64_t quantity = 0;
    std::int64_t cum = 0;
    std::int64_t reserve_price = 0;
    std::int64_t reserved_quantity = 0;
    std::int64_t reserved_notional = 0;
    std::int64_t reported_cum = 0;  ///< the venue's, while it is ahead of ours
    std::optional<PendingReplace> pending;
    std::vector<Execution> executions;
    OrderBase base = OrderBase::pending_new;
    OrderFlags flags = 0;           ///< stored ones; pending_replace and gap are derived
    std::uint32_t version = 1;
    std::int64_t created_ns = 0;
    std::uint64_t created_at = 0;   ///< number of the event
};

/// Both times of a call: the wall clock, which may say anything, and one that cannot step.
struct Moment {
    std::int64_t now_ns = 0;
    std::int64_t steady_ns = 0;
};

struct Caller {
    std::int64_t now_ns = 0;
    std::int64_t steady_ns = 0;
    StrategyId strategy = StrategyId::none;
    std::uint32_t uid = 0;
    [[nodiscard]] Moment at() const { return {now_ns, steady_ns}; }
};

/// The time that an event is shown with. `ahead`: the caller's clock had run away and was not believed.
struct Label {
    std::int64_t time_ns = 0;
    bool ahead = false;
};

/// The two times of one event.
struct Stamp {
    Label label;
    std::int64_t steady_ns = 0;
};

/// A resume that waits for a second person, or had one.
struct ResumeRequest {
    std::uint64_t number = 0;
    Scope scope;
    TradingState to{};
    bool unreconciled = false;
    std::uint32_t uid = 0;
    bool open = true;
    std::uint64_t changed = 0;   ///< its own number, or that of its approval
};

using RowKey = std::tuple<ScopeKind, AccountId, StrategyId, InstrumentId>;
[[nodiscard]] RowKey key_of(const Scope& scope);

/// The restricted list: the sides of each entry, by scope, first moment and the moment after its last.
struct RestrictedSides {
    bool buy = false, sell = false;
};
using RestrictedList = std::map<std::tuple<RowKey, std::int64_t, std::int64_t>, RestrictedSides>;

/// The members of Limits in their order.
[[nodiscard]] const std::vector<LimitValue Limits::*>& limit_members();

class Model {
public:
    explicit Model(const SharedConfig& config);

    Verdict register_order(const Caller& caller, const OrderRequest& request);
    /// Each member is decided as if those before it stood; all of them stand, or none.
    std::vector<Verdict> register_all_or_none(const Caller& caller, const std::vector<OrderRequest>& requests);
    Verdict replace(const Caller& caller, const ReplaceRequest& request);
    Verdict cancel(const Caller& caller, AccountId account, std::string_view id);
    Verdict abort(const Caller& caller, AccountId account, std::string_view id);
    Verdict fact(const Caller& caller, const OrderEvent& fact);
    /// Whether an order may still go out; changes nothing.
    [[nodiscard]] Verdict begin_send(const Caller& caller, AccountId account, std::string_view id) const;

    Verdict halt(const Caller& caller, const Scope& scope, TradingState to);
    Verdict resume(const Caller& caller, const Scope& scope, TradingState to);
    Verdict release_unreconciled(const Caller& caller);
    Verdict set_limits(const Caller& caller, const Scope& scope, const Limits& limits, LimitMask fields = kAllLimits);
    /// The second person's word for a resume.
    Verdict approve(const Caller& caller, std::uint64_t request);
    /// Neither side takes the entry off.
    Verdict restrict(const Caller& caller, const Scope& scope, const Restriction& entry);
    /// Strategy none: `external`. Not of the start of the day: a trade of today.
    Verdict load_position(const Caller& caller, AccountId account, StrategyId strategy, InstrumentId instrument,
                          std::int64_t quantity, std::int64_t price);
    Verdict load_order(const Caller& caller, StrategyId strategy, const OrderRequest& request);
    Verdict marked(const Caller& caller, const Scope& scope, std::int64_t price);
    Verdict alert(const Caller& caller, const Scope& scope, std::size_t limit, std::uint8_t level);
    /// Labels go on from the caller's wall clock, whatever they were. Nothing else changes.
    Verdict set_clock(const Caller& caller);

    /// What would be answered now, where that is a refusal; nothing happens.
    [[nodiscard]] std::optional<Verdict> refusal_of(const Caller& caller, const OrderRequest& request) const;
    [[nodiscard]] std::optional<Verdict> refusal_of(const Caller& caller, const ReplaceRequest& request) const;

    /// An event that changes nothing here: a clean detach, a refusal that was only noted.
    void passed(const Moment& at) { happened(at); }
    void attached(StrategyId strategy, const Moment& at);
    void died(StrategyId strategy, const Moment& at);
    /// Somebody writes this instrument's reference price from now on: the log knows that there was one, whatever memory forgets.
    void reference_owned(InstrumentId instrument, const Moment& at);
    Verdict set_reference(InstrumentId instrument, std::int64_t price, const Moment& written);
    void make_unreconciled();
    /// Rebuilt from disk, maybe after another boot: steady times of before compare with nothing.
    void recovered(const Moment& at);
    /// A new trading day. What is live, what limits, and the clock and the prices go on; what counts begins anew.
    void rolled(const Moment& at);

    // Reading, for the comparison and for the generator of commands.
    [[nodiscard]] const std::vector<Order>& orders() const { return orders_; }
    [[nodiscard]] const Order* find(AccountId account, std::string_view id) const;
    [[nodiscard]] const std::map<RowKey, Row>& rows() const { return rows_; }
    [[nodiscard]] const Row& row(const Scope& scope) const { return rows_.at(key_of(scope)); }
    [[nodiscard]] OrderFlags flags_of(const Order& order) const;
    [[nodiscard]] static OrderStatus status_of(const Order& order);
    [[nodiscard]] static std::int64_t leaves_of(const Order& order);
    [[nodiscard]] std::optional<std::int64_t> notional(InstrumentId instrument, std::int64_t price,
                                                       std::int64_t quantity) const;
    /// To a caller at this steady time.
    [[nodiscard]] std::optional<std::int64_t> fresh_reference(InstrumentId instrument, std::int64_t steady_ns) const;
    /// A reference price was ever given, however old it is; and which, if that is still known.
    [[nodiscard]] bool reference_known(InstrumentId instrument) const;
    [[nodiscard]] std::optional<std::int64_t> known_reference(InstrumentId instrument) const;
    /// What an event of this moment would get.
    [[nodiscard]] Label label_of(const Moment& at) const;
    [[nodiscard]] std::int64_t steady_of(const Moment& at) const;
    /// The greatest wall clock that would be taken over for a label; where there is no event yet, any.
    [[nodiscard]] std::int64_t believed_until(const Moment& at) const;
    [[nodiscard]] static Big pnl(const Row& row);
    [[nodiscard]] const RestrictedList& restricted() const { return restricted_; }
    [[nodiscard]] const std::vector<ResumeRequest>& requests() const { return requests_; }
    /// Events written so far.
    [[nodiscard]] std::uint64_t events() const { return stamps_.size(); }
    /// Their times, the first event's first.
    [[nodiscard]] const std::vector<Stamp>& stamps() const { return stamps_; }
    [[nodiscard]] std::int64_t last_time_ns() const { return last_time_ns_; }
    [[nodiscard]] std::int64_t last_steady_ns() const { return last_steady_ns_; }
    /// The last event carries the flag; events that do so far; how often that was worth an alarm.
    [[nodiscard]] bool last_was_ahead() const { return !stamps_.empty() && stamps_.back().label.ahead; }
    /// By how much a label was ahead of its steady time at most, so far as labels are held against it.
    [[nodiscard]] const std::optional<std::int64_t>& best() const { return best_; }
    [[nodiscard]] std::uint64_t ahead_events() const { return ahead_events_; }
    [[nodiscard]] std::uint64_t clock_alarms() const { return clock_alarms_; }
    [[nodiscard]] std::size_t ids_used() const { return ids_.size(); }
    [[nodiscard]] std::size_t executions_used() const { return executions_used_; }
    [[nodiscard]] std::size_t quarantine_used() const { return quarantined_.size(); }
    [[nodiscard]] std::uint64_t quarantined_events() const { return quarantined_events_; }
    /// A counter left 64 bits: what the documents say from here on is "treated as halted"; the test stops there.
    [[nodiscard]] bool overflowed() const { return overflowed_; }
    [[nodiscard]] StrategyId external() const;

private:
    [[nodiscard]] bool is_obsolete(const ResumeRequest& request) const;
    void write_down(ResumeRequest request);
    struct Reference {
        std::int64_t price = 0;
        Moment written;
    };
    struct Priced;
    struct Work;
    struct Draft;
    struct Amend;
    struct Growth;
    struct Incoming;
    struct Match;
    struct Worth;
    using Refusal = std::optional<Verdict>;
    using Scopes = std::array<Scope, 6>;

    [[nodiscard]] Scope scope_named(const std::string& text) const;
    [[nodiscard]] bool known(AccountId account) const;
    [[nodiscard]] bool known(InstrumentId instrument) const;
    [[nodiscard]] bool known_strategy(StrategyId strategy) const;
    [[nodiscard]] const InstrumentConfig& config_of(InstrumentId instrument) const;
    [[nodiscard]] Scopes scopes_of(AccountId account, StrategyId strategy, InstrumentId instrument) const;
    [[nodiscard]] const Row* find_row(const Scope& scope) const;
    [[nodiscard]] bool reducing(const Scope& scope, Side side, const Big& quantity) const;
    [[nodiscard]] bool reducing_for_state(const Scopes& scopes, std::size_t refusing, Side side, const Big& quantity) const;
    [[nodiscard]] bool reducing_for_limit(const Scopes& scopes, std::size_t limiting, Side side, const Big& quantity) const;

    [[nodiscard]] Refusal refuse_state(const Scopes& scopes, Side side, std::int64_t quantity, bool amend, bool down) const;
    [[nodiscard]] Refusal refuse_permission(const Caller& caller, const OrderRequest& request) const;
    [[nodiscard]] Refusal refuse_id(const Caller& caller, const OrderRequest& request) const;
    [[nodiscard]] Refusal refuse_quantity(const Priced& order) const;
    [[nodiscard]] Refusal refuse_price(const Priced& order, bool judges_sign) const;
    [[nodiscard]] std::optional<Big> reserve_of_limit(InstrumentId instrument, Side side, std::int64_t limit) const;
    [[nodiscard]] Refusal refuse_reference(const Priced& order, std::int64_t steady_ns, std::int64_t& reserve_price) const;
    [[nodiscard]] Refusal refuse_collar(const Priced& order, std::int64_t reference) const;
    [[nodiscard]] Refusal refuse_no_limit(const Scopes& scopes, Side side) const;
    [[nodiscard]] Refusal refuse_order_quantity(const Scopes& scopes, std::int64_t quantity) const;
    [[nodiscard]] Refusal refuse_order_notional(const Scopes& scopes, std::int64_t notional) const;
    [[nodiscard]] Refusal refuse_working(const Scopes& scopes, Side side) const;
    [[nodiscard]] Refusal refuse_position(const Scopes& scopes, Side side, std::int64_t quantity) const;
    [[nodiscard]] Refusal refuse_open_notional(const Scopes& scopes, Side side, std::int64_t quantity,
                                               std::int64_t notional) const;
    [[nodiscard]] Refusal refuse_row_overflow(const Scopes& scopes, Side side, std::int64_t quantity,
                                              std::int64_t notional) const;
    [[nodiscard]] Refusal refuse_orders(bool may_use_reserve) const;
    [[nodiscard]] Refusal refuse_room_for_facts() const;
    [[nodiscard]] Refusal refuse_request() const;
    [[nodiscard]] Refusal refuse_growth_limits(const Order& order, const Scopes& scopes, const PendingReplace& wanted) const;
    [[nodiscard]] Refusal refuse_exposure_growth(const Order& order, const Scopes& scopes, const Amend& amend,
                                                 std::int64_t steady_ns) const;
    [[nodiscard]] Refusal refuse_amend_request(const Caller& caller, const ReplaceRequest& request, const Order& order) const;
    [[nodiscard]] Refusal refuse_amend_terms(const Order& order, const PendingReplace& wanted, bool down, bool same_price,
                                             std::int64_t steady_ns, std::int64_t& reserve_price) const;
    [[nodiscard]] Refusal refuse_new_id(const Order& order, std::string_view new_id) const;
    [[nodiscard]] Refusal refuse_amend(const Caller& caller, const ReplaceRequest& request, const Order& order,
                                       Amend& amend) const;
    [[nodiscard]] Refusal refuse_replace(const Caller& caller, const ReplaceRequest& request, Amend& amend) const;

    // New orders: judged, then accepted or refused.
    [[nodiscard]] Draft draft_of(StrategyId strategy, const OrderRequest& request) const;
    [[nodiscard]] Refusal refuse_entities(AccountId account, bool strategy_known, InstrumentId instrument) const;
    [[nodiscard]] Refusal refuse_shape(const Draft& draft, bool judges_sign) const;
    [[nodiscard]] Refusal refuse_new(const Caller& caller, const OrderRequest& request, Draft& draft) const;
    [[nodiscard]] Amend amend_of(const Order& order, const ReplaceRequest& request) const;
    [[nodiscard]] Refusal refuse_amend_match(const Order& order, Amend& amend) const;
    [[nodiscard]] std::int64_t reserve_price_of_load(const Order& order) const;
    [[nodiscard]] Refusal refuse_load(const Caller& caller, const OrderRequest& request, Draft& draft) const;
    void take_in(const Caller& caller, Draft& draft);
    Verdict accept(const Caller& caller, Draft& draft);
    Verdict refused(const Caller& caller, const Scopes& scopes, Verdict verdict, bool up);

    // Restricted list, short sale, messages, content, own orders: checks 3 and 8 to 10.
    [[nodiscard]] Refusal refuse_restricted(const Scopes& scopes, Side side, std::int64_t label_ns) const;
    [[nodiscard]] Refusal refuse_short(const Scopes& scopes, Side side, InstrumentId instrument, const Big& quantity) const;
    [[nodiscard]] Refusal refuse_messages(const Scopes& scopes, std::int64_t steady_ns) const;
    [[nodiscard]] Refusal refuse_content(const Scopes& scopes, const Order& order, std::int64_t steady_ns) const;
    [[nodiscard]] Refusal refuse_self_match(const Incoming& incoming, bool& crosses) const;
    [[nodiscard]] Match own_match(const Incoming& incoming) const;
    [[nodiscard]] bool has_message_budget(const Scopes& scopes) const;
    void count_message(const Scopes& scopes, bool up);
    void count_content(const Scopes& scopes, const Order& order);

    // What positions are worth, and the checks 11 that look at it.
    [[nodiscard]] Big worth(InstrumentId instrument, std::int64_t price, const Big& quantity) const;
    [[nodiscard]] Big gross_of(InstrumentId instrument, const Row& row, std::int64_t mark, Side side, const Big& more) const;
    [[nodiscard]] std::optional<std::int64_t> stand_in_for_mark(InstrumentId instrument, std::int64_t steady_ns) const;
    [[nodiscard]] Refusal refuse_gross(const Scopes& scopes, const Growth& growth) const;
    [[nodiscard]] Refusal refuse_net(const Scopes& scopes, const Growth& growth) const;
    [[nodiscard]] Refusal refuse_cash(const Scopes& scopes, const Growth& growth) const;
    [[nodiscard]] Refusal refuse_traded(const Scopes& scopes, const Growth& growth) const;
    [[nodiscard]] Refusal refuse_loss(const Scopes& scopes, const Growth& growth) const;
    [[nodiscard]] Refusal refuse_exposure(const Scopes& scopes, const Growth& growth) const;
    [[nodiscard]] Refusal refuse_unmarked(const Scopes& scopes, const Growth& growth) const;
    [[nodiscard]] std::vector<Scope> parts_of(const Scope& scope) const;
    [[nodiscard]] bool wants_mark(const Scope& part, std::int64_t price) const;
    [[nodiscard]] std::optional<std::int64_t> wanted_mark(const Scope& part, std::int64_t steady_ns) const;
    [[nodiscard]] bool is_left_behind(const Scope& part, std::int64_t steady_ns) const;
    [[nodiscard]] Worth as_written(const Scope& scope) const;
    [[nodiscard]] Worth as_marked(const Scope& scope, std::int64_t steady_ns) const;
    [[nodiscard]] Big net_of(InstrumentId instrument, const Row& row, std::int64_t mark) const;
    [[nodiscard]] Refusal loses(const Scope& scope, const Worth& worth, bool from_the_peak) const;
    void value_positions(const Scope& scope);
    void sum_up(const Scope& scope);
    void revalue(const Scopes& scopes);
    void stand_for_mark(const Scopes& scopes, std::int64_t price, bool only_where_none);
    void store(std::int64_t& counter, const Big& value);

    // What an event brings about in the same commit.
    void set_by_loss(const Caller& caller, const Scope& scope);
    void judge_exposure(const Caller& caller, const Scope& scope);
    void judge_loss(const Caller& caller, const Scope& scope);
    void judge_losses(const Caller& caller, const Scopes& scopes);
    void judge_breaker(const Caller& caller, const Scopes& scopes, const std::vector<std::int64_t>& times,
                       LimitValue Limits::*limit);
    void follow_up(const Caller& caller, const Scopes& scopes, const Work& work);
    void add_restriction(const Scope& scope, const Restriction& entry);

    [[nodiscard]] Order* order_named(AccountId account, std::string_view id);
    [[nodiscard]] Verdict denied_with(const Order& order, Verdict verdict) const;
    void report(const Order& order, Verdict& verdict) const;
    void happened(const Moment& at);
    void labels_begin_with(std::int64_t label_ns);
    [[nodiscard]] bool used_up(const std::vector<std::int64_t>& times, std::int64_t most, std::int64_t steady_ns,
                               const LimitValue& window_ms) const;
    void begin_day(Row& row) const;
    void forget_ended_orders();

    void reserve(Order& order);
    void add(std::int64_t& counter, const Big& amount);
    void book(const Order& order, const Order& before, const Work& work);
    void book_trade(Row& row, Side side, std::int64_t position, const Big& traded_notional, const Big& cash_flow);
    [[nodiscard]] Big cash_flow_of(InstrumentId instrument, Side side, std::int64_t price, std::int64_t quantity) const;
    [[nodiscard]] Verdict finish(const Caller& caller, Work& work);

    [[nodiscard]] Refusal malformed(const OrderEvent& fact) const;
    [[nodiscard]] Verdict unknown_order(const Caller& caller, const OrderEvent& fact);
    [[nodiscard]] bool quarantine(const OrderEvent& fact);
    void book_external(const OrderEvent& fact);
    [[nodiscard]] bool dispatch(Work& work, const OrderEvent& fact);
    void acked(Work& work, const OrderEvent& fact);
    void take_venue_id(Work& work, const OrderEvent& fact);
    void rejected(Work& work);
    void ended(Work& work, OrderBase base);
    void cancel_rejected(Work& work, const OrderEvent& fact);
    void replaced(Work& work, const OrderEvent& fact);
    void replace_rejected(Work& work);
    void suspended(Work& work);
    void resumed(Work& work);
    void timed_out(Work& work);
    void filled(Work& work, const OrderEvent& fact);
    [[nodiscard]] bool busted(Work& work, const OrderEvent& fact);
    [[nodiscard]] bool corrected(Work& work, const OrderEvent& fact);
    void recompute_after_change(Work& work, bool reopened, bool raised);
    void trade(Work& work, std::int64_t price, std::int64_t signed_quantity);
    bool remember(Work& work, const Execution& execution);
    void compare_cum(Work& work, const OrderEvent& fact);
    void reduce_firm(std::uint64_t event);
    void change_state(const Scope& scope, TradingState to);
    void change_state_by(std::uint64_t event, const Scope& scope, TradingState to);
    static void release(Row& firm, std::uint64_t event);

    SharedConfig config_;
    std::vector<Order> orders_;
    std::map<std::pair<AccountId, std::string>, std::size_t, std::less<>> ids_;
    std::map<RowKey, Row> rows_;
    std::map<InstrumentId, Reference> references_;
    std::set<InstrumentId> ever_owned_;  ///< instruments of whose reference price the log knows
    std::set<StrategyId> dead_;
    std::set<std::tuple<AccountId, std::string, std::string, EventKind>> quarantined_;
    std::set<std::tuple<AccountId, std::string, std::string>>
        booked_outside_;  ///< (account, order id, exec id) of fills under `external`
    RestrictedList restricted_;
    std::vector<ResumeRequest> requests_;
    using Content = std::tuple<AccountId, StrategyId, InstrumentId, Side, OrderType, TimeInForce, std::optional<std::int64_t>,
                               std::optional<std::int64_t>, std::int64_t>;
    [[nodiscard]] Content content_of(const Order& order) const;
    std::map<Content, std::vector<std::int64_t>> contents_;  ///< steady times of counted registrations, oldest first
    std::uint64_t quarantined_events_ = 0;
    std::size_t executions_used_ = 0;
    std::int64_t last_time_ns_ = 0;  ///< the last event's label
    std::int64_t last_steady_ns_ = 0;
    std::optional<std::int64_t> best_;  ///< by how much a label was ahead of its steady time at most; none: there was no event
    std::optional<std::int64_t> recovered_steady_ns_, alarmed_steady_ns_;
    std::vector<Stamp> stamps_;
    std::uint64_t ahead_events_ = 0, clock_alarms_ = 0;
    bool overflowed_ = false;
};

}  // namespace riskreg::model
