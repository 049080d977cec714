// What of mapping.hpp is the same on every system: what the bytes of a segment say.
#include "segment/mapping.hpp"

#include <bit>
#include <cstring>
#include <filesystem>

#include "riskreg/error.hpp"
#include "segment/process.hpp"

namespace riskreg::segment {

using namespace layout;

std::string segment_name(const LockIdentity& lock, const std::string& name, std::uint64_t day) {
    return text_of({user_id(), lock.token[0], day, name});
}

std::string directory_in(const Mapping& mapping) {
    if (mapping.size_bytes() < kPage) return {};
    const char* text = reinterpret_cast<const char*>(mapping.base() + kDirectoryAt);
    return {text, ::strnlen(text, kDirectoryBytes)};
}

void write_directory(std::byte* base, const std::string& directory) {
    std::error_code ignored;
    const std::string path = std::filesystem::absolute(directory, ignored).string();
    std::memset(base + kDirectoryAt, 0, kDirectoryBytes);
    // A path that is cut would be another one.
    if (path.size() < kDirectoryBytes) std::memcpy(base + kDirectoryAt, path.data(), path.size());
}

bool is_unfinished(const Mapping& mapping) noexcept {
    const auto* header = reinterpret_cast<const Header*>(mapping.base());
    return mapping.size_bytes() < kPage || load_acquire(header->magic) == 0;
}

namespace {

/// The tables of a geometry may fill the mapping to the byte and yet be left: what is masked with a size that is no
/// power of two, or counted beyond 32 bits, leads behind them.
bool is_sound(const Geometry& g) noexcept {
    const auto holds_twice = [](std::uint64_t words, std::uint64_t entries) {
        return std::has_single_bit(words) && words >= 2 * entries;
    };
    const std::uint64_t owners = std::uint64_t{g.accounts} + g.strategies;
    const bool countable =
        owners < (1U << 31) && g.instruments < (1U << 31) && 1 + owners + g.instruments + owners * g.instruments == g.rows();
    const std::uint64_t sides = 2ULL * g.instruments;  // of one group
    const bool grouped = g.book_sides == 1 || g.book_sides == sides || g.book_sides == sides * g.accounts;
    return countable && grouped && holds_twice(g.order_index, g.orders) && holds_twice(g.execution_index, g.executions) &&
           holds_twice(g.quarantine_index, g.quarantine) && std::has_single_bit(g.content_index) &&
           std::has_single_bit(g.book_nodes) && std::has_single_bit(g.ring_events);
}

}  // namespace

void require_fitting(const Mapping& mapping, const LockIdentity& lock, const std::string& name, bool adopting) {
    if (mapping.owner_uid() != user_id())
        throw Error(Errc::foreign, "the segment of '" + name + "' belongs to user " + std::to_string(mapping.owner_uid()) +
                                       ", this process runs as " + std::to_string(user_id()) + ": run it as that user");
    if ((mapping.mode() & 077U) != 0)
        throw Error(Errc::foreign,
                    "the segment of '" + name +
                        "' is open to other users (mode is not 0600): somebody changed it; destroy and create it anew");
    if (is_unfinished(mapping))
        throw Error(Errc::missing,
                    "the segment of '" + name + "' is not finished: its creator is at work or died; attach again");
    const auto& header = *reinterpret_cast<const Header*>(mapping.base());
    if (header.magic != kMagic)
        throw Error(Errc::damaged, "the segment of '" + name + "' does not begin with riskreg's magic: damaged");
    if (header.layout_version != kLayoutVersion || header.layout_hash != layout_hash())
        throw Error(Errc::foreign,
                    "the segment of '" + name + "' has layout version " + std::to_string(header.layout_version) +
                        ", this build has " + std::to_string(kLayoutVersion) +
                        ": write a checkpoint with the build that created it, destroy the registry with that build, "
                        "and take the checkpoint over with `riskctl migrate`");
    if (offsets_of(header.geometry).size_bytes != mapping.size_bytes())
        throw Error(Errc::damaged, "the segment of '" + name + "' has " + std::to_string(mapping.size_bytes()) +
                                       " bytes, its header says " + std::to_string(offsets_of(header.geometry).size_bytes) +
                                       ": damaged");
    if (!is_sound(header.geometry))
        throw Error(Errc::damaged, "the segment of '" + name + "' has tables of sizes that no build makes: damaged");
    if (header.lock_token[0] != lock.token[0] || header.lock_token[1] != lock.token[1])
        throw Error(Errc::damaged, "the segment of '" + name + "' holds another token than its name and LOCK: damaged");
    // Memory does not outlive a boot, so this is no segment of an earlier one.
    const auto boot = boot_id();
    if (std::memcmp(header.boot_id, boot.data(), boot.size()) != 0)
        throw Error(Errc::damaged, "the segment of '" + name + "' says that it is of another boot of this host: damaged");
    if (!adopting && header.pid_namespace != pid_namespace())
        throw Error(Errc::foreign, "the processes attached to '" + name +
                                       "' run in another PID namespace: robust locks do not work across them. "
                                       "Start this process in the same one (containers: --pid=host)");
}

}  // namespace riskreg::segment
