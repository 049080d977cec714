/// What the host looks at beside its journal: the segment's name, the LOCK file, the clock. Alarms only; nothing stops for it.
/// Internal to the registry layer.
#pragma once

#include "registry/host.hpp"

namespace riskreg::registry {

class Surroundings {
public:
    explicit Surroundings(Host& host) noexcept;
    void look();

private:
    void look_at_segment();
    void look_at_lock_file();
    void look_at_clock();

    Host& host_;
    std::int64_t clock_offset_ns_;
    bool segment_lost_ = false;
    bool lock_file_lost_ = false;
};

}  // namespace riskreg::registry
