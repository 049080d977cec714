/// Time of single calls by the time stamp counter, as in register_latency.cpp.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "segment/process.hpp"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace riskreg::bench::peers {

/// Fenced, so that neither what is measured nor its surroundings slip across the reading.
inline std::uint64_t ticks() noexcept {
#if defined(__x86_64__)
    _mm_lfence();
    const std::uint64_t now = __rdtsc();
    _mm_lfence();
    return now;
#else
    return static_cast<std::uint64_t>(segment::monotonic_ns());
#endif
}

/// Turns ticks into nanoseconds, less what an empty reading takes.
class Clock {
public:
    Clock() : per_ns_(measured_per_ns()) {
        std::vector<std::uint64_t> empty(100'000);
        for (std::uint64_t& value : empty) {
            const std::uint64_t start = ticks();
            value = ticks() - start;
        }
        std::nth_element(empty.begin(), empty.begin() + 50'000, empty.end());
        timer_ns_ = static_cast<double>(empty[50'000]) / per_ns_;
    }
    [[nodiscard]] double ns(std::uint64_t elapsed) const noexcept {
        return std::max(0.0, static_cast<double>(elapsed) / per_ns_ - timer_ns_);
    }
    [[nodiscard]] double timer_ns() const noexcept { return timer_ns_; }
    [[nodiscard]] double per_ns() const noexcept { return per_ns_; }

private:
    static double measured_per_ns() {
        const std::int64_t start_ns = segment::monotonic_ns();
        const std::uint64_t start = ticks();
        while (segment::monotonic_ns() - start_ns < 100'000'000) {
        }
        return static_cast<double>(ticks() - start) / static_cast<double>(segment::monotonic_ns() - start_ns);
    }
    double per_ns_;
    double timer_ns_ = 0;
};

/// Times of calls in nanoseconds.
class Samples {
public:
    void reserve(std::size_t n) { values_.reserve(n); }
    void add(double ns) {
        values_.push_back(ns);
        sorted_ = false;
    }
    [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }
    [[nodiscard]] double at(double q) {
        if (!sorted_) std::sort(values_.begin(), values_.end());
        sorted_ = true;
        return values_.empty() ? 0 : values_[static_cast<std::size_t>(q * static_cast<double>(values_.size() - 1))];
    }
    [[nodiscard]] double sum_ns() const { return std::accumulate(values_.begin(), values_.end(), 0.0); }

private:
    std::vector<double> values_;
    bool sorted_ = false;
};

}  // namespace riskreg::bench::peers
