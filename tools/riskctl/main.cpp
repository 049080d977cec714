// riskctl: the command line. Parses, dispatches, maps errors to exit codes; the verbs live beside this file.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <new>

#include "common/program.hpp"
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

/// Before anything is opened: what is made then is the owner's.
void become_owner(const Common& common) {
    riskreg::segment::become_owner(riskreg::segment::resolve_state_dir(common.state_dir), common.name);
}

/// The words and options that verbs about one subject share.
void add_common(CLI::App& verb, Subject subject, Common& common) {
    if (subject != Subject::file) {
        verb.add_option("NAME", common.name, "name of the registry")->required(subject == Subject::registry);
        verb.add_option("--state-dir", common.state_dir,
                        "default $RISKREG_STATE_DIR, else $XDG_STATE_HOME/riskreg, else ~/.local/state/riskreg");
    }
    verb.add_flag("--json", common.json, "one JSON object a line");
    if (subject != Subject::file)
        verb.add_flag("--as-owner", common.as_owner, "as root: with the rights of the registry's owner");
}

void add_verb(CLI::App& app, const Verb& entry, Common& common, Run& chosen) {
    CLI::App* verb = app.add_subcommand(entry.name, entry.help);
    add_common(*verb, entry.subject, common);
    verb->callback([&common, &chosen, run = entry.add(*verb, common)] {
        chosen = [&common, run] {
            if (common.as_owner) become_owner(common);
            return run();
        };
    });
}

bool is_verb(const std::string& name) {
    return std::any_of(verbs().begin(), verbs().end(), [&](const Verb& verb) { return name == verb.name; });
}

/// A verb that does not exist, or not yet.
int unknown_verb(const std::string& name) {
    if (name == "top") {
        std::fprintf(stderr, "riskctl: 'top' is not built in this release (CHANGELOG.md)\n");
        return kUsage;
    }
    std::string known;
    for (const Verb& verb : verbs()) known.append(" ").append(verb.name);
    std::fprintf(stderr, "riskctl: no verb '%s', allowed:%s\n", name.c_str(), known.c_str());
    return kUsage;
}

int guarded(const Run& verb) {
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
    Common common;
    Run chosen;
    CLI::App app{"riskctl: a registry of orders and pre-trade risk in shared memory"};
    app.require_subcommand(1);
    for (const Verb& verb : verbs()) add_verb(app, verb, common, chosen);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (argc > 1 && argv[1][0] != '-' && !is_verb(argv[1])) return unknown_verb(argv[1]);
        return app.exit(error) == 0 ? kDone : kUsage;
    }
    return guarded(chosen);
}

}  // namespace
}  // namespace riskctl

int main(int argc, char** argv) {
    return riskreg::program::run("riskctl", [&] {
        char** const words = riskreg::program::arguments(argc, argv);   // before `argc` is read: it may change that
        return riskctl::run(argc, words);
    });
}
