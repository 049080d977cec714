#include "support/cli.hpp"

#include <stdlib.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "riskreg/registry.hpp"

namespace riskreg::testing {

namespace {

std::string slurp(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::vector<persist::JsonValue> CliResult::lines() const {
    std::vector<persist::JsonValue> values;
    for (std::size_t at = 0; at < out.size();) {
        const std::size_t end = std::min(out.find('\n', at), out.size());
        const persist::JsonResult parsed = persist::parse_json(std::string_view(out).substr(at, end - at), 1U << 24);
        INFO("line: " << out.substr(at, end - at));
        REQUIRE(parsed.error.empty());
        values.push_back(parsed.value);
        at = end + 1;
    }
    return values;
}

Cli::Cli() {
    std::string pattern = (std::filesystem::temp_directory_path() / "riskreg-test-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
}

Cli::~Cli() {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(directory_ + "/state", ignored)) {
        try {
            Registry::destroy(entry.path().filename().string(), directory_ + "/state", false, true);
        } catch (const Error&) {
            // nothing of it is left
        }
    }
    std::filesystem::remove_all(directory_, ignored);
}

std::string Cli::file(const std::string& name, const std::string& content) const {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
}

std::string Cli::key(const std::string& name, const std::string& content) const {
    const std::string path = file(name, content);
    std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return path;
}

CliResult Cli::run(const std::string& arguments, const std::string& input) const {
    const std::string in = file("stdin", input);
    const std::string command = "export RISKREG_STATE_DIR='" + directory_ + "/state'; '" RISKREG_BIN_DIR "/riskctl' " +
                                arguments + " <'" + in + "' >'" + directory_ + "/stdout' 2>'" + directory_ + "/stderr'";
    const int status = std::system(command.c_str());
    CliResult result;
    result.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    result.out = slurp(directory_ + "/stdout");
    result.err = slurp(directory_ + "/stderr");
    return result;
}

void Cli::create(const std::string& name, const std::string& config) const {
    const CliResult result = run("create " + name + " --config '" + file("config.json", config) + "'");
    INFO(result.err);
    REQUIRE(result.code == 0);
}

}  // namespace riskreg::testing
