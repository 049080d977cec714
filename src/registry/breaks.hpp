/// The comparison behind `riskreg::reconcile`, on plain values: what the registry has against what the venue says.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "riskreg/reconcile.hpp"
#include "riskreg/registry.hpp"

namespace riskreg::registry {

/// What the registry has.
struct OurRecords {
    struct Position {
        AccountId account{};
        InstrumentId instrument{};
        Quantity quantity{};
    };
    std::vector<ExecutionView> executions;
    std::vector<OrderView> orders;
    std::vector<Position> positions;   ///< rows of account × instrument
};

/// Executions, then orders, then positions: what comes in between makes a fill look missing (it is then answered `duplicate`),
/// never an order look less filled than it is.
[[nodiscard]] OurRecords our_records(const Reader& reader);

using OrderKey = std::pair<AccountId, std::string>;   ///< by the first id of the chain
using RowKey = std::pair<AccountId, InstrumentId>;

/// While a reconciliation runs: what it changed itself is not newer than the venue's statement, what it left alone stays so.
struct OwnChanges {
    std::set<OrderKey> changed;
    std::set<OrderKey> left_alone;
};

[[nodiscard]] std::vector<Break> compare(const OurRecords& ours, const VenueRecords& venue, const OwnChanges& own = {});
/// Orders that came or changed after the venue's statement, for other reasons than the fills that it names.
[[nodiscard]] std::set<OrderKey> newer_orders(const OurRecords& ours, const VenueRecords& venue);

/// Exec ids that a reconciliation makes up begin like this.
[[nodiscard]] bool is_made_up(const std::string& exec_id) noexcept;
/// `recon-<hash of the order and of what it had filled>-<filled at the venue>`: the same for the same gap, at most 39 bytes.
[[nodiscard]] std::string made_up_exec_id(const OrderView& order, Quantity cum_at_venue);

/// The status that the quantities speak of where none is stated.
[[nodiscard]] OrderStatus status_of(const VenueOrder& order) noexcept;
/// Open at the venue.
[[nodiscard]] bool is_open(const VenueOrder& order) noexcept;

/// `nothing`, or `buy 10 at 4799.25, 4 filled`
[[nodiscard]] std::string describe(const OrderView& order);
[[nodiscard]] std::string describe(const VenueOrder& order);

}  // namespace riskreg::registry
