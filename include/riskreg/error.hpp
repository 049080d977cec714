/// The one exception type of riskreg. Thrown by opening, creating and tools; never by a trading call.
#pragma once

#include <stdexcept>
#include <string>

namespace riskreg {

/// What kind of failure; each maps to one exit code of the tools.
enum class Errc {
    bad_input,      ///< configuration, name or argument is wrong: exit 2
    missing,        ///< no such registry: exit 3
    foreign,        ///< another user's, another namespace's, another version's: exit 3
    permission,     ///< the operating system refused: exit 3
    busy,           ///< attached processes, a slot that is taken, a deadline passed: exit 1 or 3
    no_space,       ///< /dev/shm or the disk is too small: exit 3
    damaged,        ///< poisoned, or bytes that fail their checks: exit 4
    not_supported,  ///< a switch that this release does not build yet: exit 2
    system,         ///< an unexpected answer of the operating system: exit 3
};

/// `what()` says what was seen, what is allowed, and what to do.
class Error : public std::runtime_error {
public:
    Error(Errc code, const std::string& message) : std::runtime_error(message), code_(code) {}
    [[nodiscard]] Errc code() const noexcept { return code_; }

private:
    Errc code_;
};

}  // namespace riskreg
