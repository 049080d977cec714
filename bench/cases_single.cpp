// Calls of one process that nobody disturbs. Each call is timed by itself, back to back: nothing is due at any time, so no
// delay can hide another one (no coordinated omission).
#include <optional>
#include <stdexcept>

#include "cases.hpp"
#include "flow.hpp"
#include "registry/attachment.hpp"
#include "segment/process.hpp"
#include "segment/robust_mutex.hpp"
#include "segment/state_lock.hpp"

namespace riskreg::bench {

namespace {

constexpr std::size_t kLive = 1000;

/// The registry's own lock, reached through a second attachment.
class EmptyPair {
public:
    explicit EmptyPair(const Place& place)
        : attachment_(registry::attach(place.name(), place.state_dir(), kLong)),
          mutex_(segment::mutex_memory(attachment_.state)) {}
    void once() noexcept {
        static_cast<void>(mutex_.lock(kMs));
        static_cast<void>(mutex_.unlock());
    }
    [[nodiscard]] std::uint64_t timed() noexcept {
        const std::uint64_t start = ticks();
        once();
        return ticks() - start;
    }
    /// 64 at once: where the counter's steps are coarse beside one pair, this tells its mean.
    [[nodiscard]] std::uint64_t timed_64() noexcept {
        const std::uint64_t start = ticks();
        for (int i = 0; i < 64; ++i) once();
        return ticks() - start;
    }

private:
    registry::Attachment attachment_;
    segment::RobustMutex mutex_;
};

// ---- lock_pair, register ------------------------------------------------------------------------

void compare_with_lock(Run& run, const Place& place, Flow& flow, std::size_t warm, std::size_t n) {
    EmptyPair pair(place);
    Measured lock("lock_pair"), registers("register"), pairs("");
    for (std::size_t i = 0; i < warm + n; ++i) {
        const std::uint64_t pair_ticks = pair.timed();
        const std::uint64_t register_ticks = flow.step();
        if (i < warm) continue;
        lock.add(pair_ticks);
        registers.add(register_ticks);
        if (i % 64 == 0) pairs.add(pair.timed_64());
    }
    const Summary base = run.summary(lock), mine = run.summary(registers);
    const double mean = run.summary(pairs).p50 / 64;
    lock.number("mean64_ns", mean);
    registers.number("live", kLive).ratio("lock_pair", mine, base);
    if (base.p50 >= 1) registers.number("p99_ratio", mine.p99 / base.p50);
    registers.number("ratio_to_mean64", mine.p50 / mean);
    run.add(std::move(lock));
    run.add(std::move(registers));
}

// ---- the other calls ----------------------------------------------------------------------------

/// Orders of ten lots that live a thousand steps, and what happens to them on the way.
class LifeCycle {
public:
    LifeCycle(Registry& registry, std::size_t first, std::size_t steps)
        : registry_(registry), first_(first), ids_(order_ids(first, steps)), refused_(order_ids(first + steps, steps)) {}

    void begin(std::size_t i) {
        require(registry_.check_and_register(order(i)), "register");
        require(registry_.acked(order(i).account, ids_[i]), "acked");
    }
    [[nodiscard]] std::uint64_t deny(std::size_t i) {
        const OrderRequest request = refused_request(refused_[i], i);
        const std::uint64_t start = ticks();
        const Verdict verdict = registry_.check_and_register(request);
        const std::uint64_t end = ticks();
        if (verdict.result != Result::denied || !verdict.has_numbers) throw std::runtime_error("a limit let it pass");
        return end - start;
    }
    [[nodiscard]] std::uint64_t amend(std::size_t i) {
        ReplaceRequest request;
        request.id = ids_[i];
        request.account = order(i).account;
        request.price = Price{order(i).price->value + 10'000'000};
        request.quantity = Quantity{kQuantity + kLot};
        const std::uint64_t start = ticks();
        const Verdict verdict = registry_.replace_requested(request);
        const std::uint64_t end = ticks();
        require(verdict, "amend");
        require(registry_.replaced(request.account, request.id), "replaced");
        return end - start;
    }
    [[nodiscard]] std::uint64_t fill(std::size_t i) {
        const OrderRequest filled = order(i);
        const std::uint64_t start = ticks();
        const Verdict verdict = registry_.filled(filled.account, ids_[i], ids_[i], *filled.price, Quantity{kLot});
        const std::uint64_t end = ticks();
        require(verdict, "fill");
        return end - start;
    }
    [[nodiscard]] std::uint64_t find(std::size_t i) {
        const AccountId account = order(i).account;
        const std::uint64_t start = ticks();
        const bool found = registry_.find(account, ids_[i], view_);
        const std::uint64_t end = ticks();
        if (!found) throw std::runtime_error("an order is not found");
        return end - start;
    }
    [[nodiscard]] std::uint64_t cancel(std::size_t i) {
        const AccountId account = order(i).account;
        const std::uint64_t start = ticks();
        const Verdict verdict = registry_.canceled(account, ids_[i]);
        const std::uint64_t end = ticks();
        require(verdict, "cancel");
        return end - start;
    }

private:
    static constexpr std::int64_t kLot = 100'000'000, kQuantity = 10 * kLot;
    [[nodiscard]] OrderRequest order(std::size_t i) const {
        OrderRequest request = request_for(ids_[i], first_ + i);
        request.quantity = Quantity{kQuantity};
        return request;
    }
    Registry& registry_;
    std::size_t first_;
    std::vector<std::string> ids_, refused_;
    OrderView view_;
};

void measure_other_calls(Run& run, Registry& registry, std::size_t first, std::size_t warm, std::size_t n) {
    LifeCycle life(registry, first, kLive + warm + n);
    Measured denied("register_denied"), amends("amend"), fills("fill"), cancels("cancel"), finds("find");
    for (std::size_t i = 0; i < kLive; ++i) life.begin(i);
    for (std::size_t i = 0; i < warm + n; ++i) {
        life.begin(kLive + i);
        const std::uint64_t deny_ticks = life.deny(i), amend_ticks = life.amend(kLive / 4 * 3 + i);
        const std::uint64_t fill_ticks = life.fill(kLive / 2 + i), find_ticks = life.find(kLive / 4 + i);
        const std::uint64_t cancel_ticks = life.cancel(i);
        if (i < warm) continue;
        denied.add(deny_ticks);
        amends.add(amend_ticks);
        fills.add(fill_ticks);
        finds.add(find_ticks);
        cancels.add(cancel_ticks);
    }
    for (Measured* result : {&denied, &amends, &fills, &cancels, &finds})
        run.add(std::move(result->number("live", static_cast<double>(2 * kLive))));
}

}  // namespace

void measure_calls(Run& run) {
    const std::size_t n = run.sized(200'000, 20'000), warm = n / 2, steps = warm + n;
    SharedConfig config = run.adapted(bench_config(static_cast<std::uint32_t>(2 * (kLive + steps))));
    config.capacity.executions = static_cast<std::uint32_t>(2 * steps);
    Place place(run.options().state_dir, "calls", config);
    {
        Flow flow(place.open("S3"), kLive, steps);
        flow.prefill();
        compare_with_lock(run, place, flow, warm, n);
        measure_other_calls(run, flow.registry(), kLive + steps, warm, n);
    }
    place.finish();
}

// ---- every control ------------------------------------------------------------------------------

void measure_all_controls(Run& run) {
    const std::size_t n = run.sized(200'000, 20'000), warm = n / 2, steps = warm + n;
    const auto orders = static_cast<std::uint32_t>(kLive + steps);
    Place first_place(run.options().state_dir, "first", run.adapted(bench_config(orders, Controls::first_set)));
    Place all_place(run.options().state_dir, "all", run.adapted(bench_config(orders, Controls::all)));
    {
        Flow first(first_place.open("S3"), kLive, steps), all(all_place.open("S3"), kLive, steps);
        for (std::uint32_t i = 0; i < kInstruments; ++i)
            require(all.registry().reference_price(InstrumentId{i}, Price{101'000'000'000}), "reference price");
        registry::Attachment second = registry::attach(all_place.name(), all_place.state_dir(), kLong);
        marks_are_looked_after(second.state);
        first.prefill();
        all.prefill();
        Measured base(""), result("register_all_controls");
        for (std::size_t i = 0; i < steps; ++i) {
            const std::uint64_t with_first = first.step(), with_all = all.step();
            if (i < warm) continue;
            base.add(with_first);
            result.add(with_all);
        }
        const Summary mine = run.summary(result), its = run.summary(base);
        result.number("live", kLive).ratio("register", mine, its).number("p99_ratio", mine.p99 / its.p99);
        run.add(std::move(result));
    }
    first_place.finish();
    all_place.finish();
}

// ---- attach -------------------------------------------------------------------------------------

void stand_by(Board& board, unsigned) {
    pin(board.cpus, 1);
    Flow flow(open(board, 0), kLive, 0);
    flow.prefill();
    board.ready = 1;
    while (board.stop == 0) segment::sleep_ns(kMs);
}

void measure_attach(Run& run) {
    const std::size_t n = run.sized(500, 100);
    Place place(run.options().state_dir, "attach", run.adapted(bench_config(65536)));
    {
        SharedBoard board(place.state_dir(), place.name());
        Child other(board, "stand_by", 0);
        await(board->ready, 1, other);
        Measured result("attach");
        for (std::size_t i = 0; i < n + 5; ++i) {
            std::optional<Registry> registry;
            const std::uint64_t start = ticks();
            registry.emplace(place.open("S1"));
            const std::uint64_t end = ticks();
            if (i >= 5) result.add(end - start);
        }
        board->stop = 1;
        other.wait();
        const StatusView status = Reader::open(place.name(), place.state_dir()).status();
        result.number("live", kLive).number("segment_bytes", static_cast<double>(status.size_bytes));
        run.add(std::move(result));
    }
    place.finish();
}

}  // namespace riskreg::bench
