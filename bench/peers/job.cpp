#include "job.hpp"

#include <cstdlib>

#include "base/wide.hpp"

namespace riskreg::bench::peers {

using base::Int128;

unsigned breaches(const Order& order, const SixRows& rows) noexcept {
    const bool buy = order.side == Side::buy;
    unsigned broken = 0;
    for (std::size_t k = 0; k < kRowsOfOrder; ++k) {
        const Row& row = rows[k];
        const Row& q = rows[kQuantityRow[k]];
        const std::uint64_t working = std::uint64_t{row.working_buy} + row.working_sell + 1;
        const std::uint64_t of_side = std::uint64_t{buy ? row.working_buy : row.working_sell} + 1;
        const std::uint32_t side_limit = buy ? row.max_working_buy : row.max_working_sell;
        const Int128 worst = static_cast<Int128>(buy ? q.position : -q.position) +
                             (buy ? q.open_buy_quantity : q.open_sell_quantity) + order.quantity;
        const Int128 open = static_cast<Int128>(row.open_buy_notional) + row.open_sell_notional + order.reserved_notional;
        broken |= order.quantity > row.max_order_quantity ? kOrderQuantity : 0U;
        broken |= order.reserved_notional > row.max_order_notional ? kOrderNotional : 0U;
        broken |= row.max_working_orders != kUnlimitedCount && working > row.max_working_orders ? kWorking : 0U;
        broken |= side_limit != kUnlimitedCount && of_side > side_limit ? (buy ? kWorkingBuy : kWorkingSell) : 0U;
        broken |= worst > (buy ? row.max_long : row.max_short) ? (buy ? kLong : kShort) : 0U;
        broken |= open > row.max_open_notional ? kOpenNotional : 0U;
    }
    return broken;
}

void set_reservation(Order& order) noexcept {
    // 1e-9 times 1e-8 in 1e-6, rounded up; every multiplier of the workload is 1.
    constexpr std::int64_t scale = 100'000'000'000;
    order.reserved_price = order.price;
    order.reserved_quantity = order.quantity;
    order.reserved_notional =
        static_cast<std::int64_t>((static_cast<Int128>(std::abs(order.price)) * order.quantity + scale - 1) / scale);
}

Order order_for(std::size_t i, std::uint16_t strategy) {
    const std::string id = order_id(i);
    const OrderRequest request = request_for(id, i);
    Order order{};
    std::memcpy(order.id, id.data(), id.size());
    order.price = request.price.value_or(Price{}).value;
    order.quantity = request.quantity.value;
    order.instrument = static_cast<std::uint32_t>(request.instrument);
    order.account = static_cast<std::uint16_t>(request.account);
    order.strategy = strategy;
    order.side = request.side;
    order.type = request.type;
    order.tif = request.tif;
    order.state = OrderBase::pending_new;
    order.created_ns = order.updated_ns = 1'800'000'000'000'000'000 + static_cast<std::int64_t>(i);
    order.seq = i + 1;
    order.session = strategy;
    order.version = 1;
    set_reservation(order);
    return order;
}

namespace {

std::int64_t amount(LimitValue limit) noexcept { return limit.kind == LimitValue::Kind::value ? limit.value : kUnlimited; }
std::uint32_t count(LimitValue limit) noexcept {
    return limit.kind == LimitValue::Kind::value ? static_cast<std::uint32_t>(limit.value) : kUnlimitedCount;
}

void set_limits(const Limits& limits, Row& row) noexcept {
    row.max_order_quantity = amount(limits.max_order_quantity);
    row.max_order_notional = amount(limits.max_order_notional);
    row.max_long = amount(limits.max_long);
    row.max_short = amount(limits.max_short);
    row.max_open_notional = amount(limits.max_open_notional);
    row.max_working_orders = count(limits.max_working_orders);
    row.max_working_buy = count(limits.max_working_buy);
    row.max_working_sell = count(limits.max_working_sell);
}

/// "firm" and "KIND:Xn", where n is the number: the scopes that the benchmarks configure; kRows for instruments that this job
/// does not trade.
std::uint32_t row_named(const std::string& scope) {
    const auto number_after = [&](std::string_view kind) {
        return static_cast<std::uint32_t>(std::stoul(scope.substr(kind.size() + 1)));
    };
    if (scope.starts_with("account:")) return kAccountRow + number_after("account:");
    if (scope.starts_with("strategy:")) return kStrategyRow + number_after("strategy:");
    if (scope.starts_with("instrument:N")) return kRows;
    if (scope.starts_with("instrument:")) return kInstrumentRow + number_after("instrument:");
    return 0;
}

}  // namespace

std::vector<Row> rows_of(const SharedConfig& config) {
    std::vector<Row> rows(kRows);
    for (Row& row : rows) set_limits(Limits{}, row);
    for (const LimitConfig& limit : config.limits)
        if (const std::uint32_t number = row_named(limit.scope); number < kRows) set_limits(limit.limits, rows[number]);
    return rows;
}

}  // namespace riskreg::bench::peers
