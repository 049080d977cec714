// How long the others wait when somebody is killed inside: from the kill to the answer of a call that waits for the lock.
//
// Builds that are measured have no crash points, so the dying process takes the steps of a call itself: it locks, decides,
// writes its event and commits, and is killed before anything is applied. Who comes next has to redo it. In every other
// round it only holds the lock; those figures stand beside it. A death in the middle of apply is redone the same way, from
// the same event.
#include <unistd.h>

#include <cstdio>
#include <stdexcept>

#include "cases.hpp"
#include "core/apply.hpp"
#include "core/decide.hpp"
#include "flow.hpp"
#include "registry/attachment.hpp"
#include "segment/process.hpp"
#include "segment/robust_mutex.hpp"
#include "segment/state_lock.hpp"

namespace riskreg::bench {

namespace {

constexpr unsigned kDying = 1, kSurviving = 0;
constexpr std::uint64_t kFirstOfTheDead = 500'000'000;
/// Until whoever waits has stopped spinning and sleeps: the longer way to be woken.
constexpr std::int64_t kUntilAsleepNs = kMs;

core::Caller caller_of(const Registry& registry) {
    for (const SessionView& session : registry.reader().sessions()) {
        if (session.pid != segment::process_id() || session.status != SessionStatus::attached) continue;
        core::Caller caller;
        caller.now_ns = segment::realtime_ns();
        caller.steady_ns = segment::boottime_ns();
        caller.session = session.slot;
        caller.generation = session.generation;
        caller.strategy = static_cast<std::uint16_t>(registry.strategy());
        return caller;
    }
    throw std::runtime_error("our own session is not listed");
}

void commit_and_stop(core::State& state, const core::Caller& caller, const core::NewOrder& order) {
    core::Decision decision;
    core::decide_register(state, caller, order, nullptr, decision);
    require(decision.verdict, "register");
    const layout::Event& event = core::write_event(core::Exclusive::alone(state), decision.event);
    core::commit(core::Exclusive::alone(state), event.header.seq);
}

}  // namespace

/// `calls`: the round. Odd ones only hold the lock.
void die_inside(Board& board, unsigned) {
    pin(board.cpus, 0);
    const std::uint64_t round = board.calls;
    const Registry registry = open(board, kDying);
    registry::Attachment second = registry::attach(board.registry, board.state_dir, kLong);
    const core::Caller caller = caller_of(registry);
    const std::string id = order_id(kFirstOfTheDead + round);
    const core::NewOrder order = core::prepare(second.state, caller, request_for(id, round));
    if (segment::RobustMutex(segment::mutex_memory(second.state)).lock(kLong) != segment::LockResult::held)
        throw std::runtime_error("the lock is not free");
    if (round % 2 == 0) commit_and_stop(second.state, caller, order);
    board.ready = round + 1;
    for (;;) ::pause();
}

/// Leaves when each of its answers came; proves that what was committed stands.
void survive(Board& board, unsigned) {
    pin(board.cpus, 1);
    Seat& seat = board.seats[0];
    Flow flow(open(board, kSurviving), 1000, board.warm_up);
    flow.prefill();
    for (std::uint64_t round = 0; round < board.warm_up; ++round) {
        board.done = round + 1;
        while (board.go <= round) segment::sleep_ns(kMs / 20);
        board.inside = round + 1;
        flow.step_until(seat.to);
        OrderView view;
        const std::string id = order_id(kFirstOfTheDead + round);
        const bool found = flow.registry().find(request_for(id, round).account, id, view);
        if (found != (round % 2 == 0)) throw std::runtime_error("what a dead process committed does not stand");
    }
    board.done = board.warm_up + 1;
}

namespace {

std::uint64_t one_round(const SharedBoard& board, const Child& survivor, std::uint64_t round) {
    board->calls = round;
    Child dying(board, "die_inside", 0);
    await(board->ready, round + 1, dying);
    board->go = round + 1;
    await(board->inside, round + 1, survivor);
    segment::sleep_ns(kUntilAsleepNs);
    const std::uint64_t start = ticks();
    dying.send_kill();
    await(board->done, round + 2, survivor);
    const std::uint64_t end = board->seats[0].to;
    dying.reap();
    if (end < start) throw std::runtime_error("an answer came while the lock was held");
    return end - start;
}

}  // namespace

void measure_repair(Run& run) {
    const std::uint64_t rounds = 2 * run.sized(200, 40);
    SharedConfig config = run.adapted(bench_config(65536));
    for (StrategyConfig& strategy : config.strategies) strategy.on_death = OnDeath::leave;
    Place place(run.options().state_dir, "repair", config);
    {
        SharedBoard board(place.state_dir(), place.name());
        board->warm_up = rounds;
        Child survivor(board, "survive", 0);
        await(board->done, 1, survivor);
        Measured result("repair"), held("");
        for (std::uint64_t round = 0; round < rounds; ++round)
            (round % 2 == 0 ? result : held).add(one_round(board, survivor, round));
        survivor.wait();
        const StatusView status = Reader::open(place.name(), place.state_dir()).status();
        if (status.repairs < rounds) throw std::runtime_error("somebody died without being noticed");
        const Summary other = run.summary(held);
        result.number("held_p50_ns", other.p50).number("held_p99_ns", other.p99);
        result.number("redone", static_cast<double>(status.redone));
        result.processes = 3;
        run.add(std::move(result));
    }
    place.finish();
}

}  // namespace riskreg::bench
