/// Shared by reader.cpp and registry.cpp.
#pragma once

#include <optional>

#include "registry/attachment.hpp"
#include "riskreg/registry.hpp"
#include "segment/process_posix.hpp"

namespace riskreg {

/// Looks through its own read-only mapping, or through that of a Registry.
struct Reader::Impl {
    std::optional<registry::Attachment> own;
    const registry::Attachment* attachment = nullptr;

    Impl() = default;
    explicit Impl(const registry::Attachment& shared) : attachment(&shared) {}
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    /// False in a child that was forked after the attach: the mapping of a Registry is not inherited.
    [[nodiscard]] bool usable() const noexcept { return own || attachment->fork_epoch == segment::fork_epoch(); }
    [[nodiscard]] const core::State& state() const {
        if (!usable())
            throw Error(Errc::foreign, "not attached: this process was forked after the registry was opened; open it here");
        return attachment->state;
    }
};

}  // namespace riskreg
