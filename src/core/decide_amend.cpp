// Requests about an order that exists: replace (semantics.md 12), cancel, abort.
#include "core/book.hpp"
#include "core/life.hpp"
#include "core/meter.hpp"
#include "core/value.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

/// Finds the order that a request names; denies when there is none.
bool deny_unknown(const State& state, std::uint32_t account, std::string_view id, Life& life, Decision& out) noexcept {
    if (!base::is_valid_id(id)) return deny(state, DenyReason::invalid_order_id, out), true;
    const std::uint32_t head = find_head(state, account, id);
    if (head == kNoSlot) return deny(state, DenyReason::unknown_order, out), true;
    if (!is_sound_order(state, head)) return deny(state, DenyReason::poisoned, out), true;
    life = begin_life(state, head);
    return false;
}

/// A refusal about a known order says how the order stands.
void deny_order(const State& state, const Life& life, DenyReason reason, const Compared& compared, Decision& out) noexcept {
    deny(state, reason, compared, out);
    report(state, life, out.verdict);
}
void deny_order(const State& state, const Life& life, DenyReason reason, Decision& out) noexcept {
    deny_order(state, life, reason, Compared{}, out);
}

/// The requested version of the order.
struct Target {
    std::int64_t price = 0;
    std::int64_t quantity = 0;
    std::int64_t reserved_price = 0;
    bool has_price = false;
    bool price_changes = false;
    bool more_aggressive = false;
    bool down = false;
};

Target target_of(const Life& life, const ReplaceRequest& request) noexcept {
    const OrderState& now = *life.now;
    Target target;
    target.price = request.price.value_or(Price{now.price}).value;
    target.quantity = request.quantity.value_or(Quantity{now.quantity}).value;
    target.reserved_price = now.reserved_price;
    target.has_price = request.price.has_value() || (life.identity->flags & kHasPrice) != 0;
    // A price on a market or pegged order is accepted and ignored for risk (semantics.md 3).
    const bool by_limit = needs_price(life.identity->type);
    target.price_changes = by_limit && target.price != now.price;
    const bool buy = life.identity->side == Side::buy;
    const bool less_aggressive = buy ? target.price <= now.price : target.price >= now.price;
    target.more_aggressive = target.price_changes && !less_aggressive;
    target.down = target.quantity <= now.quantity && (less_aggressive || !by_limit);
    return target;
}

/// Whether the order may be amended at all, and by this request.
bool deny_amend(const State& state, const Caller& caller, const ReplaceRequest& request, const Life& life, const Target& target,
                Decision& out) noexcept {
    const OrderState& now = *life.now;
    const auto refuse = [&](DenyReason reason) { return deny_order(state, life, reason, out), true; };
    if (!is_live(now.base)) return refuse(DenyReason::terminal);
    if (life.has(kPendingCancel)) return refuse(DenyReason::pending_cancel);
    if (life.has(kPendingReplace)) return refuse(DenyReason::pending_replace);
    if (request.expected_version && *request.expected_version != now.version) {
        deny_order(state, life, DenyReason::version_mismatch, {kNoSlot, now.version, *request.expected_version, Unit::version},
                   out);
        return true;
    }
    if (life.identity->strategy != caller.strategy) return refuse(DenyReason::not_owner);
    if (target.quantity < now.cum_quantity) {
        deny_order(state, life, DenyReason::below_cum, {kNoSlot, target.quantity, now.cum_quantity, Unit::quantity}, out);
        return true;
    }
    const bool had_stop = (life.identity->flags & kHasStopPrice) != 0;
    const bool stop_differs = request.stop_price && (!had_stop || request.stop_price->value != life.identity->stop_price);
    const bool price_unknown_to_type = request.price && !may_have_price(life.identity->type);
    if (stop_differs || price_unknown_to_type) return refuse(DenyReason::field_not_amendable);
    if (now.base == OrderBase::pending_new && !state.has_setting(kAmendBeforeAck)) return refuse(DenyReason::not_acknowledged);
    return false;
}

/// The new id of the chain: empty or the current one keeps the id.
bool deny_new_id(const State& state, const Life& life, std::string_view new_id, bool& takes_slot, Decision& out) noexcept {
    takes_slot = !new_id.empty() && base::make_id(new_id) != state.orders[life.now->last_alias].identity.id;
    if (!takes_slot) return false;
    if (!base::is_valid_id(new_id)) return deny_order(state, life, DenyReason::invalid_order_id, out), true;
    const base::FixedId id = base::make_id(new_id);
    const Found found = find_order(state, life.identity->account, id, order_hash(life.identity->account, id));
    return found.slot != kNoSlot && (deny_order(state, life, DenyReason::duplicate_order_id, out), true);
}

/// Shape and reference price, as far as the amend changes what they judge.
bool deny_values(const State& state, const Caller& caller, const Life& life, Target& target, Decision& out) noexcept {
    const OrderIdentity& identity = *life.identity;
    const PricedOrder priced{
        identity.instrument, identity.side,       identity.type,  target.has_price, (identity.flags & kHasStopPrice) != 0,
        target.price,        identity.stop_price, target.quantity};
    const Prices prices = target.price_changes ? Prices::are_new : Prices::stand;
    if (deny_shape(state, priced, prices, out)) return report(state, life, out.verdict), true;
    // An amend that only decreases keeps its reserve price: it must not be locked out by a missing reference.
    if (target.down && !target.price_changes) return false;
    if (!deny_reference(state, priced, caller.steady_ns, target.reserved_price, out)) return false;
    report(state, life, out.verdict);
    return true;
}

/// Check 3 on the growth: what is restricted, or would be a short sale.
bool deny_prohibited(const State& state, const RowsNow& rows, const Life& life, const Target& target, const Caller& caller,
                     Decision& out) noexcept {
    if (target.down) return false;
    const OrderIdentity& i = *life.identity;
    const std::int64_t growth = std::max<std::int64_t>(target.quantity - life.now->quantity, 0);
    return deny_restricted(state, rows, i.side, caller, out) ||
           (growth > 0 && deny_short_sale(state, rows, i.instrument, i.side, growth, out));
}

/// Checks 8 and 10; from here on a refusal counts as a message.
bool deny_message(const State& state, const RowsNow& rows, Life& life, const Target& target, std::int64_t now_ns,
                  Decision& out) noexcept {
    if (target.down) return life.metered = metered_as_relief(state, rows), false;
    if (deny_rate(state, rows, nullptr, now_ns, life.metered, out)) return true;
    out.metered = life.metered;
    const OrderIdentity& i = *life.identity;
    // A stop that was filled in part has triggered: it is what it then became.
    const bool stop = needs_stop_price(i.type);
    const bool by_limit = needs_price(i.type);
    if (stop && life.now->cum_quantity <= 0) return false;
    const PricedOrder order{
        i.instrument,   i.side, by_limit ? OrderType::limit : OrderType::market, target.has_price, false, target.price, 0,
        target.quantity};
    const bool meets_more = target.more_aggressive || (!by_limit && target.quantity > life.now->quantity);
    BookKey key = 0;
    if (!keeps_books(state) || !incoming_key(state, order, key)) return false;
    if (meets_more && deny_self_match(state, i.account, order, key, nullptr, out)) return true;
    // With an order that is in no book, nobody can say what this one would meet.
    const bool unknown = meets_more && load_relaxed(state.status->book_overflow) != 0;
    const bool room = !target.price_changes || has_book_room(state, i.account, i.instrument, i.side, key);
    return (unknown || !room) && deny_full_books(state, out);
}

/// Checks 7, 8, 10, 11 and 12 on the growth that the request asks for.
bool deny_growth(const State& state, const RowsNow& rows, Life& life, const Target& target, bool takes_slot,
                 const Caller& caller, Decision& out) noexcept {
    const OrderState& now = *life.now;
    const base::NotionalFactor factor = factor_of(state, life.identity->instrument);
    const auto old_total = base::notional(now.reserved_price, now.quantity, factor);
    const auto new_total = base::notional(target.reserved_price, target.quantity, factor);
    const bool fits = set_reservation(life, factor);
    Growth growth;
    growth.side = life.identity->side;
    growth.quantity = life.after.reserved_quantity - now.reserved_quantity;
    growth.notional = life.after.reserved_notional - now.reserved_notional;
    growth.order_quantity = target.quantity > now.quantity ? target.quantity : 0;
    growth.order_notional = new_total && old_total && *new_total > *old_total ? *new_total : 0;
    growth.values = values_of(state, life);
    for (std::size_t k = kFirstInstrumentRow; k < kRowsPerOrder; ++k)
        growth.unpriced |= (state.rows_risk[rows.rows[k]].value.newest().flags & kPriced) == 0 ? 1U << k % kPairs : 0U;
    const bool breaks = breaks_any(rows, growth);
    const bool denied = deny_single_order(state, rows, growth, breaks, out) ||
                        (!(fits && new_total) && (deny(state, DenyReason::arithmetic_overflow, out), true)) ||
                        deny_message(state, rows, life, target, steady_time(state, caller), out) ||
                        deny_exposure(state, rows, life.identity->instrument, growth, breaks, nullptr, caller.steady_ns, out) ||
                        (takes_slot && deny_order_slots(state, 1, target.down ? Room::all : Room::but_reserve, out));
    if (denied) report(state, begin_life(state, life.slot), out.verdict);
    return denied;
}

void request_replace(Life& life, const Target& target, std::uint32_t alias) noexcept {
    life.set(kPendingReplace);
    life.numbers = LifeNumbers::pending;
    life.after.pending_price = target.price;
    life.after.pending_quantity = target.quantity;
    life.after.pending_reserved_price = target.reserved_price;
    life.after.pending_alias = alias;
}

}  // namespace

void decide_replace(const State& state, const Caller& caller, const ReplaceRequest& request, Decision& out) noexcept {
    Life life;
    if (deny_unknown(state, static_cast<std::uint16_t>(request.account), request.id, life, out)) return;
    Target target = target_of(life, request);
    if (deny_amend(state, caller, request, life, target, out)) return;
    RowsNow rows;
    const OrderIdentity& identity = *life.identity;
    load_rows(state, rows_of(state.geometry, identity.account, identity.strategy, identity.instrument), nullptr, rows);
    const Intent intent = target.down ? Intent::amend_down : Intent::amend_up;
    if (deny_log_room(state, rows, intent, identity.side, 0, out) || deny_state(state, rows, intent, identity.side, 0, out))
        return report(state, life, out.verdict);
    out.instrument = identity.instrument;
    if (deny_prohibited(state, rows, life, target, caller, out)) return report(state, life, out.verdict);
    bool takes_slot = false;
    if (deny_new_id(state, life, request.new_id, takes_slot, out)) return;
    if (deny_values(state, caller, life, target, out)) return;
    const auto alias = static_cast<std::uint32_t>(load_relaxed(state.log->next_order));
    request_replace(life, target, takes_slot ? alias : kNoSlot);
    if (deny_growth(state, rows, life, target, takes_slot, caller, out)) return;
    out.metered = {};
    EventHeader header = header_of(state, EventType::replace_requested, caller);
    header.alias_slot = takes_slot ? alias : kNoSlot;
    write_life(state, life, header, takes_slot ? base::make_id(request.new_id) : base::FixedId{}, out);
}

void decide_cancel(const State& state, const Caller& caller, std::uint32_t account, std::string_view id,
                   Decision& out) noexcept {
    Life life;
    if (deny_unknown(state, account, id, life, out)) return;
    if (!is_live(life.now->base)) return deny_order(state, life, DenyReason::terminal, out);
    RowsNow rows;
    const OrderIdentity& i = *life.identity;
    load_rows(state, rows_of(state.geometry, i.account, i.strategy, i.instrument), nullptr, rows);
    life.metered = metered_as_relief(state, rows);
    life.changed = !life.has(kPendingCancel) || life.metered.all_messages != 0;
    life.set(kPendingCancel);
    write_life(state, life, header_of(state, EventType::cancel_requested, caller), {}, out);
}

void decide_abort(const State& state, const Caller& caller, std::uint32_t account, std::string_view id,
                  Decision& out) noexcept {
    Life life;
    if (deny_unknown(state, account, id, life, out)) return;
    if (!is_live(life.now->base)) return deny_order(state, life, DenyReason::terminal, out);
    if (life.identity->strategy != caller.strategy) return deny_order(state, life, DenyReason::not_owner, out);
    if (life.now->base != OrderBase::pending_new) return deny_order(state, life, DenyReason::not_allowed, out);
    life.end(OrderBase::aborted);
    set_reservation(life, factor_of(state, life.identity->instrument));
    write_life(state, life, header_of(state, EventType::aborted, caller), {}, out);
}

}  // namespace riskreg::core
