// exec: JSON Lines in, one answer a line out, through one session.
#include "riskctl/exec.hpp"
#include "riskctl/named.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>

#include "base/names.hpp"
#include "common/program.hpp"
#include "riskctl/command.hpp"
#include "riskctl/line_reader.hpp"
#include "riskctl/output.hpp"

namespace riskctl {

using namespace riskreg;
using persist::JsonValue;
using persist::JsonWriter;
using Kind = JsonValue::Kind;

namespace {

/// Runs the commands of one session.
class Executor {
public:
    /// `durable_timeout_ns` 0: answers do not wait for the disk.
    Executor(Registry& registry, std::int64_t durable_timeout_ns)
        : registry_(registry),
          durable_timeout_ns_(durable_timeout_ns),
          only_account_(registry.reader().only_account(registry.strategy())) {}

    /// The answer to one line.
    std::string answer(std::uint64_t line, const std::string& text, bool too_long) {
        JsonWriter out;
        out.begin_object().member("line", line);
        try {
            if (too_long)
                throw FieldError{
                    "invalid_json", {}, "a line of more than " + std::to_string(LineReader::kMaxBytes) + " bytes", {}};
            const persist::JsonResult parsed = persist::parse_json(text, LineReader::kMaxBytes);
            if (!parsed.duplicate_key.empty()) throw FieldError{"invalid_field", parsed.duplicate_key, "given twice", {"once"}};
            if (!parsed.error.empty()) throw FieldError{"invalid_json", {}, parsed.error, {}};
            if (!parsed.value.is(Kind::object)) throw FieldError{"invalid_json", {}, parsed.value.shown(), {"an object"}};
            run(parsed.value, out);
        } catch (const FieldError& error) {
            out.clear();
            out.begin_object().member("line", line);
            write_error(out, error);
        }
        return out.end_object().text();
    }

private:
    using Run = void (Executor::*)(const CommandReader&, JsonWriter&);
    struct Op {
        std::string_view name;
        Run run;
        EventKind kind = EventKind::none;
    };

    void answer(JsonWriter& out, const Verdict& verdict) const { registry::write(out, verdict, registry_.reader()); }

    static void write_error(JsonWriter& out, const FieldError& error) {
        out.member("result", "error").member("reason", error.reason);
        if (!error.field.empty()) out.member("field", error.field);
        if (!error.observed.empty()) out.member("observed", error.observed);
        if (!error.allowed.empty()) out.member_list("allowed", error.allowed);
    }

    static const auto& ops() {
        static constexpr std::array<Op, 23> table = {{
            {"register", &Executor::run_register},
            {"acked", &Executor::run_fact, EventKind::acked},
            {"filled", &Executor::run_fact, EventKind::filled},
            {"cancel_requested", &Executor::run_cancel},
            {"canceled", &Executor::run_fact, EventKind::canceled},
            {"cancel_rejected", &Executor::run_fact, EventKind::cancel_rejected},
            {"replace_requested", &Executor::run_replace},
            {"replaced", &Executor::run_fact, EventKind::replaced},
            {"replace_rejected", &Executor::run_fact, EventKind::replace_rejected},
            {"rejected", &Executor::run_fact, EventKind::rejected},
            {"expired", &Executor::run_fact, EventKind::expired},
            {"done_for_day", &Executor::run_fact, EventKind::done_for_day},
            {"aborted", &Executor::run_aborted},
            {"begin_send", &Executor::run_begin_send},
            {"suspended", &Executor::run_fact, EventKind::suspended},
            {"resumed", &Executor::run_fact, EventKind::resumed},
            {"timed_out", &Executor::run_fact, EventKind::timed_out},
            {"bust", &Executor::run_fact, EventKind::bust},
            {"correct", &Executor::run_fact, EventKind::correct},
            {"reference_price", &Executor::run_reference_price},
            {"find", &Executor::run_find},
            {"register_batch", &Executor::run_batch},
            {{}, nullptr},
        }};
        return table;
    }

    void run(const JsonValue& object, JsonWriter& out) {
        const CommandReader in(object);
        const std::string name = in.string("op");
        std::vector<std::string> known;
        for (const Op& op : ops()) {
            if (op.run == nullptr) break;
            known.emplace_back(op.name);
            if (op.name != name) continue;
            out.member("op", name);
            kind_ = op.kind;
            return (this->*op.run)(in, out);
        }
        throw FieldError{"unknown_op", "op", name, known};
    }

    /// The account named, or the strategy's only one.
    AccountId account_of(const CommandReader& in) const {
        if (in.has("account")) return registry_.account(in.string("account"));
        if (only_account_ == AccountId::none) in.missing("account");
        return only_account_;
    }

    static constexpr std::string_view kRegisterKeys[] = {"op",   "id",  "account", "instrument", "side",
                                                         "type", "tif", "price",   "quantity",   "stop_price"};
    struct ParsedOrder {
        std::string id;
        OrderRequest request;
    };
    void read_order(const CommandReader& in, ParsedOrder& order) const {
        order.id = in.string("id");
        OrderRequest& r = order.request;
        r.account = account_of(in);
        r.instrument = registry_.instrument(in.string("instrument"));
        r.side = in.side("side");
        r.type = in.type("type");
        r.tif = in.tif("tif");
        r.price = in.price("price");
        if (!r.price && needs_price(r.type)) in.missing("price");
        r.stop_price = in.price("stop_price");
        const auto quantity = in.quantity("quantity");
        if (!quantity) in.missing("quantity");
        r.quantity = *quantity;
    }

    /// Under `advise_cancel`: the own orders that this one may trade against, for the caller to cancel.
    void write_advice(JsonWriter& out, const Verdict& verdict, const OrderRequest& order) const {
        if (verdict.crosses_own) out.member_list("advise_cancel", registry_.reader().crossing_orders(order));
    }

    void run_register(const CommandReader& in, JsonWriter& out) {
        in.allow_only(kRegisterKeys);
        ParsedOrder order;
        read_order(in, order);
        order.request.id = order.id;
        out.member("id", order.id);
        const Verdict verdict = registry_.check_and_register(order.request);
        answer(out, verdict);
        write_advice(out, verdict, order.request);
    }

    void run_batch(const CommandReader& in, JsonWriter& out) {
        in.allow_only({"op", "all_or_none", "orders"});
        const bool all_or_none = in.boolean("all_or_none");
        const JsonValue& array = in.array("orders");
        if (array.items.empty() || array.items.size() > 64)
            in.invalid("orders", std::to_string(array.items.size()) + " orders", {"1 to 64 orders"});
        std::vector<ParsedOrder> orders(array.items.size());
        std::vector<OrderRequest> requests;
        for (std::size_t i = 0; i < orders.size(); ++i) {
            const std::string prefix = "orders[" + std::to_string(i) + "]";
            if (!array.items[i].is(Kind::object)) in.invalid(prefix, array.items[i].shown(), {"an object"});
            const CommandReader member(array.items[i], prefix + ".");
            member.allow_only(std::span(kRegisterKeys).subspan(1));   // without "op"
            read_order(member, orders[i]);
            orders[i].request.id = orders[i].id;
            requests.push_back(orders[i].request);
        }
        const std::vector<Verdict> verdicts = registry_.register_batch(requests, all_or_none);
        const bool all = std::all_of(verdicts.begin(), verdicts.end(), [](const Verdict& v) { return v.accepted(); });
        out.member("result", all ? "accepted" : "denied").key("results").begin_array();
        for (std::size_t i = 0; i < orders.size(); ++i) {
            out.begin_object().member("id", orders[i].id);
            answer(out, verdicts[i]);
            write_advice(out, verdicts[i], requests[i]);
            out.end_object();
        }
        out.end_array();
    }

    void run_cancel(const CommandReader& in, JsonWriter& out) {
        in.allow_only({"op", "id", "account"});
        const std::string id = in.string("id");
        const AccountId account = account_of(in);
        out.member("id", id);
        answer(out, registry_.cancel_requested(account, id));
    }

    void run_aborted(const CommandReader& in, JsonWriter& out) {
        in.allow_only({"op", "id", "account"});
        const std::string id = in.string("id");
        const AccountId account = account_of(in);
        out.member("id", id);
        answer(out, registry_.aborted(account, id));
    }

    void run_begin_send(const CommandReader& in, JsonWriter& out) {
        in.allow_only({"op", "id", "account"});
        const std::string id = in.string("id");
        const AccountId account = account_of(in);
        out.member("id", id);
        answer(out, registry_.begin_send(account, id));
    }

    /// What the order would be at the venue once the replacement is confirmed.
    OrderRequest as_amended(const ReplaceRequest& request) const {
        OrderView view;
        OrderRequest order;
        if (!registry_.find(request.account, request.id, view)) return order;
        order.id = request.id;
        order.account = view.account;
        order.instrument = view.instrument;
        order.side = view.side;
        order.type = view.type;
        order.tif = view.tif;
        order.price = request.price ? request.price : view.has_price ? std::optional(view.price) : std::nullopt;
        order.quantity = request.quantity.value_or(view.quantity);
        if (view.has_stop_price) order.stop_price = view.stop_price;
        return order;
    }

    void run_replace(const CommandReader& in, JsonWriter& out) {
        in.allow_only({"op", "id", "account", "new_id", "price", "quantity", "stop_price", "expected_version"});
        const std::string id = in.string("id");
        const std::string new_id = in.string_or("new_id", {});
        ReplaceRequest request;
        request.id = id;
        request.account = account_of(in);
        request.new_id = new_id;
        request.price = in.price("price");
        request.quantity = in.quantity("quantity");
        request.stop_price = in.price("stop_price");
        request.expected_version = in.whole("expected_version");
        if (in.has("new_id") && new_id.empty())
            in.invalid("new_id", new_id, {"1 to 39 printable ASCII characters without spaces"});
        out.member("id", id);
        const Verdict verdict = registry_.replace_requested(request);
        answer(out, verdict);
        if (verdict.crosses_own) write_advice(out, verdict, as_amended(request));
    }

    void allow_fact_fields(const CommandReader& in) const {
        switch (kind_) {
            case EventKind::filled:
                return in.allow_only(
                    {"op", "id", "account", "exec_id", "price", "quantity", "cum_quantity", "instrument", "side"});
            case EventKind::bust: return in.allow_only({"op", "id", "account", "exec_id", "reopened", "cum_quantity"});
            case EventKind::correct:
                return in.allow_only(
                    {"op", "id", "account", "exec_id", "new_exec_id", "price", "quantity", "reopened", "cum_quantity"});
            case EventKind::acked: return in.allow_only({"op", "id", "account", "venue_id", "cum_quantity"});
            case EventKind::replaced:
                return in.allow_only({"op", "id", "account", "venue_id", "price", "quantity", "cum_quantity"});
            case EventKind::cancel_rejected: return in.allow_only({"op", "id", "account", "reason", "text", "cum_quantity"});
            default: return in.allow_only({"op", "id", "account", "text", "cum_quantity"});
        }
    }

    /// Strings that an OrderEvent borrows.
    struct FactStrings {
        std::string id, venue_id, text, exec_id, new_exec_id;
    };

    OrderEvent read_fact(const CommandReader& in, FactStrings& strings) const {
        allow_fact_fields(in);
        const bool trade = kind_ == EventKind::filled || kind_ == EventKind::bust || kind_ == EventKind::correct;
        const bool valued = kind_ == EventKind::filled || kind_ == EventKind::correct;
        strings.id = in.string("id");
        strings.venue_id = in.id_or_empty("venue_id");
        strings.text = in.string_or("text", {});
        if (trade) strings.exec_id = in.id("exec_id");
        if (kind_ == EventKind::correct) strings.new_exec_id = in.id("new_exec_id");
        OrderEvent fact;
        fact.kind = kind_;
        fact.id = strings.id;
        fact.account = account_of(in);
        fact.venue_id = strings.venue_id;
        fact.text = strings.text;
        fact.exec_id = strings.exec_id;
        fact.new_exec_id = strings.new_exec_id;
        fact.price = in.price("price");
        if (valued && !fact.price) in.missing("price");
        if (valued || in.has("quantity")) fact.quantity = in.positive_quantity("quantity");
        fact.cum_quantity = in.quantity("cum_quantity");
        if (fact.cum_quantity && fact.cum_quantity->value < 0)
            in.invalid("cum_quantity", in.string("cum_quantity"), {"a decimal, 0 or more"});
        if (in.has("instrument")) fact.instrument = registry_.instrument(in.string("instrument"));
        if (in.has("side")) fact.side = in.side("side");
        fact.reopened = in.boolean_or("reopened", false);
        fact.venue_knows_no_such_order = in.string_or("reason", {}) == "unknown_order";
        return fact;
    }

    void run_fact(const CommandReader& in, JsonWriter& out) {
        FactStrings strings;
        const OrderEvent fact = read_fact(in, strings);
        const Verdict verdict = registry_.event(fact);
        // Without a pending request only the event can say what the new values are.
        const bool lacks_values =
            kind_ == EventKind::replaced && verdict.result == Result::denied && verdict.reason == DenyReason::invalid_field;
        if (lacks_values) in.missing(fact.price ? "quantity" : "price");
        out.member("id", strings.id);
        answer(out, verdict);
    }

    void run_reference_price(const CommandReader& in, JsonWriter& out) {
        in.allow_only({"op", "instrument", "price"});
        const std::string instrument = in.string("instrument");
        const auto price = in.price("price");
        if (!price) in.missing("price");
        out.member("instrument", instrument);
        answer(out, registry_.reference_price(registry_.instrument(instrument), *price));
    }

    void run_find(const CommandReader& in, JsonWriter& out) {
        in.allow_only({"op", "id", "account"});
        const std::string id = in.string("id");
        OrderView order;
        const bool found = registry_.find(account_of(in), id, order);
        // What is shown of an order may be another process's last event: it is on disk before it is told.
        const bool pending = found && durable_timeout_ns_ > 0 && !registry_.wait_durable(order.seq, durable_timeout_ns_);
        out.member("id", id);
        if (!found) {
            out.member("result", "denied").member("reason", name_of(DenyReason::unknown_order));
            return;
        }
        out.member("result", "ok");
        registry::write_without_id(out, order, registry_.reader());
        if (pending) out.member("durability", "pending");
    }

    Registry& registry_;
    const std::int64_t durable_timeout_ns_;
    const AccountId only_account_;
    EventKind kind_ = EventKind::none;
};

bool is_blank(const std::string& line) { return line.find_first_not_of(" \t\r") == std::string::npos; }

}  // namespace

int exec(const Common& common, const ExecOptions& options) {
    program::end_on_signals("riskctl");
    LineReader input(options.file);
    ProcessConfig config;
    config.state_dir = common.state_dir;
    config.strategy = options.strategy;
    config.takeover = options.takeover;
    config.host_snapshotter = options.host_snapshotter;
    config.host_rank = HostRank::exec;
    config.durability = base::value_named<Durability>(options.durability).value_or(Durability::memory);
    config.durable_timeout_ns = 1'000'000LL * options.durable_timeout_ms;
    config.request_timeout_ns = config.fact_timeout_ns = 1'000'000LL * options.lock_timeout_ms;
    config.ending = &program::ending();
    Registry registry = Registry::open(common.name, config);
    const program::Leaving leaving("riskctl", registry, common.name);
    Executor executor(registry, registry.waits_for_disk() ? config.durable_timeout_ns : 0);
    std::string line;
    std::uint64_t number = 0;
    for (;;) {
        const LineReader::Next next = input.next(line);
        if (next == LineReader::Next::end || program::end_wanted()) return kDone;
        ++number;
        if (next == LineReader::Next::line && is_blank(line)) continue;
        if (print_line(executor.answer(number, line, next == LineReader::Next::too_long))) continue;
        std::fprintf(stderr, "riskctl: detached after line %llu: its answer could not be written\n",
                     static_cast<unsigned long long>(number));
        return kCannotAttach;
    }
}

namespace {

Run add_exec(CLI::App& verb, const Common& common) {
    auto options = std::make_shared<ExecOptions>();
    verb.add_option("FILE", options->file, "commands; default: stdin");
    verb.add_option("--strategy", options->strategy, "strategy to attach as")->required();
    verb.add_option("--durability", options->durability, "what an answer waits for")
        ->check(is_named({Durability::memory, Durability::durable}));
    verb.add_flag("--takeover", options->takeover, "fence a live session of the same strategy");
    verb.add_option("--lock-timeout-ms", options->lock_timeout_ms, "lock deadline, default 1000")
        ->check(CLI::Range(1U, 3600000U));
    verb.add_flag_callback(
        "--no-snapshotter", [options] { options->host_snapshotter = false; }, "never host the snapshotter in this process");
    verb.add_option("--durable-timeout-ms", options->durable_timeout_ms, "deadline of durable answers, default 5000")
        ->check(CLI::Range(1U, 3600000U));
    return [&common, options] { return exec(common, *options); };
}

}  // namespace

Verb exec_verb() { return {"exec", "attach one session and run JSON Lines commands", add_exec}; }

}  // namespace riskctl
