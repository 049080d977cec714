/// How far one call is: within its own deadline it may have to be made again, because the day ends. Internal to the registry layer.
#pragma once

#include <algorithm>
#include <vector>

#include "riskreg/registry.hpp"
#include "segment/process.hpp"

namespace riskreg::registry {

/// How a call that could not be decided answers: requests are denied, facts are to be repeated.
enum class Refused : std::uint8_t { denied, not_booked };

[[nodiscard]] inline Verdict refusal(Refused how, DenyReason reason) noexcept {
    Verdict verdict;
    verdict.result = how == Refused::denied ? Result::denied : Result::not_booked;
    verdict.reason = reason;
    return verdict;
}

/// Why a call has to be made again: nothing has happened then.
enum class Again : std::uint8_t {
    no,
    day_ended,  ///< on the next one
    held,  ///< somebody who ends the day is let go first
    drains,  ///< a new order, when the day that is being ended has ended, or goes on
};

struct Attempt {
    std::int64_t begun_ns = 0;  // boot time
    std::int64_t allowed_ns = 0;  // of a call that did not get in
    Again why = Again::no;
    bool again = false;
    bool let_go = false;  // the roller went first, once
    bool last = false;

    [[nodiscard]] std::int64_t left(std::int64_t timeout_ns) const noexcept {
        // What a call gets at least that comes to the next day behind its deadline.
        constexpr std::int64_t kLastTryNs = 1'000'000;
        if (!again) [[likely]]
            return timeout_ns;
        return std::max(begun_ns + timeout_ns - segment::boottime_ns(), kLastTryNs);
    }
};

[[nodiscard]] inline bool drains(const Verdict& answer) noexcept { return answer.reason == DenyReason::draining; }
[[nodiscard]] inline bool drains(const std::vector<Verdict>& answers) noexcept {
    if (answers.empty()) return false;
    // All or none: the others say only that one of them was refused.
    const bool together = answers.front().reason == DenyReason::batch_member_denied;
    const auto one = [](const Verdict& answer) { return drains(answer); };
    return drains(answers.front()) || (together && std::any_of(answers.begin(), answers.end(), one));
}

}  // namespace riskreg::registry
