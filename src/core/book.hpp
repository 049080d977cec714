/// Books of own live orders: the best own price of each side of each group × instrument (semantics.md 11). Internal to core.
///
/// A side of a book is a count for each price, found by hash, under three levels of bitmaps of 64 children each, so that the
/// next best price is found without looking at orders. Nodes are found by hash, too; tops (262,144 ticks each) are linked from
/// best to worst. A node whose price no live order has is taken for another one; tops stay for the day.
///
/// Derived from the orders: no part of the canonical form, kept by apply where `State::keeps_derived`, and made anew by
/// `rebuild_books`. Every change may be killed anywhere and repeated: a count carries the sequence of its event, and bitmaps
/// follow from counts.
#pragma once

#include <string>

#include "core/decide_common.hpp"

namespace riskreg::core {

/// Price in ticks; orders that match at any price lie beyond every limit price.
using BookKey = std::int64_t;
inline constexpr BookKey kAnyBuy = std::int64_t{1} << 62;
inline constexpr BookKey kAnySell = -kAnyBuy;

/// At which keys an order takes part: none, one, or with a pending replacement two.
struct BookKeys {
    std::array<BookKey, 2> keys{};
    std::size_t size = 0;
};
struct BookedOrder {
    std::uint32_t instrument;
    Side side;
    OrderType type;
    OrderBase base;
    OrderFlags flags;
    std::int64_t cum_quantity;
    std::int64_t price;
    std::int64_t pending_price;
};
[[nodiscard]] BookKeys keys_of(const State& state, const BookedOrder& order) noexcept;
/// Of the order in a slot as it stands; none of a slot that is a later id of one.
[[nodiscard]] BookKeys keys_of_slot(const State& state, std::uint32_t slot) noexcept;

[[nodiscard]] inline bool keeps_books(const State& state) noexcept { return state.geometry.book_sides > 1; }

/// Key of an incoming order; false when it takes no part (a stop that has not triggered).
[[nodiscard]] bool incoming_key(const State& state, const PricedOrder& order, BookKey& key) noexcept;

/// Best key of the live own orders of `side`; false when there are none.
[[nodiscard]] bool best_key(const State& state, std::uint32_t account, std::uint32_t instrument, Side side,
                            BookKey& key) noexcept;

/// Starts the loads of the nodes that an order of this key will touch. A hint, before the lock.
void prefetch_books(const State& state, std::uint32_t account, const PricedOrder& order) noexcept;

/// Whether a new order of this key finds room, beside `batched` members of the same batch; without, it must be refused, because apply cannot fail.
[[nodiscard]] bool has_book_room(const State& state, std::uint32_t account, std::uint32_t instrument, Side side, BookKey key,
                                 std::size_t batched = 0) noexcept;

/// For apply: the order's keys before and after event `seq`.
void move_in_books(State& state, std::uint64_t seq, std::uint32_t account, std::uint32_t instrument, Side side,
                   const BookKeys& before, const BookKeys& after) noexcept;

/// Makes all books anew from the orders. Nobody else may use the tables meanwhile.
void rebuild_books(State& state) noexcept;
/// The two parts of it: an order is counted once, by its live version.
void clear_books(State& state) noexcept;
void add_to_books(State& state, std::uint32_t slot, std::uint64_t seq) noexcept;

/// Reports how the live books differ from the orders.
class DerivedCheck;
void check_books(DerivedCheck& check);

/// The refusal of what finds no room in the books (check 12). Always true.
bool deny_full_books(const State& state, Decision& out) noexcept;

/// Check 10, for an order that takes part by `key`. True when it denied; under `advise_cancel` it only says so in the verdict.
class BatchOverlay;
[[nodiscard]] bool deny_self_match(const State& state, std::uint16_t account, const PricedOrder& order, BookKey key,
                                   const BatchOverlay* overlay, Decision& out) noexcept;

}  // namespace riskreg::core
