#include "registry/row_views.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "base/wide.hpp"
#include "core/watch.hpp"

namespace riskreg::registry {

using namespace layout;
using base::Int128;

namespace {

/// In the order in which scopes are checked; kNoSlot where a kind does not cover every order of the scope.
std::array<std::uint32_t, core::kRowsPerOrder> covering_rows(const core::State& state, const Scope& scope) noexcept {
    const Geometry& g = state.geometry;
    const auto strategy = static_cast<std::uint32_t>(scope.strategy);
    const auto instrument = static_cast<std::uint32_t>(scope.instrument);
    const bool has_strategy = scope.strategy != StrategyId::none, has_instrument = scope.instrument != InstrumentId::none;
    AccountId account = scope.account;
    // A strategy of one account sends nothing past that account's state.
    if (has_strategy && strategy < state.external_strategy() && state.strategy_records[strategy].account_count == 1)
        account = AccountId{state.strategy_records[strategy].only_account};
    const bool has_account = account != AccountId::none;
    const auto row = [&](bool covers, ScopeKind kind) {
        Scope of{kind, AccountId::none, StrategyId::none, InstrumentId::none};
        if (kind == ScopeKind::account || kind == ScopeKind::account_instrument) of.account = account;
        if (kind == ScopeKind::strategy || kind == ScopeKind::strategy_instrument) of.strategy = StrategyId(strategy);
        if (kind >= ScopeKind::instrument) of.instrument = InstrumentId{instrument};
        return covers ? g.row_of(of) : core::kNoSlot;
    };
    return {g.firm_row(),
            row(has_account, ScopeKind::account),
            row(has_strategy, ScopeKind::strategy),
            row(has_instrument, ScopeKind::instrument),
            row(has_account && has_instrument, ScopeKind::account_instrument),
            row(has_strategy && has_instrument, ScopeKind::strategy_instrument)};
}

using core::Severity;

/// A severity is a trading state, or the one that is none.
std::string_view name_of(Severity severity) noexcept {
    switch (severity) {
        case Severity::warn: return riskreg::name_of(TradingState::warn);
        case Severity::unreconciled: return riskreg::name_of(DenyReason::unreconciled);
        case Severity::reducing_only: return riskreg::name_of(TradingState::reducing_only);
        case Severity::cancel_only: return riskreg::name_of(TradingState::cancel_only);
        case Severity::halted: return riskreg::name_of(TradingState::halted);
        default: return riskreg::name_of(TradingState::active);
    }
}

std::string reason_of(const core::State& state, std::uint32_t row, Severity severity, bool saturated) {
    if (severity == Severity::active) return {};
    if (saturated) return "a counter met its end";
    if (severity == Severity::unreconciled) return "rebuilt from disk, and not compared with the venue since";
    const Reason reason = state.rows_cold[row].latch.read().reason;
    return {reason.text, std::min<std::size_t>(reason.size, sizeof reason.text)};
}

}  // namespace

void add_effective(const core::State& state, std::uint32_t row, ExposureView& view) {
    struct {
        Severity severity = Severity::active;
        std::uint32_t row = core::kNoSlot;
        bool saturated = false;
    } worst;
    for (const std::uint32_t covering : covering_rows(state, view.scope)) {
        if (covering == core::kNoSlot) continue;
        const RowCounters counters = state.rows[covering].counters.read();
        const bool saturated = (counters.flags & kRowSaturated) != 0;
        const Severity severity = core::severity_of(state.rows[covering].control.read(), counters);
        if (worst.row == core::kNoSlot || severity > worst.severity) worst = {severity, covering, saturated};
    }
    if (worst.severity == Severity::active) worst.row = row;
    view.effective_state = name_of(worst.severity);
    view.effective_scope = state.geometry.scope_of(worst.row);
    view.effective_reason = reason_of(state, worst.row, worst.severity, worst.saturated);
}

namespace {

RowCounters counters_of(const ExposureView& row) noexcept {
    RowCounters counters{};
    counters.position = row.position.value;
    counters.open_buy_quantity = row.open_buy_quantity.value;
    counters.open_sell_quantity = row.open_sell_quantity.value;
    return counters;
}

std::optional<Int128> widened(const std::optional<std::uint64_t>& count) noexcept {
    return count ? std::optional<Int128>(*count) : std::nullopt;
}

/// What limits of the row are held against, but for the greatest quantity of one instrument.
core::Holdings<Int128> holdings_of(const core::State& state, const ExposureView& row) noexcept {
    core::Holdings<Int128> h;
    h.worst_case = state.has_setting(kGrossWorstCase);
    h.working_buy = row.working_buy;
    h.working_sell = row.working_sell;
    h.buys = row.open_buy_notional.value;
    h.sells = row.open_sell_notional.value;
    h.bought = row.bought_notional_today.value;
    h.sold = row.sold_notional_today.value;
    h.gross = row.gross_value.value;
    h.net = row.net_value.value;
    h.pnl = row.pnl.value;
    h.peak = row.peak_pnl.value;
    h.messages = widened(row.messages_in_window);
    h.all_messages = widened(row.all_messages_in_window);
    return h;
}

std::vector<LimitUse> uses_of(const core::Holdings<Int128>& holdings) {
    std::vector<LimitUse> uses;
    for (const core::Limit& limit : core::kLimits)
        if (const std::optional<Int128> used = core::use_of(limit.id, holdings))
            uses.push_back({limit.member, limit.name, limit.unit, base::narrowed(*used)});
    return uses;
}

}  // namespace

std::vector<LimitUse> uses_of(const core::State& state, const ExposureView& row) {
    const std::uint32_t number = state.geometry.row_of(row.scope);
    core::Holdings<Int128> holdings = holdings_of(state, row);
    holdings.worst_long = core::worst_of_instruments(state, number, counters_of(row), true);
    holdings.worst_short = core::worst_of_instruments(state, number, counters_of(row), false);
    return uses_of(holdings);
}

std::vector<LimitUse> uses_of(const core::State& state, const ExposureView& row, const ExposureView& of_instrument) {
    core::Holdings<Int128> holdings = holdings_of(state, row);
    holdings.worst_long = core::worst_long_of<Int128>(of_instrument.position.value, of_instrument.open_buy_quantity.value);
    holdings.worst_short = core::worst_short_of<Int128>(of_instrument.position.value, of_instrument.open_sell_quantity.value);
    return uses_of(holdings);
}

}  // namespace riskreg::registry
