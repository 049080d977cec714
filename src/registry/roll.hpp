/// The switch of a running registry to a new trading day (src/README.md "A new trading day").
///
/// Three names in shared memory: the registry's own; `<own>.next`, a whole segment of the day that is to begin; `<own>.last`, the
/// day before, as long as nobody has taken over its watermarks.
#pragma once

#include "core/decide.hpp"
#include "registry/attachment.hpp"

namespace riskreg::registry {

/// Ends the day. Builds the next day's segment beside the running one, appends `rolled` to the old one's log (the atomic
/// switch), and gives the new one the name. Killed anywhere, either the old day goes on or the new one does. Denied
/// `lock_timeout`, `journal_backlog`, `poisoned`, `not_allowed` (the day has been rolled meanwhile by somebody else).
/// Throws Error{no_space, busy, missing}: nothing has happened then.
[[nodiscard]] Verdict roll(Attachment& attachment, const core::Caller& who, std::string_view reason, std::int64_t timeout_ns);

/// Gives the name to the segment of the next day, if `rolled` is the end of the one that has it. Whoever meets a rolled segment
/// may call this, again and again. False: somebody else is about to, look again.
[[nodiscard]] bool finish_switch(segment::LifecycleLock& lock, const std::string& segment);

/// The segment of the next day while it has no name of its own yet: nobody has to wait for a process that is about to give it
/// one, and is stopped. Nothing: it has one by now.
[[nodiscard]] std::optional<segment::Mapping> open_next_day(const std::string& segment, const core::State& old,
                                                            segment::Access access);

/// The same under the exclusive lifecycle lock, where nobody else can be at it; what a roll that did not happen has left is
/// removed.
void settle_switch(segment::LifecycleLock& lock, const std::string& segment);

/// What belongs to the days before and after goes with the registry.
void remove_beside(const std::string& segment) noexcept;

/// For a host of the snapshotter, once it has both locks: the host of the day before is gone, and its watermarks are final. The
/// first host of a day takes them over.
void take_over_marks(core::State& state, const std::string& segment);
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
