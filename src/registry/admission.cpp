#include "registry/admission.hpp"

#include <algorithm>
#include <array>

#include "persist/checkpoint.hpp"
#include "persist/recovery.hpp"
#include "registry/segments.hpp"
#include "segment/process.hpp"

namespace riskreg::registry {

using namespace layout;
using segment::LifecycleLock;
using segment::Mapping;
using segment::Stage;

// ---- the table ----------------------------------------------------------------------------------

namespace {

constexpr const char* kDestroyed =
    "registry '{name}' was destroyed, and that is final: nothing is rebuilt from what lies in {dir}. `riskctl create {name} "
    "--config "
    "FILE` makes a new one; to use files that were copied back there, restore their LOCK as well, or remove {dir}/LOCK";
constexpr const char* kElsewhere =
    "the memory of '{name}' was made in this boot in another /dev/shm (a container's own, or another mount), and cannot be "
    "seen from "
    "here: it may be in use, and newer than the disk. Use it from there, or share /dev/shm (containers: --ipc). If that memory "
    "is gone "
    "for good: `riskctl recover {name} --i-am-alone` rebuilds from the files";
constexpr const char* kNotThere =
    "registry '{name}' has no segment in shared memory (rebooted, destroyed, or its creator died) and no files to rebuild it "
    "from: "
    "create it with `riskctl create {name} --config FILE`";

// One row a line: the table is read as a whole.
// clang-format off
constexpr std::array kRows{
    Row{"destroying", Action::bury, Errc::missing, [](const Facts& f) noexcept { return f.stage == Stage::destroying && f.alone; }, kDestroyed},
    Row{"being-destroyed", Action::refuse, Errc::missing, [](const Facts& f) noexcept { return f.stage == Stage::destroying; },
        "registry '{name}' was destroyed by force; processes still hold {dir}/LOCK: {lock_holders}. They are refused every call; end them"},
    Row{"destroyed", Action::refuse, Errc::missing, [](const Facts& f) noexcept { return f.stage == Stage::destroyed; }, kDestroyed},

    // Others are attached, by this very LOCK file.
    Row{"shared-other-clock", Action::refuse, Errc::foreign, [](const Facts& f) noexcept { return !f.alone && f.own == Own::other_clock; },
        "the processes attached to '{name}' run in another time namespace: their clock and this process's do not compare. Start this "
        "process in the same one"},
    Row{"shared-other-pids", Action::refuse, Errc::foreign, [](const Facts& f) noexcept { return !f.alone && f.own == Own::usable && f.other_pids; },
        "the processes attached to '{name}' run in another PID namespace: robust locks do not work across them. Start this process in "
        "the same one (containers: --pid=host)"},
    Row{"shared", Action::join, Errc::system, [](const Facts& f) noexcept { return !f.alone && f.own == Own::usable; }, "attach beside the others"},
    Row{"shared-elsewhere", Action::refuse, Errc::missing, [](const Facts& f) noexcept { return !f.alone && f.where == Where::elsewhere; },
        "processes are attached to '{name}' through another /dev/shm (a container's own, or another mount), which cannot be seen from "
        "here: {lock_holders}. Share it (containers: --ipc), or run this where they run"},
    Row{"shared-removed", Action::refuse, Errc::missing, [](const Facts& f) noexcept { return !f.alone; },
        "the segment of '{name}' was removed from shared memory under processes that are still attached: {lock_holders}. They go on with "
        "the memory that they have, and nobody else can join. End them in order, so that what they know is on disk, then `riskctl recover "
        "{name}`"},

    // Nobody is attached by this LOCK file; a segment of its token is there.
    Row{"copy-in-use", Action::refuse, Errc::busy, [](const Facts& f) noexcept { return f.own != Own::none && f.own_is_used && !(f.new_token && f.has_files && !f.host_is_alive); },
        "this directory is a copy of one that is in use, or its LOCK file was replaced under running processes: the segment of '{name}' is "
        "used by {segment_holders}, who hold another LOCK. If {dir} is a copy: `riskctl recover {name} --new-token` makes it a registry of its "
        "own, from its files; if it is the same one through another mount, use it through the path that they use. Otherwise end those processes "
        "first"},
    Row{"copy-new-token", Action::retoken, Errc::system, [](const Facts& f) noexcept { return f.new_token && f.has_files && !f.host_is_alive; },
        "a token of its own, then rebuilt from the files here"},
    Row{"new-token-no-files", Action::refuse, Errc::missing, [](const Facts& f) noexcept { return f.new_token && !f.has_files; }, kNotThere},
    Row{"own-elsewhere", Action::refuse, Errc::busy,
        [](const Facts& f) noexcept { return f.own != Own::none && f.where == Where::elsewhere && !f.i_am_alone; }, kElsewhere},
    Row{"own-host-alive", Action::refuse, Errc::busy, [](const Facts& f) noexcept { return f.own != Own::none && f.host_is_alive; },
        "a process writes the journal of '{name}' ({journal_holders}), and it is not attached through this LOCK file and this /dev/shm: "
        "end it first"},
    Row{"from-disk", Action::rebuild, Errc::system, [](const Facts& f) noexcept { return f.own != Own::none && f.from_disk && f.has_files; },
        "the segment is set aside, and the tables are rebuilt from the files"},
    Row{"from-disk-no-files", Action::refuse, Errc::missing, [](const Facts& f) noexcept { return f.own != Own::none && f.from_disk; },
        "'{name}' has a segment, and no files to rebuild it from: leave --from-disk out"},
    Row{"own-other-clock", Action::refuse, Errc::foreign, [](const Facts& f) noexcept { return f.own == Own::other_clock; },
        "the segment of '{name}' is of another time namespace: its clock and this process's do not compare. Attach from there, or set the "
        "segment aside and rebuild from the files with `riskctl recover {name} --from-disk`"},
    Row{"disk-ahead", Action::refuse, Errc::damaged, [](const Facts& f) noexcept { return f.own == Own::usable && f.disk_is_ahead; },
        "the files in {dir} go further than the segment of '{name}', or a later host wrote them: the segment is older memory, and adopting "
        "it would lose what the files hold. `riskctl recover {name} --from-disk` sets the segment aside and rebuilds from the files"},
    Row{"adopt", Action::adopt, Errc::system, [](const Facts& f) noexcept { return f.own == Own::usable; },
        "nobody is attached: the segment is adopted after an audit"},

    // No segment of this token is there. May there be one, all the same?
    Row{"lock-lost-in-use", Action::refuse, Errc::busy, [](const Facts& f) noexcept { return f.stray == Stray::used; },
        "{dir}/LOCK was removed or replaced, or this directory is a copy: the registry's segment is in use by {stray_holders}, under the token "
        "of another LOCK file. End those processes in order, then `riskctl recover {name} --restore-lock`; if {dir} is a copy, `riskctl recover "
        "{name} --new-token`"},
    Row{"host-alive", Action::refuse, Errc::busy, [](const Facts& f) noexcept { return f.host_is_alive; },
        "registry '{name}' has no segment that can be seen from here, and yet a process writes its journal: {journal_holders}. It uses "
        "memory that is not to be seen from here, under a LOCK file that was removed or replaced. End it in order, then `riskctl recover {name}`"},
    Row{"restore-lock", Action::restore_lock, Errc::system, [](const Facts& f) noexcept { return f.stray == Stray::unused && f.restore_lock; },
        "LOCK takes the token of the segment that is there"},
    Row{"lock-lost", Action::refuse, Errc::busy, [](const Facts& f) noexcept { return f.stray == Stray::unused; },
        "{dir}/LOCK was removed or replaced, or this directory is a copy: a segment of this registry is in shared memory under the token of "
        "another LOCK file, and nobody uses it. It may be newer than the files: `riskctl recover {name} --restore-lock` gives LOCK its token and "
        "adopts it. If {dir} is a copy: `riskctl recover {name} --new-token` leaves it alone and rebuilds from the files"},
    Row{"elsewhere", Action::refuse, Errc::busy, [](const Facts& f) noexcept { return f.where == Where::elsewhere && !f.i_am_alone; }, kElsewhere},
    Row{"other-machine", Action::refuse, Errc::busy, [](const Facts& f) noexcept { return f.where == Where::other_boot_shared && !f.i_am_alone; },
        "the files of '{name}' were written in another boot, and {dir} is on a network file system: another machine may be running this "
        "registry. If none is: `riskctl recover {name} --i-am-alone`"},
    Row{"rebuild", Action::rebuild, Errc::system, [](const Facts& f) noexcept { return f.has_files; }, "no segment: rebuilt from the files"},
    Row{"nothing", Action::refuse, Errc::missing, [](const Facts&) noexcept { return true; }, kNotThere},
};
// clang-format on

}  // namespace

std::span<const Row> admission_rows() noexcept { return kRows; }

const Row& decide_admission(const Facts& facts) noexcept {
    return *std::find_if(kRows.begin(), kRows.end(), [&](const Row& row) { return row.fits(facts); });
}

// ---- what is looked at --------------------------------------------------------------------------

namespace {

/// What the files say, as far as it can be read. Nothing of it is trusted further than a refusal.
struct Disk {
    bool has_files = false;
    bool host_is_alive = false;
    std::string held_journal;
    persist::Tail tail;
};

bool is_held(const persist::Directory& directory, const std::string& name) {
    persist::File file;
    return !directory.open_file(name, file) && file.is_locked_by_others();
}

/// As recovery would find it. Without it less is known of files that are signed.
persist::Key key_of(const persist::Directory& directory) {
    try {
        return persist::Sources(directory, {}).key;
    } catch (const Error&) {
        return {};
    }
}

/// A head that cannot be verified says all the same what to be careful about.
void peek_newest(const persist::Directory& directory, const std::vector<std::string>& names, persist::Tail& tail) {
    std::string newest;
    for (const std::string& name : names)
        if (persist::first_seq_of(name) > persist::first_seq_of(newest)) newest = name;
    persist::File file;
    if (newest.empty() || directory.open_file(newest, file) || !persist::peek_head(file, tail.head).empty()) return;
    tail.found = true;
    tail.seen_seq = 0;
    tail.host_epoch = tail.head.header.host_epoch;
}

Disk look_at_disk(const LifecycleLock& lock) {
    Disk disk;
    persist::Directory directory;
    std::vector<std::string> names;
    if (persist::Directory::open(lock.directory(), directory) || directory.list(names)) return disk;
    for (const std::string& name : names) {
        const bool journal = persist::first_seq_of(name) != 0;
        disk.has_files |= journal || persist::checkpoint_seq_of(name) != 0;
        if (journal && is_held(directory, name)) disk.host_is_alive = true, disk.held_journal = lock.directory() + "/" + name;
    }
    if (disk.has_files) disk.tail = persist::find_tail(directory, ~0ULL, key_of(directory));
    if (!disk.tail.found) peek_newest(directory, names, disk.tail);
    return disk;
}

segment::MemoryPlace place_of(const persist::FileInfo& info) noexcept {
    segment::MemoryPlace place;
    std::copy(std::begin(info.boot_id), std::end(info.boot_id), place.boot_id.begin());
    place.shm_device = info.shm_device;
    place.shm_identity = info.shm_identity;
    return place;
}

Where where_is(const segment::MemoryPlace& place, const std::string& directory) {
    if (place == segment::MemoryPlace{}) return Where::unknown;
    const segment::MemoryPlace ours = segment::memory_place();
    if (place == ours) return Where::here;
    if (place.boot_id == ours.boot_id) return Where::elsewhere;
    return segment::is_on_network(directory) ? Where::other_boot_shared : Where::other_boot;
}

/// LOCK says it; without its word the newest journal file does.
Where where_is(const LifecycleLock& lock, const Disk& disk) {
    const segment::LockRecord record = lock.record();
    if (record.marked && record.stage == Stage::live) return where_is(record.place, lock.directory());
    return disk.tail.found ? where_is(place_of(disk.tail.head.info), lock.directory()) : Where::unknown;
}

/// The journal was written by a host that this memory has never had, or the same host wrote more than the memory holds. What an older
/// host has left behind the end of what counts is no later than the memory.
bool is_ahead(const Disk& disk, const core::State& state) noexcept {
    const persist::Tail& tail = disk.tail;
    if (!tail.found || tail.head.header.epoch != state.header->epoch) return false;
    const std::uint64_t hosts = load_acquire(state.host->epoch);
    const bool more = tail.seen_seq > load_acquire(state.log->committed);
    // The first host of a day takes over the count of hosts.
    if (hosts == 0 && state.header->rolled_seq != 0) return more;
    return tail.host_epoch > hosts || (tail.host_epoch == hosts && more);
}

struct StrayFound {
    Stray stray = Stray::none;
    std::array<std::uint64_t, 2> token{};
    std::string segment;
};

StrayFound find_stray(const LifecycleLock& lock, const std::string& name, std::uint64_t epoch) {
    StrayFound found;
    const segment::LockIdentity own = lock.identity();
    const segment::LockRecord record = lock.record();
    // LOCK knows this registry, and so its token: what else there is of this creation belongs to a copy.
    if (record.marked && record.epoch != 0 && (record.epoch == epoch || epoch == 0)) return found;
    for (const segment::SegmentName& other : segment::segments_named(name)) {
        if (other.uid != segment::user_id() || other.token == own.token[0]) continue;
        const std::optional<Mapping> mapping = look_at(text_of(other), segment::Access::read_only);
        if (!mapping) continue;
        const Header& header = *state_of(*mapping).header;
        const bool same_directory = header.lock_device == own.device && header.directory_inode == lock.directory_inode();
        const bool used = mapping->is_used_by_others();
        // Numbers of files are given again, so a directory alone proves nothing but that somebody must be asked.
        if (!(same_directory && used) && (epoch == 0 || header.epoch != epoch)) continue;
        if (is_in(state_of(*mapping), SegmentState::destroyed)) continue;
        if (found.stray == Stray::used || (found.stray == Stray::unused && !used)) continue;
        found = {used ? Stray::used : Stray::unused, {header.lock_token[0], header.lock_token[1]}, text_of(other)};
    }
    return found;
}

std::uint64_t epoch_of(const Disk& disk) noexcept { return disk.tail.found ? disk.tail.head.header.epoch : 0; }

void look_at_own(Facts& facts, const Disk& disk, std::optional<Mapping>& current) {
    if (!current) return;
    facts.own = Own::usable;
    if (facts.alone) facts.own_is_used = !current->try_use_alone();
    // Of one that is damaged nothing is known; require_fitting says what is wrong.
    if (!is_whole(*current)) return;
    const core::State state = state_of(*current);
    if (state.header->time_namespace != segment::time_namespace()) facts.own = Own::other_clock;
    facts.other_pids = state.header->pid_namespace != segment::pid_namespace();
    facts.disk_is_ahead = facts.alone && state.has_journal() && is_ahead(disk, state);
}

}  // namespace

Facts look_around(const LifecycleLock& lock, const std::string& name, const RecoverOptions& options, bool alone,
                  std::optional<Mapping>& current) {
    Facts facts;
    facts.alone = alone;
    facts.stage = lock.record().stage;
    facts.i_am_alone = options.i_am_alone;
    facts.from_disk = options.from_disk;
    facts.new_token = options.new_token;
    facts.restore_lock = options.restore_lock;
    Disk disk;
    // Beside others the files tell nothing that the decision needs, unless there is no segment.
    if (alone || !current) disk = look_at_disk(lock);
    facts.has_files = disk.has_files;
    facts.host_is_alive = disk.host_is_alive;
    facts.where = where_is(lock, disk);
    look_at_own(facts, disk, current);
    if (!current && alone) facts.stray = find_stray(lock, name, epoch_of(disk)).stray;
    return facts;
}

std::array<std::uint64_t, 2> stray_token(const LifecycleLock& lock, const std::string& name) {
    return find_stray(lock, name, epoch_of(look_at_disk(lock))).token;
}

std::optional<Mapping> stray_segment(const LifecycleLock& lock, const std::string& name) {
    const std::string segment = find_stray(lock, name, epoch_of(look_at_disk(lock))).segment;
    return segment.empty() ? std::nullopt : look_at(segment, segment::Access::read_only);
}

// ---- words --------------------------------------------------------------------------------------

namespace {

void replace_all(std::string& text, const std::string& what, const std::string& with) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
        text.replace(at, what.size(), with);
}

/// Only who was seen is named: nobody is to end a process because somebody guessed.
std::string seen(const std::string& path) {
    const std::string holders = path.empty() ? std::string() : segment::holders_of(path);
    return holders.empty() ? "a process that cannot be seen from here (another container, or PID namespace)" : holders;
}

std::string own_segment(const LifecycleLock& lock, const std::string& name) {
    const auto days = segment::segments_of(segment::user_id(), lock.identity().token[0], name);
    return days.empty() ? std::string() : segment::segment_folder() + "/" + text_of(days.front());
}

std::string stray_path(const LifecycleLock& lock, const std::string& name) {
    const std::string segment = find_stray(lock, name, epoch_of(look_at_disk(lock))).segment;
    return segment.empty() ? segment : segment::segment_folder() + "/" + segment;
}

}  // namespace

std::string sentence_of(const Row& row, const LifecycleLock& lock, const std::string& name) {
    std::string text = row.says;
    // The table speaks of where segments lie on Linux.
    replace_all(text, "/dev/shm", segment::segment_folder());
    const auto fill = [&](const char* what, auto with) {
        if (text.find(what) != std::string::npos) replace_all(text, what, with());
    };
    fill("{lock_holders}", [&] { return seen(lock.directory() + "/LOCK"); });
    fill("{journal_holders}", [&] { return seen(look_at_disk(lock).held_journal); });
    fill("{segment_holders}", [&] { return seen(own_segment(lock, name)); });
    fill("{stray_holders}", [&] { return seen(stray_path(lock, name)); });
    fill("{name}", [&] { return name; });
    fill("{dir}", [&] { return lock.directory(); });
    return text;
}

AdmissionView view_admission(const std::string& name, const std::string& state_dir) {
    constexpr std::array kActions{"join", "adopt", "rebuild", "refuse", "finish the destroy", "new token", "restore LOCK"};
    LifecycleLock lock(segment::resolve_state_dir(state_dir), name, false);
    const bool alone = !lock.is_held_by_others();
    std::optional<Mapping> current = open_newest(lock, name, segment::Access::read_only);
    Facts facts = look_around(lock, name, {}, false, current);
    if (alone) {
        // What an attach would see that got the exclusive lock; nothing is locked for it.
        const Disk disk = look_at_disk(lock);
        facts.alone = true;
        facts.has_files = disk.has_files;
        facts.host_is_alive = disk.host_is_alive;
        facts.own_is_used = current && current->is_used_by_others();
        if (current && is_whole(*current)) {
            const core::State state = state_of(*current);
            facts.disk_is_ahead = state.has_journal() && is_ahead(disk, state);
        }
        if (!current) facts.stray = find_stray(lock, name, epoch_of(disk)).stray;
    }
    const Row& row = decide_admission(facts);
    return {row.id, kActions[static_cast<std::size_t>(row.action)], sentence_of(row, lock, name)};
}

}  // namespace riskreg::registry
