// The journal: what is written is what is restored; a torn tail is dropped and reported, damage of what was
// acknowledged is refused by name (protocol.md 6).
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <set>
#include <span>

#include "core/apply.hpp"
#include "core/audit.hpp"
#include "support/store.hpp"

using namespace riskreg;
using Catch::Contains;
using layout::EventType;
using test::Restored;
using test::Store;

namespace {

const test::History& story() {
    static const test::History history = test::every_kind_of_event();
    return history;
}

constexpr std::uint64_t kPage = persist::kBlockPage;

/// The bytes of every record that a digest looks at, and where they are: what two recoveries must have in common.
std::string bytes_of(const core::State& state) { return {reinterpret_cast<const char*>(state.base), state.offsets.size_bytes}; }

std::uint64_t batch_last() { return story().batch_end + 1; }   // an index behind the batch; its sequence is index + 2 − 1

/// One file, sealed, with blocks of several sizes.
void write_sealed(Store& store) {
    store.begin();
    store.append_blocks({1, 15, 2, 16}, story().last_seq());
    store.seal();
}

/// Files that end at these sequences; the last one goes to the end.
std::vector<std::string> write_files(Store& store, std::initializer_list<std::uint64_t> ends) {
    std::vector<std::string> names;
    const auto write_one = [&](std::uint64_t last) {
        store.begin();
        store.append_blocks({5, 7}, last);
        names.push_back(store.journal());
    };
    for (const std::uint64_t end : ends) write_one(end);
    write_one(story().last_seq());
    store.seal();
    return names;
}

void require_whole(const Restored& restored) {
    INFO(restored.error);
    REQUIRE_FALSE(restored.refused());
    CHECK_FALSE(restored.reported());
    CHECK(restored.seq() == story().last_seq());
    CHECK(restored.digest() == story().digest_at(story().last_seq()));
    CHECK(core::audit(restored.tables.state).violations == std::vector<std::string>{});
}

void require_damaged(const Restored& restored, const std::string& message) {
    REQUIRE(restored.refused_as(Errc::damaged));
    CHECK_THAT(restored.error, Contains(message));
    CHECK_THAT(restored.error, Contains("journal-"));
}

}  // namespace

TEST_CASE("the history of these tests holds every type of event", "[persist][inv-9]") {
    std::set<EventType> seen;
    for (const layout::Event& event : story().events) seen.insert(event.header.type);
    for (std::uint16_t type = 1; type <= 18; ++type) CHECK(seen.count(EventType{type}) == 1);
    for (const EventType type :
         {EventType::denied, EventType::quarantined, EventType::state_changed, EventType::limits_changed, EventType::reconciled,
          EventType::recovered, EventType::session_attached, EventType::session_detached, EventType::session_dead,
          EventType::session_fenced, EventType::reference_owner, EventType::journal_gap}) {
        INFO(static_cast<int>(type));
        CHECK(seen.count(type) == 1);
    }
    CHECK(core::audit(story().tables_at(story().last_seq()).state).clean());
    CHECK(story().last_seq() >= 61);
}

TEST_CASE("a sealed journal gives the tables that wrote it", "[persist][inv-9][inv-11]") {
    Store store(story());
    write_sealed(store);
    const Restored restored = store.restore();
    require_whole(restored);
    CHECK(restored.report.checkpoint.empty());
    CHECK(restored.report.events == story().events.size());
    REQUIRE(restored.report.journals.size() == 1);
    CHECK(restored.report.journals[0].ending == "zeroes");
    CHECK(restored.report.journals[0].last_seq == story().last_seq());
}

TEST_CASE("a journal without its seal is whole, too: its last block is no torn tail", "[persist][inv-9]") {
    Store store(story());
    store.begin();
    store.append_blocks({9}, story().last_seq());
    require_whole(store.restore());
}

TEST_CASE("a file that is full to its last page ends with the file", "[persist][inv-9]") {
    Store store(story());
    store.begin(store.next_spec(), 8);
    while (store.writer().next_seq() + 6 < story().last_seq() &&
           store.writer().has_room_for(story().between(store.writer().next_seq(), store.writer().next_seq() + 6)))
        store.append(store.writer().next_seq() + 6);
    store.seal();
    const std::uint64_t last = store.writer().next_seq() - 1;
    CHECK_FALSE(store.writer().has_room_for(story().between(last + 1, last + 1)));
    const Restored restored = store.restore();
    REQUIRE_FALSE(restored.refused());
    CHECK(restored.report.journals[0].ending == "end of the file");
    CHECK_FALSE(restored.reported());
    CHECK(restored.digest() == story().digest_at(last));
}

TEST_CASE("the journal goes on over two and three files", "[persist][inv-9]") {
    for (const auto& ends : {std::initializer_list<std::uint64_t>{20}, {20, 41}}) {
        Store store(story());
        const auto names = write_files(store, ends);
        const Restored restored = store.restore();
        require_whole(restored);
        REQUIRE(restored.report.journals.size() == ends.size() + 1);
        CHECK(restored.report.journals[0].ending == "goes on in " + names[1]);
    }
}

TEST_CASE("a successor without events is a whole journal: its creator died at once", "[persist][inv-9]") {
    Store store(story());
    write_sealed(store);
    store.begin();
    require_whole(store.restore());
}

TEST_CASE("what a predecessor wrote behind the point that its successor names is ignored", "[persist][inv-9]") {
    Store store(story());
    store.begin();
    store.append(30);
    persist::FileSpec spec = store.next_spec();
    store.append(40);   // never synced; the successor writes these again
    store.begin(spec);
    store.append_blocks({12}, story().last_seq());
    require_whole(store.restore());
}

TEST_CASE("a last block of which only a part reached the disk is dropped and reported", "[persist][inv-9]") {
    for (const std::uint64_t kept : {std::uint64_t{1}, std::uint64_t{100}, std::uint64_t{2048}, kPage, kPage + 300,
                                     sizeof(persist::BlockHeader) + persist::bytes_in_journal(story().between(21, 44)) - 200}) {
        INFO(kept << " bytes of the last block");
        Store store(story());
        store.begin();
        store.append(20);
        const std::uint64_t position = store.writer().position();
        store.append(44);
        const std::uint64_t end = store.writer().position();
        REQUIRE(end > position + 2 * kPage);
        std::string bytes = store.read(store.journal());
        std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(position + kept),
                  bytes.begin() + static_cast<std::ptrdiff_t>(end), '\0');
        store.write(store.journal(), bytes);
        const Restored restored = store.restore();
        INFO(restored.error);
        REQUIRE_FALSE(restored.refused());
        CHECK_THAT(restored.report.torn, Contains("dropped, no event from 21 on was ever answered as durable"));
        CHECK(restored.seq() == 20);
        CHECK(restored.digest() == story().digest_at(20));
    }
}

TEST_CASE("the pages of a torn block may come in any order", "[persist][inv-9]") {
    Store store(story());
    store.begin();
    store.append(20);
    const auto position = static_cast<std::ptrdiff_t>(store.writer().position());
    store.append(44);
    std::string bytes = store.read(store.journal());
    std::fill(bytes.begin() + position, bytes.begin() + position + static_cast<std::ptrdiff_t>(kPage), '\0');
    store.write(store.journal(), bytes);
    const Restored restored = store.restore();
    REQUIRE_FALSE(restored.refused());
    CHECK_FALSE(restored.report.torn.empty());
    CHECK(restored.digest() == story().digest_at(20));
}

TEST_CASE("damage of a block that a later block calls durable is refused, and the file is named", "[persist][inv-9]") {
    for (const bool sealed : {false, true}) {
        Store store(story());
        store.begin();
        store.append(20);
        const std::uint64_t position = store.writer().position();
        store.append(30);
        store.append(44);
        if (sealed) store.seal();
        store.flip(store.journal(), position + 700, 3);
        const Restored restored = store.restore();
        require_damaged(restored, "a wrong checksum at byte " + std::to_string(position));
        CHECK_THAT(restored.error, Contains("where event 21 should be"));
        CHECK_THAT(restored.error, Contains("--accept-loss"));
    }
}

TEST_CASE("a damaged last block is refused when a seal or a checkpoint says that it was on disk", "[persist][inv-9]") {
    Store sealed(story());
    sealed.begin();
    sealed.append(20);
    const std::uint64_t position = sealed.writer().position();
    sealed.append(30);
    sealed.seal();
    sealed.flip(sealed.journal(), position + 500);
    require_damaged(sealed.restore(), "a later block says");

    Store known(story());
    known.begin();
    known.append(20);
    known.append(30);
    known.flip(known.journal(), position + 500);
    CHECK(known.restore().digest() == story().digest_at(20));   // nobody knows that it was synced
    known.checkpoint(25);
    require_damaged(known.restore(), "the checkpoint says that events up to 25 were on disk");
}

TEST_CASE("a seal that is damaged is dropped and reported and the events before it stay", "[persist][inv-9]") {
    Store store(story());
    write_sealed(store);
    store.flip(store.journal(), store.writer().position() - kPage + 40);
    const Restored restored = store.restore();
    REQUIRE_FALSE(restored.refused());
    CHECK_FALSE(restored.report.torn.empty());
    CHECK(restored.digest() == story().digest_at(story().last_seq()));
}

TEST_CASE("a missing file is refused: the first, or one in the middle", "[persist][inv-9]") {
    for (const std::size_t gone : {0U, 1U}) {
        Store store(story());
        const auto names = write_files(store, {20, 41});
        store.remove(names[gone]);
        require_damaged(store.restore(), gone == 0 ? "are in no file that is left" : "a journal file is missing");
    }
}

TEST_CASE("a checkpoint bridges the files in front of it", "[persist][inv-9]") {
    Store store(story());
    const auto names = write_files(store, {20, 41});
    store.checkpoint(30);
    store.remove(names[0]);
    const Restored restored = store.restore();
    require_whole(restored);
    CHECK(restored.report.checkpoint == persist::checkpoint_name(30));
    store.remove(names[1]);
    require_damaged(store.restore(), "are in no file that is left");
}

TEST_CASE("a last file that is missing is found out by a checkpoint of what was in it", "[persist][inv-9]") {
    Store store(story());
    const auto names = write_files(store, {20, 41});
    store.checkpoint(50);
    store.remove(names[2]);
    require_damaged(store.restore(), "the checkpoint says that events up to 50 were on disk");
}

TEST_CASE("a file that was cut is refused, wherever it was cut", "[persist][inv-9]") {
    Store store(story());
    write_sealed(store);
    const std::string whole = store.read(store.journal());
    const std::uint64_t used = store.writer().position();
    for (const std::uint64_t left :
         {whole.size() - 1, std::size_t{used}, std::size_t{used} - 1, std::size_t{kPage} * 2, std::size_t{kPage}}) {
        store.write(store.journal(), whole.substr(0, left));
        require_damaged(store.restore(), "it was cut off");
    }
    store.truncate(store.journal(), kPage - 1);
    require_damaged(store.restore(), "shorter than one page");
    store.truncate(store.journal(), 0);
    require_damaged(store.restore(), "shorter than one page");
}

TEST_CASE("files of two registries side by side are refused", "[persist][inv-9]") {
    Store store(story());
    store.begin();
    store.append(20);
    persist::FileSpec spec = store.next_spec();
    spec.epoch = 99;
    store.begin(spec);
    const Restored restored = store.restore();
    REQUIRE(restored.refused_as(Errc::damaged));
    CHECK_THAT(restored.error, Contains("belongs to another registry"));
}

TEST_CASE("a checkpoint of another registry is passed over and reported", "[persist][inv-9]") {
    Store store(story());
    persist::FileSpec spec = store.next_spec();
    spec.epoch = 99;
    store.begin(spec);
    store.append_blocks({11}, story().last_seq());
    store.checkpoint(58);
    const Restored restored = store.restore();
    REQUIRE_FALSE(restored.refused());
    REQUIRE(restored.report.ignored.size() == 1);
    CHECK(restored.report.ignored[0].why == "belongs to another registry");
    CHECK(restored.digest() == story().digest_at(story().last_seq()));
}

TEST_CASE("a file that is there twice under another name, or a renamed one, is refused", "[persist][inv-9]") {
    Store store(story());
    const auto names = write_files(store, {20});
    store.write(persist::journal_name(30), store.read(names[1]));
    require_damaged(store.restore(), "its name does not fit its content");
}

TEST_CASE("a broken head is refused: of the only file, of the first, of the last", "[persist][inv-9]") {
    Store only(story());
    write_sealed(only);
    only.flip(only.journal(), 300);
    require_damaged(only.restore(), "checksum of the file block is wrong");
    for (const std::size_t broken : {0U, 1U, 2U}) {
        Store store(story());
        const auto names = write_files(store, {20, 41});
        store.flip(names[broken], 300);
        require_damaged(store.restore(), names[broken] + ": checksum of the file block is wrong");
    }
}

TEST_CASE("a journal of another version, or of a build with another layout, is refused by what differs",
          "[persist][inv-9][inv-12]") {
    Store version(story());
    write_sealed(version);
    version.flip(version.journal(), 8, 1);
    require_damaged(version.restore(), "journal version 1, this build reads 3");

    Store layout_of_another(story());
    write_sealed(layout_of_another);
    std::string bytes = layout_of_another.read(layout_of_another.journal());
    persist::BlockHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    bytes[sizeof header + offsetof(persist::FileInfo, layout_hash)] ^= 1;
    header.checksum = persist::checksum_of_block(std::as_bytes(std::span(bytes.data(), header.length)));
    std::memcpy(bytes.data(), &header, sizeof header);
    layout_of_another.write(layout_of_another.journal(), bytes);
    const Restored restored = layout_of_another.restore();
    REQUIRE(restored.refused_as(Errc::foreign));
    CHECK_THAT(restored.error, Contains("a build with another layout: recover with that build"));
}

TEST_CASE("a replica that cannot take an event says which, and stops there", "[persist][inv-9][inv-12]") {
    Store store(story());
    write_sealed(store);
    core::PrivateState small = test::genesis_of(test::small_config(16));
    persist::JournalFollower follower(store.directory(), small.state);
    CHECK_THAT(follower.advance(story().last_seq(), 1), Contains("cannot be applied"));
    core::PrivateState whole = test::genesis_of(story().config);
    persist::JournalFollower other(store.directory(), whole.state);
    CHECK(other.advance(story().last_seq(), 1) == "");
    CHECK(core::digest(whole.state) == story().digest_at(story().last_seq()));
}

TEST_CASE("a checkpoint that is no file is passed over and reported", "[persist][inv-9]") {
    Store store(story());
    write_sealed(store);
    const std::string name = persist::checkpoint_name(story().last_seq());
    std::filesystem::create_symlink("/nowhere", store.path_of(name));
    const Restored link = store.restore();
    REQUIRE_FALSE(link.refused());
    REQUIRE(link.report.ignored.size() == 1);
    CHECK_THAT(link.report.ignored[0].why, Contains("cannot be opened: "));
    CHECK(link.digest() == story().digest_at(story().last_seq()));
}

TEST_CASE("a host without room for the tables is no reason to pass over a checkpoint", "[persist][inv-9][inv-12]") {
    Store store(story());
    store.begin();
    store.append_blocks({15, 15}, story().last_seq());
    store.checkpoint(40);
    const auto restore_with = [&](Errc code) {
        persist::Sources sources(store.directory(), "");
        int asked = 0;
        core::PrivateState tables;
        const auto fresh = [&](const std::string& config) -> core::State& {
            if (++asked == 1) throw Error(code, "no tables for this configuration");
            return (tables = test::genesis_of(config)).state;
        };
        return persist::restore(store.directory(), sources, fresh, {});
    };
    CHECK_THROWS_MATCHES(restore_with(Errc::no_space), Error,
                         Catch::Predicate<Error>([](const Error& e) { return e.code() == Errc::no_space; }));
    const persist::RecoveryReport report = restore_with(Errc::bad_input);
    REQUIRE(report.ignored.size() == 1);
    CHECK(report.ignored[0].why == "no tables for this configuration");
    CHECK(report.end_seq == story().last_seq());
}

TEST_CASE("a key that is too short is refused by its length", "[persist][input]") {
    Store store(story());
    write_sealed(store);
    const Restored restored = store.restore({.key_file = store.key_file("short")});
    REQUIRE(restored.refused_as(Errc::bad_input));
    CHECK_THAT(restored.error, Contains("seen 5 bytes, allowed: 16 to"));
}

TEST_CASE("a broken head of a file that a checkpoint covers is not in the way", "[persist][inv-9]") {
    Store store(story());
    const auto names = write_files(store, {20, 41});
    store.checkpoint(45);
    store.flip(names[0], 300);
    store.flip(names[1], 300);
    CHECK(store.restore().digest() == story().digest_at(story().last_seq()));
}

TEST_CASE("the end of a predecessor must be the one that its successor names", "[persist][inv-9]") {
    Store store(story());
    store.begin();
    store.append(20);
    persist::FileSpec spec = store.next_spec();
    spec.predecessor_hash ^= 2;
    store.begin(spec);
    require_damaged(store.restore(), "its last block is not the one that");

    Store longer(story());
    longer.begin();
    longer.append(20);
    spec = longer.next_spec();
    longer.begin(spec);
    const std::string second = longer.journal();
    longer.append(30);
    longer.flip(persist::journal_name(2), longer.read(persist::journal_name(2)).find("ES"));   // within the head
    require_damaged(longer.restore(), "checksum of the file block is wrong");
}

TEST_CASE("a journal replayed into larger tables gives an equal digest", "[persist][inv-11]") {
    Store store(story());
    write_files(store, {20, 41});
    for (const std::uint32_t orders : {64U, 100U, 4096U}) {
        const Restored restored = store.restore({.config = test::small_config(orders)});
        require_whole(restored);
        CHECK(restored.tables.state.geometry.orders == orders);
    }
}

TEST_CASE("a journal of more records than the tables hold is refused, without a byte beyond them", "[persist][inv-9]") {
    Store store(story());
    write_sealed(store);
    const Restored restored = store.restore({.config = test::small_config(16)});
    require_damaged(restored, "cannot be applied");
}

TEST_CASE("recovering the same files twice gives equal bytes, and changes no file", "[persist][inv-9][inv-11]") {
    Store store(story());
    const auto names = write_files(store, {20, 41});
    store.checkpoint(33);
    std::vector<std::string> before;
    for (const std::string& name : names) before.push_back(store.read(name));
    const Restored first = store.restore();
    const Restored second = store.restore();
    require_whole(first);
    CHECK(bytes_of(first.tables.state) == bytes_of(second.tables.state));
    for (std::size_t i = 0; i < names.size(); ++i) CHECK(store.read(names[i]) == before[i]);
}

TEST_CASE("an all-or-none batch is wholly there or wholly absent, wherever its block is torn", "[persist][inv-9]") {
    const std::uint64_t first = story().batch_begin + 2;
    const std::uint64_t last = batch_last();
    REQUIRE(last == first + 2);
    Store store(story());
    store.begin();
    store.append_blocks({9, 9}, first - 1);
    const auto position = static_cast<std::ptrdiff_t>(store.writer().position());
    store.append(last);
    const std::string whole = store.read(store.journal());
    const auto end = static_cast<std::ptrdiff_t>(store.writer().position());
    for (std::ptrdiff_t torn = position; torn < end; torn += 512) {
        std::string bytes = whole;
        std::fill(bytes.begin() + torn, bytes.begin() + end, '\0');
        store.write(store.journal(), bytes);
        const Restored restored = store.restore();
        REQUIRE_FALSE(restored.refused());
        const bool all_there = bytes == whole;
        CHECK(restored.digest() == story().digest_at(all_there ? last : first - 1));
    }
    store.write(store.journal(), whole);
    CHECK(store.restore().digest() == story().digest_at(last));
}

TEST_CASE("a gap of the journal is only crossed by a checkpoint above it", "[persist][inv-9]") {
    const auto gapped = [](Store& store) {
        store.begin();
        store.append(20);
        persist::FileSpec spec = store.next_spec();
        spec.first_seq = 41;   // events 21 … 40 are in no journal
        spec.predecessor_last_seq = 20;
        spec.base_seq = 40;
        store.begin(spec);
        store.append_blocks({6}, story().last_seq());
        store.seal();
    };
    Store bare(story());
    gapped(bare);
    const Restored refused = bare.restore();
    require_damaged(refused, "events 21 to 40 are in no journal");
    CHECK_THAT(refused.error, Contains("no valid checkpoint of 40 or later is left"));

    Store below(story());
    gapped(below);
    below.checkpoint(30, {}, persist::CheckpointSource::memory);
    require_damaged(below.restore(), "are in no journal");

    for (const std::uint64_t seq : {std::uint64_t{40}, std::uint64_t{52}, story().last_seq()}) {
        Store above(story());
        gapped(above);
        above.checkpoint(seq, {}, persist::CheckpointSource::memory);
        require_whole(above.restore());
    }
}

TEST_CASE("a checkpoint above a gap that is damaged leaves nothing to go on from", "[persist][inv-9]") {
    Store store(story());
    store.begin();
    store.append(20);
    persist::FileSpec spec = store.next_spec();
    spec.first_seq = 41;
    spec.base_seq = 40;
    store.begin(spec);
    store.append_blocks({6}, story().last_seq());
    const std::string older = store.checkpoint(15);
    const std::string newer = store.checkpoint(44, {}, persist::CheckpointSource::memory);
    require_whole(store.restore());
    store.flip(newer, 900);
    require_damaged(store.restore(), "no valid checkpoint of 40 or later is left");
}

TEST_CASE("a damaged checkpoint is passed over for the one before it, or for the whole journal", "[persist][inv-9]") {
    Store store(story());
    write_files(store, {20, 41});
    const std::string older = store.checkpoint(35);
    const std::string newer = store.checkpoint(58);
    CHECK(store.restore().report.checkpoint == newer);
    store.flip(newer, 1000);
    Restored restored = store.restore();
    CHECK(restored.report.checkpoint == older);
    REQUIRE(restored.report.ignored.size() == 1);
    CHECK(restored.report.ignored[0].name == newer);
    CHECK(restored.report.ignored[0].why == "sha256 does not match its content");
    CHECK(restored.digest() == story().digest_at(story().last_seq()));
    store.flip(older, 1000);
    restored = store.restore();
    CHECK(restored.report.checkpoint.empty());
    CHECK(restored.report.ignored.size() == 2);
    CHECK(restored.digest() == story().digest_at(story().last_seq()));
}

TEST_CASE("accept_loss takes what stands before the first damage, says what is lost, and changes nothing", "[persist][inv-9]") {
    Store store(story());
    const auto names = write_files(store, {20, 41});
    store.flip(names[1], store.read(names[1]).size() - 9 * kPage);   // zeroes: not needed, as the successor says
    require_whole(store.restore());
    const std::uint64_t head = persist::file_size_for(story().config.size(), 0);
    store.flip(names[1], head + kPage + 600);   // the second block, of events 26 to 32
    require_damaged(store.restore(), names[1]);
    const Restored restored = store.restore({.options = {.upto = {}, .accept_loss = true}});
    REQUIRE_FALSE(restored.refused());
    CHECK_THAT(restored.report.damage, Contains(names[1]));
    CHECK(restored.seq() == 25);
    CHECK(restored.digest() == story().digest_at(25));
    CHECK(core::audit(restored.tables.state).clean());
}

TEST_CASE("a restore up to a sequence stops there and does not judge what follows", "[persist][inv-9]") {
    Store store(story());
    store.begin();
    store.append(20);
    const std::uint64_t position = store.writer().position();
    store.append(30);
    store.append(40);
    store.flip(store.journal(), position + 500);
    const Restored restored = store.restore({.options = {.upto = 20, .accept_loss = false}});
    REQUIRE_FALSE(restored.refused());
    CHECK(restored.digest() == story().digest_at(20));
    require_damaged(store.restore({.options = {.upto = 21, .accept_loss = false}}), "event 21");
}

TEST_CASE("an empty directory has nothing to restore from, and says so", "[persist]") {
    const Store store(story());
    const Restored restored = store.restore();
    CHECK(restored.refused_as(Errc::missing));
    CHECK_THAT(restored.error, Contains("no journal and no checkpoint"));
}
