/// One session that registers orders and cancels each some time later, so that the number of live orders stands.
#pragma once

#include <string>
#include <vector>

#include "place.hpp"
#include "timer.hpp"

namespace riskreg::bench {

class Flow {
public:
    /// `live` orders stand after prefill(); room for `steps` more is prepared now, outside what is timed.
    Flow(Registry registry, std::size_t live, std::size_t steps)
        : registry_(std::move(registry)), live_(live), ids_(order_ids(0, live + steps)) {}

    void prefill() {
        while (next_ < live_) static_cast<void>(register_next());
    }
    /// With a host that journals: waits for it before the ring is full.
    void prefill_journaled(std::size_t orders) {
        constexpr std::size_t between = 50'000;
        while (next_ < orders) {
            static_cast<void>(register_next());
            if (next_ % between == 0 || next_ == orders) settle(registry_);
        }
    }
    /// The live orders are there already, and so many steps have been made.
    void take_over(std::size_t steps) noexcept {
        next_ = live_ + steps;
        canceled_ = steps;
    }
    /// Ticks of the call.
    [[nodiscard]] std::uint64_t register_next() {
        const OrderRequest request = request_for(ids_[next_], next_);
        ++next_;
        const std::uint64_t start = ticks();
        const Verdict verdict = registry_.check_and_register(request);
        const std::uint64_t end = ticks();
        require(verdict, "register");
        return end - start;
    }
    /// The oldest that lives.
    [[nodiscard]] std::uint64_t cancel_oldest() {
        const AccountId account = request_for(ids_[canceled_], canceled_).account;
        const std::uint64_t start = ticks();
        const Verdict verdict = registry_.canceled(account, ids_[canceled_]);
        const std::uint64_t end = ticks();
        require(verdict, "cancel");
        ++canceled_;
        return end - start;
    }
    [[nodiscard]] std::uint64_t step() {
        const std::uint64_t registered = register_next();
        static_cast<void>(cancel_oldest());
        return registered;
    }
    /// Notes when the answer came, for who measures from elsewhere.
    void step_until(std::atomic<std::uint64_t>& answered) {
        const OrderRequest request = request_for(ids_[next_], next_);
        ++next_;
        const Verdict verdict = registry_.check_and_register(request);
        answered = ticks();
        require(verdict, "register");
        static_cast<void>(cancel_oldest());
    }
    [[nodiscard]] Registry& registry() noexcept { return registry_; }

private:
    Registry registry_;
    std::size_t live_, next_ = 0, canceled_ = 0;
    std::vector<std::string> ids_;
};

}  // namespace riskreg::bench
