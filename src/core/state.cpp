#include "core/state.hpp"

namespace riskreg::core {

State view_of(std::byte* base, const layout::Geometry& geometry) noexcept {
    const layout::Offsets o = layout::offsets_of(geometry);
    State s;
    s.base = base;
    s.geometry = geometry;
    s.offsets = o;
    const auto at = [base]<class T>(T*& pointer, std::uint64_t offset) { pointer = reinterpret_cast<T*>(base + offset); };
    at(s.header, 0);
    auto* control = reinterpret_cast<layout::Control*>(base + o.control);
    s.log = &control->log;
    s.status = &control->status;
    s.marks = &control->marks;
    s.wakes = &control->wakes;
    s.host = &control->host;
#define RISKREG_VIEW(name, record, count, kind) at(s.name, o.name);
    RISKREG_TABLES(RISKREG_VIEW)
#undef RISKREG_VIEW
    return s;
}

RowSet rows_of(const layout::Geometry& g, std::uint32_t account, std::uint32_t strategy, std::uint32_t instrument) noexcept {
    const bool a = account < g.accounts;
    const bool s = strategy < g.strategies;
    const bool i = instrument < g.instruments;
    return {g.firm_row(),
            a ? g.account_row(account) : kNoSlot,
            s ? g.strategy_row(strategy) : kNoSlot,
            i ? g.instrument_row(instrument) : kNoSlot,
            a && i ? g.account_instrument_row(account, instrument) : kNoSlot,
            s && i ? g.strategy_instrument_row(strategy, instrument) : kNoSlot};
}

std::uint32_t total_row_of(const layout::Geometry& g, std::uint32_t row) noexcept {
    const Scope scope = g.scope_of(row);
    switch (scope.kind) {
        case ScopeKind::instrument: return g.firm_row();
        case ScopeKind::account_instrument: return g.account_row(static_cast<std::uint32_t>(scope.account));
        case ScopeKind::strategy_instrument: return g.strategy_row(static_cast<std::uint32_t>(scope.strategy));
        default: return kNoSlot;
    }
}

void look_closer(State& state) noexcept {
    using namespace layout;
    const std::uint64_t committed = load_relaxed(state.log->committed);
    const std::uint64_t durable = load_acquire(state.marks->durable);
    if (log_is_tight(state) && durable > load_relaxed(state.status->consumer) && durable <= committed)
        store_relaxed(state.status->consumer, durable);
    std::uint64_t brake = ~std::uint64_t{0};
    if (state.has_journal()) brake = load_relaxed(state.status->consumer) + state.geometry.ring_events / 4 * 3;
    store_relaxed(state.status->brake, brake);
    // A roller writes its phase first and then the brake, without the lock: either we see the one, or it undoes the other.
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (roll_phase(state) >= RollPhase::draining) store_relaxed(state.status->brake, 0);
}

}  // namespace riskreg::core
