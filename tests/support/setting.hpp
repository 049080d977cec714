/// What whoever runs a test asks for by environment variables.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

namespace riskreg::test {

/// Nothing when the variable is not set, or is empty.
[[nodiscard]] inline std::optional<std::uint64_t> setting(const char* variable) {
    const char* text = std::getenv(variable);
    if (text == nullptr || *text == '\0') return std::nullopt;
    return std::strtoull(text, nullptr, 10);
}

[[nodiscard]] inline std::uint64_t setting(const char* variable, std::uint64_t otherwise) {
    return setting(variable).value_or(otherwise);
}

/// RISKREG_LONG=1: the thorough form.
[[nodiscard]] inline bool long_form() {
    const char* wish = std::getenv("RISKREG_LONG");
    return wish != nullptr && std::string_view(wish) == "1";
}

/// RISKREG_SEED=n: that one, and tell of it. Otherwise as many as are usual, from RISKREG_FIRST_SEED or 1 on: so a long run
/// can be made in pieces.
struct Seeds {
    std::uint64_t first = 1, count = 1;
    bool one = false;
};
[[nodiscard]] inline Seeds seeds_of(std::uint64_t usual) {
    const std::optional<std::uint64_t> wish = setting("RISKREG_SEED");
    return wish ? Seeds{*wish, 1, true} : Seeds{setting("RISKREG_FIRST_SEED", 1), usual, false};
}

}  // namespace riskreg::test
