/// Random commands for a registry, so that its log has something to say.
#pragma once

#include <string>
#include <vector>

#include "support/plain_registry.hpp"
#include "support/random.hpp"

namespace riskreg::simulation {

/// Orders, facts of the venue, controls and sessions, of two strategies and an operator. Refusals are as welcome as answers.
class Trader {
public:
    explicit Trader(std::uint64_t seed) : random_(seed) {}

    /// After a start: sessions, and the operator's word that everything is reconciled, most of the time.
    void begin(test::PlainRegistry& registry, std::int64_t now_ns);
    void act(test::PlainRegistry& registry, std::int64_t now_ns);

private:
    [[nodiscard]] core::Caller someone(const test::PlainRegistry& registry, std::int64_t now_ns);
    [[nodiscard]] OrderRequest order();
    [[nodiscard]] const std::string& known();
    void fact(test::PlainRegistry& registry, const core::Caller& caller);
    void control(test::PlainRegistry& registry, std::int64_t now_ns);
    void batch(test::PlainRegistry& registry, const core::Caller& caller);
    void replace(test::PlainRegistry& registry, const core::Caller& caller);
    void session(test::PlainRegistry& registry, std::int64_t now_ns);
    [[nodiscard]] Scope scope();

    test::Random random_;
    std::vector<std::string> ids_{"O-0"};
    std::string exec_id_ = "E-0", text_;
    std::uint64_t count_ = 0;
};

}  // namespace riskreg::simulation
