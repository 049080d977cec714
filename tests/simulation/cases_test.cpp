// What the simulation found, each as the shortest story that shows it. The disk is simulated, so that a sync can fail at the
// very moment that the story needs.
#include <catch2/catch.hpp>

#include "persist/checkpoint.hpp"
#include "persist/journal_writer.hpp"
#include "persist/recovery.hpp"
#include "riskreg/error.hpp"
#include "simulation/simulated_disk.hpp"
#include "support/history.hpp"

using namespace riskreg;
using namespace riskreg::simulation;

namespace {

constexpr std::uint64_t kEpoch = 77;

const test::History& story() {
    static const test::History history = test::every_kind_of_event();
    return history;
}

/// A directory on a disk of its own, with journal files and checkpoints of the story.
class Shelf {
public:
    explicit Shelf(Odds odds = {}, std::uint64_t seed = 1) : disk_(seed, odds, trace_) {
        mount(&disk_);
        disk_.set_faults(false);
        require(persist::Directory::open("/simulated", directory_));
    }
    ~Shelf() {
        writer_.close();
        mount(nullptr);
    }
    Shelf(const Shelf&) = delete;
    Shelf& operator=(const Shelf&) = delete;

    Disk& disk() { return disk_; }
    const persist::Directory& directory() const { return directory_; }

    persist::FileSpec next_spec() const {
        persist::FileSpec spec;
        spec.number = writer_.is_open() ? writer_.spec().number + 1 : 1;
        spec.first_seq = writer_.is_open() ? writer_.next_seq() : layout::kGenesis + 1;
        spec.predecessor = spec.number - 1;
        spec.predecessor_last_seq = spec.first_seq - 1;
        spec.predecessor_hash = writer_.is_open() ? writer_.events_hash() : 0;
        spec.epoch = kEpoch;
        spec.registry = "desk";
        spec.config = story().config;
        return spec;
    }
    void begin(const persist::FileSpec& spec) {
        const std::uint64_t bytes = persist::file_size_for(spec.config.size(), 8 * persist::kBlockPage);
        persist::File space;
        require(persist::prepare_space(directory_, ".tmp-journal", bytes, space));
        writer_ = {};
        require(writer_.begin(directory_, std::move(space), ".tmp-journal", bytes, spec));
    }
    /// One block with events up to `last`; what came before it is on disk.
    void append(std::uint64_t last) {
        const std::uint64_t first = writer_.next_seq();
        require(writer_.append(story().between(first, last), first - 1, 1));
    }
    [[nodiscard]] persist::IoError sync() const { return writer_.sync(); }
    void write(std::uint64_t last) {
        append(last);
        require(sync());
    }
    void checkpoint(std::uint64_t seq) const {
        const core::PrivateState tables = story().tables_at(seq);
        persist::CheckpointOptions options;
        options.registry = "desk";
        options.epoch = kEpoch;
        std::string stage;
        require(persist::write_checkpoint(directory_, tables.state, options, stage));
    }
    /// Flips a bit in the middle of a file, on the disk.
    void damage(const std::string& name) const {
        persist::File file;
        std::uint64_t size = 0;
        std::byte byte{};
        std::size_t got = 0;
        require(directory_.open_file(name, file, true));
        require(file.size(size));
        require(file.read_at(&byte, 1, size / 2, got));
        byte ^= std::byte{1};
        require(file.write_at(&byte, 1, size / 2));
    }
    persist::RecoveryReport restore(core::PrivateState& tables) const {
        persist::Sources sources(directory_, {});
        require(persist::settle_last_journal(directory_, sources));
        return persist::restore(
            directory_, sources,
            [&](const std::string& config) -> core::State& { return (tables = test::genesis_of(config)).state; }, {});
    }

private:
    static void require(persist::IoError error) { REQUIRE(error.text() == "no error"); }
    Trace trace_;
    Disk disk_;
    persist::Directory directory_;
    persist::JournalWriter writer_;
};

}  // namespace

TEST_CASE("what a failed sync left in the page cache alone is not restored as durable", "[simulation][inv-13]") {
    std::uint64_t only_cached = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        Shelf shelf({.sync = 10'000}, seed);
        shelf.begin(shelf.next_spec());
        shelf.write(20);
        shelf.append(30);
        shelf.disk().set_faults(true);
        REQUIRE(shelf.sync());
        shelf.disk().set_faults(false);
        // The host is killed; whoever restores finds the pages, and finds them clean.
        core::PrivateState tables;
        const std::uint64_t end = shelf.restore(tables).end_seq;
        shelf.disk().restart(true);
        CHECK(shelf.restore(tables).end_seq == end);
        only_cached += end == 20 ? 1 : 0;
    }
    CHECK(only_cached > 0);
}

TEST_CASE("a file of a history that was given up is not the continuation of a checkpoint", "[simulation]") {
    Shelf shelf;
    shelf.begin(shelf.next_spec());
    shelf.write(20);
    persist::FileSpec old = shelf.next_spec();
    shelf.begin(shelf.next_spec());
    shelf.write(30);
    shelf.checkpoint(30);
    SECTION("its number is not higher") {
        old.first_seq = 31;
        old.predecessor_last_seq = 30;
        shelf.begin(old);
        shelf.write(40);
        core::PrivateState tables;
        CHECK_THROWS_WITH(shelf.restore(tables), Catch::Contains("it is not the continuation"));
    }
    SECTION("control, the true one is") {
        shelf.begin(shelf.next_spec());
        shelf.write(40);
        core::PrivateState tables;
        CHECK(shelf.restore(tables).end_seq == 40);
        CHECK(core::digest(tables.state) == story().digest_at(40));
    }
}

TEST_CASE("the name of a checkpoint that rotted says that events are missing", "[simulation]") {
    Shelf shelf;
    shelf.begin(shelf.next_spec());
    shelf.write(20);
    shelf.checkpoint(15);
    shelf.checkpoint(25);
    shelf.damage(persist::checkpoint_name(25));
    core::PrivateState tables;
    SECTION("the journal that held them is gone") {
        CHECK_THROWS_WITH(shelf.restore(tables), Catch::Contains("cannot be used") && Catch::Contains("events up to 25"));
    }
    SECTION("control, the journal holds them") {
        shelf.write(30);
        const persist::RecoveryReport report = shelf.restore(tables);
        CHECK(report.checkpoint == persist::checkpoint_name(15));
        CHECK(report.ignored.size() == 1);
        CHECK(report.end_seq == 30);
    }
}

TEST_CASE("a journal file that cannot be read now never has its number given again", "[simulation]") {
    std::uint64_t known = 0;
    std::uint64_t asked_again = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        Shelf shelf({.read = 1'000}, seed);
        shelf.begin(shelf.next_spec());
        shelf.write(20);
        shelf.begin(shelf.next_spec());
        shelf.write(30);
        shelf.disk().set_faults(true);
        const persist::Tail tail = persist::find_tail(shelf.directory(), 30);
        if (tail.io) {
            ++asked_again;
            continue;
        }
        ++known;
        CHECK(tail.newest_number == 2);
    }
    CHECK(known > 0);
    CHECK(asked_again > 0);
}
