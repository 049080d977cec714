// persist and core on a simulated disk, in simulated time, in one thread: what was promised as durable survives every
// failure that the disk of tests/simulation/simulated_disk.hpp can draw, and no failure is taken for another state.
//
// RISKREG_SEED=n    runs that one seed and prints its trace: operations, faults, outcome
// RISKREG_SEEDS=n   how many seeds (default 3,000; RISKREG_LONG=1: 100,000); RISKREG_FIRST_SEED=n where they begin
#include <errno.h>
#include <malloc.h>
#include <pthread.h>

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>

#include "simulation/world.hpp"
#include "support/child.hpp"
#include "support/setting.hpp"

#if !RISKREG_SANITIZED
// No threads: recovery then checks the digest of a checkpoint when it asks for it, and a seed is one order of events.
extern "C" int pthread_create(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*) noexcept { return EAGAIN; }
#endif

using namespace riskreg;
using namespace riskreg::simulation;

namespace {

constexpr std::uint64_t kShortSeeds = 3'000;
constexpr std::uint64_t kLongSeeds = 100'000;
constexpr std::uint64_t kControlSeeds = 2'000;     // within these a host that breaks a rule must have been found out
constexpr std::uint64_t kTwice = 200;            // seeds that are run twice

/// Buffers of a megabyte come and go a dozen times a seed: from the heap, not each time from the kernel.
void keep_memory() {
    ::mallopt(M_MMAP_THRESHOLD, 1 << 26);
    ::mallopt(M_TRIM_THRESHOLD, 1 << 28);
    ::unsetenv("RISKREG_KEY_FILE");
}

unsigned long long shown(std::uint64_t value) { return value; }

void print(const Counts& c) {
    std::printf(
        "simulation: %llu seeds (%llu with disks that lie), %llu lives, %llu events, %llu recoveries, %llu losses of power, "
        "%llu kills\n",
        shown(c.seeds), shown(c.lying_seeds), shown(c.lives), shown(c.events), shown(c.recoveries),
        shown(c.faults[static_cast<std::size_t>(Fault::power_loss)]), shown(c.faults[static_cast<std::size_t>(Fault::kill)]));
    std::printf(
        "  written: %llu blocks, %llu journal files, %llu checkpoints; %llu gaps, %llu take-overs, %llu clean ends, %llu "
        "files gone on with\n",
        shown(c.blocks), shown(c.journals), shown(c.checkpoints), shown(c.gaps), shown(c.taken_over), shown(c.clean_ends),
        shown(c.resumed));
    std::printf(
        "  recovered: %llu from the newest checkpoint, %llu from an older one, %llu from the journal alone; %llu with two "
        "checkpoints or more; %llu torn tails, %llu tried again\n",
        shown(c.from_checkpoint), shown(c.from_older_checkpoint), shown(c.from_journal), shown(c.two_checkpoints),
        shown(c.torn_tails), shown(c.retried));
    std::printf(
        "  lies: %llu refusals, %llu losses accepted and reported, %llu losses that nothing left could name (%llu of "
        "them reported as a torn tail), %llu registries lost, %llu times files of a history given up came back and were taken "
        "for it\n",
        shown(c.refusals), shown(c.damage_reported), shown(c.undetectable), shown(c.undetectable_torn), shown(c.lost_worlds),
        shown(c.came_back));
    std::printf("  faults:");
    for (std::size_t i = 0; i < c.faults.size(); ++i)
        std::printf("%s %llu %s", i == 0 ? "" : ",", shown(c.faults[i]), std::string(name_of(static_cast<Fault>(i))).c_str());
    std::printf("\n");
    std::fflush(stdout);
}

std::string replay_of(std::uint64_t seed) {
    return "replay: RISKREG_SEED=" + std::to_string(seed) + " build/dev/bin/simulation_test 'what was promised*'";
}

/// Seeds until the mistake is found out; 0: it was not.
std::uint64_t seeds_until_found(Mistake mistake, std::string& how) {
    Counts counts;
    for (std::uint64_t seed = 1; seed <= kControlSeeds; ++seed) {
        how = run_seed(seed, {.mistake = mistake}, counts).violation;
        if (!how.empty()) return seed;
    }
    return 0;
}

}  // namespace

TEST_CASE("what was promised as durable survives every failure of a simulated disk", "[simulation][inv-13]") {
    keep_memory();
    Counts counts;
    if (const std::uint64_t seed = test::setting("RISKREG_SEED", 0); seed != 0) {
        const Ending ending = run_seed(seed, {.shown = true}, counts);
        std::printf("seed %llu: trace %016llx, %s\n", shown(seed), shown(ending.trace),
                    ending.violation.empty() ? "everything held" : ending.violation.c_str());
        print(counts);
        REQUIRE(ending.violation == "");
        return;
    }
    const std::uint64_t first = test::setting("RISKREG_FIRST_SEED", 1);
    const std::uint64_t seeds = test::setting("RISKREG_SEEDS", test::long_form() ? kLongSeeds : kShortSeeds);
    std::uint64_t failures = 0;
    for (std::uint64_t seed = first; seed < first + seeds && failures < 5; ++seed) {
        const Ending ending = run_seed(seed, {}, counts);
        if (ending.violation.empty()) continue;
        ++failures;
        UNSCOPED_INFO("seed " << seed << ": " << ending.violation << "\n" << replay_of(seed));
    }
    print(counts);
    CHECK(failures == 0);
    // Not a proof of anything unless these were met.
    CHECK(counts.recoveries > seeds);
    CHECK(counts.torn_tails > 0);
    CHECK(counts.from_checkpoint > 0);
    CHECK(counts.from_journal > 0);
    CHECK(counts.refusals > 0);
    for (const std::uint64_t met : counts.faults) CHECK(met > 0);
}

TEST_CASE("a seed is a replay: the same operations, faults and tables twice", "[simulation]") {
    keep_memory();
    std::uint64_t different = 0;
    std::uint64_t before = 0;
    for (std::uint64_t seed = 1; seed <= kTwice; ++seed) {
        Counts counts;
        const std::uint64_t once = run_seed(seed, {}, counts).trace;
        REQUIRE(once == run_seed(seed, {}, counts).trace);
        different += once != before ? 1 : 0;
        before = once;
    }
    CHECK(different == kTwice);
}

TEST_CASE("the simulation finds out a host that breaks a rule", "[simulation]") {
    keep_memory();
    struct Control {
        Mistake mistake;
        const char* what;
    };
    for (const Control& control : {Control{Mistake::promises_before_sync, "promises durable before the sync"},
                                   Control{Mistake::goes_on_after_failed_sync, "goes on in the same file after a failed sync"},
                                   Control{Mistake::renames_unsynced_checkpoint, "names a checkpoint before it is synced"},
                                   Control{Mistake::believes_the_cache, "is rebuilt from pages that are in the cache only"}}) {
        std::string how;
        const std::uint64_t seeds = seeds_until_found(control.mistake, how);
        std::printf("control, a host that %s: found with seed %llu: %s\n", control.what, shown(seeds), how.c_str());
        INFO(control.what);
        CHECK(seeds > 0);
    }
}
