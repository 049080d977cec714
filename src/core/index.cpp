#include "core/index.hpp"

namespace riskreg::core {

namespace {

constexpr std::uint64_t word_of(std::uint64_t hash, std::uint32_t slot) noexcept { return (hash >> 32 << 32) | (slot + 1ULL); }

/// Probes until the key is found or an empty word ends the run. `same(slot)` compares the whole key.
template <class Same>
Found probe(const std::uint64_t* index, std::uint32_t words, std::uint64_t hash, Same same) noexcept {
    const std::uint32_t mask = words - 1;
    auto at = static_cast<std::uint32_t>(hash) & mask;
    for (std::uint32_t steps = 0; steps < words; ++steps, at = (at + 1) & mask) {
        const std::uint64_t word = layout::load_acquire(index[at]);
        if (word == 0) return {kNoSlot, at};
        const auto slot = static_cast<std::uint32_t>(word) - 1U;
        if (word >> 32 == hash >> 32 && same(slot)) return {slot, at};
    }
    return {kNoSlot, 0};
}

bool same_words(const base::FixedId& shared, const base::FixedId& id) noexcept {
    std::uint64_t difference = 0;
    for (std::size_t i = 0; i < id.words.size(); ++i) difference |= layout::load_relaxed(shared.words[i]) ^ id.words[i];
    return difference == 0;
}

}  // namespace

Found find_order(const State& state, std::uint32_t account, const base::FixedId& id, std::uint64_t hash) noexcept {
    return probe(state.order_index, state.geometry.order_index, hash, [&](std::uint32_t slot) {
        if (slot >= state.geometry.orders) return false;
        const layout::OrderIdentity& identity = state.orders[slot].identity;
        return identity.account == account && same_words(identity.id, id);
    });
}

Found find_execution(const State& state, std::uint32_t order_slot, const base::FixedId& exec_id) noexcept {
    return probe(state.execution_index, state.geometry.execution_index, execution_hash(order_slot, exec_id),
                 [&](std::uint32_t slot) {
                     if (slot >= state.geometry.executions) return false;
                     const layout::ExecutionIdentity& identity = state.executions[slot].identity;
                     return identity.order_slot == order_slot && same_words(identity.id, exec_id);
                 });
}

Found find_quarantined(const State& state, std::uint32_t account, const base::FixedId& order_id, const base::FixedId& exec_id,
                       layout::EventType reported) noexcept {
    return probe(state.quarantine_index, state.geometry.quarantine_index, quarantine_hash(account, order_id, exec_id, reported),
                 [&](std::uint32_t slot) {
                     if (slot >= state.geometry.quarantine) return false;
                     const layout::QuarantineSlot& record = state.quarantine[slot];
                     return record.account == account && record.event_type == static_cast<std::uint8_t>(reported) &&
                            same_words(record.order_id, order_id) && same_words(record.exec_id, exec_id);
                 });
}

void insert_word(std::uint64_t* index, std::uint32_t words, std::uint64_t hash, std::uint32_t slot) noexcept {
    const std::uint32_t mask = words - 1;
    const std::uint64_t own = word_of(hash, slot);
    auto at = static_cast<std::uint32_t>(hash) & mask;
    for (std::uint32_t steps = 0; steps < words; ++steps, at = (at + 1) & mask) {
        const std::uint64_t word = layout::load_relaxed(index[at]);
        if (word == own) return;
        if (word != 0) continue;
        layout::store_release(index[at], own);
        return;
    }
}

}  // namespace riskreg::core
