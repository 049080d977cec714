#include "core/order_view.hpp"

#include <algorithm>

#include "core/index.hpp"

namespace riskreg::core {

using namespace layout;

OrderFlags derived_flags(const State& state, const OrderIdentity& identity, const OrderState& order) noexcept {
    OrderFlags flags = order.flags;
    if (!is_live(order.base)) return flags;
    if (identity.strategy < state.geometry.strategies &&
        state.strategies[identity.strategy].state.read().status == SessionStatus::dead)
        flags |= kOrphaned;
    // One word first: no scope changed its state since this order came, so none was halted.
    if (load_acquire(state.status->state_epoch) < identity.created_seq) return flags;
    for (const std::uint32_t row : rows_of(state.geometry, identity.account, identity.strategy, identity.instrument))
        if (row != kNoSlot && state.rows_cold[row].latch.read().halted_seq > identity.created_seq) flags |= kKillCancel;
    return flags;
}

std::uint32_t find_head(const State& state, std::uint32_t account, std::string_view id) noexcept {
    const base::ParsedId key = base::parse_id(id);
    if (account >= state.geometry.accounts || !key.valid) return kNoSlot;
    const Found found = find_order(state, account, key.id, order_hash(account, key.id));
    return found.slot == kNoSlot ? kNoSlot : state.orders[found.slot].identity.head;
}

namespace {

/// Ids of a chain, oldest first. Bounded: a damaged link must not turn a reader into a loop.
void write_chain(const State& state, std::uint32_t head, const OrderIdentity& first, std::uint32_t last,
                 std::vector<std::string>& ids) {
    std::size_t size = 0;
    const auto add = [&](const OrderIdentity& identity) {
        if (ids.size() == size) ids.emplace_back();
        ids[size++].assign(identity.id.view());
    };
    OrderIdentity identity{};
    for (std::uint32_t slot = last, steps = 0; slot < state.geometry.orders && steps < state.geometry.orders; ++steps) {
        if (slot == head) {
            add(first);
            break;
        }
        copy_words_out(identity, state.orders[slot].identity);
        add(identity);
        slot = identity.previous;
    }
    ids.resize(size);
    std::reverse(ids.begin(), ids.end());
}

void write_venue_id(const VenueId& shared, std::string& id) {
    if (load_acquire(shared.seq) == 0) return id.clear();
    VenueId venue{};
    copy_words_out(venue, shared);
    id.assign(venue.id.view());
}

}  // namespace

void view_order(const State& state, std::uint32_t slot, OrderView& view) {
    const OrderSlot& shared = state.orders[slot];
    OrderIdentity identity{};
    copy_words_out(identity, shared.identity);
    const OrderState order = shared.state.read();
    view.id.assign(identity.id.view());
    write_chain(state, slot, identity, order.last_alias, view.chain);
    write_venue_id(shared.venue, view.venue_id);
    view.account = AccountId{identity.account};
    view.strategy = StrategyId{identity.strategy};
    view.instrument = InstrumentId{identity.instrument};
    view.side = identity.side;
    view.type = identity.type;
    view.tif = identity.tif;
    view.base = order.base;
    view.flags = derived_flags(state, identity, order);
    view.status = status_of(order.base, order.flags);
    view.has_price = (identity.flags & kHasPrice) != 0;
    view.has_stop_price = (identity.flags & kHasStopPrice) != 0;
    view.loaded = (identity.flags & kLoaded) != 0;
    view.price.value = order.price;
    view.stop_price.value = identity.stop_price;
    view.quantity.value = order.quantity;
    view.cum_quantity.value = order.cum_quantity;
    view.leaves_quantity.value = leaves_of(order.base, order.quantity, order.cum_quantity);
    view.reserved_quantity.value = order.reserved_quantity;
    view.reserved_notional.value = order.reserved_notional;
    view.created_ns = identity.created_ns;
    view.updated_ns = order.updated_ns;
    view.seq = order.seq;
    view.version = order.version;
}

}  // namespace riskreg::core
