#include "registry/approval_socket.hpp"

#include <algorithm>
#include <charconv>

#include "core/decide.hpp"
#include "core/perform.hpp"
#include "registry/caller.hpp"
#include "riskreg/error.hpp"
#include "segment/process.hpp"
#include "segment/state_lock.hpp"

namespace riskreg::registry {

using namespace layout;

namespace {

constexpr std::int64_t kLockNs = 200'000'000;   // within the second that a connection has

/// 0: not a line that we answer.
std::uint64_t request_in(std::string_view line) noexcept {
    constexpr std::string_view verb = "approve ";
    std::uint64_t request = 0;
    if (line.substr(0, verb.size()) != verb) return 0;
    const char* end = line.data() + line.size();
    const auto [stop, error] = std::from_chars(line.data() + verb.size(), end, request);
    return error == std::errc{} && stop == end ? request : 0;
}

std::string denied(std::string_view reason) { return "denied " + std::string(reason) + "\n"; }

}  // namespace

std::string approval_socket_name(std::uint32_t owner, const std::string& registry) {
    return "riskreg." + std::to_string(owner) + "." + registry;
}

ApprovalSocket::ApprovalSocket(Host& host) : host_(host), state_(host.state) {
    if (!state_.has_setting(kFourEyes)) return;
    try {
        approvers_ = parse_config(host.config).approvers;
        const segment::SignalsBlocked blocked;
        ended_ = false;
        thread_ = std::thread([this] {
            serve_approvals(
                approval_socket_name(segment::user_id(), host_.attachment.name), stopping_,
                [this](std::uint32_t uid, std::string_view line) { return answer(uid, line); },
                [this](const std::string& text) { host_.alarm.raise(Severity::warning, text); });
            ended_ = true;
        });
    } catch (const Error& error) {
        host_.alarm.raise(Severity::warning, std::string("nobody can approve by the socket: ") + error.what());
    }
}

ApprovalSocket::~ApprovalSocket() {
    ask_to_stop();
    if (thread_.joinable()) thread_.join();
}

bool ApprovalSocket::is_approver(std::uint32_t uid) const noexcept {
    return approvers_.empty() || std::find(approvers_.begin(), approvers_.end(), uid) != approvers_.end();
}

bool ApprovalSocket::may_ask(std::uint32_t uid, std::uint64_t request, const char*& why) const noexcept {
    why = "not_allowed";
    if (!is_approver(uid)) return false;
    for (std::uint32_t slot = 0; slot < kApprovals; ++slot) {
        const ApprovalRecord record = state_.approvals[slot].state.read();
        if (record.status == ApprovalStatus::open && record.request == request) return record.uid != uid;
    }
    why = "invalid_field";
    return false;
}

std::string ApprovalSocket::approve(std::uint32_t uid, std::uint64_t request) {
    core::Caller caller = caller_now();
    caller.uid = uid;
    caller.verified = true;
    core::Decision decision;
    {
        const segment::StateLock lock(state_, kLockNs, kNoSlot);
        if (!lock.inside()) return denied("lock_timeout");
        core::refresh_consumer(state_);
        core::decide_approve(state_, caller, request, decision);
        if (decision.verdict.reason == DenyReason::poisoned) segment::poison(state_);
        if (!decision.commit) return denied(name_of(decision.verdict.reason));
        core::perform(lock.exclusive(), decision);
    }
    const std::uint64_t seq = load_acquire(state_.log->committed);
    host_.alarm.raise(Severity::warning, "request " + std::to_string(request) + " was approved by user " + std::to_string(uid) +
                                             ", as the kernel says");
    return "ok " + std::to_string(decision.verdict.seq != 0 ? decision.verdict.seq : seq) + "\n";
}

std::string ApprovalSocket::answer(std::uint32_t uid, std::string_view line) noexcept {
    try {
        const std::uint64_t request = request_in(line);
        const char* why = "invalid_field";
        if (request == 0 || stopping_ || !may_ask(uid, request, why)) return denied(stopping_ ? "lock_timeout" : why);
        return approve(uid, request);
    } catch (...) {
        return {};
    }
}

}  // namespace riskreg::registry
