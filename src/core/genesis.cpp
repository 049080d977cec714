#include "core/genesis.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "base/enforce.hpp"
#include "base/wide.hpp"
#include "core/meter.hpp"
#include "core/scopes.hpp"

namespace riskreg::core {

using namespace layout;

namespace {

constexpr std::uint32_t kLeastBookNodes = 1024;
constexpr std::uint32_t kFewBreakers = 1024;      // so few cost nothing: a limit may then be set at any time

bool has_value(const LimitValue& limit) noexcept { return limit.kind == LimitValue::Kind::value; }

/// The first ring holds the times of new orders and amends, the second those of all messages.
bool needs_messages_ring(const Limits& l) noexcept { return has_value(l.max_messages) || has_value(l.max_all_messages); }
bool needs_all_ring(const Limits& l) noexcept { return has_value(l.max_all_messages); }

std::uint32_t rings_of(const SharedConfig& config) noexcept {
    std::uint32_t rings = 0;
    for (const LimitConfig& limit : config.limits)
        rings += (needs_messages_ring(limit.limits) ? 1U : 0U) + (needs_all_ring(limit.limits) ? 1U : 0U);
    return rings;
}

std::uint32_t breakers_of(const SharedConfig& config, std::uint32_t most) noexcept {
    const bool wanted = std::any_of(config.limits.begin(), config.limits.end(), [](const LimitConfig& limit) {
        return has_value(limit.limits.max_same_direction) || has_value(limit.limits.max_rejects);
    });
    return wanted || most <= kFewBreakers ? most : 0;
}

void size_controls(Geometry& g, const SharedConfig& config) noexcept {
    const bool own_may_match = config.self_match == SelfMatch::allow;
    const std::uint32_t groups = config.self_match_group == SelfMatchGroup::firm ? 1 : g.accounts;
    g.content_index = std::bit_ceil(g.orders * 2);
    g.book_nodes = own_may_match ? 1 : std::bit_ceil(std::max(g.orders * 2, kLeastBookNodes));
    g.book_sides = own_may_match ? 1 : groups * g.instruments * 2;
    g.budget_rings = rings_of(config) + config.capacity.budgets;
    g.breakers = breakers_of(config, g.strategies * g.instruments);
    g.restrictions = static_cast<std::uint32_t>(config.restricted.size()) + config.capacity.restrictions;
}

}  // namespace

Geometry geometry_of(const SharedConfig& config, std::size_t config_bytes) noexcept {
    Geometry g{};
    g.instruments = static_cast<std::uint32_t>(config.instruments.size());
    g.accounts = static_cast<std::uint32_t>(config.accounts.size());
    g.strategies = static_cast<std::uint32_t>(config.strategies.size()) + 1;
    g.sessions = config.capacity.sessions;
    g.orders = config.capacity.orders;
    g.order_index = std::bit_ceil(g.orders * 2);
    g.executions = config.capacity.executions;
    g.execution_index = std::bit_ceil(g.executions * 2);
    g.quarantine = std::max<std::uint32_t>(g.executions / 8, 64);
    g.quarantine_index = std::bit_ceil(g.quarantine * 2);
    g.ring_events = config.capacity.ring_events;
    g.config_bytes = static_cast<std::uint32_t>(config_bytes);
    size_controls(g, config);
    return g;
}

namespace {

/// Every versioned record as it is before any event; the configuration's come over some of them.
void make_records(State& state) {
    const auto make = []<class T>(Versioned<T>& record) { record.make_genesis(as_created<T>()); };
    each_table<TableKind::parties, TableKind::rows, TableKind::ids, TableKind::controls>(
        state.geometry, [&](auto table, std::size_t count) {
            for (std::size_t i = 0; i < count; ++i) each_version(make, (state.*table)[i]);
        });
}

void make_instruments(State& state, const SharedConfig& config) {
    for (std::size_t i = 0; i < config.instruments.size(); ++i) {
        const InstrumentConfig& from = config.instruments[i];
        InstrumentRecord& to = state.instrument_records[i];
        const auto factor = base::notional_factor(from.multiplier_e9, from.fx_rate_e9.value_or(1'000'000'000));
        ENFORCE(factor.has_value());
        to.id = base::make_id(from.id);
        to.currency = base::make_id(from.currency);
        to.tick = from.tick.value;
        to.lot = from.lot.value;
        to.min_quantity = from.min_quantity.value_or(from.lot).value;
        to.max_quantity = from.max_quantity.value_or(Quantity{kUnlimited}).value;
        to.factor_numerator = factor->numerator;
        to.factor_scale = factor->scale;
        to.collar_bps = from.collar_bps;
        to.collar_ticks = from.collar_ticks;
        to.market_slippage_bps = from.market_slippage_bps;
        to.reference_max_age_ms = from.reference_max_age_ms;
        to.collar_two_sided = from.collar_two_sided ? 1 : 0;
        to.short_forbidden = from.short_allowed ? 0 : 1;
        to.zero_prices_forbidden = from.zero_prices ? 0 : 1;
    }
}

void allow(std::uint64_t* words, std::uint32_t bit) { words[bit / 64] |= 1ULL << (bit % 64); }

void make_strategies(State& state, const SharedConfig& config) {
    for (std::size_t a = 0; a < config.accounts.size(); ++a) {
        state.account_records[a].id = base::make_id(config.accounts[a].id);
        state.account_records[a].currency = base::make_id(config.accounts[a].currency);
    }
    for (std::uint32_t s = 0; s < config.strategies.size(); ++s) {
        const StrategyConfig& from = config.strategies[s];
        StrategyRecord& to = state.strategy_records[s];
        to.id = base::make_id(from.id);
        to.account_count = static_cast<std::uint32_t>(from.accounts.size());
        to.only_account = static_cast<std::uint16_t>(find_account(state, from.accounts.front()));
        to.all_instruments = from.instruments.empty() ? 1 : 0;
        to.on_death = from.on_death;
        std::uint64_t* words = state.permission_words(s);
        for (const std::string& account : from.accounts) allow(words, static_cast<std::uint32_t>(find_account(state, account)));
        words += state.geometry.account_words();
        for (std::uint32_t i = 0; i < state.geometry.instruments; ++i)
            if (from.instruments.empty()) allow(words, i);
        for (const std::string& id : from.instruments) allow(words, static_cast<std::uint32_t>(find_instrument(state, id)));
    }
    state.strategy_records[state.external_strategy()].id = base::make_id(kExternalStrategy);
}

/// The configured budgets take their rings in the order of the configuration; geometry_of made room for them.
RowMeters meters_of(State& state, const Limits& limits) noexcept {
    const auto value = [](const LimitValue& limit) { return has_value(limit) ? static_cast<std::uint32_t>(limit.value) : 0U; };
    const auto take = [&state] { return static_cast<std::uint32_t>(state.status->next_budget_ring++); };
    RowMeters meters = as_created<RowMeters>();
    if (needs_messages_ring(limits)) meters.messages_ring = take();
    if (needs_all_ring(limits)) meters.all_ring = take();
    meters.messages_stride = stride_of(std::max(value(limits.max_messages), value(limits.max_all_messages)));
    meters.all_stride = stride_of(value(limits.max_all_messages));
    return meters;
}

void make_limits(State& state, const SharedConfig& config) {
    for (const LimitConfig& limit : config.limits) {
        const std::uint32_t row = state.geometry.row_of(parse_scope(state, limit.scope));
        ENFORCE(row != kNoSlot);
        state.rows[row].control.make_genesis(control_of(limit.limits));
        state.rows_risk[row].limits.make_genesis(risk_limits_of(limit.limits));
        state.rows_risk[row].meters.make_genesis(meters_of(state, limit.limits));
    }
}

Reason reason_of(std::string_view text) noexcept {
    Reason reason{};
    reason.size = static_cast<std::uint8_t>(std::min(text.size(), sizeof reason.text));
    std::memcpy(reason.text, text.data(), reason.size);
    return reason;
}

/// Behind make_limits: a restricted row says so in its control.
void make_restrictions(State& state, const SharedConfig& config) {
    for (std::size_t i = 0; i < config.restricted.size(); ++i) {
        const Restriction& from = config.restricted[i];
        RestrictionRecord entry{};
        entry.row = state.geometry.row_of(parse_scope(state, from.scope));
        ENFORCE(entry.row != kNoSlot);
        entry.from_ns = from.from_ns;
        entry.to_ns = from.to_ns;
        entry.sides = static_cast<std::uint8_t>((from.buy ? kRestrictBuy : 0) | (from.sell ? kRestrictSell : 0));
        entry.reason = reason_of(from.reason);
        state.restrictions[i].state.make_genesis(entry);
        RowControl control = state.rows[entry.row].control.newest();
        if (entry.sides != 0) control.flags |= kRestricted;
        state.rows[entry.row].control.make_genesis(control);
    }
}

std::uint32_t settings_of(const SharedConfig& config) noexcept {
    return (config.require_limits ? kRequireLimits : 0U) |
           (config.allow_limit_without_reference ? kAllowLimitWithoutReference : 0U) |
           (config.amend_before_ack ? kAmendBeforeAck : 0U) |
           (config.reserve_price == ReservePrice::limit ? kReserveAtLimit : 0U) |
           (config.self_match == SelfMatch::refuse_new ? kSelfMatchRefuses : 0U) |
           (config.self_match == SelfMatch::advise_cancel ? kSelfMatchAdvises : 0U) |
           (config.self_match_group == SelfMatchGroup::firm ? kSelfMatchFirm : 0U) |
           (config.gross_method == GrossMethod::worst_case ? kGrossWorstCase : 0U) | (config.four_eyes ? kFourEyes : 0U) |
           (config.content_by_strategy ? kContentByStrategy : 0U) | (config.halt_on_loss ? kLossHalts : 0U) |
           (config.reduce_on_mark_breach ? kMarkBreachReduces : 0U);
}

/// Never 0.
std::uint64_t hash_of_entities(const State& state) noexcept {
    std::uint64_t hash = state.header->settings;
    const auto add = [&hash](const auto* records, std::size_t count) {
        const auto* bytes = reinterpret_cast<const char*>(records);
        const std::size_t size = count * sizeof *records;
        for (std::size_t at = 0; at < size; at += sizeof(std::uint64_t)) {
            std::uint64_t word = 0;
            std::memcpy(&word, bytes + at, std::min(sizeof word, size - at));
            hash = base::mix(hash * 31 + word);
        }
    };
    const Geometry& g = state.geometry;
    add(&g, 1);
    each_table<TableKind::entities>(g, [&](auto table, std::size_t count) { add(state.*table, count); });
    return hash | 1U;
}

}  // namespace

void make_genesis(State& state, const SharedConfig& config, std::string_view config_json) {
    Header& header = *state.header;
    header.layout_version = kLayoutVersion;
    header.settings = settings_of(config);
    header.layout_hash = layout_hash();
    header.config_hash = base::hash_id(base::make_id(config_json), config_json.size());
    for (const char c : config_json) header.config_hash = base::mix(header.config_hash * 31 + static_cast<unsigned char>(c));
    header.geometry = state.geometry;
    header.persistence = static_cast<std::uint32_t>(config.persistence_mode);
    header.checkpoint_interval_s = config.checkpoint_interval_s;
    header.keep_checkpoints = config.keep_checkpoints;
    header.keep_journal = config.keep_journal ? 1U : 0U;
    header.page_options = (config.huge_pages ? 1U : 0U) | (config.lock_memory ? 2U : 0U);
    header.mark_threshold_bps = config.mark_threshold_bps;
    header.mark_interval_ms = config.mark_interval_ms;
    header.min_day_s = config.min_day_s;
    header.day = 1;
    std::memcpy(state.config, config_json.data(), config_json.size());
    make_records(state);
    make_instruments(state, config);
    make_strategies(state, config);
    make_limits(state, config);
    make_restrictions(state, config);
    state.log->committed = state.log->applied = kGenesis;
    state.log->next_generation = 1;
    // Without a journal nothing is ever durable.
    if (state.has_journal()) state.marks->journaled = state.marks->durable = kGenesis;
    state.status->consumer = kGenesis;
    state.status->label_lead_ns = std::numeric_limits<std::int64_t>::min();   // no label yet
    header.entities_hash = hash_of_entities(state);
}

bool entities_changed(const State& state) noexcept {
    const std::uint64_t at_creation = state.header->entities_hash;
    return at_creation != 0 && at_creation != hash_of_entities(state);
}

}  // namespace riskreg::core
