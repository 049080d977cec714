/// Lines of a file or of stdin, with a bounded length and an end by signal.
#pragma once

#include <cstddef>
#include <string>

#include "riskctl/input.hpp"

namespace riskctl {

class LineReader {
public:
    enum class Next : unsigned char { line, too_long, end };

    /// Opens `path`; "" and "-" are stdin. Throws riskreg::Error{bad_input}.
    explicit LineReader(const std::string& path) : input_(path) {}
    LineReader(const LineReader&) = delete;
    LineReader& operator=(const LineReader&) = delete;

    /// The next line without its end. `too_long`: more than kMaxBytes; the whole line is skipped.
    /// `end` also when SIGINT or SIGTERM asked to stop: the session then detaches cleanly.
    [[nodiscard]] Next next(std::string& line);

    static constexpr std::size_t kMaxBytes = 1U << 20;

private:
    [[nodiscard]] bool fill();
    [[nodiscard]] bool skip_mark();
    Input input_;
    std::string buffer_;
    std::size_t at_ = 0;
    bool begun_ = false;
};

}  // namespace riskctl
