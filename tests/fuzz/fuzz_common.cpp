#include "core/audit.hpp"
#include "core/genesis.hpp"
#include "core/order_view.hpp"
#include "fuzz/fuzz.hpp"
#include "persist/event_json.hpp"
#include "riskreg/error.hpp"

namespace riskreg::test {

namespace {
constexpr std::uint64_t kMostBytes = 8U << 20;
}

void read_everything(const core::State& state) {
    static_cast<void>(core::audit(state));
    static_cast<void>(core::digest(state));
    for (std::uint32_t slot = 0; slot < state.log->next_order; ++slot) {
        static_cast<void>(core::view_order(state, slot));
        const layout::OrderIdentity& identity = state.orders[slot].identity;
        static_cast<void>(core::find_head(state, identity.account, identity.id.view()));
    }
}

core::PrivateState small_tables(const std::string& config) {
    const SharedConfig parsed = parse_config(config);
    const layout::Geometry geometry = core::geometry_of(parsed, config.size());
    if (layout::offsets_of(geometry).size_bytes > kMostBytes) throw Error(Errc::no_space, "more than a fuzzer has");
    core::PrivateState tables = core::allocate_state(geometry);
    core::make_genesis(tables.state, parsed, config);
    return tables;
}

}  // namespace riskreg::test
