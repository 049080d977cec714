/// A file of results, written whole lines at a time. What does not arrive throws std::runtime_error.
#pragma once

#include <string>
#include <string_view>

#include "base/descriptor.hpp"

namespace riskreg::bench {

class LinesFile {
public:
    /// "" is no file: nothing is written.
    explicit LinesFile(const std::string& path);
    [[nodiscard]] bool is_wanted() const noexcept { return file_.is_open(); }
    void append(std::string_view text);

private:
    const std::string path_;
    base::Descriptor file_;
};

/// As sprintf, as long as it gets.
[[nodiscard, gnu::format(printf, 1, 2)]] std::string formatted(const char* format, ...);

}  // namespace riskreg::bench
