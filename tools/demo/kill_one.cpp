// Midway: one strategy dies at the worst moment.
#include <algorithm>

#include "demo/clock.hpp"
#include "demo/director.hpp"
#include "demo/market.hpp"

namespace demo {

using namespace riskreg;

namespace {

constexpr std::uint32_t kMaxAttempts = 2000;
constexpr std::int64_t kHuntTimeout = 4 * kSecond;
constexpr std::int64_t kNoticeTimeout = 5 * kSecond;
constexpr std::int64_t kAttachTimeout = 10 * kSecond;
constexpr std::int64_t kAftermath = 200 * kMillisecond;

[[noreturn]] void give_up(const std::string& what) { throw Error(Errc::busy, what); }

/// Stops the victim at random moments until it is the one that holds the lock. It is left stopped if it was caught.
void hunt(Children& children, const Reader& reader, ProcessId victim, KillReport& report) {
    Chance chance(static_cast<std::uint64_t>(monotonic_ns()));
    const std::int64_t deadline = monotonic_ns() + kHuntTimeout;
    while (report.attempts < kMaxAttempts && monotonic_ns() < deadline && !interrupted()) {
        ++report.attempts;
        sleep_ns((20 + chance.below(300)) * kMicrosecond);
        if (!children.stop(victim)) continue;
        const std::int64_t stopped = monotonic_ns();
        // The holder's thread id; a strategy trades on its main thread.
        report.inside = reader.status().lock_holder_pid == children.main_thread_of(victim);
        if (report.inside) {
            report.held_ns = monotonic_ns() - stopped;
            return;
        }
        children.go_on(victim);
    }
}

bool is_dead(const Reader& reader, ProcessId pid) {
    for (const SessionView& session : reader.sessions())
        if (session.pid == static_cast<std::uint32_t>(pid))
            return session.status == SessionStatus::dead && session.ended_ns != 0;
    return false;
}

std::uint32_t count_orphans(const Reader& reader, StrategyId strategy) {
    std::uint32_t orphans = 0;
    reader.orders([&](const OrderView& order) {
        orphans += order.strategy == strategy && is_live(order.base) && (order.flags & kOrphaned) != 0 ? 1U : 0U;
        return true;
    });
    return orphans;
}

void measure_gaps(Board& board) {
    for (StrategyBoard& strategy : board.strategies) strategy.gap_epoch.fetch_add(1, std::memory_order_relaxed);
}

std::int64_t largest_gap(const Board& board) {
    std::int64_t largest = 0;
    for (std::size_t i = 0; i < kStrategies; ++i)
        if (i != kVictim) largest = std::max(largest, board.strategies[i].largest_gap_ns.load(std::memory_order_relaxed));
    return largest;
}

/// The strategy's scope is halted, latched: only somebody who gives a reason releases it.
void resume_by_operator(const std::string& state_dir, const Scope& scope) {
    ProcessConfig config;
    config.state_dir = state_dir;
    config.request_timeout_ns = kSecond;
    Registry registry = Registry::open(kRegistryName, config);
    const Verdict verdict = registry.resume(scope, TradingState::active, "demo: checked, restarting it");
    if (verdict.result != Result::ok) give_up("the operator could not resume: " + std::string(name_of(verdict.reason)));
}

}  // namespace

KillReport kill_one(Board& board, Children& children, const Reader& reader, const std::string& state_dir, ProcessId victim,
                    const std::function<ProcessId()>& restart) {
    StrategyBoard& strategy = board.strategies[kVictim];
    const Scope scope = reader.scope("strategy:" + strategy_name(kVictim));
    const StatusView before = reader.status();
    KillReport report;
    report.pid = victim;
    measure_gaps(board);
    strategy.hurried.store(true);
    hunt(children, reader, victim, report);
    const std::int64_t killed = monotonic_ns();
    children.kill(victim);
    strategy.hurried.store(false);
    if (!wait_until(kNoticeTimeout,
                    [&] { return is_dead(reader, victim) && reader.exposure(scope).state == TradingState::halted; }))
        give_up("nobody noticed the death of process " + std::to_string(victim));
    report.noticed_ns = monotonic_ns() - killed;
    report.orphans = count_orphans(reader, reader.strategy(strategy_name(kVictim)));
    report.halt_reason = reader.exposure(scope).state_reason;
    sleep_ns(kAftermath);
    report.survivors_gap_ns = largest_gap(board);
    const StatusView after = reader.status();
    report.repairs = after.repairs - before.repairs;
    report.redone = after.redone - before.redone;
    if (report.inside && report.repairs == 0) give_up("the lock's owner died, and nobody repaired its change");

    resume_by_operator(state_dir, scope);
    const std::uint32_t incarnations = strategy.attached.load();
    restart();
    if (!wait_until(kAttachTimeout,
                    [&] { return strategy.attached.load(std::memory_order_acquire) > incarnations || interrupted(); }))
        give_up("the new incarnation did not attach");
    report.take_over = strategy.take_over;
    return report;
}

}  // namespace demo
