/// Random commands for a registry, so that its log has something to say.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "support/plain_registry.hpp"
#include "support/random.hpp"

namespace riskreg::simulation {

/// What a clock that is right shows, and boot time.
struct Times {
    std::int64_t now_ns = 0, steady_ns = 0;
};

/// Orders, facts of the venue, controls and sessions, of two strategies and an operator. Refusals are as welcome as answers.
/// Each of the three has a wall clock of its own, which may be off and step.
class Trader {
public:
    explicit Trader(std::uint64_t seed) : random_(seed), clocks_(~seed) {}

    /// After a start: sessions, and the operator's word that everything is reconciled, most of the time.
    void begin(test::PlainRegistry& registry, const Times& now);
    void act(test::PlainRegistry& registry, const Times& now);
    [[nodiscard]] core::Caller someone_in_charge(const Times& now);

private:
    [[nodiscard]] core::Caller someone(const test::PlainRegistry& registry, const Times& now);
    [[nodiscard]] std::int64_t wall_ns(std::size_t whose, const Times& now);
    [[nodiscard]] OrderRequest order();
    [[nodiscard]] const std::string& known();
    void fact(test::PlainRegistry& registry, const core::Caller& caller);
    void control(test::PlainRegistry& registry, const Times& now);
    void batch(test::PlainRegistry& registry, const core::Caller& caller);
    void replace(test::PlainRegistry& registry, const core::Caller& caller);
    void session(test::PlainRegistry& registry, const Times& now);
    [[nodiscard]] Scope scope();

    static constexpr std::size_t kOperator = 2;

    test::Random random_, clocks_;
    std::array<std::int64_t, 3> clock_offsets_ns_{};   // of both sessions and the operator
    std::vector<std::string> ids_{"O-0"};
    std::string exec_id_ = "E-0", text_;
    std::uint64_t count_ = 0;
};

}  // namespace riskreg::simulation
