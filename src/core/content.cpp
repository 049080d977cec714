#include "core/content.hpp"

#include <cstring>
#include <span>

#include "core/overlay.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

constexpr std::uint32_t kMostCounted = 1024;   // the most that is walked under the lock
constexpr std::int64_t kMs = 1'000'000;

/// What makes two orders the same.
struct Content {
    std::int64_t price, quantity, stop_price;
    std::uint32_t instrument;
    std::uint16_t account;
    std::uint16_t strategy;   // 0xFFFF: does not matter
    Side side;
    OrderType type;
    TimeInForce tif;
    std::uint8_t prices;      // which of them are given
    friend bool operator==(const Content&, const Content&) = default;
};

Content content_of(const State& state, const OrderIdentity& i) noexcept {
    const std::uint16_t strategy = state.has_setting(kContentByStrategy) ? i.strategy : std::uint16_t{0xFFFF};
    return {i.price,  i.quantity, i.stop_price, i.instrument, i.account,
            strategy, i.side,     i.type,       i.tif,        static_cast<std::uint8_t>(i.flags & (kHasPrice | kHasStopPrice))};
}

Content content_of(const State& state, const Caller& caller, const NewOrder& o) noexcept {
    const std::uint16_t strategy = state.has_setting(kContentByStrategy) ? caller.strategy : std::uint16_t{0xFFFF};
    const auto prices = static_cast<std::uint8_t>((o.has_price ? kHasPrice : 0U) | (o.has_stop_price ? kHasStopPrice : 0U));
    return {o.price, o.quantity, o.stop_price, o.instrument, o.account, strategy, o.side, o.type, o.tif, prices};
}

std::uint64_t hash_of(const Content& c) noexcept {
    std::uint64_t h =
        base::mix(static_cast<std::uint64_t>(c.price) * 0x9FB21C651E98DF25ULL ^ static_cast<std::uint64_t>(c.quantity));
    h = base::mix(h ^ static_cast<std::uint64_t>(c.stop_price) ^ static_cast<std::uint64_t>(c.instrument) << 32 ^
                  static_cast<std::uint64_t>(c.account) << 16 ^ c.strategy);
    return base::mix(h ^ static_cast<std::uint64_t>(c.side) << 24 ^ static_cast<std::uint64_t>(c.type) << 16 ^
                     static_cast<std::uint64_t>(c.tif) << 8 ^ c.prices);
}

bool is_indexed(const OrderIdentity& identity) noexcept {
    return identity.kind == SlotKind::order && (identity.flags & kContentIndexed) != 0;
}

struct Place {
    std::uint32_t word = 0;
    std::uint32_t slot = kNoSlot;   // that the word leads to
    bool room = false;
};

Place find_content(const State& state, const Content& content, std::uint64_t hash) noexcept {
    const std::uint32_t mask = state.geometry.content_index - 1;
    auto at = static_cast<std::uint32_t>(hash) & mask;
    for (std::uint32_t steps = 0; steps < state.geometry.content_index; ++steps, at = (at + 1) & mask) {
        const std::uint64_t word = load_relaxed(state.content_index[at]);
        if (word == 0) return {at, kNoSlot, true};
        const auto slot = static_cast<std::uint32_t>(word) - 1U;
        if (word >> 32 != hash >> 32 || slot >= state.geometry.orders) continue;
        const OrderIdentity& identity = state.orders[slot].identity;
        if (is_indexed(identity) && content_of(state, identity) == content) return {at, slot, true};
    }
    return {};
}

/// One limit on repetitions that covers the order.
struct ContentLimit {
    std::size_t row = 0;
    std::uint32_t limit = 0;
    std::int64_t window_ns = 0;
    std::uint32_t count = 0;
};

/// Counts the accepted orders of this content in all windows, newest first, in one walk.
void count_accepted(const State& state, std::uint32_t newest, std::int64_t now_ns, std::span<ContentLimit> limits) noexcept {
    std::int64_t longest = 0;
    for (const ContentLimit& limit : limits) longest = std::max(longest, limit.window_ns);
    std::uint32_t steps = 0;
    for (std::uint32_t slot = newest; slot < state.geometry.orders && steps < kMostCounted; ++steps) {
        const OrderIdentity& identity = state.orders[slot].identity;
        const base::Int128 age = static_cast<base::Int128>(now_ns) - identity.created_ns;
        if (age >= longest) return;
        for (ContentLimit& limit : limits) limit.count += age < limit.window_ns ? 1U : 0U;
        // Always an earlier slot, so this ends.
        if (identity.content_previous != kNoSlot && identity.content_previous >= slot) return;
        slot = identity.content_previous;
    }
}

}  // namespace

bool limits_content(const RowsNow& now) noexcept { return (now.set & kHasContentLimit) != 0; }

const std::uint64_t* prefetch_content(const State& state, const Caller& caller, const NewOrder& order) noexcept {
    const std::uint64_t hash = hash_of(content_of(state, caller, order));
    const std::uint64_t* word = &state.content_index[hash & (state.geometry.content_index - 1U)];
    __builtin_prefetch(word, 1, 3);
    return word;
}

void prefetch_newest(const State& state, const std::uint64_t* word) noexcept {
    const auto slot = static_cast<std::uint32_t>(load_relaxed(*word)) - 1U;
    if (slot >= state.geometry.orders) return;
    const auto* identity = reinterpret_cast<const char*>(&state.orders[slot].identity);
    __builtin_prefetch(identity, 0, 3);
    __builtin_prefetch(identity + 64, 0, 3);
}

bool deny_content(const State& state, const Caller& caller, const RowsNow& now, const NewOrder& order,
                  const BatchOverlay* overlay, std::uint32_t& previous, Decision& out) noexcept {
    const Content content = content_of(state, caller, order);
    previous = find_content(state, content, hash_of(content)).slot;
    std::uint32_t in_batch = 0;
    std::size_t last_member = 0;
    for (std::size_t i = 0; overlay != nullptr && i < overlay->orders(); ++i) {
        if (content_of(state, caller, overlay->members()[i]) != content) continue;
        ++in_batch;
        last_member = i;
    }
    const std::int64_t now_ns = event_time(state, caller.now_ns);
    std::array<ContentLimit, kRowsPerOrder> limits;
    std::size_t size = 0;
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        if (now.rows[k] == kNoSlot || (now.control[k]->set & kHasContentLimit) == 0) continue;
        const RowRiskLimits& row = state.rows_risk[now.rows[k]].limits.newest();
        limits[size++] = {k, std::min(row.max_same_content, kMostCounted), kMs * row.content_window_ms, in_batch};
    }
    count_accepted(state, previous, now_ns, {limits.data(), size});
    for (std::size_t i = 0; i < size; ++i)
        if (const ContentLimit& l = limits[i]; l.count >= l.limit)
            return deny(state, DenyReason::duplicate_content, {now.rows[l.row], l.count + 1LL, l.limit, Unit::orders}, out),
                   true;
    if (in_batch != 0) previous = static_cast<std::uint32_t>(load_relaxed(state.log->next_order) + last_member);
    return false;
}

void index_content(State& state, std::uint32_t slot) noexcept {
    const Content content = content_of(state, state.orders[slot].identity);
    const std::uint64_t hash = hash_of(content);
    const Place place = find_content(state, content, hash);
    // A later order of the same content stands there already: this event is being repeated.
    if (!place.room || (place.slot != kNoSlot && place.slot >= slot)) return;
    store_release(state.content_index[place.word], (hash >> 32 << 32) | (slot + 1ULL));
}

void rebuild_content(State& state) noexcept {
    std::memset(state.content_index, 0, 8ULL * state.geometry.content_index);
    for (std::uint64_t slot = 0; slot < std::min<std::uint64_t>(state.log->next_order, state.geometry.orders); ++slot)
        if (is_indexed(state.orders[slot].identity)) index_content(state, static_cast<std::uint32_t>(slot));
}

const char* check_content(const State& state) noexcept {
    for (std::uint64_t slot = 0; slot < std::min<std::uint64_t>(state.log->next_order, state.geometry.orders); ++slot) {
        const OrderIdentity& identity = state.orders[slot].identity;
        if (!is_indexed(identity)) continue;
        const Content content = content_of(state, identity);
        const Place place = find_content(state, content, hash_of(content));
        if (place.slot == kNoSlot || place.slot < slot)
            return "the content index does not lead to the newest order of a content";
        if (identity.content_previous == kNoSlot) continue;
        if (identity.content_previous >= slot) return "a chain of equal content does not lead back";
        if (content_of(state, state.orders[identity.content_previous].identity) != content)
            return "a chain of equal content holds another content";
    }
    return nullptr;
}

}  // namespace riskreg::core
