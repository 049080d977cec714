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
    [[nodiscard]] bool clean() const noexcept { return violations.empty(); }
};

inline constexpr std::size_t kMaxViolations = 100;

/// Needs tables at rest: under the lock, or a consistent copy. Linear in orders, executions and rows.
[[nodiscard]] AuditReport audit(const State& state);

}  // namespace riskreg::core
