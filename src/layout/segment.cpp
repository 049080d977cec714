#include "layout/segment.hpp"

#include "layout/describe.hpp"

namespace riskreg::layout {

std::uint32_t Geometry::row_of(const Scope& scope) const noexcept {
    const auto a = static_cast<std::uint32_t>(scope.account);
    const auto s = static_cast<std::uint32_t>(scope.strategy);
    const auto i = static_cast<std::uint32_t>(scope.instrument);
    switch (scope.kind) {
        case ScopeKind::firm: return firm_row();
        case ScopeKind::account: return a < accounts ? account_row(a) : kNoSlot;
        case ScopeKind::strategy: return s < strategies ? strategy_row(s) : kNoSlot;
        case ScopeKind::instrument: return i < instruments ? instrument_row(i) : kNoSlot;
        case ScopeKind::account_instrument: return a < accounts && i < instruments ? account_instrument_row(a, i) : kNoSlot;
        case ScopeKind::strategy_instrument: return s < strategies && i < instruments ? strategy_instrument_row(s, i) : kNoSlot;
        case ScopeKind::none: break;
    }
    return kNoSlot;
}

Scope Geometry::scope_of(std::uint32_t row) const noexcept {
    const auto account = [](std::uint32_t a) { return static_cast<AccountId>(static_cast<std::uint16_t>(a)); };
    const auto strategy = [](std::uint32_t s) { return static_cast<StrategyId>(static_cast<std::uint16_t>(s)); };
    Scope scope;
    if (row == 0) return scope.kind = ScopeKind::firm, scope;
    row -= 1;
    if (row < accounts) return scope.kind = ScopeKind::account, scope.account = account(row), scope;
    row -= accounts;
    if (row < strategies) return scope.kind = ScopeKind::strategy, scope.strategy = strategy(row), scope;
    row -= strategies;
    if (row < instruments) return scope.kind = ScopeKind::instrument, scope.instrument = InstrumentId{row}, scope;
    row -= instruments;
    scope.instrument = InstrumentId{row % instruments};
    if (row < accounts * instruments)
        return scope.kind = ScopeKind::account_instrument, scope.account = account(row / instruments), scope;
    row -= accounts * instruments;
    scope.kind = ScopeKind::strategy_instrument;
    scope.strategy = strategy(row / instruments);
    return scope;
}

Offsets offsets_of(const Geometry& g) noexcept {
    std::uint64_t next = kPage;  // page 0 is the header
    const auto take = [&next](std::uint64_t count, std::uint64_t bytes) {
        const std::uint64_t at = next;
        next += (count * bytes + kPage - 1) / kPage * kPage;
        return at;
    };
    Offsets o{};
    o.mutex = take(1, kPage);
    o.host = take(1, kPage);
    o.control = take(1, sizeof(Control));
#define RISKREG_TAKE(name, record, count, kind) o.name = take(count, sizeof(record));
    RISKREG_TABLES(RISKREG_TAKE)
#undef RISKREG_TAKE
    o.size_bytes = next;
    return o;
}

std::uint64_t layout_hash() {
    static const std::uint64_t hash = [] {
        std::uint64_t h = kLayoutVersion;
        for (const char c : describe_layout()) h = base::mix(h * 31 + static_cast<unsigned char>(c));
        return h;
    }();
    return hash;
}

}  // namespace riskreg::layout
