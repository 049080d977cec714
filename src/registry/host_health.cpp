#include "registry/host_health.hpp"

#include "segment/process.hpp"

namespace riskreg::registry {

using namespace layout;
using persist::IoError;
using persist::IoKind;

namespace {

std::string_view saying(Fault fault) noexcept {
    for (const FaultText& text : kFaults)
        if (text.fault == fault) return text.says;
    return "unknown";
}

std::string_view what_lacks(Fault lack) noexcept {
    return lack == Fault::no_threads ? "no_threads: the host cannot have all the threads that it needs; the journal is kept, "
                                       "checkpoints or alerts may not be: raise ulimit -u, or pids.max of its cgroup"
                                     : "no_memory: the host cannot have the memory that it needs; the journal is kept, "
                                       "checkpoints are not: raise its limit (ulimit -v, memory.max of its cgroup)";
}

/// The system's number that says the same.
IoError error_of(Fault lack) noexcept {
    switch (lack) {
        case Fault::no_threads: return IoError::of(IoKind::try_again);
        case Fault::no_memory: return IoError::of(IoKind::no_memory);
        default: return {};
    }
}

}  // namespace

void HostHealth::show(Fault fault, IoError error) noexcept {
    store_relaxed(words_.fault_errno, static_cast<std::uint64_t>(error.number));
    store_relaxed(words_.fault, static_cast<std::uint64_t>(fault));
}
void HostHealth::begin_now() noexcept {
    store_relaxed(words_.fault_since_ns, static_cast<std::uint64_t>(segment::realtime_ns()));
}
void HostHealth::degrade() noexcept { store_relaxed(words_.state, static_cast<std::uint64_t>(HostState::degraded)); }

void HostHealth::failed(Fault fault, IoError error, const std::string& why, bool new_file) {
    const bool news = load_relaxed(words_.fault) != static_cast<std::uint64_t>(fault) ||
                      load_relaxed(words_.fault_errno) != static_cast<std::uint64_t>(error.number);
    if (load_relaxed(words_.fault) == 0) begin_now();
    show(fault, error);
    count_up(words_.retries);
    degrade();
    if (!news) return;
    const std::string next = (new_file ? "; a new file will begin behind event " : "; tried again, durable is ") +
                             std::to_string(host_.synced.load());
    host_.alarm.raise(Severity::critical, std::string(saying(fault)) + ": " + (why.empty() ? error.text() : why) + next +
                                              ". Memory holds everything; what increases risk is refused when " +
                                              std::to_string(host_.state.geometry.ring_events / 4 * 3) + " events wait");
}

void HostHealth::healed() {
    if (host_.gap.is_open() || load_relaxed(words_.fault) == 0 || is_lack(static_cast<Fault>(load_relaxed(words_.fault))))
        return;
    host_.alarm.raise(Severity::warning,
                      "the journal is healthy again after " + std::to_string(load_relaxed(words_.retries)) + " attempts");
    show(Fault::none, {});
    store_relaxed(words_.retries, 0);
    store_relaxed(words_.state, static_cast<std::uint64_t>(HostState::running));
}

void HostHealth::gap_begins(Fault fault, const std::string& why) {
    count_up(words_.gaps);
    store_relaxed(words_.gap_end, std::max<std::uint64_t>(load_relaxed(words_.gap_end), 1));
    host_.alarm.raise(Severity::critical, "gap in the journal: " + why + ". durable stays at " +
                                              std::to_string(load_relaxed(host_.state.marks->durable)) +
                                              " until two checkpoints above the gap are on disk");
    show(fault, {});
    begin_now();
    degrade();
}

void HostHealth::gap_reaches(std::uint64_t seq) noexcept { store_relaxed(words_.gap_end, seq); }

void HostHealth::gap_ends() {
    store_relaxed(words_.gap_end, 0);
    host_.alarm.raise(Severity::warning, "the gap in the journal is closed: two checkpoints above it are on disk");
}

void HostHealth::lacks(Fault lack) noexcept {
    const auto shown = static_cast<Fault>(load_relaxed(words_.fault));
    if (lack == shown && lack != Fault::none) return count_up(words_.retries);
    if (lack == shown || (shown != Fault::none && !is_lack(shown))) return;
    if (lack != Fault::none) {
        lack_begins(lack);
    } else {
        host_.alarm.raise(Severity::warning, "the host has all the threads and the memory that it needs again");
        if (!host_.gap.is_open()) store_relaxed(words_.state, static_cast<std::uint64_t>(HostState::running));
    }
    show(lack, error_of(lack));
}

void HostHealth::lack_begins(Fault lack) noexcept {
    host_.alarm.raise(Severity::critical, what_lacks(lack));
    begin_now();
    store_relaxed(words_.retries, 1);
    degrade();
}

}  // namespace riskreg::registry
