/// A trading desk on a PlainRegistry, for tests that go through the semantics cell by cell: short words for every operation,
/// whole numbers for prices and lots, and an audit when the test ends.
///
/// Instruments ES and NQ (tick 1, lot 1, multiplier 1), accounts A1 and A2, strategies s1 and s2 (both accounts, all
/// instruments) and nq (A2 and NQ only), attached as sessions 0, 1 and 2. Without limits.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "support/plain_registry.hpp"

namespace riskreg::test {

inline constexpr AccountId kA1{0}, kA2{1};
inline constexpr InstrumentId kEs{0}, kNq{1};
inline constexpr StrategyId kS1{0}, kS2{1}, kNqOnly{2};
inline constexpr std::uint32_t kSessionS1 = 0, kSessionS2 = 1, kSessionNq = 2, kNobody = core::kNoSlot;
inline constexpr std::int64_t kMillisecond = 1'000'000, kSecond = 1'000'000'000;

[[nodiscard]] constexpr Quantity lots(std::int64_t count) noexcept { return {count * 100'000'000}; }
[[nodiscard]] constexpr Price px(std::int64_t whole) noexcept { return {whole * 1'000'000'000}; }
[[nodiscard]] constexpr std::int64_t money(std::int64_t whole) noexcept { return whole * 1'000'000; }

[[nodiscard]] SharedConfig desk_config();

/// A limit order to buy 10 ES at 100 for A1 by s1, unless said otherwise.
struct Order {
    std::string_view id = "O";
    Side side = Side::buy;
    Quantity quantity = lots(10);
    std::optional<Price> price = px(100);
    OrderType type = OrderType::limit;
    TimeInForce tif = TimeInForce::day;
    std::optional<Price> stop_price = std::nullopt;
    InstrumentId instrument = kEs;
    AccountId account = kA1;
    std::uint32_t session = kSessionS1;
    [[nodiscard]] OrderRequest request() const noexcept;
};

/// What the venue reports.
struct Report {
    EventKind kind = EventKind::none;
    std::string_view id = "O";
    std::string_view venue_id = {};
    std::string_view exec_id = {};
    std::string_view new_exec_id = {};
    std::optional<Price> price = std::nullopt;
    std::optional<Quantity> quantity = std::nullopt;
    std::optional<Quantity> cum_quantity = std::nullopt;
    InstrumentId instrument = InstrumentId::none;
    Side side = Side::none;
    bool reopened = false;
    bool venue_knows_no_such_order = false;
    AccountId account = kA1;
};

struct Amend {
    std::string_view id = "O";
    std::optional<Quantity> quantity = std::nullopt;
    std::optional<Price> price = std::nullopt;
    std::string_view new_id = {};
    std::optional<std::uint32_t> version = std::nullopt;
    std::optional<Price> stop_price = std::nullopt;
    std::uint32_t session = kSessionS1;
};

class TradingDesk {
public:
    explicit TradingDesk(const SharedConfig& config = desk_config());
    ~TradingDesk();
    TradingDesk(const TradingDesk&) = delete;
    TradingDesk& operator=(const TradingDesk&) = delete;

    PlainRegistry registry;
    std::int64_t now = 1'700'000'000 * kSecond;

    [[nodiscard]] core::Caller by(std::uint32_t session) const;
    /// An operator with this uid.
    [[nodiscard]] core::Caller person(std::uint32_t uid) const;

    Verdict send(const Order& order);
    Verdict buy(std::string_view id, std::int64_t count, std::int64_t price = 100);
    Verdict sell(std::string_view id, std::int64_t count, std::int64_t price = 100);
    /// All or none.
    std::vector<Verdict> send_together(std::span<const Order> orders);
    Verdict amend(const Amend& amend);
    Verdict cancel(std::string_view id);
    Verdict abort(std::string_view id, std::uint32_t session = kSessionS1);
    [[nodiscard]] Verdict begin_send(std::string_view id, std::uint32_t session = kSessionS1) const;

    Verdict tell(const Report& report);
    Verdict tell(EventKind kind, std::string_view id) { return tell({.kind = kind, .id = id}); }
    Verdict acked(std::string_view id) { return tell(EventKind::acked, id); }
    Verdict fill(std::string_view id, std::string_view exec_id, std::int64_t count, std::int64_t price = 100);
    /// One lot of ES, bought at 100 for A1 by an order that nobody registered.
    Verdict fill_unknown(std::string_view exec_id);
    Verdict bust(std::string_view id, std::string_view exec_id, bool reopened = false);
    Verdict correct(std::string_view id, std::string_view exec_id, std::string_view new_exec_id, std::int64_t count,
                    std::int64_t price = 100);
    /// The strategy's process dies; it attaches again by `attach`.
    void die(std::uint32_t session);

    /// A position by s1 on A1 × ES, made of a filled order; negative: short.
    void hold(std::int64_t count, std::int64_t price = 100);

    Verdict halt(const Scope& scope, TradingState state) { return registry.halt(person(0), scope, state); }
    /// The firm must be compared with the venue first, as after a recovery from disk.
    void unreconcile();
    Verdict limit(const Scope& scope, LimitValue Limits::*member, std::int64_t value);
    Verdict limit(const Scope& scope, LimitValue Limits::*member, LimitValue value);
    void reference(std::int64_t price, InstrumentId instrument = kEs);

    [[nodiscard]] OrderView view(std::string_view id, AccountId account = kA1) const;
    [[nodiscard]] const layout::RowCounters& row(const Scope& scope) const;
    [[nodiscard]] TradingState state_of(const Scope& scope) const;
    /// Position of A1 × ES.
    [[nodiscard]] std::int64_t position() const;
    /// Events of this type in the log.
    [[nodiscard]] std::size_t events(layout::EventType type) const;

    /// The answer and how the order stands then, as one line:
    /// "ok partially_filled cum 4 leaves 6 reserved 6 position 4", flags behind.
    [[nodiscard]] std::string after(const Verdict& verdict, std::string_view id = "O") const;
};

/// The scopes that cover an order of s1 on A1 × ES, in the order in which they are checked.
[[nodiscard]] const std::array<Scope, 6>& scopes_of_s1() noexcept;
inline constexpr Scope kFirm{ScopeKind::firm};
inline constexpr Scope kAccountEs{ScopeKind::account_instrument, kA1, StrategyId::none, kEs};
inline constexpr Scope kStrategyEs{ScopeKind::strategy_instrument, AccountId::none, kS1, kEs};

[[nodiscard]] std::string text_of(const Scope& scope);
/// "accepted", "denied max_long", "denied max_long account 11 > 10 quantity": reason, scope, observed, limit, unit.
[[nodiscard]] std::string text_of(const Verdict& verdict);

}  // namespace riskreg::test
