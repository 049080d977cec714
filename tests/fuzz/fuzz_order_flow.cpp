// Any bytes as a file from outside: a recorded order flow in both forms, what a venue says, the start of a day. The first byte
// chooses. Either rows whose values are within bounds, or an Error.
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.hpp"
#include "riskctl/order_flow.hpp"
#include "riskctl/venue_file.hpp"
#include "riskreg/error.hpp"

using namespace riskreg;

namespace {

void require_within_bounds(const std::vector<riskctl::FlowRow>& rows) {
    std::uint64_t last = 0;
    for (const riskctl::FlowRow& row : rows) {
        test::promise(row.number > last && row.lots >= 0 && row.order_id.size() <= kMaxIdBytes);
        last = row.number;
    }
}

void read(char form, const std::string& text, const std::string& path) {
    static const test::TempRegistry place;
    static const Reader reader = place.look();
    switch (form) {
        case 'f': return require_within_bounds(riskctl::read_order_flow(path));
        case 'l': return require_within_bounds(riskctl::read_lobster(path));
        case 'v': return static_cast<void>(riskctl::parse_venue_file(text, reader));
        default: return static_cast<void>(riskctl::parse_load_file(text, reader));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    static const int file = ::memfd_create("riskreg-fuzz", MFD_CLOEXEC);
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    test::promise(::ftruncate(file, 0) == 0 &&
                  ::pwrite(file, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
    try {
        read(static_cast<char>(data[0]), text, "/proc/self/fd/" + std::to_string(file));
    } catch (const Error& error) {
        test::promise(std::string_view(error.what()).size() > 10);   // says something
    }
    return 0;
}

namespace riskreg::test {

std::vector<Seed> seeds() {
    const std::string head = "action,side,order_id,price,size\n";
    return {
        {"flow", "f" + head + "A,B,1,4800.25,3\nM,B,1,4800.5,2\nR,B,1,4800.5,1\nF,B,1,4800.5,1\nD,B,1,0,0\n"},
        {"flow-crlf-no-end", "f" + head + "A,S,77,-1.25,9223372036854775807\r\nH,S,77,1e9,1"},
        {"lobster", "l34200.1,1,16113575,18,5853300,1\n34200.2,4,16113575,18,5853300,1\n34200.3,3,16113575,0,5853300,-1\n"},
        {"venue-json", R"(v{"orders":[{"id":"O-1","account":"A1","instrument":"ES","side":"buy","price":"1","quantity":"1",)"
                       R"("cum_quantity":"0","status":"new"}],"executions":[],"positions":[]})"},
        {"venue-csv", "vrecord,id,account,instrument,side,price,quantity\norder,O-1,A1,ES,buy,1,1\n"},
        {"load", R"(d{"positions":[{"account":"A1","instrument":"ES","quantity":"3","price":"4800"}],"orders":[],)"
                 R"("limits":[{"scope":"firm","max_working_orders":3}],"restricted":[]})"},
        {"nul-and-high", std::string("f\0\xFF,\0\n", 6)}};
}

}  // namespace riskreg::test
