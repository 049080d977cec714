/// The verbs of riskctl. A verb is one entry, beside its code: its name, what `--help` says of it, and a function that adds its
/// options and says what runs. verbs.cpp lists them; main.cpp knows none by name.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "riskreg/error.hpp"

namespace CLI {
class App;
}

namespace riskctl {

enum ExitCode : int { kDone = 0, kNo = 1, kUsage = 2, kCannotAttach = 3, kDamaged = 4 };

/// What every verb knows.
struct Common {
    std::string name;
    std::string state_dir;
    bool json = false;
    bool as_owner = false;
};

/// What a verb is about: that says which words and options it has before its own.
enum class Subject : unsigned char {
    registry,  ///< NAME --state-dir --json --as-owner
    host,  ///< the same, and NAME may be left out
    file,  ///< --json alone: a file that may lie anywhere
};

/// The verb, its options filled in; returns an exit code.
using Run = std::function<int()>;

struct Verb {
    const char* name;
    const char* help;
    /// Adds the options to `verb`. They live in what is returned, and `common` lives as long.
    Run (*add)(CLI::App& verb, const Common& common);
    Subject subject = Subject::registry;
};

/// `add` of a verb without options of its own.
template <int (*run)(const Common&)>
Run no_options(CLI::App&, const Common& common) {
    return [&common] { return run(common); };
}

/// Every verb, in the order of `riskctl --help`.
[[nodiscard]] std::span<const Verb> verbs();

/// What `--scope` takes.
inline constexpr const char* kScopes =
    "firm, account:A, strategy:S, instrument:I, account:A/instrument:I, strategy:S/instrument:I";

/// Exit code of an error of the library.
[[nodiscard]] int exit_code(riskreg::Errc code) noexcept;

}  // namespace riskctl
