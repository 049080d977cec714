#include "model/recorded.hpp"

#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <type_traits>

namespace riskreg::test {

namespace {

class Writer {
public:
    template <class T>
    void operator()(const T& value) {
        static_assert(std::is_trivially_copyable_v<T>);
        bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    }
    void operator()(const std::string& text) {
        (*this)(text.size());
        bytes_.append(text);
    }
    template <class T>
    void operator()(std::vector<T>& values);
    [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }

private:
    std::string bytes_;
};

class Reader {
public:
    explicit Reader(const std::string& bytes) : bytes_(bytes) {}
    template <class T>
    void operator()(T& value) {
        static_assert(std::is_trivially_copyable_v<T>);
        std::memcpy(static_cast<void*>(&value), take(sizeof value), sizeof value);
    }
    void operator()(std::string& text) {
        std::size_t size = 0;
        (*this)(size);
        text.assign(take(size), size);
    }
    template <class T>
    void operator()(std::vector<T>& values);

private:
    const char* take(std::size_t size) {
        if (size > bytes_.size() - at_) throw std::runtime_error("a recording is too short");
        at_ += size;
        return bytes_.data() + at_ - size;
    }
    const std::string& bytes_;
    std::size_t at_ = 0;
};

/// Every field, in one order for both directions.
template <class Visit>
void visit_each(Visit& visit, Command& c) {
    visit(c.op), visit(c.session), visit(c.now_ns), visit(c.steady_ns), visit(c.id), visit(c.new_id), visit(c.exec_id),
        visit(c.new_exec_id);
    visit(c.venue_id), visit(c.account), visit(c.instrument), visit(c.side), visit(c.type), visit(c.tif), visit(c.kind);
    visit(c.price), visit(c.stop_price), visit(c.quantity), visit(c.cum), visit(c.version), visit(c.reopened);
    visit(c.no_such_order), visit(c.scope), visit(c.to), visit(c.limits), visit(c.fields), visit(c.strategy);
    visit(c.time_ns), visit(c.time_steady_ns), visit(c.uid), visit(c.request), visit(c.alert_limit), visit(c.alert_level),
        visit(c.members);
    visit(c.entry.scope), visit(c.entry.reason), visit(c.entry.buy), visit(c.entry.sell), visit(c.entry.from_ns);
    visit(c.entry.to_ns);
}
template <class Visit>
void visit_each(Visit& visit, Verdict& verdict) {
    visit(verdict);
}
template <class Visit>
void visit_each(Visit& visit, Recorded& r) {
    visit_each(visit, r.command);
    visit(r.answers), visit(r.before), visit(r.after), visit(r.before_ns), visit(r.after_ns);
    visit(r.before_steady_ns), visit(r.after_steady_ns);
}

template <class T>
void Writer::operator()(std::vector<T>& values) {
    (*this)(values.size());
    for (T& value : values) visit_each(*this, value);
}
template <class T>
void Reader::operator()(std::vector<T>& values) {
    std::size_t size = 0;
    (*this)(size);
    for (; size > 0; --size) visit_each(*this, values.emplace_back());
}

}  // namespace

void write_records(const std::string& path, const std::vector<Recorded>& records) {
    std::vector<Recorded> copy = records;
    Writer writer;
    writer(copy);
    std::ofstream file(path, std::ios::binary);
    file.write(writer.bytes().data(), static_cast<std::streamsize>(writer.bytes().size()));
    file.close();
    if (!file) throw std::runtime_error("cannot write " + path);
}

std::vector<Recorded> read_records(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error("cannot read " + path);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    Reader reader(bytes);
    std::vector<Recorded> records;
    reader(records);
    return records;
}

}  // namespace riskreg::test
