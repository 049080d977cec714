// exposure, limits: what every scope holds, what it may hold, and how much of that is used.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/decimal.hpp"
#include "riskctl/output.hpp"
#include "riskctl/verbs.hpp"

namespace riskctl {

using namespace riskreg;
using persist::format_amount;
using registry::LimitLine;

namespace {

bool has_limits(const ExposureView& row) { return !(row.limits == Limits{}); }

bool has_activity(const ExposureView& r) {
    return (r.position.value | r.open_buy_quantity.value | r.open_sell_quantity.value | r.bought_today.value |
            r.sold_today.value) != 0 ||
           r.working_buy + r.working_sell != 0 || r.state != TradingState::active || r.unreconciled || r.saturated;
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

std::string window_text(const LimitLine& line) {
    if (!line.window_ms) return "";
    const std::string text = std::to_string(*line.window_ms) + " ms";
    if (!line.cancel_headroom_bps) return text;
    return text + ", " + format_amount(Unit::basis_points, *line.cancel_headroom_bps) + " of it for cancels";
}

std::vector<std::string> limit_row(const Reader& reader, const ExposureView& r, const LimitLine& line) {
    const Unit unit = line.field.unit;
    const bool compares = line.used && line.is_bounded();
    const auto bps = compares ? line.utilisation_bps() : std::nullopt;
    return {reader.name(r.scope),
            std::string(line.field.name),
            registry::text_of(line.field, line.value),
            std::string(name_of(unit)),
            line.used ? format_amount(unit, *line.used) : "-",
            compares ? format_amount(unit, line.headroom()) : "-",
            bps ? base::format_decimal(*bps, 2) : "-",
            window_text(line)};
}

/// Why orders of a row meet the state shown, and whose state that is where it is another's.
std::string why_text(const Reader& reader, const ExposureView& r) {
    if (r.effective_state == "active") return {};
    const std::string whose = reader.name(r.effective_scope);
    return whose == reader.name(r.scope) ? r.effective_reason : whose + ": " + r.effective_reason;
}

std::vector<std::string> exposure_row(const Reader& reader, const ExposureView& r) {
    const auto quantity = [](Quantity q) { return format_amount(Unit::quantity, q.value); };
    const auto money = [](Money m) { return format_amount(Unit::money, m.value); };
    return {reader.name(r.scope),
            quantity(r.position),
            quantity(r.open_buy_quantity),
            quantity(r.open_sell_quantity),
            money(registry::open_notional(r)),
            std::to_string(std::uint64_t{r.working_buy} + r.working_sell),
            quantity(r.bought_today),
            quantity(r.sold_today),
            money(r.gross_value),
            money(r.net_value),
            money(r.pnl),
            r.effective_state,
            why_text(reader, r)};
}

int exposure(const Common& common, const std::string& scope) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    Table table({"scope", "position", "open buy", "open sell", "open notional", "working", "bought", "sold", "gross", "net",
                 "pnl", "state", "why"});
    each_row(reader, scope, [&](const ExposureView& r) {
        if (scope.empty() && (common.json ? is_idle_external(reader, r) : !has_activity(r))) return;
        common.json ? print_json(r, reader) : table.add(exposure_row(reader, r));
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
        if (common.json) return print_json(r, reader);
        for (const LimitLine& line : registry::limit_lines(r, reader)) table.add(limit_row(reader, r, line));
    });
    if (!common.json) print_firm_state(reader);
    if (!common.json && table.empty()) std::printf("no limit is set\n");
    if (!common.json && !table.empty()) table.print();
    return kDone;
}

template <int (*list)(const Common&, const std::string&)>
Run add_rows(CLI::App& verb, const Common& common) {
    auto scope = std::make_shared<std::string>();
    verb.add_option("--scope", *scope, kScopes);
    return [&common, scope] { return list(common, *scope); };
}

constexpr const char* kRowsHelp = "counters, limits and utilisation of scopes";

}  // namespace

Verb exposure_verb() { return {"exposure", kRowsHelp, add_rows<exposure>}; }
Verb limits_verb() { return {"limits", kRowsHelp, add_rows<limits>}; }

}  // namespace riskctl
