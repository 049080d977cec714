/// One record of a checkpoint as one line of JSON, both ways through one list of fields.
///
/// `RecordWriter` and `RecordReader` have the same members, so that a function template over either lists the fields of
/// a record once (checkpoint_fields.hpp). A field that has its usual value is left out; the reader then gives it that
/// value. Members come in the order of the list, and nothing else is accepted.
#pragma once

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/fixed_id.hpp"
#include "base/names.hpp"
#include "core/state.hpp"

namespace riskreg::persist {

/// What is wrong with a record. Stays inside `persist`.
class RecordError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Ids of instruments, accounts and strategies to their numbers; built once, then read by many.
class EntityNames {
public:
    explicit EntityNames(const core::State& state);
    [[nodiscard]] const core::State& state() const noexcept { return state_; }
    using Map = std::unordered_map<std::string_view, std::uint32_t>;
    Map instruments, accounts, strategies;

private:
    const core::State& state_;
};

void append_time(std::string& out, std::int64_t ns);
/// Exactly what append_time writes. False when it is not.
[[nodiscard]] bool parse_time(std::string_view text, std::int64_t& ns) noexcept;
void append_decimal(std::string& out, std::int64_t value, int digits);
/// Printable ASCII as it is; every other byte as \u00XX, so that any bytes come back as they were.
void append_string(std::string& out, std::string_view bytes);

class RecordWriter {
public:
    static constexpr bool reads = false;
    RecordWriter(std::string& out, const EntityNames& names) : out_(out), names_(names) {}

    void begin_record() {
        out_ += '{';
        fresh_ = true;
    }
    void end_record() { out_ += '}'; }
    bool group(std::string_view name, bool wanted) {
        if (!wanted) return false;
        key(name);
        begin_record();
        return true;
    }
    void end_group() {
        end_record();
        fresh_ = false;
    }

    template <class T>
    void number(std::string_view name, T& value, T usual) {
        if (value == usual) return;
        key(name);
        char digits[24];
        const auto end = std::to_chars(digits, digits + sizeof digits, static_cast<std::uint64_t>(value)).ptr;
        out_.append(digits, end);
    }
    void decimal(std::string_view name, std::int64_t& value, int digits, std::int64_t usual) {
        if (value != usual) always_decimal(name, value, digits);
    }
    void always_decimal(std::string_view name, std::int64_t& value, int digits) {
        key(name);
        out_ += '"';
        append_decimal(out_, value, digits);
        out_ += '"';
    }
    /// Written when `present`, whatever the value.
    void optional_decimal(std::string_view name, std::int64_t& value, bool& present, int digits) {
        if (present) always_decimal(name, value, digits);
    }
    void time(std::string_view name, std::int64_t& ns, std::int64_t usual) {
        if (ns == usual) return;
        key(name);
        out_ += '"';
        append_time(out_, ns);
        out_ += '"';
    }
    void id(std::string_view name, base::FixedId& id) {
        if (!id.empty()) text(name, id.view());
    }
    void flag(std::string_view name, bool& value, bool usual) {
        if (value == usual) return;
        key(name);
        out_ += value ? "true" : "false";
    }
    template <class E>
    void choice(std::string_view name, E& value, E usual) {
        if (value == usual) return;
        if (const std::string_view known = base::text_of(value, {}); !known.empty()) return text(name, known);
        key(name);
        out_ += std::to_string(static_cast<unsigned>(value));
    }
    void reason(std::string_view name, layout::Reason& reason) {
        if (reason.size != 0) text(name, {reason.text, std::min<std::size_t>(reason.size, sizeof reason.text)});
    }
    template <class T>
    void entity(std::string_view name, T& index, const EntityNames::Map& map) {
        const core::State& s = names_.state();
        const std::size_t i = index;
        if (&map == &names_.instruments && i < s.geometry.instruments) return text(name, s.instrument_records[i].id.view());
        if (&map == &names_.accounts && i < s.geometry.accounts) return text(name, s.account_records[i].id.view());
        if (&map == &names_.strategies && i < s.geometry.strategies) return text(name, s.strategy_records[i].id.view());
    }
    void text(std::string_view name, std::string_view value) {
        key(name);
        append_string(out_, value);
    }
    [[nodiscard]] const EntityNames& names() const noexcept { return names_; }

private:
    void key(std::string_view name) {
        if (!fresh_) out_ += ',';
        fresh_ = false;
        out_ += '"';
        out_ += name;
        out_ += "\":";
    }
    std::string& out_;
    const EntityNames& names_;
    bool fresh_ = true;
};

class RecordReader {
public:
    static constexpr bool reads = true;
    explicit RecordReader(const EntityNames& names);
    ~RecordReader();
    RecordReader(const RecordReader&) = delete;
    RecordReader& operator=(const RecordReader&) = delete;

    /// Parses one line. Throws RecordError.
    void parse(std::string_view line);

    void begin_record() { expect(Kind::begin); }
    void end_record();
    bool group(std::string_view name, bool wanted);
    void end_group() { end_record(); }

    template <class T>
    void number(std::string_view name, T& value, T usual) {
        const Token* token = take(name, Kind::number);
        if (token == nullptr) return void(value = usual);
        value = static_cast<T>(token->number);
        if (static_cast<std::uint64_t>(value) != token->number) fail(name, "out of range");
    }
    void decimal(std::string_view name, std::int64_t& value, int digits, std::int64_t usual) {
        if (!read_decimal(name, value, digits)) value = usual;
    }
    void always_decimal(std::string_view name, std::int64_t& value, int digits) {
        if (!read_decimal(name, value, digits)) fail(name, "missing");
    }
    void optional_decimal(std::string_view name, std::int64_t& value, bool& present, int digits) {
        present = read_decimal(name, value, digits);
    }
    void time(std::string_view name, std::int64_t& ns, std::int64_t usual);
    void id(std::string_view name, base::FixedId& id);
    void flag(std::string_view name, bool& value, bool usual);
    template <class E>
    void choice(std::string_view name, E& value, E usual) {
        value = usual;
        const Token* token = take(name, Kind::string);
        if (token == nullptr) return;
        const std::optional<E> known = base::value_named<E>(text_of(*token));
        if (!known) fail(name, "an unknown value");
        value = *known;
    }
    void reason(std::string_view name, layout::Reason& reason);
    template <class T>
    void entity(std::string_view name, T& index, const EntityNames::Map& map) {
        const Token* token = take(name, Kind::string);
        if (token == nullptr) fail(name, "missing");
        const auto found = map.find(text_of(*token));
        if (found == map.end()) fail(name, "not configured");
        index = static_cast<T>(found->second);
    }
    /// False when it is not there.
    [[nodiscard]] bool read_text(std::string_view name, std::string_view& value);
    [[nodiscard]] const EntityNames& names() const noexcept { return names_; }

private:
    enum class Kind : std::uint8_t { begin, end, string, number, boolean };
    struct Token {
        Kind kind;
        bool boolean;
        std::uint32_t key_at, key_size;
        std::uint32_t at, size;
        std::uint64_t number;
    };
    struct Handler;
    struct Parser;
    [[noreturn]] static void fail(std::string_view name, const char* what);
    void expect(Kind kind);
    [[nodiscard]] const Token* take(std::string_view name, Kind kind);
    [[nodiscard]] bool read_decimal(std::string_view name, std::int64_t& value, int digits);
    [[nodiscard]] std::string_view text_of(const Token& token) const noexcept { return {arena_.data() + token.at, token.size}; }

    const EntityNames& names_;
    std::string arena_;
    std::vector<Token> tokens_;
    std::size_t next_ = 0;
    std::unique_ptr<Parser> parser_;
};

}  // namespace riskreg::persist
