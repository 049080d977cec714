#include "support/disk_model.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>
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

std::size_t below(std::size_t end, std::mt19937_64& random) { return end == 0 ? 0 : random() % end; }

Content content_of(std::string bytes) {
    const std::uint64_t hash = std::hash<std::string>()(bytes);
    return {std::make_shared<const std::string>(std::move(bytes)), hash};
}

bool is_temporary(const std::string& name) { return name.starts_with(".tmp-"); }

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

bool Disk::has_uncertain_data() const {
    return std::any_of(inodes_.begin(), inodes_.end(), [](const Inode& inode) { return !inode.writes.empty(); });
}

std::map<std::string, std::size_t> Disk::entries_after(Entries entries, std::mt19937_64& random) const {
    std::map<std::string, std::size_t> after = certain_entries_;
    std::size_t count = entries == Entries::none ? 0 : changes_.size();
    if (entries == Entries::prefix) count = below(changes_.size() + 1, random);
    for (std::size_t i = 0; i < count; ++i) {
        if (entries == Entries::random && random() % 2 == 0) continue;
        if (!changes_[i].removed.empty()) after.erase(changes_[i].removed);
        if (!changes_[i].added.empty()) after[changes_[i].added] = changes_[i].inode;
    }
    return after;
}

Content Disk::content_after(const Inode& inode, Torn torn, std::mt19937_64& random) {
    if (torn == Torn::none || inode.writes.empty()) {
        if (!inode.known.bytes) inode.known = content_of(inode.certain);
        return inode.known;
    }
    std::string content = inode.certain;
    std::size_t sectors = 0, whole = 0;
    for (const Write& write : inode.writes) for_each_sector(write.offset, write.bytes.size(), [&](std::size_t, std::size_t) { ++sectors; });
    const std::size_t chosen = below(sectors, random);
    const std::size_t last = inode.writes.size() - 1;
    for (std::size_t i = 0; i <= last; ++i) {
        const Write& write = inode.writes[i];
        const bool this_write = random() % 2 == 0;
        for_each_sector(write.offset, write.bytes.size(), [&](std::size_t at, std::size_t size) {
            const std::size_t number = whole++;
            bool there = true;
            switch (torn) {
                case Torn::none:
                case Torn::zeroes: there = false; break;
                case Torn::all: break;
                case Torn::prefix: there = number < chosen; break;
                case Torn::last_only: there = i == last && (last > 0 || number >= chosen); break;
                case Torn::all_but_one: there = number != chosen; break;
                case Torn::random_sectors: there = random() % 2 == 0; break;
                case Torn::random_writes: there = this_write; break;
            }
            if (there) put(content, write.offset + at, write.bytes.data() + at, size);
            // The new length can be on disk before the data are.
            else if (torn == Torn::zeroes && content.size() < write.offset + at + size)
                content.resize(write.offset + at + size, '\0');
        });
    }
    return content_of(std::move(content));
}

Files Disk::crash(Torn torn, Entries entries, std::mt19937_64& random) const {
    Files files;
    for (const auto& [name, inode] : entries_after(entries, random))
        if (!is_temporary(name)) files[name] = content_after(inodes_[inode], torn, random);
    return files;
}

}  // namespace riskreg::test
