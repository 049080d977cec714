/// What the processes of the demonstration share besides the registry: queues, counters, and who was told what.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "demo/histogram.hpp"
#include "demo/ring.hpp"
#include "riskreg/order.hpp"

namespace demo {

using riskreg::Side;
using riskreg::Verdict;

inline constexpr std::size_t kStrategies = 4;
inline constexpr std::size_t kInstruments = 2;
inline constexpr std::size_t kPublisher = 0;   ///< the strategy that publishes reference prices
inline constexpr std::size_t kVictim = 1;      ///< the strategy that is killed midway
inline constexpr std::uint32_t kMaxAnswers = 1U << 20;

enum class MessageKind : std::uint8_t {
    new_order,
    cancel,
    replace,
    query,                                                    // strategy to venue
    acked,
    rejected,
    filled,
    canceled,
    cancel_rejected,
    replaced,
    replace_rejected,
    unknown_order,  // venue to strategy
};

struct Message {
    MessageKind kind{};
    Side side{};
    std::uint32_t instrument = 0;
    std::uint32_t order = 0;       ///< number of the first id of the order's chain
    std::uint32_t new_order = 0;   ///< replace: number of the new id
    std::int64_t price = 0;
    std::int64_t quantity = 0;     ///< filled: of this fill; otherwise the total
    std::uint64_t execution = 0;
};

/// A counter with one writer.
struct Counter {
    std::atomic<std::uint64_t> value{0};
    void add() noexcept { value.store(value.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t get() const noexcept { return value.load(std::memory_order_relaxed); }
};

/// One reason for refusals, with the first one of its kind as the example.
struct Denial {
    Counter count;
    riskreg::DenyReason reason{};
    Verdict example;
};

/// What a new incarnation found when it took over from a dead one.
struct TakeOver {
    std::uint32_t in_doubt = 0;      ///< order whose answer the dead process was waiting for; 0: none
    bool in_doubt_found = false;
    riskreg::OrderStatus in_doubt_status{};
    std::uint32_t claimed = 0;       ///< live orders that were orphaned until now
    std::uint32_t queried = 0;       ///< of these: the venue had not answered yet, so it is asked
    std::uint32_t canceled = 0;      ///< of these: a request was pending, so the order is taken back
};

/// The part of one strategy; all incarnations of it write here, one after the other.
struct StrategyBoard {
    Ring<Message, 1024> to_venue;
    Ring<Message, 4096> from_venue;

    std::atomic<std::uint32_t> attached{0};     ///< incarnations that have attached so far
    std::atomic<bool> hurried{false};           ///< trades faster while it is hunted
    std::atomic<std::uint32_t> last_number{0};  ///< of the order ids given out
    std::atomic<std::uint32_t> asking{0};       ///< order number whose answer has not come back; 0: none
    std::atomic<std::uint32_t> answers{0};      ///< entries of `answered` that count
    TakeOver take_over;                         ///< published by `attached`

    Counter registered, denied_orders, acked, filled_part, filled_all, canceled, replaced, rejected, aborted;
    Counter cancel_rejected, replace_rejected, requests_denied, duplicates, anomalies, quarantined, not_booked;
    std::array<Denial, 32> denials;
    std::atomic<std::uint32_t> denial_reasons{0};
    Histogram latency;

    std::atomic<std::uint32_t> gap_epoch{0};      ///< raised by the director to measure anew
    std::atomic<std::int64_t> largest_gap_ns{0};  ///< between two answers of check_and_register in this epoch

    std::array<std::uint32_t, kMaxAnswers> answered;       ///< order numbers that the registry has acknowledged to us
    std::array<std::uint32_t, kMaxAnswers> answered_seq;   ///< with these events
};

struct Board {
    std::atomic<bool> go{false};   ///< everyone is attached and a reference price is known
    std::array<StrategyBoard, kStrategies> strategies;
};

[[nodiscard]] inline std::string strategy_name(std::size_t strategy) { return "mm" + std::to_string(strategy + 1); }
[[nodiscard]] inline std::string order_id(std::size_t strategy, std::uint32_t number) {
    return strategy_name(strategy) + "-" + std::to_string(number);
}
/// The number in an id of this strategy; 0 when it is none.
[[nodiscard]] inline std::uint32_t number_of(std::string_view id) noexcept {
    std::uint32_t number = 0;
    for (const char c : id.substr(std::min(id.find('-'), id.size() - 1) + 1))
        number = number * 10 + static_cast<std::uint32_t>(c - '0');
    return number;
}

}  // namespace demo
