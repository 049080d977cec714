/// What a venue says it has, held against what the registry has (semantics: reconcile).
///
///     VenueRecords venue;                         // open orders, positions, fills of the venue at one time
///     for (const Break& b : reconcile(registry.reader(), venue)) …
///     const Reconciliation done = apply(registry, venue, ReconcileMode::correct);
///     if (done.left.empty()) …
///
/// Nothing here reads files or prints; `riskctl reconcile` does that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "riskreg/order.hpp"
#include "riskreg/types.hpp"

namespace riskreg {

class Reader;
class Registry;

/// An order as the venue reports it. At least one of both ids; with `id` unknown here, `venue_id` finds the order.
struct VenueOrder {
    std::string id;
    std::string venue_id;
    AccountId account = AccountId::none;
    InstrumentId instrument = InstrumentId::none;
    Side side = Side::none;
    Price price{};
    Quantity quantity{};                       ///< total, what is filled included
    Quantity cum_quantity{};
    OrderStatus status = OrderStatus::none;    ///< none: open, and how far follows from the quantities
};

struct VenuePosition {
    AccountId account = AccountId::none;
    InstrumentId instrument = InstrumentId::none;
    Quantity quantity{};                       ///< signed
    std::optional<Price> price;  ///< what a correction is valued at; absent: the mark, else the file's own prices
};

struct VenueFill {
    std::string id;
    std::string venue_id;
    std::string exec_id;
    AccountId account = AccountId::none;
    InstrumentId instrument = InstrumentId::none;
    Side side = Side::none;
    Price price{};
    Quantity quantity{};
};

/// One statement of the venue. A section that is absent is not compared; one that is empty says that there is nothing.
/// `orders` holds every open order; ended ones may stand beside them with their status.
struct VenueRecords {
    std::int64_t time_ns = 0;  ///< of the statement, since the Unix epoch
    std::optional<std::vector<VenueOrder>> orders;
    std::optional<std::vector<VenuePosition>> positions;
    std::optional<std::vector<VenueFill>> fills;
};

enum class BreakKind : std::uint8_t {
    missing_here,  ///< open at the venue; here unknown, or another order has its id
    missing_at_venue,  ///< live here, and not among the venue's orders
    quantity,  ///< total or filled quantity of an order, or quantity of one fill
    price,  ///< of an order, or of one fill
    status,
    position,  ///< of an account in an instrument
    fill_missing,  ///< a fill that is not booked here; without exec id: one that follows from the filled quantity
};
[[nodiscard]] std::string_view name_of(BreakKind kind) noexcept;

/// One difference. `ours` and `theirs` are for people and scripts: `12`, `cum 4`, `new`, `nothing` …
struct Break {
    BreakKind kind{};
    bool newer = false;  ///< our record changed after the venue's statement: left alone, no break
    AccountId account = AccountId::none;
    InstrumentId instrument = InstrumentId::none;
    std::string id;  ///< of the order; empty for positions
    std::string exec_id;  ///< of the fill
    std::string ours;
    std::string theirs;
    std::optional<std::size_t> record;  ///< index in the section of the venue's record, if it has one
    Quantity amount{};  ///< what is to be booked (signed for positions), resp. the total to be set
};

/// Compares. Cost: linear in the ids, executions and rows of the registry and in the records. Throws as `Reader::find`.
[[nodiscard]] std::vector<Break> reconcile(const Reader& reader, const VenueRecords& venue);

enum class ReconcileMode : std::uint8_t {
    report,  ///< changes nothing
    adopt,  ///< takes on what the venue has and we lack: its open orders and its fills
    correct,  ///< and makes ours equal to it
};
[[nodiscard]] std::string_view name_of(ReconcileMode mode) noexcept;

/// A break and what was done about it.
struct Settlement {
    Break what;
    std::string deed;  ///< `load_order`, `filled`, `replaced` …; empty: nothing was tried
    std::string note;  ///< why nothing can be done, or how it was done
    Verdict verdict;  ///< the answer to the deed
    bool settled = false;  ///< the last comparison no longer finds it
};

struct Reconciliation {
    std::vector<Settlement> breaks;  ///< what was found, and what came up on the way
    std::vector<Break> newer;
    std::vector<Break> left;  ///< of the last comparison; empty: clean
};

/// Compares and, by `mode`, changes the registry through its ordinary facts. Exec ids that it has to make up are a function
/// of order and quantities, so that a second run, or one after a crash in the middle, books nothing twice.
///
/// Fills first, then orders, then positions, each compared anew: a position that a missing fill explains is not corrected.
/// Adopted orders go under strategy `external`, with what is open as their quantity.
/// A fact that answers `not_booked` is repeated. Gateways that run meanwhile may book the same fill under its real id
/// between the comparison and the deed; the next comparison shows it, and takes the made-up one back.
[[nodiscard]] Reconciliation apply(Registry& registry, const VenueRecords& venue, ReconcileMode mode);

}  // namespace riskreg
