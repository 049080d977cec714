// checkpoint, checkpoint-info, journal-info, migrate, recover: what lies on disk.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "common/program.hpp"
#include "persist/migrate.hpp"
#include "persist/names.hpp"
#include "riskctl/output.hpp"
#include "riskctl/verbs.hpp"
#include "segment/segment_name.hpp"

namespace riskctl {

using namespace riskreg;
using persist::hex_text;
using registry::CheckpointInfo;
using registry::JournalInfo;

namespace {

std::string text_of(std::uint64_t value) { return std::to_string(value); }

int checkpoint(const Common& common, std::uint32_t timeout_ms) {
    ProcessConfig config;
    config.state_dir = common.state_dir;
    config.host_snapshotter = true;   // when nobody else does
    Registry registry = Registry::open(common.name, config);
    const program::Leaving leaving("riskctl", registry, common.name);
    const bool written = registry.checkpoint(1'000'000LL * timeout_ms);
    const StatusView view = registry.status();
    if (common.json) print_json(registry::Checkpointed{view, written});
    if (!written) {
        std::fprintf(stderr, "riskctl: no checkpoint was written: %s (riskctl status %s shows the snapshotter's health)\n",
                     view.checkpoint_error.empty() ? "no answer in time" : view.checkpoint_error.c_str(), common.name.c_str());
        return kNo;
    }
    if (!common.json) std::printf("wrote %s\n", persist::checkpoint_name(view.checkpointed).c_str());
    return kDone;
}

// ---- migrate ----

/// A path as the directory and the name in it.
struct Place {
    persist::Directory directory;
    std::string name;
};

Place place_of(const std::string& path, const char* option) {
    const std::filesystem::path given(path);
    Place place;
    place.name = given.filename().string();
    const std::string parent = given.has_parent_path() ? given.parent_path().string() : ".";
    if (const persist::IoError error = persist::Directory::open(parent, place.directory))
        throw Error(Errc::bad_input, std::string(option) + ": cannot open " + parent + ": " + error.text());
    return place;
}

void print_migrated(const std::string& path, const std::string& output, const persist::Migration& done) {
    if (done.from == persist::kCheckpointVersion) {
        std::printf("%s has version %u already: nothing to do\n", path.c_str(), done.from);
        return;
    }
    std::printf("%s: version %u became %u, %s orders, at event %s\n", output.c_str(), done.from, persist::kCheckpointVersion,
                text_of(done.head.orders).c_str(), text_of(done.head.seq).c_str());
    if (!done.kept.empty()) std::printf("  the one of before is kept beside it as %s\n", done.kept.c_str());
    for (const std::string& journal : done.journals)
        std::printf(
            "  move away: %s is of another version, and this build refuses it; what it holds behind event %s is not in the "
            "checkpoint\n",
            journal.c_str(), text_of(done.head.seq).c_str());
    std::printf("next: riskctl recover %s --state-dir DIR, where DIR/%s/ holds it\n", done.head.registry.c_str(),
                done.head.registry.c_str());
}

int migrate(const std::string& path, const std::string& output, const std::string& key_file, bool json) {
    const Place from = place_of(path, "FILE");
    const std::string target = output.empty() ? path : output;
    const Place to = place_of(target, "--output");
    const persist::Migration done = persist::migrate_checkpoint(from.directory, from.name, to.directory, to.name, key_file);
    json ? print_json(done, target) : print_migrated(path, target, done);
    return kDone;
}

// ---- checkpoint-info, journal-info ----

int say_invalid(const std::string& path, const std::string& why) {
    std::fprintf(stderr, "riskctl: %s: not valid: %s\n", path.c_str(), why.c_str());
    return kDamaged;
}

void print_checkpoint(const CheckpointInfo& info) {
    const persist::CheckpointHead& head = info.head;
    Table table({"checkpoint", info.path});
    table.add({"registry", head.registry});
    table.add({"sequence", text_of(head.seq)});
    table.add({"written", persist::format_time(head.time_ns) + ", from the " + std::string(base::text_of(head.source)) +
                              (head.clean ? ", clean shutdown" : "")});
    table.add({"orders", text_of(head.orders)});
    table.add({"executions", text_of(head.executions)});
    table.add({"quarantined", text_of(head.quarantined)});
    table.add({"bytes", text_of(head.bytes)});
    if (head.journal.present())
        table.add({"journal", "made from file number " + text_of(head.journal.file) + " up to event " +
                                  text_of(head.journal.last_seq) + ", block " + hex_text(head.journal.hash)});
    table.add({head.digest_name, head.digest + ", matches"});
    table.print();
}

int checkpoint_info(const std::string& path, const std::string& key_file, bool json) {
    const CheckpointInfo info = registry::look_at_checkpoint(path, key_file);
    if (json) print_json(info);
    if (!info.problem.empty()) return say_invalid(path, info.problem);
    if (!json) print_checkpoint(info);
    return kDone;
}

void print_journal(const JournalInfo& info) {
    const persist::FileHead& head = info.head;
    Table table({"journal", info.path});
    table.add({"registry", head.registry + ", epoch " + hex_text(head.header.epoch)});
    table.add({"file", "number " + text_of(head.header.file_number) + ", follows number " + text_of(head.info.predecessor) +
                           " at event " + text_of(head.info.predecessor_last_seq)});
    table.add({"events", text_of(info.events) + ": " + text_of(head.header.first_seq) + " to " + text_of(info.last_seq)});
    table.add({"known durable", "up to " + text_of(info.durable_upto)});
    table.add({"blocks", text_of(info.blocks) + ", " + text_of(info.seals) + " of them seals"});
    table.add({"bytes", text_of(info.used_bytes) + " used of " + text_of(head.size)});
    table.add({"tail", std::string(info.tail)});
    table.add({"signed", info.key_file.empty() ? "no" : "every block up to there, with the key of " + info.key_file});
    table.print();
}

int journal_info(const std::string& path, const std::string& key_file, bool json) {
    const JournalInfo info = registry::look_at_journal(path, key_file);
    if (json) print_json(info);
    if (!info.unreadable.empty()) return say_invalid(path, info.unreadable);
    if (!json) print_journal(info);
    if (info.damage.empty()) return kDone;
    std::fprintf(stderr, "riskctl: %s: damaged: %s\n", path.c_str(), info.damage.c_str());
    return kDamaged;
}

// ---- recover ----

void print_recovered(const std::string& name, const RecoverView& v, const StatusView& status) {
    if (!v.poisoned_segment.empty())
        std::printf("the surviving segment is damaged; its bytes are kept in %s/%s\n", segment::segment_folder().c_str(),
                    v.poisoned_segment.c_str());
    if (v.outcome == RecoverOutcome::running)
        std::printf("'%s' is running: processes are attached, there is nothing to recover\n", name.c_str());
    if (v.outcome == RecoverOutcome::adopted)
        std::printf(
            "'%s': the segment survived and passed its audit; memory is newer than the disk and was kept, at event %s\n",
            name.c_str(), text_of(v.seq).c_str());
    if (v.outcome == RecoverOutcome::rebuilt) {
        std::printf("'%s' was rebuilt from %s and %s events of the journal, up to event %s\n", name.c_str(),
                    v.checkpoint.empty() ? "the beginning of the journal" : v.checkpoint.c_str(), text_of(v.events).c_str(),
                    text_of(v.end_seq).c_str());
        for (const RecoverView::Journal& j : v.journals)
            std::printf("  used %s: %s events (%s)\n", j.name.c_str(), text_of(j.applied).c_str(), j.ending.c_str());
    }
    for (const RecoverView::Ignored& file : v.ignored)
        std::printf("  passed over %s: %s\n", file.name.c_str(), file.why.c_str());
    if (!v.torn.empty()) std::printf("  torn tail: %s\n", v.torn.c_str());
    if (!v.damage.empty()) std::printf("  LOST by your word: %s\n", v.damage.c_str());
    std::printf("state: %s%s\n", status.state.c_str(),
                status.unreconciled ? "; compare with the venue, then riskctl resume --unreconciled --reason …" : "");
}

int recover(const Common& common, const RecoverOptions& options) {
    const RecoverView view = Registry::recover(common.name, common.state_dir, options);
    const StatusView status = Reader::open(common.name, common.state_dir).status();
    common.json ? print_json(view, status) : print_recovered(common.name, view, status);
    return kDone;
}

// ---- the entries ----

Run add_checkpoint(CLI::App& verb, const Common& common) {
    auto timeout_ms = std::make_shared<std::uint32_t>(60000);
    verb.add_option("--timeout-ms", *timeout_ms, "how long to wait for it, default 60000")->check(CLI::Range(1U, 3600000U));
    return [&common, timeout_ms] { return checkpoint(common, *timeout_ms); };
}

struct FileOptions {
    std::string file, key_file, output;
};

template <int (*look)(const std::string& path, const std::string& key_file, bool json)>
Run add_info(CLI::App& verb, const Common& common, const char* key_help) {
    auto options = std::make_shared<FileOptions>();
    verb.add_option("FILE", options->file, "the file")->required();
    verb.add_option("--key-file", options->key_file, key_help);
    return [&common, options] { return look(options->file, options->key_file, common.json); };
}

constexpr const char* kCheckpointKey = "file with the key, for a checkpoint that is signed";

Run add_checkpoint_info(CLI::App& verb, const Common& common) {
    return add_info<checkpoint_info>(verb, common, kCheckpointKey);
}

Run add_journal_info(CLI::App& verb, const Common& common) {
    return add_info<journal_info>(verb, common, "file with the key, for a journal that is signed");
}

Run add_migrate(CLI::App& verb, const Common& common) {
    auto options = std::make_shared<FileOptions>();
    verb.add_option("FILE", options->file, "the file")->required();
    verb.add_option("--output", options->output,
                    "where to write it; default: in its place, the one of before is kept beside it");
    verb.add_option("--key-file", options->key_file, kCheckpointKey);
    return [&common, options] { return migrate(options->file, options->output, options->key_file, common.json); };
}

Run add_recover(CLI::App& verb, const Common& common) {
    auto options = std::make_shared<RecoverOptions>();
    verb.add_option("--key-file", options->key_file,
                    "key of journal and checkpoints; default $RISKREG_KEY_FILE or as configured");
    verb.add_flag("--accept-loss", options->accept_loss, "take what is left up to the first damage of acknowledged data");
    verb.add_flag("--i-am-alone", options->i_am_alone,
                  "your word that memory, or a machine, that cannot be seen from here is gone for good");
    verb.add_flag("--from-disk", options->from_disk, "set the segment aside and rebuild from the files");
    verb.add_flag("--new-token", options->new_token, "this directory is a copy: make it a registry of its own, from its files");
    verb.add_flag("--restore-lock", options->restore_lock,
                  "LOCK was lost: give it the token of the segment that is in memory, and adopt that");
    return [&common, options] { return recover(common, *options); };
}

}  // namespace

Verb checkpoint_verb() { return {"checkpoint", "write a checkpoint of everything committed now", add_checkpoint}; }
Verb checkpoint_info_verb() {
    return {"checkpoint-info", "check one checkpoint file and say what it holds", add_checkpoint_info, Subject::file};
}
Verb journal_info_verb() {
    return {"journal-info", "check one journal file and say what it holds", add_journal_info, Subject::file};
}
Verb migrate_verb() {
    return {"migrate", "write a checkpoint of an earlier version anew as this build's", add_migrate, Subject::file};
}
Verb recover_verb() { return {"recover", "adopt a surviving segment, or rebuild it from disk", add_recover}; }

}  // namespace riskctl
