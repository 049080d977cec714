/// Eight processes with random commands on one registry, and afterwards the reference model in the order of the log.
///
/// RISKREG_SEED     plays one round of this seed; a failure names its own. What a process asks depends on what it sees, so a
///                  seed gives the same configuration and alike commands, but not the same interleaving
/// RISKREG_ROUNDS   how many rounds
/// RISKREG_LONG=1   longer rounds, 200 of them
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <optional>
#include <thread>

#include "core/audit.hpp"
#include "layout/words.hpp"
#include "model/command.hpp"
#include "model/recheck.hpp"
#include "model/world.hpp"
#include "persist/checkpoint.hpp"
#include "segment/process.hpp"
#include "support/child.hpp"
#include "support/random.hpp"
#include "support/setting.hpp"
#include "support/temp_registry.hpp"

namespace {
/// By how much the wall clock of this process is wrong.
std::atomic<std::int64_t> wall_offset_ns{0};
}  // namespace

/// For the registry and for this test alike; boot time and the like stay what they are.
extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
    const long failed = ::syscall(SYS_clock_gettime, clock, time);
    if (failed != 0 || clock != CLOCK_REALTIME) return static_cast<int>(failed);
    const std::int64_t now_ns = time->tv_sec * 1'000'000'000LL + time->tv_nsec + wall_offset_ns.load();
    *time = {static_cast<time_t>(now_ns / 1'000'000'000), static_cast<long>(now_ns % 1'000'000'000)};
    return 0;
}

namespace riskreg::test {
namespace {

constexpr std::uint32_t kProcesses = 8;
constexpr std::uint32_t kOtherUser = 1001;   // real uid of every other process, where the tests may choose one
constexpr std::uint32_t kADay = 86'400'000;   // ms

// ---- one configuration per seed ---------------------------------------------------------------------------

/// What all processes of a round know.
struct Round {
    std::uint64_t seed = 0;
    std::uint32_t steps = 0;
    SharedConfig config;
    std::vector<std::int64_t> centre;        // of prices, in ticks

    [[nodiscard]] const InstrumentConfig& instrument(InstrumentId i) const {
        return config.instruments[static_cast<std::size_t>(i)];
    }
    /// About what one lot is worth, in units of money. At least 1.
    [[nodiscard]] std::int64_t worth_of_lot(InstrumentId i) const {
        const InstrumentConfig& c = instrument(i);
        const double price = static_cast<double>(centre[static_cast<std::size_t>(i)] * c.tick.value) * 1e-9;
        const double size = static_cast<double>(c.lot.value) * 1e-8 * static_cast<double>(c.multiplier_e9) * 1e-9;
        const double value = price * size * static_cast<double>(c.fx_rate_e9.value_or(1'000'000'000)) * 1e-3;
        return std::max<std::int64_t>(static_cast<std::int64_t>(value < 0 ? -value : value), 1);
    }
};

/// Of `n` lots or orders, sometimes.
LimitValue some(Random& random, std::int64_t percent, std::int64_t value) {
    return random.percent(percent) ? limit_of(value) : LimitValue{};
}

/// Limits that eight processes meet within a few dozen orders.
LimitConfig tight(Random& random, const Round& round, std::string scope, InstrumentId i) {
    LimitConfig config = open_limits(std::move(scope));
    Limits& l = config.limits;
    const std::int64_t lot = round.instrument(i).lot.value;
    const std::int64_t one = round.worth_of_lot(i);
    if (random.percent(60)) l.max_long = limit_of(lot * random.between(30, 200));
    if (random.percent(60)) l.max_short = limit_of(lot * random.between(30, 200));
    l.max_working_orders = some(random, 40, random.between(15, 60));
    l.max_working_buy = some(random, 20, random.between(8, 30));
    l.max_open_notional = some(random, 30, one * random.between(40, 300));
    l.max_gross_notional = some(random, 30, one * random.between(60, 400));
    l.max_net_notional = some(random, 25, one * random.between(40, 200));
    l.cash_limit = some(random, 20, one * random.between(60, 300));
    l.max_traded_notional = some(random, 15, one * random.between(200, 3000));
    l.daily_loss = some(random, 15, one * random.between(1, 20));
    l.drawdown = some(random, 15, one * random.between(1, 20));
    l.max_messages = some(random, 50, random.between(30, 120));
    l.max_all_messages = some(random, 25, random.between(30, 150));
    l.max_same_content = some(random, 25, random.between(1, 3));
    l.max_same_direction = some(random, 15, random.between(4, 20));
    l.max_rejects = some(random, 15, random.between(2, 8));
    l.window_ms = limit_of(random.between(1, 6));
    l.content_window_ms = limit_of(random.between(1, 20));
    return config;
}

void size_tables(Random& random, std::uint32_t steps, Capacity& capacity) {
    capacity.sessions = 2 * kProcesses;
    capacity.strategies = kProcesses + 2;
    capacity.ring_events = steps > 500 ? 1U << 15 : 1U << 13;   // the log of a round
    capacity.orders = random.percent(80) ? capacity.ring_events / 4 : static_cast<std::uint32_t>(random.between(150, 900));
    capacity.executions = random.percent(80) ? capacity.ring_events / 4 : static_cast<std::uint32_t>(random.between(100, 500));
    capacity.budgets = 1024;
}

/// As in the property test, for one strategy a process and without restrictions from the start.
Round make_round(std::uint64_t seed, std::uint32_t steps) {
    Random random(seed);
    Round round;
    round.seed = seed;
    round.steps = steps;
    SharedConfig& config = round.config;
    config = world(random, false);
    config.persistence_mode = PersistenceMode::none;
    config.limits.clear();
    config.restricted.clear();
    config.four_eyes = config.four_eyes && ::geteuid() == 0;   // two users are needed
    size_tables(random, steps, config.capacity);
    for (std::size_t s = config.strategies.size(); s < kProcesses; ++s) {
        StrategyConfig strategy{.id = "s" + std::to_string(s), .accounts = {"A1", "A2"}, .instruments = {}};
        config.strategies.push_back(strategy);
    }
    // A reference price has no place in the log: it is set once, and gets stale at a moment that is known, or never.
    for (InstrumentConfig& i : config.instruments) {
        round.centre.push_back(random.pick({100, 40, 400, -200, 0, 2000}));
        i.zero_prices = i.zero_prices || round.centre.back() <= 0;
        i.reference_max_age_ms = random.percent(10) ? static_cast<std::uint32_t>(random.between(20, 200)) : kADay;
    }
    config.limits.push_back(tight(random, round, "firm", InstrumentId{0}));
    for (std::uint32_t i = 0; i < config.instruments.size(); ++i) {
        const std::string name = config.instruments[i].id;
        for (const std::string& scope :
             {"instrument:" + name, "account:A1/instrument:" + name, "account:A2/instrument:" + name})
            if (random.percent(60)) config.limits.push_back(tight(random, round, scope, InstrumentId{i}));
    }
    for (const char* scope : {"account:A1", "account:A2", "strategy:mm", "strategy:arb", "strategy:s5"})
        if (random.percent(35)) config.limits.push_back(tight(random, round, scope, InstrumentId{0}));
    if (random.percent(40)) config.limits.push_back(tight(random, round, "strategy:s4/instrument:XBT", InstrumentId{1}));
    return round;
}

// ---- one process ------------------------------------------------------------------------------------------

/// How far everybody is, so that everybody can name everybody's orders.
struct Board {
    std::atomic<std::uint32_t> ready{0};
    std::atomic<bool> go{false};
    std::array<std::atomic<std::int64_t>, kProcesses> ids{};
};

/// Both times as a call takes them.
model::Moment moment() { return {segment::realtime_ns(), segment::boottime_ns()}; }

/// One strategy session and one operator in one process. Draws commands from what the shared tables say, asks and writes
/// down.
class Participant {
public:
    Participant(const TempRegistry& place, const Round& round, Board& board, std::uint32_t number)
        : round_(round),
          board_(board),
          number_(number),
          random_(round.seed * 1000 + number),
          session_(place.attach(round.config.strategies[number].id)),
          desk_(place.attach()),
          live_(place, segment::Access::read_only) {}

    void run() {
        board_.ready.fetch_add(1);
        wait_until([&] { return board_.go.load(); });
        for (std::uint32_t step = 0; step < round_.steps; ++step) {
            if (step == 0 || random_.between(1, 1000) <= 15) step_wall_clock();
            ask(draw());
            let_others_in();
        }
    }
    [[nodiscard]] const std::vector<Recorded>& records() const noexcept { return records_; }

private:
    /// Right, or a little or far off, until the next step. The clock of the calls looks again once a millisecond.
    void step_wall_clock() {
        constexpr std::int64_t kSecond = 1000 * kMillisecond;
        const std::int64_t off = random_.pick({kSecond / 2, kSecond, 3600 * kSecond, 86'400 * kSecond});
        wall_offset_ns.store(random_.percent(40) ? 0 : random_.percent(50) ? off : -off);
        const std::int64_t looked_ns = segment::boottime_ns() + 2 * kMillisecond;
        wait_until([&] { return segment::boottime_ns() >= looked_ns; });
    }

    /// On two processors a call is shorter than a turn: without this each process would have the registry to itself.
    void let_others_in() {
        if (random_.percent(30)) ::sched_yield();
        if (random_.percent(15)) std::this_thread::sleep_for(std::chrono::microseconds(random_.between(1, 60)));
    }

    [[nodiscard]] std::uint64_t committed() const { return layout::load_acquire(live_.state().log->committed); }

    void ask(Command c) {
        c.uid = ::getuid();
        Recorded record;
        record.before = committed();
        const model::Moment before = moment();
        record.answers =
            c.op == Op::batch ? ask_batch(c) : std::vector<Verdict>{test::ask(c.session == kNoSession ? desk_ : session_, c)};
        const model::Moment after = moment();
        record.before_ns = before.now_ns, record.before_steady_ns = before.steady_ns;
        record.after_ns = after.now_ns, record.after_steady_ns = after.steady_ns;
        record.after = committed();
        record.command = std::move(c);
        records_.push_back(std::move(record));
    }

    std::vector<Verdict> ask_batch(const Command& c) {
        std::vector<OrderRequest> requests;
        for (const Command& member : c.members) requests.push_back(order_request(member));
        return session_.register_batch(requests, true);
    }

    Command draw() {
        const std::int64_t n = random_.between(1, 1000);
        if (n <= 330) return register_order();
        if (n <= 345) return batch();
        if (n <= 450) return replace();
        if (n <= 500) return about_order(Op::cancel, reporter());
        if (n <= 520) return about_order(Op::abort, number_);
        if (n <= 865) return fact();
        if (n <= 925) return resume();
        if (n <= 931) return halt();
        if (n <= 960) return limits();
        return rarely();
    }

    Command rarely() {
        if (round_.config.four_eyes && random_.percent(45)) return approve();
        const std::int64_t n = random_.between(1, 100);
        if (n <= 8) return restrict_scope();
        if (n <= 45) return load_position();
        if (n <= 75) return load_order();
        if (n <= 90) return reference();
        if (n <= 94) return approve();
        return n <= 97 ? simple(Op::set_clock, kNoSession) : simple(Op::release, reporter());
    }

    static Command simple(Op op, std::uint32_t session) {
        Command c;
        c.op = op;
        c.session = session;
        return c;
    }

    std::uint32_t reporter() { return random_.percent(60) ? number_ : kNoSession; }
    InstrumentId any_instrument() {
        return InstrumentId{
            static_cast<std::uint32_t>(random_.between(0, static_cast<std::int64_t>(round_.config.instruments.size()) - 1))};
    }
    StrategyId any_strategy() { return StrategyId{static_cast<std::uint16_t>(random_.between(0, kProcesses - 1))}; }
    AccountId any_account() { return AccountId{static_cast<std::uint16_t>(random_.between(0, 1))}; }

    // -- names: everybody can say which account an order of anybody is in --

    static std::string id_of(std::int64_t process, std::int64_t n) {
        return "P" + std::to_string(process) + "-" + std::to_string(n);
    }
    static AccountId account_of(std::int64_t process, std::int64_t n) {
        return AccountId{static_cast<std::uint16_t>(process == 0 ? 0 : process == 2 ? 1 : n % 2)};
    }
    /// A new id, and its account.
    void name_new(Command& c) {
        const std::int64_t n = board_.ids[number_].fetch_add(1) + 1;
        c.id = id_of(number_, n);
        c.account = account_of(number_, n);
    }

    /// Some order, rather a recent and a live one, rather our own.
    std::optional<OrderView> some_order(bool ours) {
        std::optional<OrderView> found;
        for (int attempt = 0; attempt < 16; ++attempt) {
            const bool own = ours ? attempt < 12 : random_.percent(50);
            const std::int64_t process = own ? number_ : random_.between(0, kProcesses - 1);
            const std::int64_t last = board_.ids[static_cast<std::size_t>(process)].load();
            if (last == 0) continue;
            const std::int64_t back = random_.percent(85) ? 20 : last;
            const std::int64_t n = random_.between(std::max<std::int64_t>(last - back, 1), last);
            OrderView view;
            if (!session_.find(account_of(process, n), id_of(process, n), view)) continue;
            found = std::move(view);
            if (is_live(found->base) || random_.percent(10)) break;
        }
        return found;
    }

    void name(Command& c, const OrderView& order) {
        c.account = order.account;
        c.id = random_.percent(75) ? order.chain.back() : random_.one_of(order.chain);
    }
    void name_nobody(Command& c) {
        c.account = any_account();
        c.id = "U-" + std::to_string(random_.between(1, 60));
    }

    Command about_order(Op op, std::uint32_t session) {
        Command c = simple(op, session);
        const auto order = some_order(op == Op::abort && random_.percent(80));
        if (order && random_.percent(97)) {
            name(c, *order);
        } else {
            name_nobody(c);
        }
        return c;
    }

    // -- numbers --

    std::int64_t price_near(InstrumentId i, Random& random) {
        return round_.instrument(i).tick.value * (round_.centre[static_cast<std::size_t>(i)] + random.between(-5, 5));
    }
    std::int64_t price(InstrumentId i) {
        const std::int64_t tick = round_.instrument(i).tick.value;
        const std::int64_t n = random_.between(1, 100);
        if (n <= 92) return price_near(i, random_);
        if (n <= 96) return price_near(i, random_) + tick * random_.between(-200, 200);
        return n <= 98 ? price_near(i, random_) + tick / 2 : 0;
    }
    std::int64_t quantity(InstrumentId i) {
        const InstrumentConfig& config = round_.instrument(i);
        const std::int64_t lot = config.lot.value;
        if (random_.percent(3)) return lot * random_.between(-1, 60) + random_.between(0, 1) * lot / 2;
        return std::max(lot * random_.between(1, 12), config.min_quantity.value_or(config.lot).value);
    }

    // -- requests --

    Command register_order() {
        Command c = simple(Op::register_order, number_);
        if (!last_order_.id.empty() && random_.percent(9)) {   // a retry, or the same content again
            c = last_order_;
            if (random_.percent(60)) name_new(c), c.account = last_order_.account;
            if (random_.percent(10)) c.quantity = *c.quantity + round_.instrument(c.instrument).lot.value;
            return c;
        }
        name_new(c);
        shape(c);
        last_order_ = c;
        return c;
    }

    void shape(Command& c) {
        c.instrument = number_ == 1 && random_.percent(90) ? InstrumentId{random_.pick({0U, 1U, 3U})} : any_instrument();
        c.side = random_.percent(50) ? Side::buy : Side::sell;
        c.type = random_.percent(75)
                     ? OrderType::limit
                     : random_.pick({OrderType::market, OrderType::stop, OrderType::stop_limit, OrderType::pegged});
        c.tif = random_.pick({TimeInForce::day, TimeInForce::ioc, TimeInForce::gtc});
        c.quantity = quantity(c.instrument);
        if (c.type == OrderType::limit || c.type == OrderType::stop_limit) c.price = price(c.instrument);
        if (c.type == OrderType::stop || c.type == OrderType::stop_limit) c.stop_price = price(c.instrument);
        if (round_.config.self_match == SelfMatch::refuse_new && c.price && random_.percent(85))  // or nothing rests for long
            c.price = *c.price + round_.instrument(c.instrument).tick.value * (c.side == Side::buy ? -8 : 8);
        if (random_.percent(1)) c.quantity = 0;
    }

    Command batch() {
        Command c = simple(Op::batch, number_);
        for (std::int64_t n = random_.between(1, random_.percent(30) ? 6 : 2); n > 0; --n) {
            c.members.push_back(register_order());
            if (random_.percent(50) && n > 1) {  // alike: meets a limit in the middle
                c.members.push_back(c.members.back());
                if (!random_.percent(3)) name_new(c.members.back());
            }
        }
        return c;
    }

    Command replace() {
        Command c = simple(Op::replace, number_);
        const auto order = some_order(random_.percent(92));
        if (!order) return name_nobody(c), c;
        name(c, *order);
        const InstrumentConfig& config = round_.instrument(order->instrument);
        if (order->type != OrderType::stop && random_.percent(60))
            c.price = order->price.value + config.tick.value * random_.between(-3, 3);
        if (random_.percent(70))
            c.quantity = std::max(order->quantity.value + config.lot.value * random_.between(-8, 8), config.lot.value);
        if (random_.percent(5)) c.quantity = order->cum_quantity.value - config.lot.value;
        if (random_.percent(50)) c.new_id = "R" + std::to_string(number_) + "-" + std::to_string(++renamed_);
        if (random_.percent(3)) c.new_id = order->id;
        if (random_.percent(20)) c.version = order->version;
        return c;
    }

    // -- facts. Whoever reports an execution of an order says the same of it, as two drop copies do --

    struct Execution {
        std::string id;
        std::int64_t price = 0, quantity = 0;
    };
    Execution execution_of(const OrderView& order, const char* kind) {
        const std::int64_t k = random_.between(1, 4);
        Execution execution;
        execution.id = kind + order.id + "-" + std::to_string(k);
        Random fixed(std::hash<std::string>{}(execution.id));
        execution.price = price_near(order.instrument, fixed);
        execution.quantity = round_.instrument(order.instrument).lot.value * fixed.between(1, 4);
        return execution;
    }

    EventKind kind_for(const OrderView& order) {
        if ((order.flags & kPendingReplace) != 0 && random_.percent(45))
            return random_.percent(70) ? EventKind::replaced : EventKind::replace_rejected;
        if (order.base == OrderBase::pending_new && random_.percent(60)) return EventKind::acked;
        const std::int64_t n = random_.between(1, 100);
        if (n <= 48) return EventKind::filled;
        if (n <= 55) return EventKind::bust;
        if (n <= 62) return EventKind::correct;
        return random_.pick({EventKind::acked, EventKind::rejected, EventKind::canceled, EventKind::canceled,
                             EventKind::canceled, EventKind::cancel_rejected, EventKind::replaced, EventKind::replace_rejected,
                             EventKind::expired, EventKind::done_for_day, EventKind::suspended, EventKind::resumed,
                             EventKind::timed_out});
    }

    Command fact() {
        Command c = simple(Op::fact, reporter());
        const auto order = some_order(false);
        if (!order || random_.percent(2)) return unknown_fact(c), c;
        name(c, *order);
        c.kind = kind_for(*order);
        if (c.kind == EventKind::acked && random_.percent(40)) c.venue_id = random_.percent(90) ? "V-" + order->id : "V-other";
        if (c.kind == EventKind::cancel_rejected) c.no_such_order = random_.percent(40);
        if (c.kind == EventKind::replaced) fill_replaced(c, *order);
        if (c.kind == EventKind::filled || c.kind == EventKind::bust || c.kind == EventKind::correct) fill_execution(c, *order);
        if (random_.percent(20))
            c.cum = std::max<std::int64_t>(order->cum_quantity.value + (c.kind == EventKind::filled ? *c.quantity : 0), 0);
        return c;
    }

    void fill_replaced(Command& c, const OrderView& order) {
        const bool pending = (order.flags & kPendingReplace) != 0;
        const InstrumentConfig& config = round_.instrument(order.instrument);
        if (random_.percent(pending ? 25 : 90)) c.price = order.price.value + config.tick.value * random_.between(-2, 2);
        if (random_.percent(pending ? 25 : 90))
            c.quantity = std::max(order.quantity.value + config.lot.value * random_.between(-5, 5), config.lot.value);
    }

    void fill_execution(Command& c, const OrderView& order) {
        const Execution execution = execution_of(order, "X");
        c.exec_id = execution.id;
        c.reopened = c.kind != EventKind::filled && random_.percent(35);
        if (c.kind == EventKind::bust) return;
        c.price = execution.price;
        c.quantity = execution.quantity;
        if (c.kind == EventKind::filled && random_.percent(25) && order.leaves_quantity.value > 0) {
            c.exec_id += "-rest";
            c.quantity = order.leaves_quantity.value;
        }
        if (c.kind == EventKind::correct) {
            const Execution corrected = execution_of(order, "Y");
            if (random_.percent(80)) c.new_exec_id = corrected.id;
            c.price = corrected.price;
            c.quantity = corrected.quantity;
        }
        if (random_.percent(20)) c.side = random_.percent(95) ? order.side : Side::sell;
        if (random_.percent(20)) c.instrument = order.instrument;
    }

    void unknown_fact(Command& c) {
        name_nobody(c);
        c.kind = random_.percent(60) ? EventKind::filled : EventKind(static_cast<std::uint8_t>(random_.between(1, 14)));
        c.exec_id = "E-" + std::to_string(random_.between(1, 3));
        c.instrument = any_instrument();
        c.price = price(c.instrument);
        c.quantity = round_.instrument(c.instrument).lot.value * random_.between(1, 3);
        if (random_.percent(90)) c.side = random_.percent(50) ? Side::buy : Side::sell;
    }

    // -- control --

    Scope any_scope() {
        Scope scope;
        scope.kind = ScopeKind(static_cast<std::uint8_t>(random_.between(0, 5)));
        if (scope.kind == ScopeKind::account || scope.kind == ScopeKind::account_instrument) scope.account = any_account();
        if (scope.kind == ScopeKind::strategy || scope.kind == ScopeKind::strategy_instrument) scope.strategy = any_strategy();
        if (scope.kind >= ScopeKind::instrument) scope.instrument = any_instrument();
        return scope;
    }

    Command halt() {
        Command c = simple(Op::halt, reporter());
        c.scope = any_scope();
        c.to = TradingState(static_cast<std::uint8_t>(random_.between(0, 4)));
        return c;
    }

    /// A scope that is not active, if there is one: or nothing trades for long.
    Command resume() {
        Command c = simple(Op::resume, reporter());
        c.scope = any_scope();
        std::int64_t seen = 0;
        desk_.reader().exposures([&](const ExposureView& row) {
            if (row.state > TradingState::warn && random_.between(0, seen++) == 0) c.scope = row.scope;
            return true;
        });
        if (random_.percent(10)) c.to = TradingState(static_cast<std::uint8_t>(random_.between(0, 4)));
        return c;
    }

    LimitValue near(std::int64_t in_use, std::int64_t step, std::int64_t percent) {
        if (!random_.percent(percent)) return {};
        return limit_of(std::max<std::int64_t>(in_use + step * random_.between(-2, 20), 0));
    }

    /// A little above, or below, what is in use at the moment.
    Command limits() {
        Command c = simple(Op::limits, reporter());
        c.scope = any_scope();
        c.limits = open_limits("").limits;
        if (random_.percent(45)) return c;
        const InstrumentId i = c.scope.instrument == InstrumentId::none ? any_instrument() : c.scope.instrument;
        const std::int64_t lot = round_.instrument(i).lot.value;
        const std::int64_t one = round_.worth_of_lot(i);
        const ExposureView row = desk_.exposure(c.scope);
        const std::int64_t open = row.open_buy_notional.value + row.open_sell_notional.value;
        c.limits.max_long = near(row.position.value + row.open_buy_quantity.value, lot, 60);
        c.limits.max_short = near(row.open_sell_quantity.value - row.position.value, lot, 60);
        c.limits.max_working_orders = near(row.working_buy + row.working_sell, 1, 30);
        c.limits.max_working_sell = near(row.working_sell, 1, 20);
        c.limits.max_open_notional = near(open, one, 25);
        c.limits.max_gross_notional = near(row.gross_value.value + open, one, 25);
        c.limits.max_net_notional = near(row.net_value.value + row.open_buy_notional.value, one, 20);
        c.limits.cash_limit = near(open, one, 15);
        c.limits.max_traded_notional =
            near(row.bought_notional_today.value + row.sold_notional_today.value + open, 4 * one, 15);
        c.limits.daily_loss = near(-row.pnl.value, one, 10);
        c.limits.drawdown = near(row.peak_pnl.value - row.pnl.value, one, 10);
        budgets(c.limits);
        if (random_.percent(40)) c.fields = static_cast<LimitMask>(random_.next() & kAllLimits);
        if (random_.percent(2)) c.limits.window_ms = {LimitValue::Kind::unlimited, 0};  // refused
        return c;
    }

    void budgets(Limits& limits) {
        limits.max_messages = some(random_, 35, random_.between(5, 80));
        limits.max_all_messages = some(random_, 20, random_.between(10, 100));
        limits.max_same_content = some(random_, 20, random_.between(0, 3));
        limits.max_same_direction = some(random_, 10, random_.between(2, 20));
        limits.max_rejects = some(random_, 10, random_.between(0, 6));
        limits.window_ms = some(random_, 80, random_.between(1, 6));
        limits.content_window_ms = some(random_, 80, random_.between(1, 20));
        limits.cancel_headroom_bps = some(random_, 40, random_.pick<std::int64_t>({0, 1500, 5000, 10000}));
    }

    /// In force for at least 5 ms: see Recheck.
    Command restrict_scope() {
        Command c = simple(Op::restrict, reporter());
        c.scope = any_scope();
        if (c.scope.kind < ScopeKind::instrument && random_.percent(80)) c.scope = any_scope();
        c.entry.buy = random_.percent(60);
        c.entry.sell = !c.entry.buy || random_.percent(30);
        c.entry.reason = "test";
        const auto label_ns = static_cast<std::int64_t>(layout::load_acquire(live_.state().log->last_time_ns));
        c.entry.from_ns = label_ns + random_.between(-3, 3) * kMillisecond;
        c.entry.to_ns = c.entry.from_ns + random_.between(5, 10) * kMillisecond;
        const std::vector<RestrictionView> list = desk_.reader().restrictions();
        if (list.empty() || !random_.percent(60)) return c;
        const RestrictionView& entry = random_.one_of(list);
        c.scope = entry.scope;
        c.entry.from_ns = entry.from_ns;
        c.entry.to_ns = entry.to_ns;
        if (random_.percent(80)) c.entry.buy = c.entry.sell = false;
        return c;
    }

    Command load_position() {
        Command c = simple(Op::load_position, reporter());
        c.account = any_account();
        c.instrument = any_instrument();
        c.strategy = random_.percent(30) ? StrategyId::none : any_strategy();
        c.quantity = round_.instrument(c.instrument).lot.value * random_.between(-6, 6);
        c.price = price(c.instrument);
        return c;
    }

    Command load_order() {
        Command c = simple(Op::load_order, reporter());
        name_new(c);
        shape(c);
        c.strategy = any_strategy();
        c.type = OrderType::limit;  // a market order without a reference price has nothing to be reserved at
        c.stop_price.reset();
        c.price = price(c.instrument);
        return c;
    }

    Command approve() {
        Command c = simple(Op::approve, reporter());
        c.request = static_cast<std::uint64_t>(random_.between(1, 100));
        std::int64_t seen = 0;
        for (const ApprovalView& asked : desk_.reader().approvals())
            if (!asked.approved && random_.between(0, seen++) == 0) c.request = asked.request;
        return c;
    }

    /// The price that there is, of one that does not get stale: only the writer may change.
    Command reference() {
        Command c = simple(Op::reference, number_);
        c.instrument = any_instrument();
        for (int attempt = 0; attempt < 4; ++attempt)
            if (!may_repeat(c.instrument)) c.instrument = any_instrument();
        if (!may_repeat(c.instrument)) return simple(Op::release, reporter());
        c.price = live_.state().references[static_cast<std::size_t>(c.instrument)].price.read().price;
        return c;
    }
    [[nodiscard]] bool may_repeat(InstrumentId i) const {
        const layout::ReferencePrice there = live_.state().references[static_cast<std::size_t>(i)].price.read();
        return round_.instrument(i).reference_max_age_ms > 1000 && there.time_ns != 0;
    }

    const Round& round_;
    Board& board_;
    const std::uint32_t number_;
    Random random_;
    Registry session_, desk_;
    LiveSegment live_;
    std::vector<Recorded> records_;
    Command last_order_;
    std::uint64_t renamed_ = 0;
};

// ---- one round -----------------------------------------------------------------------------------------------

/// Before anybody trades, by a session that then leaves.
void set_references(const TempRegistry& place, const Round& round) {
    Random random(round.seed ^ 0x5EED);
    Registry setter = place.attach(round.config.strategies.back().id);
    for (std::uint32_t i = 0; i < round.config.instruments.size(); ++i) {
        if (random.percent(6)) continue;
        const Price price{round.centre[i] * round.config.instruments[i].tick.value};
        if (setter.reference_price(InstrumentId{i}, price).result != Result::ok) throw std::runtime_error("no reference price");
    }
}

/// To the registry a person is a real uid. Where that cannot be chosen, nobody is a second person.
void become_another_user() {
    constexpr auto same = static_cast<uid_t>(-1);
    const int refused = ::geteuid() == 0 ? ::setresuid(kOtherUser, same, same) : 0;
    static_cast<void>(refused);
}

std::vector<Recorded> let_all_play(const TempRegistry& place, const Round& round, const std::string& directory) {
    const Shared<Board> board;
    const auto file_of = [&](std::uint32_t number) { return directory + "/" + std::to_string(number); };
    std::vector<Child> children;
    for (std::uint32_t number = 0; number < kProcesses; ++number)
        children.emplace_back([&, number] {
            if (number % 2 == 1) become_another_user();
            Participant participant(place, round, *board, number);
            participant.run();
            write_records(file_of(number), participant.records());
        });
    wait_until([&] { return board->ready.load() == kProcesses; });
    board->go.store(true);
    for (Child& child : children)
        if (!child.wait().left_with(0)) throw std::runtime_error("a process failed");
    std::vector<Recorded> all;
    for (std::uint32_t number = 0; number < kProcesses; ++number) {
        std::vector<Recorded> records = read_records(file_of(number));
        std::move(records.begin(), records.end(), std::back_inserter(all));
    }
    return all;
}

/// The tables in the form that does not depend on where anything lies: as a checkpoint writes them.
std::string canonical_text(const core::State& state) {
    const TempDir directory;
    persist::Directory opened;
    persist::CheckpointOptions options;
    options.registry = "desk";
    options.epoch = options.host_epoch = 1;
    std::string stage;
    const bool failed =
        persist::Directory::open(directory.path(), opened) || persist::write_checkpoint(opened, state, options, stage);
    if (failed) throw std::runtime_error("cannot write the tables: " + stage);
    std::ifstream file(directory.path() + "/" + persist::checkpoint_name(state.log->committed), std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (text.empty()) throw std::runtime_error("nothing was written of the tables");
    return text;
}

std::string check_replica(const core::State& live, const core::State& replica) {
    std::string text;
    if (core::digest(live) != core::digest(replica)) text += "the log replayed from empty gives another digest\n";
    const auto copy = core::copy_consistent(live);
    if (!copy) return text + "tables at rest could not be copied\n";
    if (canonical_text(copy->state) != canonical_text(replica)) text += "the log replayed from empty gives other tables\n";
    return text;
}

using Forgery = std::function<void(std::vector<Recorded>&)>;

std::string run_round(std::uint64_t seed, std::uint32_t steps, Coverage& coverage, const Forgery& forge = {}) {
    const Round round = make_round(seed, steps);
    const TempRegistry place(round.config);
    const TempDir directory;
    set_references(place, round);
    std::vector<Recorded> records = let_all_play(place, round, directory.path());
    if (forge) forge(records);

    const Reader reader = place.look();
    const LiveSegment live(place, segment::Access::read_only);
    const core::State& state = live.state();
    if (state.log->committed >= state.geometry.ring_events) throw std::runtime_error("the ring is too small for a round");
    std::string text;
    for (const std::string& violation : reader.audit().violations) text += "audit: " + violation + '\n';

    Recheck recheck(state, reader.config_json(), records);
    for (std::uint32_t i = 0; i < state.geometry.instruments; ++i) {
        const layout::ReferencePrice there = state.references[i].price.newest();
        if (there.time_ns != 0) recheck.set_reference(InstrumentId{i}, there.price, {there.time_ns, there.steady_ns});
    }
    text += recheck.run();
    if (text.empty()) text = check_replica(state, recheck.replica());
    coverage.add(recheck.coverage());
    return text;
}

void print(const char* what, const std::map<DenyReason, std::uint64_t>& counts) {
    std::printf("  %s:", what);
    for (const auto& [reason, count] : counts)
        std::printf(" %s %llu", std::string(name_of(reason)).c_str(), static_cast<unsigned long long>(count));
    std::printf("\n");
}

void print(std::uint64_t rounds, const Coverage& c) {
    const auto number = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
    std::printf("%llu rounds of %u processes: %llu events, %llu times from one caller to another\n", number(rounds), kProcesses,
                number(c.events), number(c.handovers));
    std::printf(
        "  answers compared at their event: %llu (%llu orders accepted, %llu refusals); refusals between events: %llu\n",
        number(c.commands), number(c.accepted), number(c.refusals_logged), number(c.refusals_between));
    std::printf("  places in the log that agree with the clock: %llu\n", number(c.ordered_in_time));
    std::printf("  events of clocks that ran ahead: %llu; clocks set: %llu\n", number(c.ahead), number(c.clocks_set));
    print("refusals compared", c.refused);
    print("refusals without a known place, not compared", c.not_placed);
}

}  // namespace

TEST_CASE("eight processes at once get the answers and leave the state that the reference model gives in the order of the log",
          "[core][property][processes][inv-4][inv-5][inv-7][inv-11]") {
    const Seeds seeds = seeds_of(setting("RISKREG_ROUNDS", long_form() ? 200 : RISKREG_SANITIZED ? 2 : 6));
    const std::uint32_t steps = long_form() ? 4000 : 400;
    Coverage coverage;
    for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
        const std::string text = run_round(seed, steps, coverage);
        if (!text.empty()) FAIL_CHECK("seed " << seed << ", " << text);
    }
    print(seeds.count, coverage);
    CHECK(coverage.not_placed.count(DenyReason::lock_timeout) == 0);
    CHECK(coverage.ahead > 0);
    CHECK(coverage.clocks_set > 0);
    CHECK(coverage.refusals_logged > 0);
    CHECK(coverage.refusals_between > 0);
}

TEST_CASE("control: an order of the log that the clock contradicts, and an answer that was changed, are found",
          "[property][processes][inv-4]") {
    Coverage coverage;
    const auto accepted = [](const Recorded& r) { return r.answers.size() == 1 && r.answers[0].accepted(); };
    const std::string late = run_round(1, 200, coverage, [&](std::vector<Recorded>& records) {
        Recorded& early = *std::min_element(records.begin(), records.end(), [&](const Recorded& a, const Recorded& b) {
            return (accepted(a) ? a.before : ~0ULL) < (accepted(b) ? b.before : ~0ULL);
        });
        for (const Recorded& record : records)
            early.before_steady_ns = std::max(early.before_steady_ns, record.after_steady_ns + 1);
    });
    CHECK_THAT(late, Catch::Contains("ended before a call began"));
    const std::string changed = run_round(1, 200, coverage, [&](std::vector<Recorded>& records) {
        std::find_if(records.begin(), records.end(), accepted)->answers[0].leaves_quantity.value += 1;
    });
    CHECK_THAT(changed, Catch::Contains("leaves"));
}

}  // namespace riskreg::test
