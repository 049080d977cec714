/// The order of events: create, trade, kill one, kill all, recover, check.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "demo/board.hpp"
#include "demo/processes.hpp"
#include "riskreg/registry.hpp"

namespace demo {

struct Options {
    std::uint32_t seconds = 5;
    bool keep = false;
};

/// How the victim died and what became of it.
struct KillReport {
    bool inside = false;               ///< it was stopped while it held the registry's lock
    std::uint32_t attempts = 0;
    ProcessId pid = 0;
    std::int64_t held_ns = 0;          ///< how long it sat on the lock, stopped, before it was killed
    std::int64_t noticed_ns = 0;       ///< from the kill until its session was dead for everyone
    std::int64_t survivors_gap_ns = 0;
    std::uint64_t repairs = 0;         ///< made for it
    std::uint64_t redone = 0;
    std::uint32_t orphans = 0;
    std::string halt_reason;
    TakeOver take_over;
};

/// What was found after the segment was removed, as a reboot would.
struct Reboot {
    std::uint64_t committed = 0, durable = 0;   ///< when the last process was killed
    std::uint64_t answered = 0, lost = 0;       ///< orders of events that were on disk by then
    std::uint64_t alarms = 0;
    riskreg::RecoverView recovered;
    riskreg::StatusView status;
    riskreg::AuditView audit;
    std::int64_t took_ns = 0;
};

/// What was found after everybody was killed.
struct Findings {
    std::vector<std::string> failures;      ///< empty: everything is as it should be
    std::uint64_t acknowledged = 0, lost = 0, unrecorded = 0;
    std::uint32_t kills = 0;
    std::uint64_t orphans = 0;
    std::uint64_t limits_checked = 0, exceeded = 0;   ///< rows × samples, while trading and at the end
    std::uint64_t halted_scopes = 0;                  ///< once everybody had been killed
    riskreg::StatusView status;
    riskreg::AuditView audit;
    double seconds = 0;                     ///< of trading
    Reboot reboot;
};

/// The registry's live rows against their limits; `findings.failures` names the first that is above. Reads only.
void check_limits(const riskreg::Reader& reader, Findings& findings);

/// Adopts the registry that everyone left, audits it, and compares it with what the strategies were told.
void recover_and_check(const Board& board, const std::string& state_dir, Findings& findings);

/// Removes the segment, rebuilds the registry from what is on disk, and looks for every order of an event that was durable.
void reboot_and_check(const Board& board, const std::string& state_dir, Findings& findings);

/// Kills the victim inside its critical section if it can be caught there; then shows that the rest went on, and has
/// an operator and a new incarnation take over. `restart` starts that incarnation.
KillReport kill_one(Board& board, Children& children, const riskreg::Reader& reader, const std::string& state_dir,
                    ProcessId victim, const std::function<ProcessId()>& restart);

/// The body of a child that was started with these words (`Children::start`).
int run_child(const std::vector<std::string>& words);

/// The whole demonstration; its exit status.
int run(const Options& options);

}  // namespace demo
