/// A clock that gives the same readings in every run.
#pragma once

namespace riskreg::bench {

/// From now on every reading of a clock by this thread comes 1 µs after the one before. Other threads keep the real clock:
/// those of the library wait by it.
void use_counted_time() noexcept;

}  // namespace riskreg::bench
