#include "registry/host.hpp"

#include <algorithm>

#include "base/fixed_id.hpp"
#include "persist/config_json.hpp"
#include "riskreg/error.hpp"
#include "segment/process.hpp"

namespace riskreg::registry {

using namespace layout;
using persist::IoError;
using persist::IoKind;

void Host::beat() const noexcept {
    store_relaxed(state.marks->heartbeat_ns, static_cast<std::uint64_t>(segment::monotonic_ns()));
}

IoError Host::open_home(persist::Directory& out) const noexcept {
    if (const IoError error = persist::Directory::open(directory(), out)) return error;
    const bool same = out.identity() == home && out.is_current();
    return same ? IoError{} : IoError::of(IoKind::missing);
}

bool Host::learn_key() {
    if (key_known) return true;
    try {
        key = persist::resolve_key({}, parse_config(config).key_file);
        return key_known = true;
    } catch (const Error& error) {
        key_problem = error.what();
        return false;
    }
}

bool Host::is_destroyed() const noexcept { return core::is_in(state, SegmentState::destroyed); }

std::int64_t Backoff::next_ns() noexcept {
    constexpr std::int64_t kMs = 1'000'000;
    const std::int64_t whole = std::min<std::int64_t>(kMs << std::min(attempts_, 12U), 1000 * kMs);
    ++attempts_;
    random_ = base::mix(random_ + static_cast<std::uint64_t>(segment::monotonic_ns()));
    return whole / 2 + static_cast<std::int64_t>(random_ % static_cast<std::uint64_t>(whole / 2 + 1));
}

}  // namespace riskreg::registry
