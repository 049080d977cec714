#include "core/derived.hpp"

#include "core/book.hpp"
#include "core/content.hpp"
#include "core/meter.hpp"

namespace riskreg::core {

void rebuild_derived(State& state) noexcept {
    rebuild_books(state);
    rebuild_content(state);
    state.keeps_derived = true;
}

namespace {

bool compare(const State& live, State& anew, const std::function<void(std::string)>& report) {
    DerivedCheck check(live, anew, report);
    check_books(check);
    check_content(check);
    check_times(check);
    return check.complete();
}

/// A view of somebody's records with derived tables of its own.
class OwnDerived {
public:
    explicit OwnDerived(const State& state)
        : view_(state),
          status_(*state.status),
          heads_(state.geometry.book_sides),
          nodes_(state.geometry.book_nodes),
          content_(state.geometry.content_index) {
        view_.status = &status_;
        view_.book_heads = heads_.data();
        view_.book_nodes = nodes_.data();
        view_.content_index = content_.data();
        rebuild_derived(view_);
    }
    [[nodiscard]] State& view() noexcept { return view_; }

private:
    State view_;
    layout::StatusWords status_;
    std::vector<std::uint64_t> heads_;
    std::vector<layout::BookNode> nodes_;
    std::vector<std::uint64_t> content_;
};

}  // namespace

bool check_derived(const State& live, State& copy, const std::function<void(std::string)>& report) {
    rebuild_derived(copy);
    rebuild_times(copy, live);
    return compare(live, copy, report);
}

void check_derived(const State& state, const std::function<void(std::string)>& report) {
    OwnDerived own(state);
    compare(state, own.view(), report);
}

}  // namespace riskreg::core
