/// What can be measured, and one run that measures some of it.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>

#include "place.hpp"
#include "report.hpp"

namespace riskreg::bench {

struct Options {
    bool json = false;
    bool quick = false;
    bool huge_pages = false;
    unsigned processes = 0;  ///< of register_contended_N; 0: min(8, processors), at least 3
    std::string state_dir;   ///< of this run
    std::string distributions;
    std::set<std::string> names;  ///< empty: all
};

class Run;
struct Case {
    const char* name;
    void (*measure)(Run&);  ///< also others of the same group
    const char* what;
};
/// In the order in which they are told.
[[nodiscard]] std::span<const Case> all_cases();
[[nodiscard]] std::span<const Role> all_roles();

class Run {
public:
    explicit Run(Options options);

    void measure_all();
    /// What was found under this name, measured now if it was not before.
    [[nodiscard]] const Measured& need(const std::string& name);
    [[nodiscard]] Summary summary(const Measured& result) const { return summarise(*result.histogram, clock_); }
    void add(Measured result);

    [[nodiscard]] const Options& options() const noexcept { return options_; }
    [[nodiscard]] const Clock& clock() const noexcept { return clock_; }
    [[nodiscard]] std::uint64_t sized(std::uint64_t full, std::uint64_t quick) const noexcept {
        return options_.quick ? quick : full;
    }
    /// The options that hold for every registry of a run.
    [[nodiscard]] SharedConfig adapted(SharedConfig config) const;

private:
    void measure(const Case& what);
    const Options options_;
    const Clock clock_;
    Report report_;
    std::map<std::string, Measured> results_;
};

// Each measures a group of names on common registries, and gives all of them to the run.
void measure_calls(Run& run);          // cases_single.cpp
void measure_all_controls(Run& run);
void measure_attach(Run& run);
void measure_round_trip(Run& run);     // cases_contended.cpp
void measure_contended(Run& run);
void measure_durable(Run& run);        // cases_durable.cpp
void measure_beside_checkpoints(Run& run);
void measure_journal(Run& run);        // cases_recovery.cpp
void measure_million(Run& run);
void measure_repair(Run& run);         // cases_repair.cpp

// What the other processes of these do.
void stand_by(Board& board, unsigned seat);
void echo(Board& board, unsigned seat);
void contend(Board& board, unsigned seat);
void write_durably(Board& board, unsigned seat);
void ask_for_checkpoints(Board& board, unsigned seat);
void fill_journal(Board& board, unsigned seat);
void replay_journal(Board& board, unsigned seat);
void recover(Board& board, unsigned seat);
void die_inside(Board& board, unsigned seat);
void survive(Board& board, unsigned seat);

}  // namespace riskreg::bench
