/// One seed: a registry on a simulated disk, through several lives, and what has to hold after each of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "riskreg/error.hpp"
#include "simulation/host.hpp"
#include "simulation/trader.hpp"

namespace riskreg::simulation {

struct Wish {
    Mistake mistake = Mistake::none;
    bool shown = false;            ///< prints the trace
};

/// What became of one seed.
struct Ending {
    std::string violation;         ///< empty: everything held
    std::uint64_t trace = 0;       ///< hash of everything that happened
};

[[nodiscard]] Ending run_seed(std::uint64_t seed, const Wish& wish, Counts& counts);

/// The events that were committed, as the driver saw them, and what the tables must be after each of them.
class Reference {
public:
    explicit Reference(std::string config) : config_(std::move(config)) {}
    void collect(const core::State& live);
    void forget_behind(std::uint64_t seq);
    [[nodiscard]] std::uint64_t last_seq() const noexcept { return events_.size() + 1; }
    [[nodiscard]] std::uint64_t digest_at(std::uint64_t seq);

private:
    std::string config_;
    std::vector<layout::Event> events_;         // events_[i] has the sequence 2 + i
    core::PrivateState tables_;
    std::uint64_t at_ = 0;                      // 0: no tables yet
};

class World {
public:
    World(std::uint64_t seed, const Wish& wish, Counts& counts);
    ~World();
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    Ending run();

private:
    struct Restored;
    void create();
    void live();
    void steps(Host& host);
    void end_life(Host& host);
    void require_catching_up(Host& host);
    void advance_clock();
    [[nodiscard]] Times times() const { return {now_ns_, now_ns_ - booted_ns_}; }
    void take_over();
    [[nodiscard]] bool recover();
    [[nodiscard]] bool restore_once(Restored& out);
    void refused(const Error& error, const Restored& out);
    void restore_and_check(Restored& out);
    void judge(const Restored& out);
    void judge_state(const Restored& out);
    [[nodiscard]] bool uses_what_came_back(const Restored& out) const;
    void judge_honest(const Restored& out);
    void judge_loss(const Restored& out);
    void sync_what_was_used(const Restored& out);
    void begin_anew_behind_the_loss(const Restored& out);
    void make_journal(const persist::FileSpec& spec);
    void begin_life_from(Restored& out);
    [[nodiscard]] std::uint64_t witness() const;
    [[nodiscard]] std::uint64_t witness_of_journal(const std::string& name) const;
    void violate(const std::string& what);
    [[nodiscard]] bool violated() const noexcept { return !ending_.violation.empty(); }

    Counts& counts_;
    Trace trace_;
    test::Random random_;
    bool lies_ = false;
    Setup setup_;
    std::unique_ptr<Disk> disk_;
    Trader trader_;
    Reference reference_;
    std::unique_ptr<test::PlainRegistry> registry_;
    persist::Directory directory_;
    std::int64_t now_ns_, booted_ns_;
    std::uint64_t promised_ = layout::kGenesis;
    std::uint64_t host_epoch_ = 0;
    bool memory_survives_ = false;
    bool accept_loss_ = false;
    bool gave_up_history_ = false; // events that were promised are gone, and others have their numbers
    std::uint64_t given_up_number_ = 0;   ///< journal files up to this number are of a history that was given up
    bool lost_ = false;            // nothing can be restored, even by accepting a loss
    bool power_failed_ = false;
    Ending ending_;
};

}  // namespace riskreg::simulation
