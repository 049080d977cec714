#include "demo/strategy.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <vector>

#include "demo/clock.hpp"
#include "demo/market.hpp"
#include "riskreg/registry.hpp"

namespace demo {

using namespace riskreg;

namespace {

constexpr std::int64_t kPause = 100 * kMicrosecond;
constexpr std::int64_t kPublishInterval = 2 * kMillisecond;
constexpr std::uint32_t kHurry = 25;   // times as many orders a second, and no sleep, while it is hunted

class Strategy {
public:
    Strategy(Registry registry, Board& board, std::size_t index)
        : registry_(std::move(registry)),
          board_(board),
          mine_(board.strategies[index]),
          index_(index),
          chance_(index + 1 + 16ULL * mine_.attached.load()),
          account_(registry_.account(kAccount)) {
        for (std::size_t i = 0; i < kInstruments; ++i) {
            instruments_[i] = registry_.instrument(kMarkets[i].id);
            rows_[i] = registry_.reader().scope(std::string("account:") + kAccount + "/instrument:" + kMarkets[i].id);
            references_[i] = kMarkets[i].start_price;
        }
    }

    void take_over();
    void announce() { mine_.attached.fetch_add(1, std::memory_order_release); }
    bool trade();   // false when the registry refuses every further call

private:
    struct Working {
        std::uint32_t number = 0;
        std::uint32_t instrument = 0;
        Side side{};
        std::int64_t price = 0;
        std::int64_t quantity = 0;
        std::int64_t cum = 0;
        bool acked = false;
        bool pending = false;   // a cancel or a replace has not been answered
    };

    [[nodiscard]] std::string id(std::uint32_t number) const { return order_id(index_, number); }
    [[nodiscard]] std::vector<Working>::iterator find(std::uint32_t number) {
        return std::find_if(working_.begin(), working_.end(), [number](const Working& w) { return w.number == number; });
    }

    void publish(std::int64_t now);
    void act();
    void send_new_order();
    void misbehave();
    void cancel_one();
    void replace_one();
    Working pick_order();
    Verdict ask(std::uint32_t number, const Working& order);
    void place(std::uint32_t number, const Working& order);
    void request_cancel(Working& order);
    std::uint32_t next_number() { return mine_.last_number.fetch_add(1, std::memory_order_relaxed) + 1; }
    void begin_asking(std::uint32_t number) { mine_.asking.store(number, std::memory_order_release); }
    void note_answer(std::uint32_t number, const Verdict& verdict);
    void note_denial(const Verdict& verdict);
    void note_gap(std::int64_t now);

    bool read_venue();
    [[nodiscard]] OrderEvent fact_of(const Message& message) const;
    void book(const Message& message, const Verdict& verdict);
    void count(const Message& message, const Verdict& verdict);
    void venue_knows_nothing(std::uint32_t number);
    void claim(const OrderView& view);

    Registry registry_;
    Board& board_;
    StrategyBoard& mine_;
    const std::size_t index_;
    Chance chance_;
    const AccountId account_;
    std::array<InstrumentId, kInstruments> instruments_{};
    std::array<Scope, kInstruments> rows_{};
    std::array<std::int64_t, kInstruments> references_{};
    std::vector<Working> working_;
    bool refused_for_good_ = false;
    std::int64_t next_order_ns_ = 0;
    std::int64_t next_publish_ns_ = 0;
    std::int64_t last_answer_ns_ = 0;
    std::uint32_t gap_epoch_ = 0;
};

// ---- trading ----

bool Strategy::trade() {
    const std::int64_t now = monotonic_ns();
    if (index_ == kPublisher && now >= next_publish_ns_) publish(now);
    if (!read_venue()) return false;
    if (!board_.go.load(std::memory_order_acquire)) return sleep_ns(kMillisecond), true;
    const bool hurried = mine_.hurried.load(std::memory_order_relaxed);
    const std::int64_t interval = kSecond / kOrdersPerSecond / (hurried ? kHurry : 1);
    // Who was kept waiting does not catch up on more than a few orders: a burst would only be refused.
    next_order_ns_ = std::max(next_order_ns_, now - 4 * interval);
    while (next_order_ns_ <= monotonic_ns() && !refused_for_good_) {
        act();
        next_order_ns_ += interval;
    }
    if (!hurried && mine_.from_venue.front() == nullptr)
        sleep_ns(std::clamp<std::int64_t>(next_order_ns_ - monotonic_ns(), 1, kPause));
    return !refused_for_good_;
}

/// A random walk around where the market began. One owner per instrument; the others see the price through the registry.
void Strategy::publish(std::int64_t now) {
    next_publish_ns_ = now + kPublishInterval;
    for (std::size_t i = 0; i < kInstruments; ++i) {
        const Market& market = kMarkets[i];
        const bool up = references_[i] < market.start_price - 40 * market.tick ||
                        (references_[i] < market.start_price + 40 * market.tick && chance_.percent(50));
        references_[i] += up ? market.tick : -market.tick;
        static_cast<void>(registry_.reference_price(instruments_[i], Price{references_[i]}));
    }
}

void Strategy::act() {
    const std::uint32_t dice = chance_.below(100);
    if (dice < 70) return send_new_order();
    if (dice < 85) return cancel_one();
    if (dice < 95) return replace_one();
    misbehave();
}

/// Leans against the position, as a market maker does.
Strategy::Working Strategy::pick_order() {
    Working order;
    order.instrument = chance_.below(kInstruments);
    const Market& market = kMarkets[order.instrument];
    const ExposureView row = registry_.reader().exposure(rows_[order.instrument]);
    order.quantity = (1 + chance_.below(market.usual_lots)) * kLot;
    const std::int64_t lots = row.position.value / kLot;
    const std::int64_t buy_chance = 50 - lots * 15 / market.max_long_lots;
    bool buy = chance_.percent(static_cast<std::uint32_t>(std::clamp<std::int64_t>(buy_chance, 5, 95)));
    // What may not be sold short is sold out of the position; once in a while somebody tries all the same.
    const bool uncovered = row.position.value - row.open_sell_quantity.value < order.quantity;
    if (!market.may_be_short && uncovered && !chance_.percent(5)) buy = true;
    order.side = buy ? Side::buy : Side::sell;
    const std::int64_t away = chance_.below(8) * market.tick;
    order.price = market.start_price + (buy ? -away : away);
    return order;
}

/// One check_and_register, timed; an accepted order is recorded as acknowledged before anything else happens.
Verdict Strategy::ask(std::uint32_t number, const Working& order) {
    const std::string name = id(number);
    OrderRequest request;
    request.id = name;
    request.account = account_;
    request.instrument = instruments_[order.instrument];
    request.side = order.side;
    request.price = Price{order.price};
    request.quantity = Quantity{order.quantity};
    const std::int64_t before = monotonic_ns();
    const Verdict verdict = registry_.check_and_register(request);
    const std::int64_t after = monotonic_ns();
    if (verdict.accepted()) note_answer(number, verdict);
    mine_.latency.record(after - before);
    note_gap(after);
    if (verdict.accepted()) {
        mine_.registered.add();
    } else {
        mine_.denied_orders.add();
        note_denial(verdict);
    }
    return verdict;
}

/// Register first, send afterwards.
void Strategy::place(std::uint32_t number, const Working& order) {
    begin_asking(number);
    const Verdict verdict = ask(number, order);
    begin_asking(0);
    if (!verdict.accepted()) return;
    working_.push_back(order);
    working_.back().number = number;
    const Message message{MessageKind::new_order, order.side, order.instrument, number, 0, order.price, order.quantity, 0};
    if (mine_.to_venue.push(message)) return;
    // The line to the venue is full: the send surely failed, so the reservation is given back.
    if (registry_.aborted(account_, id(number)).result == Result::ok) mine_.aborted.add();
    working_.pop_back();
}

void Strategy::send_new_order() { place(next_number(), pick_order()); }

/// What a faulty strategy would do; every one of these has to be refused.
void Strategy::misbehave() {
    Working order = pick_order();
    const Market& market = kMarkets[order.instrument];
    switch (chance_.below(5)) {
        case 0: order.quantity = market.too_many_lots * kLot; break;
        case 1: order.price += market.tick / 5; break;
        case 2: order.price += (order.side == Side::buy ? 1 : -1) * market.start_price / 20; break;
        case 3:   // an id a second time, with other content
            if (working_.empty()) return;
            order.quantity = market.usual_lots * kLot;
            order.price -= 20 * market.tick;
            static_cast<void>(ask(working_.back().number, order));
            return;
        default:   // the same order a second time
            if (working_.empty()) return;
            order = working_[chance_.below(static_cast<std::uint32_t>(working_.size()))];
            static_cast<void>(ask(order.number, order));
            return;
    }
    place(next_number(), order);
}

void Strategy::cancel_one() {
    if (working_.empty()) return;
    Working& order = working_[chance_.below(static_cast<std::uint32_t>(working_.size()))];
    if (order.acked && !order.pending) request_cancel(order);
}

void Strategy::request_cancel(Working& order) {
    const Verdict verdict = registry_.cancel_requested(account_, id(order.number));
    if (verdict.result == Result::denied) return mine_.requests_denied.add(), note_denial(verdict);
    order.pending = mine_.to_venue.push(
        {MessageKind::cancel, order.side, order.instrument, order.number, 0, order.price, order.quantity, 0});
}

void Strategy::replace_one() {
    if (working_.empty() || mine_.to_venue.room() == 0) return;
    Working& order = working_[chance_.below(static_cast<std::uint32_t>(working_.size()))];
    if (!order.acked || order.pending) return;
    const Market& market = kMarkets[order.instrument];
    const std::int64_t price = order.price + (chance_.percent(50) ? market.tick : -market.tick);
    const std::int64_t quantity = std::max<std::int64_t>(order.cum + kLot, order.quantity + (chance_.below(3) - 1LL) * kLot);
    const std::uint32_t number = next_number();
    const std::string old_id = id(order.number);
    const std::string new_id = id(number);
    ReplaceRequest request;
    request.id = old_id;
    request.account = account_;
    request.new_id = new_id;
    request.price = Price{price};
    request.quantity = Quantity{quantity};
    begin_asking(number);
    const Verdict verdict = registry_.replace_requested(request);
    if (verdict.result != Result::denied) note_answer(number, verdict);
    begin_asking(0);
    if (verdict.result == Result::denied) return mine_.requests_denied.add(), note_denial(verdict);
    order.pending =
        mine_.to_venue.push({MessageKind::replace, order.side, order.instrument, order.number, number, price, quantity, 0});
}

// ---- records in shared memory ----

void Strategy::note_answer(std::uint32_t number, const Verdict& verdict) {
    const std::uint32_t count = mine_.answers.load(std::memory_order_relaxed);
    if (count == kMaxAnswers) return;
    mine_.answered[count] = number;
    mine_.answered_seq[count] = static_cast<std::uint32_t>(verdict.seq);
    mine_.answers.store(count + 1, std::memory_order_release);
}

void Strategy::note_denial(const Verdict& verdict) {
    refused_for_good_ = verdict.reason == DenyReason::poisoned || verdict.reason == DenyReason::fenced;
    const std::uint32_t used = mine_.denial_reasons.load(std::memory_order_relaxed);
    std::uint32_t i = 0;
    while (i < used && mine_.denials[i].reason != verdict.reason) ++i;
    if (i == mine_.denials.size()) return;
    mine_.denials[i].count.add();
    if (i < used) return;
    mine_.denials[i].reason = verdict.reason;
    mine_.denials[i].example = verdict;
    mine_.denial_reasons.store(used + 1, std::memory_order_release);
}

void Strategy::note_gap(std::int64_t now) {
    const std::uint32_t epoch = mine_.gap_epoch.load(std::memory_order_relaxed);
    const bool measuring = epoch == gap_epoch_ && epoch != 0;
    if (!measuring) mine_.largest_gap_ns.store(0, std::memory_order_relaxed);
    if (measuring && now - last_answer_ns_ > mine_.largest_gap_ns.load(std::memory_order_relaxed))
        mine_.largest_gap_ns.store(now - last_answer_ns_, std::memory_order_relaxed);
    gap_epoch_ = epoch;
    last_answer_ns_ = now;
}

// ---- facts from the venue ----

/// A message is taken off the queue only when the registry has booked it: killed in between, it is delivered again.
bool Strategy::read_venue() {
    while (const Message* next = mine_.from_venue.front()) {
        const Message message = *next;
        if (message.kind == MessageKind::unknown_order) {
            venue_knows_nothing(message.order);
        } else {
            const std::string name = id(message.kind == MessageKind::replaced ? message.new_order : message.order);
            const std::string execution = "E" + std::to_string(message.execution);
            OrderEvent fact = fact_of(message);
            fact.id = name;
            if (message.kind == MessageKind::filled) fact.exec_id = execution;
            const Verdict verdict = registry_.event(fact);
            if (verdict.reason == DenyReason::poisoned || verdict.reason == DenyReason::fenced) return false;
            if (verdict.result == Result::not_booked) return mine_.not_booked.add(), true;  // the next turn delivers it again
            book(message, verdict);
        }
        mine_.from_venue.pop();
    }
    return true;
}

OrderEvent Strategy::fact_of(const Message& message) const {
    OrderEvent fact;
    fact.account = account_;
    switch (message.kind) {
        case MessageKind::acked: fact.kind = EventKind::acked; break;
        case MessageKind::rejected:
            fact.kind = EventKind::rejected;
            fact.text = "not today";
            break;
        case MessageKind::canceled: fact.kind = EventKind::canceled; break;
        case MessageKind::cancel_rejected: fact.kind = EventKind::cancel_rejected; break;
        case MessageKind::replace_rejected: fact.kind = EventKind::replace_rejected; break;
        case MessageKind::replaced: fact.kind = EventKind::replaced; break;
        default: fact.kind = EventKind::filled; break;
    }
    if (message.kind != MessageKind::filled && message.kind != MessageKind::replaced) return fact;
    fact.price = Price{message.price};
    fact.quantity = Quantity{message.quantity};
    fact.instrument = instruments_[message.instrument];
    fact.side = message.side;
    return fact;
}

/// Brings our own picture of the order up to what the venue said.
void Strategy::book(const Message& message, const Verdict& verdict) {
    count(message, verdict);
    const auto order = find(message.order);
    if (order == working_.end()) return;
    order->acked = true;
    switch (message.kind) {
        case MessageKind::filled: order->cum = verdict.cum_quantity.value; break;
        case MessageKind::replaced:
            order->price = message.price;
            order->quantity = message.quantity;
            order->pending = false;
            break;
        case MessageKind::cancel_rejected:
        case MessageKind::replace_rejected: order->pending = false; break;
        default: break;
    }
    const bool over = message.kind == MessageKind::rejected || message.kind == MessageKind::canceled;
    if (over || (verdict.has_order && verdict.leaves_quantity.value == 0)) working_.erase(order);
}

void Strategy::count(const Message& message, const Verdict& verdict) {
    if (verdict.result == Result::duplicate) return mine_.duplicates.add();
    if (verdict.result == Result::anomaly) mine_.anomalies.add();
    if (verdict.result == Result::quarantined) return mine_.quarantined.add();
    switch (message.kind) {
        case MessageKind::acked: return mine_.acked.add();
        case MessageKind::rejected: return mine_.rejected.add();
        case MessageKind::canceled: return mine_.canceled.add();
        case MessageKind::replaced: return mine_.replaced.add();
        case MessageKind::cancel_rejected: return mine_.cancel_rejected.add();
        case MessageKind::replace_rejected: return mine_.replace_rejected.add();
        default: return verdict.leaves_quantity.value == 0 ? mine_.filled_all.add() : mine_.filled_part.add();
    }
}

// ---- taking over from a dead predecessor ----

/// The venue answered a query: it never got this order. Only the owner may say so, and only before any other answer.
void Strategy::venue_knows_nothing(std::uint32_t number) {
    if (registry_.aborted(account_, id(number)).result == Result::ok) mine_.aborted.add();
    const auto order = find(number);
    if (order != working_.end()) working_.erase(order);
}

void Strategy::take_over() {
    TakeOver& report = mine_.take_over;
    report = TakeOver{};
    report.in_doubt = mine_.asking.exchange(0);
    OrderView view;
    if (report.in_doubt != 0 && registry_.find(account_, id(report.in_doubt), view)) {
        report.in_doubt_found = true;
        report.in_doubt_status = view.status;
    }
    registry_.reader().orders([&](const OrderView& order) {
        if (order.strategy == registry_.strategy() && is_live(order.base)) claim(order);
        return true;
    });
}

/// Orders that the venue has answered go on; what it may not have got is asked for; a pending request is settled by
/// taking the order back.
void Strategy::claim(const OrderView& view) {
    Working order;
    order.number = number_of(view.id);
    for (std::uint32_t i = 0; i < kInstruments; ++i)
        if (instruments_[i] == view.instrument) order.instrument = i;
    order.side = view.side;
    order.price = view.price.value;
    order.quantity = view.quantity.value;
    order.cum = view.cum_quantity.value;
    order.acked = view.base != OrderBase::pending_new;
    working_.push_back(order);
    TakeOver& report = mine_.take_over;
    ++report.claimed;
    const Message about{MessageKind::query, order.side, order.instrument, order.number, 0, order.price, order.quantity, 0};
    if (!order.acked) {
        report.queried += mine_.to_venue.push(about) ? 1 : 0;
    } else if ((view.flags & (kPendingCancel | kPendingReplace)) != 0) {
        ++report.canceled;
        request_cancel(working_.back());
    }
}

}  // namespace

int run_strategy(Board& board, const std::string& state_dir, std::size_t strategy, bool take_over) {
    try {
        ProcessConfig config;
        config.state_dir = state_dir;
        config.strategy = strategy_name(strategy);
        Strategy self(Registry::open(kRegistryName, config), board, strategy);
        if (take_over) self.take_over();
        self.announce();
        while (self.trade()) {
        }
        std::fprintf(stderr, "\nriskreg-demo: %s: the registry refuses every further call\n", config.strategy.c_str());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "\nriskreg-demo: %s: %s\n", strategy_name(strategy).c_str(), error.what());
    }
    return 1;
}

}  // namespace demo
