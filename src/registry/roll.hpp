/// The switch of a running registry to a new trading day (src/README.md "A new trading day").
///
/// Each day has a segment and a name of its own (segment/segment_name.hpp); which one is the registry is found in registry/segments.
/// The day before stays as long as nobody has taken over its watermarks, or somebody still uses it.
#pragma once

#include "core/decide.hpp"
#include "registry/attachment.hpp"

namespace riskreg::registry {

/// What is asked for: to end day `day` and no other; 0: whichever is open.
struct RollRequest {
    std::string_view reason;
    std::uint64_t day = 0;
    bool drain = false;  ///< what increases risk waits from the beginning, not only when more comes than can be followed
};

/// How long ago the day began. By boot time; by the wall clock for one that began in another boot.
[[nodiscard]] std::int64_t age_of_day(const layout::Header& header) noexcept;

/// What a roll cost those who wait.
struct RollStats {
    std::uint64_t attempts = 0;  ///< at the tables
    std::uint64_t followed = 0;  ///< events that came meanwhile
    std::uint64_t under_lock = 0;  ///< of these, while everybody waited: at most 256
    std::int64_t lock_ns = 0;  ///< the longest that the lock was held at once
};

/// Ends the day. Builds the next day's segment beside the running one, appends `rolled` to the old one's log (the atomic
/// switch), and says that the new one has begun. Killed anywhere, either the old day goes on or the new one does. Denied
/// `lock_timeout`, `journal_backlog`, `poisoned`, `not_allowed` (the day has been rolled meanwhile by somebody else, another day than the asked one is open, or it is too young).
/// Throws Error{no_space, busy, missing}: nothing has happened then. Under the lock at most 256 events are caught up with; while
/// more than that keeps coming what increases risk waits for the next day, and then facts, too, for at most 5 ms each.
[[nodiscard]] Verdict roll(Attachment& attachment, const core::Caller& who, const RollRequest& request, std::int64_t timeout_ns,
                           RollStats* stats = nullptr);

/// A roller that died leaves the words that say that the day is ending: who finds byte 2 of LOCK free
/// takes them back. Looks only when there are none.
void take_back_roll(Attachment& attachment) noexcept;
/// The same for who holds byte 2, or is alone.
void forget_roll(core::State& state) noexcept;

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
