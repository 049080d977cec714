/// The state directory and its LOCK file: who may create, adopt, attach, destroy (protocol.md 7).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/descriptor.hpp"

namespace riskreg::segment {

/// What identifies one registry for ever is the random token in its LOCK file, wherever the directory is moved; device and inode are
/// for messages only.
struct LockIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::array<std::uint64_t, 2> token{};
};

/// Which memory a segment was made in: the running kernel, and the view of /dev/shm (a container may have its own).
struct MemoryPlace {
    std::array<std::uint8_t, 16> boot_id{};
    std::uint64_t shm_device = 0;
    std::uint64_t shm_identity = 0;  // random for each tmpfs, where the kernel tells it
    friend bool operator==(const MemoryPlace&, const MemoryPlace&) = default;
};

/// What LOCK says of the registry's memory. `destroying` is final: whoever meets it finishes the work.
enum class Stage : std::uint64_t { unknown = 0, live = 1, destroying = 2, destroyed = 3 };

struct LockRecord {
    bool marked = false;  // written by a registry of ours, and whole
    Stage stage = Stage::unknown;
    MemoryPlace place;
    std::uint64_t epoch = 0;  // of the registry's creation, as its files have it; 0: not known
};

/// "pid 17 (riskd, uid 1000)", as far as it can be seen from here.
[[nodiscard]] std::string process_text(std::uint32_t pid);

/// Which processes this one can see have `path` open: "pid 17 (riskd, uid 1000)", in one line; empty: none.
[[nodiscard]] std::string holders_of(const std::string& path);

/// The registry's directory is on a file system that other machines may use, too.
[[nodiscard]] bool is_on_network(const std::string& path) noexcept;

/// What the state directory, or the nearest one above that is there, lies on: the name of a file system that other machines write to,
/// too; empty for all others. FUSE ones count by what is behind them: `fuse.sshfs` and its like do, `fuse.bindfs` does not.
[[nodiscard]] std::string network_file_system(const std::string& path);

/// It is in memory: nothing there survives a reboot.
[[nodiscard]] bool is_in_memory(const std::string& path) noexcept;

/// --as-owner: takes groups, gid, effective and saved uid of the owner of `<state_dir>/<name>`, or of the state directory where that is
/// not there yet. The real uid stays: it is the person. Throws Error{bad_input} unless root calls, Error{not_supported} on Windows.
void become_owner(const std::string& state_dir, const std::string& name);

/// Throws Error{bad_input}: the name of a registry is [A-Za-z0-9._-]{1,64}, and not "." or "..".
void require_valid_name(const std::string& name);
/// Of one that is to be made, more is asked, so that it is a name everywhere: it begins and ends with a letter or digit, is no device of
/// other systems, and differs by more than case from those in `state_dir`. Throws Error{bad_input}.
void require_new_name(const std::string& state_dir, const std::string& name);

/// `configured`, or $RISKREG_STATE_DIR, or $XDG_STATE_HOME/riskreg, or ~/.local/state/riskreg; on Windows, instead of the last two,
/// %LOCALAPPDATA%\riskreg\state.
[[nodiscard]] std::string resolve_state_dir(const std::string& configured);

/// One open LOCK file. OFD lock (Windows: LockFileEx) on byte 0: shared for life by every attached process, exclusive to create, adopt
/// or destroy. The kernel drops it with the process, in any namespace. The file is never unlinked.
class LifecycleLock {
public:
    /// Opens `<state_dir>/<name>/LOCK`; with `create` it makes the directories (0700) and the file where missing.
    /// Throws Error{missing, permission, foreign}: another effective user than the directory's owner is refused, root included, and
    /// so are directories that others may write. Never follows a symbolic link below the state directory.
    LifecycleLock(const std::string& state_dir, const std::string& name, bool create);
    LifecycleLock(LifecycleLock&& other) noexcept = default;
    LifecycleLock& operator=(LifecycleLock&&) = delete;

    enum class Granted : std::uint8_t { none, shared, exclusive };

    /// False: somebody holds it. Throws Error{system} where the file system gives no locks at all.
    [[nodiscard]] bool try_exclusive();
    /// Also turns an exclusive lock into a shared one, without a moment in between.
    [[nodiscard]] bool try_shared();
    /// Exclusive when nobody else holds the lock, else shared. Waits in steps of a millisecond; `none` when the
    /// deadline passed.
    [[nodiscard]] Granted wait_any(std::int64_t deadline_ns);
    void release() noexcept;

    /// Somebody else holds the lock, shared or exclusive. Takes nothing; on Windows exclusive for a moment, and what this object holds
    /// shared itself counts as somebody else's there.
    [[nodiscard]] bool is_held_by_others() const noexcept;

    /// Byte 1: who journals. It fences hosts that are attached to an orphaned segment of the same directory.
    [[nodiscard]] bool try_host() noexcept;
    void release_host() noexcept;

    /// Byte 2: who switches the name to the segment of a new trading day.
    [[nodiscard]] bool try_switch() noexcept;
    void release_switch() noexcept;

    /// Writes a token into a LOCK file without one; only under the exclusive lock, as everything that writes.
    void ensure_token();
    /// Another token: this directory is a copy. Or that of a segment whose LOCK was lost.
    void replace_token(std::uint64_t first, std::uint64_t second);
    void replace_token();
    void write_record(Stage stage, const MemoryPlace& place, std::uint64_t epoch);
    [[nodiscard]] LockRecord record() const;
    /// The path still leads to the file that is held.
    [[nodiscard]] bool is_current() const noexcept;
    [[nodiscard]] LockIdentity identity() const;
    [[nodiscard]] const std::string& directory() const noexcept { return directory_; }
    [[nodiscard]] std::uint64_t directory_inode() const noexcept;  ///< 0: not known
    /// What the directory lies in.
    [[nodiscard]] std::string state_dir() const { return directory_.substr(0, directory_.rfind('/')); }

private:
    [[nodiscard]] bool set_lock(int type, int byte = 0) noexcept;
    [[nodiscard]] bool ask(int type);
    std::string directory_;
    base::Descriptor descriptor_;
    /// What it has of each byte, for systems whose locks do not turn into one another by themselves.
    std::array<unsigned char, 3> held_{};
};

/// A name that this program writes into a registry's directory. LOCK is one, and stays.
[[nodiscard]] bool is_own_file(const std::string& name) noexcept;

/// Removes the files that this program writes, and nothing else; returns the names of what is left beside LOCK, directories with a
/// slash behind.
std::vector<std::string> remove_registry_files(const std::string& directory);

}  // namespace riskreg::segment
