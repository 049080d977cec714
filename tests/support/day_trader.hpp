/// One strategy's calls on one account, in short words: what tests of the end of a day trade with.
#pragma once

#include <string_view>
#include <utility>

#include "riskreg/registry.hpp"
#include "support/operations.hpp"

namespace riskreg::test {

class DayTrader {
public:
    DayTrader(Registry registry, const std::string& account)
        : registry_(std::move(registry)), account_(registry_.account(account)) {}

    [[nodiscard]] Registry& registry() noexcept { return registry_; }
    [[nodiscard]] const Reader& reader() const { return registry_.reader(); }
    [[nodiscard]] AccountId account() const noexcept { return account_; }
    /// Of ES, good till it is canceled.
    [[nodiscard]] OrderRequest order(std::string_view id, int quantity, Side side, int price = 100) const {
        OrderRequest request;
        request.id = id;
        request.account = account_;
        request.instrument = registry_.instrument("ES");
        request.side = side;
        request.tif = TimeInForce::gtc;
        request.price = points(price);
        request.quantity = lots(quantity);
        return request;
    }
    Verdict fill(std::string_view id, std::string_view exec, int quantity) {
        return registry_.filled(account_, id, exec, points(100), lots(quantity));
    }
    Verdict replace(std::string_view id, std::string_view new_id, int quantity) {
        ReplaceRequest request;
        request.id = id;
        request.account = account_;
        request.new_id = new_id;
        request.quantity = lots(quantity);
        return registry_.replace_requested(request);
    }

protected:
    Registry registry_;
    AccountId account_;
};

}  // namespace riskreg::test
