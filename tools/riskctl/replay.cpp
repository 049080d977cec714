// replay: a recorded order flow through N attached processes.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <cstdio>
#include <functional>
#include <memory>

#include "common/program.hpp"
#include "riskctl/order_flow.hpp"
#include "riskctl/output.hpp"
#include "riskctl/replay_processes.hpp"
#include "riskctl/verbs.hpp"
#include "segment/process.hpp"

namespace riskctl {

using namespace riskreg;
using persist::JsonWriter;
using program::SharedMemory;

namespace {

constexpr std::size_t kResults = 9;
constexpr std::size_t kReasons = 2048;
constexpr std::int64_t kPauseNs = 2'000'000;

struct ReplayOptions {
    std::string file;
    std::uint32_t processes = 1;
    std::string instrument;
    std::string format = "riskreg";
    std::uint32_t lock_timeout_ms = 1000;
    bool host_snapshotter = true;
    bool no_wait = false;
    bool into_live = false;
    std::uint32_t stall_timeout_ms = 30000;
    std::string share;   // of a process that was started to play it: its index, and the word of the memory for progress
};

/// What the processes tell the parent, in shared memory.
struct Progress {
    std::atomic<std::uint64_t> rows;
    std::atomic<std::uint64_t> calls;
    std::atomic<std::uint64_t> retries;
    std::array<std::atomic<std::uint64_t>, kResults> answers;
    std::array<std::atomic<std::uint64_t>, kReasons> reasons;   // by their number
    std::atomic<std::uint64_t> undelivered;                     // answers that the machinery gave, and no check
};

/// The machinery could not take the call, which says nothing of its risk: lock, journal, a day that ends (types.hpp, below the states).
bool is_infrastructure(DenyReason reason) noexcept { return reason >= DenyReason::lock_timeout && reason < DenyReason::halted; }

/// How long nothing has moved: neither the log nor the journal.
class Stall {
public:
    explicit Stall(const Registry& registry) : registry_(registry) {}
    /// Begins anew when something has moved since the last look.
    [[nodiscard]] std::int64_t look() {
        const StatusView now = registry_.status();
        const std::int64_t time = segment::monotonic_ns();
        if (since_ns_ == 0 || now.committed != committed_ || now.durable != durable_) since_ns_ = time;
        committed_ = now.committed, durable_ = now.durable;
        return time - since_ns_;
    }
    void end() noexcept { since_ns_ = 0; }

private:
    const Registry& registry_;
    std::uint64_t committed_ = 0, durable_ = 0;
    std::int64_t since_ns_ = 0;
};

/// Delivers the rows of one process.
class Player {
public:
    Player(Registry& registry, InstrumentId instrument, std::int64_t lot, const ReplayOptions& options, Progress& progress)
        : registry_(registry),
          instrument_(instrument),
          lot_(lot),
          options_(options),
          progress_(progress),
          account_(first_account()),
          stall_(registry) {}

    [[nodiscard]] DenyReason last_reason() const noexcept { return last_reason_; }

    /// False when a call could not be delivered.
    bool play(const FlowRow& row) {
        switch (row.action) {
            case FlowAction::add: return add(row);
            case FlowAction::modify: return modify(row);
            case FlowAction::reduce: return reduce(row);
            case FlowAction::remove: return remove(row);
            case FlowAction::fill:
            case FlowAction::hidden_fill: return fill(row);
        }
        return false;
    }

private:
    AccountId first_account() const {
        const AccountId only = registry_.reader().only_account(registry_.strategy());
        return only == AccountId::none ? AccountId{0} : only;
    }

    /// Repeats a call that the machinery refused, as long as log or journal move; whatever else the answer is, it was delivered.
    bool deliver(const std::function<Verdict()>& call) {
        for (;; segment::sleep_ns(kPauseNs)) {
            const Verdict verdict = call();
            last_reason_ = verdict.reason;
            if (options_.no_wait || !is_infrastructure(verdict.reason)) return count(verdict);
            progress_.retries.fetch_add(1, std::memory_order_relaxed);
            if (stall_.look() < 1'000'000LL * options_.stall_timeout_ms) continue;
            static_cast<void>(count(verdict));
            return false;
        }
    }

    bool count(const Verdict& verdict) {
        stall_.end();
        const auto add = [](std::atomic<std::uint64_t>& word) { word.fetch_add(1, std::memory_order_relaxed); };
        const auto reason = static_cast<std::size_t>(verdict.reason);
        add(progress_.calls);
        add(progress_.answers[static_cast<std::size_t>(verdict.result)]);
        if (reason != 0 && reason < kReasons) add(progress_.reasons[reason]);
        if (is_infrastructure(verdict.reason)) add(progress_.undelivered);
        return verdict.reason != DenyReason::poisoned && verdict.reason != DenyReason::fenced;
    }

    OrderEvent event(EventKind kind, const FlowRow& row) const {
        OrderEvent fact;
        fact.kind = kind;
        fact.id = row.order_id;
        fact.account = account_;
        return fact;
    }

    bool add(const FlowRow& row) {
        OrderRequest request;
        request.id = row.order_id;
        request.account = account_;
        request.instrument = instrument_;
        request.side = row.side;
        request.price = row.price;
        request.quantity.value = row.lots * lot_;
        const OrderEvent acked = event(EventKind::acked, row);
        return deliver([&] { return registry_.check_and_register(request); }) &&
               deliver([&] { return registry_.event(acked); });
    }

    bool modify(const FlowRow& row) {
        const auto total = [&](const OrderView& o) { return o.cum_quantity.value + row.lots * lot_; };
        return amend(row, total, row.price);
    }

    bool reduce(const FlowRow& row) {
        OrderView order;
        const bool known = registry_.find(account_, row.order_id, order);
        const auto total = [&](const OrderView& o) { return o.quantity.value - row.lots * lot_; };
        return amend(row, total, known ? order.price : row.price);
    }

    template <class Total>
    bool amend(const FlowRow& row, Total total_of, Price price) {
        OrderView order;
        static_cast<void>(registry_.find(account_, row.order_id, order));
        const Quantity total{total_of(order)};
        if (total.value <= 0) return remove(row);  // nothing is left of it
        ReplaceRequest request;
        request.id = row.order_id;
        request.account = account_;
        request.price = price;
        request.quantity = total;
        OrderEvent replaced = event(EventKind::replaced, row);
        replaced.price = price;
        replaced.quantity = total;
        return deliver([&] { return registry_.replace_requested(request); }) &&
               deliver([&] { return registry_.event(replaced); });
    }

    bool remove(const FlowRow& row) {
        OrderView order;
        const bool live = registry_.find(account_, row.order_id, order) && is_live(order.base);
        if (live && !deliver([&] { return registry_.cancel_requested(account_, row.order_id); })) return false;
        const OrderEvent canceled = event(EventKind::canceled, row);
        return deliver([&] { return registry_.event(canceled); });
    }

    bool fill(const FlowRow& row) {
        const std::string exec_id = std::to_string(row.number);
        OrderEvent filled = event(EventKind::filled, row);
        filled.exec_id = exec_id;
        filled.price = row.price;
        filled.quantity = Quantity{row.lots * lot_};
        filled.instrument = instrument_;
        filled.side = row.side;
        return deliver([&] { return registry_.event(filled); });
    }

    Registry& registry_;
    const InstrumentId instrument_;
    const std::int64_t lot_;
    const ReplayOptions& options_;
    Progress& progress_;
    const AccountId account_;
    Stall stall_;
    DenyReason last_reason_ = DenyReason::none;
};

std::int64_t lot_of(const Reader& reader, const std::string& instrument) {
    const SharedConfig config = parse_config(reader.config_json());
    for (const InstrumentConfig& candidate : config.instruments)
        if (candidate.id == instrument) return candidate.lot.value;
    return 0;
}

struct Job {
    const Common& common;
    const ReplayOptions& options;
    const std::vector<FlowRow>& rows;
    std::string instrument;
    std::int64_t lot = 0;
    std::vector<std::string> strategies;
};

/// Plays the rows of the orders that belong to process `index`.
int play_rows(const Job& job, std::uint32_t index, Player& player, Progress& progress) {
    for (const FlowRow& row : job.rows) {
        if (std::hash<std::string>{}(row.order_id) % job.options.processes != index) continue;
        if (!player.play(row)) {
            const DenyReason why = player.last_reason();
            const std::string waited = is_infrastructure(why) ? ", and for " + std::to_string(job.options.stall_timeout_ms) +
                                                                    " ms neither log nor journal moved"
                                                              : "";
            std::fprintf(stderr, "riskctl: row %llu could not be delivered: %s%s\n",
                         static_cast<unsigned long long>(row.number), std::string(name_of(why)).c_str(), waited.c_str());
            return kNo;
        }
        progress.rows.fetch_add(1, std::memory_order_relaxed);
    }
    return kDone;
}

/// The body of process `index`: attaches after the fork.
int play_share(const Job& job, std::uint32_t index, Progress& progress) {
    try {
        ProcessConfig config;
        config.state_dir = job.common.state_dir;
        config.strategy = job.strategies[index];
        config.host_snapshotter = job.options.host_snapshotter;
        config.request_timeout_ns = config.fact_timeout_ns = 1'000'000LL * job.options.lock_timeout_ms;
        Registry registry = Registry::open(job.common.name, config);
        const program::Leaving leaving("riskctl", registry, job.common.name);
        Player player(registry, registry.instrument(job.instrument), job.lot, job.options, progress);
        return play_rows(job, index, player, progress);
    } catch (const Error& error) {
        std::fprintf(stderr, "riskctl: %s\n", error.what());
        return exit_code(error.code());
    }
}

/// Waits for the processes; a line of progress on stderr, in place on a terminal.
int wait_for(ShareProcesses& processes, const Progress& progress, std::size_t total) {
    const bool terminal = ::isatty(STDERR_FILENO) != 0;
    int worst = kDone;
    std::int64_t next_line = segment::monotonic_ns();
    while (processes.any_left()) {
        int code = kDone;
        if (processes.take_ended(code)) {
            worst = std::max(worst, code);
            continue;
        }
        if (segment::monotonic_ns() >= next_line) {
            const std::uint64_t rows = progress.rows.load(std::memory_order_relaxed);
            std::fprintf(stderr, "%sreplay: %llu of %zu rows%s", terminal ? "\r" : "", static_cast<unsigned long long>(rows),
                         total, terminal ? "   " : "\n");
            next_line += terminal ? 200'000'000 : 2'000'000'000;
        }
        segment::sleep_ns(2'000'000);
    }
    if (terminal) std::fprintf(stderr, "\r");
    return worst;
}

template <class Visit>
void each_reason(const Progress& progress, Visit visit) {
    for (std::size_t i = 1; i < kReasons; ++i)
        if (const std::uint64_t count = progress.reasons[i].load(); count != 0)
            visit(name_of(static_cast<DenyReason>(i)), count);
}

void report(const Common& common, const ReplayOptions& options, const Progress& progress, double seconds) {
    const auto rows = progress.rows.load();
    const auto rate = static_cast<std::uint64_t>(static_cast<double>(progress.calls.load()) / (seconds > 0 ? seconds : 1));
    if (!common.json) {
        std::printf("replayed %llu rows as %llu calls in %.2f s with %u processes: %llu calls/s\n",
                    static_cast<unsigned long long>(rows), static_cast<unsigned long long>(progress.calls.load()), seconds,
                    options.processes, static_cast<unsigned long long>(rate));
        for (std::size_t i = 1; i < kResults; ++i)
            if (progress.answers[i] != 0)
                std::printf("  %-14s %llu\n", std::string(name_of(static_cast<Result>(i))).c_str(),
                            static_cast<unsigned long long>(progress.answers[i].load()));
        each_reason(progress, [](std::string_view reason, std::uint64_t count) {
            std::printf("    %-24s %llu\n", std::string(reason).c_str(), static_cast<unsigned long long>(count));
        });
        return;
    }
    JsonWriter out;
    out.begin_object().member("rows", std::uint64_t{rows}).member("calls", std::uint64_t{progress.calls.load()});
    out.member("processes", std::uint64_t{options.processes})
        .member("calls_per_s", rate)
        .member("retries", std::uint64_t{progress.retries.load()});
    out.key("answers").begin_object();
    for (std::size_t i = 1; i < kResults; ++i)
        out.member(name_of(static_cast<Result>(i)), std::uint64_t{progress.answers[i].load()});
    out.end_object().key("reasons").begin_object();
    each_reason(progress, [&out](std::string_view reason, std::uint64_t count) { out.member(reason, count); });
    out.end_object().member("undelivered", std::uint64_t{progress.undelivered.load()});
    print_line(out.end_object().text());
}

/// What a recorded flow would be mixed with.
std::string what_lives(const Reader& reader) {
    const StatusView status = reader.status();
    std::uint64_t positions = 0;
    reader.exposures([&positions](const ExposureView& row) {
        positions += row.scope.kind == ScopeKind::account_instrument && row.position.value != 0 ? 1U : 0U;
        return true;
    });
    std::string text;
    const auto add = [&text](std::uint64_t count, const char* what) {
        if (count != 0) text += (text.empty() ? "" : ", ") + std::to_string(count) + what;
    };
    add(status.orders_total, " orders");
    add(status.quarantined_events, " reports of unknown orders");
    add(positions, " positions");
    add(status.sessions_live, " other sessions");
    return text;
}

void require_unused(const Common& common, const Reader& reader) {
    const std::string seen = what_lives(reader);
    if (seen.empty()) return;
    throw Error(Errc::bad_input, "registry '" + common.name + "' is in use: seen " + seen +
                                     "; allowed: a registry without orders, positions and other sessions, for a recorded flow "
                                     "books into what is there. Create one for it, or say --into-live");
}

Job make_job(const Common& common, const ReplayOptions& options, const std::vector<FlowRow>& rows) {
    {
        // As an operator for a moment: rebuilds or adopts where that is due.
        ProcessConfig config;
        config.state_dir = common.state_dir;
        static_cast<void>(Registry::open(common.name, config));
    }
    const Reader reader = Reader::open(common.name, common.state_dir);
    if (!options.into_live && options.share.empty()) require_unused(common, reader);
    Job job{common, options, rows, options.instrument, 0, reader.strategies()};
    if (job.instrument.empty()) job.instrument = reader.instruments().front();
    if (reader.instrument(job.instrument) == InstrumentId::none)
        throw Error(Errc::bad_input, "--instrument: seen '" + job.instrument + "', allowed: a configured instrument");
    if (options.processes > job.strategies.size())
        throw Error(Errc::bad_input, "--processes: seen " + std::to_string(options.processes) + ", allowed: at most " +
                                         std::to_string(job.strategies.size()) + ", one for each configured strategy");
    job.lot = lot_of(reader, job.instrument);
    for (const FlowRow& row : rows)
        if (row.lots > 0x7FFFFFFFFFFFFFFFLL / job.lot)
            throw Error(Errc::bad_input, "row " + std::to_string(row.number) + ": size: larger than a quantity can be");
    return job;
}

/// What this process was started for.
int play_given_share(const Job& job) {
    const std::size_t comma = job.options.share.find(',');
    if (comma == std::string::npos) throw Error(Errc::bad_input, "--share: what replay gives the processes that it starts");
    const SharedMemory memory(sizeof(Progress), job.options.share.substr(comma + 1));
    const auto index = static_cast<std::uint32_t>(std::stoul(job.options.share.substr(0, comma)));
    return play_share(job, index, *static_cast<Progress*>(memory.address()));
}

int replay(const Common& common, const ReplayOptions& options) {
    const std::vector<FlowRow> rows = options.format == "lobster" ? read_lobster(options.file) : read_order_flow(options.file);
    const Job job = make_job(common, options, rows);
    if (!options.share.empty()) return play_given_share(job);
    const SharedMemory memory(sizeof(Progress));
    auto& progress = *new (memory.address()) Progress{};
    const std::int64_t start = segment::monotonic_ns();
    ShareProcesses processes(options.processes, memory, [&](std::uint32_t index) { return play_share(job, index, progress); });
    const std::uint32_t started = processes.started();
    int code = wait_for(processes, progress, rows.size());
    if (started < options.processes) {
        std::fprintf(stderr, "riskctl: process %u could not be started: the rows of its orders are missing\n", started);
        code = kNo;
    }
    report(common, options, progress, static_cast<double>(segment::monotonic_ns() - start) / 1e9);
    const std::uint64_t undelivered = progress.undelivered.load();
    if (undelivered != 0)
        std::fprintf(stderr,
                     "riskctl: %llu calls were refused by lock or journal, and by no check: the flow is not in the registry\n",
                     static_cast<unsigned long long>(undelivered));
    return undelivered != 0 ? std::max<int>(code, kNo) : code;
}

Run add_replay(CLI::App& verb, const Common& common) {
    auto options = std::make_shared<ReplayOptions>();
    verb.add_option("FILE", options->file, "order flow, plain or gzip")->required();
    verb.add_option("--processes", options->processes, "attached processes, default 1")->check(CLI::Range(1U, 4096U));
    verb.add_option("--instrument", options->instrument, "default: the registry's first");
    verb.add_option("--format", options->format, "riskreg or lobster")->check(CLI::IsMember({"riskreg", "lobster"}));
    verb.add_option("--share", options->share)->group("");  // hidden: what replay itself starts
    verb.add_flag("--no-wait", options->no_wait, "do not wait where the journal, or the lock, does not follow");
    verb.add_flag("--into-live", options->into_live, "although there are orders, positions or other sessions");
    verb.add_option("--stall-timeout-ms", options->stall_timeout_ms,
                    "how long to wait for a journal that does not move, default 30000")
        ->check(CLI::Range(1U, 3600000U));
    verb.add_flag_callback(
        "--no-snapshotter", [options] { options->host_snapshotter = false; }, "never host the snapshotter in these processes");
    verb.add_option("--lock-timeout-ms", options->lock_timeout_ms, "lock deadline, default 1000")
        ->check(CLI::Range(1U, 3600000U));
    return [&common, options] { return replay(common, *options); };
}

}  // namespace

Verb replay_verb() { return {"replay", "drive a recorded order flow through attached processes", add_replay}; }

}  // namespace riskctl
