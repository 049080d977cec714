// reconcile: what a venue says it has against what the registry has.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <memory>

#include "common/program.hpp"
#include "registry/names.hpp"
#include "riskctl/named.hpp"
#include "riskctl/output.hpp"
#include "riskctl/venue_file.hpp"

namespace riskctl {

using namespace riskreg;
using registry::ReconcileSummary;

namespace {

constexpr std::string_view kClean = "reconciled: clean";
constexpr std::string_view kSecondPerson = "a second person has to approve it";

/// What became of `unreconciled`.
struct Release {
    std::string_view outcome;   ///< no, released, requested, kept, refused
    std::string why;
    Verdict verdict;
};

Release release(Registry& registry, const VenueRecords& venue, const ReconcileSummary& summary) {
    if (!registry.status().unreconciled) return {"no", {}, {}};
    if (summary.left > 0) return {"kept", "breaks are left", {}};
    // What changed after the statement was not compared, and one from before the recovery says nothing of what was lost.
    if (summary.newer > 0) return {"kept", "something here is newer than the file: compare with a newer one", {}};
    if (venue.time_ns <= registry.status().recovered_ns)
        return {"kept", "the file is older than the recovery: compare with a newer one", {}};
    // A statement without one of both proves nothing about the other.
    if (!venue.orders || !venue.positions)
        return {"kept", std::string("the file has no ") + (venue.orders ? "positions" : "orders"), {}};
    for (const ApprovalView& approval : registry.reader().approvals()) {
        if (!approval.unreconciled || approval.approved || approval.lapsed) continue;
        Verdict asked;   // by a run before this one
        asked.request = approval.request;
        return {"requested", std::string(kSecondPerson), asked};
    }
    const Verdict verdict = registry.release_unreconciled(kClean);
    if (verdict.result != Result::ok) return {"refused", describe(registry.reader(), verdict), verdict};
    if (verdict.request != 0) return {"requested", std::string(kSecondPerson), verdict};
    return {"released", {}, verdict};
}

void print_objects(const Reader& reader, const Reconciliation& done, const ReconcileSummary& summary) {
    for (const Settlement& settlement : done.breaks) print_json(settlement, reader);
    for (const Break& newer : done.newer) print_json(newer, reader);
    print_json(summary);
}

void print_table(const Reader& reader, const Reconciliation& done, const ReconcileSummary& summary) {
    Table table({"break", "account", "instrument", "id", "exec id", "ours", "theirs", "outcome"});
    const auto add = [&](const Break& what, std::string outcome) {
        table.add({std::string(name_of(what.kind)), reader.name(what.account), reader.name(what.instrument), what.id,
                   what.exec_id, what.ours, what.theirs, std::move(outcome)});
    };
    for (const Settlement& settlement : done.breaks) {
        std::string outcome = settlement.settled ? "settled" : "left";
        if (!settlement.deed.empty())
            outcome += " (" + settlement.deed + ": " + std::string(name_of(settlement.verdict.result));
        if (!settlement.deed.empty() && !settlement.verdict.taken()) outcome += " " + describe(reader, settlement.verdict);
        if (!settlement.note.empty()) outcome += (settlement.deed.empty() ? " (" : ", ") + settlement.note;
        if (!settlement.deed.empty() || !settlement.note.empty()) outcome += ")";
        add(settlement.what, std::move(outcome));
    }
    for (const Break& newer : done.newer) add(newer, "newer than the file, left alone");
    if (!table.empty()) table.print();
    std::printf("%s: %zu breaks, %zu settled, %zu left, %zu newer than the file\n", summary.left == 0 ? "clean" : "NOT CLEAN",
                summary.found, summary.settled, summary.left, summary.newer);
}

void print_release(const Common& common, const Release& released) {
    const std::string why = released.why.empty() ? "" : ": " + released.why;
    if (released.outcome == "released" && !common.json) std::printf("the firm is released\n");
    if (released.outcome == "requested")
        std::fprintf(stderr, "riskctl: release requested%s: riskctl approve %s %llu\n", why.c_str(), common.name.c_str(),
                     static_cast<unsigned long long>(released.verdict.request));
    if (released.outcome == "kept" || released.outcome == "refused")
        std::fprintf(stderr, "riskctl: the firm stays unreconciled%s\n", why.c_str());
}

struct ReconcileOptions {
    std::string file;
    std::string mode = "report";
    bool apply = false;   ///< the same as mode `correct`
};

ReconcileMode mode_of(const ReconcileOptions& options) {
    if (options.apply && options.mode == "adopt")
        throw Error(Errc::bad_input, "--apply: seen with --mode adopt, allowed: one of both (--apply is --mode correct)");
    if (options.apply) return ReconcileMode::correct;
    if (const auto mode = base::value_named<ReconcileMode>(options.mode)) return *mode;
    throw Error(Errc::bad_input, "--mode: seen '" + options.mode + "', allowed: report, adopt, correct");
}

VenueRecords read_venue_file(const std::string& path, const Reader& reader) {
    const std::string text = read_bounded(path);
    try {
        return parse_venue_file(text, reader);
    } catch (const Error& error) {
        throw Error(error.code(), path + ": " + error.what());
    }
}

bool is_poisoned(const Reconciliation& done) {
    return std::any_of(done.breaks.begin(), done.breaks.end(),
                       [](const Settlement& settlement) { return settlement.verdict.reason == DenyReason::poisoned; });
}

int reconcile(const Common& common, const ReconcileOptions& options) {
    const ReconcileMode mode = mode_of(options);
    ProcessConfig config;
    config.state_dir = common.state_dir;
    config.request_timeout_ns = 1'000'000'000;
    config.host_snapshotter = true;   // when nobody else does: what was corrected is on disk when this ends
    Registry registry = Registry::open(common.name, config);
    const program::Leaving leaving("riskctl", registry, common.name);
    const VenueRecords venue = read_venue_file(options.file, registry.reader());
    if (venue.time_ns / 1'000'000'000 > std::time(nullptr))
        std::fprintf(stderr, "riskctl: warning: the file's time is ahead of this host's clock: nothing counts as newer\n");
    const Reconciliation done = apply(registry, venue, mode);
    ReconcileSummary summary = registry::sum_up(common.name, mode, venue, done);
    const Release released = release(registry, venue, summary);
    summary.unreconciled = released.outcome;
    summary.request = released.verdict.request;
    common.json ? print_objects(registry.reader(), done, summary) : print_table(registry.reader(), done, summary);
    print_release(common, released);
    if (is_poisoned(done)) return kDamaged;
    return done.left.empty() && released.outcome != "refused" ? kDone : kNo;
}

Run add_reconcile(CLI::App& verb, const Common& common) {
    auto options = std::make_shared<ReconcileOptions>();
    verb.add_option("FILE", options->file, "JSON or CSV; - is stdin")->required();
    verb.add_option("--mode", options->mode, "report (default), adopt what we lack, or correct")
        ->check(is_named({ReconcileMode::report, ReconcileMode::adopt, ReconcileMode::correct}));
    verb.add_flag("--apply", options->apply, "the same as --mode correct");
    return [&common, options] { return reconcile(common, *options); };
}

}  // namespace

Verb reconcile_verb() { return {"reconcile", "compare with what a venue says; exit 1 while something differs", add_reconcile}; }

}  // namespace riskctl
