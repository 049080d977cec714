/// Checkpoints of earlier versions, written anew as this build's. A chain of steps, one for each version: whoever raises
/// kCheckpointVersion adds the step from the version before, and a document of it to tests/golden/checkpoints.
#pragma once

#include <string>
#include <vector>

#include "persist/checkpoint.hpp"

namespace riskreg::persist {

inline constexpr std::uint32_t kOldestVersion = 2;   ///< that there is a step from

struct Migration {
    std::uint32_t from = 0;              ///< version that was found; kCheckpointVersion: nothing was to be done
    CheckpointHead head;                 ///< of what was written
    std::string kept;  ///< name under which the document of before lies beside the new one; empty: elsewhere
    std::vector<std::string> journals;  ///< files of another version beside it, which this build refuses
};

/// Reads the checkpoint `name` of `from`, checks its digest (with `key_file`, or the key that its configuration names), takes it
/// through the steps, loads and audits the outcome, and writes it as `target` of `to`, signed like the one of before. In place the old
/// document is kept as `.v<N>-<name>` first; the new one takes its name in one step. Killed anywhere, one of both is whole under the name.
/// Throws Error{bad_input, damaged, permission, no_space, system}; then nothing has taken a name.
[[nodiscard]] Migration migrate_checkpoint(const Directory& from, const std::string& name, const Directory& to,
                                           const std::string& target, const std::string& key_file);

}  // namespace riskreg::persist
