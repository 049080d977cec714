#include "model/clock.hpp"

#include <algorithm>

#include "model/command.hpp"

namespace riskreg::test {

namespace {

constexpr std::int64_t kSecond = 1000 * kMillisecond;
constexpr std::int64_t kHour = 3600 * kSecond;
constexpr std::int64_t kDay = 24 * kHour;

}  // namespace

CallClock::CallClock(Random& random, const model::Model& model, bool steps)
    : random_(random), model_(model), steps_(steps), on_grid_(random.percent(70)), now_{kStart, kSteadyStart} {}

void CallClock::advance() {
    const std::int64_t n = random_.between(1, 1000);
    if (n <= 800) passed_ns_ += tick();
    if (n > 800 && n <= 803) passed_ns_ += 150 * kMillisecond;   // exactly the age that is still fresh
    if (n > 803 && n <= 805) passed_ns_ += 500 * kMillisecond;   // everything is stale
    now_ = steps_ ? with_steps() : without_steps();
}

/// Nothing as well: then two callers read the same.
std::int64_t CallClock::tick() {
    return on_grid_ ? random_.between(0, 4) * kMillisecond / 2 : random_.between(0, 2 * kMillisecond);
}

std::int64_t CallClock::step() { return random_.pick({kSecond, kHour, kDay}) * (random_.percent(50) ? 1 : -1); }

model::Moment CallClock::without_steps() {
    if (random_.percent(3)) passed_ns_ -= 10 * tick();   // a clock that went backwards
    const std::int64_t now_ns = kStart + passed_ns_;
    return {now_ns, std::max(now_ns, model_.last_time_ns()) - kStart + kSteadyStart};
}

model::Moment CallClock::with_steps() {
    model::Moment at{0, kSteadyStart + passed_ns_};
    if (random_.percent(10)) at.steady_ns -= random_.percent(50) ? tick() : random_.between(1, 2000);  // read before another's
    if (random_.between(1, 1000) <= 8) offset_ns_ = random_.percent(40) ? 0 : offset_ns_ + step();
    at.now_ns = kStart + passed_ns_ + offset_ns_;
    const std::int64_t n = random_.between(1, 100);
    if (n <= 3) at.now_ns += step();  // of one process, for one call
    if (n > 3 && n <= 6) at.now_ns -= 10 * tick();
    const std::int64_t most = model_.believed_until(at);
    if (n > 6 && n <= 8 && model_.events() != 0) at.now_ns = most + random_.between(-1, 1);  // and one more than it may be
    return at;
}

model::Moment CallClock::written(std::int64_t age_ns) {
    const std::int64_t time_ns = now_.now_ns - age_ns;
    if (!steps_) return {time_ns, time_ns - kStart + kSteadyStart};
    return {random_.percent(10) ? time_ns + step() : time_ns, now_.steady_ns - age_ns};
}

}  // namespace riskreg::test
