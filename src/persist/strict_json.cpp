#include "persist/strict_json.hpp"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <limits>
#include <unordered_set>

namespace riskreg::persist {

namespace json = boost::json;

const JsonValue* JsonValue::find(std::string_view key) const noexcept {
    for (const auto& [name, value] : members)
        if (name == key) return &value;
    return nullptr;
}

std::string JsonValue::shown() const {
    switch (kind) {
        case Kind::null: return "null";
        case Kind::boolean: return boolean ? "true" : "false";
        case Kind::number:
        case Kind::string: return text;
        case Kind::array: return "an array";
        case Kind::object: return "an object";
    }
    return {};
}

namespace {

/// Builds the tree from parser events. Names and results are those that Boost.JSON asks of a handler.
struct TreeHandler {
    // NOLINTBEGIN(readability-identifier-naming)
    static constexpr std::size_t max_object_size = 1U << 20;
    static constexpr std::size_t max_array_size = 1U << 20;
    static constexpr std::size_t max_key_size = 1U << 10;
    static constexpr std::size_t max_string_size = 1U << 20;
    // NOLINTEND(readability-identifier-naming)

    JsonValue root;
    std::string duplicate_key;
    std::vector<JsonValue*> open;
    std::vector<std::unordered_set<std::string>> keys;   // of each open object
    std::string part;
    std::string pending_key;

    JsonValue& place(JsonValue value) {
        if (open.empty()) return root = std::move(value);
        JsonValue& parent = *open.back();
        if (parent.kind == JsonValue::Kind::array) return parent.items.emplace_back(std::move(value));
        return parent.members.emplace_back(JsonMember{std::move(pending_key), std::move(value)}).value;
    }
    bool scalar(JsonValue::Kind kind, std::string text, bool boolean = false) {
        JsonValue value;
        value.kind = kind;
        value.text = std::move(text);
        value.boolean = boolean;
        place(std::move(value));
        return true;
    }
    bool begin(JsonValue::Kind kind) {
        JsonValue value;
        value.kind = kind;
        open.push_back(&place(std::move(value)));
        keys.emplace_back();
        return true;
    }
    bool end() {
        open.pop_back();
        keys.pop_back();
        return true;
    }
    std::string take(json::string_view last) {
        std::string whole = std::move(part);
        part.clear();
        return whole.append(last.data(), last.size());
    }
    bool keep(json::string_view text) {
        part.append(text.data(), text.size());
        return true;
    }

    bool on_document_begin(json::error_code&) { return true; }
    bool on_document_end(json::error_code&) { return true; }
    bool on_object_begin(json::error_code&) { return begin(JsonValue::Kind::object); }
    bool on_object_end(std::size_t, json::error_code&) { return end(); }
    bool on_array_begin(json::error_code&) { return begin(JsonValue::Kind::array); }
    bool on_array_end(std::size_t, json::error_code&) { return end(); }
    bool on_key_part(json::string_view text, std::size_t, json::error_code&) { return keep(text); }
    bool on_key(json::string_view text, std::size_t, json::error_code& error) {
        pending_key = take(text);
        if (keys.back().insert(pending_key).second) return true;
        duplicate_key = pending_key;
        error = json::make_error_code(json::error::extra_data);
        return false;
    }
    bool on_string_part(json::string_view text, std::size_t, json::error_code&) { return keep(text); }
    bool on_string(json::string_view text, std::size_t, json::error_code&) {
        return scalar(JsonValue::Kind::string, take(text));
    }
    bool on_number_part(json::string_view text, json::error_code&) { return keep(text); }
    bool on_int64(std::int64_t, json::string_view text, json::error_code&) {
        return scalar(JsonValue::Kind::number, take(text));
    }
    bool on_uint64(std::uint64_t, json::string_view text, json::error_code&) {
        return scalar(JsonValue::Kind::number, take(text));
    }
    bool on_double(double, json::string_view text, json::error_code&) { return scalar(JsonValue::Kind::number, take(text)); }
    bool on_bool(bool value, json::error_code&) { return scalar(JsonValue::Kind::boolean, {}, value); }
    bool on_null(json::error_code&) { return scalar(JsonValue::Kind::null, {}); }
    bool on_comment_part(json::string_view, json::error_code&) { return true; }
    bool on_comment(json::string_view, json::error_code&) { return true; }
};

}  // namespace

JsonResult parse_json(std::string_view text, std::size_t max_bytes) {
    if (text.size() > max_bytes) return {{}, "longer than " + std::to_string(max_bytes) + " bytes", {}};
    json::parse_options options;
    options.max_depth = kMaxJsonDepth;
    json::basic_parser<TreeHandler> parser(options);
    json::error_code error;
    const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
    if (!error && used < text.size()) error = json::make_error_code(json::error::extra_data);
    if (!error) return {std::move(parser.handler().root), {}, {}};
    const std::string& key = parser.handler().duplicate_key;
    const std::string problem = key.empty() ? error.message() : "key '" + key + "' is given twice";
    return {{}, problem + " at byte " + std::to_string(used), key};
}

void JsonWriter::separate() {
    if (!fresh_) text_ += ',';
    fresh_ = false;
}

JsonWriter& JsonWriter::open(char bracket) {
    separate();
    text_ += bracket;
    fresh_ = true;
    return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
    text_ += bracket;
    fresh_ = false;
    return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
    string(name);
    text_ += ':';
    fresh_ = true;
    return *this;
}

JsonWriter& JsonWriter::string(std::string_view value) {
    separate();
    text_ += '"';
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            text_ += '\\';
            text_ += c;
        } else if (byte < 0x20 || byte == 0x7F) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", byte);
            text_ += escaped;
        } else {
            text_ += c;
        }
    }
    text_ += '"';
    return *this;
}

JsonWriter& JsonWriter::number(std::uint64_t value) { return raw(std::to_string(value)); }
JsonWriter& JsonWriter::signed_number(std::int64_t value) { return raw(std::to_string(value)); }
JsonWriter& JsonWriter::boolean(bool value) { return raw(value ? "true" : "false"); }
JsonWriter& JsonWriter::null() { return raw("null"); }

JsonWriter& JsonWriter::raw(std::string_view json) {
    separate();
    text_ += json;
    return *this;
}

JsonWriter& JsonWriter::member_or_null(std::string_view name, std::string_view value) {
    return value.empty() ? key(name).null() : key(name).string(value);
}

JsonWriter& JsonWriter::member_time(std::string_view name, std::int64_t ns_since_epoch) {
    return member_or_null(name, ns_since_epoch == 0 ? std::string() : format_time(ns_since_epoch));
}

std::string hex_text(std::uint64_t value) {
    char text[20];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
    return text;
}

std::string format_time(std::int64_t ns_since_epoch) {
    // No calendar of the C library: it has a locale, and differs between systems.
    const std::chrono::sys_time<std::chrono::nanoseconds> time{std::chrono::nanoseconds(ns_since_epoch)};
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{time - day};
    char text[64];
    std::snprintf(text, sizeof text, "%d-%02u-%02uT%02d:%02d:%02d.%09lldZ", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                  static_cast<int>(clock.seconds().count()), static_cast<long long>(clock.subseconds().count()));
    return text;
}

namespace {

/// Takes `digits` digits off the front; -1 when they are not there.
int take_number(std::string_view& text, std::size_t digits) noexcept {
    if (text.size() < digits) return -1;
    int number = 0;
    for (const char c : text.substr(0, digits)) {
        if (c < '0' || c > '9') return -1;
        number = number * 10 + (c - '0');
    }
    text.remove_prefix(digits);
    return number;
}

bool take_char(std::string_view& text, char wanted) noexcept {
    if (text.empty() || text.front() != wanted) return false;
    text.remove_prefix(1);
    return true;
}

/// `.5` … `.123456789`, in nanoseconds; 0 when there is no fraction.
int take_fraction(std::string_view& text) noexcept {
    if (!take_char(text, '.')) return 0;
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits == 0 || digits > 9) return -1;
    int fraction = take_number(text, digits);
    for (std::size_t i = digits; i < 9; ++i) fraction *= 10;
    return fraction;
}

/// `T08:15:30.5Z` in nanoseconds of the day; -1 when it is not that.
std::int64_t take_clock(std::string_view& text) noexcept {
    if (!take_char(text, 'T')) return -1;
    const int hour = take_number(text, 2);
    const bool first = take_char(text, ':');
    const int minute = take_number(text, 2);
    const bool second = take_char(text, ':');
    const int seconds = take_number(text, 2);
    const int fraction = take_fraction(text);
    const bool in_range = hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && seconds >= 0 && seconds < 60 && fraction >= 0;
    if (!first || !second || !in_range || !take_char(text, 'Z')) return -1;
    return ((hour * 60LL + minute) * 60 + seconds) * 1'000'000'000 + fraction;
}

}  // namespace

std::optional<std::int64_t> parse_time(std::string_view text) noexcept {
    const int year = take_number(text, 4);
    const bool first = take_char(text, '-');
    const int month = take_number(text, 2);
    const bool second = take_char(text, '-');
    const int day = take_number(text, 2);
    if (!first || !second || year < 1970 || year > 2261 || month < 1 || day < 1) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok()) return std::nullopt;
    const std::int64_t clock = text.empty() ? 0 : take_clock(text);
    if (clock < 0 || !text.empty()) return std::nullopt;
    return std::chrono::sys_days(date).time_since_epoch().count() * 86'400'000'000'000LL + clock;
}

}  // namespace riskreg::persist
