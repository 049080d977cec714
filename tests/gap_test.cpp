// The machine that closes a gap in the journal: its tables, enumerated. What a gap does to files and answers is in takeover_test,
// fault_test and the simulation.
#include <array>
#include <catch2/catch.hpp>
#include <optional>
#include <thread>

#include "registry/gap.hpp"

using namespace riskreg::registry;

namespace {

constexpr std::array kStates = {Gap::none, Gap::copy_wanted, Gap::copied, Gap::following, Gap::closed};
constexpr std::array kSteps = {GapStep::journal_breaks, GapStep::tables_are_copied, GapStep::file_is_begun,
                               GapStep::journal_was_read, GapStep::durable_moves};

/// Whose step it is; a break is found by the journaller, whoever's turn it is.
GapTurn taker_of(GapStep step) {
    return step == GapStep::tables_are_copied || step == GapStep::journal_was_read ? GapTurn::replicator : GapTurn::journaller;
}

/// The one step that goes on from here, if there is exactly one.
std::optional<GapStep> way_on(Gap gap) {
    std::optional<GapStep> found;
    for (const GapStep step : kSteps) {
        if (step == GapStep::journal_breaks || !after(gap, step)) continue;
        if (found) return std::nullopt;
        found = step;
    }
    return found;
}

}  // namespace

TEST_CASE("every step of a gap leads from every state where the protocol says and nowhere else", "[gap][inv-13]") {
    using enum Gap;
    const std::optional<Gap> no;
    // rows: states; columns: breaks, copied, begun, read, durable
    const std::optional<Gap> expected[5][5] = {
        {copy_wanted, no, no, no, no},     {no, copied, no, no, no},        {copy_wanted, no, following, no, no},
        {copy_wanted, no, no, closed, no}, {copy_wanted, no, no, no, none},
    };
    for (std::size_t state = 0; state < kStates.size(); ++state)
        for (std::size_t step = 0; step < kSteps.size(); ++step) {
            CAPTURE(state, step);
            CHECK(after(kStates[state], kSteps[step]) == expected[state][step]);
        }
}

TEST_CASE("a gap in any state is closed by four steps at most, each by the thread whose turn it is", "[gap][inv-13]") {
    for (const Gap begin : kStates) {
        Gap at = begin;
        int steps = 0;
        for (; at != Gap::none; ++steps) {
            CAPTURE(static_cast<int>(begin), static_cast<int>(at));
            const std::optional<GapStep> step = way_on(at);
            REQUIRE(step);
            CHECK(taker_of(*step) == state_of(at).turn);
            REQUIRE(steps < 4);
            at = *after(at, *step);
        }
    }
    CHECK(state_of(Gap::none).turn == GapTurn::nobody);
}

TEST_CASE("nothing before a gap is removed and nothing is written to the journal until the tables are copied", "[gap]") {
    for (const GapState& row : kGapStates) {
        CHECK(&state_of(row.state) == &row);
        CHECK(row.files_may_go == (row.state != Gap::copy_wanted));
        CHECK(row.journal_goes_on == (row.state != Gap::copy_wanted && row.state != Gap::copied));
    }
}

TEST_CASE("two threads that step at once never skip a state of a gap", "[gap]") {
    constexpr int kRounds = 200'000;
    GapMachine machine;
    std::array<int, 5> taken{};
    std::atomic<bool> done{false};
    const auto take = [&](GapStep step) { taken[static_cast<std::size_t>(step)] += machine.take(step) ? 1 : 0; };
    std::thread replicator([&] {
        while (!done) {
            take(GapStep::tables_are_copied);
            take(GapStep::journal_was_read);
        }
    });
    for (int round = 0; round < kRounds; ++round) {
        if (round % 7 == 0) take(GapStep::journal_breaks);
        take(GapStep::file_is_begun);
        take(GapStep::durable_moves);
    }
    done = true;
    replicator.join();
    CAPTURE(taken);
    REQUIRE(taken[0] > 0);
    // Each step needs the one before it, so none can have been taken more often.
    for (std::size_t step = 1; step < taken.size(); ++step) CHECK(taken[step] <= taken[step - 1]);
}
