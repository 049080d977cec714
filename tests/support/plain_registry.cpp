#include "support/plain_registry.hpp"

#include <algorithm>
#include <utility>

#include "core/apply.hpp"
#include "core/genesis.hpp"
#include "core/order_view.hpp"
#include "core/overlay.hpp"
#include "core/perform.hpp"

namespace riskreg::test {

namespace {
constexpr std::string_view kConfigText = "{}";
constexpr std::string_view kReason = "test";
}  // namespace

PlainRegistry::PlainRegistry(const SharedConfig& config)
    : memory_(core::allocate_state(core::geometry_of(config, kConfigText.size()))) {
    core::make_genesis(state(), config, kConfigText);
    state().header->magic = layout::kMagic;
    state().header->persistence = static_cast<std::uint32_t>(PersistenceMode::none);   // nobody journals here
}

PlainRegistry::PlainRegistry(core::PrivateState tables) : memory_(std::move(tables)) { state().header->magic = layout::kMagic; }

core::Decision PlainRegistry::undecided() {
    return copies_events_ ? core::Decision() : core::Decision(core::Exclusive::alone(state()));
}

Verdict PlainRegistry::execute(core::Decision& decision) {
    if (!decision.commit) return decision.verdict;
    core::perform(core::Exclusive::alone(state()), decision);
    decision.verdict.seq = decision.event.header.seq;
    return decision.verdict;
}

Verdict PlainRegistry::refuse(const core::Caller& caller, layout::EventType request, const core::NewOrder& order,
                              core::Decision& decision) {
    const Verdict answer = decision.verdict;
    core::perform_refusal(core::Exclusive::alone(state()), caller, request, order, decision, false);
    return answer;
}

Verdict PlainRegistry::attach(std::uint32_t session, StrategyId strategy, std::int64_t now_ns, std::int64_t steady_ns) {
    core::SessionRequest request;
    request.type = layout::EventType::session_attached;
    request.session = session;
    request.strategy = static_cast<std::uint16_t>(strategy);
    request.generation = static_cast<std::uint32_t>(state().log->next_generation);
    request.now_ns = now_ns;
    request.steady_ns = steady_ns;
    core::Decision decision = undecided();
    core::decide_session(state(), request, decision);
    return execute(decision);
}

Verdict PlainRegistry::end_session(std::uint32_t session, layout::EventType how, std::int64_t now_ns, std::int64_t steady_ns) {
    const layout::SessionRecord& record = state().sessions[session].record.newest();
    core::SessionRequest request;
    request.type = how;
    request.session = session;
    request.strategy = record.strategy;
    request.generation = record.generation;
    request.now_ns = now_ns;
    request.steady_ns = steady_ns;
    core::Decision decision = undecided();
    core::decide_session(state(), request, decision);
    return execute(decision);
}

core::Caller PlainRegistry::caller(std::uint32_t session, std::int64_t now_ns) const {
    const layout::SessionRecord& record = state().sessions[session].record.newest();
    core::Caller caller;
    caller.now_ns = caller.steady_ns = now_ns;
    caller.session = session;
    caller.generation = record.generation;
    caller.strategy = record.strategy;
    return caller;
}

core::Caller PlainRegistry::operator_at(std::int64_t now_ns) noexcept {
    core::Caller caller;
    caller.now_ns = caller.steady_ns = now_ns;
    return caller;
}

Verdict PlainRegistry::register_order(const core::Caller& caller, const OrderRequest& request) {
    core::Decision decision = undecided();
    const core::NewOrder order = core::prepare(state(), caller, request);
    core::decide_register(state(), caller, order, nullptr, decision);
    if (!decision.commit) return refuse(caller, layout::EventType::registered, order, decision);
    return execute(decision);
}

std::vector<Verdict> PlainRegistry::register_all_or_none(const core::Caller& caller, std::span<const OrderRequest> requests) {
    core::BatchOverlay overlay;
    overlay.reset();
    std::vector<core::Decision> decisions(requests.size());
    std::vector<Verdict> answers(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const core::NewOrder order = core::prepare(state(), caller, requests[i]);
        core::decide_register(state(), caller, order, &overlay, decisions[i]);
        if (!decisions[i].commit) {
            Verdict other;
            other.result = Result::denied;
            other.reason = DenyReason::batch_member_denied;
            std::fill(answers.begin(), answers.end(), other);
            answers[i] = refuse(caller, layout::EventType::registered, order, decisions[i]);
            return answers;
        }
        overlay.add(order, decisions[i].event.registered);
    }
    const std::uint64_t before = state().log->committed;
    for (std::size_t i = 0; i < decisions.size(); ++i) {
        decisions[i].event.header.flags |= i + 1 == decisions.size() ? layout::kBatchEnd : layout::kBatchMember;
        decisions[i].verdict.seq = core::write_event(core::Exclusive::alone(state()), decisions[i].event, i).header.seq;
        answers[i] = decisions[i].verdict;
    }
    core::commit(core::Exclusive::alone(state()), before + decisions.size());
    for (std::size_t i = 0; i < decisions.size(); ++i) core::apply(state(), state().ring_slot(before + 1 + i));
    return answers;
}

/// Who is meant, as far as a refusal needs it.
core::NewOrder PlainRegistry::named(const ReplaceRequest& request) const {
    core::NewOrder order;
    order.id = base::make_id(request.id);
    order.account = static_cast<std::uint16_t>(request.account);
    const std::uint32_t slot = core::find_head(state(), order.account, request.id);
    if (slot == core::kNoSlot) return order;
    const OrderView view = core::view_order(state(), slot);
    order.instrument = static_cast<std::uint32_t>(view.instrument);
    order.side = view.side;
    return order;
}

Verdict PlainRegistry::replace(const core::Caller& caller, const ReplaceRequest& request) {
    core::Decision decision = undecided();
    core::decide_replace(state(), caller, request, decision);
    if (!decision.commit) return refuse(caller, layout::EventType::replace_requested, named(request), decision);
    return execute(decision);
}

Verdict PlainRegistry::cancel(const core::Caller& caller, AccountId account, std::string_view id) {
    core::Decision decision = undecided();
    core::decide_cancel(state(), caller, static_cast<std::uint32_t>(account), id, decision);
    return execute(decision);
}

Verdict PlainRegistry::abort(const core::Caller& caller, AccountId account, std::string_view id) {
    core::Decision decision = undecided();
    core::decide_abort(state(), caller, static_cast<std::uint32_t>(account), id, decision);
    return execute(decision);
}

Verdict PlainRegistry::fact(const core::Caller& caller, const OrderEvent& fact) {
    core::Decision decision = undecided();
    core::decide_fact(state(), caller, fact, decision);
    return execute(decision);
}

Verdict PlainRegistry::halt(const core::Caller& caller, const Scope& scope, TradingState to) {
    core::Decision decision = undecided();
    core::decide_state(state(), caller, {.row = state().geometry.row_of(scope), .state = to, .reason = kReason}, decision);
    return execute(decision);
}

Verdict PlainRegistry::resume(const core::Caller& caller, const Scope& scope, TradingState to) {
    core::Decision decision = undecided();
    core::decide_state(state(), caller, {.row = state().geometry.row_of(scope), .state = to, .resume = true, .reason = kReason},
                       decision);
    return execute(decision);
}

Verdict PlainRegistry::release_unreconciled(const core::Caller& caller) {
    core::Decision decision = undecided();
    core::decide_state(state(), caller,
                       {.row = state().geometry.firm_row(), .resume = true, .unreconciled = true, .reason = kReason}, decision);
    return execute(decision);
}

Verdict PlainRegistry::set_limits(const core::Caller& caller, const Scope& scope, const Limits& limits, LimitMask fields) {
    core::Decision decision = undecided();
    core::FollowUps more;
    core::decide_limits(state(), caller, {state().geometry.row_of(scope), limits, fields, kReason}, decision, more);
    if (!decision.commit) return decision.verdict;
    core::execute_all(core::Exclusive::alone(state()), decision.event, std::span(more.events.data(), more.size));
    decision.verdict.seq = decision.event.header.seq;
    return decision.verdict;
}

Verdict PlainRegistry::approve(const core::Caller& caller, std::uint64_t request) {
    core::Decision decision = undecided();
    core::decide_approve(state(), caller, request, decision);
    return execute(decision);
}

Verdict PlainRegistry::restrict(const core::Caller& caller, const Scope& scope, const Restriction& entry) {
    const int sides = (entry.buy ? layout::kRestrictBuy : 0) | (entry.sell ? layout::kRestrictSell : 0);
    core::RestrictionRequest request;
    request.row = state().geometry.row_of(scope);
    request.sides = static_cast<std::uint8_t>(sides);
    request.from_ns = entry.from_ns;
    request.to_ns = entry.to_ns;
    request.reason = entry.reason.empty() ? kReason : std::string_view(entry.reason);
    core::Decision decision = undecided();
    core::decide_restriction(state(), caller, request, decision);
    return execute(decision);
}

Verdict PlainRegistry::load_position(const core::Caller& caller, AccountId account, StrategyId strategy,
                                     InstrumentId instrument, Quantity quantity, Price price) {
    core::PositionRequest request;
    request.account = static_cast<std::uint16_t>(account);
    request.strategy = strategy == StrategyId::none ? state().external_strategy() : static_cast<std::uint16_t>(strategy);
    request.instrument = static_cast<std::uint32_t>(instrument);
    request.quantity = quantity.value;
    request.price = price.value;
    request.text = kReason;
    core::Decision decision = undecided();
    core::decide_position(state(), caller, request, decision);
    return execute(decision);
}

Verdict PlainRegistry::load_order(const core::Caller& caller, StrategyId strategy, const OrderRequest& request) {
    core::Caller owner = caller;
    owner.strategy = static_cast<std::uint16_t>(strategy);
    core::Decision decision = undecided();
    core::decide_load_order(state(), owner, core::prepare(state(), owner, request), decision);
    return execute(decision);
}

Verdict PlainRegistry::marked(const core::Caller& caller, const Scope& scope, Price price) {
    core::Decision decision = undecided();
    core::decide_mark(state(), caller, state().geometry.row_of(scope), price.value, decision);
    return execute(decision);
}

Verdict PlainRegistry::alert(const core::Caller& caller, const core::AlertRequest& request) {
    core::Decision decision = undecided();
    core::decide_alert(state(), caller, request, decision);
    return execute(decision);
}

Verdict PlainRegistry::set_clock(const core::Caller& caller) {
    core::Decision decision = undecided();
    core::decide_clock(state(), caller, "test", decision);
    return execute(decision);
}

void PlainRegistry::set_reference(InstrumentId instrument, Price price, std::int64_t time_ns, std::int64_t steady_ns) {
    auto& cell = state().references[static_cast<std::uint32_t>(instrument)].price;
    layout::ReferencePrice value{};
    value.price = price.value;
    value.time_ns = time_ns;
    value.steady_ns = steady_ns;
    cell.store(cell.newest().seq + 1, value);
}

Verdict PlainRegistry::own_reference(const core::Caller& caller, InstrumentId instrument) {
    core::Decision decision = undecided();
    core::decide_reference_owner(state(), caller, static_cast<std::uint32_t>(instrument), decision);
    return execute(decision);
}

void PlainRegistry::forget_references() {
    for (std::uint32_t i = 0; i < state().geometry.instruments; ++i) state().references[i].price.make_genesis({});
}

Verdict PlainRegistry::begin_send(const core::Caller& caller, AccountId account, std::string_view id) const {
    return core::decide_begin_send(state(), caller, static_cast<std::uint32_t>(account), id);
}

void PlainRegistry::recovered(const core::Caller& caller) {
    core::Decision decision = undecided();
    core::decide_recovered(state(), caller, kReason, decision);
    core::execute(core::Exclusive::alone(state()), decision.event);
}

void PlainRegistry::make_unreconciled() {
    auto& cell = state().rows[state().geometry.firm_row()].control;
    layout::RowControl control = cell.newest();
    control.flags |= layout::kUnreconciled;
    cell.make_genesis(control);
}

}  // namespace riskreg::test
