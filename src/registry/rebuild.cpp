#include "registry/rebuild.hpp"

#include <algorithm>
#include <cstring>

#include "base/crash_point.hpp"
#include "core/apply.hpp"
#include "core/audit.hpp"
#include "core/decide.hpp"
#include "core/derived.hpp"
#include "core/genesis.hpp"
#include "persist/journal_writer.hpp"
#include "registry/caller.hpp"
#include "registry/segments.hpp"
#include "riskreg/error.hpp"
#include "segment/process.hpp"

namespace riskreg::registry {

using namespace layout;
using persist::IoError;

namespace {

persist::Directory open_directory(const segment::LifecycleLock& lock) {
    persist::Directory directory;
    if (const IoError error = persist::Directory::open(lock.directory(), directory))
        throw Error(Errc::permission, "cannot open " + lock.directory() + ": " + error.text());
    return directory;
}

std::string describe(const persist::RecoveryReport& report) {
    std::string text = "rebuilt from ";
    text += report.checkpoint.empty() ? "the journal" : "checkpoint " + std::to_string(report.head.seq);
    return text + " and " + std::to_string(report.events) + " events";
}

void start_words(core::State& state, const persist::RecoveryReport& report, std::uint64_t epoch, std::uint64_t youngest_host) {
    state.header->epoch = epoch;
    state.header->recovered_seq = report.end_seq;
    state.header->day_begun_steady_ns = 0;   // of another boot, for all that is known
    state.marks->journaled = state.marks->durable = state.status->consumer = report.end_seq;
    state.marks->checkpointed = report.checkpoint.empty() ? 0 : report.head.seq;
    state.marks->checkpoint_steady_ns = static_cast<std::uint64_t>(segment::boottime_ns());   // of this boot
    state.marks->checkpoint_ns = report.checkpoint.empty() ? 0 : static_cast<std::uint64_t>(report.head.time_ns);
    // Later than every host that wrote into the directory, also what was not used of it.
    state.host->epoch = std::max(report.head.host_epoch, youngest_host) + 1;
}

}  // namespace

void say_place(persist::FileSpec& spec) {
    const segment::MemoryPlace place = segment::memory_place();
    spec.boot_id = place.boot_id;
    spec.shm_device = place.shm_device;
    spec.shm_identity = place.shm_identity;
}

bool has_files(const segment::LifecycleLock& lock) {
    const persist::Directory directory = open_directory(lock);
    std::vector<std::string> names;
    if (const IoError error = directory.list(names))
        throw Error(Errc::permission, "cannot list " + lock.directory() + ": " + error.text());
    for (const std::string& name : names)
        if (persist::first_seq_of(name) != 0 || persist::checkpoint_seq_of(name) != 0) return true;
    return false;
}

void require_no_files(const segment::LifecycleLock& lock, const std::string& name) {
    if (!has_files(lock)) return;
    const persist::Directory directory = open_directory(lock);
    persist::Sources sources(directory, {});
    if (!sources.only_unused(directory))
        throw Error(Errc::bad_input, "the files of a registry '" + name + "' are in " + lock.directory() +
                                         ": rebuild it with `riskctl recover " + name +
                                         "`, or remove it with `riskctl destroy " + name + "`");
    for (const persist::Sources::Journal& journal : sources.journals) static_cast<void>(directory.remove(journal.name));
}

namespace {

/// A whole, empty journal file. Throws Error.
void make_journal(const persist::Directory& directory, const persist::FileSpec& spec, std::uint64_t ring_events) {
    const std::string temporary = std::string(persist::kTemporaryPrefix) + "journal-first";
    const std::uint64_t bytes = persist::file_size_for(spec.config.size(), persist::journal_file_bytes(ring_events));
    persist::File space;
    static_cast<void>(directory.remove(temporary));
    IoError error = persist::prepare_space(directory, temporary, bytes, space);
    persist::JournalWriter writer;
    if (!error) error = writer.begin(directory, std::move(space), temporary, bytes, spec);
    if (!error) return;
    static_cast<void>(directory.remove(temporary));
    const bool full = error.is_no_space();
    throw Error(full ? Errc::no_space : Errc::permission,
                "cannot write a journal file (" + std::to_string(bytes >> 10) + " KiB) in " + directory.path() + ": " +
                    error.text() + (full ? ". Make room there, or choose another file system with --state-dir" : ""));
}

void require(IoError error, const std::string& doing) {
    if (error) throw Error(error.is_no_space() ? Errc::no_space : Errc::system, "cannot " + doing + ": " + error.text());
}

/// What was read may lie in the page cache only: a host that was killed between write and sync left it there. Before it
/// counts as durable it is.
void sync_what_was_used(const persist::Directory& directory, const persist::RecoveryReport& report) {
    std::vector<std::string> names;
    if (!report.checkpoint.empty()) names.push_back(report.checkpoint);
    for (const persist::JournalUse& use : report.journals) names.push_back(use.name);
    for (const std::string& name : names) {
        persist::File file;
        require(directory.open_file(name, file), "open " + name);
        require(file.sync(), "sync " + name);
    }
    require(directory.sync(), "sync " + directory.path());
}

/// A journal file for what comes behind these tables; a checkpoint of them is on disk.
void begin_behind(const persist::Directory& directory, const core::State& state, const std::string& name,
                  const persist::Sources& sources, std::uint64_t number) {
    const std::uint64_t end = state.log->applied;
    persist::FileSpec spec;
    spec.key = sources.key;
    spec.number = number;
    spec.first_seq = end + 1;
    spec.predecessor_last_seq = spec.base_seq = end;
    spec.epoch = sources.epoch;
    spec.registry = name;
    spec.config.assign(state.config, state.geometry.config_bytes);
    say_place(spec);
    make_journal(directory, spec, state.geometry.ring_events);
}

void write_checkpoint_of(const persist::Directory& directory, const core::State& state, const std::string& name,
                         const persist::Sources& sources) {
    persist::CheckpointOptions options;
    options.registry = name;
    options.epoch = sources.epoch;
    options.source = persist::CheckpointSource::memory;
    options.key = sources.key;
    options.time_ns = segment::realtime_ns();
    std::string stage;
    require(persist::write_checkpoint(directory, state, options, stage), "write a checkpoint of what was read (" + stage + ")");
}

/// A checkpoint of an earlier version, written anew: its journal was left behind. The journal of this one comes first: from
/// then on recovery has what it needs. Then the migrated document gives way to one that no recovery takes without a journal.
void begin_behind_the_migrated(const persist::Directory& directory, const core::State& state, const std::string& name,
                               const persist::Sources& sources) {
    begin_behind(directory, state, name, sources, 1);
    CRASH_POINT("journal behind the migrated");
    write_checkpoint_of(directory, state, name, sources);
}

/// After an accepted loss: a checkpoint of what is left, every file that says more or something else set aside under a name
/// that nobody reads, and a journal that begins behind it. Otherwise old files would be taken for the continuation.
void begin_anew_behind_the_loss(const persist::Directory& directory, const core::State& state, const std::string& name,
                                const persist::Sources& sources) {
    write_checkpoint_of(directory, state, name, sources);
    const std::string aside = persist::kLostPrefix + std::to_string(segment::realtime_ns()) + "-";
    const std::uint64_t end = state.log->applied;
    std::uint64_t newest = 0;
    for (const persist::Sources::Journal& journal : sources.journals) {
        newest = std::max(newest, journal.head.header.file_number);
        require(directory.rename(journal.name, aside + journal.name), "set aside " + journal.name);
    }
    for (const std::string& checkpoint : sources.checkpoints)
        if (persist::checkpoint_seq_of(checkpoint) > end)
            require(directory.rename(checkpoint, aside + checkpoint), "set aside " + checkpoint);
    require(directory.sync(), "sync " + directory.path());
    begin_behind(directory, state, name, sources, newest + 1);
}

}  // namespace

void make_first_journal(const segment::LifecycleLock& lock, const std::string& name, const std::string& config,
                        std::uint64_t epoch, const Geometry& geometry, const persist::Key& key) {
    const persist::Directory directory = open_directory(lock);
    persist::sweep_temporaries(directory);
    persist::FileSpec spec;
    spec.key = key;
    spec.number = 1;
    spec.first_seq = kGenesis + 1;
    spec.predecessor_last_seq = kGenesis;
    spec.epoch = epoch;
    spec.registry = name;
    spec.config = config;
    say_place(spec);
    make_journal(directory, spec, geometry.ring_events);
}

segment::Mapping rebuild_segment(segment::LifecycleLock& lock, const std::string& name, const RecoverOptions& options,
                                 persist::RecoveryReport& report) {
    const persist::Directory directory = open_directory(lock);
    persist::Sources sources(directory, options.key_file);
    // Which day it will be is known when the files have been read; until it is whole its name says nothing.
    const std::string segment_name = segment::segment_name(lock.identity(), name, 1);
    std::optional<segment::Mapping> mapping;
    core::State state;
    const auto fresh = [&](const std::string& json) -> core::State& {
        mapping.reset();
        // Also a day that has ended, and whatever an attempt before this one made: nothing of the token is used.
        static_cast<void>(remove_segments(lock, name));
        const SharedConfig config = parse_config(json);
        const Geometry geometry = core::geometry_of(config, json.size());
        mapping.emplace(segment::Mapping::create(segment_name, offsets_of(geometry).size_bytes));
        mapping->advise(config.huge_pages, false);
        state = core::view_of(mapping->base(), geometry);
        core::make_genesis(state, config, json);
        return state;
    };
    persist::Tail tail;
    try {
        require(persist::settle_last_journal(directory, sources), "sync the journal before it is read");
        persist::RestoreOptions restoring;
        restoring.accept_loss = options.accept_loss;
        for (;;) {
            report = persist::restore(directory, sources, fresh, restoring);
            CRASH_POINT("tables restored");
            const core::AuditReport audit = core::audit(state);
            if (audit.clean()) break;
            if (report.checkpoint.empty())
                throw Error(Errc::damaged,
                            "the files are whole, but what they say is not consistent: " + audit.violations.front());
            restoring.refused.push_back({report.checkpoint, "its tables fail the audit: " + audit.violations.front()});
        }
        core::rebuild_derived(state);
        sync_what_was_used(directory, report);
        if (!report.damage.empty() && state.has_journal()) begin_anew_behind_the_loss(directory, state, name, sources);
        else if (state.has_journal() && sources.journals.empty()) begin_behind_the_migrated(directory, state, name, sources);
        tail = persist::find_tail(directory, ~0ULL, sources.key);
        require(tail.io, "read the last journal file");
    } catch (...) {
        if (mapping) segment::remove_segment(mapping->name());
        throw;
    }
    start_words(state, report, sources.epoch, tail.host_epoch);
    write_identity(*state.header, lock, name);
    make_mutexes(state);
    core::Decision decision;
    core::decide_recovered(state, caller_now(), describe(report), decision);
    core::execute(core::Exclusive::alone(state), decision.event);
    bury_dead_sessions(core::Exclusive::alone(state));
    store_release(state.header->state, static_cast<std::uint64_t>(SegmentState::ready));
    if (const std::string final_name = segment::segment_name(lock.identity(), name, state.header->day);
        final_name != mapping->name() && !mapping->rename(final_name))
        throw Error(Errc::system, "the segment of '" + name + "' cannot get the name of its day");
    CRASH_POINT("segment rebuilt");
    lock.write_record(segment::Stage::live, segment::memory_place(), sources.epoch);
    CRASH_POINT("place recorded");
    store_release(state.header->magic, kMagic);
    return std::move(*mapping);
}

}  // namespace riskreg::registry
