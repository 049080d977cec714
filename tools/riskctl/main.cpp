// riskctl: the command line. Parses, dispatches, maps errors to exit codes; the verbs live beside this file.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <iostream>
#include <new>

#include "common/program.hpp"
#include "registry/names.hpp"
#include "riskctl/day.hpp"
#include "riskctl/verbs.hpp"
#include "segment/lifecycle.hpp"

namespace riskctl {

int exit_code(riskreg::Errc code) noexcept {
    switch (code) {
        case riskreg::Errc::bad_input:
        case riskreg::Errc::not_supported: return kUsage;
        case riskreg::Errc::damaged: return kDamaged;
        default: return kCannotAttach;
    }
}

namespace {

using riskreg::Durability, riskreg::ReconcileMode, riskreg::TradingState, riskreg::base::Sides;

/// What an option takes, in the order in which --help shows it.
template <class E>
CLI::IsMember is_named(std::initializer_list<E> values) {
    std::vector<std::string> names;
    for (const E value : values) names.emplace_back(riskreg::base::text_of(value));
    return CLI::IsMember(names);
}

struct Arguments {
    Common common;
    ExecOptions exec;
    OrderFilter filter;
    StateOptions state;
    RestrictOptions restrict;
    ReplayOptions replay;
    std::string config, id, account, scope, reason;
    std::vector<std::string> assignments;
    EventOptions events;
    std::uint64_t request = 0;
    std::uint32_t timeout_ms = 60000;
    RecoverArguments recover;
    ReconcileOptions reconcile;
    std::string file, key_file, owner, output;
    DestroyOptions destroy;
    bool clean = false, no_host = false, network_fs = false;
    RollArguments roll;
};

using Verb = std::function<int()>;

/// Before anything is opened: what is made then is the owner's.
void become_owner(const Common& common) {
    riskreg::segment::become_owner(riskreg::segment::resolve_state_dir(common.state_dir), common.name);
}

CLI::App* add_verb(CLI::App& app, const std::string& name, const std::string& help, Arguments& a, Verb& chosen, Verb run,
                   bool name_required = true) {
    CLI::App* verb = app.add_subcommand(name, help);
    CLI::Option* option = verb->add_option("NAME", a.common.name, "name of the registry");
    if (name_required) option->required();
    verb->add_option("--state-dir", a.common.state_dir,
                     "default $RISKREG_STATE_DIR, else $XDG_STATE_HOME/riskreg, else ~/.local/state/riskreg");
    verb->add_flag("--json", a.common.json, "one JSON object a line");
    verb->add_flag("--as-owner", a.common.as_owner, "as root: with the rights of the registry's owner");
    verb->callback([&a, &chosen, run = std::move(run)] {
        chosen = [&a, run] {
            if (a.common.as_owner) become_owner(a.common);
            return run();
        };
    });
    return verb;
}

void add_trading_verbs(CLI::App& app, Arguments& a, Verb& chosen) {
    CLI::App* create_verb = add_verb(app, "create", "make a new registry, live in shared memory when this returns", a, chosen,
                                     [&a] { return create(a.common, a.config, a.network_fs); });
    create_verb->add_option("--config", a.config, "configuration, JSON")->required();
    create_verb->add_flag("--network-fs", a.network_fs, "although the state directory is on a network file system");

    CLI::App* exec_verb = add_verb(app, "exec", "attach one session and run JSON Lines commands", a, chosen, [&a] {
        a.exec.host_snapshotter = !a.no_host;
        return exec(a.common, a.exec);
    });
    exec_verb->add_option("FILE", a.exec.file, "commands; default: stdin");
    exec_verb->add_option("--strategy", a.exec.strategy, "strategy to attach as")->required();
    exec_verb->add_option("--durability", a.exec.durability, "what an answer waits for")
        ->check(is_named({Durability::memory, Durability::durable}));
    exec_verb->add_flag("--takeover", a.exec.takeover, "fence a live session of the same strategy");
    exec_verb->add_option("--lock-timeout-ms", a.exec.lock_timeout_ms, "lock deadline, default 1000")
        ->check(CLI::Range(1U, 3600000U));
    exec_verb->add_flag("--no-snapshotter", a.no_host, "never host the snapshotter in this process");
    exec_verb->add_option("--durable-timeout-ms", a.exec.durable_timeout_ms, "deadline of durable answers, default 5000")
        ->check(CLI::Range(1U, 3600000U));

    CLI::App* replay_verb = add_verb(app, "replay", "drive a recorded order flow through attached processes", a, chosen, [&a] {
        a.replay.host_snapshotter = !a.no_host;
        return replay(a.common, a.replay);
    });
    replay_verb->add_option("FILE", a.replay.file, "order flow, plain or gzip")->required();
    replay_verb->add_option("--processes", a.replay.processes, "attached processes, default 1")->check(CLI::Range(1U, 4096U));
    replay_verb->add_option("--instrument", a.replay.instrument, "default: the registry's first");
    replay_verb->add_option("--format", a.replay.format, "riskreg or lobster")->check(CLI::IsMember({"riskreg", "lobster"}));
    replay_verb->add_flag("--no-wait", a.replay.no_wait, "do not wait where the journal, or the lock, does not follow");
    replay_verb->add_flag("--into-live", a.replay.into_live, "although there are orders, positions or other sessions");
    replay_verb
        ->add_option("--stall-timeout-ms", a.replay.stall_timeout_ms,
                     "how long to wait for a journal that does not move, default 30000")
        ->check(CLI::Range(1U, 3600000U));
    replay_verb->add_flag("--no-snapshotter", a.no_host, "never host the snapshotter in these processes");
    replay_verb->add_option("--lock-timeout-ms", a.replay.lock_timeout_ms, "lock deadline, default 1000")
        ->check(CLI::Range(1U, 3600000U));
}

constexpr const char* kScopes = "firm, account:A, strategy:S, instrument:I, account:A/instrument:I, strategy:S/instrument:I";

void add_entities(CLI::App* verb, Entities& entities) {
    verb->add_option("--strategy", entities.strategy, "of this strategy");
    verb->add_option("--account", entities.account, "of this account");
    verb->add_option("--instrument", entities.instrument, "of this instrument");
    verb->add_option("--scope", entities.scope, std::string("inside this scope: ") + kScopes);
}

void add_events_verb(CLI::App& app, Arguments& a, Verb& chosen) {
    CLI::App* events_verb =
        add_verb(app, "events", "the log as JSON Lines", a, chosen, [&a] { return events(a.common, a.events); });
    events_verb->add_option("--from", a.events.from,
                            "first sequence number, also of events that only the journal holds; default: the oldest in memory");
    events_verb->add_flag("--follow", a.events.follow, "go on with what comes");
    events_verb->add_option("--type", a.events.types, "only these types, as in `event`, separated by commas")
        ->delimiter(',')
        ->allow_extra_args(false);
    add_entities(events_verb, a.events.entities);
}

void add_looking_verbs(CLI::App& app, Arguments& a, Verb& chosen) {
    add_verb(app, "status", "state, watermarks, sessions, capacity, repairs", a, chosen, [&a] { return status(a.common); });
    CLI::App* orders_verb = add_verb(app, "orders", "list orders", a, chosen, [&a] { return orders(a.common, a.filter); });
    orders_verb->add_flag("--live", a.filter.live, "live orders only");
    orders_verb->add_flag("--kill-list", a.filter.kill_list,
                          "orders that a halt or the death of their strategy asks to cancel");
    add_entities(orders_verb, a.filter.entities);
    CLI::App* order_verb =
        add_verb(app, "order", "show one order", a, chosen, [&a] { return order(a.common, a.id, a.account); });
    order_verb->add_option("ID", a.id, "any id of the order's chain")->required();
    order_verb->add_option("--account", a.account, "its account")->required();
    for (const auto& [verb_name, verb] : {std::pair{"exposure", &exposure}, std::pair{"limits", &limits}}) {
        CLI::App* rows = add_verb(app, verb_name, "counters, limits and utilisation of scopes", a, chosen,
                                  [&a, verb = verb] { return verb(a.common, a.scope); });
        rows->add_option("--scope", a.scope, kScopes);
    }
    add_verb(app, "sessions", "who is attached, or died", a, chosen, [&a] { return sessions(a.common); });
    add_verb(app, "restricted", "the restricted list", a, chosen, [&a] { return restricted(a.common); });
    add_verb(app, "approvals", "resumes that wait for, or had, a second person", a, chosen,
             [&a] { return approvals(a.common); });
    add_events_verb(app, a, chosen);
    add_verb(app, "verify", "full audit; exit 1 with every violation named", a, chosen, [&a] { return verify(a.common); });
    CLI::App* doctor_verb = add_verb(
        app, "doctor", "check the host and the registry, name the remedy", a, chosen,
        [&a] { return doctor(a.common, a.clean); }, false);
    doctor_verb->add_flag("--clean", a.clean,
                          "remove what nobody uses: segments whose directory is gone, bytes of damaged ones");
}

void add_control_verbs(CLI::App& app, Arguments& a, Verb& chosen) {
    CLI::App* halt_verb =
        add_verb(app, "halt", "kill switch: raise the state of a scope", a, chosen, [&a] { return halt(a.common, a.state); });
    halt_verb->add_option("--scope", a.state.scope, "scope to halt")->required();
    halt_verb->add_option("--reason", a.state.reason, "why, up to 95 bytes")->required();
    halt_verb->add_option("--state", a.state.state, "default halted")
        ->check(is_named({TradingState::halted, TradingState::cancel_only, TradingState::reducing_only}));
    CLI::App* resume_verb = add_verb(app, "resume", "step a scope down", a, chosen, [&a] { return resume(a.common, a.state); });
    resume_verb->add_option("--scope", a.state.scope, "scope to resume");
    resume_verb->add_flag("--unreconciled", a.state.unreconciled, "release the firm after a recovery");
    resume_verb->add_option("--reason", a.state.reason, "why, up to 95 bytes")->required();
    resume_verb->add_option("--state", a.state.state, "default active")
        ->check(is_named({TradingState::active, TradingState::warn, TradingState::reducing_only, TradingState::cancel_only}));
    CLI::App* clock_verb = add_verb(app, "clock", "the times of events go on from this machine's clock, forwards or backwards",
                                    a, chosen, [&a] { return set_clock(a.common, a.reason); });
    clock_verb->add_option("--reason", a.reason, "why, up to 95 bytes")->required();
    CLI::App* approve_verb = add_verb(app, "approve", "four eyes: the second person's word for a resume", a, chosen,
                                      [&a] { return approve(a.common, a.request, a.owner); });
    approve_verb->add_option("REQUEST", a.request, "its number, as `resume` printed it")->required();
    approve_verb->add_option("--owner", a.owner,
                             "user whose registry it is, for who has no access to it: its host is asked, and sees who you are");
    CLI::App* limit_verb = add_verb(app, "limit", "change limits on the running registry", a, chosen,
                                    [&a] { return limit(a.common, a.scope, a.reason, a.assignments); });
    limit_verb->add_option("--scope", a.scope, "scope to change")->required();
    limit_verb->add_option("--reason", a.reason, "why, up to 95 bytes");
    limit_verb->add_option("FIELD=VALUE", a.assignments, "a limit and its value, unlimited or unset")->required();
    CLI::App* restrict_verb = add_verb(app, "restrict", "put a scope on the restricted list, or take it off", a, chosen,
                                       [&a] { return restrict_scope(a.common, a.restrict); });
    restrict_verb->add_option("--scope", a.restrict.scope, "scope to restrict")->required();
    restrict_verb->add_option("--sides", a.restrict.sides, "default both; none takes the entry of these dates off")
        ->check(is_named({Sides::both, Sides::buy, Sides::sell, Sides::none}));
    restrict_verb->add_option("--from", a.restrict.from, "UTC time or date from which it holds, default always");
    restrict_verb->add_option("--to", a.restrict.to, "UTC time or date at which it ends, default never");
    restrict_verb->add_option("--reason", a.restrict.reason, "why, up to 95 bytes");
    CLI::App* destroy_verb =
        add_verb(app, "destroy", "remove the segment and the files", a, chosen, [&a] { return destroy(a.common, a.destroy); });
    destroy_verb->add_flag("--keep-files", a.destroy.keep_files, "keep the state directory's files");
    destroy_verb->add_flag("--force", a.destroy.force,
                           "even while processes are attached; they are then refused every call. Implies --yes");
    destroy_verb->add_flag("--yes", a.destroy.yes, "ask nothing, whatever is in it");
}

void add_roll_verb(CLI::App& app, Arguments& a, Verb& chosen) {
    CLI::App* roll_verb =
        add_verb(app, "roll", "end the trading day while strategies trade", a, chosen, [&a] { return roll(a.common, a.roll); });
    roll_verb->add_option("--reason", a.roll.reason, "why, up to 95 bytes");
    roll_verb->add_option("--day", a.roll.day, "end this day, or nothing: exit 1 when another one is open")
        ->check(CLI::PositiveNumber);
    roll_verb->add_flag("--expire-day", a.roll.expire_day, "first report every live day order as expired");
}

/// A verb about one file, wherever it lies.
CLI::App* add_file_verb(CLI::App& app, const std::string& name, const std::string& help, Arguments& a, Verb& chosen, Verb run) {
    CLI::App* verb = app.add_subcommand(name, help);
    verb->add_option("FILE", a.file, "the file")->required();
    verb->add_flag("--json", a.common.json, "one JSON object a line");
    verb->callback([&chosen, run = std::move(run)] { chosen = run; });
    return verb;
}

void add_disk_verbs(CLI::App& app, Arguments& a, Verb& chosen) {
    CLI::App* checkpoint_verb = add_verb(app, "checkpoint", "write a checkpoint of everything committed now", a, chosen,
                                         [&a] { return checkpoint(a.common, a.timeout_ms); });
    checkpoint_verb->add_option("--timeout-ms", a.timeout_ms, "how long to wait for it, default 60000")
        ->check(CLI::Range(1U, 3600000U));
    CLI::App* info = add_file_verb(app, "checkpoint-info", "check one checkpoint file and say what it holds", a, chosen,
                                   [&a] { return checkpoint_info(a.file, a.key_file, a.common.json); });
    info->add_option("--key-file", a.key_file, "file with the key, for a checkpoint that is signed");
    info = add_file_verb(app, "journal-info", "check one journal file and say what it holds", a, chosen,
                         [&a] { return journal_info(a.file, a.key_file, a.common.json); });
    info->add_option("--key-file", a.key_file, "file with the key, for a journal that is signed");
    CLI::App* migrate_verb = add_file_verb(app, "migrate", "write a checkpoint of an earlier version anew as this build's", a,
                                           chosen, [&a] { return migrate(a.file, a.output, a.key_file, a.common.json); });
    migrate_verb->add_option("--output", a.output,
                             "where to write it; default: in its place, the one of before is kept beside it");
    migrate_verb->add_option("--key-file", a.key_file, "file with the key, for a checkpoint that is signed");
    CLI::App* recover_verb = add_verb(app, "recover", "adopt a surviving segment, or rebuild it from disk", a, chosen,
                                      [&a] { return recover(a.common, a.recover); });
    recover_verb->add_option("--key-file", a.recover.key_file,
                             "key of journal and checkpoints; default $RISKREG_KEY_FILE or as configured");
    recover_verb->add_flag("--accept-loss", a.recover.accept_loss,
                           "take what is left up to the first damage of acknowledged data");
    recover_verb->add_flag("--i-am-alone", a.recover.i_am_alone,
                           "your word that memory, or a machine, that cannot be seen from here is gone for good");
    recover_verb->add_flag("--from-disk", a.recover.from_disk, "set the segment aside and rebuild from the files");
    recover_verb->add_flag("--new-token", a.recover.new_token,
                           "this directory is a copy: make it a registry of its own, from its files");
    recover_verb->add_flag("--restore-lock", a.recover.restore_lock,
                           "LOCK was lost: give it the token of the segment that is in memory, and adopt that");
}

/// Verbs that take files from outside, at the start of a day or against a venue.
void add_day_verbs(CLI::App& app, Arguments& a, Verb& chosen) {
    CLI::App* load_verb = add_verb(app, "load", "positions, limits, restricted list and open orders from a file", a, chosen,
                                   [&a] { return load(a.common, a.file); });
    load_verb->add_option("FILE", a.file, "JSON; - is stdin")->required();
    CLI::App* reconcile_verb = add_verb(app, "reconcile", "compare with what a venue says; exit 1 while something differs", a,
                                        chosen, [&a] { return reconcile(a.common, a.reconcile); });
    reconcile_verb->add_option("FILE", a.reconcile.file, "JSON or CSV; - is stdin")->required();
    reconcile_verb->add_option("--mode", a.reconcile.mode, "report (default), adopt what we lack, or correct")
        ->check(is_named({ReconcileMode::report, ReconcileMode::adopt, ReconcileMode::correct}));
    reconcile_verb->add_flag("--apply", a.reconcile.apply, "the same as --mode correct");
}

bool is_verb(const CLI::App& app, const std::string& name) {
    const auto verbs = app.get_subcommands({});
    return std::any_of(verbs.begin(), verbs.end(), [&](const CLI::App* verb) { return verb->get_name() == name; });
}

/// A verb that does not exist, or not yet.
int unknown_verb(const CLI::App& app, const std::string& name) {
    if (name == "top") {
        std::fprintf(stderr, "riskctl: 'top' is not built in this release (CHANGELOG.md)\n");
        return kUsage;
    }
    std::string known;
    for (const CLI::App* verb : app.get_subcommands({})) known += " " + verb->get_name();
    std::fprintf(stderr, "riskctl: no verb '%s', allowed:%s\n", name.c_str(), known.c_str());
    return kUsage;
}

int guarded(const Verb& verb) {
    try {
        return verb();
    } catch (const riskreg::Error& error) {
        std::fprintf(stderr, "riskctl: %s\n", error.what());
        return exit_code(error.code());
    } catch (const std::bad_alloc&) {
        std::fprintf(stderr, "riskctl: out of memory\n");
        return kCannotAttach;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "riskctl: %s\n", error.what());
        return kCannotAttach;
    }
}

int run(int argc, char** argv) {
    CLI::App app{"riskctl: a registry of orders and pre-trade risk in shared memory"};
    app.require_subcommand(1);
    Arguments arguments;
    Verb chosen;
    add_trading_verbs(app, arguments, chosen);
    add_looking_verbs(app, arguments, chosen);
    add_control_verbs(app, arguments, chosen);
    add_roll_verb(app, arguments, chosen);
    add_disk_verbs(app, arguments, chosen);
    add_day_verbs(app, arguments, chosen);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (argc > 1 && argv[1][0] != '-' && !is_verb(app, argv[1])) return unknown_verb(app, argv[1]);
        return app.exit(error) == 0 ? kDone : kUsage;
    }
    return guarded(chosen);
}

}  // namespace
}  // namespace riskctl

int main(int argc, char** argv) {
    return riskreg::program::run("riskctl", [&] { return riskctl::run(argc, argv); });
}
