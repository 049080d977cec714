/// Every limit, once: what it is called, in which unit, where a row keeps it, what it refuses, and how its use is computed.
///
/// Checks, soft levels, follow-ups, readers, configuration, checkpoints and tools all read this table and call the one `use_of`.
/// How to add a limit: src/README.md "Adding a limit".
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "base/wide.hpp"
#include "layout/records.hpp"
#include "riskreg/config.hpp"

namespace riskreg::core {

/// The members of Limits in their order. The number is bit of a LimitMask and index of an alert, on disk too: append only.
// clang-format off
enum class LimitId : std::uint8_t {
    max_order_quantity, max_order_notional, max_long, max_short, max_open_notional,
    max_working_orders, max_working_buy, max_working_sell,
    max_gross_notional, max_net_notional, cash_limit, max_traded_notional, daily_loss, drawdown,
    max_messages, max_all_messages, max_same_content, max_same_direction, max_rejects,
    window_ms, content_window_ms, cancel_headroom,
};
// clang-format on
[[nodiscard]] constexpr std::size_t index_of(LimitId limit) noexcept { return static_cast<std::size_t>(limit); }
/// Limits before this one are kept in RowControl, from here on in RowRiskLimits; each `set` has one bit for each of its own.
inline constexpr std::size_t kFirstRiskLimit = index_of(LimitId::max_gross_notional);

inline constexpr std::int64_t kMostAmount = layout::kUnlimited;
inline constexpr std::int64_t kMostCount = layout::kUnlimitedCount - 1;
inline constexpr std::int64_t kMostWindowMs = 86'400'000;
inline constexpr std::int64_t kWholeBps = 10'000;

/// The field that a limit is kept in: an amount or a count, of the one record or of the other.
struct Kept {
    std::int64_t layout::RowControl::*amount = nullptr;
    std::uint32_t layout::RowControl::*count = nullptr;
    std::int64_t layout::RowRiskLimits::*risk_amount = nullptr;
    std::uint32_t layout::RowRiskLimits::*risk_count = nullptr;
    std::uint32_t unset_count = layout::kUnlimitedCount;  ///< what stands there when the limit is unset
};
// clang-format off
[[nodiscard]] constexpr Kept kept(std::int64_t layout::RowControl::*field) noexcept { Kept k; k.amount = field; return k; }
[[nodiscard]] constexpr Kept kept(std::uint32_t layout::RowControl::*field) noexcept { Kept k; k.count = field; return k; }
[[nodiscard]] constexpr Kept kept(std::int64_t layout::RowRiskLimits::*field) noexcept { Kept k; k.risk_amount = field; return k; }
[[nodiscard]] constexpr Kept kept(std::uint32_t layout::RowRiskLimits::*field, std::uint32_t unset = layout::kUnlimitedCount) noexcept {
    Kept k; k.risk_count = field; k.unset_count = unset; return k;
}
// clang-format on

/// What else there is to say of a limit.
enum LimitTrait : std::uint8_t {
    kPlain = 0,
    kHasSoftLevels = 1,  ///< the host tells when 70, 80 and 90 % are used
    kRestsOnMarks = 2,  ///< its use moves with reference prices
    kIsLoss = 4,  ///< reached at its value, not above it; stops the scope, too
    kIsParameter = 8,  ///< says how other limits are counted: a value or unset, never unlimited
};

struct Limit {
    LimitId id;
    std::string_view name;
    LimitValue Limits::*member;
    Unit unit;
    DenyReason reason;  ///< none: it refuses nothing by itself
    Kept kept;
    unsigned kind = 0;  ///< LimitBit: RowControl::set says by it that some limit of this kind has a value
    unsigned traits = kPlain;
    LimitValue Limits::*window = nullptr;  ///< the parameter that says in which window it is counted
    std::int64_t most = kMostAmount;
    std::int64_t least = 0;
    [[nodiscard]] constexpr bool is(LimitTrait trait) const noexcept { return (traits & trait) != 0; }
};

// clang-format off
inline constexpr auto kLimits = [] {
    using enum DenyReason;
    using C = layout::RowControl;
    using R = layout::RowRiskLimits;
    using L = Limits;
    using I = LimitId;
    using namespace layout;
    constexpr unsigned soft = kHasSoftLevels, marks = kRestsOnMarks, loss = kIsLoss, parameter = kIsParameter;
    return std::to_array<Limit>({
        {I::max_order_quantity, "max_order_quantity", &L::max_order_quantity, Unit::quantity, max_order_quantity, kept(&C::max_order_quantity)},
        {I::max_order_notional, "max_order_notional", &L::max_order_notional, Unit::money, max_order_notional, kept(&C::max_order_notional)},
        {I::max_long, "max_long", &L::max_long, Unit::quantity, max_long, kept(&C::max_long), 0, soft},
        {I::max_short, "max_short", &L::max_short, Unit::quantity, max_short, kept(&C::max_short), 0, soft},
        {I::max_open_notional, "max_open_notional", &L::max_open_notional, Unit::money, max_open_notional, kept(&C::max_open_notional), 0, soft},
        {I::max_working_orders, "max_working_orders", &L::max_working_orders, Unit::orders, max_working_orders, kept(&C::max_working_orders), 0, soft, nullptr, kMostCount},
        {I::max_working_buy, "max_working_buy", &L::max_working_buy, Unit::orders, max_working_orders, kept(&C::max_working_buy), 0, soft, nullptr, kMostCount},
        {I::max_working_sell, "max_working_sell", &L::max_working_sell, Unit::orders, max_working_orders, kept(&C::max_working_sell), 0, soft, nullptr, kMostCount},
        {I::max_gross_notional, "max_gross_notional", &L::max_gross_notional, Unit::money, max_gross_notional, kept(&R::max_gross_notional), kHasValueLimits, soft | marks},
        {I::max_net_notional, "max_net_notional", &L::max_net_notional, Unit::money, max_net_notional, kept(&R::max_net_notional), kHasValueLimits, soft | marks},
        {I::cash_limit, "cash_limit", &L::cash_limit, Unit::money, cash_limit, kept(&R::cash_limit), kHasValueLimits, soft},
        {I::max_traded_notional, "max_traded_notional", &L::max_traded_notional, Unit::money, max_traded_notional, kept(&R::max_traded_notional), kHasValueLimits, soft},
        {I::daily_loss, "daily_loss", &L::daily_loss, Unit::money, daily_loss, kept(&R::daily_loss), kHasValueLimits, soft | marks | loss},
        {I::drawdown, "drawdown", &L::drawdown, Unit::money, drawdown, kept(&R::drawdown), kHasValueLimits, soft | marks | loss},
        {I::max_messages, "max_messages", &L::max_messages, Unit::messages, rate_limit, kept(&R::max_messages), kHasMessageLimits, kPlain, &L::window_ms, kMostCount},
        {I::max_all_messages, "max_all_messages", &L::max_all_messages, Unit::messages, rate_limit, kept(&R::max_all_messages), kHasMessageLimits, kPlain, &L::window_ms, kMostCount},
        {I::max_same_content, "max_same_content", &L::max_same_content, Unit::orders, duplicate_content, kept(&R::max_same_content), kHasContentLimit, kPlain, &L::content_window_ms, kMostCount},
        {I::max_same_direction, "max_same_direction", &L::max_same_direction, Unit::executions, none, kept(&R::max_same_direction), kHasBreakers, kPlain, &L::window_ms, kMostCount},
        {I::max_rejects, "max_rejects", &L::max_rejects, Unit::orders, none, kept(&R::max_rejects), kHasBreakers, kPlain, &L::window_ms, kMostCount},
        {I::window_ms, "window_ms", &L::window_ms, Unit::milliseconds, none, kept(&R::window_ms, kDefaultWindowMs), 0, parameter, nullptr, kMostWindowMs, 1},
        {I::content_window_ms, "content_window_ms", &L::content_window_ms, Unit::milliseconds, none, kept(&R::content_window_ms, kDefaultWindowMs), 0, parameter, nullptr, kMostWindowMs, 1},
        {I::cancel_headroom, "cancel_headroom", &L::cancel_headroom_bps, Unit::basis_points, none, kept(&R::cancel_headroom_bps, kDefaultCancelHeadroomBps), 0, parameter, nullptr, kWholeBps},
    });
}();
// clang-format on

[[nodiscard]] constexpr const Limit& limit_of(LimitId limit) noexcept { return kLimits[index_of(limit)]; }
/// Bit of a limit in the `set` of the record that it is kept in.
[[nodiscard]] constexpr std::uint32_t set_bit(LimitId limit) noexcept {
    const std::size_t i = index_of(limit);
    return 1U << (i < kFirstRiskLimit ? i : i - kFirstRiskLimit);
}

/// Each entry stands where its number says, none names another's member, and Limits has no member without an entry.
[[nodiscard]] consteval bool is_whole_table() noexcept {
    for (std::size_t i = 0; i < kLimits.size(); ++i) {
        if (index_of(kLimits[i].id) != i) return false;
        const Kept& k = kLimits[i].kept;
        if ((k.amount != nullptr || k.count != nullptr) != (i < kFirstRiskLimit)) return false;
        for (std::size_t other = 0; other < i; ++other)
            if (kLimits[other].member == kLimits[i].member || kLimits[other].name == kLimits[i].name) return false;
    }
    return sizeof(Limits) == kLimits.size() * sizeof(LimitValue);
}
static_assert(is_whole_table());
static_assert(set_bit(LimitId::max_order_quantity) == layout::kSetMaxOrderQuantity &&
              set_bit(LimitId::max_long) == layout::kSetMaxLong && set_bit(LimitId::max_short) == layout::kSetMaxShort &&
              set_bit(LimitId::max_working_sell) == layout::kSetMaxWorkingSell);

[[nodiscard]] constexpr bool holds_value(const LimitValue& limit) noexcept { return limit.kind == LimitValue::Kind::value; }

/// What a row allows of one limit; kUnlimited where it has none.
[[nodiscard]] constexpr std::int64_t bound_of(const Limit& limit, const layout::RowControl& control,
                                              const layout::RowRiskLimits& risk) noexcept {
    const Kept& k = limit.kept;
    if (k.amount != nullptr) return control.*k.amount;
    if (k.risk_amount != nullptr) return risk.*k.risk_amount;
    const std::uint32_t count = k.count != nullptr ? control.*k.count : risk.*k.risk_count;
    return count == layout::kUnlimitedCount ? layout::kUnlimited : count;
}

[[nodiscard]] constexpr bool is_set(const LimitValue& limit) noexcept { return limit.kind != LimitValue::Kind::unset; }
[[nodiscard]] constexpr std::int64_t amount_of(const LimitValue& limit) noexcept {
    return holds_value(limit) ? limit.value : layout::kUnlimited;
}
[[nodiscard]] constexpr std::uint32_t count_of(const LimitValue& limit) noexcept {
    return holds_value(limit) ? static_cast<std::uint32_t>(std::min(limit.value, kMostCount)) : layout::kUnlimitedCount;
}

/// Kinds of risk limits that a check must look for: LimitBit.
[[nodiscard]] constexpr std::uint16_t kinds_of(const Limits& limits) noexcept {
    unsigned kinds = 0;
    for (const Limit& limit : kLimits) kinds |= holds_value(limits.*limit.member) ? limit.kind : 0U;
    return static_cast<std::uint16_t>(kinds);
}

/// Limits of a row, as values.
[[nodiscard]] constexpr Limits limits_of(const layout::RowControl& control, const layout::RowRiskLimits& risk) noexcept {
    Limits limits;
    for (const Limit& limit : kLimits) {
        const std::uint32_t set = index_of(limit.id) < kFirstRiskLimit ? control.set : risk.set;
        if ((set & set_bit(limit.id)) == 0) continue;
        const std::int64_t bound = bound_of(limit, control, risk);
        const bool unlimited = bound == layout::kUnlimited;
        limits.*limit.member =
            unlimited ? LimitValue{LimitValue::Kind::unlimited, 0} : LimitValue{LimitValue::Kind::value, bound};
    }
    return limits;
}

/// The limit fields of a record; seq, state and flags stay zero. `set` also says which kinds of risk limits have a value.
[[nodiscard]] constexpr layout::RowControl control_of(const Limits& limits) noexcept {
    layout::RowControl c{};
    unsigned set = kinds_of(limits);
    for (std::size_t i = 0; i < kFirstRiskLimit; ++i) {
        const LimitValue& wanted = limits.*kLimits[i].member;
        if (const Kept& k = kLimits[i].kept; k.amount != nullptr) c.*k.amount = amount_of(wanted);
        else c.*k.count = count_of(wanted);
        if (is_set(wanted)) set |= set_bit(kLimits[i].id);
    }
    c.set = static_cast<std::uint16_t>(set);
    return c;
}
[[nodiscard]] constexpr layout::RowRiskLimits risk_limits_of(const Limits& limits) noexcept {
    layout::RowRiskLimits r{};
    for (std::size_t i = kFirstRiskLimit; i < kLimits.size(); ++i) {
        const LimitValue& wanted = limits.*kLimits[i].member;
        if (const Kept& k = kLimits[i].kept; k.risk_amount != nullptr) r.*k.risk_amount = amount_of(wanted);
        else r.*k.risk_count = is_set(wanted) ? count_of(wanted) : k.unset_count;
        if (is_set(wanted)) r.set |= set_bit(kLimits[i].id);
    }
    return r;
}

/// What the limits of a scope are held against, whoever has read it: with an order or without, under the lock or of a view.
/// In 64 bits where sums are known to stay there, else in 128.
template <class Amount>
struct Holdings {
    Amount worst_long{}, worst_short{};  ///< of a scope that spans instruments: of the one instrument that is judged
    Amount working_buy{}, working_sell{};
    Amount buys{}, sells{};  ///< open notional
    Amount bought{}, sold{};  ///< notional of the day
    Amount gross{}, net{};  ///< value
    Amount pnl{}, peak{};
    bool worst_case = false;  ///< by this method `gross` holds the working orders already
    std::optional<Amount> messages, all_messages;  ///< in their window
};

/// Position if every working order of the side fills.
template <class Amount>
[[nodiscard]] constexpr Amount worst_long_of(Amount position, Amount open_buy) noexcept {
    return position + open_buy;
}
template <class Amount>
[[nodiscard]] constexpr Amount worst_short_of(Amount position, Amount open_sell) noexcept {
    return open_sell - position;
}

// The formulas (tools/README.md), each once.
template <class Amount>
[[nodiscard]] constexpr Amount absolute(Amount value) noexcept {
    return value < 0 ? -value : value;
}
template <class Amount>
[[nodiscard]] constexpr Amount gross_use(const Holdings<Amount>& h) noexcept {
    return h.worst_case ? h.gross : h.gross + h.buys + h.sells;
}
template <class Amount>
[[nodiscard]] constexpr Amount net_use(const Holdings<Amount>& h) noexcept {
    return std::max(absolute<Amount>(h.net + h.buys), absolute<Amount>(h.net - h.sells));
}
template <class Amount>
[[nodiscard]] constexpr Amount cash_use(const Holdings<Amount>& h) noexcept {
    return h.buys + std::max<Amount>(h.bought - h.sold, 0);
}
template <class Amount>
[[nodiscard]] constexpr Amount traded_use(const Holdings<Amount>& h) noexcept {
    return h.bought + h.sold + h.buys + h.sells;
}
template <class Amount>
[[nodiscard]] constexpr Amount loss_use(Amount pnl) noexcept {
    return pnl < 0 ? -pnl : 0;
}
template <class Amount>
[[nodiscard]] constexpr Amount drawdown_use(Amount pnl, Amount peak) noexcept {
    return std::max(peak, pnl) - pnl;
}

/// How much of a limit is used. Nothing for what is no sum of a scope: limits of single orders and contents, breakers, parameters.
template <class Amount>
[[nodiscard]] constexpr std::optional<Amount> use_of(LimitId limit, const Holdings<Amount>& h) noexcept {
    switch (limit) {
        case LimitId::max_long: return h.worst_long;
        case LimitId::max_short: return h.worst_short;
        case LimitId::max_open_notional: return h.buys + h.sells;
        case LimitId::max_working_orders: return h.working_buy + h.working_sell;
        case LimitId::max_working_buy: return h.working_buy;
        case LimitId::max_working_sell: return h.working_sell;
        case LimitId::max_gross_notional: return gross_use(h);
        case LimitId::max_net_notional: return net_use(h);
        case LimitId::cash_limit: return cash_use(h);
        case LimitId::max_traded_notional: return traded_use(h);
        case LimitId::daily_loss: return loss_use(h.pnl);
        case LimitId::drawdown: return drawdown_use(h.pnl, h.peak);
        case LimitId::max_messages: return h.messages;
        case LimitId::max_all_messages: return h.all_messages;
        default: return std::nullopt;
    }
}

/// Whether a use breaks a bound: above it; a loss when it is reached, but only a loss.
template <class Amount>
[[nodiscard]] constexpr bool is_broken(const Limit& limit, Amount used, std::int64_t bound) noexcept {
    if (limit.is(kIsLoss)) return used > 0 && bound != layout::kUnlimited && used >= bound;
    return bound != layout::kUnlimited && used > bound;
}

}  // namespace riskreg::core
