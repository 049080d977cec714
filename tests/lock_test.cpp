// The lock: a death of its owner is an ordinary answer, no wait is unbounded, and what cannot be trusted is poisoned.

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/crash_point.hpp"
#include "core/apply.hpp"
#include "riskreg/error.hpp"
#include "segment/process.hpp"
#include "segment/robust_mutex.hpp"
#include "segment/state_lock.hpp"
#include "support/child.hpp"
#include "support/operations.hpp"
#include "support/plain_registry.hpp"

namespace {

using namespace riskreg;
using namespace riskreg::test;
using segment::LockResult;
using segment::RobustMutex;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kAmple_ns = 30'000'000'000;

struct alignas(64) MutexPage {
    unsigned char bytes[64];
    std::atomic<int> word;       // the lock word as a child saw it
    std::atomic<int> answer;     // of a child's lock, as LockResult + 1
};

RobustMutex mutex_of(MutexPage& page) { return RobustMutex(page.bytes); }

/// A child that takes the mutex and dies holding it.
void die_holding(MutexPage& page) {
    Child child([&] {
        if (mutex_of(page).lock(kAmple_ns) != LockResult::held) throw std::runtime_error("the mutex was not free");
        die();
    });
    REQUIRE(child.wait().was_killed());
}

/// A child that waits for the mutex by `RobustMutex::lock`, says what it got, and releases it.
Child waiter(MutexPage& page) {
    return Child([&page] {
        RobustMutex mutex = mutex_of(page);
        const LockResult result = mutex.lock(kAmple_ns);
        page.answer = static_cast<int>(result) + 1;
        if (result == LockResult::owner_died) mutex.make_consistent();
        if (result == LockResult::held || result == LockResult::owner_died) static_cast<void>(mutex.unlock());
    });
}

LockResult answer_of(const MutexPage& page) { return static_cast<LockResult>(page.answer - 1); }

}  // namespace

TEST_CASE("a thread that exits while it holds the mutex leaves it to the next as dead", "[lock][inv-10]") {
    Shared<MutexPage> page;
    RobustMutex mutex = mutex_of(*page);
    mutex.initialise();
    std::thread([&] { static_cast<void>(mutex.try_lock()); }).join();
    REQUIRE(RobustMutex::owner_died_hint(page->bytes));
    REQUIRE(mutex.lock(kAmple_ns) == LockResult::owner_died);
    mutex.make_consistent();
    REQUIRE(mutex.unlock());
    REQUIRE(mutex.lock(kAmple_ns) == LockResult::held);
    REQUIRE(mutex.unlock());
}

TEST_CASE("who waits is told that the time is over only when it is, however often the mutex changes hands", "[lock][inv-10]") {
    Shared<MutexPage> page;
    mutex_of(*page).initialise();
    std::atomic<int> failures{0}, ready{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            RobustMutex mutex = mutex_of(*page);
            ++ready;
            while (ready < 4) segment::yield_cpu();
            // Free for a moment only: who sees that it is free is often too late.
            const std::int64_t end = segment::monotonic_ns() + 300'000'000;
            for (int i = 0; i % 1000 != 0 || segment::monotonic_ns() < end; ++i) {
                if (mutex.lock(kAmple_ns) != LockResult::held) ++failures;
                else static_cast<void>(mutex.unlock());
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(failures == 0);
}

TEST_CASE("a mutex is told from memory that was never made one, held or not", "[lock]") {
    Shared<MutexPage> page;
    RobustMutex mutex = mutex_of(*page);
    page->bytes[sizeof(pthread_mutex_t)] = 1;   // what lies behind it says nothing
    CHECK_FALSE(RobustMutex::is_made(page->bytes));
    mutex.initialise();
    CHECK(RobustMutex::is_made(page->bytes));
    REQUIRE(mutex.try_lock() == LockResult::held);
    CHECK(RobustMutex::is_made(page->bytes));
    REQUIRE(mutex.unlock());
    CHECK(RobustMutex::is_made(page->bytes));
}

TEST_CASE("hints tell who holds a mutex, whether it is free, and that its owner died", "[lock]") {
    Shared<MutexPage> page;
    RobustMutex mutex = mutex_of(*page);
    mutex.initialise();
    CHECK(RobustMutex::is_free_hint(page->bytes));
    CHECK(RobustMutex::holder_hint(page->bytes) == 0);
    REQUIRE(mutex.try_lock() == LockResult::held);
    CHECK_FALSE(RobustMutex::is_free_hint(page->bytes));
    CHECK(RobustMutex::holder_hint(page->bytes) == static_cast<std::uint32_t>(::gettid()));
    CHECK_FALSE(RobustMutex::owner_died_hint(page->bytes));
    REQUIRE(mutex.unlock());
    die_holding(*page);
    CHECK(RobustMutex::is_free_hint(page->bytes));
    CHECK(RobustMutex::owner_died_hint(page->bytes));
    CHECK(RobustMutex::holder_hint(page->bytes) == 0);
}

TEST_CASE("the death of the owner is told by trylock, and by a wait that has begun", "[lock][inv-10]") {
    Shared<MutexPage> page;
    RobustMutex mutex = mutex_of(*page);
    mutex.initialise();

    SECTION("trylock") {
        die_holding(*page);
        REQUIRE(mutex.try_lock() == LockResult::owner_died);
        mutex.make_consistent();
        REQUIRE(mutex.unlock());
    }
    SECTION("a timed wait") {
        Child owner([&] {
            static_cast<void>(mutex.lock(kAmple_ns));
            page->word = 1;
            for (;;) ::pause();
        });
        wait_until([&] { return page->word == 1; });
        Child waiting = waiter(*page);
        wait_until([&] { return is_asleep(waiting.pid()); });
        REQUIRE(page->answer == 0);
        owner.kill_and_reap();
        REQUIRE(waiting.wait().left_with(0));
        REQUIRE(answer_of(*page) == LockResult::owner_died);
    }
    REQUIRE(mutex.try_lock() == LockResult::held);
    REQUIRE(mutex.unlock());
}

TEST_CASE("a mutex that was unlocked without make_consistent is nobody's ever after", "[lock]") {
    Shared<MutexPage> page;
    RobustMutex mutex = mutex_of(*page);
    mutex.initialise();
    die_holding(*page);
    REQUIRE(mutex.try_lock() == LockResult::owner_died);
    REQUIRE(mutex.unlock());
    REQUIRE(mutex.try_lock() == LockResult::unrecoverable);
    // glibc's trylock leaves the word taken when it gives that answer: later ones may time out instead.
    for (int again = 0; again < 3; ++again) {
        const LockResult later = mutex.lock(1'000'000);
        REQUIRE((later == LockResult::unrecoverable || later == LockResult::timed_out));
    }
}

TEST_CASE("a thread that holds the mutex and asks again is not made to wait for itself", "[lock][inv-10]") {
    Shared<MutexPage> page;
    RobustMutex mutex = mutex_of(*page);
    mutex.initialise();
    REQUIRE(mutex.try_lock() == LockResult::held);
    REQUIRE(mutex.lock(kAmple_ns) == LockResult::timed_out);
    REQUIRE(mutex.unlock());
}

TEST_CASE("the test of the host leaves the thread that ran it able to lock: a creator may trade", "[lock]") {
    Child child([] {
        segment::self_test_robust_mutex();
        // The mutex of the test is gone; locking another one must not touch where it was.
        Shared<MutexPage> page;
        mutex_of(*page).initialise();
        if (mutex_of(*page).lock(kAmple_ns) != LockResult::held) ::_exit(1);
        if (!mutex_of(*page).unlock()) ::_exit(2);
    });
    REQUIRE(child.wait().left_with(0));
}

// ---- lost wake-up -----------------------------------------------------------------------------

namespace {

/// Lets a traced child run to the next entry of, or return from, a futex call.
bool run_to_futex(TracedChild& child, unsigned char where) {
    while (child.step_to_system_call()) {
        __ptrace_syscall_info info{};
        const long size = ::ptrace(PTRACE_GET_SYSCALL_INFO, child.process().pid(), sizeof info, &info);
        if (size <= 0 || info.op != where) continue;
        if (where == PTRACE_SYSCALL_INFO_EXIT || info.entry.nr == SYS_futex) return true;
    }
    return false;
}

}  // namespace

TEST_CASE("a waiter that is killed between its wake-up and its lock does not take the wake-up with it", "[lock][inv-10]") {
    if (RISKREG_SANITIZED || !may_trace()) {
        std::cout << "SKIPPED: needs ptrace, and no sanitizer\n";
        return;
    }
    Shared<MutexPage> page;
    RobustMutex mutex = mutex_of(*page);
    mutex.initialise();
    REQUIRE(mutex.try_lock() == LockResult::held);
    // The victim waits untimed, so that it stays the first in the kernel's queue.
    TracedChild victim([&] {
        TracedChild::hand_over();
        ::pthread_mutex_lock(reinterpret_cast<pthread_mutex_t*>(page->bytes));
        TracedChild::hand_over();
    });
    REQUIRE(run_to_futex(victim, PTRACE_SYSCALL_INFO_ENTRY));
    ::ptrace(PTRACE_SYSCALL, victim.process().pid(), nullptr, nullptr);
    wait_until([&] { return is_asleep(victim.process().pid()); });
    Child other = waiter(*page);
    wait_until([&] { return is_asleep(other.pid()); });

    REQUIRE(mutex.unlock());                           // wakes the victim …
    int status = 0;
    REQUIRE(::waitpid(victim.process().pid(), &status, 0) == victim.process().pid());   // … which stops on its way out
    REQUIRE(WIFSTOPPED(status));
    static_cast<void>(mutex.try_lock());               // somebody barges in, unless the other waiter was quicker
    victim.process().kill_and_reap();
    static_cast<void>(mutex.unlock());

    REQUIRE(other.wait().left_with(0));
    REQUIRE(answer_of(*page) == LockResult::held);
}

// ---- the registry's lock ----------------------------------------------------------------------

namespace {

/// A child that dies at its first crash point under the lock.
void die_inside(const TempRegistry& place) {
    Child child([&] {
        Desk desk(place);
        desk.attach("");
        base::arm_crash_point(1);
        static_cast<void>(knock(desk.registry()));
    });
    REQUIRE(child.wait().was_killed());
}

/// A child that is stopped while it holds the lock.
Child stopped_holder(const TempRegistry& place) {
    Child holder([&place] {
        LiveSegment live(place, segment::Access::read_write);
        const segment::StateLock lock(live.state(), kAmple_ns, layout::kNoSlot);
        if (!lock.inside()) throw std::runtime_error("the lock was not free");
        ::raise(SIGSTOP);
    });
    REQUIRE(holder.wait_for_stop().stopped_by(SIGSTOP));
    return holder;
}

bool is_poisoned(const TempRegistry& place) { return place.look().status().poisoned; }

std::optional<Errc> refusal_of_open(const TempRegistry& place) {
    try {
        const Registry registry = place.attach();
        return std::nullopt;
    } catch (const Error& error) {
        return error.code();
    }
}

int exit_code(const std::string& command) {
    const int status = std::system((command + " >/dev/null 2>&1").c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int riskctl(const TempRegistry& place, const std::string& verb, const std::string& rest = {}) {
    return exit_code(std::string(RISKREG_BIN_DIR) + "/riskctl " + verb + " " + place.name() + " " + rest + " --state-dir " +
                     place.state_dir());
}

/// Every call of an attached process is refused, nobody can attach, and the tools say "damaged".
void require_poisoned(const TempRegistry& place, Desk& desk) {
    for (int again = 0; again < 2; ++again) {
        const Verdict request = desk.registry().check_and_register(desk.order("P-1"));
        CHECK(request.result == Result::denied);
        CHECK(request.reason == DenyReason::poisoned);
        const Verdict fact = desk.registry().event(desk.fact(EventKind::acked, "P-1"));
        CHECK(fact.result == Result::not_booked);
        CHECK(fact.reason == DenyReason::poisoned);
        CHECK(desk.registry().halt({ScopeKind::firm}, TradingState::halted, "test").reason == DenyReason::poisoned);
        CHECK(desk.registry().cancel_requested(desk.account(), "P-1").reason == DenyReason::poisoned);
    }
    CHECK(is_poisoned(place));
    CHECK(refusal_of_open(place) == Errc::damaged);
    CHECK(riskctl(place, "verify") == 4);
    CHECK(riskctl(place, "halt", "--scope firm --reason test") == 4);
}

}  // namespace

TEST_CASE("a registry whose mutex was given up as unrecoverable is poisoned for everybody", "[lock][inv-12]") {
    const TempRegistry place;
    Desk desk(place);
    desk.attach("");   // an operator: a session's watcher would repair before we can do harm
    die_inside(place);
    LiveSegment live(place, segment::Access::read_write);
    RobustMutex mutex(segment::mutex_memory(live.state()));
    REQUIRE(mutex.lock(kAmple_ns) == LockResult::owner_died);
    REQUIRE(mutex.unlock());
    require_poisoned(place, desk);
}

TEST_CASE("a stopped lock owner costs others their deadline and no more and when it goes on, so do they",
          "[lock][inv-8][inv-10][inv-12]") {
    const TempRegistry place;
    ProcessConfig config = place.process();
    config.request_timeout_ns = 20'000'000;
    config.fact_timeout_ns = 50'000'000;
    Registry bystander = Registry::open(place.name(), config);
    Child holder = stopped_holder(place);
    OrderEvent fact;
    fact.kind = EventKind::acked;
    fact.id = "O-1";
    fact.account = bystander.account("A1");

    const auto begin = Clock::now();
    const Verdict request = bystander.halt({ScopeKind::firm}, TradingState::halted, "test");
    const Verdict booked = bystander.event(fact);
    const auto waited = Clock::now() - begin;
    CHECK(request.result == Result::denied);
    CHECK(request.reason == DenyReason::lock_timeout);
    CHECK(booked.result == Result::not_booked);
    CHECK(booked.reason == DenyReason::lock_timeout);
    CHECK(waited < std::chrono::seconds(5));           // deadlines of 70 ms in all, on whatever host
    CHECK(bystander.reader().status().lock_holder_pid == static_cast<std::uint32_t>(holder.pid()));
    CHECK(bystander.reader().status().committed == layout::kGenesis);

    holder.send(SIGCONT);
    REQUIRE(holder.wait().left_with(0));
    CHECK(bystander.event(fact).taken());
    CHECK(bystander.reader().audit().violations.empty());
}

TEST_CASE("a request of a strategy meets a stopped lock owner: denied lock_timeout, and accepted afterwards",
          "[lock][inv-6][inv-10][inv-12]") {
    const TempRegistry place;
    ProcessConfig config = place.process("s1");
    config.request_timeout_ns = 20'000'000;
    Registry trader = Registry::open(place.name(), config);
    Child holder = stopped_holder(place);
    OrderRequest order;
    order.id = "O-1";
    order.account = trader.account("A1");
    order.instrument = trader.instrument("ES");
    order.side = Side::buy;
    order.price = points(4800);
    order.quantity = lots(1);
    const auto begin = Clock::now();
    CHECK(trader.check_and_register(order).reason == DenyReason::lock_timeout);
    CHECK(Clock::now() - begin < std::chrono::seconds(5));
    OrderView view;
    CHECK_FALSE(trader.find(order.account, "O-1", view));   // reading waits for nobody
    holder.send(SIGCONT);
    REQUIRE(holder.wait().left_with(0));
    CHECK(trader.check_and_register(order).accepted());
}

TEST_CASE("an owner whose lock was taken from it poisons the registry at unlock", "[lock][inv-12]") {
    const TempRegistry place;
    Desk desk(place);
    desk.attach("");
    Shared<std::atomic<int>> step;
    Child owner([&] {
        LiveSegment live(place, segment::Access::read_write);
        {
            const segment::StateLock lock(live.state(), kAmple_ns, layout::kNoSlot);
            // What the kernel does to a live owner when a waiter with its thread id dies in another PID namespace:
            // the mark of death, no thread id.
            __atomic_store_n(static_cast<std::uint32_t*>(segment::mutex_memory(live.state())), 0x40000000U, __ATOMIC_SEQ_CST);
            *step = 1;
            wait_until([&] { return step->load() == 2; });
        }
        ::_exit(is_poisoned(place) ? 0 : 1);
    });
    wait_until([&] { return step->load() == 1; });
    REQUIRE(knock(desk.registry()));                    // takes the lock from the live owner
    *step = 2;
    REQUIRE(owner.wait().left_with(0));
    require_poisoned(place, desk);
}

TEST_CASE("the segment names the session that holds its lock, and nobody afterwards", "[lock]") {
    const TempRegistry place;
    LiveSegment live(place, segment::Access::read_write);
    const std::uint64_t& owner = live.state().status->owner_session;
    for (const std::uint32_t session : {0U, 6U, layout::kNoSlot}) {
        {
            const segment::StateLock lock(live.state(), kAmple_ns, session);
            REQUIRE(lock.inside());
            CHECK(owner == session + 1ULL);
        }
        CHECK(owner == 0);
    }
}

TEST_CASE("each death inside is repaired and counted once, and the lock is as good as before", "[lock][inv-2]") {
    const TempRegistry place;
    Desk desk(place);
    desk.attach("");
    for (std::uint64_t deaths = 1; deaths <= 3; ++deaths) {
        die_inside(place);
        for (int again = 0; again < 2; ++again) {
            CHECK(knock(desk.registry()));
            CHECK(place.look().status().repairs == deaths);
        }
    }
}

namespace {

enum class Crash { without_our_handler, before_the_lock, inside, behind_the_lock, refused_by_the_lock };

/// A child that crashes by a signal that Catch2 does not handle. Whether it left a core dump.
bool leaves_core(const TempRegistry& place, Crash where) {
    segment::install_crash_handler();
    struct sigaction handler {};
    ::sigaction(SIGBUS, nullptr, &handler);
    Child child([&] {
        // A Child begins with none.
        if (where != Crash::without_our_handler) ::sigaction(SIGBUS, &handler, nullptr);
        rlimit size{};
        ::getrlimit(RLIMIT_CORE, &size);
        size.rlim_cur = size.rlim_max;
        if (::setrlimit(RLIMIT_CORE, &size) != 0 || ::chdir(place.state_dir().c_str()) != 0)
            throw std::runtime_error("no place for a core");
        LiveSegment live(place, segment::Access::read_write);
        std::optional<segment::StateLock> lock;
        if (where == Crash::refused_by_the_lock)
            layout::store_relaxed(live.state().log->applied, live.state().log->committed + 1);
        if (where != Crash::without_our_handler && where != Crash::before_the_lock)
            lock.emplace(live.state(), kAmple_ns, layout::kNoSlot);
        if (where == Crash::behind_the_lock) lock.reset();
        ::raise(SIGBUS);
    });
    const Ending ending = child.wait();
    REQUIRE(WIFSIGNALED(ending.status));
    REQUIRE(WTERMSIG(ending.status) == SIGBUS);
    return WCOREDUMP(ending.status);
}

}  // namespace

TEST_CASE("who crashes inside the lock does not hold it for a core dump, who crashes outside leaves one", "[lock][inv-10]") {
    if (skipped_under_sanitizer("a sanitizer answers these signals itself")) return;
    const TempRegistry place;
    if (!leaves_core(place, Crash::without_our_handler)) {
        std::cout << "SKIPPED: no core dumps here\n";
        return;
    }
    CHECK(leaves_core(place, Crash::before_the_lock));
    CHECK_FALSE(leaves_core(place, Crash::inside));
    CHECK(leaves_core(place, Crash::behind_the_lock));
    CHECK(leaves_core(place, Crash::refused_by_the_lock));
    CHECK(is_poisoned(place));
}

TEST_CASE("who waits for the lock while the registry is poisoned or rolled does not get in", "[lock][inv-12]") {
    for (const auto& [state, answer] : {std::pair{layout::SegmentState::poisoned, segment::Entry::poisoned},
                                        std::pair{layout::SegmentState::rolled, segment::Entry::rolled}}) {
        const TempRegistry place;
        LiveSegment live(place, segment::Access::read_write);
        Shared<std::atomic<int>> entry;
        std::optional<Child> waiting;
        {
            const segment::StateLock lock(live.state(), kAmple_ns, layout::kNoSlot);
            REQUIRE(lock.inside());
            waiting.emplace([&] {
                LiveSegment own(place, segment::Access::read_write);
                const segment::StateLock late(own.state(), kAmple_ns, layout::kNoSlot);
                *entry = static_cast<int>(late.entry()) + 1;
            });
            wait_until([&] { return is_asleep(waiting->pid()); });
            layout::store_release(live.state().header->state, static_cast<std::uint64_t>(state));
        }
        REQUIRE(waiting->wait().left_with(0));
        CHECK(entry->load() == static_cast<int>(answer) + 1);
    }
}

TEST_CASE("what is poisoned stays so, and a day that was rolled is not poisoned afterwards", "[lock][inv-12]") {
    const PlainRegistry registry(tiny_config());
    core::State state = registry.state();
    using layout::SegmentState;
    for (const auto& [before, after] :
         {std::pair{SegmentState::ready, SegmentState::poisoned}, std::pair{SegmentState::poisoned, SegmentState::poisoned},
          std::pair{SegmentState::rolled, SegmentState::rolled}}) {
        state.header->state = static_cast<std::uint64_t>(before);
        segment::poison(state);
        CHECK(state.header->state == static_cast<std::uint64_t>(after));
    }
}

// ---- R1 to R3 ---------------------------------------------------------------------------------

namespace {

struct Damage {
    std::string_view name;
    void (*inflict)(core::State&);
    bool needs_a_dead_owner = false;   // otherwise the next locker sees it by itself
};

constexpr std::array kDamages = {
    Damage{"committed below applied", [](core::State& s) { layout::store_relaxed(s.log->applied, s.log->committed + 1); }},
    Damage{"more than 64 events apart",
           [](core::State& s) { layout::store_relaxed(s.log->applied, s.log->committed - core::kMaxRedo - 1); }},
    Damage{"a checksum is damaged",
           [](core::State& s) {
               layout::store_relaxed(s.log->applied, s.log->committed - 1);
               s.ring_slot(s.log->committed).header.checksum ^= 0x10;
           }},
    Damage{"one bit of an event is damaged",
           [](core::State& s) {
               layout::store_relaxed(s.log->applied, s.log->committed - 1);
               s.ring_slot(s.log->committed).words[20] ^= 1;
           }},
    Damage{"magic is damaged", [](core::State& s) { layout::store_relaxed(s.header->magic, layout::kMagic ^ 1); }, true},
};

/// Whoever looked at the state of the registry just before it was poisoned still gets no further than the mutex.
bool is_closed_for_good(core::State& state) {
    RobustMutex mutex(segment::mutex_memory(state));
    const LockResult result = mutex.try_lock();
    if (result == LockResult::held) static_cast<void>(mutex.unlock());
    return result == LockResult::unrecoverable;
}

/// As many orders as the log needs so that "more than 64 apart" stays within it.
void trade(Desk& desk) {
    for (int i = 0; i < 80; ++i) desk.place_order("O-" + std::to_string(i));
}

}  // namespace

TEST_CASE("R3: damaged memory poisons the registry, refuses every call and keeps the bytes", "[lock][crash][inv-2][inv-12]") {
    for (const Damage& damage : kDamages) {
        DYNAMIC_SECTION(damage.name) {
            const TempRegistry place;
            Desk desk(place);
            desk.attach("s1");
            trade(desk);
            LiveSegment live(place, segment::Access::read_write);
            Child owner([&] {
                LiveSegment own(place, segment::Access::read_write);
                const segment::StateLock lock(own.state(), kAmple_ns, layout::kNoSlot);
                damage.inflict(own.state());
                die();
            });
            REQUIRE(owner.wait().was_killed());
            const std::uint64_t committed = live.state().log->committed;
            for (int again = 0; again < 2; ++again) {
                const Verdict request = desk.registry().check_and_register(desk.order("P-1"));
                CHECK(request.result == Result::denied);
                CHECK(request.reason == DenyReason::poisoned);
                CHECK(desk.registry().event(desk.fact(EventKind::acked, "O-1")).result == Result::not_booked);
            }
            CHECK(layout::load_relaxed(live.state().header->state) ==
                  static_cast<std::uint64_t>(layout::SegmentState::poisoned));
            CHECK(live.state().log->committed == committed);
            CHECK(refusal_of_open(place) == Errc::damaged);
            CHECK(riskctl(place, "verify") == 4);
            CHECK(is_closed_for_good(live.state()));
        }
    }
}

TEST_CASE("an event that was committed and not applied is redone by whoever locks next, and only a death is counted as one",
          "[lock][inv-2][inv-3]") {
    const TempRegistry place;
    Desk desk(place);
    desk.attach("s1");
    trade(desk);
    LiveSegment live(place, segment::Access::read_write);
    const std::uint64_t redone = place.look().status().redone;
    live.state().log->applied -= 1;
    REQUIRE(knock(desk.registry()));
    CHECK(live.state().log->applied == live.state().log->committed);
    CHECK(place.look().status().redone == redone + 1);
    CHECK(place.look().status().repairs == 0);
}

TEST_CASE("R3 without a dead owner: the next locker sees by itself that the log does not fit", "[lock][inv-2][inv-12]") {
    for (const Damage& damage : kDamages) {
        if (damage.needs_a_dead_owner) continue;
        DYNAMIC_SECTION(damage.name) {
            const TempRegistry place;
            Desk desk(place);
            desk.attach("s1");
            trade(desk);
            LiveSegment live(place, segment::Access::read_write);
            damage.inflict(live.state());
            require_poisoned(place, desk);
        }
    }
}

namespace {

/// The inputs of the table R1–R3.
struct Found {
    std::int64_t ahead = 0;          // committed − applied
    bool events_whole = true;        // those in between
    bool canary_whole = true;
};

bool fits_r1(const Found& f) { return f.canary_whole && f.ahead == 0; }
bool fits_r2(const Found& f) { return f.canary_whole && f.ahead >= 1 && f.ahead <= 64 && f.events_whole; }
bool fits_r3(const Found& f) { return !f.canary_whole || f.ahead < 0 || f.ahead > 64 || (f.ahead > 0 && !f.events_whole); }

core::RepairCase expected_case(const Found& found) {
    return fits_r1(found)   ? core::RepairCase::r1_nothing_to_do
           : fits_r2(found) ? core::RepairCase::r2_redone
                            : core::RepairCase::r3_damaged;
}

enum class Harm { none, first_sequence, last_checksum, middle_payload };

/// Memory with 100 events in the log, and then what was found.
core::RepairCase repair_of(const Found& found, Harm harm) {
    const SharedConfig config = tiny_config();
    PlainRegistry plain(config);
    static_cast<void>(plain.attach(0, StrategyId{0}, 1000));
    for (int i = 0; i < 100; ++i) {
        const std::string id = "O-" + std::to_string(i);
        OrderRequest order;
        order.id = id;
        order.account = AccountId{0};
        order.instrument = InstrumentId{0};
        order.side = Side::buy;
        order.price = points(4800);
        order.quantity = lots(1);
        REQUIRE(plain.register_order(plain.caller(0, 2000 + i), order).accepted());
    }
    core::State& state = plain.state();
    const std::uint64_t committed = state.log->committed;
    const auto applied = static_cast<std::uint64_t>(static_cast<std::int64_t>(committed) - found.ahead);
    // What lies beyond committed is ignored; when nothing is in between, the harm goes there.
    const std::uint64_t first = found.ahead > 0 ? applied + 1 : committed + 1;
    const std::uint64_t last = found.ahead > 0 ? committed : committed + 1;
    if (harm == Harm::first_sequence) state.ring_slot(first).header.seq = layout::kBeingWritten;
    if (harm == Harm::last_checksum) state.ring_slot(last).header.checksum ^= 1;
    if (harm == Harm::middle_payload) state.ring_slot((first + last) / 2).words[30] ^= 1ULL << 63;
    state.log->applied = applied;
    if (!found.canary_whole) state.header->magic = 0;
    const core::RepairCase result = core::repair(state);
    if (result != core::RepairCase::r3_damaged) REQUIRE(state.log->applied == committed);
    if (result == core::RepairCase::r3_damaged) REQUIRE(state.log->applied == applied);
    return result;
}

}  // namespace

TEST_CASE("exactly one row of the repair table fits whatever a dead owner left", "[lock][crash][inv-2][inv-3]") {
    for (const std::int64_t ahead : {-65, -1, 0, 1, 2, 63, 64, 65, 99})
        for (const Harm harm : {Harm::none, Harm::first_sequence, Harm::last_checksum, Harm::middle_payload})
            for (const bool canary_whole : {true, false}) {
                const Found found{ahead, harm == Harm::none, canary_whole};
                CAPTURE(ahead, static_cast<int>(harm), canary_whole);
                REQUIRE(fits_r1(found) + fits_r2(found) + fits_r3(found) == 1);
                REQUIRE(repair_of(found, harm) == expected_case(found));
            }
}

TEST_CASE("of the rows of kRepairTable exactly one fits everything that can be seen", "[lock][inv-2][inv-3]") {
    using core::Behind;
    for (const bool magic : {true, false})
        for (const Behind behind : {Behind::nothing, Behind::some, Behind::impossible})
            for (const bool whole : {true, false}) {
                CAPTURE(magic, static_cast<int>(behind), whole);
                const auto rows = std::count_if(core::kRepairTable.begin(), core::kRepairTable.end(),
                                                [&](const auto& row) { return core::fits(row, magic, behind, whole); });
                REQUIRE(rows == 1);
                const Found found{behind == Behind::nothing ? 0 : behind == Behind::some ? 1 : -1, whole, magic};
                REQUIRE(core::repair_case(magic, behind, whole) == expected_case(found));
            }
}

// ---- namespaces and forks ---------------------------------------------------------------------

TEST_CASE("a process of another PID namespace is refused, and told of --pid=host", "[lock][attach]") {
    const TempRegistry place;
    const Registry ours = place.attach("s1");
    constexpr int kNotPermitted = 50;
    Child child([&] {
        if (::unshare(CLONE_NEWPID) != 0) ::_exit(kNotPermitted);
        const pid_t inner = ::fork();
        if (inner == 0) {
            try {
                const Registry registry = place.attach("s2");
                ::_exit(1);
            } catch (const Error& error) {
                const bool named = std::strstr(error.what(), "--pid=host") != nullptr;
                ::_exit(error.code() == Errc::foreign && named ? 0 : 2);
            }
        }
        int status = 0;
        ::waitpid(inner, &status, 0);
        ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 3);
    });
    const Ending ending = child.wait();
    if (ending.left_with(kNotPermitted)) {
        std::cout << "SKIPPED: a new PID namespace needs root\n";
        return;
    }
    REQUIRE(ending.left_with(0));
}

namespace {

/// What a forked child asks of its parent's registration; each must be refused as not_attached.
bool every_call_says_not_attached(Desk& desk, const OrderRequest& order, const OrderEvent& fact) {
    Registry& registry = desk.registry();
    const auto refused = [](const Verdict& verdict) { return !verdict.taken() && verdict.reason == DenyReason::not_attached; };
    ReplaceRequest replace;
    replace.id = order.id;
    replace.account = order.account;
    replace.quantity = lots(3);
    bool all = refused(registry.check_and_register(order)) && refused(registry.event(fact));
    all = all && refused(registry.replace_requested(replace)) && refused(registry.cancel_requested(order.account, order.id));
    all = all && refused(registry.aborted(order.account, order.id)) &&
          refused(registry.reference_price(order.instrument, points(4800)));
    all = all && refused(registry.halt({ScopeKind::firm}, TradingState::halted, "test"));
    all = all && refused(registry.set_limits({ScopeKind::firm}, {}, "test"));
    for (const Verdict& verdict : registry.register_batch({&order, 1}, true)) all = all && refused(verdict);
    return all;
}

}  // namespace

TEST_CASE("a forked child is not attached: its calls say so, and its end leaves the parent's session alone", "[lock][fork]") {
    const TempRegistry place;
    std::optional<Desk> desk(std::in_place, place);
    desk->attach("s1");
    desk->place_order("O-1");
    const OrderRequest order = desk->order("O-2");
    const OrderEvent fact = desk->fact(EventKind::acked, "O-1");
    Child child([&] {
        if (!every_call_says_not_attached(*desk, order, fact)) ::_exit(1);
        desk.reset();                                  // the destructor of the child's copy
    });
    REQUIRE(child.wait().left_with(0));
    CHECK(desk->registry().event(fact).taken());
    CHECK(desk->registry().check_and_register(order).accepted());
    const auto sessions = desk->registry().reader().sessions();
    REQUIRE(sessions.size() == 1);
    CHECK(sessions.front().status == SessionStatus::attached);
    // The lifecycle lock is still ours.
    CHECK_THROWS_AS(Registry::destroy(place.name(), place.state_dir(), true, false), Error);
    CHECK(desk->registry().reader().audit().violations.empty());
}

TEST_CASE("the end of a forked child's copy closes no descriptor that the child has opened since", "[lock][fork]") {
    const TempRegistry place;
    std::optional<Registry> registry(place.attach("s1"));
    Child child([&] {
        // The kernel gives out the lowest free number: the one that the fork has closed is among these.
        std::vector<int> mine;
        for (int i = 0; i < 8; ++i) mine.push_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        registry.reset();
        for (const int descriptor : mine)
            if (::fcntl(descriptor, F_GETFD) < 0) ::_exit(1);
    });
    REQUIRE(child.wait().left_with(0));
}

TEST_CASE("a forked child that looks through its parent's registration is answered, not killed", "[lock][fork]") {
    const TempRegistry place;
    Desk desk(place);
    desk.attach("s1");
    desk.place_order("O-1");
    const AccountId account = desk.account();
    Child child([&] {
        OrderView view;
        static_cast<void>(desk.registry().find(account, "O-1", view));
    });
    REQUIRE(child.wait().left_with(0));
}

TEST_CASE("the first event of a registry is redone like any other", "[lock][inv-2]") {
    PlainRegistry registry(tiny_config());
    core::State& state = registry.state();
    REQUIRE(state.log->committed == layout::kGenesis);
    core::SessionRequest request;
    request.type = layout::EventType::session_attached;
    request.session = 0;
    request.strategy = 0;
    request.generation = static_cast<std::uint32_t>(state.log->next_generation);
    core::Decision decision;
    core::decide_session(state, request, decision);
    core::write_event(core::Exclusive::alone(state), decision.event);
    core::commit(core::Exclusive::alone(state), decision.event.header.seq);
    CHECK(core::repair(state) == core::RepairCase::r2_redone);
    CHECK(state.log->applied == layout::kGenesis + 1);
    CHECK(state.status->redone == 1);
    CHECK(state.sessions[0].word == layout::session_word(request.generation, layout::SessionStatus::attached));
    CHECK(core::repair(state) == core::RepairCase::r1_nothing_to_do);
}
