#include "registry/segments.hpp"

#include "core/roll.hpp"
#include "riskreg/error.hpp"
#include "segment/process.hpp"

namespace riskreg::registry {

using namespace layout;
using segment::Access;
using segment::LifecycleLock;
using segment::Mapping;
using segment::SegmentName;

namespace {

const Header& header_of(const Mapping& mapping) noexcept { return *reinterpret_cast<const Header*>(mapping.base()); }

std::vector<SegmentName> days_of(const LifecycleLock& lock, const std::string& name) {
    return segment::segments_of(segment::user_id(), lock.identity().token[0], name);
}

/// Nothing when it vanished, or is not even a page long yet.
std::optional<Mapping> open_if_there(const std::string& segment, Access access) {
    try {
        return Mapping::open(segment, access);
    } catch (const Error& error) {
        if (error.code() != Errc::missing) throw;
        return std::nullopt;
    }
}

std::string day_before(SegmentName name) {
    --name.day;
    return text_of(name);
}

/// A roll makes the next day's segment before it ends the day: only then has the next one begun.
bool has_begun(const Mapping& mapping, const SegmentName& name) {
    if (!is_in(state_of(mapping), SegmentState::creating)) return true;
    const std::optional<Mapping> before = look_at(day_before(name), Access::read_only);
    // Somebody may have said so, and removed the day before, while we looked.
    if (!before) return !is_in(state_of(mapping), SegmentState::creating);
    return follows(state_of(mapping), state_of(*before));
}

}  // namespace

core::State state_of(const Mapping& mapping) { return core::view_of(mapping.base(), header_of(mapping).geometry); }

bool is_whole(const Mapping& mapping) noexcept {
    const Header& header = header_of(mapping);
    return load_acquire(header.magic) == kMagic && header.layout_hash == layout_hash() &&
           offsets_of(header.geometry).size_bytes == mapping.size_bytes();
}

std::optional<Mapping> look_at(const std::string& segment, Access access) {
    std::optional<Mapping> mapping = open_if_there(segment, access);
    if (mapping && !is_whole(*mapping)) mapping.reset();
    return mapping;
}

bool follows(const core::State& next, const core::State& old) noexcept {
    return core::ends_the_day(old) && next.header->rolled_seq == load_acquire(old.log->committed) &&
           next.header->epoch == old.header->epoch;
}

void begin_day(core::State& next) noexcept {
    // Only from `creating`: it may have been poisoned, destroyed or rolled since.
    std::uint64_t creating = static_cast<std::uint64_t>(SegmentState::creating);
    __atomic_compare_exchange_n(&next.header->state, &creating, static_cast<std::uint64_t>(SegmentState::ready), false,
                                __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

std::optional<Mapping> open_newest(const LifecycleLock& lock, const std::string& name, Access access) {
    for (const SegmentName& day : days_of(lock, name)) {
        std::optional<Mapping> mapping = open_if_there(text_of(day), access);
        if (!mapping || segment::is_unfinished(*mapping)) continue;
        if (!is_whole(*mapping)) return mapping;
        if (!has_begun(*mapping, day)) continue;
        core::State state = state_of(*mapping);
        if (access == Access::read_write) begin_day(state);
        return mapping;
    }
    return std::nullopt;
}

namespace {

void say_begun(const std::string& segment) {
    if (std::optional<Mapping> mapping = look_at(segment, Access::read_write)) {
        core::State state = state_of(*mapping);
        begin_day(state);
    }
}

}  // namespace

void sweep_segments(const LifecycleLock& lock, const std::string& name) {
    bool found = false;   // the registry's own
    bool hosted = false;  // and it has the watermarks of the day before
    for (const SegmentName& day : days_of(lock, name)) {
        std::optional<Mapping> mapping = open_if_there(text_of(day), Access::read_only);
        const bool whole = mapping && is_whole(*mapping);
        // Under the exclusive lock no creator lives; one that is not a page long, either.
        const bool useless = !mapping || segment::is_unfinished(*mapping) || (whole && !found && !has_begun(*mapping, day));
        const bool over = found && hosted && whole && core::ends_the_day(state_of(*mapping));
        if (!useless && !found) {
            found = true;
            // Said before the day goes by which it can be seen.
            if (whole) say_begun(text_of(day));
            // Without a journal there are no watermarks to take over.
            hosted = whole && (!state_of(*mapping).has_journal() || load_acquire(state_of(*mapping).host->epoch) != 0);
            continue;
        }
        mapping.reset();
        if (!useless && !over) {
            hosted = true;   // the days before the one that may still be needed are not
            continue;
        }
        static_cast<void>(segment::remove_unused_segment(text_of(day)));
    }
}

bool remove_segments(const LifecycleLock& lock, const std::string& name) {
    bool all = true;
    for (const SegmentName& day : days_of(lock, name)) {
        const std::string segment = text_of(day);
        all &= segment::remove_segment(segment) || !segment::segment_exists(segment);
    }
    return all;
}

}  // namespace riskreg::registry
