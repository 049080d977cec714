/// Folders of the stores, and the wish to stop.
#pragma once

#include <string>

namespace riskreg::bench::peers {

/// A folder that is removed with everything in it.
class TemporaryFolder {
public:
    explicit TemporaryFolder(const std::string& parent);
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    std::string path_;
};

/// In memory: then a synced mode there costs nothing and means nothing.
[[nodiscard]] bool is_on_tmpfs(const std::string& folder);
/// Writes out what the load of the stores left in the page cache, so that it does not meet the first synced calls.
void sync_disk(const std::string& folder);

/// From now on a signal to end only sets a flag …
void remember_signals();
/// … and this throws when it is set, so that stores and processes are removed.
void throw_if_told_to_end();

}  // namespace riskreg::bench::peers
