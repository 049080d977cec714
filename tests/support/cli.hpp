/// Runs riskctl as a script would: arguments, input, exit code, output, all through the shell.
#pragma once

#include <string>
#include <vector>

#include "persist/strict_json.hpp"

namespace riskreg::testing {

struct CliResult {
    int code = -1;
    std::string out;
    std::string err;
    /// The lines of `out`, parsed as JSON objects.
    [[nodiscard]] std::vector<persist::JsonValue> lines() const;
};

/// A fresh state directory, removed with every registry in it at the end.
class Cli {
public:
    Cli();
    ~Cli();
    Cli(const Cli&) = delete;
    Cli& operator=(const Cli&) = delete;

    /// `riskctl ARGUMENTS`, with `input` on stdin.
    [[nodiscard]] CliResult run(const std::string& arguments, const std::string& input = {}) const;
    /// Creates registry `name` from the text of a configuration; REQUIREs success.
    void create(const std::string& name, const std::string& config) const;
    /// Writes a file in the directory and returns its path.
    [[nodiscard]] std::string file(const std::string& name, const std::string& content) const;
    /// The same for a key, which nobody else may read.
    [[nodiscard]] std::string key(const std::string& name, const std::string& content) const;
    [[nodiscard]] const std::string& directory() const noexcept { return directory_; }

private:
    std::string directory_;
};

/// Member of a JSON object as text; "" when it is not there.
[[nodiscard]] std::string text_of(const persist::JsonValue& object, const std::string& key);

/// A configuration of one instrument ESH4, one account A1 and strategies s1 … s8; `limits` is the array's content,
/// `more` further top-level members (with a leading comma).
[[nodiscard]] std::string es_config(const std::string& limits = {}, const std::string& more = {});

}  // namespace riskreg::testing
