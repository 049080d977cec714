#include "riskctl/venue_file.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <set>
#include <tuple>

#include "base/decimal.hpp"
#include "base/fixed_id.hpp"
#include "persist/strict_json.hpp"
#include "riskctl/command.hpp"
#include "riskctl/output.hpp"

namespace riskctl {

using namespace riskreg;
using persist::JsonValue;
using Kind = JsonValue::Kind;

namespace {

constexpr std::string_view kTimeForm = "a time in UTC like 2026-11-25T08:15:30Z or 2026-11-25T08:15:30.123Z";

[[noreturn]] void refuse(const std::string& place, const std::string& seen, const std::string& allowed) {
    throw Error(Errc::bad_input, place + ": seen " + seen + ", allowed: " + allowed);
}

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

/// One entry of a section with its place: `orders[2].` in JSON, `line 7: ` in CSV.
struct Entry {
    const JsonValue* value;
    std::string prefix;
    /// Without the mark that separates it from a field.
    [[nodiscard]] std::string place() const { return prefix.substr(0, prefix.find_last_not_of(".: ") + 1); }
};

/// Sections of a document, each an array of objects (its own key order is kept for messages).
struct Document {
    JsonValue root;
    std::vector<std::vector<std::size_t>> lines;   // CSV: line of each entry of each section

    [[nodiscard]] std::optional<std::vector<Entry>> section(std::string_view name) const {
        for (std::size_t m = 0; m < root.members.size(); ++m) {
            const auto& [key, value] = root.members[m];
            if (key != name) continue;
            if (!value.is(Kind::array)) refuse(key, value.shown(), "an array");
            std::vector<Entry> entries;
            for (std::size_t i = 0; i < value.items.size(); ++i) {
                const bool csv = m < lines.size();
                entries.push_back({&value.items[i],
                                   csv ? "line " + std::to_string(lines[m][i]) + ": " : key + "[" + std::to_string(i) + "]."});
                if (!value.items[i].is(Kind::object)) refuse(entries.back().place(), value.items[i].shown(), "an object");
            }
            return entries;
        }
        return std::nullopt;
    }
    void allow_only(std::initializer_list<std::string_view> known) const {
        std::vector<std::string_view> names(known);
        for (const auto& [key, value] : root.members)
            if (std::find(known.begin(), known.end(), key) == known.end()) refuse(key, "an unknown key", join(names, " "));
    }
};

Document parse_document(const std::string& text) {
    persist::JsonResult parsed = persist::parse_json(persist::without_mark(text), kMaxFileBytes);
    if (!parsed.duplicate_key.empty()) refuse(parsed.duplicate_key, "given twice", "once (" + parsed.error + ")");
    if (!parsed.error.empty()) throw Error(Errc::bad_input, "not a JSON document: " + parsed.error);
    if (!parsed.value.is(Kind::object)) refuse("document", parsed.value.shown(), "an object");
    return {std::move(parsed.value), {}};
}

/// The fields of one line; quotes hold commas, and a doubled quote stands for one.
std::vector<std::string> split_csv(std::string_view line, std::size_t number) {
    std::vector<std::string> fields(1);
    bool quotes = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        const bool doubled = quotes && c == '"' && i + 1 < line.size() && line[i + 1] == '"';
        if (doubled) fields.back() += line[++i];
        else if (c == '"' && (quotes || fields.back().empty())) quotes = !quotes;
        else if (c == ',' && !quotes) fields.emplace_back();
        else fields.back() += c;
    }
    if (quotes) refuse("line " + std::to_string(number), "a quote without its end", "fields on one line");
    return fields;
}

constexpr std::array<std::string_view, 12> kColumns = {"record",     "time", "account", "id",       "venue_id",     "exec_id",
                                                       "instrument", "side", "price",   "quantity", "cum_quantity", "status"};

/// Turns lines into the document that says the same in JSON.
class CsvReader {
public:
    Document read(const std::string& text) {
        document_.root.kind = Kind::object;
        std::string_view rest(text);
        for (std::size_t number = 1; !rest.empty(); ++number) {
            const std::size_t end = std::min(rest.find('\n'), rest.size());
            std::string_view line = rest.substr(0, end);
            rest.remove_prefix(std::min(end + 1, rest.size()));
            if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
            if (number == 1) read_header(split_csv(line, number));
            else if (!line.empty()) read_row(split_csv(line, number), number);
        }
        if (columns_.empty()) refuse("line 1", "nothing", "a header line that begins with 'record'");
        return std::move(document_);
    }

private:
    void read_header(const std::vector<std::string>& names) {
        static const std::vector<std::string_view> known(kColumns.begin(), kColumns.end());
        if (names.front() != "record") refuse("line 1", quoted(names.front()), "a first column 'record'");
        for (const std::string& name : names) {
            if (std::find(known.begin(), known.end(), name) == known.end() || name.empty())
                refuse("line 1", "the column " + quoted(name), join(known, " "));
            if (std::find(columns_.begin(), columns_.end(), name) != columns_.end())
                refuse("line 1", "the column " + quoted(name) + " a second time", "each column once");
            columns_.push_back(name);
        }
    }

    void read_row(const std::vector<std::string>& fields, std::size_t number) {
        const std::string place = "line " + std::to_string(number);
        if (fields.size() != columns_.size())
            refuse(place, std::to_string(fields.size()) + " fields", std::to_string(columns_.size()) + ", as in the header");
        JsonValue entry;
        entry.kind = Kind::object;
        for (std::size_t i = 1; i < fields.size(); ++i) {
            if (fields[i].empty()) continue;
            JsonValue value;
            value.kind = Kind::string;
            value.text = fields[i];
            entry.members.push_back({columns_[i], std::move(value)});
        }
        const std::string& record = fields.front();
        if (record == "time") return read_time(std::move(entry), place);
        if (record != "order" && record != "position" && record != "fill")
            refuse(place + ": record", quoted(record), "order, position, fill or time");
        const std::size_t section = section_of(record + "s");
        if (entry.members.empty()) return;   // says that the section is there
        document_.root.members[section].value.items.push_back(std::move(entry));
        document_.lines[section].push_back(number);
    }

    void read_time(JsonValue entry, const std::string& place) {
        if (entry.members.size() != 1 || entry.members.front().key != "time")
            refuse(place, "a time record with other fields, or without one", "the column 'time' alone");
        if (document_.root.find("time") != nullptr) refuse(place, "a second time record", "one");
        document_.root.members.push_back(std::move(entry.members.front()));
        document_.lines.emplace_back();
    }

    std::size_t section_of(const std::string& name) {
        auto& members = document_.root.members;
        for (std::size_t i = 0; i < members.size(); ++i)
            if (members[i].key == name) return i;
        JsonValue array;
        array.kind = Kind::array;
        members.push_back({name, std::move(array)});
        document_.lines.emplace_back();
        return members.size() - 1;
    }

    std::vector<std::string> columns_;
    Document document_;
};

/// The fields that both files have in common, resolved against the registry. Every value is quoted in full in an error.
class EntryReader {
public:
    EntryReader(const Entry& entry, const Reader& reader) : in_(*entry.value, entry.prefix), reader_(reader) {}

    [[nodiscard]] const CommandReader& raw() const noexcept { return in_; }

    [[nodiscard]] AccountId account() const {
        const std::string name = in_.string("account");
        const AccountId id = reader_.account(name);
        if (id == AccountId::none) in_.invalid("account", name, {"an account of the registry"});
        return id;
    }
    [[nodiscard]] InstrumentId instrument() const {
        const std::string name = in_.string("instrument");
        const InstrumentId id = reader_.instrument(name);
        if (id == InstrumentId::none) in_.invalid("instrument", name, {"an instrument of the registry"});
        return id;
    }
    [[nodiscard]] StrategyId strategy() const {
        const std::string name = in_.string("strategy");
        const StrategyId id = reader_.strategy(name);
        if (id == StrategyId::none) in_.invalid("strategy", name, {"a strategy of the registry"});
        return id;
    }
    [[nodiscard]] Price price() const {
        const auto value = in_.price("price");
        if (!value) in_.missing("price");
        return *value;
    }
    [[nodiscard]] Quantity signed_quantity() const {
        const auto value = in_.quantity("quantity");
        if (!value) in_.missing("quantity");
        return *value;
    }
    /// One of both at least.
    void ids(std::string& id, std::string& venue_id) const {
        id = in_.id_or_empty("id");
        venue_id = in_.id_or_empty("venue_id");
        if (id.empty() && venue_id.empty()) in_.missing("id");
    }

private:
    CommandReader in_;
    const Reader& reader_;
};

OrderStatus status_of(const CommandReader& in) {
    if (!in.has("status")) return OrderStatus::none;
    static constexpr std::array statuses = {
        OrderStatus::pending_new,  OrderStatus::new_,           OrderStatus::partially_filled, OrderStatus::suspended,
        OrderStatus::filled,       OrderStatus::canceled,       OrderStatus::rejected,         OrderStatus::expired,
        OrderStatus::done_for_day, OrderStatus::pending_cancel, OrderStatus::pending_replace};
    const std::string text = in.string("status");
    std::vector<std::string> allowed;
    for (const OrderStatus status : statuses) {
        if (text == name_of(status)) return status;
        allowed.emplace_back(name_of(status));
    }
    in.invalid("status", text, std::move(allowed));
}

VenueOrder read_venue_order(const Entry& entry, const Reader& reader) {
    const EntryReader in(entry, reader);
    const CommandReader& raw = in.raw();
    raw.allow_only({"id", "venue_id", "account", "instrument", "side", "price", "quantity", "cum_quantity", "status"});
    VenueOrder order;
    in.ids(order.id, order.venue_id);
    order.account = in.account();
    order.instrument = in.instrument();
    order.side = raw.side("side");
    order.price = in.price();
    order.quantity = raw.positive_quantity("quantity");
    const auto cum = raw.quantity("cum_quantity");
    if (!cum) raw.missing("cum_quantity");
    if (cum->value < 0 || *cum > order.quantity)
        raw.invalid("cum_quantity", raw.string("cum_quantity"), {"a decimal from 0 to the quantity"});
    order.cum_quantity = *cum;
    order.status = status_of(raw);
    if (order.status == OrderStatus::filled && order.cum_quantity != order.quantity)
        raw.invalid("status", "filled with " + raw.string("cum_quantity") + " of " + raw.string("quantity"),
                    {"filled when cum_quantity is the quantity"});
    return order;
}

VenuePosition read_venue_position(const Entry& entry, const Reader& reader) {
    const EntryReader in(entry, reader);
    in.raw().allow_only({"account", "instrument", "quantity", "price"});
    VenuePosition position;
    position.account = in.account();
    position.instrument = in.instrument();
    position.quantity = in.signed_quantity();
    position.price = in.raw().price("price");
    return position;
}

VenueFill read_venue_fill(const Entry& entry, const Reader& reader) {
    const EntryReader in(entry, reader);
    in.raw().allow_only({"id", "venue_id", "account", "exec_id", "instrument", "side", "price", "quantity"});
    VenueFill fill;
    in.ids(fill.id, fill.venue_id);
    fill.account = in.account();
    fill.exec_id = in.raw().id("exec_id");
    fill.instrument = in.instrument();
    fill.side = in.raw().side("side");
    fill.price = in.price();
    fill.quantity = in.raw().positive_quantity("quantity");
    return fill;
}

/// Keys that came before; a second one is refused at its place.
template <class Key>
class Once {
public:
    void take(const Entry& entry, Key key, const std::string& what) {
        if (!seen_.insert(std::move(key)).second) refuse(entry.place(), what + " a second time", "once in the file");
    }

private:
    std::set<Key> seen_;
};

using IdKey = std::tuple<AccountId, std::string>;

void read_venue_orders(const std::vector<Entry>& entries, const Reader& reader, VenueRecords& out) {
    Once<IdKey> ids, venue_ids;
    for (const Entry& entry : entries) {
        const VenueOrder& order = out.orders->emplace_back(read_venue_order(entry, reader));
        if (!order.id.empty()) ids.take(entry, {order.account, order.id}, "order " + quoted(order.id));
        if (!order.venue_id.empty())
            venue_ids.take(entry, {order.account, order.venue_id}, "venue_id " + quoted(order.venue_id));
    }
}

void read_venue_positions(const std::vector<Entry>& entries, const Reader& reader, VenueRecords& out) {
    Once<std::tuple<AccountId, InstrumentId>> rows;
    for (const Entry& entry : entries) {
        const VenuePosition& position = out.positions->emplace_back(read_venue_position(entry, reader));
        rows.take(entry, {position.account, position.instrument}, "this account and instrument");
    }
}

void read_venue_fills(const std::vector<Entry>& entries, const Reader& reader, VenueRecords& out) {
    Once<std::tuple<AccountId, std::string, std::string>> executions;
    for (const Entry& entry : entries) {
        const VenueFill& fill = out.fills->emplace_back(read_venue_fill(entry, reader));
        const std::string& order = fill.id.empty() ? fill.venue_id : fill.id;
        executions.take(entry, {fill.account, order, fill.exec_id}, "exec_id " + quoted(fill.exec_id) + " of this order");
    }
}

std::int64_t read_time(const Document& document) {
    const JsonValue* time = document.root.find("time");
    if (time == nullptr) refuse("time", "nothing", std::string(kTimeForm));
    // A day alone would make everything of that day newer.
    const bool has_clock = time->is(Kind::string) && time->text.find('T') != std::string::npos;
    const auto parsed = has_clock ? persist::parse_time(time->text) : std::nullopt;
    if (!parsed) refuse("time", quoted(time->shown()), std::string(kTimeForm));
    return *parsed;
}

/// Fields of CommandReader are reported as those of this file.
[[noreturn]] void refuse_field(const FieldError& error) {
    std::string allowed;
    for (const std::string& value : error.allowed) allowed.append(allowed.empty() ? "" : ", ").append(value);
    if (error.reason == "missing_field") refuse(error.field, "nothing", "this key is required");
    if (error.reason == "unknown_field") refuse(error.field, "an unknown key", allowed);
    refuse(error.field, quoted(error.observed), allowed);
}

VenueRecords read_venue(const Document& document, const Reader& reader) {
    document.allow_only({"time", "orders", "positions", "fills"});
    VenueRecords out;
    out.time_ns = read_time(document);
    if (const auto entries = document.section("orders")) out.orders.emplace(), read_venue_orders(*entries, reader, out);
    if (const auto entries = document.section("positions"))
        out.positions.emplace(), read_venue_positions(*entries, reader, out);
    if (const auto entries = document.section("fills")) out.fills.emplace(), read_venue_fills(*entries, reader, out);
    if (!out.orders && !out.positions && !out.fills)
        refuse("document", "neither orders nor positions nor fills", "at least one of them");
    return out;
}

// ---- load ----

/// The instruments as they were configured, in the order of their handles.
using Instruments = std::vector<InstrumentConfig>;

/// What the shape of an order must be (semantics: check 5), so that nothing is refused half-way.
void require_shape(const CommandReader& in, const OrderRequest& order, const InstrumentConfig& instrument) {
    const auto text = [](std::int64_t value, int digits) { return base::format_decimal(value, digits); };
    const Quantity least = instrument.min_quantity.value_or(instrument.lot);
    const bool too_many = instrument.max_quantity && order.quantity > *instrument.max_quantity;
    if (order.quantity.value % instrument.lot.value != 0 || order.quantity < least || too_many)
        in.invalid(
            "quantity", in.string("quantity"),
            {"multiples of " + text(instrument.lot.value, kQuantityDigits) + " from " + text(least.value, kQuantityDigits) +
             (instrument.max_quantity ? " to " + text(instrument.max_quantity->value, kQuantityDigits) : "")});
    for (const auto& [key, price] : {std::pair{"price", order.price}, std::pair{"stop_price", order.stop_price}})
        if (price && price->value % instrument.tick.value != 0)
            in.invalid(key, in.string(key), {"multiples of " + text(instrument.tick.value, kPriceDigits)});
}

LoadOrder read_load_order(const Entry& entry, const Reader& reader, const Instruments& instruments) {
    const EntryReader in(entry, reader);
    const CommandReader& raw = in.raw();
    raw.allow_only(
        {"id", "venue_id", "account", "strategy", "instrument", "side", "type", "tif", "price", "stop_price", "quantity"});
    LoadOrder order;
    order.place = entry.place();
    order.id = raw.id("id");
    order.venue_id = raw.id_or_empty("venue_id");
    order.strategy = in.strategy();
    OrderRequest& request = order.request;
    request.account = in.account();
    request.instrument = in.instrument();
    request.side = raw.side("side");
    request.type = raw.type("type");
    request.tif = raw.tif("tif");
    const bool limited = needs_price(request.type);
    const bool stops = needs_stop_price(request.type);
    request.price = raw.price("price");
    if (limited && !request.price) raw.missing("price");
    request.stop_price = raw.price("stop_price");
    if (stops && !request.stop_price) raw.missing("stop_price");
    if (!stops && request.stop_price) raw.invalid("stop_price", raw.string("stop_price"), {"none with this type"});
    if (!limited) request.price.reset();
    request.quantity = raw.positive_quantity("quantity");
    require_shape(raw, request, instruments.at(static_cast<std::size_t>(request.instrument)));
    return order;
}

LoadPosition read_load_position(const Entry& entry, const Reader& reader) {
    const EntryReader in(entry, reader);
    in.raw().allow_only({"account", "instrument", "strategy", "quantity", "price"});
    LoadPosition position;
    position.place = entry.place();
    position.account = in.account();
    position.instrument = in.instrument();
    if (in.raw().has("strategy")) position.strategy = in.strategy();
    if (position.strategy == reader.strategy("external")) position.strategy = StrategyId::none;
    position.quantity = in.signed_quantity();
    position.price = in.price();
    return position;
}

void write_value(persist::JsonWriter& out, const JsonValue& value) {
    switch (value.kind) {
        case Kind::null: out.null(); return;
        case Kind::boolean: out.boolean(value.boolean); return;
        case Kind::number: out.raw(value.text); return;
        case Kind::string: out.string(value.text); return;
        case Kind::array:
            out.begin_array();
            for (const JsonValue& item : value.items) write_value(out, item);
            out.end_array();
            return;
        case Kind::object:
            out.begin_object();
            for (const auto& [key, member] : value.members) write_value(out.key(key), member);
            out.end_object();
            return;
    }
}

/// Limits and the restricted list are read by the reader of the configuration, against the registry's own entities: they are
/// the same text with the same rules.
SharedConfig read_as_configuration(const Document& document, const Reader& reader) {
    const persist::JsonResult own = persist::parse_json(reader.config_json(), kMaxFileBytes);
    persist::JsonWriter out;
    out.begin_object();
    for (const std::string_view key : {"capacity", "instruments", "accounts", "strategies"})
        if (const JsonValue* value = own.value.find(key)) write_value(out.key(key), *value);
    out.member("self_match", "allow");
    for (const std::string_view key : {"limits", "restricted"})
        if (const JsonValue* value = document.root.find(key)) write_value(out.key(key), *value);
    try {
        return parse_config(out.end_object().text());
    } catch (const Error& error) {
        static constexpr std::string_view prefix = "configuration: ";
        const std::string what = error.what();
        throw Error(error.code(), what.starts_with(prefix) ? what.substr(prefix.size()) : what);
    }
}

LoadFile read_load(const Document& document, const Reader& reader) {
    document.allow_only({"positions", "limits", "restricted", "orders"});
    LoadFile out;
    SharedConfig config = read_as_configuration(document, reader);
    out.limits = std::move(config.limits);
    out.restricted = std::move(config.restricted);
    Once<std::tuple<AccountId, InstrumentId, StrategyId>> rows;
    for (const Entry& entry : document.section("positions").value_or(std::vector<Entry>{})) {
        const LoadPosition& position = out.positions.emplace_back(read_load_position(entry, reader));
        rows.take(entry, {position.account, position.instrument, position.strategy}, "this account, instrument and strategy");
    }
    Once<IdKey> ids, venue_ids;
    for (const Entry& entry : document.section("orders").value_or(std::vector<Entry>{})) {
        const LoadOrder& order = out.orders.emplace_back(read_load_order(entry, reader, config.instruments));
        ids.take(entry, {order.request.account, order.id}, "order " + quoted(order.id));
        if (!order.venue_id.empty())
            venue_ids.take(entry, {order.request.account, order.venue_id}, "venue_id " + quoted(order.venue_id));
    }
    return out;
}

}  // namespace

std::string read_bounded(const std::string& path) {
    if (path != "-") return read_file(path);
    std::string text;
    std::array<char, 65536> chunk{};
    while (std::cin.read(chunk.data(), chunk.size()) || std::cin.gcount() > 0) {
        text.append(chunk.data(), static_cast<std::size_t>(std::cin.gcount()));
        if (text.size() > kMaxFileBytes) throw Error(Errc::bad_input, "stdin: seen more than 64 MiB, allowed: a smaller file");
    }
    if (std::cin.bad()) throw Error(Errc::bad_input, std::string("cannot read stdin: ") + std::strerror(errno));
    return text;
}

LoadFile parse_load_file(const std::string& text, const Reader& reader) {
    try {
        return read_load(parse_document(text), reader);
    } catch (const FieldError& error) {
        refuse_field(error);
    }
}

VenueRecords parse_venue_file(const std::string& given, const Reader& reader) {
    const std::string text(persist::without_mark(given));
    // A JSON document of this kind begins with a brace; whatever else begins a JSON document is better explained by its reader.
    const std::size_t first = text.find_first_not_of(" \t\r\n");
    const bool csv = first != std::string::npos && text.compare(first, 6, "record") == 0;
    try {
        return read_venue(csv ? CsvReader().read(text) : parse_document(text), reader);
    } catch (const FieldError& error) {
        refuse_field(error);
    }
}

}  // namespace riskctl
