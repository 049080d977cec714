// load and reconcile: the comparison on plain values, and both verbs as a script meets them (semantics.md 16 and 17).
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "registry/breaks.hpp"
#include "support/cli.hpp"

namespace {

using namespace riskreg;
using namespace riskreg::testing;
using persist::JsonValue;

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kThen = 1000 * kSecond;   // of the venue's statement, in comparisons on plain values
constexpr AccountId kA1{0};
constexpr InstrumentId kEs{0}, kNq{1};

Quantity lots(std::int64_t n) { return {n * 100'000'000}; }
Price points(std::int64_t n) { return {n * 1'000'000'000}; }

OrderView our_order(const std::string& id, std::int64_t quantity, std::int64_t cum = 0) {
    OrderView order;
    order.id = id;
    order.chain = {id};
    order.account = kA1;
    order.instrument = kEs;
    order.side = Side::buy;
    order.type = OrderType::limit;
    order.base = cum == 0 ? OrderBase::new_ : OrderBase::partially_filled;
    order.status = static_cast<OrderStatus>(order.base);
    order.has_price = true;
    order.price = points(100);
    order.quantity = lots(quantity);
    order.cum_quantity = lots(cum);
    order.created_ns = order.updated_ns = kThen - kSecond;
    return order;
}

VenueOrder their_order(const std::string& id, std::int64_t quantity, std::int64_t cum = 0) {
    VenueOrder order;
    order.id = id;
    order.account = kA1;
    order.instrument = kEs;
    order.side = Side::buy;
    order.price = points(100);
    order.quantity = lots(quantity);
    order.cum_quantity = lots(cum);
    return order;
}

ExecutionView our_fill(const std::string& order, const std::string& exec_id, std::int64_t quantity) {
    ExecutionView fill;
    fill.account = kA1;
    fill.instrument = kEs;
    fill.order_id = order;
    fill.exec_id = exec_id;
    fill.side = Side::buy;
    fill.price = points(100);
    fill.quantity = lots(quantity);
    fill.time_ns = kThen - kSecond;
    return fill;
}

VenueFill their_fill(const std::string& order, const std::string& exec_id, std::int64_t quantity) {
    VenueFill fill;
    fill.id = order;
    fill.exec_id = exec_id;
    fill.account = kA1;
    fill.instrument = kEs;
    fill.side = Side::buy;
    fill.price = points(100);
    fill.quantity = lots(quantity);
    return fill;
}

/// `kind id exec ours|theirs`, with a mark when it is newer.
std::string brief(const Break& found) {
    return std::string(found.newer ? "newer " : "") + std::string(name_of(found.kind)) + " " + found.id +
           (found.exec_id.empty() ? "" : "/" + found.exec_id) + ": " + found.ours + " | " + found.theirs;
}

using Briefs = std::vector<std::string>;

struct Sides {
    registry::OurRecords ours;
    VenueRecords venue;

    Sides() { venue.time_ns = kThen; }
    Sides& have(OrderView order) { return ours.orders.push_back(std::move(order)), *this; }
    Sides& have(ExecutionView fill) { return ours.executions.push_back(std::move(fill)), *this; }
    Sides& have(Quantity position) { return ours.positions.push_back({kA1, kEs, position}), *this; }
    Sides& say(VenueOrder order) {
        if (!venue.orders) venue.orders.emplace();
        return venue.orders->push_back(std::move(order)), *this;
    }
    Sides& say(VenueFill fill) {
        if (!venue.fills) venue.fills.emplace();
        return venue.fills->push_back(std::move(fill)), *this;
    }
    Sides& say(Quantity position) {
        if (!venue.positions) venue.positions.emplace();
        return venue.positions->push_back({kA1, kEs, position, {}}), *this;
    }
    [[nodiscard]] Briefs breaks() const {
        Briefs all;
        for (const Break& found : registry::compare(ours, venue)) all.push_back(brief(found));
        return all;
    }
};

}  // namespace

TEST_CASE("what agrees is no break, and a section that is absent is not compared", "[reconcile]") {
    CHECK(Sides().have(our_order("O-1", 10, 4)).say(their_order("O-1", 10, 4)).breaks().empty());
    CHECK(Sides().have(our_order("O-1", 10, 4)).have(lots(4)).say(lots(4)).breaks().empty());
    CHECK(Sides().have(our_order("O-1", 10, 4)).have(lots(7)).breaks().empty());
    CHECK(
        Sides().have(our_order("O-1", 10, 4)).have(our_fill("O-1", "E1", 4)).say(their_fill("O-1", "E1", 4)).breaks().empty());
}

TEST_CASE("an order that the venue has open and we do not know is missing here", "[reconcile]") {
    CHECK(Sides().say(their_order("X-1", 10, 4)).breaks() == Briefs{"missing_here X-1: nothing | buy 10 at 100, 4 filled"});
    VenueOrder ended = their_order("X-1", 10, 4);
    ended.status = OrderStatus::canceled;
    CHECK(Sides().say(ended).breaks().empty());
    VenueOrder other_side = their_order("O-1", 10);
    other_side.side = Side::sell;
    CHECK(Sides().have(our_order("O-1", 10)).say(other_side).breaks() ==
          Briefs{"missing_here O-1: buy 10 at 100, new | sell 10 at 100"});
}

TEST_CASE("an order that is live here and not among the venue's is missing at the venue", "[reconcile]") {
    Sides sides;
    sides.have(our_order("O-1", 10)).have(our_order("O-2", 5)).say(their_order("O-2", 5));
    CHECK(sides.breaks() == Briefs{"missing_at_venue O-1: buy 10 at 100, new | nothing"});
    OrderView ended = our_order("O-3", 1);
    ended.base = OrderBase::canceled;
    CHECK(sides.have(ended).breaks().size() == 1);
}

TEST_CASE("quantity, filled quantity and price of an order are breaks of their own", "[reconcile]") {
    CHECK(Sides().have(our_order("O-1", 10)).say(their_order("O-1", 12)).breaks() == Briefs{"quantity O-1: 10 | 12"});
    CHECK(Sides().have(our_order("O-1", 10, 2)).say(their_order("O-1", 10, 5)).breaks() ==
          Briefs{"fill_missing O-1: cum 2 | cum 5"});
    CHECK(Sides().have(our_order("O-1", 10, 5)).say(their_order("O-1", 10, 2)).breaks() ==
          Briefs{"quantity O-1: cum 5 | cum 2"});
    VenueOrder dearer = their_order("O-1", 10);
    dearer.price = points(101);
    CHECK(Sides().have(our_order("O-1", 10)).say(dearer).breaks() == Briefs{"price O-1: 100 | 101"});
}

TEST_CASE("a status is a break where one side is live and the other is not, or unknown, or suspended", "[reconcile]") {
    OrderView ours = our_order("O-1", 10);
    const auto against = [&](OrderStatus stated) {
        VenueOrder theirs = their_order("O-1", 10);
        theirs.status = stated;
        return Sides().have(ours).say(theirs).breaks();
    };
    CHECK(against(OrderStatus::none).empty());
    CHECK(against(OrderStatus::new_).empty());
    CHECK(against(OrderStatus::pending_cancel).empty());
    CHECK(against(OrderStatus::suspended) == Briefs{"status O-1: new | suspended"});
    CHECK(against(OrderStatus::canceled) == Briefs{"status O-1: new | canceled"});
    ours.flags = kUnknown;
    CHECK(against(OrderStatus::new_) == Briefs{"status O-1: unknown | new"});
    ours = our_order("O-1", 10);
    ours.base = OrderBase::pending_new;
    ours.status = OrderStatus::pending_new;
    CHECK(against(OrderStatus::none) == Briefs{"status O-1: pending_new | new"});
    CHECK(against(OrderStatus::pending_new).empty());
    ours.base = OrderBase::canceled;
    ours.status = OrderStatus::canceled;
    CHECK(against(OrderStatus::none) == Briefs{"status O-1: canceled | new"});
    CHECK(against(OrderStatus::expired).empty());
}

TEST_CASE("a fill that is not booked here is missing, and named fills explain the filled quantity", "[reconcile]") {
    Sides sides;
    sides.have(our_order("O-1", 10, 2)).have(our_fill("O-1", "E1", 2)).say(their_fill("O-1", "E1", 2));
    sides.say(their_fill("O-1", "E2", 3)).say(their_order("O-1", 10, 5));
    CHECK(sides.breaks() == Briefs{"fill_missing O-1/E2: nothing | 3 at 100"});
    sides.venue.orders->front().cum_quantity = lots(6);
    CHECK(sides.breaks() == Briefs{"fill_missing O-1/E2: nothing | 3 at 100", "fill_missing O-1: cum 2 | cum 6"});
    sides.ours.executions.front().quantity = lots(1);
    CHECK(sides.breaks().front() == "quantity O-1/E1: 1 | 2");
    sides.ours.executions.front().busted = true;
    CHECK(sides.breaks().front() == "fill_missing O-1/E1: busted | 2 at 100");
}

TEST_CASE("a fill that was made up is explained by the real one when that is named", "[reconcile]") {
    Sides sides;
    sides.have(our_order("O-1", 10, 4)).have(our_fill("O-1", registry::made_up_exec_id(our_order("O-1", 10), lots(4)), 4));
    sides.say(their_order("O-1", 10, 4)).say(their_fill("O-1", "E1", 4));
    CHECK(sides.breaks() == Briefs{"fill_missing O-1/E1: nothing | 4 at 100"});
}

TEST_CASE("a fill of an order that nobody registered is known from the quarantine, by either id", "[reconcile]") {
    ExecutionView kept = our_fill("V-7", "E1", 2);
    kept.quarantined = true;
    VenueFill fill = their_fill("X-1", "E1", 2);
    fill.venue_id = "V-7";
    CHECK(Sides().have(kept).say(fill).breaks().empty());
    OrderView adopted = our_order("X-1", 8);
    adopted.venue_id = "V-7";
    adopted.loaded = true;
    CHECK(Sides().have(kept).have(adopted).say(fill).say(their_order("X-1", 10, 2)).breaks().empty());
}

TEST_CASE("of an order that was loaded only what is open is compared", "[reconcile]") {
    OrderView ours = our_order("G-1", 6);
    ours.loaded = true;
    CHECK(Sides().have(ours).say(their_order("G-1", 10, 4)).breaks().empty());
    CHECK(Sides().have(ours).say(their_order("G-1", 10, 7)).breaks() == Briefs{"fill_missing G-1: cum 0 | cum 3"});
    CHECK(Sides().have(ours).say(their_order("G-1", 12, 4)).breaks() == Briefs{"quantity G-1: 6 | 12"});
}

TEST_CASE("an order is found by the venue's id and by every id of its chain", "[reconcile]") {
    OrderView ours = our_order("O-1", 10);
    ours.chain = {"O-1", "O-2"};
    ours.venue_id = "V-1";
    VenueOrder theirs = their_order("", 10);
    theirs.venue_id = "V-1";
    CHECK(Sides().have(ours).say(theirs).breaks().empty());
    CHECK(Sides().have(ours).say(their_order("O-2", 10)).breaks().empty());
    theirs.venue_id = "V-2";
    CHECK(Sides().have(ours).say(theirs).breaks().size() == 2);
}

TEST_CASE("positions are compared in every row, also where the venue names none", "[reconcile]") {
    CHECK(Sides().have(lots(3)).say(lots(-2)).breaks() == Briefs{"position : 3 | -2"});
    Sides sides;
    sides.have(lots(3)).venue.positions.emplace();
    CHECK(sides.breaks() == Briefs{"position : 3 | 0"});
}

TEST_CASE("what came or changed after the venue's statement is newer and no break", "[reconcile]") {
    OrderView late = our_order("O-1", 10);
    late.created_ns = late.updated_ns = kThen + 1;
    Sides created;
    created.have(late).venue.orders.emplace();
    CHECK(created.breaks() == Briefs{"newer missing_at_venue O-1: buy 10 at 100, new | nothing"});

    OrderView changed = our_order("O-1", 10);
    changed.updated_ns = kThen + 1;
    CHECK(Sides().have(changed).say(their_order("O-1", 12)).breaks() == Briefs{"newer quantity O-1: 10 | 12"});
    CHECK(Sides().have(changed).say(their_order("O-1", 10)).breaks().empty());

    ExecutionView fill = our_fill("O-1", "E9", 2);
    fill.time_ns = kThen + 1;
    CHECK(Sides().have(fill).have(lots(2)).say(lots(0)).breaks() == Briefs{"newer position : 2 | 0"});
    // Booked late, but the statement names it: it is not newer.
    CHECK(Sides().have(fill).have(lots(2)).say(their_fill("O-1", "E9", 2)).say(lots(0)).breaks() == Briefs{"position : 2 | 0"});
}

TEST_CASE("exec ids that are made up fit, begin alike and depend on order and quantities alone", "[reconcile]") {
    const OrderView order = our_order(std::string(39, 'x'), 10);
    const std::string id = registry::made_up_exec_id(order, {0x7FFFFFFFFFFFFFFF});
    CHECK(id.size() <= kMaxIdBytes);
    CHECK(registry::is_made_up(id));
    CHECK(id == registry::made_up_exec_id(order, {0x7FFFFFFFFFFFFFFF}));
    CHECK(id != registry::made_up_exec_id(our_order("x", 10), {0x7FFFFFFFFFFFFFFF}));
    CHECK(registry::made_up_exec_id(our_order("x", 10, 1), lots(4)) !=
          registry::made_up_exec_id(our_order("x", 10, 2), lots(4)));
}

TEST_CASE("quantities at the end of their range are compared without overflow", "[reconcile]") {
    constexpr std::int64_t most = 0x7FFFFFFFFFFFFFFF;
    VenueFill fill = their_fill("O-1", "E1", 0);
    fill.quantity = {most};
    VenueFill other = fill;
    other.exec_id = "E2";
    VenueOrder order = their_order("O-1", 1);
    order.quantity = {most};
    OrderView ours = our_order("O-1", 10, 4);
    CHECK(Sides().have(ours).say(fill).say(other).say(order).breaks().size() == 4);
    ours.loaded = true;
    CHECK(Sides().have(ours).say(fill).say(other).say(order).breaks().size() == 3);
    CHECK(Sides().have(Quantity{most}).say(Quantity{-most}).breaks().size() == 1);
}

// ---- through the command line ----

namespace {

const std::string kConfig =
    R"({"persistence":{"mode":"none"},"require_limits":false,"allow_limit_without_reference":true,"self_match":"allow",)"
    R"("instruments":[{"id":"ESH4","tick":"0.25","lot":"1","multiplier":"50"},{"id":"NQH4","tick":"0.25"}],)"
    R"("accounts":[{"id":"A1"},{"id":"A2"}],)"
    R"("strategies":[{"id":"s1","account":["A1","A2"]},{"id":"s2","account":"A1"}],)"
    R"("limits":[{"scope":"account:A1/instrument:ESH4","max_long":"10"}]})";

const std::string kLater = "2200-01-01T00:00:00Z";   // so that nothing is newer

/// A registry `r` with one order O-1 of 10, of which 4 are filled by E1, and venue id V-1.
class Desk : public Cli {
public:
    explicit Desk(const std::string& config = kConfig) { create("r", config); }

    void run_commands(const std::string& lines) const {
        const CliResult result = run("exec r --strategy s1", lines);
        INFO(result.err);
        REQUIRE(result.code == 0);
    }
    void trade() const {
        run_commands(
            R"({"op":"register","id":"O-1","account":"A1","instrument":"NQH4","side":"buy","type":"limit","tif":"day","price":"100","quantity":"10"})"
            "\n"
            R"({"op":"acked","id":"O-1","account":"A1","venue_id":"V-1"})"
            "\n"
            R"({"op":"filled","id":"O-1","account":"A1","exec_id":"E1","price":"100","quantity":"4"})"
            "\n");
    }
    [[nodiscard]] CliResult reconcile(const std::string& text, const std::string& options = {}) const {
        return run("reconcile r --json " + options + " '" + file("venue", text) + "'");
    }
    [[nodiscard]] CliResult load(const std::string& text, const std::string& options = "--json") const {
        return run("load r " + options + " '" + file("load.json", text) + "'");
    }
    [[nodiscard]] JsonValue order(const std::string& id, const std::string& account = "A1") const {
        const auto lines = run("order r --json " + id + " --account " + account).lines();
        return lines.empty() ? JsonValue{} : lines.front();
    }
    [[nodiscard]] std::string position(const std::string& scope) const {
        return text_of(run("exposure r --json --scope " + scope).lines().at(0), "position");
    }
    [[nodiscard]] std::string digest() const { return text_of(run("verify r --json").lines().at(0), "digest"); }
    /// How many events the log holds, but for those of whoever hosts the snapshotter meanwhile.
    [[nodiscard]] std::string committed() const {
        std::size_t count = 0;
        for (const JsonValue& line : run("events r --json").lines()) {
            const std::string event = text_of(line, "event");
            count += event != "alert" && event != "marked" ? 1U : 0U;
        }
        return std::to_string(count);
    }
};

std::string statement(const std::string& sections, const std::string& time = kLater) {
    return R"({"time":")" + time + "\"" + (sections.empty() ? "" : ",") + sections + "}";
}

std::string their(const std::string& id, const std::string& quantity, const std::string& cum, const std::string& more = {},
                  const std::string& price = "100") {
    return R"({"id":")" + id + R"(","account":"A1","instrument":"NQH4","side":"buy","price":")" + price + R"(","quantity":")" +
           quantity + R"(","cum_quantity":")" + cum + "\"" + more + "}";
}

/// What each break line says: kind, id or account × instrument, whether it was settled.
std::set<std::string> outcomes(const CliResult& result) {
    std::set<std::string> all;
    for (const JsonValue& line : result.lines()) {
        if (line.find("break") == nullptr) continue;
        const std::string id = text_of(line, "id");
        all.insert(text_of(line, "break") + " " + (id == "null" ? text_of(line, "account") : id) + " " +
                   (text_of(line, "settled") == "true" ? "settled" : "left"));
    }
    return all;
}

JsonValue summary(const CliResult& result) {
    INFO(result.err);
    REQUIRE_FALSE(result.out.empty());
    return result.lines().back();
}

using Outcomes = std::set<std::string>;

/// Reports what is wrong, corrects it, finds nothing any more, and books nothing a second time.
void corrects(const Desk& desk, const std::string& text, const Outcomes& found) {
    Outcomes left, settled;
    for (const std::string& name : found) {
        left.insert(name + " left");
        settled.insert(name + " settled");
    }
    const std::string before = desk.digest();
    const CliResult report = desk.reconcile(text);
    CHECK(report.code == 1);
    CHECK(outcomes(report) == left);
    CHECK(desk.digest() == before);
    const CliResult corrected = desk.reconcile(text, "--apply");
    INFO(corrected.out << corrected.err);
    CHECK(outcomes(corrected) == settled);
    CHECK(corrected.code == 0);
    const std::string after = desk.committed();
    CHECK(desk.reconcile(text, "--apply").code == 0);
    CHECK(desk.reconcile(text).code == 0);
    CHECK(desk.committed() == after);
    CHECK(desk.run("verify r").code == 0);
}

}  // namespace

TEST_CASE("a price and a total that differ at the venue become ours", "[reconcile][cli]") {
    const Desk desk;
    desk.trade();
    corrects(desk, statement(R"("orders":[)" + their("O-1", "12", "4", {}, "101.25") + "]"), {"price O-1", "quantity O-1"});
    CHECK(text_of(desk.order("O-1"), "price") == "101.25");
    CHECK(text_of(desk.order("O-1"), "quantity") == "12");
    CHECK(text_of(desk.order("O-1"), "reserved_quantity") == "8");
}

TEST_CASE("what the venue has filled and names no fill for is booked once under an id of its own", "[reconcile][cli]") {
    const Desk desk;
    desk.trade();
    corrects(desk, statement(R"("orders":[)" + their("O-1", "10", "7") + "]"), {"fill_missing O-1"});
    CHECK(text_of(desk.order("O-1"), "cum_quantity") == "7");
    CHECK(desk.position("account:A1/instrument:NQH4") == "7");
}

TEST_CASE("the real fill takes the place of one that was made up", "[reconcile][cli]") {
    const Desk desk;
    desk.trade();
    const std::string orders = R"("orders":[)" + their("O-1", "10", "7") + "]";
    const auto fill = [](const std::string& exec_id, const std::string& quantity) {
        return R"({"account":"A1","id":"O-1","exec_id":")" + exec_id +
               R"(","instrument":"NQH4","side":"buy","price":"99.5","quantity":")" + quantity + "\"}";
    };
    REQUIRE(desk.reconcile(statement(orders), "--apply").code == 0);
    SECTION("of the same size") {
        corrects(desk, statement(orders + R"(,"fills":[)" + fill("E2", "3") + "]"), {"fill_missing O-1"});
    }
    SECTION("in two parts") {
        const std::string text = statement(orders + R"(,"fills":[)" + fill("E2", "2") + "," + fill("E3", "1") + "]");
        CHECK(desk.reconcile(text, "--apply").code == 0);
        const std::string after = desk.committed();
        CHECK(desk.reconcile(text, "--apply").code == 0);
        CHECK(desk.committed() == after);
    }
    SECTION("told by the gateway: the made-up one is taken back") {
        desk.run_commands(R"({"op":"filled","id":"O-1","account":"A1","exec_id":"E2","price":"99.5","quantity":"3"})"
                          "\n");
        CHECK(text_of(desk.order("O-1"), "cum_quantity") == "10");
        corrects(desk, statement(orders), {"quantity O-1", "status O-1"});
    }
    CHECK(text_of(desk.order("O-1"), "cum_quantity") == "7");
    CHECK(text_of(desk.order("O-1"), "leaves_quantity") == "3");
    CHECK(desk.position("account:A1/instrument:NQH4") == "7");
}

TEST_CASE("an order that the venue does not have any more is canceled", "[reconcile][cli]") {
    const Desk desk;
    desk.trade();
    corrects(desk, statement(R"("orders":[])"), {"missing_at_venue O-1"});
    CHECK(text_of(desk.order("O-1"), "status") == "canceled");
    CHECK(text_of(desk.order("O-1"), "reserved_quantity") == "0");
}

TEST_CASE("statuses become those of the venue, dead orders live again", "[reconcile][cli]") {
    const Desk desk;
    desk.trade();
    corrects(desk, statement(R"("orders":[)" + their("O-1", "10", "4", R"(,"status":"suspended")") + "]"), {"status O-1"});
    corrects(desk, statement(R"("orders":[)" + their("O-1", "10", "4", R"(,"status":"partially_filled")") + "]"),
             {"status O-1"});
    corrects(desk, statement(R"("orders":[)" + their("O-1", "10", "4", R"(,"status":"expired")") + "]"), {"status O-1"});
    CHECK(text_of(desk.order("O-1"), "status") == "expired");
    corrects(desk, statement(R"("orders":[)" + their("O-1", "10", "4") + "]"), {"status O-1"});
    CHECK(text_of(desk.order("O-1"), "reserved_quantity") == "6");
    corrects(desk, statement(R"("orders":[)" + their("O-1", "10", "10", R"(,"status":"filled")") + "]"), {"fill_missing O-1"});
    CHECK(text_of(desk.order("O-1"), "status") == "filled");
}

TEST_CASE("an order without an answer is acknowledged by the venue's statement", "[reconcile][cli]") {
    const Desk desk;
    desk.run_commands(
        R"({"op":"register","id":"O-1","account":"A1","instrument":"NQH4","side":"buy","type":"limit","tif":"day","price":"100","quantity":"10"})"
        "\n");
    corrects(desk, statement(R"("orders":[)" + their("O-1", "10", "0", R"(,"venue_id":"V-1")") + "]"), {"status O-1"});
    CHECK(text_of(desk.order("O-1"), "venue_id") == "V-1");
    CHECK(text_of(desk.order("O-1"), "status") == "new");
}

TEST_CASE("positions become those of the venue without a profit or a loss", "[reconcile][cli]") {
    const Desk desk;
    desk.trade();
    const auto pnl = [&] { return text_of(desk.run("exposure r --json --scope account:A1").lines().at(0), "pnl"); };
    const std::string before = pnl();
    corrects(desk,
             statement(R"("positions":[{"account":"A1","instrument":"NQH4","quantity":"-3"},)"
                       R"({"account":"A2","instrument":"ESH4","quantity":"2","price":"4800"}])"),
             {"position A1", "position A2"});
    CHECK(desk.position("account:A1/instrument:NQH4") == "-3");
    CHECK(desk.position("account:A2/instrument:ESH4") == "2");
    CHECK(pnl() == before);
}

TEST_CASE("a position that nobody can value is left and says what is needed", "[reconcile][cli]") {
    const Desk desk;
    const CliResult result =
        desk.reconcile(statement(R"("positions":[{"account":"A2","instrument":"ESH4","quantity":"2"}])"), "--apply");
    CHECK(result.code == 1);
    CHECK(text_of(result.lines().at(0), "note").find("no price is known") != std::string::npos);
}

TEST_CASE("adopt takes on orders and fills that we lack and touches nothing else", "[reconcile][cli]") {
    const Desk desk;
    desk.trade();
    const std::string text = statement(
        R"("orders":[)" + their("O-1", "12", "6", {}, "101") + "," + their("X-1", "8", "3", R"(,"venue_id":"V-9")") +
        R"(,{"venue_id":"V-8","account":"A2","instrument":"ESH4","side":"sell","price":"4800","quantity":"2","cum_quantity":"0"}],)"
        R"("fills":[{"account":"A1","id":"O-1","exec_id":"E2","instrument":"NQH4","side":"buy","price":"100","quantity":"2"},)"
        R"({"account":"A1","venue_id":"V-9","exec_id":"E7","instrument":"NQH4","side":"buy","price":"100","quantity":"3"}])");
    const CliResult adopted = desk.reconcile(text, "--mode adopt");
    INFO(adopted.out << adopted.err);
    CHECK(adopted.code == 1);
    CHECK(outcomes(adopted) == Outcomes{"fill_missing O-1 settled", "fill_missing V-9 settled", "missing_here X-1 settled",
                                        "missing_here V-8 settled", "price O-1 left", "quantity O-1 left"});
    CHECK(text_of(desk.order("O-1"), "cum_quantity") == "6");
    CHECK(text_of(desk.order("O-1"), "price") == "100");
    CHECK(text_of(desk.order("X-1"), "strategy") == "external");
    CHECK(text_of(desk.order("X-1"), "leaves_quantity") == "5");
    CHECK(text_of(desk.order("X-1"), "venue_id") == "V-9");
    CHECK(text_of(desk.order("X-1"), "tif") == "gtc");   // unknown: only the venue's word ends it
    CHECK(text_of(desk.order("V-8", "A2"), "status") == "new");
    CHECK(desk.position("account:A1/instrument:NQH4") == "9");
    const std::string after = desk.committed();
    const CliResult again = desk.reconcile(text, "--mode adopt");
    CHECK(outcomes(again) == Outcomes{"price O-1 left", "quantity O-1 left"});
    CHECK(desk.committed() == after);
    CHECK(desk.reconcile(text, "--apply").code == 0);
    CHECK(desk.run("verify r").code == 0);
}

TEST_CASE("a position that a missing fill explains is not corrected twice", "[reconcile][cli]") {
    const Desk desk;
    desk.trade();
    corrects(
        desk,
        statement(
            R"("orders":[)" + their("O-1", "10", "6") +
            R"(],"fills":[{"account":"A1","id":"O-1","exec_id":"E2","instrument":"NQH4","side":"buy","price":"100","quantity":"2"}],)"
            R"("positions":[{"account":"A1","instrument":"NQH4","quantity":"6"}])"),
        {"fill_missing O-1", "position A1"});
    CHECK(desk.position("account:A1/instrument:NQH4") == "6");
}

TEST_CASE("a fill that differs is corrected, one that was busted is left to a person", "[reconcile][cli]") {
    const Desk desk;
    desk.trade();
    const std::string text = statement(
        R"("fills":[{"account":"A1","id":"O-1","exec_id":"E1","instrument":"NQH4","side":"buy","price":"99.75","quantity":"3"}])");
    corrects(desk, text, {"quantity O-1", "price O-1"});
    CHECK(text_of(desk.order("O-1"), "cum_quantity") == "3");
    desk.run_commands(R"({"op":"bust","id":"O-1","account":"A1","exec_id":"E1"})"
                      "\n");
    const CliResult result = desk.reconcile(text, "--apply");
    CHECK(result.code == 1);
    CHECK(outcomes(result) == Outcomes{"fill_missing O-1 left"});
}

TEST_CASE("what changed after the statement is reported as newer and left alone", "[reconcile][cli]") {
    const Desk desk;
    desk.trade();
    const std::string text = statement(R"("orders":[],"positions":[])", "2020-01-01T00:00:00.5Z");
    const CliResult result = desk.reconcile(text, "--apply");
    CHECK(result.code == 0);
    CHECK(outcomes(result).empty());
    CHECK(text_of(result.lines().at(0), "newer") == "missing_at_venue");
    CHECK(text_of(result.lines().at(1), "newer") == "position");
    CHECK(text_of(summary(result), "newer") == "2");
    CHECK(text_of(desk.order("O-1"), "status") == "partially_filled");
}

TEST_CASE("CSV says the same as JSON", "[reconcile][cli]") {
    const Desk desk;
    desk.trade();
    const std::string csv =
        "record,time,account,id,venue_id,exec_id,instrument,side,price,quantity,cum_quantity,status\r\n"
        "time," +
        kLater +
        ",,,,,,,,,,\r\n"
        "order,,A1,O-1,V-1,,NQH4,buy,101,12,6,partially_filled\r\n"
        "order,,A1,\"X,1\",,,NQH4,buy,100,8,3,\r\n"
        "\r\n"
        "position,,A1,,,,NQH4,,,6,,\r\n"
        "fill,,A1,O-1,,E2,NQH4,buy,100,1,,\r\n";
    const std::string json = statement(
        R"("orders":[)" + their("O-1", "12", "6", R"(,"venue_id":"V-1","status":"partially_filled")", "101") + "," +
        their("X,1", "8", "3") +
        R"(],"positions":[{"account":"A1","instrument":"NQH4","quantity":"6"}],)"
        R"("fills":[{"account":"A1","id":"O-1","exec_id":"E2","instrument":"NQH4","side":"buy","price":"100","quantity":"1"}])");
    const CliResult from_csv = desk.reconcile(csv);
    CHECK(from_csv.err == "riskctl: warning: the file's time is ahead of this host's clock: nothing counts as newer\n");
    CHECK(from_csv.out == desk.reconcile(json).out);
    CHECK(from_csv.lines().size() > 4);
    // A row of nothing but its kind says that the section is there and empty.
    CHECK(desk.reconcile("record,time\ntime," + kLater + "\norder,\n").out == desk.reconcile(statement(R"("orders":[])")).out);
}

TEST_CASE("a hostile statement is refused by place, seen and allowed, and changes nothing", "[reconcile][input]") {
    const Desk desk;
    desk.trade();
    const std::string before = desk.committed();
    const std::string order = their("O-1", "10", "4");
    const std::string long_id(40, 'x');
    const std::string csv = "record,time,account,id,instrument,side,price,quantity,cum_quantity\ntime," + kLater + ",,,,,,,\n";
    const std::map<std::string, std::string> cases = {
        {"", "not a JSON document"},
        {"{", "not a JSON document"},
        {"[]", "document: seen an array, allowed: an object"},
        {"{}", "time: seen nothing"},
        {R"({"time":5,"orders":[]})", "time: seen '5'"},
        {R"({"time":"2024-02-30T00:00:00Z","orders":[]})", "time: seen '2024-02-30T00:00:00Z'"},
        {R"({"time":"2024-02-28","orders":[]})", "time: seen '2024-02-28'"},
        {R"({"time":"yesterday","orders":[]})", "time: seen 'yesterday'"},
        {statement(""), "neither orders nor positions nor fills"},
        {statement(R"("trades":[])"), "trades: seen an unknown key, allowed: time orders positions fills"},
        {statement(R"("orders":{})"), "orders: seen an object, allowed: an array"},
        {statement(R"("orders":[1])"), "orders[0]: seen 1, allowed: an object"},
        {statement(R"("orders":[],"orders":[])"), "orders: seen given twice"},
        {statement(R"("orders":[{"id":"O-1","id":"O-1"}])"), "id: seen given twice"},
        {statement(R"("orders":[)" + order + "," + order + "]"), "orders[1]: seen order 'O-1' a second time"},
        {statement(R"("orders":[)" + their("O-1", "10", "4", R"(,"venue_id":"V")") + "," +
                   their("O-2", "10", "4", R"(,"venue_id":"V")") + "]"),
         "orders[1]: seen venue_id 'V' a second time"},
        {statement(R"("orders":[)" + their("O-1", "10", "4", R"(,"colour":"red")") + "]"),
         "orders[0].colour: seen an unknown key, allowed: id, venue_id, account"},
        {statement(R"("orders":[)" + their("O-1", "1e3", "4") + "]"), "orders[0].quantity: seen '1e3', allowed: a decimal"},
        {statement(R"("orders":[)" + their("O-1", "0", "0") + "]"), "orders[0].quantity: seen '0'"},
        {statement(R"("orders":[)" + their("O-1", "-5", "0") + "]"), "orders[0].quantity: seen '-5'"},
        {statement(R"("orders":[)" + their("O-1", "99999999999999999999", "0") + "]"), "orders[0].quantity: seen '99999"},
        {statement(R"("orders":[)" + their("O-1", "10", "11") + "]"), "orders[0].cum_quantity: seen '11'"},
        {statement(R"("orders":[)" + their("O-1", "10", "4", {}, "NaN") + "]"), "orders[0].price: seen 'NaN'"},
        {statement(R"("orders":[)" + their("O-1", "10", "4", {}, "1.0000000001") + "]"),
         "orders[0].price: seen '1.0000000001'"},
        {statement(R"("orders":[)" + their("O-1", "10", "4", R"(,"status":"working")") + "]"),
         "orders[0].status: seen 'working'"},
        {statement(R"("orders":[)" + their("O-1", "10", "4", R"(,"status":"filled")") + "]"), "orders[0].status: seen 'filled"},
        {statement(R"("orders":[)" + their("O 1", "10", "4") + "]"), "orders[0].id: seen 'O 1'"},
        {statement(R"("orders":[)" + their(long_id, "10", "4") + "]"), "orders[0].id: seen '" + long_id},
        {statement(R"("orders":[{"account":"A1"}])"), "orders[0].id: seen nothing"},
        {statement(R"("orders":[{"id":"O-1","account":"A9"}])"),
         "orders[0].account: seen 'A9', allowed: an account of the registry"},
        {statement(R"("orders":[{"id":"O-1","account":"A1","instrument":"XX"}])"), "orders[0].instrument: seen 'XX'"},
        {statement(R"("orders":[{"id":"O-1","account":"A1","instrument":"NQH4","side":"bye"}])"),
         "orders[0].side: seen 'bye', allowed: buy, sell"},
        {statement(R"("positions":[{"account":"A1","instrument":"NQH4","quantity":5}])"), "positions[0].quantity: seen '5'"},
        {statement(R"("positions":[{"account":"A1","instrument":"NQH4"}])"), "positions[0].quantity: seen nothing"},
        {statement(R"("positions":[{"account":"A1","instrument":"NQH4","quantity":"5"},)"
                   R"({"account":"A1","instrument":"NQH4","quantity":"5"}])"),
         "positions[1]: seen this account and instrument a second time"},
        {statement(
             R"("fills":[{"account":"A1","id":"O-1","exec_id":"","instrument":"NQH4","side":"buy","price":"1","quantity":"1"}])"),
         "fills[0].exec_id: seen ''"},
        {"record\n", "time: seen nothing"},
        {"record,colour\n", "line 1: seen the column 'colour'"},
        {"record,id,id\n", "line 1: seen the column 'id' a second time"},
        {"records,id\n", "line 1: seen 'records', allowed: a first column 'record'"},
        {csv + "order,,A1\n", "line 3: seen 3 fields, allowed: 9"},
        {csv + "trade,,A1,O-1,NQH4,buy,1,1,0\n", "line 3: record: seen 'trade'"},
        {csv + "order,,A1,O-1,NQH4,buy,1,ten,0\n", "line 3: quantity: seen 'ten'"},
        {csv + "order,,A1,O-1,NQH4,buy,,10,0\n", "line 3: price: seen nothing"},
        {csv + "position,,A1,O-1,NQH4,,,1,\n", "line 3: id: seen an unknown key"},
        {csv + "order,,A1,\"O-1,NQH4,buy,1,1,0\n", "line 3: seen a quote without its end"},
        {csv + "time," + kLater + ",,,,,,,\n", "line 3: seen a second time record"},
        {csv + "order,,A1,O-1,NQH4,buy,1,10,0\norder,,A1,O-1,NQH4,buy,1,10,0\n", "line 4: seen order 'O-1' a second time"},
    };
    for (const auto& [text, message] : cases) {
        INFO(text);
        const CliResult result = desk.reconcile(text, "--apply");
        CHECK(result.code == 2);
        CHECK_THAT(result.err, Catch::Contains(message));
        CHECK(result.out.empty());
    }
    CHECK(desk.committed() == before);
    CHECK(desk.run("reconcile r /nowhere/at-all").code == 2);
    CHECK(desk.run("reconcile r --mode adopt --apply '" + desk.file("v", statement(R"("orders":[])")) + "'").code == 2);
    CHECK(desk.run("reconcile none '" + desk.file("v", statement(R"("orders":[])")) + "'").code == 3);
}

TEST_CASE("every break that was planted among forty orders is found, no other, and one run settles them", "[reconcile][cli]") {
    const Desk desk;
    std::string commands, orders;
    for (int i = 0; i < 40; ++i) {
        const std::string id = "P-" + std::to_string(i);
        commands +=
            R"({"op":"register","id":")" + id +
            R"(","account":"A1","instrument":"NQH4","side":"buy","type":"limit","tif":"day","price":"100","quantity":"10"})"
            "\n"
            R"({"op":"acked","id":")" +
            id +
            R"(","account":"A1"})"
            "\n"
            R"({"op":"filled","id":")" +
            id + R"(","account":"A1","exec_id":"E","price":"100","quantity":"4"})" + "\n";
        if (i == 3) continue;   // missing at the venue
        orders += orders.empty() ? "" : ",";
        orders += i == 7               ? their(id, "11", "4")
                  : i == 11            ? their(id, "10", "4", {}, "99")
                  : i == 19            ? their(id, "10", "5")
                  : i == 23            ? their(id, "10", "4", R"(,"status":"canceled")")
                  : i == 29            ? their(id, "10", "9", R"(,"status":"done_for_day")")
                  : i == 31 || i == 37 ? their(id, "10", "10", R"(,"status":"filled")")
                                       : their(id, "10", "4");
    }
    desk.run_commands(commands);
    const std::string fill = R"({"account":"A1","id":"P-37","exec_id":"E2","instrument":"NQH4","side":"buy","price":"100",)";
    // 40 · 4 are filled here; there 1 + 5 + 6 + 6 more, and one fewer than all that.
    corrects(desk,
             statement(R"("orders":[)" + orders + "," + their("Q-1", "5", "0") + R"(],"fills":[)" + fill +
                       R"("quantity":"6"},{"account":"A1","id":"P-1","exec_id":"E","instrument":"NQH4","side":"buy",)"
                       R"("price":"100","quantity":"4"}],"positions":[{"account":"A1","instrument":"NQH4","quantity":"177"}])"),
             {"missing_at_venue P-3", "quantity P-7", "price P-11", "fill_missing P-19", "status P-23", "fill_missing P-29",
              "status P-29", "fill_missing P-31", "fill_missing P-37", "missing_here Q-1", "position A1"});
    CHECK(desk.position("account:A1/instrument:NQH4") == "177");
}

// ---- load ----

namespace {

const std::string kStart =
    R"({"positions":[{"account":"A1","instrument":"ESH4","quantity":"5","price":"4800"},)"
    R"({"account":"A1","instrument":"ESH4","strategy":"s1","quantity":"-2","price":"4800"},)"
    R"({"account":"A2","instrument":"NQH4","strategy":"s1","quantity":"1.00000000","price":"100"}],)"
    R"("limits":[{"scope":"account:A1/instrument:ESH4","max_long":"8"},{"scope":"firm","max_gross_notional":"1000000000","max_messages":100}],)"
    R"("restricted":[{"scope":"instrument:NQH4","sides":"sell","reason":"earnings","to":"2200-01-01T00:00:00Z"}],)"
    R"("orders":[{"id":"G-1","account":"A1","strategy":"s1","instrument":"ESH4","side":"buy","type":"limit","tif":"gtc",)"
    R"("price":"4700","quantity":"20","venue_id":"V-1"},)"
    R"({"id":"G-2","account":"A1","strategy":"s2","instrument":"NQH4","side":"sell","type":"stop","tif":"gtc",)"
    R"("stop_price":"90.25","quantity":"3"}]})";

std::string loaded_of(const JsonValue& answer, const std::string& section) {
    const JsonValue* counts = answer.find(section);
    return text_of(*counts, "loaded") + "/" + text_of(*counts, "skipped") + "/" + text_of(*counts, "refused");
}

}  // namespace

TEST_CASE("a load sets limits, restricted list, positions and orders, and a second one changes nothing", "[load][cli]") {
    const Desk desk;
    const CliResult first = desk.load(kStart);
    INFO(first.err);
    REQUIRE(first.code == 0);
    const JsonValue answer = first.lines().at(0);
    CHECK(loaded_of(answer, "positions") == "3/0/0");
    CHECK(loaded_of(answer, "limits") == "2/0/0");
    CHECK(loaded_of(answer, "restricted") == "1/0/0");
    CHECK(loaded_of(answer, "orders") == "2/0/0");
    CHECK(desk.position("account:A1/instrument:ESH4") == "3");
    CHECK(desk.position("strategy:external/instrument:ESH4") == "5");
    CHECK(desk.position("account:A2/instrument:NQH4") == "1");
    CHECK(text_of(desk.order("G-1"), "status") == "new");
    CHECK(text_of(desk.order("G-1"), "venue_id") == "V-1");
    CHECK(text_of(desk.order("G-1"), "reserved_quantity") == "20");
    CHECK(text_of(desk.run("limits r --json --scope firm").lines().at(0), "max_messages") == "100");
    const std::string after = desk.committed();
    const CliResult second = desk.load(kStart);
    CHECK(second.code == 0);
    const JsonValue again = second.lines().at(0);
    CHECK(loaded_of(again, "positions") == "0/3/0");
    CHECK(loaded_of(again, "limits") == "0/2/0");
    CHECK(loaded_of(again, "restricted") == "0/1/0");
    CHECK(loaded_of(again, "orders") == "0/2/0");
    CHECK(desk.committed() == after);
    CHECK(desk.run("verify r").code == 0);
}

TEST_CASE("an order that is over a limit is reserved all the same, with a warning", "[load][cli]") {
    const Desk desk;
    const CliResult result = desk.load(kStart);
    REQUIRE(result.code == 0);
    const JsonValue warning = result.lines().at(0).find("warnings")->items.at(0);
    CHECK(text_of(warning, "id") == "G-1");
    CHECK(text_of(warning, "reason") == "max_long");
    CHECK(text_of(warning, "scope") == "account:A1/instrument:ESH4");
    CHECK(text_of(warning, "observed") == "23");
    CHECK(text_of(warning, "limit") == "8");
    CHECK(result.lines().at(0).find("warnings")->items.size() == 1);
    CHECK_THAT(result.err,
               Catch::Contains("order 'G-1' is reserved although it is over a limit: max_long: observed 23, limit 8 "
                               "(quantity) on account:A1/instrument:ESH4"));
}

TEST_CASE("under the worst-case method a load warns by that method, which counts working orders once", "[load][cli]") {
    const auto warnings = [](const std::string& limit) {
        std::string config = kConfig;
        config.insert(config.find(R"("self_match")"), R"("gross_method":"worst_case",)");
        config.insert(config.find(R"({"scope":"account:A1/instrument:ESH4")"),
                      R"({"scope":"account:A1","max_gross_notional":")" + limit + R"("},)");
        const Desk desk(config);
        const CliResult result =
            desk.load(R"({"positions":[{"account":"A1","instrument":"NQH4","strategy":"s1","quantity":"5","price":"100"}],)"
                      R"("orders":[{"id":"W-1","account":"A1","strategy":"s1","instrument":"NQH4","side":"buy","type":"limit",)"
                      R"("tif":"gtc","price":"100","quantity":"10"}]})");
        INFO(result.err);
        REQUIRE(result.code == 0);
        const JsonValue answer = result.lines().at(0);
        const JsonValue* found = answer.find("warnings");
        std::vector<std::string> observed;
        if (found != nullptr)
            for (const JsonValue& one : found->items)
                observed.push_back(text_of(one, "reason") + " " + text_of(one, "observed"));
        return observed;
    };
    CHECK(warnings("1500").empty());
    CHECK(warnings("1499") == std::vector<std::string>{"max_gross_notional 1500"});
}

TEST_CASE("a load that was cut off goes on where it ended", "[load][cli]") {
    const Desk desk;
    REQUIRE(desk.load(R"({"positions":[{"account":"A1","instrument":"ESH4","quantity":"5","price":"4800"}]})").code == 0);
    CHECK(loaded_of(desk.load(kStart).lines().at(0), "positions") == "2/1/0");
    CHECK(desk.position("account:A1/instrument:ESH4") == "3");
    CHECK(loaded_of(desk.load(kStart).lines().at(0), "positions") == "0/3/0");
}

TEST_CASE("positions that add up to nothing are loaded once", "[load][cli]") {
    const Desk desk;
    const std::string text =
        R"({"positions":[{"account":"A1","instrument":"ESH4","strategy":"s1","quantity":"5","price":"4800"},)"
        R"({"account":"A1","instrument":"ESH4","strategy":"s2","quantity":"-5","price":"4800"}]})";
    CHECK(loaded_of(desk.load(text).lines().at(0), "positions") == "2/0/0");
    CHECK(loaded_of(desk.load(text).lines().at(0), "positions") == "0/2/0");
    CHECK(desk.position("strategy:s2/instrument:ESH4") == "-5");
}

TEST_CASE("a hostile or contradicting load file is refused by place and nothing of it is loaded", "[load][input]") {
    const Desk desk;
    REQUIRE(desk.load(kStart).code == 0);
    const std::string before = desk.committed();
    const auto with_order = [](const std::string& more, const std::string& id = "G-9", const std::string& quantity = "1") {
        return R"({"limits":[{"scope":"firm","max_long":"1"}],"orders":[{"id":")" + id +
               R"(","account":"A1","strategy":"s1","instrument":"ESH4","side":"buy","type":"limit","tif":"gtc","quantity":")" +
               quantity + "\"" + more + "}]}";
    };
    const std::map<std::string, std::string> cases = {
        {"no json", "not a JSON document"},
        {R"({"positons":[]})", "positons: seen an unknown key, allowed: positions limits restricted orders"},
        {R"({"positions":[{"account":"A1","instrument":"ESH4","quantity":"6","price":"4800"}]})",
         "positions[0]: seen a start position of 6 of account A1 in ESH4, where 3 was loaded before"},
        {R"({"positions":[{"account":"A1","instrument":"NQH4","quantity":"6"}]})", "positions[0].price: seen nothing"},
        {R"({"positions":[{"account":"A1","instrument":"NQH4","quantity":"6","price":4800}]})",
         "positions[0].price: seen '4800'"},
        {R"({"positions":[{"account":"A1","instrument":"NQH4","strategy":"s9","quantity":"6","price":"1"}]})",
         "positions[0].strategy: seen 's9', allowed: a strategy of the registry"},
        {R"({"positions":[{"account":"A2","instrument":"ESH4","quantity":"6","price":"1"},)"
         R"({"account":"A2","instrument":"ESH4","strategy":"external","quantity":"6","price":"1"}]})",
         "positions[1]: seen this account, instrument and strategy a second time"},
        {R"({"limits":[{"scope":"firm","max_lng":"1"}]})", "limits[0].max_lng"},
        {R"({"limits":[{"scope":"account:A9","max_long":"1"}]})", "limits[0].scope: seen 'account:A9'"},
        {R"({"limits":[{"scope":"firm","max_long":"-1"}]})", "limits[0].max_long: seen '-1'"},
        {R"({"restricted":[{"scope":"instrument:ESH4","sides":"up","reason":"x"}]})", "restricted[0].sides"},
        {with_order(""), "orders[0].price: seen nothing"},
        {with_order(R"(,"price":"4700.1")"), "orders[0].price: seen '4700.1', allowed: multiples of 0.25"},
        {with_order(R"(,"price":"4700")", "G-9", "1.5"), "orders[0].quantity: seen '1.5', allowed: multiples of 1 from 1"},
        {with_order(R"(,"price":"4700","stop_price":"4600")"),
         "orders[0].stop_price: seen '4600', allowed: none with this type"},
        {with_order(R"(,"price":"4700")", "G-1"), "orders[0]: seen order 'G-1', which is here with other content"},
        {with_order(R"(,"price":"4700","id":"G-9")"), "id: seen given twice"},
    };
    for (const auto& [text, message] : cases) {
        INFO(text);
        const CliResult result = desk.load(text);
        CHECK(result.code == 2);
        CHECK_THAT(result.err, Catch::Contains(message));
        CHECK(result.out.empty());
    }
    CHECK(desk.committed() == before);
}

// ---- unreconciled ----

namespace {

std::string own_name(const std::string& what) { return "recon-" + what + "-" + std::to_string(::getpid()); }

/// What a reboot does to shared memory. The registry's name is this test's own.
void lose_memory(const std::string& name) {
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm"))
        if (entry.path().filename().string().ends_with("." + name)) std::filesystem::remove(entry.path());
}

/// A registry with a journal and one order, rebuilt from disk: the firm is unreconciled.
class Rebuilt : public Cli {
public:
    explicit Rebuilt(const std::string& what, const std::string& more = {}) : name(own_name(what)) {
        create(
            name,
            R"({"capacity":{"orders":1024,"executions":1024,"ring_events":1024,"sessions":8},"persistence":{"mode":"async"},)"
            R"("require_limits":false,"allow_limit_without_reference":true,"self_match":"allow")" +
                more +
                R"(,"instruments":[{"id":"ESH4","tick":"0.25"}],"accounts":[{"id":"A1"}],)"
                R"("strategies":[{"id":"s1","account":"A1"}],"limits":[]})");
        const CliResult traded = run(
            "exec " + name + " --strategy s1",
            R"({"op":"register","id":"O-1","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"100","quantity":"10"})"
            "\n"
            R"({"op":"acked","id":"O-1"})"
            "\n"
            R"({"op":"filled","id":"O-1","exec_id":"E1","price":"100","quantity":"4"})"
            "\n");
        REQUIRE(traded.code == 0);
        lose_memory(name);
        REQUIRE(run("recover " + name).code == 0);
        REQUIRE(state() == "true");
    }
    [[nodiscard]] std::string state() const { return text_of(run("status " + name + " --json").lines().at(0), "unreconciled"); }
    [[nodiscard]] CliResult reconcile(const std::string& text, const std::string& options = {}) const {
        return run("reconcile " + name + " --json " + options + " '" + file("venue", text) + "'");
    }
    const std::string name;
};

std::string as_venue(const std::string& cum, const std::string& position) {
    return statement(R"("orders":[{"id":"O-1","account":"A1","instrument":"ESH4","side":"buy","price":"100","quantity":"10",)"
                     R"("cum_quantity":")" +
                     cum + R"("}],"positions":[{"account":"A1","instrument":"ESH4","quantity":")" + position + "\"}]");
}

}  // namespace

TEST_CASE("a clean comparison releases the firm, in every mode, and breaks do not", "[reconcile][persist][cli]") {
    const Rebuilt desk("clean");
    const CliResult broken = desk.reconcile(as_venue("6", "6"));
    CHECK(broken.code == 1);
    CHECK(text_of(summary(broken), "unreconciled") == "kept");
    CHECK(desk.state() == "true");
    const CliResult half = desk.reconcile(statement(R"("positions":[{"account":"A1","instrument":"ESH4","quantity":"4"}])"));
    CHECK(half.code == 0);
    CHECK(text_of(summary(half), "unreconciled") == "kept");
    CHECK_THAT(half.err, Catch::Contains("the file has no orders"));
    CHECK(desk.state() == "true");
    SECTION("report") {
        const CliResult clean = desk.reconcile(as_venue("4", "4"));
        CHECK(clean.code == 0);
        CHECK(text_of(summary(clean), "unreconciled") == "released");
    }
    SECTION("correct") {
        const CliResult clean = desk.reconcile(as_venue("6", "6"), "--apply");
        INFO(clean.out << clean.err);
        CHECK(clean.code == 0);
        CHECK(text_of(summary(clean), "unreconciled") == "released");
    }
    CHECK(desk.state() == "false");
    CHECK(text_of(summary(desk.reconcile(as_venue("4", "4"))), "unreconciled") == "no");
    CHECK(desk.run("verify " + desk.name).code == 0);
}

TEST_CASE("under four eyes a clean comparison asks for the release", "[reconcile][persist][cli]") {
    const Rebuilt desk("eyes", R"(,"four_eyes":true)");
    const CliResult clean = desk.reconcile(as_venue("4", "4"));
    CHECK(clean.code == 0);
    CHECK(text_of(summary(clean), "unreconciled") == "requested");
    CHECK_FALSE(text_of(summary(clean), "request").empty());
    CHECK_THAT(clean.err, Catch::Contains("riskctl approve " + desk.name + " " + text_of(summary(clean), "request")));
    CHECK(desk.state() == "true");
    // The same request, not a second one.
    CHECK(text_of(summary(desk.reconcile(as_venue("4", "4"))), "request") == text_of(summary(clean), "request"));
}
