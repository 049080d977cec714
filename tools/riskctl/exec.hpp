/// exec, as a function: a fuzz target calls it, too.
#pragma once

#include <cstdint>
#include <string>

#include "riskctl/verbs.hpp"

namespace riskctl {

struct ExecOptions {
    std::string strategy;
    std::string durability = "memory";
    std::string file;   ///< empty or "-": stdin
    bool takeover = false;
    std::uint32_t lock_timeout_ms = 1000;
    std::uint32_t durable_timeout_ms = 5000;
    bool host_snapshotter = true;
};

int exec(const Common& common, const ExecOptions& options);

}  // namespace riskctl
