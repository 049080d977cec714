#include "persist/journal_writer.hpp"

#include <algorithm>
#include <cstring>
#include <system_error>

#include "base/crash_point.hpp"
#include "layout/segment.hpp"
#include "persist/journal_reader.hpp"

namespace riskreg::persist {

namespace {

constexpr std::size_t pages(std::size_t bytes) noexcept { return (bytes + kBlockPage - 1) / kBlockPage * kBlockPage; }
constexpr std::size_t file_block_bytes(std::size_t config_bytes) noexcept {
    return pages(sizeof(BlockHeader) + sizeof(FileInfo) + config_bytes);
}

BlockHeader& header_in(std::vector<std::byte>& block) noexcept { return *reinterpret_cast<BlockHeader*>(block.data()); }

}  // namespace

std::uint64_t file_size_for(std::size_t config_bytes, std::uint64_t event_bytes) noexcept {
    return file_block_bytes(config_bytes) + pages(event_bytes);
}

IoError prepare_space(const Directory& directory, const std::string& temporary, std::uint64_t bytes, File& out,
                      const std::function<bool()>& stop) {
    static const std::vector<std::byte> zeroes(256U << 10);
    File file;
    if (const IoError error = directory.create(temporary, file)) return error;
    IoError failed;
    // Written, not only reserved: overwriting written blocks needs no metadata, so a sync later is one write (probe e7).
    for (std::uint64_t at = 0; at < bytes && !failed; at += zeroes.size()) {
        failed = file.write_at(zeroes.data(), std::min<std::uint64_t>(zeroes.size(), bytes - at), at);
        if (!failed && stop && stop()) failed = {static_cast<int>(std::errc::operation_canceled)};
    }
    if (!failed) failed = file.sync();
    if (failed) {
        static_cast<void>(directory.remove(temporary));
        return failed;
    }
    out = std::move(file);
    return {};
}

namespace {

constexpr int kMaxKeptOfAName = 1000;

/// A second name that nobody reads: the first one leads to the file until the new one takes its place, for whoever is killed in
/// between would leave nothing there, and recovery would not miss it.
IoError set_aside(const Directory& directory, const File& file, const std::string& name, const std::string& why) {
    FileIdentity ours;
    if (const IoError error = file.identity(ours)) return error;
    for (int i = 1; i <= kMaxKeptOfAName; ++i) {
        const std::string aside = kLostPrefix + why + (i == 1 ? "" : std::to_string(i) + "-") + name;
        const IoError error = directory.link(name, aside);
        if (error.is_not_supported()) return directory.rename(name, aside);
        if (!error.is_existing()) return error ? error : directory.sync();
        // From an attempt before this one, or of another file.
        File there;
        FileIdentity theirs;
        if (!directory.open_file(aside, there) && !there.identity(theirs) && theirs == ours) return directory.sync();
    }
    return {static_cast<int>(std::errc::file_exists)};
}

/// A file of this name whose blocks say of themselves that they are on disk was answered from once. Whatever the memory thinks that
/// we write from, its bytes are kept. Not to be read now says nothing of it: then no file begins.
IoError keep_what_is_sealed(const Directory& directory, const std::string& name, const Key& key) {
    File there;
    if (const IoError error = directory.open_file(name, there)) return error.is_missing() ? IoError{} : error;
    FileHead head;
    IoError io;
    const std::string wrong = read_head(there, head, key, &io);
    if (io) return io;
    if (!wrong.empty()) return set_aside(directory, there, name, "unread-");
    JournalReader reader(there, head, key);
    for (Block block; reader.next(block);) {
    }
    if (reader.io_error()) return reader.io_error();
    const Behind behind = reader.look_behind();
    if (reader.io_error()) return reader.io_error();
    if (std::max(reader.durable_upto(), behind.durable_upto) < head.header.first_seq) return {};
    return set_aside(directory, there, name, std::to_string(head.header.file_number) + "-");
}

}  // namespace

void JournalWriter::start_block(BlockKind kind, std::size_t payload) {
    block_.assign(pages(sizeof(BlockHeader) + payload), std::byte{});
    BlockHeader& h = header_in(block_);
    h.magic = kBlockMagic;
    h.version = kJournalVersion;
    h.kind = kind;
    h.file_number = spec_.number;
    h.epoch = spec_.epoch;
    h.host_epoch = spec_.host_epoch;
    h.first_seq = next_seq_;
    h.last_seq = next_seq_ - 1;
    h.previous_hash = hash_;
    h.length = static_cast<std::uint32_t>(block_.size());
    h.payload = static_cast<std::uint32_t>(payload);
}

IoError JournalWriter::finish_block() noexcept {
    BlockHeader& h = header_in(block_);
    Mac mac{};
    if (signer_.present() && !mac_of_block(signer_, block_, mac)) return {static_cast<int>(std::errc::not_enough_memory)};
    std::copy(mac.begin(), mac.end(), h.mac);
    h.checksum = checksum_of_block(block_);
    return {};
}

IoError JournalWriter::begin(const Directory& directory, File prepared, const std::string& temporary, std::uint64_t bytes,
                             const FileSpec& spec) {
    spec_ = spec;
    signer_ = Signer(spec.key);
    bytes_ = bytes;
    next_seq_ = spec.first_seq;
    hash_ = spec.predecessor_hash;
    start_block(BlockKind::file, sizeof(FileInfo) + spec.config.size());
    FileInfo info{};
    info.predecessor = spec.predecessor;
    info.predecessor_last_seq = spec.predecessor_last_seq;
    info.base_seq = spec.base_seq;
    info.layout_hash = layout::layout_hash();
    info.file_bytes = bytes;
    const std::string_view name = spec.registry;
    info.name_begin = base::make_id(name.substr(0, kMaxIdBytes));
    info.name_end = base::make_id(name.size() > kMaxIdBytes ? name.substr(kMaxIdBytes) : std::string_view{});
    info.config_bytes = static_cast<std::uint32_t>(spec.config.size());
    info.keep_checkpoints = spec.keep_checkpoints;
    std::copy(spec.boot_id.begin(), spec.boot_id.end(), info.boot_id);
    info.shm_device = spec.shm_device;
    info.shm_identity = spec.shm_identity;
    std::memcpy(block_.data() + sizeof(BlockHeader), &info, sizeof info);
    std::memcpy(block_.data() + sizeof(BlockHeader) + sizeof info, spec.config.data(), spec.config.size());
    if (const IoError error = finish_block()) return error;
    if (const IoError error = prepared.write_at(block_.data(), block_.size(), 0)) return error;
    if (const IoError error = prepared.sync()) return error;
    // Before it has its name: whoever finds it finds it locked.
    if (const IoError error = prepared.try_lock()) return error;
    CRASH_POINT("journal file written");
    if (const IoError error = keep_what_is_sealed(directory, journal_name(spec.first_seq), spec.key)) return error;
    if (const IoError error = directory.rename(temporary, journal_name(spec.first_seq))) return error;
    CRASH_POINT("journal file named");
    if (const IoError error = directory.sync()) return error;
    CRASH_POINT("journal file begun");
    file_ = std::move(prepared);
    last_ = File();
    position_ = block_.size();
    hash_ = events_hash_ = hash_of_block(block_);
    return {};
}

IoError JournalWriter::resume(File file, const FileSpec& spec, const End& end) {
    if (const IoError error = file.try_lock()) return error;
    file_ = std::move(file);
    spec_ = spec;
    signer_ = Signer(spec.key);
    bytes_ = end.bytes;
    position_ = end.position;
    next_seq_ = end.next_seq;
    hash_ = end.hash;
    events_hash_ = end.events_hash;
    return {};
}

void JournalWriter::close() noexcept {
    if (file_.is_open()) last_ = std::move(file_);
    file_ = File();
}

void JournalWriter::leave() noexcept {
    file_ = File();
    last_ = File();
}

bool JournalWriter::has_room_for(std::span<const layout::Event> events) const noexcept {
    // One page stays for the seal behind it.
    return position_ + pages(sizeof(BlockHeader) + bytes_in_journal(events)) + kBlockPage <= bytes_;
}

IoError JournalWriter::append(std::span<const layout::Event> events, std::uint64_t durable_upto, std::int64_t time_ns) {
    start_block(BlockKind::events, bytes_in_journal(events));
    BlockHeader& h = header_in(block_);
    h.last_seq = next_seq_ + events.size() - 1;
    h.durable_upto = durable_upto;
    h.time_ns = time_ns;
    std::byte* to = block_.data() + sizeof(BlockHeader);
    for (const layout::Event& event : events) {
        std::memcpy(to, event.words, 8ULL * event.header.words);
        to += layout::class_bytes(event.header.words);
    }
    if (const IoError error = finish_block()) return error;
    if (const IoError error = file_.write_at(block_.data(), block_.size(), position_)) return error;
    CRASH_POINT("block written");
    position_ += block_.size();
    next_seq_ += events.size();
    hash_ = events_hash_ = hash_of_block(block_);
    return {};
}

IoError JournalWriter::seal(std::uint64_t durable_upto, std::int64_t time_ns) {
    if (position_ + kBlockPage > bytes_) return {};
    start_block(BlockKind::seal, 0);
    BlockHeader& h = header_in(block_);
    h.durable_upto = durable_upto;
    h.time_ns = time_ns;
    if (const IoError error = finish_block()) return error;
    if (const IoError error = file_.write_at(block_.data(), block_.size(), position_)) return error;
    CRASH_POINT("seal written");
    position_ += block_.size();
    hash_ = hash_of_block(block_);
    return {};
}

}  // namespace riskreg::persist
