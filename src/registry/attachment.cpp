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
#include "registry/rebuild.hpp"
#include "registry/roll.hpp"
#include "registry/session_event.hpp"
#include "riskreg/error.hpp"
#include "segment/process_posix.hpp"
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
    header.lock_token[0] = id.token[0];
    header.lock_token[1] = id.token[1];
    header.pid_namespace = segment::pid_namespace();
    header.time_namespace = segment::time_namespace();
    header.created_ns = segment::realtime_ns();
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

core::State state_of(const Mapping& mapping) {
    return core::view_of(mapping.base(), reinterpret_cast<const Header*>(mapping.base())->geometry);
}

/// Under the exclusive lock: removes a segment that nobody can use, says whether a usable one is there.
bool usable_segment_exists(LifecycleLock& lock, const std::string& segment_name) {
    settle_switch(lock, segment_name);
    if (!segment::segment_exists(segment_name)) return false;
    try {
        const Mapping mapping = Mapping::open(segment_name, segment::Access::read_only);
        const bool usable = !segment::is_unfinished(mapping) && !segment::is_stale(mapping, lock.identity());
        if (usable) return true;
    } catch (const Error& error) {
        if (error.code() != Errc::missing) throw;
    }
    segment::remove_segment(segment_name);
    remove_beside(segment_name);
    return false;
}

void fill_segment(const Mapping& mapping, const Geometry& geometry, const SharedConfig& config, const std::string& json,
                  const LifecycleLock& lock, const std::string& name) {
    core::State state = core::view_of(mapping.base(), geometry);
    CRASH_POINT("segment reserved");
    core::make_genesis(state, config, json);
    write_identity(*state.header, lock, name);
    state.header->epoch = segment::random_bits() | 1U;
    make_mutexes(state);
    store_release(state.header->state, static_cast<std::uint64_t>(SegmentState::ready));
    CRASH_POINT("segment filled");
    if (state.has_journal()) make_first_journal(lock, name, json, state.header->epoch, geometry);
    store_release(state.header->magic, kMagic);
    CRASH_POINT("magic stored");
}

/// Adoption (protocol.md 7): memory is newer than the disk. Redo, audit, bury the dead. Empty, or why the tables cannot
/// be trusted; then they are poisoned.
std::string adopt(core::State& state) {
    store_relaxed(state.header->pid_namespace, segment::pid_namespace());
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
    if (repaired == core::RepairCase::r2_redone) store_relaxed(state.status->repairs, load_relaxed(state.status->repairs) + 1);
    const core::AuditReport report = core::audit(state);
    if (!report.clean()) return poisoned("the audit found: " + report.violations.front());
    state.wakes->waiters = state.wakes->asleep = 0;
    bury_dead_sessions(state);
    fence_release();
    state.header->adopting = 0;
    CRASH_POINT("adopted");
    return {};
}

Error other_attached(const std::string& name, const std::string& what) {
    return {Errc::busy, "processes are attached to '" + name + "': " + what + " (riskctl sessions " + name + " lists them)"};
}

}  // namespace

void create_segment(const std::string& name, const SharedConfig& given, const std::string& state_dir) {
    segment::require_valid_name(name);
    // Whoever filled the structure by hand gets the same checks as a file.
    const SharedConfig config = parse_config(config_to_json(given));
    segment::self_test_robust_mutex();
    LifecycleLock lock(segment::resolve_state_dir(state_dir), name, true);
    if (!lock.try_exclusive()) throw other_attached(name, "it exists already; choose another name or destroy it first");
    lock.ensure_token();
    CRASH_POINT("exclusive");
    const std::string segment_name = segment::segment_name(lock.identity(), name);
    if (usable_segment_exists(lock, segment_name))
        throw Error(Errc::bad_input,
                    "registry '" + name + "' exists already: choose another name, or `riskctl destroy " + name + "` first");
    require_no_files(lock, name);
    static_cast<void>(persist::resolve_key({}, config.key_file));   // one that cannot be read is better found now
    const std::string json = config_to_json(config);
    const Geometry geometry = core::geometry_of(config, json.size());
    Mapping mapping = Mapping::create(segment_name, offsets_of(geometry).size_bytes);
    mapping.advise(config.huge_pages, false);
    try {
        fill_segment(mapping, geometry, config, json, lock, name);
    } catch (...) {
        segment::remove_segment(segment_name);
        throw;
    }
}

namespace {

/// No name in /dev/shm leads to the segment. With processes attached it lives on without one, and only they can end it.
Error no_segment(const LifecycleLock& lock, const std::string& name) {
    if (lock.is_held_by_others())
        return {Errc::missing,
                "the segment of '" + name +
                    "' was removed from shared memory under processes that are still attached: they go on, nobody "
                    "else can join. End them (`fuser " +
                    lock.directory() + "/LOCK` names them), then `riskctl recover " + name + "`"};
    return {Errc::missing, "registry '" + name +
                               "' has no segment in shared memory: the host was rebooted, or it was "
                               "destroyed. `riskctl recover " +
                               name + "` rebuilds it from its files"};
}

/// Shared by the steps of one attach.
struct Attaching {
    LifecycleLock& lock;
    const std::string& name;
    const std::string segment_name;
    const RecoverOptions& options;
    std::optional<persist::RecoveryReport> rebuilt;
    std::string poisoned_segment;
};

/// Under the exclusive lock: no usable segment is there.
Mapping rebuild(Attaching& at) {
    if (!has_files(at.lock))
        throw Error(Errc::missing, "registry '" + at.name +
                                       "' has no segment in shared memory (rebooted, destroyed, or its creator died) and no "
                                       "files to rebuild it from: create it with `riskctl create " +
                                       at.name + " --config FILE`");
    at.lock.ensure_token();
    persist::RecoveryReport report;
    Mapping mapping = rebuild_segment(at.lock, at.name, at.segment_name, at.options, report);
    at.rebuilt = std::move(report);
    return mapping;
}

Mapping open_fitting(const Attaching& at, bool alone) {
    if (!alone && !segment::segment_exists(at.segment_name)) throw no_segment(at.lock, at.name);
    Mapping mapping = Mapping::open(at.segment_name, segment::Access::read_write);
    // The name may go to the next trading day between two looks.
    for (int i = 0; i < 10 && !mapping.is_current() && segment::segment_exists(at.segment_name); ++i)
        mapping = Mapping::open(at.segment_name, segment::Access::read_write);
    segment::require_fitting(mapping, at.lock.identity(), at.name, alone);
    if (!mapping.is_current())
        throw Error(Errc::missing, "the segment of '" + at.name + "' was removed while attaching; try again");
    return mapping;
}

Error poisoned_error(const std::string& name, const std::string& why) {
    return {Errc::damaged, "registry '" + name + "' is poisoned: " + why +
                               ". Its bytes are kept for inspection; `riskctl verify " + name +
                               "` names the damage, `riskctl destroy " + name + "` removes it"};
}

/// The tables that nobody is attached to, fit for use: adopted, or their bytes kept aside and rebuilt from the journal.
Mapping adopt_or_rebuild(Attaching& at) {
    Mapping mapping = open_fitting(at, true);
    core::State state = state_of(mapping);
    const std::string why = adopt(state);
    if (why.empty()) return mapping;
    if (!state.has_journal() || !has_files(at.lock)) throw poisoned_error(at.name, why);
    const std::string kept = at.segment_name + ".poisoned-" + std::to_string(segment::realtime_ns());
    if (!segment::rename_segment(at.segment_name, kept)) throw poisoned_error(at.name, why + " (and could not be set aside)");
    at.poisoned_segment = kept;
    try {
        return rebuild(at);
    } catch (const Error& error) {
        throw Error(error.code(), "registry '" + at.name + "' is poisoned (" + why + "; its bytes are kept in /dev/shm/" +
                                      kept + "), and rebuilding it failed: " + error.what());
    }
}

void advise(Mapping& mapping, const Header& header) {
    const bool lock_memory = (header.page_options & 2U) != 0;
    if (!mapping.advise((header.page_options & 1U) != 0, lock_memory) && lock_memory)
        throw Error(Errc::permission, "lock_memory: the host refused to lock " + std::to_string(mapping.size_bytes() >> 20) +
                                          " MiB: raise `ulimit -l`, or set lock_memory to false");
}

/// One attempt under the lifecycle lock that was granted; nothing when a dead adopter left the segment half adopted and
/// it has to be taken exclusively, or when the name still leads to a day that has ended.
std::optional<Mapping> try_attach(Attaching& at, bool alone) {
    if (alone) {
        Mapping mapping = usable_segment_exists(at.lock, at.segment_name) ? adopt_or_rebuild(at) : rebuild(at);
        if (!at.lock.try_shared()) throw Error(Errc::system, "cannot keep the lifecycle lock of '" + at.name + "'");
        return mapping;
    }
    Mapping mapping = open_fitting(at, false);
    if (state_of(mapping).header->adopting != 0) return std::nullopt;
    if (!is_in(state_of(mapping), SegmentState::rolled)) return mapping;
    if (finish_switch(at.lock, at.segment_name)) return std::nullopt;
    std::optional<Mapping> next = open_next_day(at.segment_name, state_of(mapping), segment::Access::read_write);
    if (next) segment::require_fitting(*next, at.lock.identity(), at.name, false);
    return next;
}

}  // namespace

Attachment attach(const std::string& name, const std::string& state_dir, std::int64_t timeout_ns,
                  const RecoverOptions& options) {
    segment::require_valid_name(name);
    const std::int64_t deadline = segment::monotonic_ns() + timeout_ns;
    LifecycleLock lock(segment::resolve_state_dir(state_dir), name, false);
    Attaching at{lock, name, segment::segment_name(lock.identity(), name), options, {}, {}};
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
    return {std::move(lock),       std::move(*mapping),           state, name, at.segment_name, segment::fork_epoch(), alone,
            std::move(at.rebuilt), std::move(at.poisoned_segment)};
}

namespace {

/// A day that has ended may still have the name when whoever rolled it died: the next one is whole beside it.
Mapping open_to_look(const std::string& segment_name) {
    Mapping mapping = Mapping::open(segment_name, segment::Access::read_only);
    if (segment::is_unfinished(mapping) || !is_in(state_of(mapping), SegmentState::rolled)) return mapping;
    std::optional<Mapping> next = open_next_day(segment_name, state_of(mapping), segment::Access::read_only);
    if (next) return std::move(*next);
    return Mapping::open(segment_name, segment::Access::read_only);   // named meanwhile
}

}  // namespace

Attachment attach_reader(const std::string& name, const std::string& state_dir) {
    segment::require_valid_name(name);
    LifecycleLock lock(segment::resolve_state_dir(state_dir), name, false);
    const segment::LockIdentity identity = lock.identity();
    const std::string segment_name = segment::segment_name(identity, name);
    if (!segment::segment_exists(segment_name)) throw no_segment(lock, name);
    Mapping mapping = open_to_look(segment_name);
    // Looking takes no mutex, so a namespace that was left behind does not matter here.
    segment::require_fitting(mapping, identity, name, true);
    const core::State state = state_of(mapping);
    return {std::move(lock), std::move(mapping), state, name, segment_name, segment::fork_epoch(), false, {}, {}};
}

namespace {

/// Nobody gives the name away again while it is removed. A second at most: one that is stopped must not keep us.
void wait_for_switch(LifecycleLock& lock) noexcept {
    for (int i = 0; i < 1000 && !lock.try_switch(); ++i) segment::sleep_ns(1'000'000);
}

void refuse_the_attached(const std::string& segment_name) {
    const Mapping mapping = Mapping::open(segment_name, segment::Access::read_write);
    if (segment::is_unfinished(mapping)) return;
    auto& header = *reinterpret_cast<Header*>(mapping.base());
    store_release(header.state, static_cast<std::uint64_t>(SegmentState::destroyed));
}

}  // namespace

void destroy_segment(const std::string& name, const std::string& state_dir, bool keep_files, bool force) {
    segment::require_valid_name(name);
    LifecycleLock lock(segment::resolve_state_dir(state_dir), name, false);
    const bool alone = lock.try_exclusive();
    if (!alone && !force)
        throw other_attached(name, "stop them first, or use --force: they are then refused every further call");
    const std::string segment_name = segment::segment_name(lock.identity(), name);
    wait_for_switch(lock);
    remove_beside(segment_name);
    if (segment::segment_exists(segment_name)) {
        if (!alone) refuse_the_attached(segment_name);
        segment::remove_segment(segment_name);
    } else if (keep_files) {
        throw Error(Errc::missing, "registry '" + name + "' has no segment, and its files are to be kept: nothing to destroy");
    }
    if (!keep_files) segment::remove_registry_files(lock.directory());
}

namespace {

/// True when the process behind the slot is gone. Then we hold its mutex, and keep it until its death is committed.
bool take_if_dead(segment::RobustMutex& mutex) noexcept {
    switch (mutex.try_lock()) {
        case segment::LockResult::owner_died: mutex.make_consistent(); return true;
        case segment::LockResult::held: return true;   // adopted: all mutexes are fresh, nobody was attached
        default: return false;
    }
}

bool claims_to_be_alive(SessionStatus status) noexcept {
    return status == SessionStatus::attached || status == SessionStatus::fenced;
}

}  // namespace

std::uint32_t bury_dead_sessions(core::State& state) noexcept {
    std::uint32_t buried = 0;
    for (std::uint32_t slot = 0; slot < state.geometry.sessions; ++slot) {
        if (!claims_to_be_alive(state.sessions[slot].record.newest().status)) continue;
        if (is_moving(state.sessions[slot])) continue;
        segment::RobustMutex mutex(state.sessions[slot].mutex);
        if (!take_if_dead(mutex)) continue;
        commit_session(state, request_for(state, EventType::session_dead, slot));
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
    if (lock.inside()) bury_dead_sessions(state);
}

}  // namespace riskreg::registry
