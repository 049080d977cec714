// A disk that fails: every k-th system call of the persistence code, once and from then on, in every way that a disk
// has. Whatever happens, an answer that does not say "pending" is on disk, nothing crashes or hangs, and a reason is told.
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <mutex>
#include <thread>

#include "persist/strict_json.hpp"
#include "riskreg/error.hpp"
#include "riskreg/registry.hpp"
#include "support/child.hpp"
#include "support/interposed.hpp"
#include "support/sanitized.hpp"
#include "support/setting.hpp"

using namespace riskreg;
using namespace riskreg::test;
using namespace std::chrono_literals;

namespace {

constexpr auto kHang = 20s;               // more than draining (5 s) and waiting for a checkpoint (5 s) together
constexpr const char* kName = "r";

// ---- what was answered --------------------------------------------------------------------------

struct Acked {
    std::string id;
    std::uint64_t seq = 0;
};

std::string member(const persist::JsonValue& object, const char* key) {
    const persist::JsonValue* value = object.find(key);
    return value == nullptr ? std::string() : value->shown();
}

/// The answers of one case.
class Ledger {
public:
    void add(const std::string& line) {
        const persist::JsonResult parsed = persist::parse_json(line, 1U << 20);
        if (!parsed.error.empty()) throw std::runtime_error("not JSON: " + line);
        ++answers_;
        const persist::JsonValue* results = parsed.value.find("results");
        if (results == nullptr) return add_one(parsed.value);
        for (const persist::JsonValue& result : results->items) add_one(result);
    }
    [[nodiscard]] std::size_t answers() const noexcept { return answers_; }
    /// The sequences of what was answered as not yet durable.
    [[nodiscard]] const std::vector<std::uint64_t>& pending() const noexcept { return pending_; }
    [[nodiscard]] const std::string& refused() const noexcept { return refused_; }
    [[nodiscard]] const std::vector<Acked>& acked() const noexcept { return acked_; }

private:
    void add_one(const persist::JsonValue& answer) {
        const std::string result = member(answer, "result");
        if (result != "accepted" && result != "ok")
            refused_ = member(answer, "id") + ": " + result + " " + member(answer, "reason");
        else if (member(answer, "durability") == "pending") pending_.push_back(std::stoull(member(answer, "seq")));
        else acked_.push_back({member(answer, "id"), std::stoull(member(answer, "seq"))});
    }
    std::vector<Acked> acked_;
    std::vector<std::uint64_t> pending_;
    std::size_t answers_ = 0;
    std::string refused_;
};

// ---- one case -----------------------------------------------------------------------------------

/// One registry, one fault, and what is wrong with the result; empty: nothing.
struct Case {
    FastDir place;
    Fault fault;
    std::uint64_t fail_at = 0;
    bool patient = false;      ///< waits for an orderly end of a process whose disk never comes back
    Ledger ledger;
    std::string wrong;
    std::string segment;
    std::uint64_t durable = 0, checkpointed = 0;

    [[nodiscard]] std::string state_dir() const { return place.path() + "/state"; }
    [[nodiscard]] std::string directory() const { return state_dir() + "/" + kName; }
    [[nodiscard]] std::string errors() const { return place.path() + "/stderr"; }
    [[nodiscard]] std::string file(const std::string& name, const std::string& content) const {
        std::ofstream(place.path() + "/" + name, std::ios::binary) << content;
        return place.path() + "/" + name;
    }
    [[nodiscard]] Interposing interposing() const {
        return {directory(), place.path() + "/counters", {}, fail_at, fail_at == 0 ? Fault{} : fault, 0, {}};
    }
    [[nodiscard]] Seen seen() const { return seen_by(place.path() + "/counters"); }
    /// What heals is waited for; what does not is only told.
    [[nodiscard]] std::string durable_timeout_ms() const { return fault.persistent ? "40" : "8000"; }
    void fails(const std::string& what) {
        if (wrong.empty()) wrong = what;
    }
};

std::string config_text() { return journaled_config(512, 256, 86400, 1); }

void create(Case& c) {
    Registry::create(kName, parse_config(config_text()), c.state_dir());
    c.segment = Reader::open(kName, c.state_dir()).status().segment;
}

void remove_segment(const Case& c) { ::unlink(("/dev/shm/" + c.segment).c_str()); }

std::string told(const Case& c) { return slurp(c.errors()) + slurp(c.directory() + "/riskreg.log"); }

bool says_why(const Case& c) {
    try {
        const StatusView status = Reader::open(kName, c.state_dir()).status();
        if (!status.fault.empty() || !status.checkpoint_error.empty()) return true;
    } catch (const Error&) {
        // Then somebody has said why.
    }
    const std::string text = told(c);
    const auto holds = [&](const char* word) { return text.find(word) != std::string::npos; };
    return holds("critical") || holds("warning") || holds("riskctl: ") || holds("riskd: ");
}

/// Within a time that a busy machine keeps, too.
bool comes_true(const std::function<bool()>& condition) {
    for (int attempt = 0; attempt < 300; ++attempt) {
        if (condition()) return true;
        std::this_thread::sleep_for(10ms);
    }
    return false;
}

void require_reason(Case& c, const std::string& what) {
    if (!comes_true([&] { return says_why(c); })) c.fails(what + ", and nothing says why");
}

/// The end of a process: not by a signal (but our own SIGKILL), not never, and a failure says why.
void check_end(Case& c, Process& process, bool may_kill) {
    const bool kill = may_kill && c.fault.persistent && !c.patient;
    if (kill && process.is_running()) {
        process.send(SIGKILL);
        static_cast<void>(process.wait(kHang));
        return;
    }
    const std::optional<int> status = process.wait(kHang);
    if (!status) return c.fails("it hangs");
    if (WIFSIGNALED(*status)) return c.fails("it died by signal " + std::to_string(WTERMSIG(*status)));
    if (WEXITSTATUS(*status) != 0 && slurp(c.errors()).empty())
        c.fails("exit code " + std::to_string(WEXITSTATUS(*status)) + " and nothing on stderr");
}

void note_watermarks(Case& c) {
    try {
        const StatusView status = Reader::open(kName, c.state_dir()).status();
        c.durable = std::max(c.durable, status.durable);
        c.checkpointed = std::max(c.checkpointed, status.checkpointed);
    } catch (const Error&) {
        // No segment: nothing was promised by it.
    }
}

bool is_durable(const Case& c, std::uint64_t seq) {
    try {
        return Reader::open(kName, c.state_dir()).status().durable >= seq;
    } catch (const Error&) {
        return false;
    }
}

/// On a busy machine an answer may come before its turn on a disk that does what it is told.
void require_reason_for_pending(Case& c) {
    const auto explained = [&] { return says_why(c) || is_durable(c, c.ledger.pending().back()); };
    if (!comes_true(explained)) c.fails("answers are pending, and nothing says why");
}

/// A checkpoint through whoever hosts, asked for by a process of its own. A refusal says why.
void request_checkpoint(Case& c) {
    try {
        ProcessConfig config;
        config.state_dir = c.state_dir();
        Registry registry = Registry::open(kName, config);
        if (registry.checkpoint(c.fault.persistent ? 30'000'000 : 10'000'000'000)) return;
        if (c.fault.persistent) return;   // not in time, which is what the answer says
        require_reason(c, "no checkpoint was written");
        // Whoever asks while a checkpoint fails once is told so; asking again must do.
        if (c.fail_at != 0 && !registry.checkpoint(10'000'000'000))
            c.fails("a fault that healed left checkpoints impossible: " + registry.status().checkpoint_error);
    } catch (const Error& error) {
        c.fails(std::string("a second process cannot attach: ") + error.what());
    }
}

/// A child that another thread of this test is just starting holds copies of our descriptors, and so of our locks, until
/// it has become another program.
RecoverView recover_patiently(const Case& c) {
    for (int attempt = 0;; ++attempt) {
        try {
            return Registry::recover(kName, c.state_dir());
        } catch (const Error& error) {
            if (error.code() != Errc::missing || attempt == 50) throw;
            std::this_thread::sleep_for(10ms);
        }
    }
}

/// Everything that was acknowledged comes back from the files alone.
void check_disk(Case& c) {
    note_watermarks(c);
    remove_segment(c);
    try {
        const RecoverView view = recover_patiently(c);
        if (view.end_seq < c.durable)
            c.fails("durable was " + std::to_string(c.durable) + ", on disk is " + std::to_string(view.end_seq));
        if (view.checkpoint_seq < c.checkpointed)
            c.fails("checkpoint " + std::to_string(c.checkpointed) + " was written, recovered from " +
                    std::to_string(view.checkpoint_seq));
        const Reader reader = Reader::open(kName, c.state_dir());
        for (const Acked& acked : c.ledger.acked()) {
            OrderView order;
            if (!reader.find(reader.account("A1"), acked.id, order) || order.seq < acked.seq)
                c.fails("order " + acked.id + " was answered as durable at " + std::to_string(acked.seq) +
                        " and is not on disk");
        }
        const AuditView audit = reader.audit();
        if (!audit.violations.empty()) c.fails("audit: " + audit.violations.front());
    } catch (const Error& error) {
        c.fails(std::string("recovery refused: ") + error.what());
    }
}

void clean_up(const Case& c) {
    try {
        Registry::destroy(kName, c.state_dir(), false, true);
    } catch (const Error&) {
        remove_segment(c);
    }
}

// ---- commands -----------------------------------------------------------------------------------

std::string register_line(const std::string& id) {
    return R"({"op":"register","id":")" + id +
           R"(","instrument":"ESH4","side":"buy","type":"limit","tif":"day","price":"4800","quantity":"2"})" + "\n";
}

std::vector<std::string> few_commands(const std::string& prefix) {
    const std::string a = prefix + "1", b = prefix + "2";
    return {register_line(a), R"({"op":"acked","id":")" + a + "\"}\n", register_line(b),
            R"({"op":"filled","id":")" + a + R"(","exec_id":"E1","price":"4800","quantity":"1"})" + "\n"};
}

std::vector<std::string> exec_arguments(const Case& c, bool hosts = true) {
    std::vector<std::string> arguments{"exec", kName,          "--state-dir", c.state_dir(),          "--strategy",
                                       "s1",   "--durability", "durable",     "--durable-timeout-ms", c.durable_timeout_ms()};
    if (!hosts) arguments.emplace_back("--no-snapshotter");
    return arguments;
}

/// Sends commands, and takes an answer for each; four pending ones are enough.
void converse(Case& c, Process& process, const std::vector<std::string>& commands) {
    for (std::size_t i = 0; i < commands.size() && c.ledger.pending().size() < 4; ++i) {
        process.write(commands[i]);
        const auto answer = process.read_line(kHang);
        if (!answer) {
            // It ended without answering, which it may when it says why; or it hangs.
            if (process.wait(1s).has_value()) return;
            return c.fails("no answer to command " + std::to_string(i + 1));
        }
        c.ledger.add(*answer);
    }
    if (!c.ledger.refused().empty()) require_reason(c, "a command was refused (" + c.ledger.refused() + ")");
    if (c.ledger.pending().empty()) return;
    require_reason_for_pending(c);
    if (!c.fault.persistent) c.fails("a fault that healed left answers pending");
}

// ---- runs ---------------------------------------------------------------------------------------

/// A strategy hosts the snapshotter itself; checkpoints in between, with trimming.
void run_exec(Case& c) {
    create(c);
    Process process("riskctl", exec_arguments(c), c.errors(), c.interposing());
    converse(c, process, few_commands("A"));
    if (process.is_running()) request_checkpoint(c);
    if (process.is_running()) converse(c, process, few_commands("B"));
    if (process.is_running() && !c.fault.persistent) request_checkpoint(c);
    note_watermarks(c);
    process.close_input();
    check_end(c, process, true);
    check_disk(c);
}

/// So many durable answers that the journal goes on in a second file.
void run_rotation(Case& c) {
    create(c);
    std::vector<std::string> commands;
    const int count = 280;
    for (int i = 0; i < count; ++i) commands.push_back(register_line("R" + std::to_string(i)));
    Process process("riskctl", exec_arguments(c), c.errors(), c.interposing());
    converse(c, process, commands);
    note_watermarks(c);
    process.close_input();
    check_end(c, process, true);
    check_disk(c);
}

/// True when the daemon has come to host; false when it ended, or cannot attach to say so.
bool hosts(const Case& c, Process& daemon) {
    const Reader reader = Reader::open(kName, c.state_dir());
    for (int attempt = 0; attempt < 2000 && daemon.is_running(); ++attempt) {
        if (reader.status().host_pid == static_cast<std::uint64_t>(daemon.pid())) return true;
        std::this_thread::sleep_for(5ms);
    }
    return false;
}

/// riskd hosts, and its disk fails; the strategy's process does not journal.
void run_riskd(Case& c) {
    create(c);
    Process daemon("riskd", {kName, "--state-dir", c.state_dir()}, c.errors(), c.interposing());
    {
        Process process("riskctl", exec_arguments(c, false), c.errors());
        if (!hosts(c, daemon)) process.close_input();
        else converse(c, process, few_commands("D"));
        if (daemon.is_running()) request_checkpoint(c);
        process.close_input();
        check_end(c, process, true);
    }
    note_watermarks(c);
    daemon.send(SIGTERM);
    check_end(c, daemon, true);
    check_disk(c);
}

/// Orders on disk, made while everything works, and nobody attached.
void prepare(Case& c, bool with_checkpoint) {
    create(c);
    const Fault kept = c.fault;
    c.fault.persistent = false;
    Process process("riskctl", exec_arguments(c), c.errors());
    converse(c, process, few_commands("P"));
    if (with_checkpoint) request_checkpoint(c);
    converse(c, process, few_commands("Q"));
    process.close_input();
    check_end(c, process, false);
    c.fault = kept;
    note_watermarks(c);
}

void run_checkpoint(Case& c) {
    prepare(c, false);
    Process process("riskctl",
                    {"checkpoint", kName, "--state-dir", c.state_dir(), "--timeout-ms", c.fault.persistent ? "100" : "8000"},
                    c.errors(), c.interposing());
    if (!c.fault.persistent || c.patient) {
        const std::optional<int> status = process.wait(kHang);
        const bool written = status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0;
        note_watermarks(c);
        if (written && c.checkpointed == 0) c.fails("it said that a checkpoint was written, and none was");
    } else {
        std::this_thread::sleep_for(150ms);
    }
    check_end(c, process, true);
    check_disk(c);
}

void run_create(Case& c) {
    const std::string config = c.file("config.json", config_text());
    Process process("riskctl", {"create", kName, "--state-dir", c.state_dir(), "--config", config}, c.errors(),
                    c.interposing());
    check_end(c, process, false);
    const bool made = process.wait(0ms) == 0;
    if (!made) {
        try {
            create(c);
        } catch (const Error& error) {
            // It was made, and only looking at it failed: then it must be of use, below.
            if (std::string_view(error.what()).find("exists already") == std::string_view::npos)
                return c.fails(std::string("creating again, with a disk that works, fails: ") + error.what());
        }
    }
    c.segment = Reader::open(kName, c.state_dir()).status().segment;
    c.fault.persistent = false;   // the disk works now
    Process use("riskctl", exec_arguments(c), c.errors());
    converse(c, use, few_commands("C"));
    use.close_input();
    check_end(c, use, false);
    check_disk(c);
}

void run_recover(Case& c) {
    prepare(c, true);
    remove_segment(c);
    Process process("riskctl", {"recover", kName, "--state-dir", c.state_dir(), "--json"}, c.errors(), c.interposing());
    check_end(c, process, false);
    if (process.wait(0ms) == 0) {
        const Reader reader = Reader::open(kName, c.state_dir());
        for (const Acked& acked : c.ledger.acked()) {
            OrderView order;
            if (!reader.find(reader.account("A1"), acked.id, order) || order.seq < acked.seq)
                c.fails("recovery said yes and left out " + acked.id);
        }
    }
    check_disk(c);
}

/// The segment survived, nobody is attached, and memory is all there is: whatever the next process meets in the
/// directory, it must not take that for a reason to throw the memory away.
void run_adopt(Case& c) {
    SharedConfig config = parse_config(config_text());
    config.persistence_mode = PersistenceMode::none;
    Registry::create(kName, config, c.state_dir());
    c.segment = Reader::open(kName, c.state_dir()).status().segment;
    const auto arguments = [&] {
        return std::vector<std::string>{"exec", kName, "--state-dir", c.state_dir(), "--strategy", "s1"};
    };
    Process before("riskctl", arguments(), c.errors());
    converse(c, before, few_commands("M"));
    before.close_input();
    check_end(c, before, false);
    Process process("riskctl", arguments(), c.errors(), c.interposing());
    process.write(register_line("N1"));
    process.close_input();
    check_end(c, process, false);
    try {
        const Registry registry = Registry::open(kName, [&] {
            ProcessConfig open;
            open.state_dir = c.state_dir();
            return open;
        }());
        for (const Acked& acked : c.ledger.acked()) {
            OrderView order;
            if (!registry.find(AccountId{0}, acked.id, order)) c.fails("order " + acked.id + " was thrown away");
        }
    } catch (const Error& error) {
        c.fails(std::string("what was in memory is gone: ") + error.what());
    }
}

// ---- all k --------------------------------------------------------------------------------------

const std::vector<Fault>& faults() {
    static const std::vector<Fault> all = [] {
        std::vector<Fault> made;
        for (const bool persistent : {false, true}) {
            made.push_back({"EIO", std::to_string(EIO), persistent});
            made.push_back({"ENOSPC", std::to_string(ENOSPC), persistent});
            made.push_back({"EINTR", std::to_string(EINTR), persistent});
            made.push_back({"short write", "short", persistent});
        }
        return made;
    }();
    return all;
}

using Run = void (*)(Case&);

struct Tally {
    std::mutex mutex;
    std::uint64_t cases = 0, hit = 0, last_k = 0;
    std::vector<std::string> wrong;
};

/// One case from its beginning to its end; true when the fault was met.
bool run_case(Run run, const Fault& fault, std::uint64_t k, bool patient, Tally& tally) {
    Case c;
    c.fault = fault;
    c.fail_at = k;
    c.patient = patient;
    try {
        run(c);
    } catch (const std::exception& error) {
        c.fails(std::string("exception: ") + error.what());
    }
    const Seen seen = c.seen();
    clean_up(c);
    const std::lock_guard guard(tally.mutex);
    ++tally.cases;
    tally.hit += seen.failed > 0 ? 1 : 0;
    if (seen.failed > 0) tally.last_k = std::max(tally.last_k, k);
    if (!c.wrong.empty())
        tally.wrong.push_back("k " + std::to_string(k) + ", " + fault.text() + ", at " + seen.first_failed + ": " + c.wrong +
                              "\n    " + told(c).substr(0, 1500));
    return seen.failed > 0;
}

/// Which faults are tried at call k. In the short form one of those that heal and, at every fourth call, one that does not.
std::vector<Fault> chosen(std::uint64_t k) {
    if (long_form()) return faults();
    std::vector<Fault> some{faults()[k % 4]};
    if (k % 4 == 1) some.push_back(faults()[4 + k / 4 % 4]);
    return some;
}

/// Two at a time, k = 1, 1 + stride, … until neither fault nor call is left.
void for_every_call(const char* what, Run run, std::uint64_t stride = 1) {
    Tally tally;
    if (long_form()) stride = 1;
    run_case(run, {}, 0, true, tally);
    std::atomic<std::uint64_t> next{0};
    std::atomic<bool> over{false};
    const auto work = [&] {
        int missed = 0;
        while (!over) {
            const std::uint64_t k = 1 + stride * next++;
            bool met = false;
            for (const Fault& fault : chosen(k)) met |= run_case(run, fault, k, long_form() && k % 8 == 0, tally);
            // How many calls there are differs a little from run to run.
            missed = met ? 0 : missed + 1;
            if (missed >= 4) over = true;
        }
    };
    std::thread other(work);
    work();
    other.join();
    std::cout << what << ": " << tally.cases << " cases, " << tally.hit << " met their fault, calls 1 to " << tally.last_k
              << ", " << tally.wrong.size() << " wrong\n";
    for (const std::string& wrong : tally.wrong) UNSCOPED_INFO(wrong);
    CHECK(tally.wrong.empty());
    CHECK(tally.hit > 0);
}

}  // namespace

TEST_CASE("any failing call of a strategy that hosts the snapshotter: no false durable answer, no crash, a stated reason",
          "[persist][fault][inv-9]") {
    if (!skipped_for_preload()) for_every_call("exec", run_exec);
}

TEST_CASE("any failing call while the journal goes on in its next file: no false durable answer, no crash, a stated reason",
          "[persist][fault][inv-9]") {
    if (!skipped_for_preload()) for_every_call("exec, next file", run_rotation, 11);
}

TEST_CASE("any failing call of riskd: no false durable answer, no crash, a stated reason", "[persist][fault][inv-9]") {
    if (!skipped_for_preload()) for_every_call("riskd", run_riskd);
}

TEST_CASE("any failing call of a checkpoint on request: it is on disk or refused with a reason", "[persist][fault]") {
    if (!skipped_for_preload()) for_every_call("checkpoint", run_checkpoint);
}

TEST_CASE("any failing call of create: a stated reason, and creating again works", "[persist][fault]") {
    if (!skipped_for_preload()) for_every_call("create", run_create);
}

TEST_CASE("any failing call of recover: a stated reason or all of it, and recovering again gives all of it",
          "[persist][fault]") {
    if (!skipped_for_preload()) for_every_call("recover", run_recover);
}

TEST_CASE("any failing call of a process that adopts a surviving segment: what was in memory stays there", "[persist][fault]") {
    if (!skipped_for_preload()) for_every_call("adopt", run_adopt);
}

TEST_CASE("control: a disk that drops writes and says that all is well is found out by these checks", "[persist][fault]") {
    if (skipped_for_preload()) return;
    Tally tally;
    for (std::uint64_t k = 1; k <= 30; ++k) run_case(run_exec, {"lie", "lie", true}, k, true, tally);
    std::cout << "lies: " << tally.cases << " cases, " << tally.wrong.size() << " found\n";
    CHECK(tally.wrong.size() > 15);
}
