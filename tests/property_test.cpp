/// Random commands against the core and against the reference model: equal answers and equal state, every step.
///
/// RISKREG_SEED   first seed (default 1); a failure names its seed, so this and RISKREG_STEPS=1 replay it
/// RISKREG_STEPS  commands in all, rounded up to whole seeds (default 200000)
#include <algorithm>
#include <catch2/catch.hpp>

#include "model/clock.hpp"
#include "model/command.hpp"
#include "model/compare.hpp"
#include "model/drive.hpp"
#include "model/world.hpp"
#include "support/plain_registry.hpp"
#include "support/random.hpp"
#include "support/setting.hpp"

namespace riskreg::test {
namespace {

constexpr std::uint32_t kStepsPerSeed = 400;
constexpr std::uint32_t kFullCheckEvery = 20;

// ---- the generator -----------------------------------------------------------------------------------

/// Draws the next command. Looks at the model's state, so that limits, quantities and reports meet boundaries exactly.
class Generator {
public:
    Generator(Random& random, const SharedConfig& config, const model::Model& model, bool huge)
        : random_(random),
          config_(config),
          model_(model),
          huge_(huge),
          clock_(random, model),
          attached_(config.strategies.size(), true) {
        if (random_.percent(10)) unknown_share_ = 45;  // fills the quarantine
        if (random_.percent(30)) limits_share_ = 7;
        for (const InstrumentConfig& i : config_.instruments)
            centre_.push_back(i.zero_prices ? random_.pick({100, 40, -3, 0, 2000}) : random_.pick({100, 40, 1, 2000}));
        if (huge_) centre_.back() = 5;
    }

    /// A recovery leaves no reference price. Mostly all are written again before anything else.
    Command next() {
        if (unwritten_ > 0) return reference(InstrumentId{--unwritten_});
        Command c = draw();
        set_moment(c);
        for (Command& member : c.members) set_moment(member);
        if (c.op != Op::approve) c.uid = random_.percent(50) ? 1000 : 1001;
        return c;
    }

    /// When the first event is written.
    [[nodiscard]] const model::Moment& begin() const { return clock_.begin(); }
    /// References that exist from the start; the others are unknown until drawn.
    std::vector<Command> opening() {
        std::vector<Command> commands;
        for (std::uint32_t i = 0; i < config_.instruments.size(); ++i) {
            if (!random_.percent(80)) continue;
            if (random_.percent(70)) commands.push_back(own_reference(InstrumentId{i}));
            commands.push_back(reference(InstrumentId{i}));
        }
        return commands;
    }

private:
    void set_moment(Command& c) {
        if (c.op == Op::recovered && random_.percent(60)) clock_.boot();
        set_moment(c, c.op == Op::set_clock ? clock_.to_set() : clock_.now());
        if (c.op == Op::recovered) c.steady_ns = std::max<std::int64_t>(c.steady_ns, 1);  // no machine recovers as it starts
    }
    static void set_moment(Command& c, const model::Moment& at) {
        c.now_ns = at.now_ns;
        c.steady_ns = at.steady_ns;
    }

    Command draw() {
        clock_.advance();
        if (random_.between(1, 1000) <= 6) return simple(Op::set_clock);
        if (config_.four_eyes || random_.between(1, 1000) > 2) return draw_request();
        if (random_.percent(60)) unwritten_ = static_cast<std::uint32_t>(config_.instruments.size());
        return simple(Op::recovered);
    }

    Command draw_request() {
        if (random_.percent(3)) return begin_send();
        if (random_.percent(limits_share_)) return limits();
        if (random_.between(1, 1000) <= 3) return own_reference(any_instrument());
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
    /// One that the strategy may trade.
    AccountId account_of(std::uint32_t session) {
        if (session >= config_.strategies.size()) return any_account();
        const std::string& name = random_.one_of(config_.strategies[session].accounts);
        const auto named = [&](const AccountConfig& account) { return account.id == name; };
        const auto found = std::find_if(config_.accounts.begin(), config_.accounts.end(), named);
        return AccountId(found - config_.accounts.begin());
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
        c.account = account_of(c.session);
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

    /// Of a strategy that is dead as well, which nobody asks for any more but a process that does not know it.
    Command begin_send() {
        Command c = cancel();
        c.op = Op::begin_send;
        const model::Order* order = model_.find(c.account, c.id);
        if (order == nullptr) return c;
        const auto owner = static_cast<std::uint32_t>(order->strategy);
        c.session = owner < attached_.size() && random_.percent(90) ? owner : trader();
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
        const std::vector<LimitValue Limits::*>& members = model::limit_members();
        const auto last = static_cast<std::int64_t>(members.size()) - 1;
        c.fields = 0;
        for (std::int64_t n = random_.between(0, 5); n >= 0; --n) c.fields |= 1U << random_.between(0, last);
        if (random_.percent(10)) c.limits.*members[static_cast<std::size_t>(random_.between(0, last))] = limit_of(-1);
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
        const std::int64_t now_ns = clock_.label_ns();
        c.entry.from_ns = random_.percent(20) ? 0 : saturating_sum(now_ns, random_.between(-6, 6) * kMillisecond / 2);
        if (random_.percent(92)) c.entry.to_ns = saturating_sum(now_ns, random_.between(7, 60) * kMillisecond / 2);
        c.entry.from_ns = std::min(c.entry.from_ns, c.entry.to_ns - 1);  // with labels at either end of time as well
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

    /// A market order that no reference price was ever known for has nothing to be reserved at: no such order is loaded.
    Command load_order() {
        Command c = register_order();
        c.op = Op::load_order;
        c.session = reporter();
        c.strategy = StrategyId{static_cast<std::uint16_t>(
            random_.between(0, random_.percent(97) ? static_cast<std::int64_t>(config_.strategies.size()) - 1 : 9))};
        if (static_cast<std::size_t>(c.strategy) == config_.strategies.size()) c.strategy = StrategyId{0};
        const bool unpriced =
            static_cast<std::size_t>(c.instrument) >= config_.instruments.size() || !model_.known_reference(c.instrument);
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
        if (!is_huge(i)) middle += random_.percent(8) ? random_.between(-30, 30) : random_.between(-3, 3);
        c.price = middle * config_of(i).tick.value + (random_.percent(10) ? config_of(i).tick.value / 3 : 0);
        if (random_.percent(8)) c.price = random_.percent(50) ? 0 : -*c.price;
        if (!config_of(i).zero_prices) c.price = std::max(*c.price, config_of(i).tick.value);  // where it is asked, not here
        set_moment(c);
        const model::Moment written =
            clock_.written(random_.pick<std::int64_t>({0, 0, 0, 0, 0, 0, 10, 140, 150, -5}) * kMillisecond);
        c.time_ns = written.now_ns;
        c.time_steady_ns = written.steady_ns;
        return c;
    }

    Command own_reference(InstrumentId i) {
        Command c = simple(Op::own_reference);
        c.instrument = i;
        set_moment(c);
        return c;
    }

    Random& random_;
    const SharedConfig& config_;
    const model::Model& model_;
    bool huge_;
    CallClock clock_;
    std::vector<bool> attached_;
    std::int64_t unknown_share_ = 5;    // percent of the facts
    std::int64_t limits_share_ = 0;     // percent of the commands, beyond the usual
    std::vector<std::int64_t> centre_;  // of prices, in ticks
    std::uint64_t ids_ = 0, executions_ = 0;
    std::uint32_t unwritten_ = 0;       // reference prices, the first so many instruments'
};

// ---- one seed ----------------------------------------------------------------------------------------------

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
    const std::uint64_t before = model.events();
    std::string text = run_both(registry, model, c);
    if (model.overflowed()) return {};
    text += stamp_differences(registry.state(), model, before);
    if (const model::Order* order = model.find(c.account, c.id)) text += differences(registry.state(), model, *order);
    text += differences(registry.state(), model);
    if (full) text += full_differences(registry.state(), model);
    return text;
}

Outcome run_seed(std::uint64_t seed) {
    Random random(seed);
    const bool huge = random.percent(10);
    SharedConfig config = world(random, huge);
    if (random.percent(35)) widen(random, config);
    PlainRegistry registry(config);
    model::Model model(config);
    if (random.percent(15)) registry.make_unreconciled(), model.make_unreconciled();
    Generator generator(random, config, model, huge);
    const model::Moment& begin = generator.begin();
    for (std::uint16_t s = 0; s < config.strategies.size(); ++s) {
        registry.attach(s, StrategyId{s}, begin.now_ns, begin.steady_ns);
        model.attached(StrategyId{s}, begin);
    }
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

}  // namespace

TEST_CASE("random commands give the same answers and the same state as the reference model",
          "[core][property][inv-4][inv-5][inv-7]") {
    const std::vector<std::string> failures = failures_of_seeds(200'000, run_seed);
    for (const std::string& failure : failures) FAIL_CHECK(failure);
    CHECK(failures.empty());
}

}  // namespace riskreg::test
