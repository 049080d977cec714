#include "model/command.hpp"

#include <sstream>

namespace riskreg::test {

namespace {

constexpr const char* kOpNames[] = {"register",  "batch",     "replace",   "cancel",        "abort",        "fact",
                                    "halt",      "resume",    "release",   "limits",        "die",          "attach",
                                    "reference", "mark",      "restrict",  "load_position", "load_order",   "approve",
                                    "alert",     "set_clock", "recovered", "begin_send",    "own_reference"};
constexpr const char* kKindNames[] = {
    "none",         "acked",     "rejected", "canceled",  "cancel_rejected", "replaced", "replace_rejected", "expired",
    "done_for_day", "suspended", "resumed",  "timed_out", "filled",          "bust",     "correct"};

template <class T>
std::optional<T> wrap(const std::optional<std::int64_t>& value) {
    return value ? std::optional<T>(T{*value}) : std::nullopt;
}

/// How much after a moment; any two numbers have a difference here.
std::string since(std::int64_t time_ns, std::int64_t origin_ns) { return (model::Big(time_ns) - origin_ns).str() + "ns"; }

/// What the operations of control add to a command's text.
std::string text_of_control(const Command& c) {
    std::ostringstream out;
    if (c.op == Op::halt || c.op == Op::resume) out << " to " << int(c.to);
    if (c.op == Op::resume || c.op == Op::release || c.op == Op::approve) out << " uid " << c.uid;
    if (c.op == Op::limits) out << " fields " << std::hex << c.fields << std::dec << text_of(c.limits);
    if (c.op == Op::die || c.op == Op::attach || c.op == Op::load_position || c.op == Op::load_order)
        out << " strategy " << int(c.strategy);
    if (c.op == Op::reference)
        out << " at t+" << since(c.time_ns, kStart) << " steady+" << since(c.time_steady_ns, kSteadyStart);
    if (c.op == Op::approve) out << " request " << c.request;
    if (c.op == Op::alert) out << " limit " << int(c.alert_limit) << " level " << int(c.alert_level);
    if (c.op == Op::restrict)
        out << (c.entry.buy ? " buy" : "") << (c.entry.sell ? " sell" : "") << " from t+" << since(c.entry.from_ns, kStart)
            << " to t+" << since(c.entry.to_ns, kStart);
    return out.str();
}

}  // namespace

OrderRequest order_request(const Command& c) {
    return {.id = c.id,
            .account = c.account,
            .instrument = c.instrument,
            .side = c.side,
            .type = c.type,
            .tif = c.tif,
            .price = wrap<Price>(c.price),
            .quantity = Quantity{c.quantity.value_or(0)},
            .stop_price = wrap<Price>(c.stop_price)};
}

ReplaceRequest replace_request(const Command& c) {
    return {.id = c.id,
            .account = c.account,
            .new_id = c.new_id,
            .price = wrap<Price>(c.price),
            .quantity = wrap<Quantity>(c.quantity),
            .stop_price = wrap<Price>(c.stop_price),
            .expected_version = c.version};
}

OrderEvent order_event(const Command& c) {
    OrderEvent event;
    event.kind = c.kind;
    event.id = c.id;
    event.account = c.account;
    event.venue_id = c.venue_id;
    event.exec_id = c.exec_id;
    event.new_exec_id = c.new_exec_id;
    event.price = wrap<Price>(c.price);
    event.quantity = wrap<Quantity>(c.quantity);
    event.cum_quantity = wrap<Quantity>(c.cum);
    event.instrument = c.instrument;
    event.side = c.side;
    event.reopened = c.reopened;
    event.venue_knows_no_such_order = c.no_such_order;
    return event;
}

std::string text_of(const Scope& scope) {
    std::ostringstream out;
    out << "scope(kind " << int(scope.kind) << " a " << int(scope.account) << " s " << int(scope.strategy) << " i "
        << std::int64_t(scope.instrument) << ")";
    return out.str();
}

std::string text_of(const Limits& l) {
    std::ostringstream out;
    for (LimitValue Limits::*const member : model::limit_members()) {
        const LimitValue v = l.*member;
        if (v.kind == LimitValue::Kind::unset) out << " -";
        if (v.kind == LimitValue::Kind::unlimited) out << " *";
        if (v.kind == LimitValue::Kind::value) out << ' ' << v.value;
    }
    return out.str();
}

std::string text_of(const Command& c) {
    std::ostringstream out;
    out << kOpNames[int(c.op)];
    if (c.op == Op::fact) out << ' ' << kKindNames[int(c.kind)];
    out << " t+" << since(c.now_ns, kStart) << " steady+" << since(c.steady_ns, kSteadyStart) << " session " << int(c.session);
    const auto text = [&](const char* name, const std::string& value) {
        if (!value.empty()) out << ' ' << name << " '" << value << '\'';
    };
    const auto number = [&](const char* name, const std::optional<std::int64_t>& v) {
        if (v) out << ' ' << name << ' ' << *v;
    };
    text("id", c.id), text("new_id", c.new_id), text("exec", c.exec_id), text("new_exec", c.new_exec_id),
        text("venue", c.venue_id);
    if (c.account != AccountId::none) out << " account " << int(c.account);
    if (c.instrument != InstrumentId::none) out << " instrument " << std::int64_t(c.instrument);
    if (c.side != Side::none) out << " side " << int(c.side);
    for (const Command& member : c.members) out << "\n      " << text_of(member);
    if (c.op == Op::register_order || c.op == Op::load_order) out << " type " << int(c.type) << " tif " << int(c.tif);
    number("price", c.price), number("stop", c.stop_price), number("quantity", c.quantity), number("cum", c.cum);
    if (c.version) out << " version " << *c.version;
    if (c.reopened) out << " reopened";
    if (c.no_such_order) out << " no_such_order";
    if (c.scope.kind != ScopeKind::none) out << ' ' << text_of(c.scope);
    return out.str() + text_of_control(c);
}

model::Caller model_caller(const Command& c) {
    if (c.session == kNoSession) return {c.now_ns, c.steady_ns, StrategyId::none, c.uid};
    return {c.now_ns, c.steady_ns, StrategyId{static_cast<std::uint16_t>(c.session)}, c.uid};
}

Verdict ask(Registry& who, const Command& c) {
    switch (c.op) {
        case Op::register_order: return who.check_and_register(order_request(c));
        case Op::replace: return who.replace_requested(replace_request(c));
        case Op::cancel: return who.cancel_requested(c.account, c.id);
        case Op::abort: return who.aborted(c.account, c.id);
        case Op::fact: return who.event(order_event(c));
        case Op::halt: return who.halt(c.scope, c.to, "test");
        case Op::resume: return who.resume(c.scope, c.to, "test");
        case Op::release: return who.release_unreconciled("test");
        case Op::limits: return who.set_limits(c.scope, c.limits, "test", c.fields);
        case Op::restrict: return who.restrict(c.scope, c.entry);
        case Op::load_position:
            return who.load_position(c.account, c.strategy, c.instrument, Quantity{*c.quantity}, Price{*c.price}, "test");
        case Op::load_order: return who.load_order(c.strategy, order_request(c));
        case Op::approve: return who.approve(c.request);
        case Op::reference: return who.reference_price(c.instrument, Price{*c.price});
        case Op::set_clock: return who.set_clock("test");
        case Op::begin_send: return who.begin_send(c.account, c.id);
        default: throw std::runtime_error("a command that no process gives");
    }
}

Verdict run(model::Model& model, const Command& c) {
    const model::Caller caller = model_caller(c);
    switch (c.op) {
        case Op::register_order: return model.register_order(caller, order_request(c));
        case Op::batch: break;
        case Op::replace: return model.replace(caller, replace_request(c));
        case Op::cancel: return model.cancel(caller, c.account, c.id);
        case Op::abort: return model.abort(caller, c.account, c.id);
        case Op::fact: return model.fact(caller, order_event(c));
        case Op::halt: return model.halt(caller, c.scope, c.to);
        case Op::resume: return model.resume(caller, c.scope, c.to);
        case Op::release: return model.release_unreconciled(caller);
        case Op::limits: return model.set_limits(caller, c.scope, c.limits, c.fields);
        case Op::mark: return model.marked(caller, c.scope, *c.price);
        case Op::restrict: return model.restrict(caller, c.scope, c.entry);
        case Op::load_position: return model.load_position(caller, c.account, c.strategy, c.instrument, *c.quantity, *c.price);
        case Op::load_order: return model.load_order(caller, c.strategy, order_request(c));
        case Op::approve: return model.approve(caller, c.request);
        case Op::alert: return model.alert(caller, c.scope, c.alert_limit, c.alert_level);
        case Op::die: model.died(c.strategy, moment_of(c)); break;
        case Op::attach: model.attached(c.strategy, moment_of(c)); break;
        case Op::reference: return model.set_reference(c.instrument, *c.price, {c.time_ns, c.time_steady_ns});
        case Op::set_clock: return model.set_clock(caller);
        case Op::recovered: model.recovered(moment_of(c)); break;
        case Op::begin_send: return model.begin_send(caller, c.account, c.id);
        case Op::own_reference: model.reference_owned(c.instrument, moment_of(c)); break;
    }
    return {};
}

}  // namespace riskreg::test
