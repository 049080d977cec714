#include "report.hpp"

#include <cstdio>

namespace riskreg::bench {

namespace {

std::string show(double value) {
    char text[64];
    const char* format = value >= 10'000 ? "%.0f" : value >= 10 ? "%.1f" : "%.3f";
    std::snprintf(text, sizeof text, format, value);
    return text;
}

/// For people: three digits and a unit.
std::string show_ns(double ns) {
    char text[64];
    if (ns < 10'000) std::snprintf(text, sizeof text, "%.0f ns", ns);
    else if (ns < 10'000'000) std::snprintf(text, sizeof text, "%.1f us", ns / 1e3);
    else std::snprintf(text, sizeof text, "%.1f ms", ns / 1e6);
    return text;
}

}  // namespace

Summary summarise(const Histogram& histogram, const Clock& clock) {
    const auto ns = [&](double ticks) { return std::max(0.0, clock.ns(ticks - clock.cost_ticks)); };
    const auto n = static_cast<double>(std::max<std::uint64_t>(1, histogram.n()));
    return {ns(histogram.quantile(0.5)),    ns(histogram.quantile(0.9)),
            ns(histogram.quantile(0.99)),   ns(histogram.quantile(0.999)),
            ns(histogram.quantile(0.9999)), ns(static_cast<double>(histogram.max())),
            ns(histogram.sum() / n),        histogram.n()};
}

Measured& Measured::number(std::string field, double value) {
    fields.emplace_back(std::move(field), show(value));
    return *this;
}

Measured& Measured::text(std::string field, std::string_view value) {
    fields.emplace_back(std::move(field), '"' + std::string(value) + '"');
    return *this;
}

Measured& Measured::ratio(std::string_view to, const Summary& mine, const Summary& base) {
    if (base.p50 < 1) return *this;
    text("ratio_to", to);
    number("ratio", mine.p50 / base.p50);
    return number("ratio_base_ns", base.p50);
}

void Report::print(const Measured& result, const Clock& clock) {
    const Summary s = summarise(*result.histogram, clock);
    const double ops_per_s = result.ops_per_s > 0 ? result.ops_per_s : s.mean > 0 ? 1e9 / s.mean : 0;
    json_ ? print_json(result, s, ops_per_s) : print_row(result, s, ops_per_s);
    std::fflush(stdout);
    if (distributions_.is_wanted()) print_distribution(result, clock);
}

void Report::print_json(const Measured& result, const Summary& s, double ops_per_s) const {
    std::string line = "{\"name\":\"" + result.name + '"';
    const auto member = [&](const std::string& name, const std::string& value) { line += ",\"" + name + "\":" + value; };
    member("p50_ns", show(s.p50));
    member("p99_ns", show(s.p99));
    member("p999_ns", show(s.p999));
    member("max_ns", show(s.max));
    member("ops_per_s", show(ops_per_s));
    member("n", std::to_string(s.n));
    member("processes", std::to_string(result.processes));
    member("p90_ns", show(s.p90));
    member("p9999_ns", show(s.p9999));
    for (const auto& [name, value] : result.fields) member(name, value);
    std::printf("%s}\n", line.c_str());
}

void Report::print_row(const Measured& result, const Summary& s, double ops_per_s) {
    if (!begun_)
        std::printf("%-28s %10s %10s %10s %10s %10s %10s %12s %9s %3s\n", "name", "p50", "p90", "p99", "p99.9", "p99.99", "max",
                    "per second", "n", "of");
    begun_ = true;
    std::printf("%-28s", result.name.c_str());
    for (const double value : {s.p50, s.p90, s.p99, s.p999, s.p9999, s.max}) std::printf(" %10s", show_ns(value).c_str());
    std::printf(" %12s %9llu %3u\n", show(ops_per_s).c_str(), static_cast<unsigned long long>(s.n), result.processes);
    if (result.fields.empty()) return;
    std::printf("%28s", "");
    for (const auto& [name, value] : result.fields) std::printf("  %s %s", name.c_str(), value.c_str());
    std::printf("\n");
}

/// 20 quantiles for each tenth of what lies above, as far as there are samples to tell them.
void Report::print_distribution(const Measured& result, const Clock& clock) {
    const Histogram& histogram = *result.histogram;
    std::string line = formatted("{\"name\":\"%s\",\"processes\":%u,\"quantiles\":[", result.name.c_str(), result.processes);
    for (int k = 0; k <= 100; ++k) {
        const double above = std::pow(10.0, -k / 20.0);
        if (k > 0 && above * static_cast<double>(histogram.n()) < 1) break;
        const double ns = std::max(0.0, clock.ns(histogram.quantile(1 - above) - clock.cost_ticks));
        line += formatted("%s[%.6f,%s]", k == 0 ? "" : ",", 1 - above, show(ns).c_str());
    }
    distributions_.append(line + "]}\n");
}

}  // namespace riskreg::bench
