// riskreg-latency: the options, and one run in a process of its own, so that whatever happens to it is cleaned up after.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "base/descriptor.hpp"
#include "cases.hpp"
#include "common/program.hpp"

namespace {

using namespace riskreg::bench;
namespace fs = std::filesystem;

constexpr unsigned kMostN = 16;  // strategies of the workload

void list_cases() {
    for (const Case& c : all_cases()) std::printf("%-28s  %s\n", c.name, c.what);
}

/// False, and says what is allowed, when a name is none.
bool names_are_known(const std::set<std::string>& names) {
    std::set<std::string> left = names;
    for (const Case& c : all_cases()) left.erase(c.name);
    if (left.empty()) return true;
    std::fprintf(stderr, "riskreg-latency: unknown name: seen %s, allowed:", left.begin()->c_str());
    for (const Case& c : all_cases()) std::fprintf(stderr, " %s", c.name);
    std::fprintf(stderr, "\n");
    return false;
}

int measure(const Options& options) {
    try {
        if (!histogram_works()) throw std::runtime_error("the histogram miscounts");
        Run(options).measure_all();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "riskreg-latency: %s\n", error.what());
        return 1;
    }
}

/// Whatever the run has left: processes, segments, files.
void clean_up(const std::string& state_dir) {
    while (::waitpid(-1, nullptr, 0) > 0) {
    }
    std::vector<std::string> names;
    static_cast<void>(riskreg::base::list_directory(state_dir, names));
    for (const std::string& name : names) {
        try {
            riskreg::Registry::destroy(name, state_dir, false, true);
        } catch (const std::exception&) {
            // Removed already.
        }
    }
    std::error_code ignored;
    fs::remove_all(state_dir, ignored);
}

/// Runs in a child. Its exit code; a signal that asks us to end ends it, and its children with it.
int supervise(const Options& options) {
    sigset_t awaited;
    sigemptyset(&awaited);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&awaited, number);
    ::sigprocmask(SIG_BLOCK, &awaited, nullptr);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    const pid_t parent = ::getpid();
    const pid_t worker = ::fork();
    if (worker < 0) return 1;
    if (worker == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) ::_exit(1);
        // Ctrl-C goes to the whole group: it is the parent that acts on it.
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::signal(number, SIG_IGN);
        ::sigprocmask(SIG_UNBLOCK, &awaited, nullptr);
        ::_exit(riskreg::program::finish("riskreg-latency", measure(options)));
    }
    int status = 0;
    for (;;) {
        int number = 0;
        ::sigwait(&awaited, &number);
        if (number != SIGCHLD) ::kill(worker, SIGKILL);
        if (::waitpid(worker, &status, WNOHANG) == worker) break;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int run_below(const std::string& parent_dir, Options options) {
    options.state_dir = parent_dir + "/riskreg-latency-XXXXXX";
    if (::mkdtemp(options.state_dir.data()) == nullptr) {
        std::fprintf(stderr, "riskreg-latency: cannot write below %s\n", parent_dir.c_str());
        return 3;
    }
    const int code = supervise(options);
    clean_up(options.state_dir);
    return code;
}

int run(int argc, char** argv) {
    static_cast<void>(usable_cpus());  // before anything is pinned
    if (const int code = run_as_child(argc, argv, all_roles()); code >= 0) return code;
    CLI::App app{"How long the registry's calls take: several processes on one machine, every figure with its tail"};
    Options options;
    bool list = false;
    std::string parent_dir = fs::temp_directory_path().string();
    app.add_option("NAME", options.names, "what to measure; default: everything that --list shows");
    app.add_flag("--json", options.json, "one object a line, for programs");
    app.add_flag("--quick", options.quick, "fewer samples: everything in well under a minute");
    app.add_flag("--huge-pages", options.huge_pages, "registries in huge pages");
    app.add_flag("--list", list, "names and what they measure");
    app.add_option("--processes", options.processes, "of register_contended_N; default: one for each processor, 3 to 8")
        ->check(CLI::Range(2U, kMostN));
    app.add_option("--state-dir", parent_dir,
                   "where the files go; the disk that is measured; default: the temporary directory");
    app.add_option("--distributions", options.distributions, "also write whole distributions to this file, JSON lines");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    if (list) return list_cases(), 0;
    if (!names_are_known(options.names)) return 2;
    return run_below(parent_dir, std::move(options));
}

}  // namespace

int main(int argc, char** argv) {
    return riskreg::program::run("riskreg-latency", [&] { return ::run(argc, argv); });
}
