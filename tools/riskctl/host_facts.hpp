/// What doctor asks the host, behind one small header: room, files, memory, and why a process stands still.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "registry/reports.hpp"

namespace riskctl {

[[nodiscard]] inline std::string mebibytes(std::uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

struct Room {
    std::uint64_t total_bytes = 0;
    std::uint64_t free_bytes = 0;
};
/// Of what `path` lies on. Nothing: errno says why.
[[nodiscard]] std::optional<Room> room_at(const std::string& path);

struct FileOnHost {
    std::uint64_t bytes = 0;
    std::int64_t changed_s = 0;   ///< since the Unix epoch
};
[[nodiscard]] std::optional<FileOnHost> file_on_host(const std::string& path);

/// Where segments lie: whether there is room for one.
[[nodiscard]] std::vector<riskreg::registry::Finding> segment_folder_findings();
/// What memory may be locked, and how large its pages are.
[[nodiscard]] std::vector<riskreg::registry::Finding> memory_findings();

/// Why a process does not move, and what sets it going: said only of what was seen.
[[nodiscard]] std::string why_still(std::uint32_t pid);

}  // namespace riskctl
