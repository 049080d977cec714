/// What every program of ours does first and last.
///
/// First: 0, 1 and 2 lead somewhere (base/descriptor.hpp); a reader that went away and a file at its size limit are errors of
/// writing, not deaths in the middle of what the program does.
/// Last: what was printed must have arrived. Otherwise the reason is said in one line on stderr, and an exit code of 0 or 1, which
/// speaks about the output, becomes 3. What the program has done holds all the same.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "riskreg/registry.hpp"

namespace riskreg::program {

inline constexpr int kOutputLost = 3;

/// The arguments in UTF-8, on systems that keep them otherwise, too; `count` is how many there are then. For main(), once.
[[nodiscard]] char** arguments(int& count, char** given);

/// For main(). `name` stands before what is said on stderr.
[[nodiscard]] int run(const char* name, const std::function<int()>& body);

/// The last part alone, for a forked child that prints results and leaves by _exit.
[[nodiscard]] int finish(const char* name, int code) noexcept;

/// From now on SIGTERM and SIGINT ask the program to end, and from the first of them on it has 5 s, whatever hangs: then it says so and
/// is gone with 3.
void end_on_signals(const char* name);
[[nodiscard]] bool end_wanted() noexcept;
/// The same, for ProcessConfig::ending.
[[nodiscard]] const std::atomic<bool>& ending() noexcept;
/// As the first of these signals does, for those who are told to end in another way: the service manager of Windows.
void ask_to_end() noexcept;
/// From now on SIGHUP ends nothing: `hung_up` says once for each that it came. Windows has none.
void watch_hangups();
[[nodiscard]] bool hung_up() noexcept;

/// One line on stderr, unless nobody takes it there: then the program does not wait for that.
void say(const std::string& line) noexcept;

/// Ends a registration within what is left of the 5 s. What is not on disk then is said, and an exit code of 0 becomes 3: it was done, and
/// holds as long as memory does.
class Leaving {
public:
    Leaving(const char* program, Registry& registry, std::string name)
        : program_(program), registry_(registry), name_(std::move(name)) {}
    ~Leaving();
    Leaving(const Leaving&) = delete;
    Leaving& operator=(const Leaving&) = delete;

private:
    const char* program_;
    Registry& registry_;
    const std::string name_;
};

}  // namespace riskreg::program
