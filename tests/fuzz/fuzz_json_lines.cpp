// Any bytes as the standard input of `riskctl exec`. Every line that is not blank gets one answer, a JSON object that names the
// line; the session goes on; afterwards the tables agree with each other.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "fuzz/fuzz.hpp"
#include "persist/strict_json.hpp"
#include "riskctl/exec.hpp"

using namespace riskreg;

namespace {

constexpr unsigned kInputsOfARegistry = 500;  // its tables are small; then a fresh one

/// Bytes in memory that have a path.
class MemoryFile {
public:
    MemoryFile() : descriptor_(::memfd_create("riskreg-fuzz", MFD_CLOEXEC)) { test::promise(descriptor_ >= 0); }
    void set(const void* bytes, std::size_t size) const {
        test::promise(::ftruncate(descriptor_, 0) == 0 && ::lseek(descriptor_, 0, SEEK_SET) == 0);
        test::promise(::pwrite(descriptor_, bytes, size, 0) == static_cast<ssize_t>(size));
    }
    [[nodiscard]] std::string content() const {
        std::string text(static_cast<std::size_t>(::lseek(descriptor_, 0, SEEK_END)), '\0');
        test::promise(::pread(descriptor_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
        return text;
    }
    [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }
    [[nodiscard]] int descriptor() const { return descriptor_; }

private:
    int descriptor_;
};

/// What `call` prints.
template <class Call>
std::string printed(const MemoryFile& file, Call call) {
    std::fflush(stdout);
    file.set("", 0);
    const int before = ::dup(STDOUT_FILENO);
    test::promise(before >= 0 && ::dup2(file.descriptor(), STDOUT_FILENO) >= 0);
    call();
    std::fflush(stdout);
    test::promise(::dup2(before, STDOUT_FILENO) >= 0);
    ::close(before);
    return file.content();
}

std::size_t lines_to_answer(const std::string& input) {
    std::size_t count = 0;
    for (std::size_t at = 0; at < input.size();) {
        const std::size_t end = std::min(input.find('\n', at), input.size());
        count += input.substr(at, end - at).find_first_not_of(" \t\r") == std::string::npos ? 0 : 1;
        at = end + 1;
    }
    return count;
}

std::size_t answers_in(const std::string& text) {
    std::size_t count = 0;
    for (std::size_t at = 0; at < text.size(); ++count) {
        const std::size_t end = text.find('\n', at);
        test::promise(end != std::string::npos);
        const persist::JsonResult parsed = persist::parse_json(std::string_view(text).substr(at, end - at), 1U << 24);
        test::promise(parsed.error.empty() && parsed.value.find("line") != nullptr);
        at = end + 1;
    }
    return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static std::unique_ptr<test::TempRegistry> place;
    static unsigned inputs = 0;
    static const MemoryFile in, out;
    if (inputs++ % kInputsOfARegistry == 0) place = std::make_unique<test::TempRegistry>();
    in.set(data, size);
    riskctl::Common common;
    common.name = place->name();
    common.state_dir = place->state_dir();
    riskctl::ExecOptions options;
    options.strategy = "s1";
    options.file = in.path();
    options.host_snapshotter = false;
    int code = -1;
    const std::string text = printed(out, [&] { code = riskctl::exec(common, options); });
    test::promise(code == riskctl::kDone);
    test::promise(answers_in(text) == lines_to_answer(std::string(reinterpret_cast<const char*>(data), size)));
    test::promise(place->look().audit().violations.empty());
    return 0;
}

namespace riskreg::test {

std::vector<Seed> seeds() {
    const std::string order = R"({"op":"register","id":"O-1","instrument":"ES","side":"buy","type":"limit","tif":"day",)"
                              R"("price":"4800.25","quantity":"3"})";
    const std::string day = order + "\n" + R"({"op":"acked","id":"O-1","venue_id":"V1"})" + "\n" +
                            R"({"op":"filled","id":"O-1","exec_id":"E1","price":"4800","quantity":"1"})" + "\n" +
                            R"({"op":"replace_requested","id":"O-1","new_id":"O-2","price":"4800.5","quantity":"2"})" + "\n" +
                            R"({"op":"replaced","id":"O-1"})" + "\n" + R"({"op":"cancel_requested","id":"O-2"})" + "\n" +
                            R"({"op":"canceled","id":"O-2"})" + "\n" + R"({"op":"bust","id":"O-2","exec_id":"E1"})" + "\n" +
                            R"({"op":"find","id":"O-2"})" + "\n" +
                            R"({"op":"reference_price","instrument":"ES","price":"4800"})" + "\n";
    return {{"a-day", day},
            {"nothing", ""},
            {"blank", " \t\r\n\n"},
            {"no-end", order},
            {"crlf", order + "\r\n{}\r\n"},
            {"byte-order-mark", "\xEF\xBB\xBF" + order + "\n"},
            {"nul", std::string("{\"op\":\"register\0\"}\n\0\n", 21)},
            {"twice-the-same-key", R"({"op":"find","id":"a","id":"b"})"
                                   "\n"},
            {"deep", std::string(300, '[') + std::string(300, ']') + "\n" + std::string(40, '{') + "\n"},
            {"numbers", R"({"op":"register","id":"O-9","instrument":"ES","side":"sell","type":"limit","tif":"day",)"
                        R"("price":"9223372036.854775807","quantity":"92233720368.54775808"})"
                        "\n"},
            {"not-utf-8", "{\"op\":\"\xC0\x80\xFF\"}\n"}};
}

}  // namespace riskreg::test
