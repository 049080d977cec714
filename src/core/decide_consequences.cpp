// What events bring about: breakers, loss limits, a mark that breaches a limit.
#include <charconv>
#include <cstring>

#include "core/decide_common.hpp"
#include "core/meter.hpp"
#include "core/value.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

/// State changes that one event brings about: at most one for each row, the most severe.
class Consequences {
public:
    Consequences(const State& state, const EventHeader& cause, FollowUps& out) noexcept
        : state_(state), cause_(cause), out_(out) {}

    void raise(std::uint32_t row, TradingState to, DenyReason why, std::int64_t observed, std::int64_t limit,
               Unit unit) noexcept {
        TradingState now = state_.rows[row].control.newest().state;
        // The event itself may reduce the firm.
        const bool reduces = row == state_.geometry.firm_row() && (cause_.flags & kFirmReducing) != 0;
        if (reduces) now = std::max(now, TradingState::reducing_only);
        if (now >= to) return;
        StateEvent* event = find(row);
        if (event != nullptr && event->state >= to) return;
        if (event == nullptr) {
            if (out_.size == FollowUps::kMost) return;
            event = &out_.add().state;
        }
        *event = StateEvent{};
        event->header =
            header_of(EventType::state_changed, {cause_.time_ns, cause_.steady_ns, cause_.flags & kClockAhead}, Caller{});
        event->header.session = cause_.session;
        event->header.generation = cause_.generation;
        event->header.result = Result::ok;
        event->row = row;
        event->state = to;
        event->previous = now;
        if (cause_.session < state_.geometry.sessions) event->uid = state_.sessions[cause_.session].record.newest().uid;
        write_reason(event->reason, why, observed, limit, unit);
    }

private:
    StateEvent* find(std::uint32_t row) noexcept {
        for (std::size_t i = 0; i < out_.size; ++i)
            if (out_.events[i].header.type == EventType::state_changed && out_.events[i].state.row == row)
                return &out_.events[i].state;
        return nullptr;
    }

    static void write_text(Reason& to, std::string_view text) noexcept {
        const std::size_t size = std::min(text.size(), sizeof to.text - to.size);
        std::memcpy(to.text + to.size, text.data(), size);
        to.size = static_cast<std::uint8_t>(to.size + size);
    }
    /// Amounts of money in whole units and six digits; counts as they are.
    static void write_amount(Reason& to, std::int64_t value, Unit unit) noexcept {
        char digits[32];
        const std::uint64_t size = base::magnitude(value);
        if (value < 0) write_text(to, "-");
        const std::uint64_t whole = unit == Unit::money ? size / 1'000'000U : size;
        write_text(to, {digits, static_cast<std::size_t>(std::to_chars(digits, digits + sizeof digits, whole).ptr - digits)});
        std::uint64_t rest = unit == Unit::money ? size % 1'000'000U : 0;
        if (rest == 0) return;
        char fraction[6];
        std::size_t used = sizeof fraction;
        for (std::size_t i = sizeof fraction; i-- > 0; rest /= 10) fraction[i] = static_cast<char>('0' + rest % 10);
        while (fraction[used - 1] == '0') --used;
        write_text(to, ".");
        write_text(to, {fraction, used});
    }
    static void write_reason(Reason& to, DenyReason why, std::int64_t observed, std::int64_t limit, Unit unit) noexcept {
        to = Reason{};
        write_text(to, why == DenyReason::none ? breaker_name(unit) : name_of(why));
        write_text(to, ": observed ");
        write_amount(to, observed, unit);
        write_text(to, ", limit ");
        write_amount(to, limit, unit);
    }
    static std::string_view breaker_name(Unit unit) noexcept {
        return limit_of(unit == Unit::executions ? LimitId::max_same_direction : LimitId::max_rejects).name;
    }

    const State& state_;
    const EventHeader& cause_;
    FollowUps& out_;
};

/// How an event changes money and values of its six rows.
struct MoneyChange {
    RowSet rows{};
    const ValueDelta* delta = nullptr;
    std::int64_t cash = 0;
};

void judge_loss(const State& state, std::uint32_t row, std::int64_t cash, std::int64_t net, Consequences& out) noexcept {
    if (row == kNoSlot || (state.rows[row].control.newest().set & kHasValueLimits) == 0) return;
    const RowValue& value = state.rows_risk[row].value.newest();
    const std::int64_t pnl = pnl_of(value, cash, net == kNoFit ? 0 : net);
    const LossBreach breach = loss_breach(state.rows_risk[row].limits.newest(), pnl, value.peak);
    if (breach.reason == DenyReason::none) return;
    out.raise(row, on_loss(state), breach.reason, breach.observed, breach.limit, Unit::money);
}

void judge_losses(const State& state, const MoneyChange& change, Consequences& out) noexcept {
    for (std::size_t k = 0; k < kRowsPerOrder; ++k)
        judge_loss(state, change.rows[k], change.cash, change.delta->net[k % kPairs], out);
}

/// The limit may stand on any covering scope; it holds for strategy × instrument.
void judge_breaker(const State& state, const LifeEvent& event, Consequences& out) noexcept {
    const EventHeader& h = event.header;
    const Breaker what = event.after.breaker;
    const BreakerSlot* slot = breaker_of(state, h.strategy, h.instrument);
    if (what == Breaker::none || slot == nullptr) return;
    const RowSet rows = rows_of(state.geometry, h.account, h.strategy, h.instrument);
    for (const std::uint32_t row : rows) {
        if ((state.rows[row].control.newest().set & kHasBreakers) == 0) continue;
        const RowRiskLimits& limits = state.rows_risk[row].limits.newest();
        const std::uint32_t limit = what == Breaker::rejects ? limits.max_rejects : limits.max_same_direction;
        if (limit == kUnlimitedCount || !breaks(*slot, what, limit, 1'000'000LL * limits.window_ms, h.steady_ns)) continue;
        const Unit unit = what == Breaker::rejects ? Unit::messages : Unit::executions;
        return out.raise(rows[kStrategyInstrumentRow], TradingState::halted, DenyReason::none, limit + 1LL, limit, unit);
    }
}

/// A move of the mark may breach a limit: working orders stay, the scope is warned or reduces.
void judge_mark(const State& state, std::uint32_t row, const MarkedEvent& event, Consequences& out) noexcept {
    judge_loss(state, row, 0, event.net, out);
    if ((state.rows[row].control.newest().set & kHasValueLimits) == 0 || event.gross == kNoFit || event.net == kNoFit) return;
    const RowRiskLimits& limits = state.rows_risk[row].limits.newest();
    const RowValue& value = state.rows_risk[row].value.newest();
    const RowCounters& c = state.rows[row].counters.newest();
    using base::Int128;
    Holdings<Int128> after = holdings_of<Int128>(c, value, RowDay{}, state.has_setting(kGrossWorstCase));
    after.gross += event.gross;
    after.net += event.net;
    const TradingState to = state.has_setting(kMarkBreachReduces) ? TradingState::reducing_only : TradingState::warn;
    for (const LimitId id : {LimitId::max_gross_notional, LimitId::max_net_notional}) {
        const Limit& limit = limit_of(id);
        const std::int64_t bound = bound_of(limit, RowControl{}, limits);
        const Int128 used = *use_of(id, after);
        if (!is_broken(limit, used, bound)) continue;
        out.raise(row, to, limit.reason, base::narrowed(used), bound, limit.unit);
    }
}

}  // namespace

bool may_have_consequences(const Event& event) noexcept {
    if ((event.header.flags & kNoChange) != 0) return false;
    switch (event.header.type) {
        case EventType::filled:
        case EventType::correct: return event.life.after.numbers == LifeNumbers::fill;
        case EventType::bust: return event.life.after.numbers == LifeNumbers::trade;
        case EventType::rejected: return event.life.after.breaker != Breaker::none;
        case EventType::quarantined: return event.quarantine.booked != 0;
        case EventType::marked: return true;
        default: return false;
    }
}

void decide_consequences(const State& state, const Event& event, FollowUps& more) noexcept {
    Consequences out(state, event.header, more);
    const EventHeader& h = event.header;
    const auto rows = [&] { return rows_of(state.geometry, h.account, h.strategy, h.instrument); };
    switch (h.type) {
        case EventType::marked:
            judge_mark(state, event.marked.row, event.marked, out);
            return judge_mark(state, event.marked.total_row, event.marked, out);
        case EventType::quarantined: {
            const QuarantineEvent& q = event.quarantine;
            return judge_losses(state, {rows(), &q.values, cash_flow_of(h.side, q.price, q.delta.traded_notional)}, out);
        }
        default:
            judge_breaker(state, event.life, out);
            if (h.type == EventType::rejected) return;
            return judge_losses(state, {rows(), &event.life.values, event.life.third}, out);
    }
}

void decide_loss(const State& state, const Caller& caller, std::uint32_t row, Decision& out) noexcept {
    if (row >= state.geometry.rows()) return deny(state, DenyReason::invalid_field, out);
    const EventHeader cause = header_of(state, EventType::none, caller);
    FollowUps change;
    Consequences consequences(state, cause, change);
    judge_loss(state, row, 0, 0, consequences);
    if (change.size == 0) return deny(state, DenyReason::not_allowed, {row, 0, 0, Unit::none}, out);
    StateEvent event = change.events[0].state;
    event.uid = caller.uid;
    out.write(event);
    out.verdict.result = Result::ok;
    out.commit = true;
}

void decide_found_loss(const State& state, const Caller& caller, const Decision& refused, FollowUps& more) noexcept {
    const bool loss = refused.verdict.reason == DenyReason::daily_loss || refused.verdict.reason == DenyReason::drawdown;
    if (!loss) return;
    const EventHeader cause = header_of(state, EventType::denied, caller);
    Consequences out(state, cause, more);
    out.raise(state.geometry.row_of(refused.verdict.scope), on_loss(state), refused.verdict.reason, refused.verdict.observed,
              refused.verdict.limit, Unit::money);
}

}  // namespace riskreg::core
