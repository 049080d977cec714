/// Which refusals become events, so that a looping strategy can never fill the log (protocol.md 2).
#pragma once

#include <array>
#include <cstdint>

#include "riskreg/types.hpp"

namespace riskreg::registry {

/// One session's memory of its latest refusals. Used under the registry's lock only.
class DenialGate {
public:
    /// True when this refusal is to be written: no equal one in the last second, and fewer than 1,000 in this one.
    [[nodiscard]] bool admit(DenyReason reason, std::uint32_t row, std::int64_t now_ns) noexcept {
        constexpr std::int64_t second = 1'000'000'000;
        Entry& entry = entries_[(static_cast<std::uint32_t>(reason) * 31U + row * 7U) % entries_.size()];
        // A clock that was set back must not silence the gate: what lies in the future counts as long ago.
        const auto recent = [now_ns](std::int64_t then_ns) { return then_ns <= now_ns && now_ns - then_ns < second; };
        const bool repeated = entry.reason == reason && entry.row == row && recent(entry.time_ns);
        if (!recent(window_ns_)) {
            window_ns_ = now_ns;
            written_ = 0;
        }
        if (repeated || written_ >= kPerSecond) return false;
        entry = {now_ns, row, reason};
        ++written_;
        return true;
    }

private:
    static constexpr std::uint32_t kPerSecond = 1000;
    struct Entry {
        std::int64_t time_ns = -1'000'000'000'000;
        std::uint32_t row = 0;
        DenyReason reason = DenyReason::none;
    };
    std::array<Entry, 64> entries_{};
    std::int64_t window_ns_ = 0;
    std::uint32_t written_ = 0;
};

}  // namespace riskreg::registry
