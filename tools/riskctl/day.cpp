// roll: the end of a trading day, while strategies trade.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <memory>

#include "common/program.hpp"
#include "riskctl/output.hpp"
#include "riskctl/verbs.hpp"

namespace riskctl {

using namespace riskreg;
using registry::DayTally;
using registry::RollReport;

namespace {

constexpr std::size_t kMaxReasonBytes = 95;
constexpr int kPasses = 10;   // over day orders that strategies go on sending

struct DayOrder {
    AccountId account;
    std::string id;
};

std::vector<DayOrder> live_day_orders(const Reader& reader) {
    std::vector<DayOrder> found;
    reader.orders([&](const OrderView& order) {
        if (is_live(order.base) && order.tif == TimeInForce::day) found.push_back({order.account, order.id});
        return true;
    });
    return found;
}

/// By the operator's word the venue has ended them with its day. How many took it. Orders of another day than `day` are left alone.
std::uint64_t expire_day_orders(Registry& registry, std::uint64_t day) {
    std::uint64_t expired = 0;
    for (int pass = 0; pass < kPasses && registry.status().day == day; ++pass) {
        const std::vector<DayOrder> orders = live_day_orders(registry.reader());
        if (orders.empty()) break;
        for (const DayOrder& order : orders) expired += registry.expired(order.account, order.id).taken() ? 1U : 0U;
    }
    return expired;
}

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kYoungNs = 3600 * kSecond;

std::string ago_text(std::int64_t age_ns) {
    const std::int64_t seconds = age_ns / kSecond;
    if (seconds < 120) return std::to_string(seconds) + " s ago";
    if (seconds < 7200) return std::to_string(seconds / 60) + " min ago";
    return std::to_string(seconds / 3600) + " h ago";
}

/// "uid 1000 ended day 3 12 s ago (2026-03-09T22:00:01.5Z)"
std::string who_ended_before(const StatusView& now) {
    if (now.day_begun_ns == 0) return "it is not known when the day before was ended";
    const std::string when = ago_text(now.day_age_ns) + " (" + persist::format_time(now.day_begun_ns) + ")";
    if (now.rolled_seq == 0) return "the registry was created " + when;
    return "uid " + std::to_string(now.rolled_uid) + " ended day " + std::to_string(now.day - 1) + " " + when;
}

int say(const std::string& text) {
    std::fprintf(stderr, "riskctl: %s\n", text.c_str());
    return kNo;
}

/// Another day is open than the one that was to end.
int other_day(const StatusView& now, std::uint64_t asked) {
    const std::string open = "day " + std::to_string(now.day) + " is open, not " + std::to_string(asked);
    return say("nothing was ended: " + open + "; " + who_ended_before(now));
}

/// A day that has just begun is easily ended twice. False: the person did not mean it.
bool is_meant(const StatusView& now) {
    const std::string day = std::to_string(now.day);
    if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDERR_FILENO) == 0) {
        say("warning: day " + day + " is ended, and " + who_ended_before(now) + "; `--day " + day +
            "` ends that one or nothing");
        return true;
    }
    std::fprintf(stderr, "riskctl: %s. Type %s to end day %s now: ", who_ended_before(now).c_str(), day.c_str(), day.c_str());
    std::string typed;
    if (std::getline(std::cin, typed) && typed == day) return true;
    say("nothing was ended: what was typed is not '" + day + "'");
    return false;
}

void print_rolled(const RollReport& report) {
    const auto text = [](std::uint64_t value) { return std::to_string(value); };
    const DayTally& t = report.tally;
    std::printf("trading day %s has begun (event %s)\n", text(report.now.day).c_str(), text(report.verdict.seq).c_str());
    if (report.expired > 0) std::printf("  expired before: %s day orders\n", text(report.expired).c_str());
    std::printf(
        "  carried: %s orders (%s ids) with their reservations and executions, %s positions, %s restrictions, "
        "%s open approvals, limits, trading states, sessions\n",
        text(t.carried_orders).c_str(), text(t.carried_ids).c_str(), text(t.positions).c_str(), text(t.restrictions).c_str(),
        text(t.approvals).c_str());
    std::printf("  cleared: %s orders (%s ids), %s quarantined events, totals and results of the day, budgets, alerts\n",
                text(t.orders - t.carried_orders).c_str(), text(t.ids - t.carried_ids).c_str(), text(t.quarantined).c_str());
    if (t.day_orders > 0)
        std::printf("  %s of the carried orders are day orders: they end when the venue's `expired` is reported\n",
                    text(t.day_orders).c_str());
    if (report.verdict.durability == Durability::pending)
        std::fprintf(stderr, "riskctl: not on disk yet: it holds for every process now, and not after a loss of power\n");
}

/// Why the day goes on, to stderr; the exit code.
int day_goes_on(const Registry& registry, const Verdict& verdict, std::uint64_t asked) {
    const StatusView now = registry.status();
    if (verdict.reason == DenyReason::not_allowed && verdict.has_numbers)
        return say("the day goes on: day " + std::to_string(now.day) + " is " + std::to_string(verdict.observed / 1000) +
                   " s old, `min_day_s` of the configuration is " + std::to_string(verdict.limit / 1000) + ": " +
                   who_ended_before(now));
    if (verdict.reason == DenyReason::not_allowed && asked != 0) return other_day(now, asked);
    if (verdict.reason == DenyReason::not_allowed)
        return say("the day goes on: somebody else has just rolled it, and a new one has begun");
    say("the day goes on: " + describe(registry.reader(), verdict));
    return verdict.reason == DenyReason::poisoned ? kDamaged : kNo;
}

struct RollOptions {
    std::string reason;
    std::uint64_t day = 0;  ///< this one or nothing; 0: whichever is open
    bool expire_day = false;
};

int roll(const Common& common, const RollOptions& asked) {
    if (asked.reason.size() > kMaxReasonBytes)
        throw Error(Errc::bad_input, "--reason: seen " + std::to_string(asked.reason.size()) + " bytes, allowed: at most " +
                                         std::to_string(kMaxReasonBytes));
    ProcessConfig config;
    config.state_dir = common.state_dir;
    config.host_snapshotter = true;  // when nobody else does
    Registry registry = Registry::open(common.name, config);
    const program::Leaving leaving("riskctl", registry, common.name);
    std::uint64_t day = asked.day;
    const StatusView open = registry.status();
    if (day != 0 && day != open.day) return other_day(open, day);
    const bool young = day == 0 && open.day_age_ns < kYoungNs;
    if (young && !is_meant(open)) return kNo;
    // What was answered was about this one.
    if (young && ::isatty(STDIN_FILENO) != 0) day = open.day;
    RollReport report;
    report.expired = asked.expire_day ? expire_day_orders(registry, open.day) : 0;
    // Its own: it goes on showing the day that ends, as it ended.
    const Reader ending = Reader::open(common.name, common.state_dir);
    report.before = ending.status();
    report.verdict = registry.roll(asked.reason, day);
    if (report.verdict.result != Result::ok) return day_goes_on(registry, report.verdict, day);
    report.tally = registry::tally_day(ending);
    report.now = registry.status();
    common.json ? print_json(report) : print_rolled(report);
    return kDone;
}

Run add_roll(CLI::App& verb, const Common& common) {
    auto options = std::make_shared<RollOptions>();
    verb.add_option("--reason", options->reason, "why, up to 95 bytes");
    verb.add_option("--day", options->day, "end this day, or nothing: exit 1 when another one is open")
        ->check(CLI::PositiveNumber);
    verb.add_flag("--expire-day", options->expire_day, "first report every live day order as expired");
    return [&common, options] { return roll(common, *options); };
}

}  // namespace

Verb roll_verb() { return {"roll", "end the trading day while strategies trade", add_roll}; }

}  // namespace riskctl
