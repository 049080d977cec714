#include "registry/breaks.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <tuple>

#include "base/decimal.hpp"
#include "base/fixed_id.hpp"
#include "base/wide.hpp"
#include "registry/names.hpp"

namespace riskreg {

std::string_view name_of(BreakKind kind) noexcept { return base::text_of(kind, "unknown"); }
std::string_view name_of(ReconcileMode mode) noexcept { return base::text_of(mode, "unknown"); }

std::vector<Break> reconcile(const Reader& reader, const VenueRecords& venue) {
    return registry::compare(registry::our_records(reader), venue);
}

}  // namespace riskreg

namespace riskreg::registry {

namespace {

constexpr std::string_view kMadeUp = "recon-";

std::string text_of(Quantity quantity) { return base::format_decimal(quantity.value, kQuantityDigits); }
std::string text_of(Price price) { return base::format_decimal(price.value, kPriceDigits); }
std::string cum_text(std::int64_t value) { return "cum " + text_of(Quantity{value}); }
std::string fill_text(Price price, Quantity quantity) { return text_of(quantity) + " at " + text_of(price); }

std::string order_text(Side side, Quantity quantity, const std::string& price, Quantity cum) {
    std::string text = std::string(name_of(side)) + " " + text_of(quantity) + " at " + price;
    if (cum.value != 0) text += ", " + text_of(cum) + " filled";
    return text;
}

/// Sums of what a file claims; no claim may overflow. Quantities of orders and fills are never negative.
std::int64_t sum(std::int64_t a, std::int64_t b) noexcept {
    bool saturated = false;
    return base::add_saturating(a, b, saturated);
}

/// What an order of the venue should be here.
struct Wanted {
    std::int64_t quantity = 0;   ///< our total
    std::int64_t lacking = 0;  ///< filled there and not here, beyond the fills that the file names; negative: the other way
};

/// `named`: fills that the file names and that are not booked here. Of an order that was loaded only the open quantity can be
/// compared: what it had filled before is not ours.
Wanted wanted_of(const OrderView& ours, const VenueOrder& theirs, std::int64_t named) noexcept {
    const std::int64_t booked = sum(ours.cum_quantity.value, named);
    if (!ours.loaded) return {theirs.quantity.value, theirs.cum_quantity.value - booked};
    const bool open = is_open(theirs);
    if (!open && status_of(theirs) != OrderStatus::filled) return {ours.quantity.value, 0};
    const std::int64_t leaves = open ? std::max<std::int64_t>(theirs.quantity.value - theirs.cum_quantity.value, 0) : 0;
    const std::int64_t needed = sum(booked, leaves);
    return needed < ours.quantity.value ? Wanted{ours.quantity.value, ours.quantity.value - needed} : Wanted{needed, 0};
}

class Comparison {
public:
    Comparison(const OurRecords& ours, const VenueRecords& venue, OwnChanges own)
        : ours_(ours), venue_(venue), own_(std::move(own)) {
        for (const OrderView& order : ours.orders) {
            for (const std::string& id : order.chain) by_id_[{order.account, id}] = &order;
            by_id_[{order.account, order.id}] = &order;
            if (!order.venue_id.empty()) by_venue_id_[{order.account, order.venue_id}] = &order;
        }
        for (const ExecutionView& execution : ours.executions) {
            // What was quarantined may have been reported by the venue's id.
            const OrderView* order = order_of(execution.account, execution.order_id, execution.order_id);
            const std::string& key = order != nullptr ? order->id : execution.order_id;
            executions_[{execution.account, key}].push_back(&execution);
            by_exec_id_.insert({{execution.account, key, execution.exec_id}, &execution});
        }
        if (venue.fills)
            for (const VenueFill& fill : *venue.fills) stated_.insert({fill.account, fill.exec_id});
        for (const ExecutionView& execution : ours.executions)
            if (execution.time_ns > venue.time_ns && !is_of_venue(execution))
                newer_rows_.insert({execution.account, execution.instrument});
    }

    std::vector<Break> run() {
        compare_fills();
        compare_orders();
        compare_positions();
        return std::move(breaks_);
    }

    std::set<OrderKey> newer_orders() const {
        std::set<OrderKey> keys;
        for (const OrderView& order : ours_.orders)
            if (is_newer(order)) keys.insert({order.account, order.id});
        return keys;
    }

private:
    [[nodiscard]] const OrderView* order_of(AccountId account, const std::string& id, const std::string& venue_id) const {
        if (!id.empty())
            if (const auto found = by_id_.find({account, id}); found != by_id_.end()) return found->second;
        if (venue_id.empty()) return nullptr;
        const auto found = by_venue_id_.find({account, venue_id});
        return found != by_venue_id_.end() ? found->second : nullptr;
    }

    /// The statement names this fill, or a reconciliation made it up: booking it later made nothing newer.
    [[nodiscard]] bool is_of_venue(const ExecutionView& execution) const {
        return is_made_up(execution.exec_id) || stated_.count({execution.account, execution.exec_id}) != 0;
    }

    [[nodiscard]] bool is_newer(const OrderView& order) const {
        const OrderKey key{order.account, order.id};
        if (own_.left_alone.count(key) != 0) return true;
        if (own_.changed.count(key) != 0) return false;
        if (order.created_ns > venue_.time_ns) return true;
        return order.updated_ns > venue_.time_ns && !last_changed_by_venue(key, order);
    }
    [[nodiscard]] bool last_changed_by_venue(const OrderKey& key, const OrderView& order) const {
        const auto found = executions_.find(key);
        if (found == executions_.end()) return false;
        for (const ExecutionView* execution : found->second)
            if (execution->time_ns == order.updated_ns && is_of_venue(*execution)) return true;
        return false;
    }

    Break& add(BreakKind kind, AccountId account, InstrumentId instrument, std::string id, std::string ours,
               std::string theirs) {
        Break found;
        found.kind = kind;
        found.account = account;
        found.instrument = instrument;
        found.id = std::move(id);
        found.ours = std::move(ours);
        found.theirs = std::move(theirs);
        return breaks_.emplace_back(std::move(found));
    }
    Break& add(BreakKind kind, const OrderView& order, std::size_t record, std::string ours, std::string theirs) {
        Break& found = add(kind, order.account, order.instrument, order.id, std::move(ours), std::move(theirs));
        found.newer = is_newer(order);
        found.record = record;
        return found;
    }

    // ---- fills ----

    [[nodiscard]] static bool stands(const ExecutionView& execution) noexcept {
        return !execution.busted && !execution.corrected && !execution.quarantined;
    }

    [[nodiscard]] const ExecutionView* execution_of(AccountId account, const std::string& order,
                                                    const std::string& exec_id) const {
        const auto found = by_exec_id_.find({account, order, exec_id});
        return found != by_exec_id_.end() ? found->second : nullptr;
    }

    void compare_fills() {
        if (!venue_.fills) return;
        for (std::size_t i = 0; i < venue_.fills->size(); ++i) compare_fill(i, (*venue_.fills)[i]);
    }

    void compare_fill(std::size_t record, const VenueFill& theirs) {
        const OrderView* order = order_of(theirs.account, theirs.id, theirs.venue_id);
        const std::string& id = order != nullptr ? order->id : theirs.id.empty() ? theirs.venue_id : theirs.id;
        const ExecutionView* booked = execution_of(theirs.account, id, theirs.exec_id);
        if (booked == nullptr) booked = execution_of(theirs.account, theirs.id, theirs.exec_id);
        if (booked == nullptr) booked = execution_of(theirs.account, theirs.venue_id, theirs.exec_id);
        const auto add_fill = [&](BreakKind kind, std::string ours, std::string stated) {
            Break& found = add(kind, theirs.account, theirs.instrument, id, std::move(ours), std::move(stated));
            found.exec_id = theirs.exec_id;
            found.record = record;
            found.amount = theirs.quantity;
        };
        if (booked == nullptr) {
            add_fill(BreakKind::fill_missing, "nothing", fill_text(theirs.price, theirs.quantity));
            if (order != nullptr) named_[order] = sum(named_[order], theirs.quantity.value);
        } else if (booked->busted) {
            add_fill(BreakKind::fill_missing, "busted", fill_text(theirs.price, theirs.quantity));
        } else if (stands(*booked)) {
            // A corrected one stands for its successor, a quarantined one moved the position and has no order to be held against.
            if (booked->quantity != theirs.quantity)
                add_fill(BreakKind::quantity, text_of(booked->quantity), text_of(theirs.quantity));
            if (booked->price != theirs.price) add_fill(BreakKind::price, text_of(booked->price), text_of(theirs.price));
        }
    }

    // ---- orders ----

    void compare_orders() {
        if (!venue_.orders) return;
        std::set<const OrderView*> seen;
        for (std::size_t i = 0; i < venue_.orders->size(); ++i) {
            const VenueOrder& theirs = (*venue_.orders)[i];
            const OrderView* ours = order_of(theirs.account, theirs.id, theirs.venue_id);
            if (ours != nullptr) seen.insert(ours);
            compare_order(i, ours, theirs);
        }
        for (const OrderView& order : ours_.orders) {
            if (!is_live(order.base) || seen.count(&order) != 0) continue;
            Break& found =
                add(BreakKind::missing_at_venue, order.account, order.instrument, order.id, describe(order), "nothing");
            found.newer = is_newer(order);
        }
    }

    void compare_order(std::size_t record, const OrderView* ours, const VenueOrder& theirs) {
        if (ours == nullptr) {
            if (!is_open(theirs)) return;
            const std::string& id = theirs.id.empty() ? theirs.venue_id : theirs.id;
            add(BreakKind::missing_here, theirs.account, theirs.instrument, id, "nothing", describe(theirs)).record = record;
        } else if (ours->instrument != theirs.instrument || ours->side != theirs.side) {
            add(BreakKind::missing_here, *ours, record, describe(*ours), describe(theirs));
        } else if (is_open(theirs)) {
            compare_open(record, *ours, theirs);
        } else {
            compare_ended(record, *ours, theirs);
        }
    }

    /// Fills that the statement names and we lack. One that was made up for want of a name is among them.
    [[nodiscard]] std::int64_t named_of(const OrderView& order) const {
        const auto found = named_.find(&order);
        if (found == named_.end()) return 0;
        std::int64_t made_up = 0;
        if (const auto ours = executions_.find({order.account, order.id}); ours != executions_.end())
            for (const ExecutionView* execution : ours->second)
                if (stands(*execution) && is_made_up(execution->exec_id)) made_up = sum(made_up, execution->quantity.value);
        return std::max<std::int64_t>(found->second - made_up, 0);
    }

    void compare_total(std::size_t record, const OrderView& ours, const Wanted& wanted, Quantity total_there) {
        if (wanted.quantity != ours.quantity.value)
            add(BreakKind::quantity, ours, record, text_of(ours.quantity), text_of(total_there)).amount = {wanted.quantity};
    }
    void compare_cum(std::size_t record, const OrderView& ours, const Wanted& wanted) {
        if (wanted.lacking == 0) return;
        const BreakKind kind = wanted.lacking > 0 ? BreakKind::fill_missing : BreakKind::quantity;
        const std::int64_t there = sum(sum(ours.cum_quantity.value, named_of(ours)), wanted.lacking);
        add(kind, ours, record, cum_text(ours.cum_quantity.value), cum_text(there)).amount = {wanted.lacking};
    }

    void compare_open(std::size_t record, const OrderView& ours, const VenueOrder& theirs) {
        const std::string_view mine = status_here(ours, theirs);
        if (!mine.empty()) add(BreakKind::status, ours, record, std::string(mine), std::string(name_of(status_of(theirs))));
        const Wanted wanted = wanted_of(ours, theirs, named_of(ours));
        if (!is_live(ours.base)) {  // the rest follows when it lives again, unless it has too much for that
            if (wanted.lacking < 0) compare_cum(record, ours, wanted);
            return;
        }
        if (ours.has_price && ours.price != theirs.price)
            add(BreakKind::price, ours, record, text_of(ours.price), text_of(theirs.price));
        compare_total(record, ours, wanted, theirs.quantity);
        compare_cum(record, ours, wanted);
    }
    /// Our status where that of an open order differs from it; how much is filled is a matter of quantities.
    [[nodiscard]] static std::string_view status_here(const OrderView& ours, const VenueOrder& theirs) noexcept {
        const OrderStatus stated = theirs.status;
        const bool working = stated == OrderStatus::new_ || stated == OrderStatus::partially_filled;
        const bool suspended = ours.base == OrderBase::suspended;
        const bool unknown = (ours.flags & kUnknown) != 0;
        if (!is_live(ours.base)) return name_of(ours.status);
        if (ours.base == OrderBase::pending_new && stated != OrderStatus::pending_new) return name_of(ours.status);
        if (unknown) return "unknown";
        const bool differs = suspended ? working : stated == OrderStatus::suspended;
        return differs ? name_of(ours.status) : std::string_view();
    }

    void compare_ended(std::size_t record, const OrderView& ours, const VenueOrder& theirs) {
        const bool filled = status_of(theirs) == OrderStatus::filled;
        const std::size_t before = breaks_.size();
        const Wanted wanted = wanted_of(ours, theirs, named_of(ours));
        if (filled) compare_total(record, ours, wanted, theirs.quantity);  // of a canceled one it is of no consequence
        compare_cum(record, ours, wanted);
        const bool fills_it = filled && (breaks_.size() > before || named_of(ours) > 0);
        if (is_live(ours.base) && !fills_it)
            add(BreakKind::status, ours, record, std::string(name_of(ours.status)), std::string(name_of(status_of(theirs))));
    }

    // ---- positions ----

    void compare_positions() {
        if (!venue_.positions) return;
        std::map<RowKey, std::size_t> stated;
        for (std::size_t i = 0; i < venue_.positions->size(); ++i)
            stated[{(*venue_.positions)[i].account, (*venue_.positions)[i].instrument}] = i;
        for (const OurRecords::Position& position : ours_.positions) {
            const RowKey key{position.account, position.instrument};
            const auto found = stated.find(key);
            const bool there = found != stated.end();
            const Quantity theirs = there ? (*venue_.positions)[found->second].quantity : Quantity{0};
            if (theirs == position.quantity) continue;
            Break& difference = add(BreakKind::position, position.account, position.instrument, {}, text_of(position.quantity),
                                    text_of(theirs));
            if (there) difference.record = found->second;
            difference.newer = newer_rows_.count(key) != 0;
            if (__builtin_sub_overflow(theirs.value, position.quantity.value, &difference.amount.value)) difference.amount = {};
        }
    }

    const OurRecords& ours_;
    const VenueRecords& venue_;
    const OwnChanges own_;
    std::map<OrderKey, const OrderView*> by_id_, by_venue_id_;
    std::map<OrderKey, std::vector<const ExecutionView*>> executions_;
    std::map<std::tuple<AccountId, std::string, std::string>, const ExecutionView*> by_exec_id_;
    std::set<std::pair<AccountId, std::string>> stated_;  // exec ids of the venue's fills
    std::set<RowKey> newer_rows_;
    std::map<const OrderView*, std::int64_t> named_;  // quantity of the fills that the statement names and we lack
    std::vector<Break> breaks_;
};

}  // namespace

OurRecords our_records(const Reader& reader) {
    OurRecords ours;
    reader.executions([&](const ExecutionView& execution) { return ours.executions.push_back(execution), true; });
    reader.orders([&](const OrderView& order) { return ours.orders.push_back(order), true; });
    reader.exposures([&](const ExposureView& row) {
        if (row.scope.kind == ScopeKind::account_instrument)
            ours.positions.push_back({row.scope.account, row.scope.instrument, row.position});
        return true;
    });
    return ours;
}

std::vector<Break> compare(const OurRecords& ours, const VenueRecords& venue, const OwnChanges& own) {
    return Comparison(ours, venue, own).run();
}

std::set<OrderKey> newer_orders(const OurRecords& ours, const VenueRecords& venue) {
    return Comparison(ours, venue, {}).newer_orders();
}

bool is_made_up(const std::string& exec_id) noexcept { return exec_id.starts_with(kMadeUp); }

std::string made_up_exec_id(const OrderView& order, Quantity cum_at_venue) {
    const auto scope = static_cast<std::uint64_t>(order.account) << 48 ^ static_cast<std::uint64_t>(order.cum_quantity.value);
    char digits[24];
    std::snprintf(digits, sizeof digits, "%012llx",
                  static_cast<unsigned long long>(base::hash_id(base::make_id(order.id), scope) >> 16));
    return std::string(kMadeUp) + digits + "-" + text_of(cum_at_venue);
}

OrderStatus status_of(const VenueOrder& order) noexcept {
    if (order.status != OrderStatus::none) return order.status;
    if (order.cum_quantity >= order.quantity) return OrderStatus::filled;
    return order.cum_quantity.value == 0 ? OrderStatus::new_ : OrderStatus::partially_filled;
}

bool is_open(const VenueOrder& order) noexcept {
    const OrderStatus status = status_of(order);
    return is_live(static_cast<OrderBase>(status)) || status == OrderStatus::pending_cancel ||
           status == OrderStatus::pending_replace;
}

std::string describe(const OrderView& order) {
    const std::string price = order.has_price ? text_of(order.price) : std::string(name_of(order.type));
    return order_text(order.side, order.quantity, price, order.cum_quantity) + ", " + std::string(name_of(order.status));
}

std::string describe(const VenueOrder& order) {
    return order_text(order.side, order.quantity, text_of(order.price), order.cum_quantity);
}

}  // namespace riskreg::registry
