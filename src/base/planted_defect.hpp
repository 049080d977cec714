/// Defects that the tests plant, to show that they would be noticed. There is none in anything that is installed: only
/// the controls of tests/controls compile the few files that look here a second time, with RISKREG_PLANTED_DEFECT.
#pragma once

#include <cstdint>

namespace riskreg::base {

enum class Defect : std::uint8_t {
    none,
    no_redo,            ///< a repair that believes the events of the dead to be applied
    swapped_commit,     ///< committed before the event is written
    unchecked_events,   ///< a repair that applies events without a look at their checksum
    consistent_first,   ///< the mutex is made consistent before it is known that the tables can be repaired
    untimed_lock,       ///< waits without deadline and slices
};

#ifdef RISKREG_PLANTED_DEFECT
constexpr Defect kPlanted = Defect::RISKREG_PLANTED_DEFECT;
#else
constexpr Defect kPlanted = Defect::none;
#endif

}  // namespace riskreg::base
