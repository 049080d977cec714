/// ENFORCE: an always-on check of what cannot happen. It never throws and never unwinds: a broken
/// invariant must stop this process at once, before it can write a wrong byte into shared memory.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace riskreg::base {

[[noreturn]] inline void enforce_failed(const char* what, const char* file, int line) noexcept {
    std::fprintf(stderr, "riskreg: broken invariant: %s (%s:%d)\n", what, file, line);
    std::abort();
}

}  // namespace riskreg::base

#define ENFORCE(condition)                                                   \
    do {                                                                     \
        if (!(condition)) [[unlikely]]                                       \
            ::riskreg::base::enforce_failed(#condition, __FILE__, __LINE__); \
    } while (false)
