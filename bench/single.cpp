// riskreg-single: what one step of a call takes, on private tables of the same shape as a registry's, without lock or other
// processes.
// The tables are warm: the figures are about instructions, riskreg-latency is about what a caller meets.
#include <benchmark/benchmark.h>

#include <stdexcept>

#include "common/program.hpp"
#include "core/copy.hpp"
#include "core/decide.hpp"
#include "core/genesis.hpp"
#include "core/order_view.hpp"
#include "core/perform.hpp"
#include "core/scopes.hpp"
#include "persist/checkpoint_fields.hpp"
#include "persist/digest.hpp"
#include "persist/event_json.hpp"
#include "persist/journal_format.hpp"
#include "segment/process.hpp"
#include "segment/robust_mutex.hpp"
#include "workload.hpp"

namespace {

using namespace riskreg;
using namespace riskreg::bench;

constexpr std::uint32_t kLive = 1000;
constexpr std::int64_t kCalls = 100'000;  // of what uses up ids

/// Genesis and a thousand live orders.
struct Tables {
    Tables() {
        const SharedConfig config = bench_config(2 * static_cast<std::uint32_t>(kCalls));
        const std::string json = config_to_json(config);
        tables = core::allocate_state(core::geometry_of(config, json.size()));
        core::make_genesis(state, config, json);
        caller.strategy = static_cast<std::uint16_t>(core::find_strategy(state, "S3"));
        caller.now_ns = segment::realtime_ns();
        caller.steady_ns = segment::boottime_ns();
        while (next < kLive) add();
    }
    [[nodiscard]] core::NewOrder order(std::size_t i) const {
        const std::string id = order_id(i);
        return core::prepare(state, caller, request_for(id, i));
    }
    void add() {
        core::Decision decision(core::Exclusive::alone(state));
        core::decide_register(state, caller, order(next++), nullptr, decision);
        if (!decision.commit) throw std::runtime_error("an order was refused");
        core::perform(core::Exclusive::alone(state), decision);
    }
    core::PrivateState tables;
    core::State& state = tables.state;
    core::Caller caller;
    std::size_t next = 0;
};

Tables& tables() {
    static Tables once;
    return once;
}

void lock_pair(benchmark::State& bench) {
    alignas(64) unsigned char memory[64]{};
    segment::RobustMutex mutex(memory);
    mutex.initialise();
    for (auto _ : bench) {
        benchmark::DoNotOptimize(mutex.lock(1'000'000));
        benchmark::DoNotOptimize(mutex.unlock());
    }
}
BENCHMARK(lock_pair);

void make_id(benchmark::State& bench) {
    const std::string id = order_id(7);
    for (auto _ : bench) {
        benchmark::DoNotOptimize(base::is_valid_id(id));
        benchmark::DoNotOptimize(base::make_id(id));
    }
}
BENCHMARK(make_id);

void order_hash(benchmark::State& bench) {
    base::FixedId id = base::make_id(order_id(7));
    for (auto _ : bench) {
        benchmark::DoNotOptimize(id);
        benchmark::DoNotOptimize(core::order_hash(3, id));
    }
}
BENCHMARK(order_hash);

void notional(benchmark::State& bench) {
    std::int64_t price = 101'250'000'000, quantity = 700'000'000;
    const base::NotionalFactor factor;
    for (auto _ : bench) {
        benchmark::DoNotOptimize(price);
        benchmark::DoNotOptimize(quantity);
        benchmark::DoNotOptimize(base::notional(price, quantity, factor));
    }
}
BENCHMARK(notional);

void find_order(benchmark::State& bench, std::size_t first) {
    const core::State& state = tables().state;
    std::vector<core::NewOrder> orders;
    for (std::size_t i = 0; i < kLive; ++i) orders.push_back(tables().order(first + i));
    std::size_t i = 0;
    for (auto _ : bench) {
        const core::NewOrder& order = orders[i++ % kLive];
        benchmark::DoNotOptimize(core::find_order(state, order.account, order.id, order.hash));
    }
}
BENCHMARK_CAPTURE(find_order, there, 0);
BENCHMARK_CAPTURE(find_order, absent, 1'000'000'000);

void view_order(benchmark::State& bench) {
    std::uint32_t i = 0;
    for (auto _ : bench) benchmark::DoNotOptimize(core::view_order(tables().state, i++ % kLive));
}
BENCHMARK(view_order);

void prepare(benchmark::State& bench) {
    const std::string id = order_id(2 * kLive);
    const OrderRequest request = request_for(id, 2 * kLive);
    for (auto _ : bench) benchmark::DoNotOptimize(core::prepare(tables().state, tables().caller, request));
}
BENCHMARK(prepare);

void decide_register(benchmark::State& bench) {
    const core::NewOrder order = tables().order(1'000'000'000);
    for (auto _ : bench) {
        core::Decision decision(core::Exclusive::alone(tables().state));
        core::decide_register(tables().state, tables().caller, order, nullptr, decision);
        if (!decision.commit) bench.SkipWithError("refused");
        benchmark::DoNotOptimize(decision);
    }
}
BENCHMARK(decide_register);

void decide_refusal(benchmark::State& bench) {
    const std::string id = order_id(1'000'000'000);
    const core::NewOrder order = core::prepare(tables().state, tables().caller, refused_request(id, 0));
    for (auto _ : bench) {
        core::Decision decision(core::Exclusive::alone(tables().state));
        core::decide_register(tables().state, tables().caller, order, nullptr, decision);
        if (decision.commit) bench.SkipWithError("accepted");
        benchmark::DoNotOptimize(decision);
    }
}
BENCHMARK(decide_refusal);

/// Everything that happens under the lock.
void decide_and_perform(benchmark::State& bench) {
    Tables fresh;
    std::vector<core::NewOrder> orders;
    for (std::int64_t i = 0; i < kCalls; ++i) orders.push_back(fresh.order(fresh.next++));
    std::size_t i = 0;
    for (auto _ : bench) {
        core::Decision decision(core::Exclusive::alone(fresh.state));
        core::decide_register(fresh.state, fresh.caller, orders[i++], nullptr, decision);
        if (!decision.commit) bench.SkipWithError("refused");
        core::perform(core::Exclusive::alone(fresh.state), decision);
    }
}
BENCHMARK(decide_and_perform)->Iterations(kCalls);

layout::Event some_event() {
    core::Decision decision;
    core::decide_register(tables().state, tables().caller, tables().order(1'000'000'000), nullptr, decision);
    return decision.event;
}

/// One that was built elsewhere into the ring, checksum included, not committed.
void write_event(benchmark::State& bench) {
    layout::Event event = some_event();
    for (auto _ : bench) benchmark::DoNotOptimize(&core::write_event(core::Exclusive::alone(tables().state), event));
}
BENCHMARK(write_event);

void event_checksum(benchmark::State& bench) {
    layout::Event event = some_event();
    for (auto _ : bench) {
        benchmark::DoNotOptimize(event);
        benchmark::DoNotOptimize(layout::checksum_of(event, 7));
    }
}
BENCHMARK(event_checksum);

void journal_block_checksum(benchmark::State& bench) {
    std::vector<std::byte> block(persist::kBlockPage, std::byte{7});
    for (auto _ : bench) {
        benchmark::DoNotOptimize(persist::checksum_of_block(block));
        benchmark::DoNotOptimize(persist::hash_of_block(block));
    }
    bench.SetBytesProcessed(bench.iterations() * static_cast<std::int64_t>(block.size()));
}
BENCHMARK(journal_block_checksum);

void event_line(benchmark::State& bench) {
    layout::Event event = some_event();
    core::write_event(core::Exclusive::alone(tables().state), event);
    for (auto _ : bench) benchmark::DoNotOptimize(persist::event_to_json(tables().state, event));
}
BENCHMARK(event_line);

/// One order of a checkpoint, written and read.
std::string order_line(const persist::EntityNames& names, std::uint32_t slot) {
    const core::State& state = tables().state;
    layout::OrderIdentity identity = state.orders[slot].identity;
    layout::OrderState order = state.orders[slot].state.newest();
    layout::VenueId venue{};
    std::string line;
    persist::RecordWriter io(line, names);
    persist::order_fields(io, slot, identity, order, venue);
    return line;
}

void checkpoint_line_write(benchmark::State& bench) {
    const persist::EntityNames names(tables().state);
    std::uint32_t i = 0;
    for (auto _ : bench) benchmark::DoNotOptimize(order_line(names, i++ % kLive));
}
BENCHMARK(checkpoint_line_write);

void checkpoint_line_read(benchmark::State& bench) {
    const persist::EntityNames names(tables().state);
    const std::string line = order_line(names, 7);
    persist::RecordReader io(names);
    for (auto _ : bench) {
        layout::OrderIdentity identity{};
        layout::OrderState order{};
        layout::VenueId venue{};
        io.parse(line);
        persist::order_fields(io, 7, identity, order, venue);
        benchmark::DoNotOptimize(order);
    }
}
BENCHMARK(checkpoint_line_read);

void digest_page(benchmark::State& bench) {
    const std::string page(4096, 'x');
    persist::StreamDigest digest{persist::Key{}};
    for (auto _ : bench) digest.add(page);
    bench.SetBytesProcessed(bench.iterations() * static_cast<std::int64_t>(page.size()));
}
BENCHMARK(digest_page);

}  // namespace

int main(int argc, char** argv) {
    return riskreg::program::run("riskreg-single", [&] {
        benchmark::Initialize(&argc, argv);
        if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
        benchmark::RunSpecifiedBenchmarks();
        benchmark::Shutdown();
        return 0;
    });
}
