/// The segment as a whole: header, control words, geometry. README.md beside this file draws the map.
#pragma once

#include <array>
#include <string_view>

#include "layout/event.hpp"
#include "layout/tables.hpp"

namespace riskreg::layout {

inline constexpr std::uint64_t kMagic = 0x3130474552525352ULL;  // "RSRREG01" read as little endian
inline constexpr std::size_t kPage = 4096;

/// `rolled`: a new trading day goes on in another segment of the same name.
enum class SegmentState : std::uint64_t { creating = 0, ready = 1, poisoned = 2, destroyed = 3, rolled = 4 };

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
    std::uint32_t content_index;          // words, power of two ≥ 2 · orders
    std::uint32_t book_nodes;             // power of two; 1 where own orders may match
    std::uint32_t book_sides;             // groups · instruments · 2; 1 where own orders may match
    std::uint32_t budget_rings;
    std::uint32_t breakers;               // strategies · instruments, or 0
    std::uint32_t restrictions;
    std::uint32_t reserved_words[2];

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
    /// Words of the bitmaps of all strategies.
    [[nodiscard]] std::uint64_t permissions() const noexcept {
        return std::uint64_t{strategies} * (account_words() + instrument_words());
    }
};
RISKREG_FIELDS(Geometry, 80, 4, instruments, accounts, strategies, sessions, orders, order_index, executions, execution_index,
               quarantine, quarantine_index, ring_events, config_bytes, content_index, book_nodes, book_sides, budget_rings,
               breakers, restrictions, reserved_words);

/// Byte offsets of the tables from the start of the segment; each starts on its own page.
#define RISKREG_OFFSET(name, record, count, kind) std::uint64_t name;
#define RISKREG_NAME(name, record, count, kind) , name
struct Offsets {
    std::uint64_t mutex;
    std::uint64_t host;                   // HostMutex: who journals
    std::uint64_t control;
    RISKREG_TABLES(RISKREG_OFFSET)
    std::uint64_t size_bytes;
};
RISKREG_FIELDS(Offsets, 232, 8, mutex, host, control RISKREG_TABLES(RISKREG_NAME), size_bytes);
#undef RISKREG_NAME
#undef RISKREG_OFFSET

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
    std::uint64_t lock_device;            // of the LOCK file; advice for messages, as its inode
    std::uint64_t lock_inode;
    std::uint64_t lock_token[2];          // of the LOCK file's content: tells a reused inode from the same file
    std::uint64_t pid_namespace;          // inode; rewritten by adoption
    std::uint64_t time_namespace;         // inode, 0: the kernel has none; rewritten by adoption
    std::int64_t created_ns;
    std::uint32_t uid;
    std::uint32_t persistence;
    std::uint32_t checkpoint_interval_s;
    std::uint32_t keep_checkpoints;
    std::uint32_t page_options;           // 1 huge pages, 2 lock memory
    std::uint32_t adopting;               // 1 while the mutexes are being made anew; left so by a dead adopter
    FixedId name_begin;                   // the registry's name, up to 64 bytes, in two parts
    FixedId name_end;
    std::uint64_t epoch;                  // random, of this registry's creation: its files carry it, too
    std::uint64_t recovered_seq;          // where a recovery from disk ended; 0: never recovered
    std::uint32_t keep_journal;           // 1: journal files are never removed
    std::uint32_t mark_threshold_bps;
    std::uint32_t mark_interval_ms;
    std::uint32_t next_ready;             // rolled: 1 once the next day's segment has this one's name
    std::uint64_t day;                    // number of the trading day, from 1
    std::uint64_t rolled_seq;             // the event that ended the day before; 0: the first day
    std::uint64_t entities_hash;          // of what never changes after creation (core/genesis); 0: an earlier build's
    std::uint64_t directory_inode;        // of the registry's directory; as lock_device, advice for messages
    std::int64_t day_begun_ns;            // label of the roll that began the day, or of the creation
    std::int64_t day_begun_steady_ns;     // and boot time; 0: of another boot
    std::uint32_t rolled_uid;             // who ended the day before
    std::uint32_t min_day_s;              // a younger day is not ended
};
RISKREG_FIELDS(Header, 384, 8, magic, layout_version, settings, layout_hash, config_hash, state, geometry, boot_id, lock_device,
               lock_inode, lock_token, pid_namespace, time_namespace, created_ns, uid, persistence, checkpoint_interval_s,
               keep_checkpoints, page_options, adopting, name_begin, name_end, epoch, recovered_seq, keep_journal,
               mark_threshold_bps, mark_interval_ms, next_ready, day, rolled_seq, entities_hash, directory_inode, day_begun_ns,
               day_begun_steady_ns, rolled_uid, min_day_s);

/// Behind the header, in page 0: the path of the registry's directory, a zero behind it. For whoever finds the segment and asks whose it
/// is; nothing is decided by it.
inline constexpr std::size_t kDirectoryAt = 1024;
inline constexpr std::size_t kDirectoryBytes = 2048;

/// The one log: written only under the lock, one cache line.
struct alignas(64) LogWords {
    std::uint64_t committed;  // storing this is the commit point
    std::uint64_t applied;
    std::uint64_t last_time_ns;  // label of the last event
    std::uint64_t last_steady_ns;  // and its boot time
    std::uint64_t next_order;
    std::uint64_t next_execution;
    std::uint64_t next_quarantine;
    std::uint64_t next_generation;
};
RISKREG_FIELDS(LogWords, 64, 64, committed, applied, last_time_ns, last_steady_ns, next_order, next_execution, next_quarantine,
               next_generation);

/// How far the roll of this day is. From `prepared` on the next day's segment may be mapped. `draining`: what increases risk waits for
/// the next day. `held`: everybody lets the roller go first, for a few milliseconds each.
enum class RollPhase : std::uint64_t { none = 0, prepared = 1, draining = 2, held = 3 };

/// Written under the lock only. The first line is what every call may look at.
struct alignas(64) StatusWords {
    std::uint64_t state_epoch;  // sequence of the last change of a trading state
    std::uint64_t repairs;  // owners found dead and repaired
    std::uint64_t redone;  // events that a repair applied
    std::uint64_t owner_session;  // slot + 1 of whoever holds the lock, 0 otherwise
    std::uint64_t consumer;  // `durable` as writers last saw it: what the ring may overwrite
    std::uint64_t next_budget_ring;  // rings taken so far; absolute, from the event
    std::uint64_t recovered_steady_ns;  // of the last recovery from disk: windows before it count as used up
    std::uint64_t book_overflow;  // 1: some live order is in no book, so self-match refuses what it cannot judge
    std::uint64_t recovered_ns;  // label of the last recovery from disk; 0: never on this trading day
    std::uint64_t recovered_seq;  // its event: steady times of earlier ones compare with nothing
    std::uint64_t quarantined_events;  // absolute, from the event
    std::uint64_t clocks_ahead;  // events whose caller's wall clock ran ahead; counted for the alarm
    std::int64_t label_lead_ns;  // greatest lead of a label over boot time since creation, recovery, clock_set
    std::uint64_t brake;  // `committed` from which on a caller looks closer: a tight log, or a roll; 0: look at once
    std::uint64_t roll_phase;  // RollPhase; a roller that died leaves it, whoever finds byte 2 of LOCK free takes it back
    std::uint64_t roll_base;  // sequence at which the last roll began to number the next day's slots; 0: none has
};
RISKREG_FIELDS(StatusWords, 128, 64, state_epoch, repairs, redone, owner_session, consumer, next_budget_ring,
               recovered_steady_ns, book_overflow, recovered_ns, recovered_seq, quarantined_events, clocks_ahead, label_lead_ns,
               brake, roll_phase, roll_base);

/// How far each view of the log is; one writer, the host of the snapshotter (exception to INV-1).
struct alignas(64) Watermarks {
    std::uint64_t journaled;  // written to a journal file
    std::uint64_t durable;  // and synced
    std::uint64_t checkpointed;  // sequence of the newest checkpoint that was verified and synced
    std::uint64_t heartbeat_ns;  // monotonic clock of the journaller's last round
    std::uint64_t checkpoint_ns;  // when the newest checkpoint was written, since the Unix epoch
    std::uint64_t verified;  // records that the online verifier compared and found equal
    std::uint64_t verifier_cycles;
    std::uint64_t differences;  // records that it found different: each is an alarm
    std::uint64_t
        checkpoint_steady_ns;  // boot time of the newest checkpoint, before it of the segment: the next one is due an interval later
    std::uint64_t reserved_words[7];
};
RISKREG_FIELDS(Watermarks, 128, 64, journaled, durable, checkpointed, heartbeat_ns, checkpoint_ns, verified, verifier_cycles,
               differences, checkpoint_steady_ns, reserved_words);

/// Futex words between waiters and the journaller. Advice only: every wait is in slices and looks again.
struct alignas(64) Wakes {
    std::uint32_t durable_tick;  // moves with `durable`
    std::uint32_t waiters;  // processes that wait for it; a killed one leaves its count behind
    std::uint32_t work_tick;  // moves when somebody wants the journaller to look now
    std::uint32_t asleep;  // 1 while the journaller sleeps on work_tick
    std::uint64_t checkpoint_wanted;  // requests for a checkpoint now, counted
    std::uint64_t checkpoint_done;  // requests that were answered; checkpoint_failed says how
    std::uint64_t checkpoint_failed;  // the last one that failed
    std::uint64_t reserved_words[3];
};
RISKREG_FIELDS(Wakes, 64, 64, durable_tick, waiters, work_tick, asleep, checkpoint_wanted, checkpoint_done, checkpoint_failed,
               reserved_words);

enum class HostState : std::uint64_t { none = 0, starting = 1, running = 2, degraded = 3, left = 4 };

/// What the disk did to the snapshotter, or what its host lacks. On disk nowhere, in status and alarms.
enum class Fault : std::uint64_t {
    none = 0,
    journal_create = 1,
    journal_write = 2,
    journal_sync = 3,
    checkpoint = 4,
    directory = 5,
    overrun = 6,
    damaged = 7,
    key = 8,
    no_threads = 9,
    no_memory = 10
};
/// Each with its name, and with what an alarm says of it.
struct FaultText {
    Fault fault;
    std::string_view name;
    std::string_view says;
};
inline constexpr std::array<FaultText, 10> kFaults = {{
    {Fault::journal_create, "journal_create", "a journal file cannot be made"},
    {Fault::journal_write, "journal_write", "the journal cannot be written"},
    {Fault::journal_sync, "journal_sync", "the journal cannot be synced"},
    {Fault::checkpoint, "checkpoint", "a checkpoint cannot be written"},
    {Fault::directory, "directory", "the state directory cannot be used"},
    {Fault::overrun, "overrun", "the ring overran the journal"},
    {Fault::damaged, "damaged", "the journal is damaged"},
    {Fault::key, "key", "the key cannot be had, and what is not signed is not written"},
    {Fault::no_threads, "no_threads", "no thread can be made"},
    {Fault::no_memory, "no_memory", "there is no memory"},
}};

/// The host of the snapshotter and its health; one writer, the host. Only the last line is of others, too: who ranks higher
/// says there that it waits for the place, and the host leaves it in order while it sees that one alive and awake.
struct alignas(64) HostWords {
    std::uint64_t state;  // HostState
    std::uint64_t epoch;  // grows by one with every host
    std::uint64_t pid;
    std::uint64_t pid_start;
    std::uint64_t clean;  // 1: the last host left with everything synced; its file may be continued
    std::uint64_t fault;  // Fault; none: healthy
    std::uint64_t fault_errno;
    std::uint64_t fault_since_ns;  // since the Unix epoch
    std::uint64_t retries;  // of the present fault
    std::uint64_t gaps;  // times that the ring overran the journal
    std::uint64_t gap_end;  // newest sequence that is in no journal; `durable` waits for two checkpoints above
    std::uint64_t alarms;  // lines in the alarm log
    std::uint64_t checkpoints;  // written
    std::uint64_t journal_file;  // number of the file that is written
    std::uint64_t journal_bytes;  // written to journal files by this host
    std::uint64_t checkpoint_fault_errno;  // of the last checkpoint, 0: it was written
    std::uint64_t rank;  // of the last host: riskreg::HostRank
    std::uint64_t waiter;  // who waits for the place of a lower one: pid * 256 + rank. 0: nobody; a killed one leaves it
    std::uint64_t waiter_start;  // with the pid it names the process for ever
    std::uint64_t waiter_beat;  // moved by the waiter every few milliseconds: one that is stopped or dead does not
    std::uint64_t marks_until_ns;  // steady time up to which the host has looked after marks; 0: none has
    std::uint64_t reserved_words[3];
};
RISKREG_FIELDS(HostWords, 192, 64, state, epoch, pid, pid_start, clean, fault, fault_errno, fault_since_ns, retries, gaps,
               gap_end, alarms, checkpoints, journal_file, journal_bytes, checkpoint_fault_errno, rank, waiter, waiter_start,
               waiter_beat, marks_until_ns, reserved_words);

struct Control {
    LogWords log;
    StatusWords status;
    Watermarks marks;
    Wakes wakes;
    HostWords host;
};
RISKREG_FIELDS(Control, 576, 64, log, status, marks, wakes, host);

/// Hash over every field, offset and size: what makes two builds compatible.
[[nodiscard]] std::uint64_t layout_hash();

}  // namespace riskreg::layout
