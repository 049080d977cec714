/// The names of the closed sets of `layout`; how lists work: base/names.hpp.
#pragma once

#include "base/names.hpp"
#include "layout/event.hpp"
#include "layout/segment.hpp"

namespace riskreg::base {

template <>
struct NamesOf<layout::ExecutionStatus> {
    using enum layout::ExecutionStatus;
    static constexpr auto list =
        std::to_array<Name<layout::ExecutionStatus>>({{booked, "booked"}, {busted, "busted"}, {corrected, "corrected"}});
};

template <>
struct NamesOf<layout::ApprovalStatus> {
    using enum layout::ApprovalStatus;
    static constexpr auto list = std::to_array<Name<layout::ApprovalStatus>>({{open, "open"}, {approved, "approved"}});
};

/// 0 is "free", which nothing that is read says.
template <>
struct NamesOf<layout::SessionStatus> {
    using enum layout::SessionStatus;
    static constexpr auto list = std::to_array<Name<layout::SessionStatus>>(
        {{attached, "attached"}, {detached, "detached"}, {dead, "dead"}, {fenced, "fenced"}});
};

template <>
struct NamesOf<layout::EventType> {
    static constexpr auto list = [] {
        std::array<Name<layout::EventType>, layout::kEventTraits.size()> names{};
        for (std::size_t i = 0; i < names.size(); ++i) names[i] = {layout::kEventTraits[i].type, layout::kEventTraits[i].name};
        return names;
    }();
};

template <>
struct NamesOf<layout::HostState> {
    using enum layout::HostState;
    static constexpr auto list = std::to_array<Name<layout::HostState>>(
        {{none, "none"}, {starting, "starting"}, {running, "running"}, {degraded, "degraded"}, {left, "left"}});
};

template <>
struct NamesOf<layout::Fault> {
    static constexpr auto list = [] {
        std::array<Name<layout::Fault>, layout::kFaults.size()> names{};
        for (std::size_t i = 0; i < names.size(); ++i) names[i] = {layout::kFaults[i].fault, layout::kFaults[i].name};
        return names;
    }();
};

}  // namespace riskreg::base

namespace riskreg::layout {

[[nodiscard]] constexpr std::string_view name_of(EventType value) noexcept { return base::text_of(value, "unknown"); }
[[nodiscard]] constexpr std::string_view name_of(SessionStatus value) noexcept { return base::text_of(value, "free"); }

}  // namespace riskreg::layout
