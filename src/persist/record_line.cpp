#include "persist/record_line.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <chrono>
#include <cstring>
#include <optional>

#include "base/decimal.hpp"
#include "base/wide.hpp"

namespace riskreg::persist {

namespace json = boost::json;

EntityNames::EntityNames(const core::State& state) : state_(state) {
    const auto fill = [](Map& map, const auto* records, std::uint32_t count) {
        for (std::uint32_t i = 0; i < count; ++i) map.emplace(records[i].id.view(), i);
    };
    fill(instruments, state.instrument_records, state.geometry.instruments);
    fill(accounts, state.account_records, state.geometry.accounts);
    fill(strategies, state.strategy_records, state.geometry.strategies);
}

// ---- text ---------------------------------------------------------------------------------------

namespace {

void append_padded(std::string& out, std::uint64_t value, std::size_t width) {
    char digits[20];
    for (std::size_t i = width; i-- > 0; value /= 10) digits[i] = static_cast<char>('0' + value % 10);
    out.append(digits, width);
}

bool read_digits(std::string_view text, std::size_t at, std::size_t width, std::int64_t& value) noexcept {
    value = 0;
    for (std::size_t i = at; i < at + width; ++i) {
        if (text[i] < '0' || text[i] > '9') return false;
        value = value * 10 + (text[i] - '0');
    }
    return true;
}

constexpr std::int64_t kSecond = 1'000'000'000;

}  // namespace

void append_time(std::string& out, std::int64_t ns) {
    using namespace std::chrono;
    std::int64_t seconds = ns / kSecond;
    std::int64_t fraction = ns % kSecond;
    if (fraction < 0) fraction += kSecond, seconds -= 1;
    const std::int64_t of_day = ((seconds % 86400) + 86400) % 86400;
    const year_month_day date{sys_days{days{(seconds - of_day) / 86400}}};
    append_padded(out, static_cast<std::uint64_t>(static_cast<int>(date.year())), 4);
    out += '-';
    append_padded(out, static_cast<unsigned>(date.month()), 2);
    out += '-';
    append_padded(out, static_cast<unsigned>(date.day()), 2);
    out += 'T';
    append_padded(out, static_cast<std::uint64_t>(of_day / 3600), 2);
    out += ':';
    append_padded(out, static_cast<std::uint64_t>(of_day / 60 % 60), 2);
    out += ':';
    append_padded(out, static_cast<std::uint64_t>(of_day % 60), 2);
    out += '.';
    append_padded(out, static_cast<std::uint64_t>(fraction), 9);
    out += 'Z';
}

bool parse_time(std::string_view text, std::int64_t& ns) noexcept {
    using namespace std::chrono;
    if (text.size() != 30) return false;
    std::int64_t year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, fraction = 0;
    const bool digits = read_digits(text, 0, 4, year) && read_digits(text, 5, 2, month) && read_digits(text, 8, 2, day) &&
                        read_digits(text, 11, 2, hour) && read_digits(text, 14, 2, minute) &&
                        read_digits(text, 17, 2, second) && read_digits(text, 20, 9, fraction);
    const bool marks = text[4] == '-' && text[7] == '-' && text[10] == 'T' && text[13] == ':' && text[16] == ':' &&
                       text[19] == '.' && text[29] == 'Z';
    if (!digits || !marks || hour > 23 || minute > 59 || second > 59) return false;
    const year_month_day date{std::chrono::year{static_cast<int>(year)}, std::chrono::month{static_cast<unsigned>(month)},
                              std::chrono::day{static_cast<unsigned>(day)}};
    if (!date.ok()) return false;
    const std::int64_t seconds = sys_days{date}.time_since_epoch().count() * 86400LL + hour * 3600 + minute * 60 + second;
    const base::Int128 whole = static_cast<base::Int128>(seconds) * kSecond + fraction;
    ns = static_cast<std::int64_t>(whole);
    return base::fits_int64(whole);
}

void append_decimal(std::string& out, std::int64_t value, int digits) {
    std::uint64_t size = base::magnitude(value);
    char text[32];
    char* at = text + sizeof text;
    char* end = at;
    bool significant = digits == 0;
    for (int i = 0; i < digits; ++i, size /= 10) {
        const auto digit = static_cast<char>('0' + size % 10);
        if (!significant && digit == '0') continue;
        significant = true;
        *--at = digit;
    }
    if (at != end) *--at = '.';
    do {
        *--at = static_cast<char>('0' + size % 10);
        size /= 10;
    } while (size > 0);
    if (value < 0) *--at = '-';
    out.append(at, end);
}

void append_string(std::string& out, std::string_view bytes) {
    static constexpr char digits[] = "0123456789abcdef";
    out += '"';
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte > 0x7E) {
            out += "\\u00";
            out += digits[byte >> 4];
            out += digits[byte & 15U];
            continue;
        }
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    out += '"';
}

// ---- reading ------------------------------------------------------------------------------------

/// Flattens one line into tokens. Names and results are those that Boost.JSON asks of a handler.
struct RecordReader::Handler {
    // NOLINTBEGIN(readability-identifier-naming)
    static constexpr std::size_t max_object_size = 256;
    static constexpr std::size_t max_array_size = 0;
    static constexpr std::size_t max_key_size = 64;
    static constexpr std::size_t max_string_size = 512;
    // NOLINTEND(readability-identifier-naming)

    RecordReader* to = nullptr;
    std::uint32_t key_at = 0, key_size = 0;
    std::uint32_t part_at = 0;
    bool in_part = false;

    bool add(Kind kind, std::uint32_t at, std::uint32_t size, std::uint64_t number, bool boolean) {
        to->tokens_.push_back({kind, boolean, key_at, key_size, at, size, number});
        key_at = key_size = 0;
        return true;
    }
    std::uint32_t keep(json::string_view text) {
        const auto at = static_cast<std::uint32_t>(to->arena_.size());
        to->arena_.append(text.data(), text.size());
        if (!in_part) part_at = at;
        in_part = true;
        return at;
    }
    /// The whole text, parts included.
    std::pair<std::uint32_t, std::uint32_t> take(json::string_view last) {
        keep(last);
        in_part = false;
        return {part_at, static_cast<std::uint32_t>(to->arena_.size()) - part_at};
    }
    bool refuse(json::error_code& error) {
        error = json::make_error_code(json::error::not_exact);
        return false;
    }

    bool on_document_begin(json::error_code&) { return true; }
    bool on_document_end(json::error_code&) { return true; }
    bool on_object_begin(json::error_code&) { return add(Kind::begin, 0, 0, 0, false); }
    bool on_object_end(std::size_t, json::error_code&) { return add(Kind::end, 0, 0, 0, false); }
    bool on_array_begin(json::error_code& error) { return refuse(error); }
    bool on_array_end(std::size_t, json::error_code& error) { return refuse(error); }
    bool on_key_part(json::string_view text, std::size_t, json::error_code&) { return keep(text), true; }
    bool on_key(json::string_view text, std::size_t, json::error_code&) {
        std::tie(key_at, key_size) = take(text);
        return true;
    }
    bool on_string_part(json::string_view text, std::size_t, json::error_code&) { return keep(text), true; }
    bool on_string(json::string_view text, std::size_t, json::error_code&) {
        const auto [at, size] = take(text);
        return add(Kind::string, at, size, 0, false);
    }
    bool on_number_part(json::string_view, json::error_code&) { return true; }
    bool on_int64(std::int64_t value, json::string_view, json::error_code& error) {
        return value < 0 ? refuse(error) : add(Kind::number, 0, 0, static_cast<std::uint64_t>(value), false);
    }
    bool on_uint64(std::uint64_t value, json::string_view, json::error_code&) { return add(Kind::number, 0, 0, value, false); }
    bool on_double(double, json::string_view, json::error_code& error) { return refuse(error); }
    bool on_bool(bool value, json::error_code&) { return add(Kind::boolean, 0, 0, 0, value); }
    bool on_null(json::error_code& error) { return refuse(error); }
    bool on_comment_part(json::string_view, json::error_code&) { return true; }
    bool on_comment(json::string_view, json::error_code&) { return true; }
};

struct RecordReader::Parser {
    json::basic_parser<Handler> parser{[] {
        json::parse_options options;
        options.max_depth = 4;
        return options;
    }()};
};

RecordReader::RecordReader(const EntityNames& names) : names_(names), parser_(std::make_unique<Parser>()) {}
RecordReader::~RecordReader() = default;

void RecordReader::parse(std::string_view line) {
    arena_.clear();
    tokens_.clear();
    next_ = 0;
    auto& parser = parser_->parser;
    parser.reset();
    parser.handler() = Handler{};
    parser.handler().to = this;
    json::error_code error;
    const std::size_t used = parser.write_some(false, line.data(), line.size(), error);
    if (error || used < line.size()) throw RecordError(error ? error.message() : std::string("text behind the record"));
}

void RecordReader::fail(std::string_view name, const char* what) { throw RecordError(std::string(name) + ": " + what); }

void RecordReader::expect(Kind kind) {
    if (next_ >= tokens_.size() || tokens_[next_].kind != kind) throw RecordError("not a record of this kind");
    ++next_;
}

void RecordReader::end_record() {
    if (next_ < tokens_.size() && tokens_[next_].kind == Kind::end) return void(++next_);
    if (next_ >= tokens_.size()) throw RecordError("ends too early");
    const Token& token = tokens_[next_];
    throw RecordError("unexpected member '" + arena_.substr(token.key_at, token.key_size) + "'");
}

const RecordReader::Token* RecordReader::take(std::string_view name, Kind kind) {
    if (next_ >= tokens_.size()) return nullptr;
    const Token& token = tokens_[next_];
    if (token.kind == Kind::end || token.key_size != name.size() ||
        std::memcmp(arena_.data() + token.key_at, name.data(), name.size()) != 0)
        return nullptr;
    if (token.kind != kind) fail(name, "a value of the wrong type");
    ++next_;
    return &token;
}

bool RecordReader::group(std::string_view name, bool) { return take(name, Kind::begin) != nullptr; }

bool RecordReader::read_decimal(std::string_view name, std::int64_t& value, int digits) {
    const Token* token = take(name, Kind::string);
    if (token == nullptr) return false;
    const std::string_view text = text_of(*token);
    const auto [parsed, error] = base::parse_decimal(text, digits);
    value = parsed;
    if (error == base::DecimalError::none) return true;
    // The lowest value has no positive counterpart, and the parser of commands refuses it; saturated counters hold it.
    if (text != base::format_decimal(base::kMinInt64, digits)) fail(name, "not a decimal of its type");
    value = base::kMinInt64;
    return true;
}

void RecordReader::time(std::string_view name, std::int64_t& ns, std::int64_t usual) {
    const Token* token = take(name, Kind::string);
    ns = usual;
    if (token != nullptr && !parse_time(text_of(*token), ns)) fail(name, "not a time");
}

namespace {

/// \u00XX came back as UTF-8 of one or two bytes: one byte each again. False: a character beyond a byte.
bool to_bytes(std::string_view text, std::string& out) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if (byte < 0x80) {
            out += text[i];
            continue;
        }
        if (byte > 0xC3 || i + 1 >= text.size()) return false;
        out +=
            static_cast<char>(static_cast<unsigned char>((byte & 3U) << 6 | (static_cast<unsigned char>(text[++i]) & 0x3FU)));
    }
    return true;
}

}  // namespace

void RecordReader::id(std::string_view name, base::FixedId& id) {
    id = {};
    const Token* token = take(name, Kind::string);
    if (token == nullptr) return;
    const std::string_view text = text_of(*token);
    if (base::is_valid_id(text)) return void(id = base::make_id(text));
    std::string bytes;
    if (!to_bytes(text, bytes) || bytes.empty() || bytes.size() > kMaxIdBytes) fail(name, "not an id");
    id = base::make_id(bytes);
}

void RecordReader::flag(std::string_view name, bool& value, bool usual) {
    const Token* token = take(name, Kind::boolean);
    value = token == nullptr ? usual : token->boolean;
}

void RecordReader::reason(std::string_view name, layout::Reason& reason) {
    reason = {};
    const Token* token = take(name, Kind::string);
    if (token == nullptr) return;
    std::string bytes;
    if (!to_bytes(text_of(*token), bytes) || bytes.size() > sizeof reason.text) fail(name, "too long");
    reason.size = static_cast<std::uint8_t>(bytes.size());
    std::memcpy(reason.text, bytes.data(), bytes.size());
}

bool RecordReader::read_text(std::string_view name, std::string_view& value) {
    const Token* token = take(name, Kind::string);
    if (token != nullptr) value = text_of(*token);
    return token != nullptr;
}

}  // namespace riskreg::persist
