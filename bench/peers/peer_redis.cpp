// Redis: a server of the benchmark's own on a Unix socket, and one Lua script that does the whole job for an order.
#include <hiredis/hiredis.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <stdexcept>

#include "child_process.hpp"
#include "make_peers.hpp"
#include "segment/process.hpp"

namespace riskreg::bench::peers {

namespace {

// The scripts read records by these offsets.
static_assert(offsetof(Row, max_order_quantity) == 48 && offsetof(Row, max_working_orders) == 88);
static_assert(offsetof(Order, reserved_quantity) == 120 && offsetof(Order, reserved_notional) == 128);
static_assert(offsetof(Order, instrument) == 160 && offsetof(Order, side) == 168 && offsetof(Order, state) == 171);

/// What both scripts share. Lua has doubles: the counters are exact up to 2^53, which is why limits are never written back.
constexpr const char* kShared = R"(
local counters = '<i8i8i8i8i8I4I4'
local function write(out, key, stored, r)
  out[#out + 1] = key
  out[#out + 1] = struct.pack(counters, r[1], r[2], r[3], r[4], r[5], r[6], r[7]) .. string.sub(stored, 49)
end
)";

/// KEYS: the order, its six rows. ARGV: the order's bytes, 1 for a buy, quantity, notional.
constexpr const char* kRegister = R"(
local stored = redis.call('MGET', unpack(KEYS))
if stored[1] then return 1 end
local buy, quantity, notional = ARGV[2] == '1', tonumber(ARGV[3]), tonumber(ARGV[4])
local rows = {}
for k = 1, 6 do rows[k] = {struct.unpack('<i8i8i8i8i8I4I4i8i8i8i8i8I4I4I4', stored[k + 1])} end
local quantity_row = {4, 5, 6, 4, 5, 6}
for k = 1, 6 do
  local r, q = rows[k], rows[quantity_row[k]]
  if quantity > r[8] or notional > r[9] or r[4] + r[5] + notional > r[12] or r[6] + r[7] + 1 > r[13] then return 2 end
  if buy then
    if q[1] + q[2] + quantity > r[10] or r[6] + 1 > r[14] then return 2 end
  else
    if q[3] - q[1] + quantity > r[11] or r[7] + 1 > r[15] then return 2 end
  end
end
local out = {KEYS[1], ARGV[1]}
for k = 1, 6 do
  local r = rows[k]
  if buy then
    r[2], r[4], r[6] = r[2] + quantity, r[4] + notional, r[6] + 1
  else
    r[3], r[5], r[7] = r[3] + quantity, r[5] + notional, r[7] + 1
  end
  write(out, KEYS[k + 1], stored[k + 1], r)
end
redis.call('MSET', unpack(out))
return 0
)";

/// KEYS: the order. ARGV: the first row number of each kind and the number of instruments.
constexpr const char* kCancel = R"(
local order = redis.call('GET', KEYS[1])
if not order then return 3 end
local instrument, account, strategy, side, _, _, state = struct.unpack('<I4I2I2BBBB', order, 161)
if state < 1 or state > 4 then return 3 end
local quantity, notional = struct.unpack('<i8i8', order, 121)
local n = tonumber(ARGV[6])
local keys = {'r:0', 'r:' .. (ARGV[1] + account), 'r:' .. (ARGV[2] + strategy), 'r:' .. (ARGV[3] + instrument),
              'r:' .. (ARGV[4] + account * n + instrument), 'r:' .. (ARGV[5] + strategy * n + instrument)}
local stored = redis.call('MGET', unpack(keys))
local ended = string.sub(order, 1, 120) .. struct.pack('<i8i8', 0, 0) .. string.sub(order, 137, 171) .. string.char(11)
local out = {KEYS[1], ended .. string.sub(order, 173)}
for k = 1, 6 do
  local r = {struct.unpack(counters, stored[k])}
  if side == 1 then
    r[2], r[4], r[6] = r[2] - quantity, r[4] - notional, r[6] - 1
  else
    r[3], r[5], r[7] = r[3] - quantity, r[5] - notional, r[7] - 1
  end
  write(out, keys[k], stored[k], r)
end
redis.call('MSET', unpack(out))
return 0
)";

struct FreeReply {
    void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;
using Words = std::vector<std::string_view>;

std::string order_key(const OrderKey& key) { return std::string("o:").append(key.view()); }
std::string row_key(std::uint32_t number) { return "r:" + std::to_string(number); }
std::string_view text_of(const redisReply& reply) noexcept { return {reply.str, reply.len}; }

class Connection {
public:
    explicit Connection(const std::string& socket) : context_(redisConnectUnix(socket.c_str())) {
        if (context_ == nullptr) throw std::runtime_error("redis: out of memory");
    }
    ~Connection() { redisFree(context_); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    [[nodiscard]] bool is_connected() const noexcept { return context_->err == 0; }

    Reply ask(const Words& words) {
        append(words);
        return next();
    }
    void append(const Words& words) {
        texts_.clear();
        sizes_.clear();
        for (const std::string_view word : words) texts_.push_back(word.data()), sizes_.push_back(word.size());
        redisAppendCommandArgv(context_, static_cast<int>(words.size()), texts_.data(), sizes_.data());
    }
    Reply next() {
        void* reply = nullptr;
        if (redisGetReply(context_, &reply) != REDIS_OK) throw std::runtime_error(std::string("redis: ") + context_->errstr);
        Reply owned(static_cast<redisReply*>(reply));
        if (owned->type == REDIS_REPLY_ERROR) throw std::runtime_error(std::string("redis: ") + owned->str);
        return owned;
    }

private:
    redisContext* context_;
    std::vector<const char*> texts_;
    std::vector<std::size_t> sizes_;
};

class RedisSession : public Session {
public:
    explicit RedisSession(const std::string& socket) : connection_(socket) {
        register_ = text_of(*connection_.ask({"SCRIPT", "LOAD", std::string(kShared) + kRegister}));
        cancel_ = text_of(*connection_.ask({"SCRIPT", "LOAD", std::string(kShared) + kCancel}));
    }

    Answer register_order(const Order& order) override {
        const std::string key = order_key(OrderKey(order));
        std::array<std::string, kRowsOfOrder> rows;
        const RowNumbers numbers = row_numbers(order);
        for (std::size_t k = 0; k < kRowsOfOrder; ++k) rows[k] = row_key(numbers[k]);
        const std::string quantity = std::to_string(order.quantity);
        const std::string notional = std::to_string(order.reserved_notional);
        words_.assign({"EVALSHA", register_, "7", key, rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], bytes_of(order),
                       order.side == Side::buy ? "1" : "0", quantity, notional});
        return static_cast<Answer>(connection_.ask(words_)->integer);
    }
    Answer cancel(std::uint16_t account, std::string_view id) override {
        const std::string key = order_key(OrderKey(account, id));
        words_.assign({"EVALSHA", cancel_, "1", key, first_rows_[0], first_rows_[1], first_rows_[2], first_rows_[3],
                       first_rows_[4], first_rows_[5]});
        return static_cast<Answer>(connection_.ask(words_)->integer);
    }

private:
    Connection connection_;
    std::string register_, cancel_;
    std::array<std::string, 6> first_rows_ = {
        std::to_string(kAccountRow),           std::to_string(kStrategyRow),           std::to_string(kInstrumentRow),
        std::to_string(kAccountInstrumentRow), std::to_string(kStrategyInstrumentRow), std::to_string(kInstruments)};
    Words words_;
};

class RedisPeer : public Peer {
public:
    explicit RedisPeer(const Setup& setup) : synced_(setup.synced), socket_(setup.dir + "/redis.sock") {
        std::vector<std::string> arguments = {redis_server(),
                                              "--port",
                                              "0",
                                              "--unixsocket",
                                              socket_,
                                              "--unixsocketperm",
                                              "700",
                                              "--dir",
                                              setup.dir,
                                              "--logfile",
                                              setup.dir + "/redis.log",
                                              "--daemonize",
                                              "no",
                                              "--save",
                                              "",
                                              "--appendonly",
                                              synced_ ? "yes" : "no"};
        // No rewrite of the file meanwhile, as no other peer compacts its log within the run.
        if (synced_) arguments.insert(arguments.end(), {"--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"});
        server_ = ChildProcess(arguments);
        for (int tries = 0; !Connection(socket_).is_connected(); ++tries) {
            if (tries == 5000 || !server_.is_running()) throw std::runtime_error("redis: the server did not start");
            segment::sleep_ns(1'000'000);
        }
    }

    void load(const std::vector<Order>& orders, const std::vector<Row>& rows) override {
        Connection connection(socket_);
        if (synced_) connection.ask({"CONFIG", "SET", "appendfsync", "no"});
        constexpr std::size_t batch = 1000;
        for (std::size_t first = 0; first < orders.size(); first += batch) {
            std::vector<std::string> keys;
            for (std::size_t i = first; i < std::min(first + batch, orders.size()); ++i)
                keys.push_back(order_key(OrderKey(orders[i])));
            Words words = {"MSET"};
            for (std::size_t i = 0; i < keys.size(); ++i) words.insert(words.end(), {keys[i], bytes_of(orders[first + i])});
            connection.ask(words);
        }
        for (std::uint32_t number = 0; number < rows.size(); ++number)
            connection.append({"SET", row_key(number), bytes_of(rows[number])});
        for (std::size_t i = 0; i < rows.size(); ++i) connection.next();
        if (synced_) connection.ask({"CONFIG", "SET", "appendfsync", "always"});
    }
    std::unique_ptr<Session> open(std::uint16_t) override { return std::make_unique<RedisSession>(socket_); }
    void visit_orders(const std::function<void(const Order&)>& visit) override {
        each("o:*", [&](std::string_view, std::string_view value) { visit(record_from<Order>(value.data())); });
    }
    void visit_rows(const std::function<void(std::uint32_t, const Row&)>& visit) override {
        each("r:*", [&](std::string_view key, std::string_view value) {
            visit(static_cast<std::uint32_t>(std::stoul(std::string(key.substr(2)))), record_from<Row>(value.data()));
        });
    }

private:
    void each(std::string_view pattern, const std::function<void(std::string_view, std::string_view)>& visit) {
        Connection connection(socket_);
        std::string cursor = "0";
        do {
            const Reply page = connection.ask({"SCAN", cursor, "MATCH", pattern, "COUNT", "10000"});
            cursor = text_of(*page->element[0]);
            const redisReply& keys = *page->element[1];
            if (keys.elements == 0) continue;
            Words words = {"MGET"};
            for (std::size_t i = 0; i < keys.elements; ++i) words.push_back(text_of(*keys.element[i]));
            const Reply values = connection.ask(words);
            for (std::size_t i = 0; i < keys.elements; ++i) visit(words[i + 1], text_of(*values->element[i]));
        } while (cursor != "0");
    }

    bool synced_;
    std::string socket_;
    ChildProcess server_;
};

}  // namespace

std::string redis_server() {
    const char* path = std::getenv("PATH");
    std::string_view rest = path == nullptr ? "" : path;
    while (!rest.empty()) {
        const std::string program = std::string(rest.substr(0, rest.find(':'))) + "/redis-server";
        if (::access(program.c_str(), X_OK) == 0) return program;
        rest.remove_prefix(std::min(rest.find(':'), rest.size() - 1) + 1);
    }
    return {};
}

std::unique_ptr<Peer> make_redis(const Setup& setup) { return std::make_unique<RedisPeer>(setup); }

}  // namespace riskreg::bench::peers
