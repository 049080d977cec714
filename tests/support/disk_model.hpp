/// What a disk may hold after the power failed: built from a trace of writes, syncs, creations, renames and removals.
///
/// A write is certain once a sync of its file that began later has succeeded; before that any of its 512-byte sectors may
/// be there, in any order. A creation, rename or removal is certain once a sync of the directory that began later has
/// succeeded. A write whose sync failed is never certain again.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
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

/// Which of what is not certain is there.
enum class Torn : std::uint8_t { none, all, prefix, last_only, all_but_one, random_sectors, random_writes, zeroes };
inline constexpr std::uint8_t kTornKinds = 8;
enum class Entries : std::uint8_t { none, all, prefix, random };
inline constexpr std::uint8_t kEntriesKinds = 4;

class Disk {
public:
    explicit Disk(const DiskRules& rules = {}) : rules_(rules) {}
    /// Certain content from before the trace begins.
    void add_file(const std::string& name, std::uint64_t inode, std::string bytes);

    void apply(const TraceRecord& record);
    [[nodiscard]] bool has_uncertain_data() const;
    [[nodiscard]] bool has_uncertain_entries() const noexcept { return !changes_.empty(); }
    /// One legal state. Temporary files are left out: nothing reads them.
    [[nodiscard]] Files crash(Torn torn, Entries entries, std::mt19937_64& random) const;

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
    void end_sync(Inode& inode, std::uint64_t begun, bool succeeded);
    void end_directory_sync(std::uint64_t begun);
    [[nodiscard]] std::map<std::string, std::size_t> entries_after(Entries entries, std::mt19937_64& random) const;
    [[nodiscard]] static Content content_after(const Inode& inode, Torn torn, std::mt19937_64& random);
    [[nodiscard]] Inode& inode_of(std::uint64_t number);

    DiskRules rules_;
    std::uint64_t stamp_ = 0;
    std::vector<Inode> inodes_;
    std::map<std::uint64_t, std::size_t> numbers_;          // of the kernel, which uses them again
    std::map<std::string, std::size_t> certain_entries_;
    std::vector<Change> changes_;
    std::map<std::uint64_t, std::uint64_t> begun_;          // token of a sync → stamp
};

}  // namespace riskreg::test
