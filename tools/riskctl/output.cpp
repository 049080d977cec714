#include "riskctl/output.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/descriptor.hpp"
#include "segment/process.hpp"

namespace riskctl {

using namespace riskreg;
using persist::format_amount;

bool print_line(const std::string& line) {
    const std::string text = line + "\n";
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
}

std::string describe(const Reader& reader, const Verdict& v) {
    std::string text(name_of(v.reason));
    if (v.has_numbers)
        text += ": observed " + format_amount(v.unit, v.observed) + ", limit " + format_amount(v.unit, v.limit) + " (" +
                std::string(name_of(v.unit)) + ")";
    if (v.scope.kind != ScopeKind::none) text += " on " + reader.name(v.scope);
    return text;
}

std::string shell_word(const std::string& word) {
    const bool plain = !word.empty() && word.find_first_not_of(
                                            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                                            "._-/:=,@%+") == std::string::npos;
    if (plain) return word;
    std::string text = "'";
    for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return text + "'";
}

std::string line_to_paste(const Common& common, const std::string& program, const std::string& verb, const std::string& rest) {
    std::string text = program;
    if (!verb.empty()) text += " " + verb;
    if (!common.name.empty()) text += " " + common.name;
    if (!rest.empty()) text += " " + rest;
    if (!common.state_dir.empty()) text += " --state-dir " + shell_word(common.state_dir);
    if (common.as_owner) text += " --as-owner";
    return text;
}

std::string line_to_paste(const Common& common, const std::string& verb, const std::string& rest) {
    return line_to_paste(common, "riskctl", verb, rest);
}

std::string age_of(std::int64_t time_ns) {
    const std::int64_t seconds = (segment::realtime_ns() - time_ns) / 1'000'000'000;
    if (seconds < 0) return "from the future";
    if (seconds < 120) return std::to_string(seconds) + " s ago";
    if (seconds < 7200) return std::to_string(seconds / 60) + " min ago";
    return std::to_string(seconds / 3600) + " h ago";
}

std::string effective_text(const Reader& reader, const ExposureView& row) {
    if (row.effective_state == "active") return {};
    const std::string whose = reader.name(row.effective_scope);
    std::string text = row.effective_state;
    if (whose != reader.name(row.scope)) text += ", by " + whose;
    if (!row.effective_reason.empty()) text += ": " + row.effective_reason;
    return text;
}

void print_firm_state(const Reader& reader) {
    Scope firm;
    firm.kind = ScopeKind::firm;
    const std::string text = effective_text(reader, reader.exposure(firm));
    if (!text.empty()) std::printf("the firm is %s\n", text.c_str());
}

void Table::print() const {
    std::vector<std::size_t> width(rows_.front().size(), 0);
    for (const auto& row : rows_)
        for (std::size_t i = 0; i < row.size() && i < width.size(); ++i) width[i] = std::max(width[i], row[i].size());
    const auto is_number = [](const std::string& text) {
        return !text.empty() && text.find_first_not_of("0123456789.-") == std::string::npos;
    };
    for (const auto& row : rows_) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string padding(width[i] - std::min(width[i], row[i].size()), ' ');
            line += is_number(row[i]) ? padding + row[i] : row[i] + padding;
            line += "  ";
        }
        line.erase(line.find_last_not_of(' ') + 1);
        std::printf("%s\n", line.c_str());
    }
}

std::string join(const std::vector<std::string_view>& parts, std::string_view separator) {
    std::string text;
    for (const std::string_view part : parts) text.append(text.empty() ? "" : separator).append(part);
    return text;
}

Scope require_scope(const Reader& reader, const std::string& text) {
    const Scope scope = reader.scope(text);
    if (scope.kind == ScopeKind::none)
        throw Error(Errc::bad_input, "--scope: seen '" + text +
                                         "', allowed: firm, account:A, strategy:S, instrument:I, account:A/instrument:I, "
                                         "strategy:S/instrument:I of configured ids");
    return scope;
}

std::string read_file(const std::string& path) {
    std::string text;
    if (!base::read_text(path, text, kMaxFileBytes + 1))
        throw Error(Errc::bad_input, "cannot read " + path + ": " + std::strerror(errno));
    if (text.size() > kMaxFileBytes) throw Error(Errc::bad_input, path + ": seen more than 64 MiB, allowed: a smaller file");
    return text;
}

}  // namespace riskctl
