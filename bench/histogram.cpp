#include "histogram.hpp"

#include <memory>

namespace riskreg::bench {

namespace {

bool is_near(double seen, double expected) { return std::abs(seen - expected) <= expected / 100; }

bool quantiles_are_right(const Histogram& of, std::uint64_t n, double scale) {
    if (of.n() != n) return false;
    for (const double q : {0.001, 0.5, 0.9, 0.99, 0.9999, 1.0})
        if (!is_near(of.quantile(q), std::ceil(q * static_cast<double>(n)) * scale)) return false;
    return true;
}

}  // namespace

bool histogram_works() {
    constexpr std::uint64_t n = 100'000;
    for (const std::uint64_t scale : {std::uint64_t{1}, std::uint64_t{37}, std::uint64_t{1'000'003}}) {
        const auto odd = std::make_unique<Histogram>();
        const auto even = std::make_unique<Histogram>();
        for (std::uint64_t i = 1; i <= n; ++i) (i % 2 == 0 ? even : odd)->add(i * scale);
        odd->merge(*even);
        if (!quantiles_are_right(*odd, n, static_cast<double>(scale)) || odd->max() != n * scale) return false;
    }
    return true;
}

}  // namespace riskreg::bench
