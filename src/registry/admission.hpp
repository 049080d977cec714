/// Who may use a registry's memory, and how: one table of everything that is looked at before anything is adopted or rebuilt
/// (src/README.md "One segment or none"). A registry has one segment or none; when there may be one that cannot be seen from here, the
/// answer is a refusal that names what was seen and what to type. Internal to the registry layer; `doctor` shows the row.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "riskreg/config.hpp"
#include "riskreg/error.hpp"
#include "segment/lifecycle.hpp"
#include "segment/mapping.hpp"

namespace riskreg::registry {

/// Where LOCK, or else the newest journal file, says that the registry's memory was made.
enum class Where : std::uint8_t {
    unknown,  ///< nothing says so: a directory of an earlier build, or a copy without LOCK and journal
    here,  ///< this boot, this view of /dev/shm
    elsewhere,  ///< this boot, another view of /dev/shm
    other_boot,  ///< another boot, on a disk of this machine: memory is gone
    other_boot_shared,  ///< another boot, on a network file system: perhaps another machine, which runs
};

/// A segment of the registry's own token in this view.
enum class Own : std::uint8_t { none, usable, other_clock };  // other_clock: of another time namespace

/// One of the same name and the same creation, or made for this very directory, under another token, while LOCK cannot vouch for its
/// own: it is new, or of another registry.
enum class Stray : std::uint8_t { none, unused, used };

/// Everything that the decision rests on.
struct Facts {
    bool alone = false;  ///< the exclusive lock on LOCK was granted
    segment::Stage stage = segment::Stage::unknown;
    Own own = Own::none;
    bool own_is_used = false;  ///< somebody who came by another LOCK file uses it
    Stray stray = Stray::none;
    bool host_is_alive = false;  ///< some process holds the lock on a journal file in the directory
    Where where = Where::unknown;
    bool has_files = false;  ///< there is something to rebuild from
    bool disk_is_ahead = false;  ///< the journal goes further, or is younger, than the segment
    bool other_pids = false;  ///< the segment is of another PID namespace
    // what the operator said
    bool i_am_alone = false;
    bool from_disk = false;
    bool new_token = false;
    bool restore_lock = false;
};

enum class Action : std::uint8_t {
    join,  ///< use it with the others
    adopt,  ///< nobody is attached: redo, audit, bury the dead
    rebuild,  ///< from the files
    refuse,
    bury,  ///< finish a destroy, then refuse
    retoken,  ///< draw a new token, then rebuild
    restore_lock,  ///< take the stray segment's token, then look again
};

struct Row {
    const char* id;  ///< stable: `doctor` prints it, tests enumerate it
    Action action;
    Errc code;  ///< of a refusal
    bool (*fits)(const Facts&) noexcept;
    const char* says;  ///< "{name}" and "{dir}" stand for the registry's; what was seen, then what to do
};

/// The table, in the order in which it is asked: the first row that fits decides, and one always fits.
[[nodiscard]] std::span<const Row> admission_rows() noexcept;
[[nodiscard]] const Row& decide_admission(const Facts& facts) noexcept;

/// The rows' sentence, with names filled in and who was seen behind it.
[[nodiscard]] std::string sentence_of(const Row& row, const segment::LifecycleLock& lock, const std::string& name);

/// What is to be seen now. `alone`: the caller holds the exclusive lock, and the sweep is done. `current`: the segment that
/// open_newest found, used alone if that was granted and `alone`.
[[nodiscard]] Facts look_around(const segment::LifecycleLock& lock, const std::string& name, const RecoverOptions& options,
                                bool alone, std::optional<segment::Mapping>& current);

/// The token of the stray segment, for restore_lock; zeroes: there is none.
[[nodiscard]] std::array<std::uint64_t, 2> stray_token(const segment::LifecycleLock& lock, const std::string& name);

/// That segment.
[[nodiscard]] std::optional<segment::Mapping> stray_segment(const segment::LifecycleLock& lock, const std::string& name);

/// For doctor: the row that applies to an attach now, without taking any lock.
struct AdmissionView {
    std::string row, action, says;
};
[[nodiscard]] AdmissionView view_admission(const std::string& name, const std::string& state_dir);

}  // namespace riskreg::registry
