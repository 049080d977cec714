/// audit: recomputes everything that the tables claim, and names every difference (INV-3, INV-4, INV-5).
#pragma once

#include <string>
#include <vector>

#include "core/state.hpp"

namespace riskreg::core {

struct AuditReport {
    std::vector<std::string> violations;   ///< at most kMaxViolations, then a line that says how many more
    std::uint64_t orders = 0;              ///< heads of chains
    std::uint64_t live = 0;
    std::uint64_t ids = 0;
    std::uint64_t executions = 0;
    std::uint64_t quarantined = 0;
    std::uint64_t rows = 0;
    bool complete = true;                  ///< false: what is derived was not looked at in full
    [[nodiscard]] bool clean() const noexcept { return violations.empty(); }
};

inline constexpr std::size_t kMaxViolations = 100;

/// Needs tables at rest: under the lock, or a consistent copy. Linear in orders, executions and rows.
[[nodiscard]] AuditReport audit(const State& state);

/// The same for tables that others write meanwhile, without a lock: of `copy`, which is a consistent copy of `live`, and of what
/// is derived in `live` itself. `copy` goes on with `live`.
[[nodiscard]] AuditReport audit_live(const State& live, State& copy);

}  // namespace riskreg::core
