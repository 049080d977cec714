#include "persist/config_warnings.hpp"

#include "persist/limit_fields.hpp"

namespace riskreg::persist {

namespace {

bool bounds_money(const core::Limit& field) noexcept { return field.unit == Unit::money && !field.is(core::kIsLoss); }
bool rests_on_marks(const core::Limit& field) noexcept { return field.is(core::kRestsOnMarks); }

/// The first scope and limit of a kind that has a value; empty when none has.
std::string first_set(const SharedConfig& config, bool (*is_meant)(const core::Limit&) noexcept) {
    for (const LimitConfig& entry : config.limits)
        for (const core::Limit& field : core::kLimits)
            if (is_meant(field) && (entry.limits.*field.member).kind == LimitValue::Kind::value)
                return std::string(field.name) + " of " + entry.scope;
    return {};
}

}  // namespace

std::vector<std::string> weak_limits(const SharedConfig& config) {
    std::vector<std::string> found;
    const std::string money = first_set(config, bounds_money);
    if (config.allow_limit_without_reference && !money.empty())
        found.push_back("allow_limit_without_reference meets " + money +
                        ": until a reference price is given an order reserves at its own limit price, so a sale at 0 reserves "
                        "nothing; give reference prices, or leave allow_limit_without_reference out");
    if (config.reserve_price == ReservePrice::limit && !money.empty())
        found.push_back(
            "reserve_price limit meets " + money +
            ": a purchase reserves at its own limit price, and without a reference price a sale does, too; the default, "
            "max_limit_reference, reserves at the higher of both");
    const std::string on_marks = first_set(config, rests_on_marks);
    if (config.persistence_mode == PersistenceMode::none && !on_marks.empty())
        found.push_back(
            "persistence.mode none meets " + on_marks +
            ": it rests on marks, which the host of the snapshotter writes; without a host every order works them out "
            "itself, at a cost that grows with the number of instruments: run riskd, or a process with host_snapshotter");
    return found;
}

}  // namespace riskreg::persist
