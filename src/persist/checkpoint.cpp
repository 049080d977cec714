#include "persist/checkpoint.hpp"

#include <charconv>
#include <cstdio>
#include <cstring>
#include <system_error>

#include "base/crash_point.hpp"
#include "base/stop.hpp"
#include "core/index.hpp"
#include "core/order_view.hpp"
#include "core/scopes.hpp"
#include "persist/checkpoint_fields.hpp"
#include "persist/names.hpp"
#include "persist/strict_json.hpp"
#include "riskreg/error.hpp"

namespace riskreg::persist {

using namespace layout;
using core::State;

namespace {

constexpr std::string_view kFormat = "riskreg-checkpoint";
constexpr std::string_view kPrefix = "checkpoint-";
constexpr std::string_view kSuffix = ".json";
constexpr std::size_t kChunk = 1U << 20;
constexpr std::size_t kSyncBytes = 16U << 20;
constexpr std::size_t kMaxLine = 8192;                 // of a record; the two head lines are longer
constexpr std::size_t kMaxHeadLine = (64U << 20) + 64;
constexpr std::string_view kConfiguration = "\"configuration\":";

// ---- writing ------------------------------------------------------------------------------------

/// Text in, chunks on disk out, with the digest on the way.
class Output {
public:
    Output(const File& file, const CheckpointOptions& options) : file_(file), options_(options), digest_(options.key) {}

    std::string& text() noexcept { return text_; }
    /// After each record.
    void flush_if_full() {
        if (text_.size() >= kChunk) flush();
    }
    void flush() {
        if (error_) return text_.clear();
        digest_.add(text_);
        write();
        if (!error_ && options_.stop && options_.stop()) error_ = {static_cast<int>(std::errc::operation_canceled)};
    }
    /// The last member, over everything before it.
    IoError finish() {
        flush();
        text_ = "\"" + std::string(digest_name(options_.key)) + "\":\"" + digest_.finish() + "\"}\n";
        if (!error_) write();
        return error_;
    }

private:
    void write() {
        error_ = file_.write_at(text_.data(), text_.size(), at_);
        at_ += text_.size();
        unsynced_ += text_.size();
        text_.clear();
        // In portions: a sync of everything at once would hold up the journal's own on the same disk.
        if (!error_ && unsynced_ >= kSyncBytes) error_ = file_.sync(), unsynced_ = 0;
    }
    const File& file_;
    const CheckpointOptions& options_;
    StreamDigest digest_;
    std::string text_;
    std::uint64_t at_ = 0;
    std::uint64_t unsynced_ = 0;
    IoError error_;
};

bool is_written(const State& state, std::uint32_t row) noexcept {
    bool written = false;
    const auto look = [&written](const auto& record) { written = written || record.newest().seq > kGenesis; };
    core::each_of_row(row, look, state);
    return written;
}

template <class Wanted>
std::uint64_t count_of(std::uint32_t size, Wanted wanted) {
    std::uint64_t count = 0;
    for (std::uint32_t i = 0; i < size; ++i) count += wanted(i) ? 1U : 0U;
    return count;
}

bool is_used(const State& state, std::uint32_t session) noexcept {
    return state.sessions[session].record.newest().seq > kGenesis;
}

void write_head(std::string& out, const State& state, const CheckpointOptions& options) {
    JsonWriter json;
    json.begin_object().member("format", kFormat).member("version", std::uint64_t{kCheckpointVersion});
    json.member("registry", options.registry).member("epoch", hex_text(options.epoch)).member("sequence", state.log->applied);
    std::string time;
    append_time(time, options.time_ns);
    json.member("time", time).member("source", base::text_of(options.source));
    json.member_bool("clean", options.clean).member("host_epoch", options.host_epoch);
    json.member("day", state.header->day).member("rolled_seq", state.header->rolled_seq);
    if (state.header->rolled_seq != 0 && state.header->day_begun_ns != 0) {
        std::string begun;
        append_time(begun, state.header->day_begun_ns);
        json.member("rolled_time", begun).member("rolled_uid", std::uint64_t{state.header->rolled_uid});
    }
    if (options.journal.present()) {
        json.key("journal").begin_object().member("file", options.journal.file);
        json.member("last_seq", options.journal.last_seq).member("hash", hex_text(options.journal.hash)).end_object();
    }
    json.key("counts").begin_object().member(
        "rows", count_of(state.geometry.rows(), [&](std::uint32_t i) { return is_written(state, i); }));
    json.member("orders", state.log->next_order).member("executions", state.log->next_execution);
    json.member("quarantined", state.log->next_quarantine)
        .member("sessions", count_of(state.geometry.sessions, [&](std::uint32_t i) { return is_used(state, i); }));
    std::string last;
    append_time(last, static_cast<std::int64_t>(state.log->last_time_ns));
    json.end_object().key("log").begin_object().member("last_time", last);
    json.member("last_steady_ns", state.log->last_steady_ns);
    json.member("next_generation", state.log->next_generation).member("quarantined_events", state.status->quarantined_events);
    json.member("next_budget_ring", state.status->next_budget_ring);
    json.end_object();
    out += json.text();
    out += ",\n";
    out += kConfiguration;
    out.append(state.config, state.geometry.config_bytes);
    out += ",\n";
}

/// One array of the document: a line for each index that `wanted` names, in order.
template <class Wanted, class Write>
void write_section(Output& out, std::string_view name, std::uint64_t size, Wanted wanted, Write write) {
    out.text().append("\"").append(name).append("\":[\n");
    bool first = true;
    for (std::uint64_t i = 0; i < size; ++i) {
        const auto index = static_cast<std::uint32_t>(i);
        if (!wanted(index)) continue;
        if (!first) out.text() += ",\n";
        first = false;
        write(index);
        out.flush_if_full();
    }
    out.text().append(first ? "],\n" : "\n],\n");
}

constexpr auto kAll = [](std::uint32_t) { return true; };

/// What the records of a row are called.
constexpr std::string_view group_of(const RowCounters&) { return "counters"; }
constexpr std::string_view group_of(const RowControl&) { return "control"; }
constexpr std::string_view group_of(const RowDay&) { return "day"; }
constexpr std::string_view group_of(const RowLatch&) { return "latch"; }
constexpr std::string_view group_of(const RowValue&) { return "value"; }
constexpr std::string_view group_of(const RowRiskLimits&) { return "risk_limits"; }
constexpr std::string_view group_of(const RowMeters&) { return "meters"; }
constexpr std::string_view group_of(const RowAlerts&) { return "alerts"; }

void write_row(RecordWriter& io, const State& state, std::uint32_t row) {
    io.begin_record();
    place(io, "row", row);
    io.text("scope", core::format_scope(state, state.geometry.scope_of(row)));
    const auto write = [&io]<class T>(const Versioned<T>& versioned) {
        T record = versioned.newest();
        if (io.group(group_of(record), record.seq > kGenesis)) record_fields(io, record), io.end_group();
    };
    core::each_of_row(row, write, state);
    io.end_record();
}

/// Tables of which a checkpoint holds the records that some event wrote, in the order of the sections: name, what their numbers
/// are called, how many there are, the table and the record in its slots.
template <class Section>
void each_sparse(const Geometry& g, const Section& section) {
    section("sessions", "slot", g.sessions, &State::sessions, &SessionSlot::record);
    section("strategies", "number", g.strategies, &State::strategies, &StrategySlot::state);
    section("references", "number", g.instruments, &State::references, &ReferenceCell::owner);
    section("breakers", "number", g.breakers, &State::breakers, &BreakerSlot::counts);
    section("restrictions", "slot", g.restrictions, &State::restrictions, &RestrictionSlot::state);
    section("approvals", "slot", kApprovals, &State::approvals, &ApprovalSlot::state);
}

void write_sparse_tables(Output& out, const EntityNames& names, const State& state) {
    each_sparse(state.geometry, [&](const char* name, const char* number, std::uint32_t size, auto table, auto member) {
        const auto at = [&](std::uint32_t i) -> auto& { return (state.*table)[i].*member; };
        const auto is_wanted = [&](std::uint32_t i) { return at(i).newest().seq > kGenesis; };
        write_section(out, name, size, is_wanted, [&](std::uint32_t i) {
            auto record = at(i).newest();
            RecordWriter writer(out.text(), names);
            writer.begin_record();
            place(writer, number, i);
            record_fields(writer, record);
        });
    });
}

void write_tables(Output& out, const State& state) {
    const EntityNames names(state);
    const auto io = [&] { return RecordWriter(out.text(), names); };
    write_section(
        out, "rows", state.geometry.rows(), [&](std::uint32_t i) { return is_written(state, i); },
        [&](std::uint32_t i) {
            RecordWriter writer = io();
            write_row(writer, state, i);
        });
    write_section(out, "orders", state.log->next_order, kAll, [&](std::uint32_t i) {
        OrderIdentity identity = state.orders[i].identity;
        OrderState order = state.orders[i].state.newest();
        VenueId venue = state.orders[i].venue;
        RecordWriter writer = io();
        order_fields(writer, i, identity, order, venue);
    });
    write_section(out, "executions", state.log->next_execution, kAll, [&](std::uint32_t i) {
        ExecutionIdentity identity = state.executions[i].identity;
        ExecutionState execution = state.executions[i].state.newest();
        RecordWriter writer = io();
        execution_fields(writer, i, identity, execution);
    });
    write_section(out, "quarantine", state.log->next_quarantine, kAll, [&](std::uint32_t i) {
        QuarantineSlot slot = state.quarantine[i];
        RecordWriter writer = io();
        quarantine_fields(writer, i, slot);
    });
    write_sparse_tables(out, names, state);
}

IoError write_document(const File& file, const State& state, const CheckpointOptions& options) {
    Output out(file, options);
    write_head(out.text(), state, options);
    write_tables(out, state);
    return out.finish();
}

/// Read again from the disk, as far as the system lets us: what was written is what is there.
bool reads_back(const File& file, const CheckpointOptions& options) {
    file.drop_cache();
    CheckpointHead head;
    return verify_checkpoint(file, options.key, head).empty();
}

}  // namespace

std::string checkpoint_name(std::uint64_t seq) { return numbered_name(kPrefix, seq, kSuffix); }
std::uint64_t checkpoint_seq_of(const std::string& name) noexcept { return number_of_name(name, kPrefix, kSuffix); }

IoError write_checkpoint(const Directory& directory, const State& state, const CheckpointOptions& options, std::string& stage) {
    const std::string name = checkpoint_name(state.log->applied);
    // Of this host: one that has left its place may still be at work on the same events.
    const std::string temporary = kTemporaryPrefix + name + "-" + std::to_string(options.host_epoch);
    static_cast<void>(directory.remove(temporary));
    File file;
    stage = "create";
    if (const IoError error = directory.create(temporary, file)) return error;
    stage = "write";
    IoError failed = write_document(file, state, options);
    CRASH_POINT("checkpoint written");
    if (!failed) stage = "sync", failed = file.sync();
    CRASH_POINT("checkpoint synced");
    if (!failed && (stage = "verify", !reads_back(file, options))) failed = {static_cast<int>(std::errc::io_error)};
    if (!failed) stage = "rename", failed = directory.rename(temporary, name);
    CRASH_POINT("checkpoint named");
    if (failed) {
        static_cast<void>(directory.remove(temporary));
        return failed;
    }
    stage = "sync the directory";
    return directory.sync();
}

// ---- reading ------------------------------------------------------------------------------------

namespace {

/// A file as lines, in bounded memory.
class Lines {
public:
    explicit Lines(const File& file) : file_(file) {}

    /// False at the end, at a line longer than `most`, or after an error. Without its newline.
    bool next(std::string_view& line, std::size_t most) {
        for (;;) {
            const void* newline = std::memchr(buffer_.data() + from_, '\n', buffer_.size() - from_);
            if (newline != nullptr) {
                const auto size = static_cast<std::size_t>(static_cast<const char*>(newline) - buffer_.data()) - from_;
                line = {buffer_.data() + from_, size};
                from_ += size + 1;
                return size <= most;
            }
            if (buffer_.size() - from_ > most || !fill()) return false;
        }
    }
    /// Where the next line begins.
    [[nodiscard]] std::uint64_t offset() const noexcept { return read_ - (buffer_.size() - from_); }
    [[nodiscard]] IoError error() const noexcept { return error_; }

private:
    bool fill() {
        buffer_.erase(0, from_);
        from_ = 0;
        const std::size_t kept = buffer_.size();
        buffer_.resize(kept + kChunk);
        std::size_t got = 0;
        error_ = file_.read_at(buffer_.data() + kept, kChunk, read_, got);
        if (error_) got = 0;
        buffer_.resize(kept + got);
        read_ += got;
        return got > 0;
    }
    const File& file_;
    std::string buffer_;
    std::size_t from_ = 0;
    std::uint64_t read_ = 0;
    IoError error_;
};

bool take_suffix(std::string_view& text, std::string_view suffix) noexcept {
    if (!text.ends_with(suffix)) return false;
    text.remove_suffix(suffix.size());
    return true;
}

std::uint64_t whole(const JsonValue& object, std::string_view key) {
    const JsonValue* value = object.find(key);
    std::uint64_t number = 0;
    if (value == nullptr || !value->is(JsonValue::Kind::number)) throw RecordError(std::string(key) + ": missing");
    const char* end = value->text.data() + value->text.size();
    const auto [stop, error] = std::from_chars(value->text.data(), end, number);
    if (error != std::errc{} || stop != end) throw RecordError(std::string(key) + ": not a whole number");
    return number;
}

const JsonValue& member(const JsonValue& object, std::string_view key, JsonValue::Kind kind) {
    const JsonValue* value = object.find(key);
    if (value == nullptr || !value->is(kind)) throw RecordError(std::string(key) + ": missing");
    return *value;
}

std::int64_t time_of(const JsonValue& object, std::string_view key) {
    std::int64_t ns = 0;
    if (!parse_time(member(object, key, JsonValue::Kind::string).text, ns))
        throw RecordError(std::string(key) + ": not a time");
    return ns;
}

constexpr std::size_t kHeadMembers = 13;

std::uint64_t hex_of(const JsonValue& object, std::string_view key) {
    const std::string& text = member(object, key, JsonValue::Kind::string).text;
    std::uint64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (text.size() != 16 || error != std::errc{} || stop != text.data() + text.size())
        throw RecordError(std::string(key) + ": not 16 hexadecimal digits");
    return value;
}

/// Whether there is one.
bool parse_mark(const JsonValue& root, CheckpointHead& head) {
    head.journal = {};
    if (root.find("journal") == nullptr) return false;
    const JsonValue& journal = member(root, "journal", JsonValue::Kind::object);
    head.journal = {whole(journal, "file"), whole(journal, "last_seq"), hex_of(journal, "hash")};
    if (journal.members.size() != 3) throw RecordError("journal: has members that this version does not know");
    if (!head.journal.present() || head.journal.last_seq > head.seq || head.source != CheckpointSource::replica)
        throw RecordError("journal: not a block that this checkpoint can have been made from");
    return true;
}

/// Who ended the day before, and when: two members or none. True when they are there.
bool parse_rolled(const JsonValue& root, CheckpointHead& head) {
    head.rolled_time_ns = 0;
    head.rolled_uid = 0;
    if (root.find("rolled_time") == nullptr) return false;
    head.rolled_time_ns = time_of(root, "rolled_time");
    head.rolled_uid = whole(root, "rolled_uid");
    if (head.rolled_seq == 0 || head.rolled_uid > 0xFFFFFFFFU) throw RecordError("rolled_time, rolled_uid: of no day before");
    return true;
}

std::string older_hint(std::uint64_t version) {
    return version < kCheckpointVersion
               ? ": `riskctl migrate FILE` writes it anew (if journal files follow it: checkpoint with the "
                 "build that wrote them first)"
               : "";
}

void parse_head(const std::string& line, CheckpointHead& head) {
    const JsonResult parsed = parse_json(line, kMaxLine);
    if (!parsed.error.empty()) throw RecordError("its first line is not JSON: " + parsed.error);
    const JsonValue& root = parsed.value;
    if (!root.is(JsonValue::Kind::object) || member(root, "format", JsonValue::Kind::string).text != kFormat)
        throw RecordError("not a checkpoint of riskreg");
    if (whole(root, "version") != kCheckpointVersion)
        throw RecordError("version " + std::to_string(whole(root, "version")) + ", this build reads " +
                          std::to_string(kCheckpointVersion) + older_hint(whole(root, "version")));
    head.registry = member(root, "registry", JsonValue::Kind::string).text;
    head.epoch = hex_of(root, "epoch");
    head.seq = whole(root, "sequence");
    head.time_ns = time_of(root, "time");
    const std::string& source = member(root, "source", JsonValue::Kind::string).text;
    const auto known = base::value_named<CheckpointSource>(source);
    if (!known) throw RecordError("source: neither replica, memory nor migrated");
    head.source = *known;
    head.clean = member(root, "clean", JsonValue::Kind::boolean).boolean;
    head.host_epoch = whole(root, "host_epoch");
    const JsonValue& counts = member(root, "counts", JsonValue::Kind::object);
    head.rows = whole(counts, "rows");
    head.orders = whole(counts, "orders");
    head.executions = whole(counts, "executions");
    head.quarantined = whole(counts, "quarantined");
    head.sessions = whole(counts, "sessions");
    const JsonValue& log = member(root, "log", JsonValue::Kind::object);
    head.last_time_ns = time_of(log, "last_time");
    head.last_steady_ns = static_cast<std::int64_t>(whole(log, "last_steady_ns"));
    head.next_generation = whole(log, "next_generation");
    head.quarantined_events = whole(log, "quarantined_events");
    head.next_budget_ring = whole(log, "next_budget_ring");
    if (head.seq < kGenesis) throw RecordError("sequence: below 1");
    head.day = whole(root, "day");
    head.rolled_seq = whole(root, "rolled_seq");
    if (head.day == 0 || head.rolled_seq > head.seq) throw RecordError("day, rolled_seq: not of a day that began before");
    const std::size_t members = kHeadMembers + (parse_mark(root, head) ? 1 : 0) + (parse_rolled(root, head) ? 2 : 0);
    const bool only_known = root.members.size() == members && counts.members.size() == 5 && log.members.size() == 5;
    if (!only_known) throw RecordError("its first line has members that this version does not know");
}

void read_head_lines(Lines& lines, CheckpointHead& head) {
    std::string_view line;
    if (!lines.next(line, kMaxLine)) throw RecordError("no first line");
    // The document goes on where the head's object would end: a comma in place of the brace.
    if (!take_suffix(line, ",")) throw RecordError("its first line does not end like a checkpoint's");
    parse_head(std::string(line) + "}", head);
    if (!lines.next(line, kMaxHeadLine) || !line.starts_with(kConfiguration) || !take_suffix(line, ","))
        throw RecordError("no configuration in its second line");
    head.config = line.substr(kConfiguration.size());
}

}  // namespace

namespace {

std::string unreadable(IoError error, IoError* io) {
    if (io != nullptr) *io = error;
    return error.text();
}

}  // namespace

/// The end of the document, of known length: `"name":"64 digits"}` and a newline.
std::string check_digest(const File& file, const Key& key, CheckpointHead& head, IoError* io) {
    const std::string_view name = digest_name(key);
    const std::size_t tail = name.size() + 3 + 1 + 64 + 3;
    if (const IoError error = file.size(head.bytes)) return unreadable(error, io);
    if (head.bytes < tail) return "shorter than its digest";
    StreamDigest digest(key);
    std::string chunk(kChunk, '\0');
    std::size_t got = 0;
    for (std::uint64_t at = 0; at < head.bytes - tail; at += got) {
        base::stop_point(0);
        const std::uint64_t wanted = std::min<std::uint64_t>(kChunk, head.bytes - tail - at);
        if (const IoError error = file.read_at(chunk.data(), wanted, at, got)) return unreadable(error, io);
        if (got == 0) return "became shorter while it was read";
        digest.add({chunk.data(), got});
    }
    std::string last(tail, '\0');
    if (const IoError error = file.read_at(last.data(), tail, head.bytes - tail, got)) return unreadable(error, io);
    const std::string begin = "\"" + std::string(name) + "\":\"";
    if (got != tail || !last.starts_with(begin) || !last.ends_with("\"}\n")) {
        const bool other = last.find(key.present() ? "\"sha256\":" : "sha256\":\"") != std::string::npos;
        if (other && !key.present()) return std::string("signed with a key: ") + kGiveTheKey + "; or it is cut off";
        return "does not end with " + std::string(name);
    }
    head.digest_name = name;
    head.digest = last.substr(begin.size(), 64);
    return equal_digests(head.digest, digest.finish()) ? std::string() : std::string(name) + " does not match its content";
}

std::string peek_checkpoint(const File& file, CheckpointHead& head, IoError* io) {
    if (const IoError error = file.size(head.bytes)) return unreadable(error, io);
    Lines lines(file);
    try {
        read_head_lines(lines, head);
        return {};
    } catch (const std::exception& error) {
        return lines.error() ? unreadable(lines.error(), io) : error.what();
    }
}

std::string verify_checkpoint(const File& file, const Key& key, CheckpointHead& head) {
    std::string wrong = check_digest(file, key, head);
    return wrong.empty() ? peek_checkpoint(file, head) : wrong;
}

namespace {

/// Reads the sections in their order and fills the tables.
class Loader {
public:
    Loader(const File& file, const CheckpointHead& head, State& state)
        : lines_(file), head_(head), state_(state), names_(state), io_(names_) {}

    [[nodiscard]] IoError error() const noexcept { return lines_.error(); }

    void run() {
        CheckpointHead ignored;
        read_head_lines(lines_, ignored);
        require_room();
        read_section("rows", head_.rows, [this](std::uint64_t) { read_row(); });
        read_section("orders", head_.orders, [this](std::uint64_t i) { read_order(static_cast<std::uint32_t>(i)); });
        read_section("executions", head_.executions,
                     [this](std::uint64_t i) { read_execution(static_cast<std::uint32_t>(i)); });
        read_section("quarantine", head_.quarantined,
                     [this](std::uint64_t i) { read_quarantine(static_cast<std::uint32_t>(i)); });
        each_sparse(state_.geometry, [this](const char* name, const char* number, std::uint32_t size, auto table, auto member) {
            const bool sessions = std::string_view(name) == "sessions";
            read_section(name, sessions ? head_.sessions : kMany,
                         [&](std::uint64_t) { read_sparse(number, size, state_.*table, member); });
        });
        read_end();
        write_log();
        index();
    }

private:
    static constexpr std::uint64_t kMany = ~0ULL;

    void require_room() const {
        const Geometry& g = state_.geometry;
        const bool fits = head_.orders <= g.orders && head_.executions <= g.executions && head_.quarantined <= g.quarantine &&
                          head_.rows <= g.rows() && head_.sessions <= g.sessions && head_.next_budget_ring <= g.budget_rings;
        if (!fits) throw RecordError("counts: more records than its configuration has room for");
        if (head_.next_budget_ring < state_.status->next_budget_ring)
            throw RecordError("next_budget_ring: fewer budgets than its configuration has");
    }

    template <class Read>
    void read_section(std::string_view name, std::uint64_t expected, Read read) {
        std::string_view line;
        const std::string begin = "\"" + std::string(name) + "\":[";
        if (!lines_.next(line, kMaxLine) || line != begin) throw RecordError("no section '" + std::string(name) + "'");
        std::uint64_t count = 0;
        for (; lines_.next(line, kMaxLine); ++count) {
            if (line == "],") break;
            base::stop_point(count);
            static_cast<void>(take_suffix(line, ","));
            try {
                io_.parse(line);
                read(count);
            } catch (const std::exception& error) {
                throw RecordError(std::string(name) + "[" + std::to_string(count) + "]: " + error.what());
            }
        }
        if (line != "],") throw RecordError("section '" + std::string(name) + "' does not end");
        if (expected != kMany && count != expected)
            throw RecordError("section '" + std::string(name) + "' holds " + std::to_string(count) + " records, counts says " +
                              std::to_string(expected));
    }

    /// The digest is the last member, and nothing stands before it.
    void read_end() {
        std::string_view line;
        const bool digest =
            lines_.next(line, kMaxLine) && (line.starts_with("\"sha256\":") || line.starts_with("\"hmac_sha256\":"));
        if (!digest || lines_.next(line, kMaxLine)) throw RecordError("something stands behind the last section");
    }

    /// The number that a record of a sparse table begins with.
    std::uint32_t place_below(std::string_view name, std::uint32_t end) {
        std::uint32_t number = kNoSlot;
        io_.number(name, number, kNoSlot);
        if (number >= end) throw RecordError(std::string(name) + ": out of range");
        return number;
    }

    /// A record from after the checkpoint would be passed over by the replay that follows.
    void require_seq(std::uint64_t seq) const {
        if (seq <= kGenesis || seq > head_.seq) throw RecordError("seq: not from 2 to the checkpoint's own");
    }

    template <class T>
    void put(Versioned<T>& record, const T& value) const {
        require_seq(value.seq);
        record.copy[0] = T{};
        record.copy[1] = value;
    }

    void read_row() {
        io_.begin_record();
        const std::uint32_t row = place_below("row", state_.geometry.rows());
        std::string_view scope;
        if (!io_.read_text("scope", scope) || scope != core::format_scope(state_, state_.geometry.scope_of(row)))
            throw RecordError("scope: not that of its row");
        const auto read = [this]<class T>(Versioned<T>& to) {
            T record{};
            if (io_.group(group_of(record), true)) record_fields(io_, record), io_.end_group(), put(to, record);
        };
        core::each_of_row(row, read, state_);
        require_risk(state_.rows_risk[row]);
        io_.end_record();
        // Which kinds of limits have a value is said in the one record, and follows from the other.
        RowControl& now = state_.rows[row].control.copy[1];
        now.set = core::control_of(core::limits_of(now, state_.rows_risk[row].limits.newest())).set;
    }

    /// Holds of records that the configuration made, too.
    void require_risk(const RowRisk& risk) const {
        const RowRiskLimits& limits = risk.limits.newest();
        const RowMeters& meters = risk.meters.newest();
        require(risk.value.newest().peak >= 0, "peak: below 0");
        require(limits.cancel_headroom_bps <= 10000 || limits.cancel_headroom_bps == kUnlimitedCount,
                "cancel_headroom_bps: above 10000");
        require(none_or_below(meters.messages_ring, head_.next_budget_ring) &&
                    none_or_below(meters.all_ring, head_.next_budget_ring),
                "messages_ring, all_ring: out of range");
        require(meters.messages_stride > 0 && meters.all_stride > 0, "stride: below 1");
        require(risk.alerts.newest().levels >> (2 * core::kLimits.size()) == 0, "levels: of limits that do not exist");
    }

    static void require(bool fits, const char* what) {
        if (!fits) throw RecordError(what);
    }
    static bool none_or_below(std::uint32_t slot, std::uint64_t end) noexcept { return slot == kNoSlot || slot < end; }

    void read_order(std::uint32_t slot) {
        OrderSlot& to = state_.orders[slot];
        OrderIdentity identity{};
        OrderState order{};
        VenueId venue{};
        order_fields(io_, slot, identity, order, venue);
        require(identity.side != Side::none, "side: missing");
        require(identity.head <= slot && none_or_below(identity.previous, slot), "alias_of, follows: not an earlier order");
        const bool chained = (identity.flags & kContentIndexed) != 0 || identity.content_previous != 0;
        require(!chained || none_or_below(identity.content_previous, slot), "same_content: not an earlier order");
        require(none_or_below(identity.session, state_.geometry.sessions), "session: out of range");
        require(none_or_below(order.last_alias, head_.orders) && none_or_below(order.pending_alias, head_.orders),
                "last_id, pending_id: out of range");
        require(identity.kind == SlotKind::alias || order.last_alias != kNoSlot, "last_id: out of range");
        require(none_or_below(order.last_execution, head_.executions), "last_execution: out of range");
        require(!identity.id.empty(), "id: missing");
        require(order.quantity >= 0 && order.cum_quantity >= 0 && identity.quantity >= 0, "quantity: below 0");
        require(venue.seq <= head_.seq, "venue_seq: beyond the checkpoint's own");
        require_seq(identity.created_seq);
        to.identity = identity;
        put(to.state, order);
        to.venue = venue;
    }

    void read_execution(std::uint32_t slot) {
        ExecutionIdentity identity{};
        ExecutionState execution{};
        execution_fields(io_, slot, identity, execution);
        require(identity.order_slot < head_.orders && none_or_below(identity.previous, head_.executions),
                "order: out of range");
        require(execution.successor < std::max<std::uint64_t>(head_.executions, 1), "successor: out of range");
        state_.executions[slot].identity = identity;
        put(state_.executions[slot].state, execution);
    }

    void read_quarantine(std::uint32_t slot) {
        QuarantineSlot& q = state_.quarantine[slot];
        quarantine_fields(io_, slot, q);
        const Geometry& g = state_.geometry;
        require(q.booked == 0 || (q.instrument < g.instruments && q.account < g.accounts && q.side != Side::none),
                "booked on what does not exist");
        require(q.quantity >= 0, "quantity: below 0");
        require_seq(q.seq);
    }

    template <class Slot, class T>
    void read_sparse(const char* number, std::uint32_t size, Slot* table, Versioned<T> Slot::*member) {
        io_.begin_record();
        Slot& slot = table[place_below(number, size)];
        T record{};
        record_fields(io_, record);
        require_fits(record);
        put(slot.*member, record);
        if constexpr (std::is_same_v<T, SessionRecord>) slot.word = session_word(record.generation, record.status);
    }

    void require_fits(const SessionRecord&) const {}
    void require_fits(const BreakerCounts&) const {}
    void require_fits(const StrategyState& strategy) const {
        require(none_or_below(strategy.session, state_.geometry.sessions), "session: out of range");
    }
    void require_fits(const ReferenceOwner& owner) const {
        require(none_or_below(owner.session, state_.geometry.sessions), "session: out of range");
    }
    void require_fits(const RestrictionRecord& entry) const {
        require(entry.row < state_.geometry.rows() || (entry.sides == 0 && entry.row == kNoSlot), "row: out of range");
    }
    void require_fits(const ApprovalRecord& approval) const {
        const bool nobody = approval.status == ApprovalStatus::none && approval.row == kNoSlot;
        require(nobody || approval.row < state_.geometry.rows(), "row: out of range");
        require(approval.request <= head_.seq, "request: beyond the checkpoint's own");
    }

    void write_log() {
        LogWords& log = *state_.log;
        log.committed = log.applied = head_.seq;
        log.last_time_ns = static_cast<std::uint64_t>(head_.last_time_ns);
        log.last_steady_ns = static_cast<std::uint64_t>(head_.last_steady_ns);
        log.next_order = head_.orders;
        log.next_execution = head_.executions;
        log.next_quarantine = head_.quarantined;
        log.next_generation = head_.next_generation;
        state_.status->quarantined_events = head_.quarantined_events;
        state_.status->state_epoch = head_.seq;
        state_.status->next_budget_ring = head_.next_budget_ring;
        state_.header->day = head_.day;
        state_.header->rolled_seq = head_.rolled_seq;
        state_.header->day_begun_ns = head_.rolled_time_ns;
        state_.header->rolled_uid = static_cast<std::uint32_t>(head_.rolled_uid);
    }

    void index() {
        const Geometry& g = state_.geometry;
        for (std::uint32_t i = 0; i < head_.orders; ++i)
            core::insert_word(state_.order_index, g.order_index,
                              core::order_hash(state_.orders[i].identity.account, state_.orders[i].identity.id), i);
        for (std::uint32_t i = 0; i < head_.executions; ++i) {
            const ExecutionIdentity& e = state_.executions[i].identity;
            core::insert_word(state_.execution_index, g.execution_index, core::execution_hash(e.order_slot, e.id), i);
        }
        for (std::uint32_t i = 0; i < head_.quarantined; ++i) {
            const QuarantineSlot& q = state_.quarantine[i];
            const auto reported = static_cast<EventType>(q.event_type);
            core::insert_word(state_.quarantine_index, g.quarantine_index,
                              core::quarantine_hash(q.account, q.order_id, q.exec_id, reported), i);
        }
    }

    Lines lines_;
    const CheckpointHead& head_;
    State& state_;
    const EntityNames names_;
    RecordReader io_;
};

}  // namespace

std::string load_checkpoint(const File& file, const CheckpointHead& head, State& state, IoError* io) {
    Loader loader(file, head, state);
    try {
        loader.run();
        return {};
    } catch (const std::exception& error) {
        return loader.error() ? unreadable(loader.error(), io) : error.what();
    }
}

}  // namespace riskreg::persist
