/// What a benchmark found, and how it is told: a table for people, JSON lines for programs, whole distributions for plots.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "histogram.hpp"
#include "lines_file.hpp"
#include "timer.hpp"

namespace riskreg::bench {

/// Figures of one name, in nanoseconds, the cost of reading the clock taken off.
struct Summary {
    double p50 = 0, p90 = 0, p99 = 0, p999 = 0, p9999 = 0, max = 0, mean = 0;
    std::uint64_t n = 0;
};
[[nodiscard]] Summary summarise(const Histogram& histogram, const Clock& clock);

struct Measured {
    explicit Measured(std::string of) : name(std::move(of)), histogram(std::make_unique<Histogram>()) {}
    std::string name;
    std::unique_ptr<Histogram> histogram;  ///< of ticks
    double ops_per_s = 0;                  ///< 0: one call behind the other, so 1 / mean
    unsigned processes = 1;
    std::vector<std::pair<std::string, std::string>> fields;  ///< further ones; values as JSON

    void add(std::uint64_t of_ticks) noexcept { histogram->add(of_ticks); }
    Measured& number(std::string field, double value);
    Measured& text(std::string field, std::string_view value);
    /// `ratio_to`, `ratio`, and what p50 was divided by. Nothing where that was too short to be told from nothing.
    Measured& ratio(std::string_view to, const Summary& mine, const Summary& base);
};

class Report {
public:
    Report(bool json, const std::string& distributions) : json_(json), distributions_(distributions) {}

    void print(const Measured& result, const Clock& clock);

private:
    void print_json(const Measured& result, const Summary& s, double ops_per_s) const;
    void print_row(const Measured& result, const Summary& s, double ops_per_s);
    void print_distribution(const Measured& result, const Clock& clock);
    bool json_;
    bool begun_ = false;
    LinesFile distributions_;
};

}  // namespace riskreg::bench
