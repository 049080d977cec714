// Every call that changes the registry is killed at every crash point that it passes. Whoever comes next must find it
// done wholly or not at all, within its deadline, and every sum right.
//
// Two kinds of "next": a survivor that was attached all along (it meets the dead owner's mutex), and nobody (the next
// to open adopts the segment).

#include <catch2/catch.hpp>

#include <cstdint>
#include <iostream>
#include <optional>

#include "base/crash_point.hpp"
#include "support/child.hpp"
#include "support/operations.hpp"

namespace {

using namespace riskreg;
using namespace riskreg::test;

enum class Witness { survivor, adopter };

/// What a killed child left behind, seen after the repair.
struct Aftermath {
    bool finished = false;           // the call returned before the kill
    std::uint64_t digest = 0;
    std::uint64_t repairs = 0;
};

constexpr std::uint64_t kNever = 0;  // no crash point is armed: killed right behind the call

/// A child prepares, and dies at crash point `point` of the operation. Without an operation it dies before it.
bool run_and_kill(const TempRegistry& place, const Operation& operation, bool perform, std::uint64_t point) {
    Shared<bool> finished;
    Child child([&] {
        Desk desk(place);
        operation.prepare(desk);
        base::arm_crash_point(point);
        if (perform) operation.perform(desk);
        base::arm_crash_point(kNever);
        *finished = true;
        die();
    });
    REQUIRE(child.wait().was_killed());
    return *finished;
}

void require_clean(const Reader& reader) {
    const AuditView audit = reader.audit();
    CAPTURE(audit.violations);
    REQUIRE(audit.violations.empty());
}

/// The next caller is answered; what it left is whole, and a second repair and audit change nothing.
Aftermath examine(const TempRegistry& place, Registry& next) {
    REQUIRE(knock(next));
    const Reader reader = place.look();
    require_clean(reader);
    const LiveSegment live(place, segment::Access::read_only);
    Aftermath aftermath;
    aftermath.digest = timeless_digest(live.state());
    aftermath.repairs = reader.status().repairs;
    REQUIRE(knock(next));
    require_clean(reader);
    REQUIRE(timeless_digest(live.state()) == aftermath.digest);
    REQUIRE(reader.status().repairs == aftermath.repairs);
    REQUIRE(reader.status().committed == reader.status().applied);
    return aftermath;
}

/// A registry of its own for every kill: so the history is the same each time, and so must be the outcome.
Aftermath kill_once(Witness witness, const Operation& operation, bool perform, std::uint64_t point) {
    const TempRegistry place(controlled_config());
    std::optional<Registry> next;
    if (witness == Witness::survivor) next.emplace(place.attach());
    const bool finished = run_and_kill(place, operation, perform, point);
    if (!next) next.emplace(place.attach());
    Aftermath aftermath = examine(place, *next);
    aftermath.finished = finished;
    return aftermath;
}

struct Count {
    std::uint64_t points = 0, before = 0, after = 0, repairs = 0;
};

/// Kills at point 1, 2, 3 … until the call outlives its points.
Count kill_at_every_point(Witness witness, const Operation& operation) {
    const std::uint64_t before = kill_once(witness, operation, false, kNever).digest;
    const std::uint64_t after = kill_once(witness, operation, true, kNever).digest;
    Count count;
    for (std::uint64_t point = 1;; ++point) {
        INFO(operation.name << ", crash point " << point);
        const Aftermath aftermath = kill_once(witness, operation, true, point);
        const bool happened = aftermath.digest == after;
        REQUIRE((happened || aftermath.digest == before));
        // What was committed at an earlier point is committed at a later one.
        const bool came_back = before != after && count.after > 0 && !happened;
        REQUIRE_FALSE(came_back);
        if (aftermath.finished) {
            REQUIRE(happened);
            return count;
        }
        ++count.points;
        ++(happened ? count.after : count.before);
        count.repairs += aftermath.repairs;
    }
}

void kill_every_operation(Witness witness) {
    Count sum;
    for (const Operation& operation : operations()) {
        const Count count = kill_at_every_point(witness, operation);
        INFO(operation.name);
        CHECK(count.points > 5);
        CHECK(count.after > 0);
        std::cout << "  " << operation.name << ": " << count.points << " points, " << count.before << " not at all, "
                  << count.after << " wholly, " << count.repairs << " repairs\n";
        sum.points += count.points;
        sum.repairs += count.repairs;
    }
    CHECK(sum.repairs > 0);
    std::cout << "crash points: " << sum.points << ", repairs: " << sum.repairs << "\n";
}

}  // namespace

TEST_CASE("a call killed at any crash point happened wholly or not at all, and a survivor finishes it",
          "[crash][inv-2][inv-3][inv-5][inv-6][inv-8][inv-10]") {
    kill_every_operation(Witness::survivor);
}

TEST_CASE("a call killed at any crash point happened wholly or not at all, and an adopter finishes it",
          "[crash][inv-2][inv-3][inv-5][inv-6][inv-8][inv-10]") {
    kill_every_operation(Witness::adopter);
}
