#include <catch2/catch.hpp>

#include "segment/event_clock.hpp"
#include "segment/process.hpp"

using namespace riskreg::segment;

TEST_CASE("the clock of the calls stays between two looks at the clock of the system", "[clock]") {
    // A millisecond to either side: a step of the system's clock by that much would be seen one look later.
    constexpr std::int64_t slack = 1'000'000;
    const std::int64_t end = monotonic_ns() + 300'000'000;
    int looks = 0, outside = 0;
    for (; monotonic_ns() < end; ++looks) {
        const std::int64_t before = realtime_ns();
        const std::int64_t now = event_clock().now_ns;
        const std::int64_t after = realtime_ns();
        outside += now < before - slack || now > after + slack ? 1 : 0;
    }
    CHECK(looks > 100);
    CHECK(outside == 0);
}

TEST_CASE("the clock of the calls is right again after a pause longer than its looks", "[clock]") {
    for (int i = 0; i < 1000; ++i) static_cast<void>(event_clock().now_ns);
    for (const std::int64_t pause : {2'000'000, 50'000'000, 300'000'000}) {
        sleep_ns(pause);
        const std::int64_t before = realtime_ns();
        const std::int64_t now = event_clock().now_ns;
        const std::int64_t after = realtime_ns();
        CHECK(now >= before - 1'000'000);
        CHECK(now <= after + 1'000'000);
    }
}

TEST_CASE("the steady clock of the calls is the boot's, and never goes back within a thread", "[clock]") {
    const std::int64_t begin = boottime_ns();
    std::int64_t last = 0;
    int back = 0;
    for (int i = 0; i < 2'000'000; ++i) {
        const std::int64_t steady = event_clock().steady_ns;
        back += steady < last ? 1 : 0;
        last = steady;
    }
    CHECK(back == 0);
    CHECK(last >= begin);
    CHECK(last <= boottime_ns() + 1'000'000);
}
