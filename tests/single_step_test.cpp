// SIGKILL at every instruction.
//
// Snapshots: one traced child per operation. After each of its instructions the segment holds what a kill there would
// leave, for a killed thread's retired stores are visible and the others never happened. A copy of those bytes is
// repaired and audited. Equal bytes recover equally, so only instructions that changed a byte are examined.
//
// Real kills: a child for each point, killed there; a survivor meets the dead owner's mutex. Every instruction with
// RISKREG_LONG=1; otherwise a stride from an offset that rotates (RISKREG_STEP_OFFSET repeats one).
//
// RISKREG_OPERATION=NAME: that operation only.

#include <catch2/catch.hpp>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "core/apply.hpp"
#include "core/audit.hpp"
#include "core/copy.hpp"
#include "support/child.hpp"
#include "support/operations.hpp"
#include "support/setting.hpp"

namespace {

using namespace riskreg;
using namespace riskreg::test;

struct Count {
    std::uint64_t points = 0, states = 0, redone = 0, violations = 0;
    std::string first_violation;

    void violation(const std::string& what) {
        if (++violations == 1) first_violation = what;
    }
    void add(const Count& other) {
        points += other.points;
        states += other.states;
        redone += other.redone;
        violations += other.violations;
        if (first_violation.empty()) first_violation = other.first_violation;
    }
};

std::ostream& operator<<(std::ostream& out, const Count& count) {
    out << count.points << " instructions, " << count.states << " states, " << count.redone << " redone, " << count.violations
        << " violations";
    return count.first_violation.empty() ? out : out << " (" << count.first_violation << ")";
}

void judge(const Count& sum, const char* what) {
    std::cout << what << ": " << sum << "\n";
    INFO(sum.first_violation);
    CHECK(sum.points > 1000);
    CHECK(sum.redone > 0);
    REQUIRE(sum.violations == 0);
}

bool can_step() {
    if (skipped_under_sanitizer("a sanitizer's instructions are not the library's")) return false;
    if (!may_trace()) {
        std::cout << "SKIPPED: ptrace is not permitted here\n";
        return false;
    }
    return true;
}

// ---- snapshots --------------------------------------------------------------------------------

/// A private copy of a segment's bytes.
class Snapshot {
public:
    explicit Snapshot(const LiveSegment& live) : copy_(core::allocate_state(live.state().geometry)), size_(live.size_bytes()) {}

    /// False when nothing has changed since the last time.
    bool take(const std::byte* bytes) {
        if (std::memcmp(copy_.state.base, bytes, size_) == 0) return false;
        std::memcpy(copy_.state.base, bytes, size_);
        return true;
    }
    [[nodiscard]] core::State& state() noexcept { return copy_.state; }

private:
    core::PrivateState copy_;
    std::size_t size_;
};

/// What recovery makes of the bytes. Empty text: nothing to complain about.
struct Recovery {
    std::string complaint;
    std::uint64_t digest = 0;
    bool redone = false;
};

Recovery recover(core::State& state) {
    Recovery recovery;
    const auto complain = [&](std::string what) {
        if (recovery.complaint.empty()) recovery.complaint = std::move(what);
    };
    const core::RepairCase found = core::repair(state);
    recovery.redone = found == core::RepairCase::r2_redone;
    if (found == core::RepairCase::r3_damaged) complain("taken for damaged");
    const core::AuditReport report = core::audit(state);
    if (!report.clean()) complain(report.violations.front());
    if (core::repair(state) == core::RepairCase::r2_redone) complain("a second repair found work");
    recovery.digest = core::digest(state);
    return recovery;
}

/// The recoveries of one operation in the order of its instructions: first the state before it, then only the one after.
void require_one_step(const std::vector<Recovery>& recoveries, Count& count) {
    const std::uint64_t before = recoveries.front().digest;
    const std::uint64_t after = recoveries.back().digest;
    bool happened = false;
    for (const Recovery& recovery : recoveries) {
        if (!recovery.complaint.empty()) {
            count.violation(recovery.complaint);
            continue;
        }
        if (recovery.digest != before && recovery.digest != after) count.violation("neither wholly nor not at all");
        if (happened && recovery.digest != after) count.violation("committed, and then not");
        happened |= recovery.digest == after;
    }
    if (before == after) count.violation("the operation changed nothing: the test's script is wrong");
}

/// Steps a repairer through its work on `damaged`, and recovers from its death at every instruction in turn.
Count kill_the_repairer(const core::State& damaged, std::size_t size) {
    void* shared = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) throw std::bad_alloc();
    std::memcpy(shared, damaged.base, size);
    core::State state = core::view_of(static_cast<std::byte*>(shared), damaged.geometry);
    core::PrivateState copy = core::allocate_state(damaged.geometry);
    std::vector<std::byte> last(size);
    Count count;
    std::uint64_t expected = 0;
    TracedChild repairer([&] {
        TracedChild::hand_over();
        static_cast<void>(core::repair(state));
        TracedChild::hand_over();
    });
    do {
        ++count.points;
        if (count.points > 1 && std::memcmp(last.data(), shared, size) == 0) continue;
        std::memcpy(last.data(), shared, size);
        std::memcpy(copy.state.base, shared, size);
        const Recovery recovery = recover(copy.state);
        if (count.states++ == 0) expected = recovery.digest;
        count.redone += recovery.redone ? 1 : 0;
        if (!recovery.complaint.empty()) count.violation("repairer killed: " + recovery.complaint);
        if (recovery.digest != expected) count.violation("repairer killed: another outcome");
    } while (repairer.step());
    ::munmap(shared, size);
    return count;
}

/// How often the repairer is killed as well: at each n-th state that needs a redo.
std::uint64_t repairer_stride() { return long_form() ? 1 : 16; }

/// A child that performs `operation` step by step.
TracedChild stepped(const TempRegistry& place, const Operation& operation) {
    return TracedChild([&place, &operation] {
        Desk desk(place);
        operation.prepare(desk);
        TracedChild::hand_over();
        operation.perform(desk);
        TracedChild::hand_over();
    });
}

struct Stepped {
    Count calls, repairers;
};

Stepped snapshot_every_instruction(const Operation& operation, bool also_the_repairer) {
    const TempRegistry place(controlled_config());
    const Registry witness = place.attach();   // so that the child attaches and does not adopt
    const LiveSegment live(place, segment::Access::read_only);
    Snapshot last(live), scratch(live);
    std::vector<Recovery> recoveries;
    Count count, repairers;
    TracedChild child = stepped(place, operation);
    do {
        ++count.points;
        if (!last.take(live.state().base)) continue;
        ++count.states;
        scratch.take(live.state().base);
        const bool unfinished = scratch.state().log->committed != scratch.state().log->applied;
        if (unfinished && also_the_repairer && count.redone % repairer_stride() == 0)
            repairers.add(kill_the_repairer(scratch.state(), live.size_bytes()));
        recoveries.push_back(recover(scratch.state()));
        count.redone += recoveries.back().redone ? 1 : 0;
    } while (child.step());
    require_one_step(recoveries, count);
    return {count, repairers};
}

// ---- real kills -------------------------------------------------------------------------------

/// Whether the child was killed, or had finished before instruction `nth`.
bool kill_at_instruction(const TempRegistry& place, const Operation& operation, std::uint64_t nth) {
    TracedChild child = stepped(place, operation);
    bool inside = true;
    for (std::uint64_t i = 0; inside && i < nth; ++i) inside = child.step();
    child.process().kill_and_reap();
    return inside;
}

/// Digest after a kill at instruction `nth`; finished: the call had returned.
struct Kill {
    std::uint64_t digest = 0;
    bool finished = false;
};

Kill kill_and_examine(const Operation& operation, std::uint64_t nth, Count& count) {
    const TempRegistry place(controlled_config());
    Registry survivor = place.attach();
    Kill kill;
    kill.finished = !kill_at_instruction(place, operation, nth);
    if (!knock(survivor)) count.violation("the survivor was not answered");
    const AuditView audit = survivor.reader().audit();
    if (!audit.violations.empty()) count.violation(audit.violations.front());
    const LiveSegment live(place, segment::Access::read_only);
    kill.digest = timeless_digest(live.state());
    count.redone += live.state().status->redone;
    return kill;
}

std::uint64_t rotating_offset(std::uint64_t stride) {
    return setting("RISKREG_STEP_OFFSET", static_cast<std::uint64_t>(::getpid())) % stride;
}

Count kill_at_instructions(const Operation& operation, std::uint64_t stride) {
    Count count;
    const std::uint64_t before = kill_and_examine(operation, 0, count).digest;
    const std::uint64_t after = kill_and_examine(operation, ~0ULL, count).digest;
    const std::uint64_t offset = rotating_offset(stride);
    for (std::uint64_t nth = offset;; nth += stride) {
        const Kill kill = kill_and_examine(operation, nth, count);
        if (kill.digest != before && kill.digest != after)
            count.violation("neither wholly nor not at all, instruction " + std::to_string(nth));
        if (kill.finished) {
            count.points = nth;
            return count;
        }
        ++count.states;
    }
}

constexpr std::array kKilledForReal = {"register", "partial fill", "final fill", "replaced"};

bool is_wanted(std::string_view name) {
    const char* wish = std::getenv("RISKREG_OPERATION");
    return wish == nullptr || name == wish;
}

}  // namespace

TEST_CASE("whatever instruction a call dies at, repair leaves it whole or undone: every instruction of every call",
          "[crash][step][inv-2][inv-3][inv-5][inv-11]") {
    if (!can_step()) return;
    Count sum;
    for (const Operation& operation : operations()) {
        if (!operation.by_caller || !is_wanted(operation.name)) continue;
        const Count count = snapshot_every_instruction(operation, false).calls;
        std::cout << "  " << operation.name << ": " << count << "\n";
        sum.add(count);
    }
    judge(sum, "snapshots");
}

TEST_CASE("a repairer may die at any instruction of the repair: the next one ends with the same tables",
          "[crash][step][inv-2][inv-3][inv-5]") {
    if (!can_step()) return;
    Count sum;
    for (const Operation& operation : operations()) {
        const bool chosen = long_form() || std::ranges::count(kKilledForReal, operation.name) > 0;
        if (!operation.by_caller || !chosen || !is_wanted(operation.name)) continue;
        sum.add(snapshot_every_instruction(operation, true).repairers);
    }
    judge(sum, "snapshots of repairers");
}

TEST_CASE("a process killed at any instruction of a call leaves it whole or undone to a survivor",
          "[crash][step][inv-2][inv-3][inv-5][inv-10]") {
    if (!can_step()) return;
    // A prime, so that the points are spread evenly over loops.
    const std::uint64_t stride = long_form() ? 1 : 127;
    Count sum;
    for (const char* name : kKilledForReal) {
        if (!is_wanted(name)) continue;
        const Count count = kill_at_instructions(operation(name), stride);
        std::cout << "  " << name << ": killed " << count.states << " times, stride " << stride << " from "
                  << rotating_offset(stride) << "; " << count << "\n";
        sum.add(count);
    }
    judge(sum, "real kills");
}
