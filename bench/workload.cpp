#include "workload.hpp"

#include <cstdio>

namespace riskreg::bench {

SharedConfig bench_config(std::uint32_t orders) {
    SharedConfig config;
    config.persistence_mode = PersistenceMode::none;
    config.allow_limit_without_reference = true;
    config.capacity.orders = orders;
    config.capacity.executions = 65536;
    for (int i = 0; i < kInstruments; ++i) {
        InstrumentConfig instrument;
        instrument.id = "I" + std::to_string(i);
        instrument.tick = Price{10'000'000};
        config.instruments.push_back(instrument);
    }
    for (int a = 0; a < kAccounts; ++a) config.accounts.push_back({"A" + std::to_string(a), ""});
    for (int s = 0; s < kStrategies; ++s) {
        StrategyConfig strategy;
        strategy.id = "S" + std::to_string(s);
        for (int a = 0; a < kAccounts; ++a) strategy.accounts.push_back("A" + std::to_string(a));
        config.strategies.push_back(strategy);
    }
    // Every limit of the first release set on every kind of scope, wide enough to pass.
    Limits wide;
    const auto value = [](std::int64_t v) { return LimitValue{LimitValue::Kind::value, v}; };
    wide.max_order_quantity = value(1'000'000LL * 100'000'000);
    wide.max_long = wide.max_short = value(10'000'000'000LL * 100'000'000);
    wide.max_order_notional = wide.max_open_notional = value(9'000'000'000'000'000'000);
    wide.max_working_orders = wide.max_working_buy = wide.max_working_sell = value(100'000'000);
    config.limits.push_back({"firm", wide});
    for (int a = 0; a < kAccounts; ++a) config.limits.push_back({"account:A" + std::to_string(a), wide});
    for (int s = 0; s < kStrategies; ++s) config.limits.push_back({"strategy:S" + std::to_string(s), wide});
    for (int i = 0; i < kInstruments; ++i) config.limits.push_back({"instrument:I" + std::to_string(i), wide});
    return config;
}

std::string order_id(std::size_t i) {
    char text[40];
    std::snprintf(text, sizeof text, "STRAT7-20261122-%012zu", i);
    return text;
}

OrderRequest request_for(const std::string& id, std::size_t i) {
    OrderRequest request;
    request.id = id;
    request.account = AccountId{static_cast<std::uint16_t>(i / 3 % kAccounts)};
    request.instrument = InstrumentId{static_cast<std::uint32_t>(i * 7 % kInstruments)};
    request.side = i % 2 == 0 ? Side::buy : Side::sell;
    request.price = Price{100'000'000'000 + static_cast<std::int64_t>(i % 100) * 10'000'000};
    request.quantity = Quantity{(1 + static_cast<std::int64_t>(i % 9)) * 100'000'000};
    return request;
}

}  // namespace riskreg::bench
