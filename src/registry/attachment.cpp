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
#include "registry/session_event.hpp"
#include "riskreg/error.hpp"
#include "segment/process_posix.hpp"
#include "segment/state_lock.hpp"

namespace riskreg::registry {

using namespace layout;
using segment::LifecycleLock;
using segment::Mapping;

namespace {

core::State state_of(const Mapping& mapping) {
    return core::view_of(mapping.base(), reinterpret_cast<const Header*>(mapping.base())->geometry);
}

void write_identity(Header& header, const LifecycleLock& lock, const std::string& name) {
    const segment::LockIdentity id = lock.identity();
    const auto boot = segment::boot_id();
    std::memcpy(header.boot_id, boot.data(), boot.size());
    header.lock_device = id.device;
    header.lock_inode = id.inode;
    header.lock_token[0] = id.token[0];
    header.lock_token[1] = id.token[1];
    header.pid_namespace = segment::pid_namespace();
    header.created_ns = segment::realtime_ns();
    header.uid = segment::user_id();
    header.name_begin = base::make_id(std::string_view(name).substr(0, kMaxIdBytes));
    header.name_end =
        base::make_id(name.size() > kMaxIdBytes ? std::string_view(name).substr(kMaxIdBytes) : std::string_view{});
}

/// Fresh mutexes; only under the exclusive lifecycle lock, when no process is attached in any namespace.
void make_mutexes(core::State& state) {
    segment::RobustMutex(segment::mutex_memory(state)).initialise();
    for (std::uint32_t i = 0; i < state.geometry.sessions; ++i) segment::RobustMutex(state.sessions[i].mutex).initialise();
}

/// Under the exclusive lock: removes a segment that nobody can use, says whether a usable one is there.
bool usable_segment_exists(const LifecycleLock& lock, const std::string& segment_name) {
    if (!segment::segment_exists(segment_name)) return false;
    try {
        const Mapping mapping = Mapping::open(segment_name, segment::Access::read_only);
        const bool usable = !segment::is_unfinished(mapping) && !segment::is_stale(mapping, lock.identity());
        if (usable) return true;
    } catch (const Error& error) {
        if (error.code() != Errc::missing) throw;
    }
    segment::remove_segment(segment_name);
    return false;
}

void fill_segment(const Mapping& mapping, const Geometry& geometry, const SharedConfig& config, const std::string& json,
                  const LifecycleLock& lock, const std::string& name) {
    core::State state = core::view_of(mapping.base(), geometry);
    CRASH_POINT("segment reserved");
    core::make_genesis(state, config, json);
    write_identity(*state.header, lock, name);
    make_mutexes(state);
    store_release(state.header->state, static_cast<std::uint64_t>(SegmentState::ready));
    CRASH_POINT("segment filled");
    store_release(state.header->magic, kMagic);
    CRASH_POINT("magic stored");
}

/// Adoption (protocol.md 7): memory is newer than the disk. Redo, audit, bury the dead.
void adopt(core::State& state, const std::string& name) {
    store_relaxed(state.header->pid_namespace, segment::pid_namespace());
    const auto poisoned = [&](const std::string& why) {
        segment::poison(state);
        return Error(Errc::damaged, "registry '" + name + "' is poisoned: " + why +
                                        ". Its bytes are kept for inspection; `riskctl verify " + name +
                                        "` names the damage, `riskctl destroy " + name + "` removes it");
    };
    if (load_relaxed(state.header->state) != static_cast<std::uint64_t>(SegmentState::ready))
        throw poisoned("it was marked so before");
    // Who gets a shared lock after we died in the middle must not use half-made mutexes: it sees this word.
    state.header->adopting = 1;
    fence_release();
    make_mutexes(state);
    CRASH_POINT("mutexes made");
    const core::RepairCase repaired = core::repair(state);
    if (repaired == core::RepairCase::r3_damaged) throw poisoned("the log or the header is damaged (R3)");
    if (repaired == core::RepairCase::r2_redone) store_relaxed(state.status->repairs, load_relaxed(state.status->repairs) + 1);
    const core::AuditReport report = core::audit(state);
    if (!report.clean()) throw poisoned("the audit found: " + report.violations.front());
    bury_dead_sessions(state);
    fence_release();
    state.header->adopting = 0;
    CRASH_POINT("adopted");
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
    const std::string json = config_to_json(config);
    const Geometry geometry = core::geometry_of(config, json.size());
    Mapping mapping = Mapping::create(segment_name, offsets_of(geometry).size_bytes);
    mapping.advise(config.huge_pages, false);
    fill_segment(mapping, geometry, config, json, lock, name);
}

namespace {

/// One attempt under the lifecycle lock that was granted; false when a dead adopter left the segment half adopted and
/// it has to be taken exclusively.
bool try_attach(LifecycleLock& lock, bool alone, const std::string& name, std::optional<Attachment>& out) {
    const segment::LockIdentity identity = lock.identity();
    const std::string segment_name = segment::segment_name(identity, name);
    if (alone && !usable_segment_exists(lock, segment_name))
        throw Error(Errc::missing, "registry '" + name +
                                       "' has no segment in shared memory (rebooted, destroyed, or its creator died): create "
                                       "it with `riskctl create " +
                                       name + " --config FILE`");
    Mapping mapping = Mapping::open(segment_name, segment::Access::read_write);
    segment::require_fitting(mapping, identity, name, alone);
    if (!mapping.is_current())
        throw Error(Errc::missing, "the segment of '" + name + "' was removed while attaching; try again");
    core::State state = state_of(mapping);
    if (!alone && state.header->adopting != 0) return false;
    const bool lock_memory = (state.header->page_options & 2U) != 0;
    if (!mapping.advise((state.header->page_options & 1U) != 0, lock_memory) && lock_memory)
        throw Error(Errc::permission, "lock_memory: the host refused to lock " + std::to_string(mapping.size_bytes() >> 20) +
                                          " MiB: raise `ulimit -l`, or set lock_memory to false");
    if (alone) {
        adopt(state, name);
        if (!lock.try_shared()) throw Error(Errc::system, "cannot keep the lifecycle lock of '" + name + "'");
    }
    if (load_relaxed(state.header->state) != static_cast<std::uint64_t>(SegmentState::ready))
        throw Error(Errc::damaged, "registry '" + name + "' is poisoned: every call is refused. `riskctl verify " + name +
                                       "` names the damage, `riskctl destroy " + name + " --force` removes it");
    out.emplace(Attachment{std::move(lock), std::move(mapping), state, name, segment_name, segment::fork_epoch()});
    return true;
}

}  // namespace

Attachment attach(const std::string& name, const std::string& state_dir, std::int64_t timeout_ns) {
    segment::require_valid_name(name);
    const std::int64_t deadline = segment::monotonic_ns() + timeout_ns;
    LifecycleLock lock(segment::resolve_state_dir(state_dir), name, false);
    std::optional<Attachment> attached;
    for (;;) {
        const LifecycleLock::Granted granted = lock.wait_any(deadline);
        CRASH_POINT("lifecycle");
        if (granted == LifecycleLock::Granted::none)
            throw Error(Errc::busy,
                        "registry '" + name + "' is being created, recovered or destroyed by another process; try again");
        if (try_attach(lock, granted == LifecycleLock::Granted::exclusive, name, attached)) break;
        lock.release();
        if (segment::monotonic_ns() >= deadline)
            throw Error(Errc::busy,
                        "registry '" + name + "' was left half adopted by a process that died, and others hold it; try again");
    }
    segment::install_crash_handler();
    ENFORCE(attached.has_value());
    return std::move(*attached);
}

Attachment attach_reader(const std::string& name, const std::string& state_dir) {
    segment::require_valid_name(name);
    LifecycleLock lock(segment::resolve_state_dir(state_dir), name, false);
    const segment::LockIdentity identity = lock.identity();
    const std::string segment_name = segment::segment_name(identity, name);
    Mapping mapping = Mapping::open(segment_name, segment::Access::read_only);
    // Looking takes no mutex, so a namespace that was left behind does not matter here.
    segment::require_fitting(mapping, identity, name, true);
    const core::State state = state_of(mapping);
    return {std::move(lock), std::move(mapping), state, name, segment_name, segment::fork_epoch()};
}

namespace {

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
        if (claims_to_be_alive(static_cast<SessionStatus>(word & 0xFFU)) &&
            segment::RobustMutex::owner_died_hint(state.sessions[slot].mutex))
            return true;
    }
    return false;
}

}  // namespace riskreg::registry
