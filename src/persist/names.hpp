/// The names of the closed sets of `persist`; how lists work: base/names.hpp.
#pragma once

#include "base/names.hpp"
#include "persist/checkpoint.hpp"

namespace riskreg::base {

template <>
struct NamesOf<persist::CheckpointSource> {
    using enum persist::CheckpointSource;
    static constexpr auto list =
        std::to_array<Name<persist::CheckpointSource>>({{replica, "replica"}, {memory, "memory"}, {migrated, "migrated"}});
};

}  // namespace riskreg::base
