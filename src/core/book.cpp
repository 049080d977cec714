#include "core/book.hpp"

#include <cstring>

#include "core/derived.hpp"
#include "core/overlay.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

constexpr unsigned kTop = 3;
constexpr unsigned kChildBits = 6;
constexpr std::uint32_t kMostSteps = 128;   // of a probe; beyond, the table counts as full
constexpr std::uint32_t kSpare = 8;         // places that a probe looks for before it calls a table roomy
constexpr std::uint32_t kMostTops = 64;     // of one side: 16 million ticks, and the most that is walked under the lock
constexpr BookKey kMostTicks = std::int64_t{1} << 60;

std::uint32_t side_of(const State& state, std::uint32_t account, std::uint32_t instrument, Side side) noexcept {
    const std::uint32_t of_firm = instrument * 2 + (side == Side::buy ? 0U : 1U);
    const std::uint32_t of_account = account * state.geometry.instruments * 2 + of_firm;
    // One group has no more sides than this. The setting says so, too, but can be written over.
    return of_account < state.geometry.book_sides ? of_account : of_firm;
}

std::uint64_t owner_of(std::uint32_t side, unsigned level) noexcept { return (side + 1ULL) << 2 | level; }

struct Node {
    std::uint32_t at = kNoSlot;     // the key's node; without one, a place for it; kNoSlot: no room
    bool found = false;
    std::uint32_t places = 0;       // free or given up on the way; only counted when the key is not there
};

/// A node on its way from one key to another; like a dead one it may be taken.
constexpr std::uint64_t kTaken = ~0ULL;

/// Nothing lives there any more. Tops are linked, and stay.
bool is_dead(const BookNode& node, std::uint64_t owner) noexcept {
    if (owner == kTaken) return true;
    const auto level = static_cast<unsigned>(owner & 3U);
    return level == 0 ? node.count.newest().count == 0 : level < kTop && load_relaxed(node.bitmap) == 0;
}

/// Where the search for a key begins.
std::uint32_t place_of(const State& state, std::uint64_t owner, std::int64_t key) noexcept {
    return static_cast<std::uint32_t>(base::mix(base::mix(owner) ^ static_cast<std::uint64_t>(key))) &
           (state.geometry.book_nodes - 1);
}

bool is_of(const BookNode& node, std::uint64_t owner, std::int64_t key) noexcept {
    return load_relaxed(node.owner) == owner && node.key == key;
}

/// Nodes that the caller has found and not filled yet.
struct Kept {
    const BookNode* first = nullptr;
    const BookNode* second = nullptr;
};

/// Behind the first free node the key cannot be: what is left is to see how much room there is.
Node count_on(const State& state, Node place, std::uint32_t at, std::uint32_t steps, std::uint32_t wanted) noexcept {
    const std::uint32_t most = std::min(kMostSteps, state.geometry.book_nodes);
    const std::uint32_t mask = state.geometry.book_nodes - 1;
    while (place.places < wanted && ++steps < most) {
        at = (at + 1) & mask;
        place.places += load_relaxed(state.book_nodes[at].owner) == 0 ? 1U : 0U;
    }
    return place;
}

/// Every place from `at` on. Counts places up to `wanted`, and those that it comes by.
[[gnu::noinline]] Node search(const State& state, std::uint64_t owner, std::int64_t key, std::uint32_t at, std::uint32_t wanted,
                              Kept kept) noexcept {
    const std::uint32_t most = std::min(kMostSteps, state.geometry.book_nodes);
    const std::uint32_t mask = state.geometry.book_nodes - 1;
    Node place;
    for (std::uint32_t steps = 0; steps < most; ++steps, at = (at + 1) & mask) {
        const BookNode& node = state.book_nodes[at];
        const std::uint64_t seen = load_relaxed(node.owner);
        if (seen == owner && node.key == key) return {at, true, 0};
        const bool usable = seen == 0 || (is_dead(node, seen) && &node != kept.first && &node != kept.second);
        if (usable && place.at == kNoSlot) place.at = at;
        place.places += usable ? 1U : 0U;
        if (seen == 0) return count_on(state, place, at, steps, wanted);
    }
    return place;
}

/// Nearly every key that was ever used is where its search begins: the table has room for many more than there are.
inline Node find_node(const State& state, std::uint64_t owner, std::int64_t key, std::uint32_t wanted = 0,
                      Kept kept = {}) noexcept {
    const std::uint32_t at = place_of(state, owner, key);
    if (is_of(state.book_nodes[at], owner, key)) [[likely]]
        return {at, true, 0};
    return search(state, owner, key, at, wanted, kept);
}

/// The node of a key, made when it is not there; null when there is no room. Killed on the way, it is made once more.
inline BookNode* take_node(State& state, std::uint64_t owner, std::int64_t key, Kept kept = {}) noexcept {
    const Node found = find_node(state, owner, key, 0, kept);
    if (found.at == kNoSlot) [[unlikely]] {
        store_relaxed(state.status->book_overflow, 1);
        return nullptr;
    }
    BookNode& node = state.book_nodes[found.at];
    if (found.found) [[likely]]
        return &node;
    store_relaxed(node.owner, kTaken);
    fence_release();
    node.key = key;
    node.bitmap = node.next = 0;
    node.count.make_genesis({});
    store_release(node.owner, owner);
    return &node;
}

/// Whether a link of a list of tops leads to one; 0 is its end, and so is what leads out of the table.
bool leads_on(const State& state, std::uint64_t link) noexcept { return link - 1 < state.geometry.book_nodes; }

std::uint64_t bit_of(std::int64_t child_key) noexcept { return 1ULL << (static_cast<std::uint64_t>(child_key) & 63U); }
std::int64_t up(BookKey key, unsigned level) noexcept { return key >> (kChildBits * level); }

/// Links a top into its list, best first. Found there: done.
void link_top(State& state, std::uint32_t side, BookNode& node) noexcept {
    const bool buy = (side & 1U) == 0;
    const auto number = static_cast<std::uint64_t>(&node - state.book_nodes) + 1;
    std::uint64_t* link = &state.book_heads[side];
    std::uint32_t steps = 0;
    for (std::uint64_t at = load_relaxed(*link); leads_on(state, at) && ++steps < state.geometry.book_nodes;
         at = load_relaxed(*link)) {
        if (at == number) return;
        BookNode& other = state.book_nodes[at - 1];
        if (buy ? other.key < node.key : other.key > node.key) break;
        link = &other.next;
    }
    store_relaxed(node.next, load_relaxed(*link));
    store_release(*link, number);
}

/// From the top down, so that the lowest bit is set last: where it is set, all above are.
void set_bits(State& state, std::uint32_t side, BookKey key) noexcept {
    BookNode* nodes[kTop + 1] = {};
    for (unsigned level = 1; level <= kTop; ++level) {
        nodes[level] = take_node(state, owner_of(side, level), up(key, level), Kept{nodes[1], nodes[2]});
        if (nodes[level] == nullptr) return;
        if (level == 1 && (load_relaxed(nodes[1]->bitmap) & bit_of(key)) != 0) return;
    }
    link_top(state, side, *nodes[kTop]);
    for (unsigned level = kTop; level >= 1; --level)
        store_relaxed(nodes[level]->bitmap, load_relaxed(nodes[level]->bitmap) | bit_of(up(key, level - 1)));
}

void clear_bits(State& state, std::uint32_t side, BookKey key) noexcept {
    for (unsigned level = 1; level <= kTop; ++level) {
        const Node found = find_node(state, owner_of(side, level), up(key, level));
        if (!found.found) return;
        BookNode& node = state.book_nodes[found.at];
        const std::uint64_t left = load_relaxed(node.bitmap) & ~bit_of(up(key, level - 1));
        store_relaxed(node.bitmap, left);
        if (left != 0) return;
    }
}

void change_count(State& state, std::uint64_t seq, std::uint32_t side, BookKey key, std::int64_t change) noexcept {
    BookNode* node = take_node(state, owner_of(side, 0), key);
    if (node == nullptr) return;
    const BookCount& now = node->count.newest();
    const bool repeated = load_relaxed(now.seq) >= seq;
    const std::uint64_t before = now.count;
    const std::uint64_t after = repeated ? before : before + static_cast<std::uint64_t>(change);
    node->count.store(seq, {0, after});
    // Bitmaps only follow when a price comes or goes; a repetition cannot know whether they did.
    if (after != 0 && (repeated || before == 0)) set_bits(state, side, key);
    if (after == 0) clear_bits(state, side, key);
}

BookKey clamp_key(BookKey key) noexcept { return std::clamp(key, -kMostTicks, kMostTicks); }

/// A buy at a price off the grid is as aggressive as the tick below it, a sell as the tick above: orders to come are on the grid.
BookKey limit_key(const State& state, std::uint32_t instrument, Side side, std::int64_t price) noexcept {
    const std::int64_t tick = state.instrument_records[instrument].tick;
    std::int64_t key = price / tick;
    const std::int64_t rest = price % tick;
    if (side == Side::buy && rest < 0) --key;
    if (side == Side::sell && rest > 0) ++key;
    return clamp_key(key);
}

}  // namespace

BookKeys keys_of(const State& state, const BookedOrder& order) noexcept {
    BookKeys keys;
    const bool stop = needs_stop_price(order.type);
    if (!is_live(order.base) || (stop && order.cum_quantity <= 0)) return keys;
    const bool by_limit = needs_price(order.type);
    if (!by_limit) {
        keys.keys[keys.size++] = order.side == Side::buy ? kAnyBuy : kAnySell;
        return keys;
    }
    keys.keys[keys.size++] = limit_key(state, order.instrument, order.side, order.price);
    if ((order.flags & kPendingReplace) == 0) return keys;
    const BookKey pending = limit_key(state, order.instrument, order.side, order.pending_price);
    if (pending != keys.keys[0]) keys.keys[keys.size++] = pending;
    return keys;
}

bool incoming_key(const State& state, const PricedOrder& order, BookKey& key) noexcept {
    if (needs_stop_price(order.type)) return false;
    key = order.type == OrderType::limit ? limit_key(state, order.instrument, order.side, order.price)
          : order.side == Side::buy      ? kAnyBuy
                                         : kAnySell;
    return true;
}

void prefetch_books(const State& state, std::uint32_t account, const PricedOrder& order) noexcept {
    BookKey key = 0;
    if (!keeps_books(state) || !is_sound(state.instrument_records[order.instrument]) || !incoming_key(state, order, key))
        return;
    const std::uint32_t book = side_of(state, account, order.instrument, order.side);
    __builtin_prefetch(&state.book_heads[book ^ 1U], 0, 3);
    for (unsigned level = 0; level <= kTop; ++level)
        __builtin_prefetch(&state.book_nodes[place_of(state, owner_of(book, level), up(key, level))], 1, 3);
}

bool best_key(const State& state, std::uint32_t account, std::uint32_t instrument, Side side, BookKey& key) noexcept {
    const std::uint32_t book = side_of(state, account, instrument, side);
    const BookNode* node = nullptr;
    std::uint32_t steps = 0;
    for (std::uint64_t at = load_relaxed(state.book_heads[book]); leads_on(state, at) && ++steps < state.geometry.book_nodes;
         at = load_relaxed(node->next)) {
        node = &state.book_nodes[at - 1];
        if (load_relaxed(node->bitmap) != 0) break;
    }
    if (node == nullptr || load_relaxed(node->bitmap) == 0) return false;
    for (unsigned level = kTop; level >= 1; --level) {
        const std::uint64_t children = load_relaxed(node->bitmap);
        if (children == 0) return false;
        const int child = side == Side::buy ? 63 - __builtin_clzll(children) : __builtin_ctzll(children);
        key = node->key * 64 + child;
        if (level == 1) return true;
        const Node found = find_node(state, owner_of(book, level - 1), key);
        if (!found.found) return false;
        node = &state.book_nodes[found.at];
    }
    return false;
}

namespace {

/// Walks no further than is allowed, so it costs no more where there are too many.
bool has_room_for_top(const State& state, std::uint32_t book) noexcept {
    std::uint32_t tops = 0;
    for (std::uint64_t at = load_relaxed(state.book_heads[book]); leads_on(state, at) && tops < kMostTops; ++tops)
        at = load_relaxed(state.book_nodes[at - 1].next);
    return tops < kMostTops;
}

}  // namespace

bool has_book_room(const State& state, std::uint32_t account, std::uint32_t instrument, Side side, BookKey key,
                   std::size_t batched) noexcept {
    const std::uint32_t book = side_of(state, account, instrument, side);
    // What each level finds may be the same places, and earlier members of a batch may take them.
    const std::uint32_t wanted = std::min<std::uint32_t>(kSpare, (kTop + 1) * (1 + static_cast<std::uint32_t>(batched)));
    for (unsigned level = 0; level <= kTop; ++level) {
        const Node place = find_node(state, owner_of(book, level), up(key, level), wanted);
        if (!place.found && (place.at == kNoSlot || place.places < wanted)) return false;
        if (!place.found && level == kTop && !has_room_for_top(state, book)) return false;
        if (!place.found) continue;
        // What lives has everything above it.
        const BookNode& node = state.book_nodes[place.at];
        if ((level == 0 ? node.count.newest().count : load_relaxed(node.bitmap)) != 0) return true;
    }
    return true;
}

void move_in_books(State& state, std::uint64_t seq, std::uint32_t account, std::uint32_t instrument, Side side,
                   const BookKeys& before, const BookKeys& after) noexcept {
    if (!keeps_books(state)) return;
    const std::uint32_t book = side_of(state, account, instrument, side);
    const auto holds = [](const BookKeys& keys, BookKey key) {
        return (keys.size > 0 && keys.keys[0] == key) || (keys.size > 1 && keys.keys[1] == key);
    };
    for (std::size_t i = 0; i < after.size; ++i)
        if (!holds(before, after.keys[i])) change_count(state, seq, book, after.keys[i], 1);
    for (std::size_t i = 0; i < before.size; ++i)
        if (!holds(after, before.keys[i])) change_count(state, seq, book, before.keys[i], -1);
}

BookKeys keys_of_slot(const State& state, std::uint32_t slot) noexcept {
    const OrderIdentity& i = state.orders[slot].identity;
    const OrderState& s = state.orders[slot].state.newest();
    if (i.kind != SlotKind::order) return {};
    return keys_of(state, {i.instrument, i.side, i.type, s.base, s.flags, s.cum_quantity, s.price, s.pending_price});
}

void clear_books(State& state) noexcept {
    if (!keeps_books(state)) return;
    std::memset(static_cast<void*>(state.book_nodes), 0, sizeof(BookNode) * state.geometry.book_nodes);
    std::memset(state.book_heads, 0, 8ULL * state.geometry.book_sides);
    store_relaxed(state.status->book_overflow, 0);
}

void add_to_books(State& state, std::uint32_t slot, std::uint64_t seq) noexcept {
    if (!keeps_books(state)) return;
    const BookKeys keys = keys_of_slot(state, slot);
    if (keys.size == 0) return;
    const OrderIdentity& identity = state.orders[slot].identity;
    const std::uint32_t book = side_of(state, identity.account, identity.instrument, identity.side);
    for (std::size_t i = 0; i < keys.size; ++i) {
        BookNode* node = take_node(state, owner_of(book, 0), keys.keys[i]);
        if (node == nullptr) continue;
        // Outside of events: the count is written as it is, of the sequence at which the tables stand.
        BookCount count = node->count.newest();
        count.count += 1;
        count.seq = std::max({count.seq, seq, kGenesis});
        node->count.copy[0] = BookCount{};
        node->count.copy[1] = count;
        if (count.count == 1) set_bits(state, book, keys.keys[i]);
    }
}

void rebuild_books(State& state) noexcept {
    clear_books(state);
    const std::uint64_t orders = std::min<std::uint64_t>(state.log->next_order, state.geometry.orders);
    for (std::uint64_t slot = 0; slot < orders; ++slot)
        add_to_books(state, static_cast<std::uint32_t>(slot), state.log->applied);
}

namespace {

/// What a node has below it: orders at its price, or children.
std::uint64_t content_of(const BookNode& node, unsigned level) noexcept {
    return level == 0 ? node.count.newest().count : load_relaxed(node.bitmap);
}

std::string name_of(std::uint32_t book, unsigned level, BookKey key) {
    if (level != 0)
        return "book side " + std::to_string(book) + ", level " + std::to_string(level) + ", " + std::to_string(key);
    return "book side " + std::to_string(book) + ", price of " + std::to_string(key) + " ticks";
}

/// What is found at `key` in the tables that were made anew.
std::uint64_t expected_at(const State& anew, std::uint64_t owner, BookKey key) noexcept {
    const Node found = find_node(anew, owner, key);
    return found.found ? content_of(anew.book_nodes[found.at], static_cast<unsigned>(owner & 3U)) : 0;
}

/// A node of the live tables holds what it should, and is where it is looked for.
std::string wrong_node(const DerivedCheck& check, std::uint64_t at) {
    const State& live = check.live();
    const BookNode& node = live.book_nodes[at];
    const std::uint64_t owner = load_relaxed(node.owner);
    if (owner == 0 || owner == kTaken) return {};
    const std::uint64_t side = (owner >> 2) - 1;
    const auto level = static_cast<unsigned>(owner & 3U);
    if (side >= live.geometry.book_sides) return "node " + std::to_string(at) + " belongs to no side";
    const BookKey key = node.key;
    const std::uint64_t seen = content_of(node, level), expected = expected_at(check.anew(), owner, key);
    const auto name = [&] { return name_of(static_cast<std::uint32_t>(side), level, key); };
    if (seen != expected && level == 0)
        return name() + ": holds " + std::to_string(seen) + " orders, not " + std::to_string(expected);
    if (seen != expected) return name() + ": does not lead to the prices below it";
    const bool later = level == 0 && load_relaxed(node.count.newest().seq) > load_relaxed(live.log->applied);
    if (later) return name() + ": is of an event to come";
    if (seen == 0) return {};
    const Node found = find_node(live, owner, key);
    return found.found && found.at == at ? std::string() : name() + ": is not found";
}

/// A node that was made anew is there in the live tables, too.
std::string missing_node(const DerivedCheck& check, std::uint64_t at) {
    const BookNode& node = check.anew().book_nodes[at];
    if (node.owner == 0 || node.owner == kTaken) return {};
    const auto level = static_cast<unsigned>(node.owner & 3U);
    if (content_of(node, level) == 0 || find_node(check.live(), node.owner, node.key).found) return {};
    return name_of(static_cast<std::uint32_t>((node.owner >> 2) - 1), level, node.key) + ": is in no book";
}

/// The tops of a side that have prices below them. `wrong` when the list is not one, best first.
std::uint64_t count_tops(const State& state, std::uint32_t side, bool& wrong) noexcept {
    const bool buy = (side & 1U) == 0;
    const BookNode* before = nullptr;
    std::uint64_t tops = 0;
    std::uint64_t at = load_relaxed(state.book_heads[side]);
    for (; leads_on(state, at); at = load_relaxed(before->next)) {
        const BookNode& node = state.book_nodes[at - 1];
        const bool ordered = before == nullptr || (buy ? node.key < before->key : node.key > before->key);
        if (!ordered || load_relaxed(node.owner) != owner_of(side, kTop)) return wrong = true, tops;
        tops += load_relaxed(node.bitmap) != 0 ? 1U : 0U;
        before = &node;
    }
    wrong = at != 0;
    return tops;
}

std::string wrong_list(const DerivedCheck& check, std::uint64_t side) {
    const auto book = static_cast<std::uint32_t>(side);
    bool wrong = false, never = false;
    const std::uint64_t seen = count_tops(check.live(), book, wrong);
    if (!wrong && seen == count_tops(check.anew(), book, never)) return {};
    return "book side " + std::to_string(side) + ": its list does not lead from the best price to the worst";
}

/// Full, a table does not hold every price; new orders are refused then.
bool is_whole(const State& state) noexcept { return load_relaxed(state.status->book_overflow) == 0; }

}  // namespace

void check_books(DerivedCheck& check) {
    const State& live = check.live();
    if (!keeps_books(live) || !is_whole(live) || !is_whole(check.anew())) return;
    check.each(live.geometry.book_nodes, [&](std::uint64_t at) { return wrong_node(check, at); });
    check.each(live.geometry.book_nodes, [&](std::uint64_t at) { return missing_node(check, at); });
    check.each(live.geometry.book_sides, [&](std::uint64_t side) { return wrong_list(check, side); });
}

bool deny_full_books(const State& state, Decision& out) noexcept {
    const std::int64_t nodes = state.geometry.book_nodes;
    return deny(state, DenyReason::capacity, {kNoSlot, nodes, nodes, Unit::slots}, out), true;
}

bool deny_self_match(const State& state, std::uint16_t account, const PricedOrder& order, BookKey key,
                     const BatchOverlay* overlay, Decision& out) noexcept {
    const bool buy = order.side == Side::buy;
    BookKey other = 0;
    bool any = best_key(state, account, order.instrument, buy ? Side::sell : Side::buy, other);
    if (overlay != nullptr) {
        for (const NewOrder& member : overlay->members()) {
            BookKey resting = 0;
            const bool meets = member.instrument == order.instrument && member.side != order.side &&
                               (member.account == account || state.has_setting(kSelfMatchFirm));
            if (!meets || !incoming_key(state, priced_of(member), resting)) continue;
            other = !any ? resting : buy ? std::min(other, resting) : std::max(other, resting);
            any = true;
        }
    }
    if (!any || (buy ? key < other : key > other)) return false;
    if (state.has_setting(kSelfMatchAdvises)) return out.verdict.crosses_own = true, false;
    const std::uint32_t row =
        state.has_setting(kSelfMatchFirm) ? state.geometry.firm_row() : state.geometry.account_row(account);
    const bool priced = order.type == OrderType::limit && other > kAnySell && other < kAnyBuy;
    Compared compared{row, 0, 0, Unit::none};
    if (priced) compared = {row, order.price, other * state.instrument_records[order.instrument].tick, Unit::price};
    return deny(state, DenyReason::self_match, compared, out), true;
}

}  // namespace riskreg::core
