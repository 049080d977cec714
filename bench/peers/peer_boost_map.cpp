// Boost: an unordered_map and an array of rows in shared memory under one interprocess_mutex. Memory mode only.
#include <unistd.h>

#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/containers/vector.hpp>
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <boost/unordered_map.hpp>

#include "make_peers.hpp"

namespace riskreg::bench::peers {

namespace {

namespace ipc = boost::interprocess;
template <class T>
using Allocator = ipc::allocator<T, ipc::managed_shared_memory::segment_manager>;
using Lock = ipc::scoped_lock<ipc::interprocess_mutex>;

struct Key {
    char id[40];
    std::uint16_t account;

    Key(std::uint16_t account_, std::string_view id_) noexcept : id{}, account(account_) { id_.copy(id, sizeof id - 1); }
    bool operator==(const Key&) const noexcept = default;
};
struct Hash {
    std::size_t operator()(const Key& key) const noexcept {
        return std::hash<std::string_view>{}({key.id, sizeof key.id}) * 31 + key.account;
    }
};

using OrderMap = boost::unordered_map<Key, Order, Hash, std::equal_to<Key>, Allocator<std::pair<const Key, Order>>>;

struct Shared {
    explicit Shared(ipc::managed_shared_memory::segment_manager* memory) : orders(memory), rows(memory) {}
    ipc::interprocess_mutex mutex;
    OrderMap orders;
    ipc::vector<Row, Allocator<Row>> rows;
};

class BoostMapSession : public Session {
public:
    explicit BoostMapSession(const std::string& name)
        : memory_(ipc::open_only, name.c_str()), shared_(*memory_.find<Shared>(ipc::unique_instance).first) {}

    Answer register_order(const Order& order) override {
        const Lock lock(shared_.mutex);
        const Key key(order.account, order.id);
        if (shared_.orders.contains(key)) return Answer::duplicate;
        const RowNumbers numbers = row_numbers(order);
        SixRows rows;
        for (std::size_t k = 0; k < kRowsOfOrder; ++k) rows[k] = shared_.rows[numbers[k]];
        const Answer answer = judge_and_reserve(order, rows);
        if (answer != Answer::accepted) return answer;
        shared_.orders.emplace(key, order);   // may throw: nothing is reserved yet
        for (std::size_t k = 0; k < kRowsOfOrder; ++k) shared_.rows[numbers[k]] = rows[k];
        return Answer::accepted;
    }
    Answer cancel(std::uint16_t account, std::string_view id) override {
        const Lock lock(shared_.mutex);
        const auto found = shared_.orders.find(Key(account, id));
        if (found == shared_.orders.end() || !is_live(found->second.state)) return Answer::unknown;
        for (const std::uint32_t number : row_numbers(found->second)) release(found->second, shared_.rows[number]);
        found->second = canceled(found->second);
        return Answer::accepted;
    }

private:
    ipc::managed_shared_memory memory_;
    Shared& shared_;
};

std::string next_name() {
    static int number = 0;
    return "riskreg-peers-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
}

/// Room for every order with its node and its share of the buckets.
std::size_t bytes_for(std::size_t orders) {
    return orders * (sizeof(Key) + sizeof(Order) + 64) + kRows * sizeof(Row) + (std::size_t{16} << 20);
}

class BoostMapPeer : public Peer {
public:
    explicit BoostMapPeer(const Setup& setup)
        : name_(next_name()),
          capacity_(setup.config.capacity.orders),
          memory_(ipc::create_only, name_.c_str(), bytes_for(capacity_)),
          shared_(*memory_.construct<Shared>(ipc::unique_instance)(memory_.get_segment_manager())) {}
    ~BoostMapPeer() override { ipc::shared_memory_object::remove(name_.c_str()); }

    void load(const std::vector<Order>& orders, const std::vector<Row>& rows) override {
        shared_.orders.reserve(capacity_);   // no rehash within the run
        for (const Order& order : orders) shared_.orders.emplace(Key(order.account, order.id), order);
        shared_.rows.assign(rows.begin(), rows.end());
    }
    std::unique_ptr<Session> open(std::uint16_t) override { return std::make_unique<BoostMapSession>(name_); }
    void visit_orders(const std::function<void(const Order&)>& visit) override {
        for (const auto& [key, order] : shared_.orders) visit(order);
    }
    void visit_rows(const std::function<void(std::uint32_t, const Row&)>& visit) override {
        for (std::uint32_t number = 0; number < shared_.rows.size(); ++number) visit(number, shared_.rows[number]);
    }

private:
    std::string name_;
    std::size_t capacity_;
    ipc::managed_shared_memory memory_;
    Shared& shared_;
};

}  // namespace

std::unique_ptr<Peer> make_boost_map(const Setup& setup) { return std::make_unique<BoostMapPeer>(setup); }

}  // namespace riskreg::bench::peers
