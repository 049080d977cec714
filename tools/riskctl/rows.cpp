// exposure, limits: what every scope holds, what it may hold, and how much of that is used.
#include <algorithm>
#include <cstdio>

#include "base/decimal.hpp"
#include "base/wide.hpp"
#include "riskctl/output.hpp"
#include "riskctl/verbs.hpp"

namespace riskctl {

using namespace riskreg;
using base::Int128;
using persist::format_amount;
using persist::LimitField;

namespace {

std::int64_t narrowed(Int128 value) {
    return static_cast<std::int64_t>(std::clamp<Int128>(value, base::kMinInt64, base::kMaxInt64));
}

Int128 absolute(Int128 value) { return value < 0 ? -value : value; }

Int128 worst_quantity(const ExposureView& row, bool is_long) {
    return is_long ? Int128{row.position.value} + row.open_buy_quantity.value
                   : Int128{row.open_sell_quantity.value} - row.position.value;
}

/// How much of each limit of a row is used now. The formulas are those of the checks (tools/README.md, Limits).
class Usage {
public:
    explicit Usage(const Reader& reader) : reader_(reader), gross_method_(parse_config(reader.config_json()).gross_method) {}

    /// Nothing for limits of single orders, and for what is counted for each content or each strategy × instrument.
    [[nodiscard]] std::optional<std::int64_t> of(const ExposureView& row, const LimitField& field) const {
        const auto is = [&field](LimitValue Limits::*member) { return field.member == member; };
        if (is(&Limits::max_long) || is(&Limits::max_short)) return narrowed(worst(row, is(&Limits::max_long)));
        if (is(&Limits::max_working_orders)) return std::int64_t{row.working_buy} + row.working_sell;
        if (is(&Limits::max_working_buy)) return row.working_buy;
        if (is(&Limits::max_working_sell)) return row.working_sell;
        if (is(&Limits::max_messages)) return row.messages_in_window;
        if (is(&Limits::max_all_messages)) return row.all_messages_in_window;
        if (is(&Limits::daily_loss)) return narrowed(std::max<Int128>(0, -Int128{row.pnl.value}));
        if (is(&Limits::drawdown)) return narrowed(std::max<Int128>(0, Int128{row.peak_pnl.value} - row.pnl.value));
        return notional(row, field);
    }

private:
    [[nodiscard]] std::optional<std::int64_t> notional(const ExposureView& row, const LimitField& field) const {
        const auto is = [&field](LimitValue Limits::*member) { return field.member == member; };
        const Int128 buys = row.open_buy_notional.value, sells = row.open_sell_notional.value;
        const Int128 bought = row.bought_notional_today.value, sold = row.sold_notional_today.value;
        const Int128 gross = row.gross_value.value, net = row.net_value.value;
        if (is(&Limits::max_open_notional)) return narrowed(buys + sells);
        if (is(&Limits::max_gross_notional))
            return narrowed(gross_method_ == GrossMethod::worst_case ? gross : gross + buys + sells);
        if (is(&Limits::max_net_notional)) return narrowed(std::max(absolute(net + buys), absolute(net - sells)));
        if (is(&Limits::cash_limit)) return narrowed(buys + std::max<Int128>(0, bought - sold));
        if (is(&Limits::max_traded_notional)) return narrowed(bought + sold + buys + sells);
        return std::nullopt;
    }

    /// A quantity limit of a scope that spans instruments holds for each of them: the greatest counts.
    [[nodiscard]] Int128 worst(const ExposureView& row, bool is_long) const {
        if (row.scope.instrument != InstrumentId::none) return worst_quantity(row, is_long);
        Scope scope = row.scope;
        scope.kind = scope.kind == ScopeKind::firm      ? ScopeKind::instrument
                     : scope.kind == ScopeKind::account ? ScopeKind::account_instrument
                                                        : ScopeKind::strategy_instrument;
        Int128 most = 0;
        for (const std::string& instrument : reader_.instruments()) {
            scope.instrument = reader_.instrument(instrument);
            most = std::max(most, worst_quantity(reader_.exposure(scope), is_long));
        }
        return most;
    }

    const Reader& reader_;
    GrossMethod gross_method_;
};

/// The parameter that says in which window a limit is counted; null for limits without one.
const LimitValue* window_of(const Limits& limits, const LimitField& field) {
    const auto is = [&field](LimitValue Limits::*member) { return field.member == member; };
    if (is(&Limits::max_same_content)) return &limits.content_window_ms;
    const bool windowed = is(&Limits::max_messages) || is(&Limits::max_all_messages) || is(&Limits::max_same_direction) ||
                          is(&Limits::max_rejects);
    return windowed ? &limits.window_ms : nullptr;
}

std::int64_t value_or(const LimitValue& limit, std::int64_t fallback) {
    return limit.kind == LimitValue::Kind::value ? limit.value : fallback;
}

std::string headroom_of_cancels(const Limits& limits) {
    return format_amount(Unit::basis_points, value_or(limits.cancel_headroom_bps, kDefaultCancelHeadroomBps));
}

/// Nothing where there is no fraction to speak of: a limit of 0.
std::optional<std::int64_t> utilisation_bps(std::int64_t used, std::int64_t limit) {
    if (limit == 0) return std::nullopt;
    return narrowed(Int128{used} * persist::kWholeBps / limit);
}

bool has_limits(const ExposureView& row) { return !(row.limits == Limits{}); }

bool has_activity(const ExposureView& r) {
    return (r.position.value | r.open_buy_quantity.value | r.open_sell_quantity.value | r.bought_today.value |
            r.sold_today.value) != 0 ||
           r.working_buy + r.working_sell != 0 || r.state != TradingState::active || r.unreconciled;
}

void write_use(JsonWriter& out, const ExposureView& row, const LimitField& field, std::optional<std::int64_t> used) {
    const std::int64_t limit = (row.limits.*field.member).value;
    out.key(field.name).begin_object();
    if (used) out.member("used", format_amount(field.unit, *used));
    if (used) out.member("headroom", format_amount(field.unit, narrowed(Int128{limit} - *used)));
    out.member("value", format_amount(field.unit, limit)).member("unit", name_of(field.unit));
    if (used) {
        const auto bps = utilisation_bps(*used, limit);
        out.key("utilisation_bps");
        bps ? out.signed_number(*bps) : out.null();
    }
    if (const LimitValue* window = window_of(row.limits, field); window != nullptr)
        out.key("window_ms").signed_number(value_or(*window, kDefaultWindowMs));
    if (field.member == &Limits::max_all_messages) out.member("cancel_headroom", headroom_of_cancels(row.limits));
    out.end_object();
}

/// Of every limit that has a value and something to compare it with: a use now, or a window.
void write_utilisation(JsonWriter& out, const Usage& usage, const ExposureView& row) {
    out.key("utilisation").begin_object();
    for (const LimitField& field : persist::kLimitFields) {
        if ((row.limits.*field.member).kind != LimitValue::Kind::value) continue;
        const std::optional<std::int64_t> used = usage.of(row, field);
        if (used || window_of(row.limits, field) != nullptr) write_use(out, row, field, used);
    }
    out.end_object();
}

void write_counters(JsonWriter& out, const ExposureView& r) {
    const auto quantity = [](Quantity q) { return format_amount(Unit::quantity, q.value); };
    const auto money = [](Money m) { return format_amount(Unit::money, m.value); };
    out.member("position", quantity(r.position))
        .member("open_buy_quantity", quantity(r.open_buy_quantity))
        .member("open_sell_quantity", quantity(r.open_sell_quantity));
    out.member("open_buy_notional", money(r.open_buy_notional)).member("open_sell_notional", money(r.open_sell_notional));
    out.member("working_orders", std::uint64_t{r.working_buy} + r.working_sell);
    out.member("working_buy", std::uint64_t{r.working_buy}).member("working_sell", std::uint64_t{r.working_sell});
    out.member("bought_today", quantity(r.bought_today)).member("sold_today", quantity(r.sold_today));
    out.member("bought_notional_today", money(r.bought_notional_today));
    out.member("sold_notional_today", money(r.sold_notional_today));
    out.member("traded_notional_today",
               money(Money{narrowed(Int128{r.bought_notional_today.value} + r.sold_notional_today.value)}));
    out.member("start_position", quantity(r.start_position)).key("mark");
    r.priced ? out.string(format_amount(Unit::price, r.mark.value)) : out.null();
    out.member("gross_value", money(r.gross_value)).member("net_value", money(r.net_value));
    out.member("pnl", money(r.pnl)).member("peak_pnl", money(r.peak_pnl));
}

void print_row_json(const Reader& reader, const Usage& usage, const ExposureView& r) {
    JsonWriter out;
    out.begin_object().member("scope", reader.name(r.scope)).key("instrument");
    r.scope.instrument == InstrumentId::none ? out.null() : out.string(reader.name(r.scope.instrument));
    write_counters(out, r);
    out.member("state", name_of(r.state)).member_bool("restricted", r.restricted);
    if (r.unreconciled) out.member_bool("unreconciled", true);
    if (r.saturated) out.member_bool("saturated", true);
    if (r.state_changed_ns != 0)
        out.member("state_reason", r.state_reason)
            .member("state_changed", persist::format_time(r.state_changed_ns))
            .member("state_uid", std::uint64_t{r.state_uid});
    for (const LimitField& field : persist::kLimitFields) persist::write_limit(out, field, r.limits.*field.member);
    write_utilisation(out, usage, r);
    print_line(out.end_object().text());
}

template <class Visit>
void each_row(const Reader& reader, const std::string& scope_text, Visit visit) {
    if (scope_text.empty()) return reader.exposures([&](const ExposureView& row) { return visit(row), true; });
    visit(reader.exposure(require_scope(reader, scope_text)));
}

bool is_idle_external(const Reader& reader, const ExposureView& row) {
    return row.scope.strategy != StrategyId::none && reader.name(row.scope.strategy) == "external" && !has_activity(row) &&
           !has_limits(row);
}

std::string window_text(const Limits& limits, const LimitField& field) {
    const LimitValue* window = window_of(limits, field);
    if (window == nullptr) return "";
    std::string text = std::to_string(value_or(*window, kDefaultWindowMs)) + " ms";
    if (field.member == &Limits::max_all_messages) text += ", " + headroom_of_cancels(limits) + " of it for cancels";
    return text;
}

std::vector<std::string> limit_row(const Reader& reader, const Usage& usage, const ExposureView& r, const LimitField& field) {
    const LimitValue& limit = r.limits.*field.member;
    const bool bounded = limit.kind == LimitValue::Kind::value;
    const std::optional<std::int64_t> used = usage.of(r, field);
    const auto bps = used && bounded ? utilisation_bps(*used, limit.value) : std::nullopt;
    return {reader.name(r.scope),
            std::string(field.name),
            bounded ? format_amount(field.unit, limit.value) : "unlimited",
            std::string(name_of(field.unit)),
            used ? format_amount(field.unit, *used) : "-",
            used && bounded ? format_amount(field.unit, narrowed(Int128{limit.value} - *used)) : "-",
            bps ? base::format_decimal(*bps, 2) : "-",
            window_text(r.limits, field)};
}

}  // namespace

int exposure(const Common& common, const std::string& scope) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    const Usage usage(reader);
    Table table({"scope", "position", "open buy", "open sell", "open notional", "working", "bought", "sold", "gross", "net",
                 "pnl", "state", "why"});
    each_row(reader, scope, [&](const ExposureView& r) {
        if (scope.empty() && (common.json ? is_idle_external(reader, r) : !has_activity(r))) return;
        if (common.json) return print_row_json(reader, usage, r);
        const auto quantity = [](Quantity q) { return format_amount(Unit::quantity, q.value); };
        const auto money = [](Money m) { return format_amount(Unit::money, m.value); };
        table.add({reader.name(r.scope), quantity(r.position), quantity(r.open_buy_quantity), quantity(r.open_sell_quantity),
                   money(Money{narrowed(Int128{r.open_buy_notional.value} + r.open_sell_notional.value)}),
                   std::to_string(std::uint64_t{r.working_buy} + r.working_sell), quantity(r.bought_today),
                   quantity(r.sold_today), money(r.gross_value), money(r.net_value), money(r.pnl),
                   std::string(name_of(r.state)), r.state == TradingState::active ? "" : r.state_reason});
    });
    if (!common.json && table.empty()) std::printf("no exposure, every scope is active\n");
    if (!common.json && !table.empty()) table.print();
    return kDone;
}

int limits(const Common& common, const std::string& scope) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    const Usage usage(reader);
    Table table({"scope", "limit", "value", "unit", "used", "headroom", "used %", "window"});
    each_row(reader, scope, [&](const ExposureView& r) {
        if (scope.empty() && !has_limits(r)) return;
        if (common.json) return print_row_json(reader, usage, r);
        for (const LimitField& field : persist::kLimitFields)
            if ((r.limits.*field.member).kind != LimitValue::Kind::unset) table.add(limit_row(reader, usage, r, field));
    });
    if (!common.json && table.empty()) std::printf("no limit is set\n");
    if (!common.json && !table.empty()) table.print();
    return kDone;
}

}  // namespace riskctl
