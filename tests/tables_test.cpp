// Every cell of the tables of semantics.md: 8 (state × what is asked), 13 (event × base), 14 (event × reservation, position).
// One test for each; its name says row, column and what stands there. The columns that a table puts together are tested one
// by one, and `suspended`, which behaves as new or partially_filled, has its own.
#include <catch2/catch.hpp>
#include <functional>

#include "core/apply.hpp"
#include "support/desk.hpp"

using namespace riskreg;
using namespace riskreg::test;

namespace {

// ---- 13: order state -----------------------------------------------------------------------------

/// Order O, to buy 10 at 100, brought to a base. Where fills belong to it: 4 by E1, when filled 6 more by E2. What has ended
/// other than by being filled, rejected or aborted had its 4.
class Cell : public TradingDesk {
public:
    explicit Cell(OrderBase base, const SharedConfig& config = desk_config()) : TradingDesk(config) {
        REQUIRE(buy("O", 10).accepted());
        switch (base) {
            case OrderBase::pending_new: break;
            case OrderBase::rejected: tell(EventKind::rejected, "O"); break;
            case OrderBase::aborted: abort("O"); break;
            case OrderBase::suspended:
                acked("O");
                tell(EventKind::suspended, "O");
                break;
            default: acked("O");
        }
        if (base == OrderBase::partially_filled || base == OrderBase::filled) fill("O", "E1", 4);
        if (base == OrderBase::filled) fill("O", "E2", 6);
        if (base == OrderBase::canceled) end(EventKind::canceled);
        if (base == OrderBase::expired) end(EventKind::expired);
        if (base == OrderBase::done_for_day) end(EventKind::done_for_day);
        REQUIRE(view("O").base == base);
    }

    /// The death of the strategy's process is no report: there is no answer, only flags of the order.
    Verdict owner_dies() {
        die(kSessionS1);
        Verdict none;
        none.flags = view("O").flags;
        return none;
    }

private:
    void end(EventKind kind) {
        fill("O", "E1", 4);
        tell(kind, "O");
    }
};

SharedConfig early_amends() {
    SharedConfig config = desk_config();
    config.amend_before_ack = true;
    return config;
}

/// The order was filled while a cancel or a replacement was on its way.
class FilledMeanwhile : public TradingDesk {
public:
    explicit FilledMeanwhile(bool cancels) {
        buy("O", 10);
        acked("O");
        if (cancels) cancel("O");
        else amend({.quantity = lots(8)});
        REQUIRE(fill("O", "E1", 10).status == OrderStatus::filled);
    }
};

}  // namespace

// NOLINTBEGIN(cppcoreguidelines-macro-usage)
#define CELL_OF(fixture, name, expected, ...)     \
    TEST_CASE(name, "[cells]") {                  \
        fixture;                                  \
        const Verdict verdict = __VA_ARGS__;      \
        CHECK(cell.after(verdict) == (expected)); \
    }
#define CELL(name, base, expected, ...) CELL_OF(Cell cell(base), name, expected, __VA_ARGS__)
#define EARLY_AMEND_CELL(name, base, expected, ...) CELL_OF(Cell cell(base, early_amends()), name, expected, __VA_ARGS__)
#define CANCEL_PENDING_CELL(name, base, expected, ...) CELL_OF(FilledMeanwhile cell(true), name, expected, __VA_ARGS__)
#define REPLACE_PENDING_CELL(name, base, expected, ...) CELL_OF(FilledMeanwhile cell(false), name, expected, __VA_ARGS__)
// NOLINTEND(cppcoreguidelines-macro-usage)

// acked
CELL("acked on a pending_new order makes it new", OrderBase::pending_new, "ok new cum 0 leaves 10 reserved 10 position 0",
     cell.tell({.kind = EventKind::acked, .id = "O", .venue_id = "V"}))
CELL("acked on a new order changes nothing", OrderBase::new_, "ok new cum 0 leaves 10 reserved 10 position 0", cell.acked("O"))
CELL("acked on a suspended order changes nothing", OrderBase::suspended, "ok suspended cum 0 leaves 10 reserved 10 position 0",
     cell.acked("O"))
CELL("acked on a partially_filled order stores only the venue id", OrderBase::partially_filled,
     "ok partially_filled cum 4 leaves 6 reserved 6 position 4",
     cell.tell({.kind = EventKind::acked, .id = "O", .venue_id = "V"}))
CELL("acked on a filled order stores only the venue id", OrderBase::filled, "ok filled cum 10 leaves 0 reserved 0 position 10",
     cell.tell({.kind = EventKind::acked, .id = "O", .venue_id = "V"}))
CELL("acked on a canceled order is only counted", OrderBase::canceled,
     "ignored_late canceled cum 4 leaves 0 reserved 0 position 4", cell.acked("O"))
CELL("acked on an expired order is only counted", OrderBase::expired,
     "ignored_late expired cum 4 leaves 0 reserved 0 position 4", cell.acked("O"))
CELL("acked on a done_for_day order is only counted", OrderBase::done_for_day,
     "ignored_late done_for_day cum 4 leaves 0 reserved 0 position 4", cell.acked("O"))
CELL("acked on a rejected order is a contradiction that revives it and reserves again", OrderBase::rejected,
     "anomaly new cum 0 leaves 10 reserved 10 position 0 contradiction", cell.acked("O"))
CELL("acked on an aborted order is a contradiction that revives it and reserves again", OrderBase::aborted,
     "anomaly new cum 0 leaves 10 reserved 10 position 0 contradiction", cell.acked("O"))

// rejected
CELL("rejected on a pending_new order ends it as rejected", OrderBase::pending_new,
     "ok rejected cum 0 leaves 0 reserved 0 position 0", cell.tell(EventKind::rejected, "O"))
CELL("rejected on a new order ends it as rejected", OrderBase::new_, "ok rejected cum 0 leaves 0 reserved 0 position 0",
     cell.tell(EventKind::rejected, "O"))
CELL("rejected on a suspended order ends it as rejected", OrderBase::suspended,
     "ok rejected cum 0 leaves 0 reserved 0 position 0", cell.tell(EventKind::rejected, "O"))
CELL("rejected on a partially_filled order cancels the leaves and is an anomaly", OrderBase::partially_filled,
     "anomaly canceled cum 4 leaves 0 reserved 0 position 4 contradiction", cell.tell(EventKind::rejected, "O"))
CELL("rejected on a filled order is ignored and an anomaly", OrderBase::filled,
     "anomaly filled cum 10 leaves 0 reserved 0 position 10 contradiction", cell.tell(EventKind::rejected, "O"))
CELL("rejected on a canceled order is a no-op", OrderBase::canceled,
     "ignored_late canceled cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::rejected, "O"))
CELL("rejected on an expired order is a no-op", OrderBase::expired, "ignored_late expired cum 4 leaves 0 reserved 0 position 4",
     cell.tell(EventKind::rejected, "O"))
CELL("rejected on a done_for_day order is a no-op", OrderBase::done_for_day,
     "ignored_late done_for_day cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::rejected, "O"))
CELL("rejected on a rejected order is a no-op", OrderBase::rejected,
     "ignored_late rejected cum 0 leaves 0 reserved 0 position 0", cell.tell(EventKind::rejected, "O"))
CELL("rejected on an aborted order is a no-op", OrderBase::aborted, "ignored_late aborted cum 0 leaves 0 reserved 0 position 0",
     cell.tell(EventKind::rejected, "O"))

// filled in part
CELL("a part fill on a pending_new order makes it partially_filled", OrderBase::pending_new,
     "ok partially_filled cum 3 leaves 7 reserved 7 position 3", cell.fill("O", "E9", 3))
CELL("a part fill on a new order makes it partially_filled", OrderBase::new_,
     "ok partially_filled cum 3 leaves 7 reserved 7 position 3", cell.fill("O", "E9", 3))
CELL("a part fill on a partially_filled order leaves it partially_filled", OrderBase::partially_filled,
     "ok partially_filled cum 7 leaves 3 reserved 3 position 7", cell.fill("O", "E9", 3))
CELL("a part fill on a suspended order is booked and leaves it suspended", OrderBase::suspended,
     "ok suspended cum 3 leaves 7 reserved 7 position 3", cell.fill("O", "E9", 3))
CELL("a part fill on a filled order is an overfill", OrderBase::filled,
     "anomaly filled cum 13 leaves 0 reserved 0 position 13 overfill", cell.fill("O", "E9", 3))
CELL("a part fill on a canceled order is a late fill that leaves the base", OrderBase::canceled,
     "anomaly canceled cum 7 leaves 0 reserved 0 position 7 late_fill", cell.fill("O", "E9", 3))
CELL("a part fill on an expired order is a late fill that leaves the base", OrderBase::expired,
     "anomaly expired cum 7 leaves 0 reserved 0 position 7 late_fill", cell.fill("O", "E9", 3))
CELL("a part fill on a done_for_day order is a late fill that leaves the base", OrderBase::done_for_day,
     "anomaly done_for_day cum 7 leaves 0 reserved 0 position 7 late_fill", cell.fill("O", "E9", 3))
CELL("a part fill on a rejected order is booked and revives it as partially_filled", OrderBase::rejected,
     "anomaly partially_filled cum 3 leaves 7 reserved 7 position 3 contradiction", cell.fill("O", "E9", 3))
CELL("a part fill on an aborted order is booked and revives it as partially_filled", OrderBase::aborted,
     "anomaly partially_filled cum 3 leaves 7 reserved 7 position 3 contradiction", cell.fill("O", "E9", 3))

// filled, all of it
CELL("a final fill on a pending_new order makes it filled", OrderBase::pending_new,
     "ok filled cum 10 leaves 0 reserved 0 position 10", cell.fill("O", "E9", 10))
CELL("a final fill on a new order makes it filled", OrderBase::new_, "ok filled cum 10 leaves 0 reserved 0 position 10",
     cell.fill("O", "E9", 10))
CELL("a final fill on a suspended order makes it filled", OrderBase::suspended,
     "ok filled cum 10 leaves 0 reserved 0 position 10", cell.fill("O", "E9", 10))
CELL("a final fill on a partially_filled order makes it filled", OrderBase::partially_filled,
     "ok filled cum 10 leaves 0 reserved 0 position 10", cell.fill("O", "E9", 6))
CELL("a fill of all again on a filled order is an overfill", OrderBase::filled,
     "anomaly filled cum 20 leaves 0 reserved 0 position 20 overfill", cell.fill("O", "E9", 10))
CELL("a final fill on a canceled order is a late fill that leaves the base", OrderBase::canceled,
     "anomaly canceled cum 10 leaves 0 reserved 0 position 10 late_fill", cell.fill("O", "E9", 6))
CELL("a final fill on an expired order is a late fill that leaves the base", OrderBase::expired,
     "anomaly expired cum 10 leaves 0 reserved 0 position 10 late_fill", cell.fill("O", "E9", 6))
CELL("a final fill on a done_for_day order is a late fill that leaves the base", OrderBase::done_for_day,
     "anomaly done_for_day cum 10 leaves 0 reserved 0 position 10 late_fill", cell.fill("O", "E9", 6))
CELL("a final fill on a rejected order is booked and revives it as filled", OrderBase::rejected,
     "anomaly filled cum 10 leaves 0 reserved 0 position 10 contradiction", cell.fill("O", "E9", 10))
CELL("a final fill on an aborted order is booked and revives it as filled", OrderBase::aborted,
     "anomaly filled cum 10 leaves 0 reserved 0 position 10 contradiction", cell.fill("O", "E9", 10))

// filled, more than the leaves
CELL("a fill beyond the leaves on a pending_new order is an overfill that fills it", OrderBase::pending_new,
     "anomaly filled cum 12 leaves 0 reserved 0 position 12 overfill", cell.fill("O", "E9", 12))
CELL("a fill beyond the leaves on a new order is an overfill that fills it", OrderBase::new_,
     "anomaly filled cum 12 leaves 0 reserved 0 position 12 overfill", cell.fill("O", "E9", 12))
CELL("a fill beyond the leaves on a suspended order is an overfill that fills it", OrderBase::suspended,
     "anomaly filled cum 12 leaves 0 reserved 0 position 12 overfill", cell.fill("O", "E9", 12))
CELL("a fill beyond the leaves on a partially_filled order is an overfill that fills it", OrderBase::partially_filled,
     "anomaly filled cum 12 leaves 0 reserved 0 position 12 overfill", cell.fill("O", "E9", 8))
CELL("a fill beyond the rest on a canceled order is booked in full and leaves the base", OrderBase::canceled,
     "anomaly canceled cum 12 leaves 0 reserved 0 position 12 late_fill", cell.fill("O", "E9", 8))
CELL("a fill beyond the rest on an expired order is booked in full and leaves the base", OrderBase::expired,
     "anomaly expired cum 12 leaves 0 reserved 0 position 12 late_fill", cell.fill("O", "E9", 8))
CELL("a fill beyond the rest on a done_for_day order is booked in full and leaves the base", OrderBase::done_for_day,
     "anomaly done_for_day cum 12 leaves 0 reserved 0 position 12 late_fill", cell.fill("O", "E9", 8))
CELL("a fill beyond the quantity on a rejected order is booked in full as overfill and contradiction", OrderBase::rejected,
     "anomaly filled cum 12 leaves 0 reserved 0 position 12 overfill contradiction", cell.fill("O", "E9", 12))
CELL("a fill beyond the quantity on an aborted order is booked in full as overfill and contradiction", OrderBase::aborted,
     "anomaly filled cum 12 leaves 0 reserved 0 position 12 overfill contradiction", cell.fill("O", "E9", 12))

// cancel_requested
CELL("cancel_requested on a pending_new order adds pending_cancel", OrderBase::pending_new,
     "ok pending_cancel cum 0 leaves 10 reserved 10 position 0 pending_cancel", cell.cancel("O"))
CELL("cancel_requested on a new order adds pending_cancel", OrderBase::new_,
     "ok pending_cancel cum 0 leaves 10 reserved 10 position 0 pending_cancel", cell.cancel("O"))
CELL("cancel_requested on a partially_filled order adds pending_cancel", OrderBase::partially_filled,
     "ok pending_cancel cum 4 leaves 6 reserved 6 position 4 pending_cancel", cell.cancel("O"))
CELL("cancel_requested on a suspended order adds pending_cancel", OrderBase::suspended,
     "ok pending_cancel cum 0 leaves 10 reserved 10 position 0 pending_cancel", cell.cancel("O"))
CELL("cancel_requested on a filled order is denied as terminal", OrderBase::filled,
     "denied terminal: filled cum 10 leaves 0 reserved 0 position 10", cell.cancel("O"))
CELL("cancel_requested on a canceled order is denied as terminal", OrderBase::canceled,
     "denied terminal: canceled cum 4 leaves 0 reserved 0 position 4", cell.cancel("O"))
CELL("cancel_requested on an expired order is denied as terminal", OrderBase::expired,
     "denied terminal: expired cum 4 leaves 0 reserved 0 position 4", cell.cancel("O"))
CELL("cancel_requested on a done_for_day order is denied as terminal", OrderBase::done_for_day,
     "denied terminal: done_for_day cum 4 leaves 0 reserved 0 position 4", cell.cancel("O"))
CELL("cancel_requested on a rejected order is denied as terminal", OrderBase::rejected,
     "denied terminal: rejected cum 0 leaves 0 reserved 0 position 0", cell.cancel("O"))
CELL("cancel_requested on an aborted order is denied as terminal", OrderBase::aborted,
     "denied terminal: aborted cum 0 leaves 0 reserved 0 position 0", cell.cancel("O"))

// canceled
CELL("canceled on a pending_new order cancels it", OrderBase::pending_new, "ok canceled cum 0 leaves 0 reserved 0 position 0",
     cell.tell(EventKind::canceled, "O"))
CELL("canceled on a new order cancels it", OrderBase::new_, "ok canceled cum 0 leaves 0 reserved 0 position 0",
     cell.tell(EventKind::canceled, "O"))
CELL("canceled on a partially_filled order cancels it", OrderBase::partially_filled,
     "ok canceled cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::canceled, "O"))
CELL("canceled on a suspended order cancels it", OrderBase::suspended, "ok canceled cum 0 leaves 0 reserved 0 position 0",
     cell.tell(EventKind::canceled, "O"))
CELL("canceled on a filled order is ignored and counted", OrderBase::filled,
     "ignored_late filled cum 10 leaves 0 reserved 0 position 10", cell.tell(EventKind::canceled, "O"))
CELL("canceled on a canceled order is a no-op", OrderBase::canceled,
     "ignored_late canceled cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::canceled, "O"))
CELL("canceled on an expired order is a no-op", OrderBase::expired, "ignored_late expired cum 4 leaves 0 reserved 0 position 4",
     cell.tell(EventKind::canceled, "O"))
CELL("canceled on a done_for_day order is a no-op", OrderBase::done_for_day,
     "ignored_late done_for_day cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::canceled, "O"))
CELL("canceled on a rejected order is a no-op", OrderBase::rejected,
     "ignored_late rejected cum 0 leaves 0 reserved 0 position 0", cell.tell(EventKind::canceled, "O"))
CELL("canceled on an aborted order is a no-op", OrderBase::aborted, "ignored_late aborted cum 0 leaves 0 reserved 0 position 0",
     cell.tell(EventKind::canceled, "O"))

// cancel_rejected, of a cancel that was requested while the order lived
CELL("cancel_rejected on a pending_new order takes pending_cancel away", OrderBase::pending_new,
     "ok pending_new cum 0 leaves 10 reserved 10 position 0", (cell.cancel("O"), cell.tell(EventKind::cancel_rejected, "O")))
CELL("cancel_rejected on a new order takes pending_cancel away", OrderBase::new_,
     "ok new cum 0 leaves 10 reserved 10 position 0", (cell.cancel("O"), cell.tell(EventKind::cancel_rejected, "O")))
CELL("cancel_rejected on a partially_filled order takes pending_cancel away", OrderBase::partially_filled,
     "ok partially_filled cum 4 leaves 6 reserved 6 position 4", (cell.cancel("O"), cell.tell(EventKind::cancel_rejected, "O")))
CELL("cancel_rejected on a suspended order takes pending_cancel away", OrderBase::suspended,
     "ok suspended cum 0 leaves 10 reserved 10 position 0", (cell.cancel("O"), cell.tell(EventKind::cancel_rejected, "O")))
CANCEL_PENDING_CELL("cancel_rejected on a filled order finds no pending_cancel any more", OrderBase::filled,
                    "ignored_late filled cum 10 leaves 0 reserved 0 position 10", cell.tell(EventKind::cancel_rejected, "O"))
CELL("cancel_rejected on a canceled order is a no-op", OrderBase::canceled,
     "ignored_late canceled cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::cancel_rejected, "O"))
CELL("cancel_rejected on an expired order is a no-op", OrderBase::expired,
     "ignored_late expired cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::cancel_rejected, "O"))
CELL("cancel_rejected on a done_for_day order is a no-op", OrderBase::done_for_day,
     "ignored_late done_for_day cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::cancel_rejected, "O"))
CELL("cancel_rejected on a rejected order is a no-op", OrderBase::rejected,
     "ignored_late rejected cum 0 leaves 0 reserved 0 position 0", cell.tell(EventKind::cancel_rejected, "O"))
CELL("cancel_rejected on an aborted order is a no-op", OrderBase::aborted,
     "ignored_late aborted cum 0 leaves 0 reserved 0 position 0", cell.tell(EventKind::cancel_rejected, "O"))

// replace_requested
CELL("replace_requested on a pending_new order is denied as not_acknowledged", OrderBase::pending_new,
     "denied not_acknowledged: pending_new cum 0 leaves 10 reserved 10 position 0", cell.amend({.quantity = lots(12)}))
EARLY_AMEND_CELL("replace_requested on a pending_new order adds pending_replace under amend_before_ack", OrderBase::pending_new,
                 "ok pending_replace cum 0 leaves 10 reserved 12 position 0 pending_replace",
                 cell.amend({.quantity = lots(12)}))
CELL("replace_requested on a new order adds pending_replace", OrderBase::new_,
     "ok pending_replace cum 0 leaves 10 reserved 12 position 0 pending_replace", cell.amend({.quantity = lots(12)}))
CELL("replace_requested on a partially_filled order adds pending_replace", OrderBase::partially_filled,
     "ok pending_replace cum 4 leaves 6 reserved 8 position 4 pending_replace", cell.amend({.quantity = lots(12)}))
CELL("replace_requested on a suspended order adds pending_replace", OrderBase::suspended,
     "ok pending_replace cum 0 leaves 10 reserved 12 position 0 pending_replace", cell.amend({.quantity = lots(12)}))
CELL("replace_requested on a filled order is denied as terminal", OrderBase::filled,
     "denied terminal: filled cum 10 leaves 0 reserved 0 position 10", cell.amend({.quantity = lots(12)}))
CELL("replace_requested on a canceled order is denied as terminal", OrderBase::canceled,
     "denied terminal: canceled cum 4 leaves 0 reserved 0 position 4", cell.amend({.quantity = lots(12)}))
CELL("replace_requested on an expired order is denied as terminal", OrderBase::expired,
     "denied terminal: expired cum 4 leaves 0 reserved 0 position 4", cell.amend({.quantity = lots(12)}))
CELL("replace_requested on a done_for_day order is denied as terminal", OrderBase::done_for_day,
     "denied terminal: done_for_day cum 4 leaves 0 reserved 0 position 4", cell.amend({.quantity = lots(12)}))
CELL("replace_requested on a rejected order is denied as terminal", OrderBase::rejected,
     "denied terminal: rejected cum 0 leaves 0 reserved 0 position 0", cell.amend({.quantity = lots(12)}))
CELL("replace_requested on an aborted order is denied as terminal", OrderBase::aborted,
     "denied terminal: aborted cum 0 leaves 0 reserved 0 position 0", cell.amend({.quantity = lots(12)}))

// replaced
CELL("replaced on a pending_new order acknowledges it with the new values", OrderBase::pending_new,
     "ok new cum 0 leaves 12 reserved 12 position 0",
     cell.tell({.kind = EventKind::replaced, .id = "O", .price = px(101), .quantity = lots(12)}))
EARLY_AMEND_CELL("replaced with a request pending on a pending_new order acknowledges it with the new values",
                 OrderBase::pending_new, "ok new cum 0 leaves 12 reserved 12 position 0",
                 (cell.amend({.quantity = lots(12)}), cell.tell(EventKind::replaced, "O")))
CELL("replaced on a new order gives it the new values", OrderBase::new_, "ok new cum 0 leaves 12 reserved 12 position 0",
     (cell.amend({.quantity = lots(12)}), cell.tell(EventKind::replaced, "O")))
CELL("replaced on a suspended order gives it the new values and leaves it suspended", OrderBase::suspended,
     "ok suspended cum 0 leaves 12 reserved 12 position 0",
     (cell.amend({.quantity = lots(12)}), cell.tell(EventKind::replaced, "O")))
CELL("replaced on a partially_filled order gives it the new values", OrderBase::partially_filled,
     "ok partially_filled cum 4 leaves 8 reserved 8 position 4",
     (cell.amend({.quantity = lots(12)}), cell.tell(EventKind::replaced, "O")))
CELL("replaced down to what is filled on a partially_filled order makes it filled", OrderBase::partially_filled,
     "ok filled cum 4 leaves 0 reserved 0 position 4", (cell.amend({.quantity = lots(4)}), cell.tell(EventKind::replaced, "O")))
CELL("replaced on a filled order opens it again as partially_filled", OrderBase::filled,
     "ok partially_filled cum 10 leaves 2 reserved 2 position 10",
     cell.tell({.kind = EventKind::replaced, .id = "O", .price = px(101), .quantity = lots(12)}))
CELL("replaced on a canceled order is an anomaly that revives it and reserves", OrderBase::canceled,
     "anomaly partially_filled cum 4 leaves 8 reserved 8 position 4 contradiction",
     cell.tell({.kind = EventKind::replaced, .id = "O", .price = px(101), .quantity = lots(12)}))
CELL("replaced on an expired order is an anomaly that revives it and reserves", OrderBase::expired,
     "anomaly partially_filled cum 4 leaves 8 reserved 8 position 4 contradiction",
     cell.tell({.kind = EventKind::replaced, .id = "O", .price = px(101), .quantity = lots(12)}))
CELL("replaced on a done_for_day order is an anomaly that revives it and reserves", OrderBase::done_for_day,
     "anomaly partially_filled cum 4 leaves 8 reserved 8 position 4 contradiction",
     cell.tell({.kind = EventKind::replaced, .id = "O", .price = px(101), .quantity = lots(12)}))
CELL("replaced on a rejected order is an anomaly that revives it and reserves", OrderBase::rejected,
     "anomaly new cum 0 leaves 12 reserved 12 position 0 contradiction",
     cell.tell({.kind = EventKind::replaced, .id = "O", .price = px(101), .quantity = lots(12)}))
CELL("replaced on an aborted order is an anomaly that revives it and reserves", OrderBase::aborted,
     "anomaly new cum 0 leaves 12 reserved 12 position 0 contradiction",
     cell.tell({.kind = EventKind::replaced, .id = "O", .price = px(101), .quantity = lots(12)}))

// replace_rejected
EARLY_AMEND_CELL("replace_rejected on a pending_new order takes pending_replace away", OrderBase::pending_new,
                 "ok pending_new cum 0 leaves 10 reserved 10 position 0",
                 (cell.amend({.quantity = lots(12)}), cell.tell(EventKind::replace_rejected, "O")))
CELL("replace_rejected on a new order takes pending_replace away", OrderBase::new_,
     "ok new cum 0 leaves 10 reserved 10 position 0",
     (cell.amend({.quantity = lots(12)}), cell.tell(EventKind::replace_rejected, "O")))
CELL("replace_rejected on a partially_filled order takes pending_replace away", OrderBase::partially_filled,
     "ok partially_filled cum 4 leaves 6 reserved 6 position 4",
     (cell.amend({.quantity = lots(12)}), cell.tell(EventKind::replace_rejected, "O")))
CELL("replace_rejected on a suspended order takes pending_replace away", OrderBase::suspended,
     "ok suspended cum 0 leaves 10 reserved 10 position 0",
     (cell.amend({.quantity = lots(12)}), cell.tell(EventKind::replace_rejected, "O")))
REPLACE_PENDING_CELL("replace_rejected on a filled order finds no pending_replace any more", OrderBase::filled,
                     "ignored_late filled cum 10 leaves 0 reserved 0 position 10", cell.tell(EventKind::replace_rejected, "O"))
CELL("replace_rejected on a canceled order is a no-op", OrderBase::canceled,
     "ignored_late canceled cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::replace_rejected, "O"))
CELL("replace_rejected on an expired order is a no-op", OrderBase::expired,
     "ignored_late expired cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::replace_rejected, "O"))
CELL("replace_rejected on a done_for_day order is a no-op", OrderBase::done_for_day,
     "ignored_late done_for_day cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::replace_rejected, "O"))
CELL("replace_rejected on a rejected order is a no-op", OrderBase::rejected,
     "ignored_late rejected cum 0 leaves 0 reserved 0 position 0", cell.tell(EventKind::replace_rejected, "O"))
CELL("replace_rejected on an aborted order is a no-op", OrderBase::aborted,
     "ignored_late aborted cum 0 leaves 0 reserved 0 position 0", cell.tell(EventKind::replace_rejected, "O"))

// expired
CELL("expired on a pending_new order makes it expired", OrderBase::pending_new,
     "ok expired cum 0 leaves 0 reserved 0 position 0", cell.tell(EventKind::expired, "O"))
CELL("expired on a new order makes it expired", OrderBase::new_, "ok expired cum 0 leaves 0 reserved 0 position 0",
     cell.tell(EventKind::expired, "O"))
CELL("expired on a partially_filled order makes it expired", OrderBase::partially_filled,
     "ok expired cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::expired, "O"))
CELL("expired on a suspended order makes it expired", OrderBase::suspended, "ok expired cum 0 leaves 0 reserved 0 position 0",
     cell.tell(EventKind::expired, "O"))
CELL("expired on a filled order is ignored and counted", OrderBase::filled,
     "ignored_late filled cum 10 leaves 0 reserved 0 position 10", cell.tell(EventKind::expired, "O"))
CELL("expired on a canceled order is a no-op", OrderBase::canceled,
     "ignored_late canceled cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::expired, "O"))
CELL("expired on an expired order is a no-op", OrderBase::expired, "ignored_late expired cum 4 leaves 0 reserved 0 position 4",
     cell.tell(EventKind::expired, "O"))
CELL("expired on a done_for_day order is a no-op", OrderBase::done_for_day,
     "ignored_late done_for_day cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::expired, "O"))
CELL("expired on a rejected order is a no-op", OrderBase::rejected,
     "ignored_late rejected cum 0 leaves 0 reserved 0 position 0", cell.tell(EventKind::expired, "O"))
CELL("expired on an aborted order is a no-op", OrderBase::aborted, "ignored_late aborted cum 0 leaves 0 reserved 0 position 0",
     cell.tell(EventKind::expired, "O"))

// done_for_day
CELL("done_for_day on a pending_new order makes it done_for_day", OrderBase::pending_new,
     "ok done_for_day cum 0 leaves 0 reserved 0 position 0", cell.tell(EventKind::done_for_day, "O"))
CELL("done_for_day on a new order makes it done_for_day", OrderBase::new_,
     "ok done_for_day cum 0 leaves 0 reserved 0 position 0", cell.tell(EventKind::done_for_day, "O"))
CELL("done_for_day on a partially_filled order makes it done_for_day", OrderBase::partially_filled,
     "ok done_for_day cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::done_for_day, "O"))
CELL("done_for_day on a suspended order makes it done_for_day", OrderBase::suspended,
     "ok done_for_day cum 0 leaves 0 reserved 0 position 0", cell.tell(EventKind::done_for_day, "O"))
CELL("done_for_day on a filled order is ignored and counted", OrderBase::filled,
     "ignored_late filled cum 10 leaves 0 reserved 0 position 10", cell.tell(EventKind::done_for_day, "O"))
CELL("done_for_day on a canceled order is a no-op", OrderBase::canceled,
     "ignored_late canceled cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::done_for_day, "O"))
CELL("done_for_day on an expired order is a no-op", OrderBase::expired,
     "ignored_late expired cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::done_for_day, "O"))
CELL("done_for_day on a done_for_day order is a no-op", OrderBase::done_for_day,
     "ignored_late done_for_day cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::done_for_day, "O"))
CELL("done_for_day on a rejected order is a no-op", OrderBase::rejected,
     "ignored_late rejected cum 0 leaves 0 reserved 0 position 0", cell.tell(EventKind::done_for_day, "O"))
CELL("done_for_day on an aborted order is a no-op", OrderBase::aborted,
     "ignored_late aborted cum 0 leaves 0 reserved 0 position 0", cell.tell(EventKind::done_for_day, "O"))

// suspended and resumed
CELL("suspended on a pending_new order changes nothing", OrderBase::pending_new,
     "ok pending_new cum 0 leaves 10 reserved 10 position 0", cell.tell(EventKind::suspended, "O"))
CELL("resumed on a pending_new order changes nothing", OrderBase::pending_new,
     "ok pending_new cum 0 leaves 10 reserved 10 position 0", cell.tell(EventKind::resumed, "O"))
CELL("suspended on a new order suspends it", OrderBase::new_, "ok suspended cum 0 leaves 10 reserved 10 position 0",
     cell.tell(EventKind::suspended, "O"))
CELL("resumed after suspended on a new order makes it new again", OrderBase::new_,
     "ok new cum 0 leaves 10 reserved 10 position 0",
     (cell.tell(EventKind::suspended, "O"), cell.tell(EventKind::resumed, "O")))
CELL("resumed on a new order changes nothing", OrderBase::new_, "ok new cum 0 leaves 10 reserved 10 position 0",
     cell.tell(EventKind::resumed, "O"))
CELL("suspended on a partially_filled order suspends it", OrderBase::partially_filled,
     "ok suspended cum 4 leaves 6 reserved 6 position 4", cell.tell(EventKind::suspended, "O"))
CELL("resumed after suspended on a partially_filled order makes it partially_filled again", OrderBase::partially_filled,
     "ok partially_filled cum 4 leaves 6 reserved 6 position 4",
     (cell.tell(EventKind::suspended, "O"), cell.tell(EventKind::resumed, "O")))
CELL("resumed on a partially_filled order changes nothing", OrderBase::partially_filled,
     "ok partially_filled cum 4 leaves 6 reserved 6 position 4", cell.tell(EventKind::resumed, "O"))
CELL("suspended on a suspended order changes nothing", OrderBase::suspended,
     "ok suspended cum 0 leaves 10 reserved 10 position 0", cell.tell(EventKind::suspended, "O"))
CELL("resumed on a suspended order makes it new", OrderBase::suspended, "ok new cum 0 leaves 10 reserved 10 position 0",
     cell.tell(EventKind::resumed, "O"))
CELL("suspended on a filled order is an anomaly", OrderBase::filled,
     "anomaly filled cum 10 leaves 0 reserved 0 position 10 contradiction", cell.tell(EventKind::suspended, "O"))
CELL("resumed on a filled order is an anomaly", OrderBase::filled,
     "anomaly filled cum 10 leaves 0 reserved 0 position 10 contradiction", cell.tell(EventKind::resumed, "O"))
CELL("suspended on a canceled order is an anomaly", OrderBase::canceled,
     "anomaly canceled cum 4 leaves 0 reserved 0 position 4 contradiction", cell.tell(EventKind::suspended, "O"))
CELL("resumed on a canceled order is an anomaly", OrderBase::canceled,
     "anomaly canceled cum 4 leaves 0 reserved 0 position 4 contradiction", cell.tell(EventKind::resumed, "O"))
CELL("suspended on an expired order is an anomaly", OrderBase::expired,
     "anomaly expired cum 4 leaves 0 reserved 0 position 4 contradiction", cell.tell(EventKind::suspended, "O"))
CELL("resumed on an expired order is an anomaly", OrderBase::expired,
     "anomaly expired cum 4 leaves 0 reserved 0 position 4 contradiction", cell.tell(EventKind::resumed, "O"))
CELL("suspended on a done_for_day order is an anomaly", OrderBase::done_for_day,
     "anomaly done_for_day cum 4 leaves 0 reserved 0 position 4 contradiction", cell.tell(EventKind::suspended, "O"))
CELL("resumed on a done_for_day order is an anomaly", OrderBase::done_for_day,
     "anomaly done_for_day cum 4 leaves 0 reserved 0 position 4 contradiction", cell.tell(EventKind::resumed, "O"))
CELL("suspended on a rejected order is an anomaly", OrderBase::rejected,
     "anomaly rejected cum 0 leaves 0 reserved 0 position 0 contradiction", cell.tell(EventKind::suspended, "O"))
CELL("resumed on a rejected order is an anomaly", OrderBase::rejected,
     "anomaly rejected cum 0 leaves 0 reserved 0 position 0 contradiction", cell.tell(EventKind::resumed, "O"))
CELL("suspended on an aborted order is an anomaly", OrderBase::aborted,
     "anomaly aborted cum 0 leaves 0 reserved 0 position 0 contradiction", cell.tell(EventKind::suspended, "O"))
CELL("resumed on an aborted order is an anomaly", OrderBase::aborted,
     "anomaly aborted cum 0 leaves 0 reserved 0 position 0 contradiction", cell.tell(EventKind::resumed, "O"))

// bust
CELL("bust on a pending_new order is an anomaly", OrderBase::pending_new,
     "anomaly pending_new cum 0 leaves 10 reserved 10 position 0 contradiction", cell.bust("O", "E1"))
CELL("bust on a new order is an anomaly", OrderBase::new_, "anomaly new cum 0 leaves 10 reserved 10 position 0 contradiction",
     cell.bust("O", "E1"))
CELL("bust on a suspended order is an anomaly", OrderBase::suspended,
     "anomaly suspended cum 0 leaves 10 reserved 10 position 0 contradiction", cell.bust("O", "E1"))
CELL("bust on a partially_filled order takes the execution back", OrderBase::partially_filled,
     "ok new cum 0 leaves 10 reserved 10 position 0 busted", cell.bust("O", "E1"))
CELL("bust of a partial fill on a suspended order takes the execution back", OrderBase::suspended,
     "ok suspended cum 0 leaves 10 reserved 10 position 0 busted", (cell.fill("O", "E1", 4), cell.bust("O", "E1")))
CELL("bust on a filled order leaves it closed as canceled", OrderBase::filled,
     "ok canceled cum 6 leaves 0 reserved 0 position 6 busted", cell.bust("O", "E1"))
CELL("bust with reopened on a filled order opens it again", OrderBase::filled,
     "ok partially_filled cum 6 leaves 4 reserved 4 position 6 busted", cell.bust("O", "E1", true))
CELL("bust on a canceled order corrects the position only", OrderBase::canceled,
     "ok canceled cum 0 leaves 0 reserved 0 position 0 busted", cell.bust("O", "E1"))
CELL("bust on an expired order corrects the position only", OrderBase::expired,
     "ok expired cum 0 leaves 0 reserved 0 position 0 busted", cell.bust("O", "E1"))
CELL("bust on a done_for_day order corrects the position only", OrderBase::done_for_day,
     "ok done_for_day cum 0 leaves 0 reserved 0 position 0 busted", cell.bust("O", "E1"))
CELL("bust on a rejected order knows no such execution and is quarantined", OrderBase::rejected,
     "quarantined rejected cum 0 leaves 0 reserved 0 position 0", cell.bust("O", "E1"))
CELL("bust on an aborted order is an anomaly", OrderBase::aborted,
     "anomaly aborted cum 0 leaves 0 reserved 0 position 0 contradiction", cell.bust("O", "E1"))

// correct
CELL("correct on a pending_new order is an anomaly", OrderBase::pending_new,
     "anomaly pending_new cum 0 leaves 10 reserved 10 position 0 contradiction", cell.correct("O", "E1", "E1b", 3))
CELL("correct on a new order is an anomaly", OrderBase::new_,
     "anomaly new cum 0 leaves 10 reserved 10 position 0 contradiction", cell.correct("O", "E1", "E1b", 3))
CELL("correct on a suspended order is an anomaly", OrderBase::suspended,
     "anomaly suspended cum 0 leaves 10 reserved 10 position 0 contradiction", cell.correct("O", "E1", "E1b", 3))
CELL("correct on a partially_filled order takes the difference", OrderBase::partially_filled,
     "ok partially_filled cum 3 leaves 7 reserved 7 position 3", cell.correct("O", "E1", "E1b", 3))
CELL("correct of a partial fill on a suspended order takes the difference", OrderBase::suspended,
     "ok suspended cum 3 leaves 7 reserved 7 position 3", (cell.fill("O", "E1", 4), cell.correct("O", "E1", "E1b", 3)))
CELL("correct of the price alone on a filled order leaves it filled", OrderBase::filled,
     "ok filled cum 10 leaves 0 reserved 0 position 10", cell.correct("O", "E1", "E1b", 4, 99))
CELL("correct downwards on a filled order leaves it closed as canceled", OrderBase::filled,
     "ok canceled cum 9 leaves 0 reserved 0 position 9", cell.correct("O", "E1", "E1b", 3))
CELL("correct downwards with reopened on a filled order opens it again", OrderBase::filled,
     "ok partially_filled cum 9 leaves 1 reserved 1 position 9",
     cell.tell({.kind = EventKind::correct,
                .id = "O",
                .exec_id = "E1",
                .new_exec_id = "E1b",
                .price = px(100),
                .quantity = lots(3),
                .reopened = true}))
CELL("correct upwards on a filled order is an overfill", OrderBase::filled,
     "anomaly filled cum 11 leaves 0 reserved 0 position 11 overfill", cell.correct("O", "E1", "E1b", 5))
CELL("correct on a canceled order corrects the position only", OrderBase::canceled,
     "ok canceled cum 3 leaves 0 reserved 0 position 3", cell.correct("O", "E1", "E1b", 3))
CELL("correct on an expired order corrects the position only", OrderBase::expired,
     "ok expired cum 3 leaves 0 reserved 0 position 3", cell.correct("O", "E1", "E1b", 3))
CELL("correct on a done_for_day order corrects the position only", OrderBase::done_for_day,
     "ok done_for_day cum 3 leaves 0 reserved 0 position 3", cell.correct("O", "E1", "E1b", 3))
CELL("correct on a rejected order knows no such execution and is quarantined", OrderBase::rejected,
     "quarantined rejected cum 0 leaves 0 reserved 0 position 0", cell.correct("O", "E1", "E1b", 3))
CELL("correct on an aborted order is an anomaly", OrderBase::aborted,
     "anomaly aborted cum 0 leaves 0 reserved 0 position 0 contradiction", cell.correct("O", "E1", "E1b", 3))

// aborted: the owner says that the send surely failed
CELL("aborted on a pending_new order makes it aborted", OrderBase::pending_new,
     "ok aborted cum 0 leaves 0 reserved 0 position 0", cell.abort("O"))
CELL("aborted on a new order is denied as not_allowed", OrderBase::new_,
     "denied not_allowed: new cum 0 leaves 10 reserved 10 position 0", cell.abort("O"))
CELL("aborted on a partially_filled order is denied as not_allowed", OrderBase::partially_filled,
     "denied not_allowed: partially_filled cum 4 leaves 6 reserved 6 position 4", cell.abort("O"))
CELL("aborted on a suspended order is denied as not_allowed", OrderBase::suspended,
     "denied not_allowed: suspended cum 0 leaves 10 reserved 10 position 0", cell.abort("O"))
CELL("aborted on a filled order is denied as terminal", OrderBase::filled,
     "denied terminal: filled cum 10 leaves 0 reserved 0 position 10", cell.abort("O"))
CELL("aborted on a canceled order is denied as terminal", OrderBase::canceled,
     "denied terminal: canceled cum 4 leaves 0 reserved 0 position 4", cell.abort("O"))
CELL("aborted on an expired order is denied as terminal", OrderBase::expired,
     "denied terminal: expired cum 4 leaves 0 reserved 0 position 4", cell.abort("O"))
CELL("aborted on a done_for_day order is denied as terminal", OrderBase::done_for_day,
     "denied terminal: done_for_day cum 4 leaves 0 reserved 0 position 4", cell.abort("O"))
CELL("aborted on a rejected order is denied as terminal", OrderBase::rejected,
     "denied terminal: rejected cum 0 leaves 0 reserved 0 position 0", cell.abort("O"))
CELL("aborted on an aborted order is denied as terminal", OrderBase::aborted,
     "denied terminal: aborted cum 0 leaves 0 reserved 0 position 0", cell.abort("O"))

// timeout
CELL("a timeout on a pending_new order makes it unknown and keeps the reservation", OrderBase::pending_new,
     "ok pending_new cum 0 leaves 10 reserved 10 position 0 unknown", cell.tell(EventKind::timed_out, "O"))
CELL("a timeout on a new order makes it unknown and keeps the reservation", OrderBase::new_,
     "ok new cum 0 leaves 10 reserved 10 position 0 unknown", cell.tell(EventKind::timed_out, "O"))
CELL("a timeout on a partially_filled order makes it unknown and keeps the reservation", OrderBase::partially_filled,
     "ok partially_filled cum 4 leaves 6 reserved 6 position 4 unknown", cell.tell(EventKind::timed_out, "O"))
CELL("a timeout on a suspended order makes it unknown and keeps the reservation", OrderBase::suspended,
     "ok suspended cum 0 leaves 10 reserved 10 position 0 unknown", cell.tell(EventKind::timed_out, "O"))
CELL("a timeout on a filled order changes nothing", OrderBase::filled,
     "ignored_late filled cum 10 leaves 0 reserved 0 position 10", cell.tell(EventKind::timed_out, "O"))
CELL("a timeout on a canceled order changes nothing", OrderBase::canceled,
     "ignored_late canceled cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::timed_out, "O"))
CELL("a timeout on an expired order changes nothing", OrderBase::expired,
     "ignored_late expired cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::timed_out, "O"))
CELL("a timeout on a done_for_day order changes nothing", OrderBase::done_for_day,
     "ignored_late done_for_day cum 4 leaves 0 reserved 0 position 4", cell.tell(EventKind::timed_out, "O"))
CELL("a timeout on a rejected order changes nothing", OrderBase::rejected,
     "ignored_late rejected cum 0 leaves 0 reserved 0 position 0", cell.tell(EventKind::timed_out, "O"))
CELL("a timeout on an aborted order changes nothing", OrderBase::aborted,
     "ignored_late aborted cum 0 leaves 0 reserved 0 position 0", cell.tell(EventKind::timed_out, "O"))

// the owner's death: what a repeated report answers shows the flag
CELL("the death of the owner on a pending_new order makes it orphaned and keeps the reservation", OrderBase::pending_new,
     "none pending_new cum 0 leaves 10 reserved 10 position 0 orphaned", cell.owner_dies())
CELL("the death of the owner on a new order makes it orphaned and keeps the reservation", OrderBase::new_,
     "none new cum 0 leaves 10 reserved 10 position 0 orphaned", cell.owner_dies())
CELL("the death of the owner on a partially_filled order makes it orphaned and keeps the reservation",
     OrderBase::partially_filled, "none partially_filled cum 4 leaves 6 reserved 6 position 4 orphaned", cell.owner_dies())
CELL("the death of the owner on a suspended order makes it orphaned and keeps the reservation", OrderBase::suspended,
     "none suspended cum 0 leaves 10 reserved 10 position 0 orphaned", cell.owner_dies())
CELL("the death of the owner on a filled order changes nothing", OrderBase::filled,
     "none filled cum 10 leaves 0 reserved 0 position 10", cell.owner_dies())
CELL("the death of the owner on a canceled order changes nothing", OrderBase::canceled,
     "none canceled cum 4 leaves 0 reserved 0 position 4", cell.owner_dies())
CELL("the death of the owner on an expired order changes nothing", OrderBase::expired,
     "none expired cum 4 leaves 0 reserved 0 position 4", cell.owner_dies())
CELL("the death of the owner on a done_for_day order changes nothing", OrderBase::done_for_day,
     "none done_for_day cum 4 leaves 0 reserved 0 position 4", cell.owner_dies())
CELL("the death of the owner on a rejected order changes nothing", OrderBase::rejected,
     "none rejected cum 0 leaves 0 reserved 0 position 0", cell.owner_dies())
CELL("the death of the owner on an aborted order changes nothing", OrderBase::aborted,
     "none aborted cum 0 leaves 0 reserved 0 position 0", cell.owner_dies())

// ---- 13: what is behind the table ------------------------------------------------------------------

TEST_CASE("a fill of all while a greater replace is pending keeps the order live with the new leaves", "[cells]") {
    Cell cell(OrderBase::new_);
    cell.amend({.quantity = lots(15)});
    const Verdict verdict = cell.fill("O", "E1", 10);
    CHECK(verdict.result == Result::ok);
    CHECK(cell.view("O").base == OrderBase::partially_filled);
    CHECK(cell.view("O").reserved_quantity == lots(5));
    SECTION("replaced makes it partially_filled") {
        CHECK(cell.after(cell.tell(EventKind::replaced, "O")) == "ok partially_filled cum 10 leaves 5 reserved 5 position 10");
    }
    SECTION("replace_rejected makes it filled") {
        CHECK(cell.after(cell.tell(EventKind::replace_rejected, "O")) == "ok filled cum 10 leaves 0 reserved 0 position 10");
    }
}

TEST_CASE("a status that goes backwards is ignored and still written to the log", "[cells]") {
    Cell cell(OrderBase::filled);
    const std::size_t before = cell.events(layout::EventType::acked);
    CHECK(cell.acked("O").result == Result::ignored_late);
    CHECK(cell.events(layout::EventType::acked) == before + 1);
}

TEST_CASE("a request about an unknown id is denied as unknown_order", "[cells]") {
    TradingDesk desk;
    CHECK(text_of(desk.cancel("nobody")) == "denied unknown_order");
    CHECK(text_of(desk.amend({.id = "nobody", .quantity = lots(1)})) == "denied unknown_order");
    CHECK(text_of(desk.abort("nobody")) == "denied unknown_order");
    CHECK(text_of(desk.tell(EventKind::timed_out, "nobody")) == "denied unknown_order");
}

TEST_CASE("every report about an unknown id is quarantined", "[cells]") {
    TradingDesk desk;
    for (const EventKind kind :
         {EventKind::acked, EventKind::rejected, EventKind::canceled, EventKind::cancel_rejected, EventKind::replace_rejected,
          EventKind::expired, EventKind::done_for_day, EventKind::suspended, EventKind::resumed})
        CHECK(desk.tell(kind, "nobody").result == Result::quarantined);
    CHECK(desk.tell({.kind = EventKind::replaced, .id = "nobody", .price = px(1), .quantity = lots(1)}).result ==
          Result::quarantined);
    CHECK(desk.fill("nobody", "E1", 1).result == Result::quarantined);
    CHECK(desk.bust("nobody", "E2").result == Result::quarantined);
    CHECK(desk.correct("nobody", "E3", "E4", 1).result == Result::quarantined);
    CHECK(desk.position() == 0);
}

TEST_CASE("a greater cumulative quantity of the venue is a gap that stays reserved until the fills arrive", "[cells]") {
    Cell cell(OrderBase::new_);
    const Verdict ended = cell.tell({.kind = EventKind::canceled, .id = "O", .cum_quantity = lots(4)});
    CHECK(cell.after(ended) == "anomaly canceled cum 0 leaves 0 reserved 4 position 0 gap");
    CHECK(cell.after(cell.fill("O", "E1", 4)) == "anomaly canceled cum 4 leaves 0 reserved 0 position 4 late_fill");
}

TEST_CASE("a smaller cumulative quantity of the venue is stale and changes no reservation", "[cells]") {
    Cell cell(OrderBase::partially_filled);
    const Verdict stale = cell.tell({.kind = EventKind::acked, .id = "O", .cum_quantity = lots(1)});
    CHECK(cell.after(stale) == "ok partially_filled cum 4 leaves 6 reserved 6 position 4 stale_report");
}

// ---- 14: reservation and position --------------------------------------------------------------------

namespace {

/// What A1 × ES has reserved, in lots and in money, and holds.
struct Books {
    std::int64_t quantity;
    std::int64_t notional;
    std::int64_t position;
    friend bool operator==(const Books&, const Books&) = default;
};

Books books_of(const TradingDesk& desk) {
    const layout::RowCounters& row = desk.row(kAccountEs);
    return {row.open_buy_quantity / lots(1).value, row.open_buy_notional / money(1), desk.position()};
}

std::ostream& operator<<(std::ostream& out, const Books& books) {
    return out << "reserved " << books.quantity << " worth " << books.notional << ", position " << books.position;
}

Verdict unknown_at_the_venue(TradingDesk& desk) {
    return desk.tell({.kind = EventKind::cancel_rejected, .id = "O", .venue_knows_no_such_order = true});
}

}  // namespace

// NOLINTBEGIN(cppcoreguidelines-macro-usage)
/// The order's reservation is `reserved` and worth 100 times that; the position is `held`.
#define EFFECT(name, base, reserved, held, ...)                                   \
    TEST_CASE(name, "[cells]") {                                                  \
        Cell cell(base);                                                          \
        __VA_ARGS__;                                                              \
        CHECK(books_of(cell) == Books{reserved, 100 * (reserved), held});         \
        CHECK(cell.view("O").reserved_quantity == lots(reserved));                \
        CHECK(cell.view("O").reserved_notional.value == money(100 * (reserved))); \
    }
// NOLINTEND(cppcoreguidelines-macro-usage)

EFFECT("an accepted register reserves its quantity and moves no position", OrderBase::pending_new, 10, 0, static_cast<void>(0))
EFFECT("aborted releases everything and moves no position", OrderBase::pending_new, 0, 0, cell.abort("O"))
EFFECT("acked releases nothing and moves no position", OrderBase::pending_new, 10, 0, cell.acked("O"))
EFFECT("a partial fill releases its part and moves the position by it", OrderBase::new_, 7, 3, cell.fill("O", "E1", 3))
EFFECT("a final fill releases everything and moves the position by it", OrderBase::partially_filled, 0, 10,
       cell.fill("O", "E2", 6))
EFFECT("an overfill releases everything and moves the position by all of it", OrderBase::partially_filled, 0, 13,
       cell.fill("O", "E2", 9))
EFFECT("a fill before the ack releases its part and moves the position by it", OrderBase::pending_new, 7, 3,
       cell.fill("O", "E1", 3))
EFFECT("rejected releases everything and moves no position", OrderBase::pending_new, 0, 0, cell.tell(EventKind::rejected, "O"))
EFFECT("canceled releases everything and moves no position", OrderBase::partially_filled, 0, 4,
       cell.tell(EventKind::canceled, "O"))
EFFECT("expired releases everything and moves no position", OrderBase::partially_filled, 0, 4,
       cell.tell(EventKind::expired, "O"))
EFFECT("done_for_day releases everything and moves no position", OrderBase::partially_filled, 0, 4,
       cell.tell(EventKind::done_for_day, "O"))
EFFECT("a late fill reserves nothing and moves the position by it", OrderBase::canceled, 0, 7, cell.fill("O", "E9", 3))
EFFECT("a timeout keeps the reservation and moves no position", OrderBase::partially_filled, 6, 4,
       cell.tell(EventKind::timed_out, "O"))
EFFECT("cancel_rejected by a venue that knows no such order keeps the reservation", OrderBase::partially_filled, 6, 4,
       unknown_at_the_venue(cell))
EFFECT("the death of the owner keeps the reservation and moves no position", OrderBase::partially_filled, 6, 4,
       cell.owner_dies())
EFFECT("a bust of a live order reserves its quantity again and takes the position back", OrderBase::partially_filled, 10, 0,
       cell.bust("O", "E1"))
EFFECT("a bust of a filled order reserves nothing and takes the position back", OrderBase::filled, 0, 6, cell.bust("O", "E1"))
EFFECT("a bust of a filled order with reopened reserves its quantity again", OrderBase::filled, 4, 6,
       cell.bust("O", "E1", true))
EFFECT("a bust of a canceled order reserves nothing and takes the position back", OrderBase::canceled, 0, 0,
       cell.bust("O", "E1"))
EFFECT("a bust of an expired order reserves nothing and takes the position back", OrderBase::expired, 0, 0,
       cell.bust("O", "E1"))
EFFECT("a bust of a done_for_day order reserves nothing and takes the position back", OrderBase::done_for_day, 0, 0,
       cell.bust("O", "E1"))
EFFECT("a bust of an unknown execution reserves nothing and moves no position", OrderBase::partially_filled, 6, 4,
       CHECK(cell.bust("O", "E7").result == Result::quarantined))
EFFECT("a correction upwards of a live order releases the difference and moves the position by it", OrderBase::partially_filled,
       4, 6, cell.correct("O", "E1", "E1b", 6))
EFFECT("a correction downwards of a live order reserves the difference and moves the position by it",
       OrderBase::partially_filled, 9, 1, cell.correct("O", "E1", "E1b", 1))
EFFECT("a correction of a filled order reserves nothing and moves the position by the difference", OrderBase::filled, 0, 7,
       cell.correct("O", "E1", "E1b", 1))
EFFECT("a correction of a canceled order reserves nothing and moves the position by the difference", OrderBase::canceled, 0, 6,
       cell.correct("O", "E1", "E1b", 6))
EFFECT("a duplicate execution releases nothing and moves no position", OrderBase::partially_filled, 6, 4,
       CHECK(cell.fill("O", "E1", 4).result == Result::duplicate))

TEST_CASE("a different venue id later is an anomaly and the first one stays", "[cells]") {
    Cell cell(OrderBase::pending_new);
    cell.tell({.kind = EventKind::acked, .id = "O", .venue_id = "V1"});
    const Verdict other = cell.tell({.kind = EventKind::acked, .id = "O", .venue_id = "V2"});
    CHECK(cell.after(other) == "anomaly new cum 0 leaves 10 reserved 10 position 0 venue_id_differs");
    CHECK(cell.view("O").venue_id == "V1");
}

TEST_CASE("fills at better prices release what was reserved and the last one takes the rounding remainder", "[cells]") {
    SharedConfig config = desk_config();
    config.instruments[0].tick = Price{1};
    config.instruments[0].multiplier_e9 = 333'333'333;
    TradingDesk desk(config);
    desk.send({.quantity = lots(7), .price = Price{333'333'333}});
    std::int64_t released = 0;
    const std::int64_t reserved = desk.view("O").reserved_notional.value;
    for (int part = 1; part <= 7; ++part) {
        const std::int64_t before = desk.view("O").reserved_notional.value;
        desk.tell({.kind = EventKind::filled,
                   .id = "O",
                   .exec_id = std::to_string(part),
                   .price = Price{111'111'111},
                   .quantity = lots(1)});
        released += before - desk.view("O").reserved_notional.value;
    }
    CHECK(released == reserved);
    CHECK(desk.row(kAccountEs).open_buy_notional == 0);
}

TEST_CASE("a late fill beyond a limit is booked and the next increasing order meets the limit", "[cells]") {
    Cell cell(OrderBase::canceled);
    cell.limit(kAccountEs, &Limits::max_long, lots(5).value);
    CHECK(cell.fill("O", "E9", 6).result == Result::anomaly);
    CHECK(cell.position() == 10);
    CHECK(text_of(cell.buy("O-2", 1)) == "denied max_long A1/ES 11 > 5 quantity");
}

TEST_CASE("the status part of a duplicate execution is still compared", "[cells]") {
    Cell cell(OrderBase::partially_filled);
    const Verdict again = cell.tell({.kind = EventKind::filled,
                                     .id = "O",
                                     .exec_id = "E1",
                                     .price = px(100),
                                     .quantity = lots(4),
                                     .cum_quantity = lots(6)});
    CHECK(cell.after(again) == "duplicate partially_filled cum 4 leaves 6 reserved 6 position 4 gap");
}

TEST_CASE("a duplicate execution of another content is told apart", "[cells]") {
    Cell cell(OrderBase::partially_filled);
    CHECK(cell.after(cell.fill("O", "E1", 5)) ==
          "duplicate partially_filled cum 4 leaves 6 reserved 6 position 4 exec_differs");
}

TEST_CASE("the same execution id of another order is another execution", "[cells]") {
    Cell cell(OrderBase::partially_filled);
    cell.buy("O-2", 5);
    CHECK(cell.fill("O-2", "E1", 5).result == Result::ok);
    CHECK(cell.position() == 9);
}

// ---- 8: trading states -------------------------------------------------------------------------------

namespace {

enum class Held { active, warn, reducing_only, unreconciled, cancel_only, halted };

void hold_in(TradingDesk& desk, Held state, const Scope& scope) {
    switch (state) {
        case Held::active: return;
        case Held::warn: desk.halt(scope, TradingState::warn); return;
        case Held::reducing_only: desk.halt(scope, TradingState::reducing_only); return;
        case Held::unreconciled: desk.unreconcile(); return;
        case Held::cancel_only: desk.halt(scope, TradingState::cancel_only); return;
        case Held::halted: desk.halt(scope, TradingState::halted); return;
    }
}

/// The call is answered by `expected`, whichever covering scope is held in the state; a refusal names that scope.
void in_every_scope(Held state, const std::function<void(TradingDesk&)>& before,
                    const std::function<Verdict(TradingDesk&)>& call, const std::string& expected) {
    for (const Scope& scope : scopes_of_s1()) {
        if (state == Held::unreconciled && scope.kind != ScopeKind::firm) continue;
        TradingDesk desk;
        before(desk);
        hold_in(desk, state, scope);
        const bool refused = expected.starts_with("denied");
        CHECK(text_of(call(desk)) == expected + (refused ? " " + text_of(scope) : ""));
    }
}

void nothing(TradingDesk&) {}
/// Order O, to buy 5, live at the venue.
void working(TradingDesk& desk) {
    desk.buy("O", 5);
    desk.acked("O");
}
void short_of_10(TradingDesk& desk) { desk.hold(-10); }

Verdict increase(TradingDesk& desk) { return desk.buy("N", 5); }
Verdict amend_up(TradingDesk& desk) { return desk.amend({.quantity = lots(6)}); }
Verdict amend_price_up(TradingDesk& desk) { return desk.amend({.price = px(101)}); }
Verdict amend_down(TradingDesk& desk) { return desk.amend({.quantity = lots(4), .price = px(99)}); }
Verdict cancel(TradingDesk& desk) { return desk.cancel("O"); }

/// Every kind of report about a live order; the first answer that is not `ok`, if any.
Verdict venue_events(TradingDesk& desk) {
    const std::vector<Report> reports = {
        {.kind = EventKind::acked, .id = "O", .venue_id = "V"},
        {.kind = EventKind::filled, .id = "O", .exec_id = "E1", .price = px(100), .quantity = lots(2)},
        {.kind = EventKind::correct, .id = "O", .exec_id = "E1", .price = px(100), .quantity = lots(1)},
        {.kind = EventKind::bust, .id = "O", .exec_id = "E1"},
        {.kind = EventKind::suspended, .id = "O"},
        {.kind = EventKind::resumed, .id = "O"},
        {.kind = EventKind::replaced, .id = "O", .price = px(101), .quantity = lots(9)},
        {.kind = EventKind::cancel_rejected, .id = "O"},
        {.kind = EventKind::replace_rejected, .id = "O"},
        {.kind = EventKind::timed_out, .id = "O"},
        {.kind = EventKind::canceled, .id = "O"}};
    Verdict verdict;
    for (const Report& report : reports) {
        verdict = desk.tell(report);
        if (verdict.result != Result::ok) break;
    }
    return verdict;
}

}  // namespace

TEST_CASE("active lets a new order that increases pass", "[cells]") {
    in_every_scope(Held::active, nothing, increase, "accepted");
}
TEST_CASE("active lets a new order that reduces pass", "[cells]") {
    in_every_scope(Held::active, short_of_10, increase, "accepted");
}
TEST_CASE("active lets an amend up pass", "[cells]") { in_every_scope(Held::active, working, amend_up, "ok"); }
TEST_CASE("active lets an amend to a more aggressive price pass", "[cells]") {
    in_every_scope(Held::active, working, amend_price_up, "ok");
}
TEST_CASE("active lets an amend down pass", "[cells]") { in_every_scope(Held::active, working, amend_down, "ok"); }
TEST_CASE("active lets a cancel pass", "[cells]") { in_every_scope(Held::active, working, cancel, "ok"); }
TEST_CASE("active takes every report of the venue", "[cells]") { in_every_scope(Held::active, working, venue_events, "ok"); }

TEST_CASE("warn lets a new order that increases pass", "[cells]") { in_every_scope(Held::warn, nothing, increase, "accepted"); }
TEST_CASE("warn lets a new order that reduces pass", "[cells]") {
    in_every_scope(Held::warn, short_of_10, increase, "accepted");
}
TEST_CASE("warn lets an amend up pass", "[cells]") { in_every_scope(Held::warn, working, amend_up, "ok"); }
TEST_CASE("warn lets an amend to a more aggressive price pass", "[cells]") {
    in_every_scope(Held::warn, working, amend_price_up, "ok");
}
TEST_CASE("warn lets an amend down pass", "[cells]") { in_every_scope(Held::warn, working, amend_down, "ok"); }
TEST_CASE("warn lets a cancel pass", "[cells]") { in_every_scope(Held::warn, working, cancel, "ok"); }
TEST_CASE("warn takes every report of the venue", "[cells]") { in_every_scope(Held::warn, working, venue_events, "ok"); }

TEST_CASE("reducing_only refuses a new order that increases", "[cells]") {
    in_every_scope(Held::reducing_only, nothing, increase, "denied reducing_only");
}
TEST_CASE("reducing_only lets a new order that reduces pass", "[cells]") {
    in_every_scope(Held::reducing_only, short_of_10, increase, "accepted");
}
TEST_CASE("reducing_only refuses an amend up", "[cells]") {
    in_every_scope(Held::reducing_only, working, amend_up, "denied reducing_only");
}
TEST_CASE("reducing_only refuses an amend to a more aggressive price", "[cells]") {
    in_every_scope(Held::reducing_only, working, amend_price_up, "denied reducing_only");
}
TEST_CASE("reducing_only lets an amend down pass", "[cells]") {
    in_every_scope(Held::reducing_only, working, amend_down, "ok");
}
TEST_CASE("reducing_only lets a cancel pass", "[cells]") { in_every_scope(Held::reducing_only, working, cancel, "ok"); }
TEST_CASE("reducing_only takes every report of the venue", "[cells]") {
    in_every_scope(Held::reducing_only, working, venue_events, "ok");
}

TEST_CASE("unreconciled refuses a new order that increases", "[cells]") {
    in_every_scope(Held::unreconciled, nothing, increase, "denied unreconciled");
}
TEST_CASE("unreconciled lets a new order that reduces pass", "[cells]") {
    in_every_scope(Held::unreconciled, short_of_10, increase, "accepted");
}
TEST_CASE("unreconciled refuses an amend up", "[cells]") {
    in_every_scope(Held::unreconciled, working, amend_up, "denied unreconciled");
}
TEST_CASE("unreconciled refuses an amend to a more aggressive price", "[cells]") {
    in_every_scope(Held::unreconciled, working, amend_price_up, "denied unreconciled");
}
TEST_CASE("unreconciled lets an amend down pass", "[cells]") { in_every_scope(Held::unreconciled, working, amend_down, "ok"); }
TEST_CASE("unreconciled lets a cancel pass", "[cells]") { in_every_scope(Held::unreconciled, working, cancel, "ok"); }
TEST_CASE("unreconciled takes every report of the venue", "[cells]") {
    in_every_scope(Held::unreconciled, working, venue_events, "ok");
}

TEST_CASE("cancel_only refuses a new order that increases", "[cells]") {
    in_every_scope(Held::cancel_only, nothing, increase, "denied cancel_only");
}
TEST_CASE("cancel_only refuses a new order that reduces", "[cells]") {
    in_every_scope(Held::cancel_only, short_of_10, increase, "denied cancel_only");
}
TEST_CASE("cancel_only refuses an amend up", "[cells]") {
    in_every_scope(Held::cancel_only, working, amend_up, "denied cancel_only");
}
TEST_CASE("cancel_only refuses an amend to a more aggressive price", "[cells]") {
    in_every_scope(Held::cancel_only, working, amend_price_up, "denied cancel_only");
}
TEST_CASE("cancel_only lets an amend down pass", "[cells]") { in_every_scope(Held::cancel_only, working, amend_down, "ok"); }
TEST_CASE("cancel_only lets a cancel pass", "[cells]") { in_every_scope(Held::cancel_only, working, cancel, "ok"); }
TEST_CASE("cancel_only takes every report of the venue", "[cells]") {
    in_every_scope(Held::cancel_only, working, venue_events, "ok");
}

TEST_CASE("halted refuses a new order that increases", "[cells]") {
    in_every_scope(Held::halted, nothing, increase, "denied halted");
}
TEST_CASE("halted refuses a new order that reduces", "[cells]") {
    in_every_scope(Held::halted, short_of_10, increase, "denied halted");
}
TEST_CASE("halted refuses an amend up", "[cells]") { in_every_scope(Held::halted, working, amend_up, "denied halted"); }
TEST_CASE("halted refuses an amend to a more aggressive price", "[cells]") {
    in_every_scope(Held::halted, working, amend_price_up, "denied halted");
}
TEST_CASE("halted refuses an amend down", "[cells]") { in_every_scope(Held::halted, working, amend_down, "denied halted"); }
TEST_CASE("halted lets a cancel pass", "[cells]") { in_every_scope(Held::halted, working, cancel, "ok"); }
TEST_CASE("halted takes every report of the venue", "[cells]") { in_every_scope(Held::halted, working, venue_events, "ok"); }

TEST_CASE("the most severe of the covering states counts, whatever the scope", "[cells]") {
    TradingDesk desk;
    desk.hold(-10);
    desk.halt(kFirm, TradingState::reducing_only);
    desk.halt(kStrategyEs, TradingState::cancel_only);
    CHECK(text_of(desk.buy("O", 1)) == "denied cancel_only s1/ES");
    desk.halt(kAccountEs, TradingState::halted);
    CHECK(text_of(desk.buy("O", 1)) == "denied halted A1/ES");
}

TEST_CASE("a state holds its scope and no other", "[cells]") {
    TradingDesk desk;
    desk.halt(kAccountEs, TradingState::halted);
    CHECK(desk.send({.instrument = kNq}).accepted());
    CHECK(desk.send({.account = kA2}).accepted());
    CHECK(text_of(desk.send({.id = "O-2", .session = kSessionS2})) == "denied halted A1/ES");
}

TEST_CASE("a halt never lowers a state", "[cells]") {
    TradingDesk desk;
    desk.halt(kFirm, TradingState::cancel_only);
    for (const TradingState lower : {TradingState::active, TradingState::warn, TradingState::reducing_only})
        CHECK(desk.halt(kFirm, lower).reason == DenyReason::not_allowed);
    CHECK(desk.state_of(kFirm) == TradingState::cancel_only);
    CHECK(desk.halt(kFirm, TradingState::halted).result == Result::ok);
}

TEST_CASE("a state is latched: nothing but a resume releases it, neither time nor fills nor a new session", "[cells]") {
    TradingDesk desk;
    desk.buy("O", 5);
    desk.halt(kStrategyEs, TradingState::halted);
    desk.now += 86'400 * kSecond;
    desk.fill("O", "E1", 5);
    desk.die(kSessionS1);
    desk.registry.attach(kSessionS1, kS1, desk.now);
    CHECK(text_of(desk.buy("O-2", 1)) == "denied halted s1/ES");
    CHECK(desk.registry.resume(desk.person(0), kStrategyEs, TradingState::active).result == Result::ok);
    CHECK(desk.buy("O-2", 1).accepted());
}

TEST_CASE("a change of state records who, why, when and what was before", "[cells]") {
    TradingDesk desk;
    desk.halt(kAccountEs, TradingState::warn);
    desk.now += kSecond;
    desk.registry.halt(desk.person(4711), kAccountEs, TradingState::halted);
    const core::State& state = desk.registry.state();
    const layout::RowLatch& latch = state.rows_cold[state.geometry.row_of(kAccountEs)].latch.newest();
    CHECK(latch.uid == 4711);
    CHECK(latch.changed_ns == desk.now);
    CHECK(latch.previous == TradingState::warn);
    CHECK(std::string(latch.reason.text, latch.reason.size) == "test");
}

TEST_CASE(
    "a second halt keeps who, why, when and before of the first, answers so, and stands in the log; a more severe one replaces",
    "[cells]") {
    for (const TradingState severity :
         {TradingState::warn, TradingState::reducing_only, TradingState::cancel_only, TradingState::halted})
        for (const Scope& scope : scopes_of_s1()) {
            INFO(name_of(severity) << " on " << text_of(scope));
            TradingDesk desk;
            const core::State& state = desk.registry.state();
            const auto latch = [&] { return state.rows_cold[state.geometry.row_of(scope)].latch.newest(); };
            const std::int64_t first_ns = desk.now;
            CHECK_FALSE(desk.registry.halt(desk.person(4711), scope, severity).already);
            const std::size_t changes = desk.events(layout::EventType::state_changed);
            desk.now += kSecond;
            const Verdict again = desk.registry.halt(desk.person(815), scope, severity);
            CHECK(again.result == Result::ok);
            CHECK(again.already);
            CHECK(desk.events(layout::EventType::state_changed) == changes + 1);
            CHECK(latch().uid == 4711);
            CHECK(latch().changed_ns == first_ns);
            CHECK(latch().previous == TradingState::active);
            CHECK(latch().seq == again.seq);  // whoever asked for a resume before did not see it
            if (severity == TradingState::halted) {
                CHECK(latch().halted_seq == again.seq);  // what was loaded meanwhile is to be cancelled, too
                continue;
            }
            CHECK_FALSE(desk.registry.halt(desk.person(99), scope, TradingState::halted).already);
            CHECK(latch().uid == 99);
            CHECK(latch().changed_ns == desk.now);
            CHECK(latch().previous == severity);
        }
}

TEST_CASE("what a release of unreconciled says does not hide who halted the firm", "[cells]") {
    TradingDesk desk;
    const core::State& state = desk.registry.state();
    const auto latch = [&] { return state.rows_cold[state.geometry.firm_row()].latch.newest(); };
    desk.registry.halt(desk.person(4711), kFirm, TradingState::halted);
    const std::int64_t halted_ns = desk.now;
    desk.unreconcile();
    desk.now += kSecond;
    REQUIRE(desk.registry.release_unreconciled(desk.person(815)).result == Result::ok);
    CHECK(latch().uid == 4711);
    CHECK(latch().changed_ns == halted_ns);
    // A firm that was active has nobody else to name.
    REQUIRE(desk.registry.resume(desk.person(1), kFirm, TradingState::active).result == Result::ok);
    desk.unreconcile();
    REQUIRE(desk.registry.release_unreconciled(desk.person(815)).result == Result::ok);
    CHECK(latch().uid == 815);
}

TEST_CASE("an entry of the restricted list that is set twice keeps why it was put there, and answers so", "[cells]") {
    TradingDesk desk;
    const core::State& state = desk.registry.state();
    const auto why = [&] {
        const layout::Reason reason = state.restrictions[0].state.newest().reason;
        return std::string(reason.text, reason.size);
    };
    Restriction entry;
    entry.sell = false;
    entry.reason = "news";
    CHECK_FALSE(desk.registry.restrict(desk.person(1), kAccountEs, entry).already);
    entry.reason = "again";
    CHECK(desk.registry.restrict(desk.person(2), kAccountEs, entry).already);
    CHECK(why() == "news");
    entry.sell = true;  // another entry by what it says
    CHECK_FALSE(desk.registry.restrict(desk.person(2), kAccountEs, entry).already);
    CHECK(why() == "again");
    CHECK(desk.events(layout::EventType::restricted_changed) == 3);
}

TEST_CASE("a change of limits tells what they were before", "[cells]") {
    TradingDesk desk;
    const core::State& state = desk.registry.state();
    const auto newest = [&](std::uint64_t back) { return state.ring_slot(state.log->committed - back); };
    desk.limit(kFirm, &Limits::max_long, 60);
    desk.limit(kFirm, &Limits::daily_loss, 1000);
    desk.limit(kFirm, &Limits::daily_loss, 500);
    CHECK(newest(0).header.type == layout::EventType::risk_limits_changed);
    CHECK(newest(0).risk_limits.before.daily_loss == 1000);
    CHECK(newest(0).risk_limits.after.daily_loss == 500);
    CHECK(newest(1).limits.before.max_long == 60);
    desk.limit(kFirm, &Limits::max_long, 1);
    CHECK(newest(0).limits.before.max_long == 60);
    CHECK(newest(0).limits.after.max_long == 1);
}

TEST_CASE("an order that was accepted before a halt must not be sent any more", "[cells]") {
    for (const Scope& scope : scopes_of_s1()) {
        TradingDesk desk;
        desk.buy("O", 5);
        CHECK(desk.begin_send("O").accepted());
        desk.halt(scope, TradingState::halted);
        CHECK(text_of(desk.begin_send("O")) == "denied halted " + text_of(scope));
    }
}

TEST_CASE("an order is kill_cancel when a covering scope was halted after its registration and as long as it lives",
          "[cells]") {
    for (const Scope& scope : scopes_of_s1()) {
        TradingDesk desk;
        desk.buy("O", 5);
        desk.halt(scope, TradingState::cancel_only);
        CHECK((desk.view("O").flags & kKillCancel) == 0);
        desk.halt(scope, TradingState::halted);
        CHECK((desk.view("O").flags & kKillCancel) != 0);
        desk.registry.resume(desk.person(0), scope, TradingState::active);
        desk.buy("O-2", 5);
        CHECK((desk.view("O-2").flags & kKillCancel) == 0);
        desk.tell(EventKind::canceled, "O");
        CHECK((desk.view("O").flags & kKillCancel) == 0);
    }
}

// ---- sessions: what each beginning and end of one leaves ----------------------------------------------------------------

TEST_CASE("an order, its execution and what was quarantined stand in their slots with moment, sequence and neighbours",
          "[cells]") {
    TradingDesk desk;
    const core::State& state = desk.registry.state();
    desk.buy("O", 10);
    const layout::OrderIdentity& order = state.orders[0].identity;
    CHECK(order.head == 0);
    CHECK(order.previous == core::kNoSlot);
    CHECK(order.created_seq == state.log->committed);
    CHECK(order.created_ns == desk.now);
    desk.now += kSecond;
    desk.fill("O", "E-1", 2);
    desk.fill("O", "E-2", 3);
    const layout::ExecutionIdentity& execution = state.executions[1].identity;
    CHECK(execution.id.view() == "E-2");
    CHECK(execution.order_slot == 0);
    CHECK(execution.previous == 0);
    CHECK(execution.time_ns == desk.now);
    CHECK(execution.seq == state.log->committed);
    CHECK(state.executions[0].identity.previous == core::kNoSlot);
    desk.now += kSecond;
    desk.fill_unknown("E-3");
    const layout::QuarantineSlot& quarantined = state.quarantine[0];
    CHECK(quarantined.exec_id.view() == "E-3");
    CHECK(quarantined.time_ns == desk.now);
    CHECK(quarantined.seq == state.log->committed);
}

TEST_CASE("whatever changes who may trade moves the word that readers without the lock look at first", "[cells]") {
    TradingDesk desk;
    core::State& state = desk.registry.state();
    const auto require_moved = [&] { CHECK(state.status->state_epoch == state.log->committed); };
    desk.buy("O", 10);
    CHECK(state.status->state_epoch < state.log->committed);
    desk.halt(kFirm, TradingState::halted);
    require_moved();
    desk.registry.resume(desk.person(0), kFirm, TradingState::active);
    require_moved();
    desk.unreconcile();
    require_moved();
    desk.registry.release_unreconciled(desk.person(0));
    require_moved();
    layout::Event rolled{};
    rolled.header.type = layout::EventType::rolled;
    rolled.header.words = layout::words_in(rolled.header.type);
    core::execute(core::Exclusive::alone(state), rolled);
    require_moved();
    CHECK(state.header->state == static_cast<std::uint64_t>(layout::SegmentState::rolled));
}

TEST_CASE("a message that no budget of a row counts leaves the meters of that row alone", "[cells]") {
    TradingDesk desk;
    desk.limit(kFirm, &Limits::max_messages, 100);
    const core::State& state = desk.registry.state();
    const auto meters_of = [&](const Scope& scope) {
        return state.rows_risk[state.geometry.row_of(scope)].meters.newest().seq;
    };
    const std::uint64_t before = meters_of(kAccountEs);
    desk.buy("O", 10);
    CHECK(meters_of(kFirm) == state.log->committed);
    CHECK(meters_of(kAccountEs) == before);
}

TEST_CASE("a session stands in its slot and with its strategy as what it is: attached, detached, dead or fenced", "[cells]") {
    using layout::EventType;
    using Status = layout::SessionStatus;
    struct End {
        EventType event;
        Status status;
    };
    for (const End end : {End{EventType::session_detached, Status::detached}, End{EventType::session_dead, Status::dead},
                          End{EventType::session_fenced, Status::fenced}}) {
        TradingDesk desk;
        core::State& state = desk.registry.state();
        const auto generation = static_cast<std::uint32_t>(state.log->next_generation);
        constexpr std::uint32_t slot = 5;
        const auto require = [&](Status status, std::int64_t ended_ns) {
            const layout::SessionRecord& record = state.sessions[slot].record.newest();
            CHECK(record.status == status);
            CHECK(record.ended_ns == ended_ns);
            CHECK(record.attached_ns == desk.now);
            CHECK(record.generation == generation);
            CHECK(record.strategy == static_cast<std::uint16_t>(kS2));
            CHECK(state.sessions[slot].word == layout::session_word(generation, status));
            const layout::StrategyState& strategy = state.strategies[static_cast<std::size_t>(kS2)].state.newest();
            CHECK(strategy.session == slot);
            CHECK(strategy.generation == generation);
            CHECK(strategy.status == status);
        };
        desk.registry.attach(slot, kS2, desk.now);
        CHECK(state.log->next_generation == generation + 1ULL);
        require(Status::attached, 0);
        desk.registry.end_session(slot, end.event, desk.now + kSecond);
        require(end.status, desk.now + kSecond);
    }
}

TEST_CASE("an order says when it changed last, and keeps nothing of a replacement that was answered", "[cells]") {
    for (const EventKind answer : {EventKind::replaced, EventKind::replace_rejected}) {
        TradingDesk desk;
        desk.buy("O", 5);
        const auto order = [&]() -> const layout::OrderState& { return desk.registry.state().orders[0].state.newest(); };
        CHECK(order().updated_ns == desk.now);
        desk.now += kSecond;
        desk.acked("O");
        CHECK(order().updated_ns == desk.now);
        desk.amend({.id = "O", .quantity = lots(6), .price = px(101)});
        CHECK(order().pending_price == px(101).value);
        CHECK(order().pending_quantity == lots(6).value);
        CHECK(order().pending_reserved_price == px(101).value);
        desk.tell(answer, "O");
        CHECK(order().pending_price == 0);
        CHECK(order().pending_quantity == 0);
        CHECK(order().pending_reserved_price == 0);
    }
}

TEST_CASE("a new id of an order stands in its own slot, with its place in the chain and who asked", "[cells]") {
    TradingDesk desk;
    desk.buy("O", 5);
    desk.acked("O");
    desk.now += kSecond;
    REQUIRE(desk.amend({.id = "O", .quantity = lots(6), .price = px(101), .new_id = "O-2"}).taken());
    const core::State& state = desk.registry.state();
    const layout::OrderIdentity& alias = state.orders[1].identity;
    CHECK(alias.id.view() == "O-2");
    CHECK(alias.price == px(101).value);
    CHECK(alias.quantity == lots(6).value);
    CHECK(alias.created_ns == desk.now);
    CHECK(alias.created_seq == state.log->committed);
    CHECK(alias.instrument == 0);
    CHECK(alias.account == 0);
    CHECK(alias.strategy == 0);
    CHECK(alias.head == 0);
    CHECK(alias.previous == 0);
    CHECK(alias.session == kSessionS1);
    CHECK(alias.generation == state.orders[0].identity.generation);
    CHECK(alias.generation != 0);
    CHECK(alias.kind == layout::SlotKind::alias);
    CHECK(alias.side == Side::buy);
    const layout::OrderState& presence = state.orders[1].state.newest();
    CHECK(presence.updated_ns == desk.now);
    CHECK(presence.last_alias == layout::kNoSlot);
    CHECK(presence.pending_alias == layout::kNoSlot);
    CHECK(presence.last_execution == layout::kNoSlot);
    CHECK(state.log->next_order == 2);
}

TEST_CASE("a report of an order that nobody knows is kept in full", "[cells][inv-8]") {
    TradingDesk desk;
    desk.tell({.kind = EventKind::filled,
               .id = "X",
               .exec_id = "E",
               .price = px(100),
               .quantity = lots(3),
               .instrument = kNq,
               .side = Side::sell,
               .account = kA2});
    const core::State& state = desk.registry.state();
    REQUIRE(state.log->next_quarantine == 1);
    const layout::QuarantineSlot& kept = state.quarantine[0];
    CHECK(kept.seq == state.log->committed);
    CHECK(kept.order_id.view() == "X");
    CHECK(kept.exec_id.view() == "E");
    CHECK(kept.price == px(100).value);
    CHECK(kept.quantity == lots(3).value);
    CHECK(kept.time_ns == desk.now);
    CHECK(kept.instrument == 1);
    CHECK(kept.account == 1);
    CHECK(kept.side == Side::sell);
    CHECK(kept.booked == 1);
}

TEST_CASE("a reference price has the session as its owner that asked for it first", "[cells]") {
    TradingDesk desk;
    core::Decision decision;
    core::decide_reference_owner(desk.registry.state(), desk.by(kSessionS2), 1, decision);
    REQUIRE(decision.commit);
    core::execute(core::Exclusive::alone(desk.registry.state()), decision.event);
    const layout::ReferenceOwner& owner = desk.registry.state().references[1].owner.newest();
    CHECK(owner.session == kSessionS2);
    CHECK(owner.generation == desk.by(kSessionS2).generation);
    core::Decision other;
    core::decide_reference_owner(desk.registry.state(), desk.by(kSessionS1), 1, other);
    CHECK(other.verdict.reason == DenyReason::not_owner);
}
