// What of file.hpp asks nothing of the operating system: what errors mean, how files are named, and what is made of the
// calls. The rest is in file_posix.cpp, and the simulation's disk puts its own in place of that.
#include <charconv>
#include <cstdio>
#include <utility>

#include "persist/file.hpp"

namespace riskreg::persist {

bool IoError::is_no_space() const noexcept { return kind() == IoKind::no_space; }
bool IoError::is_transient() const noexcept {
    switch (kind()) {
        case IoKind::no_space:
        case IoKind::interrupted:
        case IoKind::try_again:
        case IoKind::no_memory:
        case IoKind::no_descriptors: return true;
        default: return false;
    }
}
bool IoError::is_missing() const noexcept { return kind() == IoKind::missing; }
bool IoError::is_of_the_file() const noexcept {
    return kind() == IoKind::missing || kind() == IoKind::link || kind() == IoKind::invalid;
}
bool IoError::is_existing() const noexcept { return kind() == IoKind::existing; }
bool IoError::is_not_supported() const noexcept { return kind() == IoKind::not_supported; }

File::File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)), fork_epoch_(other.fork_epoch_) {}

File& File::operator=(File&& other) noexcept {
    if (this == &other) return *this;
    close();
    descriptor_ = std::exchange(other.descriptor_, -1);
    fork_epoch_ = other.fork_epoch_;
    return *this;
}

std::string numbered_name(std::string_view prefix, std::uint64_t number, std::string_view suffix) {
    char digits[24];
    std::snprintf(digits, sizeof digits, "%020llu", static_cast<unsigned long long>(number));
    return std::string(prefix).append(digits).append(suffix);
}

std::uint64_t number_of_name(std::string_view name, std::string_view prefix, std::string_view suffix) noexcept {
    if (!name.starts_with(prefix) || !name.ends_with(suffix) || name.size() != prefix.size() + 20 + suffix.size()) return 0;
    std::uint64_t number = 0;
    const char* begin = name.data() + prefix.size();
    const auto [stop, error] = std::from_chars(begin, begin + 20, number);
    return error == std::errc{} && stop == begin + 20 ? number : 0;
}

void sweep_temporaries(const Directory& directory) {
    std::vector<std::string> names;
    static_cast<void>(directory.list(names));
    for (const std::string& name : names)
        if (name.starts_with(kTemporaryPrefix)) static_cast<void>(directory.remove(name));
}

}  // namespace riskreg::persist
