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
using persist::write_amount;

namespace {

std::int64_t narrowed(Int128 value) {
    return static_cast<std::int64_t>(std::clamp<Int128>(value, base::kMinInt64, base::kMaxInt64));
}

/// How much of each limit of a row is used now.
class Usage {
public:
    Usage(const Reader& reader, const ExposureView& row) : uses_(reader.uses(row)) {}

    /// Nothing for limits of single orders, and for what is counted for each content or each strategy × instrument.
    [[nodiscard]] std::optional<std::int64_t> of(const LimitField& field) const {
        for (const LimitUse& use : uses_)
            if (use.limit == field.member) return use.used;
        return std::nullopt;
    }

private:
    std::vector<LimitUse> uses_;
};

/// The parameter that says in which window a limit is counted; null for limits without one.
const LimitValue* window_of(const Limits& limits, const LimitField& field) {
    return field.window == nullptr ? nullptr : &(limits.*field.window);
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
    return narrowed(Int128{used} * core::kWholeBps / limit);
}

bool has_limits(const ExposureView& row) { return !(row.limits == Limits{}); }

bool has_activity(const ExposureView& r) {
    return (r.position.value | r.open_buy_quantity.value | r.open_sell_quantity.value | r.bought_today.value |
            r.sold_today.value) != 0 ||
           r.working_buy + r.working_sell != 0 || r.state != TradingState::active || r.unreconciled || r.saturated;
}

void write_use(JsonWriter& out, const ExposureView& row, const LimitField& field, std::optional<std::int64_t> used) {
    const std::int64_t limit = (row.limits.*field.member).value;
    out.key(field.name).begin_object();
    if (used) write_amount(out, "used", field.unit, *used);
    if (used) write_amount(out, "headroom", field.unit, narrowed(Int128{limit} - *used));
    write_amount(out, "value", field.unit, limit);
    out.member("unit", name_of(field.unit));
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
        const std::optional<std::int64_t> used = usage.of(field);
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

void print_row_json(const Reader& reader, const ExposureView& r) {
    const Usage usage(reader, r);
    JsonWriter out;
    out.begin_object().member("scope", reader.name(r.scope)).key("instrument");
    r.scope.instrument == InstrumentId::none ? out.null() : out.string(reader.name(r.scope.instrument));
    write_counters(out, r);
    out.member("state", name_of(r.state)).member("effective_state", r.effective_state);
    out.member("effective_scope", reader.name(r.effective_scope)).member("effective_reason", r.effective_reason);
    out.member_bool("restricted", r.restricted);
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
    const std::optional<std::int64_t> used = usage.of(field);
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

/// Why orders of a row meet the state shown, and whose state that is where it is another's.
std::string why_text(const Reader& reader, const ExposureView& r) {
    if (r.effective_state == "active") return {};
    const std::string whose = reader.name(r.effective_scope);
    return whose == reader.name(r.scope) ? r.effective_reason : whose + ": " + r.effective_reason;
}

}  // namespace

int exposure(const Common& common, const std::string& scope) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    Table table({"scope", "position", "open buy", "open sell", "open notional", "working", "bought", "sold", "gross", "net",
                 "pnl", "state", "why"});
    each_row(reader, scope, [&](const ExposureView& r) {
        if (scope.empty() && (common.json ? is_idle_external(reader, r) : !has_activity(r))) return;
        if (common.json) return print_row_json(reader, r);
        const auto quantity = [](Quantity q) { return format_amount(Unit::quantity, q.value); };
        const auto money = [](Money m) { return format_amount(Unit::money, m.value); };
        table.add({reader.name(r.scope), quantity(r.position), quantity(r.open_buy_quantity), quantity(r.open_sell_quantity),
                   money(Money{narrowed(Int128{r.open_buy_notional.value} + r.open_sell_notional.value)}),
                   std::to_string(std::uint64_t{r.working_buy} + r.working_sell), quantity(r.bought_today),
                   quantity(r.sold_today), money(r.gross_value), money(r.net_value), money(r.pnl), r.effective_state,
                   why_text(reader, r)});
    });
    if (!common.json && table.empty() && scope.empty()) std::printf("no exposure, every scope is active\n");
    if (!common.json && !table.empty()) table.print();
    return kDone;
}

int limits(const Common& common, const std::string& scope) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    Table table({"scope", "limit", "value", "unit", "used", "headroom", "used %", "window"});
    each_row(reader, scope, [&](const ExposureView& r) {
        if (scope.empty() && !has_limits(r)) return;
        if (common.json) return print_row_json(reader, r);
        const Usage usage(reader, r);
        for (const LimitField& field : persist::kLimitFields)
            if ((r.limits.*field.member).kind != LimitValue::Kind::unset) table.add(limit_row(reader, usage, r, field));
    });
    if (!common.json) print_firm_state(reader);
    if (!common.json && table.empty()) std::printf("no limit is set\n");
    if (!common.json && !table.empty()) table.print();
    return kDone;
}

}  // namespace riskctl
