// Every bit of a journal and of a checkpoint flipped, every length that they can be cut to, every sector lost: what was
// acknowledged comes back whole, or recovery refuses. Never another state, never a crash, and never without a word.
//
// The short form strides over bits and lengths; RISKREG_LONG=1 takes every one of them. Each case prints its counts.
#include <catch2/catch.hpp>
#include <cstdio>

#include "support/child.hpp"
#include "support/setting.hpp"
#include "support/store.hpp"

using namespace riskreg;
using test::Restored;
using test::Store;

namespace {

constexpr std::uint64_t kPage = persist::kBlockPage;
constexpr std::uint64_t kSector = 512;
constexpr const char* kSecret = "0123456789abcdef-secret";

const test::History& story() {
    static const test::History history = test::every_kind_of_event();
    return history;
}

/// What became of the damaged files.
struct Tally {
    std::uint64_t trials = 0;
    std::uint64_t refused = 0;         ///< by an Error
    std::uint64_t fallen_back = 0;     ///< the same state from other files, the damaged one named in the report
    std::uint64_t dropped = 0;         ///< the same state, and a torn tail in the report
    std::uint64_t unnoticed = 0;       ///< the same state, and nothing in the report
    std::uint64_t different = 0;       ///< another state: never
    std::string first_different, first_unnoticed;

    void add(const Restored& restored, std::uint64_t expected, const std::string& what) {
        ++trials;
        if (restored.refused()) {
            ++refused;
        } else if (restored.digest() != expected) {
            if (different++ == 0) first_different = what + " " + restored.report.torn;
        } else if (!restored.report.ignored.empty()) {
            ++fallen_back;
        } else if (!restored.report.torn.empty()) {
            ++dropped;
        } else if (unnoticed++ == 0) {
            first_unnoticed = what;
        }
    }
    void print(const std::string& what) const {
        std::printf("%-62s %8llu: %llu refused, %llu by other files, %llu dropped as torn, %llu unnoticed, %llu different\n",
                    what.c_str(), number(trials), number(refused), number(fallen_back), number(dropped), number(unnoticed),
                    number(different));
        std::fflush(stdout);
    }
    static unsigned long long number(std::uint64_t value) { return value; }
};

/// One file of a store that is damaged again and again, and healed in between.
class Patient {
public:
    Patient(const Store& store, std::string name, std::string key_file = {})
        : store_(store), name_(std::move(name)), key_file_(std::move(key_file)), whole_(store.read(name_)) {
        const Restored restored = look();
        if (restored.refused() || restored.reported()) throw std::runtime_error("the patient is not well: " + restored.error);
        expected_ = restored.digest();
        if (store_.directory().open_file(name_, file_, true)) throw std::runtime_error("cannot open " + name_);
    }
    [[nodiscard]] std::uint64_t size() const noexcept { return whole_.size(); }

    /// Bits from … to (in bytes), with a stride.
    Tally flip_bits(std::uint64_t from, std::uint64_t to, std::uint64_t stride) {
        Tally tally;
        for (std::uint64_t bit = from * 8; bit < to * 8; bit += stride) {
            const char damaged = static_cast<char>(whole_[bit / 8] ^ 1 << bit % 8);
            put(bit / 8, {&damaged, 1});
            tally.add(look(), expected_, "bit " + std::to_string(bit % 8) + " of byte " + std::to_string(bit / 8));
            put(bit / 8, {&whole_[bit / 8], 1});
        }
        return tally;
    }
    /// Cut to each length from … to − 1.
    Tally cut(std::uint64_t from, std::uint64_t to, std::uint64_t stride) {
        Tally tally;
        for (std::uint64_t length = from; length < to; length += stride) {
            store_.truncate(name_, length);
            tally.add(look(), expected_, "cut to " + std::to_string(length));
            put(length, std::string_view(whole_).substr(length));
        }
        return tally;
    }
    /// Each sector lost: zeroes, or what stands in another place of the same file.
    Tally lose_sectors(std::uint64_t from, std::uint64_t to) {
        Tally tally;
        for (std::uint64_t at = from; at < to; at += kSector)
            for (std::uint64_t other = 0; other <= to; other += kSector) {
                const std::string_view mine = std::string_view(whole_).substr(at, kSector);
                const std::string lost = other == to ? std::string(mine.size(), '\0')
                                                     : whole_.substr(other, std::min<std::uint64_t>(kSector, mine.size()));
                if (mine == lost || lost.size() < mine.size()) continue;
                put(at, lost);
                tally.add(look(), expected_, "sector at " + std::to_string(at) + " from " + std::to_string(other));
                put(at, mine);
            }
        return tally;
    }
    [[nodiscard]] Restored look() const { return store_.restore({.key_file = key_file_}); }

private:
    void put(std::uint64_t at, std::string_view bytes) {
        if (file_.write_at(bytes.data(), bytes.size(), at)) throw std::runtime_error("cannot write " + name_);
    }
    const Store& store_;
    std::string name_, key_file_, whole_;
    std::uint64_t expected_ = 0;
    persist::File file_;
};

/// Every bit when there is time, else one in `stride`, which has no common divisor with a byte.
std::uint64_t every(std::uint64_t stride) { return test::long_form() ? 1 : stride; }

void require_noticed(const Tally& tally, const std::string& what) {
    tally.print(what);
    CHECK(tally.first_different == "");
    CHECK(tally.first_unnoticed == "");
    CHECK(tally.trials > 0);
    CHECK(tally.different == 0);
    CHECK(tally.unnoticed == 0);
}

void require_same(const Tally& tally, const std::string& what) {
    tally.print(what);
    CHECK(tally.first_different == "");
    CHECK(tally.different == 0);
    CHECK(tally.trials > 0);
}

void require_refused(const Tally& tally, const std::string& what) {
    require_noticed(tally, what);
    CHECK(tally.refused == tally.trials);
}

void write_sealed(Store& store) {
    store.begin(16);
    store.append_blocks({1, 15, 2, 16}, story().last_seq());
    store.seal();
}

/// Files that end at 20, at 41 and at the end.
std::vector<std::string> write_three(Store& store) {
    std::vector<std::string> names;
    for (const std::uint64_t end : {std::uint64_t{20}, std::uint64_t{41}, story().last_seq()}) {
        store.begin(12);
        store.append_blocks({5, 7}, end);
        names.push_back(store.journal());
    }
    store.seal();
    return names;
}

}  // namespace

TEST_CASE("no bit of a sealed journal flips without a word, and none changes the state", "[persist][inv-9]") {
    Store store(story());
    write_sealed(store);
    const std::uint64_t used = store.writer().position();
    const std::uint64_t seal = used - kPage;
    Patient journal(store, store.journal());
    require_refused(journal.flip_bits(0, seal, every(23)), "bits of the blocks before the seal");
    const Tally of_seal = journal.flip_bits(seal, used, every(7));
    require_noticed(of_seal, "bits of the seal");
    CHECK(of_seal.dropped == of_seal.trials);
    const Tally behind = journal.flip_bits(used, journal.size(), every(101));
    require_noticed(behind, "bits of the zeroes behind the end");
    CHECK(behind.dropped == behind.trials);
}

TEST_CASE("a journal that is cut to any length is refused", "[persist][inv-9]") {
    Store store(story());
    write_sealed(store);
    Patient journal(store, store.journal());
    const std::uint64_t used = store.writer().position();
    require_refused(journal.cut(0, used, every(11)), "lengths within the used part");
    require_refused(journal.cut(used, journal.size(), every(97)), "lengths within the zeroes");
}

TEST_CASE("no sector of a sealed journal can be lost or swapped without a word, but the seal", "[persist][inv-9]") {
    Store store(story());
    write_sealed(store);
    const std::uint64_t seal = store.writer().position() - kPage;
    Patient journal(store, store.journal());
    require_refused(journal.lose_sectors(0, seal), "sectors before the seal");
    // A seal that was never written looks the same: the events before it were read in full.
    require_same(journal.lose_sectors(seal, seal + kSector), "the seal's sector");
}

TEST_CASE("in a journal without a seal only the last block can be taken for a torn tail", "[persist][inv-9]") {
    Store store(story());
    store.begin(16);
    store.append_blocks({15, 20}, story().last_seq() - 9);
    const std::uint64_t last_block = store.writer().position();
    store.append(story().last_seq());
    Patient journal(store, store.journal());
    require_refused(journal.flip_bits(0, last_block, every(29)), "bits before the last, unsealed block");
    // Nobody ever said that the last block was on disk: this is the window that protocol.md 6 names.
    const Tally last = journal.flip_bits(last_block, store.writer().position(), every(7));
    last.print("bits of the last, unsealed block");
    CHECK(last.different == last.trials);
    CHECK_THAT(last.first_different, Catch::Contains("dropped, no event from " + std::to_string(story().last_seq() - 8)));
}

TEST_CASE("no bit of a checkpoint flips without a word: what stands beside it gives the same state", "[persist][inv-9]") {
    for (const std::string key : {"", kSecret}) {
        Store store(story(), key);
        write_sealed(store);
        store.checkpoint(30, key);
        Patient checkpoint(store, store.checkpoint(50, key), key.empty() ? "" : store.key_file(key));
        const std::string with = key.empty() ? "" : " with a key";
        const Tally bits = checkpoint.flip_bits(0, checkpoint.size(), every(31));
        require_noticed(bits, "bits of a checkpoint" + with);
        CHECK(bits.fallen_back == bits.trials);
        const Tally cuts = checkpoint.cut(0, checkpoint.size(), every(13));
        require_noticed(cuts, "lengths of a checkpoint" + with);
        CHECK(cuts.fallen_back == cuts.trials);
        const Tally sectors = checkpoint.lose_sectors(0, checkpoint.size());
        require_noticed(sectors, "sectors of a checkpoint" + with);
        CHECK(sectors.fallen_back == sectors.trials);
    }
}

TEST_CASE("a damaged checkpoint that stands alone is refused", "[persist][inv-9]") {
    test::History unjournaled = story();
    unjournaled.config = test::small_config(64, R"(,"persistence":{"mode":"none"})");
    for (const std::string key : {"", kSecret}) {
        Store store(unjournaled);
        Patient checkpoint(store, store.checkpoint(50, key), key.empty() ? "" : store.key_file(key));
        const std::string with = key.empty() ? "" : " with a key";
        require_refused(checkpoint.flip_bits(0, checkpoint.size(), every(31)), "bits of a lone checkpoint" + with);
        require_refused(checkpoint.cut(0, checkpoint.size(), every(13)), "lengths of a lone checkpoint" + with);
    }
}

TEST_CASE("without a checkpoint every file of a journal is needed", "[persist][inv-9]") {
    Store store(story());
    const auto names = write_three(store);
    const std::uint64_t head = persist::file_size_for(story().config.size(), 0);
    for (const std::size_t file : {0U, 1U}) {
        Patient journal(store, names[file]);
        // Three blocks: 5 events, 7 events, and what is left of about twenty.
        require_refused(journal.flip_bits(0, head + 3 * kPage, every(61)),
                        "bits of file " + std::to_string(file + 1) + " of 3");
        // Where it ends is told by its successor: nothing behind that is ever used.
        require_same(journal.flip_bits(head + 3 * kPage, journal.size(), every(307)), "  and of the zeroes behind its end");
        require_refused(journal.cut(0, head + 2 * kPage + 1, every(31)),
                        "lengths of file " + std::to_string(file + 1) + " of 3");
    }
}

TEST_CASE("with a checkpoint the files before it are not needed, and those behind it are", "[persist][inv-9]") {
    Store store(story());
    const auto names = write_three(store);
    store.checkpoint(33);
    const std::uint64_t head = persist::file_size_for(story().config.size(), 0);
    Patient covered(store, names[0]);
    const Tally unneeded = covered.flip_bits(0, covered.size(), every(307));
    require_same(unneeded, "bits of a file that the checkpoint covers");
    CHECK(unneeded.refused == 0);
    require_same(covered.cut(0, covered.size(), every(307)), "lengths of a file that the checkpoint covers");
    for (const std::size_t file : {1U, 2U}) {
        Patient needed(store, names[file]);
        require_refused(needed.flip_bits(0, head + 3 * kPage, every(61)), "bits of a file behind the checkpoint");
    }
    Patient newest(store, store.checkpoint(52));
    const Tally fallen = newest.flip_bits(0, newest.size(), every(61));
    require_noticed(fallen, "bits of the newest of two checkpoints");
    CHECK(fallen.fallen_back == fallen.trials);
}

TEST_CASE("a damaged checkpoint above a gap of the journal is refused: nothing else holds the events", "[persist][inv-9]") {
    Store store(story());
    store.begin(12);
    store.append(20);
    persist::FileSpec spec = store.next_spec();
    spec.first_seq = 41;
    spec.base_seq = 40;
    store.begin(spec, 12);
    store.append_blocks({6}, story().last_seq());
    store.seal();
    Patient bridge(store, store.checkpoint(44, {}, persist::CheckpointSource::memory));
    require_refused(bridge.flip_bits(0, bridge.size(), every(61)), "bits of the checkpoint above a gap");
    require_refused(bridge.cut(0, bridge.size(), every(31)), "lengths of the checkpoint above a gap");
}
