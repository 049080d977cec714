// Answers that wait for the disk, beside the disk itself; and checkpoints, beside none. The host of the snapshotter is a
// process of its own.
#include <fcntl.h>
#include <unistd.h>

#include <stdexcept>

#include "base/descriptor.hpp"
#include "cases.hpp"
#include "flow.hpp"
#include "segment/process.hpp"

namespace riskreg::bench {

namespace {

constexpr std::size_t kTurn = 50;
constexpr std::uint64_t kIdsOfOne = 100'000'000;

/// The floor: one page over written pages of a file, and a sync.
class RawFile {
public:
    explicit RawFile(const std::string& path) : file_(base::open_path(path, O_RDWR | O_CREAT, 0600)) {
        const std::vector<char> zeroes(kBytes);
        if (!file_.is_open() || ::pwrite(file_.get(), zeroes.data(), kBytes, 0) != kBytes || ::fsync(file_.get()) != 0)
            throw std::runtime_error("cannot write " + path);
    }
    [[nodiscard]] std::uint64_t overwrite_and_sync() {
        const int descriptor = file_.get();
        const std::uint64_t start = ticks();
        const bool written = ::pwrite(descriptor, page_.data(), kPage, next_) == kPage && ::fdatasync(descriptor) == 0;
        const std::uint64_t end = ticks();
        if (!written) throw std::runtime_error("a write to the raw file failed");
        next_ = (next_ + kPage) % kBytes;
        return end - start;
    }

private:
    static constexpr off_t kPage = 4096, kBytes = 1 << 20;
    const base::Descriptor file_;
    const std::vector<char> page_ = std::vector<char>(kPage, 'x');
    off_t next_ = 0;
};

[[nodiscard]] std::uint64_t register_durably(Registry& registry, std::size_t i) {
    const std::string id = order_id(i);
    const OrderRequest request = request_for(id, i);
    const std::uint64_t start = ticks();
    const Verdict verdict = registry.check_and_register(request);
    const std::uint64_t end = ticks();
    require(verdict, "register");
    if (verdict.durability != Durability::durable) throw std::runtime_error("an answer did not wait for the disk");
    return end - start;
}

/// Both meet the same disk: in turns, until there are enough or time is up.
void compare_with_disk(Run& run, const Place& place, Measured& raw, Measured& durable) {
    RawFile file(place.directory() + "/raw");
    Registry registry = place.open("S0", Durability::durable);
    for (std::size_t i = 0; i < kTurn; ++i) static_cast<void>(register_durably(registry, i));
    const std::size_t n = run.sized(4000, 500);
    const std::int64_t deadline = segment::monotonic_ns() + static_cast<std::int64_t>(run.sized(60'000, 5'000)) * kMs;
    for (std::size_t done = 0; done < n && segment::monotonic_ns() < deadline; done += kTurn) {
        for (std::size_t i = 0; i < kTurn; ++i) raw.add(file.overwrite_and_sync());
        for (std::size_t i = 0; i < kTurn; ++i) durable.add(register_durably(registry, kTurn + done + i));
    }
}

constexpr unsigned kSessions = 8;

}  // namespace

void write_durably(Board& board, unsigned number) {
    unpin(board.cpus);
    Seat& seat = board.seats[number];
    Registry registry = open(board, number, Durability::durable);
    board.ready += 1;
    while (board.go == 0) segment::sleep_ns(kMs / 10);
    const std::uint64_t first = (number + 1) * kIdsOfOne;
    for (std::uint64_t i = 0; i < board.calls && board.stop == 0; ++i)
        seat.histogram.add(register_durably(registry, first + i));
}

namespace {

Measured measure_sessions(Run& run, const SharedBoard& board, std::uint64_t most) {
    board->calls = most;
    Children writers = start(board, "write_durably", kSessions);
    await(board->ready, kSessions, writers);
    const std::uint64_t from = ticks();
    board->go = 1;
    segment::sleep_ns(static_cast<std::int64_t>(run.sized(4000, 1000)) * kMs);
    board->stop = 1;
    const std::uint64_t to = ticks();
    wait(writers);
    Measured result("durable_register_8");
    result.processes = kSessions;
    for (unsigned i = 0; i < kSessions; ++i) result.histogram->merge(board->seats[i].histogram);
    result.ops_per_s = static_cast<double>(result.histogram->n()) / run.clock().ns(static_cast<double>(to - from)) * 1e9;
    return result;
}

}  // namespace

void measure_durable(Run& run) {
    // Like the host: on a processor of one's own, raw writes would wait longer for their interrupt than the journaller does.
    unpin(usable_cpus());
    const std::uint64_t most = run.sized(200'000, 50'000);  // of each session: more than any disk takes in that time
    Place place(run.options().state_dir, "durable", run.adapted(journaled_config(static_cast<std::uint32_t>(10 * most))));
    {
        SharedBoard board(place.state_dir(), place.name());
        HostProcess host(board);
        Measured raw("raw_fdatasync"), one("durable_register");
        compare_with_disk(run, place, raw, one);
        Measured eight = measure_sessions(run, board, most);
        host.leave();
        const Summary floor = run.summary(raw), mine = run.summary(one);
        one.ratio("raw_fdatasync", mine, floor);
        eight.ratio("raw_fdatasync", run.summary(eight), floor);
        eight.text("throughput_ratio_to", "durable_register").number("throughput_ratio", eight.ops_per_s * mine.mean / 1e9);
        run.add(std::move(one));
        run.add(std::move(eight));
        run.add(std::move(raw));
    }
    place.finish();
}

// ---- checkpoints --------------------------------------------------------------------------------

void ask_for_checkpoints(Board& board, unsigned number) {
    unpin(board.cpus);
    Registry registry = Registry::open(board.registry, process_config(board.state_dir, {}));
    while (board.stop == 0) {
        if (!registry.checkpoint(kLong)) throw std::runtime_error("no checkpoint");
        board.seats[number].count += 1;
        board.ready = 1;
    }
}

namespace {

/// Bursts of a hundred calls, one due every 10 us, and a pause twice as long: a third of one processor. Each call is counted
/// from when it was due, so a call that is held up makes those behind it slow as well (no coordinated omission). The burst
/// itself is due when the process has woken up: that delay is the machine's.
void run_at_pace(Flow& flow, std::size_t bursts, const Clock& clock, Histogram& histogram) {
    constexpr std::size_t burst = 100;
    const std::uint64_t period = clock.ticks_of(10'000);
    for (std::size_t b = 0; b < bursts; ++b) {
        std::uint64_t due = ticks() + period;
        for (std::size_t i = 0; i < burst; ++i, due += period) {
            spin_until(due);
            static_cast<void>(flow.register_next());
            histogram.add(ticks() - due);
            static_cast<void>(flow.cancel_oldest());
        }
        segment::sleep_ns(2 * kMs);
    }
}

struct Beside {
    Measured with{"register_while_checkpointing"}, without{""};
    std::uint64_t checkpoints = 0;
};

void compare_turn(const SharedBoard& host_board, Flow& flow, std::size_t bursts, const Clock& clock, Beside& beside) {
    run_at_pace(flow, bursts, clock, *beside.without.histogram);
    settle(flow.registry());
    SharedBoard board(host_board->state_dir, host_board->registry);
    Child asker(board, "ask_for_checkpoints", 0);
    await(board->ready, 1, asker);
    const std::uint64_t before = board->seats[0].count;
    run_at_pace(flow, bursts, clock, *beside.with.histogram);
    beside.checkpoints += board->seats[0].count - before;
    board->stop = 1;
    asker.wait();
    settle(flow.registry());
}

}  // namespace

void measure_beside_checkpoints(Run& run) {
    const std::size_t live = run.sized(200'000, 20'000), bursts = run.sized(400, 80), rounds = run.sized(5, 3);
    const std::size_t steps = 2 * bursts * rounds * 100;
    Place place(run.options().state_dir, "checkpoints",
                run.adapted(journaled_config(static_cast<std::uint32_t>(live + steps))));
    {
        SharedBoard board(place.state_dir(), place.name());
        HostProcess host(board);
        Beside beside;
        {
            Flow flow(place.open("S0"), live, steps);
            flow.prefill_journaled(live);
            for (std::size_t round = 0; round < rounds; ++round) compare_turn(board, flow, bursts, run.clock(), beside);
        }
        host.leave();
        const Summary mine = run.summary(beside.with), its = run.summary(beside.without);
        beside.with.number("live", static_cast<double>(live)).ratio("register_without_checkpoints", mine, its);
        beside.with.number("p999_ratio", mine.p999 / its.p999).number("ratio_base_p999_ns", its.p999);
        beside.with.number("checkpoints", static_cast<double>(beside.checkpoints));
        run.add(std::move(beside.with));
    }
    place.finish();
}

}  // namespace riskreg::bench
