/// Two copies of everything that is updated in place (INV-1, INV-11; src/README.md "Two copies").
///
/// Each copy carries the sequence number of the event that wrote it. The writer overwrites the older
/// copy: invalidate, fields, sequence last. So a writer that is killed anywhere leaves the newer copy
/// whole, writing the same event again changes nothing, and a reader needs no lock.
#pragma once

#include "layout/fields.hpp"

namespace riskreg::layout {

inline constexpr std::uint64_t kBeingWritten = 0;
inline constexpr std::uint64_t kGenesis = 1;  ///< events start at 2

template <Record T>
struct Versioned {
    T copy[2];

    /// Index of the newer copy. Branch-free; a tie (both 0, never seen after creation) gives 1.
    [[nodiscard]] unsigned newer() const noexcept {
        return static_cast<unsigned>(!(load_relaxed(copy[0].seq) > load_relaxed(copy[1].seq)));
    }

    /// The newest version; only under the lock, where nobody else writes.
    [[nodiscard]] const T& newest() const noexcept { return copy[newer()]; }

    /// Writes `value` as the version of event `seq`, unless this record has that version or a later one.
    void store(std::uint64_t seq, const T& value) noexcept {
        const unsigned latest = newer();
        if (load_relaxed(copy[latest].seq) < seq) write(copy[latest ^ 1U], seq, value);
    }

    /// The same with the version before as the starting point: `change` gets a copy of it.
    template <class Change>
    void update(std::uint64_t seq, Change change) noexcept {
        const unsigned latest = newer();
        if (load_relaxed(copy[latest].seq) >= seq) return;
        T next = copy[latest];
        change(next);
        write(copy[latest ^ 1U], seq, next);
    }

    /// Wait-free against a dead writer and against a single running update: repeats only when two
    /// further events hit this same record during the copy. Bounded all the same (INV-10): memory whose sequences were
    /// destroyed reads as a zero record after kMaxReads tries.
    [[nodiscard]] T read() const noexcept {
        T value{};
        for (std::uint32_t attempt = 0; attempt < kMaxReads; ++attempt) {
            const std::uint64_t first = load_acquire(copy[0].seq);
            const std::uint64_t second = load_acquire(copy[1].seq);
            if (first == kBeingWritten && second == kBeingWritten) continue;
            const T& latest = copy[first > second ? 0 : 1];
            const std::uint64_t seq = first > second ? first : second;
            copy_words_out(value, latest);
            fence_acquire();
            if (load_relaxed(latest.seq) == seq && value.seq == seq) return value;
        }
        return T{};
    }
    static constexpr std::uint32_t kMaxReads = 1U << 20;

    /// Creation only: copy 1 is whole with the genesis sequence, copy 0 is to be written first.
    void make_genesis(T value) noexcept {
        value.seq = kGenesis;
        copy[0] = T{};
        copy[1] = value;
    }

private:
    static void write(T& older, std::uint64_t seq, const T& value) noexcept {
        store_relaxed(older.seq, kBeingWritten);
        fence_release();
        copy_words_in<1>(older, value);
        store_release(older.seq, seq);
    }
};

template <class T>
inline constexpr bool kIsVersioned = false;
template <Record T>
inline constexpr bool kIsVersioned<Versioned<T>> = true;

/// Calls visit(record, …) for each versioned record of a slot, with the same one of the other slots behind it, which are of
/// the same type: a copy, a comparison, a digest of all of them in the order of the fields.
template <class Visit, class Slot, class... Same>
void each_version(const Visit& visit, Slot& slot, Same&... same) {
    const auto visit_one = [&](auto member) {
        if constexpr (kIsVersioned<std::remove_cvref_t<decltype(slot.*member)>>) visit(slot.*member, same.*member...);
    };
    [&]<auto... Member>(MemberList<Member...>) {
        (visit_one(Member), ...);
    }(typename Fields<std::remove_const_t<Slot>>::Members{});
}

}  // namespace riskreg::layout
