/// Which of the segments in /dev/shm is the registry (protocol.md 7): the highest day of LOCK's token that is whole and has begun.
/// Internal to the registry layer.
#pragma once

#include <optional>
#include <string>

#include "core/state.hpp"
#include "segment/lifecycle.hpp"
#include "segment/mapping.hpp"

namespace riskreg::registry {

[[nodiscard]] core::State state_of(const segment::Mapping& mapping);
/// Big enough for its own tables, of this build and finished: then it may be looked at.
[[nodiscard]] bool is_whole(const segment::Mapping& mapping) noexcept;
/// The segment of that name, when there is a whole one.
[[nodiscard]] std::optional<segment::Mapping> look_at(const std::string& segment, segment::Access access);

/// Does `next` begin where the log of `old` ends?
[[nodiscard]] bool follows(const core::State& next, const core::State& old) noexcept;

/// The segment of the newest day. One of a roll that did not happen is passed over; one of a roll that did, and whose roller died
/// before he could say so, is said to have begun (with write access). A segment that is damaged or of another build is given, too:
/// require_fitting names what is wrong. Nothing: there is none in this view.
[[nodiscard]] std::optional<segment::Mapping> open_newest(const segment::LifecycleLock& lock, const std::string& name,
                                                          segment::Access access);

/// The roll to `next` has happened: from now on it is the registry. May be said again by anybody.
void begin_day(core::State& next) noexcept;

/// Under the exclusive lifecycle lock: removes what creators and rollers that died have left, and days that are over for good. What
/// somebody uses who came by another LOCK file stays.
void sweep_segments(const segment::LifecycleLock& lock, const std::string& name);
/// Removes every day of the registry. False: one could not be removed. Throws Error when LOCK cannot be read.
bool remove_segments(const segment::LifecycleLock& lock, const std::string& name);
}  // namespace riskreg::registry
