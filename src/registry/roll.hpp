/// The switch of a running registry to a new trading day (src/README.md "A new trading day").
///
/// Each day has a segment and a name of its own (segment/segment_name.hpp); which one is the registry is found in registry/segments.
/// The day before stays as long as nobody has taken over its watermarks, or somebody still uses it.
#pragma once

#include "core/decide.hpp"
#include "registry/attachment.hpp"

namespace riskreg::registry {

/// Ends the day. Builds the next day's segment beside the running one, appends `rolled` to the old one's log (the atomic
/// switch), and says that the new one has begun. Killed anywhere, either the old day goes on or the new one does. Denied
/// `lock_timeout`, `journal_backlog`, `poisoned`, `not_allowed` (the day has been rolled meanwhile by somebody else).
/// Throws Error{no_space, busy, missing}: nothing has happened then.
[[nodiscard]] Verdict roll(Attachment& attachment, const core::Caller& who, std::string_view reason, std::int64_t timeout_ns);

/// For a host of the snapshotter, once it has both locks: the host of the day before is gone, and its watermarks are final. The
/// first host of a day takes them over.
void take_over_marks(Attachment& attachment);
/// Removes the day before once its watermarks are here. Looks only when there is nothing to do.
void drop_day_before(Attachment& attachment) noexcept;

/// Mutexes of the sessions in a segment that is not published yet: those of sessions that go on are left unmade, until their
/// processes have moved in.
void make_session_mutexes(core::State& state);
/// A session that was carried into this segment and whose process has not moved in yet.
[[nodiscard]] bool is_moving(const layout::SessionSlot& slot) noexcept;
/// Makes the mutexes of sessions whose processes ended on the way: nobody will hold them, so they are dead like any other.
/// Takes the registry's lock only then.
void give_up_lost_sessions(core::State& state, std::int64_t timeout_ns) noexcept;

}  // namespace riskreg::registry
