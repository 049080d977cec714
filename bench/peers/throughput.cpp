// What several writers at once get onto the disk, in rounds of each peer in turn. A process each, or a thread where the store
// belongs to one process.
#include <sys/mman.h>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "check.hpp"
#include "child_process.hpp"
#include "measure.hpp"
#include "place.hpp"

namespace riskreg::bench::peers {

namespace {

constexpr std::size_t kLive = 1000;
constexpr std::size_t kOrdersOfWriter = 1'000'000;   // numbers, not orders
constexpr std::int64_t kMs = 1'000'000;

/// Numbers that writers count and the parent reads, in memory that forked children share.
struct Board {
    static constexpr std::size_t kTimes = 1 << 20;
    std::atomic<std::uint64_t> ready, failed, go, stop, count;
    std::atomic<std::uint64_t> elapsed[kTimes];   // of the calls, in ticks
};

class SharedBoard {
public:
    SharedBoard() : memory_(::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
        if (memory_ == MAP_FAILED) throw std::runtime_error("mmap failed");
    }
    ~SharedBoard() { ::munmap(memory_, sizeof(Board)); }
    SharedBoard(const SharedBoard&) = delete;
    SharedBoard& operator=(const SharedBoard&) = delete;
    Board* operator->() const noexcept { return static_cast<Board*>(memory_); }

private:
    void* memory_;   // zeroes are a Board that nobody has touched
};

void write_until_told(Peer& peer, const SharedBoard& board, std::uint16_t writer, std::size_t first_order) {
    const std::unique_ptr<Session> session = peer.open(writer);
    board->ready += 1;
    while (board->go == 0) segment::sleep_ns(kMs / 10);
    for (std::size_t i = 0; board->stop == 0; ++i) {
        const Order order = order_for(first_order + i, writer);
        const std::uint64_t start = ticks();
        const Answer answer = session->register_order(order);
        const std::uint64_t end = ticks();
        if (answer != Answer::accepted) throw std::runtime_error("a registration was refused");
        const std::uint64_t at = board->count.fetch_add(1);
        if (at < Board::kTimes) board->elapsed[at] = end - start;
    }
}

/// One peer through all rounds.
class Crowd {
public:
    Crowd(const PeerType& type, const Setup& setup, int writers) : type_(type), folder_(setup.dir), writers_(writers) {
        Setup own = setup;
        own.dir = folder_.path();
        peer_ = type.make(own);
        result_.type = &type;
        result_.synced = setup.synced;
        result_.live = kLive;
        result_.writers = writers;
    }
    void load(const std::vector<Order>& orders, const std::vector<Row>& rows) { peer_->load(orders, rows); }
    void round(std::size_t number, const Plan& plan, const Clock& clock) {
        const SharedBoard board;
        type_.writers == Writers::processes ? by_processes(board, number, plan) : by_threads(board, number, plan);
        const std::uint64_t count = board->count;
        registered_ += count;
        for (std::size_t i = 0; i < std::min<std::size_t>(count, Board::kTimes); ++i)
            result_.samples.add(clock.ns(board->elapsed[i]));
    }
    void finish(Report& report) {
        check_totals(*peer_, type_.name, kLive + registered_);
        std::sort(rates_.begin(), rates_.end());
        result_.ops_per_s = rates_[rates_.size() / 2];
        report.add(result_);
    }

private:
    [[nodiscard]] std::size_t first_order(std::size_t round, int writer) const noexcept {
        return (round + 1) * 100'000'000 + static_cast<std::size_t>(writer) * kOrdersOfWriter;
    }
    void by_processes(const SharedBoard& board, std::size_t number, const Plan& plan) {
        std::vector<ChildProcess> children;
        for (int w = 0; w < writers_; ++w)
            children.emplace_back(
                [&, w] { write_until_told(*peer_, board, static_cast<std::uint16_t>(w), first_order(number, w)); });
        const auto all_run = [&] {
            return std::all_of(children.begin(), children.end(), [](ChildProcess& child) { return child.is_running(); });
        };
        time_them(board, plan, all_run);
        for (ChildProcess& child : children)
            if (!child.wait()) throw std::runtime_error(std::string(type_.name) + ": a writer failed");
    }
    void by_threads(const SharedBoard& board, std::size_t number, const Plan& plan) {
        std::vector<std::jthread> threads;
        for (int w = 0; w < writers_; ++w)
            threads.emplace_back([&, w] {
                try {
                    write_until_told(*peer_, board, static_cast<std::uint16_t>(w), first_order(number, w));
                } catch (const std::exception& error) {
                    std::fprintf(stderr, "riskreg-peers: %s\n", error.what());
                    board->failed += 1;
                }
            });
        time_them(board, plan, [&] { return board->failed == 0; });
        threads.clear();
        if (board->failed != 0) throw std::runtime_error(std::string(type_.name) + ": a writer failed");
    }
    template <class AllRun>
    void time_them(const SharedBoard& board, const Plan& plan, AllRun all_run) {
        bool running = true;
        while (board->ready != static_cast<std::uint64_t>(writers_) && (running = all_run())) segment::sleep_ns(kMs);
        const std::int64_t start = segment::monotonic_ns();
        board->go = 1;
        if (running) segment::sleep_ns(plan.throughput_ns);
        const std::uint64_t count = board->count;
        rates_.push_back(static_cast<double>(count) * 1e9 / static_cast<double>(segment::monotonic_ns() - start));
        board->stop = 1;
    }

    const PeerType& type_;
    TemporaryFolder folder_;
    int writers_;
    std::unique_ptr<Peer> peer_;
    std::uint64_t registered_ = 0;
    std::vector<double> rates_;
    Result result_;
};

}  // namespace

void measure_throughput(const std::vector<PeerType>& types, const Folders& folders, int writers, const Plan& plan,
                        const Clock& clock, Report& report) {
    const Setup setup{folders.disk, true, bench_config(1'000'000)};
    std::vector<Order> orders;
    std::vector<Row> rows = rows_of(setup.config);
    for (std::size_t i = 0; i < kLive; ++i) {
        orders.push_back(order_for(i));
        for (const std::uint32_t number : row_numbers(orders.back())) reserve(orders.back(), rows[number]);
    }
    std::vector<std::unique_ptr<Crowd>> crowds;
    for (const PeerType& type : types) {
        if (!type.has_synced) continue;
        crowds.push_back(std::make_unique<Crowd>(type, setup, writers));
        crowds.back()->load(orders, rows);
    }
    sync_disk(folders.disk);
    for (std::size_t number = 0; number < static_cast<std::size_t>(plan.rounds); ++number)
        for (const auto& crowd : crowds) {
            throw_if_told_to_end();
            crowd->round(number, plan, clock);
        }
    report.heading(true, kLive, writers);
    for (const auto& crowd : crowds) crowd->finish(report);
}

}  // namespace riskreg::bench::peers
