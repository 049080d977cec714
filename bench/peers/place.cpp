#include "place.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "base/descriptor.hpp"

namespace riskreg::bench::peers {

namespace {
volatile sig_atomic_t told_to_end = 0;
void remember(int) { told_to_end = 1; }
}  // namespace

TemporaryFolder::TemporaryFolder(const std::string& parent) : path_(parent + "/riskreg-peers-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("cannot make a folder in " + parent);
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

bool is_on_tmpfs(const std::string& folder) {
    struct statfs facts {};
    return ::statfs(folder.c_str(), &facts) == 0 && facts.f_type == TMPFS_MAGIC;
}

void sync_disk(const std::string& folder) {
    const base::Descriptor opened = base::open_path(folder, O_RDONLY | O_DIRECTORY);
    if (opened.is_open()) static_cast<void>(::syncfs(opened.get()));
}

void remember_signals() {
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) ::signal(number, remember);
}

void throw_if_told_to_end() {
    if (told_to_end != 0) throw std::runtime_error("told to end");
}

}  // namespace riskreg::bench::peers
