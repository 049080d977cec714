// riskreg-demo: the command line.
#include <CLI/CLI.hpp>
#include <string_view>

#include "common/program.hpp"
#include "demo/director.hpp"

namespace {

int run(int argc, char** argv) {
    if (argc > 1 && std::string_view(argv[1]) == "--child") return demo::run_child({argv + 2, argv + argc});
    demo::Options options;
    CLI::App app(
        "Creates a registry in a temporary directory, lets four strategy processes trade through it against a simulated\n"
        "venue, kills one of them inside its critical section and later all of them, recovers, audits, and prints what\n"
        "happened. Exit status 0: nothing lost, no limit exceeded, audit clean.",
        "riskreg-demo");
    app.add_option("--seconds", options.seconds, "how long to trade, default 5")->check(CLI::Range(2U, 60U));
    app.add_flag("--keep", options.keep, "leave the registry in place afterwards, for riskctl to look at");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    return demo::run(options);
}

}  // namespace

int main(int argc, char** argv) {
    return riskreg::program::run("riskreg-demo", [&] {
        char** const words = riskreg::program::arguments(argc, argv);   // before `argc` is read: it may change that
        return ::run(argc, words);
    });
}
