/// Names of segments in the folder of segments, /dev/shm on Linux (protocol.md 7): whose, of which registry, of which trading day. Nothing is ever renamed or linked
/// once it is whole: a roll makes the segment of the next day, under the next day's name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace riskreg::segment {

/// Where segments are files: /dev/shm; on Windows %LOCALAPPDATA%\riskreg\segments.
[[nodiscard]] const std::string& segment_folder();

/// `riskreg.<uid>.<16 hex digits of LOCK's token>.<day>.<NAME>`. NAME is last: it may hold dots.
struct SegmentName {
    std::uint32_t uid = 0;
    std::uint64_t token = 0;
    std::uint64_t day = 0;
    std::string registry;
};

[[nodiscard]] std::string text_of(const SegmentName& name);
[[nodiscard]] std::optional<SegmentName> parse_segment_name(const std::string& text);

/// Behind the name of a segment whose bytes were given up and are kept: `.poisoned-<nanoseconds>`.
[[nodiscard]] std::string set_aside_name(const std::string& segment, std::int64_t now_ns);
/// The name without that; nothing when it is no such name.
[[nodiscard]] std::optional<std::string> name_before_set_aside(const std::string& text);

/// Every name in that folder of bytes that were set aside, of any user.
[[nodiscard]] std::vector<std::string> list_set_aside();

/// Every name in that folder of this form, of any user, newest day first.
[[nodiscard]] std::vector<SegmentName> list_segments();
/// Those of one registry, whatever their user and token.
[[nodiscard]] std::vector<SegmentName> segments_named(const std::string& registry);
/// Those of one user, token and registry.
[[nodiscard]] std::vector<SegmentName> segments_of(std::uint32_t uid, std::uint64_t token, const std::string& registry);

}  // namespace riskreg::segment
