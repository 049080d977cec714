/// The state directory and its LOCK file: who may create, adopt, attach, destroy (protocol.md 7).
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/descriptor_posix.hpp"

namespace riskreg::segment {

/// What identifies one LOCK file for ever: device, inode, and the random token that is its content.
struct LockIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::array<std::uint64_t, 2> token{};
};

/// Throws Error{bad_input}: the name of a registry is [A-Za-z0-9._-]{1,64}, and not "." or "..".
void require_valid_name(const std::string& name);

/// `configured`, or $RISKREG_STATE_DIR, or $XDG_STATE_HOME/riskreg, or ~/.local/state/riskreg.
[[nodiscard]] std::string resolve_state_dir(const std::string& configured);

/// One open LOCK file. OFD lock on byte 0: shared for life by every attached process, exclusive to create, adopt
/// or destroy. The kernel drops it with the process, in any namespace. The file is never unlinked.
class LifecycleLock {
public:
    /// Opens `<state_dir>/<name>/LOCK`; with `create` it makes the directories (0700) and the file where missing.
    /// Throws Error{missing, permission}. Never follows a symbolic link below the state directory.
    LifecycleLock(const std::string& state_dir, const std::string& name, bool create);
    LifecycleLock(LifecycleLock&& other) noexcept = default;
    LifecycleLock& operator=(LifecycleLock&&) = delete;

    enum class Granted : std::uint8_t { none, shared, exclusive };

    [[nodiscard]] bool try_exclusive() noexcept;
    /// Also turns an exclusive lock into a shared one, without a moment in between.
    [[nodiscard]] bool try_shared() noexcept;
    /// Exclusive when nobody else holds the lock, else shared. Waits in steps of a millisecond; `none` when the
    /// deadline passed.
    [[nodiscard]] Granted wait_any(std::int64_t deadline_ns) noexcept;
    void release() noexcept;

    /// Somebody else holds the lock, shared or exclusive. Takes nothing.
    [[nodiscard]] bool is_held_by_others() const noexcept;

    /// Byte 1: who journals. It fences hosts that are attached to an orphaned segment of the same directory.
    [[nodiscard]] bool try_host() noexcept;
    void release_host() noexcept;

    /// Byte 2: who switches the name to the segment of a new trading day.
    [[nodiscard]] bool try_switch() noexcept;
    void release_switch() noexcept;

    /// Writes the token into a new LOCK file; only under the exclusive lock.
    void ensure_token();
    [[nodiscard]] LockIdentity identity() const;
    [[nodiscard]] const std::string& directory() const noexcept { return directory_; }
    /// What the directory lies in.
    [[nodiscard]] std::string state_dir() const { return directory_.substr(0, directory_.rfind('/')); }

private:
    [[nodiscard]] bool set_lock(int type, int byte = 0) noexcept;
    std::string directory_;
    base::Descriptor descriptor_;
};

/// Removes the registry's files except LOCK.
void remove_registry_files(const std::string& directory);

}  // namespace riskreg::segment
