#include "persist/config_warnings.hpp"

#include <algorithm>
#include <iterator>

namespace riskreg::persist {

namespace {

using Member = LimitValue Limits::*;

bool bounds(const Limits& limits, Member member) { return (limits.*member).kind == LimitValue::Kind::value; }

/// The first scope and limit of these members that has a value; empty when none has.
template <class Members>
std::string first_set(const SharedConfig& config, const Members& members) {
    for (const LimitConfig& entry : config.limits)
        for (const auto& [member, name] : members)
            if (bounds(entry.limits, member)) return std::string(name) + " of " + entry.scope;
    return {};
}

struct Named {
    Member member;
    const char* name;
};
constexpr Named kMoney[] = {
    {&Limits::max_order_notional, "max_order_notional"},
    {&Limits::max_open_notional, "max_open_notional"},
    {&Limits::max_gross_notional, "max_gross_notional"},
    {&Limits::max_net_notional, "max_net_notional"},
    {&Limits::cash_limit, "cash_limit"},
    {&Limits::max_traded_notional, "max_traded_notional"},
};
constexpr Named kOnMarks[] = {
    {&Limits::max_gross_notional, "max_gross_notional"},
    {&Limits::max_net_notional, "max_net_notional"},
    {&Limits::daily_loss, "daily_loss"},
    {&Limits::drawdown, "drawdown"},
};

}  // namespace

std::vector<std::string> weak_limits(const SharedConfig& config) {
    std::vector<std::string> found;
    const std::string money = first_set(config, kMoney);
    if (config.allow_limit_without_reference && !money.empty())
        found.push_back("allow_limit_without_reference meets " + money +
                        ": until a reference price is given an order reserves at its own limit price, so a sale at 0 reserves "
                        "nothing; give reference prices, or leave allow_limit_without_reference out");
    if (config.reserve_price == ReservePrice::limit && !money.empty())
        found.push_back(
            "reserve_price limit meets " + money +
            ": a purchase reserves at its own limit price, and without a reference price a sale does, too; the default, "
            "max_limit_reference, reserves at the higher of both");
    const std::string on_marks = first_set(config, kOnMarks);
    if (config.persistence_mode == PersistenceMode::none && !on_marks.empty())
        found.push_back(
            "persistence.mode none meets " + on_marks +
            ": it rests on marks, which the host of the snapshotter writes; without a host every order works them out "
            "itself, at a cost that grows with the number of instruments: run riskd, or a process with host_snapshotter");
    return found;
}

}  // namespace riskreg::persist
