/// JSON as untrusted input: duplicate keys are errors, numbers keep their text, depth and size are bounded.
/// And JSON as output: members in the order in which they were added.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace riskreg::persist {

struct JsonMember;

/// A parsed value. Numbers are kept as the text that stood in the input, so that nothing is rounded.
struct JsonValue {
    enum class Kind : std::uint8_t { null, boolean, number, string, array, object };
    Kind kind = Kind::null;
    bool boolean = false;
    std::string text;                                           ///< of a string or number
    std::vector<JsonValue> items;                               ///< of an array
    std::vector<JsonMember> members;  ///< of an object, in input order

    /// nullptr when there is no such member.
    [[nodiscard]] const JsonValue* find(std::string_view key) const noexcept;
    [[nodiscard]] bool is(Kind wanted) const noexcept { return kind == wanted; }
    /// What a message shows of a value that was not expected: `"text"`, `12`, `an object` …
    [[nodiscard]] std::string shown() const;
};

struct JsonMember {
    std::string key;
    JsonValue value;
};

struct JsonResult {
    JsonValue value;
    std::string error;           ///< empty when parsed
    std::string duplicate_key;   ///< the key, when that is the error
};

inline constexpr std::size_t kMaxJsonDepth = 16;

/// Parses one whole document of at most `max_bytes`.
/// Without the byte order mark that some editors put before a text; only where a text begins.
[[nodiscard]] constexpr std::string_view without_mark(std::string_view text) noexcept {
    constexpr std::string_view kMark = "\xEF\xBB\xBF";
    return text.substr(text.starts_with(kMark) ? kMark.size() : 0);
}

[[nodiscard]] JsonResult parse_json(std::string_view text, std::size_t max_bytes);

/// Writes one JSON object (or array) as text, on one line.
class JsonWriter {
public:
    JsonWriter& begin_object() { return open('{'); }
    JsonWriter& end_object() { return close('}'); }
    JsonWriter& begin_array() { return open('['); }
    JsonWriter& end_array() { return close(']'); }
    JsonWriter& key(std::string_view name);
    JsonWriter& string(std::string_view value);
    JsonWriter& number(std::uint64_t value);
    JsonWriter& signed_number(std::int64_t value);
    JsonWriter& boolean(bool value);
    JsonWriter& null();
    /// Text that is JSON already.
    JsonWriter& raw(std::string_view json);

    JsonWriter& member(std::string_view name, std::string_view value) { return key(name).string(value); }
    JsonWriter& member(std::string_view name, std::uint64_t value) { return key(name).number(value); }
    JsonWriter& member_bool(std::string_view name, bool value) { return key(name).boolean(value); }
    /// An empty text is null.
    JsonWriter& member_or_null(std::string_view name, std::string_view value);
    /// 0 is null: it has not happened.
    JsonWriter& member_time(std::string_view name, std::int64_t ns_since_epoch);
    /// An array of strings.
    template <class List>
    JsonWriter& member_list(std::string_view name, const List& values) {
        key(name).begin_array();
        for (const auto& value : values) string(value);
        return end_array();
    }

    [[nodiscard]] const std::string& text() const noexcept { return text_; }
    void clear() noexcept {
        text_.clear();
        fresh_ = true;
    }

private:
    JsonWriter& open(char bracket);
    JsonWriter& close(char bracket);
    void separate();
    std::string text_;
    bool fresh_ = true;   ///< no comma before the next value
};

/// `2026-11-22T08:15:30.123456789Z`
[[nodiscard]] std::string format_time(std::int64_t ns_since_epoch);

/// 16 digits: digests, epochs, hashes of blocks.
[[nodiscard]] std::string hex_text(std::uint64_t value);

/// The reverse: UTC, of the years 1970 to 2261, with at most nine digits of a second, or a date alone, which is its midnight.
/// Nothing when it is not one.
[[nodiscard]] std::optional<std::int64_t> parse_time(std::string_view text) noexcept;

}  // namespace riskreg::persist
