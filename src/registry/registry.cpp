// The public facade: lock → decide → append → apply, for every call (src/README.md "Life of one order").
#include "riskreg/registry.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <optional>
#include <thread>

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
#include "segment/inside.hpp"
#include "segment/process.hpp"
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
/// Nor this: somebody who ends the day is let go first.
constexpr auto kHeld = static_cast<DenyReason>(0xFFFE);
/// The most that a call waits then.
constexpr std::int64_t kMostHeldNs = 5'000'000;
/// What a call gets at least that comes to the next day behind its deadline.
constexpr std::int64_t kLastTryNs = 1'000'000;

/// How far one call is: it may have to be repeated, within its own deadline.
struct Attempt {
    std::int64_t begun_ns = 0;  // boot time
    std::int64_t allowed_ns = 0;  // of a call that did not get in
    bool again = false;
    bool let_go = false;  // the roller went first, once
    bool last = false;

    [[nodiscard]] std::int64_t left(std::int64_t timeout_ns) const noexcept {
        if (!again) [[likely]]
            return timeout_ns;
        return std::max(begun_ns + timeout_ns - segment::boottime_ns(), kLastTryNs);
    }
};

DenyReason reason_of(segment::Entry entry) noexcept {
    switch (entry) {
        case segment::Entry::timed_out: return DenyReason::lock_timeout;
        case segment::Entry::rolled: return kDayEnded;
        default: return DenyReason::poisoned;
    }
}

bool is_rolled(const core::State& state) noexcept { return core::is_in(state, SegmentState::rolled); }

/// Why a call may have to be made again: nothing has happened then.
DenyReason why_of(const Verdict& answer) noexcept { return answer.reason; }
DenyReason why_of(const std::vector<Verdict>& answers) noexcept {
    const auto drains = [](const Verdict& answer) { return answer.reason == DenyReason::draining; };
    if (answers.empty()) return DenyReason::none;
    const bool any =
        answers.front().reason == DenyReason::batch_member_denied && std::any_of(answers.begin(), answers.end(), drains);
    return any ? DenyReason::draining : answers.front().reason;
}
bool comes_again(DenyReason why) noexcept { return why == kDayEnded || why == kHeld || why == DenyReason::draining; }
/// A day that ended and could not be followed: the same call may be made again.
void give_up(Verdict& answer) noexcept {
    if (answer.reason == kDayEnded || answer.reason == kHeld) answer.reason = DenyReason::lock_timeout;
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

/// The segments that one registration has been attached to, day by day; the newest one counts. One that has ended goes as soon as no
/// call and no reader is in it (segment/inside.hpp), with the threads of that day.
struct Registry::Days {
    struct Ended {
        std::unique_ptr<Impl> day;
        segment::WereInside inside;
    };
    std::atomic<Impl*> newest{nullptr};
    Shown shown;
    Reader reader;
    std::mutex mutex;  // of what follows, and of the way into the next day
    std::unique_ptr<Impl> held;  // `newest`
    std::vector<Ended> ended;
    std::optional<segment::Mapping> ahead;  // of the next day, while it is being prepared
    bool closing = false;
    std::atomic<bool> leaving{false};
    std::unique_ptr<Keeper> keeper;
    std::atomic<bool> kept{false};  // it runs

    Days() : reader(std::make_unique<Reader::Impl>(shown)) {}
    ~Days();
    Days(const Days&) = delete;
    Days& operator=(const Days&) = delete;

    /// Whoever uses what these return is Inside.
    [[nodiscard]] Impl& now() const noexcept { return *newest.load(std::memory_order_acquire); }
    /// The same, on the next day already when that has begun.
    [[nodiscard]] Impl& today() noexcept;
    /// The day after `ended`, attached to when nobody has before. Null when that is not possible now. Bounded by the deadline
    /// of attaching.
    Impl* follow(const Impl& ended) noexcept;
    /// The same for a call. New risk waits for it within its own deadline only: null, then. Whatever takes risk back, and facts,
    /// would rather be late than refused.
    Impl* arrive(const Impl& ended, const Attempt& attempt) noexcept;
    /// Everything ends in order; oldest day first. False: something hangs, and these must stay.
    [[nodiscard]] bool leave(std::int64_t by_ns) noexcept;
    [[nodiscard]] bool leave_day(Impl& day, std::int64_t by_ns) noexcept;
    /// False in a child that was forked after the attach, and where there is nothing.
    [[nodiscard]] bool is_ours() const noexcept;
    [[nodiscard]] LeaveView judge_leaving() noexcept;
    std::uint64_t left_at = 0;  // committed when the last session had left
    void add(std::unique_ptr<Impl> day);
    /// A thread of its own from now on, if it has none yet.
    void keep_an_eye() noexcept;
    /// What that thread does every few milliseconds.
    void look_after() noexcept;
    void map_ahead(Impl& impl) noexcept;
    void forget_ahead(Impl& impl) noexcept;
    void give_up_ended() noexcept;
    /// Waits until the call may be made again. False: its deadline came first.
    [[nodiscard]] bool wait_for_next_day(const Impl& impl, Attempt& attempt) const noexcept;
    static void wait_held(const Impl& impl) noexcept;
    /// Runs a call, and again when the day ended under it, or is about to: nothing has happened then.
    template <class Call>
    auto call(Call run) noexcept(noexcept(run(std::declval<Impl&>(), std::declval<Attempt&>())));
    template <class Call, class Answer>
    [[gnu::noinline]] void call_again(Call& run, Impl* impl, Attempt& attempt, Answer& answer);
};

/// Of a registration with threads of its own: maps the next day beforehand, gives up the days that ended, and takes back what a roller
/// that died has left.
class Registry::Keeper {
public:
    explicit Keeper(Days& days) : days_(days) {
        const segment::SignalsBlocked blocked;
        thread_ = std::thread([this] { live(); });
    }
    ~Keeper() { stop(); }
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;
    void stop() noexcept {
        if (!thread_.joinable()) return;
        tell_to_stop();
        thread_.join();
    }
    /// The next day has begun: not at the next look, now.
    void hurry() noexcept {
        const std::lock_guard guard(mutex_);
        hurried_ = true;
        changed_.notify_all();
    }
    /// False: it has not ended by then, and goes on using what it looks after.
    [[nodiscard]] bool stop(std::int64_t by_ns) noexcept {
        std::unique_lock guard(mutex_);
        stopping_ = true;
        changed_.notify_all();
        const std::chrono::steady_clock::time_point deadline{std::chrono::nanoseconds(by_ns)};
        return changed_.wait_until(guard, deadline, [this] { return ended_; });
    }

private:
    void live() noexcept {
        std::unique_lock guard(mutex_);
        for (;;) {
            changed_.wait_for(guard, std::chrono::milliseconds(5), [this] { return stopping_ || hurried_; });
            if (stopping_) break;
            hurried_ = false;
            guard.unlock();
            days_.look_after();
            guard.lock();
        }
        ended_ = true;
        changed_.notify_all();
    }
    void tell_to_stop() noexcept {
        const std::lock_guard guard(mutex_);
        stopping_ = true;
        changed_.notify_all();
    }
    Days& days_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool stopping_ = false;
    bool hurried_ = false;
    bool ended_ = false;
    std::thread thread_;
};

/// One day's segment.
struct Registry::Impl {
    Days& days;
    ProcessConfig config;
    registry::Attachment attachment;
    core::State& state = attachment.state;
    core::Caller caller;  // without the time
    std::unique_ptr<registry::Snapshotter> snapshotter;  // outlives the session: its last event is journaled, too
    std::unique_ptr<registry::Session> session;
    registry::DenialGate gate;  // under the registry's lock
    bool waits_for_disk = false;

    Impl(Days& of, ProcessConfig process, registry::Attachment attached)
        : days(of), config(std::move(process)), attachment(std::move(attached)) {
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
    [[nodiscard]] core::Caller now(Attempt& attempt) const noexcept {
        const core::Caller who = now();
        if (!attempt.again) [[likely]]
            attempt.begun_ns = who.steady_ns;
        return who;
    }
    [[nodiscard, gnu::always_inline]] bool is_current_session() const noexcept {
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
    [[gnu::always_inline]] Verdict locked(Attempt& attempt, std::int64_t timeout_ns, Refused how, Critical critical) noexcept {
        if (!in_attached_process()) return refusal(how, DenyReason::not_attached);
        const segment::StateLock lock(state, attempt.left(timeout_ns), caller.session);
        if (!lock.inside()) [[unlikely]] {
            attempt.allowed_ns = timeout_ns;
            return refusal(how, reason_of(lock.entry()));
        }
        if (!is_current_session()) [[unlikely]]
            return refusal(how, DenyReason::fenced);
        if (core::is_braked(state)) [[unlikely]] {
            core::look_closer(state);
            if (core::roll_phase(state) == RollPhase::held && !attempt.let_go) return refusal(how, kHeld);
        }
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

    [[gnu::always_inline]] Verdict register_locked(const core::Caller& who, const core::NewOrder& order) noexcept {
        core::Decision decision;
        core::decide_register(state, who, order, nullptr, decision);
        if (decision.commit) [[likely]] {
            perform(decision);
            if (session) count(state.sessions[caller.session].accepted);
        } else if (decision.verdict.reason != DenyReason::draining) {
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
        const bool drains = batch.decisions[guilty].verdict.reason == DenyReason::draining;
        if (!drains) refuse(EventType::registered, batch.orders[guilty], who, batch.decisions[guilty]);
        for (Verdict& answer : batch.answers) answer = refusal(Refused::denied, DenyReason::batch_member_denied);
        batch.answers[guilty] = batch.decisions[guilty].verdict;
    }

    /// Requests about an order, and control: decide, then perform or refuse.
    template <class Decide>
    Verdict request(Attempt& attempt, EventType type, std::string_view id, AccountId account, Decide decide) noexcept {
        return request_within(attempt, config.request_timeout_ns, type, id, account, decide);
    }
    template <class Decide>
    Verdict request_within(Attempt& attempt, std::int64_t timeout_ns, EventType type, std::string_view id, AccountId account,
                           Decide decide) noexcept {
        const core::Caller who = now(attempt);
        return settle(locked(attempt, timeout_ns, Refused::denied, [&] {
            core::Decision decision;
            decide(who, decision);
            if (decision.commit) {
                perform(decision);
            } else if (decision.verdict.reason != DenyReason::draining) {
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
    days.shown.newest.store(&impl->attachment, std::memory_order_release);
    impl->require_durability();
    impl->host_snapshotter();
    if (config.strategy.empty()) {
        registry::look_after_the_dead(impl->state, config.request_timeout_ns, kNoSlot);
        return impl;
    }
    impl->caller.strategy = require_strategy(days.reader, impl->state.external_strategy(), config.strategy);
    impl->take_session(
        std::make_unique<registry::Session>(impl->state, impl->caller.strategy, impl->config, impl->on_rolled()));
    return impl;
}

registry::Attachment attach_next(std::optional<segment::Mapping> ahead, const registry::Attachment& before,
                                 std::int64_t timeout_ns) {
    if (ahead) return registry::attach_by(std::move(*ahead), before.name, before.lock.state_dir(), timeout_ns);
    return registry::attach(before.name, before.lock.state_dir(), timeout_ns);
}

std::unique_ptr<Registry::Impl> next_day(Registry::Impl& ended, std::optional<segment::Mapping> ahead) {
    const ProcessConfig& config = ended.config;
    const registry::Attachment& before = ended.attachment;
    auto impl =
        std::make_unique<Registry::Impl>(ended.days, config, attach_next(std::move(ahead), before, config.attach_timeout_ns));
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

void Registry::Days::add(std::unique_ptr<Impl> day) {
    ended.reserve(ended.size() + 1);
    shown.newest.store(&day->attachment, std::memory_order_release);
    newest.store(day.get(), std::memory_order_release);
    held.swap(day);
    if (day) ended.push_back({std::move(day), segment::WereInside()});
}

Registry::Impl* Registry::Days::follow(const Impl& day) noexcept {
    if (!day.in_attached_process()) return nullptr;
    const std::lock_guard guard(mutex);
    // One that is only being opened is not among them yet.
    if (closing || !held) return nullptr;
    if (held.get() != &day) return held.get();
    try {
        Impl& before = *held;
        std::optional<segment::Mapping> mapped;
        mapped.swap(ahead);
        ended.reserve(ended.size() + 1);
        std::unique_ptr<Impl> next = next_day(before, std::move(mapped));
        // Its bytes stay for the calls and readers that are in it; its name may go. Before a call sees the next day.
        before.attachment.mapping.stop_using();
        registry::drop_day_before(next->attachment);
        add(std::move(next));
        keep_an_eye();
        return held.get();
    } catch (...) {
        // No memory, no room for its mapping, a deadline: the caller is told so, and the next call tries again.
        return nullptr;
    }
}

Registry::Impl* Registry::Days::arrive(const Impl& day, const Attempt& attempt) noexcept {
    const bool hurries = attempt.allowed_ns != 0 && attempt.allowed_ns <= day.config.request_timeout_ns;
    if (!hurries || !kept || leaving) return follow(day);
    keeper->hurry();
    const std::int64_t until = attempt.begun_ns + attempt.allowed_ns;
    while (&now() == &day) {
        if (segment::boottime_ns() >= until) return nullptr;
        segment::sleep_ns(50'000);
    }
    return &now();
}

// ---- beside the calls ----

void Registry::Days::keep_an_eye() noexcept {
    try {
        if (!keeper && !leaving) keeper = std::make_unique<Keeper>(*this);
        kept = keeper != nullptr;
    } catch (...) {
        // No thread now: the next day is mapped by the first call of it, and what has ended waits for the next roll.
    }
}

void Registry::Days::look_after() noexcept {
    {
        const segment::Inside inside;
        Impl& impl = now();
        if (is_rolled(impl.state)) static_cast<void>(follow(impl));
        else if (core::roll_phase(impl.state) >= RollPhase::prepared) map_ahead(impl);
        else forget_ahead(impl);
        if (core::roll_phase(impl.state) != RollPhase::none) registry::take_back_roll(impl.attachment);
    }
    give_up_ended();
}

namespace {

std::string segment_after(const registry::Attachment& attachment) {
    return segment::segment_name(attachment.lock.identity(), attachment.name, attachment.state.header->day + 1);
}

/// With its pages, so that nobody has to wait for them in a call. Nothing when it was told to stop, or the roll came to nothing.
template <class Stop>
std::optional<segment::Mapping> map_with_pages(const registry::Attachment& before, Stop stop) {
    constexpr std::size_t kAtOnce = std::size_t{8} << 20;
    segment::Mapping mapping = segment::Mapping::open(segment_after(before), segment::Access::read_write);
    static_cast<void>(mapping.advise((before.state.header->page_options & 1U) != 0, false));
    // Once the day has ended a call waits for it: with the pages that it has.
    for (std::size_t at = 0; at < mapping.size_bytes() && !is_rolled(before.state); at = mapping.fault_in(at, kAtOnce))
        if (stop()) return std::nullopt;
    return mapping;
}

}  // namespace

void Registry::Days::map_ahead(Impl& impl) noexcept {
    {
        const std::lock_guard guard(mutex);
        if (ahead && ahead->is_current()) return;
        ahead.reset();
    }
    try {
        const auto stop = [&] { return leaving || core::roll_phase(impl.state) < RollPhase::prepared; };
        std::optional<segment::Mapping> mapped = map_with_pages(impl.attachment, stop);
        const std::lock_guard guard(mutex);
        // A call may have gone there meanwhile.
        if (!mapped || held.get() != &impl) return;
        ahead = std::move(mapped);
        if (impl.session) store_release(impl.state.sessions[impl.caller.session].next_day, impl.state.header->day + 1);
    } catch (const Error&) {
        // No room for it, or it is gone again: the first call of the next day does it.
    }
}

void Registry::Days::forget_ahead(Impl& impl) noexcept {
    const std::lock_guard guard(mutex);
    if (!ahead) return;
    ahead.reset();
    if (impl.session) store_release(impl.state.sessions[impl.caller.session].next_day, 0);
}

void Registry::Days::give_up_ended() noexcept {
    std::unique_ptr<Impl> day;
    {
        const std::lock_guard guard(mutex);
        // The oldest first: its host leaves before the next one's can have everything on disk.
        if (ended.empty() || !ended.front().inside.have_left()) return;
        const Impl& first = *ended.front().day;
        if (first.snapshotter && first.snapshotter->is_hosting()) return;
        day = std::move(ended.front().day);
        ended.erase(ended.begin());
    }
    // Without the mutex: its threads may be about to follow.
    day.reset();
}

bool Registry::Days::wait_for_next_day(const Impl& impl, Attempt& attempt) const noexcept {
    const std::int64_t until = attempt.begun_ns + impl.config.request_timeout_ns;
    while (core::roll_phase(impl.state) >= RollPhase::draining && core::is_in(impl.state, SegmentState::ready)) {
        if (segment::boottime_ns() >= until) return false;
        segment::sleep_ns(100'000);
    }
    return true;
}

void Registry::Days::wait_held(const Impl& impl) noexcept {
    const std::int64_t until = segment::monotonic_ns() + kMostHeldNs;
    while (core::roll_phase(impl.state) == RollPhase::held && core::is_in(impl.state, SegmentState::ready) &&
           segment::monotonic_ns() < until)
        segment::sleep_ns(100'000);
}

template <class Call, class Answer>
void Registry::Days::call_again(Call& run, Impl* impl, Attempt& attempt, Answer& answer) {
    // More than a few days do not end under one call.
    for (int times = 0; times < 1000 && comes_again(why_of(answer)); ++times) {
        const DenyReason why = why_of(answer);
        const bool drains = why == DenyReason::draining;
        if (drains && attempt.last) return;
        if (why == kDayEnded) impl = arrive(*impl, attempt);
        if (impl == nullptr) break;
        if (why == kHeld) wait_held(*impl), attempt.let_go = true;
        attempt.last = drains && !wait_for_next_day(*impl, attempt);
        attempt.again = true;
        answer = run(*impl, attempt);
    }
    give_up(answer);
}

template <class Call>
auto Registry::Days::call(Call run) noexcept(noexcept(run(std::declval<Impl&>(), std::declval<Attempt&>()))) {
    const segment::Inside inside;
    Attempt attempt;
    Impl& impl = now();
    auto answer = run(impl, attempt);
    if (comes_again(why_of(answer))) [[unlikely]]
        call_again(run, &impl, attempt, answer);
    return answer;
}

Registry::Days::~Days() {
    if (newest.load(std::memory_order_acquire) == nullptr) return;
    leaving = true;
    // In a forked child the thread is the parent's.
    if (!is_ours()) static_cast<void>(keeper.release());
    keeper.reset();
    // The oldest first, as they left.
    for (Ended& one : ended) one.day.reset();
    held.reset();
}

bool Registry::Days::is_ours() const noexcept {
    const segment::Inside inside;
    return newest.load(std::memory_order_acquire) != nullptr && now().in_attached_process();
}

bool Registry::Days::leave(std::int64_t by_ns) noexcept {
    if (!is_ours()) return true;
    leaving = true;
    // It may hang with the day that it gives up.
    if (keeper && !keeper->stop(by_ns)) return false;
    // A session ends in the day that it belongs to. Going there is waited for within the same deadline.
    std::int64_t& patience = held->config.attach_timeout_ns;
    patience = std::clamp<std::int64_t>((by_ns - segment::monotonic_ns()) / 2, 0, patience);
    static_cast<void>(today());
    {
        const std::lock_guard guard(mutex);
        closing = true;
    }
    // Its last event is journaled, too; and a host leaves before the next day's can have everything on disk.
    bool all_ended = true;
    for (const Ended& one : ended) all_ended = leave_day(*one.day, by_ns) && all_ended;
    return leave_day(*held, by_ns) && all_ended;
}

bool Registry::Days::leave_day(Impl& day, std::int64_t by_ns) noexcept {
    bool has_ended = true;
    // A part of the time for whoever is stopped inside the lock, the rest for the journal.
    const std::int64_t now_ns = segment::monotonic_ns();
    if (day.session) has_ended = day.session->leave(now_ns + (by_ns - now_ns) * 2 / 3);
    left_at = load_acquire(day.state.log->committed);
    if (day.snapshotter) has_ended = day.snapshotter->leave(by_ns) && has_ended;
    return has_ended;
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
        if (!view.durable) view.why = why_not_durable(reader.status());
    } catch (...) {
        // No memory for the reason.
    }
    return view;
}

LeaveView Registry::leave(std::int64_t timeout_ns) noexcept {
    LeaveView view;
    if (!days_) return view;
    const bool ours = days_->is_ours();
    const bool ended = days_->leave(segment::monotonic_ns() + timeout_ns);
    if (ours) view = days_->judge_leaving();
    // Threads that hang in a write go on using it.
    if (ended) days_.reset();
    else static_cast<void>(days_.release());
    return view;
}

void Registry::reopen_log() noexcept {
    const segment::Inside inside;
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
                const bool keeps = day->session || day->snapshotter;
                days->add(std::move(day));
                if (keeps) days->keep_an_eye();
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

const Reader& Registry::reader() const noexcept {
    const segment::Inside inside;
    static_cast<void>(days_->today());
    return days_->reader;
}
StrategyId Registry::strategy() const noexcept {
    const segment::Inside inside;
    return StrategyId{days_->now().caller.strategy};
}

Verdict Registry::check_and_register(const OrderRequest& request) noexcept {
    // Inline although it stands in two places, here and behind the end of a day: it is the way that every order takes.
    return days_->call([&](Impl & impl, Attempt & attempt) __attribute__((always_inline)) {
        if (!impl.in_attached_process()) return refusal(Refused::denied, DenyReason::not_attached);
        // The loads start first; reading the clock hides a part of their way.
        const core::NewOrder order = core::prepare(impl.state, impl.caller, request);
        // Not while another has the lock: it is about to write the very lines, and would have to fetch them back.
        const bool alone = segment::RobustMutex::is_free_hint(segment::mutex_memory(impl.state));
        if (alone) core::prefetch(impl.state, order);
        const core::Caller who = impl.now(attempt);
        if (alone) core::prefetch_controls(impl.state, who, order);
        return impl.settle(impl.locked(attempt, impl.config.request_timeout_ns, Refused::denied,
                                       [&] { return impl.register_locked(who, order); }));
    });
}

namespace {

std::vector<Verdict> register_all(Registry::Impl& impl, Attempt& attempt, std::span<const OrderRequest> requests,
                                  bool all_or_none) {
    if (!impl.in_attached_process()) return {requests.size(), refusal(Refused::denied, DenyReason::not_attached)};
    if (requests.size() > core::BatchOverlay::kMaxOrders)
        return {requests.size(), refusal(Refused::denied, DenyReason::capacity)};
    const core::Caller who = impl.now(attempt);
    Batch batch(requests.size());
    for (const OrderRequest& request : requests) batch.orders.push_back(core::prepare(impl.state, who, request));
    const Verdict outcome = impl.locked(attempt, impl.config.request_timeout_ns, Refused::denied, [&] {
        // Each by itself: what was accepted must not come again, so all of them wait first.
        const bool waits = !all_or_none && !attempt.last && core::roll_phase(impl.state) >= RollPhase::draining;
        if (waits) return refusal(Refused::denied, DenyReason::draining);
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
    return days_->call([&](Impl& impl, Attempt& attempt) { return register_all(impl, attempt, requests, all_or_none); });
}

Verdict Registry::replace_requested(const ReplaceRequest& request) noexcept {
    return days_->call([&](Impl& impl, Attempt& attempt) noexcept {
        return impl.request(
            attempt, EventType::replace_requested, request.id, request.account,
            [&](const core::Caller& who, core::Decision& out) { core::decide_replace(impl.state, who, request, out); });
    });
}

/// A cancel takes risk away: it has the deadline of facts.
Verdict Registry::cancel_requested(AccountId account, std::string_view id) noexcept {
    return days_->call([&](Impl& impl, Attempt& attempt) noexcept {
        return impl.request_within(attempt, impl.config.fact_timeout_ns, EventType::cancel_requested, id, account,
                                   [&](const core::Caller& who, core::Decision& out) {
                                       core::decide_cancel(impl.state, who, static_cast<std::uint16_t>(account), id, out);
                                   });
    });
}

Verdict Registry::aborted(AccountId account, std::string_view id) noexcept {
    return days_->call([&](Impl& impl, Attempt& attempt) noexcept {
        return impl.request(attempt, EventType::aborted, id, account, [&](const core::Caller& who, core::Decision& out) {
            core::decide_abort(impl.state, who, static_cast<std::uint16_t>(account), id, out);
        });
    });
}

Verdict Registry::event(const OrderEvent& fact) noexcept {
    return days_->call([&](Impl& impl, Attempt& attempt) noexcept {
        if (!impl.in_attached_process()) return refusal(Refused::not_booked, DenyReason::not_attached);
        const core::Caller who = impl.now(attempt);
        return impl.settle(impl.locked(attempt, impl.config.fact_timeout_ns, Refused::not_booked, [&] {
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
    const segment::Inside inside;
    Impl& impl = days_->now();
    return impl.in_attached_process() && impl.wait_durable(seq, timeout_ns);
}

bool Registry::checkpoint(std::int64_t timeout_ns) noexcept {
    const segment::Inside inside;
    Impl& impl = days_->today();
    if (!impl.in_attached_process()) return false;
    if (registry::request_checkpoint(impl.state, timeout_ns)) return true;
    return is_rolled(impl.state) && registry::request_checkpoint(days_->today().state, timeout_ns);
}

bool Registry::waits_for_disk() const noexcept {
    const segment::Inside inside;
    return days_->now().waits_for_disk;
}
bool Registry::is_hosting() const noexcept {
    const segment::Inside inside;
    const Impl& impl = days_->now();
    return impl.snapshotter && impl.snapshotter->is_hosting();
}

Verdict Registry::roll(std::string_view reason) { return roll(reason, 0); }

Verdict Registry::roll(std::string_view reason, std::uint64_t day) {
    const segment::Inside inside;
    Impl& impl = days_->today();
    if (!impl.in_attached_process()) return refusal(Refused::denied, DenyReason::not_attached);
    if (!impl.is_current_session()) return refusal(Refused::denied, DenyReason::fenced);
    const Verdict verdict = registry::roll(impl.attachment, impl.now(), {reason, day}, impl.config.fact_timeout_ns);
    static_cast<void>(days_->today());
    return verdict.result == Result::ok ? impl.settle(verdict) : verdict;
}

namespace {

Verdict set_reference_price(Registry::Impl& impl, Attempt& attempt, InstrumentId instrument, Price price) noexcept {
    const auto index = static_cast<std::uint32_t>(instrument);
    if (!impl.in_attached_process()) return refusal(Refused::denied, DenyReason::not_attached);
    if (index >= impl.state.geometry.instruments) return refusal(Refused::denied, DenyReason::unknown_instrument);
    if (!impl.session) return refusal(Refused::denied, DenyReason::unknown_strategy);
    const core::Caller who = impl.now(attempt);
    // Under the lock: a writer that was stopped, fenced and replaced must never meet its successor in the cell.
    const Verdict verdict = impl.locked(attempt, impl.config.request_timeout_ns, Refused::denied, [&] {
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
    return days_->call(
        [&](Impl& impl, Attempt& attempt) noexcept { return set_reference_price(impl, attempt, instrument, price); });
}

namespace {

/// The kill switch has the deadline of facts (protocol.md 4).
Verdict change_state(Registry::Days& days, core::StateRequest request) noexcept {
    return days.call([&](Registry::Impl& impl, Attempt& attempt) noexcept {
        return impl.request_within(
            attempt, impl.config.fact_timeout_ns, EventType::state_changed, {}, AccountId::none,
            [&](const core::Caller& who, core::Decision& out) { core::decide_state(impl.state, who, request, out); });
    });
}

}  // namespace

Verdict Registry::halt(const Scope& scope, TradingState state, std::string_view reason) noexcept {
    const segment::Inside inside;
    return change_state(*days_, {days_->now().state.geometry.row_of(scope), state, false, false, reason});
}

Verdict Registry::resume(const Scope& scope, TradingState state, std::string_view reason) noexcept {
    const segment::Inside inside;
    return change_state(*days_, {days_->now().state.geometry.row_of(scope), state, true, false, reason});
}

Verdict Registry::release_unreconciled(std::string_view reason) noexcept {
    const segment::Inside inside;
    return change_state(*days_, {days_->now().state.geometry.firm_row(), TradingState::active, true, true, reason});
}

Verdict Registry::set_clock(std::string_view reason) noexcept {
    return days_->call([&](Impl& impl, Attempt& attempt) noexcept {
        return impl.request_within(
            attempt, impl.config.fact_timeout_ns, EventType::clock_set, {}, AccountId::none,
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
    return days.call([&](Registry::Impl& impl, Attempt& attempt) noexcept {
        const core::Caller who = impl.now(attempt);
        const ReasonOr reason(request.reason, who.uid);
        const core::LimitsRequest asked{impl.state.geometry.row_of(scope), request.limits, request.fields, reason.text()};
        return impl.settle(impl.locked(attempt, impl.config.request_timeout_ns, Refused::denied, [&] {
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
        for (const core::Limit& limit : core::kLimits)
            if (limit.member == use.limit) return (fields >> core::index_of(limit.id) & 1U) != 0;
        return false;
    };
    for (const LimitUse& use : reader().uses(reader().exposure(scope)))
        if (named(use) && (change.after.*use.limit).kind == LimitValue::Kind::value) change.uses.push_back(use);
    return verdict;
}

Verdict Registry::approve(std::uint64_t request) noexcept {
    return days_->call([&](Impl& impl, Attempt& attempt) noexcept {
        return impl.request_within(
            attempt, impl.config.fact_timeout_ns, EventType::state_changed, {}, AccountId::none,
            [&](const core::Caller& who, core::Decision& out) { core::decide_approve(impl.state, who, request, out); });
    });
}

Verdict Registry::restrict(const Scope& scope, const Restriction& entry) noexcept {
    const segment::Inside inside;
    core::RestrictionRequest request;
    request.row = days_->now().state.geometry.row_of(scope);
    request.sides =
        static_cast<std::uint8_t>((entry.buy ? unsigned{kRestrictBuy} : 0U) | (entry.sell ? unsigned{kRestrictSell} : 0U));
    request.from_ns = entry.from_ns;
    request.to_ns = entry.to_ns;
    return days_->call([&](Impl& impl, Attempt& attempt) noexcept {
        const ReasonOr reason(entry.reason, impl.caller.uid);
        request.reason = reason.text();
        return impl.request(
            attempt, EventType::restricted_changed, {}, AccountId::none,
            [&](const core::Caller& who, core::Decision& out) { core::decide_restriction(impl.state, who, request, out); });
    });
}

Verdict Registry::load_position(AccountId account, StrategyId strategy, InstrumentId instrument, Quantity quantity, Price price,
                                std::string_view text) noexcept {
    const segment::Inside inside;
    core::PositionRequest request;
    request.account = static_cast<std::uint16_t>(account);
    request.strategy =
        strategy == StrategyId::none ? days_->now().state.external_strategy() : static_cast<std::uint16_t>(strategy);
    request.instrument = static_cast<std::uint32_t>(instrument);
    request.quantity = quantity.value;
    request.price = price.value;
    request.text = text;
    return days_->call([&](Impl& impl, Attempt& attempt) noexcept {
        return impl.request_within(
            attempt, impl.config.fact_timeout_ns, EventType::position_loaded, {}, account,
            [&](const core::Caller& who, core::Decision& out) { core::decide_position(impl.state, who, request, out); });
    });
}

Verdict Registry::load_order(StrategyId strategy, const OrderRequest& order) noexcept {
    return days_->call([&](Impl& impl, Attempt& attempt) noexcept {
        return impl.request_within(attempt, impl.config.fact_timeout_ns, EventType::registered, order.id, order.account,
                                   [&](core::Caller who, core::Decision& out) {
                                       who.strategy = static_cast<std::uint16_t>(strategy);
                                       core::decide_load_order(impl.state, who, core::prepare(impl.state, who, order), out);
                                   });
    });
}

Verdict Registry::begin_send(AccountId account, std::string_view id) const noexcept {
    return days_->call([&](Impl& impl, const Attempt&) noexcept {
        if (!impl.in_attached_process()) return refusal(Refused::denied, DenyReason::not_attached);
        const bool ready = core::is_in(impl.state, SegmentState::ready);
        if (!ready) return refusal(Refused::denied, is_rolled(impl.state) ? kDayEnded : DenyReason::poisoned);
        if (!impl.is_current_session()) return refusal(Refused::denied, DenyReason::fenced);
        return core::decide_begin_send(impl.state, impl.caller, static_cast<std::uint16_t>(account), id);
    });
}

}  // namespace riskreg
