// Any bytes in the header of a segment that somebody is about to attach to. Refused with an Error, or everything can be read: no
// table may lie outside the mapping. An input is a run of (offset, value) with offsets of 16 bits into the first page; its first
// byte says how much of the file is left, for a file may be shorter than its header says.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "fuzz/fuzz.hpp"
#include "riskreg/error.hpp"

using namespace riskreg;

namespace {

constexpr std::size_t kPage = 4096;

/// One registry, whose bytes are put back after each input. By descriptor: a mapping of a file that is cut faults.
class Victim {
public:
    Victim() {
        Registry registry = place_.attach("s1");
        OrderRequest order;
        order.id = "O-1";
        order.account = registry.account("A1");
        order.instrument = registry.instrument("ES");
        order.side = Side::buy;
        order.price = Price{4'800'000'000'000};
        order.quantity = Quantity{100'000'000};
        test::promise(registry.check_and_register(order).accepted());
        file_ = ::open(("/dev/shm/" + place_.look().status().segment).c_str(), O_RDWR | O_CLOEXEC);
        struct stat info {};
        test::promise(file_ >= 0 && ::fstat(file_, &info) == 0);
        bytes_.resize(static_cast<std::size_t>(info.st_size));
        keep();
    }
    void keep() { test::promise(::pread(file_, bytes_.data(), bytes_.size(), 0) == static_cast<ssize_t>(bytes_.size())); }
    void put_back() const {
        test::promise(::ftruncate(file_, static_cast<off_t>(bytes_.size())) == 0);
        test::promise(::pwrite(file_, bytes_.data(), bytes_.size(), 0) == static_cast<ssize_t>(bytes_.size()));
    }
    void damage(std::span<const std::uint8_t> input) const {
        std::string page(bytes_.data(), kPage);
        for (std::size_t at = 1; at + 3 <= input.size(); at += 3)
            page[(std::size_t{input[at]} | std::size_t{input[at + 1]} << 8) % kPage] = static_cast<char>(input[at + 2]);
        test::promise(::pwrite(file_, page.data(), page.size(), 0) == static_cast<ssize_t>(page.size()));
        if (input[0] != 0) test::promise(::ftruncate(file_, static_cast<off_t>(bytes_.size() * input[0] / 256)) == 0);
    }
    [[nodiscard]] const test::TempRegistry& place() const { return place_; }

private:
    test::TempRegistry place_;
    int file_ = -1;
    std::string bytes_;
};

void read_all(const Reader& reader) {
    static_cast<void>(reader.status());
    static_cast<void>(reader.sessions());
    static_cast<void>(reader.config_json());
    reader.orders([](const OrderView&) { return true; });
    reader.exposures([](const ExposureView&) { return true; });
    static_cast<void>(reader.audit());
}

template <class Call>
void try_to(Call call) {
    try {
        call();
    } catch (const Error&) {
        // a refusal is an answer
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    static Victim victim;
    victim.damage({data, size});
    try_to([] { read_all(victim.place().look()); });
    ProcessConfig config = victim.place().process();
    config.attach_timeout_ns = config.request_timeout_ns = config.fact_timeout_ns = 1'000'000;
    try_to([&] { read_all(Registry::open(victim.place().name(), config).reader()); });
    victim.put_back();
    return 0;
}

namespace riskreg::test {

std::vector<Seed> seeds() {
    const auto patch = [](std::size_t offset, std::uint8_t value) {
        return std::string{static_cast<char>(offset), static_cast<char>(offset >> 8), static_cast<char>(value)};
    };
    const std::string whole(1, '\0');
    std::string geometry = whole;
    for (std::size_t i = 0; i < sizeof(layout::Geometry); ++i) geometry += patch(offsetof(layout::Header, geometry) + i, 0xFF);
    return {{"untouched", whole},
            {"cut-short", std::string(1, '\x10') + patch(0, 1)},
            {"cut-to-a-page", std::string(1, '\x01')},
            {"magic", whole + patch(0, 0)},
            {"version", whole + patch(offsetof(layout::Header, layout_version), 9)},
            {"orders", whole + patch(offsetof(layout::Header, geometry) + 3, 0x7F)},
            {"geometry-of-ones", geometry},
            {"uid", whole + patch(offsetof(layout::Header, uid), 77)}};
}

}  // namespace riskreg::test
