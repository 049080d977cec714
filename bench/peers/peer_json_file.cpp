// The way of the day: a dictionary in each process, a lock file, and the whole state written anew as JSON for every order.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <stdexcept>

#include "base/descriptor.hpp"
#include "make_peers.hpp"

namespace riskreg::bench::peers {

namespace {

namespace json = boost::json;

class File {
public:
    File(const std::string& path, int flags) : descriptor_(base::open_path(path, flags, 0600, base::Kept::by_children_too)) {
        if (!descriptor_.is_open()) throw std::runtime_error("json_file: cannot open " + path);
    }
    operator int() const noexcept { return descriptor_.get(); }

private:
    base::Descriptor descriptor_;
};

void require(bool ok, const char* what) {
    if (!ok) throw std::runtime_error(std::string("json_file: ") + what);
}

/// The file, and a lock file with the number of its version: who finds another number than his own reads the file again.
class Document {
public:
    Document(std::string dir, bool synced)
        : dir_(std::move(dir)), synced_(synced), lock_(dir_ + "/lock", O_RDWR | O_CREAT), folder_(dir_, O_RDONLY) {}

    /// Holds the lock file; the dictionary is the newest.
    class Locked {
    public:
        explicit Locked(Document& document) : document_(document) {
            require(::flock(document_.lock_, LOCK_EX) == 0, "flock");
            document_.refresh();
        }
        ~Locked() { ::flock(document_.lock_, LOCK_UN); }
        Locked(const Locked&) = delete;
        Locked& operator=(const Locked&) = delete;

    private:
        Document& document_;
    };

    json::object& orders() { return root_.at("orders").as_object(); }
    json::object& rows() { return root_.at("rows").as_object(); }

    /// Under the lock. The number first: after a crash in between the others read once more, in vain.
    void save() {
        ++version_;
        require(::pwrite(lock_, &version_, sizeof version_, 0) == sizeof version_, "write the version");
        write_new();
        require(::rename(new_path().c_str(), path().c_str()) == 0, "rename");
        if (synced_) require(::fsync(folder_) == 0, "fsync of the folder");
    }

private:
    [[nodiscard]] std::string path() const { return dir_ + "/state.json"; }
    [[nodiscard]] std::string new_path() const { return dir_ + "/state.json.new"; }

    void refresh() {
        std::uint64_t newest = 0;
        if (::pread(lock_, &newest, sizeof newest, 0) != sizeof newest || newest == version_) return;
        const File file(path(), O_RDONLY);
        struct stat facts {};
        require(::fstat(file, &facts) == 0, "stat");
        std::string text(static_cast<std::size_t>(facts.st_size), '\0');
        for (std::size_t done = 0; done < text.size();) {
            const ssize_t n = ::read(file, text.data() + done, text.size() - done);
            require(n > 0, "read");
            done += static_cast<std::size_t>(n);
        }
        root_ = json::parse(text).as_object();
        version_ = newest;
    }
    void write_new() const {
        const File file(new_path(), O_WRONLY | O_CREAT | O_TRUNC);
        json::serializer serializer;
        serializer.reset(&root_);
        std::vector<char> buffer(1 << 18);
        while (!serializer.done()) {
            const json::string_view part = serializer.read(buffer.data(), buffer.size());
            require(::write(file, part.data(), part.size()) == static_cast<ssize_t>(part.size()), "write");
        }
        if (synced_) require(::fsync(file) == 0, "fsync");
    }

    std::string dir_;
    bool synced_;
    File lock_, folder_;
    std::uint64_t version_ = 0;
    json::object root_ = {{"orders", json::object()}, {"rows", json::object()}};
};

std::string name_of_order(std::uint16_t account, std::string_view id) { return std::to_string(account).append("/").append(id); }

json::object to_json(const Order& o) {
    return {{"venue_id", o.venue_id},
            {"account", o.account},
            {"strategy", o.strategy},
            {"instrument", o.instrument},
            {"side", static_cast<int>(o.side)},
            {"type", static_cast<int>(o.type)},
            {"tif", static_cast<int>(o.tif)},
            {"state", static_cast<int>(o.state)},
            {"price", o.price},
            {"stop_price", o.stop_price},
            {"quantity", o.quantity},
            {"cum_quantity", o.cum_quantity},
            {"reserved_price", o.reserved_price},
            {"reserved_quantity", o.reserved_quantity},
            {"reserved_notional", o.reserved_notional},
            {"created_ns", o.created_ns},
            {"updated_ns", o.updated_ns},
            {"seq", o.seq},
            {"session", o.session},
            {"version", o.version},
            {"flags", o.flags}};
}

template <class Number>
Number number_at(const json::object& object, std::string_view name) {
    return object.at(name).to_number<Number>();
}

/// What a cancel and the check at the end need.
Order order_from(const json::object& o) {
    Order order{};
    order.account = number_at<std::uint16_t>(o, "account");
    order.strategy = number_at<std::uint16_t>(o, "strategy");
    order.instrument = number_at<std::uint32_t>(o, "instrument");
    order.side = static_cast<Side>(number_at<int>(o, "side"));
    order.state = static_cast<OrderBase>(number_at<int>(o, "state"));
    order.reserved_quantity = number_at<std::int64_t>(o, "reserved_quantity");
    order.reserved_notional = number_at<std::int64_t>(o, "reserved_notional");
    return order;
}

json::object to_json(const Row& row) {
    return {{"position", row.position},
            {"open_buy_quantity", row.open_buy_quantity},
            {"open_sell_quantity", row.open_sell_quantity},
            {"open_buy_notional", row.open_buy_notional},
            {"open_sell_notional", row.open_sell_notional},
            {"working_buy", row.working_buy},
            {"working_sell", row.working_sell}};
}

/// Counters of the file over the limits of the configuration.
void read_counters(const json::object& o, Row& row) {
    row.position = number_at<std::int64_t>(o, "position");
    row.open_buy_quantity = number_at<std::int64_t>(o, "open_buy_quantity");
    row.open_sell_quantity = number_at<std::int64_t>(o, "open_sell_quantity");
    row.open_buy_notional = number_at<std::int64_t>(o, "open_buy_notional");
    row.open_sell_notional = number_at<std::int64_t>(o, "open_sell_notional");
    row.working_buy = number_at<std::uint32_t>(o, "working_buy");
    row.working_sell = number_at<std::uint32_t>(o, "working_sell");
}

class JsonFileSession : public Session {
public:
    JsonFileSession(const std::string& dir, bool synced, const std::vector<Row>& limits)
        : document_(dir, synced), limits_(limits) {}

    Answer register_order(const Order& order) override {
        const Document::Locked locked(document_);
        const std::string name = name_of_order(order.account, order.id);
        if (document_.orders().contains(name)) return Answer::duplicate;
        const RowNumbers numbers = row_numbers(order);
        SixRows rows = read_rows(numbers);
        const Answer answer = judge_and_reserve(order, rows);
        if (answer != Answer::accepted) return answer;
        document_.orders()[name] = to_json(order);
        write_rows(numbers, rows);
        document_.save();
        return Answer::accepted;
    }
    Answer cancel(std::uint16_t account, std::string_view id) override {
        const Document::Locked locked(document_);
        json::value* const found = document_.orders().if_contains(name_of_order(account, id));
        if (found == nullptr) return Answer::unknown;
        json::object& stored = found->as_object();
        const Order order = order_from(stored);
        if (!is_live(order.state)) return Answer::unknown;
        const RowNumbers numbers = row_numbers(order);
        SixRows rows = read_rows(numbers);
        for (Row& row : rows) release(order, row);
        stored["state"] = static_cast<int>(OrderBase::canceled);
        stored["reserved_quantity"] = stored["reserved_notional"] = 0;
        write_rows(numbers, rows);
        document_.save();
        return Answer::accepted;
    }

private:
    SixRows read_rows(const RowNumbers& numbers) {
        SixRows rows;
        for (std::size_t k = 0; k < kRowsOfOrder; ++k) {
            rows[k] = limits_[numbers[k]];
            const json::value* const stored = document_.rows().if_contains(std::to_string(numbers[k]));
            if (stored != nullptr) read_counters(stored->as_object(), rows[k]);
        }
        return rows;
    }
    void write_rows(const RowNumbers& numbers, const SixRows& rows) {
        for (std::size_t k = 0; k < kRowsOfOrder; ++k) document_.rows()[std::to_string(numbers[k])] = to_json(rows[k]);
    }

    Document document_;
    const std::vector<Row>& limits_;
};

class JsonFilePeer : public Peer {
public:
    explicit JsonFilePeer(const Setup& setup) : dir_(setup.dir), synced_(setup.synced), limits_(rows_of(setup.config)) {}

    void load(const std::vector<Order>& orders, const std::vector<Row>& rows) override {
        Document document(dir_, synced_);
        const Document::Locked locked(document);
        for (const Order& order : orders) document.orders()[name_of_order(order.account, order.id)] = to_json(order);
        for (std::size_t number = 0; number < rows.size(); ++number)
            if (rows[number].working_buy + rows[number].working_sell != 0)
                document.rows()[std::to_string(number)] = to_json(rows[number]);
        document.save();
    }
    std::unique_ptr<Session> open(std::uint16_t) override { return std::make_unique<JsonFileSession>(dir_, synced_, limits_); }
    void visit_orders(const std::function<void(const Order&)>& visit) override {
        Document document(dir_, synced_);
        const Document::Locked locked(document);
        for (const auto& [name, order] : document.orders()) visit(order_from(order.as_object()));
    }
    void visit_rows(const std::function<void(std::uint32_t, const Row&)>& visit) override {
        Document document(dir_, synced_);
        const Document::Locked locked(document);
        for (const auto& [number, stored] : document.rows()) {
            Row row{};
            read_counters(stored.as_object(), row);
            visit(static_cast<std::uint32_t>(std::stoul(std::string(number))), row);
        }
    }

private:
    std::string dir_;
    bool synced_;
    std::vector<Row> limits_;   // each process has them from its configuration; the file holds what changes
};

}  // namespace

std::unique_ptr<Peer> make_json_file(const Setup& setup) { return std::make_unique<JsonFilePeer>(setup); }

}  // namespace riskreg::bench::peers
