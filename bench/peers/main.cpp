// riskreg-peers: the same job by riskreg and by what is used in its place, in one run on one machine. README.md beside this file.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "common/program.hpp"
#include "measure.hpp"
#include "place.hpp"

namespace {

using namespace riskreg::bench::peers;

constexpr std::int64_t kMs = 1'000'000;

Plan plan_of(bool quick) {
    if (quick) return {{1000, 100'000}, 20'000, 500, 300 * kMs, 5, 400 * kMs, 1};
    return {{1, 1000, 10'000, 100'000, 1'000'000}, 100'000, 4000, 4000 * kMs, 60, 1500 * kMs, 3};
}

/// The chosen ones; names with or without "peer_". Throws for a name that nobody has.
std::vector<PeerType> chosen(const Peers& peers, const std::vector<std::string>& only) {
    if (only.empty()) return peers.types;
    std::vector<PeerType> types;
    for (const PeerType& type : peers.types) {
        const bool wanted = std::any_of(only.begin(), only.end(), [&](const std::string& name) {
            return name == type.name || "peer_" + name == type.name;
        });
        if (wanted) types.push_back(type);
    }
    if (types.size() == only.size()) return types;
    std::string names;
    for (const PeerType& type : peers.types) names += std::string(" ") + type.name;
    throw std::runtime_error("--only: unknown, twice or absent here; there are:" + names);
}

void run(const std::vector<PeerType>& types, const Folders& folders, int processes, const Plan& plan, Report& report) {
    const Clock clock;
    std::fprintf(stderr, "riskreg-peers: an empty reading of the clock takes %.0f ns, which is taken off\n", clock.timer_ns());
    std::fprintf(stderr, "riskreg-peers: checking that every peer refuses what it must\n");
    check_all(types, folders);
    for (const bool synced : {false, true}) {
        std::fprintf(stderr, "riskreg-peers: time of a call, %s mode\n", mode_name(synced));
        measure_latency(types, folders, synced, plan, clock, report);
    }
    std::fprintf(stderr, "riskreg-peers: %d writers at once, synced mode\n", processes);
    measure_throughput(types, folders, processes, plan, clock, report);
}

int run(int argc, char** argv) {
    CLI::App app("The same job by riskreg and by the systems used in its place, in one run");
    bool json = false, quick = false;
    std::vector<std::string> only;
    std::string state_dir = std::filesystem::temp_directory_path().string(), distributions;
    int processes = 8;
    app.add_flag("--json", json, "one JSON object a line");
    app.add_flag("--quick", quick, "at most 40 s: 1,000 and 100,000 live orders, fewer calls");
    app.add_option("--only", only, "NAME[,NAME]: these peers")->delimiter(',');
    app.add_option("--state-dir", state_dir, "a folder on the disk that the synced mode is to use")
        ->check(CLI::ExistingDirectory);
    app.add_option("--processes", processes, "writers at once")->check(CLI::Range(2, riskreg::bench::kStrategies));
    app.add_option("--distributions", distributions, "file for the quantiles of every result, JSON Lines");
    CLI11_PARSE(app, argc, argv);
    remember_signals();
    try {
        const Peers peers = available_peers();
        for (const std::string& absent : peers.absent) std::fprintf(stderr, "riskreg-peers: absent: %s\n", absent.c_str());
        if (is_on_tmpfs(state_dir))
            std::fprintf(stderr, "riskreg-peers: %s is in memory: synced mode means nothing there, see --state-dir\n",
                         state_dir.c_str());
        Report report(json, distributions);
        run(chosen(peers, only), {"/dev/shm", state_dir}, processes, plan_of(quick), report);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "riskreg-peers: %s\n", error.what());
        return 1;
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return riskreg::program::run("riskreg-peers", [&] { return ::run(argc, argv); });
}
