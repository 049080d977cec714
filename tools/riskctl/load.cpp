// load: the start of the day from a file: limits, restricted list, positions, orders that are live at the venue already.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <utility>

#include "common/program.hpp"
#include "core/limits.hpp"
#include "riskctl/limit_change.hpp"
#include "riskctl/output.hpp"
#include "riskctl/venue_file.hpp"

namespace riskctl {

using namespace riskreg;
using registry::LoadCounts;
using registry::LoadReport;

namespace {

constexpr std::string_view kReason = "loaded";
constexpr std::int64_t kLockTimeoutNs = 10'000'000'000;   // nobody repeats what was refused for want of the lock

[[noreturn]] void refuse(const std::string& place, const std::string& seen, const std::string& allowed) {
    throw Error(Errc::bad_input, place + ": seen " + seen + ", allowed: " + allowed);
}

std::string text_of(Quantity quantity) { return persist::format_amount(Unit::quantity, quantity.value); }

// ---- what is there already ----

/// Whether each limit of the file holds already; the mask names those that do not.
LimitMask differing(const Limits& now, const Limits& wanted) {
    LimitMask mask = 0;
    for (std::size_t i = 0; i < core::kLimits.size(); ++i) {
        const auto member = core::kLimits[i].member;
        const bool given = (wanted.*member).kind != LimitValue::Kind::unset;
        if (given && !(now.*member == wanted.*member)) mask |= 1U << i;
    }
    return mask;
}

/// A list only grows by a load: an entry that is there keeps its sides.
Restriction joined(const std::vector<RestrictionView>& list, const Scope& scope, Restriction entry, const Reader& reader,
                   bool& there) {
    for (const RestrictionView& known : list) {
        const bool same =
            reader.name(known.scope) == reader.name(scope) && known.from_ns == entry.from_ns && known.to_ns == entry.to_ns;
        if (!same) continue;
        there = (known.buy || !entry.buy) && (known.sell || !entry.sell);   // why it was put there stays
        entry.buy |= known.buy;
        entry.sell |= known.sell;
    }
    return entry;
}

bool has_content(const OrderView& known, const LoadOrder& order) {
    const OrderRequest& r = order.request;
    const bool same_price = !r.price || known.price == *r.price;
    const bool same_stop = !r.stop_price || known.stop_price == *r.stop_price;
    return known.strategy == order.strategy && known.instrument == r.instrument && known.side == r.side &&
           known.type == r.type && known.tif == r.tif && known.quantity == r.quantity && same_price && same_stop;
}

/// What of the file is still to be done. Made before anything is changed.
struct Plan {
    std::vector<bool> positions, orders;   // to be loaded
};

/// The entries of one row are loaded in the order of the file, so a load that was cut off ended behind one of them.
void plan_row(const Reader& reader, const LoadFile& file, const std::vector<std::size_t>& entries, Plan& plan) {
    const LoadPosition& first = file.positions[entries.front()];
    const auto start = [&](const Scope& scope) { return reader.exposure(scope).start_position.value; };
    const std::int64_t present = start({ScopeKind::account_instrument, first.account, StrategyId::none, first.instrument});
    std::int64_t sum = 0;
    std::size_t done = 0;   // entries that are there
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (__builtin_add_overflow(sum, file.positions[entries[i]].quantity.value, &sum))
            refuse(file.positions[entries[i]].place, "a sum beyond what can be held", "smaller positions");
        if (sum == present) done = i + 1;
    }
    const bool nothing_yet =
        present == 0 && (sum != 0 || start({ScopeKind::strategy_instrument, AccountId::none,
                                            first.strategy == StrategyId::none ? reader.strategy("external") : first.strategy,
                                            first.instrument}) == 0);
    if (nothing_yet) done = 0;
    else if (done == 0)
        refuse(first.place,
               "a start position of " + text_of(Quantity{sum}) + " of account " + reader.name(first.account) + " in " +
                   reader.name(first.instrument) + ", where " + text_of(Quantity{present}) + " was loaded before",
               "the same again, or `riskctl reconcile --apply` with what the venue says");
    for (std::size_t i = done; i < entries.size(); ++i)
        plan.positions[entries[i]] = file.positions[entries[i]].quantity.value != 0;
}

Plan make_plan(const Reader& reader, const LoadFile& file) {
    Plan plan{std::vector<bool>(file.positions.size()), std::vector<bool>(file.orders.size())};
    std::map<std::pair<AccountId, InstrumentId>, std::vector<std::size_t>> rows;
    for (std::size_t i = 0; i < file.positions.size(); ++i)
        rows[{file.positions[i].account, file.positions[i].instrument}].push_back(i);
    for (const auto& [key, entries] : rows) plan_row(reader, file, entries, plan);
    std::size_t ids = 0;
    for (std::size_t i = 0; i < file.orders.size(); ++i) {
        const LoadOrder& order = file.orders[i];
        OrderView known;
        const bool there = reader.find(order.request.account, order.id, known);
        if (there && !has_content(known, order))
            refuse(order.place, "order '" + order.id + "', which is here with other content",
                   "the same content, or another id");
        plan.orders[i] = !there;
        ids += there ? 0 : 1;
    }
    const StatusView status = reader.status();
    if (ids > status.orders_capacity - std::min(status.ids_used, status.orders_capacity))
        refuse("orders",
               std::to_string(ids) + " new ids, where " + std::to_string(status.ids_used) + " of " +
                   std::to_string(status.orders_capacity) + " are taken",
               "as many as there is room for (capacity.orders)");
    return plan;
}

// ---- orders over a limit ----

/// One limit held against the use that includes the order.
struct Use {
    const core::Limit& limit;
    std::int64_t observed;
};

/// `row`: the scope's own; `quantities`: the row of one instrument that its quantity limits are held against.
std::vector<Use> uses_of(const Reader& reader, const OrderView& order, const ExposureView& row,
                         const ExposureView& quantities) {
    using core::LimitId;
    const bool buy = order.side == Side::buy;
    std::vector<Use> uses = {{core::limit_of(LimitId::max_order_quantity), order.quantity.value},
                             {core::limit_of(LimitId::max_order_notional), order.reserved_notional.value}};
    const std::vector<LimitUse> now = reader.uses(row, quantities);
    for (const LimitId id :
         {LimitId::max_working_orders, buy ? LimitId::max_working_buy : LimitId::max_working_sell,
          buy ? LimitId::max_long : LimitId::max_short, LimitId::max_open_notional, LimitId::max_gross_notional}) {
        const core::Limit& limit = core::limit_of(id);
        for (const LimitUse& use : now)
            if (use.limit == limit.member) uses.push_back({limit, use.used});
    }
    return uses;
}

/// The first limit that the order, now reserved, is over.
std::optional<Verdict> over_limit(const Reader& reader, const OrderView& order) {
    const Scope account_row{ScopeKind::account_instrument, order.account, StrategyId::none, order.instrument};
    const Scope strategy_row{ScopeKind::strategy_instrument, AccountId::none, order.strategy, order.instrument};
    const Scope instrument_row{ScopeKind::instrument, AccountId::none, StrategyId::none, order.instrument};
    const std::pair<Scope, Scope> scopes[] = {
        {{ScopeKind::firm, AccountId::none, StrategyId::none, InstrumentId::none}, instrument_row},
        {{ScopeKind::account, order.account, StrategyId::none, InstrumentId::none}, account_row},
        {{ScopeKind::strategy, AccountId::none, order.strategy, InstrumentId::none}, strategy_row},
        {instrument_row, instrument_row},
        {account_row, account_row},
        {strategy_row, strategy_row}};
    for (const auto& [scope, quantities] : scopes) {
        const ExposureView row = reader.exposure(scope);
        for (const Use& use : uses_of(reader, order, row, reader.exposure(quantities))) {
            const LimitValue limit = row.limits.*use.limit.member;
            if (limit.kind != LimitValue::Kind::value || use.observed <= limit.value) continue;
            Verdict verdict;
            verdict.reason = use.limit.reason;
            verdict.scope = scope;
            verdict.has_numbers = true;
            verdict.observed = use.observed;
            verdict.limit = limit.value;
            verdict.unit = use.limit.unit;
            return verdict;
        }
    }
    return std::nullopt;
}

// ---- doing it ----

class Loader {
public:
    Loader(Registry& registry, const LoadFile& file, const Plan& plan) : registry_(registry), file_(file), plan_(plan) {}

    void run() {
        for (const LimitConfig& entry : file_.limits) set_limits(entry);
        for (const Restriction& entry : file_.restricted) restrict(entry);
        for (std::size_t i = 0; i < file_.positions.size(); ++i) load_position(file_.positions[i], plan_.positions[i]);
        for (std::size_t i = 0; i < file_.orders.size(); ++i) load_order(file_.orders[i], plan_.orders[i]);
    }

    LoadReport report;
    bool pending = false;   ///< something is not on disk yet
    bool poisoned = false;

private:
    /// Counts the answer and says what was refused.
    bool took(LoadCounts& counts, const std::string& place, const Verdict& verdict) {
        pending |= verdict.durability == Durability::pending;
        poisoned |= verdict.reason == DenyReason::poisoned;
        if (verdict.taken()) return ++counts.loaded, true;
        ++counts.refused;
        std::fprintf(stderr, "riskctl: %s: not loaded: %s\n", place.c_str(), describe(registry_.reader(), verdict).c_str());
        return false;
    }

    void set_limits(const LimitConfig& entry) {
        const Scope scope = registry_.reader().scope(entry.scope);
        const LimitMask mask = differing(registry_.exposure(scope).limits, entry.limits);
        if (mask == 0) return static_cast<void>(++report.limits.skipped);
        LimitsChange change;
        took(report.limits, entry.scope, registry_.set_limits(scope, entry.limits, kReason, mask, change));
        report.limit_changes.emplace_back(entry.scope, registry::changes_of(change, mask));
    }

    void restrict(const Restriction& entry) {
        const Scope scope = registry_.reader().scope(entry.scope);
        bool there = false;
        const Restriction wanted = joined(registry_.reader().restrictions(), scope, entry, registry_.reader(), there);
        if (there) return static_cast<void>(++report.restricted.skipped);
        took(report.restricted, entry.scope, registry_.restrict(scope, wanted));
    }

    void load_position(const LoadPosition& entry, bool wanted) {
        if (!wanted) return static_cast<void>(++report.positions.skipped);
        took(report.positions, entry.place,
             registry_.load_position(entry.account, entry.strategy, entry.instrument, entry.quantity, entry.price, kReason));
    }

    void load_order(const LoadOrder& entry, bool wanted) {
        OrderRequest request = entry.request;
        request.id = entry.id;
        if (wanted) {
            const Verdict verdict = registry_.load_order(entry.strategy, request);
            if (!took(report.orders, entry.place, verdict)) return;
        } else {
            ++report.orders.skipped;
        }
        OrderView view;
        if (!registry_.find(request.account, entry.id, view)) return;
        // Also where a load was cut off between both.
        if (!entry.venue_id.empty() && view.venue_id.empty() && is_live(view.base))
            static_cast<void>(registry_.acked(request.account, entry.id, entry.venue_id));
        if (!wanted) return;
        if (const auto over = over_limit(registry_.reader(), view)) report.warnings.push_back({entry.id, *over});
    }

    Registry& registry_;
    const LoadFile& file_;
    const Plan& plan_;
};

void print(const Common& common, const Reader& reader, const LoadReport& done) {
    for (const auto& [id, verdict] : done.warnings)
        std::fprintf(stderr, "riskctl: warning: order '%s' is reserved although it is over a limit: %s\n", id.c_str(),
                     describe(reader, verdict).c_str());
    for (const auto& [scope, changes] : done.limit_changes) warn_of_exceeded(scope, changes);
    if (common.json) return print_json(done, reader);
    for (const auto& [scope, changes] : done.limit_changes)
        std::printf("%s:%s\n", scope.c_str(), text_of_changes(changes).c_str());
    Table table({"section", "loaded", "as before", "refused"});
    for (const auto& [name, counts] : done.sections())
        table.add(
            {std::string(name), std::to_string(counts.loaded), std::to_string(counts.skipped), std::to_string(counts.refused)});
    table.print();
}

LoadFile read_load_file(const std::string& path, const Reader& reader) {
    const std::string text = read_bounded(path);
    try {
        return parse_load_file(text, reader);
    } catch (const Error& error) {
        throw Error(error.code(), path + ": " + error.what());
    }
}

int load(const Common& common, const std::string& path) {
    ProcessConfig config;
    config.state_dir = common.state_dir;
    config.request_timeout_ns = config.fact_timeout_ns = kLockTimeoutNs;
    config.host_snapshotter = true;   // when nobody else does: what was loaded is on disk when this ends
    Registry registry = Registry::open(common.name, config);
    const program::Leaving leaving("riskctl", registry, common.name);
    const LoadFile file = read_load_file(path, registry.reader());
    Plan plan;
    try {
        plan = make_plan(registry.reader(), file);
    } catch (const Error& error) {
        throw Error(error.code(), path + ": " + error.what());
    }
    Loader loader(registry, file, plan);
    loader.run();
    loader.report.name = common.name;
    print(common, registry.reader(), loader.report);
    if (loader.pending)
        std::fprintf(stderr, "riskctl: not on disk yet: it holds for every process now, and not after a loss of power\n");
    if (loader.poisoned) return kDamaged;
    const auto sections = loader.report.sections();
    const bool refused =
        std::any_of(sections.begin(), sections.end(), [](const auto& section) { return section.second.refused != 0; });
    return refused ? kNo : kDone;
}

Run add_load(CLI::App& verb, const Common& common) {
    auto file = std::make_shared<std::string>();
    verb.add_option("FILE", *file, "JSON; - is stdin")->required();
    return [&common, file] { return load(common, *file); };
}

}  // namespace

Verb load_verb() { return {"load", "positions, limits, restricted list and open orders from a file", add_load}; }

}  // namespace riskctl
