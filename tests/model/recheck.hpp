/// What several processes recorded, asked of the reference model in the order that the log gives it.
///
/// Every call that wrote an event has its place in that order, and its time. The events are applied to fresh tables, the
/// commands are given to the model, and after each both must agree with each other and with the answer of then.
/// A refusal that wrote nothing has a known place only when nothing was committed while it was asked; then it is compared as
/// well, unless the model itself would answer differently at the call's beginning and at its end.
#pragma once

#include <map>

#include "core/copy.hpp"
#include "model/recorded.hpp"
#include "riskreg/config.hpp"

namespace riskreg::test {

/// How many answers were compared, and which could not be.
struct Coverage {
    std::uint64_t events = 0;
    std::uint64_t handovers = 0;                      ///< events of another session, or none, than the event before
    std::uint64_t accepted = 0;                       ///< orders, of those below
    std::uint64_t commands = 0;                       ///< compared at the place of their event
    std::uint64_t refusals_logged = 0;                ///< of these
    std::uint64_t ahead = 0;                          ///< events whose caller's wall clock was not believed
    std::uint64_t clocks_set = 0;                     ///< by an operator
    std::uint64_t ordered_in_time = 0;                ///< calls whose place in the log was held against the clock
    std::uint64_t refusals_between = 0;               ///< wrote nothing, compared between two events
    std::map<DenyReason, std::uint64_t> refused;      ///< compared refusals, by reason
    std::map<DenyReason, std::uint64_t> not_placed;   ///< not compared, by reason
    void add(const Coverage& other);
};

class Recheck {
public:
    /// `live`: tables at rest whose ring holds the whole log. `config`: as the registry has it.
    Recheck(const core::State& live, const std::string& json, const std::vector<Recorded>& records);

    void set_reference(InstrumentId instrument, std::int64_t price, const model::Moment& written) {
        model_.set_reference(instrument, price, written);
    }
    /// Empty, or the first difference and what stood around it in the log.
    [[nodiscard]] std::string run();
    /// Made from nothing but the log, once `run` is through.
    [[nodiscard]] const core::State& replica() const noexcept { return replica_.state; }
    [[nodiscard]] const Coverage& coverage() const noexcept { return coverage_; }

private:
    void place();
    [[nodiscard]] std::string check_real_time() const;
    [[nodiscard]] std::uint64_t event_of(const Recorded& record) const;
    void note_unplaced(const Recorded& record);
    void advance_replica(std::uint64_t upto);
    [[nodiscard]] std::string follow(std::uint64_t seq);
    [[nodiscard]] std::string pass(const layout::Event& event);
    [[nodiscard]] std::string play(const Recorded& record, std::uint64_t seq);
    [[nodiscard]] std::string play_between(const Recorded& record);
    [[nodiscard]] std::optional<Verdict> refusal_at(const Recorded& record, const model::Moment& moment);
    [[nodiscard]] std::string where(std::uint64_t seq, const Recorded* record, const std::string& text) const;

    const core::State& live_;
    SharedConfig config_;
    core::PrivateState replica_;
    model::Model model_;
    const std::vector<Recorded>& records_;
    std::map<std::uint32_t, std::uint32_t> slot_of_;                 ///< strategy → session slot
    std::map<std::uint64_t, const Recorded*> by_event_;
    std::multimap<std::uint64_t, const Recorded*> between_;          ///< by the event that they came after
    Coverage coverage_;
};

}  // namespace riskreg::test
