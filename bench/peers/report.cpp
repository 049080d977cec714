#include "report.hpp"

#include <cmath>
#include <cstdio>

namespace riskreg::bench::peers {

namespace {

constexpr const char* kReference = "peer_riskreg";

/// One writer is judged by the time of a call, several by what they get done.
double figure_of(Result& result) { return result.writers == 1 ? result.samples.at(0.5) : result.ops_per_s; }

}  // namespace

void Report::heading(bool synced, std::size_t live, int writers) {
    if (json_) return;
    if (writers == 1) std::printf("\n%s mode, %zu live orders, one writer\n", mode_name(synced), live);
    else std::printf("\n%s mode, %zu live orders at the start, %d writers at once\n", mode_name(synced), live, writers);
    std::printf("%-15s %10s %10s %10s %10s %11s us %11s/s  %s %8s\n", "", "p50", "p90", "p99", "p99.9", "max",
                writers == 1 ? "calls" : "orders", writers == 1 ? "p50 x riskreg" : "/s x riskreg ", "n");
}

void Report::add(Result& result) {
    const std::string group =
        std::string(mode_name(result.synced)) + " " + std::to_string(result.live) + " " + std::to_string(result.writers);
    if (std::string_view(result.type->name) == kReference) reference_[group] = figure_of(result);
    const auto reference = reference_.find(group);
    const double ratio = reference == reference_.end() || reference->second <= 0 ? 0 : figure_of(result) / reference->second;
    json_ ? print_json(result, ratio) : print_row(result, ratio);
    if (distributions_.is_wanted()) write_distribution(result);
}

void Report::print_json(Result& result, double ratio) const {
    Samples& s = result.samples;
    std::printf(
        "{\"name\":\"%s\",\"p50_ns\":%.0f,\"p99_ns\":%.0f,\"p999_ns\":%.0f,\"max_ns\":%.0f,\"ops_per_s\":%.1f,\"n\":%zu,"
        "\"processes\":%d,\"p90_ns\":%.0f,\"p9999_ns\":%.0f,\"live\":%zu,",
        result.type->name, s.at(0.5), s.at(0.99), s.at(0.999), s.at(1), result.ops_per_s, s.size(), result.writers, s.at(0.9),
        s.at(0.9999), result.live);
    if (ratio > 0) std::printf("\"ratio_to\":\"%s\",\"ratio\":%.3f,", kReference, ratio);
    if (result.writers > 1 && result.type->writers == Writers::threads) std::printf("\"writers\":\"threads\",");
    std::printf("\"mode\":\"%s\"}\n", mode_name(result.synced));
    std::fflush(stdout);
}

void Report::print_row(Result& result, double ratio) {
    Samples& s = result.samples;
    std::printf("%-15s %10.2f %10.2f %10.2f %10.2f %11.2f    %11.0f    ", result.type->name, s.at(0.5) / 1e3, s.at(0.9) / 1e3,
                s.at(0.99) / 1e3, s.at(0.999) / 1e3, s.at(1) / 1e3, result.ops_per_s);
    if (ratio > 0) std::printf("%13.*f", ratio < 10 ? 2 : 0, ratio);
    else std::printf("%13s", "-");
    std::printf(" %8zu%s\n", s.size(),
                result.writers > 1 && result.type->writers == Writers::threads ? "   (threads of one process)" : "");
    std::fflush(stdout);
}

void Report::write_distribution(Result& result) {
    std::string line = formatted("{\"name\":\"%s\",\"processes\":%d,\"mode\":\"%s\",\"live\":%zu,\"quantiles\":[",
                                 result.type->name, result.writers, mode_name(result.synced), result.live);
    for (int step = 0; step <= 100; ++step) {
        const double q = 1 - std::pow(10, -0.05 * step);   // 0 … 0.99999
        line += formatted("%s[%.7f,%.0f]", step == 0 ? "" : ",", q, result.samples.at(q));
    }
    distributions_.append(line + "]}\n");
}

}  // namespace riskreg::bench::peers
