// create, halt, resume, approve, clock, limit, verify, destroy.
#include <unistd.h>

#include <cstdio>

#include "riskctl/output.hpp"
#include "riskctl/verbs.hpp"

namespace riskctl {

using namespace riskreg;

namespace {

constexpr std::size_t kMaxReasonBytes = 95;

void require_reason(const std::string& reason) {
    if (reason.empty() || reason.size() > kMaxReasonBytes)
        throw Error(Errc::bad_input, "--reason: seen " + std::to_string(reason.size()) + " bytes, allowed: 1 to " +
                                         std::to_string(kMaxReasonBytes));
}

Registry open_operator(const Common& common) {
    ProcessConfig config;
    config.state_dir = common.state_dir;
    config.request_timeout_ns = 1'000'000'000;
    config.host_snapshotter = true;   // when nobody else does: what an operator did is on disk when this ends
    return Registry::open(common.name, config);
}

TradingState state_named(const std::string& name, TradingState fallback) {
    for (const TradingState state : {TradingState::active, TradingState::warn, TradingState::reducing_only,
                                     TradingState::cancel_only, TradingState::halted})
        if (name == name_of(state)) return state;
    return fallback;
}

void warn_not_on_disk() {
    std::fprintf(stderr, "riskctl: not on disk yet: it holds for every process now, and not after a loss of power\n");
}

std::string why_denied(const Registry& registry, const std::string& scope, const Verdict& verdict) {
    if (verdict.reason == DenyReason::not_allowed)
        return "the scope is in state " +
               std::string(name_of(registry.reader().exposure(registry.reader().scope(scope)).state)) +
               ": a halt never lowers a state, a resume never raises one";
    return describe(registry.reader(), verdict);
}

/// Prints what became of an operator's request.
int report(const Common& common, const Registry& registry, const std::string& scope, const Verdict& verdict,
           const std::string& done) {
    if (common.json) {
        JsonWriter out;
        out.begin_object();
        // A refusal names its scope itself.
        if (verdict.scope.kind == ScopeKind::none) out.member("scope", scope);
        write_verdict(out, registry.reader(), verdict);
        print_line(out.end_object().text());
    }
    if (verdict.result == Result::ok) {
        if (!common.json && verdict.request == 0) std::printf("%s\n", done.c_str());
        if (!common.json && verdict.request != 0)
            std::printf(
                "four eyes: nothing changed yet; request %llu waits: `riskctl approve %s %llu` must be run by another user\n",
                static_cast<unsigned long long>(verdict.request), common.name.c_str(),
                static_cast<unsigned long long>(verdict.request));
        if (verdict.durability == Durability::pending) warn_not_on_disk();
        return kDone;
    }
    std::fprintf(stderr, "riskctl: %s: %s\n", scope.c_str(), why_denied(registry, scope, verdict).c_str());
    return verdict.reason == DenyReason::poisoned ? kDamaged : kNo;
}

}  // namespace

int create(const Common& common, const std::string& config_file) {
    const SharedConfig config = parse_config(read_file(config_file));
    for (const std::string& warning : config.warnings) std::fprintf(stderr, "riskctl: warning: %s\n", warning.c_str());
    Registry::create(common.name, config, common.state_dir);
    const StatusView view = Reader::open(common.name, common.state_dir).status();
    if (common.json) {
        JsonWriter out;
        out.begin_object().member("name", common.name).member("segment", view.segment).member("size_bytes", view.size_bytes);
        print_line(out.end_object().text());
    } else {
        std::printf("created '%s': %zu instruments, %zu accounts, %zu strategies, %llu MiB in /dev/shm/%s\n",
                    common.name.c_str(), config.instruments.size(), config.accounts.size(), config.strategies.size(),
                    static_cast<unsigned long long>(view.size_bytes >> 20), view.segment.c_str());
    }
    return kDone;
}

int halt(const Common& common, const StateOptions& options) {
    require_reason(options.reason);
    Registry registry = open_operator(common);
    const Scope scope = require_scope(registry.reader(), options.scope);
    const TradingState state = state_named(options.state, TradingState::halted);
    const Verdict verdict = registry.halt(scope, state, options.reason);
    return report(common, registry, options.scope, verdict,
                  options.scope + " is " + std::string(name_of(state)) + " (event " + std::to_string(verdict.seq) + ")");
}

int resume(const Common& common, const StateOptions& options) {
    require_reason(options.reason);
    if (options.unreconciled == !options.scope.empty())
        throw Error(Errc::bad_input, "resume: give either --scope or --unreconciled");
    Registry registry = open_operator(common);
    if (options.unreconciled) {
        const Verdict verdict = registry.release_unreconciled(options.reason);
        if (verdict.reason == DenyReason::not_allowed) {
            std::fprintf(stderr, "riskctl: the registry is not unreconciled\n");
            return kNo;
        }
        return report(common, registry, "firm", verdict, "the firm is released (event " + std::to_string(verdict.seq) + ")");
    }
    const Scope scope = require_scope(registry.reader(), options.scope);
    const TradingState state = state_named(options.state, TradingState::active);
    const Verdict verdict = registry.resume(scope, state, options.reason);
    return report(common, registry, options.scope, verdict,
                  options.scope + " is " + std::string(name_of(state)) + " (event " + std::to_string(verdict.seq) + ")");
}

int set_clock(const Common& common, const std::string& reason) {
    require_reason(reason);
    Registry registry = open_operator(common);
    const Verdict verdict = registry.set_clock(reason);
    return report(common, registry, "firm", verdict,
                  "the times of events go on from this machine's clock (event " + std::to_string(verdict.seq) + ")");
}

int approve(const Common& common, std::uint64_t request) {
    Registry registry = open_operator(common);
    Verdict verdict = registry.approve(request);
    verdict.request = 0;   // the answer is about the one that was named
    if (common.json) {
        JsonWriter out;
        out.begin_object().member("request", request);
        write_verdict(out, registry.reader(), verdict);
        print_line(out.end_object().text());
    }
    if (verdict.result == Result::ok) {
        if (!common.json)
            std::printf("request %llu is approved and done (event %llu)\n", static_cast<unsigned long long>(request),
                        static_cast<unsigned long long>(verdict.seq));
        if (verdict.durability == Durability::pending) warn_not_on_disk();
        return kDone;
    }
    const std::string why = verdict.reason == DenyReason::not_allowed ? "not_allowed: four eyes need two users, and user " +
                                                                            std::to_string(::getuid()) + " asked for it"
                            : verdict.reason == DenyReason::invalid_field
                                ? "invalid_field: no such request is open; `riskctl approvals " + common.name + "` lists them"
                                : describe(registry.reader(), verdict);
    std::fprintf(stderr, "riskctl: request %llu: %s\n", static_cast<unsigned long long>(request), why.c_str());
    return verdict.reason == DenyReason::poisoned ? kDamaged : kNo;
}

namespace {

void assign(Limits& limits, LimitMask& fields, const std::string& assignment) {
    const std::size_t equals = assignment.find('=');
    const std::string name = assignment.substr(0, equals);
    std::vector<std::string_view> known;
    for (std::size_t i = 0; i < persist::kLimitFields.size(); ++i) {
        const persist::LimitField& field = persist::kLimitFields[i];
        known.push_back(field.name);
        if (field.name != name || equals == std::string::npos) continue;
        limits.*field.member = persist::parse_limit(field, assignment.substr(equals + 1));
        fields = static_cast<LimitMask>(fields | 1U << i);
        return;
    }
    throw Error(Errc::bad_input, "FIELD=VALUE: seen '" + assignment + "', allowed fields: " + join(known, " "));
}

}  // namespace

int limit(const Common& common, const std::string& scope_text, const std::string& reason,
          const std::vector<std::string>& assignments) {
    if (!reason.empty()) require_reason(reason);
    Registry registry = open_operator(common);
    const Scope scope = require_scope(registry.reader(), scope_text);
    Limits limits;
    LimitMask fields = 0;
    for (const std::string& assignment : assignments) assign(limits, fields, assignment);
    const Verdict verdict = registry.set_limits(scope, limits, reason, fields);
    return report(common, registry, scope_text, verdict,
                  scope_text + ": limits changed (event " + std::to_string(verdict.seq) + ")");
}

namespace {

std::int64_t require_time(const std::string& option, const std::string& text, std::int64_t otherwise) {
    if (text.empty()) return otherwise;
    const auto time = persist::parse_time(text);
    if (!time)
        throw Error(Errc::bad_input,
                    option + ": seen '" + text + "', allowed: a UTC time like 2026-11-25T08:00:00Z, or a date");
    return *time;
}

}  // namespace

int restrict_scope(const Common& common, const RestrictOptions& options) {
    if (!options.reason.empty()) require_reason(options.reason);
    Restriction entry;
    entry.scope = options.scope;
    entry.buy = options.sides == "both" || options.sides == "buy";
    entry.sell = options.sides == "both" || options.sides == "sell";
    entry.reason = options.reason;
    entry.from_ns = require_time("--from", options.from, entry.from_ns);
    entry.to_ns = require_time("--to", options.to, entry.to_ns);
    if (entry.to_ns <= entry.from_ns)
        throw Error(Errc::bad_input, "--to: seen '" + options.to + "', allowed: a time after --from");
    Registry registry = open_operator(common);
    const Verdict verdict = registry.restrict(require_scope(registry.reader(), options.scope), entry);
    return report(common, registry, options.scope, verdict,
                  options.scope + (entry.buy || entry.sell ? " is on" : " is off") + " the restricted list (event " +
                      std::to_string(verdict.seq) + ")");
}

int verify(const Common& common) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    const bool poisoned = reader.status().poisoned;
    const AuditView view = reader.audit();
    const bool clean = view.violations.empty();
    char digest[20];
    std::snprintf(digest, sizeof digest, "%016llx", static_cast<unsigned long long>(view.digest));
    if (common.json) {
        JsonWriter out;
        out.begin_object()
            .member("name", common.name)
            .member_bool("clean", clean && !poisoned)
            .member_bool("complete", view.complete)
            .member_bool("poisoned", poisoned);
        out.member("seq", view.seq).member("orders", view.orders).member("live", view.live).member("ids", view.ids);
        out.member("executions", view.executions).member("quarantined", view.quarantined).member("rows", view.rows);
        out.member("digest", digest).key("violations").begin_array();
        for (const std::string& violation : view.violations) out.string(violation);
        print_line(out.end_array().end_object().text());
    } else {
        std::printf("%s: %llu orders (%llu live), %llu executions, %llu quarantined, %llu rows at sequence %llu, digest %s\n",
                    clean ? "clean" : "NOT CLEAN", static_cast<unsigned long long>(view.orders),
                    static_cast<unsigned long long>(view.live), static_cast<unsigned long long>(view.executions),
                    static_cast<unsigned long long>(view.quarantined), static_cast<unsigned long long>(view.rows),
                    static_cast<unsigned long long>(view.seq), digest);
        for (const std::string& violation : view.violations) std::printf("  %s\n", violation.c_str());
        if (!view.complete)
            std::printf("  writers did not pause: books, content index and times of messages were not looked at in full\n");
    }
    if (poisoned) {
        std::fprintf(stderr,
                     "riskctl: '%s' is poisoned: every call is refused; keep what is needed, then `riskctl destroy %s`\n",
                     common.name.c_str(), common.name.c_str());
        return kDamaged;
    }
    return clean ? kDone : kNo;
}

int destroy(const Common& common, bool keep_files, bool force) {
    try {
        Registry::destroy(common.name, common.state_dir, keep_files, force);
    } catch (const Error& error) {
        if (error.code() != Errc::busy) throw;
        std::fprintf(stderr, "riskctl: %s\n", error.what());
        return kNo;
    }
    if (common.json) {
        JsonWriter out;
        print_line(out.begin_object().member("name", common.name).member("result", "destroyed").end_object().text());
    } else {
        std::printf("destroyed '%s'\n", common.name.c_str());
    }
    return kDone;
}

}  // namespace riskctl
