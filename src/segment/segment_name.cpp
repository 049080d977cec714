#include "segment/segment_name.hpp"

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <string_view>

#include "base/descriptor.hpp"

namespace riskreg::segment {

namespace {

constexpr std::string_view kPrefix = "riskreg.";
constexpr std::string_view kSetAside = ".poisoned-";
constexpr std::size_t kTokenDigits = 16;

/// Takes a number and the dot behind it.
template <class Number>
bool take(std::string_view& text, int base, Number& number) {
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    if (error != std::errc{} || stop == text.data() + text.size() || *stop != '.') return false;
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()) + 1);
    return true;
}

}  // namespace

std::string text_of(const SegmentName& name) {
    char prefix[80];
    std::snprintf(prefix, sizeof prefix, "riskreg.%u.%016" PRIx64 ".%" PRIu64 ".", name.uid, name.token, name.day);
    return prefix + name.registry;
}

std::optional<SegmentName> parse_segment_name(const std::string& text) {
    std::string_view rest = text;
    if (!rest.starts_with(kPrefix)) return std::nullopt;
    rest.remove_prefix(kPrefix.size());
    SegmentName name;
    if (!take(rest, 10, name.uid)) return std::nullopt;
    const std::size_t before = rest.size();
    if (!take(rest, 16, name.token) || before - rest.size() != kTokenDigits + 1 || !take(rest, 10, name.day))
        return std::nullopt;
    name.registry = rest;
    // Only what this program would have written: no leading zero, no sign.
    return !name.registry.empty() && name.day != 0 && text_of(name) == text ? std::optional(name) : std::nullopt;
}

std::string set_aside_name(const std::string& segment, std::int64_t now_ns) {
    return segment + std::string(kSetAside) + std::to_string(now_ns);
}

std::optional<std::string> name_before_set_aside(const std::string& text) {
    const std::size_t at = text.rfind(kSetAside);
    if (at == std::string::npos) return std::nullopt;
    const std::string_view digits = std::string_view(text).substr(at + kSetAside.size());
    const bool number =
        !digits.empty() && std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
    return number && parse_segment_name(text.substr(0, at)) ? std::optional(text.substr(0, at)) : std::nullopt;
}

std::vector<std::string> list_set_aside() {
    std::vector<std::string> texts;
    static_cast<void>(base::list_directory(segment_folder(), texts));
    std::erase_if(texts, [](const std::string& text) { return !name_before_set_aside(text); });
    std::sort(texts.begin(), texts.end());
    return texts;
}

std::vector<SegmentName> list_segments() {
    std::vector<std::string> texts;
    static_cast<void>(base::list_directory(segment_folder(), texts));
    std::vector<SegmentName> names;
    for (const std::string& text : texts)
        if (std::optional<SegmentName> name = parse_segment_name(text); name && !name_before_set_aside(text))
            names.push_back(std::move(*name));
    std::sort(names.begin(), names.end(), [](const SegmentName& a, const SegmentName& b) { return a.day > b.day; });
    return names;
}

std::vector<SegmentName> segments_named(const std::string& registry) {
    std::vector<SegmentName> names = list_segments();
    std::erase_if(names, [&](const SegmentName& name) { return name.registry != registry; });
    return names;
}

std::vector<SegmentName> segments_of(std::uint32_t uid, std::uint64_t token, const std::string& registry) {
    std::vector<SegmentName> names = segments_named(registry);
    std::erase_if(names, [&](const SegmentName& name) { return name.uid != uid || name.token != token; });
    return names;
}

}  // namespace riskreg::segment
