/// Four eyes for a second person who has no access to the registry: the host of the snapshotter answers at the abstract socket
/// `riskreg.<owner uid>.<NAME>`, and the kernel says who asks.
///
/// Protocol   one line, `approve <request>`; one line back, `ok <event>` or `denied <reason>`. Nothing else is answered.
/// Bounds     16 connections, a second each, 64 bytes; none of them holds up another, or anything else of the host.
/// Errors     nothing throws. Where the name is taken, that is said in the log once, and tried again.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "registry/host.hpp"

namespace riskreg::registry {

[[nodiscard]] std::string approval_socket_name(std::uint32_t owner, const std::string& registry);

class ApprovalSocket {
public:
    /// Serves only where four eyes are configured. Throws std::system_error or std::bad_alloc where no thread can be made.
    explicit ApprovalSocket(Host& host);
    ~ApprovalSocket();
    ApprovalSocket(const ApprovalSocket&) = delete;
    ApprovalSocket& operator=(const ApprovalSocket&) = delete;
    /// What is asked from now on is not approved. Any thread; more than once.
    void ask_to_stop() noexcept { stopping_ = true; }
    /// The name of the socket is free.
    [[nodiscard]] bool has_ended() const noexcept { return ended_; }

    /// The answer to a line of this user, with its end. Approves, if that is what it asks and may ask.
    [[nodiscard]] std::string answer(std::uint32_t uid, std::string_view line) noexcept;

private:
    [[nodiscard]] std::string approve(std::uint32_t uid, std::uint64_t request);
    [[nodiscard]] bool is_approver(std::uint32_t uid) const noexcept;
    /// Without the lock: strangers are not to make traders wait.
    [[nodiscard]] bool may_ask(std::uint32_t uid, std::uint64_t request, const char*& why) const noexcept;

    Host& host_;
    core::State& state_;
    std::vector<std::uint32_t> approvers_;
    std::atomic<bool> stopping_{false}, ended_{true};
    std::thread thread_;
};

/// Serves until `stopping` is true. `answer` is called with the peer's uid and its line, without the end.
void serve_approvals(const std::string& name, const std::atomic<bool>& stopping,
                     const std::function<std::string(std::uint32_t, std::string_view)>& answer,
                     const std::function<void(const std::string&)>& complain);

/// What the host of a registry of user `owner` answers to `line`, without the end of the line; throws riskreg::Error when nobody of that
/// user answers there.
[[nodiscard]] std::string ask_for_approval(const std::string& registry, std::uint32_t owner, const std::string& line);

/// The number of a user, by name or number; throws riskreg::Error{bad_input}.
[[nodiscard]] std::uint32_t user_named(const std::string& user);

}  // namespace riskreg::registry
