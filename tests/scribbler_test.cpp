// An attached process writes random bytes into the tables. What is noticed, by whom, and before what?
//
// One run: a registry trades beside the reference model, then a few bytes of a table that is in use are overwritten. An audit
// follows, then a replay of the log from empty that is compared with the tables, as the host's verifier does it, and then
// trading goes on and every answer is held against the model's. Each run is a process of its own: one that crashes or
// hangs on damaged tables gives no wrong answer, but it is counted.
//
// RISKREG_SEED=n repeats one run and tells of it. RISKREG_LONG=1: 10,000 runs.
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/apply.hpp"
#include "core/copy.hpp"
#include "core/genesis.hpp"
#include "model/command.hpp"
#include "model/compare.hpp"
#include "riskreg/error.hpp"
#include "support/child.hpp"
#include "support/operations.hpp"
#include "support/persisted.hpp"
#include "support/random.hpp"
#include "support/setting.hpp"
#include "support/temp_registry.hpp"

namespace riskreg::test {
namespace {

constexpr int kCallsBefore = 60, kCallsAfter = 40;

/// Limits that are nearly used up, so that a counter that is too small lets something through.
SharedConfig tight_config() {
    SharedConfig config = tiny_config();
    config.limits.clear();
    LimitConfig firm{.scope = "firm", .limits = {}};
    firm.limits.max_working_orders = {LimitValue::Kind::value, 12};
    firm.limits.max_open_notional = {LimitValue::Kind::value, 4'000'000'000'000};
    LimitConfig instrument{.scope = "instrument:ES", .limits = {}};
    instrument.limits.max_long = {LimitValue::Kind::value, lots(12).value};
    instrument.limits.max_short = {LimitValue::Kind::value, lots(12).value};
    LimitConfig strategy{.scope = "strategy:s1", .limits = {}};
    strategy.limits.max_working_buy = {LimitValue::Kind::value, 9};
    config.limits = {firm, instrument, strategy};
    return config;
}

class Trading {
public:
    Trading(const TempRegistry& place, const SharedConfig& config, std::uint64_t seed)
        : random_(seed), registry_(place.attach("s1")), model_(config) {
        model_.attached(StrategyId{0}, kStart);
    }
    /// One call to both.
    struct Answers {
        Command command;
        Verdict core, model;
    };
    Answers step() {
        const Command c = draw();
        Answers both{c, ask(registry_, c), {}};
        both.model = run(model_, c);
        return both;
    }
    [[nodiscard]] Registry& registry() { return registry_; }
    [[nodiscard]] const model::Model& model() const { return model_; }

private:
    Command draw() {
        Command c;
        c.session = 0;
        c.now_ns = kStart;
        c.account = AccountId{0};
        if (ids_ == 0 || random_.percent(45)) return new_order(c);
        c.id = "O" + std::to_string(random_.percent(70) ? ids_ - random_.between(1, std::min<std::int64_t>(ids_, 12)) + 1
                                                        : random_.between(1, ids_));
        if (random_.percent(15)) {
            c.op = Op::cancel;
            return c;
        }
        c.op = Op::fact;
        c.kind =
            random_.pick({EventKind::acked, EventKind::filled, EventKind::filled, EventKind::canceled, EventKind::rejected});
        if (c.kind != EventKind::filled) return c;
        c.exec_id = "E" + std::to_string(random_.between(1, 40));
        c.price = points(4800).value;
        c.quantity = lots(1).value;
        return c;
    }
    Command new_order(Command c) {
        c.op = Op::register_order;
        c.id = "O" + std::to_string(ids_ != 0 && random_.percent(15) ? random_.between(1, ids_) : ++ids_);
        c.instrument = InstrumentId{0};
        c.side = random_.percent(60) ? Side::buy : Side::sell;
        c.type = OrderType::limit;
        c.tif = TimeInForce::day;
        c.price = points(4800).value;
        c.quantity = lots(static_cast<int>(random_.between(1, 3))).value;
        return c;
    }

    Random random_;
    Registry registry_;
    model::Model model_;
    std::int64_t ids_ = 0;
};

// ---- the scribbler ---------------------------------------------------------------------------------------------

struct Region {
    const char* name;
    void* begin;
    std::size_t bytes;
};

/// What is in use of each table. Not the page of the mutex, which no table is on.
std::vector<Region> regions_of(const core::State& s) {
    const layout::Geometry& g = s.geometry;
    return {{"rows", s.rows, g.rows() * sizeof *s.rows},
            {"day and latch of rows", s.rows_cold, g.rows() * sizeof *s.rows_cold},
            {"risk of rows", s.rows_risk, g.rows() * sizeof *s.rows_risk},
            {"orders", s.orders, s.log->next_order * sizeof *s.orders},
            {"index of orders", s.order_index, s.offsets.executions - s.offsets.order_index},
            {"executions", s.executions, s.log->next_execution * sizeof *s.executions},
            {"index of executions", s.execution_index, s.offsets.quarantine - s.offsets.execution_index},
            {"log words", s.log, sizeof *s.log},
            {"ring", s.ring, std::min<std::uint64_t>(s.log->committed + 1, g.ring_events) * sizeof *s.ring},
            {"sessions", s.sessions, 2 * sizeof *s.sessions},
            {"header", s.header, sizeof *s.header},
            {"instruments", s.instrument_records, g.instruments * sizeof *s.instrument_records}};
}

const char* scribble(const core::State& state, Random& random) {
    std::vector<Region> regions = regions_of(state);
    const Region& region = random.one_of(regions);
    if (region.bytes == 0) return "nothing";
    auto* const bytes = static_cast<unsigned char*>(region.begin);
    const auto size = static_cast<std::int64_t>(region.bytes);
    const std::int64_t at = random.between(0, size - 1);
    const std::int64_t count = std::min(random.pick<std::int64_t>({1, 1, 2, 4, 8, 64}), size - at);
    const std::int64_t form = random.between(0, 3);
    for (std::int64_t i = at; i < at + count; ++i) {
        if (form == 0) bytes[i] = 0;
        else if (form == 1) bytes[i] = static_cast<unsigned char>(bytes[i] ^ (1U << random.between(0, 7)));
        else bytes[i] = static_cast<unsigned char>(random.next());
    }
    return region.name;
}

// ---- who notices -----------------------------------------------------------------------------------------------

enum class Notice : std::uint8_t { none, audit, replay };

bool audit_complains(const Reader& reader, std::string& why) {
    try {
        const AuditView audit = reader.audit();
        if (!audit.violations.empty()) why = audit.violations.front();
        return !audit.violations.empty();
    } catch (const Error& error) {
        why = error.what();
        return true;
    }
}

/// The log from empty, as the replica of a host is made; events that are not whole are damage by themselves.
bool replay_differs(const core::State& live, const SharedConfig& config, const std::string& json, std::string& why) {
    core::PrivateState replica = core::allocate_state(core::geometry_of(config, json.size()));
    core::make_genesis(replica.state, config, json);
    for (std::uint64_t seq = layout::kGenesis + 1; seq <= live.log->committed; ++seq) {
        const layout::Event& event = live.ring_slot(seq);
        if (event.header.seq != seq || event.header.checksum != layout::checksum_of(event, seq))
            return why = "event " + std::to_string(seq) + " is not whole", true;
        replica.state.log->committed = seq;
        core::apply(replica.state, event);
    }
    const auto copy = core::copy_consistent(live);
    if (!copy) return why = "no consistent copy", true;
    why = "the digest";
    return core::digest(copy->state) != core::digest(replica.state);
}

/// Rows that are not the model's. The log has times, and refusals that are only noted, of which the model knows nothing.
std::string unlike(const core::State& live, const model::Model& model) {
    std::istringstream lines(differences(live, model));
    std::string text;
    for (std::string line; std::getline(lines, line);)
        if (!line.starts_with("  log ")) text += line + '\n';
    return text;
}

struct Outcome {
    char region[32];
    Notice notice;
    bool unlike_the_model;      // and nobody noticed
    bool poisoned;              // a call said so
    bool wrong_acceptance;      // before any call said that something is wrong
    bool other_answer;          // a refusal or a state that the model does not have
    bool finished;
};

void live_through(std::uint64_t seed, bool tell, Outcome& out) {
    const SharedConfig config = tight_config();
    const TempRegistry place(config);
    Trading trading(place, config, seed);
    const std::string json = trading.registry().reader().config_json();
    for (int i = 0; i < kCallsBefore; ++i) {
        const Trading::Answers both = trading.step();
        if (!differences(both.core, both.model).empty()) throw std::runtime_error("core and model differ without a scribble");
    }
    LiveSegment live(place, segment::Access::read_write);
    Random random(seed ^ 0x5C81BB1E5C81BB1EULL);
    std::strncpy(out.region, scribble(live.state(), random), sizeof out.region - 1);

    std::string why;
    const SharedConfig stored = parse_config(json);
    if (audit_complains(trading.registry().reader(), why)) out.notice = Notice::audit;
    else if (replay_differs(live.state(), stored, json, why)) out.notice = Notice::replay;
    else if (const std::string text = unlike(live.state(), trading.model()); !text.empty())
        out.unlike_the_model = true, why = text;
    if (tell) std::printf("  %s: noticed by %d, %s\n", out.region, int(out.notice), why.c_str());

    for (int i = 0; i < kCallsAfter && !out.wrong_acceptance && !out.poisoned && !out.other_answer; ++i) {
        const Trading::Answers both = trading.step();
        out.poisoned = both.core.reason == DenyReason::poisoned;
        out.wrong_acceptance = both.core.accepted() && !both.model.accepted();
        out.other_answer = !out.poisoned && !out.wrong_acceptance && !differences(both.core, both.model).empty();
        if (tell && (out.wrong_acceptance || out.other_answer))
            std::printf("  %s\n%s", text_of(both.command).c_str(), differences(both.core, both.model).c_str());
    }
    out.finished = true;
    std::fflush(stdout);   // the child leaves by _exit
}

struct Tally {
    std::uint64_t runs = 0, audit = 0, replay = 0, harmless = 0, at_once = 0, unnoticed = 0, poisoned = 0, refused = 0,
                  ended = 0;
    std::uint64_t wrong = 0, wrong_before_audit = 0;
};

/// The run's directory and segment are the child's to remove, or, when it died, nobody's: so the parent makes a fresh TMPDIR.
void one_run(std::uint64_t seed, bool tell, Tally& tally, std::string& unnoticed) {
    Shared<Outcome> out;
    Child child([&] {
        ::alarm(20);
        live_through(seed, tell, *out);
    });
    const Ending ending = child.wait();
    ++tally.runs;
    if (ending.left_with(99)) throw std::runtime_error("a run did not begin, seed " + std::to_string(seed));
    const bool noticed = out->notice != Notice::none;
    tally.audit += out->notice == Notice::audit ? 1 : 0;
    tally.replay += out->notice == Notice::replay ? 1 : 0;
    tally.poisoned += out->poisoned ? 1 : 0;
    tally.refused += out->other_answer ? 1 : 0;
    tally.ended += out->finished ? 0 : 1;
    tally.wrong += out->wrong_acceptance ? 1 : 0;
    tally.wrong_before_audit += out->wrong_acceptance && !noticed ? 1 : 0;
    const bool matters = out->unlike_the_model || out->wrong_acceptance || out->other_answer || out->poisoned;
    if (noticed || !out->finished) return;
    if (!matters) {
        ++tally.harmless;
        return;
    }
    if (out->poisoned) {   // the word that every call looks at first
        ++tally.at_once;
        return;
    }
    ++tally.unnoticed;
    unnoticed += " " + std::to_string(seed) + " (" + out->region + ")";
}

}  // namespace

TEST_CASE("random bytes in the tables are noticed by the next audit, and hardly ever let an order through before it",
          "[damage][inv-12]") {
    const Seeds seeds = seeds_of(long_form() ? 10'000 : RISKREG_SANITIZED ? 20 : 300);
    Tally t;
    std::string unnoticed;
    for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) one_run(seed, seeds.one, t, unnoticed);
    const auto n = [](std::uint64_t count) { return static_cast<unsigned long long>(count); };
    std::printf(
        "scribbles: %llu, noticed by the audit %llu, by the replay of the log %llu, by the next call %llu, changed nothing "
        "%llu, unnoticed %llu, "
        "the caller crashed %llu; trading on without an audit: poisoned %llu, other answer %llu, wrong acceptance %llu\n",
        n(t.runs), n(t.audit), n(t.replay), n(t.at_once), n(t.harmless), n(t.unnoticed), n(t.ended), n(t.poisoned),
        n(t.refused), n(t.wrong));
    CAPTURE(unnoticed);
    CHECK(t.audit > 0);
    CHECK(t.replay > 0);
    CHECK(t.unnoticed == 0);
    CHECK(t.wrong * 100 <= t.runs);
}

TEST_CASE("who only reads has the segment mapped read-only", "[inv-8]") {
    const TempRegistry place;
    const Reader reader = place.look();
    std::ifstream maps("/proc/self/maps");
    int mappings = 0;
    for (std::string line; std::getline(maps, line);) {
        if (line.find("/dev/shm/" + reader.status().segment) == std::string::npos) continue;
        CAPTURE(line);
        CHECK(line.find(" r--s ") != std::string::npos);
        ++mappings;
    }
    CHECK(mappings > 0);
}

TEST_CASE(
    "the snapshotter finds a scribbled counter by itself, poisons the registry, and recover brings every durable order back",
    "[damage][persist][inv-1][inv-5][inv-12]") {
    const PersistedRegistry place;
    std::uint64_t durable = 0;
    {
        Child host = place.host();
        Registry trader = Registry::open(place.name(), place.durable_process("s1", 10'000'000'000));
        OrderRequest order;
        order.account = trader.account("A1");
        order.instrument = trader.instrument("ES");
        order.side = Side::buy;
        order.price = points(4800);
        order.quantity = lots(1);
        for (int i = 0; i < 40; ++i) {
            const std::string id = "O-" + std::to_string(i);
            order.id = id;
            const Verdict verdict = trader.check_and_register(order);
            REQUIRE(verdict.accepted());
            REQUIRE(verdict.durability == Durability::durable);
            durable = verdict.seq;
        }
        {
            LiveSegment live(place, segment::Access::read_write);
            layout::Row& firm = live.state().rows[live.state().geometry.firm_row()];
            firm.counters.copy[firm.counters.newer()].open_buy_quantity -= lots(30).value;   // room for 30 lots too many
        }
        wait_until([&] { return trader.reader().status().poisoned; });
        order.id = "late";
        CHECK(trader.check_and_register(order).reason == DenyReason::poisoned);
        CHECK_THAT(place.log(), Catch::Contains("the tables differ from what the journal says: row firm"));
        CHECK_THAT(place.log(), Catch::Contains("the registry is poisoned"));
        CHECK_THAT(place.log(), Catch::Contains("riskctl recover"));
        host.kill_and_reap();
    }
    const RecoverView recovered = Registry::recover(place.name(), place.state_dir());
    CHECK(recovered.outcome == RecoverOutcome::rebuilt);
    CHECK(recovered.end_seq >= durable);
    CHECK_FALSE(recovered.poisoned_segment.empty());   // the bytes are kept
    static_cast<void>(segment::remove_segment(recovered.poisoned_segment));
    const Reader reader = place.look();
    CHECK(reader.audit().violations.empty());
    OrderView order;
    for (int i = 0; i < 40; ++i) CHECK(reader.find(reader.account("A1"), "O-" + std::to_string(i), order));
    CHECK_FALSE(reader.find(reader.account("A1"), "late", order));
    CHECK(reader.exposure({ScopeKind::firm}).open_buy_quantity == lots(40));
}

}  // namespace riskreg::test
