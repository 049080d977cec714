#include "check.hpp"

#include <random>
#include <stdexcept>
#include <unordered_map>

namespace riskreg::bench::peers {

namespace {

constexpr std::int64_t kUnit = 100'000'000;    // one unit of quantity
constexpr std::int64_t kMoney = 1'000'000;     // one unit of money

Limits& limits_of(SharedConfig& config, const std::string& scope) {
    for (LimitConfig& limit : config.limits)
        if (limit.scope == scope) return limit.limits;
    throw std::logic_error("no limits of " + scope);
}

/// The same job on a map and an array.
class Model {
public:
    explicit Model(std::vector<Row> rows) : rows_(std::move(rows)) {}
    Answer register_order(const Order& order) {
        if (orders_.contains(name_of(order))) return Answer::duplicate;
        const RowNumbers numbers = row_numbers(order);
        SixRows rows;
        for (std::size_t k = 0; k < kRowsOfOrder; ++k) rows[k] = rows_[numbers[k]];
        if (const unsigned broken = breaches(order, rows); broken != 0) {
            broken_ |= broken;
            return Answer::over_limit;
        }
        orders_.emplace(name_of(order), order);
        for (const std::uint32_t number : numbers) reserve(order, rows_[number]);
        ++live_;
        return Answer::accepted;
    }
    Answer cancel(const Order& order) {
        Order& stored = orders_.at(name_of(order));
        if (!is_live(stored.state)) return Answer::unknown;
        for (const std::uint32_t number : row_numbers(stored)) release(stored, rows_[number]);
        stored = canceled(stored);
        --live_;
        return Answer::accepted;
    }
    [[nodiscard]] unsigned broken() const noexcept { return broken_; }
    [[nodiscard]] std::size_t live() const noexcept { return live_; }

private:
    static std::string name_of(const Order& order) { return std::string(OrderKey(order).view()); }
    std::unordered_map<std::string, Order> orders_;
    std::vector<Row> rows_;
    unsigned broken_ = 0;   // every limit that refused something
    std::size_t live_ = 0;
};

/// An order in few instruments, so that it meets the narrow limits.
Order crowded_order(std::size_t i, std::mt19937& random) {
    Order order = order_for(i);
    order.instrument = static_cast<std::uint32_t>(random() % 4);
    order.side = random() % 2 == 0 ? Side::buy : Side::sell;
    order.quantity = static_cast<std::int64_t>(1 + random() % 9) * kUnit;
    set_reservation(order);
    return order;
}

bool same_counters(const Row& a, const Row& b) noexcept {
    return a.position == b.position && a.open_buy_quantity == b.open_buy_quantity &&
           a.open_sell_quantity == b.open_sell_quantity && a.open_buy_notional == b.open_buy_notional &&
           a.open_sell_notional == b.open_sell_notional && a.working_buy == b.working_buy && a.working_sell == b.working_sell;
}

}  // namespace

SharedConfig narrow_config() {
    SharedConfig config = bench_config(4096);
    const auto set = [](LimitValue& limit, std::int64_t value) { limit = {LimitValue::Kind::value, value}; };
    set(limits_of(config, "firm").max_open_notional, 8'000 * kMoney);
    set(limits_of(config, "account:A1").max_order_quantity, 7 * kUnit);
    set(limits_of(config, "account:A2").max_order_notional, 600 * kMoney);
    set(limits_of(config, "account:A3").max_working_orders, 3);
    set(limits_of(config, "strategy:S3").max_working_buy, 10);
    set(limits_of(config, "strategy:S3").max_working_sell, 10);
    set(limits_of(config, "instrument:I0").max_long, 15 * kUnit);
    set(limits_of(config, "strategy:S3").max_short, 16 * kUnit);
    return config;
}

void self_check(Peer& peer, const char* name) {
    constexpr std::size_t steps = 400;
    Model model(rows_of(narrow_config()));
    std::mt19937 random(20261122);
    std::vector<Order> taken;
    const std::unique_ptr<Session> session = peer.open(kStrategy);
    for (std::size_t i = 0; i < steps; ++i) {
        const bool has_taken = !taken.empty();
        const auto what = static_cast<unsigned>(random() % 10);
        const Order order = has_taken && what < 4 ? taken[random() % taken.size()] : crowded_order(i, random);
        const bool cancels = has_taken && what < 3;
        const Answer expected = cancels ? model.cancel(order) : model.register_order(order);
        const Answer answer = cancels ? session->cancel(order.account, order.id) : session->register_order(order);
        if (answer != expected)
            throw std::runtime_error(std::string(name) + ": self-check: step " + std::to_string(i) + ": answered " +
                                     std::to_string(static_cast<int>(answer)) + ", the rules say " +
                                     std::to_string(static_cast<int>(expected)));
        if (!cancels && expected == Answer::accepted) taken.push_back(order);
    }
    if (model.broken() != kEveryBreach)
        throw std::logic_error("self-check: limits that refused something: " + std::to_string(model.broken()));
    check_totals(peer, name, model.live());
}

void check_totals(Peer& peer, const char* name, std::size_t live) {
    const auto fail = [&](const std::string& what) {
        throw std::runtime_error(std::string(name) + ": check at the end: " + what);
    };
    std::vector<Row> expected(kRows), stored(kRows);
    std::size_t found = 0;
    peer.visit_orders([&](const Order& order) {
        if (!is_live(order.state)) return;
        ++found;
        for (const std::uint32_t number : row_numbers(order)) reserve(order, expected[number]);
    });
    peer.visit_rows([&](std::uint32_t number, const Row& row) { stored.at(number) = row; });
    if (found != live) fail(std::to_string(found) + " orders are live, expected " + std::to_string(live));
    for (std::uint32_t number = 0; number < kRows; ++number)
        if (!same_counters(expected[number], stored[number]))
            fail("row " + std::to_string(number) + " is not the sum of its live orders");
    if (const std::string own = peer.own_audit(); !own.empty()) fail(own);
}

}  // namespace riskreg::bench::peers
