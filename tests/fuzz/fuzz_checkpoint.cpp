// Any text as a checkpoint, signed as it is: an error that is a text, or tables that can be read, and that written again
// give the same tables.
#include "fuzz/fuzz.hpp"
#include "persist/checkpoint.hpp"
#include "riskreg/error.hpp"
#include "support/history.hpp"

using namespace riskreg;

namespace {

/// The document without its last line gets the one that makes it whole: what lies behind the digest is under test here.
std::string sign(const std::string& text) {
    persist::StreamDigest digest({});
    digest.add(text);
    return text + "\"sha256\":\"" + digest.finish() + "\"}\n";
}

/// Empty when `tables` hold what the file says.
std::string load(const persist::Directory& directory, const std::string& name, core::PrivateState& tables) {
    persist::File file;
    test::promise(!directory.open_file(name, file));
    persist::CheckpointHead head;
    if (std::string wrong = persist::verify_checkpoint(file, {}, head); !wrong.empty()) return wrong;
    try {
        tables = test::small_tables(head.config);
    } catch (const Error& error) {
        return error.what();
    }
    return persist::load_checkpoint(file, head, tables.state);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static test::Scratch scratch;
    const persist::Directory& directory = scratch.empty();
    scratch.write("given", sign(std::string(reinterpret_cast<const char*>(data), size)));
    core::PrivateState tables;
    if (!load(directory, "given", tables).empty()) return 0;
    test::read_everything(tables.state);
    std::string stage;
    test::promise(!persist::write_checkpoint(directory, tables.state, {}, stage));
    core::PrivateState again;
    test::promise(load(directory, persist::checkpoint_name(tables.state.log->applied), again).empty());
    test::promise(core::digest(again.state) == core::digest(tables.state));
    return 0;
}

namespace riskreg::test {

namespace {

/// A checkpoint of the history up to `seq`, without its last line.
std::string document(const History& history, std::uint64_t seq) {
    Scratch scratch;
    const persist::Directory& directory = scratch.empty();
    std::string stage;
    promise(!persist::write_checkpoint(directory, history.tables_at(seq).state, {}, stage));
    persist::File file;
    promise(!directory.open_file(persist::checkpoint_name(seq), file));
    std::uint64_t bytes = 0;
    std::size_t got = 0;
    promise(!file.size(bytes));
    std::string text(bytes, '\0');
    promise(!file.read_at(text.data(), text.size(), 0, got));
    return text.substr(0, text.rfind('\n', text.size() - 2) + 1);
}

void erase_all(std::string& text, const std::string& from, char to) {
    for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from))
        text.erase(at, text.find(to, at + from.size()) + 1 - at);
}

/// Without members that are only values: nothing is looked for in them, and the corpus stays small.
std::string shortened(std::string text) {
    for (const char* key : {",\"created\":\"", ",\"updated\":\"", ",\"changed\":\"", ",\"type\":\"l", ",\"tif\":\"d"})
        erase_all(text, key, '"');
    erase_all(text, ",\"day\":{", '}');
    return text;
}

}  // namespace

std::vector<Seed> seeds() {
    const History history = every_kind_of_event();
    return {{"empty", document(history, 1)},
            {"fills", document(history, 13)},
            {"replacements", shortened(document(history, 24))},
            {"everything", shortened(document(history, history.last_seq() - 6))}};
}

}  // namespace riskreg::test
