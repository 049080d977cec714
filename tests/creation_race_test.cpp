// A creator, or an adopter, dies anywhere while others are at the door. Afterwards the registry can be created or
// opened, nobody hangs, and nothing has to be deleted by hand.

#include <catch2/catch.hpp>

#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "base/crash_point.hpp"
#include "riskreg/error.hpp"
#include "segment/lifecycle.hpp"
#include "segment/state_lock.hpp"
#include "support/child.hpp"
#include "support/operations.hpp"
#include "support/temp_registry.hpp"

namespace {

using namespace riskreg;
using namespace riskreg::test;

/// A registry that nobody has made yet, with a name that no other has.
class Plot {
public:
    explicit Plot(PersistenceMode mode = PersistenceMode::none)
        : name_("plot-" + std::to_string(::getpid()) + "-" + std::to_string(++count_)) {
        config_.persistence_mode = mode;
    }
    ~Plot() {
        // By hand, so that a red test leaves no trace; the tests themselves never do.
        for (const auto& path : found_segments()) std::filesystem::remove(path);
    }
    Plot(const Plot&) = delete;
    Plot& operator=(const Plot&) = delete;

    void create() const { Registry::create(name_, config_, directory_.path()); }
    void destroy() const { Registry::destroy(name_, directory_.path(), false, false); }
    [[nodiscard]] Registry open(std::int64_t attach_timeout_ns, const std::string& strategy = {}) const {
        ProcessConfig config;
        config.state_dir = directory_.path();
        config.strategy = strategy;
        config.attach_timeout_ns = attach_timeout_ns;
        config.request_timeout_ns = 2'000'000'000;
        return Registry::open(name_, config);
    }
    [[nodiscard]] std::size_t segments() const { return found_segments().size(); }

private:
    [[nodiscard]] std::vector<std::filesystem::path> found_segments() const {
        std::vector<std::filesystem::path> found;
        for (const auto& entry : std::filesystem::directory_iterator("/dev/shm"))
            if (entry.path().filename().string().ends_with("." + name_)) found.push_back(entry.path());
        return found;
    }

    static inline int count_ = 0;
    TempDir directory_;
    std::string name_;
    SharedConfig config_ = tiny_config();
};

constexpr std::int64_t kShort_ns = 2'000'000;
constexpr std::int64_t kAmple_ns = 10'000'000'000;

struct Door {
    std::atomic<bool> leave;
    std::atomic<int> visits;
};

/// Looks in again and again, with little patience, until told to go.
Child visitor(const Plot& plot, Door& door) {
    return Child([&plot, &door] {
        for (; !door.leave; ++door.visits) {
            try {
                const Registry registry = plot.open(kShort_ns);
            } catch (const Error& error) {
                // Not there yet, or somebody is at work: the two answers that an honest race allows.
                if (error.code() != Errc::missing && error.code() != Errc::busy) throw;
            }
        }
    });
}

/// Creates the registry, unless it is there already: then a dead creator had got so far.
void make_sure_it_exists(const Plot& plot) {
    wait_until([&] {
        try {
            plot.create();
            return true;
        } catch (const Error& error) {
            if (error.code() == Errc::bad_input) return true;
            // A visitor is inside for a moment.
            if (error.code() != Errc::busy) throw;
            return false;
        }
    });
}

/// Two visitors at the door of a creator.
class Visitors {
public:
    explicit Visitors(const Plot& plot) : plot_(plot), first_(visitor(plot, *door_)), second_(visitor(plot, *door_)) {}

    void have_knocked() {
        const int before = door_->visits;
        wait_until([&] { return door_->visits > before + 4; });
    }

    /// The creator is dead: life goes on, for the visitors too.
    void survive() {
        make_sure_it_exists(plot_);
        const Registry registry = plot_.open(kAmple_ns, "s1");
        door_->leave = true;
        REQUIRE(first_.wait().left_with(0));
        REQUIRE(second_.wait().left_with(0));
        REQUIRE(registry.reader().audit().violations.empty());
        REQUIRE(plot_.segments() == 1);
    }

private:
    const Plot& plot_;
    Shared<Door> door_;
    Child first_, second_;
};

/// A creator under ptrace, stopped at the n-th entry or exit of a system call.
class StoppedCreator {
public:
    StoppedCreator(const Plot& plot, std::uint64_t nth)
        : child_([&plot] {
              TracedChild::hand_over();
              plot.create();
              TracedChild::hand_over();
          }) {
        for (std::uint64_t i = 0; inside_ && i < nth; ++i) inside_ = child_.step_to_system_call();
    }
    /// False when it had finished before.
    [[nodiscard]] bool inside() const noexcept { return inside_; }
    void kill() { child_.process().kill_and_reap(); }

private:
    TracedChild child_;
    bool inside_ = true;
};

/// A child that creates, again and again where a visitor is in the way, and dies at its n-th crash point.
Child creator_to_die(const Plot& plot, std::uint64_t nth) {
    return Child([&plot, nth] {
        base::arm_crash_point(nth);
        make_sure_it_exists(plot);
    });
}

}  // namespace

TEST_CASE("a creator killed at any crash point leaves the door open", "[crash][attach][inv-10]") {
    const PersistenceMode mode = GENERATE(PersistenceMode::none, PersistenceMode::async);
    std::uint64_t points = 0;
    for (bool killed = true; killed; points += killed ? 1 : 0) {
        INFO("crash point " << points + 1);
        const Plot plot(mode);
        Visitors visitors(plot);
        const Ending ending = creator_to_die(plot, points + 1).wait();
        killed = ending.was_killed();
        REQUIRE((killed || ending.left_with(0)));
        visitors.survive();
    }
    CHECK(points >= 4);
    std::cout << "creators killed at crash points: " << points << "\n";
}

TEST_CASE("a creator killed at any system call leaves the door open", "[crash][attach][inv-10]") {
    if (RISKREG_SANITIZED || !may_trace()) {
        std::cout << "SKIPPED: needs ptrace, and no sanitizer\n";
        return;
    }
    const PersistenceMode mode = GENERATE(PersistenceMode::none, PersistenceMode::async);
    std::uint64_t points = 0;
    for (bool inside = true; inside; points += inside ? 1 : 0) {
        INFO("system call stop " << points + 1);
        const Plot plot(mode);
        StoppedCreator creator(plot, points + 1);
        inside = creator.inside();
        // They come while it is stopped there, and see it die.
        Visitors visitors(plot);
        visitors.have_knocked();
        creator.kill();
        visitors.survive();
    }
    CHECK(points > 40);
    std::cout << "creators killed at system calls: " << points << "\n";
}

TEST_CASE("what a dead creator has left, destroy clears away", "[crash][attach]") {
    for (std::uint64_t point = 1;; ++point) {
        INFO("crash point " << point);
        const Plot plot;
        if (!creator_to_die(plot, point).wait().was_killed()) break;
        // Whoever gives up on the registry must not be told to use rm.
        CHECK_NOTHROW(plot.destroy());
        CHECK(plot.segments() == 0);
    }
    if (RISKREG_SANITIZED || !may_trace()) return;
    for (std::uint64_t nth = 1;; ++nth) {
        INFO("system call stop " << nth);
        const Plot plot;
        StoppedCreator creator(plot, nth);
        creator.kill();
        if (!creator.inside()) break;
        if (plot.segments() == 0) continue;
        CHECK_NOTHROW(plot.destroy());
        CHECK(plot.segments() == 0);
    }
}

// ---- destroyers -------------------------------------------------------------------------------

TEST_CASE("a destroy that is killed at any crash point has not begun, or is final: nobody gets the registry back",
          "[crash][attach][inv-9]") {
    std::uint64_t final_ones = 0, untouched = 0;
    for (std::uint64_t point = 1;; ++point) {
        INFO("crash point " << point);
        SharedConfig config = tiny_config();
        config.persistence_mode = PersistenceMode::async;
        const TempRegistry place(config);
        std::optional<Registry> attached = place.attach("s1");
        OrderRequest order;
        order.id = "O-1";
        order.account = attached->account("A1");
        order.instrument = attached->instrument("ES");
        order.side = Side::buy;
        order.price = Price{100'000'000'000};
        order.quantity = Quantity{100'000'000};
        REQUIRE(attached->check_and_register(order).accepted());
        Child destroyer([&] {
            base::arm_crash_point(point);
            Registry::destroy(place.name(), place.state_dir(), false, true);
        });
        const bool killed = destroyer.wait().was_killed();
        const segment::LifecycleLock lock(place.state_dir(), place.name(), false);
        const bool begun = lock.record().stage != segment::Stage::live;
        if (begun) {
            // Who is attached may go; who comes finds nothing.
            attached.reset();
            CHECK_THROWS_AS(place.attach("s1"), Error);
            CHECK_THROWS_AS(place.look(), Error);
            Registry::create(place.name(), tiny_config(), place.state_dir());
            CHECK(place.look().status().orders_total == 0);
            ++final_ones;
        } else {
            CHECK(place.look().status().orders_total == 1);
            ++untouched;
        }
        if (!killed) break;
    }
    CHECK(final_ones > 4);
    std::cout << "destroyers killed: " << final_ones << " final, " << untouched << " not begun\n";
}

// ---- adopters ---------------------------------------------------------------------------------

namespace {

/// A registry that was left by a process which died under its lock.
void leave_behind(const TempRegistry& place) {
    Child owner([&] {
        Desk desk(place);
        desk.attach("s1");
        base::arm_crash_point(4);   // committed, nothing applied
        desk.place_order("O-1");
    });
    REQUIRE(owner.wait().was_killed());
}

/// Whether any mutex of the segment has lost the mark of a robust one: the kernel would not tell of a dead owner.
bool has_a_mutex_that_is_not_robust(core::State& state) {
    // A byte of zeroes in the middle of `initialise`: between clearing the memory and naming its kind.
    const auto kind = [](const void* mutex) { return static_cast<const pthread_mutex_t*>(mutex)->__data.__kind; };
    if (kind(segment::mutex_memory(state)) == 0) return true;
    for (std::uint32_t slot = 0; slot < state.geometry.sessions; ++slot)
        if (kind(state.sessions[slot].mutex) == 0) return true;
    return false;
}

/// Holds the lock and dies: what the next locker must be told by the mutex.
void die_under_the_lock(const TempRegistry& place) {
    Child owner([&] {
        Desk desk(place);
        desk.attach("");
        base::arm_crash_point(1);
        static_cast<void>(knock(desk.registry()));
    });
    REQUIRE(owner.wait().was_killed());
}

}  // namespace

TEST_CASE("an adopter killed at any crash point leaves the adoption to the next", "[crash][attach][inv-2][inv-3]") {
    std::uint64_t points = 0;
    for (std::uint64_t point = 1;; ++point) {
        INFO("crash point " << point);
        const TempRegistry place;
        leave_behind(place);
        Child adopter([&] {
            base::arm_crash_point(point);
            const Registry registry = place.attach();
            base::arm_crash_point(0);
        });
        const bool killed = adopter.wait().was_killed();
        Desk desk(place);
        desk.attach("s1");
        OrderView order;
        REQUIRE(desk.registry().find(desk.account(), "O-1", order));
        REQUIRE(desk.registry().reader().audit().violations.empty());
        if (!killed) break;
        ++points;
    }
    CHECK(points > 5);
    std::cout << "adopters killed at crash points: " << points << "\n";
}

TEST_CASE("who waited for an adopter that died in the middle adopts himself: all mutexes are whole",
          "[crash][attach][inv-10]") {
    if (RISKREG_SANITIZED || !may_trace()) {
        std::cout << "SKIPPED: needs ptrace, and no sanitizer\n";
        return;
    }
    const TempRegistry place;
    leave_behind(place);
    LiveSegment live(place, segment::Access::read_write);
    TracedChild adopter([&] {
        TracedChild::hand_over();
        const Registry registry = place.attach();
        TracedChild::hand_over();
    });
    // Into the middle of making a mutex anew.
    bool inside = true;
    while (inside && !has_a_mutex_that_is_not_robust(live.state())) inside = adopter.step();
    if (!inside) SUCCEED("this build makes a mutex without such a moment");
    Shared<std::atomic<bool>> attached, leave;
    Child waiting([&] {
        const Registry registry = place.attach();   // not alone: waits for the adopter
        *attached = true;
        wait_until([&] { return leave->load(); });
    });
    wait_until([&] { return is_asleep(waiting.pid()); });
    adopter.process().kill_and_reap();
    wait_until([&] { return attached->load(); });

    CHECK_FALSE(has_a_mutex_that_is_not_robust(live.state()));
    die_under_the_lock(place);
    ProcessConfig patient = place.process();
    patient.request_timeout_ns = 1'000'000'000;
    {
        Registry next = Registry::open(place.name(), patient);
        CHECK(knock(next));
        CHECK(next.reader().audit().violations.empty());
    }
    *leave = true;
    CHECK(waiting.wait().left_with(0));
}

TEST_CASE("a takeover that finds no free slot leaves the session that it would have fenced", "[attach]") {
    SharedConfig config = tiny_config();
    config.capacity.sessions = 1;
    const TempRegistry place(config);
    Desk desk(place);
    desk.attach("s1");
    ProcessConfig newcomer = place.process("s1");
    newcomer.takeover = true;
    CHECK_THROWS_AS(Registry::open(place.name(), newcomer), Error);
    CHECK(desk.registry().check_and_register(desk.order("O-1")).accepted());
}
