/// The verbs of riskctl. main.cpp parses the command line, each verb returns the exit code of interfaces.md 2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "riskreg/registry.hpp"

namespace riskctl {

enum ExitCode : int { kDone = 0, kNo = 1, kUsage = 2, kCannotAttach = 3, kDamaged = 4 };

/// What every verb knows.
struct Common {
    std::string name;
    std::string state_dir;
    bool json = false;
    bool as_owner = false;
};

struct ExecOptions {
    std::string strategy;
    std::string durability = "memory";
    std::string file;   ///< empty or "-": stdin
    bool takeover = false;
    std::uint32_t lock_timeout_ms = 1000;
    std::uint32_t durable_timeout_ms = 5000;
    bool host_snapshotter = true;
};

/// What a list is narrowed to; empty: any. A scope stands for the entities that it names.
struct Entities {
    std::string account, strategy, instrument, scope;
};

struct OrderFilter {
    bool live = false;
    bool kill_list = false;
    Entities entities;
};

struct EventOptions {
    std::uint64_t from = 0;
    bool follow = false;
    std::vector<std::string> types;
    Entities entities;
};

struct StateOptions {
    std::string scope, reason, state;
    bool unreconciled = false;
};

struct ReplayOptions {
    std::string file;
    std::uint32_t processes = 1;
    std::string instrument;
    std::string format = "riskreg";
    std::uint32_t lock_timeout_ms = 1000;
    bool host_snapshotter = true;
    bool no_wait = false;
    bool into_live = false;
    std::uint32_t stall_timeout_ms = 30000;
};

struct RecoverArguments {
    std::string key_file;
    bool accept_loss = false, i_am_alone = false, from_disk = false, new_token = false, restore_lock = false;
};

int create(const Common& common, const std::string& config_file, bool network_fs);
int exec(const Common& common, const ExecOptions& options);
int status(const Common& common);
int orders(const Common& common, const OrderFilter& filter);
int order(const Common& common, const std::string& id, const std::string& account);
int exposure(const Common& common, const std::string& scope);
int limits(const Common& common, const std::string& scope);
int sessions(const Common& common);
int events(const Common& common, const EventOptions& options);
int restricted(const Common& common);
int approvals(const Common& common);
int halt(const Common& common, const StateOptions& options);
int resume(const Common& common, const StateOptions& options);
int set_clock(const Common& common, const std::string& reason);
int approve(const Common& common, std::uint64_t request, const std::string& owner);
struct RestrictOptions {
    std::string scope, sides = "both", from, to, reason;
};

int restrict_scope(const Common& common, const RestrictOptions& options);
int limit(const Common& common, const std::string& scope, const std::string& reason,
          const std::vector<std::string>& assignments);
int verify(const Common& common);
struct RollArguments {
    std::string reason;
    std::uint64_t day = 0;   ///< this one or nothing; 0: whichever is open
    bool expire_day = false;
};
int roll(const Common& common, const RollArguments& asked);
int replay(const Common& common, const ReplayOptions& options);
int doctor(const Common& common, bool clean);
int checkpoint(const Common& common, std::uint32_t timeout_ms);
int migrate(const std::string& path, const std::string& output, const std::string& key_file, bool json);
int checkpoint_info(const std::string& file, const std::string& key_file, bool json);
int journal_info(const std::string& file, const std::string& key_file, bool json);
int recover(const Common& common, const RecoverArguments& arguments);
struct DestroyOptions {
    bool keep_files = false, force = false, yes = false;
};
int destroy(const Common& common, const DestroyOptions& options);

/// Exit code of an error of the library.
[[nodiscard]] int exit_code(riskreg::Errc code) noexcept;

}  // namespace riskctl
