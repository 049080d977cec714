#include "model/clock.hpp"

#include <algorithm>
#include <limits>

#include "model/command.hpp"

namespace riskreg::test {

namespace {

constexpr std::int64_t kSecond = 1000 * kMillisecond;
constexpr std::int64_t kHour = 3600 * kSecond;
constexpr std::int64_t kDay = 24 * kHour;
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

}  // namespace

CallClock::CallClock(Random& random, const model::Model& model)
    : random_(random),
      model_(model),
      on_grid_(random.percent(70)),
      extreme_(random.percent(15)),
      begin_{kStart, kSteadyStart},
      now_(begin_) {
    for (std::int64_t& offset_ns : offsets_ns_) offset_ns = offset();
    if (extreme_ && random_.percent(20)) begin_.now_ns = far_off();
}

void CallClock::advance() {
    const std::int64_t n = random_.between(1, 1000);
    if (n <= 800) passed_ns_ += tick();
    if (n > 800 && n <= 803) passed_ns_ += 150 * kMillisecond;  // exactly the age that is still fresh
    if (n > 803 && n <= 805) passed_ns_ += 500 * kMillisecond;  // everything is stale
    if (n > 805 && n <= 807) passed_ns_ += kHour;               // the machine slept: the steady clock went on
    now_ = drawn();
}

/// Nothing as well: then two callers read the same.
std::int64_t CallClock::tick() {
    return on_grid_ ? random_.between(0, 4) * kMillisecond / 2 : random_.between(0, 2 * kMillisecond);
}

std::int64_t CallClock::step() { return random_.pick({kSecond, kHour, kDay}) * (random_.percent(50) ? 1 : -1); }

/// No time that a clock shows.
std::int64_t CallClock::far_off() {
    return random_.pick<std::int64_t>({kLeast, kLeast + 1, -kStart, -1, 0, 1, kMost - kSecond, kMost - 1, kMost});
}

/// Most clocks are right, some nearly, some not at all.
std::int64_t CallClock::offset() {
    const std::int64_t n = random_.between(1, 100);
    if (n <= 50) return 0;
    return n <= 75 ? random_.between(-1200, 1200) * kMillisecond : step();
}

model::Moment CallClock::drawn() {
    model::Moment at{0, kSteadyStart + passed_ns_ - booted_ns_};
    if (random_.percent(10)) at.steady_ns -= random_.percent(50) ? tick() : random_.between(1, 2000);  // read before another's
    std::int64_t& offset_ns = random_.one_of(offsets_ns_);
    if (random_.between(1, 1000) <= 8) offset_ns = random_.percent(40) ? 0 : offset_ns + step();
    at.now_ns = kStart + passed_ns_ + offset_ns;
    const std::int64_t n = random_.between(1, 100);
    if (n <= 3) at.now_ns += step();  // for one call
    if (n > 3 && n <= 6) at.now_ns -= 10 * tick();
    const std::int64_t most = model_.believed_until(at);
    if (n > 6 && n <= 8 && model_.events() != 0)  // and one more than it may be
        at.now_ns = saturating_sum(most, random_.between(-1, 1));
    if (extreme_ && n > 8 && n <= 11) make_extreme(at);
    return at;
}

/// A steady time that is far ahead stays: no event is earlier from then on. So it is drawn seldom.
void CallClock::make_extreme(model::Moment& at) {
    if (random_.percent(80)) at.now_ns = far_off();
    if (random_.percent(20)) at.steady_ns = random_.pick<std::int64_t>({kLeast, -kSteadyStart, -1, 0});
    if (random_.percent(2)) at.steady_ns = random_.pick<std::int64_t>({1000 * kDay, kMost - kHour, kMost});
}

void CallClock::boot() {
    booted_ns_ = passed_ns_ + kSteadyStart / 2;
    now_ = drawn();
}

model::Moment CallClock::to_set() {
    model::Moment at = now_;
    if (random_.percent(50)) at.now_ns = kStart + passed_ns_;
    return at;
}

model::Moment CallClock::written(std::int64_t age_ns) {
    const std::int64_t time_ns = saturating_sum(now_.now_ns, -age_ns);
    return {random_.percent(10) ? saturating_sum(time_ns, step()) : time_ns, saturating_sum(now_.steady_ns, -age_ns)};
}

}  // namespace riskreg::test
