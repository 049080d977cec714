/// What reduces, what is reserved, what marks are worth without a host, what room is kept, what may go out: by examples with
/// numbers written down by hand. Each is asked of the core and of the reference model, and both must answer what is written.
#include <catch2/catch.hpp>
#include <sstream>

#include "core/audit.hpp"
#include "core/order_view.hpp"
#include "model/compare.hpp"
#include "model/drive.hpp"
#include "support/temp_registry.hpp"

namespace riskreg::test {
namespace {

constexpr std::int64_t kLot = 100'000'000, kUnit = 1'000'000'000, kMoney = 1'000'000, kSecond = 1'000'000'000;
constexpr AccountId kA1{0}, kA2{1};
constexpr InstrumentId kEs{0}, kNq{1};
constexpr std::uint32_t kS1 = 0;
constexpr Scope kFirm{ScopeKind::firm};
constexpr Scope kInstrumentEs{ScopeKind::instrument, AccountId::none, StrategyId::none, kEs};
constexpr Scope kAccount1{ScopeKind::account, kA1};
constexpr Scope kStrategy1{ScopeKind::strategy, AccountId::none, StrategyId{kS1}};

InstrumentConfig instrument(const char* id) {
    InstrumentConfig config;
    config.id = id;
    config.tick = Price{kUnit};
    return config;
}

/// Two instruments of whole ticks and lots, two accounts, two strategies of both; references are fresh for five seconds.
SharedConfig plain() {
    SharedConfig config;
    config.persistence_mode = PersistenceMode::none;
    config.require_limits = false;
    config.allow_limit_without_reference = true;
    config.self_match = SelfMatch::allow;
    config.capacity.orders = 256;
    config.capacity.executions = 256;
    config.capacity.sessions = 8;
    config.capacity.ring_events = 2048;
    config.instruments = {instrument("ES"), instrument("NQ")};
    config.accounts = {{"A1", ""}, {"A2", ""}};
    config.strategies = {{"s1", {"A1", "A2"}, {}, OnDeath::leave}, {"s2", {"A1", "A2"}, {}, OnDeath::leave}};
    return config;
}

std::string name_of(const Scope& scope) {
    switch (scope.kind) {
        case ScopeKind::firm: return "firm";
        case ScopeKind::account: return "account";
        case ScopeKind::strategy: return "strategy";
        case ScopeKind::instrument: return "instrument";
        case ScopeKind::account_instrument: return "account/instrument";
        case ScopeKind::strategy_instrument: return "strategy/instrument";
        default: return "";
    }
}

/// "accepted", "max_short on instrument: 100 > 50": numbers in whole units.
std::string words_of(const Verdict& verdict) {
    if (verdict.result != Result::denied) return std::string(riskreg::name_of(verdict.result));
    std::ostringstream out;
    out << riskreg::name_of(verdict.reason);
    if (verdict.scope.kind != ScopeKind::none) out << " on " << name_of(verdict.scope);
    const std::int64_t unit = verdict.unit == Unit::quantity ? kLot
                              : verdict.unit == Unit::money  ? kMoney
                              : verdict.unit == Unit::price  ? kUnit
                                                             : 1;
    if (verdict.has_numbers) out << ": " << verdict.observed / unit << " > " << verdict.limit / unit;
    return out.str();
}

/// The core and the model side by side. Answers are the model's; where the core's differ, the test fails.
class Both {
public:
    explicit Both(const SharedConfig& config = plain()) : registry(config), model(config) {
        for (std::uint16_t s = 0; s < config.strategies.size(); ++s) {
            Command c;
            c.op = Op::attach;
            c.session = s;
            c.strategy = StrategyId{s};
            ask(c);
        }
    }
    ~Both() {
        for (const std::string& violation : core::audit(registry.state()).violations) FAIL_CHECK(violation);
    }
    Both(const Both&) = delete;
    Both& operator=(const Both&) = delete;

    PlainRegistry registry;
    model::Model model;
    std::int64_t elapsed = 0;

    std::string ask(Command c) {
        c.now_ns = kStart + elapsed;
        c.steady_ns = kSteadyStart + elapsed;
        if (c.op == Op::reference) c.time_ns = c.now_ns, c.time_steady_ns = c.steady_ns;
        const Verdict expected = run(model, c);
        const Verdict answer = run(registry, c);
        INFO(text_of(c));
        if (!parted_) {   // one failure is enough: what comes after it differs anyway
            const std::string unlike = differences(answer, expected) + differences(registry.state(), model);
            CHECK(unlike == "");
            parted_ = !unlike.empty();
        }
        return words_of(expected);
    }

    // -- words --

    std::string reference(std::int64_t price, InstrumentId i = kEs) {
        Command c;
        c.op = Op::reference;
        c.instrument = i;
        c.price = price * kUnit;
        return ask(c);
    }
    std::string hold(AccountId account, std::int64_t count, std::int64_t price, InstrumentId i = kEs) {
        Command c;
        c.op = Op::load_position;
        c.account = account;
        c.strategy = StrategyId{kS1};
        c.instrument = i;
        c.quantity = count * kLot;
        c.price = price * kUnit;
        return ask(c);
    }
    std::string limit(const Scope& scope, LimitValue Limits::*member, std::int64_t value) {
        Command c;
        c.op = Op::limits;
        c.scope = scope;
        c.limits.*member = {LimitValue::Kind::value, value};
        c.fields = 0;
        for (std::size_t i = 0; i < model::limit_members().size(); ++i)
            if (model::limit_members()[i] == member) c.fields = 1U << i;
        return ask(c);
    }
    Command order(std::string id, Side side, std::int64_t count, std::optional<std::int64_t> price, AccountId account = kA1) {
        Command c;
        c.op = Op::register_order;
        c.session = kS1;
        c.id = std::move(id);
        c.account = account;
        c.instrument = kEs;
        c.side = side;
        c.type = price ? OrderType::limit : OrderType::market;
        c.tif = TimeInForce::day;
        c.quantity = count * kLot;
        if (price) c.price = *price * kUnit;
        return c;
    }
    std::string buy(std::string id, std::int64_t count, std::optional<std::int64_t> price, AccountId account = kA1) {
        return ask(order(std::move(id), Side::buy, count, price, account));
    }
    std::string sell(std::string id, std::int64_t count, std::optional<std::int64_t> price, AccountId account = kA1) {
        return ask(order(std::move(id), Side::sell, count, price, account));
    }
    std::string stop(std::string id, std::int64_t count, std::int64_t trigger) {
        Command c = order(std::move(id), Side::buy, count, std::nullopt);
        c.type = OrderType::stop;
        c.stop_price = trigger * kUnit;
        return ask(c);
    }
    std::string load(std::string id, Side side, std::int64_t count, std::optional<std::int64_t> price) {
        Command c = order(std::move(id), side, count, price);
        c.op = Op::load_order;
        c.session = kNoSession;
        c.strategy = StrategyId{kS1};
        return ask(c);
    }
    std::string amend(std::string id, std::optional<std::int64_t> count, std::optional<std::int64_t> price,
                      std::string new_id = "") {
        Command c;
        c.op = Op::replace;
        c.session = kS1;
        c.account = kA1;
        c.id = std::move(id);
        c.new_id = std::move(new_id);
        if (count) c.quantity = *count * kLot;
        if (price) c.price = *price * kUnit;
        return ask(c);
    }
    std::string report(EventKind kind, std::string id, std::optional<std::int64_t> count = std::nullopt,
                       std::optional<std::int64_t> price = std::nullopt) {
        Command c;
        c.op = Op::fact;
        c.session = kS1;
        c.kind = kind;
        c.account = kA1;
        c.instrument = kEs;
        c.side = Side::buy;
        c.id = std::move(id);
        if (kind == EventKind::filled) c.exec_id = "E" + std::to_string(++executions_);
        if (count) c.quantity = *count * kLot;
        if (price) c.price = *price * kUnit;
        return ask(c);
    }
    std::string about(Op op, std::string id, std::uint32_t session = kS1) {
        Command c;
        c.op = op;
        c.session = session;
        c.strategy = StrategyId{static_cast<std::uint16_t>(session)};
        c.account = kA1;
        c.id = std::move(id);
        return ask(c);
    }
    std::string set_state(const Scope& scope, TradingState to) {
        Command c;
        c.op = Op::halt;
        c.scope = scope;
        c.to = to;
        return ask(c);
    }
    std::string mark(const Scope& scope, std::int64_t price) {
        Command c;
        c.op = Op::mark;
        c.scope = scope;
        c.price = price * kUnit;
        return ask(c);
    }
    std::string rebuild() {
        Command c;
        c.op = Op::recovered;
        const std::string answer = ask(c);
        c.op = Op::release;
        return ask(c);
    }
    void own_reference() {
        Command c;
        c.op = Op::own_reference;
        c.instrument = kEs;
        ask(c);
    }
    /// Money of the order in whole units, in the model; the core's is compared.
    std::int64_t reserved(const std::string& id) {
        const model::Order* order = model.find(kA1, id);
        REQUIRE(order != nullptr);
        if (!parted_) CHECK(differences(registry.state(), model, *order) == "");
        return order->reserved_notional / kMoney;
    }

private:
    int executions_ = 0;
    bool parted_ = false;
};

/// A1 is long a thousand and A2 short as many, at 5,000.
void hold_opposite(Both& both, std::int64_t count = 1000, std::int64_t price = 5000) {
    both.reference(price);
    both.hold(kA1, count, price);
    both.hold(kA2, -count, price);
}

}  // namespace

// ---- R6: reducing -------------------------------------------------------------------------------------------

TEST_CASE(
    "A1 holds 1000 and A2 holds -1000: a limit of the firm judges the sale of A1 by what the firm holds, which is nothing",
    "[A6][R6]") {
    const auto [member, reason] = GENERATE(table<LimitValue Limits::*, std::string>({
        {&Limits::max_open_notional, "max_open_notional"},
        {&Limits::max_gross_notional, "max_gross_notional"},
        {&Limits::max_net_notional, "max_net_notional"},
        {&Limits::max_traded_notional, "max_traded_notional"},
    }));
    Both both;
    hold_opposite(both);
    both.limit(kFirm, member, 1'000'000 * kMoney);
    CHECK(both.sell("all", 1000, 5000) == reason + " on firm: 5000000 > 1000000");
    CHECK(both.sell("some", 200, 5000) == "accepted");
    CHECK(both.sell("more", 1, 5000) == reason + " on firm: 1005000 > 1000000");
}

TEST_CASE("and the same for cash, which only a purchase uses", "[A6][R6]") {
    Both both;
    hold_opposite(both);
    both.limit(kFirm, &Limits::cash_limit, 1'000'000 * kMoney);
    CHECK(both.buy("cover", 1000, 5000, kA2) == "cash_limit on firm: 5000000 > 1000000");
    CHECK(both.buy("some", 200, 5000, kA2) == "accepted");
}

TEST_CASE("and for gross notional by the worst case", "[A6][R6]") {
    SharedConfig config = plain();
    config.gross_method = GrossMethod::worst_case;
    Both both(config);
    hold_opposite(both);
    both.limit(kFirm, &Limits::max_gross_notional, 1'000'000 * kMoney);
    CHECK(both.sell("all", 1000, 5000) == "max_gross_notional on firm: 5000000 > 1000000");
    CHECK(both.sell("some", 200, 5000) == "accepted");
}

TEST_CASE("a limit of the account lets its own position be closed, whatever others hold", "[A6][R6]") {
    Both both;
    hold_opposite(both);
    both.limit(kAccount1, &Limits::max_open_notional, 1000 * kMoney);
    both.limit(kAccount1, &Limits::max_gross_notional, 1000 * kMoney);
    CHECK(both.buy("on", 1, 5000) == "max_open_notional on account: 5000 > 1000");
    CHECK(both.sell("all", 1000, 5000) == "accepted");
    CHECK(both.sell("short", 1, 5000) == "max_open_notional on account: 5005000 > 1000");
}

TEST_CASE("a limit of the strategy judges by what the strategy holds for all its accounts", "[A6][R6]") {
    Both both;
    hold_opposite(both);   // both by s1
    both.limit(kStrategy1, &Limits::max_open_notional, 1000 * kMoney);
    CHECK(both.sell("all", 1000, 5000) == "max_open_notional on strategy: 5000000 > 1000");
}

TEST_CASE("max_short 50 on an instrument holds when an account that is long sells", "[A6][R6]") {
    Both both;
    hold_opposite(both, 100, 100);
    both.limit(kInstrumentEs, &Limits::max_short, 50 * kLot);
    CHECK(both.sell("all", 100, 100) == "max_short on instrument: 100 > 50");
    CHECK(both.sell("half", 50, 100) == "accepted");
}

TEST_CASE(
    "net notional is judged by its own number: what leaves the greater side as it is passes, what makes it greater does not",
    "[A6][R6]") {
    Both both;
    both.reference(5000);
    both.hold(kA1, 1000, 5000);
    both.limit(kFirm, &Limits::max_net_notional, 1'000'000 * kMoney);
    CHECK(both.buy("more", 1, 5000) == "max_net_notional on firm: 5005000 > 1000000");
    CHECK(both.sell("half", 500, 5000) == "accepted");
    CHECK(both.sell("past-zero", 1500, 5000) == "accepted");   // 1000 short at worst, as far from zero as now
    CHECK(both.sell("further", 1, 5000) == "max_net_notional on firm: 5005000 > 1000000");
}

TEST_CASE("a trading state locks nobody in: the account's own position decides, and limits are judged as ever", "[A6][R6]") {
    Both both;
    hold_opposite(both);
    both.set_state(kFirm, TradingState::reducing_only);
    CHECK(both.sell("too-much", 1001, 5000) == "reducing_only on firm");
    CHECK(both.sell("half", 500, 5000) == "accepted");
    both.limit(kFirm, &Limits::max_gross_notional, 1'000'000 * kMoney);
    CHECK(both.sell("rest", 500, 5000) == "max_gross_notional on firm: 5000000 > 1000000");
}

TEST_CASE("members of a batch are judged with those before them counted in", "[A6][R6]") {
    Both both;
    both.reference(100);
    both.hold(kA1, 10, 100);
    both.limit(kFirm, &Limits::max_open_notional, 0);
    std::vector<Command> members = {both.order("one", Side::sell, 6, 100), both.order("two", Side::sell, 6, 100)};
    std::vector<OrderRequest> requests;
    for (Command& c : members) requests.push_back(order_request(c));
    Command asks = members.front();
    asks.now_ns = kStart, asks.steady_ns = kSteadyStart;
    const auto answers = both.model.register_all_or_none(model_caller(asks), requests);
    CHECK(words_of(answers[1]) == "max_open_notional on firm: 1200 > 0");
    CHECK(differences(both.registry.register_all_or_none(core_caller(both.registry, asks), requests)[1], answers[1]) == "");
}

// ---- R7: reserve prices -------------------------------------------------------------------------------------

TEST_CASE("market, pegged and stop orders that would reserve nothing are refused", "[A7][R7]") {
    Both both;
    both.reference(0);
    CHECK(both.sell("market", 1'000'000, std::nullopt) == "reference_price_unknown: 0 > 0");
    Command pegged = both.order("pegged", Side::sell, 10, std::nullopt);
    pegged.type = OrderType::pegged;
    CHECK(both.ask(pegged) == "reference_price_unknown: 0 > 0");
    CHECK(both.stop("stop-at-zero", 10, 0) == "reference_price_unknown: 0 > 0");
    CHECK(both.stop("stop", 10, 100) == "accepted");
    CHECK(both.reserved("stop") == 1050);
    CHECK(both.load("loaded", Side::sell, 10, std::nullopt) == "accepted");   // the venue has it
    both.reference(-40);
    CHECK(both.sell("below-zero", 10, std::nullopt) == "accepted");
    CHECK(both.reserved("below-zero") == 420);
}

TEST_CASE("a sell limit at 0 reserves at the reference price however old that is", "[A7][R7]") {
    SharedConfig config = plain();
    config.reserve_price = GENERATE(ReservePrice::max_limit_reference, ReservePrice::limit);
    Both both(config);
    both.reference(5000);
    both.elapsed += 60 * kSecond;
    CHECK(both.sell("market", 1, std::nullopt) == "reference_price_stale");
    CHECK(both.sell("zero", 10, 0) == "accepted");
    CHECK(both.reserved("zero") == 50'000);
    CHECK(both.load("loaded", Side::sell, 10, 1) == "accepted");
    CHECK(both.reserved("loaded") == 50'000);
    CHECK(both.report(EventKind::replaced, "zero", 20, 1) == "ok");
    CHECK(both.reserved("zero") == 100'000);
    both.limit(kFirm, &Limits::max_order_notional, 50'000 * kMoney);
    CHECK(both.sell("more", 11, 0) == "max_order_notional on firm: 55000 > 50000");
}

TEST_CASE("at the limit alone: a purchase at zero or more, while the reference price is not below zero", "[A7][R7]") {
    SharedConfig config = plain();
    config.reserve_price = ReservePrice::limit;
    Both both(config);
    CHECK(both.sell("never-given", 10, 3) == "accepted");
    CHECK(both.reserved("never-given") == 30);
    both.reference(5000);
    CHECK(both.buy("buy", 10, 3) == "accepted");
    CHECK(both.reserved("buy") == 30);
    CHECK(both.buy("below-zero", 10, -3) == "accepted");
    CHECK(both.reserved("below-zero") == 50'000);
    CHECK(both.sell("sell", 10, 3) == "accepted");
    CHECK(both.reserved("sell") == 50'000);
    both.reference(-5000);
    CHECK(both.buy("falling", 10, 3) == "accepted");
    CHECK(both.reserved("falling") == 50'000);
}

TEST_CASE("after a rebuild the log still knows that there was a price, and the mark of the instrument which", "[A7][R7]") {
    SharedConfig config = plain();
    config.reserve_price = GENERATE(ReservePrice::max_limit_reference, ReservePrice::limit);
    Both both(config);
    both.own_reference();
    both.reference(5000);
    both.rebuild();
    CHECK(both.sell("market", 1, std::nullopt) == "reference_price_stale");
    CHECK(both.sell("unbounded", 10, 3) == "reference_price_stale");
    // It pays no more than its limit; that it went out was known before (clock_step_test), and it was refused by mistake.
    CHECK(both.buy("buy", 10, 3) == "accepted");
    CHECK(both.reserved("buy") == 30);
    CHECK(both.buy("below-zero", 10, -3) == "reference_price_stale");
    CHECK(both.load("loaded", Side::sell, 10, 3) == "accepted");
    CHECK(both.reserved("loaded") == 30);
    both.mark(kInstrumentEs, 4000);
    CHECK(both.sell("bounded", 10, 3) == "accepted");
    CHECK(both.reserved("bounded") == 40'000);
}

TEST_CASE("an instrument without prices of zero or less refuses them in orders and amends, and takes them from the venue",
          "[A7][R7]") {
    SharedConfig config = plain();
    config.instruments[0].zero_prices = false;
    Both both(config);
    CHECK(both.model.set_reference(kEs, 0, {}).reason == DenyReason::invalid_price);
    both.reference(5);
    CHECK(both.buy("zero", 1, 0) == "invalid_price: 0 > 1");
    CHECK(both.sell("below", 1, -3) == "invalid_price: -3 > 1");
    CHECK(both.stop("stop", 1, 0) == "invalid_price: 0 > 1");
    Command priced = both.order("market", Side::buy, 1, std::nullopt);
    priced.price = 0;
    CHECK(both.ask(priced) == "accepted");   // ignored
    CHECK(both.buy("one", 1, 1) == "accepted");
    both.report(EventKind::acked, "one");
    CHECK(both.amend("one", std::nullopt, 0) == "invalid_price: 0 > 1");
    CHECK(both.report(EventKind::replaced, "one", 2, -1) == "ok");
    CHECK(both.amend("one", 3, std::nullopt) == "ok");   // the price is as it was
    CHECK(both.load("loaded", Side::sell, 1, 0) == "accepted");
}

// ---- R9: limits that rest on marks --------------------------------------------------------------------------

TEST_CASE("a daily loss of 1000 stops the order that finds a loss of 25,000 at the reference price, though nobody marks",
          "[A9][R9]") {
    Both both;
    both.reference(10'000);
    both.hold(kA1, 5, 10'000);
    both.limit(kFirm, &Limits::daily_loss, 1000 * kMoney);
    CHECK(both.buy("before", 1, 10'000) == "accepted");
    both.reference(5000);
    CHECK(both.buy("more", 1, 5000) == "daily_loss on firm: 25000 > 1000");
    CHECK(both.buy("again", 1, 5000) == "reducing_only on firm");  // as the order does that finds a marked loss (semantics 15)
    CHECK(both.sell("less", 4, 5000) == "accepted");
    CHECK(both.sell("the-rest", 1, 5000) == "accepted");
}

TEST_CASE("a daily loss that no fresh price tells of stops what increases, and nothing else", "[A9][R9]") {
    Both both;
    both.reference(10'000);
    both.hold(kA1, 5, 10'000);
    both.limit(kFirm, &Limits::daily_loss, 1000 * kMoney);
    both.reference(9990);
    both.elapsed += 60 * kSecond;
    CHECK(both.buy("silent", 1, 9990) == "reference_price_stale on firm");
    CHECK(both.sell("all", 5, 9990) == "accepted");
}

TEST_CASE("drawdown, gross and net notional are judged at the marks that a host would have written", "[A9][R9]") {
    Both both;
    both.reference(100);
    both.hold(kA1, 100, 100);
    both.reference(300);
    SECTION("gross") {
        both.limit(kAccount1, &Limits::max_gross_notional, 30'000 * kMoney);
        CHECK(both.buy("more", 1, 300) == "max_gross_notional on account: 30300 > 30000");
    }
    SECTION("net") {
        both.limit(kAccount1, &Limits::max_net_notional, 30'000 * kMoney);
        CHECK(both.buy("more", 1, 300) == "max_net_notional on account: 30300 > 30000");
        CHECK(both.sell("less", 1, 300) == "accepted");
    }
    SECTION("drawdown, from a best moment that was seen") {
        both.mark(kInstrumentEs, 300);
        both.reference(290);
        both.limit(kFirm, &Limits::drawdown, 1000 * kMoney);
        both.reference(291);
        CHECK(both.buy("more", 1, 291) == "accepted");
        both.reference(290);
        CHECK(both.buy("again", 1, 290) == "drawdown on firm: 1000 > 1000");
    }
}

TEST_CASE("a row that no fresh price is there for cannot be judged, and one whose mark is the last price can", "[A9][R9]") {
    Both both;
    both.reference(100);
    both.hold(kA1, 10, 100);
    both.reference(70, kNq);
    both.hold(kA1, 1, 50, kNq);
    both.elapsed += 60 * kSecond;
    both.reference(100);
    CHECK(both.buy("no-such-limit", 1, 100) == "accepted");
    both.limit(kAccount1, &Limits::daily_loss, 1000 * kMoney);
    CHECK(both.buy("more", 1, 100) == "reference_price_stale on account");  // NQ stands at 50, and was 70 last
    CHECK(both.sell("less", 1, 100) == "accepted");
    both.mark({ScopeKind::account_instrument, kA1, StrategyId::none, kNq}, 70);
    CHECK(both.buy("marked", 1, 100) == "accepted");
}

TEST_CASE("a mark moves by the threshold, or by anything where there is an interval", "[A9][R9]") {
    SharedConfig config = plain();
    config.mark_threshold_bps = 1000;
    config.mark_interval_ms = GENERATE(0U, 1000U);
    Both both(config);
    both.reference(100);
    both.hold(kA1, 100, 100);
    both.mark({ScopeKind::account_instrument, kA1, StrategyId::none, kEs}, 100);
    both.limit(kAccount1, &Limits::daily_loss, 1 * kMoney);
    both.reference(91);
    const bool waits = config.mark_interval_ms == 0;
    CHECK(both.buy("nine-per-cent", 1, 91) == (waits ? "accepted" : "daily_loss on account: 900 > 1"));
    both.reference(90);
    CHECK(both.buy("ten-per-cent", 1, 90) == (waits ? "daily_loss on account: 1000 > 1" : "reducing_only on account"));
}

// ---- R1: room that is kept ----------------------------------------------------------------------------------

TEST_CASE("97 fills of unknown orders in a table of 128: what reduces is registered, what does not is refused", "[B1][R1]") {
    SharedConfig config = plain();
    config.capacity.executions = 1024;  // an eighth of it is for what belongs to no order
    Both both(config);
    both.reference(100);
    both.hold(kA1, 10, 100);
    for (int i = 0; i < 97; ++i) CHECK(both.report(EventKind::filled, "U" + std::to_string(i), 1, 100) == "quarantined");
    CHECK(both.buy("more", 1, 100) == "capacity: 97 > 96");
    CHECK(both.sell("less", 10, 100) == "accepted");
    CHECK(both.sell("all", 97, 100) == "accepted");  // the unknown fills bought 97
    CHECK(both.sell("short", 1, 100) == "capacity: 97 > 96");
}

TEST_CASE("a sixteenth of the table of orders is for what reduces and for amends down", "[B1][R1]") {
    SharedConfig config = plain();
    config.capacity.orders = 128;
    Both both(config);
    both.reference(100);
    both.hold(kA1, 10, 100);
    for (int i = 0; i < 120; ++i) CHECK(both.buy("O" + std::to_string(i), 2, 100) == "accepted");
    both.report(EventKind::acked, "O0");
    CHECK(both.buy("more", 1, 100) == "capacity: 121 > 120");
    CHECK(both.amend("O0", 3, std::nullopt, "up") == "capacity: 121 > 120");
    CHECK(both.amend("O0", 1, std::nullopt, "down") == "ok");
    CHECK(both.load("loaded", Side::buy, 1, 100) == "accepted");
    for (int i = 0; i < 6; ++i) CHECK(both.sell("S" + std::to_string(i), 1, 100) == "accepted");
    CHECK(both.sell("full", 1, 100) == "capacity: 129 > 128");
    CHECK(both.load("too", Side::buy, 1, 100) == "capacity: 129 > 128");
}

// ---- R19: begin_send ----------------------------------------------------------------------------------------

TEST_CASE("an order with a pending cancel, or of a dead strategy, does not go out", "[B19][R19]") {
    Both both;
    both.reference(100);
    both.buy("O", 1, 100);
    CHECK(both.about(Op::begin_send, "nobody") == "unknown_order");
    CHECK(both.about(Op::begin_send, "O") == "accepted");
    CHECK(both.about(Op::begin_send, "O", 1) == "not_owner");
    SECTION("canceled") {
        both.about(Op::cancel, "O");
        CHECK(both.about(Op::begin_send, "O", 1) == "not_owner");
        CHECK(both.about(Op::begin_send, "O") == "pending_cancel");
        both.report(EventKind::cancel_rejected, "O");
        CHECK(both.about(Op::begin_send, "O") == "accepted");
    }
    SECTION("dead, until somebody attaches") {
        both.about(Op::die, "");
        CHECK(both.about(Op::begin_send, "O") == "fenced");
        both.about(Op::attach, "");
        CHECK(both.about(Op::begin_send, "O") == "accepted");
    }
    SECTION("states come last") {
        both.set_state(kFirm, TradingState::halted);
        CHECK(both.about(Op::begin_send, "O") == "halted on firm");
        both.about(Op::cancel, "O");
        CHECK(both.about(Op::begin_send, "O") == "pending_cancel");
        both.report(EventKind::canceled, "O");
        CHECK(both.about(Op::begin_send, "O") == "terminal");
    }
}

// ---- the same through a registry in shared memory that has no host -----------------------------------------

namespace {

OrderRequest buy_one(std::string_view id, std::int64_t price) {
    OrderRequest request;
    request.id = id;
    request.account = kA1;
    request.instrument = kEs;
    request.side = Side::buy;
    request.type = OrderType::limit;
    request.tif = TimeInForce::day;
    request.price = Price{price * kUnit};
    request.quantity = Quantity{kLot};
    return request;
}

}  // namespace

TEST_CASE("a registry without a host: daily loss at the reference price, prices of zero, and what must not go out",
          "[A7][A9][B19]") {
    SharedConfig config = plain();
    config.instruments[0].zero_prices = false;
    const TempRegistry place(config);
    Registry session = place.attach("s1");
    CHECK(words_of(session.reference_price(kEs, Price{0})) == "invalid_price: 0 > 1");
    CHECK(words_of(session.reference_price(kEs, Price{5000 * kUnit})) == "ok");
    CHECK(words_of(session.check_and_register(buy_one("zero", 0))) == "invalid_price: 0 > 1");
    CHECK(session.check_and_register(buy_one("O", 5000)).accepted());
    CHECK(session.begin_send(kA1, "O").accepted());
    CHECK(session.cancel_requested(kA1, "O").result == Result::ok);
    CHECK(words_of(session.begin_send(kA1, "O")) == "pending_cancel");
    CHECK(session.load_position(kA1, StrategyId{kS1}, kEs, Quantity{5 * kLot}, Price{10'000 * kUnit}, "test").result ==
          Result::ok);
    Limits limits;
    limits.daily_loss = {LimitValue::Kind::value, 1000 * kMoney};
    CHECK(session.set_limits(kFirm, limits, "test").result == Result::ok);
    CHECK(words_of(session.check_and_register(buy_one("more", 5000))) == "daily_loss on firm: 25000 > 1000");
}

}  // namespace riskreg::test
