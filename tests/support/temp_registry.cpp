#include "support/temp_registry.hpp"

#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "core/copy.hpp"
#include "riskreg/error.hpp"

namespace riskreg::test {

namespace {

constexpr std::string_view kTinyConfig = R"({
  "capacity": {"orders": 256, "executions": 512, "ring_events": 256, "sessions": 16},
  "persistence": {"mode": "none"},
  "require_limits": false, "allow_limit_without_reference": true, "self_match": "allow",
  "instruments": [{"id": "ES", "tick": "0.25"}, {"id": "NQ", "tick": "0.25"}],
  "accounts": [{"id": "A1"}],
  "strategies": [
    {"id": "s1", "account": "A1", "on_death": "leave"}, {"id": "s2", "account": "A1", "on_death": "leave"},
    {"id": "s3", "account": "A1", "on_death": "leave"}, {"id": "s4", "account": "A1", "on_death": "leave"},
    {"id": "halts", "account": "A1", "on_death": "halt_strategy"}],
  "limits": [
    {"scope": "firm", "max_open_notional": "1000000000", "max_working_orders": 100000},
    {"scope": "account:A1", "max_order_quantity": "1000", "max_long": "1000000", "max_short": "1000000"},
    {"scope": "strategy:s1/instrument:ES", "max_order_notional": "100000000", "max_working_buy": 1000}]
})";

std::string make_directory() {
    const char* base = std::getenv("TMPDIR");
    std::string path = std::string(base != nullptr && *base != '\0' ? base : "/tmp") + "/riskreg-test-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) throw std::system_error(errno, std::generic_category(), path);
    return path;
}

/// Everything that a clock wrote.
void forget_times(core::State& state) {
    state.log->last_time_ns = state.log->last_steady_ns = 0;
    for (std::uint32_t row = 0; row < state.geometry.rows(); ++row)
        for (layout::RowLatch& latch : state.rows_cold[row].latch.copy) latch.changed_ns = 0;
    for (std::uint64_t slot = 0; slot < state.log->next_order; ++slot) {
        state.orders[slot].identity.created_ns = state.orders[slot].identity.created_steady_ns = 0;
        for (layout::OrderState& order : state.orders[slot].state.copy) order.updated_ns = 0;
    }
    for (std::uint64_t slot = 0; slot < state.log->next_execution; ++slot) state.executions[slot].identity.time_ns = 0;
    for (std::uint64_t slot = 0; slot < state.log->next_quarantine; ++slot) state.quarantine[slot].time_ns = 0;
    for (std::uint32_t slot = 0; slot < state.geometry.sessions; ++slot)
        for (layout::SessionRecord& session : state.sessions[slot].record.copy) {
            session.attached_ns = session.ended_ns = 0;
            session.pid_start = session.pid = 0;
        }
}

std::uint64_t digest_of_sessions(const core::State& state) {
    std::uint64_t digest = 0;
    for (std::uint32_t slot = 0; slot < state.geometry.sessions; ++slot) {
        const layout::SessionRecord& record = state.sessions[slot].record.newest();
        const std::uint64_t ended = record.ended_ns != 0 ? 1 : 0;
        for (const std::uint64_t word : {state.sessions[slot].word, std::uint64_t{record.strategy}, ended,
                                         layout::session_word(record.generation, record.status)})
            digest = base::mix(digest ^ (word + slot));
    }
    return digest;
}

}  // namespace

SharedConfig tiny_config() { return parse_config(kTinyConfig); }

SharedConfig controlled_config() {
    SharedConfig config = tiny_config();
    config.self_match = SelfMatch::advise_cancel;
    constexpr std::int64_t kNever = 1'000'000;
    Limits& firm = config.limits.front().limits;
    for (const auto limit : {&Limits::max_messages, &Limits::max_all_messages, &Limits::max_same_content,
                             &Limits::max_same_direction, &Limits::max_rejects})
        firm.*limit = {LimitValue::Kind::value, kNever};
    for (const auto window : {&Limits::window_ms, &Limits::content_window_ms}) firm.*window = {LimitValue::Kind::value, 1};
    return config;
}

TempDir::TempDir() : path_(make_directory()) {}

TempDir::~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

TempRegistry::TempRegistry(const SharedConfig& config) { Registry::create(name_, config, directory_.path()); }

TempRegistry::~TempRegistry() {
    try {
        Registry::destroy(name_, directory_.path(), false, true);
    } catch (const Error&) {
        // The test has destroyed it already.
    }
}

ProcessConfig TempRegistry::process(const std::string& strategy) const {
    ProcessConfig config;
    config.state_dir = directory_.path();
    config.strategy = strategy;
    config.request_timeout_ns = config.fact_timeout_ns = config.attach_timeout_ns = 10'000'000'000;
    return config;
}

LiveSegment::LiveSegment(const TempRegistry& place, segment::Access access)
    : mapping_(segment::Mapping::open(place.look().status().segment, access)),
      state_(core::view_of(mapping_.base(), reinterpret_cast<const layout::Header*>(mapping_.base())->geometry)) {}

std::uint64_t timeless_digest(const core::State& live) {
    auto copy = core::copy_consistent(live);
    if (!copy) throw std::runtime_error("the tables changed while they were copied");
    forget_times(copy->state);
    return base::mix(core::digest(copy->state)) ^ digest_of_sessions(live);
}

}  // namespace riskreg::test
