#include "support/disk_model.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>
#include <stdexcept>

namespace riskreg::test {

using interpose::Record;

namespace {

constexpr std::uint64_t kSector = 512;

void put(std::string& content, std::uint64_t offset, const char* bytes, std::size_t size) {
    if (content.size() < offset + size) content.resize(offset + size, '\0');
    std::memcpy(content.data() + offset, bytes, size);
}

/// The pieces of a write, cut where the sectors of the disk end.
template <class Piece>
void for_each_sector(std::uint64_t offset, std::size_t size, Piece piece) {
    for (std::size_t at = 0; at < size;) {
        const std::size_t length = std::min<std::size_t>(size - at, kSector - (offset + at) % kSector);
        piece(at, length);
        at += length;
    }
}

Content content_of(std::string bytes) {
    const std::uint64_t hash = std::hash<std::string>()(bytes);
    return {std::make_shared<const std::string>(std::move(bytes)), hash};
}

bool is_temporary(const std::string& name) { return name.empty() || name.starts_with(".tmp-"); }

/// The bytes are there already, as far as anybody can tell.
bool changes_nothing(const std::string& content, std::uint64_t offset, std::string_view bytes) {
    return offset + bytes.size() <= content.size() && std::string_view(content).substr(offset, bytes.size()) == bytes;
}

}  // namespace

std::vector<TraceRecord> read_trace(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    std::vector<TraceRecord> records;
    for (std::size_t at = 0; at + sizeof(interpose::RecordHead) <= bytes.size();) {
        TraceRecord& record = records.emplace_back();
        std::memcpy(&record.head, bytes.data() + at, sizeof record.head);
        at += sizeof record.head;
        const Record kind = record.head.kind;
        const bool only_head =
            kind == Record::sync_end || kind == Record::directory_sync_end || kind == Record::parent_sync_end;
        if (only_head) continue;
        record.bytes = bytes.substr(at, record.head.size);
        at += record.head.size;
    }
    return records;
}

void Disk::add_file(const std::string& name, std::uint64_t inode, std::string bytes) {
    numbers_[inode] = inodes_.size();
    certain_entries_[name] = inodes_.size();
    inodes_.push_back({std::move(bytes), {}, {}});
}

Disk::Inode& Disk::inode_of(std::uint64_t number) {
    const auto found = numbers_.find(number);
    if (found == numbers_.end()) throw std::runtime_error("the trace names a file that nobody made");
    return inodes_[found->second];
}

void Disk::apply(const TraceRecord& record) {
    const interpose::RecordHead& head = record.head;
    ++stamp_;
    take(record);
    const bool changes = head.kind != Record::answer && head.kind != Record::sync_begin;
    if (changes) look_again();
}

void Disk::take(const TraceRecord& record) {
    const interpose::RecordHead& head = record.head;
    switch (head.kind) {
        case Record::create:
            numbers_[head.inode] = inodes_.size();
            changes_.push_back({stamp_, {}, record.bytes, inodes_.size()});
            inodes_.emplace_back();
            return;
        case Record::write: inode_of(head.inode).writes.push_back({stamp_, head.at, record.bytes, false}); return;
        case Record::sync_begin:
        case Record::directory_sync_begin: begun_[head.at] = stamp_; return;
        case Record::sync_end: return end_sync(inode_of(head.inode), begun_.at(head.at), head.size == 1);
        case Record::directory_sync_end:
            if (head.size == 1) end_directory_sync(begun_.at(head.at));
            return;
        case Record::rename: {
            const std::size_t cut = record.bytes.find('\0');
            const std::string from = record.bytes.substr(0, cut), to = record.bytes.substr(cut + 1);
            changes_.push_back({stamp_, from, to, numbers_.at(head.inode)});
            return;
        }
        case Record::unlink: changes_.push_back({stamp_, record.bytes, {}, 0}); return;
        case Record::answer:
        case Record::make_directory:
        case Record::parent_sync_end: return;
    }
}

void Disk::end_sync(Inode& inode, std::uint64_t begun, bool succeeded) {
    if (!rules_.file_syncs_count) return;
    std::vector<Write> left;
    for (Write& write : inode.writes) {
        const bool covered = write.stamp < begun && !write.lost;
        if (covered && succeeded) {
            inode.known = {};
            put(inode.certain, write.offset, write.bytes.data(), write.bytes.size());
            // What was lost below it is overwritten for good.
            std::erase_if(left, [&](const Write& other) {
                return other.lost && other.offset >= write.offset &&
                       other.offset + other.bytes.size() <= write.offset + write.bytes.size();
            });
            continue;
        }
        write.lost = write.lost || covered;
        left.push_back(std::move(write));
    }
    inode.writes = std::move(left);
}

void Disk::end_directory_sync(std::uint64_t begun) {
    if (!rules_.directory_syncs_count) return;
    std::vector<Change> left;
    for (Change& change : changes_) {
        if (change.stamp >= begun) {
            left.push_back(std::move(change));
            continue;
        }
        if (!change.removed.empty()) certain_entries_.erase(change.removed);
        if (!change.added.empty()) certain_entries_[change.added] = change.inode;
    }
    changes_ = std::move(left);
}

std::set<std::size_t> Disk::inodes_with_a_name() const {
    std::set<std::size_t> inodes;
    for (const auto& [name, inode] : certain_entries_)
        if (!is_temporary(name)) inodes.insert(inode);
    for (const Change& change : changes_)
        if (!is_temporary(change.added)) inodes.insert(change.inode);
    return inodes;
}

/// What is uncertain and would make a difference.
void Disk::look_again() {
    pieces_.clear();
    relevant_.clear();
    for (std::size_t i = 0; i < changes_.size(); ++i)
        if (!is_temporary(changes_[i].added) || !is_temporary(changes_[i].removed)) relevant_.push_back(i);
    for (const std::size_t inode : inodes_with_a_name()) {
        const std::vector<Write>& writes = inodes_[inode].writes;
        for (std::size_t w = 0; w < writes.size(); ++w)
            for_each_sector(writes[w].offset, writes[w].bytes.size(), [&](std::size_t at, std::size_t size) {
                const std::string_view bytes = std::string_view(writes[w].bytes).substr(at, size);
                if (!changes_nothing(inodes_[inode].certain, writes[w].offset + at, bytes))
                    pieces_.push_back({inode, w, at, size});
            });
    }
}

Content Disk::content_after(std::size_t number, const Choice& choice) const {
    const Inode& inode = inodes_[number];
    if (inode.writes.empty()) {
        if (!inode.known.bytes) inode.known = content_of(inode.certain);
        return inode.known;
    }
    std::string content = inode.certain;
    std::size_t length = content.size();
    for (const Write& write : inode.writes) length = std::max<std::size_t>(length, write.offset + write.bytes.size());
    if (choice.lengths) content.resize(length, '\0');
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
        const Piece& piece = pieces_[i];
        if (piece.inode != number || !choice.pieces[i]) continue;
        const Write& write = inode.writes[piece.write];
        put(content, write.offset + piece.at, write.bytes.data() + piece.at, piece.size);
    }
    return content_of(std::move(content));
}

Files Disk::crash(const Choice& choice) const {
    std::map<std::string, std::size_t> entries = certain_entries_;
    for (std::size_t i = 0; i < relevant_.size(); ++i) {
        if (!choice.changes[i]) continue;
        const Change& change = changes_[relevant_[i]];
        if (!change.removed.empty()) entries.erase(change.removed);
        if (!change.added.empty()) entries[change.added] = change.inode;
    }
    Files files;
    for (const auto& [name, inode] : entries)
        if (!is_temporary(name)) files[name] = content_after(inode, choice);
    return files;
}

}  // namespace riskreg::test
