/// The processes of a replay: each plays one share of the rows and counts in memory that all of them see.
#pragma once

#include <cstdint>
#include <functional>

#include "common/shared_memory.hpp"

namespace riskctl {

class ShareProcesses {
public:
    /// Starts up to `count`. Each plays `play(index)` and ends with what that returns. Where processes do not fork, it is this program
    /// with the words of its own command line and `--share INDEX,<word of the memory>` that does.
    ShareProcesses(std::uint32_t count, const riskreg::program::SharedMemory& memory,
                   const std::function<int(std::uint32_t)>& play);
    ~ShareProcesses();
    ShareProcesses(const ShareProcesses&) = delete;
    ShareProcesses& operator=(const ShareProcesses&) = delete;

    [[nodiscard]] std::uint32_t started() const noexcept { return started_; }
    [[nodiscard]] bool any_left() const noexcept { return left_ > 0; }
    /// Looks whether one has ended; its code is in `code` then. One that was killed counts as 1, and is said on stderr.
    [[nodiscard]] bool take_ended(int& code);

private:
    std::uint32_t started_ = 0;
    std::uint32_t left_ = 0;
    struct Handles;
    Handles* handles_ = nullptr;
};

}  // namespace riskctl
