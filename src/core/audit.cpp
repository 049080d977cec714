#include "core/audit.hpp"

#include <algorithm>

#include "base/decimal.hpp"
#include "base/wide.hpp"
#include "core/genesis.hpp"
#include "core/index.hpp"
#include "core/order_view.hpp"

namespace riskreg::core {

using namespace layout;
using base::Int128;

namespace {

struct RowSum {
    Int128 position = 0, buy_quantity = 0, sell_quantity = 0, buy_notional = 0, sell_notional = 0;
    Int128 bought = 0, sold = 0, bought_notional = 0, sold_notional = 0;
    std::uint64_t working_buy = 0, working_sell = 0;
};

class Auditor {
public:
    explicit Auditor(const State& state) : state_(state), sums_(state.geometry.rows()) {}

    AuditReport run() {
        check_log();
        if (!report_.clean()) return finish();
        for (std::uint64_t slot = 0; slot < state_.log->next_order; ++slot) check_slot(static_cast<std::uint32_t>(slot));
        check_executions();
        check_quarantine();
        check_rows();
        check_index_counts();
        return finish();
    }

private:
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
        const bool published = state_.header->state != static_cast<std::uint64_t>(SegmentState::creating);
        if (published && state_.header->magic != kMagic) violation("header: magic is damaged");
        if (log.applied != log.committed) violation("INV-3: applied ", log.applied, " differs from committed ", log.committed);
        if (log.next_order > state_.geometry.orders) violation("next_order ", log.next_order, " beyond the table");
        if (log.next_execution > state_.geometry.executions)
            violation("next_execution ", log.next_execution, " beyond the table");
        if (log.next_quarantine > state_.geometry.quarantine)
            violation("next_quarantine ", log.next_quarantine, " beyond the table");
    }

    void check_slot(std::uint32_t slot) {
        const OrderIdentity& identity = state_.orders[slot].identity;
        ++report_.ids;
        const bool entities = identity.account < state_.geometry.accounts && identity.strategy < state_.geometry.strategies &&
                              identity.instrument < state_.geometry.instruments;
        if (!entities) return violation("order slot ", slot, ": unknown account, strategy or instrument");
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
        const auto wrong = [&](const char* what) { violation("order ", identity.id.view(), " (slot ", slot, "): ", what); };
        if (order.seq <= kGenesis) return wrong("has no version");
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
        check_fills(slot, identity, order);
        add(identity, order, live);
    }

    void check_fills(std::uint32_t slot, const OrderIdentity& identity, const OrderState& order) {
        if ((order.flags & (kExecUnremembered | kSaturated)) != 0) {
            unremembered_ = true;
            return;
        }
        Int128 booked = 0;
        std::uint64_t steps = 0;
        for (std::uint32_t e = order.last_execution; e != kNoSlot; ++steps) {
            if (e >= state_.log->next_execution || steps > state_.log->next_execution)
                return violation("order ", identity.id.view(), ": its chain of executions is broken");
            const ExecutionSlot& execution = state_.executions[e];
            if (execution.identity.order_slot != slot)
                return violation("order ", identity.id.view(), ": execution ", execution.identity.id.view(),
                                 " is another order's");
            const ExecutionState& state = execution.state.newest();
            if (state.status == ExecutionStatus::booked) booked += state.quantity;
            e = execution.identity.previous;
        }
        if (booked != order.cum_quantity)
            violation("INV-8: order ", identity.id.view(), ": cum is ", static_cast<Int128>(order.cum_quantity),
                      ", its executions sum to ", booked);
    }

    void add(const OrderIdentity& identity, const OrderState& order, bool live) {
        const bool buy = identity.side == Side::buy;
        for (const std::uint32_t row : rows_of(state_.geometry, identity.account, identity.strategy, identity.instrument)) {
            RowSum& sum = sums_[row];
            sum.position += buy ? order.cum_quantity : -static_cast<Int128>(order.cum_quantity);
            (buy ? sum.bought : sum.sold) += order.cum_quantity;
            (buy ? sum.buy_quantity : sum.sell_quantity) += order.reserved_quantity;
            (buy ? sum.buy_notional : sum.sell_notional) += order.reserved_notional;
            (buy ? sum.working_buy : sum.working_sell) += live ? 1U : 0U;
        }
    }

    void add_traded(const OrderIdentity& identity, std::int64_t price, std::int64_t quantity) {
        const InstrumentRecord& i = state_.instrument_records[identity.instrument];
        const auto notional = base::notional(price, quantity, {i.factor_numerator, i.factor_scale}).value_or(base::kMaxInt64);
        for (const std::uint32_t row : rows_of(state_.geometry, identity.account, identity.strategy, identity.instrument))
            (identity.side == Side::buy ? sums_[row].bought_notional : sums_[row].sold_notional) += notional;
    }

    void check_executions() {
        for (std::uint64_t e = 0; e < state_.log->next_execution; ++e) {
            const ExecutionSlot& slot = state_.executions[e];
            ++report_.executions;
            if (slot.identity.order_slot >= state_.log->next_order) {
                violation("execution slot ", e, ": no such order");
                continue;
            }
            if (find_execution(state_, slot.identity.order_slot, slot.identity.id).slot != e)
                violation("execution slot ", e, ": the index does not lead to id ", slot.identity.id.view());
            const ExecutionState& state = slot.state.newest();
            if (state.status == ExecutionStatus::booked)
                add_traded(state_.orders[slot.identity.order_slot].identity, state.price, state.quantity);
        }
    }

    void check_quarantine() {
        for (std::uint64_t q = 0; q < state_.log->next_quarantine; ++q) {
            const QuarantineSlot& slot = state_.quarantine[q];
            ++report_.quarantined;
            if (slot.booked == 0) continue;
            OrderIdentity as_order{};
            as_order.account = slot.account;
            as_order.strategy = state_.external_strategy();
            as_order.instrument = slot.instrument;
            as_order.side = slot.side;
            OrderState filled{};
            filled.cum_quantity = slot.quantity;
            add(as_order, filled, false);
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
            compare("position", c.position, s.position);
            compare("bought_quantity", d.bought_quantity, s.bought);
            compare("sold_quantity", d.sold_quantity, s.sold);
            compare("bought_notional", d.bought_notional, s.bought_notional);
            compare("sold_notional", d.sold_notional, s.sold_notional);
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
    AuditReport report_;
    std::uint64_t found_ = 0;
    bool unremembered_ = false;
};

}  // namespace

AuditReport audit(const State& state) { return Auditor(state).run(); }

}  // namespace riskreg::core
