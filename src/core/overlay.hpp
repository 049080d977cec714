/// Deltas of batch members that are decided and not yet committed, by row. Memory is the caller's.
#pragma once

#include <span>

#include "core/state.hpp"

namespace riskreg::core {

/// Open addressing over at most 64 orders × 6 rows; cleared by `reset`, outside the lock.
class BatchOverlay {
public:
    static constexpr std::size_t kMaxOrders = 64;

    void reset() noexcept {
        for (Entry& entry : entries_) entry = Entry{};
        ids_used_ = 0;
    }

    void add(const RowSet& rows, Side side, std::int64_t quantity, std::int64_t notional) noexcept {
        for (const std::uint32_t row : rows) {
            Entry& entry = at(row);
            entry.row = row;
            (side == Side::buy ? entry.buy_quantity : entry.sell_quantity) += quantity;
            (side == Side::buy ? entry.buy_notional : entry.sell_notional) += notional;
            (side == Side::buy ? entry.working_buy : entry.working_sell) += 1;
        }
    }

    /// Adds what the batch has on `row`. decide has checked each member for overflow, so plain sums do.
    void add_to(std::uint32_t row, layout::RowCounters& counters) const noexcept {
        const Entry& entry = const_cast<BatchOverlay*>(this)->at(row);
        if (entry.row != row) return;
        counters.open_buy_quantity += entry.buy_quantity;
        counters.open_sell_quantity += entry.sell_quantity;
        counters.open_buy_notional += entry.buy_notional;
        counters.open_sell_notional += entry.sell_notional;
        counters.working_buy += entry.working_buy;
        counters.working_sell += entry.working_sell;
    }

    void add_id(std::uint16_t account, const base::FixedId& id) noexcept {
        accounts_[ids_used_] = account;
        ids_[ids_used_++] = id;
    }
    [[nodiscard]] bool has_id(std::uint16_t account, const base::FixedId& id) const noexcept {
        for (std::size_t i = 0; i < ids_used_; ++i)
            if (accounts_[i] == account && ids_[i] == id) return true;
        return false;
    }
    [[nodiscard]] std::size_t orders() const noexcept { return ids_used_; }

private:
    struct Entry {
        std::uint32_t row = layout::kNoSlot;
        std::uint32_t working_buy = 0;
        std::uint32_t working_sell = 0;
        std::int64_t buy_quantity = 0, sell_quantity = 0, buy_notional = 0, sell_notional = 0;
    };
    static constexpr std::size_t kSlots = 1024;

    Entry& at(std::uint32_t row) noexcept {
        std::size_t i = base::mix(row + 1) & (kSlots - 1);
        while (entries_[i].row != row && entries_[i].row != layout::kNoSlot) i = (i + 1) & (kSlots - 1);
        return entries_[i];
    }

    std::array<Entry, kSlots> entries_{};
    std::array<base::FixedId, kMaxOrders> ids_{};
    std::array<std::uint16_t, kMaxOrders> accounts_{};
    std::size_t ids_used_ = 0;
};

}  // namespace riskreg::core
