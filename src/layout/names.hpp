/// The names of the closed sets of `layout`; how lists work: base/names.hpp.
#pragma once

#include "base/names.hpp"
#include "layout/event.hpp"

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

// clang-format off
template <>
struct NamesOf<layout::EventType> {
    using enum layout::EventType;
    static constexpr auto list = std::to_array<Name<layout::EventType>>({
        {none, "none"}, {registered, "registered"}, {acked, "acked"}, {filled, "filled"},
        {cancel_requested, "cancel_requested"}, {canceled, "canceled"}, {cancel_rejected, "cancel_rejected"},
        {replace_requested, "replace_requested"}, {replaced, "replaced"}, {replace_rejected, "replace_rejected"},
        {rejected, "rejected"}, {expired, "expired"}, {done_for_day, "done_for_day"}, {aborted, "aborted"},
        {suspended, "suspended"}, {resumed, "resumed"}, {bust, "bust"}, {correct, "correct"}, {timed_out, "timed_out"},
        {denied, "denied"}, {quarantined, "quarantined"}, {position_loaded, "position_loaded"},
        {state_changed, "state_changed"}, {limits_changed, "limits_changed"}, {reconciled, "reconciled"},
        {recovered, "recovered"}, {marked, "marked"}, {restricted_changed, "restricted_changed"},
        {resume_requested, "resume_requested"}, {risk_limits_changed, "risk_limits_changed"}, {alert, "alert"},
        {rolled, "rolled"}, {session_attached, "session_attached"}, {session_detached, "session_detached"},
        {session_dead, "session_dead"}, {session_fenced, "session_fenced"}, {reference_owner, "reference_owner"},
        {clock_set, "clock_set"}, {journal_gap, "journal_gap"}});
};
// clang-format on

}  // namespace riskreg::base

namespace riskreg::layout {

[[nodiscard]] constexpr std::string_view name_of(EventType value) noexcept { return base::text_of(value, "unknown"); }
[[nodiscard]] constexpr std::string_view name_of(SessionStatus value) noexcept { return base::text_of(value, "free"); }

}  // namespace riskreg::layout
