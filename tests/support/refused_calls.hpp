/// System calls that the kernel answers with an error, whoever makes them: for the paths that only a sick host takes.
#pragma once

namespace riskreg::test {

/// From here on every call of that number in this process and its children fails. Cannot be taken back: for forked
/// children. Throws where seccomp is not permitted.
void refuse_system_call(long number, int error);
/// Only mappings that are shared.
void refuse_shared_mappings(int error);

}  // namespace riskreg::test
