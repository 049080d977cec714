#include "support/crash_sites.hpp"

#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <string_view>

#include "base/crash_point.hpp"

namespace riskreg::test {

namespace {

struct Counter {
    std::atomic<std::uintptr_t> address;
    std::atomic<std::uint64_t> passes, deaths;
};
using Counters = std::array<Counter, 512>;

Counters* share_counters() {
    void* memory = ::mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? nullptr : static_cast<Counters*>(memory);
}

// Before main, so that every child has it.
Counters* const counters = share_counters();
std::atomic<std::uintptr_t> armed_address{0};
std::atomic<std::uint64_t> armed_left{0};
[[maybe_unused]] std::atomic<std::uint64_t> passed{0};
[[maybe_unused]] std::atomic<std::uint64_t> armed{0};

[[maybe_unused]] Counter* counter_of(std::uintptr_t address) noexcept {
    if (counters == nullptr) return nullptr;
    for (std::size_t at = address % counters->size(), tries = 0; tries < counters->size(); ++tries) {
        Counter& counter = (*counters)[at];
        std::uintptr_t there = counter.address.load(std::memory_order_relaxed);
        if (there == 0 && counter.address.compare_exchange_strong(there, address)) return &counter;
        if (there == address) return &counter;
        at = (at + 1) % counters->size();
    }
    return nullptr;
}

[[maybe_unused]] void die_at(Counter* counter) noexcept {
    if (counter != nullptr) ++counter->deaths;
    ::kill(::getpid(), SIGKILL);
}

/// Where this program was loaded.
std::uintptr_t load_address() {
    std::uintptr_t base = 0;
    ::dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* out) {
            *static_cast<std::uintptr_t*>(out) = info->dlpi_addr;
            return 1;   // the first one is the program
        },
        &base);
    return base;
}

std::string line_of(const std::string& path, unsigned long number) {
    std::ifstream file(path);
    std::string line;
    for (unsigned long i = 0; i < number && std::getline(file, line); ++i) {
    }
    return line;
}

/// Fills name and file from addr2line's "path:line".
void locate(CrashSite& site, const std::string& place) {
    const std::size_t colon = place.find(':');
    if (colon == std::string::npos) return;
    const std::string path = place.substr(0, colon);
    const std::size_t below = path.rfind("/src/");
    site.file = below == std::string::npos ? path : path.substr(below + 5);
    const std::string line = line_of(path, std::strtoul(place.c_str() + colon + 1, nullptr, 10));
    constexpr std::string_view kMacro = "CRASH_POINT(\"";
    const std::size_t begin = line.find(kMacro);
    if (begin == std::string::npos) return;
    const std::size_t from = begin + kMacro.size();
    site.name = line.substr(from, line.find('"', from) - from);
}

/// What addr2line says, once for each address.
std::string place_of(std::uintptr_t address) {
    static std::map<std::uintptr_t, std::string> known;
    const auto found = known.find(address);
    if (found != known.end()) return found->second;
    const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
    std::array<char, 64> offset{};
    std::snprintf(offset.data(), offset.size(), "0x%zx", static_cast<std::size_t>(address - 1 - load_address()));
    std::string text(1024, '\0');
    FILE* pipe = ::popen(("addr2line -e '" + program + "' " + offset.data() + " 2>/dev/null").c_str(), "r");
    if (pipe == nullptr) return {};
    text.resize(std::fread(text.data(), 1, text.size(), pipe));
    ::pclose(pipe);
    return known[address] = text;
}

}  // namespace

std::vector<CrashSite> crash_sites() {
    std::vector<CrashSite> sites;
    if (counters == nullptr) return sites;
    for (const Counter& counter : *counters) {
        CrashSite site;
        site.address = counter.address;
        if (site.address == 0) continue;
        site.passes = counter.passes;
        site.deaths = counter.deaths;
        locate(site, place_of(site.address));
        if (!site.name.empty()) sites.push_back(std::move(site));
    }
    return sites;
}

std::vector<CrashSite> host_crash_sites() {
    std::vector<CrashSite> sites;
    for (CrashSite& site : crash_sites())
        for (const std::string_view of : {"registry/journaller", "registry/replicator", "registry/snapshotter",
                                          "persist/journal_writer", "persist/checkpoint"})
            if (site.file.starts_with(of)) {
                sites.push_back(std::move(site));
                break;
            }
    return sites;
}

void arm_crash_site(std::uintptr_t address, std::uint64_t nth) {
    armed_address = 0;
    armed_left = nth;
    armed_address = address;
}

void forget_crash_counts() {
    if (counters == nullptr) return;
    for (Counter& counter : *counters) counter.passes = counter.deaths = 0;
}

void Fuse::light() const {
    if (address != 0) return arm_crash_site(address, nth);
#ifdef RISKREG_CRASH_POINTS
    base::arm_crash_point(nth);
#endif
}

}  // namespace riskreg::test

#ifdef RISKREG_CRASH_POINTS

namespace riskreg::base {

std::uint64_t arm_crash_point(std::uint64_t nth) noexcept {
    test::armed.store(nth, std::memory_order_relaxed);
    return test::passed.exchange(0, std::memory_order_relaxed);
}

void pass_crash_point() noexcept {
    const auto address = reinterpret_cast<std::uintptr_t>(__builtin_return_address(0));
    test::Counter* counter = test::counter_of(address);
    if (counter != nullptr) ++counter->passes;
    const std::uint64_t now = test::passed.fetch_add(1, std::memory_order_relaxed) + 1;
    if (now == test::armed.load(std::memory_order_relaxed)) test::die_at(counter);
    if (address == test::armed_address.load(std::memory_order_relaxed) && --test::armed_left == 0) test::die_at(counter);
}

}  // namespace riskreg::base

#endif
