#include "support/store.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace riskreg::test {

namespace {

constexpr std::int64_t kTime = 1'700'000'100'000'000'000;

void require(persist::IoError error, const std::string& what) {
    if (error) throw std::runtime_error(what + ": " + error.text());
}

}  // namespace

Restored restore_from(const persist::Directory& directory, const RestoreFrom& from) {
    Restored out;
    try {
        persist::Sources sources(directory, from.key_file);
        const auto fresh = [&](const std::string& config) -> core::State& {
            out.tables = genesis_of(from.config.empty() ? config : from.config);
            return out.tables.state;
        };
        out.report = persist::restore(directory, sources, fresh, from.options);
    } catch (const Error& error) {
        out.code = error.code();
        out.error = error.what();
    }
    return out;
}

Store::Store(const History& history) : history_(history) {
    require(persist::Directory::open(place_.path(), directory_), place_.path());
}

persist::FileSpec Store::next_spec() const {
    persist::FileSpec spec;
    spec.epoch = kEpoch;
    spec.host_epoch = 1;
    spec.registry = "desk";
    spec.config = history_.config;
    spec.keep_checkpoints = 3;
    spec.key.bytes = key_;
    spec.number = 1;
    spec.first_seq = 2;
    spec.predecessor_last_seq = 1;
    if (!writer_.is_open()) return spec;
    spec.number = writer_.spec().number + 1;
    spec.first_seq = writer_.next_seq();
    spec.predecessor = writer_.spec().number;
    spec.predecessor_last_seq = writer_.next_seq() - 1;
    spec.predecessor_hash = writer_.events_hash();
    return spec;
}

void Store::begin(const persist::FileSpec& spec, std::uint64_t pages) {
    const std::uint64_t bytes = persist::file_size_for(spec.config.size(), pages * persist::kBlockPage);
    const std::string temporary = std::string(persist::kTemporaryPrefix) + "journal";
    persist::File space;
    require(persist::prepare_space(directory_, temporary, bytes, space), "prepare");
    persist::JournalWriter next;
    require(next.begin(directory_, std::move(space), temporary, bytes, spec), "begin");
    writer_ = std::move(next);
}

void Store::append(std::uint64_t last) {
    const std::uint64_t first = writer_.next_seq();
    if (!writer_.has_room_for(history_.between(first, last)))
        throw std::runtime_error("the journal file of the test is too small");
    require(writer_.append(history_.between(first, last), first - 1, kTime + static_cast<std::int64_t>(last)), "append");
}

void Store::append_blocks(std::initializer_list<std::uint64_t> sizes, std::uint64_t last) {
    for (const std::uint64_t size : sizes) append(writer_.next_seq() + size - 1);
    if (writer_.next_seq() <= last) append(last);
}

persist::JournalMark Store::mark() const { return {writer_.spec().number, writer_.next_seq() - 1, writer_.events_hash()}; }

void Store::seal() { require(writer_.seal(writer_.next_seq() - 1, kTime), "seal"); }

std::string Store::checkpoint(std::uint64_t seq, const std::string& key, persist::CheckpointSource source,
                              const persist::JournalMark& mark) const {
    const core::PrivateState tables = history_.tables_at(seq);
    persist::CheckpointOptions options;
    options.registry = "desk";
    options.epoch = kEpoch;
    options.host_epoch = 1;
    options.source = source;
    options.journal = mark;
    options.key.bytes = key;
    options.time_ns = kTime;
    std::string stage;
    require(persist::write_checkpoint(directory_, tables.state, options, stage), "checkpoint: " + stage);
    return persist::checkpoint_name(seq);
}

std::string Store::key_file(const std::string& key) const {
    const std::string path = elsewhere_.path() + "/key";
    std::filesystem::remove(path);
    std::ofstream(path, std::ios::binary) << key;
    std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return path;
}

std::string Store::read(const std::string& name) const {
    std::ifstream file(path_of(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

void Store::write(const std::string& name, const std::string& content) const {
    std::ofstream(path_of(name), std::ios::binary) << content;
}

void Store::truncate(const std::string& name, std::uint64_t bytes) const { std::filesystem::resize_file(path_of(name), bytes); }

void Store::remove(const std::string& name) const { std::filesystem::remove(path_of(name)); }

void Store::flip(const std::string& name, std::uint64_t byte, unsigned bit) const {
    std::fstream file(path_of(name), std::ios::binary | std::ios::in | std::ios::out);
    file.seekg(static_cast<std::streamoff>(byte));
    const auto seen = static_cast<unsigned>(file.get());
    file.seekp(static_cast<std::streamoff>(byte));
    file.put(static_cast<char>(seen ^ 1U << bit));
}

}  // namespace riskreg::test
