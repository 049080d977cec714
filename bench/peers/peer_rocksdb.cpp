// RocksDB: a WriteBatch for each order, made under a mutex because check and write must be one. A database belongs to one
// process, so its writers are threads. Synced: the mutex is released before the sync, and one sync serves all that wait.
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <atomic>
#include <mutex>
#include <stdexcept>

#include "make_peers.hpp"

namespace riskreg::bench::peers {

namespace {

void require(const rocksdb::Status& status, const char* what) {
    if (!status.ok()) throw std::runtime_error(std::string("rocksdb: ") + what + ": " + status.ToString());
}

rocksdb::Slice slice_of(std::string_view bytes) noexcept { return {bytes.data(), bytes.size()}; }

/// "o" and (account, id), or "r" and the number.
std::string order_key(const OrderKey& key) { return std::string("o").append(key.view()); }
std::string row_key(std::uint32_t number) { return std::string("r").append(bytes_of(number)); }

rocksdb::Options options(bool synced) {
    rocksdb::BlockBasedTableOptions table;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.block_cache = rocksdb::NewLRUCache(std::size_t{512} << 20);
    table.data_block_index_type = rocksdb::BlockBasedTableOptions::kDataBlockBinaryAndHash;
    rocksdb::Options options;
    options.create_if_missing = true;
    options.compression = rocksdb::kNoCompression;
    options.write_buffer_size = std::size_t{256} << 20;
    options.memtable_prefix_bloom_size_ratio = 0.02;   // the filter that a new id is looked up in first
    options.memtable_whole_key_filtering = true;
    options.inplace_update_support = true;   // the six rows are overwritten, not versioned
    options.allow_concurrent_memtable_write = false;
    options.allow_fallocate = synced;   // on tmpfs it would fill the memory of the whole log at once
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    return options;
}

using Keys = std::array<std::string, kRowsOfOrder>;
Keys row_keys(const Order& order) {
    Keys keys;
    const RowNumbers numbers = row_numbers(order);
    for (std::size_t k = 0; k < kRowsOfOrder; ++k) keys[k] = row_key(numbers[k]);
    return keys;
}

class Store {
public:
    Store(const std::string& dir, bool synced) : synced_(synced) {
        rocksdb::DB* db = nullptr;
        require(rocksdb::DB::Open(options(synced), dir, &db), "open");
        db_.reset(db);
    }
    rocksdb::DB& db() noexcept { return *db_; }

    Answer register_order(const Order& order) {
        const std::string key = order_key(OrderKey(order));
        const Keys keys = row_keys(order);
        std::unique_lock lock(decide_);
        rocksdb::PinnableSlice found;
        const rocksdb::Status before = db_->Get(reads_, db_->DefaultColumnFamily(), key, &found);
        if (before.ok()) return Answer::duplicate;
        if (!before.IsNotFound()) require(before, "an order");
        SixRows rows;
        read_rows(keys, rows);
        const Answer answer = judge_and_reserve(order, rows);
        if (answer != Answer::accepted) return answer;
        write(key, order, keys, rows, lock);
        return Answer::accepted;
    }
    Answer cancel(std::uint16_t account, std::string_view id) {
        const std::string key = order_key(OrderKey(account, id));
        std::unique_lock lock(decide_);
        rocksdb::PinnableSlice found;
        const rocksdb::Status before = db_->Get(reads_, db_->DefaultColumnFamily(), key, &found);
        if (before.IsNotFound()) return Answer::unknown;
        require(before, "an order");
        const auto order = record_from<Order>(found.data());
        if (!is_live(order.state)) return Answer::unknown;
        const Keys keys = row_keys(order);
        SixRows rows;
        read_rows(keys, rows);
        for (Row& row : rows) release(order, row);
        write(key, canceled(order), keys, rows, lock);
        return Answer::accepted;
    }

private:
    void read_rows(const Keys& keys, SixRows& rows) {
        std::array<rocksdb::Slice, kRowsOfOrder> names;
        for (std::size_t k = 0; k < kRowsOfOrder; ++k) names[k] = keys[k];
        std::array<rocksdb::PinnableSlice, kRowsOfOrder> values;
        std::array<rocksdb::Status, kRowsOfOrder> found;
        db_->MultiGet(reads_, db_->DefaultColumnFamily(), kRowsOfOrder, names.data(), values.data(), found.data());
        for (std::size_t k = 0; k < kRowsOfOrder; ++k) {
            require(found[k], "a row");
            rows[k] = record_from<Row>(values[k].data());
        }
    }
    /// Into the log under the mutex, to the disk after it: the log is in the order of the decisions.
    void write(const std::string& key, const Order& order, const Keys& keys, const SixRows& rows,
               std::unique_lock<std::mutex>& lock) {
        rocksdb::WriteBatch batch;
        batch.Put(key, slice_of(bytes_of(order)));
        for (std::size_t k = 0; k < kRowsOfOrder; ++k) batch.Put(keys[k], slice_of(bytes_of(rows[k])));
        require(db_->Write(writes_, &batch), "write");
        const std::uint64_t number = ++written_;
        lock.unlock();
        if (synced_) sync_up_to(number);
    }
    void sync_up_to(std::uint64_t number) {
        const std::lock_guard lock(sync_);
        if (on_disk_ >= number) return;
        const std::uint64_t now = written_;
        require(db_->SyncWAL(), "sync");
        on_disk_ = now;
    }

    bool synced_;
    std::unique_ptr<rocksdb::DB> db_;
    rocksdb::ReadOptions reads_;
    rocksdb::WriteOptions writes_;   // with the log, not synced: what is written survives the process
    std::mutex decide_, sync_;
    std::atomic<std::uint64_t> written_ = 0;   // changed under decide_
    std::uint64_t on_disk_ = 0;                // under sync_
};

class RocksdbSession : public Session {
public:
    explicit RocksdbSession(Store& store) : store_(store) {}
    Answer register_order(const Order& order) override { return store_.register_order(order); }
    Answer cancel(std::uint16_t account, std::string_view id) override { return store_.cancel(account, id); }

private:
    Store& store_;
};

class RocksdbPeer : public Peer {
public:
    explicit RocksdbPeer(const Setup& setup) : store_(setup.dir, setup.synced) {}

    void load(const std::vector<Order>& orders, const std::vector<Row>& rows) override {
        rocksdb::WriteBatch batch;
        const auto write = [&] {
            require(store_.db().Write({}, &batch), "load");
            batch.Clear();
        };
        for (std::size_t i = 0; i < orders.size(); ++i) {
            batch.Put(order_key(OrderKey(orders[i])), slice_of(bytes_of(orders[i])));
            if (i % 1000 == 999) write();
        }
        for (std::uint32_t number = 0; number < rows.size(); ++number)
            batch.Put(row_key(number), slice_of(bytes_of(rows[number])));
        write();
        // The run starts with all of it in files and the table in memory empty.
        require(store_.db().Flush({}), "flush");
    }
    std::unique_ptr<Session> open(std::uint16_t) override { return std::make_unique<RocksdbSession>(store_); }
    void visit_orders(const std::function<void(const Order&)>& visit) override {
        each("o", [&](std::string_view, std::string_view value) { visit(record_from<Order>(value.data())); });
    }
    void visit_rows(const std::function<void(std::uint32_t, const Row&)>& visit) override {
        each("r", [&](std::string_view key, std::string_view value) {
            visit(record_from<std::uint32_t>(key.data() + 1), record_from<Row>(value.data()));
        });
    }

private:
    void each(const char* prefix, const std::function<void(std::string_view, std::string_view)>& visit) {
        const std::unique_ptr<rocksdb::Iterator> at(store_.db().NewIterator({}));
        for (at->Seek(prefix); at->Valid() && at->key().starts_with(prefix); at->Next())
            visit(at->key().ToStringView(), at->value().ToStringView());
        require(at->status(), "read all");
    }

    Store store_;
};

}  // namespace

std::unique_ptr<Peer> make_rocksdb(const Setup& setup) { return std::make_unique<RocksdbPeer>(setup); }

}  // namespace riskreg::bench::peers
