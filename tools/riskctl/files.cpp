// checkpoint, checkpoint-info, journal-info, recover: what lies on disk.
#include <cstdio>
#include <filesystem>
#include <memory>

#include "common/program.hpp"
#include "core/audit.hpp"
#include "core/copy.hpp"
#include "core/genesis.hpp"
#include "persist/checkpoint.hpp"
#include "persist/journal_reader.hpp"
#include "persist/migrate.hpp"
#include "persist/names.hpp"
#include "persist/recovery.hpp"
#include "riskctl/output.hpp"
#include "riskctl/verbs.hpp"
#include "segment/process.hpp"

namespace riskctl {

using namespace riskreg;

namespace {

std::string text_of(std::uint64_t value) { return std::to_string(value); }

std::string hex(std::uint64_t value) {
    char text[20];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
    return text;
}

/// Opens one file by a path that a person gave, as the directory and name that the readers want.
persist::File open_file(const std::string& path) {
    const std::filesystem::path given(path);
    const std::string parent = given.has_parent_path() ? given.parent_path().string() : ".";
    persist::Directory directory;
    persist::File file;
    persist::IoError error = persist::Directory::open(parent, directory);
    if (!error) error = directory.open_file(given.filename().string(), file);
    if (error) throw Error(Errc::bad_input, "FILE: cannot open " + path + ": " + error.text());
    return file;
}

/// Prints a damaged file's one line.
int print_damaged(const std::string& path, const std::string& why, bool json) {
    if (json) {
        JsonWriter out;
        out.begin_object().member("file", path).member_bool("valid", false).member("problem", why);
        print_line(out.end_object().text());
    }
    std::fprintf(stderr, "riskctl: %s: not valid: %s\n", path.c_str(), why.c_str());
    return kDamaged;
}

}  // namespace

int checkpoint(const Common& common, std::uint32_t timeout_ms) {
    ProcessConfig config;
    config.state_dir = common.state_dir;
    config.host_snapshotter = true;   // when nobody else does
    Registry registry = Registry::open(common.name, config);
    const program::Leaving leaving("riskctl", registry, common.name);
    const bool written = registry.checkpoint(1'000'000LL * timeout_ms);
    const StatusView view = registry.status();
    if (common.json) {
        JsonWriter out;
        out.begin_object().member("name", common.name).member("result", written ? "written" : "failed");
        out.member("checkpointed", view.checkpointed).member("file", persist::checkpoint_name(view.checkpointed));
        if (!written) out.member("problem", view.checkpoint_error);
        print_line(out.end_object().text());
    }
    if (!written) {
        std::fprintf(stderr, "riskctl: no checkpoint was written: %s (riskctl status %s shows the snapshotter's health)\n",
                     view.checkpoint_error.empty() ? "no answer in time" : view.checkpoint_error.c_str(), common.name.c_str());
        return kNo;
    }
    if (!common.json) std::printf("wrote %s\n", persist::checkpoint_name(view.checkpointed).c_str());
    return kDone;
}

namespace {

/// Loads the whole document into private tables and audits them. Empty when everything fits.
std::string load_and_audit(const persist::File& file, const persist::CheckpointHead& head) {
    const SharedConfig config = parse_config(head.config);
    core::PrivateState tables = core::allocate_state(core::geometry_of(config, head.config.size()));
    core::make_genesis(tables.state, config, head.config);
    // What is derived is not on disk.
    tables.state.keeps_derived = false;
    if (std::string wrong = persist::load_checkpoint(file, head, tables.state); !wrong.empty()) return wrong;
    const core::AuditReport report = core::audit(tables.state);
    return report.clean() ? std::string() : report.violations.front();
}

}  // namespace

namespace {

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

void print_migrated_json(const std::string& output, const persist::Migration& done) {
    JsonWriter out;
    out.begin_object().member("file", output).member("from", std::uint64_t{done.from});
    out.member("version", std::uint64_t{persist::kCheckpointVersion});
    if (done.from != persist::kCheckpointVersion) out.member("registry", done.head.registry).member("sequence", done.head.seq);
    if (!done.kept.empty()) out.member("kept", done.kept);
    out.key("journals_refused").begin_array();
    for (const std::string& journal : done.journals) out.string(journal);
    print_line(out.end_array().end_object().text());
}

}  // namespace

int migrate(const std::string& path, const std::string& output, const std::string& key_file, bool json) {
    const Place from = place_of(path, "FILE");
    const std::string target = output.empty() ? path : output;
    const Place to = place_of(target, "--output");
    const persist::Migration done = persist::migrate_checkpoint(from.directory, from.name, to.directory, to.name, key_file);
    json ? print_migrated_json(target, done) : print_migrated(path, target, done);
    return kDone;
}

int checkpoint_info(const std::string& path, const std::string& key_file, bool json) {
    const persist::File file = open_file(path);
    persist::CheckpointHead head;
    std::string why = persist::verify_checkpoint(file, persist::resolve_key(key_file, {}), head);
    if (why.empty()) {
        try {
            why = load_and_audit(file, head);
        } catch (const Error& error) {
            why = error.what();
        }
    }
    if (!why.empty()) return print_damaged(path, why, json);
    const std::string source(base::text_of(head.source));
    if (json) {
        JsonWriter out;
        out.begin_object().member("file", path).member_bool("valid", true).member("registry", head.registry);
        out.member("sequence", head.seq).member("time", persist::format_time(head.time_ns)).member("source", source);
        out.member_bool("clean", head.clean).member("epoch", hex(head.epoch)).member("host_epoch", head.host_epoch);
        out.member("orders", head.orders).member("executions", head.executions).member("quarantined", head.quarantined);
        out.member("rows", head.rows).member("sessions", head.sessions).member("bytes", head.bytes);
        if (head.journal.present()) {
            out.key("journal").begin_object().member("file", head.journal.file).member("last_seq", head.journal.last_seq);
            out.member("hash", hex(head.journal.hash)).end_object();
        }
        out.member(head.digest_name, head.digest);
        print_line(out.end_object().text());
        return kDone;
    }
    Table table({"checkpoint", path});
    table.add({"registry", head.registry});
    table.add({"sequence", text_of(head.seq)});
    table.add(
        {"written", persist::format_time(head.time_ns) + ", from the " + source + (head.clean ? ", clean shutdown" : "")});
    table.add({"orders", text_of(head.orders)});
    table.add({"executions", text_of(head.executions)});
    table.add({"quarantined", text_of(head.quarantined)});
    table.add({"bytes", text_of(head.bytes)});
    if (head.journal.present())
        table.add({"journal", "made from file number " + text_of(head.journal.file) + " up to event " +
                                  text_of(head.journal.last_seq) + ", block " + hex(head.journal.hash)});
    table.add({head.digest_name, head.digest + ", matches"});
    table.print();
    return kDone;
}

int journal_info(const std::string& path, const std::string& key_file, bool json) {
    const persist::File file = open_file(path);
    const persist::Key key = persist::resolve_key(key_file, {});
    persist::FileHead head;
    if (const std::string why = persist::read_head(file, head, key); !why.empty()) return print_damaged(path, why, json);
    persist::JournalReader reader(file, head, key);
    std::uint64_t blocks = 0, seals = 0, events = 0;
    for (persist::Block block; reader.next(block); ++blocks) {
        seals += block.events.empty() ? 1U : 0U;
        events += block.events.size();
    }
    if (reader.io_error()) return print_damaged(path, reader.io_error().text(), json);
    const std::string ending = reader.ending();
    const std::uint64_t position = reader.position();
    const persist::Behind behind = reader.look_behind();
    const std::uint64_t witness = std::max(reader.durable_upto(), behind.durable_upto);
    std::string why;
    if (head.size < head.info.file_bytes) why = "cut off: " + text_of(head.size) + " bytes of " + text_of(head.info.file_bytes);
    else if (witness >= reader.expected())
        why = ending + " at byte " + text_of(position) + ", and a later block says that events up to " + text_of(witness) +
              " were on disk";
    const char* tail = !why.empty() ? "damaged" : behind.only_zeroes ? "clean" : "torn";
    if (json) {
        JsonWriter out;
        out.begin_object().member("file", path).member_bool("valid", why.empty()).member("registry", head.registry);
        out.member("epoch", hex(head.header.epoch)).member("number", head.header.file_number);
        out.member("predecessor", head.info.predecessor).member("predecessor_last", head.info.predecessor_last_seq);
        out.member("base", head.info.base_seq).member("first", head.header.first_seq).member("last", reader.expected() - 1);
        out.member("durable_upto", witness).member("events", events).member("blocks", blocks).member("seals", seals);
        out.member("bytes", head.size).member("used_bytes", position).member("tail", tail);
        out.member_bool("signed", key.present());
        if (!why.empty()) out.member("problem", why);
        print_line(out.end_object().text());
    } else {
        Table table({"journal", path});
        table.add({"registry", head.registry + ", epoch " + hex(head.header.epoch)});
        table.add({"file", "number " + text_of(head.header.file_number) + ", follows number " + text_of(head.info.predecessor) +
                               " at event " + text_of(head.info.predecessor_last_seq)});
        table.add(
            {"events", text_of(events) + ": " + text_of(head.header.first_seq) + " to " + text_of(reader.expected() - 1)});
        table.add({"known durable", "up to " + text_of(witness)});
        table.add({"blocks", text_of(blocks) + ", " + text_of(seals) + " of them seals"});
        table.add({"bytes", text_of(position) + " used of " + text_of(head.size)});
        table.add({"tail", tail});
        table.add({"signed", key.present() ? "every block up to there, with the key of " + key.file : "no"});
        table.print();
    }
    if (why.empty()) return kDone;
    std::fprintf(stderr, "riskctl: %s: damaged: %s\n", path.c_str(), why.c_str());
    return kDamaged;
}

namespace {

constexpr const char* kOutcomes[] = {"running", "adopted", "rebuilt"};

void print_recovered_json(const std::string& name, const RecoverView& v, const StatusView& status) {
    JsonWriter out;
    out.begin_object().member("name", name).member("result", kOutcomes[static_cast<std::size_t>(v.outcome)]);
    out.member("state", status.state).member("seq", v.seq).member("checkpoint", v.checkpoint);
    out.member("checkpoint_seq", v.checkpoint_seq).member_bool("checkpoint_clean", v.checkpoint_clean);
    out.member("events", v.events).member("end", v.end_seq).member("bytes", v.bytes).key("ignored").begin_array();
    for (const RecoverView::Ignored& file : v.ignored)
        out.begin_object().member("file", file.name).member("why", file.why).end_object();
    out.end_array().key("journals").begin_array();
    for (const RecoverView::Journal& j : v.journals) {
        out.begin_object().member("file", j.name).member("first", j.first_seq).member("last", j.last_seq);
        out.member("applied", j.applied).member("ending", j.ending).end_object();
    }
    out.end_array().member("torn", v.torn).member("damage", v.damage).member("poisoned_segment", v.poisoned_segment);
    print_line(out.end_object().text());
}

void print_recovered(const std::string& name, const RecoverView& v, const StatusView& status) {
    if (!v.poisoned_segment.empty())
        std::printf("the surviving segment is damaged; its bytes are kept in /dev/shm/%s\n", v.poisoned_segment.c_str());
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

}  // namespace

int recover(const Common& common, const RecoverArguments& arguments) {
    RecoverOptions options;
    options.key_file = arguments.key_file;
    options.accept_loss = arguments.accept_loss;
    options.i_am_alone = arguments.i_am_alone;
    options.from_disk = arguments.from_disk;
    options.new_token = arguments.new_token;
    options.restore_lock = arguments.restore_lock;
    const RecoverView view = Registry::recover(common.name, common.state_dir, options);
    const StatusView status = Reader::open(common.name, common.state_dir).status();
    common.json ? print_recovered_json(common.name, view, status) : print_recovered(common.name, view, status);
    return kDone;
}

}  // namespace riskctl
