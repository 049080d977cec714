// What large registries cost: checkpoints, coming back from disk, calls beside a million live orders; and how fast the
// journal is written and read. The million orders are made once.
#include <sys/resource.h>

#include <filesystem>
#include <optional>
#include <stdexcept>

#include "base/descriptor.hpp"
#include "cases.hpp"
#include "core/audit.hpp"
#include "core/copy.hpp"
#include "core/genesis.hpp"
#include "flow.hpp"
#include "persist/recovery.hpp"
#include "registry/attachment.hpp"
#include "segment/mapping.hpp"
#include "segment/process.hpp"

namespace riskreg::bench {

namespace {

constexpr std::size_t kMillion = 1'000'000;
constexpr std::size_t kInCheckpoint = 900'000;
constexpr std::size_t kThousand = 1000;
namespace fs = std::filesystem;

/// Of the checkpoints in a directory, oldest first.
std::vector<std::uint64_t> checkpoints_in(const std::string& directory) {
    std::vector<std::string> names;
    if (!base::list_directory(directory, names)) throw std::runtime_error("cannot list " + directory);
    std::vector<std::uint64_t> found;
    for (const std::string& name : names)
        if (const std::uint64_t seq = persist::checkpoint_seq_of(name); seq != 0) found.push_back(seq);
    std::sort(found.begin(), found.end());
    return found;
}

std::string checkpoint_path(const Place& place, std::uint64_t seq) {
    return place.directory() + '/' + persist::checkpoint_name(seq);
}

double mb_per_s(double bytes, double ns) { return bytes * 1e3 / ns; }

// ---- the million, and checkpoints of it ---------------------------------------------------------

std::uint64_t timed_checkpoint(Registry& registry) {
    const std::uint64_t start = ticks();
    const bool written = registry.checkpoint(kLong);
    const std::uint64_t end = ticks();
    if (!written) throw std::runtime_error("no checkpoint was written");
    return end - start;
}

/// Leaves a checkpoint of nine tenths and the journal behind it, and tells what a checkpoint of all takes. The host has its
/// replica already, as in a registry that has run for some time, so only what came since the first checkpoint is replayed.
void make_million(Run& run, const Place& place, std::size_t checkpoints) {
    SharedBoard board(place.state_dir(), place.name());
    HostProcess host(board);
    Measured result("checkpoint_1m");
    {
        Flow flow(place.open("S3"), kMillion, checkpoints);
        flow.prefill_journaled(kInCheckpoint);
        static_cast<void>(timed_checkpoint(flow.registry()));
        flow.prefill_journaled(kMillion);
        for (std::size_t i = 0; i < checkpoints; ++i) {
            static_cast<void>(flow.step());
            result.add(timed_checkpoint(flow.registry()));
        }
    }
    host.leave();
    const std::vector<std::uint64_t> found = checkpoints_in(place.directory());
    const auto bytes = static_cast<double>(fs::file_size(checkpoint_path(place, found.back())));
    result.number("live", kMillion).text("unit", "MB/s").number("value", mb_per_s(bytes, run.summary(result).p50));
    result.number("bytes", bytes);
    run.add(std::move(result));
    for (const std::uint64_t seq : found)
        if (seq != found.front()) fs::remove(checkpoint_path(place, seq));
}

}  // namespace

// ---- coming back --------------------------------------------------------------------------------

void recover(Board& board, unsigned number) {
    unpin(board.cpus);  // recovery has threads of its own
    Seat& seat = board.seats[number];
    seat.from = ticks();
    const RecoverView view = Registry::recover(board.registry, board.state_dir);
    seat.to = ticks();
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    seat.values = {view.bytes, view.events, static_cast<std::uint64_t>(usage.ru_maxrss) * 1024};
}

namespace {

struct Segment {
    std::string name;
    std::uint64_t bytes;
};

Segment segment_of(const Place& place) {
    const StatusView status = Reader::open(place.name(), place.state_dir()).status();
    if (status.orders_live != kMillion) throw std::runtime_error("there are not a million live orders");
    return {status.segment, status.size_bytes};
}

void measure_recovery(Run& run, const Place& place, unsigned rounds) {
    const Segment segment = segment_of(place);
    SharedBoard board(place.state_dir(), place.name());
    Measured result("recover_1m");
    for (unsigned round = 0; round < rounds; ++round) {
        segment::remove_segment(segment.name);
        Child(board, "recover", round).wait();
        result.add(board->seats[round].to - board->seats[round].from);
    }
    static_cast<void>(segment_of(place));
    const Seat& seat = board->seats[0];
    const auto bytes = static_cast<double>(seat.values[0]), peak = static_cast<double>(seat.values[2]);
    result.number("live", kMillion).text("unit", "MB/s").number("value", mb_per_s(bytes, run.summary(result).p50));
    result.number("bytes", bytes).number("journal_events", static_cast<double>(seat.values[1]));
    result.number("peak_bytes", peak).number("tables_bytes", static_cast<double>(segment.bytes));
    run.add(std::move(result));
}

// ---- calls beside a million ---------------------------------------------------------------------

/// What a rebuilt registry waits for: somebody's word that it agrees with the venue.
void release(const Place& place) { require(place.open({}).release_unreconciled("benchmark"), "release"); }

/// Both journaled and without a host, so that no other process takes part; their rings have room for all of it.
/// `made`: steps that the million has seen.
void compare_live(Run& run, const Place& million, std::size_t made, std::size_t warm, std::size_t n) {
    Place thousand(million.state_dir(), "thousand",
                   run.adapted(journaled_config(static_cast<std::uint32_t>(kThousand + warm + n))));
    {
        Flow few(thousand.open("S3"), kThousand, warm + n), many(million.open("S3"), kMillion, made + warm + n);
        few.prefill();
        many.take_over(made);
        Measured one("register_1k_live"), other("register_1m_live");
        for (std::size_t i = 0; i < warm + n; ++i) {
            const std::uint64_t with_few = few.step(), with_many = many.step();
            if (i < warm) continue;
            one.add(with_few);
            other.add(with_many);
        }
        const Summary base = run.summary(one), mine = run.summary(other);
        one.number("live", kThousand);
        other.number("live", kMillion).ratio("register_1k_live", mine, base).number("p99_ratio", mine.p99 / base.p99);
        run.add(std::move(one));
        run.add(std::move(other));
    }
    thousand.finish();
}

}  // namespace

void measure_million(Run& run) {
    const std::size_t n = run.sized(60'000, 20'000), warm = n / 3, checkpoints = run.sized(3, 1);
    SharedConfig config = run.adapted(journaled_config(static_cast<std::uint32_t>(kMillion + warm + n + 1000)));
    config.keep_checkpoints = 8;
    Place place(run.options().state_dir, "million", config);
    make_million(run, place, checkpoints);
    measure_recovery(run, place, static_cast<unsigned>(run.sized(5, 1)));
    release(place);
    compare_live(run, place, checkpoints, warm, n);
    place.finish();
}

// ---- the journal --------------------------------------------------------------------------------

namespace {

void register_when_there_is_room(Registry& registry, std::size_t i) {
    const std::string id = order_id(i);
    const OrderRequest request = request_for(id, i);
    for (;;) {
        const Verdict verdict = registry.check_and_register(request);
        if (verdict.accepted()) return;
        if (verdict.reason != DenyReason::journal_backlog) require(verdict, "register");
        segment::sleep_ns(kMs / 20);
    }
}

}  // namespace

void fill_journal(Board& board, unsigned) {
    pin(board.cpus, 0);
    Registry registry = open(board, 0);
    board.ready = 1;
    spin_for(board.go, 1);
    for (std::size_t i = 0; i < board.calls; ++i) {
        register_when_there_is_room(registry, i);
        if (i < kThousand) continue;
        const std::string id = order_id(i - kThousand);
        require(registry.canceled(request_for(id, i - kThousand).account, id), "cancel");
    }
    board.done = 1;
}

void replay_journal(Board& board, unsigned number) {
    unpin(board.cpus);
    Seat& seat = board.seats[number];
    persist::Directory directory;
    if (persist::Directory::open(std::string(board.state_dir) + '/' + board.registry, directory))
        throw std::runtime_error("cannot open the directory of the journal");
    persist::Sources sources(directory, {});
    core::PrivateState tables;
    const auto fresh = [&](const std::string& json) -> core::State& {
        const SharedConfig config = parse_config(json);
        tables = core::allocate_state(core::geometry_of(config, json.size()));
        core::make_genesis(tables.state, config, json);
        return tables.state;
    };
    seat.from = ticks();
    const persist::RecoveryReport report = persist::restore(directory, sources, fresh, {});
    seat.to = ticks();
    seat.values = {report.events, report.bytes};
    if (!core::audit(tables.state).clean()) throw std::runtime_error("what was replayed fails its audit");
}

namespace {

/// Notes how long each 4,096 events took to become durable, as far as looking every 0.1 ms tells: of several that came at
/// once, each takes its part of the time.
class DurableWatch {
public:
    explicit DurableWatch(const Place& place) : attachment_(registry::attach_reader(place.name(), place.state_dir())) {}
    [[nodiscard]] std::uint64_t durable() const noexcept { return layout::load_acquire(attachment_.state.marks->durable); }
    [[nodiscard]] std::uint64_t committed() const noexcept { return layout::load_acquire(attachment_.state.log->committed); }
    void begin() noexcept {
        noted_ = durable();
        noted_at_ = ticks();
    }
    void look(Measured& result) {
        const std::uint64_t blocks = (durable() - noted_) / kEvents, now = ticks();
        if (blocks == 0) return;
        for (std::uint64_t i = 0; i < blocks; ++i) result.add((now - noted_at_) / blocks);
        noted_ += blocks * kEvents;
        noted_at_ = now;
    }

private:
    static constexpr std::uint64_t kEvents = 4096;
    registry::Attachment attachment_;
    std::uint64_t noted_ = 0, noted_at_ = 0;
};

void measure_journaller(Run& run, const Place& place, std::uint64_t orders) {
    SharedBoard board(place.state_dir(), place.name());
    HostProcess host(board);
    board->calls = orders;
    Child filler(board, "fill_journal", 0);
    await(board->ready, 1, filler);
    Measured result("journal_mb_s");
    result.processes = 2;
    DurableWatch watch(place);
    watch.begin();
    const std::uint64_t before = watch.durable(), start = ticks();
    board->go = 1;
    while (board->done == 0 || watch.durable() < watch.committed()) {
        segment::sleep_ns(kMs / 10);
        watch.look(result);
        if (!filler.is_running() && board->done == 0) throw std::runtime_error("the writer failed");
    }
    const double ns = run.clock().ns(static_cast<double>(ticks() - start));
    const auto events = static_cast<double>(watch.durable() - before);
    filler.wait();
    host.leave();
    result.ops_per_s = events / ns * 1e9;
    result.text("unit", "MB/s").number("value", mb_per_s(events * sizeof(layout::Event), ns)).number("events", events);
    run.add(std::move(result));
}

void measure_replay(Run& run, const Place& place, unsigned rounds) {
    SharedBoard board(place.state_dir(), place.name());
    Measured result("replay_events_s");
    for (unsigned round = 0; round < rounds; ++round) {
        Child(board, "replay_journal", round).wait();
        result.add(board->seats[round].to - board->seats[round].from);
    }
    const auto events = static_cast<double>(board->seats[0].values[0]);
    const double ns = run.summary(result).p50;
    result.ops_per_s = events / ns * 1e9;
    result.text("unit", "events/s").number("value", result.ops_per_s).number("events", events);
    result.number("mb_per_s", mb_per_s(static_cast<double>(board->seats[0].values[1]), ns));
    run.add(std::move(result));
}

}  // namespace

void measure_journal(Run& run) {
    const std::uint64_t orders = run.sized(800'000, 200'000);
    Place place(run.options().state_dir, "journal", run.adapted(journaled_config(static_cast<std::uint32_t>(orders))));
    measure_journaller(run, place, orders);
    measure_replay(run, place, static_cast<unsigned>(run.sized(5, 2)));
    place.finish();
}

}  // namespace riskreg::bench
