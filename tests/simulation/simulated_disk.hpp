/// One directory on a disk that exists in memory: what its files hold for who reads them, what of it would survive a loss
/// of power, and faults drawn from a seed.
///
/// Honest hardware (every world): calls fail, writes stop half way, a failed sync loses any of the pages and marks all of
/// them clean, a loss of power leaves of every sector that was not synced the old bytes, the new ones, both or garbage, and
/// of every entry that was not synced the old name or the new one. What was synced stays.
/// Hardware that lies (worlds with `lies`): synced sectors and entries that never arrived, arrived in part or in another
/// place, and bits that turn over.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "simulation/trace.hpp"
#include "support/random.hpp"

namespace riskreg::simulation {

/// The kinds of fault that are counted. Those from `lost_write` on are lies.
enum class Fault : std::uint8_t {
    short_write,
    no_space,
    interrupted,
    write_error,
    failed_sync,
    failed_directory_sync,
    failed_name,
    failed_read,
    power_loss,
    kill,
    torn_sector,
    garbage_sector,
    lost_sector,
    lost_name,
    lost_write,
    torn_write,
    misdirected_write,
    rot,
    lost_entry,
    count,
};
[[nodiscard]] std::string_view name_of(Fault fault) noexcept;
using FaultCounts = std::array<std::uint64_t, static_cast<std::size_t>(Fault::count)>;

/// How often, in 10,000 calls (lies: sectors).
struct Odds {
    std::uint32_t write = 0, sync = 0, name = 0, read = 0;
    std::uint32_t lie = 0;      ///< a synced sector that is lost, torn or misdirected
    std::uint32_t rot = 0;      ///< a bit turns over, by call
    std::uint32_t entry = 0;    ///< a synced entry that is lost
};

class Disk {
public:
    Disk(std::uint64_t seed, Odds odds, Trace& trace);
    Disk(const Disk&) = delete;
    Disk& operator=(const Disk&) = delete;

    // ---- what the program sees: 0 or an error number --------------------------------------------
    int create(const std::string& name, int& handle);
    int open(const std::string& name, int& handle);
    void close(int handle) noexcept;
    int write(int handle, const std::byte* bytes, std::size_t size, std::uint64_t offset);
    int read(int handle, std::byte* bytes, std::size_t size, std::uint64_t offset, std::size_t& got);
    int sync(int handle);
    int size(int handle, std::uint64_t& bytes);
    [[nodiscard]] bool is_linked(int handle) const noexcept;
    /// Which file it is, whatever its name; −1: none.
    [[nodiscard]] int identity(int handle) const noexcept;
    void drop_cache(int handle) noexcept;
    int rename(const std::string& from, const std::string& to);
    int link(const std::string& from, const std::string& to);
    int remove(const std::string& name);
    int sync_directory();
    int list(std::vector<std::string>& names);

    // ---- what happens to it ---------------------------------------------------------------------
    /// The machine, or only the process, stops at the n-th call from now on. Every call then fails, until `restart`.
    void stop_after(std::uint64_t calls, bool power) noexcept;
    void never_stop() noexcept { calls_left_ = ~0ULL; }
    [[nodiscard]] bool is_stopped() const noexcept { return stopped_; }
    /// The process runs again. After a loss of power with what the disk holds, otherwise with what the cache held.
    void restart(bool power);
    /// Everything that writes fails for the next calls: a full disk, a controller that is gone for a while.
    void fail_for(std::uint64_t calls) noexcept { failing_calls_ = faults_on_ ? calls : 0; }
    /// Calls fail at random, or, while nothing is to be proved by it, they do not.
    void set_faults(bool on) noexcept {
        faults_on_ = on;
        failing_calls_ = 0;
    }

    // ---- for the driver -------------------------------------------------------------------------
    [[nodiscard]] const FaultCounts& faults() const noexcept { return counts_; }
    /// The hardware has lied: from now on it is not honest any more.
    [[nodiscard]] bool has_lied() const noexcept;
    /// Faults of calls so far: what an error may be due to.
    [[nodiscard]] std::uint64_t failed_calls() const noexcept { return failed_calls_; }
    /// The file of this name was removed or replaced, and that was synced; and it is there again.
    [[nodiscard]] bool came_back(const std::string& name) const;
    /// What would be read from the file of this name now. Not a call of the program.
    [[nodiscard]] const std::vector<std::byte>* peek(const std::string& name) const;
    [[nodiscard]] std::vector<std::string> names() const;
    [[nodiscard]] std::size_t sector() const noexcept { return sector_; }
    /// Negative control: a program that never syncs its checkpoints.
    bool ignores_sync_of_checkpoints = false;

private:
    struct Inode {
        std::vector<std::byte> cache, media;    // what reading gives, and what the disk holds
        std::vector<bool> dirty;                // by sector: written, and not known to be on the disk
        bool is_checkpoint = false;
    };
    struct NameChange {
        std::string name;
        int inode;                              // −1: removed
        bool with_next;                         // one change with the one behind it
    };
    using Names = std::map<std::string, int>;

    bool proceed();
    bool draw(std::uint32_t per_ten_thousand);
    [[nodiscard]] bool fails(std::uint32_t per_ten_thousand);
    int fail(Fault fault, int number);
    void count(Fault fault) noexcept { ++counts_[static_cast<std::size_t>(fault)]; }
    [[nodiscard]] Inode* inode_of(int handle) noexcept;
    int new_handle(int inode);
    void put(Inode& inode, const std::byte* bytes, std::size_t size, std::uint64_t offset);
    void copy_sector(Inode& inode, std::size_t sector, std::size_t bytes);
    void write_through(Inode& inode, std::size_t sector);
    void misdirect(const Inode& from, std::size_t sector);
    void fail_sync(Inode& inode);
    void forget_clean_pages(Inode& inode);
    void lose_power_of(Inode& inode);
    void lose_sector(Inode& inode, std::size_t sector);
    void lose_names();
    void turn_a_bit();
    void write_back();
    void evict();
    [[nodiscard]] std::size_t bytes_of(std::size_t total, std::size_t sector) const noexcept;

    test::Random random_;
    Odds odds_;
    Trace& trace_;
    std::size_t sector_;
    bool drops_failed_pages_;                   // what is read after a failed sync: the old bytes, or still the new ones
    bool renames_tear_;                         // the halves of a rename reach the disk on their own
    std::vector<std::unique_ptr<Inode>> inodes_;
    std::vector<int> handles_;                  // inode, or −1
    Names names_, durable_;
    std::set<int> came_back_;                   // inodes whose removal was synced and lost
    std::vector<NameChange> pending_;
    std::uint64_t calls_left_ = ~0ULL;
    std::uint64_t failing_calls_ = 0;
    bool power_stops_ = false;
    bool stopped_ = false;
    bool faults_on_ = true;
    std::uint64_t failed_calls_ = 0;
    FaultCounts counts_{};
};

/// The disk that the calls of persist go to.
void mount(Disk* disk) noexcept;
/// The one key file that there is; persist reads it by this path.
inline constexpr const char* kKeyFile = "/simulated/key";
inline constexpr const char* kSecret = "a secret of sixteen bytes or more";

}  // namespace riskreg::simulation
