#include "place.hpp"

#include <cstdio>
#include <stdexcept>

#include "segment/process.hpp"

namespace riskreg::bench {

void require(const Verdict& verdict, const char* what) {
    if (verdict.taken()) [[likely]]
        return;
    throw std::runtime_error(std::string(what) + " was refused: " + std::string(name_of(verdict.reason)));
}

ProcessConfig process_config(const std::string& state_dir, const std::string& strategy, Durability durability) {
    ProcessConfig config;
    config.state_dir = state_dir;
    config.strategy = strategy;
    config.durability = durability;
    config.request_timeout_ns = config.fact_timeout_ns = 10'000 * kMs;
    config.attach_timeout_ns = kLong;
    return config;
}

Registry open(const Board& board, unsigned strategy, Durability durability) {
    return Registry::open(board.registry, process_config(board.state_dir, "S" + std::to_string(strategy), durability));
}

std::vector<std::string> order_ids(std::size_t first, std::size_t count) {
    std::vector<std::string> ids;
    ids.reserve(count);
    for (std::size_t i = 0; i < count; ++i) ids.push_back(order_id(first + i));
    return ids;
}

Place::Place(std::string state_dir, std::string name, const SharedConfig& config)
    : state_dir_(std::move(state_dir)), name_(std::move(name)) {
    Registry::create(name_, config, state_dir_);
}

Place::~Place() {
    if (finished_) return;
    try {
        Registry::destroy(name_, state_dir_, false, true);
    } catch (const std::exception&) {
        // What failed before is what is told.
    }
}

Registry Place::open(const std::string& strategy, Durability durability) const {
    return Registry::open(name_, process_config(state_dir_, strategy, durability));
}

void Place::finish() {
    const AuditView audit = Reader::open(name_, state_dir_).audit();
    if (!audit.violations.empty()) throw std::runtime_error("the audit of " + name_ + ": " + audit.violations.front());
    std::fprintf(stderr, "riskreg-latency: audit of %s clean, %llu orders, %llu live\n", name_.c_str(),
                 static_cast<unsigned long long>(audit.orders), static_cast<unsigned long long>(audit.live));
    Registry::destroy(name_, state_dir_, false, true);
    finished_ = true;
}

SharedConfig journaled_config(std::uint32_t orders) {
    SharedConfig config = bench_config(orders);
    config.persistence_mode = PersistenceMode::async;
    config.checkpoint_interval_s = 3600;
    config.capacity.ring_events = 1U << 18;
    return config;
}

HostProcess::HostProcess(const SharedBoard& board) : board_(board), child_(board, "host", 0) {
    await(board_->host_ready, 1, child_);
}

HostProcess::~HostProcess() {
    try {
        leave();
    } catch (const std::exception&) {
        // What failed before is what is told.
    }
}

void HostProcess::leave() {
    if (left_) return;
    left_ = true;
    board_->host_stop = 1;
    child_.wait();
}

void host(Board& board, unsigned) {
    unpin(board.cpus);
    ProcessConfig config = process_config(board.state_dir, {});
    config.host_snapshotter = true;
    const Registry registry = Registry::open(board.registry, config);
    while (!registry.is_hosting()) segment::sleep_ns(kMs);
    board.host_ready = 1;
    while (board.host_stop == 0) segment::sleep_ns(kMs);
}

void settle(Registry& registry) {
    // The audit of a Reader is of what is committed, so is this.
    if (!registry.wait_durable(registry.status().committed, kLong)) throw std::runtime_error("the journal does not get on");
}

}  // namespace riskreg::bench
