/// Shared by reader.cpp and registry.cpp.
#pragma once

#include <atomic>
#include <optional>

#include "registry/attachment.hpp"
#include "riskreg/registry.hpp"
#include "segment/inside.hpp"
#include "segment/process.hpp"

namespace riskreg {

/// Which of a Registry's days is looked at; changes when it has followed a roll.
struct Shown {
    std::atomic<const registry::Attachment*> newest{nullptr};
};

/// Looks through its own read-only mapping, or through that of a Registry.
struct Reader::Impl {
    std::optional<registry::Attachment> own;
    const Shown* shown = nullptr;

    Impl() = default;
    explicit Impl(const Shown& days) : shown(&days) {}
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
};

/// One look: what is seen stays mapped until it ends.
class Looking {
public:
    explicit Looking(const Reader::Impl& impl) noexcept
        : attachment_(impl.own ? &*impl.own : impl.shown->newest.load(std::memory_order_acquire)), own_(impl.own) {}
    Looking(const Looking&) = delete;
    Looking& operator=(const Looking&) = delete;

    /// False in a child that was forked after the attach: the mapping of a Registry is not inherited.
    [[nodiscard]] bool usable() const noexcept { return own_ || attachment_->fork_epoch == segment::fork_epoch(); }
    [[nodiscard]] const core::State& state() const {
        if (!usable())
            throw Error(Errc::foreign, "not attached: this process was forked after the registry was opened; open it here");
        return attachment_->state;
    }
    [[nodiscard]] const registry::Attachment& attachment() const noexcept { return *attachment_; }

private:
    segment::Inside inside_;
    const registry::Attachment* attachment_;
    bool own_;
};

}  // namespace riskreg
