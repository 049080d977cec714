#include "model/model.hpp"

#include <algorithm>
#include <sstream>

#include "model/parts.hpp"

namespace riskreg::model {

namespace {

bool legal_id(std::string_view id) {
    return !id.empty() && id.size() <= 39 && std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c <= '~'; });
}

bool is_money(EventKind kind) { return kind == EventKind::filled || kind == EventKind::bust || kind == EventKind::correct; }

}  // namespace

RowKey key_of(const Scope& scope) { return {scope.kind, scope.account, scope.strategy, scope.instrument}; }

// ---- construction and lookups -------------------------------------------------------------------

Model::Model(const SharedConfig& config) : config_(config) {
    const auto accounts = static_cast<std::uint16_t>(config_.accounts.size());
    const auto strategies = static_cast<std::uint16_t>(config_.strategies.size() + 1);  // and `external`
    for (std::uint16_t a = 0; a < accounts; ++a)
        for (std::uint16_t s = 0; s < strategies; ++s)
            for (std::uint32_t i = 0; i < config_.instruments.size(); ++i)
                for (const Scope& scope : scopes_of(AccountId{a}, StrategyId{s}, InstrumentId{i})) rows_[key_of(scope)];
    for (const LimitConfig& limit : config_.limits) rows_.at(key_of(scope_named(limit.scope))).limits = limit.limits;
    for (const Restriction& entry : config_.restricted) add_restriction(scope_named(entry.scope), entry);
}

/// "firm", "account:A/instrument:I" …; of a configuration that was validated.
Scope Model::scope_named(const std::string& text) const {
    const auto index_of = [](const auto& entities, const std::string& id) {
        const auto named = [&](const auto& entity) { return entity.id == id; };
        return std::find_if(entities.begin(), entities.end(), named) - entities.begin();
    };
    Scope scope{text == "firm" ? ScopeKind::firm : ScopeKind::none};
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, '/');) {
        const std::string id = part.substr(part.find(':') + 1);
        if (part.starts_with("account:")) scope.account = AccountId(index_of(config_.accounts, id));
        if (part.starts_with("strategy:")) scope.strategy = StrategyId(index_of(config_.strategies, id));
        if (part.starts_with("instrument:")) scope.instrument = InstrumentId(index_of(config_.instruments, id));
    }
    const bool one = scope.instrument == InstrumentId::none;
    if (scope.account != AccountId::none) scope.kind = one ? ScopeKind::account : ScopeKind::account_instrument;
    else if (scope.strategy != StrategyId::none) scope.kind = one ? ScopeKind::strategy : ScopeKind::strategy_instrument;
    else if (!one) scope.kind = ScopeKind::instrument;
    return scope;
}

StrategyId Model::external() const { return StrategyId{static_cast<std::uint16_t>(config_.strategies.size())}; }

bool Model::known(AccountId account) const { return static_cast<std::size_t>(account) < config_.accounts.size(); }
bool Model::known(InstrumentId instrument) const { return static_cast<std::size_t>(instrument) < config_.instruments.size(); }
bool Model::known_strategy(StrategyId strategy) const { return static_cast<std::size_t>(strategy) < config_.strategies.size(); }

const InstrumentConfig& Model::config_of(InstrumentId instrument) const {
    return config_.instruments.at(static_cast<std::size_t>(instrument));
}

Model::Scopes Model::scopes_of(AccountId account, StrategyId strategy, InstrumentId instrument) const {
    return {Scope{ScopeKind::firm, AccountId::none, StrategyId::none, InstrumentId::none},
            Scope{ScopeKind::account, account, StrategyId::none, InstrumentId::none},
            Scope{ScopeKind::strategy, AccountId::none, strategy, InstrumentId::none},
            Scope{ScopeKind::instrument, AccountId::none, StrategyId::none, instrument},
            Scope{ScopeKind::account_instrument, account, StrategyId::none, instrument},
            Scope{ScopeKind::strategy_instrument, AccountId::none, strategy, instrument}};
}

const Row* Model::find_row(const Scope& scope) const {
    const auto found = rows_.find(key_of(scope));
    return found == rows_.end() ? nullptr : &found->second;
}

const Order* Model::find(AccountId account, std::string_view id) const {
    const auto found = ids_.find(std::pair{account, std::string(id)});
    return found == ids_.end() ? nullptr : &orders_[found->second];
}
Order* Model::order_named(AccountId account, std::string_view id) { return const_cast<Order*>(find(account, id)); }

OrderFlags Model::flags_of(const Order& order) const {
    unsigned flags = order.flags;
    if (order.pending) flags |= kPendingReplace;
    if (order.reported_cum > order.cum) flags |= kGap;
    if (!live(order)) return static_cast<OrderFlags>(flags);
    if (dead_.count(order.strategy) != 0) flags |= kOrphaned;
    for (const Scope& scope : scopes_of(order.account, order.strategy, order.instrument))
        if (row(scope).halted_at > order.created_at) flags |= kKillCancel;
    return static_cast<OrderFlags>(flags);
}

OrderStatus Model::status_of(const Order& order) {
    if (live(order) && (order.flags & kPendingCancel) != 0) return OrderStatus::pending_cancel;
    if (live(order) && order.pending) return OrderStatus::pending_replace;
    return static_cast<OrderStatus>(order.base);
}

std::int64_t Model::leaves_of(const Order& order) {
    return live(order) ? std::max<std::int64_t>(order.quantity - order.cum, 0) : 0;
}

void Model::report(const Order& order, Verdict& verdict) const {
    verdict.has_order = true;
    verdict.status = status_of(order);
    verdict.flags = flags_of(order);
    verdict.cum_quantity.value = order.cum;
    verdict.leaves_quantity.value = leaves_of(order);
}

Verdict Model::denied_with(const Order& order, Verdict verdict) const {
    report(order, verdict);
    return verdict;
}

// ---- money --------------------------------------------------------------------------------------

std::optional<std::int64_t> Model::notional(InstrumentId instrument, std::int64_t price, std::int64_t quantity) const {
    const Big rounded = worth(instrument, price, quantity);
    if (rounded > kMax) return std::nullopt;
    return rounded.convert_to<std::int64_t>();
}

/// The same without an end: |price| · quantity with multiplier and fx, rounded away from zero.
Big Model::worth(InstrumentId instrument, std::int64_t price, const Big& quantity) const {
    static const Big unit("100000000000000000000000000000");  // 1e-9 · 1e-8 · 1e-9 · 1e-9 over 1e-6 is 1e-29
    const InstrumentConfig& i = config_of(instrument);
    const Big exact = magnitude(price) * quantity * i.multiplier_e9 * i.fx_rate_e9.value_or(1'000'000'000);
    return (exact + unit - 1) / unit;
}

/// Its label plays no part. One that was written a little later than the caller looked at the clock is new.
std::optional<std::int64_t> Model::fresh_reference(InstrumentId instrument, std::int64_t steady_ns) const {
    const auto found = references_.find(instrument);
    if (found == references_.end()) return std::nullopt;
    const Big age = std::max<Big>(Big(steady_ns) - found->second.written.steady_ns, 0);
    if (age > Big(config_of(instrument).reference_max_age_ms) * 1'000'000) return std::nullopt;
    return found->second.price;
}

/// In memory it was written; after a rebuild from disk the log still tells that somebody wrote it.
bool Model::reference_known(InstrumentId instrument) const {
    return references_.count(instrument) != 0 || ever_owned_.count(instrument) != 0;
}

/// The last one that was written. What memory has forgotten lives on as the mark of the instrument, if that was one.
std::optional<std::int64_t> Model::known_reference(InstrumentId instrument) const {
    const auto found = references_.find(instrument);
    if (found != references_.end()) return found->second.price;
    const Row& whole = row({ScopeKind::instrument, AccountId::none, StrategyId::none, instrument});
    return reference_known(instrument) && whole.marked ? whole.mark : std::nullopt;
}

// ---- the checks, in the order of section 2 --------------------------------------------------------

bool Model::reducing(const Scope& scope, Side side, const Big& quantity) const {
    static const Row nothing;
    const Row* found = find_row(scope);
    const Row& row = found != nullptr ? *found : nothing;
    if (side == Side::buy) return Big(row.position) + row.open_buy_quantity + quantity <= 0;
    return Big(row.open_sell_quantity) - row.position + quantity <= 0;
}

/// R6.1: on the row that the limit's quantity is held against.
bool Model::reducing_for_limit(const Scopes& scopes, std::size_t limiting, Side side, const Big& quantity) const {
    return reducing(scopes[kQuantityScope[limiting]], side, quantity);
}

/// R6.4: on account×instrument, but on strategy×instrument where the state is a strategy's; so that nobody is locked in.
bool Model::reducing_for_state(const Scopes& scopes, std::size_t refusing, Side side, const Big& quantity) const {
    const ScopeKind kind = scopes[refusing].kind;
    const bool by_strategy = kind == ScopeKind::strategy || kind == ScopeKind::strategy_instrument;
    return reducing(scopes[by_strategy ? kStrategyInstrument : kAccountInstrument], side, quantity);
}

Model::Refusal Model::refuse_state(const Scopes& scopes, Side side, std::int64_t quantity, bool amend, bool down) const {
    const auto first_in = [&](TradingState state, DenyReason reason, bool exempt_reducing) -> Refusal {
        for (std::size_t k = 0; k < scopes.size(); ++k) {
            const Row* row = find_row(scopes[k]);
            if (row == nullptr || row->state != state) continue;
            if (exempt_reducing && reducing_for_state(scopes, k, side, quantity)) continue;
            return deny(reason, scopes[k]);
        }
        return std::nullopt;
    };
    if (auto no = first_in(TradingState::halted, DenyReason::halted, false)) return no;
    if (down) return std::nullopt;
    if (auto no = first_in(TradingState::cancel_only, DenyReason::cancel_only, false)) return no;
    if (auto no = first_in(TradingState::reducing_only, DenyReason::reducing_only, !amend)) return no;
    if (row(scopes[0]).unreconciled && (amend || !reducing_for_state(scopes, 0, side, quantity)))
        return deny(DenyReason::unreconciled, scopes[0]);
    return std::nullopt;
}

Model::Refusal Model::refuse_entities(AccountId account, bool strategy_known, InstrumentId instrument) const {
    if (!known(account)) return deny(DenyReason::unknown_account);
    if (!strategy_known) return deny(DenyReason::unknown_strategy);
    if (!known(instrument)) return deny(DenyReason::unknown_instrument);
    return std::nullopt;
}

Model::Refusal Model::refuse_permission(const Caller& caller, const OrderRequest& request) const {
    if (auto no = refuse_entities(request.account, known_strategy(caller.strategy), request.instrument)) return no;
    const StrategyConfig& strategy = config_.strategies[static_cast<std::size_t>(caller.strategy)];
    const auto lists = [](const std::vector<std::string>& list, const std::string& id) {
        return std::find(list.begin(), list.end(), id) != list.end();
    };
    if (!lists(strategy.accounts, config_.accounts[static_cast<std::size_t>(request.account)].id))
        return deny(DenyReason::not_permitted);
    if (!strategy.instruments.empty() && !lists(strategy.instruments, config_of(request.instrument).id))
        return deny(DenyReason::not_permitted);
    return std::nullopt;
}

Model::Refusal Model::refuse_id(const Caller& caller, const OrderRequest& request) const {
    if (!legal_id(request.id)) return deny(DenyReason::invalid_order_id);
    const Order* order = find(request.account, request.id);
    if (order == nullptr) return std::nullopt;
    const auto value_of = [](const std::optional<Price>& price) { return price ? std::optional(price->value) : std::nullopt; };
    const bool same = order->chain.front() == request.id && order->strategy == caller.strategy &&
                      order->instrument == request.instrument && order->side == request.side && order->type == request.type &&
                      order->tif == request.tif && order->registered_quantity == request.quantity.value &&
                      order->registered_price == value_of(request.price) && order->stop_price == value_of(request.stop_price);
    if (!same) return deny(DenyReason::duplicate_order_id);
    return denied_with(*order, deny(DenyReason::already_registered));
}

Model::Refusal Model::refuse_quantity(const Priced& order) const {
    const InstrumentConfig& i = config_of(order.instrument);
    const std::int64_t q = order.quantity;
    const std::int64_t least = i.min_quantity.value_or(i.lot).value;
    const auto no = [&](std::int64_t limit) { return deny(DenyReason::invalid_quantity, Scope{}, q, limit, Unit::quantity); };
    if (q <= 0) return no(least);
    if (q % i.lot.value != 0) return no(i.lot.value);
    if (q < least) return no(least);
    if (i.max_quantity && q > i.max_quantity->value) return no(i.max_quantity->value);
    return std::nullopt;
}

/// R7.7: an instrument without prices of zero or less judges the sign of a price that is new.
Model::Refusal Model::refuse_price(const Priced& order, bool judges_sign) const {
    const InstrumentConfig& i = config_of(order.instrument);
    const auto bad = [&](std::int64_t price) {
        const bool no_such_price = judges_sign && !i.zero_prices && price <= 0;
        return price % i.tick.value != 0 || no_such_price;
    };
    const auto no = [&](std::int64_t price) {
        return deny(DenyReason::invalid_price, Scope{}, price, i.tick.value, Unit::price);
    };
    if (takes_price(order.type) && !order.price) return deny(DenyReason::invalid_price);
    if (order.type == OrderType::stop && order.price) return deny(DenyReason::invalid_price);
    if (takes_stop_price(order.type) != order.stop_price.has_value()) return deny(DenyReason::invalid_price);
    if (takes_price(order.type) && bad(*order.price)) return no(*order.price);
    if (order.stop_price && bad(*order.stop_price)) return no(*order.stop_price);
    return std::nullopt;
}

Model::Refusal Model::refuse_collar(const Priced& order, std::int64_t reference) const {
    const InstrumentConfig& i = config_of(order.instrument);
    if (i.collar_bps == 0 && i.collar_ticks == 0) return std::nullopt;
    const Big band = std::max<Big>(Big(i.collar_ticks) * i.tick.value, magnitude(reference) * i.collar_bps / 10000);
    const Big highest = reference + band;
    const Big lowest = reference - band;
    const auto no = [](std::int64_t price, const Big& bound) {
        return deny(DenyReason::price_collar, Scope{}, price, clamp_to_64(bound), Unit::price);
    };
    if (order.stop_price) {  // triggers: always two-sided
        if (*order.stop_price > highest) return no(*order.stop_price, highest);
        if (*order.stop_price < lowest) return no(*order.stop_price, lowest);
    }
    if (takes_price(order.type)) {
        if ((order.side == Side::buy || i.collar_two_sided) && *order.price > highest) return no(*order.price, highest);
        if ((order.side == Side::sell || i.collar_two_sided) && *order.price < lowest) return no(*order.price, lowest);
    }
    return std::nullopt;
}

/// What a limit or stop-limit order is reserved at. Nothing: it needs a bound, and what price there was nobody knows (R7.4).
std::optional<Big> Model::reserve_of_limit(InstrumentId instrument, Side side, std::int64_t limit) const {
    if (!reference_known(instrument)) return magnitude(limit);  // R7.2: none was ever given
    const auto reference = known_reference(instrument);         // fresh or not
    const bool below_zero = limit < 0 || (reference && *reference < 0);
    const bool limit_is_enough = config_.reserve_price == ReservePrice::limit && side == Side::buy && !below_zero;  // R7.3
    if (limit_is_enough) return magnitude(limit);
    // R7.4: a purchase costs no more than its limit; of anything else nobody knows what it would cost.
    if (!reference) return side == Side::buy && limit >= 0 ? std::optional(magnitude(limit)) : std::nullopt;
    return std::max(magnitude(limit), magnitude(*reference));
}

Model::Refusal Model::refuse_reference(const Priced& order, std::int64_t steady_ns, std::int64_t& reserve_price) const {
    const InstrumentConfig& i = config_of(order.instrument);
    const auto reference = fresh_reference(order.instrument, steady_ns);
    if (!reference) {
        const bool collared = i.collar_bps != 0 || i.collar_ticks != 0;
        if (!takes_price(order.type) || collared || !config_.allow_limit_without_reference)
            return deny(reference_known(order.instrument) ? DenyReason::reference_price_stale
                                                          : DenyReason::reference_price_unknown);
    } else if (auto no = refuse_collar(order, *reference)) {
        return no;
    }
    Big price;
    if (takes_price(order.type)) {
        const auto reserve = reserve_of_limit(order.instrument, order.side, *order.price);
        if (!reserve) return deny(DenyReason::reference_price_stale);
        price = *reserve;
    } else {
        const Big ref = magnitude(*reference);
        const Big from = order.type == OrderType::stop ? std::max(ref, magnitude(*order.stop_price)) : ref;
        if (from == 0)  // R7.5: it would reserve nothing
            return deny(DenyReason::reference_price_unknown, Scope{}, 0, 0, Unit::price);
        price = (from * (10000 + Big(i.market_slippage_bps)) + 9999) / 10000;
    }
    if (price > kMax) return deny(DenyReason::arithmetic_overflow);
    reserve_price = price.convert_to<std::int64_t>();
    return std::nullopt;
}

Model::Refusal Model::refuse_no_limit(const Scopes& scopes, Side side) const {
    if (!config_.require_limits) return std::nullopt;
    bool size = false, position = false;
    for (const std::size_t k : {0U, 1U, 3U, 4U}) {  // firm, account, instrument, account×instrument
        const Limits& limits = row(scopes[k]).limits;
        size = size || limits.max_order_quantity.kind != LimitValue::Kind::unset;
        position = position || (side == Side::buy ? limits.max_long : limits.max_short).kind != LimitValue::Kind::unset;
    }
    if (size && position) return std::nullopt;
    return deny(DenyReason::no_limit_set, scopes[kAccountInstrument]);
}

Model::Refusal Model::refuse_order_quantity(const Scopes& scopes, std::int64_t quantity) const {
    for (const Scope& scope : scopes) {
        const LimitValue limit = row(scope).limits.max_order_quantity;
        if (breaks(limit, quantity)) return deny(DenyReason::max_order_quantity, scope, quantity, limit.value, Unit::quantity);
    }
    return std::nullopt;
}

Model::Refusal Model::refuse_order_notional(const Scopes& scopes, std::int64_t notional) const {
    for (const Scope& scope : scopes) {
        const LimitValue limit = row(scope).limits.max_order_notional;
        if (breaks(limit, notional)) return deny(DenyReason::max_order_notional, scope, notional, limit.value, Unit::money);
    }
    return std::nullopt;
}

Model::Refusal Model::refuse_working(const Scopes& scopes, Side side) const {
    for (const Scope& scope : scopes) {
        const Row& r = row(scope);
        const std::int64_t total = r.working_buy + r.working_sell + 1;
        const std::int64_t on_side = (side == Side::buy ? r.working_buy : r.working_sell) + 1;
        const LimitValue side_limit = side == Side::buy ? r.limits.max_working_buy : r.limits.max_working_sell;
        if (breaks(r.limits.max_working_orders, total))
            return deny(DenyReason::max_working_orders, scope, total, r.limits.max_working_orders.value, Unit::orders);
        if (breaks(side_limit, on_side))
            return deny(DenyReason::max_working_orders, scope, on_side, side_limit.value, Unit::orders);
    }
    return std::nullopt;
}

Model::Refusal Model::refuse_position(const Scopes& scopes, Side side, std::int64_t quantity) const {
    for (std::size_t k = 0; k < scopes.size(); ++k) {
        const Limits& limits = row(scopes[k]).limits;
        const Row& held = row(scopes[kQuantityScope[k]]);
        const bool buy = side == Side::buy;
        const Big worst = buy ? Big(held.position) + held.open_buy_quantity : Big(held.open_sell_quantity) - held.position;
        const LimitValue limit = buy ? limits.max_long : limits.max_short;
        if (!breaks(limit, worst + quantity) || reducing_for_limit(scopes, k, side, quantity)) continue;
        return deny(buy ? DenyReason::max_long : DenyReason::max_short, scopes[k], worst + quantity, limit.value,
                    Unit::quantity);
    }
    return std::nullopt;
}

Model::Refusal Model::refuse_open_notional(const Scopes& scopes, Side side, std::int64_t quantity,
                                           std::int64_t notional) const {
    if (notional <= 0) return std::nullopt;  // a limit below the present use refuses only what adds to it
    for (std::size_t k = 0; k < scopes.size(); ++k) {
        const Row& r = row(scopes[k]);
        const Big open = Big(r.open_buy_notional) + r.open_sell_notional + notional;
        const LimitValue limit = r.limits.max_open_notional;
        if (!breaks(limit, open) || reducing_for_limit(scopes, k, side, quantity)) continue;
        return deny(DenyReason::max_open_notional, scopes[k], open, limit.value, Unit::money);
    }
    return std::nullopt;
}

Model::Refusal Model::refuse_row_overflow(const Scopes& scopes, Side side, std::int64_t quantity, std::int64_t notional) const {
    for (const Scope& scope : scopes) {
        const Row& r = row(scope);
        const bool buy = side == Side::buy;
        if (Big(buy ? r.open_buy_quantity : r.open_sell_quantity) + quantity > kMax ||
            Big(buy ? r.open_buy_notional : r.open_sell_notional) + notional > kMax)
            return deny(DenyReason::arithmetic_overflow, scope);
    }
    return std::nullopt;
}

namespace {
Verdict deny_capacity(std::size_t observed, std::size_t limit) {
    return deny(DenyReason::capacity, Scope{}, observed, static_cast<std::int64_t>(limit), Unit::slots);
}
}  // namespace

/// R1.2: the last part of the table is for what adds no risk.
Model::Refusal Model::refuse_orders(bool may_use_reserve) const {
    const std::size_t size = config_.capacity.orders;
    const std::size_t reserve = may_use_reserve ? 0 : std::min<std::size_t>(size / 16, 65536);
    if (ids_.size() + 1 > size - reserve) return deny_capacity(ids_.size() + 1, size - reserve);
    return std::nullopt;
}

/// R1.1: the last quarter of these is for facts, and for orders that reduce.
Model::Refusal Model::refuse_room_for_facts() const {
    const std::size_t executions = config_.capacity.executions;
    const std::size_t quarantine = std::max<std::size_t>(executions / 8, 64);
    if (executions_used_ > executions * 3 / 4) return deny_capacity(executions_used_, executions * 3 / 4);
    if (quarantined_.size() > quarantine * 3 / 4) return deny_capacity(quarantined_.size(), quarantine * 3 / 4);
    return std::nullopt;
}

// ---- new orders -----------------------------------------------------------------------------------

Model::Draft Model::draft_of(StrategyId strategy, const OrderRequest& request) const {
    Draft draft;
    Order& order = draft.order;
    order.chain = {std::string(request.id)};
    order.account = request.account;
    order.strategy = strategy;
    order.instrument = request.instrument;
    order.side = request.side;
    order.type = request.type;
    order.tif = request.tif;
    if (request.price) order.registered_price = request.price->value;
    if (request.stop_price) order.stop_price = request.stop_price->value;
    order.price = order.registered_price.value_or(0);
    order.registered_quantity = order.quantity = request.quantity.value;
    return draft;
}

Model::Refusal Model::refuse_shape(const Draft& draft, bool judges_sign) const {
    const Order& order = draft.order;
    const bool legal_type = order.type >= OrderType::limit && order.type <= OrderType::pegged;
    const bool legal_side = order.side == Side::buy || order.side == Side::sell;
    const bool legal_tif = order.tif >= TimeInForce::day && order.tif <= TimeInForce::gtd;
    if (!legal_side || !legal_type || !legal_tif) return deny(DenyReason::invalid_field);  // the text's order, not the numbers'
    const Priced priced = draft.priced();
    if (auto no = refuse_quantity(priced)) return no;
    return refuse_price(priced, judges_sign);
}

Model::Refusal Model::refuse_new(const Caller& caller, const OrderRequest& request, Draft& draft) const {
    Order& order = draft.order;
    const Scopes scopes = scopes_of(order.account, order.strategy, order.instrument);
    const std::int64_t steady_ns = steady_of(caller.at());
    if (auto no = refuse_state(scopes, order.side, order.quantity, false, false)) return no;
    if (auto no = refuse_permission(caller, request)) return no;
    if (auto no = refuse_restricted(scopes, order.side, label_of(caller.at()).time_ns)) return no;
    if (auto no = refuse_short(scopes, order.side, order.instrument, order.quantity)) return no;
    if (auto no = refuse_id(caller, request)) return no;
    if (auto no = refuse_shape(draft, true)) return no;
    if (auto no = refuse_reference(draft.priced(), caller.steady_ns, order.reserve_price)) return no;
    const auto value = notional(order.instrument, order.reserve_price, order.quantity);
    if (auto no = refuse_no_limit(scopes, order.side)) return no;
    if (auto no = refuse_order_quantity(scopes, order.quantity)) return no;
    if (!value) return deny(DenyReason::arithmetic_overflow);
    if (auto no = refuse_order_notional(scopes, *value)) return no;
    draft.notional = *value;
    draft.stand_in = stand_in_for_mark(order.instrument, caller.steady_ns);
    if (auto no = refuse_messages(scopes, steady_ns)) return no;
    if (auto no = refuse_content(scopes, order, steady_ns)) return no;
    if (!takes_stop_price(order.type)) {  // a stop order takes no part before it triggers
        const bool at_market = !takes_price(order.type);
        const Incoming incoming{order.account, order.instrument, order.side, at_market ? std::nullopt : order.registered_price};
        if (auto no = refuse_self_match(incoming, draft.crosses)) return no;
    }
    if (auto no = refuse_working(scopes, order.side)) return no;
    const Growth growth{order.instrument, order.side, order.quantity, *value, draft.stand_in, caller.steady_ns};
    if (auto no = refuse_exposure(scopes, growth)) return no;
    if (auto no = refuse_row_overflow(scopes, order.side, order.quantity, *value)) return no;
    const bool reduces = reducing(scopes[kAccountInstrument], order.side, order.quantity);
    if (auto no = refuse_orders(reduces)) return no;
    return reduces ? std::nullopt : refuse_room_for_facts();
}

/// Everything that an order brings with it: its ids, its reservation, what it does to its rows.
void Model::take_in(const Caller& caller, Draft& draft) {
    happened(caller.at());
    Order& order = draft.order;
    order.created_ns = last_time_ns_;
    order.created_at = events();
    ids_[{order.account, order.chain.front()}] = orders_.size();
    Order absent = order;
    absent.base = OrderBase::none;
    reserve(order);
    Work work{absent, order};
    work.mark = draft.stand_in;
    work.mark_only_where_none = true;
    book(order, absent, work);
    orders_.push_back(order);
}

Verdict Model::accept(const Caller& caller, Draft& draft) {
    take_in(caller, draft);
    const Scopes scopes = scopes_of(draft.order.account, draft.order.strategy, draft.order.instrument);
    count_message(scopes, true);
    count_content(scopes, draft.order);
    Verdict verdict = taken(Result::accepted);
    verdict.crosses_own = draft.crosses;
    report(draft.order, verdict);
    return verdict;
}

std::optional<Verdict> Model::refusal_of(const Caller& caller, const OrderRequest& request) const {
    Draft draft = draft_of(caller.strategy, request);
    return refuse_new(caller, request, draft);
}

Verdict Model::register_order(const Caller& caller, const OrderRequest& request) {
    Draft draft = draft_of(caller.strategy, request);
    if (auto no = refuse_new(caller, request, draft))
        return refused(caller, scopes_of(request.account, caller.strategy, request.instrument), *no, true);
    return accept(caller, draft);
}

/// Ends at the first member that is refused: that one counts as if it had come alone, the others never happened.
std::vector<Verdict> Model::register_all_or_none(const Caller& caller, const std::vector<OrderRequest>& requests) {
    if (requests.empty()) return {};
    Model trial = *this;
    std::vector<Verdict> answers;
    for (const OrderRequest& request : requests) {
        Draft draft = trial.draft_of(caller.strategy, request);
        auto no = trial.refuse_new(caller, request, draft);
        if (!no) {
            answers.push_back(trial.accept(caller, draft));
            continue;
        }
        // A member that repeats an earlier member is no retry: that one is not registered yet.
        if (no->reason == DenyReason::already_registered && find(request.account, request.id) == nullptr)
            no = deny(DenyReason::duplicate_order_id);
        const std::size_t guilty = answers.size();
        answers.assign(requests.size(), deny(DenyReason::batch_member_denied));
        answers[guilty] = refused(caller, scopes_of(request.account, caller.strategy, request.instrument), *no, true);
        return answers;
    }
    *this = trial;
    return answers;
}

/// What is live at the venue is only refused when it cannot be stored.
Model::Refusal Model::refuse_load(const Caller& caller, const OrderRequest& request, Draft& draft) const {
    Order& order = draft.order;
    const Scopes scopes = scopes_of(order.account, order.strategy, order.instrument);
    if (auto no = refuse_entities(order.account, known_strategy(order.strategy), order.instrument)) return no;
    if (order.strategy != external())
        if (auto no = refuse_permission({caller.now_ns, caller.steady_ns, order.strategy}, request)) return no;
    if (auto no = refuse_id({caller.now_ns, caller.steady_ns, order.strategy}, request)) return no;
    if (auto no = refuse_shape(draft, false)) return no;
    order.reserve_price = reserve_price_of_load(order);
    const auto value = notional(order.instrument, order.reserve_price, order.quantity);
    if (!value) return deny(DenyReason::arithmetic_overflow);
    draft.stand_in = stand_in_for_mark(order.instrument, caller.steady_ns);
    if (auto no = refuse_row_overflow(scopes, order.side, order.quantity, *value)) return no;
    return refuse_orders(true);
}

/// As for a new order, with the last reference price that is known; at the order's own prices where none is.
std::int64_t Model::reserve_price_of_load(const Order& order) const {
    if (takes_price(order.type))
        return clamp_to_64(reserve_of_limit(order.instrument, order.side, order.price).value_or(magnitude(order.price)));
    const Big reference = magnitude(known_reference(order.instrument).value_or(0));
    const Big from = order.type == OrderType::stop ? std::max(reference, magnitude(*order.stop_price)) : reference;
    return clamp_to_64((from * (10000 + Big(config_of(order.instrument).market_slippage_bps)) + 9999) / 10000);
}

Verdict Model::load_order(const Caller& caller, StrategyId strategy, const OrderRequest& request) {
    Draft draft = draft_of(strategy, request);
    if (auto no = refuse_load(caller, request, draft)) return *no;
    draft.order.base = OrderBase::new_;  // the venue has it
    take_in(caller, draft);
    Verdict verdict = taken(Result::accepted);
    report(draft.order, verdict);
    return verdict;
}

// ---- requests about an order ------------------------------------------------------------------------

Model::Refusal Model::refuse_amend_request(const Caller& caller, const ReplaceRequest& request, const Order& order) const {
    if (!live(order)) return deny(DenyReason::terminal);
    if ((order.flags & kPendingCancel) != 0) return deny(DenyReason::pending_cancel);
    if (order.pending) return deny(DenyReason::pending_replace);
    if (request.expected_version && *request.expected_version != order.version)
        return deny(DenyReason::version_mismatch, Scope{}, order.version, *request.expected_version, Unit::version);
    if (caller.strategy != order.strategy) return deny(DenyReason::not_owner);
    if (request.quantity && request.quantity->value < order.cum)
        return deny(DenyReason::below_cum, Scope{}, request.quantity->value, order.cum, Unit::quantity);
    if (request.stop_price && (!order.stop_price || request.stop_price->value != *order.stop_price))
        return deny(DenyReason::field_not_amendable);
    if (request.price && order.type == OrderType::stop) return deny(DenyReason::field_not_amendable);
    if (order.base == OrderBase::pending_new && !config_.amend_before_ack) return deny(DenyReason::not_acknowledged);
    return std::nullopt;
}

Model::Refusal Model::refuse_new_id(const Order& order, std::string_view new_id) const {
    if (new_id.empty() || new_id == order.chain.back()) return std::nullopt;
    if (!legal_id(new_id)) return deny(DenyReason::invalid_order_id);
    if (find(order.account, new_id) != nullptr) return deny(DenyReason::duplicate_order_id);
    return std::nullopt;
}

Model::Refusal Model::refuse_amend_terms(const Order& order, const PendingReplace& wanted, bool down, bool same_price,
                                         std::int64_t steady_ns, std::int64_t& reserve_price) const {
    Priced priced{order.instrument, order.side, order.type, std::nullopt, order.stop_price, wanted.total};
    if (takes_price(order.type)) priced.price = wanted.price;
    if (auto no = refuse_quantity(priced)) return no;
    if (auto no = refuse_price(priced, !same_price)) return no;
    reserve_price = order.reserve_price;
    if (down && same_price) return std::nullopt;
    return refuse_reference(priced, steady_ns, reserve_price);
}

Model::Refusal Model::refuse_growth_limits(const Order& order, const Scopes& scopes, const PendingReplace& wanted) const {
    if (wanted.total > order.quantity) {
        if (auto no = refuse_no_limit(scopes, order.side)) return no;
        if (auto no = refuse_order_quantity(scopes, wanted.total)) return no;
    }
    const auto before = notional(order.instrument, order.reserve_price, order.quantity);
    const auto after = notional(order.instrument, wanted.reserve_price, wanted.total);
    if (!after) return deny(DenyReason::arithmetic_overflow);
    if (!before || *after > *before)
        if (auto no = refuse_order_notional(scopes, *after)) return no;
    return std::nullopt;
}

Model::Refusal Model::refuse_exposure_growth(const Order& order, const Scopes& scopes, const Amend& amend,
                                             std::int64_t steady_ns) const {
    const std::int64_t quantity = order.reserved_quantity + amend.more_quantity;
    const auto value = notional(order.instrument, std::max(order.reserve_price, amend.wanted.reserve_price), quantity);
    if (!value) return deny(DenyReason::arithmetic_overflow);
    const std::int64_t more_notional = *value - order.reserved_notional;
    const Growth growth{order.instrument, order.side, amend.more_quantity, more_notional, std::nullopt, steady_ns};
    if (auto no = refuse_exposure(scopes, growth)) return no;
    return refuse_row_overflow(scopes, order.side, amend.more_quantity, more_notional);
}

/// Checks 2 to 12 of a request that fits its order.
Model::Refusal Model::refuse_amend(const Caller& caller, const ReplaceRequest& request, const Order& order,
                                   Amend& amend) const {
    const Scopes scopes = scopes_of(order.account, order.strategy, order.instrument);
    PendingReplace& wanted = amend.wanted;
    const bool same_price = !takes_price(order.type) || wanted.price == order.price;
    if (auto no = refuse_state(scopes, order.side, 0, true, amend.down)) return no;
    if (!amend.down)
        if (auto no = refuse_restricted(scopes, order.side, label_of(caller.at()).time_ns)) return no;
    if (amend.more_quantity > 0)
        if (auto no = refuse_short(scopes, order.side, order.instrument, amend.more_quantity)) return no;
    if (auto no = refuse_new_id(order, request.new_id)) return no;
    if (auto no = refuse_amend_terms(order, wanted, amend.down, same_price, caller.steady_ns, wanted.reserve_price)) return no;
    if (auto no = refuse_growth_limits(order, scopes, wanted)) return no;
    if (!amend.down)
        if (auto no = refuse_messages(scopes, steady_of(caller.at()))) return no;
    if (auto no = refuse_amend_match(order, amend)) return no;
    if (auto no = refuse_exposure_growth(order, scopes, amend, caller.steady_ns)) return no;
    return amend.takes_slot ? refuse_orders(amend.down) : std::nullopt;
}

/// Own orders are looked at when the price becomes more aggressive, and with a market order when anything grows.
Model::Refusal Model::refuse_amend_match(const Order& order, Amend& amend) const {
    const bool waits_for_trigger = takes_stop_price(order.type) && order.cum == 0;
    const bool at_market = !takes_price(order.type);
    const bool looks = at_market ? !amend.down : amend.more_aggressive;
    if (waits_for_trigger || !looks) return std::nullopt;
    const Incoming incoming{order.account, order.instrument, order.side,
                            at_market ? std::nullopt : std::optional(amend.wanted.price)};
    return refuse_self_match(incoming, amend.crosses);
}

Model::Amend Model::amend_of(const Order& order, const ReplaceRequest& request) const {
    Amend amend;
    amend.wanted.price = request.price ? request.price->value : order.price;
    amend.wanted.total = request.quantity ? request.quantity->value : order.quantity;
    const bool buy = order.side == Side::buy;
    amend.more_aggressive =
        takes_price(order.type) && (buy ? amend.wanted.price > order.price : amend.wanted.price < order.price);
    amend.down = amend.wanted.total <= order.quantity && !amend.more_aggressive;
    amend.takes_slot = !request.new_id.empty() && request.new_id != order.chain.back();
    const std::int64_t leaves = std::max<std::int64_t>(std::max(order.quantity, amend.wanted.total) - order.cum, 0);
    amend.more_quantity = leaves - order.reserved_quantity;
    return amend;
}

Model::Refusal Model::refuse_replace(const Caller& caller, const ReplaceRequest& request, Amend& amend) const {
    if (!legal_id(request.id)) return deny(DenyReason::invalid_order_id);
    const Order* order = find(request.account, request.id);
    if (order == nullptr) return deny(DenyReason::unknown_order);
    if (auto no = refuse_amend_request(caller, request, *order)) return denied_with(*order, *no);
    amend = amend_of(*order, request);
    if (auto no = refuse_amend(caller, request, *order, amend)) return denied_with(*order, *no);
    return std::nullopt;
}

std::optional<Verdict> Model::refusal_of(const Caller& caller, const ReplaceRequest& request) const {
    Amend amend;
    return refuse_replace(caller, request, amend);
}

Verdict Model::replace(const Caller& caller, const ReplaceRequest& request) {
    Order* order = order_named(request.account, request.id);
    Amend amend;
    const Refusal no = refuse_replace(caller, request, amend);
    if (order == nullptr) return *no;
    const Scopes scopes = scopes_of(order->account, order->strategy, order->instrument);
    if (no) return refused(caller, scopes, *no, !amend.down);

    if (amend.takes_slot) {
        amend.wanted.new_id = std::string(request.new_id);
        ids_[{order->account, amend.wanted.new_id}] = static_cast<std::size_t>(order - orders_.data());
    }
    Work work{*order, *order, caller.steady_ns};
    work.order.pending = amend.wanted;
    Verdict verdict = finish(caller, work);
    verdict.crosses_own = amend.crosses;
    count_message(scopes, !amend.down);
    return verdict;
}

Verdict Model::cancel(const Caller& caller, AccountId account, std::string_view id) {
    if (!legal_id(id)) return deny(DenyReason::invalid_order_id);
    Order* order = order_named(account, id);
    if (order == nullptr) return deny(DenyReason::unknown_order);
    if (!live(*order)) return denied_with(*order, deny(DenyReason::terminal));
    Work work{*order, *order, caller.steady_ns};
    work.set(kPendingCancel);
    Verdict verdict = finish(caller, work);
    count_message(scopes_of(order->account, order->strategy, order->instrument), false);
    return verdict;
}

Verdict Model::abort(const Caller& caller, AccountId account, std::string_view id) {
    if (!legal_id(id)) return deny(DenyReason::invalid_order_id);
    Order* order = order_named(account, id);
    if (order == nullptr) return deny(DenyReason::unknown_order);
    const bool owner = caller.strategy == order->strategy;
    if (!live(*order)) return denied_with(*order, deny(DenyReason::terminal));
    if (!owner) return denied_with(*order, deny(DenyReason::not_owner));
    if (order->base != OrderBase::pending_new) return denied_with(*order, deny(DenyReason::not_allowed));
    Work work{*order, *order, caller.steady_ns};
    work.end(OrderBase::aborted);
    return finish(caller, work);
}

/// R19, and the states that came since. Where no scope's state has changed since the order came, nothing came.
Verdict Model::begin_send(const Caller& caller, AccountId account, std::string_view id) const {
    const Order* order = find(account, id);
    if (order == nullptr) return deny(DenyReason::unknown_order);
    if (!live(*order)) return deny(DenyReason::terminal);
    if (caller.strategy != order->strategy) return deny(DenyReason::not_owner);
    if ((order->flags & kPendingCancel) != 0) return deny(DenyReason::pending_cancel);
    if (dead_.count(order->strategy) != 0) return deny(DenyReason::fenced);
    const auto since = [&](const auto& row) { return row.second.changed_at > order->created_at; };
    if (std::none_of(rows_.begin(), rows_.end(), since)) return taken(Result::accepted);
    const Scopes scopes = scopes_of(order->account, order->strategy, order->instrument);
    for (const Scope& scope : scopes)  // released again or not: it is on the list of what to cancel
        if (row(scope).halted_at > order->created_at) return deny(DenyReason::halted, scope);
    return refuse_state(scopes, order->side, 0, false, false).value_or(taken(Result::accepted));
}

// ---- reservations and rows ----------------------------------------------------------------------------

/// Section 14: what can still execute, at the higher of the prices that may be live; a gap of an ended order.
void Model::reserve(Order& order) {
    std::int64_t price = order.reserve_price;
    std::int64_t quantity = std::min(order.reported_cum, order.quantity) - order.cum;  // a gap is no greater than the order
    if (live(order)) {
        const std::int64_t total = order.pending ? std::max(order.quantity, order.pending->total) : order.quantity;
        quantity = total - order.cum;
    }
    if (live(order) && order.pending) price = std::max(price, order.pending->reserve_price);
    order.reserved_quantity = std::max<std::int64_t>(quantity, 0);
    const auto value = notional(order.instrument, price, order.reserved_quantity);
    if (!value) overflowed_ = true;
    order.reserved_notional = value.value_or(kMax);
}

void Model::add(std::int64_t& counter, const Big& amount) {
    const Big sum = counter + amount;
    if (sum > kMax || sum < kMin) overflowed_ = true;
    counter = clamp_to_64(sum);
}

/// What a trade leaves in cash: a buy pays, a sell takes in; at a negative price it is the other way round.
Big Model::cash_flow_of(InstrumentId instrument, Side side, std::int64_t price, std::int64_t quantity) const {
    const Big value = worth(instrument, price, quantity);
    return (side == Side::buy) == (price > 0) ? -value : value;  // at a price of zero there is nothing to turn
}

void Model::book_trade(Row& row, Side side, std::int64_t position, const Big& traded_notional, const Big& cash_flow) {
    add(row.position, position);
    add(side == Side::buy ? row.bought_quantity : row.sold_quantity, side == Side::buy ? Big(position) : -Big(position));
    add(side == Side::buy ? row.bought_notional : row.sold_notional, traded_notional);
    add(row.cash_flow, cash_flow);
}

void Model::book(const Order& order, const Order& before, const Work& work) {
    const bool buy = order.side == Side::buy;
    const Scopes scopes = scopes_of(order.account, order.strategy, order.instrument);
    const int working = (live(order) ? 1 : 0) - (live(before) ? 1 : 0);
    for (const Scope& scope : scopes) {
        Row& row = rows_.at(key_of(scope));
        add(buy ? row.open_buy_quantity : row.open_sell_quantity, Big(order.reserved_quantity) - before.reserved_quantity);
        add(buy ? row.open_buy_notional : row.open_sell_notional, Big(order.reserved_notional) - before.reserved_notional);
        (buy ? row.working_buy : row.working_sell) += working;
        book_trade(row, order.side, work.position, work.traded_notional, work.cash_flow);
    }
    if (work.mark) stand_for_mark(scopes, *work.mark, work.mark_only_where_none);
    revalue(scopes);
}

Verdict Model::finish(const Caller& caller, Work& work) {
    happened(caller.at());
    reserve(work.order);
    book(work.order, work.real, work);
    work.real = work.order;
    Verdict verdict = taken(work.result);
    report(work.real, verdict);
    verdict.flags = static_cast<OrderFlags>(verdict.flags | work.remarks);
    follow_up(caller, scopes_of(work.order.account, work.order.strategy, work.order.instrument), work);
    return verdict;
}

// ---- facts: sections 13 and 14 --------------------------------------------------------------------------

Model::Refusal Model::malformed(const OrderEvent& fact) const {
    if (!legal_id(fact.id)) return deny(DenyReason::invalid_order_id);
    const bool money = is_money(fact.kind);
    const bool priced = fact.kind == EventKind::filled || fact.kind == EventKind::correct;
    if (fact.kind == EventKind::none || fact.kind > EventKind::correct) return deny(DenyReason::invalid_field);
    if (money && !legal_id(fact.exec_id)) return deny(DenyReason::invalid_field);
    if (fact.kind == EventKind::correct && !fact.new_exec_id.empty() && !legal_id(fact.new_exec_id))
        return deny(DenyReason::invalid_field);
    const bool may_name_venue = fact.kind == EventKind::acked || fact.kind == EventKind::replaced;
    if (may_name_venue && !fact.venue_id.empty() && !legal_id(fact.venue_id)) return deny(DenyReason::invalid_field);
    if (priced && !fact.price) return deny(DenyReason::invalid_price);
    if (priced && (!fact.quantity || fact.quantity->value <= 0)) return deny(DenyReason::invalid_quantity);
    if (fact.kind == EventKind::replaced && fact.quantity && fact.quantity->value <= 0)
        return deny(DenyReason::invalid_quantity);
    if (fact.cum_quantity && fact.cum_quantity->value < 0) return deny(DenyReason::invalid_quantity);
    return std::nullopt;
}

Verdict Model::fact(const Caller& caller, const OrderEvent& fact) {
    if (auto no = malformed(fact)) return *no;
    Order* order = order_named(fact.account, fact.id);
    if (order == nullptr) return unknown_order(caller, fact);
    if (fact.kind == EventKind::replaced && !order->pending && (!fact.price || !fact.quantity))
        return denied_with(*order, deny(DenyReason::invalid_field));
    Work work{*order, *order, caller.steady_ns};
    if (!dispatch(work, fact)) {
        Verdict verdict = unknown_order(caller, fact);
        const OrderFlags why = verdict.flags;
        report(*order, verdict);
        verdict.flags = static_cast<OrderFlags>(verdict.flags | why);
        return verdict;
    }
    compare_cum(work, fact);
    return finish(caller, work);
}

/// False: the fact names an execution that is not there; it is quarantined.
bool Model::dispatch(Work& work, const OrderEvent& fact) {
    switch (fact.kind) {
        case EventKind::acked: acked(work, fact); break;
        case EventKind::rejected: rejected(work); break;
        case EventKind::canceled: ended(work, OrderBase::canceled); break;
        case EventKind::expired: ended(work, OrderBase::expired); break;
        case EventKind::done_for_day: ended(work, OrderBase::done_for_day); break;
        case EventKind::cancel_rejected: cancel_rejected(work, fact); break;
        case EventKind::replaced: replaced(work, fact); break;
        case EventKind::replace_rejected: replace_rejected(work); break;
        case EventKind::suspended: suspended(work); break;
        case EventKind::resumed: resumed(work); break;
        case EventKind::timed_out: timed_out(work); break;
        case EventKind::filled: filled(work, fact); break;
        case EventKind::bust: return busted(work, fact);
        case EventKind::correct: return corrected(work, fact);
        case EventKind::none: break;
    }
    return true;
}

/// Keeps one record per (account, order id, exec id, kind). False: it is there already.
/// Statuses may fill half of the table and are only counted then: the rest belongs to money.
bool Model::quarantine(const OrderEvent& fact) {
    const std::size_t room = std::max<std::size_t>(config_.capacity.executions / 8, 64);
    const std::string exec_id(is_money(fact.kind) ? fact.exec_id : "");  // others do not name one
    const auto key = std::tuple(fact.account, std::string(fact.id), exec_id, fact.kind);
    if (quarantined_.count(key) != 0) return false;
    if (quarantined_.size() < (is_money(fact.kind) ? room : room / 2)) quarantined_.insert(key);
    return true;
}

void Model::book_external(const OrderEvent& fact) {
    const bool buy = fact.side == Side::buy;
    const std::int64_t position = buy ? fact.quantity->value : -fact.quantity->value;
    const auto value = notional(fact.instrument, fact.price->value, fact.quantity->value);
    if (!value) overflowed_ = true;
    const Scopes scopes = scopes_of(fact.account, external(), fact.instrument);
    const Big cash_flow = cash_flow_of(fact.instrument, fact.side, fact.price->value, fact.quantity->value);
    for (const Scope& scope : scopes) book_trade(rows_.at(key_of(scope)), fact.side, position, value.value_or(kMax), cash_flow);
    stand_for_mark(scopes, fact.price->value, false);
    revalue(scopes);
}

Verdict Model::unknown_order(const Caller& caller, const OrderEvent& fact) {
    if (fact.kind == EventKind::timed_out) return deny(DenyReason::unknown_order);
    const std::size_t before = quarantined_.size();
    const bool first = quarantine(fact);
    happened(caller.at());
    if (!first && is_money(fact.kind)) return taken(Result::duplicate);
    ++quarantined_events_;
    const bool books = fact.kind == EventKind::filled && known(fact.account) && known(fact.instrument) &&
                       (fact.side == Side::buy || fact.side == Side::sell) && find(fact.account, fact.id) == nullptr;
    if (books && first) {
        book_external(fact);
        if (quarantined_.size() > before)
            booked_outside_.insert({fact.account, std::string(fact.id), std::string(fact.exec_id)});
    }
    Verdict verdict = taken(Result::quarantined);
    if (is_money(fact.kind) && quarantined_.size() == before) {
        reduce_firm(events());
        verdict = taken(Result::anomaly);
        verdict.flags = kExecUnremembered;
    }
    if (books && first) judge_losses(caller, scopes_of(fact.account, external(), fact.instrument));
    return verdict;
}

/// The venue's id is stored once; a different one later is an anomaly.
void Model::take_venue_id(Work& work, const OrderEvent& fact) {
    if (fact.venue_id.empty()) return;
    if (work.order.venue_id.empty()) work.order.venue_id = std::string(fact.venue_id);
    if (work.order.venue_id != fact.venue_id) work.anomaly(kVenueIdDiffers);
}

void Model::acked(Work& work, const OrderEvent& fact) {
    Order& order = work.order;
    switch (order.base) {
        case OrderBase::canceled:
        case OrderBase::expired:
        case OrderBase::done_for_day: work.result = Result::ignored_late; return;
        case OrderBase::filled:
            if (!order.venue_id.empty() || fact.venue_id.empty()) work.result = Result::ignored_late;
            break;
        case OrderBase::rejected:
        case OrderBase::aborted:
            work.anomaly(kContradiction);
            order.base = work.revived_base();
            break;
        case OrderBase::pending_new: order.base = OrderBase::new_; break;
        default: break;
    }
    work.clear(kUnknown);
    take_venue_id(work, fact);
}

void Model::rejected(Work& work) {
    const Order& order = work.order;
    if (order.base == OrderBase::filled) return work.anomaly(kContradiction);
    work.ended_by_reject = live(order);
    if (!live(order)) {
        work.result = Result::ignored_late;
    } else if (order.cum > 0 || order.base == OrderBase::partially_filled) {
        work.end(OrderBase::canceled);
        work.anomaly(kContradiction);
    } else {
        work.end(OrderBase::rejected);
    }
}

void Model::ended(Work& work, OrderBase base) {
    if (live(work.order)) {
        work.end(base);
    } else {
        work.result = Result::ignored_late;
    }
}

void Model::cancel_rejected(Work& work, const OrderEvent& fact) {
    if (!live(work.order)) {
        work.result = Result::ignored_late;
        return;
    }
    work.clear(kPendingCancel);
    if (fact.venue_knows_no_such_order) work.set(kUnknown);
}

void Model::replaced(Work& work, const OrderEvent& fact) {
    Order& order = work.order;
    const bool was_live = live(order);
    const std::int64_t price = fact.price ? fact.price->value : order.pending->price;
    const std::int64_t total = fact.quantity ? fact.quantity->value : order.pending->total;

    // Reserve price of the new version: the requested one where the venue did what was asked.
    if (order.pending && price == order.pending->price) {
        order.reserve_price = order.pending->reserve_price;
    } else if (price != order.price && takes_price(order.type)) {
        order.reserve_price = clamp_to_64(reserve_of_limit(order.instrument, order.side, price).value_or(magnitude(price)));
    }
    if (order.pending && !order.pending->new_id.empty()) order.chain.push_back(order.pending->new_id);
    order.pending.reset();
    order.price = price;
    order.quantity = total;
    ++order.version;
    work.clear(kUnknown);

    if (was_live) {
        if (total <= order.cum) {
            work.end(OrderBase::filled);
        } else if (order.base != OrderBase::suspended) {
            order.base = work.base_by_cum();
        }
    } else {
        if (order.base != OrderBase::filled) work.anomaly(kContradiction);
        if (total > order.cum) order.base = work.base_by_cum();
    }
    take_venue_id(work, fact);
}

void Model::replace_rejected(Work& work) {
    if (!live(work.order)) {
        work.result = Result::ignored_late;
        return;
    }
    work.order.pending.reset();
    work.clear(kUnknown);
    if (work.order.cum >= work.order.quantity) work.end(OrderBase::filled);
}

void Model::suspended(Work& work) {
    if (!live(work.order)) return work.anomaly(kContradiction);
    work.clear(kUnknown);
    if (work.order.base != OrderBase::pending_new) work.order.base = OrderBase::suspended;
}

void Model::resumed(Work& work) {
    if (!live(work.order)) return work.anomaly(kContradiction);
    work.clear(kUnknown);
    if (work.order.base == OrderBase::suspended) work.order.base = work.base_by_cum();
}

void Model::timed_out(Work& work) {
    if (live(work.order)) {
        work.set(kUnknown);
    } else {
        work.result = Result::ignored_late;
    }
}

/// Moves cum, position and turnover; buys up, sells down.
void Model::trade(Work& work, std::int64_t price, std::int64_t signed_quantity) {
    Order& order = work.order;
    order.cum += signed_quantity;
    work.position += order.side == Side::buy ? signed_quantity : -signed_quantity;
    const auto value = notional(order.instrument, price, std::abs(signed_quantity));
    if (!value) overflowed_ = true;
    work.traded_notional += signed_quantity > 0 ? Big(value.value_or(kMax)) : -Big(value.value_or(kMax));
    const Big cash_flow = cash_flow_of(order.instrument, order.side, price, std::abs(signed_quantity));
    work.cash_flow += signed_quantity > 0 ? cash_flow : -cash_flow;
    work.traded = true;
}

/// False: no slot is left; booked all the same.
bool Model::remember(Work& work, const Execution& execution) {
    if (executions_used_ < config_.capacity.executions) {
        ++executions_used_;
        work.order.executions.push_back(execution);
        return true;
    }
    work.anomaly(kExecUnremembered);
    reduce_firm(events() + 1);
    return false;
}

void Model::filled(Work& work, const OrderEvent& fact) {
    Order& order = work.order;
    work.is_fill = true;
    const std::string id(fact.exec_id);
    for (const Execution& known : order.executions) {
        if (known.id != id) continue;
        work.result = Result::duplicate;
        if (known.price != fact.price->value || known.quantity != fact.quantity->value) work.remarks |= kExecDiffers;
        return;
    }
    // Booked under `external` before its order was registered: never twice.
    if (booked_outside_.count({fact.account, std::string(fact.id), id}) != 0) {
        work.result = Result::duplicate;
        work.remarks |= kExternal;
        return;
    }
    if ((fact.side != Side::none && fact.side != order.side) ||
        (fact.instrument != InstrumentId::none && fact.instrument != order.instrument))
        work.anomaly(kContradiction);
    trade(work, fact.price->value, fact.quantity->value);
    work.mark = fact.price->value;
    work.executed = true;
    (void)remember(work, {id, fact.price->value, fact.quantity->value, ExecutionStatus::booked});

    switch (order.base) {
        case OrderBase::filled: return work.anomaly(kOverfill);
        case OrderBase::canceled:
        case OrderBase::expired:
        case OrderBase::done_for_day: return work.anomaly(kLateFill);
        case OrderBase::rejected:
        case OrderBase::aborted:
            work.anomaly(kContradiction);
            order.base = OrderBase::new_;  // revived; what is filled decides below
            break;
        default: break;
    }
    work.clear(kUnknown);
    if (order.cum > work.reachable()) work.anomaly(kOverfill);
    if (order.cum >= work.reachable()) {
        work.end(OrderBase::filled);
    } else if (order.base != OrderBase::suspended) {
        order.base = OrderBase::partially_filled;
    }
}

/// Base of an order after one of its executions was taken back or corrected.
void Model::recompute_after_change(Work& work, bool reopened, bool raised) {
    Order& order = work.order;
    if (order.base == OrderBase::filled) {
        if (order.cum > order.quantity && raised) work.anomaly(kOverfill);
        if (order.cum < order.quantity) order.base = reopened ? work.base_by_cum() : OrderBase::canceled;
        return;
    }
    if (!live(order)) return;
    if (order.cum > work.reachable()) work.anomaly(kOverfill);
    if (order.cum >= work.reachable()) {
        work.end(OrderBase::filled);
    } else if (order.base != OrderBase::suspended) {
        order.base = work.base_by_cum();
    }
}

namespace {
Execution* find_execution(Order& order, std::string_view id) {
    for (Execution& execution : order.executions)
        if (execution.id == id) return &execution;
    return nullptr;
}
/// The execution that is meant: what was booked in place of a corrected one.
Execution* find_meant(Order& order, std::string_view id) {
    Execution* execution = find_execution(order, id);
    while (execution != nullptr && execution->status == ExecutionStatus::corrected)
        execution = find_execution(order, execution->successor);
    return execution;
}
bool never_traded(const Order& order) {
    const OrderBase base = order.base;
    return base == OrderBase::pending_new || base == OrderBase::new_ || base == OrderBase::aborted ||
           (base == OrderBase::suspended && order.cum == 0);
}
}  // namespace

bool Model::busted(Work& work, const OrderEvent& fact) {
    Execution* execution = find_meant(work.order, fact.exec_id);
    if (execution == nullptr) {
        if (!never_traded(work.order)) return false;
        work.anomaly(kContradiction);
        return true;
    }
    if (execution->status == ExecutionStatus::busted) {
        work.result = Result::duplicate;
        return true;
    }
    execution->status = ExecutionStatus::busted;
    work.set(kBusted);
    trade(work, execution->price, -execution->quantity);
    recompute_after_change(work, fact.reopened, false);
    return true;
}

bool Model::corrected(Work& work, const OrderEvent& fact) {
    Execution* execution = find_meant(work.order, fact.exec_id);
    const bool new_id = !fact.new_exec_id.empty() && fact.new_exec_id != fact.exec_id;
    if (new_id && find_execution(work.order, fact.new_exec_id) != nullptr) {
        work.result = Result::duplicate;
        return true;
    }
    if (execution == nullptr || execution->status == ExecutionStatus::busted) {
        if (!never_traded(work.order)) return false;
        work.anomaly(kContradiction);
        return true;
    }
    const std::int64_t before = work.order.cum;
    trade(work, execution->price, -execution->quantity);
    trade(work, fact.price->value, fact.quantity->value);
    work.mark = fact.price->value;
    const Execution after{std::string(fact.new_exec_id), fact.price->value, fact.quantity->value, ExecutionStatus::booked};
    const std::string replaced_id = execution->id;
    if (new_id && remember(work, after)) {
        Execution* replaced = find_execution(work.order, replaced_id);
        replaced->status = ExecutionStatus::corrected;
        replaced->successor = after.id;
    } else {  // in place: the same id, or no slot for the new one
        execution->price = after.price;
        execution->quantity = after.quantity;
    }
    recompute_after_change(work, fact.reopened, work.order.cum > before);
    return true;
}

/// Section 13, rule 5: the venue's cumulative quantity after this event against ours.
void Model::compare_cum(Work& work, const OrderEvent& fact) {
    Order& order = work.order;
    if (fact.cum_quantity && fact.cum_quantity->value > order.cum) {
        order.reported_cum = std::max(order.reported_cum, fact.cum_quantity->value);
        if (work.result != Result::duplicate) work.result = Result::anomaly;
    }
    if (fact.cum_quantity && fact.cum_quantity->value < order.cum) {
        work.remarks |= kStaleReport;
        if (live(work.real) && !live(order) && !work.is_fill) work.result = Result::anomaly;
    }
    if (order.cum >= order.reported_cum) order.reported_cum = 0;
}

// ---- scopes and sessions ----------------------------------------------------------------------------------

void Model::change_state(const Scope& scope, TradingState to) { change_state_by(events() + 1, scope, to); }

void Model::change_state_by(std::uint64_t event, const Scope& scope, TradingState to) {
    Row& row = rows_.at(key_of(scope));
    // The first of one severity is kept in the row, the second is an event only.
    if (to != row.state || to == TradingState::active) row.told_at = event, row.told_before = row.state;
    row.state = to;
    row.changed_at = event;
    if (to == TradingState::halted) row.halted_at = event;
}

/// An execution could not be remembered. A firm in a worse state stays as it is.
void Model::reduce_firm(std::uint64_t event) {
    const Scope firm{ScopeKind::firm};
    if (row(firm).state < TradingState::reducing_only) change_state_by(event, firm, TradingState::reducing_only);
}

Verdict Model::halt(const Caller& caller, const Scope& scope, TradingState to) {
    if (to < row(scope).state) return deny(DenyReason::not_allowed, scope);
    Verdict verdict = taken(Result::ok);
    verdict.already = to == row(scope).state && to != TradingState::active;
    change_state(scope, to);
    happened(caller.at());
    return verdict;
}

void Model::attached(StrategyId strategy, const Moment& at) {
    dead_.erase(strategy);
    happened(at);
}

void Model::died(StrategyId strategy, const Moment& at) {
    dead_.insert(strategy);
    if (config_.strategies[static_cast<std::size_t>(strategy)].on_death == OnDeath::halt_strategy) {
        const Scope scope{ScopeKind::strategy, AccountId::none, strategy, InstrumentId::none};
        if (row(scope).state < TradingState::halted) change_state(scope, TradingState::halted);
    }
    happened(at);
}

void Model::reference_owned(InstrumentId instrument, const Moment& at) {
    ever_owned_.insert(instrument);
    happened(at);
}

Verdict Model::set_reference(InstrumentId instrument, std::int64_t price, const Moment& written) {
    const InstrumentConfig& i = config_of(instrument);
    if (!i.zero_prices && price <= 0) return deny(DenyReason::invalid_price, Scope{}, price, i.tick.value, Unit::price);
    references_[instrument] = {price, written};
    return taken(Result::ok);
}

void Model::make_unreconciled() { rows_.at(key_of(Scope{ScopeKind::firm})).unreconciled = true; }

}  // namespace riskreg::model
