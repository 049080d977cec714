/// riskctl and riskd as processes of their own, with libriskreg_interpose loaded into them where a test wants it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/interpose.hpp"

namespace riskreg::test {

/// One way in which a disk fails.
struct Fault {
    std::string name;     ///< of the errno, or "short write"
    std::string value;    ///< for interpose::kFault
    bool persistent = false;
    [[nodiscard]] std::string text() const { return name + (persistent ? " from then on" : " once"); }
};

/// What to load, and what it shall do.
struct Interposing {
    std::string directory;   ///< of the registry; empty: the library is not loaded
    std::string counters;
    std::string trace;
    std::uint64_t fail_at = 0;
    Fault fault;
    std::uint64_t sync_delay_us = 0;
    std::string only;        ///< the only call that fails; empty: any
    std::string hang{};          ///< part of the names of files that writing to never returns
    std::string no_threads{};    ///< a file: while it is there, only `free_threads` of the process can be made
    std::uint64_t free_threads = 0;
    [[nodiscard]] std::map<std::string, std::string> environment() const;
};

/// What a process with the library saw.
struct Seen {
    std::uint64_t calls = 0;
    std::uint64_t failed = 0;
    std::string first_failed;
};
[[nodiscard]] Seen seen_by(const std::string& counters);

/// One process with pipes to stdin and from stdout; stderr goes to a file. Killed and reaped by the destructor.
class Process {
public:
    Process(const std::string& program, std::vector<std::string> arguments, const std::string& error_file,
            const Interposing& interposing = {});
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    void write(const std::string& text);
    void close_input();
    /// The next line of stdout, without its end; empty optional: the end of the output, or the time is over.
    [[nodiscard]] std::optional<std::string> read_line(std::chrono::milliseconds patience);
    /// The status that wait(2) gives; empty: the time is over, it hangs.
    [[nodiscard]] std::optional<int> wait(std::chrono::milliseconds patience);
    [[nodiscard]] bool is_running();
    void send(int signal) const;
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

private:
    pid_t pid_ = -1;
    int input_ = -1;
    int output_ = -1;
    std::string buffer_;
    std::optional<int> status_;
};

[[nodiscard]] std::string slurp(const std::string& path);

/// A fresh directory in memory where there is room (a sync then costs nothing), removed at the end.
class FastDir {
public:
    FastDir();
    ~FastDir();
    FastDir(const FastDir&) = delete;
    FastDir& operator=(const FastDir&) = delete;
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

/// A configuration of persistence mode async with small tables: orders, ring events, seconds between checkpoints.
[[nodiscard]] std::string journaled_config(int orders, int ring_events, int checkpoint_interval_s, int keep_checkpoints);

}  // namespace riskreg::test
