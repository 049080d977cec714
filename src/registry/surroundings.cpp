#include "registry/surroundings.hpp"

#include "segment/process.hpp"

namespace riskreg::registry {

using namespace layout;

namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kClockStepNs = 500 * kMs;

std::int64_t clock_offset() noexcept { return segment::realtime_ns() - segment::monotonic_ns(); }

}  // namespace

Surroundings::Surroundings(Host& host) noexcept : host_(host), clock_offset_ns_(clock_offset()) {}

void Surroundings::look() {
    look_at_segment();
    look_at_lock_file();
    look_at_clock();
}

void Surroundings::look_at_segment() {
    // The name first: who ends the day, or destroys the registry, says so before he takes it away.
    if (segment_lost_ || host_.attachment.mapping.is_current() || !core::is_in(host_.state, SegmentState::ready)) return;
    segment_lost_ = true;
    host_.alarm.raise(Severity::critical,
                      "the segment's name is gone or leads elsewhere (systemd's RemoveIPC, or somebody removed it): "
                      "attached processes go on, new ones cannot attach");
}

/// Without it, or with another one in its place, nobody can attach, and whoever tries is told what became of it. What is on disk stays
/// true, so the journal goes on.
void Surroundings::look_at_lock_file() {
    const bool there = host_.attachment.lock.is_current();
    if (there == !lock_file_lost_) return;
    lock_file_lost_ = !there;
    if (there) return host_.alarm.raise(Severity::warning, "the LOCK file is back");
    host_.alarm.raise(Severity::critical,
                      host_.directory() +
                          "/LOCK was removed or replaced: attached processes go on, and their orders reach the disk; new "
                          "ones are refused. End the attached ones in order, then `riskctl recover NAME --restore-lock`");
}

void Surroundings::look_at_clock() {
    const std::int64_t offset = clock_offset();
    const std::int64_t step = offset - clock_offset_ns_;
    clock_offset_ns_ = offset;
    if (step > -kClockStepNs && step < kClockStepNs) return;
    host_.alarm.raise(Severity::warning,
                      "the clock stepped by " + std::to_string(step / kMs) + " ms; the times of events never go back");
}

}  // namespace riskreg::registry
