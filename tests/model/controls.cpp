// The model's pre-trade controls: restricted list, messages, content, own orders, worth and loss; and who changes them.
#include <algorithm>

#include "model/model.hpp"
#include "model/parts.hpp"

namespace riskreg::model {

namespace {

constexpr std::int64_t kMillisecond = 1'000'000;

/// A time t is inside until exactly one window after it. All times are steady.
bool is_in_window(std::int64_t t, std::int64_t steady_ns, const LimitValue& window_ms) {
    const Big window_ns = Big(has_value(window_ms) ? window_ms.value : kDefaultWindowMs) * kMillisecond;
    return Big(t) > Big(steady_ns) - window_ns;
}
std::int64_t count_in_window(const std::vector<std::int64_t>& times, std::int64_t steady_ns, const LimitValue& window_ms) {
    return std::count_if(times.begin(), times.end(), [&](std::int64_t t) { return is_in_window(t, steady_ns, window_ms); });
}

/// What new orders and amends may use of max_all_messages.
std::int64_t share_without_headroom(const Limits& limits) {
    const std::int64_t headroom =
        has_value(limits.cancel_headroom_bps) ? limits.cancel_headroom_bps.value : kDefaultCancelHeadroomBps;
    return (Big(limits.max_all_messages.value) * (10000 - headroom) / 10000).convert_to<std::int64_t>();
}

bool is_of_one_instrument(const Scope& scope) { return scope.instrument != InstrumentId::none; }

/// The scope that sums up the rows of this one.
Scope total_of(const Scope& scope) {
    if (scope.kind == ScopeKind::account_instrument) return {ScopeKind::account, scope.account};
    if (scope.kind == ScopeKind::strategy_instrument) return {ScopeKind::strategy, AccountId::none, scope.strategy};
    return {ScopeKind::firm};
}

}  // namespace

const std::vector<LimitValue Limits::*>& limit_members() {
    static const std::vector<LimitValue Limits::*> members = {
        &Limits::max_order_quantity, &Limits::max_order_notional, &Limits::max_long,        &Limits::max_short,
        &Limits::max_open_notional,  &Limits::max_working_orders, &Limits::max_working_buy, &Limits::max_working_sell,
        &Limits::max_gross_notional, &Limits::max_net_notional,   &Limits::cash_limit,      &Limits::max_traded_notional,
        &Limits::daily_loss,         &Limits::drawdown,           &Limits::max_messages,    &Limits::max_all_messages,
        &Limits::max_same_content,   &Limits::max_same_direction, &Limits::max_rejects,     &Limits::window_ms,
        &Limits::content_window_ms,  &Limits::cancel_headroom_bps};
    return members;
}

// ---- check 3: restricted list, short sale ---------------------------------------------------------

Model::Refusal Model::refuse_restricted(const Scopes& scopes, Side side, std::int64_t label_ns) const {
    for (const Scope& scope : scopes) {
        for (const auto& [key, sides] : restricted_) {
            const auto& [row, from_ns, to_ns] = key;
            const bool in_force = row == key_of(scope) && from_ns <= label_ns && label_ns < to_ns;
            const bool holds = side == Side::buy ? sides.buy : side == Side::sell && sides.sell;
            if (in_force && holds) return deny(DenyReason::restricted, scope);
        }
    }
    return std::nullopt;
}

Model::Refusal Model::refuse_short(const Scopes& scopes, Side side, InstrumentId instrument, const Big& quantity) const {
    if (config_of(instrument).short_allowed || side != Side::sell) return std::nullopt;
    const Scope& scope = scopes[kAccountInstrument];
    const Big worst = Big(row(scope).open_sell_quantity) - row(scope).position + quantity;
    if (worst <= 0) return std::nullopt;
    return deny(DenyReason::short_not_allowed, scope, worst, 0, Unit::quantity);
}

// ---- check 8: messages ------------------------------------------------------------------------------

/// `most` messages lie in the window; or what lies there is not known, because a recovery does.
bool Model::used_up(const std::vector<std::int64_t>& times, std::int64_t most, std::int64_t steady_ns,
                    const LimitValue& window_ms) const {
    if (recovered_steady_ns_ && is_in_window(*recovered_steady_ns_, steady_ns, window_ms)) return true;
    return count_in_window(times, steady_ns, window_ms) >= most;
}

Model::Refusal Model::refuse_messages(const Scopes& scopes, std::int64_t steady_ns) const {
    const auto no = [](const Scope& scope, std::int64_t observed, std::int64_t limit) {
        return deny(DenyReason::rate_limit, scope, observed, limit, Unit::messages);
    };
    for (const Scope& scope : scopes) {
        const Limits& limits = row(scope).limits;
        const std::int64_t most = limits.max_messages.value;
        if (has_value(limits.max_messages) && used_up(row(scope).messages, most, steady_ns, limits.window_ms))
            return no(scope, most + 1, most);
    }
    for (const Scope& scope : scopes) {
        const Limits& limits = row(scope).limits;
        if (!has_value(limits.max_all_messages)) continue;
        const std::int64_t share = share_without_headroom(limits);
        if (used_up(row(scope).messages, share, steady_ns, limits.window_ms)) return no(scope, share + 1, share);
    }
    for (const Scope& scope : scopes) {
        const Limits& limits = row(scope).limits;
        const std::int64_t most = limits.max_all_messages.value;
        if (has_value(limits.max_all_messages) && used_up(row(scope).all_messages, most, steady_ns, limits.window_ms))
            return no(scope, most + 1, most);
    }
    return std::nullopt;
}

bool Model::has_message_budget(const Scopes& scopes) const {
    return std::any_of(scopes.begin(), scopes.end(), [&](const Scope& scope) {
        return has_value(row(scope).limits.max_messages) || has_value(row(scope).limits.max_all_messages);
    });
}

/// At the time of the event that was just written. Both budgets know what new orders and amends `up` have used.
void Model::count_message(const Scopes& scopes, bool up) {
    for (const Scope& scope : scopes) {
        Row& row = rows_.at(key_of(scope));
        const bool all = has_value(row.limits.max_all_messages);
        if (up && (all || has_value(row.limits.max_messages))) row.messages.push_back(last_steady_ns_);
        if (all) row.all_messages.push_back(last_steady_ns_);
    }
}

/// What a refusal leaves behind: a message that counts, and the state of a scope that was found to have lost too much.
Verdict Model::refused(const Caller& caller, const Scopes& scopes, Verdict verdict, bool up) {
    const bool checks_9_to_11 = verdict.reason >= DenyReason::duplicate_content && verdict.reason < DenyReason::capacity;
    if (checks_9_to_11 && up && has_message_budget(scopes)) {
        happened(caller.at());
        count_message(scopes, true);
    }
    // Semantics 15: the order that finds a loss first sets the state, whether a mark shows it already or only the price of now.
    if (verdict.reason == DenyReason::daily_loss || verdict.reason == DenyReason::drawdown) set_by_loss(caller, verdict.scope);
    return verdict;
}

// ---- check 9: the same content again ------------------------------------------------------------------

Model::Content Model::content_of(const Order& order) const {
    const StrategyId strategy = config_.content_by_strategy ? order.strategy : StrategyId::none;
    return {order.account,          strategy,         order.instrument,         order.side, order.type, order.tif,
            order.registered_price, order.stop_price, order.registered_quantity};
}

Model::Refusal Model::refuse_content(const Scopes& scopes, const Order& order, std::int64_t steady_ns) const {
    static const std::vector<std::int64_t> never;
    const auto found = contents_.find(content_of(order));
    const std::vector<std::int64_t>& times = found != contents_.end() ? found->second : never;
    for (const Scope& scope : scopes) {
        const Limits& limits = row(scope).limits;
        const std::int64_t count = count_in_window(times, steady_ns, limits.content_window_ms);
        if (has_value(limits.max_same_content) && count >= limits.max_same_content.value)
            return deny(DenyReason::duplicate_content, scope, count + 1, limits.max_same_content.value, Unit::orders);
    }
    return std::nullopt;
}

void Model::count_content(const Scopes& scopes, const Order& order) {
    const auto limited = [&](const Scope& scope) { return has_value(row(scope).limits.max_same_content); };
    if (std::any_of(scopes.begin(), scopes.end(), limited)) contents_[content_of(order)].push_back(last_steady_ns_);
}

// ---- check 10: own orders -----------------------------------------------------------------------------

namespace {

/// The prices at which a live order may trade; without a value: at the market.
std::vector<std::optional<std::int64_t>> resting_prices(const Order& order) {
    if (takes_stop_price(order.type) && order.cum == 0) return {};  // not triggered, as far as anybody knows
    if (!takes_price(order.type)) return {std::nullopt};
    if (!order.pending) return {order.price};
    return {order.price, order.pending->price};
}

}  // namespace

Model::Match Model::own_match(const Incoming& incoming) const {
    Match match;
    bool any = false;
    const bool buy = incoming.side == Side::buy;
    for (const Order& order : orders_) {
        const bool same_group = config_.self_match_group == SelfMatchGroup::firm || order.account == incoming.account;
        if (!live(order) || !same_group || order.instrument != incoming.instrument || order.side == incoming.side) continue;
        for (const std::optional<std::int64_t>& price : resting_prices(order)) {
            if (!price || !incoming.price) {
                match.crosses = match.at_market = true;
                continue;
            }
            match.best = !any ? *price : buy ? std::min(match.best, *price) : std::max(match.best, *price);
            any = true;
        }
    }
    if (any && (buy ? *incoming.price >= match.best : *incoming.price <= match.best)) match.crosses = true;
    return match;
}

/// `crosses`: it would, and is let through all the same.
Model::Refusal Model::refuse_self_match(const Incoming& incoming, bool& crosses) const {
    if (config_.self_match == SelfMatch::allow) return std::nullopt;
    const Match match = own_match(incoming);
    if (!match.crosses) return std::nullopt;
    if (config_.self_match == SelfMatch::advise_cancel) {
        crosses = true;
        return std::nullopt;
    }
    Scope scope{ScopeKind::firm};
    if (config_.self_match_group == SelfMatchGroup::account) scope = {ScopeKind::account, incoming.account};
    if (match.at_market) return deny(DenyReason::self_match, scope);
    // Orders to come are on the grid: one off it is as aggressive as the tick inside of it.
    const std::int64_t tick = config_of(incoming.instrument).tick.value;
    std::int64_t ticks = match.best / tick;
    const std::int64_t rest = match.best % tick;
    if (incoming.side == Side::sell && rest < 0) --ticks;
    if (incoming.side == Side::buy && rest > 0) ++ticks;
    return deny(DenyReason::self_match, scope, *incoming.price, ticks * tick, Unit::price);
}

// ---- check 11: what positions are worth ---------------------------------------------------------------

/// standard: the position. worst_case: the greater of both worst positions, with `more` on one side.
Big Model::gross_of(InstrumentId instrument, const Row& row, std::int64_t mark, Side side, const Big& more) const {
    if (config_.gross_method == GrossMethod::standard) return worth(instrument, mark, magnitude(row.position));
    const Big longest = abs(Big(row.position) + row.open_buy_quantity + (side == Side::buy ? more : Big(0)));
    const Big shortest = abs(Big(row.open_sell_quantity) - row.position + (side == Side::sell ? more : Big(0)));
    return worth(instrument, mark, std::max(longest, shortest));
}

std::optional<std::int64_t> Model::stand_in_for_mark(InstrumentId instrument, std::int64_t steady_ns) const {
    if (config_.gross_method == GrossMethod::standard) return std::nullopt;
    return fresh_reference(instrument, steady_ns);
}

Model::Refusal Model::refuse_gross(const Scopes& scopes, const Growth& growth) const {
    const bool standard = config_.gross_method == GrossMethod::standard;
    if (standard ? growth.notional <= 0 : growth.quantity <= 0) return std::nullopt;
    for (std::size_t k = 0; k < scopes.size(); ++k) {
        const Row& r = row(scopes[k]);
        const LimitValue limit = r.limits.max_gross_notional;
        if (!has_value(limit) || reducing_for_limit(scopes, k, growth.side, growth.quantity)) continue;
        const Big before = as_marked(scopes[k], growth.steady_ns).gross;
        Big after = before + r.open_buy_notional + r.open_sell_notional + growth.notional;
        if (!standard) {
            const Scope& of_instrument = scopes[kQuantityScope[k]];  // in what the scope sums up
            const Row& part = row(of_instrument);
            auto mark = wanted_mark(of_instrument, growth.steady_ns);
            if (!mark) mark = part.mark ? part.mark : growth.stand_in;
            if (!mark) return deny(DenyReason::reference_price_unknown);
            after = before - as_marked(of_instrument, growth.steady_ns).gross +
                    gross_of(growth.instrument, part, *mark, growth.side, growth.quantity);
            if (after <= before) continue;
        }
        if (breaks(limit, after)) return deny(DenyReason::max_gross_notional, scopes[k], after, limit.value, Unit::money);
    }
    return std::nullopt;
}

/// R6.3: by the limit's own number, both sides. Nobody passes as reducing.
Model::Refusal Model::refuse_net(const Scopes& scopes, const Growth& growth) const {
    if (growth.notional <= 0) return std::nullopt;
    for (std::size_t k = 0; k < scopes.size(); ++k) {
        const Row& r = row(scopes[k]);
        const LimitValue limit = r.limits.max_net_notional;
        if (!has_value(limit)) continue;
        const Big net = as_marked(scopes[k], growth.steady_ns).net;
        const auto number = [&](const Big& more_buys, const Big& more_sells) {
            const Big up = abs(Big(net + r.open_buy_notional + more_buys));
            const Big down = abs(Big(net - r.open_sell_notional - more_sells));
            return std::max(up, down);
        };
        const bool buy = growth.side == Side::buy;
        const Big after = number(buy ? growth.notional : 0, buy ? 0 : growth.notional);
        if (breaks(limit, after) && after > number(0, 0))
            return deny(DenyReason::max_net_notional, scopes[k], after, limit.value, Unit::money);
    }
    return std::nullopt;
}

Model::Refusal Model::refuse_cash(const Scopes& scopes, const Growth& growth) const {
    if (growth.side != Side::buy || growth.notional <= 0) return std::nullopt;
    for (std::size_t k = 0; k < scopes.size(); ++k) {
        const Row& r = row(scopes[k]);
        const Big used = std::max<Big>(Big(r.bought_notional) - r.sold_notional, 0);
        const Big after = Big(r.open_buy_notional) + growth.notional + used;
        if (!breaks(r.limits.cash_limit, after) || reducing_for_limit(scopes, k, growth.side, growth.quantity)) continue;
        return deny(DenyReason::cash_limit, scopes[k], after, r.limits.cash_limit.value, Unit::money);
    }
    return std::nullopt;
}

Model::Refusal Model::refuse_traded(const Scopes& scopes, const Growth& growth) const {
    if (growth.notional <= 0) return std::nullopt;
    for (std::size_t k = 0; k < scopes.size(); ++k) {
        const Row& r = row(scopes[k]);
        const Big after =
            Big(r.bought_notional) + r.sold_notional + r.open_buy_notional + r.open_sell_notional + growth.notional;
        const LimitValue limit = r.limits.max_traded_notional;
        if (!breaks(limit, after) || reducing_for_limit(scopes, k, growth.side, growth.quantity)) continue;
        return deny(DenyReason::max_traded_notional, scopes[k], after, limit.value, Unit::money);
    }
    return std::nullopt;
}

// ---- check 11: loss -----------------------------------------------------------------------------------

Big Model::pnl(const Row& row) { return Big(row.cash_flow) + row.net_value - row.start_value; }

/// The scope has lost as much as it may since the start of the day, or since its best moment.
Model::Refusal Model::loses(const Scope& scope, const Worth& worth, bool from_the_peak) const {
    const Limits& limits = row(scope).limits;
    const LimitValue limit = from_the_peak ? limits.drawdown : limits.daily_loss;
    const Big loss = from_the_peak ? worth.peak - worth.result : -worth.result;
    if (!has_value(limit) || loss <= 0 || loss < limit.value) return std::nullopt;
    return deny(from_the_peak ? DenyReason::drawdown : DenyReason::daily_loss, scope, loss, limit.value, Unit::money);
}

Model::Refusal Model::refuse_loss(const Scopes& scopes, const Growth& growth) const {
    if (growth.quantity <= 0 && growth.notional <= 0) return std::nullopt;  // increases nothing
    for (const bool from_the_peak : {false, true}) {
        for (std::size_t k = 0; k < scopes.size(); ++k) {
            const Limits& limits = row(scopes[k]).limits;
            if (!has_value(from_the_peak ? limits.drawdown : limits.daily_loss)) continue;
            if (reducing_for_limit(scopes, k, growth.side, growth.quantity)) continue;
            if (auto no = loses(scopes[k], as_marked(scopes[k], growth.steady_ns), from_the_peak)) return no;
        }
    }
    return std::nullopt;
}

// ---- check 11: rows whose marks nobody looks after (R9) -------------------------------------------------
// Here nobody ever does: there is no host.

/// The rows of one instrument that this scope sums up; of one instrument: itself.
std::vector<Scope> Model::parts_of(const Scope& scope) const {
    if (is_of_one_instrument(scope)) return {scope};
    std::vector<Scope> parts;
    for (const auto& [key, row] : rows_) {
        const auto& [kind, account, strategy, instrument] = key;
        const Scope one{kind, account, strategy, instrument};
        if (is_of_one_instrument(one) && key_of(total_of(one)) == key_of(scope)) parts.push_back(one);
    }
    return parts;
}

/// A host would make this price the row's mark, now or in time.
bool Model::wants_mark(const Scope& part, std::int64_t price) const {
    const Row& r = row(part);
    const bool works = r.open_buy_quantity != 0 || r.open_sell_quantity != 0;
    const bool exposed = r.position != 0 || (config_.gross_method == GrossMethod::worst_case && works);
    if (!exposed) return false;
    if (!r.mark) return true;
    if (*r.mark == price) return false;
    const Big moved = abs(Big(price) - *r.mark) * 10000;
    return !r.marked || config_.mark_interval_ms != 0 || moved >= magnitude(*r.mark) * config_.mark_threshold_bps;
}

std::optional<std::int64_t> Model::wanted_mark(const Scope& part, std::int64_t steady_ns) const {
    const auto reference = fresh_reference(part.instrument, steady_ns);
    return reference && wants_mark(part, *reference) ? reference : std::nullopt;
}

/// R9.4: the price has moved on, and then fell silent. What a rebuild has forgotten has not moved.
bool Model::is_left_behind(const Scope& part, std::int64_t steady_ns) const {
    const auto found = references_.find(part.instrument);
    if (found == references_.end() || fresh_reference(part.instrument, steady_ns)) return false;
    return wants_mark(part, found->second.price);
}

Model::Worth Model::as_written(const Scope& scope) const {
    const Row& r = row(scope);
    return {r.gross_value, r.net_value, pnl(r), r.peak};
}

/// R9.3: as if every row of one instrument had the mark that it wants. Nothing is written.
Model::Worth Model::as_marked(const Scope& scope, std::int64_t steady_ns) const {
    Worth worth = as_written(scope);
    for (const Scope& part : parts_of(scope)) {
        const auto mark = wanted_mark(part, steady_ns);
        if (!mark) continue;
        const Row& r = row(part);
        worth.gross += gross_of(part.instrument, r, *mark, Side::none, 0) - r.gross_value;
        worth.net += net_of(part.instrument, r, *mark) - r.net_value;
    }
    worth.result += worth.net - row(scope).net_value;
    worth.peak = std::max(worth.peak, worth.result);
    return worth;
}

Model::Refusal Model::refuse_unmarked(const Scopes& scopes, const Growth& growth) const {
    if (growth.quantity <= 0 && growth.notional <= 0) return std::nullopt;
    for (std::size_t k = 0; k < scopes.size(); ++k) {
        const Limits& limits = row(scopes[k]).limits;
        const bool rests_on_marks = has_value(limits.max_gross_notional) || has_value(limits.max_net_notional) ||
                                    has_value(limits.daily_loss) || has_value(limits.drawdown);
        if (!rests_on_marks || reducing_for_limit(scopes, k, growth.side, growth.quantity)) continue;
        for (const Scope& part : parts_of(scopes[k]))
            if (is_left_behind(part, growth.steady_ns)) return deny(DenyReason::reference_price_stale, scopes[k]);
    }
    return std::nullopt;
}

Model::Refusal Model::refuse_exposure(const Scopes& scopes, const Growth& growth) const {
    if (growth.quantity > 0)
        if (auto no = refuse_position(scopes, growth.side, growth.quantity)) return no;
    if (auto no = refuse_open_notional(scopes, growth.side, growth.quantity, growth.notional)) return no;
    if (auto no = refuse_gross(scopes, growth)) return no;
    if (auto no = refuse_net(scopes, growth)) return no;
    if (auto no = refuse_cash(scopes, growth)) return no;
    if (auto no = refuse_traded(scopes, growth)) return no;
    if (auto no = refuse_loss(scopes, growth)) return no;
    return refuse_unmarked(scopes, growth);
}

// ---- values of rows -------------------------------------------------------------------------------------

void Model::store(std::int64_t& counter, const Big& value) {
    if (value > kMax || value < kMin) overflowed_ = true;
    counter = clamp_to_64(value);
}

/// One instrument at the row's mark.
void Model::value_positions(const Scope& scope) {
    Row& row = rows_.at(key_of(scope));
    if (!row.mark) return;
    store(row.gross_value, gross_of(scope.instrument, row, *row.mark, Side::none, 0));
    store(row.net_value, net_of(scope.instrument, row, *row.mark));
}

Big Model::net_of(InstrumentId instrument, const Row& row, std::int64_t mark) const {
    const Big value = worth(instrument, mark, magnitude(row.position));
    return (row.position < 0) == (mark < 0) ? value : -value;
}

/// A scope that spans instruments: the sum over its rows of one instrument.
void Model::sum_up(const Scope& scope) {
    Big gross = 0, net = 0;
    for (const Scope& part : parts_of(scope)) {
        gross += row(part).gross_value;
        net += row(part).net_value;
    }
    Row& whole = rows_.at(key_of(scope));
    store(whole.gross_value, gross);
    store(whole.net_value, net);
}

void Model::revalue(const Scopes& scopes) {
    for (const Scope& scope : scopes)
        if (is_of_one_instrument(scope)) value_positions(scope);
    for (const Scope& scope : scopes) {
        if (!is_of_one_instrument(scope)) sum_up(scope);
        Row& row = rows_.at(key_of(scope));
        store(row.peak, std::max<Big>(row.peak, pnl(row)));
    }
}

/// Before a row's first mark a price of another kind stands for it.
void Model::stand_for_mark(const Scopes& scopes, std::int64_t price, bool only_where_none) {
    for (const Scope& scope : scopes) {
        Row& row = rows_.at(key_of(scope));
        if (!is_of_one_instrument(scope) || row.marked || (only_where_none && row.mark)) continue;
        row.mark = price;
    }
}

Verdict Model::marked(const Caller& caller, const Scope& scope, std::int64_t price) {
    if (!is_of_one_instrument(scope)) return deny(DenyReason::invalid_field);
    Row& marked_row = rows_.at(key_of(scope));
    if (marked_row.marked && marked_row.mark == price) return deny(DenyReason::not_allowed, scope);
    happened(caller.at());
    marked_row.mark = price;
    marked_row.marked = true;
    value_positions(scope);
    const Scope total = total_of(scope);
    sum_up(total);
    for (const Scope& changed : {scope, total}) {
        Row& row = rows_.at(key_of(changed));
        store(row.peak, std::max<Big>(row.peak, pnl(row)));
        judge_loss(caller, changed);
        judge_exposure(caller, changed);
    }
    return taken(Result::ok);
}

/// A move of the mark may breach gross or net: a warning, or reducing only. Working orders stay.
void Model::judge_exposure(const Caller& caller, const Scope& scope) {
    const Row& r = row(scope);
    const Big open = Big(r.open_buy_notional) + r.open_sell_notional;
    const Big gross = config_.gross_method == GrossMethod::worst_case ? Big(r.gross_value) : r.gross_value + open;
    const Big up = abs(Big(r.net_value) + r.open_buy_notional);
    const Big down = abs(Big(r.net_value) - r.open_sell_notional);
    const Big net = up > down ? up : down;
    const auto over = [](const LimitValue& limit, const Big& seen) {
        return limit.kind == LimitValue::Kind::value && seen > limit.value;
    };
    const TradingState to = config_.reduce_on_mark_breach ? TradingState::reducing_only : TradingState::warn;
    if (r.state >= to || !(over(r.limits.max_gross_notional, gross) || over(r.limits.max_net_notional, net))) return;
    change_state(scope, to);
    happened(caller.at());
}

// ---- what an event brings about in the same commit --------------------------------------------------------

void Model::set_by_loss(const Caller& caller, const Scope& scope) {
    const TradingState to = config_.halt_on_loss ? TradingState::halted : TradingState::reducing_only;
    if (row(scope).state >= to) return;
    change_state(scope, to);
    happened(caller.at());
}

void Model::judge_loss(const Caller& caller, const Scope& scope) {
    const Worth written = as_written(scope);
    if (loses(scope, written, false) || loses(scope, written, true)) set_by_loss(caller, scope);
}

void Model::judge_losses(const Caller& caller, const Scopes& scopes) {
    for (const Scope& scope : scopes) judge_loss(caller, scope);
}

/// The limit may stand on any covering scope; what it counts is always one strategy × instrument.
void Model::judge_breaker(const Caller& caller, const Scopes& scopes, const std::vector<std::int64_t>& times,
                          LimitValue Limits::*limit) {
    const bool exceeded = std::any_of(scopes.begin(), scopes.end(), [&](const Scope& scope) {
        const Limits& limits = row(scope).limits;
        return breaks(limits.*limit, count_in_window(times, last_steady_ns_, limits.window_ms));
    });
    const Scope& stopped = scopes[kStrategyInstrument];
    if (!exceeded || row(stopped).state == TradingState::halted) return;
    change_state(stopped, TradingState::halted);
    happened(caller.at());
}

void Model::follow_up(const Caller& caller, const Scopes& scopes, const Work& work) {
    Row& counted = rows_.at(key_of(scopes[kStrategyInstrument]));
    std::vector<std::int64_t>& executions = work.order.side == Side::buy ? counted.buys : counted.sells;
    if (work.executed) executions.push_back(last_steady_ns_);
    if (work.ended_by_reject) counted.rejects.push_back(last_steady_ns_);
    if (work.executed) judge_breaker(caller, scopes, executions, &Limits::max_same_direction);
    if (work.ended_by_reject) judge_breaker(caller, scopes, counted.rejects, &Limits::max_rejects);
    // One change for each scope, the most severe: what a breaker halted is not reduced as well.
    if (work.traded) judge_losses(caller, scopes);
}

// ---- start of the day ---------------------------------------------------------------------------------------

Verdict Model::load_position(const Caller& caller, AccountId account, StrategyId strategy, InstrumentId instrument,
                             std::int64_t quantity, std::int64_t price) {
    if (strategy == StrategyId::none) strategy = external();
    if (auto no = refuse_entities(account, strategy <= external(), instrument)) return *no;
    if (quantity == 0) return deny(DenyReason::invalid_quantity);
    happened(caller.at());
    const Big size = worth(instrument, price, magnitude(quantity));
    const Big value = (quantity < 0) == (price < 0) ? size : -size;
    const Scopes scopes = scopes_of(account, strategy, instrument);
    for (const Scope& scope : scopes) {
        Row& row = rows_.at(key_of(scope));
        add(row.position, quantity);
        add(row.start_position, quantity);
        add(row.start_value, value);
    }
    stand_for_mark(scopes, price, false);
    revalue(scopes);
    return taken(Result::ok);
}

// ---- control ------------------------------------------------------------------------------------------------

void Model::add_restriction(const Scope& scope, const Restriction& entry) {
    restricted_[{key_of(scope), entry.from_ns, entry.to_ns}] = {entry.buy, entry.sell};
}

Verdict Model::restrict(const Caller& caller, const Scope& scope, const Restriction& entry) {
    const auto found = restricted_.find({key_of(scope), entry.from_ns, entry.to_ns});
    const bool takes_off = !entry.buy && !entry.sell;
    if (found == restricted_.end() && takes_off) return deny(DenyReason::invalid_field);
    const std::size_t room = config_.capacity.restrictions + config_.restricted.size();
    if (found == restricted_.end() && restricted_.size() >= room)
        return deny(DenyReason::capacity, Scope{}, restricted_.size() + 1, static_cast<std::int64_t>(room), Unit::slots);
    happened(caller.at());
    Verdict verdict = taken(Result::ok);
    if (takes_off) {
        restricted_.erase(found);
    } else {
        verdict.already = found != restricted_.end() && found->second.buy == entry.buy && found->second.sell == entry.sell;
        add_restriction(scope, entry);
    }
    return verdict;
}

/// Only the members that `fields` names change. The members beyond the first eight are an event of their own.
Verdict Model::set_limits(const Caller& caller, const Scope& scope, const Limits& limits, LimitMask fields) {
    const auto& members = limit_members();
    const auto is_parameter = [](LimitValue Limits::*member) {
        return member == &Limits::window_ms || member == &Limits::content_window_ms || member == &Limits::cancel_headroom_bps;
    };
    Limits after = row(scope).limits;
    bool more = false;
    for (std::size_t i = 0; i < members.size(); ++i) {
        if ((fields >> i & 1U) == 0) continue;
        const LimitValue wanted = limits.*members[i];
        const bool negative = has_value(wanted) && wanted.value < 0;
        if (negative || (is_parameter(members[i]) && wanted.kind == LimitValue::Kind::unlimited))
            return deny(DenyReason::invalid_field, scope);
        more = more || (i >= 8 && after.*members[i] != wanted);
        after.*members[i] = wanted;
    }
    rows_.at(key_of(scope)).limits = after;
    happened(caller.at());
    if (more) happened(caller.at());
    return taken(Result::ok);
}

constexpr std::size_t kRequests = 64;

/// There is room for so many requests. One that waits for nobody any more is known until a later one needs its place.
void Model::write_down(ResumeRequest request) {
    request.changed = request.number;
    if (requests_.size() >= kRequests) {
        auto oldest = requests_.end();
        for (auto r = requests_.begin(); r != requests_.end(); ++r) {
            if (r->open && !is_obsolete(*r)) continue;
            if (oldest == requests_.end() || r->changed < oldest->changed) oldest = r;
        }
        requests_.erase(oldest);
    }
    requests_.push_back(std::move(request));
}

/// Only so many requests wait for a second person at once.
Model::Refusal Model::refuse_request() const {
    constexpr std::int64_t kMostOpen = kRequests;
    const auto open =
        std::count_if(requests_.begin(), requests_.end(), [&](const ResumeRequest& r) { return r.open && !is_obsolete(r); });
    if (!config_.four_eyes || open < kMostOpen) return std::nullopt;
    return deny(DenyReason::capacity, Scope{}, kMostOpen, kMostOpen, Unit::slots);
}

Verdict Model::resume(const Caller& caller, const Scope& scope, TradingState to) {
    if (to >= row(scope).state) return deny(DenyReason::not_allowed, scope);
    if (auto no = refuse_request()) return *no;
    Verdict verdict = taken(Result::ok);
    if (!config_.four_eyes) change_state(scope, to);
    happened(caller.at());
    if (!config_.four_eyes) return verdict;
    verdict.request = events() + 1;  // the log's numbers begin at 2: the first is the creation
    write_down({verdict.request, scope, to, false, caller.uid, true, 0});
    return verdict;
}

/// Who halted the firm meanwhile, and why, stays readable.
void Model::release(Row& firm, std::uint64_t event) {
    firm.unreconciled = false;
    firm.changed_at = event;
    if (firm.state == TradingState::active) firm.told_at = event, firm.told_before = firm.state;
}

Verdict Model::release_unreconciled(const Caller& caller) {
    const Scope scope{ScopeKind::firm};
    Row& firm = rows_.at(key_of(scope));
    if (!firm.unreconciled) return deny(DenyReason::not_allowed, scope);
    if (auto no = refuse_request()) return *no;
    happened(caller.at());
    Verdict verdict = taken(Result::ok);
    if (config_.four_eyes) {
        verdict.request = events() + 1;
        write_down({verdict.request, scope, TradingState::active, true, caller.uid, true, 0});
    } else {
        release(firm, events());
    }
    return verdict;
}

/// Its scope has changed since, which whoever asked did not see; or it steps down no longer. A request is numbered by its
/// sequence, one more than the number of its event.
bool Model::is_obsolete(const ResumeRequest& request) const {
    const Row& r = row(request.scope);
    const bool changed = r.changed_at + 1 > request.number;
    return changed || (request.unreconciled ? !r.unreconciled : request.to >= r.state);
}

/// Performs what was asked for, if it still steps down.
Verdict Model::approve(const Caller& caller, std::uint64_t request) {
    const auto found =
        std::find_if(requests_.begin(), requests_.end(), [&](const ResumeRequest& r) { return r.number == request && r.open; });
    if (found == requests_.end()) return deny(DenyReason::invalid_field);
    if (found->uid == caller.uid) return deny(DenyReason::not_allowed, found->scope);
    Row& asked = rows_.at(key_of(found->scope));
    if (is_obsolete(*found)) return deny(DenyReason::not_allowed, found->scope);
    if (found->unreconciled) {
        release(asked, events() + 1);
    } else {
        change_state(found->scope, found->to);
    }
    happened(caller.at());
    found->open = false;
    found->changed = events() + 1;
    return taken(Result::ok);
}

Verdict Model::alert(const Caller& caller, const Scope& scope, std::size_t limit, std::uint8_t level) {
    rows_.at(key_of(scope)).alert_levels[limit] = level;
    happened(caller.at());
    return taken(Result::ok);
}

}  // namespace riskreg::model
