#include "simulation/simulated_disk.hpp"

#include <errno.h>

#include <algorithm>
#include <cstring>

#include "persist/checkpoint.hpp"

namespace riskreg::simulation {

std::string_view name_of(Fault fault) noexcept {
    constexpr std::array<std::string_view, static_cast<std::size_t>(Fault::count)> kNames = {"short write",
                                                                                             "no space",
                                                                                             "interrupted",
                                                                                             "write error",
                                                                                             "failed sync",
                                                                                             "failed directory sync",
                                                                                             "failed create/open/rename",
                                                                                             "failed read",
                                                                                             "power loss",
                                                                                             "kill",
                                                                                             "torn sector",
                                                                                             "garbage sector",
                                                                                             "unsynced sector gone",
                                                                                             "unsynced name gone",
                                                                                             "LOST SYNCED WRITE",
                                                                                             "TORN SYNCED WRITE",
                                                                                             "MISDIRECTED WRITE",
                                                                                             "BIT ROT",
                                                                                             "LOST SYNCED NAME"};
    return kNames[static_cast<std::size_t>(fault)];
}

namespace {
// In 10,000 calls: the kernel writes pages of its own accord, or forgets some that it has written.
constexpr std::uint32_t kWriteBack = 150;
constexpr std::uint32_t kEvict = 100;
}  // namespace

Disk::Disk(std::uint64_t seed, Odds odds, Trace& trace)
    : random_(seed),
      odds_(odds),
      trace_(trace),
      sector_(random_.percent(50) ? 512 : 4096),
      drops_failed_pages_(random_.percent(50)),
      renames_tear_(random_.percent(25)) {}

// ---- calls --------------------------------------------------------------------------------------

bool Disk::has_lied() const noexcept {
    for (auto lie = static_cast<std::size_t>(Fault::lost_write); lie < counts_.size(); ++lie)
        if (counts_[lie] > 0) return true;
    return false;
}

/// One more call; false when nobody is there any more to make it.
bool Disk::proceed() {
    if (stopped_) return false;
    if (draw(kWriteBack)) write_back();
    if (draw(kEvict)) evict();
    if (odds_.rot != 0 && draw(odds_.rot)) turn_a_bit();
    if (calls_left_ == ~0ULL || --calls_left_ > 0) return true;
    stopped_ = true;
    count(power_stops_ ? Fault::power_loss : Fault::kill);
    trace_.note(power_stops_ ? "POWER LOSS" : "KILL");
    return false;
}

bool Disk::draw(std::uint32_t per_ten_thousand) {
    return faults_on_ && per_ten_thousand != 0 && random_.next() % 10'000 < per_ten_thousand;
}

/// A call that writes, syncs or names.
bool Disk::fails(std::uint32_t per_ten_thousand) {
    if (failing_calls_ > 0) return --failing_calls_, true;
    return draw(per_ten_thousand);
}

int Disk::fail(Fault fault, int number) {
    count(fault);
    ++failed_calls_;
    trace_.note(name_of(fault), static_cast<std::uint64_t>(number));
    return number;
}

void Disk::stop_after(std::uint64_t calls, bool power) noexcept {
    calls_left_ = std::max<std::uint64_t>(calls, 1);
    power_stops_ = power;
}

Disk::Inode* Disk::inode_of(int handle) noexcept {
    const auto at = static_cast<std::size_t>(handle);
    return handle >= 0 && at < handles_.size() && handles_[at] >= 0 ? inodes_[static_cast<std::size_t>(handles_[at])].get()
                                                                    : nullptr;
}

int Disk::new_handle(int inode) {
    const auto free = std::find(handles_.begin(), handles_.end(), -1);
    if (free != handles_.end()) return *free = inode, static_cast<int>(free - handles_.begin());
    handles_.push_back(inode);
    return static_cast<int>(handles_.size()) - 1;
}

int Disk::create(const std::string& name, int& handle) {
    if (!proceed()) return EIO;
    if (fails(odds_.name)) return fail(Fault::failed_name, random_.pick({ENOSPC, EMFILE, EIO}));
    if (names_.contains(name)) return EEXIST;
    const int inode = static_cast<int>(inodes_.size());
    inodes_.push_back(std::make_unique<Inode>());
    inodes_.back()->is_checkpoint = name.find("checkpoint") != std::string::npos;
    names_[name] = inode;
    pending_.push_back({name, inode, false});
    handle = new_handle(inode);
    trace_.note("create", static_cast<std::uint64_t>(inode));
    return 0;
}

int Disk::open(const std::string& name, int& handle) {
    if (!proceed()) return EIO;
    if (draw(odds_.read)) return fail(Fault::failed_name, random_.pick({EMFILE, EIO}));
    const auto found = names_.find(name);
    if (found == names_.end()) return ENOENT;
    handle = new_handle(found->second);
    return 0;
}

void Disk::close(int handle) noexcept {
    const auto at = static_cast<std::size_t>(handle);
    if (handle >= 0 && at < handles_.size()) handles_[at] = -1;
}

void Disk::put(Inode& inode, const std::byte* bytes, std::size_t size, std::uint64_t offset) {
    if (size == 0) return;
    const std::size_t end = offset + size;
    if (inode.cache.size() < end) inode.cache.resize(end);
    inode.dirty.resize((inode.cache.size() + sector_ - 1) / sector_);
    std::memcpy(inode.cache.data() + offset, bytes, size);
    for (std::size_t at = offset / sector_; at * sector_ < end; ++at) inode.dirty[at] = true;
}

int Disk::write(int handle, const std::byte* bytes, std::size_t size, std::uint64_t offset) {
    Inode* inode = inode_of(handle);
    if (inode == nullptr) return EBADF;
    if (stopped_) return EIO;
    const bool goes_on = proceed();
    if (goes_on && !fails(odds_.write)) {
        put(*inode, bytes, size, offset);
        trace_.note("write", static_cast<std::uint64_t>(handles_[static_cast<std::size_t>(handle)]), offset, size);
        return 0;
    }
    // The call that fails, or in which the machine stops, may have written a part.
    const std::size_t part = random_.percent(50) ? 0 : random_.next() % (size + 1);
    put(*inode, bytes, part, offset);
    if (!goes_on) return EIO;
    if (part > 0) count(Fault::short_write);
    const std::int64_t kind = random_.between(1, 100);
    if (kind <= 40) return fail(Fault::no_space, ENOSPC);
    if (kind <= 60) return fail(Fault::interrupted, EINTR);
    return fail(Fault::write_error, EIO);
}

int Disk::read(int handle, std::byte* bytes, std::size_t size, std::uint64_t offset, std::size_t& got) {
    got = 0;
    const Inode* inode = inode_of(handle);
    if (inode == nullptr) return EBADF;
    if (!proceed()) return EIO;
    if (draw(odds_.read)) return fail(Fault::failed_read, EIO);
    if (offset >= inode->cache.size()) return 0;
    got = std::min<std::size_t>(size, inode->cache.size() - offset);
    std::memcpy(bytes, inode->cache.data() + offset, got);
    return 0;
}

int Disk::size(int handle, std::uint64_t& bytes) {
    const Inode* inode = inode_of(handle);
    if (inode == nullptr) return EBADF;
    if (!proceed()) return EIO;
    bytes = inode->cache.size();
    return 0;
}

int Disk::identity(int handle) const noexcept {
    const auto at = static_cast<std::size_t>(handle);
    return handle >= 0 && at < handles_.size() ? handles_[at] : -1;
}

bool Disk::is_linked(int handle) const noexcept {
    const auto at = static_cast<std::size_t>(handle);
    if (stopped_ || handle < 0 || at >= handles_.size()) return false;
    return std::any_of(names_.begin(), names_.end(), [&](const auto& entry) { return entry.second == handles_[at]; });
}

int Disk::rename(const std::string& from, const std::string& to) {
    if (!proceed()) return EIO;
    if (fails(odds_.name)) return fail(Fault::failed_name, random_.pick({ENOSPC, EIO}));
    const auto found = names_.find(from);
    if (found == names_.end()) return ENOENT;
    const int inode = found->second;
    names_.erase(found);
    names_[to] = inode;
    pending_.push_back({from, -1, !renames_tear_});
    pending_.push_back({to, inode, false});
    trace_.note("rename", static_cast<std::uint64_t>(inode));
    return 0;
}

int Disk::link(const std::string& from, const std::string& to) {
    if (!proceed()) return EIO;
    if (fails(odds_.name)) return fail(Fault::failed_name, random_.pick({ENOSPC, EIO}));
    const auto found = names_.find(from);
    if (found == names_.end()) return ENOENT;
    if (names_.contains(to)) return EEXIST;
    const int inode = found->second;
    names_[to] = inode;
    pending_.push_back({to, inode, false});
    trace_.note("link", static_cast<std::uint64_t>(inode));
    return 0;
}

int Disk::remove(const std::string& name) {
    if (!proceed()) return EIO;
    const auto found = names_.find(name);
    if (found == names_.end()) return ENOENT;
    if (fails(odds_.name)) return fail(Fault::failed_name, EIO);
    trace_.note("remove", static_cast<std::uint64_t>(found->second));
    names_.erase(found);
    pending_.push_back({name, -1, false});
    return 0;
}

int Disk::list(std::vector<std::string>& names) {
    if (!proceed()) return EIO;
    if (draw(odds_.read)) return fail(Fault::failed_read, EIO);
    for (const auto& [name, inode] : names_) names.push_back(name);
    return 0;
}

// ---- syncing ------------------------------------------------------------------------------------

std::size_t Disk::bytes_of(std::size_t total, std::size_t sector) const noexcept {
    const std::size_t begin = sector * sector_;
    return begin >= total ? 0 : std::min(sector_, total - begin);
}

/// The first `bytes` of a sector, from the cache to the disk.
void Disk::copy_sector(Inode& inode, std::size_t sector, std::size_t bytes) {
    const std::size_t begin = sector * sector_;
    const std::size_t size = std::min(bytes, bytes_of(std::min(inode.cache.size(), inode.media.size()), sector));
    if (size > 0) std::memcpy(inode.media.data() + begin, inode.cache.data() + begin, size);
}

void Disk::write_through(Inode& inode, std::size_t sector) {
    if (odds_.lie == 0 || !draw(odds_.lie)) return copy_sector(inode, sector, sector_);
    const Fault lie = random_.pick({Fault::lost_write, Fault::torn_write, Fault::misdirected_write});
    count(lie);
    trace_.note(name_of(lie), sector);
    if (lie == Fault::torn_write) copy_sector(inode, sector, random_.next() % sector_);
    if (lie == Fault::misdirected_write) misdirect(inode, sector);
}

/// Written where it does not belong, in this file or another one.
void Disk::misdirect(const Inode& from, std::size_t sector) {
    Inode& to = *random_.one_of(inodes_);
    const std::size_t sectors = to.media.size() / sector_;
    if (sectors == 0 || bytes_of(from.cache.size(), sector) < sector_) return;
    const std::size_t place = random_.next() % sectors;
    std::memcpy(to.media.data() + place * sector_, from.cache.data() + sector * sector_, sector_);
}

/// Some pages arrived and some did not; all of them count as clean from now on, and no later sync writes them.
void Disk::fail_sync(Inode& inode) {
    inode.media.resize(inode.cache.size());
    for (std::size_t at = 0; at < inode.dirty.size(); ++at) {
        if (!inode.dirty[at]) continue;
        inode.dirty[at] = false;
        if (random_.percent(50)) copy_sector(inode, at, sector_);
    }
    if (drops_failed_pages_) inode.cache = inode.media;
}

int Disk::sync(int handle) {
    Inode* inode = inode_of(handle);
    if (inode == nullptr) return EBADF;
    if (!proceed()) return EIO;
    const auto number = static_cast<std::uint64_t>(handles_[static_cast<std::size_t>(handle)]);
    if (fails(odds_.sync)) return fail_sync(*inode), fail(Fault::failed_sync, random_.pick({EIO, ENOSPC}));
    trace_.note("sync", number);
    if (ignores_sync_of_checkpoints && inode->is_checkpoint) return 0;
    inode->media.resize(inode->cache.size());
    for (std::size_t at = 0; at < inode->dirty.size(); ++at)
        if (inode->dirty[at]) write_through(*inode, at), inode->dirty[at] = false;
    return 0;
}

/// A failed one leaves the changes where they are: a file system that cannot write its own records does not forget them.
int Disk::sync_directory() {
    if (!proceed()) return EIO;
    if (fails(odds_.sync)) return fail(Fault::failed_directory_sync, EIO);
    trace_.note("sync directory");
    for (const NameChange& change : pending_) {
        if (odds_.entry != 0 && draw(odds_.entry)) {
            count(Fault::lost_entry);
            if (const auto still = durable_.find(change.name); still != durable_.end()) came_back_.insert(still->second);
            trace_.note(name_of(Fault::lost_entry), static_cast<std::uint64_t>(change.inode));
        } else if (change.inode < 0) {
            durable_.erase(change.name);
        } else {
            durable_[change.name] = change.inode;
        }
    }
    pending_.clear();
    return 0;
}

void Disk::forget_clean_pages(Inode& inode) {
    for (std::size_t at = 0; at < inode.dirty.size(); ++at) {
        const std::size_t size = inode.dirty[at] ? 0 : bytes_of(std::min(inode.cache.size(), inode.media.size()), at);
        if (size > 0) std::memcpy(inode.cache.data() + at * sector_, inode.media.data() + at * sector_, size);
    }
}

void Disk::drop_cache(int handle) noexcept {
    if (Inode* inode = inode_of(handle); inode != nullptr && !stopped_) forget_clean_pages(*inode);
}

/// Any of the pages that wait for a sync, in any order: of what is written twice, the first may be on the disk.
void Disk::write_back() {
    if (inodes_.empty()) return;
    Inode& inode = *random_.one_of(inodes_);
    if (ignores_sync_of_checkpoints && inode.is_checkpoint) return;
    inode.media.resize(std::max(inode.media.size(), inode.cache.size()));
    for (std::size_t at = 0; at < inode.dirty.size(); ++at)
        if (inode.dirty[at] && random_.percent(50)) write_through(inode, at), inode.dirty[at] = false;
}

void Disk::evict() {
    if (!inodes_.empty()) forget_clean_pages(*random_.one_of(inodes_));
}

// ---- disasters ----------------------------------------------------------------------------------

void Disk::turn_a_bit() {
    if (inodes_.empty()) return;
    Inode& inode = *random_.one_of(inodes_);
    for (int attempt = 0; attempt < 8 && !inode.media.empty(); ++attempt) {
        std::byte& byte = inode.media[random_.next() % inode.media.size()];
        // Rot of zeroes is drawn less often: most of a file is zeroes, and little can be learnt there.
        if (byte == std::byte{} && attempt < 7) continue;
        byte ^= std::byte{1} << static_cast<int>(random_.next() % 8);
        count(Fault::rot);
        trace_.note(name_of(Fault::rot));
        return;
    }
}

/// A sector that was written and not synced when the power went: nobody knows.
void Disk::lose_sector(Inode& inode, std::size_t sector) {
    const std::int64_t kind = random_.between(1, 100);
    if (kind <= 45) return copy_sector(inode, sector, sector_);
    if (kind <= 80) return count(Fault::lost_sector);
    if (kind <= 92) return count(Fault::torn_sector), copy_sector(inode, sector, random_.next() % sector_);
    count(Fault::garbage_sector);
    const std::size_t size = bytes_of(inode.media.size(), sector);
    for (std::size_t i = 0; i < size; ++i) inode.media[sector * sector_ + i] = static_cast<std::byte>(random_.next());
}

void Disk::lose_power_of(Inode& inode) {
    if (inode.media.size() != inode.cache.size()) {
        const std::size_t low = std::min(inode.media.size(), inode.cache.size());
        const std::size_t high = std::max(inode.media.size(), inode.cache.size());
        const std::size_t between = low + random_.next() % (high - low + 1);
        inode.media.resize(random_.pick({low, high, between}));
    }
    for (std::size_t at = 0; at < inode.dirty.size(); ++at)
        if (inode.dirty[at]) lose_sector(inode, at);
    inode.cache = inode.media;
    inode.dirty.assign((inode.cache.size() + sector_ - 1) / sector_, false);
}

/// Any of the changes that were not synced are there, whatever came before or after them.
void Disk::lose_names() {
    bool kept = false;
    bool decided = false;
    for (const NameChange& change : pending_) {
        if (!decided) kept = random_.percent(50);
        decided = change.with_next;
        if (!kept) count(Fault::lost_name);
        else if (change.inode < 0) durable_.erase(change.name);
        else durable_[change.name] = change.inode;
    }
    pending_.clear();
    names_ = durable_;
}

void Disk::restart(bool power) {
    handles_.clear();
    stopped_ = false;
    never_stop();
    trace_.note(power ? "restart, power was lost" : "restart, cache kept", inodes_.size(), pending_.size());
    if (power) {
        for (const auto& inode : inodes_) lose_power_of(*inode);
        return lose_names();
    }
    // Memory may have been wanted for something else meanwhile.
    if (random_.percent(50))
        for (const auto& inode : inodes_) forget_clean_pages(*inode);
}

bool Disk::came_back(const std::string& name) const {
    const auto found = names_.find(name);
    return found != names_.end() && came_back_.contains(found->second);
}

const std::vector<std::byte>* Disk::peek(const std::string& name) const {
    const auto found = names_.find(name);
    return found == names_.end() ? nullptr : &inodes_[static_cast<std::size_t>(found->second)]->cache;
}

std::vector<std::string> Disk::names() const {
    std::vector<std::string> names;
    for (const auto& [name, inode] : names_) names.push_back(name);
    return names;
}

}  // namespace riskreg::simulation
