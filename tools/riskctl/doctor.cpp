// doctor: what this host and this registry lack, and the exact remedy.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <optional>

#include "base/descriptor.hpp"
#include "persist/config_warnings.hpp"
#include "registry/admission.hpp"
#include "registry/names.hpp"
#include "riskctl/host_facts.hpp"
#include "riskctl/output.hpp"
#include "riskctl/verbs.hpp"
#include "segment/lifecycle.hpp"
#include "segment/mapping.hpp"
#include "segment/process.hpp"
#include "segment/robust_mutex.hpp"
#include "segment/segment_name.hpp"

namespace riskctl {

using namespace riskreg;
using registry::Finding;
using registry::Health;

namespace {

class Doctor {
public:
    void add(Finding finding) {
        healthy_ &= finding.health != Health::problem;
        findings_.push_back(std::move(finding));
    }
    void find(Health health, std::string check, std::string seen, std::string remedy = {}) {
        add({health, std::move(check), std::move(seen), std::move(remedy)});
    }
    [[nodiscard]] bool healthy() const noexcept { return healthy_; }
    void print(bool json) const;

private:
    std::vector<Finding> findings_;
    bool healthy_ = true;
};

void Doctor::print(bool json) const {
    for (const Finding& f : findings_) {
        if (json) {
            print_json(f);
            continue;
        }
        std::printf("%-8s %-22s %s\n", std::string(base::text_of(f.health)).c_str(), f.check.c_str(), f.seen.c_str());
        if (!f.remedy.empty()) std::printf("%-31s %s\n", "", f.remedy.c_str());
    }
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

std::string age_text(std::int64_t seconds) {
    if (seconds < 0) return "from the future";
    if (seconds < 120) return std::to_string(seconds) + " s old";
    if (seconds < 7200) return std::to_string(seconds / 60) + " min old";
    return std::to_string(seconds / 3600) + " h old";
}

/// "NAME (68 MiB, 3 h old)"
std::string describe_segment(const std::string& name) {
    const std::optional<FileOnHost> file = file_on_host(segment::segment_folder() + "/" + name);
    if (!file) return name;
    return name + " (" + mebibytes(file->bytes) + ", " + age_text(segment::realtime_ns() / 1'000'000'000 - file->changed_s) +
           ")";
}

/// True when the segment's own directory holds a LOCK of another token, or is not there at all.
bool has_lost_its_directory(const segment::Mapping& mapping, const segment::SegmentName& name) {
    const std::string directory = segment::directory_in(mapping);
    if (directory.empty() || mapping.is_used_by_others()) return false;
    std::string token;
    if (!base::read_text(directory + "/LOCK", token, sizeof name.token)) return errno == ENOENT || errno == ENOTDIR;
    std::uint64_t held = 0;
    std::memcpy(&held, token.data(), std::min(token.size(), sizeof held));
    return held != name.token;
}

/// What of this user's segments nobody will come back for.
struct Leaks {
    std::size_t ours = 0, foreign = 0;
    std::vector<std::string> unfinished, orphaned, set_aside;
};

void look_at_segment(Leaks& leaks, const segment::SegmentName& name) {
    const std::string text = segment::text_of(name);
    if (name.uid != segment::user_id()) {
        ++leaks.foreign;
        return;
    }
    ++leaks.ours;
    try {
        const auto mapping = segment::Mapping::open(text, segment::Access::read_only);
        if (segment::is_unfinished(mapping)) leaks.unfinished.push_back(text);
        else if (has_lost_its_directory(mapping, name)) leaks.orphaned.push_back(text);
    } catch (const Error&) {
        leaks.unfinished.push_back(text);
    }
}

Leaks find_leaks() {
    Leaks leaks;
    for (const segment::SegmentName& name : segment::list_segments()) look_at_segment(leaks, name);
    for (const std::string& text : segment::list_set_aside())
        if (segment::parse_segment_name(*segment::name_before_set_aside(text))->uid == segment::user_id())
            leaks.set_aside.push_back(text);
    return leaks;
}

void report_leak(Doctor& doctor, bool clean, const char* check, const std::vector<std::string>& names, const char* what) {
    for (const std::string& name : names) {
        const std::string seen = what + describe_segment(name);
        if (!clean) doctor.find(Health::note, check, seen, "riskctl doctor --clean removes it");
        else if (segment::remove_unused_segment(name)) doctor.find(Health::ok, check, "removed: " + seen);
        else doctor.find(Health::note, check, "in use, and so left: " + seen);
    }
}

/// Segments of this user that nobody will use any more, and those of other users.
void check_segments(Doctor& doctor, bool clean) {
    const Leaks leaks = find_leaks();
    doctor.find(Health::ok, "segments",
                std::to_string(leaks.ours) + " of this user, " + std::to_string(leaks.foreign) + " of others");
    report_leak(doctor, clean, "unfinished segment", leaks.unfinished, "its creator died: ");
    report_leak(doctor, clean, "orphaned segment", leaks.orphaned, "its directory is gone: ");
    report_leak(doctor, clean, "damaged segment", leaks.set_aside, "bytes kept of one that was given up: ");
}

/// The row of the table of admission that an attach would meet now.
void check_admission(Doctor& doctor, const Common& common) {
    const registry::AdmissionView view = registry::view_admission(common.name, common.state_dir);
    const bool plain = view.action == "join" || view.action == "adopt";
    doctor.find(plain                      ? Health::ok
                : view.action == "rebuild" ? Health::note
                                           : Health::problem,
                "admission", view.row + ": " + view.action, plain ? "" : view.says);
}

/// What is refused in the state that a scope is in by itself.
std::string refused_in(const ExposureView& row) {
    const std::string rest = "; cancels and reports of the venue pass";
    if (row.saturated) return "a counter met its end: every order and amend is refused" + rest;
    switch (row.state) {
        case TradingState::halted: return "every order and amend is refused" + rest;
        case TradingState::cancel_only: return "every order is refused, and amends that are not down" + rest;
        case TradingState::reducing_only: return "orders that increase are refused, and amends that are not down" + rest;
        default: break;
    }
    return row.unreconciled ? "orders that increase are refused, and amends that are not down" + rest : "nothing is refused";
}

std::string state_line(const Reader& reader, const ExposureView& row) {
    std::string text = reader.name(row.scope) + " is " + std::string(name_of(row.saturated ? TradingState::halted : row.state));
    if (row.unreconciled)
        text = reader.name(row.scope) + " is " +
               (row.state == TradingState::active ? "unreconciled" : std::string(name_of(row.state)) + " and unreconciled");
    if (row.state != TradingState::active)
        text += " since " + persist::format_time(row.state_changed_ns) + " (" + age_of(row.state_changed_ns) + ", uid " +
                std::to_string(row.state_uid) + ", " + row.state_reason + ")";
    return text + ": " + refused_in(row);
}

std::string release_line(const Common& common, const Reader& reader, const ExposureView& row) {
    std::string text;
    if (row.unreconciled)
        text = "compare with the venue: " + line_to_paste(common, "reconcile", "FILE") +
               " ; or on your word: " + line_to_paste(common, "resume", "--unreconciled --reason T");
    if (row.saturated) return "no resume releases that; what it counted: " + line_to_paste(common, "exposure");
    if (row.state == TradingState::active) return text;
    if (!text.empty()) text += " ; then ";
    return text + line_to_paste(common, "resume", "--scope " + shell_word(reader.name(row.scope)) + " --reason T");
}

void check_states(Doctor& doctor, const Common& common, const Reader& reader) {
    for (const ExposureView& row : registry::stopped_scopes(reader))
        doctor.find(Health::note, "trading state", state_line(reader, row), release_line(common, reader, row));
}

/// Live orders that somebody has to do something about.
void check_orders(Doctor& doctor, const Common& common, const Reader& reader) {
    std::uint64_t to_cancel = 0;
    std::map<std::string, std::uint64_t> orphaned;
    reader.orders([&](const OrderView& order) {
        if (!is_live(order.base)) return true;
        if (registry::is_on_kill_list(order, reader)) ++to_cancel;
        if ((order.flags & kOrphaned) != 0) ++orphaned[reader.name(order.strategy)];
        return true;
    });
    if (to_cancel != 0)
        doctor.find(Health::note, "kill list",
                    std::to_string(to_cancel) +
                        " live orders are to be cancelled at the venue: a halt, or the death of their strategy, asks for it",
                    "list them: " + line_to_paste(common, "orders", "--kill-list"));
    for (const auto& [strategy, count] : orphaned)
        doctor.find(Health::note, "orphaned orders",
                    std::to_string(count) + " live orders of " + strategy + ", whose process died: nobody follows them",
                    "list them: " + line_to_paste(common, "orders", "--live --strategy " + shell_word(strategy)) +
                        " ; whoever attaches as " + strategy + " has them again");
}

std::string names_text(const std::vector<std::string>& names) {
    constexpr std::size_t kMost = 8;
    std::string text;
    for (std::size_t i = 0; i < std::min(names.size(), kMost); ++i) text += (i == 0 ? "" : ", ") + names[i];
    return names.size() > kMost ? text + " and " + std::to_string(names.size() - kMost) + " more" : text;
}

/// Strategies without a living session: those that died, and those that nobody runs now.
void check_sessions(Doctor& doctor, const Common& common, const Reader& reader) {
    std::map<std::string, SessionView> latest;
    for (SessionView& session : reader.sessions()) {
        const auto [at, added] = latest.try_emplace(session.strategy, session);
        if (!added && session.generation > at->second.generation) at->second = std::move(session);
    }
    std::vector<std::string> away;
    for (const std::string& name : reader.strategies()) {
        const auto found = latest.find(name);
        if (found == latest.end() || found->second.status == SessionStatus::detached) away.push_back(name);
        if (found == latest.end() || found->second.status != SessionStatus::dead) continue;
        const SessionView& session = found->second;
        const std::string when = session.ended_ns == 0 ? ", died and no writer has noticed"
                                                       : ", died; noticed " + age_of(session.ended_ns) + " (" +
                                                             persist::format_time(session.ended_ns) + ")";
        doctor.find(Health::note, "session", "strategy " + name + ", pid " + std::to_string(session.pid) + when,
                    "start it again: " + line_to_paste(common, "exec", "--strategy " + shell_word(name)) +
                        ", or your program; its orders count as orphaned until then");
    }
    if (!away.empty())
        doctor.find(
            Health::note, "session", "not attached: " + names_text(away),
            "start them: " + line_to_paste(common, "exec", "--strategy " + shell_word(away.front())) + ", or your program");
}

/// Limits that are used up: what increases them is refused.
void check_limits(Doctor& doctor, const Common& common, const Reader& reader) {
    reader.exposures([&](const ExposureView& row) {
        for (const LimitUse& use : row.limits == Limits{} ? std::vector<LimitUse>{} : reader.uses(row)) {
            const LimitValue& limit = row.limits.*use.limit;
            // A limit of 0 that nothing uses is a wish, and no alarm.
            if (limit.kind != LimitValue::Kind::value || use.used < limit.value || use.used <= 0) continue;
            const auto amount = [&](std::int64_t value) { return persist::format_amount(use.unit, value); };
            const std::string name(use.name), scope = reader.name(row.scope);
            doctor.find(Health::note, "limit",
                        scope + " " + name + ": " + amount(use.used) + " of " + amount(limit.value) +
                            " used: what increases it is refused",
                        "reduce the use, or raise it: " +
                            line_to_paste(common, "limit", "--scope " + shell_word(scope) + " --reason T " + name + "=N"));
        }
        return true;
    });
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
    segment::sleep_ns(200'000'000);
    const StatusView later = reader.status();
    const bool stuck = later.lock_holder_pid == first && later.committed == committed;
    doctor.find(
        stuck ? Health::problem : Health::ok, "lock",
        stuck ? "thread " + std::to_string(first) + " has held the lock for at least 200 ms" : "busy",
        stuck ? why_still(first) + ". Nobody takes its lock while it lives; should it die, the next caller repairs" : "");
}

std::string directory_of(const Common& common) { return segment::resolve_state_dir(common.state_dir) + "/" + common.name; }

/// What cannot be seen counts as nothing.
std::uint64_t bytes_in(const std::string& directory) {
    std::vector<std::string> names;
    static_cast<void>(base::list_directory(directory, names));
    std::uint64_t bytes = 0;
    for (const std::string& name : names) {
        if (const std::optional<FileOnHost> file = file_on_host(directory + "/" + name)) bytes += file->bytes;
    }
    return bytes;
}

/// Room for two more checkpoints of today's size and a few journal files.
void check_disk(Doctor& doctor, const Common& common) {
    const std::string directory = directory_of(common);
    const std::optional<Room> room = room_at(directory);
    if (!room)
        return doctor.find(Health::problem, "state directory", directory + ": " + std::strerror(errno),
                           "its files are gone or cannot be reached: nothing new is durable; restore the directory");
    if (const std::string kind = segment::network_file_system(directory); !kind.empty())
        doctor.find(
            Health::note, "state directory",
            directory + " is on a network file system (" + kind +
                "): its locks, renames and syncs may not hold what durable answers rest on, and other machines may write "
                "to it",
            "move the registry to a local disk: end all, copy the directory, then " +
                line_to_paste(common, "recover", "--new-token") + " there");
    if (segment::is_in_memory(directory))
        doctor.find(Health::note, "state directory", directory + " is in memory (tmpfs)",
                    "what is answered as durable does not survive a reboot: keep the registry's files on a disk (--state-dir)");
    const std::uint64_t free_bytes = room->free_bytes;
    const std::uint64_t used = bytes_in(directory);
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
    const auto whom = [](std::uint64_t pid, const std::string& rank) {
        return segment::process_text(static_cast<std::uint32_t>(pid)) + ", rank " + rank;
    };
    const std::string who = v.host_state + (v.host_pid == 0 ? "" : ", " + whom(v.host_pid, v.host_rank)) +
                            (v.waiter_pid == 0 ? "" : "; " + whom(v.waiter_pid, v.waiter_rank) + ", waits for its place");
    const auto find = [&](Health health, const std::string& seen, const std::string& remedy) {
        doctor.find(health, "snapshotter", seen, remedy);
    };
    if (v.host_state == "none")
        find(v.durable_lag == 0 && v.fault.empty() ? Health::note : Health::problem,
             "nobody hosts it; " + std::to_string(v.durable_lag) + " events wait" +
                 (v.fault.empty() ? "" : "; the last host left with " + v.fault + " " + v.fault_error),
             "start it: " + line_to_paste(common, "riskd", "", ""));
    else if (v.host_state == "stopped")
        find(Health::problem, who + ", silent for " + std::to_string(v.host_silent_ns / 1'000'000) + " ms",
             "it lives, so nobody takes its place: " + why_still(static_cast<std::uint32_t>(v.host_pid)));
    else if (v.fault == "no_threads")
        find(Health::problem, who + ": " + v.fault + " " + v.fault_error + ", " + std::to_string(v.fault_retries) + " attempts",
             "the journal is kept; checkpoints, alerts or the alarm log may not be. Raise `ulimit -u`, or pids.max of its "
             "cgroup "
             "(systemd: TasksMax=); it is tried again every second");
    else if (v.fault == "no_memory")
        find(Health::problem, who + ": " + v.fault + " " + v.fault_error + ", " + std::to_string(v.fault_retries) + " attempts",
             "the journal is kept where it can be; checkpoints are not written. Raise `ulimit -v`, or memory.max of its cgroup "
             "(systemd: MemoryMax=); it is tried again every second");
    else if (!v.fault.empty())
        find(Health::problem, who + ": " + v.fault + " " + v.fault_error + ", " + std::to_string(v.fault_retries) + " attempts",
             "riskreg.log in the state directory tells the story; it is tried again by itself");
    else find(Health::ok, who + ", " + std::to_string(v.durable_lag) + " events behind", "");
    if (v.gap_end != 0)
        doctor.find(Health::problem, "journal", "a gap is open: durable answers wait for two checkpoints above it",
                    "give it room and time");
    if (!v.checkpoint_error.empty())
        doctor.find(Health::problem, "checkpoint", "the last one failed: " + v.checkpoint_error,
                    line_to_paste(common, "checkpoint"));
    if (v.differences != 0)
        doctor.find(Health::problem, "verifier", std::to_string(v.differences) + " records differ from the journal",
                    line_to_paste(common, "verify") + ", and riskreg.log names them");
}

/// Under four eyes a scope stays as it is until a second person approves.
void check_approvals(Doctor& doctor, const Common& common, const Reader& reader) {
    for (const ApprovalView& approval : reader.approvals())
        if (!approval.approved)
            doctor.find(Health::note, "four eyes",
                        "request " + std::to_string(approval.request) + " of user " + std::to_string(approval.uid) +
                            " waits: resume " + reader.name(approval.scope) + ", " + approval.reason,
                        "another user: " + line_to_paste(common, "approve", std::to_string(approval.request)));
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
                "if this machine's clock is right: " + line_to_paste(common, "clock", "--reason T"));
}

/// Settings and the limits of this moment that leave each other weaker than they look.
void check_settings(Doctor& doctor, const Reader& reader) {
    SharedConfig config = parse_config(reader.config_json());
    config.limits.clear();
    reader.exposures([&](const ExposureView& row) {
        if (row.limits != Limits{}) config.limits.push_back({reader.name(row.scope), row.limits});
        return true;
    });
    for (const std::string& warning : persist::weak_limits(config)) doctor.find(Health::note, "settings", warning);
}

void check_registry(Doctor& doctor, const Common& common) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    const StatusView v = reader.status();
    doctor.find(v.poisoned            ? Health::problem
                : v.state == "active" ? Health::ok
                                      : Health::note,
                "state", v.state,
                v.poisoned              ? "every call is refused: " + line_to_paste(common, "verify") + " names the damage"
                : v.state == "degraded" ? "orders go on, the disk does not follow: see snapshotter below"
                : v.state != "active"   ? "see trading state below"
                                        : "");
    check_states(doctor, common, reader);
    check_clock(doctor, common, v);
    check_lock_holder(doctor, reader);
    check_sessions(doctor, common, reader);
    check_orders(doctor, common, reader);
    check_limits(doctor, common, reader);
    check_approvals(doctor, common, reader);
    check_capacity(doctor, v);
    check_snapshotter(doctor, common, v);
    check_settings(doctor, reader);
}

int doctor(const Common& common, bool clean) {
    Doctor doctor;
    for (const Finding& finding : segment_folder_findings()) doctor.add(finding);
    check_locks(doctor);
    for (const Finding& finding : memory_findings()) doctor.add(finding);
    check_segments(doctor, clean);
    int code = kDone;
    try {
        if (!common.name.empty()) check_admission(doctor, common), check_registry(doctor, common);
    } catch (const Error& error) {
        doctor.find(Health::problem, "registry", error.what());
        code = exit_code(error.code());
    }
    doctor.print(common.json);
    if (code != kDone) return code;
    return doctor.healthy() ? kDone : kNo;
}

Run add_doctor(CLI::App& verb, const Common& common) {
    auto clean = std::make_shared<bool>(false);
    verb.add_flag("--clean", *clean, "remove what nobody uses: segments whose directory is gone, bytes of damaged ones");
    return [&common, clean] { return doctor(common, *clean); };
}

}  // namespace

Verb doctor_verb() { return {"doctor", "check the host and the registry, name the remedy", add_doctor, Subject::host}; }

}  // namespace riskctl
