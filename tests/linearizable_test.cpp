// Short histories of three processes, with deaths: is there an order of the calls that explains every answer?
//
// What is looked at is only what callers see: when each call began and ended, what it answered, and what stands at the end.
// Sequence numbers are not used. The search is that of Wing and Gong: take any call that began before every other remaining
// one ended, ask the reference model, go on where it gives the same answer. A call whose caller was killed may have happened
// at any moment after its beginning, or never. Positions that were met before (calls taken, state of the model) are not
// looked at again.
//
// RISKREG_SEED=n       one history, printed
// RISKREG_LONG=1       20,000 histories
#include <sched.h>

#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdio>
#include <sstream>
#include <thread>
#include <unordered_set>

#include "base/crash_point.hpp"
#include "model/command.hpp"
#include "model/compare.hpp"
#include "support/child.hpp"
#include "support/operations.hpp"
#include "support/random.hpp"
#include "support/setting.hpp"
#include "support/temp_registry.hpp"

namespace riskreg::test {
namespace {

constexpr std::uint32_t kProcesses = 3;
constexpr std::uint32_t kCalls = 6;              // of one process
constexpr std::size_t kMostNodes = 2'000'000;    // of one search: more is a failure of the test, not of the registry
constexpr std::array kIds = {"X0", "X1", "X2", "X3"};

// ---- what is asked ---------------------------------------------------------------------------------------------

/// Limits that three processes meet within a few calls.
SharedConfig narrow_config() {
    SharedConfig config = tiny_config();
    config.limits.clear();
    LimitConfig firm{.scope = "firm", .limits = {}};
    firm.limits.max_working_orders = {LimitValue::Kind::value, 2};
    LimitConfig instrument{.scope = "instrument:ES", .limits = {}};
    instrument.limits.max_long = {LimitValue::Kind::value, lots(3).value};
    config.limits = {firm, instrument};
    return config;
}

Command about(Random& random, Op op, std::uint32_t session) {
    Command c;
    c.op = op;
    c.session = session;
    c.now_ns = kStart;
    c.account = AccountId{0};
    c.instrument = InstrumentId{0};
    c.id = kIds[static_cast<std::size_t>(random.between(0, kIds.size() - 1))];
    return c;
}

Command new_order(Random& random, std::uint32_t session) {
    Command c = about(random, Op::register_order, session);
    c.side = random.percent(75) ? Side::buy : Side::sell;
    c.type = OrderType::limit;
    c.tif = TimeInForce::day;
    c.price = points(4800).value;
    c.quantity = lots(static_cast<int>(random.between(1, 2))).value;
    return c;
}

Command fact(Random& random, std::uint32_t session) {
    Command c = about(random, Op::fact, session);
    c.kind = random.pick({EventKind::acked, EventKind::filled, EventKind::filled, EventKind::canceled, EventKind::rejected});
    c.instrument = InstrumentId::none;
    if (c.kind != EventKind::filled) return c;
    c.exec_id = "E" + std::to_string(random.between(0, 2));
    c.price = points(4800).value;
    c.quantity = lots(1).value;
    return c;
}

Command draw(Random& random, std::uint32_t session) {
    const std::int64_t n = random.between(1, 100);
    if (n <= 45) return new_order(random, session);
    if (n <= 80) return fact(random, session);
    if (n <= 90) return about(random, Op::cancel, session);
    Command c = about(random, n <= 95 ? Op::halt : Op::resume, session);
    c.scope.kind = ScopeKind::strategy;
    c.scope.strategy = StrategyId{static_cast<std::uint16_t>(random.between(0, kProcesses - 1))};
    c.to = n <= 95 ? TradingState::cancel_only : TradingState::active;
    return c;
}

// ---- what is seen ----------------------------------------------------------------------------------------------

std::int64_t now_ns() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

/// One call. `end` 0: its caller was killed first.
struct Call {
    std::int64_t begin = 0, end = 0;
    Verdict answer;
};

struct Board {
    std::atomic<std::uint32_t> ready{0};
    std::atomic<bool> go{false};
    std::array<std::array<Call, kCalls>, kProcesses> calls{};
    std::array<std::atomic<std::uint32_t>, kProcesses> begun{}, ended{};
};

/// What stands at the end, by the public interface. Flags that tell of the death of a strategy have no moment here.
std::string final_state(const Registry& desk) {
    std::ostringstream out;
    for (const char* id : kIds) {
        OrderView order;
        if (!desk.find(AccountId{0}, id, order)) continue;
        out << id << ' ' << int(order.base) << ' ' << (order.flags & ~kOrphaned) << ' ' << order.quantity.value << ' '
            << order.cum_quantity.value << ' ' << int(order.strategy) << '\n';
    }
    const ExposureView firm = desk.reader().exposure({ScopeKind::firm});
    out << firm.position.value << ' ' << firm.open_buy_quantity.value << ' ' << firm.working_buy + firm.working_sell;
    for (std::uint16_t s = 0; s < kProcesses; ++s)
        out << ' '
            << int(desk.reader().exposure({ScopeKind::strategy, AccountId::none, StrategyId{s}, InstrumentId::none}).state);
    return out.str();
}

std::string final_state(const model::Model& model) {
    std::ostringstream out;
    for (const char* id : kIds) {
        const model::Order* order = model.find(AccountId{0}, id);
        if (order == nullptr) continue;
        out << id << ' ' << int(order->base) << ' ' << (model.flags_of(*order) & ~kOrphaned) << ' ' << order->quantity << ' '
            << order->cum << ' ' << int(order->strategy) << '\n';
    }
    const model::Row& firm = model.row({ScopeKind::firm, AccountId::none, StrategyId::none, InstrumentId::none});
    out << firm.position << ' ' << firm.open_buy_quantity << ' ' << firm.working_buy + firm.working_sell;
    for (std::uint16_t s = 0; s < kProcesses; ++s)
        out << ' ' << int(model.row({ScopeKind::strategy, AccountId::none, StrategyId{s}, InstrumentId::none}).state);
    return out.str();
}

/// What one call was, for the search.
struct Asked {
    Command command;
    Call call;
    [[nodiscard]] bool is_pending() const noexcept { return call.end == 0; }
};

struct Observed {
    std::vector<Asked> calls;
    std::string end;
    bool killed = false;
};

// ---- the search ------------------------------------------------------------------------------------------------

class Search {
public:
    Search(const SharedConfig& config, const Observed& seen) : seen_(seen), start_(config) {}

    /// Some order of the calls explains everything.
    [[nodiscard]] bool succeeds() { return from(start_, 0); }
    [[nodiscard]] std::size_t nodes() const noexcept { return met_.size(); }

private:
    bool from(const model::Model& model, std::uint32_t taken) {
        if (met_.size() > kMostNodes) throw std::runtime_error("a history that is too wide to be searched");
        if (!met_.insert(std::to_string(taken) + '|' + fingerprint(model)).second) return false;
        if (is_complete(taken) && final_state(model) == seen_.end) return true;
        const std::int64_t first_end = earliest_end(taken);
        for (std::uint32_t i = 0; i < seen_.calls.size(); ++i) {
            if ((taken >> i & 1U) != 0 || seen_.calls[i].call.begin > first_end) continue;
            if (step(model, taken, i)) return true;
        }
        return false;
    }
    bool step(const model::Model& model, std::uint32_t taken, std::uint32_t i) {
        model::Model next = model;
        const Asked& asked = seen_.calls[i];
        Verdict expected = run(next, asked.command);
        if (!asked.is_pending()) {
            Verdict answer = asked.call.answer;
            answer.flags = static_cast<OrderFlags>(answer.flags & ~kOrphaned);
            expected.flags = static_cast<OrderFlags>(expected.flags & ~kOrphaned);
            if (!differences(answer, expected).empty()) return false;
        }
        return from(next, taken | 1U << i);
    }
    /// Everything that was answered has its place; of the rest nobody knows.
    [[nodiscard]] bool is_complete(std::uint32_t taken) const {
        for (std::uint32_t i = 0; i < seen_.calls.size(); ++i)
            if ((taken >> i & 1U) == 0 && !seen_.calls[i].is_pending()) return false;
        return true;
    }
    [[nodiscard]] std::int64_t earliest_end(std::uint32_t taken) const {
        std::int64_t first = INT64_MAX;
        for (std::uint32_t i = 0; i < seen_.calls.size(); ++i)
            if ((taken >> i & 1U) == 0 && !seen_.calls[i].is_pending()) first = std::min(first, seen_.calls[i].call.end);
        return first;
    }
    static std::string fingerprint(const model::Model& model) {
        std::ostringstream out;
        out << final_state(model) << ' ' << model.quarantine_used() << ' ' << model.quarantined_events();
        for (const model::Order& order : model.orders()) {
            out << ' ' << order.chain.front() << ' ' << order.version << ' ' << order.reported_cum;
            for (const model::Execution& e : order.executions) out << ' ' << e.id << ' ' << int(e.status);
        }
        for (const auto& [key, row] : model.rows())
            if (row.halted_at != 0) out << ' ' << row.halted_at << ' ' << row.changed_at;
        return out.str();
    }

    const Observed& seen_;
    const model::Model start_;
    std::unordered_set<std::string> met_;
};

std::string text_of(const Observed& seen) {
    std::ostringstream out;
    std::int64_t first = INT64_MAX;
    for (const Asked& asked : seen.calls) first = std::min(first, asked.call.begin);
    for (const Asked& asked : seen.calls) {
        out << "  [" << asked.call.begin - first << ", ";
        if (asked.is_pending()) out << "killed";
        else out << asked.call.end - first;
        out << "] " << text_of(asked.command);
        if (!asked.is_pending()) out << " -> " << name_of(asked.call.answer.result) << ' ' << name_of(asked.call.answer.reason);
        out << '\n';
    }
    return out.str() + "  at the end:\n" + seen.end + '\n';
}

// ---- a history -------------------------------------------------------------------------------------------------

using Plan = std::array<std::vector<Command>, kProcesses>;

Plan plan_of(Random& random) {
    Plan plan;
    for (std::uint32_t p = 0; p < kProcesses; ++p)
        for (std::uint32_t i = 0; i < kCalls; ++i) plan[p].push_back(draw(random, p));
    return plan;
}

struct Death {
    std::uint32_t process = kProcesses;   // none
    std::uint32_t call = 0;
    std::uint64_t crash_point = 0;
};

void play(const TempRegistry& place, const std::vector<Command>& commands, std::uint32_t number, const Death& death,
          Board& board) {
    Registry registry = place.attach("s" + std::to_string(number + 1));
    board.ready.fetch_add(1);
    while (!board.go.load()) ::sched_yield();
    for (std::uint32_t i = 0; i < commands.size(); ++i) {
        Call& call = board.calls[number][i];
        call.begin = now_ns();
        board.begun[number].store(i + 1);
#ifdef RISKREG_CRASH_POINTS
        if (death.process == number && death.call == i) base::arm_crash_point(death.crash_point);
#endif
        call.answer = ask(registry, commands[i]);
        call.end = now_ns();
        board.ended[number].store(i + 1);
        if ((i + number) % 2 == 0) ::sched_yield();
    }
}

Observed observe(const Plan& plan, const Board& board, const Registry& desk) {
    Observed seen;
    for (std::uint32_t p = 0; p < kProcesses; ++p)
        for (std::uint32_t i = 0; i < board.begun[p].load(); ++i) {
            Asked asked{plan[p][i], board.calls[p][i]};
            if (i >= board.ended[p].load()) asked.call.end = 0;
            seen.killed |= asked.is_pending();
            seen.calls.push_back(std::move(asked));
        }
    seen.end = final_state(desk);
    return seen;
}

/// The deaths: at a crash point inside of a call, or at any instruction, by a signal from outside.
Observed live_through(const SharedConfig& config, std::uint64_t seed) {
    Random random(seed);
    const Plan plan = plan_of(random);
    Death death;
    if (random.percent(60))
        death = {static_cast<std::uint32_t>(random.between(0, kProcesses - 1)),
                 static_cast<std::uint32_t>(random.between(0, 4)), static_cast<std::uint64_t>(random.between(1, 40))};
    const bool by_signal = random.percent(40);
    const std::int64_t signal_after = random.between(0, 120);
    const auto victim = static_cast<std::size_t>(random.between(0, kProcesses - 1));

    const TempRegistry place(config);
    Registry desk = place.attach();
    const Shared<Board> board;
    std::vector<Child> children;
    for (std::uint32_t p = 0; p < kProcesses; ++p) children.emplace_back([&, p] { play(place, plan[p], p, death, *board); });
    wait_until([&] { return board->ready.load() == kProcesses; });
    board->go.store(true);
    if (by_signal) {
        // Waits for nothing: the moment of the death is what is drawn.
        std::this_thread::sleep_for(std::chrono::microseconds(signal_after));
        children[victim].send(SIGKILL);
    }
    for (Child& child : children) {
        const Ending ending = child.wait();
        if (!ending.left_with(0) && !ending.was_killed()) throw std::runtime_error("a process failed");
    }
    if (!knock(desk)) throw std::runtime_error("the survivor was not answered");
    return observe(plan, *board, desk);
}

std::uint64_t overlaps(const Observed& seen) {
    std::uint64_t count = 0;
    for (std::size_t i = 0; i < seen.calls.size(); ++i)
        for (std::size_t j = i + 1; j < seen.calls.size(); ++j) {
            const Call &a = seen.calls[i].call, &b = seen.calls[j].call;
            const std::int64_t a_end = a.end == 0 ? INT64_MAX : a.end, b_end = b.end == 0 ? INT64_MAX : b.end;
            if (seen.calls[i].command.session != seen.calls[j].command.session) count += a.begin < b_end && b.begin < a_end;
        }
    return count;
}

/// A history made by hand: calls one after the other, with the answers of the model.
Observed sequential(const SharedConfig& config, std::uint64_t seed) {
    Random random(seed);
    model::Model model(config);
    Observed seen;
    for (std::int64_t i = 0; i < 8; ++i) {
        const Command c = draw(random, static_cast<std::uint32_t>(i % kProcesses));
        const Verdict answer = run(model, c);
        seen.calls.push_back({c, {10 * i + 1, 10 * i + 5, answer}});
    }
    seen.end = final_state(model);
    return seen;
}

bool is_explained(const SharedConfig& config, const Observed& seen) { return Search(config, seen).succeeds(); }

}  // namespace

TEST_CASE("every short history of three processes, deaths included, has an order of the calls that explains all answers",
          "[processes][crash][inv-2][inv-4][inv-5][inv-7]") {
    const Seeds seeds = seeds_of(long_form() ? 20'000 : RISKREG_SANITIZED ? 40 : 400);
    const SharedConfig config = narrow_config();
    std::uint64_t calls = 0, deaths = 0, overlapping = 0, nodes = 0, failures = 0;
    for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
        const Observed seen = live_through(config, seed);
        if (seeds.one) std::printf("%s", text_of(seen).c_str());
        Search search(config, seen);
        if (!search.succeeds()) {
            ++failures;
            FAIL_CHECK("seed " << seed << ": no order explains\n" << text_of(seen));
        }
        calls += seen.calls.size();
        deaths += seen.killed ? 1 : 0;
        overlapping += overlaps(seen);
        nodes += search.nodes();
    }
    const auto number = [](std::uint64_t n) { return static_cast<unsigned long long>(n); };
    std::printf(
        "histories: %llu, of %llu calls, %llu with a call cut off by a death, %llu pairs at the same time, %llu states "
        "searched, %llu not explained\n",
        number(seeds.count), number(calls), number(deaths), number(overlapping), number(nodes), number(failures));
    if (seeds.one) return;
    CHECK(deaths > 0);
    CHECK(overlapping > 0);
}

TEST_CASE("control: the search refuses histories in which an answer was lost, given twice, or given too late",
          "[processes][inv-4][inv-5]") {
    const SharedConfig config = narrow_config();
    std::uint64_t lost = 0, twice = 0, stale = 0;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        const Observed honest = sequential(config, seed);
        REQUIRE(is_explained(config, honest));
        for (std::size_t i = 0; i < honest.calls.size(); ++i) {
            const Asked& asked = honest.calls[i];
            if (asked.command.op != Op::register_order || !asked.call.answer.accepted()) continue;
            Observed forged = honest;   // acknowledged, and not there at the end
            const std::size_t line = forged.end.find(asked.command.id);
            forged.end.erase(line, forged.end.find('\n', line) + 1 - line);
            REQUIRE_FALSE(is_explained(config, forged));
            ++lost;
            forged = honest;   // the same id accepted for somebody else, later
            Asked again = asked;
            again.command.session = (again.command.session + 1) % kProcesses;
            again.call.begin = 1000, again.call.end = 1001;
            forged.calls.push_back(again);
            REQUIRE_FALSE(is_explained(config, forged));
            ++twice;
            forged = honest;   // known to somebody before it was there
            Asked early = asked;
            early.command.op = Op::cancel;
            early.call = {-10, -5, {}};
            early.call.answer.result = Result::ok;
            forged.calls.push_back(early);
            REQUIRE_FALSE(is_explained(config, forged));
            ++stale;
        }
    }
    CHECK((lost > 100 && twice > 100 && stale > 100));
}

}  // namespace riskreg::test
