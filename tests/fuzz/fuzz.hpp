/// What the fuzz targets share. Each target is one function of bytes; it is linked either with libFuzzer, or with
/// corpus_main.cpp, which runs the kept corpus through it in every build.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "core/copy.hpp"
#include "persist/file.hpp"
#include "support/temp_registry.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace riskreg::test {

struct Seed {
    std::string name;
    std::string bytes;
};
/// The kept corpus, as the target makes it: inputs that reach everything that a whole file reaches.
std::vector<Seed> seeds();

/// A broken promise of the code under test: the input is kept as a crash.
inline void promise(bool kept) {
    if (!kept) std::abort();
}

/// One directory for the whole run, emptied for each input.
class Scratch {
public:
    Scratch() { promise(!persist::Directory::open(place_.path(), directory_)); }
    [[nodiscard]] const persist::Directory& empty() {
        std::vector<std::string> names;
        promise(!directory_.list(names));
        for (const std::string& name : names) promise(!directory_.remove(name));
        return directory_;
    }
    void write(const std::string& name, const std::string& bytes) const {
        persist::File file;
        promise(!directory_.create(name, file) && !file.write_at(bytes.data(), bytes.size(), 0));
    }

private:
    TempDir place_;
    persist::Directory directory_;
};

/// Reads tables in every way that does not change them: nothing that came out of a file may make a reader fail.
void read_everything(const core::State& state);

/// Tables for a configuration, unless it asks for more memory than a fuzzer has: then an Error.
[[nodiscard]] core::PrivateState small_tables(const std::string& config);

}  // namespace riskreg::test
