#include "demo/venue.hpp"

#include <algorithm>
#include <vector>

#include "demo/clock.hpp"
#include "demo/market.hpp"

namespace demo {

namespace {

/// Most answers that one pass over the book may give to one strategy; while there is less room, the strategy (which may
/// be dead) is left alone, so that no answer is ever dropped.
constexpr std::uint32_t kRoomNeeded = 128;
constexpr std::int64_t kPause = 100 * kMicrosecond;
constexpr std::int64_t kFillsPerSecond = 120;   // of one order in the book, on average

class Book {
public:
    Book(StrategyBoard& strategy, std::uint64_t& executions, Chance& chance)
        : strategy_(strategy), executions_(executions), chance_(chance) {}

    void work() {
        for (std::uint32_t i = 0; i < kRoomNeeded / 2 && strategy_.from_venue.room() >= kRoomNeeded; ++i) {
            const Message* request = strategy_.to_venue.front();
            if (request == nullptr) break;
            answer(*request);
            strategy_.to_venue.pop();
        }
        if (strategy_.from_venue.room() >= kRoomNeeded) trade();
    }

private:
    struct Order {
        Message message;   // as last sent and accepted
        std::int64_t cum = 0;
    };

    void answer(const Message& request) {
        switch (request.kind) {
            case MessageKind::new_order: return accept(request);
            case MessageKind::cancel: return cancel(request);
            case MessageKind::replace: return replace(request);
            default: return tell(request, find(request.order) != book_.end() ? MessageKind::acked : MessageKind::unknown_order);
        }
    }

    void accept(const Message& request) {
        if (chance_.percent(2)) return tell(request, MessageKind::rejected);
        book_.push_back({request, 0});
        tell(request, MessageKind::acked);
    }

    void cancel(const Message& request) {
        const auto order = find(request.order);
        if (order == book_.end()) return tell(request, MessageKind::cancel_rejected);
        book_.erase(order);
        tell(request, MessageKind::canceled);
    }

    void replace(const Message& request) {
        const auto order = find(request.order);
        if (order == book_.end() || request.quantity <= order->cum || chance_.percent(5))
            return tell(request, MessageKind::replace_rejected);
        order->message = request;
        tell(request, MessageKind::replaced);
    }

    /// Somebody trades with the orders, as often as the time that has passed says; a venue that was kept waiting does
    /// not make up for all of it.
    void trade() {
        const std::int64_t now = monotonic_ns();
        const std::int64_t passed = std::min(now - last_trade_ns_, 10 * kMillisecond);
        last_trade_ns_ = now;
        due_ += static_cast<std::int64_t>(book_.size()) * kFillsPerSecond * passed;
        for (; due_ >= kSecond && !book_.empty(); due_ -= kSecond)
            fill(book_.begin() + chance_.below(static_cast<std::uint32_t>(book_.size())));
    }

    void fill(std::vector<Order>::iterator order) {
        const std::int64_t leaves = order->message.quantity - order->cum;
        const auto lots = static_cast<std::uint32_t>(leaves / kLot);
        Message report = order->message;
        report.quantity = chance_.percent(60) ? leaves : (1 + chance_.below(lots)) * kLot;
        report.execution = ++executions_;
        tell(report, MessageKind::filled);
        order->cum += report.quantity;
        if (order->cum == order->message.quantity) book_.erase(order);
    }

    void tell(Message message, MessageKind kind) {
        message.kind = kind;
        static_cast<void>(strategy_.from_venue.push(message));   // there is room: see kRoomNeeded
    }

    std::vector<Order>::iterator find(std::uint32_t number) {
        return std::find_if(book_.begin(), book_.end(), [number](const Order& o) { return o.message.order == number; });
    }

    StrategyBoard& strategy_;
    std::uint64_t& executions_;
    Chance& chance_;
    std::vector<Order> book_;
    std::int64_t last_trade_ns_ = 0;
    std::int64_t due_ = 0;   // fills, times a second in nanoseconds
};

}  // namespace

void run_venue(Board& board) {
    Chance chance(99);
    std::uint64_t executions = 0;
    std::vector<Book> books;
    books.reserve(std::size(board.strategies));
    for (StrategyBoard& strategy : board.strategies) books.emplace_back(strategy, executions, chance);
    while (true) {
        for (Book& book : books) book.work();
        sleep_ns(kPause);
    }
}

}  // namespace demo
