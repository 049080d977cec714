/// No accepted order moves a row further outside one of its limits, and no trading state locks anybody in.
///
/// Random books of many accounts, strategies and instruments. Everything is computed here from the core's rows as they are
/// before and after each accepted order or amend; the reference model is not asked.
///
/// RISKREG_SEED   first seed (default 1); a failure names its seed, so this and RISKREG_STEPS=1 replay it
/// RISKREG_STEPS  commands in all, rounded up to whole seeds (default 30000; RISKREG_LONG=1: 3000000)
#include <algorithm>
#include <catch2/catch.hpp>

#include "base/wide.hpp"
#include "core/audit.hpp"
#include "core/order_view.hpp"
#include "model/drive.hpp"
#include "support/random.hpp"
#include "support/setting.hpp"

namespace riskreg::test {
namespace {

using Wide = base::Int128;

constexpr std::uint32_t kStepsPerSeed = 300;
constexpr std::int64_t kUnitOfPrice = 1'000'000'000, kLot = 100'000'000, kMoney = 1'000'000;

std::string text_of_wide(Wide value) {
    if (value < 0) return "-" + text_of_wide(-value);
    std::string digits;
    for (; value > 9; value /= 10) digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(value % 10)));
    digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(value)));
    return digits;
}

Wide size_of(Wide value) { return value < 0 ? -value : value; }

// ---- what the core's rows say --------------------------------------------------------------------------------

struct RowNow {
    Scope scope;
    layout::RowCounters counters{};
    layout::RowValue value{};
    layout::RowDay day{};
    Limits limits;
    TradingState state = TradingState::active;
    bool unreconciled = false;
};
using Book = std::vector<RowNow>;

Book read_book(const core::State& state) {
    Book book(state.geometry.rows());
    for (std::uint32_t i = 0; i < book.size(); ++i) {
        const layout::RowControl& control = state.rows[i].control.newest();
        book[i].scope = state.geometry.scope_of(i);
        book[i].counters = state.rows[i].counters.newest();
        book[i].value = state.rows_risk[i].value.newest();
        book[i].day = state.rows_cold[i].day.newest();
        book[i].limits = core::limits_of(control, state.rows_risk[i].limits.newest());
        book[i].state = control.state;
        book[i].unreconciled = (control.flags & layout::kUnreconciled) != 0;
    }
    return book;
}

/// What a quantity limit of this scope is held against, for this instrument.
Scope part_of(const Scope& scope, InstrumentId instrument) {
    switch (scope.kind) {
        case ScopeKind::firm: return {ScopeKind::instrument, AccountId::none, StrategyId::none, instrument};
        case ScopeKind::account: return {ScopeKind::account_instrument, scope.account, StrategyId::none, instrument};
        case ScopeKind::strategy: return {ScopeKind::strategy_instrument, AccountId::none, scope.strategy, instrument};
        default: return scope;
    }
}

/// One number of a row that a limit is held against.
struct Number {
    const char* limit;
    LimitValue bound;
    Wide now = 0;
    bool reducing_passes = true;
};

/// A random registry, its prices, and its orders.
class Desk {
public:
    explicit Desk(std::uint64_t seed);
    /// Empty, or what the next command broke.
    std::string step();
    [[nodiscard]] std::string audit() const;
    [[nodiscard]] bool hosted() const { return hosted_; }

private:
    struct Known {
        AccountId account;
        std::uint32_t session;
        std::string id;
    };

    [[nodiscard]] SharedConfig make_config();
    [[nodiscard]] const core::State& state() const { return registry_.state(); }
    [[nodiscard]] std::uint32_t index_of(const Scope& scope) const { return state().geometry.row_of(scope); }
    [[nodiscard]] Wide worth(InstrumentId i, std::int64_t price, Wide quantity) const;
    [[nodiscard]] Wide gross_at(const RowNow& part, std::int64_t price) const;
    [[nodiscard]] std::pair<Wide, Wide> value_now(const Book& book, const RowNow& row) const;
    [[nodiscard]] std::vector<Number> numbers(const Book& book, const RowNow& row) const;
    [[nodiscard]] Wide result_now(const Book& book, const RowNow& row) const;

    Verdict give(Command c);
    [[nodiscard]] Command draw();
    [[nodiscard]] Command order();
    Command about_known(Op op, OrderView& view);
    [[nodiscard]] Command amend();
    [[nodiscard]] Command fact();
    [[nodiscard]] Command limits();
    [[nodiscard]] Command move_price();
    [[nodiscard]] Command position();
    [[nodiscard]] Command change_state();
    [[nodiscard]] Scope any_scope();
    [[nodiscard]] LimitValue around(Wide in_use, Wide step);
    void mark_rows();

    [[nodiscard]] std::string outside(const Book& before, const Book& after, const Command& c, const OrderView& order) const;
    [[nodiscard]] std::string lost(const Book& before, const Book& after, const OrderView& order) const;
    [[nodiscard]] bool is_reducing(const Book& after, const Scope& scope, const OrderView& order) const;
    [[nodiscard]] std::string locked_in();
    [[nodiscard]] std::string closing(const Book& book, AccountId account, InstrumentId instrument, std::uint16_t strategy);

    InstrumentId any_instrument() { return InstrumentId(random_.between(0, std::int64_t(config_.instruments.size()) - 1)); }
    std::uint32_t any_session() {
        return static_cast<std::uint32_t>(random_.between(0, std::int64_t(config_.strategies.size()) - 1));
    }
    AccountId any_account() { return AccountId(random_.between(0, std::int64_t(config_.accounts.size()) - 1)); }

    Random random_;
    const SharedConfig config_;
    PlainRegistry registry_;
    const bool hosted_;      // somebody marks every row at once
    const bool limited_;
    std::vector<std::int64_t> prices_;    // references, whole
    std::vector<Known> known_;
    std::int64_t elapsed_ns_ = 0;
    std::uint64_t ids_ = 0;
};

SharedConfig Desk::make_config() {
    SharedConfig config;
    config.persistence_mode = PersistenceMode::none;
    config.require_limits = false;
    config.self_match = SelfMatch::allow;
    config.gross_method = random_.percent(40) ? GrossMethod::worst_case : GrossMethod::standard;
    config.reserve_price = random_.percent(50) ? ReservePrice::limit : ReservePrice::max_limit_reference;
    config.capacity = {.orders = 1024,
                       .instruments = 8,
                       .accounts = 8,
                       .strategies = 8,
                       .sessions = 8,
                       .ring_events = 256,
                       .executions = 2048};
    for (std::int64_t n = random_.between(2, 6); n > 0; --n)
        config.accounts.push_back({"A" + std::to_string(config.accounts.size() + 1), ""});
    for (std::int64_t n = random_.between(1, 4); n > 0; --n) {
        InstrumentConfig i;
        i.id = "I" + std::to_string(config.instruments.size() + 1);
        i.tick = Price{kUnitOfPrice};
        i.multiplier_e9 = kUnitOfPrice * random_.pick({1, 1, 10, 50});
        i.reference_max_age_ms = 1'000'000'000;
        config.instruments.push_back(i);
    }
    for (std::int64_t n = random_.between(2, 6); n > 0; --n) {
        StrategyConfig s{.id = "s" + std::to_string(config.strategies.size() + 1),
                         .accounts = {},
                         .instruments = {},
                         .on_death = OnDeath::leave};
        for (const AccountConfig& account : config.accounts)
            if (random_.percent(70)) s.accounts.push_back(account.id);
        if (s.accounts.empty()) s.accounts.push_back(config.accounts.front().id);
        config.strategies.push_back(s);
    }
    return config;
}

Desk::Desk(std::uint64_t seed)
    : random_(seed), config_(make_config()), registry_(config_), hosted_(random_.percent(60)), limited_(random_.percent(85)) {
    for (std::uint16_t s = 0; s < config_.strategies.size(); ++s) registry_.attach(s, StrategyId{s}, kStart, kSteadyStart);
    for (std::uint32_t i = 0; i < config_.instruments.size(); ++i) {
        prices_.push_back(random_.pick<std::int64_t>({100, 5000, 40}));
        registry_.set_reference(InstrumentId{i}, Price{prices_[i] * kUnitOfPrice}, kStart, kSteadyStart);
    }
    if (random_.percent(15)) registry_.make_unreconciled();
    for (std::int64_t n = random_.between(0, 12); n > 0; --n) give(position());
}

std::string Desk::audit() const {
    std::string text;
    for (const std::string& violation : core::audit(state()).violations) text += "  audit: " + violation + '\n';
    return text;
}

// ---- numbers --------------------------------------------------------------------------------------------------

/// Whole prices, lots and multipliers: nothing is rounded.
Wide Desk::worth(InstrumentId i, std::int64_t price, Wide quantity) const {
    const std::int64_t multiplier = config_.instruments[static_cast<std::size_t>(i)].multiplier_e9 / kUnitOfPrice;
    return Wide{price} * quantity / kLot * multiplier * kMoney / kUnitOfPrice;
}

Wide Desk::gross_at(const RowNow& part, std::int64_t price) const {
    const layout::RowCounters& c = part.counters;
    Wide quantity = size_of(c.position);
    if (config_.gross_method == GrossMethod::worst_case)
        quantity = std::max(size_of(Wide{c.position} + c.open_buy_quantity), size_of(Wide{c.position} - c.open_sell_quantity));
    return size_of(worth(part.scope.instrument, price, quantity));
}

/// Gross and net value of what the scope holds at the prices of now, which are all known.
std::pair<Wide, Wide> Desk::value_now(const Book& book, const RowNow& row) const {
    Wide gross = 0, net = 0;
    for (std::uint32_t i = 0; i < config_.instruments.size(); ++i) {
        if (row.scope.instrument != InstrumentId::none && row.scope.instrument != InstrumentId{i}) continue;
        const RowNow& part = book[index_of(part_of(row.scope, InstrumentId{i}))];
        const std::int64_t price = prices_[i] * kUnitOfPrice;
        gross += gross_at(part, price);
        net += worth(InstrumentId{i}, price, part.counters.position);
    }
    return {gross, net};
}

Wide Desk::result_now(const Book& book, const RowNow& row) const {
    return Wide{row.value.cash_flow} + value_now(book, row).second - row.value.start_value;
}

std::vector<Number> Desk::numbers(const Book& book, const RowNow& row) const {
    const layout::RowCounters& c = row.counters;
    const Wide buys = c.open_buy_notional, sells = c.open_sell_notional;
    const Wide bought = row.day.bought_notional, sold = row.day.sold_notional;
    const auto [gross, net] = value_now(book, row);
    const bool worst_case = config_.gross_method == GrossMethod::worst_case;
    const Limits& l = row.limits;
    std::vector<Number> all = {
        {"max_open_notional", l.max_open_notional, buys + sells},
        {"max_gross_notional", l.max_gross_notional, worst_case ? gross : gross + buys + sells},
        {"max_net_notional", l.max_net_notional, std::max(size_of(net + buys), size_of(net - sells)), false},
        {"cash_limit", l.cash_limit, buys + std::max<Wide>(bought - sold, 0)},
        {"max_traded_notional", l.max_traded_notional, bought + sold + buys + sells},
        {"max_working_orders", l.max_working_orders, Wide{c.working_buy} + c.working_sell, false},
        {"max_working_buy", l.max_working_buy, c.working_buy, false},
        {"max_working_sell", l.max_working_sell, c.working_sell, false},
    };
    for (std::uint32_t i = 0; i < config_.instruments.size(); ++i) {
        if (row.scope.instrument != InstrumentId::none && row.scope.instrument != InstrumentId{i}) continue;
        const layout::RowCounters& part = book[index_of(part_of(row.scope, InstrumentId{i}))].counters;
        all.push_back({"max_long", l.max_long, Wide{part.position} + part.open_buy_quantity, false});
        all.push_back({"max_short", l.max_short, Wide{part.open_sell_quantity} - part.position, false});
    }
    return all;
}

// ---- commands -------------------------------------------------------------------------------------------------

Verdict Desk::give(Command c) {
    c.now_ns = kStart + elapsed_ns_;
    c.steady_ns = kSteadyStart + elapsed_ns_;
    const Verdict verdict = run(registry_, c);
    if (hosted_ && c.op != Op::mark) mark_rows();
    return verdict;
}

/// As a host would that is never late.
void Desk::mark_rows() {
    for (const RowNow& row : read_book(state())) {
        const layout::RowCounters& c = row.counters;
        const bool works = config_.gross_method == GrossMethod::worst_case && (c.open_buy_quantity | c.open_sell_quantity) != 0;
        if (row.scope.instrument == InstrumentId::none || (c.position == 0 && !works)) continue;
        Command mark;
        mark.op = Op::mark;
        mark.scope = row.scope;
        mark.price = prices_[static_cast<std::size_t>(row.scope.instrument)] * kUnitOfPrice;
        if (row.value.mark != *mark.price) give(mark);
    }
}

Command Desk::draw() {
    const std::int64_t n = random_.between(1, 100);
    if (n <= 45) return order();
    if (n <= 57) return amend();
    if (n <= 77) return fact();
    if (n <= 84) return move_price();
    if (n <= 93) return limits();
    if (n <= 97) return position();
    return change_state();
}

Command Desk::order() {
    Command c;
    c.op = Op::register_order;
    c.session = any_session();
    const std::string account = random_.one_of(const_cast<std::vector<std::string>&>(config_.strategies[c.session].accounts));
    c.account = AccountId(std::stoi(account.substr(1)) - 1);
    c.instrument = any_instrument();
    c.id = "O" + std::to_string(++ids_);
    c.side = random_.percent(50) ? Side::buy : Side::sell;
    c.type = random_.percent(80) ? OrderType::limit : OrderType::market;
    c.tif = TimeInForce::day;
    const std::int64_t price = prices_[static_cast<std::size_t>(c.instrument)];
    if (c.type == OrderType::limit) c.price = kUnitOfPrice * (price + random_.between(-3, 3));
    c.quantity = kLot * random_.between(1, 30);
    const auto position = state()
                              .rows[index_of({ScopeKind::account_instrument, c.account, StrategyId::none, c.instrument})]
                              .counters.newest()
                              .position;
    if (position == 0 || !random_.percent(35)) return c;   // or just that
    c.side = position < 0 ? Side::buy : Side::sell;
    c.quantity = position < 0 ? -position : position;
    return c;
}

/// About an order that was sent, which stands as `view` says.
Command Desk::about_known(Op op, OrderView& view) {
    const Known& known = random_.one_of(known_);
    view = core::view_order(state(), core::find_head(state(), static_cast<std::uint32_t>(known.account), known.id));
    Command c;
    c.op = op;
    c.session = known.session;
    c.account = known.account;
    c.id = known.id;
    return c;
}

Command Desk::amend() {
    if (known_.empty()) return order();
    OrderView view;
    Command c = about_known(Op::replace, view);
    if (view.type == OrderType::limit && random_.percent(60))
        c.price = view.price.value + kUnitOfPrice * random_.between(-5, 5);
    if (random_.percent(70)) c.quantity = std::max(view.quantity.value + kLot * random_.between(-10, 10), kLot);
    return c;
}

/// Acknowledged, filled, canceled, or what was asked for is done.
Command Desk::fact() {
    if (known_.empty()) return order();
    OrderView view;
    Command c = about_known(Op::fact, view);
    c.kind = EventKind::canceled;
    if (view.status == OrderStatus::pending_new) c.kind = EventKind::acked;
    if (view.status == OrderStatus::pending_replace) c.kind = EventKind::replaced;
    if (view.leaves_quantity.value == 0 || random_.percent(15)) return c;
    if (c.kind != EventKind::canceled && random_.percent(60)) return c;
    c.kind = EventKind::filled;
    c.exec_id = "E" + std::to_string(++ids_);
    c.quantity = random_.percent(60) ? view.leaves_quantity.value : kLot;
    c.price = kUnitOfPrice * (prices_[static_cast<std::size_t>(view.instrument)] + random_.between(-3, 3));
    return c;
}

Command Desk::move_price() {
    Command c;
    c.op = Op::reference;
    c.instrument = any_instrument();
    std::int64_t& price = prices_[static_cast<std::size_t>(c.instrument)];
    const std::int64_t most = 8 + price / 20;
    price = std::max<std::int64_t>(price + random_.between(-most, most), 5);
    c.price = price * kUnitOfPrice;
    c.time_ns = kStart + elapsed_ns_;
    c.time_steady_ns = kSteadyStart + elapsed_ns_;
    return c;
}

/// Often against what another account holds.
Command Desk::position() {
    Command c;
    c.op = Op::load_position;
    c.account = any_account();
    c.strategy = StrategyId{static_cast<std::uint16_t>(any_session())};
    c.instrument = any_instrument();
    c.quantity = kLot * random_.between(1, 40) * (random_.percent(50) ? 1 : -1);
    const auto held = state()
                          .rows[index_of({ScopeKind::instrument, AccountId::none, StrategyId::none, c.instrument})]
                          .counters.newest()
                          .position;
    if (held != 0 && random_.percent(50)) c.quantity = -held;
    c.price = prices_[static_cast<std::size_t>(c.instrument)] * kUnitOfPrice;
    return c;
}

Scope Desk::any_scope() {
    const Scope all{ScopeKind(static_cast<std::uint8_t>(random_.between(0, 5))), any_account(),
                    StrategyId(static_cast<std::uint16_t>(any_session())), any_instrument()};
    switch (all.kind) {
        case ScopeKind::firm: return {ScopeKind::firm};
        case ScopeKind::account: return {all.kind, all.account};
        case ScopeKind::strategy: return {all.kind, AccountId::none, all.strategy};
        case ScopeKind::instrument: return {all.kind, AccountId::none, StrategyId::none, all.instrument};
        case ScopeKind::account_instrument: return {all.kind, all.account, StrategyId::none, all.instrument};
        default: return {all.kind, AccountId::none, all.strategy, all.instrument};
    }
}

/// A little more than is in use, or less than that.
LimitValue Desk::around(Wide in_use, Wide step) {
    const std::int64_t n = random_.between(1, 100);
    if (n <= 55) return {};
    const Wide value = n <= 85 ? in_use + step * random_.between(0, 10) : in_use / 2 + step * random_.between(0, 3);
    return {LimitValue::Kind::value, static_cast<std::int64_t>(std::max<Wide>(value, 0))};
}

Command Desk::limits() {
    if (!limited_) return order();
    Command c;
    c.op = Op::limits;
    c.scope = any_scope();
    const Book book = read_book(state());
    const RowNow& row = book[index_of(c.scope)];
    const InstrumentId i = c.scope.instrument == InstrumentId::none ? any_instrument() : c.scope.instrument;
    const Wide step = worth(i, prices_[static_cast<std::size_t>(i)] * kUnitOfPrice, 5 * kLot);
    constexpr std::array<LimitValue Limits::*, 8> members = {
        &Limits::max_open_notional,   &Limits::max_gross_notional, &Limits::max_net_notional, &Limits::cash_limit,
        &Limits::max_traded_notional, &Limits::max_working_orders, &Limits::max_working_buy,  &Limits::max_working_sell};
    const std::vector<Number> now = numbers(book, row);
    for (std::size_t k = 0; k < members.size(); ++k) {
        const bool counts = k >= 5;
        c.limits.*members[k] = counts && random_.percent(70) ? LimitValue{} : around(now[k].now, counts ? Wide{1} : step);
    }
    c.limits.max_long = around(now[8].now, 5 * kLot);
    c.limits.max_short = around(now[9].now, 5 * kLot);
    if (random_.percent(50)) c.limits.daily_loss = around(-result_now(book, row), step / 20);
    if (random_.percent(50)) c.limits.drawdown = around(row.value.peak - result_now(book, row), step / 20);
    if (random_.percent(30)) c.limits = {};
    return c;
}

Command Desk::change_state() {
    Command c;
    c.op = random_.percent(10) ? Op::release : Op::halt;
    if (c.op == Op::release) return c;
    c.scope = any_scope();
    c.to = random_.percent(15) ? TradingState::cancel_only : TradingState::reducing_only;
    for (const RowNow& row : read_book(state()))
        if (row.state > TradingState::warn && random_.percent(50))
            c.op = Op::resume, c.scope = row.scope, c.to = TradingState::active;
    return c;
}

// ---- the property ---------------------------------------------------------------------------------------------

/// Its whole side at worst does not pass zero, on the row that a quantity limit of this scope is held against.
bool Desk::is_reducing(const Book& after, const Scope& scope, const OrderView& order) const {
    const layout::RowCounters& c = after[index_of(part_of(scope, order.instrument))].counters;
    if (order.side == Side::buy) return Wide{c.position} + c.open_buy_quantity <= 0;
    return Wide{c.open_sell_quantity} - c.position <= 0;
}

std::string Desk::outside(const Book& before, const Book& after, const Command& c, const OrderView& order) const {
    std::string text;
    for (std::size_t i = 0; i < after.size(); ++i) {
        const std::vector<Number> was = numbers(before, before[i]), is = numbers(after, after[i]);
        for (std::size_t k = 0; k < is.size(); ++k) {
            if (is[k].bound.kind != LimitValue::Kind::value || is[k].now <= is[k].bound.value || is[k].now <= was[k].now)
                continue;
            if (is[k].reducing_passes && is_reducing(after, after[i].scope, order)) continue;
            text += "  " + text_of(after[i].scope) + ' ' + is[k].limit + ": " + text_of_wide(was[k].now) + " before, " +
                    text_of_wide(is[k].now) + " after, limit " + std::to_string(is[k].bound.value) + '\n';
        }
    }
    return text.empty() ? text : "  accepted: " + text_of(c) + '\n' + text;
}

/// Who has lost as much as he may takes no more risk.
std::string Desk::lost(const Book& before, const Book& after, const OrderView& order) const {
    std::string text;
    for (std::size_t i = 0; i < before.size(); ++i) {
        const RowNow& row = before[i];
        const layout::RowCounters &was = row.counters, &is = after[i].counters;
        const bool more = is.open_buy_quantity > was.open_buy_quantity || is.open_sell_quantity > was.open_sell_quantity ||
                          is.open_buy_notional > was.open_buy_notional || is.open_sell_notional > was.open_sell_notional;
        if (!more || is_reducing(after, row.scope, order)) continue;
        const Wide result = result_now(before, row);
        const Wide fall = std::max<Wide>(row.value.peak, result) - result;
        const auto reached = [](const LimitValue& limit, Wide loss) {
            return limit.kind == LimitValue::Kind::value && loss > 0 && loss >= limit.value;
        };
        if (reached(row.limits.daily_loss, -result))
            text += "  " + text_of(row.scope) + " daily_loss: has lost " + text_of_wide(-result) + ", limit " +
                    std::to_string(row.limits.daily_loss.value) + '\n';
        if (reached(row.limits.drawdown, fall))
            text += "  " + text_of(row.scope) + " drawdown: has fallen by " + text_of_wide(fall) + ", limit " +
                    std::to_string(row.limits.drawdown.value) + '\n';
    }
    return text;
}

/// One account's position in one instrument, closed by one strategy: judged, not registered.
std::string Desk::closing(const Book& book, AccountId account, InstrumentId instrument, std::uint16_t strategy) {
    const auto row = [&](const Scope& scope) -> const RowNow& { return book[index_of(scope)]; };
    const StrategyId s{strategy};
    const RowNow& held = row({ScopeKind::account_instrument, account, StrategyId::none, instrument});
    const RowNow& by_strategy = row({ScopeKind::strategy_instrument, AccountId::none, s, instrument});
    const RowNow& whole_strategy = row({ScopeKind::strategy, AccountId::none, s});
    const std::array<const RowNow*, 6> covering = {&row({ScopeKind::firm}),
                                                   &row({ScopeKind::account, account}),
                                                   &whole_strategy,
                                                   &row(part_of({ScopeKind::firm}, instrument)),
                                                   &held,
                                                   &by_strategy};
    for (const RowNow* covers : covering)
        if (covers->state >= TradingState::cancel_only) return {};
    const bool is_long = held.counters.position > 0;
    const auto room = [&](const layout::RowCounters& c) {
        return is_long ? c.position - c.open_sell_quantity : -c.position - c.open_buy_quantity;
    };
    std::int64_t quantity = room(held.counters);
    // Where the state is the strategy's, what the strategy holds decides as well.
    if (std::max(by_strategy.state, whole_strategy.state) == TradingState::reducing_only)
        quantity = std::min(quantity, room(by_strategy.counters));
    if (quantity <= 0) return {};

    Command c;
    c.op = Op::register_order;
    c.session = strategy;
    c.account = account;
    c.instrument = instrument;
    c.id = "closing";
    c.side = is_long ? Side::sell : Side::buy;
    c.type = OrderType::limit;
    c.tif = TimeInForce::day;
    c.price = prices_[static_cast<std::size_t>(instrument)] * kUnitOfPrice;
    c.quantity = quantity;
    c.now_ns = kStart + elapsed_ns_;
    c.steady_ns = kSteadyStart + elapsed_ns_;
    const core::Caller caller = core_caller(registry_, c);
    core::Decision decision;
    core::decide_register(state(), caller, core::prepare(state(), caller, order_request(c)), nullptr, decision);
    const DenyReason reason = decision.verdict.reason;
    const bool by_state = reason >= DenyReason::halted && reason <= DenyReason::unreconciled;
    const bool by_anything = !limited_ && !decision.commit;
    if (!by_state && !by_anything) return {};
    return "  locked in by " + std::string(name_of(reason)) + ": " + text_of(c) + '\n';
}

std::string Desk::locked_in() {
    const Book book = read_book(state());
    std::string text;
    for (std::uint16_t s = 0; s < config_.strategies.size(); ++s) {
        for (const std::string& account : config_.strategies[s].accounts)
            for (std::uint32_t i = 0; i < config_.instruments.size(); ++i)
                text += closing(book, AccountId(std::stoi(account.substr(1)) - 1), InstrumentId{i}, s);
    }
    return text;
}

std::string Desk::step() {
    elapsed_ns_ += kMillisecond;
    const Command c = draw();
    const Book before = read_book(state());
    const bool judged = c.op == Op::register_order || c.op == Op::replace;
    if (!judged) return give(c), locked_in();
    Command asked = c;
    asked.now_ns = kStart + elapsed_ns_;
    asked.steady_ns = kSteadyStart + elapsed_ns_;
    if (run(registry_, asked).result == Result::denied) return {};   // no news to anybody's row
    const std::uint32_t slot = core::find_head(state(), static_cast<std::uint32_t>(c.account), c.id);
    const OrderView order = core::view_order(state(), slot);
    const Book after = read_book(state());
    if (c.op == Op::register_order) known_.push_back({c.account, c.session, c.id});
    std::string text = outside(before, after, asked, order);
    if (const std::string losses = lost(before, after, order); !losses.empty())
        text += "  accepted: " + text_of(asked) + '\n' + losses;
    if (hosted_) mark_rows();
    return text + locked_in();
}

Outcome run_seed(std::uint64_t seed) {
    Desk desk(seed);
    Outcome outcome;
    while (outcome.steps < kStepsPerSeed) {
        ++outcome.steps;
        std::string text = desk.step();
        if (text.empty() && outcome.steps == kStepsPerSeed) text = desk.audit();
        if (text.empty()) continue;
        outcome.failure = "seed " + std::to_string(seed) + ", step " + std::to_string(outcome.steps) +
                          (desk.hosted() ? ", marked at once\n" : ", never marked\n") + text;
        break;
    }
    return outcome;
}

}  // namespace

TEST_CASE("no accepted order or amend moves any row further outside any of its limits, and no trading state locks anybody in",
          "[core][property][A6][R6][R9]") {
    const std::vector<std::string> failures = failures_of_seeds(long_form() ? 3'000'000 : 30'000, run_seed);
    for (const std::string& failure : failures) FAIL_CHECK(failure);
    CHECK(failures.empty());
}

}  // namespace riskreg::test
