/// A segment from files (case R4): under the exclusive lifecycle lock, when memory is gone or not to be trusted.
#pragma once

#include "persist/journal_writer.hpp"
#include "persist/recovery.hpp"
#include "registry/attachment.hpp"

namespace riskreg::registry {

/// What a creation leaves on disk before the registry is there: the first journal file, which begins with the
/// configuration. Throws Error when the files of another registry are in the way, or the disk refuses.
void make_first_journal(const segment::LifecycleLock& lock, const std::string& name, const std::string& config,
                        std::uint64_t epoch, const layout::Geometry& geometry, const persist::Key& key);

/// A journal file says under which kernel and in which view of /dev/shm the memory is that it follows.
void say_place(persist::FileSpec& spec);

/// Throws Error{bad_input} when the directory holds a registry's files; removes those of a creator that died.
void require_no_files(const segment::LifecycleLock& lock, const std::string& name);

/// True when there is something to rebuild from.
[[nodiscard]] bool has_files(const segment::LifecycleLock& lock);

/// Rebuilds the segment and leaves it ready. The firm is `unreconciled`, the sessions of before are dead. Throws
/// Error{damaged, foreign, no_space …}; then nothing was changed.
[[nodiscard]] segment::Mapping rebuild_segment(segment::LifecycleLock& lock, const std::string& name,
                                               const RecoverOptions& options, persist::RecoveryReport& report);

}  // namespace riskreg::registry
