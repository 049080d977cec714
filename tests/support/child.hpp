/// Forked children that die on purpose, and the means to watch them: for tests of what a death leaves behind.
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <new>
#include <stdexcept>

#include "support/sanitized.hpp"

namespace riskreg::test {

/// Nothing that a test waits for takes this long, unless it hangs: a minute, or RISKREG_PATIENCE seconds.
[[nodiscard]] std::chrono::seconds patience();

/// One value that a child and its parent share.
template <class T>
class Shared {
public:
    Shared() {
        void* memory = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        value_ = new (memory) T{};
    }
    ~Shared() { ::munmap(static_cast<void*>(value_), sizeof(T)); }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    T* operator->() const noexcept { return value_; }
    T& operator*() const noexcept { return *value_; }

private:
    T* value_;
};

/// How a child ended, or that it stopped.
struct Ending {
    int status = 0;
    [[nodiscard]] bool was_killed() const noexcept;
    [[nodiscard]] bool left_with(int code) const noexcept;
    [[nodiscard]] bool stopped_by(int signal) const noexcept;
};

/// A forked child that runs `body` and leaves with 0, or with 99 when it threw. It never returns into the test, dies
/// with the test's process, and is killed and reaped by the destructor.
class Child {
public:
    explicit Child(const std::function<void()>& body);
    ~Child();
    Child(Child&& other) noexcept;
    Child& operator=(Child&&) = delete;

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    void send(int signal) const noexcept { ::kill(pid_, signal); }
    /// Waits for the end of the child. Throws when patience() is over: then the child hangs.
    Ending wait();
    /// Waits until the child has stopped itself, or has ended.
    Ending wait_for_stop();
    void kill_and_reap();

private:
    pid_t pid_ = -1;
};

/// SIGKILL to ourselves: the end of a child that must leave nothing tidy behind.
[[noreturn]] void die();

/// Waits until `condition` holds. Throws when patience() is over.
void wait_until(const std::function<bool()>& condition);

/// True while the thread sleeps in the kernel (state S of /proc/<pid>/stat).
[[nodiscard]] bool is_asleep(pid_t pid);

/// A child under ptrace. `body` calls `hand_over` once: from there to the next `hand_over` it is watched.
class TracedChild {
public:
    explicit TracedChild(const std::function<void()>& body);
    /// One instruction of ours further; false at the second `hand_over` or at the end.
    [[nodiscard]] bool step();
    /// To the next entry or exit of a system call; false at the second `hand_over` or at the end.
    [[nodiscard]] bool step_to_system_call();
    [[nodiscard]] Child& process() noexcept { return child_; }
    static void hand_over();

private:
    [[nodiscard]] bool advance(int request);
    Child child_;
};

/// False where the kernel or a container forbids ptrace.
[[nodiscard]] bool may_trace();

}  // namespace riskreg::test
