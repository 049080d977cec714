/// Space on disk for the next journal file, made while the present one is filled. Internal to the registry layer.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

#include "persist/file.hpp"

namespace riskreg::registry {

/// Makes the space of the next journal file while the present one is filled.
class SpacePreparer {
public:
    explicit SpacePreparer(std::string directory) : directory_(std::move(directory)) {}
    ~SpacePreparer();
    SpacePreparer(const SpacePreparer&) = delete;
    SpacePreparer& operator=(const SpacePreparer&) = delete;

    struct Space {
        persist::File file;
        std::string name;
        std::uint64_t bytes = 0;
    };
    /// Begins to prepare, unless it has or does already. False: there is no thread for it.
    [[nodiscard]] bool want(std::uint64_t bytes) noexcept;
    /// What is ready. False when nothing is: the caller makes its own.
    [[nodiscard]] bool take(Space& space);
    [[nodiscard]] static std::string temporary_name();

private:
    void run() noexcept;
    [[nodiscard]] bool prepare(std::uint64_t bytes, Space& made) noexcept;
    const std::string directory_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::uint64_t wanted_ = 0;
    bool ready_ = false;
    std::atomic<bool> stopping_{false};
    Space space_;
    std::thread thread_;
};

}  // namespace riskreg::registry
