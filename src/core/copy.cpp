#include "core/copy.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "base/stop.hpp"
#include "core/apply.hpp"
#include "core/roll.hpp"

namespace riskreg::core {

using namespace layout;

void PrivateState::Release::operator()(std::byte* bytes) const noexcept { std::free(bytes); }

PrivateState allocate_state(const Geometry& geometry) {
    const Offsets offsets = offsets_of(geometry);
    // So much memory comes from the kernel, zeroed and page by page: what is never used costs nothing.
    auto* memory = static_cast<std::byte*>(std::calloc(1, offsets.size_bytes + kPage));
    if (memory == nullptr) throw std::bad_alloc();
    std::byte* base = memory + (kPage - reinterpret_cast<std::uintptr_t>(memory) % kPage) % kPage;
    return {std::unique_ptr<std::byte, PrivateState::Release>(memory), view_of(base, geometry)};
}

void copy_entities(State& to, const State& from) noexcept {
    each_table<TableKind::entities>(from.geometry, [&](auto table, std::size_t count) {
        std::memcpy(static_cast<void*>(to.*table), static_cast<const void*>(from.*table), count * sizeof *(from.*table));
    });
}

namespace {

/// The newest version only: a version that is being written elsewhere never reaches the copy.
constexpr auto kCopyNewest = []<Record T>(Versioned<T>& to, const Versioned<T>& from) noexcept {
    to.copy[1] = from.read();
    to.copy[0] = T{};
};

void copy_words(std::uint64_t* to, const std::uint64_t* from, std::size_t words) noexcept {
    for (std::size_t i = 0; i < words; ++i) to[i] = load_acquire(from[i]);
}

/// Now and then between two records.
bool goes_on(const Pause& pause, std::uint64_t i) { return !pause || i % kPiece != kPiece - 1 || pause(); }

/// What an event put there meanwhile is there, too: copied, or put again by a later one of the log.
bool copy_index(std::uint64_t* to, const std::uint64_t* from, std::size_t words, const Pause& pause) {
    constexpr std::size_t kWordsAtOnce = std::size_t{64} << 10;
    for (std::size_t at = 0; at < words; at += kWordsAtOnce) {
        if (at != 0 && pause && !pause()) return false;
        copy_words(to + at, from + at, std::min(kWordsAtOnce, words - at));
    }
    return true;
}

bool copy_orders(State& to, const State& from, const Pause& pause) {
    // Slots taken after next_order was read are written whole by their events, which follow.
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(to.log->next_order, from.geometry.orders); ++i) {
        base::stop_point(i);
        if (!goes_on(pause, i)) return false;
        const OrderSlot& slot = from.orders[i];
        each_version(kCopyNewest, to.orders[i], slot);
        copy_words_out(to.orders[i].identity, slot.identity);
        if (load_acquire(slot.venue.seq) != 0) copy_words_out(to.orders[i].venue, slot.venue);
    }
    return true;
}

bool copy_executions(State& to, const State& from, const Pause& pause) {
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(to.log->next_execution, from.geometry.executions); ++i) {
        base::stop_point(i);
        if (!goes_on(pause, i)) return false;
        each_version(kCopyNewest, to.executions[i], from.executions[i]);
        copy_words_out(to.executions[i].identity, from.executions[i].identity);
    }
    for (std::uint32_t i = 0; i < from.geometry.quarantine; ++i) {
        if (load_acquire(from.quarantine[i].seq) == 0) continue;
        copy_words_out(to.quarantine[i], from.quarantine[i]);
    }
    return true;
}

bool copy_rows(State& to, const State& from, const Pause& pause) {
    for (std::uint32_t i = 0; i < from.geometry.rows(); ++i) {
        base::stop_point(i);
        if (!goes_on(pause, i)) return false;
        each_of_row(i, kCopyNewest, to, from);
    }
    return true;
}

bool copy_records(State& to, const State& from, const Pause& pause) {
    each_table<TableKind::parties, TableKind::controls>(from.geometry, [&](auto table, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) each_version(kCopyNewest, (to.*table)[i], (from.*table)[i]);
    });
    for (std::uint32_t i = 0; i < from.geometry.sessions; ++i) copy_words(&to.sessions[i].word, &from.sessions[i].word, 5);
    return copy_rows(to, from, pause) && copy_orders(to, from, pause) && copy_executions(to, from, pause);
}

void reset_words(State& state) noexcept {
    // Memory that nothing was copied into yet is as it has to be.
    if (state.log->committed == 0) return;
    each_table<TableKind::indexes>(state.geometry,
                                   [&](auto index, std::size_t words) { std::memset(state.*index, 0, 8 * words); });
    std::memset(static_cast<void*>(state.quarantine), 0, sizeof(QuarantineSlot) * state.geometry.quarantine);
}

bool try_copy(State& to, const State& from, const Pause& pause) {
    reset_words(to);
    std::memcpy(to.header, from.header, sizeof(Header));
    copy_entities(to, from);
    if (is_in(to, SegmentState::rolled)) to.header->state = static_cast<std::uint64_t>(SegmentState::ready);
    // Tables whose day has ended stay as the last event found them: the copy gets that from the log.
    const std::uint64_t applied = load_acquire(from.log->applied);
    const std::uint64_t first = ends_the_day(from) ? load_acquire(from.log->committed) - 1 : applied;
    // The unversioned words as of `first` or later; events that follow carry absolute values.
    copy_words(&to.log->committed, &from.log->committed, sizeof(LogWords) / 8);
    copy_words(&to.status->state_epoch, &from.status->state_epoch, sizeof(StatusWords) / 8);
    to.log->committed = to.log->applied = first;
    if (!copy_records(to, from, pause)) return false;
    bool whole = true;
    each_table<TableKind::indexes>(from.geometry, [&](auto index, std::size_t words) {
        whole = whole && copy_index(to.*index, from.*index, words, pause);
    });
    if (!whole) return false;
    fence_acquire();
    // Up to committed, not applied: a writer may be in the middle of apply, or dead there. Every version that
    // the copy met is of a committed event.
    return catch_up(to, from);
}

}  // namespace

bool read_event(const State& live, std::uint64_t seq, Event& event) noexcept {
    const Event& slot = live.ring_slot(seq);
    if (load_acquire(slot.header.seq) != seq) return false;
    copy_event_out(event, slot);
    fence_acquire();
    return load_relaxed(slot.header.seq) == seq && is_sized(event.header) && event.header.checksum == checksum_of(event, seq);
}

namespace {

bool catch_up_to(State& to, const State& from, std::uint64_t last) {
    const std::uint64_t first = to.log->applied;
    if (last < first || last - first >= from.geometry.ring_events) return false;
    for (std::uint64_t seq = first + 1; seq <= last; ++seq) {
        base::stop_point(seq);
        Event event;
        if (!read_event(from, seq, event)) return false;
        std::memcpy(to.ring_slot(seq).words, event.words, sizeof event.words);
        apply_to_private(to, event);
    }
    to.log->committed = last;
    return true;
}

}  // namespace

bool catch_up(State& to, const State& from) { return catch_up_to(to, from, load_acquire(from.log->committed)); }

bool copy_into(State& copy, const State& live, const Pause& pause) {
    copy.keeps_derived = false;
    if (!pause) return try_copy(copy, live, {});
    // What is not copied yet comes later than these events, and wins; so they must be in the records already, not only in the log.
    return try_copy(copy, live, [&] { return pause() && catch_up_to(copy, live, load_acquire(live.log->applied)); });
}

std::optional<PrivateState> copy_consistent(const State& live, int attempts) {
    PrivateState copy = allocate_state(live.geometry);
    for (int attempt = 0; attempt < attempts; ++attempt)
        if (copy_into(copy.state, live)) return copy;
    return std::nullopt;
}

namespace {

class Digest {
public:
    void word(std::uint64_t value) noexcept { hash_ = base::mix((hash_ ^ value) * 0x9FB21C651E98DF25ULL); }
    template <class T>
    void record(const T& value) noexcept {
        const auto* words = reinterpret_cast<const Word*>(&value);
        for (std::size_t i = 0; i < sizeof(T) / 8; ++i) word(words[i]);
    }
    [[nodiscard]] std::uint64_t value() const noexcept { return hash_; }

private:
    std::uint64_t hash_ = 0x9E3779B97F4A7C15ULL;
};

bool is_used(const auto& record) noexcept { return record.seq > kGenesis; }
bool is_used(const RestrictionRecord& entry) noexcept { return entry.seq > kGenesis || entry.sides != 0; }

/// Slots of these tables that nothing happened to count for nothing: larger tables have more of them.
void add_controls(Digest& d, const State& state) noexcept {
    std::uint64_t number = 0;
    const auto add = [&](const auto& record) {
        if (is_used(record.newest())) d.word(number), d.record(record.newest());
    };
    each_table<TableKind::controls>(state.geometry, [&](auto table, std::size_t count) {
        for (number = 0; number < count; ++number) each_version(add, (state.*table)[number]);
    });
    d.word(state.status->next_budget_ring);
}

}  // namespace

std::uint64_t digest(const State& state) noexcept {
    Digest d;
    const LogWords& log = *state.log;
    d.word(log.applied);
    d.word(log.last_time_ns);
    d.word(log.last_steady_ns);
    d.word(log.next_generation);
    d.word(state.status->quarantined_events);
    const auto add = [&d](const auto& record) { d.record(record.newest()); };
    for (std::uint32_t i = 0; i < state.geometry.rows(); ++i) each_of_row(i, add, state);
    // Clamped: a digest is also asked of memory that may be damaged.
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(log.next_order, state.geometry.orders); ++i) {
        d.record(state.orders[i].identity);
        d.record(state.orders[i].state.newest());
        d.record(state.orders[i].venue);
    }
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(log.next_execution, state.geometry.executions); ++i) {
        d.record(state.executions[i].identity);
        d.record(state.executions[i].state.newest());
    }
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(log.next_quarantine, state.geometry.quarantine); ++i)
        d.record(state.quarantine[i]);
    for (std::uint32_t i = 0; i < state.geometry.sessions; ++i) {
        // Free slots count for nothing: larger tables have more of them.
        const SessionRecord& session = state.sessions[i].record.newest();
        if (session.status != SessionStatus::free) d.word(i), d.record(session);
    }
    for (std::uint32_t i = 0; i < state.geometry.strategies; ++i) d.record(state.strategies[i].state.newest());
    for (std::uint32_t i = 0; i < state.geometry.instruments; ++i) d.record(state.references[i].owner.newest());
    add_controls(d, state);
    return d.value();
}

}  // namespace riskreg::core
