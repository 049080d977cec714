#include "riskctl/host_facts.hpp"

#include <windows.h>

#include <errno.h>

#include "base/system_win32.hpp"
#include "segment/segment_name.hpp"

namespace riskctl {

using namespace riskreg;
using registry::Finding;
using registry::Health;

std::optional<Room> room_at(const std::string& path) {
    ULARGE_INTEGER available{}, total{};
    if (!::GetDiskFreeSpaceExW(base::win32::path_of(path).c_str(), &available, &total, nullptr)) {
        errno = base::win32::errno_of(::GetLastError());
        return std::nullopt;
    }
    return Room{total.QuadPart, available.QuadPart};
}

std::optional<FileOnHost> file_on_host(const std::string& path) {
    base::win32::FileFacts facts;
    if (!base::win32::facts_at(path, facts)) return std::nullopt;
    return FileOnHost{facts.size, facts.written_ns / 1'000'000'000};
}

std::vector<Finding> segment_folder_findings() {
    const std::optional<Room> room = room_at(segment::segment_folder());
    if (!room)
        return {Finding{Health::problem, "segments", segment::segment_folder() + " is not there", "look at %LOCALAPPDATA%"}};
    const bool small = room->free_bytes < (256ULL << 20);
    return {Finding{small ? Health::note : Health::ok, "segments",
                    segment::segment_folder() + ", " + mebibytes(room->free_bytes) + " free of " + mebibytes(room->total_bytes),
                    small ? "a registry of default size needs about 60 MiB there: make room" : ""}};
}

std::vector<Finding> memory_findings() {
    SIZE_T least = 0, most = 0;
    ::GetProcessWorkingSetSize(::GetCurrentProcess(), &least, &most);
    return {Finding{Health::ok, "locked memory",
                    "a process begins with " + mebibytes(most) + " (needed only with lock_memory, which asks for more)", ""},
            Finding{Health::ok, "huge pages", "not for memory that outlives its processes: huge_pages does nothing on Windows",
                    ""}};
}

/// Of a stopped process Windows tells nothing without a look at each of its threads.
std::string why_still(std::uint32_t pid) {
    HANDLE process = ::OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, FALSE, pid);
    if (process == nullptr)
        return "it cannot be seen from here (thread, or process of another user, " + std::to_string(pid) + ")";
    const bool ended = ::WaitForSingleObject(process, 0) == WAIT_OBJECT_0;
    ::CloseHandle(process);
    return ended ? "it has ended" : "it lives: suspended by a debugger or by resmon, or it waits for a disk or a processor";
}

}  // namespace riskctl
