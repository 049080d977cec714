/// Processes of one benchmark: this program again, with a role and a seat, and memory that all of them share.
///
/// A child is started by fork and exec, so it inherits nothing of a registry, and dies with its parent.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/descriptor.hpp"
#include "histogram.hpp"

namespace riskreg::bench {

inline constexpr unsigned kMostProcesses = 64;

/// What one process leaves for the others to read.
struct alignas(64) Seat {
    std::atomic<std::uint64_t> count;
    std::atomic<std::uint64_t> from, to;  ///< ticks
    std::array<std::uint64_t, 4> values;  ///< of its role
    Histogram histogram;
};

/// Lies in shared memory; zeroed memory is a fresh one.
struct Board {
    char state_dir[240];
    char registry[32];
    cpu_set_t cpus;          ///< that this run may use
    std::uint64_t calls;     ///< of each process
    std::uint64_t warm_up;   ///< calls before those
    std::uint64_t first;     ///< number of the first order
    alignas(64) std::atomic<std::uint64_t> ready;  ///< processes that are
    alignas(64) std::atomic<std::uint64_t> go;     ///< which step may be taken
    alignas(64) std::atomic<std::uint64_t> stop;
    alignas(64) std::atomic<std::uint64_t> host_ready, host_stop;
    alignas(64) std::atomic<std::uint64_t> inside, done;  ///< rounds that have come so far
    alignas(64) std::atomic<std::uint64_t> line;          ///< goes to and fro
    Seat seats[kMostProcesses];
};

class SharedBoard {
public:
    SharedBoard(const std::string& state_dir, const std::string& registry);
    ~SharedBoard();
    SharedBoard(const SharedBoard&) = delete;
    SharedBoard& operator=(const SharedBoard&) = delete;
    Board* operator->() const noexcept { return board_; }
    Board& operator*() const noexcept { return *board_; }
    [[nodiscard]] int descriptor() const noexcept { return memory_.get(); }

private:
    base::Descriptor memory_;
    Board* board_;
};

class Child {
public:
    Child(const SharedBoard& board, const char* role, unsigned seat);
    ~Child();
    Child(Child&& other) noexcept : pid_(other.pid_), role_(other.role_) { other.pid_ = -1; }
    Child& operator=(Child&&) = delete;

    /// Throws std::runtime_error when it failed.
    void wait();
    [[nodiscard]] bool is_running() const noexcept;
    void send_kill() const noexcept;
    void reap() noexcept;

private:
    pid_t pid_;
    const char* role_;
};

using Children = std::vector<Child>;
[[nodiscard]] Children start(const SharedBoard& board, const char* role, unsigned count);
void wait(Children& children);
/// Until `word` is at least `value`; throws when a child ended before, or after two minutes.
void await(const std::atomic<std::uint64_t>& word, std::uint64_t value, const Children& children);
void await(const std::atomic<std::uint64_t>& word, std::uint64_t value, const Child& child);
/// For children: spins, and yields now and then, for there may be more processes than processors.
void spin_for(const std::atomic<std::uint64_t>& word, std::uint64_t value) noexcept;

/// The processors that this run may use, as they were at its start.
[[nodiscard]] const cpu_set_t& usable_cpus();
[[nodiscard]] unsigned cpu_count(const cpu_set_t& cpus) noexcept;
/// This process onto the i-th of them, modulo their number; or onto any of them.
void pin(const cpu_set_t& cpus, unsigned i) noexcept;
void unpin(const cpu_set_t& cpus) noexcept;

struct Role {
    const char* name;
    void (*run)(Board& board, unsigned seat);
};
/// For main(): the exit code when this process is such a child, else −1.
[[nodiscard]] int run_as_child(int argc, char** argv, std::span<const Role> roles);

}  // namespace riskreg::bench
