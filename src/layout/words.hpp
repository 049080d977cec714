/// Shared memory as 8-byte words: every access that a lock-free reader can meet is a relaxed atomic word, or a copy of whole
/// records in blocks of two such words.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

// Two words at a time where the processor moves 16 bytes at once, and never splits one of the words. ThreadSanitizer knows
// nothing of that, and sees word by word.
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
#define RISKREG_WORD_PAIRS 1
#endif
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#undef RISKREG_WORD_PAIRS
#endif
#endif

static_assert(std::endian::native == std::endian::little, "the layout is little-endian");

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
/// For counts with one writer at a time.
inline void count_up(std::uint64_t& word) noexcept { store_relaxed(word, load_relaxed(word) + 1); }
/// For marks that only grow, whoever else moves them.
inline void raise_to(std::uint64_t& mark, std::uint64_t value) noexcept {
    std::uint64_t seen = load_relaxed(mark);
    while (seen < value && !__atomic_compare_exchange_n(&mark, &seen, value, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    }
}
inline void fence_release() noexcept { __atomic_thread_fence(__ATOMIC_RELEASE); }
inline void fence_acquire() noexcept { __atomic_thread_fence(__ATOMIC_ACQUIRE); }

/// A record's bytes as words. Records of the hot path have a `words_of`, by which they go from registers to shared memory: a
/// word that was put together in memory of smaller fields is not to be had before those are in the cache, which takes longer
/// than all the rest (measured, bench/README.md).
template <std::size_t Words>
using WordsOf = std::array<std::uint64_t, Words>;

template <class T>
concept HasWords = requires(const T& value) {
    { words_of(value) } -> std::same_as<WordsOf<sizeof(T) / 8>>;
};

/// `Words` words, from private memory to shared memory. Unrolled, so that the compiler stores what it has in registers.
template <std::size_t Words>
inline void copy_in(Word* to, const Word* from) noexcept {
    [&]<std::size_t... At>(std::index_sequence<At...>) __attribute__((always_inline)) {
        (__atomic_store_n(to + At, from[At], __ATOMIC_RELAXED), ...);
    }
    (std::make_index_sequence<Words>{});
}

#ifdef RISKREG_WORD_PAIRS
/// Two words at the alignment of one. A member, because clang forgets the alignment of a plain vector type when it
/// instantiates a template, and its code without optimisation then faults.
struct __attribute__((packed, aligned(8), may_alias)) WordPair {
    long long words __attribute__((vector_size(16)));
};
#endif

/// `Words` words, from shared memory to private memory.
template <std::size_t Words>
inline void copy_out(Word* to, const Word* from) noexcept {
    std::size_t at = 0;
#ifdef RISKREG_WORD_PAIRS
    // Volatile, so that no load is invented, left out or moved across the atomic words around it.
    for (; at + 2 <= Words; at += 2)
        reinterpret_cast<WordPair*>(to + at)->words = reinterpret_cast<const volatile WordPair*>(from + at)->words;
#endif
    for (; at < Words; ++at) to[at] = __atomic_load_n(from + at, __ATOMIC_RELAXED);
}

template <std::size_t FromWord = 0, Record T>
inline void copy_words_in(T& shared, const T& value) noexcept {
    auto* const to = reinterpret_cast<Word*>(&shared) + FromWord;
    if constexpr (HasWords<T>) {
        const auto words = words_of(value);
        copy_in<sizeof(T) / 8 - FromWord>(to, words.data() + FromWord);
    } else {
        copy_in<sizeof(T) / 8 - FromWord>(to, reinterpret_cast<const Word*>(&value) + FromWord);
    }
}

template <Record T>
inline void copy_words_out(T& value, const T& shared) noexcept {
    copy_out<sizeof(T) / 8>(reinterpret_cast<Word*>(&value), reinterpret_cast<const Word*>(&shared));
}

}  // namespace riskreg::layout
