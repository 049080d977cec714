/// One registry of a benchmark, from its creation to the audit of what was made of it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "processes.hpp"
#include "workload.hpp"

namespace riskreg::bench {

inline constexpr std::int64_t kMs = 1'000'000;
inline constexpr std::int64_t kLong = 120'000 * kMs;

/// Throws std::runtime_error naming `what` and the reason unless the answer is accepted or ok.
void require(const Verdict& verdict, const char* what);

/// Patient: a call that waited too long for the lock would leave a hole in what is measured.
[[nodiscard]] ProcessConfig process_config(const std::string& state_dir, const std::string& strategy,
                                           Durability durability = Durability::memory);
/// For children: the board's registry.
[[nodiscard]] Registry open(const Board& board, unsigned strategy, Durability durability = Durability::memory);

[[nodiscard]] std::vector<std::string> order_ids(std::size_t first, std::size_t count);

class Place {
public:
    Place(std::string state_dir, std::string name, const SharedConfig& config);
    /// Without finish(): something failed, and the registry is only removed.
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    /// Audits and removes. Throws when the audit is violated.
    void finish();
    [[nodiscard]] Registry open(const std::string& strategy, Durability durability = Durability::memory) const;
    [[nodiscard]] const std::string& state_dir() const noexcept { return state_dir_; }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    /// Where its files are.
    [[nodiscard]] std::string directory() const { return state_dir_ + '/' + name_; }

private:
    std::string state_dir_, name_;
    bool finished_ = false;
};

/// Journaled, with room for `orders` ids of the day; checkpoints only when asked for.
[[nodiscard]] SharedConfig journaled_config(std::uint32_t orders);

/// A process of its own that hosts the snapshotter, until this goes. It may run on any processor: on one its threads would
/// only queue up.
class HostProcess {
public:
    HostProcess(const SharedBoard& board);
    ~HostProcess();
    HostProcess(const HostProcess&) = delete;
    HostProcess& operator=(const HostProcess&) = delete;
    /// In order: everything is on disk then.
    void leave();

private:
    const SharedBoard& board_;
    Child child_;
    bool left_ = false;
};
void host(Board& board, unsigned seat);

/// Waits until everything committed is on disk.
void settle(Registry& registry);

}  // namespace riskreg::bench
