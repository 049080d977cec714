// The bytes that other builds and other days meet: compared with a file that is changed on purpose only.
//
// After a deliberate change: raise kLayoutVersion, then write the new golden file with
//     RISKREG_WRITE_GOLDEN=1 ctest --preset dev --tests-regex "layout is unchanged"

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

TEST_CASE("the layout is unchanged on purpose: red here means bump layout_version", "[layout][golden]") {
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

/// A record of random bytes, which is what another process may leave anywhere.
template <class T>
T random_record(std::mt19937_64& random) {
    std::uint64_t bytes[(sizeof(T) + 7) / 8];
    for (std::uint64_t& word : bytes) word = random();
    T record;
    std::memcpy(&record, bytes, sizeof record);
    return record;
}

/// Words put together from the listed fields must be the very same bytes, whatever they are.
template <class T>
bool words_are_bytes(std::mt19937_64& random) {
    const T record = random_record<T>(random);
    const auto words = words_from_fields(record);
    return std::memcmp(words.data(), &record, sizeof record) == 0;
}

template <class... T>
void require_words(std::mt19937_64& random) {
    const auto require = [&]<class One>(const One*) {
        CAPTURE(Fields<One>::name);
        CHECK(words_are_bytes<One>(random));
    };
    (require(static_cast<const T*>(nullptr)), ...);
}

/// One byte of each field in turn is another one.
template <class T>
void require_names(std::mt19937_64& random) {
    const T record = random_record<T>(random);
    CHECK(first_difference(record, record).empty());
    for (const Field& field : Fields<T>::list) {
        CAPTURE(Fields<T>::name, field.name);
        T other = record;
        reinterpret_cast<unsigned char*>(&other)[field.offset + random() % field.size] ^= 0x10;
        CHECK(first_difference(record, other) == field.name);
        reinterpret_cast<unsigned char*>(&other)[sizeof other - 1] ^= 0x01;   // behind it, so not the first
        CHECK(first_difference(record, other) == field.name);
    }
}

template <class... T>
void require_all_names(std::mt19937_64& random) {
    (require_names<T>(random), ...);
}

}  // namespace

TEST_CASE("a record put together from registers has the bytes of the record", "[layout]") {
    static_assert(HasWords<OrderIdentity> && HasWords<OrderState> && HasWords<RowCounters> && HasWords<RowMeters>);
    static_assert(HasWords<RegisterEvent> && HasWords<LifeEvent>);
    std::mt19937_64 random(4);
    for (int i = 0; i < 20'000; ++i)
        require_words<OrderIdentity, OrderState, RowCounters, RowMeters, EventHeader, RegisterEvent, LifeEvent>(random);
}

TEST_CASE("the words of every record that is no slot can be put together from its fields", "[layout]") {
    std::mt19937_64 random(5);
    for (int i = 0; i < 200; ++i) {
        require_words<FixedId, Reason, VenueId, RowControl, RowDay, RowLatch, RowValue, RowRiskLimits, RowAlerts>(random);
        require_words<BreakerCounts, BookCount, RestrictionRecord, ApprovalRecord, ExecutionIdentity, ExecutionState>(random);
        require_words<QuarantineSlot, SessionRecord, StrategyState, ReferencePrice, ReferenceOwner>(random);
        require_words<InstrumentRecord, AccountRecord, StrategyRecord>(random);
        require_words<RowDelta, ValueDelta, OrderAfter, DeniedEvent, QuarantineEvent, PositionEvent>(random);
        require_words<MarkedEvent, StateEvent, LimitsEvent, RiskLimitsEvent, RestrictionEvent, ApprovalEvent>(random);
        require_words<AlertEvent, RolledEvent, ClockEvent, SessionEvent, ReferenceOwnerEvent>(random);
        require_words<Geometry, Offsets, Header, LogWords, StatusWords, Watermarks, Wakes, HostWords, Control>(random);
    }
}

TEST_CASE("the first field in which two records differ is named", "[layout]") {
    std::mt19937_64 random(6);
    require_all_names<Reason, OrderIdentity, VenueId, OrderState, OrderSlot, RowCounters, RowControl, RowDay, RowLatch>(random);
    require_all_names<Row, RowCold, RowRisk, RowValue, RowRiskLimits, RowMeters, RowAlerts, BreakerSlot, BookNode>(random);
    require_all_names<ExecutionIdentity, ExecutionState, QuarantineSlot, SessionSlot, StrategySlot, ReferenceCell>(random);
    require_all_names<InstrumentRecord, EventHeader, RegisterEvent, LifeEvent, StateEvent, Header, Offsets>(random);
}

TEST_CASE("tables lie one behind the other in the order of their list, each on pages of its own", "[layout]") {
    std::mt19937_64 random(7);
    for (int i = 0; i < 1000; ++i) {
        Geometry g = random_record<Geometry>(random);
        for (std::uint32_t Geometry::*size : {&Geometry::instruments, &Geometry::accounts, &Geometry::strategies})
            g.*size %= 100;
        const Offsets o = offsets_of(g);
        std::uint64_t next = o.control + kPage;
        const auto require = [&](const char* name, std::uint64_t offset, std::uint64_t bytes) {
            CAPTURE(name, offset, bytes);
            CHECK(offset == next);
            next += (bytes + kPage - 1) / kPage * kPage;
        };
#define REQUIRE_TABLE(name, record, count, kind) require(#name, o.name, sizeof(record) * std::uint64_t{count});
        RISKREG_TABLES(REQUIRE_TABLE)
        CHECK(o.size_bytes == next);
    }
}
