/// The bytes of a LOCK file, and the calls that lifecycle.cpp leaves to each system.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/fixed_id.hpp"
#include "segment/lifecycle.hpp"

namespace riskreg::segment {

inline constexpr std::uint64_t kLockMagic = 0x314B434F4C525352ULL;   // "RSRLOCK1"

/// The content of LOCK: the token, and what is known of the memory. One sector, written whole.
struct LockContent {
    std::array<std::uint64_t, 2> token;
    std::uint64_t magic;
    std::uint64_t stage;
    MemoryPlace place;
    std::uint64_t epoch;
    std::uint64_t check;   // over all that stands before

    [[nodiscard]] std::uint64_t sum() const noexcept {
        std::array<std::uint64_t, 9> words{};
        std::memcpy(words.data(), this, sizeof words);
        std::uint64_t sum = 0;
        for (const std::uint64_t word : words) sum = base::mix(sum + word);
        return sum;
    }
};
static_assert(sizeof(LockContent) == 80 && sizeof(MemoryPlace) == 32);

struct LockFacts {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
};

/// Throws what `error`, a number of errno, is to us.
[[noreturn]] void fail(const std::string& doing, int error);
[[noreturn]] void fail_by_errno(const std::string& doing);

/// Throws Error{system}.
[[nodiscard]] LockFacts facts_of_lock(const base::Descriptor& lock, const std::string& path);
/// From the beginning; how many there were, -1: errno says why.
[[nodiscard]] std::int64_t read_lock(const base::Descriptor& lock, void* bytes, std::size_t size) noexcept;
/// Over the beginning, and on disk. Throws Error{system, permission}.
void write_lock(const base::Descriptor& lock, const std::string& path, const void* bytes, std::size_t size);

}  // namespace riskreg::segment
