/// Files that come from outside: the start of the day (`load`), and what a venue says it has (`reconcile`).
///
/// Both are read strictly and wholly before anything is done. An error names the place (`orders[2].price`, or `line 7: price`),
/// what was seen and what is allowed. Formats: tools/README.md.
#pragma once

#include <string>
#include <vector>

#include "riskreg/config.hpp"
#include "riskreg/reconcile.hpp"
#include "riskreg/registry.hpp"

namespace riskctl {

struct LoadPosition {
    riskreg::AccountId account{};
    riskreg::InstrumentId instrument{};
    riskreg::StrategyId strategy = riskreg::StrategyId::none;  ///< none: `external`
    riskreg::Quantity quantity{};
    riskreg::Price price{};
    std::string place;  ///< in the file, for messages
};

struct LoadOrder {
    std::string id, venue_id;
    riskreg::StrategyId strategy{};
    riskreg::OrderRequest request;  ///< `id` is to be set by who uses it
    std::string place;
};

struct LoadFile {
    std::vector<LoadPosition> positions;
    std::vector<LoadOrder> orders;
    std::vector<riskreg::LimitConfig> limits;
    std::vector<riskreg::Restriction> restricted;
};

/// Throws riskreg::Error{bad_input}.
[[nodiscard]] LoadFile parse_load_file(const std::string& text, const riskreg::Reader& reader);

/// JSON, or CSV with a header line. Throws riskreg::Error{bad_input}.
[[nodiscard]] riskreg::VenueRecords parse_venue_file(const std::string& text, const riskreg::Reader& reader);

/// Reads a file of at most 64 MiB; "-" is stdin. Throws riskreg::Error{bad_input}.
[[nodiscard]] std::string read_bounded(const std::string& path);

}  // namespace riskctl
