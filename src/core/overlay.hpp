/// Members of an all-or-none batch that are decided and not yet committed: their deltas by row, and what they are. Memory is
/// the caller's.
#pragma once

#include <span>

#include "core/decide.hpp"

namespace riskreg::core {

/// Open addressing over at most 64 orders × 6 rows; cleared by `reset`, outside the lock.
class BatchOverlay {
public:
    static constexpr std::size_t kMaxOrders = 64;

    void reset() noexcept {
        for (Entry& entry : entries_) entry = Entry{};
        size_ = 0;
    }

    /// A member that passed every check, with the event that was made of it.
    void add(const NewOrder& order, const layout::RegisterEvent& event) noexcept {
        const bool buy = order.side == Side::buy;
        for (std::size_t k = 0; k < kRowsPerOrder; ++k) {
            Entry& entry = at(order.rows[k]);
            entry.row = order.rows[k];
            (buy ? entry.buy_quantity : entry.sell_quantity) += event.quantity;
            (buy ? entry.buy_notional : entry.sell_notional) += event.reserved_notional;
            (buy ? entry.working_buy : entry.working_sell) += 1;
            entry.gross += event.values.gross[k % 3];
        }
        members_[size_++] = order;
    }

    /// Adds what the batch has on `row`. decide has checked each member for overflow, so plain sums do.
    void add_to(std::uint32_t row, layout::RowCounters& counters) const noexcept {
        const Entry* entry = find(row);
        if (entry == nullptr) return;
        counters.open_buy_quantity += entry->buy_quantity;
        counters.open_sell_quantity += entry->sell_quantity;
        counters.open_buy_notional += entry->buy_notional;
        counters.open_sell_notional += entry->sell_notional;
        counters.working_buy += entry->working_buy;
        counters.working_sell += entry->working_sell;
    }
    [[nodiscard]] std::uint32_t orders_on(std::uint32_t row) const noexcept {
        const Entry* entry = find(row);
        return entry == nullptr ? 0 : entry->working_buy + entry->working_sell;
    }
    [[nodiscard]] std::int64_t gross_on(std::uint32_t row) const noexcept {
        const Entry* entry = find(row);
        return entry == nullptr ? 0 : entry->gross;
    }

    [[nodiscard]] bool has_id(std::uint16_t account, const base::FixedId& id) const noexcept {
        for (const NewOrder& member : members())
            if (member.account == account && member.id == id) return true;
        return false;
    }
    [[nodiscard]] std::size_t orders() const noexcept { return size_; }
    [[nodiscard]] std::span<const NewOrder> members() const noexcept { return {members_.data(), size_}; }

private:
    struct Entry {
        std::uint32_t row = layout::kNoSlot;
        std::uint32_t working_buy = 0;
        std::uint32_t working_sell = 0;
        std::int64_t buy_quantity = 0, sell_quantity = 0, buy_notional = 0, sell_notional = 0, gross = 0;
    };
    static constexpr std::size_t kSlots = 1024;

    [[nodiscard]] std::size_t index_of(std::uint32_t row) const noexcept {
        std::size_t i = base::mix(row + 1) & (kSlots - 1);
        while (entries_[i].row != row && entries_[i].row != layout::kNoSlot) i = (i + 1) & (kSlots - 1);
        return i;
    }
    Entry& at(std::uint32_t row) noexcept { return entries_[index_of(row)]; }
    [[nodiscard]] const Entry* find(std::uint32_t row) const noexcept {
        const Entry& entry = entries_[index_of(row)];
        return entry.row == row && row != layout::kNoSlot ? &entry : nullptr;
    }

    std::array<Entry, kSlots> entries_{};
    std::array<NewOrder, kMaxOrders> members_{};
    std::size_t size_ = 0;
};

}  // namespace riskreg::core
