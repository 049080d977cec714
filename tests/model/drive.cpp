#include "model/drive.hpp"

namespace riskreg::test {

core::Caller core_caller(const PlainRegistry& registry, const Command& c) {
    core::Caller caller =
        c.session == core::kNoSlot ? PlainRegistry::operator_at(c.now_ns) : registry.caller(c.session, c.now_ns);
    caller.uid = c.uid;
    caller.steady_ns = c.steady_ns;
    return caller;
}

namespace {

core::AlertRequest alert_request(const PlainRegistry& registry, const Command& c) {
    core::AlertRequest request;
    request.row = registry.state().geometry.row_of(c.scope);
    request.limit = c.alert_limit;
    request.level = c.alert_level;
    request.unit = Unit::money;
    return request;
}

/// The cell of these tables takes any price.
Verdict accepted_reference() {
    Verdict verdict;
    verdict.result = Result::ok;
    return verdict;
}

}  // namespace

Verdict run(PlainRegistry& registry, const Command& c) {
    const core::Caller caller = core_caller(registry, c);
    switch (c.op) {
        case Op::register_order: return registry.register_order(caller, order_request(c));
        case Op::batch: break;
        case Op::replace: return registry.replace(caller, replace_request(c));
        case Op::cancel: return registry.cancel(caller, c.account, c.id);
        case Op::abort: return registry.abort(caller, c.account, c.id);
        case Op::fact: return registry.fact(caller, order_event(c));
        case Op::halt: return registry.halt(caller, c.scope, c.to);
        case Op::resume: return registry.resume(caller, c.scope, c.to);
        case Op::release: return registry.release_unreconciled(caller);
        case Op::limits: return registry.set_limits(caller, c.scope, c.limits, c.fields);
        case Op::mark: return registry.marked(caller, c.scope, Price{*c.price});
        case Op::restrict: return registry.restrict(caller, c.scope, c.entry);
        case Op::load_position:
            return registry.load_position(caller, c.account, c.strategy, c.instrument, Quantity{*c.quantity}, Price{*c.price});
        case Op::load_order: return registry.load_order(caller, c.strategy, order_request(c));
        case Op::approve: return registry.approve(caller, c.request);
        case Op::alert: return registry.alert(caller, alert_request(registry, c));
        case Op::die: registry.end_session(c.session, layout::EventType::session_dead, c.now_ns, c.steady_ns); break;
        case Op::attach: registry.attach(c.session, c.strategy, c.now_ns, c.steady_ns); break;
        case Op::reference:
            registry.set_reference(c.instrument, Price{*c.price}, c.time_ns, c.time_steady_ns);
            return accepted_reference();
        case Op::set_clock: return registry.set_clock(caller);
        case Op::recovered: registry.forget_references(), registry.recovered(caller); break;
        case Op::begin_send: return registry.begin_send(caller, c.account, c.id);
        case Op::own_reference: registry.own_reference(caller, c.instrument); break;
    }
    return {};
}

}  // namespace riskreg::test
