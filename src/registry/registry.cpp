// The public facade: lock → decide → append → apply, for every call (src/README.md "Life of one order").
#include "riskreg/registry.hpp"

#include <algorithm>

#include "base/crash_point.hpp"
#include "core/decide.hpp"
#include "core/overlay.hpp"
#include "core/perform.hpp"
#include "registry/attachment.hpp"
#include "registry/denial_gate.hpp"
#include "registry/durable.hpp"
#include "registry/reader_impl.hpp"
#include "registry/session.hpp"
#include "registry/snapshotter.hpp"
#include "segment/process_posix.hpp"
#include "segment/state_lock.hpp"

namespace riskreg {

using namespace layout;

namespace {

/// How a call that could not be decided answers: requests are denied, facts are to be repeated.
enum class Refused : std::uint8_t { denied, not_booked };

Verdict refusal(Refused how, DenyReason reason) noexcept {
    Verdict verdict;
    verdict.result = how == Refused::denied ? Result::denied : Result::not_booked;
    verdict.reason = reason;
    return verdict;
}

void count(std::uint64_t& word) noexcept { store_relaxed(word, load_relaxed(word) + 1); }

/// A batch with all the memory that it needs: nothing is allocated under the lock.
struct Batch {
    explicit Batch(std::size_t size) : answers(size), decisions(size), overlay(std::make_unique<core::BatchOverlay>()) {
        orders.reserve(size);
    }
    std::vector<core::NewOrder> orders;
    std::vector<Verdict> answers;
    std::vector<core::Decision> decisions;
    std::unique_ptr<core::BatchOverlay> overlay;
};

}  // namespace

struct Registry::Impl {
    ProcessConfig config;
    registry::Attachment attachment;
    core::State& state = attachment.state;
    Reader reader;
    core::Caller caller;                 // without the time
    std::unique_ptr<registry::Snapshotter> snapshotter;   // outlives the session: its last event is journaled, too
    std::unique_ptr<registry::Session> session;
    registry::DenialGate gate;           // under the registry's lock
    bool waits_for_disk = false;

    Impl(ProcessConfig process, registry::Attachment attached)
        : config(std::move(process)), attachment(std::move(attached)), reader(std::make_unique<Reader::Impl>(attachment)) {
        caller.uid = segment::real_user_id();
    }
    ~Impl() {
        if (in_attached_process()) return;
        // In a forked child the session is the parent's (its thread is not here), and the kernel did not give us the
        // mapping: both are left alone.
        static_cast<void>(session.release());
        static_cast<void>(snapshotter.release());
        attachment.mapping.abandon();
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void require_durability() {
        const auto mode = static_cast<PersistenceMode>(state.header->persistence);
        if (config.durability == Durability::durable && mode == PersistenceMode::none)
            throw Error(Errc::bad_input, "durability: seen durable, allowed: memory; registry '" + attachment.name +
                                             "' was created with persistence.mode none");
        waits_for_disk = config.durability == Durability::durable || mode == PersistenceMode::durable;
    }

    [[nodiscard]] bool in_attached_process() const noexcept { return segment::fork_epoch() == attachment.fork_epoch; }
    [[nodiscard]] core::Caller now() const noexcept {
        core::Caller with_time = caller;
        with_time.now_ns = segment::realtime_ns();
        return with_time;
    }
    [[nodiscard]] bool is_current_session() const noexcept {
        return !session || load_relaxed(state.sessions[caller.session].word) ==
                               session_word(caller.generation, layout::SessionStatus::attached);
    }

    /// Outside the lock: an answer that is to survive power loss waits until all that it tells is on disk, and an answer
    /// without an event of its own may tell of another's (INV-9).
    Verdict settle(Verdict verdict) noexcept {
        if (!waits_for_disk) [[likely]]
            return verdict;
        const bool tells = verdict.seq != 0 || verdict.has_order || verdict.taken();
        if (!tells || !in_attached_process()) return verdict;
        const std::uint64_t seq = verdict.seq != 0 ? verdict.seq : load_acquire(state.log->committed);
        const bool there = registry::wait_durable(state, seq, config.durable_timeout_ns);
        verdict.durability = there ? Durability::durable : Durability::pending;
        return verdict;
    }

    /// Append and apply what was decided. The commit point is inside.
    void perform(core::Decision& decision) noexcept { core::perform(state, decision); }

    /// Runs `critical` under the lock, or says why not.
    template <class Critical>
    Verdict locked(std::int64_t timeout_ns, Refused how, Critical critical) noexcept {
        if (!in_attached_process()) return refusal(how, DenyReason::not_attached);
        const segment::StateLock lock(state, timeout_ns, caller.session);
        if (!lock.inside()) [[unlikely]]
            return refusal(how, lock.entry() == segment::Entry::timed_out ? DenyReason::lock_timeout : DenyReason::poisoned);
        if (!is_current_session()) [[unlikely]]
            return refusal(how, DenyReason::fenced);
        core::refresh_consumer(state);
        return critical();
    }

    /// Counts a refusal and, where the gate admits it, writes its event.
    void refuse(EventType request, const core::NewOrder& order, const core::Caller& who, core::Decision& decision) noexcept {
        if (caller.session == kNoSlot) return;
        SessionSlot& slot = state.sessions[caller.session];
        count(slot.denied);
        const Verdict& v = decision.verdict;
        const std::uint32_t row = state.geometry.row_of(v.scope);
        const bool admits = core::refusal_is_logged(v.reason) && gate.admit(v.reason, row, who.now_ns);
        if (!core::perform_refusal(state, who, request, order, decision, admits)) count(slot.denied_unlogged);
    }

    Verdict register_locked(const core::Caller& who, const core::NewOrder& order) noexcept {
        core::Decision decision;
        core::decide_register(state, who, order, nullptr, decision);
        if (decision.commit) [[likely]] {
            perform(decision);
            if (session) count(state.sessions[caller.session].accepted);
        } else {
            refuse(EventType::registered, order, who, decision);
        }
        return decision.verdict;
    }

    void register_each(const core::Caller& who, Batch& batch) noexcept {
        for (std::size_t i = 0; i < batch.orders.size(); ++i) batch.answers[i] = register_locked(who, batch.orders[i]);
    }

    /// All are decided, each with those before it counted in; then one store commits them all, or nothing happened.
    void register_together(const core::Caller& who, Batch& batch) noexcept {
        if (batch.orders.empty()) return;
        for (std::size_t i = 0; i < batch.orders.size(); ++i) {
            core::Decision& decision = batch.decisions[i];
            core::decide_register(state, who, batch.orders[i], batch.overlay.get(), decision);
            if (!decision.commit) return refuse_together(who, batch, i);
            batch.overlay->add(batch.orders[i], decision.event.registered);
        }
        for (std::size_t i = 0; i < batch.orders.size(); ++i) {
            layout::Event& event = batch.decisions[i].event;
            event.header.flags |= i + 1 == batch.orders.size() ? kBatchEnd : kBatchMember;
            core::write_event(state, event, i);
        }
        core::commit(state, batch.decisions.back().event.header.seq);
        for (std::size_t i = 0; i < batch.orders.size(); ++i) {
            core::apply(state, batch.decisions[i].event);
            batch.answers[i] = batch.decisions[i].verdict;
            batch.answers[i].seq = batch.decisions[i].event.header.seq;
            if (session) count(state.sessions[caller.session].accepted);
        }
    }

    void refuse_together(const core::Caller& who, Batch& batch, std::size_t guilty) noexcept {
        refuse(EventType::registered, batch.orders[guilty], who, batch.decisions[guilty]);
        for (Verdict& answer : batch.answers) answer = refusal(Refused::denied, DenyReason::batch_member_denied);
        batch.answers[guilty] = batch.decisions[guilty].verdict;
    }

    /// Requests about an order, and control: decide, then perform or refuse.
    template <class Decide>
    Verdict request(EventType type, std::string_view id, AccountId account, Decide decide) noexcept {
        return request_within(config.request_timeout_ns, type, id, account, decide);
    }
    template <class Decide>
    Verdict request_within(std::int64_t timeout_ns, EventType type, std::string_view id, AccountId account,
                           Decide decide) noexcept {
        const core::Caller who = now();
        return settle(locked(timeout_ns, Refused::denied, [&] {
            core::Decision decision;
            decide(who, decision);
            if (decision.commit) {
                perform(decision);
            } else {
                core::NewOrder named;
                named.id = base::make_id(id);
                named.account = static_cast<std::uint16_t>(account);
                refuse(type, named, who, decision);
            }
            return decision.verdict;
        }));
    }
};

void Registry::create(const std::string& name, const SharedConfig& config, const std::string& state_dir) {
    registry::create_segment(name, config, state_dir);
}

void Registry::destroy(const std::string& name, const std::string& state_dir, bool keep_files, bool force) {
    registry::destroy_segment(name, state_dir, keep_files, force);
}

RecoverView Registry::recover(const std::string& name, const std::string& state_dir, const RecoverOptions& options) {
    const registry::Attachment attachment = registry::attach(name, state_dir, 5'000'000'000, options);
    RecoverView view;
    view.poisoned_segment = attachment.poisoned_segment;
    view.seq = load_acquire(attachment.state.log->committed);
    view.outcome = attachment.rebuilt     ? RecoverOutcome::rebuilt
                   : attachment.was_alone ? RecoverOutcome::adopted
                                          : RecoverOutcome::running;
    if (!attachment.rebuilt) return view;
    const persist::RecoveryReport& report = *attachment.rebuilt;
    view.checkpoint = report.checkpoint;
    view.checkpoint_seq = report.checkpoint.empty() ? 0 : report.head.seq;
    view.checkpoint_clean = !report.checkpoint.empty() && report.head.clean;
    for (const persist::IgnoredFile& file : report.ignored) view.ignored.push_back({file.name, file.why});
    for (const persist::JournalUse& use : report.journals)
        view.journals.push_back({use.name, use.first_seq, use.last_seq, use.applied, use.ending});
    view.events = report.events;
    view.end_seq = report.end_seq;
    view.torn = report.torn;
    view.damage = report.damage;
    view.bytes = report.bytes;
    return view;
}

Registry Registry::open(const std::string& name, const ProcessConfig& config) {
    auto impl = std::make_unique<Impl>(config, registry::attach(name, config.state_dir, config.attach_timeout_ns));
    impl->require_durability();
    if (config.host_snapshotter) impl->snapshotter = std::make_unique<registry::Snapshotter>(impl->attachment, impl->config);
    if (!config.strategy.empty()) {
        const StrategyId strategy = impl->reader.strategy(config.strategy);
        if (strategy == StrategyId::none || static_cast<std::uint16_t>(strategy) == impl->state.external_strategy()) {
            std::string allowed;
            for (const std::string& known : impl->reader.strategies())
                allowed.append(allowed.empty() ? "" : ", ").append(known);
            throw Error(Errc::bad_input, "strategy: seen '" + config.strategy + "', allowed: " + allowed);
        }
        impl->caller.strategy = static_cast<std::uint16_t>(strategy);
        impl->session = std::make_unique<registry::Session>(impl->state, impl->caller.strategy, impl->config);
        impl->caller.session = impl->session->slot();
        impl->caller.generation = impl->session->generation();
    } else if (registry::somebody_died(impl->state)) {
        const segment::StateLock lock(impl->state, config.request_timeout_ns, kNoSlot);
        if (lock.inside()) registry::bury_dead_sessions(impl->state);
    }
    return Registry(std::move(impl));
}

Registry::Registry(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Registry::Registry(Registry&&) noexcept = default;
Registry& Registry::operator=(Registry&&) noexcept = default;
Registry::~Registry() = default;

const Reader& Registry::reader() const noexcept { return impl_->reader; }
StrategyId Registry::strategy() const noexcept { return StrategyId{impl_->caller.strategy}; }

Verdict Registry::check_and_register(const OrderRequest& request) noexcept {
    if (!impl_->in_attached_process()) return refusal(Refused::denied, DenyReason::not_attached);
    // The loads start first; reading the clock hides a part of their way.
    const core::NewOrder order = core::prepare(impl_->state, impl_->caller, request);
    core::prefetch(impl_->state, order);
    const core::Caller who = impl_->now();
    return impl_->settle(
        impl_->locked(impl_->config.request_timeout_ns, Refused::denied, [&] { return impl_->register_locked(who, order); }));
}

std::vector<Verdict> Registry::register_batch(std::span<const OrderRequest> requests, bool all_or_none) {
    Impl& impl = *impl_;
    if (!impl.in_attached_process()) return {requests.size(), refusal(Refused::denied, DenyReason::not_attached)};
    if (requests.size() > core::BatchOverlay::kMaxOrders)
        return {requests.size(), refusal(Refused::denied, DenyReason::capacity)};
    const core::Caller who = impl.now();
    Batch batch(requests.size());
    for (const OrderRequest& request : requests) batch.orders.push_back(core::prepare(impl.state, who, request));
    const Verdict outcome = impl.locked(impl.config.request_timeout_ns, Refused::denied, [&] {
        all_or_none ? impl.register_together(who, batch) : impl.register_each(who, batch);
        Verdict done;
        done.result = Result::ok;
        return done;
    });
    if (outcome.result != Result::ok) std::fill(batch.answers.begin(), batch.answers.end(), outcome);
    // The last one first: when it is on disk, all are.
    for (auto answer = batch.answers.rbegin(); answer != batch.answers.rend(); ++answer) *answer = impl.settle(*answer);
    return std::move(batch.answers);
}

Verdict Registry::replace_requested(const ReplaceRequest& request) noexcept {
    return impl_->request(
        EventType::replace_requested, request.id, request.account,
        [&](const core::Caller& who, core::Decision& out) { core::decide_replace(impl_->state, who, request, out); });
}

Verdict Registry::cancel_requested(AccountId account, std::string_view id) noexcept {
    return impl_->request(EventType::cancel_requested, id, account, [&](const core::Caller& who, core::Decision& out) {
        core::decide_cancel(impl_->state, who, static_cast<std::uint16_t>(account), id, out);
    });
}

Verdict Registry::aborted(AccountId account, std::string_view id) noexcept {
    return impl_->request(EventType::aborted, id, account, [&](const core::Caller& who, core::Decision& out) {
        core::decide_abort(impl_->state, who, static_cast<std::uint16_t>(account), id, out);
    });
}

Verdict Registry::event(const OrderEvent& fact) noexcept {
    if (!impl_->in_attached_process()) return refusal(Refused::not_booked, DenyReason::not_attached);
    const core::Caller who = impl_->now();
    return impl_->settle(impl_->locked(impl_->config.fact_timeout_ns, Refused::not_booked, [&] {
        core::Decision decision;
        core::decide_fact(impl_->state, who, fact, decision);
        if (decision.commit) {
            impl_->perform(decision);
            if (impl_->session) count(impl_->state.sessions[who.session].facts);
        }
        return decision.verdict;
    }));
}

bool Registry::wait_durable(std::uint64_t seq, std::int64_t timeout_ns) const noexcept {
    if (!impl_->in_attached_process()) return false;
    return registry::wait_durable(impl_->state, seq, timeout_ns);
}

bool Registry::checkpoint(std::int64_t timeout_ns) noexcept {
    return impl_->in_attached_process() && registry::request_checkpoint(impl_->state, timeout_ns);
}

bool Registry::waits_for_disk() const noexcept { return impl_->waits_for_disk; }
bool Registry::is_hosting() const noexcept { return impl_->snapshotter && impl_->snapshotter->is_hosting(); }

Verdict Registry::reference_price(InstrumentId instrument, Price price) noexcept {
    Impl& impl = *impl_;
    const auto index = static_cast<std::uint32_t>(instrument);
    if (!impl.in_attached_process()) return refusal(Refused::denied, DenyReason::not_attached);
    if (index >= impl.state.geometry.instruments) return refusal(Refused::denied, DenyReason::unknown_instrument);
    if (!impl.session) return refusal(Refused::denied, DenyReason::unknown_strategy);
    const core::Caller who = impl.now();
    // Under the lock: a writer that was stopped, fenced and replaced must never meet its successor in the cell.
    const Verdict verdict = impl.locked(impl.config.request_timeout_ns, Refused::denied, [&] {
        core::Decision decision;
        ReferenceCell& cell = impl.state.references[index];
        const ReferenceOwner& owner = cell.owner.newest();
        const bool ours = owner.session == who.session && owner.generation == who.generation;
        decision.verdict.result = Result::ok;
        if (!ours) core::decide_reference_owner(impl.state, who, index, decision);
        if (decision.commit) impl.perform(decision);
        if (decision.verdict.result == Result::ok)
            cell.price.store(cell.price.newest().seq + 1, {0, price.value, who.now_ns, who.generation});
        return decision.verdict;
    });
    // Only the change of owner is an event; the price itself never touches the log.
    return verdict.seq != 0 ? impl.settle(verdict) : verdict;
}

namespace {

/// The kill switch has the deadline of facts (protocol.md 4).
Verdict change_state(Registry::Impl& impl, core::StateRequest request) noexcept {
    return impl.request_within(
        impl.config.fact_timeout_ns, EventType::state_changed, {}, AccountId::none,
        [&](const core::Caller& who, core::Decision& out) { core::decide_state(impl.state, who, request, out); });
}

}  // namespace

Verdict Registry::halt(const Scope& scope, TradingState state, std::string_view reason) noexcept {
    return change_state(*impl_, {impl_->state.geometry.row_of(scope), state, false, false, reason});
}

Verdict Registry::resume(const Scope& scope, TradingState state, std::string_view reason) noexcept {
    return change_state(*impl_, {impl_->state.geometry.row_of(scope), state, true, false, reason});
}

Verdict Registry::release_unreconciled(std::string_view reason) noexcept {
    return change_state(*impl_, {impl_->state.geometry.firm_row(), TradingState::active, true, true, reason});
}

Verdict Registry::set_limits(const Scope& scope, const Limits& limits, std::string_view reason, LimitMask fields) noexcept {
    Impl& impl = *impl_;
    const core::Caller who = impl.now();
    return impl.settle(impl.locked(impl.config.request_timeout_ns, Refused::denied, [&] {
        core::Decision decision;
        core::FollowUps more;
        core::decide_limits(impl.state, who, {impl.state.geometry.row_of(scope), limits, fields, reason}, decision, more);
        if (decision.commit) core::perform(impl.state, decision, more);
        return decision.verdict;
    }));
}

Verdict Registry::approve(std::uint64_t request) noexcept {
    return impl_->request_within(
        impl_->config.fact_timeout_ns, EventType::state_changed, {}, AccountId::none,
        [&](const core::Caller& who, core::Decision& out) { core::decide_approve(impl_->state, who, request, out); });
}

Verdict Registry::restrict(const Scope& scope, const Restriction& entry) noexcept {
    core::RestrictionRequest request;
    request.row = impl_->state.geometry.row_of(scope);
    request.sides =
        static_cast<std::uint8_t>((entry.buy ? unsigned{kRestrictBuy} : 0U) | (entry.sell ? unsigned{kRestrictSell} : 0U));
    request.from_ns = entry.from_ns;
    request.to_ns = entry.to_ns;
    request.reason = entry.reason;
    return impl_->request(
        EventType::restricted_changed, {}, AccountId::none,
        [&](const core::Caller& who, core::Decision& out) { core::decide_restriction(impl_->state, who, request, out); });
}

Verdict Registry::load_position(AccountId account, StrategyId strategy, InstrumentId instrument, Quantity quantity, Price price,
                                std::string_view text) noexcept {
    core::PositionRequest request;
    request.account = static_cast<std::uint16_t>(account);
    request.strategy = strategy == StrategyId::none ? impl_->state.external_strategy() : static_cast<std::uint16_t>(strategy);
    request.instrument = static_cast<std::uint32_t>(instrument);
    request.quantity = quantity.value;
    request.price = price.value;
    request.text = text;
    return impl_->request_within(
        impl_->config.fact_timeout_ns, EventType::position_loaded, {}, account,
        [&](const core::Caller& who, core::Decision& out) { core::decide_position(impl_->state, who, request, out); });
}

Verdict Registry::load_order(StrategyId strategy, const OrderRequest& order) noexcept {
    Impl& impl = *impl_;
    return impl.request_within(impl.config.fact_timeout_ns, EventType::registered, order.id, order.account,
                               [&](core::Caller who, core::Decision& out) {
                                   who.strategy = static_cast<std::uint16_t>(strategy);
                                   core::decide_load_order(impl.state, who, core::prepare(impl.state, who, order), out);
                               });
}

Verdict Registry::begin_send(AccountId account, std::string_view id) const noexcept {
    if (!impl_->in_attached_process()) return refusal(Refused::denied, DenyReason::not_attached);
    if (load_acquire(impl_->state.header->state) != static_cast<std::uint64_t>(SegmentState::ready))
        return refusal(Refused::denied, DenyReason::poisoned);
    if (!impl_->is_current_session()) return refusal(Refused::denied, DenyReason::fenced);
    return core::decide_begin_send(impl_->state, impl_->caller, static_cast<std::uint16_t>(account), id);
}

}  // namespace riskreg
