/// A child process that never outlives its parent.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace riskreg::bench::peers {

class ChildProcess {
public:
    ChildProcess() = default;
    /// Runs `body` in a fork; an exception of it is told on standard error and ends the child with status 1.
    explicit ChildProcess(const std::function<void()>& body);
    /// Runs another program; `arguments[0]` is its path.
    explicit ChildProcess(const std::vector<std::string>& arguments);
    ChildProcess(ChildProcess&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
    ChildProcess& operator=(ChildProcess&& other) noexcept {
        std::swap(pid_, other.pid_);
        return *this;
    }
    ~ChildProcess() { kill(); }
    void kill() noexcept;
    /// True when it ended by itself with status 0.
    [[nodiscard]] bool wait() noexcept;
    /// Not ended yet.
    [[nodiscard]] bool is_running() noexcept;

private:
    int pid_ = -1;
};

}  // namespace riskreg::bench::peers
