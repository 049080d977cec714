// SQLite in WAL mode: one immediate transaction of five prepared statements for each order, columns as a team would name them.
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "make_peers.hpp"

namespace riskreg::bench::peers {

namespace {

constexpr const char* kSchema = R"(
CREATE TABLE IF NOT EXISTS orders(
    account INTEGER, id TEXT, venue_id TEXT, strategy INTEGER, instrument INTEGER,
    side INTEGER, type INTEGER, tif INTEGER, state INTEGER,
    price INTEGER, stop_price INTEGER, quantity INTEGER, cum_quantity INTEGER,
    reserved_price INTEGER, reserved_quantity INTEGER, reserved_notional INTEGER,
    created_ns INTEGER, updated_ns INTEGER, seq INTEGER, session INTEGER, version INTEGER, flags INTEGER,
    PRIMARY KEY(account, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS scope_rows(
    row INTEGER PRIMARY KEY, position INTEGER, open_buy_quantity INTEGER, open_sell_quantity INTEGER,
    open_buy_notional INTEGER, open_sell_notional INTEGER, working_buy INTEGER, working_sell INTEGER,
    max_order_quantity INTEGER, max_order_notional INTEGER, max_long INTEGER, max_short INTEGER,
    max_open_notional INTEGER, max_working_orders INTEGER, max_working_buy INTEGER, max_working_sell INTEGER);
)";
constexpr const char* kInsertOrder =
    "INSERT INTO orders VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING";
constexpr const char* kInsertRow = "INSERT INTO scope_rows VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";
constexpr const char* kFindOrder =
    "SELECT strategy, instrument, side, state, reserved_quantity, reserved_notional FROM orders WHERE account=? AND id=?";
constexpr const char* kEndOrder =
    "UPDATE orders SET state=?3, reserved_quantity=0, reserved_notional=0 WHERE account=?1 AND id=?2";
constexpr const char* kReadRows = "SELECT * FROM scope_rows WHERE row IN (?,?,?,?,?,?)";
// All six rows change by the same amounts.
constexpr const char* kChangeRows =
    "UPDATE scope_rows SET open_buy_quantity=open_buy_quantity+?7, open_sell_quantity=open_sell_quantity+?8,"
    " open_buy_notional=open_buy_notional+?9, open_sell_notional=open_sell_notional+?10,"
    " working_buy=working_buy+?11, working_sell=working_sell+?12 WHERE row IN (?1,?2,?3,?4,?5,?6)";

/// Another process holds the lock: SQLite's own waits grow to 100 ms, which would cost throughput.
int wait_a_little(void*, int tries) {
    ::usleep(50);
    return tries < 400'000;
}

class Database {
public:
    Database(const std::string& path, bool synced) {
        constexpr int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
        if (sqlite3_open_v2(path.c_str(), &handle_, flags, nullptr) != SQLITE_OK) fail("open");
        sqlite3_busy_handler(handle_, wait_a_little, nullptr);
        run("PRAGMA journal_mode=WAL");
        run(synced ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=OFF");
        run("PRAGMA mmap_size=8589934592");
        run("PRAGMA cache_size=-262144");
    }
    ~Database() { sqlite3_close(handle_); }
    Database(const Database&) = delete;
    Database& operator=(const Database&) = delete;
    void run(const char* sql) {
        if (sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail(sql);
    }
    [[noreturn]] void fail(const char* what) const {
        throw std::runtime_error(std::string("sqlite: ") + what + ": " + sqlite3_errmsg(handle_));
    }
    operator sqlite3*() const noexcept { return handle_; }

private:
    sqlite3* handle_ = nullptr;
};

class Statement {
public:
    Statement(const Database& database, const char* sql) : database_(database) {
        if (sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr) != SQLITE_OK)
            database.fail(sql);
    }
    ~Statement() { sqlite3_finalize(handle_); }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;

    template <class... Values>
    Statement& bind(Values... values) {
        int at = 0;
        (bind_one(++at, values), ...);
        return *this;
    }
    /// True while there is a row.
    bool step() {
        const int rc = sqlite3_step(handle_);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE) database_.fail(sqlite3_sql(handle_));
        return rc == SQLITE_ROW;
    }
    void reset() { sqlite3_reset(handle_); }
    void run() {
        step();
        reset();
    }
    [[nodiscard]] std::int64_t column(int at) const { return sqlite3_column_int64(handle_, at); }
    [[nodiscard]] std::uint32_t count(int at) const { return static_cast<std::uint32_t>(column(at)); }
    [[nodiscard]] std::string_view text(int at) const {
        const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(handle_, at));
        return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(handle_, at))};
    }

private:
    void bind_one(int at, std::string_view text) {
        sqlite3_bind_text(handle_, at, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
    }
    template <class Number>
        requires(std::is_integral_v<Number> || std::is_enum_v<Number>)
    void bind_one(int at, Number number) {
        sqlite3_bind_int64(handle_, at, static_cast<sqlite3_int64>(number));
    }

    const Database& database_;
    sqlite3_stmt* handle_ = nullptr;
};

void bind_order(Statement& insert, const Order& o) {
    insert.bind(o.account, std::string_view(o.id), std::string_view(o.venue_id), o.strategy, o.instrument, o.side, o.type,
                o.tif, o.state, o.price, o.stop_price, o.quantity, o.cum_quantity, o.reserved_price, o.reserved_quantity,
                o.reserved_notional, o.created_ns, o.updated_ns, o.seq, o.session, o.version, o.flags);
}

Row row_at(const Statement& s) {
    return {s.column(1), s.column(2),  s.column(3),  s.column(4),  s.column(5), s.count(6),  s.count(7),  s.column(8),
            s.column(9), s.column(10), s.column(11), s.column(12), s.count(13), s.count(14), s.count(15), 0};
}

class SqliteSession : public Session {
public:
    SqliteSession(const std::string& path, bool synced) : database_(path, synced) {}

    Answer register_order(const Order& order) override {
        begin_.run();
        const Answer answer = inside(order);
        (answer == Answer::accepted ? commit_ : rollback_).run();
        return answer;
    }

    Answer cancel(std::uint16_t account, std::string_view id) override {
        begin_.run();
        Order order{};
        const bool live = find(account, id, order) && is_live(order.state);
        if (live) {
            end_order_.bind(account, id, OrderBase::canceled).run();
            change_rows(order, -1);
        }
        (live ? commit_ : rollback_).run();
        return live ? Answer::accepted : Answer::unknown;
    }

private:
    Answer inside(const Order& order) {
        bind_order(insert_, order);
        insert_.run();
        if (sqlite3_changes(database_) == 0) return Answer::duplicate;
        SixRows rows;
        read_rows(row_numbers(order), rows);
        if (breaches(order, rows) != 0) return Answer::over_limit;
        change_rows(order, 1);
        return Answer::accepted;
    }
    bool find(std::uint16_t account, std::string_view id, Order& order) {
        find_.bind(account, id);
        const bool found = find_.step();
        if (found) {
            order.account = account;
            order.strategy = static_cast<std::uint16_t>(find_.column(0));
            order.instrument = find_.count(1);
            order.side = static_cast<Side>(find_.column(2));
            order.state = static_cast<OrderBase>(find_.column(3));
            order.reserved_quantity = find_.column(4);
            order.reserved_notional = find_.column(5);
        }
        find_.reset();
        return found;
    }
    void read_rows(const RowNumbers& numbers, SixRows& rows) {
        std::apply([&](auto... number) { read_rows_.bind(number...); }, numbers);
        std::size_t found = 0;
        for (; read_rows_.step(); ++found) {
            const auto* at = std::find(numbers.begin(), numbers.end(), read_rows_.count(0));
            rows[static_cast<std::size_t>(at - numbers.begin())] = row_at(read_rows_);
        }
        read_rows_.reset();
        if (found != kRowsOfOrder) throw std::runtime_error("sqlite: rows are missing");
    }
    void change_rows(const Order& order, std::int64_t sign) {
        const std::int64_t buy = order.side == Side::buy ? sign : 0;
        const std::int64_t sell = sign - buy;
        std::apply(
            [&](auto... number) {
                change_rows_.bind(number..., buy * order.reserved_quantity, sell * order.reserved_quantity,
                                  buy * order.reserved_notional, sell * order.reserved_notional, buy, sell);
            },
            row_numbers(order));
        change_rows_.run();
        if (sqlite3_changes(database_) != static_cast<int>(kRowsOfOrder)) throw std::runtime_error("sqlite: rows are missing");
    }

    Database database_;
    Statement begin_{database_, "BEGIN IMMEDIATE"}, commit_{database_, "COMMIT"}, rollback_{database_, "ROLLBACK"};
    Statement insert_{database_, kInsertOrder}, find_{database_, kFindOrder}, end_order_{database_, kEndOrder};
    Statement read_rows_{database_, kReadRows}, change_rows_{database_, kChangeRows};
};

class SqlitePeer : public Peer {
public:
    explicit SqlitePeer(const Setup& setup) : path_(setup.dir + "/orders.db"), synced_(setup.synced) {}

    void load(const std::vector<Order>& orders, const std::vector<Row>& rows) override {
        Database database(path_, synced_);
        database.run(kSchema);
        database.run("BEGIN IMMEDIATE");
        Statement insert_order(database, kInsertOrder), insert_row(database, kInsertRow);
        for (const Order& order : orders) {
            bind_order(insert_order, order);
            insert_order.run();
        }
        for (std::uint32_t number = 0; number < rows.size(); ++number) {
            const Row& r = rows[number];
            insert_row
                .bind(number, r.position, r.open_buy_quantity, r.open_sell_quantity, r.open_buy_notional, r.open_sell_notional,
                      r.working_buy, r.working_sell, r.max_order_quantity, r.max_order_notional, r.max_long, r.max_short,
                      r.max_open_notional, r.max_working_orders, r.max_working_buy, r.max_working_sell)
                .run();
        }
        database.run("COMMIT");
    }
    std::unique_ptr<Session> open(std::uint16_t) override { return std::make_unique<SqliteSession>(path_, synced_); }
    void visit_orders(const std::function<void(const Order&)>& visit) override {
        const Database database(path_, synced_);
        Statement all(
            database,
            "SELECT strategy, instrument, side, state, reserved_quantity, reserved_notional, account, id FROM orders");
        while (all.step()) {
            Order order{};
            order.strategy = static_cast<std::uint16_t>(all.column(0));
            order.instrument = all.count(1);
            order.side = static_cast<Side>(all.column(2));
            order.state = static_cast<OrderBase>(all.column(3));
            order.reserved_quantity = all.column(4);
            order.reserved_notional = all.column(5);
            order.account = static_cast<std::uint16_t>(all.column(6));
            all.text(7).copy(order.id, sizeof order.id - 1);
            visit(order);
        }
    }
    void visit_rows(const std::function<void(std::uint32_t, const Row&)>& visit) override {
        const Database database(path_, synced_);
        Statement all(database, "SELECT * FROM scope_rows");
        while (all.step()) visit(all.count(0), row_at(all));
    }

private:
    std::string path_;
    bool synced_;
};

}  // namespace

std::unique_ptr<Peer> make_sqlite(const Setup& setup) { return std::make_unique<SqlitePeer>(setup); }

}  // namespace riskreg::bench::peers
