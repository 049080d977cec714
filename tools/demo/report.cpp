#include "demo/report.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <map>
#include <thread>

#include "demo/clock.hpp"
#include "demo/market.hpp"
#include "riskctl/output.hpp"
#include "segment/segment_name.hpp"

namespace demo {

using namespace riskreg;

namespace {

std::string grouped(std::uint64_t value) {
    std::string text = std::to_string(value);
    for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
    return text;
}

/// `820 ns`, `1.3 µs`, `14 ms`
std::string duration(std::int64_t ns) {
    const auto in = [ns](double unit, const char* name) {
        char text[32];
        const double value = static_cast<double>(ns) / unit;
        std::snprintf(text, sizeof text, value < 10 ? "%.1f %s" : "%.0f %s", value, name);
        return std::string(text);
    };
    if (ns < kMicrosecond) return std::to_string(ns) + " ns";
    if (ns < kMillisecond) return in(1e3, "µs");
    return ns < kSecond ? in(1e6, "ms") : in(1e9, "s");
}

using CounterOf = Counter StrategyBoard::*;

std::uint64_t sum(const Board& board, CounterOf counter) {
    std::uint64_t total = 0;
    for (const StrategyBoard& strategy : board.strategies) total += (strategy.*counter).get();
    return total;
}

std::string sum_text(const Board& board, CounterOf counter) { return grouped(sum(board, counter)); }

void line(const char* name, const std::string& value, const std::string& remark = {}) {
    std::printf("  %-22s %11s%s%s\n", name, value.c_str(), remark.empty() ? "" : "   ", remark.c_str());
}

struct Refusals {
    std::uint64_t count = 0;
    Verdict example;
};

std::map<DenyReason, Refusals> refusals_of(const Board& board) {
    std::map<DenyReason, Refusals> all;
    for (const StrategyBoard& strategy : board.strategies)
        for (std::uint32_t i = 0; i < strategy.denial_reasons.load(std::memory_order_acquire); ++i) {
            Refusals& refusals = all[strategy.denials[i].reason];
            if (refusals.count == 0) refusals.example = strategy.denials[i].example;
            refusals.count += strategy.denials[i].count.get();
        }
    return all;
}

void print_refusals(const Board& board, const Reader& reader) {
    std::printf("\nRefused, by reason, with the first one as an example\n");
    for (const auto& [reason, refusals] : refusals_of(board))
        line(std::string(name_of(reason)).c_str(), grouped(refusals.count), riskctl::describe(reader, refusals.example));
}

void print_latency(const Board& board) {
    Histogram all;
    for (const StrategyBoard& strategy : board.strategies) all.add(strategy.latency);
    std::printf("\nLatency of check_and_register, %s samples, waiting for the lock included\n", grouped(all.samples()).c_str());
    const auto text = [](std::uint64_t ns) { return duration(static_cast<std::int64_t>(ns)); };
    std::printf("  p50 %s   p90 %s   p99 %s   p99.9 %s   max %s\n", text(all.percentile(500)).c_str(),
                text(all.percentile(900)).c_str(), text(all.percentile(990)).c_str(), text(all.percentile(999)).c_str(),
                text(all.max()).c_str());
    std::printf(
        "  this machine: %u cores, %zu processes at once (%zu strategies, the venue, this one); each strategy is held to\n"
        "  %u orders/s, so caches are cold and this is no measurement of throughput. Waiting for the stopped holder counts.\n",
        std::max(1U, std::thread::hardware_concurrency()), kStrategies + 2, kStrategies, kOrdersPerSecond);
}

void print_orders(const Board& board, const Findings& findings) {
    const std::uint64_t accepted = sum(board, &StrategyBoard::registered);
    const std::uint64_t denied = sum(board, &StrategyBoard::denied_orders);
    std::printf("\nOrders: %.1f s of trading, %zu strategies against one account, %.0f orders/s\n", findings.seconds,
                kStrategies, static_cast<double>(accepted + denied) / std::max(findings.seconds, 0.001));
    line("asked", grouped(accepted + denied), "check_and_register, before anything is sent");
    line("accepted", grouped(accepted), "exposure reserved for every process, then sent");
    line("denied", grouped(denied), "nothing reserved, nothing sent");
    std::printf("\nFacts from the venue, booked by the session that got them\n");
    line("acks", sum_text(board, &StrategyBoard::acked));
    line("fills", grouped(sum(board, &StrategyBoard::filled_part) + sum(board, &StrategyBoard::filled_all)),
         sum_text(board, &StrategyBoard::filled_part) + " partial, " + sum_text(board, &StrategyBoard::filled_all) +
             " to the end");
    line("cancels", sum_text(board, &StrategyBoard::canceled),
         sum_text(board, &StrategyBoard::cancel_rejected) + " came too late");
    line("replaces", sum_text(board, &StrategyBoard::replaced),
         sum_text(board, &StrategyBoard::replace_rejected) + " refused by the venue");
    line("rejects", sum_text(board, &StrategyBoard::rejected), "by the venue; their reservations are released");
    if (sum(board, &StrategyBoard::duplicates) != 0)
        line("delivered twice", sum_text(board, &StrategyBoard::duplicates),
             "fills, recognised by their exec id and booked once");
    if (sum(board, &StrategyBoard::aborted) != 0)
        line("never sent", sum_text(board, &StrategyBoard::aborted), "aborted by their owner");
    if (sum(board, &StrategyBoard::anomalies) != 0)
        line("anomalies", sum_text(board, &StrategyBoard::anomalies), "booked, but someone should look");
    if (sum(board, &StrategyBoard::quarantined) != 0)
        line("quarantined", sum_text(board, &StrategyBoard::quarantined), "facts about unknown orders");
    if (sum(board, &StrategyBoard::not_booked) != 0)
        line("sent again", sum_text(board, &StrategyBoard::not_booked), "facts that met a busy lock");
}

void print_result(const Findings& f) {
    char digest[20];
    std::snprintf(digest, sizeof digest, "%016llx", static_cast<unsigned long long>(f.audit.digest));
    std::printf("\nAfter %u kills with SIGKILL\n", f.kills);
    line("orders lost", grouped(f.lost), "of " + grouped(f.acknowledged) + " ids that were acknowledged; each was looked up");
    line("lost by the reboot", grouped(f.reboot.lost),
         "of " + grouped(f.reboot.answered) + " ids whose events were on disk; each was looked up in the rebuilt registry");
    line("unanswered", grouped(f.unrecorded),
         "registered, but the process died before it saw the answer: at most one for each kill");
    line("limits exceeded", grouped(f.exceeded), grouped(f.limits_checked) + " comparisons, while trading and at the end");
    line("repairs", grouped(f.status.repairs),
         "of a lock whose owner had died; half-made changes finished: " + grouped(f.status.redone));
    line("orphaned orders", grouped(f.orphans),
         "live, owner dead: their exposure stays reserved until somebody claims or ends them");
    line("audit", f.audit.violations.empty() ? "clean" : grouped(f.audit.violations.size()) + " errors",
         grouped(f.audit.orders) + " orders (" + grouped(f.audit.live) + " live), " + grouped(f.audit.executions) +
             " executions, " + grouped(f.audit.rows) + " rows at sequence " + grouped(f.audit.seq));
    line("audit, rebuilt", f.reboot.audit.violations.empty() ? "clean" : grouped(f.reboot.audit.violations.size()) + " errors",
         grouped(f.reboot.audit.orders) + " orders at sequence " + grouped(f.reboot.audit.seq));
    line("digest", digest);
}

}  // namespace

void print_created(const SharedConfig& config, const StatusView& status, const std::string& state_dir) {
    std::printf("riskreg demonstration: one book of orders and pre-trade risk, shared by every process on this host\n\n");
    std::printf("created '%s': %zu instruments, %zu account, %zu strategies; room for %s orders; %llu MiB in %s/%s\n",
                kRegistryName, config.instruments.size(), config.accounts.size(), config.strategies.size(),
                grouped(config.capacity.orders).c_str(), static_cast<unsigned long long>(status.size_bytes >> 20),
                segment::segment_folder().c_str(), status.segment.c_str());
    std::printf("files in %s\n\n", state_dir.c_str());
}

void print_kill(const KillReport& r) {
    std::printf("\n");
    if (r.inside)
        std::printf(
            "  %s (process %d) was stopped while it held the registry's lock (attempt %u) and killed with SIGKILL there.\n",
            strategy_name(kVictim).c_str(), r.pid, r.attempts);
    else
        std::printf(
            "  %s (process %d) was never caught inside its critical section in %u attempts, and was killed outside of it.\n",
            strategy_name(kVictim).c_str(), r.pid, r.attempts);
    if (r.inside)
        std::printf("    stopped, it sat on the lock for %s; then the next caller took the lock over: repairs + %llu, %s\n",
                    duration(r.held_ns).c_str(), static_cast<unsigned long long>(r.repairs),
                    r.redone != 0 ? "its half-made change finished" : "no half-made change to finish");
    std::printf("    the other strategies went on; longest wait of any of them between two answers: %s\n",
                duration(r.survivors_gap_ns).c_str());
    std::printf(
        "    its session was dead for everyone after %s; %u of its orders are orphaned, their exposure stays reserved\n",
        duration(r.noticed_ns).c_str(), r.orphans);
    std::printf("    strategy:%s was halted by its on_death policy (\"%s\"); an operator resumed it with a reason\n",
                strategy_name(kVictim).c_str(), r.halt_reason.c_str());
    const TakeOver& t = r.take_over;
    std::printf(
        "    a new incarnation claimed %u orders: %u went on, %u with a pending request are taken back, %u the venue is asked "
        "about\n",
        t.claimed, t.claimed - t.queried - t.canceled, t.canceled, t.queried);
    const std::string id = order_id(kVictim, t.in_doubt);
    if (t.in_doubt == 0)
        std::printf(
            "    it was not asking for an order when it died; a fact that it was booking is delivered to its successor "
            "again\n\n");
    else if (t.in_doubt_found)
        std::printf("    the call that it died in was about %s: find says it is registered, %s\n\n", id.c_str(),
                    std::string(name_of(t.in_doubt_status)).c_str());
    else std::printf("    the call that it died in was about %s: find says it was never registered\n\n", id.c_str());
}

void print_recovery(const Findings& f) {
    std::printf("\n  all strategies, the venue and riskd were killed with SIGKILL while they traded; nobody is attached.\n");
    std::printf("    adopted again: the firm is %s, %s scopes are halted by deaths, sequence %s, %s orders still live\n\n",
                f.status.state.c_str(), grouped(f.halted_scopes).c_str(), grouped(f.status.committed).c_str(),
                grouped(f.status.orders_live).c_str());
}

void print_reboot(const Findings& f) {
    const Reboot& r = f.reboot;
    const RecoverView& v = r.recovered;
    std::printf("  then the segment was removed from shared memory, as a reboot would, and the registry rebuilt from disk.\n");
    std::printf("    %s and %s events of the journal in %s: everything up to event %s; %s had been durable\n",
                v.checkpoint.empty() ? "no checkpoint" : ("checkpoint " + grouped(v.checkpoint_seq)).c_str(),
                grouped(v.events).c_str(), duration(r.took_ns).c_str(), grouped(v.end_seq).c_str(), grouped(r.durable).c_str());
    if (r.committed > v.end_seq)
        std::printf("    the last %s events were in memory only: a strategy that must not lose them asks for durable answers\n",
                    grouped(r.committed - v.end_seq).c_str());
    std::printf("    the firm is %s%s\n\n", r.status.state.c_str(),
                r.status.unreconciled ? ": only risk-reducing orders and cancels until it was compared with the venue" : "");
}

void print_table(const Board& board, const Reader& reader, const Findings& findings) {
    print_orders(board, findings);
    print_refusals(board, reader);
    print_latency(board);
    print_result(findings);
}

void print_next(const std::string& state_dir, bool kept) {
    const std::string folder = program_folder();
    std::printf(
        "\nWhere to look next\n  README.md         what this is, and ten lines of C++ that use it\n"
        "  tools/README.md   riskctl: every verb, every key of the configuration\n");
    if (!kept) {
        std::printf("  riskreg-demo --keep leaves the registry of this run in place, for riskctl to look at\n");
        return;
    }
    std::printf("The registry was kept (it holds shared memory until it is destroyed):\n");
    for (const char* verb : {"doctor demo", "status demo", "sessions demo", "orders demo --live", "exposure demo",
                             "verify demo", "destroy demo --yes"})
        std::printf("  %s/riskctl %s --state-dir %s\n", folder.c_str(), verb, state_dir.c_str());
    std::printf("  rm -r %s\n", state_dir.c_str());
}

Progress::Progress() : in_place_(::isatty(STDOUT_FILENO) != 0) {}

void Progress::show(const Board& board, const Reader& reader, std::int64_t left_ns) {
    const std::int64_t now = monotonic_ns();
    const std::uint64_t orders = sum(board, &StrategyBoard::registered) + sum(board, &StrategyBoard::denied_orders);
    if (last_ns_ == 0) {
        last_ns_ = now;
        last_orders_ = orders;
        next_ns_ = now + (in_place_ ? kSecond / 5 : kSecond);
    }
    if (now < next_ns_) return;
    const ExposureView firm = reader.exposure({.kind = ScopeKind::firm});
    const double rate = static_cast<double>(orders - last_orders_) * 1e9 / static_cast<double>(now - last_ns_);
    std::printf("%s  %6.0f orders/s   live %3u   denied %s   fills %s   %.0f s left%s", in_place_ ? "\r" : "", rate,
                firm.working_buy + firm.working_sell, grouped(sum(board, &StrategyBoard::denied_orders)).c_str(),
                grouped(sum(board, &StrategyBoard::filled_part) + sum(board, &StrategyBoard::filled_all)).c_str(),
                static_cast<double>(std::max<std::int64_t>(left_ns, 0)) / 1e9, in_place_ ? "    " : "\n");
    std::fflush(stdout);
    open_ = in_place_;
    last_ns_ = now;
    last_orders_ = orders;
    next_ns_ = now + (in_place_ ? kSecond / 5 : kSecond);
}

void Progress::end_line() {
    if (open_) std::printf("\n");
    open_ = false;
    last_ns_ = 0;
}

}  // namespace demo
