/// Proof that a peer does the job: a benchmark of something that does not refuse, or does not count, is void.
#pragma once

#include "peer.hpp"

namespace riskreg::bench::peers {

/// Limits so narrow that every kind of them refuses something in `self_check`.
[[nodiscard]] SharedConfig narrow_config();
/// Orders, duplicates and cancels against `narrow_config`, which the peer must answer as the rules in memory do; it must be
/// loaded with the rows only. Throws naming the first difference.
void self_check(Peer& peer, const char* name);

/// So many orders are live, and the counters of all rows are their sums. Throws.
void check_totals(Peer& peer, const char* name, std::size_t live);

}  // namespace riskreg::bench::peers
