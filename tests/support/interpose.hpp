/// What the interposed library (interpose.cpp) and the tests that load it agree on: variables, counters, trace records.
#pragma once

#include <atomic>
#include <cstdint>

namespace riskreg::interpose {

// The registry's directory; calls on it and on what lies in it are seen.
inline constexpr const char* kDirectory = "RISKREG_IO_DIR";
// A file of sizeof(Counters) bytes that says what was seen.
inline constexpr const char* kCounters = "RISKREG_IO_COUNTERS";
// The call that fails, from 1. Absent or 0: none.
inline constexpr const char* kFailAt = "RISKREG_IO_FAIL_AT";
// "1": every call from that one on.
inline constexpr const char* kPersistent = "RISKREG_IO_PERSISTENT";
// A number of errno, or "short": half the bytes are written, or "lie": none are, and all is said to be well.
inline constexpr const char* kFault = "RISKREG_IO_FAULT";
// The name of a call, as in Counters::first_failed: no other one is counted or fails.
inline constexpr const char* kOnly = "RISKREG_IO_ONLY";
// Where the trace goes. Several processes may share one; whoever holds its flock stops them at the next call.
inline constexpr const char* kTrace = "RISKREG_IO_TRACE";

// Microseconds that a sync takes longer: a disk so slow that writes gather in front of it.
inline constexpr const char* kSyncDelay = "RISKREG_IO_SYNC_DELAY_US";

// Part of a name: writing to a file of the directory that has it, or syncing it, never returns.
inline constexpr const char* kHang = "RISKREG_IO_HANG";
// A file: while it is there, no thread can be made but the first kFreeThreads of the process.
inline constexpr const char* kNoThreads = "RISKREG_NO_THREADS";
inline constexpr const char* kFreeThreads = "RISKREG_FREE_THREADS";

struct Counters {
    std::atomic<std::uint64_t> seen;      // that the fault could hit
    std::atomic<std::uint64_t> failed;
    char first_failed[240];               // "pwrite journal-…"
};

enum class Record : std::uint32_t {
    create = 1,      // name; inode
    write = 2,       // inode, offset, bytes
    sync_begin = 3,  // inode, token
    sync_end = 4,    // inode, token; size: 1 when it succeeded
    directory_sync_begin = 5,
    directory_sync_end = 6,
    rename = 7,      // from, NUL, to; inode
    unlink = 8,      // name; inode
    answer = 9,      // bytes on stdout, before they are written
    make_directory = 10,
    parent_sync_end = 11,   // of the directory that holds the registry's
};

/// Followed by `size` bytes, but for the ends of syncs.
struct RecordHead {
    Record kind{};
    std::uint32_t reserved = 0;
    std::uint64_t inode = 0;
    std::uint64_t at = 0;      // offset, or token
    std::uint64_t size = 0;
};

}  // namespace riskreg::interpose
