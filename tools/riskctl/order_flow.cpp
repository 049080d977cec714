#include "riskctl/order_flow.hpp"

#include <fcntl.h>
#include <zlib.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <functional>
#include <memory>

#include "base/decimal.hpp"
#include "base/descriptor.hpp"
#include "base/fixed_id.hpp"
#include "base/names.hpp"
#include "persist/strict_json.hpp"
#include "riskreg/error.hpp"

namespace riskctl {

using namespace riskreg;

namespace {

constexpr std::size_t kMaxLine = 4096;

[[noreturn]] void refuse(std::uint64_t line, std::string_view field, std::string_view seen, std::string_view allowed) {
    throw Error(Errc::bad_input, "line " + std::to_string(line) + ": " + std::string(field) + ": seen '" + std::string(seen) +
                                     "', allowed: " + std::string(allowed));
}

/// Calls `take` with every line of the file; zlib reads plain files as they are.
void each_line(const std::string& path, const std::function<void(std::string_view, std::uint64_t)>& take) {
    base::Descriptor opened = base::open_path(path, O_RDONLY, 0, base::Kept::by_children_too);
    const int number = opened.is_open() ? base::release_to_runtime(std::move(opened)) : -1;
    gzFile file = number >= 0 ? ::gzdopen(number, "rb") : nullptr;   // which closes it
    if (file == nullptr) throw Error(Errc::bad_input, "cannot read " + path + ": " + std::strerror(errno));
    const auto close = [](gzFile f) { ::gzclose(f); };
    const std::unique_ptr<gzFile_s, decltype(close)> guard(file, close);
    ::gzbuffer(file, 1U << 17);
    char text[kMaxLine];
    std::uint64_t line = 0;
    z_off_t at = 0;   // of the text, not of the archive
    while (::gzgets(file, text, sizeof text) != nullptr) {
        ++line;
        std::string_view view(text);
        // zlib gives no length: behind a NUL byte the rest of a line would be lost, and a long line be taken for two.
        if (::gztell(file) - at != static_cast<z_off_t>(view.size())) refuse(line, "line", "a NUL byte", "text");
        at += static_cast<z_off_t>(view.size());
        if (view.size() + 1 == sizeof text && view.back() != '\n')
            refuse(line, "line", "more than 4095 bytes", "a shorter line");
        while (!view.empty() && (view.back() == '\n' || view.back() == '\r')) view.remove_suffix(1);
        take(view, line);
    }
    int error = Z_OK;
    const char* message = ::gzerror(file, &error);
    if (error != Z_OK && error != Z_STREAM_END) throw Error(Errc::bad_input, path + ": " + message);
}

std::vector<std::string_view> split(std::string_view line) {
    std::vector<std::string_view> fields;
    for (;;) {
        const std::size_t comma = line.find(',');
        fields.push_back(line.substr(0, comma));
        if (comma == std::string_view::npos) return fields;
        line.remove_prefix(comma + 1);
    }
}

std::int64_t whole(std::string_view text, std::uint64_t line, std::string_view field) {
    std::int64_t value = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || stop != text.data() + text.size()) refuse(line, field, text, "a whole number");
    return value;
}

std::string id_of(std::string_view text, std::uint64_t line, std::string_view field) {
    if (!base::is_valid_id(text)) refuse(line, field, text, "1 to 39 printable ASCII characters without spaces");
    return std::string(text);
}

Price price_of(std::string_view text, std::uint64_t line) {
    const auto [value, error] = base::parse_decimal(text, kPriceDigits);
    if (error != base::DecimalError::none) refuse(line, "price", text, base::describe(error));
    return Price{value};
}

Side side_of(std::string_view text, std::uint64_t line) {
    if (const auto side = base::value_named<Side>(text)) return *side;
    if (text.empty() || text == name_of(Side::none)) return Side::none;
    refuse(line, "side", text, "buy, sell or nothing");
}

FlowRow parse_row(const std::vector<std::string_view>& fields, std::uint64_t line) {
    FlowRow row;
    row.number = line - 1;   // behind the header
    const std::string_view action = fields[1];
    if (action == "A") row.action = FlowAction::add;
    else if (action == "M") row.action = FlowAction::modify;
    else if (action == "C") row.action = FlowAction::remove;
    else if (action == "F") row.action = FlowAction::fill;
    else refuse(line, "action", action, "A, M, C or F");
    row.side = side_of(fields[2], line);
    row.order_id = id_of(fields[3], line, "order_id");
    if (row.action == FlowAction::remove) return row;
    row.price = price_of(fields[4], line);
    row.lots = whole(fields[5], line, "size");
    if (row.lots <= 0) refuse(line, "size", fields[5], "a whole number greater than 0");
    if (row.action == FlowAction::add && row.side == Side::none) refuse(line, "side", fields[2], "buy or sell");
    return row;
}

FlowRow parse_lobster(const std::vector<std::string_view>& fields, std::uint64_t line, std::int64_t type) {
    static constexpr FlowAction actions[] = {FlowAction::add, FlowAction::reduce, FlowAction::remove, FlowAction::fill,
                                             FlowAction::hidden_fill};
    FlowRow row;
    row.number = line;
    row.action = actions[type - 1];
    row.order_id =
        row.action == FlowAction::hidden_fill ? "hidden-" + std::to_string(line) : id_of(fields[2], line, "order id");
    row.lots = whole(fields[3], line, "size");
    if (row.lots <= 0) refuse(line, "size", fields[3], "a whole number greater than 0");
    if (__builtin_mul_overflow(whole(fields[4], line, "price"), std::int64_t{100'000}, &row.price.value))
        refuse(line, "price", fields[4], "a smaller price");
    const std::int64_t direction = whole(fields[5], line, "direction");
    if (direction != 1 && direction != -1) refuse(line, "direction", fields[5], "1 or -1");
    row.side = direction == 1 ? Side::buy : Side::sell;
    return row;
}

}  // namespace

std::vector<FlowRow> read_order_flow(const std::string& path) {
    static constexpr std::string_view header = "ts_ns,action,side,order_id,price,size";
    std::vector<FlowRow> rows;
    bool has_header = false;
    each_line(path, [&](std::string_view text, std::uint64_t line) {
        if (line == 1) {
            text = persist::without_mark(text);
            if (text != header) refuse(line, "header", text, header);
            has_header = true;
            return;
        }
        if (text.empty()) return;
        const auto fields = split(text);
        if (fields.size() != 6) refuse(line, "fields", std::to_string(fields.size()), "6");
        rows.push_back(parse_row(fields, line));
    });
    if (!has_header) refuse(1, "header", "nothing", header);
    return rows;
}

std::vector<FlowRow> read_lobster(const std::string& path) {
    std::vector<FlowRow> rows;
    each_line(path, [&](std::string_view text, std::uint64_t line) {
        if (line == 1) text = persist::without_mark(text);
        if (text.empty()) return;
        const auto fields = split(text);
        if (fields.size() != 6)
            refuse(line, "fields", std::to_string(fields.size()), "6: time, type, order id, size, price, direction");
        const std::int64_t type = whole(fields[1], line, "type");
        if (type < 1 || type > 7) refuse(line, "type", fields[1], "1 to 7");
        if (type < 6) rows.push_back(parse_lobster(fields, line, type));
    });
    return rows;
}

}  // namespace riskctl
