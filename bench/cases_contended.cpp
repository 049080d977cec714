// Several processes at the same lock, as fast as each of them can: a closed loop, every call timed by itself. And what the
// machine asks for it at least: one cache line, to another processor and back.
#include <algorithm>
#include <cstdio>

#include "cases.hpp"
#include "segment/process.hpp"

namespace riskreg::bench {

// ---- one cache line -----------------------------------------------------------------------------

void echo(Board& board, unsigned) {
    pin(board.cpus, 1);
    board.ready = 1;
    for (std::uint64_t i = 0; i < board.calls; ++i) {
        spin_for(board.line, 2 * i + 1);
        board.line.store(2 * i + 2, std::memory_order_release);
    }
}

void measure_round_trip(Run& run) {
    const std::uint64_t n = run.sized(1'000'000, 100'000), warm = n / 10;
    SharedBoard board(run.options().state_dir, "");
    board->calls = warm + n;
    Child other(board, "echo", 0);
    await(board->ready, 1, other);
    Measured result("cache_line_round_trip");
    for (std::uint64_t i = 0; i < warm + n; ++i) {
        const std::uint64_t start = ticks();
        board->line.store(2 * i + 1, std::memory_order_release);
        spin_for(board->line, 2 * i + 2);
        const std::uint64_t end = ticks();
        if (i >= warm) result.add(end - start);
    }
    other.wait();
    result.processes = 2;
    run.add(std::move(result));
}

// ---- one lock -----------------------------------------------------------------------------------

namespace {

constexpr std::uint64_t kIdsOfOne = 100'000'000;

void register_one(Registry& registry, const std::string& id, std::size_t i, Histogram* histogram) {
    const OrderRequest request = request_for(id, i);
    const std::uint64_t start = ticks();
    const Verdict verdict = registry.check_and_register(request);
    const std::uint64_t end = ticks();
    require(verdict, "register");
    if (histogram != nullptr) histogram->add(end - start);
}

}  // namespace

/// Who is ready first stops them all, so that nobody ends with the lock to itself.
void contend(Board& board, unsigned number) {
    pin(board.cpus, number);
    Seat& seat = board.seats[number];
    const std::uint64_t first = number * kIdsOfOne, steps = board.warm_up + board.calls;
    const std::vector<std::string> ids = order_ids(first, steps);
    Registry registry = open(board, number);
    board.ready += 1;
    spin_for(board.go, 1);
    for (std::uint64_t i = 0; i < board.warm_up; ++i) register_one(registry, ids[i], first + i, nullptr);
    board.ready += 1;
    spin_for(board.go, 2);
    seat.from = ticks();
    for (std::uint64_t i = board.warm_up; i < steps && board.stop.load(std::memory_order_relaxed) == 0; ++i)
        register_one(registry, ids[i], first + i, &seat.histogram);
    seat.to = ticks();
    board.stop = 1;
}

namespace {

Measured contended(Run& run, const char* name, unsigned processes) {
    const std::uint64_t n = run.sized(200'000, 30'000), warm = n / 10;
    Place place(run.options().state_dir, "contended",
                run.adapted(bench_config(static_cast<std::uint32_t>(processes * (n + warm) + 1000))));
    SharedBoard board(place.state_dir(), place.name());
    board->calls = n;
    board->warm_up = warm;
    Children children = start(board, "contend", processes);
    await(board->ready, processes, children);
    board->go = 1;
    await(board->ready, 2ULL * processes, children);
    board->go = 2;
    wait(children);
    place.finish();
    Measured result(name);
    result.processes = processes;
    std::uint64_t from = board->seats[0].from, to = board->seats[0].to;
    for (unsigned i = 0; i < processes; ++i) {
        result.histogram->merge(board->seats[i].histogram);
        from = std::min<std::uint64_t>(from, board->seats[i].from);
        to = std::max<std::uint64_t>(to, board->seats[i].to);
    }
    const double elapsed_ns = run.clock().ns(static_cast<double>(to - from));
    result.ops_per_s = static_cast<double>(result.histogram->n()) / elapsed_ns * 1e9;
    result.number("ns_per_call", 1e9 / result.ops_per_s);
    return result;
}

unsigned usual_processes() { return std::clamp(cpu_count(usable_cpus()), 3U, 8U); }

}  // namespace

void measure_contended(Run& run) {
    const double floor_ns = run.summary(run.need("cache_line_round_trip")).p50 + run.summary(run.need("register")).p50;
    Measured two = contended(run, "register_contended_2", 2);
    two.text("ratio_to", "cache_line_round_trip + register");
    two.number("ratio", 1e9 / two.ops_per_s / floor_ns).number("ratio_base_ns", floor_ns);
    run.add(std::move(two));
    const unsigned n = run.options().processes != 0 ? run.options().processes : usual_processes();
    Measured many = contended(run, "register_contended_N", n);
    const unsigned cpus = cpu_count(usable_cpus());
    many.number("cpus", cpus).text("oversubscribed", n > cpus ? "yes" : "no");
    run.add(std::move(many));
}

}  // namespace riskreg::bench
