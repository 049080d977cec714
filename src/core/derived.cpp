#include "core/derived.hpp"

#include "core/book.hpp"
#include "core/content.hpp"

namespace riskreg::core {

void rebuild_derived(State& state) noexcept {
    rebuild_books(state);
    rebuild_content(state);
    state.keeps_derived = true;
}

}  // namespace riskreg::core
