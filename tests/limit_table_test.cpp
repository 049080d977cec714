/// The table of limits (core/limits.hpp): where each is kept, and that the quick pass over the rows of an order refuses exactly what
/// the one `use_of`, asked of the rows with the order in them, says is above a limit.
#include <catch2/catch.hpp>
#include <map>

#include "core/decide_common.hpp"
#include "core/value.hpp"
#include "support/plain_registry.hpp"
#include "support/random.hpp"

namespace riskreg::test {
namespace {

using namespace core;
using base::Int128;

SharedConfig config_with(GrossMethod method) {
    SharedConfig config;
    config.persistence_mode = PersistenceMode::none;
    config.require_limits = false;
    config.gross_method = method;
    config.capacity.orders = config.capacity.executions = 16;
    config.capacity.sessions = 1;
    config.capacity.ring_events = 256;
    config.instruments.resize(1);
    config.instruments[0].id = "ES";
    config.instruments[0].tick = Price{1};
    config.accounts = {{"A1", ""}};
    config.strategies = {{"s1", {"A1"}, {}, OnDeath::leave}};
    return config;
}

/// Small numbers, so that ends are met exactly, at sizes up to where sums leave 64 bits.
class Numbers {
public:
    explicit Numbers(std::uint64_t seed) : random_(seed) {}
    void next_size() {
        size_ = random_.pick({std::int64_t{1}, std::int64_t{1}, std::int64_t{1'000'000}, std::int64_t{1} << 57});
    }
    std::int64_t amount(std::int64_t low, std::int64_t high) { return random_.between(low, high) * size_; }
    std::int64_t count(std::int64_t low, std::int64_t high) { return random_.between(low, high); }
    bool percent(std::int64_t chance) { return random_.percent(chance); }

    Limits limits(std::int64_t chance_of_each) {
        Limits limits;
        for (const Limit& limit : kLimits) {
            if (!percent(chance_of_each) || limit.is(kIsParameter)) continue;
            const bool amounts = limit.most == kMostAmount;
            const std::int64_t value = amounts ? amount(0, 40) : count(0, 8);
            limits.*limit.member =
                percent(10) ? LimitValue{LimitValue::Kind::unlimited, 0} : LimitValue{LimitValue::Kind::value, value};
        }
        return limits;
    }

private:
    Random random_;
    std::int64_t size_ = 1;
};

/// What is asked, and what of each row it is held against.
struct Case {
    const State& state;
    RowSet rows;
    Growth growth;
};

void fill_rows(State& state, const RowSet& rows, Numbers& n) {
    const std::int64_t chance = n.count(2, 30);
    for (const std::uint32_t row : rows) {
        const Limits limits = n.limits(chance);
        state.rows[row].control.make_genesis(control_of(limits));
        state.rows_risk[row].limits.make_genesis(risk_limits_of(limits));
        layout::RowCounters c{};
        c.position = n.amount(-20, 20);
        c.open_buy_quantity = n.amount(0, 10), c.open_sell_quantity = n.amount(0, 10);
        c.open_buy_notional = n.amount(0, 10), c.open_sell_notional = n.amount(0, 10);
        c.working_buy = static_cast<std::uint32_t>(n.count(0, 3)), c.working_sell = static_cast<std::uint32_t>(n.count(0, 3));
        state.rows[row].counters.make_genesis(c);
        layout::RowValue v{};
        v.gross_value = n.amount(0, 20), v.net_value = n.amount(-20, 20), v.cash_flow = n.amount(-20, 20);
        v.start_value = n.amount(-5, 5), v.peak = n.amount(0, 20);
        state.rows_risk[row].value.make_genesis(v);
        layout::RowDay d{};
        d.bought_notional = n.amount(0, 15), d.sold_notional = n.amount(0, 15);
        state.rows_cold[row].day.make_genesis(d);
    }
}

Growth random_growth(Numbers& n, bool worst_case) {
    Growth g;
    g.side = n.percent(50) ? Side::buy : Side::sell;
    g.quantity = n.amount(-3, 12), g.notional = n.amount(-3, 12);
    g.order_quantity = n.percent(80) ? n.amount(0, 20) : 0, g.order_notional = n.percent(80) ? n.amount(0, 20) : 0;
    g.orders = n.percent(70) ? 1 : 0;
    if (!worst_case) return g;
    for (std::int64_t& gross : g.values.gross) gross = n.amount(-2, 12);
    g.unpriced = static_cast<unsigned>(n.percent(10) ? n.count(0, 7) : 0);
    return g;
}

/// Row k, the order in it or not: field by field, and not by what the checks use.
Holdings<Int128> held(const Case& c, std::size_t k, bool with_order) {
    const layout::RowCounters& r = c.state.rows[c.rows[k]].counters.newest();
    const layout::RowCounters& q = c.state.rows[c.rows[kQuantityRow[k]]].counters.newest();
    const layout::RowValue& v = c.state.rows_risk[c.rows[k]].value.newest();
    const layout::RowDay& d = c.state.rows_cold[c.rows[k]].day.newest();
    const Growth none{}, &g = with_order ? c.growth : none;
    const bool buy = c.growth.side == Side::buy;
    Holdings<Int128> h;
    h.worst_long = Int128{q.position} + q.open_buy_quantity + (buy ? g.quantity : 0);
    h.worst_short = Int128{q.open_sell_quantity} - q.position + (buy ? 0 : g.quantity);
    h.working_buy = r.working_buy + (buy ? g.orders : 0U);
    h.working_sell = r.working_sell + (buy ? 0U : g.orders);
    h.buys = Int128{r.open_buy_notional} + (buy ? g.notional : 0);
    h.sells = Int128{r.open_sell_notional} + (buy ? 0 : g.notional);
    h.bought = d.bought_notional, h.sold = d.sold_notional;
    h.worst_case = c.state.has_setting(layout::kGrossWorstCase);
    h.gross = Int128{v.gross_value} + (h.worst_case ? g.values.gross[k % 3] : 0);
    h.net = v.net_value, h.pnl = pnl_of(v), h.peak = v.peak;
    return h;
}

/// Whether the rules let this limit look at the order at all (semantics 6 and 7): only at what increases what it bounds.
bool is_asked(const Case& c, std::size_t k, LimitId limit) {
    const Growth& g = c.growth;
    const bool buy = g.side == Side::buy;
    const Holdings<Int128> after = held(c, k, true);
    const bool reduces = (buy ? after.worst_long : after.worst_short) <= 0;
    switch (limit) {
        case LimitId::max_working_orders: return g.orders > 0;
        case LimitId::max_working_buy: return g.orders > 0 && buy;
        case LimitId::max_working_sell: return g.orders > 0 && !buy;
        case LimitId::max_long: return g.quantity > 0 && buy && !reduces;
        case LimitId::max_short: return g.quantity > 0 && !buy && !reduces;
        case LimitId::max_net_notional: return g.notional > 0 && *use_of(limit, after) > *use_of(limit, held(c, k, false));
        case LimitId::max_gross_notional:
            if (after.worst_case) return (g.values.gross[k % 3] > 0 || (g.is_unpriced(k) && g.quantity > 0)) && !reduces;
            return g.notional > 0 && !reduces;
        case LimitId::cash_limit: return g.notional > 0 && buy && !reduces;
        case LimitId::daily_loss:
        case LimitId::drawdown: return (g.notional > 0 || g.quantity > 0) && !reduces;
        default: return g.notional > 0 && !reduces;
    }
}

struct Answer {
    DenyReason reason = DenyReason::none;
    ScopeKind scope = ScopeKind::none;
    std::int64_t observed = 0, limit = 0;
    Unit unit = Unit::none;
    friend bool operator==(const Answer&, const Answer&) = default;
};

/// A refusal of row k by this limit, by the table and `use_of` alone.
std::optional<Answer> refusal_by(const Case& c, std::size_t k, LimitId id) {
    const Limit& limit = limit_of(id);
    const Holdings<Int128> after = held(c, k, true);
    const std::int64_t bound =
        bound_of(limit, c.state.rows[c.rows[k]].control.newest(), c.state.rows_risk[c.rows[k]].limits.newest());
    const bool single = id == LimitId::max_order_quantity || id == LimitId::max_order_notional;
    const Int128 used = id == LimitId::max_order_quantity   ? Int128{c.growth.order_quantity}
                        : id == LimitId::max_order_notional ? Int128{c.growth.order_notional}
                                                            : *use_of(id, after);
    const ScopeKind scope = c.state.geometry.scope_of(c.rows[k]).kind;
    if (!single && !is_asked(c, k, id)) return std::nullopt;
    const bool unpriced = id == LimitId::max_gross_notional && after.worst_case && c.growth.is_unpriced(k);
    if (unpriced && c.growth.quantity > 0 && bound != layout::kUnlimited)
        return Answer{DenyReason::reference_price_unknown, ScopeKind::none, 0, 0, Unit::none};
    if (!is_broken(limit, used, bound)) return std::nullopt;
    if (unpriced) return Answer{DenyReason::reference_price_unknown, ScopeKind::none, 0, 0, Unit::none};
    return Answer{limit.reason, scope, static_cast<std::int64_t>(std::min<Int128>(used, base::kMaxInt64)), bound, limit.unit};
}

/// Reason by reason, and in each scope by scope: limits that share a reason are asked row by row.
Answer expected(const Case& c) {
    std::map<std::pair<DenyReason, std::size_t>, std::vector<LimitId>> in_order;
    for (const Limit& limit : kLimits)
        if (limit.reason != DenyReason::none && limit.reason != DenyReason::rate_limit &&
            limit.reason != DenyReason::duplicate_content)
            for (std::size_t k = 0; k < kRowsPerOrder; ++k) in_order[{limit.reason, k}].push_back(limit.id);
    for (const auto& [place, limits] : in_order)
        for (const LimitId limit : limits)
            if (const auto refusal = refusal_by(c, place.second, limit)) return *refusal;
    return {};
}

/// By checks 7 and 11 as register and replace ask them.
Answer answered(const Case& c) {
    RowsNow now;
    load_rows(c.state, c.rows, nullptr, now);
    Decision out;
    const bool breaks = breaks_any(now, c.growth);
    if (!deny_single_order(c.state, now, c.growth, breaks, out))
        static_cast<void>(deny_exposure(c.state, now, 0, c.growth, breaks, nullptr, 0, out));
    const Verdict& v = out.verdict;
    return {v.reason, v.scope.kind, v.observed, v.limit, v.unit};
}

}  // namespace

TEST_CASE("what the checks refuse is what the use with the order says, for every limit", "[core][inv-7]") {
    std::map<DenyReason, int> seen;
    for (const GrossMethod method : {GrossMethod::standard, GrossMethod::worst_case}) {
        PlainRegistry registry(config_with(method));
        State& state = registry.state();
        state.host->marks_until_ns = 1;  // somebody looks after marks
        const RowSet rows = rows_of(state.geometry, 0, 0, 0);
        Numbers numbers(method == GrossMethod::standard ? 1 : 2);
        for (int i = 0; i < 60'000; ++i) {
            numbers.next_size();
            fill_rows(state, rows, numbers);
            const Case c{state, rows, random_growth(numbers, method == GrossMethod::worst_case)};
            const Answer want = expected(c), got = answered(c);
            ++seen[got.reason];
            // What no limit refuses may still not fit a counter.
            if (want.reason == DenyReason::none && got.reason == DenyReason::arithmetic_overflow) continue;
            INFO("round " << i << " wants " << name_of(want.reason) << ' ' << want.observed << " > " << want.limit << ", got "
                          << name_of(got.reason) << ' ' << got.observed << " > " << got.limit);
            REQUIRE(got == want);
        }
    }
    for (const Limit& limit : kLimits)
        if (use_of(limit.id, Holdings<Int128>{}) && limit.kind != layout::kHasMessageLimits) {
            INFO(limit.name);
            CHECK(seen[limit.reason] > 100);
        }
    CHECK(seen[DenyReason::max_order_quantity] > 100);
    CHECK(seen[DenyReason::max_order_notional] > 100);
    CHECK(seen[DenyReason::reference_price_unknown] > 100);
    CHECK(seen[DenyReason::none] > 10'000);
}

TEST_CASE("the limits of a row are read as they were written, whichever record keeps them", "[core]") {
    Numbers numbers(3);
    for (int i = 0; i < 5'000; ++i) {
        Limits limits = numbers.limits(50);
        for (const Limit& limit : kLimits)
            if (limit.is(kIsParameter) && numbers.percent(50))
                limits.*limit.member = {LimitValue::Kind::value, numbers.percent(50) ? limit.least : limit.most};
        const layout::RowControl control = control_of(limits);
        const layout::RowRiskLimits risk = risk_limits_of(limits);
        REQUIRE(limits_of(control, risk) == limits);
        for (const Limit& limit : kLimits) {
            const LimitValue& value = limits.*limit.member;
            INFO(limit.name);
            if (!limit.is(kIsParameter))
                CHECK(bound_of(limit, control, risk) == (holds_value(value) ? value.value : layout::kUnlimited));
            if (limit.kind != 0 && holds_value(value)) CHECK((control.set & limit.kind) != 0);
        }
    }
}

TEST_CASE("every limit has soft levels exactly when its use is a sum of its row", "[core]") {
    for (const Limit& limit : kLimits) {
        INFO(limit.name);
        CHECK(limit.is(kHasSoftLevels) == use_of(limit.id, Holdings<Int128>{}).has_value());
    }
}

}  // namespace riskreg::test
