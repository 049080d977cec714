// An attached process writes random bytes into the tables. What is noticed, by whom, and before what?
//
// One run: a registry trades beside the reference model, then a few bytes of a table that is in use are overwritten. An audit
// follows, then a replay of the log from empty that is compared with the tables, as the host's verifier does it, and then
// trading goes on and every answer is held against the model's. Each run is a process of its own: one that crashes or
// hangs on damaged tables gives no wrong answer, but it is counted.
//
// RISKREG_SEED=n repeats one run and tells of it. RISKREG_LONG=1: 10,000 runs.
#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "core/apply.hpp"
#include "core/audit.hpp"
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
constexpr std::int64_t kTick = 250'000'000;

/// Limits that are nearly used up, so that a counter that is too small lets something through; every table is in use.
SharedConfig tight_config() {
    SharedConfig config = tiny_config();
    config.self_match = SelfMatch::refuse_new;
    config.restricted = {{.scope = "instrument:NQ", .reason = "scribbled over"}};
    config.limits.clear();
    LimitConfig firm{.scope = "firm", .limits = {}};
    firm.limits.max_working_orders = {LimitValue::Kind::value, 12};
    firm.limits.max_open_notional = {LimitValue::Kind::value, 4'000'000'000'000};
    LimitConfig instrument{.scope = "instrument:ES", .limits = {}};
    instrument.limits.max_long = {LimitValue::Kind::value, lots(12).value};
    instrument.limits.max_short = {LimitValue::Kind::value, lots(12).value};
    LimitConfig strategy{.scope = "strategy:s1", .limits = {}};
    strategy.limits.max_working_buy = {LimitValue::Kind::value, 9};
    constexpr std::int64_t kDayMs = 86'400'000;
    strategy.limits.max_messages = {LimitValue::Kind::value, 40};
    strategy.limits.max_same_direction = {LimitValue::Kind::value, 12};
    strategy.limits.window_ms = {LimitValue::Kind::value, kDayMs};
    strategy.limits.max_same_content = {LimitValue::Kind::value, 6};
    strategy.limits.content_window_ms = {LimitValue::Kind::value, kDayMs};
    config.limits = {firm, instrument, strategy};
    return config;
}

class Trading {
public:
    Trading(const TempRegistry& place, const SharedConfig& config, std::uint64_t seed)
        : random_(seed), registry_(place.attach("s1")), model_(config) {
        model_.attached(StrategyId{0}, {kStart, kSteadyStart});
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
        if (random_.percent(8)) c.id = "X" + std::to_string(random_.between(1, 6));   // nobody knows it: quarantined
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
        // Some meet an own order of the other side.
        const std::int64_t away = random_.between(0, 3) * kTick;
        c.price = points(4800).value + (c.side == Side::buy ? -away : away);
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
    bool sparse = false;   ///< mostly zeroes: what is written over is looked for
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
            {"quarantine", s.quarantine, s.log->next_quarantine * sizeof *s.quarantine},
            {"index of quarantine", s.quarantine_index, g.quarantine_index * sizeof *s.quarantine_index, true},
            {"index of content", s.content_index, g.content_index * sizeof *s.content_index, true},
            {"heads of books", s.book_heads, g.book_sides * sizeof *s.book_heads},
            {"nodes of books", s.book_nodes, g.book_nodes * sizeof *s.book_nodes, true},
            {"message budgets", s.budget_rings, g.budget_rings * sizeof *s.budget_rings, true},
            {"breakers", s.breakers, g.breakers * sizeof *s.breakers, true},
            {"restrictions", s.restrictions, g.restrictions * sizeof *s.restrictions, true},
            {"strategies", s.strategy_records, g.strategies * sizeof *s.strategy_records},
            {"permissions", s.permissions, s.offsets.config - s.offsets.permissions, true},
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
    std::int64_t at = random.between(0, size - 1);
    for (int tries = 0; region.sparse && bytes[at] == 0 && tries < 100'000; ++tries) at = random.between(0, size - 1);
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
    bool poisoned;              // a call said so, or that the session is fenced
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
        // A session whose mutex was written over counts as dead: nothing that it asks for is done any more.
        out.poisoned = both.core.reason == DenyReason::poisoned || both.core.reason == DenyReason::fenced;
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
void one_run(std::uint64_t seed, bool tell, Tally& tally, std::string& unnoticed, std::string& ended) {
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
    if (!out->finished) ended += " " + std::to_string(seed) + " (" + out->region + ")";
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
    std::string unnoticed, ended;
    for (std::uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed)
        one_run(seed, seeds.one, t, unnoticed, ended);
    const auto n = [](std::uint64_t count) { return static_cast<unsigned long long>(count); };
    std::printf(
        "scribbles: %llu, noticed by the audit %llu, by the replay of the log %llu, by the next call %llu, changed nothing "
        "%llu, unnoticed %llu, "
        "the caller crashed %llu; trading on without an audit: poisoned %llu, other answer %llu, wrong acceptance %llu\n",
        n(t.runs), n(t.audit), n(t.replay), n(t.at_once), n(t.harmless), n(t.unnoticed), n(t.ended), n(t.poisoned),
        n(t.refused), n(t.wrong));
    CAPTURE(unnoticed, ended);
    if (!seeds.one) CHECK(t.audit > 0);
    if (!seeds.one) CHECK(t.replay > 0);
    CHECK(t.unnoticed == 0);
    CHECK(t.wrong * 100 <= t.runs);
}

TEST_CASE("an audit beside running processes notices what was written over a book, an index or a time that decide looks at",
          "[damage][inv-12]") {
    const TempRegistry place(tight_config());
    Trading trading(place, tight_config(), 1);
    for (int i = 0; i < kCallsBefore; ++i) static_cast<void>(trading.step());
    const AuditView before = place.look().audit();
    REQUIRE(before.violations == std::vector<std::string>{});
    REQUIRE(before.complete);
    LiveSegment live(place, segment::Access::read_write);
    core::State& s = live.state();
    const auto said_about = [&](std::uint64_t& word, std::uint64_t value) {
        const std::uint64_t kept = std::exchange(word, value);
        const AuditView audit = place.look().audit();
        word = kept;
        return audit.violations.empty() ? std::string("nothing") : audit.violations.front();
    };
    std::uint64_t* const book = std::find_if(s.book_heads, s.book_heads + s.geometry.book_sides, [](auto w) { return w != 0; });
    CHECK_THAT(said_about(*book, ~0ULL), Catch::Contains("its list does not lead"));
    CHECK_THAT(said_about(s.book_nodes[*book - 1].bitmap, 0), Catch::Contains("does not lead to the prices below it"));
    std::uint64_t* const content =
        std::find_if(s.content_index, s.content_index + s.geometry.content_index, [](auto w) { return w != 0; });
    CHECK_THAT(said_about(*content, 0), Catch::Contains("the content index does not lead"));
    // The oldest time of the day: only its event says that it is not earlier.
    auto& time = reinterpret_cast<std::uint64_t&>(s.budget_rings[0].times_ns[0]);
    CHECK_THAT(said_about(time, time - 1), Catch::Contains("times of messages are not those of their events"));
    CHECK(place.look().audit().violations == std::vector<std::string>{});
    // Whoever is in the middle of an event may have written half of a book.
    s.log->applied -= 1;
    const AuditView beside_a_writer = place.look().audit();
    s.log->applied += 1;
    CHECK(beside_a_writer.violations == std::vector<std::string>{});
    CHECK_FALSE(beside_a_writer.complete);
}

TEST_CASE("an audit beside running processes counts what is wrong beyond the violations that it names", "[damage][inv-12]") {
    SharedConfig config = controlled_config();
    config.capacity.orders = 16384;
    const TempRegistry place(config);
    Registry registry = place.attach("s2");
    OrderRequest order = one_lot(registry);
    for (int i = 1; i <= 8000; ++i) {
        const std::string id = "O" + std::to_string(i);
        order.id = id;
        order.price = Price{kTick * i};   // another content
        REQUIRE(registry.check_and_register(order).accepted());
    }
    REQUIRE(place.look().audit().violations == std::vector<std::string>{});
    LiveSegment live(place, segment::Access::read_write);
    core::State& s = live.state();
    std::fill(s.content_index, s.content_index + s.geometry.content_index, 0);
    const std::vector<std::string> violations = place.look().audit().violations;
    REQUIRE(violations.size() == core::kMaxViolations + 1);
    CHECK_THAT(violations.front(), Catch::Contains("the content index does not lead"));
    CHECK_THAT(violations.back(), Catch::StartsWith("and ") && Catch::EndsWith(" more"));
}

TEST_CASE("an audit beside processes that trade all the while takes nothing that they are about to finish for damage",
          "[damage][inv-8][inv-12]") {
    SharedConfig config = controlled_config();
    config.capacity = {.orders = 65536, .sessions = 16, .ring_events = 65536, .executions = 65536};
    const TempRegistry place(config);
    constexpr int kWriters = 3, kOrders = 16'000, kPart = kOrders / 40;
    const Shared<std::atomic<int>> finished, complete;
    std::vector<Child> writers;
    for (int w = 1; w <= kWriters; ++w)
        writers.emplace_back([&, w] {
            const std::string name = "s" + std::to_string(w);
            Registry registry = place.attach(name);
            Random random(static_cast<std::uint64_t>(w));
            OrderRequest order = one_lot(registry);
            for (int i = 0; i < kOrders; ++i) {
                // Each part waits for one more audit that saw everything: between events, or while all wait.
                if (i % kPart == 0) wait_until([&] { return *complete >= i / kPart; });
                const std::string id = name + "-" + std::to_string(i);
                order.id = id;
                order.side = random.percent(50) ? Side::buy : Side::sell;
                order.quantity = lots(static_cast<int>(random.between(1, 9)));
                order.price = Price{points(4800).value + (order.side == Side::buy ? -1 : 1) * random.between(1, 5) * kTick};
                static_cast<void>(registry.check_and_register(order));
                OrderEvent end;
                end.kind = random.percent(50) ? EventKind::filled : EventKind::canceled;
                end.account = order.account;
                end.id = id;
                end.exec_id = "E";
                end.price = order.price;
                end.quantity = order.quantity;
                static_cast<void>(registry.event(end));
            }
            ++*finished;
        });
    const Reader reader = place.look();
    int audits = 0;
    std::string wrong;
    wait_until([&] {
        const AuditView audit = reader.audit();
        ++audits;
        *complete += audit.complete ? 1 : 0;
        if (!audit.violations.empty()) wrong = audit.violations.front();
        return !wrong.empty() || *finished == kWriters;
    });
    for (Child& writer : writers) CHECK(writer.wait().left_with(0));
    std::printf("audits beside %d writers: %d, %d of them saw everything, %llu orders\n", kWriters, audits, complete->load(),
                static_cast<unsigned long long>(reader.status().orders_total));
    CHECK(wrong.empty());
    CHECK(*complete > 0);
    const AuditView last = reader.audit();
    CHECK(last.violations == std::vector<std::string>{});
    CHECK(last.complete);
}

TEST_CASE("a record that arithmetic or a lookup under the lock rests on and that was written over is poison, not a crash",
          "[damage][inv-12]") {
    const auto call = GENERATE(0, 1, 2, 3, 4, 5, 6, 7, 8);
    const TempRegistry place(tight_config());
    Registry registry = place.attach("s1");
    OrderRequest order = one_lot(registry);
    order.id = "A";
    REQUIRE(registry.check_and_register(order).accepted());
    LiveSegment live(place, segment::Access::read_write);
    core::State& s = live.state();
    layout::OrderIdentity& identity = s.orders[0].identity;
    OrderEvent fill;
    fill.kind = EventKind::filled;
    fill.account = order.account;
    fill.id = "A";
    fill.exec_id = "E1";
    fill.price = points(4800);
    fill.quantity = lots(1);
    ReplaceRequest amend;
    amend.account = order.account;
    amend.id = "A";
    amend.new_id = "C";
    amend.quantity = lots(2);
    Verdict verdict;
    CAPTURE(call);
    order.id = "B";
    switch (call) {
        case 0: s.instrument_records[0].tick = 0, verdict = registry.check_and_register(order); break;
        case 1: s.instrument_records[0].lot = -1, verdict = registry.check_and_register(order); break;
        case 2: s.instrument_records[0].factor_scale = 30, verdict = registry.check_and_register(order); break;
        case 3: s.instrument_records[0].tick = 0, verdict = registry.event(fill); break;
        case 4: identity.head = 0x7FFF'FFFF, verdict = registry.event(fill); break;
        case 5: identity.strategy = 0x7FFF, verdict = registry.event(fill); break;
        case 6: identity.instrument = 0x7FFF'FFFF, verdict = registry.cancel_requested(order.account, "A"); break;
        case 7:
            for (layout::OrderState& state : s.orders[0].state.copy) state.last_alias = 0x7FFF'FFFF;
            verdict = registry.replace_requested(amend);
            break;
        default:
            s.instrument_records[0].lot = 0;
            verdict = registry.register_batch(std::array{order}, true).front();
            break;
    }
    CHECK(place.look().crossing_orders(order).empty());
    CHECK(verdict.reason == DenyReason::poisoned);
    CHECK(verdict.result == (call >= 3 && call <= 5 ? Result::not_booked : Result::denied));
    CHECK(place.look().status().poisoned);
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

namespace {

/// Until the host has said its last word about it; it poisons first.
void wait_for_poison(const PersistedRegistry& place, const Registry& trader) {
    wait_until([&] { return place.log().find("riskctl recover") != std::string::npos; });
    CHECK(trader.reader().status().poisoned);
}

}  // namespace

TEST_CASE(
    "the snapshotter finds a scribbled counter by itself, poisons the registry, and recover brings every durable order back",
    "[damage][persist][inv-1][inv-5][inv-12]") {
    const PersistedRegistry place;
    std::uint64_t durable = 0;
    {
        Child host = place.host();
        Registry trader = Registry::open(place.name(), place.durable_process("s1", 10'000'000'000));
        OrderRequest order = one_lot(trader);
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
        wait_for_poison(place, trader);
        order.id = "late";
        CHECK(trader.check_and_register(order).reason == DenyReason::poisoned);
        for (const char* said : {"the tables differ from what the journal says: row firm", "the registry is poisoned"})
            wait_until([&] { return place.log().find(said) != std::string::npos; });
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

TEST_CASE("the snapshotter finds by itself what was written over an index that no record of the journal tells of",
          "[damage][persist][inv-12]") {
    const PersistedRegistry place;
    Child host = place.host();
    Registry trader = Registry::open(place.name(), place.durable_process("s1", 10'000'000'000));
    OrderRequest order = one_lot(trader);
    order.id = "O-1";
    REQUIRE(trader.check_and_register(order).durability == Durability::durable);
    LiveSegment live(place, segment::Access::read_write);
    std::uint64_t* const begin = live.state().order_index;
    std::uint64_t* const end = begin + live.state().geometry.order_index;
    std::uint64_t* const word = std::find_if(begin, end, [](std::uint64_t seen) { return seen != 0; });
    REQUIRE(word != end);
    *word = 0;
    wait_for_poison(place, trader);
    wait_until([&] { return place.log().find("audit: order slot 0: the index does not lead to id O-1") != std::string::npos; });
    host.kill_and_reap();
}

}  // namespace riskreg::test
