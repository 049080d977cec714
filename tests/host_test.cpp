// The host of the snapshotter as an operator meets it: its log when others handle it, when nobody reads it, when it hangs; a host that
// has no threads or no memory; how long leaving takes, and what is said when not everything is on disk; and that the journal is never
// left alone for what others of its threads are doing. Times are printed; none of them decides but where a minute or the ten seconds of
// a container are over.

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "registry/alarm.hpp"
#include "segment/lifecycle.hpp"
#include "segment/robust_mutex.hpp"
#include "segment/state_lock.hpp"
#include "support/interposed.hpp"
#include "support/operations.hpp"
#include "support/persisted.hpp"
#include "support/sanitized.hpp"

namespace {

using namespace riskreg;
using namespace riskreg::test;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;
using Arguments = std::vector<std::string>;

constexpr milliseconds kPatience = seconds(60);
constexpr seconds kContainer{10};  // after SIGTERM it kills

std::int64_t ms_since(Clock::time_point begin) {
    return std::chrono::duration_cast<milliseconds>(Clock::now() - begin).count();
}

/// A registry and the real programs that use it.
class HostDesk {
public:
    HostDesk() : place_(std::make_unique<PersistedRegistry>(Journal::trimmed)), reader_(place_->look()) {}

    [[nodiscard]] const PersistedRegistry& place() const noexcept { return *place_; }
    [[nodiscard]] const Reader& reader() const noexcept { return reader_; }
    [[nodiscard]] std::string log_path() const { return place_->directory() + "/riskreg.log"; }
    [[nodiscard]] std::string said_by(const std::string& who) const { return slurp(place_->state_dir() + "/" + who + ".err"); }
    [[nodiscard]] Interposing interposing() const {
        Interposing with;
        with.directory = place_->directory();
        return with;
    }
    [[nodiscard]] std::unique_ptr<Process> start(const std::string& program, const std::string& who, Arguments arguments,
                                                 const Interposing& with = {}) const {
        return std::make_unique<Process>(program, std::move(arguments), place_->state_dir() + "/" + who + ".err", with);
    }
    [[nodiscard]] Arguments verb(const std::string& verb, Arguments more = {}) const {
        Arguments all{verb, place_->name(), "--state-dir", place_->state_dir()};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    [[nodiscard]] std::unique_ptr<Process> riskd(const std::string& who = "riskd", const Interposing& with = {}) const {
        auto process = start("riskd", who, {place_->name(), "--state-dir", place_->state_dir()}, with);
        return process;
    }
    [[nodiscard]] std::unique_ptr<Process> exec(const std::string& strategy, Arguments more = {},
                                                const Interposing& with = {}) const {
        more.insert(more.begin(), {"--strategy", strategy});
        return start("riskctl", strategy, verb("exec", more), with);
    }
    /// What riskctl prints, and its code.
    [[nodiscard]] std::string output(const std::string& name, Arguments more = {}, int* code = nullptr) const {
        Process process("riskctl", verb(name, std::move(more)), place_->state_dir() + "/" + name + ".err");
        process.close_input();
        std::string text;
        for (auto line = process.read_line(kPatience); line; line = process.read_line(kPatience)) text += *line + "\n";
        const std::optional<int> status = process.wait(kPatience);
        REQUIRE(status.has_value());
        if (code != nullptr) *code = WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
        return text;
    }
    void wait_for_host(const Process& process) const {
        wait_until([&] { return hosts(process); });
    }
    [[nodiscard]] bool hosts(const Process& process) const {
        const StatusView status = reader_.status();
        return status.host_pid == static_cast<std::uint64_t>(process.pid()) &&
               (status.host_state == "running" || status.host_state == "degraded");
    }
    /// A line of the log; another kind each time.
    void raise_alarm(const std::string& reason) const {
        const char* state = ++halts_ % 2 == 1 ? "halt" : "resume";
        const std::string strategy = "s" + std::to_string(1 + (halts_ - 1) / 2 % 4);
        int code = -1;
        static_cast<void>(output(state, {"--scope", "strategy:" + strategy, "--reason", reason}, &code));
        REQUIRE(code == 0);
    }
    void wait_for_line(const std::string& path, const std::string& text) const {
        INFO(path << " lacks " << text);
        wait_until([&] { return slurp(path).find(text) != std::string::npos; });
    }

private:
    std::unique_ptr<PersistedRegistry> place_;
    Reader reader_;
    mutable int halts_ = 0;
};

std::string order_line(const std::string& id) {
    return R"({"op":"register","id":")" + id +
           R"(","instrument":"ES","side":"buy","type":"limit","tif":"day","price":"4800","quantity":"1"})" + "\n";
}

/// The answer to one order.
std::string place(Process& exec, const std::string& id) {
    exec.write(order_line(id));
    const std::optional<std::string> answer = exec.read_line(kPatience);
    REQUIRE(answer.has_value());
    CAPTURE(*answer);
    REQUIRE(answer->find(R"("result":"accepted")") != std::string::npos);
    return *answer;
}

/// Accepted, and on disk.
void trade(Process& exec, const std::string& id) { REQUIRE(place(exec, id).find("pending") == std::string::npos); }

const Arguments kDurable{"--durability", "durable", "--durable-timeout-ms", "60000"};
const Arguments kGuest{"--durability", "durable", "--durable-timeout-ms", "60000", "--no-snapshotter"};

/// Its exit code; it is told to end, and the time it took is printed.
int end(Process& process, const std::string& what, int signal = SIGTERM) {
    const auto begin = Clock::now();
    if (signal != 0) process.send(signal);
    const std::optional<int> status = process.wait(kPatience);
    REQUIRE(status.has_value());
    std::cout << what << ": gone after " << ms_since(begin) << " ms\n";
    CHECK((RISKREG_SANITIZED || Clock::now() - begin < kContainer));
    REQUIRE(WIFEXITED(*status));
    return WEXITSTATUS(*status);
}

mode_t mode_of(const std::string& path) {
    struct stat facts {};
    return ::stat(path.c_str(), &facts) == 0 ? facts.st_mode & 0777U : 0;
}

}  // namespace

// ---- the log ------------------------------------------------------------------------------------

TEST_CASE("the alarm log goes on wherever logrotate has left it", "[host][log]") {
    const HostDesk desk;
    const auto riskd = desk.riskd();
    desk.wait_for_host(*riskd);
    desk.raise_alarm("before");
    desk.wait_for_line(desk.log_path(), "before");
    SECTION("renamed, and made anew") {
        std::filesystem::rename(desk.log_path(), desk.log_path() + ".moved");
        const std::ofstream anew(desk.log_path());
    }
    SECTION("renamed, and nothing in its place") { std::filesystem::rename(desk.log_path(), desk.log_path() + ".moved"); }
    SECTION("copied, and cut to nothing") {
        std::filesystem::copy(desk.log_path(), desk.log_path() + ".moved");
        std::filesystem::resize_file(desk.log_path(), 0);
    }
    SECTION("removed") { std::filesystem::remove(desk.log_path()); }
    desk.raise_alarm("after");
    desk.wait_for_line(desk.log_path(), "after");
    const std::string text = slurp(desk.log_path());
    CHECK(text.find("before") == std::string::npos);
    CHECK(text.find('\0') == std::string::npos);
    CHECK(text.substr(0, 2) == "20");  // a whole line, in UTC
    CHECK(text.find("Z warning [") != std::string::npos);
    if (std::filesystem::exists(desk.log_path() + ".moved"))
        CHECK(slurp(desk.log_path() + ".moved").find("after") == std::string::npos);
    CHECK(end(*riskd, "riskd") == 0);
}

TEST_CASE("at SIGHUP riskd goes on, opens its log anew and says so there", "[host][log]") {
    const HostDesk desk;
    const ::mode_t before = ::umask(0);
    const auto riskd = desk.riskd();
    ::umask(before);
    desk.wait_for_host(*riskd);
    const auto guest = desk.exec("s1", kGuest);
    trade(*guest, "one");
    std::filesystem::rename(desk.log_path(), desk.log_path() + ".moved");
    riskd->send(SIGHUP);
    desk.wait_for_line(desk.log_path(), "the log was opened anew");
    CHECK(mode_of(desk.log_path()) == 0600);
    trade(*guest, "two");
    CHECK(riskd->is_running());
    CHECK(desk.hosts(*riskd));
    CHECK(end(*guest, "exec") == 0);
    CHECK(end(*riskd, "riskd") == 0);
}

TEST_CASE("the journal waits for no log: not for a pipe that nobody reads, a full stderr, or a disk that hangs",
          "[host][log][inv-9]") {
    if (skipped_for_preload()) return;
    const HostDesk desk;
    Interposing with;
    std::string what;
    int held[2] = {-1, -1};
    SECTION("a pipe without a reader has the log's name") {
        what = "pipe";
        REQUIRE(::mkfifo(desk.log_path().c_str(), 0600) == 0);
    }
    SECTION("writing the log never returns") {
        what = "hanging log";
        with = desk.interposing();
        with.hang = "riskreg.log";
    }
    SECTION("stderr is a pipe that is full") {
        what = "full stderr";
        REQUIRE(::pipe(held) == 0);
    }
    const int own = held[1] >= 0 ? ::dup(STDERR_FILENO) : -1;
    std::unique_ptr<Process> riskd;
    if (held[1] >= 0) {
        // Filled to the brim, then given to riskd by a shell that it replaces.
        ::fcntl(held[1], F_SETFL, O_NONBLOCK);
        const std::string page(4096, '.');
        while (::write(held[1], page.data(), page.size()) > 0) {
        }
        while (::write(held[1], ".", 1) > 0) {
        }
        ::fcntl(held[1], F_SETFL, 0);
        riskd = std::make_unique<Process>("riskd", Arguments{desk.place().name(), "--state-dir", desk.place().state_dir()},
                                          "/proc/self/fd/" + std::to_string(held[1]));
    } else {
        riskd = desk.riskd("riskd", with);
    }
    if (own >= 0) ::close(own);
    desk.wait_for_host(*riskd);
    const auto guest = desk.exec("s1", kGuest);
    for (int i = 0; i < 40; ++i) {
        trade(*guest, "O-" + std::to_string(i));
        // Each leaves a line.
        guest->write(R"({"op":"filled","id":"nobody-)" + std::to_string(i) + R"(","exec_id":"E-)" + std::to_string(i) +
                     R"(","instrument":"ES","side":"buy","price":"4800","quantity":"1"})" + "\n");
        REQUIRE(guest->read_line(kPatience).has_value());
    }
    CHECK(desk.reader().status().gaps == 0);
    CHECK(desk.reader().status().alarms > 0);
    CHECK(end(*guest, what + ": exec") == 0);
    CHECK(end(*riskd, what + ": riskd") == 0);
    CHECK(desk.reader().status().durable == desk.reader().status().committed);
    for (const int number : held)
        if (number >= 0) ::close(number);
}

TEST_CASE("of a kind of alarm one line a second is written and then how many more there were, and the counter counts lines",
          "[host][log]") {
    const TempRegistry place;
    LiveSegment live(place, segment::Access::read_write);
    const std::string path = place.state_dir() + "/" + place.name() + "/riskreg.log";
    std::uint64_t before = 0;
    {
        registry::Alarm alarm(live.state(), {place.state_dir() + "/" + place.name(), place.name(), false, false});
        for (int i = 0; i < 20'000; ++i) alarm.raise(registry::Severity::warning, "one of many " + std::to_string(i));
        alarm.raise(registry::Severity::critical, "of another kind");
        before = layout::load_relaxed(live.state().host->alarms);
    }
    const std::string text = slurp(path);
    CAPTURE(text);
    const auto lines = static_cast<std::uint64_t>(std::count(text.begin(), text.end(), '\n'));
    CHECK(lines >= 3);
    CHECK(lines < 100);
    CHECK(before >= 2);
    CHECK(layout::load_relaxed(live.state().host->alarms) == lines);
    CHECK(text.find("one of many 0\n") != std::string::npos);
    CHECK(text.find("of this kind within a second, the last:) one of many 19999\n") != std::string::npos);
    CHECK(text.find("of another kind\n") != std::string::npos);
}

TEST_CASE("what a log could not take is counted, and told when it can be written again", "[host][log]") {
    const TempRegistry place;
    LiveSegment live(place, segment::Access::read_write);
    const std::string directory = place.state_dir() + "/elsewhere";
    registry::Alarm alarm(live.state(), {directory, place.name(), false, false});
    alarm.raise(registry::Severity::warning, "lost one");
    alarm.raise(registry::Severity::critical, "lost two");
    wait_until([&] { return alarm.is_writing(); });
    // Taken from the queue, each in vain: the directory is not there.
    wait_until([&] { return alarm.waiting() == 0; });
    std::filesystem::create_directory(directory);
    alarm.raise(registry::Severity::warning, "written");
    wait_until([&] { return slurp(directory + "/riskreg.log").find("written") != std::string::npos; });
    CHECK(slurp(directory + "/riskreg.log").find("2 lines before this one could not be written to this log") !=
          std::string::npos);
    CHECK(layout::load_relaxed(live.state().host->alarms) == 3);
}

TEST_CASE("the count of alarms never goes back, and no roll makes an alarm of the segment's name", "[host][log][roll]") {
    const HostDesk desk;
    const auto riskd = desk.riskd();
    desk.wait_for_host(*riskd);
    std::uint64_t most = 0;
    for (int day = 0; day < 8; ++day) {
        desk.raise_alarm("day " + std::to_string(day));
        int code = -1;
        static_cast<void>(desk.output("roll", {"--reason", "next"}, &code));
        REQUIRE(code == 0);
        const Reader today = desk.place().look();
        wait_until([&] {
            const StatusView status = today.status();
            CHECK(status.alarms >= most);
            most = std::max(most, status.alarms);
            return status.durable == status.committed && status.host_pid == static_cast<std::uint64_t>(riskd->pid());
        });
    }
    CHECK(most >= 8);
    CHECK(end(*riskd, "riskd") == 0);
    CAPTURE(desk.place().log());
    CHECK(desk.place().log().find(" critical ") == std::string::npos);
}

// ---- what a host lacks --------------------------------------------------------------------------

TEST_CASE("a host that can make no thread keeps the journal alone, says no_threads, and is whole again when it can",
          "[host][inv-9]") {
    if (skipped_for_preload()) return;
    const HostDesk desk;
    Interposing with = desk.interposing();
    with.no_threads = desk.place().state_dir() + "/no-threads";
    with.free_threads = 1;  // the one that journals
    { const std::ofstream made(with.no_threads); }
    const auto riskd = desk.riskd("riskd", with);
    wait_until([&] { return desk.reader().status().fault == "no_threads"; });
    const auto guest = desk.exec("s1", kGuest);
    for (int i = 0; i < 20; ++i) trade(*guest, "O-" + std::to_string(i));
    const std::string doctor = desk.output("doctor"), status = desk.output("status");
    CAPTURE(doctor, status);
    CHECK(status.find("no_threads") != std::string::npos);
    CHECK(doctor.find("no_threads") != std::string::npos);
    CHECK(doctor.find("pids.max") != std::string::npos);
    CHECK(desk.hosts(*riskd));
    std::filesystem::remove(with.no_threads);
    wait_until([&] { return desk.reader().status().fault.empty(); });
    int code = -1;
    static_cast<void>(desk.output("checkpoint", {}, &code));
    CHECK(code == 0);
    desk.wait_for_line(desk.log_path(), "no_threads");
    desk.wait_for_line(desk.log_path(), "all the threads and the memory that it needs again");
    CHECK(end(*guest, "exec") == 0);
    CHECK(end(*riskd, "riskd") == 0);
}

TEST_CASE("a host that has no thread to spare leaves in order", "[host][inv-9]") {
    if (skipped_for_preload()) return;
    const HostDesk desk;
    Interposing with = desk.interposing();
    with.no_threads = desk.place().state_dir() + "/no-threads";
    with.free_threads = 1;
    { const std::ofstream made(with.no_threads); }
    const auto riskd = desk.riskd("riskd", with);
    wait_until([&] { return desk.reader().status().fault == "no_threads"; });
    const auto guest = desk.exec("s1", kGuest);
    trade(*guest, "one");
    CHECK(end(*riskd, "riskd without threads") == 0);
    CHECK(end(*guest, "exec") == 0);
    const auto other = desk.riskd("other");
    desk.wait_for_host(*other);
    wait_until([&] { return desk.reader().status().fault.empty(); });
    CHECK(desk.reader().status().gaps == 0);
}

#if RISKREG_SANITIZED == 0
TEST_CASE("a host that has no memory for a replica keeps the journal, says no_memory, and is whole again when it has it",
          "[host][inv-9]") {
    SharedConfig config = persisted_config(Journal::trimmed);
    config.capacity.orders = 1U << 18;  // a copy of these tables is what it cannot have
    config.capacity.executions = 1U << 18;
    const TempRegistry place(config);
    const Reader reader = place.look();
    Process riskd("riskd", {place.name(), "--state-dir", place.state_dir()}, place.state_dir() + "/riskd.err");
    wait_until([&] { return reader.status().host_state == "running"; });
    std::uint64_t pages = 0;
    std::ifstream("/proc/" + std::to_string(riskd.pid()) + "/statm") >> pages;
    rlimit limit{}, wide{};
    REQUIRE(::prlimit(riskd.pid(), RLIMIT_AS, nullptr, &wide) == 0);
    limit = wide;
    limit.rlim_cur = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) + (16U << 20);
    REQUIRE(::prlimit(riskd.pid(), RLIMIT_AS, &limit, nullptr) == 0);
    Registry registry = Registry::open(place.name(), [&] {
        ProcessConfig process = place.process("s1");
        process.durability = Durability::durable;
        process.durable_timeout_ns = 60'000'000'000;
        return process;
    }());
    OrderRequest order = one_lot(registry);
    int orders = 0;
    wait_until([&] {
        const std::string id = "O-" + std::to_string(++orders);
        order.id = id;
        CHECK(registry.check_and_register(order).durability == Durability::durable);
        return reader.status().fault == "no_memory";
    });
    Process doctor("riskctl", {"doctor", place.name(), "--state-dir", place.state_dir()}, place.state_dir() + "/doctor.err");
    std::string said;
    for (auto line = doctor.read_line(kPatience); line; line = doctor.read_line(kPatience)) said += *line + "\n";
    CHECK(said.find("no_memory") != std::string::npos);
    CHECK(said.find("memory.max") != std::string::npos);
    REQUIRE(::prlimit(riskd.pid(), RLIMIT_AS, &wide, nullptr) == 0);
    wait_until([&] { return reader.status().fault.empty(); });
    CHECK(registry.checkpoint(60'000'000'000));
    CHECK(reader.status().gaps == 0);
    riskd.send(SIGTERM);
    const std::optional<int> status = riskd.wait(kPatience);
    REQUIRE(status.has_value());
    CHECK(WIFEXITED(*status));
}
#endif

TEST_CASE("create, status and doctor say of a state directory in memory that nothing there survives a reboot", "[host]") {
    const FastDir fast;
    if (!segment::is_in_memory(fast.path())) {
        std::cout << "SKIPPED: no directory in memory here\n";
        return;
    }
    const std::string state = fast.path() + "/state", config = fast.path() + "/config.json",
                      name = "memory-" + std::to_string(::getpid());
    std::ofstream(config) << journaled_config(512, 256, 3600, 1);
    const auto output = [&](Arguments arguments) {
        arguments.insert(arguments.begin() + 1, {name, "--state-dir", state});
        const std::string errors = fast.path() + "/" + arguments[0] + ".err";
        Process process("riskctl", arguments, errors);
        process.close_input();
        std::string text;
        for (auto line = process.read_line(kPatience); line; line = process.read_line(kPatience)) text += *line + "\n";
        return text + slurp(errors);
    };
    CHECK(output({"create", "--config", config}).find("is in memory (tmpfs)") != std::string::npos);
    CHECK(output({"status"}).find("in memory (tmpfs)") != std::string::npos);
    CHECK(output({"status", "--json"}).find(R"("state_dir_in_memory":true)") != std::string::npos);
    CHECK(output({"doctor"}).find("is in memory (tmpfs)") != std::string::npos);
    static_cast<void>(output({"destroy", "--yes"}));
}

// ---- a host that stands still -------------------------------------------------------------------

namespace {

/// A cgroup of our own with one process in it, by either version; removed at the end.
class Freezer {
public:
    explicit Freezer(pid_t pid) {
        const std::string name = "/riskreg-test-" + std::to_string(::getpid());
        for (const auto& [root, file] :
             {std::pair{"/sys/fs/cgroup/freezer", "freezer.state"}, std::pair{"/sys/fs/cgroup", "cgroup.freeze"}}) {
            path_ = root + name;
            file_ = path_ + "/" + file;
            if (::mkdir(path_.c_str(), 0755) != 0) continue;
            std::ofstream(path_ + "/cgroup.procs") << pid << std::endl;
            if (std::filesystem::exists(file_) && slurp(path_ + "/cgroup.procs").find(std::to_string(pid)) != std::string::npos)
                return;
            ::rmdir(path_.c_str());
        }
        path_.clear();
    }
    ~Freezer() {
        if (path_.empty()) return;
        freeze(false);
        // Its process has ended by then, unless the test failed; the kernel may be a moment behind.
        try {
            wait_until([this] { return ::rmdir(path_.c_str()) == 0; });
        } catch (const std::exception&) {
            std::cout << "the cgroup " << path_ << " is left\n";
        }
    }
    Freezer(const Freezer&) = delete;
    Freezer& operator=(const Freezer&) = delete;
    [[nodiscard]] bool is_there() const noexcept { return !path_.empty(); }
    void freeze(bool on) const {
        const bool first = file_.ends_with("freezer.state");
        std::ofstream(file_) << (first ? (on ? "FROZEN" : "THAWED") : (on ? "1" : "0")) << std::endl;
    }
    [[nodiscard]] const std::string& file() const noexcept { return file_; }

private:
    std::string path_, file_;
};

}  // namespace

TEST_CASE("a host whose cgroup is frozen keeps its place, is named with the file to thaw it by, and goes on afterwards",
          "[host][inv-9]") {
    const HostDesk desk;
    auto riskd = desk.riskd();
    const Freezer cgroup(riskd->pid());
    if (!cgroup.is_there()) {
        std::cout << "SKIPPED: no cgroup may be made here\n";
        return;
    }
    desk.wait_for_host(*riskd);
    const auto other = desk.riskd("other");
    const auto guest = desk.exec("s1", {"--durability", "durable", "--durable-timeout-ms", "50", "--no-snapshotter"});
    wait_until([&] { return desk.said_by("other").find("stands by") != std::string::npos; });
    cgroup.freeze(true);
    wait_until([&] { return desk.reader().status().host_state == "stopped"; });
    CHECK(place(*guest, "meanwhile").find("pending") != std::string::npos);
    const std::string doctor = desk.output("doctor");
    CAPTURE(doctor);
    CHECK(doctor.find("its cgroup is frozen (" + cgroup.file() + "): thaw it there") != std::string::npos);
    CHECK(doctor.find("kill") == std::string::npos);
    CHECK(desk.reader().status().host_pid == static_cast<std::uint64_t>(riskd->pid()));
    wait_until([&] { return desk.said_by("other").find("has not moved for") != std::string::npos; });
    cgroup.freeze(false);
    wait_until([&] { return desk.reader().status().durable == desk.reader().status().committed; });
    CHECK(desk.hosts(*riskd));
    CHECK(desk.reader().status().gaps == 0);
    CHECK(end(*guest, "exec") == 0);
    CHECK(end(*riskd, "riskd") == 0);
    CHECK(end(*other, "other") == 0);
}

// ---- leaving ------------------------------------------------------------------------------------

TEST_CASE("whoever leaves under a failing journal is gone in time and says what is not on disk", "[host][leave][inv-9]") {
    if (skipped_for_preload()) return;
    const HostDesk desk;
    Interposing with = desk.interposing();
    with.fail_at = 1;
    with.fault.persistent = true;
    const std::string what = GENERATE("EIO at every sync", "ENOSPC at every write", "a disk that hangs");
    CAPTURE(what);
    if (what == "EIO at every sync") with.only = "fdatasync", with.fault.value = std::to_string(EIO);
    if (what == "ENOSPC at every write") with.only = "pwrite", with.fault.value = std::to_string(ENOSPC);
    if (what == "a disk that hangs") with.hang = "journal-", with.fail_at = 0;
    SECTION("exec, between two commands") {
        const auto exec = desk.exec("s1", {"--durability", "durable", "--durable-timeout-ms", "100"}, with);
        CHECK(place(*exec, "one").find("pending") != std::string::npos);
        CHECK(end(*exec, what + ": exec") == 3);
        CAPTURE(desk.said_by("s1"));
        CHECK(desk.said_by("s1").find("are in memory only, not on disk") != std::string::npos);
    }
    SECTION("exec, while an answer waits for the disk") {
        const auto exec = desk.exec("s1", kDurable, with);
        exec->write(order_line("one"));
        wait_until([&] { return desk.reader().status().orders_total == 1; });
        CHECK(end(*exec, what + ": exec with an answer that waits") == 3);
    }
    SECTION("exec, at the end of its input") {
        const auto exec = desk.exec("s1", {}, with);
        place(*exec, "one");
        exec->close_input();
        CHECK(end(*exec, what + ": exec at the end of its input", 0) == 3);
        CHECK(desk.said_by("s1").find("not on disk") != std::string::npos);
    }
    SECTION("riskd") {
        const auto riskd = desk.riskd("riskd", with);
        wait_until([&] { return desk.reader().status().host_pid == static_cast<std::uint64_t>(riskd->pid()); });
        const auto guest = desk.exec("s1", {"--no-snapshotter"});
        place(*guest, "one");
        CHECK(end(*riskd, what + ": riskd") == 3);
        CHECK(desk.said_by("riskd").find("not on disk") != std::string::npos);
    }
    SECTION("an operator's verb") {
        Process halt("riskctl", desk.verb("halt", {"--scope", "firm", "--reason", "now"}),
                     desk.place().state_dir() + "/halt.err", with);
        CHECK(end(halt, what + ": halt", 0) == 3);
        CHECK(desk.reader().status().state == "halted");
    }
    // The next host brings to disk what memory holds.
    const auto riskd = desk.riskd("next");
    desk.wait_for_host(*riskd);
    wait_until([&] { return desk.reader().status().durable == desk.reader().status().committed; });
    CHECK(end(*riskd, "the next riskd") == 0);
}

TEST_CASE("who leaves while another is stopped inside the lock is gone in time", "[host][leave][inv-10]") {
    if (skipped_for_threads_of_children()) return;
    const HostDesk desk;
    const auto exec = desk.exec("s1", {"--lock-timeout-ms", "60000"});
    place(*exec, "one");
    Shared<std::atomic<bool>> inside;
    Child holder([&] {
        LiveSegment live(desk.place(), segment::Access::read_write);
        segment::RobustMutex mutex(segment::mutex_memory(live.state()));
        if (mutex.try_lock() != segment::LockResult::held) throw std::runtime_error("not free");
        *inside = true;
        for (;;) ::pause();
    });
    wait_until([&] { return inside->load(); });
    holder.send(SIGSTOP);
    REQUIRE(holder.wait_for_stop().stopped_by(SIGSTOP));
    CHECK(end(*exec, "exec beside a stopped holder of the lock") == 0);
    holder.kill_and_reap();
    Registry after = desk.place().attach();
    CHECK(knock(after));
}

TEST_CASE("a program that hosts with the library leaves in time whatever its disk does, and is told what is not on disk",
          "[host][leave]") {
    if (skipped_for_threads_of_children()) return;
    const PersistedRegistry place;
    ProcessConfig config = place.process();
    config.host_snapshotter = true;
    Registry registry = Registry::open(place.name(), config);
    wait_until([&] { return registry.status().host_state == "running"; });
    // A directory that is gone: nothing can be written.
    std::filesystem::rename(place.directory(), place.directory() + ".gone");
    wait_until([&] { return !registry.status().fault.empty(); });
    REQUIRE(registry.halt({ScopeKind::firm, AccountId::none, StrategyId::none, InstrumentId::none}, TradingState::halted, "now")
                .seq != 0);
    const auto begin = Clock::now();
    const LeaveView left = registry.leave();
    std::cout << "library: left after " << ms_since(begin) << " ms\n";
    CHECK_FALSE(left.durable);
    CHECK(left.committed > left.durable_upto);
    CHECK(left.why.find("directory") != std::string::npos);
    CHECK(Clock::now() - begin < kContainer);
    std::filesystem::rename(place.directory() + ".gone", place.directory());
}

// ---- gaps ---------------------------------------------------------------------------------------

namespace {

/// A ring of events that nobody has written.
void overrun(const HostDesk& desk) {
    const auto guest = desk.exec("s3", {"--no-snapshotter"});
    place(*guest, "first");
    for (int i = 0; i < 700; ++i) {
        guest->write(R"({"op":"cancel_requested","id":"first"})"
                     "\n"
                     R"({"op":"cancel_rejected","id":"first"})"
                     "\n");
        REQUIRE(guest->read_line(kPatience).has_value());
        REQUIRE(guest->read_line(kPatience).has_value());
    }
    CHECK(end(*guest, "the one that overran the ring") == 0);
    REQUIRE(desk.reader().status().backlog > 1024);
}

}  // namespace

TEST_CASE("short sessions close a gap that they meet", "[host][leave][inv-9]") {
    const HostDesk desk;
    {
        const auto host = desk.riskd("first");
        desk.wait_for_host(*host);
        CHECK(end(*host, "riskd") == 0);
    }
    overrun(desk);
    int sessions = 0;
    for (int code = -1; code != 0 && sessions < 5; ++sessions) {
        const auto exec = desk.exec("s2");
        exec->close_input();
        code = end(*exec, "a short session in a gap", 0);
    }
    CHECK(sessions == 1);
    const StatusView status = desk.reader().status();
    CAPTURE(desk.place().log());
    CHECK(status.gaps == 1);
    CHECK(status.gap_end == 0);
    CHECK(status.durable == status.committed);
    const auto exec = desk.exec("s2", kDurable);
    trade(*exec, "after");
}

TEST_CASE("a session that cannot close a gap says so, and the gap's fault is the one that happened", "[host][leave][inv-9]") {
    if (skipped_for_preload()) return;
    const HostDesk desk;
    {
        const auto host = desk.riskd("first");
        desk.wait_for_host(*host);
        CHECK(end(*host, "riskd") == 0);
    }
    std::string fault;
    const auto present =
        desk.exec("s1", {"--no-snapshotter"});  // or the next one would compare memory with the files, and refuse
    place(*present, "present");
    SECTION("the ring was overrun") {
        overrun(desk);
        fault = "overrun";
    }
    SECTION("the files are gone") {
        for (const std::string& name : desk.place().journal_files())
            std::filesystem::remove(desk.place().directory() + "/" + name);
        fault = "damaged";
    }
    Interposing with = desk.interposing();
    with.hang = "checkpoint-";  // neither of the two that it takes
    const auto exec = desk.exec("s2", {}, with);
    wait_until([&] { return desk.reader().status().gap_end != 0; });
    wait_until([&] { return desk.reader().status().fault == fault; });
    exec->close_input();
    CHECK(end(*exec, "a session whose checkpoints hang", 0) == 3);
    CHECK(desk.said_by("s2").find("a gap in the journal is open (" + fault + ")") != std::string::npos);
    const auto next = desk.riskd("next");
    wait_until([&] { return desk.reader().status().gap_end == 0 && desk.reader().status().fault.empty(); });
}

// ---- the place ----------------------------------------------------------------------------------

namespace {

/// One strategy that trades durably, and the longest that an answer took.
class Trader {
public:
    explicit Trader(const PersistedRegistry& place)
        : child_([this, &place] {
              Registry registry = Registry::open(place.name(), place.durable_process("s1", 60'000'000'000));
              const AccountId account = registry.account("A1");
              for (int i = 0; !told_->stop; ++i) {
                  const std::string id = "T-" + std::to_string(i % 64) + "-" + std::to_string(i / 64);
                  OrderRequest order = one_lot(registry);
                  order.id = id;
                  const auto begin = Clock::now();
                  const Verdict verdict = registry.check_and_register(order);
                  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
                  if (took > told_->longest_us) told_->longest_us = took;
                  ++(verdict.accepted() && verdict.durability == Durability::durable ? told_->durable : told_->other);
                  // Its pace: the ids of the day are for all of the test.
                  std::this_thread::sleep_for(milliseconds(2));
                  static_cast<void>(registry.event([&] {
                      OrderEvent fact;
                      fact.kind = EventKind::rejected;
                      fact.id = id;
                      fact.account = account;
                      return fact;
                  }()));
              }
          }) {}
    void wait_for_more() const {
        const std::uint64_t before = told_->durable;
        wait_until([&] { return told_->durable > before + 5; });
    }
    [[nodiscard]] std::int64_t stop() {
        told_->stop = true;
        REQUIRE(child_.wait().left_with(0));
        CHECK(told_->other == 0);
        return told_->longest_us;
    }

private:
    struct Told {
        std::atomic<bool> stop;
        std::atomic<std::uint64_t> durable, other;
        std::atomic<std::int64_t> longest_us;
    };
    Shared<Told> told_;
    Child child_;
};

}  // namespace

TEST_CASE("a host that leaves gives up the place when the journal is drained, whatever its replicator does",
          "[host][handover][inv-9]") {
    if (skipped_for_preload()) return;
    const HostDesk desk;
    Trader trader(desk.place());
    Interposing with = desk.interposing();
    with.hang = "checkpoint-";  // its replicator never comes back from the first one
    auto host = desk.riskd("first", with);
    desk.wait_for_host(*host);
    const auto standing_by = desk.riskd("second");
    trader.wait_for_more();
    wait_until([&] { return desk.said_by("second").find("stands by") != std::string::npos; });
    const auto begin = Clock::now();
    host->send(SIGTERM);
    desk.wait_for_host(*standing_by);
    std::cout << "place of a host that leaves: another has it after " << ms_since(begin) << " ms\n";
    trader.wait_for_more();
    CHECK(end(*host, "a riskd whose checkpoint hangs", 0) == 0);  // everything is on disk
    const std::int64_t longest = trader.stop();
    std::cout << "longest durable answer over that: " << longest << " us\n";
    CHECK(desk.reader().status().gaps == 0);
    CHECK(end(*standing_by, "second") == 0);
}

TEST_CASE("a dead host that has not given up the directory yet is waited for, and no critical alarm", "[host][inv-10]") {
    const HostDesk desk;
    segment::LifecycleLock dying(desk.place().state_dir(), desk.place().name(), false);
    REQUIRE(dying.try_host());  // as of a process whose last thread waits for the disk
    const auto host = desk.riskd("first");
    wait_until([&] { return desk.place().log().find("has not ended yet") != std::string::npos; });
    CHECK(desk.place().log().find(" critical ") == std::string::npos);
    dying.release_host();
    desk.wait_for_host(*host);
    CHECK(end(*host, "first") == 0);
}

TEST_CASE("the day rolls without a pause of the journal, whatever the replicator of the day before does",
          "[host][roll][inv-9]") {
    if (skipped_for_preload()) return;
    const HostDesk desk;
    Trader trader(desk.place());
    Interposing with = desk.interposing();
    with.hang = "checkpoint-";
    const auto host = desk.riskd("first", with);
    desk.wait_for_host(*host);
    trader.wait_for_more();
    for (int day = 0; day < 3; ++day) {
        const auto begin = Clock::now();
        int code = -1;
        static_cast<void>(desk.output("roll", {"--reason", "next"}, &code));
        REQUIRE(code == 0);
        const Reader today = desk.place().look();
        wait_until([&] { return today.status().host_pid != 0 && today.status().host_state == "running"; });
        std::cout << "roll, command and new host: " << ms_since(begin) << " ms\n";
        trader.wait_for_more();
    }
    std::cout << "longest durable answer over three rolls: " << trader.stop() << " us\n";
    CHECK(desk.place().look().status().gaps == 0);
    static_cast<void>(end(*host, "riskd"));
}
