/// The reference model's two times by themselves, rule by rule, with numbers written down by hand.
#include <catch2/catch.hpp>
#include <limits>
#include <map>
#include <string>

#include "model/clock.hpp"
#include "model/command.hpp"

namespace riskreg::test {
namespace {

using model::Big;
using model::Caller;
using model::Model;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kHour = 3600 * kSecond;
constexpr StrategyId kStrategy{0};
constexpr InstrumentId kInstrument{0};
constexpr Scope kFirm{ScopeKind::firm};

LimitValue of(std::int64_t value) { return {LimitValue::Kind::value, value}; }

/// One of each, whole ticks and lots, and no limits but these. References are fresh for two seconds.
SharedConfig plain(const Limits& limits = {}) {
    SharedConfig config;
    config.require_limits = false;
    config.allow_limit_without_reference = true;
    config.self_match = SelfMatch::allow;
    InstrumentConfig instrument;
    instrument.id = "ES";
    instrument.tick = Price{kSecond};
    instrument.reference_max_age_ms = 2000;
    config.instruments = {instrument};
    config.accounts = {{.id = "A", .currency = ""}};
    config.strategies = {{.id = "s", .accounts = {"A"}, .instruments = {}, .on_death = OnDeath::leave}};
    config.limits = {{.scope = "firm", .limits = limits}};
    return config;
}

/// At so many seconds of the wall clock from the start, and of the steady one.
Caller at(double wall_s, double steady_s) {
    return {kStart + static_cast<std::int64_t>(wall_s * 1e9), kSteadyStart + static_cast<std::int64_t>(steady_s * 1e9),
            kStrategy, 1000};
}
Caller later(Caller caller, std::int64_t steady_ns) {
    caller.steady_ns += steady_ns;
    return caller;
}

OrderRequest order(std::string_view id, OrderType type = OrderType::limit) {
    OrderRequest request;
    request.id = id;
    request.account = AccountId{0};
    request.instrument = kInstrument;
    request.side = Side::buy;
    request.type = type;
    if (type == OrderType::limit) request.price = Price{100 * kSecond};
    request.quantity = Quantity{100'000'000};
    return request;
}

DenyReason reason_of(const Verdict& verdict) { return verdict.reason; }
DenyReason ask(Model& model, const Caller& caller, std::string_view id, OrderType type = OrderType::limit) {
    return reason_of(model.register_order(caller, order(id, type)));
}

OrderEvent report(EventKind kind, std::string_view id, std::string_view exec_id = "") {
    OrderEvent event;
    event.kind = kind;
    event.account = AccountId{0};
    event.id = id;
    event.exec_id = exec_id;
    if (kind != EventKind::filled) return event;
    event.price = Price{100 * kSecond};
    event.quantity = Quantity{100'000'000};
    return event;
}

TradingState state_of(const Model& model) {
    return model.row({ScopeKind::strategy_instrument, AccountId::none, kStrategy, kInstrument}).state;
}

std::int64_t label_s(const Model& model) { return (model.last_time_ns() - kStart) / kSecond; }
std::int64_t steady_s(const Model& model) { return (model.last_steady_ns() - kSteadyStart) / kSecond; }

/// Five messages and two of one content a second; the third buy, or the second reject of a second, is one too many.
Limits windows() {
    Limits limits;
    limits.max_messages = of(5);
    limits.max_same_content = of(2);
    limits.max_same_direction = of(2);
    limits.max_rejects = of(1);
    return limits;
}

}  // namespace

TEST_CASE("C1, C2: an event is never earlier than the last by the clock that cannot step, and that is what has elapsed",
          "[model]") {
    Model model(plain());
    model.passed(at(10, 10).at());
    CHECK(steady_s(model) == 10);
    model.passed(at(10, 8).at());   // read before the last one was written
    CHECK(steady_s(model) == 10);
    CHECK(label_s(model) == 10);
    model.passed(at(11, 10).at());   // nothing elapsed, a second of grace
    CHECK(label_s(model) == 11);
    CHECK_FALSE(model.last_was_ahead());
    model.passed(at(14, 12).at());   // two elapsed, and one
    CHECK(label_s(model) == 14);
    CHECK(steady_s(model) == 12);
    CHECK_FALSE(model.last_was_ahead());
}

TEST_CASE("C3: a label never goes back, and one that runs ahead by more than a second is not taken over", "[model]") {
    Model model(plain());
    model.passed(at(100, 0).at());   // the first one is taken as it is
    CHECK(label_s(model) == 100);
    model.passed(at(-3600, 1).at());
    CHECK(label_s(model) == 100);
    CHECK_FALSE(model.last_was_ahead());
    model.passed(at(104, 3).at());   // 100 + 3 elapsed + 1
    CHECK(label_s(model) == 104);
    CHECK(model.ahead_events() == 0);
    model.passed({kStart + 106 * kSecond + 1, kSteadyStart + 4 * kSecond});   // 104 + 1 + 1, and a nanosecond
    CHECK(model.last_time_ns() == kStart + 105 * kSecond);
    CHECK(model.last_was_ahead());
    model.passed(at(107, 5).at());   // 105 + 1 + 1
    CHECK(label_s(model) == 107);
    CHECK_FALSE(model.last_was_ahead());
}

TEST_CASE("C3': one call with a clock an hour behind makes no honest clock count as ahead", "[model]") {
    Model model(plain());
    model.passed(at(0, 0).at());
    model.passed(at(100 - 3600, 100).at());   // the first call after 100 seconds of quiet
    CHECK(label_s(model) == 0);
    for (int s = 100; s < 200; ++s) {
        model.passed(at(s, s).at());
        CHECK(label_s(model) == s);
    }
    CHECK(model.ahead_events() == 0);
}

TEST_CASE("C3': a process whose clock is always behind shows the label before, and the others theirs", "[model]") {
    Model model(plain());
    model.passed(at(0, 0).at());
    for (int s = 10; s < 2000; s += 20) {
        model.passed(at(s - 3600, s).at());
        CHECK(label_s(model) == (s == 10 ? 0 : s - 10));
        model.passed(at(s + 10, s + 10).at());
        CHECK(label_s(model) == s + 10);
    }
    CHECK(model.ahead_events() == 0);
}

TEST_CASE("C3': a label may be a second ahead of all before it and not a nanosecond more, whoever was behind", "[model]") {
    for (const bool one_behind : {false, true}) {
        for (const std::int64_t over : {-1, 0, 1}) {
            Model model(plain());
            model.passed(at(0, 0).at());
            if (one_behind) model.passed(at(-3600, 4.5).at());
            const model::Moment now{kStart + 6 * kSecond + over, kSteadyStart + 5 * kSecond};
            CHECK(model.believed_until(now) == kStart + 6 * kSecond);
            model.passed(now);
            CHECK(model.last_was_ahead() == (over > 0));
            CHECK(model.last_time_ns() == (over > 0 ? kStart + 5 * kSecond : now.now_ns));
        }
    }
}

TEST_CASE("C3': a clock that is an hour ahead for one call moves nothing that comes after it", "[model]") {
    Model model(plain());
    model.passed(at(0, 0).at());
    model.passed(at(3610, 10).at());
    CHECK(label_s(model) == 10);   // what an honest clock would have shown
    CHECK(model.last_was_ahead());
    for (int s = 11; s < 20; ++s) {
        model.passed(at(s, s).at());
        CHECK(label_s(model) == s);
        CHECK_FALSE(model.last_was_ahead());
    }
    model.passed(at(21.000000001, 20).at());   // nor was the bound moved
    CHECK(label_s(model) == 20);
    CHECK(model.ahead_events() == 2);
}

TEST_CASE("C3': a clock that creeps ahead by less than a second with each call is taken over each time", "[model]") {
    Model model(plain());
    model.passed(at(0, 0).at());
    model::Moment creeping{kStart, kSteadyStart};
    for (int i = 0; i < 100; ++i) {
        creeping.now_ns += 900'000'000 + kMillisecond, creeping.steady_ns += kMillisecond;
        model.passed(creeping);
        CHECK(model.last_time_ns() == creeping.now_ns);
    }
    CHECK(model.ahead_events() == 0);
    model.passed(at(1, 1).at());   // 89 seconds behind by now
    CHECK(model.last_time_ns() == creeping.now_ns);
    CHECK_FALSE(model.last_was_ahead());
    model.passed(at(92, 2).at());   // 90 + 2: with what crept, none of the second is used
    CHECK(label_s(model) == 92);
    model.passed({kStart + 93 * kSecond + 1, kSteadyStart + 2 * kSecond});
    CHECK(label_s(model) == 92);
    CHECK(model.last_was_ahead());
}

TEST_CASE("C3: a clock that runs ahead is an alarm at most once a second, and every event of it is counted", "[model]") {
    Model model(plain());
    model.passed(at(0, 0).at());
    for (const double steady : {1.0, 1.5, 1.999999999, 2.0, 2.5}) model.passed(at(3600, steady).at());
    CHECK(model.ahead_events() == 5);
    CHECK(model.clock_alarms() == 2);   // at 1 and at 2
    CHECK(model.last_time_ns() == kStart + 2'500'000'000);
}

TEST_CASE("C3: any 64 bits may come in as a time", "[model]") {
    constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min(), kMost = std::numeric_limits<std::int64_t>::max();
    Model model(plain());
    model.passed({kLeast, kLeast});
    CHECK(model.last_time_ns() == kLeast);
    CHECK(model.last_steady_ns() == 0);
    model.passed({kMost, 5});
    CHECK(model.last_time_ns() == kLeast + 5);
    CHECK(model.last_was_ahead());
    CHECK(model.set_clock({kMost - 1, 6}).result == Result::ok);
    model.passed({kMost, kMost});   // a second and an age after the end of time
    CHECK(model.last_time_ns() == kMost);
    CHECK_FALSE(model.last_was_ahead());
    model.passed({kMost, kLeast});
    CHECK(model.last_steady_ns() == kMost);
    CHECK(model.ahead_events() == 1);
}

TEST_CASE("C3': what a label is ahead by is kept as far as 64 bits go", "[model]") {
    constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min(), kMost = std::numeric_limits<std::int64_t>::max();
    Model model(plain());
    CHECK(model.set_clock({kLeast, 7}).result == Result::ok);
    model.passed({0, 8});
    CHECK(model.last_time_ns() == kLeast + 8);   // 7 of which the lead has no room for
    CHECK(model.last_was_ahead());
    model.recovered({kMost, -1});
    model.passed({kMost, -1});
    CHECK(model.last_time_ns() == kMost);
    CHECK_FALSE(model.last_was_ahead());
    model.passed({0, kMost});   // an age after the end of time: the label can only stay
    CHECK(model.last_time_ns() == kMost);
}

TEST_CASE("C3': an event at the epoch is an event", "[model]") {
    Model model(plain());
    model.passed({0, 0});
    model.passed({kStart, 1});
    CHECK(model.last_time_ns() == 1);
    CHECK(model.last_was_ahead());
}

TEST_CASE("C4: a message budget is measured by the clock that cannot step, whatever the wall clock does", "[model]") {
    Limits limits;
    limits.max_messages = of(2);
    Model model(plain(limits));
    CHECK(ask(model, at(0, 0), "1") == DenyReason::none);
    CHECK(ask(model, at(3600, 0.5), "2") == DenyReason::none);   // an hour ahead, for one order
    CHECK(label_s(model) == 0);
    CHECK(ask(model, at(3600, 0.75), "3") == DenyReason::rate_limit);
    CHECK(ask(model, at(-86400, 0.75), "3") == DenyReason::rate_limit);
    CHECK(ask(model, later(at(0.5, 1), -1), "3") == DenyReason::rate_limit);
    CHECK(ask(model, at(-3600, 1), "3") == DenyReason::none);   // exactly a window after the first
    CHECK(ask(model, at(-3600, 1.25), "4") == DenyReason::rate_limit);
    CHECK(ask(model, at(-3600, 1.5), "4") == DenyReason::none);
}

TEST_CASE("C4: content and breakers are measured by the clock that cannot step", "[model]") {
    Limits limits = windows();
    limits.max_messages = {};
    Model model(plain(limits));
    CHECK(ask(model, at(0, 0), "1") == DenyReason::none);
    CHECK(ask(model, at(0, 0), "2") == DenyReason::none);
    CHECK(ask(model, at(7200, 0.5), "3") == DenyReason::duplicate_content);
    CHECK(ask(model, at(-7200, 1), "3") == DenyReason::none);

    (void)model.fact(at(0, 1), report(EventKind::filled, "1", "E1"));
    (void)model.fact(at(3600, 1.5), report(EventKind::filled, "2", "E2"));
    (void)model.fact(at(-3600, 2), report(EventKind::filled, "3", "E3"));   // the first has left the window
    CHECK(state_of(model) == TradingState::active);
    CHECK(ask(model, at(0, 3), "4") == DenyReason::none);
    CHECK(ask(model, at(0, 3), "5") == DenyReason::none);
    (void)model.fact(at(0, 3), report(EventKind::rejected, "4"));
    (void)model.fact(at(3600, 3.999999999), report(EventKind::rejected, "5"));
    CHECK(state_of(model) == TradingState::halted);
}

TEST_CASE("C4: the dates of the restricted list are held against the label that the event would get", "[model]") {
    Model model(plain());
    Restriction entry;
    entry.from_ns = kStart + 60 * kSecond;
    entry.to_ns = kStart + 120 * kSecond;
    CHECK(model.restrict(at(0, 0), kFirm, entry).result == Result::ok);
    CHECK(ask(model, at(61, 1), "1") == DenyReason::none);   // ahead: not believed
    CHECK(label_s(model) == 1);
    CHECK(ask(model, at(60, 58.5), "2") == DenyReason::none);   // the label is 58.5, believed up to 59.5 only
    CHECK(ask(model, at(60, 59), "3") == DenyReason::restricted);
    CHECK(ask(model, at(0, 60), "3") == DenyReason::none);      // the clock went back: the label stays at 58.5
    CHECK(ask(model, at(60, 60), "4") == DenyReason::restricted);   // and takes nothing from the next
    CHECK(ask(model, later(at(3600, 120), -1), "4") == DenyReason::restricted);   // ahead: as late as all the others say
    CHECK(ask(model, at(120, 118.999), "4") == DenyReason::restricted);           // 119.999 at most, and so it is 118.999
    CHECK(ask(model, at(120, 119), "4") == DenyReason::none);                     // exactly as far ahead as it may be
}

TEST_CASE("C5: a reference is as old as the clock that cannot step says, and what its label says plays no part", "[model]") {
    Model model(plain());
    model.passed(at(0, 0).at());
    CHECK(ask(model, at(0, 0), "1", OrderType::market) == DenyReason::reference_price_unknown);
    model.set_reference(kInstrument, 100 * kSecond, at(3600, 10).at());   // a price from the future
    CHECK(ask(model, at(10, 12), "1", OrderType::market) == DenyReason::none);
    CHECK(ask(model, later(at(12, 12), 1), "2", OrderType::market) == DenyReason::reference_price_stale);
    model.set_reference(kInstrument, 100 * kSecond, at(-3600, 13).at());   // and one from the past
    CHECK(ask(model, at(7200, 15), "2", OrderType::market) == DenyReason::none);
    CHECK(ask(model, at(13, 12.5), "3", OrderType::market) == DenyReason::none);   // written after this caller looked
    model.set_reference(kInstrument, 100 * kSecond, at(15, 15).at());
    model.passed(at(18, 18).at());
    CHECK(ask(model, at(17, 17), "4", OrderType::market) == DenyReason::none);   // its own time, not the last event's
}

TEST_CASE("C6: a new day goes on with labels, steady times and prices, and what windows have counted begins anew", "[model]") {
    Model model(plain(windows()));
    model.set_reference(kInstrument, 100 * kSecond, at(0, 0).at());
    for (const char* id : {"1", "2"}) CHECK(ask(model, at(0, 0), id) == DenyReason::none);
    CHECK(ask(model, at(0, 0), "3") == DenyReason::duplicate_content);
    for (const char* id : {"3", "4"}) CHECK(ask(model, at(0, 0), id, OrderType::market) == DenyReason::none);
    CHECK(ask(model, at(0, 0), "5", OrderType::market) == DenyReason::rate_limit);
    for (const char* id : {"3", "4"}) (void)model.fact(at(0, 0), report(EventKind::filled, id, id));  // one less than too many
    (void)model.fact(at(0, 0), report(EventKind::rejected, "1"));

    model.rolled(at(-3600, 0.25).at());
    CHECK(label_s(model) == 0);
    CHECK(model.last_steady_ns() == kSteadyStart + kSecond / 4);
    CHECK(model.find(AccountId{0}, "1") == nullptr);  // ended, so its id is free
    CHECK(model.find(AccountId{0}, "2") != nullptr);
    for (const char* id : {"5", "6"}) CHECK(ask(model, at(0.5, 0.5), id) == DenyReason::none);
    CHECK(ask(model, at(0.5, 0.5), "7") == DenyReason::duplicate_content);  // two of today
    for (const char* id : {"7", "8"}) CHECK(ask(model, at(0.5, 0.5), id, OrderType::market) == DenyReason::none);
    CHECK(ask(model, at(0.5, 0.5), "9", OrderType::market) == DenyReason::rate_limit);  // five of today
    for (const char* id : {"7", "8"}) (void)model.fact(at(0.5, 0.5), report(EventKind::filled, id, id));
    (void)model.fact(at(0.5, 0.5), report(EventKind::rejected, "5"));
    CHECK(state_of(model) == TradingState::active);
    (void)model.fact(at(0.5, 0.5), report(EventKind::rejected, "6"));  // the second of today
    CHECK(state_of(model) == TradingState::halted);
}

TEST_CASE("C6: a new day makes a clock neither more nor less believed", "[model]") {
    for (const std::int64_t over : {0, 1}) {
        Model model(plain());
        model.passed(at(10, 0).at());
        model.rolled(at(-3600, 5).at());
        model.passed({kStart + 17 * kSecond + over, kSteadyStart + 6 * kSecond});  // 10 + 6 + 1
        CHECK(model.last_was_ahead() == (over > 0));
        CHECK(label_s(model) == 17 - over);
        model.rolled(at(3600, 7).at());  // the event that ends a day is one like the others
        CHECK(model.last_was_ahead());
        CHECK(label_s(model) == 18 - over);
    }
}

TEST_CASE("C6: a new day that one who is behind begins keeps what labels are held against", "[model]") {
    Model model(plain());
    model.passed(at(0, 0).at());
    model.passed(at(-3600, 50).at());
    model.rolled(at(-3600, 100).at());
    CHECK(label_s(model) == 0);
    CHECK(*model.best() == kStart - kSteadyStart);
    model.passed(at(201, 200).at());  // 0 + 200 + 1
    CHECK(label_s(model) == 201);
    CHECK(model.ahead_events() == 0);
}

TEST_CASE("C8: a label goes back at the operator's word and at nothing else, a recovery and a new day included", "[model]") {
    Model model(plain());
    model.passed(at(100, 100).at());
    model.attached(kStrategy, at(-3600, 101).at());
    model.died(kStrategy, at(-86400, 102).at());
    CHECK(ask(model, at(-3600, 103), "1") == DenyReason::none);
    model.rolled(at(0, 104).at());
    model.recovered(at(-3600, -3000).at());
    for (const model::Stamp& stamp : model.stamps()) CHECK(stamp.label.time_ns == kStart + 100 * kSecond);
    CHECK(model.stamps().size() == 6);
    CHECK(model.set_clock(at(-3600, -2999)).result == Result::ok);
    CHECK(label_s(model) == -3600);
}

TEST_CASE("C6: a new day after a recovery begins with whole budgets", "[model]") {
    Model model(plain(windows()));
    CHECK(ask(model, at(0, 0), "1") == DenyReason::none);
    model.recovered(at(1, 1).at());
    CHECK(model.release_unreconciled(at(1, 1)).result == Result::ok);
    CHECK(ask(model, at(1.25, 1.25), "2") == DenyReason::rate_limit);
    model.rolled(at(1.5, 1.5).at());
    CHECK(ask(model, at(1.5, 1.5), "2") == DenyReason::none);
}

TEST_CASE("C7: after a recovery labels go on, steady times begin anew, and the windows are used up once", "[model]") {
    Model model(plain(windows()));
    model.set_reference(kInstrument, 100 * kSecond, at(0, 0).at());
    CHECK(ask(model, at(0, 0), "1", OrderType::market) == DenyReason::none);
    (void)model.fact(at(0, 0), report(EventKind::filled, "1", "E1"));
    CHECK(ask(model, at(0, 0), "2") == DenyReason::none);
    CHECK(ask(model, at(0, 0), "3") == DenyReason::none);

    const Caller boot{kStart + 10 * kHour, 30 * kSecond, kStrategy, 1000};  // another boot: up for half a minute
    model.recovered(boot.at());
    CHECK(model.last_time_ns() == boot.now_ns);  // ten hours ahead of the last, and believed
    CHECK(model.last_steady_ns() == 30 * kSecond);
    CHECK_FALSE(model.last_was_ahead());
    CHECK(model.row(kFirm).unreconciled);
    CHECK(model.release_unreconciled(boot).result == Result::ok);

    CHECK(ask(model, later(boot, kSecond - 1), "4", OrderType::market) == DenyReason::reference_price_unknown);
    CHECK(ask(model, later(boot, kSecond - 1), "4") == DenyReason::rate_limit);
    (void)model.fact(later(boot, kSecond / 2), report(EventKind::filled, "2", "E2"));
    (void)model.fact(later(boot, kSecond / 2), report(EventKind::filled, "3", "E3"));
    CHECK(state_of(model) == TradingState::active);  // the one of before is forgotten
    CHECK(ask(model, later(boot, kSecond), "4") == DenyReason::none);
}

TEST_CASE("C7: after a recovery a registration of before is in the window of its content for one window more", "[model]") {
    Limits limits;
    limits.max_same_content = of(1);
    limits.content_window_ms = of(4000);
    Model model(plain(limits));
    CHECK(ask(model, at(0, 0), "1") == DenyReason::none);
    model.passed(at(3600, 3600).at());
    const Caller boot = at(-60, -3000);  // an earlier wall clock as well
    model.recovered(boot.at());
    CHECK(label_s(model) == 3600);
    CHECK(steady_s(model) == -3000);
    CHECK(model.release_unreconciled(boot).result == Result::ok);
    CHECK(ask(model, later(boot, 4 * kSecond - 1), "2") == DenyReason::duplicate_content);
    CHECK(ask(model, later(boot, 4 * kSecond), "2") == DenyReason::none);
}

TEST_CASE("C7: a recovery begins anew with what labels are held against, after an earlier and a later boot", "[model]") {
    for (const double boot_s : {-3000.0, 5000.0}) {
        Model model(plain());
        model.passed(at(0, 0).at());
        model.passed(at(100, 100).at());
        model.recovered(at(7200, boot_s).at());
        CHECK(label_s(model) == 7200);
        model.passed(at(7201, boot_s + 1).at());  // as honest as before, by another boot
        CHECK(label_s(model) == 7201);
        CHECK_FALSE(model.last_was_ahead());
        model.passed({kStart + 7203 * kSecond + 1, at(0, boot_s + 2).steady_ns});
        CHECK(label_s(model) == 7202);
        CHECK(model.last_was_ahead());
    }
}

TEST_CASE("C7: a clock that is behind at a recovery is no alarm while it catches up", "[model]") {
    Model model(plain());
    model.passed(at(100, 100).at());
    model.recovered(at(40, -3000).at());
    CHECK(label_s(model) == 100);
    for (int s = 1; s < 120; ++s) {
        model.passed(at(40 + s, -3000 + s).at());
        CHECK(label_s(model) == std::max(100, 40 + s));
    }
    CHECK(model.ahead_events() == 0);
    model.passed(at(40 + 181, -3000 + 120).at());  // 100 + 120 + 1
    CHECK(label_s(model) == 221);
    CHECK_FALSE(model.last_was_ahead());
}

TEST_CASE("C8: an operator sets the clock forwards and backwards, and windows and ages stay as they are", "[model]") {
    Limits limits;
    limits.max_messages = of(1);
    Model model(plain(limits));
    model.set_reference(kInstrument, 100 * kSecond, at(0, 0).at());
    CHECK(ask(model, at(0, 0), "1") == DenyReason::none);
    for (const double wall : {86400.0, -86400.0, 7200.0}) {
        const std::uint64_t before = model.events();
        CHECK(model.set_clock(at(wall, 0.5)).result == Result::ok);
        CHECK(label_s(model) == static_cast<std::int64_t>(wall));
        CHECK(model.last_steady_ns() == kSteadyStart + kSecond / 2);
        CHECK(model.events() == before + 1);
        CHECK(ask(model, at(wall, 0.5), "2") == DenyReason::rate_limit);
    }
    CHECK(model.ahead_events() == 0);
    CHECK(model.set_clock(at(-7200, 0.25)).result == Result::ok);  // by a process that looked earlier
    CHECK(model.last_steady_ns() == kSteadyStart + kSecond / 2);
    CHECK(ask(model, at(-7199.5, 1), "2", OrderType::market) == DenyReason::none);
    CHECK(model.find(AccountId{0}, "2")->created_ns == kStart - 7'199'500'000'000);
    CHECK(ask(model, later(at(-7199, 2), 1), "3", OrderType::market) == DenyReason::reference_price_stale);
}

TEST_CASE("C8: what labels are held against is what the operator last said, back and forth", "[model]") {
    Model model(plain());
    model.passed(at(0, 0).at());
    double steady = 1;
    for (const double offset : {-3600.0, 3600.0, -7200.0, 86400.0, 0.0}) {
        CHECK(model.set_clock(at(offset + steady, steady)).result == Result::ok);
        CHECK_FALSE(model.last_was_ahead());
        ++steady;
        model.passed(at(offset + steady, steady).at());  // the one that was right from now on
        CHECK(label_s(model) == static_cast<std::int64_t>(offset + steady));
        CHECK_FALSE(model.last_was_ahead());
        model.passed({at(offset + steady + 1, 0).now_ns + 1, at(0, steady).steady_ns});
        CHECK(label_s(model) == static_cast<std::int64_t>(offset + steady));
        CHECK(model.last_was_ahead());
        model.passed(at(offset - 3600, steady).at());  // one that nobody told
        CHECK(label_s(model) == static_cast<std::int64_t>(offset + steady));
        CHECK_FALSE(model.last_was_ahead());
        ++steady;
    }
    CHECK(model.ahead_events() == 5);
}

namespace {

/// What the drawn moments met, and the rules once more, told in other words than the model's.
class Drawn {
public:
    explicit Drawn(std::uint64_t seed) : random_(seed), model_(plain()), clock_(random_, model_) {
        model_.passed(clock_.begin());
        begin_with(model_.last_time_ns());
    }
    void step() {
        clock_.advance();
        const model::Moment now = random_.percent(1) ? clock_.to_set() : clock_.now();
        note(now);
        if (now.now_ns == clock_.now().now_ns && random_.percent(98)) return take(now, clock_.label_ns());
        REQUIRE(model_.set_clock({now.now_ns, now.steady_ns, StrategyId::none, 0}).result == Result::ok);
        REQUIRE(model_.last_time_ns() == now.now_ns);
        begin_with(now.now_ns);
    }
    [[nodiscard]] const Model& model() const { return model_; }

    std::uint64_t back = 0, hours = 0, days = 0, behind = 0, equal = 0, to_the_nanosecond = 0, as_it_is = 0, negative = 0,
                  extreme = 0, set = 0;

private:
    static constexpr std::int64_t kAge = 400'000'000 * kSecond;

    void begin_with(std::int64_t label_ns) {
        best_ = std::max<Big>(Big(label_ns) - model_.last_steady_ns(), std::numeric_limits<std::int64_t>::min());
        ++set;
    }
    void note(const model::Moment& now) {
        const Big gap = Big(now.now_ns) - model_.last_time_ns();
        back += gap < 0 ? 1 : 0, negative += now.now_ns < 0 ? 1 : 0, extreme += abs(gap) > kAge ? 1 : 0;
        hours += abs(gap) > kHour / 2 ? 1 : 0, days += abs(gap) > 20 * kHour ? 1 : 0;
        behind += now.steady_ns < model_.last_steady_ns() ? 1 : 0, equal += now.steady_ns == model_.last_steady_ns() ? 1 : 0;
    }
    void take(const model::Moment& now, std::int64_t promised) {
        const std::int64_t label = model_.last_time_ns(), steady = std::max(model_.last_steady_ns(), now.steady_ns);
        const Big most = best_ + steady + kSecond;
        to_the_nanosecond += now.now_ns == most ? 1 : 0;
        model_.passed(now);
        REQUIRE(model_.last_time_ns() == promised);
        REQUIRE(model_.last_time_ns() >= label);
        REQUIRE(Big(model_.last_time_ns()) <= std::max(most, Big(label)));
        REQUIRE(model_.last_was_ahead() == (now.now_ns > most));
        REQUIRE(model_.last_steady_ns() == steady);
        as_it_is += now.now_ns > label && !model_.last_was_ahead() ? 1 : 0;
        best_ = std::max(best_, Big(model_.last_time_ns()) - steady);
        REQUIRE(*model_.best() == best_);
    }

    Random random_;
    Model model_;
    CallClock clock_;
    Big best_;
};

}  // namespace

TEST_CASE("clocks drawn for random commands step in every way, and the model keeps to the rules all the same", "[model]") {
    std::map<std::string, std::uint64_t> met;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        Drawn drawn(seed);
        for (int i = 0; i < 400; ++i) drawn.step();
        met["back"] += drawn.back, met["hours"] += drawn.hours, met["days"] += drawn.days, met["behind"] += drawn.behind;
        met["equal"] += drawn.equal, met["to the nanosecond"] += drawn.to_the_nanosecond, met["as it is"] += drawn.as_it_is;
        met["negative"] += drawn.negative, met["extreme"] += drawn.extreme, met["set"] += drawn.set;
        met["ahead"] += drawn.model().ahead_events();
        CHECK(drawn.model().clock_alarms() <= drawn.model().ahead_events());
    }
    for (const auto& [what, times] : met) {
        INFO(what << ' ' << times);
        CHECK(times > 20);
    }
}

}  // namespace riskreg::test
