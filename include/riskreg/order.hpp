/// What goes into the registry and what comes out of it, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "riskreg/types.hpp"

namespace riskreg {

/// One new order. Strings are borrowed for the duration of the call.
struct OrderRequest {
    std::string_view id;                          ///< 1–39 printable bytes, unused today in this account
    AccountId account = AccountId::none;
    InstrumentId instrument = InstrumentId::none;
    Side side = Side::none;
    OrderType type = OrderType::limit;
    TimeInForce tif = TimeInForce::day;
    std::optional<Price> price;                   ///< required by limit and stop_limit; ignored for market, pegged
    Quantity quantity{};                          ///< > 0, a multiple of the lot
    std::optional<Price> stop_price;              ///< required by stop and stop_limit, forbidden otherwise
};

/// A request to amend (cancel-replace) a live order.
struct ReplaceRequest {
    std::string_view id;                          ///< any id of the order's chain
    AccountId account = AccountId::none;
    std::string_view new_id;                      ///< empty: the same id stays
    std::optional<Price> price;                   ///< absent: unchanged
    std::optional<Quantity> quantity;             ///< the new TOTAL; absent: unchanged
    std::optional<Price> stop_price;              ///< may only repeat what the order has
    std::optional<std::uint32_t> expected_version;
};

/// The kinds of facts a venue (or the owner) reports about an order.
enum class EventKind : std::uint8_t {
    none = 0,
    acked,
    rejected,
    canceled,
    cancel_rejected,
    replaced,
    replace_rejected,
    expired,
    done_for_day,
    suspended,
    resumed,
    timed_out,
    filled,
    bust,
    correct,
};

/// One fact about one order, as the venue reports it. Only the fields that its kind names are read. The functions below name, for each
/// kind, what it needs; further fields may be set behind them.
struct VenueReport {
    EventKind kind = EventKind::none;
    std::string_view id;  ///< any id of the order's chain
    AccountId account = AccountId::none;
    std::string_view venue_id;  ///< acked, replaced; optional
    std::string_view text;  ///< rejected, cancel_rejected …; first 39 bytes are kept
    std::string_view exec_id;  ///< filled, bust, correct
    std::string_view new_exec_id;  ///< correct
    std::optional<Price> price;  ///< filled, correct; replaced: the venue's value wins
    std::optional<Quantity> quantity;  ///< filled, correct; replaced: the new total
    std::optional<Quantity> cum_quantity;  ///< as the venue reports it after this event
    InstrumentId instrument = InstrumentId::none;  ///< filled of an order that may be unknown
    Side side = Side::none;  ///< filled of an order that may be unknown
    bool reopened = false;  ///< bust, correct of a filled order
    bool venue_knows_no_such_order = false;  ///< cancel_rejected with reason unknown_order

    /// Any kind that needs nothing but the order: canceled, expired, done_for_day, suspended, resumed, timed_out, replace_rejected …
    [[nodiscard]] static VenueReport of(EventKind kind, AccountId account, std::string_view id) noexcept {
        VenueReport report;
        report.kind = kind;
        report.account = account;
        report.id = id;
        return report;
    }
    [[nodiscard]] static VenueReport acked(AccountId account, std::string_view id, std::string_view venue_id = {}) noexcept {
        VenueReport report = of(EventKind::acked, account, id);
        report.venue_id = venue_id;
        return report;
    }
    [[nodiscard]] static VenueReport filled(AccountId account, std::string_view id, std::string_view exec_id, Price price,
                                            Quantity quantity) noexcept {
        VenueReport report = of(EventKind::filled, account, id);
        report.exec_id = exec_id;
        report.price = price;
        report.quantity = quantity;
        return report;
    }
    [[nodiscard]] static VenueReport cancel_rejected(AccountId account, std::string_view id,
                                                     bool venue_knows_no_such_order = false) noexcept {
        VenueReport report = of(EventKind::cancel_rejected, account, id);
        report.venue_knows_no_such_order = venue_knows_no_such_order;
        return report;
    }
    /// Without values those of the pending request become live.
    [[nodiscard]] static VenueReport replaced(AccountId account, std::string_view id, std::optional<Price> price = {},
                                              std::optional<Quantity> quantity = {}) noexcept {
        VenueReport report = of(EventKind::replaced, account, id);
        report.price = price;
        report.quantity = quantity;
        return report;
    }
    [[nodiscard]] static VenueReport rejected(AccountId account, std::string_view id, std::string_view text = {}) noexcept {
        VenueReport report = of(EventKind::rejected, account, id);
        report.text = text;
        return report;
    }
    [[nodiscard]] static VenueReport bust(AccountId account, std::string_view id, std::string_view exec_id,
                                          bool reopened = false) noexcept {
        VenueReport report = of(EventKind::bust, account, id);
        report.exec_id = exec_id;
        report.reopened = reopened;
        return report;
    }
    [[nodiscard]] static VenueReport correct(AccountId account, std::string_view id, std::string_view exec_id,
                                             std::string_view new_exec_id, Price price, Quantity quantity,
                                             bool reopened = false) noexcept {
        VenueReport report = filled(account, id, exec_id, price, quantity);
        report.kind = EventKind::correct;
        report.new_exec_id = new_exec_id;
        report.reopened = reopened;
        return report;
    }
};
/// Its name before.
using OrderEvent = VenueReport;

/// The answer to any call that may change the registry.
///
/// `accepted`, `ok`, `anomaly`, `quarantined`: the event `seq` is in the log and every process sees it.
/// `denied`, `not_booked`: no reservation changed. `reason`, `scope`, `observed`, `limit` and `unit`
/// then say what was compared. `has_order`: status and quantities below are of the named order.
struct Verdict {
    Result result = Result::none;
    DenyReason reason = DenyReason::none;
    Unit unit = Unit::none;
    bool has_numbers = false;  ///< observed and limit are set
    bool has_order = false;
    OrderStatus status = OrderStatus::none;
    OrderFlags flags = 0;
    Scope scope{};
    std::int64_t observed = 0;  ///< in `unit`
    std::int64_t limit = 0;  ///< in `unit`
    std::uint64_t seq = 0;
    Quantity cum_quantity{};
    Quantity leaves_quantity{};
    std::uint64_t request = 0;  ///< resume under four eyes: the number to approve; 0: none
    bool crosses_own = false;  ///< accepted under advise_cancel: `Reader::crossing_orders` names the others
    bool already = false;  ///< halt, restrict: it stood so before, and who, why and when of the first stay
    Durability durability = Durability::memory;  ///< `durable` when this answer waited for the disk, `pending` when in vain

    [[nodiscard]] bool accepted() const noexcept { return result == Result::accepted; }
    [[nodiscard]] bool taken() const noexcept {
        return result != Result::denied && result != Result::not_booked && result != Result::none;
    }
};

/// An order as a reader sees it: one consistent version.
struct OrderView {
    std::string id;  ///< first id of the chain
    std::vector<std::string> chain;  ///< every id, oldest first; one entry when never replaced by id
    std::string venue_id;
    AccountId account{};
    StrategyId strategy{};
    InstrumentId instrument{};
    Side side{};
    OrderType type{};
    TimeInForce tif{};
    OrderBase base{};
    OrderStatus status{};
    OrderFlags flags = 0;
    bool has_price = false;
    bool has_stop_price = false;
    bool loaded = false;  ///< live at the venue before it came here: `quantity` counts from then on
    Price price{};
    Price stop_price{};
    Quantity quantity{};
    Quantity cum_quantity{};
    Quantity leaves_quantity{};
    Quantity reserved_quantity{};
    Money reserved_notional{};
    std::int64_t created_ns = 0;  ///< since the Unix epoch
    std::int64_t updated_ns = 0;
    std::uint64_t seq = 0;  ///< of the event that wrote this version
    std::uint32_t version = 0;  ///< 1 at registration, + 1 with every replacement the venue confirmed
};

}  // namespace riskreg
