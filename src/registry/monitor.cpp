#include "registry/monitor.hpp"

#include <algorithm>

#include "core/perform.hpp"
#include "core/scopes.hpp"
#include "persist/config_json.hpp"
#include "persist/limit_fields.hpp"
#include "registry/caller.hpp"
#include "segment/process.hpp"
#include "segment/state_lock.hpp"

namespace riskreg::registry {

using namespace layout;

namespace {

constexpr std::int64_t kTellNs = 1'000'000'000;
constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kRoundNs = 10 * kMs;
constexpr std::int64_t kQuietNs = 50 * kMs;     // between rounds while nothing changes
constexpr std::int64_t kSlowestNs = 500 * kMs;
constexpr std::int64_t kShare = 9;              // at most a tenth of a core, whatever the number of rows
constexpr std::int64_t kNever = 0x7FFFFFFFFFFFFFFF;

/// Number of updates of a reference price, without reading it.
std::uint64_t updates_of(const ReferenceCell& cell) noexcept {
    return std::max(load_relaxed(cell.price.copy[0].seq), load_relaxed(cell.price.copy[1].seq));
}

/// Events that change nothing we look at; our own alerts among them.
bool is_without_effect(EventType type) noexcept { return type == EventType::denied || type == EventType::alert; }

std::uint32_t instrument_of(const core::State& state, std::uint32_t row) noexcept {
    return static_cast<std::uint32_t>(state.geometry.scope_of(row).instrument);
}

}  // namespace

Monitor::Monitor(Host& host, std::int64_t timeout_ns) : host_(host), state_(host.state), timeout_ns_(timeout_ns) {
    const segment::SignalsBlocked blocked;
    thread_ = std::thread([this] { run(); });
}

Monitor::~Monitor() {
    ask_to_stop();
    thread_.join();
}

void Monitor::ask_to_stop() noexcept {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
    changed_.notify_all();
}

bool Monitor::has_ended() noexcept {
    const std::lock_guard guard(mutex_);
    return ended_;
}

/// False when it is time to end.
bool Monitor::wait(std::int64_t ns) noexcept {
    std::unique_lock guard(mutex_);
    return !changed_.wait_for(guard, std::chrono::nanoseconds(ns), [this] { return stopping_.load(); });
}

void Monitor::run() noexcept {
    std::int64_t rest = kRoundNs;
    while (wait(rest)) {
        // Poisoned, destroyed or rolled: there is nothing here to look after any more.
        rest = kQuietNs;
        if (!core::is_in(state_, SegmentState::ready)) continue;
        try {
            if (round()) rest = kRoundNs;
            rest = std::clamp(kShare * (segment::monotonic_ns() - now_ns_), rest, kSlowestNs);
        } catch (const std::exception& error) {
            host_.alarm.raise(Severity::critical, std::string("monitor: ") + error.what());
            forget();
            rest = kSlowestNs;
        }
    }
    const std::lock_guard guard(mutex_);
    ended_ = true;
    changed_.notify_all();
}

/// Begins anew, with a look at every row.
void Monitor::forget() noexcept {
    rows_.clear();
    instruments_.clear();
    changed_rows_.clear();
    seen_ = 0;
}

/// True when there was something to look at.
bool Monitor::round() {
    now_ns_ = segment::monotonic_ns();
    steady_ns_ = segment::boottime_ns();
    tell_clocks_ahead();
    if (rows_.empty()) {
        instruments_.assign(state_.geometry.instruments, {{}, 0, kNever});
        // Who hosts now does not know when a row was marked last: as if just now, so that a take-over marks nothing anew.
        rows_.assign(state_.geometry.rows(), {steady_ns_, false, false});
    }
    wishes_.clear();
    bool busy = gather();
    busy |= look_at_references();
    // From here on limits may rest on marks again; without this word whoever registers works them out (core/unmarked).
    if (write_wishes()) store_relaxed(state_.host->marks_until_ns, static_cast<std::uint64_t>(steady_ns_));
    return busy;
}

/// At most once a second, with how many there were.
void Monitor::tell_clocks_ahead() {
    const std::uint64_t count = load_relaxed(state_.status->clocks_ahead);
    if (count == told_ahead_ || now_ns_ - told_ahead_ns_ < kTellNs) return;
    const std::uint64_t more = count - std::min(count, told_ahead_);
    host_.alarm.raise(Severity::warning,
                      std::to_string(more) +
                          " events came from a clock that ran ahead of elapsed time: their "
                          "times go on from the event before (is a process's wall clock wrong? if the log's is: "
                          "riskctl clock)");
    told_ahead_ = count;
    told_ahead_ns_ = now_ns_;
}

// ---- which rows ---------------------------------------------------------------------------------

/// The rows that events have changed since the round before, and those that could not be served then. `applied`, not
/// `committed`: what it counts is in the tables.
bool Monitor::gather() {
    const std::uint64_t applied = load_acquire(state_.log->applied);
    bool followed = seen_ != 0 && applied - seen_ <= state_.geometry.ring_events / 2;
    for (std::uint64_t seq = seen_ + 1; followed && seq <= applied; ++seq) followed = take_event(seq);
    seen_ = applied;
    for (std::uint32_t row = 0; !followed && row < rows_.size(); ++row) row_changed(row);
    if (changed_rows_.empty()) return false;
    looking_at_.swap(changed_rows_);
    changed_rows_.clear();
    for (const std::uint32_t row : looking_at_) {
        rows_[row].changed = false;
        if (!stopping_) look_at_row(row);
    }
    return true;
}

/// False when writers have lapped us: then every row may have changed.
bool Monitor::take_event(std::uint64_t seq) {
    constexpr std::size_t kWords = kRowWords;  // the header, and the row that some events name
    const Event& slot = state_.ring_slot(seq);
    Event event{};
    const bool there = load_acquire(slot.header.seq) == seq;
    for (std::size_t i = 0; i < kWords; ++i) event.words[i] = load_relaxed(slot.words[i]);
    fence_acquire();
    if (!there || load_relaxed(slot.header.seq) != seq) return false;
    const EventHeader& h = event.header;
    if (is_without_effect(h.type)) return true;
    for (const std::uint32_t row : core::rows_of(state_.geometry, h.account, h.strategy, h.instrument)) row_changed(row);
    row_changed(row_of(event));
    return true;
}

void Monitor::row_changed(std::uint32_t row) {
    if (row >= rows_.size() || rows_[row].changed) return;
    changed_rows_.push_back(row);
    rows_[row].changed = true;
}

// ---- what they ask for --------------------------------------------------------------------------

void Monitor::look_at_row(std::uint32_t row) {
    const std::uint32_t instrument = instrument_of(state_, row);
    if (instrument != kNoSlot) note_exposure(row, instrument);
    if (instrument != kNoSlot && rows_[row].exposed) {
        const auto reference = core::fresh_reference(state_, instrument, steady_ns_);
        if (reference) look_at_mark(row, instrument, *reference);
    }
    if (core::is_loss_unanswered(state_, row)) wishes_.push_back({What::loss, row, instrument, false, {}});
    look_at_levels(row);
}

void Monitor::note_exposure(std::uint32_t row, std::uint32_t instrument) {
    const bool exposed = core::is_exposed(state_, row);
    if (exposed == rows_[row].exposed) return;
    std::vector<std::uint32_t>& list = instruments_[instrument].exposed;
    if (exposed) list.push_back(row);
    else std::erase(list, row);
    rows_[row].exposed = exposed;
}

void Monitor::look_at_levels(std::uint32_t row) {
    const core::RowNow now = core::read_row(state_, row);
    const std::uint64_t levels = state_.rows_risk[row].alerts.read().levels;
    for (const core::Limit& limit : core::kLimits) {
        if (!limit.is(core::kHasSoftLevels)) continue;
        const core::Use use = core::use_of(state_, row, now, limit);
        const std::uint8_t level = core::level_in(levels, limit.id);
        if (core::level_of(use, level) != level) wishes_.push_back({What::level, row, kNoSlot, false, use});
    }
}

/// Instruments whose reference price was written again, or some row of which is to be marked by time.
bool Monitor::look_at_references() {
    bool busy = false;
    for (std::uint32_t i = 0; i < instruments_.size() && !stopping_; ++i) {
        InstrumentMemory& memory = instruments_[i];
        if (memory.exposed.empty()) continue;
        const std::uint64_t updates = updates_of(state_.references[i]);
        if (updates == memory.reference_seq && steady_ns_ < memory.due_ns) continue;
        memory.reference_seq = updates;
        memory.due_ns = kNever;
        busy = true;
        const auto reference = core::fresh_reference(state_, i, steady_ns_);
        if (!reference) continue;
        for (const std::uint32_t row : memory.exposed) look_at_mark(row, i, *reference);
    }
    return busy;
}

void Monitor::look_at_mark(std::uint32_t row, std::uint32_t instrument, std::int64_t reference) {
    const core::MarkWish wish = core::mark_wish(state_, row, reference);
    if (wish == core::MarkWish::none) return;
    const std::int64_t interval = kMs * state_.header->mark_interval_ms;
    if (wish == core::MarkWish::in_time && interval == 0) return;
    const std::int64_t due = rows_[row].marked_ns + interval;
    const bool overdue = interval != 0 && steady_ns_ >= due;
    if (wish == core::MarkWish::now || overdue) return wishes_.push_back({What::mark, row, instrument, overdue, {}});
    instruments_[instrument].due_ns = std::min(instruments_[instrument].due_ns, due);
}

// ---- writing ------------------------------------------------------------------------------------

/// Half of the ring is left to those who trade: marks and alerts wait for the journal.
bool Monitor::has_room() const noexcept {
    if (!state_.has_journal()) return true;
    const std::uint64_t durable = load_acquire(state_.marks->durable);
    const std::uint64_t committed = load_acquire(state_.log->committed);
    return durable > committed || committed - durable < state_.geometry.ring_events / 2;
}

/// True when nothing that was asked for is left.
bool Monitor::write_wishes() {
    // What stops trading comes first, and is not held up by the rest.
    std::stable_partition(wishes_.begin(), wishes_.end(), [](const Wish& wish) { return wish.what == What::loss; });
    std::size_t done = 0;
    while (done < wishes_.size() && !stopping_) {
        const std::size_t end = std::min(done + kChunk, wishes_.size());
        if (!write_chunk(done, end)) break;
        done = end;
        segment::yield_cpu();
    }
    const bool all = done == wishes_.size() && !stopping_;
    for (; done < wishes_.size(); ++done) row_changed(wishes_[done].row);
    return all;
}

/// False when the lock or room in the log could not be had.
bool Monitor::write_chunk(std::size_t begin, std::size_t end) {
    if (wishes_[begin].what != What::loss && !has_room()) return false;
    Chunk passed;
    std::size_t told = 0;
    {
        const segment::StateLock lock(state_, timeout_ns_, kNoSlot);
        if (!lock.inside()) return false;
        core::refresh_consumer(state_);
        for (std::size_t i = begin; i < end; ++i)
            if (write(lock.exclusive(), wishes_[i], passed[told])) ++told;
    }
    for (std::size_t i = 0; i < told; ++i) tell(passed[i]);
    return true;
}

/// With the lock, where the row says for certain what it asks for. True when a level was passed upwards.
bool Monitor::write(core::Exclusive tables, const Wish& wish, Passed& passed) noexcept {
    core::Caller caller = caller_now();
    caller.uid = segment::real_user_id();
    core::Decision decision(tables);
    switch (wish.what) {
        case What::mark: decide_mark(wish, caller, decision); break;
        case What::loss: core::decide_loss(state_, caller, wish.row, decision); break;
        case What::level: decide_level(wish, caller, decision); break;
    }
    if (decision.verdict.reason == DenyReason::poisoned) segment::poison(state_);
    if (!decision.commit) return false;
    const AlertEvent alert = decision.event.alert;
    core::perform(tables, decision);
    passed = {wish.row, {static_cast<core::LimitId>(alert.limit), alert.unit, alert.observed, alert.bound}};
    return wish.what == What::level && alert.level > alert.previous;
}

void Monitor::decide_mark(const Wish& wish, const core::Caller& caller, core::Decision& out) noexcept {
    const auto reference = core::fresh_reference(state_, wish.instrument, caller.steady_ns);
    if (!reference) return;
    const core::MarkWish now = core::mark_wish(state_, wish.row, *reference);
    if (now == core::MarkWish::none || (now == core::MarkWish::in_time && !wish.overdue)) return;
    core::decide_mark(state_, caller, wish.row, *reference, out);
    rows_[wish.row].marked_ns = steady_ns_;
}

void Monitor::decide_level(const Wish& wish, const core::Caller& caller, core::Decision& out) noexcept {
    core::Use use = wish.use;
    if (!core::is_quantity_limit(use.limit))
        use = core::use_of(state_, wish.row, core::read_row(state_, wish.row), core::limit_of(use.limit));
    const std::uint8_t before = core::level_in(state_.rows_risk[wish.row].alerts.newest().levels, use.limit);
    const std::uint8_t level = core::level_of(use, before);
    core::decide_alert(state_, caller,
                       {wish.row, static_cast<std::uint8_t>(use.limit), level, use.unit, use.observed, use.bound}, out);
}

void Monitor::tell(const Passed& passed) {
    const core::Use& use = passed.use;
    const auto percent = static_cast<std::int64_t>(base::Int128{use.observed} * 100 / use.bound);
    const std::uint64_t level =
        (std::uint64_t{passed.row} << 16) + core::index_of(use.limit) * 256U + static_cast<std::uint64_t>(percent / 10 % 256);
    host_.alarm.raise_about(level, Severity::warning,
                            core::format_scope(state_, state_.geometry.scope_of(passed.row)) + ": " +
                                std::string(core::limit_of(use.limit).name) + " at " + std::to_string(percent) +
                                " %: " + persist::format_amount(use.unit, use.observed) + " of " +
                                persist::format_amount(use.unit, use.bound) + " (" + std::string(name_of(use.unit)) + ")");
}

}  // namespace riskreg::registry
