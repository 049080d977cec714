// roll: the end of a trading day, while strategies trade.
#include <cstdio>

#include "common/program_posix.hpp"
#include "riskctl/output.hpp"
#include "riskctl/verbs.hpp"

namespace riskctl {

using namespace riskreg;

namespace {

constexpr std::size_t kMaxReasonBytes = 95;
constexpr int kPasses = 10;   // over day orders that strategies go on sending

/// What of the day that ended goes on.
struct Tally {
    std::uint64_t orders = 0, ids = 0, carried_orders = 0, carried_ids = 0, day_orders = 0;
    std::uint64_t executions = 0, quarantined = 0, positions = 0, restrictions = 0, approvals = 0;
};

Tally count(const Reader& reader) {
    Tally tally;
    reader.orders([&](const OrderView& order) {
        const bool live = is_live(order.base);
        const bool carried = live || order.reserved_quantity.value != 0;
        ++tally.orders;
        tally.carried_orders += carried ? 1U : 0U;
        tally.carried_ids += carried ? order.chain.size() : 0U;
        tally.day_orders += live && order.tif == TimeInForce::day ? 1U : 0U;
        return true;
    });
    reader.exposures([&](const ExposureView& row) {
        tally.positions += row.scope.kind == ScopeKind::account_instrument && row.position.value != 0 ? 1U : 0U;
        return true;
    });
    const StatusView status = reader.status();
    tally.ids = status.ids_used;
    tally.executions = status.executions_used;
    tally.quarantined = status.quarantined_events;
    tally.restrictions = reader.restrictions().size();
    for (const ApprovalView& approval : reader.approvals()) tally.approvals += approval.approved ? 0U : 1U;
    return tally;
}

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

/// By the operator's word the venue has ended them with its day. How many took it.
std::uint64_t expire_day_orders(Registry& registry) {
    std::uint64_t expired = 0;
    for (int pass = 0; pass < kPasses; ++pass) {
        const std::vector<DayOrder> orders = live_day_orders(registry.reader());
        if (orders.empty()) break;
        for (const DayOrder& order : orders) expired += registry.expired(order.account, order.id).taken() ? 1U : 0U;
    }
    return expired;
}

void print_rolled_json(const Common& common, const StatusView& now, const Verdict& verdict, const Tally& t,
                       std::uint64_t expired) {
    JsonWriter out;
    out.begin_object().member("name", common.name).member("result", "rolled").member("day", now.day).member("seq", verdict.seq);
    out.member("durability", verdict.durability == Durability::pending   ? "pending"
                             : verdict.durability == Durability::durable ? "durable"
                                                                         : "memory");
    out.member("expired", expired).member("executions", t.executions).key("carried").begin_object();
    out.member("orders", t.carried_orders).member("ids", t.carried_ids).member("day_orders", t.day_orders);
    out.member("positions", t.positions).member("restrictions", t.restrictions).member("approvals", t.approvals);
    out.end_object().key("cleared").begin_object().member("orders", t.orders - t.carried_orders);
    out.member("ids", t.ids - t.carried_ids).member("quarantined", t.quarantined).end_object();
    print_line(out.end_object().text());
}

void print_rolled(const StatusView& now, const Verdict& verdict, const Tally& t, std::uint64_t expired) {
    const auto text = [](std::uint64_t value) { return std::to_string(value); };
    std::printf("trading day %s has begun (event %s)\n", text(now.day).c_str(), text(verdict.seq).c_str());
    if (expired > 0) std::printf("  expired before: %s day orders\n", text(expired).c_str());
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
    if (verdict.durability == Durability::pending)
        std::fprintf(stderr, "riskctl: not on disk yet: it holds for every process now, and not after a loss of power\n");
}

}  // namespace

int roll(const Common& common, const std::string& reason, bool expire_day) {
    if (reason.size() > kMaxReasonBytes)
        throw Error(Errc::bad_input, "--reason: seen " + std::to_string(reason.size()) + " bytes, allowed: at most " +
                                         std::to_string(kMaxReasonBytes));
    ProcessConfig config;
    config.state_dir = common.state_dir;
    config.host_snapshotter = true;   // when nobody else does
    Registry registry = Registry::open(common.name, config);
    const program::Leaving leaving("riskctl", registry, common.name);
    const std::uint64_t expired = expire_day ? expire_day_orders(registry) : 0;
    // Kept: it shows the day that ends, as it ended.
    const Reader& before = registry.reader();
    const Verdict verdict = registry.roll(reason);
    if (verdict.result != Result::ok) {
        std::fprintf(stderr, "riskctl: the day goes on: %s\n",
                     verdict.reason == DenyReason::not_allowed ? "somebody else has just rolled it, and a new one has begun"
                                                               : describe(registry.reader(), verdict).c_str());
        return verdict.reason == DenyReason::poisoned ? kDamaged : kNo;
    }
    const Tally tally = count(before);
    const StatusView now = registry.status();
    common.json ? print_rolled_json(common, now, verdict, tally, expired) : print_rolled(now, verdict, tally, expired);
    return kDone;
}

}  // namespace riskctl
