/// The two measurements: the time of a call by size of the store, and what several writers at once get done.
#pragma once

#include "report.hpp"

namespace riskreg::bench::peers {

/// How much of each measurement a run makes.
struct Plan {
    std::vector<std::size_t> sizes;          ///< live orders
    std::size_t memory_calls, synced_calls;  ///< at most, for each peer and size
    std::int64_t budget_ns;                  ///< at most, for each peer and size; at least one call is made
    double load_budget_s;                    ///< a size whose load would take longer is left out
    std::int64_t throughput_ns;              ///< of one round
    int rounds;                              ///< of which the median counts
};

struct Folders {
    std::string memory, disk;
    [[nodiscard]] const std::string& of(bool synced) const noexcept { return synced ? disk : memory; }
};

/// Answers every peer as the rules say, in every mode that it has.
void check_all(const std::vector<PeerType>& types, const Folders& folders);
void measure_latency(const std::vector<PeerType>& types, const Folders& folders, bool synced, const Plan& plan,
                     const Clock& clock, Report& report);
void measure_throughput(const std::vector<PeerType>& types, const Folders& folders, int writers, const Plan& plan,
                        const Clock& clock, Report& report);

}  // namespace riskreg::bench::peers
