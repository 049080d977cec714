#include "riskctl/host_facts.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>

#include "base/descriptor.hpp"

namespace riskctl {

using namespace riskreg;
using registry::Finding;
using registry::Health;

std::optional<Room> room_at(const std::string& path) {
    struct statvfs fs {};
    if (::statvfs(path.c_str(), &fs) != 0) return std::nullopt;
    return Room{fs.f_blocks * fs.f_frsize, fs.f_bavail * fs.f_frsize};
}

std::optional<FileOnHost> file_on_host(const std::string& path) {
    struct stat facts {};
    if (::lstat(path.c_str(), &facts) != 0) return std::nullopt;
    return FileOnHost{static_cast<std::uint64_t>(facts.st_size), facts.st_ctim.tv_sec};
}

std::vector<Finding> segment_folder_findings() {
    const std::optional<Room> room = room_at("/dev/shm");
    if (!room) return {Finding{Health::problem, "/dev/shm", "not there", "mount -t tmpfs tmpfs /dev/shm"}};
    const bool small = room->total_bytes < (256ULL << 20);
    return {Finding{small ? Health::note : Health::ok, "/dev/shm",
                    mebibytes(room->free_bytes) + " free of " + mebibytes(room->total_bytes),
                    small ? "a registry of default size needs about 60 MiB; enlarge it: mount -o remount,size=1g /dev/shm "
                            "(containers: --shm-size=1g)"
                          : ""}};
}

namespace {

std::string first_line(const char* path) {
    std::string text;
    if (!base::read_text(path, text)) return {};
    return text.substr(0, text.find('\n'));
}

}  // namespace

std::vector<Finding> memory_findings() {
    struct rlimit limit {};
    ::getrlimit(RLIMIT_MEMLOCK, &limit);
    const std::string size = limit.rlim_cur == RLIM_INFINITY ? "unlimited" : mebibytes(limit.rlim_cur);
    const std::string huge = first_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
    const bool on = huge.find("[never]") == std::string::npos && !huge.empty();
    return {
        Finding{Health::ok, "locked memory", size + " allowed (needed only with lock_memory; raise it with `ulimit -l`)", ""},
        Finding{
            on ? Health::ok : Health::note, "huge pages", huge.empty() ? "not known to this kernel" : "shmem_enabled: " + huge,
            on ? "" : "with huge_pages in the configuration: echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled"}};
}

std::string why_still(std::uint32_t pid) {
    const std::string process = "/proc/" + std::to_string(pid), number = std::to_string(pid);
    std::string stat, cgroup;
    if (!base::read_text(process + "/stat", stat)) return "it cannot be seen from here (another PID namespace or container)";
    const std::size_t at = stat.rfind(')');
    const char state = at == std::string::npos || at + 2 >= stat.size() ? '?' : stat[at + 2];
    if (state == 'T') return "it is stopped: let it go on with kill -CONT " + number;
    if (state == 't') return "a debugger holds it: let it go on there";
    static_cast<void>(base::read_text(process + "/cgroup", cgroup));
    for (std::size_t line = 0; line < cgroup.size(); line = cgroup.find('\n', line) + 1) {
        const std::size_t end = std::min(cgroup.find('\n', line), cgroup.size());
        const std::size_t path = cgroup.find('/', line);
        const bool freezer =
            cgroup.compare(line, 3, "0::") == 0 || cgroup.substr(line, end - line).find(":freezer:") != std::string::npos;
        if (!freezer || path >= end) continue;
        const std::string group = cgroup.substr(path, end - path);
        for (const std::string& file :
             {"/sys/fs/cgroup" + group + "/cgroup.freeze", "/sys/fs/cgroup/freezer" + group + "/freezer.state"}) {
            std::string frozen;
            if (base::read_text(file, frozen) && (frozen.starts_with("1") || frozen.starts_with("FR")))
                return "its cgroup is frozen (" + file + "): thaw it there";
        }
        if (cgroup.find('\n', line) == std::string::npos) break;
    }
    return std::string("it is not stopped (state ") + state + "): it waits for a disk, or for a processor";
}

}  // namespace riskctl
