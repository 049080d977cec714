/// Starting, stopping and killing the processes of the demonstration. Every wait has a deadline.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace demo {

/// True once SIGINT, SIGTERM or SIGHUP came. Installed by `watch_for_interruption`.
[[nodiscard]] bool interrupted() noexcept;
void watch_for_interruption();

/// In a child: becomes riskd of this registry, from the folder of this program. Returns only when that fails.
int become_riskd(const std::string& name, const std::string& state_dir);

/// What a reboot does to shared memory. True when the segment was there.
bool remove_segment(const std::string& segment);

/// Kills and reaps whatever still runs when it goes.
class Children {
public:
    Children() = default;
    ~Children() { kill_all(); }
    Children(const Children&) = delete;
    Children& operator=(const Children&) = delete;

    /// Forks. The child runs `body`, from which no exception may come, and exits; it dies with its parent.
    pid_t start(std::string what, const std::function<int()>& body);

    /// SIGSTOP; false when the child did not stop in time.
    [[nodiscard]] bool stop(pid_t child);
    void go_on(pid_t child) const;
    /// SIGKILL, and waits until the kernel has taken the child away.
    void kill(pid_t child);
    /// SIGKILL to all of them before waiting for the first.
    void kill_all();
    void kill_all_but(pid_t survivor);

    /// What a child that ended by itself was, and how it ended; empty while all of them run.
    [[nodiscard]] std::string deserter();

private:
    struct Child {
        pid_t pid;
        std::string what;
    };
    void reap(pid_t child);

    std::vector<Child> children_;
};

}  // namespace demo
