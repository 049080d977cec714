/// How verbs print for people: tables, lines to paste, ages. Their JSON is the library's (`registry/json.hpp`).
#pragma once

#include <string>
#include <vector>

#include "persist/config_json.hpp"
#include "registry/json.hpp"
#include "riskctl/verbs.hpp"
#include "riskreg/registry.hpp"

namespace riskctl {

/// One line on stdout. False when stdout is gone.
bool print_line(const std::string& line);
/// One object on stdout: `registry::write` has the members.
template <class... What>
void print_json(const What&... what) {
    print_line(riskreg::registry::to_json(what...));
}

/// `max_long: observed 1200, limit 1000 (quantity) on account:A1/instrument:ESH4`
[[nodiscard]] std::string describe(const riskreg::Reader& reader, const riskreg::Verdict& verdict);

/// A line to paste: `riskctl VERB NAME REST`, with --state-dir and --as-owner where they were given.
[[nodiscard]] std::string line_to_paste(const Common& common, const std::string& verb, const std::string& rest = {});
/// The same of another program.
[[nodiscard]] std::string line_to_paste(const Common& common, const std::string& program, const std::string& verb,
                                        const std::string& rest);

/// "strategy:mm1", as one word of a shell.
[[nodiscard]] std::string shell_word(const std::string& word);

/// "12 s ago"
[[nodiscard]] std::string age_of(std::int64_t time_ns);

/// "halted, by firm: fat finger": what an order of this scope meets; empty while that is active.
[[nodiscard]] std::string effective_text(const riskreg::Reader& reader, const riskreg::ExposureView& row);

/// The first line of a list for people: the firm's state, while it is not active. On stdout.
void print_firm_state(const riskreg::Reader& reader);

/// Columns padded to their widest cell; numbers to the right.
class Table {
public:
    explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
    void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
    [[nodiscard]] bool empty() const noexcept { return rows_.size() < 2; }
    void print() const;

private:
    std::vector<std::vector<std::string>> rows_;
};

[[nodiscard]] std::string join(const std::vector<std::string_view>& parts, std::string_view separator);

/// The scope named on the command line; throws riskreg::Error{bad_input} saying what is allowed.
[[nodiscard]] riskreg::Scope require_scope(const riskreg::Reader& reader, const std::string& text);

inline constexpr std::size_t kMaxFileBytes = 64U << 20;

/// Whole file; throws riskreg::Error{bad_input} naming it, also when it is larger than that.
[[nodiscard]] std::string read_file(const std::string& path);

}  // namespace riskctl
