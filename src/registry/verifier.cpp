#include "registry/verifier.hpp"

#include <utility>

#include "core/genesis.hpp"
#include "core/scopes.hpp"

namespace riskreg::registry {

using namespace layout;
using core::State;

namespace {

/// Empty when they are equal.
template <Described T>
std::string place_of_difference(const T& live, const T& replica) {
    const std::string_view field = first_difference(live, replica);
    return field.empty() ? std::string() : std::string(Fields<T>::name).append(".").append(field);
}

}  // namespace

template <class T>
Verifier::Compared Verifier::compare(const Versioned<T>& live, const Versioned<T>& replica) const {
    const T& expected = replica.newest();
    const std::uint64_t replicated = replica_.log->applied;
    T seen = live.read();
    if (seen.seq > replicated) return {Outcome::later, {}};
    if (seen.seq < expected.seq) {
        // A writer may be in the middle of apply, or dead there; only when it is through is a version missing.
        if (load_acquire(live_.log->applied) < expected.seq) return {Outcome::later, {}};
        seen = live.read();
        if (seen.seq > replicated) return {Outcome::later, {}};
    }
    std::string where = place_of_difference(seen, expected);
    return {where.empty() ? Outcome::equal : Outcome::different, std::move(where)};
}

/// What is written once, by event `seq`: it may be on disk, and in the replica, before its writer is through with it here.
template <class T>
Verifier::Compared Verifier::compare_words(const T& live, const T& replica, std::uint64_t seq) const {
    T seen;
    copy_words_out(seen, live);
    std::string where = place_of_difference(seen, replica);
    if (where.empty()) return {};
    if (load_acquire(live_.log->applied) < seq) return {Outcome::later, {}};
    copy_words_out(seen, live);
    where = place_of_difference(seen, replica);
    return {where.empty() ? Outcome::equal : Outcome::different, std::move(where)};
}

auto Verifier::into(Compared& worst) const {
    return [this, &worst](const auto& live, const auto& replica) {
        if (Compared one = compare(live, replica); one.outcome > worst.outcome) worst = std::move(one);
    };
}

Verifier::Compared Verifier::compare_row(std::uint32_t row) const {
    Compared worst;
    core::each_of_row(row, into(worst), live_, replica_);
    return worst;
}

template <auto Table>
Verifier::Compared Verifier::compare_slot(std::uint32_t index) const {
    Compared worst;
    each_version(into(worst), (live_.*Table)[index], (replica_.*Table)[index]);
    return worst;
}

Verifier::Compared Verifier::compare_order(std::uint32_t slot) const {
    const OrderSlot& live = live_.orders[slot];
    const OrderSlot& replica = replica_.orders[slot];
    Compared once = compare_words(live.identity, replica.identity, replica.identity.created_seq);
    if (once.outcome == Outcome::equal && load_acquire(live.venue.seq) == replica.venue.seq)
        once = compare_words(live.venue, replica.venue, replica.venue.seq);
    return once.outcome == Outcome::equal ? compare_slot<&State::orders>(slot) : once;
}

Verifier::Compared Verifier::compare_execution(std::uint32_t slot) const {
    const ExecutionIdentity& replica = replica_.executions[slot].identity;
    Compared once = compare_words(live_.executions[slot].identity, replica, replica.seq);
    return once.outcome == Outcome::equal ? compare_slot<&State::executions>(slot) : once;
}

const Verifier::Part Verifier::kParts[] = {
    {"row", [](const State& s) -> std::uint64_t { return s.geometry.rows(); }, &Verifier::compare_row},
    {"order slot", [](const State& s) { return s.log->next_order; }, &Verifier::compare_order},
    {"execution slot", [](const State& s) { return s.log->next_execution; }, &Verifier::compare_execution},
    {"session", [](const State& s) -> std::uint64_t { return s.geometry.sessions; }, &Verifier::compare_slot<&State::sessions>},
    {"strategy", [](const State& s) -> std::uint64_t { return s.geometry.strategies; },
     &Verifier::compare_slot<&State::strategies>},
    {"breaker", [](const State& s) -> std::uint64_t { return s.geometry.breakers; }, &Verifier::compare_slot<&State::breakers>},
    {"restricted list, entry", [](const State& s) -> std::uint64_t { return s.geometry.restrictions; },
     &Verifier::compare_slot<&State::restrictions>},
    {"approval", [](const State&) -> std::uint64_t { return kApprovals; }, &Verifier::compare_slot<&State::approvals>},
};

std::uint64_t Verifier::size() const noexcept {
    std::uint64_t records = 0;
    for (const Part& part : kParts) records += part.count(replica_);
    return records;
}

Verifier::Outcome Verifier::compare_at(std::uint64_t index, std::string& what) const {
    for (const Part& part : kParts) {
        const std::uint64_t count = part.count(replica_);
        if (index >= count) {
            index -= count;
            continue;
        }
        const auto number = static_cast<std::uint32_t>(index);
        const Compared compared = (this->*part.compare)(number);
        if (compared.outcome != Outcome::different) return compared.outcome;
        const bool row = part.compare == &Verifier::compare_row;
        what = std::string(part.name) + ' ' +
               (row ? core::format_scope(replica_, replica_.geometry.scope_of(number)) : std::to_string(number)) + ": " +
               compared.where;
        return Outcome::different;
    }
    return Outcome::later;
}

std::uint64_t Verifier::step(std::uint64_t records, const std::function<void(const std::string&)>& differs) {
    std::uint64_t equal = 0;
    for (std::uint64_t i = 0; i < records; ++i) {
        if (next_ >= size()) {
            next_ = 0;
            ++cycles_;
            if (core::entities_changed(live_)) differs("what never changes has changed");
            return equal;
        }
        std::string what;
        const Outcome outcome = compare_at(next_++, what);
        if (outcome == Outcome::equal) ++equal;
        if (outcome == Outcome::different) differs(what);
    }
    return equal;
}

}  // namespace riskreg::registry
