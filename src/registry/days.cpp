#include "registry/days.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <thread>

#include "core/roll.hpp"
#include "registry/roll.hpp"

namespace riskreg::registry {

using namespace layout;

namespace {

/// The most that a call waits for somebody who ends the day.
constexpr std::int64_t kMostHeldNs = 5'000'000;

}  // namespace

/// Of a registration with threads of its own: maps the next day beforehand, gives up the days that ended, and takes back what a roller
/// that died has left.
class Days::Keeper {
public:
    explicit Keeper(Days& days) : days_(days) {
        const segment::SignalsBlocked blocked;
        thread_ = std::thread([this] { live(); });
    }
    ~Keeper() { stop(); }
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;
    void stop() noexcept {
        if (!thread_.joinable()) return;
        tell(stopping_);
        thread_.join();
    }
    /// The next day has begun: not at the next look, now.
    void hurry() noexcept { tell(hurried_); }
    /// False: it has not ended by then, and goes on using what it looks after.
    [[nodiscard]] bool stop(std::int64_t by_ns) noexcept {
        tell(stopping_);
        std::unique_lock guard(mutex_);
        const std::chrono::steady_clock::time_point deadline{std::chrono::nanoseconds(by_ns)};
        return changed_.wait_until(guard, deadline, [this] { return ended_; });
    }

private:
    void live() noexcept {
        std::unique_lock guard(mutex_);
        for (;;) {
            changed_.wait_for(guard, std::chrono::milliseconds(5), [this] { return stopping_ || hurried_; });
            if (stopping_) break;
            hurried_ = false;
            guard.unlock();
            days_.look_after();
            guard.lock();
        }
        ended_ = true;
        changed_.notify_all();
    }
    void tell(bool& what) noexcept {
        const std::lock_guard guard(mutex_);
        what = true;
        changed_.notify_all();
    }
    Days& days_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool stopping_ = false;
    bool hurried_ = false;
    bool ended_ = false;
    std::thread thread_;
};

Days::Days() : reader_(std::make_unique<Reader::Impl>(shown_)) {}

namespace {

/// The days have one configuration, so what a name means is settled once.
std::uint16_t require_strategy(const Reader& reader, std::uint16_t external, const std::string& name) {
    const StrategyId strategy = reader.strategy(name);
    if (strategy != StrategyId::none && static_cast<std::uint16_t>(strategy) != external)
        return static_cast<std::uint16_t>(strategy);
    std::string allowed;
    for (const std::string& known : reader.strategies()) allowed.append(allowed.empty() ? "" : ", ").append(known);
    throw Error(Errc::bad_input, "strategy: seen '" + name + "', allowed: " + allowed);
}

}  // namespace

std::unique_ptr<Day> Days::first_day(const std::string& name, const ProcessConfig& config) {
    auto day = std::make_unique<Day>(*this, config, attach(name, config.state_dir, config.attach_timeout_ns));
    shown_.newest.store(&day->attachment, std::memory_order_release);
    day->require_durability();
    day->host_snapshotter();
    if (config.strategy.empty()) {
        look_after_the_dead(day->state, config.request_timeout_ns, kNoSlot);
        return day;
    }
    day->caller.strategy = require_strategy(reader_, day->state.external_strategy(), config.strategy);
    day->take_session(std::make_unique<Session>(day->state, day->caller.strategy, day->config, day->on_rolled()));
    return day;
}

void Days::begin(const std::string& name, const ProcessConfig& config) {
    std::unique_ptr<Day> day = first_day(name, config);
    const std::lock_guard guard(mutex_);
    const bool keeps = day->session || day->snapshotter;
    add(std::move(day));
    if (keeps) keep_an_eye();
}

namespace {

Attachment attach_next(std::optional<segment::Mapping> ahead, const Attachment& before, std::int64_t timeout_ns) {
    if (ahead) return attach_by(std::move(*ahead), before.name, before.lock.state_dir(), timeout_ns);
    return attach(before.name, before.lock.state_dir(), timeout_ns);
}

std::unique_ptr<Day> next_day(Day& ended, std::optional<segment::Mapping> ahead) {
    const ProcessConfig& config = ended.config;
    const Attachment& before = ended.attachment;
    auto day = std::make_unique<Day>(ended.days, config, attach_next(std::move(ahead), before, config.attach_timeout_ns));
    const Header& header = *day->state.header;
    if (header.epoch != before.state.header->epoch || header.rolled_seq <= before.state.header->rolled_seq)
        throw Error(Errc::missing, "registry '" + before.name + "' was made anew, and is not the one attached to");
    day->waits_for_disk = ended.waits_for_disk;
    day->caller = ended.caller;
    if (ended.session) day->take_session(std::make_unique<Session>(day->state, *ended.session, day->config, day->on_rolled()));
    day->host_snapshotter();
    return day;
}

}  // namespace

Day& Days::today() noexcept {
    Day& day = now();
    if (!day.in_attached_process() || !is_rolled(day.state)) [[likely]]
        return day;
    static_cast<void>(follow(day));
    return now();
}

void Days::add(std::unique_ptr<Day> day) noexcept {
    shown_.newest.store(&day->attachment, std::memory_order_release);
    newest_.store(day.get(), std::memory_order_release);
    held_.swap(day);
    if (day) ended_.push_back({std::move(day), segment::WereInside()});
}

Day* Days::follow(const Day& day) noexcept {
    if (!day.in_attached_process()) return nullptr;
    const std::lock_guard guard(mutex_);
    // One that is only being opened is not among them yet.
    if (closing_ || !held_) return nullptr;
    if (held_.get() != &day) return held_.get();
    try {
        Day& before = *held_;
        std::optional<segment::Mapping> mapped;
        mapped.swap(ahead_);
        ended_.reserve(ended_.size() + 1);  // for `add`
        std::unique_ptr<Day> next = next_day(before, std::move(mapped));
        // Its bytes stay for the calls and readers that are in it; its name may go. Before a call sees the next day.
        before.attachment.mapping.stop_using();
        drop_day_before(next->attachment);
        add(std::move(next));
        keep_an_eye();
        return held_.get();
    } catch (...) {
        // No memory, no room for its mapping, a deadline: the caller is told so, and the next call tries again.
        return nullptr;
    }
}

Day* Days::arrive(const Day& day, const Attempt& attempt) noexcept {
    const bool hurries = attempt.allowed_ns != 0 && attempt.allowed_ns <= day.config.request_timeout_ns;
    if (!hurries || !kept_ || leaving_) return follow(day);
    keeper_->hurry();
    const std::int64_t until = attempt.begun_ns + attempt.allowed_ns;
    while (&now() == &day) {
        if (segment::boottime_ns() >= until) return nullptr;
        segment::sleep_ns(50'000);
    }
    return &now();
}

// ---- beside the calls ----

void Days::keep_an_eye() noexcept {
    try {
        if (!keeper_ && !leaving_) keeper_ = std::make_unique<Keeper>(*this);
        kept_ = keeper_ != nullptr;
    } catch (...) {
        // No thread now: the next day is mapped by the first call of it, and what has ended waits for the next roll.
    }
}

void Days::look_after() noexcept {
    {
        const segment::Inside inside;
        Day& day = now();
        if (is_rolled(day.state)) static_cast<void>(follow(day));
        else if (core::roll_phase(day.state) >= RollPhase::prepared) map_ahead(day);
        else forget_ahead(day);
        if (core::roll_phase(day.state) != RollPhase::none) take_back_roll(day.attachment);
    }
    give_up_ended();
}

namespace {

std::string segment_after(const Attachment& attachment) {
    return segment::segment_name(attachment.lock.identity(), attachment.name, attachment.state.header->day + 1);
}

/// With its pages, so that nobody has to wait for them in a call. Nothing when it was told to stop, or the roll came to nothing.
template <class Stop>
std::optional<segment::Mapping> map_with_pages(const Attachment& before, Stop stop) {
    constexpr std::size_t kAtOnce = std::size_t{8} << 20;
    segment::Mapping mapping = segment::Mapping::open(segment_after(before), segment::Access::read_write);
    static_cast<void>(mapping.advise((before.state.header->page_options & 1U) != 0, false));
    // Once the day has ended a call waits for it: with the pages that it has.
    for (std::size_t at = 0; at < mapping.size_bytes() && !is_rolled(before.state); at = mapping.fault_in(at, kAtOnce))
        if (stop()) return std::nullopt;
    return mapping;
}

}  // namespace

void Days::map_ahead(Day& day) noexcept {
    {
        const std::lock_guard guard(mutex_);
        if (ahead_ && ahead_->is_current()) return;
        ahead_.reset();
    }
    try {
        const auto stop = [&] { return leaving_ || core::roll_phase(day.state) < RollPhase::prepared; };
        std::optional<segment::Mapping> mapped = map_with_pages(day.attachment, stop);
        const std::lock_guard guard(mutex_);
        // A call may have gone there meanwhile.
        if (!mapped || held_.get() != &day) return;
        ahead_ = std::move(mapped);
        if (day.session) store_release(day.state.sessions[day.caller.session].next_day, day.state.header->day + 1);
    } catch (const Error&) {
        // No room for it, or it is gone again: the first call of the next day does it.
    }
}

void Days::forget_ahead(Day& day) noexcept {
    const std::lock_guard guard(mutex_);
    if (!ahead_) return;
    ahead_.reset();
    if (day.session) store_release(day.state.sessions[day.caller.session].next_day, 0);
}

void Days::give_up_ended() noexcept {
    std::unique_ptr<Day> day;
    {
        const std::lock_guard guard(mutex_);
        // The oldest first: its host leaves before the next one's can have everything on disk.
        if (ended_.empty() || !ended_.front().inside.have_left()) return;
        const Day& first = *ended_.front().day;
        if (first.snapshotter && first.snapshotter->is_hosting()) return;
        day = std::move(ended_.front().day);
        ended_.erase(ended_.begin());
    }
    // Without the mutex: its threads may be about to follow.
    day.reset();
}

bool Days::wait_for_next_day(const Day& day, const Attempt& attempt) noexcept {
    const std::int64_t until = attempt.begun_ns + day.config.request_timeout_ns;
    while (core::roll_phase(day.state) >= RollPhase::draining && core::is_in(day.state, SegmentState::ready)) {
        if (segment::boottime_ns() >= until) return false;
        segment::sleep_ns(100'000);
    }
    return true;
}

void Days::wait_held(const Day& day) noexcept {
    const std::int64_t until = segment::monotonic_ns() + kMostHeldNs;
    while (core::roll_phase(day.state) == RollPhase::held && core::is_in(day.state, SegmentState::ready) &&
           segment::monotonic_ns() < until)
        segment::sleep_ns(100'000);
}

Days::~Days() {
    if (newest_.load(std::memory_order_acquire) == nullptr) return;
    leaving_ = true;
    // In a forked child the thread is the parent's.
    if (!is_ours()) static_cast<void>(keeper_.release());
    keeper_.reset();
    // The oldest first, as they left.
    for (Ended& one : ended_) one.day.reset();
    held_.reset();
}

bool Days::is_ours() const noexcept {
    const segment::Inside inside;
    return newest_.load(std::memory_order_acquire) != nullptr && now().in_attached_process();
}

bool Days::leave(std::int64_t by_ns) noexcept {
    if (!is_ours()) return true;
    leaving_ = true;
    // It may hang with the day that it gives up.
    if (keeper_ && !keeper_->stop(by_ns)) return false;
    // A session ends in the day that it belongs to. Going there is waited for within the same deadline.
    std::int64_t& patience = held_->config.attach_timeout_ns;
    patience = std::clamp<std::int64_t>((by_ns - segment::monotonic_ns()) / 2, 0, patience);
    static_cast<void>(today());
    {
        const std::lock_guard guard(mutex_);
        closing_ = true;
    }
    // Its last event is journaled, too; and a host leaves before the next day's can have everything on disk.
    bool all_ended = true;
    for (const Ended& one : ended_) all_ended = leave_day(*one.day, by_ns) && all_ended;
    return leave_day(*held_, by_ns) && all_ended;
}

bool Days::leave_day(Day& day, std::int64_t by_ns) noexcept {
    bool has_ended = true;
    // A part of the time for whoever is stopped inside the lock, the rest for the journal.
    const std::int64_t now_ns = segment::monotonic_ns();
    if (day.session) has_ended = day.session->leave(now_ns + (by_ns - now_ns) * 2 / 3);
    left_at_ = load_acquire(day.state.log->committed);
    if (day.snapshotter) has_ended = day.snapshotter->leave(by_ns) && has_ended;
    return has_ended;
}

namespace {

std::string why_not_durable(const StatusView& status) {
    const std::string host = "pid " + std::to_string(status.host_pid);
    if (status.gap_end != 0) return "a gap in the journal is open" + (status.fault.empty() ? "" : " (" + status.fault + ")");
    if (!status.fault.empty()) return status.fault + (status.fault_error.empty() ? "" : ": " + status.fault_error);
    if (status.host_state == "stopped") return "the snapshotter's host, " + host + ", does not move";
    if (status.host_pid != 0) return "the snapshotter's host, " + host + ", is behind";
    return "nobody hosts the snapshotter";
}

}  // namespace

LeaveView Days::judge_leaving() noexcept {
    LeaveView view;
    try {
        Day& day = now();
        view.committed = left_at_;
        view.durable_upto = load_acquire(day.state.marks->durable);
        if (!day.snapshotter || !day.state.has_journal() || core::is_in(day.state, SegmentState::destroyed)) return view;
        view.durable = view.durable_upto >= left_at_;
        if (!view.durable) view.why = why_not_durable(reader_.status());
    } catch (...) {
        // No memory for the reason.
    }
    return view;
}

}  // namespace riskreg::registry
