/// A recorded order flow (interfaces.md 6) as rows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "riskreg/types.hpp"

namespace riskctl {

enum class FlowAction : std::uint8_t { add, modify, reduce, remove, fill, hidden_fill };

struct FlowRow {
    FlowAction action{};
    riskreg::Side side = riskreg::Side::none;
    std::string order_id;
    riskreg::Price price{};
    std::int64_t lots = 0;       ///< add, modify, fill: size; reduce: by how much the leaves shrink
    std::uint64_t number = 0;    ///< row of the file, from 1: the exec id of a fill
};

/// Reads a plain or gzip file. Throws riskreg::Error{bad_input} naming line and field.
[[nodiscard]] std::vector<FlowRow> read_order_flow(const std::string& path);
[[nodiscard]] std::vector<FlowRow> read_lobster(const std::string& path);

}  // namespace riskctl
