#include "registry/day.hpp"

#include "registry/days.hpp"
#include "registry/durable.hpp"

namespace riskreg::registry {

using namespace layout;

Day::~Day() {
    if (in_attached_process()) return;
    static_cast<void>(session.release());
    static_cast<void>(snapshotter.release());
    attachment.mapping.abandon();
}

void Day::require_durability() {
    const auto mode = static_cast<PersistenceMode>(state.header->persistence);
    if (config.durability == Durability::durable && mode == PersistenceMode::none)
        throw Error(Errc::bad_input, "durability: seen durable, allowed: memory; registry '" + attachment.name +
                                         "' was created with persistence.mode none");
    waits_for_disk = config.durability == Durability::durable || mode == PersistenceMode::durable;
}

std::function<bool()> Day::on_rolled() {
    return [this] { return days.follow(*this) != nullptr; };
}

void Day::host_snapshotter() {
    if (!config.host_snapshotter) return;
    snapshotter = std::make_unique<Snapshotter>(attachment, config, on_rolled());
}

void Day::take_session(std::unique_ptr<Session> taken) {
    session = std::move(taken);
    caller.session = session->slot();
    caller.generation = session->generation();
}

bool Day::wait_durable(std::uint64_t seq, std::int64_t timeout_ns) noexcept {
    const std::int64_t deadline = segment::monotonic_ns() + timeout_ns;
    if (registry::wait_durable(state, seq, timeout_ns, config.ending)) return true;
    Day* next = is_rolled(state) ? days.follow(*this) : nullptr;
    const std::int64_t left = deadline - segment::monotonic_ns();
    return next != nullptr && left > 0 && next->wait_durable(seq, left);
}

void Day::refuse(core::Exclusive tables, EventType request, const core::NewOrder& order, const core::Caller& who,
                 core::Decision& decision) noexcept {
    if (decision.verdict.reason == DenyReason::poisoned) return segment::poison(state);
    if (caller.session == kNoSlot) return;
    SessionSlot& slot = state.sessions[caller.session];
    count_up(slot.denied);
    const Verdict& v = decision.verdict;
    const std::uint32_t row = state.geometry.row_of(v.scope);
    const bool admits = core::refusal_is_logged(v.reason) && gate.admit(v.reason, row, who.steady_ns);
    if (!core::perform_refusal(tables, who, request, order, decision, admits)) count_up(slot.denied_unlogged);
}

void Day::register_each(core::Exclusive tables, const core::Caller& who, Batch& batch) noexcept {
    for (std::size_t i = 0; i < batch.orders.size(); ++i) batch.answers[i] = register_locked(tables, who, batch.orders[i]);
}

void Day::register_together(core::Exclusive tables, const core::Caller& who, Batch& batch) noexcept {
    if (batch.orders.empty()) return;
    for (std::size_t i = 0; i < batch.orders.size(); ++i) {
        core::Decision& decision = batch.decisions[i];
        core::decide_register(state, who, batch.orders[i], batch.overlay.get(), decision);
        if (!decision.commit) return refuse_together(tables, who, batch, i);
        batch.overlay->add(batch.orders[i], decision.event.registered);
    }
    for (std::size_t i = 0; i < batch.orders.size(); ++i) {
        layout::Event& event = batch.decisions[i].event;
        core::add_flags(event, i + 1 == batch.orders.size() ? kBatchEnd : kBatchMember);
        core::write_event(tables, event, i);
    }
    core::commit(tables, batch.decisions.back().event.header.seq);
    for (std::size_t i = 0; i < batch.orders.size(); ++i) {
        core::apply(state, batch.decisions[i].event);
        batch.answers[i] = batch.decisions[i].verdict;
        batch.answers[i].seq = batch.decisions[i].event.header.seq;
        if (session) count_up(state.sessions[caller.session].accepted);
    }
}

void Day::refuse_together(core::Exclusive tables, const core::Caller& who, Batch& batch, std::size_t guilty) noexcept {
    const bool drains = batch.decisions[guilty].verdict.reason == DenyReason::draining;
    if (!drains) refuse(tables, EventType::registered, batch.orders[guilty], who, batch.decisions[guilty]);
    for (Verdict& answer : batch.answers) answer = refusal(Refused::denied, DenyReason::batch_member_denied);
    batch.answers[guilty] = batch.decisions[guilty].verdict;
}

}  // namespace riskreg::registry
