/// The named segment: creation with reserved memory, mapping, checks at attach, removal.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/state.hpp"
#include "segment/lifecycle_posix.hpp"

namespace riskreg::segment {

/// `riskreg.<uid>.<16 hex digits of a hash of LOCK's device and inode>.<name>`: equal names in two state
/// directories never meet.
[[nodiscard]] std::string segment_name(const LockIdentity& lock, const std::string& name);

enum class Access : std::uint8_t { read_write, read_only };

/// One mapping of one segment. Boost exceptions end here.
class Mapping {
public:
    /// Creates and reserves every page now: a full /dev/shm is an error here, not a SIGBUS inside the lock.
    /// Throws Error{busy} when the name exists, Error{no_space} naming the size needed and the remedy.
    static Mapping create(const std::string& segment, std::size_t size_bytes);
    /// Throws Error{missing, permission, damaged}.
    static Mapping open(const std::string& segment, Access access);

    Mapping(Mapping&&) noexcept;
    Mapping& operator=(Mapping&&) noexcept;
    ~Mapping();

    [[nodiscard]] std::byte* base() const noexcept;
    [[nodiscard]] std::size_t size_bytes() const noexcept;
    [[nodiscard]] std::uint32_t owner_uid() const;
    [[nodiscard]] unsigned mode() const;
    /// The name still leads to these bytes (somebody may have removed and created it anew).
    [[nodiscard]] bool is_current() const noexcept;

    /// It has this name now, or will have.
    void rename(const std::string& segment);

    /// Not in core dumps, not in forked children; huge pages and mlock as configured. False: an option was refused.
    bool advise(bool huge_pages, bool lock_memory) noexcept;
    /// In a forked child: forgets the mapping without unmapping, for the kernel did not give it to the child.
    void abandon() noexcept;

private:
    struct Impl;
    explicit Mapping(std::unique_ptr<Impl> impl) noexcept;
    std::unique_ptr<Impl> impl_;
};

[[nodiscard]] bool segment_exists(const std::string& segment) noexcept;
/// Keeps the bytes of a poisoned segment under another name. False when that failed.
bool rename_segment(const std::string& segment, const std::string& to) noexcept;
/// A second name for the same bytes. True when `to` leads somewhere afterwards.
bool link_segment(const std::string& segment, const std::string& to) noexcept;
/// True when it was there.
bool remove_segment(const std::string& segment) noexcept;

/// Whether the bytes of `mapping` are a whole segment of this build, boot, user and LOCK file.
/// Throws Error{missing, foreign, damaged} that says what differs; `adopting` lets the PID namespace differ.
void require_fitting(const Mapping& mapping, const LockIdentity& lock, const std::string& name, bool adopting);

/// The segment was made under a LOCK file that is gone, and whose inode number now serves ours: nobody can be
/// attached to it. Needs a finished segment.
[[nodiscard]] bool is_stale(const Mapping& mapping, const LockIdentity& lock) noexcept;

/// A segment whose creator died before it was whole (magic is stored last).
[[nodiscard]] bool is_unfinished(const Mapping& mapping) noexcept;

}  // namespace riskreg::segment
