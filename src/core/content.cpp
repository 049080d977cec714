#include "core/content.hpp"

#include <cstring>
#include <span>

#include "core/derived.hpp"
#include "core/overlay.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

constexpr std::uint32_t kMostCounted = 1024;   // the most that is walked under the lock
constexpr std::int64_t kMs = 1'000'000;

/// What makes two orders the same.
struct Content {
    std::int64_t price, quantity, stop_price;
    std::uint64_t where;      // instrument, account, strategy; of the last all ones: does not matter
    std::uint64_t what;       // side, type, time in force, and which prices are given
    friend bool operator==(const Content& a, const Content& b) noexcept {
        return ((a.price ^ b.price) | (a.quantity ^ b.quantity) | (a.stop_price ^ b.stop_price)) == 0 &&
               ((a.where ^ b.where) | (a.what ^ b.what)) == 0;
    }
};

std::uint64_t where_of(const State& state, std::uint32_t instrument, std::uint16_t account, std::uint16_t strategy) noexcept {
    const std::uint64_t whose = state.has_setting(kContentByStrategy) ? strategy : 0xFFFFU;
    return static_cast<std::uint64_t>(instrument) << 32 | static_cast<std::uint64_t>(account) << 16 | whose;
}
std::uint64_t what_of(Side side, OrderType type, TimeInForce tif, std::uint64_t prices) noexcept {
    return static_cast<std::uint64_t>(side) << 24 | static_cast<std::uint64_t>(type) << 16 |
           static_cast<std::uint64_t>(tif) << 8 | prices;
}

Content content_of(const State& state, const OrderIdentity& i) noexcept {
    return {i.price, i.quantity, i.stop_price, where_of(state, i.instrument, i.account, i.strategy),
            what_of(i.side, i.type, i.tif, i.flags & (kHasPrice | kHasStopPrice))};
}

Content content_of(const State& state, const Caller& caller, const NewOrder& o) noexcept {
    const unsigned prices = (o.has_price ? kHasPrice : 0U) | (o.has_stop_price ? kHasStopPrice : 0U);
    return {o.price, o.quantity, o.stop_price, where_of(state, o.instrument, o.account, caller.strategy),
            what_of(o.side, o.type, o.tif, prices)};
}

std::uint64_t hash_of(const Content& c) noexcept {
    std::uint64_t h =
        base::mix(static_cast<std::uint64_t>(c.price) * 0x9FB21C651E98DF25ULL ^ static_cast<std::uint64_t>(c.quantity));
    h = base::mix(h ^ static_cast<std::uint64_t>(c.stop_price) ^ c.where);
    return base::mix(h ^ c.what);
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

/// What was registered before a recovery may have been registered right before it.
std::int64_t since_of(const State& state, const OrderIdentity& identity) noexcept {
    if (identity.created_seq < load_relaxed(state.status->recovered_seq)) [[unlikely]]
        return static_cast<std::int64_t>(load_relaxed(state.status->recovered_steady_ns));
    return identity.created_steady_ns;
}

/// Visits the accepted orders of one content that are younger than `longest_ns`, newest first, with their age, until `visit`
/// says that it has seen enough.
template <class Visit>
inline void each_younger(const State& state, std::uint32_t newest, std::int64_t now_ns, std::int64_t longest_ns,
                         Visit visit) noexcept {
    std::uint32_t steps = 0;
    for (std::uint32_t slot = newest; slot < state.geometry.orders && steps < kMostCounted; ++steps) {
        const OrderIdentity& identity = state.orders[slot].identity;
        const base::Int128 age = static_cast<base::Int128>(now_ns) - since_of(state, identity);
        if (age >= longest_ns || !visit(age)) return;
        // Always an earlier slot, so this ends.
        if (identity.content_previous != kNoSlot && identity.content_previous >= slot) return;
        slot = identity.content_previous;
    }
}

/// Members of the same batch that have this content.
struct InBatch {
    std::uint32_t count = 0;
    std::size_t last = 0;
};

InBatch count_batch(const State& state, const Caller& caller, const Content& content, const BatchOverlay& overlay) noexcept {
    InBatch same;
    for (std::size_t i = 0; i < overlay.orders(); ++i)
        if (content_of(state, caller, overlay.members()[i]) == content) same = {same.count + 1, i};
    return same;
}

/// The limits of row k, if it has some.
bool limit_of(const State& state, const RowsNow& now, std::size_t k, ContentLimit& limit) noexcept {
    if (now.rows[k] == kNoSlot || (now.control[k]->set & kHasContentLimit) == 0) return false;
    const RowRiskLimits& row = state.rows_risk[now.rows[k]].limits.newest();
    limit = {k, std::min(row.max_same_content, kMostCounted), kMs * row.content_window_ms, 0};
    return true;
}

/// Whether the smallest limit is reached within the longest window: only then can one be reached in its own.
bool may_repeat(const State& state, const RowsNow& now, std::uint32_t newest, std::uint32_t in_batch,
                std::int64_t now_ns) noexcept {
    std::uint32_t least = kMostCounted;
    std::int64_t longest_ns = 0;
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        ContentLimit limit;
        if (!limit_of(state, now, k, limit)) continue;
        least = std::min(least, limit.limit);
        longest_ns = std::max(longest_ns, limit.window_ns);
    }
    std::uint32_t count = in_batch;
    each_younger(state, newest, now_ns, longest_ns, [&](base::Int128) { return ++count < least; });
    return count >= least;
}

/// The first limit that is reached refuses. Counts in all windows, in one walk.
[[gnu::cold]] bool deny_repeated(const State& state, const RowsNow& now, std::uint32_t newest, std::uint32_t in_batch,
                                 std::int64_t now_ns, Decision& out) noexcept {
    std::array<ContentLimit, kRowsPerOrder> limits;
    std::size_t size = 0;
    std::int64_t longest_ns = 0;
    for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
        if (!limit_of(state, now, k, limits[size])) continue;
        limits[size].count = in_batch;
        longest_ns = std::max(longest_ns, limits[size++].window_ns);
    }
    each_younger(state, newest, now_ns, longest_ns, [&](base::Int128 age) {
        for (std::size_t i = 0; i < size; ++i) limits[i].count += age < limits[i].window_ns ? 1U : 0U;
        return true;
    });
    for (std::size_t i = 0; i < size; ++i)
        if (const ContentLimit& l = limits[i]; l.count >= l.limit)
            return deny(state, DenyReason::duplicate_content, {now.rows[l.row], l.count + 1LL, l.limit, Unit::orders}, out),
                   true;
    return false;
}

}  // namespace

std::uint64_t content_hash(const State& state, const Caller& caller, const NewOrder& order) noexcept {
    return hash_of(content_of(state, caller, order));
}

void prefetch_content(const State& state, std::uint64_t hash) noexcept {
    __builtin_prefetch(&state.content_index[hash & (state.geometry.content_index - 1U)], 1, 3);
}

void prefetch_newest(const State& state, std::uint64_t hash) noexcept {
    const std::uint64_t word = load_relaxed(state.content_index[hash & (state.geometry.content_index - 1U)]);
    const auto slot = static_cast<std::uint32_t>(word) - 1U;
    if (slot >= state.geometry.orders) return;
    const auto* identity = reinterpret_cast<const char*>(&state.orders[slot].identity);
    __builtin_prefetch(identity, 0, 3);
    __builtin_prefetch(identity + 64, 0, 3);
}

bool deny_content(const State& state, const Caller& caller, const RowsNow& now, const NewOrder& order, std::uint64_t hash,
                  const BatchOverlay* overlay, std::uint32_t& previous, Decision& out) noexcept {
    const Content content = content_of(state, caller, order);
    previous = find_content(state, content, hash).slot;
    const InBatch batch = overlay == nullptr ? InBatch{} : count_batch(state, caller, content, *overlay);
    const std::int64_t now_ns = steady_time(state, caller);
    if (may_repeat(state, now, previous, batch.count, now_ns) && deny_repeated(state, now, previous, batch.count, now_ns, out))
        return true;
    if (batch.count != 0) previous = static_cast<std::uint32_t>(load_relaxed(state.log->next_order) + batch.last);
    return false;
}

void index_content(State& state, std::uint32_t slot) noexcept {
    const OrderIdentity& identity = state.orders[slot].identity;
    const Content content = content_of(state, identity);
    const std::uint64_t hash = hash_of(content);
    const std::uint64_t own = (hash >> 32 << 32) | (slot + 1ULL);
    std::uint64_t& home = state.content_index[hash & (state.geometry.content_index - 1U)];
    // Nearly always it leads to the order before, or nowhere yet; that one needs no look at what it is.
    const std::uint64_t before =
        identity.content_previous == kNoSlot ? 0 : (hash >> 32 << 32) | (identity.content_previous + 1ULL);
    if (load_relaxed(home) == before) return store_release(home, own);
    const Place place = find_content(state, content, hash);
    // A later order of the same content stands there already: this event is being repeated.
    if (!place.room || (place.slot != kNoSlot && place.slot >= slot)) return;
    store_release(state.content_index[place.word], own);
}

void rebuild_content(State& state) noexcept {
    std::memset(state.content_index, 0, 8ULL * state.geometry.content_index);
    for (std::uint64_t slot = 0; slot < std::min<std::uint64_t>(state.log->next_order, state.geometry.orders); ++slot)
        if (is_indexed(state.orders[slot].identity)) index_content(state, static_cast<std::uint32_t>(slot));
}

namespace {

std::string wrong_content(const DerivedCheck& check, std::uint64_t slot) {
    const State& anew = check.anew();
    const OrderIdentity& identity = anew.orders[slot].identity;
    if (!is_indexed(identity)) return {};
    const Content content = content_of(anew, identity);
    const std::uint64_t hash = hash_of(content);
    if (find_content(check.live(), content, hash).slot != find_content(anew, content, hash).slot)
        return "the content index does not lead to the newest order of a content";
    if (identity.content_previous == kNoSlot) return {};
    if (identity.content_previous >= slot) return "a chain of equal content does not lead back";
    if (content_of(anew, anew.orders[identity.content_previous].identity) != content)
        return "a chain of equal content holds another content";
    return {};
}

}  // namespace

void check_content(DerivedCheck& check) {
    const State& live = check.live();
    const std::uint64_t orders = std::min<std::uint64_t>(load_relaxed(live.log->next_order), live.geometry.orders);
    check.each(orders, [&](std::uint64_t slot) { return wrong_content(check, slot); });
}

}  // namespace riskreg::core
