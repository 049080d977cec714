#include "registry/row_views.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "base/wide.hpp"
#include "persist/limit_fields.hpp"

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

/// The order in which a refusal names them (core/checks.cpp, deny_state).
enum class Severity : std::uint8_t { active, warn, unreconciled, reducing_only, cancel_only, halted };

Severity severity_of(const RowControl& control, bool saturated) noexcept {
    if (saturated || control.state == TradingState::halted) return Severity::halted;
    if (control.state == TradingState::cancel_only) return Severity::cancel_only;
    if (control.state == TradingState::reducing_only) return Severity::reducing_only;
    if ((control.flags & kUnreconciled) != 0) return Severity::unreconciled;
    return control.state == TradingState::warn ? Severity::warn : Severity::active;
}

constexpr std::string_view kSeverities[] = {"active", "warn", "unreconciled", "reducing_only", "cancel_only", "halted"};

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
        const RowControl control = state.rows[covering].control.read();
        const bool saturated = (state.rows[covering].counters.read().flags & kRowSaturated) != 0;
        const Severity severity = severity_of(control, saturated);
        if (worst.row == core::kNoSlot || severity > worst.severity) worst = {severity, covering, saturated};
    }
    if (worst.severity == Severity::active) worst.row = row;
    view.effective_state = kSeverities[static_cast<std::size_t>(worst.severity)];
    view.effective_scope = state.geometry.scope_of(worst.row);
    view.effective_reason = reason_of(state, worst.row, worst.severity, worst.saturated);
}

namespace {

std::int64_t narrowed(Int128 value) noexcept {
    return static_cast<std::int64_t>(std::clamp<Int128>(value, base::kMinInt64, base::kMaxInt64));
}

Int128 absolute(Int128 value) noexcept { return value < 0 ? -value : value; }

Int128 worst_quantity(Int128 position, Int128 buys, Int128 sells, bool is_long) noexcept {
    return is_long ? position + buys : sells - position;
}

/// A quantity limit of a scope that spans instruments holds for each of them: the greatest counts.
Int128 worst_of(const core::State& state, const ExposureView& row, bool is_long) noexcept {
    if (row.scope.instrument != InstrumentId::none)
        return worst_quantity(row.position.value, row.open_buy_quantity.value, row.open_sell_quantity.value, is_long);
    Scope scope = row.scope;
    scope.kind = scope.kind == ScopeKind::firm      ? ScopeKind::instrument
                 : scope.kind == ScopeKind::account ? ScopeKind::account_instrument
                                                    : ScopeKind::strategy_instrument;
    Int128 most = 0;
    for (std::uint32_t i = 0; i < state.geometry.instruments; ++i) {
        scope.instrument = InstrumentId{i};
        const RowCounters c = state.rows[state.geometry.row_of(scope)].counters.read();
        most = std::max(most, worst_quantity(c.position, c.open_buy_quantity, c.open_sell_quantity, is_long));
    }
    return most;
}

std::optional<std::int64_t> amount_of(const core::State& state, const ExposureView& row, LimitValue Limits::*limit) noexcept {
    const auto is = [limit](LimitValue Limits::*member) { return limit == member; };
    const Int128 buys = row.open_buy_notional.value, sells = row.open_sell_notional.value;
    const Int128 bought = row.bought_notional_today.value, sold = row.sold_notional_today.value;
    const Int128 gross = row.gross_value.value, net = row.net_value.value;
    if (is(&Limits::max_open_notional)) return narrowed(buys + sells);
    if (is(&Limits::max_gross_notional)) return narrowed(state.has_setting(kGrossWorstCase) ? gross : gross + buys + sells);
    if (is(&Limits::max_net_notional)) return narrowed(std::max(absolute(net + buys), absolute(net - sells)));
    if (is(&Limits::cash_limit)) return narrowed(buys + std::max<Int128>(0, bought - sold));
    if (is(&Limits::max_traded_notional)) return narrowed(bought + sold + buys + sells);
    if (is(&Limits::daily_loss)) return narrowed(std::max<Int128>(0, -Int128{row.pnl.value}));
    if (is(&Limits::drawdown)) return narrowed(std::max<Int128>(0, Int128{row.peak_pnl.value} - row.pnl.value));
    return std::nullopt;
}

std::optional<std::int64_t> use_of(const core::State& state, const ExposureView& row, LimitValue Limits::*limit) noexcept {
    const auto is = [limit](LimitValue Limits::*member) { return limit == member; };
    if (is(&Limits::max_long) || is(&Limits::max_short)) return narrowed(worst_of(state, row, is(&Limits::max_long)));
    if (is(&Limits::max_working_orders)) return std::int64_t{row.working_buy} + row.working_sell;
    if (is(&Limits::max_working_buy)) return row.working_buy;
    if (is(&Limits::max_working_sell)) return row.working_sell;
    if (is(&Limits::max_messages)) return row.messages_in_window;
    if (is(&Limits::max_all_messages)) return row.all_messages_in_window;
    return amount_of(state, row, limit);
}

}  // namespace

std::vector<LimitUse> uses_of(const core::State& state, const ExposureView& row) {
    std::vector<LimitUse> uses;
    for (const persist::LimitField& field : persist::kLimitFields)
        if (const std::optional<std::int64_t> used = use_of(state, row, field.member))
            uses.push_back({field.member, field.name, field.unit, *used});
    return uses;
}

}  // namespace riskreg::registry
