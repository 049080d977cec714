/// The replica, the checkpoints written from it, and the online verifier. One thread of the host; it may lag, and it
/// never holds up the journaller (protocol.md 5).
#pragma once

#include <memory>
#include <optional>

#include "core/copy.hpp"
#include "persist/checkpoint.hpp"
#include "persist/recovery.hpp"
#include "persist/retention.hpp"
#include "registry/host.hpp"
#include "registry/verifier.hpp"

namespace riskreg::registry {

class Replicator {
public:
    explicit Replicator(Host& host);

    /// Until the host has drained and left; then the final checkpoint, when one is wanted.
    void run() noexcept;

private:
    void round();
    void answer_requests();
    void write_when_due();
    void follow_and_verify();
    void close_gap();
    void write_final();
    [[nodiscard]] bool must_end() const noexcept;
    void mark_checkpoint(std::int64_t time_ns) noexcept;
    void trim(bool clean);
    void lacks_memory() noexcept;
    void use_replica(core::PrivateState tables, const persist::JournalMark& mark);
    void drop_replica() noexcept;
    [[nodiscard]] bool has_replica();
    [[nodiscard]] bool follow();
    [[nodiscard]] bool checkpoint_now(bool clean);
    [[nodiscard]] bool write(const core::State& state, persist::CheckpointSource source, bool clean);
    [[nodiscard]] bool write_from_memory();
    void failed(const std::string& stage, persist::IoError error);
    void misread(const std::string& why);
    void distrust(const std::string& why);
    void differs(const std::string& what);
    /// All of the live tables (core/audit.hpp). What contradicts itself is told, and the registry poisoned.
    enum class Audit : std::uint8_t { clean, impossible, poisoned };
    Audit audit();
    [[nodiscard]] std::int64_t interval_ns() const noexcept;
    [[nodiscard]] std::int64_t until_due_ns() const noexcept;

    Host& host_;
    core::State& live_;
    persist::Directory directory_;
    std::optional<core::PrivateState> replica_;
    std::optional<persist::JournalFollower> follower_;
    std::optional<Verifier> verifier_;
    std::int64_t started_ns_;
    std::int64_t next_checkpoint_ns_;   // boot time, as every interval of the configuration
    std::int64_t next_attempt_ns_ = 0;
    std::uint64_t last_checkpoint_ = 0;
    persist::Retention retention_;
    std::uint32_t follow_failures_ = 0;
    Backoff backoff_;
};

}  // namespace riskreg::registry
