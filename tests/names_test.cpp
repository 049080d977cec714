/// Every enumerator of every closed set has its own name: the lists of base/names.hpp and its neighbours held against the enums.
#include <array>
#include <catch2/catch.hpp>
#include <cctype>
#include <string>
#include <utility>

#include "layout/names.hpp"
#include "persist/names.hpp"
#include "registry/names.hpp"

namespace riskreg::test {
namespace {

/// What the compiler calls a value: `riskreg::Side::buy` where it is an enumerator, `(riskreg::Side)7` where it is none. So a test
/// meets every enumerator, also the next one that somebody adds and forgets to name. GCC and Clang say it alike.
template <auto value>
constexpr std::string_view spelled() {
    constexpr std::string_view begin = "value = ";
    std::string_view text = __PRETTY_FUNCTION__;
    text.remove_prefix(text.find(begin) + begin.size());
    text = text.substr(0, text.find_first_of(";]"));
    if (text.starts_with('(')) return {};
    return text.substr(text.rfind(':') + 1);
}

/// The enumerators of the first numbers by what the header calls them; empty where there is none.
template <class E, std::size_t... number>
constexpr auto spellings(std::index_sequence<number...>) {
    return std::array<std::string_view, sizeof...(number)>{spelled<static_cast<E>(number)>()...};
}

/// `new_` is "new", `kPendingCancel` is "pending_cancel".
std::string name_of_spelling(std::string_view spelling) {
    std::string name;
    for (const char c : spelling.substr(spelling.size() > 1 && spelling[0] == 'k' && std::isupper(spelling[1]) != 0 ? 1 : 0)) {
        if (std::isupper(c) != 0 && !name.empty()) name += '_';
        name += static_cast<char>(std::tolower(c));
    }
    if (name.ends_with('_')) name.pop_back();
    return name;
}

template <class E>
void check_list() {
    const auto names = base::names_of<E>();
    for (std::size_t i = 0; i < names.size(); ++i) {
        INFO(names[i].text);
        CHECK(base::value_named<E>(names[i].text) == names[i].value);
        CHECK((i == 0 || names[i - 1].value < names[i].value));
    }
}

/// `end`: a number above every enumerator. What is 0 may be without a name: it stands for nothing.
template <class E, std::size_t end>
void check_names() {
    static const auto all = spellings<E>(std::make_index_sequence<end>{});
    std::size_t named = 0;
    for (std::size_t number = 0; number < end; ++number) {
        const std::string_view name = base::text_of(static_cast<E>(number), {});
        INFO(number << " " << all[number]);
        if (number == 0 && name.empty()) continue;
        CHECK(name == name_of_spelling(all[number]));
        named += name.empty() ? 0 : 1;
    }
    CHECK(named == base::names_of<E>().size());
    CHECK(all[end - 1].empty());
    check_list<E>();
}

}  // namespace

TEST_CASE("every enumerator has its own name, which is what the header calls it", "[base]") {
    check_names<Side, 16>();
    check_names<OrderType, 16>();
    check_names<TimeInForce, 16>();
    check_names<OrderBase, 64>();
    check_names<OrderStatus, 64>();
    check_names<TradingState, 16>();
    check_names<OnDeath, 16>();
    check_names<Result, 32>();
    check_names<DenyReason, 1600>();
    check_names<Unit, 32>();
    check_names<HostRank, 16>();
    check_names<PersistenceMode, 16>();
    check_names<ReservePrice, 16>();
    check_names<SelfMatch, 16>();
    check_names<SelfMatchGroup, 16>();
    check_names<GrossMethod, 16>();
    check_names<Durability, 16>();
    check_names<base::Sides, 16>();
    check_names<layout::ExecutionStatus, 16>();
    check_names<layout::ApprovalStatus, 16>();
    check_names<layout::SessionStatus, 16>();
    check_names<layout::EventType, 256>();
    check_names<layout::HostState, 16>();
    check_names<layout::Fault, 16>();
    check_names<persist::CheckpointSource, 16>();
    check_names<ReaderEnd, 16>();
    check_names<BreakKind, 16>();
    check_names<ReconcileMode, 16>();
    check_names<RecoverOutcome, 16>();
    check_names<registry::Health, 16>();
}

TEST_CASE("every flag of an order has its own name, which is what the header calls it", "[base]") {
    static constexpr auto all = []<std::size_t... bit>(std::index_sequence<bit...>) {
        return std::array<std::string_view, sizeof...(bit)>{spelled<static_cast<OrderFlag>(1U << bit)>()...};
    }(std::make_index_sequence<16>{});
    for (unsigned bit = 0; bit < all.size(); ++bit)
        CHECK(base::text_of(static_cast<OrderFlag>(1U << bit), {}) == name_of_spelling(all[bit]));
    check_list<OrderFlag>();
}

TEST_CASE("a value that is in no list has the name that stands for nothing", "[base]") {
    CHECK(name_of(Side::none) == "none");
    CHECK(name_of(static_cast<Side>(9)) == "none");
    CHECK(name_of(DenyReason::none) == "none");
    CHECK(name_of(static_cast<HostRank>(9)) == "unknown");
    CHECK(name_of(static_cast<ReaderEnd>(9)) == "unknown");
    CHECK(layout::name_of(layout::SessionStatus::free) == "free");
    CHECK(layout::name_of(static_cast<layout::EventType>(200)) == "unknown");
    CHECK_FALSE(base::value_named<Side>("none").has_value());
    CHECK_FALSE(base::value_named<OrderBase>("pending_cancel").has_value());
}

}  // namespace riskreg::test
