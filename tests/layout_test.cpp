// The bytes that other builds and other days meet: compared with a file that is changed on purpose only.
//
// After a deliberate change: raise kLayoutVersion, then write the new golden file with
//     RISKREG_WRITE_GOLDEN=1 ctest --preset dev --tests-regex "layout v5"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>
#include <string>
#include <string_view>

#include "layout/describe.hpp"
#include "layout/segment.hpp"

namespace {

using namespace riskreg;

std::string golden_path() {
    return std::string(RISKREG_SOURCE_DIR) + "/tests/golden/layout_v" + std::to_string(layout::kLayoutVersion) + ".txt";
}

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

bool may_write_golden() {
    const char* wish = std::getenv("RISKREG_WRITE_GOLDEN");
    return wish != nullptr && std::string_view(wish) == "1";
}

/// The first line in which the two differ; empty when they are equal.
std::string first_difference(const std::string& golden, const std::string& now) {
    std::istringstream left(golden), right(now);
    for (;;) {
        std::string expected, seen;
        const bool more_expected = static_cast<bool>(std::getline(left, expected));
        const bool more_seen = static_cast<bool>(std::getline(right, seen));
        if (!more_expected && !more_seen) return {};
        if (expected != seen || more_expected != more_seen) return "golden: \"" + expected + "\", this build: \"" + seen + "\"";
    }
}

}  // namespace

TEST_CASE("layout v5 is unchanged on purpose: red here means bump layout_version", "[layout][golden]") {
    const std::string now = layout::describe_layout();
    if (may_write_golden()) {
        std::ofstream(golden_path(), std::ios::binary) << now;
        WARN("wrote " << golden_path());
    }
    INFO("The layout moved. If that is meant: bump layout_version (kLayoutVersion) and the golden file on purpose, and say");
    INFO("so in CHANGELOG.md; RISKREG_WRITE_GOLDEN=1 writes " << golden_path());
    CHECK(first_difference(read_file(golden_path()), now) == "");
}

TEST_CASE("the description of the layout names every record once, with its size", "[layout]") {
    std::istringstream lines(layout::describe_layout());
    std::size_t records = 0;
    std::size_t orders = 0;
    for (std::string line; std::getline(lines, line);) {
        records += line.find(" align ") != std::string::npos ? 1U : 0U;
        orders += line == "OrderSlot size 448 align 64" ? 1U : 0U;
    }
    CHECK(orders == 1);
    CHECK(records == 70);
}

namespace {

using namespace riskreg::layout;

/// Random bytes as a record: `words_of` must give the very same bytes, whatever they are.
template <class T>
bool words_are_bytes(std::mt19937_64& random) {
    std::uint64_t bytes[sizeof(T) / 8];
    for (std::uint64_t& word : bytes) word = random();
    T record;
    std::memcpy(&record, bytes, sizeof record);
    const auto words = words_of(record);
    return std::memcmp(words.data(), bytes, sizeof bytes) == 0;
}

}  // namespace

TEST_CASE("a record put together from registers has the bytes of the record", "[layout]") {
    std::mt19937_64 random(4);
    for (int i = 0; i < 1000; ++i) {
        CHECK(words_are_bytes<OrderIdentity>(random));
        CHECK(words_are_bytes<OrderState>(random));
        CHECK(words_are_bytes<RowCounters>(random));
        CHECK(words_are_bytes<EventHeader>(random));
        CHECK(words_are_bytes<RegisterEvent>(random));
        CHECK(words_are_bytes<LifeEvent>(random));
    }
}
