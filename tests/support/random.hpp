/// Numbers of a seed.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <iterator>

namespace riskreg::test {

/// The same numbers on every platform, so that a seed is a replay (splitmix64).
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) { state_ = next() ^ next() << 1; }  // neighbours share nothing
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31);
    }
    std::int64_t between(std::int64_t low, std::int64_t high) {
        return low + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high - low + 1));
    }
    bool percent(std::int64_t chance) { return between(1, 100) <= chance; }
    template <class Container>
    auto& one_of(Container& from) {
        return *std::next(from.begin(), between(0, static_cast<std::int64_t>(from.size()) - 1));
    }
    template <class T>
    T pick(std::initializer_list<T> from) {
        return *std::next(from.begin(), between(0, static_cast<std::int64_t>(from.size()) - 1));
    }

private:
    std::uint64_t state_;
};

}  // namespace riskreg::test
