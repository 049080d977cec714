// Latency of an uncontended check_and_register over six scope rows, beside an empty lock/unlock pair of the very
// same mutex, in one run. Percentiles per call; the cost of reading the clock is measured and taken off, openly.
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "registry/attachment.hpp"
#include "riskreg/registry.hpp"
#include "segment/process_posix.hpp"
#include "segment/robust_mutex_posix.hpp"
#include "segment/state_lock.hpp"
#include "workload.hpp"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace {

using namespace riskreg;
using namespace riskreg::bench;

/// Fenced, so that neither what is measured nor its surroundings slip across the reading.
std::uint64_t ticks() noexcept {
#if defined(__x86_64__)
    _mm_lfence();
    const std::uint64_t now = __rdtsc();
    _mm_lfence();
    return now;
#else
    return static_cast<std::uint64_t>(segment::monotonic_ns());
#endif
}

/// Ticks of a nanosecond, measured over 100 ms.
double ticks_per_ns() {
    const std::int64_t start_ns = segment::monotonic_ns();
    const std::uint64_t start = ticks();
    while (segment::monotonic_ns() - start_ns < 100'000'000) {
    }
    return static_cast<double>(ticks() - start) / static_cast<double>(segment::monotonic_ns() - start_ns);
}

struct Percentiles {
    double p50, p99, p999, max;
};

class Samples {
public:
    explicit Samples(std::size_t n) { values_.reserve(n); }
    void add(std::uint64_t value) { values_.push_back(value); }
    Percentiles in_ns(double per_ns, double timer_ns) {
        std::sort(values_.begin(), values_.end());
        const auto at = [&](double q) {
            const auto index = static_cast<std::size_t>(q * static_cast<double>(values_.size() - 1));
            return static_cast<double>(values_[index]) / per_ns - timer_ns;
        };
        return {at(0.5), at(0.99), at(0.999), at(1.0)};
    }

private:
    std::vector<std::uint64_t> values_;
};

template <class Call>
Percentiles measure(std::size_t n, double per_ns, double timer_ns, Call call) {
    Samples samples(n);
    for (std::size_t i = 0; i < n; ++i) {
        const std::uint64_t start = ticks();
        call(i);
        samples.add(ticks() - start);
    }
    return samples.in_ns(per_ns, timer_ns);
}

void print(const char* name, const Percentiles& p, const Percentiles& pair, std::size_t n) {
    std::printf("%-24s p50 %7.0f  p99 %7.0f  p99.9 %7.0f  max %9.0f ns   x pair mean: p50 %5.2f  p99 %6.2f   n=%zu\n", name,
                p.p50, p.p99, p.p999, p.max, p.p50 / pair.p50, p.p99 / pair.p50, n);
}

/// Registers with `live` orders standing; each timed order is canceled 1000 orders later, so that the number stays.
void run(const std::string& state_dir, std::size_t live, std::size_t n, double per_ns, double timer_ns) {
    const std::string name = "bench" + std::to_string(live);
    Registry::create(name, bench_config(static_cast<std::uint32_t>(live + 2 * n + 1000)), state_dir);
    ProcessConfig process;
    process.state_dir = state_dir;
    process.strategy = "S3";
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < live + 2 * n; ++i) ids.push_back(order_id(i));
    {
        Registry registry = Registry::open(name, process);
        const auto fail_unless = [](bool ok, const char* what) {
            if (!ok) std::fprintf(stderr, "bench: %s was refused\n", what), std::exit(1);
        };
        for (std::size_t i = 0; i < live; ++i)
            fail_unless(registry.check_and_register(request_for(ids[i], i)).accepted(), "prefill");

        auto second = registry::attach(name, state_dir, 1'000'000'000);
        segment::RobustMutex mutex(segment::mutex_memory(second.state));
        const auto empty_pair = [&](std::size_t) {
            static_cast<void>(mutex.lock(1'000'000));
            static_cast<void>(mutex.unlock());
        };
        measure(n, per_ns, timer_ns, empty_pair);   // warm up
        const Percentiles pair = measure(n, per_ns, timer_ns, empty_pair);
        // The counter's steps are coarse beside one pair: 64 of them at once give the mean.
        Percentiles mean = measure(n / 64, per_ns, timer_ns, [&](std::size_t) {
            for (std::size_t i = 0; i < 64; ++i) empty_pair(i);
        });
        for (double* value : {&mean.p50, &mean.p99, &mean.p999, &mean.max}) *value /= 64;

        Samples registers(n);
        std::size_t cancel_at = live;
        for (std::size_t i = 0; i < 2 * n; ++i) {
            const OrderRequest request = request_for(ids[live + i], live + i);
            const std::uint64_t start = ticks();
            const Verdict verdict = registry.check_and_register(request);
            const std::uint64_t end = ticks();
            fail_unless(verdict.accepted(), "register");
            if (i >= n) registers.add(end - start);   // the first half warms up
            if (i < 1000) continue;
            OrderEvent canceled;
            canceled.kind = EventKind::canceled;
            canceled.id = ids[cancel_at];
            canceled.account = request_for(ids[cancel_at], cancel_at).account;
            ++cancel_at;
            fail_unless(registry.event(canceled).result == Result::ok, "cancel");
        }
        const Percentiles registered = registers.in_ns(per_ns, timer_ns);
        OrderView view;
        const Percentiles found = measure(n, per_ns, timer_ns, [&](std::size_t i) {
            const OrderRequest request = request_for(ids[live + i], live + i);
            static_cast<void>(registry.find(request.account, request.id, view));
        });
        std::printf("%zu live orders, %d rows\n", live,
                    1 + kAccounts + kStrategies + 1 + kInstruments * (1 + kAccounts + kStrategies + 1));
        print("lock_pair", pair, mean, n);
        print("lock_pair mean of 64", mean, mean, n / 64);
        print("register", registered, mean, n);
        print("find", found, mean, n);
    }
    // Every benchmark ends by auditing the state it made.
    const AuditView audit = Reader::open(name, state_dir).audit();
    std::printf("audit: %s, %llu orders\n\n", audit.violations.empty() ? "clean" : audit.violations.front().c_str(),
                static_cast<unsigned long long>(audit.orders));
    Registry::destroy(name, state_dir, false, true);
    if (!audit.violations.empty()) std::exit(1);
}

/// One registry of the comparison: orders are registered, and canceled a thousand later.
class Competitor {
public:
    Competitor(const std::string& state_dir, const char* name, Controls controls, std::size_t orders)
        : state_dir_(state_dir), name_(name) {
        Registry::create(name_, bench_config(static_cast<std::uint32_t>(orders + 1000), controls), state_dir);
        ProcessConfig process;
        process.state_dir = state_dir;
        process.strategy = "S3";
        registry_.emplace(Registry::open(name_, process));
        if (controls == Controls::first_set) return;
        for (int i = 0; i < kInstruments; ++i)
            require(registry_->reference_price(InstrumentId{static_cast<std::uint32_t>(i)}, Price{101'000'000'000}),
                    "reference price");
    }
    std::uint64_t step(const std::vector<std::string>& ids, std::size_t i) {
        const OrderRequest request = request_for(ids[i], i);
        const std::uint64_t start = ticks();
        const Verdict verdict = registry_->check_and_register(request);
        const std::uint64_t end = ticks();
        require(verdict, "register");
        if (i < 1000) return end - start;
        require(registry_->canceled(request_for(ids[i - 1000], i - 1000).account, ids[i - 1000]), "cancel");
        return end - start;
    }
    void finish() {
        registry_.reset();
        const AuditView audit = Reader::open(name_, state_dir_).audit();
        std::printf("audit of %s: %s\n", name_.c_str(), audit.violations.empty() ? "clean" : audit.violations.front().c_str());
        Registry::destroy(name_, state_dir_, false, true);
        if (!audit.violations.empty()) std::exit(1);
    }

private:
    static void require(const Verdict& verdict, const char* what) {
        if (verdict.taken()) return;
        const std::string_view reason = name_of(verdict.reason);
        std::fprintf(stderr, "bench: %s was refused: %.*s\n", what, static_cast<int>(reason.size()), reason.data());
        std::exit(1);
    }
    std::string state_dir_, name_;
    std::optional<Registry> registry_;
};

/// Everything switched on against the first set of checks: call by call in turn, so that both meet the same machine.
void compare_controls(const std::string& state_dir, std::size_t n, double per_ns, double timer_ns) {
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < 2 * n; ++i) ids.push_back(order_id(i));
    Competitor first(state_dir, "first", Controls::first_set, 2 * n);
    Competitor all(state_dir, "all", Controls::all, 2 * n);
    Samples first_samples(n), all_samples(n);
    for (std::size_t i = 0; i < 2 * n; ++i) {
        const std::uint64_t with_first = first.step(ids, i);
        const std::uint64_t with_all = all.step(ids, i);
        if (i < n) continue;   // the first half warms up
        first_samples.add(with_first);
        all_samples.add(with_all);
    }
    const Percentiles one = first_samples.in_ns(per_ns, timer_ns);
    const Percentiles two = all_samples.in_ns(per_ns, timer_ns);
    for (const auto& [name, p] : {std::pair{"register", one}, std::pair{"register_all_controls", two}})
        std::printf("%-24s p50 %7.0f  p99 %7.0f  p99.9 %7.0f ns   x register: p50 %5.2f  p99 %5.2f   n=%zu\n", name, p.p50,
                    p.p99, p.p999, p.p50 / one.p50, p.p99 / one.p99, n);
    first.finish();
    all.finish();
    std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t n = argc > 1 && std::strcmp(argv[1], "--quick") == 0 ? 20'000 : 200'000;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(0, &cpus);
    ::sched_setaffinity(0, sizeof cpus, &cpus);
    const double per_ns = ticks_per_ns();
    const double timer_ns = measure(100'000, per_ns, 0, [](std::size_t) {}).p50;
    std::printf("timer pair %.0f ns (taken off), %.2f ticks/ns, pinned to CPU 0 of %ld\n\n", timer_ns, per_ns,
                ::sysconf(_SC_NPROCESSORS_ONLN));
    std::string state_dir = (std::filesystem::temp_directory_path() / "riskreg-bench-XXXXXX").string();
    if (::mkdtemp(state_dir.data()) == nullptr) return 1;
    compare_controls(state_dir, n, per_ns, timer_ns);
    run(state_dir, 1'000, n, per_ns, timer_ns);
    run(state_dir, n >= 200'000 ? 1'000'000 : 100'000, n, per_ns, timer_ns);
    std::filesystem::remove_all(state_dir);
    return 0;
}
