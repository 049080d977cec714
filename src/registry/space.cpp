#include "registry/space.hpp"

#include "persist/journal_writer.hpp"
#include "segment/process.hpp"

namespace riskreg::registry {

SpacePreparer::~SpacePreparer() {
    {
        const std::lock_guard guard(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
    if (!ready_) return;
    persist::Directory directory;
    if (!persist::Directory::open(directory_, directory)) static_cast<void>(directory.remove(space_.name));
}

std::string SpacePreparer::temporary_name() {
    static std::atomic<std::uint64_t> count{0};
    return persist::kTemporaryPrefix + ("journal-" + std::to_string(segment::process_id()) + "-" + std::to_string(++count));
}

bool SpacePreparer::want(std::uint64_t bytes) noexcept {
    const std::lock_guard guard(mutex_);
    if (ready_ || wanted_ != 0) return true;
    if (!thread_.joinable()) {
        try {
            const segment::SignalsBlocked blocked;
            thread_ = std::thread([this] { run(); });
        } catch (...) {
            return false;
        }
    }
    wanted_ = bytes;
    changed_.notify_all();
    return true;
}

bool SpacePreparer::take(Space& space) {
    const std::lock_guard guard(mutex_);
    if (!ready_) return false;
    space = std::move(space_);
    ready_ = false;
    return true;
}

void SpacePreparer::run() noexcept {
    std::unique_lock guard(mutex_);
    for (;;) {
        changed_.wait(guard, [this] { return stopping_ || wanted_ != 0; });
        if (stopping_) return;
        const std::uint64_t bytes = wanted_;
        guard.unlock();
        Space made;
        const bool there = prepare(bytes, made);
        guard.lock();
        wanted_ = 0;
        if (there) space_ = std::move(made), ready_ = true;
    }
}

/// An error shows when the journaller makes its own; here it only means that nothing was prepared.
bool SpacePreparer::prepare(std::uint64_t bytes, Space& made) noexcept {
    try {
        made.name = temporary_name();
        made.bytes = bytes;
        persist::Directory directory;
        if (persist::Directory::open(directory_, directory)) return false;
        return !persist::prepare_space(directory, made.name, bytes, made.file, [this] { return stopping_.load(); });
    } catch (...) {
        return false;
    }
}

}  // namespace riskreg::registry
