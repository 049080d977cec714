/// The clocks of random commands: one that cannot step, and the wall clocks of several processes, which may.
#pragma once

#include <array>
#include <cstdint>
#include <limits>

#include "model/model.hpp"
#include "support/random.hpp"

namespace riskreg::test {

/// Draws the moments of commands. Looks at the model, to meet what the rule of labels allows exactly.
///
/// All processes read one steady clock, some a little late. Each has a wall clock of its own: right, or a little or far off,
/// for good or until it steps. Some seeds know extreme times as well: no clock shows them, but any number may come in.
class CallClock {
public:
    CallClock(Random& random, const model::Model& model);

    /// The first moment of all.
    [[nodiscard]] const model::Moment& begin() const noexcept { return begin_; }
    /// Both times go on, and what the next caller reads is drawn.
    void advance();
    /// The steady time is that of another boot, and less. The wall clocks go on.
    void boot();
    /// What the next caller reads.
    [[nodiscard]] const model::Moment& now() const noexcept { return now_; }
    /// The label that its event would get: what dates are compared with.
    [[nodiscard]] std::int64_t label_ns() const { return model_.label_of(now_).time_ns; }
    /// What an operator makes of the label: what he reads, or where the clocks are right, to go on with.
    [[nodiscard]] model::Moment to_set();
    /// When a reference price was written that is `age_ns` old to the next caller; the writer's wall clock may step, too.
    [[nodiscard]] model::Moment written(std::int64_t age_ns);

private:
    [[nodiscard]] std::int64_t tick();
    [[nodiscard]] std::int64_t step();
    [[nodiscard]] std::int64_t far_off();
    [[nodiscard]] std::int64_t offset();
    [[nodiscard]] model::Moment drawn();
    void make_extreme(model::Moment& at);

    Random& random_;
    const model::Model& model_;
    const bool on_grid_;  // time goes in halves of a millisecond, so that ends of windows are met exactly
    const bool extreme_;  // any 64 bits may come in
    std::int64_t passed_ns_ = 0;  // since the start
    std::int64_t booted_ns_ = 0;  // of that, what the steady clock does not know of
    std::array<std::int64_t, 4> offsets_ns_{};  // of the processes' wall clocks, each until it steps again
    model::Moment begin_, now_;
};

/// As far as 64 bits go.
[[nodiscard]] constexpr std::int64_t saturating_sum(std::int64_t a, std::int64_t b) noexcept {
    std::int64_t sum = 0;
    if (!__builtin_add_overflow(a, b, &sum)) return sum;
    return a < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
}

}  // namespace riskreg::test
