// Time of one registration, all peers in turn within one run, for each number of live orders.
#include <sched.h>

#include <map>
#include <stdexcept>

#include "check.hpp"
#include "measure.hpp"
#include "place.hpp"

namespace riskreg::bench::peers {

namespace {

/// Holds the calling thread on one processor; what it starts meanwhile would stay there, too.
class Pinned {
public:
    explicit Pinned(bool wanted) : wanted_(wanted) {
        if (!wanted_) return;
        ::sched_getaffinity(0, sizeof before_, &before_);
        cpu_set_t first;
        CPU_ZERO(&first);
        CPU_SET(0, &first);
        ::sched_setaffinity(0, sizeof first, &first);
    }
    ~Pinned() {
        if (wanted_) ::sched_setaffinity(0, sizeof before_, &before_);
    }
    Pinned(const Pinned&) = delete;
    Pinned& operator=(const Pinned&) = delete;

private:
    bool wanted_;
    cpu_set_t before_{};
};

/// What the next size will cost, judged by the sizes before.
struct History {
    std::size_t live = 0;
    double load_s = 0, p50_s = 0, growth = 1;   // growth: of p50, from the size before
};

/// One peer at one size: its store with the live orders, and the calls made so far.
class Contender {
public:
    Contender(const PeerType& type, const Setup& setup, std::size_t live, std::size_t calls)
        : type_(type), folder_(setup.dir), live_(live), calls_(calls), next_(live), next_cancel_(live) {
        Setup own = setup;
        own.dir = folder_.path();
        peer_ = type.make(own);
        result_.type = &type;
        result_.synced = setup.synced;
        result_.live = live;
        result_.samples.reserve(calls);
    }
    void load(const std::vector<Order>& orders, const std::vector<Row>& rows) {
        const std::int64_t start = segment::monotonic_ns();
        peer_->load(orders, rows);
        load_s_ = static_cast<double>(segment::monotonic_ns() - start) / 1e9;
        session_ = peer_->open(kStrategy);
    }
    [[nodiscard]] bool is_done(std::int64_t budget_ns) const noexcept {
        return result_.samples.size() >= calls_ || spent_ns_ >= budget_ns;
    }
    /// So many calls or so much time, at least one call that counts; the first tenth warms the caches up and does not.
    void turn(std::size_t calls, std::int64_t slice_ns, bool counts, const Clock& clock) {
        const std::int64_t start = segment::monotonic_ns();
        std::int64_t elapsed = 0;
        std::size_t made = 0;
        for (std::size_t k = 0; made == 0 || (k < calls && elapsed < slice_ns); ++k) {
            const bool warm = k >= calls / 10 || elapsed >= slice_ns / 10;
            const double ns = step(clock);
            if (warm && counts && result_.samples.size() < calls_) result_.samples.add(ns);
            if (warm) ++made;
            elapsed = segment::monotonic_ns() - start;
        }
        if (counts) spent_ns_ += elapsed;
    }
    void finish(Report& report) {
        session_.reset();
        check_totals(*peer_, type_.name, live_ + (next_ - next_cancel_));
        result_.ops_per_s = static_cast<double>(result_.samples.size()) * 1e9 / std::max(result_.samples.sum_ns(), 1.0);
        report.add(result_);
    }
    [[nodiscard]] History history(const History& before) {
        const double p50_s = result_.samples.at(0.5) / 1e9;
        return {live_, load_s_, p50_s, before.live == 0 ? 1 : p50_s / std::max(before.p50_s, 1e-9)};
    }
    [[nodiscard]] const PeerType& type() const noexcept { return type_; }

private:
    double step(const Clock& clock) {
        const Order order = order_for(next_++);
        const std::uint64_t start = ticks();
        const Answer answer = session_->register_order(order);
        const std::uint64_t end = ticks();
        require(answer, "a registration");
        // Canceled a thousand orders later, or fewer where fewer stand: their number stays.
        if (next_ - next_cancel_ <= std::min<std::size_t>(live_, 1000)) return clock.ns(end - start);
        const Order old = order_for(next_cancel_++);
        require(session_->cancel(old.account, old.id), "a cancel");
        return clock.ns(end - start);
    }
    void require(Answer answer, const char* what) const {
        if (answer != Answer::accepted) throw std::runtime_error(std::string(type_.name) + ": " + what + " was refused");
    }

    const PeerType& type_;
    TemporaryFolder folder_;
    std::unique_ptr<Peer> peer_;
    std::unique_ptr<Session> session_;
    std::size_t live_, calls_, next_, next_cancel_;
    std::int64_t spent_ns_ = 0;
    double load_s_ = 0;
    Result result_;
};

/// True when this size would cost too much; says so.
bool leaves_out(const PeerType& type, const History& history, std::size_t live, const Plan& plan) {
    if (history.live < 10'000) return false;   // mostly what the rows cost, whatever the number of orders
    const double load_s = history.load_s * static_cast<double>(live) / static_cast<double>(history.live);
    const double call_s = history.p50_s * std::max(history.growth, 1.0);
    const double call_budget_s = static_cast<double>(plan.budget_ns) / 4e9;
    if (load_s <= plan.load_budget_s && call_s <= call_budget_s) return false;
    std::fprintf(stderr, "riskreg-peers: %s is left out at %zu live orders: the load would take about %.0f s, a call %.2f s\n",
                 type.name, live, load_s, call_s);
    return true;
}

std::vector<Order> first_orders(std::size_t n) {
    std::vector<Order> orders;
    orders.reserve(n);
    for (std::size_t i = 0; i < n; ++i) orders.push_back(order_for(i));
    return orders;
}

void run_size(std::vector<std::unique_ptr<Contender>>& contenders, bool synced, const Plan& plan, const Clock& clock) {
    constexpr std::int64_t turns = 20;
    const std::size_t calls = (synced ? plan.synced_calls : plan.memory_calls) / turns;
    for (bool busy = true, counts = false; busy; counts = true) {
        busy = !counts;
        for (const auto& contender : contenders) {
            throw_if_told_to_end();
            if (counts && contender->is_done(plan.budget_ns)) continue;
            // A durable answer comes from another process: that one is not to be pushed aside.
            const Pinned pinned(!synced);
            contender->turn(calls, plan.budget_ns / turns, counts, clock);
            busy = true;
        }
    }
}

}  // namespace

void check_all(const std::vector<PeerType>& types, const Folders& folders) {
    for (const PeerType& type : types)
        for (const bool synced : {false, true}) {
            if (synced && !type.has_synced) continue;
            throw_if_told_to_end();
            const TemporaryFolder folder(folders.of(synced));
            const std::unique_ptr<Peer> peer = type.make({folder.path(), synced, narrow_config()});
            peer->load({}, rows_of(narrow_config()));
            self_check(*peer, type.name);
        }
}

void measure_latency(const std::vector<PeerType>& types, const Folders& folders, bool synced, const Plan& plan,
                     const Clock& clock, Report& report) {
    std::map<std::string, History> histories;
    for (const std::size_t live : plan.sizes) {
        const std::vector<Order> orders = first_orders(live);
        const std::size_t calls = synced ? plan.synced_calls : plan.memory_calls;
        Setup setup{folders.of(synced), synced, bench_config(static_cast<std::uint32_t>(live + 2 * calls + 10'000))};
        std::vector<Row> rows = rows_of(setup.config);
        for (const Order& order : orders)
            for (const std::uint32_t number : row_numbers(order)) reserve(order, rows[number]);
        std::vector<std::unique_ptr<Contender>> contenders;
        for (const PeerType& type : types) {
            if ((synced && !type.has_synced) || leaves_out(type, histories[type.name], live, plan)) continue;
            throw_if_told_to_end();
            contenders.push_back(std::make_unique<Contender>(type, setup, live, calls));
            contenders.back()->load(orders, rows);
        }
        if (synced) sync_disk(folders.disk);
        run_size(contenders, synced, plan, clock);
        report.heading(synced, live, 1);
        for (const auto& contender : contenders) {
            contender->finish(report);
            History& history = histories[contender->type().name];
            history = contender->history(history);
        }
    }
}

}  // namespace riskreg::bench::peers
