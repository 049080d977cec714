// Looking without a lock: everything that `Reader` offers.
#include <algorithm>
#include <cstring>

#include "core/audit.hpp"
#include "core/book.hpp"
#include "core/copy.hpp"
#include "core/decide.hpp"
#include "core/meter.hpp"
#include "core/order_view.hpp"
#include "core/scopes.hpp"
#include "core/value.hpp"
#include "persist/event_json.hpp"
#include "persist/recovery.hpp"
#include "registry/claims.hpp"
#include "registry/names.hpp"
#include "registry/reader_impl.hpp"
#include "registry/roll.hpp"
#include "registry/row_views.hpp"
#include "segment/robust_mutex.hpp"
#include "segment/state_lock.hpp"

namespace riskreg {

using namespace layout;

Reader::Reader(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

Reader Reader::open(const std::string& name, const std::string& state_dir) {
    auto impl = std::make_unique<Impl>();
    impl->own.emplace(registry::attach_reader(name, state_dir));
    return Reader(std::move(impl));
}

namespace {

template <class Records>
std::vector<std::string> names_of(const Records* records, std::uint32_t count) {
    std::vector<std::string> names;
    for (std::uint32_t i = 0; i < count; ++i) names.emplace_back(records[i].id.view());
    return names;
}

template <class Records>
std::string name_at(const Records* records, std::uint32_t count, std::uint32_t index) {
    return index < count ? std::string(records[index].id.view()) : std::string();
}

}  // namespace

InstrumentId Reader::instrument(std::string_view id) const noexcept {
    const Looking look(*impl_);
    return look.usable() ? core::find_instrument(look.state(), id) : InstrumentId::none;
}
AccountId Reader::account(std::string_view id) const noexcept {
    const Looking look(*impl_);
    return look.usable() ? core::find_account(look.state(), id) : AccountId::none;
}
StrategyId Reader::strategy(std::string_view id) const noexcept {
    const Looking look(*impl_);
    return look.usable() ? core::find_strategy(look.state(), id) : StrategyId::none;
}

std::string Reader::name(InstrumentId id) const {
    const Looking look(*impl_);
    return name_at(look.state().instrument_records, look.state().geometry.instruments, static_cast<std::uint32_t>(id));
}
std::string Reader::name(AccountId id) const {
    const Looking look(*impl_);
    return name_at(look.state().account_records, look.state().geometry.accounts, static_cast<std::uint32_t>(id));
}
std::string Reader::name(StrategyId id) const {
    const Looking look(*impl_);
    return name_at(look.state().strategy_records, look.state().geometry.strategies, static_cast<std::uint32_t>(id));
}
std::vector<std::string> Reader::instruments() const {
    const Looking look(*impl_);
    return names_of(look.state().instrument_records, look.state().geometry.instruments);
}
std::vector<std::string> Reader::accounts() const {
    const Looking look(*impl_);
    return names_of(look.state().account_records, look.state().geometry.accounts);
}
std::vector<std::string> Reader::strategies() const {
    const Looking look(*impl_);
    return names_of(look.state().strategy_records, look.state().geometry.strategies - 1);
}
Scope Reader::scope(std::string_view text) const noexcept {
    const Looking look(*impl_);
    return look.usable() ? core::parse_scope(look.state(), text) : Scope{};
}
std::string Reader::name(const Scope& scope) const {
    const Looking look(*impl_);
    return core::format_scope(look.state(), scope);
}

OnDeath Reader::on_death(StrategyId strategy) const noexcept {
    const Looking look(*impl_);
    const auto index = static_cast<std::uint32_t>(strategy);
    const bool configured = look.usable() && index < look.state().external_strategy();
    return configured ? look.state().strategy_records[index].on_death : OnDeath::leave;
}

AccountId Reader::only_account(StrategyId strategy) const noexcept {
    const Looking look(*impl_);
    const auto index = static_cast<std::uint32_t>(strategy);
    if (!look.usable() || index >= look.state().external_strategy()) return AccountId::none;
    const StrategyRecord& record = look.state().strategy_records[index];
    return record.account_count == 1 ? AccountId{record.only_account} : AccountId::none;
}

namespace {

/// A process whose death nobody has written down yet is dead all the same: the kernel says so.
void view_of_order(const core::State& state, std::uint32_t slot, OrderView& view) {
    core::view_order(state, slot, view);
    const auto strategy = static_cast<std::uint32_t>(view.strategy);
    if (!is_live(view.base) || strategy >= state.geometry.strategies) return;
    const StrategyState latest = state.strategies[strategy].state.read();
    const bool attached = latest.status == layout::SessionStatus::attached && latest.session < state.geometry.sessions;
    if (attached && segment::RobustMutex::owner_died_hint(state.sessions[latest.session].mutex))
        view.flags = static_cast<OrderFlags>(view.flags | kOrphaned);
}

}  // namespace

bool Reader::find(AccountId account, std::string_view id, OrderView& out) const {
    const Looking look(*impl_);
    if (!look.usable()) return false;
    const core::State& state = look.state();
    const std::uint32_t head = core::find_head(state, static_cast<std::uint16_t>(account), id);
    if (head >= state.geometry.orders) return false;
    view_of_order(state, head, out);
    return true;
}

void Reader::orders(const std::function<bool(const OrderView&)>& visit) const {
    const Looking look(*impl_);
    const core::State& state = look.state();
    const std::uint64_t ids = std::min<std::uint64_t>(load_acquire(state.log->next_order), state.geometry.orders);
    OrderView view;
    for (std::uint32_t slot = 0; slot < ids; ++slot) {
        // A slot that was taken and is not published yet has no version of its own.
        if (state.orders[slot].state.read().seq <= kGenesis || state.orders[slot].identity.kind != SlotKind::order) continue;
        view_of_order(state, slot, view);
        if (!visit(view)) return;
    }
}

namespace {

/// False while the slot is taken and not published yet.
bool view_execution(const core::State& state, std::uint64_t slot, ExecutionView& out) {
    const ExecutionSlot& shared = state.executions[slot];
    if (load_acquire(shared.identity.seq) == 0) return false;
    ExecutionIdentity identity{};
    copy_words_out(identity, shared.identity);
    if (identity.order_slot >= state.geometry.orders) return false;
    OrderIdentity order{};
    copy_words_out(order, state.orders[identity.order_slot].identity);
    const ExecutionState booked = shared.state.read();
    out.account = AccountId{order.account};
    out.instrument = InstrumentId{order.instrument};
    out.order_id = order.id.view();
    out.exec_id = identity.id.view();
    out.side = order.side;
    out.price.value = booked.price;
    out.quantity.value = booked.quantity;
    out.time_ns = identity.time_ns;
    out.busted = booked.status == ExecutionStatus::busted;
    out.corrected = booked.status == ExecutionStatus::corrected;
    return true;
}

/// False unless a fill was kept there.
bool view_quarantined(const core::State& state, std::uint64_t slot, ExecutionView& out) {
    const QuarantineSlot& shared = state.quarantine[slot];
    if (load_acquire(shared.seq) == 0) return false;
    QuarantineSlot kept{};
    copy_words_out(kept, shared);
    if (kept.event_type != static_cast<std::uint8_t>(EventType::filled)) return false;
    out.account = AccountId{kept.account};
    out.instrument = InstrumentId{kept.instrument};
    out.order_id = kept.order_id.view();
    out.exec_id = kept.exec_id.view();
    out.side = kept.side;
    out.price.value = kept.price;
    out.quantity.value = kept.quantity;
    out.time_ns = kept.time_ns;
    out.quarantined = true;
    return true;
}

}  // namespace

void Reader::executions(const std::function<bool(const ExecutionView&)>& visit) const {
    const Looking look(*impl_);
    const core::State& state = look.state();
    const auto booked = std::min<std::uint64_t>(load_acquire(state.log->next_execution), state.geometry.executions);
    const auto kept = std::min<std::uint64_t>(load_acquire(state.log->next_quarantine), state.geometry.quarantine);
    for (std::uint64_t i = 0; i < booked + kept; ++i) {
        ExecutionView view;
        const bool there = i < booked ? view_execution(state, i, view) : view_quarantined(state, i - booked, view);
        if (there && !visit(view)) return;
    }
}

namespace {

void add_value(const RowValue& value, ExposureView& view) {
    view.priced = (value.flags & kPriced) != 0;
    view.mark.value = value.mark;
    view.gross_value.value = value.gross_value;
    view.net_value.value = value.net_value;
    view.pnl.value = core::pnl_of(value);
    view.peak_pnl.value = value.peak;
}

ExposureView exposure_of_row(const core::State& state, std::uint32_t row) {
    const RowCounters counters = state.rows[row].counters.read();
    const RowControl control = state.rows[row].control.read();
    const RowDay day = state.rows_cold[row].day.read();
    const RowLatch latch = state.rows_cold[row].latch.read();
    const RowRiskLimits risk_limits = state.rows_risk[row].limits.read();
    ExposureView view;
    view.scope = state.geometry.scope_of(row);
    view.position.value = counters.position;
    view.open_buy_quantity.value = counters.open_buy_quantity;
    view.open_sell_quantity.value = counters.open_sell_quantity;
    view.open_buy_notional.value = counters.open_buy_notional;
    view.open_sell_notional.value = counters.open_sell_notional;
    view.working_buy = counters.working_buy;
    view.working_sell = counters.working_sell;
    view.bought_today.value = day.bought_quantity;
    view.sold_today.value = day.sold_quantity;
    view.bought_notional_today.value = day.bought_notional;
    view.sold_notional_today.value = day.sold_notional;
    view.saturated = ((counters.flags | day.flags) & kRowSaturated) != 0;
    view.state = control.state;
    view.unreconciled = (control.flags & kUnreconciled) != 0;
    view.state_reason.assign(latch.reason.text, std::min<std::size_t>(latch.reason.size, sizeof latch.reason.text));
    view.state_uid = latch.uid;
    view.state_changed_ns = latch.changed_ns;
    view.limits = core::limits_of(control, risk_limits);
    view.start_position.value = day.start_position;
    view.restricted = (control.flags & kRestricted) != 0;
    add_value(state.rows_risk[row].value.read(), view);
    registry::add_effective(state, row, view);
    if ((control.set & kHasMessageLimits) == 0) return view;
    view.messages_in_window = core::messages_in_window(state, row, false, segment::boottime_ns());
    view.all_messages_in_window = core::messages_in_window(state, row, true, segment::boottime_ns());
    return view;
}

}  // namespace

ExposureView Reader::exposure(const Scope& scope) const {
    const Looking look(*impl_);
    const std::uint32_t row = look.state().geometry.row_of(scope);
    if (row == kNoSlot) throw Error(Errc::bad_input, "no such scope");
    return exposure_of_row(look.state(), row);
}

std::vector<LimitUse> Reader::uses(const ExposureView& row) const {
    const Looking look(*impl_);
    if (look.state().geometry.row_of(row.scope) == kNoSlot) throw Error(Errc::bad_input, "no such scope");
    return registry::uses_of(look.state(), row);
}

std::vector<LimitUse> Reader::uses(const ExposureView& row, const ExposureView& of_instrument) const {
    const Looking look(*impl_);
    if (of_instrument.scope.instrument == InstrumentId::none) throw Error(Errc::bad_input, "no scope of an instrument");
    return registry::uses_of(look.state(), row, of_instrument);
}

void Reader::exposures(const std::function<bool(const ExposureView&)>& visit) const {
    const Looking look(*impl_);
    for (std::uint32_t row = 0; row < look.state().geometry.rows(); ++row)
        if (!visit(exposure_of_row(look.state(), row))) return;
}

namespace {

std::string text_of(const Reason& reason) { return {reason.text, std::min<std::size_t>(reason.size, sizeof reason.text)}; }

/// Calls `visit` with every live order that is published: slot, identity, state.
template <class Visit>
void each_live(const core::State& state, Visit visit) {
    const std::uint64_t ids = std::min<std::uint64_t>(load_acquire(state.log->next_order), state.geometry.orders);
    for (std::uint32_t slot = 0; slot < ids; ++slot) {
        const OrderState order = state.orders[slot].state.read();
        if (order.seq <= kGenesis || !is_live(order.base)) continue;
        OrderIdentity identity{};
        copy_words_out(identity, state.orders[slot].identity);
        if (identity.kind == SlotKind::order) visit(slot, identity, order);
    }
}

}  // namespace

std::vector<std::string> Reader::crossing_orders(const OrderRequest& request) const {
    const Looking look(*impl_);
    const core::State& state = look.state();
    const auto instrument = static_cast<std::uint32_t>(request.instrument);
    core::PricedOrder incoming{
        instrument, request.side,          request.type, request.price.has_value(), request.stop_price.has_value(), 0,
        0,          request.quantity.value};
    if (request.price) incoming.price = request.price->value;
    core::BookKey key = 0;
    std::vector<std::string> ids;
    const bool known = instrument < state.geometry.instruments && request.side != Side::none;
    if (!known || !core::is_sound(state.instrument_records[instrument]) || !core::incoming_key(state, incoming, key))
        return ids;
    const bool whole_firm = state.has_setting(kSelfMatchFirm);
    each_live(state, [&](std::uint32_t, const OrderIdentity& i, const OrderState& order) {
        const bool other = i.instrument == instrument && i.side != request.side;
        if (!other || (!whole_firm && AccountId{i.account} != request.account)) return;
        const core::BookKeys resting = core::keys_of(state, {i.instrument, i.side, i.type, order.base, order.flags,
                                                             order.cum_quantity, order.price, order.pending_price});
        const bool crosses =
            std::any_of(resting.keys.begin(), resting.keys.begin() + static_cast<std::ptrdiff_t>(resting.size),
                        [&](core::BookKey own) { return request.side == Side::buy ? key >= own : key <= own; });
        if (crosses && order.last_alias < state.geometry.orders)
            ids.emplace_back(state.orders[order.last_alias].identity.id.view());
    });
    return ids;
}

std::vector<OrderView> Reader::list_open(const Scope& scope) const {
    const Looking look(*impl_);
    const core::State& state = look.state();
    const std::uint32_t row = state.geometry.row_of(scope);
    if (row == kNoSlot) throw Error(Errc::bad_input, "no such scope");
    std::vector<OrderView> open;
    each_live(state, [&](std::uint32_t slot, const OrderIdentity& i, const OrderState&) {
        const core::RowSet rows = core::rows_of(state.geometry, i.account, i.strategy, i.instrument);
        if (std::find(rows.begin(), rows.end(), row) == rows.end()) return;
        // It may have ended since.
        OrderView view = core::view_order(state, slot);
        if (is_live(view.base)) open.push_back(std::move(view));
    });
    return open;
}

std::vector<RestrictionView> Reader::restrictions() const {
    const Looking look(*impl_);
    const core::State& state = look.state();
    std::vector<RestrictionView> views;
    for (std::uint32_t slot = 0; slot < state.geometry.restrictions; ++slot) {
        const RestrictionRecord entry = state.restrictions[slot].state.read();
        if (entry.sides == 0 || entry.row >= state.geometry.rows()) continue;
        views.push_back({state.geometry.scope_of(entry.row), (entry.sides & kRestrictBuy) != 0,
                         (entry.sides & kRestrictSell) != 0, entry.from_ns, entry.to_ns, text_of(entry.reason)});
    }
    return views;
}

std::vector<ApprovalView> Reader::approvals() const {
    const Looking look(*impl_);
    const core::State& state = look.state();
    std::vector<ApprovalView> views;
    for (std::uint32_t slot = 0; slot < kApprovals; ++slot) {
        const ApprovalRecord a = state.approvals[slot].state.read();
        if (a.status == ApprovalStatus::none || a.row >= state.geometry.rows()) continue;
        views.push_back({a.request, state.geometry.scope_of(a.row), a.state, a.unreconciled != 0,
                         a.status == ApprovalStatus::approved, a.status == ApprovalStatus::open && core::is_obsolete(state, a),
                         a.uid, text_of(a.reason), a.verified != 0});
    }
    std::sort(views.begin(), views.end(), [](const ApprovalView& a, const ApprovalView& b) { return a.request < b.request; });
    return views;
}

std::vector<SessionView> Reader::sessions() const {
    const Looking look(*impl_);
    const core::State& state = look.state();
    std::vector<SessionView> views;
    for (std::uint32_t slot = 0; slot < state.geometry.sessions; ++slot) {
        const SessionSlot& shared = state.sessions[slot];
        const SessionRecord record = shared.record.read();
        if (record.status == layout::SessionStatus::free) continue;
        SessionView view;
        view.slot = slot;
        view.generation = record.generation;
        view.strategy = name(StrategyId{record.strategy});
        view.status = static_cast<riskreg::SessionStatus>(record.status);
        const bool gone = segment::RobustMutex::owner_died_hint(shared.mutex);
        if (record.status == layout::SessionStatus::attached && gone) view.status = riskreg::SessionStatus::dead;
        view.pid = record.pid;
        view.uid = record.uid;
        view.attached_ns = record.attached_ns;
        view.ended_ns = record.ended_ns;
        view.accepted = load_relaxed(shared.accepted);
        view.denied = load_relaxed(shared.denied);
        view.denied_unlogged = load_relaxed(shared.denied_unlogged);
        view.facts = load_relaxed(shared.facts);
        views.push_back(std::move(view));
    }
    return views;
}

namespace {

void read_log(const core::State& state, StatusView& view) {
    view.committed = load_acquire(state.log->committed);
    view.applied = load_acquire(state.log->applied);
    view.journaled = load_relaxed(state.marks->journaled);
    view.durable = load_relaxed(state.marks->durable);
    view.checkpointed = load_relaxed(state.marks->checkpointed);
    view.repairs = load_relaxed(state.status->repairs);
    view.redone = load_relaxed(state.status->redone);
    view.gaps = load_relaxed(state.host->gaps);
    view.ring_capacity = state.geometry.ring_events;
    view.ids_used = load_relaxed(state.log->next_order);
    view.orders_capacity = state.geometry.orders;
    view.executions_used = load_relaxed(state.log->next_execution);
    view.executions_capacity = state.geometry.executions;
    view.quarantined_records = load_relaxed(state.log->next_quarantine);
    view.quarantine_capacity = state.geometry.quarantine;
    view.quarantined_events = load_relaxed(state.status->quarantined_events);
}

constexpr std::int64_t kStoppedNs = 1'000'000'000;

std::string error_text(std::uint64_t number) {
    return number == 0 ? std::string() : persist::IoError{static_cast<int>(number)}.text();
}

/// How long event `seq` has waited; 0 when it is not there or no longer in the ring.
std::int64_t waited_ns(const core::State& state, std::uint64_t seq, std::uint64_t committed) noexcept {
    if (seq > committed) return 0;
    const EventHeader& header = state.ring_slot(seq).header;
    // The time is of this event when the slot is its own before and after: each look in order, on every processor.
    if (load_acquire(header.seq) != seq) return 0;
    const std::int64_t time = static_cast<std::int64_t>(load_relaxed(reinterpret_cast<const std::uint64_t&>(header.time_ns)));
    fence_acquire();
    if (load_relaxed(header.seq) != seq) return 0;
    return std::max<std::int64_t>(segment::realtime_ns() - time, 0);
}

void read_snapshotter(const core::State& state, StatusView& view) {
    const HostWords& host = *state.host;
    const bool held = segment::RobustMutex::holder_hint(segment::host_mutex_memory(state)) != 0 &&
                      !segment::RobustMutex::owner_died_hint(segment::host_mutex_memory(state));
    view.host_state = base::text_of(static_cast<HostState>(load_relaxed(host.state)), "unknown");
    view.host_pid = load_relaxed(host.pid);
    view.host_epoch = load_relaxed(host.epoch);
    const auto beat = static_cast<std::int64_t>(load_relaxed(state.marks->heartbeat_ns));
    // 0: nobody has journaled this day yet.
    view.host_silent_ns = beat == 0 ? 0 : segment::monotonic_ns() - beat;
    if (held) view.host_rank = name_of(static_cast<HostRank>(load_relaxed(host.rank)));
    if (!held) view.host_state = "none", view.host_pid = 0, view.host_silent_ns = 0;
    const registry::Claims::Waiter waiter = registry::Claims::waiting(state);
    view.waiter_pid = waiter.pid;
    if (waiter.pid != 0) view.waiter_rank = name_of(waiter.rank);
    if (held && view.host_silent_ns > kStoppedNs) view.host_state = "stopped";
    const auto fault = static_cast<Fault>(load_relaxed(host.fault));
    view.fault = fault == Fault::none ? std::string_view{} : base::text_of(fault, "unknown");
    view.fault_error = error_text(load_relaxed(host.fault_errno));
    view.fault_since_ns = view.fault.empty() ? 0 : static_cast<std::int64_t>(load_relaxed(host.fault_since_ns));
    view.fault_retries = load_relaxed(host.retries);
    view.gap_end = load_relaxed(host.gap_end);
    view.checkpoints = load_relaxed(host.checkpoints);
    view.checkpoint_ns = static_cast<std::int64_t>(load_relaxed(state.marks->checkpoint_ns));
    view.checkpoint_error = error_text(load_relaxed(host.checkpoint_fault_errno));
    view.alarms = load_relaxed(host.alarms);
    view.verified = load_relaxed(state.marks->verified);
    view.verifier_cycles = load_relaxed(state.marks->verifier_cycles);
    view.differences = load_relaxed(state.marks->differences);
    view.journal_bytes = load_relaxed(host.journal_bytes);
    view.recovered_seq = load_relaxed(state.header->recovered_seq);
    view.last_time_ns = static_cast<std::int64_t>(load_relaxed(state.log->last_time_ns));
    view.last_steady_ns = static_cast<std::int64_t>(load_relaxed(state.log->last_steady_ns));
    view.recovered_ns = static_cast<std::int64_t>(load_relaxed(state.status->recovered_ns));
    const auto lag = [&](std::uint64_t mark) { return view.committed > mark ? view.committed - mark : 0; };
    view.checkpoint_lag = lag(view.checkpointed);
    view.checkpoint_lag_ns = waited_ns(state, std::max(view.checkpointed, kGenesis) + 1, view.committed);
    if (!state.has_journal()) return;
    view.journal_lag = lag(view.journaled);
    view.durable_lag = view.backlog = lag(view.durable);
    view.journal_lag_ns = waited_ns(state, view.journaled + 1, view.committed);
    view.durable_lag_ns = waited_ns(state, view.durable + 1, view.committed);
}

std::string state_name(const StatusView& view, const ExposureView& firm) {
    if (view.poisoned) return "poisoned";
    if (firm.saturated) return std::string(name_of(TradingState::halted));
    if (firm.unreconciled && firm.state < TradingState::reducing_only) return "unreconciled";
    // Trading goes on as long as the ring has room; somebody has to know that the disk does not follow.
    const bool degraded = !view.fault.empty() || view.gap_end != 0;
    if (degraded && firm.state < TradingState::reducing_only) return "degraded";
    return std::string(name_of(firm.state));
}

}  // namespace

bool Reader::is_ready() const noexcept {
    const Looking look(*impl_);
    return look.usable() && core::is_in(look.state(), SegmentState::ready);
}

std::string_view name_of(ReaderEnd end) noexcept { return base::text_of(end, "unknown"); }

ReaderEnd Reader::ended() const noexcept {
    const Looking look(*impl_);
    if (!look.usable()) return ReaderEnd::replaced;
    switch (static_cast<SegmentState>(load_acquire(look.attachment().state.header->state))) {
        case SegmentState::rolled: return ReaderEnd::rolled;
        case SegmentState::poisoned: return ReaderEnd::poisoned;
        case SegmentState::destroyed: return ReaderEnd::destroyed;
        default: break;
    }
    // Bytes that were set aside, or removed behind everybody's back, say nothing of it themselves.
    return look.attachment().mapping.is_current() ? ReaderEnd::none : ReaderEnd::replaced;
}

std::uint64_t Reader::epoch() const {
    const Looking look(*impl_);
    return look.state().header->epoch;
}

StatusView Reader::status() const {
    const Looking look(*impl_);
    const core::State& state = look.state();
    StatusView view;
    read_log(state, view);
    read_snapshotter(state, view);
    const ExposureView firm = exposure_of_row(state, state.geometry.firm_row());
    view.name = look.attachment().name;
    view.segment = look.attachment().segment;
    const auto life = static_cast<SegmentState>(load_acquire(state.header->state));
    view.poisoned = life != SegmentState::ready && life != SegmentState::rolled;
    view.day = state.header->day;
    view.rolled_seq = state.header->rolled_seq;
    view.day_begun_ns = state.header->day_begun_ns;
    view.day_age_ns = registry::age_of_day(*state.header);
    view.rolled_uid = state.header->rolled_uid;
    view.min_day_s = state.header->min_day_s;
    view.draining = core::roll_phase(state) >= RollPhase::draining && core::is_in(state, SegmentState::ready);
    view.unreconciled = firm.unreconciled;
    view.state = state_name(view, firm);
    for (const SessionView& session : sessions()) {
        view.sessions_live += session.status == riskreg::SessionStatus::attached ? 1U : 0U;
        view.sessions_dead += session.status == riskreg::SessionStatus::dead ? 1U : 0U;
    }
    view.sessions_capacity = state.geometry.sessions;
    view.orders_live = static_cast<std::uint64_t>(firm.working_buy) + firm.working_sell;
    for (std::uint32_t slot = 0; slot < std::min<std::uint64_t>(view.ids_used, state.geometry.orders); ++slot)
        view.orders_total += state.orders[slot].identity.kind == SlotKind::order ? 1U : 0U;
    view.persistence = static_cast<PersistenceMode>(state.header->persistence);
    view.size_bytes = state.offsets.size_bytes;
    view.created_ns = state.header->created_ns;
    view.lock_holder_pid = segment::RobustMutex::holder_hint(segment::mutex_memory(state));
    return view;
}

namespace {

core::PrivateState require_copy(const core::State& state) {
    auto copy = core::copy_consistent(state);
    const bool poisoned = core::is_in(state, SegmentState::poisoned);
    if (!copy && poisoned)
        throw Error(Errc::damaged,
                    "the log is damaged (R3): there is no consistent copy to audit; the bytes are kept for inspection");
    if (!copy)
        throw Error(
            Errc::busy,
            "writers outran every attempt to copy the tables: audit again when it is quieter, or give the ring more events");
    return std::move(*copy);
}

}  // namespace

std::uint64_t Reader::digest() const {
    const Looking look(*impl_);
    return core::digest(require_copy(look.state()).state);
}

AuditView Reader::audit() const {
    const Looking look(*impl_);
    core::PrivateState copy = require_copy(look.state());
    AuditView view;
    view.seq = copy.state.log->applied;
    view.digest = core::digest(copy.state);
    core::AuditReport report = core::audit_live(look.state(), copy.state);
    view.violations = std::move(report.violations);
    view.orders = report.orders;
    view.live = report.live;
    view.ids = report.ids;
    view.executions = report.executions;
    view.quarantined = report.quarantined;
    view.rows = report.rows;
    view.complete = report.complete;
    return view;
}

std::string Reader::config_json() const {
    const Looking look(*impl_);
    return {look.state().config, look.state().geometry.config_bytes};
}

std::uint64_t Reader::oldest_event() const noexcept {
    const Looking look(*impl_);
    const core::State& state = look.state();
    const std::uint64_t committed = load_acquire(state.log->committed);
    const std::uint64_t ring = state.geometry.ring_events;
    // What a recovery applied went into the tables, not into the ring.
    const std::uint64_t first = std::max(load_relaxed(state.header->recovered_seq), kGenesis) + 1;
    return std::max(first, committed > ring ? committed - ring + 1 : 0);
}

namespace {

bool wants(const EventFilter& filter, const core::State& state, const Event& event) {
    const EventHeader& h = event.header;
    const auto& types = filter.types;
    if (!types.empty() && std::find(types.begin(), types.end(), persist::name_of(h.type)) == types.end()) return false;
    const std::uint32_t row = row_of(event);
    Scope about;
    about.account = AccountId{h.account};
    about.strategy = StrategyId{h.strategy};
    about.instrument = InstrumentId{h.instrument};
    if (row < state.geometry.rows()) about = state.geometry.scope_of(row);
    const auto fits = [](auto wanted, auto seen) { return wanted == decltype(wanted)::none || wanted == seen; };
    return fits(filter.account, about.account) && fits(filter.strategy, about.strategy) &&
           fits(filter.instrument, about.instrument);
}

}  // namespace

std::uint64_t Reader::journaled_events(std::uint64_t from, std::uint64_t upto,
                                       const std::function<bool(std::uint64_t, const std::string&)>& visit) const {
    return journaled_events(from, upto, EventFilter{}, visit);
}

std::uint64_t Reader::journaled_events(std::uint64_t from, std::uint64_t upto, const EventFilter& filter,
                                       const std::function<bool(std::uint64_t, const std::string&)>& visit) const {
    const Looking look(*impl_);
    persist::Directory directory;
    const std::string& path = look.attachment().lock.directory();
    if (const persist::IoError error = persist::Directory::open(path, directory))
        throw Error(Errc::permission, "cannot open " + path + ": " + error.text());
    const std::string config(look.state().config, look.state().geometry.config_bytes);
    const auto show = [&](const Event& event) {
        return !wants(filter, look.state(), event) || visit(event.header.seq, persist::event_to_json(look.state(), event));
    };
    return persist::read_events(directory, from, upto, show, persist::resolve_key({}, parse_config(config).key_file));
}

std::uint64_t Reader::events(std::uint64_t from, const std::function<bool(std::uint64_t, const std::string&)>& visit,
                             std::uint64_t* lost) const {
    return events(from, EventFilter{}, visit, lost);
}

std::uint64_t Reader::events(std::uint64_t from, const EventFilter& filter,
                             const std::function<bool(std::uint64_t, const std::string&)>& visit, std::uint64_t* lost) const {
    const Looking look(*impl_);
    const core::State& state = look.state();
    const std::uint64_t committed = load_acquire(state.log->committed);
    const std::uint64_t oldest = oldest_event();
    std::uint64_t seq = std::max(from, oldest);
    if (lost != nullptr) *lost = from != 0 && from < oldest ? oldest - std::max(from, kGenesis + 1) : 0;
    for (; seq <= committed; ++seq) {
        Event event;
        if (!core::read_event(state, seq, event)) {   // overwritten while we looked, or damaged
            if (lost != nullptr) ++*lost;
            continue;
        }
        if (wants(filter, state, event) && !visit(seq, persist::event_to_json(state, event))) return seq + 1;
    }
    return seq;
}

}  // namespace riskreg
