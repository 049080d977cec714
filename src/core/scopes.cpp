#include "core/scopes.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

template <class Records>
std::uint32_t find_named(const Records* records, std::uint32_t count, std::string_view id) noexcept {
    if (!base::is_valid_id(id)) return kNoSlot;
    const base::FixedId key = base::make_id(id);
    for (std::uint32_t i = 0; i < count; ++i)
        if (records[i].id == key) return i;
    return kNoSlot;
}

/// Takes `prefix` off the front of `text`; false when it does not begin with it.
bool take_prefix(std::string_view& text, std::string_view prefix) noexcept {
    if (text.substr(0, prefix.size()) != prefix) return false;
    text.remove_prefix(prefix.size());
    return true;
}

}  // namespace

InstrumentId find_instrument(const State& state, std::string_view id) noexcept {
    return static_cast<InstrumentId>(find_named(state.instrument_records, state.geometry.instruments, id));
}
AccountId find_account(const State& state, std::string_view id) noexcept {
    return static_cast<AccountId>(static_cast<std::uint16_t>(find_named(state.account_records, state.geometry.accounts, id)));
}
StrategyId find_strategy(const State& state, std::string_view id) noexcept {
    return static_cast<StrategyId>(
        static_cast<std::uint16_t>(find_named(state.strategy_records, state.geometry.strategies, id)));
}

Scope parse_scope(const State& state, std::string_view text) noexcept {
    Scope scope;
    if (text == "firm") return scope.kind = ScopeKind::firm, scope;
    const std::size_t slash = text.find('/');
    std::string_view first = text.substr(0, slash);
    std::string_view second = slash == std::string_view::npos ? std::string_view{} : text.substr(slash + 1);
    const bool two = slash != std::string_view::npos;
    if (two && !take_prefix(second, "instrument:")) return {};
    if (two) scope.instrument = find_instrument(state, second);
    if (two && scope.instrument == InstrumentId::none) return {};
    if (take_prefix(first, "account:")) {
        scope.account = find_account(state, first);
        if (scope.account == AccountId::none) return {};
        scope.kind = two ? ScopeKind::account_instrument : ScopeKind::account;
    } else if (take_prefix(first, "strategy:")) {
        scope.strategy = find_strategy(state, first);
        if (scope.strategy == StrategyId::none) return {};
        scope.kind = two ? ScopeKind::strategy_instrument : ScopeKind::strategy;
    } else if (!two && take_prefix(first, "instrument:")) {
        scope.instrument = find_instrument(state, first);
        if (scope.instrument == InstrumentId::none) return {};
        scope.kind = ScopeKind::instrument;
    }
    return scope;
}

std::string format_scope(const State& state, const Scope& scope) {
    if (scope.kind == ScopeKind::none) return {};
    if (scope.kind == ScopeKind::firm) return "firm";
    const auto named = [](std::string_view prefix, const base::FixedId& id) { return std::string(prefix).append(id.view()); };
    std::string text;
    if (scope.kind == ScopeKind::account || scope.kind == ScopeKind::account_instrument)
        text = named("account:", state.account_records[static_cast<std::size_t>(scope.account)].id);
    if (scope.kind == ScopeKind::strategy || scope.kind == ScopeKind::strategy_instrument)
        text = named("strategy:", state.strategy_records[static_cast<std::size_t>(scope.strategy)].id);
    if (scope.instrument == InstrumentId::none) return text;
    if (!text.empty()) text += '/';
    return text + named("instrument:", state.instrument_records[static_cast<std::size_t>(scope.instrument)].id);
}

}  // namespace riskreg::core
