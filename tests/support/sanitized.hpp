/// What a sanitizer's runtime does not allow: tests that need it say SKIPPED.
#pragma once

#include <iostream>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RISKREG_SANITIZED 1
#else
#define RISKREG_SANITIZED 0
#endif

namespace riskreg::test {

/// True under a sanitizer; then it says why.
[[nodiscard]] inline bool skipped_under_sanitizer(const char* why) {
    if (RISKREG_SANITIZED) std::cout << "SKIPPED: " << why << "\n";
    return RISKREG_SANITIZED;
}

/// For tests that have a library preloaded.
[[nodiscard]] inline bool skipped_for_preload() {
    return skipped_under_sanitizer("a sanitizer's runtime and LD_PRELOAD do not go together");
}

/// For tests whose forked children start threads, one child after the other.
[[nodiscard]] inline bool skipped_for_threads_of_children() {
#ifdef __SANITIZE_THREAD__
    std::cout << "SKIPPED: the thread sanitizer cannot follow threads that one forked child after the other starts\n";
    return true;
#else
    return false;
#endif
}

}  // namespace riskreg::test
