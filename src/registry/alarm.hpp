/// The one place that everything goes which an operator should see: riskreg.log in the registry's directory, rotating,
/// one line each. Never on a trading call's way, never under the registry's lock.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/state.hpp"

namespace riskreg::registry {

enum class Severity : std::uint8_t { info, warning, critical };

class Alarm {
public:
    struct Options {
        std::string directory;
        std::string registry;
        bool to_stderr = false;
        bool show_orders = false;   ///< ids, prices and quantities of orders in clear
    };
    Alarm(core::State& state, const Options& options);
    ~Alarm();
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;

    /// Any thread. Never throws; a log that cannot be written is not a reason to stop. Warnings and worse are counted in
    /// the segment.
    void raise(Severity severity, const std::string& text) noexcept;
    /// What of an event an operator should see; nothing for an ordinary one.
    void look_at(const layout::Event& event) noexcept;

private:
    struct Impl;
    [[nodiscard]] bool admit(std::int64_t now_ns);
    core::State& state_;
    const bool show_orders_;
    std::int64_t second_begin_ns_ = 0;   // of the journaller's thread only
    std::uint64_t in_second_ = 0;
    std::unique_ptr<Impl> impl_;
};

}  // namespace riskreg::registry
