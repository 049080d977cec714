// Any bytes as the journal files of one registry. Checksums, hashes and sequence numbers are put right, so that what lies
// behind them is reached: the judgement of ends and gaps, why_not_applicable, apply, audit.
//
// An input is a run of blocks: header (128 bytes) and payload, without padding; a block of kind `file` begins the next
// file. Runs of zeroes are packed (0, length). The first reserved byte of a header says what is not put right (Leave).
#include <algorithm>
#include <cstring>

#include "fuzz/fuzz.hpp"
#include "persist/journal_format.hpp"
#include "persist/recovery.hpp"
#include "riskreg/error.hpp"
#include "support/history.hpp"

using namespace riskreg;
using namespace riskreg::persist;

namespace {

constexpr std::size_t kMostBytes = 256U << 10;
constexpr std::size_t kMostBlocks = 24;
constexpr std::size_t kMostPayload = 24U << 10;
constexpr std::uint64_t kEpoch = 7;

enum Leave : std::uint8_t {
    kIdentity = 1,   ///< magic, version, number of the file, epoch
    kSequence = 2,
    kLength = 4,
    kChain = 8,      ///< hash of the block before
    kEvents = 16,    ///< their sequence numbers and checksums
    kChecksum = 32,
    kInfo = 64,      ///< of a file: predecessor, layout, size
    kConfig = 128,
};

std::string unpack(const std::uint8_t* data, std::size_t size) {
    std::string out;
    for (std::size_t i = 0; i < size && out.size() < kMostBytes; ++i) {
        if (data[i] != 0) out += static_cast<char>(data[i]);
        else if (++i < size) out.append(data[i], '\0');
    }
    return out;
}

std::string pack(const std::string& bytes) {
    std::string out;
    for (std::size_t i = 0; i < bytes.size();) {
        if (bytes[i] != 0) {
            out += bytes[i++];
            continue;
        }
        const std::size_t end = std::min(bytes.find_first_not_of('\0', i), bytes.size());
        const std::size_t run = std::min<std::size_t>(end - i, 255);
        out += '\0';
        out += static_cast<char>(run);
        i += run;
    }
    return out;
}

/// Files out of an input's blocks.
class Builder {
public:
    explicit Builder(const std::string& config) : config_(config) {}

    void add(const std::string& input) {
        std::size_t blocks = 0;
        for (std::size_t at = 0; at + sizeof(BlockHeader) <= input.size() && blocks < kMostBlocks; ++blocks) {
            BlockHeader header;
            std::memcpy(&header, input.data() + at, sizeof header);
            at += sizeof header;
            const std::size_t payload = std::min({std::size_t{header.payload}, input.size() - at, kMostPayload});
            add_block(header, input.substr(at, payload));
            at += payload;
        }
        end_file();
    }
    struct Built {
        std::string name, bytes;
    };
    std::vector<Built> files;

private:
    void add_block(BlockHeader h, std::string payload) {
        const auto leave = static_cast<std::uint8_t>(h.reserved_bytes[0]);
        if (h.kind == BlockKind::file) begin_file(h, payload);
        if (!(leave & kIdentity)) {
            h.magic = kBlockMagic;
            h.version = kJournalVersion;
            h.epoch = kEpoch;
            h.file_number = number_;
        }
        if (h.kind == BlockKind::events) set_events(h, payload);
        if (!(leave & kSequence)) {
            h.first_seq = next_;
            h.last_seq = next_ + (h.kind == BlockKind::events ? events_ : 0) - 1;
        }
        if (!(leave & kChain)) h.previous_hash = h.kind == BlockKind::file ? events_hash_ : hash_;
        const std::size_t length = (sizeof h + payload.size() + kBlockPage - 1) / kBlockPage * kBlockPage;
        if (!(leave & kLength)) {
            h.length = static_cast<std::uint32_t>(length);
            h.payload = static_cast<std::uint32_t>(payload.size());
        }
        put(h, payload, length);
        next_ = h.last_seq + 1;
    }

    void put(const BlockHeader& h, const std::string& payload, std::size_t length) {
        std::string block(length, '\0');
        std::memcpy(block.data(), &h, sizeof h);
        std::memcpy(block.data() + sizeof h, payload.data(), payload.size());
        const std::span<const std::byte> bytes = std::as_bytes(std::span(block));
        if (!(h.reserved_bytes[0] & kChecksum)) {
            const std::uint32_t checksum = checksum_of_block(bytes);
            std::memcpy(block.data() + offsetof(BlockHeader, checksum), &checksum, sizeof checksum);
        }
        hash_ = hash_of_block(bytes);
        if (h.kind != BlockKind::seal) events_hash_ = hash_;
        file_ += block;
    }

    void begin_file(const BlockHeader& h, std::string& payload) {
        end_file();
        ++number_;
        if (next_ == 0) next_ = 2;
        name_ = journal_name((h.reserved_bytes[0] & kSequence) != 0 ? std::max<std::uint64_t>(h.first_seq, 1) : next_);
        payload.resize(std::max(payload.size(), sizeof(FileInfo)));
        FileInfo info;
        std::memcpy(&info, payload.data(), sizeof info);
        // Zeroes behind the last block, as a file has them.
        spare_ = info.file_bytes % 3 * kBlockPage;
        cut_ = (h.reserved_bytes[0] & kInfo) != 0;
        if (!cut_) {
            info.predecessor = number_ - 1;
            info.predecessor_last_seq = next_ - 1;
            info.layout_hash = layout::layout_hash();
            info.file_bytes = 0;
        }
        if (!(h.reserved_bytes[0] & kConfig)) {
            payload.resize(sizeof info);
            payload += config_;
            info.config_bytes = static_cast<std::uint32_t>(config_.size());
        }
        std::memcpy(payload.data(), &info, sizeof info);
    }

    /// Whole events with the sequence and checksum that they need; how long each is, the fuzzer says.
    void set_events(const BlockHeader& h, std::string& payload) {
        events_ = 0;
        constexpr std::size_t shortest = layout::class_bytes(layout::kShortWords);
        payload.resize(payload.size() / shortest * shortest);
        if (h.reserved_bytes[0] & kEvents) return void(events_ = payload.size() / shortest);
        for (std::size_t at = 0; at < payload.size(); ++events_) {
            layout::Event event;
            std::memcpy(static_cast<void*>(&event), payload.data() + at, std::min(sizeof event, payload.size() - at));
            const std::size_t bytes = layout::class_bytes(event.header.words);
            if (bytes > payload.size() - at) return payload.resize(at);
            event.header.seq = next_ + events_;
            event.header.checksum = layout::checksum_of(event, event.header.seq);
            std::memcpy(payload.data() + at, static_cast<const void*>(&event), bytes);
            at += bytes;
        }
    }

    void end_file() {
        if (!file_.empty() && !name_.empty()) {
            file_.append(spare_, '\0');
            files.push_back({name_, file_});
        }
        file_.clear();
    }

    const std::string& config_;
    std::size_t events_ = 0;   // in the block that is being made
    std::string name_, file_;
    std::uint64_t number_ = 0, next_ = 0, hash_ = 0, events_hash_ = 0;
    std::size_t spare_ = 0;
    bool cut_ = false;
};

/// True when recovery gave tables; an Error is an answer, too.
bool restore(const Directory& directory, const std::string& config, bool accept_loss, core::PrivateState& tables) {
    try {
        Sources sources(directory, {});
        RestoreOptions options;
        options.accept_loss = accept_loss;
        const RecoveryReport report = persist::restore(
            directory, sources,
            [&](const std::string& stored) -> core::State& {
                tables = test::small_tables(config.empty() ? stored : config);
                return tables.state;
            },
            options);
        test::promise(report.end_seq == tables.state.log->applied);
        return true;
    } catch (const Error&) {
        return false;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static test::Scratch scratch;
    static const std::string config = test::small_config();
    static const std::string larger = test::small_config(300);
    const Directory& directory = scratch.empty();
    Builder builder(config);
    builder.add(unpack(data, size));
    for (const Builder::Built& file : builder.files) {
        File exists;
        if (directory.open_file(file.name, exists)) scratch.write(file.name, file.bytes);
    }
    core::PrivateState tables, again, lossy;
    const bool whole = restore(directory, {}, false, tables);
    if (whole) test::read_everything(tables.state);
    // Each further recovery costs as much as the first; a quarter of the inputs is enough for what they show.
    const std::size_t turn = size % 4;
    if (whole && turn == 0) {
        test::promise(restore(directory, larger, false, again));
        test::promise(core::digest(again.state) == core::digest(tables.state));
    }
    if (turn != 1) return 0;
    if (restore(directory, {}, true, lossy)) {
        test::read_everything(lossy.state);
        // Accepting a loss that there is not changes nothing.
        if (whole) test::promise(core::digest(lossy.state) == core::digest(tables.state));
    }
    static_cast<void>(find_tail(directory, ~0ULL));
    return 0;
}

namespace riskreg::test {

namespace {

void add_block(std::string& out, BlockKind kind, std::span<const layout::Event> events, std::uint64_t durable,
               std::uint8_t leave = 0) {
    BlockHeader header{};
    header.kind = kind;
    header.durable_upto = durable;
    header.payload = static_cast<std::uint32_t>(kind == BlockKind::file ? sizeof(FileInfo) : events.size_bytes());
    header.reserved_bytes[0] = leave;
    out.append(reinterpret_cast<const char*>(&header), sizeof header);
    if (kind == BlockKind::file) {
        FileInfo info{};
        info.file_bytes = 1;
        info.name_begin = base::make_id("desk");
        out.append(reinterpret_cast<const char*>(&info), sizeof info);
    }
    out.append(reinterpret_cast<const char*>(events.data()), events.size_bytes());
}

/// Files that end at these sequences, blocks of seven, sealed.
std::string journal(const History& history, std::initializer_list<std::uint64_t> ends) {
    std::string out;
    std::uint64_t next = 2;
    for (const std::uint64_t end : ends) {
        add_block(out, BlockKind::file, {}, 0);
        while (next <= end) {
            const std::uint64_t last = std::min(next + 6, end);
            add_block(out, BlockKind::events, history.between(next, last), next - 1);
            next = last + 1;
        }
    }
    add_block(out, BlockKind::seal, {}, next - 1);
    return out;
}

}  // namespace

std::vector<Seed> seeds() {
    const History history = every_kind_of_event();
    std::string torn, damaged;
    for (std::string* out : {&torn, &damaged}) {
        add_block(*out, BlockKind::file, {}, 0);
        add_block(*out, BlockKind::events, history.between(2, 9), 1);
        add_block(*out, BlockKind::events, history.between(10, 14), 9, kChecksum);
    }
    add_block(damaged, BlockKind::seal, {}, 14);
    std::string gap;
    add_block(gap, BlockKind::file, {}, 0);
    add_block(gap, BlockKind::events, history.between(2, 9), 1);
    add_block(gap, BlockKind::file, {}, 0, kSequence | kInfo);
    return {{"empty", pack(journal(history, {1}))},
            {"fills", pack(journal(history, {14}))},
            {"two-files", pack(journal(history, {7, 24}))},
            {"everything", pack(journal(history, {history.last_seq() - 5}))},
            {"torn", pack(torn)},
            {"damaged", pack(damaged)},
            {"gap", pack(gap)}};
}

}  // namespace riskreg::test
