/// The named segment: creation with reserved memory, mapping, checks at attach, removal.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/state.hpp"
#include "segment/lifecycle.hpp"
#include "segment/segment_name.hpp"

namespace riskreg::segment {

/// The name of one trading day's segment of the registry that this process's user and `lock` mean.
[[nodiscard]] std::string segment_name(const LockIdentity& lock, const std::string& name, std::uint64_t day);

/// Where segments of this process lie.
[[nodiscard]] MemoryPlace memory_place();

enum class Access : std::uint8_t { read_write, read_only };

/// One mapping of one segment. Boost exceptions end here.
class Mapping {
public:
    /// Creates and reserves every page now: a full /dev/shm is an error here, not a SIGBUS inside the lock. Used alone from then on.
    /// Throws Error{busy} when the name exists, Error{no_space} naming the size needed and the remedy.
    static Mapping create(const std::string& segment, std::size_t size_bytes);
    /// Throws Error{missing, permission, damaged}.
    static Mapping open(const std::string& segment, Access access);

    Mapping(Mapping&&) noexcept;
    Mapping& operator=(Mapping&&) noexcept;
    ~Mapping();

    [[nodiscard]] std::byte* base() const noexcept;
    [[nodiscard]] std::size_t size_bytes() const noexcept;
    [[nodiscard]] const std::string& name() const noexcept;
    [[nodiscard]] std::uint32_t owner_uid() const;
    [[nodiscard]] unsigned mode() const;
    /// The name still leads to these bytes (somebody may have removed and created it anew).
    [[nodiscard]] bool is_current() const noexcept;

    /// Gives a segment that is not whole yet its final name.
    [[nodiscard]] bool rename(const std::string& segment) noexcept;

    /// Open file lock on the segment itself, byte 0: shared by every process that uses it, exclusive to adopt or remove it. Whatever
    /// LOCK file a process came by, two of them never use one segment without knowing of each other. False: others have it.
    [[nodiscard]] bool try_use_alone() noexcept;
    /// Also turns use alone into shared use, without a moment in between.
    [[nodiscard]] bool try_use() noexcept;
    void stop_using() noexcept;
    /// Somebody else uses it. Takes nothing; works read-only.
    [[nodiscard]] bool is_used_by_others() const noexcept;

    /// Not in core dumps, not in forked children; huge pages and mlock as configured. False: an option was refused.
    bool advise(bool huge_pages, bool lock_memory) noexcept;
    /// Asks for the pages of the next `bytes` from `at` on, so that nobody has to wait for them later. Returns where to go on; size_bytes
    /// when done, also where the kernel cannot.
    std::size_t fault_in(std::size_t at, std::size_t bytes) const noexcept;
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
/// True when it was there.
bool remove_segment(const std::string& segment) noexcept;
/// The same, unless somebody uses it. True when it is not there any more.
bool remove_unused_segment(const std::string& segment) noexcept;

/// Whether the bytes of `mapping` are a whole segment of this build, boot, user and LOCK file.
/// Throws Error{missing, foreign, damaged} that says what differs; `adopting` lets the PID namespace differ.
void require_fitting(const Mapping& mapping, const LockIdentity& lock, const std::string& name, bool adopting);

/// The directory that the segment says it belongs to; empty: not said.
[[nodiscard]] std::string directory_in(const Mapping& mapping);
void write_directory(std::byte* base, const std::string& directory);

/// A segment whose creator died before it was whole (magic is stored last).
[[nodiscard]] bool is_unfinished(const Mapping& mapping) noexcept;

}  // namespace riskreg::segment
