#include "persist/journal_reader.hpp"

#include <algorithm>
#include <cstring>
#include <system_error>

namespace riskreg::persist {

namespace {

constexpr std::size_t kReadAhead = 1U << 20;
constexpr std::size_t kMaxBlockBytes =
    (sizeof(BlockHeader) + kMaxBlockEvents * sizeof(layout::Event) + kBlockPage - 1) / kBlockPage * kBlockPage;

bool is_zero(std::span<const std::byte> bytes) noexcept {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{}; });
}

BlockHeader header_at(std::span<const std::byte> bytes) noexcept {
    BlockHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    return header;
}

/// The whole first block, believed for now.
std::string read_file_block(const File& file, FileHead& head, std::vector<std::byte>& block, IoError* io) {
    const auto unreadable = [io](IoError error) {
        if (io != nullptr) *io = error;
        return error.text();
    };
    if (const IoError error = file.size(head.size)) return unreadable(error);
    block.resize(kBlockPage);
    std::size_t got = 0;
    if (const IoError error = file.read_at(block.data(), kBlockPage, 0, got)) return unreadable(error);
    if (got < kBlockPage) return "shorter than one page";
    head.header = header_at(block);
    const BlockHeader& h = head.header;
    if (h.magic != kBlockMagic) return "does not begin with a journal's magic";
    if (h.version != kJournalVersion)
        return "journal version " + std::to_string(h.version) + ", this build reads " + std::to_string(kJournalVersion) +
               ": checkpoint with the build that wrote it, then `riskctl migrate` the checkpoint and move the old journals "
               "away";
    const bool sane = h.kind == BlockKind::file && h.length % kBlockPage == 0 && h.length >= kBlockPage &&
                      h.length <= kMaxConfigBytes + 2 * kBlockPage && h.length <= head.size && h.payload >= sizeof(FileInfo) &&
                      h.payload <= h.length - sizeof(BlockHeader);
    if (!sane) return "its first block is not a file block";
    block.resize(h.length);
    if (const IoError error = file.read_at(block.data(), block.size(), 0, got)) return unreadable(error);
    if (got < block.size() || checksum_of_block(block) != h.checksum) return "checksum of the file block is wrong";
    std::memcpy(&head.info, block.data() + sizeof(BlockHeader), sizeof(FileInfo));
    if (head.info.config_bytes != h.payload - sizeof(FileInfo)) return "length of the configuration does not fit its block";
    head.config.assign(reinterpret_cast<const char*>(block.data()) + sizeof(BlockHeader) + sizeof(FileInfo),
                       head.info.config_bytes);
    head.registry = std::string(head.info.name_begin.view()).append(head.info.name_end.view());
    head.hash = hash_of_block(block);
    return {};
}

}  // namespace

std::string peek_head(const File& file, FileHead& head, IoError* io) {
    std::vector<std::byte> block;
    return read_file_block(file, head, block, io);
}

std::string read_head(const File& file, FileHead& head, const Key& key, IoError* io) {
    std::vector<std::byte> block;
    if (std::string wrong = read_file_block(file, head, block, io); !wrong.empty()) return wrong;
    Signer signer(key);
    const Signature signature = judge_signature(signer, block, head.header);
    if (signature == Signature::no_memory && io != nullptr) *io = {static_cast<int>(std::errc::not_enough_memory)};
    return describe(signature, key.file);
}

JournalReader::JournalReader(const File& file, const FileHead& head, const Key& key)
    : file_(file),
      head_(head),
      signer_(key),
      position_(head.header.length),
      hash_(head.hash),
      events_hash_(head.hash),
      expected_(head.header.first_seq) {}

/// A view of `size` bytes at `offset`; shorter at the end of the file or after an error.
std::span<const std::byte> JournalReader::bytes_at(std::uint64_t offset, std::size_t size) {
    const bool there = offset >= buffer_at_ && offset + size <= buffer_at_ + buffer_size_;
    if (!there) {
        buffer_.resize(std::max(kReadAhead, size));
        buffer_at_ = offset;
        error_ = file_.read_at(buffer_.data(), buffer_.size(), offset, buffer_size_);
        if (error_) buffer_size_ = 0;
    }
    const std::size_t from = offset - buffer_at_;
    return {buffer_.data() + from, std::min(size, buffer_size_ - std::min(from, buffer_size_))};
}

/// What makes a header believable enough to read the block that it describes.
std::string JournalReader::check_header(const BlockHeader& h) const {
    if (h.magic != kBlockMagic) return "no block";
    const bool kind = h.kind == BlockKind::events || h.kind == BlockKind::seal;
    const bool ours =
        h.version == kJournalVersion && kind && h.file_number == head_.header.file_number && h.epoch == head_.header.epoch;
    if (!ours) return "a block of another file, version or registry";
    const bool sized = h.length % kBlockPage == 0 && h.length >= kBlockPage && h.length <= kMaxBlockBytes &&
                       h.payload <= h.length - sizeof(BlockHeader) && h.payload % layout::class_bytes(layout::kShortWords) == 0;
    if (!sized) return "lengths that do not fit";
    // Each event takes 256 or 512 bytes; which, it says itself.
    const std::uint64_t count = h.last_seq + 1 - h.first_seq;
    const std::uint64_t most = h.payload / layout::class_bytes(layout::kShortWords);
    const std::uint64_t least = (h.payload + sizeof(layout::Event) - 1) / sizeof(layout::Event);
    const bool counted = count >= least && count <= std::min<std::uint64_t>(most, kMaxBlockEvents) &&
                         (h.kind == BlockKind::seal) == (count == 0);
    return counted ? std::string() : "a number of events that does not fit its sequence numbers";
}

/// Empty when the payload is `count` whole events with nothing between them.
std::string JournalReader::take_events(std::span<const std::byte> payload, std::size_t count) {
    events_.assign(count, layout::Event{});
    for (std::size_t i = 0; i < count; ++i) {
        if (payload.size() < sizeof(layout::EventHeader)) return "an event that is cut off";
        const auto words = static_cast<std::size_t>(payload[offsetof(layout::EventHeader, words)]);
        if (!layout::is_word_count(words)) return "an event of " + std::to_string(words) + " words, allowed: 32 to 64";
        const std::size_t bytes = layout::class_bytes(words);
        if (payload.size() < bytes) return "an event that is cut off";
        layout::Event& event = events_[i];
        std::memcpy(event.words, payload.data(), 8 * words);
        if (!is_zero(payload.subspan(8 * words, bytes - 8 * words))) return "bytes behind the end of an event";
        const std::uint64_t seq = expected_ + i;
        if (event.header.seq != seq || event.header.checksum != layout::checksum_of(event, seq))
            return "an event whose own checksum is wrong";
        payload = payload.subspan(bytes);
    }
    return payload.empty() ? std::string() : "bytes behind its last event";
}

bool JournalReader::is_whole_block(std::uint64_t offset, BlockHeader& header) {
    const auto first = bytes_at(offset, sizeof(BlockHeader));
    if (first.size() < sizeof(BlockHeader)) return false;
    header = header_at(first);
    if (!check_header(header).empty()) return false;
    const auto block = bytes_at(offset, header.length);
    return block.size() == header.length && checksum_of_block(block) == header.checksum;
}

bool JournalReader::next(Block& block) {
    const auto page = bytes_at(position_, kBlockPage);
    const auto end = [this](std::string why) { return ending_ = std::move(why), false; };
    if (error_) return end("cannot be read: " + error_.text());
    if (page.empty()) return end("end of the file");
    if (is_zero(page)) return end("zeroes");
    if (page.size() < kBlockPage) return end("a page that is cut off");
    const BlockHeader header = header_at(page);
    if (std::string wrong = check_header(header); !wrong.empty()) return end(std::move(wrong));
    const auto bytes = bytes_at(position_, header.length);
    if (error_) return end("cannot be read: " + error_.text());
    if (bytes.size() < header.length) return end("a block that is cut off");
    if (checksum_of_block(bytes) != header.checksum) return end("a wrong checksum");
    const Signature signature = judge_signature(signer_, bytes, header);
    if (signature == Signature::no_memory) error_ = {static_cast<int>(std::errc::not_enough_memory)};
    if (signature != Signature::ours) return end("a block that " + describe(signature, signer_.key_file()));
    if (header.previous_hash != hash_) return end("a broken hash chain");
    if (header.first_seq != expected_) return end("a sequence number that is not the next one");
    const std::size_t count = header.last_seq + 1 - header.first_seq;
    if (std::string wrong = take_events(bytes.subspan(sizeof(BlockHeader), header.payload), count); !wrong.empty())
        return end(std::move(wrong));
    block.header = header;
    block.events = events_;
    block.position = position_;
    block.hash = hash_ = hash_of_block(bytes);
    if (count > 0) events_hash_ = hash_;
    position_ += header.length;
    expected_ = header.last_seq + 1;
    durable_upto_ = std::max(durable_upto_, header.durable_upto);
    return true;
}

Behind JournalReader::look_behind() {
    Behind behind;
    for (std::uint64_t at = position_;; at += kBlockPage) {
        const auto page = bytes_at(at, kBlockPage);
        if (page.empty()) break;
        if (is_zero(page)) continue;
        behind.only_zeroes = false;
        BlockHeader header;
        const bool whole = is_whole_block(at, header);
        // Read on, the next page would hide it.
        if (error_) break;
        if (!whole) continue;
        ++behind.valid_blocks;
        behind.durable_upto = std::max(behind.durable_upto, header.durable_upto);
        behind.last_seq = std::max(behind.last_seq, header.last_seq);
    }
    return behind;
}

}  // namespace riskreg::persist
