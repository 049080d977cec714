/// The job that every peer does for one order, worked out once: the records, the six rows, the limits.
///
/// A registration is one atomic transaction: refuse an id that was used, judge six rows, insert the order, write the six rows
/// back. A cancel takes the order's amounts out of its six rows; its id stays used, as it does for a trading day.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "workload.hpp"

namespace riskreg::bench::peers {

enum class Answer : std::uint8_t { accepted = 0, duplicate = 1, over_limit = 2, unknown = 3 };

/// One order as a peer stores it. riskreg's own slot holds these fields and some more: 448 bytes, of which one version is 320.
struct Order {
    char id[40];
    char venue_id[40];   // until the venue answers: empty
    std::int64_t price, stop_price, quantity, cum_quantity;
    std::int64_t reserved_price, reserved_quantity, reserved_notional;
    std::int64_t created_ns, updated_ns;
    std::uint64_t seq;
    std::uint32_t instrument;
    std::uint16_t account, strategy;
    Side side;
    OrderType type;
    TimeInForce tif;
    OrderBase state;
    std::uint32_t session, version, flags;
};
static_assert(sizeof(Order) == 184 && std::has_unique_object_representations_v<Order>, "stored as its bytes");

/// Counters and limits of one scope. What an order changes comes first; peer_redis knows these offsets, too.
struct Row {
    std::int64_t position, open_buy_quantity, open_sell_quantity, open_buy_notional, open_sell_notional;
    std::uint32_t working_buy, working_sell;
    std::int64_t max_order_quantity, max_order_notional, max_long, max_short, max_open_notional;
    std::uint32_t max_working_orders, max_working_buy, max_working_sell, flags;
};
static_assert(sizeof(Row) == 104 && std::has_unique_object_representations_v<Row>, "stored as its bytes");
inline constexpr std::int64_t kUnlimited = 0x7FFFFFFFFFFFFFFF;
inline constexpr std::uint32_t kUnlimitedCount = 0xFFFFFFFFU;

template <class Record>
[[nodiscard]] inline Record record_from(const void* bytes) noexcept {
    Record record;
    std::memcpy(&record, bytes, sizeof record);
    return record;
}
template <class Record>
[[nodiscard]] inline std::string_view bytes_of(const Record& record) noexcept {
    return {reinterpret_cast<const char*>(&record), sizeof record};
}

/// (account, id) as bytes: the key of an order in the stores that keep keys sorted or hashed.
struct OrderKey {
    char bytes[42];
    std::size_t size;

    OrderKey(std::uint16_t account, std::string_view id) noexcept : size(2 + id.size()) {
        bytes[0] = static_cast<char>(account >> 8);
        bytes[1] = static_cast<char>(account & 0xFF);
        std::memcpy(bytes + 2, id.data(), id.size());
    }
    explicit OrderKey(const Order& order) noexcept : OrderKey(order.account, order.id) {}
    [[nodiscard]] std::string_view view() const noexcept { return {bytes, size}; }
};

inline constexpr std::size_t kRowsOfOrder = 6;
using RowNumbers = std::array<std::uint32_t, kRowsOfOrder>;
using SixRows = std::array<Row, kRowsOfOrder>;

// Numbers of rows, in blocks: firm, accounts, strategies, instruments, accounts × instruments, strategies × instruments.
inline constexpr std::uint32_t kAccountRow = 1;
inline constexpr std::uint32_t kStrategyRow = kAccountRow + kAccounts;
inline constexpr std::uint32_t kInstrumentRow = kStrategyRow + kStrategies;
inline constexpr std::uint32_t kAccountInstrumentRow = kInstrumentRow + kInstruments;
inline constexpr std::uint32_t kStrategyInstrumentRow = kAccountInstrumentRow + kAccounts * kInstruments;
inline constexpr std::uint32_t kRows = kStrategyInstrumentRow + kStrategies * kInstruments;

/// The rows of an order in riskreg's order of checking.
[[nodiscard]] inline RowNumbers row_numbers(const Order& order) noexcept {
    return {0,
            kAccountRow + order.account,
            kStrategyRow + order.strategy,
            kInstrumentRow + order.instrument,
            kAccountInstrumentRow + order.account * kInstruments + order.instrument,
            kStrategyInstrumentRow + order.strategy * kInstruments + order.instrument};
}

/// Limits of quantities of a scope that spans instruments hold for each instrument: row k is held against this row's counters.
inline constexpr std::array<std::size_t, kRowsOfOrder> kQuantityRow = {3, 4, 5, 3, 4, 5};

// clang-format off
enum Breach : unsigned {
    kOrderQuantity = 1, kOrderNotional = 2, kWorking = 4, kWorkingBuy = 8, kWorkingSell = 16, kLong = 32, kShort = 64,
    kOpenNotional = 128,
};
// clang-format on
inline constexpr unsigned kEveryBreach = 255;

/// Which limits of the six rows the order would break; 0: none.
[[nodiscard]] unsigned breaches(const Order& order, const SixRows& rows) noexcept;

inline void reserve(const Order& order, Row& row) noexcept {
    const bool buy = order.side == Side::buy;
    (buy ? row.open_buy_quantity : row.open_sell_quantity) += order.reserved_quantity;
    (buy ? row.open_buy_notional : row.open_sell_notional) += order.reserved_notional;
    ++(buy ? row.working_buy : row.working_sell);
}
inline void release(const Order& order, Row& row) noexcept {
    const bool buy = order.side == Side::buy;
    (buy ? row.open_buy_quantity : row.open_sell_quantity) -= order.reserved_quantity;
    (buy ? row.open_buy_notional : row.open_sell_notional) -= order.reserved_notional;
    --(buy ? row.working_buy : row.working_sell);
}
/// The whole decision on rows that were read; `accepted`: they hold the order now.
[[nodiscard]] inline Answer judge_and_reserve(const Order& order, SixRows& rows) noexcept {
    if (breaches(order, rows) != 0) return Answer::over_limit;
    for (Row& row : rows) reserve(order, row);
    return Answer::accepted;
}
/// An order as it is kept after its cancel.
[[nodiscard]] inline Order canceled(Order order) noexcept {
    order.reserved_quantity = order.reserved_notional = 0;
    order.state = OrderBase::canceled;
    return order;
}

/// The strategy of orders that are not told another one.
inline constexpr std::uint16_t kStrategy = 3;
/// Order number i of the workload.
[[nodiscard]] Order order_for(std::size_t i, std::uint16_t strategy = kStrategy);
/// Reserves what the order's price and quantity say.
void set_reservation(Order& order) noexcept;
/// Every row, empty, with the limits that the configuration gives it.
[[nodiscard]] std::vector<Row> rows_of(const SharedConfig& config);

}  // namespace riskreg::bench::peers
