#include "model/recheck.hpp"

#include <algorithm>
#include <limits>
#include <sstream>

#include "core/apply.hpp"
#include "core/genesis.hpp"
#include "model/compare.hpp"
#include "persist/event_json.hpp"

namespace riskreg::test {

using layout::Event;
using layout::EventType;

namespace {

constexpr std::uint64_t kRowsEvery = 16;        // events from one comparison of all rows to the next
constexpr std::uint64_t kOrdersEvery = 1024;    // the same of all orders, with an audit
constexpr std::uint64_t kNeighbours = 6;        // events before and after a difference that are printed

core::PrivateState genesis_of(const SharedConfig& config, const std::string& json) {
    core::PrivateState fresh = core::allocate_state(core::geometry_of(config, json.size()));
    core::make_genesis(fresh.state, config, json);
    fresh.state.header->magic = layout::kMagic;
    fresh.state.header->persistence = static_cast<std::uint32_t>(PersistenceMode::none);
    return fresh;
}

std::string text_of_answer(const Verdict& v) {
    std::ostringstream out;
    out << name_of(v.result);
    if (v.reason != DenyReason::none) out << ' ' << name_of(v.reason) << ' ' << text_of(v.scope);
    if (v.has_numbers) out << " observed " << v.observed << " limit " << v.limit << ' ' << name_of(v.unit);
    if (v.has_order)
        out << " order " << name_of(v.status) << " flags " << v.flags << " cum " << v.cum_quantity.value << " leaves "
            << v.leaves_quantity.value;
    if (v.seq != 0) out << " seq " << v.seq;
    return out.str();
}

/// The member that says why nothing of a refused batch stands.
std::size_t guilty_of(const std::vector<Verdict>& answers) {
    const auto guilty = std::find_if(answers.begin(), answers.end(),
                                     [](const Verdict& v) { return v.reason != DenyReason::batch_member_denied; });
    return static_cast<std::size_t>(guilty - answers.begin());
}

/// When an event's caller asked, as far as the event tells: a wall clock behind the label would have got the same label, and
/// one that was not believed may have been ahead by any amount.
model::Moment moment_of(const layout::EventHeader& header) {
    const bool ahead = (header.flags & layout::kClockAhead) != 0;
    return {ahead ? std::numeric_limits<std::int64_t>::max() : header.time_ns, header.steady_ns};
}

Command at(const Command& c, const model::Moment& moment) {
    Command moved = c;
    moved.now_ns = moment.now_ns;
    moved.steady_ns = moment.steady_ns;
    return moved;
}

std::vector<Verdict> run_all(model::Model& model, const Command& c) {
    if (c.op != Op::batch) return {run(model, c)};
    std::vector<OrderRequest> requests;
    for (const Command& member : c.members) requests.push_back(order_request(member));
    return model.register_all_or_none(model_caller(c), requests);
}

}  // namespace

void Coverage::add(const Coverage& other) {
    events += other.events;
    handovers += other.handovers;
    accepted += other.accepted;
    commands += other.commands;
    refusals_logged += other.refusals_logged;
    ahead += other.ahead;
    clocks_set += other.clocks_set;
    ordered_in_time += other.ordered_in_time;
    refusals_between += other.refusals_between;
    for (const auto& [reason, count] : other.refused) refused[reason] += count;
    for (const auto& [reason, count] : other.not_placed) not_placed[reason] += count;
}

Recheck::Recheck(const core::State& live, const std::string& json, const std::vector<Recorded>& records)
    : live_(live), config_(parse_config(json)), replica_(genesis_of(config_, json)), model_(config_), records_(records) {
    for (std::uint64_t seq = layout::kGenesis + 1; seq <= live_.log->committed; ++seq) {
        const layout::EventHeader& header = live_.ring_slot(seq).header;
        coverage_.ahead += (header.flags & layout::kClockAhead) != 0 ? 1 : 0;
        coverage_.clocks_set += header.type == EventType::clock_set ? 1 : 0;
        if (header.type == EventType::session_attached) slot_of_[header.strategy] = header.session;
        if (seq > layout::kGenesis + 1 && live_.ring_slot(seq - 1).header.session != header.session) ++coverage_.handovers;
    }
    place();
}

/// First event that the call wrote; 0: none. A refusal names none, but between the two ends of a call its session did nothing
/// else.
std::uint64_t Recheck::event_of(const Recorded& record) const {
    for (const Verdict& answer : record.answers)
        if (answer.seq != 0) return answer.seq;
    const auto slot = slot_of_.find(record.command.session);
    if (slot == slot_of_.end()) return 0;   // an operator's refusals are not written down
    for (std::uint64_t seq = record.before + 1; seq <= record.after; ++seq) {
        const layout::EventHeader& header = live_.ring_slot(seq).header;
        const bool tells = header.type == EventType::denied || header.type == EventType::state_changed;
        if (tells && header.session == slot->second) return seq;
    }
    return 0;
}

void Recheck::place() {
    for (const Recorded& record : records_) {
        if (const std::uint64_t seq = event_of(record); seq != 0) {
            by_event_[seq] = &record;
        } else if (record.before == record.after && record.command.op != Op::reference) {
            between_.emplace(record.before, &record);
        } else {
            note_unplaced(record);
        }
    }
}

void Recheck::note_unplaced(const Recorded& record) {
    if (record.command.op == Op::reference) return;   // no price changes, and nothing else is asked
    const std::size_t guilty = guilty_of(record.answers);
    ++coverage_.not_placed[guilty < record.answers.size() ? record.answers[guilty].reason : DenyReason::none];
}

/// The order of the log respects real time: who ended before another one began stands before it.
std::string Recheck::check_real_time() const {
    const Recorded* latest = nullptr;   // the one that began last, of those up to here
    for (const auto& [seq, record] : by_event_) {
        if (seq <= record->before || seq > record->after)
            return "event " + std::to_string(seq) + " is not from within its call\n";
        if (latest != nullptr && record->after_steady_ns < latest->before_steady_ns)
            return where(seq, record, "  ended before a call began that stands before it in the log\n");
        if (latest == nullptr || record->before_steady_ns > latest->before_steady_ns) latest = record;
    }
    return {};
}

std::string Recheck::run() {
    if (std::string text = check_real_time(); !text.empty()) return text;
    coverage_.ordered_in_time = by_event_.size();
    std::uint64_t done = layout::kGenesis;
    while (done < live_.log->committed) {
        const std::uint64_t seq = done + 1;
        if (std::string text = follow(seq); !text.empty()) return text;
        done = model_.events() + layout::kGenesis;
        const auto [first, last] = between_.equal_range(done);
        for (auto record = first; record != last; ++record)
            if (std::string text = play_between(*record->second); !text.empty()) return text;
    }
    coverage_.events = done;
    const std::string text = differences(live_, model_) + full_differences(live_, model_);
    return text.empty() ? text : "at the end:\n" + text;
}

void Recheck::advance_replica(std::uint64_t upto) {
    for (std::uint64_t seq = replica_.state.log->committed + 1; seq <= upto; ++seq) {
        replica_.state.log->committed = seq;
        core::apply(replica_.state, live_.ring_slot(seq));
    }
}

/// One commit: what was asked, or what nobody asks for; then the tables as they are after it.
std::string Recheck::follow(std::uint64_t seq) {
    const auto found = by_event_.find(seq);
    const Recorded* record = found != by_event_.end() ? found->second : nullptr;
    std::string text = record != nullptr ? play(*record, seq) : pass(live_.ring_slot(seq));
    const std::uint64_t after = model_.events() + layout::kGenesis;
    if (after < seq) text += "  the model writes no event\n";
    if (after > live_.log->committed) text += "  the model writes more events than there are\n";
    if (!text.empty()) return where(seq, record, text);
    for (std::uint64_t more = seq + 1; more <= after; ++more)
        if (by_event_.count(more) != 0) text += "  the model writes event " + std::to_string(more) + " as well\n";
    advance_replica(after);
    const core::State& state = replica_.state;
    text += stamp_differences(live_, model_, seq - layout::kGenesis - 1);
    if (record != nullptr)
        if (const model::Order* order = model_.find(record->command.account, record->command.id))
            text += differences(state, model_, *order);
    if (after / kRowsEvery != (seq - 1) / kRowsEvery) text += differences(state, model_);
    if (after / kOrdersEvery != (seq - 1) / kOrdersEvery) text += full_differences(state, model_);
    return text.empty() ? text : where(seq, record, text);
}

std::string Recheck::pass(const Event& event) {
    const layout::EventHeader& header = event.header;
    switch (header.type) {
        case EventType::session_attached: model_.attached(StrategyId{header.strategy}, moment_of(header)); return {};
        case EventType::session_dead: model_.died(StrategyId{header.strategy}, moment_of(header)); return {};
        case EventType::session_detached: model_.passed(moment_of(header)); return {};
        case EventType::reference_owner: model_.reference_owned(InstrumentId{header.instrument}, moment_of(header)); return {};
        default: return "  nobody recorded a call that writes this event\n";
    }
}

std::string Recheck::play(const Recorded& record, std::uint64_t seq) {
    const Event& event = live_.ring_slot(seq);
    if (record.command.op == Op::reference) return pass(event);
    const bool denied = event.header.type == EventType::denied;
    const layout::Metered& metered = event.denied.metered;
    // What does not count as a message is only noted, by a gate that the semantics do not know.
    if (denied && metered.messages == 0 && metered.all_messages == 0) model_.passed(moment_of(event.header));
    const std::vector<Verdict> expected = run_all(model_, at(record.command, moment_of(event.header)));
    std::string text;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const std::string unlike = differences(record.answers[i], expected[i]);
        if (!unlike.empty())
            text +=
                "  core:  " + text_of_answer(record.answers[i]) + "\n  model: " + text_of_answer(expected[i]) + '\n' + unlike;
        if (record.answers[i].seq != 0 && record.answers[i].seq != seq + i) text += "  the answer names another event\n";
    }
    ++coverage_.commands;
    for (const Verdict& answer : record.answers) coverage_.accepted += answer.accepted() ? 1 : 0;
    const std::size_t guilty = guilty_of(record.answers);
    if (guilty < record.answers.size() && record.answers[guilty].result == Result::denied) {
        ++coverage_.refusals_logged;
        ++coverage_.refused[record.answers[guilty].reason];
    }
    return text;
}

/// The refusal that the model gives; nothing when it would do what is asked.
std::optional<Verdict> Recheck::refusal_at(const Recorded& record, const model::Moment& moment) {
    const Command c = at(record.command, moment);
    switch (c.op) {
        case Op::register_order: return model_.refusal_of(model_caller(c), order_request(c));
        case Op::batch: return model_.refusal_of(model_caller(c), order_request(c.members.front()));
        case Op::replace: return model_.refusal_of(model_caller(c), replace_request(c));
        default: break;
    }
    const Verdict answer = test::run(model_, c);   // a refusal leaves nothing behind, and anything else is a difference
    return answer.result == Result::denied ? std::optional(answer) : std::nullopt;
}

std::string Recheck::play_between(const Recorded& record) {
    // The first member of a batch is judged like an order of its own, the others after what was never committed.
    const bool known = record.command.op != Op::batch || guilty_of(record.answers) == 0;
    // Only a restriction can begin and end again; none is as short as this.
    const bool short_enough = record.after_steady_ns - record.before_steady_ns < kMillisecond;
    if (!known || !short_enough) return note_unplaced(record), std::string();
    const auto early = refusal_at(record, {record.before_ns, record.before_steady_ns});
    const auto late = refusal_at(record, {record.after_ns, record.after_steady_ns});
    const bool same = early.has_value() == late.has_value() && (!early || differences(*early, *late).empty());
    if (!same) return note_unplaced(record), std::string();
    const Verdict& answer = record.answers.front();
    ++coverage_.refusals_between;
    ++coverage_.refused[answer.reason];
    const std::string text = early ? differences(answer, *early) : "  the model does not refuse\n";
    if (text.empty()) return text;
    return where(record.before, &record,
                 "  between two events\n  core:  " + text_of_answer(answer) +
                     "\n  model: " + (early ? text_of_answer(*early) : std::string("no refusal")) + '\n' + text);
}

std::string Recheck::where(std::uint64_t seq, const Recorded* record, const std::string& text) const {
    std::string all = "event " + std::to_string(seq);
    if (record != nullptr) all += ", " + text_of(at(record->command, moment_of(live_.ring_slot(seq).header)));
    all += '\n' + text + "  the log:\n";
    const std::uint64_t last = std::min<std::uint64_t>(seq + kNeighbours, live_.log->committed);
    for (std::uint64_t s = seq > kNeighbours + 2 ? seq - kNeighbours : 2; s <= last; ++s)
        all += (s == seq ? "  > " : "    ") + persist::event_to_json(live_, live_.ring_slot(s)) + '\n';
    return all;
}

}  // namespace riskreg::test
