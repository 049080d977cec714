/// Bytes of a file or of stdin, and an end when the program is asked to end.
#pragma once

#include <cstddef>
#include <string>

#include "base/descriptor.hpp"

namespace riskctl {

class Input {
public:
    /// Opens `path`; "" and "-" are stdin. Throws riskreg::Error{bad_input}.
    explicit Input(const std::string& path);
    Input(const Input&) = delete;
    Input& operator=(const Input&) = delete;

    /// Waits for some, and says how many there are; 0: there are no more, or the program is to end. A wish to end that comes while it
    /// waits is not lost. Throws riskreg::Error{bad_input}.
    [[nodiscard]] std::size_t read(char* bytes, std::size_t most);

private:
    riskreg::base::Descriptor file_;  // closed: stdin
    int descriptor_;
};

}  // namespace riskctl
