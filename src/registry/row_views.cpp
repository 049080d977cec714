#include "registry/row_views.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "base/wide.hpp"
#include "core/watch.hpp"
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

using core::Severity;

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
        const RowCounters counters = state.rows[covering].counters.read();
        const bool saturated = (counters.flags & kRowSaturated) != 0;
        const Severity severity = core::severity_of(state.rows[covering].control.read(), counters);
        if (worst.row == core::kNoSlot || severity > worst.severity) worst = {severity, covering, saturated};
    }
    if (worst.severity == Severity::active) worst.row = row;
    view.effective_state = kSeverities[static_cast<std::size_t>(worst.severity)];
    view.effective_scope = state.geometry.scope_of(worst.row);
    view.effective_reason = reason_of(state, worst.row, worst.severity, worst.saturated);
}

std::int64_t narrowed(Int128 value) noexcept {
    return static_cast<std::int64_t>(std::clamp<Int128>(value, base::kMinInt64, base::kMaxInt64));
}

namespace {

RowCounters counters_of(const ExposureView& row) noexcept {
    RowCounters counters{};
    counters.position = row.position.value;
    counters.open_buy_quantity = row.open_buy_quantity.value;
    counters.open_sell_quantity = row.open_sell_quantity.value;
    return counters;
}

core::RowAmounts amounts_of(const ExposureView& row) noexcept {
    return {row.open_buy_notional.value,
            row.open_sell_notional.value,
            row.bought_notional_today.value,
            row.sold_notional_today.value,
            row.gross_value.value,
            row.net_value.value,
            row.pnl.value,
            row.peak_pnl.value};
}

/// Of the member of Limits with this number. Nothing for limits of single orders, and for what is counted for each content or
/// each strategy × instrument.
std::optional<Int128> use_of(const core::State& state, const ExposureView& row, std::size_t limit) noexcept {
    switch (limit) {
        case 2:
        case 3: return core::worst_of_instruments(state, state.geometry.row_of(row.scope), counters_of(row), limit == 2);
        case 5: return Int128{row.working_buy} + row.working_sell;
        case 6: return row.working_buy;
        case 7: return row.working_sell;
        case 14: return row.messages_in_window;
        case 15: return row.all_messages_in_window;
        default: break;
    }
    const bool is_amount = limit == 4 || (limit >= 8 && limit <= 13);
    return is_amount ? std::optional(core::amount_used(state, amounts_of(row), limit)) : std::nullopt;
}

}  // namespace

std::vector<LimitUse> uses_of(const core::State& state, const ExposureView& row) {
    std::vector<LimitUse> uses;
    for (std::size_t i = 0; i < persist::kLimitFields.size(); ++i) {
        const persist::LimitField& field = persist::kLimitFields[i];
        if (const std::optional<Int128> used = use_of(state, row, i))
            uses.push_back({field.member, field.name, field.unit, narrowed(*used)});
    }
    return uses;
}

}  // namespace riskreg::registry
