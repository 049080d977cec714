#include "persist/config_json.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <functional>
#include <set>
#include <span>
#include <tuple>

#include "base/decimal.hpp"
#include "base/fixed_id.hpp"
#include "base/names.hpp"
#include "base/wide.hpp"
#include "core/decide.hpp"
#include "persist/config_warnings.hpp"
#include "riskreg/error.hpp"

namespace riskreg {

using persist::JsonValue;
using persist::JsonWriter;
using Kind = persist::JsonValue::Kind;

namespace {

constexpr std::size_t kMaxConfigBytes = 64U << 20;
constexpr std::size_t kMaxReasonBytes = sizeof layout::Reason::text;
constexpr std::int64_t kForEver = layout::kUnlimited;   // what Restriction::to_ns is when nobody says otherwise

[[noreturn]] void refuse(const std::string& path, const std::string& seen, const std::string& allowed) {
    throw Error(Errc::bad_input, "configuration: " + path + ": seen " + seen + ", allowed: " + allowed);
}

/// Switches that the core knows as a flag: their two names stand here alone.
using base::Name;
constexpr auto kOnLoss = std::to_array<Name<bool>>({{false, "reducing_only"}, {true, "halt"}});
constexpr auto kOnMarkBreach = std::to_array<Name<bool>>({{false, "warn"}, {true, "reducing_only"}});

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

/// One object of the configuration, with its path for messages. Every key must be taken by name; what is left
/// at the end is unknown, and an error.
class ObjectReader {
public:
    ObjectReader(const JsonValue& value, std::string path) : value_(value), path_(std::move(path)) {
        if (!value.is(Kind::object)) refuse(path_.empty() ? "document" : path_, value.shown(), "an object");
    }

    const JsonValue* take(std::string_view key) {
        known_.insert(std::string(key));
        return value_.find(key);
    }
    const JsonValue& require(std::string_view key) {
        const JsonValue* value = take(key);
        if (value == nullptr) refuse(at(key), "nothing", "this key is required");
        return *value;
    }
    [[nodiscard]] std::string at(std::string_view key) const {
        return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
    }

    bool boolean(std::string_view key, bool fallback) {
        const JsonValue* value = take(key);
        if (value == nullptr) return fallback;
        if (!value->is(Kind::boolean)) refuse(at(key), value->shown(), "true or false");
        return value->boolean;
    }
    std::uint32_t count(std::string_view key, std::uint32_t fallback, std::uint32_t low, std::uint32_t high) {
        const JsonValue* value = take(key);
        if (value == nullptr) return fallback;
        std::uint32_t number = 0;
        const char* end = value->text.data() + value->text.size();
        const auto [stop, error] = std::from_chars(value->text.data(), end, number);
        const bool whole = value->is(Kind::number) && error == std::errc{} && stop == end;
        if (!whole || number < low || number > high)
            refuse(at(key), value->is(Kind::string) ? "the string " + quoted(value->text) : value->shown(),
                   "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
        return number;
    }
    std::string text(std::string_view key, const JsonValue& value) const {
        if (!value.is(Kind::string)) refuse(at(key), value.shown(), "a string");
        return value.text;
    }
    std::string id(std::string_view key) {
        std::string name = text(key, require(key));
        if (!base::is_valid_id(name)) refuse(at(key), quoted(name), "1 to 39 printable ASCII characters without spaces");
        if (name.find('/') != std::string::npos || name.find(':') != std::string::npos)
            refuse(at(key), quoted(name), "no '/' and no ':' (they separate scopes)");
        return name;
    }
    std::string currency() {
        const JsonValue* value = take("currency");
        if (value == nullptr) return {};
        std::string code = text("currency", *value);
        if (!base::is_valid_id(code)) refuse(at("currency"), quoted(code), "1 to 39 printable ASCII characters without spaces");
        return code;
    }
    std::int64_t decimal(std::string_view key, const JsonValue& value, int digits, bool positive) const {
        if (!value.is(Kind::string))
            refuse(at(key), "the " + std::string(value.is(Kind::number) ? "number " : "value ") + value.shown(),
                   "a decimal as a string");
        const auto [parsed, error] = base::parse_decimal(value.text, digits);
        if (error != base::DecimalError::none)
            refuse(at(key), quoted(value.text) + " (" + std::string(base::describe(error)) + ")",
                   "a decimal with at most " + std::to_string(digits) + " fractional digits");
        if (positive && parsed <= 0) refuse(at(key), quoted(value.text), "a decimal greater than 0");
        return parsed;
    }
    template <class Value>
    Value choice(std::string_view key, Value fallback, std::span<const Name<Value>> choices) {
        const JsonValue* value = take(key);
        if (value == nullptr) return fallback;
        std::string allowed;
        for (const auto& [chosen, name] : choices) {
            if (value->is(Kind::string) && value->text == name) return chosen;
            allowed.append(allowed.empty() ? "" : ", ").append(name);
        }
        refuse(at(key), quoted(value->shown()), allowed);
    }
    template <class Value>
    Value choice(std::string_view key, Value fallback) {
        return choice(key, fallback, base::names_of<Value>());
    }
    void each(std::string_view key, const std::function<void(const JsonValue&, const std::string&)>& visit) {
        const JsonValue* value = take(key);
        if (value == nullptr) return;
        if (!value->is(Kind::array)) refuse(at(key), value->shown(), "an array");
        for (std::size_t i = 0; i < value->items.size(); ++i) visit(value->items[i], at(key) + "[" + std::to_string(i) + "]");
    }
    void end() const {
        for (const auto& [key, value] : value_.members)
            if (known_.count(key) == 0) refuse(at(key), "an unknown key", list(known_));
    }

private:
    static std::string list(const std::set<std::string>& names) {
        std::string text;
        for (const std::string& name : names) text.append(text.empty() ? "" : " ").append(name);
        return text;
    }
    const JsonValue& value_;
    std::string path_;
    std::set<std::string> known_;
};

void read_capacity(const JsonValue& value, Capacity& capacity) {
    constexpr std::uint32_t most = 1U << 28;
    ObjectReader in(value, "capacity");
    capacity.orders = in.count("orders", capacity.orders, 16, most);
    capacity.instruments = in.count("instruments", capacity.instruments, 1, 1U << 20);
    capacity.accounts = in.count("accounts", capacity.accounts, 1, 65534);
    capacity.strategies = in.count("strategies", capacity.strategies, 1, 65533);
    capacity.sessions = in.count("sessions", capacity.sessions, 1, 65535);
    capacity.ring_events = in.count("ring_events", capacity.ring_events, 256, most);
    capacity.executions = in.count("executions", capacity.executions, 16, most);
    capacity.budgets = in.count("budgets", capacity.budgets, 0, 65536);
    capacity.restrictions = in.count("restrictions", capacity.restrictions, 0, 1U << 20);
    if (!std::has_single_bit(capacity.ring_events))
        refuse("capacity.ring_events", std::to_string(capacity.ring_events), "a power of two");
    in.end();
}

void read_persistence(const JsonValue& value, SharedConfig& config) {
    ObjectReader in(value, "persistence");
    config.persistence_mode = in.choice("mode", PersistenceMode::async);
    config.checkpoint_interval_s = in.count("checkpoint_interval_s", 30, 1, 86400);
    config.keep_checkpoints = in.count("keep_checkpoints", 3, 1, 1000);
    config.keep_journal = in.boolean("keep_journal", false);
    if (const JsonValue* path = in.take("key_file"); path != nullptr) {
        config.key_file = in.text("key_file", *path);
        if (config.key_file.empty() || config.key_file.front() != '/')
            refuse(in.at("key_file"), quoted(config.key_file), "an absolute path");
    }
    in.end();
}

InstrumentConfig read_instrument(const JsonValue& value, const std::string& path) {
    ObjectReader in(value, path);
    InstrumentConfig out;
    const auto quantity = [&](std::string_view key) { return Quantity{in.decimal(key, *in.take(key), kQuantityDigits, true)}; };
    const auto factor = [&](std::string_view key) { return in.decimal(key, *in.take(key), 9, true); };
    out.id = in.id("id");
    out.tick.value = in.decimal("tick", in.require("tick"), kPriceDigits, true);
    if (in.take("lot") != nullptr) out.lot = quantity("lot");
    if (in.take("min_quantity") != nullptr) out.min_quantity = quantity("min_quantity");
    if (in.take("max_quantity") != nullptr) out.max_quantity = quantity("max_quantity");
    if (in.take("multiplier") != nullptr) out.multiplier_e9 = factor("multiplier");
    if (in.take("fx_rate") != nullptr) out.fx_rate_e9 = factor("fx_rate");
    out.currency = in.currency();
    out.collar_bps = in.count("collar_bps", 0, 0, 1'000'000);
    out.collar_ticks = in.count("collar_ticks", 0, 0, 1'000'000'000);
    out.collar_two_sided = in.boolean("collar_two_sided", false);
    out.reference_max_age_ms = in.count("reference_max_age_ms", 5000, 1, 4'000'000'000U);
    out.market_slippage_bps = in.count("market_slippage_bps", 500, 0, 1'000'000);
    out.short_allowed = in.boolean("short_allowed", true);
    out.zero_prices = in.boolean("zero_prices", true);
    if (!base::notional_factor(out.multiplier_e9, out.fx_rate_e9.value_or(1'000'000'000)))
        refuse(in.at("multiplier"), "multiplier × fx_rate with more than 19 significant digits", "fewer digits");
    const Quantity min = out.min_quantity.value_or(out.lot);
    if (out.max_quantity && *out.max_quantity < min)
        refuse(in.at("max_quantity"), base::format_decimal(out.max_quantity->value, kQuantityDigits),
               "at least min_quantity, " + base::format_decimal(min.value, kQuantityDigits));
    in.end();
    return out;
}

AccountConfig read_account(const JsonValue& value, const std::string& path) {
    ObjectReader in(value, path);
    AccountConfig out;
    out.id = in.id("id");
    out.currency = in.currency();
    in.end();
    return out;
}

StrategyConfig read_strategy(const JsonValue& value, const std::string& path) {
    ObjectReader in(value, path);
    StrategyConfig out;
    out.id = in.id("id");
    if (out.id == "external") refuse(in.at("id"), "'external'", "any other name: fills of unknown orders are booked under it");
    const JsonValue& account = in.require("account");
    if (account.is(Kind::array)) {
        for (const JsonValue& item : account.items) out.accounts.push_back(in.text("account", item));
    } else {
        out.accounts.push_back(in.text("account", account));
    }
    if (out.accounts.empty()) refuse(in.at("account"), "an empty list", "at least one account");
    if (std::set<std::string>(out.accounts.begin(), out.accounts.end()).size() != out.accounts.size())
        refuse(in.at("account"), "an account twice", "each account once");
    in.each("instruments", [&](const JsonValue& item, const std::string& at) {
        if (!item.is(Kind::string)) refuse(at, item.shown(), "the id of an instrument");
        out.instruments.push_back(item.text);
    });
    out.on_death = in.choice("on_death", OnDeath::halt_strategy);
    in.end();
    return out;
}

/// Text of a limit in the configuration: decimals are strings, counts are numbers, what is no parameter may be "unlimited".
std::string limit_text(const ObjectReader& in, const core::Limit& field, const JsonValue& value) {
    const bool is_count = persist::is_count(field.unit);
    const bool unlimited = !field.is(core::kIsParameter) && value.is(Kind::string) && value.text == "unlimited";
    if (unlimited || value.is(is_count ? Kind::number : Kind::string)) return value.text;
    const char* kind = value.is(Kind::string) ? "the string " : value.is(Kind::number) ? "the number " : "";
    const std::string allowed = is_count ? "a whole number" : "a decimal as a string";
    refuse(in.at(field.name), kind + value.shown(), allowed + (field.is(core::kIsParameter) ? "" : ", or \"unlimited\""));
}

LimitConfig read_limit(const JsonValue& value, const std::string& path) {
    ObjectReader in(value, path);
    LimitConfig out;
    out.scope = in.text("scope", in.require("scope"));
    for (const core::Limit& field : core::kLimits) {
        const JsonValue* limit = in.take(field.name);
        if (limit == nullptr) continue;
        const std::string text = limit_text(in, field, *limit);
        if (text == "unset") refuse(in.at(field.name), "'unset'", "leave the key out");
        try {
            out.limits.*field.member = persist::parse_limit(field, text);
        } catch (const Error& error) {
            throw Error(error.code(), "configuration: " + path + "." + error.what());
        }
    }
    in.end();
    return out;
}

/// `"buy"`, `"sell"`, `"both"`, or a list of the first two.
void read_sides(ObjectReader& in, Restriction& out) {
    const JsonValue* value = in.take("sides");
    if (value == nullptr) return;
    using base::Sides;
    out.buy = out.sell = false;
    const auto add = [&](const JsonValue& side, bool both_allowed) {
        const auto sides = side.is(Kind::string) ? base::value_named<Sides>(side.text) : std::nullopt;
        if (!sides || (*sides == Sides::both && !both_allowed))
            refuse(in.at("sides"), side.shown(), "\"buy\", \"sell\", \"both\", or a list of sides");
        out.buy = out.buy || *sides != Sides::sell;
        out.sell = out.sell || *sides != Sides::buy;
    };
    if (!value->is(Kind::array)) return add(*value, true);
    if (value->items.empty()) refuse(in.at("sides"), "an empty list", "at least one side");
    for (const JsonValue& side : value->items) add(side, false);
}

std::int64_t read_time(ObjectReader& in, std::string_view key, std::int64_t fallback) {
    const JsonValue* value = in.take(key);
    if (value == nullptr) return fallback;
    const auto time = value->is(Kind::string) ? persist::parse_time(value->text) : std::nullopt;
    if (!time)
        refuse(in.at(key), value->shown(),
               "a time like \"2026-11-25T08:00:00Z\" or a date like \"2026-11-25\", UTC, 1970 to 2261");
    return *time;
}

/// One entry for each scope and dates: further ones of the same add their sides.
void add_restriction(SharedConfig& config, Restriction entry) {
    for (Restriction& known : config.restricted) {
        if (known.scope != entry.scope || known.from_ns != entry.from_ns || known.to_ns != entry.to_ns) continue;
        known.buy |= entry.buy;
        known.sell |= entry.sell;
        return;
    }
    config.restricted.push_back(std::move(entry));
}

Restriction read_restriction(const JsonValue& value, const std::string& path) {
    ObjectReader in(value, path);
    Restriction out;
    out.scope = in.text("scope", in.require("scope"));
    read_sides(in, out);
    if (const JsonValue* reason = in.take("reason"); reason != nullptr) out.reason = in.text("reason", *reason);
    if (out.reason.size() > kMaxReasonBytes)
        refuse(in.at("reason"), std::to_string(out.reason.size()) + " bytes", "at most " + std::to_string(kMaxReasonBytes));
    out.from_ns = read_time(in, "from", out.from_ns);
    out.to_ns = read_time(in, "to", out.to_ns);
    if (out.to_ns <= out.from_ns) refuse(in.at("to"), quoted(persist::format_time(out.to_ns)), "a time after from");
    in.end();
    return out;
}

std::uint32_t read_uid(const JsonValue& value, const std::string& at) {
    std::uint32_t uid = 0;
    const char* end = value.text.data() + value.text.size();
    const auto [stop, error] = std::from_chars(value.text.data(), end, uid);
    if (!value.is(Kind::number) || error != std::errc{} || stop != end || uid == 0xFFFF'FFFFU)
        refuse(at, value.is(Kind::string) ? "the string " + quoted(value.text) : value.shown(), "the number of a user");
    return uid;
}

void read_controls(ObjectReader& in, SharedConfig& config) {
    config.self_match = in.choice("self_match", config.self_match);
    config.self_match_group = in.choice("self_match_group", config.self_match_group);
    config.gross_method = in.choice("gross_method", config.gross_method);
    config.four_eyes = in.boolean("four_eyes", config.four_eyes);
    in.each("approvers", [&](const JsonValue& v, const std::string& at) { config.approvers.push_back(read_uid(v, at)); });
    config.content_by_strategy = in.boolean("content_by_strategy", config.content_by_strategy);
    config.halt_on_loss = in.choice<bool>("on_loss", config.halt_on_loss, kOnLoss);
    config.reduce_on_mark_breach = in.choice<bool>("on_mark_breach", config.reduce_on_mark_breach, kOnMarkBreach);
    config.mark_threshold_bps = in.count("mark_threshold_bps", config.mark_threshold_bps, 0, 1'000'000);
    config.mark_interval_ms = in.count("mark_interval_ms", config.mark_interval_ms, 0, 4'000'000'000U);
    config.min_day_s = in.count("min_day_s", config.min_day_s, 0, 31'536'000U);
    in.each("restricted", [&](const JsonValue& v, const std::string& at) { add_restriction(config, read_restriction(v, at)); });
}

template <class List>
void require_unique(const List& list, const std::string& key, std::uint32_t capacity) {
    std::set<std::string> seen;
    for (std::size_t i = 0; i < list.size(); ++i)
        if (!seen.insert(list[i].id).second)
            refuse(key + "[" + std::to_string(i) + "].id", quoted(list[i].id) + " a second time", "each id once");
    if (list.size() > capacity)
        refuse(key, std::to_string(list.size()) + " entries", "at most capacity." + key + " = " + std::to_string(capacity));
    if (list.empty()) refuse(key, "nothing", "at least one entry");
}

template <class List>
bool has_id(const List& list, std::string_view id) {
    return std::any_of(list.begin(), list.end(), [id](const auto& entry) { return entry.id == id; });
}

void validate_strategies(const SharedConfig& config) {
    for (std::size_t s = 0; s < config.strategies.size(); ++s) {
        const StrategyConfig& strategy = config.strategies[s];
        const std::string path = "strategies[" + std::to_string(s) + "]";
        for (const std::string& id : strategy.accounts)
            if (!has_id(config.accounts, id)) refuse(path + ".account", quoted(id), "an id of accounts");
        for (const std::string& id : strategy.instruments)
            if (!has_id(config.instruments, id)) refuse(path + ".instruments", quoted(id), "an id of instruments");
    }
}

/// fx_rate must be given where the currencies of an account and an instrument differ.
void validate_currencies(const SharedConfig& config) {
    for (std::size_t i = 0; i < config.instruments.size(); ++i) {
        const InstrumentConfig& instrument = config.instruments[i];
        if (instrument.currency.empty() || instrument.fx_rate_e9) continue;
        for (const AccountConfig& account : config.accounts)
            if (!account.currency.empty() && account.currency != instrument.currency)
                refuse("instruments[" + std::to_string(i) + "].fx_rate", "nothing",
                       "a rate: " + instrument.id + " is in " + instrument.currency + ", account " + account.id + " in " +
                           account.currency);
    }
}

bool scope_exists(const SharedConfig& config, std::string_view scope) {
    if (scope == "firm") return true;
    const std::size_t slash = scope.find('/');
    const auto names = [](std::string_view part, std::string_view prefix, const auto& list) {
        return part.substr(0, prefix.size()) == prefix && has_id(list, part.substr(prefix.size()));
    };
    const std::string_view first = scope.substr(0, slash);
    const bool entity = names(first, "account:", config.accounts) || names(first, "strategy:", config.strategies) ||
                        first == "strategy:external";
    if (slash == std::string_view::npos) return entity || names(first, "instrument:", config.instruments);
    return entity && names(scope.substr(slash + 1), "instrument:", config.instruments);
}

void require_scope(const SharedConfig& config, const std::string& path, const std::string& scope) {
    if (!scope_exists(config, scope))
        refuse(
            path, quoted(scope),
            "firm, account:A, strategy:S, instrument:I, account:A/instrument:I or strategy:S/instrument:I of configured ids");
}

void validate_limits(const SharedConfig& config) {
    std::set<std::string> seen;
    for (std::size_t i = 0; i < config.limits.size(); ++i) {
        const std::string path = "limits[" + std::to_string(i) + "].scope";
        const std::string& scope = config.limits[i].scope;
        require_scope(config, path, scope);
        if (!seen.insert(scope).second) refuse(path, quoted(scope) + " a second time", "one entry for each scope");
    }
}

void validate_restricted(const SharedConfig& config) {
    for (std::size_t i = 0; i < config.restricted.size(); ++i)
        require_scope(config, "restricted[" + std::to_string(i) + "].scope", config.restricted[i].scope);
}

void validate(const SharedConfig& config) {
    require_unique(config.instruments, "instruments", config.capacity.instruments);
    require_unique(config.accounts, "accounts", config.capacity.accounts);
    require_unique(config.strategies, "strategies", config.capacity.strategies);
    validate_strategies(config);
    validate_currencies(config);
    validate_limits(config);
    validate_restricted(config);
    const std::uint64_t rows = (config.accounts.size() + config.strategies.size() + 2ULL) * (config.instruments.size() + 1ULL);
    if (rows > (1ULL << 28))
        refuse("instruments", std::to_string(rows) + " rows in all", "at most 2^28: fewer instruments, accounts or strategies");
}

/// A parameter of limits that this scope does not set is legal, and most likely not what was meant.
void warn_of_idle_parameters(SharedConfig& config) {
    const auto is_set = [](const LimitValue& limit) { return limit.kind != LimitValue::Kind::unset; };
    for (std::size_t i = 0; i < config.limits.size(); ++i) {
        const Limits& l = config.limits[i].limits;
        const auto warn = [&](std::string_view name, const std::string& needs) {
            config.warnings.push_back("limits[" + std::to_string(i) + "]." + std::string(name) + ": without effect, " +
                                      config.limits[i].scope + " sets no " + needs);
        };
        const auto counts_in = [&](LimitValue Limits::*window) {
            return std::any_of(core::kLimits.begin(), core::kLimits.end(),
                               [&](const core::Limit& limit) { return limit.window == window && is_set(l.*limit.member); });
        };
        if (is_set(l.window_ms) && !counts_in(&Limits::window_ms)) warn("window_ms", "limit that is counted in it");
        if (is_set(l.content_window_ms) && !counts_in(&Limits::content_window_ms))
            warn("content_window_ms", "max_same_content");
        if (is_set(l.cancel_headroom_bps) && !is_set(l.max_all_messages)) warn("cancel_headroom", "max_all_messages");
    }
}

}  // namespace

SharedConfig parse_config(std::string_view text) {
    const persist::JsonResult parsed = persist::parse_json(persist::without_mark(text), kMaxConfigBytes);
    if (!parsed.error.empty()) throw Error(Errc::bad_input, "configuration: not a JSON document: " + parsed.error);
    SharedConfig config;
    ObjectReader in(parsed.value, "");
    if (const JsonValue* value = in.take("capacity")) read_capacity(*value, config.capacity);
    if (const JsonValue* value = in.take("persistence")) read_persistence(*value, config);
    config.require_limits = in.boolean("require_limits", true);
    config.allow_limit_without_reference = in.boolean("allow_limit_without_reference", false);
    config.amend_before_ack = in.boolean("amend_before_ack", false);
    config.huge_pages = in.boolean("huge_pages", false);
    config.lock_memory = in.boolean("lock_memory", false);
    config.reserve_price = in.choice("reserve_price", ReservePrice::max_limit_reference);
    read_controls(in, config);
    in.each("instruments",
            [&](const JsonValue& v, const std::string& at) { config.instruments.push_back(read_instrument(v, at)); });
    in.each("accounts", [&](const JsonValue& v, const std::string& at) { config.accounts.push_back(read_account(v, at)); });
    in.each("strategies",
            [&](const JsonValue& v, const std::string& at) { config.strategies.push_back(read_strategy(v, at)); });
    in.each("limits", [&](const JsonValue& v, const std::string& at) { config.limits.push_back(read_limit(v, at)); });
    in.end();
    validate(config);
    warn_of_idle_parameters(config);
    for (std::string& warning : persist::weak_limits(config)) config.warnings.push_back(std::move(warning));
    return config;
}

namespace {

void write_instrument(JsonWriter& out, const InstrumentConfig& i) {
    out.begin_object().member("id", i.id).member("tick", base::format_decimal(i.tick.value, kPriceDigits));
    out.member("lot", base::format_decimal(i.lot.value, kQuantityDigits));
    if (i.min_quantity) out.member("min_quantity", base::format_decimal(i.min_quantity->value, kQuantityDigits));
    if (i.max_quantity) out.member("max_quantity", base::format_decimal(i.max_quantity->value, kQuantityDigits));
    out.member("multiplier", base::format_decimal(i.multiplier_e9, 9));
    if (i.fx_rate_e9) out.member("fx_rate", base::format_decimal(*i.fx_rate_e9, 9));
    if (!i.currency.empty()) out.member("currency", i.currency);
    out.member("collar_bps", std::uint64_t{i.collar_bps}).member("collar_ticks", std::uint64_t{i.collar_ticks});
    out.member_bool("collar_two_sided", i.collar_two_sided);
    out.member("reference_max_age_ms", std::uint64_t{i.reference_max_age_ms});
    out.member("market_slippage_bps", std::uint64_t{i.market_slippage_bps});
    out.member_bool("short_allowed", i.short_allowed);
    // Left out where it is the default: what earlier builds wrote has the same text.
    if (!i.zero_prices) out.member_bool("zero_prices", false);
    out.end_object();
}

void write_strategy(JsonWriter& out, const StrategyConfig& s) {
    out.begin_object().member("id", s.id).key("account").begin_array();
    for (const std::string& id : s.accounts) out.string(id);
    out.end_array();
    if (!s.instruments.empty()) {
        out.key("instruments").begin_array();
        for (const std::string& id : s.instruments) out.string(id);
        out.end_array();
    }
    out.member("on_death", name_of(s.on_death)).end_object();
}

void write_limits(JsonWriter& out, const LimitConfig& limit) {
    out.begin_object().member("scope", limit.scope);
    for (const core::Limit& field : core::kLimits) persist::write_limit(out, field, limit.limits.*field.member);
    out.end_object();
}

void write_restriction(JsonWriter& out, const Restriction& r) {
    out.begin_object().member("scope", r.scope).member("sides", base::name_of_sides(r.buy, r.sell));
    if (!r.reason.empty()) out.member("reason", r.reason);
    if (r.from_ns != 0) out.member("from", persist::format_time(r.from_ns));
    if (r.to_ns != kForEver) out.member("to", persist::format_time(r.to_ns));
    out.end_object();
}

void write_capacity(JsonWriter& out, const Capacity& c) {
    out.key("capacity").begin_object();
    out.member("orders", std::uint64_t{c.orders}).member("instruments", std::uint64_t{c.instruments});
    out.member("accounts", std::uint64_t{c.accounts}).member("strategies", std::uint64_t{c.strategies});
    out.member("sessions", std::uint64_t{c.sessions}).member("ring_events", std::uint64_t{c.ring_events});
    out.member("executions", std::uint64_t{c.executions}).member("budgets", std::uint64_t{c.budgets});
    out.member("restrictions", std::uint64_t{c.restrictions}).end_object();
}

void write_persistence(JsonWriter& out, const SharedConfig& config) {
    out.key("persistence").begin_object().member("mode", base::text_of(config.persistence_mode));
    out.member("checkpoint_interval_s", std::uint64_t{config.checkpoint_interval_s});
    out.member("keep_checkpoints", std::uint64_t{config.keep_checkpoints}).member_bool("keep_journal", config.keep_journal);
    if (!config.key_file.empty()) out.member("key_file", config.key_file);
    out.end_object();
}

void write_controls(JsonWriter& out, const SharedConfig& config) {
    out.member("self_match", base::text_of(config.self_match));
    out.member("self_match_group", base::text_of(config.self_match_group));
    out.member("gross_method", base::text_of(config.gross_method)).member_bool("four_eyes", config.four_eyes);
    if (!config.approvers.empty()) {
        out.key("approvers").begin_array();
        for (const std::uint32_t uid : config.approvers) out.number(uid);
        out.end_array();
    }
    out.member_bool("content_by_strategy", config.content_by_strategy);
    out.member("on_loss", base::text_of<bool>(kOnLoss, config.halt_on_loss, {}));
    out.member("on_mark_breach", base::text_of<bool>(kOnMarkBreach, config.reduce_on_mark_breach, {}));
    out.member("mark_threshold_bps", std::uint64_t{config.mark_threshold_bps});
    out.member("mark_interval_ms", std::uint64_t{config.mark_interval_ms});
    // Left out where it is the default, as `zero_prices` is.
    if (config.min_day_s != 0) out.member("min_day_s", std::uint64_t{config.min_day_s});
}

template <class List, class Write>
void write_list(JsonWriter& out, std::string_view key, const List& list, Write write) {
    out.key(key).begin_array();
    for (const auto& entry : list) write(out, entry);
    out.end_array();
}

void write_account(JsonWriter& out, const AccountConfig& a) {
    out.begin_object().member("id", a.id);
    if (!a.currency.empty()) out.member("currency", a.currency);
    out.end_object();
}

}  // namespace

std::string config_to_json(const SharedConfig& config) {
    JsonWriter out;
    out.begin_object();
    write_capacity(out, config.capacity);
    write_persistence(out, config);
    out.member_bool("require_limits", config.require_limits);
    out.member_bool("allow_limit_without_reference", config.allow_limit_without_reference);
    out.member_bool("amend_before_ack", config.amend_before_ack);
    out.member_bool("huge_pages", config.huge_pages).member_bool("lock_memory", config.lock_memory);
    out.member("reserve_price", base::text_of(config.reserve_price));
    write_controls(out, config);
    write_list(out, "restricted", config.restricted, write_restriction);
    write_list(out, "instruments", config.instruments, write_instrument);
    write_list(out, "accounts", config.accounts, write_account);
    write_list(out, "strategies", config.strategies, write_strategy);
    write_list(out, "limits", config.limits, write_limits);
    return out.end_object().text();
}

}  // namespace riskreg

namespace riskreg::persist {

namespace {

std::string allowed_values(const core::Limit& field) {
    std::string text = is_count(field.unit) ? "a whole number" : "a decimal";
    if (field.most == core::kMostAmount) text += ", 0 or more";
    else text += " from " + format_amount(field.unit, field.least) + " to " + format_amount(field.unit, field.most);
    if (!is_count(field.unit)) text += ", with at most " + std::to_string(digits_of(field.unit)) + " fractional digits";
    return text + (field.is(core::kIsParameter) ? "" : ", or unlimited");
}

}  // namespace

std::string_view name_of(PersistenceMode mode) noexcept { return base::text_of(mode); }

LimitValue parse_limit(const core::Limit& field, std::string_view text) {
    if (text == "unlimited" && !field.is(core::kIsParameter)) return {LimitValue::Kind::unlimited, 0};
    if (text == "unset") return {};
    const auto [value, error] = base::parse_decimal(text, digits_of(field.unit));
    if (error != base::DecimalError::none || value < field.least || value > field.most)
        throw Error(Errc::bad_input,
                    std::string(field.name) + ": seen '" + std::string(text) + "', allowed: " + allowed_values(field));
    return {LimitValue::Kind::value, value};
}

bool write_limit(JsonWriter& out, const core::Limit& field, const LimitValue& value) {
    if (value.kind == LimitValue::Kind::unset) return false;
    out.key(field.name);
    if (value.kind == LimitValue::Kind::unlimited) return out.string("unlimited"), true;
    if (is_count(field.unit)) return out.signed_number(value.value), true;
    return out.string(format_amount(field.unit, value.value)), true;
}

std::string format_amount(Unit unit, std::int64_t value) { return base::format_decimal(value, digits_of(unit)); }

void write_amount(JsonWriter& out, std::string_view name, Unit unit, std::int64_t value) {
    out.member(name, format_amount(unit, value));
    if (is_count(unit)) out.key(std::string(name) + "_count").signed_number(value);
}

}  // namespace riskreg::persist
