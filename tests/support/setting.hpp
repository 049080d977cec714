/// What whoever runs a test asks for by environment variables.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

/// What came of one seed of a test of random steps.
struct Outcome {
    std::uint32_t steps = 0;
    std::string failure;  ///< empty: nothing was wrong
};
inline constexpr std::uint64_t kMostFailures = 3;  ///< seeds that are told of before giving up

/// Seed after seed, from RISKREG_SEED or 1 on, until RISKREG_STEPS or as many steps as are usual were made. What went wrong.
template <class Run>
[[nodiscard]] std::vector<std::string> failures_of_seeds(std::uint64_t usual_steps, Run run_seed) {
    const std::uint64_t wanted = setting("RISKREG_STEPS", usual_steps);
    std::vector<std::string> failures;
    std::uint64_t done = 0;
    for (std::uint64_t seed = setting("RISKREG_SEED", 1); done < wanted && failures.size() < kMostFailures; ++seed) {
        Outcome outcome = run_seed(seed);
        done += outcome.steps;
        if (!outcome.failure.empty()) failures.push_back(std::move(outcome.failure));
    }
    return failures;
}

}  // namespace riskreg::test
