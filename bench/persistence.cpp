// What durability costs: durable answers beside a raw overwrite + fdatasync of the same disk, checkpoints beside none,
// and recovery of a large registry. Each comparison is made in turns within one run.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <vector>

#include "segment/process_posix.hpp"
#include "workload.hpp"

namespace {

using namespace riskreg;
using namespace riskreg::bench;

constexpr std::int64_t kMs = 1'000'000;

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "bench: %s\n", what);
    std::_Exit(1);
}

double at(std::vector<double>& values, double q) {
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

/// A child that runs `body` until it returns or is killed.
class Process {
public:
    explicit Process(const std::function<void()>& body) : pid_(::fork()) {
        if (pid_ != 0) return;
        try {
            body();
        } catch (const std::exception& error) {
            fail(error.what());
        }
        std::_Exit(0);
    }
    ~Process() { end(SIGKILL); }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;
    void end(int signal) {
        if (pid_ <= 0) return;
        ::kill(pid_, signal);
        wait();
    }
    void wait() {
        if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }

private:
    pid_t pid_;
};

/// Numbers that children count and the parent reads.
struct Board {
    std::atomic<std::uint64_t> ready, go, stop, count;
};
Board* make_board() {
    void* memory = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) fail("mmap");
    return new (memory) Board{};
}

struct Place {
    std::string dir;
    std::string name = "bench";

    explicit Place(const char* base) : dir(std::string(base) + "/riskreg-bench-XXXXXX") {
        if (::mkdtemp(dir.data()) == nullptr) fail("mkdtemp");
    }
    ~Place() {
        try {
            Registry::destroy(name, dir, false, true);
        } catch (const Error&) {
            // Never created, or destroyed before.
        }
        std::filesystem::remove_all(dir);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    [[nodiscard]] ProcessConfig process(const std::string& strategy = {}) const {
        ProcessConfig config;
        config.state_dir = dir;
        config.strategy = strategy;
        config.request_timeout_ns = config.fact_timeout_ns = 1000 * kMs;
        return config;
    }
};

void host_until_told(const Place& place, Board& board) {
    ProcessConfig config = place.process();
    config.host_snapshotter = true;
    const Registry host = Registry::open(place.name, config);
    while (!host.is_hosting()) segment::sleep_ns(kMs);
    board.ready += 1;
    while (board.stop == 0) segment::sleep_ns(kMs);
}

// ---- durable answers ----------------------------------------------------------------------------

/// The floor: one page over written pages of a file, and a sync.
class RawFile {
public:
    explicit RawFile(const std::string& path) : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT, 0600)), page_(4096, 'x') {
        const std::vector<char> zeroes(kBytes);
        if (descriptor_ < 0 || ::pwrite(descriptor_, zeroes.data(), kBytes, 0) != kBytes || ::fsync(descriptor_) != 0)
            fail("raw file");
    }
    ~RawFile() { ::close(descriptor_); }
    RawFile(const RawFile&) = delete;
    RawFile& operator=(const RawFile&) = delete;
    void overwrite_and_sync() {
        if (::pwrite(descriptor_, page_.data(), 4096, next_) != 4096 || ::fdatasync(descriptor_) != 0) fail("raw write");
        next_ = (next_ + 4096) % kBytes;
    }

private:
    static constexpr ssize_t kBytes = 1 << 20;
    int descriptor_;
    std::vector<char> page_;
    off_t next_ = 0;
};

double us_of(const std::function<void()>& call) {
    const std::int64_t start = segment::monotonic_ns();
    call();
    return static_cast<double>(segment::monotonic_ns() - start) / 1000;
}

void register_or_fail(Registry& registry, std::size_t i, Durability expected) {
    const Verdict verdict = registry.check_and_register(request_for(order_id(i), i));
    if (!verdict.accepted() || verdict.durability != expected) fail("a register was refused or not durable");
}

void durable_latency(const Place& place, std::size_t n) {
    RawFile raw(place.dir + "/raw");
    ProcessConfig config = place.process("S0");
    config.durability = Durability::durable;
    Registry registry = Registry::open(place.name, config);
    std::vector<double> floor, durable;
    constexpr std::size_t turn = 50;
    for (std::size_t i = 0; i < n; ++i) {
        floor.push_back(us_of([&] { raw.overwrite_and_sync(); }));
        if (floor.size() % turn != 0) continue;
        for (std::size_t k = 0; k < turn; ++k)
            durable.push_back(us_of([&] { register_or_fail(registry, durable.size(), Durability::durable); }));
    }
    std::printf(
        "durable, one writer       raw p50 %.1f p99 %.1f us   durable p50 %.1f p99 %.1f us   ratio of p50 %.2f   n=%zu\n",
        at(floor, .5), at(floor, .99), at(durable, .5), at(durable, .99), at(durable, .5) / at(floor, .5), n);
}

/// Durable registers a second by this many sessions.
double throughput(const Place& place, int sessions, std::size_t first_order, std::int64_t ns) {
    Board& board = *make_board();
    std::vector<std::unique_ptr<Process>> writers;
    for (int s = 0; s < sessions; ++s)
        writers.push_back(std::make_unique<Process>([&, s] {
            ProcessConfig config = place.process("S" + std::to_string(s));
            config.durability = Durability::durable;
            Registry registry = Registry::open(place.name, config);
            board.ready += 1;
            while (board.go == 0) segment::sleep_ns(kMs / 10);
            for (std::size_t i = 0; board.stop == 0; ++i, board.count += 1)
                register_or_fail(registry, first_order + static_cast<std::size_t>(s) * 1'000'000 + i, Durability::durable);
        }));
    while (board.ready != static_cast<std::uint64_t>(sessions)) segment::sleep_ns(kMs);
    const std::int64_t start = segment::monotonic_ns();
    board.go = 1;
    segment::sleep_ns(ns);
    board.stop = 1;
    const double seconds = static_cast<double>(segment::monotonic_ns() - start) / 1e9;
    for (auto& writer : writers) writer->wait();
    return static_cast<double>(board.count) / seconds;
}

void durable(bool quick) {
    const Place place("/tmp");
    SharedConfig config = bench_config(4'000'000 / (quick ? 8U : 1U));
    config.persistence_mode = PersistenceMode::async;
    config.checkpoint_interval_s = 3600;
    Registry::create(place.name, config, place.dir);
    Board& board = *make_board();
    Process host([&] { host_until_told(place, board); });
    while (board.ready == 0) segment::sleep_ns(kMs);
    durable_latency(place, quick ? 500 : 4000);
    const std::int64_t ns = (quick ? 300 : 1500) * kMs;
    std::vector<double> ratios;
    std::vector<double> ones, eights;
    for (std::size_t round = 0; round < 3; ++round) {
        ones.push_back(throughput(place, 1, 100'000'000 * (2 * round + 1), ns));
        eights.push_back(throughput(place, 8, 100'000'000 * (2 * round + 2), ns));
        ratios.push_back(eights.back() / ones.back());
    }
    std::printf("durable, throughput       1 session %.0f/s   8 sessions %.0f/s   ratio %.2f   (medians of 3)\n", at(ones, .5),
                at(eights, .5), at(ratios, .5));
    board.stop = 1;
    host.wait();
}

// ---- checkpoints beside writers -----------------------------------------------------------------

void checkpoints(bool quick) {
    const Place place("/tmp");
    const std::size_t live = quick ? 20'000 : 200'000;
    const std::size_t n = quick ? 20'000 : 100'000;
    SharedConfig config = bench_config(static_cast<std::uint32_t>(live + 20 * n));
    config.persistence_mode = PersistenceMode::async;
    config.checkpoint_interval_s = 3600;
    config.capacity.ring_events = 1U << 18;
    Registry::create(place.name, config, place.dir);
    Board& board = *make_board();
    Process host([&] { host_until_told(place, board); });
    while (board.ready == 0) segment::sleep_ns(kMs);
    Registry registry = Registry::open(place.name, place.process("S0"));
    std::size_t next = 0;
    const auto one = [&](std::vector<double>* samples) {
        const std::string id = order_id(next);
        const OrderRequest request = request_for(id, next++);
        const std::int64_t start = segment::monotonic_ns();
        const Verdict verdict = registry.check_and_register(request);
        const std::int64_t end = segment::monotonic_ns();
        if (!verdict.accepted() && verdict.reason != DenyReason::journal_backlog) fail("a register was refused");
        if (samples != nullptr) samples->push_back(static_cast<double>(end - start));
    };
    const auto settle = [&] {
        while (!registry.wait_durable(registry.status().committed, 1000 * kMs)) {
        }
    };
    while (next < live) {
        for (int i = 0; i < 20'000; ++i) one(nullptr);
        settle();
    }
    std::vector<double> without, with;
    std::uint64_t written = 0;
    for (int round = 0; round < 5; ++round) {
        // At the same pace with and without: the run has to span whole checkpoints.
        const auto run = [&](std::vector<double>& samples) {
            for (std::size_t i = 0; i < n; ++i) {
                one(&samples);
                if (i % 1000 == 999) segment::sleep_ns(kMs);
            }
        };
        run(without);
        settle();
        Board& loop = *make_board();
        Process asker([&] {
            Registry mine = Registry::open(place.name, place.process());
            loop.ready = 1;
            while (loop.stop == 0) static_cast<void>(mine.checkpoint(60'000 * kMs));
        });
        while (loop.ready == 0) segment::sleep_ns(kMs);
        const std::uint64_t before = registry.status().checkpoints;
        while (registry.status().checkpoints == before) segment::sleep_ns(kMs);
        run(with);
        written += registry.status().checkpoints - before;
        loop.stop = 1;
        asker.wait();
        settle();
    }
    std::printf(
        "register, %zu live        no checkpoint p50 %.0f p99.9 %.0f ns   checkpoints all the time p50 %.0f p99.9 %.0f ns   "
        "ratio of p50 %.2f, of p99.9 %.2f   (%llu checkpoints meanwhile)\n",
        live, at(without, .5), at(without, .999), at(with, .5), at(with, .999), at(with, .5) / at(without, .5),
        at(with, .999) / at(without, .999), static_cast<unsigned long long>(written));
    board.stop = 1;
    host.wait();
}

// ---- recovery -----------------------------------------------------------------------------------

void recovery(bool quick) {
    const Place place("/tmp");
    const std::size_t live = quick ? 100'000 : 1'000'000;
    SharedConfig config = bench_config(static_cast<std::uint32_t>(live + 1000));
    config.persistence_mode = PersistenceMode::async;
    config.checkpoint_interval_s = 3600;
    config.capacity.ring_events = 1U << 18;
    Registry::create(place.name, config, place.dir);
    std::uint64_t table_bytes = 0;
    std::string segment;
    {
        ProcessConfig process = place.process("S0");
        process.host_snapshotter = true;
        Registry registry = Registry::open(place.name, process);
        table_bytes = registry.status().size_bytes;
        segment = registry.status().segment;
        for (std::size_t i = 0; i < live;) {
            if (registry.check_and_register(request_for(order_id(i), i)).accepted()) ++i;
            else segment::sleep_ns(kMs);
            if (i == live / 10 * 9 && !registry.checkpoint(120'000 * kMs)) fail("no checkpoint");
        }
    }
    ::unlink(("/dev/shm/" + segment).c_str());
    for (int round = 0; round < 3; ++round) {
        Process recoverer([&] {
            const std::int64_t start = segment::monotonic_ns();
            const RecoverView view = Registry::recover(place.name, place.dir);
            const double seconds = static_cast<double>(segment::monotonic_ns() - start) / 1e9;
            rusage usage{};
            ::getrusage(RUSAGE_SELF, &usage);
            const double peak = static_cast<double>(usage.ru_maxrss) * 1024;
            std::printf(
                "recovery of %zu live      %.2f s, %.0f MB/s of %.0f MB on disk, %llu events of the journal; peak memory %.0f "
                "MiB "
                "= %.2f x tables (%.0f MiB)\n",
                live, seconds, static_cast<double>(view.bytes) / 1e6 / seconds, static_cast<double>(view.bytes) / 1e6,
                static_cast<unsigned long long>(view.events), peak / 1048576, peak / static_cast<double>(table_bytes),
                static_cast<double>(table_bytes) / 1048576);
            std::fflush(stdout);
        });
        recoverer.wait();
        const AuditView audit = Reader::open(place.name, place.dir).audit();
        if (!audit.violations.empty() || audit.live != live) fail("the audit after recovery");
        if (round < 2) ::unlink(("/dev/shm/" + segment).c_str());
    }
}

}  // namespace

int main(int argc, char** argv) {
    bool quick = false;
    std::string only;
    for (int i = 1; i < argc; ++i) std::strcmp(argv[i], "--quick") == 0 ? void(quick = true) : void(only = argv[i]);
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    std::printf("%ld cores\n", ::sysconf(_SC_NPROCESSORS_ONLN));
    if (only.empty() || only == "durable") durable(quick);
    if (only.empty() || only == "checkpoints") checkpoints(quick);
    if (only.empty() || only == "recovery") recovery(quick);
    return 0;
}
