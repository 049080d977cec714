// riskd: hosts the snapshotter of one registry until it is told to end.
#include <signal.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "common/program_posix.hpp"
#include "riskreg/registry.hpp"
#include "segment/lifecycle_posix.hpp"

namespace {

using namespace riskreg;

enum ExitCode : int { kDone = 0, kUsage = 2, kCannotAttach = 3, kDamaged = 4 };

int exit_code(Errc code) noexcept {
    switch (code) {
        case Errc::bad_input:
        case Errc::not_supported: return kUsage;
        case Errc::damaged: return kDamaged;
        default: return kCannotAttach;
    }
}

sigset_t ending_signals() {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGTERM);
    ::sigaddset(&set, SIGINT);
    ::sigaddset(&set, SIGHUP);
    return set;
}

/// True when a signal to end came within the time.
bool told_to_end(const sigset_t& signals, long wait_ms) {
    const timespec wait{wait_ms / 1000, wait_ms % 1000 * 1'000'000};
    return ::sigtimedwait(&signals, nullptr, &wait) > 0;
}

/// The firm's state stands in the greeting; what an account, strategy or instrument is in by itself would not be seen.
void say_stopped_scopes(const Reader& reader) {
    reader.exposures([&reader](const ExposureView& row) {
        if (row.state != TradingState::active || row.unreconciled)
            std::fprintf(stderr, "riskd: %s is %s%s%s%s\n", reader.name(row.scope).c_str(),
                         std::string(row.state == TradingState::active ? "unreconciled" : name_of(row.state)).c_str(),
                         row.state != TradingState::active && row.unreconciled ? " and unreconciled" : "",
                         row.state_reason.empty() ? "" : ": ", row.state_reason.c_str());
        return true;
    });
}

int host(const std::string& name, const ProcessConfig& config) {
    // Blocked before any thread starts: only this one takes them.
    const sigset_t signals = ending_signals();
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    const Registry registry = Registry::open(name, config);
    const StatusView begin = registry.status();
    std::fprintf(stderr, "riskd: attached to '%s' (%s)%s\n", name.c_str(), begin.state.c_str(),
                 begin.persistence == PersistenceMode::none ? "; persistence.mode is none: checkpoints on request only" : "");
    say_stopped_scopes(registry.reader());
    while (!told_to_end(signals, 200)) {
        if (registry.reader().is_ready()) continue;
        std::fprintf(stderr, "riskd: '%s' was destroyed or is poisoned (riskctl verify %s); ending\n", name.c_str(),
                     name.c_str());
        return kDamaged;
    }
    const bool hosting = registry.is_hosting();
    std::fprintf(stderr, "riskd: ending: %s\n",
                 hosting ? "draining the journal, writing a last checkpoint"
                         : "it stood by, and another keeps the journal or nobody does");
    return kDone;
}

int run(int argc, char** argv) {
    CLI::App app{"riskd: journal, checkpoints and supervision of one registry"};
    std::string name;
    ProcessConfig config;
    bool foreground = true, quiet = false, as_owner = false;
    app.add_option("NAME", name, "name of the registry")->required();
    app.add_option("--state-dir", config.state_dir,
                   "default $RISKREG_STATE_DIR, else $XDG_STATE_HOME/riskreg, else ~/.local/state/riskreg");
    app.add_flag("--foreground,!--no-foreground", foreground, "stay in the foreground (the only way it runs)");
    app.add_flag("--as-owner", as_owner, "as root: with the rights of the registry's owner");
    app.add_flag("--quiet", quiet, "alarms to riskreg.log only, not to stderr");
    app.add_flag("--log-orders", config.log_orders, "order ids, prices and quantities in clear in the alarm log");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kDone : kUsage;
    }
    if (!foreground) {
        std::fprintf(stderr, "riskd: --no-foreground: riskd never forks itself away; let systemd (riskd@.service) run it\n");
        return kUsage;
    }
    config.host_snapshotter = true;
    config.host_rank = HostRank::riskd;
    config.final_checkpoint = true;
    config.log_to_stderr = !quiet;
    try {
        if (as_owner) segment::become_owner(segment::resolve_state_dir(config.state_dir), name);
        return host(name, config);
    } catch (const Error& error) {
        std::fprintf(stderr, "riskd: %s\n", error.what());
        return exit_code(error.code());
    } catch (const std::exception& error) {
        std::fprintf(stderr, "riskd: %s\n", error.what());
        return kCannotAttach;
    }
}

}  // namespace

int main(int argc, char** argv) {
    return program::run("riskd", [&] { return ::run(argc, argv); });
}
