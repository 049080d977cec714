// The one log: replay gives the tables (INV-11), copies of running tables are consistent, records have two copies.
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstring>
#include <random>
#include <thread>

#include "core/apply.hpp"
#include "core/audit.hpp"
#include "core/copy.hpp"
#include "core/genesis.hpp"
#include "core/scopes.hpp"
#include "persist/event_json.hpp"
#include "registry/denial_gate.hpp"
#include "support/cli.hpp"
#include "support/plain_registry.hpp"

using namespace riskreg;
using test::PlainRegistry;

namespace {

SharedConfig config_with(std::uint32_t orders, std::uint32_t ring) {
    SharedConfig config = parse_config(testing::es_config(
        R"({"scope":"firm","max_working_orders":300},{"scope":"account:A1/instrument:ESH4","max_long":"500","max_short":"500"})"));
    config.capacity.orders = orders;
    config.capacity.executions = orders * 2;
    config.capacity.ring_events = ring;
    return config;
}

/// Random trading by one session; every step is one call.
class Trader {
public:
    Trader(PlainRegistry& registry, std::uint64_t seed) : registry_(registry), random_(seed) {
        registry_.attach(0, core::find_strategy(registry_.state(), "s1"), now_);
    }

    [[nodiscard]] std::int64_t now() const noexcept { return now_; }
    void step() {
        now_ += 1000;
        const core::Caller caller = registry_.caller(0, now_);
        const std::string id = "O-" + std::to_string(draw(next_ + 1));
        OrderEvent fact;
        fact.id = id;
        fact.account = AccountId{0};
        fact.price = Price{100'000'000'000};
        fact.quantity = Quantity{100'000'000 * static_cast<std::int64_t>(1 + draw(3))};
        switch (draw(8)) {
            case 0:
            case 1: add(caller); return;
            case 2:
                fact.kind = EventKind::acked;
                fact.venue_id = "venue";
                break;
            case 3: fact.kind = EventKind::canceled; break;
            case 4: registry_.replace(caller, replacement(id)); return;
            case 5: fact.kind = EventKind::replaced; break;
            case 6:
                fact.kind = EventKind::bust;
                fact.exec_id = exec_ = "E-" + std::to_string(draw(fills_ + 1));
                break;
            default:
                fact.kind = EventKind::filled;
                fact.exec_id = exec_ = "E-" + std::to_string(++fills_);
                break;
        }
        registry_.fact(caller, fact);
    }

private:
    std::uint64_t draw(std::uint64_t below) { return random_() % below; }
    void add(const core::Caller& caller) {
        const std::string id = "O-" + std::to_string(++next_);
        OrderRequest request;
        request.id = id;
        request.account = AccountId{0};
        request.instrument = InstrumentId{0};
        request.side = draw(2) == 0 ? Side::buy : Side::sell;
        request.price = Price{100'000'000'000 + static_cast<std::int64_t>(draw(8)) * 250'000'000};
        request.quantity = Quantity{100'000'000 * static_cast<std::int64_t>(1 + draw(9))};
        registry_.register_order(caller, request);
    }
    ReplaceRequest replacement(const std::string& id) {
        new_id_ = draw(2) == 0 ? "R-" + std::to_string(++replaces_) : std::string();
        ReplaceRequest request;
        request.id = id;
        request.account = AccountId{0};
        request.new_id = new_id_;
        request.price = Price{100'000'000'000};
        request.quantity = Quantity{100'000'000 * static_cast<std::int64_t>(1 + draw(12))};
        return request;
    }

    PlainRegistry& registry_;
    std::mt19937_64 random_;
    std::int64_t now_ = 1'700'000'000'000'000'000;
    std::uint64_t next_ = 0, fills_ = 0, replaces_ = 0;
    std::string exec_, new_id_;
};

core::PrivateState genesis_of(const SharedConfig& config) {
    const std::string json = config_to_json(config);
    core::PrivateState fresh = core::allocate_state(core::geometry_of(config, json.size()));
    core::make_genesis(fresh.state, config, json);
    fresh.state.header->magic = layout::kMagic;
    return fresh;
}

/// Applies the whole log of `from`, from the first event on.
void replay_log(core::State& into, const core::State& from) {
    for (std::uint64_t seq = layout::kGenesis + 1; seq <= from.log->committed; ++seq) {
        into.log->committed = seq;
        core::apply(into, from.ring_slot(seq));
    }
}

}  // namespace

TEST_CASE("replaying the log from empty gives the same tables, into larger tables too", "[core][inv-11][inv-1]") {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        PlainRegistry registry(config_with(2048, 1U << 15));
        Trader trader(registry, seed);
        for (int i = 0; i < 8000; ++i) trader.step();
        REQUIRE(core::audit(registry.state()).clean());
        const std::uint64_t live = core::digest(registry.state());
        for (const std::uint32_t orders : {2048U, 8192U, 3000U}) {
            core::PrivateState replica = genesis_of(config_with(orders, 256));
            replay_log(replica.state, registry.state());
            CHECK(core::digest(replica.state) == live);
            CHECK(core::audit(replica.state).clean());
        }
    }
}

TEST_CASE("applying an event a second time changes nothing", "[core][inv-3]") {
    PlainRegistry registry(config_with(1024, 1U << 14));
    Trader trader(registry, 7);
    core::PrivateState replica = genesis_of(config_with(1024, 256));
    replay_log(replica.state, registry.state());
    for (int i = 0; i < 2000; ++i) {
        const std::uint64_t before = registry.state().log->committed;
        trader.step();
        if (registry.state().log->committed == before) continue;
        const layout::Event& event = registry.state().ring_slot(registry.state().log->committed);
        replica.state.log->committed = event.header.seq;
        core::apply(replica.state, event);
        const std::uint64_t once = core::digest(replica.state);
        core::apply(replica.state, event);
        core::apply(replica.state, event);
        REQUIRE(core::digest(replica.state) == once);
        REQUIRE(once == core::digest(registry.state()));
    }
}

TEST_CASE("an event that is built in its slot of the ring has the bytes of one that is copied there", "[core][inv-11]") {
    const SharedConfig config = config_with(2048, 1024);
    PlainRegistry built(config), copied(config);
    copied.copy_events();
    Trader one(built, 7), other(copied, 7);
    std::uint64_t compared = 0;
    for (int round = 0; round < 4; ++round) {
        for (int step = 0; step < 700; ++step) one.step(), other.step();
        const std::uint64_t end = built.state().log->committed;
        REQUIRE(copied.state().log->committed == end);
        for (std::uint64_t seq = end < 1024 ? layout::kGenesis + 1 : end - 1023; seq <= end; ++seq, ++compared) {
            const layout::Event& left = built.state().ring_slot(seq);
            const layout::Event& right = copied.state().ring_slot(seq);
            CAPTURE(seq, left.header.type);
            REQUIRE(left.header.words == right.header.words);
            REQUIRE(std::memcmp(&left, &right, 8U * left.header.words) == 0);
        }
    }
    CHECK(compared > 2000);
}

TEST_CASE("a refusal that is not logged leaves what stands in the ring", "[core][inv-12]") {
    PlainRegistry registry(config_with(64, 256));
    Trader trader(registry, 3);
    for (int step = 0; step < 600; ++step) trader.step();
    core::State& state = registry.state();
    REQUIRE(state.log->committed > 256);
    const std::uint64_t committed = state.log->committed;
    const std::vector<layout::Event> before(state.ring, state.ring + 256);
    OrderRequest order;
    order.id = "none";
    order.account = AccountId{9};   // unknown: among the reasons that only count
    order.instrument = InstrumentId{0};
    order.quantity = Quantity{100'000'000};
    order.price = Price{100'000'000'000};
    const Verdict verdict = registry.register_order(registry.caller(0, trader.now()), order);
    REQUIRE(verdict.result == Result::denied);
    CHECK(state.log->committed == committed);
    CHECK(std::memcmp(before.data(), state.ring, before.size() * sizeof(layout::Event)) == 0);
}

TEST_CASE("a copy taken under a running writer is consistent and audits clean", "[core][inv-5]") {
    PlainRegistry registry(config_with(1U << 15, 1U << 16));
    Trader trader(registry, 11);
    for (int i = 0; i < 3000; ++i) trader.step();
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        while (!stop) trader.step();
    });
    for (int copies = 0; copies < 20; ++copies) {
        const auto copy = core::copy_consistent(registry.state());
        REQUIRE(copy);
        const core::AuditReport report = core::audit(copy->state);
        if (!report.clean()) {
            stop = true;
            writer.join();
            FAIL("copy " << copies << ": " << report.violations.front());
        }
    }
    stop = true;
    writer.join();
}

TEST_CASE("a reader never meets a torn record, whatever the writer does", "[core][inv-5]") {
    struct Pair {
        std::uint64_t seq, a, b;
        std::uint64_t filler[13];
    };
    layout::Versioned<Pair> record;
    record.make_genesis({});
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        const auto fill = [](Pair& next, std::uint64_t seq) {
            next.a = seq * 3;
            next.b = ~(seq * 3);
            for (auto& word : next.filler) word = seq;
        };
        for (std::uint64_t seq = 2; !stop; ++seq) {
            Pair next{};
            fill(next, seq);
            if (seq % 2 == 0) record.store(seq, next);
            else record.update(seq, [&](Pair& changed) { fill(changed, seq); });
        }
    });
    // Versions that were seen change only while both run: so many of them, or as long as a busy host takes.
    std::uint64_t last = 1, torn = 0, versions = 0;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    for (std::uint64_t reads = 0; versions < 300'000 && (reads % 1024 != 0 || std::chrono::steady_clock::now() < end);
         ++reads) {
        const Pair seen = record.read();
        const bool whole =
            seen.seq == 1 || (seen.a == seen.seq * 3 && seen.b == ~(seen.seq * 3) && seen.filler[12] == seen.seq);
        torn += whole && seen.seq >= last ? 0 : 1;
        versions += seen.seq != last ? 1 : 0;
        last = seen.seq;
    }
    stop = true;
    writer.join();
    CHECK(versions > 0);
    CHECK(torn == 0);
}

TEST_CASE("a record whose writer died in the middle still reads as its last whole version", "[core][inv-2]") {
    struct Small {
        std::uint64_t seq, value;
    };
    layout::Versioned<Small> record;
    record.make_genesis({0, 41});
    record.store(2, {0, 42});
    // As a writer of version 3 leaves it: the older copy is marked and half written.
    layout::store_relaxed(record.copy[1].seq, layout::kBeingWritten);
    record.copy[1].value = 666;
    CHECK(record.read().value == 42);
    record.store(3, {0, 43});
    CHECK(record.read().value == 43);
}

TEST_CASE("every kind of event has a line of JSON that a parser takes", "[persist]") {
    PlainRegistry registry(config_with(1024, 1U << 14));
    Trader trader(registry, 3);
    for (int i = 0; i < 2000; ++i) trader.step();
    const core::Caller boss = PlainRegistry::operator_at(0);
    registry.halt(boss, {ScopeKind::firm, AccountId::none, StrategyId::none, InstrumentId::none}, TradingState::halted);
    registry.end_session(0, layout::EventType::session_dead, 0);
    for (std::uint64_t seq = 2; seq <= registry.state().log->committed; ++seq) {
        const std::string line = persist::event_to_json(registry.state(), registry.state().ring_slot(seq));
        const persist::JsonResult parsed = persist::parse_json(line, 1U << 16);
        INFO(line);
        REQUIRE(parsed.error.empty());
        CHECK(testing::text_of(parsed.value, "seq") == std::to_string(seq));
    }
}

TEST_CASE("a loop of refusals writes one event a second of a kind and at most a thousand of all", "[registry][inv-12]") {
    registry::DenialGate gate;
    constexpr std::int64_t second = 1'000'000'000, start = 1'700'000'000 * second;
    CHECK(gate.admit(DenyReason::max_long, 1, start));
    CHECK_FALSE(gate.admit(DenyReason::max_long, 1, start + second - 1));
    CHECK(gate.admit(DenyReason::max_long, 1, start + second));
    CHECK(gate.admit(DenyReason::max_short, 1, start + second));
    int written = 0;
    for (std::uint32_t row = 0; row < 5000; ++row) written += gate.admit(DenyReason::max_long, row, start + 5 * second) ? 1 : 0;
    CHECK(written == 1000);
    // The clock was set back by an hour: refusals are written all the same.
    CHECK(gate.admit(DenyReason::max_long, 7, start - 3600 * second));
}
