/// The segment as a whole: header, control words, geometry. README.md beside this file draws the map.
#pragma once

#include "layout/event.hpp"

namespace riskreg::layout {

inline constexpr std::uint64_t kMagic = 0x3130474552525352ULL;  // "RSRREG01" read as little endian
inline constexpr std::size_t kPage = 4096;

enum class SegmentState : std::uint64_t { creating = 0, ready = 1, poisoned = 2, destroyed = 3 };

/// Sizes of the tables; computed once from SharedConfig, then never changed.
struct Geometry {
    std::uint32_t instruments;
    std::uint32_t accounts;
    std::uint32_t strategies;             // with `external`, the last one
    std::uint32_t sessions;
    std::uint32_t orders;
    std::uint32_t order_index;            // words, power of two ≥ 2 · orders
    std::uint32_t executions;
    std::uint32_t execution_index;
    std::uint32_t quarantine;
    std::uint32_t quarantine_index;
    std::uint32_t ring_events;            // power of two
    std::uint32_t config_bytes;

    [[nodiscard]] std::uint32_t rows() const noexcept {
        return 1 + accounts + strategies + instruments + accounts * instruments + strategies * instruments;
    }
    [[nodiscard]] std::uint32_t firm_row() const noexcept { return 0; }
    [[nodiscard]] std::uint32_t account_row(std::uint32_t a) const noexcept { return 1 + a; }
    [[nodiscard]] std::uint32_t strategy_row(std::uint32_t s) const noexcept { return 1 + accounts + s; }
    [[nodiscard]] std::uint32_t instrument_row(std::uint32_t i) const noexcept { return 1 + accounts + strategies + i; }
    [[nodiscard]] std::uint32_t account_instrument_row(std::uint32_t a, std::uint32_t i) const noexcept {
        return 1 + accounts + strategies + instruments + a * instruments + i;
    }
    [[nodiscard]] std::uint32_t strategy_instrument_row(std::uint32_t s, std::uint32_t i) const noexcept {
        return 1 + accounts + strategies + instruments + accounts * instruments + s * instruments + i;
    }
    /// The row of a scope; kNoSlot when it names an entity that does not exist.
    [[nodiscard]] std::uint32_t row_of(const Scope& scope) const noexcept;
    /// The scope of a row; the inverse of row_of.
    [[nodiscard]] Scope scope_of(std::uint32_t row) const noexcept;
    /// Words of one bitmap over accounts and one over instruments, per strategy.
    [[nodiscard]] std::uint32_t account_words() const noexcept { return (accounts + 63) / 64; }
    [[nodiscard]] std::uint32_t instrument_words() const noexcept { return (instruments + 63) / 64; }
};
RISKREG_RECORD(Geometry, 48, 4);

/// Byte offsets of the tables from the start of the segment; each starts on its own page.
struct Offsets {
    std::uint64_t mutex;
    std::uint64_t control;
    std::uint64_t sessions;
    std::uint64_t strategies;
    std::uint64_t references;
    std::uint64_t rows;
    std::uint64_t rows_cold;
    std::uint64_t orders;
    std::uint64_t order_index;
    std::uint64_t executions;
    std::uint64_t execution_index;
    std::uint64_t quarantine;
    std::uint64_t quarantine_index;
    std::uint64_t ring;
    std::uint64_t instrument_records;
    std::uint64_t account_records;
    std::uint64_t strategy_records;
    std::uint64_t permissions;
    std::uint64_t config;
    std::uint64_t size_bytes;
};
RISKREG_RECORD(Offsets, 160, 8);

[[nodiscard]] Offsets offsets_of(const Geometry& geometry) noexcept;

/// Page 0. `magic` is stored last: an attacher never takes a half-made segment for a whole one.
struct Header {
    std::uint64_t magic;
    std::uint32_t layout_version;
    std::uint32_t settings;               // SettingFlag
    std::uint64_t layout_hash;            // of the record sizes this build was made with
    std::uint64_t config_hash;
    std::uint64_t state;                  // SegmentState; only ever grows
    Geometry geometry;
    std::uint8_t boot_id[16];
    std::uint64_t lock_device;            // of the LOCK file: two state directories never share a segment
    std::uint64_t lock_inode;
    std::uint64_t lock_token[2];          // of the LOCK file's content: tells a reused inode from the same file
    std::uint64_t pid_namespace;          // inode; rewritten by adoption
    std::int64_t created_ns;
    std::uint32_t uid;
    std::uint32_t persistence;
    std::uint32_t checkpoint_interval_s;
    std::uint32_t keep_checkpoints;
    std::uint32_t page_options;           // 1 huge pages, 2 lock memory
    std::uint32_t adopting;               // 1 while the mutexes are being made anew; left so by a dead adopter
    FixedId name_begin;                   // the registry's name, up to 64 bytes, in two parts
    FixedId name_end;
};
RISKREG_RECORD(Header, 256, 8);

/// The one log: written only under the lock, one cache line.
struct alignas(64) LogWords {
    std::uint64_t committed;              // storing this is the commit point
    std::uint64_t applied;
    std::uint64_t last_time_ns;
    std::uint64_t next_order;
    std::uint64_t next_execution;
    std::uint64_t next_quarantine;
    std::uint64_t next_generation;
    std::uint64_t quarantined_events;     // absolute, from the event
};
RISKREG_RECORD(LogWords, 64, 64);

/// Watermarks of the snapshotter, and words that only diagnose.
struct alignas(64) StatusWords {
    std::uint64_t journaled;
    std::uint64_t durable;
    std::uint64_t checkpointed;
    std::uint64_t state_epoch;            // sequence of the last change of a trading state
    std::uint64_t repairs;                // owners found dead and repaired
    std::uint64_t redone;                 // events that a repair applied
    std::uint64_t gaps;
    std::uint64_t owner_session;          // slot + 1 of whoever holds the lock, 0 otherwise
};
RISKREG_RECORD(StatusWords, 64, 64);

struct Control {
    LogWords log;
    StatusWords status;
};
RISKREG_RECORD(Control, 128, 64);

/// Hash over every field, offset and size: what makes two builds compatible.
[[nodiscard]] std::uint64_t layout_hash();

}  // namespace riskreg::layout
