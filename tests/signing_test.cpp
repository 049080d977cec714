// Whose files they are: with a key, every block of a journal is signed with it, a checkpoint names the block that it was made
// from, and the key's file is nobody else's. A forger here puts right whatever needs no key: checksums, hashes, numbers.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "support/store.hpp"

using namespace riskreg;
using Catch::Contains;
using persist::BlockHeader;
using persist::BlockKind;
using test::Restored;
using test::Store;

namespace {

constexpr const char* kOurs = "our secret of some length";
constexpr const char* kTheirs = "a stranger's secret of theirs";

const test::History& story() {
    static const test::History history = test::every_kind_of_event();
    return history;
}

/// One file, sealed; blocks that begin at page boundaries known to `blocks_of`.
void write_sealed(Store& store, std::initializer_list<std::uint64_t> sizes = {1, 15, 2, 16}) {
    store.begin();
    store.append_blocks(sizes, story().last_seq());
    store.seal();
}

Restored restore_with(const Store& store, const std::string& key = kOurs, persist::RestoreOptions options = {}) {
    return store.restore({.key_file = key.empty() ? std::string() : store.key_file(key), .options = std::move(options)});
}

void require_whole(const Restored& restored) {
    INFO(restored.error);
    REQUIRE_FALSE(restored.refused());
    CHECK_FALSE(restored.reported());
    CHECK(restored.digest() == story().digest_at(story().last_seq()));
}

void require_damaged(const Restored& restored, const std::string& message) {
    INFO(restored.error);
    REQUIRE(restored.refused_as(Errc::damaged));
    CHECK_THAT(restored.error, Contains(message));
}

BlockHeader header_at(const std::string& bytes, std::size_t at) {
    BlockHeader header;
    std::memcpy(&header, bytes.data() + at, sizeof header);
    return header;
}

std::vector<std::size_t> blocks_of(const std::string& bytes) {
    std::vector<std::size_t> blocks;
    for (std::size_t at = 0; at + sizeof(BlockHeader) <= bytes.size();) {
        const BlockHeader header = header_at(bytes, at);
        if (header.magic != persist::kBlockMagic) break;
        blocks.push_back(at);
        at += header.length;
    }
    return blocks;
}

std::span<const std::byte> block_at(const std::string& bytes, std::size_t at) {
    return std::as_bytes(std::span(bytes.data() + at, header_at(bytes, at).length));
}

/// What a forger without the key puts right from block `from` on: the chain of hashes, and checksums.
void repair(std::string& bytes, std::size_t from = 0) {
    std::uint64_t hash = 0;
    for (const std::size_t at : blocks_of(bytes)) {
        BlockHeader header = header_at(bytes, at);
        if (at > from) header.previous_hash = hash;
        std::memcpy(bytes.data() + at, &header, sizeof header);
        if (at >= from) header.checksum = persist::checksum_of_block(block_at(bytes, at));
        std::memcpy(bytes.data() + at, &header, sizeof header);
        hash = persist::hash_of_block(block_at(bytes, at));
    }
}

/// Every file of a directory, byte for byte.
std::map<std::string, std::string> content_of(const Store& store) {
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(store.directory().path()))
        files[entry.path().filename().string()] = store.read(entry.path().filename().string());
    return files;
}

}  // namespace

TEST_CASE("a signed journal is restored with its key, and each of its blocks carries a signature", "[persist][signing]") {
    Store store(story(), kOurs);
    write_sealed(store);
    require_whole(restore_with(store));
    const std::string bytes = store.read(store.journal());
    REQUIRE(blocks_of(bytes).size() == 7);
    for (const std::size_t at : blocks_of(bytes)) CHECK(persist::is_signed(header_at(bytes, at)));
}

TEST_CASE("without a key no block carries a signature, and there is nothing to check", "[persist][signing]") {
    Store store(story());
    write_sealed(store);
    require_whole(store.restore());
    const std::string bytes = store.read(store.journal());
    for (const std::size_t at : blocks_of(bytes)) CHECK_FALSE(persist::is_signed(header_at(bytes, at)));
}

TEST_CASE("a stranger's journal is refused by name with the key given, and nothing is changed", "[persist][signing]") {
    for (const std::string theirs : {"", kTheirs}) {
        INFO((theirs.empty() ? "not signed" : "signed with another key"));
        Store store(story(), theirs);
        write_sealed(store);
        const auto before = content_of(store);
        const Restored restored = restore_with(store);
        require_damaged(restored, store.journal() + ": is not signed with the key of ");
        CHECK_THAT(restored.error, Contains("/key"));
        CHECK(content_of(store) == before);
    }
}

TEST_CASE("a stranger's file behind our own is refused, not taken for its continuation", "[persist][signing]") {
    for (const std::string theirs : {"", kTheirs}) {
        Store store(story(), kOurs);
        store.begin();
        store.append(20);
        persist::FileSpec spec = store.next_spec();
        spec.key.bytes = theirs;
        store.begin(spec);
        store.append(story().last_seq());
        store.seal();
        require_damaged(restore_with(store), store.journal() + ": is not signed with the key of ");
        const Restored taken = restore_with(store, kOurs, {.accept_loss = true});
        REQUIRE_FALSE(taken.refused());
        CHECK(taken.seq() == 20);
    }
}

TEST_CASE("signed files without a key are refused with the remedy, and are no loss to be accepted", "[persist][signing]") {
    Store store(story(), kOurs);
    write_sealed(store);
    for (const bool with_checkpoint : {false, true}) {
        // Not signed itself: the files beside it are what tells.
        if (with_checkpoint) store.checkpoint(30);
        for (const bool accept_loss : {false, true}) {
            const Restored restored = restore_with(store, "", {.accept_loss = accept_loss});
            require_damaged(restored, store.journal() + " is signed with a key, and none was given");
            CHECK_THAT(restored.error, Contains("--key-file FILE"));
        }
    }
}

TEST_CASE("no bit of a signed journal flips, checksums and hashes put right behind it", "[persist][signing]") {
    Store store(story(), kOurs);
    write_sealed(store);
    const std::string name = store.journal();
    const std::string whole = store.read(name);
    const std::vector<std::size_t> blocks = blocks_of(whole);
    for (std::size_t i = 0; i < blocks.size(); ++i) {
        const std::size_t length = header_at(whole, blocks[i]).length;
        for (std::size_t byte = 8; byte < length; byte += 61) {
            INFO("block " << i << " byte " << byte);
            std::string forged = whole;
            forged[blocks[i] + byte] = static_cast<char>(forged[blocks[i] + byte] ^ 4);
            repair(forged, blocks[i]);
            store.write(name, forged);
            const Restored restored = restore_with(store);
            const bool seal = i + 1 == blocks.size();
            // The seal holds nothing itself; dropped as torn, nothing is lost.
            if (seal && !restored.refused()) {
                CHECK(restored.digest() == story().digest_at(story().last_seq()));
                CHECK_FALSE(restored.report.torn.empty());
            } else {
                REQUIRE(restored.refused_as(Errc::damaged));
            }
        }
    }
}

TEST_CASE("a price that was changed by someone without the key is refused, without a key nobody can tell",
          "[persist][signing]") {
    for (const std::string key : {"", kOurs}) {
        Store store(story(), key);
        write_sealed(store);
        std::string forged = store.read(store.journal());
        const std::size_t block = blocks_of(forged)[2];
        layout::Event event;
        std::memcpy(static_cast<void*>(&event), forged.data() + block + sizeof(BlockHeader), sizeof event);
        event.header.time_ns += 1;
        event.header.checksum = layout::checksum_of(event, event.header.seq);
        std::memcpy(forged.data() + block + sizeof(BlockHeader), &event, sizeof event);
        repair(forged, block);
        store.write(store.journal(), forged);
        const Restored restored = restore_with(store, key);
        if (key.empty()) CHECK_FALSE(restored.refused());
        else require_damaged(restored, "a block that is not signed with the key of ");
    }
}

TEST_CASE("an unsigned block behind signed ones is dropped as a torn tail, and refused when it says that it was on disk",
          "[persist][signing]") {
    const bool claims = GENERATE(false, true);
    Store store(story(), kOurs);
    store.begin();
    store.append(30);
    store.seal();
    const std::size_t end = store.writer().position();
    store.append(story().last_seq());
    std::string forged = store.read(store.journal());
    BlockHeader header = header_at(forged, end);
    if (claims) header.durable_upto = story().last_seq();
    std::memset(header.mac, 0, sizeof header.mac);
    std::memcpy(forged.data() + end, &header, sizeof header);
    repair(forged, end);
    store.write(store.journal(), forged);
    const Restored restored = restore_with(store);
    if (claims) return require_damaged(restored, "not signed with the key of");
    REQUIRE_FALSE(restored.refused());
    CHECK(restored.seq() == 30);
    CHECK_THAT(restored.report.torn, Contains("not signed with the key of"));
}

TEST_CASE("blocks from another file, or from another registry with the same key, are none of this file", "[persist][signing]") {
    Store store(story(), kOurs);
    store.begin();
    store.append_blocks({10, 10}, 31);
    const std::string first = store.journal();
    store.begin();
    store.append_blocks({5}, story().last_seq());
    store.seal();

    Store foreign(story(), kOurs);
    persist::FileSpec spec = foreign.next_spec();
    spec.epoch ^= 1;
    foreign.begin(spec);
    foreign.append_blocks({10, 10}, 31);

    const std::string whole = store.read(first);
    const std::size_t victim = blocks_of(whole)[2];
    int spliced_blocks = 0;
    const auto splice = [&](const std::string& from, std::size_t at) {
        BlockHeader header = header_at(from, at);
        const BlockHeader own = header_at(whole, victim);
        REQUIRE(header.length == own.length);
        header.file_number = own.file_number;
        header.epoch = own.epoch;
        std::string spliced = whole;
        spliced.replace(victim, header.length, from, at, header.length);
        std::memcpy(spliced.data() + victim, &header, sizeof header);
        repair(spliced, blocks_of(whole)[1]);
        store.write(first, spliced);
        require_damaged(restore_with(store), first + ": ends behind event");
        CHECK_THAT(restore_with(store).error, Contains("not signed with the key of"));
        ++spliced_blocks;
    };
    const std::string next = store.read(store.journal());
    for (const std::size_t at : blocks_of(next))
        if (header_at(next, at).kind == BlockKind::events && header_at(next, at).length == header_at(whole, victim).length)
            splice(next, at);
    splice(foreign.read(foreign.journal()), victim);
    CHECK(spliced_blocks >= 2);

    // The whole file of the other registry, as it is: another epoch is another registry, whoever signed.
    store.write(first, foreign.read(foreign.journal()));
    require_damaged(restore_with(store), "belongs to another registry");
}

TEST_CASE("a block of another history cannot stand in for the one behind it", "[persist][signing]") {
    Store ours(story(), kOurs), other(story(), kOurs);
    write_sealed(ours, {10, 10});
    write_sealed(other, {8, 12});
    std::string spliced = ours.read(ours.journal());
    const std::string from = other.read(other.journal());
    const std::size_t third = blocks_of(spliced)[3];
    REQUIRE(blocks_of(from)[3] == third);
    const std::size_t length = header_at(from, third).length;
    REQUIRE(header_at(spliced, third).length == length);
    // Same events, same place, same key, as it was written: only what stands before it is not what it was signed behind.
    spliced.replace(third, length, from, third, length);
    ours.write(ours.journal(), spliced);
    require_damaged(restore_with(ours), "a broken hash chain");
}

// ---- the chain from a checkpoint to the journal -----------------------------------------------------------------------

TEST_CASE("a checkpoint names the block that it was made from, and its journal is taken behind it", "[persist][signing]") {
    for (const std::string key : {"", kOurs}) {
        Store store(story(), key);
        store.begin();
        store.append_blocks({10, 10}, 31);
        const persist::JournalMark mark = store.mark();
        const std::string name = store.checkpoint(31, key, persist::CheckpointSource::replica, mark);
        store.append(story().last_seq());
        store.seal();
        const Restored restored = restore_with(store, key);
        require_whole(restored);
        CHECK(restored.report.head.journal == mark);
        CHECK(restored.report.mark == store.mark());
        CHECK_THAT(store.read(name), Contains(R"("journal":{"file":1,"last_seq":31,"hash":")"));
    }
}

TEST_CASE("a journal of another history of the same registry, under the same key, is not taken", "[persist][signing]") {
    for (const std::string key : {"", kOurs}) {
        Store ours(story(), key), older(story(), key);
        ours.begin();
        ours.append_blocks({10, 10}, 31);
        ours.checkpoint(31, key, persist::CheckpointSource::replica, ours.mark());
        ours.append(story().last_seq());
        ours.seal();
        write_sealed(older, {8, 12});
        REQUIRE(ours.journal() == older.journal());
        ours.write(ours.journal(), older.read(older.journal()));
        require_damaged(restore_with(ours, key), "of another history of this registry");
    }
}

TEST_CASE("an older journal that ends before its checkpoint is damage", "[persist][signing]") {
    Store ours(story(), kOurs), older(story(), kOurs);
    ours.begin();
    ours.append_blocks({10, 10}, 31);
    ours.checkpoint(31, kOurs, persist::CheckpointSource::replica, ours.mark());
    older.begin();
    older.append_blocks({10}, 11);
    older.seal();
    ours.write(ours.journal(), older.read(older.journal()));
    require_damaged(restore_with(ours), "the checkpoint says that events up to 31 were on disk");
}

TEST_CASE("behind a checkpoint at the end of a file goes the file that follows that very block", "[persist][signing]") {
    for (const bool first_is_left : {true, false}) {
        Store ours(story(), kOurs), other(story(), kOurs);
        const auto write_two = [](Store& store, std::initializer_list<std::uint64_t> sizes) {
            store.begin();
            store.append_blocks(sizes, 31);
            const persist::JournalMark mark = store.mark();
            store.begin();
            store.append(story().last_seq());
            store.seal();
            return mark;
        };
        const persist::JournalMark mark = write_two(ours, {10, 10});
        write_two(other, {8, 12});
        ours.checkpoint(31, kOurs, persist::CheckpointSource::replica, mark);
        if (!first_is_left) ours.remove(persist::journal_name(2));
        require_whole(restore_with(ours));
        ours.write(ours.journal(), other.read(other.journal()));
        require_damaged(restore_with(ours), ours.journal() + " is not the continuation of " + persist::checkpoint_name(31));
    }
}

TEST_CASE("a host that gave a file up and wrote its events again is followed from every checkpoint", "[persist][signing]") {
    for (const std::uint64_t at : {21U, 31U, 41U}) {
        Store store(story(), kOurs);
        store.begin();
        store.append_blocks({10, 10}, 21);
        persist::JournalMark mark = store.mark();
        persist::FileSpec successor = store.next_spec();
        store.append(35);   // never synced: the successor says so
        store.begin(successor);
        for (const std::uint64_t last : {31ULL, 41ULL}) {
            store.append(last);
            if (last <= at) mark = store.mark();
        }
        store.append(story().last_seq());
        store.seal();
        store.checkpoint(at, kOurs, persist::CheckpointSource::replica, mark);
        require_whole(restore_with(store));
    }
}

TEST_CASE("beside a journaller nothing is made from what was given up, when its successor cannot be told",
          "[persist][signing]") {
    Store store(story(), kOurs);
    store.begin();
    store.append_blocks({10, 10}, 21);
    persist::FileSpec successor = store.next_spec();
    store.append(35);   // never synced: the successor says so
    store.begin(successor);
    store.append(31);
    std::string bytes = store.read(store.journal());
    bytes.at(0) ^= 1;
    store.write(store.journal(), bytes);
    persist::RestoreOptions options;
    options.upto = 31;
    require_damaged(restore_with(store, kOurs, options), store.journal());
}

TEST_CASE("a checkpoint from memory names no block, and the file behind its gap is taken by its base", "[persist][signing]") {
    Store store(story(), kOurs);
    store.begin();
    store.append(20);
    store.checkpoint(30, kOurs, persist::CheckpointSource::memory);
    persist::FileSpec spec = store.next_spec();
    spec.base_seq = 30;
    spec.first_seq = 31;
    store.begin(spec);
    store.append(story().last_seq());
    store.seal();
    const Restored restored = restore_with(store);
    require_whole(restored);
    CHECK_FALSE(restored.report.head.journal.present());
    CHECK(restored.report.mark == store.mark());
}

TEST_CASE("a replica knows the block that it was made from, across files and from a checkpoint on", "[persist][signing]") {
    Store store(story(), kOurs);
    store.begin();
    store.append_blocks({10, 10}, 31);
    core::PrivateState tables = test::genesis_of(story().config);
    persist::JournalFollower follower(store.directory(), tables.state, persist::Key{kOurs});
    CHECK_FALSE(follower.mark().present());
    REQUIRE(follower.advance(31, 1) == "");
    CHECK(follower.mark() == store.mark());
    store.begin();
    store.append(story().last_seq());
    REQUIRE(follower.advance(story().last_seq(), 2) == "");
    CHECK(follower.mark() == store.mark());

    core::PrivateState keyless = test::genesis_of(story().config);
    persist::JournalFollower other(store.directory(), keyless.state);
    CHECK_THAT(other.advance(31, 1), Contains("is signed with a key, and none was given"));
    CHECK(keyless.state.log->applied == layout::kGenesis);
}

TEST_CASE("where a journal is continued is told only by blocks of the key, and never beside signed ones without",
          "[persist][signing]") {
    Store store(story(), kOurs);
    write_sealed(store);
    const persist::Tail ours = persist::find_tail(store.directory(), story().last_seq(), persist::Key{kOurs});
    CHECK(ours.found);
    CHECK(ours.last_seq == story().last_seq());
    CHECK(ours.needs_key.empty());
    const persist::Tail none = persist::find_tail(store.directory(), story().last_seq());
    CHECK(none.needs_key == store.journal());
    CHECK_FALSE(none.found);
    const persist::Tail theirs = persist::find_tail(store.directory(), story().last_seq(), persist::Key{kTheirs});
    CHECK_THAT(theirs.problem, Contains("is not signed with"));
    CHECK(theirs.newest_number == 0);
}

TEST_CASE("auditors read signed events with the key, and none of them without", "[persist][signing]") {
    Store store(story(), kOurs);
    write_sealed(store);
    const auto all = [](const layout::Event&) { return true; };
    const std::uint64_t end = story().last_seq() + 1;
    CHECK(persist::read_events(store.directory(), 2, end - 1, all, persist::Key{kOurs}) == end);
    CHECK(persist::read_events(store.directory(), 2, end - 1, all) == 2);
    CHECK(persist::read_events(store.directory(), 2, end - 1, all, persist::Key{kTheirs}) == 2);
}

TEST_CASE("who wrote a file is in its head", "[persist][signing]") {
    Store store(story(), kOurs);
    persist::FileSpec spec = store.next_spec();
    for (std::size_t i = 0; i < spec.boot_id.size(); ++i) spec.boot_id[i] = static_cast<std::uint8_t>(i + 1);
    spec.shm_device = 23;
    spec.shm_identity = 42;
    store.begin(spec);
    store.append(20);
    store.begin();
    const auto head_of = [&](std::uint64_t first) {
        persist::File file;
        persist::FileHead head;
        REQUIRE_FALSE(store.directory().open_file(persist::journal_name(first), file));
        REQUIRE(persist::read_head(file, head, persist::Key{kOurs}) == "");
        return head;
    };
    const persist::FileHead told = head_of(2);
    CHECK(std::equal(spec.boot_id.begin(), spec.boot_id.end(), told.info.boot_id));
    CHECK(told.info.shm_device == 23);
    CHECK(told.info.shm_identity == 42);
    const persist::FileHead not_known = head_of(21);
    CHECK(not_known.info.boot_id[0] == 0);
    CHECK(not_known.info.shm_device == 0);
}

// ---- the key's file ---------------------------------------------------------------------------------------------------

namespace {

std::string why_refused(const std::string& path) {
    try {
        static_cast<void>(persist::read_key(path));
        return {};
    } catch (const Error& error) {
        CHECK(error.code() == Errc::permission);
        return error.what();
    }
}

}  // namespace

TEST_CASE("a key file that others may read or write is refused by its mode, its owner and the remedy", "[persist][signing]") {
    const test::TempDir place;
    const std::string path = place.path() + "/key";
    std::ofstream(path) << kOurs;
    for (const unsigned mode : {0644U, 0640U, 0604U, 0620U, 0602U, 0610U, 0666U, 0777U}) {
        REQUIRE(::chmod(path.c_str(), mode) == 0);
        const std::string why = why_refused(path);
        CHECK_THAT(why, Contains("key file " + path + ": its mode is 0"));
        CHECK_THAT(why, Contains("owner uid " + std::to_string(::geteuid())));
        CHECK_THAT(why, Contains("chmod 600 " + path));
    }
    for (const unsigned mode : {0600U, 0400U}) {
        REQUIRE(::chmod(path.c_str(), mode) == 0);
        CHECK(persist::read_key(path).bytes == kOurs);
        CHECK(persist::read_key(path).file == path);
    }
    // A link is only a name: what counts is the file.
    std::filesystem::create_symlink(path, place.path() + "/link");
    CHECK(persist::read_key(place.path() + "/link").bytes == kOurs);
}

TEST_CASE("a key file that is no regular file, or somebody else's, is refused", "[persist][signing]") {
    const test::TempDir place;
    CHECK_THAT(why_refused(place.path()), Contains("is not a regular file"));
    const std::string pipe = place.path() + "/pipe";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    CHECK_THAT(why_refused(pipe), Contains("is not a regular file"));
    CHECK_THAT(why_refused("/dev/zero"), Contains("is not a regular file"));
    if (::geteuid() != 0) return;   // only root can give a file away
    const std::string theirs = place.path() + "/theirs";
    std::ofstream(theirs) << kOurs;
    REQUIRE(::chmod(theirs.c_str(), 0600) == 0);
    REQUIRE(::chown(theirs.c_str(), 12345, 12345) == 0);
    CHECK_THAT(why_refused(theirs), Contains("belongs to uid 12345, allowed: uid 0"));
}
