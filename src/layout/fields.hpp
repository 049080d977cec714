/// The fields of a record, listed once, under its struct:
///
///     RISKREG_FIELDS(RowAlerts, 32, 8, seq, levels, reserved_bytes);     // type, bytes, alignment, fields in their order
///
/// From the list follow the description of the layout (describe.cpp), the assert that every byte belongs to exactly one field,
/// the words of records that travel in registers (RISKREG_WORDS), and the name of the field in which two records differ.
#pragma once

#include <bit>
#include <cstring>
#include <string_view>

#include "layout/words.hpp"

namespace riskreg::layout {

struct Field {
    const char* name;
    std::size_t offset;
    std::size_t size;
};

/// What RISKREG_FIELDS says of T: its `name`, the `list` of its fields, and its `Members` for code that goes through them.
template <class T>
struct Fields;

template <auto... Member>
struct MemberList {};

template <class T>
concept Described = requires { Fields<T>::list; };

namespace detail {

/// Every byte of the record belongs to exactly one field of the list, in order.
template <std::size_t N>
constexpr bool covers(const Field (&fields)[N], std::size_t size) {
    std::size_t next = 0;
    for (const Field& field : fields) {
        if (field.offset != next) return false;
        next += field.size;
    }
    return next == size;
}

template <std::size_t N>
constexpr bool all_at_start(const Field (&fields)[N], std::size_t size) {
    for (const Field& field : fields)
        if (field.offset != 0 || field.size > size) return false;
    return true;
}

}  // namespace detail

// RISKREG_EACH(STEP, type, a, b, …) is STEP(type, a), STEP(type, b), …: a macro may name itself only through a further scan.
// One scan takes four fields and RISKREG_EXPAND makes sixteen of them, which is more than a record has fields.
#define RISKREG_EXPAND(...) RISKREG_EXPAND_4(RISKREG_EXPAND_4(RISKREG_EXPAND_4(RISKREG_EXPAND_4(__VA_ARGS__))))
#define RISKREG_EXPAND_4(...) RISKREG_EXPAND_1(RISKREG_EXPAND_1(RISKREG_EXPAND_1(RISKREG_EXPAND_1(__VA_ARGS__))))
#define RISKREG_EXPAND_1(...) __VA_ARGS__
#define RISKREG_NO_ARGUMENTS ()
#define RISKREG_EACH(...) RISKREG_EXPAND(RISKREG_EACH_1(__VA_ARGS__))
#define RISKREG_EACH_1(step, type, field, ...) step(type, field) __VA_OPT__(, RISKREG_EACH_2(step, type, __VA_ARGS__))
#define RISKREG_EACH_2(step, type, field, ...) step(type, field) __VA_OPT__(, RISKREG_EACH_3(step, type, __VA_ARGS__))
#define RISKREG_EACH_3(step, type, field, ...) step(type, field) __VA_OPT__(, RISKREG_EACH_4(step, type, __VA_ARGS__))
#define RISKREG_EACH_4(step, type, field, ...) \
    step(type, field) __VA_OPT__(, RISKREG_EACH_AGAIN RISKREG_NO_ARGUMENTS(step, type, __VA_ARGS__))
#define RISKREG_EACH_AGAIN() RISKREG_EACH_1

#define RISKREG_FIELD(type, field) \
    { #field, offsetof(type, field), sizeof(type::field) }
#define RISKREG_MEMBER(type, field) &type::field

/// What every record is: bytes that are copied, compared and hashed.
#define RISKREG_RECORD(type, bytes, alignment)                                                         \
    static_assert(sizeof(type) == (bytes) && alignof(type) == (alignment), #type " changed its size"); \
    static_assert(std::is_trivially_copyable_v<type> && std::is_standard_layout_v<type>);              \
    static_assert(std::has_unique_object_representations_v<type>, #type " has padding")

#define RISKREG_LIST(type, complete, ...)                                                 \
    template <>                                                                           \
    struct Fields<type> {                                                                 \
        static constexpr const char* name = #type;                                        \
        static constexpr Field list[] = {RISKREG_EACH(RISKREG_FIELD, type, __VA_ARGS__)}; \
        using Members = MemberList<RISKREG_EACH(RISKREG_MEMBER, type, __VA_ARGS__)>;      \
    };                                                                                    \
    static_assert(detail::complete(Fields<type>::list, sizeof(type)), "fields missing in " #type)

#define RISKREG_FIELDS(type, bytes, alignment, ...) \
    RISKREG_RECORD(type, bytes, alignment);         \
    RISKREG_LIST(type, covers, __VA_ARGS__)

/// The same for a union, whose members all begin at its first byte.
#define RISKREG_UNION(type, bytes, alignment, ...)                                                                \
    static_assert(sizeof(type) == (bytes) && alignof(type) == (alignment) && std::is_trivially_copyable_v<type>); \
    RISKREG_LIST(type, all_at_start, __VA_ARGS__)

namespace detail {

template <class T>
concept ByteArray = std::is_array_v<T> && sizeof(std::remove_extent_t<T>) == 1;

/// The bytes of a small array as one number, as the compiler loads them.
template <std::size_t Bytes>
using Number = std::conditional_t<Bytes == 2, std::uint16_t, std::conditional_t<Bytes == 4, std::uint32_t, std::uint64_t>>;

template <int At, class T>
constexpr std::uint64_t in_word(const T& value) noexcept;

template <int At, class T, std::size_t... I>
constexpr std::uint64_t elements_in_word(const T& array, std::index_sequence<I...>) noexcept {
    return (in_word<At + static_cast<int>(I * sizeof array[0])>(array[I]) | ...);
}

template <int At, class T, auto... Member, std::size_t... I>
constexpr std::uint64_t members_in_word(const T& record, MemberList<Member...>, std::index_sequence<I...>) noexcept {
    return (in_word<At + static_cast<int>(Fields<T>::list[I].offset)>(record.*Member) | ...);
}

/// What a value gives to a word whose first byte lies `At` bytes before its own. Everything is known when it is compiled: what
/// is left are the loads and shifts that one would write by hand.
template <int At, class T>
constexpr std::uint64_t in_word(const T& value) noexcept {
    constexpr int kBytes = sizeof(T);
    if constexpr (At >= 8 || At + kBytes <= 0) {
        return 0;
    } else if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
        static_assert(At >= 0 && At + kBytes <= 8);
        return std::uint64_t{static_cast<std::make_unsigned_t<T>>(value)} << 8 * At;
    } else if constexpr (ByteArray<T> && At >= 0 && At + kBytes <= 8 && std::has_single_bit(sizeof(T)) && kBytes > 1) {
        return std::uint64_t{std::bit_cast<Number<kBytes>>(value)} << 8 * At;
    } else if constexpr (Described<T>) {
        using Members = typename Fields<T>::Members;
        return members_in_word<At>(value, Members{}, std::make_index_sequence<std::size(Fields<T>::list)>{});
    } else {
        return elements_in_word<At>(value, std::make_index_sequence<kBytes / sizeof value[0]>{});
    }
}

}  // namespace detail

/// The bytes of a record as words, put together from its fields.
template <Described T>
[[nodiscard]] constexpr WordsOf<sizeof(T) / 8> words_from_fields(const T& record) noexcept {
    static_assert(sizeof(T) % 8 == 0);
    return [&]<std::size_t... I>(std::index_sequence<I...>) __attribute__((always_inline)) {
        return WordsOf<sizeof(T) / 8>{detail::in_word<-8 * static_cast<int>(I)>(record)...};
    }
    (std::make_index_sequence<sizeof(T) / 8>{});
}

/// For records of the hot path: copies of them go word by word, from registers (words.hpp says why).
#define RISKREG_WORDS(type)                                                                                                    \
    [[nodiscard]] inline WordsOf<sizeof(type) / 8> words_of(const type& record) noexcept { return words_from_fields(record); } \
    static_assert(HasWords<type>)

/// Name of the first field in which two records differ; empty when they are equal.
template <Described T>
[[nodiscard]] std::string_view first_difference(const T& a, const T& b) noexcept {
    if (std::memcmp(&a, &b, sizeof a) == 0) return {};
    const auto bytes_at = [](const T& record, std::size_t offset) { return reinterpret_cast<const char*>(&record) + offset; };
    for (const Field& field : Fields<T>::list)
        if (std::memcmp(bytes_at(a, field.offset), bytes_at(b, field.offset), field.size) != 0) return field.name;
    return {};
}

}  // namespace riskreg::layout
