/// One registry's history that holds every kind of event, and tables to replay it into.
#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/copy.hpp"

namespace riskreg::test {

/// Two instruments, one account, two strategies; tables of a few dozen records, so that thousands of recoveries are
/// quick. `orders` is the capacity of the order table; `more` further top-level members (with a leading comma).
[[nodiscard]] std::string small_config(std::uint32_t orders = 64, const std::string& more = {});

/// Tables at genesis for the text of a stored configuration.
[[nodiscard]] core::PrivateState genesis_of(const std::string& config);

/// Applies events that follow what `state` holds.
void apply_events(core::State& state, std::span<const layout::Event> events);

/// Every kind of event at least once, and one all-or-none batch. events[i] has the sequence 2 + i.
struct History {
    std::string config;
    std::vector<layout::Event> events;
    std::size_t batch_begin = 0, batch_end = 0;   ///< of the batch, as indices

    [[nodiscard]] std::uint64_t last_seq() const noexcept { return events.size() + 1; }
    /// Events first … last, by sequence.
    [[nodiscard]] std::span<const layout::Event> between(std::uint64_t first, std::uint64_t last) const {
        if (first < 2 || last > last_seq()) throw std::out_of_range("no such event in the history");
        return std::span(events).subspan(first - 2, last + 1 - first);
    }
    /// Tables that hold everything up to `seq`.
    [[nodiscard]] core::PrivateState tables_at(std::uint64_t seq) const;
    [[nodiscard]] std::uint64_t digest_at(std::uint64_t seq) const { return core::digest(tables_at(seq).state); }
};
[[nodiscard]] History every_kind_of_event();

}  // namespace riskreg::test
