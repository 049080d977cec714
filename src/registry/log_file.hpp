/// The file of the alarm log: appended to a line at a time, kept small by rotation. riskreg.log is the newest, riskreg.1.log the one before.
///
/// The file is the one that has the name: where it was renamed, removed or replaced, a new one is opened; one that was cut to nothing
/// goes on at its beginning.
/// Errors     nothing throws; a line that cannot be written is lost, and the next one tries again from the start.
/// Threads    one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/descriptor.hpp"

namespace riskreg::registry {

class LogFile {
public:
    /// `stem` without ".log"; `most_bytes` of each file, `older` files beside the newest.
    LogFile(std::string stem, std::uint64_t most_bytes, unsigned older)
        : stem_(std::move(stem)), most_bytes_(most_bytes), older_(older) {}
    /// False: it could not be written in full.
    bool append(std::string_view line) noexcept;
    /// The next line opens it anew.
    void close() noexcept { file_.close(); }

private:
    /// Open, and the file that has the name now: somebody may have moved it away.
    [[nodiscard]] bool be_open();
    void rotate();
    [[nodiscard]] std::string path(unsigned age) const;

    std::string stem_;
    std::uint64_t most_bytes_;
    unsigned older_;
    base::Descriptor file_;
    std::uint64_t size_ = 0;
    bool torn_ = false;  // the last line has no end
};

/// False when stderr does not take it at once.
bool write_to_stderr(std::string_view line) noexcept;

}  // namespace riskreg::registry
