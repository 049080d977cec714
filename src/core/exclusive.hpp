/// The right to change tables, as a value: what commits asks for it, so nothing of that can be called without the lock.
#pragma once

#include "core/state.hpp"

namespace riskreg::segment {
class StateLock;
}

namespace riskreg::core {

/// Nobody else writes these tables as long as this is in use. Made by the lock alone (segment::StateLock::exclusive), but for whoever is
/// alone with them anyway: copies, replicas, what is being made or adopted.
class Exclusive {
public:
    [[nodiscard]] static Exclusive alone(State& tables) noexcept { return Exclusive(tables); }
    [[nodiscard]] State& state() const noexcept { return *state_; }

private:
    friend class segment::StateLock;
    explicit Exclusive(State& state) noexcept : state_(&state) {}
    State* state_;
};

}  // namespace riskreg::core
