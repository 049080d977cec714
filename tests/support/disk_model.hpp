/// What a disk may hold after the power failed: built from a trace of writes, syncs, creations, renames and removals.
///
/// A write is certain once a sync of its file that began later has succeeded; before that any of its 512-byte sectors may
/// be there, in any order. A creation, rename or removal is certain once a sync of the directory that began later has
/// succeeded. A write whose sync failed is never certain again.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "support/interpose.hpp"

namespace riskreg::test {

struct TraceRecord {
    interpose::RecordHead head;
    std::string bytes;
};
[[nodiscard]] std::vector<TraceRecord> read_trace(const std::string& path);

/// Bytes that many states share, and their hash.
struct Content {
    std::shared_ptr<const std::string> bytes;
    std::uint64_t hash = 0;
};
/// Files by name, as after a crash.
using Files = std::map<std::string, Content>;

/// What is believed of the disk. The controls of the test believe less than what holds.
struct DiskRules {
    bool file_syncs_count = true;
    bool directory_syncs_count = true;
};

/// One choice among the uncertain: for each piece (a sector that would change something), and for each change of the
/// directory, whether it is there.
struct Choice {
    std::vector<bool> pieces, changes;
    bool lengths = false;   ///< the new length of a file is on disk, whatever of the data is
};

class Disk {
public:
    explicit Disk(const DiskRules& rules = {}) : rules_(rules) {}
    /// Certain content from before the trace begins.
    void add_file(const std::string& name, std::uint64_t inode, std::string bytes);

    void apply(const TraceRecord& record);
    /// How much is uncertain now; temporary files, which nothing reads, are left out.
    [[nodiscard]] std::size_t pieces() const noexcept { return pieces_.size(); }
    [[nodiscard]] std::size_t changes() const noexcept { return relevant_.size(); }
    [[nodiscard]] Files crash(const Choice& choice) const;

private:
    struct Write {
        std::uint64_t stamp = 0, offset = 0;
        std::string bytes;
        bool lost = false;   // its sync failed
    };
    struct Inode {
        std::string certain;
        std::vector<Write> writes;
        mutable Content known;   // of `certain`, once somebody asked
    };
    struct Change {
        std::uint64_t stamp = 0;
        std::string removed, added;   // empty: none
        std::size_t inode = 0;
    };
    void take(const TraceRecord& record);
    void end_sync(Inode& inode, std::uint64_t begun, bool succeeded);
    void end_directory_sync(std::uint64_t begun);
    void look_again();
    [[nodiscard]] std::set<std::size_t> inodes_with_a_name() const;
    [[nodiscard]] Content content_after(std::size_t inode, const Choice& choice) const;
    struct Piece {
        std::size_t inode = 0, write = 0, at = 0, size = 0;
    };
    [[nodiscard]] Inode& inode_of(std::uint64_t number);

    DiskRules rules_;
    std::uint64_t stamp_ = 0;
    std::vector<Inode> inodes_;
    std::map<std::uint64_t, std::size_t> numbers_;          // of the kernel, which uses them again
    std::map<std::string, std::size_t> certain_entries_;
    std::vector<Change> changes_;
    std::map<std::uint64_t, std::uint64_t> begun_;          // token of a sync → stamp
    std::vector<Piece> pieces_;                             // of files with a name, in the order of their writes
    std::vector<std::size_t> relevant_;                     // changes_ of names that somebody reads
};

}  // namespace riskreg::test
