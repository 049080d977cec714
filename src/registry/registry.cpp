// The public facade: lock → decide → append → apply, for every call (src/README.md "Life of one order").
#include "riskreg/registry.hpp"

#include <algorithm>
#include <cstdio>

#include "registry/days.hpp"
#include "registry/durable.hpp"
#include "registry/roll.hpp"

namespace riskreg {

using namespace layout;

namespace {

using registry::Again;
using registry::Attempt;
using registry::Batch;
using registry::Day;
using registry::Days;
using registry::is_rolled;
using registry::refusal;
using registry::Refused;

}  // namespace

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
    if (Day& day = days_->now(); day.snapshotter) day.snapshotter->reopen_log();
}

Registry Registry::open(const std::string& name, const ProcessConfig& config) {
    const std::int64_t deadline = segment::monotonic_ns() + config.attach_timeout_ns;
    for (;;) {
        auto days = std::make_unique<Days>();
        try {
            days->begin(name, config);
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
    return days_->reader();
}
StrategyId Registry::strategy() const noexcept {
    const segment::Inside inside;
    return StrategyId{days_->now().caller.strategy};
}

Verdict Registry::check_and_register(const OrderRequest& request) noexcept {
    // Inline although it stands in two places, here and behind the end of a day: it is the way that every order takes.
    return days_->call([&](Day & day, Attempt & attempt) __attribute__((always_inline)) {
        if (!day.in_attached_process()) return refusal(Refused::denied, DenyReason::not_attached);
        // The loads start first; reading the clock hides a part of their way.
        const core::NewOrder order = core::prepare(day.state, day.caller, request);
        // Not while another has the lock: it is about to write the very lines, and would have to fetch them back.
        const bool alone = segment::RobustMutex::is_free_hint(segment::mutex_memory(day.state));
        if (alone) core::prefetch(day.state, order);
        const core::Caller who = day.now(attempt);
        if (alone) core::prefetch_controls(day.state, who, order);
        return day.settle(day.locked(attempt, day.config.request_timeout_ns, Refused::denied,
                                     [&](core::Exclusive tables) { return day.register_locked(tables, who, order); }));
    });
}

namespace {

std::vector<Verdict> register_all(Day& day, Attempt& attempt, std::span<const OrderRequest> requests, bool all_or_none) {
    if (!day.in_attached_process()) return {requests.size(), refusal(Refused::denied, DenyReason::not_attached)};
    if (requests.empty()) return {};
    if (requests.size() > core::BatchOverlay::kMaxOrders)
        return {requests.size(), refusal(Refused::denied, DenyReason::capacity)};
    const core::Caller who = day.now(attempt);
    Batch batch(requests.size());
    for (const OrderRequest& request : requests) batch.orders.push_back(core::prepare(day.state, who, request));
    const Verdict outcome = day.locked(attempt, day.config.request_timeout_ns, Refused::denied, [&](core::Exclusive tables) {
        // Each by itself: what was accepted must not come again, so all of them wait first.
        const bool waits = !all_or_none && !attempt.last && core::roll_phase(day.state) >= RollPhase::draining;
        if (waits) return refusal(Refused::denied, DenyReason::draining);
        all_or_none ? day.register_together(tables, who, batch) : day.register_each(tables, who, batch);
        Verdict done;
        done.result = Result::ok;
        return done;
    });
    if (outcome.result != Result::ok) std::fill(batch.answers.begin(), batch.answers.end(), outcome);
    // The last one first: when it is on disk, all are.
    for (auto answer = batch.answers.rbegin(); answer != batch.answers.rend(); ++answer) *answer = day.settle(*answer);
    return std::move(batch.answers);
}

}  // namespace

std::vector<Verdict> Registry::register_batch(std::span<const OrderRequest> requests, bool all_or_none) {
    return days_->call([&](Day& day, Attempt& attempt) { return register_all(day, attempt, requests, all_or_none); });
}

Verdict Registry::replace_requested(const ReplaceRequest& request) noexcept {
    return days_->call([&](Day& day, Attempt& attempt) noexcept {
        return day.request(
            attempt, EventType::replace_requested, request.id, request.account,
            [&](const core::Caller& who, core::Decision& out) { core::decide_replace(day.state, who, request, out); });
    });
}

/// A cancel takes risk away: it has the deadline of facts.
Verdict Registry::cancel_requested(AccountId account, std::string_view id) noexcept {
    return days_->call([&](Day& day, Attempt& attempt) noexcept {
        return day.request_within(attempt, day.config.fact_timeout_ns, EventType::cancel_requested, id, account,
                                  [&](const core::Caller& who, core::Decision& out) {
                                      core::decide_cancel(day.state, who, static_cast<std::uint16_t>(account), id, out);
                                  });
    });
}

Verdict Registry::aborted(AccountId account, std::string_view id) noexcept {
    return days_->call([&](Day& day, Attempt& attempt) noexcept {
        return day.request(attempt, EventType::aborted, id, account, [&](const core::Caller& who, core::Decision& out) {
            core::decide_abort(day.state, who, static_cast<std::uint16_t>(account), id, out);
        });
    });
}

Verdict Registry::report(const VenueReport& fact) noexcept {
    return days_->call([&](Day& day, Attempt& attempt) noexcept {
        if (!day.in_attached_process()) return refusal(Refused::not_booked, DenyReason::not_attached);
        const core::Caller who = day.now(attempt);
        return day.settle(day.locked(attempt, day.config.fact_timeout_ns, Refused::not_booked, [&](core::Exclusive tables) {
            core::Decision decision(tables);
            core::decide_fact(day.state, who, fact, decision);
            if (decision.commit) {
                core::perform(tables, decision);
                if (day.session) count_up(day.state.sessions[who.session].facts);
            } else if (decision.verdict.reason == DenyReason::poisoned) {
                segment::poison(day.state);
                return refusal(Refused::not_booked, DenyReason::poisoned);
            }
            return decision.verdict;
        }));
    });
}

bool Registry::wait_durable(std::uint64_t seq, std::int64_t timeout_ns) const noexcept {
    const segment::Inside inside;
    Day& day = days_->now();
    return day.in_attached_process() && day.wait_durable(seq, timeout_ns);
}

bool Registry::checkpoint(std::int64_t timeout_ns) noexcept {
    const segment::Inside inside;
    Day& day = days_->today();
    if (!day.in_attached_process()) return false;
    if (registry::request_checkpoint(day.state, timeout_ns)) return true;
    return is_rolled(day.state) && registry::request_checkpoint(days_->today().state, timeout_ns);
}

bool Registry::waits_for_disk() const noexcept {
    const segment::Inside inside;
    return days_->now().waits_for_disk;
}
bool Registry::is_hosting() const noexcept {
    const segment::Inside inside;
    const Day& day = days_->now();
    return day.snapshotter && day.snapshotter->is_hosting();
}

Verdict Registry::roll(std::string_view reason) { return roll(reason, 0); }

Verdict Registry::roll(std::string_view reason, std::uint64_t day) {
    const segment::Inside inside;
    Day& today = days_->today();
    if (!today.in_attached_process()) return refusal(Refused::denied, DenyReason::not_attached);
    if (!today.is_current_session()) return refusal(Refused::denied, DenyReason::fenced);
    const Verdict verdict = registry::roll(today.attachment, today.now(), {reason, day}, today.config.fact_timeout_ns);
    static_cast<void>(days_->today());
    return verdict.result == Result::ok ? today.settle(verdict) : verdict;
}

namespace {

Verdict set_reference_price(Day& day, Attempt& attempt, InstrumentId instrument, Price price) noexcept {
    const auto index = static_cast<std::uint32_t>(instrument);
    if (!day.in_attached_process()) return refusal(Refused::denied, DenyReason::not_attached);
    if (index >= day.state.geometry.instruments) return refusal(Refused::denied, DenyReason::unknown_instrument);
    if (!day.session) return refusal(Refused::denied, DenyReason::unknown_strategy);
    const core::Caller who = day.now(attempt);
    // Under the lock: a writer that was stopped, fenced and replaced must never meet its successor in the cell.
    const Verdict verdict = day.locked(attempt, day.config.request_timeout_ns, Refused::denied, [&](core::Exclusive tables) {
        core::Decision decision(tables);
        ReferenceCell& cell = day.state.references[index];
        const ReferenceOwner& owner = cell.owner.newest();
        const bool ours = owner.session == who.session && owner.generation == who.generation;
        decision.verdict.result = Result::ok;
        core::check_reference_price(day.state, index, price, decision);
        if (decision.verdict.result != Result::ok) return decision.verdict;
        if (!ours) core::decide_reference_owner(day.state, who, index, decision);
        if (decision.commit) core::perform(tables, decision);
        // Nothing was committed: for readers the price of another thread before this one is then ordered by nothing else.
        fence_release();
        if (decision.verdict.result == Result::ok)
            cell.price.store(cell.price.newest().seq + 1, {0, price.value, who.steady_ns, who.now_ns, who.generation});
        return decision.verdict;
    });
    // Only the change of owner is an event; the price itself never touches the log.
    return verdict.seq != 0 ? day.settle(verdict) : verdict;
}

}  // namespace

Verdict Registry::reference_price(InstrumentId instrument, Price price) noexcept {
    return days_->call(
        [&](Day& day, Attempt& attempt) noexcept { return set_reference_price(day, attempt, instrument, price); });
}

namespace {

/// The kill switch has the deadline of facts (protocol.md 4).
Verdict change_state(Days& days, core::StateRequest request) noexcept {
    return days.call([&](Day& day, Attempt& attempt) noexcept {
        return day.request_within(
            attempt, day.config.fact_timeout_ns, EventType::state_changed, {}, AccountId::none,
            [&](const core::Caller& who, core::Decision& out) { core::decide_state(day.state, who, request, out); });
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
    return days_->call([&](Day& day, Attempt& attempt) noexcept {
        return day.request_within(
            attempt, day.config.fact_timeout_ns, EventType::clock_set, {}, AccountId::none,
            [&](const core::Caller& who, core::Decision& out) { core::decide_clock(day.state, who, reason, out); });
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

Verdict change_limits(Days& days, const Scope& scope, core::LimitsRequest request, LimitsChange* change) noexcept {
    return days.call([&](Day& day, Attempt& attempt) noexcept {
        const core::Caller who = day.now(attempt);
        const ReasonOr reason(request.reason, who.uid);
        const core::LimitsRequest asked{day.state.geometry.row_of(scope), request.limits, request.fields, reason.text()};
        return day.settle(day.locked(attempt, day.config.request_timeout_ns, Refused::denied, [&](core::Exclusive tables) {
            core::Decision decision(tables);
            core::FollowUps more;
            if (change != nullptr) change->before = limits_in(day.state, asked.row);
            core::decide_limits(day.state, who, asked, decision, more);
            if (decision.commit) core::perform(tables, decision, more);
            if (change != nullptr) change->after = limits_in(day.state, asked.row);
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
    return days_->call([&](Day& day, Attempt& attempt) noexcept {
        return day.request_within(
            attempt, day.config.fact_timeout_ns, EventType::state_changed, {}, AccountId::none,
            [&](const core::Caller& who, core::Decision& out) { core::decide_approve(day.state, who, request, out); });
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
    return days_->call([&](Day& day, Attempt& attempt) noexcept {
        const ReasonOr reason(entry.reason, day.caller.uid);
        request.reason = reason.text();
        return day.request(
            attempt, EventType::restricted_changed, {}, AccountId::none,
            [&](const core::Caller& who, core::Decision& out) { core::decide_restriction(day.state, who, request, out); });
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
    return days_->call([&](Day& day, Attempt& attempt) noexcept {
        return day.request_within(
            attempt, day.config.fact_timeout_ns, EventType::position_loaded, {}, account,
            [&](const core::Caller& who, core::Decision& out) { core::decide_position(day.state, who, request, out); });
    });
}

Verdict Registry::load_order(StrategyId strategy, const OrderRequest& order) noexcept {
    return days_->call([&](Day& day, Attempt& attempt) noexcept {
        return day.request_within(attempt, day.config.fact_timeout_ns, EventType::registered, order.id, order.account,
                                  [&](core::Caller who, core::Decision& out) {
                                      who.strategy = static_cast<std::uint16_t>(strategy);
                                      core::decide_load_order(day.state, who, core::prepare(day.state, who, order), out);
                                  });
    });
}

Verdict Registry::begin_send(AccountId account, std::string_view id) const noexcept {
    return days_->call([&](Day& day, Attempt& attempt) noexcept {
        if (!day.in_attached_process()) return refusal(Refused::denied, DenyReason::not_attached);
        if (!core::is_in(day.state, SegmentState::ready)) {
            const bool rolled = is_rolled(day.state);
            if (rolled) attempt.why = Again::day_ended;
            return refusal(Refused::denied, rolled ? DenyReason::lock_timeout : DenyReason::poisoned);
        }
        if (!day.is_current_session()) return refusal(Refused::denied, DenyReason::fenced);
        return core::decide_begin_send(day.state, day.caller, static_cast<std::uint16_t>(account), id);
    });
}

}  // namespace riskreg
