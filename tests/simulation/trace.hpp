/// What happened in one simulated world, as a hash and, when somebody looks, as lines.
#pragma once

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <string_view>

namespace riskreg::simulation {

/// Every operation, fault and outcome passes here. Two runs of a seed that differ anywhere differ in the hash.
class Trace {
public:
    explicit Trace(bool shown = false) noexcept : shown_(shown) {}

    void note(std::string_view what, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0) noexcept {
        for (const char letter : what) mix(static_cast<unsigned char>(letter));
        mix(a), mix(b), mix(c);
        if (!shown_) return;
        std::printf("%10.3f ms  %-28.*s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 "\n", static_cast<double>(now_ns_) / 1e6,
                    static_cast<int>(what.size()), what.data(), a, b, c);
    }
    /// Words for the reader; also part of the hash.
    void say(std::string_view what) noexcept {
        for (const char letter : what) mix(static_cast<unsigned char>(letter));
        if (shown_) std::printf("               %.*s\n", static_cast<int>(what.size()), what.data());
    }
    void at(std::int64_t now_ns) noexcept { now_ns_ = now_ns; }
    [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }

private:
    void mix(std::uint64_t value) noexcept {
        hash_ = (hash_ ^ value) * 0x100000001B3ULL;
        hash_ ^= hash_ >> 29;
    }
    bool shown_;
    std::int64_t now_ns_ = 0;
    std::uint64_t hash_ = 0xCBF29CE484222325ULL;
};

}  // namespace riskreg::simulation
