#include "persist/migrate.hpp"

#include <array>
#include <string_view>

#include "base/crash_point.hpp"
#include "core/audit.hpp"
#include "core/copy.hpp"
#include "core/genesis.hpp"
#include "persist/config_json.hpp"
#include "persist/journal_reader.hpp"
#include "persist/strict_json.hpp"
#include "riskreg/error.hpp"

namespace riskreg::persist {

namespace {

constexpr std::size_t kMostBytes = std::size_t{2} << 30;   // far above what tables of any capacity make
constexpr std::size_t kMostHead = 1U << 20;

/// A document without its last line, the digest.
struct Document {
    std::vector<std::string> lines;   // 0: head, 1: configuration, then the sections
};

[[noreturn]] void refuse(const std::string& name, const std::string& why) {
    throw Error(Errc::damaged, name + " is not a checkpoint that can be taken over: " + why + ". Nothing was written");
}

/// Of a text that the program wrote itself, so every member stands once, and outside of strings its quotes are not escaped.
void replace_once(const std::string& name, std::string& line, std::string_view what, std::string_view with) {
    const std::size_t at = line.find(what);
    if (at == std::string::npos) refuse(name, "no " + std::string(what) + " in its first line");
    line.replace(at, what.size(), with);
}

/// Takes `,"member":"…"` or `"member":"…",` out; false when it is not there.
bool drop_text_member(std::string& line, std::string_view member) {
    const std::string begin = "\"" + std::string(member) + "\":\"";
    for (std::size_t at = line.find(begin); at != std::string::npos; at = line.find(begin, at + 1)) {
        if (at == 0 || (line[at - 1] != ',' && line[at - 1] != '{')) continue;   // inside a text
        std::size_t end = line.find('"', at + begin.size()) + 1;
        if (end < line.size() && line[end] == ',') ++end;
        else if (line[at - 1] == ',') --at;
        line.erase(at, end - at);
        return true;
    }
    return false;
}

/// Takes `"journal":{…},` out: the block that the checkpoint was made from is in a file that stays behind.
void drop_journal(const std::string& name, std::string& head) {
    const std::size_t at = head.find("\"journal\":{");
    if (at == std::string::npos) return;
    const std::size_t end = head.find("},", at);
    if (end == std::string::npos) refuse(name, "its first line breaks off inside journal");
    head.erase(at, end + 2 - at);
}

/// 2 → 3: events and windows have boot time besides the wall clock. Times of before are of another boot, so no window began by them.
void from_2(const std::string& name, Document& document) {
    std::string& head = document.lines.front();
    replace_once(name, head, "\"version\":2,", "\"version\":3,");
    replace_once(name, head, "\"next_generation\":", "\"last_steady_ns\":0,\"next_generation\":");
    drop_journal(name, head);
    for (std::size_t i = 2; i < document.lines.size(); ++i)
        while (drop_text_member(document.lines[i], "since")) {
        }
}

/// 3 → 4: nothing but the journal, whose events of limits hold the old values now: the block that the checkpoint was made from
/// stays behind with it.
void from_3(const std::string& name, Document& document) {
    std::string& head = document.lines.front();
    replace_once(name, head, "\"version\":3,", "\"version\":4,");
    drop_journal(name, head);
}

struct Step {
    std::uint32_t from;
    void (*take)(const std::string& name, Document& document);
};
constexpr std::array kSteps{Step{2, from_2}, Step{3, from_3}};
static_assert(kSteps.front().from == kOldestVersion && kSteps.back().from + 1 == kCheckpointVersion);

std::uint32_t version_of(const std::string& name, const std::string& head) {
    const JsonResult parsed = parse_json(head.substr(0, head.size() - (head.ends_with(',') ? 1 : 0)) + "}", kMostHead);
    const JsonValue* format = parsed.error.empty() ? parsed.value.find("format") : nullptr;
    const JsonValue* version = parsed.error.empty() ? parsed.value.find("version") : nullptr;
    const bool ours = format != nullptr && format->text == "riskreg-checkpoint" && version != nullptr;
    if (!ours || version->text.empty() || version->text.size() > 9 ||
        version->text.find_first_not_of("0123456789") != std::string::npos)
        throw Error(Errc::bad_input, "FILE: " + name + " is not a checkpoint of riskreg");
    return static_cast<std::uint32_t>(std::stoul(version->text));
}

std::string read_text(const Directory& directory, const std::string& name, File& file) {
    std::uint64_t size = 0;
    std::size_t got = 0;
    IoError error = directory.open_file(name, file);
    if (!error) error = file.size(size);
    if (error) throw Error(Errc::bad_input, "FILE: cannot read " + name + ": " + error.text());
    if (size > kMostBytes) throw Error(Errc::bad_input, "FILE: " + name + " is larger than any checkpoint");
    std::string text(size, '\0');
    error = file.read_at(text.data(), text.size(), 0, got);
    if (error || got != size) throw Error(Errc::system, "cannot read " + name + ": " + error.text());
    return text;
}

Document split(const std::string& name, const std::string& text) {
    Document document;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = text.find('\n', at);
        if (end == std::string::npos) refuse(name, "its last line has no end");
        document.lines.push_back(text.substr(at, end - at));
        at = end + 1;
    }
    const bool closed = document.lines.size() > 3 && document.lines.back().find("sha256\":\"") != std::string::npos;
    if (!closed) refuse(name, "it does not end with a digest");
    document.lines.pop_back();
    return document;
}

/// The key that its own configuration names counts where none is given.
Key key_for(const std::string& name, const std::string& configuration, const std::string& key_file) {
    constexpr std::string_view kBegin = "\"configuration\":";
    if (!configuration.starts_with(kBegin)) refuse(name, "no configuration in its second line");
    std::string json = configuration.substr(kBegin.size());
    if (json.ends_with(',')) json.pop_back();
    std::string named;
    try {
        named = parse_config(json).key_file;
    } catch (const Error& error) {
        refuse(name, error.what());
    }
    return resolve_key(key_file, named);
}

std::string text_of(const Document& document, const Key& key) {
    std::string text;
    for (const std::string& line : document.lines) text.append(line).append("\n");
    StreamDigest digest(key);
    digest.add(text);
    return text.append("\"").append(digest_name(key)).append("\":\"").append(digest.finish()).append("\"}\n");
}

/// As a recovery would read it, and the audit that would follow.
std::string why_not_usable(const File& file, const Key& key, CheckpointHead& head) {
    if (std::string wrong = verify_checkpoint(file, key, head); !wrong.empty()) return wrong;
    core::PrivateState tables = core::allocate_state(core::geometry_of(parse_config(head.config), head.config.size()));
    core::make_genesis(tables.state, parse_config(head.config), head.config);
    tables.state.keeps_derived = false;
    if (std::string wrong = load_checkpoint(file, head, tables.state); !wrong.empty()) return wrong;
    const core::AuditReport report = core::audit(tables.state);
    return report.clean() ? std::string() : "its tables fail the audit: " + report.violations.front();
}

void require(IoError error, const std::string& doing) {
    if (error) throw Error(error.is_no_space() ? Errc::no_space : Errc::system, "cannot " + doing + ": " + error.text());
}

/// Under a temporary name, on disk.
File write_whole(const Directory& directory, const std::string& temporary, const std::string& text) {
    static_cast<void>(directory.remove(temporary));
    File file;
    require(directory.create(temporary, file), "create " + directory.path() + "/" + temporary);
    IoError error = file.write_at(text.data(), text.size(), 0);
    if (!error) error = file.sync();
    if (error) static_cast<void>(directory.remove(temporary));
    require(error, "write " + directory.path() + "/" + temporary);
    return file;
}

std::vector<std::string> older_journals(const Directory& directory) {
    std::vector<std::string> names, older;
    static_cast<void>(directory.list(names));
    for (const std::string& name : names) {
        File file;
        BlockHeader head{};
        std::size_t got = 0;
        const bool read = first_seq_of(name) != 0 && !directory.open_file(name, file) &&
                          !file.read_at(&head, sizeof head, 0, got) && got == sizeof head;
        if (read && head.magic == kBlockMagic && head.version != kJournalVersion) older.push_back(name);
    }
    return older;
}

}  // namespace

Migration migrate_checkpoint(const Directory& from, const std::string& name, const Directory& to, const std::string& target,
                             const std::string& key_file) {
    Migration done;
    File old_file;
    const std::string old_text = read_text(from, name, old_file);
    Document document = split(name, old_text);
    const Key key = key_for(name, document.lines[1], key_file);
    CheckpointHead digest;
    if (const std::string wrong = check_digest(old_file, key, digest); !wrong.empty()) refuse(name, wrong);
    done.from = version_of(name, document.lines.front());
    done.journals = older_journals(from);
    if (done.from == kCheckpointVersion) return done;
    if (done.from < kOldestVersion || done.from > kCheckpointVersion)
        throw Error(Errc::bad_input, "FILE: " + name + " has version " + std::to_string(done.from) + ", allowed: " +
                                         std::to_string(kOldestVersion) + " to " + std::to_string(kCheckpointVersion));
    for (const Step& step : kSteps)
        if (step.from >= done.from) step.take(name, document);
    for (const std::string_view source : {"\"source\":\"replica\"", "\"source\":\"memory\""})
        if (document.lines.front().find(source) != std::string::npos)
            replace_once(name, document.lines.front(), source, "\"source\":\"migrated\"");
    const std::string temporary = kTemporaryPrefix + ("migrated-" + target);
    const File made = write_whole(to, temporary, text_of(document, key));
    CRASH_POINT("migrated written");
    if (const std::string wrong = why_not_usable(made, key, done.head); !wrong.empty()) {
        static_cast<void>(to.remove(temporary));
        refuse(name, wrong);
    }
    if (from.identity() == to.identity() && name == target) {
        done.kept = ".v" + std::to_string(done.from) + "-" + name;
        const std::string copy = kTemporaryPrefix + ("kept-" + name);
        static_cast<void>(write_whole(to, copy, old_text));
        require(to.rename(copy, done.kept), "keep " + name + " as " + done.kept);
        CRASH_POINT("old one kept");
    }
    require(to.rename(temporary, target), "name " + target);
    CRASH_POINT("migrated named");
    require(to.sync(), "sync " + to.path());
    return done;
}

}  // namespace riskreg::persist
