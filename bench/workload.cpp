#include "workload.hpp"

#include <cstdio>

#include "segment/event_clock.hpp"

namespace riskreg::bench {

namespace {

constexpr LimitValue value(std::int64_t v) { return {LimitValue::Kind::value, v}; }

void switch_on(SharedConfig& config, Limits& wide) {
    config.self_match = SelfMatch::refuse_new;
    for (InstrumentConfig& instrument : config.instruments) {
        instrument.collar_bps = 1000;
        instrument.reference_max_age_ms = 4'000'000'000U;
    }
    config.restricted.push_back({"strategy:S0/instrument:I0", true, true, "bench", 0, 1});
    const std::int64_t money = 9'000'000'000'000'000'000;
    wide.max_gross_notional = wide.max_net_notional = wide.cash_limit = wide.max_traded_notional = value(money);
    wide.daily_loss = wide.drawdown = value(money);
    wide.max_messages = value(4'000'000);
    wide.max_all_messages = value(8'000'000);
    wide.max_same_content = value(100);
    wide.content_window_ms = value(10);
    wide.max_same_direction = wide.max_rejects = value(1000);
}

void add_narrow_instruments(SharedConfig& config) {
    for (std::size_t i = 0; i < kNarrow; ++i) {
        InstrumentConfig instrument;
        instrument.id = "N" + std::to_string(i);
        instrument.tick = Price{10'000'000};
        config.instruments.push_back(instrument);
        Limits narrow;
        if (i == 0) narrow.max_order_quantity = value(50'000'000);
        if (i == 1) narrow.max_order_notional = value(1'000'000);
        if (i == 2) narrow.max_long = narrow.max_short = value(50'000'000);
        if (i == 3) narrow.max_working_orders = value(0);
        config.limits.push_back({"instrument:" + instrument.id, narrow});
    }
}

}  // namespace

void marks_are_looked_after(core::State& state) noexcept {
    layout::store_relaxed(state.host->marks_until_ns, static_cast<std::uint64_t>(segment::event_clock().steady_ns));
}

SharedConfig bench_config(std::uint32_t orders, Controls controls) {
    SharedConfig config;
    config.self_match = SelfMatch::allow;
    config.persistence_mode = PersistenceMode::none;
    config.allow_limit_without_reference = true;
    config.capacity.orders = orders + orders / 15 + 1;  // the last sixteenth is for what reduces
    // Marks count as looked after for as long as a run takes: a host is the usual thing, and its own work is not measured here.
    config.mark_interval_ms = 86'400'000;
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
    wide.max_order_quantity = value(1'000'000LL * 100'000'000);
    wide.max_long = wide.max_short = value(10'000'000'000LL * 100'000'000);
    wide.max_order_notional = wide.max_open_notional = value(9'000'000'000'000'000'000);
    wide.max_working_orders = wide.max_working_buy = wide.max_working_sell = value(100'000'000);
    if (controls == Controls::all) switch_on(config, wide);
    config.limits.push_back({"firm", wide});
    for (int a = 0; a < kAccounts; ++a) config.limits.push_back({"account:A" + std::to_string(a), wide});
    for (int s = 0; s < kStrategies; ++s) config.limits.push_back({"strategy:S" + std::to_string(s), wide});
    for (int i = 0; i < kInstruments; ++i) config.limits.push_back({"instrument:I" + std::to_string(i), wide});
    add_narrow_instruments(config);
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
    const std::int64_t base = request.side == Side::buy ? 100'000'000'000 : 102'000'000'000;
    request.price = Price{base + static_cast<std::int64_t>(i % 100) * 10'000'000};
    request.quantity = Quantity{(1 + static_cast<std::int64_t>(i % 9)) * 100'000'000};
    return request;
}

OrderRequest refused_request(const std::string& id, std::size_t i) {
    OrderRequest request = request_for(id, i);
    request.instrument = InstrumentId{static_cast<std::uint32_t>(kInstruments + i % kNarrow)};
    return request;
}

}  // namespace riskreg::bench
