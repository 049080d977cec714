// The model's two times: labels by the wall clock, windows and ages by one that cannot step; and what a recovery and a new
// day make of them.
#include <algorithm>

#include "model/model.hpp"
#include "model/parts.hpp"

namespace riskreg::model {

namespace {

constexpr std::int64_t kSecond = 1'000'000'000;   // a wall clock may be ahead by so much

/// In 64 bits, as far as they go: so the tables keep it, and the rule leaves it open. No clock is that far off.
std::int64_t lead_of(std::int64_t label_ns, std::int64_t steady_ns) { return clamp_to_64(Big(label_ns) - steady_ns); }

}  // namespace

std::int64_t Model::steady_of(const Moment& at) const { return std::max(at.steady_ns, last_steady_ns_); }

/// A clock is held against the most that any event has shown, not against the last one: who is behind takes nothing from
/// those after it.
Label Model::label_of(const Moment& at) const {
    if (!best_) return {at.now_ns};
    const std::int64_t gone_on = clamp_to_64(Big(steady_of(at)) + *best_);
    if (at.now_ns > believed_until(at)) return {std::max(last_time_ns_, gone_on), true};
    return {std::max(last_time_ns_, at.now_ns)};
}

std::int64_t Model::believed_until(const Moment& at) const {
    return best_ ? clamp_to_64(Big(steady_of(at)) + *best_ + kSecond) : kMax;
}

/// The next label is compared with these, and with nothing from before.
void Model::labels_begin_with(std::int64_t label_ns) {
    last_time_ns_ = label_ns;
    best_ = lead_of(label_ns, last_steady_ns_);
    stamps_.push_back({{label_ns}, last_steady_ns_});
}

/// One event: both its times, and an alarm where the clock was ahead, at most one a second.
void Model::happened(const Moment& at) {
    const Label label = label_of(at);
    last_steady_ns_ = steady_of(at);
    last_time_ns_ = label.time_ns;
    stamps_.push_back({label, last_steady_ns_});
    const std::int64_t shown = lead_of(last_time_ns_, last_steady_ns_);
    best_ = best_ ? std::max(*best_, shown) : shown;
    if (!label.ahead) return;
    ++ahead_events_;
    if (alarmed_steady_ns_ && Big(last_steady_ns_) - *alarmed_steady_ns_ < kSecond) return;
    alarmed_steady_ns_ = last_steady_ns_;
    ++clock_alarms_;
}

Verdict Model::set_clock(const Caller& caller) {
    last_steady_ns_ = steady_of(caller.at());
    labels_begin_with(caller.now_ns);
    return taken(Result::ok);
}

// ---- recovery ---------------------------------------------------------------------------------------

/// What was counted before has no time any more that could be compared. Messages and contents are taken to be as new as the
/// recovery, so that they leave their windows no sooner than they would have; of breakers nothing is known. Prices were in
/// memory only.
void Model::recovered(const Moment& at) {
    last_steady_ns_ = at.steady_ns;
    labels_begin_with(best_ ? std::max(at.now_ns, last_time_ns_) : at.now_ns);
    recovered_steady_ns_ = at.steady_ns;
    alarmed_steady_ns_.reset();
    const auto as_new = [&](std::vector<std::int64_t>& times) { std::fill(times.begin(), times.end(), at.steady_ns); };
    for (auto& [key, row] : rows_) {
        as_new(row.messages), as_new(row.all_messages);
        row.buys.clear(), row.sells.clear(), row.rejects.clear();
    }
    for (auto& [content, times] : contents_) as_new(times);
    references_.clear();
    make_unreconciled();
    rows_.at(key_of(Scope{ScopeKind::firm})).changed_at = events();   // who asked to release it before did not see this
}

// ---- a new day --------------------------------------------------------------------------------------

/// Positions are the start of the day, at what they are worth. What windows have counted is of the day that is over.
void Model::begin_day(Row& row) const {
    row.bought_quantity = row.sold_quantity = 0;
    row.bought_notional = row.sold_notional = 0;
    row.start_position = row.position;
    row.start_value = row.net_value;
    row.cash_flow = row.peak = 0;
    row.alert_levels = {};
    row.messages.clear(), row.all_messages.clear();
    row.buys.clear(), row.sells.clear(), row.rejects.clear();
}

/// An ended order stays while a gap that the venue reported keeps something reserved.
void Model::forget_ended_orders() {
    std::vector<Order> kept;
    std::map<std::size_t, std::size_t> place;
    executions_used_ = 0;
    for (std::size_t i = 0; i < orders_.size(); ++i) {
        if (!live(orders_[i]) && orders_[i].reserved_quantity == 0) continue;
        place[i] = kept.size();
        executions_used_ += orders_[i].executions.size();
        kept.push_back(orders_[i]);
    }
    std::erase_if(ids_, [&](const auto& id) { return place.count(id.second) == 0; });
    for (auto& [id, order] : ids_) order = place.at(order);
    orders_ = std::move(kept);
}

void Model::rolled(const Moment& at) {
    happened(at);
    for (auto& [key, row] : rows_) begin_day(row);
    contents_.clear();
    recovered_steady_ns_.reset();   // budgets begin anew, those as well that a recovery has used up
    forget_ended_orders();
    quarantined_.clear();
    quarantined_events_ = 0;
    booked_outside_.clear();
    std::erase_if(requests_, [](const ResumeRequest& request) { return !request.open; });
}

}  // namespace riskreg::model
