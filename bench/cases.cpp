#include "cases.hpp"

#include <cstdio>
#include <cstdlib>

#include "segment/process.hpp"

namespace riskreg::bench {

namespace {

constexpr Case kCases[] = {
    {"lock_pair", measure_calls, "empty lock/unlock of the registry's own robust mutex; mean64_ns: 64 pairs timed at once"},
    {"register", measure_calls,
     "check_and_register, six rows of 13,130, 1,000 live orders; call by call in turn with lock_pair"},
    {"register_denied", measure_calls, "the same, refused by one of four limits in turn"},
    {"amend", measure_calls, "replace_requested of an acknowledged order, accepted; the confirmation is not timed"},
    {"fill", measure_calls, "a partial fill of a live order"},
    {"cancel", measure_calls, "the confirmation `canceled` of a live order"},
    {"find", measure_calls, "a copy of a whole order with its strings, wait-free"},
    {"register_all_controls", measure_all_controls,
     "every control switched on, call by call in turn with the first set of checks"},
    {"attach", measure_attach, "Registry::open to a running registry with 1,000 orders"},
    {"repair", measure_repair,
     "from the SIGKILL of who has committed and not applied yet, to the answer of who waits for the lock"},
    {"cache_line_round_trip", measure_round_trip, "two processes send one cache line to and fro"},
    {"register_contended_2", measure_contended,
     "closed loop of 2 processes; ratio: time per call / (cache line round trip + register)"},
    {"register_contended_N", measure_contended, "closed loop of --processes processes"},
    // What is sensitive to the state of the disk comes before what fills it.
    {"raw_fdatasync", measure_durable,
     "4 KiB over written pages of a file in the same directory and fdatasync, in turns of 50 with durable_register"},
    {"durable_register", measure_durable,
     "check_and_register that answers when it is on disk; one writer, the host in a process of its own"},
    {"durable_register_8", measure_durable, "the same, closed loop of 8 sessions"},
    {"register_while_checkpointing", measure_beside_checkpoints,
     "bursts at a pace, counted from the intended start, one checkpoint after the other"},
    {"journal_mb_s", measure_journal,
     "MB a second that the journaller brings to the disk under full load; p50 ...: each 4,096 events"},
    {"replay_events_s", measure_journal,
     "events a second that recovery reads, checks and applies; p50 ...: one pass over the journal"},
    {"checkpoint_1m", measure_million,
     "from asking for a checkpoint of 1,000,000 live orders until it is on disk and read again; value: MB/s"},
    {"recover_1m", measure_million,
     "a fresh process rebuilds 1,000,000 live orders from a checkpoint of 900,000 and 100,000 events, with audit; value: MB/s"},
    {"register_1k_live", measure_million, "check_and_register with 1,000 live orders, in turn with the next"},
    {"register_1m_live", measure_million, "check_and_register with 1,000,000 live orders, also with --quick"},
};

constexpr Role kRoles[] = {
    {"host", host},
    {"stand_by", stand_by},
    {"echo", echo},
    {"contend", contend},
    {"write_durably", write_durably},
    {"ask_for_checkpoints", ask_for_checkpoints},
    {"fill_journal", fill_journal},
    {"replay_journal", replay_journal},
    {"recover", recover},
    {"die_inside", die_inside},
    {"survive", survive},
};

/// Said, not judged: figures of a machine that does other things, too, are worth less; tails and the disk first.
void tell_load() {
    double load = 0;
    if (::getloadavg(&load, 1) == 1)
        std::fprintf(stderr, "riskreg-latency: load average %.1f on %u processors\n", load, cpu_count(usable_cpus()));
}

}  // namespace

std::span<const Case> all_cases() { return kCases; }
std::span<const Role> all_roles() { return kRoles; }

Run::Run(Options options) : options_(std::move(options)), clock_(calibrate()), report_(options_.json, options_.distributions) {
    std::fprintf(
        stderr,
        "riskreg-latency: %u processors, process i on the i-th; time stamp counter, %.2f ticks/ns in steps of %.0f ns; "
        "an empty pair of readings takes %.1f ns, taken off\n",
        cpu_count(usable_cpus()), clock_.ticks_per_ns, clock_.step_ns, clock_.cost_ns());
}

void Run::measure(const Case& what) {
    const std::int64_t start = segment::monotonic_ns();
    pin(usable_cpus(), 0);
    what.measure(*this);
    std::fprintf(stderr, "riskreg-latency: %s and what belongs to it: %.1f s\n", what.name,
                 static_cast<double>(segment::monotonic_ns() - start) / 1e9);
}

void Run::measure_all() {
    tell_load();
    for (const Case& what : all_cases())
        if (options_.names.empty() || options_.names.contains(what.name)) static_cast<void>(need(what.name));
}

const Measured& Run::need(const std::string& name) {
    for (const Case& what : all_cases())
        if (name == what.name && !results_.contains(name)) measure(what);
    return results_.at(name);
}

void Run::add(Measured result) {
    if (options_.names.empty() || options_.names.contains(result.name)) report_.print(result, clock_);
    const std::string name = result.name;
    results_.emplace(name, std::move(result));
}

SharedConfig Run::adapted(SharedConfig config) const {
    config.huge_pages = options_.huge_pages;
    return config;
}

}  // namespace riskreg::bench
