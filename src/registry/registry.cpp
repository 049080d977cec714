// The public facade: lock → decide → append → apply, for every call (src/README.md "Life of one order").
#include "riskreg/registry.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <mutex>

#include "base/crash_point.hpp"
#include "core/decide.hpp"
#include "core/overlay.hpp"
#include "core/perform.hpp"
#include "registry/attachment.hpp"
#include "registry/caller.hpp"
#include "registry/denial_gate.hpp"
#include "registry/durable.hpp"
#include "registry/reader_impl.hpp"
#include "registry/roll.hpp"
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

/// Never given to anybody: the day has ended, the call is repeated on the next one.
constexpr auto kDayEnded = static_cast<DenyReason>(0xFFFF);

DenyReason reason_of(segment::Entry entry) noexcept {
    switch (entry) {
        case segment::Entry::timed_out: return DenyReason::lock_timeout;
        case segment::Entry::rolled: return kDayEnded;
        default: return DenyReason::poisoned;
    }
}

bool is_rolled(const core::State& state) noexcept { return core::is_in(state, SegmentState::rolled); }

bool day_ended(const Verdict& answer) noexcept { return answer.reason == kDayEnded; }
bool day_ended(const std::vector<Verdict>& answers) noexcept { return !answers.empty() && day_ended(answers.front()); }
/// A day that ended and could not be followed: nothing has happened, the same call may be made again.
void give_up(Verdict& answer) noexcept {
    if (day_ended(answer)) answer.reason = DenyReason::lock_timeout;
}
void give_up(std::vector<Verdict>& answers) noexcept {
    for (Verdict& answer : answers) give_up(answer);
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

/// The segments that one registration has been attached to, day by day; the newest one counts. What was is kept: a call may
/// still be inside, and readers of it were handed out.
struct Registry::Days {
    std::atomic<Impl*> newest{nullptr};
    std::mutex mutex;                          // of the two below, and of the way into the next day
    std::vector<std::unique_ptr<Impl>> all;
    bool closing = false;

    Days() = default;
    ~Days();
    Days(const Days&) = delete;
    Days& operator=(const Days&) = delete;

    [[nodiscard]] Impl& now() const noexcept { return *newest.load(std::memory_order_acquire); }
    /// The same, on the next day already when that has begun.
    [[nodiscard]] Impl& today() noexcept;
    /// The day after `ended`, attached to when nobody has before. Null when that is not possible now. Bounded by the deadline
    /// of attaching.
    Impl* follow(const Impl& ended) noexcept;
    /// Everything ends in order; oldest day first. False: something hangs, and these must stay.
    [[nodiscard]] bool leave(std::int64_t by_ns) noexcept;
    [[nodiscard]] LeaveView judge_leaving() noexcept;
    std::uint64_t left_at = 0;  // committed when the last session had left
    void add(std::unique_ptr<Impl> day) {
        all.push_back(std::move(day));
        newest.store(all.back().get(), std::memory_order_release);
    }
    /// Runs a call, and once more when the day ended under it: nothing has happened then.
    template <class Call>
    auto call(Call run) noexcept(noexcept(run(std::declval<Impl&>())));
};

/// One day's segment.
struct Registry::Impl {
    Days& days;
    ProcessConfig config;
    registry::Attachment attachment;
    core::State& state = attachment.state;
    Reader reader;
    core::Caller caller;  // without the time
    std::unique_ptr<registry::Snapshotter> snapshotter;  // outlives the session: its last event is journaled, too
    std::unique_ptr<registry::Session> session;
    registry::DenialGate gate;  // under the registry's lock
    bool waits_for_disk = false;

    Impl(Days& of, ProcessConfig process, registry::Attachment attached)
        : days(of),
          config(std::move(process)),
          attachment(std::move(attached)),
          reader(std::make_unique<Reader::Impl>(attachment)) {
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

    /// For the threads of this day: true when they have nothing more to do.
    [[nodiscard]] std::function<bool()> on_rolled() {
        return [this] { return days.follow(*this) != nullptr; };
    }
    void host_snapshotter() {
        if (!config.host_snapshotter) return;
        snapshotter = std::make_unique<registry::Snapshotter>(attachment, config, on_rolled());
    }
    void take_session(std::unique_ptr<registry::Session> taken) {
        session = std::move(taken);
        caller.session = session->slot();
        caller.generation = session->generation();
    }

    [[nodiscard]] bool in_attached_process() const noexcept { return segment::fork_epoch() == attachment.fork_epoch; }
    [[nodiscard]] core::Caller now() const noexcept { return registry::caller_now(caller); }
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
        const bool there = wait_durable(seq, config.durable_timeout_ns);
        verdict.durability = there ? Durability::durable : Durability::pending;
        return verdict;
    }

    /// Sequences go on from day to day: what the host of this one has not brought to the disk, that of the next one does.
    [[nodiscard]] bool wait_durable(std::uint64_t seq, std::int64_t timeout_ns) noexcept {
        const std::int64_t deadline = segment::monotonic_ns() + timeout_ns;
        if (registry::wait_durable(state, seq, timeout_ns, config.ending)) return true;
        Impl* next = is_rolled(state) ? days.follow(*this) : nullptr;
        const std::int64_t left = deadline - segment::monotonic_ns();
        return next != nullptr && left > 0 && next->wait_durable(seq, left);
    }

    /// Append and apply what was decided. The commit point is inside.
    void perform(core::Decision& decision) noexcept { core::perform(state, decision); }

    /// Runs `critical` under the lock, or says why not.
    template <class Critical>
    Verdict locked(std::int64_t timeout_ns, Refused how, Critical critical) noexcept {
        if (!in_attached_process()) return refusal(how, DenyReason::not_attached);
        const segment::StateLock lock(state, timeout_ns, caller.session);
        if (!lock.inside()) [[unlikely]]
            return refusal(how, reason_of(lock.entry()));
        if (!is_current_session()) [[unlikely]]
            return refusal(how, DenyReason::fenced);
        core::refresh_consumer(state);
        return critical();
    }

    /// Counts a refusal and, where the gate admits it, writes its event.
    void refuse(EventType request, const core::NewOrder& order, const core::Caller& who, core::Decision& decision) noexcept {
        if (decision.verdict.reason == DenyReason::poisoned) return segment::poison(state);
        if (caller.session == kNoSlot) return;
        SessionSlot& slot = state.sessions[caller.session];
        count(slot.denied);
        const Verdict& v = decision.verdict;
        const std::uint32_t row = state.geometry.row_of(v.scope);
        const bool admits = core::refusal_is_logged(v.reason) && gate.admit(v.reason, row, who.steady_ns);
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
    create(name, config, state_dir, false);
}

void Registry::create(const std::string& name, const SharedConfig& config, const std::string& state_dir, bool network_fs) {
    registry::create_segment(name, config, state_dir, network_fs);
}

void Registry::destroy(const std::string& name, const std::string& state_dir, bool keep_files, bool force) {
    static_cast<void>(registry::destroy_segment(name, state_dir, keep_files, force));
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

namespace {

/// The days have one configuration, so what a name means is settled once.
std::uint16_t require_strategy(const Reader& reader, std::uint16_t external, const std::string& name) {
    const StrategyId strategy = reader.strategy(name);
    if (strategy != StrategyId::none && static_cast<std::uint16_t>(strategy) != external)
        return static_cast<std::uint16_t>(strategy);
    std::string allowed;
    for (const std::string& known : reader.strategies()) allowed.append(allowed.empty() ? "" : ", ").append(known);
    throw Error(Errc::bad_input, "strategy: seen '" + name + "', allowed: " + allowed);
}

std::unique_ptr<Registry::Impl> first_day(Registry::Days& days, const std::string& name, const ProcessConfig& config) {
    auto impl =
        std::make_unique<Registry::Impl>(days, config, registry::attach(name, config.state_dir, config.attach_timeout_ns));
    impl->require_durability();
    impl->host_snapshotter();
    if (config.strategy.empty()) {
        registry::look_after_the_dead(impl->state, config.request_timeout_ns, kNoSlot);
        return impl;
    }
    impl->caller.strategy = require_strategy(impl->reader, impl->state.external_strategy(), config.strategy);
    impl->take_session(
        std::make_unique<registry::Session>(impl->state, impl->caller.strategy, impl->config, impl->on_rolled()));
    return impl;
}

std::unique_ptr<Registry::Impl> next_day(Registry::Impl& ended) {
    const ProcessConfig& config = ended.config;
    const registry::Attachment& before = ended.attachment;
    auto impl = std::make_unique<Registry::Impl>(
        ended.days, config, registry::attach(before.name, before.lock.state_dir(), config.attach_timeout_ns));
    const Header& header = *impl->state.header;
    if (header.epoch != before.state.header->epoch || header.rolled_seq <= before.state.header->rolled_seq)
        throw Error(Errc::missing, "registry '" + before.name + "' was made anew, and is not the one attached to");
    impl->waits_for_disk = ended.waits_for_disk;
    impl->caller = ended.caller;
    if (ended.session)
        impl->take_session(std::make_unique<registry::Session>(impl->state, *ended.session, impl->config, impl->on_rolled()));
    impl->host_snapshotter();
    return impl;
}

}  // namespace

Registry::Impl& Registry::Days::today() noexcept {
    Impl& impl = now();
    if (!impl.in_attached_process() || !is_rolled(impl.state)) [[likely]]
        return impl;
    static_cast<void>(follow(impl));
    return now();
}

Registry::Impl* Registry::Days::follow(const Impl& ended) noexcept {
    if (!ended.in_attached_process()) return nullptr;
    const std::lock_guard guard(mutex);
    // One that is only being opened is not among them yet.
    if (closing || all.empty()) return nullptr;
    if (&now() != &ended) return &now();
    try {
        Impl& before = now();
        add(next_day(before));
        // Its bytes stay for the calls and readers that are in it; its name may go.
        before.attachment.mapping.stop_using();
        registry::drop_day_before(now().attachment);
        return &now();
    } catch (...) {
        // No memory, no room for its mapping, a deadline: the caller is told so, and the next call tries again.
        return nullptr;
    }
}

template <class Call>
auto Registry::Days::call(Call run) noexcept(noexcept(run(std::declval<Impl&>()))) {
    Impl& impl = now();
    auto answer = run(impl);
    if (!day_ended(answer)) [[likely]]
        return answer;
    if (Impl* next = follow(impl); next != nullptr) answer = run(*next);
    give_up(answer);
    return answer;
}

Registry::Days::~Days() {
    // The oldest first, as they left.
    for (std::unique_ptr<Impl>& day : all) day.reset();
}

bool Registry::Days::leave(std::int64_t by_ns) noexcept {
    if (newest.load(std::memory_order_acquire) == nullptr || !now().in_attached_process()) return true;
    // A session ends in the day that it belongs to.
    static_cast<void>(today());
    {
        const std::lock_guard guard(mutex);
        closing = true;
    }
    bool ended = true;
    // Its last event is journaled, too; and a host leaves before the next day's can have everything on disk.
    for (const std::unique_ptr<Impl>& day : all) {
        // A part of the time for whoever is stopped inside the lock, the rest for the journal.
        const std::int64_t now_ns = segment::monotonic_ns();
        if (day->session) ended = day->session->leave(now_ns + (by_ns - now_ns) * 2 / 3) && ended;
        left_at = load_acquire(day->state.log->committed);
        if (day->snapshotter) ended = day->snapshotter->leave(by_ns) && ended;
    }
    return ended;
}

namespace {

std::string why_not_durable(const StatusView& status) {
    const std::string host = "pid " + std::to_string(status.host_pid);
    if (status.gap_end != 0) return "a gap in the journal is open" + (status.fault.empty() ? "" : " (" + status.fault + ")");
    if (!status.fault.empty()) return status.fault + (status.fault_error.empty() ? "" : ": " + status.fault_error);
    if (status.host_state == "stopped") return "the snapshotter's host, " + host + ", does not move";
    if (status.host_pid != 0) return "the snapshotter's host, " + host + ", is behind";
    return "nobody hosts the snapshotter";
}

}  // namespace

LeaveView Registry::Days::judge_leaving() noexcept {
    LeaveView view;
    try {
        Impl& impl = now();
        view.committed = left_at;
        view.durable_upto = load_acquire(impl.state.marks->durable);
        if (!impl.snapshotter || !impl.state.has_journal() || core::is_in(impl.state, SegmentState::destroyed)) return view;
        view.durable = view.durable_upto >= left_at;
        if (!view.durable) view.why = why_not_durable(impl.reader.status());
    } catch (...) {
        // No memory for the reason.
    }
    return view;
}

LeaveView Registry::leave(std::int64_t timeout_ns) noexcept {
    LeaveView view;
    if (!days_) return view;
    const bool ours = days_->newest.load(std::memory_order_acquire) != nullptr && days_->now().in_attached_process();
    const bool ended = days_->leave(segment::monotonic_ns() + timeout_ns);
    if (ours) view = days_->judge_leaving();
    // Threads that hang in a write go on using it.
    if (ended) days_.reset();
    else static_cast<void>(days_.release());
    return view;
}

void Registry::reopen_log() noexcept {
    if (Impl& impl = days_->now(); impl.snapshotter) impl.snapshotter->reopen_log();
}

Registry Registry::open(const std::string& name, const ProcessConfig& config) {
    const std::int64_t deadline = segment::monotonic_ns() + config.attach_timeout_ns;
    for (;;) {
        auto days = std::make_unique<Days>();
        try {
            auto day = first_day(*days, name, config);
            {
                const std::lock_guard guard(days->mutex);
                days->add(std::move(day));
            }
            return Registry(std::move(days));
        } catch (const registry::DayEnded&) {
            if (segment::monotonic_ns() >= deadline)
                throw Error(Errc::busy, "the trading day of '" + name + "' ends, again and again, while attaching; try again");
        }
    }
}

Registry::Registry(std::unique_ptr<Days> days) noexcept : days_(std::move(days)) {}
Registry::Registry(Registry&&) noexcept = default;
Registry& Registry::operator=(Registry&& other) noexcept {
    if (this != &other) {
        static_cast<void>(leave());
        days_ = std::move(other.days_);
    }
    return *this;
}
Registry::~Registry() { static_cast<void>(leave()); }

const Reader& Registry::reader() const noexcept { return days_->today().reader; }
StrategyId Registry::strategy() const noexcept { return StrategyId{days_->now().caller.strategy}; }

Verdict Registry::check_and_register(const OrderRequest& request) noexcept {
    return days_->call([&](Impl& impl) noexcept {
        if (!impl.in_attached_process()) return refusal(Refused::denied, DenyReason::not_attached);
        // The loads start first; reading the clock hides a part of their way.
        const core::NewOrder order = core::prepare(impl.state, impl.caller, request);
        // Not while another has the lock: it is about to write the very lines, and would have to fetch them back.
        const bool alone = segment::RobustMutex::is_free_hint(segment::mutex_memory(impl.state));
        if (alone) core::prefetch(impl.state, order);
        const core::Caller who = impl.now();
        if (alone) core::prefetch_controls(impl.state, who, order);
        return impl.settle(
            impl.locked(impl.config.request_timeout_ns, Refused::denied, [&] { return impl.register_locked(who, order); }));
    });
}

namespace {

std::vector<Verdict> register_all(Registry::Impl& impl, std::span<const OrderRequest> requests, bool all_or_none) {
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

}  // namespace

std::vector<Verdict> Registry::register_batch(std::span<const OrderRequest> requests, bool all_or_none) {
    return days_->call([&](Impl& impl) { return register_all(impl, requests, all_or_none); });
}

Verdict Registry::replace_requested(const ReplaceRequest& request) noexcept {
    return days_->call([&](Impl& impl) noexcept {
        return impl.request(
            EventType::replace_requested, request.id, request.account,
            [&](const core::Caller& who, core::Decision& out) { core::decide_replace(impl.state, who, request, out); });
    });
}

Verdict Registry::cancel_requested(AccountId account, std::string_view id) noexcept {
    return days_->call([&](Impl& impl) noexcept {
        return impl.request(EventType::cancel_requested, id, account, [&](const core::Caller& who, core::Decision& out) {
            core::decide_cancel(impl.state, who, static_cast<std::uint16_t>(account), id, out);
        });
    });
}

Verdict Registry::aborted(AccountId account, std::string_view id) noexcept {
    return days_->call([&](Impl& impl) noexcept {
        return impl.request(EventType::aborted, id, account, [&](const core::Caller& who, core::Decision& out) {
            core::decide_abort(impl.state, who, static_cast<std::uint16_t>(account), id, out);
        });
    });
}

Verdict Registry::event(const OrderEvent& fact) noexcept {
    return days_->call([&](Impl& impl) noexcept {
        if (!impl.in_attached_process()) return refusal(Refused::not_booked, DenyReason::not_attached);
        const core::Caller who = impl.now();
        return impl.settle(impl.locked(impl.config.fact_timeout_ns, Refused::not_booked, [&] {
            core::Decision decision;
            core::decide_fact(impl.state, who, fact, decision);
            if (decision.commit) {
                impl.perform(decision);
                if (impl.session) count(impl.state.sessions[who.session].facts);
            } else if (decision.verdict.reason == DenyReason::poisoned) {
                segment::poison(impl.state);
                return refusal(Refused::not_booked, DenyReason::poisoned);
            }
            return decision.verdict;
        }));
    });
}

bool Registry::wait_durable(std::uint64_t seq, std::int64_t timeout_ns) const noexcept {
    Impl& impl = days_->now();
    return impl.in_attached_process() && impl.wait_durable(seq, timeout_ns);
}

bool Registry::checkpoint(std::int64_t timeout_ns) noexcept {
    Impl& impl = days_->today();
    if (!impl.in_attached_process()) return false;
    if (registry::request_checkpoint(impl.state, timeout_ns)) return true;
    return is_rolled(impl.state) && registry::request_checkpoint(days_->today().state, timeout_ns);
}

bool Registry::waits_for_disk() const noexcept { return days_->now().waits_for_disk; }
bool Registry::is_hosting() const noexcept {
    const Impl& impl = days_->now();
    return impl.snapshotter && impl.snapshotter->is_hosting();
}

Verdict Registry::roll(std::string_view reason) {
    Impl& impl = days_->today();
    if (!impl.in_attached_process()) return refusal(Refused::denied, DenyReason::not_attached);
    if (!impl.is_current_session()) return refusal(Refused::denied, DenyReason::fenced);
    const Verdict verdict = registry::roll(impl.attachment, impl.now(), reason, impl.config.fact_timeout_ns);
    static_cast<void>(days_->today());
    return verdict.result == Result::ok ? impl.settle(verdict) : verdict;
}

namespace {

Verdict set_reference_price(Registry::Impl& impl, InstrumentId instrument, Price price) noexcept {
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
        core::check_reference_price(impl.state, index, price, decision);
        if (decision.verdict.result != Result::ok) return decision.verdict;
        if (!ours) core::decide_reference_owner(impl.state, who, index, decision);
        if (decision.commit) impl.perform(decision);
        if (decision.verdict.result == Result::ok)
            cell.price.store(cell.price.newest().seq + 1, {0, price.value, who.steady_ns, who.now_ns, who.generation});
        return decision.verdict;
    });
    // Only the change of owner is an event; the price itself never touches the log.
    return verdict.seq != 0 ? impl.settle(verdict) : verdict;
}

}  // namespace

Verdict Registry::reference_price(InstrumentId instrument, Price price) noexcept {
    return days_->call([&](Impl& impl) noexcept { return set_reference_price(impl, instrument, price); });
}

namespace {

/// The kill switch has the deadline of facts (protocol.md 4).
Verdict change_state(Registry::Days& days, core::StateRequest request) noexcept {
    return days.call([&](Registry::Impl& impl) noexcept {
        return impl.request_within(
            impl.config.fact_timeout_ns, EventType::state_changed, {}, AccountId::none,
            [&](const core::Caller& who, core::Decision& out) { core::decide_state(impl.state, who, request, out); });
    });
}

}  // namespace

Verdict Registry::halt(const Scope& scope, TradingState state, std::string_view reason) noexcept {
    return change_state(*days_, {days_->now().state.geometry.row_of(scope), state, false, false, reason});
}

Verdict Registry::resume(const Scope& scope, TradingState state, std::string_view reason) noexcept {
    return change_state(*days_, {days_->now().state.geometry.row_of(scope), state, true, false, reason});
}

Verdict Registry::release_unreconciled(std::string_view reason) noexcept {
    return change_state(*days_, {days_->now().state.geometry.firm_row(), TradingState::active, true, true, reason});
}

Verdict Registry::set_clock(std::string_view reason) noexcept {
    return days_->call([&](Impl& impl) noexcept {
        return impl.request_within(
            impl.config.fact_timeout_ns, EventType::clock_set, {}, AccountId::none,
            [&](const core::Caller& who, core::Decision& out) { core::decide_clock(impl.state, who, reason, out); });
    });
}

namespace {

/// An audit trail with nothing in it helps nobody.
class ReasonOr {
public:
    ReasonOr(std::string_view given, std::uint32_t uid) noexcept : given_(given) {
        if (given.empty()) std::snprintf(text_, sizeof text_, "no reason given by uid %u", uid);
    }
    [[nodiscard]] std::string_view text() const noexcept { return given_.empty() ? std::string_view(text_) : given_; }

private:
    std::string_view given_;
    char text_[40] = {};
};

Limits limits_in(const core::State& state, std::uint32_t row) noexcept {
    if (row >= state.geometry.rows()) return {};
    return core::limits_of(state.rows[row].control.newest(), state.rows_risk[row].limits.newest());
}

Verdict change_limits(Registry::Days& days, const Scope& scope, core::LimitsRequest request, LimitsChange* change) noexcept {
    return days.call([&](Registry::Impl& impl) noexcept {
        const core::Caller who = impl.now();
        const ReasonOr reason(request.reason, who.uid);
        const core::LimitsRequest asked{impl.state.geometry.row_of(scope), request.limits, request.fields, reason.text()};
        return impl.settle(impl.locked(impl.config.request_timeout_ns, Refused::denied, [&] {
            core::Decision decision;
            core::FollowUps more;
            if (change != nullptr) change->before = limits_in(impl.state, asked.row);
            core::decide_limits(impl.state, who, asked, decision, more);
            if (decision.commit) core::perform(impl.state, decision, more);
            if (change != nullptr) change->after = limits_in(impl.state, asked.row);
            return decision.verdict;
        }));
    });
}

}  // namespace

Verdict Registry::set_limits(const Scope& scope, const Limits& limits, std::string_view reason, LimitMask fields) noexcept {
    return change_limits(*days_, scope, {kNoSlot, limits, fields, reason}, nullptr);
}

Verdict Registry::set_limits(const Scope& scope, const Limits& limits, std::string_view reason, LimitMask fields,
                             LimitsChange& change) {
    const Verdict verdict = change_limits(*days_, scope, {kNoSlot, limits, fields, reason}, &change);
    change.uses.clear();
    if (verdict.result != Result::ok) return verdict;
    const auto named = [&](const LimitUse& use) {
        for (std::size_t i = 0; i < core::kLimitMembers.size(); ++i)
            if (core::kLimitMembers[i] == use.limit) return (fields >> i & 1U) != 0;
        return false;
    };
    for (const LimitUse& use : reader().uses(reader().exposure(scope)))
        if (named(use) && (change.after.*use.limit).kind == LimitValue::Kind::value) change.uses.push_back(use);
    return verdict;
}

Verdict Registry::approve(std::uint64_t request) noexcept {
    return days_->call([&](Impl& impl) noexcept {
        return impl.request_within(
            impl.config.fact_timeout_ns, EventType::state_changed, {}, AccountId::none,
            [&](const core::Caller& who, core::Decision& out) { core::decide_approve(impl.state, who, request, out); });
    });
}

Verdict Registry::restrict(const Scope& scope, const Restriction& entry) noexcept {
    core::RestrictionRequest request;
    request.row = days_->now().state.geometry.row_of(scope);
    request.sides =
        static_cast<std::uint8_t>((entry.buy ? unsigned{kRestrictBuy} : 0U) | (entry.sell ? unsigned{kRestrictSell} : 0U));
    request.from_ns = entry.from_ns;
    request.to_ns = entry.to_ns;
    const ReasonOr reason(entry.reason, days_->now().caller.uid);
    request.reason = reason.text();
    return days_->call([&](Impl& impl) noexcept {
        return impl.request(
            EventType::restricted_changed, {}, AccountId::none,
            [&](const core::Caller& who, core::Decision& out) { core::decide_restriction(impl.state, who, request, out); });
    });
}

Verdict Registry::load_position(AccountId account, StrategyId strategy, InstrumentId instrument, Quantity quantity, Price price,
                                std::string_view text) noexcept {
    core::PositionRequest request;
    request.account = static_cast<std::uint16_t>(account);
    request.strategy =
        strategy == StrategyId::none ? days_->now().state.external_strategy() : static_cast<std::uint16_t>(strategy);
    request.instrument = static_cast<std::uint32_t>(instrument);
    request.quantity = quantity.value;
    request.price = price.value;
    request.text = text;
    return days_->call([&](Impl& impl) noexcept {
        return impl.request_within(
            impl.config.fact_timeout_ns, EventType::position_loaded, {}, account,
            [&](const core::Caller& who, core::Decision& out) { core::decide_position(impl.state, who, request, out); });
    });
}

Verdict Registry::load_order(StrategyId strategy, const OrderRequest& order) noexcept {
    return days_->call([&](Impl& impl) noexcept {
        return impl.request_within(impl.config.fact_timeout_ns, EventType::registered, order.id, order.account,
                                   [&](core::Caller who, core::Decision& out) {
                                       who.strategy = static_cast<std::uint16_t>(strategy);
                                       core::decide_load_order(impl.state, who, core::prepare(impl.state, who, order), out);
                                   });
    });
}

Verdict Registry::begin_send(AccountId account, std::string_view id) const noexcept {
    return days_->call([&](Impl& impl) noexcept {
        if (!impl.in_attached_process()) return refusal(Refused::denied, DenyReason::not_attached);
        const bool ready = core::is_in(impl.state, SegmentState::ready);
        if (!ready) return refusal(Refused::denied, is_rolled(impl.state) ? kDayEnded : DenyReason::poisoned);
        if (!impl.is_current_session()) return refusal(Refused::denied, DenyReason::fenced);
        return core::decide_begin_send(impl.state, impl.caller, static_cast<std::uint16_t>(account), id);
    });
}

}  // namespace riskreg
