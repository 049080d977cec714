/// Which files of a registry may be given up once a checkpoint is written, and giving them up (protocol.md 5).
#pragma once

#include <cstdint>
#include <set>

#include "persist/checkpoint.hpp"

namespace riskreg::persist {

struct RetentionRules {
    std::uint64_t epoch = 0;              ///< of the registry: checkpoints of another one do not count
    std::uint32_t keep_checkpoints = 1;
    bool keep_journal = false;            ///< journal files are never removed
};

/// One host's. Not for more than one thread. Errors leave files where they are: the next call tries again.
class Retention {
public:
    /// Directory and key are borrowed and may be assigned to later.
    Retention(const Directory& directory, const Key& key, RetentionRules rules) noexcept
        : directory_(directory), key_(key), rules_(rules) {}

    /// This host has written it and read it back.
    void written(std::uint64_t seq) { valid_.insert(newest_ = seq); }
    /// Only when the newest N valid ones are there is anything older given up: first checkpoints, then what of the journal
    /// the oldest of the kept covers. What is newer than the one just written is not ours to judge.
    void trim();

private:
    [[nodiscard]] bool is_valid(std::uint64_t seq);

    const Directory& directory_;
    const Key& key_;
    RetentionRules rules_;
    std::uint64_t newest_ = 0;
    std::set<std::uint64_t> valid_;   // written or verified by this host
};

}  // namespace riskreg::persist
