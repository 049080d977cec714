/// Shared by reader.cpp and registry.cpp.
#pragma once

#include <optional>

#include "registry/attachment.hpp"
#include "riskreg/registry.hpp"

namespace riskreg {

/// Looks through its own read-only mapping, or through that of a Registry.
struct Reader::Impl {
    std::optional<registry::Attachment> own;
    const registry::Attachment* attachment = nullptr;

    Impl() = default;
    explicit Impl(const registry::Attachment& shared) : attachment(&shared) {}
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    [[nodiscard]] const core::State& state() const noexcept { return attachment->state; }
};

}  // namespace riskreg
