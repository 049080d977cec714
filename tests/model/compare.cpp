#include "model/compare.hpp"

#include <algorithm>
#include <sstream>

#include "core/audit.hpp"
#include "core/decide.hpp"
#include "core/index.hpp"
#include "core/order_view.hpp"
#include "model/command.hpp"

namespace riskreg::test {

namespace {

/// Collects what differs, by name, as text.
class Differences {
public:
    explicit Differences(std::string where) : where_(std::move(where)) {}
    void compare(const char* what, std::int64_t core, std::int64_t model) {
        if (core != model) text_ << "  " << where_ << ' ' << what << ": core " << core << ", model " << model << '\n';
    }
    template <class T>
        requires std::is_enum_v<T>
    void compare(const char* what, T core, T model) {
        compare(what, static_cast<std::int64_t>(core), static_cast<std::int64_t>(model));
    }
    void compare(const char* what, const std::string& core, const std::string& model) {
        if (core != model) text_ << "  " << where_ << ' ' << what << ": core " << core << ", model " << model << '\n';
    }
    [[nodiscard]] std::string text() const { return text_.str(); }

private:
    std::string where_;
    std::ostringstream text_;
};

std::string join(const std::vector<std::string>& ids) {
    std::string text;
    for (const std::string& id : ids) text += id + ' ';
    return text;
}

bool is_restricted(const model::Model& model, const Scope& scope) {
    const auto& list = model.restricted();
    return std::any_of(list.begin(), list.end(),
                       [&](const auto& entry) { return std::get<0>(entry.first) == model::key_of(scope); });
}

std::uint64_t packed_levels(const model::Row& row) {
    std::uint64_t levels = 0;
    for (std::size_t i = 0; i < row.alert_levels.size(); ++i) levels |= std::uint64_t{row.alert_levels[i]} << 2 * i;
    return levels;
}

void compare_risk(Differences& d, const layout::RowRisk& risk, const model::Row& row) {
    const layout::RowValue& value = risk.value.newest();
    const layout::RowMeters& meters = risk.meters.newest();
    d.compare("priced", (value.flags & layout::kPriced) != 0, row.mark.has_value());
    d.compare("marked", (value.flags & layout::kMarked) != 0, row.marked);
    d.compare("mark", value.mark, row.mark.value_or(0));
    d.compare("gross_value", value.gross_value, row.gross_value);
    d.compare("net_value", value.net_value, row.net_value);
    d.compare("cash_flow", value.cash_flow, row.cash_flow);
    d.compare("start_value", value.start_value, row.start_value);
    d.compare("peak", value.peak, row.peak);
    d.compare("value saturated", (value.flags & layout::kValueSaturated) != 0, 0);
    d.compare("messages", static_cast<std::int64_t>(meters.messages), static_cast<std::int64_t>(row.messages.size()));
    d.compare("all_messages", static_cast<std::int64_t>(meters.all_messages),
              static_cast<std::int64_t>(row.all_messages.size()));
    d.compare("alert levels", static_cast<std::int64_t>(risk.alerts.newest().levels),
              static_cast<std::int64_t>(packed_levels(row)));
}

std::string differences(const core::State& state, const model::Model& model, std::uint32_t index) {
    const Scope scope = state.geometry.scope_of(index);
    const model::Row& row = model.row(scope);
    const layout::RowCounters& counters = state.rows[index].counters.newest();
    const layout::RowControl& control = state.rows[index].control.newest();
    const layout::RowDay& day = state.rows_cold[index].day.newest();
    Differences d(text_of(scope));
    d.compare("position", counters.position, row.position);
    d.compare("open_buy_quantity", counters.open_buy_quantity, row.open_buy_quantity);
    d.compare("open_sell_quantity", counters.open_sell_quantity, row.open_sell_quantity);
    d.compare("open_buy_notional", counters.open_buy_notional, row.open_buy_notional);
    d.compare("open_sell_notional", counters.open_sell_notional, row.open_sell_notional);
    d.compare("working_buy", counters.working_buy, row.working_buy);
    d.compare("working_sell", counters.working_sell, row.working_sell);
    d.compare("bought_quantity", day.bought_quantity, row.bought_quantity);
    d.compare("sold_quantity", day.sold_quantity, row.sold_quantity);
    d.compare("bought_notional", day.bought_notional, row.bought_notional);
    d.compare("sold_notional", day.sold_notional, row.sold_notional);
    d.compare("start_position", day.start_position, row.start_position);
    d.compare("saturated", static_cast<std::int64_t>(counters.flags | day.flags), 0);
    d.compare("state", control.state, row.state);
    d.compare("unreconciled", (control.flags & layout::kUnreconciled) != 0, row.unreconciled);
    d.compare("restricted", (control.flags & layout::kRestricted) != 0, is_restricted(model, scope));
    const layout::RowLatch& latch = state.rows_cold[index].latch.newest();
    const std::int64_t told_ns = row.told_at == 0 ? 0 : model.stamps().at(row.told_at - 1).label.time_ns;
    d.compare("time of the state", latch.changed_ns, told_ns);
    d.compare("state before", latch.previous, row.told_before);
    compare_risk(d, state.rows_risk[index], row);
    const Limits limits = core::limits_of(control, state.rows_risk[index].limits.newest());
    if (limits != row.limits) d.compare("limits", text_of(limits), text_of(row.limits));
    return d.text();
}

}  // namespace

std::string differences(const Verdict& core, const Verdict& model) {
    Differences d("answer");
    if (core.result == Result::denied || model.result == Result::denied)
        d.compare("scope", text_of(core.scope), text_of(model.scope));
    d.compare("result", std::string(name_of(core.result)), std::string(name_of(model.result)));
    d.compare("reason", std::string(name_of(core.reason)), std::string(name_of(model.reason)));
    d.compare("has_numbers", core.has_numbers, model.has_numbers);
    d.compare("observed", core.observed, model.observed);
    d.compare("limit", core.limit, model.limit);
    d.compare("unit", core.unit, model.unit);
    d.compare("has_order", core.has_order, model.has_order);
    d.compare("status", core.status, model.status);
    d.compare("flags", core.flags, model.flags);
    d.compare("cum", core.cum_quantity.value, model.cum_quantity.value);
    d.compare("leaves", core.leaves_quantity.value, model.leaves_quantity.value);
    d.compare("request", static_cast<std::int64_t>(core.request), static_cast<std::int64_t>(model.request));
    d.compare("crosses_own", core.crosses_own, model.crosses_own);
    d.compare("already", core.already, model.already);
    return d.text();
}

std::string differences(const core::State& state, const model::Model& model, const model::Order& order) {
    Differences d("order " + order.chain.front());
    const std::uint32_t slot = core::find_head(state, static_cast<std::uint32_t>(order.account), order.chain.back());
    if (slot == core::kNoSlot) return "  order " + order.chain.front() + " is not in the core\n";
    const OrderView view = core::view_order(state, slot);
    d.compare("chain", join(view.chain), join(order.chain));
    d.compare("venue_id", view.venue_id, order.venue_id);
    d.compare("account", view.account, order.account);
    d.compare("strategy", view.strategy, order.strategy);
    d.compare("instrument", view.instrument, order.instrument);
    d.compare("side", view.side, order.side);
    d.compare("type", view.type, order.type);
    d.compare("tif", view.tif, order.tif);
    d.compare("base", view.base, order.base);
    d.compare("status", view.status, model::Model::status_of(order));
    d.compare("flags", view.flags, model.flags_of(order));
    d.compare("has_price", view.has_price, order.registered_price.has_value());
    d.compare("has_stop_price", view.has_stop_price, order.stop_price.has_value());
    d.compare("price", view.price.value, order.price);
    d.compare("stop_price", view.stop_price.value, order.stop_price.value_or(0));
    d.compare("quantity", view.quantity.value, order.quantity);
    d.compare("cum", view.cum_quantity.value, order.cum);
    d.compare("leaves", view.leaves_quantity.value, model::Model::leaves_of(order));
    d.compare("reserved_quantity", view.reserved_quantity.value, order.reserved_quantity);
    d.compare("reserved_notional", view.reserved_notional.value, order.reserved_notional);
    d.compare("created_ns", view.created_ns, order.created_ns);
    d.compare("version", view.version, order.version);
    return d.text();
}

std::string differences(const core::State& state, const model::Model& model) {
    Differences d("log");
    d.compare("committed", static_cast<std::int64_t>(state.log->committed), static_cast<std::int64_t>(model.events() + 1));
    d.compare("next_order", static_cast<std::int64_t>(state.log->next_order), static_cast<std::int64_t>(model.ids_used()));
    d.compare("next_execution", static_cast<std::int64_t>(state.log->next_execution),
              static_cast<std::int64_t>(model.executions_used()));
    d.compare("next_quarantine", static_cast<std::int64_t>(state.log->next_quarantine),
              static_cast<std::int64_t>(model.quarantine_used()));
    d.compare("quarantined_events", static_cast<std::int64_t>(state.status->quarantined_events),
              static_cast<std::int64_t>(model.quarantined_events()));
    if (model.events() != 0) {
        d.compare("last_time", static_cast<std::int64_t>(state.log->last_time_ns), model.last_time_ns());
        d.compare("last_steady", static_cast<std::int64_t>(state.log->last_steady_ns), model.last_steady_ns());
        d.compare("lead", state.status->label_lead_ns, *model.best());
    }
    std::string text = d.text();
    for (std::uint32_t row = 0; row < state.geometry.rows(); ++row) text += differences(state, model, row);
    return text;
}

std::string stamp_differences(const core::State& state, const model::Model& model, std::uint64_t before) {
    std::string text;
    for (std::uint64_t i = before; i < model.events(); ++i) {
        const layout::EventHeader& header = state.ring_slot(layout::kGenesis + 1 + i).header;
        const model::Stamp& stamp = model.stamps()[i];
        Differences d("event " + std::to_string(header.seq));
        d.compare("seq", static_cast<std::int64_t>(header.seq), static_cast<std::int64_t>(layout::kGenesis + 1 + i));
        d.compare("time", header.time_ns, stamp.label.time_ns);
        d.compare("steady", header.steady_ns, stamp.steady_ns);
        d.compare("clock ahead", (header.flags & layout::kClockAhead) != 0, stamp.label.ahead);
        text += d.text();
    }
    if (state.log->committed != model.events() + layout::kGenesis) return text;
    Differences d("status");
    d.compare("clocks_ahead", static_cast<std::int64_t>(state.status->clocks_ahead),
              static_cast<std::int64_t>(model.ahead_events()));
    return text + d.text();
}

std::string full_differences(const core::State& state, const model::Model& model) {
    std::string text;
    for (const model::Order& order : model.orders()) text += differences(state, model, order);
    for (const std::string& violation : core::audit(state).violations) text += "  audit: " + violation + '\n';
    return text;
}

}  // namespace riskreg::test
