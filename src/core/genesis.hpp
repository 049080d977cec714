/// Creation: geometry from a configuration, and the tables at sequence 1.
#pragma once

#include "core/decide.hpp"
#include "riskreg/config.hpp"

namespace riskreg::core {

[[nodiscard]] layout::Geometry geometry_of(const SharedConfig& config, std::size_t config_bytes) noexcept;

/// Fills zeroed memory of `state` with genesis records, static tables and limits. The configuration was validated.
/// Leaves the header's identity (boot id, LOCK pair, namespace, magic) to the caller.
void make_genesis(State& state, const SharedConfig& config, std::string_view config_json);

/// A record that neither configuration nor event has touched: zeros, but no limit, and kNoSlot where zero would name something.
template <layout::Record T>
[[nodiscard]] T as_created() noexcept {
    using namespace layout;
    T record{};
    if constexpr (std::is_same_v<T, RowControl>) record = control_of(Limits{});
    if constexpr (std::is_same_v<T, RowRiskLimits>) record = risk_limits_of(Limits{});
    if constexpr (std::is_same_v<T, OrderState>) record.last_alias = record.pending_alias = record.last_execution = kNoSlot;
    if constexpr (std::is_same_v<T, RowMeters>) record.messages_ring = record.all_ring = kNoSlot;
    if constexpr (std::is_same_v<T, RowMeters>) record.messages_stride = record.all_stride = 1;
    if constexpr (std::is_same_v<T, RestrictionRecord> || std::is_same_v<T, ApprovalRecord>) record.row = kNoSlot;
    if constexpr (std::is_same_v<T, StrategyState> || std::is_same_v<T, ReferenceOwner>) record.session = kNoSlot;
    return record;
}

/// Something that never changes after creation has changed: geometry, settings, the records of instruments, accounts and
/// strategies, the permissions, the configuration's text. False when the build that made the tables kept no hash of them.
[[nodiscard]] bool entities_changed(const State& state) noexcept;

}  // namespace riskreg::core
