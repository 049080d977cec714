// What the simulation found, each as the shortest story that shows it. The disk is simulated, so that a sync can fail at the
// very moment that the story needs.
#include <algorithm>
#include <catch2/catch.hpp>
#include <functional>

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
    void begin(const persist::FileSpec& spec, std::uint64_t pages = 8) { require(try_begin(spec, pages)); }
    /// Like a host whose space was prepared in peace; `meanwhile` is when that is done.
    persist::IoError try_begin(const persist::FileSpec& spec, std::uint64_t pages = 8,
                               const std::function<void(Disk&)>& meanwhile = {}) {
        const std::uint64_t bytes = persist::file_size_for(spec.config.size(), pages * persist::kBlockPage);
        persist::File space;
        require(persist::prepare_space(directory_, ".tmp-journal", bytes, space));
        writer_ = {};
        if (meanwhile) meanwhile(disk_);
        return writer_.begin(directory_, std::move(space), ".tmp-journal", bytes, spec);
    }
    /// A block of the open file that stands at `position`, wherever the one before it ends.
    void append_at(std::uint64_t position, std::uint64_t last) const {
        const std::uint64_t first = writer_.next_seq();
        persist::File file;
        persist::JournalWriter far;
        require(directory_.open_file(persist::journal_name(writer_.spec().first_seq), file, true));
        require(far.resume(std::move(file), writer_.spec(), {~0ULL, position, 0, 0, first}));
        require(far.append(story().between(first, last), first, 1));
        require(far.sync());
    }
    const persist::JournalWriter& writer() const { return writer_; }
    /// The number of the file of this name; 0: none is there, or it is no journal file.
    std::uint64_t number_of(const std::string& name) const {
        persist::File file;
        persist::FileHead head;
        if (directory_.open_file(name, file) || !persist::read_head(file, head).empty()) return 0;
        return head.header.file_number;
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
    void damage_head(const std::string& name) const {
        persist::File file;
        require(directory_.open_file(name, file, true));
        require(file.write_at("x", 1, 0));
    }
    persist::RecoveryReport restore(core::PrivateState& tables, const persist::RestoreOptions& options = {}) const {
        persist::Sources sources(directory_, {});
        if (const persist::IoError error = persist::settle_last_journal(directory_, sources))
            throw Error(Errc::system, "sync the journal before it is read: " + error.text());
        return persist::restore(
            directory_, sources,
            [&](const std::string& config) -> core::State& { return (tables = test::genesis_of(config)).state; }, options);
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

namespace {

/// Two files; the second one holds events of which a later block says that they are on disk.
persist::FileSpec two_files(Shelf& shelf) {
    shelf.begin(shelf.next_spec());
    shelf.write(20);
    persist::FileSpec spec = shelf.next_spec();
    shelf.begin(spec);
    shelf.write(25);
    shelf.write(30);
    spec.number = 3;
    return spec;
}

/// One file that holds everything up to 20, a block behind that whose sync failed, and the file that goes on in its place up to
/// 30. The block that was given up reaches further.
void give_up_and_go_on(Shelf& shelf) {
    shelf.begin(shelf.next_spec());
    shelf.write(20);
    const persist::FileSpec spec = shelf.next_spec();
    shelf.append(35);
    shelf.begin(spec);
    shelf.write(30);
}

bool is_unreadable(const Error& error) { return error.code() == Errc::system || error.code() == Errc::permission; }

}  // namespace

TEST_CASE("a journal file that cannot be read now is not set aside by whoever begins one of its name", "[simulation]") {
    const std::string name = persist::journal_name(21);
    std::uint64_t begun = 0;
    std::uint64_t failed = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        Shelf shelf({.read = 1'000}, seed);
        const persist::FileSpec spec = two_files(shelf);
        const bool fails = bool(shelf.try_begin(spec, 8, [](Disk& disk) { disk.set_faults(true); }));
        shelf.disk().set_faults(false);
        ++(fails ? failed : begun);
        // What it holds was answered as durable: it is there, under its name or, behind the one that was begun, under another.
        CHECK(shelf.number_of(name) == (fails ? 2 : 3));
        CHECK(shelf.number_of(".lost-2-" + name) == (fails ? 0 : 2));
        CHECK(shelf.number_of(".lost-unread-" + name) == 0);
    }
    CHECK(begun > 0);
    CHECK(failed > 0);
}

TEST_CASE("there is no moment in which a file is set aside and nothing is in its place", "[simulation]") {
    const std::string name = persist::journal_name(21);
    for (const bool power : {false, true}) {
        bool stopped = true;
        std::uint64_t calls = 1;
        for (; stopped; ++calls) {
            Shelf shelf({}, calls);
            const persist::FileSpec spec = two_files(shelf);
            static_cast<void>(shelf.try_begin(spec, 8, [&](Disk& disk) { disk.stop_after(calls, power); }));
            stopped = shelf.disk().is_stopped();
            shelf.disk().restart(power);
            const std::uint64_t number = shelf.number_of(name);
            INFO("call " << calls << (power ? ", power" : ", kill"));
            CHECK((number == 2 || number == 3));
            CHECK((number == 2 || shelf.number_of(".lost-2-" + name) == 2));
        }
        CHECK(calls > 5);
    }
}

TEST_CASE("what is set aside twice is kept twice, and an attempt that is repeated keeps nothing twice", "[simulation]") {
    const std::string name = persist::journal_name(21);
    Shelf shelf;
    persist::FileSpec spec = two_files(shelf);
    const auto lost = [&shelf] {
        const std::vector<std::string> names = shelf.disk().names();
        return std::count_if(names.begin(), names.end(), [](const std::string& n) { return n.starts_with(".lost-"); });
    };
    shelf.damage_head(name);
    shelf.begin(spec);
    CHECK(lost() == 1);
    shelf.damage_head(name);
    // Begun, and killed before the new file has its name.
    for (std::uint64_t calls = 1; calls < 40; ++calls) {
        static_cast<void>(shelf.try_begin(spec, 8, [&](Disk& disk) { disk.stop_after(calls, false); }));
        const bool done = !shelf.disk().is_stopped();
        shelf.disk().restart(false);
        if (done) break;
        persist::sweep_temporaries(shelf.directory());
    }
    CHECK(lost() == 2);
    CHECK(shelf.number_of(name) == 3);
}

TEST_CASE("a replica that cannot see now whether a file has a successor does not read what was given up", "[simulation]") {
    std::uint64_t followed = 0;
    std::uint64_t failed = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        Shelf shelf({.read = 1'000}, seed);
        give_up_and_go_on(shelf);
        core::PrivateState tables = test::genesis_of(story().config);
        persist::JournalFollower follower(shelf.directory(), tables.state);
        REQUIRE(follower.advance(20, 1).empty());
        shelf.disk().set_faults(true);
        const bool whole = follower.advance(30, 2).empty();
        shelf.disk().set_faults(false);
        ++(whole ? followed : failed);
        CHECK(tables.state.log->applied == (whole ? 30 : 20));
        CHECK(follower.mark().file == (whole ? 2 : 1));
    }
    CHECK(followed > 0);
    CHECK(failed > 0);
}

TEST_CASE("an auditor who cannot see now whether a file has a successor does not read what was given up", "[simulation]") {
    std::uint64_t whole = 0;
    std::uint64_t ended = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        Shelf shelf({.read = 1'000}, seed);
        give_up_and_go_on(shelf);
        shelf.disk().set_faults(true);
        const std::uint64_t next = persist::read_events(shelf.directory(), 2, 40, [](const layout::Event&) { return true; });
        ++(next == 31 ? whole : ended);
        CHECK(next <= 31);
    }
    CHECK(whole > 0);
    CHECK(ended > 0);
}

TEST_CASE("a read that fails behind the end of the journal does not hide what says that events were on disk", "[simulation]") {
    std::uint64_t damaged = 0;
    std::uint64_t unreadable = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        Shelf shelf({.read = 1'000}, seed);
        shelf.begin(shelf.next_spec(), 300);
        // The only witness: a block of two pages, the second one beyond what is read ahead.
        const std::uint64_t far = shelf.writer().position() + (1U << 20) - persist::kBlockPage;
        shelf.write(20);
        shelf.append_at(far, 45);
        shelf.disk().set_faults(true);
        core::PrivateState tables;
        try {
            const persist::RecoveryReport report = shelf.restore(tables);
            FAIL_CHECK("seed " << seed << ": taken for a torn tail: " << report.torn);
        } catch (const Error& error) {
            ++(is_unreadable(error) ? unreadable : damaged);
        }
    }
    CHECK(damaged > 0);
    CHECK(unreadable > 0);
}

TEST_CASE("files that cannot be read now are not taken for ones that nobody used", "[simulation]") {
    std::uint64_t looked_at = 0;
    for (std::uint64_t seed = 1; seed <= 600; ++seed) {
        Shelf shelf({.read = 3'000}, seed);
        shelf.begin(shelf.next_spec());
        shelf.write(20);
        shelf.disk().set_faults(true);
        try {
            const persist::Sources sources(shelf.directory(), {});
            CHECK_FALSE(sources.only_unused(shelf.directory()));
            ++looked_at;
        } catch (const Error& error) {
            CHECK(is_unreadable(error));
        }
    }
    CHECK(looked_at > 0);
}

TEST_CASE("a checkpoint that cannot be read now is not damage, and no loss to be accepted", "[simulation]") {
    const bool accept_loss = GENERATE(false, true);
    std::uint64_t whole = 0;
    std::uint64_t unreadable = 0;
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        Shelf shelf({.read = 1'000}, seed);
        two_files(shelf);
        shelf.checkpoint(20);
        REQUIRE_FALSE(shelf.directory().remove(persist::journal_name(2)));
        shelf.disk().set_faults(true);
        core::PrivateState tables;
        try {
            const persist::RecoveryReport report = shelf.restore(tables, {.accept_loss = accept_loss});
            CHECK(report.end_seq == 30);
            CHECK(report.damage.empty());
            ++whole;
        } catch (const Error& error) {
            INFO(error.what());
            CHECK(is_unreadable(error));
            ++unreadable;
        }
    }
    CHECK(whole > 0);
    CHECK(unreadable > 0);
}
