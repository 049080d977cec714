/// The clocks of random commands: one that cannot step, and a wall clock that may.
#pragma once

#include "model/model.hpp"
#include "support/random.hpp"

namespace riskreg::test {

/// Whether the wall clocks of commands for the core step.
inline constexpr bool kWallSteps = true;

/// Draws the moments of commands. Looks at the model, to meet what the rule of labels allows exactly.
///
/// Without steps the steady time is that of the wall clock, held where the wall clock goes back: both rules give the same.
class CallClock {
public:
    CallClock(Random& random, const model::Model& model, bool steps = kWallSteps);

    /// Both times go on, and what the next caller reads is drawn.
    void advance();
    /// What the next caller reads.
    [[nodiscard]] const model::Moment& now() const noexcept { return now_; }
    /// The label that its event would get: what dates are compared with.
    [[nodiscard]] std::int64_t label_ns() const { return model_.label_of(now_).time_ns; }
    /// When a reference price was written that is `age_ns` old to the next caller; the writer's wall clock may step, too.
    [[nodiscard]] model::Moment written(std::int64_t age_ns);
    [[nodiscard]] bool steps() const noexcept { return steps_; }

private:
    [[nodiscard]] std::int64_t tick();
    [[nodiscard]] std::int64_t step();
    [[nodiscard]] model::Moment without_steps();
    [[nodiscard]] model::Moment with_steps();

    Random& random_;
    const model::Model& model_;
    const bool steps_;
    const bool on_grid_;             // time goes in halves of a millisecond, so that ends of windows are met exactly
    std::int64_t passed_ns_ = 0;     // since the start
    std::int64_t offset_ns_ = 0;     // of the wall clock, until it steps again
    model::Moment now_;
};

}  // namespace riskreg::test
