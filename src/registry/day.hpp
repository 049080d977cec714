/// One trading day of one registration: its segment, its session, its part of the snapshotter. Internal to the registry layer.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fixed_id.hpp"
#include "core/decide.hpp"
#include "core/overlay.hpp"
#include "core/perform.hpp"
#include "registry/attachment.hpp"
#include "registry/attempt.hpp"
#include "registry/caller.hpp"
#include "registry/denial_gate.hpp"
#include "registry/session.hpp"
#include "registry/snapshotter.hpp"
#include "segment/process.hpp"
#include "segment/state_lock.hpp"

namespace riskreg::registry {

class Days;

[[nodiscard]] inline bool is_rolled(const core::State& state) noexcept {
    return core::is_in(state, layout::SegmentState::rolled);
}

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

/// One day's segment, and what this registration holds in it. What stands here is the way of every call: inline.
struct Day {
    Days& days;
    ProcessConfig config;
    Attachment attachment;
    core::State& state = attachment.state;
    core::Caller caller;  // without the time
    std::unique_ptr<Snapshotter> snapshotter;  // outlives the session: its last event is journaled, too
    std::unique_ptr<Session> session;
    DenialGate gate;  // under the registry's lock
    bool waits_for_disk = false;

    Day(Days& of, ProcessConfig process, Attachment attached)
        : days(of), config(std::move(process)), attachment(std::move(attached)) {
        caller.uid = segment::real_user_id();
    }
    /// In a forked child the session is the parent's (its thread is not here), and the kernel did not give us the mapping: both are left
    /// alone.
    ~Day();
    Day(const Day&) = delete;
    Day& operator=(const Day&) = delete;

    void require_durability();
    void host_snapshotter();
    void take_session(std::unique_ptr<Session> taken);
    /// For the threads of this day: true when they have nothing more to do.
    [[nodiscard]] std::function<bool()> on_rolled();

    [[nodiscard]] bool in_attached_process() const noexcept { return segment::fork_epoch() == attachment.fork_epoch; }
    [[nodiscard]] core::Caller now() const noexcept { return caller_now(caller); }
    [[nodiscard]] core::Caller now(Attempt& attempt) const noexcept {
        const core::Caller who = now();
        if (!attempt.again) [[likely]]
            attempt.begun_ns = who.steady_ns;
        return who;
    }
    [[nodiscard, gnu::always_inline]] bool is_current_session() const noexcept {
        return !session || layout::load_relaxed(state.sessions[caller.session].word) ==
                               layout::session_word(caller.generation, layout::SessionStatus::attached);
    }

    /// Outside the lock: an answer that is to survive power loss waits until all that it tells is on disk, and an answer
    /// without an event of its own may tell of another's (INV-9).
    Verdict settle(Verdict verdict) noexcept {
        if (!waits_for_disk) [[likely]]
            return verdict;
        const bool tells = verdict.seq != 0 || verdict.has_order || verdict.taken();
        if (!tells || !in_attached_process()) return verdict;
        const std::uint64_t seq = verdict.seq != 0 ? verdict.seq : layout::load_acquire(state.log->committed);
        const bool there = wait_durable(seq, config.durable_timeout_ns);
        verdict.durability = there ? Durability::durable : Durability::pending;
        return verdict;
    }

    /// Sequences go on from day to day: what the host of this one has not brought to the disk, that of the next one does.
    [[nodiscard]] bool wait_durable(std::uint64_t seq, std::int64_t timeout_ns) noexcept;

    /// Runs `critical` under the lock, with the right to change the tables, or says why not.
    template <class Critical>
    [[gnu::always_inline]] Verdict locked(Attempt& attempt, std::int64_t timeout_ns, Refused how, Critical critical) noexcept {
        if (!in_attached_process()) return refusal(how, DenyReason::not_attached);
        const segment::StateLock lock(state, attempt.left(timeout_ns), caller.session);
        if (!lock.inside()) [[unlikely]] {
            attempt.allowed_ns = timeout_ns;
            if (lock.entry() == segment::Entry::rolled) attempt.why = Again::day_ended;
            return refusal(how, lock.entry() == segment::Entry::poisoned ? DenyReason::poisoned : DenyReason::lock_timeout);
        }
        if (!is_current_session()) [[unlikely]]
            return refusal(how, DenyReason::fenced);
        if (core::is_braked(state)) [[unlikely]] {
            core::look_closer(state);
            if (core::roll_phase(state) == layout::RollPhase::held && !attempt.let_go) {
                attempt.why = Again::held;
                return refusal(how, DenyReason::lock_timeout);
            }
        }
        return critical(lock.exclusive());
    }

    /// Counts a refusal and, where the gate admits it, writes its event.
    void refuse(core::Exclusive tables, layout::EventType request, const core::NewOrder& order, const core::Caller& who,
                core::Decision& decision) noexcept;

    [[gnu::always_inline]] Verdict register_locked(core::Exclusive tables, const core::Caller& who,
                                                   const core::NewOrder& order) noexcept {
        core::Decision decision(tables);
        core::decide_register(state, who, order, nullptr, decision);
        if (decision.commit) [[likely]] {
            core::perform(tables, decision);
            if (session) layout::count_up(state.sessions[caller.session].accepted);
        } else if (decision.verdict.reason != DenyReason::draining) {
            refuse(tables, layout::EventType::registered, order, who, decision);
        }
        return decision.verdict;
    }

    void register_each(core::Exclusive tables, const core::Caller& who, Batch& batch) noexcept;
    /// All are decided, each with those before it counted in; then one store commits them all, or nothing happened.
    void register_together(core::Exclusive tables, const core::Caller& who, Batch& batch) noexcept;
    void refuse_together(core::Exclusive tables, const core::Caller& who, Batch& batch, std::size_t guilty) noexcept;

    /// Requests about an order, and control: decide, then perform or refuse.
    template <class Decide>
    Verdict request(Attempt& attempt, layout::EventType type, std::string_view id, AccountId account, Decide decide) noexcept {
        return request_within(attempt, config.request_timeout_ns, type, id, account, decide);
    }
    template <class Decide>
    Verdict request_within(Attempt& attempt, std::int64_t timeout_ns, layout::EventType type, std::string_view id,
                           AccountId account, Decide decide) noexcept {
        const core::Caller who = now(attempt);
        return settle(locked(attempt, timeout_ns, Refused::denied, [&](core::Exclusive tables) {
            core::Decision decision(tables);
            decide(who, decision);
            if (decision.commit) {
                core::perform(tables, decision);
            } else if (decision.verdict.reason != DenyReason::draining) {
                core::NewOrder named;
                named.id = base::make_id(id);
                named.account = static_cast<std::uint16_t>(account);
                refuse(tables, type, named, who, decision);
            }
            return decision.verdict;
        }));
    }
};

}  // namespace riskreg::registry
