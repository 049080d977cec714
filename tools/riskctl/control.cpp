// create, halt, resume, approve, clock, limit, verify, destroy.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>

#include "base/descriptor.hpp"
#include "base/names.hpp"
#include "common/program.hpp"
#include "registry/approval_socket.hpp"
#include "registry/attachment.hpp"
#include "riskctl/limit_change.hpp"
#include "riskctl/named.hpp"
#include "riskctl/output.hpp"
#include "riskctl/verbs.hpp"
#include "segment/lifecycle.hpp"
#include "segment/process.hpp"
#include "segment/segment_name.hpp"

namespace riskctl {

using namespace riskreg;
using persist::JsonWriter;
using registry::AfterHalt;
using registry::FieldChange;

namespace {

constexpr std::size_t kMaxReasonBytes = 95;
constexpr const char* kReasonHelp = "why, up to 95 bytes";

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
    return base::value_named<TradingState>(name).value_or(fallback);
}

void warn_not_on_disk() {
    std::fprintf(stderr, "riskctl: not on disk yet: it holds for every process now, and not after a loss of power\n");
}

/// What goes on stopping orders of a scope, and the line that releases it.
std::string release_of(const Common& common, const Reader& reader, const ExposureView& row) {
    if (row.effective_state == "unreconciled")
        return "compare with the venue, " + line_to_paste(common, "reconcile", "FILE") +
               ", or take it on your word: " + line_to_paste(common, "resume", "--unreconciled --reason T");
    return line_to_paste(common, "resume", "--scope " + shell_word(reader.name(row.effective_scope)) + " --reason T");
}

/// A resume of what is not above the state asked for, or a halt to less than what is there.
std::string why_not_changed(const Common& common, const Reader& reader, const std::string& scope, bool resumes) {
    const ExposureView row = reader.exposure(reader.scope(scope));
    const std::string own(name_of(row.state));
    if (!resumes)
        return "it is " + own + " already, by \"" + row.state_reason + "\", and a halt never lowers a state; to lower it: " +
               line_to_paste(common, "resume", "--scope " + shell_word(scope) + " --state S --reason T");
    if (row.effective_state == own) return "it is " + own + ": there is nothing to resume, and a resume never raises a state";
    if (row.effective_state == "unreconciled")
        return "what stops it is that the firm is unreconciled (" + row.effective_reason +
               "), and no halt: " + release_of(common, reader, row);
    return "it is " + own + " itself, and stopped by " + reader.name(row.effective_scope) + ", which is " +
           row.effective_state + " (" + row.effective_reason + "): " + release_of(common, reader, row);
}

enum class Asked : unsigned char { halt, resume, other };

std::string why_denied(const Common& common, const Registry& registry, const std::string& scope, const Verdict& verdict,
                       Asked asked) {
    if (verdict.reason == DenyReason::not_allowed && asked != Asked::other)
        return why_not_changed(common, registry.reader(), scope, asked == Asked::resume);
    return describe(registry.reader(), verdict);
}

using Members = std::function<void(JsonWriter&)>;

/// Prints what became of an operator's request. `more`: further members of the JSON.
int report(const Common& common, const Registry& registry, const std::string& scope, const Verdict& verdict,
           const std::string& done, Asked asked = Asked::other, const Members& more = {}) {
    if (common.json) {
        JsonWriter out;
        registry::write_answer(out.begin_object(), scope, verdict, registry.reader());
        if (more) more(out);
        print_line(out.end_object().text());
    }
    if (verdict.result == Result::ok) {
        if (!common.json && verdict.request == 0) std::printf("%s\n", done.c_str());
        if (!common.json && verdict.request != 0)
            std::printf("four eyes: nothing changed yet; request %llu waits: `%s` must be run by another user\n",
                        static_cast<unsigned long long>(verdict.request),
                        line_to_paste(common, "approve", std::to_string(verdict.request)).c_str());
        if (verdict.durability == Durability::pending) warn_not_on_disk();
        return kDone;
    }
    std::fprintf(stderr, "riskctl: %s: %s\n", scope.c_str(), why_denied(common, registry, scope, verdict, asked).c_str());
    return verdict.reason == DenyReason::poisoned ? kDamaged : kNo;
}

int create(const Common& common, const std::string& config_file, bool network_fs) {
    const SharedConfig config = parse_config(read_file(config_file));
    for (const std::string& warning : config.warnings) std::fprintf(stderr, "riskctl: warning: %s\n", warning.c_str());
    Registry::create(common.name, config, common.state_dir, network_fs);
    const std::string directory = segment::resolve_state_dir(common.state_dir);
    if (config.persistence_mode != PersistenceMode::none && segment::is_in_memory(directory))
        std::fprintf(stderr,
                     "riskctl: warning: %s is in memory (tmpfs): what is answered as durable does not survive a reboot; give "
                     "--state-dir on a disk\n",
                     directory.c_str());
    const StatusView view = Reader::open(common.name, common.state_dir).status();
    if (common.json) {
        print_json(registry::Created{view});
    } else {
        std::printf("created '%s': %zu instruments, %zu accounts, %zu strategies, %llu MiB in %s/%s\n", common.name.c_str(),
                    config.instruments.size(), config.accounts.size(), config.strategies.size(),
                    static_cast<unsigned long long>(view.size_bytes >> 20), segment::segment_folder().c_str(),
                    view.segment.c_str());
    }
    return kDone;
}

AfterHalt look_after_halt(const Common& common, const Reader& reader, const Scope& scope, const std::string& text) {
    AfterHalt after = registry::look_after_halt(scope, reader);
    const std::string which = after.row.state == TradingState::halted ? "--kill-list" : "--live";
    after.list = line_to_paste(common, "orders", which + " --scope " + shell_word(text));
    return after;
}

std::string halt_text(const std::string& scope, const AfterHalt& after, const Verdict& verdict) {
    const std::string event = "event " + std::to_string(verdict.seq), state(name_of(after.row.state));
    std::string text = scope + " is " + state + " (" + event + ")";
    if (verdict.already)
        text = scope + " was " + state + " since " + persist::format_time(after.row.state_changed_ns) + " (" +
               age_of(after.row.state_changed_ns) + ", uid " + std::to_string(after.row.state_uid) +
               ") because: " + after.row.state_reason + "\nthat stays; this halt is " + event;
    const bool halted = after.row.state == TradingState::halted;
    const std::uint64_t count = halted ? after.to_cancel : after.live;
    text += halted ? "\norders to cancel at the venue now: " : "\nlive orders, which stay: ";
    text += std::to_string(count);
    return count == 0 ? text : text + "\nlist them: " + after.list;
}

struct StateOptions {
    std::string scope, reason, state;
    bool unreconciled = false;
};

int halt(const Common& common, const StateOptions& options) {
    require_reason(options.reason);
    Registry registry = open_operator(common);
    const program::Leaving leaving("riskctl", registry, common.name);
    const Scope scope = require_scope(registry.reader(), options.scope);
    const TradingState state = state_named(options.state, TradingState::halted);
    const Verdict verdict = registry.halt(scope, state, options.reason);
    if (verdict.result != Result::ok) return report(common, registry, options.scope, verdict, {}, Asked::halt);
    const AfterHalt after = look_after_halt(common, registry.reader(), scope, options.scope);
    return report(common, registry, options.scope, verdict, halt_text(options.scope, after, verdict), Asked::halt,
                  [&](JsonWriter& out) { registry::write(out, after, verdict); });
}

/// The scope is released, and may be stopped all the same.
int report_resume(const Common& common, const Registry& registry, const std::string& scope, const Verdict& verdict,
                  const std::string& done) {
    const Reader& reader = registry.reader();
    const ExposureView row = reader.exposure(reader.scope(scope));
    std::string text = done;
    const bool by_another = row.effective_state != "active" && row.effective_state != name_of(row.state);
    if (by_another)
        text += "\nits orders are still stopped: " + effective_text(reader, row) +
                "\nto release that: " + release_of(common, reader, row);
    return report(common, registry, scope, verdict, text, Asked::resume,
                  [&](JsonWriter& out) { registry::write_effective(out, row, reader); });
}

int resume(const Common& common, const StateOptions& options) {
    require_reason(options.reason);
    if (options.unreconciled == !options.scope.empty())
        throw Error(Errc::bad_input, "resume: give either --scope or --unreconciled");
    Registry registry = open_operator(common);
    const program::Leaving leaving("riskctl", registry, common.name);
    if (options.unreconciled) {
        const Verdict verdict = registry.release_unreconciled(options.reason);
        if (verdict.reason == DenyReason::not_allowed) {
            std::fprintf(stderr, "riskctl: the registry is not unreconciled\n");
            return kNo;
        }
        return report_resume(common, registry, "firm", verdict,
                             "the firm is released (event " + std::to_string(verdict.seq) + ")");
    }
    const Scope scope = require_scope(registry.reader(), options.scope);
    const TradingState state = state_named(options.state, TradingState::active);
    const Verdict verdict = registry.resume(scope, state, options.reason);
    return report_resume(common, registry, options.scope, verdict,
                         options.scope + " is " + std::string(name_of(state)) + " (event " + std::to_string(verdict.seq) + ")");
}

int set_clock(const Common& common, const std::string& reason) {
    require_reason(reason);
    Registry registry = open_operator(common);
    const program::Leaving leaving("riskctl", registry, common.name);
    const Verdict verdict = registry.set_clock(reason);
    return report(common, registry, "firm", verdict,
                  "the times of events go on from this machine's clock (event " + std::to_string(verdict.seq) + ")");
}

std::string why_not_approved(const std::string& reason) {
    if (reason == "not_allowed")
        return "not_allowed: you asked for it yourself, or are not among the configuration's approvers, or its scope has "
               "changed since";
    if (reason == "invalid_field") return "invalid_field: no such request is open";
    return reason;
}

/// As somebody who has no access to the registry: its host is asked, and the kernel tells it who asks.
int approve_by_socket(const Common& common, std::uint64_t request, const std::string& owner) {
    const std::string answer =
        registry::ask_for_approval(common.name, registry::user_named(owner), "approve " + std::to_string(request));
    const std::size_t space = std::min(answer.find(' '), answer.size());
    const bool done = answer.substr(0, space) == "ok";
    const std::string rest = answer.substr(std::min(space + 1, answer.size()));
    if (common.json) {
        const std::optional<std::uint64_t> seq =
            done ? std::optional<std::uint64_t>(std::strtoull(rest.c_str(), nullptr, 10)) : std::nullopt;
        print_json(registry::ApprovedByHost{request, seq, rest});
    }
    if (done && !common.json)
        std::printf("request %llu is approved and done (event %s)\n", static_cast<unsigned long long>(request), rest.c_str());
    if (!done)
        std::fprintf(stderr, "riskctl: request %llu: %s\n", static_cast<unsigned long long>(request),
                     why_not_approved(rest).c_str());
    return done ? kDone : kNo;
}

int approve(const Common& common, std::uint64_t request, const std::string& owner) {
    if (!owner.empty()) return approve_by_socket(common, request, owner);
    Registry registry = open_operator(common);
    const program::Leaving leaving("riskctl", registry, common.name);
    Verdict verdict = registry.approve(request);
    verdict.request = 0;   // the answer is about the one that was named
    if (common.json) print_json(registry::Approved{request, verdict}, registry.reader());
    if (verdict.result == Result::ok) {
        if (!common.json)
            std::printf("request %llu is approved and done (event %llu)\n", static_cast<unsigned long long>(request),
                        static_cast<unsigned long long>(verdict.seq));
        if (verdict.durability == Durability::pending) warn_not_on_disk();
        return kDone;
    }
    const std::string why =
        verdict.reason == DenyReason::not_allowed
            ? "not_allowed: four eyes need two users, and user " + std::to_string(segment::real_user_id()) + " asked for it"
        : verdict.reason == DenyReason::invalid_field
            ? "invalid_field: no such request is open; `riskctl approvals " + common.name + "` lists them"
            : describe(registry.reader(), verdict);
    std::fprintf(stderr, "riskctl: request %llu: %s\n", static_cast<unsigned long long>(request), why.c_str());
    return verdict.reason == DenyReason::poisoned ? kDamaged : kNo;
}

void assign(Limits& limits, LimitMask& fields, const std::string& assignment) {
    const std::size_t equals = assignment.find('=');
    const std::string name = assignment.substr(0, equals);
    std::vector<std::string_view> known;
    for (std::size_t i = 0; i < core::kLimits.size(); ++i) {
        const core::Limit& field = core::kLimits[i];
        known.push_back(field.name);
        if (field.name != name || equals == std::string::npos) continue;
        limits.*field.member = persist::parse_limit(field, assignment.substr(equals + 1));
        fields = static_cast<LimitMask>(fields | 1U << i);
        return;
    }
    throw Error(Errc::bad_input, "FIELD=VALUE: seen '" + assignment + "', allowed fields: " + join(known, " "));
}

int limit(const Common& common, const std::string& scope_text, const std::string& reason,
          const std::vector<std::string>& assignments) {
    if (!reason.empty()) require_reason(reason);
    Registry registry = open_operator(common);
    const program::Leaving leaving("riskctl", registry, common.name);
    const Scope scope = require_scope(registry.reader(), scope_text);
    Limits limits;
    LimitMask fields = 0;
    for (const std::string& assignment : assignments) assign(limits, fields, assignment);
    LimitsChange change;
    const Verdict verdict = registry.set_limits(scope, limits, reason, fields, change);
    if (verdict.result != Result::ok) return report(common, registry, scope_text, verdict, {});
    const std::vector<FieldChange> fields_changed = registry::changes_of(change, fields);
    const int code =
        report(common, registry, scope_text, verdict,
               scope_text + ": limits changed (event " + std::to_string(verdict.seq) + ")" + text_of_changes(fields_changed),
               Asked::other, [&](JsonWriter& out) { registry::write(out, fields_changed); });
    warn_of_exceeded(scope_text, fields_changed);
    return code;
}

std::int64_t require_time(const std::string& option, const std::string& text, std::int64_t otherwise) {
    if (text.empty()) return otherwise;
    const auto time = persist::parse_time(text);
    if (!time)
        throw Error(Errc::bad_input,
                    option + ": seen '" + text + "', allowed: a UTC time like 2026-11-25T08:00:00Z, or a date");
    return *time;
}

struct RestrictOptions {
    std::string scope, sides = "both", from, to, reason;
};

int restrict_scope(const Common& common, const RestrictOptions& options) {
    if (!options.reason.empty()) require_reason(options.reason);
    Restriction entry;
    entry.scope = options.scope;
    const base::Sides sides = base::value_named<base::Sides>(options.sides).value_or(base::Sides::none);
    entry.buy = sides == base::Sides::both || sides == base::Sides::buy;
    entry.sell = sides == base::Sides::both || sides == base::Sides::sell;
    entry.reason = options.reason;
    entry.from_ns = require_time("--from", options.from, entry.from_ns);
    entry.to_ns = require_time("--to", options.to, entry.to_ns);
    if (entry.to_ns <= entry.from_ns)
        throw Error(Errc::bad_input, "--to: seen '" + options.to + "', allowed: a time after --from");
    Registry registry = open_operator(common);
    const program::Leaving leaving("riskctl", registry, common.name);
    const Verdict verdict = registry.restrict(require_scope(registry.reader(), options.scope), entry);
    std::string done = options.scope + (entry.buy || entry.sell ? " is on" : " is off") + " the restricted list (event " +
                       std::to_string(verdict.seq) + ")";
    if (verdict.already) done += "\nit was on the list so before, and why it was put there stays";
    return report(common, registry, options.scope, verdict, done, Asked::other, [&](JsonWriter& out) {
        if (verdict.result == Result::ok) out.member_bool("already", verdict.already);
    });
}

void print_audit(const AuditView& view) {
    const auto text = [](std::uint64_t value) { return std::to_string(value); };
    std::printf("%s: %s orders (%s live), %s executions, %s quarantined, %s rows at sequence %s, digest %s\n",
                view.violations.empty() ? "clean" : "NOT CLEAN", text(view.orders).c_str(), text(view.live).c_str(),
                text(view.executions).c_str(), text(view.quarantined).c_str(), text(view.rows).c_str(), text(view.seq).c_str(),
                persist::hex_text(view.digest).c_str());
    for (const std::string& violation : view.violations) std::printf("  %s\n", violation.c_str());
    if (!view.complete)
        std::printf("  writers did not pause: books, content index and times of messages were not looked at in full\n");
}

int verify(const Common& common) {
    const Reader reader = Reader::open(common.name, common.state_dir);
    const StatusView status = reader.status();
    const AuditView view = reader.audit();
    const bool clean = view.violations.empty();
    if (common.json) print_json(view, status);
    else print_audit(view);
    if (status.poisoned) {
        std::fprintf(stderr,
                     "riskctl: '%s' is poisoned: every call is refused; keep what is needed, then `riskctl destroy %s`\n",
                     common.name.c_str(), common.name.c_str());
        return kDamaged;
    }
    return clean ? kDone : kNo;
}

/// What would be gone for ever.
struct Loss {
    std::uint64_t orders = 0, live = 0, positions = 0, quarantined = 0;
    std::vector<std::string> files;   // with events or tables in them
    bool in_memory = false;           // the numbers are of the segment; otherwise only the files are known

    [[nodiscard]] bool any() const noexcept { return orders + positions + quarantined > 0 || (!in_memory && !files.empty()); }
    [[nodiscard]] std::string text() const {
        std::string said = in_memory
                               ? std::to_string(orders) + " orders (" + std::to_string(live) + " live), " +
                                     std::to_string(positions) + " positions, " + std::to_string(quarantined) + " quarantined"
                               : std::string("what its files hold");
        said += files.empty() ? "; no files" : "; " + std::to_string(files.size()) + " files:";
        for (const std::string& file : files) said += " " + file;
        return said;
    }
};

void look_at_memory(Loss& loss, const Common& common) {
    try {
        const Reader reader = Reader::open(common.name, common.state_dir);
        const StatusView view = reader.status();
        loss.in_memory = true;
        loss.orders = view.orders_total;
        loss.live = view.orders_live;
        loss.quarantined = view.quarantined_records;
        reader.exposures([&](const ExposureView& row) {
            loss.positions += row.scope.kind == ScopeKind::account_instrument && row.position != Quantity{0} ? 1 : 0;
            return true;
        });
    } catch (const Error&) {
        // No segment, or one that cannot be read: then the files tell.
        loss.in_memory = false;
    }
}

Loss loss_of(const Common& common) {
    Loss loss;
    look_at_memory(loss, common);
    const std::string directory = segment::resolve_state_dir(common.state_dir) + "/" + common.name;
    std::vector<std::string> names;
    static_cast<void>(base::list_directory(directory, names));
    for (const std::string& name : names)
        if (name.starts_with("journal-") || name.starts_with("checkpoint-")) loss.files.push_back(name);
    std::sort(loss.files.begin(), loss.files.end());
    return loss;
}

/// True when whoever sits at the terminal typed the registry's name.
bool confirmed(const std::string& name) {
    std::fprintf(stderr, "type its name to destroy it: ");
    std::string typed;
    return std::getline(std::cin, typed) && typed == name;
}

/// Empty: go on. Otherwise why not.
std::string why_not_destroyed(const Common& common) {
    // What is refused in any case is refused for its own reason.
    const segment::LifecycleLock lock(segment::resolve_state_dir(common.state_dir), common.name, false);
    if (lock.is_held_by_others() || lock.record().stage == segment::Stage::destroyed) return {};
    const Loss loss = loss_of(common);
    if (!loss.any()) return {};
    const std::string would_go = "destroy '" + common.name + "': this would be gone for ever: " + loss.text();
    if (::isatty(STDIN_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0) {
        std::fprintf(stderr, "riskctl: %s\n", would_go.c_str());
        return confirmed(common.name) ? std::string()
                                      : "destroy: what was typed is not '" + common.name + "': nothing was removed";
    }
    const std::string where = common.state_dir.empty() ? std::string() : " --state-dir " + common.state_dir;
    return would_go + ". Nothing was removed. If that is meant: riskctl destroy " + common.name + where + " --yes";
}

void print_destroyed(const Common& common, const std::vector<std::string>& left) {
    if (common.json) return print_json(registry::Destroyed{common.name, left});
    std::printf("destroyed '%s'\n", common.name.c_str());
    for (const std::string& name : left) std::printf("  left, for it is not a registry's: %s\n", name.c_str());
}

struct DestroyOptions {
    bool keep_files = false, force = false, yes = false;
};

int destroy(const Common& common, const DestroyOptions& options) {
    segment::require_valid_name(common.name);
    const bool asks = !options.keep_files && !options.force && !options.yes;
    if (const std::string why = asks ? why_not_destroyed(common) : std::string(); !why.empty()) {
        std::fprintf(stderr, "riskctl: %s\n", why.c_str());
        return kUsage;
    }
    try {
        print_destroyed(common, registry::destroy_segment(common.name, common.state_dir, options.keep_files, options.force));
        return kDone;
    } catch (const Error& error) {
        if (error.code() != Errc::busy) throw;
        std::fprintf(stderr, "riskctl: %s\n", error.what());
        return kNo;
    }
}

// ---- the entries ----

Run add_create(CLI::App& verb, const Common& common) {
    struct Options {
        std::string config;
        bool network_fs = false;
    };
    auto options = std::make_shared<Options>();
    verb.add_option("--config", options->config, "configuration, JSON")->required();
    verb.add_flag("--network-fs", options->network_fs, "although the state directory is on a network file system");
    return [&common, options] { return create(common, options->config, options->network_fs); };
}

Run add_halt(CLI::App& verb, const Common& common) {
    auto options = std::make_shared<StateOptions>();
    verb.add_option("--scope", options->scope, "scope to halt")->required();
    verb.add_option("--reason", options->reason, kReasonHelp)->required();
    verb.add_option("--state", options->state, "default halted")
        ->check(is_named({TradingState::halted, TradingState::cancel_only, TradingState::reducing_only}));
    return [&common, options] { return halt(common, *options); };
}

Run add_resume(CLI::App& verb, const Common& common) {
    auto options = std::make_shared<StateOptions>();
    verb.add_option("--scope", options->scope, "scope to resume");
    verb.add_flag("--unreconciled", options->unreconciled, "release the firm after a recovery");
    verb.add_option("--reason", options->reason, kReasonHelp)->required();
    verb.add_option("--state", options->state, "default active")
        ->check(is_named({TradingState::active, TradingState::warn, TradingState::reducing_only, TradingState::cancel_only}));
    return [&common, options] { return resume(common, *options); };
}

Run add_clock(CLI::App& verb, const Common& common) {
    auto reason = std::make_shared<std::string>();
    verb.add_option("--reason", *reason, kReasonHelp)->required();
    return [&common, reason] { return set_clock(common, *reason); };
}

Run add_approve(CLI::App& verb, const Common& common) {
    struct Options {
        std::uint64_t request = 0;
        std::string owner;
    };
    auto options = std::make_shared<Options>();
    verb.add_option("REQUEST", options->request, "its number, as `resume` printed it")->required();
    verb.add_option("--owner", options->owner,
                    "user whose registry it is, for who has no access to it: its host is asked, and sees who you are");
    return [&common, options] { return approve(common, options->request, options->owner); };
}

Run add_limit(CLI::App& verb, const Common& common) {
    struct Options {
        std::string scope, reason;
        std::vector<std::string> assignments;
    };
    auto options = std::make_shared<Options>();
    verb.add_option("--scope", options->scope, "scope to change")->required();
    verb.add_option("--reason", options->reason, kReasonHelp);
    verb.add_option("FIELD=VALUE", options->assignments, "a limit and its value, unlimited or unset")->required();
    return [&common, options] { return limit(common, options->scope, options->reason, options->assignments); };
}

Run add_restrict(CLI::App& verb, const Common& common) {
    auto options = std::make_shared<RestrictOptions>();
    verb.add_option("--scope", options->scope, "scope to restrict")->required();
    verb.add_option("--sides", options->sides, "default both; none takes the entry of these dates off")
        ->check(is_named({base::Sides::both, base::Sides::buy, base::Sides::sell, base::Sides::none}));
    verb.add_option("--from", options->from, "UTC time or date from which it holds, default always");
    verb.add_option("--to", options->to, "UTC time or date at which it ends, default never");
    verb.add_option("--reason", options->reason, kReasonHelp);
    return [&common, options] { return restrict_scope(common, *options); };
}

Run add_destroy(CLI::App& verb, const Common& common) {
    auto options = std::make_shared<DestroyOptions>();
    verb.add_flag("--keep-files", options->keep_files, "keep the state directory's files");
    verb.add_flag("--force", options->force,
                  "even while processes are attached; they are then refused every call. Implies --yes");
    verb.add_flag("--yes", options->yes, "ask nothing, whatever is in it");
    return [&common, options] { return destroy(common, *options); };
}

}  // namespace

Verb create_verb() { return {"create", "make a new registry, live in shared memory when this returns", add_create}; }
Verb halt_verb() { return {"halt", "kill switch: raise the state of a scope", add_halt}; }
Verb resume_verb() { return {"resume", "step a scope down", add_resume}; }
Verb clock_verb() { return {"clock", "the times of events go on from this machine's clock, forwards or backwards", add_clock}; }
Verb approve_verb() { return {"approve", "four eyes: the second person's word for a resume", add_approve}; }
Verb limit_verb() { return {"limit", "change limits on the running registry", add_limit}; }
Verb restrict_verb() { return {"restrict", "put a scope on the restricted list, or take it off", add_restrict}; }
Verb verify_verb() { return {"verify", "full audit; exit 1 with every violation named", no_options<verify>}; }
Verb destroy_verb() { return {"destroy", "remove the segment and the files", add_destroy}; }

}  // namespace riskctl
