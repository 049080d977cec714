/// What the model's sources share: how a refusal is written down, and what one call carries along.
#pragma once

#include <algorithm>
#include <limits>

#include "model/model.hpp"

namespace riskreg::model {

inline constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
inline constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();

// semantics.md 6: a quantity limit of firm, account, strategy holds for each instrument separately, that is
// against instrument, account×instrument, strategy×instrument.
inline constexpr std::array<std::size_t, 6> kQuantityScope = {3, 4, 5, 3, 4, 5};
inline constexpr std::size_t kAccountInstrument = 4;
inline constexpr std::size_t kStrategyInstrument = 5;

inline bool takes_price(OrderType type) { return type == OrderType::limit || type == OrderType::stop_limit; }
inline bool takes_stop_price(OrderType type) { return type == OrderType::stop || type == OrderType::stop_limit; }
inline bool live(const Order& order) { return is_live(order.base); }
inline bool has_value(const LimitValue& limit) { return limit.kind == LimitValue::Kind::value; }
inline bool breaks(const LimitValue& limit, const Big& observed) { return has_value(limit) && observed > limit.value; }

inline std::int64_t clamp_to_64(const Big& value) {
    if (value > kMax) return kMax;
    if (value < kMin) return kMin;
    return value.convert_to<std::int64_t>();
}
inline Big magnitude(std::int64_t value) { return abs(Big(value)); }

inline Verdict deny(DenyReason reason) {
    Verdict verdict;
    verdict.result = Result::denied;
    verdict.reason = reason;
    return verdict;
}
inline Verdict deny(DenyReason reason, const Scope& scope) {
    Verdict verdict = deny(reason);
    verdict.scope = scope;
    return verdict;
}
inline Verdict deny(DenyReason reason, const Scope& scope, const Big& observed, std::int64_t limit, Unit unit) {
    Verdict verdict = deny(reason, scope);
    verdict.has_numbers = true;
    verdict.observed = clamp_to_64(observed);
    verdict.limit = limit;
    verdict.unit = unit;
    return verdict;
}
inline Verdict taken(Result result) {
    Verdict verdict;
    verdict.result = result;
    return verdict;
}

/// What sections 3 and 5 look at, of a new order or of an amended one.
struct Model::Priced {
    InstrumentId instrument{};
    Side side{};
    OrderType type{};
    std::optional<std::int64_t> price, stop_price;
    std::int64_t quantity = 0;
};

/// One order on its way through one event.
struct Model::Work {
    Order& real;
    Order order;                    // the copy that the event changes
    std::int64_t steady_ns = 0;     // of the caller: when the age of a reference is judged
    Result result = Result::ok;
    OrderFlags remarks = 0;         // flags of this answer only
    std::int64_t position = 0;
    Big traded_notional = 0, cash_flow = 0;
    std::optional<std::int64_t> mark{};   // price of a trade, or what stands for one; moves the marks that nobody set
    bool mark_only_where_none = false;
    bool is_fill = false;
    bool traded = false;                  // moved a position
    bool executed = false;                // by an execution that was not known before
    bool ended_by_reject = false;

    void set(OrderFlags flag) { order.flags = static_cast<OrderFlags>(order.flags | flag); }
    void clear(OrderFlags flag) { order.flags = static_cast<OrderFlags>(order.flags & ~flag); }
    void anomaly(OrderFlags flag) {
        set(flag);
        result = Result::anomaly;
    }
    [[nodiscard]] std::int64_t reachable() const {
        return order.pending ? std::max(order.quantity, order.pending->total) : order.quantity;
    }
    [[nodiscard]] OrderBase base_by_cum() const { return order.cum > 0 ? OrderBase::partially_filled : OrderBase::new_; }
    [[nodiscard]] OrderBase revived_base() const { return order.cum >= order.quantity ? OrderBase::filled : base_by_cum(); }
    void end(OrderBase base) {
        order.base = base;
        order.pending.reset();
        clear(kPendingCancel | kUnknown);
    }
};

/// A new order on its way through the checks.
struct Model::Draft {
    Order order;
    std::int64_t notional = 0;
    std::optional<std::int64_t> stand_in;  // worst_case: for the mark of rows that have none
    bool crosses = false;                  // an own order, and is accepted all the same

    [[nodiscard]] Priced priced() const {
        return {order.instrument, order.side, order.type, order.registered_price, order.stop_price, order.quantity};
    }
};

/// A request to amend on its way through the checks.
struct Model::Amend {
    PendingReplace wanted;
    bool down = false;
    bool more_aggressive = false;
    bool takes_slot = false;
    bool crosses = false;
    std::int64_t more_quantity = 0;
};

/// By how much a reservation is to grow.
struct Model::Growth {
    InstrumentId instrument{};
    Side side{};
    std::int64_t quantity = 0;
    std::int64_t notional = 0;
    std::optional<std::int64_t> stand_in;
    std::int64_t steady_ns = 0;  // of the caller: which reference prices are fresh
};

/// What a row's positions are worth, and what its day has brought.
struct Model::Worth {
    Big gross, net, result, peak;
};

/// A new or amended order as it would meet own orders; without a price at the market.
struct Model::Incoming {
    AccountId account{};
    InstrumentId instrument{};
    Side side{};
    std::optional<std::int64_t> price;
};

/// The other side of the own orders, against one that comes in.
struct Model::Match {
    bool crosses = false;
    bool at_market = false;  // one of the two has no price
    std::int64_t best = 0;   // own price of the other side
};

}  // namespace riskreg::model
