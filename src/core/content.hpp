/// Duplicates by content: accepted orders of the same content are chained, newest first (semantics.md 9). Internal to core.
#pragma once

#include "core/decide_common.hpp"

namespace riskreg::core {

class BatchOverlay;

/// Some covering scope limits repetitions: only then is an order indexed.
[[nodiscard]] inline bool limits_content(const RowsNow& now) noexcept { return (now.set & layout::kHasContentLimit) != 0; }

/// Where the search for an order's content begins.
[[nodiscard]] std::uint64_t content_hash(const State& state, const Caller& caller, const NewOrder& order) noexcept;

/// Check 9, with `hash` of the order's content. True when it denied; otherwise `previous` is the newest accepted order of the
/// same content.
[[nodiscard]] bool deny_content(const State& state, const Caller& caller, const RowsNow& now, const NewOrder& order,
                                std::uint64_t hash, const BatchOverlay* overlay, std::uint32_t& previous,
                                Decision& out) noexcept;

/// Start the loads of the word that leads to this content, before the lock, and then of the order that it leads to, as soon as
/// there is something else to do meanwhile: that one waits for the word.
void prefetch_content(const State& state, std::uint64_t hash) noexcept;
void prefetch_newest(const State& state, std::uint64_t hash) noexcept;

/// For apply, after the identity is written: the index leads to this order, the newest of its content.
void index_content(State& state, std::uint32_t slot) noexcept;
/// Makes the index anew from the orders.
void rebuild_content(State& state) noexcept;
/// Reports how the live index differs from the orders.
class DerivedCheck;
void check_content(DerivedCheck& check);

}  // namespace riskreg::core
