/// Latencies in nanoseconds, counted in shared memory: one writer, any reader, no lock.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace demo {

/// Log-linear: every power of two is cut into 32 equal parts, so a value is known to about 3 % at any size.
class Histogram {
public:
    void record(std::int64_t ns) noexcept {
        const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(ns, 0));
        increment(counts_[bucket_of(value)], 1);
        if (value > max_.load(std::memory_order_relaxed)) max_.store(value, std::memory_order_relaxed);
    }

    /// Adds another histogram to this one; this one is private to the caller.
    void add(const Histogram& other) noexcept {
        for (std::size_t i = 0; i < kBuckets; ++i) increment(counts_[i], other.counts_[i].load(std::memory_order_relaxed));
        max_.store(std::max(max(), other.max()), std::memory_order_relaxed);
    }

    [[nodiscard]] std::uint64_t samples() const noexcept {
        std::uint64_t sum = 0;
        for (const auto& count : counts_) sum += count.load(std::memory_order_relaxed);
        return sum;
    }

    /// Upper edge of the bucket that holds the value of rank ceil(samples * per_mille / 1000); never above the maximum.
    [[nodiscard]] std::uint64_t percentile(std::uint64_t per_mille) const noexcept {
        const std::uint64_t rank = (samples() * per_mille + 999) / 1000;
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < kBuckets; ++i) {
            seen += counts_[i].load(std::memory_order_relaxed);
            if (seen >= rank && seen > 0) return std::min(upper_edge(i), max());
        }
        return max();
    }

    [[nodiscard]] std::uint64_t max() const noexcept { return max_.load(std::memory_order_relaxed); }

private:
    static constexpr int kPartBits = 5;
    static constexpr std::uint64_t kParts = 1U << kPartBits;
    static constexpr std::size_t kBuckets = (64 - kPartBits + 1) * kParts;

    static std::size_t bucket_of(std::uint64_t value) noexcept {
        if (value < kParts) return value;
        const int shift = static_cast<int>(std::bit_width(value)) - kPartBits - 1;
        return static_cast<std::size_t>(shift + 1) * kParts + ((value >> shift) & (kParts - 1));
    }
    static std::uint64_t upper_edge(std::size_t bucket) noexcept {
        if (bucket < kParts) return bucket;
        const std::size_t shift = bucket / kParts - 1;
        return ((kParts + bucket % kParts + 1) << shift) - 1;
    }
    static void increment(std::atomic<std::uint64_t>& word, std::uint64_t by) noexcept {
        word.store(word.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }

    std::array<std::atomic<std::uint64_t>, kBuckets> counts_{};
    std::atomic<std::uint64_t> max_{0};
};

}  // namespace demo
