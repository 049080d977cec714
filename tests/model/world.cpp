#include "model/world.hpp"

#include "model/command.hpp"

namespace riskreg::test {

namespace {

InstrumentConfig instrument(const char* id, std::int64_t tick, std::int64_t lot, std::int64_t multiplier, std::int64_t fx) {
    InstrumentConfig config;
    config.id = id;
    config.tick.value = tick;
    config.lot.value = lot;
    config.multiplier_e9 = multiplier;
    config.fx_rate_e9 = fx;
    config.reference_max_age_ms = 150;
    return config;
}

std::vector<InstrumentConfig> instruments(Random& random) {
    InstrumentConfig future = instrument("ESH4", 250'000'000, 100'000'000, 50'000'000'000, 1'000'000'000);
    future.collar_bps = 500;
    future.collar_two_sided = random.percent(50);
    InstrumentConfig fraction = instrument("XBT", 10'000'000, 100'000, 100'000'000, 1'083'456'780);  // 0.1 and 1.08345678
    fraction.market_slippage_bps = static_cast<std::uint32_t>(random.pick({0, 1, 333, 500}));
    InstrumentConfig spread = instrument("CL-SPREAD", 10'000'000, 200'000'000, 1'000'000'000'000, 777'000'001);
    spread.collar_ticks = 20;
    spread.collar_bps = random.percent(50) ? 100 : 0;
    spread.collar_two_sided = random.percent(50);
    spread.min_quantity = Quantity{400'000'000};
    spread.max_quantity = Quantity{4'000'000'000};
    InstrumentConfig dust = instrument("DUST", 1, 1, 3, 7);  // every notional is rounded up
    dust.collar_bps = random.percent(30) ? 1000 : 0;
    std::vector<InstrumentConfig> all = {future, fraction, spread, dust};
    for (InstrumentConfig& config : all) {
        config.zero_prices = random.percent(75);
        if (random.percent(10))
            config.reference_max_age_ms = static_cast<std::uint32_t>(random.between(20, 60));  // often stale
    }
    return all;
}

/// An instrument whose notionals come near the end of 64 bits.
InstrumentConfig huge_instrument() {
    InstrumentConfig config = instrument("HUGE", 1'000'000'000, 100'000'000, 1'000'000'000'000'000'000, 1'000'000'000);
    config.market_slippage_bps = 0;
    return config;
}

/// Small budgets that are in force from the creation on.
LimitConfig budgets(Random& random, std::string scope) {
    LimitConfig config;
    config.scope = std::move(scope);
    if (random.percent(50)) config.limits.max_messages = limit_of(random.between(1, 5));
    if (random.percent(50)) config.limits.max_all_messages = limit_of(random.between(2, 8));
    if (random.percent(40)) config.limits.max_same_content = limit_of(random.between(1, 2));
    if (random.percent(30)) config.limits.max_same_direction = limit_of(random.between(1, 4));
    if (random.percent(30)) config.limits.max_rejects = limit_of(random.between(0, 2));
    config.limits.window_ms = limit_of(random.between(1, 5));
    config.limits.content_window_ms = limit_of(random.between(1, 8));
    return config;
}

/// The pre-trade controls of a world.
void add_controls(Random& random, bool huge, SharedConfig& config) {
    config.self_match = random.pick({SelfMatch::allow, SelfMatch::allow, SelfMatch::refuse_new, SelfMatch::advise_cancel});
    if (random.percent(35)) config.self_match_group = SelfMatchGroup::firm;
    // Marks that stand in for prices would bring a huge instrument's value to the end of 64 bits, which is not modelled.
    if (!huge && random.percent(40)) config.gross_method = GrossMethod::worst_case;
    config.content_by_strategy = random.percent(30);
    config.halt_on_loss = random.percent(30);
    config.four_eyes = random.percent(25);
    if (random.percent(40)) random.one_of(config.instruments).short_allowed = false;
    config.capacity.budgets = 128;  // more than all scopes together may use
    config.capacity.restrictions = random.percent(25) ? static_cast<std::uint32_t>(random.between(1, 2)) : 64;
    for (const char* scope : {"firm", "instrument:DUST", "account:A1/instrument:ESH4", "strategy:arb"}) {
        if (random.percent(8)) config.limits.push_back(budgets(random, scope));
        if (!random.percent(10)) continue;
        const std::int64_t from = kStart + kMillisecond * random.between(0, 300);
        const bool buy = random.percent(60);
        config.restricted.push_back({.scope = scope,
                                     .buy = buy,
                                     .sell = !buy || random.percent(50),
                                     .reason = "test",
                                     .from_ns = from,
                                     .to_ns = from + kMillisecond * random.between(1, 60)});
    }
}

}  // namespace

LimitConfig open_limits(std::string scope) {
    LimitConfig config;
    config.scope = std::move(scope);
    for (LimitValue* v : {&config.limits.max_order_quantity, &config.limits.max_long, &config.limits.max_short})
        v->kind = LimitValue::Kind::unlimited;
    return config;
}

LimitValue limit_of(std::int64_t value) { return {LimitValue::Kind::value, value}; }

SharedConfig world(Random& random, bool huge) {
    SharedConfig config;
    config.capacity = {
        .orders = 600, .instruments = 8, .accounts = 4, .strategies = 4, .sessions = 8, .ring_events = 256, .executions = 512};
    if (random.percent(20)) config.capacity.orders = static_cast<std::uint32_t>(random.between(8, 40));
    if (random.percent(20)) config.capacity.executions = static_cast<std::uint32_t>(random.between(4, 40));
    config.require_limits = random.percent(60);
    config.allow_limit_without_reference = random.percent(50);
    config.amend_before_ack = random.percent(50);
    config.reserve_price = random.percent(60) ? ReservePrice::max_limit_reference : ReservePrice::limit;
    config.mark_interval_ms = random.percent(50) ? 0 : 1000;
    config.mark_threshold_bps = random.pick<std::uint32_t>({0, 10, 300, 10'000});
    config.instruments = instruments(random);
    if (huge) config.instruments.push_back(huge_instrument());
    config.accounts = {{.id = "A1", .currency = ""}, {.id = "A2", .currency = ""}};
    const auto on_death = [&] { return random.pick({OnDeath::halt_strategy, OnDeath::leave, OnDeath::list_for_cancel}); };
    config.strategies = {
        {.id = "mm", .accounts = {"A1"}, .instruments = {}, .on_death = on_death()},
        {.id = "arb", .accounts = {"A1", "A2"}, .instruments = {"ESH4", "XBT", "DUST"}, .on_death = on_death()},
        {.id = "trend", .accounts = {"A2"}, .instruments = {}, .on_death = on_death()}};
    if (random.percent(90)) config.limits.push_back(open_limits("firm"));
    if (random.percent(50)) config.limits.push_back(open_limits("account:A1/instrument:ESH4"));
    if (random.percent(30)) config.limits.push_back(open_limits("instrument:XBT"));
    if (random.percent(85)) add_controls(random, huge, config);
    return config;
}

void widen(Random& random, SharedConfig& config) {
    for (std::int64_t n = random.between(1, 4); n > 0; --n)
        config.accounts.push_back({.id = "A" + std::to_string(config.accounts.size() + 1), .currency = ""});
    config.capacity.accounts = config.capacity.strategies = config.capacity.sessions = 16;
    for (std::int64_t n = random.between(2, 5); n > 0; --n) {
        StrategyConfig strategy{.id = "w" + std::to_string(n), .accounts = {}, .instruments = {}, .on_death = OnDeath::leave};
        for (const AccountConfig& account : config.accounts)
            if (random.percent(60)) strategy.accounts.push_back(account.id);
        if (strategy.accounts.empty()) strategy.accounts.push_back(config.accounts.back().id);
        config.strategies.push_back(strategy);
    }
}

}  // namespace riskreg::test
