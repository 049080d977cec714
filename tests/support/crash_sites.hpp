/// Crash points by name. crash_sites.cpp is linked in place of the library's crash_point_posix.cpp: it counts in memory
/// that every forked child shares which CRASH_POINT was passed and which was died at, and arms one of them.
///
/// The macro hands over no name; the address that it returns to leads to the line of source, and the line to the name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace riskreg::test {

struct CrashSite {
    std::string name;    ///< as in CRASH_POINT("name")
    std::string file;    ///< below src/
    std::uintptr_t address = 0;
    std::uint64_t passes = 0;   ///< of all children, and of the test's own process
    std::uint64_t deaths = 0;
};

/// Every site that anybody has passed so far. Empty without crash points or without addr2line.
[[nodiscard]] std::vector<CrashSite> crash_sites();
/// Of those, the ones of the snapshotter and of its files.
[[nodiscard]] std::vector<CrashSite> host_crash_sites();

/// This process dies when it passes the site for the n-th time from now on. Address 0 disarms.
void arm_crash_site(std::uintptr_t address, std::uint64_t nth);
/// How often the sites of the process were passed and died at is forgotten; the sites are not.
void forget_crash_counts();

/// Address 0 and n > 0: the n-th pass of any site.
struct Fuse {
    std::uintptr_t address = 0;
    std::uint64_t nth = 0;
    void light() const;
};

}  // namespace riskreg::test
