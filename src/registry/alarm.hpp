/// The one place that everything goes which an operator should see: riskreg.log in the registry's directory, rotating,
/// one line each. Never on a trading call's way, never under the registry's lock.
///
/// Bounds     whoever raises one never waits for a file: a thread of its own writes what lies in a queue of kQueued lines. Of each kind
///            (the place in the program that speaks, and for events their type and scope) one line a second is written, and then one
///            that says how many more there were. What could not be written, of whatever cause, is counted, and told in the log as soon
///            as something can be.
/// Threads    any.
#pragma once

#include <cstdint>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>

#include "core/state.hpp"

namespace riskreg::registry {

enum class Severity : std::uint8_t { info, warning, critical };

class Alarm {
public:
    struct Options {
        std::string directory;
        std::string registry;
        bool to_stderr = false;
        bool show_orders = false;  ///< ids, prices and quantities of orders in clear
    };
    static constexpr std::size_t kQueued = 1024;

    Alarm(core::State& state, const Options& options);
    /// Waits a moment for what is still to be written; not for a file that hangs.
    ~Alarm();
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;

    /// Never throws, never waits. Lines of warnings and worse are counted in the segment.
    void raise(Severity severity, std::string_view text, std::source_location where = std::source_location::current()) noexcept;
    /// The same of one of several things that a place speaks of: each is a kind of its own.
    void raise_about(std::uint64_t thing, Severity severity, std::string_view text,
                     std::source_location where = std::source_location::current()) noexcept;
    /// What of an event an operator should see; nothing for an ordinary one.
    void look_at(const layout::Event& event) noexcept;
    /// False when the thread that writes could not be made: lines wait in the queue, and the next one tries again.
    [[nodiscard]] bool is_writing() noexcept;
    /// Lines that are not written yet.
    [[nodiscard]] std::size_t waiting() noexcept;
    /// Opens the file anew before the next line; says so.
    void reopen() noexcept;

private:
    class Writer;
    void count(std::uint64_t lines) noexcept;
    void raise_kind(Severity severity, std::string_view text, std::uint64_t kind) noexcept;
    core::State& state_;
    const bool show_orders_;
    const std::shared_ptr<Writer> writer_;
};

}  // namespace riskreg::registry
