// riskd: hosts the snapshotter of one registry until it is told to end.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "common/program.hpp"
#include "riskd/service.hpp"
#include "riskreg/registry.hpp"
#include "segment/lifecycle.hpp"
#include "segment/process.hpp"

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

/// False: nobody asked it to end.
bool told_to_end(Registry& registry, std::int64_t wait_ms) {
    if (!program::end_wanted()) segment::sleep_ns(wait_ms * 1'000'000);
    // Its terminal is gone, or whoever moved the log away says so: either way it goes on, and opens the log anew.
    if (program::hung_up()) registry.reopen_log();
    return program::end_wanted();
}

/// The firm's state stands in the greeting; what an account, strategy or instrument is in by itself would not be seen.
void say_stopped_scopes(const Reader& reader) {
    reader.exposures([&reader](const ExposureView& row) {
        if (row.state == TradingState::active && !row.unreconciled) return true;
        const bool only_unreconciled = row.state == TradingState::active;
        program::say("riskd: " + reader.name(row.scope) + " is " +
                     (only_unreconciled ? "unreconciled" : std::string(name_of(row.state))) +
                     (row.unreconciled && !only_unreconciled ? " and unreconciled" : "") +
                     (row.state_reason.empty() ? "" : ": " + row.state_reason));
        return true;
    });
}

int host(const std::string& name, const ProcessConfig& config) {
    program::watch_hangups();
    program::end_on_signals("riskd");
    Registry registry = Registry::open(name, config);
    const program::Leaving leaving("riskd", registry, name);
    const StatusView begin = registry.status();
    program::say("riskd: attached to '" + name + "' (" + begin.state + ")" +
                 (begin.persistence == PersistenceMode::none ? "; persistence.mode is none: checkpoints on request only" : ""));
    say_stopped_scopes(registry.reader());
    while (!told_to_end(registry, 200)) {
        if (registry.reader().is_ready()) continue;
        program::say("riskd: '" + name + "' was destroyed or is poisoned (riskctl verify " + name + "); ending");
        return kDamaged;
    }
    program::say(std::string("riskd: ending: ") + (registry.is_hosting()
                                                       ? "draining the journal, writing a last checkpoint"
                                                       : "it stood by, and another keeps the journal or nobody does"));
    return kDone;
}

/// The exit code; what went wrong is said.
int host_or_say(const std::string& name, const ProcessConfig& config, bool as_owner) {
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

int run(int argc, char** argv) {
    CLI::App app{"riskd: journal, checkpoints and supervision of one registry"};
    std::string name;
    ProcessConfig config;
    bool foreground = true, quiet = false, as_owner = false, service = false;
    app.add_option("NAME", name, "name of the registry")->required();
    app.add_option("--state-dir", config.state_dir,
                   "default $RISKREG_STATE_DIR, else $XDG_STATE_HOME/riskreg, else ~/.local/state/riskreg");
    app.add_flag("--foreground,!--no-foreground", foreground, "stay in the foreground (the only way it runs)");
    if (program::can_be_service())
        app.add_flag("--service", service,
                     "as a service of Windows: started, told to end and asked how it is by the service manager");
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
    return service ? program::run_as_service("riskd", [&] { return host_or_say(name, config, false); })
                   : host_or_say(name, config, as_owner);
}

}  // namespace

int main(int argc, char** argv) {
    return program::run("riskd", [&] {
        char** const words = program::arguments(argc, argv);   // before `argc` is read: it may change that
        return ::run(argc, words);
    });
}
