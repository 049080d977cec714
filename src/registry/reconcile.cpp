// Making ours equal to what the venue says: fills, then orders, then positions, each compared anew.
#include "riskreg/reconcile.hpp"

#include <cstdint>
#include <map>
#include <tuple>

#include "persist/strict_json.hpp"
#include "registry/breaks.hpp"

namespace riskreg {

using registry::OurRecords;
using registry::OwnChanges;

namespace {

constexpr int kTries = 10;    // of a call that met no lock in time
constexpr int kRounds = 3;    // of orders: one that lives again shows what else differs

/// Repeats what could not be taken now. Facts are recognised by their ids, so a repetition changes nothing twice.
template <class Call>
Verdict insist(Call call) {
    Verdict verdict = call();
    for (int i = 1; i < kTries && !verdict.taken() && verdict.reason == DenyReason::lock_timeout; ++i) verdict = call();
    return verdict;
}

/// What was done about one break. Without a name nothing was tried.
struct Deed {
    std::string name;
    std::string note;
    Verdict verdict{};
};

Deed nothing(std::string why) { return {{}, std::move(why), {}}; }

template <class Record>
const Record* record_of(const std::optional<std::vector<Record>>& section, const Break& found) noexcept {
    const std::size_t index = found.record.value_or(SIZE_MAX);
    return section && index < section->size() ? &(*section)[index] : nullptr;
}

class Reconciler {
public:
    Reconciler(Registry& registry, const VenueRecords& venue, ReconcileMode mode)
        : registry_(registry), venue_(venue), mode_(mode) {}

    Reconciliation run() {
        look();
        own_.left_alone = registry::newer_orders(ours_, venue_);
        for (const Break& found : breaks_)
            if (!found.newer) note(found);
        if (mode_ != ReconcileMode::report) settle_in_order();
        conclude();
        return std::move(result_);
    }

private:
    using Key = std::tuple<BreakKind, AccountId, InstrumentId, std::string, std::string>;
    [[nodiscard]] static Key key_of(const Break& found) {
        // Filled and total quantity of an order are two breaks.
        const bool cum = found.exec_id.empty() && found.theirs.starts_with("cum");
        return {found.kind, found.account, found.instrument, found.id, cum ? "cum" : found.exec_id};
    }

    void look() {
        ours_ = registry::our_records(registry_.reader());
        made_up_.clear();
        for (const ExecutionView& execution : ours_.executions) {
            const bool stands = !execution.busted && !execution.corrected && !execution.quarantined;
            if (stands && registry::is_made_up(execution.exec_id))
                made_up_[{execution.account, execution.order_id}].push_back(&execution);
        }
        breaks_ = registry::compare(ours_, venue_, own_);
    }
    Settlement& note(const Break& found) {
        const auto [known, is_new] = noted_.insert({key_of(found), result_.breaks.size()});
        if (is_new) result_.breaks.push_back({found, {}, {}, {}, false});
        return result_.breaks[known->second];
    }

    void settle_in_order() {
        const auto is_fill = [](const Break& found) { return !found.exec_id.empty(); };
        const auto is_position = [](const Break& found) { return found.kind == BreakKind::position; };
        const auto is_order = [&](const Break& found) { return !is_fill(found) && !is_position(found); };
        settle_all(is_fill);
        look();
        for (int round = 0; round < kRounds && settle_all(is_order); ++round) look();
        settle_all(is_position);
        look();
    }

    /// Tries each break of a kind once. False when there was nothing to try.
    template <class Concerns>
    bool settle_all(Concerns concerns) {
        bool tried = false;
        for (const Break& found : breaks_) {
            if (found.newer || !concerns(found) || !attempted_.insert(key_of(found)).second) continue;
            Deed deed = settle(found);
            Settlement& settlement = note(found);
            tried |= !deed.name.empty();
            settlement.deed = std::move(deed.name);
            settlement.note = std::move(deed.note);
            settlement.verdict = deed.verdict;
        }
        return tried;
    }

    Deed settle(const Break& found) {
        const bool adopts =
            found.kind == BreakKind::missing_here || (found.kind == BreakKind::fill_missing && !found.exec_id.empty());
        if (mode_ == ReconcileMode::adopt && !adopts) return nothing({});
        if (found.kind == BreakKind::position) return correct_position(found);
        if (found.kind == BreakKind::missing_at_venue) return end(found, EventKind::canceled);
        if (!found.exec_id.empty()) {
            const VenueFill* fill = record_of(venue_.fills, found);
            return fill != nullptr ? settle_fill(found, *fill) : nothing({});
        }
        const VenueOrder* order = record_of(venue_.orders, found);
        return order != nullptr ? settle_order(found, *order) : nothing({});
    }

    Deed tell(const OrderEvent& fact, std::string name, std::string remark = {}) {
        own_.changed.insert({fact.account, std::string(fact.id)});
        return {std::move(name), std::move(remark), insist([&] { return registry_.event(fact); })};
    }
    [[nodiscard]] static OrderEvent fact_of(EventKind kind, const Break& found) {
        OrderEvent fact;
        fact.kind = kind;
        fact.account = found.account;
        fact.id = found.id;
        return fact;
    }

    Deed end(const Break& found, EventKind kind) {
        OrderEvent fact = fact_of(kind, found);
        fact.text = "reconciled";
        return tell(fact, kind == EventKind::canceled       ? "canceled"
                          : kind == EventKind::expired      ? "expired"
                          : kind == EventKind::done_for_day ? "done_for_day"
                                                            : "rejected");
    }

    // ---- fills ----

    Deed settle_fill(const Break& found, const VenueFill& theirs) {
        if (found.kind != BreakKind::fill_missing)
            return corrected_fills_.insert(&theirs).second ? correct_fill(found, theirs, theirs.exec_id)
                                                           : nothing("settled together with another break of the fill");
        if (found.ours == "busted") return nothing("busted here: a person has to say which is right");
        if (const std::string made_up = take_made_up(found); !made_up.empty()) return correct_fill(found, theirs, made_up);
        OrderEvent fact = fact_of(EventKind::filled, found);
        fact.exec_id = theirs.exec_id;
        fact.instrument = theirs.instrument;
        fact.side = theirs.side;
        fact.price = theirs.price;
        fact.quantity = theirs.quantity;
        return tell(fact, "filled");
    }

    Deed correct_fill(const Break& found, const VenueFill& theirs, const std::string& booked) {
        OrderEvent fact = fact_of(EventKind::correct, found);
        fact.exec_id = booked;
        if (booked != theirs.exec_id) fact.new_exec_id = theirs.exec_id;
        fact.price = theirs.price;
        fact.quantity = theirs.quantity;
        fact.reopened = true;   // a smaller one may leave something open: the venue's order says whether it is
        return tell(fact, "correct", booked != theirs.exec_id ? "takes the place of " + booked : "");
    }

    /// A fill that was made up for this order and still stands: the real one, now named, takes its place.
    std::string take_made_up(const Break& found) {
        std::vector<const ExecutionView*>& standing = made_up_[{found.account, found.id}];
        if (standing.empty()) return {};
        std::string exec_id = standing.front()->exec_id;
        standing.erase(standing.begin());
        return exec_id;
    }

    // ---- orders ----

    /// Breaks of one order are settled one after the other: each looks at it as it is by then.
    Deed settle_order(const Break& found, const VenueOrder& theirs) {
        OrderView ours;
        if (!registry_.find(found.account, found.id, ours)) return adopt_order(theirs);
        switch (found.kind) {
            case BreakKind::missing_here: return nothing("the id is taken by another order");
            case BreakKind::status: return settle_status(found, ours, theirs);
            case BreakKind::fill_missing: return make_up_fill(found, ours, theirs);
            case BreakKind::price:
            case BreakKind::quantity: break;
            default: return nothing({});
        }
        if (found.amount.value < 0) return take_back_fill(found);
        return replace(found, ours, theirs);
    }

    Deed adopt_order(const VenueOrder& theirs) {
        OrderRequest order;
        order.id = theirs.id.empty() ? theirs.venue_id : theirs.id;
        order.account = theirs.account;
        order.instrument = theirs.instrument;
        order.side = theirs.side;
        order.tif = TimeInForce::gtc;  // the file does not say: no end of our day may give back what it reserves
        order.price = theirs.price;
        order.quantity = {theirs.quantity.value - theirs.cum_quantity.value};
        own_.changed.insert({theirs.account, std::string(order.id)});
        const Reader& reader = registry_.reader();
        Deed deed{"load_order", "strategy external", load(reader.strategy("external"), order)};
        for (const std::string& name : reader.strategies()) {
            const bool forbidden =
                deed.verdict.reason == DenyReason::not_permitted || deed.verdict.reason == DenyReason::unknown_strategy;
            if (deed.verdict.taken() || !forbidden) break;
            deed.note = "strategy " + name;
            deed.verdict = load(reader.strategy(name), order);
        }
        if (deed.verdict.taken() && !theirs.venue_id.empty())
            static_cast<void>(insist([&] { return registry_.acked(order.account, order.id, theirs.venue_id); }));
        return deed;
    }
    Verdict load(StrategyId strategy, const OrderRequest& order) {
        return insist([&] { return registry_.load_order(strategy, order); });
    }

    Deed settle_status(const Break& found, const OrderView& ours, const VenueOrder& theirs) {
        if (!registry::is_open(theirs)) return end_as(found, registry::status_of(theirs));
        if (!is_live(ours.base)) return replace(found, ours, theirs);
        if (ours.base == OrderBase::pending_new || (ours.flags & kUnknown) != 0) {
            OrderEvent fact = fact_of(EventKind::acked, found);
            fact.venue_id = theirs.venue_id;
            return tell(fact, "acked");
        }
        if (theirs.status == OrderStatus::suspended) return tell(fact_of(EventKind::suspended, found), "suspended");
        return tell(fact_of(EventKind::resumed, found), "resumed");
    }
    Deed end_as(const Break& found, OrderStatus status) {
        switch (status) {
            case OrderStatus::expired: return end(found, EventKind::expired);
            case OrderStatus::done_for_day: return end(found, EventKind::done_for_day);
            case OrderStatus::rejected: return end(found, EventKind::rejected);
            // All of it is filled here, too: it waits for the answer to a request for more.
            case OrderStatus::filled: return tell(fact_of(EventKind::replace_rejected, found), "replace_rejected");
            default: return end(found, EventKind::canceled);
        }
    }

    /// The venue's values become live; an order that had ended lives again by them.
    Deed replace(const Break& found, const OrderView& ours, const VenueOrder& theirs) {
        const std::int64_t leaves = theirs.quantity.value - theirs.cum_quantity.value;
        const bool states_total = found.kind == BreakKind::quantity;
        Quantity total = ours.quantity;
        if (states_total) total = found.amount;
        else if (!ours.loaded) total = theirs.quantity;
        else if (!is_live(ours.base) && __builtin_add_overflow(ours.cum_quantity.value, leaves, &total.value))
            return nothing("a quantity beyond what can be held");
        const bool open = registry::is_open(theirs);
        if (open && total <= ours.cum_quantity) return nothing("more is filled here than the venue has in all");
        const Price price = ours.has_price ? theirs.price : ours.price;
        if (is_live(ours.base) && price == ours.price && total == ours.quantity && ours.base != OrderBase::pending_new)
            return nothing("settled together with another break of the order");
        OrderEvent fact = fact_of(EventKind::replaced, found);
        fact.venue_id = ours.venue_id.empty() ? theirs.venue_id : std::string_view();
        fact.price = price;
        fact.quantity = total;
        return tell(fact, "replaced");
    }

    /// The venue has more filled and names no fill: one is booked at the order's price.
    Deed make_up_fill(const Break& found, const OrderView& ours, const VenueOrder& theirs) {
        Quantity there{};
        if (__builtin_add_overflow(ours.cum_quantity.value, found.amount.value, &there.value))
            return nothing("a quantity beyond what can be held");
        const std::string exec_id = registry::made_up_exec_id(ours, there);
        OrderEvent fact = fact_of(EventKind::filled, found);
        fact.exec_id = exec_id;
        fact.instrument = found.instrument;
        fact.side = theirs.side;
        fact.price = theirs.price;
        fact.quantity = found.amount;
        return tell(fact, "filled", "as " + exec_id);
    }

    /// More is filled here than there. Only what was made up is taken back; the venue's own executions are a person's matter.
    Deed take_back_fill(const Break& found) {
        for (const ExecutionView* execution : made_up_[{found.account, found.id}]) {
            if (execution->quantity.value > -found.amount.value) continue;
            OrderEvent fact = fact_of(EventKind::bust, found);
            fact.exec_id = execution->exec_id;
            fact.reopened = true;
            return tell(fact, "bust", execution->exec_id);
        }
        return nothing("the venue has fewer fills than it reported: a person has to say which");
    }

    // ---- positions ----

    Deed correct_position(const Break& found) {
        const std::optional<Price> price = price_for(found);
        if (!price) return nothing("no price is known to value it at: give the position one");
        if (found.amount.value == 0) return nothing("a difference beyond what can be held");
        const std::string text = "recon " + persist::format_time(venue_.time_ns);
        Deed deed{"load_position", {}, {}};
        deed.verdict = insist([&] {
            return registry_.load_position(found.account, StrategyId::none, found.instrument, found.amount, *price, text);
        });
        return deed;
    }
    /// What the position is valued at already, so that a correction is no profit and no loss.
    [[nodiscard]] std::optional<Price> price_for(const Break& found) const {
        const VenuePosition* stated = record_of(venue_.positions, found);
        if (stated != nullptr && stated->price) return stated->price;
        const Scope scope{ScopeKind::account_instrument, found.account, StrategyId::none, found.instrument};
        const ExposureView row = registry_.exposure(scope);
        if (row.priced) return row.mark;
        if (venue_.fills)
            for (const VenueFill& fill : *venue_.fills)
                if (fill.instrument == found.instrument) return fill.price;
        if (venue_.orders)
            for (const VenueOrder& order : *venue_.orders)
                if (order.instrument == found.instrument) return order.price;
        return std::nullopt;
    }

    void conclude() {
        std::set<Key> left;
        for (const Break& found : breaks_) {
            if (found.newer) {
                result_.newer.push_back(found);
                continue;
            }
            left.insert(key_of(found));
            note(found);
            result_.left.push_back(found);
        }
        for (Settlement& settlement : result_.breaks) settlement.settled = left.count(key_of(settlement.what)) == 0;
    }

    Registry& registry_;
    const VenueRecords& venue_;
    const ReconcileMode mode_;
    OurRecords ours_;
    std::map<registry::OrderKey, std::vector<const ExecutionView*>> made_up_;  // fills of earlier runs that still stand
    OwnChanges own_;
    std::vector<Break> breaks_;
    std::map<Key, std::size_t> noted_;  // index in result_.breaks
    std::set<Key> attempted_;
    std::set<const VenueFill*> corrected_fills_;  // whose price and quantity went over together
    Reconciliation result_;
};

}  // namespace

Reconciliation apply(Registry& registry, const VenueRecords& venue, ReconcileMode mode) {
    return Reconciler(registry, venue, mode).run();
}

}  // namespace riskreg
