// LMDB: one write transaction for each order, two tables in one environment, records as their bytes.
#include <lmdb.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "make_peers.hpp"

namespace riskreg::bench::peers {

namespace {

void require(int rc, const char* what) {
    if (rc != MDB_SUCCESS) throw std::runtime_error(std::string("lmdb: ") + what + ": " + mdb_strerror(rc));
}

MDB_val value_of(std::string_view bytes) noexcept { return {bytes.size(), const_cast<char*>(bytes.data())}; }

/// Aborts unless it was committed.
class Txn {
public:
    explicit Txn(MDB_env* env, unsigned flags = 0) { require(mdb_txn_begin(env, nullptr, flags, &txn_), "begin"); }
    ~Txn() {
        if (txn_ != nullptr) mdb_txn_abort(txn_);
    }
    Txn(const Txn&) = delete;
    Txn& operator=(const Txn&) = delete;
    void commit() { require(mdb_txn_commit(std::exchange(txn_, nullptr)), "commit"); }
    operator MDB_txn*() const noexcept { return txn_; }

private:
    MDB_txn* txn_ = nullptr;
};

/// One for each process: LMDB forbids a second one on the same file.
class Env {
public:
    Env(const std::string& dir, bool synced) {
        require(mdb_env_create(&env_), "create");
        require(mdb_env_set_mapsize(env_, std::size_t{16} << 30), "map size");
        require(mdb_env_set_maxdbs(env_, 2), "tables");
        const unsigned flags = synced ? 0 : MDB_NOSYNC | MDB_WRITEMAP | MDB_NOMEMINIT;
        require(mdb_env_open(env_, dir.c_str(), flags | MDB_NORDAHEAD, 0600), "open");
        Txn txn(env_);
        require(mdb_dbi_open(txn, "orders", MDB_CREATE, &orders), "orders");
        require(mdb_dbi_open(txn, "rows", MDB_CREATE | MDB_INTEGERKEY, &rows), "rows");
        txn.commit();
    }
    ~Env() { mdb_env_close(env_); }
    Env(const Env&) = delete;
    Env& operator=(const Env&) = delete;
    operator MDB_env*() const noexcept { return env_; }

    MDB_dbi orders = 0, rows = 0;

private:
    MDB_env* env_ = nullptr;
};

void read_rows(const Env& env, MDB_txn* txn, const RowNumbers& numbers, SixRows& rows) {
    for (std::size_t k = 0; k < kRowsOfOrder; ++k) {
        MDB_val key{sizeof numbers[k], const_cast<std::uint32_t*>(&numbers[k])};
        MDB_val value{};
        require(mdb_get(txn, env.rows, &key, &value), "a row");
        rows[k] = record_from<Row>(value.mv_data);
    }
}

void write_row(const Env& env, MDB_txn* txn, std::uint32_t number, const Row& row) {
    MDB_val key{sizeof number, &number};
    MDB_val value = value_of(bytes_of(row));
    require(mdb_put(txn, env.rows, &key, &value, 0), "write a row");
}

class LmdbSession : public Session {
public:
    explicit LmdbSession(std::shared_ptr<Env> env) : env_(std::move(env)) {}

    Answer register_order(const Order& order) override {
        Txn txn(*env_);
        const OrderKey id(order);
        MDB_val key = value_of(id.view());
        MDB_val value = value_of(bytes_of(order));
        // The insertion is the duplicate check: one way down the tree for both. A refusal aborts it.
        const int inserted = mdb_put(txn, env_->orders, &key, &value, MDB_NOOVERWRITE);
        if (inserted == MDB_KEYEXIST) return Answer::duplicate;
        require(inserted, "insert");
        const RowNumbers numbers = row_numbers(order);
        SixRows rows;
        read_rows(*env_, txn, numbers, rows);
        const Answer answer = judge_and_reserve(order, rows);
        if (answer != Answer::accepted) return answer;
        for (std::size_t k = 0; k < kRowsOfOrder; ++k) write_row(*env_, txn, numbers[k], rows[k]);
        txn.commit();
        return Answer::accepted;
    }

    Answer cancel(std::uint16_t account, std::string_view id) override {
        Txn txn(*env_);
        const OrderKey name(account, id);
        MDB_val key = value_of(name.view());
        MDB_val value{};
        const int found = mdb_get(txn, env_->orders, &key, &value);
        if (found == MDB_NOTFOUND) return Answer::unknown;
        require(found, "an order");
        const auto order = record_from<Order>(value.mv_data);
        if (!is_live(order.state)) return Answer::unknown;
        const RowNumbers numbers = row_numbers(order);
        SixRows rows;
        read_rows(*env_, txn, numbers, rows);
        for (std::size_t k = 0; k < kRowsOfOrder; ++k) {
            release(order, rows[k]);
            write_row(*env_, txn, numbers[k], rows[k]);
        }
        const Order ended = canceled(order);
        value = value_of(bytes_of(ended));
        require(mdb_put(txn, env_->orders, &key, &value, 0), "write an order");
        txn.commit();
        return Answer::accepted;
    }

private:
    std::shared_ptr<Env> env_;
};

class LmdbPeer : public Peer {
public:
    explicit LmdbPeer(const Setup& setup) : dir_(setup.dir), synced_(setup.synced) {}

    void load(const std::vector<Order>& orders, const std::vector<Row>& rows) override {
        const std::shared_ptr<Env> env = shared_env();
        constexpr std::size_t batch = 50'000;
        for (std::size_t first = 0; first < orders.size(); first += batch) {
            Txn txn(*env);
            for (std::size_t i = first; i < std::min(first + batch, orders.size()); ++i) {
                const OrderKey id(orders[i]);
                MDB_val key = value_of(id.view());
                MDB_val value = value_of(bytes_of(orders[i]));
                require(mdb_put(txn, env->orders, &key, &value, MDB_NOOVERWRITE), "load an order");
            }
            txn.commit();
        }
        Txn txn(*env);
        for (std::uint32_t number = 0; number < rows.size(); ++number) write_row(*env, txn, number, rows[number]);
        txn.commit();
    }
    std::unique_ptr<Session> open(std::uint16_t) override { return std::make_unique<LmdbSession>(shared_env()); }
    void visit_orders(const std::function<void(const Order&)>& visit) override {
        const std::shared_ptr<Env> env = shared_env();
        each(*env, env->orders, [&](const MDB_val&, const MDB_val& value) { visit(record_from<Order>(value.mv_data)); });
    }
    void visit_rows(const std::function<void(std::uint32_t, const Row&)>& visit) override {
        const std::shared_ptr<Env> env = shared_env();
        each(*env, env->rows, [&](const MDB_val& key, const MDB_val& value) {
            visit(record_from<std::uint32_t>(key.mv_data), record_from<Row>(value.mv_data));
        });
    }

private:
    /// Open as long as somebody uses it, so that no forked child inherits it.
    std::shared_ptr<Env> shared_env() {
        std::shared_ptr<Env> env = env_.lock();
        if (env == nullptr) env_ = env = std::make_shared<Env>(dir_, synced_);
        return env;
    }
    static void each(const Env& env, MDB_dbi table, const std::function<void(const MDB_val&, const MDB_val&)>& visit) {
        const Txn txn(env, MDB_RDONLY);
        MDB_cursor* cursor = nullptr;
        require(mdb_cursor_open(txn, table, &cursor), "cursor");
        MDB_val key{}, value{};
        while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == MDB_SUCCESS) visit(key, value);
        mdb_cursor_close(cursor);
    }

    std::string dir_;
    bool synced_;
    std::weak_ptr<Env> env_;
};

}  // namespace

std::unique_ptr<Peer> make_lmdb(const Setup& setup) { return std::make_unique<LmdbPeer>(setup); }

}  // namespace riskreg::bench::peers
