// persist/file.hpp on a simulated disk. Linked in place of the library's file_posix.cpp, whose every function is here:
// the code above the seam, and file_common.cpp beside it, is the product's, unchanged.
#include <errno.h>

#include <utility>

#include "persist/file.hpp"
#include "simulation/simulated_disk.hpp"

namespace riskreg::simulation {
namespace {
Disk* mounted = nullptr;
}  // namespace
void mount(Disk* disk) noexcept { mounted = disk; }
}  // namespace riskreg::simulation

namespace riskreg::persist {

using simulation::mounted;

namespace {
constexpr int kDirectory = 1 << 20;   // the handle of the only directory that there is
}  // namespace

void File::close() noexcept {
    if (descriptor_ >= 0 && descriptor_ != kDirectory && mounted != nullptr) mounted->close(descriptor_);
    descriptor_ = -1;
}

IoError File::write_at(const void* bytes, std::size_t size, std::uint64_t offset) const noexcept {
    return {mounted->write(descriptor_, static_cast<const std::byte*>(bytes), size, offset)};
}
IoError File::read_at(void* bytes, std::size_t size, std::uint64_t offset, std::size_t& got) const noexcept {
    return {mounted->read(descriptor_, static_cast<std::byte*>(bytes), size, offset, got)};
}
IoError File::sync() const noexcept { return {mounted->sync(descriptor_)}; }
IoError File::size(std::uint64_t& bytes) const noexcept { return {mounted->size(descriptor_, bytes)}; }
IoError File::identity(FileIdentity& out) const noexcept {
    const int inode = mounted->identity(descriptor_);
    if (inode < 0) return {EBADF};
    out = {1, static_cast<std::uint64_t>(inode) + 2};
    return {};
}
bool File::is_linked() const noexcept { return mounted->is_linked(descriptor_); }
IoError File::try_lock() const noexcept { return {}; }
bool File::is_locked_by_others() const noexcept { return false; }
void File::drop_cache() const noexcept { mounted->drop_cache(descriptor_); }

IoError Directory::open(const std::string& path, Directory& out) noexcept {
    if (mounted->is_stopped()) return {EIO};
    out.handle_ = File(kDirectory);
    out.descriptor_ = kDirectory;
    out.path_ = path;
    return {};
}
IoError Directory::create(const std::string& name, File& out) const noexcept {
    int handle = -1;
    const int error = mounted->create(name, handle);
    if (error == 0) out = File(handle);
    return {error};
}
IoError Directory::open_file(const std::string& name, File& out, bool) const noexcept {
    int handle = -1;
    const int error = mounted->open(name, handle);
    if (error == 0) out = File(handle);
    return {error};
}
IoError Directory::rename(const std::string& from, const std::string& to) const noexcept { return {mounted->rename(from, to)}; }
IoError Directory::link(const std::string& from, const std::string& to) const noexcept { return {mounted->link(from, to)}; }
IoError Directory::remove(const std::string& name) const noexcept { return {mounted->remove(name)}; }
IoError Directory::sync() const noexcept { return {mounted->sync_directory()}; }
IoError Directory::list(std::vector<std::string>& names) const { return {mounted->list(names)}; }
bool Directory::is_current() const noexcept { return true; }
DirectoryIdentity Directory::identity() const noexcept { return {1, 1}; }

IoError read_whole(const std::string& path, std::size_t most, std::string& out, FileAccess& access) {
    if (path != simulation::kKeyFile) return {ENOENT};
    access = {true, 0600, 0, 0};
    out = simulation::kSecret;
    return out.size() > most ? IoError{EFBIG} : IoError{};
}

}  // namespace riskreg::persist
