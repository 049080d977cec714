/// Results as a table for people, or as one JSON object a line.
#pragma once

#include <map>
#include <string>

#include "clock.hpp"
#include "lines_file.hpp"
#include "peer.hpp"

namespace riskreg::bench::peers {

struct Result {
    const PeerType* type = nullptr;
    bool synced = false;
    std::size_t live = 0;
    int writers = 1;
    double ops_per_s = 0;
    Samples samples;
};

[[nodiscard]] inline const char* mode_name(bool synced) noexcept { return synced ? "synced" : "memory"; }

class Report {
public:
    /// `distributions`: empty, or the file for the quantiles of every result.
    Report(bool json, const std::string& distributions) : json_(json), distributions_(distributions) {}
    void heading(bool synced, std::size_t live, int writers);
    /// peer_riskreg first: the others are divided by it.
    void add(Result& result);

private:
    void print_json(Result& result, double ratio) const;
    static void print_row(Result& result, double ratio);
    void write_distribution(Result& result);

    bool json_;
    LinesFile distributions_;
    std::map<std::string, double> reference_;   // by mode, size and writers: of peer_riskreg
};

}  // namespace riskreg::bench::peers
