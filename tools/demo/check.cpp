// After the last kill: is everything there that anybody was told, and nothing above a limit?
#include <algorithm>
#include <array>
#include <vector>

#include "demo/clock.hpp"
#include "demo/director.hpp"
#include "demo/market.hpp"

namespace demo {

using namespace riskreg;

namespace {

bool above(std::int64_t observed, LimitValue limit) { return limit.kind == LimitValue::Kind::value && observed > limit.value; }

bool forbids_short(const ExposureView& row) { return row.limits.max_short == LimitValue{LimitValue::Kind::value, 0}; }

/// Orders that only reduce a position pass the notional limit (semantics, section 6). Where nothing may be sold short those
/// are exactly the sells, so there the buys alone are held against the limit.
std::int64_t limited_notional(const ExposureView& row) {
    return row.open_buy_notional.value + (forbids_short(row) ? 0 : row.open_sell_notional.value);
}

/// Quantity limits hold for one instrument; the configuration sets them on no scope that spans several.
const char* exceeded_limit(const ExposureView& row) {
    const Limits& limits = row.limits;
    if (above(row.position.value + row.open_buy_quantity.value, limits.max_long)) return "max_long";
    if (above(row.open_sell_quantity.value - row.position.value, limits.max_short)) return "max_short";
    if (above(static_cast<std::int64_t>(row.working_buy) + row.working_sell, limits.max_working_orders))
        return "max_working_orders";
    if (above(limited_notional(row), limits.max_open_notional)) return "max_open_notional";
    return nullptr;
}

ProcessConfig operator_config(const std::string& state_dir) {
    ProcessConfig config;
    config.state_dir = state_dir;
    config.request_timeout_ns = kSecond;
    return config;
}

/// Every order id that a strategy was told is accepted must be found.
void look_up_acknowledged(const Board& board, const Reader& reader, Findings& findings) {
    const AccountId account = reader.account(kAccount);
    for (std::size_t s = 0; s < kStrategies; ++s) {
        const StrategyBoard& strategy = board.strategies[s];
        const std::uint32_t answers = strategy.answers.load();
        findings.acknowledged += answers;
        if (answers == kMaxAnswers) findings.failures.push_back("the record of answers is full: fewer seconds, please");
        for (std::uint32_t i = 0; i < answers; ++i) {
            OrderView view;
            if (reader.find(account, order_id(s, strategy.answered[i]), view)) continue;
            if (++findings.lost == 1)
                findings.failures.push_back("lost: order " + order_id(s, strategy.answered[i]) +
                                            " was accepted and is not there");
        }
    }
}

using NumberSets = std::array<std::vector<bool>, kStrategies>;

NumberSets acknowledged_numbers(const Board& board) {
    NumberSets sets;
    for (std::size_t s = 0; s < kStrategies; ++s) {
        const StrategyBoard& strategy = board.strategies[s];
        sets[s].resize(strategy.last_number.load() + 1);
        for (std::uint32_t i = 0; i < strategy.answers.load(); ++i) sets[s][strategy.answered[i]] = true;
    }
    return sets;
}

/// The other way round: whatever is there must have been acknowledged, but for the one call in which each process died.
void count_unrecorded(const Board& board, const Reader& reader, Findings& findings) {
    const NumberSets acknowledged = acknowledged_numbers(board);
    reader.orders([&](const OrderView& order) {
        const std::size_t s = static_cast<std::size_t>(order.strategy);
        findings.orphans += is_live(order.base) && (order.flags & kOrphaned) != 0 ? 1 : 0;
        for (const std::string& id : order.chain) {
            const std::uint32_t number = number_of(id);
            const bool known = s < kStrategies && number < acknowledged[s].size() && acknowledged[s][number];
            findings.unrecorded += known ? 0 : 1;
        }
        return true;
    });
    if (findings.unrecorded > findings.kills)
        findings.failures.push_back(std::to_string(findings.unrecorded) +
                                    " order ids that nobody was told of, allowed: one for each of " +
                                    std::to_string(findings.kills) + " kills");
}

void check_quantities(const Reader& reader, Findings& findings) {
    reader.orders([&](const OrderView& order) {
        const Market& market = kMarkets[static_cast<std::size_t>(order.instrument)];
        ++findings.limits_checked;
        if (order.quantity.value < market.too_many_lots * kLot) return true;
        if (++findings.exceeded == 1) findings.failures.push_back("max_order_quantity is exceeded by order " + order.id);
        return true;
    });
}

}  // namespace

void check_limits(const Reader& reader, Findings& findings) {
    reader.exposures([&](const ExposureView& row) {
        ++findings.limits_checked;
        const char* limit = exceeded_limit(row);
        if (limit != nullptr && ++findings.exceeded == 1)
            findings.failures.push_back(std::string(limit) + " is exceeded on " + reader.name(row.scope));
        return true;
    });
}

void recover_and_check(const Board& board, const std::string& state_dir, Findings& findings) {
    // Nobody is attached any more: this open adopts the segment, finishes what was half done, audits, notices the dead.
    const Registry registry = Registry::open(kRegistryName, operator_config(state_dir));
    const Reader& reader = registry.reader();
    findings.status = reader.status();
    findings.audit = reader.audit();
    for (const std::string& violation : findings.audit.violations) findings.failures.push_back("audit: " + violation);
    look_up_acknowledged(board, reader, findings);
    count_unrecorded(board, reader, findings);
    check_limits(reader, findings);
    check_quantities(reader, findings);
    reader.exposures([&](const ExposureView& row) {
        findings.halted_scopes += row.state == TradingState::halted ? 1U : 0U;
        return true;
    });
}

namespace {

/// Orders whose event was on disk must be there.
void look_up_durable(const Board& board, const Reader& reader, Findings& findings) {
    const AccountId account = reader.account(kAccount);
    for (std::size_t s = 0; s < kStrategies; ++s) {
        const StrategyBoard& strategy = board.strategies[s];
        for (std::uint32_t i = 0; i < strategy.answers.load(); ++i) {
            if (strategy.answered_seq[i] > findings.reboot.durable) continue;
            ++findings.reboot.answered;
            OrderView view;
            if (reader.find(account, order_id(s, strategy.answered[i]), view)) continue;
            if (++findings.reboot.lost == 1)
                findings.failures.push_back("lost by the reboot: order " + order_id(s, strategy.answered[i]) +
                                            " was on disk and is not there");
        }
    }
}

}  // namespace

void reboot_and_check(const Board& board, const std::string& state_dir, Findings& findings) {
    Reboot& reboot = findings.reboot;
    reboot.alarms = findings.status.alarms;
    remove_segment(findings.status.segment);
    const std::int64_t begin = monotonic_ns();
    reboot.recovered = Registry::recover(kRegistryName, state_dir);
    reboot.took_ns = monotonic_ns() - begin;
    const Reader reader = Reader::open(kRegistryName, state_dir);
    reboot.status = reader.status();
    reboot.audit = reader.audit();
    for (const std::string& violation : reboot.audit.violations)
        findings.failures.push_back("audit after the reboot: " + violation);
    if (reboot.recovered.end_seq < reboot.durable)
        findings.failures.push_back("the disk gave back " + std::to_string(reboot.recovered.end_seq) + " events, " +
                                    std::to_string(reboot.durable) + " were durable");
    if (!reboot.status.unreconciled) findings.failures.push_back("the rebuilt registry is not unreconciled");
    look_up_durable(board, reader, findings);
}

}  // namespace demo
