// Segments of Windows: files in a folder of this user's, mapped through sections without a name. They live as long as the files, also
// while nobody has them open.
#include "segment/mapping.hpp"

#include <windows.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <list>
#include <mutex>

#include "base/descriptor.hpp"
#include "base/system_win32.hpp"
#include "riskreg/error.hpp"
#include "segment/mapped_win32.hpp"
#include "segment/process.hpp"

namespace riskreg::segment {

using namespace layout;
using base::win32::FileFacts;
using base::win32::handle_of;
using base::win32::Held;

namespace {

constexpr const char* kGone = ".gone-";  // removed, and still mapped by somebody
constexpr DWORD kShared = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;

std::string path_of(const std::string& segment) { return segment_folder() + "/" + segment; }

std::string megabytes(std::uint64_t bytes) { return std::to_string((bytes + (1U << 20) - 1) >> 20) + " MiB"; }

int descriptor_of(HANDLE handle) noexcept {
    return handle == INVALID_HANDLE_VALUE ? -1 : static_cast<int>(reinterpret_cast<std::intptr_t>(handle));
}

Error why_not(const std::string& segment, DWORD error) {
    switch (error) {
        case ERROR_FILE_NOT_FOUND:
        case ERROR_PATH_NOT_FOUND:
        case ERROR_DELETE_PENDING:
            return {Errc::missing, "no segment " + segment + ": the host was restarted or it was destroyed"};
        case ERROR_FILE_EXISTS: return {Errc::busy, "segment " + segment + " exists already"};
        case ERROR_ACCESS_DENIED:
            return {Errc::permission,
                    "no permission for " + path_of(segment) + ": it belongs to another user, or is being removed"};
        case ERROR_DISK_FULL:
        case ERROR_HANDLE_DISK_FULL:
            return {Errc::no_space, "segment " + segment + ": the disk of " + segment_folder() + " is full"};
        default: return {Errc::system, "segment " + segment + ": " + base::win32::error_text(error)};
    }
}

}  // namespace

struct Mapping::Impl {
    std::string name;
    base::Descriptor file;
    HANDLE section = nullptr;
    void* address = nullptr;
    std::size_t size = 0;
    Held use = Held::nothing;

    Impl() = default;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() {
        if (address != nullptr) {
            forget_mapping(address);
            ::UnmapViewOfFile(address);
        }
        if (section != nullptr) ::CloseHandle(section);
    }
    [[nodiscard]] HANDLE handle() const noexcept { return handle_of(file.get()); }
    void map(std::size_t bytes, bool writable) {
        section = ::CreateFileMappingW(handle(), nullptr, writable ? PAGE_READWRITE : PAGE_READONLY, 0, 0, nullptr);
        if (section == nullptr) throw why_not(name, ::GetLastError());
        address = ::MapViewOfFile(section, writable ? FILE_MAP_READ | FILE_MAP_WRITE : FILE_MAP_READ, 0, 0, bytes);
        if (address == nullptr) throw why_not(name, ::GetLastError());
        size = bytes;
        remember_mapping(address, size, name);
    }
};

namespace {

std::string make_folder() {
    const std::string local = base::win32::variable("LOCALAPPDATA");
    if (local.empty())
        throw Error(Errc::bad_input, "%LOCALAPPDATA% is not set: it says where the memory of this user's registries lies");
    auto* const rights = static_cast<SECURITY_ATTRIBUTES*>(base::win32::owner_only());
    ::CreateDirectoryW(base::win32::path_of(local + "/riskreg").c_str(), rights);
    const std::string folder = local + "\\riskreg\\segments";
    ::CreateDirectoryW(base::win32::path_of(folder).c_str(), rights);
    // Pages of a file of another machine are nobody's memory.
    if (is_on_network(folder))
        throw Error(Errc::bad_input, "%LOCALAPPDATA% (" + local + ") is on a network drive: it must be a local one");
    return folder;
}

/// What was removed while somebody had it mapped. Whoever still has it keeps it.
void sweep_gone() {
    std::vector<std::string> names;
    static_cast<void>(base::list_directory(segment_folder(), names));
    for (const std::string& name : names)
        if (name.starts_with(kGone)) ::DeleteFileW(base::win32::path_of(path_of(name)).c_str());
}

void reserve(HANDLE file, const std::string& segment, std::size_t size_bytes) {
    ULARGE_INTEGER available{};
    const bool known = ::GetDiskFreeSpaceExW(base::win32::path_of(segment_folder()).c_str(), &available, nullptr, nullptr) != 0;
    if (known && available.QuadPart < size_bytes)
        throw Error(Errc::no_space,
                    "the disk of " + segment_folder() + " is too small: the registry needs " + megabytes(size_bytes) + ", " +
                        megabytes(available.QuadPart) +
                        " are free. Make room, or lower capacity.orders, capacity.executions or capacity.ring_events in the "
                        "configuration");
    LARGE_INTEGER end{};
    end.QuadPart = static_cast<LONGLONG>(size_bytes);
    if (!::SetFilePointerEx(file, end, nullptr, FILE_BEGIN) || !::SetEndOfFile(file)) throw why_not(segment, ::GetLastError());
}

/// Every page is there, and written to: a disk without room is an error here.
void touch(std::byte* address, std::size_t size) noexcept {
    for (std::size_t page = 0; page < size; page += kPage) *reinterpret_cast<volatile std::uint8_t*>(address + page) = 0;
}

}  // namespace

const std::string& segment_folder() {
    static const std::string folder = make_folder();
    return folder;
}

MemoryPlace memory_place() {
    MemoryPlace place;
    place.boot_id = boot_id();
    FileFacts folder;
    if (base::win32::facts_at(segment_folder(), folder)) place.shm_device = folder.volume, place.shm_identity = folder.file;
    return place;
}

Mapping::Mapping(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Mapping::Mapping(Mapping&&) noexcept = default;
Mapping& Mapping::operator=(Mapping&&) noexcept = default;
Mapping::~Mapping() = default;

Mapping Mapping::create(const std::string& segment, std::size_t size_bytes) {
    sweep_gone();
    auto impl = std::make_unique<Impl>();
    impl->name = segment;
    auto* const rights = static_cast<SECURITY_ATTRIBUTES*>(base::win32::owner_only());
    // Temporary: its pages are to stay in memory as long as there is room.
    impl->file = base::Descriptor(
        descriptor_of(::CreateFileW(base::win32::path_of(path_of(segment)).c_str(), GENERIC_READ | GENERIC_WRITE, kShared,
                                    rights, CREATE_NEW, FILE_ATTRIBUTE_TEMPORARY, nullptr)));
    if (!impl->file.is_open()) throw why_not(segment, ::GetLastError());
    // From its first moment on, so that nobody takes it for one whose creator died.
    static_cast<void>(base::win32::lock_byte(impl->handle(), 0, impl->use, Held::alone));
    try {
        reserve(impl->handle(), segment, size_bytes);
        impl->map(size_bytes, true);
        touch(static_cast<std::byte*>(impl->address), size_bytes);
    } catch (...) {
        impl.reset();
        remove_segment(segment);
        throw;
    }
    return Mapping(std::move(impl));
}

Mapping Mapping::open(const std::string& segment, Access access) {
    const bool looks = access == Access::read_only;
    auto impl = std::make_unique<Impl>();
    impl->name = segment;
    impl->file = base::Descriptor(descriptor_of(::CreateFileW(base::win32::path_of(path_of(segment)).c_str(),
                                                              looks ? GENERIC_READ : GENERIC_READ | GENERIC_WRITE, kShared,
                                                              nullptr, OPEN_EXISTING, FILE_FLAG_OPEN_REPARSE_POINT, nullptr)));
    if (!impl->file.is_open()) throw why_not(segment, ::GetLastError());
    FileFacts facts;
    if (!base::win32::facts_of(impl->handle(), facts)) throw why_not(segment, ::GetLastError());
    if ((facts.attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0)
        throw Error(Errc::foreign, path_of(segment) + " is a link, which no registry makes: remove it");
    if (facts.size < kPage)
        throw Error(Errc::missing,
                    "segment " + segment + " is being created, or its creator died: open it again for writing to clean up");
    impl->map(facts.size, !looks);
    return Mapping(std::move(impl));
}

std::byte* Mapping::base() const noexcept { return static_cast<std::byte*>(impl_->address); }
std::size_t Mapping::size_bytes() const noexcept { return impl_->size; }
const std::string& Mapping::name() const noexcept { return impl_->name; }
std::uint32_t Mapping::owner_uid() const { return base::win32::access_of(impl_->handle()).owner; }
unsigned Mapping::mode() const {
    const base::win32::Access access = base::win32::access_of(impl_->handle());
    return 0600U | (access.others_read ? 044U : 0U) | (access.others_write.empty() ? 0U : 022U);
}

bool Mapping::is_current() const noexcept {
    FileFacts named, mapped;
    return base::win32::facts_at(path_of(impl_->name), named) && base::win32::facts_of(impl_->handle(), mapped) &&
           named.file == mapped.file && named.volume == mapped.volume;
}

bool Mapping::rename(const std::string& segment) noexcept {
    if (!rename_segment(impl_->name, segment)) return false;
    impl_->name = segment;
    return true;
}

bool Mapping::try_use_alone() noexcept { return base::win32::lock_byte(impl_->handle(), 0, impl_->use, Held::alone); }
bool Mapping::try_use() noexcept { return base::win32::lock_byte(impl_->handle(), 0, impl_->use, Held::shared); }
void Mapping::stop_using() noexcept {
    static_cast<void>(base::win32::lock_byte(impl_->handle(), 0, impl_->use, Held::nothing));
}
bool Mapping::is_used_by_others() const noexcept { return base::win32::is_byte_held_by_others(impl_->handle(), 0, impl_->use); }

bool Mapping::advise(bool huge_pages, bool lock_memory) noexcept {
    // Large pages are for memory without a file only.
    bool granted = !huge_pages;
    if (lock_memory) {
        SIZE_T least = 0, most = 0;
        HANDLE process = ::GetCurrentProcess();
        granted &= ::GetProcessWorkingSetSize(process, &least, &most) != 0 &&
                   ::SetProcessWorkingSetSize(process, least + impl_->size, most + impl_->size) != 0 &&
                   ::VirtualLock(impl_->address, impl_->size) != 0;
    }
    return granted;
}

std::size_t Mapping::fault_in(std::size_t at, std::size_t bytes) const noexcept {
    if (at >= impl_->size) return impl_->size;
    const std::size_t end = at + std::min(bytes, impl_->size - at);
    for (std::size_t page = at; page < end; page += kPage)
        static_cast<void>(*reinterpret_cast<const volatile std::uint8_t*>(base() + page));
    return end;
}

void Mapping::abandon() noexcept { static_cast<void>(impl_.release()); }

bool segment_exists(const std::string& segment) noexcept {
    FileFacts facts;
    return base::win32::facts_at(path_of(segment), facts);
}

bool rename_segment(const std::string& segment, const std::string& to) noexcept {
    return ::MoveFileExW(base::win32::path_of(path_of(segment)).c_str(), base::win32::path_of(path_of(to)).c_str(), 0) != 0;
}

bool remove_segment(const std::string& segment) noexcept {
    try {
        // Its name is free at once this way, also where a mapping keeps the file; what remains goes with the next segment that is made.
        const std::string gone = kGone + std::to_string(random_bits());
        if (!rename_segment(segment, gone)) return false;
        ::DeleteFileW(base::win32::path_of(path_of(gone)).c_str());
        return true;
    } catch (...) {
        return false;
    }
}

bool remove_unused_segment(const std::string& segment) noexcept {
    base::Descriptor file = base::Descriptor(
        descriptor_of(::CreateFileW(base::win32::path_of(path_of(segment)).c_str(), GENERIC_READ | GENERIC_WRITE, kShared,
                                    nullptr, OPEN_EXISTING, FILE_FLAG_OPEN_REPARSE_POINT, nullptr)));
    if (!file.is_open()) return ::GetLastError() == ERROR_FILE_NOT_FOUND;
    Held use = Held::nothing;
    if (!base::win32::lock_byte(handle_of(file.get()), 0, use, Held::alone)) return false;
    return remove_segment(segment) || !segment_exists(segment);
}

// ---- events of words --------------------------------------------------------------------------------------------------------------

namespace {

struct Event {
    std::size_t offset;
    std::array<HANDLE, 2> handles;
};

struct Mapped {
    const std::byte* base;
    std::size_t size;
    std::uint64_t name;  // hash of the segment's
    std::vector<Event> events;  // of the few words that are waited for
};

struct AllMapped {
    std::mutex mutex;
    std::list<Mapped> all;
};

AllMapped& mapped() noexcept {
    static auto* const all = new AllMapped;  // a mapping may go after the statics have ended
    return *all;
}

std::uint64_t hash_of(const std::string& text) noexcept {
    std::uint64_t hash = 14695981039346656037ULL;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
    return hash;
}

HANDLE open_event(std::uint64_t segment, std::size_t offset, unsigned parity) noexcept {
    wchar_t name[80];
    std::swprintf(name, std::size(name), L"Global\\riskreg.%016llx.%llx.%u", static_cast<unsigned long long>(segment),
                  static_cast<unsigned long long>(offset), parity);
    return ::CreateEventW(static_cast<SECURITY_ATTRIBUTES*>(base::win32::owner_only()), TRUE, FALSE, name);
}

}  // namespace

void remember_mapping(const void* base, std::size_t size, const std::string& segment) {
    const std::lock_guard guard(mapped().mutex);
    mapped().all.push_back({static_cast<const std::byte*>(base), size, hash_of(segment), {}});
}

void forget_mapping(const void* base) noexcept {
    const std::lock_guard guard(mapped().mutex);
    const auto is_it = [&](const Mapped& one) { return one.base == base; };
    const auto found = std::find_if(mapped().all.begin(), mapped().all.end(), is_it);
    if (found == mapped().all.end()) return;
    for (const Event& event : found->events)
        for (HANDLE handle : event.handles)
            if (handle != nullptr) ::CloseHandle(handle);
    mapped().all.erase(found);
}

void* event_of(const void* word, unsigned parity) noexcept {
    try {
        const auto* at = static_cast<const std::byte*>(word);
        const std::lock_guard guard(mapped().mutex);
        for (Mapped& one : mapped().all) {
            if (at < one.base || at >= one.base + one.size) continue;
            const auto offset = static_cast<std::size_t>(at - one.base);
            for (const Event& event : one.events)
                if (event.offset == offset) return event.handles[parity];
            one.events.push_back({offset, {open_event(one.name, offset, 0), open_event(one.name, offset, 1)}});
            return one.events.back().handles[parity];
        }
    } catch (...) {
        // No memory for it: whoever waits does so by the clock.
    }
    return nullptr;
}

}  // namespace riskreg::segment
