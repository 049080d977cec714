#include "registry/snapshotter.hpp"

#include <algorithm>

#include "base/crash_point.hpp"
#include "registry/approval_socket.hpp"
#include "registry/journaller.hpp"
#include "registry/monitor.hpp"
#include "registry/replicator.hpp"
#include "registry/roll.hpp"
#include "riskreg/error.hpp"
#include "segment/process_posix.hpp"
#include "segment/state_lock.hpp"

namespace riskreg::registry {

using namespace layout;

namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kStandByNs = 5 * kMs;
constexpr std::int64_t kLookNs = 4 * kMs;   // how soon the wish to leave is passed on
constexpr std::int64_t kStallNs = 1000 * kMs;
constexpr std::int64_t kMonitorNs = 20 * kMs;   // for the lock, at most: leaving waits for it
constexpr std::int64_t kUnfitNs = 30'000 * kMs;   // who cannot host does not make another leave again and again
constexpr std::int64_t kFenceNs = 2000 * kMs;   // the kernel frees a dead owner's mutex before its file locks

std::string config_of(const core::State& state) { return {state.config, state.geometry.config_bytes}; }

/// Somebody has the place, and lives.
bool is_held(const core::State& state) noexcept {
    const void* mutex = segment::host_mutex_memory(state);
    return segment::RobustMutex::holder_hint(mutex) != 0 && !segment::RobustMutex::owner_died_hint(mutex);
}

std::string show(HostRank rank) { return "rank " + std::string(name_of(rank)); }

}  // namespace

Snapshotter::Snapshotter(Attachment& attachment, const ProcessConfig& config, std::function<bool()> on_rolled)
    : attachment_(attachment),
      state_(attachment.state),
      config_(config),
      config_json_(config_of(attachment.state)),
      on_rolled_(std::move(on_rolled)),
      alarm_(attachment.state, {attachment.lock.directory(), attachment.name, config.log_to_stderr, config.log_orders}),
      claims_(attachment.state, config.host_rank) {
    const segment::SignalsBlocked blocked;
    thread_ = std::thread([this] { run(); });
}

Snapshotter::~Snapshotter() {
    stop_seq_ = load_acquire(state_.log->committed);
    stopping_ = true;
    thread_.join();
}

void Snapshotter::rest(std::int64_t ns) noexcept {
    for (std::int64_t slept = 0; slept < ns && !stopping_; slept += kMs) segment::sleep_ns(kMs);
}

bool Snapshotter::day_ended() const noexcept { return core::is_in(state_, SegmentState::rolled); }

void Snapshotter::run() noexcept {
    while (!stopping_ && !day_ended()) {
        look_once();
        rest(asking_ ? kMs : kStandByNs);
    }
    claims_.withdraw();
    // What this host has not written, the next day's writes: it is in its ring.
    while (day_ended() && !stopping_ && !on_rolled_()) rest(kStandByNs);
    // Who came and went between two looks, or while another host was leaving, has written events, too.
    const std::int64_t deadline = segment::monotonic_ns() + kFenceNs;
    while (state_.has_journal() && !day_ended() && load_acquire(state_.marks->durable) < stop_seq_ &&
           segment::monotonic_ns() < deadline) {
        if (look_once()) return;
        segment::sleep_ns(kMs);
    }
}

/// Hosts, when it is our turn, until the wish to leave. True when it did.
bool Snapshotter::look_once() noexcept {
    if (core::is_in(state_, SegmentState::destroyed)) return false;
    try {
        bool after_death = false;
        const bool ours = try_take_over(after_death);
        if (ours) {
            host_and_leave(after_death);
            CRASH_POINT("place given up");
        } else {
            ask_for_the_place();
        }
        watch_the_host();
        return ours;
    } catch (const std::exception& error) {
        alarm_.raise(Severity::critical, std::string("snapshotter: ") + error.what());
        ask_again_ns_ = segment::monotonic_ns() + kUnfitNs;
        rest(100 * kMs);
        return false;
    }
}

/// Whatever happens in there: the locks are given up, in this order, by the thread that holds them.
void Snapshotter::host_and_leave(bool after_death) {
    struct Leave {
        Snapshotter& owner;
        ~Leave() {
            owner.attachment_.lock.release_host();
            CRASH_POINT("fence given up");
            static_cast<void>(segment::RobustMutex(segment::host_mutex_memory(owner.state_)).unlock());
        }
    } const leave{*this};
    host(after_death);
}

/// Both locks: the mutex says that the host of this segment is gone, byte 1 of LOCK that no process journals into this
/// directory for another segment.
bool Snapshotter::try_take_over(bool& after_death) {
    // Whoever would be asked at once to leave it again does not take it.
    if (claims_.above().pid != 0) return false;
    segment::RobustMutex mutex(segment::host_mutex_memory(state_));
    const segment::LockResult result = mutex.try_lock();
    if (result != segment::LockResult::held && result != segment::LockResult::owner_died) return false;
    after_death = result == segment::LockResult::owner_died;
    if (after_death) mutex.make_consistent();
    CRASH_POINT("host mutex held");
    const std::int64_t deadline = segment::monotonic_ns() + kFenceNs;
    bool fenced = attachment_.lock.try_host();
    while (!fenced && !stopping_ && segment::monotonic_ns() < deadline) {
        segment::sleep_ns(kMs);
        fenced = attachment_.lock.try_host();
    }
    if (fenced) return true;
    static_cast<void>(mutex.unlock());
    alarm_.raise(Severity::critical,
                 "another process journals into this directory for a segment that is no longer this one: it must end first");
    rest(1000 * kMs);
    return false;
}

/// Which directory is ours is settled once; until then nothing is written anywhere.
void Snapshotter::learn_home() {
    if (home_ != persist::DirectoryIdentity{}) return;
    persist::Directory directory;
    const persist::IoError error = persist::Directory::open(attachment_.lock.directory(), directory);
    if (!error) home_ = directory.identity();
    if (home_ == persist::DirectoryIdentity{})
        throw Error(Errc::system, "the state directory " + attachment_.lock.directory() + " cannot be used: " + error.text());
}

void Snapshotter::host(bool after_death) {
    claims_.withdraw();
    asking_ = false;
    learn_home();
    HostWords& words = *state_.host;
    take_over_marks(attachment_);
    Host host{state_, attachment_, alarm_, {}, {}, config_json_, home_};
    static_cast<void>(host.learn_key());
    host.epoch = load_relaxed(words.epoch) + 1;
    const std::uint64_t before = load_relaxed(words.pid);
    if (after_death) store_relaxed(words.clean, 0);
    store_relaxed(words.rank, static_cast<std::uint64_t>(config_.host_rank));
    store_release(words.epoch, host.epoch);
    store_relaxed(words.pid, segment::process_id());
    store_relaxed(words.pid_start, segment::process_start());
    store_relaxed(words.state, static_cast<std::uint64_t>(HostState::starting));
    store_relaxed(words.fault, 0);
    store_relaxed(words.retries, 0);
    store_relaxed(words.journal_bytes, 0);
    host.beat();
    CRASH_POINT("host begins");
    alarm_.raise(after_death ? Severity::warning : Severity::info,
                 (after_death ? "hosting the snapshotter: pid " + std::to_string(before) + " died hosting it; "
                              : std::string("hosting the snapshotter, ")) +
                     show(config_.host_rank));
    hosting_ = true;
    const bool clean = run_threads(host);
    hosting_ = false;
    store_relaxed(words.state, static_cast<std::uint64_t>(HostState::left));
    store_relaxed(words.clean, clean ? 1 : 0);
    CRASH_POINT("host leaves");
    alarm_.raise(Severity::info, clean ? "left hosting the snapshotter, everything is on disk"
                                       : "left hosting the snapshotter; the journal is not complete");
}

/// True when everything that was written is synced.
bool Snapshotter::run_threads(Host& host) {
    std::atomic<bool> finished{false};
    std::thread replicator, watcher;
    Monitor monitor(host, std::min(config_.request_timeout_ns, kMonitorNs));
    ApprovalSocket approvals(host);
    bool clean = false;
    try {
        const segment::SignalsBlocked blocked;
        replicator = std::thread([&host] { Replicator(host).run(); });
        // Passes the wish to end on, and shows life while the last checkpoint is written. The monitor goes before: what it
        // writes is to be drained.
        watcher = std::thread([this, &host, &finished, &monitor, &approvals] {
            while (!finished && !has_to_leave(host)) segment::sleep_ns(kLookNs);
            monitor.stop();
            approvals.stop();
            host.final_checkpoint = config_.final_checkpoint && (stopping_ || host.handed_over);
            host.stop = true;
            for (; !finished; segment::sleep_ns(kLookNs))
                if (host.drained) host.beat();
        });
        if (state_.has_journal()) clean = Journaller(host).run();
        else run_without_journal(host), clean = true;
    } catch (const std::exception& error) {
        alarm_.raise(Severity::critical, std::string("journaller: ") + error.what());
        ask_again_ns_ = segment::monotonic_ns() + kUnfitNs;
        rest(1000 * kMs);
    }
    host.complete = clean && host.synced >= load_acquire(state_.log->committed);
    host.drained = true;
    if (replicator.joinable()) replicator.join();
    finished = true;
    if (watcher.joinable()) watcher.join();
    return clean;
}

void Snapshotter::run_without_journal(Host& host) {
    store_relaxed(state_.host->state, static_cast<std::uint64_t>(HostState::running));
    while (!host.stop) {
        host.beat();
        look_after_the_dead(state_, 20 * kMs, kNoSlot);
        static_cast<void>(host.learn_key());
        segment::sleep_ns(kStandByNs);
    }
}

bool Snapshotter::has_to_leave(Host& host) noexcept {
    if (stopping_ || day_ended()) return true;
    const Claims::Waiter waiter = claims_.above();
    if (waiter.pid == 0) return false;
    CRASH_POINT("asked to leave");
    alarm_.raise(Severity::info, "leaves the place to " + segment::process_text(waiter.pid) + ", " + show(waiter.rank) +
                                     ", which waits for it");
    return host.handed_over = true;
}

/// While somebody of lower rank hosts. It leaves by itself; nobody is waited for who is stopped.
void Snapshotter::ask_for_the_place() {
    const bool on = asking_ && !stopping_;
    asking_ = false;
    if (stopping_ || config_.host_rank == HostRank::library) return;
    const auto rank = static_cast<HostRank>(load_relaxed(state_.host->rank));
    if (is_held(state_) && rank >= config_.host_rank) {
        claims_.withdraw();
        if (config_.host_rank == HostRank::riskd) say_of_the_host("stands by until it ends");
        return;
    }
    // A place that was just left for this process is kept for it by its asking.
    if (!on && !(is_held(state_) && could_host())) return;
    asking_ = true;
    claims_.ask();
    if (is_held(state_)) say_of_the_host("waits for its place, which it leaves unless it is stopped");
}

/// Once for each host.
void Snapshotter::say_of_the_host(const std::string& what) {
    const std::uint64_t epoch = load_acquire(state_.host->epoch);
    if (epoch == said_epoch_) return;
    said_epoch_ = epoch;
    const auto pid = static_cast<std::uint32_t>(load_relaxed(state_.host->pid));
    const auto rank = static_cast<HostRank>(load_relaxed(state_.host->rank));
    alarm_.raise(Severity::info, segment::process_text(pid) + ", " + show(rank) +
                                     ", hosts the snapshotter: " + segment::process_text(segment::process_id()) + ", " +
                                     show(config_.host_rank) + ", " + what);
}

/// What a host needs is there: nobody is made to leave for one who could only take the place and do nothing with it.
bool Snapshotter::could_host() noexcept {
    if (segment::monotonic_ns() < ask_again_ns_) return false;
    if (fit_) return true;
    try {
        learn_home();
        if (state_.has_journal()) static_cast<void>(persist::resolve_key({}, parse_config(config_json_).key_file));
        return fit_ = true;
    } catch (const std::exception& error) {
        ask_again_ns_ = segment::monotonic_ns() + kUnfitNs;
        alarm_.raise(Severity::critical, std::string("does not ask for the place of the snapshotter's host: ") + error.what());
        return false;
    }
}

/// A host that lives and does not move is stopped, or waits for a disk that hangs. Nobody takes its place while it lives.
void Snapshotter::watch_the_host() {
    const std::uint64_t epoch = load_relaxed(state_.host->epoch);
    const std::uint64_t host_state = load_relaxed(state_.host->state);
    const bool hosted = segment::RobustMutex::holder_hint(segment::host_mutex_memory(state_)) != 0 &&
                        host_state != static_cast<std::uint64_t>(HostState::left);
    const auto last = static_cast<std::int64_t>(load_relaxed(state_.marks->heartbeat_ns));
    const std::int64_t silent = segment::monotonic_ns() - last;
    if (!hosted || silent < kStallNs) {
        reported_stall_ = 0;
        return;
    }
    if (reported_stall_ == epoch) return;
    reported_stall_ = epoch;
    const auto pid = static_cast<std::uint32_t>(load_relaxed(state_.host->pid));
    alarm_.raise(Severity::critical, "the snapshotter's host, " + segment::process_text(pid) + ", " +
                                         show(static_cast<HostRank>(load_relaxed(state_.host->rank))) + ", has not moved for " +
                                         std::to_string(silent / kMs) +
                                         " ms; it lives, so nobody takes its place: `riskctl doctor` says what holds it");
}

}  // namespace riskreg::registry
