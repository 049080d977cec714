#include "segment/mapping.hpp"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <boost/interprocess/mapped_region.hpp>
#include <cstring>

#include "base/descriptor.hpp"
#include "riskreg/error.hpp"
#include "segment/process.hpp"

namespace riskreg::segment {

namespace bip = boost::interprocess;
using namespace layout;

struct Mapping::Impl {
    std::string name;
    base::Descriptor object;
    bip::mapped_region region;
};

namespace {

std::string shm_path(const std::string& segment) { return "/dev/shm/" + segment; }

std::string megabytes(std::size_t bytes) { return std::to_string((bytes + (1U << 20) - 1) >> 20) + " MiB"; }

/// Each number of the operating system apart: "no permission" for somebody else's segment and for a /dev/shm that nobody may write
/// ask for different things.
Error why_not(const std::string& segment, int error, bool making) {
    struct stat there {};
    const bool exists = ::lstat(shm_path(segment).c_str(), &there) == 0;
    switch (error) {
        case ENOENT: return {Errc::missing, "no segment " + segment + ": the host was rebooted or it was destroyed"};
        case EEXIST: return {Errc::busy, "segment " + segment + " exists already"};
        case EROFS: return {Errc::permission, "/dev/shm is read-only here: mount it writable for this process"};
        case ELOOP: return {Errc::foreign, shm_path(segment) + " is a symbolic link, which no registry makes: remove it"};
        case EACCES:
        case EPERM:
            if (making && !exists)
                return {Errc::permission, "/dev/shm may not be written by uid " + std::to_string(user_id()) +
                                              " (ls -ld /dev/shm; usual is mode 1777): " + std::strerror(error)};
            return {Errc::permission, "no permission for " + shm_path(segment) + ": it belongs to another user (ls -l " +
                                          shm_path(segment) + "); run as that user, or use a state directory of your own"};
        default: return {Errc::system, "segment " + segment + ": " + std::strerror(error)};
    }
}

/// What Boost needs to map a descriptor that we opened.
struct Mappable {
    int descriptor;
    [[nodiscard]] bip::mapping_handle_t get_mapping_handle() const noexcept { return {descriptor, false}; }
};

/// Reserves memory for the whole segment.
void reserve(int descriptor, std::size_t size_bytes) {
    struct statvfs fs {};
    const std::size_t free_bytes = ::statvfs("/dev/shm", &fs) == 0 ? fs.f_bavail * fs.f_frsize : size_bytes;
    // Looked at first: a reservation that fails in the end would take all memory on its way.
    int error = free_bytes < size_bytes ? ENOSPC : EINTR;
    while (error == EINTR) error = ::posix_fallocate(descriptor, 0, static_cast<off_t>(size_bytes));
    if (error == 0) return;
    if (error == EFBIG)
        throw Error(Errc::no_space,
                    "the registry needs a file of " + megabytes(size_bytes) +
                        " in /dev/shm, and this process may not make one so large: raise its limit on the size of "
                        "files (ulimit -f, LimitFSIZE= of a systemd unit)");
    if (error == ENOSPC)
        throw Error(Errc::no_space,
                    "/dev/shm is too small: the registry needs " + megabytes(size_bytes) + ", " + megabytes(free_bytes) +
                        " are free. Enlarge it (mount -o remount,size=… /dev/shm; containers: --shm-size=…) or lower "
                        "capacity.orders, capacity.executions or capacity.ring_events in the configuration");
    throw Error(Errc::system, std::string("cannot reserve shared memory: ") + std::strerror(error));
}

struct stat status_of(const base::Descriptor& object) {
    struct stat status {};
    ::fstat(object.get(), &status);
    return status;
}

bool set_use(const base::Descriptor& object, int type) noexcept {
    struct flock range {};
    range.l_type = static_cast<short>(type);
    range.l_whence = SEEK_SET;
    range.l_len = 1;
    return ::fcntl(object.get(), F_OFD_SETLK, &range) == 0;
}

}  // namespace

const std::string& segment_folder() {
    static const std::string folder = "/dev/shm";
    return folder;
}

MemoryPlace memory_place() {
    MemoryPlace place;
    place.boot_id = boot_id();
    struct stat status {};
    struct statfs fs {};
    if (::stat("/dev/shm", &status) == 0) place.shm_device = status.st_dev;
    static_assert(sizeof fs.f_fsid == sizeof place.shm_identity);
    if (::statfs("/dev/shm", &fs) == 0) std::memcpy(&place.shm_identity, &fs.f_fsid, sizeof place.shm_identity);
    return place;
}

Mapping::Mapping(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Mapping::Mapping(Mapping&&) noexcept = default;
Mapping& Mapping::operator=(Mapping&&) noexcept = default;
Mapping::~Mapping() = default;

Mapping Mapping::create(const std::string& segment, std::size_t size_bytes) {
    auto impl = std::make_unique<Impl>();
    impl->name = segment;
    impl->object = base::open_path(shm_path(segment), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (!impl->object.is_open()) throw why_not(segment, errno, true);
    // From its first moment on, so that nobody takes it for one whose creator died.
    static_cast<void>(set_use(impl->object, F_WRLCK));
    try {
        reserve(impl->object.get(), size_bytes);
        impl->region = bip::mapped_region(Mappable{impl->object.get()}, bip::read_write, 0, size_bytes, nullptr, MAP_POPULATE);
    } catch (const bip::interprocess_exception& error) {
        remove_segment(segment);
        throw why_not(segment, error.get_native_error(), true);
    } catch (...) {
        remove_segment(segment);
        throw;
    }
    return Mapping(std::move(impl));
}

Mapping Mapping::open(const std::string& segment, Access access) {
    const bool looks = access == Access::read_only;
    auto impl = std::make_unique<Impl>();
    impl->name = segment;
    impl->object = base::open_path(shm_path(segment), (looks ? O_RDONLY : O_RDWR) | O_NOFOLLOW);
    if (!impl->object.is_open()) throw why_not(segment, errno, false);
    if (status_of(impl->object).st_size < static_cast<off_t>(kPage))
        throw Error(Errc::missing,
                    "segment " + segment + " is being created, or its creator died: open it again for writing to clean up");
    try {
        impl->region = bip::mapped_region(Mappable{impl->object.get()}, looks ? bip::read_only : bip::read_write, 0, 0, nullptr,
                                          looks ? 0 : MAP_POPULATE);
    } catch (const bip::interprocess_exception& error) {
        throw why_not(segment, error.get_native_error(), false);
    }
    return Mapping(std::move(impl));
}

std::byte* Mapping::base() const noexcept { return static_cast<std::byte*>(impl_->region.get_address()); }
std::size_t Mapping::size_bytes() const noexcept { return impl_->region.get_size(); }
const std::string& Mapping::name() const noexcept { return impl_->name; }
std::uint32_t Mapping::owner_uid() const { return status_of(impl_->object).st_uid; }
unsigned Mapping::mode() const { return status_of(impl_->object).st_mode & 07777U; }

bool Mapping::is_current() const noexcept {
    struct stat named {};
    const struct stat mapped = status_of(impl_->object);
    return ::stat(shm_path(impl_->name).c_str(), &named) == 0 && named.st_ino == mapped.st_ino && named.st_dev == mapped.st_dev;
}

bool Mapping::rename(const std::string& segment) noexcept {
    if (!rename_segment(impl_->name, segment)) return false;
    impl_->name = segment;
    return true;
}

bool Mapping::try_use_alone() noexcept { return set_use(impl_->object, F_WRLCK); }
bool Mapping::try_use() noexcept { return set_use(impl_->object, F_RDLCK); }
void Mapping::stop_using() noexcept { static_cast<void>(set_use(impl_->object, F_UNLCK)); }
bool Mapping::is_used_by_others() const noexcept {
    struct flock range {};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    range.l_len = 1;
    return ::fcntl(impl_->object.get(), F_OFD_GETLK, &range) == 0 && range.l_type != F_UNLCK;
}

bool Mapping::advise(bool huge_pages, bool lock_memory) noexcept {
    void* address = impl_->region.get_address();
    const std::size_t size = impl_->region.get_size();
    ::madvise(address, size, MADV_DONTDUMP);
    ::madvise(address, size, MADV_DONTFORK);
    bool granted = true;
    if (huge_pages) granted &= ::madvise(address, size, MADV_HUGEPAGE) == 0;
    if (lock_memory) granted &= ::mlock(address, size) == 0;
    return granted;
}

std::size_t Mapping::fault_in(std::size_t at, std::size_t bytes) const noexcept {
    const std::size_t size = impl_->region.get_size();
    if (at >= size) return size;
    auto* address = static_cast<std::byte*>(impl_->region.get_address()) + at;
    const std::size_t length = std::min(bytes, size - at);
#ifdef MADV_POPULATE_WRITE
    if (::madvise(address, length, MADV_POPULATE_WRITE) == 0 || errno == EAGAIN || errno == EINTR) return at + length;
    // An older kernel, or a read-only mapping: at least the pages are there.
    if (::madvise(address, length, MADV_POPULATE_READ) == 0) return at + length;
    if (errno != EINVAL) return size;
#endif
    for (std::size_t page = 0; page < length; page += layout::kPage)
        static_cast<void>(*reinterpret_cast<const volatile std::uint8_t*>(address + page));
    return at + length;
}

void Mapping::abandon() noexcept { static_cast<void>(impl_.release()); }

bool segment_exists(const std::string& segment) noexcept {
    struct stat status {};
    return ::stat(shm_path(segment).c_str(), &status) == 0;
}

bool rename_segment(const std::string& segment, const std::string& to) noexcept {
    return ::rename(shm_path(segment).c_str(), shm_path(to).c_str()) == 0;
}

bool remove_unused_segment(const std::string& segment) noexcept {
    const base::Descriptor object = base::open_path(shm_path(segment), O_RDWR | O_NOFOLLOW);
    if (!object.is_open()) return errno == ENOENT;
    return set_use(object, F_WRLCK) && (remove_segment(segment) || errno == ENOENT);
}

bool remove_segment(const std::string& segment) noexcept { return ::unlink(shm_path(segment).c_str()) == 0; }

}  // namespace riskreg::segment
