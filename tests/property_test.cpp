/// Random commands against the core and against the reference model: equal answers and equal state, every step.
///
/// RISKREG_SEED   first seed (default 1); a failure names its seed, so this and RISKREG_STEPS=1 replay it
/// RISKREG_STEPS  commands in all, rounded up to whole seeds (default 200000)
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <iterator>
#include <sstream>

#include "core/audit.hpp"
#include "core/order_view.hpp"
#include "model/model.hpp"
#include "support/plain_registry.hpp"

namespace riskreg::test {
namespace {

constexpr std::uint32_t kStepsPerSeed = 400;
constexpr std::uint32_t kFullCheckEvery = 20;
constexpr std::uint64_t kMostFailures = 3;  // seeds that are reported before giving up
constexpr std::int64_t kStart = 1'700'000'000'000'000'000;
constexpr std::int64_t kMillisecond = 1'000'000;

/// The same numbers on every platform, so that a seed is a replay (splitmix64).
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) { state_ = next() ^ next() << 1; }  // neighbours share nothing
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31);
    }
    std::int64_t between(std::int64_t low, std::int64_t high) {
        return low + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high - low + 1));
    }
    bool percent(std::int64_t chance) { return between(1, 100) <= chance; }
    template <class Container>
    auto& one_of(Container& from) {
        return *std::next(from.begin(), between(0, static_cast<std::int64_t>(from.size()) - 1));
    }
    template <class T>
    T pick(std::initializer_list<T> from) {
        return *std::next(from.begin(), between(0, static_cast<std::int64_t>(from.size()) - 1));
    }

private:
    std::uint64_t state_;
};

// ---- commands -----------------------------------------------------------------------------------

enum class Op : std::uint8_t {
    register_order,
    batch,
    replace,
    cancel,
    abort,
    fact,
    halt,
    resume,
    release,
    limits,
    die,
    attach,
    reference,
    mark,
    restrict,
    load_position,
    load_order,
    approve,
    alert,
};
constexpr const char* kOpNames[] = {"register", "batch",         "replace",    "cancel",  "abort",  "fact",      "halt",
                                    "resume",   "release",       "limits",     "die",     "attach", "reference", "mark",
                                    "restrict", "load_position", "load_order", "approve", "alert"};
constexpr const char* kKindNames[] = {
    "none",         "acked",     "rejected", "canceled",  "cancel_rejected", "replaced", "replace_rejected", "expired",
    "done_for_day", "suspended", "resumed",  "timed_out", "filled",          "bust",     "correct"};

struct Command {
    Op op = Op::fact;
    std::uint32_t session = core::kNoSlot;
    std::int64_t now_ns = 0;
    std::string id, new_id, exec_id, new_exec_id, venue_id;
    AccountId account = AccountId::none;
    InstrumentId instrument = InstrumentId::none;
    Side side = Side::none;
    OrderType type = OrderType::none;
    TimeInForce tif = TimeInForce::none;
    EventKind kind = EventKind::none;
    std::optional<std::int64_t> price, stop_price, quantity, cum;
    std::optional<std::uint32_t> version;
    bool reopened = false, no_such_order = false;
    Scope scope;
    TradingState to = TradingState::active;
    Limits limits;
    LimitMask fields = kAllLimits;
    StrategyId strategy = StrategyId::none;
    std::int64_t time_ns = 0;
    std::uint32_t uid = 0;
    std::uint64_t request = 0;
    Restriction entry;
    std::uint8_t alert_limit = 0, alert_level = 0;
    std::vector<Command> members;
};

template <class T>
std::optional<T> wrap(const std::optional<std::int64_t>& value) {
    return value ? std::optional<T>(T{*value}) : std::nullopt;
}

OrderRequest order_request(const Command& c) {
    return {.id = c.id,
            .account = c.account,
            .instrument = c.instrument,
            .side = c.side,
            .type = c.type,
            .tif = c.tif,
            .price = wrap<Price>(c.price),
            .quantity = Quantity{c.quantity.value_or(0)},
            .stop_price = wrap<Price>(c.stop_price)};
}

ReplaceRequest replace_request(const Command& c) {
    return {.id = c.id,
            .account = c.account,
            .new_id = c.new_id,
            .price = wrap<Price>(c.price),
            .quantity = wrap<Quantity>(c.quantity),
            .stop_price = wrap<Price>(c.stop_price),
            .expected_version = c.version};
}

OrderEvent order_event(const Command& c) {
    OrderEvent event;
    event.kind = c.kind;
    event.id = c.id;
    event.account = c.account;
    event.venue_id = c.venue_id;
    event.exec_id = c.exec_id;
    event.new_exec_id = c.new_exec_id;
    event.price = wrap<Price>(c.price);
    event.quantity = wrap<Quantity>(c.quantity);
    event.cum_quantity = wrap<Quantity>(c.cum);
    event.instrument = c.instrument;
    event.side = c.side;
    event.reopened = c.reopened;
    event.venue_knows_no_such_order = c.no_such_order;
    return event;
}

std::string text_of(const Scope& scope) {
    std::ostringstream out;
    out << "scope(kind " << int(scope.kind) << " a " << int(scope.account) << " s " << int(scope.strategy) << " i "
        << std::int64_t(scope.instrument) << ")";
    return out.str();
}

std::string text_of(const Limits& l) {
    std::ostringstream out;
    for (LimitValue Limits::*const member : model::limit_members()) {
        const LimitValue v = l.*member;
        if (v.kind == LimitValue::Kind::unset) out << " -";
        if (v.kind == LimitValue::Kind::unlimited) out << " *";
        if (v.kind == LimitValue::Kind::value) out << ' ' << v.value;
    }
    return out.str();
}

/// What the operations of control add to a command's text.
std::string text_of_control(const Command& c) {
    std::ostringstream out;
    if (c.op == Op::halt || c.op == Op::resume) out << " to " << int(c.to);
    if (c.op == Op::resume || c.op == Op::release || c.op == Op::approve) out << " uid " << c.uid;
    if (c.op == Op::limits) out << " fields " << std::hex << c.fields << std::dec << text_of(c.limits);
    if (c.op == Op::die || c.op == Op::attach || c.op == Op::load_position || c.op == Op::load_order)
        out << " strategy " << int(c.strategy);
    if (c.op == Op::reference) out << " at t+" << (c.time_ns - kStart) / 1000 << "us";
    if (c.op == Op::approve) out << " request " << c.request;
    if (c.op == Op::alert) out << " limit " << int(c.alert_limit) << " level " << int(c.alert_level);
    if (c.op == Op::restrict)
        out << (c.entry.buy ? " buy" : "") << (c.entry.sell ? " sell" : "") << " from t+" << (c.entry.from_ns - kStart) / 1000
            << "us to t+" << (c.entry.to_ns - kStart) / 1000 << "us";
    return out.str();
}

std::string text_of(const Command& c) {
    std::ostringstream out;
    out << kOpNames[int(c.op)];
    if (c.op == Op::fact) out << ' ' << kKindNames[int(c.kind)];
    out << " t+" << (c.now_ns - kStart) / 1000 << "us session " << int(c.session);
    const auto text = [&](const char* name, const std::string& value) {
        if (!value.empty()) out << ' ' << name << " '" << value << '\'';
    };
    const auto number = [&](const char* name, const std::optional<std::int64_t>& v) {
        if (v) out << ' ' << name << ' ' << *v;
    };
    text("id", c.id), text("new_id", c.new_id), text("exec", c.exec_id), text("new_exec", c.new_exec_id),
        text("venue", c.venue_id);
    if (c.account != AccountId::none) out << " account " << int(c.account);
    if (c.instrument != InstrumentId::none) out << " instrument " << std::int64_t(c.instrument);
    if (c.side != Side::none) out << " side " << int(c.side);
    for (const Command& member : c.members) out << "\n      " << text_of(member);
    if (c.op == Op::register_order || c.op == Op::load_order) out << " type " << int(c.type) << " tif " << int(c.tif);
    number("price", c.price), number("stop", c.stop_price), number("quantity", c.quantity), number("cum", c.cum);
    if (c.version) out << " version " << *c.version;
    if (c.reopened) out << " reopened";
    if (c.no_such_order) out << " no_such_order";
    if (c.scope.kind != ScopeKind::none) out << ' ' << text_of(c.scope);
    return out.str() + text_of_control(c);
}

// ---- worlds: one configuration per seed ------------------------------------------------------------

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
    return {future, fraction, spread, dust};
}

/// An instrument whose notionals come near the end of 64 bits.
InstrumentConfig huge_instrument() {
    InstrumentConfig config = instrument("HUGE", 1'000'000'000, 100'000'000, 1'000'000'000'000'000'000, 1'000'000'000);
    config.market_slippage_bps = 0;
    return config;
}

LimitConfig open_limits(std::string scope) {
    LimitConfig config;
    config.scope = std::move(scope);
    for (LimitValue* v : {&config.limits.max_order_quantity, &config.limits.max_long, &config.limits.max_short})
        v->kind = LimitValue::Kind::unlimited;
    return config;
}

LimitValue limit_of(std::int64_t value) { return {LimitValue::Kind::value, value}; }

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

// ---- the generator -----------------------------------------------------------------------------------

/// Draws the next command. Looks at the model's state, so that limits, quantities and reports meet boundaries exactly.
class Generator {
public:
    Generator(Random& random, const SharedConfig& config, const model::Model& model, bool huge)
        : random_(random), config_(config), model_(model), huge_(huge), attached_(config.strategies.size(), true) {
        if (random_.percent(10)) unknown_share_ = 45;  // fills the quarantine
        for (std::size_t i = 0; i < config_.instruments.size(); ++i) centre_.push_back(random_.pick({100, 40, -3, 0, 2000}));
        if (huge_) centre_.back() = 5;
        on_grid_ = random_.percent(70);
    }

    Command next() {
        Command c = draw();
        c.now_ns = now_ns_;
        if (c.op != Op::approve) c.uid = random_.percent(50) ? 1000 : 1001;
        return c;
    }

    /// References that exist from the start; the others are unknown until drawn.
    std::vector<Command> opening() {
        std::vector<Command> commands;
        for (std::uint32_t i = 0; i < config_.instruments.size(); ++i)
            if (random_.percent(80)) commands.push_back(reference(InstrumentId{i}));
        return commands;
    }

private:
    Command draw() {
        advance();
        const std::int64_t n = random_.between(1, 1000);
        if (n <= 275) return register_order();
        if (n <= 288) return batch();
        if (n <= 385) return replace();
        if (n <= 412) return cancel();
        if (n <= 427) return abort();
        if (n <= 735) return fact();
        if (n <= 741) return change_state(Op::halt);
        if (n <= 793) return change_state(Op::resume);
        if (n <= 803) return simple(Op::release);
        if (n <= 842) return limits();
        if (n <= 850) return session();
        if (n <= 940) return reference(any_instrument());
        return control();
    }

    Command control() {
        if (config_.four_eyes && random_.percent(45)) return approve();
        const std::int64_t n = random_.between(1, 100);
        if (n <= 42) return mark();
        if (n <= 60) return restrict_scope();
        if (n <= 76) return load_position();
        if (n <= 90) return load_order();
        if (n <= 95) return alert();
        return approve();
    }

    /// In most worlds time goes in halves of a millisecond, so that ends of windows are met exactly.
    void advance() {
        const std::int64_t n = random_.between(1, 1000);
        if (n <= 800) now_ns_ += on_grid_ ? random_.between(0, 4) * kMillisecond / 2 : random_.between(0, 2 * kMillisecond);
        if (n > 800 && n <= 803) now_ns_ += 150 * kMillisecond;  // exactly the age that is still fresh
        if (n > 803 && n <= 805) now_ns_ += 500 * kMillisecond;  // everything is stale
        if (n > 805 && n <= 830)                                 // a clock that went backwards
            now_ns_ -= on_grid_ ? random_.between(0, 20) * kMillisecond : random_.between(0, 20 * kMillisecond);
    }

    Command simple(Op op) {
        Command c;
        c.op = op;
        return c;
    }

    InstrumentId any_instrument() {
        return InstrumentId{
            static_cast<std::uint32_t>(random_.between(0, static_cast<std::int64_t>(config_.instruments.size()) - 1))};
    }
    AccountId any_account() {
        return AccountId{
            static_cast<std::uint16_t>(random_.between(0, static_cast<std::int64_t>(config_.accounts.size()) - 1))};
    }
    const InstrumentConfig& config_of(InstrumentId i) const { return config_.instruments[static_cast<std::size_t>(i)]; }

    bool is_huge(InstrumentId i) const { return huge_ && static_cast<std::size_t>(i) + 1 == config_.instruments.size(); }

    std::uint32_t trader() {
        for (int attempt = 0; attempt < 5 && !random_.percent(1); ++attempt) {
            const auto s = static_cast<std::uint32_t>(random_.between(0, static_cast<std::int64_t>(attached_.size()) - 1));
            if (attached_[s]) return s;
        }
        return core::kNoSlot;
    }
    std::uint32_t reporter() { return random_.percent(70) ? trader() : core::kNoSlot; }
    std::uint32_t owner_of(const model::Order& order) {
        const auto s = static_cast<std::uint32_t>(order.strategy);
        return s < attached_.size() && attached_[s] && !random_.percent(4) ? s : trader();
    }

    const model::Order* some_order(bool mostly_live) {
        const auto& orders = model_.orders();
        if (orders.empty()) return nullptr;
        for (int attempt = 0; attempt < 20; ++attempt) {
            const std::int64_t last = static_cast<std::int64_t>(orders.size()) - 1;
            const std::int64_t from = random_.percent(80) ? std::max<std::int64_t>(last - 15, 0) : 0;
            const model::Order& order = orders[static_cast<std::size_t>(random_.between(from, last))];
            if (!mostly_live || is_live(order.base) || random_.percent(12)) return &order;
        }
        return &orders.back();
    }

    std::string id_of(const model::Order& order) {
        if (order.pending && !order.pending->new_id.empty() && random_.percent(50)) return order.pending->new_id;
        return random_.percent(70) ? order.chain.back() : random_.one_of(order.chain);
    }

    std::string fresh_id() { return "O-" + std::to_string(++ids_); }
    std::string strange_id() {
        return random_.pick<std::string>(
            {"", "two words", std::string(40, 'x'), std::string(39, 'y'), "caf\xc3\xa9", "O-1", "O-2"});
    }

    /// A price near the middle, at the edge of the collar, far off, or off the tick.
    std::int64_t price(InstrumentId i) {
        const InstrumentConfig& config = config_of(i);
        const std::int64_t tick = config.tick.value;
        const std::int64_t middle = centre_[static_cast<std::size_t>(i)];
        if (is_huge(i)) return tick * random_.between(1, 9);
        const std::int64_t n = random_.between(1, 100);
        if (n <= 70) return tick * (middle + random_.between(-4, 4));
        if (n <= 82) return edge_of_collar(config, middle * tick);
        if (n <= 90) return tick * (middle + random_.between(-400, 400));
        if (n <= 94) return tick * middle + tick / 2;
        if (n <= 96) return 0;
        return tick * -middle;
    }

    std::int64_t edge_of_collar(const InstrumentConfig& config, std::int64_t middle) {
        const std::int64_t tick = config.tick.value;
        const std::int64_t size = middle < 0 ? -middle : middle;
        const std::int64_t band = std::max<std::int64_t>(config.collar_ticks * tick, size / 10000 * config.collar_bps);
        const std::int64_t edge = (middle + (random_.percent(50) ? band : -band)) / tick * tick;
        return edge + tick * random_.between(-1, 1);
    }

    std::int64_t quantity(InstrumentId i) {
        const InstrumentConfig& config = config_of(i);
        const std::int64_t lot = config.lot.value;
        const std::int64_t n = random_.between(1, 100);
        if (is_huge(i) && n <= 60) return lot * random_.between(1, 2500);
        if (n <= 85) return std::max(lot * random_.between(1, 12), config.min_quantity.value_or(config.lot).value);
        if (n <= 90) return lot * random_.between(0, 25);
        if (n <= 93) return lot + lot / 2;
        if (n <= 95) return lot * random_.between(-3, 0);
        return lot * random_.between(1, 40);
    }

    Command register_order() {
        if (!model_.orders().empty() && random_.percent(6)) return register_again();
        if (!model_.orders().empty() && random_.percent(8)) return register_alike();
        Command c = simple(Op::register_order);
        c.session = trader();
        c.account = c.session == 0 ? AccountId{0} : c.session == 2 ? AccountId{1} : any_account();
        if (random_.percent(3)) c.account = random_.pick({any_account(), AccountId::none, AccountId{7}});
        c.instrument = random_.percent(98) ? any_instrument() : random_.pick({InstrumentId::none, InstrumentId{77}});
        if (c.session == 1 && random_.percent(85)) c.instrument = InstrumentId{random_.pick({0U, 1U, 3U})};  // it may trade
        c.id = random_.percent(95) ? fresh_id() : strange_id();
        c.side = random_.percent(50) ? Side::buy : Side::sell;
        c.type = random_.percent(60)
                     ? OrderType::limit
                     : random_.pick({OrderType::market, OrderType::stop, OrderType::stop_limit, OrderType::pegged});
        c.tif = random_.pick({TimeInForce::day, TimeInForce::ioc, TimeInForce::fok, TimeInForce::gtc, TimeInForce::gtd});
        const bool known = static_cast<std::size_t>(c.instrument) < config_.instruments.size();
        const InstrumentId i = known ? c.instrument : InstrumentId{0};
        c.quantity = quantity(i);
        shape_prices(c, i);
        if (config_.self_match == SelfMatch::refuse_new && c.price && random_.percent(70))  // or nothing trades for long
            c.price = *c.price + config_of(i).tick.value * (c.side == Side::buy ? -5 : 5);
        if (random_.percent(2)) break_shape(c);
        return c;
    }

    /// The content of an earlier order under an id of its own.
    Command register_alike() {
        const model::Order& order = *some_order(false);
        Command c = simple(Op::register_order);
        const auto owner = static_cast<std::uint32_t>(order.strategy);
        c.session = random_.percent(90) && owner < attached_.size() && attached_[owner] ? owner : trader();
        c.id = fresh_id();
        c.account = order.account;
        c.instrument = order.instrument;
        c.side = order.side;
        c.type = order.type;
        c.tif = order.tif;
        c.price = order.registered_price;
        c.stop_price = order.stop_price;
        c.quantity = order.registered_quantity;
        if (random_.percent(8)) c.tif = TimeInForce::gtd;
        if (random_.percent(8)) c.quantity = *c.quantity + config_of(c.instrument).lot.value;
        return c;
    }

    Command batch() {
        Command c = simple(Op::batch);
        c.session = trader();
        c.members.push_back(register_order());
        const bool alike = random_.percent(70);  // many of one order meet a limit, or the end of the table, in the middle
        for (std::int64_t n = random_.between(0, alike ? 15 : 3); n > 0; --n) {
            c.members.push_back(alike ? c.members.front() : register_order());
            if (alike && !random_.percent(1)) c.members.back().id = fresh_id();
        }
        for (Command& member : c.members) member.now_ns = now_ns_;
        return c;
    }

    void shape_prices(Command& c, InstrumentId i) {
        const bool wants_price = c.type == OrderType::limit || c.type == OrderType::stop_limit;
        const bool wants_stop = c.type == OrderType::stop || c.type == OrderType::stop_limit;
        if (wants_price != random_.percent(3)) c.price = price(i);
        if (wants_stop != random_.percent(3)) c.stop_price = price(i);
    }

    void break_shape(Command& c) {
        switch (random_.between(0, 3)) {
            case 0: c.type = random_.pick({OrderType::none, OrderType{9}}); break;
            case 1: c.tif = random_.pick({TimeInForce::none, TimeInForce{9}}); break;
            case 2: c.quantity = random_.pick<std::int64_t>({0, 1, -1}); break;
            default: c.side = random_.pick({Side::none, Side{7}}); break;
        }
    }

    /// The same id again: an idempotent retry, or one field differs.
    Command register_again() {
        const model::Order& order = *some_order(false);
        Command c = simple(Op::register_order);
        c.session = static_cast<std::uint32_t>(order.strategy) < attached_.size() && random_.percent(90)
                        ? static_cast<std::uint32_t>(order.strategy)
                        : trader();
        if (c.session != core::kNoSlot && !attached_[c.session]) c.session = core::kNoSlot;
        c.account = order.account;
        c.instrument = order.instrument;
        c.id = random_.percent(80) ? order.chain.front() : id_of(order);
        c.side = order.side;
        c.type = order.type;
        c.tif = order.tif;
        c.price = order.registered_price;
        c.stop_price = order.stop_price;
        c.quantity = order.registered_quantity;
        if (random_.percent(50)) return c;
        switch (random_.between(0, 4)) {
            case 0: c.side = c.side == Side::buy ? Side::sell : Side::buy; break;
            case 1: c.quantity = *c.quantity + config_of(c.instrument).lot.value; break;
            case 2: c.price = c.price ? std::nullopt : std::optional<std::int64_t>(0); break;
            case 3: c.tif = c.tif == TimeInForce::day ? TimeInForce::ioc : TimeInForce::day; break;
            default: c.instrument = any_instrument(); break;
        }
        return c;
    }

    void name(Command& c, const model::Order& order) {
        c.account = order.account;
        c.id = id_of(order);
    }
    /// An id that nobody registered, or that belongs to another account.
    void name_nobody(Command& c) {
        c.account = random_.pick({any_account(), any_account(), any_account(), AccountId::none});
        c.id = random_.percent(85) ? "U-" + std::to_string(random_.between(1, 90)) : strange_id();
    }

    Command replace() {
        Command c = simple(Op::replace);
        const model::Order* order = some_order(true);
        c.session = order != nullptr ? owner_of(*order) : trader();
        if (order == nullptr || random_.percent(3)) return name_nobody(c), c;
        name(c, *order);
        const std::int64_t lot = config_of(order->instrument).lot.value;
        if (order->type != OrderType::stop ? random_.percent(60) : random_.percent(4)) c.price = new_price(*order);
        if (random_.percent(70))
            c.quantity = std::max(order->quantity + lot * random_.between(-8, 8), random_.percent(95) ? lot : -lot);
        if (random_.percent(6)) c.quantity = order->cum + random_.between(-1, 1) * lot;
        if (random_.percent(2)) c.quantity = quantity(order->instrument);
        if (random_.percent(50)) c.new_id = random_.percent(90) ? fresh_id() : strange_id();
        if (random_.percent(4)) c.new_id = random_.percent(50) ? c.id : id_of(*some_order(false));
        if (random_.percent(20)) c.version = order->version + (random_.percent(15) ? 1U : 0U);
        if (random_.percent(6)) c.stop_price = random_.percent(60) ? order->stop_price : std::optional(order->price);
        return c;
    }

    std::int64_t new_price(const model::Order& order) {
        const std::int64_t tick = config_of(order.instrument).tick.value;
        return random_.percent(60) ? order.price + tick * random_.between(-2, 2) : price(order.instrument);
    }

    Command cancel() {
        Command c = simple(Op::cancel);
        c.session = reporter();
        const model::Order* order = some_order(true);
        if (order == nullptr || random_.percent(4)) {
            name_nobody(c);
        } else {
            name(c, *order);
        }
        return c;
    }

    Command abort() {
        Command c = cancel();
        c.op = Op::abort;
        const model::Order* order = model_.find(c.account, c.id);
        c.session = order != nullptr ? owner_of(*order) : trader();
        return c;
    }

    EventKind kind_for(const model::Order& order) {
        if (order.pending && random_.percent(35))
            return random_.percent(70) ? EventKind::replaced : EventKind::replace_rejected;
        if (order.base == OrderBase::pending_new && random_.percent(55)) return EventKind::acked;
        const std::int64_t n = random_.between(1, 100);
        if (n <= 40) return EventKind::filled;
        if (n <= 52) return EventKind::bust;
        if (n <= 64) return EventKind::correct;
        return random_.pick({EventKind::acked, EventKind::rejected, EventKind::canceled, EventKind::cancel_rejected,
                             EventKind::replaced, EventKind::replace_rejected, EventKind::expired, EventKind::done_for_day,
                             EventKind::suspended, EventKind::resumed, EventKind::timed_out, EventKind::suspended,
                             EventKind::acked, EventKind::canceled});
    }

    Command fact() {
        Command c = simple(Op::fact);
        c.session = reporter();
        const model::Order* order = some_order(random_.percent(70));
        if (order == nullptr || random_.percent(unknown_share_)) return unknown_fact(c), c;
        name(c, *order);
        c.kind = kind_for(*order);
        fill_fact(c, *order);
        if (random_.percent(1)) spoil_fact(c);
        return c;
    }

    void unknown_fact(Command& c) {
        name_nobody(c);
        c.kind = EventKind(static_cast<std::uint8_t>(random_.between(1, 14)));
        if (random_.percent(50)) c.kind = EventKind::filled;
        c.exec_id = "E-" + std::to_string(random_.between(1, 3));
        c.price = price(random_.percent(50) ? InstrumentId{0} : InstrumentId{1});
        c.quantity = random_.between(1, 300'000'000);
        if (random_.percent(80))
            c.instrument =
                random_.percent(95) ? InstrumentId{static_cast<std::uint32_t>(random_.between(0, 3))} : InstrumentId{55};
        if (random_.percent(90)) c.side = random_.percent(50) ? Side::buy : Side::sell;
    }

    void fill_fact(Command& c, const model::Order& order) {
        if (c.kind == EventKind::acked || c.kind == EventKind::replaced)
            if (random_.percent(40)) c.venue_id = random_.percent(85) ? "V-" + order.chain.front() : "V-other";
        if (c.kind == EventKind::cancel_rejected) c.no_such_order = random_.percent(40);
        if (c.kind == EventKind::replaced) fill_replaced(c, order);
        if (c.kind == EventKind::filled) fill_execution(c, order);
        if (c.kind == EventKind::bust || c.kind == EventKind::correct) fill_change(c, order);
        if (random_.percent(25)) c.cum = reported_cum(c, order);
    }

    void fill_replaced(Command& c, const model::Order& order) {
        const std::int64_t lot = config_of(order.instrument).lot.value;
        if (random_.percent(order.pending ? 25 : 90)) c.price = new_price(order);
        if (random_.percent(order.pending ? 25 : 90)) c.quantity = std::max(order.quantity + lot * random_.between(-5, 5), lot);
        if (random_.percent(5)) c.quantity = std::max<std::int64_t>(order.cum, 1);
    }

    void fill_execution(Command& c, const model::Order& order) {
        const std::int64_t lot = config_of(order.instrument).lot.value;
        const std::int64_t leaves = std::max(order.quantity - order.cum, std::int64_t{0});
        c.exec_id = !order.executions.empty() && random_.percent(10) ? random_.one_of(order.executions).id
                                                                     : "E" + std::to_string(++executions_);
        c.price = fill_price(order);
        c.quantity = random_.percent(60) ? lot : random_.percent(60) ? leaves : leaves + lot * random_.between(-2, 2);
        if (random_.percent(5)) c.quantity = *c.quantity / 2 + 1;
        if (order.pending && random_.percent(30)) c.quantity = order.pending->total - order.cum + lot * random_.between(-1, 1);
        c.quantity = std::max<std::int64_t>(*c.quantity, random_.percent(99) ? 1 : 0);
        for (const model::Execution& e : order.executions)
            if (e.id == c.exec_id && random_.percent(50)) c.price = e.price, c.quantity = e.quantity;
        if (random_.percent(30)) c.side = random_.percent(90) ? order.side : Side::sell;
        if (random_.percent(30)) c.instrument = random_.percent(90) ? order.instrument : any_instrument();
    }

    /// Turnover of a huge instrument must stay in 64 bits: what comes after saturation is not modelled.
    std::int64_t fill_price(const model::Order& order) {
        if (is_huge(order.instrument)) return 1;
        return price(order.instrument);
    }

    void fill_change(Command& c, const model::Order& order) {
        c.exec_id = order.executions.empty() || random_.percent(5) ? "E-none" : random_.one_of(order.executions).id;
        c.reopened = random_.percent(35);
        if (c.kind == EventKind::bust) return;
        const std::int64_t lot = config_of(order.instrument).lot.value;
        c.price = fill_price(order);
        c.quantity = lot * random_.between(1, 8);
        if (random_.percent(20)) c.quantity = std::max<std::int64_t>(order.quantity - order.cum + lot, lot);
        if (random_.percent(70)) c.new_exec_id = "E" + std::to_string(++executions_);
        if (random_.percent(8)) c.new_exec_id = order.executions.empty() ? c.exec_id : random_.one_of(order.executions).id;
    }

    std::int64_t reported_cum(const Command& c, const model::Order& order) {
        const std::int64_t lot = config_of(order.instrument).lot.value;
        const std::int64_t after = order.cum + (c.kind == EventKind::filled ? c.quantity.value_or(0) : 0);
        return random_.percent(60) ? after : std::max<std::int64_t>(after + lot * random_.between(-3, 3), 0);
    }

    void spoil_fact(Command& c) {
        switch (random_.between(0, 5)) {
            case 0: c.id = strange_id(); break;
            case 1:
                if (!c.exec_id.empty()) c.exec_id = strange_id();
                break;
            case 2: c.quantity.reset(); break;
            case 3: c.price.reset(); break;
            case 4: c.quantity = spoiled_quantity(); break;
            default: c.kind = EventKind::none; break;
        }
    }

    std::optional<std::int64_t> spoiled_quantity() { return random_.pick<std::int64_t>({0, -5}); }

    Scope any_scope() {
        Scope scope;
        scope.kind = ScopeKind(static_cast<std::uint8_t>(random_.between(0, 5)));
        if (scope.kind == ScopeKind::account || scope.kind == ScopeKind::account_instrument) scope.account = any_account();
        if (scope.kind == ScopeKind::strategy || scope.kind == ScopeKind::strategy_instrument)
            scope.strategy = StrategyId{
                static_cast<std::uint16_t>(random_.between(0, static_cast<std::int64_t>(config_.strategies.size()) - 1))};
        if (scope.kind >= ScopeKind::instrument) scope.instrument = any_instrument();
        return scope;
    }

    Command change_state(Op op) {
        Command c = simple(op);
        c.session = reporter();
        c.scope = any_scope();
        c.to = TradingState(static_cast<std::uint8_t>(random_.between(0, 4)));
        if (op == Op::halt) return c;
        c.to = random_.percent(80) ? TradingState::active : c.to;
        if (random_.percent(90)) c.scope = Scope{};
        for (const auto& [key, row] : model_.rows())  // prefer a scope that is not active, or nothing ever trades again
            if (row.state > TradingState::warn && (c.scope.kind == ScopeKind::none || random_.percent(50)))
                c.scope = scope_of(key);
        if (c.scope.kind == ScopeKind::none) c.scope = any_scope();
        return c;
    }

    LimitValue limit(std::int64_t in_use, std::int64_t step) {
        const std::int64_t n = random_.between(1, 100);
        if (n <= 45) return {LimitValue::Kind::unset, 0};
        if (n <= 60) return {LimitValue::Kind::unlimited, 0};
        if (n <= 85) return {LimitValue::Kind::value, std::max<std::int64_t>(in_use + step * random_.between(0, 12), 0)};
        if (n <= 95)
            return {LimitValue::Kind::value,
                    std::max<std::int64_t>(in_use + step * random_.between(1, 60) + random_.between(-1, 1), 0)};
        return {LimitValue::Kind::value, 0};
    }

    /// Limits a few lots, orders or average orders above what is in use, so that they are met exactly.
    Command limits() {
        Command c = simple(Op::limits);
        c.session = reporter();
        c.scope = any_scope();
        if (random_.percent(30)) return open_again(c);
        const InstrumentId i = c.scope.instrument == InstrumentId::none ? any_instrument() : c.scope.instrument;
        const std::int64_t lot = config_of(i).lot.value;
        const std::int64_t one = std::max<std::int64_t>(
            model_.notional(i, centre_[static_cast<std::size_t>(i)] * config_of(i).tick.value, lot).value_or(1), 1);
        const model::Row& row = model_.row(c.scope);
        c.limits.max_order_quantity = limit(0, lot);
        c.limits.max_order_notional = limit(0, one);
        c.limits.max_long = limit(row.position + row.open_buy_quantity, lot);
        c.limits.max_short = limit(row.open_sell_quantity - row.position, lot);
        c.limits.max_open_notional = limit(row.open_buy_notional / 2 + row.open_sell_notional / 2, one);
        c.limits.max_working_orders = limit(row.working_buy + row.working_sell, 1);
        c.limits.max_working_buy = limit(row.working_buy, 1);
        c.limits.max_working_sell = limit(row.working_sell, 1);
        exposure_limits(c.limits, row, one);
        message_limits(c.limits);
        choose_fields(c);
        return c;
    }

    /// Takes every limit off again, of a scope that has some.
    Command open_again(Command& c) {
        for (const auto& [key, row] : model_.rows())
            if (row.limits != Limits{} && std::get<2>(key) != model_.external() && random_.percent(20)) c.scope = scope_of(key);
        c.limits = open_limits("").limits;
        return c;
    }

    void choose_fields(Command& c) {
        if (random_.percent(60)) {
            if (random_.percent(2)) c.limits.window_ms = {LimitValue::Kind::unlimited, 0};
            return;
        }
        c.fields = 0;
        for (std::int64_t n = random_.between(0, 5); n >= 0; --n) c.fields |= 1U << random_.between(0, 21);
        if (random_.percent(10))
            c.limits.*model::limit_members()[static_cast<std::size_t>(random_.between(0, 21))] = limit_of(-1);
    }

    static std::int64_t in_64(const model::Big& value) {
        if (value > std::int64_t{1} << 62) return std::int64_t{1} << 62;
        return value < 0 ? 0 : value.convert_to<std::int64_t>();
    }
    LimitValue seldom(std::int64_t in_use, std::int64_t step) {
        return random_.percent(45) ? limit(in_use, step) : LimitValue{};
    }

    /// The checks that look at money, a few average orders above what is in use.
    void exposure_limits(Limits& limits, const model::Row& row, std::int64_t one) {
        using model::Big;
        const Big open = Big(row.open_buy_notional) + row.open_sell_notional;
        const Big long_net = Big(row.net_value) + row.open_buy_notional;
        const Big short_net = Big(row.net_value) - row.open_sell_notional;
        const bool worst_case = config_.gross_method == GrossMethod::worst_case;
        limits.max_gross_notional = seldom(in_64(Big(row.gross_value) + (worst_case ? Big(0) : open)), one);
        limits.max_net_notional = seldom(in_64(std::max<Big>(abs(long_net), abs(short_net))), one);
        limits.cash_limit =
            seldom(in_64(row.open_buy_notional + std::max<Big>(Big(row.bought_notional) - row.sold_notional, 0)), one);
        limits.max_traded_notional = seldom(in_64(open + row.bought_notional + row.sold_notional), one);
        const std::int64_t tick_move = std::max<std::int64_t>(one / 100, 1);
        const std::int64_t loss_step = random_.percent(50) ? one : tick_move;
        const int share = random_.percent(40) ? 2 : 1;  // below the loss: the next order finds it
        limits.daily_loss = seldom(in_64(-model_.pnl(row)) / share, loss_step);
        limits.drawdown = seldom(in_64(row.peak - model_.pnl(row)) / share, loss_step);
    }

    LimitValue small_count(std::int64_t most) {
        const std::int64_t n = random_.between(1, 100);
        if (n <= 70) return {};
        return n <= 74 ? LimitValue{LimitValue::Kind::unlimited, 0} : limit_of(random_.between(0, most));
    }

    /// Counts of a few in windows of a few milliseconds.
    void message_limits(Limits& limits) {
        limits.max_messages = small_count(5);
        limits.max_all_messages = small_count(8);
        limits.max_same_content = small_count(2);
        limits.max_same_direction = small_count(4);
        limits.max_rejects = small_count(2);
        if (random_.percent(85)) limits.window_ms = limit_of(random_.between(1, 6));
        if (random_.percent(85)) limits.content_window_ms = limit_of(random_.between(1, 20));
        if (random_.percent(50))
            limits.cancel_headroom_bps = limit_of(random_.pick<std::int64_t>({0, 1500, 3333, 5000, 10000}));
    }

    static Scope scope_of(const model::RowKey& key) {
        return {std::get<0>(key), std::get<1>(key), std::get<2>(key), std::get<3>(key)};
    }

    // -- marks, the restricted list, the start of the day, the second person, soft levels --

    Command mark() {
        Command c = simple(Op::mark);
        c.session = reporter();
        do {
            c.scope = any_scope();
        } while (c.scope.kind < ScopeKind::instrument);
        for (const auto& [key, row] : model_.rows())  // rather one that is worth something
            if (row.position != 0 && std::get<0>(key) >= ScopeKind::instrument && random_.percent(15)) c.scope = scope_of(key);
        c.price = is_huge(c.scope.instrument) ? random_.between(1, 9) : price(c.scope.instrument);
        const auto mark = model_.row(c.scope).mark;
        if (mark && random_.percent(8)) c.price = mark;
        return c;
    }

    Command restrict_scope() {
        Command c = simple(Op::restrict);
        c.session = reporter();
        c.scope = any_scope();
        c.entry.buy = random_.percent(70);
        c.entry.sell = !c.entry.buy || random_.percent(50);
        c.entry.from_ns = random_.percent(20) ? 0 : now_ns_ + random_.between(-6, 6) * kMillisecond / 2;
        if (random_.percent(92)) c.entry.to_ns = now_ns_ + random_.between(7, 60) * kMillisecond / 2;
        if (model_.restricted().empty() || !random_.percent(50)) return c;
        const auto& [row, from_ns, to_ns] = random_.one_of(model_.restricted()).first;
        c.scope = scope_of(row);
        c.entry.from_ns = from_ns;
        c.entry.to_ns = to_ns;
        if (random_.percent(65)) c.entry.buy = c.entry.sell = false;
        return c;
    }

    Command load_position() {
        Command c = simple(Op::load_position);
        c.session = reporter();
        c.account = random_.percent(97) ? any_account() : random_.pick({AccountId::none, AccountId{7}});
        c.instrument = random_.percent(97) ? any_instrument() : InstrumentId{77};
        const bool known = static_cast<std::size_t>(c.instrument) < config_.instruments.size();
        const InstrumentId i = known ? c.instrument : InstrumentId{0};
        c.strategy = random_.percent(40) ? StrategyId::none
                                         : StrategyId{static_cast<std::uint16_t>(
                                               random_.between(0, static_cast<std::int64_t>(config_.strategies.size()) - 1))};
        if (random_.percent(2)) c.strategy = StrategyId{9};
        c.quantity = config_of(i).lot.value * random_.between(1, 12) * (random_.percent(50) ? 1 : -1);
        c.price = is_huge(i) ? 1 : price(i);
        return c;
    }

    /// A market order without a reference price has nothing to be reserved at: no such order is loaded.
    Command load_order() {
        Command c = register_order();
        c.op = Op::load_order;
        c.session = reporter();
        c.strategy = StrategyId{static_cast<std::uint16_t>(
            random_.between(0, random_.percent(97) ? static_cast<std::int64_t>(config_.strategies.size()) - 1 : 9))};
        if (static_cast<std::size_t>(c.strategy) == config_.strategies.size()) c.strategy = StrategyId{0};
        const std::int64_t now_ns = std::max(now_ns_, model_.last_time_ns());
        const bool unpriced = static_cast<std::size_t>(c.instrument) >= config_.instruments.size() ||
                              !model_.fresh_reference(c.instrument, now_ns);
        const bool takes_price = c.type == OrderType::limit || c.type == OrderType::stop_limit;
        if (!unpriced || takes_price) return c;
        c.type = OrderType::limit;
        c.stop_price.reset();
        if (!c.price) c.price = 0;
        return c;
    }

    Command approve() {
        Command c = simple(Op::approve);
        c.session = reporter();
        c.uid = random_.percent(50) ? 1000 : 1001;
        c.request = static_cast<std::uint64_t>(random_.between(0, 400));
        const auto& requests = model_.requests();
        if (requests.empty() || random_.percent(4)) return c;
        const std::int64_t last = static_cast<std::int64_t>(requests.size()) - 1;
        model::ResumeRequest asked =
            requests[static_cast<std::size_t>(random_.between(std::max<std::int64_t>(last - 4, 0), last))];
        for (const model::ResumeRequest& request : requests)
            if (request.open && random_.percent(40)) asked = request;
        c.request = asked.number;
        if (random_.percent(85)) c.uid = asked.uid == 1000 ? 1001 : 1000;
        return c;
    }

    Command alert() {
        Command c = simple(Op::alert);
        c.scope = any_scope();
        c.alert_limit = static_cast<std::uint8_t>(random_.between(2, 13));
        const std::uint8_t present = model_.row(c.scope).alert_levels[c.alert_limit];
        c.alert_level = static_cast<std::uint8_t>((present + random_.between(1, 3)) % 4);
        return c;
    }

    Command session() {
        Command c;
        const auto s = static_cast<std::uint32_t>(random_.between(0, static_cast<std::int64_t>(attached_.size()) - 1));
        const auto dead = std::find(attached_.begin(), attached_.end(), false);
        const std::uint32_t which =
            dead != attached_.end() && random_.percent(80) ? static_cast<std::uint32_t>(dead - attached_.begin()) : s;
        c.op = attached_[which] ? Op::die : Op::attach;
        attached_[which] = !attached_[which];
        c.session = which;
        c.strategy = StrategyId{static_cast<std::uint16_t>(which)};
        return c;
    }

    Command reference(InstrumentId i) {
        Command c = simple(Op::reference);
        c.instrument = i;
        auto& middle = centre_[static_cast<std::size_t>(i)];
        if (!is_huge(i)) middle += random_.between(-3, 3);
        c.price = middle * config_of(i).tick.value + (random_.percent(10) ? config_of(i).tick.value / 3 : 0);
        c.now_ns = now_ns_;
        c.time_ns = now_ns_ + random_.pick<std::int64_t>({0, 0, 0, -10, -140, -150, 5}) * kMillisecond;
        return c;
    }

    Random& random_;
    const SharedConfig& config_;
    const model::Model& model_;
    bool huge_;
    std::vector<bool> attached_;
    std::int64_t unknown_share_ = 5;    // percent of the facts
    std::vector<std::int64_t> centre_;  // of prices, in ticks
    std::int64_t now_ns_ = kStart;
    bool on_grid_ = false;
    std::uint64_t ids_ = 0, executions_ = 0;
};

// ---- both sides ------------------------------------------------------------------------------------------

core::Caller core_caller(const PlainRegistry& registry, const Command& c) {
    core::Caller caller =
        c.session == core::kNoSlot ? PlainRegistry::operator_at(c.now_ns) : registry.caller(c.session, c.now_ns);
    caller.uid = c.uid;
    return caller;
}
model::Caller model_caller(const Command& c) {
    if (c.session == core::kNoSlot) return {c.now_ns, StrategyId::none, c.uid};
    return {c.now_ns, StrategyId{static_cast<std::uint16_t>(c.session)}, c.uid};
}

core::AlertRequest alert_request(const PlainRegistry& registry, const Command& c) {
    core::AlertRequest request;
    request.row = registry.state().geometry.row_of(c.scope);
    request.limit = c.alert_limit;
    request.level = c.alert_level;
    request.unit = Unit::money;
    return request;
}

Verdict run(PlainRegistry& registry, const Command& c) {
    const core::Caller caller = core_caller(registry, c);
    switch (c.op) {
        case Op::register_order: return registry.register_order(caller, order_request(c));
        case Op::batch: break;
        case Op::replace: return registry.replace(caller, replace_request(c));
        case Op::cancel: return registry.cancel(caller, c.account, c.id);
        case Op::abort: return registry.abort(caller, c.account, c.id);
        case Op::fact: return registry.fact(caller, order_event(c));
        case Op::halt: return registry.halt(caller, c.scope, c.to);
        case Op::resume: return registry.resume(caller, c.scope, c.to);
        case Op::release: return registry.release_unreconciled(caller);
        case Op::limits: return registry.set_limits(caller, c.scope, c.limits, c.fields);
        case Op::mark: return registry.marked(caller, c.scope, Price{*c.price});
        case Op::restrict: return registry.restrict(caller, c.scope, c.entry);
        case Op::load_position:
            return registry.load_position(caller, c.account, c.strategy, c.instrument, Quantity{*c.quantity}, Price{*c.price});
        case Op::load_order: return registry.load_order(caller, c.strategy, order_request(c));
        case Op::approve: return registry.approve(caller, c.request);
        case Op::alert: return registry.alert(caller, alert_request(registry, c));
        case Op::die: registry.end_session(c.session, layout::EventType::session_dead, c.now_ns); break;
        case Op::attach: registry.attach(c.session, c.strategy, c.now_ns); break;
        case Op::reference: registry.set_reference(c.instrument, Price{*c.price}, c.time_ns); break;
    }
    return {};
}

Verdict run(model::Model& model, const Command& c) {
    const model::Caller caller = model_caller(c);
    switch (c.op) {
        case Op::register_order: return model.register_order(caller, order_request(c));
        case Op::batch: break;
        case Op::replace: return model.replace(caller, replace_request(c));
        case Op::cancel: return model.cancel(caller, c.account, c.id);
        case Op::abort: return model.abort(caller, c.account, c.id);
        case Op::fact: return model.fact(caller, order_event(c));
        case Op::halt: return model.halt(caller, c.scope, c.to);
        case Op::resume: return model.resume(caller, c.scope, c.to);
        case Op::release: return model.release_unreconciled(caller);
        case Op::limits: return model.set_limits(caller, c.scope, c.limits, c.fields);
        case Op::mark: return model.marked(caller, c.scope, *c.price);
        case Op::restrict: return model.restrict(caller, c.scope, c.entry);
        case Op::load_position: return model.load_position(caller, c.account, c.strategy, c.instrument, *c.quantity, *c.price);
        case Op::load_order: return model.load_order(caller, c.strategy, order_request(c));
        case Op::approve: return model.approve(caller, c.request);
        case Op::alert: return model.alert(caller, c.scope, c.alert_limit, c.alert_level);
        case Op::die: model.died(c.strategy, c.now_ns); break;
        case Op::attach: model.attached(c.strategy, c.now_ns); break;
        case Op::reference: model.set_reference(c.instrument, *c.price, c.time_ns); break;
    }
    return {};
}

/// Collects what differs, by name, as text.
class Differences {
public:
    explicit Differences(std::string where) : where_(std::move(where)) {}
    void compare(const char* what, std::int64_t core, std::int64_t model) {
        if (core != model) text_ << "  " << where_ << ' ' << what << ": core " << core << ", model " << model << '\n';
    }
    template <class T>
        requires std::is_enum_v<T>
    void compare(const char* what, T core, T model) {
        compare(what, static_cast<std::int64_t>(core), static_cast<std::int64_t>(model));
    }
    void compare(const char* what, const std::string& core, const std::string& model) {
        if (core != model) text_ << "  " << where_ << ' ' << what << ": core " << core << ", model " << model << '\n';
    }
    [[nodiscard]] std::string text() const { return text_.str(); }

private:
    std::string where_;
    std::ostringstream text_;
};

std::string differences(const Verdict& core, const Verdict& model) {
    Differences d("answer");
    if (core.result == Result::denied || model.result == Result::denied)
        d.compare("scope", text_of(core.scope), text_of(model.scope));
    d.compare("result", std::string(name_of(core.result)), std::string(name_of(model.result)));
    d.compare("reason", std::string(name_of(core.reason)), std::string(name_of(model.reason)));
    d.compare("has_numbers", core.has_numbers, model.has_numbers);
    d.compare("observed", core.observed, model.observed);
    d.compare("limit", core.limit, model.limit);
    d.compare("unit", core.unit, model.unit);
    d.compare("has_order", core.has_order, model.has_order);
    d.compare("status", core.status, model.status);
    d.compare("flags", core.flags, model.flags);
    d.compare("cum", core.cum_quantity.value, model.cum_quantity.value);
    d.compare("leaves", core.leaves_quantity.value, model.leaves_quantity.value);
    d.compare("request", static_cast<std::int64_t>(core.request), static_cast<std::int64_t>(model.request));
    d.compare("crosses_own", core.crosses_own, model.crosses_own);
    return d.text();
}

std::string join(const std::vector<std::string>& ids) {
    std::string text;
    for (const std::string& id : ids) text += id + ' ';
    return text;
}

std::string differences(const core::State& state, const model::Model& model, const model::Order& order) {
    Differences d("order " + order.chain.front());
    const std::uint32_t slot = core::find_head(state, static_cast<std::uint32_t>(order.account), order.chain.back());
    if (slot == core::kNoSlot) return "  order " + order.chain.front() + " is not in the core\n";
    const OrderView view = core::view_order(state, slot);
    d.compare("chain", join(view.chain), join(order.chain));
    d.compare("venue_id", view.venue_id, order.venue_id);
    d.compare("account", view.account, order.account);
    d.compare("strategy", view.strategy, order.strategy);
    d.compare("instrument", view.instrument, order.instrument);
    d.compare("side", view.side, order.side);
    d.compare("type", view.type, order.type);
    d.compare("tif", view.tif, order.tif);
    d.compare("base", view.base, order.base);
    d.compare("status", view.status, model::Model::status_of(order));
    d.compare("flags", view.flags, model.flags_of(order));
    d.compare("has_price", view.has_price, order.registered_price.has_value());
    d.compare("has_stop_price", view.has_stop_price, order.stop_price.has_value());
    d.compare("price", view.price.value, order.price);
    d.compare("stop_price", view.stop_price.value, order.stop_price.value_or(0));
    d.compare("quantity", view.quantity.value, order.quantity);
    d.compare("cum", view.cum_quantity.value, order.cum);
    d.compare("leaves", view.leaves_quantity.value, model::Model::leaves_of(order));
    d.compare("reserved_quantity", view.reserved_quantity.value, order.reserved_quantity);
    d.compare("reserved_notional", view.reserved_notional.value, order.reserved_notional);
    d.compare("created_ns", view.created_ns, order.created_ns);
    d.compare("version", view.version, order.version);
    return d.text();
}

bool is_restricted(const model::Model& model, const Scope& scope) {
    const auto& list = model.restricted();
    return std::any_of(list.begin(), list.end(),
                       [&](const auto& entry) { return std::get<0>(entry.first) == model::key_of(scope); });
}

std::uint64_t packed_levels(const model::Row& row) {
    std::uint64_t levels = 0;
    for (std::size_t i = 0; i < row.alert_levels.size(); ++i) levels |= std::uint64_t{row.alert_levels[i]} << 2 * i;
    return levels;
}

void compare_risk(Differences& d, const layout::RowRisk& risk, const model::Row& row) {
    const layout::RowValue& value = risk.value.newest();
    const layout::RowMeters& meters = risk.meters.newest();
    d.compare("priced", (value.flags & layout::kPriced) != 0, row.mark.has_value());
    d.compare("marked", (value.flags & layout::kMarked) != 0, row.marked);
    d.compare("mark", value.mark, row.mark.value_or(0));
    d.compare("gross_value", value.gross_value, row.gross_value);
    d.compare("net_value", value.net_value, row.net_value);
    d.compare("cash_flow", value.cash_flow, row.cash_flow);
    d.compare("start_value", value.start_value, row.start_value);
    d.compare("peak", value.peak, row.peak);
    d.compare("value saturated", (value.flags & layout::kValueSaturated) != 0, 0);
    d.compare("messages", static_cast<std::int64_t>(meters.messages), static_cast<std::int64_t>(row.messages.size()));
    d.compare("all_messages", static_cast<std::int64_t>(meters.all_messages),
              static_cast<std::int64_t>(row.all_messages.size()));
    d.compare("alert levels", static_cast<std::int64_t>(risk.alerts.newest().levels),
              static_cast<std::int64_t>(packed_levels(row)));
}

std::string differences(const core::State& state, const model::Model& model, std::uint32_t index) {
    const Scope scope = state.geometry.scope_of(index);
    const model::Row& row = model.row(scope);
    const layout::RowCounters& counters = state.rows[index].counters.newest();
    const layout::RowControl& control = state.rows[index].control.newest();
    const layout::RowDay& day = state.rows_cold[index].day.newest();
    Differences d(text_of(scope));
    d.compare("position", counters.position, row.position);
    d.compare("open_buy_quantity", counters.open_buy_quantity, row.open_buy_quantity);
    d.compare("open_sell_quantity", counters.open_sell_quantity, row.open_sell_quantity);
    d.compare("open_buy_notional", counters.open_buy_notional, row.open_buy_notional);
    d.compare("open_sell_notional", counters.open_sell_notional, row.open_sell_notional);
    d.compare("working_buy", counters.working_buy, row.working_buy);
    d.compare("working_sell", counters.working_sell, row.working_sell);
    d.compare("bought_quantity", day.bought_quantity, row.bought_quantity);
    d.compare("sold_quantity", day.sold_quantity, row.sold_quantity);
    d.compare("bought_notional", day.bought_notional, row.bought_notional);
    d.compare("sold_notional", day.sold_notional, row.sold_notional);
    d.compare("start_position", day.start_position, row.start_position);
    d.compare("saturated", static_cast<std::int64_t>(counters.flags | day.flags), 0);
    d.compare("state", control.state, row.state);
    d.compare("unreconciled", (control.flags & layout::kUnreconciled) != 0, row.unreconciled);
    d.compare("restricted", (control.flags & layout::kRestricted) != 0, is_restricted(model, scope));
    compare_risk(d, state.rows_risk[index], row);
    const Limits limits = core::limits_of(control, state.rows_risk[index].limits.newest());
    if (limits != row.limits) d.compare("limits", text_of(limits), text_of(row.limits));
    return d.text();
}

std::string differences(const core::State& state, const model::Model& model) {
    Differences d("log");
    d.compare("committed", static_cast<std::int64_t>(state.log->committed), static_cast<std::int64_t>(model.events() + 1));
    d.compare("next_order", static_cast<std::int64_t>(state.log->next_order), static_cast<std::int64_t>(model.ids_used()));
    d.compare("next_execution", static_cast<std::int64_t>(state.log->next_execution),
              static_cast<std::int64_t>(model.executions_used()));
    d.compare("next_quarantine", static_cast<std::int64_t>(state.log->next_quarantine),
              static_cast<std::int64_t>(model.quarantine_used()));
    d.compare("quarantined_events", static_cast<std::int64_t>(state.log->quarantined_events),
              static_cast<std::int64_t>(model.quarantined_events()));
    if (model.last_time_ns() != 0)
        d.compare("last_time", static_cast<std::int64_t>(state.log->last_time_ns), model.last_time_ns());
    std::string text = d.text();
    for (std::uint32_t row = 0; row < state.geometry.rows(); ++row) text += differences(state, model, row);
    return text;
}

std::string full_differences(const core::State& state, const model::Model& model) {
    std::string text;
    for (const model::Order& order : model.orders()) text += differences(state, model, order);
    for (const std::string& violation : core::audit(state).violations) text += "  audit: " + violation + '\n';
    return text;
}

// ---- one seed ----------------------------------------------------------------------------------------------

struct Outcome {
    std::uint32_t steps = 0;
    std::string failure;  ///< empty: every step was equal
};

std::string history_of(const std::vector<std::string>& log, const model::Model& model, const Command& c) {
    const model::Order* order = model.find(c.account, c.id);
    std::vector<std::string> ids = order != nullptr ? order->chain : std::vector<std::string>{c.id};
    std::string text;
    for (const std::string& line : log)
        if (std::any_of(ids.begin(), ids.end(),
                        [&](const std::string& id) { return line.find('\'' + id + '\'') != std::string::npos; }))
            text += "    " + line + '\n';
    return text;
}

std::string run_batch(PlainRegistry& registry, model::Model& model, const Command& c) {
    std::vector<OrderRequest> requests;
    for (const Command& member : c.members) requests.push_back(order_request(member));
    const std::vector<Verdict> core = registry.register_all_or_none(core_caller(registry, c), requests);
    const std::vector<Verdict> expected = model.register_all_or_none(model_caller(c), requests);
    std::string text;
    for (std::size_t i = 0; i < requests.size(); ++i) text += differences(core[i], expected[i]);
    return text;
}

std::string run_both(PlainRegistry& registry, model::Model& model, const Command& c) {
    if (c.op == Op::batch) return run_batch(registry, model, c);
    const Verdict core = run(registry, c);
    const Verdict expected = run(model, c);
    return differences(core, expected);
}

std::string step(PlainRegistry& registry, model::Model& model, const Command& c, bool full) {
    std::string text = run_both(registry, model, c);
    if (model.overflowed()) return {};
    if (const model::Order* order = model.find(c.account, c.id)) text += differences(registry.state(), model, *order);
    text += differences(registry.state(), model);
    if (full) text += full_differences(registry.state(), model);
    return text;
}

Outcome run_seed(std::uint64_t seed) {
    Random random(seed);
    const bool huge = random.percent(10);
    const SharedConfig config = world(random, huge);
    PlainRegistry registry(config);
    model::Model model(config);
    if (random.percent(15)) registry.make_unreconciled(), model.make_unreconciled();
    for (std::uint16_t s = 0; s < config.strategies.size(); ++s) {
        registry.attach(s, StrategyId{s}, kStart);
        model.attached(StrategyId{s}, kStart);
    }
    Generator generator(random, config, model, huge);
    for (const Command& c : generator.opening()) run(registry, c), run(model, c);

    Outcome outcome;
    std::vector<std::string> log;
    while (outcome.steps < kStepsPerSeed && !model.overflowed()) {
        const Command c = generator.next();
        log.push_back(std::to_string(outcome.steps) + ": " + text_of(c));
        const std::string text = step(registry, model, c, ++outcome.steps % kFullCheckEvery == 0);
        if (text.empty()) continue;
        outcome.failure = "seed " + std::to_string(seed) + ", step " + log.back() + '\n' + text + "  history of the order:\n" +
                          history_of(log, model, c);
        return outcome;
    }
    return outcome;
}

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("random commands give the same answers and the same state as the reference model",
          "[core][property][inv-4][inv-5][inv-7]") {
    const std::uint64_t first = setting("RISKREG_SEED", 1);
    const std::uint64_t wanted = setting("RISKREG_STEPS", 200'000);
    std::uint64_t done = 0, failures = 0;
    for (std::uint64_t seed = first; done < wanted && failures < kMostFailures; ++seed) {
        const Outcome outcome = run_seed(seed);
        done += outcome.steps;
        if (outcome.failure.empty()) continue;
        ++failures;
        FAIL_CHECK(outcome.failure);
    }
    CHECK(failures == 0);
}

}  // namespace riskreg::test
