// riskreg itself, through its public door. Memory mode: no persistence. Synced: every answer waits for the disk; the
// snapshotter, which writes the journal, lives in a process of its own.
#include "child_process.hpp"
#include "make_peers.hpp"
#include "riskreg/registry.hpp"
#include "segment/process.hpp"

namespace riskreg::bench::peers {

namespace {

constexpr std::int64_t kMs = 1'000'000;

void wait_for(const std::function<bool()>& done, const char* what) {
    for (int tries = 0; !done(); ++tries) {
        if (tries == 10'000) throw std::runtime_error(std::string("riskreg: waited 10 s for ") + what);
        segment::sleep_ns(kMs);
    }
}

OrderRequest request_of(const Order& order) noexcept {
    OrderRequest request;
    request.id = order.id;
    request.account = AccountId{order.account};
    request.instrument = InstrumentId{order.instrument};
    request.side = order.side;
    request.type = order.type;
    request.tif = order.tif;
    request.price = Price{order.price};
    request.quantity = Quantity{order.quantity};
    return request;
}

Answer answer_of(const Verdict& verdict) {
    if (verdict.accepted()) return Answer::accepted;
    switch (verdict.reason) {
        case DenyReason::duplicate_order_id:
        case DenyReason::already_registered: return Answer::duplicate;
        case DenyReason::max_order_quantity:
        case DenyReason::max_order_notional:
        case DenyReason::max_working_orders:
        case DenyReason::max_long:
        case DenyReason::max_short:
        case DenyReason::max_open_notional: return Answer::over_limit;
        default: throw std::runtime_error("riskreg: refused: " + std::string(name_of(verdict.reason)));
    }
}

class RiskregSession : public Session {
public:
    RiskregSession(Registry&& registry, bool synced)
        : registry_(std::move(registry)), expected_(synced ? Durability::durable : Durability::memory) {}
    Answer register_order(const Order& order) override {
        const Verdict verdict = registry_.check_and_register(request_of(order));
        if (verdict.accepted() && verdict.durability != expected_) throw std::runtime_error("riskreg: not on disk in time");
        return answer_of(verdict);
    }
    Answer cancel(std::uint16_t account, std::string_view id) override {
        const Verdict verdict = registry_.canceled(AccountId{account}, id);
        return verdict.result == Result::ok ? Answer::accepted : Answer::unknown;
    }

private:
    Registry registry_;
    Durability expected_;
};

std::string next_name() {
    static int number = 0;
    return "peers" + std::to_string(segment::process_id()) + "x" + std::to_string(++number);
}

/// The number that job.hpp gives a row; kRows for those of the strategy `external`, which only
/// riskreg has, and of the instruments that this job does not trade.
std::uint32_t row_number(const Scope& scope) noexcept {
    const auto account = static_cast<std::uint32_t>(scope.account);
    const auto strategy = static_cast<std::uint32_t>(scope.strategy);
    const auto instrument = static_cast<std::uint32_t>(scope.instrument);
    const bool known = scope.strategy == StrategyId::none || strategy < kStrategies;
    const bool traded = scope.instrument == InstrumentId::none || instrument < kInstruments;
    if (!known || !traded) return kRows;
    switch (scope.kind) {
        case ScopeKind::firm: return 0;
        case ScopeKind::account: return kAccountRow + account;
        case ScopeKind::strategy: return kStrategyRow + strategy;
        case ScopeKind::instrument: return kInstrumentRow + instrument;
        case ScopeKind::account_instrument: return kAccountInstrumentRow + account * kInstruments + instrument;
        case ScopeKind::strategy_instrument: return kStrategyInstrumentRow + strategy * kInstruments + instrument;
        default: return kRows;
    }
}

class RiskregPeer : public Peer {
public:
    explicit RiskregPeer(const Setup& setup) : dir_(setup.dir), synced_(setup.synced), name_(next_name()) {
        SharedConfig config = setup.config;
        config.persistence_mode = synced_ ? PersistenceMode::async : PersistenceMode::none;
        config.checkpoint_interval_s = 3600;
        if (synced_) config.capacity.ring_events = 1U << 18;
        Registry::create(name_, config, dir_);
        if (synced_) host_ = ChildProcess([this] { host_snapshotter(); });
        if (synced_) wait_for([this] { return Reader::open(name_, dir_).status().host_state == "running"; }, "the snapshotter");
    }
    ~RiskregPeer() override {
        host_.kill();
        try {
            Registry::destroy(name_, dir_, false, true);
        } catch (const Error&) {
            // The run has failed already; the segment may be gone.
        }
    }

    void load(const std::vector<Order>& orders, const std::vector<Row>&) override {
        if (orders.empty()) return;
        Registry registry = Registry::open(name_, process(orders.front().strategy, Durability::memory));
        std::uint64_t last = 0;
        for (std::size_t i = 0; i < orders.size();) {
            const Verdict verdict = registry.check_and_register(request_of(orders[i]));
            if (verdict.reason == DenyReason::journal_backlog) {
                segment::sleep_ns(kMs);
                continue;
            }
            if (!verdict.accepted()) throw std::runtime_error("riskreg: the load was refused");
            last = verdict.seq;
            ++i;
        }
        if (synced_ && !registry.wait_durable(last, 60'000 * kMs)) throw std::runtime_error("riskreg: the load is not on disk");
    }
    std::unique_ptr<Session> open(std::uint16_t strategy) override {
        const Durability durability = synced_ ? Durability::durable : Durability::memory;
        return std::make_unique<RiskregSession>(Registry::open(name_, process(strategy, durability)), synced_);
    }
    void visit_orders(const std::function<void(const Order&)>& visit) override {
        Reader::open(name_, dir_).orders([&](const OrderView& view) {
            Order order{};
            std::memcpy(order.id, view.id.data(), view.id.size());
            order.account = static_cast<std::uint16_t>(view.account);
            order.strategy = static_cast<std::uint16_t>(view.strategy);
            order.instrument = static_cast<std::uint32_t>(view.instrument);
            order.side = view.side;
            order.state = view.base;
            order.reserved_quantity = view.reserved_quantity.value;
            order.reserved_notional = view.reserved_notional.value;
            visit(order);
            return true;
        });
    }
    void visit_rows(const std::function<void(std::uint32_t, const Row&)>& visit) override {
        Reader::open(name_, dir_).exposures([&](const ExposureView& view) {
            Row row{};
            row.open_buy_quantity = view.open_buy_quantity.value;
            row.open_sell_quantity = view.open_sell_quantity.value;
            row.open_buy_notional = view.open_buy_notional.value;
            row.open_sell_notional = view.open_sell_notional.value;
            row.working_buy = view.working_buy;
            row.working_sell = view.working_sell;
            if (const std::uint32_t number = row_number(view.scope); number < kRows) visit(number, row);
            return true;
        });
    }
    std::string own_audit() override {
        const AuditView audit = Reader::open(name_, dir_).audit();
        return audit.violations.empty() ? std::string{} : audit.violations.front();
    }

private:
    [[nodiscard]] ProcessConfig process(std::uint16_t strategy, Durability durability) const {
        ProcessConfig config;
        config.state_dir = dir_;
        config.strategy = "S" + std::to_string(strategy);
        config.durability = durability;
        config.request_timeout_ns = config.fact_timeout_ns = 1000 * kMs;
        return config;
    }
    void host_snapshotter() const {
        ProcessConfig config;
        config.state_dir = dir_;
        config.host_snapshotter = true;
        const Registry host = Registry::open(name_, config);
        for (;;) segment::sleep_ns(1000 * kMs);
    }

    std::string dir_;
    bool synced_;
    std::string name_;
    ChildProcess host_;
};

}  // namespace

std::unique_ptr<Peer> make_riskreg(const Setup& setup) { return std::make_unique<RiskregPeer>(setup); }

}  // namespace riskreg::bench::peers
