#include "persist/recovery.hpp"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <future>
#include <system_error>

#include "base/stop.hpp"
#include "core/audit.hpp"
#include "core/check_event.hpp"
#include "core/roll.hpp"
#include "persist/config_json.hpp"
#include "riskreg/error.hpp"

namespace riskreg::persist {

using layout::kGenesis;

namespace {

std::string show(std::uint64_t value) { return std::to_string(value); }

/// The configuration as the newest whole file tells it; for finding the key before anything can be verified.
std::string any_config(const Directory& directory, const Sources& sources) {
    for (auto journal = sources.journals.rbegin(); journal != sources.journals.rend(); ++journal)
        if (journal->problem.empty()) return journal->head.config;
    for (const std::string& name : sources.checkpoints) {
        File file;
        CheckpointHead head;
        if (directory.open_file(name, file)) continue;
        // Its digest cannot be checked yet; what comes after is.
        static_cast<void>(verify_checkpoint(file, Key{}, head));
        if (!head.config.empty()) return head.config;
    }
    return {};
}

/// What is given goes before what the files say: nothing of them is verified yet.
Key find_key(const Directory& directory, const Sources& sources, const std::string& key_file) {
    Key given = resolve_key(key_file, {});
    if (given.present()) return given;
    const std::string config = any_config(directory, sources);
    if (config.empty()) return {};
    try {
        return resolve_key({}, parse_config(config).key_file);
    } catch (const Error& error) {
        if (error.code() == Errc::not_supported) return {};
        throw;
    }
}

bool needs_key(const Sources& sources, const Sources::Journal& journal) noexcept {
    return !sources.key.present() && is_signed(journal.head.header);
}

/// Passed over for what is older it is only missed when that does not do.
void refuse_while_unreadable(const RecoveryReport& report) {
    for (const IgnoredFile& file : report.ignored)
        if (file.io)
            throw Error(Errc::system, "cannot read " + file.name + ": " + file.io.text() +
                                          ", and what else is there is not enough. Nothing was changed. Try again; if it can "
                                          "never be read again, move it out of the directory");
}

/// Not a loss that anybody could accept: the files may be whole.
[[noreturn]] void refuse_without_key(const std::string& name) {
    throw Error(Errc::damaged, name + " " + describe(Signature::needs_key, {}) + ". Nothing was changed");
}

}  // namespace

Sources::Sources(const Directory& directory, const std::string& key_file) {
    look(directory);
    key = find_key(directory, *this, key_file);
    judge(directory);
}

Sources Sources::with_key(const Directory& directory, Key key) {
    Sources sources;
    sources.look(directory);
    sources.key = std::move(key);
    sources.judge(directory);
    return sources;
}

void Sources::look(const Directory& directory) {
    std::vector<std::string> names;
    if (const IoError error = directory.list(names))
        throw Error(Errc::permission, "cannot list " + directory.path() + ": " + error.text());
    for (const std::string& name : names) {
        if (checkpoint_seq_of(name) != 0) checkpoints.push_back(name);
        if (first_seq_of(name) == 0) continue;
        base::stop_point(0);
        Journal& journal = journals.emplace_back();
        journal.name = name;
        journal.first_seq = first_seq_of(name);
        File file;
        IoError io = directory.open_file(name, file);
        if (!io) journal.problem = peek_head(file, journal.head, &io);
        if (io && !io.is_of_the_file()) throw Error(Errc::system, "cannot read " + name + ": " + io.text());
        if (io) journal.problem = "cannot be opened: " + io.text();
        if (journal.problem.empty() && journal.head.header.first_seq != journal.first_seq)
            journal.problem = "its name does not fit its content";
    }
    std::sort(checkpoints.begin(), checkpoints.end(), std::greater<>());
    std::sort(journals.begin(), journals.end(), [](const Journal& a, const Journal& b) { return a.first_seq < b.first_seq; });
}

/// Whose files they are, once it is known which key there is: what is not signed with it is not of this registry.
void Sources::judge(const Directory& directory) {
    for (Journal& journal : journals) {
        if (!journal.problem.empty()) continue;
        if (needs_key(*this, journal)) journal.problem = describe(Signature::needs_key, {});
        if (!key.present()) continue;
        File file;
        IoError io = directory.open_file(journal.name, file);
        if (!io) journal.problem = read_head(file, journal.head, key, &io);
        if (io && !io.is_of_the_file()) throw Error(Errc::system, "cannot read " + journal.name + ": " + io.text());
        if (io) journal.problem = "cannot be opened: " + io.text();
    }
    for (const Journal& journal : journals) {
        if (!journal.problem.empty()) continue;
        if (epoch == 0) epoch = journal.head.header.epoch;
        if (journal.head.header.epoch != epoch)
            throw Error(Errc::damaged, journal.name +
                                           " belongs to another registry than the files beside it: move away what "
                                           "does not belong to this one");
    }
}

bool Sources::only_unused(const Directory& directory) const {
    if (!checkpoints.empty()) return false;
    for (const Journal& journal : journals) {
        File file;
        if (!journal.problem.empty() || directory.open_file(journal.name, file)) return false;
        JournalReader reader(file, journal.head, key);
        Block block;
        if (reader.next(block) || reader.io_error()) return false;
        if (!reader.look_behind().only_zeroes || reader.io_error()) return false;
    }
    return true;
}

IoError settle_last_journal(const Directory& directory, const Sources& sources) {
    if (sources.journals.empty()) return {};
    File file;
    if (const IoError error = directory.open_file(sources.journals.back().name, file))
        return error.is_of_the_file() ? IoError{} : error;
    if (const IoError error = file.sync()) return error;
    file.drop_cache();
    return {};
}

namespace {

/// One attempt at restoring: a checkpoint or none, then the journal.
class Restorer {
public:
    Restorer(const Directory& directory, Sources& sources, const RestoreOptions& options, RecoveryReport& report)
        : directory_(directory), sources_(sources), options_(options), report_(report) {}

    void run_journal(core::State& state, const CheckpointHead* checkpoint) {
        state_ = &state;
        checkpoint_ = checkpoint;
        const std::uint64_t have = state.log->applied;
        if (checkpoint != nullptr) report_.mark = checkpoint->journal;
        if (options_.upto && have >= *options_.upto) return;
        std::size_t at = 0;
        if (!find_start(have, at) || !is_younger(at) || !goes_on_behind_the_mark(at)) return;
        for (bool more = true; more && at < sources_.journals.size(); ++at) more = run_file(at);
    }

private:
    /// The last file that begins at or before the next wanted event.
    bool find_start(std::uint64_t have, std::size_t& at) {
        const auto& journals = sources_.journals;
        const auto behind =
            std::find_if(journals.begin(), journals.end(), [&](const Sources::Journal& j) { return j.first_seq > have + 1; });
        if (behind != journals.begin()) return at = static_cast<std::size_t>(behind - journals.begin()) - 1, true;
        if (!journals.empty())
            damaged(journals.front().name + " begins with event " + show(journals.front().first_seq) + ", and events " +
                    show(have + 1) + " to " + show(journals.front().first_seq - 1) + " are in no file that is left");
        else if (checkpoint_ != nullptr && checkpoint_->source == CheckpointSource::migrated) return false;
        else if (state_->has_journal()) damaged("no journal file is left; events behind " + show(have) + " may be missing");
        return false;
    }

    /// Every file has a higher number than the one before. One that has not is left from a history that was given up; the files
    /// behind the first are held against each other by `hand_over`.
    bool is_younger(std::size_t at) {
        if (at == 0 || !sources_.journals[at - 1].problem.empty() || !sources_.journals[at].problem.empty()) return true;
        const BlockHeader& before = sources_.journals[at - 1].head.header;
        const BlockHeader& here = sources_.journals[at].head.header;
        if (here.file_number > before.file_number) return true;
        return damaged(sources_.journals[at].name + " has the number " + show(here.file_number) + ", and " +
                       sources_.journals[at - 1].name + " before it has " + show(before.file_number) +
                       ": it is not the continuation");
    }

    /// The file that goes on behind a checkpoint holds the block that it was made from, or says that it follows that one. A
    /// journal of another history of the same registry, an older copy for one, does neither.
    bool goes_on_behind_the_mark(std::size_t at) {
        const JournalMark mark = checkpoint_ != nullptr ? checkpoint_->journal : JournalMark{};
        const Sources::Journal& journal = sources_.journals[at];
        if (!mark.present() || !journal.problem.empty()) return true;
        const FileHead& head = journal.head;
        // Whether it is this one is seen when it is read.
        if (head.header.file_number == mark.file && head.header.first_seq <= mark.last_seq) return true;
        if (head.info.predecessor == mark.file && head.info.predecessor_last_seq == mark.last_seq &&
            head.header.previous_hash == mark.hash)
            return true;
        return damaged(journal.name + " is not the continuation of " + checkpoint_name(checkpoint_->seq) +
                       ": it neither holds nor follows the block that ends with event " + show(mark.last_seq) + " in file " +
                       show(mark.file) + ", from which that was made");
    }

    /// The block of a checkpoint's mark is the very one.
    bool meets_mark(const Block& block, const Sources::Journal& journal) {
        const JournalMark mark = checkpoint_ != nullptr ? checkpoint_->journal : JournalMark{};
        const BlockHeader& h = block.header;
        if (h.file_number != mark.file || h.last_seq < mark.last_seq || h.first_seq > mark.last_seq) return true;
        if (h.last_seq == mark.last_seq && block.hash == mark.hash) return true;
        return damaged(journal.name + ": its block with events " + show(h.first_seq) + " to " + show(h.last_seq) +
                       " is not the one that " + checkpoint_name(checkpoint_->seq) +
                       " was made from: it is of another history of this registry, such as an older copy");
    }

    /// True when the next file is to be read.
    bool run_file(std::size_t at) {
        const Sources::Journal& journal = sources_.journals[at];
        JournalUse& use = report_.journals.emplace_back();
        use.name = journal.name;
        use.first_seq = journal.first_seq;
        use.last_seq = journal.first_seq - 1;
        report_.bytes += journal.head.size;
        if (needs_key(sources_, journal)) refuse_without_key(journal.name);
        if (!journal.problem.empty()) return damaged(journal.name + ": " + (use.ending = journal.problem));
        use.number = journal.head.header.file_number;
        if (journal.head.info.layout_hash != layout::layout_hash())
            throw Error(Errc::foreign, journal.name + " was written by a build with another layout: recover with that build");
        const Sources::Journal* next = at + 1 < sources_.journals.size() ? &sources_.journals[at + 1] : nullptr;
        if (next != nullptr && !next->problem.empty()) next = nullptr;
        if (at > 0 && !follows(journal)) return false;
        File file;
        if (const IoError error = directory_.open_file(journal.name, file))
            throw Error(Errc::system, "cannot read " + journal.name + ": " + error.text());
        JournalReader reader(file, journal.head, sources_.key);
        const std::uint64_t end = next != nullptr ? next->head.info.predecessor_last_seq : where_it_ends(at);
        if (!run_blocks(reader, journal, end, use)) return false;
        if (options_.upto && reader.expected() > *options_.upto) return false;
        if (next != nullptr) return hand_over(reader, journal, *next, use);
        // A successor whose head cannot be read is judged when it is its turn.
        if (at + 1 < sources_.journals.size()) return true;
        judge_end(reader, journal, use);
        return false;
    }

    /// Of a file whose successor, if there is one, says nothing. Beside a journaller, which may have given up what stands where
    /// the successor begins, no replica is made from that.
    std::uint64_t where_it_ends(std::size_t at) const noexcept {
        return options_.upto && at + 1 < sources_.journals.size() ? sources_.journals[at + 1].first_seq - 1 : ~0ULL;
    }

    /// A gap is only crossed by a checkpoint above it.
    bool follows(const Sources::Journal& journal) {
        const std::uint64_t base = journal.head.info.base_seq;
        if (base <= state_->log->applied) return true;
        return damaged("events " + show(state_->log->applied + 1) + " to " + show(base) + " are in no journal (see " +
                       journal.name + "), and no valid checkpoint of " + show(base) + " or later is left");
    }

    bool run_blocks(JournalReader& reader, const Sources::Journal& journal, std::uint64_t end, JournalUse& use) {
        Block block;
        while (reader.expected() <= end && !(options_.upto && reader.expected() > *options_.upto) && reader.next(block)) {
            if (block.header.last_seq > end && !block.events.empty())
                return damaged(journal.name + ": a block reaches beyond event " + show(end) + ", where its successor begins");
            ++use.blocks;
            use.last_seq = std::max(use.last_seq, block.header.last_seq);
            report_.head.host_epoch = std::max(report_.head.host_epoch, block.header.host_epoch);
            if (!block.events.empty() && !meets_mark(block, journal)) return false;
            base::stop_point(0);
            for (const layout::Event& event : block.events)
                if (!apply_one(event, journal, use)) return false;
            if (!block.events.empty() && block.header.last_seq == state_->log->applied)
                report_.mark = {block.header.file_number, block.header.last_seq, block.hash};
        }
        use.ending = reader.ending();
        if (reader.io_error()) throw Error(Errc::system, "cannot read " + journal.name + ": " + reader.io_error().text());
        return true;
    }

    bool apply_one(const layout::Event& event, const Sources::Journal& journal, JournalUse& use) {
        core::State& state = *state_;
        if (event.header.seq <= state.log->applied) return true;
        if (const char* why = core::why_not_applicable(state, event))
            return damaged(journal.name + ": event " + show(event.header.seq) + " cannot be applied: " + why);
        layout::store_relaxed(state.log->committed, event.header.seq);
        core::apply_to_private(state, event);
        ++use.applied;
        ++report_.events;
        return true;
    }

    bool hand_over(const JournalReader& reader, const Sources::Journal& journal, const Sources::Journal& next,
                   JournalUse& use) {
        const FileHead& head = next.head;
        // Behind a gap nothing has to fit but the checkpoint above it, and `follows` asks for that.
        if (head.info.base_seq > 0) return use.ending = "a gap, then " + next.name, true;
        if (head.info.predecessor != journal.head.header.file_number)
            return damaged("between " + journal.name + " and " + next.name + " a journal file is missing");
        if (reader.expected() != head.info.predecessor_last_seq + 1)
            return damaged(journal.name + ": ends behind event " + show(reader.expected() - 1) + " (" + reader.ending() +
                           "), its successor says that it goes to " + show(head.info.predecessor_last_seq));
        if (reader.events_hash() != head.header.previous_hash)
            return damaged(journal.name + ": its last block is not the one that " + next.name + " follows");
        use.ending = "goes on in " + next.name;
        return true;
    }

    /// The end of the last file: zeroes, a torn tail, or damage of what was acknowledged.
    void judge_end(JournalReader& reader, const Sources::Journal& journal, JournalUse& use) {
        const std::uint64_t expected = reader.expected();
        if (journal.head.size < journal.head.info.file_bytes) {
            use.ending = "cut off";
            damaged(journal.name + ": is " + show(journal.head.size) + " bytes long, and was made with " +
                    show(journal.head.info.file_bytes) + ": it was cut off");
            return;
        }
        const std::uint64_t position = reader.position();
        const Behind behind = reader.look_behind();
        if (reader.io_error()) throw Error(Errc::system, "cannot read " + journal.name + ": " + reader.io_error().text());
        std::uint64_t witness = std::max(reader.durable_upto(), behind.durable_upto);
        std::string who = "a later block says";
        // Made from the synced journal, it proves that the journal went that far: what it holds itself is in the tables, but
        // nobody knows what followed.
        if (checkpoint_ != nullptr && checkpoint_->source == CheckpointSource::replica && checkpoint_->seq > witness) {
            witness = checkpoint_->seq;
            who = "the checkpoint says";
        }
        // A checkpoint gets its name when it is on disk: one that is not whole any more still says how far the registry was.
        for (const IgnoredFile& file : report_.ignored) {
            if (file.is_foreign || checkpoint_seq_of(file.name) <= witness) continue;
            witness = checkpoint_seq_of(file.name);
            who = file.name + ", which cannot be used (" + file.why + "), says by its name";
        }
        if (witness >= expected) {
            damaged(journal.name + ": " + use.ending + " at byte " + show(position) + ", where event " + show(expected) +
                    " should be; " + who + " that events up to " + show(witness) + " were on disk");
            return;
        }
        if (behind.only_zeroes) return;
        report_.torn = journal.name + ": " + use.ending + " at byte " + show(position) + "; dropped, no event from " +
                       show(expected) + " on was ever answered as durable";
        use.ending = "torn tail (" + use.ending + ")";
    }

    /// Stops, unless the loss was accepted. Always false. What a file that cannot be read now may hold is not lost.
    bool damaged(const std::string& what) {
        refuse_while_unreadable(report_);
        if (!options_.accept_loss)
            throw Error(Errc::damaged,
                        "acknowledged data is damaged: " + what +
                            ". Nothing was changed. Restore the file from a copy, or take what is left up to event " +
                            show(state_->log->applied) + " with `riskctl recover NAME --accept-loss`");
        report_.damage = what;
        return false;
    }

    const Directory& directory_;
    Sources& sources_;
    const RestoreOptions& options_;
    RecoveryReport& report_;
    core::State* state_ = nullptr;
    const CheckpointHead* checkpoint_ = nullptr;
};

bool is_of_another_registry(const Sources& sources, const CheckpointHead& head) {
    return sources.epoch != 0 && head.epoch != 0 && head.epoch != sources.epoch;
}

/// What can be said of a checkpoint before its tables are read; its digest is still to be checked.
std::string open_checkpoint(const Directory& directory, const Sources& sources, const std::string& name, File& file,
                            CheckpointHead& head, IoError& io) {
    if (const IoError error = directory.open_file(name, file)) {
        if (!error.is_of_the_file()) throw Error(Errc::system, "cannot read " + name + ": " + error.text());
        return "cannot be opened: " + error.text();
    }
    if (std::string wrong = peek_checkpoint(file, head, &io); !wrong.empty()) return wrong;
    if (head.seq != checkpoint_seq_of(name)) return "its name does not fit its content";
    if (is_of_another_registry(sources, head)) return "belongs to another registry";
    return {};
}

/// In a thread of its own, or, on a host that gives none, when it is asked for.
std::future<std::string> in_background(const std::function<std::string()>& call) {
    try {
        return std::async(std::launch::async, call);
    } catch (const std::system_error&) {
        return std::async(std::launch::deferred, call);
    }
}

/// A configuration that no tables can be made of is the file's fault; a host without room is not.
std::string why_not_usable(const std::exception_ptr& failed) {
    try {
        std::rethrow_exception(failed);
    } catch (const Error& error) {
        if (error.code() == Errc::bad_input || error.code() == Errc::not_supported) return error.what();
        throw;
    }
}

/// Loads while another thread checks the digest: each reads the whole file. Null with `wrong` set when it is not to be
/// used.
core::State* load_checked(const Sources& sources, const File& file, CheckpointHead& head, const FreshTables& fresh,
                          std::string& wrong, IoError& io) {
    CheckpointHead signed_head;
    IoError loading;
    // With a key nothing is believed before it is verified; without one the digest tells damage, not a forger, and the two
    // readings may run side by side.
    const auto check = [&, wish = base::StopScope::of_this_thread()] {
        const base::StopScope scope(wish);
        return check_digest(file, sources.key, signed_head, &io);
    };
    std::future<std::string> digest = sources.key.present() ? std::async(std::launch::deferred, check) : in_background(check);
    if (sources.key.present()) {
        wrong = digest.get();
        if (!wrong.empty()) return nullptr;
        digest = std::async(std::launch::deferred, [] { return std::string(); });
    }
    core::State* state = nullptr;
    std::string unreadable;
    std::exception_ptr failed;
    try {
        state = &fresh(head.config);
        state->keeps_derived = false;
        unreadable = load_checkpoint(file, head, *state, &loading);
    } catch (...) {
        // What a damaged head asks for may be impossible; only a whole one's failure counts.
        failed = std::current_exception();
    }
    wrong = digest.get();
    if (wrong.empty()) io = loading;
    head.digest_name = signed_head.digest_name;
    head.digest = signed_head.digest;
    if (wrong.empty() && failed) wrong = why_not_usable(failed);
    if (wrong.empty()) wrong = unreadable;
    return wrong.empty() ? state : nullptr;
}

}  // namespace

RecoveryReport restore(const Directory& directory, Sources& sources, const FreshTables& fresh, const RestoreOptions& options) {
    RecoveryReport report;
    Restorer restorer(directory, sources, options, report);
    for (const std::string& name : sources.checkpoints) {
        if (options.upto && checkpoint_seq_of(name) > *options.upto) continue;
        const auto refused = std::find_if(options.refused.begin(), options.refused.end(),
                                          [&](const IgnoredFile& file) { return file.name == name; });
        if (refused != options.refused.end()) {
            report.ignored.push_back(*refused);
            continue;
        }
        File file;
        CheckpointHead head;
        IoError io;
        std::string wrong = open_checkpoint(directory, sources, name, file, head, io);
        core::State* state = wrong.empty() ? load_checked(sources, file, head, fresh, wrong, io) : nullptr;
        if (state == nullptr) {
            report.ignored.push_back({name, wrong, is_of_another_registry(sources, head), io});
            continue;
        }
        report.checkpoint = name;
        report.head = head;
        report.bytes += head.bytes;
        if (sources.epoch == 0) sources.epoch = head.epoch;
        restorer.run_journal(*state, &report.head);
        report.end_seq = state->log->applied;
        return report;
    }
    if (sources.journals.empty()) refuse_while_unreadable(report);
    if (sources.journals.empty())
        throw Error(report.ignored.empty() ? Errc::missing : Errc::damaged,
                    report.ignored.empty() ? "no journal and no checkpoint in " + directory.path()
                                           : "no valid checkpoint and no journal in " + directory.path() + ": " +
                                                 report.ignored.front().name + ": " + report.ignored.front().why);
    const auto whole = std::find_if(sources.journals.begin(), sources.journals.end(),
                                    [](const Sources::Journal& j) { return j.problem.empty(); });
    for (const Sources::Journal& journal : sources.journals)
        if (whole == sources.journals.end() && needs_key(sources, journal)) refuse_without_key(journal.name);
    if (whole == sources.journals.end()) refuse_while_unreadable(report);
    if (whole == sources.journals.end())
        throw Error(Errc::damaged, "acknowledged data is damaged: " + sources.journals.front().name + ": " +
                                       sources.journals.front().problem + ", and no checkpoint is left");
    core::State& state = fresh(whole->head.config);
    state.keeps_derived = false;
    restorer.run_journal(state, nullptr);
    report.end_seq = state.log->applied;
    return report;
}

namespace {

/// The journal file that begins last at or before `seq`; 0: none.
std::uint64_t file_with(const Directory& directory, std::uint64_t seq) {
    std::vector<std::string> names;
    if (directory.list(names)) return 0;
    std::uint64_t first = 0;
    for (const std::string& name : names)
        if (const std::uint64_t begin = first_seq_of(name); begin <= seq) first = std::max(first, begin);
    return first;
}

/// Whether a file other than this one begins with event `wanted`. It goes before what this one still holds: its writer gave that
/// up. Not to be seen now is an error, and not the same as not there.
std::string find_successor(const Directory& directory, const File& file, std::uint64_t wanted, bool& there) {
    there = false;
    const std::string name = journal_name(wanted);
    File next;
    FileIdentity here, behind;
    IoError error = directory.open_file(name, next);
    if (error.is_missing()) return {};
    if (!error) error = file.identity(here);
    if (!error) error = next.identity(behind);
    there = !error && behind != here;
    return error ? name + ": " + error.text() : std::string();
}

/// False when `visit` wanted no more, or it cannot be told whether to read on here.
bool visit_file(const Directory& directory, const File& file, const FileHead& head, const Key& key, std::uint64_t& next,
                std::uint64_t upto, const std::function<bool(const layout::Event&)>& visit) {
    JournalReader reader(file, head, key);
    for (Block block; next <= upto && reader.next(block);) {
        bool successor = false;
        if (!find_successor(directory, file, next, successor).empty()) return false;
        if (successor) return true;
        for (const layout::Event& event : block.events) {
            if (event.header.seq != next) continue;
            if (next++ > upto || !visit(event)) return false;
        }
    }
    return true;
}

}  // namespace

std::uint64_t read_events(const Directory& directory, std::uint64_t from, std::uint64_t upto,
                          const std::function<bool(const layout::Event&)>& visit, const Key& key) {
    std::uint64_t next = std::max(from, kGenesis + 1);
    for (std::uint64_t before = 0; next <= upto && next != before;) {
        before = next;
        File file;
        FileHead head;
        const std::uint64_t first = file_with(directory, next);
        const bool there = first != 0 && !directory.open_file(journal_name(first), file) && read_head(file, head, key).empty();
        if (!there || !visit_file(directory, file, head, key, next, upto, visit)) break;
    }
    return next;
}

Tail find_tail(const Directory& directory, std::uint64_t upto, const Key& key) {
    Tail tail;
    std::vector<std::string> names;
    if ((tail.io = directory.list(names))) return tail.problem = tail.io.text(), tail;
    std::uint64_t newest = 0;
    for (const std::string& name : names) {
        newest = std::max(newest, first_seq_of(name));
        if (first_seq_of(name) == 0) continue;
        File other;
        FileHead head;
        IoError io = directory.open_file(name, other);
        if (!io && read_head(other, head, key, &io).empty())
            tail.newest_number = std::max(tail.newest_number, head.header.file_number);
        if (!key.present() && is_signed(head.header)) tail.needs_key = name;
        // A number that is not known would be given again.
        if (io && !io.is_of_the_file()) return tail.io = io, tail.problem = io.text(), tail;
    }
    if (newest == 0) return tail.problem = "no journal file", tail;
    tail.name = journal_name(newest);
    File file;
    if (const IoError error = directory.open_file(tail.name, file)) {
        if (!error.is_of_the_file()) tail.io = error;
        return tail.problem = error.text(), tail;
    }
    tail.problem = read_head(file, tail.head, key, &tail.io);
    if (!tail.problem.empty()) return tail;
    tail.found = true;
    tail.hash = tail.end_hash = tail.head.hash;
    tail.position = tail.head.header.length;
    tail.last_seq = tail.seen_seq = tail.head.header.first_seq - 1;
    tail.host_epoch = tail.head.header.host_epoch;
    JournalReader reader(file, tail.head, key);
    for (Block block; reader.next(block);) {
        tail.seen_seq = block.header.last_seq;
        tail.host_epoch = std::max(tail.host_epoch, block.header.host_epoch);
        tail.end_hash = block.hash;
        tail.position = reader.position();
        if (block.events.empty() || block.header.last_seq > upto) continue;
        tail.last_seq = block.header.last_seq;
        tail.hash = block.hash;
    }
    tail.io = reader.io_error();
    if (tail.io) tail.problem = tail.io.text();
    return tail;
}

std::string JournalFollower::open_file(std::uint64_t first_wanted) {
    const std::uint64_t first = file_with(directory_, first_wanted);
    if (first == 0) return "no journal file holds event " + show(first_wanted);
    auto open = std::make_unique<Open>();
    if (const IoError error = directory_.open_file(journal_name(first), open->file)) return error.text();
    if (std::string wrong = read_head(open->file, open->head, key_); !wrong.empty()) return journal_name(first) + ": " + wrong;
    open->reader.emplace(open->file, open->head, key_);
    open_ = std::move(open);
    return {};
}

std::string JournalFollower::apply_block(const Block& block, std::uint64_t durable) {
    if (block.header.last_seq > durable) return "a block reaches beyond what is durable";
    for (const layout::Event& event : block.events) {
        if (event.header.seq <= state_.log->applied) continue;
        if (const char* why = core::why_not_applicable(state_, event))
            return "event " + show(event.header.seq) + " cannot be applied: " + why;
        layout::store_relaxed(state_.log->committed, event.header.seq);
        core::apply_to_private(state_, event);
    }
    if (!block.events.empty() && block.header.last_seq == state_.log->applied)
        mark_ = {block.header.file_number, block.header.last_seq, block.hash};
    return {};
}

JournalMark JournalFollower::mark() const noexcept { return mark_.last_seq == state_.log->applied ? mark_ : JournalMark{}; }

std::string JournalFollower::find_successor(bool& there) const {
    return persist::find_successor(directory_, open_->file, state_.log->applied + 1, there);
}

std::string JournalFollower::advance(std::uint64_t durable, std::uint64_t file_number, const std::function<bool()>& stop) {
    if (open_) open_->reader->look_again();
    while (state_.log->applied < durable && !(stop && stop())) {
        bool successor = false;
        if (open_ && open_->head.header.file_number != file_number)
            if (std::string wrong = find_successor(successor); !wrong.empty()) return wrong;
        if (!open_ || successor)
            if (std::string wrong = open_file(state_.log->applied + 1); !wrong.empty()) return wrong;
        Block block;
        if (open_->reader->next(block)) {
            if (std::string wrong = apply_block(block, durable); !wrong.empty()) return wrong;
            continue;
        }
        if (std::string wrong = find_successor(successor); !wrong.empty()) return wrong;
        if (!successor)
            return journal_name(open_->head.header.first_seq) + " at byte " + show(open_->reader->position()) + ": " +
                   open_->reader->ending();
        open_.reset();
    }
    return {};
}

}  // namespace riskreg::persist
