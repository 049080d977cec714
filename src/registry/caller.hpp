/// Who asks, at this moment. Internal to the registry layer: the one place where a caller gets his times, both of one look.
#pragma once

#include "core/decide.hpp"
#include "segment/event_clock.hpp"

namespace riskreg::registry {

[[nodiscard]] inline core::Caller caller_now(core::Caller who = {}) noexcept {
    const segment::ClockTimes times = segment::event_clock();
    who.now_ns = times.now_ns;
    who.steady_ns = times.steady_ns;
    return who;
}

}  // namespace riskreg::registry
