#include "persist/config_json.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <functional>
#include <set>

#include "base/decimal.hpp"
#include "base/fixed_id.hpp"
#include "base/wide.hpp"
#include "riskreg/error.hpp"

namespace riskreg {

using persist::JsonValue;
using persist::JsonWriter;
using Kind = persist::JsonValue::Kind;

namespace {

constexpr std::size_t kMaxConfigBytes = 64U << 20;

[[noreturn]] void refuse(const std::string& path, const std::string& seen, const std::string& allowed) {
    throw Error(Errc::bad_input, "configuration: " + path + ": seen " + seen + ", allowed: " + allowed);
}

[[noreturn]] void not_built(const std::string& path, const std::string& remedy) {
    throw Error(Errc::not_supported, "configuration: " + path + ": this check is not built yet; " + remedy);
}

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
    Value choice(std::string_view key, Value fallback, std::initializer_list<std::pair<std::string_view, Value>> choices) {
        const JsonValue* value = take(key);
        if (value == nullptr) return fallback;
        std::string allowed;
        for (const auto& [name, chosen] : choices) {
            if (value->is(Kind::string) && value->text == name) return chosen;
            allowed.append(allowed.empty() ? "" : ", ").append(name);
        }
        refuse(at(key), quoted(value->shown()), allowed);
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
    if (!std::has_single_bit(capacity.ring_events))
        refuse("capacity.ring_events", std::to_string(capacity.ring_events), "a power of two");
    in.end();
}

void read_persistence(const JsonValue& value, SharedConfig& config) {
    ObjectReader in(value, "persistence");
    config.persistence_mode =
        in.choice("mode", PersistenceMode::async,
                  {{"none", PersistenceMode::none}, {"async", PersistenceMode::async}, {"durable", PersistenceMode::durable}});
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
    if (!in.boolean("short_allowed", true)) not_built(in.at("short_allowed"), "set it to true");
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
    out.on_death = in.choice(
        "on_death", OnDeath::halt_strategy,
        {{"halt_strategy", OnDeath::halt_strategy}, {"leave", OnDeath::leave}, {"list_for_cancel", OnDeath::list_for_cancel}});
    in.end();
    return out;
}

/// Text of a limit in the configuration: decimals are strings, counts are numbers, both may be "unlimited".
std::string limit_text(const ObjectReader& in, const persist::LimitField& field, const JsonValue& value) {
    const bool is_count = field.unit == Unit::orders;
    const bool unlimited = value.is(Kind::string) && value.text == "unlimited";
    const bool legal = unlimited || value.is(is_count ? Kind::number : Kind::string);
    if (!legal)
        refuse(in.at(field.name),
               (value.is(Kind::string)   ? "the string "
                : value.is(Kind::number) ? "the number "
                                         : "") +
                   value.shown(),
               is_count ? "a whole number, or \"unlimited\"" : "a decimal as a string, or \"unlimited\"");
    return value.text;
}

LimitConfig read_limit(const JsonValue& value, const std::string& path) {
    ObjectReader in(value, path);
    LimitConfig out;
    out.scope = in.text("scope", in.require("scope"));
    for (const persist::LimitField& field : persist::kLimitFields) {
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
    for (const std::string_view name : persist::kLimitsNotBuilt) {
        const JsonValue* limit = in.take(name);
        if (limit == nullptr || (limit->is(Kind::string) && limit->text == "unlimited")) continue;
        not_built(in.at(name), "leave " + std::string(name) + " out or set it to \"unlimited\"");
    }
    for (const std::string_view name : persist::kLimitParameters) static_cast<void>(in.take(name));
    in.end();
    return out;
}

/// Switches whose check is not built: the value that switches it off is accepted, another is refused by name.
void read_switches(ObjectReader& in, SharedConfig& config) {
    const JsonValue* self_match = in.take("self_match");
    if (self_match != nullptr && !(self_match->is(Kind::string) && self_match->text == "allow")) {
        const bool known =
            self_match->is(Kind::string) && (self_match->text == "refuse_new" || self_match->text == "advise_cancel");
        if (!known) refuse("self_match", quoted(self_match->shown()), "refuse_new, advise_cancel, allow");
        not_built("self_match", "set it to \"allow\"");
    }
    if (self_match == nullptr)
        config.warnings.emplace_back(
            "self_match: the check is not built yet, orders that cross own orders are accepted; set \"self_match\": \"allow\" "
            "to say so");
    in.choice("self_match_group", 0, {{"account", 0}, {"firm", 1}});
    if (in.boolean("four_eyes", false)) not_built("four_eyes", "set it to false");
    in.each("restricted", [](const JsonValue&, const std::string& at) { not_built(at, "leave the list empty"); });
    in.choice("gross_method", 0, {{"standard", 0}, {"worst_case", 1}});
    in.count("mark_threshold_bps", 0, 0, 1'000'000);
    in.count("mark_interval_ms", 0, 0, 4'000'000'000U);
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

void validate_limits(const SharedConfig& config) {
    std::set<std::string> seen;
    for (std::size_t i = 0; i < config.limits.size(); ++i) {
        const std::string path = "limits[" + std::to_string(i) + "].scope";
        const std::string& scope = config.limits[i].scope;
        if (!scope_exists(config, scope))
            refuse(path, quoted(scope),
                   "firm, account:A, strategy:S, instrument:I, account:A/instrument:I or strategy:S/instrument:I of configured "
                   "ids");
        if (!seen.insert(scope).second) refuse(path, quoted(scope) + " a second time", "one entry for each scope");
    }
}

void validate(const SharedConfig& config) {
    require_unique(config.instruments, "instruments", config.capacity.instruments);
    require_unique(config.accounts, "accounts", config.capacity.accounts);
    require_unique(config.strategies, "strategies", config.capacity.strategies);
    validate_strategies(config);
    validate_currencies(config);
    validate_limits(config);
    const std::uint64_t rows = (config.accounts.size() + config.strategies.size() + 2ULL) * (config.instruments.size() + 1ULL);
    if (rows > (1ULL << 28))
        refuse("instruments", std::to_string(rows) + " rows in all", "at most 2^28: fewer instruments, accounts or strategies");
}

}  // namespace

SharedConfig parse_config(std::string_view text) {
    const persist::JsonResult parsed = persist::parse_json(text, kMaxConfigBytes);
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
    config.reserve_price =
        in.choice("reserve_price", ReservePrice::max_limit_reference,
                  {{"max_limit_reference", ReservePrice::max_limit_reference}, {"limit", ReservePrice::limit}});
    read_switches(in, config);
    in.each("instruments",
            [&](const JsonValue& v, const std::string& at) { config.instruments.push_back(read_instrument(v, at)); });
    in.each("accounts", [&](const JsonValue& v, const std::string& at) { config.accounts.push_back(read_account(v, at)); });
    in.each("strategies",
            [&](const JsonValue& v, const std::string& at) { config.strategies.push_back(read_strategy(v, at)); });
    in.each("limits", [&](const JsonValue& v, const std::string& at) { config.limits.push_back(read_limit(v, at)); });
    in.end();
    validate(config);
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
    out.member("market_slippage_bps", std::uint64_t{i.market_slippage_bps}).end_object();
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

}  // namespace

std::string config_to_json(const SharedConfig& config) {
    static constexpr std::string_view modes[] = {"none", "async", "durable"};
    const Capacity& c = config.capacity;
    JsonWriter out;
    out.begin_object().key("capacity").begin_object();
    out.member("orders", std::uint64_t{c.orders}).member("instruments", std::uint64_t{c.instruments});
    out.member("accounts", std::uint64_t{c.accounts}).member("strategies", std::uint64_t{c.strategies});
    out.member("sessions", std::uint64_t{c.sessions}).member("ring_events", std::uint64_t{c.ring_events});
    out.member("executions", std::uint64_t{c.executions}).end_object();
    out.key("persistence").begin_object().member("mode", modes[static_cast<std::size_t>(config.persistence_mode)]);
    out.member("checkpoint_interval_s", std::uint64_t{config.checkpoint_interval_s});
    out.member("keep_checkpoints", std::uint64_t{config.keep_checkpoints}).member_bool("keep_journal", config.keep_journal);
    if (!config.key_file.empty()) out.member("key_file", config.key_file);
    out.end_object();
    out.member_bool("require_limits", config.require_limits);
    out.member_bool("allow_limit_without_reference", config.allow_limit_without_reference);
    out.member_bool("amend_before_ack", config.amend_before_ack);
    out.member_bool("huge_pages", config.huge_pages).member_bool("lock_memory", config.lock_memory);
    out.member("reserve_price", config.reserve_price == ReservePrice::limit ? "limit" : "max_limit_reference");
    out.member("self_match", "allow").key("instruments").begin_array();
    for (const InstrumentConfig& i : config.instruments) write_instrument(out, i);
    out.end_array().key("accounts").begin_array();
    for (const AccountConfig& a : config.accounts) {
        out.begin_object().member("id", a.id);
        if (!a.currency.empty()) out.member("currency", a.currency);
        out.end_object();
    }
    out.end_array().key("strategies").begin_array();
    for (const StrategyConfig& s : config.strategies) write_strategy(out, s);
    out.end_array().key("limits").begin_array();
    for (const LimitConfig& limit : config.limits) {
        out.begin_object().member("scope", limit.scope);
        for (const persist::LimitField& field : persist::kLimitFields)
            persist::write_limit(out, field, limit.limits.*field.member);
        out.end_object();
    }
    return out.end_array().end_object().text();
}

}  // namespace riskreg

namespace riskreg::persist {

LimitValue parse_limit(const LimitField& field, std::string_view text) {
    if (text == "unlimited") return {LimitValue::Kind::unlimited, 0};
    if (text == "unset") return {};
    const int digits = digits_of(field.unit);
    const auto [value, error] = base::parse_decimal(text, digits);
    const bool too_large = field.unit == Unit::orders && value > 0xFFFFFFFELL;
    if (error != base::DecimalError::none || value < 0 || too_large)
        throw Error(Errc::bad_input, std::string(field.name) + ": seen '" + std::string(text) + "', allowed: " +
                                         (field.unit == Unit::orders ? "a whole number from 0 to 4294967294"
                                                                     : "a decimal, 0 or more, with at most " +
                                                                           std::to_string(digits) + " fractional digits") +
                                         ", or unlimited");
    return {LimitValue::Kind::value, value};
}

bool write_limit(JsonWriter& out, const LimitField& field, const LimitValue& value) {
    if (value.kind == LimitValue::Kind::unset) return false;
    out.key(field.name);
    if (value.kind == LimitValue::Kind::unlimited) return out.string("unlimited"), true;
    if (field.unit == Unit::orders) return out.signed_number(value.value), true;
    return out.string(format_amount(field.unit, value.value)), true;
}

std::string format_amount(Unit unit, std::int64_t value) { return base::format_decimal(value, digits_of(unit)); }

}  // namespace riskreg::persist
