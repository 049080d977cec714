#include "core/audit.hpp"

#include <algorithm>

#include "base/decimal.hpp"
#include "base/stop.hpp"
#include "base/wide.hpp"
#include "core/decide_common.hpp"
#include "core/derived.hpp"
#include "core/genesis.hpp"
#include "core/index.hpp"
#include "core/order_view.hpp"
#include "core/scopes.hpp"

namespace riskreg::core {

using namespace layout;
using base::Int128;

namespace {

struct RowSum {
    Int128 position = 0, buy_quantity = 0, sell_quantity = 0, buy_notional = 0, sell_notional = 0;
    Int128 bought = 0, sold = 0, bought_notional = 0, sold_notional = 0;
    Int128 cash = 0;
    std::uint64_t working_buy = 0, working_sell = 0;
    bool reopened = false;   // an execution of another day was busted or corrected today
};

/// What the rows of single instruments add up to, for the row that spans them.
struct Total {
    Int128 gross = 0, net = 0, cash = 0, start_value = 0, start_position = 0;
    bool saturated = false;
};

Int128 size_of(Int128 value) noexcept { return value < 0 ? -value : value; }

class Auditor {
public:
    explicit Auditor(const State& state) : state_(state), sums_(state.geometry.rows()), totals_(state.geometry.rows()) {}

    AuditReport run() {
        check_records();
        // What is derived from records that are not right is not right either.
        if (state_.keeps_derived && report_.clean()) check_derived(state_, reporter());
        return finish();
    }

    /// `copy` is the state that this audits, and is brought up to `live`.
    AuditReport run_beside(const State& live, State& copy) {
        check_records();
        if (report_.clean()) report_.complete = check_derived(live, copy, reporter());
        return finish();
    }

private:
    void check_records() {
        check_log();
        check_entities();
        if (!report_.clean()) return;
        check_sessions();
        for (std::uint64_t slot = 0; slot < state_.log->next_order; ++slot) {
            base::stop_point(slot);
            check_slot(static_cast<std::uint32_t>(slot));
        }
        // Whose orders they are leads into the tables of sums: nothing can be summed up, or looked up, behind one that is nobody's.
        if (strangers_) return;
        check_executions();
        check_quarantine();
        check_rows();
        check_values();
        check_controls();
        check_budgets();
        check_index_counts();
    }

    std::function<void(const std::string&)> reporter() {
        return [this](const std::string& wrong) { violation(wrong); };
    }

    template <class... Parts>
    void violation(Parts&&... parts) {
        if (++found_ > kMaxViolations) return;
        std::string text;
        (text.append(to_text(parts)), ...);
        report_.violations.push_back(std::move(text));
    }
    static std::string to_text(const char* text) { return text; }
    static std::string to_text(const std::string& text) { return text; }
    static std::string to_text(std::string_view text) { return std::string(text); }
    static std::string to_text(std::uint64_t value) { return std::to_string(value); }
    static std::string to_text(std::uint32_t value) { return std::to_string(value); }
    static std::string to_text(Int128 value) {
        return base::fits_int64(value) ? std::to_string(static_cast<std::int64_t>(value)) : std::string("beyond 64 bits");
    }

    AuditReport finish() {
        if (found_ > kMaxViolations) report_.violations.push_back("and " + std::to_string(found_ - kMaxViolations) + " more");
        report_.rows = state_.geometry.rows();
        return std::move(report_);
    }

    void check_log() {
        const LogWords& log = *state_.log;
        // Tables that are still being made are not published: no magic yet.
        const bool published = !is_in(state_, SegmentState::creating);
        if (published && state_.header->magic != kMagic) violation("header: magic is damaged");
        if (log.applied != log.committed) violation("INV-3: applied ", log.applied, " differs from committed ", log.committed);
        if (log.next_order > state_.geometry.orders) violation("next_order ", log.next_order, " beyond the table");
        if (log.next_execution > state_.geometry.executions)
            violation("next_execution ", log.next_execution, " beyond the table");
        if (log.next_quarantine > state_.geometry.quarantine)
            violation("next_quarantine ", log.next_quarantine, " beyond the table");
    }

    /// What is read by every check, and written by nobody.
    void check_entities() {
        if (entities_changed(state_))
            violation("the records of instruments, accounts or strategies, the permissions or the configuration were changed");
    }

    /// The word that a session looks at with every call says what its record does.
    void check_sessions() {
        for (std::uint32_t slot = 0; slot < state_.geometry.sessions; ++slot) {
            const SessionRecord& record = state_.sessions[slot].record.newest();
            if (record.status == SessionStatus::free) continue;
            if (load_relaxed(state_.sessions[slot].word) != session_word(record.generation, record.status))
                violation("session ", slot, ": its word and its record do not agree");
        }
    }

    void check_slot(std::uint32_t slot) {
        const OrderIdentity& identity = state_.orders[slot].identity;
        ++report_.ids;
        if (!has_entities(state_, identity)) {
            strangers_ = true;
            return violation("order slot ", slot, ": unknown account, strategy or instrument");
        }
        if (find_order(state_, identity.account, identity.id, order_hash(identity.account, identity.id)).slot != slot)
            violation("order slot ", slot, ": the index does not lead to id ", identity.id.view());
        if (identity.kind == SlotKind::alias) return check_alias(slot, identity);
        if (identity.kind != SlotKind::order) return violation("order slot ", slot, ": neither order nor alias");
        check_order(slot, identity, state_.orders[slot].state.newest());
    }

    void check_alias(std::uint32_t slot, const OrderIdentity& identity) {
        const bool linked =
            identity.head < slot && identity.previous < slot && state_.orders[identity.head].identity.kind == SlotKind::order;
        if (!linked) violation("order slot ", slot, ": alias ", identity.id.view(), " has no head");
    }

    void check_order(std::uint32_t slot, const OrderIdentity& identity, const OrderState& order) {
        ++report_.orders;
        // Orders of the same content are a chain, newest first.
        const bool chained = (identity.flags & kContentIndexed) != 0 && identity.content_previous != kNoSlot;
        const auto wrong = [&](const char* what) { violation("order ", identity.id.view(), " (slot ", slot, "): ", what); };
        if (order.seq <= kGenesis) return wrong("has no version");
        if (chained && identity.content_previous >= slot) wrong("follows a later order of the same content");
        const bool live = is_live(order.base);
        const bool pending = (order.flags & kPendingReplace) != 0;
        report_.live += live ? 1 : 0;
        if (order.cum_quantity < 0) wrong("INV-4: cum below 0");
        if (!live && (order.flags & (kPendingCancel | kPendingReplace)) != 0) wrong("terminal with a pending request");
        if (!pending && order.pending_alias != kNoSlot) wrong("a pending id without a pending replace");
        const std::int64_t total = live ? (pending ? std::max(order.quantity, order.pending_quantity) : order.quantity)
                                        : std::min(order.reported_cum, order.quantity);
        const Int128 can_execute = std::max<Int128>(static_cast<Int128>(total) - order.cum_quantity, 0);
        if (order.reserved_quantity != can_execute) wrong("INV-4: reserved quantity is not what can still execute");
        const std::int64_t price =
            pending ? std::max(order.reserved_price, order.pending_reserved_price) : order.reserved_price;
        const InstrumentRecord& instrument = state_.instrument_records[identity.instrument];
        const auto notional =
            base::notional(price, order.reserved_quantity, {instrument.factor_numerator, instrument.factor_scale});
        if (order.reserved_notional != notional.value_or(base::kMaxInt64)) wrong("INV-4: reserved notional is not exact");
        add(identity, order, live, check_fills(slot, identity, order));
    }

    /// What the order executed today. One that was live before carries the rest of its cum in its rows' start positions.
    Int128 check_fills(std::uint32_t slot, const OrderIdentity& identity, const OrderState& order) {
        if ((order.flags & (kExecUnremembered | kSaturated)) != 0) {
            unremembered_ = true;
            return order.cum_quantity;
        }
        Int128 booked = 0, earlier = 0;
        std::uint64_t steps = 0;
        for (std::uint32_t e = order.last_execution; e != kNoSlot; ++steps) {
            if (e >= state_.log->next_execution || steps > state_.log->next_execution)
                return violation("order ", identity.id.view(), ": its chain of executions is broken"), order.cum_quantity;
            const ExecutionSlot& execution = state_.executions[e];
            if (execution.identity.order_slot != slot)
                return violation("order ", identity.id.view(), ": execution ", execution.identity.id.view(),
                                 " is another order's"),
                       order.cum_quantity;
            const ExecutionState& state = execution.state.newest();
            if (state.status == ExecutionStatus::booked) booked += state.quantity;
            if (state.status == ExecutionStatus::booked && is_of_another_day(execution)) earlier += state.quantity;
            e = execution.identity.previous;
        }
        const bool loaded = (identity.flags & kLoaded) != 0;
        if (loaded && booked <= order.cum_quantity) return booked - earlier;
        if (booked != order.cum_quantity)
            violation("INV-8: order ", identity.id.view(), ": cum is ", static_cast<Int128>(order.cum_quantity),
                      ", its executions sum to ", booked);
        return order.cum_quantity - earlier;
    }

    /// Of an order that a roll carried over: it counts for the day that it was booked in.
    bool is_of_another_day(const ExecutionSlot& execution) const noexcept {
        return execution.identity.seq <= state_.header->rolled_seq;
    }

    /// What it was at the start of the day is not kept once it has changed, so the totals of its rows cannot be recomputed:
    /// only that they agree with the positions.
    void note_reopened(const ExecutionSlot& execution) {
        if (execution.state.newest().seq <= state_.header->rolled_seq) return;
        const OrderIdentity& i = state_.orders[execution.identity.order_slot].identity;
        for (const std::uint32_t row : rows_of(state_.geometry, i.account, i.strategy, i.instrument))
            sums_[row].reopened = true;
    }

    void add(const OrderIdentity& identity, const OrderState& order, bool live, Int128 executed) {
        const bool buy = identity.side == Side::buy;
        for (const std::uint32_t row : rows_of(state_.geometry, identity.account, identity.strategy, identity.instrument)) {
            RowSum& sum = sums_[row];
            sum.position += buy ? executed : -executed;
            (buy ? sum.bought : sum.sold) += executed;
            (buy ? sum.buy_quantity : sum.sell_quantity) += order.reserved_quantity;
            (buy ? sum.buy_notional : sum.sell_notional) += order.reserved_notional;
            (buy ? sum.working_buy : sum.working_sell) += live ? 1U : 0U;
        }
    }

    void add_traded(const OrderIdentity& identity, std::int64_t price, std::int64_t quantity) {
        const InstrumentRecord& i = state_.instrument_records[identity.instrument];
        const auto notional = base::notional(price, quantity, {i.factor_numerator, i.factor_scale}).value_or(base::kMaxInt64);
        const bool buy = identity.side == Side::buy;
        const Int128 cash = buy == (price < 0) ? notional : -static_cast<Int128>(notional);
        for (const std::uint32_t row : rows_of(state_.geometry, identity.account, identity.strategy, identity.instrument)) {
            (buy ? sums_[row].bought_notional : sums_[row].sold_notional) += notional;
            sums_[row].cash += cash;
        }
    }

    void check_executions() {
        for (std::uint64_t e = 0; e < state_.log->next_execution; ++e) {
            base::stop_point(e);
            const ExecutionSlot& slot = state_.executions[e];
            ++report_.executions;
            if (slot.identity.order_slot >= state_.log->next_order) {
                violation("execution slot ", e, ": no such order");
                continue;
            }
            if (find_execution(state_, slot.identity.order_slot, slot.identity.id).slot != e)
                violation("execution slot ", e, ": the index does not lead to id ", slot.identity.id.view());
            const ExecutionState& state = slot.state.newest();
            if (is_of_another_day(slot)) note_reopened(slot);
            else if (state.status == ExecutionStatus::booked)
                add_traded(state_.orders[slot.identity.order_slot].identity, state.price, state.quantity);
        }
    }

    void check_quarantine() {
        for (std::uint64_t q = 0; q < state_.log->next_quarantine; ++q) {
            base::stop_point(q);
            const QuarantineSlot& slot = state_.quarantine[q];
            ++report_.quarantined;
            if (slot.booked == 0) continue;
            OrderIdentity as_order{};
            as_order.account = slot.account;
            as_order.strategy = state_.external_strategy();
            as_order.instrument = slot.instrument;
            as_order.side = slot.side;
            if (!has_entities(state_, as_order)) {
                violation("quarantine slot ", q, ": unknown account or instrument");
                continue;
            }
            add(as_order, OrderState{}, false, slot.quantity);
            add_traded(as_order, slot.price, slot.quantity);
        }
        // Events beyond a full table are booked without a record.
        if (state_.log->next_quarantine == state_.geometry.quarantine) unremembered_ = true;
    }

    void check_rows() {
        for (std::uint32_t row = 0; row < state_.geometry.rows(); ++row) {
            const RowCounters& c = state_.rows[row].counters.newest();
            const RowDay& d = state_.rows_cold[row].day.newest();
            if (((c.flags | d.flags) & kRowSaturated) != 0) continue;
            const RowSum& s = sums_[row];
            const auto compare = [&](const char* what, Int128 seen, Int128 computed) {
                if (seen != computed)
                    violation("INV-5: row ", format_scope(state_, state_.geometry.scope_of(row)), ": ", what, " is ", seen,
                              ", its orders sum to ", computed);
            };
            compare("open_buy_quantity", c.open_buy_quantity, s.buy_quantity);
            compare("open_sell_quantity", c.open_sell_quantity, s.sell_quantity);
            compare("open_buy_notional", c.open_buy_notional, s.buy_notional);
            compare("open_sell_notional", c.open_sell_notional, s.sell_notional);
            compare("working_buy", c.working_buy, s.working_buy);
            compare("working_sell", c.working_sell, s.working_sell);
            if (unremembered_) continue;
            if (s.reopened) {
                compare("position", c.position, static_cast<Int128>(d.start_position) + d.bought_quantity - d.sold_quantity);
                continue;
            }
            compare("position", c.position, s.position + d.start_position);
            compare("bought_quantity", d.bought_quantity, s.bought);
            compare("sold_quantity", d.sold_quantity, s.sold);
            compare("bought_notional", d.bought_notional, s.bought_notional);
            compare("sold_notional", d.sold_notional, s.sold_notional);
        }
    }

    /// Rows of one instrument first: what spans them is their sum.
    void check_values() {
        const Geometry& g = state_.geometry;
        for (std::uint32_t row = 0; row < g.rows(); ++row)
            if (total_row_of(g, row) != kNoSlot) check_worth(row), add_to_total(row);
        for (std::uint32_t row = 0; row < g.rows(); ++row) {
            check_result(row);
            if (total_row_of(g, row) == kNoSlot) check_total(row);
        }
    }

    void compare_value(std::uint32_t row, const char* what, Int128 seen, Int128 computed) {
        if (seen != computed)
            violation("INV-5: row ", format_scope(state_, state_.geometry.scope_of(row)), ": ", what, " is ", seen,
                      ", recomputed ", computed);
    }

    bool is_saturated(std::uint32_t row) const {
        return (state_.rows[row].counters.newest().flags & kRowSaturated) != 0 ||
               (state_.rows_risk[row].value.newest().flags & kValueSaturated) != 0;
    }

    /// |price| · quantity as a row holds it; what 64 bits cannot hold saturates, and says so in the row.
    Int128 worth(std::uint32_t row, std::int64_t price, Int128 quantity) const {
        const auto instrument = static_cast<std::uint32_t>(state_.geometry.scope_of(row).instrument);
        const InstrumentRecord& i = state_.instrument_records[instrument];
        const auto whole = static_cast<std::int64_t>(std::min<Int128>(quantity, base::kMaxInt64));
        return base::notional(price, whole, {i.factor_numerator, i.factor_scale}).value_or(base::kMaxInt64);
    }

    void check_worth(std::uint32_t row) {
        if (is_saturated(row)) return;
        const RowCounters& c = state_.rows[row].counters.newest();
        const RowValue& v = state_.rows_risk[row].value.newest();
        Int128 gross = 0, net = 0;
        if ((v.flags & kPriced) != 0) {
            const Int128 position = c.position;
            Int128 exposed = size_of(position);
            if (state_.has_setting(kGrossWorstCase))
                exposed = std::max(size_of(position + c.open_buy_quantity), size_of(-position + c.open_sell_quantity));
            gross = worth(row, v.mark, exposed);
            net = worth(row, v.mark, size_of(position));
            if ((v.mark < 0) != (position < 0)) net = -net;
        }
        compare_value(row, "gross_value", v.gross_value, gross);
        compare_value(row, "net_value", v.net_value, net);
    }

    void add_to_total(std::uint32_t row) {
        const RowValue& v = state_.rows_risk[row].value.newest();
        const RowDay& d = state_.rows_cold[row].day.newest();
        Total& total = totals_[total_row_of(state_.geometry, row)];
        total.gross += v.gross_value;
        total.net += v.net_value;
        total.cash += v.cash_flow;
        total.start_value += v.start_value;
        total.start_position += d.start_position;
        total.saturated |= is_saturated(row) || (d.flags & kRowSaturated) != 0;
    }

    void check_total(std::uint32_t row) {
        const Total& total = totals_[row];
        const RowDay& d = state_.rows_cold[row].day.newest();
        if (total.saturated || is_saturated(row) || (d.flags & kRowSaturated) != 0) return;
        const RowValue& v = state_.rows_risk[row].value.newest();
        compare_value(row, "gross_value", v.gross_value, total.gross);
        compare_value(row, "net_value", v.net_value, total.net);
        compare_value(row, "cash_flow", v.cash_flow, total.cash);
        compare_value(row, "start_value", v.start_value, total.start_value);
        compare_value(row, "start_position", d.start_position, total.start_position);
    }

    /// Cash is what the executions of today were paid; the best result of the day is never below the present one.
    void check_result(std::uint32_t row) {
        const RowValue& v = state_.rows_risk[row].value.newest();
        if ((v.flags & kValueSaturated) != 0) return;
        if (!unremembered_ && !sums_[row].reopened) compare_value(row, "cash_flow", v.cash_flow, sums_[row].cash);
        const Int128 pnl = static_cast<Int128>(v.cash_flow) + v.net_value - v.start_value;
        if (v.peak < 0 || (v.peak < pnl && base::fits_int64(pnl)))
            violation("INV-5: row ", format_scope(state_, state_.geometry.scope_of(row)), ": peak is ",
                      static_cast<Int128>(v.peak), ", the result of the day is ", pnl);
    }

    /// What a row's control says of other records: restricted, and which kinds of limits have a value.
    void check_controls() {
        std::vector<std::uint8_t> restricted(state_.geometry.rows());
        for (std::uint32_t i = 0; i < state_.geometry.restrictions; ++i) {
            const RestrictionRecord& entry = state_.restrictions[i].state.newest();
            if (entry.sides == 0) continue;
            if (entry.row >= state_.geometry.rows()) violation("restricted list, entry ", i, ": no such scope");
            else restricted[entry.row] = 1;
        }
        for (std::uint32_t row = 0; row < state_.geometry.rows(); ++row) {
            const RowControl& c = state_.rows[row].control.newest();
            const RowRiskLimits& limits = state_.rows_risk[row].limits.newest();
            const auto wrong = [&](const char* what) {
                violation("INV-5: row ", format_scope(state_, state_.geometry.scope_of(row)), ": ", what);
            };
            if (((c.flags & kRestricted) != 0) != (restricted[row] != 0))
                wrong("its control and the restricted list do not agree");
            if (((c.set ^ control_of(limits_of(c, limits)).set) & kRiskLimitKinds) != 0)
                wrong("its control and its limits do not agree");
        }
    }

    /// Each ring has one row, and was taken.
    void check_budgets() {
        const std::uint64_t taken = state_.status->next_budget_ring;
        if (taken > state_.geometry.budget_rings) return violation("next_budget_ring ", taken, " beyond the table");
        std::vector<std::uint8_t> owned(taken);
        for (std::uint32_t row = 0; row < state_.geometry.rows(); ++row) {
            const RowMeters& m = state_.rows_risk[row].meters.newest();
            for (const std::uint32_t ring : {m.messages_ring, m.all_ring}) {
                if (ring == kNoSlot) continue;
                if (ring >= taken || owned[ring] != 0)
                    violation("row ", format_scope(state_, state_.geometry.scope_of(row)), ": budget ring ", ring,
                              " is not its own");
                else owned[ring] = 1;
            }
        }
    }

    void check_index_counts() {
        const auto count = [](const std::uint64_t* words, std::uint32_t size) {
            return static_cast<std::uint64_t>(std::count_if(words, words + size, [](std::uint64_t w) { return w != 0; }));
        };
        const auto compare = [&](const char* what, std::uint64_t seen, std::uint64_t expected) {
            if (seen != expected) violation(what, " index holds ", seen, " words for ", expected, " slots");
        };
        compare("order", count(state_.order_index, state_.geometry.order_index), state_.log->next_order);
        compare("execution", count(state_.execution_index, state_.geometry.execution_index), state_.log->next_execution);
        compare("quarantine", count(state_.quarantine_index, state_.geometry.quarantine_index), state_.log->next_quarantine);
    }

    const State& state_;
    std::vector<RowSum> sums_;
    std::vector<Total> totals_;
    AuditReport report_;
    std::uint64_t found_ = 0;
    bool unremembered_ = false;
    bool strangers_ = false;  // orders of entities that there are not
};

}  // namespace

AuditReport audit(const State& state) { return Auditor(state).run(); }

AuditReport audit_live(const State& live, State& copy) { return Auditor(copy).run_beside(live, copy); }

}  // namespace riskreg::core
