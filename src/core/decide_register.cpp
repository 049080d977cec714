#include "core/book.hpp"
#include "core/content.hpp"
#include "core/decide_common.hpp"
#include "core/meter.hpp"
#include "core/overlay.hpp"
#include "core/value.hpp"

namespace riskreg::core {

using namespace layout;

NewOrder prepare(const State& state, const Caller& caller, const OrderRequest& request) noexcept {
    NewOrder order;
    const base::ParsedId parsed = base::parse_id(request.id);
    order.id_valid = parsed.valid;
    order.id = parsed.id;
    order.account = static_cast<std::uint16_t>(request.account);
    order.instrument = static_cast<std::uint32_t>(request.instrument);
    order.hash = order_hash(order.account, order.id);
    order.has_price = request.price.has_value();
    order.price = request.price.value_or(Price{}).value;
    order.has_stop_price = request.stop_price.has_value();
    order.stop_price = request.stop_price.value_or(Price{}).value;
    order.quantity = request.quantity.value;
    order.side = request.side;
    order.type = request.type;
    order.tif = request.tif;
    order.rows = rows_of(state.geometry, order.account, caller.strategy, order.instrument);
    return order;
}

void prefetch(const State& state, const NewOrder& order) noexcept {
    const auto to_write = [](const void* line) { __builtin_prefetch(line, 1, 3); };
    const auto to_read = [](const void* line) { __builtin_prefetch(line, 0, 3); };
    to_write(&state.order_index[order.hash & (state.geometry.order_index - 1U)]);
    const std::uint64_t slot = load_relaxed(state.log->next_order);
    if (slot < state.geometry.orders) {
        const auto* lines = reinterpret_cast<const char*>(&state.orders[slot]);
        for (std::size_t line = 0; line < 5; ++line) to_write(lines + 64 * line);
    }
    const auto* event = reinterpret_cast<const char*>(&state.ring_slot(load_relaxed(state.log->committed) + 1));
    for (std::size_t line = 0; line < 4; ++line) to_write(event + 64 * line);
    for (const std::uint32_t row : order.rows) {
        if (row == kNoSlot) continue;
        const auto* lines = reinterpret_cast<const char*>(&state.rows[row]);
        to_write(lines);
        to_write(lines + 64);
        to_read(lines + 128);
        to_read(lines + 192);
    }
}

namespace {

/// Of both copies: a hint needs no look at which of them counts.
unsigned kinds_on(const State& state, std::uint32_t row) noexcept {
    if (row == kNoSlot) return 0;
    const auto& copies = state.rows[row].control.copy;
    return (__atomic_load_n(&copies[0].set, __ATOMIC_RELAXED) | __atomic_load_n(&copies[1].set, __ATOMIC_RELAXED)) &
           kRiskLimitKinds;
}

/// Lines `from` to `to` of a record.
template <int kForWriting, class T>
inline void prefetch_lines(const T& record, std::size_t from, std::size_t to) noexcept {
    for (std::size_t at = 64 * from; at < 64 * to; at += 64)
        __builtin_prefetch(reinterpret_cast<const char*>(&record) + at, kForWriting, 3);
}

/// Addresses only: nothing here waits for what it asks for.
inline void prefetch_risk(const State& state, std::uint32_t row, unsigned kinds) noexcept {
    const RowRisk& risk = state.rows_risk[row];
    prefetch_lines<0>(risk.limits, 0, 4);
    if ((kinds & kHasValueLimits) != 0) {
        prefetch_lines<0>(risk.value, 0, 2);
        prefetch_lines<0>(state.rows_cold[row].day, 0, 2);
    }
    if ((kinds & kHasMessageLimits) != 0) prefetch_lines<1>(risk.meters, 0, 2);
}

}  // namespace

void prefetch_controls(const State& state, const Caller& caller, const NewOrder& order) noexcept {
    const bool known = order.account < state.geometry.accounts && order.instrument < state.geometry.instruments;
    if (known && (order.side == Side::buy || order.side == Side::sell)) prefetch_books(state, order.account, priced_of(order));
    unsigned any = 0;
    std::array<unsigned, kRowsPerOrder> kinds{};
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) any |= kinds[k] = kinds_on(state, order.rows[k]);
    if (any == 0) return;
    if ((any & kHasContentLimit) != 0) prefetch_content(state, content_hash(state, caller, order));
    for (std::size_t k = 0; k < kRowsPerOrder; ++k)
        if (kinds[k] != 0) prefetch_risk(state, order.rows[k], kinds[k]);
    prefetch_lines<0>(state.references[known ? order.instrument : 0], 0, 2);
    for (std::size_t k = 0; k < kRowsPerOrder; ++k)
        if ((kinds[k] & kHasMessageLimits) != 0) prefetch_budgets(state, order.rows[k]);
}

namespace {

/// Check 3: known, and permitted.
bool deny_permission(const State& state, const Caller& caller, const NewOrder& order, Decision& out) noexcept {
    const Geometry& g = state.geometry;
    if (order.account >= g.accounts) return deny(state, DenyReason::unknown_account, out), true;
    if (caller.strategy >= state.external_strategy()) return deny(state, DenyReason::unknown_strategy, out), true;
    if (order.instrument >= g.instruments) return deny(state, DenyReason::unknown_instrument, out), true;
    const bool permitted = state.may_trade_account(caller.strategy, order.account) &&
                           state.may_trade_instrument(caller.strategy, order.instrument);
    return !permitted && (deny(state, DenyReason::not_permitted, out), true);
}

bool same_content(const OrderIdentity& identity, const Caller& caller, const NewOrder& order) noexcept {
    const std::uint32_t flags = (order.has_price ? kHasPrice : 0U) | (order.has_stop_price ? kHasStopPrice : 0U);
    return identity.kind == SlotKind::order && identity.strategy == caller.strategy &&
           identity.instrument == order.instrument && identity.side == order.side && identity.type == order.type &&
           identity.tif == order.tif && identity.price == order.price && identity.quantity == order.quantity &&
           identity.stop_price == order.stop_price && (identity.flags & (kHasPrice | kHasStopPrice)) == flags;
}

/// Check 4: the id is well-formed and nobody used it today.
bool deny_identity(const State& state, const Caller& caller, const NewOrder& order, const BatchOverlay* overlay,
                   Decision& out) noexcept {
    if (!order.id_valid) return deny(state, DenyReason::invalid_order_id, out), true;
    const Found found = find_order(state, order.account, order.id, order.hash);
    const bool in_batch = overlay != nullptr && overlay->has_id(order.account, order.id);
    if (found.slot == kNoSlot) return in_batch && (deny(state, DenyReason::duplicate_order_id, out), true);
    const OrderSlot& slot = state.orders[found.slot];
    if (!same_content(slot.identity, caller, order)) return deny(state, DenyReason::duplicate_order_id, out), true;
    deny(state, DenyReason::already_registered, out);
    const OrderState& now = slot.state.newest();
    Verdict& v = out.verdict;
    v.has_order = true;
    v.status = status_of(now.base, now.flags);
    v.flags = derived_flags(state, slot.identity, now);
    v.cum_quantity.value = now.cum_quantity;
    v.leaves_quantity.value = leaves_of(now.base, now.quantity, now.cum_quantity);
    return true;
}

/// Check 12, the books of own orders: apply cannot fail, so their room is looked for before.
bool deny_book_room(const State& state, const RowsNow& now, const NewOrder& order, BookKey key, std::size_t batched,
                    Decision& out) noexcept {
    const bool room = has_book_room(state, order.account, order.instrument, order.side, key, batched) &&
                      load_relaxed(state.status->book_overflow) == 0;
    if (room) [[likely]]
        return false;
    // What only reduces is not locked out (INV-12); from then on no book is believed.
    if (is_reducing(*now.counters[kAccountInstrumentRow], order.side, order.quantity)) return false;
    return deny_full_books(state, out);
}

/// Check 12, the tables. Nearly always there is room for anybody, so who reduces is asked last.
bool deny_tables(const State& state, const RowsNow& now, const NewOrder& order, std::uint64_t batched, Decision& out) noexcept {
    if (leaves_reserves(state, batched + 1)) [[likely]]
        return false;
    const bool reduces = is_reducing(*now.counters[kAccountInstrumentRow], order.side, order.quantity);
    return deny_capacity(state, batched + 1, reduces ? Room::all : Room::but_reserve, out);
}

bool deny_enumerations(const State& state, const NewOrder& order, Decision& out) noexcept {
    const bool legal = (order.side == Side::buy || order.side == Side::sell) && order.type >= OrderType::limit &&
                       order.type <= kLastOrderType && order.tif >= TimeInForce::day && order.tif <= TimeInForce::gtd;
    return !legal && (deny(state, DenyReason::invalid_field, out), true);
}

/// What the checks worked out and the event carries.
struct Terms {
    std::int64_t reserved_price = 0;
    std::int64_t reserved_notional = 0;
    Metered metered{};
    std::uint32_t content_previous = kNoSlot;
    bool indexes_content = false;
    ValueDelta values{};
    std::optional<std::int64_t> mark;   // for rows that have none yet; worst-case method only
};

/// What the order adds to the rows' values by the worst-case method, where an order alone changes them.
void value_order(const State& state, const RowsNow& now, const NewOrder& order, const BatchOverlay* overlay,
                 std::int64_t steady_ns, Growth& growth, Terms& terms) noexcept {
    if (!state.has_setting(kGrossWorstCase)) [[likely]]
        return;
    unsigned unpriced = 0;
    for (std::size_t k = kFirstInstrumentRow; k < kRowsPerOrder; ++k)
        unpriced |= (state.rows_risk[now.rows[k]].value.newest().flags & kPriced) == 0 ? 1U << k % kPairs : 0U;
    const Reference reference = reference_of(state, order.instrument, steady_ns);
    if (unpriced != 0 && reference.fresh) terms.mark = reference.price;
    growth.unpriced = reference.fresh ? 0 : unpriced;
    // A price only matters to rows without one; the others keep theirs.
    ValueChange change{order.side, 0, order.quantity, {}, overlay};
    terms.values = value_delta(state, order.instrument, now.rows, now.counters, change);
    if (!terms.mark) return void(growth.values = terms.values);
    change.price = terms.mark;
    const ValueDelta priced = value_delta(state, order.instrument, now.rows, now.counters, change);
    for (std::size_t pair = 0; pair < kPairs; ++pair) {
        const std::uint32_t row = now.rows[kFirstInstrumentRow + pair];
        if ((state.rows_risk[row].value.newest().flags & kPriced) != 0) continue;
        terms.values.gross[pair] = priced.gross[pair];
        terms.values.net[pair] = priced.net[pair];
    }
    growth.values = terms.values;
}

/// Every check has passed at this sequence: only now is there an event to commit (INV-6).
void accept(const State& state, const Caller& caller, const NewOrder& order, std::uint64_t slot, const Terms& terms,
            std::uint32_t is_loaded, Decision& out) noexcept {
    RegisterEvent event{};
    event.header = header_of(state, EventType::registered, caller);
    event.header.working_delta = 1;
    event.header.order_slot = static_cast<std::uint32_t>(slot);
    event.header.instrument = order.instrument;
    event.header.account = order.account;
    event.header.strategy = caller.strategy;
    event.header.result = Result::accepted;
    event.header.side = order.side;
    event.id = order.id;
    event.hash = order.hash;
    event.price = order.price;
    event.quantity = order.quantity;
    event.stop_price = order.stop_price;
    event.reserved_notional = terms.reserved_notional;
    event.reserved_price = terms.reserved_price;
    event.order_type = order.type;
    event.tif = order.tif;
    event.identity_flags = (order.has_price ? kHasPrice : 0U) | (order.has_stop_price ? kHasStopPrice : 0U) |
                           (terms.indexes_content ? kContentIndexed : 0U) | is_loaded;
    event.metered = terms.metered;
    event.content_previous = terms.content_previous;
    event.values = terms.values;
    event.sets_mark = terms.mark ? 1 : 0;
    event.mark = terms.mark.value_or(0);
    out.write(event);
    Verdict& v = out.verdict;
    v.result = Result::accepted;
    v.has_order = true;
    v.status = OrderStatus::pending_new;
    v.leaves_quantity.value = order.quantity;
    out.commit = true;
}

}  // namespace

/// The checks, in the order of their reasons. That each of them passes is the everyday case, and the compiler is told so: it
/// would otherwise take what comes after ten of them for rare, and make it small instead of fast.
void decide_register(const State& state, const Caller& caller, const NewOrder& order, const BatchOverlay* overlay,
                     Decision& out) noexcept {
    RowsNow now;
    load_rows(state, order.rows, overlay, now);
    Terms terms;
    terms.indexes_content = limits_content(now);
    const std::uint64_t content = terms.indexes_content ? content_hash(state, caller, order) : 0;
    if (terms.indexes_content) prefetch_newest(state, content);
    // 1 room in the log, 2 trading states … 4 the id
    if (deny_log_room(state, now, Intent::new_order, order.side, order.quantity, out)) [[unlikely]]
        return;
    if (deny_state(state, now, Intent::new_order, order.side, order.quantity, out)) [[unlikely]]
        return;
    const std::int64_t steady_ns = steady_time(state, caller);
    out.instrument = order.instrument;
    if (deny_permission(state, caller, order, out)) [[unlikely]]
        return;
    if (deny_restricted(state, now, order.side, caller, out)) [[unlikely]]
        return;
    if (deny_short_sale(state, now, order.instrument, order.side, order.quantity, out)) [[unlikely]]
        return;
    if (deny_identity(state, caller, order, overlay, out)) [[unlikely]]
        return;
    // 5 shape, 6 reference price and collar
    if (deny_enumerations(state, order, out)) [[unlikely]]
        return;
    const PricedOrder priced = priced_of(order);
    if (deny_shape(state, priced, Prices::are_new, out)) [[unlikely]]
        return;
    if (deny_reference(state, priced, caller.steady_ns, terms.reserved_price, out)) [[unlikely]]
        return;
    // 7 mandatory and single-order limits
    const auto notional = base::notional(terms.reserved_price, order.quantity, factor_of(state, order.instrument));
    Growth growth{order.side, order.quantity, notional.value_or(0), order.quantity, notional.value_or(0), 1};
    const bool breaks = breaks_any(now, growth);
    if (deny_single_order(state, now, growth, breaks, out)) [[unlikely]]
        return;
    if (!notional) [[unlikely]]
        return deny(state, DenyReason::arithmetic_overflow, out);
    terms.reserved_notional = *notional;
    // 8 message budget, 9 duplicate content, 10 self-match; what is refused from here to 11 counts as a message
    if (deny_rate(state, now, overlay, steady_ns, terms.metered, out)) [[unlikely]]
        return;
    out.metered = terms.metered;
    if (terms.indexes_content && deny_content(state, caller, now, order, content, overlay, terms.content_previous, out))
        [[unlikely]]
        return;
    BookKey key = 0;
    const bool books = keeps_books(state) && incoming_key(state, priced, key);
    if (books && deny_self_match(state, order.account, priced, key, overlay, out)) [[unlikely]]
        return;
    // 11 exposures, 12 tables
    value_order(state, now, order, overlay, caller.steady_ns, growth, terms);
    if (deny_exposure(state, now, order.instrument, growth, breaks, overlay, caller.steady_ns, out)) [[unlikely]]
        return;
    out.metered = {};
    const std::uint64_t batched = overlay == nullptr ? 0 : overlay->orders();
    if (deny_tables(state, now, order, batched, out) || (books && deny_book_room(state, now, order, key, batched, out)))
        [[unlikely]]
        return;
    accept(state, caller, order, load_relaxed(state.log->next_order) + batched, terms, 0, out);
}

void decide_load_order(const State& state, const Caller& caller, const NewOrder& order, Decision& out) noexcept {
    RowsNow now;
    load_rows(state, order.rows, nullptr, now);
    const Geometry& g = state.geometry;
    out.instrument = order.instrument;
    if (order.account >= g.accounts) return deny(state, DenyReason::unknown_account, out);
    if (caller.strategy >= g.strategies) return deny(state, DenyReason::unknown_strategy, out);
    if (order.instrument >= g.instruments) return deny(state, DenyReason::unknown_instrument, out);
    // What the venue has open of nobody known is taken on under `external`.
    const bool permitted =
        caller.strategy == state.external_strategy() || (state.may_trade_account(caller.strategy, order.account) &&
                                                         state.may_trade_instrument(caller.strategy, order.instrument));
    if (!permitted) return deny(state, DenyReason::not_permitted, out);
    if (deny_identity(state, caller, order, nullptr, out) || deny_enumerations(state, order, out)) return;
    const PricedOrder priced = priced_of(order);
    Terms terms;
    if (deny_shape(state, priced, Prices::stand, out) ||
        deny_unpriced(state, priced, caller.steady_ns, terms.reserved_price, out))
        return;
    const auto notional = base::notional(terms.reserved_price, order.quantity, factor_of(state, order.instrument));
    if (!notional) return deny(state, DenyReason::arithmetic_overflow, out);
    terms.reserved_notional = *notional;
    Growth growth{order.side, order.quantity, *notional, order.quantity, *notional, 1};
    value_order(state, now, order, nullptr, caller.steady_ns, growth, terms);
    BookKey key = 0;
    const bool books = keeps_books(state) && incoming_key(state, priced, key);
    if (deny_overflow(state, now, growth, out) || deny_order_slots(state, 1, Room::all, out) ||
        (books && deny_book_room(state, now, order, key, 0, out)))
        return;
    // The venue has it: nothing has to be acknowledged.
    accept(state, caller, order, load_relaxed(state.log->next_order), terms, kLoaded, out);
    out.verdict.status = OrderStatus::new_;
    const bool orphaned = state.strategies[caller.strategy].state.newest().status == SessionStatus::dead;
    out.verdict.flags = orphaned ? OrderFlags{kOrphaned} : OrderFlags{0};
}

}  // namespace riskreg::core
