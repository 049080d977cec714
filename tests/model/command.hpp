/// One command of the tests that drive core and model, as a value: what is asked, by whom, when; and as text.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/model.hpp"
#include "riskreg/order.hpp"
#include "riskreg/registry.hpp"

namespace riskreg::test {

/// Moments are written relative to this one.
inline constexpr std::int64_t kStart = 1'700'000'000'000'000'000;
/// The steady time at that moment: the machine has been up for an hour.
inline constexpr std::int64_t kSteadyStart = 3'600'000'000'000;
inline constexpr std::int64_t kMillisecond = 1'000'000;
inline constexpr std::uint32_t kNoSession = 0xFFFFFFFFU;

enum class Op : std::uint8_t {
    register_order,
    batch,
    replace,
    cancel,
    abort,
    fact,
    halt,
    resume,
    release,
    limits,
    die,
    attach,
    reference,
    mark,
    restrict,
    load_position,
    load_order,
    approve,
    alert,
    set_clock,
    recovered,   ///< another boot, where its steady time is less
    begin_send,
    own_reference,   ///< somebody writes an instrument's reference price from now on
};

struct Command {
    Op op = Op::fact;
    std::uint32_t session = kNoSession;
    std::int64_t now_ns = 0, steady_ns = 0;
    std::string id, new_id, exec_id, new_exec_id, venue_id;
    AccountId account = AccountId::none;
    InstrumentId instrument = InstrumentId::none;
    Side side = Side::none;
    OrderType type = OrderType::none;
    TimeInForce tif = TimeInForce::none;
    EventKind kind = EventKind::none;
    std::optional<std::int64_t> price, stop_price, quantity, cum;
    std::optional<std::uint32_t> version;
    bool reopened = false, no_such_order = false;
    Scope scope;
    TradingState to = TradingState::active;
    Limits limits;
    LimitMask fields = kAllLimits;
    StrategyId strategy = StrategyId::none;
    std::int64_t time_ns = 0, time_steady_ns = 0;   ///< a reference price's: when it was written
    std::uint32_t uid = 0;
    std::uint64_t request = 0;
    Restriction entry;
    std::uint8_t alert_limit = 0, alert_level = 0;
    std::vector<Command> members;
};

/// The strings are borrowed from the command.
[[nodiscard]] OrderRequest order_request(const Command& c);
[[nodiscard]] ReplaceRequest replace_request(const Command& c);
[[nodiscard]] OrderEvent order_event(const Command& c);

[[nodiscard]] std::string text_of(const Scope& scope);
[[nodiscard]] std::string text_of(const Limits& limits);
[[nodiscard]] std::string text_of(const Command& c);

/// The session's number is its strategy's, to the model.
[[nodiscard]] inline model::Moment moment_of(const Command& c) { return {c.now_ns, c.steady_ns}; }
[[nodiscard]] model::Caller model_caller(const Command& c);
/// What a process can ask for, but no batch. Throws for the rest. Moment and caller are the registry's, not the command's.
Verdict ask(Registry& who, const Command& c);
/// Any command but a batch.
Verdict run(model::Model& model, const Command& c);

}  // namespace riskreg::test
