// Runs files, or every file of directories, through a fuzz target without libFuzzer.
//
//   fuzz_NAME_corpus PATH...          run; a failed promise or a crash ends the program
//   fuzz_NAME_corpus --write PATH     write the target's own inputs into a directory
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "fuzz/fuzz.hpp"

namespace fs = std::filesystem;
using namespace riskreg;

namespace {

std::string content_of(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void run(const std::string& bytes) {
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
}

std::size_t run_all(const fs::path& path) {
    if (!fs::is_directory(path)) return run(content_of(path)), 1;
    std::size_t count = 0;
    for (const fs::directory_entry& entry : fs::directory_iterator(path)) {
        std::printf("%s\n", entry.path().filename().c_str());
        std::fflush(stdout);
        run(content_of(entry.path()));
        ++count;
    }
    return count;
}

int write(const fs::path& directory) {
    fs::create_directories(directory);
    for (const test::Seed& seed : test::seeds()) std::ofstream(directory / seed.name, std::ios::binary) << seed.bytes;
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 3 && std::strcmp(argv[1], "--write") == 0) return write(argv[2]);
    std::size_t count = 0;
    for (int i = 1; i < argc; ++i) count += run_all(argv[i]);
    std::printf("%zu inputs\n", count);
    return count > 0 ? 0 : 2;
}
