/// Duplicates by content: accepted orders of the same content are chained, newest first (semantics.md 9). Internal to core.
#pragma once

#include "core/decide_common.hpp"

namespace riskreg::core {

class BatchOverlay;

/// Some covering scope limits repetitions: only then is an order indexed.
[[nodiscard]] bool limits_content(const RowsNow& now) noexcept;

/// Check 9. True when it denied; otherwise `previous` is the newest accepted order of the same content.
[[nodiscard]] bool deny_content(const State& state, const Caller& caller, const RowsNow& now, const NewOrder& order,
                                const BatchOverlay* overlay, std::uint32_t& previous, Decision& out) noexcept;

/// Starts the loads of the word that leads to this content, and of the order that it leads to. Hints, before the lock; the
/// second looks at what the first has asked for.
[[nodiscard]] const std::uint64_t* prefetch_content(const State& state, const Caller& caller, const NewOrder& order) noexcept;
void prefetch_newest(const State& state, const std::uint64_t* word) noexcept;

/// For apply, after the identity is written: the index leads to this order, the newest of its content.
void index_content(State& state, std::uint32_t slot) noexcept;
/// Makes the index anew from the orders.
void rebuild_content(State& state) noexcept;
/// Empty, or what is wrong with it.
[[nodiscard]] const char* check_content(const State& state) noexcept;

}  // namespace riskreg::core
