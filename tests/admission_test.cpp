// The table that says who may use a registry's memory (registry/admission): every combination of what can be seen, and what no row
// may ever allow. What each row looks like from outside is in environment_test.
#include <catch2/catch.hpp>
#include <iostream>
#include <map>
#include <set>
#include <string>

#include "registry/admission.hpp"
#include "segment/segment_name.hpp"

namespace riskreg::test {
namespace {

using registry::Action;
using registry::Facts;
using registry::Own;
using registry::Row;
using registry::Stray;
using registry::Where;
using segment::Stage;

/// Calls `look` with every combination of the facts. What cannot be: use by others of a segment that is not there.
template <class Look>
void for_each_case(Look look) {
    for (const Stage stage : {Stage::unknown, Stage::live, Stage::destroying, Stage::destroyed})
        for (const Own own : {Own::none, Own::usable, Own::other_clock})
            for (const Stray stray : {Stray::none, Stray::unused, Stray::used})
                for (const Where where :
                     {Where::unknown, Where::here, Where::elsewhere, Where::other_boot, Where::other_boot_shared})
                    for (unsigned bits = 0; bits < 1024; ++bits) {
                        const auto bit = [bits](unsigned n) { return (bits >> n & 1U) != 0; };
                        if (own == Own::none && bit(1)) continue;
                        Facts facts;
                        facts.stage = stage;
                        facts.own = own;
                        facts.stray = stray;
                        facts.where = where;
                        facts.alone = bit(0);
                        facts.own_is_used = bit(1);
                        facts.host_is_alive = bit(2);
                        facts.has_files = bit(3);
                        facts.disk_is_ahead = bit(4);
                        facts.other_pids = bit(5);
                        facts.i_am_alone = bit(6);
                        facts.from_disk = bit(7);
                        facts.new_token = bit(8);
                        facts.restore_lock = bit(9);
                        look(facts);
                    }
}

bool takes_memory(Action action) { return action == Action::join || action == Action::adopt; }
bool makes_memory(Action action) { return action == Action::rebuild || action == Action::retoken; }

}  // namespace

TEST_CASE("every combination of what can be seen meets a row, and every row is met", "[admission][inv-12]") {
    std::map<std::string, std::uint64_t> met;
    for (const Row& row : registry::admission_rows()) {
        INFO(row.id);
        CHECK(met.emplace(row.id, 0).second);  // an id names one row
        CHECK(std::string(row.says).size() > 10);
    }
    for_each_case([&](const Facts& facts) { ++met[registry::decide_admission(facts).id]; });
    for (const auto& [id, count] : met) {
        INFO(id);
        CHECK(count > 0);
        std::cout << "row " << id << ": " << count << " combinations\n";
    }
}

TEST_CASE("no row makes a second memory, adopts an older one, or brings back what was destroyed",
          "[admission][inv-9][inv-12]") {
    std::set<std::string> broken;
    const auto require = [&](bool holds, const Row& row, const char* what) {
        if (!holds) broken.insert(std::string(row.id) + ": " + what);
    };
    for_each_case([&](const Facts& f) {
        const Row& row = registry::decide_admission(f);
        const Action action = row.action;
        const bool uses = takes_memory(action) || makes_memory(action);
        require(f.alone || !makes_memory(action), row, "rebuilds beside others");
        require(f.alone || action != Action::adopt, row, "adopts beside others");
        require(!f.alone || action != Action::join, row, "joins nobody");
        require(f.stage != Stage::destroyed || !uses, row, "brings a destroyed registry back");
        require(f.stage != Stage::destroying || !uses, row, "brings back one that is being destroyed");
        require(!f.host_is_alive || !f.alone || !uses, row, "goes on while a process writes the journal");
        require(!f.own_is_used || !f.alone || action == Action::retoken || !uses, row,
                "uses a segment that others use by another LOCK");
        require(f.where != Where::elsewhere || !f.alone || f.i_am_alone || action == Action::retoken || !uses, row,
                "goes on while memory is elsewhere");
        require(f.where != Where::other_boot_shared || f.own != Own::none || f.i_am_alone || action == Action::retoken || !uses,
                row, "goes on while another machine may");
        require(!f.disk_is_ahead || action != Action::adopt, row, "adopts memory that is older than the disk");
        require(f.own != Own::other_clock || !takes_memory(action), row, "uses a segment of another clock");
        require(f.own != Own::none || !takes_memory(action), row, "uses what is not there");
        require(f.own == Own::none || action != Action::rebuild || f.from_disk, row, "sets a segment aside without a word");
        require(f.stray == Stray::none || f.own != Own::none || !makes_memory(action) || action == Action::retoken || !f.alone,
                row, "rebuilds beside a segment of the same registry");
        require(f.has_files || !makes_memory(action), row, "rebuilds from nothing");
    });
    for (const std::string& row : broken) FAIL_CHECK(row);
}

TEST_CASE("a segment's name is read back as it was written, and nothing else is taken for one", "[segment][input]") {
    for (const segment::SegmentName& name : {segment::SegmentName{0, 1, 1, "desk"},
                                             {4294967295U, ~0ULL, ~0ULL, "a.b-c_d"},
                                             {1000, 0xDEADBEEF, 17, "1.2.3"},
                                             {5, 6, 7, "desk.poisoned-x"}}) {
        const auto read = segment::parse_segment_name(segment::text_of(name));
        INFO(segment::text_of(name));
        REQUIRE(read);
        CHECK((read->uid == name.uid && read->token == name.token && read->day == name.day && read->registry == name.registry));
        const std::string aside = segment::set_aside_name(segment::text_of(name), 123);
        CHECK(segment::name_before_set_aside(aside) == segment::text_of(name));
    }
    for (const char* text :
         {"", "riskreg.", "riskreg.0.0000000000000001.desk", "riskreg.0.0000000000000001.0.desk",
          "riskreg.0.0000000000000001.01.desk", "riskreg.00.0000000000000001.1.desk", "riskreg.0.1.1.desk",
          "riskreg.0.000000000000000g.1.desk", "riskreg.0.0000000000000001.1.", "riskreg.-1.0000000000000001.1.a",
          "riskreg.0.0000000000000001.99999999999999999999.a", "other.0.0000000000000001.1.desk"})
        CHECK_FALSE(segment::parse_segment_name(text));
    CHECK_FALSE(segment::name_before_set_aside("riskreg.0.0000000000000001.1.desk"));
    CHECK_FALSE(segment::name_before_set_aside("riskreg.0.0000000000000001.1.desk.poisoned-"));
}

}  // namespace riskreg::test
