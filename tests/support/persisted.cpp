#include "support/persisted.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <thread>

#include "core/genesis.hpp"

namespace riskreg::test {

namespace {

constexpr std::string_view kPersistedConfig = R"({
  "capacity": {"orders": 16384, "executions": 16384, "ring_events": 1024, "sessions": 32},
  "persistence": {"mode": "async", "checkpoint_interval_s": 1, "keep_checkpoints": 2},
  "require_limits": false, "allow_limit_without_reference": true, "self_match": "allow",
  "instruments": [{"id": "ES", "tick": "0.25"}],
  "accounts": [{"id": "A1"}],
  "strategies": [
    {"id": "s1", "account": "A1", "on_death": "leave"}, {"id": "s2", "account": "A1", "on_death": "leave"},
    {"id": "s3", "account": "A1", "on_death": "leave"}, {"id": "s4", "account": "A1", "on_death": "leave"}]
})";

std::vector<std::string> names_in(const std::string& directory, std::string_view prefix) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory))
        if (entry.path().filename().string().starts_with(prefix)) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace

SharedConfig persisted_config(Journal journal) {
    SharedConfig config = parse_config(kPersistedConfig);
    config.keep_journal = journal == Journal::kept;
    return config;
}

ProcessConfig PersistedRegistry::durable_process(const std::string& strategy, std::int64_t durable_timeout_ns) const {
    ProcessConfig config = process(strategy);
    config.durability = Durability::durable;
    config.durable_timeout_ns = durable_timeout_ns;
    return config;
}

Child PersistedRegistry::host(const Fuse& fuse) const {
    return Child([this, fuse] {
        ProcessConfig config = process();
        config.host_snapshotter = true;
        fuse.light();
        const Registry registry = Registry::open(name(), config);
        for (;;) ::pause();
    });
}

Child PersistedRegistry::host_until(const std::function<bool()>& leave, const Fuse& fuse) const {
    return Child([this, leave, fuse] {
        ProcessConfig config = process();
        config.host_snapshotter = true;
        fuse.light();
        const Registry registry = Registry::open(name(), config);
        while (!leave()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    });
}

Child PersistedRegistry::riskd() const {
    return Child([this] {
        const std::string program = std::string(RISKREG_BIN_DIR) + "/riskd";
        const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
        ::dup2(nowhere, STDERR_FILENO);
        ::execl(program.c_str(), "riskd", name().c_str(), "--state-dir", state_dir().c_str(), "--quiet", nullptr);
        throw std::system_error(errno, std::generic_category(), program);
    });
}

void PersistedRegistry::remove_segment() const {
    const std::optional<segment::SegmentName> name = segment::parse_segment_name(segment_);
    for (const segment::SegmentName& day : segment::segments_of(name->uid, name->token, name->registry))
        segment::remove_segment(segment::text_of(day));
}

std::vector<std::string> PersistedRegistry::journal_files() const { return names_in(directory(), "journal-"); }
std::vector<std::string> PersistedRegistry::checkpoint_files() const { return names_in(directory(), "checkpoint-"); }

std::string PersistedRegistry::log() const {
    std::ifstream file(directory() + "/riskreg.log");
    return {std::istreambuf_iterator<char>(file), {}};
}

Restored restore_from_files(const PersistedRegistry& place, From from, std::uint64_t upto) {
    persist::Directory directory;
    if (const persist::IoError error = persist::Directory::open(place.directory(), directory))
        throw std::runtime_error(error.text());
    persist::Sources sources(directory, {});
    if (from == From::empty) sources.checkpoints.clear();
    if (from == From::checkpoint_before && !sources.checkpoints.empty()) sources.checkpoints.erase(sources.checkpoints.begin());
    persist::RestoreOptions options;
    if (upto != 0) options.upto = upto;
    Restored restored;
    const auto fresh = [&](const std::string& json) -> core::State& {
        const SharedConfig config = parse_config(json);
        restored.tables = core::allocate_state(core::geometry_of(config, json.size()));
        core::make_genesis(restored.tables.state, config, json);
        return restored.tables.state;
    };
    restored.report = persist::restore(directory, sources, fresh, options);
    return restored;
}

bool has_ended(pid_t pid) {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == pid;
}

bool is_syncing(pid_t pid) {
    std::error_code error;
    for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
        std::ifstream file(task.path() / "syscall");
        long number = -1;
        if (file >> number && (number == SYS_fsync || number == SYS_fdatasync)) return true;
    }
    return false;
}

}  // namespace riskreg::test
