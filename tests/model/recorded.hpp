/// What one process asked and was answered, kept in a file for whoever checks it afterwards.
#pragma once

#include <string>
#include <vector>

#include "model/command.hpp"

namespace riskreg::test {

struct Recorded {
    Command command;
    std::vector<Verdict> answers;                ///< one; of a batch one for each member
    std::uint64_t before = 0, after = 0;         ///< events committed when the call began, and when it had returned
    std::int64_t before_ns = 0, after_ns = 0;    ///< the same two moments by the wall clock
    std::int64_t before_steady_ns = 0, after_steady_ns = 0;    ///< and by the clock that windows are measured with
};

/// Throw std::runtime_error when the file does not do.
void write_records(const std::string& path, const std::vector<Recorded>& records);
[[nodiscard]] std::vector<Recorded> read_records(const std::string& path);

}  // namespace riskreg::test
