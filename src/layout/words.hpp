/// Shared memory as 8-byte words: every access that a lock-free reader can meet is a relaxed atomic word.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace riskreg::layout {

/// A word of any record. may_alias: records are structs, and copying them word by word must not be
/// undone by type-based optimisation.
using Word = std::uint64_t __attribute__((may_alias));

template <class T>
concept Record = std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T> && sizeof(T) % 8 == 0 && alignof(T) >= 8;

[[nodiscard]] inline std::uint64_t load_relaxed(const std::uint64_t& word) noexcept {
    return __atomic_load_n(&word, __ATOMIC_RELAXED);
}
[[nodiscard]] inline std::uint64_t load_acquire(const std::uint64_t& word) noexcept {
    return __atomic_load_n(&word, __ATOMIC_ACQUIRE);
}
inline void store_relaxed(std::uint64_t& word, std::uint64_t value) noexcept {
    __atomic_store_n(&word, value, __ATOMIC_RELAXED);
}
inline void store_release(std::uint64_t& word, std::uint64_t value) noexcept {
    __atomic_store_n(&word, value, __ATOMIC_RELEASE);
}
inline void fence_release() noexcept { __atomic_thread_fence(__ATOMIC_RELEASE); }
inline void fence_acquire() noexcept { __atomic_thread_fence(__ATOMIC_ACQUIRE); }

template <Record T>
inline void copy_words_in(T& shared, const T& value, std::size_t from_word = 0) noexcept {
    auto* to = reinterpret_cast<Word*>(&shared);
    const auto* from = reinterpret_cast<const Word*>(&value);
    for (std::size_t i = from_word; i < sizeof(T) / 8; ++i) __atomic_store_n(to + i, from[i], __ATOMIC_RELAXED);
}

template <Record T>
inline void copy_words_out(T& value, const T& shared) noexcept {
    auto* to = reinterpret_cast<Word*>(&value);
    const auto* from = reinterpret_cast<const Word*>(&shared);
    for (std::size_t i = 0; i < sizeof(T) / 8; ++i) to[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
}

}  // namespace riskreg::layout
