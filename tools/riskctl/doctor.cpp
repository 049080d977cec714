// doctor: what this host and this registry lack, and the exact remedy.
#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "riskctl/output.hpp"
#include "riskctl/verbs.hpp"
#include "segment/lifecycle_posix.hpp"
#include "segment/mapping_posix.hpp"
#include "segment/process_posix.hpp"
#include "segment/robust_mutex_posix.hpp"

namespace riskctl {

using namespace riskreg;

namespace {

enum class Health : unsigned char { ok, note, problem };

/// One finding: what was looked at, what was seen, what to do.
struct Finding {
    Health health;
    std::string check, seen, remedy;
};

class Doctor {
public:
    void find(Health health, std::string check, std::string seen, std::string remedy = {}) {
        healthy_ &= health != Health::problem;
        findings_.push_back({health, std::move(check), std::move(seen), std::move(remedy)});
    }
    [[nodiscard]] bool healthy() const noexcept { return healthy_; }
    void print(bool json) const;

private:
    std::vector<Finding> findings_;
    bool healthy_ = true;
};

void Doctor::print(bool json) const {
    static constexpr const char* names[] = {"ok", "note", "problem"};
    for (const Finding& f : findings_) {
        if (json) {
            JsonWriter out;
            out.begin_object()
                .member("check", f.check)
                .member("health", names[static_cast<std::size_t>(f.health)])
                .member("seen", f.seen);
            if (!f.remedy.empty()) out.member("remedy", f.remedy);
            print_line(out.end_object().text());
            continue;
        }
        std::printf("%-8s %-22s %s\n", names[static_cast<std::size_t>(f.health)], f.check.c_str(), f.seen.c_str());
        if (!f.remedy.empty()) std::printf("%-31s %s\n", "", f.remedy.c_str());
    }
}

std::string mebibytes(std::uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

void check_shm(Doctor& doctor) {
    struct statvfs fs {};
    if (::statvfs("/dev/shm", &fs) != 0)
        return doctor.find(Health::problem, "/dev/shm", "not there", "mount -t tmpfs tmpfs /dev/shm");
    const std::uint64_t total = fs.f_blocks * fs.f_frsize, available = fs.f_bavail * fs.f_frsize;
    const bool small = total < (256ULL << 20);
    doctor.find(small ? Health::note : Health::ok, "/dev/shm", mebibytes(available) + " free of " + mebibytes(total),
                small ? "a registry of default size needs about 60 MiB; enlarge it: mount -o remount,size=1g /dev/shm "
                        "(containers: --shm-size=1g)"
                      : "");
}

void check_locks(Doctor& doctor) {
    try {
        segment::self_test_robust_mutex();
        doctor.find(Health::ok, "robust mutex", "the death of an owner is reported");
    } catch (const Error& error) {
        doctor.find(Health::problem, "robust mutex", error.what(), "run on Linux with glibc 2.30 or later, outside emulators");
    }
    try {
        doctor.find(Health::ok, "PID namespace", std::to_string(segment::pid_namespace()));
    } catch (const Error& error) {
        doctor.find(Health::problem, "PID namespace", error.what(), "mount -t proc proc /proc");
    }
}

std::string first_line(const char* path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

void check_memory(Doctor& doctor) {
    struct rlimit limit {};
    ::getrlimit(RLIMIT_MEMLOCK, &limit);
    const std::string size = limit.rlim_cur == RLIM_INFINITY ? "unlimited" : mebibytes(limit.rlim_cur);
    doctor.find(Health::ok, "locked memory", size + " allowed (needed only with lock_memory; raise it with `ulimit -l`)");
    const std::string huge = first_line("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
    const bool on = huge.find("[never]") == std::string::npos && !huge.empty();
    doctor.find(
        on ? Health::ok : Health::note, "huge pages", huge.empty() ? "not known to this kernel" : "shmem_enabled: " + huge,
        on ? "" : "with huge_pages in the configuration: echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled");
}

/// Segments of this user whose registry is not where their name says, and those of other users.
void check_segments(Doctor& doctor) {
    const std::string own = "riskreg." + std::to_string(segment::user_id()) + ".";
    DIR* directory = ::opendir("/dev/shm");
    if (directory == nullptr) return;
    std::size_t ours = 0, foreign = 0;
    std::string unfinished;
    while (const dirent* entry = ::readdir(directory)) {
        const std::string name = entry->d_name;
        if (name.rfind("riskreg.", 0) != 0) continue;
        if (name.rfind(own, 0) != 0) {
            ++foreign;
            continue;
        }
        ++ours;
        try {
            const auto mapping = segment::Mapping::open(name, segment::Access::read_only);
            if (segment::is_unfinished(mapping)) unfinished += " " + name;
        } catch (const Error&) {
            unfinished += " " + name;
        }
    }
    ::closedir(directory);
    doctor.find(Health::ok, "segments", std::to_string(ours) + " of this user, " + std::to_string(foreign) + " of others");
    if (!unfinished.empty())
        doctor.find(Health::note, "unfinished segments", "creators died:" + unfinished,
                    "the next create or attach of that registry removes it; if its state directory is gone: rm /dev/shm/NAME");
}

void check_sessions(Doctor& doctor, const Reader& reader) {
    for (const SessionView& session : reader.sessions())
        if (session.status == SessionStatus::dead && session.ended_ns == 0)
            doctor.find(
                Health::note, "session",
                "strategy " + session.strategy + ", pid " + std::to_string(session.pid) + ", died and no writer has noticed",
                "any attach notices it; its orders count as orphaned until " + session.strategy + " attaches again");
}

void check_capacity(Doctor& doctor, const StatusView& v) {
    const auto room = [&doctor](const char* what, std::uint64_t used, std::uint64_t capacity, unsigned percent) {
        const bool tight = capacity > 0 && used * 100 >= capacity * percent;
        doctor.find(tight ? Health::problem : Health::ok, what, std::to_string(used) + " of " + std::to_string(capacity),
                    tight ? "new orders are or will be refused with `capacity`: create the next registry with more" : "");
    };
    room("order ids", v.ids_used, v.orders_capacity, 90);
    room("executions", v.executions_used, v.executions_capacity, 70);
    room("quarantine", v.quarantined_records, v.quarantine_capacity, 70);
}

/// A holder that stays the same while we look is stopped, traced or frozen: it is alive, so nobody takes its lock.
void check_lock_holder(Doctor& doctor, const Reader& reader) {
    const std::uint32_t first = reader.status().lock_holder_pid;
    if (first == 0) return doctor.find(Health::ok, "lock", "free");
    const std::uint64_t committed = reader.status().committed;
    ::usleep(200'000);
    const StatusView later = reader.status();
    const bool stuck = later.lock_holder_pid == first && later.committed == committed;
    doctor.find(stuck ? Health::problem : Health::ok, "lock",
                stuck ? "thread " + std::to_string(first) + " has held the lock for at least 200 ms" : "busy",
                stuck ? "it is stopped, traced or frozen: let it go on (kill -CONT " + std::to_string(first) +
                            "), or kill it: the next caller repairs"
                      : "");
}

std::string directory_of(const Common& common) { return segment::resolve_state_dir(common.state_dir) + "/" + common.name; }

/// Room for two more checkpoints of today's size and a few journal files.
void check_disk(Doctor& doctor, const Common& common) {
    const std::string directory = directory_of(common);
    struct statvfs fs {};
    if (::statvfs(directory.c_str(), &fs) != 0)
        return doctor.find(Health::problem, "state directory", directory + ": " + std::strerror(errno),
                           "its files are gone or cannot be reached: nothing new is durable; restore the directory");
    const std::uint64_t free_bytes = fs.f_bavail * fs.f_frsize;
    std::uint64_t used = 0;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) used += entry.file_size(ignored);
    const bool tight = free_bytes < used + (64U << 20);
    doctor.find(tight ? Health::problem : Health::ok, "state directory",
                mebibytes(used) + " in " + directory + ", " + mebibytes(free_bytes) + " free",
                tight ? "make room: without it no journal file can be begun, and new risk is refused when the ring is three "
                        "quarters full"
                      : "");
}

void check_snapshotter(Doctor& doctor, const Common& common, const StatusView& v) {
    if (v.persistence == PersistenceMode::none)
        return doctor.find(Health::note, "snapshotter", "persistence.mode is none: nothing survives a reboot");
    check_disk(doctor, common);
    const std::string who = v.host_state + (v.host_pid == 0 ? "" : ", pid " + std::to_string(v.host_pid));
    const auto find = [&](Health health, const std::string& seen, const std::string& remedy) {
        doctor.find(health, "snapshotter", seen, remedy);
    };
    if (v.host_state == "none")
        find(v.durable_lag == 0 ? Health::note : Health::problem,
             "nobody hosts it; " + std::to_string(v.durable_lag) + " events wait", "start it: riskd " + common.name);
    else if (v.host_state == "stopped")
        find(Health::problem, who + ", silent for " + std::to_string(v.host_silent_ns / 1'000'000) + " ms",
             "it lives, so nobody takes its place: kill -CONT " + std::to_string(v.host_pid) +
                 ", or kill it and another takes over");
    else if (!v.fault.empty())
        find(Health::problem, who + ": " + v.fault + " " + v.fault_error + ", " + std::to_string(v.fault_retries) + " attempts",
             "riskreg.log in the state directory tells the story; it is tried again by itself");
    else find(Health::ok, who + ", " + std::to_string(v.durable_lag) + " events behind", "");
    if (v.gap_end != 0)
        doctor.find(Health::problem, "journal", "a gap is open: durable answers wait for two checkpoints above it",
                    "give it room and time");
    if (!v.checkpoint_error.empty())
        doctor.find(Health::problem, "checkpoint", "the last one failed: " + v.checkpoint_error,
                    "riskctl checkpoint " + common.name);
    if (v.differences != 0)
        doctor.find(Health::problem, "verifier", std::to_string(v.differences) + " records differ from the journal",
                    "riskctl verify " + common.name + ", and riskreg.log names them");
}

/// Under four eyes a scope stays as it is until a second person approves.
void check_approvals(Doctor& doctor, const Common& common, const Reader& reader) {
    for (const ApprovalView& approval : reader.approvals())
        if (!approval.approved)
            doctor.find(Health::note, "four eyes",
                        "request " + std::to_string(approval.request) + " of user " + std::to_string(approval.uid) +
                            " waits: resume " + reader.name(approval.scope) + ", " + approval.reason,
                        "another user: riskctl approve " + common.name + " " + std::to_string(approval.request));
}

/// What the wall clock should be by the newest event and what has elapsed since.
void check_clock(Doctor& doctor, const Common& common, const StatusView& v) {
    constexpr std::int64_t kMost = 2'000'000'000;
    const std::int64_t elapsed = segment::boottime_ns() - v.last_steady_ns;
    const std::int64_t ahead = v.last_time_ns + elapsed - segment::realtime_ns();
    if (v.last_time_ns == 0 || (ahead <= kMost && ahead >= -kMost))
        return doctor.find(Health::ok, "clock", "the log's is that of this machine");
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%.1f", std::abs(static_cast<double>(ahead)) / 1e9);
    doctor.find(Health::problem, "clock",
                std::string("the log's times are ") + seconds + " s " + (ahead > 0 ? "ahead of" : "behind") +
                    " this machine's clock; limits do not depend on it, dates of the restricted list do",
                "if this machine's clock is right: riskctl clock " + common.name + " --reason T");
}

void check_registry(Doctor& doctor, const Common& common) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    const StatusView v = reader.status();
    doctor.find(v.poisoned            ? Health::problem
                : v.state == "active" ? Health::ok
                                      : Health::note,
                "state", v.state,
                v.poisoned ? "every call is refused: `riskctl verify " + common.name + "` names the damage" : "");
    check_clock(doctor, common, v);
    check_lock_holder(doctor, reader);
    check_sessions(doctor, reader);
    check_approvals(doctor, common, reader);
    check_capacity(doctor, v);
    check_snapshotter(doctor, common, v);
}

}  // namespace

int doctor(const Common& common) {
    Doctor doctor;
    check_shm(doctor);
    check_locks(doctor);
    check_memory(doctor);
    check_segments(doctor);
    int code = kDone;
    try {
        if (!common.name.empty()) check_registry(doctor, common);
    } catch (const Error& error) {
        doctor.find(Health::problem, "registry", error.what());
        code = exit_code(error.code());
    }
    doctor.print(common.json);
    if (code != kDone) return code;
    return doctor.healthy() ? kDone : kNo;
}

}  // namespace riskctl
