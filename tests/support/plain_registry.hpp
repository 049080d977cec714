/// One registry on private memory: the core without lock, segment, journal or clock.
///
/// Executes an operation exactly as the engine does inside its lock: decide, write the event, commit, apply.
/// Time is an argument. Of denied requests only those that count as messages write an event here; everything else is as
/// in production, so that `state()` can be audited, copied, compared and read like a mapped one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/copy.hpp"
#include "core/decide.hpp"

namespace riskreg::test {

class PlainRegistry {
public:
    /// The configuration must be a valid one (`parse_config` is not asked).
    explicit PlainRegistry(const SharedConfig& config);
    /// Goes on with tables that are there: at genesis, or as a recovery made them. What they say of a journal stays.
    explicit PlainRegistry(core::PrivateState tables);

    [[nodiscard]] core::State& state() noexcept { return memory_.state; }
    [[nodiscard]] const core::State& state() const noexcept { return memory_.state; }

    /// From now on events are built elsewhere and copied into the ring; otherwise they are built there, as calls do.
    void copy_events() noexcept { copies_events_ = true; }

    /// Attaches slot `session` as `strategy`, with a new generation.
    Verdict attach(std::uint32_t session, StrategyId strategy, std::int64_t now_ns) {
        return attach(session, strategy, now_ns, now_ns);
    }
    Verdict attach(std::uint32_t session, StrategyId strategy, std::int64_t now_ns, std::int64_t steady_ns);
    /// Ends a session: `session_dead`, `session_detached` or `session_fenced`.
    Verdict end_session(std::uint32_t session, layout::EventType how, std::int64_t now_ns) {
        return end_session(session, how, now_ns, now_ns);
    }
    Verdict end_session(std::uint32_t session, layout::EventType how, std::int64_t now_ns, std::int64_t steady_ns);

    /// The attached session as a caller at a moment; both clocks tell the same.
    [[nodiscard]] core::Caller caller(std::uint32_t session, std::int64_t now_ns) const;
    /// A caller without a session and without a strategy.
    [[nodiscard]] static core::Caller operator_at(std::int64_t now_ns) noexcept;

    Verdict register_order(const core::Caller& caller, const OrderRequest& request);
    /// All or none, by one commit; of a refused batch the first member that was refused says why.
    std::vector<Verdict> register_all_or_none(const core::Caller& caller, std::span<const OrderRequest> requests);
    Verdict replace(const core::Caller& caller, const ReplaceRequest& request);
    Verdict cancel(const core::Caller& caller, AccountId account, std::string_view id);
    Verdict abort(const core::Caller& caller, AccountId account, std::string_view id);
    Verdict fact(const core::Caller& caller, const OrderEvent& fact);

    Verdict halt(const core::Caller& caller, const Scope& scope, TradingState to);
    Verdict resume(const core::Caller& caller, const Scope& scope, TradingState to);
    Verdict release_unreconciled(const core::Caller& caller);
    Verdict set_limits(const core::Caller& caller, const Scope& scope, const Limits& limits, LimitMask fields = kAllLimits);

    /// The second person's word for a resume.
    Verdict approve(const core::Caller& caller, std::uint64_t request);
    /// Neither side takes the entry off; the text of the entry's scope is not read.
    Verdict restrict(const core::Caller& caller, const Scope& scope, const Restriction& entry);
    /// Strategy none: `external`.
    Verdict load_position(const core::Caller& caller, AccountId account, StrategyId strategy, InstrumentId instrument,
                          Quantity quantity, Price price);
    Verdict load_order(const core::Caller& caller, StrategyId strategy, const OrderRequest& request);
    Verdict marked(const core::Caller& caller, const Scope& scope, Price price);
    Verdict alert(const core::Caller& caller, const core::AlertRequest& request);

    /// Writes the reference price as its owner session would: no event.
    void set_reference(InstrumentId instrument, Price price, std::int64_t time_ns) {
        set_reference(instrument, price, time_ns, time_ns);
    }
    void set_reference(InstrumentId instrument, Price price, std::int64_t time_ns, std::int64_t steady_ns);
    /// From now on somebody writes the reference price: the event that goes before a session's first.
    Verdict own_reference(const core::Caller& caller, InstrumentId instrument);
    /// As tables that were rebuilt from disk have it: nobody has written one.
    void forget_references();
    [[nodiscard]] Verdict begin_send(const core::Caller& caller, AccountId account, std::string_view id) const;
    /// Labels go on from the caller's wall clock.
    Verdict set_clock(const core::Caller& caller);
    /// The event with which trading goes on after a rebuild from disk; of what was in memory only, all stays.
    void recovered(const core::Caller& caller);
    /// Makes the firm `unreconciled`, as a recovery from disk does before anybody attaches.
    void make_unreconciled();

private:
    [[nodiscard]] core::Decision undecided();
    Verdict execute(core::Decision& decision);
    [[nodiscard]] core::NewOrder named(const ReplaceRequest& request) const;
    Verdict refuse(const core::Caller& caller, layout::EventType request, const core::NewOrder& order,
                   core::Decision& decision);

    core::PrivateState memory_;
    bool copies_events_ = false;
};

}  // namespace riskreg::test
