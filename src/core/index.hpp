/// The open-addressing indexes: 8-byte words of hash tag and slot, keys compared in full in the slot.
#pragma once

#include "core/state.hpp"

namespace riskreg::core {

/// Result of a probe: the slot (kNoSlot when absent) and the word where the search ended.
struct Found {
    std::uint32_t slot = kNoSlot;
    std::uint32_t word = 0;
};

[[nodiscard]] inline std::uint64_t order_hash(std::uint32_t account, const base::FixedId& id) noexcept {
    return base::hash_id(id, account);
}
[[nodiscard]] inline std::uint64_t execution_hash(std::uint32_t order_slot, const base::FixedId& exec_id) noexcept {
    return base::hash_id(exec_id, 0x45584543ULL << 32 | order_slot);
}
[[nodiscard]] inline std::uint64_t quarantine_hash(std::uint32_t account, const base::FixedId& order_id,
                                                   const base::FixedId& exec_id, layout::EventType reported) noexcept {
    return base::hash_id(exec_id, base::hash_id(order_id, static_cast<std::uint64_t>(reported) << 32 | account));
}

[[nodiscard]] Found find_order(const State& state, std::uint32_t account, const base::FixedId& id, std::uint64_t hash) noexcept;
[[nodiscard]] Found find_execution(const State& state, std::uint32_t order_slot, const base::FixedId& exec_id) noexcept;
[[nodiscard]] Found find_quarantined(const State& state, std::uint32_t account, const base::FixedId& order_id,
                                     const base::FixedId& exec_id, layout::EventType reported) noexcept;

/// Stores the word of (hash, slot) unless it is there: idempotent, so redo and replay may repeat it.
/// The slot must be whole before: this store publishes it.
void insert_word(std::uint64_t* index, std::uint32_t words, std::uint64_t hash, std::uint32_t slot) noexcept;

}  // namespace riskreg::core
