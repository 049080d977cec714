/// Every call that changes a registry, each with the set-up that it needs: so that tests of crashes can kill all of
/// them in the same way.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "support/temp_registry.hpp"

namespace riskreg::test {

/// One process's way into the registry, with short words for what a strategy does.
class Desk {
public:
    explicit Desk(const TempRegistry& place) : place_(place) {}
    void attach(const std::string& strategy) { registry_.emplace(place_.attach(strategy)); }
    void detach() { registry_.reset(); }
    [[nodiscard]] Registry& registry() { return *registry_; }
    [[nodiscard]] const TempRegistry& place() const noexcept { return place_; }

    [[nodiscard]] OrderRequest order(std::string_view id, Side side = Side::buy) const;
    void place_order(std::string_view id, Side side = Side::buy);
    [[nodiscard]] OrderEvent fact(EventKind kind, std::string_view id) const;
    /// Tells the registry a fact. Throws when it is not taken: then the test's script is wrong.
    void tell(const OrderEvent& fact);
    void tell(EventKind kind, std::string_view id) { tell(fact(kind, id)); }
    void fill(std::string_view id, std::string_view exec_id, int quantity, int price = 4800);
    void require_taken(const Verdict& verdict) const;
    [[nodiscard]] AccountId account() const { return registry_->account("A1"); }
    [[nodiscard]] InstrumentId instrument() const { return registry_->instrument("ES"); }

private:
    const TempRegistry& place_;
    std::optional<Registry> registry_;
};

struct Operation {
    std::string_view name;
    void (*prepare)(Desk&);
    void (*perform)(Desk&);
    /// The calling thread makes the change itself: then it can be stepped through.
    bool by_caller = true;
};

[[nodiscard]] std::span<const Operation> operations();
/// The operation of that name. Throws when there is none.
[[nodiscard]] const Operation& operation(std::string_view name);

[[nodiscard]] inline Quantity lots(int count) noexcept { return {count * 100'000'000LL}; }
[[nodiscard]] inline Price points(int count) noexcept { return {count * 1'000'000'000LL}; }

/// One lot of ES at 4800 for A1, to buy; without an id.
[[nodiscard]] OrderRequest one_lot(const Registry& registry);

/// A call that changes nothing and is answered under the lock: it makes whoever comes first finish a dead owner's work.
/// False when it was not answered (deadline, poisoned).
[[nodiscard]] bool knock(Registry& registry);

}  // namespace riskreg::test
