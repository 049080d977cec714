/// Starting, stopping and killing the processes of the demonstration. Every wait has a deadline.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace demo {

using ProcessId = std::int32_t;

/// True once SIGINT, SIGTERM or SIGHUP came. Installed by `watch_for_interruption`.
[[nodiscard]] bool interrupted() noexcept;
void watch_for_interruption();

/// Where this program lies.
[[nodiscard]] std::string program_folder();
/// A new directory for temporary files that nobody else may enter. Throws riskreg::Error{system}.
[[nodiscard]] std::string make_private_directory();

/// What a reboot does to shared memory. True when the segment was there.
bool remove_segment(const std::string& segment);

/// Kills and reaps whatever still runs when it goes.
class Children {
public:
    Children() = default;
    ~Children() { kill_all(); }
    Children(const Children&) = delete;
    Children& operator=(const Children&) = delete;

    /// The child runs `body`, from which no exception may come, and exits; it dies with its parent. Where processes do not fork, it is
    /// this program with `--child` and `words`, which must bring it to the same body.
    ProcessId start(std::string what, const std::vector<std::string>& words, const std::function<int()>& body);
    /// riskd of this registry, from the folder of this program, without what it says.
    ProcessId start_riskd(const std::string& name, const std::string& state_dir);
    /// The number of the thread in which a child runs its body.
    [[nodiscard]] std::uint32_t main_thread_of(ProcessId child) const;

    /// SIGSTOP; false when the child did not stop in time.
    [[nodiscard]] bool stop(ProcessId child);
    void go_on(ProcessId child) const;
    /// SIGKILL, and waits until the kernel has taken the child away.
    void kill(ProcessId child);
    /// SIGKILL to all of them before waiting for the first.
    void kill_all();
    void kill_all_but(ProcessId survivor);

    /// What a child that ended by itself was, and how it ended; empty while all of them run.
    [[nodiscard]] std::string deserter();

private:
    struct Child {
        ProcessId pid;
        std::string what;
        std::uint32_t thread = 0;  // Windows
        void* handle = nullptr;  // Windows
    };
    void reap(ProcessId child);

    std::vector<Child> children_;
};

}  // namespace demo
