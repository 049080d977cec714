#include "demo/director.hpp"

#include <cstdio>
#include <filesystem>
#include <new>

#include "common/shared_memory.hpp"
#include "demo/clock.hpp"
#include "demo/market.hpp"
#include "demo/report.hpp"
#include "demo/strategy.hpp"
#include "demo/venue.hpp"

namespace demo {

using namespace riskreg;

namespace {

constexpr std::int64_t kStartTimeout = 15 * kSecond;
constexpr std::int64_t kSampleInterval = 20 * kMillisecond;

/// The state directory and the registry in it, both gone again at the end unless they are kept.
class Workplace {
public:
    explicit Workplace(bool keep) : keep_(keep) { state_dir_ = make_private_directory(); }
    ~Workplace() {
        if (keep_) return;
        try {
            if (created_) Registry::destroy(kRegistryName, state_dir_, false, true);
        } catch (const std::exception& error) {
            std::fprintf(stderr, "riskreg-demo: cleaning up: %s\n", error.what());
        }
        std::error_code ignored;
        std::filesystem::remove_all(state_dir_, ignored);
    }
    Workplace(const Workplace&) = delete;
    Workplace& operator=(const Workplace&) = delete;

    void create(std::uint32_t seconds) {
        const SharedConfig config = parse_config(config_json(seconds));
        Registry::create(kRegistryName, config, state_dir_);
        created_ = true;
        print_created(config, Reader::open(kRegistryName, state_dir_).status(), state_dir_);
    }
    /// Only a finished run is worth keeping.
    void drop() noexcept { keep_ = false; }
    [[nodiscard]] const std::string& state_dir() const noexcept { return state_dir_; }

private:
    bool keep_;
    bool created_ = false;
    std::string state_dir_;
};

class Director {
public:
    Director(const Options& options, const std::string& state_dir)
        : options_(options),
          state_dir_(state_dir),
          board_(*new(memory_.address()) Board),
          reader_(Reader::open(kRegistryName, state_dir)) {}
    ~Director() { children_.kill_all(); }
    Director(const Director&) = delete;
    Director& operator=(const Director&) = delete;

    void start();
    void trade();
    void finish();
    [[nodiscard]] const Findings& findings() const noexcept { return findings_; }

private:
    void start_riskd();
    ProcessId start_strategy(std::size_t index, bool take_over);
    void trade_until(std::int64_t end_ns);
    void look_after_children();

    const Options& options_;
    const std::string& state_dir_;
    program::SharedMemory memory_{sizeof(Board)};
    Board& board_;   // default-initialised: the record of answers stays untouched until it is used
    Reader reader_;
    Children children_;
    ProcessId victim_ = 0;
    ProcessId riskd_ = 0;
    std::int64_t begin_ns_ = 0;
    std::int64_t end_ns_ = 0;
    Progress progress_;
    Findings findings_;
};

ProcessId Director::start_strategy(std::size_t index, bool take_over) {
    return children_.start("strategy " + strategy_name(index),
                           {memory_.word(), state_dir_, std::to_string(index), take_over ? "1" : "0"},
                           [this, index, take_over] { return run_strategy(board_, state_dir_, index, take_over); });
}

void Director::start_riskd() {
    riskd_ = children_.start_riskd(kRegistryName, state_dir_);
    const auto hosting = [this] {
        look_after_children();
        return reader_.status().host_state == "running" || reader_.status().host_state == "starting";
    };
    if (!wait_until(kStartTimeout, hosting)) throw Error(Errc::busy, "riskd did not start in time");
}

void Director::start() {
    start_riskd();
    children_.start("the venue", {memory_.word()}, [this]() -> int { run_venue(board_); });
    for (std::size_t i = 0; i < kStrategies; ++i) {
        const ProcessId pid = start_strategy(i, false);
        if (i == kVictim) victim_ = pid;
    }
    const auto ready = [this] {
        look_after_children();
        for (const StrategyBoard& strategy : board_.strategies)
            if (strategy.attached.load(std::memory_order_acquire) == 0) return false;
        return true;
    };
    if (!wait_until(kStartTimeout, ready)) throw Error(Errc::busy, "the strategies did not attach in time");
    sleep_ns(20 * kMillisecond);   // the publisher's first prices
    board_.go.store(true, std::memory_order_release);
    begin_ns_ = monotonic_ns();
    end_ns_ = begin_ns_ + options_.seconds * kSecond;
    std::printf("trading for %u s: %zu strategy processes and a simulated venue; riskd (process %d) journals\n",
                options_.seconds, kStrategies, riskd_);
}

void Director::look_after_children() {
    if (interrupted()) throw Error(Errc::busy, "interrupted");
    const std::string gone = children_.deserter();
    if (!gone.empty()) throw Error(Errc::system, gone);
}

void Director::trade_until(std::int64_t end_ns) {
    while (monotonic_ns() < end_ns) {
        look_after_children();
        check_limits(reader_, findings_);
        progress_.show(board_, reader_, end_ns_ - monotonic_ns());
        sleep_ns(kSampleInterval);
    }
}

void Director::trade() {
    trade_until(begin_ns_ + options_.seconds * kSecond * 2 / 5);
    progress_.end_line();
    const KillReport report =
        kill_one(board_, children_, reader_, state_dir_, victim_, [this] { return start_strategy(kVictim, true); });
    findings_.kills = 1;
    look_after_children();
    print_kill(report);
    trade_until(end_ns_);
    progress_.end_line();
}

void Director::finish() {
    findings_.kills += kStrategies;
    children_.kill_all();   // riskd, too
    const StatusView last = reader_.status();
    findings_.reboot.committed = last.committed;
    findings_.reboot.durable = last.durable;
    findings_.seconds = static_cast<double>(monotonic_ns() - begin_ns_) / 1e9;
    recover_and_check(board_, state_dir_, findings_);
    print_recovery(findings_);
    reboot_and_check(board_, state_dir_, findings_);
    print_reboot(findings_);
    print_table(board_, reader_, findings_);
}

int verdict_of(const Findings& findings) {
    if (findings.failures.empty()) {
        std::printf("\nOK: nothing lost, no limit exceeded, audit clean\n");
        return 0;
    }
    std::fflush(stdout);
    for (const std::string& failure : findings.failures) std::fprintf(stderr, "riskreg-demo: FAILED: %s\n", failure.c_str());
    return 1;
}

}  // namespace

int run_child(const std::vector<std::string>& words) {
    const program::SharedMemory memory(sizeof(Board), words.at(0));
    auto& board = *static_cast<Board*>(memory.address());
    if (words.size() == 1) run_venue(board);
    return run_strategy(board, words.at(1), std::stoul(words.at(2)), words.at(3) == "1");
}

int run(const Options& options) {
    watch_for_interruption();
    try {
        Workplace workplace(options.keep);
        try {
            workplace.create(options.seconds);
            Director director(options, workplace.state_dir());
            director.start();
            director.trade();
            director.finish();
            print_next(workplace.state_dir(), options.keep);
            return verdict_of(director.findings());
        } catch (...) {
            workplace.drop();
            throw;
        }
    } catch (const std::exception& error) {
        std::fflush(stdout);
        std::fprintf(stderr, "\nriskreg-demo: %s\n", error.what());
        return 1;
    }
}

}  // namespace demo
