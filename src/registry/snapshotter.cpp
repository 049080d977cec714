#include "registry/snapshotter.hpp"

#include <algorithm>
#include <new>
#include <optional>
#include <system_error>

#include "base/crash_point.hpp"
#include "registry/approval_socket.hpp"
#include "registry/journaller.hpp"
#include "registry/monitor.hpp"
#include "registry/replicator.hpp"
#include "registry/roll.hpp"
#include "riskreg/error.hpp"
#include "segment/process.hpp"
#include "segment/state_lock.hpp"

namespace riskreg::registry {

using namespace layout;

namespace {

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kStandByNs = 5 * kMs;
constexpr std::int64_t kLookNs = 4 * kMs;   // how soon the wish to leave is passed on
constexpr std::int64_t kMissingNs = 1000 * kMs;   // between attempts to have a thread that there was no room for
constexpr std::int64_t kBesideNs = 200 * kMs;  // for the threads beside to end what they write, before the journal is drained
constexpr std::int64_t kLeaveNs = 5000 * kMs;
constexpr std::int64_t kStallNs = 1000 * kMs;
constexpr std::int64_t kMonitorNs = 20 * kMs;  // for the lock, at most: leaving waits for it
constexpr std::int64_t kUnfitNs = 30'000 * kMs;  // who cannot host does not make another leave again and again
constexpr std::int64_t kInTheWayNs = 10'000 * kMs;  // longer than a dead process waits for a healthy disk
constexpr std::int64_t kFenceNs = 2000 * kMs;  // the kernel frees a dead owner's mutex before its file locks

std::string config_of(const core::State& state) { return {state.config, state.geometry.config_bytes}; }

/// Somebody has the place, and lives.
bool is_held(const core::State& state) noexcept {
    const void* mutex = segment::host_mutex_memory(state);
    return segment::RobustMutex::holder_hint(mutex) != 0 && !segment::RobustMutex::owner_died_hint(mutex);
}

std::string show(HostRank rank) { return "rank " + std::string(name_of(rank)); }

}  // namespace

/// One time as host: what its threads share, and those threads. The place is given up when the journal is drained; the threads end in
/// their own time, and until they have, this process hosts no more.
struct Snapshotter::Tenure {
    Host host;
    std::optional<Journaller> journaller;
    std::atomic<bool> replicator_ended{true};
    std::thread replicator;
    std::unique_ptr<Monitor> monitor;
    std::unique_ptr<ApprovalSocket> approvals;
    std::int64_t looked_ns = 0, missed_ns = 0;
    std::int64_t leaving_ns = 0;  // since when; 0: it stays

    Tenure(core::State& state, Attachment& attachment, Alarm& alarm, const std::string& config, persist::DirectoryIdentity home)
        : host{state, attachment, alarm, {}, {}, config, home, {}, 0, {}} {}
    ~Tenure() {
        host.drained = true;
        approvals.reset();
        monitor.reset();
        if (replicator.joinable()) replicator.join();
    }
    Tenure(const Tenure&) = delete;
    Tenure& operator=(const Tenure&) = delete;

    /// What does not run yet is tried. Which kind of thing there was no room for.
    [[nodiscard]] Fault start_missing(std::int64_t lock_timeout_ns) noexcept {
        Fault lack = host.no_memory ? Fault::no_memory : Fault::none;
        const auto attempt = [&lack](auto make) noexcept {
            try {
                const segment::SignalsBlocked blocked;
                make();
            } catch (const std::bad_alloc&) {
                lack = Fault::no_memory;
            } catch (...) {
                lack = Fault::no_threads;
            }
        };
        if (!replicator.joinable()) attempt([this] { start_replicator(); });
        if (!monitor) attempt([&] { monitor = std::make_unique<Monitor>(host, lock_timeout_ns); });
        if (!approvals) attempt([this] { approvals = std::make_unique<ApprovalSocket>(host); });
        if (!host.alarm.is_writing() || (journaller && journaller->lacks_thread())) lack = Fault::no_threads;
        return lack;
    }
    void start_replicator() {
        replicator_ended = false;
        try {
            replicator = std::thread([this] {
                Replicator(host).run();
                replicator_ended = true;
            });
        } catch (...) {
            replicator_ended = true;
            throw;
        }
    }
    [[nodiscard]] bool has_ended() noexcept { return replicator_ended && (!monitor || monitor->has_ended()); }
};

Snapshotter::Snapshotter(Attachment& attachment, const ProcessConfig& config, std::function<bool()> on_rolled)
    : attachment_(attachment),
      state_(attachment.state),
      config_(config),
      config_json_(config_of(attachment.state)),
      on_rolled_(std::move(on_rolled)),
      alarm_(attachment.state, {attachment.lock.directory(), attachment.name, config.log_to_stderr, config.log_orders}),
      claims_(attachment.state, config.host_rank) {
    const segment::SignalsBlocked blocked;
    try {
        thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& error) {
        throw Error(Errc::system, std::string("no thread can be made to host the snapshotter: ") + error.what() +
                                      " (ulimit -u, or pids.max of the cgroup)");
    }
}

Snapshotter::~Snapshotter() {
    if (!stopping_) static_cast<void>(leave(segment::monotonic_ns() + kLeaveNs));
    thread_.join();
}

bool Snapshotter::leave(std::int64_t by_ns) noexcept {
    stop_seq_ = load_acquire(state_.log->committed);
    leave_by_ns_ = by_ns;
    stopping_ = true;
    std::unique_lock guard(mutex_);
    const std::chrono::steady_clock::time_point deadline{std::chrono::nanoseconds(by_ns)};
    return changed_.wait_until(guard, deadline, [this] { return ended_; });
}

void Snapshotter::rest(std::int64_t ns) noexcept {
    for (std::int64_t slept = 0; slept < ns && !stopping_; slept += kMs) segment::sleep_ns(kMs);
}

bool Snapshotter::day_ended() const noexcept { return core::is_in(state_, SegmentState::rolled); }

void Snapshotter::run() noexcept {
    host_and_stand_by();
    tenure_.reset();
    const std::lock_guard guard(mutex_);
    ended_ = true;
    changed_.notify_all();
}

void Snapshotter::host_and_stand_by() noexcept {
    while (!stopping_ && !day_ended()) {
        look_once();
        rest(asking_ ? kMs : kStandByNs);
    }
    claims_.withdraw();
    // What this host has not written, the next day's writes: it is in its ring.
    while (day_ended() && !stopping_ && !on_rolled_()) rest(kStandByNs);
    // Who came and went between two looks, or while another host was leaving, has written events, too.
    while (state_.has_journal() && stopping_ && !day_ended() && load_acquire(state_.marks->durable) < stop_seq_ &&
           segment::monotonic_ns() < leave_by_ns_ - 3 * kBesideNs) {
        look_once();
        segment::sleep_ns(kMs);
    }
}

/// The threads of the last time as host have ended: only then may there be new ones.
bool Snapshotter::has_wound_down() noexcept {
    if (tenure_ && !tenure_->has_ended()) return false;
    tenure_.reset();
    return true;
}

/// Hosts, when it is our turn, until the wish to leave. True when it did.
bool Snapshotter::look_once() noexcept {
    if (core::is_in(state_, SegmentState::destroyed)) return false;
    try {
        bool after_death = false;
        const bool ours = segment::monotonic_ns() >= not_before_ns_ && has_wound_down() && try_take_over(after_death);
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
        // Who has the mutex moves, though the words are still of the one before.
        store_relaxed(state_.marks->heartbeat_ns, static_cast<std::uint64_t>(segment::monotonic_ns()));
        segment::sleep_ns(kMs);
        fenced = attachment_.lock.try_host();
    }
    if (!fenced) {
        static_cast<void>(mutex.unlock());
        say_who_is_in_the_way();
        rest(kStandByNs);
        return false;
    }
    return true;
}

/// Nobody can say whose the lock is. For a while it is a host that was killed and whose last thread still waits for the disk: the
/// kernel keeps a process's file locks until that has ended.
void Snapshotter::say_who_is_in_the_way() {
    const std::int64_t now = segment::monotonic_ns();
    const std::uint64_t epoch = load_acquire(state_.host->epoch);
    // Somebody has hosted in between: another matter.
    if (unfenced_since_ns_ == 0 || epoch != unfenced_epoch_) unfenced_since_ns_ = now;
    unfenced_epoch_ = epoch;
    if (state_.header->rolled_seq != 0 && load_acquire(state_.host->epoch) == 0)
        return alarm_.raise(Severity::warning,
                            "the host of the day before does not come to an end: this day is not journaled yet");
    if (now - unfenced_since_ns_ < kInTheWayNs)
        return alarm_.raise(Severity::warning,
                            "the process that journaled before has not ended yet, though its place is free: nothing is "
                            "journaled until it has");
    alarm_.raise(Severity::critical,
                 "another process journals into this directory for a segment that is no longer this one: it must end first");
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
    tenure_ = std::make_unique<Tenure>(state_, attachment_, alarm_, config_json_, home_);
    Host& host = tenure_->host;
    host.look = [this] { look_around(*tenure_); };
    static_cast<void>(host.learn_key());
    host.epoch = load_relaxed(words.epoch) + 1;
    host.fault_before = static_cast<Fault>(load_relaxed(words.fault));
    const std::uint64_t before = load_relaxed(words.pid);
    if (after_death) store_relaxed(words.clean, 0);
    store_relaxed(words.rank, static_cast<std::uint64_t>(config_.host_rank));
    store_release(words.epoch, host.epoch);
    store_relaxed(words.pid, segment::process_id());
    store_relaxed(words.pid_start, segment::process_start());
    store_relaxed(words.state, static_cast<std::uint64_t>(HostState::starting));
    if (!is_lack(host.fault_before)) store_relaxed(words.fault, 0);
    store_relaxed(words.retries, 0);
    store_relaxed(words.journal_bytes, 0);
    host.beat();
    CRASH_POINT("host begins");
    alarm_.raise(after_death ? Severity::warning : Severity::info,
                 (after_death ? "hosting the snapshotter: pid " + std::to_string(before) + " died hosting it; "
                              : std::string("hosting the snapshotter, ")) +
                     show(config_.host_rank));
    hosting_ = true;
    const bool clean = journal(*tenure_);
    hosting_ = false;
    store_relaxed(words.state, static_cast<std::uint64_t>(HostState::left));
    store_relaxed(words.clean, clean ? 1 : 0);
    CRASH_POINT("host leaves");
    alarm_.raise(Severity::info, clean ? "left hosting the snapshotter, everything is on disk"
                                       : "left hosting the snapshotter; the journal is not complete");
}

/// True when everything that was written is synced. Then the locks may go: nothing that comes behind writes the journal.
bool Snapshotter::journal(Tenure& tenure) noexcept {
    Host& host = tenure.host;
    bool clean = false;
    try {
        look_around(tenure);
        if (state_.has_journal()) clean = tenure.journaller.emplace(host).run();
        else run_without_journal(host), clean = true;
    } catch (const std::bad_alloc&) {
        lost_footing(host, Fault::no_memory, "no memory for the journal");
    } catch (const std::system_error& error) {
        lost_footing(host, Fault::no_threads, error.what());
    } catch (const std::exception& error) {
        lost_footing(host, Fault::none, error.what());
    }
    host.complete = clean && host.synced >= load_acquire(state_.log->committed);
    host.drained = true;
    return clean;
}

/// The place is left to whoever has what it takes; after a while this process tries again.
void Snapshotter::lost_footing(Host& host, Fault lack, const char* what) noexcept {
    if (lack != Fault::none) HostHealth(host).lacks(lack);
    alarm_.raise(Severity::critical, what);
    not_before_ns_ = segment::monotonic_ns() + kMissingNs;
    ask_again_ns_ = segment::monotonic_ns() + kUnfitNs;
}

void Snapshotter::run_without_journal(Host& host) {
    store_relaxed(state_.host->state, static_cast<std::uint64_t>(HostState::running));
    while (!host.stop) {
        host.beat();
        host.look();
        look_after_the_dead(state_, 20 * kMs, kNoSlot);
        static_cast<void>(host.learn_key());
        segment::sleep_ns(kStandByNs);
    }
}

/// By the thread that journals: it needs no other one to be told to leave, nor to say that there is none.
void Snapshotter::look_around(Tenure& tenure) noexcept {
    const std::int64_t now = segment::monotonic_ns();
    if (now - tenure.looked_ns < kLookNs) return;
    tenure.looked_ns = now;
    if (now - tenure.missed_ns >= kMissingNs && tenure.leaving_ns == 0) {
        tenure.missed_ns = now;
        HostHealth(tenure.host).lacks(tenure.start_missing(std::min(config_.request_timeout_ns, kMonitorNs)));
    }
    pass_on_the_wish(tenure, now);
}

void Snapshotter::pass_on_the_wish(Tenure& tenure, std::int64_t now) noexcept {
    Host& host = tenure.host;
    if (host.stop || (tenure.leaving_ns == 0 && !has_to_leave(host))) return;
    if (tenure.leaving_ns == 0) {
        tenure.leaving_ns = now;
        if (tenure.monitor) tenure.monitor->ask_to_stop();
        if (tenure.approvals) tenure.approvals->ask_to_stop();
    }
    // What they write is to be drained, and the next host takes the socket's name.
    const bool writing =
        (tenure.monitor && !tenure.monitor->has_ended()) || (tenure.approvals && !tenure.approvals->has_ended());
    if (writing && now - tenure.leaving_ns < kBesideNs) return;
    if (stopping_) host.leave_by_ns = leave_by_ns_;
    host.final_checkpoint = config_.final_checkpoint && stopping_;
    host.stop = true;
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
    const std::uint64_t beat = load_relaxed(state_.marks->heartbeat_ns);
    const std::int64_t now = segment::monotonic_ns();
    // By what this thread has seen itself: the last beat may be of one that died long ago, or of none.
    if (!hosted || beat != watched_beat_ || now - looked_ns_ > kStallNs / 4) watched_beat_ = beat, watched_ns_ = now;
    looked_ns_ = now;
    const std::int64_t silent = now - watched_ns_;
    if (!hosted || silent < kStallNs) {
        if (silent < kStallNs) reported_stall_ = 0;
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
