/// What every program of ours does first and last.
///
/// First: 0, 1 and 2 lead somewhere (base/descriptor_posix.hpp); a reader that went away and a file at its size limit are errors of
/// writing, not deaths in the middle of what the program does.
/// Last: what was printed must have arrived. Otherwise the reason is said in one line on stderr, and an exit code of 0 or 1, which
/// speaks about the output, becomes 3. What the program has done holds all the same.
#pragma once

#include <functional>

namespace riskreg::program {

inline constexpr int kOutputLost = 3;

/// For main(). `name` stands before what is said on stderr.
[[nodiscard]] int run(const char* name, const std::function<int()>& body);

/// The last part alone, for a forked child that prints results and leaves by _exit.
[[nodiscard]] int finish(const char* name, int code) noexcept;

}  // namespace riskreg::program
