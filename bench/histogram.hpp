/// Counts of durations, log-linear: exact below 256, from there on 128 steps for each doubling, so that a quantile is off
/// by at most 0.4 %. Zeroed memory is an empty one, so it may lie in memory that processes share: one writer each.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace riskreg::bench {

class Histogram {
public:
    void add(std::uint64_t value) noexcept {
        ++counts_[index_of(value)];
        ++n_;
        sum_ += value;
        max_ = std::max(max_, value);
    }
    void merge(const Histogram& other) noexcept {
        for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
        n_ += other.n_;
        sum_ += other.sum_;
        max_ = std::max(max_, other.max_);
    }

    [[nodiscard]] std::uint64_t n() const noexcept { return n_; }
    [[nodiscard]] std::uint64_t max() const noexcept { return max_; }
    [[nodiscard]] double sum() const noexcept { return static_cast<double>(sum_); }
    /// Nearest rank; 0 of an empty one.
    [[nodiscard]] double quantile(double q) const noexcept {
        const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(n_))));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < kBuckets; ++i) {
            seen += counts_[i];
            if (seen >= rank) return std::min(middle_of(i), static_cast<double>(max_));
        }
        return static_cast<double>(max_);
    }

private:
    static constexpr unsigned kSubBits = 7;
    static constexpr std::size_t kSub = std::size_t{1} << kSubBits;
    static constexpr unsigned kTopBits = 48;  // of the largest value: a day of ticks
    static constexpr std::size_t kBuckets = (kTopBits - kSubBits + 1) * kSub;

    static std::size_t index_of(std::uint64_t value) noexcept {
        value = std::min(value, (std::uint64_t{1} << kTopBits) - 1);
        if (value < kSub) return value;
        const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kSubBits - 1;
        return (shift + 1) * kSub + ((value >> shift) - kSub);
    }
    static double middle_of(std::size_t index) noexcept {
        if (index < kSub) return static_cast<double>(index);
        const std::size_t shift = index / kSub - 1;
        const std::uint64_t low = (kSub + index % kSub) << shift;
        return static_cast<double>(low) + static_cast<double>((std::uint64_t{1} << shift) - 1) / 2;
    }

    std::array<std::uint64_t, kBuckets> counts_;
    std::uint64_t n_, sum_, max_;
};

/// Whether quantiles of known numbers come out within a hundredth, whole and merged. Run at every start.
[[nodiscard]] bool histogram_works();

}  // namespace riskreg::bench
