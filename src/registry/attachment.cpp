#include "registry/attachment.hpp"

#include <cstring>
#include <optional>

#include "base/crash_point.hpp"
#include "base/enforce.hpp"
#include "core/apply.hpp"
#include "core/audit.hpp"
#include "core/copy.hpp"
#include "core/decide.hpp"
#include "core/genesis.hpp"
#include "core/roll.hpp"
#include "registry/admission.hpp"
#include "registry/rebuild.hpp"
#include "registry/roll.hpp"
#include "registry/segments.hpp"
#include "registry/session_event.hpp"
#include "riskreg/error.hpp"
#include "segment/process.hpp"
#include "segment/state_lock.hpp"

namespace riskreg::registry {

using namespace layout;
using segment::LifecycleLock;
using segment::Mapping;

void write_identity(Header& header, const LifecycleLock& lock, const std::string& name) {
    const segment::LockIdentity id = lock.identity();
    const auto boot = segment::boot_id();
    std::memcpy(header.boot_id, boot.data(), boot.size());
    header.lock_device = id.device;
    header.lock_inode = id.inode;
    header.directory_inode = lock.directory_inode();
    segment::write_directory(reinterpret_cast<std::byte*>(&header), lock.directory());
    header.lock_token[0] = id.token[0];
    header.lock_token[1] = id.token[1];
    header.pid_namespace = segment::pid_namespace();
    header.time_namespace = segment::time_namespace();
    header.created_ns = segment::realtime_ns();
    if (header.day_begun_ns == 0) header.day_begun_ns = header.created_ns;
    header.uid = segment::user_id();
    header.name_begin = base::make_id(std::string_view(name).substr(0, kMaxIdBytes));
    header.name_end =
        base::make_id(name.size() > kMaxIdBytes ? std::string_view(name).substr(kMaxIdBytes) : std::string_view{});
}

void make_mutexes(core::State& state) {
    segment::RobustMutex(segment::mutex_memory(state)).initialise();
    segment::RobustMutex(segment::host_mutex_memory(state)).initialise();
    for (std::uint32_t i = 0; i < state.geometry.sessions; ++i) segment::RobustMutex(state.sessions[i].mutex).initialise();
}

namespace {

void fill_segment(const Mapping& mapping, const Geometry& geometry, const SharedConfig& config, const std::string& json,
                  LifecycleLock& lock, const std::string& name, const persist::Key& key) {
    core::State state = core::view_of(mapping.base(), geometry);
    CRASH_POINT("segment reserved");
    core::make_genesis(state, config, json);
    write_identity(*state.header, lock, name);
    state.header->epoch = segment::random_bits() | 1U;
    state.header->day_begun_steady_ns = segment::boottime_ns();
    state.marks->checkpoint_steady_ns = static_cast<std::uint64_t>(segment::boottime_ns());
    make_mutexes(state);
    store_release(state.header->state, static_cast<std::uint64_t>(SegmentState::ready));
    CRASH_POINT("segment filled");
    if (state.has_journal()) make_first_journal(lock, name, json, state.header->epoch, geometry, key);
    // Before the magic: no segment is whole of which LOCK does not say where it is.
    lock.write_record(segment::Stage::live, segment::memory_place(), state.header->epoch);
    CRASH_POINT("place recorded");
    store_release(state.header->magic, kMagic);
    CRASH_POINT("magic stored");
}

/// Adoption (protocol.md 7): memory is newer than the disk. Redo, audit, bury the dead. Empty, or why the tables cannot
/// be trusted; then they are poisoned.
std::string adopt(core::State& state, LifecycleLock& lock) {
    store_relaxed(state.header->pid_namespace, segment::pid_namespace());
    // The directory may have been moved, and LOCK may be of a build that kept no record.
    const segment::LockIdentity id = lock.identity();
    state.header->lock_device = id.device;
    state.header->lock_inode = id.inode;
    state.header->directory_inode = lock.directory_inode();
    segment::write_directory(state.base, lock.directory());
    lock.write_record(segment::Stage::live, segment::memory_place(), state.header->epoch);
    store_relaxed(state.header->time_namespace, segment::time_namespace());
    const auto poisoned = [&](std::string why) {
        segment::poison(state);
        return why;
    };
    if (core::ends_the_day(state)) return "its day has ended, and the segment of the next one is gone";
    if (!core::is_in(state, SegmentState::ready)) return poisoned("it was marked so before");
    // Who gets a shared lock after we died in the middle must not use half-made mutexes: it sees this word.
    state.header->adopting = 1;
    fence_release();
    make_mutexes(state);
    CRASH_POINT("mutexes made");
    const core::RepairCase repaired = core::repair(state);
    if (repaired == core::RepairCase::r3_damaged) return poisoned("the log or the header is damaged (R3)");
    if (repaired == core::RepairCase::r2_redone) count_up(state.status->repairs);
    const core::AuditReport report = core::audit(state);
    if (!report.clean()) return poisoned("the audit found: " + report.violations.front());
    state.wakes->waiters = state.wakes->asleep = 0;
    forget_roll(state);
    bury_dead_sessions(core::Exclusive::alone(state));
    fence_release();
    state.header->adopting = 0;
    CRASH_POINT("adopted");
    return {};
}

Error other_attached(const std::string& name, const std::string& what) {
    return {Errc::busy, "processes are attached to '" + name + "': " + what + " (riskctl sessions " + name + " lists them)"};
}

}  // namespace

namespace {

/// What a destroy that was killed has left is removed: from now on nobody finds anything of it. Under the exclusive lock.
void finish_destroy(LifecycleLock& lock, const std::string& name) {
    segment::remove_registry_files(lock.directory());
    CRASH_POINT("files removed");
    static_cast<void>(remove_segments(lock, name));
    CRASH_POINT("segments removed");
    lock.write_record(segment::Stage::destroyed, {}, 0);
    CRASH_POINT("destroyed");
}

/// Under the exclusive lock: there is no registry here, and none can be elsewhere. What died creations left is removed.
void require_free_place(LifecycleLock& lock, const std::string& name) {
    const segment::Stage stage = lock.record().stage;
    if (stage == segment::Stage::destroying || stage == segment::Stage::destroyed) return finish_destroy(lock, name);
    sweep_segments(lock, name);
    std::optional<Mapping> current = open_newest(lock, name, segment::Access::read_only);
    if (current)
        throw Error(Errc::bad_input,
                    "registry '" + name + "' exists already: choose another name, or `riskctl destroy " + name + "` first");
    const Facts facts = look_around(lock, name, {}, true, current);
    const bool elsewhere = facts.host_is_alive || facts.stray != Stray::none || facts.where == Where::elsewhere;
    if (elsewhere && (facts.where != Where::elsewhere || lock.record().stage == segment::Stage::live)) {
        const Row& row = decide_admission(facts);
        throw Error(Errc::bad_input, "registry '" + name + "' exists already: " + sentence_of(row, lock, name));
    }
    require_no_files(lock, name);
}

}  // namespace

namespace {

void require_local(const std::string& state_dir) {
    const std::string kind = segment::network_file_system(state_dir);
    if (kind.empty()) return;
    throw Error(Errc::bad_input, "the state directory " + state_dir + " is on a network file system (" + kind +
                                     "), where locks, renames and syncs may not hold what a registry rests on, and another "
                                     "machine may write to the same files. Use a local --state-dir, or --network-fs if you "
                                     "know that yours does");
}

}  // namespace

void create_segment(const std::string& name, const SharedConfig& given, const std::string& state_dir, bool network_fs) {
    const segment::FileLimitIsAnError file_limit;
    segment::require_new_name(segment::resolve_state_dir(state_dir), name);
    if (!network_fs) require_local(segment::resolve_state_dir(state_dir));
    // Whoever filled the structure by hand gets the same checks as a file.
    const SharedConfig config = parse_config(config_to_json(given));
    segment::self_test_robust_mutex();
    LifecycleLock lock(segment::resolve_state_dir(state_dir), name, true);
    if (!lock.try_exclusive()) throw other_attached(name, "it exists already; choose another name or destroy it first");
    require_free_place(lock, name);
    lock.ensure_token();
    CRASH_POINT("exclusive");
    const std::string segment_name = segment::segment_name(lock.identity(), name, 1);
    const persist::Key key = persist::resolve_key({}, config.key_file);   // one that cannot be read is better found now
    const std::string json = config_to_json(config);
    const Geometry geometry = core::geometry_of(config, json.size());
    Mapping mapping = Mapping::create(segment_name, offsets_of(geometry).size_bytes);
    mapping.advise(config.huge_pages, false);
    try {
        fill_segment(mapping, geometry, config, json, lock, name, key);
    } catch (...) {
        segment::remove_segment(segment_name);
        throw;
    }
}

namespace {

/// Shared by the steps of one attach.
struct Attaching {
    LifecycleLock& lock;
    const std::string& name;
    const RecoverOptions& options;
    std::optional<persist::RecoveryReport> rebuilt;
    std::string poisoned_segment;
    std::optional<Mapping> ahead;   // of what is likely to be the segment
};

/// Under the exclusive lock.
Mapping rebuild(Attaching& at) {
    at.lock.ensure_token();
    persist::RecoveryReport report;
    Mapping mapping = rebuild_segment(at.lock, at.name, at.options, report);
    at.rebuilt = std::move(report);
    return mapping;
}

Error poisoned_error(const std::string& name, const std::string& why) {
    return {Errc::damaged, "registry '" + name + "' is poisoned: " + why +
                               ". Its bytes are kept for inspection; `riskctl verify " + name +
                               "` names the damage, `riskctl destroy " + name + "` removes it"};
}

/// The bytes are kept under another name, and the tables are rebuilt from the files.
Mapping set_aside_and_rebuild(Attaching& at, const std::string& segment, const std::string& why) {
    const std::string kept = segment::set_aside_name(segment, segment::realtime_ns());
    if (!segment::rename_segment(segment, kept)) throw poisoned_error(at.name, why + " (and could not be set aside)");
    at.poisoned_segment = kept;
    CRASH_POINT("set aside");
    try {
        return rebuild(at);
    } catch (const Error& error) {
        throw Error(error.code(), "registry '" + at.name + "' is poisoned (" + why + "; its bytes are kept in " +
                                      segment::segment_folder() + "/" + kept + "), and rebuilding it failed: " + error.what());
    }
}

/// The tables that nobody is attached to, fit for use: adopted, or, whatever is wrong with them, header and size included, their
/// bytes kept aside and rebuilt from the journal.
Mapping adopt_or_rebuild(Attaching& at, Mapping mapping) {
    std::string why;
    bool has_journal = true;
    try {
        segment::require_fitting(mapping, at.lock.identity(), at.name, true);
        core::State state = state_of(mapping);
        has_journal = state.has_journal();
        why = adopt(state, at.lock);
    } catch (const Error& error) {
        if (error.code() != Errc::damaged) throw;
        why = error.what();
    }
    if (why.empty()) return mapping;
    if (!has_journal || !has_files(at.lock)) throw poisoned_error(at.name, why);
    return set_aside_and_rebuild(at, mapping.name(), why);
}

void advise(Mapping& mapping, const Header& header) {
    const bool lock_memory = (header.page_options & 2U) != 0;
    if (!mapping.advise((header.page_options & 1U) != 0, lock_memory) && lock_memory)
        throw Error(Errc::permission, "lock_memory: the host refused to lock " + std::to_string(mapping.size_bytes() >> 20) +
                                          " MiB: raise `ulimit -l`, or set lock_memory to false");
}

/// Under the exclusive lock: one that was granted is turned into a shared one, and so is the use of the segment.
Mapping keep(Attaching& at, Mapping mapping) {
    if (!mapping.try_use() || !at.lock.try_shared())
        throw Error(Errc::system, "cannot keep the lifecycle lock of '" + at.name + "'");
    return mapping;
}

/// Nothing: a dead adopter left the segment half adopted and it has to be taken exclusively, its day has ended, or somebody is
/// at work on it; look again.
std::optional<Mapping> join(Attaching& at, Mapping mapping) {
    segment::require_fitting(mapping, at.lock.identity(), at.name, false);
    const core::State state = state_of(mapping);
    if (state.header->adopting != 0 || is_in(state, SegmentState::rolled) || !mapping.try_use()) return std::nullopt;
    if (!mapping.is_current()) return std::nullopt;
    return mapping;
}

/// Before a directory gets a token of its own. Another path may lead to the files of the registry that is in memory: a second mount, or
/// a LOCK that was put back. A copy has files of its own: what is written into it is not to be seen in the other.
void require_a_copy(const Attaching& at, const std::optional<Mapping>& own) {
    const std::optional<Mapping> stray = own ? std::nullopt : stray_segment(at.lock, at.name);
    const std::string home = own ? segment::directory_in(*own) : stray ? segment::directory_in(*stray) : std::string();
    persist::Directory here, there;
    if (home.empty() || persist::Directory::open(home, there)) return;
    const std::string probe = persist::kTemporaryPrefix + ("copy-" + std::to_string(segment::random_bits()));
    persist::File made, seen;
    persist::IoError error = persist::Directory::open(at.lock.directory(), here);
    if (!error) error = here.create(probe, made);
    if (error) throw Error(Errc::system, "cannot write into " + at.lock.directory() + ": " + error.text());
    const bool same = !there.open_file(probe, seen);
    static_cast<void>(here.remove(probe));
    if (same)
        throw Error(Errc::busy,
                    at.lock.directory() + " is no copy: its files are those of " + home +
                        ", whose registry is in shared memory. Nothing was changed. Use it through that path; if its LOCK "
                        "file was replaced: end who uses it, then `riskctl recover " +
                        at.name + " --restore-lock`");
}

/// Mapping for use asks for every page, and that takes as long as the segment is large: not again for one that is there already.
std::optional<Mapping> open_to_use(Attaching& at) {
    if (at.ahead) {
        const std::optional<Mapping> newest = open_newest(at.lock, at.name, segment::Access::read_only);
        if (newest && newest->name() == at.ahead->name() && at.ahead->is_current()) {
            std::optional<Mapping> current;
            current.swap(at.ahead);
            core::State state = state_of(*current);
            begin_day(state);
            return current;
        }
    }
    return open_newest(at.lock, at.name, segment::Access::read_write);
}

/// One attempt under the lifecycle lock that was granted.
std::optional<Mapping> try_attach(Attaching& at, bool alone) {
    if (alone) sweep_segments(at.lock, at.name);
    std::optional<Mapping> current = open_to_use(at);
    const Row& row = decide_admission(look_around(at.lock, at.name, at.options, alone, current));
    switch (row.action) {
        case Action::join: return join(at, std::move(*current));
        case Action::adopt: return keep(at, adopt_or_rebuild(at, std::move(*current)));
        case Action::rebuild:
            if (current) return keep(at, set_aside_and_rebuild(at, current->name(), "an operator asked for --from-disk"));
            return keep(at, rebuild(at));
        case Action::retoken:
            require_a_copy(at, current);
            at.lock.replace_token();
            return keep(at, rebuild(at));
        case Action::restore_lock: {
            const std::array<std::uint64_t, 2> token = stray_token(at.lock, at.name);
            if (token[0] != 0) at.lock.replace_token(token[0], token[1]);
            return std::nullopt;
        }
        case Action::bury: finish_destroy(at.lock, at.name); break;
        case Action::refuse: break;
    }
    throw Error(row.code, sentence_of(row, at.lock, at.name));
}

}  // namespace

namespace {

Attachment attach_with(std::optional<Mapping> ahead, const std::string& name, const std::string& state_dir,
                       std::int64_t timeout_ns, const RecoverOptions& options) {
    const segment::FileLimitIsAnError file_limit;
    segment::require_valid_name(name);
    const std::int64_t deadline = segment::monotonic_ns() + timeout_ns;
    LifecycleLock lock(segment::resolve_state_dir(state_dir), name, false);
    Attaching at{lock, name, options, {}, {}, std::move(ahead)};
    std::optional<Mapping> mapping;
    bool alone = false;
    while (!mapping) {
        const LifecycleLock::Granted granted = lock.wait_any(deadline);
        CRASH_POINT("lifecycle");
        if (granted == LifecycleLock::Granted::none)
            throw Error(Errc::busy,
                        "registry '" + name + "' is being created, recovered or destroyed by another process; try again");
        alone = granted == LifecycleLock::Granted::exclusive;
        mapping = try_attach(at, alone);
        if (mapping) break;
        lock.release();
        if (segment::monotonic_ns() >= deadline)
            throw Error(Errc::busy,
                        "registry '" + name +
                            "' was left half adopted, or half rolled, by a process that died, and others hold it; try again");
        segment::sleep_ns(1'000'000);
    }
    core::State state = state_of(*mapping);
    advise(*mapping, *state.header);
    // One that is rolled by now is left by its first call.
    if (!is_in(state, SegmentState::ready) && !is_in(state, SegmentState::rolled))
        throw Error(Errc::damaged, "registry '" + name + "' is poisoned: every call is refused. `riskctl verify " + name +
                                       "` names the damage, `riskctl destroy " + name + " --force` removes it");
    segment::install_crash_handler();
    const std::string segment = mapping->name();
    return {std::move(lock),       std::move(*mapping),           state, name, segment, segment::fork_epoch(), alone,
            std::move(at.rebuilt), std::move(at.poisoned_segment)};
}

}  // namespace

Attachment attach(const std::string& name, const std::string& state_dir, std::int64_t timeout_ns,
                  const RecoverOptions& options) {
    return attach_with({}, name, state_dir, timeout_ns, options);
}
Attachment attach_by(Mapping&& mapping, const std::string& name, const std::string& state_dir, std::int64_t timeout_ns) {
    return attach_with(std::move(mapping), name, state_dir, timeout_ns, {});
}

namespace {

/// The days of a registry may change between two looks.
std::optional<Mapping> open_to_look(const LifecycleLock& lock, const std::string& name) {
    for (int i = 0; i < 10; ++i) {
        std::optional<Mapping> mapping = open_newest(lock, name, segment::Access::read_only);
        const bool settled = mapping && !is_in(state_of(*mapping), SegmentState::rolled);
        const auto days = segment::segments_of(segment::user_id(), lock.identity().token[0], name);
        if (settled || days.empty() || i == 9) return mapping;
        segment::sleep_ns(1'000'000);
    }
    return std::nullopt;
}

}  // namespace

Attachment attach_reader(const std::string& name, const std::string& state_dir) {
    segment::require_valid_name(name);
    LifecycleLock lock(segment::resolve_state_dir(state_dir), name, false);
    std::optional<Mapping> mapping = open_to_look(lock, name);
    if (!mapping) {
        const AdmissionView view = view_admission(name, state_dir);
        if (view.action == "rebuild")
            throw Error(Errc::missing,
                        "registry '" + name +
                            "' has no segment in shared memory: the host was rebooted, or it was destroyed. `riskctl "
                            "recover " +
                            name + "` rebuilds it from its files");
        throw Error(Errc::missing, view.says);
    }
    // Looking takes no mutex, so a PID namespace that was left behind does not matter here.
    segment::require_fitting(*mapping, lock.identity(), name, true);
    const core::State state = state_of(*mapping);
    if (state.header->time_namespace != segment::time_namespace())
        throw Error(Errc::foreign, "the segment of '" + name +
                                       "' is of another time namespace: every age and silence that is shown from here would be "
                                       "wrong. Look from there, or set the segment aside and rebuild from the files with "
                                       "`riskctl recover " +
                                       name + " --from-disk`");
    const std::string segment = mapping->name();
    return {std::move(lock), std::move(*mapping), state, name, segment, segment::fork_epoch(), false, {}, {}};
}

namespace {

/// No roll begins another day while the days are removed. A second at most: one that is stopped must not keep us.
void wait_for_switch(LifecycleLock& lock) noexcept {
    for (int i = 0; i < 1000 && !lock.try_switch(); ++i) segment::sleep_ns(1'000'000);
}

/// Whoever is attached is refused every further call from here on, and its host writes nothing more.
void refuse_the_attached(const LifecycleLock& lock, const std::string& name) {
    for (const segment::SegmentName& day : segment::segments_of(segment::user_id(), lock.identity().token[0], name)) {
        const std::optional<Mapping> mapping = look_at(text_of(day), segment::Access::read_write);
        if (mapping) store_release(state_of(*mapping).header->state, static_cast<std::uint64_t>(SegmentState::destroyed));
    }
}

bool has_segments(const LifecycleLock& lock, const std::string& name) {
    return !segment::segments_of(segment::user_id(), lock.identity().token[0], name).empty();
}

/// Bytes of segments of this registry that were given up.
std::vector<std::string> set_aside_segments(const LifecycleLock& lock, const std::string& name) {
    std::vector<std::string> found;
    for (const std::string& text : segment::list_set_aside()) {
        const std::optional<segment::SegmentName> of = segment::parse_segment_name(*segment::name_before_set_aside(text));
        if (of && of->registry == name && of->uid == segment::user_id() && of->token == lock.identity().token[0])
            found.push_back(text);
    }
    return found;
}

/// What a destroy is about is this registry's: LOCK is one of ours, or a segment of its token is there.
void require_own(const LifecycleLock& lock, const std::string& name) {
    if (lock.record().marked || (lock.identity().token[0] != 0 && has_segments(lock, name))) return;
    throw Error(Errc::foreign,
                lock.directory() + "/LOCK is not a registry's of this version, and no segment of '" + name +
                    "' is in shared memory: nothing was removed. If the directory is what is left of one, remove it by hand");
}

}  // namespace

std::vector<std::string> destroy_segment(const std::string& name, const std::string& state_dir, bool keep_files, bool force) {
    const segment::FileLimitIsAnError file_limit;
    segment::require_valid_name(name);
    LifecycleLock lock(segment::resolve_state_dir(state_dir), name, false);
    if (lock.identity().token[0] == 0) return {};  // its creator died before there was anything
    require_own(lock, name);
    if (lock.record().stage == segment::Stage::destroyed && !has_segments(lock, name))
        throw Error(Errc::missing, "registry '" + name + "' was destroyed: there is nothing");
    const bool alone = lock.try_exclusive();
    if (!alone && !force)
        throw other_attached(name, "stop them first, or use --force: they are then refused every further call");
    wait_for_switch(lock);
    if (keep_files) {
        if (!has_segments(lock, name))
            throw Error(Errc::missing,
                        "registry '" + name + "' has no segment, and its files are to be kept: nothing to destroy");
        refuse_the_attached(lock, name);
        static_cast<void>(remove_segments(lock, name));
        return {};
    }
    // On disk first: whatever happens from here on, the registry is gone, and who meets what is left removes it.
    lock.write_record(segment::Stage::destroying, {}, 0);
    CRASH_POINT("destroy begun");
    refuse_the_attached(lock, name);
    CRASH_POINT("attached refused");
    for (const std::string& kept : set_aside_segments(lock, name)) static_cast<void>(segment::remove_segment(kept));
    finish_destroy(lock, name);
    return segment::remove_registry_files(lock.directory());
}

namespace {

/// True when the process behind the slot is gone. Then we hold its mutex, and keep it until its death is committed.
bool take_if_dead(segment::RobustMutex& mutex) noexcept {
    switch (mutex.try_lock()) {
        case segment::LockResult::owner_died: mutex.make_consistent(); return true;
        case segment::LockResult::held: return true;  // adopted: all mutexes are fresh, nobody was attached
        default: return false;
    }
}

bool claims_to_be_alive(SessionStatus status) noexcept {
    return status == SessionStatus::attached || status == SessionStatus::fenced;
}

}  // namespace

std::uint32_t bury_dead_sessions(core::Exclusive tables) noexcept {
    core::State& state = tables.state();
    std::uint32_t buried = 0;
    for (std::uint32_t slot = 0; slot < state.geometry.sessions; ++slot) {
        if (!claims_to_be_alive(state.sessions[slot].record.newest().status)) continue;
        if (is_moving(state.sessions[slot])) continue;
        segment::RobustMutex mutex(state.sessions[slot].mutex);
        if (!take_if_dead(mutex)) continue;
        commit_session(tables, request_for(state, EventType::session_dead, slot));
        CRASH_POINT("death committed");
        static_cast<void>(mutex.unlock());
        ++buried;
    }
    return buried;
}

bool somebody_died(const core::State& state) noexcept {
    if (segment::RobustMutex::owner_died_hint(segment::mutex_memory(state))) return true;
    for (std::uint32_t slot = 0; slot < state.geometry.sessions; ++slot) {
        const std::uint64_t word = load_relaxed(state.sessions[slot].word);
        const void* mutex = state.sessions[slot].mutex;
        if (!claims_to_be_alive(static_cast<SessionStatus>(word & 0xFFU)) || !segment::RobustMutex::is_made(mutex)) continue;
        // Who lives holds it. Free without a mark: its owner died between making it and taking it.
        if (segment::RobustMutex::owner_died_hint(mutex) || segment::RobustMutex::holder_hint(mutex) == 0) return true;
    }
    return false;
}

void look_after_the_dead(core::State& state, std::int64_t timeout_ns, std::uint32_t session) noexcept {
    give_up_lost_sessions(state, timeout_ns);
    if (!somebody_died(state)) return;
    const segment::StateLock lock(state, timeout_ns, session);
    if (lock.inside()) bury_dead_sessions(lock.exclusive());
}

}  // namespace riskreg::registry
