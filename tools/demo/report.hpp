/// What the demonstration prints.
#pragma once

#include <string>

#include "demo/director.hpp"

namespace demo {

void print_created(const riskreg::SharedConfig& config, const riskreg::StatusView& status, const std::string& state_dir);
void print_kill(const KillReport& report);
void print_recovery(const Findings& findings);
void print_reboot(const Findings& findings);
void print_table(const Board& board, const riskreg::Reader& reader, const Findings& findings);
void print_next(const std::string& state_dir, bool kept);

/// One line a second; on a terminal five a second, in place.
class Progress {
public:
    Progress();
    void show(const Board& board, const riskreg::Reader& reader, std::int64_t left_ns);
    void end_line();   // before anything else is printed

private:
    const bool in_place_;
    bool open_ = false;
    std::int64_t next_ns_ = 0;
    std::int64_t last_ns_ = 0;
    std::uint64_t last_orders_ = 0;
};

}  // namespace demo
