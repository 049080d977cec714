#include "registry/rebuild.hpp"

#include <cstring>

#include "base/crash_point.hpp"
#include "core/apply.hpp"
#include "core/audit.hpp"
#include "core/decide.hpp"
#include "core/genesis.hpp"
#include "persist/journal_writer.hpp"
#include "riskreg/error.hpp"
#include "segment/process_posix.hpp"

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

void start_words(core::State& state, const persist::RecoveryReport& report, std::uint64_t epoch) {
    state.header->epoch = epoch;
    state.header->recovered_seq = report.end_seq;
    state.marks->journaled = state.marks->durable = state.status->consumer = report.end_seq;
    state.marks->checkpointed = report.checkpoint.empty() ? 0 : report.head.seq;
    state.marks->checkpoint_ns = report.checkpoint.empty() ? 0 : static_cast<std::uint64_t>(report.head.time_ns);
    state.host->epoch = report.head.host_epoch;
}

}  // namespace

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
    if (!sources.only_unused())
        throw Error(Errc::bad_input, "the files of a registry '" + name + "' are in " + lock.directory() +
                                         ": rebuild it with `riskctl recover " + name +
                                         "`, or remove it with `riskctl destroy " + name + "`");
    for (const persist::Sources::Journal& journal : sources.journals) static_cast<void>(directory.remove(journal.name));
}

void make_first_journal(const segment::LifecycleLock& lock, const std::string& name, const std::string& config,
                        std::uint64_t epoch, const Geometry& geometry) {
    const persist::Directory directory = open_directory(lock);
    persist::sweep_temporaries(directory);
    persist::FileSpec spec;
    spec.number = 1;
    spec.first_seq = kGenesis + 1;
    spec.predecessor_last_seq = kGenesis;
    spec.epoch = epoch;
    spec.registry = name;
    spec.config = config;
    const std::string temporary = std::string(persist::kTemporaryPrefix) + "journal-first";
    const std::uint64_t bytes = persist::file_size_for(config.size(), persist::journal_file_bytes(geometry.ring_events));
    persist::File space;
    IoError error = persist::prepare_space(directory, temporary, bytes, space);
    persist::JournalWriter writer;
    if (!error) error = writer.begin(directory, std::move(space), temporary, bytes, spec);
    if (!error) return;
    static_cast<void>(directory.remove(temporary));
    throw Error(error.is_no_space() ? Errc::no_space : Errc::permission, "cannot write the first journal file (" +
                                                                             std::to_string(bytes >> 10) + " KiB) in " +
                                                                             lock.directory() + ": " + error.text());
}

segment::Mapping rebuild_segment(const segment::LifecycleLock& lock, const std::string& name, const std::string& segment_name,
                                 const RecoverOptions& options, persist::RecoveryReport& report) {
    const persist::Directory directory = open_directory(lock);
    persist::Sources sources(directory, options.key_file);
    std::optional<segment::Mapping> mapping;
    core::State state;
    const auto fresh = [&](const std::string& json) -> core::State& {
        mapping.reset();
        segment::remove_segment(segment_name);
        const SharedConfig config = parse_config(json);
        const Geometry geometry = core::geometry_of(config, json.size());
        mapping.emplace(segment::Mapping::create(segment_name, offsets_of(geometry).size_bytes));
        mapping->advise(config.huge_pages, false);
        state = core::view_of(mapping->base(), geometry);
        core::make_genesis(state, config, json);
        return state;
    };
    try {
        persist::RestoreOptions restoring;
        restoring.accept_loss = options.accept_loss;
        report = persist::restore(directory, sources, fresh, restoring);
        CRASH_POINT("tables restored");
        const core::AuditReport audit = core::audit(state);
        if (!audit.clean())
            throw Error(Errc::damaged, "the files are whole, but what they say is not consistent: " + audit.violations.front());
    } catch (...) {
        mapping.reset();
        segment::remove_segment(segment_name);
        throw;
    }
    start_words(state, report, sources.epoch);
    write_identity(*state.header, lock, name);
    make_mutexes(state);
    core::Decision decision;
    core::decide_recovered(state, segment::realtime_ns(), describe(report), decision);
    core::execute(state, decision.event);
    bury_dead_sessions(state);
    store_release(state.header->state, static_cast<std::uint64_t>(SegmentState::ready));
    CRASH_POINT("segment rebuilt");
    store_release(state.header->magic, kMagic);
    return std::move(*mapping);
}

}  // namespace riskreg::registry
